"""Run a command as a process: logging, interrupts, and every failure as one line and an exit code."""

from __future__ import annotations

import ctypes
import errno
import gc
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Literal, NoReturn, TextIO

from data_sources import DataSourceError, masked, message_of, single_line
from data_sources.records import shorten_path
from training.runs.distributed import SharedError, is_first, run_alone, world_size
from training.runs.errors import TrainingError
from training.runs.models import MODELS
from training.runs.progress import ConsoleHandler, Progress
from training.runs.streams import is_lost, leave_at_once, result_is_kept

log = logging.getLogger("training")

PARENT = "HOME_SYNERGY_PARENT"  # the variable in which the manager gives its process number to what it starts
FAILED = 1  # any failure; 2, wrong usage, is click's
_PR_SET_PDEATHSIG = 1  # of linux/prctl.h
# What torch, numpy, the loader of shared libraries, tokenizers and the threads of either say.
_OUT_OF_MEMORY = re.compile(
    r"allocate memory|allocate \d+ bytes|out of memory|bad_alloc|bad allocation|failed to map segment|"
    r"can't start new thread|cannot create thread",
    re.IGNORECASE,
)
_WITHOUT_A_REASON = re.compile(r"without (setting an )?exception")  # as Python says it
_TIMED = "%(asctime)s %(levelname)s %(message)s"


class Stopped(BaseException):
    """A signal asked the process to stop; the text is the signal's name."""


def execute(
    body: Callable[[], None],
    *,
    verbose: bool = False,
    log_file: str | None = None,
    result: Literal["file", "messages", "stdout"] = "file",
    memory_hint: str = "",
    shares_work: bool = False,
) -> NoReturn:
    """Run ``body`` and exit: 0, or 1 with one line on standard error.

    Args:
        body: The command. It raises DataSourceError or TrainingError with one line for a person.
        verbose: Log debug messages, and the traceback of a failure.
        log_file: A file in the working directory that gets every message too.
        result: Where the command's result is: in a ``file``, in the ``messages`` themselves, or printed on ``stdout``,
            so that messages go to standard error. If it is in a file, no stream that is closed or full is a failure.
        memory_hint: What to do if memory runs out.
        shares_work: Whether processes that torchrun starts together share the work. Else the first does it alone, so
            that nothing is done or written twice.
    """
    if not shares_work and not is_first():
        sys.exit(0)
    # Imports make a million objects that stay. The collector, which by default runs after every 700 new ones, takes a
    # tenth of a small run's time.
    gc.set_threshold(50_000, 10, 10)
    _end_with_parent()
    configure_logging(sys.stderr if result == "stdout" else sys.stdout, verbose=verbose, log_file=log_file)
    if result == "file":
        result_is_kept()
    if not is_first():  # one of several processes logs for all
        logging.getLogger().setLevel(logging.ERROR)
    if world_size() > 1 and not shares_work:
        log.warning("Note: %d processes were started; this command does not share its work, and uses one", world_size())
        run_alone()
    code = 0
    try:
        with _stop_signals(), Progress("Working"):
            body()
    except (Exception, KeyboardInterrupt, Stopped) as error:
        code = FAILED
        if is_first() or not _is_told_by_first(error):
            log.error("%s", failure_line(error, memory_hint))
        if verbose:
            log.error("traceback", exc_info=error)
        if is_out_of_memory(error):
            leave_at_once()
    sys.exit(code)


def _is_told_by_first(error: BaseException | None) -> bool:
    """Whether the first of several processes says it too: what all fail of, or that torchrun stops them."""
    while error is not None:
        if isinstance(error, SharedError | Stopped | KeyboardInterrupt):
            return True
        error = error.__cause__
    return False


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
    if isinstance(error, KeyboardInterrupt | Stopped):
        line = f"interrupted ({str(error) or 'SIGINT'}){interrupted}"
    elif is_out_of_memory(error):
        line = out_of_memory
    elif isinstance(error, (DataSourceError, TrainingError, *known)):
        line = str(error)
    elif isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG and error.filename:
        line = f"{shorten_path(os.fsdecode(error.filename))}: this path is too long; give another one"
    else:
        line = f"unexpected {type(error).__name__}: {message_of(error)}; --verbose shows where"
    return single_line(line)


class _Masked(logging.Formatter):
    """The last net: whatever is logged, by a library or in a traceback too, holds no secret."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def check_address_space(model_type: str) -> None:
    """Refuse a limit (``ulimit -v``) under which the libraries of a model cannot even be loaded.

    Under any limit, OpenBLAS reserves its buffers here, before torch takes what there is: where it finds no memory it
    tries for ever, while torch raises.

    Raises:
        TrainingError: The limit is too low.
    """
    limit = _address_space()
    if limit is None:
        return
    entry = MODELS[model_type]
    if limit < entry.libraries_mb * 1_000_000:
        raise TrainingError(
            f"out of memory: the limit of address space (ulimit -v) is {limit / 1e6:.0f} MB, and the libraries alone "
            f"take about {entry.libraries_mb}; raise it. Where it is too little then, {entry.memory_hint}"
        )
    import numpy as np
    from scipy.linalg import blas

    square = np.ones((64, 64))
    blas.dgemm(1.0, square @ square, square)  # numpy and scipy have an OpenBLAS each


def _address_space() -> int | None:
    """The limit of address space (``ulimit -v``) in bytes; None without one."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def is_out_of_memory(error: BaseException | None) -> bool:
    """Whether an error, or what caused it, says that memory, or address space for a thread, ran out."""
    while error is not None:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            return True
        # C code that gets no memory may fail without saying why.
        if isinstance(error, SystemError) and _WITHOUT_A_REASON.search(str(error)) and _address_space() is not None:
            return True
        # The text of our own errors may quote the data.
        if not isinstance(error, DataSourceError | TrainingError) and _OUT_OF_MEMORY.search(str(error)):
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False


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
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    console = ConsoleHandler(messages)
    Progress.show()
    console.addFilter(lambda record: record.levelno < logging.ERROR and not getattr(record, "file_only", False))
    errors = _Errors(sys.stderr)
    errors.setLevel(logging.ERROR)
    for handler, plain in ((console, "%(message)s"), (errors, "Error: %(message)s")):
        handler.setFormatter(_Masked(_TIMED, "%H:%M:%S") if timestamps else _Masked(plain))
    root.handlers[:] = [console, errors]
    for noisy in ("matplotlib", "PIL", "filelock", "fsspec", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    if log_file is None:
        return
    try:
        file = _LogFile(log_file, encoding="utf-8", errors="backslashreplace", delay=False)
    except OSError as error:
        log.warning("%s: cannot be written (%s); this run is logged to the console only", log_file, error.strerror)
        return
    file.setFormatter(_Masked(_TIMED))
    root.addHandler(file)


class _Errors(ConsoleHandler):
    """Errors go to standard error and, where that takes nothing, to standard output."""

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        if is_lost("stderr"):
            print(self.format(record), flush=True)  # noqa: T201 - there is no other stream


class _LogFile(logging.FileHandler):
    """A log file; a disk that is full ends it and nothing else."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802 - logging's name
        """Say once why the file is not whole."""
        failure = sys.exception()
        logging.getLogger().removeHandler(self)
        with suppress(OSError):  # what it still held
            self.close()
        log.warning(
            "%s: cannot be written (%s); the rest of this run is logged to the console only",
            Path(self.baseFilename).name,
            getattr(failure, "strerror", None) or failure,
        )
