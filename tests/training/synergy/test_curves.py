"""What stands beside the scores: intervals, reliability, precision over recall, and the plot of a training."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from training.judging.metrics import ProbabilityBins, precision_recall
from training.synergy import report
from training.synergy.curves import curves_of
from training.synergy.evaluation import HomeScore, RankingTask, rank
from training.synergy.trainer import Epoch, TrainingResult


def scored(home: int, triggers: int = 6, actions: int = 12) -> HomeScore:
    rng = np.random.default_rng(home)
    positive = np.zeros((triggers, actions), dtype=bool)
    positive[np.arange(triggers), np.arange(triggers)] = True
    negative = ~positive
    probability = np.clip(0.3 * rng.random(positive.shape) + 0.4 * positive, 0, 1)
    empty = np.empty((0, 2), dtype=np.int64)
    task = RankingTask(
        home, f"home_{home}", 20, empty, np.arange(triggers), np.arange(actions), positive, negative, negative
    )
    return HomeScore(
        task, {"model": rank(task, probability), "base": rank(task, rng.random(positive.shape))}, probability
    )


def test_intervals_are_over_homes_and_of_few_homes_over_triggers() -> None:
    many, few = curves_of([scored(i) for i in range(8)]), curves_of([scored(1)])
    assert (many["intervals_over"], few["intervals_over"]) == ("homes", "triggers")
    assert set(many["intervals"]) == {"model", "base"}
    assert set(few["intervals"]) == {"model"}
    low, high = few["intervals"]["model"]["mrr"]
    assert low <= scored(1).metrics["model"]["mrr"] <= high


def test_a_model_file_can_hold_all_of_it() -> None:
    def types(value: Any) -> set[type]:
        if isinstance(value, dict):
            return {t for own in value.values() for t in types(own)}
        if isinstance(value, list | tuple):
            return {t for own in value for t in types(own)}
        return {type(value)}

    assert types(curves_of([scored(i) for i in range(4)])) <= {float, int, str, type(None)}


def test_precision_over_recall_ends_at_the_share_of_positives_where_nothing_is_told_apart() -> None:
    same = np.full(4, 0.5)
    assert precision_recall(same, np.full(12, 0.5)) == [(1.0, 0.25)]
    assert precision_recall(np.array([0.9, 0.8]), np.array([0.1])) == [(0.5, 1.0), (1.0, 1.0)]
    assert precision_recall(same, np.empty(0)) == []


def test_weighted_bins_say_how_many_rows_they_are_worth() -> None:
    (found,) = ProbabilityBins().add(np.full(4, 0.55), np.array([1.0, 0, 0, 0]), np.array([3.0, 1, 1, 1])).reliability()
    assert (found["observed"], found["rows"], found["effective"]) == (0.5, 4, 3.0)


def result(scores: list[float], pairs: int, auc: float | None) -> TrainingResult:
    row = {"mrr": 1.0, "hits_at_10": 1.0, "auc_hard": auc, "ap_hard": auc, "ece": 0.1}
    history = tuple(Epoch(i, 3.0, score) for i, score in enumerate(scores))
    metrics = {"test": {"model": row, "baselines": {"name_overlap": row}}}
    return TrainingResult(None, {}, pairs, history, 1, metrics, "")  # type: ignore[arg-type]


def test_a_score_that_is_not_defined_is_no_bar_of_zero() -> None:
    axes = Figure().subplots()
    report._plot_scores(axes, result([], 0, None).metrics)
    said = [text.get_text() for text in axes.texts]
    assert said.count("not defined") == 4
    assert "0.00" not in said
    colours = {patch.get_facecolor() for patch in axes.patches}
    assert len(colours) == 2


@pytest.mark.parametrize(("scores", "pairs"), [([0.8295, 0.8314, 0.8302], 62), ([0.5, 0.5], 4)])
def test_an_axis_of_validation_scores_shows_noise_as_noise(scores: list[float], pairs: int) -> None:
    axes = Figure().subplots()
    report._plot_validation(axes, result(scores, pairs, 0.5))
    low, high = axes.get_ylim()
    assert high - low >= report.LEAST_RANGE
    noise = report.validation_noise(result(scores, pairs, 0.5))
    assert noise is not None
    assert low <= min(scores) - noise
    assert report.validation_noise(result([math.nan], 0, None)) is None
