"""A server on loopback that speaks Home Assistant's WebSocket API for the home that a folder describes."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

import yaml
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import Server, ServerConnection, serve

_silent = logging.getLogger("fake_home_assistant")
_silent.setLevel(logging.CRITICAL)  # so that whatever a log of the client holds is the client's own

TOKEN = "eyJhbGciOiJIUzI1NiJ9.a-long-lived-token.of-nobody"
# What the list of entities has of a row, and what only whole rows have.
SHORT = (
    *("area_id", "config_entry_id", "created_at", "device_id", "disabled_by", "entity_category", "entity_id"),
    *("hidden_by", "id", "labels", "name", "options", "original_name", "platform", "unique_id"),
)
WHOLE = ("capabilities", "device_class", "original_device_class")


def answers_of(folder: Path, names: Mapping[str, str], states: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the API of 2026.11 answers for a folder.

    Args:
        folder: With the registries in ``.storage``.
        names: Entity id -> the name that Home Assistant shows.
        states: Entity id -> more attributes of its state; those that are in no registry too. ``state`` is the state.
    """
    data = {
        name: json.loads((folder / ".storage" / f"core.{name}_registry").read_text())["data"]
        for name in ("area", "device", "entity", "floor", "label")
    }
    entities = data["entity"]["entities"]
    shown: dict[str, Any] = {}
    for row in entities:
        if row["disabled_by"] is None:
            told = {
                "friendly_name": names.get(row["entity_id"]),
                "device_class": row["device_class"] or row["original_device_class"],
                "supported_features": row["supported_features"],
                **(row["capabilities"] or {}),
            }
            shown[row["entity_id"]] = {key: value for key, value in told.items() if value is not None}
    for entity_id, more in states.items():
        shown[entity_id] = {**shown.get(entity_id, {"friendly_name": names.get(entity_id)}), **more}
    return {
        "config/area_registry/list": [
            {"area_id" if key == "id" else key: value for key, value in row.items()} for row in data["area"]["areas"]
        ],
        "config/device_registry/list": [*data["device"]["devices"], *data["device"].get("child_devices", [])],
        "config/floor_registry/list": data["floor"]["floors"],
        "config/label_registry/list": data["label"]["labels"],
        "config/entity_registry/list": [{key: row[key] for key in SHORT} for row in entities],
        "config/entity_registry/get_entries": {
            row["entity_id"]: {key: row[key] for key in (*SHORT, *WHOLE)} for row in entities
        },
        "get_states": [
            {"entity_id": id_, "state": told.pop("state", "on"), "attributes": told} for id_, told in shown.items()
        ],
        "get_services": {"light": {"turn_on": {"fields": {}, "target": {}}}},
        "automation/config": {},
        "script/config": {},
    }


def add_configuration(answers: dict[str, Any], folder: Path, automations: str, scripts: str) -> None:
    """Add the configuration of ``automations.yaml`` and ``scripts.yaml`` by the entity ids in ``answers``' states."""
    by_alias = {state["attributes"].get("friendly_name"): state["entity_id"] for state in answers["get_states"]}
    for item in yaml.safe_load((folder / automations).read_text()):
        answers["automation/config"][by_alias[item["alias"]]] = {"config": item}
    for key, item in yaml.safe_load((folder / scripts).read_text()).items():
        answers["script/config"][f"script.{key}"] = {"config": item}


class FakeHomeAssistant:
    """A context manager. Tests change the attributes before a client comes.

    Attributes:
        answers: Command -> its result; where commands ask for entities, by entity id.
        refused: Command, or ``command entity_id`` -> the code of the error that it gets.
        silent: Commands, or ``command entity_id``, that are never answered.
        instead: Command -> called with the connection instead of answering.
        greeting: Called with each connection instead of the greeting and all that follows.
        status: A status and headers that answer the upgrade.
        token: The one that is accepted.
        version: What it says that it is.
        received: Every message that came, the token's too.
    """

    def __init__(self, answers: dict[str, Any] | None = None, *, context: ssl.SSLContext | None = None) -> None:
        self.answers = answers or {}
        self.refused: dict[str, str] = {}
        self.silent: set[str] = set()
        self.instead: dict[str, Callable[[ServerConnection], None]] = {}
        self.greeting: Callable[[ServerConnection], None] | None = None
        self.status: tuple[int, dict[str, str]] | None = None
        self.token = TOKEN
        self.version = "2026.11.0"
        self.received: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        self._context = context
        self._server: Server | None = None

    def __enter__(self) -> Self:
        self._server = serve(
            self._handle,
            "127.0.0.1",
            0,
            ssl=self._context,
            process_request=self._upgrade,
            close_timeout=0.2,
            ping_interval=None,
            max_size=None,
            logger=_silent,
        )
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._thread.join()

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._server is not None
        port: int = self._server.socket.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The value of ``--data-source``."""
        return f"homeassistant+http{'s' if self._context else ''}://127.0.0.1:{self.port}"

    def commands(self) -> list[str]:
        """The types of all commands that came, without the token's."""
        return [message["type"] for message in self.received if message["type"] != "auth"]

    def _upgrade(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        self.headers.append(dict(request.headers.raw_items()))
        if self.status is not None:
            response = connection.respond(HTTPStatus(self.status[0]), "")
            for name, value in self.status[1].items():
                response.headers[name] = value
            return response
        if not request.path.endswith(("/api/websocket", "/core/websocket")):
            return connection.respond(HTTPStatus.NOT_FOUND, "404: Not Found")
        return None

    def _handle(self, connection: ServerConnection) -> None:
        with suppress(ConnectionClosed, OSError):
            if self.greeting is not None:
                self.greeting(connection)
                return
            connection.send(json.dumps({"type": "auth_required", "ha_version": self.version}))
            message = json.loads(connection.recv())
            self.received.append(message)
            if message.get("access_token") != self.token:
                told = f"Invalid access token or password {message.get('access_token')}"
                connection.send(json.dumps({"type": "auth_invalid", "message": told}))
                return
            connection.send(json.dumps({"type": "auth_ok", "ha_version": self.version}))
            for raw in connection:
                self._answer(connection, json.loads(raw))

    def _answer(self, connection: ServerConnection, message: dict[str, Any]) -> None:
        self.received.append(message)
        kind, entity_id = message["type"], message.get("entity_id")
        names = {kind, f"{kind} {entity_id}"}
        if kind in self.instead:
            self.instead[kind](connection)
            return
        if names & self.silent:
            return
        code = next((self.refused[name] for name in sorted(names) if name in self.refused), None)
        if kind not in self.answers:
            code = "unknown_command"
        result = self.answers.get(kind)
        if code is None and entity_id is not None:
            code = None if entity_id in result else "not_found"
            result = result.get(entity_id)
        elif code is None and "entity_ids" in message:
            result = {wanted: result.get(wanted) for wanted in message["entity_ids"]}
        told = {"success": True, "result": result} if code is None else {"success": False, "error": {"code": code}}
        connection.send(json.dumps({"id": message["id"], "type": "result", **told}))
