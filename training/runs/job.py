"""The stages of a training job, which are the same for every model; ``runs.run`` calls them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from data_sources import HOME_ASSISTANT, WHOLE, DataSource, KindName, Shard, expand_variable, open_source
from data_sources.paths import is_file, is_special
from training.runs.artifacts import training_of
from training.runs.summary import TrainingSummary

STDIN = "-"
_OWN_DESCRIPTORS = ("/dev/stdin", "/dev/fd/", "/proc/self/")  # another process has others under these names

Rows = TypeVar("Rows")
Model = TypeVar("Model")


class Audit(Protocol):
    """The result of counting the data before training."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the records; it does not depend on their order or source."""
        ...

    @property
    def cannot_show(self) -> tuple[str, ...]:
        """What the data cannot show, one sentence each."""
        ...

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """The counts as JSON."""
        ...


@dataclass(frozen=True)
class SourceChoice:
    """The source flags of a command. Without any, the source is production's.

    Attributes:
        json_input: The value of ``--json-input``.
        data_source: The value of ``--data-source``.
        strict: Whether the first unusable row is an error.
    """

    json_input: str | None = None
    data_source: str | None = None
    strict: bool = False

    @property
    def named(self) -> bool:
        """Whether a flag names the source."""
        return self.json_input is not None or self.data_source is not None

    @property
    def path(self) -> str | None:
        """The file or folder that is read, where the source is one; else None."""
        named = self.json_input or expand_variable(self.data_source or "").removeprefix(f"{HOME_ASSISTANT}:")
        return named if named and named != "-" and is_file(named) else None

    @property
    def readable_once(self) -> str | None:
        """What is named, where this process alone can read it, and only once: standard input, a pipe, a device."""
        for named in (self.json_input, self.data_source):
            path = expand_variable(named or "").removeprefix(f"{HOME_ASSISTANT}:").removeprefix("file://")
            if path == STDIN or path.startswith(_OWN_DESCRIPTORS) or is_special(Path(path)):
                return path
        return None

    def open(self, kind: KindName, max_samples: int | None = None, shard: Shard = WHOLE) -> DataSource:
        """Open one part of the source for one kind of records, of which at most ``max_samples`` are read.

        Raises:
            DataSourceError: There is no such source, or it cannot be reached.
        """
        return open_source(
            json_input=self.json_input,
            data_source=self.data_source,
            strict=self.strict,
            kind=kind,
            max_samples=max_samples,
            shard=shard,
        )


@dataclass(frozen=True)
class Trained(Generic[Model]):
    """The result of the training stage.

    Attributes:
        model: The wing's own result, ready to be published.
        metrics: The scores, for the summary and the metadata.
        config: The configuration that was used, for the summary and the metadata.
        notes: Sentences for the summary, such as the verdict.
        lines: The last lines of the log: the split, the table of scores, the verdict.
        history: What was measured in each epoch; [] where there are none.
    """

    model: Model
    metrics: dict[str, Any]
    config: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    history: Sequence[Mapping[str, float]] = ()


@dataclass(frozen=True)
class Published:
    """The result of the publishing stage: one sentence for the summary, and the paths that were written."""

    message: str
    paths: list[str]


class TrainingJob(ABC, Generic[Rows, Model]):
    """One training. ``runs.run.Training`` calls its stages in the order below and keeps the summary.

    The constructor and every stage may raise DataSourceError or TrainingError, whose text is one line for a person.

    Attributes:
        model_type: The model's name, as the manager and production know it.
        log_file: A file in the working directory that gets every message, or None.
        shares_work: Whether processes that torchrun starts train together; else the first trains alone.
        config: The configuration, for the summary.
        model_path: Where the model is published.
        audited: The lines of ``audit_lines``, once the records are audited.
    """

    model_type: ClassVar[KindName]
    log_file: ClassVar[str | None] = None
    shares_work: ClassVar[bool] = False
    config: dict[str, Any]
    model_path: Path
    audited: Sequence[str] = ()

    @abstractmethod
    def __init__(self, source: SourceChoice, given: Mapping[str, Any]) -> None:
        """``given`` holds the values of the job's own flags by name; None means that a flag was not given."""

    @abstractmethod
    def open(self) -> DataSource:
        """Open the source that the flags name."""

    @abstractmethod
    def check_target(self, dry_run: bool) -> str | None:
        """Refuse a model path that cannot be written, before anything is read.

        Returns:
            Why there is nothing to do, in which case the run ends as skipped; else None.
        """

    def alone(self) -> AbstractContextManager[None]:
        """Keep other processes from training the same model meanwhile. Raises ArtifactError where one does."""
        return training_of(self.model_path)

    def other_inputs(self) -> Mapping[str, Path | None]:
        """The files beside the data that the job reads, by what they are; nothing may be written over them."""
        return {}

    @abstractmethod
    def read(self, source: DataSource) -> Rows:
        """Read the records to train on."""

    @abstractmethod
    def audit(self, rows: Rows) -> Audit:
        """Count the records, and say what they cannot show."""

    @abstractmethod
    def audit_lines(self, audit: Any) -> Iterable[str]:
        """The audit in words, one line each."""

    def check_audit(self, audit: Any, where: str) -> None:
        """Refuse records that no model can be trained on; ``where`` names their source."""

    def keep_model(self, audit: Any) -> str | None:  # noqa: ARG002
        """Why the model that is there is better kept than replaced by one of this data; the run ends as skipped."""
        return None

    @abstractmethod
    def train(self, rows: Rows) -> Trained[Model]:
        """Train a model and evaluate it."""

    @abstractmethod
    def publish(self, trained: Trained[Model], summary: TrainingSummary) -> Published:
        """Write the model. ``summary`` describes the run so far, for the metadata."""

    def move_names(self) -> None:
        """Point moving names, such as ``latest``, at the published model."""

    def resume_hint(self) -> str:
        """How a failed or stopped run can be resumed; empty if it cannot."""
        return ""
