#!/usr/bin/env python3
"""Cross-validation by home: the synergy model beside the baselines on homes it never saw, new and partly known.

Where the ``names`` extra is installed, with and without it on the same folds; without it names are read word by word.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click
from home_folds import Fold, each_fold
from measure import ROOT

sys.path.insert(0, str(ROOT))


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts that are held out in turn.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="How often all of it is repeated.")
@click.option(
    "--known",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.7,
    show_default=True,
    help="Share of a known home's automations that the model may read.",
)
@click.option("--learn-from", type=click.IntRange(1), help="Homes of the training part at most: what more homes bring.")
@click.option("--epochs", type=click.IntRange(0), help="Of the network at most; 0 judges the features alone.")
@click.option("--no-names", is_flag=True, help="Only without the names extra.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Folds at a time.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table as JSON.")
def main(
    data: Path,
    folds: int,
    seeds: int,
    known: float,
    learn_from: int | None,
    epochs: int | None,
    no_names: bool,
    jobs: int,
    report: Path | None,
) -> None:
    """Every home of DATA is in the test part once a seed; folds differ between seeds.

    Epochs are chosen on validation homes inside the training part, which the test homes never touch.
    """
    from training.runs.files import to_json
    from training.synergy.evaluation import HomeScore, summarize_runs
    from training.synergy.name_encoders import SENTENCES, WORDS, encoder_of
    from training.synergy.report import evaluation_lines

    ways = {"without names": WORDS}
    if not no_names and encoder_of(SENTENCES) is not None:
        ways["with names"] = SENTENCES
    tasks = [Fold(data, seed, fold, folds, learn_from, epochs) for seed in range(seeds) for fold in range(folds)]
    scored: dict[str, list[list[HomeScore]]] = {}
    saved: dict[str, list[int]] = {way: [] for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for fold, of_ways in zip(tasks, each_fold(partial(judge, ways=ways, known=known), tasks, jobs), strict=True):
        for way, (epoch, spent, settings) in of_ways.items():
            saved[way].append(epoch)
            seconds[way] += spent
            for setting, scores in settings.items():
                runs = scored.setdefault(f"{setting}, {way}", [])
                if fold.number == 0:
                    runs.append([])
                runs[-1] += scores
    content = {setting: summarize_runs(runs) for setting, runs in scored.items()}
    if report is not None:
        report.write_bytes(to_json({"folds": folds, "seeds": seeds, **content}))
    print(f"{len(tasks[0].homes())} homes, {folds} folds by home, {seeds} seeds")
    for setting, measured in sorted(content.items(), reverse=True):
        print("\n".join(evaluation_lines(setting, measured)))
    for way in ways:
        print(f"{way}: {seconds[way]:.0f} s, saved epochs: {saved[way]}")


def judge(fold: Fold, ways: dict[str, str], known: float) -> dict[str, tuple[int, float, dict[str, list[Any]]]]:
    """For each way of reading names: the saved epoch, the seconds, and the scores of the test homes by setting."""
    import torch

    from training.synergy.name_encoders import encoder_of

    torch.set_num_threads(1)
    homes = fold.homes()
    found = {}
    for way, kind in ways.items():
        started = time.perf_counter()
        result, test = fold.train(homes, encoder_of(kind))
        own = [homes[h] for h in test]
        settings = {
            "New home": result.model.evaluate(own, None, fold.seed),
            "Known home": result.model.evaluate(own, known, fold.seed),
        }
        found[way] = (result.best_epoch, time.perf_counter() - started, settings)
    return found


if __name__ == "__main__":
    main()
