"""What an automation is made of: today's keys for it, and the triggers, services and entities that it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from home_assistant.domains import DOMAINS, OWN_TARGET_DOMAINS
from home_assistant.entity_id import domain_of, entity_ids_in, is_entity_id, replace_entity_ids

Part = Literal["automation", "trigger", "condition", "action"]
"""What a mapping inside an automation is; its keys mean different things in each."""

# -- Today's keys ------------------------------------------------------------------------------------------------------

# The spellings before Home Assistant 2024.10 -> today's.
_CURRENT_KEY: Mapping[Part, Mapping[str, str]] = {
    "automation": {"trigger": "triggers", "condition": "conditions", "action": "actions"},
    "trigger": {"platform": "trigger"},
    "condition": {},
    "action": {"service": "action", "service_template": "action", "data_template": "data"},
}
_FIRST_KEYS: Mapping[Part, tuple[str, ...]] = {
    "automation": ("id", "alias", "description", "triggers", "conditions", "actions", "mode"),
    "trigger": ("trigger", "entity_id"),
    "condition": ("condition", "entity_id"),
    "action": ("action", "target", "data"),
}
# Keys that hold parts -> which.
_PARTS_UNDER: Mapping[Part, Mapping[str, Part]] = {
    "automation": {"triggers": "trigger", "conditions": "condition", "actions": "action"},
    "trigger": {"triggers": "trigger"},
    "condition": dict.fromkeys(("conditions", "and", "or", "not"), "condition"),
    "action": {
        **dict.fromkeys(("then", "else", "default", "sequence", "parallel", "choose"), "action"),
        **dict.fromkeys(("if", "while", "until", "conditions", "and", "or", "not"), "condition"),
        "wait_for_trigger": "trigger",
    },
}
_LEFT_OUT_WHERE_EMPTY = ("conditions", "metadata", "data", "variables")


def with_current_keys(automation: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same automation with today's keys, in a fixed order, and lists where there may be several.

    ``service`` becomes ``action``; its ``entity_id`` and that of its data become the target's, which is what Home
    Assistant makes of them. What says nothing (an empty ``conditions``, the editor's ``metadata``) is left out.
    """
    result: dict[Any, Any] = _current(automation, "automation")
    return result


def _current(value: Any, part: Part) -> Any:
    if isinstance(value, list):
        return [_current(item, part) for item in value]
    if not isinstance(value, Mapping):
        return value
    current: dict[Any, Any] = {}
    for key, inner in value.items():
        name = _CURRENT_KEY[part].get(key, key)
        if name in current and isinstance(inner, dict) and isinstance(current[name], dict):
            inner = {**current[name], **inner}  # data and data_template together
        current[name] = inner
    if part == "action":
        if isinstance(current.get("repeat"), Mapping):
            current["repeat"] = _current(current["repeat"], "action")
        if "action" in current:
            _gather_target(current)
    parts_under = _PARTS_UNDER[part]
    for key, inner in list(current.items()):
        if key in parts_under:
            items = inner if isinstance(inner, list) else [inner]
            current[key] = [_current(item, parts_under[key]) for item in items]
        if key == "entity_id" and isinstance(inner, list) and len(inner) == 1:
            current[key] = inner[0]
    for key in _LEFT_OUT_WHERE_EMPTY:
        if key in current and not current[key]:
            del current[key]
    first = [key for key in _FIRST_KEYS[part] if key in current]
    return {key: current[key] for key in (*first, *(key for key in current if key not in first))}


def _gather_target(action: dict[Any, Any]) -> None:
    """Move the entity ids of an action, and of its data, into its target."""
    data, target = action.get("data"), action.get("target", {})
    if not isinstance(target, Mapping):
        return
    target = dict(target)
    if "entity_id" in action and "entity_id" not in target:
        target["entity_id"] = action.pop("entity_id")
    if isinstance(data, Mapping) and "entity_id" in data and not target:
        target["entity_id"] = data["entity_id"]
        action["data"] = {key: value for key, value in data.items() if key != "entity_id"}
    ids = target.get("entity_id")
    if isinstance(ids, list) and len(ids) == 1:
        target["entity_id"] = ids[0]
    if target:
        action["target"] = target


# -- Its steps ---------------------------------------------------------------------------------------------------------


class Guard(NamedTuple):
    """A condition on the path to an action, and whether it has to hold or to fail (on the way to an ``else``)."""

    condition: Any
    holds: bool = True


class Step(NamedTuple):
    """One action that holds no other actions, and what has to happen before it is run.

    Attributes:
        action: The action, with today's keys.
        guards: The conditions of its own path, outermost first: those of the automation, of the ``choose``, ``if`` and
            ``repeat`` around it, and those that stand before it in its own sequence.
        failed: Conditions of earlier branches of a ``choose`` around it, all of which failed, a list for each branch.
        waits: The triggers and templates that the steps before it wait for.
        variables: What ``variables`` and ``for_each`` on its path define.
    """

    action: Mapping[Any, Any]
    guards: tuple[Guard, ...] = ()
    failed: tuple[Sequence[Any], ...] = ()
    waits: tuple[Any, ...] = ()
    variables: Mapping[str, Any] = {}


def triggers_of(automation: Mapping[Any, Any]) -> list[Mapping[Any, Any]]:
    """The triggers of an automation with today's keys, or of a ``wait_for_trigger``; lists inside lists are opened."""
    return list(_triggers(automation.get("triggers", automation.get("wait_for_trigger"))))


def _triggers(value: Any) -> Iterator[Mapping[Any, Any]]:
    for item in _as_list(value):
        if isinstance(item, Mapping):
            if "triggers" in item and "trigger" not in item:
                yield from _triggers(item["triggers"])
            else:
                yield item
        elif isinstance(item, list):
            yield from _triggers(item)


def steps(automation: Mapping[Any, Any], *, disabled: bool = False) -> Iterator[Step]:
    """Every step of an automation or a script with today's keys, in order; those turned off only with ``disabled``."""
    guards = tuple(Guard(condition) for condition in _as_list(automation.get("conditions")))
    variables: dict[str, Any] = {}
    for key in ("trigger_variables", "variables"):
        if isinstance(automation.get(key), Mapping):
            variables.update(automation[key])
    start = Step({}, guards, variables=variables)
    yield from _steps(automation.get("actions", automation.get("sequence")), _Path(start, disabled))


class _Path:
    """Where a walk through a sequence stands: what the next step inherits."""

    def __init__(self, inherited: Step, disabled: bool) -> None:
        self.inherited = inherited
        self.disabled = disabled

    def branch(self, *guards: Guard, failed: tuple[Sequence[Any], ...] = (), **variables: Any) -> _Path:
        """The way into a sequence inside: what happens there is not on the path of what follows here."""
        here = self.inherited
        inner = here._replace(
            guards=here.guards + guards, failed=here.failed + failed, variables={**here.variables, **variables}
        )
        return _Path(inner, self.disabled)

    def passed(self, **changes: Any) -> None:
        self.inherited = self.inherited._replace(**changes)


def _steps(sequence: Any, path: _Path) -> Iterator[Step]:
    for action in _as_list(sequence):
        if isinstance(action, list):
            yield from _steps(action, path)
        elif isinstance(action, str):  # a template, which stands for a condition
            path.passed(guards=(*path.inherited.guards, Guard(action)))
        elif isinstance(action, Mapping) and (path.disabled or not is_turned_off(action)):
            yield from _inner_steps(action, path)


def _inner_steps(action: Mapping[Any, Any], path: _Path) -> Iterator[Step]:
    here = path.inherited
    if "choose" in action:
        failed: tuple[Sequence[Any], ...] = ()
        for option in _as_list(action["choose"]):
            if isinstance(option, Mapping) and (path.disabled or not is_turned_off(option)):
                conditions = _as_list(option.get("conditions"))
                yield from _steps(option.get("sequence"), path.branch(*map(Guard, conditions), failed=failed))
                failed = (*failed, conditions)
        yield from _steps(action.get("default"), path.branch(failed=failed))
    elif "if" in action:
        conditions = _as_list(action["if"])
        yield from _steps(action.get("then"), path.branch(*map(Guard, conditions)))
        fails = [Guard(condition, holds=False) for condition in conditions]
        yield from _steps(action.get("else"), path.branch(*fails, failed=(conditions,)))
    elif "repeat" in action:
        repeat = action["repeat"] if isinstance(action["repeat"], Mapping) else {}
        while_ = map(Guard, _as_list(repeat.get("while")))
        until = (Guard(condition, holds=False) for condition in _as_list(repeat.get("until")))
        inner = path.branch(*while_, *until, repeat=repeat.get("for_each"))
        yield from _steps(repeat.get("sequence"), inner)
    elif "parallel" in action:
        for branch in _as_list(action["parallel"]):
            yield from _steps(branch, path.branch())
    elif "sequence" in action:
        yield from _steps(action["sequence"], path)
    elif any(key in action for key in ("condition", "and", "or", "not")):
        path.passed(guards=(*here.guards, Guard(action)))
    elif "variables" in action and isinstance(action["variables"], Mapping):
        path.passed(variables={**here.variables, **action["variables"]})
    else:
        yield here._replace(action=action)
        if "wait_for_trigger" in action:
            path.passed(waits=(*here.waits, *triggers_of(action)))
        elif "wait_template" in action:
            path.passed(waits=(*here.waits, action["wait_template"]))


def is_turned_off(part: Mapping[Any, Any]) -> bool:
    """Whether a trigger, a condition or an action has ``enabled: false``; a template there may be true."""
    return part.get("enabled") is False or str(part.get("enabled")).lower() in ("false", "no", "off", "0")


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


class Located(NamedTuple):
    """One trigger, condition or action, or the automation itself.

    Attributes:
        part: What it is.
        value: The part with today's keys; a condition, and an action that is one, may be a template's text.
        where: The way to it, such as ``actions.0.then.1``; "" for the automation.
    """

    part: Part
    value: Any
    where: str

    def own(self) -> Mapping[Any, Any]:
        """What the part says itself, without the parts inside it."""
        inner = _PARTS_UNDER[self.part].keys() | ({"repeat"} if self.part == "action" else set())
        return {key: item for key, item in self.value.items() if key not in inner}


def parts_of(automation: Mapping[Any, Any]) -> Iterator[Located]:
    """The automation, which has today's keys, and every part of it, those turned off too."""
    return _parts(automation, "automation", "")


def _parts(value: Any, part: Part, where: str) -> Iterator[Located]:
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _parts(item, part, f"{where}.{number}")
        return
    yield Located(part, value, where)
    if not isinstance(value, Mapping):
        return
    for key, inner in value.items():
        way = f"{where}.{key}" if where else str(key)
        if key in _PARTS_UNDER[part]:
            yield from _parts(inner, _PARTS_UNDER[part][key], way)
        elif key == "repeat" and part == "action":
            yield from _parts(inner, part, way)


_FALSE = frozenset(("false", "no", "off", "0", "disable"))  # homeassistant.helpers.config_validation.boolean


def starts_enabled(automation: Mapping[Any, Any]) -> bool:
    """Whether Home Assistant starts it enabled: ``initial_state`` may be any of its words for false."""
    return str(automation.get("initial_state")).strip().lower() not in _FALSE


# -- What it names -----------------------------------------------------------------------------------------------------

# Keys whose texts name a service, a kind of trigger or an event: no entity, although they look like one.
_NAMES_NO_ENTITY = frozenset(("action", "service", "service_template", "trigger", "platform", "event_type"))


class Structure(NamedTuple):
    """What an automation is made of; each a set of names."""

    triggers: frozenset[str]
    services: frozenset[str]
    entities: frozenset[str]


def structure(automation: Mapping[Any, Any]) -> Structure:
    """Kinds of triggers (of ``wait_for_trigger`` too), services called, and entity ids, those in templates included."""
    current = with_current_keys(automation)
    triggers = {str(trigger.get("trigger")) for trigger in triggers_of(current)}
    services: set[str] = set()
    for action in (step.action for step in steps(current, disabled=True)):
        triggers.update(str(trigger.get("trigger")) for trigger in _triggers(action.get("wait_for_trigger")))
        if isinstance(action.get("action"), str):
            services.add(action["action"])
        elif "device_id" in action:
            services.add(f"{action.get('domain')}.{action.get('type')} of a device")
        if "scene" in action:
            services.add("scene.turn_on")
    return Structure(frozenset(triggers), frozenset(services), frozenset(_entity_ids(current)))


def scenes_made(automation: Mapping[Any, Any]) -> dict[str, Mapping[Any, Any]]:
    """The scenes that the automation itself makes before it turns them on again, each with the data of the action."""
    found: dict[str, Mapping[Any, Any]] = {}
    for step in steps(automation, disabled=True):
        data = step.action.get("data")
        if step.action.get("action") == "scene.create" and isinstance(data, Mapping):
            scene = f"scene.{data.get('scene_id')}"
            if is_entity_id(scene):
                found[scene] = data
    return found


def _entity_ids(value: Any, key: Any = None) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entity_ids(inner, name)
    elif isinstance(value, list):
        for item in value:
            yield from _entity_ids(item, key)
    elif isinstance(value, str) and key not in _NAMES_NO_ENTITY:
        yield from entity_ids_in(value)


def with_renamed_entities(automation: Mapping[Any, Any], rename: Callable[[str], str]) -> dict[Any, Any]:
    """The automation with every entity id that ``structure`` finds replaced by what ``rename`` makes of it."""

    def renamed(value: Any, key: Any = None) -> Any:
        if isinstance(value, Mapping):
            return {name: renamed(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [renamed(item, key) for item in value]
        names_entities = isinstance(value, str) and key not in _NAMES_NO_ENTITY
        return replace_entity_ids(value, rename) if names_entities else value

    result: dict[Any, Any] = renamed(automation)
    return result


def services_match_targets(automation: Mapping[Any, Any]) -> bool:
    """Whether each service that acts on its own domain, as ``light.turn_on``, is called on such entities alone.

    A group may hold entities of any domain and is never a mismatch.
    """

    def matches(value: Any) -> bool:
        if isinstance(value, list):
            return all(map(matches, value))
        if not isinstance(value, Mapping):
            return True
        service, target = value.get("action"), value.get("target")
        domain = domain_of(service) if isinstance(service, str) else ""
        if domain in OWN_TARGET_DOMAINS and isinstance(target, Mapping):
            ids = target.get("entity_id")
            others = DOMAINS - {domain, "group"}
            for entity_id in ids if isinstance(ids, list) else [ids]:
                if isinstance(entity_id, str) and domain_of(entity_id) in others:
                    return False
        return all(map(matches, value.values()))

    return matches(with_current_keys(automation))
