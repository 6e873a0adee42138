"""What an automation names that a home does not have, or that its entities cannot show it to have.

A home is known by its entities alone. So whatever else an automation may name - an area, a device, a webhook, a service
of an integration - counts as foreign, unless every Home Assistant has it or a record of an entity names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from home_assistant.automation import Located, parts_of, scenes_made, with_current_keys
from home_assistant.automation_pairs import ABOUT
from home_assistant.automation_yaml import BLUEPRINT, TaggedScalar
from home_assistant.domains import DOMAINS, ENTITIES_IN_EVERY_HOME
from home_assistant.entity_id import domain_of, entity_ids_in, is_entity_id, listed_ids, normalized_entity_id
from home_assistant.services import HOME_ASSISTANT_VERSION, Service, described
from home_assistant.targets import PLACE_KEYS
from home_assistant.templates import JOINS, TemplateIds, has_template, ids_in_template

MAX_VARIABLE_DEPTH = 8
_SHOWN = 60  # characters of a value in a reason


class Known(NamedTuple):
    """What a home has.

    Attributes:
        entities: Their ids, in lower case.
        places: ``device_id``, ``area_id`` and ``label_id`` -> the ids that the records of the entities name.
    """

    entities: frozenset[str]
    places: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, entities: Iterable[Any]) -> Known:
        """The home with these entities: ids, or objects or mappings with an ``entity_id``. Disabled ones are left out.

        Raises ValueError for anything else.
        """
        if isinstance(entities, str):
            raise ValueError(f"{entities!a:.60} is one text: expected a list of entities")
        ids: set[str] = set()
        places: dict[str, set[str]] = {key: set() for key in PLACE_KEYS}
        for entity in entities:
            entity_id = entity if isinstance(entity, str) else _field(entity, "entity_id")
            if not isinstance(entity_id, str):
                raise ValueError(f"{entity!a:.60} is no entity: expected an id, or an object with an entity_id")
            if not isinstance(entity, str):
                if _field(entity, "disabled") or _field(entity, "disabled_by"):
                    continue
                for key in ("device_id", "area_id"):
                    places[key].update(_listed(_field(entity, key)))
                places["label_id"].update(_listed(_field(entity, "labels")))
            ids.add(normalized_entity_id(entity_id))
        return cls(frozenset(ids), {key: frozenset(found) for key, found in places.items()})

    def has(self, entity_id: str) -> bool:
        """Whether the home has the entity."""
        return entity_id in self.entities or entity_id in ENTITIES_IN_EVERY_HOME


def _field(entity: Any, name: str) -> Any:
    return entity.get(name) if isinstance(entity, Mapping) else getattr(entity, name, None)


def _listed(value: Any) -> list[str]:
    """The ids of places in a value: one, several with commas between them, or a list of these."""
    items = value if isinstance(value, list | tuple) else [value]
    return [part.strip() for item in items if isinstance(item, str) for part in item.split(",") if part.strip()]


def foreign_parts(automation: Mapping[Any, Any], home: Known) -> list[str]:
    """Each thing that the automation names and the home lacks: where it stands, and why it counts; [] if none does.

    The automation is one that ``check_automation`` accepts. Its alias, its description and other notes are a person's
    words and are not looked at.
    """
    return list(dict.fromkeys(_Search(with_current_keys(automation), home).reasons()))


# -- What every home has -----------------------------------------------------------------------------------------------

_TRIGGERS_EVERYWHERE = frozenset(
    "homeassistant numeric_state persistent_notification state sun template time time_pattern zone".split()
)
_CONDITIONS_EVERYWHERE = frozenset("and or not numeric_state state sun template time trigger zone".split())
# Services of these domains are there without an entity of theirs.
_DOMAINS_EVERYWHERE = frozenset(
    "automation backup frontend homeassistant logbook logger notify persistent_notification person recorder scene "
    "script sun system_log zone".split()
)
_SERVICES_OF_SOME = frozenset(("notify.notify",))  # where a notifier of the old kind is set up
_EVENTS_EVERYWHERE = frozenset(
    "homeassistant_close homeassistant_final_write homeassistant_start homeassistant_started homeassistant_stop "
    "automation_reloaded automation_triggered call_service component_loaded core_config_updated script_started "
    "service_registered service_removed state_changed state_reported "
    "area_registry_updated device_registry_updated entity_registry_updated".split()
)

# -- Words -------------------------------------------------------------------------------------------------------------

_WORDS_OF_A_PERSON = frozenset(("alias", "description", "note", "id"))
_KINDS = frozenset(("trigger", "condition", "action", "event_type"))  # looked at by themselves
_NAMES_ENTITIES = frozenset(("entity_id", "zone"))
_REGISTRY_ID = re.compile(r"(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])")
_OUTSIDE = {"/api/webhook/": "a webhook", "media-source://": "media of an integration"}
_BEGINS_AN_ID = re.compile(rf"\s*(?:{'|'.join(sorted(DOMAINS))})\.(?:[%{{].*)?", re.DOTALL)
_OF_WHAT_TRIGGERED = re.compile(r"(?:wait\.)?trigger(?:\.(?:to_state|from_state))?\.entity_id|this\.entity_id")
_FROM_AN_EVENT = re.compile(r"(?:wait\.)?trigger\.event\.data\.(?:.*_)?(?:entity|device|area|label|floor)s?(?:_ids?)?")
_ONLY_MARKS = re.compile(r"[\s,\[\]'\"]*")
# Functions of templates that take an entity or what it belongs to, and those that take another thing of a home.
_READ_AN_ENTITY = frozenset(
    "states is_state state_attr is_state_attr has_value state_translated state_attr_translated is_hidden_entity expand "
    "closest distance entity_name config_entry_id".split()
)
_READ_A_PLACE = frozenset(
    "device_id device_attr is_device_attr device_name device_entities area_id area_name area_entities area_devices "
    "floor_id floor_name floor_areas floor_entities labels label_id label_name label_description label_entities "
    "label_areas label_devices integration_entities config_entry_attr issue".split()
)


def _shown(value: Any) -> str:
    if isinstance(value, TaggedScalar):
        value = f"{value.tag} {value.value}"
    text = value if isinstance(value, str) else repr(value)
    return ascii(" ".join(text.split()))[1:-1][:_SHOWN]


class _Search:
    """The foreign things of one automation, which has today's keys, in their order."""

    def __init__(self, automation: Mapping[Any, Any], home: Known) -> None:
        self._automation = automation
        self._places = home.places
        self._entities = {*home.entities, *ENTITIES_IN_EVERY_HOME, *scenes_made(automation)}
        self._domains = {domain_of(entity_id) for entity_id in self._entities}
        self._variables = _variables_of(automation)

    def reasons(self) -> Iterator[str]:
        if BLUEPRINT in self._automation:
            yield f"{BLUEPRINT}: a blueprint is a file that the home may lack"
            return
        for part in parts_of(self._automation):
            yield from self._part(part)

    def _part(self, part: Located) -> Iterator[str]:
        if not isinstance(part.value, Mapping):
            yield from self._value(part.value, part.where)
            return
        way = f"{part.where}." if part.where else ""
        if part.part == "trigger":
            yield from self._trigger(part.value, f"{way}trigger")
        elif part.part == "condition" or "condition" in part.value:
            yield from self._kind(part.value.get("condition"), f"{way}condition", _CONDITIONS_EVERYWHERE)
        elif part.part == "action":
            yield from self._action(part.value, way)
        own = {key: item for key, item in part.own().items() if key not in _WORDS_OF_A_PERSON | _KINDS}
        for key, item in own.items():
            if key == "scene" and part.part == "action":
                yield from self._named(item, f"{way}{key}")
            else:
                of_a_script = key == "data" and domain_of(str(part.value.get("action"))) == "script"
                yield from self._value(item, f"{way}{key}", key, free=of_a_script)

    # Kinds of triggers, conditions and actions

    def _trigger(self, trigger: Mapping[Any, Any], where: str) -> Iterator[str]:
        kind = trigger.get("trigger")
        if kind == "event":
            settings = {**options, **trigger} if isinstance(options := trigger.get("options"), Mapping) else trigger
            for event in _listed(settings.get("event_type")):
                is_of_a_timer = domain_of(event) == "timer" and "timer" in self._domains
                if event not in _EVENTS_EVERYWHERE and not is_of_a_timer:
                    yield f"{where}: {_shown(event)} is no event that every home has"
        elif kind is not None:
            yield from self._kind(kind, where, _TRIGGERS_EVERYWHERE)

    def _kind(self, kind: Any, where: str, everywhere: frozenset[str]) -> Iterator[str]:
        if kind is None or kind in everywhere:
            return
        if isinstance(kind, TaggedScalar) or (isinstance(kind, str) and has_template(kind)):
            yield from self._value(kind, where)
        elif kind == "device":
            yield f"{where}: device names a device by its id"
        elif kind in ("calendar", "conversation") and kind in self._domains:
            return
        elif isinstance(kind, str) and "." in kind:
            prefix = domain_of(kind)
            if prefix not in ABOUT and prefix not in (self._domains & DOMAINS) | _DOMAINS_EVERYWHERE:
                yield f"{where}: {_shown(kind)} is of an integration that the home may lack"
        else:
            yield f"{where}: {_shown(kind)} needs an integration that the home may lack"

    def _action(self, action: Mapping[Any, Any], way: str) -> Iterator[str]:
        if "action" in action:
            yield from self._call(action, way)
        elif "event" in action:
            yield f"{way}event: {_shown(action['event'])} is an event that nothing in the home is known to wait for"
        elif "set_conversation_response" in action and "conversation" not in self._domains:
            yield f"{way}set_conversation_response: the home has no conversation"
        elif "device_id" in action and "domain" in action:
            yield f"{way}domain: {_shown(action['domain'])} is an action of a device, which its id names"

    # Services

    def _call(self, action: Mapping[Any, Any], way: str) -> Iterator[str]:
        where, name = f"{way}action", action["action"]
        if not isinstance(name, str) or has_template(name):
            yield f"{where}: {_shown(name)} does not say which service is called"
            return
        name = name.strip().lower()
        domain = domain_of(name)
        service = described(name)
        if service is None or name in _SERVICES_OF_SOME:
            if domain != "script":
                yield f"{where}: {_shown(name)} is no service that every home has ({HOME_ASSISTANT_VERSION})"
            elif name not in self._entities:
                yield f"{where}: {_shown(name)} is no script of the home"
            return
        if domain not in self._domains | _DOMAINS_EVERYWHERE:
            yield f"{where}: {name}: the home has no {domain}"
            return
        yield from self._data(action, name, service, way)

    def _data(self, action: Mapping[Any, Any], name: str, service: Service, way: str) -> Iterator[str]:
        data, target = action.get("data", {}), action.get("target", {})
        for key, part in (("data", data), ("target", target)):
            if not isinstance(part, Mapping):
                yield f"{way}{key}: {_shown(part)} does not say what {name} is given"
                return
        given = {**data, **target}
        aims = {key for key in ("entity_id", *PLACE_KEYS) if given.get(key)}
        takes = {*service.fields, *(("entity_id", *PLACE_KEYS, "exclude") if service.target is not None else ())}
        for key in given:
            if key not in takes and "*" not in takes:
                yield f"{way}{'data' if key in data else 'target'}.{_shown(key)}: {name} takes no {_shown(key)}"
        for key in service.required:
            if key not in given:
                yield f"{way}data: {name} needs {key}"
        if service.target is not None:
            if not aims:
                yield f"{way}target: {name} is called on no entity"
            domains = {*service.target, "group"} if service.target else set()
            for entity_id in _plain_ids(given.get("entity_id")):
                if domains and domain_of(entity_id) not in domains:
                    yield f"{way}target.entity_id: {name} does not act on {_shown(entity_id)}"
        for key, item in data.items():
            if service.names.get(key) == "entity":
                yield from self._named(item, f"{way}data.{key}")
            elif service.names.get(key):
                yield from self._place(item, f"{way}data.{key}", str(key))
        if name == "group.remove" and f"group.{data.get('object_id')}" not in self._entities:
            yield f"{way}data.object_id: group.{_shown(data.get('object_id'))} is no entity of the home"
        if name in ("scene.apply", "scene.create") and isinstance(data.get("entities"), Mapping):
            yield from self._named(list(data["entities"]), f"{way}data.entities")

    # Values

    def _value(self, value: Any, where: str, key: Any = None, *, free: bool = False) -> Iterator[str]:
        """What a value names; in ``free`` ones, such as variables, a key says nothing of what its value is."""
        if isinstance(value, TaggedScalar):
            yield f"{where}: {value.tag} {_shown(value.value)} stands for something that is not in the automation"
        elif not free and key in _NAMES_ENTITIES and value is not None:
            yield from self._named(value, where)
        elif not free and key in PLACE_KEYS and value is not None:
            yield from self._place(value, where, str(key))
        elif isinstance(value, Mapping):
            free = free or key in ("variables", "trigger_variables")
            for inner_key, item in value.items():
                yield from self._value(str(inner_key), where)
                yield from self._value(item, f"{where}.{_shown(inner_key)}", inner_key, free=free)
        elif isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._value(item, f"{where}.{number}", key, free=free)
        elif isinstance(value, str):
            yield from self._text(value, where)

    def _text(self, text: str, where: str) -> Iterator[str]:
        if found := _REGISTRY_ID.search(text.lower()):
            yield f"{where}: {found[0]} is the id of a device or of another entry in a registry"
        for mark, what in _OUTSIDE.items():
            if mark in text.lower():
                yield f"{where}: {_shown(text)} names {what}"
        if not has_template(text):
            yield from self._unknown(entity_ids_in(text.lower()), where)
            return
        ids = ids_in_template(text)
        inner = {found for part in ids.texts for found in entity_ids_in(part.lower())}
        yield from self._unknown(sorted({*map(str.lower, ids.reads), *map(str.lower, ids.values), *inner}), where)
        yield from self._calls(ids, where)

    def _calls(self, ids: TemplateIds, where: str) -> Iterator[str]:
        """What the functions of a template name."""
        for call in sorted(ids.calls, key=str):
            if call.name == "import":
                yield f"{where}: the template imports a file that the home may lack"
            if call.name not in _READ_AN_ENTITY | _READ_A_PLACE:
                continue
            if call.argument is None:
                yield f"{where}: {call.name}() is given an id that the template puts together"
            elif call.argument and normalized_entity_id(call.argument) not in self._entities:
                if call.name in _READ_A_PLACE and any(call.argument in known for known in self._places.values()):
                    continue
                yield f"{where}: {call.name}({_shown(call.argument)}): the home is not known to have it"
        if any(map(_BEGINS_AN_ID.fullmatch, ids.texts)):
            yield f"{where}: the template puts an entity id together"
        for name in sorted(filter(_FROM_AN_EVENT.fullmatch, ids.names)):
            yield f"{where}: {name} may be an entity of any kind"

    def _unknown(self, ids: Iterable[str], where: str) -> Iterator[str]:
        for entity_id in ids:
            if entity_id not in self._entities:
                yield f"{where}: {_shown(entity_id)} is no entity of the home"

    def _place(self, value: Any, where: str, key: str) -> Iterator[str]:
        known = self._places.get(key, frozenset())
        texts = _listed(value)
        if not texts:
            yield from self._value(value, where, free=True)
        for text in texts:
            if text not in known:
                yield f"{where}: {_shown(text)}: the home's entities do not say that it has this {key.split('_')[0]}"

    def _named(self, value: Any, where: str, depth: int = 0) -> Iterator[str]:
        """A value that has to give entities, and nothing else."""
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from self._named(item, f"{where}.{number}", depth)
        elif isinstance(value, str) and has_template(value):
            yield from self._text(value, where)
            yield from self._given_by_template(ids_in_template(value), where, depth)
        elif isinstance(value, str):
            for text in listed_ids(value):
                if text in ("all", "none"):
                    yield f"{where}: {text} names no entity: it is {'every one' if text == 'all' else 'nothing'}"
                elif _REGISTRY_ID.fullmatch(text):
                    yield f"{where}: {text} is the id of an entry in a registry"
                elif text not in self._entities:
                    yield f"{where}: {_shown(text)} is no entity of the home"
        else:
            yield from self._value(value, where, free=True)
            if not isinstance(value, TaggedScalar):
                yield f"{where}: {_shown(value)} is no entity"

    def _given_by_template(self, ids: TemplateIds, where: str, depth: int) -> Iterator[str]:
        for domain in sorted(ids.listed):
            yield f"{where}: the template takes every {domain or 'entity'} of the home"
        for call in sorted(ids.calls, key=str):
            of_a_group = call.name == "state_attr" and domain_of(call.argument or "") == "group"
            if call.name in (_READ_AN_ENTITY | _READ_A_PLACE) - {"expand"} and not call.reads and not of_a_group:
                yield f"{where}: nobody can tell which entity {call.name}() gives"
            if call.name in JOINS - {"join"} and not call.reads:
                yield f"{where}: the template puts an entity id together"
        if any(not _ONLY_MARKS.fullmatch(piece) for piece in ids.pieces):
            yield f"{where}: the template puts an entity id together"
        if not ids.values and not ids.names and not ids.calls:
            yield f"{where}: the template names no entity"
        for name in sorted(ids.names):
            first = name.partition(".")[0]
            if _OF_WHAT_TRIGGERED.fullmatch(name) or first in ids.own_names:
                continue
            if first not in self._variables or depth >= MAX_VARIABLE_DEPTH:
                yield f"{where}: nobody can tell which entity {_shown(name)} is"
                continue
            for value in self._variables[first]:
                yield from self._named(_texts_of(value), f"{where}: {first}", depth + 1)


def _texts_of(value: Any) -> Any:
    """The values of mappings in their place: ``repeat.item.lamp`` may be any of them."""
    if isinstance(value, Mapping):
        return [_texts_of(item) for item in value.values()]
    return [_texts_of(item) for item in value] if isinstance(value, list) else value


def _plain_ids(value: Any) -> Iterator[str]:
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and has_template(item):
            yield from sorted(ids_in_template(item).values)
        elif isinstance(item, str):
            yield from filter(is_entity_id, listed_ids(item))


def _variables_of(automation: Mapping[Any, Any]) -> dict[str, list[Any]]:
    """The values that each variable may have, wherever it is defined."""
    found: dict[str, list[Any]] = {}

    def add(variables: Any) -> None:
        if isinstance(variables, Mapping):
            for name, value in variables.items():
                found.setdefault(str(name), []).append(value)

    for part in parts_of(automation):
        if isinstance(part.value, Mapping):
            add(part.value.get("variables"))
            add(part.value.get("trigger_variables"))
            if "for_each" in part.value:
                add({"repeat": part.value["for_each"]})
    return found
