"""Pairs that repeat a known one with other words, and siblings."""

from __future__ import annotations

import numpy as np
from support import as_home

from training.synergy.graph import HomeGraph, build_graph
from training.synergy.repeated_pairs import MOST_EXCHANGED, RepeatedPairs


def graph_of(*ids: str) -> HomeGraph:
    return build_graph(as_home({"entities": [{"entity_id": entity_id} for entity_id in ids], "synergies": []}))


def found(graph: HomeGraph, known: tuple[str, str], what: str = "repeats") -> set[tuple[str, str]]:
    index = {entity_id: i for i, entity_id in enumerate(graph.entity_ids)}
    pairs = RepeatedPairs(graph, np.array([[index[known[0]], index[known[1]]]]))
    triggers, actions = getattr(pairs, what).nonzero()
    return {(graph.entity_ids[t], graph.entity_ids[a]) for t, a in zip(triggers, actions, strict=True)}


def test_another_room_and_another_number_repeat_a_pair() -> None:
    graph = graph_of(
        "binary_sensor.kitchen_motion",
        "light.kitchen",
        "binary_sensor.living_room_motion",
        "light.living_room",
        "binary_sensor.hall_motion",
        "light.hall_floor",
    )
    known = ("binary_sensor.kitchen_motion", "light.kitchen")
    assert found(graph, known) == {("binary_sensor.living_room_motion", "light.living_room")}
    numbered = graph_of("switch.button_1", "light.lamp_1", "switch.button_2", "light.lamp_2", "light.lamp_3")
    assert found(numbered, ("switch.button_1", "light.lamp_1")) == {("switch.button_2", "light.lamp_2")}


def test_nothing_repeats_a_pair_that_shares_no_word_or_itself() -> None:
    graph = graph_of("binary_sensor.front_door", "light.porch", "binary_sensor.back_door", "light.garden")
    assert found(graph, ("binary_sensor.front_door", "light.porch")) == set()


def test_of_too_many_numbered_entities_none_repeats_another() -> None:
    ids = [f"{domain}.x_{i}" for i in range(MOST_EXCHANGED + 1) for domain in ("switch", "light")]
    assert found(graph_of(*ids), ("switch.x_0", "light.x_0")) == set()


def test_siblings_differ_in_one_word() -> None:
    graph = graph_of(
        "binary_sensor.hall_motion", "binary_sensor.hall_door", "light.hall_1", "light.hall_2", "light.attic"
    )
    known = ("binary_sensor.hall_motion", "light.hall_1")
    assert found(graph, known, "of_sibling_trigger") == {("binary_sensor.hall_door", "light.hall_1")}
    assert found(graph, known, "of_sibling_action") == {("binary_sensor.hall_motion", "light.hall_2")}
