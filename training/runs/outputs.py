"""Files that a user names for a result: checked before the work, and written through links, into devices and pipes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from data_sources import DataSource
from data_sources.paths import is_special, is_there, same_file
from training.runs.errors import ArtifactError
from training.runs.files import wrap_write_errors
from training.runs.publishing import check_writable, write_atomically
from training.runs.wording import one_line


def check_output(path: Path) -> None:
    """``check_writable`` for a file that a user names for a result, as ``write_output`` writes it."""
    if not is_special(path):  # trying a pipe would already send something
        with wrap_write_errors(path):
            place = _followed(path)
        check_writable(place)


def check_paths_differ(
    source: DataSource | None = None,
    /,
    *,
    kept: Mapping[str, Path | str | None] = MappingProxyType({}),
    **written: Path | str | None,
) -> None:
    """Refuse to write a file over one that is read, or that something else is written to.

    Args:
        source: What is read, so that none of its files, which a folder may hold, is written over.
        kept: What each other file that is not written is -> where it is; None where there is none.
        written: The same of what is written.

    Raises:
        ArtifactError: Something would be written over.
    """
    seen = [(Path(path).resolve(), what) for what, path in kept.items() if path is not None]
    for what, path in written.items():
        if path is None or is_special(Path(path)):
            continue
        place, name = Path(path).resolve(), what.replace("_", " ")
        link = Path(path).parent.resolve() / Path(path).name  # a link itself may lie among what is read
        is_read = source is not None and is_there(place) and any(map(source.reads, {place, link}))
        taken = "data" if is_read else next((other for one, other in seen if same_file(place, one)), None)
        if taken is not None:
            raise ArtifactError(f"{path}: is both the {taken} and the {name}; give another path to one of them")
        seen.append((place, name))


def write_output(path: Path, content: bytes) -> None:
    """Write a result to the path that a user names: through a symlink, and into a device or a pipe that is there.

    Raises ArtifactError; then a file that was there has not changed.
    """
    if is_special(path):
        with wrap_write_errors(path):
            path.write_bytes(content)
    else:
        write_atomically(_followed(path), content)


def _followed(path: Path) -> Path:
    """Where a symlink leads, at last; else the path. Raises ArtifactError where links lead in a circle."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"{path}: is a link that leads nowhere ({one_line(error)}); remove it") from error
