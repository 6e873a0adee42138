"""How far chance may move a score: percentile bootstrap over whole units (Efron, 1979)."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from training.judging.metrics import Array

SAMPLES = 400
SAMPLES_OF_MEANS = 2_000  # of means, which are cheap
READ = 4_000_000  # rows that all samples of one interval read together, at most
HELD = 1_000_000  # drawn rows that are held at a time
MIN_SAMPLES = 50
MIN_UNITS = 3  # with fewer an interval says nothing


def interval_of(
    statistic: Callable[[npt.NDArray[np.int64]], float], units: Sequence[Hashable], seed: int = 0
) -> tuple[float, float] | None:
    """95 % interval of a statistic of ``n`` rows. Rows of one unit depend on one another, so units are drawn.

    Args:
        statistic: Called with the numbers of the rows that were drawn, some of them more than once; nan is left out.
        units: The unit of each of the ``n`` rows, such as its home or its entity.
        seed: Draws the samples.

    Returns:
        The ends; None where there are fewer than ``MIN_UNITS`` units, or no sample has a value.
    """
    members: dict[Hashable, list[int]] = {}
    for row, unit in enumerate(units):
        members.setdefault(unit, []).append(row)
    if len(members) < MIN_UNITS:
        return None
    rows = [np.array(own) for own in members.values()]
    rng = np.random.default_rng(seed)
    samples = max(MIN_SAMPLES, min(SAMPLES, READ // len(units)))
    drawn = rng.integers(len(rows), size=(samples, len(rows)))
    return middle([statistic(np.concatenate([rows[i] for i in sample])) for sample in drawn])


def interval_of_mean(values: Array, units: Sequence[Hashable] | None = None) -> tuple[float, float] | None:
    """``interval_of`` the mean of ``n`` values; each is a unit of its own if ``units`` are not given."""
    return interval_of(lambda rows: float(values[rows].mean()), range(len(values)) if units is None else units)


def means_of_samples(rows: Sequence[Mapping[str, float]], seed: int = 0) -> dict[str, Array]:
    """The mean of each metric in each sample of units, such as homes.

    Args:
        rows: The metrics of each unit; nan is left out of a mean.
        seed: Draws the samples, which are the same for all metrics.

    Returns:
        Metric -> ``[SAMPLES_OF_MEANS]`` means; nan where no unit of a sample has the metric, and everywhere with
        fewer than ``MIN_UNITS`` units. Empty without rows.
    """
    if not rows:
        return {}
    rng = np.random.default_rng(seed)
    values = {metric: np.array([row[metric] for row in rows]) for metric in rows[0]}
    means = {metric: np.full(SAMPLES_OF_MEANS, np.nan) for metric in values}
    if len(rows) < MIN_UNITS:
        return means
    at_a_time = max(1, HELD // len(rows))
    for first in range(0, SAMPLES_OF_MEANS, at_a_time):
        here = slice(first, min(first + at_a_time, SAMPLES_OF_MEANS))
        drawn = rng.integers(len(rows), size=(here.stop - first, len(rows)))
        for metric, own in values.items():
            sample = own[drawn]
            measured = ~np.isnan(sample)
            counts = measured.sum(1)
            np.divide(np.where(measured, sample, 0).sum(1), counts, out=means[metric][here], where=counts > 0)
    return means


def intervals_of_means(rows: Sequence[Mapping[str, float]], seed: int = 0) -> dict[str, tuple[float, float] | None]:
    """95 % interval of each metric's mean (``means_of_samples``); None where they say nothing."""
    return {metric: middle(means) for metric, means in means_of_samples(rows, seed).items()}


def middle(values: Sequence[float] | Array, digits: int = 6) -> tuple[float, float] | None:
    """The ends of the middle 95 % of what the samples gave, without nan; None where there is nothing else."""
    measured = np.asarray(values)
    measured = measured[~np.isnan(measured)]
    if not len(measured):
        return None
    low, high = np.quantile(measured, (0.025, 0.975))
    return round(float(low), digits), round(float(high), digits)
