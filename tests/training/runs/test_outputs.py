"""A result goes where its user says."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from training.runs.errors import ArtifactError
from training.runs.outputs import check_output, write_output


def test_a_result_goes_through_a_link_and_into_a_device_or_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    check_output(tmp_path / "link.json")
    write_output(tmp_path / "link.json", b"new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_bytes() == b"new"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    check_output(pipe)
    write_output(pipe, b"said")
    assert os.read(reader, 10) == b"said"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    write_output(Path("/dev/null"), b"gone")
    assert Path("/dev/null").is_char_device()
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ArtifactError, match="circle"):
        write_output(tmp_path / "circle", b"x")
