"""The two locks of a model's registry, one for training and one for moves, and what is said of who holds one.

Beside ``<name>.lock``, which the system holds for a process, ``<name>.json`` says which process that is. Other machines
cannot see it: to them it is alive while the record is touched.
"""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from retraining_manager.errors import BusyError, RegistryError, wrap_registry_errors
from training.runs.files import read_json, to_json
from training.runs.locks import HeldError, file_lock, holder_state, process_identity

MOVE_SECONDS = 120.0  # a move takes milliseconds, or as long as what is taken in takes to copy
HEARTBEAT_SECONDS = 5.0  # how often the record of a lock is touched
WATCH_SECONDS = 16.0  # how long another machine's record is watched for a heartbeat
RECORD_SECONDS = 1.0  # in which whoever has just taken a lock writes its record


class _ModelLock:
    """A lock in a model's folder.

    Args:
        folder: The folder.
        name: The name of the two files.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.lock, self.record = folder / f"{name}.lock", folder / f"{name}.json"

    def wait_seconds(self) -> float:
        """How long to wait for another process."""
        return 0.0

    def busy(self, who: str) -> Exception:
        """What to raise where another process, which lives, holds it."""
        raise NotImplementedError

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            ManagerError: As ``busy`` says; RegistryError where it cannot be had, or whoever holds it gives no sign of
                life.
        """
        with wrap_registry_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with ExitStack() as stack:
                with _explain_no_lock(self.lock):
                    stack.enter_context(file_lock(self.lock, self.wait_seconds()))
                self._check_record()
                with wrap_registry_errors(self.record):
                    self.record.write_bytes(to_json(process_identity()))
                    stack.callback(self.record.unlink, missing_ok=True)
                stack.enter_context(_heartbeat(self.record))
                yield
        except HeldError:
            raise self._error_where_held() from None

    def _check_record(self) -> None:
        """The lock could be taken: whoever is named by its record is dead, unless that is another machine's."""
        holder = read_json(self.record)
        if holder and holder_state(holder) != "dead" and read_json(self.record):
            raise self._error_of_another_machine(holder)

    def _error_where_held(self) -> Exception:
        """What to raise where another process has the lock."""
        deadline, holder = time.monotonic() + RECORD_SECONDS, read_json(self.record)
        while time.monotonic() < deadline:
            holder = read_json(self.record)
            state = holder_state(holder) if holder else "dead"
            if state == "elsewhere":
                return self._error_of_another_machine(holder)
            # A process of another container cannot be seen; that it holds the lock says enough.
            if state == "alive" or (holder and holder.get("host") != socket.gethostname()):
                return self.busy(_since(holder))
            time.sleep(0.05)
        if holder:  # of a container with this host's name, or of nobody any more
            return self._error_of_another_machine(holder)
        return RegistryError(
            f"{self.lock}: is held by a process that does not say which; `fuser {self.lock}` names it. End it"
        )

    def _error_of_another_machine(self, holder: Mapping[str, Any]) -> Exception:
        if _has_heartbeat(self.record):
            return self.busy(_since(holder))
        return RegistryError(
            f"{self.record}: {_name_of(holder)}, who cannot be seen from here, has held this lock since "
            f"{holder.get('since')} and gives no sign of life. Where it has ended, remove {self.record} and {self.lock}"
        )


class RunLock(_ModelLock):
    """Held while a model is trained. Another training of it ends with BusyError at once."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "run")

    def busy(self, who: str) -> Exception:
        """Another training is no failure."""
        return BusyError(f"{self.folder.name}: is being trained already by {who} ({self.lock})")


class MoveLock(_ModelLock):
    """Held while the aliases move. Others wait ``MOVE_SECONDS``, then fail with RegistryError."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "move")

    def wait_seconds(self) -> float:
        """How long to wait for another process."""
        return MOVE_SECONDS

    def busy(self, who: str) -> Exception:
        """A move that takes so long is a failure."""
        return RegistryError(f"{self.lock}: {who} has been moving the aliases for over {MOVE_SECONDS:.0f} s; end it")


@contextmanager
def _explain_no_lock(lock: Path) -> Iterator[None]:
    """Say in one line that a lock cannot be made."""
    try:
        yield
    except OSError as error:
        why = "the file system has no locks that work between processes; put the model directory on one that has"
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            why = "nobody may write there; run it as the owner of the model directory, or mount it for writing"
        if error.errno == errno.ELOOP:
            why = "is a link; remove it"
        raise RegistryError(f"{lock}: this lock cannot be made ({error.strerror}): {why}") from error


@contextmanager
def _heartbeat(record: Path) -> Iterator[None]:
    """Touch a record from time to time, so that other machines see that its process lives."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(HEARTBEAT_SECONDS):
            with suppress(OSError):
                os.utime(record)

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()


def _has_heartbeat(record: Path) -> bool:
    """Whether a record is touched, or goes, while it is watched."""
    deadline, before = time.monotonic() + WATCH_SECONDS, _seen(record)
    while before is not None and _seen(record) == before:
        if time.monotonic() >= deadline:
            return False
        time.sleep(min(0.5, WATCH_SECONDS))
    return True


def _seen(record: Path) -> tuple[int, bytes] | None:
    try:
        with open(record, "rb") as file:  # opening it asks a server, where a look at the folder need not
            return os.fstat(file.fileno()).st_mtime_ns, file.read()
    except FileNotFoundError:
        return None
    except OSError:
        return 0, b""


def _since(holder: Mapping[str, Any]) -> str:
    return f"{_name_of(holder)} since {holder.get('since')}"


def _name_of(holder: Mapping[str, Any]) -> str:
    return f"{holder.get('who', 'somebody')!s:.100} (process {holder.get('pid')!s:.20})"
