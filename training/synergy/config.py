"""What the synergy model is trained with, and where its flags and production's environment say so."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from training.runs.models import MODELS
from training.runs.settings import Config, Positive, PositiveFloat, Setting

NO_BASE = "none"


class SynergyConfig(Config):
    """How the synergy model is trained."""

    hidden_dim: Annotated[Positive, Setting("Width of the network.", ("GNN_HIDDEN_DIM",), flag=False)] = 64
    num_layers: Annotated[
        int, Field(ge=1, le=8), Setting("Layers of messages in the network.", ("GNN_NUM_LAYERS",), flag=False)
    ] = 2
    learning_rate: Annotated[PositiveFloat, Setting("AdamW's step.", ("GNN_LEARNING_RATE",), flag=False)] = 0.001
    batch_size: Annotated[Positive, Setting("Homes in one optimizer step.", ("GNN_BATCH_SIZE",), flag=False)] = 32
    epochs: Annotated[Positive, Setting("Training epochs at most.", ("GNN_EPOCHS",))] = 30
    patience: Annotated[
        Positive,
        Setting("Epochs without a better validation score.", ("GNN_EARLY_STOPPING_PATIENCE",), flag=False),
    ] = 5
    seed: Annotated[
        int, Field(ge=0, lt=2**32), Setting("Same seed, data and versions: the same model, byte for byte.")
    ] = 0


class SynergyModelPath(Config):
    """Where the model is: training writes it there, and what uses it reads it there."""

    model_path: Annotated[Path, Setting("The model file.", ("GNN_MODEL_PATH",))] = MODELS["gnn_synergy"].place


class SynergyOptions(SynergyModelPath):
    """What a training run is told beside its configuration."""

    base_model: Annotated[
        str | None,
        Setting(
            "The pretrained model that training starts from; none starts from nothing.",
            default="the one that ships with the project",
            metavar="[PATH|none]",
        ),
    ] = None
    no_names: Annotated[bool, Setting("Read names without the encoder of the names extra.")] = False
    force: Annotated[bool, Setting("Train even where a model exists, and replace it.")] = False


class EvaluationOptions(Config):
    """What an evaluation is told."""

    model_path: Annotated[Path, Setting("The model to judge; a base model will do.")]
    known_share: Annotated[
        float,
        Field(gt=0, lt=1),
        Setting(
            "Share of a known home's automations that the model is told of; it has to find the pairs of the rest.",
            former=("--known",),
        ),
    ] = 0.7
    seed: Annotated[int, Field(ge=0, lt=2**32), Setting("Which of the automations are known.")] = 0
    report: Annotated[Path | None, Setting("Also write the scores as JSON.", default="nowhere", metavar="FILE")] = None
    no_names: Annotated[bool, Setting("Read names without the encoder of the names extra.")] = False
