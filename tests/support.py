"""Small rows and homes, where the project lies, and an environment that steers nothing."""

from __future__ import annotations

import io
import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from data_sources import Home, HomeBuilder, LoadReport

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "train_gnn_synergy.py"


def environment(**extra: str) -> dict[str, str]:
    """This process's environment without what would steer a training run."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GNN_", "TRAINING_DATA", "PYTHON"))}
    return {**kept, "OMP_NUM_THREADS": "1", **extra}


def call(
    command: click.Command,
    *arguments: str,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    input: str | None = None,  # noqa: A002 - as subprocess.run has it
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process as ``environment`` would run it in its own: its exit code, its two streams.

    Importing torch takes a process seconds. What only a process can show (signals, limits, closed streams) is tested
    in one.
    """
    kept = environment(**(env or {}))
    changed = {name: None for name in os.environ if name not in kept} | dict(kept)
    root, before = logging.getLogger(), Path.cwd()
    handlers, level = root.handlers[:], root.level
    os.chdir(cwd)
    try:
        stdin = None if input is None else io.BufferedReader(io.BytesIO(input.encode()))  # it peeks, as a real one
        result = CliRunner().invoke(command, arguments, env=changed, input=stdin, catch_exceptions=False)
    finally:
        os.chdir(before)
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
    return subprocess.CompletedProcess(list(arguments), result.exit_code, result.stdout, result.stderr)


def call_process(
    *arguments: str, cwd: Path, timeout: float | None = None, env: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments in a process of its own, in ``environment``: its exit code, its two streams."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(**(env or {})),
        **options,
    )


DISK_FULL = OSError(28, "No space left on device")


def failing_flush(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
    """The disk fails at the ``at``-th flush from now on."""
    calls = iter(range(100))
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == at:
            raise error
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


def row(trigger: str, action: str, confidence: float = 0.8, **extra: Any) -> dict[str, Any]:
    """A flat synergy row."""
    return {"entity_1": trigger, "entity_2": action, "synergy_type": "t", "confidence": confidence, **extra}


def as_home(raw: dict[str, Any], home_id: str = "") -> Home:
    """The record of a whole home in the JSON format."""
    builder = HomeBuilder(LoadReport(where="x", strict=True), home_id or raw.get("home_id", "home"))
    builder.add_places(raw.get("areas", []), raw.get("devices", []))
    for entity in raw.get("entities", []):
        builder.add_entity(entity, "")
    for synergy in raw.get("synergies", []):
        builder.add_row(synergy, "")
    return builder.build()


ROOMS = ("kitchen", "hall", "office", "bedroom", "bathroom", "garage")


def home(home_id: str, *, areas: bool = True, rooms: tuple[str, ...] = ROOMS) -> dict[str, Any]:
    """A home in which each room's motion sensor drives its light, and some doors a lock; one automation a pair."""
    entities: list[dict[str, Any]] = [{"entity_id": f"input_boolean.{home_id}_guests"}]
    synergies = []
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


def eight_homes() -> list[Home]:
    """Homes of which some have no areas; the fixture ``trained`` is learnt from them."""
    return [as_home(home(f"h{i}", areas=i % 3 > 0)) for i in range(8)]
