"""The YAML generation job: a request in plain words, and the home's entities, give a Home Assistant automation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_sources import YamlRow
from training.automations.report import score_lines, verdict
from training.runs.run import Run
from training.text.adapter_job import AdapterOptions, Job, train_adapter

if TYPE_CHECKING:
    from training.text.trainer import Result


def train_yaml_generation(run: Run, options: AdapterOptions) -> None:
    """The job, filling in ``run``. Raises DataSourceError or TrainingError with one line for a person."""
    job = Job(
        record=YamlRow,
        texts=lambda row: (row.input, row.output),
        learn=_learn,
        verdict=verdict,
        score_lines=score_lines,
        title="Request to Home Assistant automation",
        about="a request in plain words, and the home's entities, give an automation",
    )
    train_adapter(run, options, job)


def _learn(rows: Sequence[YamlRow], *arguments: Any, **options: Any) -> Result:
    from training.automations.trainer import learn

    return learn(rows, *arguments, **options)
