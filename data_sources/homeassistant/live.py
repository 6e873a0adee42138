"""A home from a Home Assistant that runs, over its WebSocket API. It is only asked what there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from data_sources.base import DataSource
from data_sources.counting import many
from data_sources.homeassistant.connection import (
    NO_ANSWER,
    Answer,
    Command,
    Connection,
    HomeAssistantApiError,
    parse_address,
)
from data_sources.homeassistant.source import HomeAssistantSource
from data_sources.records import R, YamlRow
from data_sources.settings import home_assistant_settings
from home_assistant.automation import starts_enabled
from home_assistant.automation_yaml import BLUEPRINT
from home_assistant.entity_id import domain_of, is_entity_id, normalized_entity_id
from home_assistant.installation import ConfiguredAutomation, Installation
from home_assistant.registries import REGISTRY_OF, add_rows, add_state, migrate, note_broken

ROWS_AT_ONCE = 500  # entities whose whole rows one command asks for
TOKEN, SUPERVISOR_TOKEN = "HOME_ASSISTANT_TOKEN", "SUPERVISOR_TOKEN"

ENTITIES, WHOLE_ENTITIES = "config/entity_registry/list", "config/entity_registry/get_entries"
DEVICES, AREAS = "config/device_registry/list", "config/area_registry/list"
FLOORS, LABELS = "config/floor_registry/list", "config/label_registry/list"
STATES, SERVICES = "get_states", "get_services"
AUTOMATION, SCRIPT = "automation/config", "script/config"
COMMANDS = frozenset((ENTITIES, WHOLE_ENTITIES, DEVICES, AREAS, FLOORS, LABELS, STATES, SERVICES, AUTOMATION, SCRIPT))
"""All that is ever sent: none of them changes anything."""

# Registry file -> the command with its rows; those that a version before 2024.4 lacks may be refused.
_LISTS = {
    "core.area_registry": AREAS,
    "core.device_registry": DEVICES,
    "core.entity_registry": ENTITIES,
    "core.floor_registry": FLOORS,
    "core.label_registry": LABELS,
}
_MAY_LACK = (FLOORS, LABELS, SERVICES, WHOLE_ENTITIES)
_UNKNOWN, _UNAUTHORIZED = "unknown_command", "unauthorized"
# Helpers of which the API does not say what they show again.
_SILENT = ("min_max", "statistics", "template")
_SECRETS = (
    "automations over the API have the values of !secret filled in; to learn from a home whose automations hold some, "
    "read its folder"
)


def open_live(spec: str, *, strict: bool, max_samples: int | None = None) -> DataSource:  # noqa: ARG001
    """The source for ``homeassistant+http(s)://host:8123``. Raises DataSourceError."""
    return HomeAssistantApi(spec, strict=strict)


class HomeAssistantApi(HomeAssistantSource):
    """One home, as its Home Assistant describes it now.

    Args:
        spec: ``homeassistant+http(s)://[user:password@]host[:port][/path]``; the user is one of a proxy in front.
        strict: Make the first broken row an error.
        limits: Of the connection: seconds and bytes.
    """

    def __init__(self, spec: str, *, strict: bool = False, **limits: Any) -> None:
        super().__init__(strict=strict)
        self._address = parse_address(spec)
        settings = home_assistant_settings()
        self._limits = limits
        self._token, self._variable = settings.home_assistant_token, TOKEN
        if self._address.is_supervisor:  # its token goes to no other host
            self._token, self._variable = settings.supervisor_token, SUPERVISOR_TOKEN

    def describe(self) -> dict[str, str]:
        """Type and address, without user, password and token."""
        return {"type": "homeassistant", "location": self._address.shown}

    def records(self, record: type[R]) -> Iterator[R]:
        """Yield the records of one kind; see ``DataSource.records``."""
        if record is YamlRow:
            self.report.notes.append(_SECRETS)
        yield from super().records(record)

    def installation(self) -> Installation:
        """What Home Assistant says of the home."""
        installation = Installation()
        with Connection(self._address, self._token, self._variable, **self._limits) as connection:
            installation.version = connection.version
            self._read_lists(connection, installation)
            migrate(installation, None)
            self._read_configurations(connection, installation)
        self._count_what_is_not_told(installation)
        return installation

    def _read_lists(self, connection: Connection, installation: Installation) -> None:
        commands: list[Command] = [{"type": kind} for kind in (*_LISTS.values(), STATES, SERVICES)]
        answers = {
            command["type"]: self._result(installation, command, answer) for command, answer in connection.ask(commands)
        }
        if isinstance(answers[SERVICES], dict):
            installation.services = answers[SERVICES]
        if isinstance(answers[STATES], list):
            for state in answers[STATES]:
                add_state(installation, state)
        else:
            note_broken(installation, STATES, "has no list of states")
        for name, command in _LISTS.items():
            if answers[command] is not None:
                add_rows(installation, REGISTRY_OF[name], answers[command], command)
        self._complete(connection, installation)

    def _complete(self, connection: Connection, installation: Installation) -> None:
        """Add what the list of entities leaves out: classes, capabilities, what each supports."""
        ids = [row["entity_id"] for row in installation.entities if is_entity_id(row["entity_id"])]
        chunks = [ids[start : start + ROWS_AT_ONCE] for start in range(0, len(ids), ROWS_AT_ONCE)]
        whole: dict[str, Mapping[str, Any]] = {}
        for command, answer in connection.ask([{"type": WHOLE_ENTITIES, "entity_ids": chunk} for chunk in chunks]):
            result = self._result(installation, command, answer)
            rows = result.items() if isinstance(result, dict) else ()
            whole |= {normalized_entity_id(entity_id): row for entity_id, row in rows if isinstance(row, dict)}
        for number, row in enumerate(installation.entities):
            entity_id = row["entity_id"]
            state = installation.states.get(entity_id)
            more = {**whole.get(entity_id, {}), "entity_id": entity_id}
            if state is not None:
                # A state has them always, and 0 is left out of some.
                more.setdefault("supported_features", state.get("supported_features") or 0)
                more.setdefault("capabilities", state)  # of the rows that an old version does not complete
                self._add_customized(installation, {**row, **more}, state)
            installation.entities[number] = {**row, **more}

    def _add_customized(self, installation: Installation, row: Mapping[str, Any], state: Mapping[str, Any]) -> None:
        """What `customize` in the YAML puts in the place of the registry's, shows in the state."""
        given: dict[str, Any] = {}
        device_class = state.get("device_class")
        if device_class and device_class != (row.get("device_class") or row.get("original_device_class")):
            given["device_class"] = device_class
        if state.get("hidden") is True:
            given["hidden"] = True
        if given:
            installation.customized[row["entity_id"]] = given

    def _read_configurations(self, connection: Connection, installation: Installation) -> None:
        ids = sorted(filter(is_entity_id, installation.states))
        of_kind = {AUTOMATION: "automation", SCRIPT: "script"}
        commands: list[Command] = [
            {"type": kind, "entity_id": entity_id}
            for kind, domain in of_kind.items()
            for entity_id in ids
            if domain_of(entity_id) == domain
        ]
        for command, answer in connection.ask(commands):
            entity_id = command["entity_id"]
            result = self._result(installation, command, answer)
            config = result.get("config") if isinstance(result, dict) else None
            if not isinstance(config, dict):
                if answer.refused is None:  # what Home Assistant itself could not read
                    installation.problems[f"{domain_of(entity_id)} without a configuration"] += 1
            elif BLUEPRINT in config:  # one that works comes with its inputs filled in
                installation.problems["broken blueprint"] += 1
                installation.notes.append(f"{entity_id}: Home Assistant itself cannot read its blueprint; see its log")
            elif command["type"] == AUTOMATION:
                enabled = starts_enabled(config)
                installation.automations.append(ConfiguredAutomation(config, entity_id, entity_id, enabled))
            else:
                installation.scripts[entity_id] = config

    def _result(self, installation: Installation, command: Command, answer: Answer) -> Any:
        """The result; None where it is refused and a home can be read without it. Raises HomeAssistantApiError."""
        if answer.refused is None:
            return answer.result
        kind, where = command["type"], self._address.shown
        if answer.refused == _UNAUTHORIZED:
            raise HomeAssistantApiError(
                f"{where}: the user of {self._variable} is no administrator, and Home Assistant shows {kind} to "
                "administrators only; make the token as one"
            )
        told = "did not answer in time" if answer.refused == NO_ANSWER else f"refuses it ({answer.refused})"
        if "entity_id" in command:
            installation.problems[f"{kind} {'not answered' if answer.refused == NO_ANSWER else 'refused'}"] += 1
            installation.notes.append(f"{command['entity_id']}: {kind}: Home Assistant {told}")
            return None
        if kind not in _MAY_LACK:
            version = f" {installation.version}" if installation.version else ""
            raise HomeAssistantApiError(
                f"{where}: {kind}: Home Assistant{version} {told}; try again, or read its folder: --data-source "
                "homeassistant:/config"
            )
        if answer.refused == _UNKNOWN:
            told = f"{installation.version or 'of this version'} does not know it yet; read without"
        installation.problems["list that is missing"] += 1
        installation.notes.append(f"{kind}: Home Assistant {told}")
        return None

    def _count_what_is_not_told(self, installation: Installation) -> None:
        silent = sum(row.get("platform") in _SILENT for row in installation.entities)
        if silent:
            installation.notes.append(
                f"{many(silent, 'entity')} of {', '.join(_SILENT)}: the API does not say which entity each shows "
                "again; the folder does"
            )
        disabled = sum(
            domain_of(row["entity_id"]) == "automation" and row.get("disabled_by") is not None
            for row in installation.entities
        )
        if disabled:
            installation.notes.append(
                f"disabled automations: {disabled}; the API does not say what they did, the folder does"
            )
