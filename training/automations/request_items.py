"""The words of a request as items: phrases with their meanings, numbers, times of day, and whole names of entities."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from home_assistant.request_words import language_of, number_of, phrase_at
from training.automations.home_index import HomeIndex

_TOKEN = re.compile(
    r"(?P<time>(?<![\w.,:])\d{1,2}(?:[:.]|h(?=\d))\d{2}(?![\w:]|\.\d))|(?P<number>\d+(?:[.,]\d+)?)|(?P<unit>%|°c\b|°)"
    r"|(?P<word>[^\W\d_]+(?:['\-][^\W\d_]+)*(?:\.m\b)?)|(?P<comma>[,;:!?.\n]|->|=>|\s[-\u2013]\s)",
)
DROPPED = frozenset(("filler", "inside", "at", "is", "to", "then"))
_UNITS = {"second": "00:00:{:02}", "minute": "00:{:02}:00", "hour": "{:02}:00:00"}


class UnreadError(Exception):
    """A part of a request that means nothing, or more than one thing."""


@dataclass(frozen=True)
class Item:
    """One word or phrase of a request.

    Attributes:
        text: In lower case.
        meanings: Of the table of phrases; none for any other word.
        number: Its number, if it is one.
        time: Its time of day, if it is one.
        ids: The entities whose whole name it is.
    """

    text: str
    meanings: frozenset[str] = frozenset()
    number: float | None = None
    time: str | None = None
    ids: tuple[str, ...] = ()

    def means(self, *meanings: str) -> bool:
        """Whether it has one of these meanings."""
        return not self.meanings.isdisjoint(meanings)


def items_of(text: str, home: HomeIndex, *, masked: bool) -> Iterator[Item]:
    """The words of a request in lower case; with ``masked`` the whole names of entities are one item each."""
    mentions = home.mentions(text) if masked else []
    found = [(match.start(), match.end(), match) for match in _TOKEN.finditer(text)]
    plain = [m for start, end, m in found if not any(one.start < end and start < one.end for one in mentions)]
    words = [m[0] for m in plain if m.lastgroup == "word"]
    language = language_of(words)
    starts = {mention.start: mention for mention in mentions}
    at = 0
    while at < len(found):
        start, _, match = found[at]
        mention = next((one for begin, one in starts.items() if begin <= start < one.end), None)
        if mention is not None:
            yield Item(text[mention.start : mention.end], ids=tuple(mention.entity_ids))
            while at < len(found) and found[at][0] < mention.end:
                at += 1
            continue
        run = []  # of words up to the next name, number or comma
        for begin, _, following in found[at:]:
            if following.lastgroup not in ("word", "unit") or any(one.start <= begin < one.end for one in mentions):
                break
            run.append(following[0])
        if not run:
            at += 1
            yield _special(match)
            continue
        phrase = phrase_at(run, 0, language)
        if phrase is None:
            number = number_of(run[0])
            yield Item(run[0], number=number)
            at += 1
        else:
            yield Item(" ".join(run[: phrase.words]), phrase.meanings)
            at += phrase.words


def _special(match: re.Match[str]) -> Item:
    if match.lastgroup == "time":
        hour, minute = re.split(r"[:.h]", match[0])
        if int(hour) < 24 and int(minute) < 60:
            return Item(match[0], time=f"{int(hour):02}:{minute}:00")
        return Item(match[0])
    if match.lastgroup == "number":
        return Item(match[0], number=float(match[0].replace(",", ".")))
    return Item(",", frozenset(("comma",)))


def plain_number(value: float) -> int | float:
    """A whole number without a fraction."""
    return int(value) if value == int(value) else value


# -- Times -------------------------------------------------------------------------------------------------------------


def used_by_times(item: Item) -> bool:
    """Whether a condition about times may hold the item."""
    times = ("between", "and", "before", "after", "at", "clock", "evening", "morning", "to")
    return bool(item.time) or item.number is not None or item.means(*times, *DROPPED)


def clock_at(items: Sequence[Item], at: int, *, certain: bool = False) -> tuple[str, int] | None:
    """A time of day that begins at an item, and where it ends.

    A number alone is one from 13 on. With ``certain``, only one that says that it is a time.
    """
    item = items[at]
    end = at + 1
    if item.time:
        hour, minute = int(item.time[:2]), int(item.time[3:5])
    elif item.number is not None and item.number == int(item.number) and 0 <= item.number < 24:
        hour, minute = int(item.number), 0
    else:
        return None
    said = False
    if end < len(items) and items[end].means("clock"):
        said, end = True, end + 1
        following = items[end] if end < len(items) else None
        if following and following.number is not None and 0 <= following.number < 60 and not item.time:
            minute, end = int(following.number), end + 1
    day = next((i for i in (end, at - 1, at - 2) if 0 <= i < len(items) and items[i].means("evening", "morning")), None)
    if day is not None:
        evening = items[day].means("evening")
        if hour > 12 and not evening:
            return None
        hour = hour % 12 + (12 if evening else 0) if hour <= 12 else hour
        said = True
        end = end + 1 if day == end else end
    elif not (item.time or said or (hour >= 13 and not certain)):
        return None
    if end < len(items) and items[end].means("percent", "degrees", "lux", "minute", "second", "hour"):
        return None
    return f"{hour:02}:{minute:02}:00", end


def length_at(items: Sequence[Item], at: int) -> str | None:
    """The length of time that two items say, such as ``10 minutes``."""
    if not 0 <= at < len(items) - 1 or items[at].number is None:
        return None
    unit = next((one for one in _UNITS if items[at + 1].means(one)), None)
    number = items[at].number
    if unit is None or number is None or number != int(number) or not 0 < number < 60:
        return None
    return _UNITS[unit].format(int(number))


def without_length(items: Sequence[Item], *, also_after: bool = False) -> tuple[str | None, list[Item]]:
    """The length of time that the items say with ``for``, and the others."""
    found: str | None = None
    rest = list(items)
    for at in range(len(rest) - 1):
        length = length_at(rest, at)
        if length is None:
            continue
        before = at - 1
        if before >= 0 and (rest[before].means("for") or (also_after and rest[before].means("after"))):
            found, rest = length, [*rest[:before], *rest[at + 2 :]]
            break
        if before >= 0 and rest[before].means("above") and not also_after:  # "for more than 5 minutes"
            found, rest = length, [*rest[:before], *rest[at + 2 :]]
            break
        if not also_after:
            found, rest = length, [*rest[:at], *rest[at + 2 :]]
            break
        raise UnreadError
    return found, rest


# -- Parts -------------------------------------------------------------------------------------------------------------


def without(items: Sequence[Item], *meanings: str) -> list[Item]:
    """The items that have none of these meanings."""
    return [item for item in items if not item.means(*meanings)]


def cut(items: list[Item], begin: int, end: int) -> list[Item]:
    """The items before ``begin`` and from ``end`` on."""
    return [*items[:begin], *items[end:]]


def split_at(items: Sequence[Item], ends: Callable[[Item], bool]) -> tuple[list[Item], list[list[Item]]]:
    """The items up to the first that ends a part, and the parts behind it."""
    first, *others = parts_between(items, ends)
    return first, others


def parts_between(items: Sequence[Item], ends: Callable[[Item], bool]) -> list[list[Item]]:
    """The items between those that end a part; no part but the first is empty."""
    parts: list[list[Item]] = [[]]
    for item in items:
        if ends(item):
            if parts[-1]:
                parts.append([])
        else:
            parts[-1].append(item)
    return parts
