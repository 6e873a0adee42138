#!/usr/bin/env python3
"""Judge a synergy model on homes: new ones, and ones of which a share of the automations is known."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click

from training.runs.options import source_options


@click.command()
@source_options
@click.option(
    "--model-path", type=click.Path(dir_okay=False), required=True, help="The model to judge; a base model will do."
)
@click.option(
    "--known",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.7,
    show_default=True,
    help="Share of a known home's automations that the model is told of; the pairs of the others are to be found.",
)
@click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Which of them are known."
)
@click.option("--report", type=click.Path(dir_okay=False), default=None, help="Also write the scores as JSON.")
@click.option("--no-names", is_flag=True, help="Read names without the encoder of the names extra.")
@click.option("--verbose", is_flag=True, help="Debug messages, and the traceback of a failure.")
def main(
    json_input: str | None,
    data_source: str | None,
    strict: bool,
    model_path: str,
    known: float,
    seed: int,
    report: str | None,
    no_names: bool,
    verbose: bool,
) -> None:
    """Score a synergy model file on homes beside baselines that only count, and train nothing.

    Each home is judged twice: as a new home, nothing of which is known, and as a known one. Homes that the model was
    trained on flatter it.

    Exit codes: 0 judged, 1 failed (one line on stderr), 2 wrong usage.
    """
    from training.runs.run import Run, execute
    from training.synergy.job import EvaluationOptions, evaluate_gnn_synergy

    options = EvaluationOptions(model_path, json_input, data_source, strict, known, seed, report, no_names)
    run = Run("gnn_synergy", verbose=verbose)
    execute(run, None, lambda started: evaluate_gnn_synergy(started, options))


if __name__ == "__main__":
    main()
