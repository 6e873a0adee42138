"""What training an adapter is, whatever it learns: read, split, adapt, judge, publish a run directory, move ``latest``.

The soft prompt and the YAML generator are such jobs; a ``Job`` is where they differ.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import open_source, sqlite_url
from training.runs.artifacts import (
    check_writable,
    explained,
    move_link,
    pointed_at,
    publish_folder,
    to_json,
    write_atomically,
)
from training.runs.distributed import first_says, is_first
from training.runs.errors import ArtifactError, TrainingError
from training.runs.run import Run, log_source, utc_now, versions
from training.text.audit import audit_prompts

if TYPE_CHECKING:
    from training.text.config import Seq2SeqConfig
    from training.text.trainer import Result


log = logging.getLogger(__name__)

LATEST = "latest"
RUN_FILE = "training_run.json"
STARTED_FILE = "started.json"  # of a run that is under way: what it was started with


@dataclass(frozen=True)
class Job:
    """What one kind of adapter reads, how it is trained and judged, and what is said of it.

    ``texts`` gives a row's request and answer, ``learn`` is called as ``learn(rows, config, folder, resume_from=,
    on_epoch=)``; ``verdict`` and ``score_lines`` speak of the metrics that it returns.
    """

    record: Any  # PromptRow or YamlRow, the class
    texts: Callable[[Any], tuple[str, str]]
    learn: Callable[..., Result]
    verdict: Callable[[dict[str, Any]], str]
    score_lines: Callable[[dict[str, Any]], list[str]]
    title: str
    about: str


@dataclass(frozen=True)
class AdapterOptions:
    """The command line; None means not given, ``explicit`` names what was."""

    json_input: str | None
    data_source: str | None
    strict: bool
    db_path: str | None
    output_dir: str
    run_directory: str | None
    run_id: str | None
    resume_from: str | None
    resume_run: str | None
    max_samples: int
    config: dict[str, Any]
    explicit: frozenset[str] = frozenset()


DEFAULT_BASE = "google/flan-t5-small"
# Adapters move all of a layer's output a little; a soft prompt has few numbers to say everything with.
LEARNING_RATES = {"lora": 5e-5, "dora": 5e-5, "rslora": 5e-5, "prompt": 0.1, "prefix": 0.01, "p-tuning": 0.01}
_SOURCE = ("json_input", "data_source", "strict", "db_path")
_PLACE = ("output_dir", "run_directory", "run_id", "resume_from", "max_samples")


def options_of(given: Mapping[str, Any], base_model: str | None, explicit: Collection[str] = ()) -> AdapterOptions:
    """The command line's values with the defaults that depend on others; ``base_model`` is the environment's."""
    outside = (*_SOURCE, *_PLACE, "resume_run")
    config = {name: value for name, value in given.items() if name not in outside}
    config["base_model"] = config["base_model"] or base_model or DEFAULT_BASE
    if config["learning_rate"] is None:
        config["learning_rate"] = LEARNING_RATES[config["method"]]
    places: dict[str, Any] = {name: given.get(name) for name in outside}
    return AdapterOptions(**places, config=config, explicit=frozenset(explicit))


def train_adapter(run: Run, options: AdapterOptions, job: Job) -> None:
    """A job, filling in ``run``. Raises DataSourceError or TrainingError with one line for a person."""
    run.memory_hint = "lower --batch-size, --source-max-tokens, --target-max-tokens or --lora-r"
    started = None
    if options.resume_run is not None:
        started = _started(Path(options.resume_run))
        options = _as_started(options, started)
    run_id = first_says(options.run_id or datetime.now(UTC).strftime("run_%Y%m%d_%H%M%S"))
    target = Path(options.run_directory) if options.run_directory else Path(options.output_dir) / run_id
    run.model_path, run.config = target, dict(options.config)
    _check_place(target, Path(options.output_dir), run.dry_run, resumed=started is not None)
    base = Path(options.config["base_model"])
    if base.is_dir() and not (base / "config.json").is_file():
        raise TrainingError(f"{base}: holds no model (no config.json); give --base-model a model's folder or hub name")
    flags = {"json_input": options.json_input, "data_source": options.data_source}
    if options.json_input is None and options.data_source is None and options.db_path is not None:
        flags["data_source"] = sqlite_url(options.db_path)
    source = open_source(**flags, strict=options.strict, kind=job.record.kind, max_samples=options.max_samples)
    run.source = source
    rows: list[Any] = list(islice(source.read(job.record), options.max_samples))
    audit = audit_prompts([job.texts(row) for row in rows])
    run.audit, run.notes = audit.model_dump(mode="json"), [*source.report.notes, *audit.cannot_show]
    log_source(source)
    log.info(
        "Data: %d rows, %d distinct queries, %d distinct answers",
        audit.rows,
        audit.distinct_queries,
        audit.distinct_answers,
    )
    for note in audit.cannot_show:
        log.info("Note: %s", note)
    if started is not None and started["data_fingerprint"] != audit.fingerprint:
        raise TrainingError(
            f"{options.resume_run}: was started on other rows; give the same --json-input, --data-source or --db-path, "
            "or start a new run"
        )
    if run.dry_run:
        run.end_dry()
        return
    _train_and_publish(run, options, job, rows, target, run_id)


def _check_place(target: Path, output: Path, dry_run: bool, resumed: bool) -> None:
    if target.exists():
        raise ArtifactError(f"{target}: exists; a run is never overwritten. Give another --run-id or --run-directory")
    partial = _partial(target)
    if partial.exists() and not resumed:
        raise ArtifactError(
            f"{target}: is under way or was stopped; --resume-run {target} goes on with it, "
            f"another --run-id leaves it, removing {partial} gives it up"
        )
    if not dry_run:
        check_writable(output / f".{LATEST}")
        check_writable(target)


def _partial(target: Path) -> Path:
    """Where a run is while it is under way; what is left there when it stops can be gone on with."""
    return target.with_name(f".{target.name}.partial")


def _started(given: Path) -> dict[str, Any]:
    """What the stopped run ``given`` (its directory, or where its parts are) was started with."""
    folder = given if (given / STARTED_FILE).is_file() else _partial(given)
    try:
        started: dict[str, Any] = json.loads((folder / STARTED_FILE).read_text(encoding="utf-8"))
        return {**started, "options": dict(started["options"]), "data_fingerprint": str(started["data_fingerprint"])}
    except FileNotFoundError as error:
        raise TrainingError(
            f"{given}: is no run that was stopped (no {_partial(given)}); --resume-from goes on with a finished one"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{folder / STARTED_FILE}: cannot be read ({error!s:.100}); start a new run") from error


def _as_started(options: AdapterOptions, started: Mapping[str, Any]) -> AdapterOptions:
    """The options that the stopped run had; a flag that says something else is refused."""
    before = started["options"]
    now = {**{name: getattr(options, name) for name in _PLACE}, **options.config}
    then = {**{name: before[name] for name in _PLACE}, **before["config"]}
    for name in sorted(options.explicit & then.keys()):
        if now[name] != then[name]:
            flag = f"--{name.replace('_', '-')}"
            raise TrainingError(
                f"{options.resume_run}: was started with {flag} {then[name]}, not {now[name]}; leave {flag} out"
            )
    if started["versions"] != versions():
        log.warning("Other versions than the run was started with: the weights may differ from one that never stopped")
    return replace(options, **{name: before[name] for name in _PLACE}, config=before["config"])


def _train_and_publish(
    run: Run, options: AdapterOptions, job: Job, rows: Sequence[Any], target: Path, run_id: str
) -> None:
    from training.text.config import Seq2SeqConfig
    from training.text.fit import newest_checkpoint

    config = Seq2SeqConfig(**options.config)
    partial = _partial(target)
    if is_first():
        _start(partial, replace(options, run_id=run_id, run_directory=str(target)), run)
    first_says(None)
    run.go_on = lambda: f"; --resume-run {target} goes on with it" if newest_checkpoint(partial) else ""
    try:
        resume = pointed_at(Path(options.resume_from)) if options.resume_from else None
        result = job.learn(rows, config, partial, resume_from=resume, on_epoch=_log_epoch)
        if not is_first():
            return
        run.metrics = {**result.metrics, "final_loss": result.final_loss, "split": result.split}
        judgement = job.verdict(result.metrics)
        run.notes.append(judgement)
        described = _describe(run, config, result, len(rows), target, run_id)
        with explained(target):
            _finish(partial, job, result, described, target)
    except BaseException:
        if is_first() and newest_checkpoint(partial) is None:  # nothing to go on from
            shutil.rmtree(partial, ignore_errors=True)
        raise
    run.saved = True
    move_link(Path(options.output_dir) / LATEST, target)
    for line in job.score_lines(result.metrics):
        log.info("%s", line)
    log.info("%s", judgement)
    run.message = f"trained on {len(rows)} rows, saved to {target}"
    log.info("Saved: %s", target)


def _start(partial: Path, options: AdapterOptions, run: Run) -> None:
    if options.resume_run is not None:
        log.info("Going on with %s", options.resume_run)
        return
    started = {
        "options": {**{name: getattr(options, name) for name in _PLACE}, "config": options.config},
        "data_fingerprint": run.audit["fingerprint"],
        "versions": versions(),
    }
    with explained(partial):
        partial.mkdir()
    write_atomically(partial / STARTED_FILE, to_json(started))


def _finish(partial: Path, job: Job, result: Result, described: Mapping[str, Any], target: Path) -> None:
    """Make of the parts a run directory, in a folder beside them, and give it its name last."""
    finished = partial / target.name
    shutil.rmtree(finished, ignore_errors=True)
    result.save(finished)
    (finished / "README.md").write_text(_model_card(job, described), encoding="utf-8")
    (finished / RUN_FILE).write_bytes(to_json(described))
    publish_folder(finished, target)
    shutil.rmtree(partial, ignore_errors=True)


def _log_epoch(epoch: int, numbers: dict[str, float]) -> None:
    log.info("Epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()))


def _describe(
    run: Run, config: Seq2SeqConfig, result: Result, samples: int, target: Path, run_id: str
) -> dict[str, Any]:
    """``training_run.json``: production's keys first (docs/production.md), then what a reader needs."""
    return {
        "base_model": config.base_model,
        "samples_used": samples,
        "epochs": config.epochs,
        "learning_rate": config.learning_rate,
        "run_directory": str(target),
        "trained_at": utc_now(),
        "final_loss": result.final_loss,
        "run_id": run_id,
        "method": config.method,
        "config": config.model_dump(),
        "source": run.described_source(),
        "data_fingerprint": run.audit["fingerprint"],
        "audit": run.audit,
        "metrics": run.metrics,
        "history": list(result.history),
        "trained_on": result.trained_on,
        "notes": run.notes,
        "versions": versions(),
    }


def _model_card(job: Job, described: Mapping[str, Any]) -> str:
    lines = "\n".join(job.score_lines(described["metrics"]))
    notes = "\n".join(f"- {note}" for note in described["notes"])
    return f"""---
base_model: {described["base_model"]}
library_name: peft
tags: [{described["method"]}, home-assistant]
---

# {job.title}

A {described["method"]} adapter over `{described["base_model"]}`: {job.about}.
Trained {described["trained_at"]} on {described["samples_used"]} rows.

## Scores

```
{lines}
```

## What the data cannot show

{notes}
"""
