"""Automations as data: read safely, written as one line and back, held to Home Assistant's schema."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import ROOT

from data_sources import YamlRow, open_source
from home_assistant import AutomationError, TaggedScalar, dump_automation, parse_automation
from home_assistant.answers import automations_in
from home_assistant.automation import (
    services_match_targets,
    starts_enabled,
    structure,
    with_current_keys,
    with_renamed_entities,
)
from home_assistant.automation_schema import check_automation
from training.automations.grounding import Grounding
from training.automations.home_index import HomeIndex
from training.automations.linear import from_linear, to_linear
from training.judging.metrics import f1

OLD = """
alias: Hall
trigger:
  platform: state
  entity_id: [binary_sensor.hall_motion]
  to: "on"
condition: "{{ is_state('person.anna', 'home') }}"
action:
  - service: light.turn_on
    data_template: {entity_id: light.hall, brightness_pct: "{{ 40 if true else 80 }}"}
  - service: notify.phone
    data: {message: !secret greeting}
"""
NEW = """
alias: Hall
triggers:
  - trigger: state
    entity_id: binary_sensor.hall_motion
    to: "on"
conditions:
  - "{{ is_state('person.anna', 'home') }}"
actions:
  - action: light.turn_on
    target: {entity_id: light.hall}
    data: {brightness_pct: "{{ 40 if true else 80 }}"}
  - action: notify.phone
    data: {message: !secret greeting}
"""
LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 9)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)

characters = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))
texts = st.text(st.one_of(characters, st.sampled_from(" \n\t{}\"&<>~^`\\|=[]()!'-:#on1")), max_size=12)
scalars = st.one_of(
    texts,
    st.sampled_from(["on", "off", "true", "null", "12", "1.5", "00:05:00", "|1", "=2", "!secret x", "1e5", "~", "-"]),
    st.booleans(),
    st.none(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.builds(TaggedScalar, st.sampled_from(["!secret", "!input"]), texts),
)
keys = st.one_of(texts, st.sampled_from(["on", "data", "1"]), st.integers(min_value=2))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
)
mappings = st.dictionaries(keys, values, min_size=1, max_size=4)


@given(mappings)
def test_a_line_survives_folding_and_nfkc_and_turns_back_into_the_same_automation(automation: dict[Any, Any]) -> None:
    line = to_linear(automation)
    folded = unicodedata.normalize("NFKC", " ".join(line.split()))
    assert folded == line
    assert not set("{}<~^`\\\n") & set(line), "T5 has no pieces for these"
    assert repr(from_linear(line)) == repr(automation)


@given(mappings)
def test_yaml_turns_back_into_the_same_automation(automation: dict[Any, Any]) -> None:
    whole = {"trigger": [1], **automation, "action": []}
    assert repr(parse_automation(dump_automation(whole))) == repr(whole)


@given(st.text(max_size=60) | st.text(st.sampled_from('|=012[]()"! a&'), max_size=30))
def test_any_other_line_is_refused_or_read_never_anything_else(line: str) -> None:
    try:
        automation = from_linear(line)
    except AutomationError:
        return
    assert repr(from_linear(to_linear(automation))) == repr(automation)


def test_automations_of_the_sample_survive_and_are_valid() -> None:
    rows = list(open_source(json_input=str(ROOT / "simulation" / "training_data")).read(YamlRow))
    assert len(rows) == 320
    for row in rows[::4]:  # benchmarks/yaml_round_trip.py takes all
        automation = parse_automation(row.output)
        assert repr(from_linear(to_linear(automation))) == repr(automation)
        check_automation(automation)
        assert services_match_targets(automation)
        hidden = Grounding(row.input, HomeIndex.of(row.entities))
        plain = with_current_keys(automation)
        assert repr(hidden.restore(hidden.hide(plain))) == repr(plain)


def test_scalars_mean_what_they_mean_to_home_assistant() -> None:
    automation = parse_automation(
        'trigger: [1]\naction: []\na: on\nb: "on"\nc: 2026-01-02\nd: 010\ne: "07:30"\nf: !input x\ng: ~\nh: 1.0'
    )
    assert [automation[key] for key in "abcdefgh"] == [
        True, "on", "2026-01-02", 8, "07:30", TaggedScalar("!input", "x"), None, 1.0,
    ]  # fmt: skip
    assert to_linear({"state": "on", "enabled": True}) == "|0 state on |0 enabled true"
    assert '"on"' in dump_automation({"state": "on"}).replace("'", '"')


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("triggers: [", "not YAML"),
        ("just words", "holds a text"),
        ("- 1\n- 2", "holds a list"),
        (LAUGHS + "triggers: *g\nactions: []", "more than 20000 values once its aliases are written out"),
        ("triggers: &a [*a]\nactions: []", "nested deeper than 40"),
        ("[" * 10_000, "nested deeper than 40"),
        ("triggers: !!python/object/apply:os.system [ls]\nactions: []", "it would build an object"),
        ("triggers: !!binary aGk=\nactions: []", "it would build an object"),
        ("triggers: !new {a: 1}\nactions: []", "it would build an object"),
        ("alias: x\nactions: []", "has no trigger"),
        ("triggers: []\nactions: []", "has no trigger"),
        ("triggers: [{trigger: sun}]", "has no action"),
        ("triggers: [1]\ntriggers: [2]\nactions: []", "'triggers' in line 2 stands there twice"),
        ("triggers: [.nan]\nactions: []", "is no finite number"),
        ("--- {}\n--- {}", "not YAML"),
        ("", "is empty"),
        ("a" * 200_001, "200001 characters"),
    ],
)
def test_what_is_no_automation_is_said_in_a_line(text: str, why: str) -> None:
    with pytest.raises(AutomationError, match=why) as caught:
        parse_automation(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


def test_old_and_new_spelling_are_the_same_automation() -> None:
    old, new = parse_automation(OLD), parse_automation(NEW)
    check_automation(old)
    check_automation(new)
    assert (
        repr(with_current_keys(old)) == repr(with_current_keys(new)) == repr(with_current_keys(with_current_keys(old)))
    )
    made_of = structure(old)
    assert made_of == structure(new)
    assert made_of.triggers == {"state"}
    assert made_of.services == {"light.turn_on", "notify.phone"}
    assert made_of.entities == {"binary_sensor.hall_motion", "person.anna", "light.hall"}


TRIGGERS = "triggers: [{trigger: time, at: '07:00'}]\n"
VALID = {
    "choose and repeat": TRIGGERS
    + """
actions:
  - choose: {conditions: "{{ true }}", sequence: {delay: {minutes: 5}}}
    default: []
  - repeat: {count: 2, sequence: [{event: done, event_data: {a: 1}}]}
  - if: {condition: sun, after: sunset}
    then: {stop: done}
  - parallel: [{scene: scene.movie}, {sequence: [{variables: {a: 1}}]}]
  - wait_for_trigger: {trigger: state, entity_id: light.a, to: null}
    timeout: 00:01:00
""",
    "device": "trigger: {platform: device, device_id: a, domain: hue, type: press, subtype: up}\n"
    "action: {device_id: a, domain: light, type: toggle, entity_id: light.a}",
    "blueprint": "use_blueprint: {path: motion.yaml, input: {light: light.a}}\nalias: x",
    "or": TRIGGERS + "conditions: [{or: [{condition: state, entity_id: light.a, state: [a, b]}, \"{{ 1 }}\"]}]\n"
    "actions: []\nmode: queued\nmax: 3\nmax_exceeded: silent",
    "attribute": "triggers: {trigger: state, entity_id: light.a, attribute: brightness, from: 255, for: {minutes: 1}}\n"
    "actions: {wait_template: '{{ true }}', continue_on_timeout: false}",
}  # fmt: skip
INVALID = {
    "actions: [{action: light.turn_on, target: {entity: light.a}}]": "actions.0.target.entity: extra keys",
    "actions: [{action: light}]": "'light' is not a service",
    "actions: [{action: a.b, service: a.b}]": "say the same",
    "actions: [{condition: state, entity_id: light.a, state: on}]": "on and off need quotes",
    "actions: [{action: a.b, data: {x: '{{ 1 + }}'}}]": "template:",
    "actions: [{delay: soon}]": "is not a time",
    "actions: [{repeat: {sequence: []}}]": "needs count or while",
    "actions: [{wait: 3}]": "is no action",
    "actions: []\nmode: twice": "mode: 'twice' is not single",
    "actions: []\nconditions: [{condition: numeric_state, entity_id: sensor.a}]": "needs above or below",
    "actions: []\nconditions: always": "is no template",
    "actions: []\ntrigger: []": "triggers and trigger say the same",
    "actions: []\ncolour: red": "colour: extra keys",
}


@pytest.mark.parametrize("name", VALID)
def test_what_home_assistant_takes_is_valid(name: str) -> None:
    automation = parse_automation(VALID[name])
    check_automation(automation)
    check_automation(with_current_keys(automation))
    assert repr(from_linear(to_linear(automation))) == repr(automation)


@pytest.mark.parametrize("text", INVALID)
def test_what_home_assistant_refuses_is_not(text: str) -> None:
    with pytest.raises(AutomationError, match=INVALID[text]):
        check_automation(parse_automation(TRIGGERS + text))


def test_a_request_loses_its_names_and_numbers_and_the_automation_gets_them_back() -> None:
    home = HomeIndex.of(["light.hall_lamp", "light.attic", "binary_sensor.hall_motion", "climate.x"])
    request = "dim the Hall Lamp to 40% at 7:30 and set the thermostat to 21.5, 5 minutes after hall motion"
    grounding = Grounding(request, home)
    assert grounding.source.startswith(
        "dim the light.1 to n1 % at t1 and set the thermostat to n2 , n3 minutes after binary_sensor.1 |"
    )
    automation = {
        "triggers": [{"trigger": "time", "at": "07:30:00", "for": "00:05:00"}],
        "actions": [
            {"action": "light.turn_on", "target": {"entity_id": "light.hall_lamp"}, "data": {"brightness_pct": 40}},
            {"action": "climate.set_temperature", "target": {"entity_id": "climate.x"}, "data": {"temperature": 21.5}},
            {"condition": "template", "value_template": "{{ is_state('binary_sensor.hall_motion', 'on') }}"},
        ],
    }
    hidden = grounding.hide(automation)
    line = to_linear(hidden)
    for name in ("hall", "07:30", "40", "21.5", "climate.x"):
        assert name not in line
    assert repr(grounding.restore(hidden)) == repr(automation)
    with pytest.raises(AutomationError, match="no such number"):
        grounding.restore({"brightness_pct": "n9"})
    assert "light.1" in with_renamed_entities(automation, lambda _: "light.1")["actions"][0]["target"]["entity_id"]


def test_where_a_request_names_what_acts_only_what_reports_is_hinted_at() -> None:
    home = HomeIndex.of(["light.hall_lamp", "light.hall_attic", "binary_sensor.hall_motion"])
    assert Grounding("hall lamp off after motion in the hall", home).source.endswith("| binary_sensor.1")
    assert Grounding("lamp off after motion in the hall", home).source.endswith("| binary_sensor.1 light.1 light.2")


def test_a_word_of_a_domain_is_no_name_of_an_entity_unless_people_call_a_device_by_it() -> None:
    home = HomeIndex.of(["media_player.radio", "sensor.motion", "light.tag"])
    assert [mention.entity_ids for mention in home.mentions("turn on the radio at motion by tag")] == [
        ["media_player.radio"]
    ]


def test_f1_of_sets() -> None:
    assert f1((), ()) == 1.0
    assert f1({"a"}, ()) == 0.0
    assert f1({"a", "b"}, {"b", "c"}) == 0.5


def test_unusable_rows_are_counted_with_the_reason(tmp_path: Any) -> None:
    good = {"input": "x", "output": TRIGGERS + "actions: []"}
    rows = [*([good] * 20), {"input": "y", "output": "triggers: [1"}, {"input": "z"}]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    source = open_source(json_input=str(tmp_path / "rows.json"))
    assert len(list(source.read(YamlRow))) == 20
    assert source.report.rejected["row"] == 2
    assert "row 21: output: not YAML (" in source.report.reasons[0]
    assert "row 22: output: missing" in source.report.reasons[1]


@pytest.mark.parametrize("word", [False, "off", "Off", "false", "no", 0, "0", "disable"])
def test_an_automation_starts_disabled_with_any_word_for_false_wherever_it_was_read(word: object) -> None:
    config = {"alias": "A", "triggers": [], "actions": [], "initial_state": word}
    assert not starts_enabled(config)
    for value in ([config], config, {"automation.a": {"config": config}}):
        assert [found.enabled for found in automations_in(value, "saved.json")] == [False]


@pytest.mark.parametrize("word", [True, "on", None])
def test_an_automation_starts_enabled_with_any_other(word: object) -> None:
    assert starts_enabled({"initial_state": word})
    assert starts_enabled({})
