"""Standard streams that are closed, full or left by their reader: what a command did decides its exit code."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import click
import pytest
from support import ROOT, call_process, environment, home

from training.runs.models import MODELS
from training.runs.process import execute
from training.runs.streams import Program

SAMPLE = ROOT / "simulation" / "training_data"
REASON = "Error: standard output: cannot be written (No space left on device); the result is lost\n"


def program(result: str) -> click.Command:
    def body() -> None:
        click.echo("a result")
        if result == "failed":
            raise MemoryError

    @click.command(cls=Program)
    def main() -> None:
        execute(body, result="file" if result == "failed" else result, memory_hint="use less")  # type: ignore[arg-type]

    return main


@pytest.fixture
def gone() -> Iterator[IO[str]]:
    """A pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stream:
        yield stream


def run(command: click.Command, *arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        command.main(list(arguments), prog_name="x")
    return int(ended.value.code or 0)


@pytest.mark.parametrize(("result", "code"), [("file", 0), ("messages", 1), ("stdout", 1)])
def test_a_full_stdout_is_a_failure_only_where_the_result_is_printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], result: str, code: int
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run(program(result)) == code
        assert sys.stdout is full
        monkeypatch.undo()
    assert capsys.readouterr().err == (REASON if code else "")


def test_help_is_a_result_also_of_a_command_that_trains(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with open("/dev/full", "w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert run(program("file"), "--help") == 1
        monkeypatch.undo()
    assert capsys.readouterr().err == REASON


def test_a_reader_that_went_away_is_exit_1_without_a_word(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gone: IO[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", gone)
    assert run(program("stdout")) == 1
    monkeypatch.undo()
    assert capsys.readouterr().err == ""


def test_an_error_that_stderr_does_not_take_is_said_on_stdout(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], gone: IO[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", gone)
    assert run(program("failed")) == 1
    monkeypatch.undo()
    assert capsys.readouterr().out == "a result\nError: out of memory; use less\n"


def test_a_log_file_on_a_full_disk_is_said_once_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.log").symlink_to("/dev/full")

    def body() -> None:
        import logging

        for number in range(3):
            logging.getLogger("training").info("line %d", number)

    with pytest.raises(SystemExit) as ended:
        execute(body, verbose=True, log_file="x.log")
    assert ended.value.code == 0
    out, err = capsys.readouterr()
    assert out.count("x.log: cannot be written (No space left on device)") == 1
    assert [line for line in out.splitlines() if line.startswith("line")] == ["line 0", "line 1", "line 2"]
    assert err == ""


def test_a_closed_descriptor_is_not_given_to_the_next_file(tmp_path: Path) -> None:
    script = tmp_path / "x.py"
    script.write_text(
        "import click, os, sys\n"
        "from training.runs.streams import Program, result_is_kept\n"
        "@click.command(cls=Program)\n"
        "def main():\n"
        "    result_is_kept()\n"
        "    with open('model', 'wb') as model:\n"
        "        print('text', flush=True); print('text', file=sys.stderr, flush=True); os.write(1, b'native')\n"
        "        model.write(b'weights')\n"
        "main()\n"
    )
    command = f"'{sys.executable}' x.py <&- >&- 2>&-"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, timeout=60, env=environment(PYTHONPATH=str(ROOT)))
    assert done.returncode == 0
    assert (tmp_path / "model").read_bytes() == b"weights"


def test_a_slow_reader_of_a_descriptor_that_does_not_block_gets_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    text = "x" * 300_000  # more than a pipe holds
    got: list[bytes] = []

    def read() -> None:
        with open(reader, "rb") as stream:
            got.append(stream.read())

    thread = threading.Thread(target=read)
    thread.start()
    with open(writer, "w") as stream:
        monkeypatch.setattr(sys, "stdout", stream)

        @click.command(cls=Program)
        def main() -> None:
            click.echo(text)

        assert run(main) == 0
        monkeypatch.undo()
    thread.join()
    assert got == [f"{text}\n".encode()]


# -- Every script, every stream ----------------------------------------------------------------------------------------

STREAMS = {
    "as they are": "{}",
    "stdout closed": "{} >&-",
    "stderr closed": "{} 2>&-",
    "stdin closed": "{} <&-",
    "all closed": "{} <&- >&- 2>&-",
    "stdout full": "{} >/dev/full",
    "stderr full": "{} 2>/dev/full",
    "reader reads nothing": "{} | true",
    "reader reads a line": "{} | head -n 1",
    "reader of stderr gone": "{} 2> >(true)",
    "stdout in ASCII": "PYTHONIOENCODING=ascii {}",
    "a locale that is not UTF-8": "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {}",
}
LOSES = ("stdout closed", "all closed", "stdout full")  # a printed result is lost there
MAY_LOSE = ("reader reads nothing", "reader reads a line")  # if it is written after the reader went away
# Commands that take long, and the streams that differ most.
LONG = ("train gnn", "train soft", "train yaml", "retrain run", "base model")
FOR_LONG = ("stdout closed", "all closed", "stdout full", "reader reads nothing", "a locale that is not UTF-8")
SCRATCH = "--base-model scratch --epochs 1"
# What is called, and whether its result is what it prints.
COMMANDS = {
    "train gnn": ("train_gnn_synergy.py --json-input data --epochs 1 --force --model-path OUT/m.pth", False),
    "train soft": (f"train_soft_prompt.py --json-input data {SCRATCH} --output-dir OUT", False),
    "train pattern": ("train_pattern_detection.py --json-input data --model-path OUT/p.skops", False),
    "train yaml": (
        "train_yaml_generation.py --json-input data --epochs 1 --base-model scratch --output-dir OUT",
        False,
    ),
    "dry run": ("train_pattern_detection.py --json-input data --dry-run", True),
    "suggest": ("suggest_synergies.py --json-input data --model-path m.pth", True),
    "suggest to a file": ("suggest_synergies.py --json-input data --model-path m.pth --output OUT/s.yaml", False),
    "evaluate": ("evaluate_gnn_synergy.py --json-input data --model-path m.pth", True),
    "compare": ("compare_models.py gnn_synergy --candidate m.pth --json-input data --output OUT/c.json", False),
    "retrain check": ("retrain.py check --json-input data", True),
    "retrain list": ("retrain.py list --json", True),
    "retrain verify": ("retrain.py verify", True),
    "retrain run": ("retrain.py run pattern_detection --force --json-input data --model-directory OUT/models", False),
    "retrain prune": ("retrain.py prune", False),
    "simulate": ("make_simulation_data.py --homes 1 --output OUT", False),
    "base model": ("train_base_model.py --generated 2 --epochs 1 --output OUT/b.safetensors", False),
    "help": ("train_gnn_synergy.py --help", True),
    "help of a subcommand": ("retrain.py promote --help", True),
}


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data of all models, and a synergy model."""
    folder = tmp_path_factory.mktemp("streams")
    data = folder / "data"
    data.mkdir()
    (data / "gnn_synergy_data.json").write_text(json.dumps([home(f"home_{i}") for i in range(2)]))
    for kind, count in (("soft_prompt", 24), ("pattern_detection", 120), ("yaml_generation", 16)):
        rows = json.loads((SAMPLE / f"{kind}_data.json").read_text(encoding="utf-8"))[:count]
        (data / f"{kind}_data.json").write_text(json.dumps(rows))
    train = [sys.executable, str(ROOT / "scripts" / "train_gnn_synergy.py"), "--json-input", "data", "--epochs", "1"]
    subprocess.run([*train, "--model-path", "m.pth"], cwd=folder, env=environment(), check=True, capture_output=True)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_on_every_stream(place: Path, tmp_path: Path, command: str) -> None:
    for name in ("data", "m.pth"):
        (tmp_path / name).symlink_to(place / name)
    called, is_printed = COMMANDS[command]
    script = f"'{sys.executable}' '{ROOT / 'scripts'}'/{called}"
    for number, (streams, template) in enumerate(STREAMS.items()):
        if command in LONG and streams not in FOR_LONG:
            continue
        shell = f"set -o pipefail; {template.format(script.replace('OUT', f'out{number}'))}"
        done = subprocess.run(
            ["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=environment()
        )
        expected = {1} if is_printed and streams in LOSES else {0, 1} if is_printed and streams in MAY_LOSE else {0}
        said = f"{command}, {streams}: {done.stdout[-500:]}{done.stderr[-1500:]}"
        assert done.returncode in expected, said
        for word in ("Traceback", "Exception ignored", "BrokenPipe", "Broken pipe"):
            assert word not in done.stdout + done.stderr, said
        if expected == {1} and streams != "all closed":
            assert done.stderr.splitlines()[-1].startswith("Error: standard output: cannot be written"), said


# -- Memory that is too little -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_too_little_memory_is_one_line_with_the_remedy(place: Path, tmp_path: Path, model: str) -> None:
    (tmp_path / "data").symlink_to(place / "data")
    flags = SCRATCH.split() if model in ("soft_prompt", "yaml_generation") else []
    ends = []
    for limit in (200, 600, 1_000, 1_400):
        done = call_process(
            str(ROOT / "scripts" / f"train_{model}.py"),
            "--json-input",
            "data",
            *flags,
            cwd=tmp_path,
            timeout=300,  # OpenBLAS may try for ever
            env={"HF_HUB_OFFLINE": "1"},
            preexec_fn=lambda limit=limit: resource.setrlimit(resource.RLIMIT_AS, (limit * 10**6, limit * 10**6)),
        )
        ends.append(done.returncode)
        if done.returncode:
            assert done.stderr.startswith("Error: out of memory"), done.stderr
            assert done.stderr.endswith(f"{MODELS[model].memory_hint}\n")
            assert done.stderr.count("\n") == 1
    assert ends[0] == 1
