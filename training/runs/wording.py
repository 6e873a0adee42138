"""Parts of messages."""

from __future__ import annotations


def one_line(error: BaseException | None) -> str:
    """The message of another library's error on one line, cut to 200 characters."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def many(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
