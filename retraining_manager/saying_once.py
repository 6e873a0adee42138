"""Say once what the data of several models has in common: a source is read for each of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

_SOURCES = "data_sources"  # the loggers whose notes are of the data


class SaidOnce(logging.Filter):
    """Drops a note on the data that was logged before, from whichever handler it is added to."""

    def __init__(self) -> None:
        super().__init__()
        self._notes: dict[str, float] = {}
        self._failures: dict[str, str] = {}  # message -> the model that failed so first

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is anything else, or the first of its text."""
        if record.levelno != logging.WARNING or record.name.partition(".")[0] != _SOURCES:
            return True
        # Each handler asks about a record.
        return self._notes.setdefault(record.getMessage(), record.created) == record.created

    def failure(self, model: str, message: str) -> str:
        """What to log of a model's failure: which model failed so before, where the whole message is the same."""
        first = self._failures.setdefault(message, model)
        return message if first == model else f"fails for the same reason as {first}"


@contextmanager
def saying_once() -> Iterator[SaidOnce]:
    """Add a new ``SaidOnce`` to what logs in this process, while the block runs."""
    said = SaidOnce()
    handlers = logging.getLogger().handlers[:]
    for handler in handlers:
        handler.addFilter(said)
    try:
        yield said
    finally:
        for handler in handlers:
            handler.removeFilter(said)
