"""What names mean as evidence: with any encoder, without one, and with the one that the extra brings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import home, row
from test_graph import as_home

import training.link_prediction
from data_sources import Home
from training.config import SynergyConfig
from training.evidence import MEANING, EncodedHome, KnownPairs, PairStatistics, Vocabulary, names_of
from training.graph import build_graph
from training.link_prediction import SynergyModel, TrainingResult, train
from training.names import BATCH, PACKAGE, Array, Remembering, encoder
from training.run import Run
from training.synergy_base import SynergyBase
from training.synergy_run import (
    SHIPPED_BASE,
    EvaluationOptions,
    SynergyOptions,
    evaluate_gnn_synergy,
    train_gnn_synergy,
)

QUICK = SynergyConfig(epochs=1)
# Words for the same place that share no three letters.
PLACES = (("sofa", "couch"), ("aquarium", "fishtank"), ("lobby", "reception"), ("arbour", "gazebo"), ("alcove", "nook"))
SPREAD = np.random.default_rng(0).normal(size=(len(PLACES) + 1, 8)).astype(np.float32)


def stand_in(texts: Sequence[str]) -> Array:
    """A vector for each place, whatever it is called, on top of one that all texts share."""
    place = [next((i for i, words in enumerate(PLACES) if any(w in text for w in words)), -1) for text in texts]
    rows = SPREAD[place] + 10
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


def told_by_meaning(home_id: str) -> Home:
    """A sensor of each place drives the light that is called by the other word for it."""
    raw: dict[str, Any] = {"home_id": home_id, "entities": [], "synergies": []}
    for i, (one, other) in enumerate(PLACES):
        raw["entities"] += [{"entity_id": f"binary_sensor.{one}"}, {"entity_id": f"light.{other}"}]
        raw["synergies"].append(row(f"binary_sensor.{one}", f"light.{other}", automation_id=f"a{i}"))
    return as_home(raw)


@pytest.fixture(scope="module")
def trained() -> TrainingResult:
    return train([told_by_meaning(f"h{i}") for i in range(8)], QUICK, encoder=stand_in)


def test_names_that_mean_the_same_are_found_with_an_encoder_only(trained: TrainingResult) -> None:
    without = train([told_by_meaning(f"h{i}") for i in range(8)], QUICK)
    assert (trained.model.names, without.model.names) == (True, False)
    found = [result.model.judge([told_by_meaning("new")])[0].metrics["model"]["mrr"] for result in (trained, without)]
    assert found[0] > 0.95
    assert found[1] < 0.8


def test_what_all_names_of_a_home_share_says_nothing_and_standing_is_among_all_that_can_act() -> None:
    graph = build_graph(as_home(home("a")))
    vectors = np.random.default_rng(1).normal(size=(graph.size, 16)).astype(np.float32)

    def shifted(by: float) -> EncodedHome:
        return EncodedHome(graph, Vocabulary((), (), ()), (), lambda texts: vectors[: len(texts)] + np.float32(by))

    read, everything = [], np.arange(graph.size)
    for by in (0.0, 3.0):
        encoded = shifted(by)
        assert encoded.meaning is not None
        read.append(encoded.meaning.likeness(everything, encoded.candidates))
        np.testing.assert_allclose(read[-1].mean(1), 0, atol=1e-4)
        np.testing.assert_allclose(read[-1].std(1), 1, atol=1e-3)
        part = encoded.meaning.likeness(everything[3:5], encoded.candidates[:2])
        np.testing.assert_allclose(part, read[-1][3:5, :2], rtol=1e-4)
    np.testing.assert_allclose(read[0], read[1], atol=1e-4)
    centred = vectors - vectors.mean(0)
    cosine = (centred / np.linalg.norm(centred, axis=1, keepdims=True)) @ centred[encoded.candidates].T
    cosine /= np.linalg.norm(centred[encoded.candidates], axis=1)
    assert (np.argsort(cosine, axis=1) == np.argsort(read[0], axis=1)).all()


def test_without_an_encoder_the_evidence_of_names_is_0_and_with_one_it_is_not() -> None:
    graph = build_graph(told_by_meaning("a"))
    everything = np.arange(graph.size)
    for given in (None, stand_in):
        encoded = EncodedHome(graph, Vocabulary((), (), ()), (), given)
        odds = PairStatistics(Vocabulary((), (), ())).log_odds()
        known = KnownPairs(encoded, graph.pairs[:2])
        evidence = odds.evidence(encoded, known, everything, encoded.candidates)[:, :, MEANING]
        assert evidence.any() == (given is not None)


def test_a_name_is_read_rather_than_the_id_and_an_id_in_words() -> None:
    raw = {"entities": [{"entity_id": "light.a1_x", "name": "Reading lamp"}, {"entity_id": "light.hall_lamp"}]}
    assert names_of(build_graph(as_home(raw))) == ["Reading lamp", "hall lamp"]


def test_a_text_is_read_once_and_in_batches() -> None:
    asked: list[list[str]] = []

    def read(texts: Sequence[str]) -> Array:
        asked.append(list(texts))
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    loads: list[int] = []
    remembering = Remembering(lambda: loads.append(1) or read)
    assert not loads, "loaded when the first text is read"
    texts = [f"lamp {i}" for i in range(BATCH + 10)]
    assert remembering([*texts, *texts]).shape == (2 * len(texts), 2)
    assert remembering(["lamp 3", "a", "lamp 3"])[:, 0].tolist() == [6, 1, 6]
    assert [len(batch) for batch in asked] == [BATCH, 10, 1]
    assert len(loads) == 1


def test_a_model_that_knows_names_says_once_that_it_does_without_where_the_extra_is_missing(
    trained: TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "m.pth"
    path.write_bytes(trained.model.to_bytes())
    new, entities = told_by_meaning("new"), [e.model_dump() for e in told_by_meaning("new").entities]
    asked = [("binary_sensor.sofa", "light.couch"), ("binary_sensor.sofa", "light.gazebo")]
    monkeypatch.setattr(training.link_prediction, "names_encoder", lambda: None)
    alone = SynergyModel.load(path)
    assert alone.names
    right, wrong = alone.score(entities, [], asked)
    assert right == pytest.approx(wrong, abs=0.05), "nothing else tells them apart"
    assert caplog.text.count("scores without") == 1
    assert "pip install" in caplog.text
    report = tmp_path / "r.json"
    data = tmp_path / "homes.json"
    rows = [row(*pair, automation_id=i) for i, pair in enumerate(asked)]
    data.write_text(json.dumps([{"home_id": "x", "entities": entities, "synergies": rows}]))
    evaluate_gnn_synergy(Run("gnn_synergy"), EvaluationOptions(str(path), str(data), report=str(report), no_names=True))
    assert json.loads(report.read_text())["names"] is False
    assert caplog.text.count("scores without") == 1, "who switched names off knows"
    monkeypatch.setattr(training.link_prediction, "names_encoder", lambda: stand_in)
    right, wrong = SynergyModel.load(path).score(new.entities, [], asked)
    assert right > wrong + 0.2


def test_a_base_trained_without_names_is_a_starting_point_with_them() -> None:
    base = SynergyBase.load(SHIPPED_BASE)
    assert not base.network["from_evidence.weight"][:, MEANING].any(), "no noise where it never learnt"
    homes = [told_by_meaning(f"h{i}") for i in range(8)]
    model = train(homes, QUICK, base=base, encoder=stand_in).model
    (judged,) = model.judge([told_by_meaning("new")])
    assert judged.metrics["model"]["mrr"] > 0.9


@pytest.mark.parametrize(("homes", "no_names", "used"), [(6, False, True), (6, True, False), (1, False, False)])
def test_a_summary_says_whether_names_were_read_which_takes_pairs_to_hold_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, homes: int, no_names: bool, used: bool
) -> None:
    asked: list[str] = []

    def read(texts: Sequence[str]) -> Array:
        asked.extend(texts)
        return stand_in(texts)

    monkeypatch.setattr("training.names.encoder", lambda: read)
    data, path = tmp_path / "x.json", tmp_path / "m.pth"
    data.write_text(json.dumps([home(f"h{i}", rooms=("kitchen", "hall")) for i in range(homes)]))
    run = Run("gnn_synergy")
    options = SynergyOptions(str(data), model_path=str(path), epochs=1, force=True, no_names=no_names)
    train_gnn_synergy(run, options)
    assert run.summary().config["names"] is used
    assert json.loads((tmp_path / "m_metadata.json").read_text())["config"]["names"] is used
    assert bool(asked) is used


def test_the_extra_reads_names_of_like_meaning_as_near() -> None:
    pytest.importorskip(PACKAGE)
    read = encoder()
    assert read is not None
    lamp, light, pump = read(["sofa lamp", "couch light", "boiler pump"])
    assert np.linalg.norm(lamp) == pytest.approx(1, abs=1e-5)
    assert lamp @ light > lamp @ pump + 0.2
    assert (read(["couch light"])[0] == light).all()
