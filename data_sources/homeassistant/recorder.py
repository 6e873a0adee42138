"""Home Assistant's recorder: the newest state of each entity, and what its history shows.

The database is only read, in ranges that take a fraction of a second each, so that Home Assistant writes on beside it.
What its schema versions have, from Home Assistant's own migrations (``components/recorder/migration.py``):

======= ======================================================================================================
version states
======= ======================================================================================================
6 - 8   ``context_id`` and ``context_user_id`` are columns
9 - 27  the context stands in the ``events`` row that ``event_id`` names
25      ``attributes_id`` names a row of ``state_attributes``; before, ``attributes`` is a column
28      the context is in ``states`` again, with ``context_parent_id``
31      ``last_updated_ts``, seconds since 1970; before, ``last_updated`` is a time of UTC
36      ``context_id_bin``, ``context_user_id_bin``, ``context_parent_id_bin``; before, texts
38      ``metadata_id`` names a row of ``states_meta``; before, ``entity_id`` is a column
======= ======================================================================================================

A database that is being migrated holds both, row by row, and is read so.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from data_sources.base import FormatError, NotFoundError, sqlite_url
from data_sources.counting import many
from data_sources.homeassistant import DATABASE_NAME
from data_sources.homeassistant.following import (
    AUTOMATION,
    DEVICE,
    OPERATIONS_KEPT,
    PERSON,
    Following,
    Row,
    TrackedEntity,
)
from data_sources.records import Activity, ObservedPair, plain, shorten
from data_sources.sql import BrokenRowsError, SqlReader
from home_assistant.configuration import CONFIGURATION
from home_assistant.entity_id import LOOSE_PATTERN, MAX_LENGTH, normalized_entity_id

URL_VARIABLE = "HOME_ASSISTANT_RECORDER_URL"
OLDEST_TESTED, NEWEST_TESTED = 16, 53
ROWS_AT_ONCE = 20_000
STATES_AT_ONCE = 500
ATTRIBUTES_LENGTH = 1 << 20  # Home Assistant stores 16 KiB at most
CONFIG_LENGTH = 1 << 20
BROKEN_AT_MOST = 1 << 40  # row ids to try behind a broken page

_ENTITY_ID = re.compile(LOOSE_PATTERN)
_TIME_ZONE = re.compile(r"""^\s+time_zone:\s*["']?([\w+\-/]+)["']?\s*(?:#.*)?$""", re.MULTILINE)
# Options of an address in a configuration that are followed. Others could make the client read files.
_OPTIONS = frozenset("charset sslmode ssl host port unix_socket connect_timeout timeout".split())
_SERVERS = ("postgresql", "postgres", "mysql", "mariadb")


@dataclass(frozen=True)
class History:
    """What a recorder's history shows.

    Attributes:
        activity: How often and when each entity changed.
        observed: What a person did after what, beyond chance; ``following`` says how that is decided.
        days: Days that something was recorded in.
        rows: Rows that were read.
    """

    activity: tuple[Activity, ...]
    observed: tuple[ObservedPair, ...]
    days: float
    rows: int


def recorder_url(folder: Path, configured: object = None) -> str | None:
    """The address of a home's recorder database, None where there is none.

    ``HOME_ASSISTANT_RECORDER_URL`` comes first, then ``recorder: db_url:`` of the configuration, then
    ``home-assistant_v2.db`` in the folder. A SQLite file that the configuration names is read from the folder alone,
    wherever it lies there; the path in the configuration may be that of a container.

    Args:
        folder: The configuration folder.
        configured: The value of ``db_url``; what is no text, such as an unread ``!secret``, is an address not known.

    Raises:
        NotFoundError: The configuration has the address in ``secrets.yaml``, which is never opened, or names a database
            that cannot be used.
    """
    if told := os.environ.get(URL_VARIABLE, "").strip():
        return _with_driver(told)
    shown = plain(str(folder))
    if configured is not None and not isinstance(configured, str):
        raise NotFoundError(
            f"{shown}: recorder: db_url: does not stand in the file itself, and secrets are not read; set "
            f"{URL_VARIABLE} to the address of the database"
        )
    if configured and not configured.lower().startswith("sqlite:"):
        return _network_address(configured.strip(), f"{shown}: recorder: db_url:")
    # sqlite:////config/x.db has a path of four slashes, less the one that ends the (empty) host.
    named = Path(configured.partition("://")[2].partition("?")[0].removeprefix("/")) if configured else None
    candidates = [folder / named, folder / named.name] if named else [folder / DATABASE_NAME]
    for path in candidates:
        try:
            if path.is_file() and path.resolve().is_relative_to(folder.resolve()):
                return sqlite_url(str(path.resolve()))
        except (OSError, ValueError):
            continue
    last = candidates[-1]
    if named or last.is_symlink():
        raise NotFoundError(
            f"{shown}: {plain(last.name)} does not lie in the folder; set {URL_VARIABLE} to its address"
        )
    return None


def _network_address(configured: str, where: str) -> str:
    """A configured address, without the options that are not followed."""
    scheme, separator, rest = configured.partition("://")
    if not separator or scheme.partition("+")[0].lower() not in _SERVERS:
        raise NotFoundError(f"{where} is no address of SQLite, PostgreSQL or MariaDB; set {URL_VARIABLE} to one")
    user, at, place = rest.rpartition("@")
    place, _, query = place.partition("?")
    options = "&".join(option for option in query.split("&") if option.partition("=")[0] in _OPTIONS)
    return _with_driver(f"{scheme}://{user}{at}{place}{'?' if options else ''}{options}")


def _with_driver(url: str) -> str:
    """Home Assistant writes ``mysql://`` and means whatever driver it has; here it is PyMySQL."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}+pymysql{separator}{rest}" if scheme.lower() in ("mysql", "mariadb") else url


def home_time_zone(folder: Path) -> str | None:
    """The time zone of ``.storage/core.config``, else that of configuration.yaml, such as ``Europe/Berlin``."""
    with _as_none():
        told = json.loads(_read(folder / ".storage" / "core.config"))["data"]["time_zone"]
        if isinstance(told, str):
            return told
    with _as_none():
        if found := _TIME_ZONE.search(_read(folder / CONFIGURATION).decode(errors="replace")):
            return found[1]
    return None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(CONFIG_LENGTH)


@contextmanager
def _as_none() -> Iterator[None]:
    """For a file that may be missing, half written or something else."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return


@dataclass(frozen=True)
class _Layout:
    """Which of the columns that mean the same hold something in this database."""

    key: tuple[str, ...]
    time: tuple[str, ...]
    context: tuple[str, ...]
    user: tuple[str, ...]
    parent: tuple[str, ...]
    attributes: tuple[str, ...]
    events: bool  # the context stands in events

    @property
    def meta(self) -> bool:
        return "metadata_id" in self.key

    @property
    def legacy(self) -> bool:
        """Whether a row of ``select`` needs ``_row`` to be one of ``Following``."""
        return len(self.key) > 1 or self.time != ("last_updated_ts",) or len(self.context) != 1

    def select(self) -> str:
        """The rows after ``:after``, in order, ``:count`` at most."""
        source = "e" if self.events else "s"
        columns = [f"s.{name}" for name in ("state_id", *self.key, "state", *self.time)]
        columns += [f"{source}.{name}" for name in self.context]
        by = str(DEVICE)
        if self.context:
            by = "CASE"
            for names, who in ((self.parent, AUTOMATION), (self.user, PERSON)):
                by += "".join(f" WHEN {_filled(f'{source}.{name}')} THEN {who}" for name in names)
            # A row without a context does not tell who changed it.
            known = " OR ".join(_filled(f"{source}.{name}") for name in self.context)
            by += f" WHEN {known} THEN {DEVICE} ELSE {AUTOMATION} END"
        joined = " LEFT JOIN events e ON e.event_id = s.event_id" if self.events else ""
        return (
            f"SELECT {', '.join(columns)}, {by} FROM states s{joined} "  # noqa: S608 - names of our own
            "WHERE s.state_id > :after ORDER BY s.state_id LIMIT :count"
        )


def _filled(column: str) -> str:
    return f"{column} IS NOT NULL" if column.endswith("_bin") else f"{column} > ''"


class Recorder:
    """One recorder database. Errors are DataSourceError; ``notes`` has a line for each part that could not be read."""

    def __init__(self, url: str) -> None:
        self._reader = SqlReader(url, URL_VARIABLE)
        self.shown = self._reader.shown
        self.notes: list[str] = []
        self._layout: _Layout | None = None

    def newest_states(self) -> dict[str, dict[str, Any]]:
        """Entity id -> attributes of its newest state, sorted. Removed entities are left out.

        The recorder itself leaves out ``supported_features``, ``attribution``, ``restored`` and what an integration
        does not want recorded.
        """
        with self._reader.connect():
            layout = self._find_layout()
            # Rows without a number in states_meta are the older ones.
            by_name = self._newest_by_entity_id(layout) if "entity_id" in layout.key else {}
            by_number = self._newest_by_meta(layout) if layout.meta else {}
            newest = {state_id: entity_id for entity_id, state_id in (by_name | by_number).items()}
            states: dict[str, dict[str, Any]] = {}
            broken = lost = 0
            for state_id, state, *told in self._states(sorted(newest), layout):
                lost -= 1
                if not state:
                    continue
                attributes = _attributes(next((text for text in told if text), b"{}"))
                broken += attributes is None
                states[newest[state_id]] = attributes or {}
            lost += len(newest)
        if broken:
            self.notes.append(f"{self.shown}: attributes that are no JSON object: those of {many(broken, 'entity')}")
        if lost:
            self.notes.append(f"{self.shown}: newest states that lie on broken pages: those of {many(lost, 'entity')}")
        return dict(sorted(states.items()))

    def history(self, *, time_zone: str | None = None, without_pairs: Collection[str] = ()) -> History:
        """Read all rows once, in order.

        Args:
            time_zone: The home's, such as ``Europe/Berlin``; UTC with a note where it is none.
            without_pairs: Entities of which only the activity counts: hidden ones, config and diagnostic ones, and
                those that mirror others, such as groups.
        """
        following = Following(self._zone(time_zone), without_pairs)
        rows = 0
        with self._reader.connect():
            layout = self._find_layout()
            tracked = _Tracked(following, self._entity_ids() if layout.meta else {})
            for chunk in self._chunks(layout.select(), "states", ROWS_AT_ONCE):
                rows += len(chunk)
                following.add(map(_row_of(layout), chunk) if layout.legacy else chunk, tracked)
        if following.timeless:
            self.notes.append(f"{self.shown}: {many(following.timeless, 'row')} without a time")
        if tracked.unnamed:
            self.notes.append(f"{self.shown}: names of entities that are no entity ids: {tracked.unnamed}")
        if following.full:
            told = "what follows what is counted over the first of them"
            self.notes.append(f"{self.shown}: people did more than {OPERATIONS_KEPT} things; {told}")
        if not rows and (missing := self._reader.without_wal()):
            self.notes.append(f"{self.shown}: holds no states. {missing}")
        if rows and not layout.context:
            self.notes.append(f"{self.shown}: does not say who changed a state; what follows what is not known")
        observed = following.observed() if layout.context else ()
        return History(following.activity(), observed, following.days, rows)

    def _zone(self, name: str | None) -> tzinfo:
        try:
            if name:
                return ZoneInfo(name)
        except (ValueError, OSError, KeyError):
            pass
        told = "the home's time zone is not known" if not name else f"{shorten(name)} is no time zone known here"
        self.notes.append(f"{self.shown}: {told}; hours are those of UTC")
        return UTC

    # --- what the database has ---

    def _find_layout(self) -> _Layout:
        if self._layout is not None:
            return self._layout
        there = self._reader.columns("states")
        if not there:
            raise NotFoundError(
                f"{self.shown}: is no recorder database of Home Assistant: it has no table states"
                f"{'. ' + told if (told := self._reader.without_wal()) else ''}"
            )
        version = self._version()
        meta = "metadata_id" in there and bool(self._reader.columns("states_meta"))
        new_time, new_context = "last_updated_ts" in there, "context_id_bin" in there
        # Before the column: what is not filled yet stands in the older one.
        key = ("metadata_id",) * meta + ("entity_id",) * self._older(there, "entity_id", "metadata_id", meta)
        time = ("last_updated_ts",) * new_time
        time += ("last_updated",) * self._older(there, "last_updated", "last_updated_ts", new_time)
        attributes = ("a.shared_attrs",) * ("attributes_id" in there) + ("s.attributes",) * ("attributes" in there)
        missing = [] if "state" in there else ["state"]
        missing += [] if key else ["entity_id"]
        missing += [] if time else ["last_updated"]
        if missing:
            raise FormatError(
                f"{self.shown}: recorder schema {version or 'unknown'} cannot be read, its states have no column "
                f"{', '.join(missing)}; schemas {OLDEST_TESTED} to {NEWEST_TESTED} can"
            )
        suffixes = ("_bin",) * new_context + ("",) * self._older(there, "context_id", "context_id_bin", new_context)
        in_events = not suffixes or (suffixes == ("",) and "context_parent_id" not in there)
        if in_events:
            events = self._reader.columns("events")
            suffixes = ("",) if {"context_id", "context_user_id", "event_id"} <= events and "event_id" in there else ()
            there = events
        names = {
            what: tuple(f"{what}{s}" for s in suffixes if f"{what}{s}" in there)
            for what in ("context_id", "context_user_id", "context_parent_id")
        }
        self._layout = _Layout(
            key=key,
            time=time,
            context=names["context_id"],
            user=names["context_user_id"],
            parent=names["context_parent_id"],
            attributes=attributes,
            events=in_events and bool(suffixes),
        )
        return self._layout

    def _version(self) -> int | None:
        version = None
        if self._reader.columns("schema_changes"):
            statement = "SELECT schema_version FROM schema_changes ORDER BY change_id DESC LIMIT 1"
            with suppress(BrokenRowsError):
                version = next((row[0] for row in self._reader.rows(statement)), None)
        if not isinstance(version, int):
            self.notes.append(f"{self.shown}: does not say its schema; read as its columns are")
            return None
        if not OLDEST_TESTED <= version <= NEWEST_TESTED:
            self.notes.append(
                f"{self.shown}: recorder schema {version} is read as its columns are; tested are {OLDEST_TESTED} to "
                f"{NEWEST_TESTED}"
            )
        return version

    def _older(self, there: Collection[str], older: str, newer: str, has_newer: bool) -> bool:
        """Whether the column ``older`` is needed: ``newer`` is not there, or is not filled everywhere yet."""
        if older not in there:
            return False
        if not has_newer:
            return True
        try:  # an index answers
            return bool(self._reader.rows(f"SELECT 1 FROM states WHERE {newer} IS NULL LIMIT 1"))  # noqa: S608
        except BrokenRowsError:
            return True

    # --- rows ---

    def _chunks(self, statement: str, what: str, at_once: int) -> Iterator[list[Any]]:
        """The rows of a statement with ``:after`` and ``:count``, ordered by its first column, past broken pages."""
        after, count, lost = 0, at_once, 0
        while True:
            try:
                rows = self._reader.rows(statement, after=after, count=count)
            except BrokenRowsError:
                if count > 1:
                    count //= 2
                    continue
                readable = self._readable_after(statement, after)
                if readable is None:
                    self.notes.append(f"{self.shown}: {what} from id {after + 1} on lie on broken or missing pages")
                    break
                lost += readable - after
                after = readable
                continue
            if not rows:
                break
            yield rows
            after = rows[-1][0]
            count = min(at_once, count * 2)
        if lost:
            self.notes.append(f"{self.shown}: up to {lost} {what} lie on broken pages; the others were read")

    def _readable_after(self, statement: str, after: int) -> int | None:
        """The smallest id that reading can go on behind, where the row after ``after`` is broken; None at the end."""

        def reads_on(behind: int) -> bool:
            try:
                self._reader.rows(statement, after=behind, count=1)
            except BrokenRowsError:
                return False
            return True

        step = 1
        while not reads_on(after + step):
            step *= 2
            if step > BROKEN_AT_MOST:
                return None
        broken, readable = after + step // 2, after + step
        while readable - broken > 1:
            middle = (broken + readable) // 2
            broken, readable = (broken, middle) if reads_on(middle) else (middle, readable)
        return readable

    def _entity_ids(self) -> dict[Any, Any]:
        statement = (
            "SELECT metadata_id, entity_id FROM states_meta WHERE metadata_id > :after "
            "ORDER BY metadata_id LIMIT :count"
        )
        return {
            key: name for chunk in self._chunks(statement, "names of entities", ROWS_AT_ONCE) for key, name in chunk
        }

    def _newest_by_meta(self, layout: _Layout) -> dict[str, int]:
        """Entity id -> its newest row. An index leads there, whatever the number of rows."""
        time = layout.time[0]
        statement = (
            "SELECT m.metadata_id, m.entity_id, (SELECT s.state_id FROM states s WHERE s.metadata_id = m.metadata_id "  # noqa: S608
            f"AND s.{time} IS NOT NULL ORDER BY s.{time} DESC LIMIT 1) FROM states_meta m "
            "WHERE m.metadata_id > :after ORDER BY m.metadata_id LIMIT :count"
        )
        return {
            entity_id: state_id
            for chunk in self._chunks(statement, "entities", STATES_AT_ONCE)
            for _, name, state_id in chunk
            if state_id is not None and (entity_id := _entity_id(name))
        }

    def _newest_by_entity_id(self, layout: _Layout) -> dict[str, int]:
        """Entity id -> its newest row, where the rows hold the id: one name after the other, along the index."""
        time = layout.time[-1]
        found: dict[str, int] = {}
        after: Any = ""
        try:
            while True:
                ((after,),) = self._reader.rows(
                    "SELECT MIN(entity_id) FROM states WHERE entity_id > :after", after=after
                )
                if after is None:
                    break
                after = _text(after)
                newest = self._reader.rows(
                    f"SELECT state_id FROM states WHERE entity_id = :name ORDER BY {time} DESC LIMIT 1",  # noqa: S608
                    name=after,
                )
                if newest and (entity_id := _entity_id(after)):
                    found[entity_id] = newest[0][0]
        except BrokenRowsError:
            self.notes.append(f"{self.shown}: entities after {shorten(after)} lie on broken pages")
        return found

    def _states(self, ids: list[int], layout: _Layout) -> Iterator[tuple[Any, ...]]:
        """Row id, state and texts of attributes of the rows with these ids, as far as they can be read."""
        joined = " LEFT JOIN state_attributes a ON a.attributes_id = s.attributes_id"
        joined = joined if "a.shared_attrs" in layout.attributes else ""
        columns = ", ".join(("s.state_id", "s.state", *layout.attributes))
        for start in range(0, len(ids), STATES_AT_ONCE):
            batch = ids[start : start + STATES_AT_ONCE]
            listed = ", ".join(str(int(i)) for i in batch)
            try:
                yield from self._reader.rows(f"SELECT {columns} FROM states s{joined} WHERE s.state_id IN ({listed})")  # noqa: S608
            except BrokenRowsError:
                if len(batch) > 1:
                    for one in batch:
                        yield from self._states([one], layout)


class _Tracked(dict[Any, TrackedEntity | None]):
    """The entity of a row's key: of a number in ``states_meta``, or of an entity id."""

    def __init__(self, following: Following, names: Mapping[Any, Any]) -> None:
        super().__init__()
        self._following, self._names = following, names
        self.unnamed = 0

    def __missing__(self, key: Any) -> TrackedEntity | None:
        entity_id = _entity_id(self._names.get(key) if isinstance(key, int) else key)
        self.unnamed += entity_id is None
        found = self[key] = None if entity_id is None else self._following.entity(entity_id)
        return found


def _row_of(layout: _Layout) -> Callable[[tuple[Any, ...]], Row]:
    """What makes a row of ``Following`` of one of ``layout.select``: of columns that mean the same, the filled one."""
    state_at = 1 + len(layout.key)
    context_at = state_at + 1 + len(layout.time)

    def read(row: tuple[Any, ...]) -> Row:
        key = next((value for value in row[1:state_at] if value is not None), None)
        when = next((value for value in row[state_at + 1 : context_at] if value is not None), None)
        context = next((value for value in row[context_at:-1] if value is not None), None)
        return row[0], key, row[state_at], _seconds(when), context, row[-1]

    return read


def _seconds(when: Any) -> Any:
    """Seconds since 1970 of a time of UTC; what is neither a time nor a number as it is."""
    if isinstance(when, bytes | str):
        try:
            when = datetime.fromisoformat(_text(when))
        except ValueError:
            return None
    if isinstance(when, datetime):
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    return when


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def _entity_id(name: Any) -> str | None:
    if not isinstance(name, bytes | str):
        return None
    name = normalized_entity_id(_text(name))
    return name if len(name) <= MAX_LENGTH and _ENTITY_ID.match(name) else None


def _attributes(told: Any) -> dict[str, Any] | None:
    try:
        attributes = json.loads(told) if len(told) <= ATTRIBUTES_LENGTH else None
    except (ValueError, TypeError, RecursionError):
        return None
    return attributes if isinstance(attributes, dict) else None
