"""What the data of several models has in common is said once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from support import call

from retraining_manager.cli import main
from retraining_manager.manager import RetrainingManager
from retraining_manager.saying_once import saying_once
from training.runs.job import SourceChoice

FAILURE = "none.db: no such database file"


def test_a_note_on_the_data_is_logged_once_by_each_handler(caplog: pytest.LogCaptureFixture) -> None:
    notes, other = logging.getLogger("data_sources.any"), logging.getLogger("training.any")
    with saying_once():
        for log in (notes, notes, other, other):
            log.warning("Note: the same")
    assert [record.name for record in caplog.records] == ["data_sources.any", "training.any", "training.any"]
    with saying_once():
        notes.warning("Note: the same")
    assert len(caplog.records) == 4


def test_a_failure_points_to_another_model_only_where_the_message_is_the_same() -> None:
    with saying_once() as said:
        assert said.failure("gnn_synergy", FAILURE) == FAILURE
        with saying_once() as inner:
            assert inner.failure("pattern_detection", FAILURE) == FAILURE, "another run"
        assert said.failure("soft_prompt", FAILURE) == "fails for the same reason as gnn_synergy"
        assert said.failure("gnn_synergy", FAILURE) == FAILURE, "its own, again"
        other = f"{FAILURE} of soft_prompt"
        assert said.failure("soft_prompt", other) == other


def test_a_check_inside_a_run_leaves_what_the_run_has_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    manager = RetrainingManager(
        None, tmp_path / "models", source=SourceChoice(data_source=f"sqlite:///{tmp_path}/none.db")
    )
    with saying_once() as said:
        for model in ("gnn_synergy", "soft_prompt"):
            assert manager.retrain(model, said=said).status == "failed"
            manager.check([model])
    assert sum("fails for the same reason as gnn_synergy" in record.getMessage() for record in caplog.records) == 1


def test_a_check_of_a_home_says_a_note_once(tmp_path: Path) -> None:
    (tmp_path / "configuration.yaml").write_text("light:\n", encoding="utf-8")
    done = call(main, "check", "--data-source", "homeassistant:.", cwd=tmp_path)
    assert done.stdout.count("Note: .storage: is missing") == 1
    assert "gnn_synergy, yaml_generation: .: no entity is known" in done.stdout


def test_a_failure_of_all_models_is_told_once_and_kept_with_each(tmp_path: Path) -> None:
    done = call(main, "run", "--all", "--data-source", "sqlite:///none.db", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.count(FAILURE) == 1
    assert "soft_prompt: fails for the same reason as gnn_synergy" in done.stderr
    page = (tmp_path / "simulation_results" / "pipeline_summaries" / "pipeline_summary.json").read_text()
    assert page.count(FAILURE) >= 4
