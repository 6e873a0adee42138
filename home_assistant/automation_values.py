"""What a single value in an automation may be, by the rules of Home Assistant's ``config_validation``.

A check takes a value and raises RefusedError where Home Assistant would refuse it. Home Assistant coerces before it
checks, so more passes than one would write: a number is a text, ``"5"`` is a number and true is one too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import time, timedelta
from typing import Any

from home_assistant.automation_yaml import TaggedScalar
from home_assistant.entity_id import is_entity_id
from home_assistant.templates import has_template, template_error

Check = Callable[[Any], object]  # what it returns means nothing

MAX_DATA_DEPTH = 100  # of lists and mappings inside the data of one action, condition or trigger
_REGISTRY_ID = re.compile(r"[0-9a-f]{32}")  # of an entity's entry in the registry; it may stand for the entity id
_UNITS = ("days", "hours", "minutes", "seconds", "milliseconds")
_BOOLEANS = ("1", "true", "yes", "on", "enable", "0", "false", "no", "off", "disable")
# Home Assistant replaces these before it looks at the automation.
_REPLACED_TAGS = ("!secret", "!env_var", "!include", "!include_dir_list", "!include_dir_merge_list",
                  "!include_dir_named", "!include_dir_merge_named")  # fmt: skip


class RefusedError(ValueError):
    """Home Assistant would refuse a value: why, and the keys and indexes that lead to it."""

    def __init__(self, why: str, path: tuple[Any, ...] = ()) -> None:
        super().__init__(why)
        self.why = why
        self.path = path

    def under(self, *path: Any) -> RefusedError:
        """The same of a value that these keys and indexes lead to."""
        return type(self)(self.why, (*path, *self.path))


class RefusedTemplateError(RefusedError):
    """The value is a template and its syntax is wrong."""


def is_replaced(value: Any) -> bool:
    """Whether it stands for a value that is not known here. Raises RefusedError for a tag that Home Assistant lacks."""
    if not isinstance(value, TaggedScalar):
        return False
    if value.tag not in _REPLACED_TAGS and value.tag != "!input":
        raise RefusedError(f"{value.tag:.40} is no tag of Home Assistant")
    return value.tag in _REPLACED_TAGS


def shown(value: Any) -> str:
    """The value, short enough for a message."""
    return f"{value!r:.40}"


def items_of(value: Any) -> list[Any]:
    """The values where one, a list of them or nothing may stand."""
    return value if isinstance(value, list) else [] if value is None else [value]


def list_of(check: Check, least: int = 0) -> Check:
    """One, a list of them or, with no ``least``, nothing."""

    def checked(value: Any) -> None:
        items = items_of(value)
        if len(items) < least:
            raise RefusedError("needs at least one value")
        for index, item in enumerate(items):
            try:
                if not is_replaced(item):
                    check(item)
            except RefusedError as error:
                raise (error.under(index) if isinstance(value, list) else error) from None

    return checked


def list_only(check: Check) -> Check:
    """A list of them."""

    def checked(value: Any) -> None:
        if not isinstance(value, list):
            raise RefusedError(f"{shown(value)} is not a list")
        list_of(check)(value)

    return checked


def either(expected: str, *checks: Check) -> Check:
    """What one of ``checks`` takes."""

    def checked(value: Any) -> None:
        for check in checks:
            try:
                check(value)
            except RefusedTemplateError:
                raise
            except RefusedError:
                continue
            return
        raise RefusedError(f"{shown(value)} is not {expected}")

    return checked


def where(expected: str, accepts: Callable[[Any], bool]) -> Check:
    """What ``accepts`` says is right; a ValueError or TypeError of it says that it is not."""

    def checked(value: Any) -> None:
        try:
            if accepts(value):
                return
        except (ValueError, TypeError, OverflowError):
            pass
        raise RefusedError(f"{shown(value)} is not {expected}")

    return checked


def choice(*values: str, folded: bool = False) -> Check:
    """One of the texts; ``folded`` in any case."""
    expected = f"{', '.join(values[:-1])} or {values[-1]}" if len(values) > 1 else values[0]
    return where(expected, lambda value: (str(value).lower() if folded else value) in values)


# -- Texts and templates -----------------------------------------------------------------------------------------------


def anything(_value: Any) -> None:
    """Takes every value."""


text = where("a text", lambda value: isinstance(value, str))
state = where('a state (a text: on and off need quotes, as in "on")', lambda value: isinstance(value, str))


def is_scalar(value: Any) -> bool:
    """Whether Home Assistant turns the value into a text."""
    return value is not None and not isinstance(value, list | Mapping)


string = where("a text", is_scalar)
boolean = where(
    "true or false",
    lambda value: (
        value.lower().strip() in _BOOLEANS if isinstance(value, str) else isinstance(value, bool | int | float)
    ),
)
true_or_false = where("true or false (without quotes)", lambda value: isinstance(value, bool))


def _sound(value: str) -> None:
    if has_template(value) and (error := template_error(value)) is not None:
        raise RefusedTemplateError(f"template: {error}")


def template(value: Any) -> None:
    """A text, with or without template marks."""
    if not is_scalar(value):
        raise RefusedError(f"{shown(value)} is not a template or a text")
    _sound(str(value))


def template_only(value: Any) -> None:
    """A text with template marks."""
    if not is_scalar(value) or not has_template(str(value)):
        raise RefusedError(f"{shown(value)} is no template")
    _sound(str(value))


def data(value: Any, depth: int = 0) -> None:
    """Anything, with sound templates in it."""
    if isinstance(value, str):
        _sound(value)
        return
    is_replaced(value)
    if depth > MAX_DATA_DEPTH:
        raise RefusedError("nested too deep")
    entries = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in entries:
        try:
            data(item, depth + 1)
            if isinstance(key, str):
                _sound(key)
        except RefusedError as error:
            raise error.under(key) from None


def mapping(value: Any) -> None:
    """A mapping of anything, with sound templates in it."""
    if not isinstance(value, Mapping):
        raise RefusedError("expected a mapping")
    data(value)


plain_mapping = where("a mapping", lambda value: isinstance(value, Mapping))


def variables(value: Any) -> None:
    """A mapping of names to anything."""
    if not isinstance(value, Mapping):
        raise RefusedError("expected a mapping of variables")
    for key in value:
        if not isinstance(key, str):
            raise RefusedError(f"{shown(key)} is not a variable's name")
        try:
            data(value[key])
        except RefusedError as error:
            raise error.under(key) from None


def mapping_or(of_mapping: Check, of_others: Check) -> Check:
    """What ``of_mapping`` takes where a mapping stands; where anything else stands, what ``of_others`` takes."""
    return lambda value: of_mapping(value) if isinstance(value, Mapping) else of_others(value)


data_or_text = mapping_or(data, template)
template_or_list = either("a template or a list", template_only, list_only(data))

# -- Numbers and times -------------------------------------------------------------------------------------------------


def _fits(number: Callable[[Any], Any], least: float = -math.inf, most: float = math.inf) -> Callable[[Any], bool]:
    return lambda value: bool(least <= number(value) <= most)


whole = where("a whole number", _fits(int))
number = where("a number", lambda value: float(value) is not None)
whole_from_0 = where("a whole number from 0 up", _fits(int, 0))
whole_from_2 = where("a whole number from 2 up", _fits(int, 2))


def _amount_of(value: Any) -> float:
    """Seconds, ``HH:MM[:SS]`` or a mapping of units, in seconds. Raises ValueError and the like where it is none."""
    if isinstance(value, Mapping):
        if not value or not set(value) <= set(_UNITS):
            raise ValueError
        return timedelta(**{unit: float(amount) for unit, amount in value.items()}).total_seconds()
    if isinstance(value, str) and len(
        parts := value.removeprefix(value[:1] if value[:1] in "+-" else "").split(":")
    ) in (2, 3):
        seconds = float(parts[2]) if len(parts) == 3 else 0
        amount = timedelta(hours=int(parts[0]), minutes=int(parts[1]), seconds=seconds).total_seconds()
        return -amount if value.startswith("-") else amount
    return timedelta(seconds=float(value)).total_seconds()


def _unit_templates(value: Any) -> None:
    """A mapping of units, each of them maybe a template."""
    if not isinstance(value, Mapping) or not value:
        raise RefusedError(f"{shown(value)} is not a mapping of units")
    for unit, amount in value.items():
        if not isinstance(unit, str) or (unit not in _UNITS and not has_template(unit)):
            raise RefusedError(f"{shown(unit)} is not a unit")
        if not isinstance(amount, str) or not has_template(amount):
            where("an amount", _fits(float, 0))(amount)
    data(value)


_TIME = "a time such as 00:05:00, seconds, or minutes: 5"
offset = where(_TIME, lambda value: _amount_of(value) is not None)
period = where(_TIME, lambda value: _amount_of(value) >= 0)
units = where("a mapping such as minutes: 5", lambda value: isinstance(value, Mapping) and _amount_of(value) >= 0)
period_or_template = either(_TIME, period, template_only, _unit_templates)


def _is_time_of_day(value: Any) -> bool:
    hour, minute, *more = str(value).split(":")
    time(int(hour), int(minute), int(more[0]) if more else 0)
    return True


time_of_day = where("a time such as 07:30:00", _is_time_of_day)


def time_pattern(most: int) -> Check:
    """One of the fields of a time pattern, such as minutes up to 59."""

    def accepts(value: Any) -> bool:
        if isinstance(value, str) and value.startswith("/"):
            return 1 <= int(value[1:]) <= most
        return value == "*" or 0 <= int(value) <= most

    return where(f"*, /5 or a number from 0 to {most}", accepts)


# -- Entities ----------------------------------------------------------------------------------------------------------


def _each_id(accepts: Callable[[str], bool], at_most: int | None = None, expected: str = "") -> Check:
    """Entity ids: one, several with commas between them, or a list."""
    expected = expected or "an entity id such as light.hall"

    def checked(value: Any) -> None:
        ids = [part.strip() for part in value.split(",")] if isinstance(value, str) else value
        if not isinstance(ids, list | Mapping):
            raise RefusedError(f"{shown(value)} is not {expected}")
        for index, item in enumerate(ids):
            if not is_replaced(item) and not (is_scalar(item) and accepts(str(item))):
                raise RefusedError(f"{shown(item)} is not {expected}", () if isinstance(value, str) else (index,))
        if at_most is not None and len(ids) != at_most:
            raise RefusedError(f"{shown(value)} is not one entity id")

    return checked


def _is_entity(value: str) -> bool:
    return is_entity_id(value.lower())


def _is_entity_or_id(value: str) -> bool:
    return _is_entity(value) or _REGISTRY_ID.fullmatch(value) is not None


def of_domain(*domains: str) -> Check:
    """One entity of these domains."""

    def accepts(value: str) -> bool:
        return _is_entity(value) and value.lower().partition(".")[0] in domains

    return _each_id(accepts, at_most=1, expected=f"an entity id of {' or '.join(domains)}")


def as_text(check: Check) -> Check:
    """A text, and what ``check`` takes."""

    def checked(value: Any) -> None:
        text(value)
        check(value)

    return checked


_EXPECTED = "an entity id such as light.hall"
entity = where(_EXPECTED, lambda value: is_scalar(value) and _is_entity(str(value)))
entity_or_id = where(_EXPECTED, lambda value: is_scalar(value) and _is_entity_or_id(str(value)))
entities = _each_id(_is_entity)
entities_or_ids = _each_id(_is_entity_or_id)
exact_entity = where(
    "an entity id such as light.hall, in small letters", lambda value: isinstance(value, str) and is_entity_id(value)
)
all_or_none = choice("all", "none", folded=True)
entities_or_all = either("an entity id such as light.hall, all or none", all_or_none, entities)
target_entities = either(
    "an entity id, a template, all or none", all_or_none, entities_or_ids, template_only, list_only(data)
)
service = either(
    "a service such as light.turn_on",
    where("a service", lambda value: is_scalar(value) and _is_entity(str(value))),
    template_only,
)
threshold = either("a number or an entity id", number, as_text(of_domain("input_number", "number", "sensor", "zone")))
