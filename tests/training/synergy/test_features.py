"""The features of a block are matched by name, and do not depend on what else is in the block."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from support import as_home, home

from simulation.homes import simulate_home
from simulation.registry import add_registry
from training.synergy.encoded_home import EncodedHome
from training.synergy.features import FEATURES, column, pair_features, stack_features
from training.synergy.graph import Ints, build_graph
from training.synergy.known_pairs import KnownPairs
from training.synergy.name_encoders import WORDS, encoder_of
from training.synergy.pair_statistics import PairStatistics
from training.synergy.vocabulary import Vocabulary


def test_columns_are_placed_by_name_whatever_their_order_and_shape() -> None:
    values = {name: float(i) for i, name in enumerate(FEATURES)}
    by_trigger, by_action = np.array([[1.0], [2.0]]), np.array([3.0, 4.0, 5.0])
    given = {**dict(reversed(values.items())), "same_area": by_trigger, "driven": by_action}
    block = stack_features((2, 3), given)
    assert block.shape == (2, 3, len(FEATURES))
    assert column(block, "same_area").tolist() == [[1, 1, 1], [2, 2, 2]]
    assert column(block, "driven").tolist() == [[3, 4, 5], [3, 4, 5]]
    others = [name for name in FEATURES if name not in ("same_area", "driven")]
    assert all((column(block, name) == values[name]).all() for name in others)


def test_a_feature_that_is_missing_unknown_or_given_twice_is_named() -> None:
    whole = dict.fromkeys(FEATURES, 0.0)
    without = {name: value for name, value in whole.items() if name != "same_area"}
    with pytest.raises(ValueError, match=r"missing: same_area$"):
        stack_features((1, 1), without)
    with pytest.raises(ValueError, match=r"unknown: same_era$"):
        stack_features((1, 1), {**whole, "same_era": 0.0})
    with pytest.raises(ValueError, match=r"missing: same_area; unknown: same_era$"):
        stack_features((1, 1), without, {"same_era": 0.0})
    with pytest.raises(ValueError, match=r"given twice: same_area$"):
        stack_features((1, 1), whole, {"same_area": 0.0})


@pytest.mark.parametrize("known", [0, 4])
def test_a_block_reads_as_its_pairs_one_by_one(known: int) -> None:
    """Nothing of a block depends on which other pairs are in it."""
    graph = build_graph(as_home(home("a")))
    vocabulary = Vocabulary.of([graph], [np.ones(len(graph.pairs), dtype=bool)])
    encoded = EncodedHome(graph, vocabulary, ())
    statistics = PairStatistics(vocabulary)
    statistics.add(encoded, graph.pairs, 1.0)
    odds, known_pairs = statistics.log_odds(), KnownPairs(encoded, graph.pairs[:known])
    triggers, actions = np.array([1, 5, 9]), encoded.candidates
    block = pair_features(odds, encoded, known_pairs, triggers, actions)
    assert len({tuple(row) for row in block.flatten(0, 1).tolist()}) > len(actions)
    for i, trigger in enumerate(triggers):
        for j, action in enumerate(actions):
            one = pair_features(odds, encoded, known_pairs, np.array([trigger]), np.array([action]))
            np.testing.assert_allclose(one[0, 0], block[i, j], atol=1e-6)


def test_a_reindexed_home_is_as_one_encoded_anew() -> None:
    graph = build_graph(as_home(home("a")))
    every, none = np.ones(len(graph.pairs), dtype=bool), np.zeros(len(graph.pairs), dtype=bool)
    old, new = (Vocabulary.of([graph], [mask]) for mask in (none, every))
    assert old != new
    first = EncodedHome(graph, old, (), encoder_of(WORDS))
    again, anew = first.reindexed(new, ("sensor",)), EncodedHome(graph, new, ("sensor",), encoder_of(WORDS))
    assert len(again.candidates) > len(first.candidates)
    statistics = PairStatistics(new)
    statistics.add(anew, graph.pairs, 1.0)
    everything = np.arange(graph.size)
    blocks = [
        pair_features(statistics.log_odds(), one, KnownPairs(one, graph.pairs[:4]), everything, one.candidates)
        for one in (again, anew)
    ]
    assert torch.equal(*blocks)


def encoded(rows: dict[str, Any]) -> tuple[EncodedHome, PairStatistics]:
    graph = build_graph(as_home(rows))
    vocabulary = Vocabulary.of([graph], [np.ones(len(graph.pairs), dtype=bool)])
    one = EncodedHome(graph, vocabulary, (), encoder_of(WORDS))
    statistics = PairStatistics(vocabulary)
    statistics.add(one, graph.pairs, 1.0)
    return one, statistics


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_settings_and_diagnostics_change_nothing_between_other_entities(share: float) -> None:
    plain = simulate_home(1, 0)
    old = {entity["entity_id"] for entity in plain["entities"]}
    full = add_registry(plain, 1)
    added = [e for e in full["entities"] if e["entity_id"] not in old and e.get("entity_category")]
    assert len(added) > len(old)
    home, statistics = encoded(plain)
    odds, known = statistics.log_odds(), home_pairs(plain, share)
    one, _ = encoded({**plain, "devices": full["devices"], "entities": plain["entities"] + added})
    places = [one.graph.entity_ids.index(entity_id) for entity_id in home.graph.entity_ids]
    blocks = []
    for which, at in ((home, list(range(home.graph.size))), (one.reindexed(statistics.vocabulary, ()), places)):
        index = np.array(at)
        pairs = KnownPairs(which, index[known])
        blocks.append(pair_features(odds, which, pairs, index, index[home.candidates]))
    np.testing.assert_allclose(blocks[0], blocks[1], atol=1e-5)


def test_what_the_entities_of_one_device_share_in_their_names_says_nothing() -> None:
    entities = [
        {"entity_id": "sensor.attic_plug_power", "name": "Attic Plug Power", "device_id": "d1"},
        {"entity_id": "switch.attic_plug", "name": "Attic Plug", "device_id": "d1"},
        {"entity_id": "binary_sensor.attic_motion", "name": "Attic Motion", "device_id": "d2"},
        {"entity_id": "light.hall", "name": "Hall"},
        {"entity_id": "light.porch", "name": "Porch"},
    ]
    one, statistics = encoded({"home_id": "h", "entities": entities, "synergies": []})
    at = {entity_id: i for i, entity_id in enumerate(one.graph.entity_ids)}
    triggers = np.array([at["sensor.attic_plug_power"], at["binary_sensor.attic_motion"]])
    nothing = KnownPairs(one, np.empty((0, 2), dtype=np.int64))
    block = pair_features(statistics.log_odds(), one, nothing, triggers, np.array([at["switch.attic_plug"]]))
    for name in ("name_overlap", "log_name_overlap", "token_overlap", "letter_overlap", "same_name", "meaning"):
        assert float(column(block, name)[0, 0]) == pytest.approx(0, abs=1e-6), name
    assert all(column(block, name)[1, 0] > 0 for name in ("name_overlap", "token_overlap", "letter_overlap"))
    assert column(block, "same_device")[:, 0].tolist() == [1, 0]


def test_floors_labels_and_integrations_say_what_two_entities_share() -> None:
    entities = [
        {"entity_id": "binary_sensor.stairs", "area_id": "stairs", "device_id": "d0", "platform": "zha"},
        {"entity_id": "light.hall", "area_id": "hall", "device_id": "d1", "platform": "zha", "labels": ["all"]},
        {
            "entity_id": "light.loft",
            "area_id": "loft",
            "device_id": "d2",
            "platform": "hue",
            "labels": ["all", "night"],
        },
        {"entity_id": "light.shed", "area_id": "shed", "device_id": "d3", "platform": "zha"},
        {"entity_id": "light.stairs", "area_id": "stairs", "device_id": "d0", "platform": "zha", "labels": ["all"]},
        {"entity_id": "switch.none", "platform": "zha", "labels": ["all", "night"]},
    ]
    floors = {"stairs": "low", "hall": "low", "loft": "high", "shed": None}
    areas = [{"area_id": area, "floor_id": floor} for area, floor in floors.items()]
    one, statistics = encoded({"home_id": "h", "areas": areas, "entities": entities, "synergies": []})
    nothing = KnownPairs(one, np.empty((0, 2), dtype=np.int64))
    triggers, actions = np.array([0, 2]), np.arange(1, 6)
    assert [one.graph.entity_ids[i] for i in (0, 2, *actions)][:2] == ["binary_sensor.stairs", "light.loft"]
    block = pair_features(statistics.log_odds(), one, nothing, triggers, actions)

    def read(name: str, row: int) -> list[float]:
        return [round(value, 2) for value in column(block, name)[row].tolist()]

    # Of hall, loft, shed, stairs and a switch without an area.
    assert read("same_floor", 0) == [1, -1, 0, 0, 0]
    assert read("same_floor", 1) == [-1, 0, 0, -1, 0]
    # Four of five devices' entities are of zha; those of one device, and one without a device, say nothing.
    assert read("same_platform", 0) == [0.2, -0.8, 0.2, 0, 0]
    assert read("same_platform", 1) == [-0.2, 0, -0.2, -0.2, 0]
    hall, _, shed, stairs, switch = read("shared_labels", 1)
    assert shed == 0 < hall == stairs < switch < 1  # a label that most have says less than one that two have
    assert read("shared_labels", 0) == [0] * 5


def test_a_simulated_registry_has_floors_labels_and_integrations_for_the_base_to_meet() -> None:
    homes = [add_registry(simulate_home(1, index), 1) for index in range(10)]
    floors = [{area.get("floor_id") for area in one["areas"]} for one in homes]
    labelled = [any(entity.get("labels") for entity in one["entities"]) for one in homes]
    assert {"ground", "upstairs"} in floors
    assert {None} in floors
    assert {True, False} == set(labelled)
    assert all(entity["platform"] for one in homes for entity in one["entities"])
    for one in homes:
        brought: dict[str, set[str]] = {}
        for entity in one["entities"]:
            brought.setdefault(entity.get("device_id", ""), set()).add(entity["platform"])
        assert all(len(platforms) == 1 for device, platforms in brought.items() if device)


def test_a_label_that_all_entities_have_says_next_to_nothing() -> None:
    entities = [{"entity_id": f"light.l{n}", "labels": ["all"]} for n in range(50)]
    one, statistics = encoded({"home_id": "h", "entities": entities, "synergies": []})
    everything = np.arange(50)
    nothing = KnownPairs(one, np.empty((0, 2), dtype=np.int64))
    block = pair_features(statistics.log_odds(), one, nothing, everything, everything)
    assert 0 <= float(column(block, "shared_labels").max()) < 0.01


def home_pairs(rows: dict[str, Any], share: float) -> Ints:
    pairs = build_graph(as_home(rows)).pairs
    return pairs[: int(share * len(pairs))]
