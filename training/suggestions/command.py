"""``home-synergy suggest``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.runs.options import source_options, verbose_option
from training.runs.settings import flags, read_config
from training.runs.streams import Program
from training.suggestions.config import SuggestOptions


@click.command("suggest", cls=Program)
@source_options
@flags(SuggestOptions)
@verbose_option
def suggest(json_input: str | None, data_source: str | None, strict: bool, verbose: bool, **given: Any) -> None:
    """Suggest automations that a home does not have yet.

    They are printed as Home Assistant YAML, with the reasons. The first are those to look at first: the order is by
    score, by how often devices of the trigger's kind trigger anything, and by variety, so the scores rise and fall.
    Without a source flag the homes are read from production's services. If the YAML goes to stdout, messages go to
    stderr.

    Exit codes: 0 done, 1 failed (one line on stderr), 2 wrong usage.
    """
    from training.runs.job import SourceChoice
    from training.runs.process import execute
    from training.suggestions.job import suggest

    output = given["output"]
    if output is not None and Path(output).suffix not in (".json", ".yaml", ".yml"):
        raise click.BadParameter("expected a file that ends in .yaml or .json", param_hint="--output")
    if given["install"] is not None and output is not None:
        raise click.BadParameter("writes a file of its own; leave --output out", param_hint="--install")
    printed = output is None and given["install"] is None
    source = SourceChoice(json_input, data_source, strict)
    execute(
        lambda: suggest(source, read_config(SuggestOptions, given)),
        verbose=verbose,
        result="stdout" if printed else "file",
    )
