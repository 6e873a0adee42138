"""Train, evaluate and use the four models. Importing this loads no ML library: each name is loaded on first use.

- ``SynergyModel``: which entity should act when another one triggers (``training.synergy``).
- ``Suggester``: a request in plain words gives a suggestion in plain words (``training.text``).
- ``PatternModel``: how likely a detected usage pattern is genuine (``training.patterns``).
- ``YamlGenerator``: a request in plain words gives a Home Assistant automation (``training.automations``).
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.automations.model import YamlGenerator as YamlGenerator
    from training.patterns.model import PatternModel as PatternModel
    from training.synergy.model import SynergyModel as SynergyModel
    from training.text.model import Suggester as Suggester

# Threads that spin while they wait for each other make a run several times slower on a busy machine. torch reads this
# when it is loaded, which no module of this package does before.
if "torch" not in sys.modules:
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_HOME_OF = {
    "PatternModel": "patterns.model",
    "Suggester": "text.model",
    "SynergyModel": "synergy.model",
    "YamlGenerator": "automations.model",
}
__all__ = ["PatternModel", "Suggester", "SynergyModel", "YamlGenerator"]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME_OF[name]}"), name)
