"""Entities that the YAML of a configuration itself names: all that is known of a home without registry and recorder.

An entity without a unique id gets its id from its name, as ``switch: - platform: mqtt`` with ``name: Coffee maker``
gives ``switch.coffee_maker``. What a platform finds by itself, on a bridge or in a cloud, no file names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from home_assistant.domains import DOMAINS
from home_assistant.entity_id import is_entity_id, normalized_entity_id, slugified
from home_assistant.installation import Installation

# Sections whose keys are object ids.
_BY_OBJECT_ID = frozenset(
    "alert counter group input_boolean input_button input_datetime input_number input_select input_text plant "
    "proximity schedule script timer".split()
)
_BY_NAME = ("person", "zone")  # lists of mappings with a name
# Sections that hold entities by their domain: `mqtt: - switch: ...`.
_BY_DOMAIN = ("command_line", "mqtt", "rest", "template")
# Keys of a platform that hold several entities by their object id: `sensor: - platform: template`, `sensors: ...`.
_SEVERAL = ("covers", "devices", "fans", "lights", "locks", "sensors", "switches", "vacuums")
_ATTRIBUTES = (
    *("device_class", "options", "min", "max", "step", "mode", "pattern", "has_date", "has_time"),
    *("minimum", "maximum"),
)

Named = Iterator[tuple[str, dict[str, Any]]]
"""Entity ids with attributes that their states would have."""


def add_configured(configuration: Mapping[Any, Any], installation: Installation) -> None:
    """Add what a configuration, or a package of one, names to ``configured``, ``customized`` and ``recorder``."""
    for key, section in configuration.items():
        domain = key.partition(" ")[0] if isinstance(key, str) else ""
        for item in section if isinstance(section, list) else [section]:
            if isinstance(item, Mapping) and domain in (*_BY_OBJECT_ID, *_BY_NAME, *_BY_DOMAIN, *DOMAINS):
                for entity_id, attributes in _entities_of(domain, item):
                    if is_entity_id(entity_id):
                        installation.configured.setdefault(entity_id, attributes)
    recorder = configuration.get("recorder")
    if isinstance(recorder, Mapping) and recorder.get("db_url") is not None:
        installation.recorder = recorder["db_url"]
    core = configuration.get("homeassistant")
    customized = core.get("customize") if isinstance(core, Mapping) else None
    for entity_id, attributes in customized.items() if isinstance(customized, Mapping) else ():
        if isinstance(attributes, Mapping):
            installation.customized[normalized_entity_id(str(entity_id))] = attributes


def _entities_of(domain: str, item: Mapping[Any, Any]) -> Named:
    if domain in _BY_OBJECT_ID:
        for object_id, own in item.items():
            given = own if isinstance(own, Mapping) else {}
            named = given if domain != "script" else {"name": given.get("alias")}
            yield f"{domain}.{slugified(str(object_id))}", _attributes(named)
    elif domain in _BY_DOMAIN:
        for inner, entities in item.items():
            for own in entities if isinstance(entities, list) else [entities]:
                if inner in DOMAINS and isinstance(own, Mapping):
                    yield from _named(inner, own)
    elif "platform" in item and isinstance(several := _several(domain, item), Mapping):
        for object_id, own in several.items():
            if isinstance(own, Mapping):
                yield f"{domain}.{slugified(str(object_id))}", _attributes(own)
    elif "platform" in item or domain in _BY_NAME:
        yield from _named(domain, item)


def _several(domain: str, item: Mapping[Any, Any]) -> Any:
    return next((item[key] for key in (f"{domain}s", *_SEVERAL) if isinstance(item.get(key), Mapping)), None)


def _named(domain: str, own: Mapping[Any, Any]) -> Named:
    given = own.get("default_entity_id")
    if isinstance(given, str) and given.startswith(f"{domain}."):
        yield normalized_entity_id(given), _attributes(own)
    elif isinstance(name := own.get("object_id", own.get("name")), str):
        yield f"{domain}.{slugified(name)}", _attributes(own)


def _attributes(own: Mapping[Any, Any]) -> dict[str, Any]:
    name = own.get("friendly_name", own.get("name"))
    found = {key: own[key] for key in _ATTRIBUTES if isinstance(own.get(key), str | int | float | list)}
    return {**found, "friendly_name": name} if isinstance(name, str) else found


def add_tracked(known_devices: Any, installation: Installation) -> None:
    """Add the devices of ``known_devices.yaml`` that are tracked; until 2022 most trackers wrote them there."""
    for object_id, own in known_devices.items() if isinstance(known_devices, Mapping) else ():
        entity_id = f"device_tracker.{slugified(str(object_id))}"
        if isinstance(own, Mapping) and own.get("track") is True and is_entity_id(entity_id):
            installation.configured.setdefault(entity_id, _attributes(own))


def add_oldest_registry(rows: Any, installation: Installation) -> None:
    """Add the rows of ``entity_registry.yaml``, which held them before ``.storage`` did."""
    for entity_id, row in rows.items() if isinstance(rows, Mapping) else ():
        if isinstance(row, Mapping) and is_entity_id(str(entity_id)):
            installation.entities.append({**row, "entity_id": str(entity_id)})
