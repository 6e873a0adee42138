"""Check the data, train in a process, compare with what is live, publish or refuse, and leave a summary of it."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from data_sources import is_sample, single_line
from retraining_manager import runner
from retraining_manager.commands import (
    COMPARISON_SCRIPT,
    SCRIPTS,
    comparison_command,
    secret_environment,
    training_command,
)
from retraining_manager.errors import BusyError, ChampionChangedError, ManagerError
from retraining_manager.gate import Verdict, decide
from retraining_manager.inputs import changed, inputs_of
from retraining_manager.models import SPECS, ModelSpec, spec_of
from retraining_manager.registry import SUMMARY_FILE, VERDICT_FILE, Aliases, Registry
from retraining_manager.settings import RetrainingOptions
from retraining_manager.sufficiency import RowThresholds, Sufficiency, SufficiencyChecker, assess, count
from retraining_manager.summaries import ModelSummary, SummaryFolder, read_training_summary
from training.runs.artifacts import RUN_FILE, metadata_path
from training.runs.comparison import COMPARISON_VARIABLE, Comparison, ComparisonRequest, ModelScores
from training.runs.errors import ArtifactError, TrainingError
from training.runs.files import read_json, to_json
from training.runs.job import SourceChoice
from training.runs.process import failure_line
from training.runs.progress import Progress
from training.runs.publishing import write_atomically
from training.runs.settings import variables
from training.runs.wording import utc_now

log = logging.getLogger(__name__)

SUMMARIES = Path("simulation_results") / "pipeline_summaries"
COMPARISON_SECONDS = 3_600.0
COLD_START = "--accept-cold-start"  # of the training of a model for which rules can make rows up
COMPARISONS = 5  # of one candidate at most, where other versions go live meanwhile
INPUTS_FILE = "trained.json"  # in a registry: what its newest version was trained on
EVALUATION_ROWS = "evaluation_rows.json.gz"  # in a version: the held-out rows that it was scored on


@dataclass(frozen=True)
class _Run:
    """One model's retraining: the model, its versions, a folder for what the processes leave, and what ends them."""

    spec: ModelSpec
    registry: Registry
    folder: Path
    stop: threading.Event | None

    @property
    def trained(self) -> Path:
        """The folder with what the training left."""
        return self.folder / "output"

    @property
    def candidate(self) -> Path:
        """What a loader opens of it."""
        return self.trained / self.registry.production.name if self.spec.artifact == "file" else self.trained

    @property
    def output(self) -> Path:
        """All that the training printed."""
        return self.folder / "output.log"

    @property
    def summary(self) -> Path:
        """The training's own summary."""
        return self.folder / "summary.json"

    @property
    def comparison(self) -> Path:
        """What the comparison found."""
        return self.folder / "comparison.json"

    @property
    def rows(self) -> Path:
        """The held-out rows that the candidate was scored on."""
        return self.folder / EVALUATION_ROWS


class RetrainingManager:
    """Retrains the models. Nothing that is live changes unless a candidate passes the gate.

    Args:
        training_data_directory: A folder of ``<model>_data.json`` files; None reads production's services.
        model_directory: Where versions are kept, and production's paths beside them.
        data_sufficiency_checker: Decides from row counts; by default those of docs/explanation/retraining.md.
        source: The general form of ``training_data_directory``, which is not looked at then.
        options: How to retrain.

    Raises:
        ManagerError: A source is standard input, a pipe or a device, which can be read only once.

    Attributes:
        training_scripts: Model -> the script that trains it.
        comparison_script: The script that compares two models.
        models_supporting_force: The models whose script takes ``--force``.
        summaries: The summaries on disk.
    """

    def __init__(
        self,
        training_data_directory: str | Path | None,
        model_directory: str | Path,
        data_sufficiency_checker: SufficiencyChecker | None = None,
        *,
        source: SourceChoice | None = None,
        options: RetrainingOptions | None = None,
    ) -> None:
        self.training_data_directory = None if training_data_directory is None else Path(training_data_directory)
        self.model_directory = Path(model_directory)
        self.data_sufficiency_checker = data_sufficiency_checker or RowThresholds()
        folder = None if self.training_data_directory is None else str(self.training_data_directory)
        self.source = source or SourceChoice(json_input=folder)
        self.options = options or RetrainingOptions()
        for chosen in (self.source, SourceChoice(data_source=self.options.evaluate_on)):
            if chosen.readable_once is not None:
                raise ManagerError(
                    f"{chosen.readable_once}: can be read only once, and the manager, the training and the comparison "
                    "each read; save it to a file and give that"
                )
        self.training_scripts = {model: SCRIPTS / spec.script for model, spec in SPECS.items()}
        self.comparison_script = SCRIPTS / COMPARISON_SCRIPT
        self.models_supporting_force = {model for model, spec in SPECS.items() if spec.supports_force}
        self.summaries = SummaryFolder(self.model_directory.parent / SUMMARIES)

    def registry(self, model: str) -> Registry:
        """The versions of a model. Raises ManagerError where there is no such model, or ``.env`` cannot be read."""
        spec = spec_of(model)
        return Registry(self.model_directory / model, spec.artifact, self._production(spec), spec.companions)

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
        task = asyncio.create_task(asyncio.to_thread(self._result, model_type, force, stop))
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
                results[model] = self._skip_result(model, why)
        return results

    def get_retraining_history(self, model_type: str | None = None) -> list[dict[str, Any]]:
        """Every run of one model or of all, the oldest first, also those of other processes. Raises OSError."""
        return self.summaries.history(model_type)

    def _skip_result(self, model: str, why: str) -> dict[str, Any]:
        try:
            return self.skip(model, why).result()
        except ArtifactError as error:
            return {"success": False, "model_type": model, "status": "failed", "error": str(error)}

    def _result(self, model: str, force: bool, stop: threading.Event) -> dict[str, Any]:
        try:
            return self.retrain(model, force=force, stop=stop).result()
        except (ManagerError, ArtifactError) as error:  # an unknown model, or a summary that cannot be written
            return {"success": False, "model_type": model, "status": "failed", "error": str(error)}

    # Use cases

    def check(self, models: Iterable[str]) -> dict[str, dict[str, Any]]:
        """``Sufficiency.describe`` of each model.

        Raises ManagerError where there is no such model.
        """
        return {model: self._sufficiency(model).describe() for model in models}

    def skip(self, model: str, why: str) -> ModelSummary:
        """The summary, which is on disk too, of a model that was asked for and not begun. Raises ArtifactError."""
        summary = self._skipped(model, why)
        self.summaries.write(summary)
        return summary

    def retrain(
        self,
        model: str,
        *,
        force: bool = False,
        skip_absent: bool = False,
        stop: threading.Event | None = None,
    ) -> ModelSummary:
        """One model from its data to its place, or to a reason why not; the summary is on disk too.

        Args:
            model: The model.
            force: Train it however few rows there are, and though nothing has changed.
            skip_absent: Skip it where the source has no data for it, instead of failing.
            stop: Ends what runs when it is set.

        Raises:
            ManagerError: There is no such model.
            ArtifactError: The summary cannot be written.
            KeyboardInterrupt: As it came, after the script has ended and the summary is written.
        """
        spec = spec_of(model)
        started = time.monotonic()
        interrupted: KeyboardInterrupt | None = None
        try:
            with self.registry(model).running():
                summary = self._retrain(spec, force, skip_absent, stop)
        except BusyError as error:
            summary = self._skipped(model, str(error))
        except (ManagerError, ArtifactError, OSError) as error:
            summary = self._failed(model, single_line(str(error)))
        except Exception as error:
            log.debug("traceback", exc_info=error)
            summary = self._failed(model, f"{model}: {failure_line(error, spec.memory_hint)}")
        except KeyboardInterrupt as error:
            interrupted = error
            summary = self._failed(model, f"{model}: interrupted; what is live has not changed")
        summary.optional = self.options.of(model).optional
        try:
            summary.champion = self.registry(model).aliases().champion
        except ManagerError as error:
            summary.notes.append(str(error))
        if not summary.training_time_seconds:
            summary.training_time_seconds = round(time.monotonic() - started, 3)
        self.summaries.write(summary)
        if interrupted is not None:
            raise interrupted
        return summary

    def _retrain(self, spec: ModelSpec, force: bool, skip_absent: bool, stop: threading.Event | None) -> ModelSummary:
        model, registry = spec.model, self.registry(spec.model)
        sufficiency = self._sufficiency(model)
        data = sufficiency.data
        if data.error is not None and not (data.absent and skip_absent):
            return self._failed(model, data.error, sufficiency=sufficiency.describe())
        if not sufficiency.enough and (data.error is not None or not force):
            return self._skipped(model, sufficiency.why, sufficiency=sufficiency.describe())
        for warning in sufficiency.warnings:
            log.warning("%s: %s", model, warning)
        adopted = registry.adopt()
        if adopted is not None:
            log.info("%s: took in %s from %s, where another program put it", model, adopted, registry.production)
        inputs = inputs_of(self.training_scripts[model], self.options.of(model).flags, data.digest)
        unchanged = None if force else self._unchanged(registry, inputs)
        if unchanged is not None:
            version, why = unchanged
            summary = self._skipped(model, why, sufficiency=sufficiency.describe(), unchanged=True)
            self._describe(registry, version, summary)
            return summary
        with registry.workplace() as folder:
            run = _Run(spec, registry, folder, stop)
            compared_with = registry.aliases().champion
            ended = self._train(run, force, self._request(run, compared_with))
            summary = read_training_summary(run.summary, spec, ended, self._timeout(model))
            summary.sufficiency = sufficiency.describe()
            if summary.status == "success":
                self._evaluate_and_publish(run, summary, compared_with)
            if summary.status == "success":
                self._note_inputs(registry, inputs, summary)
            self.summaries.keep_output(run.output, summary)
        return summary

    def _unchanged(self, registry: Registry, inputs: Mapping[str, str]) -> tuple[str, str] | None:
        """The version that a training would make again, and why it is not run; None where it is."""
        before = read_json(registry.folder / INPUTS_FILE)
        version, aliases = before.get("version"), registry.aliases()
        known = before.get("inputs")
        if not isinstance(version, str) or version not in registry.versions() or not isinstance(known, dict):
            return None
        differ = changed(known, inputs)
        if differ:
            log.info("%s: %s changed since %s was trained", registry.folder.name, " and ".join(differ), version)
            return None
        is_live = version == aliases.champion
        again = before.get("refused") and before.get("judged") == self._judged(registry, aliases.champion)
        if not is_live and (not again or self.options.evaluate_on is not None):
            return None
        damaged = registry.verify(version)
        if damaged:
            log.warning("%s", damaged[0])
            return None
        fate = "is live" if is_live else f"was refused ({before['refused']})"
        return version, (
            f"nothing has changed since {version} was trained, which {fate}: the same data, code, libraries, flags, "
            "environment and files; --force trains it again"
        )

    def _judged(self, registry: Registry, champion: str | None) -> dict[str, Any]:
        """What a verdict on a candidate depends on beside the candidate."""
        gate = self.options.of(registry.folder.name).gate
        return {"champion": champion, "gate": gate.model_dump(mode="json"), "accept_weak": self.options.accept_weak}

    def _note_inputs(self, registry: Registry, inputs: Mapping[str, str], summary: ModelSummary) -> None:
        """Keep what was trained on, for the next run. Where it cannot be kept, that one trains."""
        refused = summary.message if summary.outcome == "refused" else None
        judged = self._judged(registry, registry.aliases().champion)
        noted = {"version": summary.version, "inputs": dict(inputs), "refused": refused, "judged": judged}
        try:
            write_atomically(registry.folder / INPUTS_FILE, to_json(noted))
        except ArtifactError as error:
            summary.notes.append(f"the next run trains this again: {error}")

    def _sufficiency(self, model: str) -> Sufficiency:
        data = count(model, self.source)
        return assess(data, self.data_sufficiency_checker, require_distinct=self.options.require_distinct)

    def _train(self, run: _Run, force: bool, request: ComparisonRequest) -> runner.Outcome:
        model = run.spec.model
        if run.spec.artifact == "file":
            run.trained.mkdir()
        command = training_command(
            run.spec,
            self.training_scripts[model],
            source=self.source,
            output=run.trained,
            file_name=run.registry.production.name,
            summary=run.summary,
            flags=self.options.of(model).flags,
            force=force and model in self.models_supporting_force,
        )
        asked = {}
        if self.options.evaluate_on is None:  # else the rows are another source's, which another process reads
            path = run.folder / "comparison_request.json"
            path.write_text(request.model_dump_json(), encoding="utf-8")
            asked = {COMPARISON_VARIABLE: str(path)}
        return self._start(run, command, run.output, self._timeout(model), self.source, asked)

    def _evaluate_and_publish(self, run: _Run, summary: ModelSummary, compared_with: str | None) -> None:
        """Compare what was trained with what is live, again where that changes meanwhile, and publish or refuse it.

        ``compared_with`` is the champion with which the training itself has compared, unless it could not.
        """
        spec, registry, model = run.spec, run.registry, run.spec.model
        files = {p.relative_to(run.trained).as_posix(): p for p in sorted(run.trained.rglob("*")) if p.is_file()}
        if not run.candidate.exists() or not files:
            summary.fail(f"{model}: exit code 0, but {run.candidate.name} was not written")
            return
        same = registry.same(files)
        if same is not None and self._is_known(registry, same, summary):
            return
        for _ in range(COMPARISONS):
            aliases = registry.aliases()
            if self._is_made_up(registry, aliases.champion, summary):
                return
            found = self._read_comparison(run, aliases.champion) if aliases.champion == compared_with else None
            comparison, failure = (found, None) if found else self._compare(run, aliases.champion, summary)
            compared_with = aliases.champion
            verdict = decide(
                spec,
                comparison,
                aliases.champion,
                self.options.of(model).gate,
                accept_weak=self.options.accept_weak,
                champion_held_out=aliases.champion is not None and registry.went_live_held_out(aliases.champion),
            )
            try:
                self._publish(run, files, comparison, verdict, aliases, summary)
                break
            except ChampionChangedError as error:
                log.info("%s; comparing again", error)
        else:
            why = f"the live version changed {COMPARISONS} times while this one was compared; the next run tries again"
            refused = verdict.model_copy(update={"verdict": "NOT_BLESSED", "reasons": [why, *verdict.reasons]})
            self._publish(run, files, comparison, refused, None, summary)
        if failure is not None:
            summary.fail(failure)

    def _is_made_up(self, registry: Registry, champion: str | None, summary: ModelSummary) -> bool:
        """Whether pairs that rules made would replace a model of known ones, unasked; then it says so."""
        asked = COLD_START in self.options.of(summary.model_type).flags
        if champion is None or asked or not summary.audit.get("generated_pairs", 0):
            return False
        if (self._described(registry, champion).get("audit") or {}).get("generated_pairs", 0):
            return False
        summary.status = "skipped"
        summary.message = (
            f"{champion} stays live: no synergy is known now, and pairs generated from rules do not replace it. Check "
            f"the synergy table, or put {COLD_START} into the model's flags"
        )
        log.warning("%s: %s", summary.model_type, summary.message)
        return True

    def _is_known(self, registry: Registry, same: str, summary: ModelSummary) -> bool:
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
        self._describe(registry, same, summary)
        log.info("%s: %s", summary.model_type, summary.message)
        return True

    def _describe(self, registry: Registry, version: str, summary: ModelSummary) -> None:
        summary.version = version
        summary.model_path = str(registry.model_path(version))
        summary.production_path = str(registry.production)

    def _publish(
        self,
        run: _Run,
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
                self._describe(registry, made, summary)
            summary.fail(f"{made or model} {'is live, but' if summary.promoted else 'was not published:'} {error}")
            return
        self._describe(registry, version, summary)
        log.info("%s: Saved: %s", model, summary.model_path)
        summary.promoted = verdict.blessed
        summary.message = f"trained and refused: {verdict.reasons[0]}"
        if verdict.blessed:
            summary.message = f"trained and published as {version}: {verdict.reasons[0]}"
        log.info("%s: %s", model, summary.message)
        of_sample = self._is_of_sample(registry, None if verdict.blessed else verdict.champion)
        if of_sample and not is_sample(summary.source.get("location", "")):
            summary.notes.append(f"{verdict.champion}, which stays live, was trained on the shipped sample")
            log.warning("%s: %s", model, summary.notes[-1])

    def _is_of_sample(self, registry: Registry, version: str | None) -> bool:
        """Whether a version says that it was trained on the sample that ships with the project."""
        source = {} if version is None else self._described(registry, version).get("source") or {}
        return is_sample(str(source.get("location", "")))

    def _described(self, registry: Registry, version: str) -> dict[str, Any]:
        """What a version says of its training; empty where it says nothing."""
        described = registry.path(version) / SUMMARY_FILE
        if not described.is_file():  # another program's training
            model = registry.model_path(version)
            described = model / RUN_FILE if model.is_dir() else metadata_path(model)
        return read_json(described)

    def _request(self, run: _Run, champion: str | None) -> ComparisonRequest:
        """What to score: the candidate and, where it is whole, the champion, also on the rows it went live on."""
        champion_path = champion_rows = None
        if champion is not None and not run.registry.verify(champion):
            champion_path = run.registry.model_path(champion)
            saved = run.registry.path(champion) / EVALUATION_ROWS
            if self.options.evaluate_on is None and saved.is_file():  # else the user says which rows are right
                champion_rows = saved
        return ComparisonRequest(
            candidate=run.candidate,
            champion=champion_path,
            champion_rows=champion_rows,
            output=run.comparison,
            save_rows=run.rows,
        )

    def _compare(self, run: _Run, champion: str | None, summary: ModelSummary) -> tuple[Comparison, str | None]:
        """Score candidate and champion in one process on the same rows; what came of it, and why it failed if so."""
        spec, evaluate_on = run.spec, self.options.evaluate_on
        source = self.source if evaluate_on is None else SourceChoice(data_source=evaluate_on)
        command = comparison_command(spec, self.comparison_script, source=source, **dict(self._request(run, champion)))
        log.info("%s: comparing with %s", spec.model, champion or "the baselines alone, there is no champion")
        timeout = self._timeout(spec.model) or COMPARISON_SECONDS
        run.comparison.unlink(missing_ok=True)
        ended = self._start(run, command, run.folder / "comparison.log", timeout, source)
        summary.process["comparison"] = ended.describe()
        failure = ended.failure(COMPARISON_SCRIPT, spec.memory_hint, timeout)
        if failure is None:
            found = self._read_comparison(run, champion)
            if found is not None:
                return found, None
            failure = f"{COMPARISON_SCRIPT}: left nothing that can be used"
        nothing = Comparison(
            model_type=spec.model,
            held_out=False,
            reason=str(failure),
            rows=0,
            fingerprint="",
            candidate=ModelScores(error=f"it could not be judged: {failure}"),
        )
        return nothing, f"{spec.model}: trained, but it could not be judged: {failure}"

    def _read_comparison(self, run: _Run, champion: str | None) -> Comparison | None:
        """What a comparison with ``champion`` found; None where it left nothing that can be used."""
        try:
            found = Comparison.model_validate_json(run.comparison.read_bytes())
        except (OSError, ValidationError) as error:
            log.debug("%s: %s", run.comparison, error)
            return None
        broken = run.registry.verify(champion) if champion is not None else []
        if broken:
            found.champion = ModelScores(error=broken[0])
        return found

    def _start(
        self,
        run: _Run,
        command: Sequence[str],
        output: Path,
        timeout: float | None,
        source: SourceChoice,
        environment: Mapping[str, str] | None = None,
    ) -> runner.Outcome:
        with Progress(f"{run.spec.model}: {output.stem if output != run.output else 'training'}"):
            return runner.run(
                command,
                output,
                timeout=timeout,
                environment={"PYTHONUNBUFFERED": "1", **secret_environment(source), **(environment or {})},
                on_line=lambda level, line: log.log(level, "%s | %s", run.spec.model, line),
                stop=run.stop,
            )

    def _production(self, spec: ModelSpec) -> Path:
        if spec.place_variable is not None:
            try:
                chosen = variables().get(spec.place_variable)
            except TrainingError as error:
                raise ManagerError(str(error)) from error
            if chosen:
                return Path(chosen)
        first, *rest = spec.production.parts
        if first == "models":
            return self.model_directory.joinpath(*rest)
        return self.model_directory.parent / spec.production

    def _timeout(self, model: str) -> float | None:
        return self.options.of(model).timeout or self.options.timeout

    def _failed(self, model: str, message: str, **more: Any) -> ModelSummary:
        log.error("%s", message if message.startswith(model) else f"{model}: {message}")
        return ModelSummary.of(model, "failed", message, **more)

    def _skipped(self, model: str, message: str, **more: Any) -> ModelSummary:
        log.info("%s: skipped: %s", model, message)
        return ModelSummary.of(model, "skipped", message, optional=self.options.of(model).optional, **more)
