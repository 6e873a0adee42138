"""The table of models: the wing of each, where training publishes it, and how to make its training smaller."""

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
        memory_hint: What to do if its training runs out of memory.
        libraries_mb: Address space that its libraries take at least, in MB. With less, some of them hang or abort.
    """

    wing: str
    place: Path
    memory_hint: str
    libraries_mb: int = 500

    def load(self, room: str, name: str) -> Any:
        """Import the wing's module ``room`` and return its attribute ``name``."""
        return getattr(import_module(f"{self.wing}.{room}"), name)


def key_of(name: str) -> str | None:
    """The model's key in ``MODELS``; commands also write it with dashes (``gnn-synergy``). None where there is none."""
    key = name.replace("-", "_") if isinstance(name, str) else ""
    return key if key in MODELS else None


_ADAPTER_HINT = "lower --batch-size, --source-max-tokens, --target-max-tokens or --lora-r"
MODELS: Mapping[str, ModelEntry] = MappingProxyType(
    {
        "gnn_synergy": ModelEntry(
            "training.synergy",
            Path("models/gnn_synergy.pth"),
            "lower --memory, GNN_HIDDEN_DIM or GNN_BATCH_SIZE, or train on fewer homes",
            700,
        ),
        "soft_prompt": ModelEntry("training.text", Path("data/ask_ai_soft_prompt"), _ADAPTER_HINT, 900),
        "pattern_detection": ModelEntry(
            "training.patterns", Path("models/pattern_detection.skops"), "train on fewer rows"
        ),
        "yaml_generation": ModelEntry("training.automations", Path("models/yaml_generation"), _ADAPTER_HINT, 900),
    }
)
