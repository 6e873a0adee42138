"""Click options that every training script shares. Importing this imports no ML library, so ``--help`` is instant."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from training.runs.models import MODELS, key_of

F = TypeVar("F", bound=Callable[..., Any])
BARE_FLAG = ""  # data_sources.BARE; repeated so that --help does not import pydantic


def model_name(text: str) -> str:
    """The click type of a model: its key in ``MODELS``, from a name with underscores or dashes (else exit 2)."""
    key = key_of(text)
    if key is None:
        raise click.UsageError(f"{text!a}: no such model; there are {', '.join(MODELS)}")
    return key


class WholeNumber(click.IntRange):
    """click's, with a message for a person where the value is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises BadParameter where the value is no whole number, or not in the range."""
        try:
            int(value)
        except ValueError:
            self.fail(f"{value!r} is not a whole number{_range_of(self)}.", param, ctx)
        return super().convert(value, param, ctx)


class Number(click.FloatRange):
    """click's, with a message for a person, and without NaN, which is neither inside nor outside of a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Raises BadParameter where the value is no finite number, or not in the range."""
        try:
            float(value)
        except ValueError:
            self.fail(f"{value!r} is not a number{_range_of(self)}.", param, ctx)
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is no finite number", param, ctx)
        return number


def _range_of(kind: click.IntRange | click.FloatRange) -> str:
    """`` from 1 to 20`` and so on; empty where every number is allowed."""
    least = "" if kind.min is None else f" {'above' if kind.min_open else 'from'} {kind.min}"
    most = "" if kind.max is None else f" {'below' if kind.max_open else 'to'} {kind.max}"
    return f"{least}{most}" if most or not least or kind.min_open else f"{least} up"


def source_options(command: F) -> F:
    """``--json-input [PATH]``, ``--data-source SPEC`` and ``--strict``; the first two exclude each other (exit 2)."""

    @click.option(
        "--json-input",
        metavar="[PATH]",
        is_flag=False,
        flag_value=BARE_FLAG,
        default=None,
        help="Read JSON instead of production's services: a file (.json, .jsonl, .gz), a folder that holds "
        "<model>_data.json, or - for standard input. Without PATH: the folder $TRAINING_DATA_DIR, else "
        "simulation/training_data/.",
    )
    @click.option(
        "--data-source",
        metavar="SPEC",
        default=None,
        help="Read this source: a path, homeassistant:/config, homeassistant+http://host:8123, the URL of a Data API "
        "or a database, auto (production's services, or JSON if they cannot be reached), or env:VARIABLE, for a URL "
        "with a password. Not together with --json-input.",
    )
    @click.option(
        "--strict", is_flag=True, help="Fail at the first row that cannot be used, instead of leaving it out."
    )
    @wraps(command)
    def checked(*args: Any, **options: Any) -> Any:
        if options["json_input"] is not None and options["data_source"] is not None:
            raise click.UsageError("--json-input and --data-source exclude each other; give one of them.")
        if options["data_source"] == "":
            raise click.UsageError("--data-source needs a path, a URL, or auto.")
        return command(*args, **options)

    return checked  # type: ignore[return-value]


verbose_option = click.option("--verbose", is_flag=True, help="Log debug messages, and the traceback of a failure.")


def run_options(command: F) -> F:
    """``--summary-path``, ``--tensorboard``, ``--dry-run`` and ``--verbose``."""
    for option in (
        verbose_option,
        click.option("--dry-run", is_flag=True, help="Read and audit the data, but train and write nothing."),
        click.option(
            "--summary-path",
            type=click.Path(dir_okay=False),
            default=None,
            help="Also write a summary of the run to this file, as JSON, whether it succeeds or fails.",
        ),
        click.option(
            "--tensorboard",
            type=click.Path(file_okay=False),
            default=None,
            help="Also write losses and scores to this folder, for TensorBoard; a folder for each run compares them.",
        ),
    ):
        command = option(command)
    return command
