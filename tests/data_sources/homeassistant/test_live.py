"""A Home Assistant that runs, over its API: the records of its folder; and one line for whatever is wrong with it."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_home_assistant import TOKEN, FakeHomeAssistant, add_configuration, answers_of
from ha_folder import device, entity, small_home, stored, write_files, write_registry
from loopback import CERTIFICATE, KEY
from websockets.sync.server import ServerConnection

from data_sources import DataSource, DataSourceError, Home, YamlRow, open_source
from data_sources.homeassistant.connection import parse_address
from data_sources.homeassistant.live import COMMANDS, HomeAssistantApi

AUTOMATIONS = """
- id: '1'
  alias: Hall lamp when somebody comes
  triggers:
  - trigger: state
    entity_id: binary_sensor.hall_motion
    to: 'on'
  actions:
  - action: light.turn_on
    target: {area_id: hall}
  - action: script.good_night
- id: '2'
  alias: Kitchen off
  description: Kitchen off at night
  initial_state: false
  triggers:
  - trigger: state
    entity_id: light.hall
  actions:
  - action: light.turn_off
    target: {area_id: kitchen}
- id: '3'
  alias: Everything
  triggers:
  - trigger: state
    entity_id: switch.outlet
  actions:
  - action: homeassistant.turn_on
    target: {entity_id: group.lamps}
  - action: scene.turn_on
    target: {entity_id: scene.evening}
"""
CONFIGURATION = """
automation: !include automations.yaml
script: !include scripts.yaml
group:
  lamps: {name: Lamps, entities: [light.hall, light.kitchen]}
scene:
- name: Evening
  entities: {light.kitchen: "on"}
homeassistant:
  customize:
    light.hall: {friendly_name: Lamp of the hall}
    switch.outlet: {device_class: outlet}
"""
SCRIPTS = """
good_night:
  alias: Good night
  sequence:
  - action: light.turn_off
    target: {entity_id: light.kitchen}
"""
NAMES = {
    "automation.everything": "Everything",
    "automation.hall_lamp_when_somebody_comes": "Hall lamp when somebody comes",
    "automation.kitchen_off": "Kitchen off",
    "binary_sensor.hall_motion": "Hall detector Motion",
    "group.lamps": "Lamps",
    "light.hall": "Lamp of the hall",
    "light.kitchen": "Kitchen lamp",
    "scene.evening": "Evening",
    "script.good_night": "Good night",
    "sensor.hall_motion_battery": "Hall detector",
    "switch.outlet": "Outlet 1",
}


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.delenv("SUPERVISOR_TOKEN", raising=False)
    monkeypatch.setenv("HOME_ASSISTANT_TOKEN", TOKEN)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A folder that knows of every entity of the home, without a recorder."""
    folder = small_home(tmp_path / "config")
    write_files(folder, {"automations.yaml": AUTOMATIONS, "configuration.yaml": CONFIGURATION, "scripts.yaml": SCRIPTS})
    registry = folder / ".storage" / "core.entity_registry"
    rows = json.loads(registry.read_text())["data"]["entities"]
    rows += [
        entity(f"automation.{slug}", platform="automation", unique_id=number, original_name=name)
        for number, slug, name in (
            ("1", "hall_lamp_when_somebody_comes", "Hall lamp when somebody comes"),
            ("2", "kitchen_off", "Kitchen off"),
            ("3", "everything", "Everything"),
        )
    ]
    rows.append(entity("script.good_night", platform="script", unique_id="good_night", original_name="Good night"))
    write_registry(folder, "entity", rows)
    scene = {"entity_id": "scene.evening", "state": "unknown", "attributes": {"friendly_name": "Evening"}}
    write_files(folder, {".storage/core.restore_state": stored("core.restore_state", [{"state": scene}])})
    return folder


@pytest.fixture
def answers(config: Path) -> dict[str, Any]:
    found = answers_of(
        config,
        NAMES,
        {
            "automation.kitchen_off": {"state": "off"},
            "group.lamps": {"entity_id": ["light.hall", "light.kitchen"]},
            "scene.evening": {"entity_id": ["light.kitchen"]},
            "switch.outlet": {"device_class": "outlet"},
        },
    )
    add_configuration(found, config, "automations.yaml", "scripts.yaml")
    return found


@pytest.fixture
def server(answers: dict[str, Any]) -> Iterator[FakeHomeAssistant]:
    with FakeHomeAssistant(answers) as running:
        yield running


def home_of(source: DataSource) -> Home:
    (home,) = source.read(Home)
    return home


def refused(spec: str, **limits: Any) -> str:
    """The one line of an error, which shows no secret and comes soon."""
    started = time.monotonic()
    with pytest.raises(DataSourceError) as failure:
        home_of(HomeAssistantApi(spec, **limits))
    assert time.monotonic() - started < 3
    message = str(failure.value)
    assert message.isprintable()
    assert "HOME_ASSISTANT_TOKEN" in message or TOKEN not in message
    for part in TOKEN.split("."):
        assert part not in message
    assert "hunter2" not in message
    return message


# --- the same home ---


def test_a_running_home_gives_the_records_of_its_folder(config: Path, server: FakeHomeAssistant) -> None:
    live = home_of(open_source(data_source=server.url))
    folder = home_of(open_source(data_source=f"homeassistant:{config}"))
    assert live == folder
    assert live.fingerprint() == folder.fingerprint()
    pairs = {(synergy.trigger, synergy.action) for synergy in live.synergies}
    assert {("binary_sensor.hall_motion", "light.kitchen"), ("switch.outlet", "light.hall")} <= pairs
    assert live.turned_off == (("light.hall", "light.kitchen"),)
    assert {one.entity_id: one.name for one in live.entities}["light.hall"] == "Lamp of the hall"


def test_a_running_home_gives_its_automations_as_the_folder_does(config: Path, server: FakeHomeAssistant) -> None:
    live, folder = open_source(data_source=server.url), open_source(data_source=str(config))
    rows = {row.input: row.output for row in live.read(YamlRow)}
    assert rows == {row.input: row.output for row in folder.read(YamlRow)}
    assert len(rows) == 3
    assert any("!secret" in note for note in live.report.notes)


def test_only_lists_are_asked_for(server: FakeHomeAssistant) -> None:
    home_of(open_source(data_source=server.url))
    assert set(server.commands()) == COMMANDS
    assert all(kind.rpartition("/")[2].startswith(("get", "list", "config")) for kind in COMMANDS)
    numbers = [message["id"] for message in server.received if message["type"] != "auth"]
    assert numbers == sorted(set(numbers))


def test_a_large_registry_is_asked_for_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: FakeHomeAssistant
) -> None:
    rows = [entity(f"light.lamp_{number}", original_device_class="x", supported_features=4) for number in range(1_201)]
    folder = small_home(tmp_path / "large")
    write_registry(folder, "entity", rows)
    server.answers = answers_of(folder, {}, {})
    home = home_of(open_source(data_source=server.url))
    assert len(home.entities) == 1_201
    assert {one.supported_features for one in home.entities} == {4}
    assert server.commands().count("config/entity_registry/get_entries") == 3


def test_an_automation_that_a_person_switched_off_is_turned_off(config: Path, server: FakeHomeAssistant) -> None:
    states = {state["entity_id"]: state for state in server.answers["get_states"]}
    states["automation.everything"]["state"] = "off"
    saved = [{"state": states["automation.everything"]}, {"state": states["scene.evening"]}]
    write_files(config, {".storage/core.restore_state": stored("core.restore_state", saved)})
    home = home_of(open_source(data_source=server.url))
    assert ("switch.outlet", "light.kitchen") in home.turned_off
    assert not any(synergy.trigger == "switch.outlet" for synergy in home.synergies)
    assert home == home_of(open_source(data_source=str(config)))


def test_helpers_that_show_another_entity_again_are_known_where_the_api_tells(
    tmp_path: Path, server: FakeHomeAssistant
) -> None:
    folder = small_home(tmp_path / "helpers")
    write_registry(
        folder,
        "entity",
        [
            entity("switch.plug"),
            entity("light.plug", platform="switch_as_x", options={"switch_as_x": {"entity_id": "switch.plug"}}),
            entity("sensor.energy", platform="integration"),
            entity("sensor.mean", platform="min_max"),
        ],
    )
    server.answers = answers_of(folder, {}, {"sensor.energy": {"source": "sensor.power"}})
    source = open_source(data_source=server.url)
    mirrors = {one.entity_id: one.mirrors for one in home_of(source).entities}
    assert mirrors["light.plug"] == ("switch.plug",)
    assert mirrors["sensor.energy"] == ("sensor.power",)
    assert any("1 entity of min_max" in note for note in source.report.notes)


# --- addresses ---


@pytest.mark.parametrize(
    ("given", "uri", "shown"),
    [
        ("http://host:8123", "ws://host:8123/api/websocket", "http://host:8123"),
        ("HTTP://Host:8123/", "ws://host:8123/api/websocket", "http://host:8123"),
        ("https://host", "wss://host:443/api/websocket", "https://host"),
        ("http://host", "ws://host:80/api/websocket", "http://host"),
        ("ws://host:8123/api/websocket", "ws://host:8123/api/websocket", "http://host:8123"),
        ("wss://host/api", "wss://host:443/api/websocket", "https://host"),
        ("https://host/ha/", "wss://host:443/ha/api/websocket", "https://host/ha"),
        ("http://[fd00::1]:8123", "ws://[fd00::1]:8123/api/websocket", "http://[fd00::1]:8123"),
        ("http://[::1]", "ws://[::1]:80/api/websocket", "http://[::1]"),
        ("https://u:p%40@host", "wss://u:p%40@host:443/api/websocket", "https://host"),
        ("http://küche.local:8123", "ws://xn--kche-0ra.local:8123/api/websocket", "http://xn--kche-0ra.local:8123"),
        ("http://supervisor/core", "ws://supervisor:80/core/websocket", "http://supervisor/core"),
        ("http://supervisor/core/api", "ws://supervisor:80/core/websocket", "http://supervisor/core"),
        ("http://supervisor", "ws://supervisor:80/core/websocket", "http://supervisor/core"),
    ],
)
def test_an_address_is_read_however_it_is_given(given: str, uri: str, shown: str) -> None:
    address = parse_address(f"homeassistant+{given}")
    assert (address.uri, address.shown) == (uri, shown)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ftp://host", "expected homeassistant+http://host:8123"),
        ("http://", "expected homeassistant+http://host:8123"),
        ("http://host:port", "is no address"),
        ("http://host:99999", "is no address"),
        ("http://host:0", "names no host"),
        ("http://[::1", "is no address"),
        ("http://:8123", "names no host"),
        ("http://a host:8123", "names no host"),
        ("http://host:8123?token=hunter2-hunter2", "leave out what follows the ?"),
        ("http://host:8123/#x", "leave out what follows the ?"),
        (f"http://{TOKEN}@host:8123", "has a user without a password"),
        ("http://host:port'", "its quotes are part of the value"),
    ],
)
def test_an_address_that_is_none_is_explained(given: str, told: str) -> None:
    assert told in refused(f"homeassistant+{given}")


def test_a_reverse_proxy_with_a_path_and_a_password_is_passed(server: FakeHomeAssistant) -> None:
    home_of(open_source(data_source=f"homeassistant+http://user:hunter2@127.0.0.1:{server.port}/ha/"))
    assert server.paths == ["/ha/api/websocket"]
    assert server.headers[0]["Authorization"].startswith("Basic ")
    assert open_source(data_source=f"homeassistant+http://user:hunter2@127.0.0.1:{server.port}/ha/").describe() == {
        "type": "homeassistant",
        "location": f"http://127.0.0.1:{server.port}/ha",
    }


# --- tokens ---


def test_without_a_token_the_message_says_where_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME_ASSISTANT_TOKEN")
    assert "HOME_ASSISTANT_TOKEN is not set; make a long-lived access token" in refused("homeassistant+http://h:8123")
    assert "SUPERVISOR_TOKEN is not set" in refused("homeassistant+http://supervisor/core")


@pytest.mark.parametrize("written", [f"Bearer {TOKEN}", f"  {TOKEN}\n"])
def test_a_token_is_taken_as_people_copy_it(
    server: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("HOME_ASSISTANT_TOKEN", written)
    assert home_of(open_source(data_source=server.url)).entities


def test_a_token_is_read_from_an_env_file(
    server: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HOME_ASSISTANT_TOKEN")
    (tmp_path / ".env").write_text(f"HOME_ASSISTANT_TOKEN={TOKEN}\n")
    assert home_of(open_source(data_source=server.url)).entities


def test_a_wrong_token_is_refused_and_not_shown(server: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    server.token = "another"
    assert "refuses the token that HOME_ASSISTANT_TOKEN holds (auth_invalid); make a new" in refused(server.url)
    monkeypatch.setenv("HOME_ASSISTANT_TOKEN", f"'{TOKEN}'")
    assert "its quotes are part of the value" in refused(server.url)
    monkeypatch.setenv("HOME_ASSISTANT_TOKEN", "two words")
    assert "is no token; copy it again" in refused(server.url)


def test_the_supervisors_token_goes_to_no_other_host(
    server: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME_ASSISTANT_TOKEN")
    monkeypatch.setenv("SUPERVISOR_TOKEN", TOKEN)
    assert "HOME_ASSISTANT_TOKEN is not set" in refused(server.url)
    assert server.received == []


def test_a_user_who_is_no_administrator_is_told(server: FakeHomeAssistant) -> None:
    server.refused = {"automation/config": "unauthorized", "script/config": "unauthorized"}
    assert "is no administrator, and Home Assistant shows automation/config to administrators only" in refused(
        server.url
    )


def test_no_log_holds_the_token(server: FakeHomeAssistant, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    home_of(open_source(data_source=server.url))
    server.token = "another"
    refused(server.url)
    for part in TOKEN.split("."):
        assert part not in caplog.text


# --- no Home Assistant, or none that can be reached ---


@contextmanager
def listening(serve: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server that does one thing with each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    serve(connection)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"homeassistant+http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_a_closed_port_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    message = refused(f"homeassistant+http://127.0.0.1:{port}")
    assert (
        "no connection (Connection refused); is Home Assistant running there? Without a proxy in front, its" in message
    )


def test_a_host_that_does_not_resolve_is_told() -> None:
    assert "the host name does not resolve; correct it" in refused("homeassistant+http://no-such-host.invalid:8123")


def test_a_host_that_never_answers_ends_in_time() -> None:
    held: list[socket.socket] = []
    with listening(lambda connection: held.append(connection.dup())) as spec:
        assert "no answer within 0.2 s; is the address right" in refused(spec, connect_seconds=0.2)
    for connection in held:
        connection.close()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n\r\n", "the answer is not that of a web server; is its address https://?"),
        (b"", "the answer is not that of a web server; is its address https://?"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "answers 200, a web page and no WebSocket"),
        (b"HTTP/1.1 101 Hi\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n", "the answer opens no WebSocket"),
    ],
)
def test_what_is_no_home_assistant_is_told(answer: bytes, told: str) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(answer)

    with listening(serve) as spec:
        assert told in refused(spec)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "trusted_proxies"),
        (401, "wants a user and password"),
        (403, "ip_bans.yaml"),
        (404, "give the address and port of its first page"),
        (426, "something else and no WebSocket"),
        (500, "something else and no WebSocket"),
        (502, "the proxy in front does not reach it"),
        (503, "the proxy in front does not reach it"),
    ],
)
def test_what_a_proxy_in_front_answers_is_explained(server: FakeHomeAssistant, status: int, told: str) -> None:
    server.status = (status, {})
    message = refused(server.url)
    assert f"answers {status}" in message
    assert told in message
    assert server.received == []


@pytest.mark.parametrize(
    ("location", "to"),
    [
        ("https://elsewhere.example/api/websocket", "https://elsewhere.example"),
        ("https://u:hunter2@elsewhere.example/x?token=hunter2", "https://elsewhere.example/x"),
        ("/login", "/login"),
    ],
)
def test_a_token_does_not_follow_a_redirect(server: FakeHomeAssistant, location: str, to: str) -> None:
    server.status = (302, {"Location": location})
    message = refused(server.url)
    assert f"{to}, and the token does not go along; if that is your Home Assistant, give --data-source" in message
    assert server.received == []


def test_no_token_is_sent_where_none_is_asked_for(server: FakeHomeAssistant) -> None:
    server.greeting = lambda connection: connection.send('{"hello": "world"}')
    assert "it does not ask for a token; none was sent" in refused(server.url)


GREETINGS: list[tuple[Callable[[ServerConnection], None], str]] = [
    (lambda connection: connection.send("garbage"), "sends no JSON; is this Home Assistant?"),
    (lambda connection: connection.send(b"\xff\xfe\x00"), "sends no JSON; is this Home Assistant?"),
    (lambda connection: connection.send("[" * 100_000), "sends nested too deep; is this Home Assistant?"),
    (lambda connection: connection.send("9" * 10_000), "sends no JSON; is this Home Assistant?"),
    (lambda connection: connection.send("[1]"), "it does not ask for a token"),
    (lambda connection: connection.send("x" * 3_000_000), "sends more than 2 MB in one message"),
    (lambda connection: connection.close(), "the connection broke; did Home Assistant stop or restart?"),
    (lambda connection: connection.socket.close(), "the connection broke; did Home Assistant stop or restart?"),
    (lambda connection: connection.socket.sendall(b"\xff\xff\xff"), "sends what is no WebSocket message"),
    (lambda connection: time.sleep(0.5), "no greeting within 0.3 s; is this Home Assistant?"),
]


@pytest.mark.parametrize(("greeting", "told"), GREETINGS)
def test_what_a_hostile_server_sends_ends_in_one_line(
    server: FakeHomeAssistant, greeting: Callable[[ServerConnection], None], told: str
) -> None:
    server.greeting = greeting
    assert told in refused(server.url, connect_seconds=0.3, max_message_bytes=2 * 2**20)
    assert server.received == []


def endless(connection: ServerConnection) -> None:
    while True:
        connection.send(json.dumps({"id": 99, "type": "event", "pad": "x" * 1_000}))
        time.sleep(0.001)


MISDEEDS: list[tuple[Callable[[ServerConnection], None], dict[str, Any], str]] = [
    (lambda connection: connection.close(), {}, "the connection broke"),
    (lambda connection: connection.send("{"), {}, "sends no JSON"),
    (endless, {"max_total_bytes": 200_000}, "sends more than any home has"),
    (endless, {"total_seconds": 0.5}, "answers too slowly; gave up after 0.5 s"),
    (endless, {"answer_seconds": 0.3}, "get_states: Home Assistant 2026.11.0 did not answer in time"),
]


@pytest.mark.parametrize(("misdeed", "limits", "told"), MISDEEDS)
def test_a_server_that_goes_wrong_half_way_ends_in_one_line(
    server: FakeHomeAssistant, misdeed: Callable[[ServerConnection], None], limits: dict[str, Any], told: str
) -> None:
    server.instead = {"get_states": misdeed}
    assert told in refused(server.url, **limits)


@pytest.mark.parametrize("result", [None, 7, "x", {"a": 1}, [7, None, {"entity_id": 7}, {"entity_id": "\x1b[31m"}]])
@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_answers_of_another_shape_are_counted_and_never_a_traceback(
    server: FakeHomeAssistant, command: str, result: Any
) -> None:
    given = server.answers[command]
    by_entity = isinstance(given, dict) and command.endswith("config")
    server.answers[command] = dict.fromkeys(given, result) if by_entity else result
    if command.endswith("get_entries"):
        server.answers[command] = dict.fromkeys(given, result)
    source = open_source(data_source=server.url)
    home = home_of(source)
    assert {"light.hall", "light.kitchen"} <= {one.entity_id for one in home.entities}
    assert all(note.isprintable() for note in source.report.notes)


# --- older versions, and answers that are missing ---


def test_a_version_before_floors_and_whole_rows_is_read_without_them(server: FakeHomeAssistant) -> None:
    before = home_of(open_source(data_source=server.url))
    server.version = "2022.3.1"
    for command in ("floor_registry/list", "label_registry/list", "entity_registry/get_entries"):
        del server.answers[f"config/{command}"]
    source = open_source(data_source=server.url)
    home = home_of(source)
    assert [one.entity_id for one in home.entities] == [one.entity_id for one in before.entities]
    assert {one.entity_id: one.device_class for one in home.entities}["binary_sensor.hall_motion"] == "motion"
    notes = "; ".join(source.report.notes)
    assert "config/floor_registry/list: Home Assistant 2022.3.1 does not know it yet; read without" in notes
    assert "list that is missing: 3" in notes


def test_an_automation_that_is_not_answered_is_counted_and_the_rest_is_read(server: FakeHomeAssistant) -> None:
    server.silent = {"automation/config automation.kitchen_off"}
    server.refused = {"script/config script.good_night": "not_found"}
    source = HomeAssistantApi(server.url, answer_seconds=0.3)
    home = home_of(source)
    assert home.turned_off == ()
    assert home.synergies
    notes = "; ".join(source.report.notes)
    assert "automation.kitchen_off: automation/config: Home Assistant did not answer in time" in notes
    assert "script.good_night: script/config: Home Assistant refuses it (not_found)" in notes


@pytest.mark.parametrize("code", ["unknown_command", "unknown_error", "SECRET\x1b[31m \N{SNOWMAN}"])
def test_a_list_that_no_home_can_be_read_without_is_an_error(server: FakeHomeAssistant, code: str) -> None:
    server.refused = {"config/entity_registry/list": code}
    message = refused(server.url)
    assert "config/entity_registry/list: Home Assistant 2026.11.0 refuses it (un" in message
    assert "--data-source homeassistant:/config" in message


def test_a_blueprint_that_home_assistant_cannot_read_is_counted(server: FakeHomeAssistant) -> None:
    server.answers["automation/config"]["automation.kitchen_off"] = {"config": {"use_blueprint": {"path": "x.yaml"}}}
    source = open_source(data_source=server.url)
    home_of(source)
    assert any(
        "automation.kitchen_off: Home Assistant itself cannot read its blueprint" in note
        for note in source.report.notes
    )


def test_strict_makes_a_broken_row_an_error(server: FakeHomeAssistant) -> None:
    server.answers["config/device_registry/list"].append({"name": "no id"})
    with pytest.raises(DataSourceError, match=r"devices 4 left out: no id \(--strict stops"):
        home_of(open_source(data_source=server.url, strict=True))


def test_what_the_api_does_not_tell_is_noted(tmp_path: Path, server: FakeHomeAssistant) -> None:
    folder = small_home(tmp_path / "told")
    write_registry(folder, "device", [device("d")])
    write_registry(folder, "entity", [entity("automation.x", disabled_by="user"), entity("light.x")])
    server.answers = answers_of(folder, {}, {})
    source = open_source(data_source=server.url)
    home_of(source)
    assert any("disabled automations: 1; the API does not say what they did" in n for n in source.report.notes)


# --- TLS and proxies ---


@pytest.fixture
def secure(answers: dict[str, Any], tmp_path: Path) -> Iterator[FakeHomeAssistant]:
    (tmp_path / "certificate.pem").write_text(CERTIFICATE)
    (tmp_path / "key.pem").write_text(KEY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "certificate.pem", tmp_path / "key.pem")
    with FakeHomeAssistant(answers, context=context) as running:
        yield running


def test_a_certificate_is_trusted_where_it_is_named(
    secure: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert "its certificate is not trusted (self-signed certificate); set SSL_CERT_FILE to a file" in refused(
        secure.url
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
    assert home_of(open_source(data_source=secure.url)).entities
    assert "its certificate is for another name" in refused(secure.url.replace("127.0.0.1", "127.1"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "no.pem"))
    assert "cannot be read as certificates" in refused(secure.url)


def test_http_and_https_are_told_apart(secure: FakeHomeAssistant, server: FakeHomeAssistant) -> None:
    assert "is its address https://?" in refused(secure.url.replace("https", "http"))
    assert "is its address http://?" in refused(server.url.replace("http", "https"))


def test_a_proxy_is_named_and_can_be_gone_past(server: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://u:hunter2@127.0.0.1:{closed}")
    message = refused(server.url)
    assert "through the proxy that http_proxy names (NO_PROXY=127.0.0.1 goes past it)" in message
    monkeypatch.setenv("http_proxy", "gopher://u:hunter2@proxy")
    assert "http_proxy='gopher://proxy': cannot be used as a proxy" in refused(server.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert home_of(open_source(data_source=server.url)).entities


@pytest.mark.parametrize(
    ("status", "told"), [(b"HTTP/1.1 407 No\r\n\r\n", "the proxy answers 407"), (b"", "not answer")]
)
def test_a_proxy_that_refuses_is_told(
    server: FakeHomeAssistant, monkeypatch: pytest.MonkeyPatch, status: bytes, told: str
) -> None:
    def serve(connection: socket.socket) -> None:
        connection.recv(65_536)
        connection.sendall(status)

    with listening(serve) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy.removeprefix("homeassistant+"))
        assert told in refused(server.url)
