"""Links and files of the registry: followed, replaced and sealed."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path

from retraining_manager.errors import RegistryError
from training.runs.artifacts import flush_folder

_CHUNK = 1 << 20


def flush(path: Path) -> None:
    """Make a file's content survive a power cut."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def seal(path: Path) -> str:
    """Flush a file to disk and forbid writing it: production's links lead here. Its SHA-256."""
    flush(path)
    path.chmod(0o444)
    return sha256_of(path)


def is_inside(name: str) -> bool:
    """Whether a relative path stays below where it starts."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def follow(link: Path) -> str | None:
    """Where a link leads, or the file that stands in for one."""
    try:
        return str(link.readlink()) if link.is_symlink() else link.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise RegistryError(
            f"{link}: is a folder, not a link: the registry was copied without its links (cp -a keeps them); "
            "remove this folder and `promote` a version"
        ) from None
    except (OSError, ValueError) as error:
        raise RegistryError(f"{link}: cannot be read ({error!s:.120})") from error


def name_of_target(link: Path) -> str | None:
    """The last part of where a link leads; None where there is none."""
    target = follow(link)
    return None if target is None else Path(target).name


def target_of_file(path: Path) -> Path:
    """Where a file that stands in for a link leads."""
    return (path.parent / path.read_text(encoding="utf-8").strip()).resolve()


def make_link(path: Path, target: str) -> None:
    """A symlink, or where the system allows none a file with the path."""
    try:
        path.symlink_to(target)
    except (OSError, NotImplementedError):
        path.write_text(target, encoding="utf-8")
        flush(path)


def replace_link(path: Path, target: str) -> None:
    """A link, or its stand-in, in place of the one that is there, in one step."""
    staged = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    make_link(staged, target)
    staged.replace(path)
    flush_folder(path.parent)


def try_link(path: Path, target: str) -> bool:
    """A symlink in place of whatever is there, in one step; False where the system allows none."""
    staged = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        staged.symlink_to(target)
    except (OSError, NotImplementedError):
        return False
    staged.replace(path)
    return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hex digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
