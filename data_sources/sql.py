"""Records of every kind from a database. The only module that imports SQLAlchemy. It never writes."""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import quote

import sqlalchemy as sa
from pydantic import BaseModel
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, NoSuchTableError, SQLAlchemyError

from data_sources.base import (
    WHOLE,
    DataSource,
    DataSourceError,
    FormatError,
    NoRowsError,
    NoTableError,
    NotFoundError,
    Shard,
    stray_characters,
)
from data_sources.homes import HOME_LISTS, HomeBuilder, read_home
from data_sources.masking import MESSAGE_LENGTH, masked, message_of, without_secrets
from data_sources.nearest import nearest_key
from data_sources.paths import same_file
from data_sources.records import (
    DEFAULT_HOME_ID,
    Home,
    PromptRow,
    R,
    from_json_text,
    keys_of,
    plain,
    read_id,
    required_keys,
    shorten,
)
from data_sources.slips import HOME_KEYS, Groups

SYNERGIES, QUERIES = "synergy_opportunities", "ask_ai_queries"
SYNERGY_COLUMNS = ("device_ids", "opportunity_metadata", "synergy_type", "confidence")  # as add_opportunity takes them
PRODUCTION_SCHEMA = "automation"
FETCHED_AT_ONCE = 1_000
HOMES_FETCHED_AT_ONCE = 20  # whole homes, of which one may be a megabyte
IDS_KEPT = 10_000
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
_SCHEME_IN_PATH = re.compile(r"^[A-Za-z][\w+.\-]*:/.*@|://")
_NOT_ROLLED_BACK = (sqlite3.SQLITE_READONLY_ROLLBACK, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)
_BROKEN_PAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_SYNERGIES_NEED = ("device_ids", "confidence")
HOME_ID = "home_id"
_SYNERGY_COLUMN_GROUPS: Groups = ((HOME_ID,), *((name,) for name in SYNERGY_COLUMNS))
# What ``read_id`` strips, as PostgreSQL writes it.
_WHITE_SPACE = "".join(
    f"\\u{code:04x}" for code in (*range(9, 14), 32, 133, 160, 5760, *range(8192, 8203), 8232, 8233, 8239, 8287, 12288)
)
# The id of a row's home as ``read_id`` gives it, and its hash as ``Shard.hash_of`` does, in a database in UTF-8.
_POSTGRES_KEY = f"coalesce(nullif(btrim({HOME_ID}::text, E'{_WHITE_SPACE}'), ''), '{DEFAULT_HOME_ID}')"
_POSTGRES_HASH = f"('x' || substr(md5({_POSTGRES_KEY}), 9, 8))::bit(32)::bigint"


class NoDatabaseError(NotFoundError):
    """No file is where a SQLite database was to be read."""


class BrokenRowsError(FormatError):
    """Rows lie on pages of a SQLite file that are broken or missing."""


class SqlSource(DataSource):
    """Production's tables on SQLite, PostgreSQL or any other SQLAlchemy URL.

    ``sqlite+aiosqlite://`` and ``postgresql+asyncpg://`` are read as ``sqlite://`` and ``postgresql://``. A SQLite file
    is opened read-only and never created. On PostgreSQL the schema ``automation`` is tried first, unless the URL names
    one by ``?schema=``.
    """

    deals_out = True
    typed = True

    def __init__(
        self,
        url: str,
        *,
        strict: bool = False,
        max_samples: int | None = None,
        advice: str = "DATABASE_URL or DATABASE_PATH says which; instead, --data-source homeassistant:/config reads "
        "Home Assistant, and --json-input a JSON file",
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

    def reads(self, path: Path) -> bool:
        """Whether a file, whose path is resolved, is the SQLite database or stands beside it as a part of it."""
        own = self._file
        if own is None:
            return False
        return any(same_file(path, Path(f"{own}{part}")) for part in ("", "-wal", "-shm", "-journal"))

    @property
    def _file(self) -> Path | None:
        """The file of a SQLite database, resolved; None of any other."""
        if not self._is_sqlite or not self._url.database:
            return None
        return Path(_name_of_file(self._url)).resolve()

    def without_wal(self) -> str:
        """A sentence where the file alone cannot hold what was written last, for its -wal is not there; else ""."""
        path = self._file
        if path is None:
            return ""
        try:
            wal = Path(f"{path}-wal")
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
        if self.shard.count == 1 and not self.report.read and (missing := self.without_wal()):
            raise NoRowsError(f"{self._shown}: holds no {record.kind} rows. {missing}")

    def _homes(self) -> Iterator[Home]:
        """The homes of ``synergy_opportunities``, which is one home where no column says which; else whole ones."""
        with self._connection() as connection:
            schema, table, there = self._table(connection, (SYNERGIES, *_own_tables(Home)), told=SYNERGIES)
            if table != SYNERGIES:
                yield from self._whole_homes(connection, schema, table, there)
            elif HOME_ID in there:
                yield from self._homes_by_id(connection, schema, there)
            elif self.shard.holds(DEFAULT_HOME_ID):
                builder = HomeBuilder(self.report)
                self._add_synergies(connection, schema, there, builder)
                if not builder.empty:
                    yield builder.build()

    def _homes_by_id(self, connection: Connection, schema: str | None, there: Mapping[str, Any]) -> Iterator[Home]:
        """Each home of this shard from its rows; a row that names no home is of ``DEFAULT_HOME_ID``."""
        home = _home_of(connection, there)
        self._look_at_columns(_SYNERGY_COLUMN_GROUPS, SYNERGIES, there)
        query = _synergies_query(schema, there, home.column)
        if self.shard.count > 1 and home.hash is not None:
            query = query.where(_between(home.hash, self.shard.hashes))
        if home.key is not None:  # one home at a time is held then
            query = query.order_by(home.key)
        builders: dict[str, HomeBuilder] = {}
        id_of = lru_cache(IDS_KEPT)(read_id)
        with _streamed(connection, query) as rows:
            for number, (raw_id, synergy_id, ids, metadata, kind, confidence) in enumerate(rows, start=1):
                where = partial(_place_of_synergy, synergy_id, number)
                try:
                    home_id = id_of(raw_id) or DEFAULT_HOME_ID
                except (ValueError, TypeError):
                    if home.hash is not None or self.shard.holds(where()):
                        self.report.reject("row", where(), f"{HOME_ID}: {shorten(raw_id)} - expected an id")
                    continue
                builder = builders.get(home_id)
                if builder is None:
                    if home.hash is None and not self.shard.holds(home_id):
                        continue
                    if home.key is not None:
                        yield from _built(builders)
                    builder = builders[home_id] = HomeBuilder(self.report, home_id)
                builder.add_opportunity(ids, metadata, kind, confidence, where, unit="row")
        yield from _built(builders)

    def _whole_homes(
        self, connection: Connection, schema: str | None, table: str, there: Mapping[str, Any]
    ) -> Iterator[Home]:
        """One home a row, its lists as JSON; the columns have the names of the keys of a home in JSON."""
        missing = [HOME_ID] if HOME_ID not in there else []
        missing += [] if {"entities", "synergies"} & there.keys() else ["entities"]
        self._check_columns(table, missing, there)
        self._look_at_columns(HOME_KEYS, table, there)
        home = _home_of(connection, there)
        lists = [name for name in HOME_LISTS if name in there]
        query = sa.select(home.column, *map(sa.column, lists)).select_from(sa.table(table, schema=schema))
        if self.shard.count > 1 and home.hash is not None:
            query = query.where(_between(home.hash, self.shard.hashes))
        seen: set[str] = set()
        with _streamed(connection, query, HOMES_FETCHED_AT_ONCE) as rows:
            for number, (raw_id, *values) in enumerate(rows, start=1):
                where = f"{table} row {number} (home {shorten(raw_id, 50)})"
                try:
                    home_id = read_id(raw_id) or DEFAULT_HOME_ID
                except (ValueError, TypeError):
                    home_id = None
                if home.hash is None and not self.shard.holds(home_id or where):
                    continue
                if home_id is None or home_id in seen:
                    expected = "an id" if home_id is None else "an id not used before"
                    self.report.reject("home", where, f"{HOME_ID}: {shorten(raw_id)} - expected {expected}")
                    continue
                found = read_home(self.report, dict(zip(lists, values, strict=True)), home_id, where)
                if found is not None:
                    seen.add(home_id)
                    yield found

    def _rows_of(self, record: type[R]) -> Iterator[R]:
        """The rows of table ``<kind>``, else of ``<kind>_data``, whose columns have the names of a JSON row's keys.

        Columns for objects and lists hold JSON. A null counts as a missing key.
        """
        model = cast(type[BaseModel], record)
        keys = keys_of(model)
        with self._connection() as connection:
            schema, table, there = self._table(connection, _own_tables(record))
            names = sorted(keys.keys() & there.keys())
            needed = [] if getattr(model, "wrapper", None) in names else required_keys(model)
            self._check_columns(
                table, [spellings[0] for spellings in needed if there.keys().isdisjoint(spellings)], there
            )
            # SQLite has 0 and 1 for false and true; only the column's type tells.
            self._look_at_columns(model, table, there)
            types = (sa.Boolean() if isinstance(there[name], sa.Boolean) else None for name in names)
            columns = [sa.column(name, type_) for name, type_ in zip(names, types, strict=True)]
            query = sa.select(_id_column(there), *columns).select_from(sa.table(table, schema=schema))
            rest = self.shard  # what is left to do of it here
            if self.shard.count > 1 and (hashed := _home_of(connection, there).hash) is not None:
                query, rest = query.where(_between(hashed, self.shard.hashes)), WHOLE
            with _streamed(connection, query) as result:
                for number, (row_id, *values) in enumerate(result, start=1):
                    raw = {
                        name: from_json_text(value) if keys[name] else value
                        for name, value in zip(names, values, strict=True)
                        if value is not None
                    }
                    row = self.report.validate(model, raw, "row", _place(table, number, row_id), rest)
                    if row is not None:
                        if self.report.slips is not None:
                            self.report.slips.look_at(row, raw, str, _place(table, number, row_id))
                        yield cast(R, row)

    def add_synergies(self, builder: HomeBuilder) -> int:
        """Stream ``synergy_opportunities`` into ``builder``. Returns the number of rows in the table."""
        with self._connection() as connection:
            schema, _, there = self._table(connection, (SYNERGIES,))
            return self._add_synergies(connection, schema, there, builder)

    def _add_synergies(
        self, connection: Connection, schema: str | None, there: Mapping[str, Any], builder: HomeBuilder
    ) -> int:
        self._check_columns(SYNERGIES, [name for name in _SYNERGIES_NEED if name not in there], there)
        self._look_at_columns(_SYNERGY_COLUMN_GROUPS, SYNERGIES, there)
        count = 0
        with _streamed(connection, _synergies_query(schema, there)) as rows:
            for count, (synergy_id, ids, metadata, kind, confidence) in enumerate(rows, 1):
                where = partial(_place_of_synergy, synergy_id, count)
                builder.add_opportunity(ids, metadata, kind, confidence, where, unit="row")
        return count

    def _prompts(self) -> Iterator[PromptRow]:
        """The newest requests, each with the description of its most confident suggestion, as production's query.

        Requests without any suggestion are no broken rows: they are left out and counted in a note.
        """
        names = ("original_query", "suggestions", "created_at")
        with self._connection() as connection:
            schema, _, there = self._table(connection, (QUERIES,))
            self._check_columns(QUERIES, [name for name in names if name not in there], there)
            columns: list[sa.ColumnClause[Any]] = [sa.column(name) for name in names]
            query, suggestions, created_at = columns
            statement = (
                sa.select(query, suggestions, _id_column(there))
                .select_from(sa.table(QUERIES, schema=schema))
                .where(suggestions.is_not(None))
                .order_by(created_at.is_(None), created_at.desc())  # PostgreSQL would put null first
            )
            if self._max_samples is not None:
                statement = statement.limit(self._max_samples)
            with _streamed(connection, statement) as rows:
                for number, (asked, told, row_id) in enumerate(rows, start=1):
                    where = _place(QUERIES, number, row_id)
                    decoded = from_json_text(told)
                    if decoded in (None, "", []):
                        self.report.left_out["without any suggestion", "request"] += self.shard.holds(where)
                        continue
                    listed = map(from_json_text, decoded) if isinstance(decoded, list) else ()
                    usable = [suggestion for suggestion in listed if isinstance(suggestion, dict)]
                    if not usable:
                        if self.shard.holds(where):
                            why = f"suggestions: {shorten(told)} - expected a JSON array of objects"
                            self.report.reject("row", where, why)
                        continue
                    best = max(usable, key=_confidence)
                    raw = {"query": asked, "suggestion": best.get("description")}
                    record = self.report.validate(PromptRow, raw, "row", where, self.shard)
                    if record is not None:
                        yield record

    def _look_at_columns(self, model: type[BaseModel] | Groups, table: str, there: Iterable[str]) -> None:
        if self.report.slips is not None:
            self.report.slips.look_at_keys(model, tuple(sorted(there)), str, f"table {table}", unit="column")

    def _check_columns(self, table: str, missing: Sequence[str], there: Iterable[str]) -> None:
        if missing:
            near = [own for name in missing if (own := nearest_key(name, [*there])) is not None]
            raise NotFoundError(
                f"{self._shown}: table {table} has no column {', '.join(missing)}, only: "
                f"{', '.join(map(plain, sorted(there)))}"
                + (f"; is {', '.join(map(plain, near))} misspelt?" if near else "")
            )

    def _table(
        self, connection: Connection, wanted: Sequence[str], told: str = ""
    ) -> tuple[str | None, str, dict[str, Any]]:
        """Schema, name and columns with their types of the first of the ``wanted`` tables that exists.

        Raises NoTableError where none does, which tells of all of them, or of the one that is ``told``.
        """
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
        raise NoTableError(f"{self._shown}: no table {told or ' or '.join(wanted)}; tables there: {known}. {advice}")

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


class _HomeOf(NamedTuple):
    """What says of which home a row is.

    Attributes:
        column: The id as it is, or as text where the driver would make something else of it.
        key: The id as records have it, computed by the database; None where it cannot.
        hash: ``Shard.hash_of`` of it; likewise.
    """

    column: sa.ColumnElement[Any]
    key: sa.ColumnElement[Any] | None = None
    hash: sa.ColumnElement[Any] | None = None


def _home_of(connection: Connection, there: Mapping[str, Any]) -> _HomeOf:
    """For a table with these columns and their types, of which ``HOME_ID`` need not be one."""
    column: sa.ColumnElement[Any] = sa.column(HOME_ID)
    dialect = connection.dialect.name
    type_ = there.get(HOME_ID)
    if type_ is None:
        return _HomeOf(sa.null())
    if isinstance(type_, sa.Uuid):
        column = sa.cast(column, sa.Text)
    if dialect == "sqlite":
        # As bytes, for a text that is not UTF-8 must not end the query. SQLite's columns hold any type.
        raw = sa.case((sa.func.typeof(column) == "text", sa.cast(column, sa.LargeBinary)), else_=column)
        return _HomeOf(column, sa.func.home_key(raw), sa.func.home_hash(raw))
    is_exact = dialect == "postgresql" and isinstance(type_, sa.String | sa.Integer | sa.Uuid)
    if is_exact and connection.scalar(sa.text("SHOW server_encoding")) == "UTF8":
        key: sa.ColumnElement[Any] = sa.literal_column(f'{_POSTGRES_KEY} COLLATE "C"')
        return _HomeOf(column, key, sa.literal_column(_POSTGRES_HASH))
    return _HomeOf(column)


def _key_of_home(raw: Any) -> str:
    """What decides about the shard of a row, and what rows of one home have in common, also where it is no id."""
    text = raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else raw
    try:
        return read_id(text) or DEFAULT_HOME_ID
    except (ValueError, TypeError):
        return str(text)


def _between(number: sa.ColumnElement[Any], numbers: range) -> sa.ColumnElement[bool]:
    return sa.and_(number >= _written(numbers.start), number < _written(numbers.stop))


def _written(number: int) -> sa.ColumnElement[int]:
    """A number in the statement itself, for the planner to see."""
    return sa.literal_column(str(number))


def _built(builders: dict[str, HomeBuilder]) -> Iterator[Home]:
    """The homes of ``builders``, which is empty then."""
    while builders:
        builder = builders.pop(next(iter(builders)))
        if not builder.empty:
            yield builder.build()


def _own_tables(record: type[R]) -> tuple[str, str]:
    """The tables that hold records of one kind as JSON has them."""
    return record.kind, f"{record.kind}_data"


def _synergies_query(schema: str | None, there: Collection[str], *more: sa.ColumnElement[Any]) -> sa.Select[Any]:
    """``more``, the id of a synergy and ``SYNERGY_COLUMNS``, null where the table lacks one."""
    names = ("synergy_id", *SYNERGY_COLUMNS)
    columns = (sa.column(name) if name in there else sa.null().label(name) for name in names)
    return sa.select(*more, *columns).select_from(sa.table(SYNERGIES, schema=schema))


@contextmanager
def _streamed(connection: Connection, query: sa.Select[Any], at_once: int = FETCHED_AT_ONCE) -> Iterator[Iterable[Any]]:
    """The rows of a query, of which ``at_once`` are held, on PostgreSQL behind a cursor of the server."""
    with connection.execution_options(stream_results=True, yield_per=at_once).execute(query) as result:
        yield result


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


def _name_of_file(url: URL) -> str:
    """The path in the address of a SQLite database, as it stands there."""
    name = url.database or ""
    return name.removeprefix("file:") if url.query.get("uri") in ("true", "1") else name


def _read_only_sqlite(url: URL, shown: str, advice: str, *, allow_truncated: bool = False) -> Engine:
    name = _name_of_file(url)
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
        raise NoDatabaseError(
            f"{shown_name}: no such database file (it is never created); {advice}{stray_characters(name)}"
        )
    path = path.resolve()
    key_of = lru_cache(IDS_KEPT)(_key_of_home)

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
        connection.create_function("home_key", 1, lambda raw: key_of(raw).encode("utf-8", "surrogateescape"))
        connection.create_function("home_hash", 1, lambda raw: Shard.hash_of(key_of(raw)))
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


def _place_of_synergy(synergy_id: Any, number: int) -> str:
    return f"{SYNERGIES} row {shorten(synergy_id or number, 50)}"


def _confidence(suggestion: dict[str, Any]) -> float:
    """A suggestion's confidence, lower than any other where it is no number."""
    try:
        value = float(suggestion.get("confidence", "nan"))
    except (TypeError, ValueError, OverflowError):
        return -math.inf
    return -math.inf if math.isnan(value) else value
