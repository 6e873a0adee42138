"""Publishing is all or nothing: whatever fails, what was there is still there and whole."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from training.runs import artifacts
from training.runs.errors import ArtifactError


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def published(tmp_path: Path) -> Path:
    path = tmp_path / "models" / "m.pth"
    artifacts.publish(path, b"old model", {"n": 1}, {"m_training.png": b"old plot"})
    return path


def test_a_model_its_plot_and_its_metadata_are_published_with_their_hashes(published: Path) -> None:
    assert sorted(listing(published.parent)) == ["m.pth", "m_metadata.json", "m_training.png"]
    metadata = json.loads((published.parent / "m_metadata.json").read_text())
    assert metadata["n"] == 1
    assert sorted(metadata["files"]) == ["m.pth", "m_training.png"]
    artifacts.verify(published)
    assert stat.S_IMODE(published.stat().st_mode) == 0o666 & ~artifacts._umask()


def test_a_changed_or_missing_file_is_found(published: Path) -> None:
    published.write_bytes(b"changed")
    with pytest.raises(ArtifactError, match=r"m\.pth: is not the file"):
        artifacts.verify(published)
    published.unlink()
    with pytest.raises(ArtifactError, match="cannot be checked"):
        artifacts.verify(published)


@pytest.mark.parametrize("broken_call", ["_write", "fsync"])
@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_failure_while_staging_leaves_the_old_files(
    published: Path, monkeypatch: pytest.MonkeyPatch, broken_call: str, at: int
) -> None:
    before = listing(published.parent)
    calls = iter(range(100))
    real: Any = getattr(artifacts, broken_call, None) or os.fsync

    def failing(*arguments: Any) -> Any:
        if next(calls) == at:
            raise OSError(28, "No space left on device")
        return real(*arguments)

    monkeypatch.setattr(artifacts if broken_call == "_write" else os, broken_call, failing)
    with pytest.raises(ArtifactError, match=r"No space left on device.*nothing that was there has changed"):
        artifacts.publish(published, b"new", {"n": 2}, {"m_training.png": b"new plot"})
    assert listing(published.parent) == before
    assert not [p for p in published.parent.iterdir() if p.is_dir()], "no staging folder stays behind"


def test_an_interrupt_while_staging_leaves_the_old_files(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing(published.parent)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(artifacts, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        artifacts.publish(published, b"new", {}, {})
    assert listing(published.parent) == before


def test_the_metadata_is_replaced_last(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    real = Path.replace

    def noted(self: Path, target: Path) -> Path:
        order.append(Path(target).name)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    artifacts.publish(published, b"new", {}, {"m_training.png": b"plot"})
    assert order == ["m_training.png", "m.pth", "m_metadata.json"]


def test_a_place_that_cannot_be_written_is_found_before_training(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(ArtifactError, match="cannot be written"):
        artifacts.check_writable(tmp_path / "file" / "m.pth")
    with pytest.raises(ArtifactError, match="is a folder"):
        artifacts.check_writable(tmp_path)
    artifacts.check_writable(tmp_path / "new" / "deeper" / "m.pth")
    assert not list((tmp_path / "new" / "deeper").iterdir())


def test_a_single_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "s.json"
    artifacts.write_atomically(path, artifacts.to_json({"a": 1}))
    assert json.loads(path.read_text()) == {"a": 1}
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ArtifactError):
        artifacts.write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]
    assert json.loads(path.read_text()) == {"a": 1}


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        artifacts.to_json({"x": float("nan")})
