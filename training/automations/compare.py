"""How two YAML generators are compared on the same rows."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

from data_sources import (
    DataSource,
    YamlRow,
)
from training.judging.comparison import (
    MAX_SAMPLES,
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
    from training.automations.trainer import split_by_home

    rows = list(islice(source.read(YamlRow), MAX_SAMPLES["yaml_generation"]))
    parts, described = split_by_home(rows)
    training, test = by_part(rows, parts)
    judged = test if described["strategy"] != "none" else training
    return EvaluationRows(described["strategy"], described["reason"], judged, training)


def _score(candidate: Path, champion: Path | None, rows: EvaluationRows) -> Comparison:
    from training.automations.evaluation import evaluate_generator, structure_score
    from training.automations.model import YamlGenerator, examples
    from training.automations.trainer import row_units
    from training.judging.splits import unseen

    new, new_side = load_side(YamlGenerator.load, candidate)
    old, old_side = load_side(YamlGenerator.load, champion)
    assert new_side is not None
    judged = list(rows.judged)
    if rows.held_out:
        # Where homes are held out, two of them may well ask for the same.
        number = 0 if rows.strategy == "home" else 1
        sides = [(model, side) for model, side in ((new, new_side), (old, old_side)) if model is not None]
        sealed_units = [trained_units(model.described, side) for model, side in sides]
        fresh = unseen((row_units(row)[number] for row in judged), *sealed_units)
        judged = [row for row in judged if row_units(row)[number] in fresh]
    digest = rows_digest(row.model_dump_json() for row in judged)
    result = Comparison(
        model_type="yaml_generation",
        held_out=rows.held_out,
        reason=rows.reason,
        rows=0,
        fingerprint=digest,
        candidate=new_side,
        champion=old_side,
    )
    known, asked = examples(rows.training), examples(judged)

    def measure(model: YamlGenerator) -> dict[str, Any]:
        measured = evaluate_generator(model, known, asked)
        for scores in (measured["model"], *measured["baselines"].values()):
            scores["structure_f1"] = structure_score(scores)
        return measured

    return fill_in(result, ((new, new_side), (old, old_side)), len(rows.judged), len(judged), measure)


KIND = Kind(_select, _score, dump_record, YamlRow.model_validate)
