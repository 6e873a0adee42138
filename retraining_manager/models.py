"""The four models as the manager sees them: one row of a table each, and nothing else knows them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from data_sources import KINDS, KindName
from retraining_manager.errors import ManagerError

Place = Literal["file", "run"]
METRIC_TITLES = {"mrr": "MRR", "chrf": "chrF", "average_precision": "average precision", "structure_f1": "structure F1"}


@dataclass(frozen=True)
class ModelSpec:
    """How one model is trained, what it needs and where production looks for it.

    Attributes:
        script: File name under ``scripts/``.
        place: What its training leaves: a model ``file`` with others of the same stem beside it (``--model-path``), or
            a ``run`` directory (``--output-dir``, ``--run-directory``, ``--run-id``).
        production: Where production looks, relative to the service's root.
        minimum_rows: Rows below which it is not trained.
        minimum_distinct: What the rows must be worth: below it a warning, or with ``--require-distinct`` a refusal.
        metric: The score that decides, of held-out rows; higher is better, ``best`` is its greatest value.
        memory_hint: The flags that make training smaller.
        companions: Endings of the names of the files that belong to a model file, after its stem.
        default_source: What the script reads with no flag, where that is not all of production's services.
        supports_force: Whether its script has ``--force``.
    """

    script: str
    place: Place
    production: Path
    minimum_rows: int
    minimum_distinct: Mapping[str, int]
    metric: str
    best: float
    memory_hint: str
    companions: tuple[str, ...] = ("_metadata.json", "_training.png")
    default_source: str | None = None
    supports_force: bool = False


SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        "gnn_synergy": ModelSpec(
            script="train_gnn_synergy.py",
            place="file",
            production=Path("models/gnn_synergy.pth"),
            minimum_rows=100,
            minimum_distinct={"pairs": 20},
            metric="mrr",
            best=1.0,
            memory_hint="train on fewer homes, or lower GNN_HIDDEN_DIM or GNN_BATCH_SIZE",
            supports_force=True,
        ),
        "soft_prompt": ModelSpec(
            script="train_soft_prompt.py",
            place="run",
            production=Path("data/ask_ai_soft_prompt/latest"),
            minimum_rows=50,
            minimum_distinct={"queries": 10, "answers": 2},
            metric="chrf",
            best=100.0,
            memory_hint="lower --batch-size, --source-max-tokens, --target-max-tokens or --lora-r",
            default_source="sqlite:///data/ai_automation.db",
        ),
        "pattern_detection": ModelSpec(
            script="train_pattern_detection.py",
            place="file",
            production=Path("models/pattern_detection.skops"),
            minimum_rows=200,
            minimum_distinct={"entities": 20, "classes": 2},
            metric="average_precision",
            best=1.0,
            memory_hint="train on fewer rows",
            companions=("_metadata.json", "_reliability.png"),
        ),
        "yaml_generation": ModelSpec(
            script="train_yaml_generation.py",
            place="run",
            production=Path("models/yaml_generation/latest"),
            minimum_rows=100,
            minimum_distinct={"requests": 10, "answers": 2},
            metric="structure_f1",
            best=1.0,
            memory_hint="lower --batch-size, --source-max-tokens, --target-max-tokens or --lora-r",
        ),
    }
)
assert tuple(SPECS) == KINDS


def kind_of(model: str) -> KindName:
    """The kind of records that a model learns from. Raises ManagerError where there is no such model."""
    for kind in KINDS:
        if kind == model:
            return kind
    raise ManagerError(f"{model!a}: no such model; there are {', '.join(SPECS)}")


def spec_of(model: str) -> ModelSpec:
    """Raises ManagerError where there is no such model."""
    return SPECS[kind_of(model)]
