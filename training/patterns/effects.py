"""What each feature does: partial dependence (Friedman, 2001) of a pattern model's answer, over real rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from data_sources import PatternRow
from training.patterns.model import PatternModel
from training.patterns.rows import PatternRows

ROWS = 100  # that are changed and scored again
VALUES = 8  # of a text, the commonest ones
SHARES = tuple(i / 8 for i in range(9))
COUNTS = (1, 2, 5, 10, 20, 50, 100)


def effects_of(model: PatternModel, rows: Sequence[PatternRow], seed: int = 0) -> list[dict[str, Any]]:
    """How the mean probability changes with one feature, all else as it is in the rows.

    Args:
        model: The model.
        rows: Detections that it was trained on; at most ``ROWS`` of them are used.
        seed: Draws them.

    Returns:
        A dict a feature, the one with the largest range first: ``feature``, ``range``, ``is_number`` and ``values``,
        each with ``value``, ``mean`` and, of a text, how many ``rows`` have it. [] where the model is a constant.
    """
    table = PatternRows.of(rows)
    if model.pipeline is None or not len(table):
        return []
    places = np.arange(len(table))
    if len(places) > ROWS:
        places = np.sort(np.random.default_rng(seed).choice(len(table), ROWS, replace=False))
    some = list(table.select(places))
    found = []
    for feature, values, change, counts in _features(table):
        probability = model.score([change(row, value) for value in values for row in some])
        means = probability.reshape(len(values), len(some)).mean(axis=1)
        found.append(
            {
                "feature": feature,
                "is_number": not counts,
                "range": round(float(means.max() - means.min()), 6),
                "values": [
                    {"value": value, "mean": round(float(mean), 6), **({"rows": counts[value]} if counts else {})}
                    for value, mean in zip(values, means, strict=True)
                ],
            }
        )
    return sorted(found, key=lambda one: -one["range"])


Change = Callable[[PatternRow, Any], PatternRow]


def _features(rows: PatternRows) -> Iterable[tuple[str, Sequence[Any], Change, Counter[Any]]]:
    """Each feature: its name, the values to try, what gives a row another value, and how many rows have a text."""

    def set_to(name: str) -> Change:
        return lambda row, value: row.model_copy(update={name: value})

    def of_domain(row: PatternRow, domain: str) -> PatternRow:
        return row.model_copy(update={"entity_id": f"{domain}.{row.entity_id.partition('.')[2]}"})

    texts: tuple[tuple[str, Counter[Any], Change], ...] = (
        ("type of the pattern", Counter(row.pattern_type for row in rows.each()), set_to("pattern_type")),
        ("domain of the entity", Counter(row.domain for row in rows.each()), of_domain),
        ("device class", Counter(row.device_class for row in rows.each() if row.device_class), set_to("device_class")),
    )
    for name, counts, change in texts:
        if len(counts) > 1:
            yield name, [value for value, _ in counts.most_common(VALUES)], change, counts
    yield "detector's confidence", SHARES, set_to("confidence"), Counter()
    yield "occurrences", COUNTS, set_to("occurrences"), Counter()
