"""What a request wants done: verbs, the services that they mean for each domain, and the values that they set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from home_assistant.household_words import canonical_word
from training.automations.request_items import DROPPED, Item, UnreadError, plain_number, without_length

_SWITCHED = (
    "light switch fan input_boolean media_player climate siren humidifier automation group remote water_heater"
).split()
# What is asked for -> domain -> service. The first meaning that a request holds counts.
_SERVICES: Mapping[str, Mapping[str, str]] = {
    "on": {
        **{domain: f"{domain}.turn_on" for domain in _SWITCHED},
        "group": "homeassistant.turn_on",
        "scene": "scene.turn_on",
        "script": "script.turn_on",
        "alarm_control_panel": "alarm_control_panel.alarm_arm_away",
        "vacuum": "vacuum.start",
    },
    "off": {
        **{domain: f"{domain}.turn_off" for domain in _SWITCHED},
        "group": "homeassistant.turn_off",
        "script": "script.turn_off",
        "climate": "climate.set_hvac_mode",
        "alarm_control_panel": "alarm_control_panel.alarm_disarm",
    },
    "toggle": {
        **{
            domain: f"{domain}.toggle"
            for domain in "light switch fan input_boolean media_player cover siren humidifier automation remote".split()
        },
        "group": "homeassistant.toggle",
    },
    "open": {"cover": "cover.open_cover", "valve": "valve.open_valve"},
    "close": {"cover": "cover.close_cover", "valve": "valve.close_valve"},
    "lock": {"lock": "lock.lock"},
    "unlock": {"lock": "lock.unlock"},
    "clean": {"vacuum": "vacuum.start"},
    "dock": {"vacuum": "vacuum.return_to_base", "lawn_mower": "lawn_mower.dock"},
    "start": {
        "vacuum": "vacuum.start",
        "timer": "timer.start",
        "lawn_mower": "lawn_mower.start_mowing",
        "script": "script.turn_on",
        **{domain: f"{domain}.turn_on" for domain in ("fan", "switch", "humidifier", "input_boolean")},
    },
    "stop": {
        "vacuum": "vacuum.stop",
        "cover": "cover.stop_cover",
        "media_player": "media_player.media_stop",
        "script": "script.turn_off",
        "timer": "timer.cancel",
        "climate": "climate.set_hvac_mode",
        **{domain: f"{domain}.turn_off" for domain in ("fan", "switch", "humidifier", "siren")},
    },
    "play": {"media_player": "media_player.media_play"},
    "pause": {"media_player": "media_player.media_pause", "vacuum": "vacuum.pause", "timer": "timer.pause"},
    "sound": {"siren": "siren.turn_on"},
    "press": {"button": "button.press", "input_button": "input_button.press"},
    "arm": {"alarm_control_panel": "alarm_control_panel.alarm_arm_away"},
    "disarm": {"alarm_control_panel": "alarm_control_panel.alarm_disarm"},
}
ARMED = {"away": "away", "home": "home", "night": "night"}
# Domain -> the service that sets it to a share, and the data that says to which.
_PERCENT = {
    "light": ("light.turn_on", "brightness_pct"),
    "cover": ("cover.set_cover_position", "position"),
    "valve": ("valve.set_valve_position", "position"),
    "fan": ("fan.set_percentage", "percentage"),
    "media_player": ("media_player.volume_set", "volume_level"),
    "humidifier": ("humidifier.set_humidity", "humidity"),
}
_DEGREES = {
    "climate": ("climate.set_temperature", "temperature"),
    "water_heater": ("water_heater.set_temperature", "temperature"),
}
_VALUES = {
    **_DEGREES,
    "input_number": ("input_number.set_value", "value"),
    "number": ("number.set_value", "value"),
    "counter": ("counter.set_value", "value"),
}

VERBS = (
    "turn", "on", "off", "toggle", "open", "close", "lock", "unlock", "start", "stop", "clean", "dock", "play", "pause",
    "sound", "press", "set", "dim", "arm", "disarm",
)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """One command: what to do, with what, and by how much.

    Attributes:
        verb: A key of ``_SERVICES``, or "set".
        noun: The items that name its targets.
        number: The value to set.
        unit: "percent", "degrees" or "".
        mode: Of an alarm that is armed.
        length: How long it is to last, or when it begins.
        further: It only names further targets of the command before.
    """

    verb: str
    noun: list[Item]
    number: float | None = None
    unit: str = ""
    mode: str = ""
    length: str | None = None
    further: bool = False

    def domains(self) -> list[str]:
        """The domains that it can be said of."""
        if self.verb != "set":
            return list(_SERVICES[self.verb])
        words = {meaning for item in self.noun for meaning in item.meanings}
        if "volume" in words:
            return ["media_player"]
        if "brightness" in words:
            return ["light"]
        return list({"percent": _PERCENT, "degrees": _DEGREES}.get(self.unit, _VALUES))

    def call(self, domain: str) -> tuple[str, tuple[tuple[str, Any], ...]]:
        """The service for an entity of the domain, and its data. Raises UnreadError where there is none."""
        if self.verb == "set":
            table = {"percent": _PERCENT, "degrees": _DEGREES}.get(self.unit, _VALUES)
            if domain not in table or self.number is None:
                raise UnreadError
            service, key = table[domain]
            value = self.number / 100 if key == "volume_level" else self.number
            return service, ((key, plain_number(value)),)
        service = _SERVICES[self.verb].get(domain, "")
        if not service or self.number is not None:
            raise UnreadError
        if service == "climate.set_hvac_mode":
            return service, (("hvac_mode", "off"),)
        if self.mode and domain == "alarm_control_panel" and self.verb in ("arm", "on"):
            return f"alarm_control_panel.alarm_arm_{self.mode}", ()
        return service, ()


def command_of(items: Sequence[Item]) -> Command | None:
    """The command of a part of a request; None where it has no verb. Raises UnreadError where it cannot be one."""
    length, rest = without_length(items, also_after=True)
    verbs = [i for i, item in enumerate(rest) if item.means(*VERBS)]
    particles = [i for i, item in enumerate(rest) if item.means("on_", "off_")]
    turned = [i for i in verbs if rest[i].means("turn") and not rest[i].means("close")] or [
        i for i in verbs if rest[i].means("turn") and particles
    ]
    used: set[int] = set()
    verb = ""
    if particles and (turned or not verbs):
        # Beside the verb, or at the end: elsewhere it is a preposition or an article.
        beside = [i for i in particles if turned and i == turned[0] + 1]
        last = [i for i in particles if i == len(rest) - 1]
        chosen = (last or beside)[:1]
        if chosen:
            verb = "on" if rest[chosen[0]].means("on_") else "off"
            used = {chosen[0], *turned[:1]}
    if not verb:
        said = [i for i in verbs if not rest[i].means("turn") or rest[i].means("close")]
        if not said:
            if turned and any(item.number is not None for item in rest):
                verb, used = "set", {turned[0]}  # "put the light at 30%"
            else:
                return None
        else:
            first = said[0]
            verb = next(one for one in VERBS if rest[first].means(one) and one != "turn")
            used = {first}
            if verb == "stop" and len(said) > 1:
                raise UnreadError
            also = said[1:]
            if verb == "start" and len(also) == 1 and rest[also[0]].means("clean"):
                used.add(also[0])
                verb, also = "clean", []
            if also:
                raise UnreadError
            if particles and any(i == len(rest) - 1 for i in particles) and verb not in ("on", "off"):
                raise UnreadError
    noun = [item for i, item in enumerate(rest) if i not in used and not item.means("on_", "off_")]
    number, unit = None, ""
    at = next((i for i, item in enumerate(noun) if item.number is not None and _is_value(noun, i)), None)
    if at is not None:
        number = noun[at].number
        end = at + 1
        if end < len(noun) and noun[end].means("percent", "degrees"):
            unit = "percent" if noun[end].means("percent") else "degrees"
            end += 1
        begin = at - 1 if at and noun[at - 1].means("to", "at", "inside") else at
        noun = [*noun[:begin], *noun[end:]]
    if number is not None and verb in ("on", "dim", "open", "set"):
        verb = "set"
    if verb in ("set", "dim") and number is None:
        raise UnreadError
    mode = ""
    if verb in ("arm", "on"):
        modes = [item for item in noun if item.means(*ARMED)]
        if modes and (verb == "arm" or any(canonical_word(item.text) == "alarm" for item in noun)):
            mode = next(m for m in ARMED if modes[0].means(m))
            noun = [item for item in noun if item not in modes]
    return Command(verb, noun, number, unit, mode, length)


def _is_value(items: Sequence[Item], at: int) -> bool:
    """Whether a number is a value: it stands after ``to`` or before a unit. Else it is a part of a name."""
    return (at > 0 and items[at - 1].means("to", "at")) or (
        at + 1 < len(items) and items[at + 1].means("percent", "degrees")
    )


def is_again(items: Sequence[Item]) -> bool:
    """Whether a part names nothing of its own: it is about the same things as before."""
    return all(item.means("it", "filler", *DROPPED) for item in items)
