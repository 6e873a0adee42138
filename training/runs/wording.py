"""Parts of messages and records."""

from __future__ import annotations

from datetime import UTC, datetime

from data_sources import message_of


def one_line(error: BaseException | None) -> str:
    """What another library's error says (``data_sources.message_of``), cut to 200 characters."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # its text has the path again
    return "nothing is said" if error is None else message_of(error)[:200]


def many(count: int, noun: str) -> str:
    """``1 row``, ``2 rows``."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def utc_now(timespec: str = "milliseconds") -> str:
    """The current time in UTC, as ISO 8601; ``timespec`` as of ``datetime.isoformat``."""
    return datetime.now(UTC).isoformat(timespec=timespec)
