"""A night's run over several models: one summary for machines and one page for the person who looks in the morning."""

from __future__ import annotations

import base64
import html
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from retraining_manager.manager import RetrainingManager
from retraining_manager.models import METRIC_TITLES
from retraining_manager.registry import utc_now, whoami
from retraining_manager.settings import ModelSummary
from training.runs.artifacts import to_json, write_atomically

PIPELINE_SUMMARY, PAGE = "pipeline_summary.json", "pipeline_report.html"
_NOT_RUN = "not run: the run was interrupted before it"


class Interrupted(BaseException):
    """The run was interrupted; all that had been done is in ``summary``."""

    def __init__(self, summary: dict[str, Any]) -> None:
        super().__init__("interrupted")
        self.summary = summary


def run_pipeline(
    manager: RetrainingManager, models: Sequence[str], *, force: bool = False, skip_absent: bool = False
) -> dict[str, Any]:
    """Retrain ``models`` one after the other, each in its own process; what ``pipeline_summary.json`` then holds.

    A model that fails does not stop the others. Raises Interrupted after both files are written.
    """
    started, begun = utc_now(), time.monotonic()
    summaries: dict[str, ModelSummary] = {}
    stopped = False
    for model in models:
        if stopped:
            summaries[model] = manager.not_run(model, _NOT_RUN)
            continue
        try:
            summaries[model] = manager.retrain(model, force=force, skip_absent=skip_absent)
        except KeyboardInterrupt:
            stopped = True
            summaries[model] = manager.last_summary(model)
    summary = pipeline_summary(list(summaries.values()), started, time.monotonic() - begun)
    write_atomically(manager.summaries / PIPELINE_SUMMARY, to_json(summary))
    plots = {model: _plots(manager, s) for model, s in summaries.items()}
    write_atomically(manager.summaries / PAGE, page(summary, list(summaries.values()), plots).encode())
    if stopped:
        raise Interrupted(summary)
    return summary


def pipeline_summary(summaries: Sequence[ModelSummary], started: str, seconds: float) -> dict[str, Any]:
    """The whole run: ``failed`` where a required model failed; an optional one that failed is only counted."""
    failed = [s.model_type for s in summaries if s.status == "failed" and not s.optional]
    optional = [s.model_type for s in summaries if s.status == "failed" and s.optional]
    message = f"failed: {', '.join(failed)}" if failed else "success"
    if optional:
        message += f", {len(optional)} optional failed"
    return {
        "phase": "training",
        "timestamp": utc_now(),
        "started": started,
        "who": whoami(),
        "status": "failed" if failed else "success",
        "message": message,
        "failed": failed,
        "optional_failed": optional,
        "skipped": [s.model_type for s in summaries if s.status == "skipped"],
        "promoted": [s.model_type for s in summaries if s.promoted],
        "refused": [s.model_type for s in summaries if s.status == "success" and not s.promoted],
        "training_time_seconds": round(seconds, 3),
        "models": {s.model_type: _short(s) for s in summaries},
    }


def _short(summary: ModelSummary) -> dict[str, Any]:
    keys = ("status", "optional", "promoted", "version", "champion", "message", "training_time_seconds", "errors")
    whole = summary.model_dump()
    return {**{key: whole[key] for key in keys}, "verdict": summary.verdict.get("verdict")}


def _plots(manager: RetrainingManager, summary: ModelSummary) -> list[bytes]:
    if summary.version is None:
        return []
    folder = manager.registry(summary.model_type).path(summary.version)
    return [path.read_bytes() for path in sorted(folder.glob("*.png"))]


def page(summary: Mapping[str, Any], models: Iterable[ModelSummary], plots: Mapping[str, list[bytes]]) -> str:
    """One HTML page that needs nothing else: no script, no other file, no network."""
    cards = "\n".join(_card(model, plots.get(model.model_type, [])) for model in models)
    stylesheet = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
    bad = "failed" if summary["status"] == "failed" else "warned" if summary["optional_failed"] else "ok"
    minutes, seconds = divmod(round(summary["training_time_seconds"]), 60)
    when = f"{summary['started'][:16].replace('T', ' ')} UTC, {minutes} min {seconds} s, by {summary['who']}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Retraining: {_text(summary["message"])}</title>
<style>
{stylesheet}</style>
</head>
<body>
<header class="{bad}">
<h1>Retraining</h1>
<p class="status">{_text(summary["message"])}</p>
<p class="when">{_text(when)}</p>
</header>
<main>
{cards}
</main>
</body>
</html>
"""


_BADGES = {
    "promoted": ("ok", "published"),
    "refused": ("warned", "refused, the old model stays"),
    "skipped": ("quiet", "skipped"),
    "failed": ("failed", "failed"),
    "optional": ("warned", "failed (optional)"),
}


def _outcome(summary: ModelSummary) -> str:
    if summary.status == "success":
        return "promoted" if summary.promoted else "refused"
    return "optional" if summary.status == "failed" and summary.optional else summary.status


def _card(summary: ModelSummary, plots: Sequence[bytes]) -> str:
    kind, label = _BADGES[_outcome(summary)]
    if summary.champion is None and _outcome(summary) == "refused":
        label = "refused, nothing is live"
    parts = [
        f'<section class="{kind}">',
        f'<h2>{_text(summary.model_type)} <span class="badge">{_text(label)}</span></h2>',
        *(f'<p class="error">{_text(error)}</p>' for error in summary.errors),
    ]
    if summary.status == "skipped":
        parts.append(f"<p>{_text(summary.message)}</p>")
    parts += [_scores(summary.verdict), _list("Verdict", summary.verdict.get("reasons", []))]
    parts += [_facts(summary), _list("What the data cannot show, and notes", summary.notes)]
    for image in plots:
        parts.append(
            f'<img alt="Training of {_text(summary.model_type)}" '
            f'src="data:image/png;base64,{base64.b64encode(image).decode("ascii")}">'
        )
    return "\n".join([*(part for part in parts if part), "</section>"])


def _scores(verdict: Mapping[str, Any]) -> str:
    """Bars of the candidate, the champion and the best baseline on the same rows."""
    rows = [("candidate", verdict.get("candidate_score"), "new"), ("live before", verdict.get("champion_score"), "old")]
    rows += [(f"baseline: {name}", value, "base") for name, value in verdict.get("best_baseline", {}).items()]
    known = [(name, float(value), kind) for name, value, kind in rows if value is not None]
    if not known:
        return ""
    longest = max(max(value for _, value, _ in known), 1e-9)
    bars = "".join(
        f"<tr><th>{_text(name.replace('_', ' '))}</th><td>{value:.4g}</td>"
        f'<td class="track"><i class="{kind}" style="width:{max(0.0, 100 * value / longest):.1f}%"></i></td></tr>'
        for name, value, kind in known
    )
    held_out = "held-out" if verdict["held_out"] else "in-sample (not held out)"
    caption = f"{METRIC_TITLES[verdict['metric']]} on {verdict['evaluation_rows']} {held_out} rows"
    return f'<table class="bars"><caption>{_text(caption)}</caption>{bars}</table>'


def _facts(summary: ModelSummary) -> str:
    worth = ", ".join(f"{count} distinct {what}" for what, count in summary.sufficiency.get("distinct", {}).items())
    rows = summary.sufficiency.get("rows")
    facts = {
        "data": None if rows is None else f"{rows} rows{f' ({worth})' if worth else ''}",
        "source": summary.sufficiency.get("source", {}).get("location"),
        "this version": summary.version,
        "live now": summary.champion,
        "time": f"{summary.training_time_seconds:.0f} s" if summary.process else None,
        "peak memory": f"{summary.process['peak_mb']:.0f} MB" if "peak_mb" in summary.process else None,
        "whole output": summary.process.get("output"),
    }
    cells = "".join(f"<dt>{name}</dt><dd>{_text(value)}</dd>" for name, value in facts.items() if value)
    return f"<dl>{cells}</dl>" if cells else ""


def _list(title: str, items: Sequence[str]) -> str:
    if not items:
        return ""
    return f"<h3>{_text(title)}</h3><ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>"


def _text(value: object) -> str:
    return html.escape(str(value))
