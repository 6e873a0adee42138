"""Build a ``Home`` from entities and synergy rows, whichever source they come from."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import lru_cache, partial
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple

from pydantic import BaseModel

from data_sources.base import LoadReport
from data_sources.records import (
    DEFAULT_HOME_ID,
    HINTS,
    Area,
    Device,
    Entity,
    Home,
    Synergy,
    from_json_text,
    keys_of,
    may_be_json,
    plain,
    shorten,
)
from data_sources.slips import HOME_KEYS, first_naming, strange_keys

HOME_LISTS = ("areas", "devices", "entities", "synergies")  # of a whole home
TEXTS_KEPT = 10_000  # parsed JSON texts, and contents of rows: most synergy rows repeat a pair


class _RowKey(NamedTuple):
    """What equal synergy rows have in common; fields of ``Synergy``."""

    trigger: str
    action: str
    synergy_type: str | None
    relationship_type: str | None
    direction: str | None
    automation_id: str | None

    @property
    def order(self) -> tuple[str, ...]:
        """For sorting: None counts as ""."""
        return tuple(value or "" for value in self)


_key_of = attrgetter(*_RowKey._fields)


_SYNERGY_KEYS = frozenset(keys_of(Synergy))
CONFIDENCE_KEYS = frozenset({"confidence", "synergy_score"})


class _Shape:
    """Where rows with the same keys hold what ``Synergy`` reads, where that is simple."""

    __slots__ = ("confidence", "has_automation", "has_relationship", "is_strange", "other", "others")

    def __init__(self, confidence: str, others: Sequence[str], *, is_strange: bool) -> None:
        self.confidence, self.others, self.is_strange = confidence, (confidence, *others), is_strange
        self.has_relationship = "relationship" in others
        self.has_automation = "automation_id" in others
        self.other = itemgetter(*(name for name in others if name != "relationship"))

    def content(self, raw: Mapping[str, Any]) -> Hashable:
        """What decides of which synergy a row of this shape is, whatever its confidence."""
        relationship = raw["relationship"] if self.has_relationship else None
        if type(relationship) is dict:
            relationship = relationship.get("type"), relationship.get("direction")
        # 1, 1.0 and True are equal, and not all of them are ids.
        kind = type(raw["automation_id"]) if self.has_automation else None
        return self.others, self.other(raw), relationship, kind


@lru_cache(1_000)
def _shape_of(keys: tuple[str, ...]) -> _Shape | None:
    """None where such rows have to be validated one by one."""
    read = _SYNERGY_KEYS.intersection(keys)
    measured = CONFIDENCE_KEYS & read
    others = sorted(read - measured)
    simple = len(measured) == 1 and Synergy.wrapper not in read and others not in ([], ["relationship"])
    return _Shape(next(iter(measured)), others, is_strange=bool(strange_keys(Synergy, keys))) if simple else None


class _Sum:
    """Of equal rows."""

    __slots__ = ("confidence", "rows")

    def __init__(self) -> None:
        self.rows, self.confidence = 0, 0.0


class HomeBuilder:
    """Collects one home. Equal synergy rows are merged as they arrive, so memory grows with distinct rows alone."""

    def __init__(self, report: LoadReport, home_id: str = DEFAULT_HOME_ID, where: str = "") -> None:
        self._report = report
        self._home_id = home_id
        self._where = where
        self._entities: dict[str, Entity] = {}
        self._entity_places: dict[str, str] = {}
        self._areas: dict[str, Area] = {}
        self._devices: dict[str, Device] = {}
        self._rows: dict[_RowKey, _Sum] = {}
        self._parsed = lru_cache(TEXTS_KEPT)(from_json_text)
        self._related = lru_cache(TEXTS_KEPT)(_relationship)
        # Content of a row that was validated -> its sum: most rows repeat a pair.
        self._validated: dict[Hashable, _Sum] = {}

    def add_places(self, areas: Iterable[Any], devices: Iterable[Any]) -> None:
        """Add raw area and device objects; a later one of the same id is ignored."""
        for number, raw in enumerate(areas, start=1):
            area = self._report.validate(Area, raw, "area", self._at(f"area {number}"))
            if area is not None:
                self._look_at(area, raw, f"area {number}")
                self._areas.setdefault(area.area_id, area)
        for number, raw in enumerate(devices, start=1):
            device = self._report.validate(Device, raw, "device", self._at(f"device {number}"))
            if device is not None:
                self._look_at(device, raw, f"device {number}")
                self._devices.setdefault(device.device_id, device)

    def add_entity(self, raw: Any, where: str) -> None:
        """Add a raw entity. A second one of the same id fills gaps of the first; if they disagree, it is rejected."""
        entity = self._report.validate(Entity, raw, "entity", self._at(where))
        if entity is None:
            return
        self._look_at(entity, raw, where)
        known = self._entities.get(entity.entity_id)
        if known is None:
            self._entities[entity.entity_id] = entity
            self._entity_places[entity.entity_id] = where
            return
        filled = {}
        for field in ("name", "device_class", "area_id", "device_id"):
            old, new = getattr(known, field), getattr(entity, field)
            if old is not None and new is not None and old != new:
                self._report.read["entity"] -= 1  # reject counts it
                self._report.reject(
                    "entity",
                    self._at(where),
                    f"{field}: {new!a} - expected {old!a}, as the same entity {entity.entity_id!a} "
                    f"has in {self._entity_places[entity.entity_id]}",
                )
                return
            if old is None and new is not None:
                filled[field] = new
        if known.disabled != entity.disabled:
            filled["disabled"] = False  # enabled in one list is enabled
        for hint in HINTS:
            absent = Entity.model_fields[hint].default
            if getattr(known, hint) == absent != getattr(entity, hint):
                filled[hint] = getattr(entity, hint)
        if filled:
            self._entities[entity.entity_id] = known.model_copy(update=filled)

    def add_row(self, raw: Any, where: str, unit: str = "synergy") -> None:
        """Add a raw synergy row."""
        shape, content, total = self._equal_rows(raw)
        if shape is None or total is None or not self._repeats(total, raw[shape.confidence], unit):
            self._add(content, raw, where, unit)
        elif shape.is_strange and self._report.slips is not None:  # the rows before it may have had other keys
            self._report.slips.look_at_keys(Synergy, tuple(raw), self.told, where)

    def repeater(self, raw: Any, unit: str = "synergy") -> Callable[[float], None] | None:
        """What adds another row like ``raw``, which was added, with a confidence from 0 to 1.

        None where another row would have to be validated.
        """
        total = self._equal_rows(raw)[2]
        return None if total is None else partial(self._count, total, unit)

    def _equal_rows(self, raw: Any) -> tuple[_Shape | None, Hashable, _Sum | None]:
        """The shape of a row, its content, and the sum of the rows before it with this content; None for unknown."""
        shape = _shape_of(tuple(raw)) if type(raw) is dict else None
        if shape is None:
            return None, None, None
        content = shape.content(raw)
        try:
            return shape, content, self._validated.get(content)
        except TypeError:  # a list or an object in the place of a text
            return shape, None, None

    def add_opportunity(
        self,
        device_ids: Any,
        metadata: Any,
        synergy_type: Any,
        confidence: Any,
        where: str | Callable[[], str],
        unit: str = "synergy",
    ) -> None:
        """Add a row of ``synergy_opportunities`` by its columns, of which the first two may be JSON or texts of it.

        ``where`` is the row's place, or says it when it is asked: few rows need one.
        """
        content = (device_ids, metadata, synergy_type)
        is_text = all(isinstance(text, str | None) for text in content)
        total = self._validated.get(content) if is_text else None
        if total is not None and self._repeats(total, confidence, unit):
            return
        place = where if isinstance(where, str) else where()
        ids = self._parsed(device_ids) if isinstance(device_ids, str) else from_json_text(device_ids)
        if not isinstance(ids, list | tuple) or len(ids) < 2:
            told = f"device_ids: {shorten(device_ids)} - expected a JSON array of two entity ids"
            self._report.reject(unit, self._at(place), told)
            return
        relationship = self._related(metadata) if isinstance(metadata, str) else _relationship(metadata)
        if isinstance(relationship, str):
            told = f"opportunity_metadata: {shorten(metadata)} - expected a JSON object"
            self._report.reject(unit, self._at(place), told)
            return
        raw = {
            "entity_1": ids[0],
            "entity_2": ids[1],
            "synergy_type": synergy_type,
            "confidence": confidence,
            "relationship": relationship,
        }
        self._add(content if is_text else None, raw, place, unit)

    def _repeats(self, total: _Sum, confidence: Any, unit: str) -> bool:
        """Count a row whose content was validated before; False where it has to be validated for its confidence."""
        if type(confidence) is not float or not 0.0 <= confidence <= 1.0:
            return False
        self._count(total, unit, confidence)
        return True

    def _count(self, total: _Sum, unit: str, confidence: float) -> None:
        self._report.read[unit] += 1
        total.rows += 1
        total.confidence += confidence

    def _add(self, content: Hashable, raw: Any, where: str, unit: str) -> None:
        row = self._report.validate(Synergy, raw, unit, self._at(where))
        if row is None:
            return
        self._look_at(row, raw, where)
        key = _RowKey._make(_key_of(row))
        total = self._rows.get(key)
        if total is None:
            total = self._rows[key] = _Sum()
        total.rows += 1
        total.confidence += row.confidence
        if content is not None:
            if len(self._validated) >= TEXTS_KEPT:
                self._validated.clear()
            self._validated[content] = total

    def _look_at(self, record: BaseModel, raw: Any, where: str) -> None:
        if self._report.slips is not None:
            self._report.slips.look_at(record, raw, self.told, where)

    def look_at_references(self, synergies: Sequence[Any] = ()) -> None:
        """Note areas, devices and entities that are named and not there, before ``build``, which empties the builder.

        ``synergies`` are the raw rows, to say which of them names an entity.
        """
        slips = self._report.slips
        if slips is None or not self._entities:
            return
        home = self.told("")
        pairs = (key[:2] for key in self._rows)
        naming = partial(_naming, synergies)
        slips.look_at_references(self._entities, self._areas, self._devices, pairs, home, naming)

    def has(self, entity_id: str) -> bool:
        """Whether an entity of this id was added."""
        return entity_id in self._entities

    @property
    def empty(self) -> bool:
        """Whether nothing usable was added."""
        return not self._rows and not self._entities

    def build(self) -> Home:
        """The home, sorted, without disabled entities and the rows that name one. It empties the builder."""
        self._entity_places.clear()
        enabled: dict[str, Entity] = {}
        disabled: set[str] = set()
        while self._entities:  # frees each original as soon as its copy is made
            entity_id, entity = self._entities.popitem()
            if entity.disabled:
                disabled.add(entity_id)
                continue
            device = self._devices.get(entity.device_id or "")
            if entity.area_id is None and device is not None and device.area_id is not None:
                entity = entity.model_copy(update={"area_id": device.area_id})
            enabled[entity_id] = entity

        synergies, disabled_rows, implied = [], 0, 0
        for key in sorted(self._rows, key=lambda key: key.order):
            rows = self._rows[key].rows
            if key.trigger in disabled or key.action in disabled:
                disabled_rows += rows
                continue
            for entity_id in (key.trigger, key.action):
                if entity_id not in enabled:
                    enabled[entity_id] = Entity(entity_id=entity_id)
                    implied += 1
            synergies.append(
                Synergy(  # faster than model_construct, which sets the fields in Python
                    **key._asdict(),
                    # Rounded, so that the last bits do not depend on the order of the rows.
                    confidence=round(self._rows[key].confidence / rows, 12),
                    rows=rows,
                )
            )
        return Home(
            home_id=self._home_id,
            entities=tuple(enabled[key] for key in sorted(enabled)),
            synergies=tuple(synergies),
            areas=tuple(self._areas[key] for key in sorted(self._areas)),
            rows=sum(total.rows for total in self._rows.values()),
            implied=implied,
            disabled=len(disabled),
            disabled_rows=disabled_rows,
        )

    def _at(self, where: str) -> str:
        return f"{self._where} {where}".strip()

    def told(self, where: str) -> str:
        """The place with its home, for a person."""
        place, home = self._at(where), plain(self._home_id)
        if not place:
            return f"home {home}"
        return place if self._home_id == DEFAULT_HOME_ID or "(home " in place else f"{place} (home {home})"


def read_home(report: LoadReport, raw: Mapping[str, Any], home_id: str, where: str) -> Home | None:
    """A whole home from its lists, which may be texts of JSON; None, counted and explained, where one is no list."""
    lists: dict[str, list[Any]] = {}
    for key in HOME_LISTS:
        value = from_json_text(raw.get(key))
        if not isinstance(value, list | None):
            report.reject("home", where, f"{key}: {shorten(value)} - expected a list")
            return None
        lists[key] = value or []
    report.read["home"] += 1
    builder = HomeBuilder(report, home_id, where)
    if report.slips is not None:
        report.slips.look_at_keys(HOME_KEYS, tuple(raw), builder.told, "")
    builder.add_places(lists["areas"], lists["devices"])
    for number, entity in enumerate(lists["entities"], start=1):
        builder.add_entity(entity, f"entity {number}")
    for number, row in enumerate(lists["synergies"], start=1):
        builder.add_row(row, f"synergy {number}")
    builder.look_at_references(lists["synergies"])
    return builder.build()


def _naming(synergies: Sequence[Any], entity_id: str) -> str:
    number = first_naming(synergies, entity_id)
    return "a synergy" if number is None else f"synergy {number}"


def _relationship(metadata: Any) -> dict[str, str] | str | None:
    """The texts under ``relationship`` in ``opportunity_metadata``, else those of the metadata itself.

    A text that should be JSON and is none is returned as it is: the row cannot be used.
    """
    decoded = from_json_text(metadata)
    if not isinstance(decoded, dict):
        return metadata if isinstance(metadata, str) and decoded is metadata and may_be_json(metadata) else None
    relationship = from_json_text(decoded.get("relationship"))
    texts = relationship if isinstance(relationship, dict) else decoded
    return {key: value for key, value in texts.items() if isinstance(value, str)}
