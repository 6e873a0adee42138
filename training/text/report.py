"""The soft prompt's scores in words and in a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from data_sources.counting import many
from training.runs.wording import table_lines


class ScoredBy(NamedTuple):
    """How the scores of a text model are shown.

    Attributes:
        answer: What one answer is scored by.
        best: Its greatest value.
        titles: The scores of the table: key -> title. A score of 0 to 100 is ``chrf``.
        charted: The keys of those that are drawn.
        baselines: The baselines: key -> title.
    """

    answer: str
    best: float
    titles: Mapping[str, str]
    charted: tuple[str, ...]
    baselines: Mapping[str, str]


SCORED_BY = ScoredBy(
    "chrF",
    100.0,
    {"chrf": "chrF", "exact_match": "exact match"},
    ("chrf", "exact_match"),
    {"commonest_answer": "commonest answer", "nearest_query": "nearest query"},
)


def verdict(metrics: dict[str, Any]) -> str:
    """One sentence for the log and the notes: whether the model's chrF beats the look-up baselines.

    ``metrics`` are those of ``TrainedAdapter``.
    """
    measured = metrics.get("test")
    if measured is None:
        return "Nothing was held out, so no score shows how the model does on a new request."
    best = max(row["chrf"] for row in measured["baselines"].values())
    mine = measured["model"]["chrf"]
    beats = "beats" if mine > best else "does NOT beat"
    return f"The model {beats} the best baseline on held-out chrF: {mine:.1f} against {best:.1f}."


def score_lines(metrics: dict[str, Any]) -> list[str]:
    """The table of scores and the examples, one line each."""
    name = "test" if "test" in metrics else "in_sample"
    measured = metrics[name]
    title = "Held-out" if name == "test" else "In-sample (NOT held out)"
    lines = [f"{title} scores, {many(measured['rows'], 'distinct row')}"]
    rows = {"this model": measured["model"]}
    rows |= {title: measured["baselines"][name] for name, title in SCORED_BY.baselines.items()}
    cells = [[label, f"{row['chrf']:.1f}", f"{row['exact_match']:.3f}"] for label, row in rows.items()]
    lines += table_lines([["", "chrF", "exact"], *cells])
    lines.append(f"  loss {measured['model']['loss']:.4f}, perplexity {measured['model']['perplexity']:.2f}")
    for example in measured["examples"]:
        lines += [f"  request:   {example['query']}", f"  reference: {example['wanted']}"]
        lines.append(f"  generated: {example['generated']}")
    return lines
