"""Which of Home Assistant's files or answers a JSON value is, and what it says of a home.

People save what the API answers: ``GET /api/states``, the lists of the WebSocket API (``config/entity_registry/list``),
a whole message with its ``result``. Each is told by its keys, for a saved file may have any name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from home_assistant.automation import starts_enabled
from home_assistant.automation_yaml import ACTIONS, BLUEPRINT, TRIGGERS
from home_assistant.entity_id import is_entity_id, normalized_entity_id
from home_assistant.installation import ConfiguredAutomation, Installation
from home_assistant.registries import (
    REGISTRY_OF,
    RESTORE_STATE,
    add_rows,
    add_state,
    add_stored,
    saved_states,
    stored_of,
)

# What a value is -> how a message calls it. The first group says something of a home.
STATES, ENTITIES, DISPLAYED, AUTOMATIONS = "states", "entities", "displayed", "automations"
PLACES = ("devices", "areas", "floors", "labels")
OTHER = "other"
_CALLED = {
    STATES: "states",
    ENTITIES: "entities of the registry",
    DISPLAYED: "entities of the registry, as they are displayed",
    AUTOMATIONS: "automations",
}
_ROW_KEYS = {
    "devices": ("id", frozenset(("identifiers", "connections"))),
    "areas": ("area_id", frozenset(("picture", "aliases", "floor_id", "icon"))),  # before floors, which they name
    "floors": ("floor_id", frozenset(("level", "aliases", "icon"))),
    "labels": ("label_id", frozenset(("color", "description", "icon"))),
}
# Of each id in saved answers of search/related.
_RELATED = frozenset(("area", "automation", "config_entry", "device", "entity", "floor", "integration", "label"))


def result_of(value: Any) -> Any:
    """The ``result`` of a saved WebSocket message; any other value as it is."""
    if isinstance(value, dict) and value.get("type") == "result" and "result" in value:
        return value["result"]
    return value


def kind_of(value: Any) -> str | None:
    """Which of Home Assistant's a value is; None where it is nothing of Home Assistant's."""
    value = result_of(value)
    if isinstance(value, list):
        return _kind_of_row(value[0]) if value and isinstance(value[0], dict) else None
    if not isinstance(value, dict):
        return None
    if "version" in value and "key" in value and "data" in value:
        registry = REGISTRY_OF.get(str(value["key"]))
        if value["key"] == RESTORE_STATE:
            return STATES
        return registry.rows if registry is not None else OTHER
    if "entity_categories" in value and "entities" in value:
        return DISPLAYED
    if _is_automation(value):
        return AUTOMATIONS
    if {"components", "config_dir"} <= value.keys():
        return OTHER
    first = next(iter(value.items()), (None, None))
    if isinstance(first[0], str) and is_entity_id(first[0]) and isinstance(first[1], dict):
        if _is_registered(first[1]):
            return ENTITIES
        if "config" in first[1]:
            return AUTOMATIONS
        return None if _RELATED.isdisjoint(first[1]) else OTHER
    return None


def _kind_of_row(row: Mapping[Any, Any]) -> str | None:
    if "home_id" in row:  # rows of the project's own format
        return None
    if "entity_id" in row:
        if {"state", "attributes"} <= row.keys():
            return STATES
        return ENTITIES if _is_registered(row) else None
    for kind, (row_id, others) in _ROW_KEYS.items():
        if row_id in row and (not others.isdisjoint(row) or row.keys() <= {row_id, "name"}) and row_id != "id":
            return kind
        if row_id == "id" and others <= row.keys():
            return kind
    if _is_automation(row):
        return AUTOMATIONS
    return OTHER if {"domain", "services"} <= row.keys() or "category_id" in row else None


def _is_registered(row: Mapping[Any, Any]) -> bool:
    return "entity_id" in row and "platform" in row and ("unique_id" in row or "disabled_by" in row)


def _is_automation(row: Mapping[Any, Any]) -> bool:
    acts = any(key in row for key in TRIGGERS) and any(key in row for key in ACTIONS)
    return acts or (BLUEPRINT in row and "alias" in row)


def called(kind: str) -> str:
    """How a message calls a kind."""
    return _CALLED.get(kind, kind)


def add_answer(installation: Installation, value: Any, kind: str, where: str) -> int | None:
    """Add what a value of ``kind`` says to an installation. Call ``registries.migrate`` when all are added.

    Returns:
        The minor version, where the value is a file of entities.

    Raises:
        NewerVersionError: It is a registry of a newer major version than those that are known.
    """
    value = result_of(value)
    if isinstance(value, dict) and str(value.get("key")) in REGISTRY_OF:
        registry = REGISTRY_OF[value["key"]]
        stored = stored_of(value)
        minor = add_stored(installation, registry, stored, where)
        return minor if kind == ENTITIES else None
    if kind == STATES:
        for state in saved_states(value) if isinstance(value, dict) else value:
            add_state(installation, state)
    elif kind == ENTITIES:
        rows = list(value.values()) if isinstance(value, dict) else value
        add_rows(installation, REGISTRY_OF["core.entity_registry"], [row for row in rows if row is not None], where)
    elif kind == DISPLAYED:
        rows = list(_displayed(value))
        add_rows(installation, REGISTRY_OF["core.entity_registry"], rows, where)
    elif kind == AUTOMATIONS:
        installation.automations.extend(automations_in(value, where))
    else:
        registry = next(registry for registry in REGISTRY_OF.values() if registry.rows == kind)
        add_rows(installation, registry, value, where)
    return None


def _displayed(value: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rows of ``config/entity_registry/list_for_display``, which abbreviates its keys."""
    categories = value["entity_categories"] if isinstance(value["entity_categories"], dict) else {}
    rows = value["entities"] if isinstance(value["entities"], list) else []
    for row in rows:
        if isinstance(row, dict):
            yield {
                "entity_id": row.get("ei"),
                "platform": row.get("pl"),
                "area_id": row.get("ai"),
                "device_id": row.get("di"),
                "labels": row.get("lb"),
                "original_name": row.get("en"),
                "entity_category": categories.get(str(row.get("ec"))),
                "hidden_by": "user" if row.get("hb") else None,
                "next_name_part": None,
            }


def automations_in(value: Any, where: str) -> Iterator[ConfiguredAutomation]:
    """The automations of a list, of one automation, or of answers by entity id."""
    if isinstance(value, list):
        for number, item in enumerate(value, start=1):
            if isinstance(item, dict):
                yield ConfiguredAutomation(item, f"{where}: automation {number}", enabled=starts_enabled(item))
    elif _is_automation(value):
        yield ConfiguredAutomation(value, where, enabled=starts_enabled(value))
    else:
        for entity_id, answer in value.items():
            config = answer.get("config") if isinstance(answer, dict) else None
            if isinstance(config, dict):
                own = normalized_entity_id(str(entity_id))
                yield ConfiguredAutomation(config, f"{where}: {own}", entity_id=own, enabled=starts_enabled(config))
