"""Run the project's scripts in forks of one process that has imported what they import: a start takes seconds.

A driver of its own, for it forks: DRIVER SOCKET connects to the socket and answers each request, a JSON object and the
descriptors that are not closed, with the exit code. A fork gets the descriptors as 0, 1 and 2 and the streams that
Python's start would make of them, runs the script as ``__main__``, and ends as a script ends: what is written on the
way out, and fails, is written by the interpreter.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import socket
import sys
from pathlib import Path
from typing import Any, TypedDict

NAMES = ("stdin", "stdout", "stderr")
# What takes long to import, and all that the commands import of the project.
PRELOADED = (
    *("retraining_manager.cli", "training.synergy.trainer", "training.suggestions.job", "training.compare"),
    *("training.text.trainer", "training.text.model", "training.automations.model", "training.patterns.trainer"),
)


class Request(TypedDict):
    script: str
    arguments: list[str]
    cwd: str
    given: list[int]  # of 0, 1 and 2, those that are not closed


def become(request: Request, descriptors: list[int]) -> None:
    """Make this process what ``python SCRIPT ARGUMENTS`` would be in that folder, with these descriptors."""
    os.chdir(request["cwd"])
    encodings = {name: (stream.encoding, stream.errors) for name in NAMES if (stream := getattr(sys, name))}
    held = [os.dup(descriptor) for descriptor in descriptors]  # above 2, so that none is closed below
    for number in (0, 1, 2):
        os.close(number)
    for number, descriptor in zip(request["given"], held, strict=True):
        os.dup2(descriptor, number)
    for descriptor in (*held, *descriptors):
        os.close(descriptor)
    for number, name in enumerate(NAMES):
        stream = None
        if number in request["given"]:
            encoding, errors = encodings[name]
            stream = open(  # noqa: SIM115 - it is the process's own
                number, "w" if number else "r", encoding=encoding, errors=errors, buffering=1 if number == 2 else -1
            )
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.argv[:] = [request["script"], *request["arguments"]]
    sys.path[0] = str(Path(request["script"]).parent)


def serve(path: str) -> Request | None:
    """Answer requests; returns the request in a fork that is to run it, and None when the socket is closed."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(path)
        while True:
            message, descriptors, _, _ = socket.recv_fds(connection, 65_536, 3)
            if not message:
                return None
            request: Request = json.loads(message)
            child = os.fork()
            if not child:
                connection.close()
                become(request, descriptors)
                return request
            for descriptor in descriptors:
                os.close(descriptor)
            status = os.waitpid(child, 0)[1]
            connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))


class _Current:
    """Standard error as it is when it is written to: libraries keep the one that they find when they are imported."""

    def __init__(self) -> None:
        self.first = sys.stderr

    def __getattr__(self, name: str) -> Any:
        return getattr(self.first if sys.stderr is self else sys.stderr, name)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
    sys.stderr = _Current()  # type: ignore[assignment]
    for module in PRELOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # else the end of each fork looks at every object, and so copies all memory
    todo = serve(sys.argv[1])
    if todo is not None:
        runpy.run_path(todo["script"], run_name="__main__")
