"""Folders get their name when they are whole, and are removed only inside the folder that owns them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from support import DISK_FULL, failing_flush

from training.runs.errors import ArtifactError
from training.runs.folders import publish_folder, remove_tree


def test_a_folder_is_named_when_it_is_whole_and_nobody_writes_a_read_only_one(tmp_path: Path) -> None:
    for name in ("open", "sealed"):
        staged = tmp_path / f".{name}"
        (staged / "sub").mkdir(parents=True, mode=0o700)
        (staged / "sub" / "file").touch(mode=0o600)
        publish_folder(staged, tmp_path / name, read_only=name == "sealed")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "sealed").rglob("*")}
    assert modes == {"sub": 0o755, "file": 0o444}
    (tmp_path / "ordinary").touch()
    assert (tmp_path / "open" / "sub" / "file").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


def test_a_folder_that_cannot_be_flushed_gets_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".staged").mkdir()
    (tmp_path / ".staged" / "file").touch()
    failing_flush(monkeypatch, 1, DISK_FULL)
    with pytest.raises(ArtifactError, match="run_1: cannot be written"):
        publish_folder(tmp_path / ".staged", tmp_path / "run_1")
    assert not (tmp_path / "run_1").exists()


def test_a_folder_is_removed_only_where_it_lies_inside_its_owner(tmp_path: Path) -> None:
    owner, victim = tmp_path / "own", tmp_path / "precious"
    (owner / "work").mkdir(parents=True)
    (victim / "inside").mkdir(parents=True)
    (owner / "link").symlink_to(victim)
    for path in (owner / "link", owner / "link" / "inside", owner / ".." / "precious", owner, victim):
        with pytest.raises(ArtifactError, match="nothing is removed or written"):
            remove_tree(path, owner)
    assert (victim / "inside").is_dir()
    remove_tree(owner / "no such folder", owner)
    remove_tree(owner / "work", owner)
    assert not (owner / "work").exists()
