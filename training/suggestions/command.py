"""``home-synergy suggest`` and ``home-synergy feedback``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from training.runs.options import source_options, verbose_option
from training.runs.settings import flags, read_config
from training.runs.streams import Program, ProgramGroup
from training.suggestions.config import FeedbackOptions, SuggestOptions


@click.command("suggest", cls=Program)
@source_options
@flags(SuggestOptions)
@verbose_option
def suggest(json_input: str | None, data_source: str | None, strict: bool, verbose: bool, **given: Any) -> None:
    """Suggest automations that a home does not have yet.

    They are printed as Home Assistant YAML, with the reasons. The first are those to look at first: the order is by
    score, but what is like a suggestion above it, or what few people want, comes later. Without a source flag the homes
    are read from production's services; a Home Assistant is --data-source homeassistant:/config. If the YAML goes to
    stdout, messages go to stderr.

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
    if given["html"] is not None and Path(given["html"]).suffix not in (".html", ".htm"):
        raise click.BadParameter("expected a file that ends in .html", param_hint="--html")
    printed = output is None and given["install"] is None and given["html"] is None
    source = SourceChoice(json_input, data_source, strict)
    execute(
        lambda: suggest(source, read_config(SuggestOptions, given)),
        verbose=verbose,
        result="stdout" if printed else "file",
    )


@click.group("feedback", cls=ProgramGroup)
def feedback() -> None:
    """Answer suggestions: what is dismissed is not shown again, and a training learns from all answers."""


def _answering(name: str, verdict: str, summary: str) -> None:
    @feedback.command(name, cls=Program, help=summary)
    @click.argument("ids", nargs=-1, required=True, metavar="ID...")
    @flags(FeedbackOptions)
    @verbose_option
    def command(ids: tuple[str, ...], verbose: bool, **given: Any) -> None:
        from training.runs.process import execute
        from training.suggestions.answering import answer

        execute(
            lambda: answer(read_config(FeedbackOptions, given), ids, verdict),  # type: ignore[arg-type]
            verbose=verbose,
        )


_ID = "\n\nID is the id of the automation (suggested_...), or the pair as trigger,action."
_answering("accept", "accepted", f"Note that you took suggestions: a training learns them as known pairs.{_ID}")
_answering("dismiss", "dismissed", f"Note that you do not want suggestions: they are not shown again.{_ID}")
_answering("undo", "undone", f"Take answers back, as if they had not been given.{_ID}")


@feedback.command("list", cls=Program)
@flags(FeedbackOptions)
@verbose_option
def list_command(verbose: bool, **given: Any) -> None:
    """List what was shown and what was answered."""
    from training.runs.process import execute
    from training.suggestions.answering import list_answers

    execute(lambda: list_answers(read_config(FeedbackOptions, given)), verbose=verbose, result="messages")
