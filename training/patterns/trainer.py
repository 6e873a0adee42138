"""Choose, fit, calibrate and judge a pattern model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from data_sources import PatternRow
from training.judging.metrics import Array, average_precision, expected_calibration_error, reliability, roc_auc
from training.judging.splits import MIN_ENTITIES, assign_parts, count_parts, unit_digests
from training.patterns.model import (
    BASE_RATE,
    CANDIDATES,
    FOLDS,
    MIN_FOR_TREES,
    PatternModel,
    calibrated,
    columns_of,
    make_encoder,
)
from training.runs.errors import TrainingError


@dataclass(frozen=True)
class TrainedPatterns:
    """A trained model, what it scores, how the entities were split, and which it saw (``splits.unit_digests``)."""

    model: PatternModel
    metrics: dict[str, Any]
    split: dict[str, Any]
    trained_on: str


def train_patterns(rows: Sequence[PatternRow], seed: int = 0) -> TrainedPatterns:
    """Choose, fit, calibrate and judge. The order of the rows does not matter.

    Args:
        rows: Detections; those without a ground truth are left out.
        seed: Of the folds and the trees.

    Raises:
        TrainingError: No row has a ground truth.
    """
    judged, in_test, described = split_by_entity(rows)
    label = np.array([bool(row.genuine) for row in judged])
    held_out = described["strategy"] != "none"
    learnt = np.flatnonzero(~in_test)
    model, compared = fit([judged[i] for i in learnt], seed)
    name, measured = ("test", np.flatnonzero(in_test)) if held_out else ("in_sample", learnt)
    metrics = {
        "chosen": model.chosen,
        name: judge(model, [judged[i] for i in measured], base_rate=float(label[learnt].mean())),
        "cross_validation": compared,
    }
    trained_on = unit_digests(judged[i].entity_id for i in learnt)
    return TrainedPatterns(model, metrics, described, trained_on)


def split_by_entity(rows: Sequence[PatternRow]) -> tuple[list[PatternRow], npt.NDArray[np.bool_], dict[str, Any]]:
    """The rows with a ground truth in a fixed order, which of them are held out, and why so.

    Raises TrainingError where there is none.
    """
    judged = sorted((row for row in rows if row.genuine is not None), key=lambda row: row.model_dump_json())
    if not judged:
        raise TrainingError(f"none of {len(rows)} patterns has a ground truth; there is nothing to learn from")
    part_of = assign_parts({row.entity_id for row in judged})
    held_out = len(part_of) >= MIN_ENTITIES
    # Folds inside the training part do what a validation part would.
    in_test = np.array([held_out and part_of[row.entity_id] == "test" for row in judged])
    return judged, in_test, _describe_split(held_out, len(part_of), part_of, in_test)


def _describe_split(held_out: bool, entities: int, part_of: Mapping[str, Any], in_test: Any) -> dict[str, Any]:
    if not held_out:
        reason = f"{entities} entities, fewer than {MIN_ENTITIES}: nothing is held out and every score is in-sample"
        return {"strategy": "none", "reason": reason, "rows": {"train": len(in_test), "test": 0}}
    units = count_parts(part_of)
    return {
        "strategy": "entity",
        "reason": f"{entities} entities: those held out are in no row that is trained on",
        "units": {"train": units["train"] + units["validation"], "test": units["test"]},
        "rows": {"train": int((~in_test).sum()), "test": int(in_test.sum())},
    }


def fit(rows: Sequence[PatternRow], seed: int = 0) -> tuple[PatternModel, dict[str, Any]]:
    """The candidate of least cross-validated log loss, fitted on all rows, and what each candidate scored.

    Every row has a ground truth; nothing is held out beyond the folds.
    """
    # More threads gain little on such tables, lose much on a busy machine, and round otherwise.
    with threadpool_limits(1):
        return _choose(rows, np.array([bool(row.genuine) for row in rows]), seed)


def _choose(rows: Sequence[PatternRow], label: Any, seed: int) -> tuple[PatternModel, dict[str, Any]]:
    constant = float(label.mean())
    folds, grouped_by = _folds(rows, label, seed)
    if not folds:
        return PatternModel(BASE_RATE, constant), {}
    prior = np.zeros(len(rows))
    for learnt, measured in folds:
        prior[measured] = label[learnt].mean()
    losses = {BASE_RATE: float(log_loss(label, prior))}
    compared = {BASE_RATE: scores_of(prior, label)}
    # No label is looked at, so one fit serves every fold.
    encoders = {linear: make_encoder(linear=linear) for linear in (True, False)}
    encoded = {linear: encoders[linear].fit_transform(columns_of(rows, linear=linear)) for linear in encoders}
    calibrations: dict[str, LogisticRegression] = {}
    for name, candidate in CANDIDATES.items():
        if not candidate.linear and len(rows) < MIN_FOR_TREES:
            continue
        x, log_odds = encoded[candidate.linear], np.zeros(len(rows))
        for learnt, measured in folds:
            log_odds[measured] = candidate.classifier(seed).fit(x[learnt], label[learnt]).decision_function(x[measured])
        # Nearly without a penalty, but perfect folds must not make it endlessly steep. ``judging.calibration`` says why
        # it does not serve here.
        calibrations[name] = LogisticRegression(C=100.0).fit(log_odds.reshape(-1, 1), label)
        probability = calibrated(calibrations[name], log_odds)
        compared[name] = scores_of(probability, label)
        if calibrations[name].coef_[0, 0] > 0:  # else the folds say that it is worse than no model
            # Two numbers of the calibration were fitted on these rows (Akaike, 1974).
            losses[name] = float(log_loss(label, probability)) + 2 / len(rows)
    chosen = min(losses, key=lambda name: losses[name])
    described = {"folds": len(folds), "grouped_by": grouped_by, "candidates": compared}
    if chosen == BASE_RATE:
        return PatternModel(BASE_RATE, constant), described
    linear = CANDIDATES[chosen].linear
    classifier = CANDIDATES[chosen].classifier(seed).fit(encoded[linear], label)
    pipeline = Pipeline([("columns", encoders[linear]), ("classifier", classifier)])
    return PatternModel(chosen, constant, pipeline, calibrations[chosen]), described


def _folds(rows: Sequence[PatternRow], label: Any, seed: int) -> tuple[list[tuple[Any, Any]], str]:
    """(learnt, measured) row numbers: by entity, else by row where no two entities have each outcome; else none."""
    index = {entity: i for i, entity in enumerate(sorted({row.entity_id for row in rows}))}
    by_entity = np.array([index[row.entity_id] for row in rows])
    for groups, grouped_by in ((by_entity, "entity"), (np.arange(len(rows)), "row")):
        count = min(FOLDS, len(np.unique(groups[label])), len(np.unique(groups[~label])))
        if count < 2:
            continue
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        folds = list(splitter.split(groups, label, groups))
        if all(len(np.unique(label[learnt])) == 2 for learnt, _ in folds):
            return folds, grouped_by
    return [], ""


def judge(model: PatternModel, rows: Sequence[PatternRow], base_rate: float) -> dict[str, Any]:
    """Scores of the model, of the base rate and of the detector's own confidence on the same rows."""
    label = np.array([bool(row.genuine) for row in rows])
    probability = model.score(rows)
    return {
        "rows": len(rows),
        "entities": len({row.entity_id for row in rows}),
        "genuine_share": _number(float(label.mean())),
        "model": scores_of(probability, label),
        "baselines": {
            "base_rate": scores_of(np.full(len(rows), base_rate), label),
            "confidence": scores_of(np.array([row.confidence for row in rows]), label),
        },
        "reliability": reliability(probability, label.astype(np.float64)),
    }


def scores_of(probability: Array, label: Any) -> dict[str, float | None]:
    """Brier score (Brier, 1950) and calibration error: less is better; average precision and AUC: more is better."""
    truth = label.astype(np.float64)
    positive, negative = probability[label], probability[~label]
    return {
        "brier": _number(float(np.square(probability - truth).mean())),
        "average_precision": _number(average_precision(positive, negative)),
        "roc_auc": _number(roc_auc(positive, negative)),
        "ece": _number(expected_calibration_error(probability, truth, np.ones(len(truth)))),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
