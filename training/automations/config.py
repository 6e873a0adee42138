"""The YAML generator's configuration, and the options of a run."""

from __future__ import annotations

from typing import Annotated

from training.runs.models import MODELS
from training.runs.settings import Setting
from training.text.config import (
    BASE_HELP,
    DEFAULT_BASE,
    AdapterConfig,
    AdapterOptions,
    BaseModelName,
    MaxSamples,
    OutputDir,
)


class YamlConfig(AdapterConfig):
    """How the YAML generator is trained."""

    base_model: Annotated[BaseModelName, Setting(BASE_HELP, ("YAML_BASE_MODEL", "SOFT_PROMPT_BASE_MODEL"))] = (
        DEFAULT_BASE
    )


class YamlOptions(AdapterOptions):
    """The options of a YAML generator run."""

    output_dir: OutputDir = MODELS["yaml_generation"].place
    max_samples: MaxSamples = 20_000
