"""The pattern detection job: read, audit, train, judge, publish."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import PatternRow, open_source
from training import artifacts, report
from training.audit import PatternAudit, audit_patterns
from training.errors import TrainingError
from training.run import Run, log_source, utc_now

if TYPE_CHECKING:
    from training.pattern_detection import Result

log = logging.getLogger("training.pattern_detection")


_NAMES = {"model": "this model", "base_rate": "base rate", "confidence": "detector's confidence"}
_COLUMNS = {"brier": "Brier", "average_precision": "AP", "roc_auc": "AUC", "ece": "calib. error"}


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
    from training.pattern_detection import train

    result = train(rows, seed)
    judgement = verdict(result.metrics)
    run.metrics = result.metrics
    run.notes.append(judgement)
    provenance = run.provenance(result.split, result.trained_on)
    image = report.plot_reliability(result.metrics)
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


def audit_lines(audit: PatternAudit) -> Iterable[str]:
    """The counts on two lines, then what they cannot show."""
    share = "" if audit.genuine_share is None else f" ({audit.genuine_share:.1%} genuine)"
    yield (
        f"Data: {audit.rows} rows, {audit.judged_rows} with a ground truth{share}, {audit.entities} entities, "
        f"{audit.homes} named homes, {audit.duplicate_rows} repeated rows"
    )
    yield "      " + ", ".join(f"{name} {count}" for name, count in audit.pattern_types.items())
    for line in audit.cannot_show:
        yield f"Note: {line}"


def score_lines(metrics: dict[str, Any]) -> Iterable[str]:
    """What the candidates scored in cross-validation, then the closing table."""
    compared = metrics["cross_validation"]
    if compared:
        yield f"Cross-validation by {compared['grouped_by']}, {compared['folds']} folds of the training part"
        yield from _table(compared["candidates"], chosen=metrics["chosen"])
    measured = metrics.get("test") or metrics["in_sample"]
    title = "Held-out scores" if "test" in metrics else "In-sample scores (NOT held out)"
    yield f"{title}: {measured['rows']} rows of {measured['entities']} entities"
    yield from _table(
        {_NAMES[name]: row for name, row in [("model", measured["model"]), *measured["baselines"].items()]}
    )


def _table(rows: dict[str, dict[str, float | None]], chosen: str = "") -> Iterable[str]:
    width = max(map(len, rows))
    yield f"  {'':<{width}}  " + "  ".join(f"{title:>12}" for title in _COLUMNS.values())
    for name, row in rows.items():
        cells = "  ".join(f"{'-' if row[key] is None else format(row[key], '.3f'):>12}" for key in _COLUMNS)
        yield f"  {name:<{width}}  {cells}{'  <- chosen' * (name == chosen)}"


def verdict(metrics: dict[str, Any]) -> str:
    """One sentence: does the model beat the base rate and the detector's confidence?"""
    measured = metrics.get("test")
    if metrics["chosen"] == "base rate" and not metrics["cross_validation"]:
        share = (measured or metrics["in_sample"])["genuine_share"]
        return (
            f"Nothing could be learnt that tells genuine patterns from wrong ones: the constant {share:.3f} is saved."
        )
    if measured is None:
        return "Nothing was held out, so nothing is known of entities that were not seen."
    model, rivals = measured["model"], measured["baselines"]
    if model["average_precision"] is None:
        return "The patterns held out are of one class: too few to compare with the baselines."
    brier = min(row["brier"] for row in rivals.values())
    precision = max(row["average_precision"] for row in rivals.values())
    beats = "beats" if model["brier"] < brier and model["average_precision"] > precision else "does NOT beat"
    return (
        f"The model {beats} the base rate and the detector's confidence on held-out patterns: Brier score "
        f"{model['brier']:.3f} against {brier:.3f} (less is better), average precision "
        f"{model['average_precision']:.3f} against {precision:.3f}."
    )
