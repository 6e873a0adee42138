"""Kill a process (-9) before each change that it makes to the disk, and see what the next one finds.

A driver of its own, for it forks: DRIVER OPERATION prints one JSON line for each place where the process was killed.
The places are found by Python's audit events (a file opened for writing, a folder made, a link, a rename, a removal),
so the registry needs no hook, and a new step is a new place by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from retraining_manager.registry import Registry

CHANGES = {"os.rename", "os.symlink", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.chmod", "os.truncate"}
MEMORY = Path("/dev/shm")  # a kill is no power cut: what is flushed does not matter here, and takes long on a disk
NEW = "new"
NAME, COMPANION = "model.pth", "model_metadata.json"


def registry(root: Path) -> Registry:
    return Registry(root / "models" / "model", "file", root / "models" / NAME, ("_metadata.json",))


def add(of: Registry, root: Path, content: str, live: str | None = None) -> str:
    work = root / "work"
    work.mkdir(parents=True, exist_ok=True)
    for name in (NAME, COMPANION):
        (work / name).write_text(f"{content} {name}")
    return of.add({path.name: path for path in work.iterdir()}, {"verdict.json": b"{}"}, live=live)


def publish(root: Path) -> None:
    add(registry(root), root, NEW, live="better")


def rollback(root: Path) -> None:
    registry(root).rollback("worse")


def adopt(root: Path) -> None:
    registry(root).adopt()


def prune(root: Path) -> None:
    registry(root).prune(0)


def prepare_empty(root: Path) -> set[str | None]:
    return {None, NEW}


def prepare_two(root: Path) -> set[str | None]:
    of = registry(root)
    for content in ("oldest", "older", "old"):
        of.promote(add(of, root, content), content)
    return {"old", NEW}


def prepare_two_to_roll_back(root: Path) -> set[str | None]:
    prepare_two(root)
    return {"old", "older"}


def prepare_foreign(root: Path) -> set[str | None]:
    prepare_two(root)
    for name in (NAME, COMPANION):
        (root / "models" / name).unlink()
        (root / "models" / name).write_text(f"{NEW} {name}")
    return {NEW}


OPERATIONS: dict[str, tuple[Callable[[Path], set[str | None]], Callable[[Path], None]]] = {
    "first": (prepare_empty, publish),
    "publish": (prepare_two, publish),
    "rollback": (prepare_two_to_roll_back, rollback),
    "adopt": (prepare_foreign, adopt),
    "prune": (prepare_two, prune),
}


def killed_before(step: int, root: Path, operation: Callable[[Path], None]) -> bool:
    """Run ``operation`` in a child that is killed before its ``step``-th change; whether it was."""
    child = os.fork()
    if not child:
        seen = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal seen
            writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
            if event in CHANGES or writes:
                if seen == step:
                    os.kill(os.getpid(), signal.SIGKILL)
                seen += 1

        sys.addaudithook(watch)
        try:
            operation(root)
        except BaseException as error:  # noqa: BLE001 - the parent says what it was
            sys.stderr.write(f"{error!r}\n")
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def shown(root: Path) -> str | None:
    """What production sees: both files of one version, or neither; a mix is an error."""
    contents = set()
    for name in (NAME, COMPANION):
        path = root / "models" / name
        contents.add(path.read_text().removesuffix(f" {name}") if path.exists() else None)
    if len(contents) != 1:
        raise AssertionError(f"production shows a mix: {contents}")
    return contents.pop()


def main(name: str) -> None:
    prepare, operation = OPERATIONS[name]
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        before = Path(folder) / "before"
        before.mkdir()
        allowed = prepare(before)
        was_killed, step = True, 0
        while was_killed:
            root = Path(folder) / f"step{step}"
            shutil.copytree(before, root, symlinks=True)
            was_killed = killed_before(step, root, operation)
            found = shown(root)
            of = registry(root)
            champion = of.aliases().champion
            line = {
                "step": step,
                "killed": was_killed,
                "allowed": found in allowed,
                "shown": found,
                "whole": champion is None or of.verify(champion) == [],
            }
            # The next night: whatever is left is swept, and the operation can be done.
            with of.running():
                pass
            if name == "rollback" and found == "older":
                of.promote(of.aliases().previous, "on again")
            operation(root)
            aliases, history = of.aliases(), of.history()
            line["then"] = shown(root)
            line["problems"] = of.problems()
            line["history_agrees"] = not history or history[-1]["to"] == aliases.champion
            line["history_chain"] = all(a["to"] == b["from"] for a, b in pairwise(history))
            line["left_over"] = [
                str(path.relative_to(root))
                for path in [*of.folder.rglob(".*"), *(root / "models").glob(".*"), *of.folder.glob("*.json")]
            ]
            line["states"] = len(list((of.folder / "states").iterdir())) if (of.folder / "states").exists() else 0
            sys.stdout.write(json.dumps(line) + "\n")
            step += 1


if __name__ == "__main__":
    main(sys.argv[1])
