#!/usr/bin/env python3
"""Score automations that are answered for held-out homes, beside look-ups and beside what could be known at all."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from measure import ROOT

sys.path.insert(0, str(ROOT))

FOLDS, RESAMPLES = 5, 1000
VALIDATION = 6  # one home of so many that are not in the test part sets the thresholds
PARTS = ("triggers", "services", "entities", "right")


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--homes", type=click.Path(exists=True, path_type=Path), help="Homes with the entities that DATA lacks.")
@click.option("--network", is_flag=True, help="Train as a training run does, on its one split; else no network.")
@click.option("--wrong", type=int, default=0, help="Show so many of the answers that are given and not right.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all random numbers.")
def main(data: Path, homes: Path | None, network: bool, wrong: int, seed: int) -> None:
    """Hold whole homes of DATA out and print what is answered for them."""
    from data_sources import Home, YamlRow, open_source
    from training.automations.home_index import HomeIndex

    rows = list(open_source(json_input=str(data)).read(YamlRow))
    known = {}
    if homes is not None:
        found = {one.home_id: one.entities for one in open_source(json_input=str(homes)).read(Home)}
        used = {row.home_id for row in rows}
        known = {home_id: HomeIndex.of(entities) for home_id, entities in found.items() if home_id in used}
        ids = {home_id: tuple(one.entity_id for one in found[home_id]) for home_id in known}
        rows = [row.model_copy(update={"entities": ids.get(row.home_id or "", ())}) for row in rows]
    if network:
        _network(rows, seed)
    else:
        _folds(rows, known, wrong, seed)


def _network(rows: Sequence[Any], seed: int) -> None:
    from training.automations.report import score_lines
    from training.automations.trainer import train_generator
    from training.text.config import AdapterConfig

    started = time.process_time()
    config = AdapterConfig(base_model="scratch", epochs=1, batch_size=16, seed=seed)
    with tempfile.TemporaryDirectory() as work:
        result = train_generator(rows, config, Path(work))
    print(f"{result.split['rows']} rows, {time.process_time() - started:.0f} CPU seconds")
    learnt = json.loads(result.files["requests.json"])
    for name in ("ranked", "written"):
        least = learnt[name]["least"]
        print(
            f"{name}: "
            + (
                "never given: too few in validation homes, or too often wrong"
                if least is None
                else f"given from {least:.3f}"
            )
        )
    print("\n".join(score_lines(result.metrics)), flush=True)
    print(json.dumps(result.metrics["test"]["model"]), file=sys.stderr)


def _folds(rows: Sequence[Any], known: Mapping[str, Any], wrong: int, seed: int) -> None:
    from home_assistant import dump_automation
    from training.automations.confidence import is_right
    from training.automations.evaluation import is_valid, look_ups
    from training.automations.model import YamlGenerator, examples
    from training.automations.trainer import learn

    started = time.process_time()
    prepared = examples(rows, known)
    fold_of = _dealt([one.home_id for one in prepared])
    found: dict[str, list[Any]] = {name: [None] * len(rows) for name in ("this model", "nearest request", "grounded")}
    for number in range(FOLDS):
        test = [i for i, one in enumerate(prepared) if fold_of[one.home_id] == number]
        others = sorted({one.home_id for one in prepared} - {prepared[i].home_id for i in test})
        set_aside = set(np.random.default_rng(seed).permutation(others)[: len(others) // VALIDATION].tolist())
        training = [one for one in prepared if one.home_id in others and one.home_id not in set_aside]
        validation = [one for one in prepared if one.home_id in set_aside]
        generator = YamlGenerator(None, learn(training, validation, None))
        held_out = [prepared[i] for i in test]
        looked_up = look_ups(training, held_out)
        answers = {
            "this model": generator.answers([one.grounding for one in held_out]),
            "nearest request": looked_up["nearest_request"],
            "grounded": looked_up["nearest_grounded"],
        }
        for name, given in answers.items():
            for i, answer in zip(test, given, strict=True):
                found[name][i] = answer
        print(
            f"fold {number}: {len(training)} training, {len(validation)} validation, {len(test)} test rows", flush=True
        )
    homes = sorted(fold_of)
    of = np.array([homes.index(one.home_id) for one in prepared])
    print(f"{len(rows)} requests of {len(homes)} homes, {time.process_time() - started:.0f} CPU seconds\n")
    print(f"{'':<18}{'answered':>9}{'wrong':>7}{'valid':>7}  | surer half: " + "".join(f"{part:>22}" for part in PARTS))
    table = {}
    for name, answers in found.items():
        scores = np.array([_scores(answer.automation, one) for answer, one in zip(answers, prepared, strict=True)])
        order = sorted(range(len(rows)), key=lambda i: answers[i].order, reverse=True)
        half = np.zeros(len(rows), dtype=bool)
        half[order[: len(rows) // 2]] = True
        given = [a.given and a.automation is not None for a in answers]
        missed = sum(g and not s[3] for g, s in zip(given, scores, strict=True))
        cells = [_interval(scores[:, column], half, of, seed) for column in range(len(PARTS))]
        table[name] = [cell[0] for cell in cells]
        valid = np.mean([is_valid(a.automation) for a in answers if a.automation is not None])
        print(
            f"{name:<18}{sum(given) / len(rows):>9.3f}{missed / len(rows):>7.3f}{valid:>7.3f}  |             "
            + "".join(f"{value:>8.3f} ({low:.3f}-{high:.3f})" for value, low, high in cells)
        )
        whole = scores.mean(axis=0)
        by_home = np.mean([scores[of == i].mean(axis=0) for i in range(len(homes))], axis=0)
        print(f"{'  all':<46}" + "".join(f"{value:>22.3f}" for value in whole))
        print(f"{'  all, by home':<46}" + "".join(f"{value:>22.3f}" for value in by_home))
    mine = table["this model"]
    for part, name in ((1, "nearest request"), (2, "grounded")):
        print(f"{PARTS[part]}: {mine[part] / max(table[name][part], 1e-9):.1f} times {name}")
    print("\nWhat could be known at all")
    for what, values in _bounds(prepared).items():
        print(f"  {what}: {np.mean(values):.3f}")
    answers = found["this model"]
    sources = [a.source for a in answers if a.given]
    rights = [
        a.automation is not None and is_right(a.automation, p.automation)
        for a, p in zip(answers, prepared, strict=True)
    ]
    for source in sorted(set(sources)):
        right = sum(r for r, a in zip(rights, answers, strict=True) if a.given and a.source == source)
        print(f"given as {source}: {sources.count(source)}, of which right: {right}")
    shown = [i for i, a in enumerate(answers) if a.given and not rights[i]][:wrong]
    for i in shown:
        print(f"\n{prepared[i].request}\nanswered:\n{dump_automation(answers[i].automation)}wanted:")
        print(dump_automation(prepared[i].automation))


def _dealt(home_ids: Sequence[str]) -> dict[str, int]:
    """Deal the homes, sorted by their number of rows, to the folds in turn."""
    sizes: dict[str, int] = {}
    for home_id in home_ids:
        sizes[home_id] = sizes.get(home_id, 0) + 1
    return {home: i % FOLDS for i, home in enumerate(sorted(sizes, key=lambda home: (-sizes[home], home)))}


def _scores(automation: dict[Any, Any] | None, reference: Any) -> list[float]:
    from home_assistant.automation import structure
    from training.automations.confidence import is_right
    from training.judging.metrics import f1

    if automation is None:
        return [0.0] * len(PARTS)
    found, right = structure(automation), reference.structure
    return [
        *(f1(one, other) for one, other in zip(found, right, strict=True)),
        is_right(automation, reference.automation),
    ]


def _interval(scores: np.ndarray, half: np.ndarray, of: np.ndarray, seed: int) -> tuple[float, float, float]:
    """The mean over the surer half, and its 95 % interval: homes are drawn again with replacement."""
    random = np.random.default_rng(seed)
    sums = np.bincount(of, scores * half)
    counts = np.bincount(of, half.astype(float))
    draws = random.integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[draws].sum(axis=1) / np.maximum(counts[draws].sum(axis=1), 1)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(sums.sum() / counts.sum()), float(low), float(high)


def _bounds(prepared: Sequence[Any]) -> dict[str, list[float]]:
    """What an answer could reach that knows the person's automation, and may use only what a new home shows."""
    from home_assistant import dump_automation
    from home_assistant.request_words import tokens_said
    from home_assistant.services import described
    from training.automations.model import YamlGenerator
    from training.judging.metrics import f1

    found: dict[str, list[float]] = {
        "the person's automation may be given (refusals finds nothing)": [],
        "services F1, of services that every home or this home has": [],
        "entities F1, of entities that the home is known to have": [],
        "entities F1, of those of which the request says a word": [],
        "all of its services are such, and of all of its entities the request says a word": [],
    }
    columns = list(found.values())
    for one in prepared:
        right, entities = one.structure, one.home.known.entities if one.home else frozenset()
        usual = {s for s in right.services if described(s) or s in entities}
        own = {e for e in right.entities if one.home is not None and one.home.known.has(e)}
        tokens = set(tokens_said(one.request))
        said = {e for e in own if (entity := one.home.entity(e)) is not None and entity.all_tokens & tokens}
        refused = one.home is None or YamlGenerator.refusals(dump_automation(one.automation), entities)
        values = (
            not refused, f1(usual, right.services), f1(own, right.entities), f1(said, right.entities),
            one.home is not None and usual == right.services and said == right.entities,
        )  # fmt: skip
        for column, value in zip(columns, values, strict=True):
            column.append(float(value))
    return found


if __name__ == "__main__":
    main()
