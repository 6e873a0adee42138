"""Training data in JSON: an array, an object or one row a line, plain or gzipped, from a file or standard input."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

from data_sources.base import DataSource, FormatError, NoFileError, NotFoundError
from data_sources.homes import DEFAULT_HOME_ID, HomeBuilder
from data_sources.json_stream import CHUNK, EMPTY, JsonError, JsonReader
from data_sources.records import Home, R, shorten

STDIN = "-"
ENDINGS = (".json", ".jsonl", ".json.gz", ".jsonl.gz")
_LINES_ENDINGS = (".jsonl", ".ndjson")


class JsonSource(DataSource):
    """A file, a folder of ``<model>_data.json`` files, or ``-`` for standard input.

    Arrays and lines are streamed: memory does not grow with the file.
    """

    def __init__(self, path: str | os.PathLike[str], *, strict: bool = False, hint: str = "") -> None:
        super().__init__(strict=strict)
        self._path = os.fspath(path)
        self._hint = hint or "give --json-input a file, a folder that holds it, or - for standard input"

    def describe(self) -> dict[str, str]:
        """Type and path."""
        return {"type": "json", "location": "standard input" if self._path == STDIN else self._path}

    def location(self, kind: str) -> str:
        """The file that holds records of ``kind``."""
        return "standard input" if self._path == STDIN else str(self._file(kind))

    def _file(self, kind: str) -> Path:
        path = Path(self._path)
        try:
            if path.is_dir():
                for ending in ENDINGS:
                    if (path / f"{kind}_data{ending}").is_file():
                        return path / f"{kind}_data{ending}"
                raise NoFileError(f"{path}: no {kind}_data.json in this folder; {self._hint}")
            if not path.exists():
                shown = path if str(path).isprintable() else ascii(str(path))
                raise NotFoundError(f"{shown}: no such file or folder; {self._hint}")
        except (OSError, ValueError) as error:
            raise NotFoundError(f"{shorten(self._path)}: cannot be opened ({error}); {self._hint}") from error
        return path

    def _read(self, record: type[R]) -> Iterator[R]:
        if record is Home:
            yield from self._homes()
            return
        for where, raw in self._items(record.kind):
            row = self.report.validate(record, raw, "row", where)  # type: ignore[type-var]
            if row is not None:
                yield row

    def _homes(self) -> Iterator[Home]:
        """Whole homes in the order of the file, then those that flat rows with one ``home_id`` make up."""
        flat: dict[str, HomeBuilder] = {}
        seen: set[str] = set()
        for index, (where, raw) in enumerate(self._items(Home.kind)):
            if isinstance(raw, dict) and ("entities" in raw or "synergies" in raw):
                home_id = raw.get("home_id")
                if not isinstance(home_id, str | int | None):
                    self.report.reject("home", where, f"home_id: {shorten(home_id)} - expected an id")
                    continue
                name = str(home_id) if home_id not in (None, "") else _default_id(index)
                if name in seen:
                    self.report.reject("home", where, f"home_id: {shorten(name)} - expected an id not used before")
                    continue
                home = self._home(raw, name, where)
                if home is not None:
                    seen.add(name)
                    yield home
                continue
            home_id = raw.get("home_id") if isinstance(raw, dict) else None
            name = str(home_id) if isinstance(home_id, str | int) and home_id != "" else DEFAULT_HOME_ID
            if name not in flat:
                flat[name] = HomeBuilder(self.report, name)
            flat[name].add_row(raw, where, unit="row")
        for name, builder in flat.items():
            if name in seen:
                raise FormatError(
                    f"{self.report.where}: flat rows and a whole home both use home_id {shorten(name)}; "
                    "put the rows in the home's synergies"
                )
            if not builder.empty:
                yield builder.build()

    def _home(self, raw: dict[str, Any], home_id: str, where: str) -> Home | None:
        lists: dict[str, list[Any]] = {}
        for key in ("areas", "devices", "entities", "synergies"):
            value = raw.get(key)
            if not isinstance(value, list | None):
                self.report.reject("home", where, f"{key}: {shorten(value)} - expected a list")
                return None
            lists[key] = value or []
        self.report.read["home"] += 1
        builder = HomeBuilder(self.report, home_id, where)
        builder.add_places(lists["areas"], lists["devices"])
        for index, entity in enumerate(lists["entities"]):
            builder.add_entity(entity, f"entities[{index}]")
        for index, row in enumerate(lists["synergies"]):
            builder.add_row(row, f"synergies[{index}]")
        return builder.build()

    def _items(self, kind: str) -> Iterator[tuple[str, Any]]:
        """Each top-level item with its place: ``row 3`` (from 0) in an array, ``line 4`` (from 1) in lines."""
        with self._open(kind) as (stream, name):
            head = stream.read(CHUNK)
            if name.endswith(_LINES_ENDINGS) or (not name.endswith(".json") and head.lstrip().startswith("{")):
                head += stream.readline()  # to the end of a line
                head += stream.readline()  # another line, if there is one
                if name.endswith(_LINES_ENDINGS) or _is_lines(head):
                    yield from self._lines(chain(io.StringIO(head), stream))
                    return
            yield from self._document(JsonReader(stream, head))

    @contextmanager
    def _open(self, kind: str) -> Iterator[tuple[io.TextIOWrapper, str]]:
        """The decoded text, unzipped where needed, and the file's name without .gz ("" for standard input)."""
        where = self.report.where
        name = "" if self._path == STDIN else str(self._file(kind))
        try:
            with nullcontext(sys.stdin.buffer) if not name else open(name, "rb") as raw:
                binary: Any = raw
                if binary.peek(2)[:2] == b"\x1f\x8b":
                    binary = io.BufferedReader(gzip.GzipFile(fileobj=binary), CHUNK)
                if binary.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                    raise FormatError(f"{where}: is UTF-16 text; save it as UTF-8")
                yield io.TextIOWrapper(binary, encoding="utf-8-sig"), name.lower().removesuffix(".gz")
        except UnicodeDecodeError as error:
            bad = error.object[error.start]
            raise FormatError(f"{where}: is not UTF-8 text (byte 0x{bad:02x}); expected a JSON file") from error
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise FormatError(f"{where}: is not a whole gzip file ({error}); copy it again") from error
        except OSError as error:
            raise NotFoundError(f"{where}: cannot be read ({error.strerror or error}); {self._hint}") from error

    def _lines(self, lines: Iterable[str]) -> Iterator[tuple[str, Any]]:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                item = json.loads(line)
            except (ValueError, RecursionError) as error:
                column = f" column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
                if not line.endswith("\n") and isinstance(error, json.JSONDecodeError):
                    raise FormatError(
                        f"{self.report.where}: line {number}{column}: the file is cut off here ({_reason(error)}); "
                        "copy it again"
                    ) from error
                self.report.reject("row", f"line {number}{column}", f"not JSON ({_reason(error)})")
                continue
            yield f"line {number}", item

    def _document(self, reader: JsonReader) -> Iterator[tuple[str, Any]]:
        try:
            if reader.peek() == "[":
                for index, item in enumerate(reader.items()):
                    yield f"row {index}", item
                return
            value = reader.whole()
        except (json.JSONDecodeError, JsonError) as error:
            line, column = reader.position(error.pos)
            cut = ": the file is cut off here" if reader.at_end(error.pos) else ""
            raise FormatError(
                f"{self.report.where}: line {line} column {column}{cut}: not JSON ({error.msg})"
            ) from error
        except UnicodeDecodeError:
            raise  # _open explains it
        except (ValueError, RecursionError) as error:
            raise FormatError(f"{self.report.where}: not usable JSON ({_reason(error)})") from error
        if value is EMPTY:
            raise FormatError(f"{self.report.where}: is empty; expected a JSON array or object")
        if not isinstance(value, dict):
            raise FormatError(
                f"{self.report.where}: holds {_kind_of(value)} at the top; expected an array of rows or an object"
            )
        yield "row 0", value


def _is_lines(head: str) -> bool:
    """Whether the first line is a whole object and more follows: standard input has no file ending to go by."""
    first, _, rest = head.lstrip().partition("\n")
    try:
        return isinstance(json.loads(first), dict) and bool(rest.strip())
    except (ValueError, RecursionError):
        return False


def _default_id(index: int) -> str:
    return DEFAULT_HOME_ID if index == 0 else f"{DEFAULT_HOME_ID}-{index}"


def _kind_of(value: Any) -> str:
    return {str: "a text", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "nested too deep"
    return error.msg if isinstance(error, json.JSONDecodeError) else str(error)
