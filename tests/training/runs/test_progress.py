"""A long wait says that it goes on; a short one says nothing."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Iterator

import pytest

from training.runs import progress
from training.runs.process import configure_logging
from training.runs.progress import Progress, print_result


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a program says, at intervals of hundredths of a second."""
    for name, seconds in (("FIRST_SECONDS", 0.02), ("INTERVAL_SECONDS", 0.05), ("_REFRESH_SECONDS", 0.01)):
        monkeypatch.setattr(progress, name, seconds)
    root = logging.getLogger()
    handlers, level, raises = root.handlers[:], root.level, logging.raiseExceptions
    messages = io.StringIO()
    configure_logging(messages)
    yield messages
    root.handlers[:], logging.raiseExceptions = handlers, raises
    root.setLevel(level)
    monkeypatch.setattr(Progress, "_shown", False)


def until(said: io.StringIO, text: str) -> None:
    deadline = time.monotonic() + 5
    while text not in said.getvalue():
        assert time.monotonic() < deadline, said.getvalue()
        time.sleep(0.005)


def test_steps_of_a_known_number_are_counted_and_the_rest_estimated(console: io.StringIO) -> None:
    with Progress("Scratch base", 4, "step") as stage:
        stage.advance()
        until(console, "Scratch base: 1 of 4 steps (25%), about ")
        stage.advance(2)
        until(console, "Scratch base: 3 of 4 steps (75%), about ")


def test_the_innermost_stage_is_shown(console: io.StringIO) -> None:
    rows = 0
    with Progress("Working"):
        until(console, "Working: 0 s so far")
        with Progress("Reading", unit="row", counted=lambda: rows):
            rows = 7
            until(console, "Reading: 7 rows, 0 s so far")


def test_a_short_stage_and_one_that_logs_lines_say_nothing_more(
    console: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "FIRST_SECONDS", 60.0)
    with Progress("Working"):
        time.sleep(0.05)
    assert console.getvalue() == ""


def test_in_a_library_no_stage_is_shown(console: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Progress, "_shown", False)
    with Progress("Working"):
        time.sleep(0.1)
    assert console.getvalue() == ""


def test_on_a_terminal_a_bar_is_drawn_and_taken_away(console: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    with Progress("Training", 30, "epoch", bar_at_once=True) as stage:
        stage.advance(10, "loss 0.500")
        until(terminal, "10/30")
        until(terminal, "loss 0.500")
    assert terminal.getvalue().endswith("\r")
    assert console.getvalue() == ""


def test_a_result_is_printed_where_the_bar_was(
    console: io.StringIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = io.StringIO()
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setattr(progress, "_REFRESH_SECONDS", 60.0)
    with Progress("Working", bar_at_once=True):
        assert "Working: 00:00" in terminal.getvalue(), "no step is counted, so none is shown"
        print_result("a result\n")
        assert terminal.getvalue().endswith("\r")
        assert terminal.getvalue().rstrip().endswith("00:00")
    assert capsys.readouterr().out == "a result\n"
    assert console.getvalue() == ""


def test_without_memory_for_a_thread_the_work_goes_on(console: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("threading.Thread.start", refuse)
    with Progress("Working") as stage:
        stage.advance()
    assert stage.done == 1
