"""Scripts as processes: streamed with a level, kept whole, limited, measured, and ended with all they started."""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from retraining import is_gone
from support import ROOT

from retraining_manager import runner
from retraining_manager.errors import ManagerError
from retraining_manager.runner import LINE_LIMIT, Outcome


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_come_while_it_runs_with_their_level_and_all_is_kept(tmp_path: Path) -> None:
    code = (
        "import sys, time; print('one', flush=True); print('Error: bad', file=sys.stderr, flush=True);"
        "print('hint', file=sys.stderr, flush=True); time.sleep(0.3); sys.stdout.write('no end \\udce4'"
        ".encode('utf-8', 'surrogateescape').decode('latin-1')); sys.exit(3)"
    )
    seen: list[tuple[int, str, float]] = []
    started = time.monotonic()
    outcome = runner.run(
        python(code), tmp_path / "o.log", on_line=lambda level, line: seen.append((level, line, time.monotonic()))
    )
    assert outcome.exit_code == 3
    assert sorted((level, line) for level, line, _ in seen[:3]) == [
        (logging.INFO, "one"),
        (logging.WARNING, "hint"),
        (logging.ERROR, "Error: bad"),
    ]
    assert seen[0][2] - started < outcome.seconds - 0.2, "not only at the end"
    assert seen[3][1].startswith("no end")
    assert len((tmp_path / "o.log").read_bytes().splitlines()) == 4


def test_a_line_without_end_is_kept_in_the_file_and_not_in_memory(tmp_path: Path) -> None:
    longest = 0

    def on_line(_level: int, line: str) -> None:
        nonlocal longest
        longest = max(longest, len(line))

    code = "import sys\nfor _ in range(300): sys.stdout.write('x' * 100_000)"
    outcome = runner.run(python(code), tmp_path / "o.log", on_line=on_line)
    assert (outcome.exit_code, (tmp_path / "o.log").stat().st_size) == (0, 30_000_000)
    assert 0 < longest <= LINE_LIMIT


def test_the_largest_process_s_memory_is_measured(tmp_path: Path) -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'x = bytearray(400 << 20)'])"
    # Linux counts what a process was before it became the script: this one, at its largest.
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    assert 400 < runner.run(python(code), tmp_path / "o.log").peak_mb < max(450, own + 50), "the script's child counts"


STUBBORN = (
    "import signal, subprocess, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)']);"
    "open(sys.argv[1], 'w').write(str(child.pid)); print('ready', flush=True); time.sleep(60)"
)


def test_what_ignores_sigterm_is_killed_after_a_grace_with_its_children(tmp_path: Path) -> None:
    outcome = runner.run([*python(STUBBORN), str(tmp_path / "pid")], tmp_path / "o.log", timeout=0.6, grace=0.3)
    assert (outcome.timed_out, outcome.exit_code) == (True, -signal.SIGKILL)
    assert 0.8 < outcome.seconds < 5
    assert is_gone(tmp_path / "pid")


def test_a_stop_from_another_thread_ends_the_group(tmp_path: Path) -> None:
    stop = threading.Event()
    outcome = runner.run(
        [*python(STUBBORN), str(tmp_path / "pid")],
        tmp_path / "o.log",
        stop=stop,
        grace=0.2,
        on_line=lambda _level, _line: stop.set(),
    )
    assert outcome.stopped
    assert is_gone(tmp_path / "pid")


def test_an_exception_on_its_way_out_ends_the_group_first(tmp_path: Path) -> None:
    def ctrl_c(_level: int, _line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        runner.run([*python(STUBBORN), str(tmp_path / "pid")], tmp_path / "o.log", grace=0.2, on_line=ctrl_c)
    assert is_gone(tmp_path / "pid")


def test_output_held_open_by_what_left_the_group_does_not_hold_the_run(tmp_path: Path) -> None:
    code = (
        "import subprocess, sys; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(8)'],"
        "start_new_session=True); open(sys.argv[1], 'w').write(str(child.pid)); print('done')"
    )
    seen: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "DRAIN_SECONDS", 0.2)
        outcome = runner.run(
            [*python(code), str(tmp_path / "pid")], tmp_path / "o.log", on_line=lambda _level, line: seen.append(line)
        )
    assert (outcome.exit_code, seen) == (0, ["done"])
    assert outcome.seconds < 6


def test_a_full_disk_takes_the_rest_of_the_file_and_not_the_run(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
    seen: list[str] = []
    try:
        outcome = runner.run(
            python("for i in range(5000): print(i)"), tmp_path / "o.log", on_line=lambda _level, line: seen.append(line)
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (outcome.exit_code, len(seen)) == (0, 5000)
    assert outcome.output_lost is not None
    assert "the output's rest is lost" in outcome.output_lost


def test_what_cannot_be_started_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManagerError, match="no such program here: cannot be started"):
        runner.run(["no such program here", "; echo $HOME"], tmp_path / "o.log")
    with pytest.raises(ManagerError, match="cannot be started"):
        runner.run([sys.executable, "nul\0byte"], tmp_path / "o.log")


def test_nothing_is_ever_read_by_a_shell(tmp_path: Path) -> None:
    seen: list[str] = []
    nasty = "$(touch pwned); `x` 'y' \"z\" *"
    argv = [*python("import sys; print(sys.argv[1])"), nasty]
    runner.run(argv, tmp_path / "o.log", cwd=tmp_path, on_line=lambda _level, line: seen.append(line))
    assert seen == [nasty]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["o.log"]


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (Outcome(0, 1.0, 5.0), None),
        (Outcome(1, 1.0, 5.0), "exit code 1"),
        (Outcome(-9, 1.0, 512.4), "killed (exit -9): out of memory at 512 MB or more; lower --batch-size"),
        (Outcome(-11, 1.0, 5.0), "ended by SIGSEGV (exit -11) at 5 MB"),
        (Outcome(-6, 1.0, 5.0), "where memory runs out, and its output says more. If so, lower --batch-size"),
        (Outcome(-99, 1.0, 5.0), "ended by signal 99"),
        (Outcome(-9, 1.0, 5.0, timed_out=True), "still running after 60 s"),
        (Outcome(-15, 1.0, 5.0, stopped=True), "interrupted"),
    ],
)
def test_an_end_is_said_in_words(outcome: Outcome, words: str | None) -> None:
    said = outcome.failure("soft_prompt", "lower --batch-size", 60.0)
    assert (said is None) == (words is None)
    assert words is None or words in str(said)


@pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="only Linux tells a process that its parent was killed"
)
def test_a_training_ends_where_its_manager_is_killed(tmp_path: Path) -> None:
    child = tmp_path / "train.py"
    child.write_text(
        "import os, pathlib, time\n"
        "from training.runs.process import execute\n"
        "def body():\n"
        f"    pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        "    time.sleep(60)\n"
        "execute(body)\n"
    )
    manager = (
        "import sys, pathlib\n"
        "from retraining_manager.runner import run\n"
        f"run([sys.executable, {str(child)!r}], pathlib.Path({str(tmp_path / 'out')!r}))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", manager], env={**os.environ, "PYTHONPATH": str(ROOT)})
    try:
        until(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text())
        process.kill()
        process.wait()
        assert is_gone(tmp_path / "pid")
    finally:
        process.kill()


def until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
