"""What commands print on a terminal of 80 columns."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from support import ROOT, environment, home

from data_sources import sample_directory
from training.runs.wording import COLUMNS


def on_a_terminal(folder: Path, *called: str) -> str:
    """What a script prints on a terminal."""
    leader, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, COLUMNS, 0, 0))
    command = [sys.executable, str(ROOT / "scripts" / called[0]), *called[1:]]
    env = {name: value for name, value in environment().items() if name != "COLUMNS"}
    with subprocess.Popen(command, cwd=folder, stdin=terminal, stdout=terminal, stderr=terminal, env=env) as process:
        os.close(terminal)
        said = b""
        try:
            while read := os.read(leader, 65_536):
                said += read
        except OSError:  # all of its ends are closed
            pass
        os.close(leader)
    assert process.returncode == 0, said
    return said.decode()


@pytest.mark.slow
def test_no_line_of_a_command_is_wider_than_the_terminal_nor_coloured(tmp_path: Path) -> None:
    """Of those that say most. A path has no place to break; the YAML of an automation is no sentence."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "gnn_synergy_data.json").write_text(json.dumps([home(f"home_{i}") for i in range(2)]))
    for kind, count in (("pattern_detection", 120), ("yaml_generation", 16)):
        rows = json.loads((sample_directory() / f"{kind}_data.json").read_text(encoding="utf-8"))[:count]
        (tmp_path / "data" / f"{kind}_data.json").write_text(json.dumps(rows))
    source = ("--json-input", "data")
    for called in (
        ("train_gnn_synergy.py", *source, "--epochs", "1"),
        ("train_gnn_synergy.py", *source, "--dry-run"),
        ("train_yaml_generation.py", *source, "--base-model", "scratch", "--epochs", "1"),
        ("suggest_synergies.py", *source, "--top", "3"),
        ("compare_models.py", "gnn_synergy", "--candidate", "models/gnn_synergy.pth", *source, "--output", "c.json"),
        ("retrain.py", "check", *source),
        ("retrain.py", "run", "pattern_detection", "--force", *source),
        ("retrain.py", "list"),
    ):
        said = on_a_terminal(tmp_path, *called)
        assert "\x1b[" not in re.sub(r"\x1b\[A", "", said), called  # a bar moves up; a colour ends in m
        lines = [line.rpartition("\r")[2] for line in said.replace("\r\n", "\n").splitlines()]
        assert [line for line in lines if len(line) > COLUMNS and " " in line.strip()] == [], called
