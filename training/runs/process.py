"""Run a command as a process: logging, interrupts, and every failure as one line and an exit code."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TextIO

from data_sources import DataSourceError, in_a_line, masked, said
from training.runs.distributed import is_first
from training.runs.errors import TrainingError

log = logging.getLogger("training")

PARENT = "HOME_SYNERGY_PARENT"  # the variable in which the manager gives its process number to what it starts
FAILED = 1  # any failure; 2, wrong usage, is click's
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
_TIMED = "%(asctime)s %(levelname)s %(message)s"


class Stopped(BaseException):
    """A signal asked the process to stop; the text is the signal's name."""


def execute(
    body: Callable[[], None],
    *,
    verbose: bool = False,
    log_file: str | None = None,
    prints_result: bool = False,
    memory_hint: str = "",
) -> NoReturn:
    """Run ``body`` and exit: 0, or 1 with one line on standard error.

    Args:
        body: The command. It raises DataSourceError or TrainingError with one line for a person.
        verbose: Log debug messages, and the traceback of a failure.
        log_file: A file in the working directory that gets every message too.
        prints_result: The command prints its result on standard output, so messages go to standard error.
        memory_hint: What to do if memory runs out.
    """
    # Threads that spin while they wait for each other make a run ten times slower on a busy machine. torch, which is
    # imported later, reads this.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _end_with_parent()
    configure_logging(sys.stderr if prints_result else sys.stdout, verbose=verbose, log_file=log_file)
    if not is_first():  # one of several processes logs for all
        logging.getLogger().setLevel(logging.ERROR)
    code = 0
    try:
        with _stop_signals():
            body()
    except (Exception, KeyboardInterrupt, Stopped) as error:
        code = FAILED
        log.error("%s", failure_line(error, memory_hint))
        if verbose:
            log.error("traceback", exc_info=error)
    sys.exit(_flushed(code))


def _end_with_parent() -> None:
    """Ask the kernel to send SIGTERM if the manager that started this process is killed. Only Linux does."""
    parent = os.environ.get(PARENT, "")
    if not parent.isdigit() or not sys.platform.startswith("linux"):
        return
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return
    if os.getppid() != int(parent):  # the manager was killed before prctl
        sys.exit(FAILED)


def failure_line(
    error: BaseException,
    memory_hint: str = "",
    interrupted: str = "",
    *,
    known: tuple[type[Exception], ...] = (),
) -> str:
    """One line that says what went wrong.

    Args:
        error: The failure. The text of a DataSourceError or a TrainingError is for a person already.
        memory_hint: What to do where memory ran out.
        interrupted: What an interrupt leaves behind.
        known: More classes whose text is for a person already.
    """
    out_of_memory = f"out of memory; {memory_hint}" if memory_hint else "out of memory"
    if isinstance(error, (DataSourceError, TrainingError, *known)):
        line = str(error)
    elif isinstance(error, KeyboardInterrupt | Stopped):
        line = f"interrupted ({str(error) or 'SIGINT'}){interrupted}"
    elif isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and "allocate memory" in str(error)):
        line = out_of_memory
    else:
        line = f"unexpected {type(error).__name__}: {said(error)}; --verbose shows where"
    return in_a_line(line)


class _Masked(logging.Formatter):
    """The last net: whatever is logged, by a library or in a traceback too, holds no secret."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def _flushed(code: int) -> int:
    # A reader that closed the pipe (| head) must not turn a trained model into a failure at exit.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


@contextmanager
def _stop_signals() -> Iterator[None]:
    """Raise Stopped at Ctrl-C and SIGTERM, so that temporary folders are removed and the summary is written."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise Stopped(signal.Signals(number).name)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def configure_logging(
    messages: TextIO, *, verbose: bool = False, log_file: str | None = None, timestamps: bool = False
) -> None:
    """Log errors to standard error and all other messages to ``messages``, one line each.

    Args:
        messages: The stream of the messages below level ERROR.
        verbose: Log debug messages too.
        log_file: A file in the working directory that gets every message too.
        timestamps: Lines begin with the time of day and the level; without it an error's line begins with ``Error:``.
    """
    logging.raiseExceptions = verbose
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    console = logging.StreamHandler(messages)
    console.addFilter(lambda record: record.levelno < logging.ERROR and not getattr(record, "file_only", False))
    errors = logging.StreamHandler(sys.stderr)
    errors.setLevel(logging.ERROR)
    for handler, plain in ((console, "%(message)s"), (errors, "Error: %(message)s")):
        handler.setFormatter(_Masked(_TIMED, "%H:%M:%S") if timestamps else _Masked(plain))
    root.handlers[:] = [console, errors]
    for noisy in ("matplotlib", "PIL", "filelock", "fsspec", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if log_file is None:
        return
    try:
        file = logging.FileHandler(log_file, encoding="utf-8", delay=False)
    except OSError as error:
        log.warning("%s: cannot be written (%s); this run is logged to the console only", log_file, error.strerror)
        return
    file.setFormatter(_Masked(_TIMED))
    root.addHandler(file)
