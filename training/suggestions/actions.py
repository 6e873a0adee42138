"""What an entity does at an event: the action to take, by domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from data_sources import Entity
from home_assistant.domains import READ_ONLY_DOMAINS
from training.suggestions.events import entity_words


class NoRecipeError(ValueError):
    """No sensible automation is known for a pair; the message says why, in words that fit many pairs."""


@dataclass(frozen=True)
class Step:
    """What to do at an event.

    Attributes:
        words: A sentence's verb and ``{name}``, which stands for the entity's name.
        service: Such as ``light.turn_on``.
        data: The service's data. ``{said}`` stands for what happened, ``{action}`` for the entities.
        adjust: What a person should look at before using it, or "".
        conditions: What has to hold for it.
    """

    words: str
    service: str
    data: dict[str, Any] = field(default_factory=dict)
    adjust: str = ""
    conditions: tuple[dict[str, Any], ...] = ()


def with_article(kind: str) -> str:
    """``a light``, ``an input boolean``, ``the sun``; underscores become spaces."""
    kind = kind.replace("_", " ")
    article = "the" if kind in ("sun", "weather") else "an" if kind[0] in "aeiou" else "a"
    return f"{article} {kind}"


# -- What each domain does ---------------------------------------------------------------------------------------------

_SAME_RANGE = "it copies every change: the two need one unit and range"
_NEEDS_CODE = "add `code:` to the data where the panel asks for one"
_HEATS = frozenset("floor heat heated heater heating radiator trv".split())
_COOLS = frozenset("ac aircon airco conditioner cooler".split())
# Action's domain -> the kinds of event to prefer, whatever the trigger is likely to mean.
PREFERRED = {"climate": ("cold", "left"), "lawn_mower": ("left",), "vacuum": ("left",)}
_NEED_MORE_THAN_AN_ID = frozenset("alert camera date datetime infrared radio_frequency time todo tts".split())


def actions_of(action: Entity, device_class: str, speakers: Sequence[str]) -> Mapping[str, Step]:
    """Kind of event -> what an entity does at it; ``*`` stands for all other kinds.

    ``speakers`` are the home's ``tts`` entities. Raises NoRecipeError where the entity cannot act.
    """
    domain, words = action.domain, entity_words(action)
    if domain in READ_ONLY_DOMAINS or domain in _NEED_MORE_THAN_AN_ID:
        raise NoRecipeError(f"{with_article(domain)} only reports, or needs more than its id to act")
    if domain == "media_player":
        return {**_ACTIONS[domain], **_announced(speakers)}
    if domain == "climate" and words & _HEATS:
        return {kind: step for kind, step in _ACTIONS[domain].items() if kind != "hot"}
    if domain == "climate" and words & _COOLS:
        return {kind: step for kind, step in _ACTIONS[domain].items() if kind != "cold"}
    if domain == "cover" and device_class in ("door", "garage", "gate"):
        return _GATE
    if domain in _ACTIONS:
        return _ACTIONS[domain]
    note = f"homeassistant.turn_on is a fallback: put in what {with_article(domain)} should do"
    return {
        "*": Step("turn on {name}", "homeassistant.turn_on", adjust=note),
        **dict.fromkeys(("elapsed", "left", "off"), Step("turn off {name}", "homeassistant.turn_off", adjust=note)),
    }


def _announced(speakers: Sequence[str]) -> dict[str, Step]:
    if not speakers:
        return {}
    data = {"tts": speakers[0], "media_player_entity_id": "{action}", "message": "{said}"}
    say = Step("announce it on {name}", "tts.speak", data, "put the message in your own words")
    return dict.fromkeys(("alarm", "closed", "elapsed", "fault", "leak", "opened"), say)


def _switched(domain: str, on: str, off: str = "", toggle: str = "") -> dict[str, Step]:
    """Steps of a domain with turn_on, turn_off and toggle; each is given its kinds of event, separated by spaces."""
    table = {}
    for words, service, kinds in (("on", "turn_on", on), ("off", "turn_off", off), ("over", "toggle", toggle)):
        verb = "toggle {name}" if service == "toggle" else f"turn {words} {{name}}"
        table.update(dict.fromkeys(kinds.split(), Step(verb, f"{domain}.{service}")))
    return table


def _call(words: str, service: str, kinds: str, adjust: str = "", **data: Any) -> dict[str, Step]:
    """The step of one service at some kinds of event, separated by spaces; ``words`` may do without ``{name}``."""
    spoken = words if "{name}" in words else f"{words} {{name}}"
    return dict.fromkeys(kinds.split(), Step(spoken, service, data, adjust))


_ON = "alarm arrived occupied changed dark high leak on opened playing time"
_PRESET = "not every climate has this preset: put in one that yours has"
_ACTIONS: dict[str, Mapping[str, Step]] = {
    "alarm_control_panel": {
        **_call("arm", "alarm_control_panel.alarm_arm_away", "left on time", _NEEDS_CODE),
        **_call("arm {name} for the night", "alarm_control_panel.alarm_arm_night", "night", _NEEDS_CODE),
        **dict.fromkeys(
            ("occupied", "opened"),
            Step(
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
        **_switched("climate", "occupied cheap closed light on time", "elapsed off opened", "pressed"),
    },
    "counter": _call("count on", "counter.increment", "*"),
    "cover": {
        **_call("close", "cover.close_cover", "cold dark vacant hot left playing rain windy"),
        **_call("open", "cover.open_cover", "alarm light time"),
        **_call("open", "cover.open_cover", "on", "put in cover.close_cover if you mean that"),
        **_call("open or close", "cover.toggle", "pressed"),
    },
    "fan": _switched("fan", f"{_ON} cheap hot humid stale", "cold dry elapsed vacant left light off", "pressed"),
    "humidifier": _switched(
        "humidifier", "arrived occupied cheap dry humid on time", "elapsed left off opened", "pressed"
    ),
    "input_boolean": _switched("input_boolean", f"{_ON} rain", "elapsed vacant left light off", "pressed"),
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
        **_switched("light", _ON.replace(" playing", ""), "elapsed vacant left light off", "pressed"),
        **_call("dim", "light.turn_on", "playing", brightness_pct=20),
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
    "siren": _switched("siren", "alarm leak opened", "elapsed"),
    "switch": _switched("switch", f"{_ON} cheap hot humid stale", "cold dry elapsed vacant left light off", "pressed"),
    "timer": _call("start", "timer.start", "*"),
    "vacuum": {
        **_call("start", "vacuum.start", "left on pressed time"),
        **_call("send {name} home", "vacuum.return_to_base", "arrived occupied dark night"),
    },
    "valve": {
        **_call("close", "valve.close_valve", "alarm elapsed leak left off rain"),
        **_call("open", "valve.open_valve", "dry on time"),
        **_call("open or close", "valve.toggle", "pressed"),
    },
    "water_heater": _switched("water_heater", "arrived cheap on time", "elapsed left off"),
}  # fmt: skip
# A garage or a gate is never opened by itself.
_GATE = _call("close", "cover.close_cover", "dark elapsed vacant left on pressed time")
