"""Logging and failures of a command: the training commands and the manager's share them."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterator

import pytest

from data_sources import DataSourceError
from training.runs.process import Stopped, configure_logging, failure_line


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger; its state is restored afterwards."""
    logger = logging.getLogger()
    handlers, level, raises = logger.handlers[:], logger.level, logging.raiseExceptions
    yield logger
    logger.handlers[:], logging.raiseExceptions = handlers, raises
    logger.setLevel(level)


def test_messages_and_errors_go_to_their_own_streams(root: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    messages = io.StringIO()
    configure_logging(messages)
    root.debug("detail")
    root.warning("12 rows left out")
    root.error("no data")
    assert messages.getvalue() == "12 rows left out\n"
    assert capsys.readouterr().err == "Error: no data\n"


def test_with_timestamps_each_line_begins_with_the_time_and_the_level(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = io.StringIO()
    configure_logging(messages, verbose=True, timestamps=True)
    root.debug("detail")
    root.error("no data")
    assert re.fullmatch(r"\d\d:\d\d:\d\d DEBUG detail\n", messages.getvalue())
    assert re.fullmatch(r"\d\d:\d\d:\d\d ERROR no data\n", capsys.readouterr().err)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataSourceError("rows.json:\n no rows"), "rows.json: no rows"),
        (LookupError("nothing is live"), "nothing is live"),
        (Stopped("SIGTERM"), "interrupted (SIGTERM); nothing was published"),
        (MemoryError(), "out of memory; train on less data"),
        (ValueError("x"), "unexpected ValueError: x; --verbose shows where"),
    ],
)
def test_every_failure_is_one_line(error: BaseException, line: str) -> None:
    found = failure_line(error, "train on less data", "; nothing was published", known=(LookupError,))
    assert found == line
