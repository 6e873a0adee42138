"""What an action needs of an entity, as Home Assistant checks it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner
from support import ROOT

from home_assistant.services import HOME_ASSISTANT_VERSION, REQUIRED_FEATURES, is_known, supports, why_not


@pytest.mark.parametrize(
    ("service", "data", "entity", "features", "has", "why"),
    [
        ("vacuum.start", {}, "vacuum", 16, None, "does not support vacuum.start"),
        ("vacuum.start", {}, "vacuum", 8192, None, ""),
        ("vacuum.start", {}, "vacuum", None, None, ""),
        ("cover.close_cover", {}, "cover", 48, None, "does not support"),
        ("fan.toggle", {}, "fan", 1, None, "does not support"),
        ("water_heater.turn_on", {}, "water_heater", 1, None, "does not support"),
        ("media_player.toggle", {}, "media_player", 128, None, "does not support"),
        ("media_player.toggle", {}, "media_player", 384, None, ""),
        ("light.turn_on", {"brightness_pct": 20}, "light", 0, {"supported_color_modes": ["onoff"]}, "takes no bright"),
        ("light.turn_on", {"brightness_pct": 20}, "light", 0, {"supported_color_modes": ["xy"]}, ""),
        ("light.turn_on", {"brightness_pct": 20}, "light", None, {}, ""),
        ("light.turn_on", {"transition": 5}, "light", 4, {}, "takes no transition"),
        ("light.turn_on", {"rgb_color": [1, 2, 3]}, "light", 32, {"supported_color_modes": ["color_temp"]}, "takes no"),
        (
            "climate.set_preset_mode",
            {"preset_mode": "away"},
            "climate",
            16,
            {"preset_modes": ["eco"]},
            "is none of its",
        ),
        ("climate.set_hvac_mode", {"hvac_mode": "heat"}, "climate", 0, {"hvac_modes": ["off", "cool"]}, "is none of"),
        ("climate.set_hvac_mode", {"hvac_mode": "heat"}, "climate", 0, {"hvac_modes": None}, ""),
        ("select.select_option", {"option": "b"}, "select", None, {"options": ["a"]}, "is none of its options"),
        ("select.select_option", {"option": "{{ states('select.a') }}"}, "select", None, {"options": ["a"]}, ""),
        ("input_select.select_next", {}, "input_select", None, {"options": []}, "has no options"),
        ("number.set_value", {"value": 31}, "number", None, {"min": 0, "max": 30}, "31 is not from 0 to 30"),
        ("number.set_value", {"value": 30}, "number", None, {"min": 0, "max": 30.0}, ""),
        ("climate.set_temperature", {"temperature": 40}, "climate", 1, {"max_temp": 35}, "40 is not from"),
        ("homeassistant.turn_on", {}, "update", 1, None, "there is no update.turn_on"),
        ("homeassistant.turn_on", {}, "group", None, None, ""),
        ("homeassistant.turn_on", {}, "x_new", None, None, ""),
        ("light.flash", {}, "light", None, None, "there is no light.flash"),
        ("notify.mobile_app_phone", {}, "notify", None, None, ""),
    ],
)
def test_an_action_needs_what_home_assistant_asks_for(
    service: str, data: dict[str, Any], entity: str, features: int | None, has: dict[str, Any] | None, why: str
) -> None:
    found = why_not(service, data, entity, features, has)
    assert why in found
    assert bool(why) == bool(found)


def test_the_table_names_its_version_and_has_every_action_that_is_known_to_need_something() -> None:
    assert HOME_ASSISTANT_VERSION.count(".") == 2
    assert all(map(is_known, REQUIRED_FEATURES))
    assert not supports("lock.open", 0)
    assert supports("lock.lock", 0)


def test_the_table_is_written_from_what_a_program_answers(tmp_path: Any) -> None:
    fields = {
        "level": {"filter": {"attribute": {"modes": ["a"]}}},
        "more": {"fields": {"x": {"required": True}}},
        "who": {"selector": {"entity": {}}},
    }
    target = {"entity": [{"domain": ["light"], "supported_features": [4]}]}
    answer = {
        "light": {"turn_on": {"fields": fields, "target": target}},
        "script": {"good_night": {}, "turn_on": {"fields": {}}},
        "demo": {"randomize": {}},
    }
    (tmp_path / "a.json").write_text(json.dumps({"result": answer}))
    namespace: dict[str, Any] = {"__name__": "service_table"}
    exec((ROOT / "benchmarks" / "service_table.py").read_text(encoding="utf-8"), namespace)
    printed = CliRunner().invoke(namespace["main"], [str(tmp_path / "a.json"), "--version", "2027.1.0"]).stdout
    assert json.loads(printed) == {
        "version": "2027.1.0",
        "services": {
            **{f"alert.{name}": {"target": ["alert"]} for name in ("toggle", "turn_off", "turn_on")},
            "light.turn_on": {
                "features": [4],
                "fields": {"level": {"modes": ["a"]}, "x": {}, "who": {}},
                "names": {"who": "entity"},
                "required": ["x"],
                "target": ["light"],
            },
            "script.turn_on": {"fields": {"variables": {}}},
        },
    }
