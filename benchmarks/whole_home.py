#!/usr/bin/env python3
"""Score every trigger with every action of whole homes, and time it as homes grow."""

from __future__ import annotations

import resource
import sys
import time
from pathlib import Path

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--sizes", default="500,2000,10000", show_default=True, help="Numbers of entities.")
@click.option("--model-path", type=click.Path(exists=True, path_type=Path), help="[default: the shipped base model]")
@click.option("--repeat", type=click.IntRange(1), default=3, show_default=True, help="The fastest counts.")
def main(sizes: str, model_path: Path | None, repeat: int) -> None:
    """Suggest the 20 best pairs of a generated home of each size. A third of its pairs are known."""
    from simulation.homes import simulate_home
    from training.synergy.job import SHIPPED_BASE
    from training.synergy.model import SynergyModel

    started = time.perf_counter()
    model = SynergyModel.load(model_path or SHIPPED_BASE)
    print(f"loading the model: {time.perf_counter() - started:.2f} s")
    print(f"{'entities':>9}{'known':>8}{'pairs scored':>14}{'seconds':>9}{'peak MB':>9}")
    for size in map(int, sizes.split(",")):
        raw = simulate_home(1, 0, entities=size, pairs=size // 3)
        known = raw["synergies"][::3]
        scored, fastest = 0, float("inf")
        for _ in range(repeat if size < 5_000 else 1):
            started = time.perf_counter()
            suggested = model.suggest(raw["entities"], known, 20)
            fastest = min(fastest, time.perf_counter() - started)
            assert len(suggested) == 20
        home, _ = model.encode(raw["entities"], known)
        scored = home.graph.size * len(home.candidates)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{size:>9}{len(known):>8}{scored:>14}{fastest:>9.2f}{peak:>9.0f}")


if __name__ == "__main__":
    main()
