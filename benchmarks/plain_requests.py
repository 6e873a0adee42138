#!/usr/bin/env python3
"""Ask for automations of a demo home in plain words: every answer is right, or there is none."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import click
import yaml
from measure import ROOT

sys.path.insert(0, str(ROOT))

HOME: list[dict[str, Any]] = [
    *({"entity_id": f"light.{name}"} for name in "hallway kitchen_ceiling kitchen_counter bedroom porch".split()),
    {"entity_id": "light.tradfri_4", "name": "Living Room Lamp", "area_id": "living_room"},
    {"entity_id": "light.hue_7", "name": "Reading Light", "area_id": "office"},
    {"entity_id": "switch.coffee_machine"},
    {"entity_id": "switch.hallway_heater_plug"},
    {"entity_id": "fan.bathroom_fan"},
    {"entity_id": "climate.living_room", "supported_features": 385},
    {"entity_id": "climate.bedroom_thermostat"},
    {"entity_id": "cover.garage_door", "device_class": "garage"},
    {"entity_id": "cover.living_room_blinds", "device_class": "blind"},
    {"entity_id": "cover.bedroom_blinds", "device_class": "blind"},
    {"entity_id": "lock.front_door"},
    {"entity_id": "lock.back_door"},
    {"entity_id": "media_player.living_room_tv", "device_class": "tv"},
    {"entity_id": "media_player.kitchen_speaker"},
    {"entity_id": "vacuum.robot"},
    {"entity_id": "binary_sensor.hallway_motion", "device_class": "motion"},
    {"entity_id": "binary_sensor.kitchen_motion", "device_class": "motion"},
    {"entity_id": "binary_sensor.front_door", "device_class": "door"},
    {"entity_id": "binary_sensor.bedroom_window", "device_class": "window"},
    {"entity_id": "binary_sensor.kitchen_smoke", "device_class": "smoke"},
    {"entity_id": "binary_sensor.basement_leak", "device_class": "moisture"},
    {"entity_id": "sensor.bathroom_humidity", "device_class": "humidity"},
    {"entity_id": "sensor.office_temperature", "device_class": "temperature"},
    {"entity_id": "person.anna", "name": "Anna"},
    {"entity_id": "person.ben", "name": "Ben"},
    {"entity_id": "alarm_control_panel.home_alarm", "supported_features": 7},
    {"entity_id": "input_boolean.night_mode"},
    {"entity_id": "valve.main_water"},
    {"entity_id": "siren.alarm_siren"},
    {"entity_id": "scene.movie_night", "name": "Movie Night"},
]


class Plain(NamedTuple):
    """A request, and what its automation is: keys of its one trigger, and (service, targets) of each action.

    Without a trigger, the request leaves something open, and the right answer is none.
    """

    request: str
    trigger: Mapping[str, Any] | None = None
    calls: tuple[tuple[str, str], ...] = ()


def _sun(event: str, **more: Any) -> dict[str, Any]:
    return {"trigger": "sun", "event": event, **more}


def _at(time: str) -> dict[str, Any]:
    return {"trigger": "time", "at": time}


def _state(entity_id: str, to: str, **more: Any) -> dict[str, Any]:
    return {"trigger": "state", "entity_id": entity_id, "to": to, **more}


def _call(service: str, *targets: str) -> tuple[tuple[str, str], ...]:
    return ((service, " ".join(targets)),)


HALL, GARAGE, PORCH, FRONT = "light.hallway", "cover.garage_door", "light.porch", "lock.front_door"
MOTION, DOOR, TV = "binary_sensor.hallway_motion", "binary_sensor.front_door", "media_player.living_room_tv"
BLINDS = "cover.living_room_blinds"
LIGHTS = ("light.bedroom", "light.hallway", "light.hue_7", "light.kitchen_ceiling", "light.kitchen_counter", PORCH,
          "light.tradfri_4")  # fmt: skip
TABLE = (
    Plain("close the garage door at sunset", _sun("sunset"), _call("cover.close_cover", GARAGE)),
    Plain("open the garage door at sunrise", _sun("sunrise"), _call("cover.open_cover", GARAGE)),
    Plain("turn on the hallway light when motion is detected", _state(MOTION, "on"), _call("light.turn_on", HALL)),
    Plain(
        "turn off the hallway light when there is no motion for 5 minutes",
        _state(MOTION, "off", **{"for": "00:05:00"}),
        _call("light.turn_off", HALL),
    ),
    Plain("lock the front door at 11 pm", _at("23:00:00"), _call("lock.lock", FRONT)),
    Plain("unlock the front door at 7 am", _at("07:00:00"), _call("lock.unlock", FRONT)),
    Plain("turn on the porch light at sunset", _sun("sunset"), _call("light.turn_on", PORCH)),
    Plain("turn off the porch light at sunrise", _sun("sunrise"), _call("light.turn_off", PORCH)),
    Plain("porch light off at 23:30", _at("23:30:00"), _call("light.turn_off", PORCH)),
    Plain("open the bedroom blinds at 7:30", _at("07:30:00"), _call("cover.open_cover", "cover.bedroom_blinds")),
    Plain("close the bedroom blinds at 9 pm", _at("21:00:00"), _call("cover.close_cover", "cover.bedroom_blinds")),
    Plain("raise the living room blinds at dawn", _sun("sunrise"), _call("cover.open_cover", BLINDS)),
    Plain("lower the living room blinds at dusk", _sun("sunset"), _call("cover.close_cover", BLINDS)),
    Plain("unlock the front door when Anna comes home", _state("person.anna", "home"), _call("lock.unlock", FRONT)),
    Plain("lock the front door when Anna leaves", _state("person.anna", "not_home"), _call("lock.lock", FRONT)),
    Plain("arm the alarm when everybody leaves", _state("zone.home", "0"),
          _call("alarm_control_panel.alarm_arm_away", "alarm_control_panel.home_alarm")),
    Plain("disarm the alarm when Ben arrives home", _state("person.ben", "home"),
          _call("alarm_control_panel.alarm_disarm", "alarm_control_panel.home_alarm")),
    Plain("when the front door opens turn on the hallway light", _state(DOOR, "on"), _call("light.turn_on", HALL)),
    Plain("when the front door closes turn off the hallway light", _state(DOOR, "off"), _call("light.turn_off", HALL)),
    Plain("turn on the porch light when the front door is unlocked", _state(FRONT, "unlocked"),
          _call("light.turn_on", PORCH)),
    Plain("turn off the porch light when the front door is locked", _state(FRONT, "locked"),
          _call("light.turn_off", PORCH)),
    Plain("turn on the bathroom fan when humidity is above 60%",
          {"trigger": "numeric_state", "entity_id": "sensor.bathroom_humidity", "above": 60},
          _call("fan.turn_on", "fan.bathroom_fan")),
    Plain("turn off the bathroom fan when the bathroom humidity drops below 50%",
          {"trigger": "numeric_state", "entity_id": "sensor.bathroom_humidity", "below": 50},
          _call("fan.turn_off", "fan.bathroom_fan")),
    Plain("play music on the kitchen speaker at 8 am", _at("08:00:00"),
          _call("media_player.media_play", "media_player.kitchen_speaker")),
    Plain("pause the tv when the front door opens", _state(DOOR, "on"), _call("media_player.media_pause", TV)),
    Plain("start the vacuum when nobody is home", _state("zone.home", "0"), _call("vacuum.start", "vacuum.robot")),
    Plain("stop the vacuum when Ben comes home", _state("person.ben", "home"), _call("vacuum.stop", "vacuum.robot")),
    Plain("open the main water valve at 6 am", _at("06:00:00"), _call("valve.open_valve", "valve.main_water")),
    Plain("close the water valve when a leak is detected in the basement", _state("binary_sensor.basement_leak", "on"),
          _call("valve.close_valve", "valve.main_water")),
    Plain("turn off all the lights at midnight", _at("00:00:00"), _call("light.turn_off", *LIGHTS)),
    Plain("turn off the bedroom light when night mode is turned on", _state("input_boolean.night_mode", "on"),
          _call("light.turn_off", "light.bedroom")),
    Plain("turn on the bedroom light when night mode is turned off", _state("input_boolean.night_mode", "off"),
          _call("light.turn_on", "light.bedroom")),
    Plain("dim the living room lamp to 30% when the living room tv starts playing", _state(TV, "playing"),
          _call("light.turn_on", "light.tradfri_4")),
    Plain("turn on movie night at 8 pm", _at("20:00:00"), _call("scene.turn_on", "scene.movie_night")),
    Plain("30 minutes before sunset turn on the office light", _sun("sunset", offset="-00:30:00"),
          _call("light.turn_on", "light.hue_7")),
    Plain("turn off the living room heating when the bedroom window is opened",
          _state("binary_sensor.bedroom_window", "on"), _call("climate.set_hvac_mode", "climate.living_room")),
    Plain("sound the siren if smoke is detected in the kitchen", _state("binary_sensor.kitchen_smoke", "on"),
          _call("siren.turn_on", "siren.alarm_siren")),
    # In other languages.
    Plain("schließe das Garagentor bei Sonnenuntergang", _sun("sunset"), _call("cover.close_cover", GARAGE)),
    Plain("öffne das Garagentor bei Sonnenaufgang", _sun("sunrise"), _call("cover.open_cover", GARAGE)),
    Plain("schalte das Flurlicht ein, wenn Bewegung erkannt wird", _state(MOTION, "on"), _call("light.turn_on", HALL)),
    Plain("schalte das Flurlicht um 23 Uhr aus", _at("23:00:00"), _call("light.turn_off", HALL)),
    Plain("verriegle die Haustür um 23 Uhr", _at("23:00:00"), _call("lock.lock", FRONT)),
    Plain("entriegle die Haustür um 7 Uhr", _at("07:00:00"), _call("lock.unlock", FRONT)),
    Plain("doe de lamp in de gang aan als er beweging is", _state(MOTION, "on"), _call("light.turn_on", HALL)),
    Plain("sluit de garagedeur bij zonsondergang", _sun("sunset"), _call("cover.close_cover", GARAGE)),
    Plain("ferme la porte du garage au coucher du soleil", _sun("sunset"), _call("cover.close_cover", GARAGE)),
    Plain("éteins la lumière du couloir à 23h", _at("23:00:00"), _call("light.turn_off", HALL)),
    Plain("chiudi la porta del garage al tramonto", _sun("sunset"), _call("cover.close_cover", GARAGE)),
    Plain("abre la puerta del garaje al amanecer", _sun("sunrise"), _call("cover.open_cover", GARAGE)),
    Plain("tranca a porta da frente às 23h", _at("23:00:00"), _call("lock.lock", FRONT)),
    Plain("släck lampan i hallen klockan 23", _at("23:00:00"), _call("light.turn_off", HALL)),
    Plain("закрой ворота гаража на закате", _sun("sunset"), _call("cover.close_cover", GARAGE)),
    Plain("закрий гаражні ворота на заході сонця", _sun("sunset"), _call("cover.close_cover", GARAGE)),
    # These leave something open, or say what is not understood.
    Plain("turn on the light at sunset"),
    Plain("turn on the bedroom light at 7"),
    Plain("open the pod bay doors at sunset"),
    Plain("turn on the kids bedroom light at sunset"),
    Plain("don't open the garage door at sunset"),
    Plain("turn off all the lights except the porch light at midnight"),
    Plain("turn on the porch light from sunset to sunrise"),
    Plain("turn on the hallway light at sunset and off at sunrise"),
    Plain("close the garage door"),
    Plain("when motion is detected"),
    Plain("open the garage door when the car arrives"),
    Plain("lock the garage door at sunset"),
    Plain("schalte das Flurlicht nicht ein bei Sonnenuntergang"),
)  # fmt: skip


def verdict(plain: Plain, text: str | None) -> str:
    """Says "right", "none" or "wrong"; no answer is right where the request leaves something open."""
    if text is None:
        return "none" if plain.trigger else "right"
    automation = yaml.safe_load(text)
    (trigger,) = automation["triggers"]
    calls = []
    for step in automation["actions"]:
        ids = step["target"]["entity_id"]
        calls.append((step["action"], " ".join(ids if isinstance(ids, list) else [ids])))
    same = trigger == plain.trigger and tuple(calls) == plain.calls and "conditions" not in automation
    return "right" if same else "wrong"


@click.command()
@click.option("--model", type=click.Path(exists=True, path_type=Path), help="A run directory; without, no model.")
def main(model: Path | None) -> None:
    """Print each request with its verdict and the answer. Exit 1 if one answer is wrong."""
    from training.automations.model import YamlGenerator

    generator = YamlGenerator(None) if model is None else YamlGenerator.load(model)
    verdicts = []
    for plain in TABLE:
        text = generator.generate(plain.request, HOME)
        verdicts.append(verdict(plain, text))
        print(f"{verdicts[-1]:<6} {plain.request}")
        if verdicts[-1] == "wrong":
            print(text)
    counts = {name: verdicts.count(name) for name in ("right", "none", "wrong")}
    print(f"{len(TABLE)} requests: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    sys.exit(1 if counts["wrong"] else 0)


if __name__ == "__main__":
    main()
