#!/usr/bin/env python3
"""Read synergies from SQLite and PostgreSQL: rows per second, and memory as the rows grow tenfold."""

from __future__ import annotations

import json
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import click
from measure import ROOT

sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

COLUMNS = "id, synergy_id, synergy_type, device_ids, opportunity_metadata, confidence"
TABLE = (
    "CREATE TABLE {schema}synergy_opportunities (id INTEGER PRIMARY KEY, synergy_id VARCHAR(36) UNIQUE, "
    "synergy_type VARCHAR(50), device_ids TEXT, opportunity_metadata JSON, confidence FLOAT)"
)


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows of the larger table.")
@click.option("--pairs", default=4_000, show_default=True, help="Distinct pairs among them.")
@click.option("--read", "address", hidden=True, help="Read this database in this process.")
def main(rows: int, pairs: int, address: str | None) -> None:
    """Write two tables to each database, read each in a fresh process, and print one table."""
    if address is not None:
        print(json.dumps(read(address)))
        return
    from postgres import postgres

    print(f"{pairs} distinct pairs; peak MB is above the base, the process with its imports and an open connection")
    print(f"{'database':<12}{'rows':>9}{'seconds':>9}{'rows/s':>9}{'base MB':>9}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder, postgres() as fresh_database:
        for size in (rows // 10, rows):
            file = Path(folder) / f"{size}.db"
            fill_sqlite(file, synergies(size, pairs))
            show("SQLite", f"sqlite:///{file}", size)
            file.unlink()
        for size in (rows // 10, rows):
            database = fresh_database()
            fill_postgres(database, synergies(size, pairs))
            show("PostgreSQL", database, size)


def synergies(rows: int, pairs: int) -> Iterator[tuple[Any, ...]]:
    """``rows`` rows as production writes them, each for one of ``pairs`` distinct pairs."""
    chance = random.Random(1)  # noqa: S311 - no secret
    metadata = json.dumps({"relationship": {"type": "trigger_action", "strength": 0.8, "direction": "unidirectional"}})
    for number in range(rows):
        pair = chance.randrange(pairs)
        ids = json.dumps([f"binary_sensor.room_{pair // 4}_motion", f"light.room_{pair // 4}_{pair % 4}"])
        confidence = round(chance.uniform(0.5, 1.0), 3)
        yield number, f"{number:08x}-synergy", "device_pair", ids, metadata, confidence


def fill_sqlite(file: Path, rows: Iterator[tuple[Any, ...]]) -> None:
    """Create the table with these rows in a new file."""
    connection = sqlite3.connect(file)
    connection.execute(TABLE.format(schema=""))
    connection.executemany(f"INSERT INTO synergy_opportunities ({COLUMNS}) VALUES (?,?,?,?,?,?)", rows)  # noqa: S608
    connection.commit()
    connection.close()


def fill_postgres(database: str, rows: Iterator[tuple[Any, ...]]) -> None:
    """Create the table with these rows in schema ``automation``."""
    import psycopg

    with psycopg.connect(database) as connection:
        connection.execute("CREATE SCHEMA automation")
        connection.execute(TABLE.format(schema="automation."))
        with connection.cursor().copy(f"COPY automation.synergy_opportunities ({COLUMNS}) FROM STDIN") as copy:
            while block := list(islice(rows, 10_000)):
                for row in block:
                    copy.write_row(row)


def show(name: str, database: str, rows: int) -> None:
    """Read the database in a fresh process and print its line."""
    command = [sys.executable, __file__, "--read", database]
    used = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert used["rows"] == rows
    print(
        f"{name:<12}{rows:>9}{used['seconds']:>9.1f}{rows / used['seconds']:>9.0f}{used['base']:>9.0f}"
        f"{used['peak'] - used['base']:>9.1f}",
        flush=True,
    )


def read(address: str) -> dict[str, float]:
    """Read the synergies at ``address`` in this process. Returns rows, seconds and memory in MB."""
    from data_sources import Home
    from data_sources.sql import SqlSource

    source = SqlSource(address)
    assert source.health() is None, source.health()
    base = peak_mb()
    started = time.perf_counter()
    (home,) = source.read(Home)
    return {"rows": home.rows, "seconds": time.perf_counter() - started, "base": base, "peak": peak_mb()}


def peak_mb() -> float:
    """Peak resident MB of this process. Unlike that of getrusage, it does not start at the parent's peak."""
    (kilobytes,) = re.findall(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


if __name__ == "__main__":
    main()
