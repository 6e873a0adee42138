"""The synergy model. ``GNNSynergyDetector``, production's interface of it, is loaded on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.synergy.detector import GNNSynergyDetector as GNNSynergyDetector

__all__ = ["GNNSynergyDetector"]


def __getattr__(name: str) -> Any:
    if name != "GNNSynergyDetector":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from training.synergy.detector import GNNSynergyDetector

    return GNNSynergyDetector
