"""The schema says what Home Assistant says: one case or more of each rule that people meet."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from home_assistant.automation_schema import check_automation
from home_assistant.automation_table import automation_table
from home_assistant.automation_yaml import AutomationError, parse_yaml
from home_assistant.domains import HOME_ASSISTANT_VERSION
from home_assistant.templates import template_error

TRIGGER = "triggers: [{trigger: state, entity_id: binary_sensor.door, to: 'on'}]\n"
ACTION = "actions: [{action: light.turn_on, target: {entity_id: light.hall}}]\n"
TARGET = "target: {entity_id: light.hall}"
ABOVE = "threshold: {type: above, value: {number: 5}}"


def why_refused(text: str) -> str:
    """Why the automation is refused; "" where it is not."""
    try:
        check_automation(parse_yaml(text))
    except AutomationError as error:
        return str(error)
    return ""


def of_trigger(inner: str) -> str:
    return why_refused("triggers: [{" + inner + "}]\n" + ACTION)


def of_condition(inner: str) -> str:
    return why_refused(f"{TRIGGER}conditions: [{inner}]\n{ACTION}")


def of_action(inner: str) -> str:
    return why_refused(f"{TRIGGER}actions: [{inner}]\n")


@pytest.mark.parametrize(
    "text",
    [
        "triggers: []\nactions: []", "triggers:\nactions:", TRIGGER + "actions:", TRIGGER + ACTION + "max: '5'",
        TRIGGER + ACTION + "max_exceeded: SILENT", TRIGGER + ACTION + "trace: {stored_traces: 10}",
        TRIGGER + ACTION + "description: 5", TRIGGER + ACTION + "initial_state: 'off'",
        TRIGGER + ACTION + "variables: {'any name': '{{ 1 }}'}", TRIGGER + ACTION + "id: !secret id",
        "triggers: [{triggers: [{trigger: state, entity_id: light.a}]}]\n" + ACTION,
        "use_blueprint: {path: someone/else.yaml}\ntriggers: []\nalias: x",
        "use_blueprint: {path: homeassistant/motion_light.yaml, input: {motion_entity: a, light_target: b}}",
    ],
)  # fmt: skip
def test_settings_that_home_assistant_takes(text: str) -> None:
    assert why_refused(text) == ""


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("id: 12", "id: 12 is not a text"),
        ("id:", "id: None is not a text"),
        ("description:", "description: None is not a text"),
        ("alias:", "alias: None is not a text"),
        ("alias: [a]", "alias: ['a'] is not a text"),
        ("alias: !own x", "alias: !own is no tag"),
        ("mode: twice", "mode: 'twice' is not single"),
        ("max: 1", "max: 1 is not a whole number from 2 up"),
        ("trace: {stored_traces: -1}", "trace.stored_traces: -1"),
        ("variables: [a]", "variables: expected a mapping"),
        ("variables: {a: '{{ 1 + }}'}", "variables.a: template"),
        ("note: x", "note: extra keys"),
        ("on: x", "True: extra keys"),
        ("use_blueprint: {path: ../a.yaml}", "use_blueprint.path"),
        ("use_blueprint: {path: homeassistant/motion_light.yaml}", "misses light_target, motion_entity"),
        ("use_blueprint: {path: a.yaml, input: }", "use_blueprint.input: expected a mapping"),
    ],
)
def test_settings_that_home_assistant_refuses(line: str, why: str) -> None:
    assert why in why_refused(TRIGGER + ACTION + line)


@pytest.mark.parametrize(
    "inner",
    [
        "trigger: state, entity_id: 'light.a, LIGHT.b', not_to: [a]",
        "trigger: state, entity_id: 4a7bacd95b7bdf007b2085bc25396991",
        "trigger: state, entity_id: light.a, attribute: brightness, to: {a: 1}",
        "trigger: state, entity_id: light.a, for: 0:5:0",
        "trigger: state, entity_id: light.a, for: {minutes: '{{ 5 }}'}, note: why, enabled: maybe",
        "trigger: state, options: {entity_id: light.a, to: 'on'}, id: x",
        "platform: numeric_state, entity_id: sensor.a, above: '1e3'",
        "trigger: numeric_state, entity_id: sensor.a, above: sensor.b, below: 3",
        "trigger: time, at: ['7:5', input_datetime.a, '{{ x }}', {entity_id: sensor.a, offset: '-00:05'}]",
        "trigger: time_pattern, hours: '/2', minutes: 0",
        "trigger: sun, event: SUNSET, offset: -1800",
        "trigger: sun, options: {event: sunset}",
        "trigger: sun.dusk, options: {type: civil, offset: '-00:10'}",
        "trigger: zone, entity_id: 'person.a, person.b', zone: zone.home",
        "trigger: zone.entered, target: {entity_id: person.a}, options: {zone: zone.home}",
        "trigger: mqtt, topic: a/+/#, payload: on, qos: '1'",
        "trigger: webhook, webhook_id: a, allowed_methods: [post, Put]",
        "trigger: conversation, command: '[please] turn (on|off) {name}'",
        "trigger: event, event_type: [a, '{{ b }}'], event_data: {a: {b: 1}}",
        "trigger: calendar.event_started, target: {entity_id: calendar.a}, options: {offset: 5}",
        f"trigger: light.turned_on, {TARGET}, options: {{behavior: each, for: 5}}",
        f"trigger: light.turned_on, {TARGET}, options: {{behavior: any}}",
        "trigger: door.opened, target: {area_id: a, exclude: {entity_id: cover.b}}",
        f"trigger: light.brightness_crossed_threshold, {TARGET}, options: {{{ABOVE}}}",
        "trigger: zwave_js.event, entity_id: lock.a, event_source: node, event: x",
        "trigger: zwave_js.value_updated, entity_id: lock.a, command_class: 98, property: x",
        "trigger: knx.telegram, destination: 1/2/3, incoming: true",
        "trigger: litejet, number: 5, held_more_than: 1",
        "trigger: samsungtv.turn_on, entity_id: media_player.a",
        "trigger: device, device_id: a, domain: light, type: turned_on, entity_id: light.a",
        "trigger: device, device_id: a, domain: homekit_controller, type: button1, subtype: single_press",
        "trigger: device, device_id: a, domain: zha, type: remote_button_short_press, subtype: turn_on",
        "trigger: !secret kind, anything: 1",
    ],
)
def test_triggers_that_home_assistant_takes(inner: str) -> None:
    assert of_trigger(inner) == ""


@pytest.mark.parametrize(
    ("inner", "why"),
    [
        ("trigger: state, entity_id: light.a, to: on", "triggers.0.to: True is not a state"),
        ("trigger: state, entity_id: light.a, to: a, not_to: b", "to and not_to"),
        ("trigger: state, entity_id: light.a, platform: state", "trigger and platform say the same"),
        ("trigger: state, entity_id: all", "triggers.0.entity_id: 'all' is not an entity id"),
        ("trigger: state, entity_id: [light.a, '{{ x }}']", "triggers.0.entity_id.1"),
        ("trigger: state, entity_id: !input a", "entity_id"),
        ("trigger: state, entity_id: light.a, id: 5", "triggers.0.id"),
        ("trigger: state, entity_id: light.a, alias: 5", "triggers.0.alias"),
        ("trigger: state, entity_id: light.a, for: -5", "triggers.0.for"),
        ("trigger: state, entity_id: light.a, for: {minute: 5}", "triggers.0.for"),
        ("trigger: state, options: {entity_id: light.a}, to: 'on'", "options: extra keys"),
        ("trigger: numeric_state, entity_id: sensor.a, above: 10, below: '5'", "above 10 and below 5"),
        ("trigger: numeric_state, entity_id: sensor.a, above: light.a", "triggers.0.above"),
        ("trigger: time, at: light.a", "triggers.0.at:"),
        ("trigger: time, at: '24:00'", "triggers.0.at:"),
        ("trigger: time_pattern, minutes: '/0'", "triggers.0.minutes"),
        ("trigger: time_pattern, hours: 24", "triggers.0.hours"),
        ("trigger: sun, offset: 5", "triggers.0.event: required"),
        ("trigger: sun.nightfall", "'sun.nightfall' is no kind of trigger"),
        ("trigger: zone, entity_id: person.a, zone: [zone.home]", "triggers.0.zone"),
        ("trigger: mqtt, topic: a/#/b", "# has to be the last"),
        ("trigger: mqtt, topic: a, qos: 3", "triggers.0.qos"),
        ("trigger: webhook, webhook_id: a, allowed_methods: [post, POST]", "twice"),
        ("trigger: webhook, webhook_id: a, local_only: 'yes'", "triggers.0.local_only"),
        ("trigger: conversation, command: hello!", "no punctuation"),
        ("trigger: conversation, command: 'turn (on'", "never closed"),
        ("trigger: conversation, command: 'a) b'", "never opened"),
        ("trigger: conversation, command: 'a|b;c'", "in one group"),
        ("trigger: conversation, command: []", "at least one"),
        ("trigger: event, event_type: state_reported", "state_reported"),
        ("trigger: event, event_type: a, event_data: '{{ x }}'", "event_data: expected a mapping"),
        ("trigger: persistent_notification, notification_id: 5", "notification_id"),
        ("trigger: template, value_template: '{{ x | no_such }}'", "No filter named 'no_such'"),
        ("trigger: light, entity_id: light.a", "'light' is no kind of trigger"),
        ("trigger: light.turned_on", "triggers.0.target: required"),
        ("trigger: light.turned_on, entity_id: light.a", "triggers.0.entity_id: extra keys"),
        (f"trigger: light.turned_on, {TARGET}, options: {{behaviour: all}}", "options.behaviour: extra keys"),
        (f"trigger: light.turned_on, {TARGET}, for: 5", "triggers.0.for: extra keys"),
        ("trigger: light.turned_on, target: {entity_id: 'light.a, light.b'}", "target.entity_id:"),
        ("trigger: light.turned_on, target: {exclude: {area_id: a}}", "something to exclude from"),
        (f"trigger: light.brightness_changed, {TARGET}", "options.threshold: required"),
        (f"trigger: temperature.changed, {TARGET}, options: {{{ABOVE}}}", "unit_of_measurement of K"),
        ("trigger: climate.hvac_mode_changed, target: {area_id: a}, options: {hvac_mode: warm}", "'warm' is not auto"),
        ("trigger: zwave_js.event, event_source: node, event: x, nod: 1", "triggers.0.nod: extra keys"),
        ("trigger: device, device_id: a, domain: tag, type: b", "has no device triggers"),
        ("trigger: device, device_id: a, domain: light, type: dimmed, entity_id: light.a", "triggers.0.type"),
    ],
)
def test_triggers_that_home_assistant_refuses(inner: str, why: str) -> None:
    assert why in of_trigger(inner)


@pytest.mark.parametrize(
    "inner",
    [
        "{condition: state, entity_id: light.a, state: ['on'], match: ANY, for: 5, note: why}",
        "{condition: state, entity_id: light.a, attribute: x, state: 5}",
        "{condition: numeric_state, entity_id: sensor.a, above: 9, below: 5}",
        "{condition: sun, options: {after: SUNSET}}",
        "{condition: sun, before: sunrise, before_offset: -00:30}",
        "{condition: zone, options: {entity_id: person.a, zone: [zone.home, zone.work]}}",
        "{condition: time, after: time.a, weekday: [mon]}",
        "{condition: trigger, id: [a, 5]}",
        "{condition: [{condition: template, value_template: x}, '{{ y }}'], alias: z}",
        "{or: '{{ x }}', enabled: '{{ y }}'}",
        f"{{condition: light.is_on, {TARGET}, options: {{behavior: all}}}}",
        f"{{condition: light.is_brightness, {TARGET}, options: {{{ABOVE}}}}}",
        "{condition: sun.is_up}",
        "{condition: device, device_id: a, domain: light, type: is_on, entity_id: light.a}",
        "'{{ x }}'",
    ],
)
def test_conditions_that_home_assistant_takes(inner: str) -> None:
    assert of_condition(inner) == ""
    assert of_action(inner if inner.startswith("{") else f"{{condition: {inner}}}") == ""


@pytest.mark.parametrize(
    ("inner", "why"),
    [
        ("{condition: state, options: {entity_id: light.a, state: x}}", "options: extra keys"),
        ("{condition: state, entity_id: light.a, state: 'on', id: x}", "conditions.0.id: extra keys"),
        ("{condition: state, entity_id: light.a, state: input_text.a, for: 5}", "cannot be held"),
        ("{condition: state, entity_id: light.a, attribute: x, state: a, for: 5}", "cannot be held"),
        ("{condition: numeric_state, entity_id: sensor.a, below: light.b}", "conditions.0.below"),
        ("{condition: time, before: '24:00'}", "conditions.0.before"),
        ("{condition: time, after: 22:00}", "conditions.0.after"),
        ("{condition: '{{ true }}'}", "is no kind of condition"),
        ("{condition: sun, options: {after_offset: 5}}", "needs before or after"),
        ("{and: [], or: []}", "extra keys"),
        ("{condition: and, and: []}", "conditions.0"),
        ("{condition: light.is_on}", "conditions.0.target: required"),
        (f"{{condition: light.is_on, {TARGET}, options: {{behavior: each}}}}", "options.behavior"),
        (f"{{condition: light.is_brightness, {TARGET}, options: {{threshold: {{type: any}}}}}}", "needs type"),
        ("always", "is no template"),
        ("5", "is no template"),
    ],
)
def test_conditions_that_home_assistant_refuses(inner: str, why: str) -> None:
    assert why in of_condition(inner)


@pytest.mark.parametrize(
    "inner",
    [
        "{action: light.turn_on, target: {area_id: a, exclude: {entity_id: light.b, label_id: '{{ x }}'}}}",
        "{action: LIGHT.turn_on, target: {entity_id: ALL, area_id: , device_id: none}, note: why}",
        "{action: light.turn_on, target: {entity_id: [light.a, anything, '{{ x }}']}}",
        "{action: light.turn_on, data: plain, data_template: {a: '{{ x }}'}, response_variable: myVar, metadata: {}}",
        "{service_template: 'light.turn_{{ x }}', entity_id: 'light.a, light.b', continue_on_error: 1}",
        "{delay: {minutes: '{{ 5 }}'}}",
        "{wait_template: x, timeout: '{{ y }}', continue_on_timeout: 'no'}",
        "{wait_for_trigger: [{triggers: [{trigger: state, entity_id: light.a}]}]}",
        "{choose: {conditions: , sequence: , note: why}, default: []}",
        "{if: '{{ x }}', then: {stop: }, else: []}",
        "{repeat: {count: true, sequence: []}}",
        "{repeat: {for_each: ['{{ x }}'], sequence: {event: true}}}",
        "{parallel: [[{delay: 1}, {delay: 2}], {delay: 3}, {sequence: [], alias: x}, ]}",
        "{parallel: {delay: 1}}",
        "{scene: SCENE.movie}",
        "{stop: x, error: 'off', response_variable: r}",
        "{set_conversation_response: 5}",
        "{device_id: a, domain: light, type: turn_on, entity_id: light.a, metadata: {}}",
        "{device_id: a, domain: zha, type: squawk}",
    ],
)
def test_actions_that_home_assistant_takes(inner: str) -> None:
    assert of_action(inner) == ""


@pytest.mark.parametrize(
    ("inner", "why"),
    [
        ("{action: light.turn_on, id: x}", "actions.0.id: extra keys"),
        ("{action: light__x.turn_on}", "is not a service"),
        ("{action: light.turn_on, entity_id: 4a7bacd95b7bdf007b2085bc25396991}", "actions.0.entity_id"),
        ("{action: light.turn_on, target: {exclude: {area_id: a}}}", "something to exclude from"),
        ("{action: light.turn_on, target: {area_id: 5}}", "target.area_id:"),
        ("{action: light.turn_on, data: }", "actions.0.data"),
        ("{action: light.turn_on, data: {a: [{b: '{{ x + }}'}]}}", "actions.0.data.a.0.b: template"),
        ("{condition: sun.is_up, continue_on_error: true}", "continue_on_error: extra keys"),
        ("{delay: {minutes: -5}}", "is not a time"),
        ("{repeat: {for_each: abc, sequence: []}}", "repeat.for_each"),
        ("{repeat: {count: 1, while: [], sequence: []}}", "count and while"),
        ("{choose: [{conditions: [], sequence: [], enabled: false}]}", "choose.0.enabled: extra keys"),
        ("{scene: light.a}", "entity id of scene"),
        ("{scene: 'scene.a, scene.b'}", "one entity id"),
        ("{stop: x, error: true, response_variable: r}", "no response"),
        ("{variables: '{{ {} }}'}", "actions.0.variables"),
        ("{wait_template: }", "actions.0.wait_template"),
        ("{device_id: a, domain: light, type: turn_on}", "actions.0.entity_id: required"),
        ("{device_id: a, domain: light, type: turn_on, entity_id: light.a, platform: device}", "platform: extra keys"),
        ("{alias: x}", "is no action"),
        ("[{delay: 5}]", "expected an action"),
    ],
)
def test_actions_that_home_assistant_refuses(inner: str, why: str) -> None:
    assert why in of_action(inner)


def test_the_table_is_of_the_version_that_the_project_names() -> None:
    table = automation_table()
    assert table.version == HOME_ASSISTANT_VERSION
    assert {"light.turned_on", "sun", "knx.telegram", "zwave_js.event"} <= set(table.triggers)
    assert {"light.is_on", "sun", "zone"} <= set(table.conditions)
    assert {"state_attr", "as_timestamp", "default"} <= set(table.filters)


def made_of(fact: Any) -> Any:
    """A value that the table's fact allows."""
    if isinstance(fact, str):
        simple = {"bool": True, "int": 1, "count": 1, "float": 1.5, "mapping": {}, "units": {"minutes": 1}, "period": 5}
        return simple.get(fact, "light.hall" if fact.startswith("entit") else "5")
    if "keys" in fact:
        needed = {key for key in fact["keys"] if key.endswith("!")} | set(fact.get("one of", ()))
        return {key.rstrip("!"): made_of(inner) for key, inner in fact["keys"].items() if key in needed}
    if "threshold" in fact:
        return {"type": "above", "value": {"number": 5, "unit_of_measurement": fact.get("units", ["x"])[-1]}}
    if "domain" in fact:
        return f"{fact['domain'][0]}.home"
    inner = fact.get("any") or fact.get("choice")
    return [made_of(fact["list"])] if "list" in fact else made_of(inner[0]) if "any" in fact else inner[0]


def test_every_trigger_and_condition_of_the_table_can_be_said() -> None:
    for kinds, key in ((automation_table().triggers, "trigger"), (automation_table().conditions, "condition")):
        for name, facts in kinds.items():
            said = {key: name, **made_of(facts.get("top", {"keys": {}}))}
            if "target" in facts:
                said["target"] = {"area_id": "kitchen"}
            if "options" in facts:
                said["options"] = made_of(facts["options"])
            step = {"triggers": [said]} if key == "trigger" else {"triggers": [], "conditions": [said]}
            check_automation({**step, "actions": []})
            said["no_such_key"] = 1
            with pytest.raises(AutomationError, match="extra keys"):
                check_automation({**step, "actions": []})


def test_a_template_is_compiled_and_nothing_in_it_computed() -> None:
    begun = time.process_time()
    for text in ("{{ 9 ** 9 ** 9 ** 9 }}", "{{ 'a' * 10 ** 10 }}", "{{ 'x' | center(10 ** 10) }}", "{{ 1 / 0 }}"):
        assert template_error(text) is None
    assert time.process_time() - begun < 1
    assert template_error("{% if x %}{{ x | of_a_macro }}{% endif %}") is None  # known only once it is rendered
    assert "No test" in str(template_error("{{ x is no_such }}"))
    assert "SyntaxError" in str(template_error("{% break %}"))
    assert template_error("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}") is not None


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
    ["state", "light.a", "{{ x", "{{ x }}", "00:05", "on", "5", "time", "sun", "light.turned_on", "device", "light"]
)  # fmt: skip
keys = st.sampled_from(
    "trigger triggers conditions condition actions action entity_id to for at event options target data delay repeat "
    "count sequence choose if then parallel stop scene device_id domain type and or use_blueprint path command topic "
    "threshold behavior minutes above below state variables enabled id alias exclude wait_for_trigger".split()
)
anything = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=8
)


@given(st.dictionaries(keys, anything, max_size=5), anything, anything)
@settings(max_examples=60, deadline=None)
def test_whatever_stands_there_the_answer_is_yes_or_one_line(more: Any, triggers: Any, actions: Any) -> None:
    automation = {"triggers": triggers, "actions": actions, **more}
    before = json.dumps(automation)
    said = ""
    try:
        check_automation(automation)
    except AutomationError as error:
        said = str(error)
    assert "\n" not in said
    assert said.isascii()
    assert len(said) <= 200
    assert json.dumps(automation) == before
