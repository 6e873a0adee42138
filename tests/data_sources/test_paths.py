"""What a path is can be asked of whatever a user may name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_sources.paths import is_file, is_folder, is_special, is_there, same_file


def test_each_path_is_one_thing(tmp_path: Path) -> None:
    file, folder, pipe, link = (tmp_path / name for name in ("file", "folder", "pipe", "link"))
    file.touch()
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to(file)
    (tmp_path / "dangling").symlink_to("nowhere")
    kinds = {file: "file", folder: "folder", pipe: "special", link: "file", Path(os.devnull): "special"}
    for path, kind in kinds.items():
        found = {"file": is_file(path), "folder": is_folder(path), "special": is_special(path)}
        assert [one for one, is_it in found.items() if is_it] == [kind]
        assert is_there(path)
    assert not is_there(tmp_path / "dangling")
    assert same_file(file, link)
    assert not same_file(file, folder)


@pytest.mark.parametrize("name", ["x" * 5_000, "a/" * 4_000, "with\0zero", "file/inside", "not there"])
def test_of_what_can_be_no_path_everything_is_false(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / name
    assert not any((is_there(path), is_file(path), is_folder(path), is_special(path), same_file(path, tmp_path)))
