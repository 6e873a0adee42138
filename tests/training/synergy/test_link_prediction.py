"""The synergy model: learns, judges itself honestly, and cannot see what it is asked."""

from __future__ import annotations

import math
import re
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import as_home, eight_homes, home, row

from training.judging.calibration import Calibration
from training.judging.splits import Part, unit_digests
from training.runs.errors import ModelFileError, TrainingError
from training.runs.stored import Room
from training.synergy import feature_weights
from training.synergy.config import SynergyConfig
from training.synergy.encoded_home import EncodedHome
from training.synergy.evaluation import HomeScore, RankingTask, rank, ranking_task, summarize_runs
from training.synergy.feature_weights import KNOWN_VIEWS, rows_within_memory
from training.synergy.features import FEATURES, KNOWN_FEATURES, column, pair_features
from training.synergy.graph import build_graph
from training.synergy.known_pairs import KnownPairs
from training.synergy.model import SynergyModel
from training.synergy.name_encoders import WORDS, encoder_of
from training.synergy.pair_statistics import PairStatistics
from training.synergy.report import evaluation_lines
from training.synergy.same_homes import MANY_PAIRS
from training.synergy.splits import everything_trains, known_home_split, split_pairs
from training.synergy.trainer import SynergyTrainer, TrainingResult, train_synergy_model
from training.synergy.views import ComparedPairs
from training.synergy.vocabulary import Vocabulary

QUICK = SynergyConfig(epochs=2)


def pairs_of(raw: dict[str, Any]) -> list[tuple[str, str]]:
    ids = [entity["entity_id"] for entity in raw["entities"]]
    return [(t, a) for t in ids for a in ids if t != a]


def test_a_home_never_seen_is_scored_with_its_own_pairs_on_top(trained: TrainingResult) -> None:
    new = home("new", rooms=("attic", "cellar", "studio"))
    pairs = pairs_of(new)
    scores = trained.model.score(new["entities"], [], pairs)
    assert scores.shape == (len(pairs),)
    assert ((scores >= 0) & (scores <= 1)).all()
    by_pair = dict(zip(pairs, scores, strict=True))
    right = by_pair["binary_sensor.attic_motion", "light.attic"]
    assert right > 0.5
    assert right > by_pair["binary_sensor.attic_motion", "light.cellar"]
    assert right > by_pair["light.attic", "binary_sensor.attic_motion"], "direction counts"


def test_domains_never_seen_and_homes_without_names_are_scored(trained: TrainingResult) -> None:
    entities = [
        {"entity_id": "lawn_mower.x1"},
        {"entity_id": "brand_new.y2", "area_id": None},
        {"entity_id": "sun.sun"},
    ]
    scores = trained.model.score(entities, [], [("sun.sun", "brand_new.y2"), ("lawn_mower.x1", "brand_new.y2")])
    assert np.isfinite(scores).all()


def test_a_known_pair_does_not_tell_its_own_score(trained: TrainingResult) -> None:
    new = home("new", rooms=("attic", "cellar", "studio"))
    planted = row("media_player.attic", "lock.cellar")
    asked = [("media_player.attic", "lock.cellar")]
    without = trained.model.score(new["entities"], new["synergies"], asked)
    with_it = trained.model.score(new["entities"], [*new["synergies"], planted], asked)
    assert with_it == pytest.approx(without, abs=0)


def test_known_synergies_carry_messages_to_other_pairs() -> None:
    raw = home("a", rooms=tuple(f"room{chr(97 + i)}" for i in range(24)))
    model = train_synergy_model([as_home(raw)], QUICK).model
    with torch.no_grad():  # validation may have preferred the features alone, in which nothing is heard
        model.network.correction.weight.fill_(0.1)
    asked = [("binary_sensor.rooma_motion", "light.roomb")]
    known = [row("binary_sensor.rooma_motion", "media_player.rooma"), row("light.rooma", "light.roomb")]
    assert model.score(raw["entities"], known, asked) != pytest.approx(model.score(raw["entities"], [], asked), abs=0)


def test_suggestions_are_the_best_unknown_pairs(trained: TrainingResult) -> None:
    new = home("new", rooms=("attic", "cellar", "studio"))
    known = new["synergies"][:2]
    suggested = trained.model.suggest(new["entities"], known, 5)
    assert len(suggested) == 5
    given = {(s["entity_1"], s["entity_2"]) for s in known}
    assert given.isdisjoint({(s.trigger, s.action) for s in suggested})
    candidates = [p for p in pairs_of(new) if p not in given and not p[1].startswith(("sensor.", "binary_sensor."))]
    by_pair = dict(zip(candidates, trained.model.score(new["entities"], known, candidates), strict=True))
    assert [s.score for s in suggested] == pytest.approx([by_pair[s.trigger, s.action] for s in suggested])
    assert min(s.score for s in suggested) > np.median(list(by_pair.values()))
    best = [("binary_sensor.cellar_motion", "lock.cellar"), ("binary_sensor.studio_motion", "light.studio")]
    assert [(s.trigger, s.action) for s in suggested[:2]] == best
    for s in suggested:
        assert set(dict(s.evidence)) <= set(FEATURES)
        (explained,) = trained.model.explain(new["entities"], known, [(s.trigger, s.action)])
        assert dict(s.evidence) == pytest.approx({name: explained[name] for name, _ in s.evidence}, abs=1e-3)
    assert len(trained.model.suggest(new["entities"][:1], [], 5)) == 0


def test_a_model_knows_the_homes_it_was_trained_on_under_other_ids(trained: TrainingResult) -> None:
    model = copy(trained.model)
    model.trained_on = frozenset({"h0", "h1"})
    pairs = [sorted((t, a)) for t, a in pairs_of(home("h1"))]
    model.provenance = {"trained_on": unit_digests(f"h1 {first} {second}" for first, second in pairs)}
    export = {**home("h1"), "home_id": "exported again"}
    assert model.trained_as(as_home(export)) == "h1"
    assert model.trained_as(as_home({**export, "synergies": export["synergies"][2:]})) == "h1"
    assert model.trained_as(as_home({**export, "synergies": export["synergies"][:4]})) is None, "of four, by chance"
    assert model.trained_as(as_home(export), MANY_PAIRS) is None
    assert model.trained_as(as_home(home("h1"))) is None, "it has its own id"
    assert model.trained_as(as_home(home("new", rooms=("kitchen", "attic", "cellar", "studio")))) is None
    model = copy(trained.model)
    model.provenance = {}
    assert model.trained_as(as_home(export)) is None, "the file does not say on which pairs"


def test_what_cannot_be_scored_is_named(trained: TrainingResult) -> None:
    entities = home("a")["entities"]
    with pytest.raises(ValueError, match=r"'light\.none': no enabled entity of this home has this id"):
        trained.model.score(entities, [], [("light.hall", "light.none")])
    with pytest.raises(ValueError, match=r"entity 29: entity_id: 'x' - expected an entity id"):
        trained.model.score([*entities, {"entity_id": "x"}], [], [])
    with pytest.raises(ValueError, match=r"synergy 1: confidence: missing"):
        trained.model.score(entities, [{"entity_1": "light.hall", "entity_2": "light.office"}], [])
    assert trained.model.score(entities, [], []).shape == (0,)


def test_a_saved_model_scores_the_same_without_the_data(trained: TrainingResult, tmp_path: Path) -> None:
    path = tmp_path / "m.pth"
    path.write_bytes(trained.model.to_bytes())
    content = torch.load(path, weights_only=True)
    assert type(content) is dict
    assert (content["config"]["hidden_dim"], content["config"]["num_layers"]) == (64, 2)
    new = home("new", rooms=("attic", "cellar"))
    loaded = SynergyModel.load(path)
    pairs = pairs_of(new)
    expected = trained.model.score(new["entities"], new["synergies"], pairs)
    assert np.array_equal(loaded.score(new["entities"], new["synergies"], pairs), expected)
    assert loaded.to_bytes() == path.read_bytes()


def test_one_seed_gives_one_model_and_another_seed_another(trained: TrainingResult) -> None:
    assert train_synergy_model(eight_homes(), QUICK).model.to_bytes() == trained.model.to_bytes()
    other = QUICK.model_copy(update={"seed": 1})
    assert train_synergy_model(eight_homes(), other).model.to_bytes() != trained.model.to_bytes()


@pytest.mark.parametrize("break_it", ["missing", "garbage", "cut", "empty", "other", "old", "newer", "parts", "units"])
def test_a_file_that_is_no_model_is_refused_in_one_line(trained: TrainingResult, tmp_path: Path, break_it: str) -> None:
    path = tmp_path / "m.pth"
    whole = trained.model.to_bytes()
    path.write_bytes(whole)
    content = torch.load(path, weights_only=True)
    if break_it == "missing":
        path.unlink()
    elif break_it in ("garbage", "cut", "empty"):
        path.write_bytes({"garbage": b"\x00garbage" * 100, "cut": whole[: len(whole) // 2], "empty": b""}[break_it])
    elif break_it == "other":
        torch.save([1, 2], path)
    elif break_it == "old":
        torch.save({"model_state_dict": {}, "hidden_dim": 64}, path)
    elif break_it == "newer":
        torch.save({**content, "format_version": 99}, path)
    elif break_it == "units":
        torch.save({**content, "provenance": {"trained_on": "abcd"}}, path)
    else:
        del content["state_dict"]["bias"]
        torch.save(content, path)
    with pytest.raises(ModelFileError, match=r"m\.pth: ") as failure:
        SynergyModel.load(path)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_one_or_two_pairs_train_and_are_reported_as_in_sample(count: int) -> None:
    raw = home("a", rooms=("kitchen", "hall", "office"))
    raw["synergies"] = raw["synergies"][:count]
    result = train_synergy_model([as_home(raw)], QUICK)
    assert result.split["strategy"] == "none"
    assert "test" not in result.metrics
    assert result.metrics["held_out"] is False
    assert result.metrics["in_sample"]["pairs"] == count


@pytest.mark.parametrize(
    "pair",
    [
        ("light.a", "light.b"),
        ("binary_sensor.a", "light.b"),  # no other pair to compare with
        ("switch.a_child_lock", "switch.b_child_lock"),  # settings alone
    ],
)
def test_two_entities_and_one_pair_train(pair: tuple[str, str]) -> None:
    result = train_synergy_model([as_home({"synergies": [row(*pair)]})], QUICK)
    assert math.isfinite(result.history[-1].loss)
    assert result.model.score([{"entity_id": entity_id} for entity_id in pair], [], [pair]) > 0.5


def test_no_pairs_is_a_clear_error() -> None:
    raw = home("a")
    raw["synergies"] = []
    with pytest.raises(TrainingError, match="no synergy pair among 1 home with 28 entities"):
        train_synergy_model([as_home(raw)], QUICK)
    with pytest.raises(TrainingError, match="no synergy pair among 1 home with 1 entity"):
        train_synergy_model([as_home({"entities": [{"entity_id": "light.a"}]})], QUICK)


def test_homes_without_synergies_are_carried_along() -> None:
    homes = [as_home(home(f"h{i}", rooms=("hall", "attic"))) for i in range(6)]
    empty = home("empty", rooms=("hall", "attic"))
    empty["synergies"] = []
    assert train_synergy_model([*homes, as_home(empty)], QUICK).metrics["test"]["homes"] == 1


def test_test_pairs_reach_neither_statistics_nor_messages(trained: TrainingResult) -> None:
    """A pair planted in the test part changes nothing that is learnt: the weights are equal to the last bit."""
    homes = eight_homes()
    graphs = [build_graph(h) for h in homes]
    split = split_pairs(graphs)
    (held_out,) = [h for h in range(8) if split.select(h, "test").all()]
    raw = home(f"h{held_out}", areas=held_out % 3 > 0)
    assert as_home(raw) == homes[held_out]
    raw["synergies"].append(row("media_player.kitchen", "lock.hall"))
    planted = [*homes[:held_out], as_home(raw), *homes[held_out + 1 :]]
    with_plant = train_synergy_model(planted, QUICK)
    assert trained.model.to_bytes() == with_plant.model.to_bytes()
    assert with_plant.metrics["test"]["pairs"] == trained.metrics["test"]["pairs"] + 1


def test_what_an_epoch_predicts_never_carries_messages() -> None:
    raw = home("a", rooms=tuple(f"room{chr(97 + i)}" for i in range(24)))
    for synergy in raw["synergies"][::3]:
        synergy["relationship"] = {"direction": "bidirectional"}
    graph = build_graph(as_home(raw))
    split = split_pairs([graph])
    trainer = SynergyTrainer([graph], split, QUICK)
    shown = 0
    for _ in range(200):
        supervised, known = trainer.views.draw(0)
        asked = {frozenset(pair) for pair in graph.pairs[supervised].tolist()}
        told = {frozenset(pair) for pair in known.tolist()}
        assert asked.isdisjoint(told)
        assert told.isdisjoint({frozenset(p) for p in graph.pairs[split.select(0, "validation", "test")].tolist()})
        shown += bool(told)
    assert 50 < shown < 150


def test_negatives_stay_inside_the_home_stand_for_all_and_none_is_a_known_pair() -> None:
    graph = build_graph(as_home(home("a", rooms=tuple(f"room{chr(97 + i)}" for i in range(24)))))
    by_automation = replace(everything_trains([graph]), strategy="none")  # folds are of automations
    trainer = SynergyTrainer([graph], by_automation, QUICK)
    known = {tuple(pair) for pair in graph.pairs.tolist()}
    whole, of_home = trainer.views.blocks(0, trainer.views.new_home(0), max_rows=1000, max_actions=1000)
    asked = {(whole.triggers[t], whole.actions[a]) for t, a in whole.positive.nonzero().tolist()}
    negatives = [(whole.triggers[t], whole.actions[a]) for t, a in whole.negative.nonzero().tolist()]
    assert asked == known
    assert known.isdisjoint(negatives)
    assert all(graph.acting([])[a] and t != a for t, a in negatives)
    assert not whole.log_multiplicity.any()
    drawn, _ = trainer.views.blocks(0, trainer.views.new_home(0), max_rows=8, max_actions=20)
    assert drawn.features.shape == (8, len(drawn.actions), len(FEATURES))
    assert (drawn.positive.sum(1) > 0).all()
    assert float(drawn.log_multiplicity.exp().sum()) == pytest.approx(len(trainer.encoded[0].candidates))
    assert not of_home.positive.any()
    assert known.isdisjoint((of_home.triggers[t], of_home.actions[a]) for t, a in of_home.negative.nonzero().tolist())
    represented = of_home.triggers_each * len(of_home.triggers) * float(of_home.log_multiplicity.exp().sum())
    assert represented == pytest.approx(graph.size * len(trainer.encoded[0].candidates))


def test_the_loss_ranks_a_pair_against_its_row_and_against_its_whole_home() -> None:
    graph = build_graph(as_home(home("a", rooms=tuple(f"room{chr(97 + i)}" for i in range(24)))))
    trainer = SynergyTrainer([graph], everything_trains([graph]), QUICK)
    blocks = trainer.views.blocks(0, trainer.views.new_home(0), max_rows=8, max_actions=20)
    pairs = ComparedPairs.of([*blocks, *blocks])
    once = ComparedPairs.of(blocks)
    assert pairs.view.unique().tolist() == [0, 1]
    logit = torch.randn(len(once.row), generator=torch.Generator().manual_seed(0))
    assert float(pairs.loss(torch.cat([logit, logit]))) == pytest.approx(float(once.loss(logit)), rel=1e-5)
    in_home = once.of_home > 0
    assert in_home.any()
    assert not (in_home & (once.negative > 0)).any()
    worse = float(once.loss(logit + 3.0 * in_home))  # what no trigger is compared with, but the home is
    assert worse > float(once.loss(logit)) + 0.1


def test_the_fit_shows_small_homes_whole_and_large_ones_within_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    small = [as_home(home(f"s{i}", rooms=("hall",))) for i in range(4)]
    large = [as_home(home(f"l{i}", rooms=tuple(f"room{j}" for j in range(30)))) for i in range(2)]
    graphs = [build_graph(one) for one in (*small, *large)]
    split = everything_trains(graphs)
    monkeypatch.setattr("training.synergy.feature_weights.FIT_PAIRS", 20_000)
    trainer = SynergyTrainer(graphs, split, SynergyConfig())
    positives = trainer.homes.positives
    homes = list(positives)
    triggers = {h: len(np.unique(graphs[h].pairs[positives[h], 0])) for h in homes}
    shown = rows_within_memory(trainer.homes, homes)
    assert [shown[h] for h in homes[:4]] == [triggers[h] for h in homes[:4]]
    assert all(1 < shown[h] < triggers[h] for h in homes[4:])
    pairs = sum(shown[h] * len(trainer.encoded[h].candidates) for h in homes) * (1 + KNOWN_VIEWS)
    assert 0.9 * 20_000 < pairs <= 20_000


def test_the_more_pairs_the_farther_weights_move_from_where_they_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    graphs = [build_graph(as_home(home(f"h{i}", areas=False))) for i in range(6)]
    split = everything_trains(graphs)
    moved = []
    for few in (1_000_000, 10):
        monkeypatch.setattr("training.synergy.feature_weights.L2_PAIRS", few)
        trainer = SynergyTrainer(graphs, split, SynergyConfig())
        trainer.fit_feature_weights()
        moved.append(float((trainer.network.evidence_weight.detach() - trainer.start.features).norm()))
    assert moved[1] > 1.5 * moved[0]


def test_statistics_of_a_training_pair_leave_it_out() -> None:
    homes = [build_graph(as_home(home(f"h{i}"))) for i in range(6)]
    odd = home("odd")
    odd["synergies"] = [row("media_player.kitchen", "lock.hall")]
    homes.append(build_graph(as_home(odd)))
    split = everything_trains(homes)
    trainer = SynergyTrainer(homes, split, QUICK)
    block, _ = trainer.views.blocks(6, trainer.views.new_home(6), 10, 100)
    ((t, a),) = block.positive.nonzero().tolist()
    known = KnownPairs(trainer.encoded[6], block.known)
    seen = pair_features(trainer.log_odds, trainer.encoded[6], known, block.triggers, block.actions)
    assert column(block.features, "domain_pair")[t, a] < column(seen, "domain_pair")[t, a]


def test_ranking_removes_other_known_pairs_and_counts_ties_in_the_middle() -> None:
    raw = {
        "entities": [{"entity_id": f"light.{c}"} for c in "abcdef"] + [{"entity_id": "sensor.s"}],
        "synergies": [row("sensor.s", "light.a"), row("sensor.s", "light.b"), row("light.c", "light.d")],
    }
    graph = build_graph(as_home(raw))
    parts = np.array([2 if graph.entity_ids[a] == "light.a" else 0 for _, a in graph.pairs], dtype=np.int8)
    encoded = EncodedHome(graph, Vocabulary((), (), ()), ())
    task = ranking_task(encoded, graph, 0, parts == 2, parts == 0)
    assert task is not None
    names = np.array([graph.entity_ids[a] for a in task.actions])
    assert names[task.positive[0]].tolist() == ["light.a"]
    assert names[task.negative[0]].tolist() == ["light.c", "light.d", "light.e", "light.f"]
    assert names[task.hard[0]].tolist() == ["light.d"]
    assert rank(task, np.array([[0.5, 0.7, 0.5, 0.1, 0.9, 0.2]]))["mrr"] == pytest.approx(1 / 2.5)
    assert rank(task, np.zeros((1, 6))) == pytest.approx(
        {"mrr": 1 / 3, "hits_at_10": 1, "auc_hard": 0.5, "ap_hard": 0.5, "auc_random": 0.5, "ap_random": 0.2}
    )


def test_large_homes_rank_a_stated_sample_of_triggers() -> None:
    raw = home("a", rooms=tuple(f"room{chr(97 + i)}" for i in range(24)))
    graph = build_graph(as_home(raw))
    encoded = EncodedHome(graph, Vocabulary((), (), ()), ())
    asked = np.ones(len(graph.pairs), dtype=bool)
    task = ranking_task(encoded, graph, 0, asked, ~asked, max_pairs=5 * int(encoded.can_act.sum()))
    assert isinstance(task, RankingTask)
    assert task.triggers_left_out == 24 - 5
    assert len(task.triggers) == 5


def test_calibration_moves_scores_to_the_rate_they_came_true() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=4000)
    label = (rng.random(4000) < 1 / (1 + np.exp(-truth))).astype(float)
    fitted = Calibration.fit(3 * truth + 2, label, np.ones(4000))
    assert fitted.slope == pytest.approx(1 / 3, rel=0.15)
    assert fitted(np.array([2.0]))[0] == pytest.approx(0.5, abs=0.05)
    assert Calibration.fit(truth[:3], np.ones(3), np.ones(3)) == Calibration()


def test_log_odds_of_what_was_never_seen_are_zero() -> None:
    graph = build_graph(as_home(home("a")))
    vocabulary = Vocabulary.of([graph], [np.ones(len(graph.pairs), dtype=bool)])
    encoded = EncodedHome(graph, vocabulary, ())
    empty = PairStatistics(vocabulary).log_odds()
    t, a = np.array([0, 1]), np.array([2, 3])
    features = pair_features(empty, encoded, KnownPairs(encoded, graph.pairs[:0]), t, a)
    of_tables = empty.features(encoded, encoded.name_overlap(t, a), t, a)
    assert all(column(features, name).abs().max() < 1e-4 for name in of_tables)
    assert not any(column(features, name).any() for name in KNOWN_FEATURES)


def test_names_of_one_place_in_any_language_and_of_different_places_are_told_apart() -> None:
    actions = ("light.kuche", "light.bedroom", "light.reading", "light.kitchen_and_bedroom")
    entities = [{"entity_id": e} for e in ("binary_sensor.kitchen_motion", *actions)]
    graph = build_graph(as_home({"entities": entities, "synergies": []}))
    nothing = Vocabulary((), (), ())
    home = EncodedHome(graph, nothing, ())
    order = np.array([graph.entity_ids.index(action) for action in actions])
    trigger = np.array([graph.entity_ids.index("binary_sensor.kitchen_motion")])
    known = KnownPairs(home, graph.pairs)
    features = pair_features(PairStatistics(nothing).log_odds(), home, known, trigger, order)
    assert column(features, "same_place").tolist() == [[1, 0, 0, 1]]
    assert column(features, "other_place").tolist() == [[0, 1, 0, 0]]
    bedrooms = ["binary_sensor.master_bedroom", "light.bedroom", "light.guest_bedroom"]
    graph = build_graph(as_home({"entities": [{"entity_id": e} for e in bedrooms], "synergies": []}))
    same, different = EncodedHome(graph, nothing, ()).compare_places(np.array([0]), np.array([1, 2]))
    assert (same.tolist(), different.tolist()) == ([[True, False]], [[False, True]])


def test_a_misspelt_setting_is_an_error() -> None:
    with pytest.raises(ValueError, match="epoch"):
        SynergyConfig(epoch=3)  # type: ignore[call-arg]


def test_whole_homes_are_held_out_and_the_model_stands_beside_the_counts(trained: TrainingResult) -> None:
    assert trained.metrics["split"] == "home"
    assert trained.metrics["test"]["model"]["mrr"] > trained.metrics["test"]["baselines"]["domain_pair_prior"]["mrr"]


def test_a_held_out_pair_can_reach_neither_graph_nor_features() -> None:
    """A pair planted in the automations that a known home hides changes no score: not its own, and no other."""
    homes = [as_home(home(f"h{i}")) for i in range(6)]
    model = train_synergy_model(homes, QUICK).model
    with torch.no_grad():  # validation may have preferred the features alone, in which no message is heard
        model.network.correction.weight.fill_(0.1)
    rooms = ("attic", "cellar", "studio", "pantry", "porch", "loft")
    raw = home("new", rooms=rooms)
    graph = build_graph(as_home(raw))
    split = known_home_split([graph], 0.7, seed=3)

    def judged_with(part: Part) -> HomeScore:
        """The home, one automation of ``part`` also locking a door that has nothing to do with its trigger."""
        first = int(np.flatnonzero(split.select(0, part))[0])
        told = home("new", rooms=rooms)
        automation = graph.groups[first][0].rpartition(" ")[2]
        told["synergies"].append(row(asked, "lock.cellar", automation_id=automation))
        (score,) = model.evaluate([as_home(told)], known_share=0.7, seed=3)
        return score

    ((plain,),) = (model.evaluate([as_home(raw)], known_share=0.7, seed=3),)
    asked = graph.entity_ids[plain.task.triggers[0]]
    hidden, told = judged_with("test"), judged_with("train")
    assert hidden.task.positive.sum() == plain.task.positive.sum() + 1
    assert np.array_equal(hidden.task.known, plain.task.known)
    assert np.array_equal(hidden.probability, plain.probability)
    assert len(told.task.known) == len(plain.task.known) + 1
    assert not np.array_equal(told.probability, plain.probability), "what is known is heard"


def test_what_a_home_is_encoded_as_holds_none_of_its_pairs(trained: TrainingResult) -> None:
    graph = build_graph(as_home(home("new")))
    encoded = EncodedHome(graph, trained.model.vocabulary, ())
    assert len(graph.pairs)
    assert not len(encoded.graph.pairs)
    assert encoded.graph.groups == ()


def test_judging_averages_runs_and_homes_and_compares_by_size(trained: TrainingResult) -> None:
    homes = [as_home(home(f"n{i}", rooms=tuple(f"{w}room" for w in "abcdefgh"[: 3 + i]))) for i in range(4)]
    once = summarize_runs([trained.model.evaluate(homes)])
    twice = summarize_runs([trained.model.evaluate(homes)] * 2)
    assert (once["homes"], once["runs"], twice["runs"]) == (4, 1, 2)
    assert once["model"] == twice["model"]
    low, high = once["model"]["interval"]["mrr"]
    assert low <= once["model"]["mrr"] <= high
    best = once["baselines"][once["best_count"]]["mrr"]
    assert once["mrr_ratio"]["value"] == pytest.approx(once["model"]["mrr"] / best, abs=1e-3)
    assert set(once["thirds"]) == {"small", "middle", "large"}
    told = list(evaluation_lines("New home", once))
    assert re.search(r"95 % of this model: MRR \d\.\d+ to", told[-3])
    alone = summarize_runs([trained.model.evaluate(homes[:1])])
    assert (alone["model"]["interval"]["mrr"], alone["mrr_ratio"]["interval"]) == (None, None)
    told = list(evaluation_lines("New home", alone))
    assert "95 % of this model: unknown, for there are too few homes" in told[-3]
    assert "95 %" not in told[-2]
    with pytest.raises(TrainingError, match="no home has a pair that can be ranked"):
        summarize_runs([[]])


def test_a_known_pair_does_not_explain_itself(trained: TrainingResult) -> None:
    raw = home("new")
    pair = (raw["synergies"][0]["entity_1"], raw["synergies"][0]["entity_2"])
    others = [s for s in raw["synergies"] if (s["entity_1"], s["entity_2"]) != pair]
    entities = raw["entities"]
    (known,) = trained.model.explain(entities, raw["synergies"], [pair])
    (unknown,) = trained.model.explain(entities, others, [pair])
    assert known == pytest.approx(unknown)
    assert trained.model.explain(entities, others, []) == []


def test_a_model_is_the_same_however_few_homes_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_weights, "CHUNK_PAIRS", 500)
    monkeypatch.setattr(feature_weights, "FIT_HOMES", 2)
    homes = [as_home(home(f"h{i}", rooms=("hall", f"room{i}"))) for i in range(5)]
    models = [
        train_synergy_model(homes, SynergyConfig(epochs=1), encoder=encoder_of(WORDS), room=room).model.to_bytes()
        for room in (Room(), Room(0))
    ]
    assert models[0] == models[1]
