"""Processes that read one source together: each home is in one part, whole, whatever the source is."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer
from services import api_entity, serve
from support import row

from data_sources import DataSource, Entity, Home, LoadReport, PatternRow, PromptRow, Shard, YamlRow, open_source

# Ids as they come: spaces around them, numbers, other alphabets, none at all, one that is no id.
IDS = ["a", " a\t", "A", "7", "\u00a0b\u2003", "\N{SNOWMAN}\N{COMBINING ACUTE ACCENT}", "", "  ", None, "x\ny"]
IDS += [f"owner__home_{i}" for i in range(40)]
PAIRS = [("binary_sensor.m", "light.a"), ("binary_sensor.m", "light.b")]
AUTOMATION = "trigger:\n- platform: time\n  at: '07:00'\naction:\n- service: light.turn_on\n"


def fill(url: str, table: str, columns: str, rows: list[dict[str, Any]]) -> str:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)
    names = list(rows[0])
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE {table} ({columns})"))
        values = ", ".join(f":{name}" for name in names)
        connection.execute(sa.text(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({values})"), rows)
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'rows.db'}"
    found: str = request.getfixturevalue("postgres_url")
    return found


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """Each statement that any engine executes in the block, with its cursor."""
    seen: list[tuple[str, Any]] = []

    def note(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append((statement, cursor))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def parts(open_part: Callable[[Shard], DataSource], record: Any, count: int) -> tuple[list[list[Any]], LoadReport]:
    """The records of every part, and what all of them report together."""
    found, total = [], LoadReport(where="all")
    for index in range(count):
        source = open_part(Shard(index, count))
        found.append(list(source.read(record)))
        total.add(source.report)
    return found, total


def check(open_part: Callable[[Shard], DataSource], record: Any, count: int = 3) -> list[list[Any]]:
    """The parts; each record is in one of them, and together they report what one process does."""
    whole = open_part(Shard())
    expected = list(whole.read(record))
    found, total = parts(open_part, record, count)
    assert Counter(map(repr, (item for part in found for item in part))) == Counter(map(repr, expected))
    assert (total.read, total.rejected) == (whole.report.read, whole.report.rejected)
    for index, part in enumerate(found):
        assert all(Shard(index, count).holds(item.shard_key) for item in part)
    return found


def synergies(ids: list[Any]) -> list[dict[str, Any]]:
    return [
        {"home_id": home, "device_ids": json.dumps(pair), "confidence": 0.8}
        for _ in range(2)
        for home in ids
        for pair in PAIRS
    ]


def test_homes_of_one_table_are_read_once_together_and_each_process_reads_its_own_rows(url: str) -> None:
    fill(url, "synergy_opportunities", "home_id TEXT, device_ids TEXT, confidence FLOAT", synergies(IDS))
    with statements() as seen:
        found = check(lambda shard: open_source(data_source=url, shard=shard), Home)
    assert all(found), "no part of these is empty"
    (a,) = (home for part in found for home in part if home.home_id == "a")
    assert a.rows == 2 * 2 * len(PAIRS), "one home, however its id is spelt"
    assert sum(home.rows for part in found for home in part if home.home_id == "home") == 3 * 2 * len(PAIRS)
    selects = [(text, cursor) for text, cursor in seen if "FROM synergy_opportunities" in text]
    assert len(selects) == 1 + 3, "one statement a process"
    assert sum("WHERE" in text for text, _ in selects) == 3
    if url.startswith("postgresql"):
        assert all(getattr(cursor, "name", "") for _, cursor in selects), "the server keeps the rows"


@pytest.mark.parametrize("type_", ["INTEGER", "UUID", "CHAR(36)", "DOUBLE PRECISION"])
def test_an_id_may_be_of_any_type(postgres_url: str, type_: str) -> None:
    ids: list[Any] = [f"00000000-0000-0000-0000-{i:012}" if "A" in type_ or type_ == "UUID" else i for i in range(9)]
    values = ", ".join(f"('{home}', '{json.dumps(pair)}', 0.8)" for home in [*ids, *ids] for pair in PAIRS)
    engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        columns = f"home_id {type_}, device_ids TEXT, confidence FLOAT"
        connection.execute(sa.text(f"CREATE TABLE synergy_opportunities ({columns})"))
        connection.exec_driver_sql(f"INSERT INTO synergy_opportunities VALUES {values}")
    engine.dispose()
    found = check(lambda shard: open_source(data_source=postgres_url, shard=shard), Home)
    assert sorted(home.home_id for part in found for home in part) == [str(home) for home in ids]


def test_a_table_without_a_home_is_one_home_that_one_process_reads(url: str) -> None:
    rows = [{"device_ids": json.dumps(PAIRS[0]), "confidence": 0.5}]
    fill(url, "synergy_opportunities", "device_ids TEXT, confidence FLOAT", rows)
    with statements() as seen:
        found = check(lambda shard: open_source(data_source=url, shard=shard), Home)
    assert sorted(map(len, found)) == [0, 0, 1]
    assert sum("FROM synergy_opportunities" in text for text, _ in seen) == 1 + 1


def whole_homes(ids: list[Any]) -> list[dict[str, Any]]:
    entities = [{"entity_id": "light.a", "area_id": "hall"}]
    return [
        {"home_id": home, "entities": entities * 19, "synergies": [row(*pair) for pair in PAIRS] * 9} for home in ids
    ]


def test_whole_homes_of_a_table_are_those_of_json(url: str, tmp_path: Path) -> None:
    homes = whole_homes([f"h{i}" for i in range(20)])
    stored = [{key: json.dumps(v) if isinstance(v, list) else v for key, v in home.items()} for home in homes]
    fill(url, "gnn_synergy", "home_id TEXT, entities TEXT, synergies TEXT", stored)
    (tmp_path / "homes.jsonl").write_text("\n".join(map(json.dumps, homes)))
    found = check(lambda shard: open_source(data_source=url, shard=shard), Home)
    in_json = check(lambda shard: open_source(json_input=str(tmp_path / "homes.jsonl"), shard=shard), Home)
    assert [sorted(home.fingerprint() for home in part) for part in found] == [
        sorted(home.fingerprint() for home in part) for part in in_json
    ], "the same homes in the same parts"
    assert next(home for part in found for home in part).entities[1] == Entity(entity_id="light.a", area_id="hall")


def test_flat_rows_and_whole_homes_of_a_file_are_dealt_out_and_rejections_are_counted_once(tmp_path: Path) -> None:
    flat = [row(*pair) | ({} if home is None else {"home_id": home}) for home in [*IDS, None] for pair in PAIRS]
    broken = [row("no id", "light.a", home_id="a"), "nothing", row("light.a", "light.b", home_id=[1])]
    whole = whole_homes([f"whole {i}" for i in range(19)])
    whole[3]["entities"].append({"entity_id": "no id"})
    lines = [json.dumps(line) for line in [*flat, *flat, *broken, *whole, whole[1]]]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join([*lines, "{broken", *lines[:3]]))
    check(lambda shard: open_source(json_input=str(path), shard=shard), Home, count=4)


def pattern(entity: str, home: str | None) -> dict[str, Any]:
    return {"entity_id": entity, "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3, "home_id": home}


ROWS = {
    PatternRow: [*(pattern(f"light.l{i}", home) for i, home in enumerate(IDS) if home != "x\ny"), pattern("no", "a")],
    YamlRow: [{"input": f"ask {i}", "output": AUTOMATION, "home_id": h} for i, h in enumerate(IDS) if h != "x\ny"],
    PromptRow: [*({"query": f"ask {i}", "suggestion": "s"} for i in range(50)), {"query": "", "suggestion": "s"}],
}


@pytest.mark.parametrize("record", ROWS, ids=lambda record: record.kind)
def test_rows_of_every_kind_are_dealt_out_from_json(record: Any, tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS[record]))
    assert all(check(lambda shard: open_source(json_input=str(path), kind=record.kind, shard=shard), record))


@pytest.mark.parametrize("record", [PatternRow, YamlRow], ids=lambda record: record.kind)
def test_rows_of_a_table_are_in_the_same_parts_as_in_json(record: Any, url: str, tmp_path: Path) -> None:
    columns = "home_id TEXT, " + ", ".join(
        f"{k} {'TEXT' if isinstance(v, str) else 'FLOAT'}"
        for k, v in ((k, v) for k, v in ROWS[record][0].items() if k != "home_id")
    )
    fill(url, record.kind, columns.replace("occurrences FLOAT", "occurrences INTEGER"), ROWS[record])
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(ROWS[record]))
    with statements() as seen:
        found = check(lambda shard: open_source(data_source=url, kind=record.kind, shard=shard), record)
    assert sum("WHERE" in text for text, _ in seen if f"FROM {record.kind}" in text) == 3
    in_json = check(lambda shard: open_source(json_input=str(path), kind=record.kind, shard=shard), record)
    assert [sorted(map(repr, part)) for part in found] == [sorted(map(repr, part)) for part in in_json]


def test_requests_are_dealt_out_by_their_words(url: str) -> None:
    told = [json.dumps([{"description": "d"}]), json.dumps([]), "no json"]
    rows = [
        {
            "query_id": f"q{i}",
            "original_query": f" ask {i}",
            "suggestions": told[i % 20 if i % 20 < 3 else 0],
            "created_at": f"2025-01-{i + 1:02}",
        }
        for i in range(30)
    ]
    fill(url, "ask_ai_queries", "query_id TEXT, original_query TEXT, suggestions TEXT, created_at TEXT", rows)
    check(lambda shard: open_source(data_source=url, kind="soft_prompt", max_samples=25, shard=shard), PromptRow)


def test_a_source_that_knows_nothing_of_parts_is_dealt_out_too(tmp_path: Path) -> None:
    class Plain(DataSource):
        def describe(self) -> dict[str, str]:
            return {"type": "plain", "location": "here"}

        def records(self, record: Any) -> Iterator[Any]:
            for i in range(20):
                yield Home(f"h{i}", (), ())

    def opened(shard: Shard) -> DataSource:
        source = Plain()
        source.shard = shard
        return source

    assert all(check(opened, Home))


def test_one_process_alone_asks_the_data_api(httpserver: HTTPServer) -> None:
    address = serve(httpserver, [api_entity(f"light.l{i}", area_id="hall") for i in range(5)])
    from data_sources.data_api import DataApiSource

    def opened(shard: Shard) -> DataSource:
        source = DataApiSource(address)
        source.shard = shard
        return source

    found = check(opened, Home)
    assert sorted(map(len, found)) == [0, 0, 1]
    assert len(httpserver.log) == 2, "once for the whole, once for the three parts"


def test_a_part_that_is_none_is_refused() -> None:
    for index, count in ((1, 1), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=f"shard {index} of {count}: expected"):
            Shard(index, count)


def test_parts_are_of_like_size() -> None:
    sizes = Counter(next(i for i in range(7) if Shard(i, 7).holds(f"home {number}")) for number in range(7_000))
    assert max(sizes.values()) < 1.1 * min(sizes.values())
