"""Records of every kind from a database. The only module that imports SQLAlchemy. It never writes."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from data_sources.base import DataSource, DataSourceError, FormatError, NotFoundError
from data_sources.homes import HomeBuilder
from data_sources.records import Home, PromptRow, R, keys_of, shorten

SYNERGIES, QUERIES = "synergy_opportunities", "ask_ai_queries"
PRODUCTION_SCHEMA = "automation"
FETCHED_AT_ONCE = 1_000
TEXTS_KEPT = 10_000  # parsed JSON texts: most synergy rows repeat a pair
CONNECT_SECONDS = 10
LOCK_SECONDS = 30
# Dialect -> the driver used for it, whatever driver the URL names (asyncpg and aiosqlite need an event loop).
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_INSTALL = {
    "postgresql": "pip install 'psycopg[binary]'",
    "mysql": "pip install pymysql, and write mysql+pymysql://",
    "mariadb": "pip install pymysql, and write mariadb+pymysql://",
}
_FOLDER_IS_READ_ONLY = (sqlite3.SQLITE_READONLY_DIRECTORY, sqlite3.SQLITE_CANTOPEN)
_Statement = Callable[[str | None], sa.Select[Any]]
"""A schema, or None for the default one -> what to select there."""


class SqlSource(DataSource):
    """Production's tables on SQLite, PostgreSQL or any other SQLAlchemy URL.

    ``sqlite+aiosqlite://`` and ``postgresql+asyncpg://`` are read as ``sqlite://`` and ``postgresql://``. A SQLite file
    is opened read-only and never created. On PostgreSQL the schema ``automation`` is tried first, unless the URL names
    one by ``?schema=``.
    """

    def __init__(self, url: str, *, strict: bool = False, max_samples: int | None = None) -> None:
        super().__init__(strict=strict)
        self._max_samples = max_samples
        self._url, self._schema = _without_schema(_parsed(url))
        self._shown = self._url.set(query={}).render_as_string(hide_password=True)

    def describe(self) -> dict[str, str]:
        """Type and address, without the password and the options."""
        return {"type": "sql", "location": self._shown}

    def health(self) -> str | None:
        """None where the database can be opened, else why not."""
        try:
            with self._connection() as connection:
                connection.execute(sa.text("SELECT 1"))
        except DataSourceError as error:
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
            yield from self._rows_of(record)

    def _rows_of(self, record: type[R]) -> Iterator[R]:
        """The rows of table ``<kind>``, else of ``<kind>_data``, whose columns have the names of a JSON row's keys.

        Columns for objects and lists hold JSON. A null counts as a missing key.
        """
        model = cast(type[BaseModel], record)
        keys = keys_of(model)
        with self._connection() as connection:
            schema, table, there = self._table(connection, (record.kind, f"{record.kind}_data"))
            names = sorted(keys.keys() & there.keys())
            if not names:
                raise NotFoundError(
                    f"{self._shown}: table {table} has none of the columns {', '.join(sorted(keys))}, only: "
                    f"{', '.join(sorted(there))}"
                )
            # SQLite has 0 and 1 for false and true; only the column's type tells.
            types = (sa.Boolean() if isinstance(there[name], sa.Boolean) else None for name in names)
            columns = [sa.column(name, type_) for name, type_ in zip(names, types, strict=True)]
            query = sa.select(*columns).select_from(sa.table(table, schema=schema))
            streamed = connection.execution_options(stream_results=True, yield_per=FETCHED_AT_ONCE)
            with streamed.execute(query) as result:
                for number, values in enumerate(result):
                    raw = {n: _json_value(v, keys[n]) for n, v in zip(names, values, strict=True) if v is not None}
                    row = self.report.validate(model, raw, "row", f"{table} row {number}")
                    if row is not None:
                        yield cast(R, row)

    def add_synergies(self, builder: HomeBuilder) -> int:
        """Stream ``synergy_opportunities`` into ``builder``. Returns the number of rows in the table."""
        count = 0
        parsed, related = lru_cache(TEXTS_KEPT)(_json), lru_cache(TEXTS_KEPT)(_relationship)
        columns = ("synergy_id", "synergy_type", "device_ids", "opportunity_metadata", "confidence")
        with self._rows(SYNERGIES, required=("device_ids", "confidence"), optional=columns) as rows:
            for count, (synergy_id, synergy_type, device_ids, metadata, confidence) in enumerate(rows, 1):
                where = f"{SYNERGIES} row {shorten(synergy_id or count - 1, 50)}"
                ids = parsed(device_ids) if isinstance(device_ids, str) else _json(device_ids)
                if not isinstance(ids, list) or len(ids) < 2:
                    told = shorten(device_ids)
                    self.report.reject("row", where, f"device_ids: {told} - expected a JSON array of two entity ids")
                    continue
                raw = {
                    "entity_1": ids[0],
                    "entity_2": ids[1],
                    "synergy_type": synergy_type,
                    "confidence": confidence,
                    "relationship": related(metadata) if isinstance(metadata, str) else _relationship(metadata),
                }
                builder.add_row(raw, where, unit="row")
        return count

    def _prompts(self) -> Iterator[PromptRow]:
        """The newest requests, each with the description of its most confident suggestion, as production's query.

        Requests without any suggestion are no broken rows: they are left out and counted in a note.
        """
        names = ("original_query", "suggestions", "created_at")

        def newest(schema: str | None) -> sa.Select[Any]:
            columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
            query, suggestions, created_at = columns
            statement = (
                sa.select(query, suggestions)
                .select_from(sa.table(QUERIES, schema=schema))
                .where(suggestions.is_not(None))
                .order_by(created_at.is_(None), created_at.desc())  # PostgreSQL would put null first
            )
            return statement if self._max_samples is None else statement.limit(self._max_samples)

        unanswered = 0
        with self._rows(QUERIES, required=names, statement=newest) as rows:
            for number, (query, told) in enumerate(rows):
                where = f"{QUERIES} row {number}"
                suggestions = _json(told)
                if told in (None, "", "null") or suggestions == []:
                    unanswered += 1
                    continue
                usable = [s for s in suggestions if isinstance(s, dict)] if isinstance(suggestions, list) else []
                if not usable:
                    why = f"suggestions: {shorten(told)} - expected a JSON array of objects"
                    self.report.reject("row", where, why)
                    continue
                best = max(usable, key=_confidence)
                raw = {"query": query, "suggestion": best.get("description")}
                record = self.report.validate(PromptRow, raw, "row", where)
                if record is not None:
                    yield record
        if unanswered:
            self.report.notes.append(f"{self._shown}: {unanswered} requests without any suggestion were left out")

    @contextmanager
    def _rows(
        self, table: str, *, required: Sequence[str], optional: Sequence[str] = (), statement: _Statement | None = None
    ) -> Iterator[Iterable[Any]]:
        """The rows of ``statement``; without one, the columns ``optional`` of ``table``, null where it lacks one."""
        with self._connection() as connection:
            schema, there = self._find(connection, table, required)
            if statement is None:
                columns = [sa.column(name) if name in there else sa.null().label(name) for name in optional]
                query = sa.select(*columns).select_from(sa.table(table, schema=schema))
            else:
                query = statement(schema)
            streamed = connection.execution_options(stream_results=True, yield_per=FETCHED_AT_ONCE)
            with streamed.execute(query) as result:
                yield result

    def _find(self, connection: Connection, table: str, required: Sequence[str]) -> tuple[str | None, set[str]]:
        """The schema that has ``table``, and the table's columns. Raises NotFoundError, naming what there is."""
        schema, _, there = self._table(connection, (table,))
        missing = [name for name in required if name not in there]
        if missing:
            raise NotFoundError(
                f"{self._shown}: table {table} has no column {missing[0]}, only: {', '.join(sorted(there))}"
            )
        return schema, set(there)

    def _table(self, connection: Connection, wanted: Sequence[str]) -> tuple[str | None, str, dict[str, Any]]:
        """Schema, name and columns with their types of the first of the ``wanted`` tables that exists."""
        inspector = sa.inspect(connection)
        schemas: list[str | None] = [self._schema] if self._schema else [None]
        if not self._schema and connection.dialect.name == "postgresql":
            schemas.insert(0, PRODUCTION_SCHEMA)
        seen: list[str] = []
        for schema in schemas:
            names = [*inspector.get_table_names(schema), *inspector.get_view_names(schema)]
            seen += [f"{schema}.{name}" if schema else name for name in names]
            for table in wanted:
                if table in names:
                    return schema, table, {c["name"]: c["type"] for c in inspector.get_columns(table, schema)}
        known = ", ".join(sorted(seen)[:20]) or "none"
        raise NotFoundError(
            f"{self._shown}: no table {' or '.join(wanted)}; tables there: {known}. "
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
        backend = self._url.get_backend_name()
        if backend == "sqlite":
            return _read_only_sqlite(self._url, self._shown)
        options: dict[str, Any] = {}
        if backend == "postgresql":
            # JSON columns as text, so that one that repeats is parsed once.
            options = {"connect_args": {"connect_timeout": CONNECT_SECONDS}, "json_deserializer": bytes.decode}
        try:
            return sa.create_engine(self._url, **options)
        except (ImportError, NoSuchModuleError) as error:
            raise NotFoundError(
                f"{self._shown}: the driver for {self._url.drivername} is not installed; "
                f"{_INSTALL.get(backend, 'install the package that brings it')}"
            ) from error


def _parsed(url: str) -> URL:
    """The parsed URL. An error shows no part of it that may be a secret."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        told = re.sub(r"\W.*", "...", url, flags=re.DOTALL) if "@" in url or "?" in url else url
        raise NotFoundError(
            f"{shorten(told)}: is no database address; expected one such as sqlite:///data/ai_automation.db"
        ) from error
    if "@" in (parsed.host or ""):
        raise NotFoundError(f"{parsed.drivername}://...: the password holds an @; write it as %40")
    return parsed


def _without_schema(url: URL) -> tuple[URL, str | None]:
    """The URL with the driver used here and without ``?schema=``, and that schema."""
    schema = url.query.get("schema")
    url = url.difference_update_query(["schema"])
    driver = _DRIVERS.get(url.drivername.partition("+")[0].lower())
    if driver is not None:
        url = url.set(drivername=driver)
    return url, schema if isinstance(schema, str) else None


def _read_only_sqlite(url: URL, shown: str) -> Engine:
    name = url.database or ""
    if name in ("", ":memory:"):
        raise NotFoundError(f"{shown}: names no file; expected one such as sqlite:///data/ai_automation.db")
    path = Path(name)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise NotFoundError(f"{name}: cannot be read ({error.strerror})") from error
    if is_folder:
        raise NotFoundError(f"{name}: is a folder; expected a SQLite file such as {path / 'ai_automation.db'}")
    if not is_file:
        raise NotFoundError(
            f"{name}: no such database file (it is never created); DATABASE_URL or DATABASE_PATH says which, "
            "--json-input reads a JSON file instead"
        )
    path = path.resolve()
    address = f"file:{quote(str(path))}?mode=ro"

    def connect() -> sqlite3.Connection:
        # A writer may lock the file for a while, unless it is in WAL mode.
        connection = sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS)
        try:
            connection.execute("SELECT 1 FROM sqlite_master")  # opens the file
        except sqlite3.Error as error:
            connection.close()
            # Nobody writes while there is no -wal file: a WAL database in a read-only folder can be read as immutable.
            if error.sqlite_errorcode not in _FOLDER_IS_READ_ONLY or Path(f"{path}-wal").exists():
                raise
            return sqlite3.connect(f"{address}&immutable=1", uri=True)
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool)


def _json_value(value: Any, nested: bool) -> Any:
    """A column's value as a JSON row has it. A text that should be JSON and is not stays, for the record to refuse."""
    if isinstance(value, Decimal):
        return float(value)
    if nested and isinstance(value, str | bytes):
        parsed = _json(value)
        return value if parsed is None else parsed
    return value


def _json(value: Any) -> Any:
    """The value of a JSON text, None where it is no JSON. Drivers may have decoded it already."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def _relationship(metadata: Any) -> dict[str, str] | None:
    """The texts under ``relationship`` in ``opportunity_metadata``, else those of the metadata itself."""
    metadata = _json(metadata)
    if not isinstance(metadata, dict):
        return None
    relationship = metadata.get("relationship")
    texts = relationship if isinstance(relationship, dict) else metadata
    return {key: value for key, value in texts.items() if isinstance(value, str)}


def _confidence(suggestion: dict[str, Any]) -> float:
    """A suggestion's confidence, lower than any other where it is no number."""
    try:
        value = float(suggestion.get("confidence", "nan"))
    except (TypeError, ValueError, OverflowError):
        return -math.inf
    return -math.inf if math.isnan(value) else value
