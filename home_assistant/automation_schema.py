"""Home Assistant's rules for an automation, strict on keys: what its editor would refuse is refused here.

Both spellings are accepted, ``platform:``/``service:`` and ``trigger:``/``action:``. What only a running Home Assistant
knows (whether a service or an entity exists, which fields a service takes) is not asked. A ``!secret``, ``!input`` or
``!include`` may stand for any value.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import jinja2
import voluptuous as vol

from home_assistant.automation_yaml import AutomationError, Tagged

Check = Callable[[Any], Any]

_ENTITY_ID = re.compile(r"(?!.+__)(?!_)[a-z0-9_]+(?<!_)\.(?!_)[a-z0-9_]+(?<!_)|[0-9a-f]{32}")
_DOTTED = re.compile(r"[a-z0-9_]+\.[a-z0-9_]+")
_SLUG = re.compile(r"[a-z0-9_]+")
_CLOCK = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?")
_PERIOD = re.compile(r"[+-]?[0-9]+:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?|[+-]?[0-9]+(\.[0-9]+)?")
_PATTERN = re.compile(r"\*|/?[0-9]+")
_MARKS = ("{{", "{%", "{#")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MODES = ("single", "restart", "queued", "parallel")
_LEVELS = ("silent", "critical", "fatal", "error", "warning", "warn", "info", "debug", "notset")
_BOOLEANS = ("1", "true", "yes", "on", "enable", "0", "false", "no", "off", "disable")
MAX_DEPTH = 30
MAX_MESSAGE = 200
_jinja = jinja2.Environment(  # noqa: S701 - it parses and never renders
    extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]
)


def check_automation(automation: Any) -> None:
    """Raises AutomationError with the first key or value that Home Assistant would refuse, and where it is."""
    try:
        _automation(automation)
    except vol.Invalid as error:
        first = error.errors[0] if isinstance(error, vol.MultipleInvalid) else error
        where = ".".join(str(part) for part in first.path) or "the automation"
        raise AutomationError(ascii(f"{where}: {first.msg}")[1:-1][:MAX_MESSAGE]) from error
    except RecursionError as error:
        raise AutomationError("the automation: nested too deep") from error


# -- Values ------------------------------------------------------------------------------------------------------------


def _or_tagged(check: Check) -> Check:
    """A tag stands for a value that is not known here."""

    def checked(value: Any) -> Any:
        return value if isinstance(value, Tagged) else check(value)

    return checked


def _value(expected: str, accepts: Callable[[Any], bool]) -> Check:
    """A check that says what was expected."""

    def check(value: Any) -> Any:
        if not isinstance(value, Tagged) and not accepts(value):
            raise vol.Invalid(f"{value!r:.40} is not {expected}")
        return value

    return check


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_template(value: Any) -> bool:
    """Whether it is a text with template marks in it, and they are sound."""
    if not isinstance(value, str) or not any(mark in value for mark in _MARKS):
        return False
    try:
        _jinja.parse(value)
    except jinja2.TemplateError as error:
        raise vol.Invalid(f"template: {error.message}") from error
    return True


def _is_plain(value: Any) -> bool:
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

    return _or_tagged(checked)


def _is_entity_ids(value: Any) -> bool:
    """One entity id, or several with commas."""
    return isinstance(value, str) and all(_ENTITY_ID.fullmatch(part.strip().lower()) for part in value.split(","))


def _period(value: Any) -> bool:
    """Seconds, HH:MM:SS or a mapping of units, each of them maybe a template."""
    if isinstance(value, Mapping):
        units = {"days", "hours", "minutes", "seconds", "milliseconds"}
        amounts = value.values()
        return bool(value) and set(value) <= units and all(_is_amount(amount) for amount in amounts)
    return _is_number(value) or _matches(_PERIOD)(value) or _is_template(value)


def _is_amount(value: Any) -> bool:
    return _is_number(value) or isinstance(value, Tagged) or _matches(_PERIOD)(value) or _is_template(value)


def _data(value: Any, depth: int = 0) -> Any:
    """Anything, with sound templates in it."""
    if depth > MAX_DEPTH:
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


_text = _value("a text", lambda value: _is_plain(value) or _is_number(value))
_state = _value('a state (a text: on and off need quotes, as in "on")', _is_plain)
_states = _list_of(_state)
_boolean = _either("true or false", lambda v: isinstance(v, bool), _matches(re.compile("|".join(_BOOLEANS), re.I)))
_enabled = vol.Any(_boolean, _either("true, false or a template", _is_template))
_entity = _value("an entity id such as light.hall", lambda value: _matches(_ENTITY_ID)(str(value).lower()))
_entities = _list_of(_value("an entity id such as light.hall", _is_entity_ids))
_called = _list_of(_either("an entity id, a template, all or none", _is_entity_ids, _is_template,
                           lambda value: value in ("all", "none", "ALL", "NONE")))  # fmt: skip
_named = _list_of(_either("an id or a template", _is_plain))
_template = _value("a template or a text", _is_plain)
_lasting = _either("a time such as 00:05:00, seconds, or minutes: 5", _period)
_bound = _either("a number or an entity id", _is_number, _matches(re.compile(r"-?[0-9]+(\.[0-9]+)?")),
                 _matches(_ENTITY_ID))  # fmt: skip
_clock = _either("a time such as 07:30:00 or an entity id", _matches(_CLOCK), _matches(_ENTITY_ID))
_at = _either(
    "a time such as 07:30:00, an entity id or a template", _matches(_CLOCK), _matches(_ENTITY_ID), _is_template
)
_pattern = _either("a number, * or /5", lambda value: isinstance(value, int) and not isinstance(value, bool),
                   _matches(_PATTERN))  # fmt: skip
_weekdays = _list_of(_either("a day such as mon", lambda value: value in _WEEKDAYS))
_slug = _either("a name such as my_name", _matches(_SLUG))
_ids = _list_of(_text)
_sun = _either("sunrise or sunset", lambda value: value in ("sunrise", "sunset"))
_passing = _either("enter or leave", lambda value: value in ("enter", "leave"))


def _variables(value: Any) -> Any:
    if isinstance(value, Tagged):
        return value
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a mapping of variables")
    for key in value:
        if not isinstance(key, str) or not key.isidentifier():
            raise vol.Invalid(f"{key!r:.40} is not a variable's name")
    return _data(value)


def _mapping(value: Any) -> Any:
    if not isinstance(value, Mapping | Tagged) and not _is_template(value):
        raise vol.Invalid("expected a mapping")
    return _data(value)


# -- Triggers ----------------------------------------------------------------------------------------------------------

_BASE: dict[Any, Any] = {"alias": _text, "enabled": _enabled}


def _schema(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, **more: Any) -> vol.Schema:
    keys: dict[Any, Any] = {vol.Required(key): check for key, check in required.items()}
    keys |= {vol.Optional(key): check for key, check in {**(optional or {}), **_BASE}.items()}
    return vol.Schema(keys, **more)


def _any_of(names: tuple[str, ...], schema: vol.Schema) -> Check:
    def check(value: Mapping[Any, Any]) -> Any:
        if not any(name in value for name in names):
            raise vol.Invalid(f"needs {' or '.join(names)}")
        return schema(value)

    return check


_DEVICE = {"device_id": _text, "domain": _text, "type": _text}
_TRIGGERS: dict[str, tuple[dict[str, Check], dict[str, Check], tuple[str, ...]]] = {
    # Kind: required keys, optional keys, keys of which there must be one.
    "calendar": ({"entity_id": _entities}, {"event": _text, "offset": _lasting}, ()),
    "conversation": ({"command": _list_of(_text)}, {}, ()),
    "event": ({"event_type": _list_of(_text)}, {"event_data": _mapping, "context": _mapping}, ()),
    "geo_location": ({"source": _text, "zone": _entity}, {"event": _passing}, ()),
    "homeassistant": ({"event": _either("start or shutdown", lambda value: value in ("start", "shutdown"))}, {}, ()),
    "mqtt": (
        {"topic": _text},
        {"payload": _text, "value_template": _template, "encoding": _text, "qos": _is_number},
        (),
    ),
    "numeric_state": (
        {"entity_id": _entities},
        {"above": _bound, "below": _bound, "attribute": _text, "value_template": _template, "for": _lasting},
        ("above", "below"),
    ),
    "persistent_notification": ({}, {"update_type": _ids, "notification_id": _text}, ()),
    "state": (
        {"entity_id": _entities},
        {**dict.fromkeys(("to", "from", "not_to", "not_from"), vol.Any(None, _states)), "for": _lasting},
        (),
    ),
    "sun": ({"event": _sun}, {"offset": _lasting}, ()),
    "tag": ({"tag_id": _list_of(_text)}, {"device_id": _list_of(_text)}, ()),
    "template": ({"value_template": _template}, {"for": _lasting}, ()),
    "time": (
        {"at": _list_of(vol.Any(_at, _schema({"entity_id": _entity}, {"offset": _lasting})))},
        {"weekday": _weekdays},
        (),
    ),
    "time_pattern": ({}, dict.fromkeys(("hours", "minutes", "seconds"), _pattern), ("hours", "minutes", "seconds")),
    "webhook": ({"webhook_id": _text}, {"allowed_methods": _list_of(_text), "local_only": _boolean}, ()),
    "zone": ({"entity_id": _entities, "zone": _entities}, {"event": _passing}, ()),
}  # fmt: skip
# The states of an attribute may be numbers and booleans, those of an entity are texts.
_TRIGGERS["state of an attribute"] = (
    {"entity_id": _entities, "attribute": _text},
    {**dict.fromkeys(("to", "from", "not_to", "not_from"), _list_of(_data)), "for": _lasting},
    (),
)
_OF_AN_INTEGRATION = {
    "entity_id": _called, "device_id": _named, "target": _mapping, "options": _mapping, "for": _lasting
}  # fmt: skip


@cache
def _trigger_schema(kind: str) -> Check:
    shared: dict[str, Check] = {"id": _text, "variables": _variables, "trigger": _text, "platform": _text}
    if kind == "device":
        return _schema(_DEVICE, shared, extra=vol.ALLOW_EXTRA)
    if kind in _TRIGGERS:
        required, optional, one_of = _TRIGGERS[kind]
        schema = _schema(required, {**optional, **shared})
        return _any_of(one_of, schema) if one_of else schema
    if _DOTTED.fullmatch(kind):
        return _schema({}, {**_OF_AN_INTEGRATION, **shared})
    raise vol.Invalid(f"{kind!r:.40} is no kind of trigger")


def _trigger(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a trigger (a mapping)")
    if "triggers" in value:
        return _schema({"triggers": _list_of(_trigger)})(value)
    kind = _one_key(value, "trigger", "platform")
    if not isinstance(kind, str):
        raise vol.Invalid("needs trigger: and its kind")
    options = value.get("options")
    if kind in _TRIGGERS and isinstance(options, Mapping):  # where newer versions put a trigger's own keys
        value = {**{key: item for key, item in value.items() if key != "options"}, **options}
    return _trigger_schema("state of an attribute" if kind == "state" and "attribute" in value else kind)(value)


def _one_key(value: Mapping[Any, Any], *names: str) -> Any:
    given = [name for name in names if name in value]
    if len(given) > 1:
        raise vol.Invalid(f"{' and '.join(given)} say the same; expected one of them")
    return value[given[0]] if given else None


# -- Conditions --------------------------------------------------------------------------------------------------------


def _condition(value: Any) -> Any:
    if isinstance(value, Tagged):
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
        state = {"entity_id": _entities}
        more = {"attribute": _text, "for": _lasting, "match": _either("all or any", lambda v: v in ("all", "any"))}
        plain = _schema({**state, "state": _states}, {**own, **more})
        free = _schema({**state, "state": _list_of(_data)}, {**own, **more})
        return lambda value: (free if "attribute" in value else plain)(value)
    if kind == "numeric_state":
        more = {"above": _bound, "below": _bound, "attribute": _text, "value_template": _template}
        return _any_of(("above", "below"), _schema({"entity_id": _entities}, {**own, **more}))
    if kind == "sun":
        more = {"before": _sun, "after": _sun, "before_offset": _lasting, "after_offset": _lasting}
        return _any_of(("before", "after"), _schema({}, {**own, **more}))
    if kind == "time":
        more = {"before": _clock, "after": _clock, "weekday": _weekdays}
        return _any_of(("before", "after", "weekday"), _schema({}, {**own, **more}))
    if kind == "template":
        return _schema({"value_template": _template}, own)
    if kind == "trigger":
        return _schema({"id": _ids}, own)
    if kind == "zone":
        return _schema({"entity_id": _entities, "zone": _entities}, own)
    if kind == "device":
        return _schema(_DEVICE, own, extra=vol.ALLOW_EXTRA)
    if _DOTTED.fullmatch(kind):
        return _schema({}, {**own, **_OF_AN_INTEGRATION})
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
    count = _either("a number or a template", _is_number, _is_plain)
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
    waiting: dict[str, Check] = {"timeout": _lasting, "continue_on_timeout": _boolean}
    target = _or_tagged(_target)
    call: dict[str, Check] = {
        "data": _mapping, "data_template": _mapping, "target": target, "entity_id": _called,
        "response_variable": _slug, "metadata": _mapping,
    }  # fmt: skip
    service = _either("a service such as light.turn_on", _matches(_DOTTED), _is_template)
    spellings = ("action", "service", "service_template")

    def schema(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None, **more: Any) -> Check:
        return _schema(required, {**(optional or {}), **shared}, **more)

    def called(value: Mapping[Any, Any]) -> Any:
        _one_key(value, *spellings)
        return schema({}, {**dict.fromkeys(spellings, service), **call})(value)

    return {
        **dict.fromkeys(spellings, called),
        "delay": schema({"delay": _lasting}),
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
        "scene": schema({"scene": _entity}, {"metadata": _mapping}),
        "stop": schema({"stop": vol.Any(None, _text)}, {"error": _boolean, "response_variable": _slug}),
        "variables": schema({"variables": _variables}),
        "set_conversation_response": schema({"set_conversation_response": vol.Any(None, _template)}),
        "device_id": schema({"device_id": _text, "domain": _text}, extra=vol.ALLOW_EXTRA),
    }


def _target(value: Any) -> Any:
    if _is_template(value):
        return value
    others = dict.fromkeys(("device_id", "area_id", "floor_id", "label_id"), _named)
    return vol.Schema({vol.Optional(key): check for key, check in {"entity_id": _called, **others}.items()})(value)


# -- The automation ----------------------------------------------------------------------------------------------------

_ABOUT: dict[str, Check] = {
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
_AUTOMATION = vol.Schema({vol.Optional(key): check for key, check in {**_ABOUT, **_PARTS}.items()})
_FROM_BLUEPRINT = vol.Schema({vol.Optional(key): check for key, check in _ABOUT.items()}).extend(
    {vol.Required("use_blueprint"): {vol.Required("path"): _text, vol.Optional("input"): _mapping}}
)


def _automation(value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise vol.Invalid("expected a mapping")
    if "use_blueprint" in value:
        return _FROM_BLUEPRINT(value)
    for spellings, required in ((("triggers", "trigger"), True), (("conditions", "condition"), False),
                                (("actions", "action"), True)):  # fmt: skip
        _one_key(value, *spellings)
        if required and not any(name in value for name in spellings):
            raise vol.Invalid(f"needs {spellings[0]}")
    return _AUTOMATION(value)
