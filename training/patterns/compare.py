"""Compare two pattern models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_sources import DataSource, PatternRow
from training.judging.comparison import Comparer, EvaluationRows, Measured, unseen_rows
from training.patterns.model import PatternModel
from training.patterns.trainer import evaluate_patterns, split_by_entity


def _select(source: DataSource, _max_samples: int | None) -> EvaluationRows[PatternRow]:
    rows, in_test, described = split_by_entity(list(source.read(PatternRow)))
    return EvaluationRows.of_parts(rows, ["test" if test else "train" for test in in_test], described)


def _leave_out(evaluation: EvaluationRows[PatternRow], trained_on: Sequence[str]) -> list[PatternRow]:
    return unseen_rows(evaluation.rows, [row.entity_id for row in evaluation.rows], trained_on)


def _score(models: Sequence[PatternModel], evaluation: EvaluationRows[PatternRow]) -> list[Measured]:
    base_rate = float(np.mean([bool(row.genuine) for row in evaluation.training]))
    return [Measured.of(evaluate_patterns(model, evaluation.rows, base_rate)) for model in models]


COMPARER = Comparer(
    model_type="pattern_detection",
    select=_select,
    load=PatternModel.load,
    described=lambda model: model.provenance,
    leave_out=_leave_out,
    score=_score,
    parse=PatternRow.model_validate,
)
