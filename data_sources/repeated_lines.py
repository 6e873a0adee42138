"""Recognise a JSON line that repeats an earlier one but for one number, so that it need not be decoded again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

LONGEST = 4_096  # characters of a line; a whole home in one line repeats nothing
KEPT = 4_000_000  # characters of all lines that are remembered: some 10,000 lines, and 16 MB at most
TRIED = 10_000  # lines after which it is seen whether most repeat another
_Line = tuple[str, str]  # the text before and after its number
_PROBE = 0.123456789012345  # a number that no line is likely to hold


class RepeatedLines:
    """What to do with the number of a line, for each line that was decoded before with another number.

    It gives up where most lines repeat none, so that it costs such a file next to nothing.

    Attributes:
        taken: Lines that repeated another.
        unknown: The line that was decoded last, if it may be learned.
    """

    def __init__(self, names: Iterable[str]) -> None:
        """``names`` are the keys whose values differ: numbers from 0 to 1 with a decimal point."""
        choice = "|".join(map(re.escape, names))
        self._find = re.compile(rf'"(?:{choice})"[ \t]*:[ \t]*(0\.[0-9]+|1\.0)(?=[ \t]*[,}}])').search
        self._known: dict[_Line, Callable[[float], None]] = {}
        self._kept = 0  # characters of ``_known``
        self._tried = self._taken_before = 0  # lines that were decoded, and those taken, when it was last seen to
        self._gave_up = False
        self.taken = 0
        self.unknown: _Line | None = None

    def take(self, text: str, start: int) -> int:
        """Where the line at ``start`` ends, if it repeats one that was learned; its number is dealt with. Else 0."""
        self.unknown = None
        if self._gave_up:
            return 0
        end = text.find("\n", start)
        if end < 0 or end - start > LONGEST:
            return 0
        number = self._find(text, start, end)
        if number is None:
            return 0
        begins, ends = number.span(1)
        line = text[start:begins], text[ends:end]
        again = self._known.get(line)
        if again is None:
            self._try(line)
            return 0
        self.taken += 1
        again(float(number[1]))
        return end

    def _try(self, line: _Line) -> None:
        self.unknown = line
        self._tried += 1
        if self._tried == TRIED:
            self._gave_up = self.taken - self._taken_before < TRIED
            self._tried, self._taken_before = 0, self.taken

    def learn(self, row: Any, again: Callable[[float], None]) -> None:
        """Call ``again`` with the number of each later line that repeats ``unknown``, which was decoded as ``row``."""
        line, self.unknown = self.unknown, None
        if line is None or not _is_one_number(line, row):
            return
        if self._kept > KEPT:
            self._known.clear()
            self._kept = 0
        self._known[line] = again
        self._kept += len(line[0]) + len(line[1])


def _is_one_number(line: _Line, row: Any) -> bool:
    """Whether another number in this place of the line changes one number of ``row``, and nothing else."""
    try:
        probed = json.loads(f"{line[0]}{_PROBE}{line[1]}")
    except (ValueError, RecursionError):  # several values in the line, or half of one
        return False
    if type(row) is not dict or type(probed) is not dict or probed.keys() != row.keys():
        return False
    changed = [name for name, value in probed.items() if value != row[name]]
    return len(changed) == 1 and probed[changed[0]] == _PROBE
