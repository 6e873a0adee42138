"""Score two models of one kind in one process on the same rows, which neither was trained on.

The rows are the test part of the data (units go to parts by the hash of their name, so no seed moves them) without
those that either model says it was trained on. Where nothing can be held out, the rows are the training part, and the
result says so. Held-out rows can be kept in a file, and both models be scored on the rows that were kept earlier too:
what a night's data lost or got wrong, the rows of the nights before still tell.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

import numpy as np

from data_sources import (
    KINDS,
    DataSource,
    Home,
    HomeBuilder,
    LoadReport,
    PatternRow,
    PromptRow,
    YamlRow,
    open_source,
)
from training.artifacts import to_json, write_atomically
from training.errors import ModelFileError, TrainingError

if TYPE_CHECKING:
    from training.graph import HomeGraph, Strategy
    from training.splits import Part

MAX_SAMPLES = {"soft_prompt": 2_000, "yaml_generation": 20_000}  # rows that training reads at most, by default
NOT_SEALED = "it does not say what it was trained on, so some of these rows may be among it"
FORMAT, FORMAT_VERSION = "evaluation_rows", 1

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
    """What ``compare`` found. ``fingerprint`` is the SHA-256 of the rows, ``rows`` how many they are.

    ``kept`` is the same on rows that were kept earlier, without baselines; None where they are the same rows.
    """

    model_type: str
    held_out: bool
    reason: str
    rows: int
    fingerprint: str
    candidate: Compared
    champion: Compared | None
    baselines: dict[str, dict[str, float | None]]
    source: dict[str, Any] = field(default_factory=dict)
    kept: Comparison | None = None


class EvaluationRows(NamedTuple):
    """What two models are scored on: ``judged``, of data that were split by ``strategy``.

    ``training`` are the rows that baselines look at. A row of the synergy model is a home (``HomeRows``).
    """

    strategy: str
    reason: str
    judged: Sequence[Any]
    training: Sequence[Any]

    @property
    def held_out(self) -> bool:
        """Whether the judged rows are no training rows."""
        return self.strategy != "none"


class HomeRows(NamedTuple):
    """A home of which the ``test`` pairs (trigger, action) are asked, the others being known or, with none, nothing."""

    home: Home
    graph: HomeGraph
    test: Sequence[tuple[str, str]]


def compare(
    model_type: str,
    candidate: Path,
    champion: Path | None,
    source: DataSource,
    *,
    keep: Path | None = None,
    kept: Path | None = None,
) -> Comparison:
    """Score ``candidate`` and, where there is one, ``champion``, and once more on the rows in the file ``kept``.

    Held-out rows are written to ``keep``. A model that cannot be loaded has no scores and an ``error``. Raises
    DataSourceError where the rows cannot be read, TrainingError where there is no comparison for this kind or ``kept``
    cannot be used, ArtifactError where ``keep`` cannot be written.
    """
    if model_type not in _KINDS:
        raise TrainingError(f"{model_type!a}: there is no comparison for it, only for {', '.join(_KINDS)}")
    kind = _KINDS[model_type]
    rows = kind.select(source)
    comparison = kind.score(candidate, champion, rows)
    comparison.source = source.describe()
    dumped = [kind.dump(row) for row in rows.judged] if keep is not None or kept is not None else []
    if keep is not None and rows.held_out:
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model_type": model_type,
            "strategy": rows.strategy,
            "reason": rows.reason,
            "rows": dumped,
        }
        write_atomically(keep, gzip.compress(json.dumps(content).encode(), mtime=0))
    if kept is not None:
        earlier = _read(kept, model_type)
        if earlier["rows"] != dumped:
            judged = [kind.load(row) for row in earlier["rows"]]
            same = EvaluationRows(earlier["strategy"], earlier["reason"], judged, training=judged)
            comparison.kept = kind.score(candidate, champion, same)
            comparison.kept.baselines = {}  # there is no training part to look things up in
    return comparison


def _read(path: Path, model_type: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        found = content["format"], content["format_version"], content["model_type"]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: holds no evaluation rows that can be read ({error!s:.100})") from error
    if found != (FORMAT, FORMAT_VERSION, model_type):
        raise TrainingError(f"{path}: holds evaluation rows of {found}, not of {(FORMAT, FORMAT_VERSION, model_type)}")
    return content


@dataclass(frozen=True)
class CompareOptions:
    """The command line; None means not given."""

    json_input: str | None
    data_source: str | None
    strict: bool
    candidate: Path
    champion: Path | None
    output: Path
    keep: Path | None = None
    kept: Path | None = None


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
    comparison = compare(model_type, options.candidate, options.champion, source, keep=options.keep, kept=options.kept)
    write_atomically(options.output, to_json(asdict(comparison)))
    for where, found in (("", comparison), (" on the rows kept earlier", comparison.kept)):
        for name, side in () if found is None else (("candidate", found.candidate), ("champion", found.champion)):
            if side is not None and found is not None:
                log.info("%s%s: %s", name, where, side.error or side.scores or found.reason)


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


def _select_synergies(source: DataSource) -> EvaluationRows:
    from training.graph import build_graph, split_pairs

    homes = sorted(source.read(Home), key=lambda home: home.home_id)
    graphs = [build_graph(home) for home in homes]
    split = split_pairs(graphs)
    part: Part = "train" if split.strategy == "none" else "test"
    judged = []
    for h, (home, graph) in enumerate(zip(homes, graphs, strict=True)):
        asked = graph.pairs[split.select(h, part)].tolist()
        if asked:
            judged.append(HomeRows(home, graph, [(graph.entity_ids[t], graph.entity_ids[a]) for t, a in asked]))
    return EvaluationRows(split.strategy, split.reason, judged, ())


def _dump_home(row: HomeRows) -> dict[str, Any]:
    return {
        "home_id": row.home.home_id,
        "entities": [entity.model_dump(mode="json", exclude_none=True) for entity in row.home.entities],
        "synergies": [synergy.model_dump(mode="json", exclude_none=True) for synergy in row.home.synergies],
        "test": [list(pair) for pair in row.test],
    }


def _load_home(raw: Mapping[str, Any]) -> HomeRows:
    from training.graph import build_graph

    builder = HomeBuilder(LoadReport(where="evaluation rows"), raw["home_id"])
    for entity in raw["entities"]:
        builder.add_entity(entity, "entity")
    for synergy in raw["synergies"]:
        builder.add_row(synergy, "synergy")
    home = builder.build()
    return HomeRows(home, build_graph(home), [(trigger, action) for trigger, action in raw["test"]])


def _score_synergies(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.evaluation import ranking_task, score_home, table
    from training.graph import describe_split, split_of, without_seen
    from training.link_prediction import SynergyModel, known_for_test

    graphs = [row.graph for row in rows.judged]
    split = split_of(graphs, [row.test for row in rows.judged], cast("Strategy", rows.strategy), rows.reason)
    new, new_side = _load(SynergyModel.load, candidate)
    old, old_side = _load(SynergyModel.load, champion)
    assert new_side is not None
    left_out = 0
    if rows.held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        split, left_out = without_seen(split, graphs, *(_sealed_units(m.provenance, side) for m, side in sides))
    fingerprint = describe_split(split, graphs)["test_fingerprint"]
    result = Comparison("gnn_synergy", rows.held_out, rows.reason, 0, fingerprint, new_side, old_side, {})
    # What can act is the candidate's view of the data for both, so that both rank the same entities.
    acting = next((model.acting for model in (new, old) if model is not None), ())
    for model, side in ((new, new_side), (old, old_side)):
        if model is None or side is None:
            continue
        scored = []
        for h, graph in enumerate(graphs):
            home = model.read(graph, acting)
            task = ranking_task(home, graph, h, split.select(h, "test"), known_for_test(graph, split, h))
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


def _select_prompts(source: DataSource) -> EvaluationRows:
    from training.base_model import TextPair
    from training.seq2seq import split_by_query

    rows = list(islice(source.read(PromptRow), MAX_SAMPLES["soft_prompt"]))
    pairs = [TextPair(row.query, row.suggestion) for row in rows]
    parts, described = split_by_query(pairs)
    training, test = _by_part(pairs, parts)
    held_out = described["strategy"] != "none"
    judged = list(dict.fromkeys(test if held_out else training))
    return EvaluationRows(described["strategy"], described["reason"], judged, training)


def _by_part(rows: Sequence[M], parts: Sequence[str]) -> tuple[list[M], list[M]]:
    """The training rows and the test rows."""
    of_part = {part: [row for row, its in zip(rows, parts, strict=True) if its == part] for part in ("train", "test")}
    return of_part["train"], of_part["test"]


def _load_pair(raw: Sequence[str]) -> Any:
    from training.base_model import TextPair

    return TextPair(*raw)


def _score_prompts(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.seq2seq import Suggester, plain
    from training.splits import unseen

    new, new_side = _load(Suggester.load, candidate)
    old, old_side = _load(Suggester.load, champion)
    assert new_side is not None
    judged = list(rows.judged)
    if rows.held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        fresh = unseen((plain(p.source) for p in judged), *(_sealed_units(m.described, side) for m, side in sides))
        judged = [pair for pair in judged if plain(pair.source) in fresh]
    digest = _digest(json.dumps(pair) for pair in judged)
    result = Comparison("soft_prompt", rows.held_out, rows.reason, 0, digest, new_side, old_side, {})
    both = ((new, new_side), (old, old_side))
    return _measured(result, both, len(rows.judged), len(judged), lambda model: model.judge(rows.training, judged))


def _digest(rows: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


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


def _select_patterns(source: DataSource) -> EvaluationRows:
    from training.pattern_detection import split_by_entity

    rows, in_test, described = split_by_entity(list(source.read(PatternRow)))
    training, test = _by_part(rows, ["test" if test else "train" for test in in_test])
    judged = test if described["strategy"] != "none" else rows
    return EvaluationRows(described["strategy"], described["reason"], judged, training)


def _score_patterns(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.pattern_detection import PatternModel, judge
    from training.splits import unseen

    base_rate = float(np.mean([bool(row.genuine) for row in rows.training]))
    new, new_side = _load(PatternModel.load, candidate)
    old, old_side = _load(PatternModel.load, champion)
    assert new_side is not None
    judged = list(rows.judged)
    if rows.held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        fresh = unseen((row.entity_id for row in judged), *(_sealed_units(m.provenance, side) for m, side in sides))
        judged = [row for row in judged if row.entity_id in fresh]
    digest = _digest(row.model_dump_json() for row in judged)
    result = Comparison("pattern_detection", rows.held_out, rows.reason, len(judged), digest, new_side, old_side, {})
    both = ((new, new_side), (old, old_side))
    return _measured(result, both, len(rows.judged), len(judged), lambda model: judge(model, judged, base_rate))


def _select_automations(source: DataSource) -> EvaluationRows:
    from training.yaml_generation import split_by_home

    rows = list(islice(source.read(YamlRow), MAX_SAMPLES["yaml_generation"]))
    parts, described = split_by_home(rows)
    training, test = _by_part(rows, parts)
    judged = test if described["strategy"] != "none" else training
    return EvaluationRows(described["strategy"], described["reason"], judged, training)


def _score_automations(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.splits import unseen
    from training.yaml_generation import YamlGenerator, examples, judge, row_units
    from training.yaml_run import structure_score

    new, new_side = _load(YamlGenerator.load, candidate)
    old, old_side = _load(YamlGenerator.load, champion)
    assert new_side is not None
    judged = list(rows.judged)
    if rows.held_out:
        # Where homes are held out, two of them may well ask for the same.
        number = 0 if rows.strategy == "home" else 1
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        sealed_units = [_sealed_units(model.described, side) for model, side in sides]
        fresh = unseen((row_units(row)[number] for row in judged), *sealed_units)
        judged = [row for row in judged if row_units(row)[number] in fresh]
    digest = _digest(row.model_dump_json() for row in judged)
    result = Comparison("yaml_generation", rows.held_out, rows.reason, 0, digest, new_side, old_side, {})
    known, asked = examples(rows.training), examples(judged)

    def measure(model: YamlGenerator) -> dict[str, Any]:
        measured = judge(model, known, asked)
        for scores in (measured["model"], *measured["baselines"].values()):
            scores["structure_f1"] = structure_score(scores)
        return measured

    return _measured(result, ((new, new_side), (old, old_side)), len(rows.judged), len(judged), measure)


def _dump_record(row: Any) -> Any:
    return row.model_dump(mode="json", exclude_none=True)


class _Kind(NamedTuple):
    """How the rows of one model are selected, scored, and turned into JSON and back."""

    select: Callable[[DataSource], EvaluationRows]
    score: Callable[[Path, Path | None, EvaluationRows], Comparison]
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]


_KINDS = {
    "gnn_synergy": _Kind(_select_synergies, _score_synergies, _dump_home, _load_home),
    "soft_prompt": _Kind(_select_prompts, _score_prompts, list, _load_pair),
    "pattern_detection": _Kind(_select_patterns, _score_patterns, _dump_record, PatternRow.model_validate),
    "yaml_generation": _Kind(_select_automations, _score_automations, _dump_record, YamlRow.model_validate),
}
