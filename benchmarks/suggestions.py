#!/usr/bin/env python3
"""Judge the list of suggestions that a person is shown: how many of its automations the owner runs in fact.

Cross-validation by home. A model is trained on the other homes; of each test home some automations are hidden, and the
list is made from the rest. A suggestion is a hit where its trigger drives one of its actions in a hidden automation.
What is not a hit may still be a good idea, so the shares are lower bounds.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

SHOWN = (5, 10, 20)


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--folds", type=click.IntRange(2), default=5, show_default=True)
@click.option("--seeds", type=click.IntRange(1), default=1, show_default=True)
@click.option("--draws", type=click.IntRange(1), default=10, show_default=True, help="Of what is hidden in each home.")
@click.option("--known", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.7, show_default=True)
@click.option("--epochs", type=click.IntRange(0), help="Of the network; 0 judges the features alone.")
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Also write the tables as JSON.")
def main(data: Path, folds: int, seeds: int, draws: int, known: float, epochs: int | None, report: Path | None) -> None:
    """Suggest automations for every home of DATA from models that never saw it, and count what was hidden."""
    import numpy as np

    from data_sources import Home, open_source
    from home_assistant.automation_schema import check_automation
    from training.judging.splits import PARTS
    from training.runs.artifacts import to_json
    from training.suggestions.ranking import suggest_automations
    from training.synergy.config import SynergyConfig
    from training.synergy.evaluation import baselines, intervals
    from training.synergy.features import pair_features
    from training.synergy.graph import build_graph
    from training.synergy.known_pairs import KnownPairs
    from training.synergy.name_encoders import WORDS, encoder_of
    from training.synergy.splits import Split, known_home_split
    from training.synergy.trainer import train_synergy_model

    homes = [home for home in open_source(json_input=str(data)).read(Home) if home.synergies]
    graphs = [build_graph(home) for home in homes]
    measured: dict[str, dict[str, list[dict[str, float]]]] = {}
    seconds, checked = 0.0, 0

    def judge(order: str, h: int, pairs: list[tuple[str, tuple[str, ...]]], hidden: dict[tuple[str, str], str]) -> None:
        found = [{hidden[t, a] for a in actions if (t, a) in hidden} for t, actions in pairs]
        row: dict[str, float] = {}
        for top in SHOWN:
            hits = sum(bool(one) for one in found[:top])
            row |= {f"share_{top}": hits / top, f"hit_{top}": float(hits > 0)}
            row[f"automations_{top}"] = len(set().union(*found[:top]))
        measured.setdefault(order, {}).setdefault(homes[h].home_id, []).append(row)

    for seed in range(seeds):
        order = np.random.default_rng(seed).permutation(len(homes))
        for fold in range(folds):
            part_of = np.full(len(homes), PARTS.index("train"), dtype=np.int8)
            part_of[order[fold::folds]] = PARTS.index("test")
            rest = [h for h in order if part_of[h] == PARTS.index("train")]
            if epochs != 0:
                part_of[rest[: max(1, len(rest) // 5)]] = PARTS.index("validation")
            parts = tuple(np.full(len(graphs[h].pairs), part_of[h], dtype=np.int8) for h in range(len(homes)))
            split = Split(
                "home", parts, "cross-validation", {p: int((part_of == i).sum()) for i, p in enumerate(PARTS)}
            )
            config = SynergyConfig(seed=seed) if not epochs else SynergyConfig(seed=seed, epochs=epochs)
            model = train_synergy_model(
                homes, config, split=split, encoder=encoder_of(WORDS), **({"epochs": 0} if epochs == 0 else {})
            ).model
            for h in sorted(order[fold::folds].tolist()):
                for draw in range(draws):
                    inner = known_home_split([graphs[h]], known, 100 * seed + draw)
                    ids, groups = graphs[h].entity_ids, graphs[h].groups
                    kept, test = inner.select(0, "train"), inner.select(0, "test")
                    if not test.any():
                        continue
                    hidden = {(ids[t], ids[a]): groups[i][0] for i, (t, a) in enumerate(graphs[h].pairs) if test[i]}
                    told = {(ids[t], ids[a]) for t, a in graphs[h].pairs[kept].tolist()}
                    home = replace(homes[h], synergies=[s for s in homes[h].synergies if (s.trigger, s.action) in told])
                    started = time.perf_counter()
                    lists = {
                        name: suggest_automations(model, home, max(SHOWN), min_score=0.0, diverse=diverse).proposals
                        for name, diverse in (("re-ranked", True), ("model's own order", False))
                    }
                    seconds += time.perf_counter() - started
                    for name, found in lists.items():
                        judge(name, h, [(p.trigger, p.actions) for p in found], hidden)
                        for proposal in found:
                            check_automation(proposal.automation)
                            checked += 1
                    encoded = model.read(graphs[h])
                    pairs = KnownPairs(encoded, graphs[h].pairs[kept])
                    automated = np.flatnonzero(~graphs[h].set_aside)
                    actions = np.intersect1d(encoded.candidates, automated)
                    features = pair_features(model.log_odds, encoded, pairs, automated, actions)
                    count = baselines(features)["prior_x_name_overlap"]
                    count[automated[:, None] == actions] = -np.inf
                    best = np.argsort(-count, axis=None, kind="stable")[: 20 * max(SHOWN) + len(told)]
                    named = [(ids[automated[i // len(actions)]], ids[actions[i % len(actions)]]) for i in best]
                    judge("best count", h, [(t, (a,)) for t, a in named if (t, a) not in told], hidden)
        content = {name: _summary(of, intervals) for name, of in measured.items()}
        if report is not None:  # after each seed, so that a run that is stopped leaves what it has
            report.write_bytes(to_json({"homes": len(homes), "seeds": seed + 1, "draws": draws, **content}))
    print(
        f"{len(homes)} homes, {folds} folds by home, {seeds} seeds, {draws} draws of what is hidden ({known:.0%} known)"
    )
    print(f"{'order':18} first  hits        (95 % over homes)  homes with one          automations")
    for name, of in content.items():
        for top in SHOWN:
            share, hit, many = (of[f"{what}_{top}"] for what in ("share", "hit", "automations"))
            print(
                f"{name:18} {top:5}  {share['mean']:.3f} ({share['low']:.3f} to {share['high']:.3f})    "
                f"{hit['mean']:.3f} ({hit['low']:.3f} to {hit['high']:.3f})    {many['mean']:.2f}"
            )
    print(
        f"{checked} automations keep to the schema; {seconds:.0f} s for {2 * sum(map(len, of_homes(measured)))} lists"
    )


def of_homes(measured: dict[str, dict[str, list[dict[str, float]]]]) -> list[list[dict[str, float]]]:
    """The rows of the re-ranked lists, a list for each home."""
    return list(measured["re-ranked"].values())


def _summary(of: dict[str, list[dict[str, float]]], intervals) -> dict[str, dict[str, float]]:  # type: ignore[no-untyped-def]
    """Mean over homes of each figure's mean over draws, with its interval over homes."""
    rows = [{name: sum(row[name] for row in own) / len(own) for name in own[0]} for own in of.values()]
    bounds = intervals(rows)
    return {
        name: {
            "mean": sum(row[name] for row in rows) / len(rows),
            "low": (bounds[name] or (0, 0))[0],
            "high": (bounds[name] or (0, 0))[1],
        }
        for name in rows[0]
    }


if __name__ == "__main__":
    main()
