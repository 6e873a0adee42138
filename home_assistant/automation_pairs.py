"""Which entities a home's automations join: from what triggers or guards each action to what it operates.

Templates are parsed and never rendered. What cannot be resolved is counted by kind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from home_assistant.automation import Step, is_turned_off, scenes_made, steps, triggers_of, with_current_keys
from home_assistant.automation_yaml import TaggedScalar
from home_assistant.domains import DOMAINS, OWN_TARGET_DOMAINS, READ_ONLY_DOMAINS
from home_assistant.entity_id import domain_of, is_entity_id, normalized_entity_id, object_id_of
from home_assistant.installation import ConfiguredAutomation, Installation
from home_assistant.services import supports
from home_assistant.targets import PLACE_KEYS, Targets, of_specs
from home_assistant.templates import has_template, ids_in_template

PairKind = Literal["trigger_action", "condition_action"]
MAX_PAIRS_PER_AUTOMATION = 20_000
MAX_VARIABLE_DEPTH = 8


@dataclass(frozen=True)
class KnownPair:
    """An automation operates ``action`` when ``trigger`` changes, or only while ``trigger`` allows it.

    Attributes:
        kind: ``trigger_action``, or ``condition_action`` where ``trigger`` is only in a condition on the action's path.
        automation_id: The automation's entity id; its ``id`` or its place where that is not known.
    """

    trigger: str
    action: str
    kind: PairKind
    automation_id: str


@dataclass
class KnownPairs:
    """What the automations of one home join.

    Attributes:
        pairs: Those of automations that run, each once for an automation, in the order of the automations.
        turned_off: Those that only automations have which a person turned off: no examples to learn from, but the
            person knows them, so they are no suggestions either.
        installed: Those that only automations have which ``suggest --install`` put in: no examples either.
        automations: Automations looked at, turned-off ones too.
        resolved: Of these, how many gave at least one pair.
        problems: Kind -> how often something could not be resolved, or names no entity.
    """

    pairs: tuple[KnownPair, ...] = ()
    turned_off: tuple[KnownPair, ...] = ()
    installed: tuple[KnownPair, ...] = ()
    automations: int = 0
    resolved: int = 0
    problems: Counter[str] = field(default_factory=Counter)


def known_pairs(home: Installation) -> KnownPairs:
    """The pairs of every automation of a home. It changes nothing in ``home`` and raises nothing for what is in it."""
    result = KnownPairs(automations=len(home.automations))
    targets = Targets(home, result.problems)
    running: list[KnownPair] = []
    stopped: list[KnownPair] = []
    installed: list[KnownPair] = []
    for automation in home.automations:
        try:
            found = _Automation(automation, home, targets, result.problems).pairs()
        except RecursionError:
            result.problems["automation nested too deep"] += 1
            continue
        result.resolved += bool(found)
        (stopped if not automation.enabled else installed if automation.installed else running).extend(found)
    joined = {(pair.trigger, pair.action) for pair in running}
    result.pairs = tuple(running)
    result.turned_off = tuple(pair for pair in stopped if (pair.trigger, pair.action) not in joined)
    result.installed = tuple(pair for pair in installed if (pair.trigger, pair.action) not in joined)
    return result


# -- Facts about triggers, conditions and services ---------------------------------------------------------------------

# What a trigger or a condition such as `motion.detected` is about: domain -> device classes, or any. Others, such as
# `light.turned_on`, are about the domain that they begin with.
ABOUT: Mapping[str, Mapping[str, str | None]] = {
    "air_quality": {
        "binary_sensor": "carbon_monoxide gas smoke",
        "sensor": "aqi carbon_dioxide carbon_monoxide nitrogen_dioxide nitrogen_monoxide nitrous_oxide ozone pm1 pm10 "
        "pm25 pm4 radon sulphur_dioxide volatile_organic_compounds volatile_organic_compounds_parts",
    },
    "battery": {"binary_sensor": "battery battery_charging", "sensor": "battery"},
    "button": {"button": None, "input_button": None},
    "door": {"binary_sensor": "door", "cover": "door"},
    "doorbell": {"event": "doorbell"},
    "garage_door": {"binary_sensor": "garage_door", "cover": "garage"},
    "gate": {"cover": "gate"},
    "humidity": {"climate": None, "humidifier": None, "sensor": "humidity", "weather": None},
    "illuminance": {"binary_sensor": "light", "sensor": "illuminance"},
    "moisture": {"binary_sensor": "moisture", "sensor": "moisture"},
    "motion": {"binary_sensor": "motion"},
    "occupancy": {"binary_sensor": "occupancy"},
    "power": {"sensor": "power"},
    "select": {"select": None, "input_select": None},
    "switch": {"switch": None, "input_boolean": None},
    "temperature": {"climate": None, "sensor": "temperature", "water_heater": None, "weather": None},
    "text": {"text": None, "input_text": None},
    "vibration": {"binary_sensor": "vibration"},
    "window": {"binary_sensor": "window", "cover": "window"},
    "zone": {"person": None, "device_tracker": None, "zone": None},
}
_COVER_KINDS = ("awning", "blind", "curtain", "shade", "shutter")
_ALL_CATEGORIES = frozenset(("battery", "update"))  # about diagnostic entities too
# Keys of a trigger or a condition, or of its options, that name entities.
_WATCHED = ("entity_id", "zone")
_LIMITS = ("above", "below", "after", "before", "at")
# Keys of a service's data that name what it operates.
_OPERATED = ("entity_id", "media_player_entity_id", "media_player", "group_members", "add_entities")
_PLAIN_STEPS = ("delay", "event", "stop", "set_conversation_response")
_OPERATES_NOTHING = frozenset(
    ("homeassistant.update_entity", "logbook.log", "logger.set_level", "scene.create", "system_log.write")
)
_OF_ALL_SCRIPTS = frozenset(("reload", "toggle", "turn_off", "turn_on"))
_FOLLOWED = frozenset(("script.turn_on", "script.toggle"))
_OF_THE_TRIGGER = re.compile(r"trigger(\.(to_state|from_state|event\.data))?\.entity_id")
_OF_THE_WAIT = re.compile(r"wait\.trigger(\.(to_state|from_state|event\.data))?\.entity_id")
_KIND = re.compile(r"[a-z0-9_.]{1,60}")


def _kind(name: Any) -> str:
    """A kind of trigger, service or platform as a word for the table; anything else may be of any length."""
    if isinstance(name, str) and has_template(name):
        return "a template"
    return name if isinstance(name, str) and _KIND.fullmatch(name) else "unknown"


# -- One automation ----------------------------------------------------------------------------------------------------


@dataclass
class _Sources:
    """What a trigger waits for: the entities whose changes set it off, and those it only compares with."""

    watched: dict[str, None] = field(default_factory=dict)
    compared: dict[str, None] = field(default_factory=dict)


class _Automation:
    def __init__(
        self, automation: ConfiguredAutomation, home: Installation, targets: Targets, problems: Counter[str]
    ) -> None:
        self._home = home
        self._targets = targets
        self._problems = problems
        self._config = with_current_keys(automation.config)
        self._entity_id = automation.entity_id
        self._id = automation.entity_id or str(automation.config.get("id") or automation.where)
        self._pairs: dict[tuple[str, str], PairKind] = {}
        self._made = {
            scene: [
                *targets.named(list(data["entities"]) if isinstance(data.get("entities"), Mapping | list) else None),
                *targets.named(data.get("snapshot_entities")),
            ]
            for scene, data in scenes_made(self._config).items()
        }

    def pairs(self) -> list[KnownPair]:
        names = _Names(self._config, {}, (), (), self._entity_id)
        triggers = triggers_of(self._config)
        sources: list[_Sources] = []
        for trigger in triggers:
            sources.append(_Sources() if is_turned_off(trigger) else self._sources(trigger, names))
        ids = [str(trigger.get("id", number)) for number, trigger in enumerate(triggers)]
        for step in steps(self._config):
            allowed = _allowed_triggers(step, ids)
            started = _Sources()
            for number in allowed:
                started.watched.update(sources[number].watched)
                started.compared.update(sources[number].compared)
            self._step(step, started, follow=True)
        return [KnownPair(source, action, kind, self._id) for (source, action), kind in self._pairs.items()]

    def _step(self, step: Step, started: _Sources, *, follow: bool, given: Mapping[str, Any] | None = None) -> None:
        """Join one action with what starts it and what guards it."""
        waited = _Sources()
        names = _Names(step.variables, given or {}, started.watched, waited.watched, self._entity_id)
        for wait in step.waits:
            found = self._sources(wait, names) if isinstance(wait, Mapping) else self._of_template(wait, names)
            waited.watched.update(found.watched)
            waited.compared.update(found.compared)
        guards = {**started.compared, **waited.compared}
        for guard in step.guards:
            guards.update(dict.fromkeys(self._of_condition(guard.condition, names)))
        names.triggering_used.clear()
        operated, reads = self._operated(step.action, names)
        guards.update(reads)
        sources = {**started.watched, **waited.watched}
        if operated:
            triggering = self._targets.opened(sources)
            guarding = self._targets.opened(guards)
            # `trigger.entity_id` operates what has just triggered, so no trigger operates another one by it.
            own = self._targets.opened(names.triggering_used & operated.keys())
            waiting = self._targets.opened(waited.watched) if own else {}
            for action in self._reached(operated):
                self._join(waiting if action in own else triggering, action, "trigger_action")
                self._join(guarding, action, "condition_action")
        if follow:
            self._follow(step, operated, _Sources(sources, guards), names)

    def _join(self, sources: Iterable[str], action: str, kind: PairKind) -> None:
        for source in sources:
            if source == action:
                continue
            if len(self._pairs) >= MAX_PAIRS_PER_AUTOMATION and (source, action) not in self._pairs:
                self._problems["more pairs in one automation than are kept"] += 1
                return
            # What triggers an action in one place and guards it in another is a trigger.
            if kind == "trigger_action" or (source, action) not in self._pairs:
                self._pairs[source, action] = kind

    def _reached(self, operated: Iterable[str]) -> Iterator[str]:
        """The entities operated, with the members of groups and what scenes set."""
        for entity_id in self._targets.opened(operated):
            if entity_id in self._made:  # it is there only until the next restart
                yield from self._targets.opened(self._made[entity_id])
                continue
            yield entity_id
            if domain_of(entity_id) == "group" and not self._targets.members(entity_id):
                self._problems["group whose members are not known"] += 1
            if domain_of(entity_id) == "scene":
                if inner := self._targets.set_by_scene(entity_id):
                    yield from self._targets.opened(inner)
                else:
                    self._problems["scene whose entities are not known"] += 1

    def _follow(self, step: Step, operated: Iterable[str], started: _Sources, names: _Names) -> None:
        """What a script does counts as done by the automation that calls it: one level, no script inside a script."""
        service = step.action.get("action")
        if not isinstance(service, str) or (service not in _FOLLOWED and object_id_of(service) in _OF_ALL_SCRIPTS):
            return
        scripts = [entity_id for entity_id in operated if domain_of(entity_id) == "script"]
        data = step.action.get("data")
        data = data if isinstance(data, Mapping) else {}
        if service in _FOLLOWED:
            data = data["variables"] if isinstance(data.get("variables"), Mapping) else {}
        given = {str(key): names.filled(value) for key, value in data.items()}
        for entity_id in scripts:
            script = self._home.scripts.get(entity_id)
            if script is None:
                self._problems["script that is not known"] += 1
                continue
            current = with_current_keys({"actions": script.get("sequence"), "variables": script.get("variables")})
            for inner in steps(current):
                self._step(inner, started, follow=False, given=given)

    # Triggers

    def _sources(self, trigger: Mapping[Any, Any], names: _Names) -> _Sources:
        kind = trigger.get("trigger")
        options = trigger.get("options")
        settings = {**options, **trigger} if isinstance(options, Mapping) else trigger
        found = _Sources()
        if kind == "device":
            found.watched.update(dict.fromkeys(self._of_device(settings, "trigger")))
        elif kind == "sun" or (isinstance(kind, str) and domain_of(kind) == "sun"):
            found.watched["sun.sun"] = None
        elif kind == "template":
            found.watched.update(self._of_template(settings.get("value_template"), names).watched)
        elif kind == "time":
            for at in _listed(settings.get("at")):
                value = at.get("entity_id") if isinstance(at, Mapping) else at
                found.watched.update(dict.fromkeys(self._values(value, names)[0]))
        elif kind == "event":
            data = settings.get("event_data")
            if isinstance(data, Mapping):
                found.watched.update(dict.fromkeys(self._values(data.get("entity_id"), names)[0]))
        else:
            found.watched.update(dict.fromkeys(self._watched(kind, settings, names)))
            if kind in ("state", "numeric_state"):
                found.compared.update(self._limits(settings))
                found.compared.update(self._of_template(settings.get("value_template"), names).watched)
        for key in found.watched:
            found.compared.pop(key, None)
        if not found.watched:
            self._problems[f"trigger without an entity: {_kind(kind)}"] += 1
        return found

    def _watched(self, kind: Any, settings: Mapping[Any, Any], names: _Names) -> Iterator[str]:
        """The entities that a trigger or a condition names: directly, by its target, by its options."""
        for key in _WATCHED:
            yield from self._values(settings.get(key), names)[0]
        target = settings.get("target")
        if not isinstance(target, Mapping):
            return
        named, placed = self._values(target.get("entity_id"), names)[0], {}
        prefix = domain_of(kind) if isinstance(kind, str) else ""
        if any(target.get(key) for key in PLACE_KEYS):
            placed = dict.fromkeys(sorted(self._targets.in_places(target, all_categories=prefix in _ALL_CATEGORIES)))
        excluded = self._targets.excluded(target)
        specs = self._specs(kind)
        for ids, is_named in ((named, True), (placed, False)):
            kept = [entity_id for entity_id in ids if entity_id not in excluded]
            if specs is None:
                yield from kept
            else:
                yield from of_specs(kept, specs, self._targets.device_class, named=is_named)

    def _specs(self, kind: Any) -> Mapping[str, str | None] | None:
        """The domains and device classes that a trigger or condition is about; None where any entity will do."""
        if not isinstance(kind, str) or "." not in kind:
            return None
        prefix, name = domain_of(kind), object_id_of(kind)
        if prefix == "cover":
            return {"cover": next((word for word in _COVER_KINDS if name.startswith(word)), None)}
        return ABOUT.get(prefix, {prefix: None} if prefix in DOMAINS else None)

    def _limits(self, settings: Mapping[Any, Any]) -> dict[str, None]:
        """Entities that a limit is read from, such as ``above: input_number.threshold``."""
        found: dict[str, None] = {}
        for key in _LIMITS:
            value = settings.get(key)
            if isinstance(value, str) and is_entity_id(normalized_entity_id(value)):
                found[normalized_entity_id(value)] = None
        return found

    def _of_device(self, part: Mapping[Any, Any], role: str) -> list[str]:
        """The entity of a device's trigger, condition or action; old ones name only the device."""
        named = list(self._targets.named(part.get("entity_id")))
        if named or not part.get("device_id"):
            return named
        domain = part.get("domain")
        domain = "notify" if domain == "mobile_app" else domain
        entities = self._targets.of_device(part["device_id"], domain if isinstance(domain, str) else "")
        if not entities:
            self._problems[f"device {role} without an entity: {_kind(part.get('domain'))}"] += 1
        return entities if len(entities) == 1 or role == "action" else []

    # Conditions

    def _of_condition(self, condition: Any, names: _Names) -> Iterator[str]:
        if isinstance(condition, str):
            if has_template(condition):
                yield from self._of_template(condition, names).watched
            return
        if isinstance(condition, list):
            for item in condition:
                yield from self._of_condition(item, names)
            return
        if not isinstance(condition, Mapping) or is_turned_off(condition):
            return
        kind = condition.get("condition")
        for key in ("and", "or", "not", "conditions"):
            if key in condition:
                yield from self._of_condition(condition[key], names)
        if isinstance(kind, str) and has_template(kind):
            yield from self._of_template(kind, names).watched
        elif kind == "device":
            yield from self._of_device(condition, "condition")
        elif kind == "sun" or (isinstance(kind, str) and domain_of(kind) == "sun"):
            yield "sun.sun"
        elif kind is not None and kind not in ("and", "or", "not", "trigger"):
            options = condition.get("options")
            settings = {**options, **condition} if isinstance(options, Mapping) else condition
            yield from self._watched(kind, settings, names)
            yield from self._limits(settings)
            yield from self._of_template(settings.get("value_template"), names).watched

    # Values and templates

    def _of_template(self, text: Any, names: _Names) -> _Sources:
        """Every entity that a template names, in its variables too, as watched."""
        found = _Sources()
        if isinstance(text, str):
            values, reads = self._values(text, names, every=True)
            found.watched.update(dict.fromkeys((*reads, *values)))
        elif isinstance(text, TaggedScalar):
            self._problems[f"value behind {_kind(text.tag[1:])}"] += 1
        return found

    def _values(self, value: Any, names: _Names, *, every: bool = False, depth: int = 0) -> tuple[list[str], list[str]]:
        """The entity ids that a value gives, and those that a template in it reads to choose.

        With ``every``, a text that is no template is one that names ids somewhere, as a condition's may.
        """
        if isinstance(value, TaggedScalar):
            self._problems[f"value behind {_kind(value.tag[1:])}"] += 1
            return [], []
        if isinstance(value, list | Mapping):
            values: list[str] = []
            reads: list[str] = []
            for item in value.values() if isinstance(value, Mapping) else value:
                inner = self._values(item, names, every=every, depth=depth + 1)
                values += inner[0]
                reads += inner[1]
            return values, reads
        if not isinstance(value, str):
            return [], []
        if not has_template(value) and not every:
            return list(self._targets.named(value)), []
        ids = ids_in_template(value)
        values, reads = sorted(ids.values), sorted(ids.reads)
        for key, place in sorted(ids.places):
            values += sorted(self._targets.in_places({key: place}))
        if depth < MAX_VARIABLE_DEPTH:
            for name in sorted(ids.names):
                for inner_value in names.meaning(name):
                    inner = self._values(inner_value, names, depth=depth + 1)
                    values += inner[0]
                    reads += inner[1]
        return values, reads

    # Actions

    def _operated(self, action: Mapping[Any, Any], names: _Names) -> tuple[dict[str, None], dict[str, None]]:
        """The entities that an action operates, and those that choose which or what it does to them."""
        operated: dict[str, None] = {}
        reads: dict[str, None] = {}
        if isinstance(action.get("scene"), str):
            operated.update(dict.fromkeys(self._targets.named(action["scene"])))
        elif "action" in action:
            operated, reads = self._of_service(action, names)
        elif "device_id" in action and "domain" in action:
            operated.update(dict.fromkeys(self._of_device(action, "action")))
        elif "wait_for_trigger" in action or "wait_template" in action or not action:
            return operated, reads
        else:
            if not any(key in action for key in _PLAIN_STEPS):
                self._problems["action without an entity: unknown"] += 1
        return operated, reads

    def _of_service(self, action: Mapping[Any, Any], names: _Names) -> tuple[dict[str, None], dict[str, None]]:
        service = action["action"]
        if not isinstance(service, str):
            self._problems["action without an entity: unknown"] += 1
            return {}, {}
        reads: dict[str, None] = {}
        domains: frozenset[str] | None = frozenset((domain_of(service.strip().lower()),))
        if has_template(service):
            ids = ids_in_template(service)
            reads.update(dict.fromkeys(sorted(ids.reads)))
            domains = ids.domains & DOMAINS or None
        service = service.strip().lower()
        if service in _OPERATES_NOTHING:
            return {}, {}
        operated: dict[str, None] = {}
        target, data = action.get("target"), action.get("data")
        for part in (action, target, data):
            if not isinstance(part, Mapping):
                if isinstance(part, str):
                    self._problems["target by a template"] += 1
                    values, chosen = self._values(part, names)
                    operated.update(dict.fromkeys(values))
                    reads.update(dict.fromkeys(chosen))
                continue
            for key in _OPERATED if part is data else ("entity_id",):
                value = part.get(key)
                if isinstance(value, str) and value.strip().lower() == "all":
                    for domain in domains or ():
                        operated.update(dict.fromkeys(sorted(self._targets.every(domain))))
                    continue
                values, chosen = self._values(value, names)
                if not values and isinstance(value, str) and has_template(value):
                    self._problems["target by a template that names no entity"] += 1
                operated.update(dict.fromkeys(values))
                reads.update(dict.fromkeys(chosen))
        named, operated = operated, self._of_domains(operated, domains)
        if named and not operated:
            self._problems["entities of other domains than the service"] += 1
        for part in (target, data):
            if isinstance(part, Mapping):
                operated.update(self._placed(part, domains, service, names))
                for entity_id in self._targets.excluded(part):
                    operated.pop(entity_id, None)
        if isinstance(data, Mapping):
            operated.update(self._of_data(service, data, names))
        if domain_of(service) == "script" and object_id_of(service) not in _OF_ALL_SCRIPTS and is_entity_id(service):
            operated[service] = None
        if not operated and not named:
            self._problems[f"action without an entity: {_kind(domain_of(service))}"] += 1
        return operated, reads

    def _placed(
        self, target: Mapping[Any, Any], domains: frozenset[str] | None, service: str, names: _Names
    ) -> dict[str, None]:
        """What a service operates in the devices, areas, floors and labels of its target: what it can."""
        places = {key: self._place_ids(target.get(key), names) for key in PLACE_KEYS if target.get(key)}
        if not any(places.values()):
            return {}
        found = self._of_domains(dict.fromkeys(sorted(self._targets.in_places(places))), domains)
        able: dict[str, None] = {}
        for entity_id in found:
            features = self._targets.features(entity_id)
            specific = service if domains == frozenset((domain_of(service),)) else ""
            if features is None or supports(specific, features):
                able[entity_id] = None
        return able

    def _place_ids(self, value: Any, names: _Names) -> list[str]:
        ids: list[str] = []
        for item in _listed(value):
            if isinstance(item, str) and has_template(item):
                self._problems["place by a template"] += 1
                for name in ids_in_template(item).names:
                    ids += [text for text in names.meaning(name) if isinstance(text, str) and not has_template(text)]
            elif isinstance(item, str):
                ids += [part.strip() for part in item.split(",")]
        return ids

    def _of_domains(self, ids: dict[str, None], domains: frozenset[str] | None) -> dict[str, None]:
        """Those of ``ids`` that a service acts on: its own domain, groups with such members; or any that can act."""
        if domains is None or "homeassistant" in domains:
            return {id_: None for id_ in ids if domain_of(id_) not in READ_ONLY_DOMAINS}
        if not domains <= OWN_TARGET_DOMAINS:
            return ids
        kept: dict[str, None] = {}
        for entity_id in ids:
            domain = domain_of(entity_id)
            if domain in domains:
                kept[entity_id] = None
            elif domain == "group":
                members = [id_ for id_ in self._targets.opened((entity_id,)) if domain_of(id_) in domains]
                kept.update(dict.fromkeys((entity_id, *members)))
        return kept

    def _of_data(self, service: str, data: Mapping[Any, Any], names: _Names) -> dict[str, None]:
        """Entities that only some services take."""
        found: list[str] = []
        if service == "scene.apply" and isinstance(data.get("entities"), Mapping | list):
            found += self._targets.named(list(data["entities"]))
        elif service == "group.set" and isinstance(data.get("object_id"), str):
            group = f"group.{data['object_id'].lower()}"
            found += [group] if is_entity_id(group) else []
            found += self._values(data.get("entities"), names)[0]
        elif domain_of(service) == "notify":
            found += [id_ for id_ in self._values(data.get("target"), names)[0] if domain_of(id_) in DOMAINS]
        return dict.fromkeys(found)


class _Names:
    """What the variables of a template may stand for."""

    def __init__(
        self,
        variables: Mapping[Any, Any],
        given: Mapping[str, Any],
        triggering: Iterable[str],
        waited: Iterable[str],
        this: str | None,
    ) -> None:
        own = variables.get("variables", variables)
        self._variables: Mapping[Any, Any] = own if isinstance(own, Mapping) else {}
        self._given = given
        self._triggering = triggering
        self._waited = waited
        self._this = this
        self.triggering_used: set[str] = set()

    def meaning(self, name: str) -> Sequence[Any]:
        """The values that ``name``, such as ``light`` or ``trigger.entity_id``, may have."""
        first, _, rest = name.partition(".")
        if _OF_THE_TRIGGER.fullmatch(name):
            self.triggering_used.update(self._triggering)
            return list(self._triggering)
        if _OF_THE_WAIT.fullmatch(name):
            return list(self._waited)
        if name == "this.entity_id":
            return [self._this] if self._this else []
        if first == "repeat":
            return _listed(self._variables.get("repeat"))
        for variables in (self._variables, self._given):
            if first in variables:
                value = variables[first]
                while rest and isinstance(value, Mapping):
                    key, _, rest = rest.partition(".")
                    value = value.get(key, value if not key else None)
                return _listed(value)
        return []

    def filled(self, value: Any) -> Any:
        """A value that a script is given: where it is just a variable, what that stands for."""
        if isinstance(value, str) and has_template(value):
            meanings = [item for name in sorted(ids_in_template(value).names) for item in self.meaning(name)]
            return [value, *meanings] if meanings else value
        return value


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


# -- Which triggers may lead to an action ------------------------------------------------------------------------------

_SET = frozenset[int]


def _allowed_triggers(step: Step, ids: Sequence[str]) -> list[int]:
    """The numbers of the triggers that a step's conditions on ``trigger.id`` let through, in order."""
    everything = frozenset(range(len(ids)))
    allowed = everything
    for guard in step.guards:
        let, exact = _let_through(guard.condition, ids)
        if guard.holds:
            allowed &= let
        elif exact:
            allowed &= everything - let
    for branch in step.failed:
        let, exact = _all_of([_let_through(condition, ids) for condition in branch], everything)
        if exact and branch:
            allowed &= everything - let
    return sorted(allowed)


def _all_of(parts: Iterable[tuple[_SET, bool]], everything: _SET) -> tuple[_SET, bool]:
    let, exact = everything, True
    for inner, inner_exact in parts:
        let, exact = let & inner, exact and inner_exact
    return let, exact


_BY_ID = re.compile(r"\{\{-?\s*trigger\.id\s*(==|in)\s*(.+?)\s*-?\}\}", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'|\"([^\"]*)\"")
_ONLY_IDS = re.compile(r"""[\[(]?\s*(?:'[^']*'|"[^"]*")(?:\s*,\s*(?:'[^']*'|"[^"]*"))*\s*[\])]?""")


def _let_through(condition: Any, ids: Sequence[str]) -> tuple[_SET, bool]:
    """The triggers with which a condition can be true, and whether it is true with each of these and no other."""
    everything = frozenset(range(len(ids)))
    if isinstance(condition, str):
        return _by_template(condition, ids)
    if isinstance(condition, list):
        return _all_of([_let_through(item, ids) for item in condition], everything)
    if not isinstance(condition, Mapping) or is_turned_off(condition):
        return everything, isinstance(condition, Mapping)
    kind = condition.get("condition")
    if kind == "trigger":
        wanted = {str(item) for item in _listed(condition.get("id"))}
        return frozenset(number for number, id_ in enumerate(ids) if id_ in wanted), True
    if kind == "template" and isinstance(condition.get("value_template"), str):
        return _by_template(condition["value_template"], ids)
    for key in ("and", "or", "not"):
        inner = condition.get("conditions") if kind == key else condition.get(key)
        if inner is None:
            continue
        parts = [_let_through(item, ids) for item in _listed(inner)]
        if key == "and":
            return _all_of(parts, everything)
        let = frozenset().union(*(part for part, _ in parts))
        exact = all(is_exact for _, is_exact in parts)
        if key == "or":
            return let, exact
        return (everything - let, True) if exact else (everything, False)
    return everything, False


def _by_template(text: str, ids: Sequence[str]) -> tuple[_SET, bool]:
    """The same for ``{{ trigger.id == 'x' }}`` and ``{{ trigger.id in ['x', 'y'] }}``."""
    match = _BY_ID.fullmatch(text.strip())
    if match is None or _ONLY_IDS.fullmatch(match[2]) is None:
        return frozenset(range(len(ids))), False
    wanted = {first or second for first, second in _QUOTED.findall(match[2])}
    return frozenset(number for number, id_ in enumerate(ids) if id_ in wanted), True
