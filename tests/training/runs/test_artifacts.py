"""Publishing is all or nothing: whatever fails, what was there is still there and whole."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest
from support import DISK_FULL, failing_flush

from training.runs import artifacts
from training.runs.errors import ArtifactError
from training.runs.folders import publish_folder


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


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_failure_while_staging_leaves_the_old_files(
    published: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    before = listing(published.parent)
    failing_flush(monkeypatch, at, DISK_FULL)
    with pytest.raises(ArtifactError, match=r"No space left on device.*nothing that was there has changed"):
        artifacts.publish(published, b"new", {"n": 2}, {"m_training.png": b"new plot"})
    assert listing(published.parent) == before
    assert not [p for p in published.parent.iterdir() if p.is_dir()], "no staging folder stays behind"


def test_an_interrupt_while_staging_leaves_the_old_files(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = listing(published.parent)
    failing_flush(monkeypatch, 1, KeyboardInterrupt())
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


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EPERM, errno.ENOTSUP])
def test_a_file_system_that_flushes_no_folder_and_knows_no_modes_takes_a_model_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    real_fsync, staged = os.fsync, tmp_path / "staged"

    def no_folder(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(code, os.strerror(code))
        real_fsync(descriptor)

    def no_modes(path: Path, mode: int) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(os, "fsync", no_folder)
    monkeypatch.setattr(Path, "chmod", no_modes)
    published = artifacts.publish(tmp_path / "m.pth", b"model", {"a": 1}, {})
    assert (tmp_path / "m.pth").read_bytes() == b"model"
    artifacts.verify(tmp_path / "m.pth")
    assert set(published["files"]) == {"m.pth"}
    staged.mkdir()
    (staged / "x").write_text("x")
    publish_folder(staged, tmp_path / "run", read_only=True)
    assert (tmp_path / "run" / "x").read_text() == "x"


@pytest.mark.parametrize("refused", [0, 1, 2])
def test_a_rename_that_is_refused_puts_back_what_stood_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: int
) -> None:
    artifacts.publish(tmp_path / "m.pth", b"old", {"a": 1}, {"m.png": b"old plot"})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    real, calls = Path.replace, iter(range(100))

    def replace(path: Path, target: Path) -> Path:
        if next(calls) == refused:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(ArtifactError, match="nothing that was there has changed"):
        artifacts.publish(tmp_path / "m.pth", b"new", {"a": 2}, {"m.png": b"new plot"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    artifacts.verify(tmp_path / "m.pth")


def test_where_even_putting_back_fails_the_message_says_what_stands_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifacts.publish(tmp_path / "m.pth", b"old", {"a": 1}, {"m.png": b"old plot"})
    real, calls = Path.replace, iter(range(100))

    def replace(path: Path, target: Path) -> Path:
        if next(calls) >= 1:
            raise OSError(errno.EIO, "Input/output error")
        return real(path, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(ArtifactError, match=r"new are .*m\.png; all others there are the old ones") as failure:
        artifacts.publish(tmp_path / "m.pth", b"new", {"a": 2}, {"m.png": b"new plot"})
    assert "nothing that was there has changed" not in str(failure.value)
    assert (tmp_path / "m.png").read_bytes() == b"new plot"
    assert (tmp_path / "m.pth").read_bytes() == b"old"
    with pytest.raises(ArtifactError, match=r"m\.png: is not the file"):
        artifacts.verify(tmp_path / "m.pth")


def test_a_model_is_not_written_through_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "link.pth").symlink_to("elsewhere.pth")
    for name, why in (("pipe.pth", "is a device or a pipe"), ("link.pth", "is a link to elsewhere.pth")):
        with pytest.raises(ArtifactError, match=why):
            artifacts.check_model_path(tmp_path / name)
    (tmp_path / "registry.pth").symlink_to("model/live/champion/registry.pth")
    artifacts.check_model_path(tmp_path / "registry.pth")
