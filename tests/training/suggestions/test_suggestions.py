"""Suggestions people can use: automations that Home Assistant takes, true reasons, not one light over and over."""

from __future__ import annotations

import json
import logging
import math
import random
import re
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import Template
from support import ROOT, as_home, call_process, home, row

from data_sources import Entity, Home
from home_assistant.automation import scenes_made, structure
from home_assistant.automation_schema import check_automation
from home_assistant.domains import DOMAINS, READ_ONLY_DOMAINS
from home_assistant.entity_id import MAX_LENGTH, is_entity_id
from training.runs.errors import ArtifactError, ModelFileError, TrainingError
from training.runs.files import to_json
from training.runs.job import SourceChoice
from training.runs.wording import COLUMNS
from training.suggestions.actions import NoRecipeError
from training.suggestions.command import suggest as main
from training.suggestions.config import SuggestOptions
from training.suggestions.events import BINARY_EVENTS, NUMBER_EVENTS
from training.suggestions.home_view import HomeView
from training.suggestions.job import suggest
from training.suggestions.ranking import (
    FLIPPED,
    NO_WISHES,
    NOTHING_TO_JOIN,
    RELEVANCE,
    UNEXPLAINED,
    Candidate,
    HomeProposals,
    Proposal,
    _diverse,
    _likeness,
    _penalty,
    _reversed,
    _values,
    suggest_automations,
)
from training.suggestions.ranking import with_distinct_aliases as with_distinct_aliases
from training.suggestions.recipes import Recipe, name_of, write_automation
from training.suggestions.writing import to_dict, to_yaml
from training.synergy.feedback import Suggested
from training.synergy.graph import build_graph
from training.synergy.model import SynergyModel
from training.synergy.trainer import TrainingResult

SCRIPT = ROOT / "scripts" / "suggest_synergies.py"

KNOWN_AND_NEW_DOMAINS = (*sorted(DOMAINS), "x_new")
CLASSES = {
    "binary_sensor": ["", *BINARY_EVENTS],
    "sensor": ["", "energy", "enum", "timestamp", "wind_direction", *NUMBER_EVENTS],
    "cover": ["", "garage"],
}


@pytest.fixture(scope="module")
def model(trained: TrainingResult) -> SynergyModel:
    return trained.model


@pytest.fixture(scope="module")
def model_path(model: SynergyModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "m.pth"
    path.write_bytes(model.to_bytes())
    return path


def new_home(**changes: Any) -> dict[str, Any]:
    raw = home("new", rooms=("attic", "cellar", "studio"))
    raw["synergies"] = []
    return {**raw, **changes}


def suggested(model: SynergyModel, raw: dict[str, Any], **options: Any) -> HomeProposals:
    return suggest_automations(model, as_home(raw), **options)


def automation(trigger: str, trigger_class: str, action: str, action_class: str = "", **more: Any) -> dict[str, Any]:
    ends = Entity(entity_id=trigger), Entity(entity_id=action)
    return write_automation(ends[0], trigger_class, [ends[1]], action_class, **more).automation


# -- Recipes -----------------------------------------------------------------------------------------------------------


def test_every_automation_is_one_that_home_assistant_takes_and_none_opens_or_disarms_anything() -> None:
    services = set()
    for trigger in KNOWN_AND_NEW_DOMAINS:
        for trigger_class in CLASSES.get(trigger, [""]):
            for action in KNOWN_AND_NEW_DOMAINS:
                for action_class in CLASSES.get(action, [""])[:2]:
                    try:
                        made = automation(
                            f"{trigger}.night_a", trigger_class, f"{action}.b", action_class, entity_ids=["tts.g"]
                        )
                    except NoRecipeError:
                        continue
                    check_automation(made)
                    assert action not in READ_ONLY_DOMAINS
                    called = {step["action"] for step in made["actions"] if "action" in step}
                    services |= called
                    if action_class == "garage":
                        assert called == {"cover.close_cover"}
    assert {s.partition(".")[0] for s in services} >= {"light", "lock", "climate", "notify", "scene", "homeassistant"}
    assert not {s for s in services if re.search("unlock|disarm|install|delete", s)}


@pytest.mark.parametrize(
    ("trigger", "trigger_class", "action", "begins", "service"),
    [
        ("binary_sensor.m", "motion", "light.l", {"to": "on"}, "light.turn_on"),
        ("binary_sensor.m", "motion", "lock.l", {"to": "off", "for": {"minutes": 10}}, "lock.lock"),
        ("binary_sensor.d", "door", "light.l", {"to": "on"}, "light.turn_on"),
        ("binary_sensor.d", "door", "lock.l", {"to": "off", "for": {"minutes": 1}}, "lock.lock"),
        ("binary_sensor.w", "window", "climate.c", {"to": "on"}, "climate.turn_off"),
        ("binary_sensor.s", "smoke", "siren.s", {"to": "on"}, "siren.turn_on"),
        ("binary_sensor.l", "moisture", "valve.v", {"to": "on"}, "valve.close_valve"),
        ("person.p", "", "lock.l", {"from": "home"}, "lock.lock"),
        ("person.p", "", "vacuum.v", {"from": "home"}, "vacuum.start"),
        ("device_tracker.p", "", "light.l", {"to": "home"}, "light.turn_on"),
        ("zone.home", "", "alarm_control_panel.a", {"below": 1}, "alarm_control_panel.alarm_arm_away"),
        ("sun.sun", "", "cover.c", {"event": "sunset"}, "cover.close_cover"),
        ("sensor.h", "humidity", "fan.f", {"above": 65}, "fan.turn_on"),
        ("sensor.t", "temperature", "climate.c", {"below": 19}, "climate.set_hvac_mode"),
        ("sensor.t", "temperature", "cover.c", {"above": 25}, "cover.close_cover"),
        ("button.b", "", "light.l", {"not_from": ["unavailable", "unknown"]}, "light.toggle"),
        ("event.e", "", "scene.s", {"trigger": "state"}, "scene.turn_on"),
        ("timer.t", "", "switch.s", {"event_type": "timer.finished"}, "switch.turn_off"),
        ("input_datetime.i", "", "script.s", {"at": "input_datetime.i"}, "script.turn_on"),
        ("input_boolean.night_mode", "", "light.l", {"to": "on"}, "light.turn_off"),
        ("input_boolean.night_light", "", "light.l", {"to": "on"}, "light.turn_on"),
        ("media_player.m", "", "light.l", {"to": "playing"}, "light.turn_on"),
        ("sensor.b", "battery", "notify.n", {"below": 20}, "notify.send_message"),
        ("input_select.i", "", "select.s", {"trigger": "state"}, "select.select_option"),
        ("binary_sensor.m", "motion", "group.g", {"to": "on"}, "homeassistant.turn_on"),
    ],
)
def test_a_pair_becomes_what_its_kinds_mean(
    trigger: str, trigger_class: str, action: str, begins: dict[str, Any], service: str
) -> None:
    made = automation(trigger, trigger_class, action)
    (begun,) = made["triggers"]
    assert begins.items() <= begun.items()
    assert made["actions"][0]["action"] == service
    assert made["actions"][0]["target"] == {"entity_id": action}


def test_motion_switches_a_light_off_again_and_restarts() -> None:
    made = automation("binary_sensor.m", "motion", "light.l")
    assert made["mode"] == "restart"
    assert made["actions"][1]["wait_for_trigger"] == [
        {"trigger": "state", "entity_id": "binary_sensor.m", "to": "off", "for": {"minutes": 5}}
    ]
    assert made["actions"][2] == {"action": "light.turn_off", "target": {"entity_id": "light.l"}}


def test_coming_home_lights_up_only_in_the_dark_and_a_panel_is_triggered_only_when_armed() -> None:
    assert automation("person.p", "", "light.l")["conditions"][0]["state"] == "below_horizon"
    triggered = automation("binary_sensor.d", "door", "alarm_control_panel.a")
    assert triggered["conditions"] == [
        {
            "condition": "state",
            "entity_id": "alarm_control_panel.a",
            "state": ["armed_away", "armed_home", "armed_night", "armed_vacation"],
        }
    ]


def test_a_heater_is_never_told_to_cool_nor_an_air_conditioner_to_heat() -> None:
    heats = automation("sensor.t", "temperature", "climate.hall_radiator")
    cools = automation("sensor.t", "temperature", "climate.hall_ac")
    assert (heats["triggers"][0]["below"], heats["actions"][0]["data"]) == (19, {"hvac_mode": "heat"})
    assert (cools["triggers"][0]["above"], cools["actions"][0]["data"]) == (25, {"hvac_mode": "cool"})
    for name, device_class, side in (
        ("hall", None, "below"),
        ("hall", "dehumidifier", "above"),
        ("dryer", "", "above"),
    ):
        ends = Entity(entity_id="sensor.h"), [Entity(entity_id=f"humidifier.{name}", device_class=device_class)]
        made = write_automation(ends[0], "humidity", ends[1], "").automation
        assert (side in made["triggers"][0], made["actions"][0]["action"]) == (True, "humidifier.turn_on")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("climate.den_heater", "climate.den_ac"),
        ("climate.den_ac", "climate.den_radiator"),
        ("climate.den_heizung", "climate.den_klimaanlage"),
        ("humidifier.den_dehumidifier", "humidifier.den"),
    ],
)
def test_what_works_against_what_has_started_is_turned_off_and_never_on(one: str, other: str) -> None:
    made = automation(one, "", other)
    (call_made,) = made["actions"]
    assert call_made == {"action": f"{other.partition('.')[0]}.turn_off", "target": {"entity_id": other}}
    assert "off" not in str(made["triggers"])
    upstairs = automation("climate.first_floor", "", "climate.den_ac"), automation(one, "", "climate.first_floor")
    assert all(both["actions"][0]["action"].endswith(".turn_on") for both in upstairs[: 2 if "climate" in one else 1])
    assert automation(one, "", one.replace("den", "hall"))["actions"][0]["action"].endswith(".turn_on")


def test_daylight_turns_off_what_darkness_turns_on() -> None:
    for trigger, service in (("daylight", "turn_off"), ("darkness", "turn_on")):
        made = automation(f"binary_sensor.{trigger}", "", "input_boolean.night_lights")
        assert made["actions"][0]["action"] == f"input_boolean.{service}"
    assert automation("scene.daylight", "", "light.hall")["actions"][0]["action"] == "light.turn_on"


def test_what_is_done_at_an_event_is_undone_when_it_ends_where_that_is_plain() -> None:
    window = automation("binary_sensor.w", "window", "climate.c")
    assert [call.get("action") for call in window["actions"]] == ["climate.turn_off", None, "climate.turn_on"]
    assert window["actions"][1]["wait_for_trigger"][0]["to"] == "off"
    assert window["conditions"][0]["condition"] == "not", "a thermostat that was off stays off"
    humid = automation("sensor.h", "humidity", "fan.f")
    assert humid["actions"][1]["wait_for_trigger"][0]["below"] < humid["triggers"][0]["above"]
    assert humid["actions"][2]["action"] == "fan.turn_off"
    once = Entity(entity_id="climate.c", supported_features=128)  # it turns off, and not on
    made = write_automation(Entity(entity_id="binary_sensor.w"), "window", [once], "").automation
    assert len(made["actions"]) == 1
    assert len(automation("binary_sensor.d", "door", "light.l")["actions"]) == 1, "a door that opens says nothing of it"
    for one in (window, humid):
        assert one["mode"] == "restart"
        check_automation(one)


def test_of_several_thermostats_that_a_window_turns_off_only_those_that_heated_come_back() -> None:
    valves = [Entity(entity_id=f"climate.trv_{number}") for number in (1, 2)]
    made = write_automation(Entity(entity_id="binary_sensor.w"), "window", valves, "").automation
    keep, off, wait, back = made["actions"]
    both = ["climate.trv_1", "climate.trv_2"]
    assert keep["action"] == "scene.create"
    assert keep["data"]["snapshot_entities"] == off["target"]["entity_id"] == both
    assert wait["wait_for_trigger"][0]["to"] == "off"
    assert back == {"action": "scene.turn_on", "target": {"entity_id": f"scene.{keep['data']['scene_id']}"}}
    (unless,) = made["conditions"]
    assert unless["condition"] == "not"
    assert unless["conditions"] == [{"condition": "state", "entity_id": both, "state": "off"}], "none of both heats"
    check_automation(made)


def test_the_scene_of_several_thermostats_is_one_of_its_own_and_its_id_is_not_too_long() -> None:
    ids = []
    for window, valve in (("a_b", "c"), ("a", "b_c"), ("w" * 200, "v" * 200)):
        valves = [Entity(entity_id=f"climate.{valve}_{number}") for number in (1, 2)]
        made = write_automation(Entity(entity_id=f"binary_sensor.{window}"), "window", valves, "").automation
        ids.append(made["actions"][-1]["target"]["entity_id"])
    assert len({*ids}) == len(ids)
    assert all(is_entity_id(scene) and len(scene) <= MAX_LENGTH for scene in ids)


@pytest.mark.parametrize("name", ["front_door_ding", "front_door_bell_ring", "porch_doorbell", "hall_klingel"])
def test_a_doorbell_rings_and_is_no_door_that_opens(name: str) -> None:
    made = automation(f"binary_sensor.{name}", "door", "light.porch")
    assert (made["alias"].split(": ")[0].endswith("rings"), made["triggers"][0]["to"]) == (True, "on")
    check_automation(made)
    for action in ("alarm_control_panel.home", "climate.hall", "cover.garage", "lock.front_door"):
        with pytest.raises(NoRecipeError, match="no sensible automation"):
            automation(f"binary_sensor.{name}", "door", action)


def test_what_a_doorbell_sees_is_motion_and_its_battery_is_one() -> None:
    assert "sees someone" in automation("binary_sensor.front_door_bell_motion", "motion", "light.porch")["alias"]
    assert "low battery" in automation("binary_sensor.doorbell_battery", "battery", "notify.me")["alias"]
    assert "opens" in automation("binary_sensor.ring_front_door", "door", "light.porch")["alias"]


def test_what_runs_at_every_change_waits_turned_off_for_a_person() -> None:
    vague = [("sensor.s", "", "light.l"), ("input_select.mode", "", "light.l"), ("x.y", "", "script.s")]
    for trigger, trigger_class, action in vague:
        made = automation(trigger, trigger_class, action)
        assert made["initial_state"] is False
        check_automation(made)
    assert "initial_state" not in automation("sensor.t", "temperature", "input_number.n"), "a copied value is meant so"
    assert automation("sensor.t", "temperature", "number.n")["initial_state"] is False, "a device's own setting"
    assert "initial_state" not in automation("binary_sensor.m", "motion", "light.l")


def test_an_option_of_a_mode_is_taken_for_what_its_words_say() -> None:
    def made(options: Any, trigger: str = "input_select.house_mode", device_class: str = "") -> dict[str, Any]:
        mode = Entity(entity_id=trigger, capabilities={"options": options})
        return write_automation(mode, device_class, [Entity(entity_id="light.l")], "").automation

    away = made(["Everyday", "Away {{ x }}", "Away", "Night"])
    assert (away["triggers"][0]["to"], away["actions"][0]["action"]) == ("Away", "light.turn_off")
    assert made(["Film night"])["triggers"][0]["to"] == "Film night"
    for unclear in (["A", "B"], [], None, "Away", [1, None]):
        assert "to" not in made(unclear)["triggers"][0]
    assert made(["Night", "Day"], "sensor.phase", "enum")["triggers"][0]["to"] == "Night"
    assert "above" not in made(["A"], "sensor.phase", "enum")["triggers"][0], "an option is no number"


@pytest.mark.parametrize("action", ["button.router_reboot", "script.nas_shutdown", "button.reset_totals"])
def test_what_restarts_or_deletes_something_is_done_only_when_that_is_meant(action: str) -> None:
    for trigger, trigger_class in (("sensor.ram", ""), ("binary_sensor.m", "motion"), ("light.l", "")):
        with pytest.raises(NoRecipeError):
            automation(trigger, trigger_class, action)
    for trigger, trigger_class in (
        ("binary_sensor.wan", "connectivity"),
        ("binary_sensor.nas_error", ""),
        ("input_button.b", ""),
    ):
        assert automation(trigger, trigger_class, action)["actions"][0]["target"] == {"entity_id": action}
    by_class = Entity(entity_id="button.x", device_class="restart")
    with pytest.raises(NoRecipeError):
        write_automation(Entity(entity_id="light.l"), "", [by_class], "restart")
    assert automation("light.l", "", "button.doorbell")["actions"][0]["action"] == "button.press"


def test_a_guess_says_that_it_is_one() -> None:
    def notes(trigger: str, trigger_class: str, action: str) -> str:
        ends = Entity(entity_id=trigger), Entity(entity_id=action)
        return " ".join(write_automation(ends[0], trigger_class, [ends[1]], "").adjust)

    assert "65 is a guess" in notes("sensor.h", "humidity", "fan.f")
    assert "a fallback" in notes("binary_sensor.m", "motion", "group.g")
    assert "fires at every change" in notes("sensor.s", "", "script.s")
    assert "read off the trigger's name" in notes("input_boolean.sleeping", "", "light.l")
    assert notes("binary_sensor.m", "motion", "light.l") == ""


@pytest.mark.parametrize(
    ("trigger", "trigger_class", "action", "why"),
    [
        ("light.l", "", "sensor.s", "a sensor cannot act"),
        ("sensor.b", "battery", "light.l", "no sensible automation joins a battery sensor and a light"),
        ("sensor.e", "energy", "switch.s", "no sensible automation joins an energy sensor"),
        ("light.l", "", "update.u", "an update cannot act"),
        ("binary_sensor.d", "door", "media_player.m", "no sensible automation"),
        ("light.küche", "", "light.l", "does not accept the entity's id"),
    ],
)
def test_what_has_no_sensible_automation_says_why(trigger: str, trigger_class: str, action: str, why: str) -> None:
    with pytest.raises(NoRecipeError, match=why):
        automation(trigger, trigger_class, action)


def test_a_door_is_announced_where_the_home_can_speak() -> None:
    made = automation("binary_sensor.front_door", "door", "media_player.m", entity_ids=["tts.piper"])
    assert made["actions"] == [
        {
            "action": "tts.speak",
            "target": {"entity_id": "tts.piper"},
            "data": {"media_player_entity_id": "media_player.m", "message": "Front door opens"},
        }
    ]


# -- Which, and in what order ------------------------------------------------------------------------------------------


def test_suggestions_are_pairs_the_home_lacks_with_the_model_s_scores(model: SynergyModel) -> None:
    raw = new_home()
    known = [row("binary_sensor.attic_motion", "light.attic"), row("media_player.cellar", "light.cellar")]
    found = suggested(model, {**raw, "synergies": known}, top=50, min_score=0.0)
    pairs = [(p.trigger, a) for p in found.proposals for a in p.actions]
    assert len(set(pairs)) == len(pairs) > 10
    forbidden = {(s["entity_1"], s["entity_2"]) for s in known}
    assert forbidden.isdisjoint(pairs)
    assert {(a, t) for t, a in forbidden}.isdisjoint(pairs), "the other way round would chase the first"
    assert found.left_out["automated the other way round, so that the two would chase each other"] >= 1
    firsts = [(p.trigger, p.actions[0]) for p in found.proposals]
    assert [p.score for p in found.proposals] == pytest.approx(model.score(raw["entities"], known, firsts), abs=1e-4)


def test_the_room_s_own_motion_sensor_comes_first(model: SynergyModel) -> None:
    first = suggested(model, new_home(), top=6).proposals
    assert {("binary_sensor.attic_motion", "light.attic"), ("binary_sensor.studio_motion", "light.studio")} <= {
        (p.trigger, p.actions[0]) for p in first
    }


def crowded() -> dict[str, Any]:
    """One motion sensor beside many lamps of one room, and another room with one of each."""
    lamps = "desk shelf floor wall corner reading picture piano window mirror".split()
    place = {"area_id": "attic"}
    return new_home(
        entities=[
            {"entity_id": "binary_sensor.attic_motion", "device_class": "motion", **place},
            *({"entity_id": f"light.attic_{lamp}", **place} for lamp in lamps),
            {"entity_id": "binary_sensor.cellar_motion", "device_class": "motion", "area_id": "cellar"},
            {"entity_id": "light.cellar", "area_id": "cellar"},
            {"entity_id": "lock.cellar", "area_id": "cellar"},
        ]
    )


def test_diverse_suggestions_are_not_one_trigger_over_again_and_plain_ones_follow_the_model(
    model: SynergyModel,
) -> None:
    plain = suggested(model, crowded(), top=6, min_score=0.0, diverse=False).proposals
    diverse = suggested(model, crowded(), top=6, min_score=0.0).proposals
    raw = crowded()
    order = [(s.trigger, s.action) for s in model.suggest(raw["entities"], [], 500)]
    places = [order.index((p.trigger, p.actions[0])) for p in plain]
    assert places == sorted(places)
    assert diverse[0] == plain[0]
    assert len({p.actions for p in diverse}) >= len({p.actions for p in plain})
    assert not {(p.trigger, p.actions[0]) for p in diverse} & {(p.actions[0], p.trigger) for p in diverse}


def test_what_scores_low_is_not_suggested_and_the_note_says_so(model: SynergyModel) -> None:
    found = suggested(model, new_home(), top=500, min_score=0.6)
    assert 0 < len(found.proposals) < 100
    assert min(p.score for p in found.proposals) >= 0.6
    assert "score at least 0.6" in found.notes[0]


def bulbs(*, group: bool, area: str | None = "attic", name: str = "attic_spot") -> dict[str, Any]:
    place = {} if area is None else {"area_id": area}
    entities = [{"entity_id": f"light.{name}_{i}", **place} for i in range(1, 13)]
    entities.append({"entity_id": "binary_sensor.attic_motion", "device_class": "motion", **place})
    if group:
        entities.append({"entity_id": f"light.{name}", **place})
    return new_home(entities=entities)


def test_twelve_bulbs_of_one_room_are_one_suggestion(model: SynergyModel) -> None:
    found = suggested(model, bulbs(group=False), top=50, min_score=0.0)
    (proposal,) = [p for p in found.proposals if p.trigger == "binary_sensor.attic_motion"]
    assert len(proposal.actions) == 12
    assert proposal.automation["actions"][0]["target"]["entity_id"] == list(proposal.actions)
    assert proposal.automation["alias"].endswith("and 11 like it")


def test_a_group_stands_for_its_numbered_members(model: SynergyModel) -> None:
    raw = bulbs(group=True)
    found = suggested(model, raw, top=50, min_score=0.0)
    (proposal,) = [p for p in found.proposals if p.trigger == "binary_sensor.attic_motion"]
    assert (proposal.actions, proposal.alternatives) == (("light.attic_spot",), ())
    raw["synergies"] = [row("binary_sensor.attic_motion", "light.attic_spot")]
    after = suggested(model, raw, top=50, min_score=0.0)
    assert not [p for p in after.proposals if p.trigger == "binary_sensor.attic_motion"]
    assert after.left_out["their group is automated already"] == 12


def test_bulbs_that_nothing_places_are_named_and_not_switched_together(model: SynergyModel) -> None:
    found = suggested(model, bulbs(group=False, area=None, name="hue_bulb"), top=50, min_score=0.0)
    (proposal,) = [p for p in found.proposals if p.trigger == "binary_sensor.attic_motion"]
    assert (len(proposal.actions), len(proposal.alternatives)) == (1, 11)


DOORS = tuple(f"binary_sensor.{place}_door" for place in ("front", "back", "patio", "side"))


def with_doors(*more: dict[str, Any]) -> dict[str, Any]:
    doors = [{"entity_id": door, "device_class": "door"} for door in DOORS]
    return new_home(entities=[*doors, {"entity_id": "alarm_control_panel.house"}, *more])


def test_doors_that_trigger_one_alarm_are_one_suggestion(model: SynergyModel) -> None:
    result = suggested(model, with_doors(), min_score=0)
    (alarm,) = (p for p in result.proposals if p.actions == ("alarm_control_panel.house",))
    assert set(alarm.triggers) == set(DOORS)
    assert set(alarm.pairs) == {(door, "alarm_control_panel.house") for door in DOORS}
    made = alarm.automation
    check_automation(made)
    assert made["triggers"][0]["entity_id"] == [*alarm.triggers]
    first = alarm.trigger.partition(".")[2].replace("_", " ").capitalize()
    assert made["alias"] == f"{first} or one of 3 others opens: trigger House if it is armed"
    assert f"({alarm.trigger} and 3 more) -> House (" in alarm.title
    assert to_dict(result)["proposals"][0]["other_triggers"] == alarm.other_triggers


def test_what_several_doors_send_names_the_one_that_opened(model: SynergyModel) -> None:
    raw = with_doors({"entity_id": "notify.phone"}, {"entity_id": "input_text.last"})
    raw["entities"][0]["name"] = "Front {{ 1 / 0 }} door"
    found = suggested(model, raw, top=50, min_score=0).proposals
    (told,) = (p for p in found if p.actions == ("notify.phone",) and p.trigger in DOORS)
    assert set(told.triggers) == set(DOORS)
    check_automation(told.automation)
    message = Template(told.automation["actions"][0]["data"]["message"])
    assert message.render(trigger={"to_state": {"name": "Side door"}}) == "Side door opens"
    assert message.render(trigger={"platform": None}) == "Something opens", "a person may run it by hand"
    assert structure(told.automation).entities == {*DOORS, "notify.phone"}, "no entity is read out of the template"
    noted = [p for p in found if p.actions == ("input_text.last",) and p.trigger in DOORS]
    assert len(noted) == len(DOORS), "a text of so many characters can be no template"
    texts = {p.automation["actions"][0]["data"]["value"] for p in noted}
    assert texts == {"Front (( 1 / 0 )) door opens", "Back door opens", "Patio door opens", "Side door opens"}


def test_a_doorbell_is_not_joined_to_doors(model: SynergyModel) -> None:
    bell = {"entity_id": "binary_sensor.side_doorbell", "device_class": "door"}
    for action in ("notify.phone", "timer.t"):
        result = suggested(model, with_doors(bell, {"entity_id": action}), top=50, min_score=0)
        joined = {proposal.triggers for proposal in result.proposals if proposal.actions == (action,)}
        assert (bell["entity_id"],) in joined
        assert DOORS in {tuple(door for door in DOORS if door in triggers) for triggers in joined}


def test_low_batteries_are_told_in_one_suggestion(model: SynergyModel) -> None:
    batteries = [{"entity_id": f"sensor.{name}_battery", "device_class": "battery"} for name in ("a", "b", "c")]
    raw = new_home(entities=[*batteries, {"entity_id": "notify.phone"}])
    (told,) = suggested(model, raw, top=50, min_score=0).proposals
    assert len(told.triggers) == 3
    assert re.fullmatch(r"\w battery, \w battery or \w battery goes below 20: tell Phone", told.automation["alias"])
    check_automation(told.automation)


def test_what_could_be_started_by_what_it_starts_is_joined_to_nothing(model: SynergyModel) -> None:
    players = [{"entity_id": f"media_player.{name}", "area_id": "den"} for name in ("tv", "stereo", "radio", "amp")]
    result = suggested(model, new_home(entities=players), top=50, min_score=0)
    assert not any(proposal.other_triggers for proposal in result.proposals)
    assert len(result.proposals) == 6, "each two once"


@pytest.mark.parametrize(
    ("triggers", "action", "words", "condition"),
    [
        (
            [{"entity_id": "person.ann"}, {"entity_id": "person.bob"}],
            "alarm_control_panel.house",
            "leaves home: arm House",
            {"condition": "not", "state": "home"},
        ),
        (
            [{"entity_id": f"sensor.{name}", "device_class": "distance"} for name in ("ann", "bob", "eve")],
            "vacuum.robot",
            "goes above 1: start Robot",
            {"condition": "numeric_state", "above": 1},
        ),
        (
            [{"entity_id": f"binary_sensor.{n}_door", "device_class": "door"} for n in ("a", "b", "c")],
            "lock.gate",
            "stays closed for a minute: lock Gate",
            {"condition": "state", "state": "off"},
        ),
    ],
)
def test_what_several_things_end_starts_when_the_last_of_them_has(
    model: SynergyModel, triggers: list[dict[str, Any]], action: str, words: str, condition: dict[str, Any]
) -> None:
    raw = new_home(entities=[*triggers, {"entity_id": action}])
    ids = {trigger["entity_id"] for trigger in triggers}
    found = [p for p in suggested(model, raw, top=50, min_score=0).proposals if p.actions == (action,)]
    (joined,) = found
    assert set(joined.triggers) == ids
    check_automation(joined.automation)
    assert re.fullmatch(rf"The last of (.*, )?.* and .* {words}", joined.automation["alias"])
    assert all(name_of(Entity(entity_id=one)) in joined.automation["alias"] for one in ids)
    (made,) = joined.automation["conditions"]
    inner = made["conditions"][0] if made["condition"] == "not" else made
    assert {key: {**inner, "condition": made["condition"]}[key] for key in condition} == condition
    assert set(inner["entity_id"]) == ids
    assert (inner.get("match") == "any") == (made["condition"] == "not")


def test_two_triggers_of_one_name_are_told_apart_by_their_number(model: SynergyModel) -> None:
    doors = [{"entity_id": door, "device_class": "door", "name": "Door"} for door in DOORS[:2]]
    raw = new_home(entities=[*doors, {"entity_id": "alarm_control_panel.house"}])
    (alarm,) = suggested(model, raw, min_score=0).proposals
    assert alarm.automation["alias"] == "Door or another one opens: trigger House if it is armed"


def test_two_triggers_are_both_named_and_those_of_different_kinds_are_not_joined(model: SynergyModel) -> None:
    people = [{"entity_id": f"person.{name}"} for name in ("ann", "bob")]
    raw = with_doors({"entity_id": "media_player.den"}, *people)
    result = suggested(model, raw, top=50, min_score=0)
    for proposal in result.proposals:
        classes = {of.partition(".")[0] for of in proposal.triggers}
        assert len(classes) == 1
    (player,) = (p for p in result.proposals if p.actions == ("media_player.den",) and "person." in p.trigger)
    names = [of.partition(".")[2].capitalize() for of in player.triggers]
    assert player.automation["alias"].startswith(f"{names[0]} or {names[1]} comes home: ")


def test_triggers_that_only_names_tell_apart_stay_apart(model: SynergyModel) -> None:
    flags = [f"input_boolean.{name}" for name in ("guests", "party", "cinema")]
    raw = new_home(entities=[{"entity_id": one} for one in (*flags, "switch.house")])
    result = suggested(model, raw, top=50, min_score=0)
    assert not any(p.other_triggers for p in result.proposals)
    assert len([p for p in result.proposals if p.actions == ("switch.house",)]) > 1


@pytest.mark.parametrize(
    ("sensors", "device_class", "actions", "after"),
    [
        (("hall_a", "hall_b"), "motion", ("light.hall",), "light.turn_off"),
        (("hall_a", "hall_b"), "window", ("climate.hall",), "climate.turn_on"),
        (("hall_window", "hall_door"), None, ("climate.hall",), "climate.turn_on"),
        (("hall_a", "hall_b", "hall_c"), "window", ("climate.hall_1", "climate.hall_2"), "scene.turn_on"),
    ],
)
def test_what_several_start_is_undone_when_the_last_of_them_has_ended(
    model: SynergyModel, sensors: tuple[str, ...], device_class: str | None, actions: tuple[str, ...], after: str
) -> None:
    area = {"area_id": "hall"}
    raw = new_home(
        entities=[
            *({"entity_id": f"binary_sensor.{name}", "device_class": device_class, **area} for name in sensors),
            *({"entity_id": action, **area} for action in actions),
        ]
    )
    found = suggested(model, raw, top=50, min_score=0).proposals
    (joined,) = (p for p in found if set(p.actions) == set(actions) and p.trigger.startswith("binary_sensor."))
    check_automation(joined.automation)
    *_, waiting, last = joined.automation["actions"]
    (until,) = waiting["wait_for_trigger"]
    ids = [*joined.triggers]
    assert set(ids) == {f"binary_sensor.{name}" for name in sensors}
    assert until["value_template"] == f"{{{{ {ids} | select('is_state', 'off') | list | count == {len(ids)} }}}}"
    assert (until["trigger"], until["for"]["minutes"] > 0, last["action"]) == ("template", True, after)
    assert structure(joined.automation).entities >= {*ids}
    assert not structure(joined.automation).entities - {*ids, *actions} - scenes_made(joined.automation).keys()


@pytest.mark.parametrize(
    ("trigger", "trigger_class", "action", "service"),
    [
        ("binary_sensor.leak", "moisture", "switch.washing_machine", "switch.turn_off"),
        ("binary_sensor.smoke", "smoke", "switch.space_heater", "switch.turn_off"),
        ("alarm_control_panel.house", "", "switch.iron", "switch.turn_off"),
        ("binary_sensor.smoke", "smoke", "switch.alarm_horn", "switch.turn_on"),
        ("binary_sensor.leak", "moisture", "switch.sump_pump", "switch.turn_on"),
        ("binary_sensor.window", "window", "switch.oven", None),
        ("person.ann", "", "switch.oven", "switch.turn_off"),
        ("binary_sensor.window", "window", "siren.hall", None),
        ("input_boolean.guest_mode", "", "alarm_control_panel.house", None),
        ("vacuum.robby", "", "alarm_control_panel.house", None),
        ("lock.front", "", "alarm_control_panel.house", None),
        ("binary_sensor.garden_motion", "motion", "alarm_control_panel.house", None),
        ("switch.iron", "", "valve.gas", "valve.close_valve"),
        ("sensor.washer_power", "power", "valve.water", "valve.close_valve"),
        ("sensor.bed", "moisture", "valve.main_water", "valve.close_valve"),
    ],
)
def test_nothing_is_started_that_somebody_has_to_be_with(
    trigger: str, trigger_class: str, action: str, service: str | None
) -> None:
    if service is None:
        with pytest.raises(NoRecipeError):
            automation(trigger, trigger_class, action)
    else:
        assert automation(trigger, trigger_class, action)["actions"][0]["action"] == service


def test_a_valve_that_was_opened_is_closed_again() -> None:
    watering = automation("sensor.bed", "moisture", "valve.bed")
    assert [call.get("action", call.get("delay")) for call in watering["actions"]] == [
        "valve.open_valve",
        {"minutes": 10},
        "valve.close_valve",
    ]
    check_automation(watering)
    assert len(automation("button.b", "", "valve.bed")["actions"]) == 1, "a press may close it too"


def test_the_window_of_a_room_is_not_joined_to_those_of_others(model: SynergyModel) -> None:
    windows = [f"binary_sensor.{room}_window" for room in ("kitchen", "attic", "den", "nook")]
    entities = [{"entity_id": window, "device_class": "window"} for window in windows]
    raw = new_home(entities=[*entities, {"entity_id": "timer.kitchen_airing"}])
    result = suggested(model, raw, top=50, min_score=0)
    found = {p.triggers for p in result.proposals if p.actions == ("timer.kitchen_airing",)}
    assert (windows[0],) in found
    assert {frozenset(triggers) for triggers in found} == {frozenset(windows[:1]), frozenset(windows[1:])}


def test_what_scores_much_less_than_the_best_is_not_joined_to_it(
    model: SynergyModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.suggestions.ranking.STARTED_TOGETHER", -1.0)
    result = suggested(model, with_doors(), min_score=0)
    assert {p.trigger for p in result.proposals if p.actions == ("alarm_control_panel.house",)} == set(DOORS)


def test_of_several_triggers_only_those_join_that_are_not_automated_refused_or_accepted(model: SynergyModel) -> None:
    panel = "alarm_control_panel.house"
    raw = {**with_doors(), "synergies": [row(DOORS[0], panel, automation_id="a")]}
    wishes = replace(NO_WISHES, dismissed=(Suggested(trigger=DOORS[1], actions=(panel,)),))
    (left,) = (p for p in suggested(model, raw, min_score=0, wishes=wishes).proposals if p.actions == (panel,))
    assert {*left.triggers} == set(DOORS[2:])
    taken = replace(NO_WISHES, accepted=frozenset({(DOORS[1], panel)}), keeps_accepted=True)
    first, *others = suggested(model, with_doors(), min_score=0, wishes=taken).proposals
    assert first.pairs == ((DOORS[1], panel),), "what was accepted stays what it was"
    assert {pair for p in others for pair in p.pairs} >= {(door, panel) for door in DOORS if door != DOORS[1]}


def test_pairs_that_rules_made_up_are_no_automations(model: SynergyModel) -> None:
    raw = new_home(synergies=[row("binary_sensor.attic_motion", "light.attic")])
    found = suggest_automations(model, replace(as_home(raw), generated=1))
    assert ("binary_sensor.attic_motion", ("light.attic",)) in [(p.trigger, p.actions) for p in found.proposals]
    assert (found.known_pairs, found.notes[-1][:22]) == (0, "the 1 known pairs were")


# -- Why ---------------------------------------------------------------------------------------------------------------


def view_of(model: SynergyModel, *entity_ids: str, known: Sequence[tuple[str, str]] = ()) -> HomeView:
    raw = {"home_id": "x", "entities": [{"entity_id": e} for e in entity_ids], "synergies": [row(*p) for p in known]}
    described = as_home(raw)
    return HomeView(described, build_graph(described), model)


@pytest.mark.parametrize(
    ("trigger", "action", "senseless"),
    [
        ("sensor.kettle_power", "switch.kettle", True),
        ("sensor.kettle_energy_usage", "switch.kettle_plug", True),
        ("sensor.kettle_temperature", "switch.kettle", False),
        ("sensor.oven_power", "switch.kitchen_fan", False),
        ("sensor.power", "switch.power", False),
        ("binary_sensor.kettle_power", "switch.kettle", False),
    ],
)
def test_a_meter_that_only_follows_what_it_measures_starts_nothing(
    model: SynergyModel, trigger: str, action: str, senseless: bool
) -> None:
    view = view_of(model, trigger, action)
    try:
        why = str(view.recipe(trigger, [action]).adjust)
    except NoRecipeError as error:
        why = str(error)
    assert ("only follows what it measures" in why) is senseless


def test_lights_of_two_places_are_joined_only_where_the_home_does_so_already(model: SynergyModel) -> None:
    kids, master, guest = "light.kids_bedroom", "light.master_bedroom", "light.guest_bedroom"
    with pytest.raises(NoRecipeError, match="different rooms"):
        view_of(model, kids, master).recipe(kids, [master])
    assert view_of(model, kids, "light.kids_bedroom_lamp").recipe(kids, ["light.kids_bedroom_lamp"])
    assert view_of(model, "light.bedroom", master).recipe("light.bedroom", [master]), "one place may be in the other"
    assert view_of(model, "binary_sensor.hall_motion", master).recipe("binary_sensor.hall_motion", [master])
    assert view_of(model, kids, master, guest, known=[(kids, guest)]).recipe(kids, [master])
    second, ground = "vacuum.second_floor", "vacuum.ground_floor"
    with pytest.raises(NoRecipeError, match="different rooms"):
        view_of(model, second, ground).recipe(second, [ground])
    assert view_of(model, "vacuum.floor", ground).recipe("vacuum.floor", [ground])
    first, other = "switch.first_monitor", "switch.second_monitor"
    assert view_of(model, first, other).recipe(first, [other]), "what is numbered is on no floor for it"


@pytest.mark.parametrize(
    ("floors", "joined"),
    [({"one": "low", "two": "high"}, False), ({"one": "low", "two": "low"}, True), ({"one": "low"}, True), ({}, True)],
)
def test_vacuums_are_joined_unless_their_areas_are_on_different_floors(
    model: SynergyModel, floors: dict[str, str], joined: bool
) -> None:
    entities = [{"entity_id": f"vacuum.{name}", "area_id": name} for name in ("one", "two")]
    areas = [{"area_id": area, "floor_id": floor} for area, floor in floors.items()]
    home = as_home({"home_id": "x", "areas": areas, "entities": entities, "synergies": []})
    view = HomeView(home, build_graph(home), model)
    if joined:
        assert view.recipe("vacuum.one", ["vacuum.two"])
    else:
        with pytest.raises(NoRecipeError, match="different rooms"):
            view.recipe("vacuum.one", ["vacuum.two"])


def test_a_label_in_common_is_a_reason(model: SynergyModel) -> None:
    entities = [
        {"entity_id": "binary_sensor.cellar", "labels": ["away", "night"]},
        {"entity_id": "switch.boiler", "labels": ["night"]},
        {"entity_id": "light.attic", "labels": ["day"]},
    ]
    raw = {"home_id": "x", "entities": entities, "synergies": []}
    assert reasons(model, raw, "binary_sensor.cellar", "switch.boiler")[0] == 'both have the label "night"'
    assert not [r for r in reasons(model, raw, "binary_sensor.cellar", "light.attic") if "label" in r]


@pytest.mark.parametrize(
    ("labels", "others", "told"),
    [
        (["all", "night"], 9, '"night"'),
        (["all"], 9, None),
        (["all"], 0, '"all"'),
        (["\u200b"], 0, None),
        (["x" * 100_000], 0, f'"{"x" * 37}..."'),
    ],
)
def test_the_label_of_a_reason_is_the_rarest_and_short(
    model: SynergyModel, labels: list[str], others: int, told: str | None
) -> None:
    both = [{"entity_id": entity_id, "labels": labels} for entity_id in ("binary_sensor.cellar", "switch.boiler")]
    rest = [{"entity_id": f"light.l{number}", "labels": ["all"]} for number in range(others)]
    raw = {"home_id": "x", "entities": [*both, *rest], "synergies": []}
    found = [r for r in reasons(model, raw, "binary_sensor.cellar", "switch.boiler") if "label" in r]
    assert found == ([] if told is None else [f"both have the label {told}"])


def test_a_home_that_tells_what_most_support_says_of_which_it_does_not(model: SynergyModel) -> None:
    def notes(**features: int) -> str:
        entities = [{"entity_id": f"media_player.{name}", "supported_features": own} for name, own in features.items()]
        raw = {"entities": [{"entity_id": "person.a"}, {"entity_id": "media_player.x"}, *entities], "synergies": []}
        of = as_home(raw)
        return " ".join(HomeView(of, build_graph(of), model).recipe("person.a", ["media_player.x"]).adjust)

    assert notes() == ""
    assert notes(other=384) == "nothing says whether media_player.x can do media_player.turn_on"


def reasons(model: SynergyModel, raw: dict[str, Any], trigger: str, action: str) -> tuple[str, ...]:
    found = suggested(model, raw, top=500, min_score=0.0, diverse=False)
    (proposal,) = [p for p in found.proposals if (p.trigger, p.actions[0]) == (trigger, action)]
    return proposal.reasons


def test_reasons_say_what_the_home_and_the_model_hold(model: SynergyModel) -> None:
    raw = new_home(areas=[{"area_id": "attic", "name": "The attic"}])
    pair = "binary_sensor.attic_motion", "light.attic"
    place, common = reasons(model, raw, *pair)
    assert place == "same room (The attic)"
    odds, words = model.log_odds, model.vocabulary
    t, a = (words.domains.index(kind) + 1 for kind in ("binary_sensor", "light"))
    c, d = (words.classes.index(kind) + 1 for kind in ("binary_sensor:motion", "light:"))
    times = math.exp(float(odds.action_domain[a] + odds.domain_pair[t, a] + odds.class_pair[c, d]))
    assert times > 1.5
    said = f"{times:.0f}" if times >= 10 else f"{times:.1f}"
    assert (
        common
        == f"common in the homes it learnt from: a motion sensor controls a light ({said} times the average pair)"
    )


def test_known_automations_are_reasons_and_only_they(model: SynergyModel) -> None:
    raw = new_home()
    pair = "binary_sensor.attic_motion", "light.attic"
    assert not [r for r in reasons(model, raw, *pair) if "already" in r]
    raw["synergies"] = [row("binary_sensor.cellar_motion", "light.attic")]
    assert reasons(model, raw, *pair)[0] == "Cellar motion, also a motion sensor, already controls it"
    raw["synergies"] = [row("binary_sensor.attic_motion", "light.cellar")]
    assert reasons(model, raw, *pair)[0] == "this trigger already controls another light, Cellar ceiling"


def test_a_shared_name_is_a_reason_and_a_room_is_not_said_twice(model: SynergyModel) -> None:
    raw = new_home()
    pair = "binary_sensor.attic_motion", "light.attic"
    assert not [r for r in reasons(model, raw, *pair) if "names" in r]
    for entity in raw["entities"]:
        entity.pop("area_id", None)
    assert 'both names have "attic"' in reasons(model, raw, *pair)
    light = next(e for e in raw["entities"] if e["entity_id"] == pair[1])
    light |= {"entity_id": "light.dachboden", "name": "Dachboden"}
    assert '"attic" in one name is "dachboden" in the other' in reasons(model, raw, pair[0], "light.dachboden")
    light["name"] = "Dachboden attic"
    assert 'both names have "attic"' in reasons(model, raw, pair[0], "light.dachboden"), "a word as both spell it"


def test_one_device_is_a_reason(model: SynergyModel) -> None:
    raw = new_home()
    next(e for e in raw["entities"] if e["entity_id"] == "light.attic")["device_id"] = "m0"
    assert "both belong to one device" in reasons(model, raw, "binary_sensor.attic_motion", "light.attic")


def test_where_nothing_plain_speaks_for_a_pair_that_is_said(model: SynergyModel) -> None:
    raw = new_home(entities=[{"entity_id": "vacuum.robbie"}, {"entity_id": "remote.sofa"}])
    assert reasons(model, raw, "vacuum.robbie", "remote.sofa")[0].startswith("no plain reason")


# -- What is written ---------------------------------------------------------------------------------------------------


def test_the_yaml_is_a_list_that_home_assistant_includes(model: SynergyModel) -> None:
    found = suggested(model, new_home(), top=20, min_score=0.0)
    text = to_yaml(found)
    loaded = yaml.safe_load(text)
    assert loaded == [p.automation for p in found.proposals]
    assert len({item["id"] for item in loaded}) == len(loaded) == 20
    for item in loaded:
        check_automation(item)
    states = {str(item["triggers"][0].get("to")) for item in loaded}
    assert "on" in states, "quoted, or it would be read as true"
    assert re.search(r"(?m)^# \d+\. \d\.\d\d  Attic motion \(binary_sensor\.attic_motion\) -> ", text)
    assert "#    why: same room (attic)" in text
    assert re.search(r"Suggested with a score of \d\.\d\d: ", loaded[0]["description"])


def test_a_home_with_nothing_to_suggest_is_an_empty_list(model: SynergyModel) -> None:
    found = suggested(model, new_home(entities=[{"entity_id": "sensor.a"}, {"entity_id": "sun.sun"}]))
    assert yaml.safe_load(to_yaml(found)) == []
    assert found.notes == (NOTHING_TO_JOIN,)


IDS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=10)  # others are refused


@settings(deadline=None, max_examples=10)
@given(name=st.text(min_size=1, max_size=30), area=IDS)
def test_no_name_breaks_the_yaml(model: SynergyModel, name: str, area: str) -> None:
    entities = [
        {"entity_id": "binary_sensor.a", "device_class": "motion", "name": name, "area_id": area},
        {"entity_id": "input_text.b", "name": name, "area_id": area},
        {"entity_id": "light.b", "name": "{{ states('x') }}", "area_id": area},
    ]
    raw = new_home(entities=entities, areas=[{"area_id": area, "name": name}])
    found = replace(suggested(model, raw, min_score=0.0), home_id=name)
    for ascii_only in (False, True):
        text = to_yaml(found, ascii_only=ascii_only)
        assert yaml.safe_load(text) == [p.automation for p in found.proposals]
    for proposal in found.proposals:
        check_automation(proposal.automation)


def run_job(model_path: Path, raw: Any, tmp_path: Path, **options: Any) -> None:
    (tmp_path / "homes.json").write_text(json.dumps(raw), encoding="utf-8")
    suggest(SourceChoice(str(tmp_path / "homes.json")), SuggestOptions(model_path=model_path, **options))


HOMES = [new_home(), new_home(home_id="flat/2"), new_home(home_id="bare", entities=[], synergies=[])]


def test_of_nearly_equal_suggestions_those_come_first_that_are_unlike_the_ones_before(model: SynergyModel) -> None:
    home = as_home(crowded())
    view = HomeView(home, build_graph(home), model)
    attic, cellar = "binary_sensor.attic_motion", "binary_sensor.cellar_motion"

    def candidate(trigger: str, action: str, score: float) -> Candidate:
        return Candidate(trigger, (action,), (), score, view.recipe(trigger, (action,)), ("a reason",))

    near = [
        candidate(attic, "light.attic_desk", 0.95),
        candidate(attic, "light.attic_shelf", 0.949),
        candidate(cellar, "light.cellar", 0.948),
    ]
    order = [c.actions[0] for c in _diverse(near, _values(near, view, NO_WISHES), view, 3)]
    assert order == ["light.attic_desk", "light.cellar", "light.attic_shelf"]
    far = [*near[:2], candidate(cellar, "light.cellar", 0.7)]
    order = [c.actions[0] for c in _diverse(far, _values(far, view, NO_WISHES), view, 3)]
    assert order == ["light.attic_desk", "light.attic_shelf", "light.cellar"]


@pytest.mark.parametrize(
    ("trigger", "action", "reasons", "lost"),
    [
        ("input_boolean.a", "input_boolean.b", ("a reason",), FLIPPED),
        ("switch.a", "switch.b", (), FLIPPED + UNEXPLAINED),
        ("switch.a", "input_boolean.b", ("a reason",), 0),
        ("light.a", "light.b", ("a reason",), 0),
        ("light.a", "light.b", (), UNEXPLAINED),
    ],
)
def test_what_few_people_want_comes_later_unless_a_person_does_it(
    model: SynergyModel, trigger: str, action: str, reasons: tuple[str, ...], lost: float
) -> None:
    other = Candidate("light.c", ("light.d",), (), 0.9 - lost / 2, Recipe({}, ()), ("a reason",))
    own = Candidate(trigger, (action,), (), 0.9, Recipe({}, ()), reasons)
    by_hand = own._replace(recipe=Recipe({}, (), reason="you turned it on"))
    assert _penalty(own) == pytest.approx(lost)
    assert _penalty(by_hand) == 0
    of = as_home(new_home(entities=[{"entity_id": e} for e in (trigger, action, "light.c", "light.d")]))
    view = HomeView(of, build_graph(of), model)
    for candidate, first in ((own, other if lost else own), (by_hand, by_hand)):
        both = [candidate, other]
        assert _diverse(both, _values(both, view, NO_WISHES), view, 2)[0] == first


def test_the_list_is_that_of_comparing_every_pair_with_every_chosen_one(model: SynergyModel) -> None:
    home = as_home(crowded())
    view = HomeView(home, build_graph(home), model)
    rng = random.Random(0)
    ids = sorted(view.entities)
    pairs = rng.sample([(t, a) for t in ids for a in ids if t != a], 60)
    recipe = Recipe({}, ())
    reasons = [(), ("a reason",)]
    pool = [Candidate(t, (a,), (), round(rng.random(), 2), recipe, rng.choice(reasons)) for t, a in pairs]
    values = _values(pool, view, NO_WISHES)
    left = dict(enumerate(worth - _penalty(c) for worth, c in zip(values, pool, strict=True)))
    expected: list[Candidate] = []
    while left:
        best = pool[max(left, key=lambda i: (left[i], -i))]
        expected.append(best)
        left = {
            i: worth - (1 - RELEVANCE) * _likeness(pool[i], best, view)
            for i, worth in left.items()
            if pool[i] is not best and not _reversed(pool[i], best)
        }
    assert len(expected) < len(pool), "some are the reverse of another"
    assert _diverse(pool, values, view, 100) == expected
    assert _diverse(pool, values, view, 5) == expected[:5]


def test_the_words_on_the_order_are_true(model: SynergyModel) -> None:
    for diverse in (True, False):
        found = suggest_automations(model, as_home(new_home()), 20, min_score=0.0, diverse=diverse)
        scores = [proposal.score for proposal in found.proposals]
        assert diverse or scores == sorted(scores, reverse=True)
        assert ("--no-diverse" in found.order) == diverse
        above, _, _ = to_yaml(found).partition("\n\n")
        header = " ".join(line.removeprefix("#").strip() for line in above.splitlines())
        assert f"# Order: {found.order}" in f"# {header.partition(') ')[2]}"
        assert max(map(len, above.splitlines())) <= COLUMNS
        assert ("may rise and fall" in header) == diverse
        assert to_dict(found)["order"] == found.order


def test_json_has_everything_by_home(model_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    run_job(model_path, HOMES, tmp_path, output=tmp_path / "s.json", top=3)
    written = json.loads((tmp_path / "s.json").read_text())
    assert list(written) == ["new", "flat/2"]
    first = written["new"]["proposals"][0]
    assert {"trigger", "actions", "score", "reasons", "adjust", "alternatives", "automation"} <= set(first)
    assert len(written["new"]["proposals"]) == 3
    assert "they have no entities: 'bare'" in caplog.text
    assert "6 suggestions for 2 homes" in caplog.text


def test_yaml_of_one_home_is_one_file_and_of_several_one_each(model_path: Path, tmp_path: Path) -> None:
    run_job(model_path, HOMES, tmp_path, output=tmp_path / "one" / "s.yaml", home="flat/2")
    assert [p.name for p in (tmp_path / "one").iterdir()] == ["s.yaml"]
    run_job(model_path, HOMES, tmp_path, output=tmp_path / "all" / "s.yaml")
    assert sorted(p.name for p in (tmp_path / "all").iterdir()) == ["s-flat_2.yaml", "s-new.yaml"]
    for path in (tmp_path / "all").iterdir():
        for item in yaml.safe_load(path.read_text(encoding="utf-8")):
            check_automation(item)


def test_a_run_that_fails_leaves_the_file_that_was_there(model_path: Path, tmp_path: Path) -> None:
    output = tmp_path / "s.yaml"
    output.write_text("mine")
    with pytest.raises(TrainingError):
        run_job(model_path, HOMES, tmp_path, output=output, home="none")
    assert output.read_text() == "mine"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["homes.json", "s.yaml"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"home": "none"}, TrainingError, r"--home 'none': .*homes\.json has no such home; it has 'new', 'flat/2', 'b"),
        ({"home": "bare"}, TrainingError, "home 'bare' has no entities: nothing can be suggested"),
        ({"model_path": Path("no.pth")}, TrainingError, r"no\.pth: no such model file; `home-synergy train"),
        ({"model_path": Path(__file__)}, ModelFileError, "is not a model file that can be loaded"),
        ({"output": ROOT / "tests"}, ArtifactError, "is a folder; give the path of a file"),
        ({"output": Path("x" * 300 + ".yaml")}, ArtifactError, r"x\.yaml: cannot be written \(File name too long\)"),
    ],
)
def test_what_cannot_be_suggested_is_one_line(
    model_path: Path, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as failure:
        run_job(**{"model_path": model_path, "raw": HOMES, "tmp_path": tmp_path, **options})
    assert "\n" not in str(failure.value)


def test_homes_without_any_entity_are_an_error(model_path: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no home has any entities"):
        run_job(model_path, HOMES[2:], tmp_path)


@pytest.mark.slow
def test_the_script_prints_yaml_alone_and_fails_in_one_line(model_path: Path, tmp_path: Path) -> None:
    (tmp_path / "homes.json").write_bytes(to_json({"home_id": "h", "entities": new_home()["entities"]}))
    command = [str(SCRIPT), "--json-input", "homes.json", "--model-path", str(model_path), "--top", "2"]

    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return call_process(*command, *more, cwd=tmp_path, timeout=120)

    done = run()
    assert done.returncode == 0, done.stderr
    assert len(yaml.safe_load(done.stdout)) == 2
    assert "\nSource: homes.json\n" in done.stderr
    failed = run("--model-path", "none.pth")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert re.fullmatch(r"Error: none\.pth: no such model file; .*\n", failed.stderr)


def test_an_output_of_another_kind_is_wrong_usage() -> None:
    done = CliRunner().invoke(main, ["--output", "x.txt"])
    assert done.exit_code == 2
    assert "ends in .yaml or .json" in done.output


def test_a_home_is_never_asked_for_more_than_it_has(model: SynergyModel) -> None:
    raw: dict[str, Any] = new_home(entities=[{"entity_id": "light.a"}])
    assert isinstance(as_home(raw), Home)
    assert suggested(model, raw).proposals == ()


def test_no_text_of_the_data_leaves_its_comment(model: SynergyModel) -> None:
    hostile = "x\n- alias: pwned\n  triggers:\n  - trigger: homeassistant\n    event: start\n#\r\x1b[2J\u2028- y"
    entities = [{"entity_id": f"sensor.s{number}", "name": hostile, "area_id": "a"} for number in (1, 2)]
    entities += [{"entity_id": f"{domain}.d", "name": hostile} for domain in ("lock", "cover", "media_player", "light")]
    raw = new_home(entities=[*new_home()["entities"], *entities], areas=[{"area_id": "a", "name": hostile}])
    found = replace(suggested(model, raw, min_score=0.0), home_id=hostile, notes=(hostile,), left_out={hostile: 1})
    assert found.proposals
    shown = replace(found.proposals[0], reasons=(hostile,), adjust=(hostile,), title=hostile, alternatives=(hostile,))
    text = to_yaml(replace(found, proposals=(shown, *found.proposals[1:])))
    assert yaml.safe_load(text) == [p.automation for p in found.proposals]
    assert all(line.isprintable() for line in text.split("\n"))


def test_a_file_of_suggestions_has_no_anchors(model: SynergyModel) -> None:
    found = suggested(model, new_home(), min_score=0.0)
    shared = {"entity_id": "light.a"}
    doubled = replace(found.proposals[0], automation={"actions": [shared], "conditions": [shared]})
    text = to_yaml(replace(found, proposals=(doubled, doubled)))
    assert "&id" not in text
    assert yaml.safe_load(text) == [doubled.automation] * 2


# -- Aliases -----------------------------------------------------------------------------------------------------------


def aliases_of(*proposed: tuple[str, str, str]) -> list[str]:
    """The aliases of proposals, given as trigger, action and alias."""
    proposals = [Proposal(t, (a,), 0.5, (), (), (), "", {"alias": alias}) for t, a, alias in proposed]
    return [proposal.automation["alias"] for proposal in with_distinct_aliases(proposals)]


def test_aliases_that_read_alike_have_the_ids_and_others_stay_as_they_are() -> None:
    assert aliases_of(("b.m", "light.a", "Lamp on"), ("b.m", "light.b", "Lamp  ON"), ("b.m", "light.c", "Fan on")) == [
        "Lamp on (b.m -> light.a)",
        "Lamp  ON (b.m -> light.b)",
        "Fan on",
    ]


def test_an_alias_that_already_ends_in_the_ids_is_not_met_a_second_time() -> None:
    taken = "Lamp on (b.m -> light.a)"
    found = aliases_of(
        ("b.m", "light.a", "Lamp on"), ("b.n", "light.b", "lamp on"), ("b.o", "light.c", taken), ("b.p", "light.d", "x")
    )
    assert found == ["Lamp on (b.m -> light.a) 2", "lamp on (b.n -> light.b)", taken, "x"]


def test_entities_of_one_name_in_one_room_give_automations_with_ids_and_aliases_of_their_own(
    model: SynergyModel,
) -> None:
    raw = new_home()
    for entity in raw["entities"]:
        if entity["entity_id"].startswith(("light.", "binary_sensor.")):
            entity.update(name=("Lamp", "LAMP ", " lamp")[len(entity["entity_id"]) % 3], area_id="hall")
    found = suggested(model, raw, min_score=0.0)
    aliases = [re.sub(r"[\W_]+", "", p.automation["alias"].casefold()) for p in found.proposals]
    assert len(aliases) > 3
    assert len(set(aliases)) == len(aliases)
    ids = {p.automation["id"] for p in found.proposals}
    assert len(ids) == len(aliases)
    assert ids == {p.automation["id"] for p in suggested(model, raw, min_score=0.0).proposals}, "the same in each run"
