"""The configuration of an adapter's training, the options of a run, and the limits that follow from them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from training.runs.models import MODELS
from training.runs.settings import Config, Positive, PositiveFloat, Setting

Method = Literal["lora", "dora", "rslora", "prompt", "prefix", "p-tuning"]
Pieces = Literal["unigram", "bpe"]

DEFAULT_BASE = "google/flan-t5-small"
SCRATCH = "scratch"  # the name of a base that is trained on the data
# LoRA changes the output of every layer a little; prompt methods train few numbers, which have to move far.
LEARNING_RATES = {"lora": 5e-5, "dora": 5e-5, "rslora": 5e-5, "prompt": 0.1, "prefix": 0.01, "p-tuning": 0.01}
UPDATE_ROWS = 4  # rows in an update at least: production uses batches of 1 and accumulates the gradients of four


class Limits(NamedTuple):
    """Tokens of source and target at most: of one row, which is cut there, or of a padded batch."""

    source: int
    target: int


class FitSettings(NamedTuple):
    """Hyperparameters of a fit.

    Attributes:
        epochs: Passes over the training rows.
        learning_rate: Peak learning rate.
        batch_size: Rows in an update, in each process.
        seed: Seed of the order of the rows and of dropout.
        warmup: Share of the steps in which the learning rate rises.
        at_once: Tokens of a padded batch at most. The rows of an update are computed in batches of this size and their
            gradients are added, so the update stays the same. None computes them in one batch.
    """

    epochs: int
    learning_rate: float
    batch_size: int
    seed: int
    warmup: float = 0.0
    at_once: Limits | None = None


class AdapterConfig(Config):
    """How an adapter is trained. The defaults are production's; that of the learning rate depends on the method."""

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
        """Tokens of one row at most."""
        return Limits(self.source_max_tokens, self.target_max_tokens)

    @property
    def at_once(self) -> Limits:
        """Tokens of a padded batch at most: those of ``batch_size`` rows of full length, or of more shorter rows."""
        return Limits(self.batch_size * self.source_max_tokens, self.batch_size * self.target_max_tokens)

    @property
    def fit_settings(self) -> FitSettings:
        """Hyperparameters of the fit; an update has at least ``UPDATE_ROWS`` rows."""
        rows = max(UPDATE_ROWS, self.batch_size)
        return FitSettings(self.epochs, self.learning_rate, rows, self.seed, at_once=self.at_once)


class AdapterOptions(Config):
    """The options of a run: where it is written, how many rows it reads, and which run it resumes.

    Each wing sets its own defaults of ``output_dir`` and ``max_samples``.
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
    """The options of a soft prompt run."""

    output_dir: Annotated[Path, Setting("Where runs and the link `latest` are.")] = MODELS["soft_prompt"].place
    max_samples: Annotated[Positive, Setting("Rows at most, the newest of a database.")] = 2_000
    db_path: Annotated[
        Path, Setting("Production's SQLite file, read where no other flag names a source.", metavar="FILE")
    ] = Path("data/ai_automation.db")
