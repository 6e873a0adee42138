"""The configuration of an adapter's training, the options of a run, and the limits that follow from them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field, SecretStr, model_validator

from training.runs.models import MODELS
from training.runs.settings import Config, Positive, PositiveFloat, Seed, Setting

Method = Literal["lora", "dora", "rslora", "prompt", "prefix", "p-tuning"]
Pieces = Literal["unigram", "bpe"]

CHECKPOINTS = "checkpoints"  # the folder of a run's checkpoints
DEFAULT_BASE = "google/flan-t5-small"
SCRATCH = "scratch"  # the name of a base that is trained on the data
# LoRA changes the output of every layer a little; prompt methods train few numbers, which have to move far.
LEARNING_RATES = {"lora": 5e-5, "dora": 5e-5, "rslora": 5e-5, "prompt": 0.1, "prefix": 0.01, "p-tuning": 0.01}
UPDATE_ROWS = 4  # rows in an update at least: production uses batches of 1 and accumulates the gradients of four


def _absolute_folder(name: str) -> str:
    """A folder's absolute path, so that a model finds its base from any working directory; any other name as it is."""
    if name == SCRATCH:
        return name
    path = Path(name)
    if name.startswith("~"):
        with suppress(RuntimeError):  # there is no home
            path = path.expanduser()
    return str(path.resolve()) if path.is_dir() else name


BaseModelName = Annotated[str, AfterValidator(_absolute_folder)]


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


BASE_HELP = (
    "The base model to adapt: a folder, a name on the Hugging Face hub, or scratch (a small T5 made from the data)."
)


class AdapterConfig(Config):
    """How an adapter is trained. The defaults are production's; that of the learning rate depends on the method."""

    base_model: Annotated[BaseModelName, Setting(BASE_HELP)] = DEFAULT_BASE
    method: Annotated[Method, Setting("The PEFT method of the adapter.")] = "lora"
    epochs: Annotated[Positive, Setting("Passes over the training rows.")] = 3
    learning_rate: Annotated[
        PositiveFloat,
        Setting(
            "Initial learning rate, which falls linearly to 0.",
            default="5e-5; 0.1 for prompt, 0.01 for prefix and p-tuning",
        ),
    ] = 5e-5
    batch_size: Annotated[
        Positive,
        Setting("Rows of full length computed together, which bounds memory. An optimizer step uses at least 4 rows."),
    ] = 1
    source_max_tokens: Annotated[Positive, Setting("Longest request, in tokens; the rest is cut.")] = 384
    target_max_tokens: Annotated[Positive, Setting("Longest answer, in tokens.")] = 384
    lora_r: Annotated[Positive, Setting("Rank of the adapter; for lora, dora and rslora.")] = 16
    lora_alpha: Annotated[PositiveFloat, Setting("Alpha, the scale of the adapter; for lora, dora and rslora.")] = 16.0
    lora_dropout: Annotated[float, Field(ge=0, lt=1), Setting("Dropout in the adapter; for lora, dora and rslora.")] = (
        0.05
    )
    seed: Seed = 0

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


OutputDir = Annotated[Path, Setting("Folder of all runs and of the link `latest`, which points at the newest.")]
MaxSamples = Annotated[Positive, Setting("Rows to read at most; a database yields the newest.")]


class AdapterOptions(Config):
    """The options of a run: where it is written, how many rows it reads, and which run it resumes.

    Each wing sets its own defaults of ``output_dir`` and ``max_samples``.
    """

    output_dir: OutputDir
    max_samples: MaxSamples
    run_directory: Annotated[Path | None, Setting("Folder of this run.", default="<output-dir>/<run-id>")] = None
    run_id: Annotated[str | None, Setting("Name of this run.", default="run_YYYYMMDD_HHMMSS, in UTC")] = None
    resume_from: Annotated[
        Path | None, Setting("Start a new run from the adapter of this finished run.", metavar="RUN_DIRECTORY")
    ] = None
    resume_run: Annotated[
        Path | None,
        Setting("Resume this stopped run. The result is that of an uninterrupted run.", metavar="RUN_DIRECTORY"),
    ] = None


class SoftPromptConfig(AdapterConfig):
    """How the soft prompt is trained."""

    base_model: Annotated[BaseModelName, Setting(BASE_HELP, ("SOFT_PROMPT_BASE_MODEL",))] = DEFAULT_BASE


class SoftPromptOptions(AdapterOptions):
    """The options of a soft prompt run."""

    output_dir: OutputDir = MODELS["soft_prompt"].place
    max_samples: MaxSamples = 2_000
    db_path: Annotated[
        Path | None,
        Setting(
            "The SQLite file to read.",
            default="$DATABASE_URL, else $DATABASE_PATH, else $POSTGRES_URL, else data/ai_automation.db",
            metavar="FILE",
        ),
    ] = None
    pg_url: Annotated[
        SecretStr | None,
        Setting(
            "The PostgreSQL database to read, as postgresql://user@host/db. It comes before --db-path.",
            default="as of --db-path",
            metavar="URL",
        ),
    ] = None
