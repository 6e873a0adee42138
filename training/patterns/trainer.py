"""Choose, fit, calibrate and evaluate a pattern model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from data_sources import PatternRow
from data_sources.counting import many
from training.judging.intervals import interval_of, interval_of_mean
from training.judging.metrics import Array, ProbabilityBins, average_precision, precision_recall, roc_auc
from training.judging.splits import MIN_ENTITIES, assign_parts, count_parts, unit_digests
from training.patterns.effects import effects_of
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
from training.patterns.rows import PatternRows
from training.runs.errors import TrainingError

ENCODED_AT_ONCE = 50_000  # rows: DictVectorizer holds several times what it gives


@dataclass(frozen=True)
class TrainedPatterns:
    """A trained pattern model.

    Attributes:
        model: The model.
        metrics: ``chosen``, ``cross_validation``, ``effects`` (``effects_of``), and the scores under ``test``, or under
            ``in_sample`` if nothing is held out.
        split: How the entities were split, and why.
        trained_on: ``splits.unit_digests`` of the entities in the training part.
    """

    model: PatternModel
    metrics: dict[str, Any]
    split: dict[str, Any]
    trained_on: str


def train_patterns(rows: Iterable[PatternRow], seed: int = 0) -> TrainedPatterns:
    """Choose, fit, calibrate and evaluate a model. The order of the rows does not matter.

    Args:
        rows: Detections; those without a ground truth are left out.
        seed: Seed of the folds and the trees.

    Raises:
        TrainingError: No row has a ground truth.
    """
    labelled, in_test, described = split_by_entity(rows)
    held_out = described["strategy"] != "none"
    train = labelled.select(~in_test)
    model, compared = fit(train, seed)
    name, judged = ("test", labelled.select(in_test)) if held_out else ("in_sample", train)
    base_rate = float((train.genuine == 1).mean())
    metrics = {
        "chosen": model.chosen,
        name: {**evaluate_patterns(model, judged, base_rate), **curves_of(model, judged, base_rate)},
        "cross_validation": compared,
        "effects": effects_of(model, train, seed),
    }
    trained_on = unit_digests(set(train.entity_ids))
    return TrainedPatterns(model, metrics, described, trained_on)


def split_by_entity(rows: Iterable[PatternRow]) -> tuple[PatternRows, npt.NDArray[np.bool_], dict[str, Any]]:
    """Hold whole entities out for the test part.

    Returns:
        The ``n`` rows with a ground truth in a fixed order, a mask ``[n]`` of those in the test part, and a description
        of the split: ``strategy``, ``reason``, ``rows`` per part and, if any are held out, ``units``.

    Raises:
        TrainingError: No row has a ground truth.
    """
    table = PatternRows.of(rows)
    labelled = table.select(table.genuine >= 0).in_order()
    if not labelled:
        raise TrainingError(f"none of {len(table)} patterns has a ground truth; there is nothing to learn from")
    entity_ids = labelled.entity_ids
    part_of = assign_parts(set(entity_ids))
    held_out = len(part_of) >= MIN_ENTITIES
    # Cross-validation inside the training part replaces a validation part.
    in_test = np.array([held_out and part_of[entity] == "test" for entity in entity_ids])
    return labelled, in_test, _describe_split(held_out, len(part_of), part_of, in_test)


def _describe_split(held_out: bool, entities: int, part_of: Mapping[str, Any], in_test: Any) -> dict[str, Any]:
    if not held_out:
        reason = (
            f"{many(entities, 'entity')}, fewer than {MIN_ENTITIES}: nothing is held out and every score is in-sample"
        )
        return {"strategy": "none", "reason": reason, "rows": {"train": len(in_test), "test": 0}}
    units = count_parts(part_of)
    return {
        "strategy": "entity",
        "reason": f"{entities} entities: those held out are in no row that is trained on",
        "units": {"train": units["train"] + units["validation"], "test": units["test"]},
        "rows": {"train": int((~in_test).sum()), "test": int(in_test.sum())},
    }


def fit(rows: Iterable[PatternRow], seed: int = 0) -> tuple[PatternModel, dict[str, Any]]:
    """Choose the candidate with the lowest cross-validated log loss and fit it on all rows.

    Args:
        rows: Detections with a ground truth.
        seed: Seed of the folds and the trees.

    Returns:
        The model, and the cross-validation: ``folds``, ``grouped_by`` and the scores of each of the ``candidates``.
        It is empty if the rows allow no folds.
    """
    # More threads gain little on such tables, lose much on a busy machine, and round differently.
    with threadpool_limits(1):
        table = PatternRows.of(rows)
        return _choose(table, table.genuine == 1, seed)


def _choose(rows: PatternRows, label: Any, seed: int) -> tuple[PatternModel, dict[str, Any]]:
    constant = float(label.mean())
    folds, grouped_by = _folds(rows, label, seed)
    if not folds:
        return PatternModel(BASE_RATE, constant), {}
    prior = np.zeros(len(rows))
    for train, test in folds:
        prior[test] = label[train].mean()
    losses = {BASE_RATE: float(log_loss(label, prior))}
    compared = {BASE_RATE: scores_of(prior, label)}
    encoded = _Encoded(rows)
    calibrations: dict[str, LogisticRegression] = {}
    for name, candidate in CANDIDATES.items():
        if not candidate.linear and len(rows) < MIN_FOR_TREES:
            continue
        x, log_odds = encoded.by(linear=candidate.linear), np.zeros(len(rows))
        for train, test in folds:
            log_odds[test] = candidate.classifier(seed).fit(x[train], label[train]).decision_function(x[test])
        # A weak penalty: without one, perfect folds would make the slope infinite. ``judging.calibration`` says why it
        # does not serve here.
        calibrations[name] = LogisticRegression(C=100.0).fit(log_odds.reshape(-1, 1), label)
        probability = calibrated(calibrations[name], log_odds)
        compared[name] = scores_of(probability, label)
        if calibrations[name].coef_[0, 0] > 0:  # a falling curve means that the candidate is worse than no model
            # The two parameters of the calibration were fitted on these rows (AIC; Akaike, 1974).
            losses[name] = float(log_loss(label, probability)) + 2 / len(rows)
    chosen = min(losses, key=lambda name: losses[name])
    described = {"folds": len(folds), "grouped_by": grouped_by, "candidates": compared}
    if chosen == BASE_RATE:
        return PatternModel(BASE_RATE, constant), described
    x = encoded.by(linear=CANDIDATES[chosen].linear)
    classifier = CANDIDATES[chosen].classifier(seed).fit(x, label)
    pipeline = Pipeline([("columns", encoded.encoder), ("classifier", classifier)])
    return PatternModel(chosen, constant, pipeline, calibrations[chosen]), described


class _Encoded:
    """The rows as classifiers read them, those of one kind at a time: both would take twice the memory."""

    def __init__(self, rows: PatternRows) -> None:
        self._rows = rows
        self._linear: bool | None = None
        self._columns: Any = None
        self.encoder: Any = None  # which reads no label, so one fit serves every fold

    def by(self, *, linear: bool) -> Any:
        """``[n, d]`` the columns for a linear classifier, or for trees, of ``self.encoder``, fitted."""
        if self._linear is not linear:
            self._columns, self._linear, self.encoder = None, linear, make_encoder(linear=linear)
            if linear:
                self.encoder.fit(columns_of(self._rows, linear=True))
                starts = range(0, len(self._rows), ENCODED_AT_ONCE)
                parts = (self._rows[start : start + ENCODED_AT_ONCE] for start in starts)
                encoded = [self.encoder.transform(columns_of(part, linear=True)) for part in parts]
                self._columns = sparse.vstack(encoded, format="csr")
            else:
                self._columns = self.encoder.fit_transform(columns_of(self._rows, linear=False))
                _share(self._columns)
        return self._columns


def _share(columns: Any) -> None:
    """Make equal numbers of an object array ``[n, d]`` one object: a number takes three times what its place does."""
    for column in columns.T:
        known: dict[Any, Any] = {}
        column[:] = [known.setdefault(value, value) for value in column]


def _folds(rows: PatternRows, label: Any, seed: int) -> tuple[list[tuple[Any, Any]], str]:
    """Row numbers (train, test) of each fold, and what the folds are grouped by.

    Folds are by entity if each fold can train on both labels, else by row, else there are none.
    """
    entity_ids = rows.entity_ids
    index = {entity: i for i, entity in enumerate(sorted(set(entity_ids)))}
    by_entity = np.array([index[entity] for entity in entity_ids])
    for groups, grouped_by in ((by_entity, "entity"), (np.arange(len(rows)), "row")):
        count = min(FOLDS, len(np.unique(groups[label])), len(np.unique(groups[~label])))
        if count < 2:
            continue
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        folds = list(splitter.split(groups, label, groups))
        if all(len(np.unique(label[train])) == 2 for train, _ in folds):
            return folds, grouped_by
    return [], ""


def evaluate_patterns(model: PatternModel, rows: Iterable[PatternRow], base_rate: float) -> dict[str, Any]:
    """Score the model, and as baselines the base rate and the detector's confidence, on the same rows.

    Args:
        model: The model.
        rows: Detections with a ground truth.
        base_rate: The share of genuine rows in the training part.

    Returns:
        ``rows`` and ``entities`` (their numbers), ``genuine_share``, ``model`` and ``baselines`` with the scores of
        ``scores_of``, and ``reliability``.
    """
    table = PatternRows.of(rows)
    label = table.genuine == 1
    probability = model.score(table)
    return {
        "rows": len(table),
        "entities": len(set(table.entity_ids)),
        "genuine_share": _number(float(label.mean())),
        "model": scores_of(probability, label),
        "baselines": {
            "base_rate": scores_of(np.full(len(table), base_rate), label),
            "confidence": scores_of(table.confidence, label),
        },
        "reliability": ProbabilityBins().add(probability, label.astype(np.float64)).reliability(),
    }


def curves_of(model: PatternModel, rows: PatternRows, base_rate: float) -> dict[str, Any]:
    """What stands beside the scores of ``evaluate_patterns``, for the same arguments.

    Returns:
        ``intervals``: the model and each baseline -> ``brier`` and ``average_precision`` -> 95 % over entities.
        ``precision_recall``: curves of the model and of the detector's confidence.
    """
    label, units = rows.genuine == 1, rows.entity_ids
    scorers = {
        "model": model.score(rows),
        "base_rate": np.full(len(rows), base_rate),
        "confidence": rows.confidence,
    }

    def intervals(probability: Array) -> dict[str, tuple[float, float] | None]:
        squares = np.square(probability - label)

        def precision(drawn: Any) -> float:
            chosen, true = probability[drawn], label[drawn]
            return average_precision(chosen[true], chosen[~true])

        return {"brier": interval_of_mean(squares, units), "average_precision": interval_of(precision, units)}

    return {
        "intervals": {name: intervals(probability) for name, probability in scorers.items()},
        "precision_recall": {
            name: precision_recall(scorers[name][label], scorers[name][~label]) for name in ("model", "confidence")
        },
    }


def scores_of(probability: Array, label: Any) -> dict[str, float | None]:
    """Scores of ``n`` probabilities against ``n`` boolean labels.

    Lower is better for ``brier`` (Brier, 1950) and ``ece``, the expected calibration error; higher is better for
    ``average_precision`` and ``roc_auc``. A score that needs both labels is None if one is absent.
    """
    truth = label.astype(np.float64)
    positive, negative = probability[label], probability[~label]
    return {
        "brier": _number(float(np.square(probability - truth).mean())),
        "average_precision": _number(average_precision(positive, negative)),
        "roc_auc": _number(roc_auc(positive, negative)),
        "ece": _number(ProbabilityBins().add(probability, truth).error()),
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
