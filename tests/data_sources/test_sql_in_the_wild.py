"""Databases as they are found: half copied, half written, in another encoding, behind a view."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from support import ROOT, environment

from data_sources import (
    DataSourceError,
    Home,
    NoRecordsError,
    NotFoundError,
    PatternRow,
    PromptRow,
    UnusableRowsError,
    open_source,
    sqlite_url,
)
from data_sources.sql import SqlSource

SYNERGIES = "synergy_id TEXT, synergy_type TEXT, device_ids TEXT, opportunity_metadata TEXT, confidence FLOAT"
PATTERNS = "id INTEGER, entity_id TEXT, pattern_type TEXT, confidence FLOAT, occurrences INTEGER, ground_truth TEXT"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ai_automation.db"


def fill(path: Path, table: str, columns: str, rows: list[tuple[Any, ...]], *statements: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"CREATE TABLE {table} ({columns})")
        connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * (columns.count(',') + 1))})", rows)
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return sqlite_url(str(path))


def pairs(count: int, **changed: Any) -> list[tuple[Any, ...]]:
    rows = []
    for number in range(count):
        ids = json.dumps([f"sensor.s{number}", f"light.l{number}"])
        rows.append(
            (f"s{number}", "t", changed.get("ids", ids), changed.get("metadata"), changed.get("confidence", 0.8))
        )
    return rows


def read(url: str) -> Home:
    return next(iter(SqlSource(url, strict=True).read(Home)))


# --- text ---


def test_a_text_that_is_not_utf8_is_one_counted_row_with_its_id(path: Path) -> None:
    latin = "UPDATE synergy_opportunities SET synergy_type = CAST(x'50e4' AS TEXT) WHERE synergy_id = 's4'"
    source = SqlSource(fill(path, "synergy_opportunities", SYNERGIES, pairs(20), latin))
    assert next(iter(source.read(Home))).rows == 19
    (reason,) = source.report.reasons
    assert reason.startswith("synergy_opportunities row 's4': synergy_type: 'P\\udce4' - expected")
    with pytest.raises(UnusableRowsError, match=r"row 's4': synergy_type: .*--strict"):
        read(sqlite_url(str(path)))


@pytest.mark.parametrize("column", ["query_id", "original_query", "suggestions"])
def test_a_request_that_is_not_utf8_is_counted_if_it_matters(path: Path, column: str) -> None:
    rows = [(f"q{n}", f"lamp {n}", json.dumps([{"description": "d"}]), str(n)) for n in range(20)]
    latin = f"UPDATE ask_ai_queries SET {column} = CAST(x'5be45d' AS TEXT) WHERE created_at = '7'"
    columns = "query_id TEXT, original_query TEXT, suggestions TEXT, created_at TEXT"
    source = SqlSource(fill(path, "ask_ai_queries", columns, rows, latin))
    unusable = column != "query_id"  # the id is only for messages
    assert len(list(source.read(PromptRow))) == 20 - unusable
    assert all(reason.isascii() and "(id 'q7')" in reason for reason in source.report.reasons)


def test_names_that_are_no_text_end_in_a_line_for_a_person(path: Path) -> None:
    fill(path, "synergy_opportunities", SYNERGIES, pairs(2))
    content = path.read_bytes()
    path.write_bytes(
        content.replace(b"device_ids", b"device\xffids").replace(b"opportunity_meta", b"opportunity\nmeta")
    )
    for kind in (Home, PromptRow):
        with pytest.raises(DataSourceError) as failure:
            list(SqlSource(sqlite_url(str(path))).read(kind))
        assert str(failure.value).isprintable()
        assert str(path) in str(failure.value)
    told = SqlSource(sqlite_url(str(path))).health()
    assert told is None or told.isprintable()


# --- values ---


def test_sums_and_views_are_read(path: Path) -> None:
    rows = [(n, "light.hall", "sequence", 0.5, 3, None) for n in range(4)]
    view = (
        "CREATE VIEW pattern_detection AS SELECT entity_id, pattern_type, avg(confidence) AS confidence, "
        "sum(occurrences * 1.0) AS occurrences, NULL AS home_id FROM detections GROUP BY entity_id, pattern_type"
    )
    (only,) = SqlSource(fill(path, "detections", PATTERNS, rows, view), strict=True).read(PatternRow)
    assert (only.occurrences, only.confidence, only.home_id) == (12, 0.5, None)


def test_sums_and_views_of_postgresql_are_read(postgres_url: str) -> None:
    engine = sa.create_engine(postgres_url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE detections (home NUMERIC, seen BIGINT)"))
        connection.execute(sa.text("INSERT INTO detections VALUES (2, 30), (2, 1), (3, 5)"))
        view = (
            "SELECT home AS home_id, 'light.hall' AS entity_id, 'sequence' AS pattern_type, "
            "avg(0.5) AS confidence, sum(seen) AS occurrences FROM detections GROUP BY home"
        )
        connection.execute(sa.text(f"CREATE VIEW pattern_detection AS {view}"))
    engine.dispose()
    rows = sorted(SqlSource(postgres_url, strict=True).read(PatternRow), key=lambda row: row.home_id or "")
    assert [(row.home_id, row.occurrences, row.confidence) for row in rows] == [("2", 31, 0.5), ("3", 5, 0.5)]


def test_json_in_json_is_decoded_in_every_column(path: Path) -> None:
    twice = json.dumps(json.dumps(["sensor.a", "light.a"]))
    metadata = json.dumps({"relationship": json.dumps({"type": "t", "direction": "bidirectional"})})
    url = fill(path, "synergy_opportunities", SYNERGIES, pairs(1, ids=twice, metadata=metadata))
    (only,) = read(url).synergies
    assert (only.trigger, only.bidirectional) == ("sensor.a", True)
    suggestions = json.dumps([json.dumps({"description": "d"})])
    fill(path, "ask_ai_queries", "original_query TEXT, suggestions TEXT, created_at TEXT", [("q", suggestions, "1")])
    assert [row.suggestion for row in SqlSource(url).read(PromptRow)] == ["d"]
    truth = json.dumps(json.dumps({"expected_pattern": "sequence"}))
    fill(path, "pattern_detection", PATTERNS, [(1, "light.a", "sequence", 0.5, 3, truth)])
    assert [row.genuine for row in SqlSource(url).read(PatternRow)] == [True]


def test_broken_json_is_counted_and_not_lost(path: Path) -> None:
    broken = pairs(1, metadata='{"relationship": {"direction": "bidi')
    source = SqlSource(fill(path, "synergy_opportunities", SYNERGIES, [*broken, *pairs(20)[1:]]))
    assert next(iter(source.read(Home))).rows == 19
    assert "row 's0': opportunity_metadata: '{" in source.report.reasons[0]
    truths = [(n, "light.a", "sequence", 0.5, 3, "{oops" if n == 5 else None) for n in range(20)]
    fill(path, "pattern_detection", PATTERNS, truths)
    patterns = SqlSource(sqlite_url(str(path)))
    assert len(list(patterns.read(PatternRow))) == 19
    assert patterns.report.reasons[0].startswith("pattern_detection row 6 (id 5): ground_truth: '{oops' - expected an")


def test_all_missing_columns_are_named_at_once(path: Path) -> None:
    url = fill(path, "synergy_opportunities", "id INTEGER, area TEXT", [])
    with pytest.raises(NotFoundError, match="has no column device_ids, confidence, only: area, id"):
        read(url)
    fill(path, "ask_ai_queries", "id INTEGER", [])
    with pytest.raises(NotFoundError, match="has no column original_query, suggestions, created_at, only: id"):
        list(SqlSource(url).read(PromptRow))
    fill(path, "pattern_detection", "id INTEGER, entity_id TEXT", [])
    with pytest.raises(NotFoundError, match="has no column pattern_type, confidence, occurrences, only: entity_id, id"):
        list(SqlSource(url).read(PatternRow))


# --- files ---


def in_wal_mode(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        yield connection


@pytest.mark.parametrize("tables", [True, False])
def test_a_wal_database_without_its_wal_is_said_to_be_that(path: Path, tmp_path: Path, tables: bool) -> None:
    (tmp_path / "mounted").mkdir()
    mounted = tmp_path / "mounted" / path.name
    if tables:
        fill(path, "synergy_opportunities", SYNERGIES, [])
    for writer in in_wal_mode(path):
        if not tables:
            writer.execute(f"CREATE TABLE synergy_opportunities ({SYNERGIES})")
        writer.executemany("INSERT INTO synergy_opportunities VALUES (?, ?, ?, ?, ?)", pairs(6))
        writer.commit()
        assert read(sqlite_url(str(path))).rows == 6
        shutil.copy(path, mounted)
        for _ in range(2):
            with pytest.raises(
                DataSourceError, match=r"in WAL mode and no ai_automation\.db-wal with rows lies beside"
            ):
                read(sqlite_url(str(mounted)))
    assert read(sqlite_url(str(path))).rows == 6, "a database that was closed needs no -wal"


def test_reading_a_wal_database_leaves_no_file_that_its_owner_could_not_write(path: Path) -> None:
    fill(path, "synergy_opportunities", SYNERGIES, pairs(6))
    for _ in in_wal_mode(path):
        pass
    before = sorted(path.parent.iterdir())
    assert read(sqlite_url(str(path))).rows == 6
    assert sorted(path.parent.iterdir()) == before
    for writer in in_wal_mode(path):  # with a writer beside it nothing is taken as at rest
        writer.executemany("INSERT INTO synergy_opportunities VALUES (?, ?, ?, ?, ?)", [(9, *pairs(1)[0][1:])])
        writer.commit()
        assert read(sqlite_url(str(path))).rows == 7


def test_an_empty_database_in_another_mode_says_nothing_of_a_wal(path: Path) -> None:
    with pytest.raises(NoRecordsError, match="nothing can be learnt") as failure:
        read(fill(path, "synergy_opportunities", SYNERGIES, []))
    assert "WAL" not in str(failure.value)


def test_a_broken_off_write_says_what_happened_and_what_to_do(path: Path) -> None:
    url = fill(path, "synergy_opportunities", SYNERGIES, pairs(200))
    crash = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("PRAGMA cache_size=1")
connection.execute("UPDATE synergy_opportunities SET synergy_type = 'x' || hex(randomblob(400))")
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", crash, str(path)], check=True, env=environment(), cwd=ROOT)
    assert Path(f"{path}-journal").stat().st_size
    with pytest.raises(NotFoundError, match=r"a write was broken off and its ai_automation\.db-journal lies beside"):
        read(url)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA integrity_check").fetchall()
    assert read(url).rows == 200, "as the message said"


# --- addresses ---


@pytest.mark.parametrize(
    ("options", "as_psycopg"),
    [
        ("ssl=require", {"sslmode": "require"}),
        ("ssl=true", {"sslmode": "require"}),
        ("ssl=False", {"sslmode": "disable"}),
        ("ssl=verify-full&sslmode=prefer", {"sslmode": "prefer"}),
        ("timeout=2.5", {"connect_timeout": "3"}),
        ("timeout=soon", {}),
        ("prepared_statement_cache_size=0&statement_cache_size=0&command_timeout=60&async_fallback=true", {}),
        ("application_name=x&ssl=prefer", {"application_name": "x", "sslmode": "prefer"}),
    ],
)
def test_the_options_of_asyncpg_are_translated_or_dropped(options: str, as_psycopg: dict[str, str]) -> None:
    for scheme in ("postgresql+asyncpg", "postgres", "postgresql"):
        source = SqlSource(f"{scheme}://user@host/db?{options}&schema=s")
        assert dict(source._url.query) == as_psycopg


def test_a_database_is_read_with_the_options_of_asyncpg(postgres_url: str) -> None:
    separator = "&" if "?" in postgres_url else "?"
    options = "ssl=prefer&timeout=5&prepared_statement_cache_size=0&command_timeout=60"
    assert SqlSource(f"{postgres_url}{separator}{options}").health() is None


def test_a_sqlite_uri_names_its_file(path: Path) -> None:
    fill(path, "synergy_opportunities", SYNERGIES, pairs(2))
    assert read(f"sqlite:///file:{path}?mode=ro&uri=true").rows == 2


@pytest.mark.parametrize(
    "place",
    [
        "postgresql://user:SECRET@host/db",
        "postgresql://user:SEC/RET@host/db",
        "postgresql://user:SE@CRET@host/db?password=SECRET",
        "postgresql:/user:SECRET@host/db",
        "postgresql+asyncpg://user:SECRET@host:5432/db",
    ],
)
def test_an_address_in_place_of_a_path_is_named_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, place: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATABASE_PATH", place)
    with pytest.raises(DataSourceError, match="is an address and no path to a SQLite file") as failure:
        list(open_source(kind="soft_prompt").read(PromptRow))
    assert "host" in str(failure.value)
    assert "CRET" not in str(failure.value)


def test_a_path_with_a_line_break_is_shown_on_one_line(tmp_path: Path) -> None:
    for name in ("data.db\r", "data\n.db", "d\x1b[31m.db"):
        with pytest.raises(NotFoundError, match="no such database file") as failure:
            read(sqlite_url(f"{tmp_path}{os.sep}{name}"))
        assert str(failure.value).isprintable()
