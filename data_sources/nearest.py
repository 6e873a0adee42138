"""Which known word a person may have meant by one that is not known."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import SequenceMatcher, get_close_matches

LONGEST = 80  # characters of a word that is looked at
_SHORTEST, _LONG = 3, 5
_LIKE = 0.85  # share of characters in common: one slip in seven, two in fourteen
_LISTED_LIKE = 0.6  # of words that are listed, none of which need be meant
_PART_LIKE = 0.7  # in a part: one slip in four
_OTHER = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The word of ``known`` that ``word`` is misspelt for; None where none is near.

    Words that differ in a number, in a part of one letter or in more than a slip of a part are two words:
    ``light.hall_1`` is no slip for ``light.hall_2``, nor ``bath_a`` for ``bath_b``, nor ``grid_import`` for
    ``grid_export``.
    """
    found = _near(word, (own for own in known if abs(len(own) - len(word)) <= _slips(word)), 1, _LIKE)
    return found[0] if found else None


def all_near(word: str, known: Iterable[str], count: int) -> list[str]:
    """At most ``count`` words of ``known`` to choose from, the nearest first; none is another word, as for ``nearest``.

    A slip may be larger than there, as the half of a word that is missing.
    """
    return _near(word, known, count, _LISTED_LIKE)


def _near(word: str, known: Iterable[str], count: int, like: float) -> list[str]:
    plain, digits = _plain(word), _DIGITS.findall(word)
    if not _SHORTEST <= len(plain) <= LONGEST:
        return []
    candidates: dict[str, str] = {}
    for own in known:
        if own != word and _DIGITS.findall(own) == digits:
            candidates.setdefault(_plain(own), own)
    found = [plain] if plain in candidates else []
    for own in get_close_matches(plain, candidates, max(1, len(candidates)), like):
        if len(found) < count and own != plain and not _are_two_words(word, candidates[own]):
            found.append(own)
    if not found:
        # In a short word one slip is a large share, and two letters that changed places are two.
        found = [own for own in candidates if _is_one_slip(plain, own) and not _are_two_words(word, candidates[own])]
    return [candidates[own] for own in found[:count]]


def nearest_key(key: str, known: Collection[str]) -> str | None:
    """As ``nearest``; ``area`` also stands for ``area_id``, and one for many."""
    stems = {_stem(own): own for own in known}
    stem = _stem(key)
    if len(stem) >= _SHORTEST and stem in stems:
        return stems[stem]
    return nearest(key, known)


def _plain(word: str) -> str:
    return _OTHER.sub("", word.casefold())


def _slips(word: str) -> int:
    return 2 + len(word) // 10  # an underscore that is missing is none


def _are_two_words(one: str, other: str) -> bool:
    """Whether parts between separators differ by more than a slip: an ``a`` and a ``b``, ``min`` and ``max``."""
    ours, others = _parts(one), _parts(other)
    if len(ours) != len(others):  # a separator is missing; a part of one letter tells things apart all the same
        return [part for part in ours if len(part) == 1] != [part for part in others if len(part) == 1]
    return any(a != b and not _is_slip_of_part(a, b) for a, b in zip(ours, others, strict=True))


def _is_slip_of_part(one: str, other: str) -> bool:
    if min(len(one), len(other)) == 1:
        return False
    return sorted(one) == sorted(other) or SequenceMatcher(None, one, other).ratio() >= _PART_LIKE


def _parts(word: str) -> list[str]:
    return [part for part in _OTHER.split(word.casefold()) if part]


def _is_one_slip(one: str, other: str) -> bool:
    """Whether one letter is another, in a word of five or more, or two letters changed places."""
    differ = sum(a != b for a, b in zip(one, other, strict=False))
    if len(one) != len(other):
        return False
    return (differ == 1 and len(one) >= _LONG) or (differ == 2 and sorted(one) == sorted(other))


def _stem(key: str) -> str:
    plain = _plain(key)
    for ending in ("ids", "id"):
        plain = plain.removesuffix(ending)
    if plain.endswith("ies"):
        return f"{plain[:-3]}y"
    return plain.removesuffix("s") if not plain.endswith("ss") else plain
