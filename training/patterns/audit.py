"""Count detected patterns before training, and say what they cannot show."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from data_sources import PatternRow
from data_sources.counting import many
from training.judging.splits import MIN_ENTITIES
from training.patterns.rows import PatternRows


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


def audit_patterns(rows: Iterable[PatternRow]) -> PatternAudit:
    """Audit detected patterns; the result does not depend on their order or source."""
    table = PatternRows.of(rows)
    digest, found = hashlib.sha256(), Counter[str]()
    homes: set[str] = set()
    types: Counter[str] = Counter()
    for own in table.by_entity():  # so that one entity's rows are held as texts, not all
        outcomes: dict[str, Counter[bool]] = defaultdict(Counter)
        written = []
        for row in own.each():
            written.append(row.model_dump_json())
            types[row.pattern_type] += 1
            if row.home_id is not None:
                homes.add(row.home_id)
            if row.genuine is not None:
                outcomes[row.model_dump_json(exclude={"expected_pattern", "expected_device"})][row.genuine] += 1
                found["other_device_rows"] += not row.genuine and row.expected_pattern == row.pattern_type
        for line in sorted(written):
            digest.update(line.encode())
        found["entities"] += 1
        found["judged_rows"] += sum(seen.total() for seen in outcomes.values())
        found["genuine_rows"] += sum(seen[True] for seen in outcomes.values())
        found["duplicate_rows"] += len(own) - len(set(written))
        found["conflicting_rows"] += sum(seen.total() for seen in outcomes.values() if len(seen) > 1)
    labelled, genuine = found["judged_rows"], found["genuine_rows"]
    counted = ("judged_rows", "genuine_rows", "other_device_rows", "entities", "duplicate_rows", "conflicting_rows")
    counts = {"rows": len(table), "homes": len(homes), **{name: found[name] for name in counted}}
    return PatternAudit(
        **counts,
        genuine_share=round(genuine / labelled, 6) if labelled else None,
        pattern_types=dict(sorted(types.items())),
        fingerprint=digest.hexdigest(),
        cannot_show=tuple(_cannot_show_of_patterns(counts)),
    )


def _cannot_show_of_patterns(n: Mapping[str, int]) -> Iterable[str]:
    labelled, genuine = n["judged_rows"], n["genuine_rows"]
    wrong = labelled - genuine
    if labelled < n["rows"]:
        without = n["rows"] - labelled
        yield f"Without a ground truth: {without} of {many(n['rows'], 'row')}. Nothing is learnt from them."
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
            f"{many(n['rows'], 'row')} of {many(n['entities'], 'entity')}, fewer than {MIN_ENTITIES}: nothing is held "
            "out, so no score shows how the model does on a new entity."
        )
    if n["homes"] < 2:
        yield "At most one home is named: nothing shows how the model does in another home."
    if n["duplicate_rows"]:
        yield f"Rows that repeat another row exactly: {n['duplicate_rows']}. They add to its weight, but no evidence."
    if n["conflicting_rows"]:
        yield f"Rows that have all features in common with a row of the other label: {n['conflicting_rows']}."
