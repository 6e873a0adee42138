"""``home-synergy train routine-hours``."""

from __future__ import annotations

from typing import Any

import click
from training.routines.config import RoutineConfig

from training.runs.options import run_options, source_options
from training.runs.settings import flags
from training.runs.streams import Program


@click.command("routine-hours", cls=Program)
@source_options
@flags(RoutineConfig)
@run_options
def train(**options: Any) -> None:
    """Train the routine model: the hour at which each entity is used most."""
    from training.routines.job import RoutineJob

    from training.runs.run import run_training

    run_training(RoutineJob, **options)
