"""The pattern model's configuration, and where it is published."""

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
    """The options of a run."""

    model_path: Annotated[Path, Setting("Where the model goes; one that is there is replaced.")] = MODELS[
        "pattern_detection"
    ].place
