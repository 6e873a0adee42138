#!/usr/bin/env python3
"""Train the soft prompt: an adapter that turns a request into a suggested automation."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click
from click.core import ParameterSource

from training.runs.options import adapter_options, run_options, source_options


@click.command(context_settings={"show_default": True})
@source_options
@click.option("--db-path", default="data/ai_automation.db", help="Production's SQLite file, read without a flag.")
@adapter_options("data/ask_ai_soft_prompt", "$SOFT_PROMPT_BASE_MODEL", 2000)
@run_options
@click.pass_context
def main(context: click.Context, /, summary_path: str | None, dry_run: bool, verbose: bool, **options: object) -> None:
    """Train the soft prompt and publish it as a run directory, with `latest` pointing at it.

    Exit codes: 0 trained, 1 failed (one line on stderr, `latest` untouched), 2 wrong usage.
    """
    from training.runs.run import Run, execute
    from training.text.adapter_job import options_of
    from training.text.job import train_soft_prompt

    explicit = [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    chosen = options_of(options, os.environ.get("SOFT_PROMPT_BASE_MODEL"), explicit)
    run = Run("soft_prompt", Path(summary_path) if summary_path else None, dry_run, verbose)
    execute(run, None, lambda started: train_soft_prompt(started, chosen))


if __name__ == "__main__":
    main()
