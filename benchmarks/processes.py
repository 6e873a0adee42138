#!/usr/bin/env python3
"""Measure whole processes: processor time, peak memory and temporary files of what people start often.

With ``--before CHECKOUT`` each command runs in both checkouts. The commands take turns, so a busy machine slows all.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from itertools import product
from pathlib import Path

import click
from measure import ROOT, Measured, run

sys.path.insert(0, str(ROOT))

PYG = "import torch_geometric.nn"
FROM_PYTHON = """
import json
from training import SynergyModel
from training.synergy.job import SHIPPED_BASE
home = json.load(open("home.json"))
model = SynergyModel.load(SHIPPED_BASE)
for _ in range(20):
    model.suggest(home["entities"], home["synergies"], 10)
"""


def commands(synergies: Path, patterns: Path) -> Mapping[str, list[str]]:
    """What is measured: its name -> its arguments, the first of which names a script."""
    train = ["train_gnn_synergy.py", "--json-input", str(synergies)]
    return {
        PYG: ["-c", PYG],
        "train gnn-synergy": [*train, "--force"],
        "train gnn-synergy, already trained": train,
        "train gnn-synergy --help": ["train_gnn_synergy.py", "--help"],
        "suggest, 500 entities": ["suggest_synergies.py", "--json-input", "home.json", "--output", "s.yaml"],
        "from Python, two threads": ["-c", FROM_PYTHON],
        "train pattern-detection": ["train_pattern_detection.py", "--json-input", str(patterns)],
    }


@click.command()
@click.argument("synergies", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("patterns", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--before", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Another checkout.")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="How often each is measured.")
def main(synergies: Path, patterns: Path, before: Path | None, repeat: int) -> None:
    """Run each command REPEAT times on the rows of SYNERGIES and PATTERNS, and print the medians."""
    from simulation.homes import simulate_home

    checkouts = {"before": before.resolve(), "now": ROOT} if before else {"now": ROOT}
    measured: dict[tuple[str, str], list[Measured]] = defaultdict(list)
    left: dict[tuple[str, str], int] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "home.json").write_text(json.dumps(simulate_home(1, 0, entities=500, pairs=200)))
        todo = commands(synergies.resolve(), patterns.resolve())
        for _ in range(repeat):
            for (title, arguments), when in product(todo.items(), checkouts):
                taken, left[title, when] = _measure(checkouts[when], arguments, folder, title)
                measured[title, when].append(taken)
    print(f"{'':<36}{'':>8}{'CPU s':>8}{'x PyG':>8}{'peak MB':>9}{'files left':>12}")
    for (title, when), own in measured.items():
        cpu, base = (statistics.median(m.cpu_seconds for m in of) for of in (own, measured[PYG, when]))
        peak = max(m.peak_mb for m in own)
        print(f"{title:<36}{when:>8}{cpu:>8.2f}{cpu / base:>8.2f}{peak:>9.0f}{left[title, when]:>12}")


def _measure(checkout: Path, arguments: list[str], folder: Path, title: str) -> tuple[Measured, int]:
    """One run in ``checkout``, and how many temporary files it left."""
    script, *rest = arguments
    command = arguments if script == "-c" else [str(checkout / "scripts" / script), *rest]
    threads = "2" if "threads" in title else "1"
    work = folder / checkout.name
    work.mkdir(exist_ok=True)
    (work / "home.json").write_bytes((folder / "home.json").read_bytes())
    with tempfile.TemporaryDirectory() as temporary:
        variables = {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": threads, "TMPDIR": temporary}
        taken = run(command, work, variables)
        return taken, sum(path.is_file() for path in Path(temporary).rglob("*"))


if __name__ == "__main__":
    main()
