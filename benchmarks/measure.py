"""Run a command and measure its wall time, processor time and peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Measured(NamedTuple):
    """Wall seconds, peak resident MB and processor seconds of one process."""

    seconds: float
    peak_mb: float
    cpu_seconds: float


def run(
    arguments: Sequence[str | Path], cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> Measured:
    """Run this Python with ``arguments`` in ``cwd``, and more variables in its environment.

    If it fails, this program exits with its output.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(environment or {})},
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{' '.join(map(str, arguments))} failed:\n{output}")
    return Measured(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)
