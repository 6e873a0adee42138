"""One run in several processes, as torchrun starts them: which process writes, and values that all share."""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")


def world_size() -> int:
    """The number of processes of this run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process is the one that logs, evaluates and publishes."""
    return int(os.environ.get("RANK", "0")) == 0


def first_says(value: T) -> T:
    """Return the first process's ``value`` in every process. The processes wait for each other here."""
    if world_size() == 1:
        return value
    import torch

    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    shared = [value]
    torch.distributed.broadcast_object_list(shared, src=0)
    return shared[0]
