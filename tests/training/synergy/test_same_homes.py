"""Exports of one home under several ids are one home, and homes that are alike by chance are not."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import as_home, call, row

from data_sources import Home
from training.synergy.audit import audit_homes
from training.synergy.command import train
from training.synergy.graph import HomeGraph, build_graph
from training.synergy.same_homes import MANY_IDS, find_same_homes
from training.synergy.splits import folds_of, split_pairs
from training.synergy.vocabulary import Vocabulary

ROOMS = "attic barn cellar den entry foyer garage hall inn jetty kitchen loft mill nook office porch".split()


def flat(number: int, home_id: str, *, more: int = 0, less: int = 0, size: int = 5) -> dict[str, Any]:
    """Home ``number`` as one export gives it: ``more`` new entities, ``less`` of the old ones."""
    rooms = random.Random(number).sample(ROOMS, size)
    entities = [
        {"entity_id": f"{kind}.{room}_{number if kind == 'switch' else ''}", "area_id": room}
        for room in rooms
        for kind in ("binary_sensor", "light", "switch")
    ]
    synergies = [row(f"binary_sensor.{room}_", f"light.{room}_", automation_id=f"a{room}") for room in rooms]
    kept = entities[: len(entities) - less]
    kept += [{"entity_id": f"sensor.{home_id.replace('-', '_').lower()}_{i}"} for i in range(more)]
    there = {entity["entity_id"] for entity in kept}
    return {
        "home_id": home_id,
        "entities": kept,
        "synergies": [s for s in synergies if {s["entity_1"], s["entity_2"]} <= there],
    }


def homes_of(*raw: dict[str, Any]) -> list[Home]:
    return [as_home(one) for one in raw]


def graphs_of(*raw: dict[str, Any]) -> list[HomeGraph]:
    return [build_graph(home) for home in homes_of(*raw)]


def three_exports(count: int) -> list[dict[str, Any]]:
    return [flat(n, f"h{n}{end}", more=more) for n in range(count) for more, end in enumerate(("", "-May", "-June"))]


def test_an_export_with_more_entities_shuffled_rows_or_capitals_is_the_same_home() -> None:
    first, later = flat(0, "h0"), flat(0, "h0-June", more=2)
    random.Random(1).shuffle(later["entities"])
    for entity in later["entities"][:6]:
        entity["entity_id"] = entity["entity_id"].upper()
    assert find_same_homes(homes_of(first, later)).groups == [["h0", "h0-June"]]
    assert find_same_homes(graphs_of(first, later)).groups == [["h0", "h0-June"]]
    assert find_same_homes(graphs_of(flat(0, "x"), flat(0, "y"), flat(0, "x2"))).groups == [["x", "x2", "y"]]


def test_an_export_that_also_lost_entities_is_the_same_home_where_they_share_many_and_a_note_where_few() -> None:
    large = graphs_of(flat(0, "a", size=16), flat(0, "b", more=2, less=3, size=16))
    assert len(set(large[0].entity_ids) & set(large[1].entity_ids)) >= MANY_IDS
    assert find_same_homes(large).groups == [["a", "b"]]
    small = homes_of(flat(0, "a"), flat(0, "b", more=1, less=1))
    assert find_same_homes(small).alike == (("a", "b"),)
    assert find_same_homes(small).groups == []
    assert any("each has entities of its own (a and b)" in note for note in audit_homes(small).cannot_show)


def test_a_chain_of_exports_is_one_home() -> None:
    chain = [flat(0, f"month {n:02d}", more=0, size=16) for n in range(12)]
    for n, export in enumerate(chain):
        export["entities"] += [{"entity_id": f"sensor.new_{i}"} for i in range(3 * n)]
    assert find_same_homes(graphs_of(*chain)).groups == [[f"month {n:02d}" for n in range(12)]]


@pytest.mark.parametrize("case", ["few ids", "other pairs", "other home", "no pairs"])
def test_homes_that_only_look_alike_stay_apart(case: str) -> None:
    one = flat(0, "a", size=2 if case == "few ids" else 5)
    other = flat(1 if case == "other home" else 0, "b", more=1, size=len(one["synergies"]))
    if case == "other pairs":
        other["synergies"] = [row(s["entity_2"], s["entity_1"]) for s in other["synergies"]]
    if case == "no pairs":
        other["synergies"] = []
    same = find_same_homes(graphs_of(one, other))
    assert (same.groups, same.alike) == ([], ())


def test_the_exports_of_a_home_are_in_one_part_and_one_fold_and_the_audit_says_so() -> None:
    raw = three_exports(6)
    graphs = graphs_of(*raw)
    split = split_pairs(graphs)
    assert split.strategy == "home"
    assert sum(split.units.values()) == 6
    for part in np.array_split(np.array([own[0] for own in split.parts]), 6):
        assert len(set(part.tolist())) == 1
    training = {h: np.arange(len(graph.pairs)) for h, graph in enumerate(graphs)}
    folds = folds_of(graphs, split, training)
    assert [folds[h][0] for h in range(18)] == [h // 3 for h in range(18)]
    note = audit_homes(homes_of(*raw)).cannot_show[0]
    assert note.startswith("12 homes exported again under another id (h0 = h0-June = h0-May, ")


def test_where_automations_are_held_out_one_is_in_the_same_part_in_each_export() -> None:
    raw = [flat(0, f"h{end}", more=more, size=16) for more, end in enumerate(("", "-May", "-June"))]
    raw += [flat(1, "g", size=16)]
    raw[1]["synergies"][0]["automation_id"] = "made anew"
    graphs = graphs_of(*raw)
    split = split_pairs(graphs)
    assert split.strategy == "automation"
    assert sum(split.units.values()) == 16 + 1 + 16
    parts: dict[str, set[int]] = {}
    for graph, part in zip(graphs[:3], split.parts, strict=False):
        for (t, a), value in zip(graph.pairs.tolist(), part.tolist(), strict=True):
            parts.setdefault(f"{graph.entity_ids[t]} {graph.entity_ids[a]}", set()).add(value)
    assert {len(values) for values in parts.values()} == {1}
    assert set().union(*parts.values()) == {0, 1, 2}


def test_three_exports_are_no_three_homes_for_what_a_base_model_may_hold() -> None:
    graphs = graphs_of(*three_exports(1), flat(1, "g1"))
    masks = [np.ones(len(graph.pairs), dtype=bool) for graph in graphs]
    shared = set(graphs[0].words) & set(graphs[3].words)
    assert set(Vocabulary.of(graphs, masks, min_homes=2).words) <= shared
    assert set(Vocabulary.of(graphs, masks).words) > shared


def test_a_dry_run_names_the_exports(tmp_path: Path) -> None:
    (tmp_path / "homes.json").write_text(json.dumps(three_exports(2)))
    done = call(train, "--json-input", "homes.json", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    assert "Note: 4 homes exported again under another id (h0 = h0-June = h0-May, h1 = h1-June = h1-May)" in done.stdout
    assert "2 homes with pairs: nothing shows how the model does in another home" in done.stdout
    assert (
        "Note: 30 distinct pairs allow no held-out score, so what a training on them scores is in-sample"
        in " ".join(done.stdout.split())
    )
