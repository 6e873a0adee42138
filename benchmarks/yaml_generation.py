#!/usr/bin/env python3
"""Score automations that are generated for held-out homes, beside those of the nearest request, on a scratch base."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--homes", type=click.Path(exists=True, path_type=Path), help="Homes with the entities that DATA lacks.")
@click.option("--folds", type=click.IntRange(0), default=0, show_default=True, help="0: the split of a training run.")
@click.option("--fold", type=int, default=None, help="Number of the only fold to run, from 0.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random numbers.")
def main(data: Path, homes: Path | None, folds: int, fold: int | None, seed: int) -> None:
    """Train on DATA with whole homes held out. Prints the scores of each fold, and their mean weighted by rows."""
    from data_sources import Home, YamlRow, open_source
    from training.automations.report import score_lines
    from training.automations.trainer import split_by_home, train_generator
    from training.text.config import AdapterConfig

    rows = list(open_source(json_input=str(data)).read(YamlRow))
    if homes is not None:
        known = {
            h.home_id: tuple(e.entity_id for e in h.entities) for h in open_source(json_input=str(homes)).read(Home)
        }
        rows = [row.model_copy(update={"entities": known.get(row.home_id or "", ())}) for row in rows]
    splits = [split_by_home(rows)] if not folds else [_fold(rows, folds, i) for i in range(folds)]
    config = AdapterConfig(base_model="scratch", epochs=1, batch_size=16, seed=seed)
    measured = []
    for number, split in enumerate(splits):
        if fold not in (None, number):
            continue
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as work:
            result = train_generator(rows, config, Path(work), split=split)
        print(f"fold {number}: {split[1]['rows']} rows, {time.perf_counter() - started:.0f} s")
        print("\n".join(score_lines(result.metrics)), flush=True)
        measured.append(result.metrics["test"])
    if len(measured) > 1:
        print("Mean by rows of all folds")
        print("\n".join(score_lines({"test": _mean(measured)})))
    print(json.dumps(measured if len(measured) > 1 else measured[0]["model"]), file=sys.stderr)


def _fold(rows: Sequence[Any], folds: int, number: int) -> tuple[list[Any], dict[str, Any]]:
    """Deal the homes, sorted by their number of rows, to the folds in turn. There is no validation part."""
    sizes: dict[str, int] = {}
    for row in rows:
        sizes[row.home_id] = sizes.get(row.home_id, 0) + 1
    fold_of = {home: i % folds for i, home in enumerate(sorted(sizes, key=lambda home: (-sizes[home], home)))}
    parts = ["test" if fold_of[row.home_id] == number else "train" for row in rows]
    return parts, {"strategy": "home", "rows": {part: parts.count(part) for part in ("train", "test")}}


def _mean(measured: Sequence[dict[str, Any]]) -> dict[str, Any]:
    total = sum(fold["rows"] for fold in measured)

    def mean(of: Sequence[tuple[int, dict[str, float]]]) -> dict[str, float]:
        return {key: sum(rows * scores[key] for rows, scores in of) / total for key in of[0][1]}

    return {
        "rows": total,
        "model": mean([(fold["rows"], fold["model"]) for fold in measured]),
        "baselines": {
            name: mean([(fold["rows"], fold["baselines"][name]) for fold in measured])
            for name in measured[0]["baselines"]
        },
        "examples": [],
    }


if __name__ == "__main__":
    main()
