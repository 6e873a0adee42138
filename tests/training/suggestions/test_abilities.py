"""A suggestion asks of an entity what it supports, or something that comes to the same, or is not made."""

from __future__ import annotations

from typing import Any

import pytest

from data_sources import Entity
from home_assistant import check_automation
from home_assistant.domains import DOMAINS
from home_assistant.services import is_known, why_not
from training.suggestions.abilities import supported_steps
from training.suggestions.actions import _ACTIONS, NoRecipeError, Step, actions_of
from training.suggestions.recipes import Recipe, write_automation

LEAVES, NIGHT, HEAT = "person.p", "input_boolean.night", "sensor.t temperature"
DOOR, MOTION, WINDOW = "binary_sensor.d door", "binary_sensor.m motion", "binary_sensor.w window"
COPIED = "{{ states('input_number.a') | float(0) }}"
KEPT = "{{ [[states('input_number.a') | float(0), 10] | max, 30.5] | min }}"


def written(trigger: str, *actions: Entity, **more: Any) -> Recipe:
    entity_id, _, device_class = trigger.partition(" ")
    started = Entity(entity_id=entity_id, capabilities=more.pop("offers", None))
    made = write_automation(started, device_class, actions, "", **more)
    check_automation(made.automation)
    return made


def called(trigger: str, *actions: Entity, **more: Any) -> tuple[str, dict[str, Any]]:
    step = written(trigger, *actions, **more).automation["actions"][0]
    return step["action"], step.get("data", {})


def entity(entity_id: str, features: int | None = None, **has: Any) -> Entity:
    return Entity(entity_id=entity_id, supported_features=features, capabilities=has or None)


@pytest.mark.parametrize(
    ("trigger", "action", "service", "data"),
    [
        ("sun.sun", entity("cover.c", 15), "cover.close_cover", {}),
        ("sun.sun", entity("cover.c", 4), "cover.set_cover_position", {"position": 0}),
        ("sun.sun", entity("cover.c", 48), "cover.close_cover_tilt", {}),
        ("sun.sun", entity("cover.c", 128), "cover.set_cover_tilt_position", {"tilt_position": 0}),
        ("button.b", entity("cover.c", 48), "cover.toggle_cover_tilt", {}),
        ("person.p", entity("vacuum.v", 16 | 8192), "vacuum.start", {}),
        ("person.p", entity("vacuum.v", 16), "vacuum.return_to_base", {}),
        ("person.p", entity("vacuum.v", 8), "vacuum.stop", {}),
        ("person.p", entity("media_player.m", 16384), "media_player.media_play", {}),
        ("media_player.a", entity("media_player.m", 4096), "media_player.media_stop", {}),
        ("media_player.a", entity("media_player.m", 8), "media_player.volume_mute", {"is_volume_muted": True}),
        ("media_player.a", entity("light.l", 0, supported_color_modes=["hs"]), "light.turn_on", {"brightness_pct": 20}),
        ("media_player.a", entity("light.l", 0, supported_color_modes=["onoff"]), "light.turn_off", {}),
        ("binary_sensor.m motion", entity("fan.f", 1), "fan.set_percentage", {"percentage": 50}),
        ("binary_sensor.l moisture", entity("valve.v", 4), "valve.set_valve_position", {"position": 0}),
        (WINDOW, entity("climate.c", 1, hvac_modes=["off", "heat"]), "climate.set_hvac_mode", {"hvac_mode": "off"}),
        (HEAT, entity("climate.c", 1, hvac_modes=["off", "auto"]), "climate.set_hvac_mode", {"hvac_mode": "auto"}),
        (LEAVES, entity("climate.c", 16, preset_modes=["eco"]), "climate.set_preset_mode", {"preset_mode": "eco"}),
        (LEAVES, entity("climate.c", 128, hvac_modes=["off", "heat"]), "climate.turn_off", {}),
        (LEAVES, entity("alarm_control_panel.a", 1), "alarm_control_panel.alarm_arm_home", {}),
        (LEAVES, entity("select.s", options=["Home", "Far"]), "select.select_option", {"option": "Home"}),
        (NIGHT, entity("select.s", options=["Day", "Night"]), "select.select_option", {"option": "Night"}),
        ("input_number.a", entity("number.n", min=10, max=30.5), "number.set_value", {"value": KEPT}),
        ("input_number.a", entity("number.n"), "number.set_value", {"value": COPIED}),
        (DOOR, entity("text.t", min=0, max=20), "text.set_value", {"value": "D opens"}),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_done_another_way(
    trigger: str, action: Entity, service: str, data: dict[str, Any]
) -> None:
    assert called(trigger, action) == (service, data)


@pytest.mark.parametrize(
    ("trigger", "action", "why"),
    [
        (MOTION, entity("cover.c", 0), "a cover cannot do what would be asked"),
        ("sun.sun", entity("cover.c", 8), "a cover cannot do what would be asked"),
        ("schedule.s", entity("vacuum.v", 512), "a vacuum cannot do what would be asked"),
        ("schedule.s", entity("media_player.m", 4), "a media player cannot do what would be asked"),
        ("schedule.s", entity("water_heater.w", 1), "a water heater cannot do what would be asked"),
        ("binary_sensor.s smoke", entity("siren.s", 4), "a siren cannot do what would be asked"),
        ("sensor.t temperature", entity("climate.c", 1, hvac_modes=["off", "fan_only"]), "a climate device cannot do"),
        (DOOR, entity("text.t", max=10), "a text cannot do what would be asked"),
        (DOOR, entity("text.t", pattern="[0-9]+"), "a text cannot do what would be asked"),
        (DOOR, entity("input_text.t", mode="password"), "an input text cannot do what would be asked"),
        (DOOR, entity("input_text.t", min=90), "longer than what there is to say"),
        (DOOR, entity("select.s", options=[]), "a select cannot do what would be asked"),
        ("automation.a", entity("automation.b"), "one automation would run another"),
        (DOOR, entity("assist_satellite.s", 3), "an assist satellite cannot do what would be asked"),
    ],
)
def test_what_cannot_be_done_at_all_is_not_suggested(trigger: str, action: Entity, why: str) -> None:
    with pytest.raises(NoRecipeError, match=why):
        written(trigger, action)


def test_a_speaker_that_plays_nothing_announces_nothing() -> None:
    speaks = {"entity_ids": ["tts.piper"]}
    assert called(DOOR, entity("media_player.m", 512), **speaks)[0] == "tts.speak"
    with pytest.raises(NoRecipeError):
        written(DOOR, entity("media_player.m", 384), **speaks)


def test_several_do_only_what_all_of_them_support() -> None:
    able, tilting = entity("cover.c_1", 15), entity("cover.c_2", 48)
    assert called("sun.sun", able, able)[0] == "cover.close_cover"
    with pytest.raises(NoRecipeError):
        written("sun.sun", able, tilting)


def test_a_choice_is_copied_only_where_both_have_it() -> None:
    def copied(*options: str) -> Recipe:
        return written("input_select.i", entity("select.s", options=list(options)), offers={"options": ["a", "b"]})

    assert copied("a", "b", "c").adjust == ()
    assert copied("a", "c").adjust == ("it has no b",)
    other = copied("x", "y").automation["actions"][0]
    assert other["action"] == "select.select_first"


def test_notes_are_only_those_that_the_entities_leave_open() -> None:
    def notes(trigger: str, action: Entity) -> str:
        return " ".join(written(trigger, action).adjust)

    assert "`code:`" in notes(LEAVES, entity("alarm_control_panel.a", 2))
    assert "`code:`" in notes(LEAVES, entity("alarm_control_panel.a", 2, code_arm_required=True))
    assert notes(LEAVES, entity("alarm_control_panel.a", 2, code_arm_required=False)) == ""
    assert "`code:`" in notes(LEAVES, entity("lock.l", 0, code_format="^\\d{4}$"))
    assert notes(LEAVES, entity("lock.l", 0)) == ""
    assert "another mode" in notes("sensor.t temperature", entity("climate.c"))
    assert "another mode" not in notes("sensor.t temperature", entity("climate.c", 1, hvac_modes=["off", "heat"]))
    assert "kept from 10 to 30" in notes("input_number.a", entity("number.n", min=10, max=30))
    assert "Day, Dusk" in notes(DOOR, entity("select.s", options=["Day", "Dusk"]))


@pytest.mark.parametrize("option", ["{{ evil }}", "{% x %}", "{name}", "'", '"', "a: b", "{# no #} night"])
def test_no_option_is_a_template_or_breaks_a_sentence(option: str) -> None:
    made = written("input_boolean.night", entity("select.s", options=[option, "night {x}"])).automation
    step = made["actions"][0]
    assert step["action"] == "select.select_option"
    assert step["data"] == {"option": "night {x}"}


def test_a_text_is_never_longer_than_what_holds_it() -> None:
    named = Entity(entity_id="binary_sensor.d", name="A door with a very long name " * 20)
    made = write_automation(named, "door", [entity("input_text.t", max=30)], "").automation
    assert len(made["actions"][0]["data"]["value"]) == 30


FEATURES = (0, 1, 2, 4, 8, 16, 32, 48, 64, 128, 256, 512, 4096, 8192, 16384)
HAS: tuple[dict[str, Any], ...] = (
    {},
    {"hvac_modes": ["off"], "preset_modes": ["none"], "options": ["x"], "supported_color_modes": ["onoff"]},
    {"hvac_modes": ["heat", "dry"], "preset_modes": [], "options": ["Away", "Night"], "supported_color_modes": ["xy"]},
)


def test_nothing_that_is_written_is_refused_by_what_the_entity_has() -> None:
    trigger, seen = Entity(entity_id="select.s"), set()
    for domain in sorted(DOMAINS):
        for features in FEATURES:
            for has in HAS:
                action = entity(f"{domain}.a", features, **has)
                try:
                    steps = actions_of(action, "", [])
                    steps = supported_steps(steps, steps, trigger, [action])
                except NoRecipeError:
                    continue
                for step in steps.values():
                    given = step.service, step.data, domain, features, action.capabilities
                    assert why_not(*given) == "", given
                    seen.add(step.service)
    assert len(seen) > 40


def test_every_action_that_is_ever_written_exists() -> None:
    def services(step: Step) -> set[str]:
        return {step.service}.union(*map(services, step.instead))

    written_at_all = {service for steps in _ACTIONS.values() for step in steps.values() for service in services(step)}
    assert {service for service in written_at_all if not is_known(service)} == set()
