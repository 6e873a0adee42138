"""What an action needs of an entity: features, modes, options, ranges and lengths, as Home Assistant checks them.

``service_table.json`` holds which actions there are and what they need; ``benchmarks/service_table.py`` writes it from
the answer of a running Home Assistant to ``get_services``. What that answer leaves out stands here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeGuard

from home_assistant.entity_id import domain_of

_TABLE: Mapping[str, Any] = json.loads(Path(__file__).with_name("service_table.json").read_text(encoding="utf-8"))
HOME_ASSISTANT_VERSION: str = _TABLE["version"]
"""The version that the table was read from."""
_SERVICES: Mapping[str, Mapping[str, Any]] = _TABLE["services"]
_DOMAINS = frozenset(map(domain_of, _SERVICES))
_OPEN_DOMAINS = frozenset(("notify", "script", "tts"))  # homes have actions of their own in these

# Checked by Home Assistant 2026.11.0, and not told by get_services.
_UNTOLD: Mapping[str, tuple[int, ...]] = {
    "fan.toggle": (16, 32),
    "update.install": (1,),
    "vacuum.clean_spot": (1024,),
    "vacuum.send_command": (256,),
    "vacuum.set_fan_speed": (32,),
    "water_heater.set_away_mode": (4,),
    "water_heater.set_operation_mode": (2,),
    "water_heater.set_temperature": (1,),
    "water_heater.turn_off": (8,),
    "water_heater.turn_on": (8,),
}
# Service -> sets of bits of ``supported_features``; the entity needs all bits of one set. Others need none.
REQUIRED_FEATURES: Mapping[str, tuple[int, ...]] = {
    **{name: tuple(needs["features"]) for name, needs in _SERVICES.items() if "features" in needs},
    **_UNTOLD,
}
# Service -> its data that has to be one of a list, and the capability that holds the list.
_CHOICES: Mapping[str, tuple[str, str]] = {
    "climate.set_fan_mode": ("fan_mode", "fan_modes"),
    "climate.set_hvac_mode": ("hvac_mode", "hvac_modes"),
    "climate.set_preset_mode": ("preset_mode", "preset_modes"),
    "climate.set_swing_horizontal_mode": ("swing_horizontal_mode", "swing_horizontal_modes"),
    "climate.set_swing_mode": ("swing_mode", "swing_modes"),
    "fan.set_preset_mode": ("preset_mode", "preset_modes"),
    "humidifier.set_mode": ("mode", "available_modes"),
    "input_select.select_option": ("option", "options"),
    "media_player.select_sound_mode": ("sound_mode", "sound_mode_list"),
    "media_player.select_source": ("source", "source_list"),
    "select.select_option": ("option", "options"),
    "vacuum.set_fan_speed": ("fan_speed", "fan_speed_list"),
    "water_heater.set_operation_mode": ("operation_mode", "operation_list"),
}
# Service -> its data that has to lie in a range, and the capabilities that hold its ends.
_RANGES: Mapping[str, tuple[str, str, str]] = {
    "climate.set_humidity": ("humidity", "min_humidity", "max_humidity"),
    "climate.set_temperature": ("temperature", "min_temp", "max_temp"),
    "counter.set_value": ("value", "minimum", "maximum"),
    "humidifier.set_humidity": ("humidity", "min_humidity", "max_humidity"),
    "input_number.set_value": ("value", "min", "max"),
    "number.set_value": ("value", "min", "max"),
    "water_heater.set_temperature": ("temperature", "min_temp", "max_temp"),
}
_NEEDS_OPTIONS = ("select_first", "select_last", "select_next", "select_option", "select_previous")
_SWITCHES = ("toggle", "turn_off", "turn_on")


class Service(NamedTuple):
    """What an action takes.

    Attributes:
        fields: Its data. The field ``*`` stands for any other.
        names: Fields that name something of a home -> ``entity``, ``device``, ``area`` or the like.
        required: Fields that it cannot do without.
        target: The domains that it acts on, any if there are none; None where it takes no target.
    """

    fields: frozenset[str]
    names: Mapping[str, str]
    required: tuple[str, ...]
    target: tuple[str, ...] | None


def described(service: str) -> Service | None:
    """What an action takes; None where it is none that every home with such entities has."""
    row = _SERVICES.get(service)
    if row is None:
        return None
    target = tuple(row["target"]) if "target" in row else None
    return Service(frozenset(row.get("fields", ())), row.get("names", {}), tuple(row.get("required", ())), target)


def supports(service: str, supported_features: int) -> bool:
    """Whether an entity with these ``supported_features`` can do what ``service`` asks for."""
    needed = REQUIRED_FEATURES.get(service)
    return needed is None or any(supported_features & features == features for features in needed)


def is_known(service: str) -> bool:
    """Whether Home Assistant has an action; True where its domain is none of Home Assistant's own."""
    domain = domain_of(service)
    return service in _SERVICES or domain not in _DOMAINS or domain in _OPEN_DOMAINS


def why_not(
    service: str,
    data: Mapping[str, Any],
    domain: str,
    supported_features: int | None,
    capabilities: Mapping[str, Any] | None,
) -> str:
    """Why an entity cannot do what ``service`` asks for; "" where it can, or where nothing known says that it cannot.

    Args:
        service: Such as ``light.turn_on``.
        data: The action's data. A template in it is not judged.
        domain: The entity's. ``homeassistant.turn_on`` asks for the action of the entity's own domain.
        supported_features: None where they are not known.
        capabilities: Such as ``options`` and ``supported_color_modes``; None where they are not known.
    """
    own, _, name = service.partition(".")
    if own == "homeassistant" and name in _SWITCHES and domain != "group":  # a group hands it on
        service = f"{domain}.{name}"
    if not is_known(service):
        return f"there is no {service}"
    if supported_features is not None and not supports(service, supported_features):
        return f"it does not support {service}"
    return next(_faults(service, data, supported_features, capabilities or {}), "")


def _faults(service: str, data: Mapping[str, Any], features: int | None, has: Mapping[str, Any]) -> Iterator[str]:
    fields = _SERVICES.get(service, {}).get("fields", {})
    for key in data:
        needs = dict(fields.get(key, {}))
        bits = needs.pop("supported_features", None)
        by_features = bits is not None and features is not None and not any(features & bit == bit for bit in bits)
        by_lists = [
            set(allowed).isdisjoint(map(str, own)) for name, allowed in needs.items() if (own := _listed(has, name))
        ]
        if by_features or (by_lists and all(by_lists)):
            yield f"it takes no {key}"
    if service in _CHOICES:
        key, listed = _CHOICES[service]
        if is_plain(data.get(key)) and isinstance(has.get(listed), list) and data[key] not in has[listed]:
            yield f"{data[key]!a:.60} is none of its {listed}"
    if service in _RANGES:
        key, *ends = _RANGES[service]
        low, high = (has.get(end) for end in ends)
        value = data.get(key)
        if _is_number(value) and ((_is_number(low) and value < low) or (_is_number(high) and value > high)):
            yield f"{value} is not from {low} to {high}"
    if service.partition(".")[2] in _NEEDS_OPTIONS and has.get("options") == []:
        yield "it has no options"


def _listed(has: Mapping[str, Any], name: str) -> list[Any]:
    listed = has.get(name)
    return listed if isinstance(listed, list) else []


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_plain(value: Any) -> bool:
    """Whether a value is a text that no one reads as a template."""
    return isinstance(value, str) and not any(begins in value for begins in ("{{", "{%", "{#"))


@cache
def can_do(domain: str, supported_features: int) -> frozenset[str]:
    """The actions of its domain that an entity with these features supports."""
    return frozenset(name for name in _SERVICES if domain_of(name) == domain and supports(name, supported_features))
