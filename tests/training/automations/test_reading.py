"""Requests that are read word by word: every answer is what the words say, or there is none."""

from __future__ import annotations

from typing import Any

import pytest

from home_assistant import parse_automation
from home_assistant.request_words import LANGUAGES, language_of, tokens_said
from training.automations.home_index import HomeIndex
from training.automations.model import YamlGenerator
from training.automations.reading import read_request

HOME: list[Any] = [
    "light.hall",
    "light.kitchen_ceiling",
    "light.kitchen_table",
    {"entity_id": "light.hue_3", "name": "Porch lamp", "aliases": ["Lantern"]},
    {"entity_id": "light.hue_4", "name": "Reading light", "area_id": "office"},
    {"entity_id": "cover.garage_door", "device_class": "garage"},
    "cover.bedroom_blinds",
    "lock.front_door",
    "lock.back_door",
    "switch.heater",
    {"entity_id": "switch.child_lock_pump", "name": "Pump", "entity_category": "config"},
    "climate.bedroom",
    {"entity_id": "media_player.loft", "device_class": "tv"},
    "media_player.kitchen_speaker",
    {"entity_id": "binary_sensor.hall_motion", "device_class": "motion"},
    {"entity_id": "binary_sensor.front_door", "device_class": "door"},
    {"entity_id": "sensor.bathroom_humidity", "device_class": "humidity"},
    "fan.bathroom",
    "person.ann",
    "person.bob",
    "input_boolean.night_mode",
]
INDEX = HomeIndex.of(HOME)
SUNSET = {"trigger": "sun", "event": "sunset"}
MOTION = {"trigger": "state", "entity_id": "binary_sensor.hall_motion", "to": "on"}
ELEVEN = {"trigger": "time", "at": "23:00:00"}
READ = {
    "close the garage door at sunset": (SUNSET, "cover.close_cover", "cover.garage_door"),
    "open the garage door at sunset": (SUNSET, "cover.open_cover", "cover.garage_door"),
    "lock the front door at 11 pm": (ELEVEN, "lock.lock", "lock.front_door"),
    "unlock the front door at 11 pm": (ELEVEN, "lock.unlock", "lock.front_door"),
    "turn on the hall light when motion is detected": (MOTION, "light.turn_on", "light.hall"),
    "turn off the hall light when motion is detected": (MOTION, "light.turn_off", "light.hall"),
    "when Bob leaves, turn the porch lamp off": (
        {"trigger": "state", "entity_id": "person.bob", "to": "not_home"}, "light.turn_off", "light.hue_3",
    ),
    "lantern on at 23:00": (ELEVEN, "light.turn_on", "light.hue_3"),
    "turn on the office light at 23:00": (ELEVEN, "light.turn_on", "light.hue_4"),
    "turn off the tv at 23:00": (ELEVEN, "media_player.turn_off", "media_player.loft"),
    "turn on the kitchen lights at 11 pm": (ELEVEN, "light.turn_on", ["light.kitchen_ceiling", "light.kitchen_table"]),
    "turn on the bathroom fan if humidity rises above 60%": (
        {"trigger": "numeric_state", "entity_id": "sensor.bathroom_humidity", "above": 60}, "fan.turn_on",
        "fan.bathroom",
    ),
    "turn on the hall light when somebody comes home": (
        {"trigger": "state", "entity_id": ["person.ann", "person.bob"], "to": "home"}, "light.turn_on", "light.hall",
    ),
    "schließe das Garagentor bei Sonnenuntergang": (SUNSET, "cover.close_cover", "cover.garage_door"),
    "schalte das Flurlicht ein, wenn Bewegung erkannt wird": (MOTION, "light.turn_on", "light.hall"),
    "vergrendel de voordeur om 23:00": (ELEVEN, "lock.lock", "lock.front_door"),
    "éteins la lumière du couloir à 23h": (ELEVEN, "light.turn_off", "light.hall"),
    "apri la porta del garage al tramonto": (SUNSET, "cover.open_cover", "cover.garage_door"),
    "apaga la luz del pasillo a las 11 de la noche": (ELEVEN, "light.turn_off", "light.hall"),
    "tranca a porta da frente às 23h": (ELEVEN, "lock.lock", "lock.front_door"),
    "släck lampan i hallen klockan 23": (ELEVEN, "light.turn_off", "light.hall"),
    "открой ворота гаража на закате": (SUNSET, "cover.open_cover", "cover.garage_door"),
    "закрий гаражні ворота на заході сонця": (SUNSET, "cover.close_cover", "cover.garage_door"),
}  # fmt: skip
NOT_READ = (
    "turn on the light at sunset",  # which?
    "turn on the kitchen light at sunset",  # one of two
    "turn on the hall light at 7",  # in the morning, or in the evening?
    "turn on the bedroom light at sunset",  # there is none
    "lock the garage door at sunset",  # is no lock
    "don't open the garage door at sunset",
    "schalte das Flurlicht nicht ein bei Sonnenuntergang",
    "turn off all the lights except the porch lamp at 23:00",
    "turn on the hall light at sunset and off at 23:00",  # two automations
    "turn on the hall light from sunset to 23:00",
    "turn on the hall light when motion is detected at 23:00",  # when, and what if not?
    "turn off the hall light at 25:00",
    "turn on the pump at sunset",  # a setting of a device
    "turn on the hall light",  # never
    "when motion is detected",
    "hall",
    "",
)


@pytest.mark.parametrize("request_", READ)
def test_a_plain_request_is_answered_as_it_says(request_: str) -> None:
    trigger, service, target = READ[request_]
    automation = parse_automation(YamlGenerator(None).generate(request_, HOME) or "")
    assert automation["triggers"] == [trigger]
    assert automation["actions"] == [{"action": service, "target": {"entity_id": target}}]
    assert "conditions" not in automation


@pytest.mark.parametrize("request_", NOT_READ)
def test_what_a_request_leaves_open_is_not_made_up(request_: str) -> None:
    assert read_request(request_, INDEX) is None


def test_what_limits_a_request_becomes_a_condition() -> None:
    conditions = {
        "turn on the hall light at 23:00 on weekdays": {
            "condition": "time", "weekday": ["mon", "tue", "wed", "thu", "fri"],
        },
        "turn on the hall light when motion is detected after sunset": {"condition": "sun", "after": "sunset"},
        "turn on the hall light when motion is detected, but only if Ann is away": {
            "condition": "state", "entity_id": "person.ann", "state": "not_home",
        },
        "turn on the hall light at sunset unless night mode is on": {
            "condition": "not",
            "conditions": [{"condition": "state", "entity_id": "input_boolean.night_mode", "state": "on"}],
        },
    }  # fmt: skip
    for request_, condition in conditions.items():
        assert (read_request(request_, INDEX) or {}).get("conditions") == [condition], request_


def test_a_length_of_time_is_read_on_both_sides() -> None:
    off = read_request("turn off the hall light when there is no motion for 5 minutes", INDEX)
    assert off is not None
    assert off["triggers"] == [{**MOTION, "to": "off", "for": "00:05:00"}]
    for_a_while = read_request("when the front door opens turn on the hall light for 10 minutes", INDEX)
    assert for_a_while is not None
    assert [step.get("action", step.get("delay")) for step in for_a_while["actions"]] == [
        "light.turn_on", "00:10:00", "light.turn_off",
    ]  # fmt: skip


def test_an_entity_is_asked_only_for_what_it_supports() -> None:
    request = "close the garage door at sunset"
    only_stops = [{"entity_id": "cover.garage_door", "device_class": "garage", "supported_features": 8}]
    assert YamlGenerator(None).generate(request, only_stops) is None
    closes = [{"entity_id": "cover.garage_door", "device_class": "garage", "supported_features": 3}]
    assert YamlGenerator(None).generate(request, closes) is not None


def test_words_have_one_spelling_and_a_language() -> None:
    assert tokens_said("Flurlicht") == ["hall", "light"]
    assert tokens_said("voordeur") == ["front", "door"]
    assert {language_of(["schalte", "das", "licht", "ein"]), language_of(["turn", "on", "the", "light"])} == {
        "de",
        "en",
    }
    assert set(LANGUAGES) == set("en de nl fr it es pt sv ru uk".split())
