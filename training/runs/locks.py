"""Locks that end with their process (``flock``), on a file or on a folder, and who holds one."""

from __future__ import annotations

import errno
import getpass
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from training.runs.wording import utc_now

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

FOLDER_SECONDS = 120.0  # files are published in milliseconds; an adapter of a GB is copied within two minutes
_POLL_SECONDS = 0.01
_HELD = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)

_own = threading.local()  # the folders that this thread holds

HolderState = Literal["alive", "dead", "elsewhere"]


class HeldError(Exception):
    """Another process holds the lock."""


@contextmanager
def file_lock(path: Path, seconds: float = 0.0) -> Iterator[None]:
    """Hold a lock file, which is made and stays. Threads of one process exclude each other too.

    Args:
        path: The file. It is never followed where it is a link.
        seconds: How long to wait for another process.

    Raises:
        HeldError: Another process holds it.
        OSError: It cannot be made, or the file system has no locks.
    """
    deadline = time.monotonic() + seconds
    while True:
        descriptor = _open_lock_file(path)
        try:
            _flock(descriptor, deadline)
            if os.fstat(descriptor).st_nlink:
                yield
                return
        finally:
            os.close(descriptor)  # whoever waits for a file that was removed meanwhile opens the new one


@contextmanager
def folder_lock(folder: Path, seconds: float) -> Iterator[bool]:
    """Hold a folder, which needs no permission but to read it and leaves no file. A thread may hold it twice.

    Yields:
        Whether the lock is held: not every file system has locks, and what is done here in milliseconds is safe enough
        without.

    Raises:
        HeldError: Another process holds it.
    """
    mine: set[tuple[int, int]] = _own.__dict__.setdefault("folders", set())
    try:
        state = folder.stat()
        identity = state.st_dev, state.st_ino
        descriptor = None if identity in mine else hold(folder, seconds)
    except OSError:
        yield False
        return
    if descriptor is None:
        yield True
        return
    mine.add(identity)
    try:
        yield True
    finally:
        mine.discard(identity)
        os.close(descriptor)


def hold(path: Path, seconds: float = 0.0) -> int:
    """Hold a file or folder that is there, until the descriptor that is returned is closed, or the process ends.

    Raises:
        HeldError: Another process holds it.
        OSError: It is not there, or the file system has no locks.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        _flock(descriptor, time.monotonic() + seconds)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_lock_file(path: Path) -> int:
    flags = os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o666)  # less the umask
    except PermissionError:
        return os.open(path, os.O_RDONLY | flags)  # another user's, which can be locked all the same


def _flock(descriptor: int, deadline: float) -> None:
    if fcntl is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                raise
        else:
            return
        if time.monotonic() >= deadline:
            raise HeldError
        time.sleep(_POLL_SECONDS)


def user_at_host() -> str:
    """``user@host``, or the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def process_identity() -> dict[str, Any]:
    """Who this process is, for other processes and hosts: ``holder_state`` reads it."""
    pid = os.getpid()
    return {
        "who": user_at_host(),
        "host": socket.gethostname(),
        "machine": _first_line("/etc/machine-id"),
        "boot": _first_line("/proc/sys/kernel/random/boot_id"),
        "pid": pid,
        "started": _started(pid),
        "since": utc_now(),
    }


def holder_state(held: Mapping[str, Any]) -> HolderState:
    """What became of a ``process_identity`` whose lock could be taken.

    ``elsewhere`` is one of another machine, whose processes cannot be seen and whose locks may not reach this one.
    """
    here = process_identity()
    host = held.get("host") or str(held.get("who", "")).rpartition("@")[2]
    if held.get("boot") == here["boot"] is not None:  # one kernel, maybe another container: its lock was the kernel's
        alive = host == here["host"] and _started(held.get("pid")) == held.get("started") is not None
        return "alive" if alive else "dead"
    same = host == here["host"] and held.get("machine", here["machine"]) == here["machine"]
    return "dead" if same else "elsewhere"  # this host has been started again, or says nothing of its starts


def _started(pid: object) -> str | None:
    """When a process started, in ticks since the system did: a number is given to more than one process."""
    stat = _first_line(f"/proc/{pid}/stat") if isinstance(pid, int) else None
    return None if stat is None else stat.rpartition(")")[2].split()[19]


def _first_line(path: str) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").splitlines()[0]
    except (OSError, IndexError):
        return None
