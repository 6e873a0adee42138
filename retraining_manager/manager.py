"""Retrain models: check the data, run what has to be run, and leave a summary however it ends."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from data_sources import single_line
from retraining_manager.commands import COMPARISON_SCRIPT, SCRIPTS
from retraining_manager.errors import BusyError, ManagerError
from retraining_manager.inputs import inputs_of
from retraining_manager.model_run import ModelRun
from retraining_manager.models import SPECS, ModelSpec, spec_of
from retraining_manager.promotion import compare_and_publish
from retraining_manager.registry import Registry
from retraining_manager.saying_once import SaidOnce, saying_once
from retraining_manager.settings import RetrainingOptions
from retraining_manager.sufficiency import RowThresholds, Sufficiency, SufficiencyChecker, assess, count
from retraining_manager.summaries import ModelSummary, SummaryFolder, read_training_summary
from retraining_manager.unchanged import already_trained, note_inputs
from training.runs.errors import ArtifactError
from training.runs.job import SourceChoice
from training.runs.process import failure_line

log = logging.getLogger(__name__)

SUMMARIES = Path("simulation_results") / "pipeline_summaries"


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
        production = spec.production_path(self.model_directory)
        return Registry(self.model_directory / spec.model, spec.artifact, production, spec.companions)

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
        with saying_once():
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
        said: SaidOnce | None = None,
    ) -> ModelSummary:
        """One model from its data to its place, or to a reason why not; the summary is on disk too.

        Args:
            model: The model.
            force: Train it however few rows there are, and though nothing has changed.
            skip_absent: Skip it where the source has no data for it, instead of failing.
            stop: Ends what runs when it is set.
            said: What was logged of the models before it in the same run; what it has in common is not logged again.

        Raises:
            ManagerError: There is no such model.
            ArtifactError: The summary cannot be written.
            KeyboardInterrupt: As it came, after the script has ended and the summary is written.
        """
        spec = spec_of(model)
        model = spec.model
        started = time.monotonic()
        interrupted: KeyboardInterrupt | None = None
        try:
            with self.registry(model).running():
                summary = self._retrain(spec, force, skip_absent, stop, said)
        except BusyError as error:
            summary = self._skipped(model, str(error))
        except (ManagerError, ArtifactError, OSError) as error:
            summary = self._failed(model, single_line(str(error)), said)
        except Exception as error:
            log.debug("traceback", exc_info=error)
            summary = self._failed(model, f"{model}: {failure_line(error, spec.memory_hint)}", said)
        except KeyboardInterrupt as error:
            interrupted = error
            summary = self._failed(model, f"{model}: interrupted; what is live has not changed", said)
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

    def _retrain(
        self, spec: ModelSpec, force: bool, skip_absent: bool, stop: threading.Event | None, said: SaidOnce | None
    ) -> ModelSummary:
        model, registry = spec.model, self.registry(spec.model)
        sufficiency = self._sufficiency(model)
        data = sufficiency.data
        if data.error is not None and not (data.absent and skip_absent):
            return self._failed(model, data.error, said, sufficiency=sufficiency.describe())
        if not sufficiency.enough and (data.error is not None or not force):
            return self._skipped(model, sufficiency.why, sufficiency=sufficiency.describe())
        for warning in sufficiency.warnings:
            log.warning("%s: %s", model, warning)
        registry.adopt()
        inputs = inputs_of(self.training_scripts[model], self.options.of(model).flags, data.digest)
        unchanged = None if force else already_trained(registry, inputs, self.options)
        if unchanged is not None:
            version, why = unchanged
            summary = self._skipped(model, why, sufficiency=sufficiency.describe(), unchanged=True)
            summary.point_to(registry, version)
            return summary
        with registry.workplace() as folder:
            run = ModelRun(
                spec=spec,
                registry=registry,
                folder=folder,
                source=self.source,
                options=self.options,
                training_script=self.training_scripts[model],
                comparison_script=self.comparison_script,
                stop=stop,
            )
            compared_with = registry.aliases().champion
            ended = run.train(compared_with, force=force and model in self.models_supporting_force)
            summary = read_training_summary(run.summary, spec, ended, run.timeout)
            summary.sufficiency = sufficiency.describe()
            if summary.status == "success":
                compare_and_publish(run, summary, compared_with)
            if summary.status == "success":
                note_inputs(registry, inputs, self.options, summary)
            self.summaries.keep_output(run.output, summary)
        return summary

    def _sufficiency(self, model: str) -> Sufficiency:
        data = count(model, self.source)
        return assess(data, self.data_sufficiency_checker, require_distinct=self.options.require_distinct)

    def _failed(self, model: str, message: str, said: SaidOnce | None, **more: Any) -> ModelSummary:
        told = message if said is None else said.failure(model, message)
        log.error("%s", told if told.startswith(f"{model}:") else f"{model}: {told}")
        return ModelSummary.of(model, "failed", message, **more)

    def _skipped(self, model: str, message: str, **more: Any) -> ModelSummary:
        log.info("%s: skipped: %s", model, message)
        return ModelSummary.of(model, "skipped", message, optional=self.options.of(model).optional, **more)
