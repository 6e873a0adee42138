"""Values that wait in a file, and how much memory there is for the others."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training.runs import memory, stored
from training.runs.errors import TrainingError
from training.runs.stored import LEAST_HELD, InOrder, Room, Stored


def filled(room: Room, count: int = 50) -> Stored[tuple[str, torch.Tensor]]:
    values: Stored[tuple[str, torch.Tensor]] = Stored(room, lambda value: value[1].nbytes)
    for key in range(count):
        values.put(key, (f"value {key}", torch.full((1_000,), float(key))))
    return values


@pytest.mark.parametrize("limit", [0, 100_000, None])
def test_a_value_is_the_same_from_memory_and_from_the_file(limit: int | None) -> None:
    values = filled(Room(limit))
    order = np.random.default_rng(0).permutation(50).tolist()
    for key, (text, tensor) in zip(order, InOrder(values, order), strict=True):
        assert (text, tensor.tolist()) == (f"value {key}", [key] * 1_000)
    values.put(7, ("another", torch.zeros(2, 0)))
    for key in range(LEAST_HELD + 1):
        _ = values[20 + key]
    assert (values[7][0], values[7][1].shape) == ("another", (2, 0))
    assert 50 not in values
    assert len(values) == 50
    with pytest.raises(KeyError):
        _ = values[50]


def test_memory_holds_what_was_used_last_and_no_more_than_it_may() -> None:
    room = Room(100_000)
    values = filled(room)
    assert sum(size for _, size in room._held.values()) <= 100_000
    assert values[49] is values[49]
    one, other = values[0], values[0]
    assert one is other
    del values
    gc.collect()
    assert not room._held
    assert not room._files


def test_an_owner_that_goes_while_another_value_is_read_is_let_go_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(0)
    values, others = filled(room), {"of another owner": filled(room)}
    write = stored._File.write

    def collecting(*arguments: Any) -> None:
        others.clear()
        gc.collect()
        assert len(room._files) == 2, "its file may be the one at work"
        write(*arguments)

    monkeypatch.setattr(stored._File, "write", collecting)
    assert values[0][0] == "value 0"
    assert len(room._files) == 1


def test_no_file_has_a_name_that_could_be_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(stored, "_LARGE_FILES", tmp_path)
    values = filled(Room(0))
    assert values[0][1].tolist() == [0.0] * 1_000
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_told_with_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "no folder").write_text("")
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(stored, "_LARGE_FILES", tmp_path / "no folder")
    with pytest.raises(TrainingError, match=r"no folder: what does not fit in memory .*TMPDIR"):
        filled(Room(0))


def test_a_tmpdir_that_is_not_there_is_not_answered_with_a_folder_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path / "not there"))
    (tmp_path / "large").write_text("")
    monkeypatch.setattr(stored, "_LARGE_FILES", tmp_path / "large")
    with pytest.raises(TrainingError, match=r"large: what does not fit"):
        filled(Room(0))


def test_a_system_without_any_temporary_folder_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR", raising=False)
    monkeypatch.setattr(stored, "_LARGE_FILES", None)
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr("tempfile._candidate_tempdir_list", list)
    with pytest.raises(TrainingError, match=r"temporary files: what does not fit .*No usable temporary directory"):
        filled(Room(0))


def test_the_least_limit_of_memory_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = tmp_path / "system.slice" / "training.service"
    unit.mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("0::/system.slice/training.service\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_CGROUPS", own)
    free = memory.available_bytes()
    assert free is None or free > 100_000_000
    (unit / "memory.max").write_text("max\n")
    (unit.parent / "memory.max").write_text("320000000\n")
    assert memory.available_bytes() == 320_000_000
    assert memory.default_room() == memory.ROOM
    (unit / "memory.max").write_text("160000000\n")
    assert memory.default_room() == 10_000_000
