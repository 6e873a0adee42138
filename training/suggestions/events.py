"""What a trigger does: the events that an automation can start from, by domain and device class."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from data_sources import Entity
from home_assistant.domains import PRESENCE_DOMAINS, READ_ONLY_DOMAINS
from home_assistant.entity_id import normalized_entity_id
from home_assistant.household_words import words_of

GONE = ["unavailable", "unknown"]


@dataclass(frozen=True)
class Event:
    """Something a trigger does: ``kind`` is what actions are chosen by, ``words`` go on after the trigger's name."""

    kind: str
    words: str
    trigger: dict[str, Any]
    adjust: str = ""


# -- What triggers offer -----------------------------------------------------------------------------------------------

# binary_sensor's device classes -> events as (kind, state, words, minutes it has to last).
_MOTION = (("came", "on", "sees someone", 0), ("gone", "off", "sees nobody for 10 minutes", 10))
_OPENING = (("opened", "on", "opens", 0), ("closed", "off", "stays closed for a minute", 1))
_ALARM = (("alarm", "on", "raises the alarm", 0),)
BINARY_EVENTS: dict[str, tuple[tuple[str, str, str, int], ...]] = {
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
NUMBER_EVENTS: dict[str, tuple[tuple[str, str, float], ...]] = {
    "temperature": (("hot", "above", 25), ("cold", "below", 19)),
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


def events_of(trigger: Entity, device_class: str) -> list[Event]:
    """What a trigger does, in the order in which it is likely meant; what its name says comes first."""
    events = _plain_events(trigger, device_class)
    words = entity_words(trigger)
    if (
        not events
        or trigger.domain not in _NAMED
        or device_class in BINARY_EVENTS
        or words & {"lamp", "light", "lights"}
    ):
        return events
    note = "what is meant is read off the trigger's name: put in another action if you mean something else"
    meant = [replace(events[0], kind=kind, adjust=note) for kind, said in _MEANING.items() if words & said][:1]
    return [*meant, *events]


def entity_words(entity: Entity) -> set[str]:
    """The words of an entity's id and name."""
    return set(words_of(entity.object_id)) | set(words_of(entity.name or ""))


def _plain_events(trigger: Entity, device_class: str) -> list[Event]:
    domain, entity = trigger.domain, normalized_entity_id(trigger.entity_id)
    changed = {"trigger": "state", "entity_id": entity, "not_from": list(GONE), "not_to": list(GONE)}
    if domain == "sun":
        return [
            Event("dark", "sets", {"trigger": "sun", "event": "sunset"}),
            Event("light", "rises", {"trigger": "sun", "event": "sunrise"}),
        ]
    if domain in PRESENCE_DOMAINS:
        left = {"trigger": "state", "entity_id": entity, "from": "home", "not_to": list(GONE)}
        return [
            Event("arrived", "comes home", {"trigger": "state", "entity_id": entity, "to": "home"}),
            Event("left", "leaves home", left),
        ]
    if domain == "zone":
        return [
            Event("left", "is empty", {"trigger": "numeric_state", "entity_id": entity, "below": 1}),
            Event("arrived", "is no longer empty", {"trigger": "numeric_state", "entity_id": entity, "above": 0}),
        ]
    if domain == "timer":
        finished = {"trigger": "event", "event_type": "timer.finished", "event_data": {"entity_id": entity}}
        return [Event("elapsed", "has run out", finished)]
    if domain == "automation":
        ran = {"trigger": "event", "event_type": "automation_triggered", "event_data": {"entity_id": entity}}
        return [Event("on", "runs", ran)]
    if domain == "input_datetime" or (domain == "sensor" and device_class == "timestamp"):
        note = "" if domain == "sensor" else f"{entity} needs a time of day for this"
        return [Event("time", "is reached", {"trigger": "time", "at": entity}, note)]
    if domain == "binary_sensor":
        states = BINARY_EVENTS.get(device_class, (("on", "on", "turns on", 0), ("off", "off", "turns off", 0)))
        return [
            Event(kind, words, {"trigger": "state", "entity_id": entity, "to": to, **_lasting(minutes)})
            for kind, to, words, minutes in states
        ]
    if domain in _STATES:
        return [
            Event(kind, words, {"trigger": "state", "entity_id": entity, "to": to})
            for kind, to, words in _STATES[domain]
        ]
    if domain in _PRESSED:
        return [Event(*_PRESSED[domain], changed)]
    if domain in _CHOICES:
        note = f"it fires at every choice of {entity}: add `to:` with the option you mean"
        return [Event("option", "changes", changed), Event("changed", "changes", changed, note)]
    if domain in _VALUES:
        above = _above(entity, 0)
        return [Event("number", "changes", changed), Event("high", "goes above 0", above, _threshold(entity, 0))]
    if domain == "sensor":
        return _sensor_events(entity, device_class, changed)
    if domain in READ_ONLY_DOMAINS:
        return []
    note = f"it fires at every change of {entity}: add `to:` with the state you mean"
    return [Event("changed", "changes", changed, note)]


def _sensor_events(entity: str, device_class: str, changed: dict[str, Any]) -> list[Event]:
    if device_class in _COUNTING:
        return []
    events = [
        Event(
            kind,
            f"goes {side} {value}",
            {"trigger": "numeric_state", "entity_id": entity, side: value},
            _threshold(entity, value),
        )
        for kind, side, value in NUMBER_EVENTS.get(device_class, ())
    ]
    if device_class in NUMBER_EVENTS or (device_class and device_class not in BINARY_EVENTS):
        number = [Event("number", "changes", changed)] if device_class != "enum" else []
        return [*number, *events] if events else [*number, Event("high", "goes above 0", _above(entity, 0))]
    note = f"it fires at every change of {entity}: add `to:` with the state you mean, or use numeric_state"
    return [Event("changed", "changes", changed, note)]


def _lasting(minutes: int) -> dict[str, Any]:
    return {"for": {"minutes": minutes}} if minutes else {}


def _above(entity: str, value: float) -> dict[str, Any]:
    return {"trigger": "numeric_state", "entity_id": entity, "above": value}


def _threshold(entity: str, value: float) -> str:
    return f"{value} is a guess: set the value you mean, in the unit of {entity}"
