"""Ranking and classification metrics on NumPy alone: importing scikit-learn would take a third of a small run's time.

The tests compare them with scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import numpy.typing as npt


def f1(predicted: Collection[str], reference: Collection[str]) -> float:
    """F1 of a set of names: harmonic mean of precision and recall; 1 if both sets are empty."""
    if not predicted and not reference:
        return 1.0
    return 2 * len(set(predicted) & set(reference)) / (len(set(predicted)) + len(set(reference)))


METRICS = ("mrr", "hits_at_10", "auc_hard", "ap_hard", "auc_random", "ap_random")

Array = npt.NDArray[np.float64]


def roc_auc(positive: Array, negative: Array) -> float:
    """Probability that a positive scores above a negative; ties count half (Mann-Whitney U). nan if either is empty."""
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    up_to = np.searchsorted(ordered, positive, side="right")
    return float((below + up_to).mean() / (2 * len(negative)))


def average_precision(positive: Array, negative: Array) -> float:
    """Sum over thresholds of precision times gain in recall; tied scores share a threshold. nan if either is empty."""
    if not len(positive) or not len(negative):
        return float("nan")
    thresholds, counts = np.unique(positive, return_counts=True)
    true = len(positive) - np.searchsorted(np.sort(positive), thresholds, side="left")
    false = len(negative) - np.searchsorted(np.sort(negative), thresholds, side="left")
    return float((counts * true / (true + false)).sum() / len(positive))


def mean_rank(scores: Array, negatives: Array) -> Array:
    """``[k]`` ranks, from 1, of ``k`` scores among the negatives; tied scores get the mean of their ranks."""
    ordered = np.sort(negatives)
    above = len(ordered) - np.searchsorted(ordered, scores, side="right")
    ties = np.searchsorted(ordered, scores, side="right") - np.searchsorted(ordered, scores, side="left")
    return np.asarray(1 + above + 0.5 * ties, dtype=np.float64)


class ProbabilityBins:
    """How far probabilities can be trusted, in equal-width bins.

    Rows may be added part by part. Only sums are kept, so memory does not grow with the number of rows.

    Args:
        bins: How many bins the range from 0 to 1 has.
    """

    def __init__(self, bins: int = 10) -> None:
        self._bins = bins
        self._weighted = False
        self._rows = np.zeros(bins, dtype=np.int64)
        self._weight, self._square, self._predicted, self._observed, self._gap = np.zeros((5, bins))

    def add(self, probability: Array, label: Array, weight: Array | None = None) -> ProbabilityBins:
        """Add ``n`` probabilities, their labels (0 or 1) and what each row counts (1 if not given); returns itself."""
        self._weighted |= weight is not None
        own = np.ones(len(probability)) if weight is None else weight
        bin_of = np.minimum((probability * self._bins).astype(int), self._bins - 1)

        def sums(values: Array) -> Array:
            return np.asarray(np.bincount(bin_of, weights=values, minlength=self._bins), dtype=np.float64)

        self._rows += np.bincount(bin_of, minlength=self._bins)
        self._weight += sums(own)
        self._square += sums(own**2)
        self._predicted += sums(own * probability)
        self._observed += sums(own * label)
        self._gap += sums(own * (probability - label))
        return self

    def error(self) -> float:
        """Expected calibration error: the weighted mean of |mean probability - mean label| (Naeini et al., 2015).

        nan if the weights sum to 0.
        """
        total = self._weight.sum()
        return float(np.abs(self._gap).sum() / total) if total else float("nan")

    def reliability(self) -> list[dict[str, float]]:
        """Mean probability, share of positives and number of rows of each bin that has rows with a weight.

        If weights were given, means and shares are weighted, and ``effective`` is how many rows of equal weight are
        worth as much (Kish, 1965).
        """
        found = []
        for i in np.flatnonzero(self._weight):
            one = {
                "predicted": round(float(self._predicted[i] / self._weight[i]), 6),
                "observed": round(float(self._observed[i] / self._weight[i]), 6),
                "rows": int(self._rows[i]),
            }
            if self._weighted:
                one["effective"] = round(float(self._weight[i] ** 2 / self._square[i]), 3)
            found.append(one)
        return found


def precision_recall(positive: Array, negative: Array, points: int = 50) -> list[tuple[float, float]]:
    """(recall, precision) at falling thresholds, at most ``points``; tied scores share one. [] if either is empty."""
    if not len(positive) or not len(negative):
        return []
    thresholds = np.unique(positive)[::-1]
    thresholds = thresholds[np.unique(np.linspace(0, len(thresholds) - 1, points).round().astype(int))]
    true = len(positive) - np.searchsorted(np.sort(positive), thresholds, side="left")
    false = len(negative) - np.searchsorted(np.sort(negative), thresholds, side="left")
    return [
        (round(float(recall), 6), round(float(precision), 6))
        for recall, precision in zip(true / len(positive), true / (true + false), strict=True)
    ]
