"""Texts that messages are made of."""

from __future__ import annotations


def one_line(error: BaseException | None) -> str:
    """What another library says went wrong, cut to a line."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def many(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
