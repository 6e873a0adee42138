"""Records of every kind from a database. The only module that imports SQLAlchemy. It never writes."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from data_sources.base import (
    DataSource,
    DataSourceError,
    FormatError,
    NoRowsError,
    NoTableError,
    NotFoundError,
    stray_characters,
)
from data_sources.homes import HomeBuilder
from data_sources.masking import MESSAGE_LENGTH, masked, message_of, without_secrets
from data_sources.records import Home, PromptRow, R, from_json_text, keys_of, plain, required_keys, shorten

SYNERGIES, QUERIES = "synergy_opportunities", "ask_ai_queries"
SYNERGY_COLUMNS = ("device_ids", "opportunity_metadata", "synergy_type", "confidence")  # as add_opportunity takes them
PRODUCTION_SCHEMA = "automation"
FETCHED_AT_ONCE = 1_000
CONNECT_SECONDS = 10
LOCK_SECONDS = 30
# Dialect -> the driver used for it, whatever driver the URL names (asyncpg and aiosqlite need an event loop).
_DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_INSTALL = {
    "postgresql": "pip install 'psycopg[binary]'",
    "mysql": "pip install pymysql, and write mysql+pymysql://",
    "mariadb": "pip install pymysql, and write mariadb+pymysql://",
}
_SSL_MODES = {"true": "require", "1": "require", "yes": "require", "on": "require"}
_SSL_MODES |= dict.fromkeys(("false", "0", "no", "off"), "disable")
_ASYNCPG_OPTIONS = frozenset(
    "ssl timeout command_timeout direct_tls async_fallback server_settings loop min_size max_size statement_cache_size "
    "prepared_statement_cache_size prepared_statement_name_func max_cached_statement_lifetime "
    "max_cacheable_statement_size".split()
)
_WAL = 2  # the file's format for reading or writing, bytes 18 and 19 of its header
_SCHEME_IN_PATH = re.compile(r"^[A-Za-z][\w+.\-]*:/+.*@|://")
_NOT_ROLLED_BACK = (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_BROKEN_PAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_Statement = Callable[[str | None, Collection[str]], sa.Select[Any]]
"""A schema, or None for the default one, and the table's columns -> what to select there."""


class BrokenRowsError(FormatError):
    """Rows lie on pages of a SQLite file that are broken or missing."""


class SqlSource(DataSource):
    """Production's tables on SQLite, PostgreSQL or any other SQLAlchemy URL.

    ``sqlite+aiosqlite://`` and ``postgresql+asyncpg://`` are read as ``sqlite://`` and ``postgresql://``. A SQLite file
    is opened read-only and never created. On PostgreSQL the schema ``automation`` is tried first, unless the URL names
    one by ``?schema=``.
    """

    def __init__(
        self,
        url: str,
        *,
        strict: bool = False,
        max_samples: int | None = None,
        advice: str = "DATABASE_URL or DATABASE_PATH says which, --json-input reads a JSON file instead",
        allow_truncated: bool = False,
    ) -> None:
        """``advice`` ends the message about a missing file; ``allow_truncated`` opens a SQLite file cut short."""
        super().__init__(strict=strict)
        self._advice, self._allow_truncated = advice, allow_truncated
        self._max_samples = max_samples
        self._url, self._schema = _without_schema(_parsed(url))
        self._shown = masked(plain(self._url.set(query={}).render_as_string(hide_password=True)))
        if self._is_sqlite and _SCHEME_IN_PATH.search(self._url.database or ""):
            told = without_secrets(self._url.database or "")
            raise NotFoundError(f"{told}: is an address and no path to a SQLite file; DATABASE_URL takes an address")

    @property
    def _is_sqlite(self) -> bool:
        return self._url.get_backend_name() == "sqlite"

    def without_wal(self) -> str:
        """A sentence where the file alone cannot hold what was written last, for its -wal is not there; else ""."""
        if not self._is_sqlite:
            return ""
        path = Path(self._url.database or "")
        try:
            wal = Path(f"{path.resolve()}-wal")
            # A reader of another program leaves an empty one behind.
            if not _in_wal_mode(path) or (wal.exists() and wal.stat().st_size):
                return ""
        except (OSError, ValueError):
            return ""
        return (
            f"The file is in WAL mode and no {plain(path.name)}-wal with rows lies beside it. If only the file was "
            "mounted or copied, what was written last is missing: give the whole folder"
        )

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

    def records(self, record: type[R]) -> Iterator[R]:
        """Yield the records of one kind; see ``DataSource.records``."""
        if record is Home:
            yield from self._homes()
        elif record is PromptRow:
            yield from self._prompts()
        else:
            yield from self._rows_of(record)
        if not self.report.read and (missing := self.without_wal()):
            raise NoRowsError(f"{self._shown}: holds no {record.kind} rows. {missing}")

    def _homes(self) -> Iterator[Home]:
        builder = HomeBuilder(self.report)
        self.add_synergies(builder)
        if not builder.empty:
            yield builder.build()

    def _rows_of(self, record: type[R]) -> Iterator[R]:
        """The rows of table ``<kind>``, else of ``<kind>_data``, whose columns have the names of a JSON row's keys.

        Columns for objects and lists hold JSON. A null counts as a missing key.
        """
        model = cast(type[BaseModel], record)
        keys = keys_of(model)
        with self._connection() as connection:
            schema, table, there = self._table(connection, (record.kind, f"{record.kind}_data"))
            names = sorted(keys.keys() & there.keys())
            needed = [] if getattr(model, "wrapper", None) in names else required_keys(model)
            self._check_columns(
                table, [spellings[0] for spellings in needed if there.keys().isdisjoint(spellings)], there
            )
            # SQLite has 0 and 1 for false and true; only the column's type tells.
            types = (sa.Boolean() if isinstance(there[name], sa.Boolean) else None for name in names)
            columns = [sa.column(name, type_) for name, type_ in zip(names, types, strict=True)]
            query = sa.select(_id_column(there), *columns).select_from(sa.table(table, schema=schema))
            streamed = connection.execution_options(stream_results=True, yield_per=FETCHED_AT_ONCE)
            with streamed.execute(query) as result:
                for number, (row_id, *values) in enumerate(result, start=1):
                    raw = {
                        name: from_json_text(value) if keys[name] else value
                        for name, value in zip(names, values, strict=True)
                        if value is not None
                    }
                    row = self.report.validate(model, raw, "row", _place(table, number, row_id))
                    if row is not None:
                        yield cast(R, row)

    def add_synergies(self, builder: HomeBuilder) -> int:
        """Stream ``synergy_opportunities`` into ``builder``. Returns the number of rows in the table."""
        count = 0
        columns = ("synergy_id", *SYNERGY_COLUMNS)
        with self._rows(SYNERGIES, required=("device_ids", "confidence"), optional=columns) as rows:
            for count, (synergy_id, device_ids, metadata, synergy_type, confidence) in enumerate(rows, 1):
                where = f"{SYNERGIES} row {shorten(synergy_id or count, 50)}"
                builder.add_opportunity(device_ids, metadata, synergy_type, confidence, where, unit="row")
        return count

    def _prompts(self) -> Iterator[PromptRow]:
        """The newest requests, each with the description of its most confident suggestion, as production's query.

        Requests without any suggestion are no broken rows: they are left out and counted in a note.
        """
        names = ("original_query", "suggestions", "created_at")

        def newest(schema: str | None, there: Collection[str]) -> sa.Select[Any]:
            columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
            query, suggestions, created_at = columns
            statement = (
                sa.select(query, suggestions, _id_column(there))
                .select_from(sa.table(QUERIES, schema=schema))
                .where(suggestions.is_not(None))
                .order_by(created_at.is_(None), created_at.desc())  # PostgreSQL would put null first
            )
            return statement if self._max_samples is None else statement.limit(self._max_samples)

        unanswered = 0
        with self._rows(QUERIES, required=names, statement=newest) as rows:
            for number, (query, told, row_id) in enumerate(rows, start=1):
                where = _place(QUERIES, number, row_id)
                suggestions = from_json_text(told)
                if suggestions in (None, "", []):
                    unanswered += 1
                    continue
                listed = map(from_json_text, suggestions) if isinstance(suggestions, list) else ()
                usable = [suggestion for suggestion in listed if isinstance(suggestion, dict)]
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
                query = statement(schema, there)
            streamed = connection.execution_options(stream_results=True, yield_per=FETCHED_AT_ONCE)
            with streamed.execute(query) as result:
                yield result

    def _find(self, connection: Connection, table: str, required: Sequence[str]) -> tuple[str | None, set[str]]:
        """The schema that has ``table``, and the table's columns. Raises NotFoundError, naming what there is."""
        schema, _, there = self._table(connection, (table,))
        self._check_columns(table, [name for name in required if name not in there], there)
        return schema, set(there)

    def _check_columns(self, table: str, missing: Sequence[str], there: Iterable[str]) -> None:
        if missing:
            raise NotFoundError(
                f"{self._shown}: table {table} has no column {', '.join(missing)}, only: "
                f"{', '.join(map(plain, sorted(there)))}"
            )

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
        known = ", ".join(map(plain, sorted(seen)[:20])) or "none"
        if {"schema_changes", "states"} <= set(seen):
            raise NoTableError(
                f"{self._shown}: is the recorder of Home Assistant; give --data-source homeassistant:FOLDER, the "
                "configuration folder"
            )
        advice = self.without_wal() or "DATABASE_URL says which database, --json-input reads a JSON file instead"
        raise NoTableError(f"{self._shown}: no table {' or '.join(wanted)}; tables there: {known}. {advice}")

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        engine = self._engine()
        try:
            with engine.connect() as connection:
                if connection.dialect.name == "postgresql":
                    connection = connection.execution_options(postgresql_readonly=True)
                yield connection
        except DBAPIError as error:
            told = message_of(error.orig or error)[:MESSAGE_LENGTH]
            if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
                told += f" by a program that writes, for {LOCK_SECONDS} s now; try again later"
            raise NotFoundError(f"{self._shown}: cannot be read ({told})") from error
        except UnicodeDecodeError as error:  # in SQLite's own message, or in the name of a column
            raise FormatError(
                f"{self._shown}: cannot be read, it is damaged or holds names that are no text"
            ) from error
        except SQLAlchemyError as error:
            raise FormatError(f"{self._shown}: cannot be read ({type(error).__name__})") from error
        finally:
            engine.dispose()

    def _engine(self) -> Engine:
        backend = self._url.get_backend_name()
        if backend == "sqlite":
            return _read_only_sqlite(self._url, self._shown, self._advice, allow_truncated=self._allow_truncated)
        options: dict[str, Any] = {}
        if backend == "postgresql":
            # JSON columns as text, so that one that repeats is parsed once.
            arguments = {} if "connect_timeout" in self._url.query else {"connect_timeout": CONNECT_SECONDS}
            options = {"connect_args": arguments, "json_deserializer": bytes.decode}
        try:
            return sa.create_engine(self._url, **options)
        except (ImportError, NoSuchModuleError) as error:
            raise NotFoundError(
                f"{self._shown}: the driver for {self._url.drivername} is not installed; "
                f"{_INSTALL.get(backend, 'install the package that brings it')}"
            ) from error


def synergies_statement(dialect: str) -> sa.Executable:
    """What reads production's synergies through a session of its own, whose engine is of this dialect."""
    schema = PRODUCTION_SCHEMA if dialect == "postgresql" else None
    columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in SYNERGY_COLUMNS]
    return sa.select(*columns).select_from(sa.table(SYNERGIES, schema=schema))


class SqlReader:
    """Plain SELECTs on a database that another program may be writing, each of them short.

    A statement is read to its end and its transaction closed before its rows are given, so that this reader holds back
    neither the checkpoints of a WAL nor the cleaning of old rows: ask for ranges. SQLite gives texts as bytes. A SQLite
    file that is cut off can be opened: only what is missing cannot be read.
    """

    def __init__(self, url: str, variable: str) -> None:
        """``variable`` is the one of the environment that says which database it is, for messages."""
        self._source = SqlSource(url, advice=f"{variable} says which", allow_truncated=True)
        self._connected: Connection | None = None
        self.shown = self._source.describe()["location"]

    @contextmanager
    def connect(self) -> Iterator[None]:
        """Keep one connection while the block runs. Raises DataSourceError, as SqlSource does."""
        with self._source._connection() as self._connected:
            yield

    def columns(self, table: str) -> frozenset[str]:
        """The columns of ``table`` that can hold something (``CHAR(0)`` cannot); none where there is no such table."""
        assert self._connected is not None
        try:
            columns = sa.inspect(self._connected).get_columns(table)
        except NoSuchTableError:
            return frozenset()
        finally:
            self._connected.rollback()
        return frozenset(str(c["name"]) for c in columns if getattr(c["type"], "length", None) not in (0, 1))

    def rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """All rows of a SELECT. Raises BrokenRowsError where it meets a page of a SQLite file that is broken."""
        connection = self._connected
        assert connection is not None
        driver: Any = connection.connection.dbapi_connection
        is_sqlite = isinstance(driver, _SqliteConnection)
        if is_sqlite and driver.outdated_by is not None and driver.outdated_by.exists():
            connection.invalidate()
            driver = connection.connection.dbapi_connection
        try:
            if is_sqlite:
                driver.text_factory = bytes
            # The driver's own tuples: SQLAlchemy's rows take as long again.
            with connection.execute(sa.text(statement), values) as result:
                return list(cast(Any, result.cursor).fetchall())
        except (DBAPIError, sqlite3.Error) as error:
            told = (error.orig or error) if isinstance(error, DBAPIError) else error
            if getattr(told, "sqlite_errorcode", 0) & 0xFF in _BROKEN_PAGES:
                raise BrokenRowsError(f"{self.shown}: cannot be read ({message_of(told)})") from error
            if isinstance(error, DBAPIError):
                raise
            raise NotFoundError(f"{self.shown}: cannot be read ({message_of(told)})") from error
        finally:
            if is_sqlite:
                driver.text_factory = _text
            connection.rollback()

    def without_wal(self) -> str:
        """As ``SqlSource.without_wal``."""
        return self._source.without_wal()


def _parsed(url: str) -> URL:
    """The parsed URL. An error shows no part of it that may be a secret."""
    without_secrets(url)  # remembers what must not be shown: the cause's text may
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        told = re.sub(r"(?<=\w)\W.*", "...", url, flags=re.DOTALL) if "@" in url or "?" in url else url
        raise NotFoundError(
            f"{shorten(told)}: is no database address; expected one such as sqlite:///data/ai_automation.db"
            f"{stray_characters(url)}"
        ) from error
    if "@" in (parsed.host or ""):
        raise NotFoundError(f"{parsed.drivername}://...: the password holds an @; write it as %40")
    return parsed


def _without_schema(url: URL) -> tuple[URL, str | None]:
    """The URL with the driver used here and its options, without ``?schema=``, and that schema."""
    schema = url.query.get("schema")
    url = url.difference_update_query(["schema"])
    dialect = url.drivername.partition("+")[0].lower()
    if dialect in _DRIVERS:
        url = url.set(drivername=_DRIVERS[dialect])
    if dialect.startswith("postgres"):
        url = _options_of_psycopg(url)
    return url, schema if isinstance(schema, str) else None


def _options_of_psycopg(url: URL) -> URL:
    """The options of asyncpg as psycopg has them; those of its cache and its event loop mean nothing here."""
    query = {key: value if isinstance(value, str) else value[-1] for key, value in url.query.items()}
    translated: dict[str, str] = {}
    if ssl := query.get("ssl"):
        translated["sslmode"] = _SSL_MODES.get(ssl.lower(), ssl)
    if timeout := query.get("timeout"):
        with suppress(ValueError, OverflowError):
            translated["connect_timeout"] = str(max(1, math.ceil(float(timeout))))
    kept = {key: value for key, value in url.query.items() if key not in _ASYNCPG_OPTIONS}
    return url.set(query={**translated, **kept})


def _read_only_sqlite(url: URL, shown: str, advice: str, *, allow_truncated: bool = False) -> Engine:
    name = url.database or ""
    if url.query.get("uri") in ("true", "1") and name.startswith("file:"):
        name = name.removeprefix("file:")
    shown_name = without_secrets(name)
    if name in ("", ":memory:"):
        raise NotFoundError(f"{shown}: names no file; expected one such as sqlite:///data/ai_automation.db")
    path = Path(name)
    try:
        is_folder, is_file = path.is_dir(), path.is_file()
    except OSError as error:
        raise NotFoundError(f"{shown_name}: cannot be read ({error.strerror})") from error
    if is_folder:
        raise NotFoundError(
            f"{shown_name}: is a folder; expected a SQLite file such as {plain(str(path / 'ai_automation.db'))}"
        )
    if not is_file:
        raise NotFoundError(
            f"{shown_name}: no such database file (it is never created); {advice}{stray_characters(name)}"
        )
    path = path.resolve()

    def connect() -> sqlite3.Connection:
        # Nobody writes a WAL database that has no -wal file beside it. Read as immutable it gets none from its reader
        # either, whom the service that owns the file would have to be allowed to write over.
        wal = Path(f"{path}-wal")
        at_rest = _in_wal_mode(path) and not wal.exists()
        address = f"file:{quote(str(path))}?mode=ro{'&immutable=1' if at_rest else ''}"
        # A writer may lock the file for a while, unless it is in WAL mode.
        connection = sqlite3.connect(address, uri=True, timeout=LOCK_SECONDS, factory=_SqliteConnection)
        connection.outdated_by = wal if at_rest else None
        connection.text_factory = _text
        if allow_truncated:
            connection.execute("PRAGMA writable_schema = ON")  # else a file with fewer pages than its header says fails
        try:
            connection.execute("SELECT 1 FROM sqlite_master")  # opens the file
        except sqlite3.Error as error:
            connection.close()
            if Path(f"{path}-journal").exists() and error.sqlite_errorcode in _NOT_ROLLED_BACK:
                raise NotFoundError(
                    f"{shown}: a write was broken off and its {path.name}-journal lies beside the file; what is in the "
                    "file may be half written. Start the service that owns it, or open it once with "
                    f"sqlite3 {path.name} 'PRAGMA integrity_check', and it is mended"
                ) from error
            raise
        return connection

    return sa.create_engine("sqlite://", creator=connect, poolclass=sa.pool.NullPool)


class _SqliteConnection(sqlite3.Connection):
    """A connection that sees no more of its file than there was, once ``outdated_by`` exists: a writer has begun."""

    outdated_by: Path | None = None


def _in_wal_mode(path: Path) -> bool:
    """Whether the header of a SQLite file says so; a file that cannot be read says nothing."""
    try:
        with path.open("rb") as file:
            return _WAL in file.read(20)[18:]
    except (OSError, ValueError):
        return False


def _text(raw: bytes) -> str:
    """SQLite's text. One that is not UTF-8 costs its own row alone: half a character is no text to any record."""
    return raw.decode("utf-8", "surrogateescape")


def _id_column(there: Collection[str]) -> sa.ColumnElement[Any]:
    """What names a row in messages, null where the table has nothing that does."""
    name = next((name for name in ("query_id", "id") if name in there), None)
    return sa.null().label("row_id") if name is None else sa.column(name).label("row_id")


def _place(table: str, number: int, row_id: Any) -> str:
    return f"{table} row {number}" + (f" (id {shorten(row_id, 50)})" if row_id is not None else "")


def _confidence(suggestion: dict[str, Any]) -> float:
    """A suggestion's confidence, lower than any other where it is no number."""
    try:
        value = float(suggestion.get("confidence", "nan"))
    except (TypeError, ValueError, OverflowError):
        return -math.inf
    return -math.inf if math.isnan(value) else value
