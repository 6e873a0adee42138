"""What a training job is, whatever it learns: the stages that ``runs.run`` takes every model through."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from data_sources import DataSource, KindName, open_source
from training.runs.summary import TrainingSummary

Rows = TypeVar("Rows")
Model = TypeVar("Model")


class Audit(Protocol):
    """What is said of the data before training: counts, a fingerprint, and what they cannot show."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the records, whatever their order and their source."""
        ...

    @property
    def cannot_show(self) -> tuple[str, ...]:
        """Sentences about what the data cannot support."""
        ...

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """The counts as JSON."""
        ...


@dataclass(frozen=True)
class SourceChoice:
    """Where the data is, as the flags say it; with none of them, production."""

    json_input: str | None = None
    data_source: str | None = None
    strict: bool = False

    def open(self, kind: KindName, max_samples: int | None = None) -> DataSource:
        """The source of one kind of records. Raises DataSourceError."""
        return open_source(
            json_input=self.json_input,
            data_source=self.data_source,
            strict=self.strict,
            kind=kind,
            max_samples=max_samples,
        )


@dataclass(frozen=True)
class Trained(Generic[Model]):
    """What the training stage gives.

    Attributes:
        model: The wing's own result, ready to be published.
        metrics: The scores, for the summary and the metadata.
        config: The configuration as it was used, for the same.
        notes: Plain words that the training and its scores call for.
        lines: The closing lines of the log: the split, the table of scores, the verdict.
    """

    model: Model
    metrics: dict[str, Any]
    config: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Published:
    """What the publishing stage gives: one sentence, and the paths that were written."""

    message: str
    paths: list[str]


class TrainingJob(ABC, Generic[Rows, Model]):
    """One training. Each stage returns a value; ``runs.run.Training`` calls them in this order and keeps the summary.

    Making the job and every stage may raise DataSourceError or TrainingError with one line for a person.

    Attributes:
        model_type: The model's name, as the manager and production know it.
        log_file: A file in the working directory that gets every message, or None.
        memory_hint: What to do where memory runs out.
        config: The configuration, for the summary.
        model_path: Where the model goes.
    """

    model_type: ClassVar[KindName]
    log_file: ClassVar[str | None] = None
    memory_hint: ClassVar[str] = "train on less data"
    config: dict[str, Any]
    model_path: Path

    @abstractmethod
    def __init__(self, source: SourceChoice, given: Mapping[str, Any]) -> None:
        """``given`` are the job's own flags by name; None means that a flag was not given."""

    @abstractmethod
    def open(self) -> DataSource:
        """The source that the flags name."""

    @abstractmethod
    def check_target(self, dry_run: bool) -> str | None:
        """Refuse a place that cannot be written, before anything is read.

        Returns:
            Why there is nothing to do, where that is so: the run ends as skipped.
        """

    @abstractmethod
    def read(self, source: DataSource) -> Rows:
        """The records to learn from, in an order that does not depend on the source's."""

    @abstractmethod
    def audit(self, rows: Rows) -> Audit:
        """What the records can and cannot support."""

    @abstractmethod
    def audit_lines(self, audit: Any) -> Iterable[str]:
        """The audit in words."""

    def check_audit(self, audit: Any, where: str) -> None:
        """Refuse records that nothing can be learnt from; ``where`` says where they are from."""

    @abstractmethod
    def train(self, rows: Rows) -> Trained[Model]:
        """Train and judge."""

    @abstractmethod
    def publish(self, trained: Trained[Model], summary: TrainingSummary) -> Published:
        """Write the model; ``summary`` is what is known of the run so far, for its metadata."""

    def move_names(self) -> None:
        """Let names that move, such as ``latest``, point at what was published."""

    def resume_hint(self) -> str:
        """How a run that failed or was stopped can be resumed; empty where it cannot."""
        return ""
