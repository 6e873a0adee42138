"""Synergies and requests from a database. The only module that imports SQLAlchemy; it reads and never writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from data_sources.base import DataSource, FormatError, NotFoundError, R, UnsupportedKindError
from data_sources.homes import HomeBuilder
from data_sources.records import Home, PromptRow, shorten

SYNERGIES, QUERIES = "synergy_opportunities", "ask_ai_queries"
PRODUCTION_SCHEMA = "automation"
FETCHED_AT_ONCE = 1_000
CONNECT_SECONDS = 10
# Drivers that only work inside an event loop, or are not what this program brings -> the one it uses.
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class SqlSource(DataSource):
    """Production's tables on SQLite, PostgreSQL or any other SQLAlchemy URL.

    ``sqlite+aiosqlite://`` and ``postgresql+asyncpg://`` are read as their plain forms. A SQLite file is opened
    read-only and never created. On PostgreSQL the schema ``automation`` is found by itself; ``?schema=`` in the URL
    overrides it.
    """

    def __init__(self, url: str, *, strict: bool = False, max_samples: int | None = None) -> None:
        super().__init__(strict=strict)
        self._max_samples = max_samples
        try:
            parsed = make_url(url)
            self._url, self._schema = _plain(parsed)
        except ArgumentError as error:
            raise NotFoundError(
                f"{shorten(url.rpartition('@')[2])}: is no database address; expected one such as "
                "sqlite:///data/ai_automation.db"
            ) from error
        self._shown = self._url.render_as_string(hide_password=True) if not self._url.query else _shown(self._url)

    def describe(self) -> dict[str, str]:
        """Type and address, without the password and the options."""
        return {"type": "sql", "location": self._shown}

    def health(self) -> str | None:
        """None where the database can be opened, else why not."""
        try:
            with self._connection() as connection:
                connection.execute(sa.text("SELECT 1"))
        except NotFoundError as error:
            return str(error)
        return None

    def _read(self, record: type[R]) -> Iterator[R]:
        if record is Home:
            builder = HomeBuilder(self.report)
            self.add_synergies(builder)
            if not builder.empty:
                yield builder.build()
        elif record is PromptRow:
            yield from self._prompts()
        else:
            raise UnsupportedKindError(
                f"{self._shown}: the database has no {record.kind} data; a JSON file (--json-input PATH) has"
            )

    def add_synergies(self, builder: HomeBuilder) -> int:
        """Stream ``synergy_opportunities`` into ``builder``; the number of rows that are there."""
        count = 0
        columns = ["synergy_id", "synergy_type", "device_ids", "opportunity_metadata", "confidence"]
        with self._rows(SYNERGIES, columns, required=("device_ids", "confidence")) as rows:
            for row in rows:
                count += 1
                where = f"{SYNERGIES} row {shorten(row.get('synergy_id') or count - 1, 50)}"
                ids = _json(row["device_ids"])
                if not isinstance(ids, list) or len(ids) < 2:
                    told = shorten(row["device_ids"])
                    self.report.reject("row", where, f"device_ids: {told} - expected a JSON array of two entity ids")
                    continue
                metadata = _json(row.get("opportunity_metadata"))
                if isinstance(metadata, dict) and isinstance(metadata.get("relationship"), dict):
                    metadata = metadata["relationship"]
                raw = {
                    "entity_1": ids[0],
                    "entity_2": ids[1],
                    "synergy_type": row.get("synergy_type"),
                    "confidence": row["confidence"],
                    "relationship": {k: v for k, v in metadata.items() if isinstance(v, str)}
                    if isinstance(metadata, dict)
                    else None,
                }
                builder.add_row(raw, where, unit="row")
        return count

    def _prompts(self) -> Iterator[PromptRow]:
        """Production's query: the newest answered requests, each with its most confident suggestion's description."""
        table = sa.table(QUERIES, sa.column("original_query"), sa.column("suggestions"), sa.column("created_at"))

        def newest(schema: str | None) -> sa.Select[Any]:
            there = sa.table(QUERIES, *(sa.column(c.name) for c in table.columns), schema=schema)
            statement = (
                sa.select(there.c.original_query, there.c.suggestions)
                .where(there.c.suggestions.is_not(None))
                .order_by(there.c.created_at.desc())
            )
            return statement if self._max_samples is None else statement.limit(self._max_samples)

        columns = [column.name for column in table.columns]
        with self._rows(QUERIES, columns, required=columns, statement=newest) as rows:
            for number, row in enumerate(rows):
                where = f"{QUERIES} row {number}"
                suggestions = _json(row["suggestions"])
                usable = [s for s in suggestions if isinstance(s, dict)] if isinstance(suggestions, list) else []
                if not usable:
                    told = shorten(row["suggestions"])
                    self.report.reject("row", where, f"suggestions: {told} - expected a JSON array of objects")
                    continue
                best = max(usable, key=_confidence)
                raw = {"query": row["original_query"], "suggestion": best.get("description")}
                record = self.report.validate(PromptRow, raw, "row", where)
                if record is not None:
                    yield record

    @contextmanager
    def _rows(
        self, table: str, columns: Sequence[str], *, required: Sequence[str], statement: Any = None
    ) -> Iterator[Iterator[dict[str, Any]]]:
        with self._connection() as connection:
            schema, there = self._find(connection, table, required)
            if statement is None:
                wanted: list[sa.ColumnClause[Any]] = [sa.column(name) for name in columns if name in there]
                query = sa.select(*wanted).select_from(sa.table(table, schema=schema))
            else:
                query = statement(schema)
            streamed = connection.execution_options(stream_results=True, yield_per=FETCHED_AT_ONCE)
            yield (dict(row) for row in streamed.execute(query).mappings())

    def _find(self, connection: Connection, table: str, required: Sequence[str]) -> tuple[str | None, set[str]]:
        """The schema that has ``table`` and the table's columns. Raises NotFoundError that names what is there."""
        inspector = sa.inspect(connection)
        schemas: list[str | None] = [self._schema] if self._schema else [None]
        if not self._schema and connection.dialect.name == "postgresql":
            schemas.insert(0, PRODUCTION_SCHEMA)
        seen: list[str] = []
        for schema in schemas:
            names = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
            seen += [f"{schema}.{name}" if schema else name for name in names]
            if table in names:
                there = {column["name"] for column in inspector.get_columns(table, schema)}
                missing = [name for name in required if name not in there]
                if missing:
                    raise NotFoundError(
                        f"{self._shown}: table {table} has no column {missing[0]}, only: {', '.join(sorted(there))}"
                    )
                return schema, there
        known = ", ".join(sorted(seen)[:20]) or "none"
        raise NotFoundError(
            f"{self._shown}: no table {table}; tables there: {known}. "
            "DATABASE_URL says which database, --json-input reads a JSON file instead"
        )

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine = self._engine()
        try:
            with engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=True)
                yield connection
        except DBAPIError as error:
            said = " ".join(str(error.orig).split())[:200]
            raise NotFoundError(f"{self._shown}: cannot be read ({said})") from error
        except SQLAlchemyError as error:
            raise FormatError(f"{self._shown}: cannot be read ({type(error).__name__})") from error
        finally:
            engine.dispose()

    def _engine(self) -> Engine:
        if self._url.get_backend_name() == "sqlite":
            return _read_only_sqlite(self._url, self._shown)
        options = {"connect_timeout": CONNECT_SECONDS} if self._url.get_backend_name() == "postgresql" else {}
        try:
            return sa.create_engine(self._url, connect_args=options)
        except (ImportError, NoSuchModuleError) as error:
            raise NotFoundError(
                f"{self._shown}: the driver for {self._url.drivername} is not installed; "
                "for PostgreSQL: pip install 'psycopg[binary]'"
            ) from error


def _plain(url: URL) -> tuple[URL, str | None]:
    """The URL with a driver that works without an event loop and without ``?schema=``, and that schema."""
    schema = url.query.get("schema")
    url = url.difference_update_query(["schema"])
    driver = _DRIVERS.get(url.drivername.partition("+")[0])
    if driver is not None:
        url = url.set(drivername=driver)
    return url, schema if isinstance(schema, str) else None


def _shown(url: URL) -> str:
    return url.set(query={}).render_as_string(hide_password=True)


def _read_only_sqlite(url: URL, shown: str) -> Engine:
    name = url.database or ""
    if name in ("", ":memory:"):
        raise NotFoundError(f"{shown}: names no file; expected one such as sqlite:///data/ai_automation.db")
    path = Path(name)
    if not path.is_file():
        raise NotFoundError(
            f"{name}: no such database file (it is never created); DATABASE_URL or DATABASE_PATH says which, "
            "--json-input reads a JSON file instead"
        )

    def connect() -> sqlite3.Connection:
        # A writer may hold the file for a while; a reader of a WAL database does not wait at all.
        return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, timeout=30)

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool)


def _json(value: Any) -> Any:
    """A JSON text's value; drivers may have decoded it already. None where it is no JSON."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _confidence(suggestion: dict[str, Any]) -> float:
    value = suggestion.get("confidence")
    return float(value) if isinstance(value, int | float) and value == value else float("-inf")
