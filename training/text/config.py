"""How an adapter is trained: its configuration, what a run is told beside it, and the limits that follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from training.runs.models import MODELS
from training.runs.settings import Config, Positive, PositiveFloat, Setting

Method = Literal["lora", "dora", "rslora", "prompt", "prefix", "p-tuning"]
Pieces = Literal["unigram", "bpe"]

DEFAULT_BASE = "google/flan-t5-small"
SCRATCH = "scratch"  # a base that is trained on the data
# Adapters move all of a layer's output a little; a soft prompt has few numbers to say everything with.
LEARNING_RATES = {"lora": 5e-5, "dora": 5e-5, "rslora": 5e-5, "prompt": 0.1, "prefix": 0.01, "p-tuning": 0.01}
UPDATE_ROWS = 4  # that an update sees at least: production takes batches of 1 and gathers the gradients of four


class Limits(NamedTuple):
    """Tokens of source and of target at most: of a row, which is cut there, or of rows together with their padding."""

    source: int
    target: int


class FitSettings(NamedTuple):
    """What a fit needs beside the model and the data.

    ``batch_size`` are the rows of an update in each process. They are computed together, or, given ``at_once``, as many
    at a time as take no more tokens than that; the update is the same. ``warmup`` is a share of the steps.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    seed: int
    warmup: float = 0.0
    at_once: Limits | None = None


class AdapterConfig(Config):
    """How an adapter is trained; the defaults are production's. The learning rate's depends on the method."""

    base_model: Annotated[str, Setting("A model's folder or hub name, or scratch.")] = DEFAULT_BASE
    method: Annotated[Method, Setting("The kind of adapter.")] = "lora"
    epochs: Annotated[Positive, Setting("Passes over the training rows.")] = 3
    learning_rate: Annotated[
        PositiveFloat,
        Setting("The optimizer's step.", default="5e-5; 0.1 for prompt, 0.01 for prefix and p-tuning"),
    ] = 5e-5
    batch_size: Annotated[Positive, Setting("Rows in one step.")] = 1
    source_max_tokens: Annotated[Positive, Setting("Tokens of a request at most.")] = 384
    target_max_tokens: Annotated[Positive, Setting("Tokens of an answer at most.")] = 384
    lora_r: Annotated[Positive, Setting("Rank of a LoRA adapter.")] = 16
    lora_alpha: Annotated[PositiveFloat, Setting("Scale of a LoRA adapter.")] = 16.0
    lora_dropout: Annotated[float, Field(ge=0, lt=1), Setting("Dropout in a LoRA adapter.")] = 0.05
    seed: Annotated[
        int, Field(ge=0, lt=2**32), Setting("Same seed, data and versions: the same model, byte for byte.")
    ] = 0

    @model_validator(mode="before")
    @classmethod
    def _rate_of_method(cls, values: Any) -> Any:
        if isinstance(values, dict) and "learning_rate" not in values:
            rate = LEARNING_RATES.get(values.get("method", "lora"))
            return values if rate is None else {**values, "learning_rate": rate}
        return values

    @property
    def limits(self) -> Limits:
        """Tokens of a row at most."""
        return Limits(self.source_max_tokens, self.target_max_tokens)

    @property
    def at_once(self) -> Limits:
        """Tokens computed together: those of ``batch_size`` rows as long as they may be; of shorter ones, more rows."""
        return Limits(self.batch_size * self.source_max_tokens, self.batch_size * self.target_max_tokens)

    @property
    def fit_settings(self) -> FitSettings:
        """How an adapter is fitted; an update sees at least ``UPDATE_ROWS`` rows."""
        rows = max(UPDATE_ROWS, self.batch_size)
        return FitSettings(self.epochs, self.learning_rate, rows, self.seed, at_once=self.at_once)


class AdapterOptions(Config):
    """What a training run is told beside its configuration: where runs go, and which one it resumes.

    A wing gives ``output_dir`` and ``max_samples`` its own defaults.
    """

    output_dir: Annotated[Path, Setting("Where runs and the link `latest` are.")]
    max_samples: Annotated[Positive, Setting("Rows at most, the newest of a database.")]
    run_directory: Annotated[Path | None, Setting("This run's folder.", default="<output-dir>/<run-id>")] = None
    run_id: Annotated[str | None, Setting("This run's name.", default="run_YYYYMMDD_HHMMSS, UTC")] = None
    resume_from: Annotated[
        Path | None, Setting("Start a new run from the adapter of this finished one.", metavar="RUN_DIRECTORY")
    ] = None
    resume_run: Annotated[
        Path | None,
        Setting("Resume this run, which was stopped; it ends as if it had not been.", metavar="RUN_DIRECTORY"),
    ] = None


class SoftPromptConfig(AdapterConfig):
    """How the soft prompt is trained."""

    base_model: Annotated[str, Setting("A model's folder or hub name, or scratch.", ("SOFT_PROMPT_BASE_MODEL",))] = (
        DEFAULT_BASE
    )


class SoftPromptOptions(AdapterOptions):
    """What a training of the soft prompt is told beside its configuration."""

    output_dir: Annotated[Path, Setting("Where runs and the link `latest` are.")] = MODELS["soft_prompt"].place
    max_samples: Annotated[Positive, Setting("Rows at most, the newest of a database.")] = 2_000
    db_path: Annotated[
        Path, Setting("Production's SQLite file, read where no other flag names a source.", metavar="FILE")
    ] = Path("data/ai_automation.db")
