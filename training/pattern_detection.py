"""How likely a detected usage pattern is genuine: what a detection tells, choice of a model, calibration, judgement.

Candidates are compared by cross-validation over entities; the one of least log loss is fitted on the whole training
part and its log-odds calibrated on the predictions that the folds made (Platt, 1999).
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import skops.io
from pydantic import ValidationError
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import KFold, StratifiedGroupKFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder, TargetEncoder
from threadpoolctl import threadpool_limits

from data_sources import PatternRow
from data_sources.records import explain
from training.errors import ModelFileError, TrainingError
from training.graph import class_of
from training.metrics import Array, average_precision, expected_calibration_error, reliability, roc_auc
from training.splits import MIN_ENTITIES, assign_parts, count_parts, sealed
from training.words import words_of

FORMAT = 1
FOLDS = 5
MIN_FOR_TREES = 50  # rows; a tree of fewer has no leaves to speak of
ENOUGH = 15  # occurrences at which half of the evidence that repetition can give is there
MANY = 10**9  # occurrences beyond it count as so many
TEXTS = 5  # of what a detection tells
NUMBER_SCALE = 4.0  # brings numbers from 0 to 1 on the penalty's scale of the one-hot columns
BASE_RATE = "base rate"
# What skops does not trust by itself and a model file may hold all the same.
TRUSTED_TYPES = frozenset(
    {"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "sklearn.model_selection._split.KFold"}
)


@dataclass(frozen=True)
class _Candidate:
    linear: bool  # linear ones read each value of a text as a column, trees the mean outcome of rows with that value
    classifier: Callable[[int], Any]  # of a seed


def _logistic(penalty: float) -> _Candidate:
    return _Candidate(True, lambda _seed: LogisticRegression(C=penalty, max_iter=2000))


def _boosting(**options: Any) -> _Candidate:
    def classifier(seed: int) -> Pipeline:
        means = TargetEncoder(target_type="binary", cv=KFold(FOLDS, shuffle=True, random_state=seed))
        return Pipeline(
            [
                ("means", ColumnTransformer([("texts", means, slice(0, TEXTS))], remainder="passthrough")),
                ("trees", HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **options)),
            ]
        )

    return _Candidate(False, classifier)


CANDIDATES: Mapping[str, _Candidate] = {
    "logistic regression, C=0.1": _logistic(0.1),
    "logistic regression, C=1": _logistic(1.0),
    "logistic regression, C=10": _logistic(10.0),
    "gradient boosting, depth 3": _boosting(max_depth=3, max_iter=100, learning_rate=0.05, min_samples_leaf=10),
    "gradient boosting, 15 leaves": _boosting(max_leaf_nodes=15, max_iter=150, learning_rate=0.1),
}


def _told_by(row: PatternRow) -> dict[str, float | str]:
    """What a detection tells before anybody judged it: ``TEXTS`` texts, then numbers."""
    pattern, occurrences = row.pattern_type, min(row.occurrences, MANY)
    entity_class = class_of(row, words_of(row.entity_id.partition(".")[2]) + words_of(row.name or ""))
    return {
        "pattern_type": pattern,
        "domain": row.domain,
        "class": entity_class,
        "pattern_type x domain": f"{pattern} {row.domain}",
        "pattern_type x class": f"{pattern} {entity_class}",
        "confidence": NUMBER_SCALE * row.confidence,
        "log_occurrences": math.log1p(occurrences),
        "repetition": NUMBER_SCALE * occurrences / (occurrences + ENOUGH),
    }


def _columns(rows: Sequence[PatternRow], *, linear: bool) -> Any:
    """What the encoders read: a dict a row for ``linear`` ones, else an object array ``[n, 8]``."""
    told = [_told_by(row) for row in rows]
    return told if linear else np.array([list(values.values()) for values in told], dtype=object)


def _encoder(*, linear: bool) -> Any:
    """Texts to numbers without a look at any label."""
    if linear:
        return DictVectorizer()
    texts = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("texts", texts, slice(0, TEXTS))], remainder="passthrough")


@dataclass(frozen=True)
class PatternModel:
    """P(genuine) of detected patterns: ``pipeline`` and the calibration of its log-odds, or a constant without them."""

    chosen: str
    constant: float
    pipeline: Pipeline | None = None
    calibration: LogisticRegression | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def score(self, rows: Sequence[PatternRow | Mapping[str, Any]]) -> Array:
        """``[n]`` probability, from 0 to 1, that each pattern is genuine.

        Args:
            rows: Records, or plain rows in any spelling of docs/data.md; a ground truth is not looked at. Pattern
                types, domains and classes may be ones that training never saw.

        Raises:
            ValueError: A row cannot be used; the message says which, which field and why.
        """
        records = [_record(number, row) for number, row in enumerate(rows)]
        if self.pipeline is None or self.calibration is None or not records:
            return np.full(len(records), self.constant)
        log_odds = self.pipeline.decision_function(_columns(records, linear=CANDIDATES[self.chosen].linear))
        return _probability(self.calibration, log_odds)

    def to_bytes(self) -> bytes:
        """A skops file; equal models give equal bytes."""
        held = {
            "format": FORMAT,
            "model_type": PatternRow.kind,
            "chosen": self.chosen,
            "constant": self.constant,
            "pipeline": self.pipeline,
            "calibration": self.calibration,
            "provenance": json.dumps(self.provenance),
        }
        return _canonical(skops.io.dumps(held))

    @classmethod
    def load(cls, path: str | Path) -> PatternModel:
        """Load a published model. Raises ModelFileError; types not in TRUSTED_TYPES are never built."""
        path = Path(path)
        again = "train it again with scripts/train_pattern_detection.py"
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelFileError(f"{path}: cannot be read ({error.strerror}); {again}") from error
        try:
            foreign = sorted(set(skops.io.get_untrusted_types(data=content)) - TRUSTED_TYPES)
            held = None if foreign else skops.io.loads(content, trusted=sorted(TRUSTED_TYPES))
        except Exception as error:
            raise ModelFileError(f"{path}: is no model file ({type(error).__name__}); {again}") from error
        if foreign:
            raise ModelFileError(f"{path}: holds {foreign[0]}, which a pattern model does not; {again}")
        if not isinstance(held, dict) or held.get("model_type") != PatternRow.kind:
            raise ModelFileError(f"{path}: holds no pattern model; {again}")
        if held.get("format") != FORMAT:
            raise ModelFileError(f"{path}: is of format {held.get('format')}, this program reads {FORMAT}; {again}")
        try:
            model = cls(
                held["chosen"], held["constant"], held["pipeline"], held["calibration"], json.loads(held["provenance"])
            )
            fitted = isinstance(model.pipeline, Pipeline) and isinstance(model.calibration, LogisticRegression)
            sound = isinstance(model.constant, float) and (fitted or model.pipeline is None)
            sound = sound and model.chosen in {BASE_RATE, *CANDIDATES}
        except (KeyError, TypeError, ValueError):
            sound = False
        if not sound:
            raise ModelFileError(f"{path}: is broken; {again}")
        return model


def _record(number: int, row: PatternRow | Mapping[str, Any]) -> PatternRow:
    if isinstance(row, PatternRow):
        return row
    try:
        return PatternRow.model_validate(row)
    except ValidationError as error:
        raise ValueError(f"row {number}: {explain(error, PatternRow)}") from error


def _probability(calibration: LogisticRegression, log_odds: Array) -> Array:
    return np.asarray(calibration.predict_proba(log_odds.reshape(-1, 1))[:, 1], dtype=np.float64)


def _canonical(content: bytes) -> bytes:
    """A skops file with its objects numbered in order and no times: skops writes memory addresses and the clock."""
    numbers: dict[str, int] = {}

    def renumber(node: Any) -> Any:
        if isinstance(node, list):
            return [renumber(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "__id__" in node:
            node["__id__"] = numbers.setdefault(str(node["__id__"]), len(numbers))
        if isinstance(node.get("file"), str):
            address, dot, ending = node["file"].partition(".")
            files[node["file"]] = f"{numbers.setdefault(address, len(numbers))}{dot}{ending}"
            node["file"] = files[node["file"]]
        return {key: renumber(value) for key, value in node.items()}

    files: dict[str, str] = {}
    written = BytesIO()
    with zipfile.ZipFile(BytesIO(content)) as found, zipfile.ZipFile(written, "w") as made:
        schema = json.dumps(renumber(json.loads(found.read("schema.json"))), indent=1)
        for name, text in [*((new, found.read(old)) for old, new in files.items()), ("schema.json", schema.encode())]:
            made.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return written.getvalue()


@dataclass(frozen=True)
class Result:
    """A trained model, what it scores, how the entities were split, and which it saw (``splits.sealed``)."""

    model: PatternModel
    metrics: dict[str, Any]
    split: dict[str, Any]
    trained_on: str


def train(rows: Sequence[PatternRow], seed: int = 0) -> Result:
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
    trained_on = sealed(judged[i].entity_id for i in learnt)
    return Result(model, metrics, described, trained_on)


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
    encoders = {linear: _encoder(linear=linear) for linear in (True, False)}
    encoded = {linear: encoders[linear].fit_transform(_columns(rows, linear=linear)) for linear in encoders}
    calibrations: dict[str, LogisticRegression] = {}
    for name, candidate in CANDIDATES.items():
        if not candidate.linear and len(rows) < MIN_FOR_TREES:
            continue
        x, log_odds = encoded[candidate.linear], np.zeros(len(rows))
        for learnt, measured in folds:
            log_odds[measured] = candidate.classifier(seed).fit(x[learnt], label[learnt]).decision_function(x[measured])
        # All but free of a penalty: perfect folds must not make it endlessly steep.
        calibrations[name] = LogisticRegression(C=100.0).fit(log_odds.reshape(-1, 1), label)
        probability = _probability(calibrations[name], log_odds)
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
