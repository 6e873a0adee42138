"""Write changes of states as Home Assistant's recorder keeps them, in the schema of any version since 2021."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from simulation.habits import Change

NEWEST = 53
ROWS_AT_ONCE = 10_000
STATE_ATTRIBUTES, STATES_CONTEXT, SECONDS, BINARY_CONTEXT, STATES_META, REPORTED = 25, 28, 31, 36, 38, 43
"""The schema that brought each of them."""


def tables(schema: int = NEWEST) -> list[str]:
    """The statements that make the tables as a database has them that began with this schema."""
    text = "CHAR(0)" if schema >= STATES_META else "VARCHAR(255)"
    columns = ["state_id INTEGER NOT NULL PRIMARY KEY"]
    columns += ["domain VARCHAR(64)"] if schema < STATES_CONTEXT else []
    columns += [f"entity_id {text}", "state VARCHAR(255)"]
    columns += [f"attributes {'CHAR(0)' if schema >= STATES_META else 'TEXT'}", "event_id INTEGER"]
    time = "CHAR(0)" if schema >= STATES_META else "DATETIME"
    columns += [f"last_changed {time}"] + ["last_changed_ts FLOAT"] * (schema >= SECONDS)
    columns += ["last_reported_ts FLOAT"] * (schema >= REPORTED)
    columns += [f"last_updated {time}"] + ["last_updated_ts FLOAT"] * (schema >= SECONDS)
    columns += ["created DATETIME"] if schema < STATE_ATTRIBUTES else []
    columns += ["old_state_id INTEGER"]
    columns += ["attributes_id INTEGER"] * (schema >= STATE_ATTRIBUTES)
    contexts = [f"context_{what} {{}}" for what in ("id", "user_id", "parent_id")]
    texts = [column.format("CHAR(0)" if schema >= STATES_META else "VARCHAR(36)") for column in contexts]
    binary = [column.replace(" ", "_bin ").format("BLOB") for column in contexts] * (schema >= BINARY_CONTEXT)
    columns += texts * (schema >= STATES_CONTEXT) + ["origin_idx INTEGER"] * (schema >= STATES_CONTEXT) + binary
    columns += ["metadata_id INTEGER"] * (schema >= STATES_META)
    events = ["event_id INTEGER NOT NULL PRIMARY KEY", "event_type VARCHAR(32)", "event_data TEXT", *texts, *binary]
    made = [
        f"CREATE TABLE states ({', '.join(columns)})",
        f"CREATE TABLE events ({', '.join(events)})",
        "CREATE TABLE schema_changes (change_id INTEGER PRIMARY KEY, schema_version INTEGER, changed DATETIME)",
    ]
    if schema >= STATE_ATTRIBUTES:
        made.append(
            "CREATE TABLE state_attributes (attributes_id INTEGER NOT NULL PRIMARY KEY, hash BIGINT, shared_attrs TEXT)"
        )
    if schema >= STATES_META:
        made.append("CREATE TABLE states_meta (metadata_id INTEGER NOT NULL PRIMARY KEY, entity_id VARCHAR(255))")
    return made


def indexes(schema: int = NEWEST) -> list[str]:
    """The statements that make the indexes which lead to the newest state of an entity."""
    time = "last_updated_ts" if schema >= SECONDS else "last_updated"
    entity = "metadata_id" if schema >= STATES_META else "entity_id"
    made = [
        f"CREATE INDEX ix_states_{time} ON states ({time})",
        f"CREATE INDEX ix_states_{entity}_{time} ON states ({entity}, {time})",
    ]
    if schema >= BINARY_CONTEXT:
        made.append("CREATE INDEX ix_states_context_id_bin ON states (context_id_bin)")
    return made


def rows_of(
    changes: Iterable[Change], schema: int, names: dict[str, int], attributes: Mapping[str, Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The row of ``states`` of each change, as columns; from schema 9 to 27 with its event under ``event``.

    ``names`` numbers the entities, and grows.
    """
    for number, change in enumerate(changes, start=1):
        name = names.setdefault(change.entity_id, len(names) + 1)
        row: dict[str, Any] = {"state_id": number, "state": change.state}
        if schema >= STATES_META:
            row["metadata_id"] = name
        else:
            row["entity_id"] = change.entity_id
        if schema >= SECONDS:
            row["last_updated_ts"] = change.when
        else:
            row["last_updated"] = str(datetime.fromtimestamp(change.when, UTC).replace(tzinfo=None))
            row["last_changed"] = row["last_updated"]
        if schema >= STATE_ATTRIBUTES:
            row["attributes_id"] = name
        else:
            row["attributes"] = json.dumps(attributes.get(change.entity_id, {}))
        who = (("id", change.context), ("user_id", change.user), ("parent_id", change.parent))
        if schema >= BINARY_CONTEXT:
            row |= {f"context_{what}_bin": value for what, value in who}
        else:
            context = {f"context_{what}": None if value is None else value.hex() for what, value in who}
            if schema >= STATES_CONTEXT:
                row |= context
            else:
                row |= {"event_id": number, "event": {"event_id": number, "event_type": "state_changed", **context}}
        yield row


def write_recorder(
    path: Path,
    changes: Iterable[Change],
    *,
    schema: int = NEWEST,
    attributes: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a new SQLite database with these changes, in WAL mode, as Home Assistant has it."""
    told = attributes or {}
    names: dict[str, int] = {}
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        for statement in tables(schema):
            connection.execute(statement)
        rows = rows_of(changes, schema, names, told)
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            if events := [event for row in batch if (event := row.pop("event", None))]:
                connection.executemany(_insert("events", events[0]), events)
            connection.executemany(_insert("states", batch[0]), batch)
        if schema >= STATES_META:
            connection.executemany("INSERT INTO states_meta VALUES (?, ?)", ((i, name) for name, i in names.items()))
        if schema >= STATE_ATTRIBUTES:
            shared = ((i, json.dumps(told.get(name, {}))) for name, i in names.items())
            connection.executemany("INSERT INTO state_attributes VALUES (?, 0, ?)", shared)
        connection.execute("INSERT INTO schema_changes VALUES (1, ?, '2026-01-01 00:00:00')", (schema,))
        for statement in indexes(schema):
            connection.execute(statement)
        connection.commit()


def _insert(table: str, columns: Iterable[str]) -> str:
    names = list(columns)
    return f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join(f':{name}' for name in names)})"  # noqa: S608
