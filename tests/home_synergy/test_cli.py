"""The ``home-synergy`` command: one door to everything, also where only the wheel is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from support import ROOT, call, call_process

from home_synergy.cli import main, train
from training.patterns.command import train as train_patterns
from training.synergy.command import train as train_synergy
from training.text.command import train as train_soft_prompt

Run = Callable[..., subprocess.CompletedProcess[str]]
PACKAGES = ("data_sources", "home_assistant", "home_synergy", "retraining_manager", "simulation", "training")


def test_help_lists_every_command_with_a_sentence() -> None:
    for group in (main, train):
        shown = CliRunner().invoke(group, ["--help"])
        assert shown.exit_code == 0
        for name in group.list_commands(click.Context(group)):
            (line,) = [line for line in shown.output.splitlines() if line.strip().startswith(f"{name} ")]
            assert len(line.split(None, 1)[1]) > 20, line


def test_a_command_that_does_not_exist_is_wrong_usage() -> None:
    done = CliRunner().invoke(main, ["train", "nothing"])
    assert done.exit_code == 2
    assert "No such command 'nothing'" in done.output


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("sugest",), "No such command 'sugest'. Did you mean 'suggest'?"),
        (("train", "gnn-sinergy"), "Did you mean 'gnn-synergy'?"),
        (("retrain", "chek"), "Did you mean 'check'?"),
        (("suggest", "--top", "ten"), "'ten' is not a whole number from 1 up."),
        (("train", "gnn-synergy", "--epochs", "1.5"), "'1.5' is not a whole number from 0 up."),
        (("suggest", "--min-score", "half"), "'half' is not a number from 0 to 1."),
        (("retrain", "run", "--all", "--timeout", "1h"), "'1h' is not a number above 0."),
        (("retrain", "prune", "--keep", "all"), "'all' is not a whole number from 0 up."),
    ],
)
def test_a_slip_on_the_command_line_is_told(arguments: tuple[str, ...], told: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert told in done.output


def test_scripts_call_the_same_commands() -> None:
    from training.synergy.command import train as train_synergy

    for name in ("gnn-synergy", "gnn_synergy"):
        assert train.get_command(click.Context(train), name) is train_synergy
    text = (ROOT / "scripts" / "train_gnn_synergy.py").read_text()
    assert "from training.synergy.command import train" in text


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The wheel, built from a copy of the sources and installed into a folder of its own; run from an empty one."""
    folder = tmp_path_factory.mktemp("wheel")
    source, site, empty = folder / "source", folder / "site", folder / "empty"
    source.mkdir()
    empty.mkdir()
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps"]
    subprocess.run([*pip, "--target", str(site), str(source)], check=True, timeout=300)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        env = {"PYTHONPATH": str(site), "PYTHONDONTWRITEBYTECODE": "1"}
        return call_process("-m", "home_synergy", *arguments, cwd=empty, timeout=300, env=env)

    place = subprocess.run(
        [sys.executable, "-c", "import training; print(training.__file__)"],
        cwd=empty, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": str(site)},
    ).stdout  # fmt: skip
    assert Path(place.strip()).is_relative_to(site), "the checkout is out of sight"
    return run


@pytest.mark.slow
def test_the_wheel_trains_suggests_and_retrains_from_an_empty_folder(installed: Run) -> None:
    trained = installed("train", "gnn-synergy", "--json-input", "--epochs", "2", "--summary-path", "s.json")
    assert trained.returncode == 0, trained.stderr
    assert trained.stderr == ""
    suggested = installed("suggest", "--json-input", "--top", "2", "--output", "out.json")
    assert suggested.returncode == 0, suggested.stderr
    checked = installed("retrain", "check", "--json-input", "--json")
    assert checked.returncode == 0, checked.stderr
    assert all(state["enough"] for state in json.loads(checked.stdout).values())
    retrained = installed("retrain", "run", "pattern_detection", "--json-input", "--json")
    assert retrained.returncode == 0, retrained.stderr
    assert json.loads(retrained.stdout)["models"]["pattern_detection"]["promoted"]


@pytest.mark.slow
def test_the_wheel_knows_its_version(installed: Run) -> None:
    shown = installed("--version")
    assert shown.stdout.startswith("home-synergy, version ")


def test_a_missing_required_flag_is_wrong_usage() -> None:
    done = CliRunner().invoke(main, ["evaluate"])
    assert done.exit_code == 2
    assert "Missing option '--model-path'" in done.output


def test_an_unknown_model_is_wrong_usage_everywhere() -> None:
    for arguments in (
        ["compare", "nothing", "--candidate", "x", "--output", "y"],
        ["retrain", "run", "nothing"],
        ["train", "nothing"],
    ):
        assert CliRunner().invoke(main, arguments).exit_code == 2, arguments


def test_a_timeout_that_is_no_number_and_an_empty_place_are_wrong_usage() -> None:
    for flag in (["--timeout", "nan"], ["--evaluate-on", ""]):
        assert CliRunner().invoke(main, ["retrain", "run", "gnn_synergy", *flag]).exit_code == 2, flag


def test_a_number_of_a_range_that_is_not_finite_is_wrong_usage() -> None:
    for arguments in (
        ["suggest", "--min-score", "nan"],
        ["suggest", "--min-score", "-nan"],
        ["train", "soft-prompt", "--learning-rate", "nan"],
        ["train", "yaml-generation", "--learning-rate", "1e999"],
    ):
        done = CliRunner().invoke(main, [*arguments, "--json-input", "missing.json"])
        assert (done.exit_code, "is no finite number" in done.output) == (2, True), arguments


ROWS = [
    {"entity_id": f"light.l{n % 4}", "pattern_type": "sequence", "confidence": 0.7, "occurrences": n,
     "ground_truth": {"expected_pattern": "none" if n % 3 == 0 else "sequence"}}
    for n in range(40)
]  # fmt: skip


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--model-path", "m.skops", "--summary-path", "m.skops"], "is both the model and the summary"),
        (["--model-path", "m.skops", "--summary-path", "./m_metadata.json"], "is both the metadata and the summary"),
        (["--model-path", "rows.json"], "is both the data and the model"),
        (["--dry-run", "--summary-path", "link.json"], "is both the data and the summary"),
    ],
)
def test_nothing_is_written_over_the_data_or_the_model(tmp_path: Path, flags: list[str], why: str) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "link.json").symlink_to("rows.json")
    (tmp_path / "m.skops").write_text("the old model")
    before = {path.name: path.read_text() for path in tmp_path.iterdir()}
    done = call(train_patterns, "--json-input", "rows.json", *flags, cwd=tmp_path)
    assert done.returncode == 1
    assert why in done.stderr
    assert done.stderr.count("\n") == 1
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == before


def test_nothing_is_written_over_a_file_of_the_folder_that_is_read(tmp_path: Path) -> None:
    data = tmp_path / "pattern_detection_data.json"
    data.write_text(json.dumps(ROWS))
    done = call(train_patterns, "--json-input", ".", "--dry-run", "--summary-path", data.name, cwd=tmp_path)
    assert (done.returncode, json.loads(data.read_text())) == (1, ROWS)
    assert "is both the data and the summary" in done.stderr
    for _ in range(2):  # another file beside the data may be replaced
        done = call(train_patterns, "--json-input", ".", "--dry-run", "--summary-path", "s.json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "flags",
    [
        ["suggest", "--model-path", "{}", "--json-input", "homes.json"],
        ["suggest", "--json-input", "{}"],
        ["suggest", "--data-source", "homeassistant:{}"],
        ["suggest", "--data-source", "sqlite:///{}", "--output", "o.yaml"],
        ["suggest", "--install", "{}"],
        ["suggest", "--feedback", "{}"],
        ["feedback", "list", "--file", "{}"],
        ["train", "gnn-synergy", "--json-input", "homes.json", "--base-model", "{}"],
        ["train", "gnn-synergy", "--json-input", "homes.json", "--model-path", "{}"],
        ["train", "gnn-synergy", "--json-input", "homes.json", "--summary-path", "{}"],
        ["train", "soft-prompt", "--json-input", "homes.json", "--tensorboard", "{}"],
        ["train", "soft-prompt", "--json-input", "homes.json", "--output-dir", "{}"],
        ["train", "soft-prompt", "--json-input", "homes.json", "--base-model", "{}"],
    ],
)
def test_a_path_that_is_too_long_is_one_line(tmp_path: Path, flags: list[str]) -> None:
    (tmp_path / "homes.json").write_text("[]")
    done = call(main, *(flag.format("x" * 5000) for flag in flags), cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr[-200:]
    assert "x" * 20 in done.stderr
    assert "unexpected" not in done.stderr


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        (train_synergy, ["--json-input", "."]),
        (train_synergy, ["--json-input", "gnn_synergy_data.json"]),
        (train_soft_prompt, ["--db-path", "gnn_synergy_data.json", "--tensorboard", os.devnull]),
    ],
)
def test_the_summary_of_a_run_that_fails_at_once_replaces_nothing_but_a_summary(
    tmp_path: Path, command: click.Command, flags: list[str]
) -> None:
    data = tmp_path / "gnn_synergy_data.json"
    data.write_text(json.dumps(ROWS))

    def fails(summary: Path) -> str:
        given = [*flags, "--summary-path", summary.name]
        done = call(command, *given, cwd=tmp_path, env={"GNN_EPOCHS": "abc"})
        assert done.returncode == 1
        return done.stderr

    assert f"{data.name}: is no summary, and was not replaced by one" in fails(data)
    assert json.loads(data.read_text()) == ROWS
    summary = tmp_path / "s.json"
    summary.touch()
    for _ in range(2):
        fails(summary)
        assert json.loads(summary.read_text())["status"] == "failed"


def test_a_judgement_is_not_written_over_the_homes_that_it_is_about(tmp_path: Path) -> None:
    data = tmp_path / "gnn_synergy_data.json"
    data.write_text("[]")
    paths = ["--json-input", str(tmp_path), "--output", str(data), "--model-path", str(tmp_path / "missing.pth")]
    done = CliRunner().invoke(main, ["evaluate", *paths])
    assert done.exit_code == 1
    assert "is both the data and the output" in done.output
    assert data.read_text() == "[]"
