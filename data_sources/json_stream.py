"""Decode one JSON document piece by piece: memory does not grow with its size, and errors have a line and a column."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from data_sources.repeated_lines import RepeatedLines

CHUNK = 1 << 16
LARGEST = 64 * 2**20  # characters of one item: it is held in memory several times over
STREAMED = object()  # comes before the items of the array that ``JsonReader.members`` streams
EMPTY = object()  # ``JsonReader.whole`` returns it for a document with nothing in it


class TextStream(Protocol):
    """Any text file."""

    def read(self, size: int, /) -> str:
        """At most ``size`` characters; "" at the end."""


class JsonError(Exception):
    """The document is not what was expected at ``pos``; for ``JsonReader.position``."""

    def __init__(self, msg: str, pos: int) -> None:
        super().__init__(msg)
        self.msg, self.pos = msg, pos


class TooLargeError(JsonError):
    """One item is larger than ``LARGEST``."""


@dataclass(frozen=True)
class Broken:
    """A value that cannot be read: where it begins, where it breaks and why."""

    where: str
    why: str
    cut: bool = False  # the document ends in it


# A byte-order mark stands wherever a file that began with one was joined to another.
_BLANK = " \t\r\n\ufeff"
_BLANKS = re.compile(f"[{_BLANK}]*")
_COMMA = re.compile(rf"[{_BLANK}]*,[{_BLANK}]*")
_NEW_LINE = re.compile(r"[ \t\r]*\n")
_BEGUN = re.compile(r"[\w.+\-\\]*")  # a number, true, an escape: whatever may be the first half of something


class JsonReader:
    """One JSON document, an array item by item, from a buffer that holds little more than the item at hand."""

    def __init__(self, stream: TextStream, head: str = "") -> None:
        self._stream = stream
        self._decoder: Any = json.JSONDecoder()
        self._buffer = head
        self._at = 0
        self._begins = 0  # the value that ``_at_hand`` yielded last
        self._eof = False
        self._line, self._column = 1, 1  # of the buffer's first character
        self._counted = (0, 1)  # a place in the buffer and its line, so that no line is counted twice

    def position(self, pos: int) -> tuple[int, int]:
        """Line and column, from 1, of the buffer's character ``pos``."""
        lines = self._buffer.count("\n", 0, pos)
        return self._line + lines, pos - self._buffer.rfind("\n", 0, pos) if lines else self._column + pos

    def first_line(self) -> str:
        """The first line of what is held, which is that of the document where nothing was read yet."""
        return self._buffer.lstrip(_BLANK).partition("\n")[0]

    def at_end(self, pos: int) -> bool:
        """Whether the document ends at ``pos``, or in the text that begins there: the file was cut off."""
        if not self._eof:
            return False
        rest = self._buffer[pos:].strip()
        return not rest or (rest[0] == '"' and '"' not in rest[1:]) or _BEGUN.fullmatch(rest) is not None

    def peek(self) -> str:
        """The next character that is not white space, or "" at the end."""
        while True:
            found = self._buffer[self._at : self._at + 1]
            if found and found not in _BLANK:
                return found
            self._at = _BLANKS.match(self._buffer, self._at).end()  # type: ignore[union-attr]  # it matches anything
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            self._drop(self._at)  # however many blanks there are, they are never held
            if not self._more():
                return ""

    def items(self) -> Iterator[Any]:
        """Each item of an array in turn. Raises JSONDecodeError or JsonError, whose ``pos`` is for ``position``."""
        yield from self._array()
        if self.peek():
            raise JsonError("expected nothing after the array; one row a line belongs in a .jsonl file", self._at)

    def members(self, streamed: str) -> Iterator[tuple[str, Any]]:
        """Each (key, value) of an object; of an array under the key ``streamed``, ``STREAMED`` and then each item."""
        self._take("{")
        while self.peek() != "}":
            key = self._value()
            self._take(":")
            if key == streamed and self.peek() == "[":
                yield key, STREAMED
                for item in self._array():
                    yield key, item
            else:
                yield key, self._value()
            if self.peek() != "}":
                self._take(",")
        self._take("}")
        if self.peek():
            raise JsonError("expected nothing after the object", self._at)

    def whole(self) -> Any:
        """The single value that is not an array; ``EMPTY`` where there is none."""
        if not self.peek():
            return EMPTY
        value = self._value()
        if self.peek():
            raise JsonError("expected nothing after the value; one row a line belongs in a .jsonl file", self._at)
        return value

    def values(self, repeated: RepeatedLines | None = None) -> Iterator[tuple[int, Any]]:
        """Each (line, value) of values one after the other: one a line, over several lines, or several on one line.

        ``Broken`` comes in place of what is no JSON; the values of the lines after it follow. Lines that ``repeated``
        takes are left out.
        """
        while first := self.peek():
            if first == ",":  # lines cut out of an array
                self._at += 1
                continue
            line = self._line_of(self._at)
            try:
                value = self._decoded()
            except (ValueError, RecursionError) as error:  # a JSONDecodeError is a ValueError, a TooLargeError is not
                yield line, self._broken(error)
                self._skip()
            else:
                yield line, value
                yield from self._lines_at_hand(self._line_of(self._at), repeated)

    def _lines_at_hand(self, line: int, repeated: RepeatedLines | None) -> Iterator[tuple[int, Any]]:
        """The values of the lines after ``line``, as ``_at_hand``."""
        buffer, at = self._buffer, self._at
        for value in self._at_hand(_NEW_LINE, repeated):
            line += buffer.count("\n", at, self._begins)
            at = self._begins
            yield line, value

    def _at_hand(self, between: re.Pattern[str], repeated: RepeatedLines | None = None) -> Iterator[Any]:
        """The next values as far as they are whole in the buffer, which most are, each after what is ``between``."""
        buffer, at, size, scan = self._buffer, self._at, len(self._buffer), self._decoder.scan_once
        while (found := between.match(buffer, at)) is not None:
            start = found.end()
            if repeated is not None and (end := repeated.take(buffer, start)):
                self._at = at = end
                continue
            try:
                value, at = scan(buffer, start)
            except (StopIteration, ValueError, RecursionError):
                return
            if at == size or at - start > LARGEST:  # a number at the end may go on in the next chunk
                return
            self._begins, self._at = start, at
            yield value

    def _broken(self, error: Exception) -> Broken:
        start = self._at
        begins = self._line_of(start)
        if not isinstance(error, json.JSONDecodeError):
            return Broken(f"line {begins}", "nested too deep" if isinstance(error, RecursionError) else str(error))
        line, column = self.position(error.pos)
        cut = self.at_end(error.pos)
        if cut:
            # A line that breaks off among others is one broken line; they are read without it.
            first, _, others = self._buffer[start:].partition("\n")
            cut = not others.strip() or _opens(first)
        if line == begins or cut:
            return Broken(f"line {line} column {column}", error.msg, cut)
        return Broken(f"line {begins}", f"{error.msg}, at line {line} column {column}")

    def _skip(self) -> None:
        """Behind the line at hand; behind the whole object where it is spread over lines."""
        first = self._take_line()
        if not _opens(first):
            return
        while (character := self._next()) and character not in "{[":
            self._take_line()

    def _next(self) -> str:
        """The next character, or "" at the end."""
        return self._buffer[self._at] if self._at < len(self._buffer) or self._more() else ""

    def _take_line(self) -> str:
        """The rest of the line, of a long one its last part."""
        while (end := self._buffer.find("\n", self._at)) < 0:
            self._drop(max(self._at, len(self._buffer) - CHUNK))
            if not self._more():
                end = len(self._buffer) - 1
                break
        line = self._buffer[self._at : end + 1]
        self._at = end + 1
        return line

    def _line_of(self, at: int) -> int:
        place, line = self._counted
        if at < place:
            place, line = 0, self._line
        line += self._buffer.count("\n", place, at)
        self._counted = at, line
        return line

    def _array(self) -> Iterator[Any]:
        self._take("[")
        if self.peek() != "]":
            yield self._value()
        while self.peek() != "]":
            self._take(",")
            yield self._value()
            yield from self._at_hand(_COMMA)
        self._take("]")

    def _take(self, expected: str) -> None:
        found = self.peek()
        if found != expected:
            raise JsonError(f"expected {expected!r}" + (f", found {found!a}" if found else ""), self._at)
        self._at += 1

    def _value(self) -> Any:
        self.peek()
        return self._decoded()

    def _decoded(self) -> Any:
        """The value that begins here."""
        self._drop_consumed()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                # Near the buffer's end, or in a text without its closing quote, the rest may only be missing yet.
                near_end = error.pos > len(self._buffer) - 32 or error.msg.startswith("Unterminated string")
                if near_end and self._more():
                    continue
                raise
            if end - self._at > LARGEST:
                raise self._too_large()
            # A number at the very end of the buffer may continue in the next chunk.
            if end == len(self._buffer) and self._more():
                continue
            self._at = end
            return value

    def _more(self) -> bool:
        """Double what is held, so that a large item costs linear time. False at the end of the document."""
        if len(self._buffer) - self._at > LARGEST:
            raise self._too_large()
        chunk = "" if self._eof else self._stream.read(max(CHUNK, len(self._buffer)))
        self._eof = not chunk
        self._buffer += chunk
        return bool(chunk)

    def _too_large(self) -> TooLargeError:
        return TooLargeError(f"one item of more than {LARGEST >> 20} MB; expected many small ones", self._at)

    def _drop_consumed(self) -> None:
        if self._at >= CHUNK:
            self._drop(self._at)

    def _drop(self, end: int) -> None:
        self._line, self._column = self.position(end)
        self._buffer = self._buffer[end:]
        self._at = max(0, self._at - end)
        self._counted = (0, self._line)


def _opens(line: str) -> bool:
    """Whether a line is the beginning of an object that is spread over lines."""
    return line.strip() in ("{", "[", "[{", "{{")
