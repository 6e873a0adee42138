"""Standard streams that are closed, full or left by their reader: what a command did decides its exit code."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import IO

import click
import pytest
from support import ROOT, call, call_process, environment, home

from retraining_manager.manager import RetrainingManager
from training.runs.models import MODELS
from training.runs.process import execute
from training.runs.streams import Program
from training.suggestions.command import feedback
from training.synergy.command import train

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

# Where each stream may lead. ``gone``: a pipe whose reader went away; ``line``: it reads one line, and goes.
STDIN = ("open", "closed")
STDOUT = ("kept", "closed", "full", "gone", "line")
STDERR = ("kept", "closed", "full", "gone")
AS_THEY_ARE = ("open", "kept", "kept")
# The fewest rows in which each stream leads everywhere that it may.
EVERYWHERE = (
    ("open", "kept", "full"),
    ("closed", "closed", "closed"),
    ("closed", "full", "kept"),
    ("open", "gone", "gone"),
    ("open", "line", "kept"),
)
# What Python makes its streams of when it starts, and what it reads files and arguments with.
ENCODINGS = {
    "in ASCII": {"PYTHONIOENCODING": "ascii"},
    "in a locale that is not UTF-8": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
SCRATCH = "--base-model scratch --epochs 1 --batch-size 8"
SHELL = {
    "open": "",
    "kept": "",
    "closed": "{}>&-",
    "full": "{}>/dev/full",
    "gone": "{}> >(true)",
    "line": "{}> >(head -n 1)",
}
LOST = {
    "closed": "Error: standard output: cannot be written (it is closed); the result is lost\n",
    "full": REASON,
    "gone": "",
}
# What is called, and whether its result is what it prints. A text model takes the scratch base of its first run.
COMMANDS = {
    "train gnn": ("scripts/train_gnn_synergy.py --json-input data --epochs 1 --force --model-path OUT/m.pth", False),
    "train soft": (f"scripts/train_soft_prompt.py --json-input data {SCRATCH} --output-dir ../soft", False),
    "train pattern": ("scripts/train_pattern_detection.py --json-input data --model-path OUT/p.skops", False),
    "train yaml": (f"scripts/train_yaml_generation.py --json-input data {SCRATCH} --output-dir ../yaml", False),
    "dry run": ("scripts/train_pattern_detection.py --json-input data --dry-run", True),
    "suggest": ("scripts/suggest_synergies.py --json-input data --model-path m.pth --top 3", True),
    "suggest to a file": (
        "scripts/suggest_synergies.py --json-input data --model-path m.pth --output s.yaml",
        False,
    ),
    "dismiss": ("home_synergy/__main__.py feedback dismiss --home home_0 binary_sensor.a,light.b", False),
    "list answers": ("home_synergy/__main__.py feedback list --file answers.jsonl", True),
    "evaluate": ("scripts/evaluate_gnn_synergy.py --json-input data --model-path m.pth", True),
    "compare": ("scripts/compare_models.py gnn_synergy --candidate m.pth --json-input data --output c.json", False),
    "retrain check": ("scripts/retrain.py check --json-input data", True),
    "retrain list": ("scripts/retrain.py list --json", True),
    "retrain show": ("scripts/retrain.py show pattern_detection", True),
    "retrain verify": ("scripts/retrain.py verify", True),
    "retrain run": ("scripts/retrain.py run pattern_detection --force --json-input data", False),
    "retrain promote": ("scripts/retrain.py promote pattern_detection FIRST", False),
    "retrain rollback": ("scripts/retrain.py rollback pattern_detection", False),
    "retrain prune": ("scripts/retrain.py prune --keep 0", False),
    "simulate": ("scripts/make_simulation_data.py --homes 1 --output OUT", False),
    "base model": ("scripts/train_base_model.py --generated 2 --epochs 1 --output OUT.safetensors", False),
    "help": ("scripts/train_gnn_synergy.py --help", True),
    "help of a script without options of a run": ("scripts/build_word_vectors.py --help", True),
    "help of a group": ("home_synergy/__main__.py --help", True),
    "help of a subcommand": ("scripts/retrain.py promote --help", True),
}
# Those that import torch or scikit-learn in their own process; the others start in a quarter of a second.
LEARNING = ("train gnn", "train soft", "train pattern", "train yaml", "suggest", "suggest to a file", "evaluate")
LEARNING += ("compare", "base model")


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small data of all models, a synergy model, versions of a pattern model, and an answer."""
    folder = tmp_path_factory.mktemp("streams")
    data = folder / "data"
    data.mkdir()
    (data / "gnn_synergy_data.json").write_text(json.dumps([home(f"home_{i}") for i in range(2)]))
    requests = [{"query": f"light {i} at {i}", "suggestion": f"Turn light {i} on"} for i in range(10)]
    (data / "soft_prompt_data.json").write_text(json.dumps(requests))
    for kind, count in (("pattern_detection", 100), ("yaml_generation", 10)):
        rows = json.loads((SAMPLE / f"{kind}_data.json").read_text(encoding="utf-8"))[:count]
        (data / f"{kind}_data.json").write_text(json.dumps(rows))
    for command, *arguments in (
        (train, "--json-input", "data", "--epochs", "1", "--model-path", "m.pth"),
        (feedback, "dismiss", "--home", "home_0", "--file", "answers.jsonl", "binary_sensor.a,light.b"),
    ):
        assert call(command, *arguments, cwd=folder).returncode == 0
    registry = RetrainingManager(None, folder / "models").registry("pattern_detection")
    for number in range(3):
        (folder / "new").write_text(f"model {number}")
        files = {"pattern_detection.skops": folder / "new", "pattern_detection_metadata.json": folder / "new"}
        registry.add(files, {"verdict.json": b"{}"}, live="better")
    return folder


class Forks:
    """Scripts, each in a fork of a process that has imported what they import (``stream_server.py``)."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "socket"))
        self.listener.listen()
        self.listener.settimeout(120)
        command = [sys.executable, str(ROOT / "tests" / "stream_server.py"), str(folder / "socket")]
        self.process = subprocess.Popen(command, env=environment(**env), start_new_session=True)
        self.connection, _ = self.listener.accept()
        self.connection.settimeout(120)

    def close(self) -> None:
        """End the server and, where one hangs, the script."""
        self.connection.close()
        self.listener.close()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def run(self, called: str, cwd: Path, streams: tuple[str, str, str]) -> tuple[int, str, str]:
        """The exit code of a script and its arguments; what it wrote to stdout and to stderr, where that is kept."""
        script, *arguments = called.split()
        with ExitStack() as stack:
            kept = [stack.enter_context(tempfile.TemporaryFile()) for _ in streams]
            given = {n: opened(leads, kept[n]) for n, leads in enumerate(streams) if leads != "closed"}
            request = {"script": str(ROOT / script), "arguments": arguments, "cwd": str(cwd), "given": list(given)}
            socket.send_fds(self.connection, [json.dumps(request).encode()], list(given.values()))
            for descriptor in given.values():
                os.close(descriptor)
            code = int(self.connection.recv(100))
            for stream in kept:
                stream.seek(0)
            _, out, err = (stream.read().decode(errors="replace") for stream in kept)
        return code, out, err


def opened(leads: str, kept: IO[bytes]) -> int:
    """The descriptor of a stream that leads there."""
    if leads == "kept":
        return os.dup(kept.fileno())
    if leads in ("full", "open"):
        return os.open("/dev/full" if leads == "full" else os.devnull, os.O_RDWR)
    reader, writer = os.pipe()
    if leads == "line":
        threading.Thread(target=read_a_line, args=(reader,)).start()
    else:
        os.close(reader)
    return writer


def read_a_line(reader: int) -> None:
    """Read a line from a pipe, and go."""
    with open(reader, "rb", buffering=0) as stream:
        stream.readline()


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    with closing(Forks(tmp_path_factory.mktemp("forks"))) as made:
        yield made


def check_command(
    run: Callable[[str, Path, tuple[str, str, str]], tuple[int, str, str]],
    command: str,
    streams: tuple[str, str, str],
    place: Path,
    folder: Path,
) -> None:
    """Run a command in a folder of its own, and hold what it says and its exit code against its streams."""
    folder.mkdir()
    for name in ("data", "m.pth", "answers.jsonl"):
        (folder / name).symlink_to(place / name)
    called, is_printed = COMMANDS[command]
    if "pattern_detection" in called or "retrain" in called:
        shutil.copytree(place / "models", folder / "models", symlinks=True)
        first = min(path.name for path in (place / "models" / "pattern_detection" / "versions").iterdir())
        called = called.replace("FIRST", first)
    code, out, err = run(called.replace("OUT", "out"), folder, streams)
    said = f"{command}, {streams}: {code} {out[-500:]}{err[-1500:]}"
    lost = is_printed and streams[1] in ("closed", "full", "gone")
    # What was read before the reader went away may be all there is.
    assert code in ({0, 1} if is_printed and streams[1] == "line" else {int(lost)}), said
    for word in ("Traceback", "Exception ignored", "BrokenPipe", "Broken pipe", "Logging error"):
        assert word not in out + err, said
    if lost and streams[2] == "kept":
        assert err.endswith(LOST[streams[1]]), said


def in_a_process(called: str, cwd: Path, streams: tuple[str, str, str], **env: str) -> tuple[int, str, str]:
    """As ``Forks.run``, with Python's own start."""
    redirected = " ".join(SHELL[leads].format(number) for number, leads in enumerate(streams))
    done = subprocess.run(
        ["bash", "-c", f"'{sys.executable}' '{ROOT}'/{called} {redirected}"],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env=environment(**env),
    )
    return done.returncode, done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["retrain list", "retrain prune", "help of a subcommand"])
def test_all_streams_lead_anywhere_together(place: Path, tmp_path: Path, command: str) -> None:
    """The whole product, on a command of each kind of result; each starts in a quarter of a second."""
    for streams in product(STDIN, STDOUT, STDERR):
        check_command(in_a_process, command, streams, place, tmp_path / " ".join(streams))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_each_stream_of_every_command_leads_anywhere(place: Path, tmp_path: Path, forks: Forks, command: str) -> None:
    """What a command does itself meets each state of each stream.

    How the states of several streams play together is decided in code that all commands share, which the whole product
    above holds.
    """
    assert [set(leads) for leads in zip(*EVERYWHERE, strict=True)] == [set(STDIN), set(STDOUT), set(STDERR)]
    run = forks.run if command in LEARNING else in_a_process
    for streams in EVERYWHERE:
        check_command(run, command, streams, place, tmp_path / " ".join(streams))


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_command_in_every_encoding(place: Path, tmp_path: Path, encoding: str) -> None:
    with closing(Forks(tmp_path, **ENCODINGS[encoding])) as forks:
        for command in COMMANDS:
            run = forks.run if command in LEARNING else partial(in_a_process, **ENCODINGS[encoding])
            check_command(run, command, AS_THEY_ARE, place, tmp_path / command)


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
