"""Files are written whole or not at all, and where they cannot be is found before."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support import DISK_FULL, failing_flush

from training.runs.errors import ArtifactError
from training.runs.files import to_json
from training.runs.publishing import check_writable, write_atomically


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_place_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="cannot be written"):
        check_writable(tmp_path / "file" / "m.pth")
    with pytest.raises(ArtifactError, match="is a folder"):
        check_writable(tmp_path)
    check_writable(tmp_path / "new" / "deeper" / "m.pth")
    assert not list((tmp_path / "new" / "deeper").iterdir())


def test_a_single_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.json"
    write_atomically(path, to_json({"a": 1}))
    assert json.loads(path.read_text()) == {"a": 1}
    failing_flush(monkeypatch, 0, DISK_FULL)
    with pytest.raises(ArtifactError):
        write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_file_and_the_one_that_describes_it_are_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.safetensors"
    write_atomically(path, b"old", {"b.json": b"of old"})
    failing_flush(monkeypatch, 1, DISK_FULL)
    with pytest.raises(ArtifactError, match=r"b\.safetensors: cannot be written"):
        write_atomically(path, b"new", {"b.json": b"of new"})
    assert listing(tmp_path) == {"b.safetensors": b"old", "b.json": b"of old"}
