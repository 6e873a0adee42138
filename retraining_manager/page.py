"""The page of the models: what became of each, its scores beside the champion's, and what was live when, and why."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from data_sources.counting import many
from retraining_manager.errors import RegistryError
from retraining_manager.models import spec_of
from retraining_manager.registry import Registry
from retraining_manager.summaries import ModelSummary
from training.pages.charts import VersionScore, history_chart
from training.pages.rendering import render
from training.runs.artifacts import RUN_PAGE, page_path

TEMPLATE = "page.html.j2"
VERSIONS = 30  # of a model's history, the newest ones
MOVES = 10

# What became of a model (``ModelSummary.outcome``) -> the colour of its card.
_TONES = {
    "published": "ok",
    "unchanged": "ok",
    "refused": "warned",
    "skipped": "quiet",
    "failed": "failed",
    "failed (optional)": "warned",
}


@dataclass(frozen=True)
class Past:
    """What the registry knows of a model's versions.

    Attributes:
        versions: Their scores, the oldest first.
        moves: What went live when and why, the newest first.
        refused: Why the newest version that was refused was, and its name; nothing where none was.
        pages: Pages of trainings: title -> path.
    """

    versions: Sequence[VersionScore] = ()
    moves: Sequence[str] = ()
    refused: tuple[str, Sequence[str]] = ("", ())
    pages: Mapping[str, Path] = field(default_factory=dict)


def past_of(registry: Registry) -> Past:
    """The past of a model, from its registry. Raises RegistryError."""
    champion, history = registry.aliases().champion, registry.history()
    lived = {str(move["to"]) for move in history} | {champion}
    names = registry.versions()[-VERSIONS:]
    verdicts = {name: registry.verdict(name) for name in names}
    refused = next((name for name in reversed(names) if verdicts[name].get("verdict") == "NOT_BLESSED"), None)
    pages: dict[str, Path] = {}
    for title, version in (
        ("Page of the live version", champion),
        ("Page of the newest version", names[-1] if names else None),
    ):
        page = None if version is None else _page_in(registry, version)
        if page is not None and page not in pages.values():
            pages[title] = page
    return Past(
        [VersionScore(name, verdicts[name].get("candidate_score"), name == champion, name in lived) for name in names],
        [f"{str(move['time'])[:16].replace('T', ' ')}: {move['to']} ({move['reason']})" for move in reversed(history)][
            :MOVES
        ],
        ("", ()) if refused is None else (refused, verdicts[refused].get("reasons", [])),
        pages,
    )


def _page_in(registry: Registry, version: str) -> Path | None:
    try:
        model = registry.model_path(version)
    except RegistryError:  # a version that was never finished
        return None
    page = model / RUN_PAGE if registry.artifact == "run" else page_path(model)
    return page if page.is_file() else None


def render_page(
    summary: Mapping[str, Any],
    models: Iterable[ModelSummary],
    past: Mapping[str, Past] | None = None,
    earlier: Iterable[ModelSummary] = (),
    folder: Path | None = None,
) -> str:
    """One HTML page that loads nothing; its links lead to pages on the same disk.

    Args:
        summary: What ``pipeline_summary`` returned.
        models: The summary of each model of the run, in the order of their cards.
        past: Model -> what its registry knows.
        earlier: The last summaries of models that the run left out: a run of one model takes no other off the page.
        folder: Where the page will be, for its links.
    """
    past = past or {}
    minutes, seconds = divmod(round(summary["training_time_seconds"]), 60)
    cards = [_card(model, past.get(model.model_type, Past()), folder) for model in models]
    cards += [
        {**_card(model, past.get(model.model_type, Past()), folder), "earlier": f"{_time(model.timestamp)} UTC"}
        for model in earlier
    ]
    return render(
        TEMPLATE,
        Path(__file__).parent,
        message=summary["message"],
        tone="failed" if summary["status"] == "failed" else "warned" if summary["optional_failed"] else "ok",
        when=f"{_time(summary['started'])} UTC, {minutes} min {seconds} s, by {summary['who']}",
        cards=cards,
    ).decode()


def _time(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def _card(summary: ModelSummary, past: Past, folder: Path | None) -> dict[str, Any]:
    outcome = summary.outcome
    if outcome == "refused":
        outcome += ", nothing is live" if summary.champion is None else ", the old model stays"
    spec = spec_of(summary.model_type)
    version, reasons = past.refused
    told = bool(version) and not (outcome.startswith("refused") and summary.version == version)
    scored = [one for one in past.versions if one.score is not None]
    return {
        "model": summary.model_type,
        "tone": _TONES[summary.outcome],
        "outcome": outcome,
        "earlier": "",
        "errors": summary.errors,
        "why_skipped": summary.message if summary.status == "skipped" else "",
        **_scores(summary),
        "reasons": summary.verdict.get("reasons", []),
        "refused_title": f"Why the last candidate that was refused, {version}, was",
        "refused": reasons if told else [],
        "history": history_chart(
            f"{spec.metric_title} of each version",
            past.versions,
            spec.best,
            spec.metric_title,
            "Each was scored on the rows of its own night, so small differences say little.",
        )
        if len(scored) > 1
        else "",
        "moves": past.moves,
        "links": [{"title": title, "address": _address(path, folder)} for title, path in past.pages.items()],
        "facts": {name: value for name, value in _facts(summary).items() if value},
        "notes": summary.notes,
    }


def _address(page: Path, folder: Path | None) -> str:
    """A relative address, so that the service's folder may be moved."""
    place = page.resolve() if folder is None else Path(os.path.relpath(page.resolve(), folder.resolve()))
    return quote(place.as_posix())


def _scores(summary: ModelSummary) -> dict[str, Any]:
    """Bars of the candidate, the champion and the best baseline on the same rows."""
    verdict = summary.verdict
    bars = [("candidate", verdict.get("candidate_score"), "new"), ("live before", verdict.get("champion_score"), "old")]
    bars += [(f"baseline: {name}", score, "base") for name, score in verdict.get("best_baseline", {}).items()]
    known = [(name.replace("_", " "), score, kind) for name, score, kind in bars if score is not None]
    if not known:
        return {"bars": [], "caption": ""}
    longest = max(max(score for _, score, _ in known), 1e-9)
    held_out = "held-out" if verdict["held_out"] else "in-sample (not held out)"
    rows = many(verdict["evaluation_rows"], f"{held_out} row")
    return {
        "bars": [
            {"name": name, "score": score, "kind": kind, "percent": max(0.0, 100 * score / longest)}
            for name, score, kind in known
        ],
        "caption": f"{spec_of(summary.model_type).metric_title} on {rows}",
    }


def _facts(summary: ModelSummary) -> dict[str, str | None]:
    worth = ", ".join(f"distinct {what}: {found}" for what, found in summary.sufficiency.get("distinct", {}).items())
    rows = summary.sufficiency.get("rows")
    return {
        "data": None if rows is None else f"{many(rows, 'row')}{f' ({worth})' if worth else ''}",
        "source": summary.sufficiency.get("source", {}).get("location"),
        "this version": summary.version,
        "live now": summary.champion,
        "time": f"{summary.training_time_seconds:.0f} s" if summary.process else None,
        "peak memory": f"{summary.process['peak_mb']:.0f} MB" if "peak_mb" in summary.process else None,
        "whole output": summary.process.get("output"),
    }
