"""Counts in messages."""

from __future__ import annotations

from collections.abc import Sequence


def many(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``, ``3 distinct queries``."""
    return f"{count} {noun if count == 1 else plural(noun)}"


def plural(noun: str) -> str:
    """``rows``, ``queries``, ``keys``, ``classes``."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith("s") else f"{noun}s"


def listed(texts: Sequence[str], shown: int = 3, between: str = ", ") -> str:
    """The first ``shown`` texts, and how many more there are."""
    more = len(texts) - shown
    return between.join(texts[:shown]) + (f" and {more} more" if more > 0 else "")
