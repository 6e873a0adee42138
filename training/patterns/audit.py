"""Count detected patterns before training, and say what they cannot show."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from data_sources import PatternRow, count_distinct
from training.judging.splits import MIN_ENTITIES
from training.runs.wording import many


class PatternAudit(BaseModel):
    """Counts of detected patterns and of their labels.

    Attributes:
        rows: All rows.
        judged_rows: Rows with a ground truth.
        genuine_rows: Rows whose ground truth says that the detection is right.
        genuine_share: ``genuine_rows / judged_rows``; None without a ground truth.
        other_device_rows: Wrong detections of the right pattern on another device.
        entities: Distinct entities.
        homes: Distinct homes that are named.
        pattern_types: Rows of each pattern type.
        duplicate_rows: Rows that repeat an earlier row.
        conflicting_rows: Rows whose features equal those of a row with the other label.
        fingerprint: SHA-256 of the rows in sorted order.
        cannot_show: One sentence for each limit of the data.
    """

    model_config = ConfigDict(frozen=True)

    rows: int
    judged_rows: int
    genuine_rows: int
    genuine_share: float | None
    other_device_rows: int
    entities: int
    homes: int
    pattern_types: dict[str, int]
    duplicate_rows: int
    conflicting_rows: int
    fingerprint: str
    cannot_show: tuple[str, ...]


FEW_ROWS_OF_A_CLASS = 50


def audit_patterns(rows: Sequence[PatternRow]) -> PatternAudit:
    """Audit detected patterns; the result does not depend on their order or source."""
    outcomes: dict[str, Counter[bool]] = defaultdict(Counter)
    written = []
    for row in rows:
        written.append(row.model_dump_json())
        if row.genuine is not None:
            features = row.model_dump_json(exclude={"expected_pattern", "expected_device"})
            outcomes[features][row.genuine] += 1
    digest = hashlib.sha256()
    for line in sorted(written):
        digest.update(line.encode())
    labelled = sum(seen.total() for seen in outcomes.values())
    genuine = sum(seen[True] for seen in outcomes.values())
    counts: dict[str, Any] = {
        "rows": len(rows),
        "judged_rows": labelled,
        "genuine_rows": genuine,
        "other_device_rows": sum(row.genuine is False and row.expected_pattern == row.pattern_type for row in rows),
        "entities": count_distinct(rows)["entities"],
        "homes": len({row.home_id for row in rows if row.home_id is not None}),
        "duplicate_rows": len(rows) - len(set(written)),
        "conflicting_rows": sum(seen.total() for seen in outcomes.values() if len(seen) > 1),
    }
    return PatternAudit(
        **counts,
        genuine_share=round(genuine / labelled, 6) if labelled else None,
        pattern_types=dict(sorted(Counter(row.pattern_type for row in rows).items())),
        fingerprint=digest.hexdigest(),
        cannot_show=tuple(_cannot_show_of_patterns(counts)),
    )


def _cannot_show_of_patterns(n: Mapping[str, int]) -> Iterable[str]:
    labelled, genuine = n["judged_rows"], n["genuine_rows"]
    wrong = labelled - genuine
    if labelled < n["rows"]:
        yield f"{n['rows'] - labelled} of {n['rows']} rows have no ground truth: nothing is learnt from them."
    if labelled and not (genuine and wrong):
        kind, other = ("genuine", "reject") if genuine else ("wrong", "accept")
        yield (
            f"Every row with a ground truth is {kind} ({many(labelled, 'row')}): with one class, the model "
            f"cannot learn to {other} and is a constant."
        )
    elif min(genuine, wrong) < FEW_ROWS_OF_A_CLASS:
        yield f"Only {many(min(genuine, wrong), 'row')} with one of the two labels: every score is rough."
    if n["entities"] < MIN_ENTITIES:
        yield (
            f"{many(n['rows'], 'row')} of {n['entities']} entities, fewer than {MIN_ENTITIES}: nothing is held out, so "
            "no score shows how the model does on a new entity."
        )
    if n["homes"] < 2:
        yield "At most one home is named: nothing shows how the model does in another home."
    if n["duplicate_rows"]:
        yield f"{many(n['duplicate_rows'], 'row')} repeat another row exactly: they add to its weight, but no evidence."
    if n["conflicting_rows"]:
        yield f"{n['conflicting_rows']} rows have all features in common with a row of the other label."
