#!/usr/bin/env python3
"""Score a candidate and the live model in one process, on the same rows that neither was trained on."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click

from training.runs.options import source_options


@click.command()
@click.argument("model")
@click.option("--candidate", required=True, type=click.Path(path_type=Path), help="A model file or run directory.")
@click.option("--champion", default=None, type=click.Path(path_type=Path), help="The one to compare with.")
@click.option("--output", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Where the scores go.")
@click.option("--keep", default=None, type=click.Path(dir_okay=False, path_type=Path), help="Keep the held-out rows.")
@click.option(
    "--kept", default=None, type=click.Path(dir_okay=False, path_type=Path), help="Score on rows kept earlier too."
)
@click.option("--verbose", is_flag=True, help="Debug messages, and the traceback of a failure.")
@source_options
def main(
    json_input: str | None,
    data_source: str | None,
    strict: bool,
    model: str,
    candidate: Path,
    champion: Path | None,
    output: Path,
    keep: Path | None,
    kept: Path | None,
    verbose: bool,
) -> None:
    """Score two MODELs of one kind: gnn_synergy, soft_prompt, pattern_detection or yaml_generation.

    Exit codes: 0 compared (a model that cannot be loaded is said so in the output), 1 failed, 2 wrong usage.
    """
    from training.compare import CompareOptions, compare_and_write
    from training.runs.process import execute

    options = CompareOptions(json_input, data_source, strict, candidate, champion, output, keep, kept)
    execute(lambda: compare_and_write(model, options), verbose=verbose)


if __name__ == "__main__":
    main()
