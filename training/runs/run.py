"""One training run, from its data to its published model, with a summary however it ends."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from enum import Enum
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, NoReturn

from data_sources import DataSource, DataSourceError, reads_sample
from data_sources.paths import is_special, is_there
from training.runs.artifacts import card_path, metadata_path, page_path
from training.runs.comparison import COMPARISON_VARIABLE, ComparisonRequest
from training.runs.distributed import all_do, first_says, is_first
from training.runs.errors import ArtifactError, TrainingError
from training.runs.files import to_json
from training.runs.job import SourceChoice, TrainingJob
from training.runs.models import MODELS
from training.runs.outputs import check_output, check_paths_differ, write_output
from training.runs.process import PARENT, Stopped, check_address_space, execute, failure_line
from training.runs.progress import Progress
from training.runs.sample import OF_SAMPLE
from training.runs.summary import Status, TrainingSummary
from training.runs.tensorboard import check_tensorboard, write_events
from training.runs.wording import utc_now

log = logging.getLogger("training")

_KEYS_OF_SUMMARY = {"timestamp", "model_type", "status", "errors"}  # of every version, production's own too
_LARGEST_SUMMARY = 1 << 24  # bytes

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


def run_training(
    job_type: type[TrainingJob[Any, Any]],
    *,
    json_input: str | None = None,
    data_source: str | None = None,
    strict: bool = False,
    summary_path: str | None = None,
    tensorboard: str | None = None,
    dry_run: bool = False,
    verbose: bool = False,
    **given: Any,
) -> NoReturn:
    """Run a training job as a process and exit: 0 trained or skipped, 1 failed with one line on standard error.

    Args:
        job_type: The job's class.
        json_input: The value of ``--json-input``.
        data_source: The value of ``--data-source``.
        strict: Whether the first unusable row is an error.
        summary_path: A file for the summary, which is written whether the run succeeds or fails.
        tensorboard: A folder for the losses and scores, as TensorBoard reads them.
        dry_run: Read and audit the data only.
        verbose: Log debug messages, and the traceback of a failure.
        given: The job's own flags by name; None means that a flag was not given.
    """
    path = Path(summary_path) if summary_path and is_first() else None
    source = SourceChoice(json_input, data_source, strict)
    events = Path(tensorboard) if tensorboard and is_first() else None
    training = Training(job_type, source, given, dry_run=dry_run, summary_path=path, events=events)

    def body() -> None:
        if path is not None:
            check_output(path)  # before training, not after it
        failure: BaseException | None = None
        try:
            training.perform()
        # A cron job needs a summary of every failure.
        except (Exception, KeyboardInterrupt, Stopped) as error:  # noqa: BLE001
            failure = error
        if path is not None and training.summary_place is not SummaryPlace.TAKEN:
            try:
                if training.summary_place is SummaryPlace.UNKNOWN:
                    _check_replaceable(path)
                write_output(path, to_json(training.summary().model_dump()))
            except ArtifactError as error:
                if failure is None:
                    raise
                log.error("%s", error)
        if failure is not None:
            raise TrainingError(training.message) from failure
        if training.saved:
            compare_if_asked(job_type.model_type, source)

    execute(
        body,
        verbose=verbose,
        log_file=job_type.log_file,
        result="messages" if dry_run and path is None else "file",
        memory_hint=MODELS[job_type.model_type].memory_hint,
        shares_work=job_type.shares_work,
    )


def _check_replaceable(path: Path) -> None:
    """Refuse a summary that would replace something else: what failed may not yet know its data and its model.

    Raises:
        ArtifactError: There is something else than a summary.
    """
    if is_special(path) or not is_there(path):
        return
    size = path.stat().st_size
    with suppress(OSError, ValueError, RecursionError):
        there = json.loads(path.read_bytes()) if 0 < size < _LARGEST_SUMMARY else None
        if size == 0 or (isinstance(there, dict) and there.keys() >= _KEYS_OF_SUMMARY):
            return
    raise ArtifactError(
        f"{path}: is no summary, and was not replaced by one, for the run failed before it knew which files it reads; "
        "remove it, or give --summary-path another path"
    )


def compare_if_asked(model_type: str, source: SourceChoice) -> None:
    """Score what was trained beside the live model, where the retraining manager asks for it.

    A failure is logged and no failure of the training: the manager compares in a process of its own then.
    """
    asked = os.environ.get(COMPARISON_VARIABLE)
    if not asked:
        return
    try:
        request = ComparisonRequest.model_validate_json(Path(asked).read_bytes())
        compare = import_module("training.compare")  # which is built on this module
        log.info("Comparing with %s", request.champion or "the baselines alone, there is no champion")
        compare.compare_and_write(model_type, compare.CompareOptions(source, **dict(request)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the model is trained
        log.warning("Note: not compared in this process: %s", failure_line(error))


class SummaryPlace(Enum):
    """What is known of the path of a run's summary."""

    UNKNOWN = "unknown"  # the run has not got to its check
    TAKEN = "taken"  # by a file that the run reads or writes
    FREE = "free"


class Training:
    """One run of a job. ``summary()`` describes it at any time.

    Args:
        job_type: The job's class.
        source: Where the data is.
        given: The job's own flags by name.
        dry_run: Read and audit the data only.
        summary_path: Where the summary will be written.
        events: A folder for TensorBoard.

    Attributes:
        status: ``success`` until the run fails or is skipped.
        message: How the run ended, in one line.
        saved: Whether the model was published.
        summary_place: Whether the summary may be written at its path.
    """

    def __init__(
        self,
        job_type: type[TrainingJob[Any, Any]],
        source: SourceChoice,
        given: Mapping[str, Any],
        *,
        dry_run: bool = False,
        summary_path: Path | None = None,
        events: Path | None = None,
    ) -> None:
        self.job_type = job_type
        self.summary_place = SummaryPlace.UNKNOWN
        self._summary_path, self._events = summary_path, events
        self.job: TrainingJob[Any, Any] | None = None
        self.dry_run = dry_run
        self._choice, self._given = source, given
        self.status: Status = "success"
        self.saved = False
        self.message = ""
        self.errors: list[str] = []
        self.notes: list[str] = []
        self.metrics: dict[str, Any] = {}
        self.audit: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self.source: DataSource | None = None
        self._started = time.perf_counter()

    def perform(self) -> None:
        """Run the job's stages. ``message`` says in one line how it ended, also if a stage raises."""
        try:
            self._perform()
        except (Exception, KeyboardInterrupt, Stopped) as error:
            left = " after the model was saved" if self.saved else "; nothing was published and the model that was "
            left += "" if self.saved else "there is untouched"
            self.status = "failed"
            self.message = failure_line(error, MODELS[self.job_type.model_type].memory_hint, left)
            self.message += "" if self.saved or self.job is None else self.job.resume_hint()
            self.errors.append(self.message)
            raise

    def _check_paths_differ(self, job: TrainingJob[Any, Any]) -> None:
        """Refuse to write over the data, or the summary over the model."""
        model = job.model_path
        self.summary_place = SummaryPlace.TAKEN  # until it is known to be free
        metadata = metadata_path(model) if model.name else None  # a folder is refused later, by name
        page, card = (page_path(model), card_path(model)) if model.name else (None, None)
        kept = {"data": self._choice.path, **job.other_inputs()}
        written = {"model": model, "metadata": metadata, "page": page, "card": card, "summary": self._summary_path}
        check_paths_differ(self.source, kept=kept, **written)
        self.summary_place = SummaryPlace.FREE

    def _perform(self) -> None:
        if not self.dry_run:
            check_address_space(self.job_type.model_type)
        if self._events is not None:
            check_tensorboard(self._events)
        job = self.job = self.job_type(self._choice, self._given)
        self.config = job.config
        source = self.source = job.open()
        self._check_paths_differ(job)
        skipped = first_says(all_do(lambda: job.check_target(self.dry_run)))
        if skipped is not None:
            self.status, self.message = "skipped", skipped
            log.info("%s", skipped)
            return
        with ExitStack() as stack:
            if not self.dry_run:  # of several processes, the first holds the model for all
                all_do(lambda: stack.enter_context(job.alone()) if is_first() else None)
            self._train_and_publish(job, source)

    def _train_and_publish(self, job: TrainingJob[Any, Any], source: DataSource) -> None:
        with Progress("Reading", unit="row", counted=lambda: sum(source.report.read.values())):
            rows = job.read(source)
        audit = job.audit(rows)
        self.audit, self.notes = audit.model_dump(mode="json"), [*source.report.notes, *audit.cannot_show]
        log_source(source)
        job.audited = [*job.audit_lines(audit)]
        for line in job.audited:
            log.info("%s", line)
        job.check_audit(audit, source.report.where)
        if self.dry_run:
            self.message = "dry run: the data was read and audited, nothing was trained"
            log.info("Dry run: nothing was trained.")
            return
        kept = first_says(all_do(lambda: job.keep_model(audit)))
        if kept is not None:
            self.status, self.message = "skipped", kept
            log.warning("%s", kept)
            return
        with Progress("Training"):
            trained = job.train(rows)
        if not is_first():  # one of several processes publishes
            return
        self.metrics, self.config = trained.metrics, trained.config
        self.notes += trained.notes
        published = job.publish(trained, self.summary())
        self.saved, self.message = True, published.message
        if self._events is not None:
            write_events(self._events, trained.history, trained.metrics)
        job.move_names()
        for line in trained.lines:
            log.info("%s", line)
        if PARENT not in os.environ:  # the manager moves the files, and says where they are then
            log.info("Saved: %s", ", ".join(published.paths))

    def summary(self) -> TrainingSummary:
        """The summary of the run so far."""
        return TrainingSummary(
            timestamp=utc_now("seconds"),
            model_type=self.job_type.model_type,
            status=self.status,
            metrics=self.metrics,
            model_path=None if self.job is None else str(self.job.model_path),
            training_time_seconds=round(time.perf_counter() - self._started, 3),
            errors=self.errors,
            dry_run=self.dry_run,
            message=self.message,
            source={} if self.source is None else described_source(self.source),
            load_report={} if self.source is None else self.source.report.as_dict(),
            data_fingerprint=self.audit.get("fingerprint"),
            audit=self.audit,
            config=self.config,
            versions=versions(),
            threads=threads(),
            notes=self.notes,
        )


def provenance(summary: TrainingSummary, split: dict[str, Any], trained_on: str) -> dict[str, Any]:
    """What a model file says about its own training: configuration, data, scores, split and versions."""
    return {
        "config": summary.config,
        "data_fingerprint": summary.data_fingerprint,
        "audit": summary.audit,
        "metrics": summary.metrics,
        "split": split,
        "trained_on": trained_on,
        "versions": summary.versions,
    }


def described_source(source: DataSource) -> dict[str, Any]:
    """A source's description; why it was chosen, if no flag named it; and whether it is the shipped sample, if so."""
    chosen: dict[str, Any] = {} if source.choice is None else {"choice": source.choice}
    if reads_sample(source):
        chosen[OF_SAMPLE] = True
    try:
        return {**source.safe_description(), **chosen}
    except DataSourceError as error:  # the fault of a package, which must not cost the summary
        return {"type": type(source).__name__, "location": str(error), **chosen}


def log_source(source: DataSource) -> None:
    """Log where the rows are from, and why some could not be used."""
    report = source.report
    log.info("Source: %s", report.where)
    for reason in report.reasons:
        log.warning("Left out: %s", reason)
    more = sum(report.rejected.values()) - len(report.reasons)
    if more > 0:
        log.warning("Left out: %d more", more)


def versions() -> dict[str, str]:
    """Versions of Python, the platform, and the installed packages that a result depends on."""
    found = {"python": platform.python_version(), "platform": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def threads() -> int | None:
    """How many threads torch computes with in this process; None where it is not loaded."""
    torch: Any = sys.modules.get("torch")
    return None if torch is None else int(torch.get_num_threads())
