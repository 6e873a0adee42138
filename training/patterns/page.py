"""The page of a training of the pattern model: the split, the scores, and what each feature does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_sources.counting import many
from training.pages.charts import Bar, Curve, curve_chart, reliability_chart, score_chart
from training.pages.rendering import number
from training.patterns.report import COLUMNS, NAMES
from training.runs.page import Section, Table, run_page, split_section
from training.runs.summary import TrainingSummary

if TYPE_CHECKING:
    from training.patterns.trainer import TrainedPatterns


def page_of(result: TrainedPatterns, summary: TrainingSummary, audited: Sequence[str]) -> bytes:
    """The page of a training."""
    metrics = result.metrics
    sections = [split_section(result.split), *_scores(metrics), _effects(metrics["effects"]), *_candidates(metrics)]
    return run_page(summary, "Patterns: is a detected usage pattern genuine", audited, sections)


def _scores(metrics: dict[str, Any]) -> list[Section]:
    held_out = "test" in metrics
    measured = metrics["test" if held_out else "in_sample"]
    rows = {"model": measured["model"], **measured["baselines"]}
    kind = "Held-out" if held_out else "In-sample (NOT held out)"
    charts = [
        score_chart(
            title,
            [
                Bar(NAMES[name], row[key], measured["intervals"][name][key], name == "model")
                for name, row in rows.items()
            ],
            best=best,
            note=note,
        )
        for key, title, best, note in (
            ("average_precision", "Average precision", 1.0, "More is better."),
            ("brier", "Brier score", None, "Less is better."),
        )
    ]
    share = measured["genuine_share"]
    lead = f"{kind}: {many(measured['rows'], 'row')} of {many(measured['entities'], 'entity')}, {share:.0%} genuine. "
    lead += "Whiskers: 95 % over entities."
    table = Table(
        "Scores", ["", *COLUMNS.values()], _numbers({NAMES[name]: row for name, row in rows.items()}), frozenset({0})
    )
    curves = measured["precision_recall"]
    trust = [
        reliability_chart(
            "Can the probabilities be trusted?",
            measured["reliability"],
            f"Calibration error {number(measured['model']['ece'])}.",
        ),
        curve_chart(
            "Precision over recall",
            [Curve("this model", curves["model"]), Curve(NAMES["confidence"], curves["confidence"], "base")],
            ("recall: share of the genuine that is found", "precision"),
            x=(0, 1),
            y=(0, 1),
            chance=(share, "a guess"),
        ),
    ]
    return [
        Section("Scores beside baselines", lead, charts=charts, tables=[table]),
        Section("Reliability and precision", charts=trust),
    ]


def _effects(effects: Sequence[dict[str, Any]]) -> Section:
    if not effects:
        return Section("What each feature does", "Nothing: the model answers one constant.")
    charts = []
    for effect in effects:
        title = f"{effect['feature'][0].upper()}{effect['feature'][1:]}"
        note = f"It moves the answer by {effect['range']:.2f}."
        if effect["is_number"]:
            points = [(float(one["value"]), one["mean"]) for one in effect["values"]]
            labels = (effect["feature"], "mean probability")
            charts.append(curve_chart(title, [Curve("mean probability", points)], labels, y=(0, 1), note=note))
        else:
            ordered = sorted(effect["values"], key=lambda one: -one["mean"])
            charts.append(
                score_chart(title, [Bar(str(one["value"]), one["mean"], own=True) for one in ordered], note=note)
            )
    lead = (
        "The mean probability that a pattern is genuine if one feature had another value and all else stayed as it is, "
        "the feature that moves it most first. It shows what the model does, not what is true."
    )
    return Section("What each feature does", lead, charts=charts)


def _candidates(metrics: dict[str, Any]) -> list[Section]:
    compared = metrics["cross_validation"]
    if not compared:
        return []
    names = list(compared["candidates"])
    table = Table(
        f"By {compared['grouped_by']}, {compared['folds']} folds of the training part",
        ["", *COLUMNS.values()],
        _numbers(compared["candidates"]),
        frozenset({names.index(metrics["chosen"])}),
    )
    return [Section("Candidates, cross-validated", f"Chosen: {metrics['chosen']}, by log loss.", tables=[table])]


def _numbers(rows: dict[str, dict[str, float | None]]) -> list[list[str]]:
    return [[name, *(number(row[key]) for key in COLUMNS)] for name, row in rows.items()]
