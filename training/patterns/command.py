"""``home-synergy train pattern-detection``."""

from __future__ import annotations

from typing import Any

import click

from training.patterns.config import PatternConfig, PatternOptions
from training.runs.options import run_options, source_options
from training.runs.settings import flags
from training.runs.streams import Program


@click.command("pattern-detection", cls=Program)
@source_options
@flags(PatternOptions, PatternConfig)
@run_options
def train(**options: Any) -> None:
    """Train the pattern model.

    It says how likely a detected usage pattern is genuine. Gradient boosting and logistic regression are compared. The
    result is a model file with its metadata.

    Exit codes: 0 trained, 1 failed (one line on stderr, the old model untouched), 2 wrong usage.
    """
    from training.patterns.job import PatternJob
    from training.runs.run import run_training

    run_training(PatternJob, **options)
