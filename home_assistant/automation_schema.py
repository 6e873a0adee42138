"""Home Assistant's rules for an automation, strict on keys: an unknown key is an error.

The rules are those of Home Assistant 2026.11.0: ``homeassistant.helpers.config_validation``, the ``trigger.py`` and
``condition.py`` of its integrations, and ``homeassistant.components.automation.config``. Its older keys are accepted as
there, ``platform:`` and ``service:`` beside ``trigger:`` and ``action:``.

Home Assistant checks more than this module can or does:

- What only a running instance knows is not checked: whether a service, an entity, a blueprint or a trigger of an
  integration exists, and which options and fields it takes.
- A ``!secret``, ``!input`` or ``!include`` may stand for any value.
- Some ranges and choices are not checked: negative durations, ``hours: 24``, ``qos: 3``, ``above`` over ``below``,
  ``to`` beside ``not_to``.
- A few spellings that Home Assistant accepts are refused: durations such as ``0:5:0``, ``note``, the ``exclude`` of a
  target, ``All`` for ``all``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple

import jinja2
import voluptuous as vol

from home_assistant.automation_yaml import AutomationError, TaggedScalar
from home_assistant.entity_id import is_entity_id, normalized_entity_id
from home_assistant.templates import PARSER, has_template

Check = Callable[[Any], Any]

_REGISTRY_ID = re.compile(r"[0-9a-f]{32}")  # of an entity's entry in the registry; it may stand for the entity id
_DOTTED_NAME = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_SLUG = re.compile(r"[a-z0-9_]+")
_TIME_OF_DAY_TEXT = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?")
_DURATION_TEXT = re.compile(r"[+-]?[0-9]+:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?|[+-]?[0-9]+(\.[0-9]+)?")
_TIME_PATTERN_TEXT = re.compile(r"\*|/?[0-9]+")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MODES = ("single", "restart", "queued", "parallel")
_LEVELS = ("silent", "critical", "fatal", "error", "warning", "warn", "info", "debug", "notset")
_BOOLEANS = ("1", "true", "yes", "on", "enable", "0", "false", "no", "off", "disable")
MAX_DATA_DEPTH = 30  # of lists and mappings inside the data of one action, condition or trigger
MAX_MESSAGE_LENGTH = 200


def check_automation(automation: Any) -> None:
    """Raises AutomationError with the first key or value that Home Assistant would refuse, and where it is."""
    try:
        _automation(automation)
    except vol.Invalid as error:
        first = error.errors[0] if isinstance(error, vol.MultipleInvalid) else error
        where = ".".join(str(part) for part in first.path) or "the automation"
        raise AutomationError(ascii(f"{where}: {first.msg}")[1:-1][:MAX_MESSAGE_LENGTH]) from error
    except RecursionError as error:
        raise AutomationError("the automation: nested too deep") from error


# -- Values ------------------------------------------------------------------------------------------------------------


def _or_tag(check: Check) -> Check:
    """A tag stands for a value that is not known here."""

    def checked(value: Any) -> Any:
        return value if isinstance(value, TaggedScalar) else check(value)

    return checked


def _value(expected: str, accepts: Callable[[Any], bool]) -> Check:
    """A check that says what was expected."""

    def check(value: Any) -> Any:
        if not isinstance(value, TaggedScalar) and not accepts(value):
            raise vol.Invalid(f"{value!r:.40} is not {expected}")
        return value

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_template(value: Any) -> bool:
    """Whether it is a text with template marks in it, and they are sound."""
    if not isinstance(value, str) or not has_template(value):
        return False
    try:
        PARSER.parse(value)
    except jinja2.TemplateError as error:
        raise vol.Invalid(f"template: {error.message}") from error
    return True


def _is_text(value: Any) -> bool:
    """Whether it is a text; a template in it has to be sound."""
    _is_template(value)
    return isinstance(value, str)


def _matches(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _either(expected: str, *accepts: Callable[[Any], bool]) -> Check:
    return _value(expected, lambda value: any(accept(value) for accept in accepts))


def _list_of(check: Check) -> Check:
    """One, or a list of them."""

    def checked(value: Any) -> Any:
        items = value if isinstance(value, list) else [value]
        for index, item in enumerate(items):
            try:
                check(item)
            except vol.Invalid as error:
                error.prepend([index])
                raise
        return value

    return _or_tag(checked)


def _names_entity(value: Any) -> bool:
    return isinstance(value, str) and (is_entity_id(value) or _REGISTRY_ID.fullmatch(value) is not None)


def _names_entities(value: Any) -> bool:
    """One entity, or several with commas between them."""
    return isinstance(value, str) and all(_names_entity(normalized_entity_id(part)) for part in value.split(","))


def _is_duration(value: Any) -> bool:
    """Seconds, HH:MM:SS or a mapping of units, each of them maybe a template."""
    if isinstance(value, Mapping):
        units = {"days", "hours", "minutes", "seconds", "milliseconds"}
        amounts = value.values()
        return bool(value) and set(value) <= units and all(_is_amount(amount) for amount in amounts)
    return _is_number(value) or _matches(_DURATION_TEXT)(value) or _is_template(value)


def _is_amount(value: Any) -> bool:
    return (
        _is_number(value) or isinstance(value, TaggedScalar) or _matches(_DURATION_TEXT)(value) or _is_template(value)
    )


def _data(value: Any, depth: int = 0) -> Any:
    """Anything, with sound templates in it."""
    if depth > MAX_DATA_DEPTH:
        raise vol.Invalid("nested too deep")
    items = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        try:
            _data(item, depth + 1)
        except vol.Invalid as error:
            error.prepend([key])
            raise
    _is_template(value)
    return value


_text = _value("a text", lambda value: _is_text(value) or _is_number(value))
_state = _value('a state (a text: on and off need quotes, as in "on")', _is_text)
_states = _list_of(_state)
_boolean = _either("true or false", lambda v: isinstance(v, bool), _matches(re.compile("|".join(_BOOLEANS), re.I)))
_enabled = vol.Any(_boolean, _either("true, false or a template", _is_template))
_entity_id = _value("an entity id such as light.hall", lambda value: _names_entity(str(value).lower()))
_entity_ids = _list_of(_value("an entity id such as light.hall", _names_entities))
_target_entities = _list_of(
    _either(
        "an entity id, a template, all or none",
        _names_entities,
        _is_template,
        lambda value: value in ("all", "none", "ALL", "NONE"),
    )
)
_ids_or_template = _list_of(_either("an id or a template", _is_text))
_template = _value("a template or a text", _is_text)
_duration = _either("a time such as 00:05:00, seconds, or minutes: 5", _is_duration)
_threshold = _either(
    "a number or an entity id", _is_number, _matches(re.compile(r"-?[0-9]+(\.[0-9]+)?")), _names_entity
)
_time_of_day = _either("a time such as 07:30:00 or an entity id", _matches(_TIME_OF_DAY_TEXT), _names_entity)
_time_of_trigger = _either(
    "a time such as 07:30:00, an entity id or a template", _matches(_TIME_OF_DAY_TEXT), _names_entity, _is_template
)
_time_pattern = _either(
    "a number, * or /5",
    lambda value: isinstance(value, int) and not isinstance(value, bool),
    _matches(_TIME_PATTERN_TEXT),
)
_weekdays = _list_of(_either("a day such as mon", lambda value: value in _WEEKDAYS))
_slug = _either("a name such as my_name", _matches(_SLUG))
_texts = _list_of(_text)
_sunrise_or_sunset = _either("sunrise or sunset", lambda value: value in ("sunrise", "sunset"))
_enter_or_leave = _either("enter or leave", lambda value: value in ("enter", "leave"))


def _variables(value: Any) -> Any:
    if isinstance(value, TaggedScalar):
        return value
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a mapping of variables")
    for key in value:
        if not isinstance(key, str) or not key.isidentifier():
            raise vol.Invalid(f"{key!r:.40} is not a variable's name")
    return _data(value)


def _mapping(value: Any) -> Any:
    if not isinstance(value, Mapping | TaggedScalar) and not _is_template(value):
        raise vol.Invalid("expected a mapping")
    return _data(value)


# -- Triggers ----------------------------------------------------------------------------------------------------------

_SHARED_KEYS: dict[Any, Any] = {"alias": _text, "enabled": _enabled}


def _schema(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, **more: Any) -> vol.Schema:
    keys: dict[Any, Any] = {vol.Required(key): check for key, check in required.items()}
    keys |= {vol.Optional(key): check for key, check in {**(optional or {}), **_SHARED_KEYS}.items()}
    return vol.Schema(keys, **more)


def _any_of(names: tuple[str, ...], schema: vol.Schema) -> Check:
    def check(value: Mapping[Any, Any]) -> Any:
        if not any(name in value for name in names):
            raise vol.Invalid(f"needs {' or '.join(names)}")
        return schema(value)

    return check


_DEVICE = {"device_id": _text, "domain": _text, "type": _text}


class _Keys(NamedTuple):
    """The keys of one kind of trigger; of ``one_of`` there has to be at least one."""

    required: Mapping[str, Check]
    optional: Mapping[str, Check] = MappingProxyType({})
    one_of: tuple[str, ...] = ()


_STATES = ("to", "from", "not_to", "not_from")
_TRIGGERS = {
    "calendar": _Keys({"entity_id": _entity_ids}, {"event": _text, "offset": _duration}),
    "conversation": _Keys({"command": _list_of(_text)}),
    "event": _Keys({"event_type": _list_of(_text)}, {"event_data": _mapping, "context": _mapping}),
    "geo_location": _Keys({"source": _text, "zone": _entity_id}, {"event": _enter_or_leave}),
    "homeassistant": _Keys({"event": _either("start or shutdown", lambda value: value in ("start", "shutdown"))}),
    "mqtt": _Keys(
        {"topic": _text}, {"payload": _text, "value_template": _template, "encoding": _text, "qos": _is_number}
    ),
    "numeric_state": _Keys(
        {"entity_id": _entity_ids},
        {"above": _threshold, "below": _threshold, "attribute": _text, "value_template": _template, "for": _duration},
        one_of=("above", "below"),
    ),
    "persistent_notification": _Keys({}, {"update_type": _texts, "notification_id": _text}),
    "state": _Keys({"entity_id": _entity_ids}, {**dict.fromkeys(_STATES, vol.Any(None, _states)), "for": _duration}),
    "sun": _Keys({"event": _sunrise_or_sunset}, {"offset": _duration}),
    "tag": _Keys({"tag_id": _list_of(_text)}, {"device_id": _list_of(_text)}),
    "template": _Keys({"value_template": _template}, {"for": _duration}),
    "time": _Keys(
        {"at": _list_of(vol.Any(_time_of_trigger, _schema({"entity_id": _entity_id}, {"offset": _duration})))},
        {"weekday": _weekdays},
    ),
    "time_pattern": _Keys(
        {}, dict.fromkeys(("hours", "minutes", "seconds"), _time_pattern), one_of=("hours", "minutes", "seconds")
    ),
    "webhook": _Keys({"webhook_id": _text}, {"allowed_methods": _list_of(_text), "local_only": _boolean}),
    "zone": _Keys({"entity_id": _entity_ids, "zone": _entity_ids}, {"event": _enter_or_leave}),
}
# The states of an attribute may be numbers and booleans, those of an entity are texts.
_STATE_OF_ATTRIBUTE = _Keys(
    {"entity_id": _entity_ids, "attribute": _text}, {**dict.fromkeys(_STATES, _list_of(_data)), "for": _duration}
)
_INTEGRATION_KEYS = {
    "entity_id": _target_entities,
    "device_id": _ids_or_template,
    "target": _mapping,
    "options": _mapping,
    "for": _duration,
}


@cache
def _trigger_schema(kind: str, of_attribute: bool) -> Check:
    shared: dict[str, Check] = {"id": _text, "variables": _variables, "trigger": _text, "platform": _text}
    if kind == "device":
        return _schema(_DEVICE, shared, extra=vol.ALLOW_EXTRA)
    keys = _STATE_OF_ATTRIBUTE if kind == "state" and of_attribute else _TRIGGERS.get(kind)
    if keys is not None:
        schema = _schema(keys.required, {**keys.optional, **shared})
        return _any_of(keys.one_of, schema) if keys.one_of else schema
    if _DOTTED_NAME.fullmatch(kind):
        return _schema({}, {**_INTEGRATION_KEYS, **shared})
    raise vol.Invalid(f"{kind!r:.40} is no kind of trigger")


def _trigger(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a trigger (a mapping)")
    if "triggers" in value:
        return _schema({"triggers": _list_of(_trigger)})(value)
    kind = _value_of_one(value, "trigger", "platform")
    if not isinstance(kind, str):
        raise vol.Invalid("needs trigger: and its kind")
    options = value.get("options")
    if kind in _TRIGGERS and isinstance(options, Mapping):  # where newer versions put a trigger's own keys
        value = {**{key: item for key, item in value.items() if key != "options"}, **options}
    return _trigger_schema(kind, "attribute" in value)(value)


def _value_of_one(value: Mapping[Any, Any], *names: str) -> Any:
    given = [name for name in names if name in value]
    if len(given) > 1:
        raise vol.Invalid(f"{' and '.join(given)} say the same; expected one of them")
    return value[given[0]] if given else None


# -- Conditions --------------------------------------------------------------------------------------------------------


def _condition(value: Any) -> Any:
    if isinstance(value, TaggedScalar):
        return value
    if isinstance(value, str):
        if not _is_template(value):
            raise vol.Invalid(f"{value!r:.40} is no template")
        return value
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a condition (a mapping or a template)")
    kind = value.get("condition")
    if kind is None:
        for name in ("and", "or", "not"):
            if name in value:
                return _schema({name: _conditions})(value)
        raise vol.Invalid("needs condition: and its kind")
    if not isinstance(kind, str):
        raise vol.Invalid(f"{kind!r:.40} is no kind of condition")
    return _condition_schema(kind if not _is_template(kind) else "")(value)


@cache
def _condition_schema(kind: str) -> Check:
    own: dict[str, Check] = {"condition": _text}
    if kind in ("and", "or", "not"):
        return _schema({"conditions": _conditions}, own)
    if kind == "":  # a template in the place of the kind
        return _schema({}, own)
    if kind == "state":
        state = {"entity_id": _entity_ids}
        more = {"attribute": _text, "for": _duration, "match": _either("all or any", lambda v: v in ("all", "any"))}
        plain = _schema({**state, "state": _states}, {**own, **more})
        free = _schema({**state, "state": _list_of(_data)}, {**own, **more})
        return lambda value: (free if "attribute" in value else plain)(value)
    if kind == "numeric_state":
        more = {"above": _threshold, "below": _threshold, "attribute": _text, "value_template": _template}
        return _any_of(("above", "below"), _schema({"entity_id": _entity_ids}, {**own, **more}))
    if kind == "sun":
        more = {
            "before": _sunrise_or_sunset,
            "after": _sunrise_or_sunset,
            "before_offset": _duration,
            "after_offset": _duration,
        }
        return _any_of(("before", "after"), _schema({}, {**own, **more}))
    if kind == "time":
        more = {"before": _time_of_day, "after": _time_of_day, "weekday": _weekdays}
        return _any_of(("before", "after", "weekday"), _schema({}, {**own, **more}))
    if kind == "template":
        return _schema({"value_template": _template}, own)
    if kind == "trigger":
        return _schema({"id": _texts}, own)
    if kind == "zone":
        return _schema({"entity_id": _entity_ids, "zone": _entity_ids}, own)
    if kind == "device":
        return _schema(_DEVICE, own, extra=vol.ALLOW_EXTRA)
    if _DOTTED_NAME.fullmatch(kind):
        return _schema({}, {**own, **_INTEGRATION_KEYS})
    raise vol.Invalid(f"{kind!r:.40} is no kind of condition")


_conditions = _list_of(_condition)

# -- Actions -----------------------------------------------------------------------------------------------------------


def _action(value: Any) -> Any:
    if isinstance(value, str):
        return _condition(value)
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected an action (a mapping)")
    for key, schema in _action_schemas().items():
        if key in value:
            return schema(value)
    raise vol.Invalid(f"{', '.join(map(str, value))!r:.60} is no action")


_actions = _list_of(_action)


def _repeat(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a mapping with count, while, until or for_each")
    count = _either("a number or a template", _is_number, _is_text)
    more = {"count": count, "while": _conditions, "until": _conditions, "for_each": _data}
    keys: dict[Any, Any] = {vol.Required("sequence"): _actions}
    keys |= {
        vol.Exclusive(key, "repeat", msg="only one of count, while, until and for_each"): more[key] for key in more
    }
    return _any_of(tuple(more), vol.Schema(keys))(value)


def _choice(value: Any) -> Any:
    keys = {vol.Required("conditions"): _conditions, vol.Required("sequence"): _actions, vol.Optional("alias"): _text}
    return vol.Schema(keys)(value)


@cache
def _action_schemas() -> dict[str, Check]:
    """By the key that makes an action what it is; the first that is there counts."""
    shared: dict[str, Check] = {"continue_on_error": _boolean, "id": _text}
    waiting: dict[str, Check] = {"timeout": _duration, "continue_on_timeout": _boolean}
    target = _or_tag(_target)
    call: dict[str, Check] = {
        "data": _mapping, "data_template": _mapping, "target": target, "entity_id": _target_entities,
        "response_variable": _slug, "metadata": _mapping,
    }  # fmt: skip
    service = _either("a service such as light.turn_on", _matches(_DOTTED_NAME), _is_template)
    spellings = ("action", "service", "service_template")

    def schema(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, **more: Any) -> Check:
        return _schema(required, {**(optional or {}), **shared}, **more)

    def called(value: Mapping[Any, Any]) -> Any:
        _value_of_one(value, *spellings)
        return schema({}, {**dict.fromkeys(spellings, service), **call})(value)

    return {
        **dict.fromkeys(spellings, called),
        "delay": schema({"delay": _duration}),
        "wait_template": schema({"wait_template": _template}, waiting),
        "wait_for_trigger": schema({"wait_for_trigger": _list_of(_trigger)}, waiting),
        "condition": lambda value: _condition({key: item for key, item in value.items() if key != "continue_on_error"}),
        **dict.fromkeys(("and", "or", "not"), _condition),
        "choose": schema({"choose": _list_of(_choice)}, {"default": _actions}),
        "if": schema({"if": _conditions, "then": _actions}, {"else": _actions}),
        "repeat": schema({"repeat": _repeat}),
        "parallel": schema({"parallel": _actions}),
        "sequence": schema({"sequence": _actions}, {"metadata": _mapping}),
        "event": schema({"event": _text}, {"event_data": _mapping, "event_data_template": _mapping}),
        "scene": schema({"scene": _entity_id}, {"metadata": _mapping}),
        "stop": schema({"stop": vol.Any(None, _text)}, {"error": _boolean, "response_variable": _slug}),
        "variables": schema({"variables": _variables}),
        "set_conversation_response": schema({"set_conversation_response": vol.Any(None, _template)}),
        "device_id": schema({"device_id": _text, "domain": _text}, extra=vol.ALLOW_EXTRA),
    }


def _target(value: Any) -> Any:
    if _is_template(value):
        return value
    others = dict.fromkeys(("device_id", "area_id", "floor_id", "label_id"), _ids_or_template)
    return vol.Schema({vol.Optional(key): check for key, check in {"entity_id": _target_entities, **others}.items()})(
        value
    )


# -- The automation ----------------------------------------------------------------------------------------------------

_SETTINGS: dict[str, Check] = {
    "id": _text, "alias": _text, "description": vol.Any(None, _text),
    "variables": _variables, "trigger_variables": _variables, "initial_state": _boolean, "hide_entity": _boolean,
    "mode": _either(", ".join(_MODES), lambda value: value in _MODES),
    "max": _either("a whole number from 2 up", lambda v: isinstance(v, int) and not isinstance(v, bool) and v > 1),
    "max_exceeded": _either("a log level or silent", lambda v: isinstance(v, str) and v.lower() in _LEVELS),
    "trace": vol.Schema({vol.Optional("stored_traces"): vol.All(int, vol.Range(0))}),
}  # fmt: skip
_PARTS: dict[str, Check] = {
    **dict.fromkeys(("triggers", "trigger"), _list_of(_trigger)),
    **dict.fromkeys(("conditions", "condition"), vol.Any(None, _conditions)),
    **dict.fromkeys(("actions", "action"), _actions),
}
_AUTOMATION = vol.Schema({vol.Optional(key): check for key, check in {**_SETTINGS, **_PARTS}.items()})
_FROM_BLUEPRINT = vol.Schema({vol.Optional(key): check for key, check in _SETTINGS.items()}).extend(
    {vol.Required("use_blueprint"): {vol.Required("path"): _text, vol.Optional("input"): _mapping}}
)


def _automation(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a mapping")
    if "use_blueprint" in value:
        return _FROM_BLUEPRINT(value)
    for spellings, required in ((("triggers", "trigger"), True), (("conditions", "condition"), False),
                                (("actions", "action"), True)):  # fmt: skip
        _value_of_one(value, *spellings)
        if required and not any(name in value for name in spellings):
            raise vol.Invalid(f"needs {spellings[0]}")
    return _AUTOMATION(value)
