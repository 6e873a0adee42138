"""Our metrics agree with scikit-learn's and with what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from training.judging.metrics import ProbabilityBins, average_precision, mean_rank, roc_auc

SCORES = st.lists(st.integers(-3, 3).map(float), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_auc_and_average_precision_agree_with_scikit_learn(positive: list[float], negative: list[float]) -> None:
    label = [1] * len(positive) + [0] * len(negative)
    scores = positive + negative
    p, n = np.array(positive), np.array(negative)
    assert roc_auc(p, n) == pytest.approx(roc_auc_score(label, scores))
    assert average_precision(p, n) == pytest.approx(average_precision_score(label, scores))


def test_without_negatives_or_positives_nothing_is_measured() -> None:
    some, none = np.array([0.5]), np.array([])
    for value in (roc_auc(some, none), roc_auc(none, some), average_precision(none, some)):
        assert np.isnan(value)


def test_a_tie_takes_the_mean_of_its_ranks() -> None:
    ranks = mean_rank(np.array([3.0, 2.0, 0.0]), np.array([2.0, 2.0, 1.0]))
    assert ranks.tolist() == [1.0, 2.0, 4.0]


def test_calibration_error_is_the_weighted_gap_between_probability_and_rate() -> None:
    probability, label = np.array([0.95, 0.95, 0.15]), np.array([1.0, 0.0, 0.0])
    assert ProbabilityBins().add(probability, label).error() == pytest.approx((0.9 + 0.15) / 3)
    assert ProbabilityBins().add(probability, label, np.array([1.0, 0.0, 0.0])).error() == pytest.approx(0.05)
    assert ProbabilityBins().add(np.array([1.0, 0.0]), np.array([1.0, 0.0])).error() == 0.0
    assert np.isnan(ProbabilityBins().error())


def test_bins_that_are_filled_part_by_part_say_the_same() -> None:
    rng = np.random.default_rng(0)
    probability, weight = rng.random(1000), rng.random(1000)
    label = (rng.random(1000) < probability).astype(float)
    whole = ProbabilityBins().add(probability, label, weight)
    parts = ProbabilityBins()
    for rows in np.array_split(np.arange(1000), 7):
        parts.add(probability[rows], label[rows], weight[rows])
    assert parts.reliability() == whole.reliability()
    assert parts.error() == pytest.approx(whole.error(), abs=1e-12)
    first = probability < 0.1
    assert whole.reliability()[0]["observed"] == pytest.approx(
        np.average(label[first], weights=weight[first]), abs=1e-6
    )
