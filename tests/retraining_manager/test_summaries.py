"""What a training says of itself, and what its process says where it says nothing that can be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from retraining_manager.models import SPECS
from retraining_manager.runner import Outcome
from retraining_manager.summaries import ModelSummary, SummaryFolder, read_training_summary

SPEC = SPECS["gnn_synergy"]
WRITTEN = {"timestamp": "t", "model_type": "gnn_synergy", "status": "success", "metrics": {"a": 0.5}}


def read(
    tmp_path: Path, written: str | dict[str, Any] | None, timeout: float | None = None, **more: Any
) -> ModelSummary:
    path = tmp_path / "summary.json"
    if written is not None:
        path.write_text(written if isinstance(written, str) else json.dumps(written))
    ended = Outcome(**{"exit_code": 0, "seconds": 3.0, "peak_mb": 512.0, **more})
    return read_training_summary(path, SPEC, ended, timeout)


BAD: dict[str, tuple[str | dict[str, Any] | None, dict[str, Any], str]] = {
    "garbage": ("}{ garbage \x00", {}, "its summary cannot be used"),
    "another shape": ("[1, 2]", {}, "its summary cannot be used"),
    "nan": (WRITTEN | {"metrics": {"a": float("nan")}}, {}, "its summary cannot be used"),
    "says that it is published": (WRITTEN | {"promoted": True}, {}, "its summary cannot be used"),
    "nothing": (None, {}, "exit code 0, but no summary was written"),
    "nothing, and exit 1": (None, {"exit_code": 1}, "gnn_synergy: exit code 1"),
    "success, and exit 1": (WRITTEN, {"exit_code": 1}, "gnn_synergy: exit code 1"),
    "failed without a word": (WRITTEN | {"status": "failed"}, {}, "failed without saying why"),
    "killed": (None, {"exit_code": -9}, "out of memory at 512 MB or more; lower --memory"),
    "too late": (WRITTEN, {"exit_code": -15, "timed_out": True}, "still running after 60 s"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_success_is_a_failure_with_one_line(tmp_path: Path, name: str) -> None:
    written, ended, message = BAD[name]
    summary = read(tmp_path, written, 60.0, **ended)
    assert (summary.status, summary.promoted) == ("failed", False)
    assert message in summary.message
    assert summary.errors == [summary.message]
    assert "\n" not in summary.message
    assert summary.process["exit_code"] == ended.get("exit_code", 0)


def test_a_clock_that_jumped_back_makes_no_negative_time(tmp_path: Path) -> None:
    assert read(tmp_path, WRITTEN | {"training_time_seconds": -1e9}).training_time_seconds == 3.0


def test_a_line_that_a_kill_cut_off_costs_no_line_after_it(tmp_path: Path) -> None:
    folder = SummaryFolder(tmp_path)
    folder.write(ModelSummary.of("gnn_synergy", "failed", "first"))
    with open(tmp_path / "retraining_history.jsonl", "a") as file:
        file.write('{"model_type": "gnn_')
    folder.write(ModelSummary.of("gnn_synergy", "failed", "third"))
    assert [entry["error"] for entry in folder.history("gnn_synergy")] == ["first", "third"]


def test_a_failure_in_its_own_words_is_not_said_again(tmp_path: Path) -> None:
    failed = WRITTEN | {"status": "failed", "errors": ["x.json: row 3"]}
    assert read(tmp_path, failed, exit_code=1).errors == ["x.json: row 3"]
    ended_too = read(tmp_path, failed, 60.0, exit_code=-15, timed_out=True)
    assert ended_too.errors[0] == "x.json: row 3"
    assert "still running after 60 s" in ended_too.errors[1]


def test_a_success_is_taken_over_with_what_its_process_used(tmp_path: Path) -> None:
    summary = read(tmp_path, WRITTEN | {"notes": ["n"]}, output_lost="o.log: the output's rest is lost")
    assert (summary.status, summary.metrics, summary.errors) == ("success", {"a": 0.5}, [])
    assert summary.notes == ["n", "o.log: the output's rest is lost"]
    assert summary.process == {"exit_code": 0, "seconds": 3.0, "peak_mb": 512.0}
    assert summary.training_time_seconds == 3.0


def test_the_newest_summary_and_every_run_are_on_disk_and_a_line_cut_off_is_left_out(tmp_path: Path) -> None:
    folder = SummaryFolder(tmp_path / "new" / "folder")
    assert folder.history() == []
    for model, message in (("gnn_synergy", "one"), ("soft_prompt", "two"), ("gnn_synergy", "three")):
        folder.write(ModelSummary.of(model, "skipped", message))
    with open(folder.folder / "retraining_history.jsonl", "a") as file:
        file.write('{"success": fal')
    assert folder.last("gnn_synergy").message == "three"
    assert [entry["reason"] for entry in folder.history()] == ["one", "two", "three"]
    assert [entry["reason"] for entry in folder.history("gnn_synergy")] == ["one", "three"]
