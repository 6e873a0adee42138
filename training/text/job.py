"""The soft prompt job: a request in plain words gives a suggested automation in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_sources import PromptRow
from training.runs.run import Run
from training.text.adapter_job import AdapterOptions, Job, train_adapter
from training.text.report import score_lines, verdict

if TYPE_CHECKING:
    from training.text.trainer import Result


def train_soft_prompt(run: Run, options: AdapterOptions) -> None:
    """The job, filling in ``run``. Raises DataSourceError or TrainingError with one line for a person."""
    job = Job(
        record=PromptRow,
        texts=lambda row: (row.query, row.suggestion),
        learn=_learn,
        verdict=verdict,
        score_lines=score_lines,
        title="Request to suggested automation",
        about="a request in plain words gives a suggested automation in plain words",
    )
    train_adapter(run, options, job)


def _learn(rows: Sequence[PromptRow], *arguments: Any, **options: Any) -> Result:
    from training.text.backbone import TextPair
    from training.text.trainer import train

    return train([TextPair(row.query, row.suggestion) for row in rows], *arguments, **options)
