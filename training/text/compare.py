"""How two soft prompts are compared on the same rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from data_sources import (
    DataSource,
    PromptRow,
    normalized_query,
)
from training.judging.comparison import (
    MAX_SAMPLES,
    EvaluationRows,
    Kind,
    by_part,
    fill_in,
    load_side,
    rows_digest,
    trained_units,
)
from training.runs.comparison import Comparison


def _select(source: DataSource) -> EvaluationRows:
    from training.text.backbone import TextPair
    from training.text.splits import split_by_query

    rows = list(islice(source.read(PromptRow), MAX_SAMPLES["soft_prompt"]))
    pairs = [TextPair(row.query, row.suggestion) for row in rows]
    parts, described = split_by_query(pairs)
    training, test = by_part(pairs, parts)
    held_out = described["strategy"] != "none"
    judged = list(dict.fromkeys(test if held_out else training))
    return EvaluationRows(described["strategy"], described["reason"], judged, training)


def _load_pair(raw: Sequence[str]) -> Any:
    from training.text.backbone import TextPair

    return TextPair(*raw)


def _score(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.judging.splits import unseen
    from training.text.model import Suggester

    new, new_side = load_side(Suggester.load, candidate)
    old, old_side = load_side(Suggester.load, champion)
    assert new_side is not None
    judged = list(rows.judged)
    if rows.held_out:
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        fresh = unseen(
            (normalized_query(p.source) for p in judged), *(trained_units(m.described, side) for m, side in sides)
        )
        judged = [pair for pair in judged if normalized_query(pair.source) in fresh]
    digest = rows_digest(json.dumps(pair) for pair in judged)
    result = Comparison(
        model_type="soft_prompt",
        held_out=rows.held_out,
        reason=rows.reason,
        rows=0,
        fingerprint=digest,
        candidate=new_side,
        champion=old_side,
    )
    both = ((new, new_side), (old, old_side))
    return fill_in(result, both, len(rows.judged), len(judged), lambda model: model.judge(rows.training, judged))


KIND = Kind(_select, _score, list, _load_pair)
