"""The command lines that the manager starts: the training of a model, and the comparison of two."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from data_sources import VARIABLE_PREFIX, without_secrets
from retraining_manager.errors import ManagerError
from retraining_manager.models import ModelSpec
from training.runs.job import SourceChoice

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
COMPARISON_SCRIPT = "compare_models.py"
SOURCE_VARIABLE = "HOME_SYNERGY_SOURCE"


def command_of(script: Path, *subcommand: str) -> list[str]:
    """What starts ``script``: this Python with it, or ``home-synergy SUBCOMMAND`` for a script that a wheel leaves out.

    Raises ManagerError where there is no such script.
    """
    if script.is_file():
        return [sys.executable, str(script)]
    if script.parent == SCRIPTS:
        return [sys.executable, "-P", "-m", "home_synergy", *subcommand]  # -P: not what lies in the working directory
    raise ManagerError(f"{script}: no such script")


def source_flags(source: SourceChoice) -> list[str]:
    """The flags that choose ``source``; none where it is production's.

    A value is joined to its flag, because it may begin with a dash. That is not enough for --json-input, whose value is
    optional: click reads one with a dash as the next flag.
    """
    strict = ["--strict"] if source.strict else []
    if secret_environment(source):
        return [*strict, f"--data-source={VARIABLE_PREFIX}{SOURCE_VARIABLE}"]
    if source.json_input is not None:
        path = f"./{source.json_input}" if source.json_input.startswith("-") else source.json_input
        return [*strict, f"--json-input={path}" if path else "--json-input"]
    return strict if source.data_source is None else [*strict, f"--data-source={source.data_source}"]


def secret_environment(source: SourceChoice) -> dict[str, str]:
    """The variable that gives a child the address of ``source``, where that holds what no argument may show."""
    named = source.data_source
    return {SOURCE_VARIABLE: named} if named is not None and without_secrets(named) != named else {}


def training_command(
    spec: ModelSpec,
    script: Path,
    *,
    source: SourceChoice,
    output: Path,
    file_name: str,
    summary: Path,
    flags: Sequence[str] = (),
    force: bool = False,
) -> list[str]:
    """The training of a model.

    Args:
        spec: The model.
        script: What trains it.
        source: Where the data is.
        output: The folder for what it leaves: the model file named ``file_name`` and its companions, or a whole run.
        file_name: The name of a model file.
        summary: The file for its summary.
        flags: More of its flags.
        force: Whether it trains although a model is there.

    Raises:
        ManagerError: There is no such script.
    """
    if spec.artifact == "file":
        places = {"--model-path": str(output / file_name)}
    else:
        run_id = datetime.now(UTC).strftime("run_%Y%m%d_%H%M%S")
        places = {"--output-dir": str(output.with_name("runs")), "--run-directory": str(output), "--run-id": run_id}
    return [
        *command_of(script, "train", spec.model.replace("_", "-")),
        *source_flags(source),
        *(word for pair in places.items() for word in pair),
        *("--summary-path", str(summary)),
        *flags,
        *(["--force"] if force else []),
    ]


def comparison_command(
    spec: ModelSpec,
    script: Path,
    *,
    source: SourceChoice,
    candidate: Path,
    champion: Path | None,
    champion_rows: Path | None,
    output: Path,
    save_rows: Path,
    least_rows: int,
) -> list[str]:
    """The comparison of a candidate and, where there is one, the champion; see ``training.compare`` for the arguments.

    Raises ManagerError where there is no such script.
    """
    given = {"--champion": champion, "--champion-rows": champion_rows}
    return [
        *command_of(script, "compare"),
        spec.model,
        *("--candidate", str(candidate)),
        *(word for flag, path in given.items() if path is not None for word in (flag, str(path))),
        *source_flags(source),
        *("--output", str(output)),
        *("--save-rows", str(save_rows)),
        *("--least-rows", str(least_rows)),
    ]
