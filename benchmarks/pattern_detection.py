#!/usr/bin/env python3
"""Cross-validate the pattern model by entity and by home, beside the base rate and the detector's confidence."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from measure import ROOT, run

sys.path.insert(0, str(ROOT))

SAMPLE = ROOT / "simulation" / "training_data"
COLUMNS = ("brier", "average_precision", "roc_auc", "ece")


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path), default=SAMPLE)
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts that are held out in turn.")
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=5,
    show_default=True,
    help="How often all of it is repeated, with other folds.",
)
def main(data: Path, folds: int, seeds: int) -> None:
    """Hold out every row of DATA that has a ground truth once per seed; folds differ between seeds.

    DATA is the sample by default.
    """
    import numpy as np

    from data_sources import PatternRow, open_source

    rows = [row for row in open_source(json_input=str(data)).read(PatternRow) if row.genuine is not None]
    label = np.array([row.genuine for row in rows])
    print(f"{len(rows)} labelled rows, {label.mean():.1%} genuine; {folds} folds, {seeds} seeds, mean over seeds")
    if not 0 < label.sum() < len(rows):
        print("All rows have one label: there is nothing to learn and nothing to measure.")
    else:
        for unit in ("entity_id", "home_id"):
            names = [getattr(row, unit) for row in rows]
            if None in names or len(set(names)) < folds:
                print(f"held out by {unit}: not possible; a row has none, or there are fewer than {folds}")
            else:
                _cross_validate(rows, names, label, folds, seeds, unit)
    with tempfile.TemporaryDirectory() as folder:
        script = ROOT / "scripts" / "train_pattern_detection.py"
        measured = run([script, "--json-input", data.resolve(), "--model-path", Path(folder) / "m.skops"], Path(folder))
    print(f"training as a process: {measured.seconds:.1f} s, peak {measured.peak_mb:.0f} MB")


def _cross_validate(rows: Sequence, names: Sequence[str], label: object, folds: int, seeds: int, unit: str) -> None:
    import numpy as np

    from training.patterns.trainer import fit, scores_of

    label = np.asarray(label)
    units, number = np.unique(names, return_inverse=True)
    tables: list[dict[str, dict[str, float]]] = []
    chosen: dict[str, int] = {}
    confidence = np.array([row.confidence for row in rows])
    for seed in range(seeds):
        fold = np.empty(len(units), dtype=int)
        fold[np.random.default_rng(seed).permutation(len(units))] = np.arange(len(units)) % folds
        probability = np.zeros(len(rows))
        for part in range(folds):
            test, train = np.flatnonzero(fold[number] == part), np.flatnonzero(fold[number] != part)
            model, _ = fit([rows[i] for i in train], seed)
            probability[test] = model.score([rows[i] for i in test])
            chosen[model.chosen] = chosen.get(model.chosen, 0) + 1
        named = {"model": probability, "base rate": np.full(len(rows), label.mean()), "confidence": confidence}
        tables.append({name: scores_of(values, label) for name, values in named.items()})
    print(f"\nheld out by {unit}, {len(units)} of them")
    print(f"{'':<12}" + "".join(f"{column:>20}" for column in COLUMNS))
    for name in tables[0]:
        print(f"{name:<12}" + "".join(f"{np.mean([t[name][column] for t in tables]):>20.3f}" for column in COLUMNS))
    gains = [min(t[o]["brier"] for o in t if o != "model") - t["model"]["brier"] for t in tables]
    print("Brier score below the best baseline, by seed: " + ", ".join(f"{gain:.3f}" for gain in gains))
    gains = [
        t["model"]["average_precision"] - max(t[o]["average_precision"] for o in t if o != "model") for t in tables
    ]
    print("average precision above the best baseline, by seed: " + ", ".join(f"{gain:.3f}" for gain in gains))
    print("chosen: " + ", ".join(f"{name} ({count})" for name, count in sorted(chosen.items())))


if __name__ == "__main__":
    main()
