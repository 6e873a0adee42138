"""What TensorBoard is given to read, read back by its own reader."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from training.runs import tensorboard
from training.runs.errors import TrainingError
from training.runs.tensorboard import check_tensorboard, write_events


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = EventAccumulator(str(folder))
    found.Reload()
    return {
        tag: [(event.step, round(float(found_value(event)), 4)) for event in found.Tensors(tag)]
        for tag in found.Tags()["tensors"]
    }


def found_value(event: Any) -> float:
    from tensorboard.util.tensor_util import make_ndarray

    return float(make_ndarray(event.tensor_proto))


def test_each_epoch_and_each_score_is_a_scalar_and_what_is_no_number_is_left_out(tmp_path: Path) -> None:
    history = [{"epoch": 0, "loss": math.nan, "score": 0.5}, {"epoch": 1, "loss": 2.0, "score": 0.75}]
    metrics = {"test": {"model": {"mrr": 0.25, "ece": None}}, "split": "home", "held_out": True, "best_epoch": 1}
    write_events(tmp_path / "run", history, metrics)
    assert scalars(tmp_path / "run") == {
        "training/loss": [(1, 2.0)],
        "training/score": [(0, 0.5), (1, 0.75)],
        "test/model/mrr": [(0, 0.25)],
        "best_epoch": [(0, 1.0)],
    }


def test_a_missing_extra_and_a_file_are_refused_before_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_tensorboard(tmp_path / "new")
    (tmp_path / "file").write_text("x")
    with pytest.raises(TrainingError, match="is a file"):
        check_tensorboard(tmp_path / "file")
    monkeypatch.setattr(tensorboard, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match="pip install"):
        check_tensorboard(tmp_path / "new")
