"""A model card says in words and in the metadata of the Hugging Face hub what a training scored."""

from __future__ import annotations

from typing import Any

import pytest
from huggingface_hub import ModelCard

from training.runs.model_card import model_card
from training.runs.summary import TrainingSummary


def card_of(metrics: dict[str, Any], **metadata: Any) -> ModelCard:
    metadata = {"library_name": "sklearn", **metadata}
    summary = TrainingSummary(
        timestamp="2026-11-26T03:17:00+00:00",
        model_type="pattern_detection",
        status="success",
        metrics=metrics,
        data_fingerprint="f00",
        notes=["Nothing is known of other homes."],
    )
    return ModelCard(model_card(summary, "Patterns", "It judges: patterns.", ["  this model  0.9"], **metadata))


@pytest.mark.parametrize(("part", "split"), [("test", "test"), ("in_sample", "train")])
def test_the_scores_are_evaluation_results_that_say_whether_they_are_held_out(part: str, split: str) -> None:
    scores = {"roc_auc": 0.9, "rows": 3, "ece": None, "reliability": [{"rows": 3}]}
    card = card_of({part: {"model": scores, "baselines": {}}}, tags=["lora"])
    found = {result.metric_type: result for result in card.data.eval_results}
    assert {name: result.metric_value for name, result in found.items()} == {"roc_auc": 0.9, "rows": 3}
    assert {result.dataset_split for result in found.values()} == {split}
    assert found["roc_auc"].dataset_revision == "f00"
    assert card.data.tags == ["home-assistant", "pattern_detection", "lora"]
    assert card.data.library_name == "sklearn"


def test_the_words_of_a_card_are_the_table_and_the_notes() -> None:
    text = card_of({"test": {"model": {"roc_auc": 0.9}}}).text
    assert "# Patterns" in text
    assert "  this model  0.9" in text
    assert "- Nothing is known of other homes." in text


def test_a_training_without_scores_has_a_card_without_results() -> None:
    card = card_of({})
    assert card.data.eval_results is None
    assert "# Patterns" in card.text
