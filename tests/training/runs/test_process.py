"""Logging and failures of a command: the training commands and the manager's share them."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import resource
import runpy
import sys
from collections.abc import Iterator

import pytest

import training
from data_sources import DataSourceError
from training.runs.errors import TrainingError
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


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


# As torch, the system, the loader of libraries, threads and C++ say it, and what our own loaders make of it.
OUT_OF_MEMORY = [
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to ..."),
    RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("can't start new thread"),
    RuntimeError("std::bad_alloc"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    caused(TrainingError("base: cannot be loaded as a model (...)"), MemoryError()),
    caused(DataSourceError("x.json: not usable JSON"), OSError(errno.ENOMEM, "Cannot allocate memory")),
]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataSourceError("rows.json:\n no rows"), "rows.json: no rows"),
        (LookupError("nothing is live"), "nothing is live"),
        (Stopped("SIGTERM"), "interrupted (SIGTERM); nothing was published"),
        (MemoryError(), "out of memory; train on less data"),
        *((error, "out of memory; train on less data") for error in OUT_OF_MEMORY),
        (DataSourceError("a row says: out of memory"), "a row says: out of memory"),
        (
            OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300),
            f"{'x' * 77}...: this path is too long; give another one",
        ),
        (ValueError("x"), "unexpected ValueError: x; --verbose shows where"),
    ],
)
def test_every_failure_is_one_line(error: BaseException, line: str) -> None:
    found = failure_line(error, "train on less data", "; nothing was published", known=(LookupError,))
    assert found == line


def test_a_failure_without_a_reason_is_one_of_memory_where_memory_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    unlimited, limited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY), (10**9, resource.RLIM_INFINITY)
    for told in ("error return without exception set", "<function f> returned NULL without setting an exception"):
        for limit, line in (
            (unlimited, f"unexpected SystemError: {told}; --verbose shows where"),
            (limited, "out of memory"),
        ):
            monkeypatch.setattr(resource, "getrlimit", lambda _, limit=limit: limit)
            assert failure_line(SystemError(told)) == line
    assert failure_line(SystemError("bad argument to internal function")).startswith("unexpected SystemError")


@pytest.mark.parametrize(
    ("loaded", "given", "then"),
    [(False, None, "PASSIVE"), (False, "ACTIVE", "ACTIVE"), (True, None, None), (True, "ACTIVE", "ACTIVE")],
)
def test_threads_sleep_while_they_wait_unless_torch_is_loaded_or_the_environment_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, loaded: bool, given: str | None, then: str | None
) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if loaded:
        monkeypatch.setitem(sys.modules, "torch", sys)
    if given is not None:
        monkeypatch.setenv("OMP_WAIT_POLICY", given)
    runpy.run_path(str(training.__file__))
    assert os.environ.get("OMP_WAIT_POLICY") == then
