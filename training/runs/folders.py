"""Folders and links: named when they are whole, replaced in one step, removed only inside the folder that owns them."""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
from pathlib import Path

from training.runs.errors import ArtifactError
from training.runs.files import flush_folder, wrap_write_errors, write_durably

STAGING = "staging"  # in the names of what is not in its place yet: ``publishing.recovered`` sweeps it


def owned(path: Path, owner: Path) -> Path:
    """``path``, which lies inside the folder ``owner`` also once every link on the way is resolved.

    Whatever is removed, or replaced as a whole, passes here first. Raises ArtifactError that names where it leads.
    """
    place = path.parent.resolve() / path.name
    if path.is_symlink():
        raise ArtifactError(
            f"{path}: is a link to {path.readlink()}, where {owner} has its own folder; nothing is removed or written "
            "through it. Remove the link"
        )
    if place == owner.resolve() or not place.is_relative_to(owner.resolve()):
        raise ArtifactError(
            f"{path}: leads to {place}, outside of {owner}; nothing is removed or written there. Remove the link that "
            "leads out"
        )
    return path


def remove_tree(path: Path, owner: Path) -> None:
    """Remove a folder that ``owner`` holds, with all in it, and never what a link leads to; fine if it is not there.

    What the system does not let go stays. Raises ArtifactError where the folder is not ``owner``'s.
    """
    if os.path.lexists(path):
        shutil.rmtree(owned(path, owner), ignore_errors=True)


def discard_tree(path: Path, beside: Path) -> None:
    """``remove_tree`` of a folder next to ``beside``; after a kill half-way, ``recovered(beside)`` sweeps the rest."""
    if os.path.lexists(path):
        doomed = path.with_name(f".{beside.name}.{STAGING}-{secrets.token_hex(4)}")
        remove_tree(owned(path, beside.parent).rename(doomed), beside.parent)


def publish_folder(staged: Path, target: Path, *, read_only: bool = False) -> None:
    """Flush a finished folder to disk and rename it.

    Args:
        staged: The folder.
        target: Its new path.
        read_only: Take everybody's permission to write its files. Who may read them is the umask's matter.

    Raises:
        ArtifactError: It cannot be written; there is no ``target``.
    """
    umask = _umask()
    modes = 0o777 & ~umask, (0o444 if read_only else 0o666) & ~umask
    with wrap_write_errors(target):
        for path in (staged, *staged.rglob("*")):
            if path.is_dir():
                _set_mode(path, modes[0])
                flush_folder(path)
            else:
                with open(path, "rb+") as file:  # Windows flushes only a file that is open for writing
                    _set_mode(path, modes[1])
                    os.fsync(file.fileno())
        staged.rename(target)
        flush_folder(target.parent)


def make_link(path: Path, target: str) -> None:
    """Make a symlink or, if the system allows none, a file that holds ``target``. Raises OSError."""
    if not _symlink(path, target):
        write_durably(path, target.encode())


def replace_link(path: Path, target: str, *, stand_in: bool = True) -> bool:
    """Replace ``path``, in one step, by a symlink to ``target``.

    Args:
        path: The link.
        target: What it points at, relative to its folder.
        stand_in: If the system allows no symlinks, write a file that holds ``target`` instead.

    Returns:
        Whether ``path`` was replaced.

    Raises:
        OSError: It cannot be written.
    """
    staged = path.with_name(f".{path.name}.{STAGING}-{secrets.token_hex(4)}")
    try:
        if not _symlink(staged, target):
            if not stand_in:
                return False
            write_durably(staged, target.encode())
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
    return True


def link_target(path: Path) -> Path:
    """The folder that a link leads to, also if the link is a file that holds the path (see ``move_link``)."""
    return path.parent / path.read_text(encoding="utf-8").strip() if path.is_file() else path


def _symlink(path: Path, target: str) -> bool:
    try:
        path.symlink_to(target, target_is_directory=(path.parent / target).is_dir())
    except (OSError, NotImplementedError):
        return False
    return True


def _set_mode(path: Path, mode: int) -> None:
    """Give a file or folder its mode, where the file system has modes: CIFS, exFAT and S3 refuse."""
    try:
        path.chmod(mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            raise


def _umask() -> int:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(re.findall(r"^Umask:\s*([0-7]+)$", status, re.MULTILINE)[0], 8)
    except (OSError, IndexError):
        mask = os.umask(0o077)  # setting it is the only other way to read it; other threads may make files meanwhile
        os.umask(mask)
        return mask
