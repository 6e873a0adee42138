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


def expected_calibration_error(probability: Array, label: Array, weight: Array, bins: int = 10) -> float:
    """Weighted mean of |mean probability - mean label| over ``bins`` equal-width bins (Naeini et al., 2015).

    nan if the weights sum to 0.
    """
    total = weight.sum()
    if not total:
        return float("nan")
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    gap = np.bincount(bin_of, weights=weight * (probability - label), minlength=bins)
    return float(np.abs(gap).sum() / total)


def reliability(
    probability: Array, label: Array, bins: int = 10, weight: Array | None = None
) -> list[dict[str, float]]:
    """Mean probability, share of positives and number of rows of each non-empty bin of the calibration error.

    With weights, means and shares are weighted, and ``effective`` is how many rows of equal weight are worth as much
    (Kish, 1965).
    """
    bin_of = np.minimum((probability * bins).astype(int), bins - 1)
    found = []
    for place in np.unique(bin_of):
        rows = bin_of == place
        own = np.ones(int(rows.sum())) if weight is None else weight[rows]
        if not own.sum():
            continue
        one = {
            "predicted": round(float(np.average(probability[rows], weights=own)), 6),
            "observed": round(float(np.average(label[rows], weights=own)), 6),
            "rows": len(own),
        }
        found.append(one if weight is None else {**one, "effective": round(float(own.sum() ** 2 / (own**2).sum()), 3)})
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
