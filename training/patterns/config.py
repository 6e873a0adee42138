"""The pattern model's configuration, and where it is published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from training.runs.models import MODELS
from training.runs.settings import Config, Seed, Setting


class PatternConfig(Config):
    """How the pattern model is trained."""

    seed: Seed = 0


class PatternOptions(Config):
    """The options of a run."""

    model_path: Annotated[Path, Setting("The model file to write; an existing one is replaced.")] = MODELS[
        "pattern_detection"
    ].place
