"""What each feature does to a pattern model's answer, and the reliability plot."""

from __future__ import annotations

import json

from matplotlib.figure import Figure

from data_sources import PatternRow
from training.patterns import report
from training.patterns.effects import effects_of
from training.patterns.model import BASE_RATE, PatternModel
from training.patterns.trainer import train_patterns


def rows(count: int = 120) -> list[PatternRow]:
    """Detections that are genuine where the detector is sure, whatever else they are."""
    found = []
    for i in range(count):
        confidence = (i % 10) / 10 + 0.05
        genuine = "time_of_day" if confidence > 0.5 else None
        entity = f"{('light', 'switch')[i % 2]}.l{i % 30}"
        truth = {"expected_pattern": genuine or "none", "expected_device": entity}
        found.append(
            PatternRow.model_validate(
                {
                    "entity_id": entity,
                    "pattern_type": "time_of_day",
                    "confidence": confidence,
                    "occurrences": 3 + i % 7,
                    "ground_truth": truth,
                }
            )
        )
    return found


def test_the_feature_that_decides_moves_the_answer_most() -> None:
    metrics = train_patterns(rows()).metrics
    strongest, *others = metrics["effects"]
    assert strongest["feature"] == "detector's confidence"
    assert strongest["values"][-1]["mean"] > 0.8 > 0.2 > strongest["values"][0]["mean"]
    assert all(other["range"] < strongest["range"] for other in others)
    assert {"domain of the entity", "occurrences"} <= {other["feature"] for other in others}
    low, high = metrics["test"]["intervals"]["model"]["brier"]
    assert low <= metrics["test"]["model"]["brier"] <= high
    json.dumps(metrics)


def test_a_constant_has_no_effects() -> None:
    assert effects_of(PatternModel(BASE_RATE, 0.5), rows(5)) == []


def test_a_bin_of_few_rows_has_a_look_of_its_own_in_the_plot() -> None:
    bins = [{"predicted": 0.2, "observed": 0.3, "rows": 3}, {"predicted": 0.8, "observed": 0.7, "rows": 90}]
    axes, counts = Figure().subplots(2, 1)
    report.draw_reliability(axes, counts, bins)
    axes.legend()
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["perfectly calibrated", "this model, 95 % interval", "fewer than 10 rows"]
