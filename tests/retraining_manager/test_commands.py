"""The command lines that the manager starts are ones that its scripts, and the installed command, take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import pytest

from home_synergy.cli import main
from retraining_manager import commands
from retraining_manager.commands import SCRIPTS, command_of, comparison_command, source_flags, training_command
from retraining_manager.errors import ManagerError
from retraining_manager.models import SPECS
from training.compare import compare_models
from training.runs.job import SourceChoice
from training.runs.models import MODELS

SOURCE = SourceChoice(json_input="-a folder", strict=True)


def parsed(command: click.Command, arguments: list[str]) -> dict[str, Any]:
    """What ``command`` reads from ``arguments``. A flag that it has not, or a value it does not take, is an error."""
    if isinstance(command, click.Group):
        found = command.get_command(click.Context(command), arguments[0])
        assert found is not None
        return parsed(found, arguments[1:])
    return command.make_context(command.name, list(arguments)).params


def training(model: str, script: Path, **more: Any) -> list[str]:
    places = {"output": Path("work/output"), "file_name": "m.pth", "summary": Path("work/summary.json")}
    return training_command(SPECS[model], script, source=SOURCE, **places, **more)


@pytest.mark.parametrize("model", SPECS)
def test_a_training_is_told_where_the_data_is_and_where_its_files_go(model: str) -> None:
    spec = SPECS[model]
    program, script, *arguments = training(model, SCRIPTS / spec.script, force=spec.supports_force)
    assert (program, script) == (sys.executable, str(SCRIPTS / spec.script))
    given = parsed(MODELS[model].load("command", "train"), arguments)
    assert (given["json_input"], given["strict"], given["summary_path"]) == ("./-a folder", True, "work/summary.json")
    if spec.artifact == "file":
        assert given["model_path"] == "work/output/m.pth"
    else:
        assert given["run_directory"] == "work/output"
    assert given.get("force", False) is spec.supports_force


@pytest.mark.parametrize("model", SPECS)
def test_where_only_the_wheel_is_installed_the_same_is_asked_of_home_synergy(
    model: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    spec = SPECS[model]
    in_checkout = training(model, SCRIPTS / spec.script)
    monkeypatch.setattr(commands, "SCRIPTS", tmp_path)
    installed = training(model, tmp_path / spec.script)
    assert installed[:4] == [sys.executable, "-P", "-m", "home_synergy"]
    given = parsed(main, installed[4:])
    assert {**given, "run_id": None} == {
        **parsed(MODELS[model].load("command", "train"), in_checkout[2:]),
        "run_id": None,  # the time
    }


@pytest.mark.parametrize("champion", [None, Path("old.pth")])
def test_a_comparison_is_told_the_candidate_and_the_champion_and_its_rows(
    champion: Path | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def command(script: Path) -> list[str]:
        return comparison_command(
            SPECS["soft_prompt"],
            script,
            source=SourceChoice(),
            candidate=Path("new.pth"),
            champion=champion,
            champion_rows=None if champion is None else Path("rows.gz"),
            output=Path("c.json"),
            save_rows=Path("saved.gz"),
            least_rows=7,
        )

    given = parsed(compare_models, command(SCRIPTS / "compare_models.py")[2:])
    assert given["model"] == "soft_prompt"
    assert (given["candidate"], given["champion"]) == (Path("new.pth"), champion)
    assert (given["champion_rows"], given["save_rows"]) == (champion and Path("rows.gz"), Path("saved.gz"))
    assert given["least_rows"] == 7
    assert (given["data_source"], given["json_input"]) == (None, None), "what its training reads with no flag too"
    monkeypatch.setattr(commands, "SCRIPTS", tmp_path)
    assert parsed(main, command(tmp_path / "compare_models.py")[4:]) == given


def test_a_script_that_a_caller_names_is_started_and_must_be_there(tmp_path: Path) -> None:
    own = tmp_path / "train my way.py"
    with pytest.raises(ManagerError, match=r"train my way\.py: no such script"):
        command_of(own)
    own.touch()
    assert command_of(own, "train", "gnn-synergy") == [sys.executable, str(own)]


def test_paths_with_spaces_and_dashes_reach_the_scripts_whole() -> None:
    assert source_flags(SourceChoice(json_input="")) == ["--json-input"]
    assert source_flags(SourceChoice(json_input="-a 'b'")) == ["--json-input=./-a 'b'"]
    assert source_flags(SourceChoice(data_source="http://x", strict=True)) == ["--strict", "--data-source=http://x"]
    assert source_flags(SourceChoice()) == []
