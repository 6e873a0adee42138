"""One table of domains and device classes, and one rule for entity ids, that all other tables keep to."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_sources import Entity, PatternRow
from data_sources.cold_start import RULES
from home_assistant.automation import services_match_targets
from home_assistant.automation_schema import check_automation
from home_assistant.domains import (
    CLASS_OF_WORD,
    DEVICE_CLASSES,
    DOMAIN_TABLE,
    DOMAINS,
    ENTITIES_IN_EVERY_HOME,
    OLD_DOMAINS,
    OWN_TARGET_DOMAINS,
    PRESENCE_DOMAINS,
    READ_ONLY_DOMAINS,
    SENSOR_DOMAINS,
    class_of,
    is_internal,
)
from home_assistant.entity_id import (
    LOOSE_PATTERN,
    domain_of,
    entity_ids_in,
    is_entity_id,
    normalized_entity_id,
    object_id_of,
    replace_entity_ids,
)
from training.suggestions.actions import PREFERRED, NoRecipeError
from training.suggestions.events import BINARY_EVENTS, NUMBER_EVENTS, events_of
from training.suggestions.recipes import write_automation


def test_each_domain_stands_once_and_in_order() -> None:
    names = [domain.name for domain in DOMAIN_TABLE]
    assert names == sorted(DOMAINS)
    assert len(names) == len(DOMAINS)
    assert all(is_entity_id(f"{name}.x") for name in names)


def test_what_senses_or_tracks_people_only_reports_and_old_domains_have_no_services() -> None:
    assert SENSOR_DOMAINS | PRESENCE_DOMAINS <= READ_ONLY_DOMAINS
    assert not OLD_DOMAINS & (OWN_TARGET_DOMAINS | READ_ONLY_DOMAINS)
    assert {domain_of(entity_id) for entity_id in ENTITIES_IN_EVERY_HOME} <= DOMAINS


def test_every_device_class_that_a_table_names_is_one_of_home_assistant() -> None:
    assert BINARY_EVENTS.keys() <= DEVICE_CLASSES["binary_sensor"]
    assert NUMBER_EVENTS.keys() <= DEVICE_CLASSES["sensor"]
    assert DEVICE_CLASSES.keys() <= DOMAINS
    sensed = DEVICE_CLASSES["binary_sensor"] | DEVICE_CLASSES["sensor"]
    assert set(CLASS_OF_WORD.values()) <= sensed
    for trigger, action, _ in RULES:
        assert trigger in sensed | DOMAINS
        assert action in DOMAINS - READ_ONLY_DOMAINS
    assert PREFERRED.keys() <= DOMAINS - READ_ONLY_DOMAINS


def test_a_name_tells_a_class_where_none_is_given() -> None:
    assert class_of("sensor", None, ["attic", "temp", "2"]) == "sensor:temperature"
    assert class_of("sensor", None, ["motion", "battery"]) == "sensor:battery", "the last word says what it is"
    assert class_of("sensor", "power", ["temp"]) == "sensor:power"
    assert class_of("light", None, ["hall"]) == "light:"


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_an_automation_of_any_domain_calls_services_that_fit_its_target(domain: str) -> None:
    trigger = Entity(entity_id="binary_sensor.hall_motion")
    assert all(event.trigger for event in events_of(Entity(entity_id=f"{domain}.hall"), ""))
    action = Entity(entity_id=f"{domain}.hall")
    if domain in READ_ONLY_DOMAINS:
        with pytest.raises(NoRecipeError, match="cannot act, or needs to be told"):
            write_automation(trigger, "motion", [action], "")
        return
    try:
        recipe = write_automation(trigger, "motion", [action], "")
    except NoRecipeError:
        return  # it acts at another event, or needs to be told what to do
    check_automation(recipe.automation)
    assert services_match_targets(recipe.automation)


def test_a_service_of_another_domain_is_a_mismatch_and_a_group_is_none() -> None:
    def called(service: str, *ids: str) -> bool:
        action = {"action": service, "target": {"entity_id": list(ids)}}
        return services_match_targets({"triggers": [], "actions": [{"if": ["{{ 1 }}"], "then": [action]}]})

    assert called("light.turn_on", "light.hall", "group.hall")
    assert not called("light.turn_on", "light.hall", "switch.hall")
    assert not called("text.set_value", "light.hall")
    assert called("script.dim", "light.hall"), "a script takes what its writer says"
    assert called("tts.cloud_say", "media_player.hall")
    assert called("homeassistant.turn_on", "switch.hall")


@pytest.mark.parametrize("text", ["light.hall", "light.1", "a.b", "sensor.a_1_b", "input_boolean.x"])
def test_home_assistant_accepts_an_id(text: str) -> None:
    assert is_entity_id(text)
    assert re.match(LOOSE_PATTERN, text)


@pytest.mark.parametrize(
    "text",
    [
        *("light", "light.", ".hall", "light.hall.x", "Light.hall", "light.Hall", "light.küche", "light.a-b"),
        *("light.hall ", "light.hall\n", "_light.a", "light_.a", "light._a", "light.a_", "light.a__b", "li__ght.a", ""),
    ],
)
def test_home_assistant_refuses_an_id(text: str) -> None:
    assert not is_entity_id(text)


@given(st.text(string.ascii_letters + string.digits + "_. -é", max_size=12))
def test_the_normal_form_is_settled_and_loose_enough_for_every_id(text: str) -> None:
    normal = normalized_entity_id(text)
    assert normalized_entity_id(normal) == normal == normalized_entity_id(f" {text.upper()}\n")
    if is_entity_id(normal):
        assert re.match(LOOSE_PATTERN, text.strip())
        assert f"{domain_of(normal)}.{object_id_of(normal)}" == normal


def test_a_record_knows_both_parts_of_its_id() -> None:
    pattern = PatternRow(entity_id="light.hall", pattern_type="session", confidence=1, occurrences=1)
    for record in (Entity(entity_id=" light.hall "), pattern):
        assert (record.domain, record.object_id) == ("light", "hall")


TEMPLATE = "{{ states.light.hall.state and is_state('person.anna', 'home') and notify.x }} zwave.a"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        (TEMPLATE, ["light.hall", "person.anna", "notify.x", "zwave.a"]),
        ("{{ states.light.hall }}", ["light.hall"]),
        ("light.a, light.b", ["light.a", "light.b"]),
        ("/local/sound.mp3 me@home.zone x.light.a light.turn_on() weather.com/a trigger.to_state", []),
    ],
)
def test_entity_ids_are_found_in_templates_and_not_in_addresses_or_calls(text: str, ids: list[str]) -> None:
    assert list(entity_ids_in(text)) == ids
    assert replace_entity_ids(text, lambda entity_id: entity_id) == text
    renamed = replace_entity_ids(text, lambda entity_id: f"{domain_of(entity_id)}.new")
    assert list(entity_ids_in(renamed)) == [f"{domain_of(entity_id)}.new" for entity_id in ids]


@pytest.mark.parametrize(
    ("entity_id", "internal"),
    [
        ("switch.washer_child_lock", True),
        ("switch.child_lock", True),
        ("switch.hall_child_lock_2", True),
        ("select.plug_indicator_mode", True),
        ("light.camera_status_led", True),
        ("sensor.hall_motion_linkquality", True),
        ("binary_sensor.phone_update_available", True),
        ("light.child_room", False),
        ("switch.child_lock_reminder", False),
        ("sensor.attic_recalibration", False),
        ("sensor.pump_child_lock", False),  # what a switch sets, a sensor only tells
        ("input_boolean.window_detection", False),  # a helper is a person's own
        ("lock.auto_lock", False),
    ],
)
def test_settings_and_diagnostics_are_told_by_their_names(entity_id: str, internal: bool) -> None:
    assert is_internal(entity_id) is internal
