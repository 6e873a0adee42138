"""A night's run over several models: one summary for machines and one page for the person who looks in the morning."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from retraining_manager.errors import ManagerError
from retraining_manager.manager import RetrainingManager
from retraining_manager.models import SPECS
from retraining_manager.page import past_of, render_page
from retraining_manager.saying_once import saying_once
from retraining_manager.summaries import ModelSummary
from training.runs.files import to_json
from training.runs.locks import user_at_host
from training.runs.publishing import write_atomically
from training.runs.wording import utc_now

log = logging.getLogger(__name__)

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

    A model that fails does not stop the others. Under ``skip_absent`` a database that has no table for any of them is a
    failure of the run. Raises Interrupted after both files are written.
    """
    started, begun = utc_now(), time.monotonic()
    summaries: dict[str, ModelSummary] = {}
    stopped = False
    with saying_once() as said:
        for model in models:
            if stopped:
                summaries[model] = manager.skip(model, _NOT_RUN)
                continue
            try:
                summaries[model] = manager.retrain(model, force=force, skip_absent=skip_absent, said=said)
            except KeyboardInterrupt:
                stopped = True
                summaries[model] = manager.summaries.last(model)
    summary = pipeline_summary(list(summaries.values()), started, time.monotonic() - begun)
    trouble = _wrong_database(list(summaries.values())) if skip_absent else None
    if trouble is not None:
        log.error("%s", trouble)
        summary |= {"status": "failed", "message": f"failed: {trouble}"}
    write_atomically(manager.summaries.folder / PIPELINE_SUMMARY, to_json(summary))
    write_atomically(manager.summaries.folder / PAGE, _page(manager, summary, summaries).encode())
    if stopped:
        raise Interrupted(summary)
    return summary


def pipeline_summary(summaries: Sequence[ModelSummary], started: str, seconds: float) -> dict[str, Any]:
    """The whole run: ``failed`` where a required model failed; an optional one that failed is only counted."""
    failed = [s.model_type for s in summaries if s.status == "failed" and not s.optional]
    optional = [s.model_type for s in summaries if s.status == "failed" and s.optional]
    message = f"failed: {', '.join(failed)}" if failed else "success"
    if summaries and all(s.status == "skipped" for s in summaries):
        message = "success, all skipped"
    if optional:
        message += f", {len(optional)} optional failed"
    return {
        "phase": "training",
        "timestamp": utc_now(),
        "started": started,
        "who": user_at_host(),
        "status": "failed" if failed else "success",
        "message": message,
        "failed": failed,
        "optional_failed": optional,
        "skipped": [s.model_type for s in summaries if s.status == "skipped"],
        "promoted": [s.model_type for s in summaries if s.promoted],
        "refused": [s.model_type for s in summaries if s.outcome == "refused"],
        "unchanged": [s.model_type for s in summaries if s.outcome == "unchanged"],
        "training_time_seconds": round(seconds, 3),
        "models": {s.model_type: _short(s) for s in summaries},
    }


def _wrong_database(summaries: Sequence[ModelSummary]) -> str | None:
    """What is wrong where a database has no table for any model: the service that fills them makes them empty."""
    if len(summaries) < len(SPECS) or not all(s.sufficiency.get("no_table") for s in summaries):
        return None
    return f"the database has no table for any model, so it is not the one that is meant: {summaries[0].message}"


def _short(summary: ModelSummary) -> dict[str, Any]:
    keys = ("status", "optional", "promoted", "version", "champion", "message", "training_time_seconds", "errors")
    whole = summary.model_dump()
    return {**{key: whole[key] for key in keys}, "outcome": summary.outcome, "verdict": summary.verdict.get("verdict")}


def _page(manager: RetrainingManager, summary: dict[str, Any], summaries: Mapping[str, ModelSummary]) -> str:
    """The page of this run, with the last run of each model that it left out."""
    earlier = []
    for model in SPECS.keys() - summaries.keys():
        with suppress(OSError, ValueError):  # it never ran, or its summary is damaged
            earlier.append(manager.summaries.last(model))
    earlier.sort(key=lambda one: list(SPECS).index(one.model_type))
    past = {}
    for model in (*summaries, *(one.model_type for one in earlier)):
        try:
            past[model] = past_of(manager.registry(model))
        except ManagerError as error:
            log.warning("%s", error)
    return render_page(summary, list(summaries.values()), past, earlier, manager.summaries.folder)
