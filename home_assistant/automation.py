"""What an automation is made of: one spelling of its keys, and the triggers, services and entities it names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from home_assistant.domains import ACT_ON_THEIR_OWN, DOMAINS

# -- One spelling ------------------------------------------------------------------------------------------------------

_RENAMED = {
    "": {"trigger": "triggers", "condition": "conditions", "action": "actions"},
    "trigger": {"platform": "trigger"},
    "action": {"service": "action", "service_template": "action", "data_template": "data"},
}
_FIRST = {
    "": ("id", "alias", "description", "triggers", "conditions", "actions", "mode"),
    "trigger": ("trigger", "entity_id"),
    "condition": ("condition", "entity_id"),
    "action": ("action", "target", "data"),
}
# Key -> what its items are, where they are a list of such.
_INSIDE = {
    "": {"triggers": "trigger", "conditions": "condition", "actions": "action"},
    "condition": dict.fromkeys(("conditions", "and", "or", "not"), "condition"),
    "action": {
        **dict.fromkeys(("then", "else", "default", "sequence", "parallel"), "action"),
        **dict.fromkeys(("if", "while", "until", "conditions", "and", "or", "not"), "condition"),
        "wait_for_trigger": "trigger",
        "choose": "action",
    },
}


def modernized(automation: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same automation in one spelling: today's keys, lists where there may be several, keys in a fixed order.

    ``service`` becomes ``action``; its ``entity_id`` and that of its data become the target's, which is what Home
    Assistant makes of them. What says nothing (an empty ``conditions``, the editor's ``metadata``) is left out.
    """
    result: dict[Any, Any] = _modern(automation, "")
    return result


def _modern(part: Any, kind: str) -> Any:
    if not isinstance(part, Mapping):
        return part
    renamed: dict[Any, Any] = {}
    for key, value in part.items():
        name = _RENAMED.get(kind, {}).get(key, key)
        if name in renamed and isinstance(value, dict) and isinstance(renamed[name], dict):
            value = {**renamed[name], **value}  # data and data_template together
        renamed[name] = value
    if kind == "action":
        if isinstance(renamed.get("repeat"), Mapping):
            renamed["repeat"] = _modern(renamed["repeat"], "action")
        if "action" in renamed:
            _gather_target(renamed)
    inside = _INSIDE.get(kind, {})
    for key, value in list(renamed.items()):
        if key in inside:
            items = value if isinstance(value, list) else [value]
            renamed[key] = [_modern(item, inside[key]) for item in items]
        if key == "entity_id" and isinstance(value, list) and len(value) == 1:
            renamed[key] = value[0]
    for key in ("conditions", "metadata", "data", "variables"):
        if key in renamed and not renamed[key]:
            del renamed[key]
    first = [key for key in _FIRST.get(kind, ()) if key in renamed]
    return {key: renamed[key] for key in (*first, *(key for key in renamed if key not in first))}


def _gather_target(action: dict[Any, Any]) -> None:
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


ALWAYS_THERE = frozenset(("sun.sun", "zone.home"))  # in every home
_ENTITY = re.compile(r"(?<![\w./@-])(?:states\.)?([a-z_]+)\.([a-z0-9_]+)(?![\w(/@-])")
_NAMES_A_SERVICE = frozenset(("action", "service", "service_template", "trigger", "platform", "event_type"))


class Structure(NamedTuple):
    """What an automation is made of; each a set of names."""

    triggers: frozenset[str]
    services: frozenset[str]
    entities: frozenset[str]


def structure(automation: Mapping[Any, Any]) -> Structure:
    """Trigger kinds (of ``wait_for_trigger`` too), services called, and entity ids, those in templates included."""
    triggers: set[str] = set()
    services: set[str] = set()

    def visit(part: Any, kind: str) -> None:
        if not isinstance(part, Mapping):
            return
        if kind == "trigger":
            triggers.add(str(part.get("trigger")))
        elif kind == "action":
            if isinstance(part.get("action"), str):
                services.add(part["action"])
            elif "device_id" in part:
                services.add(f"{part.get('domain')}.{part.get('type')} of a device")
            if "scene" in part:
                services.add("scene.turn_on")
            visit(part.get("repeat"), "action")
        for key, inner in _INSIDE.get(kind, {}).items():
            for item in part.get(key, ()):
                visit(item, inner)

    modern = modernized(automation)
    visit(modern, "")
    return Structure(frozenset(triggers), frozenset(services), frozenset(_entities(modern)))


def _entities(value: Any, key: Any = None) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entities(inner, name)
    elif isinstance(value, list):
        for item in value:
            yield from _entities(item, key)
    elif isinstance(value, str) and key not in _NAMES_A_SERVICE:
        for domain, name in _ENTITY.findall(value):
            if domain in DOMAINS:
                yield f"{domain}.{name}"


def acts_on_its_own(automation: Mapping[Any, Any]) -> bool:
    """Whether no service such as ``light.turn_on`` is called on an entity of another domain (a group may hold any)."""

    def fits(part: Any) -> bool:
        if isinstance(part, list):
            return all(map(fits, part))
        if not isinstance(part, Mapping):
            return True
        service, target = part.get("action"), part.get("target")
        domain = service.partition(".")[0] if isinstance(service, str) else ""
        if domain in ACT_ON_THEIR_OWN and isinstance(target, Mapping):
            ids = target.get("entity_id")
            for entity_id in ids if isinstance(ids, list) else [ids]:
                if isinstance(entity_id, str) and entity_id.partition(".")[0] in DOMAINS - {domain, "group"}:
                    return False
        return all(map(fits, part.values()))

    return fits(modernized(automation))


def renamed_entities(automation: Mapping[Any, Any], rename: Callable[[str], str]) -> dict[Any, Any]:
    """The automation with every entity id that ``structure`` finds replaced by what ``rename`` makes of it."""

    def of(found: re.Match[str]) -> str:
        entity_id = f"{found[1]}.{found[2]}"
        return found[0].replace(entity_id, rename(entity_id)) if found[1] in DOMAINS else found[0]

    def visit(value: Any, key: Any = None) -> Any:
        if isinstance(value, Mapping):
            return {name: visit(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [visit(item, key) for item in value]
        return _ENTITY.sub(of, value) if isinstance(value, str) and key not in _NAMES_A_SERVICE else value

    result: dict[Any, Any] = visit(automation)
    return result
