"""The homes of one training, and what is counted on them with and without each fold."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from training.runs.distributed import add_up
from training.runs.errors import TrainingError
from training.synergy.encoded_home import EncodedHome
from training.synergy.graph import HomeGraph, Ints
from training.synergy.pair_statistics import PairStatistics
from training.synergy.splits import FOLDS, Split, folds_of
from training.synergy.vocabulary import Vocabulary


@dataclass(frozen=True)
class TrainingHomes:
    """The homes of one training. A home is named by its index.

    Attributes:
        graphs: All homes, with their pairs.
        encoded: Home -> the same as the model reads it, for those of this process.
        split: Which pairs train.
        candidates: Home -> number of its entities that can act, for the homes of ``positives``.
        positives: Home -> indexes into ``graphs[home].pairs`` of the training pairs whose action can act, for the homes
            that have any.
        weight: Home -> what each of its pairs counts: 1 / sqrt(number of its training pairs), times a given weight.
        fold: Home -> ``[p]`` folds of all its pairs.
        dismissed: Home -> ``[d, 3]`` fold, trigger and action of the pairs that a person refused, whose action can act,
            for the homes of ``positives`` that have any.
    """

    graphs: Sequence[HomeGraph]
    encoded: Mapping[int, EncodedHome]
    split: Split
    candidates: dict[int, int]
    positives: dict[int, Ints]
    weight: dict[int, float]
    fold: dict[int, Ints]
    dismissed: dict[int, Ints]

    @classmethod
    def of(
        cls,
        graphs: Sequence[HomeGraph],
        encoded: Mapping[int, EncodedHome],
        split: Split,
        acting_domains: Sequence[str],
        weights: Sequence[float] | None = None,
    ) -> TrainingHomes:
        """Find the training pairs of homes.

        Args:
            graphs: All homes, with their pairs.
            encoded: Home -> the same as the model reads it, for those of this process.
            split: Which pairs train.
            acting_domains: Read-only domains whose entities count as able to act.
            weights: What each home counts; all alike if not given.

        Raises:
            TrainingError: There is no training pair whose action can act.
        """
        positives, can_act = {}, {}
        for h, graph in enumerate(graphs):
            acting = graph.acting(acting_domains)
            rows = np.flatnonzero(split.select(h, "train") & acting[graph.pairs[:, 1]])
            if len(rows):
                positives[h], can_act[h] = rows, acting
        if not positives:
            raise TrainingError("no training pair acts on an entity that can act: check which way the pairs point")
        weight = {h: (1.0 if weights is None else weights[h]) / math.sqrt(len(rows)) for h, rows in positives.items()}
        fold = folds_of(graphs, split, positives)
        dismissed = {}
        for h in positives:
            graph = graphs[h]
            pairs = graph.dismissed[split.dismissed(h, graph)]
            pairs = pairs[can_act[h][pairs[:, 1]]]
            if len(pairs):
                own = np.full(len(pairs), fold[h][0]) if split.strategy == "home" else np.arange(len(pairs)) % FOLDS
                dismissed[h] = np.column_stack([own, pairs])
        candidates = {h: int(acting.sum()) for h, acting in can_act.items()}
        return cls(graphs, encoded, split, candidates, positives, weight, fold, dismissed)

    def own(self, homes: Iterable[int]) -> list[int]:
        """Those of ``homes`` that this process has encoded."""
        return [h for h in homes if h in self.encoded]

    def home(self, h: int) -> EncodedHome:
        """A home that this process has encoded."""
        return self.encoded[h]


class FoldStatistics:
    """Counts of all training pairs, those of all processes, and log-odds with and without each fold.

    The features of a training pair are looked up in the log-odds without its fold, so they never come from the pair
    itself.

    Args:
        homes: The homes.
        vocabulary: What the counts are indexed by.
        pretrained: Counts of other homes, added to all.

    Attributes:
        total: The counts.
        log_odds: The log-odds of all folds.
        without_fold: For each fold, the log-odds of all others.
    """

    def __init__(self, homes: TrainingHomes, vocabulary: Vocabulary, pretrained: PairStatistics | None) -> None:
        by_fold = [PairStatistics(vocabulary) for _ in range(FOLDS)]
        for h in homes.own(homes.positives):
            home, pairs, rows = homes.home(h), homes.graphs[h].pairs, homes.positives[h]
            folds = homes.fold[h][rows]
            for f in np.unique(folds).tolist():
                by_fold[f].add(home, pairs[rows[folds == f]], homes.weight[h])
        for statistics in by_fold:
            add_up(*statistics.counts.values())
        total = PairStatistics(vocabulary)
        for statistics in by_fold:
            total = total.plus(statistics)
        if pretrained is not None:
            total = total.plus(pretrained.within(vocabulary))
        self.total = total
        self.log_odds = total.log_odds()
        self.without_fold = [total.minus(statistics).log_odds() for statistics in by_fold]

    def set_meaning(self, meaning: Tensor) -> None:
        """Set the weights of name vectors, ``[dimensions, domains]``, in all log-odds."""
        self.log_odds = replace(self.log_odds, meaning=meaning)
        self.without_fold = [replace(log_odds, meaning=meaning) for log_odds in self.without_fold]
