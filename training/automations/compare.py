"""Compare two YAML generators on the same rows."""

from __future__ import annotations

from collections.abc import Sequence

from data_sources import DataSource, YamlRow
from training.automations.config import YamlOptions
from training.automations.evaluation import evaluate_generator
from training.automations.model import YamlGenerator, examples
from training.automations.report import deciding_score
from training.automations.trainer import row_units, split_by_home
from training.judging.comparison import Comparer, EvaluationRows, Measured, unseen_rows
from training.text.adapter_job import samples_of


def _select(source: DataSource, max_samples: int | None) -> EvaluationRows[YamlRow]:
    rows = list(source.read(YamlRow, max_samples))
    return EvaluationRows.of_parts(rows, *split_by_home(rows))


def _leave_out(evaluation: EvaluationRows[YamlRow], trained_on: Sequence[str]) -> list[YamlRow]:
    # If homes are held out, two of them may well have the same request.
    number = 0 if evaluation.strategy == "home" else 1
    return unseen_rows(evaluation.rows, [row_units(row)[number] for row in evaluation.rows], trained_on)


def _score(models: Sequence[YamlGenerator], evaluation: EvaluationRows[YamlRow]) -> list[Measured]:
    training, rows = examples(evaluation.training), examples(evaluation.rows)
    tables = [evaluate_generator(model, training, rows) for model in models]
    for table in tables:
        for scores in (table["model"], *table["baselines"].values()):
            scores["structure_f1"] = deciding_score(scores)
    return [Measured.of(table) for table in tables]


COMPARER = Comparer(
    model_type=YamlRow.kind,
    select=_select,
    load=YamlGenerator.load,
    described=lambda model: model.described,
    leave_out=_leave_out,
    score=_score,
    parse=YamlRow.model_validate,
    max_samples=lambda run: samples_of(run, YamlOptions),
)
