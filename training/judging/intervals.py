"""How far chance may move a score: percentile bootstrap over whole units (Efron, 1979)."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np
import numpy.typing as npt

from training.judging.metrics import Array

SAMPLES = 400
READ = 4_000_000  # rows that all samples of one interval read together, at most
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
    values: list[float] = []
    for drawn in rng.integers(len(rows), size=(samples, len(rows))):
        value = statistic(np.concatenate([rows[i] for i in drawn]))
        if not math.isnan(value):
            values.append(value)
    if not values:
        return None
    low, high = np.quantile(values, (0.025, 0.975))
    return round(float(low), 6), round(float(high), 6)


def interval_of_mean(values: Array, units: Sequence[Hashable] | None = None) -> tuple[float, float] | None:
    """``interval_of`` the mean of ``n`` values; each is a unit of its own if ``units`` are not given."""
    return interval_of(lambda rows: float(values[rows].mean()), range(len(values)) if units is None else units)
