"""Publishing is all or nothing: whatever fails, what was there is still there and whole."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

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
    ordinary = published.with_name("ordinary")
    ordinary.touch()
    assert published.stat().st_mode == ordinary.stat().st_mode, "staging is private, what is published is not"


def test_a_changed_or_missing_file_is_found(published: Path) -> None:
    published.write_bytes(b"changed")
    with pytest.raises(ArtifactError, match=r"m\.pth: is not the file"):
        artifacts.verify(published)
    published.unlink()
    with pytest.raises(ArtifactError, match="cannot be checked"):
        artifacts.verify(published)


def failing(monkeypatch: pytest.MonkeyPatch, at: int, error: BaseException) -> None:
    """The disk fails at the ``at``-th flush from now on."""
    calls = iter(range(100))
    real = os.fsync

    def fsync(descriptor: int) -> None:
        if next(calls) == at:
            raise error
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


FULL = OSError(28, "No space left on device")


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_failure_while_staging_leaves_the_old_files(
    published: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    before = listing(published.parent)
    failing(monkeypatch, at, FULL)
    with pytest.raises(ArtifactError, match=r"No space left on device.*nothing that was there has changed"):
        artifacts.publish(published, b"new", {"n": 2}, {"m_training.png": b"new plot"})
    assert listing(published.parent) == before
    assert not [p for p in published.parent.iterdir() if p.is_dir()], "no staging folder stays behind"


def test_an_interrupt_while_staging_leaves_the_old_files(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing(published.parent)
    failing(monkeypatch, 1, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        artifacts.publish(published, b"new", {}, {})
    assert listing(published.parent) == before


def test_a_folder_in_the_place_of_the_last_file_is_found_before_the_first_is_replaced(published: Path) -> None:
    (published.parent / "m_metadata.json").unlink()
    (published.parent / "m_metadata.json").mkdir()
    before = listing(published.parent)
    with pytest.raises(ArtifactError, match=r"m\.pth: cannot be written \(m_metadata\.json is a folder\); nothing"):
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
    failing(monkeypatch, 0, FULL)
    with pytest.raises(ArtifactError):
        artifacts.write_atomically(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["s.json"]
    assert json.loads(path.read_text()) == {"a": 1}


def test_a_file_and_the_one_that_describes_it_are_written_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "b.safetensors"
    artifacts.write_atomically(path, b"old", {"b.json": b"of old"})
    failing(monkeypatch, 1, FULL)
    with pytest.raises(ArtifactError, match=r"b\.safetensors: cannot be written"):
        artifacts.write_atomically(path, b"new", {"b.json": b"of new"})
    assert listing(tmp_path) == {"b.safetensors": b"old", "b.json": b"of old"}


def test_a_folder_is_named_when_it_is_whole_and_nobody_writes_a_read_only_one(tmp_path: Path) -> None:
    for name in ("open", "sealed"):
        staged = tmp_path / f".{name}"
        (staged / "sub").mkdir(parents=True, mode=0o700)
        (staged / "sub" / "file").touch(mode=0o600)
        artifacts.publish_folder(staged, tmp_path / name, read_only=name == "sealed")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "sealed").rglob("*")}
    assert modes == {"sub": 0o755, "file": 0o444}
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "open" / "sub" / "file").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_folder_that_cannot_be_flushed_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".staged").mkdir()
    (tmp_path / ".staged" / "file").touch()
    failing(monkeypatch, 1, FULL)
    with pytest.raises(ArtifactError, match="run_1: cannot be written"):
        artifacts.publish_folder(tmp_path / ".staged", tmp_path / "run_1")
    assert not (tmp_path / "run_1").exists()


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        artifacts.to_json({"x": float("nan")})
