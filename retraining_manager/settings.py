"""What the manager is told, by flags and by a file: how to retrain, and what differs for single models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from retraining_manager.errors import ManagerError
from retraining_manager.gate import Thresholds
from retraining_manager.models import SPECS, spec_of
from training.runs.errors import wrap_read_errors

_OWN_FLAGS = frozenset(
    "--json-input --data-source --db-path --pg-url --strict --model-path --output-dir --run-directory --run-id "
    "--summary-path --dry-run --force".split()
)


class ModelSettings(BaseModel):
    """What may be set for one model. A misspelt name is an error.

    Attributes:
        flags: More flags for its training.
        timeout: Seconds that its training, or its comparison, may take.
        optional: Whether its failure is no failure of the whole run.
        gate: What its candidates have to reach.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    flags: tuple[str, ...] = ()
    timeout: float | None = Field(default=None, gt=0)
    optional: bool = False
    gate: Thresholds = Thresholds()


@dataclass(frozen=True)
class RetrainingOptions:
    """How to retrain.

    Attributes:
        require_distinct: Skip a model whose rows are worth too little, where they are warned about otherwise.
        accept_weak: Publish a candidate that does not beat the baselines too; its verdict says so.
        evaluate_on: Where the evaluation rows are (as ``--data-source``), if not in the training's source.
        timeout: Seconds that a training, or a comparison, may take.
        settings: What is set for single models.
    """

    require_distinct: bool = False
    accept_weak: bool = False
    evaluate_on: str | None = None
    timeout: float | None = None
    settings: Mapping[str, ModelSettings] = field(default_factory=dict)

    def of(self, model: str) -> ModelSettings:
        """What is set for a model."""
        return self.settings.get(model, ModelSettings())


def read_settings(path: Path) -> dict[str, ModelSettings]:
    """``ModelSettings`` by model from a YAML file. Raises ManagerError that says what cannot be used."""
    import yaml

    settings = {}
    with wrap_read_errors(path, "is not YAML of settings by model", raises=ManagerError):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict | None):
            raise TypeError(f"it is a {type(content).__name__}, no mapping")
        for model, chosen in (content or {}).items():
            try:
                settings[spec_of(model).model] = ModelSettings.model_validate(chosen)
            except ValidationError as error:
                first = error.errors(include_url=False)[0]
                place = ".".join(map(str, (model, *first["loc"])))
                raise ManagerError(f"{path}: {place}: {first['msg']}") from error
    for model, chosen in settings.items():
        for flag in chosen.flags:
            if flag.partition("=")[0] in _OWN_FLAGS:
                raise ManagerError(f"{path}: {model}: flags: {flag} is the manager's own; leave it out")
    return settings


def choose_settings(path: Path | None, optional: Iterable[str], base_model: str | None) -> dict[str, ModelSettings]:
    """``ModelSettings`` by model, from flags and a file.

    Args:
        path: The file (``read_settings``), or None.
        optional: Models whose failure is no failure of the whole run.
        base_model: The base of every model that adapts one, unless the file says otherwise.

    Raises:
        ManagerError: The file cannot be used.
    """
    settings = {} if path is None else read_settings(path)
    for model in optional:
        settings[model] = settings.get(model, ModelSettings()).model_copy(update={"optional": True})
    for model in (model for model, spec in SPECS.items() if spec.adapts_base and base_model is not None):
        own = settings.get(model, ModelSettings())
        settings[model] = own.model_copy(update={"flags": (f"--base-model={base_model}", *own.flags)})
    return settings
