"""The paths where production looks for a model: links to what is live, or copies where the system allows no links."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from retraining_manager.errors import RegistryError
from retraining_manager.models import Artifact
from training.runs.artifacts import RUN_FILE
from training.runs.files import flush_folder, sha256_of
from training.runs.folders import link_target, replace_link
from training.runs.publishing import write_atomically

RUN_FILES = (RUN_FILE, "adapter_config.json", "config.json")  # one of them is in every run directory


class ProductionPaths:
    """Production's path of one model, and those of the files beside it.

    Args:
        artifact: What is there: a model file, with others beside it, or a run directory.
        path: Where production looks: the model file, or the ``latest`` that leads to a run.
        companions: Endings of the names of the files beside a model file, after its stem.
        live: The folder of what is live. It may lead elsewhere later, and production's links with it.
    """

    def __init__(self, artifact: Artifact, path: Path, companions: Sequence[str], live: Path) -> None:
        self.path = path
        self._artifact, self._live = artifact, live
        # Production's path -> what it is to show, in the folder of a version.
        self._shown = {path: Path()}
        if artifact == "file":
            names = [path.name, *(f"{path.stem}{ending}" for ending in companions)]
            self._shown = {path.with_name(name): Path(name) for name in names}

    def foreign(self, champion: Path | None) -> list[Path]:
        """The paths that show something else than the version in the folder ``champion``. Raises OSError."""
        return [
            shown
            for shown, inside in self._shown.items()
            if shown.exists()
            and not self._is_link(shown, inside)
            and not (champion is not None and self._is_copy(shown, champion / inside))
        ]

    def found(self) -> dict[str, Path]:
        """The files that production sees now (name in a version -> path); none where no model is among them.

        Raises RegistryError where a folder is in the place of a link, and OSError.
        """
        if self._artifact == "file":
            found = {path.name: path for path in self._shown if path.is_file()}
            return found if self.path.name in found else {}
        if self.path.is_dir() and not self.path.is_symlink():
            raise RegistryError(f"{self.path}: is a folder, not a link to a run; move it away")
        run = link_target(self.path).resolve()
        if run.is_dir() and not any((run / name).is_file() for name in RUN_FILES):
            raise RegistryError(
                f"{self.path}: leads to {run}, which holds no run (none of {', '.join(RUN_FILES)}); nothing there is "
                "taken in. Remove this link"
            )
        return {path.relative_to(run).as_posix(): path for path in sorted(run.rglob("*")) if path.is_file()}

    def prepare(self, version: Path) -> None:
        """Before a version goes live: link the paths that show nothing yet. Raises OSError."""
        self._make_folder()
        for shown, inside in self._shown.items():
            if (version / inside).exists() and not self._is_link(shown, inside) and not shown.exists():
                replace_link(shown, self._target(shown, inside), stand_in=False)
        flush_folder(self.path.parent)

    def show(self, version: Path) -> None:
        """Make the paths lead to a version that is live. Raises OSError or ArtifactError."""
        self._make_folder()
        for shown, inside in self._shown.items():
            original = version / inside
            if not original.exists():
                shown.unlink(missing_ok=True)
            elif not (
                self._is_link(shown, inside)
                or replace_link(shown, self._target(shown, inside), stand_in=False)
                or self._is_copy(shown, original)
            ):
                self._copy(shown, original)
        flush_folder(self.path.parent)

    def _make_folder(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def _target(self, shown: Path, inside: Path) -> str:
        """What the link at ``shown`` holds: relative, so that the service's folder may be moved."""
        live = self._live.parent.parent.resolve() / self._live.parent.name / self._live.name  # its own links stay
        return os.path.relpath(live / inside, shown.parent.resolve())

    def _is_link(self, shown: Path, inside: Path) -> bool:
        return shown.is_symlink() and str(shown.readlink()) == self._target(shown, inside)

    def _is_copy(self, shown: Path, original: Path) -> bool:
        """Where the system allows no links: whether production's copy is that of ``original``."""
        if shown.is_symlink() or not shown.is_file():
            return False
        if self._artifact == "run":
            return link_target(shown).resolve() == original.resolve()
        return original.is_file() and sha256_of(original) == sha256_of(shown)

    def _copy(self, shown: Path, original: Path) -> None:
        """No links here: production gets a copy of the file, or a file with the path of the run."""
        if shown.is_symlink():
            shown.unlink()  # nothing is written through a link that somebody else made
        if self._artifact == "run":
            write_atomically(shown, os.path.relpath(original.resolve(), shown.parent.resolve()).encode())
        else:
            write_atomically(shown, original.read_bytes())
