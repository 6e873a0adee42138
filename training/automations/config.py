"""The YAML generator's configuration, and the options of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from training.runs.models import MODELS
from training.runs.settings import Positive, Setting
from training.text.config import DEFAULT_BASE, AdapterConfig, AdapterOptions


class YamlConfig(AdapterConfig):
    """How the YAML generator is trained."""

    base_model: Annotated[
        str,
        Setting("A model's folder or hub name, or scratch.", ("YAML_BASE_MODEL", "SOFT_PROMPT_BASE_MODEL")),
    ] = DEFAULT_BASE


class YamlOptions(AdapterOptions):
    """The options of a YAML generator run."""

    output_dir: Annotated[Path, Setting("Where runs and the link `latest` are.")] = MODELS["yaml_generation"].place
    max_samples: Annotated[Positive, Setting("Rows at most, the newest of a database.")] = 20_000
