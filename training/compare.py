"""Score two models of one kind in one process on the same rows, which neither was trained on.

The rows are the test part of the data (units go to parts by the hash of their name, so no seed moves them) without
those that either model says it was trained on. Where nothing can be held out, the rows are the training part, and the
result says so.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from data_sources import KINDS, DataSource, Home, PatternRow, PromptRow, YamlRow, open_source
from training.artifacts import to_json, write_atomically
from training.errors import ModelFileError, TrainingError

MAX_SAMPLES = {"soft_prompt": 2_000, "yaml_generation": 20_000}  # rows that training reads at most, by default
NOT_SEALED = "it does not say what it was trained on, so some of these rows may be among it"

log = logging.getLogger("training.compare")

M = TypeVar("M")


@dataclass
class Compared:
    """One model's scores, or why it has none; ``left_out`` rows were dropped because either model had seen them."""

    scores: dict[str, float | None] | None = None
    error: str | None = None
    left_out: int = 0
    notes: list[str] = field(default_factory=list)


@dataclass
class Comparison:
    """What ``compare`` found. ``fingerprint`` is the SHA-256 of the rows, ``rows`` how many they are."""

    model_type: str
    held_out: bool
    reason: str
    rows: int
    fingerprint: str
    candidate: Compared
    champion: Compared | None
    baselines: dict[str, dict[str, float | None]]
    source: dict[str, Any] = field(default_factory=dict)


def compare(model_type: str, candidate: Path, champion: Path | None, source: DataSource) -> Comparison:
    """Score ``candidate`` and, where there is one, ``champion``.

    A model that cannot be loaded has no scores and an ``error``. Raises DataSourceError where the rows cannot be read,
    TrainingError where there is no comparison for this kind.
    """
    if model_type not in _COMPARE:
        raise TrainingError(f"{model_type!a}: there is no comparison for it, only for {', '.join(_COMPARE)}")
    comparison = _COMPARE[model_type](candidate, champion, source)
    comparison.source = source.describe()
    return comparison


@dataclass(frozen=True)
class CompareOptions:
    """The command line; None means not given."""

    json_input: str | None
    data_source: str | None
    strict: bool
    candidate: Path
    champion: Path | None
    output: Path


def compare_and_write(model_type: str, options: CompareOptions) -> None:
    """``compare`` from flags to a file. Raises as ``compare``, and ArtifactError where it cannot be written."""
    kind = next((kind for kind in KINDS if kind == model_type), None)
    if kind is None:
        raise TrainingError(f"{model_type!a}: no such model; there are {', '.join(KINDS)}")
    source = open_source(
        json_input=options.json_input,
        data_source=options.data_source,
        strict=options.strict,
        kind=kind,
        max_samples=MAX_SAMPLES.get(kind),
    )
    comparison = compare(model_type, options.candidate, options.champion, source)
    write_atomically(options.output, to_json(asdict(comparison)))
    for name, side in (("candidate", comparison.candidate), ("champion", comparison.champion)):
        if side is not None:
            log.info("%s: %s", name, side.error or side.scores or comparison.reason)


def _load(loader: Callable[[Path], M], path: Path | None) -> tuple[M | None, Compared | None]:
    if path is None:
        return None, None
    try:
        return loader(path), Compared()
    except ModelFileError as error:
        return None, Compared(error=str(error))


def _sealed_units(described: Mapping[str, Any], side: Compared | None) -> str:
    units = described.get("trained_on")
    if side is not None and units is None:
        side.notes.append(NOT_SEALED)
    return str(units or "")


def _synergies(candidate: Path, champion: Path | None, source: DataSource) -> Comparison:
    from training.evaluation import ranking_task, score_home, table
    from training.graph import build_graph, describe_split, split_pairs, without_seen
    from training.link_prediction import SynergyModel, known_for_test

    graphs = [build_graph(home) for home in sorted(source.read(Home), key=lambda home: home.home_id)]
    split = split_pairs(graphs)
    new, new_side = _load(SynergyModel.load, candidate)
    old, old_side = _load(SynergyModel.load, champion)
    assert new_side is not None
    held_out, left_out = split.strategy != "none", 0
    if held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        split, left_out = without_seen(split, graphs, *(_sealed_units(m.provenance, side) for m, side in sides))
    result = Comparison(
        "gnn_synergy",
        held_out,
        split.reason,
        0,
        describe_split(split, graphs)["test_fingerprint"],
        new_side,
        old_side,
        {},
    )
    # What can act is the candidate's view of the data for both, so that both rank the same entities.
    acting = next((model.acting for model in (new, old) if model is not None), ())
    for model, side in ((new, new_side), (old, old_side)):
        if model is None or side is None:
            continue
        scored = []
        for h, graph in enumerate(graphs):
            home = model.read(graph, acting)
            asked = split.select(h, "test" if held_out else "train")
            task = ranking_task(home, graph, h, asked, known_for_test(graph, split, h))
            if task is not None:
                scored.append(score_home(task, model.scorer(home, task.known), model.calibration))
        side.left_out = left_out
        if not scored:
            result.reason = f"{left_out} of the test pairs were left out as trained on: none is left to rank"
            continue
        measured = table(scored)
        side.scores = measured["model"]
        result.rows = measured["pairs"]
        result.baselines = result.baselines or measured["baselines"]
    return result


def _prompts(candidate: Path, champion: Path | None, source: DataSource) -> Comparison:
    from training.base_model import TextPair

    rows = list(islice(source.read(PromptRow), MAX_SAMPLES["soft_prompt"]))
    return _texts("soft_prompt", [TextPair(row.query, row.suggestion) for row in rows], candidate, champion)


def _texts(model_type: str, pairs: Sequence[Any], candidate: Path, champion: Path | None) -> Comparison:
    """Models that turn a text into a text; ``pairs`` are seq2seq's TextPair."""
    from training.seq2seq import Suggester, plain, split_by_query
    from training.splits import unseen

    parts, described = split_by_query(pairs)
    training = [pair for pair, part in zip(pairs, parts, strict=True) if part == "train"]
    held_out = described["strategy"] != "none"
    judged = [pair for pair, part in zip(pairs, parts, strict=True) if part == "test"] if held_out else training
    new, new_side = _load(Suggester.load, candidate)
    old, old_side = _load(Suggester.load, champion)
    assert new_side is not None
    distinct = len(dict.fromkeys(judged))
    if held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        fresh = unseen((plain(p.source) for p in judged), *(_sealed_units(m.described, side) for m, side in sides))
        judged = [pair for pair in judged if plain(pair.source) in fresh]
    judged = list(dict.fromkeys(judged))
    digest = hashlib.sha256("\n".join(sorted(json.dumps(pair) for pair in judged)).encode())
    result = Comparison(model_type, held_out, described["reason"], 0, digest.hexdigest(), new_side, old_side, {})
    both = ((new, new_side), (old, old_side))
    return _measured(result, both, distinct, len(judged), lambda model: model.judge(training, judged))


def _measured(
    result: Comparison,
    both: Iterable[tuple[M | None, Compared | None]],
    all_rows: int,
    left: int,
    measure: Callable[[M], dict[str, Any]],
) -> Comparison:
    """Fill in what ``measure`` says of each model that could be loaded, on the ``left`` of ``all_rows`` test rows."""
    for model, side in both:
        if model is None or side is None:
            continue
        side.left_out = all_rows - left
        if not left:
            result.reason = f"all {all_rows} test rows were left out as trained on"
            continue
        measured = measure(model)
        side.scores, result.rows, result.baselines = measured["model"], measured["rows"], measured["baselines"]
    return result


def _patterns(candidate: Path, champion: Path | None, source: DataSource) -> Comparison:
    import numpy as np

    from training.pattern_detection import PatternModel, judge, split_by_entity
    from training.splits import unseen

    rows, in_test, described = split_by_entity(list(source.read(PatternRow)))
    held_out = described["strategy"] != "none"
    base_rate = float(np.mean([bool(row.genuine) for row, test in zip(rows, in_test, strict=True) if not test]))
    judged = [row for row, test in zip(rows, in_test, strict=True) if test or not held_out]
    new, new_side = _load(PatternModel.load, candidate)
    old, old_side = _load(PatternModel.load, champion)
    assert new_side is not None
    all_rows = len(judged)
    if held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        fresh = unseen((row.entity_id for row in judged), *(_sealed_units(m.provenance, side) for m, side in sides))
        judged = [row for row in judged if row.entity_id in fresh]
    digest = hashlib.sha256("\n".join(sorted(row.model_dump_json() for row in judged)).encode())
    result = Comparison(
        "pattern_detection", held_out, described["reason"], len(judged), digest.hexdigest(), new_side, old_side, {}
    )
    both = ((new, new_side), (old, old_side))
    return _measured(result, both, all_rows, len(judged), lambda model: judge(model, judged, base_rate))


def _automations(candidate: Path, champion: Path | None, source: DataSource) -> Comparison:
    from training.splits import unseen
    from training.yaml_generation import YamlGenerator, examples, judge, row_units, split_by_home
    from training.yaml_run import structure_score

    rows = list(islice(source.read(YamlRow), MAX_SAMPLES["yaml_generation"]))
    parts, described = split_by_home(rows)
    held_out = described["strategy"] != "none"
    training = [row for row, part in zip(rows, parts, strict=True) if part == "train"]
    judged = [row for row, part in zip(rows, parts, strict=True) if part == "test"] if held_out else training
    new, new_side = _load(YamlGenerator.load, candidate)
    old, old_side = _load(YamlGenerator.load, champion)
    assert new_side is not None
    all_rows = len(judged)
    if held_out:
        # Where homes are held out, two of them may well ask for the same.
        number = 0 if described["strategy"] == "home" else 1
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        sealed_units = [_sealed_units(model.described, side) for model, side in sides]
        fresh = unseen((row_units(row)[number] for row in judged), *sealed_units)
        judged = [row for row in judged if row_units(row)[number] in fresh]
    digest = hashlib.sha256("\n".join(sorted(row.model_dump_json() for row in judged)).encode())
    result = Comparison("yaml_generation", held_out, described["reason"], 0, digest.hexdigest(), new_side, old_side, {})
    known, asked = examples(training), examples(judged)

    def measure(model: YamlGenerator) -> dict[str, Any]:
        measured = judge(model, known, asked)
        for scores in (measured["model"], *measured["baselines"].values()):
            scores["structure_f1"] = structure_score(scores)
        return measured

    return _measured(result, ((new, new_side), (old, old_side)), all_rows, len(judged), measure)


_COMPARE = {
    "gnn_synergy": _synergies,
    "soft_prompt": _prompts,
    "pattern_detection": _patterns,
    "yaml_generation": _automations,
}
