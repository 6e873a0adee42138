"""What a person was seen to do by hand is suggested as it was done, with that as its first reason."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support import as_home, home, row

from data_sources import Entity, Home
from data_sources.records import ObservedPair
from home_assistant import check_automation
from training.suggestions.actions import NoRecipeError
from training.suggestions.habits import write_habit
from training.suggestions.ranking import HomeProposals, suggest_automations
from training.suggestions.recipes import Recipe
from training.synergy.model import SynergyModel
from training.synergy.scoring import HomeScorer
from training.synergy.trainer import TrainingResult


@pytest.fixture(scope="module")
def model(trained: TrainingResult) -> SynergyModel:
    return trained.model


def seen(trigger: str, state: str, action: str, result: str, **more: Any) -> ObservedPair:
    counted = {"count": 23, "triggers": 40, "lift": 9.0, "window": 60.0, "days": 30.2, **more}
    return ObservedPair(trigger, action, state, result, **counted)


def habit(trigger: str, state: str, action: str, result: str, kinds: tuple[str, str] = ("", ""), **has: Any) -> Recipe:
    begun, done = Entity(entity_id=trigger), Entity(entity_id=action, **has)
    made = write_habit(seen(trigger, state, action, result), begun, kinds[0], [done], kinds[1])
    check_automation(made.automation)
    return made


DOOR = ("door", "")


@pytest.mark.parametrize(
    ("recipe", "begins", "service", "reason"),
    [
        (
            habit("binary_sensor.front_door", "on", "light.hall", "on", DOOR),
            {"to": "on"},
            "light.turn_on",
            "you turned on Hall within a minute after Front door opened, 23 times in 30 days (of 40)",
        ),
        (
            habit("binary_sensor.front_door", "off", "lock.front", "locked", DOOR),
            {"to": "off"},
            "lock.lock",
            "you locked Front within a minute after Front door closed,",
        ),
        (
            habit("binary_sensor.m", "off", "light.hall", "off", ("motion", "")),
            {"to": "off"},
            "light.turn_off",
            "you turned off Hall within a minute after M saw nobody,",
        ),
        (
            habit("person.ann", "not_home", "vacuum.v", "cleaning"),
            {"from": "home"},
            "vacuum.start",
            "you started V within a minute after Ann left home,",
        ),
        (
            habit("person.ann", "Work", "climate.c", "heat"),
            {"to": "Work"},
            "climate.set_hvac_mode",
            "you set C to heat within a minute after Ann became Work,",
        ),
        (
            habit("sun.sun", "below_horizon", "cover.c", "closed"),
            {"event": "sunset"},
            "cover.close_cover",
            "you closed C within a minute after Sun set,",
        ),
        (
            habit("button.b", "activated", "scene.s", "activated"),
            {"trigger": "state"},
            "scene.turn_on",
            "you set S within a minute after B was pressed,",
        ),
        (
            habit("media_player.tv", "playing", "select.mood", "Film"),
            {"to": "playing"},
            "select.select_option",
            "you set Mood to Film within a minute after Tv started to play,",
        ),
        (
            habit("climate.c", "cool", "cover.c", "closed", supported_features=128),
            {"to": "cool"},
            "cover.set_cover_tilt_position",
            "you closed C within a minute after C started,",
        ),
        (
            habit("vacuum.v", "docked", "media_player.m", "paused"),
            {"to": "docked"},
            "media_player.media_pause",
            "you paused M within a minute after V had docked,",
        ),
    ],
)  # fmt: skip
def test_the_states_that_were_seen_are_what_starts_it_and_what_it_does(
    recipe: Recipe, begins: dict[str, Any], service: str, reason: str
) -> None:
    (begun,) = recipe.automation["triggers"]
    assert begins.items() <= begun.items()
    assert "for" not in begun
    assert recipe.automation["actions"][0]["action"] == service
    assert recipe.reason.startswith(reason)


@pytest.mark.parametrize(
    ("action", "result", "kind", "why"),
    [
        ("lock.l", "unlocked", "", "a state that nothing else should"),
        ("alarm_control_panel.a", "disarmed", "", "a state that nothing else should"),
        ("cover.c", "open", "garage", "a state that nothing else should"),
        ("input_select.i", "{{ states('x') }}", "", "a state that nothing else should"),
    ],
)
def test_nothing_is_opened_unlocked_or_disarmed_by_itself_though_a_person_does(
    action: str, result: str, kind: str, why: str
) -> None:
    with pytest.raises(NoRecipeError, match=why):
        habit("binary_sensor.d", "on", action, result, ("door", kind))


def test_what_the_entity_does_not_support_is_no_habit_to_take_over() -> None:
    with pytest.raises(NoRecipeError, match="cannot do what would be asked"):
        habit("button.b", "activated", "vacuum.v", "cleaning", supported_features=16)


def test_a_state_with_line_breaks_and_quotes_stays_on_its_line() -> None:
    made = habit("sensor.mode", 'a\n# "b"', "light.l", "on")
    assert "\n" not in made.reason + made.automation["alias"]
    assert made.automation["triggers"][0]["to"] == 'a\n# "b"'


# -- In the order of suggestions ---------------------------------------------------------------------------------------


def small_home(*observed: ObservedPair, **changes: Any) -> Home:
    raw = home("new", rooms=("attic", "cellar", "studio"))
    raw["entities"] += changes.pop("entities", [])
    return replace(as_home({**raw, "synergies": changes.pop("synergies", [])}), observed=observed)


def found(model: SynergyModel, of: Home, **options: Any) -> HomeProposals:
    return suggest_automations(model, of, **{"min_score": 0.5, **options})


FAR = seen("binary_sensor.attic_motion", "on", "media_player.studio", "on")


def test_what_is_done_by_hand_is_suggested_though_the_model_has_it_not_among_its_best(
    model: SynergyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    best = HomeScorer.best_pairs
    monkeypatch.setattr(HomeScorer, "best_pairs", lambda self, _: tuple(part[:2] for part in best(self, 2)))
    without, result = (found(model, small_home(*observed), min_score=0) for observed in ((), (FAR,)))
    pairs = {(p.trigger, p.actions[0]) for p in result.proposals}
    assert pairs - {(p.trigger, p.actions[0]) for p in without.proposals} == {(FAR.trigger, FAR.action)}


@pytest.mark.parametrize("diverse", [True, False])
def test_its_first_reason_is_what_was_seen_and_its_score_is_raised_halfway_to_one(
    model: SynergyModel, diverse: bool
) -> None:
    options = {"top": 50, "min_score": 0, "diverse": diverse}
    before = {pair: i for i, p in enumerate(found(model, small_home(), **options).proposals) for pair in p.pairs}
    result = found(model, small_home(FAR), **options)
    leads = [(p.trigger, p.actions[0]) for p in result.proposals]
    of_model = dict(zip(leads, model.score(small_home().entities, [], leads), strict=True))
    pair = FAR.trigger, FAR.action
    place = leads.index(pair)
    own = result.proposals[place]
    assert own.pairs == (pair,), "what was seen is suggested as it was seen"
    assert own.reasons[0] == (
        "you turned on Studio within a minute after Attic motion saw someone, 23 times in 30 days (of 40)"
    )
    assert own.reasons[0] in own.automation["description"]
    assert own.score == pytest.approx((1 + of_model[pair]) / 2, abs=1e-3)
    assert place <= before[pair]
    assert any("1 of these you do by hand" in note for note in result.notes)
    for lead, other in zip(leads, result.proposals, strict=True):
        assert other is own or other.score == pytest.approx(of_model[lead], abs=1e-4)


def test_what_is_automated_or_was_turned_off_is_no_habit_any_more(model: SynergyModel) -> None:
    known = small_home(FAR, synergies=[row(FAR.trigger, FAR.action)])
    off = replace(small_home(FAR), turned_off=((FAR.trigger, FAR.action),))
    for of in (known, off):
        pairs = {(p.trigger, a) for p in found(model, of, top=50, min_score=0).proposals for a in p.actions}
        assert (FAR.trigger, FAR.action) not in pairs


def test_of_a_family_the_member_that_was_operated_is_suggested_alone(model: SynergyModel) -> None:
    spots = [{"entity_id": f"light.spot_{i}", "area_id": "attic"} for i in (1, 2, 3)]
    habit_of_one = seen("binary_sensor.attic_motion", "on", "light.spot_2", "on")
    of = small_home(habit_of_one, entities=spots)
    acting = [
        p.actions
        for p in found(model, of, top=80, min_score=0).proposals
        if p.trigger == habit_of_one.trigger and p.actions[0].startswith("light.spot")
    ]
    assert acting == [("light.spot_2",)]
    both = replace(of, observed=(habit_of_one, replace(habit_of_one, action="light.spot_3", count=9)))
    acting = [
        set(p.actions)
        for p in found(model, both, top=80, min_score=0).proposals
        if p.trigger == habit_of_one.trigger and p.actions[0].startswith("light.spot")
    ]
    assert acting == [{"light.spot_2", "light.spot_3"}]


def test_a_habit_that_may_not_happen_by_itself_leaves_the_pair_as_it_is(model: SynergyModel) -> None:
    plain = small_home(entities=[{"entity_id": "lock.attic", "area_id": "attic"}])
    unlocks = replace(plain, observed=(seen("binary_sensor.attic_motion", "on", "lock.attic", "unlocked"),))
    assert found(model, unlocks, top=40).proposals == found(model, plain, top=40).proposals
