"""Names as features: with any encoder, without one, word by word, and with the one that the extra brings."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import as_home, home, row

import training.synergy.model
import training.synergy.name_encoders
from data_sources import Home
from training.runs.job import SourceChoice
from training.runs.run import Training
from training.synergy.config import EvaluationOptions, SynergyConfig
from training.synergy.encoded_home import EncodedHome, display_names
from training.synergy.features import column, pair_features
from training.synergy.graph import build_graph
from training.synergy.job import SHIPPED_BASE, SynergyJob, evaluate
from training.synergy.known_pairs import KnownPairs
from training.synergy.model import SynergyModel
from training.synergy.name_encoders import (
    BATCH,
    PACKAGE,
    SENTENCES,
    TABLE,
    WORDS,
    Array,
    Encoder,
    WordTable,
    best_encoder,
    encoder_of,
)
from training.synergy.pair_statistics import PairStatistics
from training.synergy.pretrained import PretrainedSynergy
from training.synergy.trainer import TrainingResult, train_synergy_model
from training.synergy.vocabulary import Vocabulary

QUICK = SynergyConfig(epochs=1)
# Words for the same place that share no three letters.
PLACES = (("sofa", "couch"), ("aquarium", "fishtank"), ("lobby", "reception"), ("arbour", "gazebo"), ("alcove", "nook"))
SPREAD = np.random.default_rng(0).normal(size=(len(PLACES) + 1, 8)).astype(np.float32)


def by_place(texts: Sequence[str]) -> Array:
    """A vector for each place, whatever it is called, on top of one that all texts share."""
    place = [next((i for i, words in enumerate(PLACES) if any(w in text for w in words)), -1) for text in texts]
    rows = SPREAD[place] + 10
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)


STAND_IN = Encoder("stand-in", lambda: by_place)


def told_by_meaning(home_id: str) -> Home:
    """A sensor of each place drives the light that is called by the other word for it."""
    own = {"entity_id": f"sensor.{home_id}"}  # of no other home: eight exports of one home would be one
    raw: dict[str, Any] = {"home_id": home_id, "entities": [own], "synergies": []}
    for i, (one, other) in enumerate(PLACES):
        raw["entities"] += [{"entity_id": f"binary_sensor.{one}"}, {"entity_id": f"light.{other}"}]
        raw["synergies"].append(row(f"binary_sensor.{one}", f"light.{other}", automation_id=f"a{i}"))
    return as_home(raw)


@pytest.fixture(scope="module")
def trained() -> TrainingResult:
    return train_synergy_model([told_by_meaning(f"h{i}") for i in range(8)], QUICK, encoder=STAND_IN)


def test_names_that_mean_the_same_are_found_with_an_encoder_only(trained: TrainingResult) -> None:
    without = train_synergy_model([told_by_meaning(f"h{i}") for i in range(8)], QUICK)
    assert (trained.model.encoder_kind, without.model.encoder_kind) == ("stand-in", None)
    found = [
        result.model.evaluate([told_by_meaning("new")])[0].metrics["model"]["mrr"] for result in (trained, without)
    ]
    assert found[0] > 0.95
    assert found[1] < 0.8


def test_what_all_names_of_a_home_share_says_nothing_and_standing_is_among_all_that_can_act() -> None:
    graph = build_graph(as_home(home("a")))
    place = {name: i for i, name in enumerate(display_names(graph))}
    vectors = np.random.default_rng(1).normal(size=(graph.size, 16)).astype(np.float32)
    vectors = vectors[[place[name] for name in display_names(graph)]]

    def shifted(by: float) -> EncodedHome:
        read = Encoder("shifted", lambda: lambda texts: vectors[[place[text] for text in texts]] + np.float32(by))
        return EncodedHome(graph, Vocabulary((), (), ()), (), read)

    read, everything = [], np.arange(graph.size)
    for by in (0.0, 3.0):
        encoded = shifted(by)
        assert encoded.name_vectors is not None
        read.append(encoded.name_vectors.standardized_cosine(everything, encoded.candidates))
        np.testing.assert_allclose(read[-1].mean(1), 0, atol=1e-4)
        np.testing.assert_allclose(read[-1].std(1), 1, atol=1e-3)
        part = encoded.name_vectors.standardized_cosine(everything[3:5], encoded.candidates[:2])
        np.testing.assert_allclose(part, read[-1][3:5, :2], rtol=1e-4)
    np.testing.assert_allclose(read[0], read[1], atol=1e-4)
    centred = vectors - vectors.mean(0)
    cosine = (centred / np.linalg.norm(centred, axis=1, keepdims=True)) @ centred[encoded.candidates].T
    cosine /= np.linalg.norm(centred[encoded.candidates], axis=1)
    standing = (cosine - cosine.mean(1, keepdims=True)) / cosine.std(1, keepdims=True)
    np.testing.assert_allclose(read[0], standing, atol=1e-3)


def test_without_an_encoder_the_feature_of_names_is_0_and_with_one_it_is_not() -> None:
    graph = build_graph(told_by_meaning("a"))
    everything = np.arange(graph.size)
    for given in (None, STAND_IN):
        encoded = EncodedHome(graph, Vocabulary((), (), ()), (), given)
        odds = PairStatistics(Vocabulary((), (), ())).log_odds()
        known = KnownPairs(encoded, graph.pairs[:2])
        features = pair_features(odds, encoded, known, everything, encoded.candidates)
        assert column(features, "meaning").any() == (given is not None)


def test_a_name_is_read_rather_than_the_id_and_an_id_in_words() -> None:
    raw = {"entities": [{"entity_id": "light.a1_x", "name": "Reading lamp"}, {"entity_id": "light.hall_lamp"}]}
    assert display_names(build_graph(as_home(raw))) == ["Reading lamp", "hall lamp"]


def test_a_text_is_read_once_and_in_batches() -> None:
    asked: list[list[str]] = []

    def read(texts: Sequence[str]) -> Array:
        asked.append(list(texts))
        return np.array([[len(text), 1] for text in texts], dtype=np.float32)

    loads: list[int] = []
    remembering = Encoder("lengths", lambda: loads.append(1) or read)
    assert not loads, "loaded when the first text is read"
    texts = [f"lamp {i}" for i in range(BATCH + 10)]
    assert remembering([*texts, *texts]).shape == (2 * len(texts), 2)
    assert remembering(["lamp 3", "a", "lamp 3"])[:, 0].tolist() == [6, 1, 6]
    assert [len(batch) for batch in asked] == [BATCH, 10, 1]
    assert len(loads) == 1


def test_training_again_with_the_validation_homes_reads_no_name_a_second_time() -> None:
    asked: list[int] = []

    class Counting(Encoder):
        def __call__(self, texts: Sequence[str]) -> Array:
            asked.append(len(texts))
            return super().__call__(texts)

    homes = [as_home(home(f"h{i}")) for i in range(6)]
    trained = train_synergy_model(homes, QUICK, encoder=Counting("stand-in", lambda: by_place))
    assert (trained.split["strategy"], trained.split["units"]["validation"]) == ("home", 1)
    assert asked == [len(one.entities) for one in homes]


def test_a_model_that_knows_names_says_once_that_it_does_without_where_the_extra_is_missing(
    trained: TrainingResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "m.pth"
    path.write_bytes(trained.model.to_bytes())
    new, entities = told_by_meaning("new"), [e.model_dump() for e in told_by_meaning("new").entities]
    asked = [("binary_sensor.sofa", "light.couch"), ("binary_sensor.sofa", "light.gazebo")]
    monkeypatch.setattr(training.synergy.model, "encoder_of", lambda kind: None)
    alone = SynergyModel.load(path)
    assert alone.encoder_kind
    right, wrong = alone.score(entities, [], asked)
    assert right == pytest.approx(wrong, abs=0.05), "nothing else tells them apart"
    assert caplog.text.count("scores without") == 1
    assert "pip install" in caplog.text
    report = tmp_path / "r.json"
    data = tmp_path / "homes.json"
    rows = [row(*pair, automation_id=i) for i, pair in enumerate(asked)]
    data.write_text(json.dumps([{"home_id": "x", "entities": entities, "synergies": rows}]))
    evaluate(SourceChoice(str(data)), EvaluationOptions(model_path=path, output=report, no_names=True))
    assert json.loads(report.read_text())["names"] is None
    assert caplog.text.count("scores without") == 1, "who switched names off knows"
    monkeypatch.setattr(training.synergy.model, "encoder_of", lambda kind: STAND_IN)
    right, wrong = SynergyModel.load(path).score(new.entities, [], asked)
    assert right > wrong + 0.2


@pytest.mark.slow
def test_what_a_base_makes_of_words_is_where_words_start_and_no_other_encoder() -> None:
    base = PretrainedSynergy.load(SHIPPED_BASE)
    assert base.encoder_kind == WORDS
    homes = [told_by_meaning(f"h{i}") for i in range(8)]
    other = train_synergy_model(homes, QUICK, pretrained=base, encoder=STAND_IN).model
    (judged,) = other.evaluate([told_by_meaning("new")])
    assert judged.metrics["model"]["mrr"] > 0.9
    assert other.log_odds.meaning.shape[0] == SPREAD.shape[1]
    words = train_synergy_model(homes, QUICK, pretrained=base, encoder=encoder_of(WORDS)).model
    light = words.vocabulary.domains.index("light") + 1, base.vocabulary.domains.index("light") + 1
    cover = words.vocabulary.domains.index("cover") + 1, base.vocabulary.domains.index("cover") + 1
    assert torch.equal(words.log_odds.meaning[:, cover[0]], base.meaning[:, cover[1]]), "no home here says otherwise"
    assert not torch.equal(words.log_odds.meaning[:, light[0]], base.meaning[:, light[1]])


def told_by_trigger(home_id: str, *, of_lights: str, of_locks: str) -> Home:
    """Nothing but the meaning of the trigger tells whether it is lights or locks that it drives."""
    raw: dict[str, Any] = {"home_id": home_id, "entities": [], "synergies": []}
    for i in range(3):
        raw["entities"] += [{"entity_id": f"light.a{i}"}, {"entity_id": f"lock.b{i}"}]
    for word, domain in ((of_lights, "light.a"), (of_locks, "lock.b")):
        raw["entities"].append({"entity_id": f"sensor.{word}"})
        raw["synergies"] += [row(f"sensor.{word}", f"{domain}{i}", automation_id=word) for i in range(3)]
    return as_home(raw)


def test_the_meaning_of_a_trigger_tells_the_domain_that_it_drives() -> None:
    # No word of a trigger is of two homes: only vectors tell.
    homes = [told_by_trigger(f"h{x}", of_lights=f"sofa{x}", of_locks=f"lobby{x}") for x in "abcdefgh"]
    model = train_synergy_model(homes, QUICK, encoder=STAND_IN).model
    new = told_by_trigger("new", of_lights="couch", of_locks="reception")
    asked = [(f"sensor.{word}", action) for word in ("couch", "reception") for action in ("light.a1", "lock.b1")]
    light, no_lock, no_light, lock = model.score(new.entities, [], asked)
    assert light > no_lock + 0.2
    assert lock > no_light + 0.2
    added = model.explain(new.entities, [], asked)
    assert added[0]["trigger_meaning"] > 0 > added[1]["trigger_meaning"]


@pytest.mark.parametrize(
    ("homes", "no_names", "kind"), [(6, False, SENTENCES), (6, True, WORDS), (1, False, WORDS), (1, True, WORDS)]
)
def test_a_summary_says_how_names_were_read_and_sentences_take_pairs_to_hold_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, homes: int, no_names: bool, kind: str
) -> None:
    asked: list[str] = []

    def read(texts: Sequence[str]) -> Array:
        asked.extend(texts)
        return by_place(texts)

    monkeypatch.setitem(training.synergy.name_encoders.ENCODERS, SENTENCES, Encoder(SENTENCES, lambda: read))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == PACKAGE)
    data, path = tmp_path / "x.json", tmp_path / "m.pth"
    data.write_text(json.dumps([home(f"h{i}", rooms=("kitchen", "hall")) for i in range(homes)]))
    flags = {"model_path": path, "epochs": 1, "force": True, "no_names": no_names}
    run = Training(SynergyJob, SourceChoice(str(data)), flags)
    run.perform()
    assert run.summary().config["names"] == kind
    assert json.loads((tmp_path / "m_metadata.json").read_text())["config"]["names"] == kind
    assert bool(asked) is (kind == SENTENCES)


def test_the_table_that_ships_reads_words_of_other_languages_and_compounds_as_near() -> None:
    assert TABLE.stat().st_size + SHIPPED_BASE.stat().st_size < 2_000_000, "what ships stays small"
    read = encoder_of(WORDS)
    assert read is not None
    texts = ["Wohnzimmerlampe", "living room light", "boiler pump", "Zxqw", "washing machine", "laundry"]
    lamp, light, pump, unknown, washer, laundry = read(texts)
    assert lamp @ light > 0.7 > 0.3 > lamp @ pump
    assert washer @ laundry > washer @ light + 0.2
    assert not unknown.any(), "nothing is known of it"
    assert np.linalg.norm(lamp) == pytest.approx(1, abs=1e-5)


def test_a_name_is_the_sum_of_its_words() -> None:
    table = WordTable(["big", "lamp", "light"], np.array([[3, 0], [0, 4], [0, 4]], dtype=np.float32))
    assert table(["Big lamp", "lampe", "biglamp", "lamp 3 xx", "3"]).tolist() == [
        pytest.approx([0.6, 0.8]),
        [0, 1],  # German for light
        pytest.approx([0.6, 0.8]),
        [0, 1],
        [0, 0],
    ]


def test_sentences_are_read_where_they_can_be_and_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name == PACKAGE)
    assert [best_encoder().kind, best_encoder(sentences=False).kind] == [SENTENCES, WORDS]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert best_encoder().kind == WORDS
    assert encoder_of(SENTENCES) is None
    assert encoder_of("of another version") is None


def test_the_extra_reads_names_of_like_meaning_as_near() -> None:
    pytest.importorskip(PACKAGE)
    read = encoder_of(SENTENCES)
    assert read is not None
    lamp, light, pump = read(["sofa lamp", "couch light", "boiler pump"])
    assert np.linalg.norm(lamp) == pytest.approx(1, abs=1e-5)
    assert lamp @ light > lamp @ pump + 0.2
    assert (read(["couch light"])[0] == light).all()
