"""The routine model's scores in words."""

from __future__ import annotations

from typing import Any


def verdict(metrics: dict[str, Any]) -> str:
    """One sentence: does the model beat the commonest hour?"""
    measured = metrics["test"]
    mine = measured["model"]["accuracy"]
    best = measured["baselines"]["commonest_hour"]["accuracy"]
    return f"The model {'beats' if mine > best else 'does NOT beat'} the commonest hour: {mine:.3f} against {best:.3f}."
