#!/usr/bin/env python3
"""Train the soft prompt: an adapter that turns a request into a suggested automation."""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click
from click.core import ParameterSource

from training.options import run_options, source_options

METHODS = ("lora", "dora", "rslora", "prompt", "prefix", "p-tuning")


@click.command(context_settings={"show_default": True})
@source_options
@click.option("--db-path", default="data/ai_automation.db", help="Production's SQLite file, read without a flag.")
@click.option("--output-dir", default="data/ask_ai_soft_prompt", help="Where runs and the link `latest` are.")
@click.option("--run-directory", default=None, help="This run's folder.  [default: <output-dir>/<run-id>]")
@click.option("--run-id", default=None, help="This run's name.  [default: run_YYYYMMDD_HHMMSS, UTC]")
@click.option(
    "--base-model",
    default=None,
    help="A model's folder or hub name, or scratch.  [default: $SOFT_PROMPT_BASE_MODEL, else google/flan-t5-small]",
)
@click.option("--method", type=click.Choice(METHODS), default="lora", help="The kind of adapter.")
@click.option("--max-samples", type=click.IntRange(1), default=2000, help="Rows at most, the newest of a database.")
@click.option("--epochs", type=click.IntRange(1), default=3)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=None,
    help="[default: 5e-5; 0.1 for prompt, 0.01 for prefix and p-tuning]",
)
@click.option("--batch-size", type=click.IntRange(1), default=1)
@click.option("--target-max-tokens", type=click.IntRange(1), default=384)
@click.option("--source-max-tokens", type=click.IntRange(1), default=384)
@click.option("--lora-r", type=click.IntRange(1), default=16)
@click.option("--lora-alpha", type=click.FloatRange(min=0, min_open=True), default=16.0)
@click.option("--lora-dropout", type=click.FloatRange(0, 1, max_open=True), default=0.05)
@click.option("--resume-from", default=None, help="A new run that starts from the adapter of this finished one.")
@click.option("--resume-run", default=None, help="Go on with this run, which was stopped, as if it had not been.")
@run_options
@click.pass_context
def main(context: click.Context, /, summary_path: str | None, dry_run: bool, verbose: bool, **options: object) -> None:
    """Train the soft prompt and publish it as a run directory, with `latest` pointing at it.

    Exit codes: 0 trained, 1 failed (one line on stderr, `latest` untouched), 2 wrong usage.
    """
    from training.run import Run, execute
    from training.soft_prompt_run import prompt_options, train_soft_prompt

    explicit = [name for name in options if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
    chosen = prompt_options(options, os.environ.get("SOFT_PROMPT_BASE_MODEL"), explicit)
    run = Run("soft_prompt", Path(summary_path) if summary_path else None, dry_run, verbose)
    execute(run, None, lambda started: train_soft_prompt(started, chosen))


if __name__ == "__main__":
    main()
