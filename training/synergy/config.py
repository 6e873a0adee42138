"""What the synergy model is trained with, and where its flags and production's environment say so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, ByteSize, Field
from pydantic_core import PydanticCustomError

from training.runs.models import MODELS
from training.runs.settings import Config, Positive, PositiveFloat, Seed, Setting

CPU, CUDA, AUTO = "cpu", "cuda", "auto"
FORMAT_VERSION = 8  # of model files
NO_BASE = "none"
# The network is trained where there is as much to learn from. On 53 real homes (4,705 pairs) and on 40 generated ones
# it brought nothing; on 200 generated ones it did (docs/explanation/synergy.md).
NETWORK_HOMES, NETWORK_PAIRS, NETWORK_EPOCHS = 100, 10_000, 30
NO_NAMES_HELP = "Read names of entities word by word, even if the sentence encoder of the extra `names` is installed."


def _size_as_a_whole(value: object) -> object:
    """``ByteSize`` leaves out what follows a number that it knows, so that 1,5GB would be one byte."""
    if isinstance(value, str) and not _SIZE.fullmatch(value.strip()):
        raise PydanticCustomError("size", "not a size; give one such as 64MB or 1.5GB, or 0")
    return value


_SIZE = re.compile(r"\d+(?:\.\d+)? *(?:[kmgt]?b|[kmgt]ib|[kmgt])?", re.IGNORECASE | re.ASCII)
Size = Annotated[ByteSize, BeforeValidator(_size_as_a_whole)]


class SynergyConfig(Config):
    """How the synergy model is trained."""

    hidden_dim: Annotated[Positive, Setting("Width of the hidden layers.", ("GNN_HIDDEN_DIM",), flag=False)] = 64
    num_layers: Annotated[
        int, Field(ge=1, le=8), Setting("Number of message-passing layers.", ("GNN_NUM_LAYERS",), flag=False)
    ] = 2
    learning_rate: Annotated[PositiveFloat, Setting("Learning rate of AdamW.", ("GNN_LEARNING_RATE",), flag=False)] = (
        0.001
    )
    batch_size: Annotated[Positive, Setting("Homes in an optimizer step.", ("GNN_BATCH_SIZE",), flag=False)] = 32
    epochs: Annotated[
        int | None,
        Field(ge=0),
        Setting(
            "Passes of the graph network over the homes at most; training stops earlier if it no longer improves. With "
            "0, the model is the weighted sum of its features.",
            ("GNN_EPOCHS",),
            default="30 from 100 homes or 10,000 pairs on, else 0, for the network learns nothing of less",
        ),
    ] = None
    patience: Annotated[
        Positive,
        Setting(
            "Epochs without a better validation score until training stops.",
            ("GNN_EARLY_STOPPING_PATIENCE",),
            flag=False,
        ),
    ] = 5
    seed: Seed = 0


class SynergyModelPath(Config):
    """Where the model is: training writes it there, and what uses it reads it there."""

    model_path: Annotated[Path, Setting("The model file.", ("GNN_MODEL_PATH",))] = MODELS["gnn_synergy"].place


class SynergyOptions(SynergyModelPath):
    """What a training run is told beside its configuration."""

    base_model: Annotated[
        str | None,
        Setting(
            "The pretrained model that training starts from; with none, it starts from random weights.",
            default="the one that ships with the project",
            metavar="[PATH|none]",
        ),
    ] = None
    feedback: Annotated[
        Path | None,
        Setting(
            "The answers to suggestions, as home-synergy feedback writes them: accepted pairs are learnt as known "
            "pairs, dismissed ones as wrong ones.",
            ("GNN_FEEDBACK",),
            metavar="FILE",
        ),
    ] = None
    no_names: Annotated[bool, Setting(NO_NAMES_HELP)] = False
    device: Annotated[
        Literal["cpu", "cuda", "auto"],
        Setting(
            "Where the network is trained: on the CPU, on a GPU (cuda), or on a GPU if there is one (auto). The models "
            "of both differ by rounding and by what dropout draws."
        ),
    ] = "cpu"
    memory: Annotated[
        Size | None,
        Setting(
            "Memory for the homes and for what is drawn from them, such as 64MB or 2GB; the others wait in a temporary "
            "file. It changes no model. Libraries and the training itself take about 600 MB more.",
            ("GNN_MEMORY",),
            default="16MB, or a sixteenth of what the process may hold if that is less",
            metavar="SIZE",
        ),
    ] = None
    force: Annotated[bool, Setting("Train even if the model file exists, and replace it.")] = False
    accept_cold_start: Annotated[
        bool,
        Setting(
            "Let pairs that rules generated, for no synergy is known, replace a model that was trained on known ones."
        ),
    ] = False


class EvaluationOptions(Config):
    """What an evaluation is told."""

    model_path: Annotated[Path, Setting("The model file to evaluate, or a base model.")]
    known_share: Annotated[
        float,
        Field(gt=0, lt=1),
        Setting(
            "Share of a known home's automations that the model may read; it is scored on the pairs of the others.",
            former=("--known",),
        ),
    ] = 0.7
    seed: Annotated[int, Field(ge=0, lt=2**32), Setting("Seed of the choice of automations that the model reads.")] = 0
    output: Annotated[
        Path | None,
        Setting(
            "Also write the scores to this file, as JSON.", default="nowhere", metavar="FILE", former=("--report",)
        ),
    ] = None
    no_names: Annotated[bool, Setting(NO_NAMES_HELP)] = False
