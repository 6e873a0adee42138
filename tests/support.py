"""Small rows and homes that many tests use."""

from __future__ import annotations

from typing import Any


def row(trigger: str, action: str, confidence: float = 0.8, **extra: Any) -> dict[str, Any]:
    """A flat synergy row."""
    return {"entity_1": trigger, "entity_2": action, "synergy_type": "t", "confidence": confidence, **extra}


ROOMS = ("kitchen", "hall", "office", "bedroom", "bathroom", "garage")


def home(home_id: str, *, areas: bool = True, rooms: tuple[str, ...] = ROOMS) -> dict[str, Any]:
    """A home in which each room's motion sensor drives its light, and some doors a lock; one automation a pair."""
    entities, synergies = [], []
    for i, room in enumerate(rooms):
        area = {"area_id": room} if areas else {}
        entities += [
            {"entity_id": f"binary_sensor.{room}_motion", "device_class": "motion", "device_id": f"m{i}", **area},
            {"entity_id": f"sensor.{room}_motion_battery", "device_class": "battery", "device_id": f"m{i}", **area},
            {"entity_id": f"light.{room}", "name": f"{room.title()} ceiling", **area},
            {"entity_id": f"media_player.{room}", **area},
        ]
        synergies.append(row(f"binary_sensor.{room}_motion", f"light.{room}", automation_id=f"a{i}"))
        if i % 2:
            entities.append({"entity_id": f"lock.{room}", **area})
            synergies.append(row(f"binary_sensor.{room}_motion", f"lock.{room}", automation_id=f"b{i}"))
    return {"home_id": home_id, "entities": entities, "synergies": synergies}
