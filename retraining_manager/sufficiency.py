"""Whether there is enough to train on: the rows, which decide, and what they are worth, which is said beside them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_sources import RECORDS, DataSource, DataSourceError, NoRecordsError
from retraining_manager.models import SPECS, kind_of, spec_of

MINIMUM_QUALITY = 0.7


class SufficiencyChecker(Protocol):
    """Decides from counts alone; ``RetrainingManager`` takes any."""

    def check_all_models(
        self, data_counts: Mapping[str, int], quality_metrics: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, tuple[bool, str]]:
        """For each model: whether to train it, and why."""
        ...


class RowThresholds:
    """As many rows as each model needs, and a ``quality_score`` of at least 0.7 where one is given."""

    def check_all_models(
        self, data_counts: Mapping[str, int], quality_metrics: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, tuple[bool, str]]:
        """For each model: whether to train it, and why."""
        quality = quality_metrics or {}
        return {model: self._check(model, data_counts.get(model, 0), quality.get(model) or {}) for model in SPECS}

    def _check(self, model: str, rows: int, quality: Mapping[str, Any]) -> tuple[bool, str]:
        needed = spec_of(model).minimum_rows
        if rows < needed:
            return False, f"{rows} rows, {model} needs {needed}"
        score = quality.get("quality_score")
        if score is not None and score < MINIMUM_QUALITY:
            return False, f"quality_score {score} is below {MINIMUM_QUALITY}"
        return True, f"{rows} rows, {needed} are enough"


@dataclass
class Counted:
    """What one source holds for one model."""

    model: str
    rows: int = 0
    distinct: dict[str, int] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)
    rejected: int = 0
    error: str | None = None
    absent: bool = False

    @property
    def thin(self) -> list[str]:
        """What the rows are not worth, in words."""
        found = {unit: self.distinct.get(unit, 0) for unit in spec_of(self.model).minimum_distinct}
        return [
            f"{self.rows} rows are only {found[unit]} distinct {unit}, {needed} allow a held-out score"
            if unit != "classes"
            else f"{self.rows} rows are of {found[unit]} {'class' if found[unit] == 1 else 'classes'}: "
            "nothing to tell apart"
            for unit, needed in spec_of(self.model).minimum_distinct.items()
            if found[unit] < needed
        ]


def count(model: str, source: DataSource) -> Counted:
    """Stream a source once. A failure to read stands in ``error``; ``absent`` where it simply has no such data.

    Raises ManagerError where there is no such model.
    """
    record_type: Any = RECORDS[kind_of(model)]
    counted = Counted(model, source=source.describe())
    seen: dict[str, set[bytes]] = defaultdict(set)  # unit -> its distinct texts, by a short hash of each
    try:
        for record in source.read(record_type):
            counted.rows += record.rows
            for unit, text in record.distinct_units():
                seen[unit].add(hashlib.blake2b(text.encode(), digest_size=8).digest())
    except DataSourceError as error:
        counted.error = str(error)
        # A folder without this model's file, or an empty table, is no fault; a folder or a database that is gone is.
        counted.absent = isinstance(error, NoRecordsError)
    counted.distinct = {unit: len(texts) for unit, texts in seen.items()}
    counted.rejected = sum(source.report.rejected.values())
    return counted
