"""Train and judge the routine model."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from training.routines.model import RoutineModel

from data_sources.records import RoutineRow
from training.judging.splits import PARTS, assign_parts


def split_by_day(rows: Sequence[RoutineRow]) -> tuple[list[str], dict[str, Any]]:
    """A part for each row; the rows of one day are together."""
    part_of = assign_parts({row.day for row in rows})
    reason = f"{len(part_of)} days: whole days are held out"
    return [part_of[row.day] for row in rows], {"strategy": "day", "reason": reason}


def fit(rows: Sequence[RoutineRow], minimum_uses: int) -> RoutineModel:
    """The commonest hour of each entity that is used often enough, and of all."""
    uses: dict[str, Counter[int]] = defaultdict(Counter)
    for row in rows:
        uses[row.entity_id][row.hour] += 1
    hours = {entity: _commonest(of) for entity, of in sorted(uses.items()) if of.total() >= minimum_uses}
    return RoutineModel(hours, _commonest(sum(uses.values(), Counter[int]())))


def _commonest(hours: Counter[int]) -> int:
    return min(hours, key=lambda hour: (-hours[hour], hour))


def evaluate(model: RoutineModel, rows: Sequence[RoutineRow]) -> dict[str, Any]:
    """Accuracy of the hour, beside that of the commonest hour of all."""
    right = sum(model.hour(row.entity_id) == row.hour for row in rows)
    common = sum(model.otherwise == row.hour for row in rows)
    return {
        "rows": len(rows),
        "model": {"accuracy": right / len(rows)},
        "baselines": {"commonest_hour": {"accuracy": common / len(rows)}},
    }


@dataclass(frozen=True)
class TrainedRoutines:
    """A trained model, its scores on the days that are held out, and the days that it saw."""

    model: RoutineModel
    metrics: dict[str, Any]
    split: dict[str, Any]
    days: list[str]


def train_routines(rows: Sequence[RoutineRow], minimum_uses: int) -> TrainedRoutines:
    """Split by day, fit and judge."""
    parts, split = split_by_day(rows)
    by_part = {part: [row for row, its in zip(rows, parts, strict=True) if its == part] for part in PARTS}
    model = fit(by_part["train"] + by_part["validation"], minimum_uses)
    days = [row.day for part in ("train", "validation") for row in by_part[part]]
    return TrainedRoutines(model, {"test": evaluate(model, by_part["test"])}, split, days)
