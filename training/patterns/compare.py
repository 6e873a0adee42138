"""Compare two pattern models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_sources import DataSource, PatternRow
from training.judging.comparison import Comparer, EvaluationRows, Measured
from training.judging.splits import unseen_units
from training.patterns.model import PatternModel
from training.patterns.rows import PatternRows
from training.patterns.trainer import evaluate_patterns, split_by_entity


def _select(source: DataSource, _max_samples: int | None) -> EvaluationRows[PatternRow]:
    rows, in_test, described = split_by_entity(source.read(PatternRow))
    training = rows.select(~in_test)
    held_out = training if described["strategy"] == "none" else rows.select(in_test)
    return EvaluationRows(described["strategy"], described["reason"], held_out, training)


def _leave_out(evaluation: EvaluationRows[PatternRow], trained_on: Sequence[str]) -> PatternRows:
    rows = PatternRows.of(evaluation.rows)
    fresh = unseen_units(set(rows.entity_ids), *trained_on)
    return rows.select(np.array([entity in fresh for entity in rows.entity_ids], dtype=bool))


def _score(models: Sequence[PatternModel], evaluation: EvaluationRows[PatternRow]) -> list[Measured]:
    base_rate = float((PatternRows.of(evaluation.training).genuine == 1).mean())
    return [Measured.of(evaluate_patterns(model, evaluation.rows, base_rate)) for model in models]


COMPARER = Comparer(
    model_type=PatternRow.kind,
    select=_select,
    load=PatternModel.load,
    described=lambda model: model.provenance,
    leave_out=_leave_out,
    score=_score,
    parse=PatternRow.model_validate,
)
