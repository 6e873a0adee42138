"""``home-synergy train soft-prompt``."""

from __future__ import annotations

from typing import Any

import click

from training.runs.options import run_options, source_options
from training.runs.settings import flags
from training.runs.streams import Program
from training.text.config import SoftPromptConfig, SoftPromptOptions


@click.command("soft-prompt", cls=Program)
@source_options
@flags(SoftPromptOptions, SoftPromptConfig)
@run_options
def train(**options: Any) -> None:
    """Train the soft prompt.

    It answers a request in plain words with a suggested automation. The result is a run directory, and the link
    `latest` points at it.

    Exit codes: 0 trained, 1 failed (one line on stderr, `latest` untouched), 2 wrong usage.
    """
    from training.runs.run import run_training
    from training.text.job import SoftPromptJob

    run_training(SoftPromptJob, **options)
