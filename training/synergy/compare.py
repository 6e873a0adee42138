"""How two synergy models are compared on the same pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from data_sources import DataSource, Home, HomeBuilder, LoadReport
from training.judging.comparison import Comparer, EvaluationRows, Measured, dump_record
from training.judging.splits import Part
from training.runs.memory import default_room
from training.runs.stored import Room
from training.synergy.evaluation import HomeScore, macro_metrics, ranking_task, score_home
from training.synergy.graph import HomeGraph, build_graph
from training.synergy.model import SynergyModel
from training.synergy.splits import Split, Strategy, describe_split, split_of, split_pairs, without_seen
from training.synergy.stored_homes import ReadHomes, graphs_of


class HomeRows(NamedTuple):
    """A home and its ``test`` pairs (trigger, action), which are ranked; its other pairs are known, or none is."""

    home: Home
    graph: HomeGraph
    test: Sequence[tuple[str, str]]


def _select(source: DataSource, _max_samples: int | None) -> EvaluationRows[HomeRows]:
    room = Room(default_room())
    homes = ReadHomes.of(source, room).homes
    graphs = graphs_of(homes, room)
    split = split_pairs(graphs)
    part: Part = "train" if split.strategy == "none" else "test"
    tested = [h for h in range(len(homes)) if split.select(h, part).any()]
    rows = [HomeRows(homes[h], graphs[h], _pairs(split, graphs[h], h, part)) for h in tested]
    return EvaluationRows(split.strategy, split.reason, rows)


def _pairs(split: Split, graph: HomeGraph, h: int, part: Part) -> list[tuple[str, str]]:
    return [(graph.entity_ids[t], graph.entity_ids[a]) for t, a in graph.pairs[split.select(h, part)].tolist()]


def _split(evaluation: EvaluationRows[HomeRows]) -> tuple[Split, list[HomeGraph]]:
    graphs = [row.graph for row in evaluation.rows]
    strategy = cast("Strategy", evaluation.strategy)
    return split_of(graphs, [row.test for row in evaluation.rows], strategy, evaluation.reason), graphs


def _leave_out(evaluation: EvaluationRows[HomeRows], trained_on: Sequence[str]) -> list[HomeRows]:
    split, graphs = _split(evaluation)
    fewer, _ = without_seen(split, graphs, *trained_on)
    return [row._replace(test=_pairs(fewer, row.graph, h, "test")) for h, row in enumerate(evaluation.rows)]


def _score(models: Sequence[SynergyModel], evaluation: EvaluationRows[HomeRows]) -> list[Measured | None]:
    # What can act is the candidate's view of the data for both, so that both rank the same entities.
    acting = models[0].acting_domains
    return [_ranked(model, acting, evaluation) for model in models]


def _ranked(model: SynergyModel, acting: tuple[str, ...], evaluation: EvaluationRows[HomeRows]) -> Measured | None:
    split, graphs = _split(evaluation)
    scored: list[HomeScore] = []
    for h, graph in enumerate(graphs):
        home = model.read(graph, acting)
        task = ranking_task(home, graph, h, split.select(h, "test"), split.known(h, "test"))
        if task is not None:
            scored.append(score_home(task, model.scorer(home, task.known), model.calibration))
    if not scored:
        return None
    found = macro_metrics(scored)
    return Measured(found["model"], found["pairs"], found["baselines"])


def _fingerprint(rows: Sequence[HomeRows]) -> str:
    split, graphs = _split(EvaluationRows("none", "", rows))
    return str(describe_split(split, graphs)["test_fingerprint"])


def _dump(row: HomeRows) -> dict[str, Any]:
    return {
        "home_id": row.home.home_id,
        "entities": [dump_record(entity) for entity in row.home.entities],
        "synergies": [dump_record(synergy) for synergy in row.home.synergies],
        "test": [list(pair) for pair in row.test],
    }


def _parse(raw: Mapping[str, Any]) -> HomeRows:
    builder = HomeBuilder(LoadReport(where="evaluation rows"), raw["home_id"])
    for entity in raw["entities"]:
        builder.add_entity(entity, "entity")
    for synergy in raw["synergies"]:
        builder.add_row(synergy, "synergy")
    home = builder.build()
    return HomeRows(home, build_graph(home), [(trigger, action) for trigger, action in raw["test"]])


COMPARER = Comparer(
    model_type=Home.kind,
    select=_select,
    load=SynergyModel.load,
    described=lambda model: model.provenance,
    leave_out=_leave_out,
    score=_score,
    fingerprint=_fingerprint,
    dump=_dump,
    trained_on_row=lambda model, row: model.has_seen(row.home),
    parse=_parse,
    size=lambda row: len(row.test),
    counted="pair",
)
