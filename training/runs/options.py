"""Click options that every training script shares. Importing this imports no ML library, so ``--help`` is instant."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
BARE_FLAG = ""  # data_sources.BARE; repeated so that --help does not import pydantic


def source_options(command: F) -> F:
    """``--json-input [PATH]``, ``--data-source SPEC`` and ``--strict``; the first two exclude each other (exit 2)."""

    @click.option(
        "--json-input",
        metavar="[PATH]",
        is_flag=False,
        flag_value=BARE_FLAG,
        default=None,
        help="Read JSON instead of production: a file (.json, .jsonl, .gz), a folder with <model>_data.json, or - for "
        "standard input. Without PATH: $TRAINING_DATA_DIR, else simulation/training_data/.",
    )
    @click.option(
        "--data-source",
        metavar="SPEC",
        default=None,
        help="The general form of --json-input: a path, a URL, or auto. Not together with --json-input.",
    )
    @click.option("--strict", is_flag=True, help="Stop at the first row that cannot be used.")
    @wraps(command)
    def checked(*args: Any, **options: Any) -> Any:
        if options["json_input"] is not None and options["data_source"] is not None:
            raise click.UsageError("--json-input and --data-source exclude each other; give one of them.")
        if options["data_source"] == "":
            raise click.UsageError("--data-source needs a path, a URL, or auto.")
        return command(*args, **options)

    return checked  # type: ignore[return-value]


METHODS = ("lora", "dora", "rslora", "prompt", "prefix", "p-tuning")


def adapter_options(output_dir: str, variables: str, max_samples: int) -> Callable[[F], F]:
    """Where runs of an adapter go, its base model (which ``variables`` name too), its method and hyperparameters."""
    positive = click.FloatRange(min=0, min_open=True)
    options = (
        click.option("--output-dir", default=output_dir, help="Where runs and the link `latest` are."),
        click.option("--run-directory", default=None, help="This run's folder.  [default: <output-dir>/<run-id>]"),
        click.option("--run-id", default=None, help="This run's name.  [default: run_YYYYMMDD_HHMMSS, UTC]"),
        click.option(
            "--base-model",
            default=None,
            help=f"A model's folder or hub name, or scratch.  [default: {variables}, else google/flan-t5-small]",
        ),
        click.option("--method", type=click.Choice(METHODS), default="lora", help="The kind of adapter."),
        click.option(
            "--max-samples", type=click.IntRange(1), default=max_samples, help="Rows at most, the newest of a database."
        ),
        click.option("--epochs", type=click.IntRange(1), default=3),
        click.option(
            "--learning-rate",
            type=positive,
            default=None,
            help="[default: 5e-5; 0.1 for prompt, 0.01 for prefix and p-tuning]",
        ),
        click.option("--batch-size", type=click.IntRange(1), default=1),
        click.option("--target-max-tokens", type=click.IntRange(1), default=384),
        click.option("--source-max-tokens", type=click.IntRange(1), default=384),
        click.option("--lora-r", type=click.IntRange(1), default=16),
        click.option("--lora-alpha", type=positive, default=16.0),
        click.option("--lora-dropout", type=click.FloatRange(0, 1, max_open=True), default=0.05),
        click.option(
            "--resume-from", default=None, help="A new run that starts from the adapter of this finished one."
        ),
        click.option(
            "--resume-run", default=None, help="Go on with this run, which was stopped, as if it had not been."
        ),
    )

    def decorated(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def run_options(command: F) -> F:
    """``--seed``, ``--summary-path``, ``--dry-run`` and ``--verbose``."""
    for option in (
        click.option("--verbose", is_flag=True, help="Debug messages, and the traceback of a failure."),
        click.option("--dry-run", is_flag=True, help="Read and audit the data; train and save nothing."),
        click.option(
            "--summary-path",
            type=click.Path(dir_okay=False),
            default=None,
            help="Also write the run's summary (JSON) to this file, whether it succeeds or fails.",
        ),
        click.option(
            "--seed",
            type=click.IntRange(0, 2**32 - 1),
            default=0,
            show_default=True,
            help="Same seed, data and versions: the same model, byte for byte.",
        ),
    ):
        command = option(command)
    return command
