"""One file on disk: written so that it survives a power cut, and read as JSON that may be damaged."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from training.runs.errors import ArtifactError


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk. Raises OSError."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that renamed files survive a power cut; SMB, FUSE and 9p cannot."""
    if os.name == "posix":  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
                raise
        finally:
            os.close(descriptor)


@contextmanager
def wrap_write_errors(path: Path) -> Iterator[None]:
    """Turn an OSError while ``path`` is written into an ArtifactError, whose text is for a person."""
    try:
        yield
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        why = "a file is in the place of its folder" if in_the_way else error.strerror or str(error)
        raise ArtifactError(
            f"{path}: cannot be written ({why}); nothing that was there has changed. "
            "Free space, fix permissions or give another path"
        ) from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hex digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_json(content: Mapping[str, Any]) -> bytes:
    """Indented JSON in ASCII. Raises ValueError for nan and infinity, which JSON does not have."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode("ascii")


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; ``{}`` where there is none that can be read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def read_json_lines(path: Path, needed: Collection[str] = ()) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects with the ``needed`` keys of a file to which one is appended a line; a missing file has none.

    Returns:
        The objects, and how many whole lines hold none: damage is reported, and stops nothing. A last line
        without its end, which a crash cut off, is left out and not counted.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return [], 0
    found = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.keys() >= set(needed):
                found.append(entry)
    return found, len(lines) - len(found)
