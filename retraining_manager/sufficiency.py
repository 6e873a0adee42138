"""Whether there is enough to train on: the rows, which decide, and what they are worth, which is said beside them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from data_sources import (
    DataSource,
    DataSourceError,
    Home,
    NoRecordsError,
    PatternRow,
    PromptRow,
    YamlRow,
)
from retraining_manager.models import SPECS, spec_of

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
        needed = spec_of(self.model).minimum_distinct
        return [
            f"{self.rows} rows are only {found} distinct {what}, {needed[what]} allow a held-out score"
            if what != "classes"
            else f"{self.rows} rows are of {found} {'class' if found == 1 else 'classes'}: nothing to tell apart"
            for what, found in self.distinct.items()
            if found < needed.get(what, 0)
        ]


class _Distinct:
    """Numbers of distinct texts in 8 bytes a text."""

    def __init__(self) -> None:
        self._seen: dict[str, set[bytes]] = {}

    def add(self, what: str, text: str) -> None:
        self._seen.setdefault(what, set()).add(hashlib.blake2b(text.encode(), digest_size=8).digest())

    def counts(self) -> dict[str, int]:
        return {what: len(seen) for what, seen in self._seen.items()}


def count(model: str, source: DataSource) -> Counted:
    """Stream a source once. A failure to read stands in ``error``; ``absent`` where it simply has no such data."""
    counted = Counted(model, source=source.describe())
    distinct = _Distinct()
    try:
        for rows in _COUNTERS[model](source, distinct):
            counted.rows += rows
    except DataSourceError as error:
        counted.error = str(error)
        # A folder without this model's file, or an empty table, is no fault; a folder or a database that is gone is.
        counted.absent = isinstance(error, NoRecordsError)
    counted.distinct = distinct.counts()
    counted.rejected = sum(source.report.rejected.values())
    return counted


def _homes(source: DataSource, distinct: _Distinct) -> Iterator[int]:
    for home in source.read(Home):
        for synergy in home.synergies:
            distinct.add("pairs", f"{home.home_id} {synergy.trigger} {synergy.action}")
        yield home.rows


def _prompts(source: DataSource, distinct: _Distinct) -> Iterator[int]:
    for row in source.read(PromptRow):
        distinct.add("queries", _plain(row.query))
        distinct.add("answers", row.suggestion)
        yield 1


def _patterns(source: DataSource, distinct: _Distinct) -> Iterator[int]:
    for row in source.read(PatternRow):
        distinct.add("entities", row.entity_id)
        if row.genuine is not None:
            distinct.add("classes", str(row.genuine))
        yield 1


def _automations(source: DataSource, distinct: _Distinct) -> Iterator[int]:
    for row in source.read(YamlRow):
        distinct.add("requests", _plain(row.input))
        distinct.add("answers", row.output)
        yield 1


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


_COUNTERS = {
    "gnn_synergy": _homes,
    "soft_prompt": _prompts,
    "pattern_detection": _patterns,
    "yaml_generation": _automations,
}
