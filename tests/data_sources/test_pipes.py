"""A pipe is read once: what would wait for it a second time is refused with one line."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from support import call, row

from data_sources import DataSourceError, Home, open_source
from retraining_manager.cli import main as retrain
from retraining_manager.errors import ManagerError
from retraining_manager.manager import RetrainingManager
from training.runs.job import SourceChoice

ROWS = json.dumps([row("binary_sensor.hall_motion", "light.hall")])


@contextmanager
def pipe(path: Path, content: str) -> Iterator[Path]:
    """A named pipe with a writer that writes ``content`` to its first reader."""
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_text, args=(content,), daemon=True)
    writer.start()
    yield path


@pytest.mark.parametrize("given", ["json_input", "data_source"])
def test_a_pipe_is_read_once_and_never_waited_for_again(tmp_path: Path, given: str) -> None:
    with pipe(tmp_path / "rows", ROWS) as path:
        source = open_source(**{given: str(path)})  # type: ignore[arg-type]
        (home,) = source.read(Home)
        assert len(home.synergies) == 1
        with pytest.raises(DataSourceError, match="can be read only once, and was read already; save it to a file"):
            list(source.read(Home))


def test_a_file_is_read_as_often_as_wanted(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(ROWS)
    source = open_source(json_input=str(path))
    assert len(list(source.read(Home))) == len(list(source.read(Home))) == 1


def test_closed_standard_input_is_said_to_be_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(DataSourceError, match="standard input: is closed"):
        list(open_source(json_input="-").read(Home))


def test_a_pipe_in_the_place_of_a_database_is_no_database(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.db")
    with pytest.raises(DataSourceError, match="no such database file"):
        list(open_source(data_source=f"sqlite:///{tmp_path / 'x.db'}").read(Home))


@pytest.mark.parametrize(
    "given",
    ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0", "/dev/null", "{fifo}", "file://{fifo}"],
)
def test_what_each_process_would_read_for_itself_is_refused_by_the_manager(tmp_path: Path, given: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    spec = given.format(fifo=tmp_path / "fifo")
    for arguments in (["check", "--json-input", spec], ["check", "--data-source", spec]):
        done = CliRunner().invoke(retrain, arguments)
        assert done.exit_code == 2, done.output
        assert "can be read only once" in done.output
    done = CliRunner().invoke(retrain, ["run", "--all", "--json-input", str(tmp_path), "--evaluate-on", spec])
    assert done.exit_code == 2, done.output
    with pytest.raises(ManagerError, match="can be read only once"):
        RetrainingManager(None, tmp_path, source=SourceChoice(json_input=spec))


def test_files_folders_and_addresses_are_readable_by_every_process(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    for spec in (str(tmp_path), str(tmp_path / "x.json"), "http://data-api:8006", "sqlite:///x.db", "auto", None, ""):
        assert SourceChoice(data_source=spec).readable_once is None
    assert SourceChoice(json_input="x" * 10_000).readable_once is None


def test_settings_may_come_through_a_pipe(tmp_path: Path) -> None:
    with pipe(tmp_path / "config", "nothing: {}") as path:
        done = call(retrain, "run", "gnn_synergy", "--config", str(path), cwd=tmp_path)
    assert done.returncode == 2
    assert "no such model" in done.stderr
