"""The records that every source yields: one shape for each kind, however the data was spelt.

Field aliases list the accepted spellings, beginning with the one that the simulator exports. A field's ``description``
completes the message "expected ..." for a person whose data has something else there.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_origin

from pydantic import (
    AfterValidator,
    AliasChoices,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from home_assistant import AutomationError, parse_automation
from home_assistant.entity_id import LOOSE_PATTERN, MAX_LENGTH, domain_of, object_id_of

KindName = str  # one of KINDS
DEFAULT_HOME_ID = "home"  # of what names no home


def _is_absent(value: Any) -> bool:
    """Whether ``value`` stands for a missing one: null, "" (an area of nobody in the Data API) or NaN (from pandas)."""
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, float | Decimal) and math.isnan(value))


def _absent_to_none(value: Any) -> Any:
    return None if _is_absent(value) else value


def _whole_number(value: Any) -> Any:
    """31.0 and Decimal(31) as 31, for pandas and SUM() write them so. Past 2**53 a float may stand for several."""
    if isinstance(value, Decimal):
        small = value.is_finite() and abs(value) < _LARGEST_DECIMAL
        return int(value) if small and value == value.to_integral_value() else value
    return int(value) if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT_FLOATS else value


def _number_to_text(value: Any) -> Any:
    value = _whole_number(value)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _number_to_flag(value: Any) -> Any:
    return bool(value) if isinstance(value, int | float | Decimal) and value in (0, 1) else value


def _words_to_slug(value: Any) -> Any:
    return value.strip().replace("-", "_").replace(" ", "_") if isinstance(value, str) else value


_EXACT_FLOATS = 2**53
_LARGEST_DECIMAL = 10**38  # as databases have them; Decimal("1e999999") has a million digits
_AN_ENTITY_ID = "an entity id such as light.kitchen"
_A_DEVICE_CLASS = "a device class such as motion, or null"
_CONFIDENCE = "a number from 0 to 1"
_TEXT = "a text that is not empty"
_ID_PATTERN = r"^[^\p{Cc}\p{Zl}\p{Zp}]*$"  # one line without control characters

# The usual value is tried first and natively: a function for every value costs more than the rest of a row.
_FIRST_THAT_FITS = Field(union_mode="left_to_right")
_Absent = Annotated[None, BeforeValidator(_absent_to_none)]
_IdText = Annotated[str, StringConstraints(strip_whitespace=True, strict=True, pattern=_ID_PATTERN)]
_FilledIdText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, strict=True, pattern=_ID_PATTERN)]
_IdNumber = Annotated[str, StringConstraints(strict=True, pattern=r"^-?\d+$"), BeforeValidator(_number_to_text)]
_Slug = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, to_lower=True, strict=True, pattern=r"^[A-Za-z0-9_]+$", max_length=MAX_LENGTH
    ),
]

EntityId = Annotated[
    str,
    StringConstraints(strip_whitespace=True, to_lower=True, pattern=LOOSE_PATTERN, max_length=MAX_LENGTH, strict=True),
]
Confidence = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False, strict=True)]
OptionalConfidence = Annotated[Confidence | _Absent | None, _FIRST_THAT_FITS]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, strict=True)]
OptionalText = Annotated[Text | _Absent | None, _FIRST_THAT_FITS]
_LowerText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, to_lower=True, strict=True)]
OptionalLowerText = Annotated[_LowerText | _Absent | None, _FIRST_THAT_FITS]
Id = Annotated[_IdText | _IdNumber, _FIRST_THAT_FITS]
_FilledId = Annotated[_FilledIdText | _IdNumber, _FIRST_THAT_FITS]
OptionalId = Annotated[_FilledIdText | _IdNumber | _Absent | None, _FIRST_THAT_FITS]
OptionalDeviceClass = Annotated[
    _Slug | Annotated[_Slug, BeforeValidator(_words_to_slug)] | _Absent | None, _FIRST_THAT_FITS
]
_StrictCount = Annotated[int, Field(ge=0, strict=True)]
Count = Annotated[_StrictCount | Annotated[_StrictCount, BeforeValidator(_whole_number)], _FIRST_THAT_FITS]
_StrictFlag = Annotated[bool, Field(strict=True)]
Flag = Annotated[_StrictFlag | Annotated[_StrictFlag, BeforeValidator(_number_to_flag)], _FIRST_THAT_FITS]
OptionalFlag = Annotated[Flag | _Absent | None, _FIRST_THAT_FITS]


def _none_unless_valid(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    try:
        return read(from_json_text(value))
    except ValidationError:
        return None


def _items_that_are_valid(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    value = from_json_text(value)
    items = []
    for item in value if isinstance(value, list | tuple) else ():
        try:
            items += read((item,))
        except ValidationError:
            continue
    return tuple(items)


_T = TypeVar("_T")
# What helps where it is there. Sources spell it in many ways, and no row is refused for it.
_Hint = Annotated[_T | None, WrapValidator(_none_unless_valid)]
_Hints = Annotated[tuple[_T, ...], WrapValidator(_items_that_are_valid)]

_OPTIONAL_ID: TypeAdapter[str | None] = TypeAdapter(OptionalId)


def read_id(value: Any) -> str | None:
    """``value`` as the text of an id, None where it stands for a missing one. Raises ValueError where it is none."""
    return _OPTIONAL_ID.validate_python(value)


def from_json_text(value: Any) -> Any:
    """What a text of JSON says, also one inside another; any other value, and a text that is no JSON, as it is."""
    for _ in range(_TEXTS_IN_TEXTS):
        # Most texts are words. To try each of them costs more than the rest of a row.
        if isinstance(value, bytes):
            value = value.decode("utf-8", "surrogateescape")
        if not isinstance(value, str) or not may_be_json(value):
            break
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            break
    return value


_TEXTS_IN_TEXTS = 3  # an export of an export


def may_be_json(text: str) -> bool:
    """Whether a text begins as an object, a list, a text or a null of JSON does."""
    return text.lstrip().startswith(("{", "[", '"', "null"))


_QUERY_WORD = re.compile(r"\w+")


def normalized_query(text: str) -> str:
    """A query in lower case, its words joined by single spaces: equal for queries that differ in nothing else."""
    return " ".join(_QUERY_WORD.findall(text.lower()))


def _spellings(*paths: str, under: str | None = None) -> AliasChoices:
    """Aliases for each dotted path, and for each of them inside the object ``under``."""
    dotted = [*paths, *(f"{under}.{path}" for path in paths if under)]
    return AliasChoices(*(AliasPath(*path.split(".")) if "." in path else path for path in dotted))


class Record(BaseModel):
    """Base of all records. Unknown keys are ignored: production and the simulator add some freely."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _NestedRecord(Record):
    """Base of the records whose rows hold objects. A text of JSON is decoded, a text that is no object refused.

    Attributes:
        objects: Keys whose value is an object.
        wrapper: The one among them that repeats the other keys of the row; any value of it is allowed.
        worded: Keys that may be one word, with the key of the object that the word stands for.
    """

    objects: ClassVar[tuple[str, ...]]
    wrapper: ClassVar[str]
    worded: ClassVar[Mapping[str, str]] = {}

    @model_validator(mode="before")
    @classmethod
    def _read_objects(cls, raw: Any) -> Any:
        if type(raw) is not dict:
            return cls._with_objects(raw, cls.objects) if isinstance(raw, Mapping) else raw
        for key in cls.objects:
            value = raw.get(key)
            if value is not None and (key == cls.wrapper or type(value) is not dict):
                return cls._with_objects(raw, cls.objects)
        return raw

    @classmethod
    def _with_objects(cls, raw: Mapping[Any, Any], keys: Sequence[str]) -> dict[Any, Any]:
        read = dict(raw)
        for key in keys:
            value = read.pop(key, None)
            if _is_absent(value):
                continue
            value = from_json_text(value)
            if key in cls.worded and isinstance(value, str) and not may_be_json(value):
                value = {cls.worded[key]: value}
            if isinstance(value, Mapping):
                inner = [other for other in cls.objects if other != key]
                read[key] = cls._with_objects(value, inner) if key == cls.wrapper else value
            elif key != cls.wrapper and not _is_absent(value):
                raise PydanticCustomError(
                    "object", "{key}: {value} - expected an object", {"key": key, "value": shorten(value)}
                )
        return read


class _EntityRecord(Record):
    """Base of the records that are about one entity."""

    entity_id: EntityId = Field(description=_AN_ENTITY_ID)

    @property
    def domain(self) -> str:
        """The part of the entity id before the dot, such as ``light``."""
        return domain_of(self.entity_id)

    @property
    def object_id(self) -> str:
        """The part of the entity id after the dot, such as ``hall``."""
        return object_id_of(self.entity_id)


class Entity(_EntityRecord):
    """A Home Assistant entity, as the homes format and the Data API give it.

    ``capabilities`` are the attributes that say what its actions may ask for, such as ``options`` and
    ``supported_color_modes``. ``mirrors`` are the entities that it only shows again: the members of a group, the one
    that a template repeats.
    """

    name: OptionalText = Field(default=None, description="a text or null")
    device_class: OptionalDeviceClass = Field(default=None, description=_A_DEVICE_CLASS)
    area_id: OptionalId = Field(default=None, description="an area id or null")
    device_id: OptionalId = Field(default=None, description="a device id or null")
    disabled: Flag = Field(default=False, description="true or false")
    hidden: Flag = Field(default=False, description="true or false")
    entity_category: _Hint[OptionalLowerText] = Field(default=None, description="config, diagnostic or null")
    labels: _Hints[_FilledId] = Field(default=(), description="a list of label ids")
    platform: _Hint[OptionalId] = Field(default=None, description="an integration, such as hue, or null")
    supported_features: _Hint[Annotated[Count | None, _FIRST_THAT_FITS]] = Field(
        default=None, description="a whole number from 0 up, or null"
    )
    capabilities: _Hint[Mapping[str, Any]] = Field(default=None, description="an object or null")
    mirrors: _Hints[EntityId] = Field(default=(), description="a list of entity ids")

    @model_validator(mode="before")
    @classmethod
    def _from_home_assistant(cls, raw: Any) -> Any:
        """The spellings of Home Assistant's registry (``disabled_by``) and of its states (``attributes``)."""
        if not isinstance(raw, Mapping):
            return raw
        state = raw.get("attributes")
        if state is not None and isinstance(state := from_json_text(state), Mapping):
            shown = {key: state.get(key) for key in ("friendly_name", "device_class") if _is_absent(raw.get(key))}
            raw = {**raw, **shown}
        read: dict[str, Any] = {}
        # A name that a person gave comes before one that an integration made up.
        for key in ("name_by_user", "name", "friendly_name", "original_name"):
            value = raw.get(key)
            if isinstance(value, str) and value.strip():
                if key != "name":
                    read["name"] = value
                break
        if raw.get("original_device_class") is not None and _is_absent(raw.get("device_class")):
            read["device_class"] = raw["original_device_class"]
        for key, by in (("disabled", "disabled_by"), ("hidden", "hidden_by")):
            if raw.get(by) is not None and not _is_absent(raw[by]):
                read[key] = True
            elif raw.get(key, False) is not False and _is_absent(raw[key]):
                read[key] = False
        return {**raw, **read} if read else raw


HINTS = ("hidden", "entity_category", "labels", "supported_features", "capabilities", "mirrors", "platform")


class Area(Record):
    """A room or zone of a home."""

    area_id: Id = Field(validation_alias=_spellings("area_id", "id"), description="an area id")
    name: OptionalText = Field(default=None, description="a text or null")
    floor_id: _Hint[OptionalId] = Field(default=None, description="a floor id or null")

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, raw: Any) -> Any:
        return {"area_id": raw} if isinstance(raw, str) else raw


class Device(Record):
    """A device; an entity without an area inherits its device's."""

    device_id: Id = Field(validation_alias=_spellings("device_id", "id"), description="a device id")
    name: OptionalText = Field(default=None, description="a text or null")
    area_id: OptionalId = Field(default=None, description="an area id or null")


class Synergy(_NestedRecord):
    """One or more equal synergy rows: ``trigger`` -> ``action``, seen in ``rows`` rows with mean ``confidence``."""

    objects = ("synergy", "relationship")
    wrapper = "synergy"
    worded = MappingProxyType({"relationship": "type"})

    trigger: EntityId = Field(
        validation_alias=_spellings("entity_1", "device1", under="synergy"), description=_AN_ENTITY_ID
    )
    action: EntityId = Field(
        validation_alias=_spellings("entity_2", "device2", under="synergy"), description=_AN_ENTITY_ID
    )
    confidence: Confidence = Field(
        validation_alias=_spellings("confidence", "synergy_score", under="synergy"), description=_CONFIDENCE
    )
    synergy_type: OptionalText = Field(
        default=None, validation_alias=_spellings("synergy_type", under="synergy"), description="a text or null"
    )
    relationship_type: OptionalText = Field(
        default=None, validation_alias=_spellings("relationship.type", under="synergy"), description="a text or null"
    )
    direction: OptionalText = Field(
        default=None,
        validation_alias=_spellings("relationship.direction", under="synergy"),
        description="bidirectional, unidirectional or null",
    )
    automation_id: OptionalId = Field(
        default=None, validation_alias=_spellings("automation_id", under="synergy"), description="an id or null"
    )
    rows: int = Field(default=1, ge=1, exclude=True, validation_alias="__rows__", description="set by the loader")

    @model_validator(mode="after")
    def _two_entities(self) -> Synergy:
        if self.trigger == self.action:
            raise PydanticCustomError(
                "self_pair", "entity_2: {id} - expected another entity than entity_1", {"id": ascii(self.action)}
            )
        return self

    @property
    def bidirectional(self) -> bool:
        """Whether the pair holds in both directions (``relationship.direction`` of the row)."""
        return self.direction is not None and self.direction.lower() == "bidirectional"


@dataclass(frozen=True)
class Activity:
    """How often and when one entity changes its state.

    Attributes:
        changes: Changes of the state; ``unknown`` and ``unavailable`` are none.
        hours: Of these, how many in each hour of the day, local time: 24 numbers.
    """

    entity_id: str
    changes: int
    hours: tuple[int, ...]


@dataclass(frozen=True)
class ObservedPair:
    """A person operated ``action`` soon after ``trigger`` changed, more often than by chance. No automation did it.

    It is weak evidence that the two belong together; it never counts as automated.

    Attributes:
        state: The state of ``trigger`` that came before, such as ``on``.
        result: The state that ``action`` was brought into.
        count: How often ``result`` followed ``state`` within ``window`` seconds.
        triggers: How often ``trigger`` came into ``state``.
        lift: ``count`` over the count that chance would give, the two independent of each other.
        days: Days of history that this was counted in.
    """

    trigger: str
    action: str
    state: str
    result: str
    count: int
    triggers: int
    lift: float
    window: float
    days: float


@dataclass(frozen=True)
class Home:
    """One home: entities sorted by id, synergies sorted by pair. Every entity that a synergy names is in ``entities``.

    Attributes:
        rows: Synergy rows read.
        implied: Entities that only a synergy names.
        disabled: Disabled entities; they are not in ``entities``.
        disabled_rows: Synergy rows left out because they name a disabled entity.
        generated: Pairs that rules made up because no synergy was known.
        turned_off: Pairs (trigger, action) of automations that a person turned off. Never part of ``synergies``.
        installed: Pairs (trigger, action) of automations that ``suggest --install`` put in, which tell nothing of what
            its owner wants. Never part of ``synergies``.
        activity: How often and when each entity changes, where a history was read.
        observed: What a person did after what, where a history was read. Never part of ``synergies``.
        dismissed: Pairs (trigger, action) that a person refused as suggestions. Never part of ``synergies``.
    """

    kind: ClassVar[KindName] = "gnn_synergy"

    home_id: str
    entities: tuple[Entity, ...]
    synergies: tuple[Synergy, ...]
    areas: tuple[Area, ...] = ()
    rows: int = 0
    implied: int = 0
    disabled: int = 0
    disabled_rows: int = 0
    generated: int = 0
    turned_off: tuple[tuple[str, str], ...] = ()
    installed: tuple[tuple[str, str], ...] = ()
    activity: tuple[Activity, ...] = ()
    observed: tuple[ObservedPair, ...] = ()
    dismissed: tuple[tuple[str, str], ...] = ()

    @property
    def shard_key(self) -> str:
        """What decides which ``Shard`` has it."""
        return self.home_id

    def distinct_units(self) -> Iterator[tuple[str, str]]:
        """What makes the rows worth something, as (unit, text): each (trigger, action) pair of this home."""
        for synergy in self.synergies:
            yield "pair", f"{self.home_id} {synergy.trigger} {synergy.action}"

    def fingerprint(self) -> str:
        """SHA-256 of the content: the same for the same home from any source, in any order."""
        content: list[Any] = [
            self.home_id,
            [[e.entity_id, e.name, e.device_class, e.area_id, e.device_id] for e in self.entities],
            [
                [
                    *(s.trigger, s.action, repr(s.confidence), s.synergy_type),
                    *(s.relationship_type, s.direction, s.automation_id, str(s.rows)),
                ]
                for s in self.synergies
            ],
            [[a.area_id, a.name] for a in self.areas],
        ]
        # Left out where there is none, so that the fingerprints of before stay.
        hints = [[e.entity_id, key, value] for e in self.entities for key in HINTS if (value := getattr(e, key))]
        hints += [[a.area_id, "floor_id", a.floor_id] for a in self.areas if a.floor_id]
        if hints:
            content.append(hints)
        if self.turned_off:
            content.append(self.turned_off)
        if self.observed:
            content.append([list(vars(pair).values()) for pair in self.observed])
        if self.dismissed:
            content.append(["dismissed", *self.dismissed])
        return hashlib.sha256(json.dumps(content, ensure_ascii=True).encode()).hexdigest()


def _object_or_text(value: Any) -> Any:
    """A text that is a JSON object or list as what it says; another text stays one. None for a missing value."""
    if not isinstance(value, str):
        return _absent_to_none(value)
    decoded = from_json_text(value)
    return decoded if isinstance(decoded, Mapping | list) else value


class PromptRow(Record):
    """A request in plain words and the suggestion that answers it."""

    kind: ClassVar[KindName] = "soft_prompt"
    rows: ClassVar[int] = 1

    query: Text = Field(validation_alias=_spellings("query", "instruction"), description=_TEXT)
    suggestion: Text = Field(description=_TEXT)
    quality_score: OptionalConfidence = Field(default=None, description=_CONFIDENCE)

    @model_validator(mode="before")
    @classmethod
    def _choose_suggestion(cls, raw: Any) -> Any:
        # The simulator leaves `suggestion` empty and answers in `response.text.description`.
        if not isinstance(raw, Mapping):
            return raw
        if isinstance(plain := raw.get("suggestion"), str) and plain.strip() and not may_be_json(plain):
            return raw
        suggestion, response = _object_or_text(raw.get("suggestion")), _object_or_text(raw.get("response"))
        if not isinstance(suggestion, str | Mapping | None):
            return {**raw, "suggestion": suggestion}
        if suggestion is None and response is None and "suggestion" not in raw:
            return raw
        candidates = []
        if isinstance(suggestion, Mapping):
            candidates += [suggestion.get("description"), suggestion.get("text")]
        else:
            candidates.append(suggestion)
        if isinstance(response, Mapping):
            text = _object_or_text(response.get("text"))
            candidates += [text.get("description") if isinstance(text, Mapping) else text, response.get("description")]
        chosen = next((text for text in candidates if isinstance(text, str) and text.strip()), "")
        return {**raw, "suggestion": chosen}

    @property
    def shard_key(self) -> str:
        """What decides which ``Shard`` has it: the query, for requests name no home."""
        return self.query

    def distinct_units(self) -> Iterator[tuple[str, str]]:
        """What makes rows worth something, as (unit, text): the query, normalized, and the answer."""
        yield "query", normalized_query(self.query)
        yield "answer", self.suggestion


# The types that HomeIQ's pattern services, its simulator and its ground truths use.
PATTERN_TYPES = (
    *("anomaly", "co_activation", "co_occurrence", "contextual", "correlation", "day_type", "duration", "energy_aware"),
    *("frequency", "multi_device_synergy", "multi_factor", "presence_aware", "room_based", "seasonal", "sequence"),
    *("session", "time_of_day", "weather_driven"),
)


def _pattern_name(value: Any) -> Any:
    """Time-of-day, TIME_OF_DAY and time_of_day are one pattern type."""
    return "_".join(value.lower().replace("-", " ").split()) if isinstance(value, str) else value


_KnownPattern = Literal[*PATTERN_TYPES]  # type: ignore[valid-type]
_PatternType = Annotated[_KnownPattern | Annotated[_KnownPattern, BeforeValidator(_pattern_name)], _FIRST_THAT_FITS]
_ExpectedPattern = Annotated[
    _KnownPattern | Annotated[Text, BeforeValidator(_pattern_name)] | _Absent | None, _FIRST_THAT_FITS
]


class PatternRow(_EntityRecord, _NestedRecord):
    """A detected usage pattern, with what it really was where that is known.

    The ``metrics`` of a row (precision, recall, F1 of the detector) are not read: they are computed from the truth, so
    a new detection has none.
    """

    kind: ClassVar[KindName] = "pattern_detection"
    rows: ClassVar[int] = 1
    objects = ("pattern", "ground_truth")
    wrapper = "pattern"

    entity_id: EntityId = Field(validation_alias=_spellings("entity_id", under="pattern"), description=_AN_ENTITY_ID)
    pattern_type: _PatternType = Field(
        validation_alias=_spellings("pattern_type", under="pattern"),
        description="a pattern type such as time_of_day (docs/reference/data-formats.md lists them all)",
    )
    confidence: Confidence = Field(validation_alias=_spellings("confidence", under="pattern"), description=_CONFIDENCE)
    occurrences: Count = Field(
        validation_alias=_spellings("occurrences", under="pattern"), description="a whole number from 0 up"
    )
    name: OptionalText = Field(
        default=None, validation_alias=_spellings("name", under="pattern"), description="a text or null"
    )
    device_class: OptionalDeviceClass = Field(
        default=None, validation_alias=_spellings("device_class", under="pattern"), description=_A_DEVICE_CLASS
    )
    home_id: OptionalId = Field(default=None, description="an id or null")
    expected_pattern: _ExpectedPattern = Field(
        default=None, validation_alias=_spellings("ground_truth.expected_pattern"), description="a text or null"
    )
    expected_device: OptionalLowerText = Field(
        default=None, validation_alias=_spellings("ground_truth.expected_device"), description="a text or null"
    )

    @property
    def genuine(self) -> bool | None:
        """Whether type and device (where one is given) are those of the ground truth; None without a ground truth."""
        if self.expected_pattern is None:
            return None
        return self.expected_pattern == self.pattern_type and self.expected_device in (None, self.entity_id)

    @property
    def shard_key(self) -> str:
        """What decides which ``Shard`` has it."""
        return self.home_id or DEFAULT_HOME_ID

    def distinct_units(self) -> Iterator[tuple[str, str]]:
        """What makes rows worth something, as (unit, text): the entity, and the class where the truth is known."""
        yield "entity", self.entity_id
        if self.genuine is not None:
            yield "class", str(self.genuine)


def _is_automation(text: str) -> str:
    try:
        parse_automation(text)
    except AutomationError as error:
        raise PydanticCustomError("automation", "output: {why}", {"why": str(error)}) from error
    return text


class YamlRow(_NestedRecord):
    """A request in plain words and the Home Assistant automation that answers it, as YAML that can be parsed."""

    kind: ClassVar[KindName] = "yaml_generation"
    rows: ClassVar[int] = 1
    objects = ("yaml_pair", "validation_result")
    wrapper = "yaml_pair"

    input: Text = Field(validation_alias=_spellings("input", under="yaml_pair"), description=_TEXT)
    output: Annotated[Text, AfterValidator(_is_automation)] = Field(
        validation_alias=_spellings("output", "yaml", under="yaml_pair"), description=_TEXT
    )
    is_valid: OptionalFlag = Field(
        default=None, validation_alias=_spellings("validation_result.is_valid"), description="true or false"
    )
    home_id: OptionalId = Field(default=None, description="an id or null")
    entities: tuple[EntityId, ...] = Field(default=(), description="a list of entity ids or entities")

    @model_validator(mode="before")
    @classmethod
    def _entity_ids(cls, raw: Any) -> Any:
        if not isinstance(raw, Mapping) or "entities" not in raw:
            return raw
        read = dict(raw)
        entities = from_json_text(read.pop("entities"))
        if isinstance(entities, list):
            read["entities"] = [item.get("entity_id", item) if isinstance(item, Mapping) else item for item in entities]
        elif not _is_absent(entities):
            read["entities"] = entities
        return read

    @property
    def shard_key(self) -> str:
        """What decides which ``Shard`` has it."""
        return self.home_id or DEFAULT_HOME_ID

    def distinct_units(self) -> Iterator[tuple[str, str]]:
        """What makes rows worth something, as (unit, text): the request, normalized, and the answer."""
        yield "request", normalized_query(self.input)
        yield "answer", self.output


TrainingRecord = Home | PromptRow | PatternRow | YamlRow
# What is trained on: a new kind of record is named in these three lines.
R = TypeVar("R", Home, PromptRow, PatternRow, YamlRow)
RECORDS: Mapping[KindName, type[TrainingRecord]] = {
    record.kind: record for record in (Home, PromptRow, PatternRow, YamlRow)
}
KINDS: tuple[KindName, ...] = tuple(RECORDS)


def count_distinct(records: Iterable[TrainingRecord]) -> Counter[str]:
    """How many distinct texts of each unit ``records`` have, by ``distinct_units``."""
    return Counter(unit for unit, _ in {named for record in records for named in record.distinct_units()})


def _expected(model: type[BaseModel]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        for choice in (name, *choices):  # a field is also read by its own name
            path = tuple(choice.path) if isinstance(choice, AliasPath) else (choice,)
            yield path, field.description or "another value"


def keys_of(model: type[BaseModel]) -> dict[str, bool]:
    """The top-level keys that ``model`` reads, and whether each may hold an object or a list."""
    keys = {name: get_origin(field.annotation) is tuple for name, field in model.model_fields.items()}
    for path, _ in _expected(model):
        keys[str(path[0])] = keys.get(str(path[0]), False) or len(path) > 1
    return keys


def explain(error: ValidationError, model: type[BaseModel]) -> str:
    """The first fault as ``field: value - expected ...``, in ASCII and cut to a line."""
    expected = dict(_expected(model))
    first = error.errors(include_url=False)[0]
    if first["type"] in ("self_pair", "automation", "object"):
        return first["msg"]
    loc = first["loc"]
    # A location may reach into the field, to the branches of a union or the items of a list.
    path = next((loc[:n] for n in range(len(loc), 0, -1) if loc[:n] in expected), loc)
    if not path:
        return f"{shorten(first['input'])} - expected an object with {', '.join(_needed(model))}"
    if first["type"] == "missing":
        told = f"{'.'.join(map(str, path))}: missing - expected {expected[path]}"
        keys = ", ".join(map(str, first["input"])) if isinstance(first["input"], Mapping) else ""
        return f"{told}; the row has {shorten_text(keys) if keys else 'no keys'} and needs {', '.join(_needed(model))}"
    return f"{'.'.join(map(str, path))}: {shorten(first['input'])} - expected {expected.get(path, 'another value')}"


def _needed(model: type[BaseModel]) -> Iterator[str]:
    """Each required field with its spellings, such as ``entity_1 (or device1)``."""
    for names in required_keys(model):
        yield names[0] + (f" (or {', '.join(names[1:])})" if names[1:] else "")


def required_keys(model: type[BaseModel]) -> Iterator[tuple[str, ...]]:
    """The spellings of each required field of ``model`` at the top of a row."""
    for name, field in model.model_fields.items():
        if field.is_required():
            alias = field.validation_alias
            choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
            yield tuple(str(choice) for choice in choices if not isinstance(choice, AliasPath))


def plain(text: str) -> str:
    """``text`` if all of it can be shown, else in ASCII: a name may hold line breaks, or bytes that are no text."""
    return text if text.isprintable() else ascii(text)


def shorten(value: Any, limit: int = 80) -> str:
    """``value`` in ASCII, cut to ``limit`` characters, so that a log line stays a line."""
    return _cut(ascii(value), limit)


def shorten_text(value: Any, limit: int = 80) -> str:
    """As ``shorten``, without the quotes or brackets around it."""
    return _cut(ascii(value)[1:-1], limit)


def shorten_path(path: str, limit: int = 80) -> str:
    """A path as it is, cut to ``limit`` characters; in ASCII where it holds what cannot be shown."""
    return _cut(plain(path), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 3]}..."
