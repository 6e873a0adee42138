"""Entities that nobody automates, and pairs that are automated in another spelling, are in no suggestion."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import as_home, home, row

from data_sources import Home
from training.suggestions.config import SuggestOptions
from training.suggestions.ranking import NOTHING_TO_JOIN, suggest_automations
from training.suggestions.wishes import Filters
from training.synergy.evaluation import ranking_task
from training.synergy.feedback import Feedback
from training.synergy.graph import build_graph
from training.synergy.job import SHIPPED_BASE
from training.synergy.model import SynergyModel


@pytest.fixture(scope="module")
def model() -> SynergyModel:
    return SynergyModel.load(SHIPPED_BASE)


def changed(entity_id: str, **fields: Any) -> Home:
    """The home of ``support`` with other fields for one entity."""
    raw = home("h")
    raw["entities"] = [{**e, **fields} if e["entity_id"] == entity_id else e for e in raw["entities"]]
    return as_home(raw)


def suggested(model: SynergyModel, of: Home) -> set[tuple[str, str]]:
    found = suggest_automations(model, of, 500, min_score=0.0, diverse=False).proposals
    return {(proposal.trigger, action) for proposal in found for action in proposal.actions}


SET_ASIDE: list[dict[str, Any]] = [
    {"entity_category": "config"},
    {"entity_category": "diagnostic"},
    {"hidden": True},
    {"mirrors": ["light.hall"]},
]


@pytest.mark.parametrize("fields", SET_ASIDE)
def test_what_nobody_automates_is_not_suggested_and_its_pairs_are_kept(
    model: SynergyModel, fields: dict[str, Any]
) -> None:
    of = changed("light.kitchen", **fields)
    pairs = suggested(model, of)
    assert pairs
    assert "light.kitchen" in {part for pair in suggested(model, as_home(home("h"))) for part in pair}
    assert "light.kitchen" not in {part for pair in pairs for part in pair}
    known = [(s.trigger, s.action) for s in of.synergies]
    assert suggest_automations(model, of).known_pairs == len(known)
    best = model.suggest(of.entities, [s for s in of.synergies if s.action != "light.kitchen"], 500)
    assert not any("light.kitchen" in (pair.trigger, pair.action) for pair in best)


@pytest.mark.parametrize("fields", SET_ASIDE)
def test_an_evaluation_ranks_what_nobody_automates_only_where_somebody_did(
    model: SynergyModel, fields: dict[str, Any]
) -> None:
    graph = build_graph(changed("media_player.hall", **fields))
    encoded = model.read(graph)
    every = np.ones(len(graph.pairs), dtype=bool)
    task = ranking_task(encoded, graph, 0, every, ~every)
    assert task is not None
    ranked = {graph.entity_ids[a] for a in task.actions}
    assert "media_player.hall" not in ranked
    assert "media_player.office" in ranked
    asked = build_graph(changed("light.hall", **fields))
    task = ranking_task(model.read(asked), asked, 0, every, ~every)
    assert task is not None
    assert "light.hall" in {asked.entity_ids[a] for a in task.actions}


def test_a_home_of_settings_alone_says_why_nothing_is_suggested(model: SynergyModel) -> None:
    raw = home("h")
    raw["entities"] = [{**entity, "entity_category": "config"} for entity in raw["entities"]]
    proposals = suggest_automations(model, as_home({**raw, "synergies": []}), min_score=0.0)
    assert proposals.proposals == ()
    assert proposals.notes == (NOTHING_TO_JOIN,)


PAIR = ("binary_sensor.hall_motion", "media_player.hall")


@pytest.mark.parametrize(
    ("known", "mirrors"),
    [
        (("binary_sensor.somebody", "media_player.hall"), {"binary_sensor.somebody": ["binary_sensor.hall_motion"]}),
        (
            ("binary_sensor.hall_motion", "group.players"),
            {"group.players": ["media_player.hall", "media_player.office"]},
        ),
    ],
)
def test_what_is_automated_through_another_entity_is_not_suggested(
    model: SynergyModel, known: tuple[str, str], mirrors: dict[str, list[str]]
) -> None:
    raw = home("h")
    raw["entities"] += [{"entity_id": entity_id, "mirrors": shown} for entity_id, shown in mirrors.items()]
    assert PAIR in suggested(model, as_home(raw))
    raw["synergies"].append(row(*known))
    assert PAIR not in suggested(model, as_home(raw))


def test_what_a_person_turned_off_is_not_suggested_again(model: SynergyModel) -> None:
    of = as_home(home("h"))
    assert PAIR in suggested(model, of)
    found = suggest_automations(model, replace(of, turned_off=(PAIR,)), 500, min_score=0.0, diverse=False)
    assert PAIR not in {(proposal.trigger, action) for proposal in found.proposals for action in proposal.actions}
    assert found.left_out["a person turned its automation off"] == 1


def test_what_was_installed_is_not_suggested_again_nor_reversed_and_is_no_evidence(model: SynergyModel) -> None:
    def told(of: Home) -> dict[tuple[str, ...], tuple[float, tuple[str, ...]]]:
        found = suggest_automations(model, of, 500, min_score=0.0, diverse=False)
        return {(p.trigger, *p.actions): (p.score, p.reasons) for p in found.proposals}

    of = as_home(home("h"))
    before = told(of)
    pair = next(pair for pair in before if len(pair) == 2 and tuple(reversed(pair)) in before)
    after = told(replace(of, installed=(pair,)))
    assert {key for key in before if key not in after} == {pair, tuple(reversed(pair))}
    assert {key: before[key] for key in after} == after
    wishes = Filters(SuggestOptions()).wishes(replace(of, installed=(pair,)), Feedback(Path("none.jsonl")))
    assert "1 pair that --install put in before" in wishes.notes[0]


def test_an_automation_is_not_started_by_what_starts_it(model: SynergyModel) -> None:
    raw = home("h")
    raw["entities"].append({"entity_id": "automation.hall", "area_id": "hall"})
    trigger = "binary_sensor.hall_motion"
    assert (trigger, "automation.hall") in suggested(model, as_home(raw))
    for synergy in raw["synergies"]:
        if synergy["entity_2"] == "light.hall":
            synergy["automation_id"] = "automation.hall"
    pairs = suggested(model, as_home(raw))
    assert (trigger, "automation.hall") not in pairs
    assert ("automation.hall", "light.hall") not in pairs
