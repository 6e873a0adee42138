"""Check the data, train in a process, judge against what is live, publish or refuse, and leave a summary of it."""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from data_sources import DataSourceError
from retraining_manager import runner
from retraining_manager.errors import BusyError, ManagerError
from retraining_manager.gate import Verdict, judge
from retraining_manager.models import SPECS, ModelSpec, spec_of
from retraining_manager.registry import Names, Registry, utc_now
from retraining_manager.settings import ModelSettings, ModelSummary, Options, Source
from retraining_manager.sufficiency import Counted, RowThresholds, SufficiencyChecker, count
from training.runs.artifacts import to_json, write_atomically
from training.runs.comparison import Comparison, ModelScores
from training.runs.errors import ArtifactError
from training.runs.summary import TrainingSummary

log = logging.getLogger(__name__)

SCRIPTS = Path(__file__).resolve().parent.parent / "scripts"
HISTORY = "retraining_history.jsonl"
SUMMARIES = Path("simulation_results") / "pipeline_summaries"
COMPARISON_SECONDS = 3_600.0
EVALUATION_ROWS = "evaluation_rows.json.gz"  # in a version: the held-out rows that it was scored on


class _ProductionPath(BaseSettings):
    """Where production looks for the synergy model, if not at its usual place: its script reads the same variable."""

    model_config = SettingsConfigDict(env_file=".env", env_ignore_empty=True, extra="ignore")

    gnn_model_path: Path | None = None


class RetrainingManager:
    """Retrains the four models. Nothing that is live changes unless a candidate passes the gate.

    Args:
        training_data_directory: A folder of ``<model>_data.json`` files; None reads production's services.
        model_directory: Where versions are kept, and production's paths beside them.
        data_sufficiency_checker: Decides from row counts; by default those of docs/explanation/retraining.md.
        source: The general form of ``training_data_directory``, which is not looked at then.
        options: How to run.

    Attributes:
        training_scripts: Model -> the script that trains it.
        models_supporting_force: The models whose script takes ``--force``.
    """

    def __init__(
        self,
        training_data_directory: str | Path | None,
        model_directory: str | Path,
        data_sufficiency_checker: SufficiencyChecker | None = None,
        *,
        source: Source | None = None,
        options: Options | None = None,
    ) -> None:
        self.training_data_directory = None if training_data_directory is None else Path(training_data_directory)
        self.model_directory = Path(model_directory)
        self.data_sufficiency_checker = data_sufficiency_checker or RowThresholds()
        folder = None if self.training_data_directory is None else str(self.training_data_directory)
        self.source = source or Source(json_input=folder)
        self.options = options or Options()
        self.training_scripts = {model: SCRIPTS / spec.script for model, spec in SPECS.items()}
        self.comparison_script = SCRIPTS / "compare_models.py"
        self.models_supporting_force = {model for model, spec in SPECS.items() if spec.supports_force}
        self.summaries = self.model_directory.parent / SUMMARIES

    def registry(self, model: str) -> Registry:
        """The versions of a model. Raises ManagerError where there is no such model."""
        spec = spec_of(model)
        return Registry(self.model_directory / model, spec.place, self._production(model, spec), spec.companions)

    def settings(self, model: str) -> ModelSettings:
        """What is set for a model."""
        return self.options.settings.get(model, ModelSettings())

    # The interface that production's admin service uses

    def check_retraining_trigger(
        self, data_counts: Mapping[str, int], quality_metrics: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, bool]:
        """For each model: whether its rows, and its quality where one is given, are enough to train on."""
        decided = self.data_sufficiency_checker.check_all_models(data_counts, quality_metrics)
        return {model: enough for model, (enough, _) in decided.items()}

    async def retrain_model(self, model_type: str, force: bool = False) -> dict[str, Any]:
        """Retrain one model, without looking at its row count where ``force`` is set.

        Returns:
            ``success``, ``model_type``, ``status``, ``duration_seconds``, ``promoted``, ``version``, ``verdict``,
            ``end_time``; ``error`` where it failed; ``skipped`` and ``reason`` where it did not run.
            Cancelling ends the script and all it started.
        """
        stop = threading.Event()
        task = asyncio.create_task(asyncio.to_thread(self._retrain, model_type, force, stop))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait({task})
            raise

    async def retrain_all_models(
        self,
        data_counts: Mapping[str, int],
        quality_metrics: Mapping[str, Mapping[str, Any]] | None = None,
        force: bool = False,
    ) -> dict[str, dict[str, Any]]:
        """Retrain the models that have enough rows, or all with ``force``; what ``retrain_model`` returns for each."""
        decided = self.data_sufficiency_checker.check_all_models(data_counts, quality_metrics)
        results: dict[str, dict[str, Any]] = {}
        for model, (enough, why) in decided.items():
            if enough or force:
                results[model] = await self.retrain_model(model, force)
            else:
                results[model] = self._result(self.not_run(model, why))
        return results

    def get_retraining_history(self, model_type: str | None = None) -> list[dict[str, Any]]:
        """Every run of one model or of all, the oldest first, also those of other processes."""
        try:
            lines = (self.summaries / HISTORY).read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        entries = [json.loads(line) for line in lines if line.endswith("}")]
        return [entry for entry in entries if model_type in (None, entry["model_type"])]

    def _retrain(self, model: str, force: bool, stop: threading.Event) -> dict[str, Any]:
        try:
            return self._result(self.retrain(model, force=force, stop=stop))
        except ManagerError as error:  # only an unknown model: all else is in the summary
            return {"success": False, "model_type": model, "status": "failed", "error": str(error)}

    def _result(self, summary: ModelSummary) -> dict[str, Any]:
        result: dict[str, Any] = {
            "success": summary.status == "success",
            "model_type": summary.model_type,
            "status": summary.status,
            "end_time": summary.timestamp,
            "duration_seconds": summary.training_time_seconds,
            "promoted": summary.promoted,
            "version": summary.version,
            "verdict": summary.verdict.get("verdict"),
        }
        if summary.status == "failed":
            result["error"] = "; ".join(summary.errors)
        if summary.status == "skipped":
            result |= {"skipped": True, "reason": summary.message}
        return result

    # Use cases

    def check(self, models: Iterable[str]) -> dict[str, dict[str, Any]]:
        """For each model: ``enough``, ``why``, ``rows``, ``distinct``, ``warnings``, ``error``, ``source``."""
        return {model: self._sufficiency(model)[1] for model in models}

    def retrain(
        self,
        model: str,
        *,
        force: bool = False,
        skip_absent: bool = False,
        stop: threading.Event | None = None,
    ) -> ModelSummary:
        """One model from its data to its place, or to a reason why not; the summary is on disk too.

        ``skip_absent`` skips a model that the source has no data for, where it would fail otherwise. Raises
        ManagerError where the model is unknown, and KeyboardInterrupt after the script has ended and the summary is
        written.
        """
        spec_of(model)
        started = time.monotonic()
        interrupted: BaseException | None = None
        try:
            with self.registry(model).running():
                summary = self._run(model, force, skip_absent, stop)
        except BusyError as error:
            summary = self._skipped(model, str(error))
        except (ManagerError, ArtifactError, OSError) as error:
            summary = self._failed(model, " ".join(str(error).split()))
        except Exception as error:
            log.debug("traceback", exc_info=error)
            summary = self._failed(model, f"{model}: unexpected {type(error).__name__}: {error}; --verbose shows where")
        except KeyboardInterrupt as error:
            interrupted = error
            summary = self._failed(model, f"{model}: interrupted; what is live has not changed")
        try:
            summary.champion = self.registry(model).names().champion
        except ManagerError as error:
            summary.notes.append(str(error))
        if not summary.training_time_seconds:
            summary.training_time_seconds = round(time.monotonic() - started, 3)
        self._write_summary(summary)
        if interrupted is not None:
            raise interrupted
        return summary

    def _run(self, model: str, force: bool, skip_absent: bool, stop: threading.Event | None) -> ModelSummary:
        spec, registry = spec_of(model), self.registry(model)
        counted, sufficiency = self._sufficiency(model)
        if not sufficiency["enough"] and not (force and counted.error is None):
            if counted.error is not None and not (counted.absent and skip_absent):
                return self._failed(model, counted.error, sufficiency=sufficiency)
            return self._skipped(model, sufficiency["why"], sufficiency=sufficiency)
        for warning in sufficiency["warnings"]:
            log.warning("%s: %s", model, warning)
        adopted = registry.adopt()
        if adopted is not None:
            log.info("%s: took in %s from %s, where another program put it", model, adopted, registry.production)
        with registry.workplace() as work:
            output = work / "output.log"
            outcome = self._train(model, force, work, output, stop)
            summary = self._read_summary(model, work / "summary.json", outcome, sufficiency)
            if summary.status == "success":
                self._judge_and_publish(model, spec, registry, work, summary, stop)
            self._keep_output(model, output, summary)
        return summary

    def _train(self, model: str, force: bool, work: Path, output: Path, stop: threading.Event | None) -> runner.Outcome:
        spec, script = spec_of(model), self.training_scripts[model]
        if not script.is_file():
            raise ManagerError(f"{script}: no such training script")
        argv = [sys.executable, str(script), *self.source.flags()]
        if spec.place == "file":
            (work / "output").mkdir()
            argv += ["--model-path", str(work / "output" / self._production(model, spec).name)]
        else:
            run_id = datetime.now(UTC).strftime("run_%Y%m%d_%H%M%S")
            places = {"--output-dir": work / "runs", "--run-directory": work / "output", "--run-id": run_id}
            argv += [str(text) for pair in places.items() for text in pair]
        argv += ["--summary-path", str(work / "summary.json"), *self.settings(model).flags]
        if force and model in self.models_supporting_force:
            argv.append("--force")
        return self._execute(model, argv, output, self._timeout(model), stop)

    def _execute(
        self, model: str, argv: Sequence[str], output: Path, timeout: float | None, stop: threading.Event | None
    ) -> runner.Outcome:
        return runner.run(
            argv,
            output,
            timeout=timeout,
            environment={"PYTHONUNBUFFERED": "1"},
            on_line=lambda level, line: log.log(level, "%s | %s", model, line),
            stop=stop,
        )

    def _read_summary(
        self, model: str, path: Path, outcome: runner.Outcome, sufficiency: dict[str, Any]
    ) -> ModelSummary:
        """The script's own words, and what its process says where it left none. Its output is never parsed."""
        process = {"exit_code": outcome.exit_code, "seconds": outcome.seconds, "peak_mb": outcome.peak_mb}
        failure = outcome.failure(model, spec_of(model).memory_hint, self._timeout(model))
        try:
            written = TrainingSummary.model_validate_json(path.read_bytes())
            to_json(written.model_dump())  # so that a number that JSON has no name for fails here
            summary = ModelSummary(**written.model_dump())
        except FileNotFoundError:
            summary = self._failed(model, failure or f"{model}: exit code 0, but no summary was written")
        except (OSError, ValueError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            summary = self._failed(model, failure or f"{model}: its summary cannot be used ({what})")
        else:
            if failure is not None:
                summary.status = "failed"
                if not summary.errors or outcome.timed_out:
                    summary.errors.append(failure)
            elif summary.status == "failed" and not summary.errors:
                summary.errors.append(f"{model}: failed without saying why")
        if outcome.output_lost is not None:
            summary.notes.append(outcome.output_lost)
        summary.training_time_seconds = summary.training_time_seconds or outcome.seconds
        return summary.model_copy(
            update={
                "model_type": model,
                "process": process,
                "sufficiency": sufficiency,
                "optional": self.settings(model).optional,
                "message": "; ".join(summary.errors) if summary.status == "failed" else summary.message,
            }
        )

    def _judge_and_publish(
        self,
        model: str,
        spec: ModelSpec,
        registry: Registry,
        work: Path,
        summary: ModelSummary,
        stop: threading.Event | None,
    ) -> None:
        """Make a version of what was trained, with its verdict, and move the names to it where it is blessed."""
        trained = work / "output"
        candidate = trained / registry.production.name if spec.place == "file" else trained
        files = {p.relative_to(trained).as_posix(): p for p in sorted(trained.rglob("*")) if p.is_file()}
        if not candidate.exists() or not files:
            self._turn_to_failure(summary, f"{model}: exit code 0, but {candidate.name} was not written")
            return
        names = registry.names()
        comparison, failure = self._compare(model, registry, candidate, names, work, summary, stop)
        verdict = judge(
            spec,
            comparison,
            names.champion,
            self.settings(model).gate,
            accept_weak=self.options.accept_weak,
            champion_held_out=names.champion is not None and registry.went_live_held_out(names.champion),
        )
        documents = {
            "verdict.json": to_json({**verdict.model_dump(), "time": utc_now()}),
            "comparison.json": to_json(comparison.model_dump()),
            "training_summary.json": (work / "summary.json").read_bytes(),
        }
        if (work / EVALUATION_ROWS).is_file():
            documents[EVALUATION_ROWS] = (work / EVALUATION_ROWS).read_bytes()
        if (work / "output.log").is_file():
            files = {**files, "output.log": work / "output.log"}
        version = registry.add(files, documents, model=model, origin="trained", created=utc_now())
        summary.version, summary.verdict = version, verdict.model_dump()
        summary.model_path = str(registry.entry(version))
        summary.production_path = str(registry.production)
        if failure is not None:
            self._turn_to_failure(summary, failure)
        elif verdict.blessed:
            self._publish(registry, version, verdict, names, summary)
        else:
            summary.message = f"trained and refused: {verdict.reasons[0]}"
        log.info("%s: %s", model, summary.message)

    def _publish(self, registry: Registry, version: str, verdict: Verdict, names: Names, summary: ModelSummary) -> None:
        try:
            registry.promote(version, f"BLESSED: {verdict.reasons[0]}", over=names)
        except ManagerError as error:
            self._turn_to_failure(summary, f"{version} was blessed and not published: {error}")
            return
        summary.promoted = True
        summary.message = f"trained and published as {version}: {verdict.reasons[0]}"

    def _compare(
        self,
        model: str,
        registry: Registry,
        candidate: Path,
        names: Names,
        work: Path,
        summary: ModelSummary,
        stop: threading.Event | None,
    ) -> tuple[Comparison, str | None]:
        """Score candidate and champion in one process on the same rows; what came of it, and why it failed if so."""
        argv = [sys.executable, str(self.comparison_script), model, "--candidate", str(candidate)]
        broken = registry.verify(names.champion) if names.champion is not None else []
        if names.champion is not None and not broken:
            argv += ["--champion", str(registry.entry(names.champion))]
            champion_rows = registry.path(names.champion) / EVALUATION_ROWS
            if self.options.judge_on is None and champion_rows.is_file():  # else the user says which rows are right
                argv += ["--champion-rows", str(champion_rows)]
        judged = self.source if self.options.judge_on is None else Source(data_source=self.options.judge_on)
        argv += [*judged.flags(spec_of(model).default_source), "--output", str(work / "comparison.json")]
        argv += ["--save-rows", str(work / EVALUATION_ROWS)]
        log.info("%s: comparing with %s", model, names.champion or "the baselines alone, there is no champion")
        timeout = self._timeout(model) or COMPARISON_SECONDS
        outcome = self._execute(model, argv, work / "comparison.log", timeout, stop)
        summary.process["comparison"] = {"exit_code": outcome.exit_code, "seconds": outcome.seconds}
        summary.process["comparison"]["peak_mb"] = outcome.peak_mb
        failure = outcome.failure("compare_models.py", spec_of(model).memory_hint, timeout)
        try:
            if failure is None:
                comparison = Comparison.model_validate_json((work / "comparison.json").read_bytes())
                if broken:
                    comparison.champion = ModelScores(error=broken[0])
                return comparison, None
        except (OSError, ValidationError) as error:
            failure = f"compare_models.py: left nothing that can be used ({str(error).splitlines()[0]})"
        nothing = Comparison(
            model_type=model,
            held_out=False,
            reason=str(failure),
            rows=0,
            fingerprint="",
            candidate=ModelScores(error=f"it could not be judged: {failure}"),
        )
        return nothing, f"{model}: trained, but it could not be judged: {failure}"

    def _keep_output(self, model: str, output: Path, summary: ModelSummary) -> None:
        """The whole output stands beside the summary, also of a run that left no version."""
        copy = self.summaries / f"training_output_{model}.log"
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            if output.is_file():
                shutil.copyfile(output, copy)
                summary.process["output"] = str(copy)
        except OSError as error:
            summary.notes.append(f"{copy}: cannot be written ({error.strerror})")

    def _sufficiency(self, model: str) -> tuple[Counted, dict[str, Any]]:
        try:
            counted = count(model, self.source.open(model))
        except DataSourceError as error:
            counted = Counted(model, error=str(error))
        if counted.error is not None:
            enough, why = False, counted.error
        else:
            enough, why = self.data_sufficiency_checker.check_all_models({model: counted.rows})[model]
        thin = counted.thin if counted.error is None else []
        if enough and thin and self.options.require_distinct:
            enough, why = False, f"{thin[0]} (--require-distinct)"
        described = {
            "enough": enough,
            "why": why,
            "rows": counted.rows,
            "distinct": counted.distinct,
            "rejected": counted.rejected,
            "warnings": thin,
            "source": counted.source,
        }
        return counted, described

    def _production(self, model: str, spec: ModelSpec) -> Path:
        if model == "gnn_synergy":
            try:
                chosen = _ProductionPath().gnn_model_path
            except (ValidationError, OSError, UnicodeDecodeError) as error:
                raise ManagerError(f".env: cannot be read ({str(error).splitlines()[0]})") from error
            if chosen is not None:
                return chosen
        first, *rest = spec.production.parts
        if first == "models":
            return self.model_directory.joinpath(*rest)
        return self.model_directory.parent / spec.production

    def _timeout(self, model: str) -> float | None:
        return self.settings(model).timeout or self.options.timeout

    def _summary(self, model: str, status: Literal["failed", "skipped"], message: str, **more: Any) -> ModelSummary:
        return ModelSummary(
            timestamp=utc_now(),
            model_type=model,
            status=status,
            message=message,
            optional=self.settings(model).optional,
            **more,
        )

    def _failed(self, model: str, message: str, **more: Any) -> ModelSummary:
        log.error("%s", message if message.startswith(model) else f"{model}: {message}")
        return self._summary(model, "failed", message, errors=[message], **more)

    def _skipped(self, model: str, message: str, **more: Any) -> ModelSummary:
        log.info("%s: skipped: %s", model, message)
        return self._summary(model, "skipped", message, **more)

    def _turn_to_failure(self, summary: ModelSummary, message: str) -> None:
        log.error("%s", message)
        summary.status, summary.message = "failed", message
        summary.errors.append(message)

    def not_run(self, model: str, why: str) -> ModelSummary:
        """A summary on disk of a model that was asked for and not begun."""
        summary = self._skipped(model, why)
        self._write_summary(summary)
        return summary

    def last_summary(self, model: str) -> ModelSummary:
        """What the newest summary of a model on disk says."""
        return ModelSummary.model_validate_json(self._summary_path(model).read_bytes())

    def _summary_path(self, model: str) -> Path:
        return self.summaries / f"training_summary_{model}.json"

    def _write_summary(self, summary: ModelSummary) -> None:
        write_atomically(self._summary_path(summary.model_type), to_json(summary.model_dump()))
        with open(self.summaries / HISTORY, "ab") as file:
            file.write(json.dumps(self._result(summary)).encode() + b"\n")
