"""Production's interface of the synergy model, and production's former reader of the same file."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
import torch
from services import api_entity, table_rows, write_database
from sqlalchemy.orm import Session
from support import ROOMS, as_home, call_process, home
from torch import nn
from torch_geometric.nn import GATConv, GCNConv, SAGEConv

from training.runs.artifacts import verify
from training.runs.errors import ArtifactError
from training.synergy import GNNSynergyDetector
from training.synergy.config import SynergyConfig
from training.synergy.detector import EVIDENCE_OF_FEATURE
from training.synergy.features import FEATURES
from training.synergy.job import SHIPPED_BASE
from training.synergy.model import SynergyModel

PAIR = ("binary_sensor.hall_motion", "light.hall")
HOME = home("home", rooms=(*ROOMS, "den", "porch", "studio", "gym", "bar", "loft", "pantry", "closet"))
ENTITIES = [
    api_entity(e["entity_id"], **{k: v for k, v in e.items() if k != "entity_id"}, platform="hue")
    for e in HOME["entities"]
]
QUICK: dict[str, Any] = {"hidden_dim": 8, "num_layers": 1, "epochs": 2}


def as_rows(synergies: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Flat synergies as rows of ``synergy_opportunities``."""
    names = ("synergy_id", "synergy_type", "device_ids", "opportunity_metadata", "confidence")
    return [dict(zip(names, values, strict=True)) for values in table_rows(synergies)]


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and its metadata, learnt from rows as production has them."""
    path = tmp_path_factory.mktemp("model") / "m.pth"
    learnt = GNNSynergyDetector(**QUICK, model_path=path).learn_from_data(ENTITIES, as_rows(HOME["synergies"]))
    assert learnt["status"] == "complete", learnt
    return path


@pytest.fixture
def detector(model_file: Path) -> GNNSynergyDetector:
    return GNNSynergyDetector(model_path=model_file)


# -- The former reader ----------------------------------------------------------------------------------------------


Sizes = Callable[[dict[str, Any], Any], tuple[Any, Any]]
Layer = Callable[..., nn.Module]


class FormerReader:
    """What production's own detector does with a model file, with one way of getting the sizes and one layer."""

    def __init__(
        self, sizes: Callable[[dict[str, Any], Any], tuple[Any, Any]], layer: Callable[..., nn.Module]
    ) -> None:
        self.hidden_dim, self.num_layers = 64, 2
        self.model: nn.Module | None = None
        self._sizes, self._layer = sizes, layer

    def load_model(self, path: Path) -> bool:
        try:
            checkpoint = torch.load(path, map_location="cpu")
            hidden_dim, num_layers = self._sizes(checkpoint, self)
            layers = [self._layer(3, hidden_dim)]
            layers += [self._layer(hidden_dim, hidden_dim) for _ in range(num_layers - 1)]
            self.model = nn.ModuleList([*layers, nn.Linear(hidden_dim * 2, 1)])
            self.model.load_state_dict(checkpoint["model_state_dict"])
        except Exception:  # noqa: BLE001 - as it does
            return False
        return True

    def predict(self) -> tuple[float, float]:
        return (0.5, 0.3) if self.model is None else (float(torch.rand(())), 1.0)


SIZES: dict[str, Sizes] = {
    "by key": lambda c, _: (c["hidden_dim"], c["num_layers"]),
    "with a default": lambda c, me: (c.get("hidden_dim", me.hidden_dim), c.get("num_layers", me.num_layers)),
    "or a default": lambda c, me: (c.get("hidden_dim") or me.hidden_dim, c.get("num_layers") or me.num_layers),
    "as numbers": lambda c, _: (int(c["hidden_dim"]), int(c["num_layers"])),
    "the width alone": lambda c, me: (c.get("hidden_dim", me.hidden_dim), me.num_layers),
    "the layers alone": lambda c, me: (me.hidden_dim, c.get("num_layers", me.num_layers)),
}


@pytest.mark.parametrize("layer", [nn.Linear, GCNConv, GATConv, SAGEConv])
@pytest.mark.parametrize("sizes", SIZES)
def test_production_s_former_reader_refuses_the_file_before_it_has_a_network(
    model_file: Path, sizes: str, layer: Layer
) -> None:
    reader = FormerReader(SIZES[sizes], layer)
    assert reader.load_model(model_file) is False
    assert reader.model is None
    assert reader.predict() == (0.5, 0.3)


def test_the_former_reader_had_a_network_of_random_weights_where_sizes_are_numbers(tmp_path: Path) -> None:
    torch.save({"hidden_dim": 64, "num_layers": 2}, tmp_path / "m.pth")
    reader = FormerReader(SIZES["by key"], GCNConv)
    assert reader.load_model(tmp_path / "m.pth") is False
    assert reader.model is not None


def test_a_model_published_with_sizes_as_numbers_is_read_as_before(model_file: Path, tmp_path: Path) -> None:
    content = torch.load(model_file, weights_only=True)
    torch.save({**content, "hidden_dim": 8, "num_layers": 1}, tmp_path / "m.pth")
    before, now = (SynergyModel.load(path) for path in (tmp_path / "m.pth", model_file))
    assert before.config == now.config
    assert before.score(HOME["entities"], [], [PAIR]) == now.score(HOME["entities"], [], [PAIR])


# -- The interface --------------------------------------------------------------------------------------------------


def test_importing_training_loads_no_torch_and_the_detector_is_there(tmp_path: Path) -> None:
    code = "import sys, training, training.synergy; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    assert call_process("-c", code, cwd=tmp_path).stdout == "[]\n"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"hidden_dim": 0}, "hidden_dim must be positive"),
        ({"hidden_dim": -1}, "hidden_dim must be positive"),
        ({"num_layers": 0}, "num_layers must be at least 1"),
    ],
)
def test_sizes_that_are_none_are_refused(given: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GNNSynergyDetector(**given)


def test_the_constructor_takes_production_s_arguments_and_the_model_s_own_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GNN_MODEL_PATH", raising=False)
    detector = GNNSynergyDetector(64, 2, False, 0.001, 32, 30, 5, None)
    assert (detector.model, detector.metadata, detector._is_initialized, detector.node_id_map) == (None, {}, False, {})
    assert detector.model_path == "models/gnn_synergy.pth"
    monkeypatch.setenv("GNN_MODEL_PATH", "there/net.pth")
    assert GNNSynergyDetector().model_path == "there/net.pth"


@pytest.mark.parametrize("content", [None, b"", b"garbage", "cut"])
def test_without_a_model_the_answer_is_the_fallback(
    model_file: Path, tmp_path: Path, content: bytes | str | None
) -> None:
    path = tmp_path / "m.pth"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else model_file.read_bytes()[:5000])
    detector = GNNSynergyDetector(model_path=path)
    assert not detector.load_model(path)
    asyncio.run(detector.initialize())
    assert (detector.model, detector._is_initialized) == (None, True)
    answer = detector.predict_synergy_score(PAIR, entities=ENTITIES)
    assert (answer["score"], answer["confidence"]) == (0.5, 0.3)
    assert "no model" in answer["explanation"]


def test_a_file_that_cannot_be_loaded_leaves_the_model_that_was_there(
    detector: GNNSynergyDetector, tmp_path: Path
) -> None:
    before = detector.predict_synergy_score(PAIR, entities=ENTITIES)
    (tmp_path / "bad.pth").write_bytes(b"bad")
    assert not detector.load_model(tmp_path / "bad.pth")
    assert detector.predict_synergy_score(PAIR, entities=ENTITIES) == before


def test_every_answer_may_be_used_at_once_or_awaited(detector: GNNSynergyDetector, tmp_path: Path) -> None:
    path = tmp_path / "again.pth"

    async def awaited() -> tuple[Any, ...]:
        await detector.initialize()
        loaded = await detector.load_model(detector.model_path)
        saved = await detector.save_model(path)
        return loaded, saved, await detector.predict_synergy_score(PAIR, entities=ENTITIES)

    loaded, saved, answer = asyncio.run(awaited())
    assert loaded is True
    assert saved is None
    assert type(answer) is dict
    assert detector.load_model(path)
    assert detector.load_model(path) == True  # noqa: E712 - as a caller may write it
    assert detector.predict_synergy_score(PAIR, entities=ENTITIES) == answer
    assert asyncio.run(detector.predict_synergy_score(PAIR, entities=ENTITIES)) == answer
    assert json.loads(json.dumps(detector.predict_synergy_score(PAIR, entities=ENTITIES))) == answer


def test_a_score_is_the_model_s_own_and_depends_on_the_file_and_the_home_alone(model_file: Path) -> None:
    one, other = (GNNSynergyDetector(model_path=model_file) for _ in range(2))
    graph = json.loads(json.dumps(other.build_device_graph(ENTITIES)))
    pairs = [PAIR, ("binary_sensor.hall_motion", "light.office"), ("sensor.hall_motion_battery", "lock.hall")]
    expected = SynergyModel.load(model_file).score(HOME["entities"], [], pairs)
    for pair, score in zip(pairs, expected, strict=True):
        answer = one.predict_synergy_score(pair, entities=ENTITIES)
        assert answer["score"] == pytest.approx(score)
        assert answer["confidence"] == pytest.approx(score), "the calibrated probability"
        assert other.predict_synergy_score(pair, graph=graph) == answer
    assert expected[0] > max(expected[1:])


def test_an_explanation_says_what_the_model_looked_at(detector: GNNSynergyDetector) -> None:
    assert set(EVIDENCE_OF_FEATURE) == set(FEATURES)
    likely = detector.predict_synergy_score(PAIR, entities=ENTITIES)["explanation"]
    assert likely.startswith("binary_sensor.hall_motion -> light.hall: ")
    assert "; for it: " in likely
    assert "their areas" in likely
    elsewhere = detector.predict_synergy_score((PAIR[0], "light.office"), entities=ENTITIES)["explanation"]
    assert "names" in elsewhere.partition("; against it: ")[2]


@pytest.mark.parametrize("pair", [["a.b", "c.d"], ("a.b",), ("a.b", "c.d", "e.f"), "ab", None])
def test_what_is_no_pair_is_refused(detector: GNNSynergyDetector, pair: Any) -> None:
    with pytest.raises(ValueError, match="device_pair must be a tuple of"):
        detector.predict_synergy_score(pair, entities=ENTITIES)


@pytest.mark.parametrize(
    "pair", [("light.none", "light.hall"), ("light.hall", "light.none"), ("light.hall", "light.hall"), (None, 7)]
)
def test_a_device_that_is_not_in_the_graph_scores_0(detector: GNNSynergyDetector, pair: Any) -> None:
    answer = detector.predict_synergy_score(pair, entities=ENTITIES)
    assert (answer["score"], answer["confidence"]) == (0.0, 0.0)
    graph = detector.build_device_graph(ENTITIES)
    assert detector.predict_synergy_score(pair, graph=graph) == answer


def test_a_disabled_device_scores_0_and_an_id_in_capitals_is_the_same_id(detector: GNNSynergyDetector) -> None:
    disabled = [{**e, "disabled": e["entity_id"] == PAIR[1]} for e in ENTITIES]
    assert detector.predict_synergy_score(PAIR, entities=disabled)["score"] == 0.0
    small, capitals = (
        detector.predict_synergy_score(pair, entities=ENTITIES)["score"]
        for pair in (PAIR, ("Binary_Sensor.Hall_Motion", "light.HALL"))
    )
    assert small == capitals > 0


def test_without_a_home_nothing_is_known(detector: GNNSynergyDetector) -> None:
    for nothing in ({}, {"entities": []}):
        answer = detector.predict_synergy_score(PAIR, **nothing)
        assert (answer["score"], answer["confidence"]) == (0.5, 0.0)


def test_a_graph_has_nodes_and_edges_of_plain_lists(detector: GNNSynergyDetector) -> None:
    odd = [{"entity_id": "no id"}, {"nothing": 1}, api_entity("light.off", disabled=True), api_entity("light.attic")]
    graph = detector.build_device_graph([*ENTITIES, *odd])
    assert set(graph) == {"nodes", "edges", "node_features", "edge_weights", "node_id_map"}
    assert len(graph["nodes"]) == len(graph["node_features"]) == len(graph["node_id_map"]) == len(ENTITIES) + 1
    assert [graph["node_id_map"][node["id"]] for node in graph["nodes"]] == list(range(len(graph["nodes"])))
    assert len(graph["edges"]) == len(graph["edge_weights"]) < 2 * len(graph["nodes"])
    joined = [{graph["nodes"][i]["area"] for i in edge} for edge in graph["edges"]]
    assert all(len(areas) == 1 for areas in joined)
    assert len({len(row) for row in graph["node_features"]}) == 1
    assert detector.node_id_map == graph["node_id_map"]


def test_a_graph_that_production_built_itself_can_be_scored(detector: GNNSynergyDetector) -> None:
    nodes = [
        {"id": e["entity_id"], "label": e["entity_id"], "domain": e["domain"], "area": e["area_id"] or "unknown"}
        for e in ENTITIES
    ]
    graph = {"nodes": nodes, "edges": [], "node_features": [], "edge_weights": [], "node_id_map": {}}
    plain = [{"entity_id": e["entity_id"], "area_id": e["area_id"]} for e in ENTITIES]
    by_graph, by_entities = (
        detector.predict_synergy_score(PAIR, **given) for given in ({"graph": graph}, {"entities": plain})
    )
    assert by_graph == by_entities
    assert detector.predict_synergy_score(PAIR, graph={})["score"] == 0.0


# -- Learning -------------------------------------------------------------------------------------------------------


def test_learning_answers_with_production_s_keys_and_publishes_as_the_script_does(model_file: Path) -> None:
    detector = GNNSynergyDetector(model_path=model_file)
    assert detector.load_model(model_file)
    assert detector.metadata == json.loads(model_file.with_name("m_metadata.json").read_text())
    assert (detector.metadata["hidden_dim"], detector.metadata["num_layers"]) == (8, 1)
    assert detector.metadata["audit"]["distinct_pairs"] == len(HOME["synergies"])
    assert detector.metadata["generated_pairs"] == 0
    verify(model_file)
    assert detector.model is not None
    assert detector.model.config == SynergyConfig(**QUICK)


@pytest.mark.parametrize(
    "kind", ["dicts", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("flat", "objects", "records"))]
)
def test_synergies_are_taken_as_production_has_them(tmp_path: Path, kind: str) -> None:
    rows = as_rows(HOME["synergies"])
    given: list[Any] = {
        "flat": HOME["synergies"],
        "dicts": [{"device_ids": json.loads(r["device_ids"]), "confidence": r["confidence"]} for r in rows],
        "objects": [SimpleNamespace(**r) for r in rows],
        "records": list(as_home(HOME).synergies),
    }[kind]
    detector = GNNSynergyDetector(**QUICK, model_path=tmp_path / "m.pth")
    learnt = detector.learn_from_data(ENTITIES, given, None)
    assert learnt["status"] == "complete", learnt
    assert learnt["nodes"] == len(ENTITIES)
    assert learnt["edges"] > 0
    assert 0 < learnt["validation_pairs"] < learnt["training_pairs"] < len(given)
    for part in ("train", "val"):
        assert 0 < learnt[f"final_{part}_loss"] < 0.69, "better than a coin"
        assert 0.5 < learnt[f"final_{part}_acc"] <= 1
    assert learnt["epochs_trained"] in (1, 2)
    assert detector.predict_synergy_score(PAIR, entities=ENTITIES)["score"] > 0.5


@pytest.mark.slow
def test_what_cannot_be_held_out_is_said(tmp_path: Path) -> None:
    few = HOME["synergies"][:3]
    learnt = GNNSynergyDetector(**QUICK, model_path=tmp_path / "m.pth").learn_from_data(ENTITIES, few, None)
    assert (learnt["status"], learnt["training_pairs"], learnt["validation_pairs"]) == ("complete", 3, 0)
    assert (learnt["final_val_loss"], learnt["final_val_acc"]) == (
        learnt["final_train_loss"],
        learnt["final_train_acc"],
    )
    assert any("no held-out score" in note for note in learnt["notes"])


@pytest.mark.parametrize(("entities", "synergies"), [([], HOME["synergies"]), (ENTITIES, []), (None, None)])
def test_too_little_to_learn_from_is_a_status(tmp_path: Path, entities: Any, synergies: Any) -> None:
    learnt = asyncio.run(GNNSynergyDetector(model_path=tmp_path / "m.pth").learn_from_data(entities, synergies, None))
    assert (learnt["status"], learnt["reason"]) == ("skipped", "insufficient_data")
    assert learnt["entities_count"] == len(entities or ())
    assert learnt["synergies_count"] == len(synergies or ())
    assert not (tmp_path / "m.pth").exists()


def test_a_failure_of_learning_is_a_status_and_the_model_that_was_there_stays(model_file: Path, tmp_path: Path) -> None:
    shutil.copyfile(model_file, tmp_path / "m.pth")
    detector = GNNSynergyDetector(**QUICK, model_path=tmp_path / "m.pth")
    before = detector.predict_synergy_score(PAIR, entities=ENTITIES)
    for synergies, why in (
        ([{"device_ids": ["a"], "confidence": 1}] * 5, "device_ids: ['a'] - expected a JSON array of two entity ids"),
        ([{"device_ids": list(PAIR), "confidence": 7}] * 5, "confidence: 7 - expected a number from 0 to 1"),
        ([{"unknown": 1}] * 5, "entity_1: missing"),
    ):
        learnt = detector.learn_from_data(ENTITIES, synergies, None)
        assert learnt["status"] == "error"
        assert why in learnt["reason"]
        assert "\n" not in learnt["reason"]
        assert learnt["training_pairs"] == 0
    assert detector.predict_synergy_score(PAIR, entities=ENTITIES) == before
    (tmp_path / "folder").mkdir()
    nowhere = GNNSynergyDetector(**QUICK, model_path=tmp_path / "folder")
    assert "is a folder" in nowhere.learn_from_data(ENTITIES, HOME["synergies"], None)["reason"]
    nowhere.load_model(model_file)
    with pytest.raises(ArtifactError, match="cannot be written"):
        nowhere.save_model(tmp_path / "m.pth" / "x.pth")


class Client:
    """Production's asynchronous client of the Data API."""

    async def fetch_entities(self, limit: int) -> list[dict[str, Any]]:
        await asyncio.sleep(0)
        return ENTITIES[:limit]


class AsyncSession:
    """As SQLAlchemy's asynchronous session answers, over a plain one."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def get_bind(self) -> Any:
        return self._session.get_bind()

    async def execute(self, statement: Any) -> Any:
        await asyncio.sleep(0)
        return self._session.execute(statement)


@pytest.mark.slow
def test_what_is_not_given_is_fetched_from_the_session_and_the_client(tmp_path: Path) -> None:
    database = write_database(tmp_path / "x.db", HOME["synergies"])
    detector = GNNSynergyDetector(**QUICK, model_path=tmp_path / "m.pth")
    with Session(sa.create_engine(f"sqlite:///{database}")) as session:
        for given in (session, AsyncSession(session)):
            learnt = asyncio.run(detector.learn_from_data([], [], given, data_api_client=Client()))
            assert (learnt["status"], learnt["nodes"]) == ("complete", len(ENTITIES)), learnt
    sqlite3.connect(tmp_path / "empty.db").close()
    with Session(sa.create_engine(f"sqlite:///{tmp_path}/empty.db")) as session:
        learnt = asyncio.run(detector.learn_from_data(ENTITIES, [], session))
    assert learnt["status"] == "error"
    assert "no such table" in learnt["reason"]


def test_the_shipped_base_is_loaded_and_broken_metadata_is_none(model_file: Path, tmp_path: Path) -> None:
    shutil.copyfile(model_file, tmp_path / "m.pth")
    (tmp_path / "m_metadata.json").write_text("{broken")
    for path in (tmp_path / "m.pth", SHIPPED_BASE):
        detector = GNNSynergyDetector(model_path=path)
        assert detector.load_model(path)
        assert detector.metadata == {}
        assert 0 < detector.predict_synergy_score(PAIR, entities=ENTITIES)["score"] <= 1
