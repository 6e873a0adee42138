"""The losses and scores of a training as TensorBoard reads them (``--tensorboard``, the extra ``tensorboard``)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from training.runs.errors import ArtifactError, TrainingError

STEP = "epoch"


def check_tensorboard(folder: Path) -> None:
    """Raises TrainingError where the extra is missing, or where the folder is a file; before anything is trained."""
    if find_spec("tensorboard") is None:
        raise TrainingError("--tensorboard needs the extra: pip install 'tensorboard>=2.17'")
    if folder.exists() and not folder.is_dir():
        raise TrainingError(f"{folder}: is a file; --tensorboard needs a folder, which it makes")


def write_events(folder: Path, history: Sequence[Mapping[str, float]], metrics: Mapping[str, Any]) -> None:
    """Write one run's events.

    Args:
        folder: Of this run; a folder for each run lets TensorBoard compare them.
        history: A row an epoch: ``epoch`` and what was measured in it. What is no number is left out.
        metrics: Nested scores; each number becomes a scalar whose name is its path, such as ``test/model/mrr``.

    Raises:
        ArtifactError: The folder cannot be written.
    """
    from tensorboard.summary import Writer

    try:
        writer = Writer(str(folder))
        for number, row in enumerate(history):
            for name, value in _numbers({key: value for key, value in row.items() if key != STEP}):
                writer.add_scalar(f"training/{name}", value, step=int(row.get(STEP, number)))
        for name, value in _numbers(metrics):
            writer.add_scalar(name, value, step=0)
        writer.close()
    except OSError as error:
        raise ArtifactError(f"{folder}: no events for TensorBoard can be written here ({error.strerror})") from error


def _numbers(values: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, float]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{path}{name}/")
        elif isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
            yield f"{path}{name}", float(value)
