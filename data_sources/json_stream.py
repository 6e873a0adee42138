"""Decode one JSON document piece by piece: memory does not grow with its size, and errors have a line and a column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Protocol

CHUNK = 1 << 16
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


class JsonReader:
    """One JSON document, an array item by item, from a buffer that holds little more than the item at hand."""

    def __init__(self, stream: TextStream, head: str = "") -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder()
        self._buffer = head
        self._at = 0
        self._eof = False
        self._line, self._column = 1, 1  # of the buffer's first character

    def position(self, pos: int) -> tuple[int, int]:
        """Line and column, from 1, of the buffer's character ``pos``."""
        before = self._buffer[:pos]
        lines = before.count("\n")
        return self._line + lines, pos - before.rfind("\n") if lines else self._column + pos

    def at_end(self, pos: int) -> bool:
        """Whether the document ends at ``pos``, or in the text that begins there: the file was cut off."""
        rest = self._buffer[pos:].strip()
        return self._eof and bool(self._buffer.strip()) and (not rest or (rest[0] == '"' and '"' not in rest[1:]))

    def peek(self) -> str:
        """The next character that is not white space, or "" at the end."""
        while True:
            while self._at < len(self._buffer) and self._buffer[self._at] in " \t\r\n":
                self._at += 1
            if self._at < len(self._buffer):
                return self._buffer[self._at]
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

    def _array(self) -> Iterator[Any]:
        self._take("[")
        if self.peek() != "]":
            yield self._value()
        while self.peek() != "]":
            self._take(",")
            yield self._value()
        self._take("]")

    def _take(self, expected: str) -> None:
        found = self.peek()
        if found != expected:
            raise JsonError(f"expected {expected!r}" + (f", found {found!a}" if found else ""), self._at)
        self._at += 1

    def _value(self) -> Any:
        self.peek()
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
            # A number at the very end of the buffer may continue in the next chunk.
            if end == len(self._buffer) and self._more():
                continue
            self._at = end
            return value

    def _more(self) -> bool:
        """Double what is held, so that a large item costs linear time. False at the end of the document."""
        chunk = "" if self._eof else self._stream.read(max(CHUNK, len(self._buffer)))
        self._eof = not chunk
        self._buffer += chunk
        return bool(chunk)

    def _drop_consumed(self) -> None:
        if self._at < CHUNK:
            return
        self._line, self._column = self.position(self._at)
        self._buffer = self._buffer[self._at :]
        self._at = 0
