"""Run a script as a process of its own: streamed, limited in time, measured, and ended with all it started."""

from __future__ import annotations

import codecs
import logging
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from retraining_manager.errors import ManagerError
from training.runs.process import PARENT
from training.runs.wording import one_line

GRACE_SECONDS = 10.0  # between SIGTERM and SIGKILL: a script writes its summary meanwhile
DRAIN_SECONDS = 2.0  # for output that is still on its way when a process has ended
POLL_SECONDS = 0.2
LINE_LIMIT = 8_192  # characters of one line passed on; the file has all of it
_CHUNK = 65_536

OnLine = Callable[[int, str], None]
"""(a level of ``logging``, the line without its end)."""


@dataclass(frozen=True)
class Outcome:
    """How a process ended.

    ``exit_code`` is minus the signal's number where one ended it, ``peak_mb`` the resident memory of the largest of its
    processes (on Linux at least that of the process that started it), ``output_lost`` why the file with its output is
    not whole.
    """

    exit_code: int
    seconds: float
    peak_mb: float
    timed_out: bool = False
    stopped: bool = False
    output_lost: str | None = None

    def describe(self) -> dict[str, float]:
        """For summaries."""
        return {"exit_code": self.exit_code, "seconds": self.seconds, "peak_mb": self.peak_mb}

    def failure(self, name: str, memory_hint: str, timeout: float | None) -> str | None:
        """One line where it did not end well, None where it did."""
        if self.timed_out:
            return f"{name}: still running after {timeout:g} s and ended with all it started; raise --timeout"
        if self.stopped:
            return f"{name}: interrupted, and ended with all it started"
        if self.exit_code == -signal.SIGKILL:
            return f"{name}: killed (exit -9): out of memory at {self.peak_mb:.0f} MB or more; {memory_hint}"
        if -self.exit_code in (signal.SIGABRT, signal.SIGBUS, signal.SIGSEGV):  # std::bad_alloc aborts
            return (
                f"{name}: ended by {_signal_name(-self.exit_code)} (exit {self.exit_code}) at {self.peak_mb:.0f} MB; "
                f"libraries do so where memory runs out, and its output says more. If so, {memory_hint}"
            )
        if self.exit_code < 0:
            return f"{name}: ended by {_signal_name(-self.exit_code)} (exit {self.exit_code})"
        return f"{name}: exit code {self.exit_code}" if self.exit_code else None


def run(
    argv: Sequence[str],
    output: Path,
    *,
    timeout: float | None = None,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    on_line: OnLine = lambda _level, _line: None,
    stop: threading.Event | None = None,
    grace: float = GRACE_SECONDS,
) -> Outcome:
    """Run ``argv`` in a process group of its own and wait for it.

    Standard output goes line by line to ``on_line`` as INFO, standard error as WARNING or, where a line begins with
    ``Error``, as ERROR; all of both goes to the file ``output``. Whatever of its group outlives it is killed. A disk
    that is full takes the file's rest, not the run (``output_lost``).

    Raises:
        ManagerError: The process cannot be started.
        KeyboardInterrupt: As it came, after the group has ended.
    """
    started = time.monotonic()
    try:
        process = subprocess.Popen(  # noqa: S603 - never a shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, PARENT: str(os.getpid()), **(environment or {})},
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ManagerError(f"{argv[0]}: cannot be started ({one_line(error)})") from error
    with process, _Recorder(output) as recorder, selectors.DefaultSelector() as selector:
        for stream, is_error in ((process.stdout, False), (process.stderr, True)):
            assert stream is not None
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, _Lines(is_error, on_line))
        watch = _Watch(process, started, timeout, stop, grace)
        try:
            _pump(selector, recorder, watch)
        except BaseException:
            watch.end_now()
            raise
        for key in list(selector.get_map().values()):
            key.data.finish()
    return Outcome(
        exit_code=watch.exit_code or 0,
        seconds=round(time.monotonic() - started, 3),
        peak_mb=watch.peak_mb,
        timed_out=watch.timed_out,
        stopped=watch.stopped,
        output_lost=recorder.lost,
    )


def _pump(selector: selectors.BaseSelector, recorder: _Recorder, watch: _Watch) -> None:
    while selector.get_map():
        for key, _ in selector.select(POLL_SECONDS):
            stream: Any = key.fileobj
            try:
                data = os.read(stream.fileno(), _CHUNK)
            except BlockingIOError:
                continue
            if data:
                recorder.write(data)
                key.data.feed(data)
            else:
                selector.unregister(stream)
                key.data.finish()
        if watch.poll() and watch.drained():
            return
    while not watch.poll():
        time.sleep(POLL_SECONDS / 4)


class _Watch:
    """Whether the process has ended or has to; the group goes with it."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        started: float,
        timeout: float | None,
        stop: threading.Event | None,
        grace: float,
    ) -> None:
        self._process, self._stop, self._grace = process, stop, grace
        self._deadline = None if timeout is None else started + timeout
        self._kill_at: float | None = None
        self._ended: float | None = None
        self.exit_code: int | None = None
        self.peak_mb = 0.0
        self.timed_out = self.stopped = False

    def poll(self) -> bool:
        """Whether the process has ended; ends it where its time is up."""
        now = time.monotonic()
        if self._ended is not None:
            return True
        pid, status, usage = os.wait4(self._process.pid, os.WNOHANG)
        if pid:
            self._ended = now
            self._process.returncode = self.exit_code = os.waitstatus_to_exitcode(status)
            self.peak_mb = round(usage.ru_maxrss / _RSS_PER_MB, 1)
            self._signal(signal.SIGKILL)  # what it left behind would hold the output, the processor and the disk
            return True
        if self._kill_at is not None:
            if now >= self._kill_at:
                self._signal(signal.SIGKILL)
        elif self._stop is not None and self._stop.is_set():
            self.stopped = True
            self._end(now)
        elif self._deadline is not None and now >= self._deadline:
            self.timed_out = True
            self._end(now)
        return False

    def drained(self) -> bool:
        """Whether waiting for more output is useless: something that left the group holds the pipe open."""
        return self._ended is not None and time.monotonic() - self._ended > DRAIN_SECONDS

    def end_now(self) -> None:
        """End the group and wait for it; for an exception that is on its way out."""
        self._end(time.monotonic())
        while not self.poll():
            time.sleep(POLL_SECONDS / 4)

    def _end(self, now: float) -> None:
        self._kill_at = now + self._grace
        if self._ended is None:
            self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except (ProcessLookupError, PermissionError):  # none is left; macOS says so of a zombie
            return


class _Lines:
    """Bytes of one stream to lines with a level, in bounded memory."""

    def __init__(self, is_error: bool, on_line: OnLine) -> None:
        self._is_error, self._on_line = is_error, on_line
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = ""

    def feed(self, data: bytes) -> None:
        *lines, rest = (self._rest + self._decoder.decode(data)).split("\n")
        for line in lines:
            self._pass_on(line)
        if len(rest) > LINE_LIMIT:
            self._pass_on(rest)
            rest = ""
        self._rest = rest

    def finish(self) -> None:
        if self._rest:
            self._pass_on(self._rest)
            self._rest = ""

    def _pass_on(self, line: str) -> None:
        level = logging.INFO
        if self._is_error:
            level = logging.ERROR if line.startswith("Error") else logging.WARNING
        self._on_line(level, line.rstrip("\r")[:LINE_LIMIT])


class _Recorder:
    """The file with all output; a full disk ends it and nothing else."""

    def __init__(self, path: Path) -> None:
        self.lost: str | None = None
        self._path = path
        self._file: IO[bytes] | None = None

    def __enter__(self) -> _Recorder:
        try:
            self._file = open(self._path, "wb", buffering=0)
        except OSError as error:
            self._lose(error)
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, data: bytes) -> None:
        if self.lost is None and self._file is not None:
            rest = memoryview(data)
            try:
                while rest:  # a disk that is nearly full takes a part without an error
                    rest = rest[self._file.write(rest) :]
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        self.lost = f"{self._path}: the output's rest is lost ({error.strerror})"


_RSS_PER_MB = 1024 * 1024 if os.uname().sysname == "Darwin" else 1024  # getrusage: bytes there, kB here


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
