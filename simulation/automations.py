"""Simulated requests about the entities of a home, each with the automation in Home Assistant's YAML."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple

from simulation.homes import ODD, shuffled

Entity = dict[str, Any]
Home = dict[str, Any]


class Trigger(NamedTuple):
    """A trigger's YAML fields and how people say it; ``on`` where something begins, so that things go on then."""

    on: bool
    fields: dict[str, str]
    requests: tuple[str, ...]


class Action(NamedTuple):
    """An action, its data and how people say it; ``on`` where it switches something on or opens it."""

    on: bool
    action: str
    data: dict[str, str]
    requests: tuple[str, ...]


class Condition(NamedTuple):
    """A condition, and the entity that it needs, named by the start of its id and its device class."""

    entity: str
    device_class: str | None
    fields: dict[str, str]
    requests: tuple[str, ...]


SLOTS: dict[str, tuple[str, ...]] = {
    "hot": ("24", "25", "26", "27", "28"),
    "cold": ("16", "17", "18", "19"),
    "percent": ("60", "65", "70", "75"),
    "ppm": ("900", "1000", "1200"),
    "lux": ("20", "40", "50", "80"),
    "degrees": ("18", "19", "20", "21", "22"),
    "level": ("10", "25", "40", "60", "80"),
    "minutes": ("02", "03", "05", "10", "15"),
    "time": ("06:30", "07:00", "07:45", "08:15", "18:30", "20:00", "22:15", "23:00"),
    "offset": ("15", "30", "45"),
}
DIAGNOSTIC_CLASSES = frozenset(("battery", "signal_strength", "firmware", "energy"))
NUMBERS = frozenset(("above", "below", "brightness_pct", "temperature"))  # fields written as numbers


def _turned(to: str, *requests: str, on: bool = True, wait: bool = False) -> Trigger:
    fields = {"trigger": "state", "entity_id": "{id}", "to": to}
    return Trigger(on, fields | ({"for": "00:{minutes}:00"} if wait else {}), requests)


def _past(bound: str, slot: str, *requests: str, on: bool = True) -> Trigger:
    return Trigger(on, {"trigger": "numeric_state", "entity_id": "{id}", bound: f"{{{slot}}}"}, requests)


# Keyed by domain:device_class, or by domain.
TRIGGERS = {
    "binary_sensor:motion": (
        _turned("on", "when {name} detects motion", "on motion at {name}", "if {name} sees somebody"),
        _turned("on", "as soon as {name} is triggered", "whenever there is movement at {name}"),
        _turned(
            "off", "when {name} has seen nobody for {minutes} minutes", "{minutes} minutes after the last {name}",
            on=False, wait=True,
        ),
    ),
    "binary_sensor:occupancy": (
        _turned("on", "when {name} is occupied", "if {name} detects someone"),
        _turned("off", "when {name} has been clear for {minutes} minutes", on=False, wait=True),
    ),
    "binary_sensor:door": (_turned("on", "when {name} opens", "if {name} is opened", "whenever someone opens {name}"),),
    "binary_sensor:window": (
        _turned("on", "when {name} is open for {minutes} minutes", "if {name} stays open {minutes} minutes",
                on=False, wait=True),
        _turned("on", "when {name} opens", "if {name} is opened", on=False),
    ),
    "binary_sensor:smoke": (_turned("on", "when {name} detects smoke", "if {name} goes off"),),
    "binary_sensor:moisture": (_turned("on", "when {name} gets wet", "if {name} finds water", on=False),),
    "sensor:temperature": (
        _past("above", "hot", "when {name} is above {hot} degrees", "if {name} rises over {hot}"),
        _past("below", "cold", "when {name} falls below {cold} degrees", "if {name} is under {cold}"),
    ),
    "sensor:humidity": (_past("above", "percent", "when {name} is above {percent}%", "if {name} passes {percent}"),),
    "sensor:carbon_dioxide": (_past("above", "ppm", "when {name} is over {ppm} ppm", "if {name} exceeds {ppm}"),),
    "sensor:illuminance": (_past("below", "lux", "when {name} drops below {lux} lux", "if {name} is under {lux} lux"),),
    "sensor:power": (
        Trigger(
            True,
            {"trigger": "numeric_state", "entity_id": "{id}", "below": "5", "for": "00:{minutes}:00"},
            ("when {name} is below 5 W for {minutes} minutes", "once {name} stays under 5 watts {minutes} minutes"),
        ),
    ),
    "event": (Trigger(True, {"trigger": "state", "entity_id": "{id}"}, ("when {name} is pressed", "on {name}")),),
    "light": (_turned("on", "when {name} is switched on", "if {name} goes on"),),
    "switch": (_turned("on", "when {name} is switched on", "if {name} is on"),),
    "media_player": (_turned("playing", "when {name} starts playing", "if {name} plays", on=False),),
    "lock": (_turned("unlocked", "when {name} is unlocked", "if somebody unlocks {name}"),),
    "cover": (_turned("open", "when {name} opens", "if {name} is open"),),
    "person": (
        _turned("not_home", "when {name} leaves home", "if {name} goes out", on=False),
        _turned("home", "when {name} comes home", "as soon as {name} is back"),
    ),
    "input_boolean": (_turned("on", "when {name} is turned on", "if {name} starts", on=False),),
    "alarm_control_panel": (_turned("triggered", "when {name} is triggered", "if {name} goes off"),),
    "timer": (_turned("idle", "when {name} has run out", "after {name}", on=False),),
    "sun": (
        Trigger(True, {"trigger": "sun", "event": "sunset"}, ("at sunset", "when the sun goes down", "at dusk")),
        Trigger(
            True,
            {"trigger": "sun", "event": "sunset", "offset": "-00:{offset}:00"},
            ("{offset} minutes before sunset",),
        ),
        Trigger(False, {"trigger": "sun", "event": "sunrise"}, ("at sunrise", "when the sun comes up")),
    ),
}  # fmt: skip
TIMES = (
    Trigger(True, {"trigger": "time", "at": "{time}:00"}, ("at {time}", "every day at {time}", "daily at {time}")),
    Trigger(False, {"trigger": "time", "at": "{time}:00"}, ("at {time}", "every day at {time}")),
)
_ON = ("turn on {names}", "switch on {names}", "turn {names} on")
_OFF = ("turn off {names}", "switch off {names}", "turn {names} off")
ACTIONS = {
    "light": (
        Action(True, "light.turn_on", {}, _ON),
        Action(
            True, "light.turn_on", {"brightness_pct": "{level}"},
            ("set {names} to {level}%", "dim {names} to {level}%"),
        ),
        Action(False, "light.turn_off", {}, _OFF),
    ),
    "switch": (Action(True, "switch.turn_on", {}, _ON), Action(False, "switch.turn_off", {}, _OFF)),
    "fan": (Action(True, "fan.turn_on", {}, (*_ON, "start {names}")), Action(False, "fan.turn_off", {}, _OFF)),
    "humidifier": (Action(True, "humidifier.turn_on", {}, _ON), Action(False, "humidifier.turn_off", {}, _OFF)),
    "climate": (
        Action(True, "climate.set_temperature", {"temperature": "{degrees}"}, ("set {names} to {degrees} degrees",)),
        Action(False, "climate.set_hvac_mode", {"hvac_mode": "off"}, (*_OFF, "stop heating with {names}")),
    ),
    "cover": (
        Action(True, "cover.open_cover", {}, ("open {names}", "raise {names}")),
        Action(False, "cover.close_cover", {}, ("close {names}", "lower {names}")),
    ),
    "media_player": (
        Action(True, "media_player.media_play", {}, ("play something on {names}", "start music on {names}")),
        Action(False, "media_player.media_pause", {}, ("pause {names}",)),
        Action(False, "media_player.turn_off", {}, _OFF),
    ),
    "lock": (Action(True, "lock.lock", {}, ("lock {names}",)), Action(False, "lock.lock", {}, ("lock {names}",))),
    "siren": (Action(True, "siren.turn_on", {}, ("sound {names}", "set off {names}")),),
    "valve": (Action(False, "valve.close_valve", {}, ("close {names}", "shut {names}")),),
    "vacuum": (Action(False, "vacuum.start", {}, ("start {names}", "let {names} clean")),),
    "alarm_control_panel": (
        Action(False, "alarm_control_panel.alarm_arm_away", {}, ("arm {names}", "activate {names}")),
    ),
    "scene": (Action(True, "scene.turn_on", {}, ("activate {names}",)),),
    "script": (Action(False, "script.turn_on", {}, ("run {names}",)),),
}  # fmt: skip
CONDITIONS = (
    Condition("", None, {"condition": "sun", "after": "sunset"}, ("but only after sunset", "only when it is dark")),
    Condition(
        "", None, {"condition": "time", "after": "22:00:00", "before": "06:00:00"},
        ("only between 22:00 and 06:00", "but only at night"),
    ),
    Condition(
        "", None, {"condition": "template", "value_template": "{{{{ now().weekday() < 5 }}}}"},
        ("but only on weekdays", "Monday to Friday"),
    ),
    Condition(
        "person.", None, {"condition": "state", "entity_id": "{id}", "state": "home"},
        ("but only if {name} is home", "while {name} is at home"),
    ),
    Condition(
        "input_boolean.", None, {"condition": "state", "entity_id": "{id}", "state": "off"},
        ("unless {name} is on", "but not with {name} on"),
    ),
    Condition(
        "sensor.", "illuminance", {"condition": "numeric_state", "entity_id": "{id}", "below": "{lux}"},
        ("but only if {name} is below {lux} lux",),
    ),
    Condition(
        "person.", None, {"condition": "template", "value_template": "{{{{ is_state('{id}', 'not_home') }}}}"},
        ("but only if {name} is away",),
    ),
)  # fmt: skip
FORMS = (
    "{trigger}, {action}", "{action} {trigger}", "please {action} {trigger}", "can you {action} {trigger}",
    "I want to {action} {trigger}", "{trigger} please {action}", "automation: {trigger} {action}",
)  # fmt: skip

OLD_STYLE = 0.25  # automations as they were written before Home Assistant 2024.10
CONDITIONAL = 0.35
BY_CLOCK = 0.12
NAMED = 0.5  # automations with an alias
CONTEXT = (4, 7)  # fewest entities that a request is given with, and one more than most
_OLD_KEYS = {"triggers": "trigger", "conditions": "condition", "actions": "action"}
_PLAIN = re.compile(r"[^\W\d][\w .'/&+%()-]*")
_WORDS = frozenset(("on", "off", "yes", "no", "true", "false", "null", "y", "n"))


def simulate_automations(seed: int, homes: Sequence[Home], count: int) -> list[dict[str, Any]]:
    """``count`` rows of ``yaml_generation`` data on the automations of ``homes``, no two with the same request."""
    rng = Random(f"{seed}:automations")
    candidates = [(home, rows) for home in homes for rows in _automations(home)]
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    while candidates and len(rows) < count:
        home, synergies = rng.choice(candidates)
        row = _row(rng, home, synergies)
        rows.setdefault((row["home_id"], row["input"]), row)
    return list(rows.values())


def _automations(home: Home) -> list[list[dict[str, Any]]]:
    """The synergy rows of each automation that has words for its trigger and its action."""
    known = {entity["entity_id"]: entity for entity in home["entities"]}
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in home["synergies"]:
        if row["relationship"]["type"] != ODD.name and row["synergy_type"] != "condition_action":
            grouped.setdefault(row["automation_id"], []).append(row)
    return [
        rows
        for rows in grouped.values()
        if _triggers(known[rows[0]["entity_1"]]) and _domain(rows[0]["entity_2"]) in ACTIONS
    ]


def _triggers(entity: Entity) -> tuple[Trigger, ...]:
    domain = _domain(entity["entity_id"])
    return TRIGGERS.get(f"{domain}:{entity.get('device_class')}", TRIGGERS.get(domain, ()))


def _domain(entity_id: str) -> str:
    return entity_id.partition(".")[0]


def _row(rng: Random, home: Home, synergies: Sequence[dict[str, Any]]) -> dict[str, Any]:
    known: dict[str, Entity] = {entity["entity_id"]: entity for entity in home["entities"]}
    values = {slot: rng.choice(choices) for slot, choices in SLOTS.items()}
    source = known[synergies[0]["entity_1"]]
    domain = _domain(synergies[0]["entity_2"])
    targets = [e for e in dict.fromkeys(row["entity_2"] for row in synergies) if _domain(e) == domain]

    trigger = rng.choice(TIMES if rng.random() < BY_CLOCK else _triggers(source))
    fitting = [action for action in ACTIONS[domain] if action.on == trigger.on]
    action = rng.choice(fitting or ACTIONS[domain])
    names = _listed(rng, [known[e] for e in targets])
    values |= {"id": source["entity_id"], "name": _said(rng, source), "names": names}
    request = _filled(
        rng.choice(FORMS).format(trigger=rng.choice(trigger.requests), action=rng.choice(action.requests)), values
    )
    parts: dict[str, Any] = {"triggers": [_fields(trigger.fields, values)]}
    involved = [*([source["entity_id"]] if "entity_id" in trigger.fields else []), *targets]
    if rng.random() < CONDITIONAL:
        condition = rng.choice(CONDITIONS)
        asked = _asked(rng, home, condition, [*involved, source["entity_id"]])
        if asked is not None:
            values |= {"id": asked.get("entity_id", ""), "name": _said(rng, asked) if asked else ""}
            request += f", {_filled(rng.choice(condition.requests), values)}"
            parts["conditions"] = [_fields(condition.fields, values)]
            involved += [asked["entity_id"]] if asked else []
    parts["actions"] = [
        {"action": action.action, "target": {"entity_id": targets if len(targets) > 1 else targets[0]}}
        | ({"data": _fields(action.data, values)} if action.data else {})
    ]
    what = values["time"] if "at" in trigger.fields else str(source["name"])
    alias = {"alias": _alias(what, [known[e] for e in targets])} if rng.random() < NAMED else {}
    automation = {**alias, **parts, "mode": "restart" if "for" in trigger.fields else "single"}
    if rng.random() < OLD_STYLE:
        automation = _old_style(automation)
    return {
        "home_id": home["home_id"],
        "input": request,
        "output": _yaml(automation),
        "entities": _context(rng, home, involved),
        "validation_result": {"is_valid": True},
        "ground_truth": {"automation_id": synergies[0]["automation_id"]},
    }


def _said(rng: Random, entity: Entity) -> str:
    name = str(entity["name"])
    if entity["entity_id"].startswith("person.") or rng.random() < 0.3:
        return name
    return f"the {name.lower()}" if rng.random() < 0.5 else name.lower()


def _listed(rng: Random, entities: Sequence[Entity]) -> str:
    *first, last = [_said(rng, entity) for entity in entities]
    return f"{', '.join(first)} and {last}" if first else last


def _alias(what: str, targets: Sequence[Entity]) -> str:
    more = f" +{len(targets) - 1}" if len(targets) > 1 else ""
    return f"{what} - {targets[0]['name']}{more}"


def _filled(text: str, values: dict[str, str]) -> str:
    minutes = values["minutes"].lstrip("0")
    return text.format_map(values | {"minutes": minutes})


def _fields(fields: dict[str, str], values: dict[str, str]) -> dict[str, Any]:
    filled = {key: value.format_map(values) for key, value in fields.items()}
    return {key: int(value) if key in NUMBERS else value for key, value in filled.items()}


def _asked(rng: Random, home: Home, condition: Condition, taken: Sequence[str]) -> Entity | None:
    """An entity for ``condition``: an empty one where it needs none, None where the home has none."""
    if not condition.entity:
        return {}
    found = [
        entity
        for entity in home["entities"]
        if entity["entity_id"].startswith(condition.entity)
        and entity.get("device_class") == condition.device_class
        and entity["entity_id"] not in taken
    ]
    return rng.choice(found) if found else None


def _context(rng: Random, home: Home, involved: Sequence[str]) -> list[str]:
    """The entities involved among others of the home, in random order."""
    low, high = CONTEXT
    others = [
        e["entity_id"]
        for e in home["entities"]
        if e["entity_id"] not in involved and e.get("device_class") not in DIAGNOSTIC_CLASSES
    ]
    wanted = max(len(involved), low + rng.randrange(high - low))
    return shuffled(rng, [*involved, *shuffled(rng, others)[: wanted - len(involved)]])


def _old_style(automation: dict[str, Any]) -> dict[str, Any]:
    """``automation`` with the keys that Home Assistant used before 2024.10."""
    old = {_OLD_KEYS.get(key, key): value for key, value in automation.items()}
    old["trigger"] = [{"platform" if k == "trigger" else k: v for k, v in item.items()} for item in old["trigger"]]
    old["action"] = [{"service" if k == "action" else k: v for k, v in item.items()} for item in old["action"]]
    return old


def _yaml(value: dict[str, Any]) -> str:
    return "\n".join(_lines(value)) + "\n"


def _lines(value: dict[str, Any]) -> list[str]:
    """``value`` in YAML block style, keys in their order."""
    lines = []
    for key, item in value.items():
        if isinstance(item, dict):
            lines += [f"{key}:", *(f"  {line}" for line in _lines(item))]
        elif isinstance(item, list):
            lines.append(f"{key}:")
            for entry in item:
                first, *rest = _lines(entry) if isinstance(entry, dict) else [_scalar(entry)]
                lines += [f"  - {first}", *(f"    {line}" for line in rest)]
        else:
            lines.append(f"{key}: {_scalar(item)}")
    return lines


def _scalar(value: str | int) -> str:
    """A number or a plain word as it stands, every other text in double quotes."""
    if isinstance(value, int) or (_PLAIN.fullmatch(value) and value.lower() not in _WORDS):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
