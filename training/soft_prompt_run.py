"""The soft prompt job: a request in plain words gives a suggested automation in plain words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from data_sources import PromptRow
from training.adapter_run import AdapterOptions, Job, train_adapter
from training.run import Run

if TYPE_CHECKING:
    from training.seq2seq import Result


def train_soft_prompt(run: Run, options: AdapterOptions) -> None:
    """The job, filling in ``run``. Raises DataSourceError or TrainingError with one line for a person."""
    job = Job(
        record=PromptRow,
        texts=lambda row: (row.query, row.suggestion),
        learn=_learn,
        verdict=verdict,
        score_lines=score_lines,
        title="Request to suggested automation",
        about="a request in plain words gives a suggested automation in plain words",
    )
    train_adapter(run, options, job)


def _learn(rows: Sequence[PromptRow], *arguments: Any, **options: Any) -> Result:
    from training.base_model import TextPair
    from training.seq2seq import train

    return train([TextPair(row.query, row.suggestion) for row in rows], *arguments, **options)


def verdict(metrics: dict[str, Any]) -> str:
    """One sentence: does the model beat looking up?"""
    measured = metrics.get("test")
    if measured is None:
        return "Nothing was held out, so nothing is known of requests that were not seen."
    best = max(row["chrf"] for row in measured["baselines"].values())
    mine = measured["model"]["chrf"]
    beats = "beats" if mine > best else "does NOT beat"
    return f"The model {beats} the best baseline on held-out chrF: {mine:.1f} against {best:.1f}."


def score_lines(metrics: dict[str, Any]) -> list[str]:
    """The closing table and the examples."""
    name = "test" if "test" in metrics else "in_sample"
    measured = metrics[name]
    title = "Held-out" if name == "test" else "In-sample (NOT held out)"
    lines = [f"{title} scores, {measured['rows']} distinct rows", f"  {'':<18}{'chrF':>8}{'exact':>8}"]
    rows = {"this model": measured["model"], "commonest answer": measured["baselines"]["commonest_answer"]}
    rows["nearest query"] = measured["baselines"]["nearest_query"]
    lines += [f"  {label:<18}{row['chrf']:>8.1f}{row['exact_match']:>8.3f}" for label, row in rows.items()]
    lines.append(f"  loss {measured['model']['loss']:.4f}, perplexity {measured['model']['perplexity']:.2f}")
    for example in measured["examples"]:
        lines += [f"  asked:     {example['query']}", f"  wanted:    {example['wanted']}"]
        lines.append(f"  generated: {example['generated']}")
    return lines
