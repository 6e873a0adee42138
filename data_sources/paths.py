"""What a path is, said without an error where it can be none."""

from __future__ import annotations

import os
from pathlib import Path


def is_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file is there. A path that is too long, on which ``Path.is_file`` fails, leads to none."""
    return os.path.isfile(path)  # noqa: PTH113


def same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, also where the file system takes two spellings for one name."""
    try:
        return one == other or one.samefile(other)
    except (OSError, ValueError):  # one of them leads nowhere
        return False
