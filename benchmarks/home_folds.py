"""Folds of real homes for cross-validation, each in a process of its own, for the benchmarks of the synergy model."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from data_sources import Home
    from training.synergy.splits import Split
    from training.synergy.trainer import TrainingResult


@dataclass(frozen=True)
class Fold:
    """One fold of one seed: its test homes, and the others to train on.

    Attributes:
        data: The file of homes.
        seed: Draws the folds and everything in the training.
        number: Of the fold, from 0.
        of: Number of folds.
        learn_from: Homes to train on at most; None for all.
        epochs: Of the network at most; None for the default, 0 for the features alone.
    """

    data: Path
    seed: int
    number: int
    of: int
    learn_from: int | None = None
    epochs: int | None = None

    def homes(self) -> list[Home]:
        """All homes of the file that have pairs."""
        from data_sources import Home, open_source

        return [home for home in open_source(json_input=str(self.data)).read(Home) if home.synergies]

    def order(self, homes: int) -> list[int]:
        """The homes in the order that the folds are cut from."""
        import numpy as np

        return [int(h) for h in np.random.default_rng(self.seed).permutation(homes)]

    def train(self, homes: list[Home], encoder: Any) -> tuple[TrainingResult, list[int]]:
        """Train on the other homes, a fifth of them for validation, and name the test homes."""
        import numpy as np

        from training.judging.splits import PARTS
        from training.synergy.config import SynergyConfig
        from training.synergy.graph import build_graph
        from training.synergy.splits import Split
        from training.synergy.trainer import train_synergy_model

        order = self.order(len(homes))
        test = order[self.number :: self.of]
        rest = [h for h in order if h not in set(test)][: self.learn_from]
        part_of = dict.fromkeys(rest, "train") | dict.fromkeys(rest[: max(1, len(rest) // 5)], "validation")
        part_of |= dict.fromkeys(test, "test")
        chosen = sorted(part_of)
        sizes = [len(build_graph(homes[h]).pairs) for h in chosen]
        parts = tuple(
            np.full(size, PARTS.index(part_of[h]), dtype=np.int8) for h, size in zip(chosen, sizes, strict=True)
        )
        units = {part: sum(p == part for p in part_of.values()) for part in PARTS}
        split: Split = Split("home", parts, "cross-validation", units)
        config = (
            SynergyConfig(seed=self.seed) if self.epochs is None else SynergyConfig(seed=self.seed, epochs=self.epochs)
        )
        result = train_synergy_model([homes[h] for h in chosen], config, split=split, encoder=encoder)
        return result, sorted(test)


def each_fold(work: Callable[[Fold], Any], folds: list[Fold], jobs: int) -> Iterator[Any]:
    """What ``work`` says of each fold, in their order; ``jobs`` processes work side by side, on one thread each."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    if jobs == 1:
        yield from map(work, folds)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(work, folds)
