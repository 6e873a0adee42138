"""From a pair of entities to a Home Assistant automation, ready to be looked over by a person.

A trigger offers events in the order in which they are likely meant (motion seen, then nobody there for a while), and
the action's domain says what it does at which of them (a light turns on when motion is seen; a lock never opens, so it
waits until nobody is there). The first event that both know is taken. Where there is none the pair has no recipe.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from data_sources import Entity
from training.graph import READ_ONLY_DOMAINS
from training.words import words_of

# What Home Assistant accepts as an entity id (homeassistant.core.valid_entity_id), after it has lowered its case.
_ENTITY_ID = re.compile(r"(?!.+__)(?!_)[a-z0-9_]+(?<!_)\.(?!_)[a-z0-9_]+(?<!_)")
_GONE = ["unavailable", "unknown"]
ABSENCE = {"minutes": 5}  # how long nobody is seen before what motion switched on goes off again


class NoRecipeError(ValueError):
    """No sensible automation is known for a pair; the message says why, in words that fit many pairs."""


@dataclass(frozen=True)
class Recipe:
    """An automation in Home Assistant's own keys, and what a person should look at before using it."""

    automation: dict[str, Any]
    adjust: tuple[str, ...]


@dataclass(frozen=True)
class _Event:
    """Something a trigger does: ``kind`` is what actions are chosen by, ``words`` go on after the trigger's name."""

    kind: str
    words: str
    trigger: dict[str, Any]
    adjust: str = ""


@dataclass(frozen=True)
class _Do:
    """What to do at an event; ``words`` go before the action's name."""

    words: str
    service: str
    data: dict[str, Any] = field(default_factory=dict)
    adjust: str = ""
    conditions: tuple[dict[str, Any], ...] = ()


def write_automation(
    trigger: Entity,
    trigger_class: str,
    actions: Sequence[Entity],
    action_class: str,
    entity_ids: Collection[str] = (),
    description: str = "",
) -> Recipe:
    """The automation of a trigger and one action, or several of one domain that act together.

    Args:
        trigger: The entity that begins it.
        trigger_class: Its device class, "" where none is known or guessed.
        actions: What acts, entities of the same home and of one domain.
        action_class: As ``trigger_class``, of the first of them.
        entity_ids: What else the home has; announcements need a ``tts`` entity.
        description: Goes into the automation.

    Raises:
        NoRecipeError: The pair cannot be automated sensibly.
    """
    for entity in (trigger, *actions):
        if not _ENTITY_ID.fullmatch(entity.entity_id.lower()):
            raise NoRecipeError("Home Assistant does not accept the entity's id")
    dos = _actions(actions[0], action_class, sorted(i for i in entity_ids if i.startswith("tts.")))
    events = _events(trigger, trigger_class)
    if "left" in dos:
        dos = {"night": dos["left"], **dos}
    preferred = [kind for kind in _PREFERRED.get(actions[0].domain, ()) if kind in dos]
    event = next((e for kinds in (preferred, dos) for e in events if e.kind in kinds), None)
    if event is None and "*" in dos:
        event = next((e for e in events if e.kind not in ("number", "option")), None)
    if event is None:
        kind = with_article(f"{trigger_class} {trigger.domain}".strip())
        raise NoRecipeError(f"nothing sensible comes of {kind} and {with_article(actions[0].domain)}")
    do = dos.get(event.kind) or dos["*"]
    return _assembled(trigger, actions, event, do, description)


def name_of(entity: Entity) -> str:
    """What people call an entity: its name, else its id in plain words."""
    return one_line(entity.name or "") or entity.entity_id.partition(".")[2].replace("_", " ").strip().capitalize()


def one_line(text: str) -> str:
    """A text on one line: what cannot be printed, which line breaks of all kinds are, becomes a space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def with_article(kind: str) -> str:
    """``a light``, ``an input boolean``, ``the sun``; underscores are spaces."""
    kind = kind.replace("_", " ")
    article = "the" if kind in ("sun", "weather") else "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind}"


def _assembled(trigger: Entity, actions: Sequence[Entity], event: _Event, do: _Do, description: str) -> Recipe:
    ids = [entity.entity_id.lower() for entity in actions]
    said = f"{name_of(trigger)} {event.words}"
    target = {"entity_id": ids[0] if len(ids) == 1 else ids}
    data = {key: _filled(value, said, ids) for key, value in do.data.items()}
    if do.service == "tts.speak":
        target = {"entity_id": data.pop("tts")}
    step = {"action": do.service, "target": target, **({"data": data} if data else {})}
    steps: list[dict[str, Any]] = [step]
    conditions = [{**condition} for condition in do.conditions]
    for condition in conditions:
        if condition.get("entity_id") == "{action}":
            condition["entity_id"] = ids[0]
    mode = "single"
    if event.kind == "came" and do.service == "light.turn_on":
        waited = {"trigger": "state", "entity_id": trigger.entity_id.lower(), "to": "off", "for": dict(ABSENCE)}
        steps += [{"wait_for_trigger": [waited]}, {"action": "light.turn_off", "target": dict(target)}]
        mode = "restart"
    if event.kind == "arrived" and actions[0].domain == "light":
        conditions.append({"condition": "state", "entity_id": "sun.sun", "state": "below_horizon"})
    what = name_of(actions[0]) if len(ids) == 1 else f"{name_of(actions[0])} and {len(ids) - 1} like it"
    automation = {
        "alias": f"{said}: {do.words.format(name=what)}",
        "description": description,
        "triggers": [event.trigger],
        "conditions": conditions,
        "actions": steps,
        "mode": mode,
    }
    return Recipe(automation, tuple(note for note in (event.adjust, do.adjust) if note))


def _filled(value: Any, said: str, ids: Sequence[str]) -> Any:
    if value == "{said}":
        return said.replace("{", "(").replace("}", ")")  # a name is no template
    return (ids[0] if len(ids) == 1 else list(ids)) if value == "{action}" else value


# -- What triggers offer -----------------------------------------------------------------------------------------------

# binary_sensor's device classes -> events as (kind, state, words, minutes it has to last).
_MOTION = (("came", "on", "sees someone", 0), ("gone", "off", "sees nobody for 10 minutes", 10))
_OPENING = (("opened", "on", "opens", 0), ("closed", "off", "stays closed for a minute", 1))
_ALARM = (("alarm", "on", "raises the alarm", 0),)
_BINARY: dict[str, tuple[tuple[str, str, str, int], ...]] = {
    "motion": _MOTION, "moving": _MOTION, "occupancy": _MOTION,
    "presence": (("came", "on", "finds someone", 0), ("left", "off", "finds nobody for 10 minutes", 10)),
    "door": _OPENING, "garage_door": _OPENING, "opening": _OPENING, "window": _OPENING,
    "lock": (("opened", "on", "is unlocked", 0), ("closed", "off", "stays locked for a minute", 1)),
    "smoke": _ALARM, "gas": _ALARM, "carbon_monoxide": _ALARM, "safety": _ALARM, "tamper": _ALARM,
    "moisture": (("leak", "on", "finds water", 0),),
    "heat": (("hot", "on", "is hot", 0),), "cold": (("cold", "on", "is cold", 0),),
    "light": (("light", "on", "sees light", 0), ("dark", "off", "sees no light", 5)),
    "sound": (("on", "on", "hears something", 0),), "vibration": (("on", "on", "feels a vibration", 0),),
    "battery": (("fault", "on", "has a low battery", 0),),
    "connectivity": (("fault", "off", "has no connection for 5 minutes", 5),),
    "problem": (("fault", "on", "has a problem", 0),), "update": (("fault", "on", "has an update", 0),),
}  # fmt: skip

# sensor's device classes -> events as (kind, above or below, value). The values are starting points, never measured.
_NUMBERS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "temperature": (("hot", "above", 25), ("cold", "below", 19)),
    "apparent_temperature": (("hot", "above", 27), ("cold", "below", 19)),
    "humidity": (("humid", "above", 65), ("dry", "below", 35)),
    "moisture": (("dry", "below", 30), ("leak", "above", 80)),
    "illuminance": (("dark", "below", 30), ("light", "above", 300)),
    "irradiance": (("light", "above", 300), ("dark", "below", 20)),
    **dict.fromkeys(("aqi", "pm1", "pm10", "pm25"), (("stale", "above", 35),)),
    "carbon_dioxide": (("stale", "above", 1000),),
    "carbon_monoxide": (("alarm", "above", 50),),
    "volatile_organic_compounds": (("stale", "above", 500),),
    "power": (("on", "above", 10), ("off", "below", 5)),
    "monetary": (("cheap", "below", 0.1), ("high", "above", 0.3)),
    "distance": (("arrived", "below", 1), ("left", "above", 1)),
    "speed": (("windy", "above", 40),), "wind_speed": (("windy", "above", 40),),
    "precipitation": (("rain", "above", 0),), "precipitation_intensity": (("rain", "above", 0),),
    "sound_pressure": (("high", "above", 60),), "battery": (("fault", "below", 20),),
}  # fmt: skip
_COUNTING = frozenset("energy gas water data_size data_rate signal_strength voltage current frequency duration".split())

# domain -> events as (kind, state or states, words).
_ON_OFF = (("on", "on", "turns on"), ("off", "off", "turns off"))
_STATES: dict[str, tuple[tuple[str, str | list[str], str], ...]] = {
    **dict.fromkeys("fan group humidifier input_boolean light remote schedule siren switch".split(), _ON_OFF),
    "alarm_control_panel": (("alarm", "triggered", "is triggered"), ("left", "armed_away", "is armed")),
    "alert": (("fault", "on", "is raised"),),
    "camera": (("on", "recording", "starts to record"),),
    "calendar": (("on", "on", "has an event that begins"), ("off", "off", "has an event that ends")),
    "climate": (("on", ["heat", "cool", "heat_cool", "auto", "dry", "fan_only"], "starts"), ("off", "off", "stops")),
    "cover": (("opened", "open", "opens"), ("closed", "closed", "closes")),
    "valve": (("opened", "open", "opens"), ("closed", "closed", "closes")),
    "lawn_mower": (("on", "mowing", "starts to mow"), ("off", "docked", "has docked")),
    "lock": (("opened", "unlocked", "is unlocked"), ("closed", "locked", "is locked")),
    "media_player": (("playing", "playing", "starts to play"), ("off", ["off", "idle", "standby"], "stops playing")),
    "plant": (("fault", "problem", "has a problem"),),
    "script": (("on", "on", "starts to run"), ("off", "off", "has run")),
    "update": (("fault", "on", "has an update"),),
    "vacuum": (("on", "cleaning", "starts to clean"), ("off", "docked", "has docked")),
    "weather": (("rain", ["rainy", "pouring", "lightning-rainy"], "says that it rains"),),
}
# Their state is when it last happened.
_PRESSED = {
    **dict.fromkeys(("button", "input_button"), ("pressed", "is pressed")),
    **dict.fromkeys(("event", "tag"), ("pressed", "happens")),
    "image": ("changed", "changes"),
    "scene": ("changed", "is set"),
}
# Domains that mean whatever a person named them for -> kind: words that tell it.
_NAMED = frozenset("binary_sensor input_boolean scene schedule script switch".split())
_MEANING = {
    "playing": frozenset("cinema film movie".split()),
    "night": frozenset("asleep bedtime goodnight night sleep sleeping".split()),
    "left": frozenset("away bye goodbye holiday leaving vacation".split()),
}
_VALUES = frozenset("counter input_number number".split())
_CHOICES = frozenset("input_select select".split())


def _events(trigger: Entity, device_class: str) -> list[_Event]:
    """What a trigger does, in the order in which it is likely meant; what its name says comes first."""
    events = _plain_events(trigger, device_class)
    words = _words(trigger)
    if not events or trigger.domain not in _NAMED or device_class in _BINARY or words & {"lamp", "light", "lights"}:
        return events
    note = "what is meant is read off the trigger's name: put in another action if you mean something else"
    meant = [replace(events[0], kind=kind, adjust=note) for kind, said in _MEANING.items() if words & said][:1]
    return [*meant, *events]


def _words(entity: Entity) -> set[str]:
    return set(words_of(entity.entity_id.partition(".")[2])) | set(words_of(entity.name or ""))


def _plain_events(trigger: Entity, device_class: str) -> list[_Event]:
    domain, entity = trigger.domain, trigger.entity_id.lower()
    changed = {"trigger": "state", "entity_id": entity, "not_from": list(_GONE), "not_to": list(_GONE)}
    if domain == "sun":
        return [
            _Event("dark", "sets", {"trigger": "sun", "event": "sunset"}),
            _Event("light", "rises", {"trigger": "sun", "event": "sunrise"}),
        ]
    if domain in ("person", "device_tracker"):
        left = {"trigger": "state", "entity_id": entity, "from": "home", "not_to": list(_GONE)}
        return [
            _Event("arrived", "comes home", {"trigger": "state", "entity_id": entity, "to": "home"}),
            _Event("left", "leaves home", left),
        ]
    if domain == "zone":
        return [
            _Event("left", "is empty", {"trigger": "numeric_state", "entity_id": entity, "below": 1}),
            _Event("arrived", "is no longer empty", {"trigger": "numeric_state", "entity_id": entity, "above": 0}),
        ]
    if domain == "timer":
        finished = {"trigger": "event", "event_type": "timer.finished", "event_data": {"entity_id": entity}}
        return [_Event("elapsed", "has run out", finished)]
    if domain == "automation":
        ran = {"trigger": "event", "event_type": "automation_triggered", "event_data": {"entity_id": entity}}
        return [_Event("on", "runs", ran)]
    if domain == "input_datetime" or (domain == "sensor" and device_class == "timestamp"):
        note = "" if domain == "sensor" else f"{entity} needs a time of day for this"
        return [_Event("time", "is reached", {"trigger": "time", "at": entity}, note)]
    if domain == "binary_sensor":
        states = _BINARY.get(device_class, (("on", "on", "turns on", 0), ("off", "off", "turns off", 0)))
        return [
            _Event(kind, words, {"trigger": "state", "entity_id": entity, "to": to, **_lasting(minutes)})
            for kind, to, words, minutes in states
        ]
    if domain in _STATES:
        return [
            _Event(kind, words, {"trigger": "state", "entity_id": entity, "to": to})
            for kind, to, words in _STATES[domain]
        ]
    if domain in _PRESSED:
        return [_Event(*_PRESSED[domain], changed)]
    if domain in _CHOICES:
        note = f"it fires at every choice of {entity}: add `to:` with the option you mean"
        return [_Event("option", "changes", changed), _Event("changed", "changes", changed, note)]
    if domain in _VALUES:
        above = _above(entity, 0)
        return [_Event("number", "changes", changed), _Event("high", "goes above 0", above, _threshold(entity, 0))]
    if domain == "sensor":
        return _sensor_events(entity, device_class, changed)
    if domain in READ_ONLY_DOMAINS:
        return []
    note = f"it fires at every change of {entity}: add `to:` with the state you mean"
    return [_Event("changed", "changes", changed, note)]


def _sensor_events(entity: str, device_class: str, changed: dict[str, Any]) -> list[_Event]:
    if device_class in _COUNTING:
        return []
    events = [
        _Event(
            kind,
            f"goes {side} {value}",
            {"trigger": "numeric_state", "entity_id": entity, side: value},
            _threshold(entity, value),
        )
        for kind, side, value in _NUMBERS.get(device_class, ())
    ]
    if device_class in _NUMBERS or (device_class and device_class not in _BINARY):
        number = [_Event("number", "changes", changed)] if device_class != "enum" else []
        return [*number, *events] if events else [*number, _Event("high", "goes above 0", _above(entity, 0))]
    note = f"it fires at every change of {entity}: add `to:` with the state you mean, or use numeric_state"
    return [_Event("changed", "changes", changed, note)]


def _lasting(minutes: int) -> dict[str, Any]:
    return {"for": {"minutes": minutes}} if minutes else {}


def _above(entity: str, value: float) -> dict[str, Any]:
    return {"trigger": "numeric_state", "entity_id": entity, "above": value}


def _threshold(entity: str, value: float) -> str:
    return f"{value} is a guess: set the value you mean, in the unit of {entity}"


# -- What actions do ---------------------------------------------------------------------------------------------------

_SAME_RANGE = "it copies every change: the two need one unit and range"
_NEEDS_CODE = "add `code:` to the data where the panel asks for one"
_HEATS = frozenset("floor heat heated heater heating radiator trv".split())
_COOLS = frozenset("ac aircon airco conditioner cooler".split())
# What is meant first where a trigger offers several.
_PREFERRED = {"climate": ("cold", "left"), "lawn_mower": ("left",), "vacuum": ("left",)}
_NOTHING_KNOWN = frozenset("alert camera conversation date datetime image stt time todo tts update wake_word".split())


def _actions(action: Entity, device_class: str, speakers: Sequence[str]) -> Mapping[str, _Do]:
    """Event kind -> what an entity does at it, ``*`` standing for all others."""
    domain, words = action.domain, _words(action)
    if domain in READ_ONLY_DOMAINS or domain in _NOTHING_KNOWN:
        raise NoRecipeError(f"{with_article(domain)} only reports, or needs more than its id to act")
    if domain == "media_player":
        return {**_ACTIONS[domain], **_announced(speakers)}
    if domain == "climate" and words & _HEATS:
        return {kind: do for kind, do in _ACTIONS[domain].items() if kind != "hot"}
    if domain == "climate" and words & _COOLS:
        return {kind: do for kind, do in _ACTIONS[domain].items() if kind != "cold"}
    if domain == "cover" and device_class in ("door", "garage", "gate"):
        return _GATE
    if domain in _ACTIONS:
        return _ACTIONS[domain]
    note = f"homeassistant.turn_on is a fallback: put in what {with_article(domain)} should do"
    return {
        "*": _Do("turn on {name}", "homeassistant.turn_on", adjust=note),
        **dict.fromkeys(("elapsed", "left", "off"), _Do("turn off {name}", "homeassistant.turn_off", adjust=note)),
    }


def _announced(speakers: Sequence[str]) -> dict[str, _Do]:
    if not speakers:
        return {}
    data = {"tts": speakers[0], "media_player_entity_id": "{action}", "message": "{said}"}
    say = _Do("announce it on {name}", "tts.speak", data, "put the message in your own words")
    return dict.fromkeys(("alarm", "closed", "elapsed", "fault", "leak", "opened"), say)


def _switched(domain: str, on: str, off: str = "", toggle: str = "") -> dict[str, _Do]:
    """Event kinds, separated by spaces, at which such an entity turns on, off and over."""
    table = {}
    for words, service, kinds in (("on", "turn_on", on), ("off", "turn_off", off), ("over", "toggle", toggle)):
        verb = "toggle {name}" if service == "toggle" else f"turn {words} {{name}}"
        table.update(dict.fromkeys(kinds.split(), _Do(verb, f"{domain}.{service}")))
    return table


def _call(words: str, service: str, kinds: str, adjust: str = "", **data: Any) -> dict[str, _Do]:
    spoken = words if "{name}" in words else f"{words} {{name}}"
    return dict.fromkeys(kinds.split(), _Do(spoken, service, data, adjust))


_ON = "alarm arrived came changed dark high leak on opened playing time"
_PRESET = "not every climate has this preset: put in one that yours has"
_ACTIONS: dict[str, Mapping[str, _Do]] = {
    "alarm_control_panel": {
        **_call("arm", "alarm_control_panel.alarm_arm_away", "left on time", _NEEDS_CODE),
        **_call("arm {name} for the night", "alarm_control_panel.alarm_arm_night", "night", _NEEDS_CODE),
        **dict.fromkeys(
            ("came", "opened"),
            _Do(
                "trigger {name} if it is armed",
                "alarm_control_panel.alarm_trigger",
                conditions=({"condition": "state", "entity_id": "{action}", "state": "armed_away"},),
            ),
        ),
        **_call("trigger", "alarm_control_panel.alarm_trigger", "alarm"),
    },
    "automation": _call("run", "automation.trigger", "*"),
    "button": _call("press", "button.press", "*"),
    "input_button": _call("press", "input_button.press", "*"),
    "climate": {
        **_call("heat with", "climate.set_hvac_mode", "cold", "your climate may have another mode", hvac_mode="heat"),
        **_call("cool with", "climate.set_hvac_mode", "hot", "your climate may have another mode", hvac_mode="cool"),
        **_call("set {name} to away", "climate.set_preset_mode", "left", _PRESET, preset_mode="away"),
        **_call("set {name} to home", "climate.set_preset_mode", "arrived", _PRESET, preset_mode="home"),
        **_call("set {name} to sleep", "climate.set_preset_mode", "night", _PRESET, preset_mode="sleep"),
        **_switched("climate", "came cheap closed light on time", "elapsed off opened", "pressed"),
    },
    "counter": _call("count on", "counter.increment", "*"),
    "cover": {
        **_call("close", "cover.close_cover", "cold dark gone hot left playing rain windy"),
        **_call("open", "cover.open_cover", "alarm light time"),
        **_call("open", "cover.open_cover", "on", "put in cover.close_cover if you mean that"),
        **_call("open or close", "cover.toggle", "pressed"),
    },
    "fan": _switched("fan", f"{_ON} cheap hot humid stale", "cold dry elapsed gone left light off", "pressed"),
    "humidifier": _switched("humidifier", "arrived came cheap dry humid on time", "elapsed left off opened", "pressed"),
    "input_boolean": _switched("input_boolean", f"{_ON} rain", "elapsed gone left light off", "pressed"),
    "input_datetime": _call(
        "note the time in", "input_datetime.set_datetime", "*", timestamp="{{ now().timestamp() }}"
    ),
    "input_number": {
        **_call(
            "copy the value to", "input_number.set_value", "number", value="{{ trigger.to_state.state | float(0) }}",
            adjust=_SAME_RANGE,
        ),
        **_call("raise", "input_number.increment", "pressed"),
    },
    "number": _call(
        "copy the value to", "number.set_value", "number", value="{{ trigger.to_state.state | float(0) }}",
        adjust=_SAME_RANGE,
    ),
    "input_text": _call("note it in", "input_text.set_value", "*", value="{said}"),
    "text": _call("note it in", "text.set_value", "*", value="{said}"),
    **{
        domain: {
            **_call(
                "choose the same in", f"{domain}.select_option", "option", option="{{ trigger.to_state.state }}",
                adjust="both need the same options",
            ),
            **_call("choose the next of", f"{domain}.select_next", "pressed"),
            **_call("set", f"{domain}.select_first", "*", f"put in {domain}.select_option with the option you mean"),
        }
        for domain in ("input_select", "select")
    },
    "lawn_mower": {
        **_call("start", "lawn_mower.start_mowing", "left light on pressed time"),
        **_call("send {name} home", "lawn_mower.dock", "arrived dark night rain"),
    },
    "light": {
        **_switched("light", _ON.replace(" playing", ""), "elapsed gone left light off", "pressed"),
        **_call("dim", "light.turn_on", "playing", brightness_pct=20),
    },
    "lock": _call("lock", "lock.lock", "closed dark elapsed gone left off pressed time"),
    "media_player": {
        **_switched("media_player", "arrived came on pressed time", "elapsed gone left off"),
        **_call("pause", "media_player.media_pause", "playing"),
    },
    "notify": _call("tell", "notify.send_message", "*", message="{said}"),
    "remote": _switched("remote", "came on playing time", "elapsed left off", "pressed"),
    "scene": _call("set", "scene.turn_on", "*"),
    "script": _call("run", "script.turn_on", "*"),
    "siren": _switched("siren", "alarm leak opened", "elapsed"),
    "switch": _switched("switch", f"{_ON} cheap hot humid stale", "cold dry elapsed gone left light off", "pressed"),
    "timer": _call("start", "timer.start", "*"),
    "vacuum": {
        **_call("start", "vacuum.start", "left on pressed time"),
        **_call("send {name} home", "vacuum.return_to_base", "arrived came dark night"),
    },
    "valve": {
        **_call("close", "valve.close_valve", "alarm elapsed leak left off rain"),
        **_call("open", "valve.open_valve", "dry on time"),
        **_call("open or close", "valve.toggle", "pressed"),
    },
    "water_heater": _switched("water_heater", "arrived cheap on time", "elapsed left off"),
}  # fmt: skip
# A garage or a gate is never opened by itself.
_GATE = _call("close", "cover.close_cover", "dark elapsed gone left on pressed time")
