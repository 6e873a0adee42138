"""The pattern model: features of a detection, candidate classifiers, and the model file.

``trainer.fit`` compares the candidates by cross-validation over entities. It fits the one with the lowest log loss on
the whole training part, and calibrates its log-odds on the predictions for the held-out folds (Platt, 1999).
"""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from sys import intern
from typing import Any

import numpy as np
from pydantic import ValidationError
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder, TargetEncoder

from data_sources import PatternRow
from data_sources.records import explain
from home_assistant.domains import class_of
from home_assistant.household_words import words_of
from training.judging.metrics import Array
from training.patterns.rows import PatternRows
from training.patterns.skops_files import skops_io
from training.runs.artifacts import read_published
from training.runs.errors import ArtifactError, MixedFilesError, ModelFileError, wrap_read_errors
from training.runs.model_paths import how_to_get, model_file

FORMAT = 1
FOLDS = 5
MIN_FOR_TREES = 50  # rows; with fewer, trees hardly split
ENOUGH = 15  # occurrences at which the feature `repetition` reaches half of its limit
MANY = 10**9  # more occurrences count as this many
TEXTS, COLUMNS = 5, 8  # the first features are texts, the others numbers
NUMBER_SCALE = 4.0  # an L2 penalty then weighs numbers from 0 to 1 about as it weighs one-hot columns
BASE_RATE = "base rate"
# What a file is tried with when it is loaded.
_PROBE = {"entity_id": "light.a", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 5}
# Types that skops does not trust by default, but that a model file may hold.
TRUSTED_TYPES = frozenset(
    {"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor", "sklearn.model_selection._split.KFold"}
)


@dataclass(frozen=True)
class _Candidate:
    linear: bool  # a text becomes one-hot columns for a linear classifier, the mean label of its value for trees
    classifier: Callable[[int], Any]  # makes the classifier from a seed


def _logistic(inverse_penalty: float) -> _Candidate:
    return _Candidate(True, lambda _seed: LogisticRegression(C=inverse_penalty, max_iter=2000))


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


def _features_of(row: PatternRow) -> dict[str, float | str]:
    """The features of a detection, without its ground truth: ``TEXTS`` texts, then numbers."""
    pattern, occurrences = row.pattern_type, min(row.occurrences, MANY)
    domain = row.domain
    entity_class = _class_of(row.entity_id, row.name, domain, row.device_class)
    return {
        "pattern_type": pattern,
        "domain": intern(domain),
        "class": entity_class,
        "pattern_type x domain": intern(f"{pattern} {domain}"),
        "pattern_type x class": intern(f"{pattern} {entity_class}"),
        "confidence": NUMBER_SCALE * row.confidence,
        "log_occurrences": math.log1p(occurrences),
        "repetition": NUMBER_SCALE * occurrences / (occurrences + ENOUGH),
    }


@lru_cache(10_000)
def _class_of(entity_id: str, name: str | None, domain: str, device_class: str | None) -> str:
    words = words_of(entity_id.partition(".")[2]) + words_of(name or "")
    return intern(class_of(domain, device_class, words))


def columns_of(rows: Sequence[PatternRow], *, linear: bool) -> Any:
    """The encoder's input: an iterator of ``n`` dicts for a linear classifier, else an object array ``[n, 8]``."""
    features = map(_features_of, rows.each() if isinstance(rows, PatternRows) else rows)
    if linear:
        return features
    columns = np.empty((len(rows), COLUMNS), dtype=object)
    for i, values in enumerate(features):
        columns[i] = list(values.values())
    return columns


def make_encoder(*, linear: bool) -> Any:
    """An unfitted encoder of ``columns_of``. It turns texts into numbers and reads no label."""
    if linear:
        return DictVectorizer()
    texts = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    return ColumnTransformer([("texts", texts, slice(0, TEXTS))], remainder="passthrough")


@dataclass(frozen=True)
class PatternModel:
    """The probability that detected patterns are genuine.

    Attributes:
        chosen: The name of the candidate in ``CANDIDATES``, or ``BASE_RATE``.
        constant: The share of genuine rows in training; the answer for every row if there is no pipeline.
        pipeline: Encoder and classifier.
        calibration: Platt scaling of the classifier's log-odds.
        provenance: The data, configuration, scores and versions of the training.
    """

    chosen: str
    constant: float
    pipeline: Pipeline | None = None
    calibration: LogisticRegression | None = None
    provenance: dict[str, Any] = field(default_factory=dict)

    def score(self, rows: Sequence[PatternRow | Mapping[str, Any]]) -> Array:
        """``[n]`` probability, from 0 to 1, that each pattern is genuine.

        Args:
            rows: Records, or plain rows in any spelling of docs/reference/data-formats.md. A ground truth is ignored.
                Pattern types, domains and classes may be absent from the training data.

        Raises:
            ValueError: A row cannot be used; the message names the row, the field and the reason.
        """
        records: Sequence[PatternRow] = (
            rows
            if isinstance(rows, PatternRows)
            else [_record(number, row) for number, row in enumerate(rows, start=1)]
        )
        if self.pipeline is None or self.calibration is None or not records:
            return np.full(len(records), self.constant)
        log_odds = self.pipeline.decision_function(columns_of(records, linear=CANDIDATES[self.chosen].linear))
        return calibrated(self.calibration, log_odds)

    def to_bytes(self) -> bytes:
        """The content of a skops file; equal models give equal bytes."""
        held = {
            "format": FORMAT,
            "model_type": PatternRow.kind,
            "chosen": self.chosen,
            "constant": self.constant,
            "pipeline": self.pipeline,
            "calibration": self.calibration,
            "provenance": json.dumps(self.provenance),
        }
        return _canonical(skops_io.dumps(held))

    @classmethod
    def load(cls, path: str | Path) -> PatternModel:
        """Load a published model. Objects of a type outside ``TRUSTED_TYPES`` and skops' own list are never built.

        Raises:
            ModelFileError: The file cannot be read, is no pattern model of this format, or is of another training than
                the metadata beside it.
        """
        path = model_file(PatternRow.kind, Path(path))
        again = "train it again with `home-synergy train pattern-detection`"
        mixed: MixedFilesError | None = None
        with wrap_read_errors(path, advice=again):
            try:
                content, _ = read_published(path)
            except MixedFilesError as error:  # which a broken file is too, and says more of
                mixed, content = error, error.content
            except FileNotFoundError:
                raise ModelFileError(f"{path}: no such model file; {how_to_get(PatternRow.kind)}") from None
            except ArtifactError as error:
                raise ModelFileError(str(error)) from error
        with wrap_read_errors(path, "is no model file", again):
            foreign = sorted(set(skops_io.get_untrusted_types(data=content)) - TRUSTED_TYPES)
            held = None if foreign else skops_io.loads(content, trusted=sorted(TRUSTED_TYPES))
        if mixed is not None:
            raise ModelFileError(str(mixed)) from mixed
        if foreign:
            raise ModelFileError(f"{path}: holds {foreign[0]}, which a pattern model does not; {again}")
        if not isinstance(held, dict) or held.get("model_type") != PatternRow.kind:
            raise ModelFileError(f"{path}: holds no pattern model; {again}")
        if held.get("format") != FORMAT:
            raise ModelFileError(f"{path}: is of format {held.get('format')}, this program reads {FORMAT}; {again}")
        with wrap_read_errors(path, "is broken", again):
            provenance = dict(json.loads(held["provenance"]))
            model = cls(held["chosen"], held["constant"], held["pipeline"], held["calibration"], provenance)
            fitted = isinstance(model.pipeline, Pipeline) and isinstance(model.calibration, LogisticRegression)
            sound = isinstance(model.constant, float) and (fitted or model.pipeline is None)
            if not sound or model.chosen not in {BASE_RATE, *CANDIDATES}:
                raise ValueError("it does not hold the parts of a model")
            if not 0 <= float(model.score([_PROBE])[0]) <= 1:
                raise ValueError("it gives no probability")
        return model


def _record(number: int, row: PatternRow | Mapping[str, Any]) -> PatternRow:
    if isinstance(row, PatternRow):
        return row
    try:
        return PatternRow.model_validate(row)
    except ValidationError as error:
        raise ValueError(f"row {number}: {explain(error, PatternRow)}") from error


def calibrated(calibration: LogisticRegression, log_odds: Array) -> Array:
    """Calibrated probabilities ``[n]`` of log-odds ``[n]``."""
    return np.asarray(calibration.predict_proba(log_odds.reshape(-1, 1))[:, 1], dtype=np.float64)


def _canonical(content: bytes) -> bytes:
    """A skops file without memory addresses and times, which skops writes: objects are numbered in order instead."""
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
