"""The models as the manager sees them: one row of a table each, and nothing else tells them apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from data_sources import KINDS, KindName
from retraining_manager.errors import ManagerError
from training.runs.errors import TrainingError
from training.runs.models import MODELS, key_of
from training.runs.settings import variables

Artifact = Literal["file", "run"]


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """How one model is trained, what it needs, and what decides between two of its versions.

    Attributes:
        model: Its name, which is that of the records it learns from, of its script and of its command.
        artifact: What its training leaves: a model ``file`` with others of the same stem beside it (``--model-path``),
            or a ``run`` directory (``--output-dir``, ``--run-directory``, ``--run-id``).
        minimum_rows: Rows below which it is not trained.
        minimum_distinct: Unit -> how many distinct ones the rows must have: below it a warning, or with
            ``--require-distinct`` a refusal.
        metric: The score of held-out rows that decides; higher is better, ``best`` is its greatest value.
        metric_title: The metric's name for people.
        companions: Endings of the names of the files that belong to a model file, after its stem.
        place_variable: The environment variable that moves its production path.
        supports_force: Whether its training takes ``--force``.
        adapts_base: Whether it is an adapter over a base model for texts.
    """

    model: KindName
    artifact: Artifact
    minimum_rows: int
    minimum_distinct: Mapping[str, int]
    metric: str
    metric_title: str
    best: float
    companions: tuple[str, ...] = ()
    place_variable: str | None = None
    supports_force: bool = False
    adapts_base: bool = False

    @property
    def script(self) -> str:
        """The file name of its training script, which production's cron knows."""
        return f"train_{self.model}.py"

    @property
    def memory_hint(self) -> str:
        """How to make its training smaller, for a person."""
        return MODELS[self.model].memory_hint

    @property
    def production(self) -> Path:
        """Where production looks for it, relative to the service's root."""
        place = MODELS[self.model].place
        return place if self.artifact == "file" else place / "latest"

    def production_path(self, model_directory: Path) -> Path:
        """Where production looks for it: where its variable says, else in the model directory or beside it.

        Raises ManagerError where ``.env`` cannot be read.
        """
        if self.place_variable is not None:
            try:
                chosen = variables().get(self.place_variable)
            except TrainingError as error:
                raise ManagerError(str(error)) from error
            if chosen:
                return Path(chosen)
        first, *rest = self.production.parts
        return model_directory.joinpath(*rest) if first == "models" else model_directory.parent / self.production


_SPECS = (
    ModelSpec(
        model="gnn_synergy",
        artifact="file",
        minimum_rows=100,
        minimum_distinct={"pair": 20},
        metric="mrr",
        metric_title="MRR",
        best=1.0,
        companions=("_metadata.json", "_training.png", "_report.html", "_card.md"),
        place_variable="GNN_MODEL_PATH",
        supports_force=True,
    ),
    ModelSpec(
        model="soft_prompt",
        artifact="run",
        minimum_rows=50,
        minimum_distinct={"query": 10, "answer": 2},
        metric="chrf",
        metric_title="chrF",
        best=100.0,
        adapts_base=True,
    ),
    ModelSpec(
        model="pattern_detection",
        artifact="file",
        minimum_rows=200,
        minimum_distinct={"entity": 20, "class": 2},
        metric="average_precision",
        metric_title="average precision",
        best=1.0,
        companions=("_metadata.json", "_reliability.png", "_report.html", "_card.md"),
    ),
    ModelSpec(
        model="yaml_generation",
        artifact="run",
        minimum_rows=100,
        minimum_distinct={"request": 10, "answer": 2},
        metric="structure_f1",
        metric_title="structure F1",
        best=1.0,
        adapts_base=True,
    ),
)
SPECS: Mapping[str, ModelSpec] = MappingProxyType({spec.model: spec for spec in _SPECS})
assert tuple(SPECS) == KINDS


def spec_of(model: str) -> ModelSpec:
    """The row of a model. Raises ManagerError where there is no such model."""
    key = key_of(model)
    if key is None:
        raise ManagerError(f"{model!a}: no such model; there are {', '.join(SPECS)}")
    return SPECS[key]
