"""The table of models: the wing of each, and where training publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple


class ModelEntry(NamedTuple):
    """One model.

    Attributes:
        wing: Its package. Every wing has the same modules: ``command.train`` trains, ``compare.COMPARER`` compares.
        place: Where training publishes it by default, relative to the working directory: a model file, or the folder of
            its run directories.
    """

    wing: str
    place: Path

    def load(self, room: str, name: str) -> Any:
        """Import the wing's module ``room`` and return its attribute ``name``."""
        return getattr(import_module(f"{self.wing}.{room}"), name)


MODELS: Mapping[str, ModelEntry] = MappingProxyType(
    {
        "gnn_synergy": ModelEntry("training.synergy", Path("models/gnn_synergy.pth")),
        "soft_prompt": ModelEntry("training.text", Path("data/ask_ai_soft_prompt")),
        "pattern_detection": ModelEntry("training.patterns", Path("models/pattern_detection.skops")),
        "yaml_generation": ModelEntry("training.automations", Path("models/yaml_generation")),
    }
)
