"""Training data in JSON: an array, an object or one row a line, plain or gzipped, from a file or standard input."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel

from data_sources.base import DataSource, FormatError, NoFileError, NotFoundError, cannot_be_opened
from data_sources.foreign_files import HEAD, kind_of_bytes, kind_of_text, what_is_there
from data_sources.homes import CONFIDENCE_KEYS, HomeBuilder, read_home
from data_sources.json_shapes import ShapeError, rows_within
from data_sources.json_stream import CHUNK, EMPTY, Broken, JsonError, JsonReader, TooLargeError
from data_sources.masking import without_secrets
from data_sources.paths import is_folder, same_file
from data_sources.records import (
    DEFAULT_HOME_ID,
    KINDS,
    Home,
    R,
    Synergy,
    from_json_text,
    keys_of,
    plain,
    read_id,
    shorten,
    shorten_text,
)
from data_sources.repeated_lines import RepeatedLines
from data_sources.slips import HOME_KEYS, strange_keys
from home_assistant.answers import ENTITIES, STATES, called, kind_of

STDIN = "-"
ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_LINES_ENDINGS = (".jsonl", ".ndjson")
HINT = "give --json-input a file, a folder that holds it, or - for standard input"
_PAIR_KEYS = frozenset(keys_of(Synergy))


def holds_training_data(folder: Path) -> bool:
    """Whether a folder has a file that is named after a kind of records. Raises OSError where that cannot be known."""
    return any((folder / f"{kind}_data{ending}").is_file() for kind in KINDS for ending in ENDINGS)


class JsonSource(DataSource):
    """A file, a folder of ``<model>_data.json`` files, or ``-`` for standard input.

    Arrays and lines are streamed: memory does not grow with the file.
    """

    deals_out = True
    typed = True

    def __init__(self, path: str | os.PathLike[str], *, strict: bool = False, hint: str = "") -> None:
        super().__init__(strict=strict)
        self._path = os.fspath(path)
        self._was_read = False
        self._hint = hint or HINT

    def describe(self) -> dict[str, str]:
        """Type and path."""
        return {"type": "json", "location": "standard input" if self._path == STDIN else without_secrets(self._path)}

    def location(self, kind: str) -> str:
        """The file that holds records of ``kind``."""
        return "standard input" if self._path == STDIN else without_secrets(str(self._file(kind)))

    def reads(self, path: Path) -> bool:
        """Whether a file, whose path is resolved, is the source's, of whichever kind of records."""
        own = Path(self._path)
        if self._path == STDIN or not is_folder(own):
            return self._path != STDIN and same_file(path, own.resolve())
        return any(same_file(path, (own / f"{kind}_data{ending}").resolve()) for kind in KINDS for ending in ENDINGS)

    def _file(self, kind: str) -> Path:
        path, shown = Path(self._path), without_secrets(self._path)
        try:
            if path.is_dir():
                present = {entry.name for entry in path.iterdir()}
                for ending in ENDINGS:
                    if f"{kind}_data{ending}" in present:  # a link that leads nowhere is a fault, no missing file
                        return path / f"{kind}_data{ending}"
                names = tuple(f"{kind}_data{ending}" for ending in ENDINGS)
                there = what_is_there(path, (*ENDINGS, *_LINES_ENDINGS), names)
                raise NoFileError(f"{shown}: no {kind}_data.json in this folder; {there}")
            if not path.exists():
                raise NotFoundError(f"{shown}: no such file or folder; {self._hint}")
        except (OSError, ValueError) as error:
            raise cannot_be_opened(shown, error, self._hint) from error
        return path

    def records(self, record: type[R]) -> Iterator[R]:
        """Yield the records of one kind; see ``DataSource.records``."""
        if record is Home:
            yield from self._homes()
            return
        for where, raw in self._items(record):
            row = self.report.validate(record, raw, "row", where, self.shard)  # type: ignore[type-var]
            if row is not None:
                if self.report.slips is not None:
                    self.report.slips.look_at(cast(BaseModel, row), raw, str, where)
                yield row

    def add_entities(self, builder: HomeBuilder) -> None:
        """Add the entities of a file that lists them, at the top or under ``entities``, as the Data API gives them."""
        for where, raw in self._items(Home):
            listed = raw.get("entities") if isinstance(raw, dict) else None
            if not isinstance(listed, list):
                builder.add_entity(raw, where)
                continue
            for number, entity in enumerate(listed, start=1):
                builder.add_entity(entity, f"{where}, entity {number}")

    def _homes(self) -> Iterator[Home]:
        """Whole homes in the order of the file, then those that flat rows with one ``home_id`` make up."""
        flat: dict[str | None, HomeBuilder | None] = {}  # None: another shard has the home
        seen: set[str] = set()
        repeated = RepeatedLines(CONFIDENCE_KEYS)
        for index, (where, raw) in enumerate(self._items(Home, repeated)):
            is_object = isinstance(raw, dict)
            is_home = is_object and ("entities" in raw or "synergies" in raw)
            home_id = raw.get("home_id") if is_object else None
            if home_id is not None and (not isinstance(home_id, str) or home_id not in flat):
                try:
                    home_id = read_id(home_id)
                except ValueError:
                    if self.shard.holds(where):
                        unit = "home" if is_home else "row"
                        self.report.reject(unit, where, f"home_id: {shorten(home_id)} - expected an id")
                    continue
            if not is_home:
                try:
                    builder = flat[home_id]
                except KeyError:
                    name = home_id or DEFAULT_HOME_ID
                    builder = flat[home_id] = HomeBuilder(self.report, name) if self.shard.holds(name) else None
                if builder is None:
                    repeated.learn(raw, _pass_over)
                    continue
                if is_object and "entity_id" in raw and _PAIR_KEYS.isdisjoint(raw):
                    builder.add_entity(raw, where)  # a list of Home Assistant's states
                # Nearly every row has entity_1, and the set is asked in three times the time.
                elif is_object and "entity_1" not in raw and _PAIR_KEYS.isdisjoint(raw):
                    self.report.reject("row", where, _neither(raw))
                else:
                    builder.add_row(raw, where, unit="row")
                    if repeated.unknown is not None and (again := builder.repeater(raw, unit="row")) is not None:
                        repeated.learn(raw, again)
                continue
            name = home_id or _default_id(index + repeated.taken)
            if not self.shard.holds(name):
                seen.add(name)
                continue
            if name in seen:
                self.report.reject("home", where, f"home_id: {shorten(name)} - expected an id not used before")
                continue
            home = read_home(self.report, raw, name, where)
            if home is not None:
                seen.add(name)
                yield home
        for home_id, builder in flat.items():
            if builder is None or builder.empty:
                continue
            name = home_id or DEFAULT_HOME_ID
            if name in seen:
                raise FormatError(
                    f"{self.report.where}: flat rows and a whole home both use home_id {shorten(name)}; "
                    "put the rows in the home's synergies"
                )
            if home_id is None and name in flat:  # another home is called so
                name = next(free for free in map(_default_id, count(1)) if free not in flat and free not in seen)
            builder.look_at_references()
            yield replace(builder.build(), home_id=name)

    def _items(self, record: type[R], repeated: RepeatedLines | None = None) -> Iterator[tuple[str, Any]]:
        """Each top-level item with its place, counted from 1: ``row 3`` in an array, ``line 4`` in lines.

        Rows that lie a level down, or column by column, are taken out of the first item. Lines that ``repeated`` takes
        are left out.
        """
        with self._open(record.kind) as (stream, name):
            reader = JsonReader(stream)
            try:
                first = reader.peek()
                is_lines = name.endswith(_LINES_ENDINGS) or (first == "{" and not name.endswith(".json"))
                items = self._lines(reader, repeated) if is_lines and first != "[" else self._document(reader)
                for where, item in items:
                    self._refuse_home_assistant(item)
                    within = rows_within(item, record)
                    yield from within if within is not None else ((where, from_json_text(item)),)
                    break
                for placed in items:
                    # Most items are objects; each call would cost a tenth of what decoding one takes.
                    yield placed if type(placed[1]) is dict else (placed[0], from_json_text(placed[1]))
            except (json.JSONDecodeError, JsonError) as error:
                line, column = reader.position(error.pos)
                place = f"{self.report.where}: line {line} column {column}"
                if isinstance(error, TooLargeError):
                    raise FormatError(f"{place}: {error.msg}") from error
                if (line, column) == (1, 1) and (told := kind_of_text(reader.first_line())):
                    raise FormatError(f"{place}: not JSON ({error.msg}){told}") from error
                cut = ": the file is cut off here" if reader.at_end(error.pos) else ""
                raise FormatError(f"{place}{cut}: not JSON ({error.msg})") from error
            except ShapeError as error:
                raise FormatError(f"{self.report.where}: {error}") from error
            except UnicodeDecodeError:
                raise  # _open explains it
            except (ValueError, RecursionError) as error:
                told = "nested too deep" if isinstance(error, RecursionError) else str(error)
                raise FormatError(f"{self.report.where}: not usable JSON ({told})") from error

    def _refuse_home_assistant(self, first: Any) -> None:
        """Say what Home Assistant's answer is that has no row of any kind; its states and entities are read as rows."""
        kind = kind_of([first]) or kind_of(first)
        if kind is not None and kind not in (STATES, ENTITIES):
            raise FormatError(
                f"{self.report.where}: holds {called(kind)} of Home Assistant; save it as a file and give the folder "
                "of all, or the configuration folder, as --data-source homeassistant:PATH"
            )

    @contextmanager
    def _open(self, kind: str) -> Iterator[tuple[io.TextIOWrapper, str]]:
        """The decoded text, unzipped where needed, and the file's name without .gz ("" for standard input)."""
        where = self.report.where
        name = "" if self._path == STDIN else str(self._file(kind))
        if not name or not Path(name).is_file():  # a pipe would be waited for a second time
            if self._was_read:
                raise NotFoundError(
                    f"{where}: can be read only once, and was read already; save it to a file and give that"
                )
            self._was_read = True
        if not name and sys.stdin is None:
            raise NotFoundError(f"{where}: is closed; {self._hint}")
        try:
            with nullcontext(sys.stdin.buffer) if not name else open(name, "rb") as raw:
                binary: Any = raw
                if binary.peek(2)[:2] == b"\x1f\x8b":
                    binary = io.BufferedReader(gzip.GzipFile(fileobj=binary), CHUNK)
                if (what := kind_of_bytes(_head(binary), name or "FILE")) is not None:
                    raise FormatError(f"{where}: {what}")
                if binary.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                    raise FormatError(f"{where}: is UTF-16 or UTF-32 text; save it as UTF-8")
                yield io.TextIOWrapper(binary, encoding="utf-8-sig"), name.lower().removesuffix(".gz")
        except UnicodeDecodeError as error:
            bad = error.object[error.start]
            raise FormatError(f"{where}: is not UTF-8 text (byte 0x{bad:02x}); expected a JSON file") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(f"{where}: is not a whole gzip file ({error}); copy it again") from error
        except OSError as error:
            raise NotFoundError(f"{where}: cannot be read ({error.strerror or error}); {self._hint}") from error

    def _lines(self, reader: JsonReader, repeated: RepeatedLines | None) -> Iterator[tuple[str, Any]]:
        for line, item in reader.values(repeated):
            if not isinstance(item, Broken):
                yield f"line {line}", item
                continue
            if item.cut:
                raise FormatError(
                    f"{self.report.where}: {item.where}: the file is cut off here ({item.why}); copy it again"
                )
            if self.shard.holds(item.where):
                self.report.reject("row", item.where, f"not JSON ({item.why})")

    def _document(self, reader: JsonReader) -> Iterator[tuple[str, Any]]:
        if reader.peek() == "[":
            for number, item in enumerate(reader.items(), start=1):
                yield f"row {number}", item
            return
        value = reader.whole()
        if value is EMPTY:
            raise FormatError(f"{self.report.where}: is empty; expected a JSON array or object")
        if not isinstance(value, dict):
            raise FormatError(
                f"{self.report.where}: holds {_kind_of(value)} at the top; expected an array of rows or an object"
            )
        yield "row 1", value


def _head(binary: Any) -> bytes:
    """The first bytes, which stay to be read. A pipe may give fewer at first, and is asked only for what is there."""
    head: bytes = binary.peek(HEAD)
    return head[:HEAD]


def _pass_over(confidence: float) -> None:
    """Another shard counts the row."""


def _neither(raw: dict[str, Any]) -> str:
    has = shorten_text(", ".join(map(str, raw))) if raw else "no keys"
    near = [f'"{plain(key)}" may stand for {meant}' for key, meant in strange_keys(HOME_KEYS, tuple(raw))]
    told = f"; {', '.join(near)}" if near else ""
    return (
        "is neither a home, with entities and synergies, nor a synergy, with entity_1, entity_2 and confidence; "
        f"it has {has}{told}"
    )


def _default_id(index: int) -> str:
    return DEFAULT_HOME_ID if index == 0 else f"{DEFAULT_HOME_ID}-{index}"


def _kind_of(value: Any) -> str:
    return {str: "a text", bool: "a boolean", type(None): "null"}.get(type(value), "a number")
