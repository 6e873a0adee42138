"""Compare two soft prompts on the same rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from data_sources import DataSource, PromptRow, normalized_query
from training.judging.comparison import Comparer, EvaluationRows, Measured, rows_digest, unseen_rows
from training.text.adapter_job import samples_of
from training.text.backbone import TextPair
from training.text.config import SoftPromptOptions
from training.text.model import Suggester
from training.text.splits import split_by_query


def _select(source: DataSource, max_samples: int | None) -> EvaluationRows[TextPair]:
    rows = source.read(PromptRow, max_samples)
    pairs = [TextPair(row.query, row.suggestion) for row in rows]
    found = EvaluationRows.of_parts(pairs, *split_by_query(pairs))
    return replace(found, rows=list(dict.fromkeys(found.rows)))


def _leave_out(evaluation: EvaluationRows[TextPair], trained_on: Sequence[str]) -> list[TextPair]:
    return unseen_rows(evaluation.rows, [normalized_query(pair.source) for pair in evaluation.rows], trained_on)


def _score(models: Sequence[Suggester], evaluation: EvaluationRows[TextPair]) -> list[Measured]:
    return [Measured.of(model.evaluate(evaluation.training, evaluation.rows)) for model in models]


COMPARER = Comparer(
    model_type=PromptRow.kind,
    select=_select,
    load=Suggester.load,
    described=lambda model: model.described,
    leave_out=_leave_out,
    score=_score,
    fingerprint=lambda rows: rows_digest(json.dumps(pair) for pair in rows),
    dump=list,
    parse=lambda raw: TextPair(*raw),
    max_samples=lambda run: samples_of(run, SoftPromptOptions),
)
