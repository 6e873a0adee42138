"""What uses of entities can and cannot support, counted before training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from data_sources.records import RoutineRow, count_distinct


class RoutineAudit(BaseModel):
    """Counts of uses and entities."""

    model_config = ConfigDict(frozen=True)

    rows: int
    entities: int
    fingerprint: str
    cannot_show: tuple[str, ...]


def audit_routines(rows: Sequence[RoutineRow]) -> RoutineAudit:
    """Count and fingerprint uses; the fingerprint does not depend on their order."""
    digest = hashlib.sha256("\n".join(sorted(row.model_dump_json() for row in rows)).encode()).hexdigest()
    entities = count_distinct(rows)["entity"]
    few = entities < 20
    return RoutineAudit(
        rows=len(rows),
        entities=entities,
        fingerprint=digest,
        cannot_show=("Fewer than 20 entities: the score is rough.",) if few else (),
    )
