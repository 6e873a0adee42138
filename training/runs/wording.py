"""Parts of messages and records."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TextIO

from data_sources import message_of

COLUMNS = 80  # of a terminal


def table_lines(rows: Sequence[Sequence[str]], *, indent: str = "  ", numbers: bool = True) -> Iterator[str]:
    """A table in lines, of which the first row is the head.

    The first column stands to the left; the others to the right where they hold ``numbers``. Columns are two spaces
    apart, or one where the table would be wider than a terminal.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    fits = len(indent) + sum(widths) + 2 * (len(widths) - 1) <= COLUMNS
    for row in rows:
        cells = [
            cell.rjust(width) if numbers and number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield (indent + ("  " if fits else " ").join(cells)).rstrip()


def wrapped(text: str, stream: TextIO) -> str:
    """``text`` as ``stream`` shows it: on a terminal a line that is too long goes on in the next, at a space.

    Elsewhere a line stays whole, for whoever searches a log.
    """
    if not stream.isatty():
        return text
    columns = shutil.get_terminal_size((COLUMNS, 24)).columns or COLUMNS
    lines = []
    for line in text.splitlines():
        further = " " * (len(line) - len(line.lstrip()) + 2)
        words = textwrap.TextWrapper(
            columns, subsequent_indent=further, break_long_words=False, break_on_hyphens=False, expand_tabs=False
        )
        lines += [line] if len(line) <= columns else words.wrap(line)
    return "\n".join(lines)


def one_line(error: BaseException | None) -> str:
    """What another library's error says (``data_sources.message_of``), cut to 200 characters."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # its text has the path again
    return "nothing is said" if error is None else message_of(error)[:200]


def utc_now(timespec: str = "milliseconds") -> str:
    """The current time in UTC, as ISO 8601; ``timespec`` as of ``datetime.isoformat``."""
    return datetime.now(UTC).isoformat(timespec=timespec)
