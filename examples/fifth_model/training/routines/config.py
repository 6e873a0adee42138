"""What the routine model is trained with, and where it goes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from training.runs.models import MODELS
from training.runs.settings import Config, Positive, Setting


class RoutineConfig(Config):
    """How the routine model is trained, and where it goes."""

    minimum_uses: Annotated[Positive, Setting("Uses below which an entity has no hour of its own.")] = 2
    model_path: Annotated[Path, Setting("Where the model goes; one that is there is replaced.")] = MODELS[
        "routine_hours"
    ].place
