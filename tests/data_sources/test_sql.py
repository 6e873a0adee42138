"""Synergies and requests from real SQLite files and a real PostgreSQL, and the pairs that rules make where none is."""

from __future__ import annotations

import json
import math
import os
import random
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import PASSWORD, READER
from sqlalchemy.exc import DBAPIError

import data_sources
from data_sources import (
    Entity,
    FormatError,
    Home,
    HomeBuilder,
    LoadReport,
    NotFoundError,
    PatternRow,
    PromptRow,
    Shard,
    UnusableRowsError,
    YamlRow,
    open_source,
)
from data_sources.cold_start import MAX_PAIRS, generate_pairs
from data_sources.sql import SqlSource

Row = dict[str, Any]
SYNERGIES = """id INTEGER PRIMARY KEY, synergy_id VARCHAR(36) UNIQUE NOT NULL, synergy_type VARCHAR(50),
    device_ids TEXT, opportunity_metadata JSON, impact_score FLOAT, complexity VARCHAR(20), confidence FLOAT,
    area VARCHAR(100), created_at TIMESTAMP, pattern_support_score FLOAT, validated_by_patterns BOOLEAN,
    supporting_pattern_ids JSON, synergy_depth INTEGER, chain_devices JSON, embedding_similarity FLOAT,
    rerank_score FLOAT, final_score FLOAT"""
REQUESTS = """query_id VARCHAR(64) PRIMARY KEY, original_query TEXT NOT NULL, user_id TEXT, parsed_intent TEXT,
    extracted_entities JSON, suggestions JSON, confidence FLOAT, processing_time_ms INTEGER, failure_reason TEXT,
    created_at TIMESTAMP"""
OLD_REQUESTS = "id INTEGER PRIMARY KEY, original_query TEXT NOT NULL, suggestions JSON, created_at TIMESTAMP"


def synergy(number: int, *, ids: Any = ("binary_sensor.hall_motion", "light.hall"), **columns: Any) -> Row:
    """A row of synergy_opportunities; ``ids`` may be JSON already."""
    device_ids = ids if isinstance(ids, str | None) else json.dumps(ids)
    base = {"synergy_type": "device_pair", "opportunity_metadata": None, "confidence": 0.8}
    return {"id": number, "synergy_id": f"s{number}", "device_ids": device_ids, **base, **columns}


def many(count: int) -> list[Row]:
    """So many rows of one pair."""
    return [synergy(number) for number in range(100, 100 + count)]


def request(number: int, suggestions: Any, *, key: str = "query_id", created_at: str | None = None) -> Row:
    """A row of ask_ai_queries, the later the higher its number; ``suggestions`` may be JSON already."""
    return {
        key: number if key == "id" else f"q{number}",
        "original_query": f"question {number}",
        "suggestions": suggestions if isinstance(suggestions, str | None) else json.dumps(suggestions),
        "created_at": created_at or f"2025-01-01 00:{number:02}:00",
    }


def fill(url: str, rows: Sequence[Row] = (), columns: str = SYNERGIES, table: str = "synergy_opportunities") -> None:
    """Create ``table``, and its schema, with ``rows``."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        if "." in table:
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {table.partition('.')[0]}"))
        connection.execute(sa.text(f"CREATE TABLE {table} ({columns})"))
        if rows:
            names, values = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
            connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), list(rows))


def fill_requests(url: str, rows: Sequence[Row], columns: str = REQUESTS) -> None:
    fill(url, rows, columns, "ask_ai_queries")


def read(url: str, **options: Any) -> Home:
    """The home at ``url``."""
    (home,) = SqlSource(url, **options).read(Home)
    return home


def answers(url: str, **options: Any) -> list[tuple[str, str]]:
    """Each request's number and its suggestion."""
    return [(row.query.split()[1], row.suggestion) for row in SqlSource(url, **options).read(PromptRow)]


def pairs(home: Home) -> list[tuple[str, str]]:
    return [(s.trigger, s.action) for s in home.synergies]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Where a SQLite file may be made, in a folder of its own."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data" / "ai_automation.db"


@pytest.fixture
def sqlite_url(file: Path) -> str:
    return f"sqlite:///{file}"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest) -> str:
    """An empty database of each kind."""
    found: str = request.getfixturevalue(f"{request.param}_url".replace("postgresql", "postgres"))
    return found


# --- synergies ---


def test_the_first_two_device_ids_are_the_pair(url: str) -> None:
    ids = ["binary_sensor.hall_motion", "light.hall"]
    fill(url, [synergy(1, ids=ids), synergy(2, ids=[*ids, "lock.hall"], confidence=0.6), synergy(3, ids=ids[::-1])])
    home = read(url)
    assert [(s.trigger, s.action, s.confidence, s.rows) for s in home.synergies] == [
        ("binary_sensor.hall_motion", "light.hall", 0.7, 2),
        ("light.hall", "binary_sensor.hall_motion", 0.8, 1),
    ]
    assert {s.synergy_type for s in home.synergies} == {"device_pair"}
    assert (home.rows, [e.entity_id for e in home.entities]) == (3, ids)


@pytest.mark.parametrize("nested", [True, False])
def test_a_relationship_stands_in_the_metadata_or_is_it(url: str, nested: bool) -> None:
    relationship = {"type": "trigger_action", "strength": 0.9, "direction": "bidirectional"}
    metadata = {"relationship": relationship, "type": "other"} if nested else relationship
    fill(url, [synergy(1, opportunity_metadata=json.dumps(metadata))])
    (only,) = read(url).synergies
    assert (only.relationship_type, only.direction, only.bidirectional) == ("trigger_action", "bidirectional", True)


@pytest.mark.parametrize("metadata", [None, "null", "[]", "3", '"text"', "{}", '{"type": 3, "direction": null}'])
def test_metadata_without_a_relationship_is_no_fault(url: str, metadata: str | None) -> None:
    fill(url, [synergy(1, opportunity_metadata=metadata)])
    (only,) = read(url, strict=True).synergies
    assert (only.relationship_type, only.direction) == (None, None)


@pytest.mark.parametrize("kind", ["JSON", "JSONB", "TEXT"])
def test_postgresql_may_hold_json_in_any_type(postgres_url: str, kind: str) -> None:
    metadata = json.dumps({"relationship": {"type": "t", "direction": "bidirectional"}})
    columns = SYNERGIES.replace("device_ids TEXT", "device_ids JSON").replace("JSON", kind)
    fill(postgres_url, [synergy(1, opportunity_metadata=metadata)], columns)
    fill_requests(postgres_url, [request(1, [{"description": "yes"}])], REQUESTS.replace("JSON", kind))
    assert read(postgres_url).synergies[0].bidirectional
    assert answers(postgres_url) == [("1", "yes")]


def test_an_exact_numeric_confidence_is_a_number(postgres_url: str) -> None:
    fill(postgres_url, [synergy(1)], SYNERGIES.replace("confidence FLOAT", "confidence NUMERIC(4, 3)"))
    assert read(postgres_url).synergies[0].confidence == 0.8


def test_a_table_of_the_two_needed_columns_is_enough(url: str) -> None:
    fill(url, [{"device_ids": '["light.a", "light.b"]', "confidence": 1}], "device_ids TEXT, confidence INTEGER")
    (only,) = read(url).synergies
    assert (only.trigger, only.confidence, only.synergy_type) == ("light.a", 1.0, None)


def test_both_databases_give_the_same_home(sqlite_url: str, postgres_url: str) -> None:
    rows = [
        synergy(n, ids=[f"light.l{n % 7}", f"switch.s{n % 5}"], confidence=n / 100, opportunity_metadata='{"type":"t"}')
        for n in range(100)
    ]
    fill(sqlite_url, rows)
    fill(postgres_url, rows[::-1])
    assert read(sqlite_url).fingerprint() == read(postgres_url).fingerprint()


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ({"ids": '["light.a", '}, "device_ids: '[\"light.a\", ' - expected a JSON array of two entity ids"),
        ({"ids": '{"light.a": 1}'}, "device_ids: '{\"light.a\": 1}' - expected a JSON array"),
        ({"ids": ["light.a"]}, "device_ids: '[\"light.a\"]' - expected a JSON array"),
        ({"ids": "[" * 100_000}, "device_ids: '[[[["),
        ({"ids": None}, "device_ids: None - expected a JSON array"),
        ({"ids": ["light", "light.b"]}, "entity_1: 'light' - expected an entity id such as light.kitchen"),
        ({"ids": ["light.a", None]}, "entity_2: None - expected an entity id"),
        ({"ids": ["light.a", "light.a"]}, "entity_2: 'light.a' - expected another entity than entity_1"),
        ({"confidence": None}, "confidence: None - expected a number from 0 to 1"),
        ({"confidence": 1.01}, "confidence: 1.01 - expected a number from 0 to 1"),
        ({"confidence": -0.5}, "confidence: -0.5 - expected a number from 0 to 1"),
        ({"confidence": math.nan}, "confidence: "),  # SQLite makes null of it
    ],
)
def test_an_unusable_row_is_counted_with_its_table_and_id(url: str, bad: Row, why: str) -> None:
    fill(url, [*many(5), synergy(7, **bad), *many(10)[5:]])
    source = SqlSource(url)
    assert next(iter(source.read(Home))).rows == 10
    assert (source.report.read, source.report.rejected) == ({"row": 11}, {"row": 1})
    (reason,) = source.report.reasons
    assert reason.startswith(f"synergy_opportunities row 's7': {why}")
    assert len(reason) < 200
    with pytest.raises(UnusableRowsError, match=r"synergy_opportunities row 's7': .*--strict") as failure:
        read(url, strict=True)
    assert str(failure.value).startswith(source.describe()["location"])


def test_a_row_without_a_synergy_id_is_named_by_its_place(sqlite_url: str) -> None:
    bad = {"device_ids": "x", "confidence": 1.0}
    fill(
        sqlite_url, [{**bad, "device_ids": '["light.a", "light.b"]'}] * 10 + [bad], "device_ids TEXT, confidence FLOAT"
    )
    source = SqlSource(sqlite_url)
    list(source.read(Home))
    assert source.report.reasons[0].startswith("synergy_opportunities row 11: device_ids: 'x'")


def test_more_than_a_tenth_unusable_is_fatal(url: str) -> None:
    fill(url, [*many(17), synergy(1, confidence=2.0), synergy(2, ids=[])])
    with pytest.raises(UnusableRowsError, match=r": synergy_.* \(2 of 19 rows cannot be used, more than a tenth\)"):
        read(url)


def test_an_empty_table_is_nothing_to_train_on(url: str) -> None:
    fill(url)
    with pytest.raises(FormatError, match="holds no gnn_synergy rows; nothing can be learnt or suggested from it"):
        read(url)
    assert SqlSource(url).add_synergies(HomeBuilder(LoadReport(where=""))) == 0


def test_add_synergies_counts_unusable_rows_too(url: str) -> None:
    fill(url, [*many(3), synergy(1, confidence=2.0)])
    builder = HomeBuilder(LoadReport(where=""))
    assert SqlSource(url).add_synergies(builder) == 4
    assert builder.build().rows == 3


def test_rows_are_streamed_in_flat_memory(tmp_path: Path) -> None:
    peaks = {}
    for count in (100, 2_000, 20_000):  # the first warms up
        url = f"sqlite:///{tmp_path / str(count)}.db"
        fill(url, [synergy(n, ids=[f"light.l{n % 20}", "switch.s"], area="x" * 500) for n in range(count)])
        tracemalloc.start()
        assert read(url).rows == count
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks[20_000] < 1.3 * peaks[2_000]


# --- requests ---


@pytest.mark.parametrize(("columns", "key"), [(REQUESTS, "query_id"), (OLD_REQUESTS, "id")])
def test_requests_come_newest_first_and_only_so_many(url: str, columns: str, key: str) -> None:
    numbers = [3, 1, 5, 2, 4]
    fill_requests(url, [request(n, None if n == 5 else [{"description": f"d{n}"}], key=key) for n in numbers], columns)
    assert answers(url) == [("4", "d4"), ("3", "d3"), ("2", "d2"), ("1", "d1")]
    assert answers(url, max_samples=2) == [("4", "d4"), ("3", "d3")]
    opened = open_source(data_source=url, max_samples=1)
    assert [row.suggestion for row in opened.read(PromptRow)] == ["d4"]


def test_a_request_without_a_date_is_the_oldest(url: str) -> None:
    rows = [request(n, [{"description": f"d{n}"}]) for n in (1, 2, 3)]
    fill_requests(url, [{**rows[0], "created_at": None}, *rows[1:]])
    assert [number for number, _ in answers(url)] == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("confidences", "best"),
    [
        ([0.5, 0.9, 0.7], 1),
        ([0.9, 0.9, 0.1], 0),
        ([None, 0.1, 0.05], 1),
        ([..., 0, ...], 1),
        ([..., ..., ...], 0),
        ([0.5, "0.9", "high"], 1),
        ([[1], {"a": 1}, 0.2], 2),
        ([math.nan, 0.3, math.nan], 1),
        ([10**400, 0.1, 0.2], 2),
    ],
)
def test_the_most_confident_suggestion_is_the_target(sqlite_url: str, confidences: list[Any], best: int) -> None:
    suggestions = [{"description": f"d{n}", "confidence": c} for n, c in enumerate(confidences)]
    for suggestion in suggestions:
        if suggestion["confidence"] is ...:
            del suggestion["confidence"]
    fill_requests(sqlite_url, [request(1, suggestions)])
    assert answers(sqlite_url) == [("1", f"d{best}")]


@pytest.mark.parametrize("suggestions", ["[]", "[ ]", "null"])
def test_requests_that_got_no_suggestion_are_left_out_with_a_note(url: str, suggestions: str) -> None:
    fill_requests(url, [request(1, [{"description": "d"}]), request(2, suggestions), request(3, suggestions)])
    source = SqlSource(url, strict=True)
    assert len(list(source.read(PromptRow))) == 1
    assert source.report.rejected == {}
    told = [f"{source.describe()['location']}: left out, without any suggestion: 2 requests"]
    assert source.report.notes == told
    parts = [SqlSource(url) for _ in range(2)]
    for index, part in enumerate(parts):
        part.shard = Shard(index, 2)
        list(part.read(PromptRow))
    parts[0].check_together([part.report for part in parts])
    assert parts[0].report.notes == told, "one note that counts those of all parts"


@pytest.mark.parametrize(
    ("suggestions", "why"),
    [
        ("[{", "suggestions: '[{' - expected a JSON array of objects"),
        ('{"description": "d"}', 'suggestions: \'{"description": "d"}\' - expected a JSON array'),
        ("[1, null]", "suggestions: '[1, null]' - expected a JSON array of objects"),
        ('[{"confidence": 1}]', "suggestion: '' - expected a text that is not empty"),
        ('[{"description": ["x"]}]', "suggestion: ['x'] - expected a text"),
    ],
)
def test_an_unusable_request_is_counted_with_its_table_and_place(sqlite_url: str, suggestions: str, why: str) -> None:
    good = [request(n, [{"description": "d"}]) for n in range(2, 12)]
    fill_requests(sqlite_url, [request(1, suggestions), *good])
    source = SqlSource(sqlite_url)
    assert len(list(source.read(PromptRow))) == 10
    assert source.report.reasons[0].startswith(f"ask_ai_queries row 11 (id 'q1'): {why}")
    with pytest.raises(UnusableRowsError, match=r"ask_ai_queries row 11 .*--strict"):
        answers(sqlite_url, strict=True)


def test_no_requests_are_nothing_to_train_on(url: str) -> None:
    fill_requests(url, [])
    with pytest.raises(FormatError, match="holds no soft_prompt rows"):
        answers(url)


# --- patterns and automations ---

PATTERNS = """id INTEGER PRIMARY KEY, home_id INTEGER, entity_id TEXT, name TEXT, pattern_type TEXT, confidence FLOAT,
    occurrences INTEGER, ground_truth JSON, metrics JSON"""
AUTOMATIONS = "id INTEGER PRIMARY KEY, input TEXT, output TEXT, is_valid BOOLEAN, home_id TEXT, entities JSON"


def detection(number: int, **columns: Any) -> Row:
    """A row of pattern_detection, as JSON has it."""
    truth = {"expected_pattern": "sequence", "expected_device": "light.hall"}
    base = {"entity_id": "light.hall", "pattern_type": "sequence", "confidence": 0.5, "occurrences": number}
    return {"id": number, "home_id": 3, "name": None, **base, "ground_truth": truth, "metrics": None, **columns}


def flat(row: Row) -> Row:
    """Objects and lists as the JSON texts that a table holds."""
    return {key: json.dumps(value) if isinstance(value, dict | list) else value for key, value in row.items()}


@pytest.mark.parametrize("table", ["pattern_detection", "pattern_detection_data"])
def test_patterns_come_from_the_table_named_after_them_and_equal_those_of_json(url: str, table: str) -> None:
    rows = [detection(0), detection(1, name="Hall", ground_truth=None), detection(2, pattern_type="Time of day")]
    fill(url, [flat(row) for row in rows], PATTERNS, table)
    assert list(SqlSource(url).read(PatternRow)) == [PatternRow.model_validate(row) for row in rows]


def test_automations_come_from_the_table_named_after_them_and_equal_those_of_json(url: str) -> None:
    first, second = (f"triggers: [{event}]\nactions: []" for event in ("a", "b"))
    rows = [
        {"id": 1, "input": "a", "output": first, "is_valid": True, "home_id": "h", "entities": ["light.hall"]},
        {"id": 2, "input": "c", "output": second, "is_valid": None, "home_id": None, "entities": []},
    ]
    fill(url, [flat(row) for row in rows], AUTOMATIONS, "yaml_generation")
    assert list(SqlSource(url).read(YamlRow)) == [YamlRow.model_validate(row) for row in rows]


def test_an_unusable_pattern_is_counted_and_named_by_its_row(sqlite_url: str) -> None:
    rows = [detection(n) for n in range(20)] + [detection(20, occurrences=-1), detection(21, ground_truth=None)]
    fill(sqlite_url, [flat(row) for row in rows], PATTERNS, "pattern_detection")
    source = SqlSource(sqlite_url)
    assert len(list(source.read(PatternRow))) == 21
    assert source.report.reasons == [
        "pattern_detection row 21 (id 20): occurrences: -1 - expected a whole number from 0 up",
    ]


@pytest.mark.parametrize("record", [PatternRow, YamlRow])
def test_a_database_without_the_kind_names_its_tables_and_what_to_do(url: str, record: Any) -> None:
    fill_requests(url, [])
    why = rf"no table {record.kind} or {record.kind}_data; tables there: .*ask_ai_queries.*--json-input reads a JSON"
    with pytest.raises(NotFoundError, match=why):
        list(SqlSource(url).read(record))


def test_the_columns_that_a_table_lacks_are_named_with_those_it_has(sqlite_url: str) -> None:
    fill(sqlite_url, [{"id": 1, "other": 2}], "id INTEGER PRIMARY KEY, other INTEGER", "yaml_generation")
    with pytest.raises(NotFoundError, match=r"yaml_generation has no column input, output, only: id, other"):
        list(SqlSource(sqlite_url).read(YamlRow))


# --- addresses ---


def test_addresses_of_event_loop_drivers_are_read_plainly(sqlite_url: str, postgres_url: str) -> None:
    fill(sqlite_url, many(1))
    fill(postgres_url, many(1))
    assert read(sqlite_url.replace("sqlite:", "sqlite+aiosqlite:")).rows == 1
    for scheme in ("postgresql+asyncpg", "postgres", "postgresql+psycopg2", "postgresql+psycopg", "PostgreSQL"):
        source = SqlSource(postgres_url.replace("postgresql", scheme, 1))
        assert next(iter(source.read(Home))).rows == 1
        assert source.describe()["location"].startswith("postgresql+psycopg://postgres")


def test_the_schema_automation_comes_before_public_and_the_address_before_both(postgres_url: str) -> None:
    fill(postgres_url, many(1))
    assert read(postgres_url).rows == 1
    fill(postgres_url, many(2), table="automation.synergy_opportunities")
    fill(postgres_url, many(3), table="other.synergy_opportunities")
    fill(postgres_url, [request(1, [{"description": "d"}])], REQUESTS, "automation.ask_ai_queries")
    assert read(postgres_url).rows == 2
    assert read(f"{postgres_url}&schema=public").rows == 1
    assert read(f"{postgres_url}&schema=other").rows == 3
    assert answers(postgres_url) == [("1", "d")]
    with pytest.raises(NotFoundError, match=r"no table synergy_opportunities; tables there: none\."):
        read(f"{postgres_url}&schema=nowhere")


def test_a_missing_table_names_those_that_are_there(url: str) -> None:
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()
    with pytest.raises(NotFoundError, match=r"no table synergy_opportunities; tables there: none\. DATABASE_URL says"):
        read(url)
    fill(url, [], "id INTEGER", "devices")
    fill_requests(url, [])
    with pytest.raises(NotFoundError, match=r"no table synergy_opportunities; .*: ask_ai_queries, devices") as failure:
        read(url)
    assert str(failure.value).startswith(SqlSource(url).describe()["location"])


def test_a_missing_column_is_named_with_those_that_are_there(url: str) -> None:
    fill(url, [], "id INTEGER, device_ids TEXT")
    with pytest.raises(NotFoundError, match="synergy_opportunities has no column confidence, only: device_ids, id"):
        read(url)
    fill_requests(url, [], "original_query TEXT, suggestions TEXT")
    with pytest.raises(NotFoundError, match="table ask_ai_queries has no column created_at, only: original_query, sug"):
        answers(url)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("data/ai_automation.db", "'data/ai_automation.db': is no database address; expected one such as sqlite:///"),
        ("postgresql://user:secret@host:port/x", "'postgresql...': is no database address"),
        ("host/x?password=secret", "'host...': is no database address"),
        ("postgresql://user:se@secret@host/x", "postgresql://...: the password holds an @; write it as %40"),
    ],
)
def test_what_is_no_address_says_what_one_is(address: str, told: str) -> None:
    with pytest.raises(NotFoundError) as failure:
        SqlSource(address)
    assert told in str(failure.value)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize(
    ("address", "module", "told"),
    [
        ("mysql://user:secret@host/x", "MySQLdb", "driver for mysql is not installed; pip install pymysql, and write"),
        ("postgres://user:secret@host/x", "psycopg", r"not installed; pip install 'psycopg\[binary\]'"),
        ("db2://user:secret@host/x?password=secret", "db2", "driver for db2 is not installed; install the package"),
    ],
)
def test_a_missing_driver_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, address: str, module: str, told: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NotFoundError, match=told) as failure:
        read(address)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("as_option", [False, True])
def test_a_password_is_used_and_never_shown(postgres_url: str, as_option: bool) -> None:
    def url(password: str) -> str:
        address = sa.make_url(postgres_url).set(username=READER, password=None if as_option else password)
        address = address.update_query_dict({"password": password}) if as_option else address
        return address.render_as_string(hide_password=False)

    assert SqlSource(url(PASSWORD)).health() is None
    source = SqlSource(url("secret"))
    with pytest.raises(NotFoundError, match=r"cannot be read .*password authentication failed for user") as failure:
        list(source.read(Home))
    shown = "".join([*traceback.format_exception(failure.value), str(source.describe()), str(source.health())])
    assert "secret" not in shown
    assert "\n" not in str(failure.value)


def test_a_closed_port_is_one_line_without_the_password() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    source = SqlSource(f"postgresql+asyncpg://user:secret@127.0.0.1:{port}/x?application_name=secret")
    with pytest.raises(NotFoundError, match=rf"127\.0\.0\.1:{port}/x: cannot be read .*refused") as failure:
        list(source.read(Home))
    assert str(failure.value) == source.health()
    assert "secret" not in "".join(traceback.format_exception(failure.value))
    assert "\n" not in str(failure.value)


def test_health_says_why_a_database_cannot_be_opened(url: str, tmp_path: Path) -> None:
    fill(url)
    assert SqlSource(url).health() is None
    assert "no such database file" in str(SqlSource(f"sqlite:///{tmp_path}/none.db").health())
    (tmp_path / "text.db").write_text("no database, " * 100)
    assert "not a database" in str(SqlSource(f"sqlite:///{tmp_path}/text.db").health())


# --- SQLite files ---


def test_a_missing_file_is_never_made(file: Path, sqlite_url: str) -> None:
    source = SqlSource(sqlite_url)
    with pytest.raises(NotFoundError, match=r"ai_automation\.db: no such database file \(it is never created\)"):
        list(source.read(Home))
    with pytest.raises(NotFoundError, match="no such database file"):
        list(source.read(PromptRow))
    assert "no such database file" in str(source.health())
    assert list(file.parent.iterdir()) == []


@pytest.mark.parametrize("address", ["sqlite://", "sqlite:///:memory:"])
def test_a_database_without_a_file_says_so(address: str) -> None:
    with pytest.raises(NotFoundError, match="names no file"):
        read(address)


def test_a_folder_and_what_is_no_database_say_so(file: Path, sqlite_url: str) -> None:
    with pytest.raises(NotFoundError, match=r"is a folder; expected a SQLite file such as .*ai_automation\.db"):
        read(f"sqlite:///{file.parent}")
    file.write_text("no database, " * 100)
    with pytest.raises(NotFoundError, match=r"cannot be read \(file is not a database\)"):
        read(sqlite_url)
    assert file.read_text() == "no database, " * 100


def test_a_damaged_database_is_one_line(file: Path, sqlite_url: str) -> None:
    fill(sqlite_url, many(2_000))
    content = bytearray(file.read_bytes())
    content[8192:-4096] = random.Random(1).randbytes(len(content) - 12288)
    file.write_bytes(content)
    with pytest.raises(NotFoundError, match=r"cannot be read \(database disk image is malformed\)"):
        read(sqlite_url)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_reading_changes_neither_the_file_nor_its_time(file: Path, sqlite_url: str, mode: str) -> None:
    fill(sqlite_url, many(3))
    execute(file, f"PRAGMA journal_mode = {mode}")
    fill_requests(sqlite_url, [request(1, [{"description": "d"}])])
    before = file.read_bytes(), file.stat().st_mtime_ns
    assert (read(sqlite_url).rows, len(answers(sqlite_url))) == (3, 1)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    if mode == "delete":
        assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_file_in_a_folder_that_may_not_be_written_is_read(file: Path, sqlite_url: str, mode: str) -> None:
    fill(sqlite_url, many(3))
    execute(file, f"PRAGMA journal_mode = {mode}")
    read(sqlite_url)  # imports what it needs while it may
    with open_to_all() as folder:
        copy = folder / "copy.db"
        copy.write_bytes(file.read_bytes())
        copy.chmod(0o444)
        folder.chmod(0o555)
        with unprivileged():
            assert read(f"sqlite:///{copy}").rows == 3
        assert list(folder.iterdir()) == [copy]
        copy.chmod(0)
        with unprivileged(), pytest.raises(NotFoundError, match="unable to open database file"):
            read(f"sqlite:///{copy}")
        folder.chmod(0)
        with unprivileged(), pytest.raises(NotFoundError, match=r"copy\.db: cannot be read \(Permission denied\)"):
            read(f"sqlite:///{copy}")


def test_a_path_may_hold_any_character_and_be_relative(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(file.parent)
    for name in ("b c.db", "öß.db", "a#b%20c&d.db", "link.db"):
        if name == "link.db":
            Path(name).symlink_to("b c.db")
        else:
            fill(f"sqlite:///{name}", many(1))
        assert read(f"sqlite:///{name}").rows == 1


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_what_a_writer_has_not_committed_is_not_read(file: Path, sqlite_url: str, mode: str) -> None:
    fill(sqlite_url, many(3))
    execute(file, f"PRAGMA journal_mode = {mode}")
    with writer(file, "BEGIN IMMEDIATE", f"DELETE FROM synergy_opportunities WHERE id = {many(1)[0]['id']}"):
        assert read(sqlite_url).rows == 3
    assert read(sqlite_url).rows == 3


def test_a_writer_that_locks_the_whole_file_is_waited_for(file: Path, sqlite_url: str) -> None:
    fill(sqlite_url, many(3))
    locking = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    locking.execute("BEGIN EXCLUSIVE")
    locking.execute("DELETE FROM synergy_opportunities WHERE id = 100")
    release = threading.Timer(0.3, locking.execute, ["COMMIT"])
    release.start()
    assert read(sqlite_url).rows == 2
    release.join()
    locking.close()


def test_rows_that_another_process_commits_meanwhile_are_read(file: Path, sqlite_url: str) -> None:
    fill(sqlite_url, many(500))
    execute(file, "PRAGMA journal_mode = wal")
    insert = "INSERT INTO synergy_opportunities (synergy_id, device_ids, confidence) SELECT hex(randomblob(9)), "
    with writer(file, insert + "device_ids, 0.5 FROM synergy_opportunities LIMIT 1", forever=True):
        counts = [read(sqlite_url).rows for _ in range(20)]
    assert counts == sorted(counts)
    assert 500 < counts[0] < counts[-1]


def test_nothing_can_be_written_through_a_source(url: str) -> None:
    fill(url, many(2))
    for statement in ("DELETE FROM synergy_opportunities", "CREATE TABLE new (id INTEGER)"):
        with SqlSource(url)._connection() as connection, pytest.raises(DBAPIError, match=r"read-?only"):
            connection.execute(sa.text(statement))
    read(url)
    with SqlSource(url)._connection() as connection:
        assert sa.inspect(connection).get_table_names() == ["synergy_opportunities"]
    assert read(url).rows == 2


def execute(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.commit()
    connection.close()


@contextmanager
def writer(file: Path, *statements: str, forever: bool = False) -> Iterator[None]:
    """Another process that runs the statements once and keeps its transaction open, or again and again commits."""
    program = f"""
import sqlite3, sys
connection = sqlite3.connect({str(file)!r}, isolation_level=None, timeout=30)
for statement in {statements!r}:
    connection.execute(statement)
print("ready", flush=True)
while {forever}:
    connection.execute({statements[-1]!r})
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield
            assert process.poll() is None
        finally:
            process.kill()


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A temporary folder that every user may reach, unlike the ones that pytest makes."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        try:
            yield folder
        finally:
            folder.chmod(0o755)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Act as nobody where this process may do anything, for nothing is read-only to root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


# --- pairs from rules, where no synergy is known yet ---


def entity(entity_id: str, device_class: str | None = None, area_id: str | None = None) -> Entity:
    return Entity(entity_id=entity_id, device_class=device_class, area_id=area_id)


def generated(*entities: Entity) -> list[tuple[str, str]]:
    return [(s.trigger, s.action) for s in generate_pairs(entities)]


@pytest.mark.parametrize(
    ("trigger", "device_class", "action"),
    [
        ("binary_sensor.x", "motion", "light.l"),
        ("binary_sensor.x", "door", "light.l"),
        ("binary_sensor.x", "occupancy", "light.l"),
        ("binary_sensor.x", "door", "lock.l"),
        ("sensor.x", "temperature", "climate.l"),
        ("sensor.x", "temperature", "fan.l"),
        ("binary_sensor.x", "window", "climate.l"),
        ("binary_sensor.x", "motion", "climate.l"),
        ("sensor.x", "humidity", "fan.l"),
        ("binary_sensor.x", "presence", "light.l"),
        ("binary_sensor.x", "presence", "climate.l"),
        ("person.x", None, "light.l"),
        ("device_tracker.x", None, "climate.l"),
        ("light.x", None, "media_player.l"),
        ("light.x", None, "switch.l"),
        ("binary_sensor.hall_motion_2", None, "light.l"),
    ],
)
def test_each_rule_makes_its_pair(trigger: str, device_class: str | None, action: str) -> None:
    for area, other in (("hall", "hall"), ("hall", "attic"), (None, None)):
        (only,) = generate_pairs([entity(trigger, device_class, area), entity(action, None, other)])
        assert (only.trigger, only.action, only.synergy_type) == (trigger, action, "generated")
        assert 0.6 <= only.confidence <= 0.8
        assert only.rows == 1


@pytest.mark.parametrize(
    "entities",
    [
        [],
        [entity("light.a"), entity("light.b")],
        [entity("binary_sensor.a", "motion"), entity("binary_sensor.b", "door")],
        [entity("sensor.a", "battery"), entity("light.a")],
        [entity("binary_sensor.a", "smoke"), entity("lock.a")],
        [entity("camera.motion", "motion"), entity("light.a")],
        [entity("binary_sensor.a", "motion"), entity("binary_sensor.b", "light")],
        [entity("binary_sensor.a", "door"), entity("binary_sensor.b", "lock")],
        [entity("binary_sensor.a", "light"), entity("switch.a")],
    ],
)
def test_entities_that_no_rule_names_make_nothing(entities: list[Entity]) -> None:
    assert generate_pairs(entities) == ()


def test_the_same_area_comes_first_and_counts_for_more() -> None:
    motion = entity("binary_sensor.m", "motion", "hall")
    lights = [entity("light.a", None, "attic"), entity("light.h1", None, "hall"), entity("light.h2", None, "hall")]
    assert generated(motion, *lights) == [("binary_sensor.m", "light.h1"), ("binary_sensor.m", "light.h2")]
    (near,) = generate_pairs([motion, lights[1]])
    (far,) = generate_pairs([motion, lights[0]])
    assert near.confidence > far.confidence


def test_without_an_area_a_trigger_takes_one_entity_only() -> None:
    lights = [entity(f"light.l{n}") for n in range(5)]
    assert generated(entity("binary_sensor.m", "motion"), *lights) == [("binary_sensor.m", "light.l0")]


def test_a_large_home_gives_the_hundred_best_in_any_order() -> None:
    rooms = [f"r{n}" for n in range(60)]
    home = [
        *(entity(f"binary_sensor.{room}", "motion", room) for room in rooms),
        *(entity(f"light.{room}_{n}", None, room) for room in rooms for n in range(2)),
        *(entity(f"switch.far_{n}") for n in range(60)),
    ]
    found = generate_pairs(home)
    assert len(found) == MAX_PAIRS == 100
    assert {s.confidence for s in found} == {0.8}
    assert all(s.action.startswith(s.trigger.replace("binary_sensor", "light")) for s in found)
    for seed in range(5):
        assert generate_pairs(random.Random(seed).sample(home, len(home))) == found


def test_one_area_of_very_many_entities_is_no_load() -> None:
    sensors = [entity(f"binary_sensor.m{n:03}", "motion", "all") for n in range(500)]
    lights = [entity(f"light.l{n:03}", None, "all") for n in range(500)]
    tracemalloc.start()
    assert len(generate_pairs([*sensors, *lights])) == MAX_PAIRS
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 30 * 2**20


def test_pairs_are_distinct_and_never_of_one_entity() -> None:
    classes = ["motion", "door", "occupancy", "window", "presence", "temperature", "humidity", "light", "lock", None]
    domains = ["binary_sensor", "sensor", "light", "lock", "climate", "fan", "media_player", "switch", "person"]
    home = [entity(f"{d}.door_motion_{n}", c, "hall") for n, c in enumerate(classes) for d in domains]
    found = generated(*home)
    assert len(found) == len(set(found)) == MAX_PAIRS
    assert all(trigger != action for trigger, action in found)


def test_a_path_of_any_characters_is_one_address(tmp_path: Path) -> None:
    file = tmp_path / "50% off? #1 @home.db"
    fill(data_sources.sqlite_url(str(file)), many(1))
    assert file.is_file()
    assert read(data_sources.sqlite_url(str(file))).rows == 1
