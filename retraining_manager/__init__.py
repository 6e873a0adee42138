"""Decide what has enough data, train it, compare it with what is live, publish it or keep what is live, and say why."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retraining_manager.manager import RetrainingManager

__all__ = ["RetrainingManager"]


def __getattr__(name: str) -> Any:
    if name == "RetrainingManager":  # on first use: `retrain.py --help` needs no pydantic
        from retraining_manager.manager import RetrainingManager

        return RetrainingManager
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
