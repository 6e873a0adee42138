"""What of each form of automation is resolved: the entities that trigger and guard it, and those that it operates."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from home_assistant.automation_pairs import known_pairs
from home_assistant.automation_yaml import parse_yaml
from home_assistant.installation import ConfiguredAutomation, Installation

MOTION, LAMP, REMOTE = "0" * 31 + "1", "0" * 31 + "2", "0" * 31 + "3"  # devices
MOTION_ENTRY, LAMP_ENTRY = "a" * 31 + "1", "a" * 31 + "2"  # their entities' ids in the registry


def _entity(entity_id: str, **more: Any) -> dict[str, Any]:
    return {"entity_id": entity_id, "platform": "demo", "unique_id": entity_id, **more}


def small_home() -> Installation:
    """Two rooms on the ground floor, one upstairs."""
    return Installation(
        entities=[
            _entity("binary_sensor.hall_motion", id=MOTION_ENTRY, device_id=MOTION, original_device_class="motion"),
            _entity(
                "binary_sensor.hall_motion_battery",
                device_id=MOTION,
                entity_category="diagnostic",
                original_device_class="battery",
            ),
            _entity("light.hall", id=LAMP_ENTRY, device_id=LAMP, labels=["night"]),
            _entity("switch.hall_lamp_indicator", device_id=LAMP, entity_category="config"),
            _entity("light.hall_spare", area_id="hall", hidden_by="user"),
            _entity("light.kitchen", area_id="kitchen"),
            _entity("light.kitchen_old", area_id="kitchen", disabled_by="user"),
            _entity("cover.kitchen", area_id="kitchen", supported_features=1),
            _entity("cover.kitchen_tilt", area_id="kitchen", supported_features=16),
            _entity("light.bedroom", area_id="bedroom"),
            _entity("notify.phone", device_id=REMOTE),
            _entity("person.ann"),
        ],
        devices=[
            {"id": MOTION, "area_id": "hall"},
            {"id": LAMP, "area_id": "hall"},
            {"id": REMOTE, "area_id": None, "labels": ["night"]},
        ],
        areas=[
            {"area_id": "hall", "floor_id": "ground", "labels": []},
            {"area_id": "kitchen", "floor_id": "ground", "labels": ["cosy"]},
            {"area_id": "bedroom", "floor_id": "upstairs", "labels": []},
        ],
        floors=[{"floor_id": "ground"}, {"floor_id": "upstairs"}],
        labels=[{"label_id": "cosy"}, {"label_id": "night"}],
        states={"input_boolean.guests": {}, "sun.sun": {}, "light.porch": {}},
        groups={"group.lamps": ("light.hall", "light.kitchen"), "light.pair": ("light.porch", "light.hall")},
        mirrors={"light.as_light": ("switch.plug",)},
        scenes={"scene.dinner": ("light.kitchen", "media_player.radio")},
        scripts={
            "script.night": {
                "sequence": [
                    {"condition": "state", "entity_id": "input_boolean.guests", "state": "off"},
                    {"service": "light.turn_off", "entity_id": "light.bedroom"},
                    {"service": "script.other"},
                ]
            },
            "script.any_light": {"sequence": [{"action": "light.turn_on", "target": {"entity_id": "{{ lamp }}"}}]},
        },
    )


TRIGGERED = """
triggers: [{trigger: state, entity_id: binary_sensor.hall_motion, to: "on"}]
actions:
"""
LIGHT_ON = "\nactions: [{action: light.turn_on, target: {entity_id: light.kitchen}}]"

# Name, automation, pairs: "trigger > action" for what triggers, "guard ? action" for what only guards.
FORMS = [
    # Triggers
    ("state", "triggers: [{trigger: state, entity_id: [sun.sun, person.ann]}]", "sun.sun person.ann > light.kitchen"),
    ("old keys", "trigger: {platform: state, entity_id: 'Sun.Sun, person.ann'}", "sun.sun person.ann > light.kitchen"),
    (
        "numeric limit",
        "triggers: [{trigger: numeric_state, entity_id: sensor.lux, below: input_number.limit}]",
        "sensor.lux > light.kitchen; input_number.limit ? light.kitchen",
    ),
    (
        "zone",
        "triggers: [{trigger: zone, entity_id: person.ann, zone: zone.home, event: enter}]",
        "person.ann zone.home > light.kitchen",
    ),
    ("sun", "triggers: [{trigger: sun, event: sunset}]", "sun.sun > light.kitchen"),
    (
        "calendar",
        "triggers: [{trigger: calendar, entity_id: calendar.bins, event: start}]",
        "calendar.bins > light.kitchen",
    ),
    (
        "template",
        "triggers: [{trigger: template, "
        "value_template: \"{{ is_state('sun.sun', 'on') and states.sensor.lux.state }}\"}]",
        "sun.sun sensor.lux > light.kitchen",
    ),
    ("time entity", "triggers: [{trigger: time, at: input_datetime.up}]", "input_datetime.up > light.kitchen"),
    (
        "time with an offset",
        "triggers: [{trigger: time, at: [{entity_id: sensor.up, offset: '-00:10:00'}, '07:00:00']}]",
        "sensor.up > light.kitchen",
    ),
    (
        "event of an entity",
        "triggers: [{trigger: event, event_type: timer.finished, event_data: {entity_id: timer.wash}}]",
        "timer.wash > light.kitchen",
    ),
    ("webhook", "triggers: [{trigger: webhook, webhook_id: x}]", ""),
    ("mqtt", "triggers: [{trigger: mqtt, topic: a/b}]", ""),
    (
        "device",
        f"triggers: [{{trigger: device, domain: binary_sensor, type: motion, device_id: '{MOTION}', "
        f"entity_id: {MOTION_ENTRY}}}]",
        "binary_sensor.hall_motion > light.kitchen",
    ),
    (
        "device without its entity",
        f"triggers: [{{trigger: device, domain: binary_sensor, type: motion, device_id: '{MOTION}'}}]",
        "binary_sensor.hall_motion > light.kitchen",
    ),
    ("lists in lists", "triggers: [{triggers: [{trigger: state, entity_id: sun.sun}]}]", "sun.sun > light.kitchen"),
    (
        "turned off",
        "triggers: [{trigger: state, entity_id: sun.sun, enabled: false}, {trigger: state, entity_id: sensor.lux}]",
        "sensor.lux > light.kitchen",
    ),
    (
        "new trigger, floor",
        "triggers: [{trigger: light.turned_on, target: {floor_id: ground}, options: {behavior: first}}]",
        "light.hall > light.kitchen",
    ),
    (
        "new trigger, exclude",
        "triggers: [{trigger: light.turned_on, target: {area_id: [hall, bedroom], exclude: {area_id: hall}}}]",
        "light.bedroom > light.kitchen",
    ),
    (
        "new trigger, label and device class",
        "triggers: [{trigger: motion.detected, target: {area_id: hall}}]",
        "binary_sensor.hall_motion > light.kitchen",
    ),
    (
        "new trigger, device",
        f"triggers: [{{trigger: motion.detected, target: {{device_id: '{MOTION}'}}}}]",
        "binary_sensor.hall_motion > light.kitchen",
    ),
    (
        "battery is diagnostic",
        "triggers: [{trigger: battery.became_low, target: {area_id: hall}}]",
        "binary_sensor.hall_motion_battery > light.kitchen",
    ),
    (
        "group",
        "triggers: [{trigger: state, entity_id: group.lamps}]",
        "group.lamps light.hall > light.kitchen",
    ),
    # Targets
    (
        "entity and data",
        TRIGGERED + "- {service: light.turn_on, data: {entity_id: 'light.a, light.b'}}",
        "> light.a light.b",
    ),
    ("registry id", TRIGGERED + f"- {{action: light.turn_on, target: {{entity_id: {LAMP_ENTRY}}}}}", "> light.hall"),
    ("device target", TRIGGERED + f"- {{action: light.turn_on, target: {{device_id: '{LAMP}'}}}}", "> light.hall"),
    ("area target", TRIGGERED + "- {action: light.turn_on, target: {area_id: hall}}", "> light.hall"),
    (
        "area in data",
        TRIGGERED + "- {action: light.turn_on, data: {area_id: [hall, kitchen]}}",
        "> light.hall light.kitchen",
    ),
    ("floor target", TRIGGERED + "- {action: light.turn_on, target: {floor_id: ground}}", "> light.hall light.kitchen"),
    ("label of an area", TRIGGERED + "- {action: light.turn_on, target: {label_id: cosy}}", "> light.kitchen"),
    ("label of an entity", TRIGGERED + "- {action: light.turn_on, target: {label_id: night}}", "> light.hall"),
    (
        "target with exclude",
        TRIGGERED + "- {action: light.turn_on, target: {floor_id: ground, exclude: {entity_id: light.hall}}}",
        "> light.kitchen",
    ),
    ("what supports it", TRIGGERED + "- {action: cover.open_cover, target: {area_id: kitchen}}", "> cover.kitchen"),
    (
        "any that can act",
        TRIGGERED + "- {action: homeassistant.turn_off, target: {area_id: hall}}",
        "> light.hall",
    ),
    (
        "all",
        TRIGGERED + "- {action: light.turn_off, entity_id: all}",
        "> light.hall light.hall_spare light.kitchen light.bedroom light.porch",
    ),
    (
        "group target",
        TRIGGERED + "- {action: light.turn_on, target: {entity_id: light.pair}}",
        "> light.pair light.porch light.hall",
    ),
    (
        "old group",
        TRIGGERED + "- {action: light.turn_on, entity_id: group.lamps}",
        "> group.lamps light.hall light.kitchen",
    ),
    ("mirror", TRIGGERED + "- {action: light.turn_on, entity_id: light.as_light}", "> light.as_light switch.plug"),
    ("other domain", TRIGGERED + "- {action: light.turn_on, entity_id: switch.plug}", ""),
    (
        "scene",
        TRIGGERED + "- {action: scene.turn_on, entity_id: scene.dinner}",
        "> scene.dinner light.kitchen media_player.radio",
    ),
    ("scene step", TRIGGERED + "- scene: scene.dinner", "> scene.dinner light.kitchen media_player.radio"),
    ("scene.apply", TRIGGERED + "- {action: scene.apply, data: {entities: {light.a: 'on'}}}", "> light.a"),
    (
        "scene that it makes itself",
        TRIGGERED
        + """- action: scene.create
  data: {scene_id: kept, snapshot_entities: [light.a], entities: {light.hall: 'on'}}
- {action: scene.turn_on, target: {entity_id: scene.kept}}""",
        "> light.hall light.a",
    ),
    ("group.set", TRIGGERED + "- {action: group.set, data: {object_id: x, entities: [light.a]}}", "> group.x light.a"),
    (
        "script",
        TRIGGERED + "- action: script.night",
        "> script.night light.bedroom script.other; input_boolean.guests ? light.bedroom script.other",
    ),
    (
        "script.turn_on",
        TRIGGERED + "- {action: script.turn_on, target: {entity_id: script.night}}",
        "> script.night light.bedroom script.other; input_boolean.guests ? light.bedroom script.other",
    ),
    ("script.turn_off", TRIGGERED + "- {action: script.turn_off, target: {entity_id: script.night}}", "> script.night"),
    ("script field", TRIGGERED + "- {action: script.any_light, data: {lamp: light.a}}", "> script.any_light light.a"),
    (
        "notify entity",
        TRIGGERED + "- {action: notify.send_message, target: {entity_id: notify.phone}}",
        "> notify.phone",
    ),
    (
        "notify device",
        TRIGGERED + f"- {{domain: mobile_app, type: notify, message: x, device_id: '{REMOTE}'}}",
        "> notify.phone",
    ),
    (
        "device action",
        TRIGGERED + f"- {{domain: light, type: turn_on, device_id: '{LAMP}', entity_id: {LAMP_ENTRY}}}",
        "> light.hall",
    ),
    (
        "speaker",
        TRIGGERED + "- {action: tts.speak, target: {entity_id: tts.x}, data: {media_player_entity_id: media_player.a}}",
        "> tts.x media_player.a",
    ),
    # Templates and variables
    (
        "template target",
        TRIGGERED + "- {action: light.turn_on, "
        "entity_id: \"{{ 'light.a' if is_state('sun.sun', 'x') else 'light.b' }}\"}",
        "> light.a light.b; sun.sun ? light.a light.b",
    ),
    (
        "template service",
        TRIGGERED
        + "- {service_template: \"light.turn_{{ 'on' if is_state('sun.sun', 'x') else 'off' }}\", entity_id: light.a}",
        "> light.a; sun.sun ? light.a",
    ),
    (
        "template area",
        TRIGGERED + "- {action: light.turn_on, target: {entity_id: \"{{ area_entities('kitchen') }}\"}}",
        "> light.kitchen",
    ),
    (
        "trigger.entity_id",
        """
triggers: [{trigger: state, entity_id: [light.a, light.b]}]
conditions: [{condition: sun, after: sunset}]
actions: [{action: light.turn_on, target: {entity_id: ["{{ trigger.entity_id }}", light.c]}}]
""",
        "light.a light.b > light.c; sun.sun ? light.a light.b light.c",
    ),
    (
        "variable",
        "variables: {lamp: light.a}" + TRIGGERED + "- {action: light.turn_on, target: {entity_id: '{{ lamp }}'}}",
        "> light.a",
    ),
    (
        "variable of the path",
        TRIGGERED
        + "- variables: {lamp: ['light.a', 'light.b']}\n- {action: light.turn_on, target: {entity_id: '{{ lamp }}'}}",
        "> light.a light.b",
    ),
    (
        "for_each",
        TRIGGERED + "- repeat: {for_each: [light.a, light.b], "
        "sequence: [{action: light.turn_on, target: {entity_id: '{{ repeat.item }}'}}]}",
        "> light.a light.b",
    ),
    # Paths and guards
    (
        "conditions",
        "conditions: [{condition: sun, after: sunset}, \"{{ is_state('person.ann', 'home') }}\"]"
        + TRIGGERED
        + "- {action: light.turn_on, entity_id: light.a}",
        "> light.a; sun.sun person.ann ? light.a",
    ),
    (
        "and, or, not",
        """
conditions:
  - or: [{condition: state, entity_id: sensor.a, state: x}, {and: ["{{ states.sensor.b }}"]}]
  - {condition: not, conditions: [{condition: state, entity_id: sensor.c, state: [a, b]}]}
"""
        + TRIGGERED
        + "- {action: light.turn_on, entity_id: light.a}",
        "> light.a; sensor.a sensor.b sensor.c ? light.a",
    ),
    (
        "device condition",
        f"conditions: [{{condition: device, domain: light, type: is_on, device_id: '{LAMP}', entity_id: {LAMP_ENTRY}}}]"
        + TRIGGERED
        + "- {action: light.turn_on, entity_id: light.a}",
        "> light.a; light.hall ? light.a",
    ),
    (
        "new condition",
        "conditions: [{condition: light.is_on, target: {area_id: kitchen}}]"
        + TRIGGERED
        + "- {action: light.turn_on, entity_id: light.a}",
        "> light.a; light.kitchen ? light.a",
    ),
    (
        "time condition",
        "conditions: [{condition: time, after: input_datetime.up, before: '10:00'}]"
        + TRIGGERED
        + "- {action: light.turn_on, entity_id: light.a}",
        "> light.a; input_datetime.up ? light.a",
    ),
    (
        "choose",
        TRIGGERED
        + """
- choose:
    - conditions: [{condition: state, entity_id: sensor.a, state: x}]
      sequence: [{action: light.turn_on, entity_id: light.a}]
    - {conditions: "{{ is_state('sensor.b', 'x') }}", sequence: [{action: light.turn_on, entity_id: light.b}]}
  default: [{action: light.turn_on, entity_id: light.c}]
- {action: light.turn_on, entity_id: light.d}
""",
        "> light.a light.b light.c light.d; sensor.a ? light.a; sensor.b ? light.b",
    ),
    (
        "if and else",
        TRIGGERED
        + """
- if: [{condition: state, entity_id: sensor.a, state: x}]
  then: [{action: light.turn_on, entity_id: light.a}]
  else: [{action: light.turn_on, entity_id: light.b}]
- {action: light.turn_on, entity_id: light.c}
""",
        "> light.a light.b light.c; sensor.a ? light.a light.b",
    ),
    (
        "condition in a sequence",
        TRIGGERED
        + """
- {action: light.turn_on, entity_id: light.a}
- {condition: state, entity_id: sensor.a, state: x}
- {action: light.turn_on, entity_id: light.b}
""",
        "> light.a light.b; sensor.a ? light.b",
    ),
    (
        "parallel",
        TRIGGERED
        + """
- parallel:
    - sequence: [{condition: state, entity_id: sensor.a, state: x}, {action: light.turn_on, entity_id: light.a}]
    - {action: light.turn_on, entity_id: light.b}
""",
        "> light.a light.b; sensor.a ? light.a",
    ),
    (
        "repeat while and until",
        TRIGGERED
        + """
- repeat:
    while: [{condition: state, entity_id: sensor.a, state: x}]
    sequence: [{action: light.turn_on, entity_id: light.a}]
- repeat: {until: "{{ is_state('sensor.b', 'x') }}", sequence: [{action: light.turn_on, entity_id: light.b}]}
""",
        "> light.a light.b; sensor.a ? light.a; sensor.b ? light.b",
    ),
    (
        "wait_for_trigger",
        TRIGGERED
        + """
- {action: light.turn_on, entity_id: light.a}
- {wait_for_trigger: [{platform: state, entity_id: sensor.door}]}
- {action: light.turn_on, entity_id: light.b}
""",
        "> light.a light.b; sensor.door > light.b",
    ),
    (
        "wait_template",
        TRIGGERED
        + "\n- wait_template: \"{{ is_state('sensor.door', 'x') }}\"\n- {action: light.turn_on, entity_id: light.b}",
        "> light.b; sensor.door > light.b",
    ),
    (
        "trigger ids",
        """
triggers:
  - {trigger: state, entity_id: sensor.a, id: one}
  - {trigger: state, entity_id: sensor.b, id: two}
  - {trigger: state, entity_id: sensor.c}
actions:
  - choose:
      - {conditions: [{condition: trigger, id: one}], sequence: [{action: light.turn_on, entity_id: light.a}]}
      - {conditions: ["{{ trigger.id == 'two' }}"], sequence: [{action: light.turn_on, entity_id: light.b}]}
    default: [{action: light.turn_on, entity_id: light.c}]
  - if: [{condition: trigger, id: [one, '2']}]
    then: [{action: light.turn_on, entity_id: light.d}]
    else: [{action: light.turn_on, entity_id: light.e}]
""",
        "sensor.a > light.a light.d; sensor.b > light.b light.e; sensor.c > light.c light.d",
    ),
    (
        "turned-off step",
        TRIGGERED + "- {action: light.turn_on, entity_id: light.a, enabled: false}\n"
        "- {action: light.turn_on, entity_id: light.b}",
        "> light.b",
    ),
]


def _expected(text: str) -> set[tuple[str, str, str]]:
    found = set()
    for part in filter(None, text.split(";")):
        sign = ">" if ">" in part else "?"
        before, after = part.split(sign)
        for source in before.split() or ["binary_sensor.hall_motion"]:
            for action in after.split():
                found.add((source, action, "trigger_action" if sign == ">" else "condition_action"))
    return found


def automation_of(text: str) -> Any:
    """A form's automation; one that says nothing of its actions turns the kitchen's light on."""
    return parse_yaml(text if "actions:" in text else text + LIGHT_ON)


def _pairs(config: Any, home: Installation | None = None) -> tuple[set[tuple[str, str, str]], Counter[str]]:
    home = home or small_home()
    home.automations.append(ConfiguredAutomation(config, "here", "automation.a"))
    found = known_pairs(home)
    assert len(set(found.pairs)) == len(found.pairs)
    return {(pair.trigger, pair.action, pair.kind) for pair in found.pairs}, found.problems


@pytest.mark.parametrize(("text", "pairs"), [form[1:] for form in FORMS], ids=[form[0] for form in FORMS])
def test_each_form_of_automation_is_resolved(text: str, pairs: str) -> None:
    found, _ = _pairs(automation_of(text))
    assert found == _expected(pairs)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("triggers: [{trigger: webhook, webhook_id: x}]", "trigger without an entity: webhook"),
        (f"triggers: [{{trigger: device, device_id: '{'9' * 32}', domain: light, type: x}}]", "unknown device"),
        (f"triggers: [{{trigger: state, entity_id: '{'9' * 32}'}}]", "unknown registry id"),
        ("triggers: [{trigger: light.turned_on, target: {area_id: attic}}]", "unknown area"),
        ("triggers: [{trigger: light.turned_on, target: {floor_id: attic}}]", "unknown floor"),
        ("triggers: [{trigger: light.turned_on, target: {label_id: attic}}]", "unknown label"),
        (TRIGGERED + "- {action: notify.mobile_app_phone}", "action without an entity: notify"),
        (
            TRIGGERED + "- {action: light.turn_on, target: {entity_id: '{{ lamp }}'}}",
            "target by a template that names no entity",
        ),
        (TRIGGERED + "- {action: light.turn_on, target: {entity_id: !secret lamp}}", "value behind secret"),
        (TRIGGERED + "- {action: scene.turn_on, entity_id: scene.unknown}", "scene whose entities are not known"),
        (TRIGGERED + "- {action: script.unknown}", "script that is not known"),
        (TRIGGERED + "- {action: light.turn_on, entity_id: group.unknown}", "group whose members are not known"),
        (TRIGGERED + "- {action: light.turn_on, entity_id: switch.plug}", "entities of other domains than the service"),
    ],
)
def test_what_cannot_be_resolved_is_counted_by_kind(text: str, kind: str) -> None:
    _, problems = _pairs(automation_of(text))
    assert problems[kind] == 1


def test_pairs_of_turned_off_automations_stay_apart_unless_a_running_one_has_them_too() -> None:
    home = small_home()
    for number, (action, enabled) in enumerate([("light.a", False), ("light.b", False), ("light.b", True)]):
        config = automation_of(TRIGGERED + f"- {{action: light.turn_on, entity_id: {action}}}")
        home.automations.append(ConfiguredAutomation(config, "here", f"automation.a{number}", enabled))
    found = known_pairs(home)
    assert [pair.action for pair in found.pairs] == ["light.b"]
    assert [pair.action for pair in found.turned_off] == ["light.a"]
    assert (found.automations, found.resolved) == (3, 3)


def test_a_device_target_reaches_its_children_and_what_it_was_split_into() -> None:
    home = small_home()
    home.devices += [{"id": "child", "parent_device_id": LAMP}, {"id": "split", "composite_device_id": "old"}]
    home.entities += [_entity("light.child", device_id="child"), _entity("light.split", device_id="split")]
    config = automation_of(TRIGGERED + f"- {{action: light.turn_on, target: {{device_id: ['{LAMP}', old]}}}}")
    assert {action for _, action, _ in _pairs(config, home)[0]} == {"light.hall", "light.child", "light.split"}


def test_groups_and_scenes_that_only_their_states_tell_of_are_opened() -> None:
    home = small_home()
    home.states |= {"light.hue_room": {"entity_id": ["light.a"]}, "scene.hue": {"entity_id": ["light.b"]}}
    text = TRIGGERED + "- {action: light.turn_on, entity_id: light.hue_room}\n- scene: scene.hue"
    found, problems = _pairs(automation_of(text), home)
    assert {action for _, action, _ in found} == {"light.hue_room", "light.a", "scene.hue", "light.b"}
    assert not problems


def test_reading_changes_nothing_and_groups_in_circles_end() -> None:
    home = small_home()
    home.groups = {"group.a": ("group.b",), "group.b": ("group.a", "light.a")}
    before = Counter(home.problems)
    found, _ = _pairs(automation_of(TRIGGERED + "- {action: homeassistant.turn_on, entity_id: group.a}"), home)
    assert {action for _, action, _ in found} == {"group.a", "group.b", "light.a"}
    assert home.problems == before


_words = st.sampled_from(
    "trigger triggers platform state entity_id light.a group.lamps condition conditions actions action choose if then "
    "else repeat sequence parallel default wait_for_trigger target data device_id area_id light.turn_on script.night "
    "for_each variables enabled id and or not exclude options {{trigger.entity_id}} {{ {% all scene".split()
)
_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words | st.integers(), inner, max_size=5),
    max_leaves=25,
)


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(_words, _values, max_size=6))
def test_no_automation_whatever_it_holds_stops_the_reading(config: dict[Any, Any]) -> None:
    found = known_pairs(Installation(automations=[ConfiguredAutomation(config, "here")]))
    assert found.automations == 1


def test_an_automation_that_joins_everything_with_everything_stays_small() -> None:
    many = [f"light.l{number}" for number in range(400)]
    config = {
        "triggers": [{"trigger": "state", "entity_id": many}],
        "actions": [{"action": "light.turn_on", "target": {"entity_id": many}}],
    }
    start = time.monotonic()
    found = known_pairs(Installation(automations=[ConfiguredAutomation(config, "here")]))
    assert len(found.pairs) == 20_000
    assert found.problems["more pairs in one automation than are kept"] > 0
    assert time.monotonic() - start < 5
