"""Kill a process (-9) before each change that publishing makes to the disk, and see what the next reader and run find.

A driver of its own, for it forks: DRIVER OPERATION prints one JSON line for each place where the process was killed.
"""

from __future__ import annotations

import errno
import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from registry_crash import MEMORY, killed_before

from training.runs import artifacts
from training.runs.errors import ArtifactError

NAME, PLOT = "m.pth", "m_training.png"


def publish(root: Path, content: str, *, plot: bool = True) -> None:
    extras = {PLOT: f"{content} plot".encode()} if plot else {}
    artifacts.publish(root / NAME, content.encode(), {"of": content}, extras)


def publish_where_the_last_rename_is_refused(root: Path) -> None:
    real = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if path.name == "m_metadata.json" and path.parent.name.startswith(".m.pth.publishing"):
            raise OSError(errno.EBUSY, "Device or resource busy")
        return real(path, target)

    Path.replace = replace  # type: ignore[method-assign,assignment] - in the child that will end
    with suppress(ArtifactError):
        publish(root, "new")


def nothing(_root: Path) -> None:
    return


def old(root: Path) -> None:
    publish(root, "old")


def linked(root: Path) -> None:
    """As the manager leaves production's paths."""
    version = root / "model" / "live" / "champion"
    publish(version, "old")
    for path in version.iterdir():
        (root / path.name).symlink_to(path.relative_to(root))


OPERATIONS: dict[str, tuple[Callable[[Path], None], Callable[[Path], None]]] = {
    "first": (nothing, lambda root: publish(root, "new")),
    "again": (old, lambda root: publish(root, "new")),
    "without a plot": (old, lambda root: publish(root, "new", plot=False)),
    "over links": (linked, lambda root: publish(root, "new")),
    "refused": (old, publish_where_the_last_rename_is_refused),
}


def seen(root: Path) -> dict[str, Any]:
    """What a reader sees: the model's content, and whether all that is there is of one training."""
    try:
        content, described = artifacts.read_published(root / NAME)
    except FileNotFoundError:
        return {"content": None, "together": not list(root.glob("m*"))}
    artifacts.verify(root / NAME)
    plots = [(root / PLOT).read_text()] if (root / PLOT).exists() else []
    together = described["of"] == content.decode() and plots in ([], [f"{content.decode()} plot"])
    return {"content": content.decode(), "together": together and bool(plots) == (PLOT in described["files"])}


def strays(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in root.rglob(".*")]


def main(name: str) -> None:
    prepare, operation = OPERATIONS[name]
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        was_killed, step = True, 0
        while was_killed:
            root = Path(folder) / f"step{step}"
            root.mkdir()
            prepare(root)
            (root / ".m.pth.staging-of-mine").mkdir()
            (root / ".other.pth.staging-abcdefgh").mkdir()
            was_killed = killed_before(step, root, operation)
            line = {"step": step, "killed": was_killed, **seen(root)}
            artifacts.check_model_path(root / NAME)  # what a run that has nothing to do comes to
            line["strays"] = strays(root)
            publish(root, "next")
            line["then"] = seen(root)
            sys.stdout.write(json.dumps(line) + "\n")
            step += 1


if __name__ == "__main__":
    main(sys.argv[1])
