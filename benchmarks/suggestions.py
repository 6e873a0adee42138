#!/usr/bin/env python3
"""Judge the list of suggestions that a person is shown: how many of its automations the owner runs in fact.

Cross-validation by home. A model is trained on the other homes; of each test home some automations are hidden, and the
list is made from the rest. A suggestion is a hit where a trigger drives one of its actions in a hidden automation.
What is not a hit may be a good idea all the same, so the shares are lower bounds.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path

import click
from home_folds import Fold, each_fold
from measure import ROOT

sys.path.insert(0, str(ROOT))

SHOWN = (5, 10, 20)
# Below it suggestions are dropped from the list; ``--min-score`` would fill it up again.
LEAST_SCORES = (0.0, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
Row = dict[str, float]


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True, help="Parts that are held out in turn.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="How often all of it is repeated.")
@click.option("--draws", type=click.IntRange(1), default=10, show_default=True, help="Of what is hidden in each home.")
@click.option(
    "--known",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.7,
    show_default=True,
    help="Share of a known home's automations that the model may read.",
)
@click.option("--epochs", type=click.IntRange(0), help="Of the network at most; 0 judges the features alone.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, help="Folds at a time.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the table as JSON.")
def main(
    data: Path, folds: int, seeds: int, draws: int, known: float, epochs: int | None, jobs: int, report: Path | None
) -> None:
    """Suggest automations for every home of DATA from models that never saw it, and count what was hidden."""
    from training.judging.intervals import intervals_of_means
    from training.runs.files import to_json

    tasks = [Fold(data, seed, fold, folds, epochs=epochs) for seed in range(seeds) for fold in range(folds)]
    measured: dict[str, dict[str, list[Row]]] = {}
    seconds = checked = lists = 0.0
    for found, own_seconds, own_checked in each_fold(partial(judge, draws=draws, known=known), tasks, jobs):
        seconds, checked = seconds + own_seconds, checked + own_checked
        for order, of in found.items():
            for home_id, rows in of.items():
                measured.setdefault(order, {}).setdefault(home_id, []).extend(rows)
                lists += len(rows)
    content = {}
    for order, of in measured.items():
        homes = [{name: sum(row[name] for row in rows) / len(rows) for name in rows[0]} for rows in of.values()]
        bounds = intervals_of_means(homes)
        content[order] = {
            name: (sum(home[name] for home in homes) / len(homes), bounds[name] or (0.0, 0.0)) for name in homes[0]
        }
    if report is not None:
        report.write_bytes(to_json({"homes": len(homes), "seeds": seeds, "draws": draws, **content}))
    print(f"{len(homes)} homes, {folds} folds by home, {seeds} seeds, {draws} draws; {known:.0%} of automations known")
    print("share: of the suggestions, hits; homes: with a hit; automations: hidden ones that are found")
    print(f"{'order':16} first  share (95 % over homes)  homes (95 % over homes)  automations")
    for order, row in content.items():
        for top in SHOWN:
            share, hit, many = (row[f"{what}_{top}"] for what in ("share", "homes", "automations"))
            print(
                f"{order:16} {top:5}  {share[0]:.3f} ({share[1][0]:.3f} to {share[1][1]:.3f})   "
                f"{hit[0]:.3f} ({hit[1][0]:.3f} to {hit[1][1]:.3f})   {many[0]:5.2f}"
            )
    print(f"\n{SHOWN[-1]} as they are shown, and what is left of them from a score on")
    print("at least  shown  hits  hits of the shown  homes with a hit (95 % over homes)")
    for least in LEAST_SCORES:
        many, right, hit = (content["re-ranked"][f"{what}_from_{least}"] for what in ("shown", "hits", "homes"))
        print(
            f"{least:8.2f}  {many[0]:5.1f}  {right[0]:4.2f}  {right[0] / max(many[0], 1e-9):17.3f}  "
            f"{hit[0]:.3f} ({hit[1][0]:.3f} to {hit[1][1]:.3f})"
        )
    print(f"{checked:.0f} automations keep to the schema; {1000 * seconds / max(1, lists):.0f} ms a list")


def judge(fold: Fold, draws: int, known: float) -> tuple[dict[str, dict[str, list[Row]]], float, int]:
    """Rows by order and home, the seconds that the lists took, and how many automations were checked."""
    import numpy as np
    import torch

    from home_assistant.automation_schema import check_automation
    from training.suggestions.ranking import suggest_automations
    from training.synergy.evaluation import baselines
    from training.synergy.features import pair_features
    from training.synergy.graph import build_graph
    from training.synergy.known_pairs import KnownPairs
    from training.synergy.name_encoders import WORDS, encoder_of
    from training.synergy.splits import known_home_split

    torch.set_num_threads(1)
    homes = fold.homes()
    result, test = fold.train(homes, encoder_of(WORDS))
    model = result.model
    measured: dict[str, dict[str, list[Row]]] = {}
    seconds, checked = 0.0, 0
    for h in test:
        graph = build_graph(homes[h])
        for draw in range(draws):
            split = known_home_split([graph], known, 100 * fold.seed + draw)
            ids, pairs, is_test = graph.entity_ids, graph.pairs.tolist(), split.select(0, "test")
            hidden = {(ids[t], ids[a]): graph.groups[i][0] for i, (t, a) in enumerate(pairs) if is_test[i]}
            told = {(ids[t], ids[a]) for i, (t, a) in enumerate(pairs) if not is_test[i]}
            if not hidden:
                continue
            home = replace(homes[h], synergies=[s for s in homes[h].synergies if (s.trigger, s.action) in told])
            lists: dict[str, list[Collection[tuple[str, str]]]] = {}
            scores = {}
            for name, diverse in (("re-ranked", True), ("model's own", False)):
                started = time.perf_counter()
                found = suggest_automations(model, home, max(SHOWN), min_score=0.0, diverse=diverse).proposals
                seconds += time.perf_counter() - started
                lists[name] = [p.pairs for p in found]
                scores[name] = [p.score for p in found]
                for proposal in found:
                    check_automation(proposal.automation)
                    checked += 1
            encoded = model.read(graph)
            automated = np.flatnonzero(~graph.set_aside)
            actions = np.intersect1d(encoded.candidates, automated)
            kept = KnownPairs(encoded, graph.pairs[~is_test])
            count = baselines(pair_features(model.log_odds, encoded, kept, automated, actions))["prior_x_name_overlap"]
            count[automated[:, None] == actions] = -np.inf
            best = np.argsort(-count, axis=None, kind="stable")[: max(SHOWN) + len(told)].tolist()
            named = [(ids[automated[i // len(actions)]], ids[actions[i % len(actions)]]) for i in best]
            lists["best count"] = [[pair] for pair in named if pair not in told]
            for name, shown in lists.items():
                hits = [{hidden[pair] for pair in pairs if pair in hidden} for pairs in shown]
                row: Row = {}
                for top in SHOWN:
                    row[f"share_{top}"] = sum(map(bool, hits[:top])) / top
                    row[f"homes_{top}"] = float(any(hits[:top]))
                    row[f"automations_{top}"] = len(set().union(*hits[:top]))
                for least in LEAST_SCORES if name in scores else ():
                    passing = [bool(hit) for hit, score in zip(hits, scores[name], strict=True) if score >= least]
                    row[f"shown_from_{least}"] = len(passing)
                    row[f"hits_from_{least}"] = sum(passing)
                    row[f"homes_from_{least}"] = float(any(passing))
                measured.setdefault(name, {}).setdefault(home.home_id, []).append(row)
    return measured, seconds, checked


if __name__ == "__main__":
    main()
