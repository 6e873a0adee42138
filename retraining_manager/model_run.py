"""One model's retraining: its folder, and the processes that train a candidate there and compare it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from retraining_manager import runner
from retraining_manager.commands import COMPARISON_SCRIPT, comparison_command, secret_environment, training_command
from retraining_manager.models import ModelSpec
from retraining_manager.registry import Registry
from retraining_manager.settings import RetrainingOptions
from retraining_manager.summaries import ModelSummary
from training.runs.comparison import COMPARISON_VARIABLE, Comparison, ComparisonRequest, ModelScores
from training.runs.job import SourceChoice
from training.runs.progress import Progress

log = logging.getLogger(__name__)

COMPARISON_SECONDS = 3_600.0  # unless a timeout is set
EVALUATION_ROWS = "evaluation_rows.json.gz"  # in a version: the held-out rows that it was scored on


@dataclass(frozen=True, kw_only=True)
class ModelRun:
    """One model's retraining.

    Attributes:
        spec: The model.
        registry: Its versions.
        folder: For what the processes leave.
        source: Where the data is.
        options: How to retrain.
        training_script: What trains the model.
        comparison_script: What compares two of its versions.
        stop: Ends what runs when it is set.
    """

    spec: ModelSpec
    registry: Registry
    folder: Path
    source: SourceChoice
    options: RetrainingOptions
    training_script: Path
    comparison_script: Path
    stop: threading.Event | None

    @property
    def timeout(self) -> float | None:
        """Seconds that a process may take."""
        return self.options.of(self.spec.model).timeout or self.options.timeout

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

    def train(self, champion: str | None, *, force: bool) -> runner.Outcome:
        """Train a candidate, and have the same process compare it with ``champion`` where it can."""
        if self.spec.artifact == "file":
            self.trained.mkdir()
        command = training_command(
            self.spec,
            self.training_script,
            source=self.source,
            output=self.trained,
            file_name=self.registry.production.name,
            summary=self.summary,
            flags=self.options.of(self.spec.model).flags,
            force=force,
        )
        asked = {}
        if self.options.evaluate_on is None:  # else the rows are another source's, which another process reads
            path = self.folder / "comparison_request.json"
            path.write_text(self._request(champion).model_dump_json(), encoding="utf-8")
            asked = {COMPARISON_VARIABLE: str(path)}
        return self._start(command, self.output, self.timeout, self.source, asked)

    def compare(self, champion: str | None, summary: ModelSummary) -> tuple[Comparison, str | None]:
        """Score candidate and champion in one process on the same rows; what came of it, and why it failed if so."""
        spec, evaluate_on = self.spec, self.options.evaluate_on
        source = self.source if evaluate_on is None else SourceChoice(data_source=evaluate_on)
        command = comparison_command(spec, self.comparison_script, source=source, **dict(self._request(champion)))
        log.info("%s: comparing with %s", spec.model, champion or "the baselines alone, there is no champion")
        timeout = self.timeout or COMPARISON_SECONDS
        self.comparison.unlink(missing_ok=True)
        ended = self._start(command, self.folder / "comparison.log", timeout, source)
        summary.process["comparison"] = ended.describe()
        failure = ended.failure(COMPARISON_SCRIPT, spec.memory_hint, timeout)
        found = self.read_comparison(champion)
        if found is not None:  # it is written whole and last, also where a model could not be loaded
            return found, None
        failure = failure or f"{COMPARISON_SCRIPT}: left nothing that can be used"
        nothing = Comparison(
            model_type=spec.model,
            held_out=False,
            reason=str(failure),
            rows=0,
            fingerprint="",
            candidate=ModelScores(error=f"it could not be judged: {failure}"),
        )
        return nothing, f"{spec.model}: trained, but it could not be judged: {failure}"

    def read_comparison(self, champion: str | None) -> Comparison | None:
        """What a comparison with ``champion`` found; None where it left nothing that can be used."""
        try:
            found = Comparison.model_validate_json(self.comparison.read_bytes())
        except (OSError, ValidationError) as error:
            log.debug("%s: %s", self.comparison, error)
            return None
        broken = self.registry.verify(champion) if champion is not None else []
        if broken:
            found.champion = ModelScores(error=broken[0])
        return found

    def _request(self, champion: str | None) -> ComparisonRequest:
        """What to score: the candidate and, where it is whole, the champion, also on the rows it went live on."""
        champion_path = champion_rows = None
        if champion is not None and not self.registry.verify(champion):
            champion_path = self.registry.model_path(champion)
            saved = self.registry.path(champion) / EVALUATION_ROWS
            if self.options.evaluate_on is None and saved.is_file():  # else the user says which rows are right
                champion_rows = saved
        return ComparisonRequest(
            candidate=self.candidate,
            champion=champion_path,
            champion_rows=champion_rows,
            output=self.comparison,
            save_rows=self.rows,
            least_rows=self.options.of(self.spec.model).gate.minimum_rows,
        )

    def _start(
        self,
        command: Sequence[str],
        output: Path,
        timeout: float | None,
        source: SourceChoice,
        environment: Mapping[str, str] | None = None,
    ) -> runner.Outcome:
        with Progress(f"{self.spec.model}: {output.stem if output != self.output else 'training'}"):
            return runner.run(
                command,
                output,
                timeout=timeout,
                environment={"PYTHONUNBUFFERED": "1", **secret_environment(source), **(environment or {})},
                on_line=lambda level, line: log.log(level, "%s | %s", self.spec.model, line),
                stop=self.stop,
            )
