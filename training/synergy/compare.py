"""How two synergy models are compared on the same pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from data_sources import (
    DataSource,
    Home,
    HomeBuilder,
    LoadReport,
)
from training.judging.comparison import EvaluationRows, Kind, load_side, trained_units
from training.runs.comparison import Comparison

if TYPE_CHECKING:
    from training.judging.splits import Part
    from training.synergy.graph import HomeGraph
    from training.synergy.splits import Strategy


class HomeRows(NamedTuple):
    """A home of which the ``test`` pairs (trigger, action) are asked, the others being known or, with none, nothing."""

    home: Home
    graph: HomeGraph
    test: Sequence[tuple[str, str]]


def _select(source: DataSource) -> EvaluationRows:
    from training.synergy.graph import build_graph
    from training.synergy.splits import split_pairs

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
    from training.synergy.graph import build_graph

    builder = HomeBuilder(LoadReport(where="evaluation rows"), raw["home_id"])
    for entity in raw["entities"]:
        builder.add_entity(entity, "entity")
    for synergy in raw["synergies"]:
        builder.add_row(synergy, "synergy")
    home = builder.build()
    return HomeRows(home, build_graph(home), [(trigger, action) for trigger, action in raw["test"]])


def _score(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.synergy.evaluation import ranking_task, score_home, table
    from training.synergy.model import SynergyModel
    from training.synergy.splits import describe_split, split_of, without_seen
    from training.synergy.trainer import known_for_test

    graphs = [row.graph for row in rows.judged]
    split = split_of(graphs, [row.test for row in rows.judged], cast("Strategy", rows.strategy), rows.reason)
    new, new_side = load_side(SynergyModel.load, candidate)
    old, old_side = load_side(SynergyModel.load, champion)
    assert new_side is not None
    left_out = 0
    if rows.held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        split, left_out = without_seen(split, graphs, *(trained_units(m.provenance, side) for m, side in sides))
    fingerprint = describe_split(split, graphs)["test_fingerprint"]
    result = Comparison(
        model_type="gnn_synergy",
        held_out=rows.held_out,
        reason=rows.reason,
        rows=0,
        fingerprint=fingerprint,
        candidate=new_side,
        champion=old_side,
    )
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


KIND = Kind(_select, _score, _dump_home, _load_home)
