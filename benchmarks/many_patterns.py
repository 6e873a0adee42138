#!/usr/bin/env python3
"""Train the pattern model on many rows: processor time and peak memory as they grow."""

from __future__ import annotations

import json
import sys
import tempfile
from itertools import count, islice
from pathlib import Path

import click
from measure import ROOT, run

sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--rows", default="60000,200000,1000000", show_default=True, help="Numbers of rows.")
def main(rows: str) -> None:
    """Train on ROWS rows of the sample: its entities again and again, each time under other names in other homes."""
    sample = json.loads((ROOT / "simulation" / "training_data" / "pattern_detection_data.json").read_text())
    print(f"{'rows':>10}{'MB':>8}{'CPU s':>9}{'peak MB':>9}")
    for number in map(int, rows.split(",")):
        with tempfile.TemporaryDirectory() as name:
            file = Path(name) / "rows.jsonl"
            with file.open("w") as stream:
                copies = (_renamed(row, copy) for copy in count() for row in sample)
                stream.writelines(json.dumps(row) + "\n" for row in islice(copies, number))
            size = file.stat().st_size / 1e6
            taken = run([ROOT / "scripts" / "train_pattern_detection.py", "--json-input", file], Path(name))
        print(f"{number:>10}{size:>8.1f}{taken.cpu_seconds:>9.1f}{taken.peak_mb:>9.0f}", flush=True)


def _renamed(row: dict[str, object], copy: int) -> dict[str, object]:
    """The row as one of copy number ``copy`` of the sample's homes and entities."""
    renamed = {**row, "entity_id": f"{row['entity_id']}_{copy}", "home_id": f"{row.get('home_id', 'home')}_{copy}"}
    truth = row.get("ground_truth")
    if isinstance(truth, dict) and truth.get("expected_device") == row["entity_id"]:
        renamed["ground_truth"] = {**truth, "expected_device": renamed["entity_id"]}
    return renamed


if __name__ == "__main__":
    main()
