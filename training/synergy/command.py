"""``home-synergy train gnn-synergy`` and ``home-synergy evaluate``."""

from __future__ import annotations

from typing import Any

import click

from training.runs.options import run_options, source_options, verbose_option
from training.runs.settings import flags, read_config
from training.runs.streams import Program
from training.synergy.config import EvaluationOptions, SynergyConfig, SynergyOptions


@click.command("gnn-synergy", cls=Program)
@source_options
@flags(SynergyConfig, SynergyOptions)
@run_options
def train(**options: Any) -> None:
    """Train the synergy model.

    This graph network says which entity should act when another one triggers. The result is a model file with its
    metadata.

    Exit codes: 0 trained or already trained, 1 failed (one line on stderr, the old model untouched), 2 wrong usage.
    """
    from training.runs.run import run_training
    from training.synergy.job import SynergyJob

    run_training(SynergyJob, **options)


@click.command("evaluate", cls=Program)
@source_options
@flags(EvaluationOptions)
@verbose_option
def evaluate(json_input: str | None, data_source: str | None, strict: bool, verbose: bool, **given: Any) -> None:
    """Score a synergy model on homes, beside baselines.

    Each home is scored twice: as a new home, of which no automation is known, and as a known one, of which a share is.
    Scores on homes that the model was trained on are too high.

    Exit codes: 0 evaluated, 1 failed (one line on stderr), 2 wrong usage.
    """
    from training.runs.job import SourceChoice
    from training.runs.process import execute
    from training.synergy.job import evaluate

    source = SourceChoice(json_input, data_source, strict)
    execute(
        lambda: evaluate(source, read_config(EvaluationOptions, given)),
        verbose=verbose,
        result="file" if given["output"] else "messages",
    )
