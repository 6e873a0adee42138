#!/usr/bin/env python3
"""Cross-validation by home: the synergy model beside the baselines on homes it never saw, new and partly known.

Where the ``names`` extra is installed, with and without it on the same folds; without it names are read word by word.
"""

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
@click.option("--known", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.7, show_default=True)
@click.option("--learn-from", type=click.IntRange(1), help="Homes of the training part at most: what more homes bring.")
@click.option("--no-names", is_flag=True, help="Only without the names extra.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table as JSON.")
def main(
    data: Path, folds: int, seeds: int, known: float, learn_from: int | None, no_names: bool, report: Path | None
) -> None:
    """Every home of DATA is in the test part once a seed; folds differ between seeds.

    Epochs are chosen on validation homes inside the training part, which the test homes never touch.
    """
    import numpy as np

    from data_sources import Home, open_source
    from training.judging.splits import PARTS
    from training.runs.artifacts import to_json
    from training.synergy.config import SynergyConfig
    from training.synergy.encoded_home import display_names
    from training.synergy.evaluation import HomeScore, summarize_runs
    from training.synergy.graph import build_graph
    from training.synergy.name_encoders import SENTENCES, WORDS, encoder_of
    from training.synergy.report import evaluation_lines
    from training.synergy.splits import Split
    from training.synergy.trainer import train_synergy_model

    homes = [home for home in open_source(json_input=str(data)).read(Home) if home.synergies]
    pairs = [len(build_graph(home).pairs) for home in homes]
    read_names = None if no_names else encoder_of(SENTENCES)
    ways = {"without names": encoder_of(WORDS)} | ({"with names": read_names} if read_names is not None else {})
    if read_names is not None:
        texts = {text for home in homes for text in display_names(build_graph(home))}
        started = time.perf_counter()
        read_names(sorted(texts))
        print(f"reading {len(texts)} distinct names: {time.perf_counter() - started:.1f} s with loading the encoder")
    scored: dict[str, list[list[HomeScore]]] = {}
    epochs: dict[str, list[int]] = {way: [] for way in ways}
    seconds = dict.fromkeys(ways, 0.0)
    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(homes))
        for fold in range(folds):
            part_of = np.full(len(homes), PARTS.index("train"), dtype=np.int8)
            part_of[order[fold::folds]] = PARTS.index("test")
            rest = [h for h in order if part_of[h] == PARTS.index("train")][:learn_from]
            part_of[rest[: max(1, len(rest) // 5)]] = PARTS.index("validation")
            chosen = sorted([*rest, *order[fold::folds]])
            parts = tuple(np.full(pairs[h], part_of[h], dtype=np.int8) for h in chosen)
            units = {part: int((part_of == i).sum()) for i, part in enumerate(PARTS)}
            split = Split("home", parts, "cross-validation", units)
            test = [homes[h] for h in np.flatnonzero(part_of == PARTS.index("test"))]
            for way, names in ways.items():
                started = time.perf_counter()
                result = train_synergy_model(
                    [homes[h] for h in chosen], SynergyConfig(seed=seed), split=split, encoder=names
                )
                epochs[way].append(result.best_epoch)
                for setting, share in (("New home", None), ("Known home", known)):
                    runs = scored.setdefault(f"{setting}, {way}", [])
                    if fold == 0:
                        runs.append([])
                    runs[-1] += result.model.evaluate(test, share, seed)
                seconds[way] += time.perf_counter() - started
        content = {setting: summarize_runs(runs) for setting, runs in scored.items()}
        if report is not None:  # after each seed, so that a run that is stopped leaves what it has
            report.write_bytes(to_json({"homes": len(homes), "folds": folds, "seeds": seed + 1, **content}))
    print(f"{len(homes)} homes, {folds} folds by home, {seeds} seeds")
    for setting, measured in sorted(content.items(), reverse=True):
        print("\n".join(evaluation_lines(setting, measured)))
    for way in ways:
        print(f"{way}: {seconds[way]:.0f} s, saved epochs: {epochs[way]}")


if __name__ == "__main__":
    main()
