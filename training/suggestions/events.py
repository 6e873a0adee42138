"""What a trigger does: the events that can start an automation, by domain and device class."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from data_sources import Entity
from home_assistant.domains import PRESENCE_DOMAINS, READ_ONLY_DOMAINS
from home_assistant.entity_id import normalized_entity_id
from home_assistant.household_words import words_of
from home_assistant.services import is_plain

TURN_ON = "take out `initial_state: false`, which keeps it off"
NO_STATE = ("unavailable", "unknown")  # what an entity's state is while it has none


@dataclass(frozen=True)
class Event:
    """Something that a trigger does.

    Attributes:
        kind: What actions are chosen by, such as ``opened``.
        words: What follows the trigger's name in a sentence, such as ``opens``.
        trigger: The trigger of an automation, in Home Assistant's keys.
        adjust: What a person should look at before using it, or "".
        vague: Whether it starts the automation at every change, until a person says which one is meant.
    """

    kind: str
    words: str
    trigger: dict[str, Any]
    adjust: str = ""
    vague: bool = False


# -- What each trigger offers ------------------------------------------------------------------------------------------


class StateEvent(NamedTuple):
    """An event of an entity whose state becomes ``to`` (one of them, where it is a list) and stays so for a while."""

    kind: str
    to: str | list[str]
    words: str
    minutes: int = 0


class ThresholdEvent(NamedTuple):
    """An event of a sensor whose value goes ``above`` or ``below`` one."""

    kind: str
    side: str
    value: float


_MOTION = (StateEvent("occupied", "on", "sees someone"), StateEvent("vacant", "off", "sees nobody for 10 minutes", 10))
_OPENING = (StateEvent("opened", "on", "opens"), StateEvent("closed", "off", "stays closed for a minute", 1))
_ALARM = (StateEvent("alarm", "on", "raises the alarm"),)
_ON_OFF = (StateEvent("on", "on", "turns on"), StateEvent("off", "off", "turns off"))
# By device class of binary_sensor.
BINARY_EVENTS: dict[str, tuple[StateEvent, ...]] = {
    "motion": _MOTION, "moving": _MOTION, "occupancy": _MOTION,
    "presence": (
        StateEvent("occupied", "on", "finds someone"), StateEvent("left", "off", "finds nobody for 10 minutes", 10),
    ),
    "door": _OPENING, "garage_door": _OPENING, "opening": _OPENING, "window": _OPENING,
    "lock": (
        StateEvent("opened", "on", "is unlocked"), StateEvent("closed", "off", "stays locked for a minute", 1),
    ),
    "smoke": _ALARM, "gas": _ALARM, "carbon_monoxide": _ALARM, "safety": _ALARM, "tamper": _ALARM,
    "moisture": (StateEvent("leak", "on", "finds water"),),
    "heat": (StateEvent("hot", "on", "is hot"),), "cold": (StateEvent("cold", "on", "is cold"),),
    "light": (StateEvent("light", "on", "sees light"), StateEvent("dark", "off", "sees no light", 5)),
    "sound": (StateEvent("on", "on", "hears something"),), "vibration": (StateEvent("on", "on", "feels a vibration"),),
    "battery": (StateEvent("fault", "on", "has a low battery"),),
    "connectivity": (StateEvent("fault", "off", "has no connection for 5 minutes", 5),),
    "problem": (StateEvent("fault", "on", "has a problem"),), "update": (StateEvent("fault", "on", "has an update"),),
}  # fmt: skip

# A doorbell is no door: nobody has come in when it rings. What a doorbell's camera sees is motion.
_BELLS = frozenset("bell campanello deurbel ding doorbell klingel ringing sonnette timbre turklingel".split())
_SEES = frozenset("animal beweging bewegung face human motion mouvement occupancy package person vehicle".split())
_BELL_CLASSES = ("", "door", "occupancy", "opening", "sound")
_BELL = (StateEvent("rings", "on", "rings"),)

# By device class of sensor. The values are starting points, never measured.
NUMBER_EVENTS: dict[str, tuple[ThresholdEvent, ...]] = {
    "temperature": (ThresholdEvent("hot", "above", 25), ThresholdEvent("cold", "below", 19)),
    "humidity": (ThresholdEvent("humid", "above", 65), ThresholdEvent("dry", "below", 35)),
    "moisture": (ThresholdEvent("dry", "below", 30), ThresholdEvent("leak", "above", 80)),
    "illuminance": (ThresholdEvent("dark", "below", 30), ThresholdEvent("light", "above", 300)),
    "irradiance": (ThresholdEvent("light", "above", 300), ThresholdEvent("dark", "below", 20)),
    **dict.fromkeys(("aqi", "pm1", "pm10", "pm25"), (ThresholdEvent("stale", "above", 35),)),
    "carbon_dioxide": (ThresholdEvent("stale", "above", 1000),),
    "carbon_monoxide": (ThresholdEvent("alarm", "above", 50),),
    "volatile_organic_compounds": (ThresholdEvent("stale", "above", 500),),
    "power": (ThresholdEvent("on", "above", 10), ThresholdEvent("off", "below", 5)),
    "monetary": (ThresholdEvent("cheap", "below", 0.1), ThresholdEvent("high", "above", 0.3)),
    "distance": (ThresholdEvent("arrived", "below", 1), ThresholdEvent("left", "above", 1)),
    **dict.fromkeys(("speed", "wind_speed"), (ThresholdEvent("windy", "above", 40),)),
    **dict.fromkeys(("precipitation", "precipitation_intensity"), (ThresholdEvent("rain", "above", 0),)),
    "sound_pressure": (ThresholdEvent("high", "above", 60),),
    "battery": (ThresholdEvent("fault", "below", 20),),
}
# Device classes of sensors whose values say nothing by themselves: counters, and what has no usual level.
_NO_EVENTS = frozenset(
    "energy gas water data_size data_rate signal_strength voltage current frequency duration".split()
)

# By domain, in the words of Home Assistant's states.
_STATE_EVENTS: dict[str, tuple[StateEvent, ...]] = {
    **dict.fromkeys("fan group humidifier input_boolean light remote schedule siren switch".split(), _ON_OFF),
    "alarm_control_panel": (
        StateEvent("alarm", "triggered", "is triggered"), StateEvent("left", "armed_away", "is armed"),
    ),
    "alert": (StateEvent("fault", "on", "is raised"),),
    "camera": (StateEvent("on", "recording", "starts to record"),),
    "calendar": (
        StateEvent("on", "on", "has an event that begins"), StateEvent("off", "off", "has an event that ends"),
    ),
    "climate": (
        StateEvent("on", ["heat", "cool", "heat_cool", "auto", "dry", "fan_only"], "starts"),
        StateEvent("off", "off", "stops"),
    ),
    "cover": (StateEvent("opened", "open", "opens"), StateEvent("closed", "closed", "closes")),
    "valve": (StateEvent("opened", "open", "opens"), StateEvent("closed", "closed", "closes")),
    "lawn_mower": (StateEvent("on", "mowing", "starts to mow"), StateEvent("off", "docked", "has docked")),
    "lock": (StateEvent("opened", "unlocked", "is unlocked"), StateEvent("closed", "locked", "is locked")),
    "media_player": (
        StateEvent("playing", "playing", "starts to play"),
        StateEvent("off", ["off", "idle", "standby"], "stops playing"),
    ),
    "plant": (StateEvent("fault", "problem", "has a problem"),),
    "script": (StateEvent("on", "on", "starts to run"), StateEvent("off", "off", "has run")),
    "update": (StateEvent("fault", "on", "has an update"),),
    "vacuum": (StateEvent("on", "cleaning", "starts to clean"), StateEvent("off", "docked", "has docked")),
    "weather": (StateEvent("rain", ["rainy", "pouring", "lightning-rainy"], "says that it rains"),),
}  # fmt: skip
# Domains whose state is the time of their last event -> kind and words of that event.
_LAST_TIME = {
    **dict.fromkeys(("button", "input_button"), ("pressed", "is pressed")),
    **dict.fromkeys(("event", "tag"), ("pressed", "happens")),
    "image": ("changed", "changes"),
    "scene": ("changed", "is set"),
}
# Domains whose entities mean what a person named them for -> kind of event: words of a name that tell it.
_NAMED_BY_PEOPLE = frozenset("binary_sensor input_boolean scene schedule script switch".split())
_KIND_WORDS = {
    "playing": frozenset("cinema film movie".split()),
    "night": frozenset("asleep bedtime goodnight night sleep sleeping".split()),
    "left": frozenset("away bye goodbye holiday leaving vacation".split()),
    "fault": frozenset("error failure fault problem trouble".split()),
}
# The same for what senses how light it is; a scene or a switch of such a name makes it so.
_LIGHT_KIND_WORDS = {
    "light": frozenset("daylight daytime sunlight".split()),
    "dark": frozenset("dark darkness dusk".split()),
}
_SENSING = frozenset(("binary_sensor", "input_boolean"))
# What happens -> words of an option that means it.
OPTION_WORDS = {
    "arrived": frozenset("home present".split()),
    "left": frozenset("away gone out".split()),
    "night": frozenset("asleep bedtime night sleep".split()),
    "playing": frozenset("cinema film movie tv".split()),
}
_LIGHT_WORDS = frozenset(("lamp", "light", "lights"))
_AT_ONCE = re.compile(r" for (a minute|\d+ minutes)$")  # what says how long a state has to last
_NUMBER_DOMAINS = frozenset(("counter", "input_number", "number"))
_CHOICE_DOMAINS = frozenset(("input_select", "select"))


def events_of(trigger: Entity, device_class: str) -> list[Event]:
    """What a trigger of a device class ("" for none) does: first what its name says, then the likeliest first."""
    events = _events_by_class(trigger, device_class)
    words = entity_words(trigger)
    named_by_people = trigger.domain in _NAMED_BY_PEOPLE and device_class not in BINARY_EVENTS
    if not events or not named_by_people or words & _LIGHT_WORDS:
        return events
    note = "what is meant is read off the trigger's name: put in another action if you mean something else"
    telling = {**_KIND_WORDS, **(_LIGHT_KIND_WORDS if trigger.domain in _SENSING else {})}
    meant = [replace(events[0], kind=kind, adjust=note) for kind, own in telling.items() if words & own][:1]
    return [*meant, *events]


def event_at(trigger: Entity, device_class: str, state: str) -> Event:
    """What happens when a trigger comes into ``state``; it need not stay there."""
    entity = normalized_entity_id(trigger.entity_id)
    events = _events_by_class(trigger, device_class)
    if trigger.domain in _LAST_TIME:
        return events[0]
    if trigger.domain == "sun":
        return events[0] if state == "below_horizon" else events[1]
    if trigger.domain in PRESENCE_DOMAINS and state in ("home", "not_home"):
        return events[state != "home"]
    to = {"trigger": "state", "entity_id": entity, "to": state}
    for event in events:
        awaited = event.trigger.get("to")
        if state == awaited or (isinstance(awaited, list) and state in awaited):
            words = _AT_ONCE.sub("", event.words)
            return Event(event.kind, words.replace("stays closed", "closes").replace("stays", "is"), to)
    return Event("changed", f"becomes {state}", to)


def entity_words(entity: Entity) -> set[str]:
    """The words of an entity's id and name."""
    return set(words_of(entity.object_id)) | set(words_of(entity.name or ""))


def _events_by_class(trigger: Entity, device_class: str) -> list[Event]:
    domain, entity = trigger.domain, normalized_entity_id(trigger.entity_id)
    changed = {"trigger": "state", "entity_id": entity, "not_from": list(NO_STATE), "not_to": list(NO_STATE)}
    if domain == "sun":
        return [
            Event("dark", "sets", {"trigger": "sun", "event": "sunset"}),
            Event("light", "rises", {"trigger": "sun", "event": "sunrise"}),
        ]
    if domain in PRESENCE_DOMAINS:
        left = {"trigger": "state", "entity_id": entity, "from": "home", "not_to": list(NO_STATE)}
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
        of_class = BINARY_EVENTS.get(device_class, _ON_OFF)
        return [_state_event(entity, event) for event in (_BELL if _is_bell(trigger, device_class) else of_class)]
    if domain in _STATE_EVENTS:
        return [_state_event(entity, event) for event in _STATE_EVENTS[domain]]
    if domain in _LAST_TIME:
        kind, words = _LAST_TIME[domain]
        return [Event(kind, words, changed)]
    if domain in _CHOICE_DOMAINS:
        note = f"it fires at every choice of {entity}: add `to:` with the option you mean, then {TURN_ON}"
        every = Event("changed", "changes", changed, note, vague=True)
        return [Event("option", "changes", changed), *_option_events(trigger, entity), every]
    if domain in _NUMBER_DOMAINS:
        above = _above(entity, 0)
        return [Event("number", "changes", changed), Event("high", "goes above 0", above, _threshold(entity, 0))]
    if domain == "sensor":
        return [*_option_events(trigger, entity), *_sensor_events(entity, device_class, changed)]
    if domain in READ_ONLY_DOMAINS:
        return []
    note = f"it fires at every change of {entity}: add `to:` with the state you mean, then {TURN_ON}"
    return [Event("changed", "changes", changed, note, vague=True)]


def _is_bell(trigger: Entity, device_class: str) -> bool:
    words = entity_words(trigger)
    return device_class in _BELL_CLASSES and not words.isdisjoint(_BELLS) and words.isdisjoint(_SEES)


def options_of(entity: Entity) -> list[str] | None:
    """The options of a choice that are plain texts; None where they are not known."""
    options = (entity.capabilities or {}).get("options")
    return [option for option in options if is_plain(option)] if isinstance(options, list) else None


def _option_events(trigger: Entity, entity: str) -> list[Event]:
    """What an option means, where its words tell."""
    note = "what is meant is read off the option's name: put in another action if you mean something else"
    return [
        Event(kind, f"becomes {option}", {"trigger": "state", "entity_id": entity, "to": option}, note)
        for option in options_of(trigger) or ()
        for kind, telling in OPTION_WORDS.items()
        if telling.intersection(words_of(option))
    ]


def _state_event(entity: str, event: StateEvent) -> Event:
    lasting = {"for": {"minutes": event.minutes}} if event.minutes else {}
    return Event(event.kind, event.words, {"trigger": "state", "entity_id": entity, "to": event.to, **lasting})


def _sensor_events(entity: str, device_class: str, changed: dict[str, Any]) -> list[Event]:
    if device_class in _NO_EVENTS:
        return []
    events = [
        Event(
            event.kind,
            f"goes {event.side} {event.value}",
            {"trigger": "numeric_state", "entity_id": entity, event.side: event.value},
            _threshold(entity, event.value),
        )
        for event in NUMBER_EVENTS.get(device_class, ())
    ]
    if device_class in NUMBER_EVENTS or (device_class and device_class not in (*BINARY_EVENTS, "enum")):
        number = Event("number", "changes", changed)
        return [number, *events] if events else [number, Event("high", "goes above 0", _above(entity, 0))]
    note = (
        f"it fires at every change of {entity}: add `to:` with the state you mean or use numeric_state, then {TURN_ON}"
    )
    return [Event("changed", "changes", changed, note, vague=True)]


def _above(entity: str, value: float) -> dict[str, Any]:
    return {"trigger": "numeric_state", "entity_id": entity, "above": value}


def _threshold(entity: str, value: float) -> str:
    return f"{value} is a guess: set the value you mean, in the unit of {entity}"
