"""Typed configuration of a run: what a model is trained with, and where production's environment says so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from training.runs.errors import TrainingError

Positive = Annotated[int, Field(gt=0)]


class SynergyConfig(BaseModel):
    """How the synergy model is trained. A misspelt name is an error.

    ``batch_size`` counts homes in one optimizer step, ``patience`` epochs without a better validation score.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    hidden_dim: Positive = 64
    num_layers: Annotated[int, Field(ge=1, le=8)] = 2
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    batch_size: Positive = 32
    epochs: Positive = 30
    patience: Positive = 5
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class GnnSettings(BaseSettings):
    """Production's ``GNN_*`` variables, from the environment or ``.env`` in the working directory."""

    model_config = SettingsConfigDict(
        env_prefix="GNN_",
        env_file=".env",
        env_file_encoding="utf-8",
        extra="ignore",
        env_ignore_empty=True,
        protected_namespaces=(),
    )

    hidden_dim: Positive = 64
    num_layers: Annotated[int, Field(ge=1, le=8)] = 2
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 0.001
    batch_size: Positive = 32
    epochs: Positive = 30
    early_stopping_patience: Positive = 5
    model_path: Path = Path("models/gnn_synergy.pth")


def read_settings() -> GnnSettings:
    """The environment's settings. Raises TrainingError that names the variable at fault."""
    try:
        return GnnSettings()
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = f"GNN_{'_'.join(map(str, first['loc']))}".upper()
        raise TrainingError(f"{name}={first['input']!a} in the environment or .env: {first['msg']}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f".env: cannot be read ({error})") from error


def synergy_config(settings: GnnSettings, **overrides: Any) -> SynergyConfig:
    """Settings under the flags that were given; ``None`` means not given."""
    values = {
        "hidden_dim": settings.hidden_dim,
        "num_layers": settings.num_layers,
        "learning_rate": settings.learning_rate,
        "batch_size": settings.batch_size,
        "epochs": settings.epochs,
        "patience": settings.early_stopping_patience,
    }
    return SynergyConfig(**{**values, **{key: value for key, value in overrides.items() if value is not None}})
