"""One training run's life: logging, interrupts, timing, provenance, and a summary whatever happens."""

from __future__ import annotations

import logging
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

from data_sources import DataSource, DataSourceError
from training.runs.artifacts import check_writable, to_json, write_atomically
from training.runs.distributed import is_first
from training.runs.errors import ArtifactError, TrainingError
from training.runs.summary import Status, TrainingSummary

log = logging.getLogger(__name__)

FAILED = 1  # any failure; 2, wrong usage, is click's
_PACKAGES = (
    "home-synergy-training",
    "torch",
    "torch-geometric",
    "numpy",
    "pydantic",
    "transformers",
    "peft",
    "datasets",
    "scikit-learn",
    "skops",
)


class _Stopped(BaseException):
    """A signal asks the run to stop."""


@dataclass
class Run:
    """What a script's body fills in while it works; the summary is made of it."""

    model_type: str
    summary_path: Path | None = None
    dry_run: bool = False
    verbose: bool = False
    prints_result: bool = False  # stdout is the result itself, so messages go to stderr
    status: Status = "success"
    message: str = ""
    saved: bool = False
    memory_hint: str = "train on less data"
    go_on: Callable[[], str] = lambda: ""  # how a run that was stopped is gone on with, once it can be
    model_path: Path | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    source: DataSource | None = None
    started: float = field(default_factory=time.perf_counter)

    def end_dry(self) -> None:
        """Say that a dry run ends where training would begin."""
        self.message = "dry run: the data was read and audited, nothing was trained"
        log.info("Dry run: nothing was trained.")

    def described_source(self) -> dict[str, str]:
        """Where the data came from and, where it was not named, why."""
        if self.source is None:
            return {}
        chosen = {} if self.source.choice is None else {"choice": self.source.choice}
        return {**self.source.describe(), **chosen}

    def provenance(self, split: dict[str, Any], trained_on: str) -> dict[str, Any]:
        """What travels inside a model file, so that it says where it comes from wherever it is."""
        return {
            "config": self.config,
            "data_fingerprint": self.audit["fingerprint"],
            "audit": self.audit,
            "metrics": self.metrics,
            "split": split,
            "trained_on": trained_on,
            "versions": versions(),
        }

    def summary(self) -> TrainingSummary:
        """The summary as of now."""
        return TrainingSummary(
            timestamp=utc_now(),
            model_type=self.model_type,
            status=self.status,
            metrics=self.metrics,
            model_path=None if self.model_path is None else str(self.model_path),
            training_time_seconds=round(time.perf_counter() - self.started, 3),
            errors=self.errors,
            dry_run=self.dry_run,
            message=self.message,
            source=self.described_source(),
            load_report={} if self.source is None else self.source.report.as_dict(),
            data_fingerprint=self.audit.get("fingerprint"),
            audit=self.audit,
            config=self.config,
            versions=versions(),
            notes=self.notes,
        )


def execute(run: Run, log_file: str | None, body: Callable[[Run], None]) -> NoReturn:
    """Run ``body`` and exit: 0, or 1 with one line on stderr. A summary is written where one was asked for."""
    # Threads that spin while they wait for each other make a run ten times slower on a machine that does other work.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is imported, which is later
    _configure_logging(log_file, run.verbose, sys.stderr if run.prints_result else sys.stdout)
    if not is_first():  # of several processes, one speaks for all
        run.summary_path = None
        logging.getLogger().setLevel(logging.ERROR)
    error: BaseException | None = None
    try:
        with _stop_signals():
            _check_summary_path(run)
            body(run)
    except (DataSourceError, TrainingError) as failure:
        error = failure
        _fail(run, str(failure))
    except (KeyboardInterrupt, _Stopped) as failure:
        error = failure
        name = str(failure) or "SIGINT"
        _fail(
            run,
            f"interrupted ({name}) after the model was saved"
            if run.saved
            else f"interrupted ({name}); nothing was published and the model that was there is untouched",
        )
    except MemoryError as failure:
        error = failure
        _fail(run, f"out of memory; {run.memory_hint}")
    except Exception as failure:  # noqa: BLE001 - the night's cron needs a line and a summary, whatever it was
        error = failure
        if isinstance(failure, RuntimeError) and "allocate memory" in str(failure):  # how torch says it
            _fail(run, f"out of memory; {run.memory_hint}")
        else:
            _fail(run, f"unexpected {type(failure).__name__}: {failure}; --verbose shows where")
    if error is not None and run.verbose:
        log.error("traceback", exc_info=error)
    if run.summary_path is not None:
        try:
            write_atomically(run.summary_path, to_json(run.summary().model_dump()))
        except ArtifactError as failure:
            _fail(run, str(failure))
    sys.exit(_flushed(0 if run.status != "failed" else FAILED))


def _check_summary_path(run: Run) -> None:
    if run.summary_path is None:
        return
    try:
        check_writable(run.summary_path)
    except ArtifactError:
        run.summary_path = None  # said once, before training rather than after it
        raise


def _fail(run: Run, message: str) -> None:
    line = " ".join(f"{message}{'' if run.saved else run.go_on()}".split())
    run.status = "failed"
    run.errors.append(line)
    run.message = line
    log.error("%s", line)


def _flushed(code: int) -> int:
    # A reader that has gone (| head) must not turn a trained model into a failure at exit.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return code


@contextmanager
def _stop_signals() -> Iterator[None]:
    """Ctrl-C and SIGTERM unwind the run, so that staging folders are removed and the summary is written."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise _Stopped(signal.Signals(number).name)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _configure_logging(log_file: str | None, verbose: bool, messages: TextIO) -> None:
    """INFO to ``messages`` and the log file, errors as one line to stderr."""
    logging.raiseExceptions = verbose
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    root = logging.getLogger()
    root.setLevel(logging.DEBUG if verbose else logging.INFO)
    console = logging.StreamHandler(messages)
    console.addFilter(lambda record: record.levelno < logging.ERROR and not getattr(record, "file_only", False))
    console.setFormatter(logging.Formatter("%(message)s"))
    errors = logging.StreamHandler(sys.stderr)
    errors.setLevel(logging.ERROR)
    errors.setFormatter(logging.Formatter("Error: %(message)s"))
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
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root.addHandler(file)


def log_source(source: DataSource) -> None:
    """Say where the rows came from and which could not be used."""
    report = source.report
    log.info("Source: %s", report.where)
    for reason in report.reasons:
        log.warning("Left out: %s", reason)
    more = sum(report.rejected.values()) - len(report.reasons)
    if more > 0:
        log.warning("Left out: %d more", more)


def utc_now() -> str:
    """Now, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions that a result depends on, of the packages that are installed."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
