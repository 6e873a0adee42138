"""What the pattern model is trained with, and where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from training.runs.models import MODELS
from training.runs.settings import Config, Setting


class PatternConfig(Config):
    """How the pattern model is trained."""

    seed: Annotated[
        int, Field(ge=0, lt=2**32), Setting("Same seed, data and versions: the same model, byte for byte.")
    ] = 0


class PatternOptions(Config):
    """What a training run is told beside its configuration."""

    model_path: Annotated[Path, Setting("Where the model goes; one that is there is replaced.")] = MODELS[
        "pattern_detection"
    ].place
