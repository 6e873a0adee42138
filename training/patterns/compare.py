"""How two pattern models are compared on the same rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from data_sources import (
    DataSource,
    PatternRow,
)
from training.judging.comparison import (
    EvaluationRows,
    Kind,
    by_part,
    dump_record,
    fill_in,
    load_side,
    rows_digest,
    trained_units,
)
from training.runs.comparison import Comparison


def _select(source: DataSource) -> EvaluationRows:
    from training.patterns.trainer import split_by_entity

    rows, in_test, described = split_by_entity(list(source.read(PatternRow)))
    training, test = by_part(rows, ["test" if test else "train" for test in in_test])
    judged = test if described["strategy"] != "none" else rows
    return EvaluationRows(described["strategy"], described["reason"], judged, training)


def _score(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.judging.splits import unseen
    from training.patterns.model import PatternModel
    from training.patterns.trainer import judge

    base_rate = float(np.mean([bool(row.genuine) for row in rows.training]))
    new, new_side = load_side(PatternModel.load, candidate)
    old, old_side = load_side(PatternModel.load, champion)
    assert new_side is not None
    judged = list(rows.judged)
    if rows.held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        fresh = unseen((row.entity_id for row in judged), *(trained_units(m.provenance, side) for m, side in sides))
        judged = [row for row in judged if row.entity_id in fresh]
    digest = rows_digest(row.model_dump_json() for row in judged)
    result = Comparison(
        model_type="pattern_detection",
        held_out=rows.held_out,
        reason=rows.reason,
        rows=len(judged),
        fingerprint=digest,
        candidate=new_side,
        champion=old_side,
    )
    both = ((new, new_side), (old, old_side))
    return fill_in(result, both, len(rows.judged), len(judged), lambda model: judge(model, judged, base_rate))


KIND = Kind(_select, _score, dump_record, PatternRow.model_validate)
