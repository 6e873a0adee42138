"""The page of a training of a text model: the split, the loss, the scores, and every answer, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_sources.counting import many
from training.pages.charts import Bar, Curve, curve_chart, histogram_chart, score_chart
from training.pages.rendering import number
from training.runs.page import Answer, Section, Table, run_page, split_section
from training.runs.summary import TrainingSummary
from training.text.report import ScoredBy

if TYPE_CHECKING:
    from training.text.trainer import TrainedAdapter

NO_ANSWER = "(no answer: the model would rather say nothing)"
LONGEST = 20_000  # letters of a text in the page


def page_of(
    result: TrainedAdapter, summary: TrainingSummary, title: str, audited: Sequence[str], scored_by: ScoredBy
) -> bytes:
    """The page of a training."""
    sections = [
        split_section(result.split),
        _training(result),
        _scores(result.metrics, scored_by),
        *_answers(result.answers, scored_by),
    ]
    return run_page(summary, title, audited, sections)


def _training(result: TrainedAdapter) -> Section:
    curves = [
        Curve(title, [(row["epoch"], row.get(key)) for row in result.history], kind)
        for key, title, kind in (("loss", "training", "own"), ("eval_loss", "validation", "base"))
        if any(key in row for row in result.history)
    ]
    best = min((row for row in result.history if "eval_loss" in row), key=lambda row: row["eval_loss"], default=None)
    chosen = None if best is None else (best["epoch"], f"saved: epoch {best['epoch']:g}")
    lead = f"The loss is the mean cross-entropy of a token. At the end: {number(result.final_loss)}."
    if best is None:
        lead += " Nothing is held out for validation, so the last epoch is saved."
    if len({row["epoch"] for row in result.history}) < 2:
        validated = "" if best is None else f" On validation: {number(best['eval_loss'])}."
        return Section("Loss and validation", f"{lead}{validated} One epoch is no curve.")
    chart = curve_chart("Loss", curves, ("epoch", "loss"), chosen=chosen, least=0.2, whole=True)
    return Section("Loss and validation", lead, charts=[chart])


def _scores(metrics: dict[str, Any], scored_by: ScoredBy) -> Section:
    held_out = "test" in metrics
    measured = metrics["test" if held_out else "in_sample"]
    rows = {"model": measured["model"], **measured["baselines"]}
    names = {"model": "this model", **scored_by.baselines}
    charts = [
        score_chart(
            scored_by.titles[key],
            [
                Bar(names[name], row.get(key), measured["intervals"][name].get(key), name == "model")
                for name, row in rows.items()
            ],
            best=100.0 if key == "chrf" else 1.0,
        )
        for key in scored_by.charted
    ]
    kind = "held-out" if held_out else "in-sample (NOT held out)"
    rows_of_kind = many(measured["rows"], f"{kind} row")
    lead = f"{rows_of_kind}. Whiskers: 95 % over rows. A text has no probability that could be judged."
    cells = [[names[name], *(number(row.get(key)) for key in scored_by.titles)] for name, row in rows.items()]
    table = Table("Scores", ["", *scored_by.titles.values()], cells, frozenset({0}))
    return Section("Scores beside baselines", lead, charts=charts, tables=[table])


def _answers(answers: Sequence[dict[str, Any]], scored_by: ScoredBy) -> list[Section]:
    if not answers:
        return []
    ordered = sorted(answers, key=lambda one: (one["score"], one["asked"]))
    scores = [one["score"] for one in ordered]
    label = f"{scored_by.answer} of an answer"
    lead = f"{many(len(answers), 'answer')}, the worst first, by {scored_by.answer}."
    shown = [
        Answer(
            one["asked"][:LONGEST],
            one["wanted"][:LONGEST],
            (one["answered"] or NO_ANSWER)[:LONGEST],
            f"{one['score']:.0f}" if scored_by.best > 1 else f"{one['score']:.2f}",
        )
        for one in ordered
    ]
    chart = histogram_chart("How good the answers are", scores, scored_by.best, label)
    return [Section("Asked, wanted, answered", lead, charts=[chart], answers=shown)]
