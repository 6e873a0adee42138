"""Compare what was trained with what is live, and publish or refuse it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retraining_manager.errors import ChampionChangedError, ManagerError, RegistryError
from retraining_manager.gate import Verdict, decide
from retraining_manager.model_run import EVALUATION_ROWS, ModelRun
from retraining_manager.registry import SUMMARY_FILE, VERDICT_FILE, Aliases, Registry
from retraining_manager.summaries import ModelSummary
from training.runs.artifacts import RUN_FILE, metadata_path
from training.runs.comparison import Comparison
from training.runs.files import read_json, to_json
from training.runs.sample import is_of_sample
from training.runs.wording import utc_now

log = logging.getLogger(__name__)

COLD_START = "--accept-cold-start"  # of the training of a model for which rules can make rows up
COMPARISONS = 5  # of one candidate at most, where other versions go live meanwhile


def compare_and_publish(run: ModelRun, summary: ModelSummary, compared_with: str | None) -> None:
    """Compare what was trained with what is live, again where that changes meanwhile, and publish or refuse it.

    ``compared_with`` is the champion with which the training itself has compared, unless it could not.
    """
    spec, registry, model = run.spec, run.registry, run.spec.model
    files = {p.relative_to(run.trained).as_posix(): p for p in sorted(run.trained.rglob("*")) if p.is_file()}
    if not run.candidate.exists() or not files:
        summary.fail(f"{model}: exit code 0, but {run.candidate.name} was not written")
        return
    same = registry.same(files)
    if same is not None and _is_known(registry, same, summary):
        return
    for _ in range(COMPARISONS):
        aliases = registry.aliases()
        if _is_made_up(run, aliases.champion, summary):
            return
        found = run.read_comparison(aliases.champion) if aliases.champion == compared_with else None
        comparison, failure = (found, None) if found else run.compare(aliases.champion, summary)
        compared_with = aliases.champion
        verdict = decide(
            spec,
            comparison,
            aliases.champion,
            run.options.of(model).gate,
            accept_weak=run.options.accept_weak,
            champion_held_out=aliases.champion is not None and registry.went_live_held_out(aliases.champion),
            champion_of_sample=run.options.evaluate_on is None
            and _is_of_sample(registry, aliases.champion)
            and not is_of_sample(summary.model_dump()),
        )
        try:
            _publish(run, files, comparison, verdict, aliases, summary)
            break
        except ChampionChangedError as error:
            log.info("%s; comparing again", error)
    else:
        why = f"the live version changed {COMPARISONS} times while this one was compared; the next run tries again"
        refused = verdict.model_copy(update={"verdict": "NOT_BLESSED", "reasons": [why, *verdict.reasons]})
        _publish(run, files, comparison, refused, None, summary)
    if failure is not None:
        summary.fail(failure)


def _is_made_up(run: ModelRun, champion: str | None, summary: ModelSummary) -> bool:
    """Whether pairs that rules made would replace a model of known ones, unasked; then it says so."""
    asked = COLD_START in run.options.of(run.spec.model).flags
    if champion is None or asked or not summary.audit.get("generated_pairs", 0):
        return False
    audit = _described(run.registry, champion).get("audit")
    if isinstance(audit, dict) and audit.get("generated_pairs", 0):
        return False
    summary.status = "skipped"
    summary.message = (
        f"{champion} stays live: no synergy is known now, and pairs generated from rules do not replace it. Check "
        f"the synergy table, or put {COLD_START} into the model's flags"
    )
    log.warning("%s: %s", summary.model_type, summary.message)
    return True


def _is_known(registry: Registry, same: str, summary: ModelSummary) -> bool:
    """Whether nothing is to be done with a model that is the same as a version: it is live, or was taken back."""
    back = registry.rolled_back(same)
    if same == registry.aliases().champion:
        summary.message = f"trained, and the same as {same}, which is live: nothing to publish"
    elif back is not None:
        summary.message = (
            f"trained and refused: the same as {same}, which was rolled back {back.get('time')} "
            f"({back.get('reason')}); `promote {summary.model_type} {same}` makes it live"
        )
    else:
        return False
    summary.point_to(registry, same)
    log.info("%s: %s", summary.model_type, summary.message)
    return True


def _publish(
    run: ModelRun,
    files: Mapping[str, Path],
    comparison: Comparison,
    verdict: Verdict,
    aliases: Aliases | None,
    summary: ModelSummary,
) -> None:
    """Make a version of what was trained, with its verdict, and move the aliases to it where it is blessed.

    Raises ChampionChangedError where it was compared with a version that is not live any more.
    """
    registry, model = run.registry, run.spec.model
    documents = {
        VERDICT_FILE: to_json({**verdict.model_dump(), "time": utc_now()}),
        "comparison.json": to_json(comparison.model_dump()),
        SUMMARY_FILE: run.summary.read_bytes(),
    }
    if run.rows.is_file():
        documents[EVALUATION_ROWS] = run.rows.read_bytes()
    summary.verdict = verdict.model_dump()
    try:
        version = registry.add(
            files,
            documents,
            logs={"output.log": run.output} if run.output.is_file() else {},
            trained_at=run.candidate,
            expected=aliases,
            live=f"BLESSED: {verdict.reasons[0]}" if verdict.blessed else None,
            model=model,
            origin="trained",
            created=utc_now(),
        )
    except ChampionChangedError:
        raise
    except ManagerError as error:
        made = registry.same(files)
        summary.promoted = made is not None and registry.aliases().champion == made
        if made is not None:
            summary.point_to(registry, made)
        summary.fail(f"{made or model} {'is live, but' if summary.promoted else 'was not published:'} {error}")
        return
    summary.point_to(registry, version)
    log.info("%s: Saved: %s", model, summary.model_path)
    summary.promoted = verdict.blessed
    summary.message = f"trained and refused: {verdict.reasons[0]}"
    if verdict.blessed:
        summary.message = f"trained and published as {version}: {verdict.reasons[0]}"
    log.info("%s: %s", model, summary.message)
    of_sample = _is_of_sample(registry, verdict.champion)
    if not verdict.blessed and of_sample and not is_of_sample(summary.model_dump()):
        summary.notes.append(f"{verdict.champion}, which stays live, was trained on the shipped sample")
        log.warning("%s: %s", model, summary.notes[-1])


def _is_of_sample(registry: Registry, version: str | None) -> bool:
    """Whether a version says that it was trained on the shipped sample."""
    return version is not None and is_of_sample(_described(registry, version))


def _described(registry: Registry, version: str) -> dict[str, Any]:
    """What a version says of its training; empty where it says nothing that can be read."""
    try:
        described = registry.path(version) / SUMMARY_FILE
        if not described.is_file():  # another program's training
            model = registry.model_path(version)
            described = model / RUN_FILE if model.is_dir() else metadata_path(model)
    except RegistryError as error:  # damage does not keep it live
        log.debug("%s", error)
        return {}
    return read_json(described)
