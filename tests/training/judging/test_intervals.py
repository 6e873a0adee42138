"""Intervals say how far chance may move a score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from training.judging import intervals
from training.judging.intervals import interval_of, interval_of_mean, intervals_of_means, means_of_samples


def test_an_interval_covers_the_mean_and_narrows_with_more_homes() -> None:
    rng = np.random.default_rng(0)
    few, many = ([{"mrr": float(x)} for x in rng.normal(0.3, 0.1, n)] for n in (10, 1000))
    wide, narrow = intervals_of_means(few)["mrr"], intervals_of_means(many)["mrr"]
    assert wide is not None
    assert narrow is not None
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])
    assert narrow[0] < 0.3 < narrow[1]


def test_rows_of_one_unit_are_drawn_together() -> None:
    values = np.array([0.0] * 50 + [1.0] * 50)
    apart, together = interval_of_mean(values), interval_of_mean(values, [0] * 50 + [1] * 50)
    assert apart is not None
    assert apart[1] - apart[0] < 0.3
    assert together is None, "two units say nothing"


def test_a_unit_without_a_metric_is_left_out_and_one_that_no_unit_has_has_no_interval() -> None:
    rows = [{"mrr": 0.5, "ece": math.nan}, {"mrr": math.nan, "ece": math.nan}, {"mrr": 0.5, "ece": math.nan}]
    assert intervals_of_means(rows) == {"mrr": (0.5, 0.5), "ece": None}
    assert interval_of(lambda _: math.nan, range(5)) is None
    assert intervals_of_means(rows[:2]) == {"mrr": None, "ece": None}, "two units say nothing"
    assert intervals_of_means([]) == means_of_samples([]) == {}
    assert interval_of_mean(np.array([])) is None


def test_samples_are_the_same_however_few_are_held_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    rows = [{"mrr": float(x), "ece": float(y)} for x, y in rng.random((50, 2))]
    at_once = means_of_samples(rows)
    monkeypatch.setattr(intervals, "HELD", 7 * len(rows))
    for metric, means in means_of_samples(rows).items():
        assert np.array_equal(means, at_once[metric])
