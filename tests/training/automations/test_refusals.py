"""What YamlGenerator.refusals finds foreign to a home, and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from data_sources import Entity
from home_assistant import dump_automation
from home_assistant.foreign import Known, foreign_parts
from home_assistant.services import HOME_ASSISTANT_VERSION, described
from training.automations.model import YamlGenerator

HOME = [
    "light.hall", "light.kitchen_ceiling", "switch.fan", "cover.blind", "climate.trv", "media_player.tv", "tts.voice",
    "binary_sensor.hall_motion", "sensor.outside_temperature", "sensor.next_alarm", "input_boolean.guests",
    "input_datetime.wake_up", "input_number.limit", "input_select.mode", "person.anna", "zone.work", "scene.evening",
    "script.good_night", "group.downstairs", "timer.bath", "notify.phone_of_anna", "calendar.bins", "vacuum.robot",
    "automation.hall", "weather.home", "todo.shopping",
]  # fmt: skip
MOTION = {"trigger": "state", "entity_id": "binary_sensor.hall_motion", "to": "on"}
LAMP = {"action": "light.turn_on", "target": {"entity_id": "light.hall"}}
OWN_TIME = {"trigger": "time", "at": "07:00"}
HEX = "0123456789abcdef0123456789abcdef"


def automation(*actions: Any, trigger: Any = MOTION, condition: Any = None, **more: Any) -> dict[str, Any]:
    guards = {} if condition is None else {"conditions": [condition]}
    return {"triggers": [trigger], **guards, "actions": list(actions or (LAMP,)), **more}


def call(service: str, entity_id: Any = None, **data: Any) -> dict[str, Any]:
    target = {} if entity_id is None else {"target": {"entity_id": entity_id}}
    return {"action": service, **target, **({"data": data} if data else {})}


def place(**target: Any) -> dict[str, Any]:
    return {"action": "light.turn_on", "target": target}


def reads(template: str) -> dict[str, Any]:
    return automation(condition={"condition": "template", "value_template": f"{{{{ {template} }}}}"})


def tells(template: str) -> dict[str, Any]:
    return automation(call("persistent_notification.create", message=template))


def made_of(template: str, **variables: Any) -> dict[str, Any]:
    more = {"variables": variables} if variables else {}
    return automation(call("light.turn_on", template), **more)


FOREIGN = {
    # entities
    "an entity of another home": (automation(call("light.turn_on", "light.attic")), "light.attic is no entity"),
    "an entity in capitals": (automation(call("light.turn_on", "Light.ATTIC")), "light.attic is no entity"),
    "a list with commas": (automation(call("light.turn_on", "light.hall, light.attic")), "light.attic is no entity"),
    "a list": (automation(call("light.turn_on", ["light.hall", "light.attic"])), "light.attic is no entity"),
    "an entity of an unknown domain": (automation(trigger={**MOTION, "entity_id": "zha.x"}), "zha.x is no entity"),
    "an entity in the data": (automation(call("light.turn_on", entity_id="light.attic")), "light.attic is no entity"),
    "an old spelling": (automation({"service": "light.turn_on", "entity_id": "light.attic"}), "light.attic is no"),
    "all": (automation(call("light.turn_on", "all")), "all names no entity"),
    "none": (automation(call("light.turn_on", "NONE")), "none names no entity"),
    "an entity left out": (automation(place(entity_id="light.hall", exclude={"entity_id": ["light.attic"]})), ""),
    "an id of the registry": (automation(call("light.turn_on", HEX)), "the id of an entry in a registry"),
    "a trigger's entity": (automation(trigger={**MOTION, "entity_id": "binary_sensor.x"}), "binary_sensor.x is no"),
    "a limit": (
        automation(trigger={"trigger": "numeric_state", "entity_id": "sensor.next_alarm", "above": "input_number.x"}),
        "input_number.x is no entity",
    ),
    "a time": (automation(trigger={"trigger": "time", "at": "input_datetime.alarm"}), "input_datetime.alarm is no"),
    "a time with an offset": (
        automation(trigger={"trigger": "time", "at": {"entity_id": "sensor.alarm", "offset": "-00:05:00"}}),
        "sensor.alarm is no entity",
    ),
    "a condition's entity": (
        automation(condition={"condition": "state", "entity_id": "lock.x", "state": "locked"}), "lock.x is no entity"
    ),
    "a condition turned off": (
        automation(condition={"condition": "state", "entity_id": "lock.x", "state": "locked", "enabled": False}),
        "lock.x is no entity",
    ),
    "a service of homeassistant": (automation(call("homeassistant.turn_on", "switch.attic")), "switch.attic is no"),
    "an update of an entity": (automation(call("homeassistant.update_entity", entity_id=["sensor.x"])), "sensor.x is"),
    "a media player that speaks": (
        automation(call("tts.speak", "tts.voice", message="hi", media_player_entity_id="media_player.attic")),
        "media_player.attic is no entity",
    ),
    "a media player that joins": (
        automation(call("media_player.join", "media_player.tv", group_members=["media_player.attic"])), "attic is no"
    ),
    "a step deep inside": (
        automation({"choose": [], "default": [{"parallel": [{"sequence": [call("light.turn_on", "light.attic")]}]}]}),
        "actions.0.default.0.parallel.0.sequence.0.target.entity_id: light.attic is no entity",
    ),
    "a repetition": (
        automation({"repeat": {"for_each": ["light.attic"], "sequence": [call("light.turn_on", "{{ repeat.item }}")]}}),
        "light.attic is no entity",
    ),
    "a trigger that is waited for": (
        automation({"wait_for_trigger": [{"trigger": "state", "entity_id": "binary_sensor.x"}]}), "binary_sensor.x is"
    ),
    "an event's data": (
        automation(trigger={"trigger": "event", "event_type": "call_service", "event_data": {"entity_id": "fan.x"}}),
        "fan.x is no entity",
    ),
    # places and ids
    "an area": (automation(place(area_id="kitchen")), "kitchen: the home's entities do not say that it has this area"),
    "areas": (automation(place(area_id=["hall", "attic"])), "attic: the home's entities do not say"),
    "an area by a template": (automation(place(area_id="{{ area_id('light.hall') }}")), "this area"),
    "a floor": (automation(place(floor_id="ground")), "ground: the home's entities do not say that it has this floor"),
    "a label": (automation(place(label_id="night")), "night: the home's entities do not say that it has this label"),
    "a device": (automation(place(device_id=HEX)), "this device"),
    "an area beside an entity": (automation(place(entity_id="light.hall", area_id="attic")), "this area"),
    "an area in the data": (automation(call("light.turn_on", area_id="attic")), "this area"),
    "an area to clean": (automation(call("vacuum.clean_area", "vacuum.robot", cleaning_area_id=["den"])), "den: the"),
    "a device's trigger": (
        automation(trigger={"trigger": "device", "device_id": HEX, "domain": "zha", "type": "press"}), "device by its"
    ),
    "a device's condition": (
        automation(
            condition={"condition": "device", "device_id": HEX, "entity_id": HEX, "domain": "light", "type": "is_on"}
        ),
        "device by its id",
    ),
    "a device's action": (
        automation({"device_id": HEX, "domain": "mobile_app", "type": "notify", "message": "x"}), "action of a device"
    ),
    "a zone": (
        automation(trigger={"trigger": "zone", "entity_id": "person.anna", "zone": "zone.school", "event": "enter"}),
        "zone.school is no entity",
    ),
    "a person": (
        automation(condition={"condition": "zone", "entity_id": "person.ben", "zone": "zone.home"}), "person.ben is no"
    ),
    "an integration's entry": (automation(call("homeassistant.reload_config_entry", entry_id="abc")), "abc: the home"),
    # triggers of what the home may lack
    "a webhook": (automation(trigger={"trigger": "webhook", "webhook_id": "open_sesame"}), "webhook needs an integr"),
    "MQTT": (automation(trigger={"trigger": "mqtt", "topic": "zigbee2mqtt/x"}), "mqtt needs an integration"),
    "a tag": (automation(trigger={"trigger": "tag", "tag_id": "door"}), "tag needs an integration"),
    "a sentence": (automation(trigger={"trigger": "conversation", "command": "good night"}), "conversation needs"),
    "a reply": (automation({"set_conversation_response": "done"}), "the home has no conversation"),
    "a place on the map": (
        automation(trigger={"trigger": "geo_location", "source": "usgs", "zone": "zone.home", "event": "enter"}),
        "geo_location needs",
    ),
    "an integration's trigger": (
        automation(trigger={"trigger": "samsungtv.turn_on", "entity_id": "media_player.tv"}), "of an integration"
    ),
    "an event of Zigbee": (automation(trigger={"trigger": "event", "event_type": "zha_event"}), "zha_event is no"),
    "an event of a phone": (
        automation(trigger={"trigger": "event", "event_type": ["state_changed", "mobile_app_notification_action"]}),
        "mobile_app_notification_action is no event",
    ),
    "an event that it fires": (automation({"event": "alarm_now"}), "alarm_now is an event that nothing"),
    # services
    "a phone": (automation(call("notify.mobile_app_pixel", message="x")), "notify.mobile_app_pixel is no service"),
    "a family": (automation(call("notify.family", message="x")), "notify.family is no service"),
    "the default notifier": (automation(call("notify.notify", message="x")), "notify.notify is no service"),
    "a notifier": (automation(call("notify.send_message", "notify.ben", message="x")), "notify.ben is no entity"),
    "a script as a service": (automation(call("script.lock_up")), "script.lock_up is no script"),
    "a script as an entity": (automation(call("script.turn_on", "script.lock_up")), "script.lock_up is no entity"),
    "a scene": (automation({"scene": "scene.party"}), "scene.party is no entity"),
    "a scene as an entity": (automation(call("scene.turn_on", "scene.party")), "scene.party is no entity"),
    "a scene of foreign states": (automation(call("scene.apply", entities={"light.attic": "on"})), "light.attic is no"),
    "a scene of foreign entities": (
        automation(call("scene.create", scene_id="x", snapshot_entities=["light.attic"])), "light.attic is no entity"
    ),
    "a group": (automation(call("group.set", object_id="x", entities=["light.attic"])), "light.attic is no entity"),
    "a group to remove": (automation(call("group.remove", object_id="attic")), "group.attic is no entity"),
    "a shell": (automation(call("shell_command.reboot")), "shell_command.reboot is no service"),
    "a web service": (automation(call("rest_command.ping")), "rest_command.ping is no service"),
    "a Python script": (automation(call("python_script.sun")), "python_script.sun is no service"),
    "pyscript": (automation(call("pyscript.sun")), "pyscript.sun is no service"),
    "an add-on": (automation(call("hassio.addon_start", addon="x")), "hassio.addon_start is no service"),
    "MQTT's service": (automation(call("mqtt.publish", topic="x", payload="y")), "mqtt.publish is no service"),
    "an integration's own service": (automation(call("light.lifx_pulse", "light.hall")), "lifx_pulse is no service"),
    "a service in capitals": (automation({"action": "Notify.Family"}), ""),
    "a service in a template": (
        automation({"action": "light.turn_{{ trigger.to_state.state }}", "target": {"entity_id": "light.hall"}}),
        "does not say which service",
    ),
    "a service_template": (
        automation({"service_template": "{{ 'light.turn_on' }}", "entity_id": "light.hall"}), "does not say which"
    ),
    "a domain that the home lacks": (automation(call("lock.lock", "lock.door")), "the home has no lock"),
    "a domain without a target": (automation(call("conversation.process", text="x")), "the home has no conversation"),
    "data that it does not take": (automation(call("light.turn_on", "light.hall", position=5)), "takes no position"),
    "data of other versions": (automation(call("light.turn_on", "light.hall", kelvin=2700)), "takes no kelvin"),
    "data_template": (
        automation({"service": "switch.turn_on", "entity_id": "switch.fan", "data_template": {"speed": "{{ 1 }}"}}),
        "takes no speed",
    ),
    "data by a template": (automation({**LAMP, "data": "{{ x }}"}), "does not say what light.turn_on is given"),
    "a target by a template": (automation({**LAMP, "target": "{{ x }}"}), "does not say what light.turn_on is given"),
    "data that it needs": (automation(call("input_select.select_option", "input_select.mode")), "needs option"),
    "no entity": (automation(call("light.turn_on")), "light.turn_on is called on no entity"),
    "a target that it does not take": (
        automation(call("persistent_notification.create", "light.hall", message="x")), "takes no entity_id"
    ),
    "a target of another domain": (automation(call("notify.send_message", "light.hall", message="x")), "does not act"),
    # templates
    "states()": (reads("states('sensor.attic') | float > 3"), "sensor.attic is no entity"),
    "states() of any domain": (reads("states('zha.attic')"), "states(zha.attic)"),
    "states()in capitals": (reads("states('Sensor.Attic')"), "sensor.attic is no entity"),
    "states.x.y": (reads("states.sensor.attic.state"), "sensor.attic is no entity"),
    "states[]": (reads("states['sensor.attic'].state"), "sensor.attic is no entity"),
    "is_state()": (reads("is_state('lock.door', 'locked')"), "lock.door is no entity"),
    "a filter": (reads("'sensor.attic' | states"), "sensor.attic is no entity"),
    "a test": (reads("['light.attic'] | select('is_state', 'on') | list"), "light.attic is no entity"),
    "expand()": (reads("expand('group.lights') | list"), "group.lights is no entity"),
    "a default": (reads("states('sensor.next_alarm') | default(states('sensor.attic'))"), "sensor.attic is no entity"),
    "area_entities()": (reads("area_entities('attic')"), "area_entities(attic)"),
    "floor_areas()": (reads("floor_areas('ground')"), "floor_areas(ground)"),
    "label_entities()": (reads("label_entities('night')"), "label_entities(night)"),
    "device_id()": (reads("device_id('Attic lamp')"), "device_id(Attic lamp)"),
    "device_attr()": (reads(f"device_attr('{HEX}', 'name')"), "the id of a device"),
    "integration_entities()": (reads("integration_entities('hue')"), "integration_entities(hue)"),
    "an id that is joined": (reads("states('sensor.' ~ 'x')"), "puts together"),
    "an id that is joined before": (tells("{% set a = 'sensor' ~ '.' ~ 'x' %}{{ states(a) }}"), "puts together"),
    "an id that is formatted": (reads("states('sensor.{}'.format('x'))"), "puts together"),
    "a wait": (automation({"wait_template": "{{ is_state('lock.door', 'locked') }}"}), "lock.door is no entity"),
    "a delay": (automation({"delay": "{{ states('input_number.wait') }}"}), "input_number.wait is no entity"),
    "a message": (tells("It is {{ states('sensor.attic') }} degrees"), "sensor.attic is no entity"),
    "a variable": (automation(variables={"lamp": "light.attic"}), "light.attic is no entity"),
    "a variable of triggers": (automation(trigger_variables={"x": "{{ states('sun.moon') }}"}), "sun.moon is no"),
    "a step's variable": (made_of("{{ lamp }}", lamp="Light.Attic"), "light.attic is no entity"),
    "a shorthand condition": (automation(condition="{{ is_state('lock.door', 'locked') }}"), "lock.door is no entity"),
    "an entity from an event": (made_of("{{ trigger.event.data.entity_id }}"), "trigger.event.data.entity_id"),
    "an entity from a state": (made_of("{{ states('input_select.mode') }}"), "which entity states() gives"),
    "an entity from pieces": (made_of("light.{{ trigger.id }}"), "puts an entity id together"),
    "an entity from nowhere": (made_of("{{ lamp }}"), "which entity lamp is"),
    "an entity from a variable from nowhere": (made_of("{{ a }}", a="{{ b }}"), "which entity b is"),
    "an entity from another": (made_of("{{ trigger.entity_id | replace('sensor', 'light') }}"), "puts an entity id"),
    "a file of templates": (tells("{% from 'tools.jinja' import x %}{{ x() }}"), "imports a file"),
    "every light": (made_of("{{ states.light | map(attribute='entity_id') | list }}"), "every light of the home"),
    # files of the home
    "an address of a webhook": (tells("http://ha.local:8123/api/webhook/abc"), "names a webhook"),
    "media of an integration": (
        automation(call("media_player.play_media", "media_player.tv", media_content_id="media-source://x",
                        media_content_type="music")),
        "media of an integration",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_what_a_home_lacks_is_refused_and_the_reason_names_it(name: str) -> None:
    foreign, reason = FOREIGN[name]
    found = YamlGenerator.refusals(dump_automation(foreign), HOME)
    assert any(reason in why for why in found), found
    assert all("\n" not in why and why.isascii() for why in found)


TEXTS = {
    "a secret": ("actions: [{action: light.turn_on, data: {entity_id: !secret lamp}}]", "!secret lamp"),
    "a blueprint's input": (
        "actions: [{action: light.turn_on, data: {entity_id: light.hall, flash: !input x}}]",
        "!input x",
    ),
    "an include": ("actions: !include actions.yaml", "!include actions.yaml"),
    "what Home Assistant refuses": ("actions: [{delay: soon}]", "actions.0.delay"),
    "no automation": ("conditions: []", "has no action"),
    "no YAML": ("actions: [", "not YAML"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_stands_for_something_else_or_is_no_automation_is_refused(name: str) -> None:
    text, reason = TEXTS[name]
    (why,) = YamlGenerator.refusals(f"triggers: [{{trigger: time, at: '07:00'}}]\n{text}\n", HOME)[:1]
    assert reason in why


def test_a_blueprint_is_a_file_that_a_home_may_lack() -> None:
    (why,) = YamlGenerator.refusals("use_blueprint: {path: homeassistant/motion_light.yaml}", HOME)
    assert "blueprint" in why


OWN = {
    "a light": automation(),
    "two lights": automation(call("light.turn_off", ["light.hall", "light.kitchen_ceiling"], transition=2)),
    "lights with commas": automation(call("light.turn_off", "light.hall, light.kitchen_ceiling")),
    "own capitals": automation(call("light.turn_off", "Light.Hall")),
    "a service of old": automation({"service": "light.turn_on", "entity_id": "light.hall"}),
    "a service of old with data": automation({"service": "light.turn_on", "data": {"entity_id": "light.hall"}}),
    "a brightness": automation(call("light.turn_on", "light.hall", brightness_pct=40, color_temp_kelvin=2700)),
    "a cover": automation(call("cover.set_cover_position", "cover.blind", position=50)),
    "a thermostat": automation(call("climate.set_temperature", "climate.trv", temperature=20, hvac_mode="heat")),
    "a group": automation(call("homeassistant.turn_off", "group.downstairs")),
    "a group of lights": automation(call("light.turn_off", "group.downstairs")),
    "any entity": automation(call("homeassistant.toggle", ["light.hall", "switch.fan"])),
    "a scene": automation({"scene": "scene.evening"}),
    "a scene as an entity": automation(call("scene.turn_on", "scene.evening", transition=3)),
    "a scene that it makes": automation(
        call("scene.create", scene_id="before", snapshot_entities=["light.hall"]), call("scene.turn_on", "scene.before")
    ),
    "a scene of own states": automation(call("scene.apply", entities={"light.hall": {"state": "on"}})),
    "a script": automation(call("script.good_night", zone="upstairs", minutes=5)),
    "a script as an entity": automation(call("script.turn_on", "script.good_night", variables={"minutes": 5})),
    "a note": automation(call("persistent_notification.create", message="Motion. See the light.", title="Hall")),
    "a phone": automation(call("notify.send_message", "notify.phone_of_anna", message="Motion")),
    "a voice": automation(call("tts.speak", "tts.voice", message="hi", media_player_entity_id="media_player.tv")),
    "a radio": automation(
        call("media_player.play_media", "media_player.tv", media_content_id="http://r.example", media_content_type="m")
    ),
    "a timer": automation(call("timer.start", "timer.bath", duration="00:05:00")),
    "a list": automation(call("todo.add_item", "todo.shopping", item="milk")),
    "a vacuum": automation(call("vacuum.start", "vacuum.robot")),
    "an answer": automation(
        {"action": "weather.get_forecasts", "target": {"entity_id": "weather.home"}, "data": {"type": "daily"},
         "response_variable": "daily"},
        call("persistent_notification.create", message="{{ daily['weather.home'].forecast[0].temperature }}"),
    ),
    "sunset": automation(trigger={"trigger": "sun", "event": "sunset", "offset": "-00:30:00"}),
    "the sun's state": automation(condition={"condition": "state", "entity_id": "sun.sun", "state": "below_horizon"}),
    "a clock": automation(trigger={"trigger": "time", "at": ["07:30:00", "input_datetime.wake_up"]}),
    "a pattern": automation(trigger={"trigger": "time_pattern", "minutes": "/5"}),
    "an alarm": automation(trigger={"trigger": "time", "at": {"entity_id": "sensor.next_alarm", "offset": "00:05:00"}}),
    "a limit": automation(
        trigger={"trigger": "numeric_state", "entity_id": "sensor.outside_temperature", "below": "input_number.limit"}
    ),
    "a number": automation(
        trigger={"trigger": "numeric_state", "entity_id": "sensor.outside_temperature", "above": 1.5}
    ),
    "coming home": automation(
        trigger={"trigger": "zone", "entity_id": "person.anna", "zone": "zone.home", "event": "enter"}
    ),
    "being at work": automation(condition={"condition": "zone", "entity_id": "person.anna", "zone": "zone.work"}),
    "the start": automation(trigger={"trigger": "homeassistant", "event": "start"}),
    "an event of every home": automation(trigger={"trigger": "event", "event_type": "homeassistant_started"}),
    "an event of a timer": automation(
        trigger={"trigger": "event", "event_type": "timer.finished", "event_data": {"entity_id": "timer.bath"}}
    ),
    "a calendar": automation(trigger={"trigger": "calendar", "entity_id": "calendar.bins", "event": "start"}),
    "a trigger of purpose": automation(trigger={"trigger": "light.turned_on", "target": {"entity_id": "light.hall"}}),
    "a trigger of a class": automation(
        trigger={"trigger": "motion.detected", "target": {"entity_id": "binary_sensor.hall_motion"}}
    ),
    "a template's trigger": automation(
        trigger={"trigger": "template", "value_template": "{{ states('sensor.outside_temperature') | float(0) < 3 }}"}
    ),
    "own states": reads("is_state('sun.sun', 'below_horizon') and states.person.anna.state != 'home'"),
    "a shorthand condition": automation(condition="{{ is_state('input_boolean.guests', 'off') }}"),
    "a count of all lights": reads("states.light | selectattr('state', 'eq', 'on') | list | count > 2"),
    "an expanded group": made_of(
        "{{ expand('group.downstairs') | selectattr('state', 'eq', 'on') | map(attribute='entity_id') | list }}"
    ),
    "the place of an own entity": tells("{{ area_name('light.hall') }} {{ device_attr('light.hall', 'model') }}"),
    "what triggered": made_of("{{ trigger.entity_id }}"),
    "a message about it": tells("{{ trigger.to_state.name }} is {{ trigger.to_state.state }}, look at the cover."),
    "one of two": made_of("{{ 'light.hall' if is_state('input_boolean.guests', 'on') else 'light.kitchen_ceiling' }}"),
    "a variable": made_of("{{ lamp }}", lamp="light.hall"),
    "a variable by a template": made_of("{{ lamp }}", lamp="{{ iif(is_state('sun.sun', 'x'), 'light.hall', lamp2) }}",
                                        lamp2="light.hall"),
    "a number by a template": automation(
        call("light.turn_on", "light.hall", brightness_pct="{{ states('input_number.limit') | int }}")
    ),
    "a repetition": automation(
        {"repeat": {"for_each": ["light.hall", "switch.fan"],
                    "sequence": [call("homeassistant.turn_on", "{{ repeat.item }}"), {"delay": "00:00:01"}]}}
    ),
    "a choice": automation(
        {"choose": [{"conditions": [{"condition": "trigger", "id": "x"}], "sequence": [LAMP]}], "default": []},
        trigger={**MOTION, "id": "x"},
    ),
    "a wait": automation({"wait_for_trigger": [{**MOTION, "to": "off"}], "timeout": {"minutes": 5}}, LAMP),
    "both at once": automation({"parallel": [{"sequence": [LAMP]}, call("switch.turn_on", "switch.fan")]}),
    "itself": automation(call("automation.turn_off", "{{ this.entity_id }}", stop_actions=False)),
    "a level of the log": automation(call("logger.set_level", **{"homeassistant.core": "debug"})),
    "a restart": automation(call("homeassistant.restart")),
    "a log": automation(call("logbook.log", name="Hall", message="motion", entity_id="light.hall")),
    "words of a person": automation(alias="Unlike light.attic", description="see sensor.attic", mode="single"),
}  # fmt: skip


@pytest.mark.parametrize("name", OWN)
def test_what_a_home_has_or_every_home_has_is_let_through(name: str) -> None:
    assert YamlGenerator.refusals(dump_automation(OWN[name]), HOME) == []


def test_records_of_entities_say_which_areas_devices_and_labels_a_home_has() -> None:
    lamp = {"entity_id": "light.hall", "area_id": "hall", "device_id": HEX, "labels": ["night"]}
    aimed = dump_automation(
        automation(place(area_id="hall"), place(device_id=[HEX]), place(label_id="night"), trigger=OWN_TIME)
    )
    assert YamlGenerator.refusals(aimed, [lamp]) == []
    assert YamlGenerator.refusals(aimed, [Entity.model_validate(lamp)]) == []
    assert len(YamlGenerator.refusals(aimed, ["light.hall"])) == 3
    read = dump_automation({**reads("area_entities('hall')"), "triggers": [OWN_TIME]})
    assert YamlGenerator.refusals(read, [lamp]) == []
    assert YamlGenerator.refusals(read, ["light.hall"]) != []


def test_an_entity_that_is_disabled_is_not_there() -> None:
    text = dump_automation(automation(trigger=OWN_TIME))
    assert YamlGenerator.refusals(text, [{"entity_id": "light.hall", "disabled_by": None}]) == []
    assert YamlGenerator.refusals(text, [{"entity_id": "light.hall", "disabled_by": "user"}]) != []
    assert YamlGenerator.refusals(text, [{"entity_id": "Light.Hall "}]) == [], "one spelling"
    for wrong in ([{"id": "light.hall"}], "light.hall"):
        with pytest.raises(ValueError, match="expected"):
            YamlGenerator.refusals(text, wrong)


def test_a_service_in_a_list_in_a_list_is_found_in_its_former_spelling() -> None:
    nested = {"trigger": [OWN_TIME], "action": [[{"parallel": [[{"service": "notify.family"}]]}]]}
    (why,) = foreign_parts(nested, Known.of([]))
    assert why.startswith("actions.0.0.parallel.0.0.action: notify.family is no service")


def test_a_home_with_one_lamp_gets_nothing_but_what_every_home_has() -> None:
    phone = dump_automation(automation(call("notify.mobile_app_pixel", message="x"), trigger=OWN_TIME))
    assert YamlGenerator.refusals(phone, ["light.hall"]) == [
        f"actions.0.action: notify.mobile_app_pixel is no service that every home has ({HOME_ASSISTANT_VERSION})"
    ]
    note = dump_automation(automation(call("persistent_notification.create", message="x"), trigger=OWN_TIME))
    assert YamlGenerator.refusals(note, []) == []


def test_the_table_of_services_says_what_each_takes_and_acts_on() -> None:
    light, note = described("light.turn_on"), described("persistent_notification.create")
    assert light is not None
    assert light.target == ("light",)
    assert {"brightness", "brightness_pct", "rgb_color"} <= light.fields
    assert note is not None
    assert (note.target, note.required) == (None, ("message",))
    assert described("light.explode") is None
