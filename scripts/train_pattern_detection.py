#!/usr/bin/env python3
"""Train the pattern model: how likely a detected usage pattern is genuine."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click

from training.runs.options import run_options, source_options


@click.command()
@source_options
@click.option(
    "--model-path",
    type=click.Path(dir_okay=False),
    default="models/pattern_detection.skops",
    show_default=True,
    help="Where the model goes; one that is there is replaced.",
)
@run_options
def main(
    summary_path: str | None,
    dry_run: bool,
    verbose: bool,
    json_input: str | None,
    data_source: str | None,
    strict: bool,
    model_path: str,
    seed: int,
) -> None:
    """Train the pattern model (gradient boosting or logistic regression) and publish it with its metadata.

    Exit codes: 0 trained, 1 failed (one line on stderr, the old model untouched), 2 wrong usage.
    """
    from training.patterns.job import PatternOptions, train_pattern_detection
    from training.runs.run import Run, execute

    options = PatternOptions(json_input, data_source, strict, model_path, seed)
    run = Run("pattern_detection", Path(summary_path) if summary_path else None, dry_run, verbose)
    execute(run, None, lambda started: train_pattern_detection(started, options))


if __name__ == "__main__":
    main()
