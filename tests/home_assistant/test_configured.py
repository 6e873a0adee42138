"""Entities that the YAML of a home names, for homes without a registry."""

from __future__ import annotations

from pathlib import Path

from ha_folder import write_files

from home_assistant.configuration import read_configuration
from home_assistant.installation import Installation
from home_assistant.registries import entity_rows

CONFIGURATION = """
homeassistant:
  customize: !include customize.yaml
  packages:
    porch:
      homeassistant: {customize: {light.porch: {friendly_name: The porch}}}
      light: {platform: mqtt, name: Porch}
input_boolean: {guest_mode: {name: Guests}, empty: }
input_select: {house: {name: House, options: [home, away]}}
group: !include groups.yaml
sensor:
  - platform: template
    sensors: {kettle_power: {friendly_name: Kettle, device_class: power, value_template: "{{ 1 }}"}}
  - platform: rest
    name: Outdoor Temp
    resource: http://x
switch porch: {platform: command_line, switches: {pump: {command_on: "rm -rf /"}}}
mqtt:
  - binary_sensor: {name: Back door, device_class: door}
  - switch: [{name: Fan, object_id: hall_fan}]
template:
  - sensor: [{name: Sum, default_entity_id: sensor.total}]
zone: [{name: Work, latitude: 1}]
script: {tea: {alias: Make tea, sequence: []}}
http: {api_password: secret}
light: {platform: hue}
"""


def read(folder: Path) -> Installation:
    installation = Installation()
    read_configuration(folder, installation)
    return installation


def test_the_entities_of_a_configuration_are_named(tmp_path: Path) -> None:
    customize = "sensor.outdoor_temp: {friendly_name: Garden, hidden: true}\nlight.porch: 7\n"
    write_files(
        tmp_path,
        {
            "configuration.yaml": CONFIGURATION,
            "customize.yaml": customize,
            "groups.yaml": "downstairs: {name: Downstairs, entities: [light.porch, switch.pump]}",
            "known_devices.yaml": "anns_phone: {name: Ann, track: true}\nguest: {name: Guest, track: false}\n",
        },
    )
    installation = read(tmp_path)
    installation.states.update(installation.configured)
    rows = {row["entity_id"]: row for row in entity_rows(installation)}
    assert {entity_id: row.get("name") for entity_id, row in rows.items()} == {
        "binary_sensor.back_door": "Back door",
        "device_tracker.anns_phone": "Ann",
        "group.downstairs": "Downstairs",
        "input_boolean.empty": None,
        "input_boolean.guest_mode": "Guests",
        "input_select.house": "House",
        "light.porch": "The porch",
        "script.tea": "Make tea",
        "sensor.kettle_power": "Kettle",
        "sensor.outdoor_temp": "Garden",
        "sensor.total": "Sum",
        "switch.hall_fan": "Fan",
        "switch.pump": None,
        "zone.work": "Work",
    }
    assert rows["binary_sensor.back_door"]["device_class"] == "door"
    assert rows["input_select.house"]["capabilities"] == {"options": ["home", "away"]}
    assert rows["sensor.outdoor_temp"]["hidden"]
    assert rows["group.downstairs"]["mirrors"] == ("light.porch", "switch.pump")


def test_the_registry_of_2018_is_read(tmp_path: Path) -> None:
    registry = "light.hall: {platform: hue, unique_id: '1', name: Hall lamp}\nlight.x: 3\nno id: {}\n"
    write_files(tmp_path, {"configuration.yaml": "demo:\n", "entity_registry.yaml": registry})
    assert [(row["entity_id"], row["name"]) for row in entity_rows(read(tmp_path))] == [("light.hall", "Hall lamp")]
