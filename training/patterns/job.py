"""The pattern detection job: read, audit, train, evaluate, publish."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from data_sources import DataSource, PatternRow
from data_sources.counting import many
from training.patterns.audit import PatternAudit, audit_patterns
from training.patterns.config import PatternConfig, PatternOptions
from training.patterns.report import audit_lines, plot_reliability, score_lines, verdict
from training.patterns.rows import PatternRows
from training.runs import artifacts
from training.runs.errors import TrainingError
from training.runs.job import Published, SourceChoice, Trained, TrainingJob
from training.runs.model_card import model_card
from training.runs.run import provenance
from training.runs.settings import read_config
from training.runs.summary import TrainingSummary

if TYPE_CHECKING:
    from training.patterns.trainer import TrainedPatterns


class PatternJob(TrainingJob[PatternRows, "TrainedPatterns"]):
    """Trains the pattern model on detections with a ground truth."""

    model_type = PatternRow.kind

    def __init__(self, source: SourceChoice, given: Mapping[str, Any]) -> None:
        self.source = source
        self.config = read_config(PatternConfig, given).model_dump()
        self.model_path = read_config(PatternOptions, given).model_path

    def open(self) -> DataSource:
        """The source that the flags name."""
        return self.source.open(self.model_type)

    def check_target(self, dry_run: bool) -> None:
        """Refuse a model path that cannot be written; a dry run writes nothing."""
        if not dry_run:
            artifacts.check_model_path(self.model_path)

    def read(self, source: DataSource) -> PatternRows:
        """All rows; training sorts them."""
        return PatternRows(source.read(PatternRow))

    def audit(self, rows: PatternRows) -> PatternAudit:
        """Count rows, labels, entities and homes, and say what they cannot show."""
        return audit_patterns(rows)

    def audit_lines(self, audit: PatternAudit) -> Iterable[str]:
        """The counts, then what they cannot show, one line each."""
        return audit_lines(audit)

    def check_audit(self, audit: PatternAudit, where: str) -> None:
        """Refuse rows without any ground truth: nothing can be learned from them."""
        if not audit.judged_rows:
            raise TrainingError(
                f"{where}: none of {many(audit.rows, 'row')} has a ground truth, so nothing says which patterns are "
                "genuine; give rows with ground_truth.expected_pattern (docs/reference/data-formats.md)"
            )

    def train(self, rows: PatternRows) -> Trained[TrainedPatterns]:
        """Choose a model by cross-validation, fit it, and evaluate it on held-out entities."""
        from training.patterns.trainer import train_patterns

        result = train_patterns(rows, self.config["seed"])
        sentence = verdict(result.metrics)
        return Trained(
            model=result,
            metrics=result.metrics,
            config=self.config,
            notes=[sentence],
            lines=[f"Split: {result.split['reason']}", *score_lines(result.metrics), sentence],
        )

    def publish(self, trained: Trained[TrainedPatterns], summary: TrainingSummary) -> Published:
        """Write the model file, its metadata, page and card and, if matplotlib is installed, a reliability plot."""
        from training.patterns.page import page_of

        result, path = trained.model, self.model_path
        model = replace(result.model, provenance=provenance(summary, result.split, result.trained_on))
        image = plot_reliability(result.metrics)
        metadata = {
            "training_date": summary.timestamp,
            "model_type": summary.model_type,
            "chosen": model.chosen,
            **summary.model_dump(include={"source", "data_fingerprint", "audit", "load_report", "versions"}),
            "config": summary.config,
            "split": result.split,
            "metrics": summary.metrics,
            "notes": summary.notes,
        }
        card = model_card(
            summary,
            "Pattern detection",
            "It says whether a usage pattern that was detected is genuine, as a calibrated probability "
            f"({model.chosen}).",
            score_lines(result.metrics),
            library_name="sklearn",
        )
        extras = {
            artifacts.page_path(path).name: page_of(result, summary, self.audited),
            artifacts.card_path(path).name: card.encode(),
        }
        if image is not None:
            extras[f"{path.stem}_reliability.png"] = image
        published = artifacts.publish(path, model.to_bytes(), metadata, extras)
        return Published(
            f"trained on {many(result.split['rows']['train'], 'row')} ({model.chosen}), saved to {path}",
            [*(str(path.parent / name) for name in published["files"]), str(artifacts.metadata_path(path))],
        )
