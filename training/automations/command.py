"""``home-synergy train yaml-generation``."""

from __future__ import annotations

from typing import Any

import click

from training.automations.config import YamlConfig, YamlOptions
from training.runs.options import run_options, source_options
from training.runs.settings import flags
from training.runs.streams import Program


@click.command("yaml-generation", cls=Program)
@source_options
@flags(YamlOptions, YamlConfig)
@run_options
def train(**options: Any) -> None:
    """Train the YAML generator.

    It answers a request in plain words with a Home Assistant automation. The result is a run directory, and the link
    `latest` points at it.

    Exit codes: 0 trained, 1 failed (one line on stderr, `latest` untouched), 2 wrong usage.
    """
    from training.automations.job import YamlJob
    from training.runs.run import run_training

    run_training(YamlJob, **options)
