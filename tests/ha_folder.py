"""A configuration folder of Home Assistant, written anew by each test that reads one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

VERSIONS = {"area": (1, 9), "device": (3, 4), "entity": (1, 24), "floor": (1, 3), "label": (1, 2)}
ROWS = {"area": "areas", "device": "devices", "entity": "entities", "floor": "floors", "label": "labels"}


def entity(entity_id: str, **more: Any) -> dict[str, Any]:
    """A row of the entity registry as 2026.11 writes it."""
    return {
        "area_id": None,
        "capabilities": None,
        "compat_name": None,
        "config_entry_id": "01ENTRY",
        "created_at": "2026-01-01T00:00:00+00:00",
        "device_class": None,
        "device_id": None,
        "disabled_by": None,
        "entity_category": None,
        "entity_id": entity_id,
        "has_entity_name": False,
        "hidden_by": None,
        "id": hashlib.md5(entity_id.encode(), usedforsecurity=False).hexdigest(),
        "labels": [],
        "name": None,
        "options": {},
        "original_device_class": None,
        "original_name": None,
        "platform": "demo",
        "supported_features": 0,
        "unique_id": entity_id,
        **more,
    }


def device(device_id: str, **more: Any) -> dict[str, Any]:
    """A row of the device registry as 2026.11 writes it."""
    return {
        "area_id": None,
        "connections": [],
        "disabled_by": None,
        "id": device_id,
        "identifiers": [["demo", device_id]],
        "labels": [],
        "name": None,
        "name_by_user": None,
        "via_device_id": None,
        **more,
    }


def stored(key: str, data: Any, version: tuple[int, int | None] = (1, 1)) -> str:
    """A file of ``.storage``; minor version None for the files before 2021.12, which had none."""
    envelope = {"version": version[0], "minor_version": version[1], "key": key, "data": data}
    return json.dumps({name: value for name, value in envelope.items() if value is not None}, indent=2)


def write_registry(
    folder: Path,
    name: str,
    rows: Sequence[Mapping[str, Any]],
    version: tuple[int, int | None] | None = None,
    **more: Any,
) -> Path:
    """Write the registry ``name`` (entity, device, area, floor, label) into ``folder``/.storage."""
    path = folder / ".storage" / f"core.{name}_registry"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(stored(path.name, {ROWS[name]: list(rows), **more}, version or VERSIONS[name]), encoding="utf-8")
    return path


def write_files(folder: Path, files: Mapping[str, str]) -> Path:
    """Write texts by their path in ``folder``; the folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def small_home(folder: Path) -> Path:
    """A home of two rooms: a motion sensor, lights, a group, and what nobody automates."""
    write_registry(folder, "floor", [{"floor_id": "ground", "name": "Ground floor", "level": 0}])
    write_registry(folder, "label", [{"label_id": "night", "name": "Night"}])
    write_registry(
        folder,
        "area",
        [
            {"id": "hall", "name": "Hall", "floor_id": "ground", "labels": ["night"]},
            {"id": "kitchen", "name": "Kitchen", "floor_id": "ground", "labels": []},
        ],
    )
    write_registry(
        folder,
        "device",
        [
            device("d-motion", name="Motion detector", name_by_user="Hall detector", area_id="hall"),
            device("d-strip", name="Power strip", area_id="kitchen", labels=["night"]),
        ],
        child_devices=[device("d-outlet", name="Outlet 1", parent_device_id="d-strip")],
    )
    write_registry(
        folder,
        "entity",
        [
            entity(
                "binary_sensor.hall_motion",
                device_id="d-motion",
                has_entity_name=True,
                original_name="Motion",
                original_device_class="motion",
            ),
            entity(
                "sensor.hall_motion_battery",
                device_id="d-motion",
                has_entity_name=True,
                original_device_class="battery",
                entity_category="diagnostic",
            ),
            entity("light.hall", area_id="hall", original_name="Hall lamp", supported_features=44),
            entity("light.kitchen", area_id="kitchen", original_name="Kitchen lamp", labels=["night"]),
            entity("switch.outlet", device_id="d-outlet", has_entity_name=True),
            entity("light.attic", disabled_by="user"),
            entity("switch.spare", hidden_by="user", area_id="hall"),
        ],
    )
    return write_files(
        folder, {".HA_VERSION": "2026.11.0", "configuration.yaml": "demo:\n", "automations.yaml": "[]\n"}
    )
