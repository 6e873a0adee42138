#!/usr/bin/env python3
"""Cross-validation by home: the synergy model beside the baselines on homes it never saw."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True)
def main(data: Path, folds: int, seeds: int) -> None:
    """Every home of DATA is in the test part once a seed; folds differ between seeds."""
    import numpy as np

    from data_sources import Home, open_source
    from training.config import SynergyConfig
    from training.graph import Split
    from training.link_prediction import train
    from training.metrics import METRICS
    from training.splits import PARTS

    homes = [home for home in open_source(json_input=str(data)).read(Home) if home.synergies]
    sums: dict[str, np.ndarray] = {}
    epochs, errors, total, started = [], [], 0, time.perf_counter()
    by_seed: dict[int, float] = {}
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(homes))
        gains = []
        for fold in range(folds):
            part_of = np.full(len(homes), PARTS.index("train"), dtype=np.int8)
            part_of[order[fold::folds]] = PARTS.index("test")
            rest = [h for h in order if part_of[h] == PARTS.index("train")]
            part_of[rest[: max(1, len(homes) // 7)]] = PARTS.index("validation")
            parts = tuple(
                np.full(_directed(home), part, dtype=np.int8) for home, part in zip(homes, part_of, strict=True)
            )
            units = {part: int((part_of == i).sum()) for i, part in enumerate(PARTS)}
            result = train(homes, SynergyConfig(seed=seed), split=Split("home", parts, "cross-validation", units))
            measured = result.metrics["test"]
            for name, row in [("model", measured["model"]), *measured["baselines"].items()]:
                values = np.array([row[metric] for metric in METRICS])
                sums[name] = sums.get(name, 0) + measured["homes"] * values
            total += measured["homes"]
            epochs.append(result.best_epoch)
            errors.append(measured["model"]["ece"])
            gains.append(
                measured["homes"] * (measured["model"]["mrr"] - measured["baselines"]["prior_x_name_overlap"]["mrr"])
            )
        by_seed[seed] = sum(gains) / len(homes)
    print(
        f"{len(homes)} homes, {folds} folds by home, {seeds} seeds, macro mean; {time.perf_counter() - started:.0f} s"
    )
    print(f"{'':<22}" + "".join(f"{metric:>12}" for metric in METRICS))
    for name, values in sums.items():
        print(f"{name:<22}" + "".join(f"{value:>12.3f}" for value in values / total))
    print(f"expected calibration error, mean over folds: {np.mean(errors):.3f}")
    print("MRR above prior x name overlap, by seed: " + ", ".join(f"{gain:+.3f}" for gain in by_seed.values()))
    print(f"saved epochs: {epochs}")


def _directed(home: object) -> int:
    from data_sources import Home
    from training.graph import build_graph

    assert isinstance(home, Home)
    return len(build_graph(home).pairs)


if __name__ == "__main__":
    main()
