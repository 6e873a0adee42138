"""Home Assistant's rules for an automation, strict on keys: an unknown key is an error.

The rules are those of Home Assistant 2026.11.0: ``homeassistant.helpers.config_validation``, the ``trigger.py`` and
``condition.py`` of its integrations, and ``homeassistant.components.automation.config``. What integrations add, such as
the trigger ``light.turned_on``, stands in ``automation_table.json``. Its older keys are accepted as there:
``platform:`` and ``service:`` beside ``trigger:`` and ``action:``. ``benchmarks/automation_schema.py`` compares this
module with the program.

What only a running instance knows is not checked: whether an action, an entity, a device or a blueprint exists, and
which data an action takes. Triggers and conditions of integrations that are not Home Assistant's own are refused, as it
refuses them where they are not installed. A ``!secret`` or ``!include`` may stand for any value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from home_assistant import automation_values as values
from home_assistant.automation_table import automation_table
from home_assistant.automation_values import Check, RefusedError
from home_assistant.automation_yaml import AutomationError
from home_assistant.templates import has_template

MAX_MESSAGE_LENGTH = 200
_MODES = ("single", "restart", "queued", "parallel")
_LEVELS = ("silent", "critical", "fatal", "error", "warning", "warn", "info", "debug", "notset")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def check_automation(automation: Any) -> None:
    """Raises AutomationError with the first key or value that Home Assistant would refuse, and where it is."""
    try:
        _automation(automation)
    except RefusedError as error:
        place = ".".join(str(part) for part in error.path) or "the automation"
        raise AutomationError(ascii(f"{place}: {error.why}")[1:-1][:MAX_MESSAGE_LENGTH]) from error
    except RecursionError as error:
        raise AutomationError("the automation: nested too deep") from error


# -- Keys --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Keys:
    """The keys of one kind of mapping.

    Attributes:
        required: Those that have to be there.
        optional: Those that may.
        one_of: At least one of these has to be there.
        exclusive: Of each group at most one.
        extra: Whether others may be there.
    """

    required: Mapping[str, Check] = field(default_factory=dict)
    optional: Mapping[str, Check] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    extra: bool = False

    def plus(self, *more: Mapping[str, Check]) -> _Keys:
        return replace(self, optional={**self.optional, **{key: keys[key] for keys in more for key in keys}})

    def __call__(self, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise RefusedError("expected a mapping")
        for key, item in value.items():
            check = self.required.get(key) or self.optional.get(key)
            if check is not None:
                try:
                    if not values.is_replaced(item):
                        check(item)
                except RefusedError as error:
                    raise error.under(key) from None
            elif not self.extra:
                raise RefusedError("extra keys not allowed", (key,))
        for key in self.required:
            if key not in value:
                raise RefusedError("required key not provided", (key,))
        if self.one_of and not any(key in value for key in self.one_of):
            raise RefusedError(f"needs {' or '.join(self.one_of)}")
        for group in self.exclusive:
            _only_one(value, *group)


def _only_one(value: Mapping[Any, Any], *names: str) -> None:
    given = [name for name in names if name in value]
    if len(given) > 1:
        raise RefusedError(f"{' and '.join(given)} say the same; expected one of them")


_NOTE = {"note": values.text}
_TRIGGER_BASE = {
    "alias": values.text, "id": values.text, "variables": values.variables, "enabled": values.template,
    "trigger": values.text, "platform": values.text, **_NOTE,
}  # fmt: skip
_CONDITION_BASE = {"alias": values.string, "enabled": values.template, "condition": values.text, **_NOTE}
_ACTION_BASE = {"alias": values.string, "enabled": values.template, "continue_on_error": values.boolean, **_NOTE}
_METADATA = {"metadata": values.plain_mapping}

# -- Targets -----------------------------------------------------------------------------------------------------------

_PLACES = ("device_id", "area_id", "floor_id", "label_id")


def _target(entities: Check, others: Check, excluded_entities: Check) -> Check:
    excluded = _Keys(optional={"entity_id": excluded_entities, **dict.fromkeys(_PLACES, others)})
    keys = _Keys(optional={"entity_id": entities, **dict.fromkeys(_PLACES, others), "exclude": excluded})

    def checked(value: Any) -> None:
        keys(value)
        if "exclude" in value and not any(value.get(key) for key in ("entity_id", *_PLACES)):
            raise RefusedError("an exclude needs something to exclude from")

    return checked


_exact_entities = values.list_of(values.exact_entity)
_exact_target = _target(_exact_entities, values.list_of(values.text), _exact_entities)  # of triggers and conditions
_action_target = values.mapping_or(
    _target(
        values.target_entities,
        values.list_of(values.either("an id or a template", values.text, values.template_only)),
        values.either(
            "an entity id or a template", _exact_entities, values.template_only, values.list_only(values.data)
        ),
    ),
    values.template_only,
)

# -- What integrations add ---------------------------------------------------------------------------------------------

_NAMED_FACTS: dict[str, Check] = {
    "any": values.anything, "bool": values.true_or_false, "boolean": values.boolean, "count": values.whole_from_0,
    "entities": values.entities, "entities or ids": values.entities_or_ids, "entity": values.entity,
    "entity or id": values.entity_or_id, "float": values.number, "int": values.whole, "mapping": values.plain_mapping,
    "offset": values.offset, "period": values.period, "string": values.string, "template": values.template,
    "text": values.text, "units": values.units,
}  # fmt: skip


def _fact(fact: Any) -> Check:
    """The check of a value of which the table says ``fact``."""
    if isinstance(fact, str):
        return _NAMED_FACTS[fact]
    if "keys" in fact:
        return _fact_keys(fact)
    if "list" in fact:
        return values.list_of(_fact(fact["list"]), fact.get("least", 0))
    if "choice" in fact:
        return values.choice(*fact["choice"], folded=fact.get("lower", False))
    if "domain" in fact:
        return values.of_domain(*fact["domain"])
    if "any" in fact:
        return values.either("a value of any form that it may have", *map(_fact, fact["any"]))
    return _threshold(fact["threshold"], fact.get("units"))


def _fact_keys(fact: Mapping[str, Any]) -> _Keys:
    checks = {key: _fact(inner) for key, inner in fact["keys"].items()}
    return _Keys(
        {key[:-1]: check for key, check in checks.items() if key.endswith("!")},
        {key: check for key, check in checks.items() if not key.endswith("!")},
        one_of=tuple(fact.get("one of", ())),
    )


def _threshold(mode: str, unit_names: list[str | None] | None) -> Check:
    """``{type: above, value: {number: 5}}``; how a number is to be met."""
    entry = _Keys(
        optional={
            "active_choice": values.choice("number", "entity"),
            "number": values.number,
            "entity": values.entity,
            "unit_of_measurement": values.either("a unit", values.where("nothing", lambda v: v is None), values.text),
        },
        one_of=("number", "entity"),
    )

    def amount(value: Any) -> None:
        entry(value)
        chosen = value.get("active_choice")
        if chosen is None and "number" in value and "entity" in value:
            raise RefusedError("number and entity need active_choice")
        if chosen is not None and chosen not in value:
            raise RefusedError(f"needs {chosen}")
        measured = unit_names and chosen != "entity" and "number" in value
        if measured and value.get("unit_of_measurement", "") not in (unit_names or ()):
            raise RefusedError(f"needs a unit_of_measurement of {', '.join(map(str, unit_names or ()))}")

    forms = {
        **dict.fromkeys(("above", "below"), _Keys({"type": values.text, "value": amount})),
        **dict.fromkeys(("between", "outside"), _Keys({"type": values.text, "value_min": amount, "value_max": amount})),
        **({"any": _Keys({"type": values.text})} if mode == "changed" else {}),
    }

    def checked(value: Any) -> None:
        kind = value.get("type") if isinstance(value, Mapping) else None
        if not isinstance(kind, str) or kind not in forms:
            raise RefusedError(f"needs type: {', '.join(forms)}")
        forms[kind](value)
        least, most = (value.get(key, {}).get("number") for key in ("value_min", "value_max"))
        if least is not None and most is not None and float(least) > float(most):
            raise RefusedError("value_min is greater than value_max")

    return checked


def _of_integration(facts: Mapping[str, Any], base: Mapping[str, Check]) -> Check:
    """The check of a trigger or condition that an integration defines."""
    options = _fact(facts["options"]) if "options" in facts else None
    own: dict[str, Check] = {} if options is None else {"options": options}
    target: dict[str, Check] = {"target": _exact_target} if "target" in facts else {}
    required = {**(own if "options needed" in facts else {}), **(target if facts.get("target") == "required" else {})}
    keys = _Keys(required, {**own, **target, **base})
    movable = {*options.required, *options.optional} if facts.get("moves") and isinstance(options, _Keys) else set()

    def checked(value: Mapping[Any, Any]) -> None:
        if "options" in value or (not movable and "options needed" in facts) or options is None:
            keys(value)
            return
        moved = {key: item for key, item in value.items() if key in movable}
        beside = {key: item for key, item in value.items() if key not in movable}
        try:
            keys({**beside, "options": moved})
        except RefusedError as error:
            if movable and error.path[:1] == ("options",):  # where its writer looks for it
                raise type(error)(error.why, error.path[1:]) from None
            raise

    return checked


@cache
def _integration_check(what: str, kind: str) -> Check | None:
    """The check of a trigger or condition by its name; None where no integration of Home Assistant defines it."""
    facts = (automation_table().triggers if what == "trigger" else automation_table().conditions).get(kind)
    if facts is None:
        return None
    if "top" in facts:
        keys = _fact_keys(facts["top"]).plus(_TRIGGER_BASE)
        return lambda value: keys(_with_options(value))
    return _of_integration(facts, _TRIGGER_BASE if what == "trigger" else _CONDITION_BASE)


@cache
def _device_check(what: str, domain: str) -> Check:
    """The check of a device trigger, condition or action of an integration."""
    base = {"trigger": _TRIGGER_BASE, "condition": _CONDITION_BASE, "action": _ACTION_BASE}[what]
    ids = {"device_id": values.string if what == "action" else values.text, "domain": values.text}
    known = automation_table().device[what]
    if domain not in known:
        raise RefusedError(f"{values.shown(domain)} has no device {what}s", ("domain",))
    facts = known[domain]
    if facts is None:
        return _Keys(ids, {**base, **_METADATA}, extra=True)
    forms = [
        replace(keys, required={**ids, **keys.required}).plus(base, _METADATA)
        for keys in map(_fact_keys, facts.get("any", [facts]))
    ]

    def checked(value: Mapping[Any, Any]) -> None:
        for form in forms[:-1]:  # each has types of its own
            try:
                form.required.get("type", values.anything)(value.get("type"))
            except RefusedError:
                continue
            form(value)
            return
        forms[-1](value)

    return checked


def _device(what: str) -> Check:
    def checked(value: Mapping[Any, Any]) -> None:
        for key in ("device_id", "domain"):
            if key not in value:
                raise RefusedError("required key not provided", (key,))
        domain = value["domain"]
        if values.is_replaced(domain):
            return
        if not isinstance(domain, str):
            raise RefusedError(f"{values.shown(domain)} is not a text", ("domain",))
        _device_check(what, domain)(value)

    return checked


_DEVICE_TRIGGER, _DEVICE_CONDITION, _DEVICE_ACTION = map(_device, ("trigger", "condition", "action"))

# -- Triggers ----------------------------------------------------------------------------------------------------------

_STATES = ("to", "from", "not_to", "not_from")
_at = values.mapping_or(
    _Keys({"entity_id": values.of_domain("input_datetime", "sensor")}, {"offset": values.offset}),
    values.either(
        "a time such as 07:30:00, an entity id or a template",
        values.time_of_day,
        values.as_text(values.of_domain("input_datetime", "sensor")),
        values.template_only,
    ),
)
_weekdays = values.list_of(values.choice(*_WEEKDAYS))


def _topic(value: Any) -> None:
    values.template(value)
    name = str(value)
    if has_template(name):
        return
    levels = name.split("/")
    if "#" in name and (name.index("#") != len(name) - 1 or levels[-1] != "#"):
        raise RefusedError("# has to be the last level of a topic")
    if any("+" in level and level != "+" for level in levels):
        raise RefusedError("+ has to be a whole level of a topic")
    if (
        not name
        or len(name.encode("utf-8", "surrogatepass")) > 65_535
        or re.search("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef]", name)
    ):
        raise RefusedError("is empty, too long or has control characters")


_PUNCTUATION = "。,，?¿？؟!¡！;；:：’…—–―"  # noqa: RUF001 - of every script
_IN_SENTENCE = re.compile(
    rf"^[.{_PUNCTUATION}]|[.{_PUNCTUATION}]$|(?<=\W)[.{_PUNCTUATION}]+(?=\w)|(?<=\w)[{_PUNCTUATION}]+(?=\W)"
)
_PAIRS = {"(": ")", "[": "]", "{": "}", "<": ">"}


def _sentence(value: Any) -> None:
    """What a voice command is matched with: words, [optional], (one|other), {list} and <rule>."""
    values.string(value)
    sentence = str(value)
    if not sentence.strip():
        raise RefusedError("a sentence is too short")
    if _IN_SENTENCE.search(re.sub(r"(?<!\\)\{[^{}]*\}", "", sentence)):
        raise RefusedError("a sentence has no punctuation")
    _brackets(sentence.strip())


def _brackets(text: str) -> None:
    position = 0
    last, reordered_alternatives = "", False
    while position < len(text):
        opening = text[position]
        if opening in _PAIRS:
            depth, end = 1, position + 1
            while end < len(text):
                depth += (text[end] == opening) - (text[end] == _PAIRS[opening])
                if depth == 0:
                    break
                end += 2 if text[end] == "\\" else 1
            if end >= len(text) or end == position + 1:
                raise RefusedError(f"a sentence has an {opening} that is never closed, or is empty")
            if opening in "([":
                _brackets(text[position + 1 : end])
            position = end
        elif opening in _PAIRS.values():
            raise RefusedError(f"a sentence has an {opening} that was never opened")
        elif opening in "|;" and opening != last:
            reordered_alternatives = (last, opening) == ("|", ";")
            last = opening
        position += 2 if opening == "\\" else 1
    if reordered_alternatives:
        raise RefusedError("a sentence has | and ; in one group")


def _event_type(value: Any) -> None:
    values.template(value)
    if value == "state_reported":
        raise RefusedError("no trigger can listen to state_reported")


def _check_limits(value: Mapping[Any, Any]) -> None:
    try:
        above, below = (float(value[key]) for key in ("above", "below"))
    except (KeyError, TypeError, ValueError):  # one of them, or an entity id
        return
    if above > below:
        raise RefusedError(f"no number is above {above:g} and below {below:g}")


def _triggers_of_the_core() -> dict[str, _Keys]:
    state = {"entity_id": values.entities_or_ids}
    template = {"value_template": values.template}
    waiting = {"for": values.period_or_template}
    found = {
        "conversation": _Keys({"command": values.list_of(_sentence, least=1)}),
        "event": _Keys(
            {"event_type": values.list_of(_event_type)}, dict.fromkeys(("event_data", "context"), values.mapping)
        ),
        "homeassistant": _Keys({"event": values.choice("start", "shutdown")}),
        "mqtt": _Keys(
            {"topic": _topic},
            {
                "payload": values.template,
                **template,
                "encoding": values.string,
                "qos": values.where("0, 1 or 2", lambda value: int(value) in (0, 1, 2)),
            },
        ),
        "numeric_state": _Keys(
            state,
            {"above": values.threshold, "below": values.threshold, "attribute": values.anything, **template, **waiting},
            one_of=("above", "below"),
        ),
        "persistent_notification": _Keys(
            optional={
                "notification_id": values.text,
                "update_type": values.list_of(values.choice("added", "current", "removed", "updated")),
            }
        ),
        "state": _Keys(state, {**dict.fromkeys(_STATES, _states_or_nothing), **waiting}, exclusive=_TO_AND_FROM),
        "template": _Keys(template, waiting),
        "time": _Keys({"at": values.list_of(_at)}, {"weekday": _weekdays}),
        "time_pattern": _Keys(
            optional={
                "hours": values.time_pattern(23),
                **dict.fromkeys(("minutes", "seconds"), values.time_pattern(59)),
            },
            one_of=("hours", "minutes", "seconds"),
        ),
        "webhook": _Keys(
            {"webhook_id": values.template},
            {"allowed_methods": _methods, "local_only": values.true_or_false},
        ),
    }
    return {kind: keys.plus(_TRIGGER_BASE) for kind, keys in found.items()}


def _states_or_nothing(value: Any) -> None:
    if value is not None:
        values.list_of(values.state)(value)


def _methods(value: Any) -> None:
    values.list_of(values.choice("get", "head", "post", "put", folded=True))(value)
    names = [str(item).lower() for item in values.items_of(value)]
    if len(names) != len(set(names)):
        raise RefusedError("names a method twice")


_TO_AND_FROM = (("to", "not_to"), ("from", "not_from"))
_TRIGGERS = _triggers_of_the_core()
# The states of an attribute may be numbers and booleans, those of an entity are texts.
_STATE_OF_ATTRIBUTE = _TRIGGERS["state"].plus({"attribute": values.anything, **dict.fromkeys(_STATES, values.anything)})


def _with_options(value: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A trigger's own keys, which newer versions put under ``options``, beside the keys of all triggers."""
    options = value.get("options")
    if not isinstance(options, Mapping) or not set(value) - {"options"} <= set(_TRIGGER_BASE):
        return value
    return {**{key: item for key, item in value.items() if key != "options"}, **options}


def _trigger(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise RefusedError("expected a trigger (a mapping)")
    _only_one(value, "trigger", "platform")
    kind = value.get("trigger", value.get("platform"))
    if values.is_replaced(kind):
        return
    if not isinstance(kind, str):
        raise RefusedError("needs trigger: and its kind")
    check: Check | None = _DEVICE_TRIGGER
    if kind in _TRIGGERS:
        value = _with_options(value)
        check = _STATE_OF_ATTRIBUTE if kind == "state" and "attribute" in value else _TRIGGERS[kind]
    elif kind != "device":
        check = _integration_check("trigger", kind)
    if check is None:
        raise RefusedError(f"{values.shown(kind)} is no kind of trigger")
    check(value)
    if kind == "numeric_state":
        _check_limits(value)


_one_trigger = values.list_of(_trigger)


def _trigger_or_group(value: Any) -> None:
    """A trigger, or ``triggers`` alone, which groups some."""
    if not isinstance(value, Mapping) or set(value) != {"triggers"}:
        _trigger(value)
        return
    try:
        _one_trigger(value["triggers"])
    except RefusedError as error:
        raise error.under("triggers") from None


_triggers = values.list_of(_trigger_or_group)

# -- Conditions --------------------------------------------------------------------------------------------------------


def _condition(value: Any) -> None:
    if not isinstance(value, Mapping):
        if not values.is_scalar(value):
            raise RefusedError("expected a condition (a mapping or a template)")
        values.template_only(value)
        return
    if "conditions" not in value:
        for name in ("and", "or", "not", "condition"):
            if name in value and (name != "condition" or isinstance(value[name], list)):
                _SHORTHANDS[name](value)
                return
    kind = value.get("condition")
    if values.is_replaced(kind):
        return
    if not isinstance(kind, str):
        raise RefusedError("needs condition: and its kind")
    check: Check | None = _DEVICE_CONDITION
    if kind in _CONDITIONS:
        check = _STATE_CONDITION_OF_ATTRIBUTE if kind == "state" and "attribute" in value else _CONDITIONS[kind]
    elif kind != "device":
        check = _integration_check("condition", kind)
    if check is None:
        raise RefusedError(f"{values.shown(kind)} is no kind of condition")
    check(value)
    if kind == "state" and "for" in value:
        _check_held_state(value)


_conditions = values.list_of(_condition)
_SHORTHANDS = {
    name: _Keys({name: _conditions}, {key: check for key, check in _CONDITION_BASE.items() if key != "condition"})
    for name in ("and", "or", "not", "condition")
}
_INPUT_ENTITY = re.compile(r"input_(select|text|number|boolean|datetime)\.(?!.+__)(?!_)[\da-z_]+(?<!_)")


def _check_held_state(value: Mapping[Any, Any]) -> None:
    if "attribute" in value:
        raise RefusedError("an attribute cannot be held for a time", ("for",))
    if any(isinstance(item, str) and _INPUT_ENTITY.fullmatch(item) for item in values.items_of(value["state"])):
        raise RefusedError("a state that an entity gives cannot be held for a time", ("for",))


def _conditions_of_the_core() -> dict[str, _Keys]:
    time = values.either(
        "a time such as 07:30:00 or an entity id",
        values.time_of_day,
        values.as_text(values.of_domain("input_datetime", "time", "sensor")),
    )
    found = {
        **dict.fromkeys(("and", "or", "not"), _Keys({"conditions": _conditions})),
        "numeric_state": _Keys(
            {"entity_id": values.entities_or_ids},
            {
                **dict.fromkeys(("above", "below"), values.threshold),
                "attribute": values.text,
                "value_template": values.template,
            },
            one_of=("above", "below"),
        ),
        "state": _Keys(
            {"entity_id": values.entities_or_ids, "state": _states},
            {"for": values.period_or_template, "match": values.choice("all", "any", folded=True)},
        ),
        "template": _Keys({"value_template": values.template}),
        "time": _Keys(
            optional={"before": time, "after": time, "weekday": _weekdays}, one_of=("before", "after", "weekday")
        ),
        "trigger": _Keys({"id": values.list_of(values.string)}),
    }
    return {kind: keys.plus(_CONDITION_BASE) for kind, keys in found.items()}


def _states(value: Any) -> None:
    (values.list_only if isinstance(value, list) else lambda check: check)(values.state)(value)


_CONDITIONS = _conditions_of_the_core()
_STATE_CONDITION_OF_ATTRIBUTE = replace(
    _CONDITIONS["state"], required={"entity_id": values.entities_or_ids, "state": values.anything}
).plus({"attribute": values.text})

# -- Actions -----------------------------------------------------------------------------------------------------------


def _action(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise RefusedError("expected an action (a mapping)")
    for key, check in _ACTIONS.items():
        if key in value:
            check(value)
            return
    raise RefusedError(f"{', '.join(map(str, value))!r:.60} is no action")


_actions = values.list_of(_action)


def _condition_action(value: Mapping[Any, Any]) -> None:
    kind = value.get("condition")
    if values.is_scalar(kind) and not values.is_replaced(kind) and has_template(str(kind)):
        _Keys({"condition": values.template}, _CONDITION_BASE)(value)
    else:
        _condition(value)


def _stop(value: Mapping[Any, Any]) -> None:
    _STOP(value)
    error = value.get("error", False)
    if "response_variable" in value and str(error).lower().strip() not in ("0", "0.0", "false", "no", "off", "disable"):
        raise RefusedError("an error has no response", ("response_variable",))


def _or_nothing(check: Check) -> Check:
    return lambda value: None if value is None else check(value)


_STOP = _Keys(
    {"stop": _or_nothing(values.string)}, {**_ACTION_BASE, "error": values.boolean, "response_variable": values.text}
)
_SPELLINGS = ("action", "service", "service_template")


def _all_actions() -> dict[str, Check]:
    """By the key that makes an action what it is; the first that is there counts."""

    def keys(required: Mapping[str, Check], *optional: Mapping[str, Check]) -> _Keys:
        return _Keys(required).plus(_ACTION_BASE, *optional)

    waiting: dict[str, Check] = {"timeout": values.period_or_template, "continue_on_timeout": values.boolean}
    call = _Keys(
        optional={
            **dict.fromkeys(_SPELLINGS, values.service), "data": values.data_or_text,
            "data_template": values.data_or_text, "target": _action_target, "entity_id": values.entities_or_all,
            "response_variable": values.text, **_METADATA, **_ACTION_BASE,
        },
        exclusive=(_SPELLINGS,),
    )  # fmt: skip
    ways = {
        "count": values.template, "while": _conditions, "until": _conditions, "for_each": values.template_or_list,
    }  # fmt: skip
    repeat = _Keys({"sequence": _actions}, ways, one_of=tuple(ways), exclusive=(tuple(ways),))
    option = _Keys({"conditions": _conditions, "sequence": _actions}, {"alias": values.string, **_NOTE})
    event_data = dict.fromkeys(("event_data", "event_data_template"), values.mapping)
    return {
        "delay": keys({"delay": values.period_or_template}),
        "wait_template": keys({"wait_template": values.template}, waiting),
        "condition": _condition_action,
        **dict.fromkeys(("and", "or", "not"), _condition),
        "event": keys({"event": values.string}, event_data),
        "device_id": _DEVICE_ACTION,
        "scene": keys({"scene": values.of_domain("scene")}),
        "repeat": keys({"repeat": repeat}),
        "choose": keys({"choose": values.list_of(option)}, {"default": _actions}),
        "wait_for_trigger": keys({"wait_for_trigger": _triggers}, waiting),
        "variables": keys({"variables": values.variables}),
        "if": keys({"if": _conditions, "then": _actions}, {"else": _actions}),
        **dict.fromkeys(_SPELLINGS, call),
        "stop": _stop,
        "parallel": keys({"parallel": values.list_of(_actions)}),  # branches of one or more
        "sequence": keys({"sequence": _actions}, _METADATA),
        "set_conversation_response": keys({"set_conversation_response": _or_nothing(values.template)}),
    }


_ACTIONS = _all_actions()

# -- The automation ----------------------------------------------------------------------------------------------------

_SETTINGS: dict[str, Check] = {
    "id": values.text, "alias": values.string, "description": values.string,
    "variables": values.variables, "trigger_variables": values.variables,
    "initial_state": values.boolean, "hide_entity": values.boolean,
    "mode": values.choice(*_MODES), "max": values.whole_from_2, "max_exceeded": values.choice(*_LEVELS, folded=True),
    "trace": _Keys(optional={"stored_traces": values.whole_from_0}),
}  # fmt: skip
_SPELLED_TWICE = (("triggers", "trigger"), ("conditions", "condition"), ("actions", "action"))
_PARTS: dict[str, Check] = {
    **dict.fromkeys(_SPELLED_TWICE[0], _triggers),
    **dict.fromkeys(_SPELLED_TWICE[1], _conditions),
    **dict.fromkeys(_SPELLED_TWICE[2], _actions),
}
_AUTOMATION = _Keys(optional={**_SETTINGS, **_PARTS})


def _path(value: Any) -> None:
    values.text(value)
    if not value.endswith(".yaml") or re.search(r"~|\.\.", value):
        raise RefusedError(f"{values.shown(value)} is not the path of a blueprint")


def _inputs(value: Any) -> None:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise RefusedError("expected a mapping")


_FROM_BLUEPRINT = replace(_AUTOMATION, required={"use_blueprint": _Keys({"path": _path}, {"input": _inputs})})


def _automation(value: Any) -> None:
    if not isinstance(value, Mapping):
        raise RefusedError("expected a mapping")
    for spellings in _SPELLED_TWICE:
        _only_one(value, *spellings)
    if "use_blueprint" in value:
        _from_blueprint(value)
        return
    for name, older in (_SPELLED_TWICE[0], _SPELLED_TWICE[2]):
        if name not in value and older not in value:
            raise RefusedError(f"needs {name}")
    _AUTOMATION(value)


def _from_blueprint(value: Mapping[Any, Any]) -> None:
    _FROM_BLUEPRINT(value)
    blueprint = value["use_blueprint"]
    if values.is_replaced(blueprint) or values.is_replaced(blueprint["path"]):
        return
    given = blueprint.get("input", {})
    missing = [name for name in automation_table().blueprints.get(blueprint["path"], ()) if name not in given]
    if missing and not values.is_replaced(given):
        raise RefusedError(f"misses {', '.join(missing)}", ("use_blueprint", "input"))
