"""The routine model's training: read, audit, train, judge, publish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from training.routines.audit import RoutineAudit, audit_routines
from training.routines.config import RoutineConfig
from training.routines.report import verdict
from training.routines.trainer import TrainedRoutines, train_routines

from data_sources import DataSource
from data_sources.records import RoutineRow
from training.judging.splits import unit_digests
from training.runs import artifacts
from training.runs.job import Published, SourceChoice, Trained, TrainingJob
from training.runs.publishing import check_writable
from training.runs.run import provenance
from training.runs.settings import read_config
from training.runs.summary import TrainingSummary


class RoutineJob(TrainingJob[list[RoutineRow], TrainedRoutines]):
    """The training of the routine model on uses of entities."""

    model_type = RoutineRow.kind

    def __init__(self, source: SourceChoice, given: Mapping[str, Any]) -> None:
        self.source, self.routine = source, read_config(RoutineConfig, given)
        self.model_path = self.routine.model_path
        self.config = {"minimum_uses": self.routine.minimum_uses}

    def open(self) -> DataSource:
        """The source that the flags name."""
        return self.source.open(self.model_type)

    def check_target(self, dry_run: bool) -> None:
        """The model's place has to be writable."""
        if not dry_run:
            check_writable(self.model_path)

    def read(self, source: DataSource) -> list[RoutineRow]:
        """The rows, sorted: no source promises an order."""
        return sorted(source.read(RoutineRow), key=lambda row: (row.day, row.entity_id, row.hour))

    def audit(self, rows: list[RoutineRow]) -> RoutineAudit:
        """Uses and entities."""
        return audit_routines(rows)

    def audit_lines(self, audit: RoutineAudit) -> Iterable[str]:
        """The counts, then what they cannot show."""
        yield f"Data: {audit.rows} uses of {audit.entities} entities"
        yield from (f"Note: {line}" for line in audit.cannot_show)

    def train(self, rows: list[RoutineRow]) -> Trained[TrainedRoutines]:
        """The commonest hours, judged on days that are held out."""
        result = train_routines(rows, self.routine.minimum_uses)
        sentence = verdict(result.metrics)
        return Trained(result, result.metrics, self.config, notes=[sentence], lines=[result.split["reason"], sentence])

    def publish(self, trained: Trained[TrainedRoutines], summary: TrainingSummary) -> Published:
        """The model file and its metadata."""
        result = trained.model
        described = provenance(summary, result.split, unit_digests(result.days))
        content = replace(result.model, provenance=described).to_bytes()
        published = artifacts.publish(self.model_path, content, summary.model_dump(mode="json"), {})
        paths = [str(self.model_path.parent / name) for name in published["files"]]
        return Published(f"trained on {summary.audit['rows']} uses, saved to {self.model_path}", paths)
