"""The pattern detection job: read, audit, train, judge, publish."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import PatternRow, open_source
from training.patterns.audit import audit_patterns
from training.patterns.report import audit_lines, plot_reliability, score_lines, verdict
from training.runs import artifacts
from training.runs.errors import TrainingError
from training.runs.run import Run, log_source, utc_now

if TYPE_CHECKING:
    from training.patterns.trainer import Result


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PatternOptions:
    """The command line; None means not given."""

    json_input: str | None = None
    data_source: str | None = None
    strict: bool = False
    model_path: str = "models/pattern_detection.skops"
    seed: int = 0


def train_pattern_detection(run: Run, options: PatternOptions) -> None:
    """The job, filling in ``run``. Raises DataSourceError or TrainingError with one line for a person."""
    path = Path(options.model_path)
    run.config, run.model_path = {"seed": options.seed}, path
    source = open_source(
        json_input=options.json_input, data_source=options.data_source, strict=options.strict, kind=PatternRow.kind
    )
    run.source = source
    if not run.dry_run:
        artifacts.check_writable(path)
    rows = list(source.read(PatternRow))
    audit = audit_patterns(rows)
    run.audit, run.notes = audit.model_dump(mode="json"), [*source.report.notes, *audit.cannot_show]
    log_source(source)
    for line in audit_lines(audit):
        log.info("%s", line)
    if not audit.judged_rows:
        raise TrainingError(
            f"{source.report.where}: none of {len(rows)} rows has a ground truth, so nothing says which patterns are "
            "genuine; give rows with ground_truth.expected_pattern (docs/data.md)"
        )
    if run.dry_run:
        run.end_dry()
        return
    _train_and_publish(run, rows, options.seed, path)


def _train_and_publish(run: Run, rows: Sequence[PatternRow], seed: int, path: Path) -> None:
    from training.patterns.trainer import train

    result = train(rows, seed)
    judgement = verdict(result.metrics)
    run.metrics = result.metrics
    run.notes.append(judgement)
    provenance = run.provenance(result.split, result.trained_on)
    image = plot_reliability(result.metrics)
    published = artifacts.publish(
        path,
        replace(result.model, provenance=provenance).to_bytes(),
        _metadata(run, result),
        {} if image is None else {f"{path.stem}_reliability.png": image},
    )
    run.saved = True
    log.info("Split: %s", result.split["reason"])
    for line in (*score_lines(result.metrics), judgement):
        log.info("%s", line)
    run.message = f"trained on {result.split['rows']['train']} rows ({result.model.chosen}), saved to {path}"
    log.info("Saved: %s", ", ".join(str(path.parent / name) for name in published["files"]))


def _metadata(run: Run, result: Result) -> dict[str, Any]:
    return {
        "training_date": utc_now(),
        "model_type": run.model_type,
        "chosen": result.model.chosen,
        **run.summary().model_dump(include={"source", "data_fingerprint", "audit", "load_report", "versions"}),
        "config": run.config,
        "split": result.split,
        "metrics": run.metrics,
        "notes": run.notes,
    }
