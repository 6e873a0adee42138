#!/usr/bin/env python3
"""Read synergy rows from SQLite, .jsonl and .json, beside loops written by hand: the ratios of their CPU times."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from statistics import median
from typing import Any

import click
from measure import ROOT
from sql_rows import fill_sqlite, synergies

sys.path.insert(0, str(ROOT))

Totals = dict[tuple[Any, ...], list[float]]


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the file.")
@click.option("--pairs", default=4_000, show_default=True, help="Distinct pairs among them.")
@click.option("--turns", default=3, show_default=True, help="How often each is measured; the median counts.")
@click.option("--read", "read_path", hidden=True, help="Read this file in this process.")
@click.option("--loop", "loop_path", hidden=True, help="Read this file by the loop in this process.")
def main(rows: int, pairs: int, turns: int, read_path: str | None, loop_path: str | None) -> None:
    """Write the same rows to three files; read each by a source and by a loop that merges equal rows.

    Every reading is a process of its own, and the two take turns.
    """
    if read_path or loop_path:
        print(json.dumps(measured(read_path or loop_path or "", source if read_path else loop)))
        return
    print(f"{rows} rows of {pairs} distinct pairs; CPU seconds without imports, median of {turns}")
    print(f"{'file':<10}{'loop':>8}{'source':>8}{'ratio':>8}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for name in ("rows.db", "rows.jsonl", "rows.json"):
            path = Path(folder) / name
            write(path, rows, pairs)
            taken: dict[str, list[dict[str, float]]] = {"--loop": [], "--read": []}
            for _ in range(turns):
                for flag, found in taken.items():
                    output = subprocess.run([sys.executable, __file__, flag, path], stdout=subprocess.PIPE, check=True)
                    found.append(json.loads(output.stdout))
            assert len({one["checksum"] for found in taken.values() for one in found}) == 1
            by_hand, ours = (median(one["seconds"] for one in found) for found in taken.values())
            peak = max(one["peak"] for one in taken["--read"])
            print(f"{path.suffix:<10}{by_hand:>8.2f}{ours:>8.2f}{ours / by_hand:>8.2f}{peak:>9.0f}", flush=True)
            path.unlink()


def write(path: Path, rows: int, pairs: int) -> None:
    """Write the rows of ``sql_rows.synergies`` as their columns, or as flat rows."""
    if path.suffix == ".db":
        fill_sqlite(path, synergies(rows, pairs))
        return
    with path.open("w") as file:
        before, between, after = ("[", ",\n", "]") if path.suffix == ".json" else ("", "\n", "\n")
        file.write(before)
        for number, (_, _, kind, ids, metadata, confidence) in enumerate(synergies(rows, pairs)):
            trigger, action = json.loads(ids)
            row = {"entity_1": trigger, "entity_2": action, "synergy_type": kind, "confidence": confidence}
            file.write((between if number else "") + json.dumps({**row, **json.loads(metadata)}))
        file.write(after)


def measured(path: str, read: Callable[[Path], Totals]) -> dict[str, float]:
    import data_sources.json_file
    import data_sources.sql  # noqa: F401 - the imports are not measured

    started = time.process_time()
    totals = read(Path(path))
    seconds = time.process_time() - started
    checksum = round(sum(rows * confidence for rows, confidence in totals.values()), 3) + len(totals)
    return {
        "seconds": seconds,
        "checksum": checksum,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def source(path: Path) -> Totals:
    from data_sources import Home, open_source, sqlite_url

    opened = open_source(data_source=sqlite_url(str(path)) if path.suffix == ".db" else str(path))
    (home,) = opened.read(Home)
    return {(s.trigger, s.action): [s.rows, s.confidence] for s in home.synergies}


def loop(path: Path) -> Totals:
    """What a program would do that trusts its rows: decode, and merge equal ones."""
    totals: Totals = defaultdict(lambda: [0, 0.0])
    for row in rows_of(path):
        relationship = row["relationship"]
        key = (row["entity_1"], row["entity_2"], row["synergy_type"], relationship["type"], relationship["direction"])
        total = totals[key]
        total[0] += 1
        total[1] += row["confidence"]
    return {key: [rows, confidence / rows] for key, (rows, confidence) in totals.items()}


def rows_of(path: Path) -> Iterable[dict[str, Any]]:
    if path.suffix == ".db":
        import sqlite3

        with closing(sqlite3.connect(path)) as connection:
            columns = "device_ids, opportunity_metadata, synergy_type, confidence"
            for ids, metadata, kind, confidence in connection.execute(f"SELECT {columns} FROM synergy_opportunities"):  # noqa: S608
                trigger, action = json.loads(ids)
                pair = {"entity_1": trigger, "entity_2": action, "synergy_type": kind, "confidence": confidence}
                yield {**pair, **json.loads(metadata)}
    elif path.suffix == ".jsonl":
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)
    else:
        yield from json.loads(path.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
