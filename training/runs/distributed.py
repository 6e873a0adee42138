"""One run in several processes, as torchrun starts them: which process writes, and values that all share.

Each process tells the others every few seconds that it lives. One that is stopped, or whose machine is gone, ends the
job; one that merely takes long does not.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from data_sources import OneLineError
from data_sources.masking import class_and_message
from training.runs.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")

BEAT_SECONDS = 2.0
# torchrun waits 30 s for a stopped process until it kills it: together less than a minute.
MISSING_SECONDS = 20.0
_FAILED = 1


class SharedError(TrainingError):
    """A process of this run failed, so all do; the first says why."""


def world_size() -> int:
    """The number of processes of this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def process_number() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_first() -> bool:
    """Whether this process is the one that logs, evaluates and publishes."""
    return process_number() == 0


def run_alone() -> None:
    """Go on as a run of one process, whatever was started."""
    os.environ.update(WORLD_SIZE="1", RANK="0")


def first_says(value: T) -> T:
    """Return the first process's ``value`` in every process. The processes wait for each other here."""
    if world_size() == 1:
        return value
    shared = [value]
    with _together() as group:
        group.broadcast_object_list(shared, src=0)
    return shared[0]


def all_say(value: T) -> list[T]:
    """The values of all processes, in their order, in every process."""
    if world_size() == 1:
        return [value]
    said: list[Any] = [None] * world_size()
    with _together() as group:
        group.all_gather_object(said, value)
    return said


def first_hears(value: T) -> list[T]:
    """The values of all processes, in their order, in the first process; an empty list in the others."""
    if world_size() == 1:
        return [value]
    heard: list[Any] | None = [None] * world_size() if is_first() else None
    with _together() as group:
        group.gather_object(value, heard, dst=0)
    return heard or []


def all_do(body: Callable[[], T]) -> T:
    """Do the same in every process; where one fails, all do, for the reason of the first that failed.

    Raises:
        SharedError: Another process failed.
    """
    if world_size() == 1:
        return body()
    failure: Exception | None = None
    result: list[T] = []
    try:
        result.append(body())
    except Exception as error:  # noqa: BLE001 - it is raised below, once the others know
        failure = error
    reasons = [reason for reason in all_say(None if failure is None else _reason(failure)) if reason is not None]
    if failure is not None and is_first():
        raise failure
    if reasons:
        raise SharedError(reasons[0]) from failure
    return result[0]


def _reason(failure: Exception) -> str:
    return str(failure) if isinstance(failure, OneLineError) else f"unexpected {class_and_message(failure)}"


def add_up(*tensors: Tensor) -> None:
    """Replace each tensor by its sum over all processes, in one message. All are of one type."""
    if world_size() == 1:
        return
    import torch

    with torch.no_grad(), _together() as group:
        together = torch.cat([tensor.reshape(-1).cpu() for tensor in tensors])
        group.all_reduce(together)
        parts = torch.split(together, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


@contextmanager
def _together() -> Iterator[Any]:
    """Wait for the other processes. Raises TrainingError where one of them ended."""
    group = _group()
    try:
        yield group
    except RuntimeError as error:  # what the backends raise
        raise TrainingError(
            f"another of the {world_size()} processes ended or cannot be reached, so this one ends too; "
            "what torchrun says below tells which"
        ) from error


def _group() -> Any:
    """``torch.distributed``, with the group of all processes."""
    import torch
    from torch import distributed
    from torch.distributed.rendezvous import rendezvous

    if not distributed.is_initialized():
        store, rank, size = next(rendezvous("env://"))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size)
        _Pulse(distributed.distributed_c10d.PrefixStore("alive", store.clone()), rank, size).start()
    return distributed


class _Pulse(threading.Thread):
    """Says that this process lives, and ends it where another one no longer says so."""

    def __init__(self, store: Any, rank: int, size: int) -> None:
        super().__init__(name="pulse", daemon=True)
        self._store, self._rank, self._size = store, rank, size
        self._ended = threading.Event()

    def start(self) -> None:
        """Start, and tell the others when this process ends by itself."""
        self._store.set(str(self._rank), "0")
        atexit.register(self._leave)
        super().start()

    def run(self) -> None:
        """Beat and watch until this process ends."""
        watched = Watched(self._size, self._rank)
        number = 0
        while not self._ended.wait(BEAT_SECONDS):
            number += 1
            try:
                self._store.set(str(self._rank), str(number))
                there = {i: self._store.get(str(i)) for i in range(self._size) if self._store.check([str(i)])}
            except Exception:  # noqa: BLE001 - torchrun is gone, or this process is about to end
                return
            missing = watched.missing(there, time.monotonic())
            if missing and not self._ended.is_set():
                self._end(missing)

    def _end(self, missing: list[int]) -> None:
        if self._rank == min(set(range(self._size)) - set(missing)):
            logging.getLogger("training").error(
                "process %s of %d has not answered for %.0f s: the run ends, and nothing was published",
                ", ".join(map(str, missing)),
                self._size,
                MISSING_SECONDS,
            )
        os._exit(_FAILED)

    def _leave(self) -> None:
        self._ended.set()
        with suppress(Exception):
            self._store.set(str(self._rank), Watched.LEFT.decode())


class Watched:
    """Which of ``size`` processes have not answered; ``own`` is the number of this one."""

    LEFT = b"left"

    def __init__(self, size: int, own: int) -> None:
        self._last: dict[int, tuple[bytes, float] | None] = {i: None for i in range(size) if i != own}

    def missing(self, said: dict[int, bytes], now: float) -> list[int]:
        """The processes whose word in ``said`` has been the same for ``MISSING_SECONDS``, and is not that they left."""
        found = []
        for number, last in self._last.items():
            word = said.get(number, b"")
            if last is None or last[0] != word:
                self._last[number] = word, now
            elif word != self.LEFT and now - last[1] > MISSING_SECONDS:
                found.append(number)
        return found
