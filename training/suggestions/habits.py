"""What a person does by hand again and again: its automation, and the reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from data_sources import Entity
from data_sources.counting import many
from data_sources.records import ObservedPair
from home_assistant.services import is_plain
from training.suggestions.abilities import plain_words, supported
from training.suggestions.actions import (
    ARM_CODE,
    GATE_CLASSES,
    NEEDS_CODE,
    NoRecipeError,
    Step,
    call,
    unable,
    with_article,
)
from training.suggestions.events import Event, event_at
from training.suggestions.recipes import Recipe, assembled, checked, name_of, one_line

ACTIVATED = "activated"  # the state of a scene or a button, which are in none
_ON_OFF = frozenset("fan humidifier input_boolean light media_player remote siren switch".split())
# Domain -> the state that a person brings it into -> what does that. Nothing is opened, unlocked or disarmed by itself.
_STEPS: Mapping[str, Mapping[str, Step]] = {
    "alarm_control_panel": {
        f"armed_{mode}": call("arm", f"alarm_control_panel.alarm_arm_{mode}", NEEDS_CODE, ARM_CODE)
        for mode in ("away", "custom_bypass", "home", "night", "vacation")
    },
    "button": {ACTIVATED: call("press", "button.press")},
    "climate": {"off": call("turn off", "climate.turn_off")},
    "cover": {"closed": call("close", "cover.close_cover"), "open": call("open", "cover.open_cover")},
    "input_button": {ACTIVATED: call("press", "input_button.press")},
    "lawn_mower": {
        "docked": call("send {name} home", "lawn_mower.dock"),
        "mowing": call("start", "lawn_mower.start_mowing"),
        "paused": call("pause", "lawn_mower.pause"),
    },
    "lock": {"locked": call("lock", "lock.lock")},
    "media_player": {
        "paused": call("pause", "media_player.media_pause"),
        "playing": call("play", "media_player.media_play"),
    },
    "scene": {ACTIVATED: call("set", "scene.turn_on")},
    "script": {"on": call("run", "script.turn_on")},
    "vacuum": {
        "cleaning": call("start", "vacuum.start"),
        "docked": call("send {name} home", "vacuum.return_to_base"),
        "paused": call("pause", "vacuum.pause"),
    },
    "valve": {"closed": call("close", "valve.close_valve"), "open": call("open", "valve.open_valve")},
    "water_heater": {"off": call("turn off", "water_heater.turn_off")},
}
# Domain -> the service that sets its state to any of a list, and the data that holds the state.
_MODES = {
    "climate": ("climate.set_hvac_mode", "hvac_mode"),
    "input_select": ("input_select.select_option", "option"),
    "select": ("select.select_option", "option"),
    "water_heater": ("water_heater.set_operation_mode", "operation_mode"),
}
_PAST = {
    "becomes": "became", "comes": "came", "feels": "felt", "finds": "found", "goes": "went", "has": "had",
    "hears": "heard", "is": "was", "leaves": "left", "press": "pressed", "rises": "rose", "run": "ran", "runs": "ran",
    "says": "said", "sees": "saw", "send": "sent", "set": "set", "sets": "set", "stops": "stopped",
}  # fmt: skip


def write_habit(
    seen: ObservedPair,
    trigger: Entity,
    trigger_class: str,
    actions: Sequence[Entity],
    action_class: str,
) -> Recipe:
    """The automation of what a person was seen to do, with that as its reason; as ``write_automation`` otherwise.

    The state that came before is what starts it, and the state that followed is what it brings about. Raises
    NoRecipeError where that is not to happen by itself, or where the entity does not support it.
    """
    checked(trigger, *actions)
    done = _step_to(actions[0].domain, seen.result, action_class)
    step = supported(done, trigger, actions)
    if step is None:
        raise unable(actions[0].domain)
    event = event_at(trigger, trigger_class, seen.state)
    reason = _reason(seen, name_of(trigger), event, done.words.format(name=name_of(actions[0])))
    return replace(assembled(trigger, actions, event, step), reason=reason)


def _step_to(domain: str, result: str, device_class: str) -> Step:
    """What brings an entity into a state."""
    guarded = domain == "cover" and device_class in GATE_CLASSES and result == "open"
    step = None if guarded else _STEPS.get(domain, {}).get(result)
    if step is None and domain in _ON_OFF and result in ("off", "on"):
        step = call(f"turn {result}", f"{domain}.turn_{result}")
    if step is None and domain in _MODES and is_plain(result):
        service, key = _MODES[domain]
        step = call(f"set {{name}} to {plain_words(result)}", service, **{key: result})
    if step is None:
        raise NoRecipeError(f"{with_article(domain)} that a person brings into a state that nothing else should")
    return step


def _reason(seen: ObservedPair, trigger: str, event: Event, done: str) -> str:
    """``you turned on Hall light within a minute after Front door opened, 23 times in 30 days (of 40)``."""
    minutes = round(seen.window / 60)
    within = "a minute" if minutes <= 1 else f"{minutes} minutes"
    times = f"{many(seen.count, 'time')} in {many(max(1, round(seen.days)), 'day')} (of {seen.triggers})"
    return one_line(f"you {_past(done)} within {within} after {trigger} {_past(event.words)}, {times}")


def _past(words: str) -> str:
    """``opened`` of ``opens``, ``turned on Hall`` of ``turn on Hall``: the first word in the past tense."""
    verb, space, rest = words.partition(" ")
    if verb not in _PAST:
        stem = verb.removesuffix("s")
        verb = f"{stem}d" if stem.endswith("e") else f"{stem}ed"
    return f"{_PAST.get(verb, verb)}{space}{rest}"
