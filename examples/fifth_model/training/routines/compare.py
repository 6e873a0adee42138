"""How two routine models are compared on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from training.routines.model import RoutineModel
from training.routines.trainer import evaluate, split_by_day

from data_sources import DataSource
from data_sources.records import RoutineRow
from training.judging.comparison import Comparer, EvaluationRows, Measured, unseen_rows


def _select(source: DataSource, _max_samples: int | None) -> EvaluationRows[RoutineRow]:
    rows = list(source.read(RoutineRow))
    return EvaluationRows.of_parts(rows, *split_by_day(rows))


def _leave_out(evaluation: EvaluationRows[RoutineRow], trained_on: Sequence[str]) -> list[RoutineRow]:
    return unseen_rows(evaluation.rows, [row.day for row in evaluation.rows], trained_on)


def _score(models: Sequence[RoutineModel], evaluation: EvaluationRows[RoutineRow]) -> list[Measured]:
    return [Measured.of(evaluate(model, evaluation.rows)) for model in models]


COMPARER = Comparer(
    model_type=RoutineRow.kind,
    select=_select,
    load=RoutineModel.load,
    described=lambda model: model.provenance,
    leave_out=_leave_out,
    score=_score,
    parse=RoutineRow.model_validate,
)
