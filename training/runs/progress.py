"""Say that a long wait goes on: a bar on a terminal, else a line whenever nothing was said for a while."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, ClassVar, TextIO

from data_sources.counting import many, plural
from training.runs.distributed import is_first
from training.runs.wording import wrapped

log = logging.getLogger("training")

FIRST_SECONDS, INTERVAL_SECONDS = 2.0, 10.0
_REFRESH_SECONDS = 0.5  # of a bar


class Progress:
    """A stage of a command that may take long. Stages may be nested: the innermost one is shown.

    Shown only in programs, which call ``show``, and never where the library is used from Python.

    Args:
        title: The stage, such as ``Training``.
        total: How many steps it has, if that is known.
        unit: The name of a step.
        counted: Returns how many steps are done, for a stage that does not call ``advance``.
        bar_at_once: On a terminal, do not wait ``FIRST_SECONDS`` for the bar.
    """

    _stages: ClassVar[list[Progress]] = []
    _lock: ClassVar[threading.RLock] = threading.RLock()
    _said: ClassVar[float] = 0.0  # when a line was last logged
    _shown: ClassVar[bool] = False

    def __init__(
        self,
        title: str,
        total: int | None = None,
        unit: str = "step",
        *,
        counted: Callable[[], int] | None = None,
        bar_at_once: bool = False,
    ) -> None:
        self.title, self.total, self.unit = title, total, unit
        self._counted, self._at_once = counted, bar_at_once
        self._done = 0
        self._note = ""
        self._bar: Any = None
        self._finished = threading.Event()
        self._thread: threading.Thread | None = None

    @classmethod
    def show(cls) -> None:
        """Show the stages of this process: it is a program."""
        cls._shown = is_first()
        cls.line_logged()

    @classmethod
    def line_logged(cls) -> None:
        """Note that a line was logged, so that none is needed for a while."""
        cls._said = time.monotonic()

    @property
    def has_bar(self) -> bool:
        """Whether the stage is shown as a bar, so that its steps need no lines of their own on the terminal."""
        return self._shown and sys.stderr.isatty()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps that are done; ``note`` stands beside the bar."""
        self._done += steps
        self._note = note
        if self._at_once and self.has_bar:
            self._draw()

    def __enter__(self) -> Progress:
        self._started = time.monotonic()
        with self._lock:
            if self._stages:
                self._stages[-1]._close_bar()
            self._stages.append(self)
        if self._shown:
            if self._at_once and self.has_bar:
                self._draw()
            self._thread = threading.Thread(target=self._watch, name="progress", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no memory for a thread: the work itself may still fit
                self._thread = None
        return self

    def __exit__(self, *_: object) -> None:
        self._finished.set()
        with self._lock:
            self._stages.remove(self)
            self._close_bar()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._finished.wait(_REFRESH_SECONDS):
            with self._lock:
                now = time.monotonic()
                if self._finished.is_set() or self._stages[-1] is not self or now - self._started < FIRST_SECONDS:
                    continue
                if self.has_bar:
                    self._draw()
                elif now - self._said >= (INTERVAL_SECONDS if self._started < self._said else FIRST_SECONDS):
                    log.info("%s", self.line(now - self._started))
                    self.line_logged()

    @property
    def done(self) -> int:
        """Steps that are done."""
        return self._done if self._counted is None else self._counted()

    def line(self, seconds: float) -> str:
        """What is said of the stage after so many seconds."""
        done = self.done
        if self.total and done:
            left = seconds / done * max(0, self.total - done)
            share = f"{done} of {many(self.total, self.unit)} ({done / self.total:.0%})"
            return f"{self.title}: {share}, about {left:.0f} s left"
        counted = f"{many(done, self.unit)}, " if done else ""
        return f"{self.title}: {counted}{seconds:.0f} s so far"

    def _draw(self) -> None:
        with self._lock:
            if self._bar is None:
                from tqdm import tqdm

                unit = f" {plural(self.unit)}"
                self._bar = tqdm(desc=self.title, total=self.total, unit=unit, leave=False, ascii=True)
                self._bar.start_t -= time.monotonic() - self._started
            self._bar.n = self.done
            self._bar.bar_format = None if self._bar.n or self.total else "{desc}: {elapsed}"  # no step is counted
            self._bar.set_postfix_str(self._note, refresh=False)
            self._bar.refresh()

    def _close_bar(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def print_result(text: str, stream: TextIO | None = None) -> None:
    """Write ``text`` to ``stream``, by default standard output; a bar on the same terminal gives way to it."""
    with Progress._lock:
        for stage in Progress._stages:
            stage._close_bar()
        stream = sys.stdout if stream is None else stream
        stream.write(text)
        stream.flush()


class ConsoleHandler(logging.StreamHandler[Any]):
    """Logs a line above the bar, if one is drawn. A terminal gets it ``wrapped``."""

    def format(self, record: logging.LogRecord) -> str:
        """The text of the record for the stream."""
        return wrapped(super().format(record), self.stream)

    def emit(self, record: logging.LogRecord) -> None:
        """Log one line."""
        Progress.line_logged()
        with Progress._lock:
            drawn = sys.modules.get("tqdm") if any(stage._bar is not None for stage in Progress._stages) else None
            with nullcontext() if drawn is None else drawn.tqdm.external_write_mode(file=self.stream):
                super().emit(record)
