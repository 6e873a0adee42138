"""What the manager is told: where data is, how each model is run, from flags and a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from data_sources import DataSource, open_source
from retraining_manager.errors import ManagerError
from retraining_manager.gate import Thresholds
from retraining_manager.models import kind_of, spec_of
from training.runs.summary import TrainingSummary

_OWN_FLAGS = frozenset(
    "--json-input --data-source --db-path --strict --model-path --output-dir --run-directory --run-id "
    "--summary-path --dry-run --force".split()
)


class ModelSettings(BaseModel):
    """What may be set for one model. A misspelt name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    flags: tuple[str, ...] = ()
    timeout: float | None = Field(default=None, gt=0)
    optional: bool = False
    gate: Thresholds = Thresholds()


class ModelSummary(TrainingSummary):
    """``training_summary_<model>.json``: the script's own summary with what became of the model."""

    promoted: bool = False
    version: str | None = None
    champion: str | None = None
    production_path: str | None = None
    verdict: dict[str, Any] = Field(default_factory=dict)
    sufficiency: dict[str, Any] = Field(default_factory=dict)
    process: dict[str, Any] = Field(default_factory=dict)
    optional: bool = False


@dataclass(frozen=True)
class Source:
    """Where all models read from, as the scripts' own flags say it; with none, production."""

    json_input: str | None = None
    data_source: str | None = None
    strict: bool = False

    def flags(self, default: str | None = None) -> list[str]:
        """The same for a script, ``default`` where nothing is named. The value is joined to its flag: it may begin
        with a dash.
        """
        given = ["--strict"] if self.strict else []
        if self.json_input is not None:
            return [*given, f"--json-input={self.json_input}" if self.json_input else "--json-input"]
        source = self.data_source or default
        return given if source is None else [*given, f"--data-source={source}"]

    def open(self, model: str) -> DataSource:
        """What the model's script would read. Raises DataSourceError."""
        return open_source(
            json_input=self.json_input,
            data_source=self.data_source or (spec_of(model).default_source if self.json_input is None else None),
            strict=self.strict,
            kind=kind_of(model),
        )


@dataclass(frozen=True)
class Options:
    """How to run: ``judge_on`` is another source for the evaluation rows, ``timeout`` in seconds a script."""

    require_distinct: bool = False
    accept_weak: bool = False
    judge_on: str | None = None
    timeout: float | None = None
    settings: Mapping[str, ModelSettings] = field(default_factory=dict)


def read_settings(path: Path) -> dict[str, ModelSettings]:
    """``ModelSettings`` by model from a YAML file. Raises ManagerError that says what cannot be used."""
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        settings = {model: ModelSettings.model_validate(chosen) for model, chosen in (content or {}).items()}
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ManagerError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError, AttributeError, TypeError, yaml.YAMLError) as error:
        why = " ".join(str(error).split())[:160]
        raise ManagerError(f"{path}: is not YAML of settings by model ({why})") from error
    for model, chosen in settings.items():
        spec_of(model)
        for flag in chosen.flags:
            if flag.partition("=")[0] in _OWN_FLAGS:
                raise ManagerError(f"{path}: {model}: flags: {flag} is the manager's own; leave it out")
    return settings
