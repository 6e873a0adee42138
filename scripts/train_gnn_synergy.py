#!/usr/bin/env python3
"""Train the synergy model: which entity should act when another one triggers."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click

from training.runs.options import run_options, source_options


@click.command()
@source_options
@click.option(
    "--epochs", type=click.IntRange(1), default=None, help="Training epochs at most.  [default: $GNN_EPOCHS, else 30]"
)
@click.option(
    "--model-path",
    type=click.Path(dir_okay=False),
    default=None,
    help="Where the model goes.  [default: $GNN_MODEL_PATH, else models/gnn_synergy.pth]",
)
@click.option(
    "--base-model",
    metavar="[PATH|none]",
    default=None,
    help="What training starts from; none starts from nothing.  [default: the base that ships with the project]",
)
@click.option("--no-names", is_flag=True, help="Read names without the encoder of the names extra.")
@click.option("--force", is_flag=True, help="Train even where a model exists, and replace it.")
@run_options
def main(
    summary_path: str | None,
    dry_run: bool,
    verbose: bool,
    json_input: str | None,
    data_source: str | None,
    strict: bool,
    model_path: str | None,
    epochs: int | None,
    base_model: str | None,
    no_names: bool,
    seed: int,
    force: bool,
) -> None:
    """Train the synergy model (a graph network) and publish it with its metadata.

    Exit codes: 0 trained or already trained, 1 failed (one line on stderr, the old model untouched), 2 wrong usage.
    """
    from training.runs.run import Run, execute
    from training.synergy.job import LOG_FILE, SynergyOptions, train_gnn_synergy

    options = SynergyOptions(json_input, data_source, strict, model_path, epochs, seed, force, base_model, no_names)
    run = Run("gnn_synergy", Path(summary_path) if summary_path else None, dry_run, verbose)
    execute(run, LOG_FILE, lambda started: train_gnn_synergy(started, options))


if __name__ == "__main__":
    main()
