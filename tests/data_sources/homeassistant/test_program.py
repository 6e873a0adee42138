"""Home Assistant itself, run on a folder that this test writes: its API gives the records of its files.

`make test-home-assistant` sets it up in a virtual environment of its own and runs this.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from ha_folder import write_files
from support import ROOT
from websockets.sync.client import connect

from data_sources import DataSourceError, Home, open_source

pytestmark = pytest.mark.home_assistant

START_SECONDS = 300  # at its first start it installs what its integrations need
STOP_SECONDS = 60
CONFIGURATION = """
homeassistant:
  {name: Home, latitude: 52.37, longitude: 4.89, elevation: 2, unit_system: metric, time_zone: UTC, currency: EUR,
   country: NL, customize: {switch.ac: {friendly_name: Air conditioner}}}
http: {server_host: 127.0.0.1, server_port: PORT}
api:
websocket_api:
config:
recorder: {commit_interval: 0}
sun:
demo:
input_boolean: {movie_night: {name: Movie night}}
input_select: {house_mode: {name: House mode, options: [home, away, night]}}
group: {downstairs: {name: Downstairs, entities: [light.bed_light, light.ceiling_lights]}}
template:
- binary_sensor:
  - {name: Movie on, unique_id: movie, state: "{{ is_state('input_boolean.movie_night', 'on') and 1 < 2 }}"}
scene:
- {name: Relax, entities: {light.ceiling_lights: "on"}}
automation: !include automations.yaml
script: {good_night: {alias: Good night, sequence: [{service: light.turn_off, target: {area_id: kitchen}}]}}
"""
AUTOMATIONS = """
- {id: '1', alias: Motion, trigger: [{platform: state, entity_id: binary_sensor.movement_backyard, to: 'on'}],
   condition: [{condition: state, entity_id: sun.sun, state: below_horizon}],
   action: [{service: light.turn_on, target: {entity_id: light.bed_light}}]}
- {id: '2', alias: Movie, trigger: [{platform: state, entity_id: input_boolean.movie_night}],
   action: [{choose: [{conditions: [{condition: state, entity_id: input_select.house_mode, state: home}],
                       sequence: [{scene: scene.relax}]}], default: [{service: script.good_night}]}]}
- {id: '3', alias: Group, trigger: [{platform: state, entity_id: switch.ac}],
   action: [{service: homeassistant.turn_off, target: {entity_id: group.downstairs}}]}
- {id: '4', alias: Area, trigger: [{platform: state, entity_id: switch.decorative_lights}],
   action: [{service: light.toggle, target: {area_id: kitchen}}]}
- {id: '5', alias: Blueprint, use_blueprint: {path: own/motion.yaml,
   input: {motion: binary_sensor.movement_backyard, lamp: light.kitchen_lights}}}
- {id: '6', alias: Never, initial_state: false, trigger: [{platform: state, entity_id: switch.ac}],
   action: [{service: fan.turn_on, target: {entity_id: fan.living_room_fan}}]}
- {id: '7', alias: Paused, trigger: [{platform: state, entity_id: switch.decorative_lights}],
   action: [{service: fan.turn_on, target: {entity_id: fan.ceiling_fan}}]}
"""
BLUEPRINT = """
blueprint: {name: Motion, domain: automation, input: {motion: {}, lamp: {}}}
trigger: [{platform: state, entity_id: !input motion, to: 'on'}]
action: [{service: light.turn_on, target: {entity_id: !input lamp}}]
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@contextmanager
def running(folder: Path, port: int) -> Iterator[str]:
    """The address of Home Assistant while it runs; afterwards it has written everything."""
    hass = Path(os.environ.get("HOME_ASSISTANT_VENV", ROOT / ".venv-home-assistant")) / "bin" / "hass"
    assert hass.is_file(), f"{hass} is missing: run make test-home-assistant, which sets it up"
    url = f"http://127.0.0.1:{port}"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [str(hass), "-c", str(folder)],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**environment, "PATH": f"{hass.parent}{os.pathsep}{os.environ['PATH']}"},
        )
        try:
            wait_for(process, url, folder)
            yield url
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            finally:
                process.kill()
                process.wait()


def wait_for(process: subprocess.Popen[bytes], url: str, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        told = (folder / "output.txt").read_text(errors="replace")[-2_000:]
        assert process.poll() is None, told
        try:
            if httpx.get(f"{url}/api/onboarding", trust_env=False, timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    pytest.fail(f"not up within {START_SECONDS} s: {told}")


def onboarded(url: str) -> str:
    """The token of a first user, an administrator."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        user = {"name": "Ann", "username": "ann", "password": "a-password", "client_id": f"{url}/", "language": "en"}
        code = client.post("/api/onboarding/users", json=user).raise_for_status().json()["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": f"{url}/"}
        token: str = client.post("/auth/token", data=grant).raise_for_status().json()["access_token"]
        return token


class Administrator:
    """Sends commands that change the home, as a person does in the frontend."""

    def __init__(self, url: str, token: str) -> None:
        self._socket = connect(f"{url.replace('http', 'ws')}/api/websocket", proxy=None, max_size=None)
        self._number = 0
        self._token = token

    def __enter__(self) -> Administrator:
        self._socket.__enter__()
        self._socket.recv()
        self._socket.send(json.dumps({"type": "auth", "access_token": self._token}))
        assert json.loads(self._socket.recv())["type"] == "auth_ok"
        return self

    def __exit__(self, *error: Any) -> None:
        self._socket.__exit__(*error)

    def does(self, kind: str, **arguments: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "type": kind, **arguments}))
        while (answer := json.loads(self._socket.recv(timeout=30))).get("id") != self._number:
            pass
        assert answer["success"], answer
        return answer["result"]

    def calls(self, domain: str, service: str, entity_id: str) -> None:
        self.does("call_service", domain=domain, service=service, target={"entity_id": entity_id})


def furnish(url: str, token: str) -> tuple[str, str]:
    """Place, rename, hide, disable and turn off some entities; the version, and the token of no administrator."""
    with Administrator(url, token) as ann:
        while (core := ann.does("get_config"))["state"] != "RUNNING":
            time.sleep(0.5)
        areas = {row["name"]: row["area_id"] for row in ann.does("config/area_registry/list")}
        area = areas["Kitchen"]  # the first user is given some
        rows = {row["entity_id"]: row for row in ann.does("config/entity_registry/list")}
        update = "config/entity_registry/update"
        lights = sorted(id_ for id_ in rows if id_.startswith("light."))
        device = rows[lights[0]]["device_id"]
        ann.does("config/device_registry/update", device_id=device, area_id=area, name_by_user="Lamp by the oven")
        ann.does(update, entity_id=lights[1], area_id=area, name="Shelf")
        ann.does(update, entity_id=lights[2], hidden_by="user")
        sensors = sorted(id_ for id_ in rows if id_.startswith("sensor.") and rows[id_]["disabled_by"] is None)
        ann.does(update, entity_id=sensors[0], disabled_by="user")
        ann.calls("automation", "turn_off", "automation.paused")
        bob = ann.does("config/auth/create", name="Bob", group_ids=["system-users"])["user"]["id"]
        ann.does("config/auth_provider/homeassistant/create", user_id=bob, username="bob", password="another-password")
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        handler = ["homeassistant", None]
        begun = {"client_id": f"{url}/", "handler": handler, "redirect_uri": f"{url}/"}
        flow = client.post("/auth/login_flow", json=begun).raise_for_status().json()["flow_id"]
        given = {"client_id": f"{url}/", "username": "bob", "password": "another-password"}
        code = client.post(f"/auth/login_flow/{flow}", json=given).raise_for_status().json()["result"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": f"{url}/"}
        token_of_bob: str = client.post("/auth/token", data=grant).raise_for_status().json()["access_token"]
        return core["version"], token_of_bob


def test_the_program_gives_the_same_home_by_folder_and_by_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    port = free_port()
    folder = write_files(
        tmp_path / "config",
        {
            "configuration.yaml": CONFIGURATION.replace("PORT", str(port)),
            "automations.yaml": AUTOMATIONS,
            "blueprints/automation/own/motion.yaml": BLUEPRINT,
        },
    )
    with running(folder, port) as url:
        token = onboarded(url)
        version, of_no_administrator = furnish(url, token)
        monkeypatch.setenv("HOME_ASSISTANT_TOKEN", "wrong")
        with pytest.raises(DataSourceError, match=r"HOME_ASSISTANT_TOKEN holds \(auth_invalid\)"):
            list(open_source(data_source=f"homeassistant+{url}").read(Home))
        if not version.startswith("2024."):  # when everybody could read automations
            monkeypatch.setenv("HOME_ASSISTANT_TOKEN", of_no_administrator)
            with pytest.raises(DataSourceError, match="no administrator"):
                list(open_source(data_source=f"homeassistant+{url}").read(Home))
        monkeypatch.setenv("HOME_ASSISTANT_TOKEN", token)
        source = open_source(data_source=f"homeassistant+{url}")
        (live,) = source.read(Home)
        with pytest.raises(DataSourceError, match=r"is its address http://\?"):
            list(open_source(data_source=f"homeassistant+{url.replace('http', 'https')}").read(Home))
    (stored,) = open_source(data_source=f"homeassistant:{folder}").read(Home)
    # Demo places come and go while it runs; only the files tell how often something changed.
    assert comparable(live) == comparable(stored)
    pairs = {(synergy.trigger, synergy.action) for synergy in live.synergies}
    assert ("binary_sensor.movement_backyard", "light.kitchen_lights") in pairs  # by the blueprint
    assert ("input_boolean.movie_night", "light.ceiling_lights") in pairs  # by the scene
    assert ("switch.ac", "light.bed_light") in pairs  # by the group
    assert ("switch.decorative_lights", "fan.ceiling_fan") in live.turned_off
    assert len(live.entities) > 80
    assert any(one.hidden for one in live.entities)
    assert live.disabled >= 1


def comparable(home: Home) -> Home:
    kept = tuple(one for one in home.entities if not one.entity_id.startswith("geo_location."))
    return replace(home, entities=kept, activity=(), observed=())
