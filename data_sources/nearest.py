"""Which known word a person may have meant by one that is not known."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from difflib import get_close_matches

LONGEST = 80  # characters of a word that is looked at
_SHORTEST, _LONG = 3, 5
_LIKE = 0.85  # share of characters in common: one slip in seven, two in fourteen
_OTHER = re.compile(r"[\W_]+")
_DIGITS = re.compile(r"\d+")


def nearest(word: str, known: Iterable[str], like: float = _LIKE) -> str | None:
    """The word of ``known`` that ``word`` is misspelt for; None where none is near.

    Words whose numbers differ are two words: ``light.hall_1`` is no slip for ``light.hall_2``.
    """
    plain = _plain(word)
    if not _SHORTEST <= len(plain) <= LONGEST:
        return None
    digits = _DIGITS.findall(plain)
    candidates: dict[str, str] = {}
    for own in known:
        if own != word and abs(len(own) - len(word)) <= _slips(word) and _DIGITS.findall(own) == digits:
            candidates.setdefault(_plain(own), own)
    if plain in candidates:
        return candidates[plain]
    found = get_close_matches(plain, candidates, 1, like)
    if not found:
        # In a short word one slip is a large share, and two letters that changed places are two.
        found = [own for own in candidates if _is_one_slip(plain, own)]
    return candidates[found[0]] if found else None


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
