#!/usr/bin/env python3
"""Train the YAML generator: an adapter that turns a request into a Home Assistant automation."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click
from click.core import ParameterSource

from training.runs.options import adapter_options, run_options, source_options


@click.command(context_settings={"show_default": True})
@source_options
@adapter_options("models/yaml_generation", "$YAML_BASE_MODEL, else $SOFT_PROMPT_BASE_MODEL", 20_000)
@run_options
@click.pass_context
def main(context: click.Context, /, summary_path: str | None, dry_run: bool, verbose: bool, **options: object) -> None:
    """Train the YAML generator and publish it as a run directory, with `latest` pointing at it.

    Exit codes: 0 trained, 1 failed (one line on stderr, `latest` untouched), 2 wrong usage.
    """
    from training.automations.job import train_yaml_generation
    from training.runs.run import Run, execute
    from training.text.adapter_job import options_of

    explicit = [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    base = os.environ.get("YAML_BASE_MODEL") or os.environ.get("SOFT_PROMPT_BASE_MODEL")
    chosen = options_of(options, base, explicit)
    run = Run("yaml_generation", Path(summary_path) if summary_path else None, dry_run, verbose)
    execute(run, None, lambda started: train_yaml_generation(started, chosen))


if __name__ == "__main__":
    main()
