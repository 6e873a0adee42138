"""The page of a text model: every answer, the worst first, and scores with their intervals."""

from __future__ import annotations

import re
from typing import Any

from training.automations.report import SCORED_BY as YAML_SCORED_BY
from training.runs.summary import TrainingSummary
from training.text.model import text_intervals, text_score
from training.text.page import NO_ANSWER, page_of
from training.text.report import SCORED_BY, ScoredBy
from training.text.trainer import TrainedAdapter

SUMMARY = TrainingSummary(timestamp="2026-01-01T03:00:00", model_type="soft_prompt", status="success")


def page(answers: list[dict[str, Any]], scored_by: ScoredBy, held_out: bool = True, epochs: int = 2) -> str:
    row = dict.fromkeys(scored_by.titles, 0.25)
    measured = {
        "rows": len(answers),
        "model": row,
        "baselines": dict.fromkeys(scored_by.baselines, row),
        "intervals": {name: dict.fromkeys(scored_by.titles, (0.1, 0.4)) for name in ("model", *scored_by.baselines)},
    }
    split = {"strategy": "query", "reason": "whole queries", "rows": {"train": 2, "test": 1}}
    history = tuple({"epoch": float(i), "loss": 2.0 / i} for i in range(1, epochs + 1))
    metrics = {"test" if held_out else "in_sample": measured}
    result = TrainedAdapter(None, None, None, 1.0, history, metrics, split, "", tuple(answers))
    return page_of(result, SUMMARY, "title", [], scored_by).decode()


def answer(asked: str, score: float, answered: str | None = "answered") -> dict[str, Any]:
    return {"asked": asked, "wanted": "wanted", "answered": answered, "score": score}


def test_the_worst_answer_comes_first_and_none_is_left_out() -> None:
    content = page([answer("good", 90.0), answer("bad", 3.0), answer("middling", 40.0)], SCORED_BY)
    assert content.index(">bad<") < content.index(">middling<") < content.index(">good<")
    assert "3 answers, the worst first, by chrF" in content


def test_no_answer_is_said_and_an_in_sample_score_is_called_one() -> None:
    content = page([answer("x", 0.0, None)], YAML_SCORED_BY, held_out=False)
    assert NO_ANSWER in content
    assert "1 in-sample (NOT held out) row" in content
    assert "Nothing is held out for validation" in content


def test_one_epoch_is_a_sentence_and_no_curve() -> None:
    assert "Loss: training from 2.000 to 1.000" in page([], SCORED_BY)
    content = page([], SCORED_BY, epochs=1)
    assert "One epoch is no curve" in content
    assert "Loss: training" not in content


def test_rows_are_counted_in_whole_numbers() -> None:
    content = page([answer("a", 5.0), answer("b", 15.0), answer("c", 16.0)], SCORED_BY)
    (chart,) = re.findall(r"<figure(?:(?!</figure>).)*How good the answers are.*?</figure>", content, re.DOTALL)
    ticks = re.findall(r'text-anchor="end" class="tick"[^>]*>([^<]*)<', chart)
    assert ticks == ["0", "1", "2"]


def test_text_intervals_hold_the_score_and_say_nothing_of_two_rows() -> None:
    answers, wanted = ["turn on the light", "close it", "nothing"] * 4, ["turn on the light", "open it", "lock"] * 4
    found = text_intervals(answers, wanted)
    assert found["exact_match"] is not None
    assert found["exact_match"][0] < 1 / 3 < found["exact_match"][1]
    assert found["chrf"] is not None
    assert all(type(end) is float for end in found["chrf"]), "JSON has no other numbers"
    mostly_wrong = text_intervals(["zzz"] * 7 + ["turn on the light"], ["turn on the lamp"] * 8)["chrf"]
    assert mostly_wrong is not None, "some samples have no letter right, and a score of another type"
    assert mostly_wrong[0] <= 15 <= mostly_wrong[1]
    assert text_intervals(answers[:2], wanted[:2]) == {"chrf": None, "exact_match": None}
    assert text_score("a b", "a b") == 100.0
