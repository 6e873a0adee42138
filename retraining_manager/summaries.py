"""The summary of each run on disk: what a training wrote, what became of its model, and the history of all runs."""

from __future__ import annotations

import json
import logging
import os
import shutil
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from data_sources.counting import many
from retraining_manager.models import ModelSpec
from retraining_manager.registry import Registry
from retraining_manager.runner import Outcome
from training.runs.files import read_json_lines, to_json
from training.runs.publishing import write_atomically
from training.runs.summary import Status, TrainingSummary
from training.runs.wording import utc_now

HISTORY = "retraining_history.jsonl"

log = logging.getLogger(__name__)


class ModelSummary(TrainingSummary):
    """``training_summary_<model>.json``: the training's own summary with what became of the model."""

    promoted: bool = False
    version: str | None = None
    champion: str | None = None
    production_path: str | None = None
    verdict: dict[str, Any] = Field(default_factory=dict)
    sufficiency: dict[str, Any] = Field(default_factory=dict)
    process: dict[str, Any] = Field(default_factory=dict)
    optional: bool = False
    unchanged: bool = False  # skipped, for it would only make again what there is

    @classmethod
    def of(cls, model: str, status: Status, message: str, **more: Any) -> ModelSummary:
        """A summary of a model that no training wrote one of."""
        errors = [message] if status == "failed" else []
        return cls(timestamp=utc_now(), model_type=model, status=status, message=message, errors=errors, **more)

    @property
    def outcome(self) -> str:
        """What became of the model: published, unchanged, refused, skipped, failed, failed (optional)."""
        if self.status == "success":
            same = self.version is not None and self.version == self.champion
            return "published" if self.promoted else "unchanged" if same else "refused"
        return f"{self.status} (optional)" if self.status == "failed" and self.optional else self.status

    def fail(self, message: str) -> None:
        """Turn it into that of a failure."""
        log.error("%s", message)
        self.status, self.message = "failed", message
        self.errors.append(message)

    def point_to(self, registry: Registry, version: str) -> None:
        """Say which version it is of, and where that lies."""
        self.version = version
        self.model_path = str(registry.model_path(version))
        self.production_path = str(registry.production)

    def result(self) -> dict[str, Any]:
        """What ``RetrainingManager.retrain_model`` returns."""
        result: dict[str, Any] = {
            "success": self.status == "success" or self.unchanged,
            "model_type": self.model_type,
            "status": self.status,
            "end_time": self.timestamp,
            "duration_seconds": self.training_time_seconds,
            "promoted": self.promoted,
            "version": self.version,
            "verdict": self.verdict.get("verdict"),
        }
        if self.status == "failed":
            result["error"] = "; ".join(self.errors)
        if self.status == "skipped":
            result |= {"skipped": True, "reason": self.message}
        return result


def read_training_summary(path: Path, spec: ModelSpec, ended: Outcome, timeout: float | None) -> ModelSummary:
    """The training's own words, and what its process says where it left none. Its output is never parsed."""
    failure = ended.failure(spec.model, spec.memory_hint, timeout)

    def unusable(message: str) -> ModelSummary:
        log.error("%s", failure or message)
        return ModelSummary.of(spec.model, "failed", failure or message)

    try:
        written = TrainingSummary.model_validate_json(path.read_bytes()).model_dump()
        to_json(written)  # so that a number that JSON has no name for fails here
        summary = ModelSummary(**written)
    except FileNotFoundError:
        summary = unusable(f"{spec.model}: exit code 0, but no summary was written")
    except (OSError, ValueError) as error:
        what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        summary = unusable(f"{spec.model}: its summary cannot be used ({what})")
    else:
        if failure is not None:
            summary.status = "failed"
            if not summary.errors or ended.timed_out:
                summary.errors.append(failure)
        elif summary.status == "failed" and not summary.errors:
            summary.errors.append(f"{spec.model}: failed without saying why")
    summary.model_type = spec.model
    summary.process = ended.describe()
    if not summary.training_time_seconds > 0:  # a script's own clock may have jumped
        summary.training_time_seconds = ended.seconds
    if ended.output_lost is not None:
        summary.notes.append(ended.output_lost)
    if summary.status == "failed":
        summary.message = "; ".join(summary.errors)
    return summary


class SummaryFolder:
    """The summaries of the newest run of each model, their output, and one line for every run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, summary: ModelSummary) -> None:
        """Replace the model's summary and add to the history. Raises ArtifactError or OSError."""
        write_atomically(self._path(summary.model_type), to_json(summary.model_dump()))
        with open(self.folder / HISTORY, "ab+") as file:
            cut_off = file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"  # by a crash
            file.write((b"\n" if cut_off else b"") + json.dumps(summary.result()).encode() + b"\n")

    def last(self, model: str) -> ModelSummary:
        """The newest summary of a model. Raises OSError or ValueError where there is none that can be read."""
        return ModelSummary.model_validate_json(self._path(model).read_bytes())

    def history(self, model: str | None = None) -> list[dict[str, Any]]:
        """``ModelSummary.result`` of every run of one model or of all, the oldest first. Raises OSError."""
        entries, damaged = read_json_lines(self.folder / HISTORY, ("model_type",))
        if damaged:
            log.warning("%s: left out, for they hold no run: %s", self.folder / HISTORY, many(damaged, "line"))
        return [entry for entry in entries if model in (None, entry["model_type"])]

    def keep_output(self, output: Path, summary: ModelSummary) -> None:
        """Copy a training's whole output beside its summary, also of a run that left no version."""
        copy = self.folder / f"training_output_{summary.model_type}.log"
        try:
            if output.is_file():
                self.folder.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(output, copy)
                summary.process["output"] = str(copy)
        except OSError as error:
            summary.notes.append(f"{copy}: cannot be written ({error.strerror})")

    def _path(self, model: str) -> Path:
        return self.folder / f"training_summary_{model}.json"
