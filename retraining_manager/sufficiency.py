"""Whether there is enough to train on: the rows, which decide, and what they are worth, which is said beside them."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_sources import RECORDS, DataSourceError, Home, NoRecordsError
from data_sources.base import NoTableError
from data_sources.counting import many, plural
from retraining_manager.models import SPECS, spec_of
from training.runs.job import SourceChoice
from training.runs.progress import Progress

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
            return False, f"{many(rows, 'row')}, {model} needs {needed}"
        score = quality.get("quality_score")
        if score is not None and score < MINIMUM_QUALITY:
            return False, f"quality_score {score} is below {MINIMUM_QUALITY}"
        return True, f"{many(rows, 'row')}, {needed} are enough"


@dataclass
class DataCount:
    """What one source holds for one model.

    Attributes:
        model: The model.
        rows: The rows that can be used.
        distinct: Unit (pair, query, ...) -> how many distinct ones the rows have.
        source: What the source says of itself.
        rejected: The rows that cannot be used.
        error: Why the source cannot be read.
        absent: Whether the source can be read and has no data for this model: no file, no table, no rows.
        no_table: Whether it is absent for the database has no table for it, not even an empty one.
        digest: Equal for equal records. Their order matters for a model that reads only so many of them.
    """

    model: str
    rows: int = 0
    distinct: dict[str, int] = field(default_factory=dict)
    source: dict[str, str] = field(default_factory=dict)
    rejected: int = 0
    error: str | None = None
    absent: bool = False
    no_table: bool = False
    digest: str = ""

    @property
    def shortfalls(self) -> list[str]:
        """In words, each unit of which the rows have too few distinct ones."""
        found = {unit: self.distinct.get(unit, 0) for unit in spec_of(self.model).minimum_distinct}
        return [
            f"{f'{self.rows} rows are only ' if self.rows > found[unit] else ''}"
            f"{many(found[unit], f'distinct {unit}')}; a held-out score takes {needed}"
            if unit != "class"
            else f"{many(self.rows, 'row')} of {many(found[unit], unit)}: nothing to tell apart"
            for unit, needed in spec_of(self.model).minimum_distinct.items()
            if found[unit] < needed
        ]


@dataclass(frozen=True)
class Sufficiency:
    """Whether a model's data is ``enough`` to train on, and why."""

    data: DataCount
    enough: bool
    why: str

    @property
    def warnings(self) -> list[str]:
        """What is said beside the decision."""
        return [] if self.data.error is not None else self.data.shortfalls

    def describe(self) -> dict[str, Any]:
        """For summaries, and for ``RetrainingManager.check``."""
        data = self.data
        return {
            "enough": self.enough,
            "why": self.why,
            "rows": data.rows,
            "distinct": {plural(unit): found for unit, found in data.distinct.items()},
            "worth": [many(found, unit) for unit, found in data.distinct.items()],
            "rejected": data.rejected,
            "error": data.error,
            "absent": data.absent,
            "no_table": data.no_table,
            "warnings": self.warnings,
            "source": data.source,
        }


class _Content:
    """A digest of records that arrive one by one."""

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._sum, self._count = 0, 0

    def add(self, record: Any) -> None:
        text = record.fingerprint() if isinstance(record, Home) else record.model_dump_json()
        place = str(self._count) if self._ordered else ""
        # A sum does not depend on the order, and unlike an exclusive or it sees a record twice.
        self._sum += int.from_bytes(hashlib.sha256(f"{place} {text}".encode()).digest())
        self._count += 1

    @property
    def digest(self) -> str:
        return f"{self._count}-{self._sum % 2**256:064x}"


def assess(data: DataCount, checker: SufficiencyChecker, *, require_distinct: bool) -> Sufficiency:
    """Decide by the rows, and with ``require_distinct`` by what they are worth."""
    if data.error is not None:
        return Sufficiency(data, False, data.error)
    enough, why = checker.check_all_models({data.model: data.rows})[data.model]
    if enough and require_distinct and data.shortfalls:
        return Sufficiency(data, False, f"{data.shortfalls[0]} (--require-distinct)")
    return Sufficiency(data, enough, why)


def count(model: str, source: SourceChoice) -> DataCount:
    """Stream once what a training of the model would read. A failure to read stands in ``error``.

    Raises ManagerError where there is no such model.
    """
    spec = spec_of(model)
    record_type: Any = RECORDS[spec.model]
    model = spec.model
    data = DataCount(model)
    seen: dict[str, set[bytes]] = defaultdict(set)  # unit -> its distinct texts, by a short hash of each
    content = _Content(ordered=spec.adapts_base)
    try:
        opened = source.open(spec.model)
        data.source = opened.safe_description()
        try:
            with Progress(f"{model}: reading", unit="row", counted=lambda: data.rows):
                for record in opened.read(record_type):
                    data.rows += record.rows
                    content.add(record)
                    for unit, text in record.distinct_units():
                        seen[unit].add(hashlib.blake2b(text.encode(), digest_size=8).digest())
        finally:
            data.rejected = sum(opened.report.rejected.values())
    except DataSourceError as error:
        data.error = str(error)
        # A folder without this model's file, a database without its table, or an empty one, is no fault; a folder or a
        # database that is gone is one.
        data.absent = isinstance(error, NoRecordsError)
        data.no_table = isinstance(error, NoTableError)
    data.digest = content.digest
    data.distinct = {unit: len(texts) for unit, texts in seen.items()}
    return data
