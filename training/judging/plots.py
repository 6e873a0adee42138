"""Plots as bytes, if matplotlib is installed."""

from __future__ import annotations

import io
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any


def png(draw: Callable[[Any], None], size: tuple[float, float]) -> bytes | None:
    """Draw a figure and return it as PNG.

    Args:
        draw: Draws on a matplotlib ``Figure``.
        size: Width and height in inches.

    Returns:
        The content of the file; None if matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        return None
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    return buffer.getvalue()
