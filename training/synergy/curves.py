"""What stands beside the scores of the test part: intervals, how far scores can be trusted, precision over recall."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from training.judging.intervals import MIN_UNITS, interval_of_mean, intervals_of_means
from training.judging.metrics import Array, mean_rank, precision_recall
from training.synergy.evaluation import HomeScore, probability_bins


def curves_of(scored: Sequence[HomeScore]) -> dict[str, Any]:
    """Of at least one home.

    Returns:
        ``intervals``: the model and each baseline -> metric -> 95 % interval, and ``intervals_over``, what it is over:
        homes, or with fewer than ``MIN_UNITS`` of them the triggers, which only the model's MRR and Hits@10 have.
        ``reliability``: as ``judging.metrics.ProbabilityBins``, under the weights of the calibration.
        ``precision_recall``: of the model against hard negatives, all homes together, and ``chance``, the precision of
        a guess.
    """
    if len(scored) >= MIN_UNITS:
        by_scorer = {name: [one.metrics[name] for one in scored] for name in scored[0].metrics}
        over, found = "homes", {name: intervals_of_means(rows) for name, rows in by_scorer.items()}
    else:
        over, found = "triggers", {"model": _over_triggers(scored)}
    positive = np.concatenate([s.probability[s.task.positive] for s in scored])
    hard = np.concatenate([s.probability[s.task.hard] for s in scored])
    return {
        "intervals": found,
        "intervals_over": over,
        "reliability": probability_bins(scored).reliability(),
        "precision_recall": precision_recall(positive, hard),
        "chance": round(len(positive) / max(1, len(positive) + len(hard)), 6),
    }


def _over_triggers(scored: Sequence[HomeScore]) -> dict[str, tuple[float, float] | None]:
    ranks: list[Array] = []
    units: list[tuple[int, int]] = []
    for h, one in enumerate(scored):
        rows = zip(one.probability, one.task.positive, one.task.negative, strict=True)
        for t, (row, true, false) in enumerate(rows):
            ranks.append(mean_rank(row[true], row[false]))
            units += [(h, t)] * len(ranks[-1])
    rank = np.concatenate(ranks)
    return {"mrr": interval_of_mean(1 / rank, units), "hits_at_10": interval_of_mean((rank <= 10).astype(float), units)}
