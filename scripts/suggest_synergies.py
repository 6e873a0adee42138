#!/usr/bin/env python3
"""Suggest automations that a home does not have yet, as Home Assistant YAML."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click

from training.runs.options import source_options


def _known_ending(_context: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    if value is not None and Path(value).suffix not in (".json", ".yaml", ".yml"):
        raise click.BadParameter("expected a file that ends in .yaml or .json")
    return value


@click.command()
@source_options
@click.option(
    "--model-path",
    type=click.Path(dir_okay=False),
    default=None,
    help="The trained model.  [default: $GNN_MODEL_PATH, else models/gnn_synergy.pth]",
)
@click.option("--home", metavar="HOME_ID", default=None, help="This home only.  [default: all homes, each in turn]")
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="Suggestions for each home.")
@click.option(
    "--min-score",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help="Suggest no pair below it. 0.5: as likely true as not beside one false pair.",
)
@click.option(
    "--diverse/--no-diverse",
    default=True,
    show_default=True,
    help="Whether a light or a sensor that was suggested before is put off in favour of others.",
)
@click.option(
    "--output",
    metavar="FILE",
    callback=_known_ending,
    default=None,
    help="Write here instead: .yaml (automations that Home Assistant includes; of several homes one file each, "
    "FILE-<home_id>.yaml) or .json (everything, by home).",
)
@click.option("--verbose", is_flag=True, help="Debug messages, and the traceback of a failure.")
def main(
    verbose: bool,
    json_input: str | None,
    data_source: str | None,
    strict: bool,
    model_path: str | None,
    home: str | None,
    top: int,
    min_score: float,
    diverse: bool,
    output: str | None,
) -> None:
    """Suggest automations that a home does not have yet, best first, with the reasons, as Home Assistant YAML.

    Without a source flag it reads production's services. Messages go to stderr where the YAML goes to stdout.

    Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage.
    """
    from training.runs.run import Run, execute
    from training.suggestions.job import SuggestOptions, suggest_synergies

    options = SuggestOptions(json_input, data_source, strict, model_path, home, top, min_score, diverse, output)
    run = Run("gnn_synergy", verbose=verbose, prints_result=output is None)
    execute(run, None, lambda started: suggest_synergies(started, options))


if __name__ == "__main__":
    main()
