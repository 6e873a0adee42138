"""What an entity does at an event: the action to take, by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_sources import Entity
from home_assistant.domains import READ_ONLY_DOMAINS
from home_assistant.household_words import canonical_word
from training.suggestions.events import entity_words


class NoRecipeError(ValueError):
    """No sensible automation is known for a pair; the message says why, in words that fit many pairs."""


@dataclass(frozen=True)
class Step:
    """What to do at an event.

    Attributes:
        words: A sentence's verb and ``{name}``, which stands for the entity's name.
        service: Such as ``light.turn_on``.
        data: The service's data. ``{said}`` stands for what happened, ``{action}`` for the entities, ``{trigger}``
            for the entity that started it.
        adjust: What a person should look at before using it, or "".
        settled_by: The capability that makes ``adjust`` needless where it is known, or "".
        conditions: What has to hold for it.
        instead: What to do where the entity does not support this, the best first.
        longest: Characters that a text of ``data`` may have; None for any number.
        shortest: Characters that it needs.
    """

    words: str
    service: str
    data: dict[str, Any] = field(default_factory=dict)
    adjust: str = ""
    settled_by: str = ""
    conditions: tuple[dict[str, Any], ...] = ()
    instead: tuple[Step, ...] = ()
    longest: int | None = None
    shortest: int = 0


def spoken(kind: str) -> str:
    """What people call a domain or class: ``climate device``, ``input boolean``."""
    return {"climate": "climate device", "notify": "notifier"}.get(kind, kind.replace("_", " "))


def with_article(kind: str) -> str:
    """``a light``, ``an input boolean``, ``the sun``."""
    kind = spoken(kind)
    article = "the" if kind in ("sun", "weather") else "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind}"


def unable(domain: str) -> NoRecipeError:
    """The error where an entity of a domain lacks a feature that its action needs."""
    return NoRecipeError(f"{with_article(domain)} cannot do what would be asked of it")


# -- What each domain does ---------------------------------------------------------------------------------------------

_SAME_RANGE = "it copies every change: the two need one unit and range"
WATERING = {"minutes": 10}  # before a valve that was opened is closed again
NEEDS_CODE = "add `code:` to the data where the panel asks for one"
GATE_CLASSES = ("door", "garage", "gate")
ARM_CODE = "code_arm_required"
# The trigger's state, and not what it came to: a person may also start the automation by hand.
VALUE_OF_TRIGGER = "{{ states('{trigger}') | float(0) }}"
_HEATS = frozenset("heat heated heater heating radiator trv".split())
_STOREYS = frozenset("1st 2nd 3rd attic basement first fourth ground lower main second third top upper".split())
_TURNED_ON_AT_ALARM = frozenset("alarm bell horn lamp lamps light lights pump siren".split())
_HOT = frozenset(
    "cooker cooktop fornello forno fornuis four fryer grill heater herd hob horno iron kettle ofen oven plancha spis "
    "stove toaster ugn waterkoker wasserkocher bugeleisen bügeleisen".split()
)
_MAIN_VALVES = frozenset("gas main mains shutoff".split())  # a person opens them
_OUTDOORS = frozenset(("driveway", "outdoor", "street", "terrace", "balcony"))  # words of the household table
_ALSO_COOL = frozenset(("termostato", "thermostat"))  # the household table has them among what heats
_DRIES = frozenset(
    "avfuktare dehumidifier deshumidificador deshumidificadora deshumidificateur desumidificador "
    "deumidificatore dryer déshumidificateur entfeuchter luchtontvochtiger luftentfeuchter ontvochtiger osushitel "
    "осушитель осушувач".split()
)
_COOLS = frozenset(
    "ac aircon airco airconditioner airconditioning climatiseur climatizador climatizzatore condizionatore conditioner "
    "cooler klima klimaanlage konditsioner luftkonditionering кондиционер".split()
)
# What restarts, updates or deletes something is done at these kinds of event, and never at others.
_DELIBERATE = ("fault", "pressed", "time")
_RUN_WHOLE = ("automation", "button", "input_button", "scene", "script")
_DISRUPTIVE_CLASSES = frozenset("identify restart update".split())
_DISRUPTIVE = frozenset(
    "clear delete erase factory format identify poweroff reboot reset restart shutdown uninstall upgrade wipe "
    "formatear herstart herunterfahren neustart neustarten redemarrage redemarrer reiniciar riavvia".split()
)
# Action's domain -> the kinds of event to prefer, whatever the trigger is likely to mean.
PREFERRED = {"climate": ("cold", "left"), "lawn_mower": ("left",), "vacuum": ("left",)}
_NEED_MORE_THAN_AN_ID = frozenset("alert camera date datetime infrared radio_frequency time todo tts".split())


def actions_of(action: Entity, device_class: str, speakers: Sequence[str]) -> Mapping[str, Step]:
    """Kind of event -> what an entity of this kind does at it; ``*`` stands for all other kinds.

    What this very entity supports is not looked at. ``speakers`` are the home's ``tts`` entities. Raises NoRecipeError
    where the entity cannot act.
    """
    domain, words = action.domain, entity_words(action)
    if domain in READ_ONLY_DOMAINS or domain in _NEED_MORE_THAN_AN_ID:
        raise NoRecipeError(f"{with_article(domain)} cannot act, or needs to be told what only a person knows")
    if domain in _RUN_WHOLE and (words & _DISRUPTIVE or action.device_class in _DISRUPTIVE_CLASSES):
        return {kind: step for step in _ACTIONS[domain].values() for kind in _DELIBERATE}
    if domain == "media_player":
        return {**_ACTIONS[domain], **_announced(speakers)}
    if domain == "switch":
        return _switch_steps(words)
    if domain == "valve" and words & _MAIN_VALVES:
        return {kind: step for kind, step in _ACTIONS[domain].items() if step.service == "valve.close_valve"}
    if domain == "climate" and _heats(words):
        return {kind: step for kind, step in _ACTIONS[domain].items() if kind != "hot"}
    if domain == "climate" and words & _COOLS:
        return {kind: step for kind, step in _ACTIONS[domain].items() if kind != "cold"}
    if domain == "humidifier":
        wrong = "dry" if _dries(action) else "humid"
        return {kind: step for kind, step in _ACTIONS[domain].items() if kind != wrong}
    if domain == "cover" and device_class in GATE_CLASSES:
        return _GATE
    if domain in _ACTIONS:
        return _ACTIONS[domain]
    note = f"homeassistant.turn_on is a fallback: put in what {with_article(domain)} should do"
    return {
        "*": Step("turn on {name}", "homeassistant.turn_on", adjust=note),
        **dict.fromkeys(("elapsed", "left", "off"), Step("turn off {name}", "homeassistant.turn_off", adjust=note)),
    }


def guarded(steps: Mapping[str, Step], trigger: Entity, trigger_class: str) -> Mapping[str, Step]:
    """The steps of an alarm panel without those at what its owner does when coming home, or a cat in the garden."""
    own = {"opened"} if "lock" in (trigger.domain, trigger_class) else set()
    places = {canonical_word(word) for word in entity_words(trigger)}
    own |= {"occupied"} if places & _OUTDOORS else set()
    return {kind: step for kind, step in steps.items() if kind not in own}


def _switch_steps(words: set[str]) -> Mapping[str, Step]:
    """What a switch does. At a fire, a leak or a burglary only what gives light or alarm or pumps is turned on.

    What gets hot is turned on at a time and at a press alone, for somebody has to be with it.
    """
    steps = dict(_ACTIONS["switch"])
    if not words & _TURNED_ON_AT_ALARM:
        steps |= dict.fromkeys(("alarm", "leak"), turned("switch", "turn_off"))
    if words & _HOT:
        kept = ("alarm", "elapsed", "leak", "left", "off", "pressed", "time", "vacant")
        steps = {kind: step for kind, step in steps.items() if kind in kept}
    return steps


def work_against(one: Entity, other: Entity) -> bool:
    """Whether one heats and the other cools, or one dries and the other moistens, as far as their names tell."""
    if one.domain == other.domain == "humidifier":
        return _dries(one) != _dries(other)
    if not one.domain == other.domain == "climate":
        return False
    both = [(_heats(words), bool(words & _COOLS)) for words in map(entity_words, (one, other))]
    return sorted(both) == [(False, True), (True, False)]


def _heats(words: set[str]) -> bool:
    """Whether words of a climate's name tell that it heats; ``first floor`` is no floor that is heated."""
    words = words | {canonical_word(word) for word in words - _ALSO_COOL}
    return bool(words & _HEATS) or ("floor" in words and words.isdisjoint(_STOREYS))


def _dries(humidifier: Entity) -> bool:
    return humidifier.device_class == "dehumidifier" or bool(entity_words(humidifier) & _DRIES)


def _announced(speakers: Sequence[str]) -> dict[str, Step]:
    if not speakers:
        return {}
    data = {"tts": speakers[0], "media_player_entity_id": "{action}", "message": "{said}"}
    say = Step("announce it on {name}", "tts.speak", data, "put the message in your own words")
    return dict.fromkeys(("alarm", "closed", "elapsed", "fault", "leak", "opened", "rings"), say)


def turned(domain: str, service: str) -> Step:
    """The step of ``turn_on``, ``turn_off`` or ``toggle``."""
    return call(service.replace("_", " "), f"{domain}.{service}")


def _switched(domain: str, on: str, off: str = "", toggle: str = "") -> dict[str, Step]:
    """Steps of a domain with turn_on, turn_off and toggle; each is given its kinds of event, separated by spaces."""
    called = (("turn_on", on), ("turn_off", off), ("toggle", toggle))
    return {kind: turned(domain, service) for service, kinds in called for kind in kinds.split()}


def _call(words: str, service: str, kinds: str, adjust: str = "", settled_by: str = "", **data: Any) -> dict[str, Step]:
    """The step of one service at some kinds of event, separated by spaces; ``words`` may do without ``{name}``."""
    return dict.fromkeys(kinds.split(), call(words, service, adjust, settled_by, **data))


def call(words: str, service: str, adjust: str = "", settled_by: str = "", **data: Any) -> Step:
    """The step of one service, with what to do where it is not supported; ``words`` may do without ``{name}``."""
    spoken = words if "{name}" in words else f"{words} {{name}}"
    named = " ".join((service, *(value for value in data.values() if isinstance(value, str))))
    return Step(spoken, service, data, adjust, settled_by, instead=_INSTEAD.get(named, _INSTEAD.get(service, ())))


def _modes(key: str, *modes: str) -> tuple[Step, ...]:
    """Modes of a climate that do the same, the best first."""
    verb = {"heat": "heat with", "cool": "cool with"}.get(modes[0], "set")
    return tuple(
        Step(f"{verb} {{name}}" + (f" to {mode}" if verb == "set" else ""), f"climate.set_{key}", {key: mode})
        for mode in modes[1:]
    )


# What is asked for -> what comes to the same where it is not supported, the best first.
_INSTEAD: Mapping[str, tuple[Step, ...]] = {
    "alarm_control_panel.alarm_arm_away": (
        Step("arm {name} as at home", "alarm_control_panel.alarm_arm_home", settled_by=ARM_CODE, adjust=NEEDS_CODE),
    ),
    "alarm_control_panel.alarm_arm_night": (
        Step("arm {name} as at home", "alarm_control_panel.alarm_arm_home", settled_by=ARM_CODE, adjust=NEEDS_CODE),
    ),
    "climate.set_hvac_mode cool": _modes("hvac_mode", "cool", "heat_cool", "auto"),
    "climate.set_hvac_mode heat": _modes("hvac_mode", "heat", "heat_cool", "auto"),
    "climate.set_preset_mode away": (
        *_modes("preset_mode", "away", "eco", "vacation"),
        Step("turn off {name}", "climate.turn_off"),
        Step("turn off {name}", "climate.set_hvac_mode", {"hvac_mode": "off"}),
    ),
    "climate.set_preset_mode home": (
        *_modes("preset_mode", "home", "comfort", "none"),
        Step("turn on {name}", "climate.turn_on"),
    ),
    "climate.set_preset_mode sleep": _modes("preset_mode", "sleep", "night", "eco"),
    "climate.turn_off": (Step("turn off {name}", "climate.set_hvac_mode", {"hvac_mode": "off"}),),
    "climate.turn_on": tuple(
        Step("turn on {name}", "climate.set_hvac_mode", {"hvac_mode": mode}, "put in the mode that you mean")
        for mode in ("heat_cool", "auto", "heat", "cool")
    ),
    "cover.close_cover": (
        Step("close {name}", "cover.set_cover_position", {"position": 0}),
        Step("close the slats of {name}", "cover.close_cover_tilt"),
        Step("close the slats of {name}", "cover.set_cover_tilt_position", {"tilt_position": 0}),
    ),
    "cover.open_cover": (
        Step("open {name}", "cover.set_cover_position", {"position": 100}),
        Step("open the slats of {name}", "cover.open_cover_tilt"),
        Step("open the slats of {name}", "cover.set_cover_tilt_position", {"tilt_position": 100}),
    ),
    "cover.toggle": (Step("open or close the slats of {name}", "cover.toggle_cover_tilt"),),
    "fan.turn_off": (Step("stop {name}", "fan.set_percentage", {"percentage": 0}),),
    "fan.turn_on": (Step("turn on {name}", "fan.set_percentage", {"percentage": 50}),),
    "lawn_mower.dock": (Step("pause {name}", "lawn_mower.pause"), Step("stop {name}", "lawn_mower.stop")),
    "media_player.media_pause": (
        Step("stop {name}", "media_player.media_stop"),
        Step("mute {name}", "media_player.volume_mute", {"is_volume_muted": True}),
    ),
    "media_player.media_play": (
        Step("play or pause {name}", "media_player.media_play_pause"),
        Step("turn on {name}", "media_player.turn_on"),
    ),
    "media_player.turn_off": (
        Step("stop {name}", "media_player.media_stop"),
        Step("pause {name}", "media_player.media_pause"),
    ),
    "media_player.turn_on": (Step("play on {name}", "media_player.media_play"),),
    "vacuum.return_to_base": (Step("stop {name}", "vacuum.stop"), Step("pause {name}", "vacuum.pause")),
    "valve.close_valve": (Step("close {name}", "valve.set_valve_position", {"position": 0}),),
    "valve.open_valve": (Step("open {name}", "valve.set_valve_position", {"position": 100}),),
    "water_heater.turn_off": (Step("turn off {name}", "water_heater.set_operation_mode", {"operation_mode": "off"}),),
    "water_heater.turn_on": tuple(
        Step(f"set {{name}} to {mode}", "water_heater.set_operation_mode", {"operation_mode": mode})
        for mode in ("eco", "heat_pump", "electric", "gas", "performance", "high_demand")
    ),
}


def _triggered(words: str, *states: str) -> Step:
    """The alarm, in these states of the panel; the panel's own delay lets its owner come in."""
    armed = {"condition": "state", "entity_id": "{action}", "state": list(states)}
    return Step(f"trigger {{name}} if it is {words}", "alarm_control_panel.alarm_trigger", conditions=(armed,))


_ON = "alarm arrived occupied changed dark high leak on opened playing time"
_SET_PRESET = "climate.set_preset_mode"
_MODE = "your climate may have another mode"
_PRESET = "not every climate has this preset: put in one that yours has"
_ACTIONS: dict[str, Mapping[str, Step]] = {
    "alarm_control_panel": {
        **_call("arm", "alarm_control_panel.alarm_arm_away", "left time", NEEDS_CODE, ARM_CODE),
        **_call("arm {name} for the night", "alarm_control_panel.alarm_arm_night", "night", NEEDS_CODE, ARM_CODE),
        "occupied": _triggered("armed away", "armed_away", "armed_vacation"),
        "opened": _triggered("armed", "armed_away", "armed_home", "armed_night", "armed_vacation"),
        **_call("trigger", "alarm_control_panel.alarm_trigger", "alarm"),
    },
    "automation": _call("run", "automation.trigger", "*"),
    "button": _call("press", "button.press", "*"),
    "input_button": _call("press", "input_button.press", "*"),
    "climate": {
        **_call("heat with", "climate.set_hvac_mode", "cold", _MODE, "hvac_modes", hvac_mode="heat"),
        **_call("cool with", "climate.set_hvac_mode", "hot", _MODE, "hvac_modes", hvac_mode="cool"),
        **_call("set {name} to away", _SET_PRESET, "left", _PRESET, "preset_modes", preset_mode="away"),
        **_call("set {name} to home", _SET_PRESET, "arrived", _PRESET, "preset_modes", preset_mode="home"),
        **_call("set {name} to sleep", _SET_PRESET, "night", _PRESET, "preset_modes", preset_mode="sleep"),
        **_switched("climate", "occupied cheap closed light on time", "elapsed off opened", "pressed"),
    },
    "counter": _call("count on", "counter.increment", "*"),
    "cover": {
        **_call("close", "cover.close_cover", "cold dark vacant hot left playing rain windy"),
        **_call("open", "cover.open_cover", "alarm light time"),
        **_call("open", "cover.open_cover", "on", "put in cover.close_cover if you mean that"),
        **_call("open or close", "cover.toggle", "pressed"),
    },
    "fan": _switched(
        "fan", "arrived occupied changed high hot humid on opened stale time",
        "cold dry elapsed vacant left light off", "pressed",
    ),
    "humidifier": _switched(
        "humidifier", "arrived occupied cheap dry humid on time", "elapsed left off opened", "pressed"
    ),
    "input_boolean": _switched("input_boolean", f"{_ON} rain", "elapsed vacant left light off", "pressed"),
    "input_datetime": _call(
        "note the time in", "input_datetime.set_datetime", "*", timestamp="{{ now().timestamp() }}"
    ),
    "input_number": {
        **_call(
            "copy the value to", "input_number.set_value", "number", value=VALUE_OF_TRIGGER,
            adjust=_SAME_RANGE,
        ),
        **_call("raise", "input_number.increment", "pressed"),
    },
    "number": _call(
        "copy the value to", "number.set_value", "number", value=VALUE_OF_TRIGGER,
        adjust=_SAME_RANGE,
    ),
    "input_text": _call("note it in", "input_text.set_value", "*", value="{said}"),
    "text": _call("note it in", "text.set_value", "*", value="{said}"),
    **{
        domain: {
            **_call(
                "choose the same in", f"{domain}.select_option", "option", option="{{ states('{trigger}') }}",
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
        **_switched("light", f"{_ON.replace(' playing', '')} rings", "elapsed vacant left light off", "pressed"),
        "playing": Step(
            "dim {name}", "light.turn_on", {"brightness_pct": 20}, instead=(Step("turn off {name}", "light.turn_off"),)
        ),
    },
    "lock": _call("lock", "lock.lock", "closed dark elapsed vacant left off pressed time"),
    "media_player": {
        **_switched("media_player", "arrived occupied on pressed time", "elapsed vacant left off"),
        **_call("pause", "media_player.media_pause", "playing"),
    },
    "notify": _call("tell", "notify.send_message", "*", message="{said}"),
    "remote": _switched("remote", "occupied on playing time", "elapsed left off", "pressed"),
    "scene": _call("set", "scene.turn_on", "*"),
    "script": _call("run", "script.turn_on", "*"),
    "siren": _switched("siren", "alarm leak", "elapsed"),
    "switch": _switched(
        "switch", f"{_ON} cheap hot humid rings stale", "cold dry elapsed vacant left light off", "pressed"
    ),
    "timer": _call("start", "timer.start", "*"),
    "vacuum": {
        **_call("start", "vacuum.start", "left on pressed time"),
        **_call("send {name} home", "vacuum.return_to_base", "arrived occupied dark night"),
    },
    "valve": {
        **_call("close", "valve.close_valve", "alarm elapsed leak left off rain"),
        **_call("open", "valve.open_valve", "dry time", f"{WATERING['minutes']} minutes is a guess"),
        **_call("open or close", "valve.toggle", "pressed"),
    },
    "water_heater": _switched("water_heater", "arrived cheap on time", "elapsed left off"),
}  # fmt: skip
# A garage or a gate is never opened by itself.
_GATE = _call("close", "cover.close_cover", "dark elapsed vacant left on pressed time")
