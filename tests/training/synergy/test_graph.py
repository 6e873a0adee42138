"""Graphs grow with entities, and splits keep what is judged out of what is learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import as_home, home, row

from home_assistant.domains import READ_ONLY_DOMAINS
from home_assistant.household_words import words_of
from training.synergy.encoded_home import EncodedHome
from training.synergy.graph import HomeGraph, acting_domains, build_graph
from training.synergy.splits import describe_split, split_pairs
from training.synergy.vocabulary import Vocabulary


def graph(raw: dict[str, Any], home_id: str = "") -> HomeGraph:
    return build_graph(as_home(raw, home_id))


def test_entities_are_joined_through_hubs_and_never_with_one_another() -> None:
    g = graph(home("a"))
    assert set(g.edges) == {"area", "device", "token"}
    assert g.hubs["area"] == 6
    for hub, edges in g.edges.items():
        assert edges[1].max() < g.hubs[hub]
    kitchen = [i for i, e in enumerate(g.entity_ids) if "kitchen" in e]
    assert len(set(g.area[kitchen])) == 1


@pytest.mark.parametrize("n", [100, 1_000, 4_000])
def test_a_room_that_holds_every_entity_costs_linear_edges(n: int) -> None:
    entities = [{"entity_id": f"light.hotel_lamp_{i}", "area_id": "hall", "device_id": "d"} for i in range(n)]
    g = graph({"entities": entities})
    assert sum(edges.shape[1] for edges in g.edges.values()) <= 5 * n


def test_a_home_without_areas_or_with_null_beside_text_has_a_graph() -> None:
    mixed = home("a")
    for entity in mixed["entities"][::2]:
        entity["area_id"] = None
    assert graph(mixed).edges["area"].shape[1] == len(mixed["entities"]) // 2
    bare = graph(home("a", areas=False))
    assert bare.edges["area"].shape == (2, 0)
    assert bare.hubs["area"] == 0
    assert (bare.area == -1).all()


def test_words_are_letters_of_any_script_and_numbers_are_none() -> None:
    assert words_of("Küche_Licht 12b LED-2, ランプ") == ["küche", "licht", "led", "ランプ"]


def test_a_name_tells_the_device_class_only_where_none_is_given() -> None:
    g = graph(
        {
            "entities": [
                {"entity_id": "binary_sensor.hall_motion"},
                {"entity_id": "binary_sensor.hall_motion_door", "device_class": "motion"},
                {"entity_id": "light.hall"},
            ]
        }
    )
    assert g.classes == ("binary_sensor:motion", "binary_sensor:motion", "light:")


def test_a_rare_word_in_common_weighs_more_than_a_frequent_one() -> None:
    g = graph(home("a"))
    encoded = EncodedHome(g, Vocabulary((), (), ()), ())
    motion, light, other = (
        np.array([g.entity_ids.index(e)])
        for e in ("binary_sensor.kitchen_motion", "light.kitchen", "binary_sensor.hall_motion")
    )
    assert encoded.name_overlap(motion, light) > encoded.name_overlap(motion, other) > 0


def test_a_bidirectional_row_is_positive_in_both_directions() -> None:
    raw = {"synergies": [row("light.a", "light.b", relationship={"direction": "bidirectional"})]}
    assert graph(raw).pairs.tolist() == [[0, 1], [1, 0]]
    one_way = {"synergies": [row("light.a", "light.b", relationship={"direction": "unidirectional"})]}
    assert graph(one_way).pairs.tolist() == [[0, 1]]


def test_confidence_and_repeats_weigh_a_pair() -> None:
    raw = {"synergies": [row("light.a", "light.b", 0.9)] * 5 + [row("light.a", "light.c", 0.3)]}
    weight = graph(raw).weight
    assert weight[0] > 3 * weight[1]
    assert weight.mean() == pytest.approx(1.0)
    nothing = graph({"synergies": [row("light.a", "light.b", 0.0)]})
    assert nothing.weight.tolist() == [1.0]


def test_a_read_only_domain_acts_only_where_the_data_says_so() -> None:
    assert "sensor" in READ_ONLY_DOMAINS
    simulator = graph({"synergies": [row("light.a", "sensor.motion"), row("light.b", "sensor.motion")]})
    assert acting_domains([simulator]) == ("sensor",)
    assert acting_domains([graph(home("a"))]) == ()
    assert simulator.acting(["sensor"]).all()
    assert simulator.acting([]).tolist() == [True, True, False]


def assert_no_leak(graphs: list[HomeGraph]) -> None:
    split = split_pairs(graphs)
    seen: dict[frozenset[str], set[int]] = {}
    automations: dict[str, set[int]] = {}
    for h, g in enumerate(graphs):
        assert len(split.parts[h]) == len(g.pairs)
        for (t, a), part, groups in zip(g.pairs, split.parts[h], g.groups, strict=True):
            seen.setdefault(frozenset((g.home_id, g.entity_ids[t], g.entity_ids[a])), set()).add(int(part))
            if len(groups) == 1:
                automations.setdefault(groups[0], set()).add(int(part))
    assert all(len(parts) == 1 for parts in seen.values()), "a pair is in two parts"
    if split.strategy == "home":
        assert all(len(set(part.tolist())) <= 1 for part in split.parts), "a home is in two parts"


ENTITY = st.sampled_from([f"light.l{i}" for i in range(9)])
SYNERGY = st.tuples(ENTITY, ENTITY, st.booleans(), st.none() | st.integers(0, 30)).filter(lambda s: s[0] != s[1])


@settings(max_examples=60)
@given(st.lists(st.lists(SYNERGY, max_size=60), min_size=1, max_size=7))
def test_no_pair_is_ever_in_two_parts(homes: list[list[tuple[str, str, bool, int | None]]]) -> None:
    graphs = []
    for i, rows in enumerate(homes):
        synergies = [
            row(t, a, relationship={"direction": "bidirectional" if both else None}, automation_id=automation)
            for t, a, both, automation in rows
        ]
        graphs.append(graph({"synergies": synergies}, f"home{i}"))
    assert_no_leak(graphs)


def test_homes_are_held_out_whole_where_there_are_enough() -> None:
    graphs = [graph(home(f"h{i}")) for i in range(7)]
    split = split_pairs(graphs)
    assert split.strategy == "home"
    assert split.units == {"train": 5, "validation": 1, "test": 1}
    assert sorted(len(set(part.tolist())) for part in split.parts) == [1] * 7


def test_automations_are_held_out_where_homes_are_few_and_pairs_where_automations_are_unknown() -> None:
    big = home("a", rooms=tuple(f"room{chr(97 + i)}" for i in range(24)))
    by_automation = split_pairs([graph(big)])
    assert by_automation.strategy == "automation"
    assert all(by_automation.select(0, part).any() for part in ("train", "validation", "test"))
    for synergy in big["synergies"]:
        del synergy["automation_id"]
    assert split_pairs([graph(big)]).strategy == "pair"


def test_where_nothing_can_be_held_out_the_split_says_why() -> None:
    split = split_pairs([graph(home("a"))])
    assert split.strategy == "none"
    assert "1 home with pairs (by home needs 5) and 9 distinct automations or pairs (needs 20)" in split.reason
    assert split.select(0, "train").all()


def test_the_split_depends_on_neither_order_nor_seed_and_has_a_fingerprint() -> None:
    graphs = [graph(home(f"h{i}")) for i in range(9)]
    there = split_pairs(graphs)
    back = split_pairs(graphs[::-1])
    for h in range(9):
        assert np.array_equal(there.parts[h], back.parts[8 - h])
    described = describe_split(there, graphs)
    assert described["directed_pairs"] == {"train": 63, "validation": 9, "test": 9}
    assert described["test_fingerprint"] != describe_split(there, [graph(home(f"x{i}")) for i in range(9)])


def test_more_homes_move_few_of_the_old_ones() -> None:
    few, many = [graph(home(f"h{i}")) for i in range(40)], [graph(home(f"h{i}")) for i in range(44)]
    before, after = split_pairs(few), split_pairs(many)
    moved = sum(not np.array_equal(before.parts[h], after.parts[h]) for h in range(40))
    assert moved <= 4


def test_a_home_under_two_ids_is_never_in_two_parts() -> None:
    homes = [home(f"h{i}") for i in range(8)]
    graphs = [graph(h) for h in homes] + [graph(h, f"copy of {h['home_id']}") for h in homes]
    split = split_pairs(graphs)
    assert sum(split.units.values()) == 8
    for h in range(8):
        assert np.array_equal(split.parts[h], split.parts[h + 8])
