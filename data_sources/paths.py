"""What a path is, said without an error where it can be none, such as an address that is too long for a path."""

from __future__ import annotations

import os
from pathlib import Path

# os.path answers False where Path.exists, Path.is_file and Path.is_dir raise OSError. Ask Path where a person is told
# of that error, which says why: the file of a source whose name is too long, or which lies in a closed folder.


def is_there(path: str | os.PathLike[str]) -> bool:
    """Whether anything is there."""
    return os.path.exists(path)  # noqa: PTH110


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there."""
    return os.path.isfile(path)  # noqa: PTH113


def is_folder(path: str | os.PathLike[str]) -> bool:
    """Whether a folder is there."""
    return os.path.isdir(path)  # noqa: PTH112


def is_special(path: str | os.PathLike[str]) -> bool:
    """Whether a device, a pipe or a socket is there."""
    return is_there(path) and not is_file(path) and not is_folder(path)


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, also where the file system takes two spellings for one name."""
    try:
        return one == other or one.samefile(other)
    except (OSError, ValueError):  # one of them leads nowhere
        return False
