"""How much memory this process holds, and how much it may hold."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOM, SHARE_OF_FREE = 16_000_000, 16
_M_MMAP_THRESHOLD, _MAPPED = -3, 2_000_000  # of malloc.h; bytes
CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def resident_bytes() -> int:
    """Bytes of memory that this process holds now; 0 if the system does not say."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    except (ImportError, OSError, ValueError, IndexError):
        return 0


def available_bytes() -> int | None:
    """Bytes that this process may hold in all: the least of its cgroups' limits and of the machine's free memory.

    None if unknown.
    """
    limits = []
    for path in _limit_files():
        try:
            limits.append(int(path.read_text(encoding="ascii")))
        except (OSError, ValueError):  # absent, or "max"
            continue
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024 + resident_bytes())
    except (OSError, ValueError, IndexError):
        pass
    return min(limits, default=None)


def default_room() -> int:
    """Bytes for values that can wait in a file: ``ROOM``, or less where little is free."""
    available = available_bytes()
    return ROOM if available is None else min(ROOM, available // SHARE_OF_FREE)


def give_back_freed() -> None:
    """Have large pieces of memory go back to the system when they are freed.

    By itself glibc keeps pieces of up to 32 MB, and in the course of a training the holes add up to a tenth of it. Only
    Linux with glibc does.
    """
    _call_glibc("mallopt", _M_MMAP_THRESHOLD, _MAPPED)


def give_back_now() -> None:
    """Give what is free at the moment back to the system, in some 20 ms. Only Linux with glibc does."""
    _call_glibc("malloc_trim", 0)


def _call_glibc(function: str, *arguments: int) -> None:
    if sys.platform.startswith("linux"):
        with suppress(OSError, AttributeError):  # another C library has no such function
            getattr(ctypes.CDLL(None), function)(*arguments)


def _limit_files() -> Iterator[Path]:
    """Where limits may be: at the root, as a container sees its own, and from this process's cgroup upwards."""
    yield CGROUPS / "memory.max"
    yield CGROUPS / "memory" / "memory.limit_in_bytes"
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for _, controllers, group in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (CGROUPS / "memory", "memory.limit_in_bytes") if controllers else (CGROUPS, "memory.max")
        own = root / group.strip("/")
        for folder in (own, *own.parents):
            if folder == root:
                break
            yield folder / name
