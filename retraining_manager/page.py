"""The page of a night's run: what became of each model, its scores beside the champion's, and why."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from retraining_manager.models import spec_of
from retraining_manager.summaries import ModelSummary

TEMPLATE = "page.html.j2"

# What became of a model (``ModelSummary.outcome``) -> the colour of its card.
_TONES = {
    "published": "ok",
    "unchanged": "ok",
    "refused": "warned",
    "skipped": "quiet",
    "failed": "failed",
    "failed (optional)": "warned",
}


def render_page(
    summary: Mapping[str, Any], models: Iterable[ModelSummary], plots: Mapping[str, Sequence[bytes]]
) -> str:
    """One HTML page that needs nothing else: no script, no other file, no network.

    Args:
        summary: What ``pipeline_summary`` returned.
        models: The summary of each model, in the order of their cards.
        plots: Model -> PNG images of its training.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    minutes, seconds = divmod(round(summary["training_time_seconds"]), 60)
    return environment.get_template(TEMPLATE).render(
        message=summary["message"],
        tone="failed" if summary["status"] == "failed" else "warned" if summary["optional_failed"] else "ok",
        when=f"{summary['started'][:16].replace('T', ' ')} UTC, {minutes} min {seconds} s, by {summary['who']}",
        cards=[_card(model, plots.get(model.model_type, [])) for model in models],
    )


def _card(summary: ModelSummary, plots: Sequence[bytes]) -> dict[str, Any]:
    outcome = summary.outcome
    if outcome == "refused":
        outcome += ", nothing is live" if summary.champion is None else ", the old model stays"
    return {
        "model": summary.model_type,
        "tone": _TONES[summary.outcome],
        "outcome": outcome,
        "errors": summary.errors,
        "why_skipped": summary.message if summary.status == "skipped" else "",
        **_scores(summary),
        "reasons": summary.verdict.get("reasons", []),
        "facts": {name: value for name, value in _facts(summary).items() if value},
        "notes": summary.notes,
        "plots": [base64.b64encode(image).decode("ascii") for image in plots],
    }


def _scores(summary: ModelSummary) -> dict[str, Any]:
    """Bars of the candidate, the champion and the best baseline on the same rows."""
    verdict = summary.verdict
    rows = [("candidate", verdict.get("candidate_score"), "new"), ("live before", verdict.get("champion_score"), "old")]
    rows += [(f"baseline: {name}", score, "base") for name, score in verdict.get("best_baseline", {}).items()]
    known = [(name.replace("_", " "), score, kind) for name, score, kind in rows if score is not None]
    if not known:
        return {"bars": [], "caption": ""}
    longest = max(max(score for _, score, _ in known), 1e-9)
    held_out = "held-out" if verdict["held_out"] else "in-sample (not held out)"
    return {
        "bars": [
            {"name": name, "score": score, "kind": kind, "percent": max(0.0, 100 * score / longest)}
            for name, score, kind in known
        ],
        "caption": f"{spec_of(summary.model_type).metric_title} on {verdict['evaluation_rows']} {held_out} rows",
    }


def _facts(summary: ModelSummary) -> dict[str, str | None]:
    worth = ", ".join(f"{count} distinct {what}" for what, count in summary.sufficiency.get("distinct", {}).items())
    rows = summary.sufficiency.get("rows")
    return {
        "data": None if rows is None else f"{rows} rows{f' ({worth})' if worth else ''}",
        "source": summary.sufficiency.get("source", {}).get("location"),
        "this version": summary.version,
        "live now": summary.champion,
        "time": f"{summary.training_time_seconds:.0f} s" if summary.process else None,
        "peak memory": f"{summary.process['peak_mb']:.0f} MB" if "peak_mb" in summary.process else None,
        "whole output": summary.process.get("output"),
    }
