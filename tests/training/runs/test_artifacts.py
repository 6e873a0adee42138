"""Publishing is all or nothing: whatever fails, what was there is still there and whole."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from training.runs import artifacts
from training.runs.errors import ArtifactError, ModelFileError, wrap_read_errors


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


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EOFError(), "it is empty or cut off"),
        (KeyError(101), "KeyError: 101"),
        (
            RuntimeError("Weights only load failed. Re-running `torch.load` with `weights_only` set to `False` will"),
            "it holds more than weights, or is no file of PyTorch",
        ),
    ],
)
def test_why_a_file_cannot_be_read_is_told_in_words_without_unsafe_advice(error: Exception, told: str) -> None:
    with pytest.raises(ModelFileError) as raised, wrap_read_errors("m.pth", "cannot be read", "train it again"):
        raise error
    assert str(raised.value) == f"m.pth: cannot be read ({told}); train it again"


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


def test_a_folder_is_removed_only_where_it_lies_inside_its_owner(tmp_path: Path) -> None:
    owner, victim = tmp_path / "own", tmp_path / "precious"
    (owner / "work").mkdir(parents=True)
    (victim / "inside").mkdir(parents=True)
    (owner / "link").symlink_to(victim)
    for path in (owner / "link", owner / "link" / "inside", owner / ".." / "precious", owner, victim):
        with pytest.raises(ArtifactError, match="nothing is removed or written"):
            artifacts.remove_tree(path, owner)
    assert (victim / "inside").is_dir()
    artifacts.remove_tree(owner / "no such folder", owner)
    artifacts.remove_tree(owner / "work", owner)
    assert not (owner / "work").exists()


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
    artifacts.publish_folder(staged, tmp_path / "run", read_only=True)
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


def test_a_result_goes_through_a_link_and_into_a_device_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    artifacts.check_output(tmp_path / "link.json")
    artifacts.write_output(tmp_path / "link.json", b"new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_bytes() == b"new"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    artifacts.check_output(pipe)
    artifacts.write_output(pipe, b"said")
    assert os.read(reader, 10) == b"said"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    artifacts.write_output(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ArtifactError, match="circle"):
        artifacts.write_output(tmp_path / "circle", b"x")


def test_a_model_is_not_written_through_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.pth")
    (tmp_path / "link.pth").symlink_to("elsewhere.pth")
    for name, why in (("pipe.pth", "is a device or a pipe"), ("link.pth", "is a link to elsewhere.pth")):
        with pytest.raises(ArtifactError, match=why):
            artifacts.check_model_path(tmp_path / name)
    (tmp_path / "registry.pth").symlink_to("model/live/champion/registry.pth")
    artifacts.check_model_path(tmp_path / "registry.pth")
