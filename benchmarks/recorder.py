#!/usr/bin/env python3
"""Read a recorder database of Home Assistant: rows per second and memory; and how many planted habits are found."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
from measure import ROOT

sys.path[:0] = [str(ROOT)]

MIN_OCCURRENCES = 8


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the database; 10 million: 1.3 GB.")
@click.option("--seeds", default=10, show_default=True, help="Simulated homes to find habits in.")
@click.option("--days", default=30, show_default=True, help="Days of each.")
@click.option("--read", "database", hidden=True, type=click.Path(path_type=Path), help="Read it in this process.")
def main(rows: int, seeds: int, days: int, database: Path | None) -> None:
    """Write a database in a temporary folder and read it; then play habits into others and look for them."""
    if database is not None:
        print(json.dumps(read(database)))
        return
    if rows:
        from simulation.recorder import write_recorder

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "home-assistant_v2.db"
            write_recorder(path, busy_home(rows))
            command = [sys.executable, __file__, "--read", str(path)]
            used = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
            size = path.stat().st_size / 1e6
        print(f"{used['rows']} rows, {size:.0f} MB on disk")
        print(f"newest states: {used['newest_seconds']:.2f} s for {used['entities']} entities")
        for name in ("seconds", "seconds of CPU"):
            print(f"history: {used[name]:.1f} {name}, {used['rows'] / used[name]:.0f} rows a second")
        print(f"peak: {used['peak']:.0f} MB")
    if seeds:
        print(habits_found(seeds, days))


def busy_home(rows: int, entities: int = 400) -> Iterator:
    """A year of a home: numeric sensors give nine rows of ten, motion sensors and lights the others."""
    from simulation.habits import START, USERS, Change

    chance = random.Random(1)  # noqa: S311 - no secret
    sensors = [f"sensor.s{n}_power" for n in range(entities * 3 // 4)]
    motions = [f"binary_sensor.m{n}_motion" for n in range(entities // 8)]
    lights = [f"light.l{n}" for n in range(entities // 8)]
    pause = 365 * 86_400 / rows
    for number in range(rows):
        when, context, kind = START + number * pause, chance.randbytes(16), chance.random()
        if kind < 0.9:
            yield Change(when, chance.choice(sensors), f"{chance.random() * 100:.1f}", context)
        elif kind < 0.99:
            yield Change(when, chance.choice(motions), chance.choice(("on", "off")), context)
        else:
            user = chance.choice(USERS) if chance.random() < 0.2 else None
            yield Change(when, chance.choice(lights), chance.choice(("on", "off")), context, user)


def read(database: Path) -> dict[str, float]:
    """Read newest states and history in this process."""
    from data_sources.base import sqlite_url
    from data_sources.homeassistant.recorder import Recorder

    recorder = Recorder(sqlite_url(str(database)))
    started = time.perf_counter()
    states = recorder.newest_states()
    newest, worked = time.perf_counter(), time.process_time()
    history = recorder.history(time_zone="Europe/Berlin")
    done = time.perf_counter()
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return {
        "rows": history.rows,
        "entities": len(states),
        "newest_seconds": newest - started,
        "seconds": done - newest,
        "seconds of CPU": time.process_time() - worked,
        "peak": int(kilobytes) / 1024,
    }


def habits_found(seeds: int, days: int) -> str:
    """Precision and recall over simulated homes, read from databases."""
    from data_sources.base import sqlite_url
    from data_sources.homeassistant.recorder import Recorder
    from simulation.habits import MIRRORS, simulate
    from simulation.recorder import write_recorder

    right = found = again = wanted = 0
    for seed in range(seeds):
        home = simulate(seed, days, chatter=3_600)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "home-assistant_v2.db"
            write_recorder(path, home.changes)
            history = Recorder(sqlite_url(str(path))).history(time_zone="UTC", without_pairs=MIRRORS)
        pairs = {(pair.trigger, pair.state, pair.action, pair.result) for pair in history.observed}
        planted = {habit.key for habit in home.habits}
        often = {habit.key for habit in home.habits if habit.count >= MIN_OCCURRENCES}
        right, found = right + len(pairs & planted), found + len(pairs)
        again, wanted = again + len(pairs & often), wanted + len(often)
    return (
        f"habits in {seeds} homes of {days} days: precision {right / max(1, found):.2f} ({right} of {found}), recall "
        f"{again / max(1, wanted):.2f} ({again} of {wanted} that showed {MIN_OCCURRENCES} times or more)"
    )


if __name__ == "__main__":
    main()
