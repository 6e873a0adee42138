"""The retraining manager as its users meet it: what is trained, refused, published and skipped, and what is left."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import retraining
from click.testing import CliRunner
from retraining import fake, is_gone, make_manager, rows
from support import ROOT, environment

from data_sources import sample_directory
from retraining_manager.cli import main
from retraining_manager.errors import ChampionChangedError, ManagerError
from retraining_manager.manager import RetrainingManager
from retraining_manager.pipeline import Interrupted, run_pipeline
from retraining_manager.registry import Aliases, Registry
from retraining_manager.settings import ModelSettings, RetrainingOptions, choose_settings, read_settings
from retraining_manager.sufficiency import RowThresholds
from training.runs.job import SourceChoice

GNN = "gnn_synergy"
CONTRACT = {"phase", "timestamp", "model_type", "status", "metrics", "model_path", "training_time_seconds", "errors"}


@pytest.fixture(autouse=True)
def steered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE", "{}")
    monkeypatch.delenv("GNN_MODEL_PATH", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def manager(tmp_path: Path) -> RetrainingManager:
    return make_manager(tmp_path)


def production(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in (folder / "models").iterdir() if p.is_file()}


def summary_of(folder: Path, model: str = GNN) -> dict[str, Any]:
    path = folder / "simulation_results" / "pipeline_summaries" / f"training_summary_{model}.json"
    content: dict[str, Any] = json.loads(path.read_text())
    assert set(content) >= CONTRACT
    return content


def test_the_first_version_is_judged_published_and_summed_up(manager: RetrainingManager, tmp_path: Path) -> None:
    summary = manager.retrain(GNN)
    assert (summary.status, summary.promoted, summary.errors) == ("success", True, [])
    assert summary.version == summary.champion == manager.registry(GNN).aliases().champion
    assert json.loads(production(tmp_path)["gnn_synergy.pth"])["score"] == 0.5
    assert "gnn_synergy_metadata.json" in production(tmp_path)
    assert summary.verdict["verdict"] == "BLESSED"
    assert any("no baseline version" in reason for reason in summary.verdict["reasons"])
    assert summary.verdict["evaluation_fingerprint"] == "f" * 64
    assert summary.process["exit_code"] == 0
    assert summary.process["peak_mb"] > 1
    written = summary_of(tmp_path)
    assert written["model_path"] == str(tmp_path / f"models/gnn_synergy/versions/{summary.version}/gnn_synergy.pth")
    assert written["notes"] == ["n"], "the script's own words are kept"
    version = manager.registry(GNN).path(summary.version)
    assert {"verdict.json", "comparison.json", "training_summary.json", "output.log", "manifest.json"} <= {
        p.name for p in version.iterdir()
    }
    assert (version / "output.log").read_text().splitlines() == ["Epoch 1: loss 0.5", "a warning"]
    assert manager.registry(GNN).problems() == []


def test_what_a_version_says_of_its_place_is_where_it_is(
    manager: RetrainingManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    version = manager.registry("soft_prompt").path(str(manager.retrain("soft_prompt").version))
    for name, key in (("training_run.json", "run_directory"), ("training_summary.json", "model_path")):
        assert json.loads((version / name).read_text())[key] == str(version), name
    assert f"soft_prompt: Saved: {version}" in caplog.messages
    assert manager.registry("soft_prompt").problems() == []


def test_a_worse_candidate_is_refused_without_a_failure_and_not_a_byte_changes(
    manager: RetrainingManager, tmp_path: Path
) -> None:
    first = manager.retrain(GNN)
    before = production(tmp_path)
    fake(score=0.45)
    refused = manager.retrain(GNN)
    assert (refused.status, refused.promoted, refused.champion) == ("success", False, first.version)
    assert "worse by more than 2%" in refused.verdict["reasons"][0]
    assert production(tmp_path) == before
    assert manager.registry(GNN).aliases().previous is None
    assert refused.version in manager.registry(GNN).versions(), "it is kept, for whoever wants to see or promote it"
    fake(score=0.495)
    assert manager.retrain(GNN).promoted, "within the tolerance"
    fake(score=0.9)
    better = manager.retrain(GNN)
    assert json.loads(production(tmp_path)["gnn_synergy.pth"])["score"] == 0.9
    assert manager.registry(GNN).rollback("bad night") != better.version
    assert json.loads(production(tmp_path)["gnn_synergy.pth"])["score"] == 0.495


def test_a_candidate_must_hold_on_the_rows_that_the_champion_went_live_on_unless_others_are_named(
    manager: RetrainingManager, tmp_path: Path
) -> None:
    first = manager.retrain(GNN)
    assert (manager.registry(GNN).path(str(first.version)) / "evaluation_rows.json.gz").read_text() == "rows"
    before = production(tmp_path)
    fake(score=0.9, score_on_champion_rows=0.44)
    refused = manager.retrain(GNN)
    assert not refused.promoted
    assert "0.4400, its own 0.5000: worse by more than 10%" in refused.verdict["reasons"][0]
    assert production(tmp_path) == before
    trusted = make_manager(tmp_path, RetrainingOptions(evaluate_on=str(tmp_path / "data rows"))).retrain(GNN)
    assert trusted.promoted, "rows that the user names are right"


def test_a_weak_candidate_needs_accept_weak_and_that_is_recorded(tmp_path: Path) -> None:
    fake(score=0.3)
    weak = make_manager(tmp_path).retrain(GNN)
    assert (weak.status, weak.promoted) == ("success", False)
    assert "NOT beaten (--accept-weak" in weak.verdict["reasons"][0]
    assert not (tmp_path / "models" / "gnn_synergy.pth").exists()
    accepted = make_manager(tmp_path, RetrainingOptions(accept_weak=True)).retrain(GNN)
    assert accepted.promoted
    assert accepted.verdict["accept_weak"] is True
    assert "accepted by --accept-weak" in accepted.verdict["reasons"][0]


def test_a_run_directory_is_published_behind_latest(manager: RetrainingManager, tmp_path: Path) -> None:
    summary = manager.retrain("soft_prompt")
    assert summary.promoted
    latest = tmp_path / "data" / "ask_ai_soft_prompt" / "latest"
    assert json.loads((latest / "training_run.json").read_text())["score"] == 0.5
    fake(score=0.8)
    manager.retrain("soft_prompt")
    assert json.loads((latest / "training_run.json").read_text())["score"] == 0.8
    manager.registry("soft_prompt").rollback("r")
    assert json.loads((latest / "training_run.json").read_text())["score"] == 0.5


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "garbage for a summary": ({"summary": "}{ garbage \x00"}, "its summary cannot be used"),
    "exit 0 without a model": ({"nothing": 1}, "exit code 0, but gnn_synergy.pth was not written"),
    "killed for memory": ({"kill": 1}, "out of memory"),
    "cannot be compared": ({"compare_exit": 1}, "it could not be judged: compare_models.py: exit code 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_script_fails_with_one_line_and_what_is_live_stays(
    manager: RetrainingManager, tmp_path: Path, name: str
) -> None:
    act, message = BAD[name]
    fake(**act)
    summary = manager.retrain(GNN)
    assert summary.status == "failed"
    assert message in "; ".join(summary.errors)
    assert "\n" not in summary.message
    assert summary_of(tmp_path)["status"] == "failed"
    assert not (tmp_path / "models" / "gnn_synergy.pth").exists()
    assert not [p for p in (tmp_path / "models" / GNN).iterdir() if p.name.startswith(".work")]


def test_a_hanging_script_is_ended_with_all_it_started(tmp_path: Path) -> None:
    fake(child=str(tmp_path / "pid"), sleep=60)
    options = RetrainingOptions(settings={GNN: ModelSettings(timeout=0.5)})
    manager = make_manager(tmp_path, options)
    summary = manager.retrain(GNN)
    assert summary.status == "failed"
    assert "still running after 0.5 s and ended with all it started" in summary.errors[0]
    assert is_gone(tmp_path / "pid")


def test_a_child_that_outlives_its_script_is_ended(manager: RetrainingManager, tmp_path: Path) -> None:
    fake(child=str(tmp_path / "pid"))
    assert manager.retrain(GNN).promoted
    assert is_gone(tmp_path / "pid")


def test_too_few_rows_are_skipped_unless_forced(manager: RetrainingManager, tmp_path: Path) -> None:
    (tmp_path / "data rows" / "gnn_synergy_data.json").write_text(json.dumps(retraining.rows(30)))
    skipped = manager.retrain(GNN)
    assert (skipped.status, skipped.message) == ("skipped", "30 rows, gnn_synergy needs 100")
    assert manager.retrain(GNN, force=True).promoted
    argv = json.loads(production(tmp_path)["gnn_synergy.pth"])["argv"]
    assert "--force" in argv
    manager.retrain("soft_prompt", force=True)
    assert "--force" not in (manager.summaries.folder / "training_output_soft_prompt.log").read_text()


def test_rows_that_repeat_themselves_warn_or_with_require_distinct_are_refused(tmp_path: Path) -> None:
    manager = make_manager(tmp_path, RetrainingOptions(require_distinct=True))
    same = [{**row, "entity_1": "light.a", "entity_2": "light.b"} for row in retraining.rows()]
    (tmp_path / "data rows" / "gnn_synergy_data.json").write_text(json.dumps(same))
    refused = manager.retrain(GNN)
    assert refused.status == "skipped"
    assert "120 rows are only 1 distinct pair;" in refused.message
    warned = make_manager(tmp_path / "again")
    warned.source = manager.source
    summary = warned.retrain(GNN)
    assert summary.promoted
    assert summary.sufficiency["distinct"] == {"pairs": 1}
    assert len(summary.sufficiency["warnings"]) == 1


def test_what_cannot_be_held_out_is_published_first_and_replaced_by_its_like(
    manager: RetrainingManager, tmp_path: Path
) -> None:
    fake(held_out=False, score=1.0)
    first = manager.retrain(GNN)
    assert first.promoted, "production needs a model, and nothing says that this one is bad"
    assert any("no held-out score: four pairs" in reason for reason in first.verdict["reasons"])
    assert manager.retrain(GNN, force=True).promoted
    fake(held_out=False, score=0.5)
    assert not manager.retrain(GNN).promoted, "it remembers its own rows worse than what is live"


def test_a_night_with_thin_data_does_not_replace_what_was_judged_on_held_out_rows(tmp_path: Path) -> None:
    fake(score=0.8)
    rich = make_manager(tmp_path).retrain(GNN)
    assert rich.promoted
    fake(score=1.0, held_out=False)
    thin = make_manager(tmp_path).retrain(GNN)
    assert (thin.status, thin.promoted, thin.champion) == ("success", False, rich.version)
    assert "has a held-out score and this candidate has none" in thin.verdict["reasons"][0]
    assert make_manager(tmp_path, RetrainingOptions(accept_weak=True)).retrain(GNN).promoted


def test_a_live_model_of_the_sample_gives_way_to_other_data_unless_that_is_worse_than_counting(
    manager: RetrainingManager,
) -> None:
    told = {"timestamp": "2026-01-01T00:00:00+00:00", "model_type": GNN, "status": "success"}
    told["source"] = {"type": "json", "location": str(sample_directory())}  # type: ignore[assignment]
    fake(score=0.9, summary=json.dumps(told))
    first = manager.retrain(GNN)
    assert first.promoted
    fake(score=0.1)
    refused = manager.retrain(GNN)
    assert not refused.promoted
    assert f"{first.version}, which stays live, was trained on the shipped sample" in refused.notes
    fake(score=0.5)
    own = manager.retrain(GNN)
    assert own.promoted, "the sample is easier than real homes"
    assert any("says nothing of other data" in reason for reason in own.verdict["reasons"])
    fake(score=0.3)
    assert not manager.retrain(GNN).promoted, "what is live now is of other data"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("manifest.json", "{"),
        ("training_summary.json", '{"source": [1], "audit": [2]}'),
        (None, ""),
    ],
)
def test_an_adopted_model_that_was_damaged_gives_way_to_the_next(
    manager: RetrainingManager, tmp_path: Path, name: str | None, content: str
) -> None:
    (tmp_path / "models").mkdir(exist_ok=True)
    (tmp_path / "models" / "gnn_synergy.pth").write_text('{"score": 0.9}')
    adopted = manager.registry(GNN).adopt()
    assert adopted is not None
    folder = manager.registry(GNN).path(adopted)
    folder.chmod(0o755)
    if name is None:
        shutil.rmtree(folder)
    else:
        (folder / name).unlink(missing_ok=True)
        (folder / name).write_text(content)
    assert manager.registry(GNN).verify(adopted)
    summary = manager.retrain(GNN)
    assert (summary.status, summary.promoted) == ("success", True), summary.message
    assert any(
        f"no baseline version: {adopted} cannot be compared with" in reason for reason in summary.verdict["reasons"]
    )


def test_a_cold_start_does_not_replace_what_is_live(manager: RetrainingManager, tmp_path: Path) -> None:
    fake(score=0.5)
    first = manager.retrain(GNN)
    told = {"timestamp": "2026-01-01T00:00:00+00:00", "model_type": GNN, "status": "success"}
    fake(score=0.9, summary=json.dumps({**told, "audit": {"generated_pairs": 12}}))
    kept = manager.retrain(GNN)
    assert (kept.status, kept.champion) == ("skipped", first.version)
    assert "pairs generated from rules do not replace it" in kept.message
    flags = {GNN: ModelSettings(flags=("--accept-cold-start",))}
    accepted = make_manager(tmp_path, RetrainingOptions(settings=flags)).retrain(GNN)
    assert accepted.promoted
    assert manager.retrain(GNN).status == "success", "what is live is of rules too"


def test_one_failure_does_not_stop_the_others_and_an_optional_one_is_counted(tmp_path: Path) -> None:
    manager = make_manager(tmp_path, RetrainingOptions(settings={GNN: ModelSettings(optional=True)}))
    manager.training_scripts[GNN] = tmp_path / "no such script.py"
    summary = run_pipeline(manager, [GNN, "soft_prompt", "pattern_detection"], skip_absent=True)
    assert summary["message"] == "success, 1 optional failed"
    assert summary["promoted"] == ["soft_prompt"]
    assert summary["skipped"] == ["pattern_detection"], "the folder has no such data, which --all takes as it is"
    assert summary_of(tmp_path, "pattern_detection")["status"] == "skipped"
    summary = run_pipeline(manager, ["pattern_detection"])
    assert summary["status"] == "failed", "it was asked for by name"
    assert "no pattern_detection_data.json in this folder" in summary_of(tmp_path, "pattern_detection")["errors"][0]


def test_a_night_leaves_a_page_that_needs_nothing_else(manager: RetrainingManager) -> None:
    fake(status="failed", errors=["<script>alert(1)</script> & more"], exit=1)
    run_pipeline(manager, [GNN])
    page = (manager.summaries.folder / "pipeline_report.html").read_text()
    assert "failed: gnn_synergy" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in page
    assert "http" not in page


def wait_for(path: Path) -> None:
    while not path.exists():
        time.sleep(0.02)


def test_a_run_of_one_model_leaves_the_others_on_the_page_of_the_night(manager: RetrainingManager) -> None:
    page = manager.summaries.folder / "pipeline_report.html"
    run_pipeline(manager, [GNN, "soft_prompt"], force=True)
    published = page.read_text()
    run_pipeline(manager, [GNN], force=True)
    again = page.read_text()
    for content in (published, again):
        assert 'id="gnn_synergy-title"' in content
        assert 'id="soft_prompt-title"' in content
    assert "Not in this run" not in published
    assert again.count("Not in this run") == 1


def test_two_managers_at_once_are_one_run_and_one_skip(tmp_path: Path) -> None:
    second, go_on = make_manager(tmp_path), tmp_path / "go on"
    command = [sys.executable, str(ROOT / "tests" / "retraining.py"), str(tmp_path), GNN]
    env = environment(FAKE=json.dumps({"until": str(go_on)}), PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT / 'tests'}")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path) as first:
        wait_for(tmp_path / "go on.waits")
        skipped = second.retrain(GNN)
        go_on.touch()
        output = first.communicate(timeout=60)[0]
    assert skipped.status == "skipped"
    assert "is being trained already by" in skipped.message
    assert f"(process {first.pid}) since 20" in skipped.message
    assert json.loads(output.splitlines()[-1])["promoted"] == [GNN]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_ends_its_script_and_still_writes_every_summary(
    tmp_path: Path, number: signal.Signals
) -> None:
    make_manager(tmp_path)
    pid = tmp_path / "pid"
    command = [sys.executable, str(ROOT / "tests" / "retraining.py"), str(tmp_path), GNN, "soft_prompt"]
    env = environment(FAKE=json.dumps({"child": str(pid), "sleep": 60}), PYTHONPATH=f"{ROOT}{os.pathsep}{ROOT}/tests")
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path
    )
    wait_for(pid)
    process.send_signal(number)
    process.communicate(timeout=30)
    assert is_gone(pid)
    assert "interrupted" in summary_of(tmp_path)["errors"][0]
    assert summary_of(tmp_path, "soft_prompt")["status"] == "skipped"
    pipeline = json.loads((tmp_path / "simulation_results/pipeline_summaries/pipeline_summary.json").read_text())
    assert pipeline["status"] == "failed"


def test_the_admin_service_s_interface(manager: RetrainingManager, tmp_path: Path) -> None:
    assert manager.models_supporting_force == {GNN}
    assert set(manager.training_scripts) == {GNN, "soft_prompt", "pattern_detection", "yaml_generation"}
    enough = {GNN: 100, "soft_prompt": 50, "pattern_detection": 200, "yaml_generation": 100}
    assert all(manager.check_retraining_trigger(enough).values())
    assert not any(manager.check_retraining_trigger({model: rows - 1 for model, rows in enough.items()}).values())
    poor = manager.check_retraining_trigger(
        enough, {GNN: {"quality_score": 0.69}, "soft_prompt": {"quality_score": 0.7}}
    )
    assert (poor[GNN], poor["soft_prompt"]) == (False, True)
    result = asyncio.run(manager.retrain_model(GNN))
    assert (result["success"], result["model_type"], result["promoted"]) == (True, GNN, True)
    assert result["duration_seconds"] > 0
    unknown = asyncio.run(manager.retrain_model("../models"))
    assert (unknown["success"], "no such model" in unknown["error"]) == (False, True)
    results = asyncio.run(manager.retrain_all_models({GNN: 500}))
    assert results[GNN]["success"]
    assert (results["soft_prompt"]["skipped"], results["soft_prompt"]["success"]) == (True, False)
    assert [entry["model_type"] for entry in manager.get_retraining_history(GNN)] == [GNN, GNN]
    assert len(RetrainingManager(None, tmp_path / "models").get_retraining_history()) == 5, "it is on disk"


def test_a_cancelled_retraining_ends_its_script(manager: RetrainingManager, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    fake(child=str(pid), sleep=60)

    async def cancel() -> None:
        task = asyncio.create_task(manager.retrain_model(GNN))
        while not pid.exists() or not pid.read_text():
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert is_gone(pid)
    assert "interrupted" in summary_of(tmp_path)["errors"][0]


def test_a_champion_that_changed_meanwhile_is_not_replaced_unseen(manager: RetrainingManager, tmp_path: Path) -> None:
    manager.retrain(GNN)
    registry = manager.registry(GNN)
    aliases = registry.aliases()
    fake(score=0.6)
    second = manager.retrain(GNN)
    assert second.promoted
    with pytest.raises(ManagerError, match="went live meanwhile and was not compared with"):
        registry.promote(aliases.champion or "", "late", expected=aliases)


@pytest.mark.parametrize(("cron", "published"), [(0.55, True), (0.9, False)])
def test_a_version_that_went_live_meanwhile_is_what_the_candidate_must_beat(
    manager: RetrainingManager, tmp_path: Path, cron: float, published: bool
) -> None:
    manager.retrain(GNN)
    fake(score=0.6, compared=str(tmp_path / "compared once"), cron=cron)
    summary = manager.retrain(GNN)
    assert (summary.status, summary.promoted, summary.errors) == ("success", published, [])
    assert summary.verdict["champion_score"] == cron, "it was compared again, with what the cron had trained meanwhile"
    registry = manager.registry(GNN)
    live = json.loads(production(tmp_path)["gnn_synergy.pth"])["score"]
    assert live == (0.6 if published else cron)
    assert len(registry.versions()) == 3, "nothing that was trained is lost"
    assert json.loads((registry.path(str(summary.version)) / "verdict.json").read_bytes())["champion_score"] == cron


def test_a_live_version_that_never_stays_is_a_refusal_and_no_failure(
    manager: RetrainingManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = manager.retrain(GNN)
    real = Registry.add

    def add(of: Registry, *arguments: Any, expected: Aliases | None = None, **more: Any) -> str:
        if expected is not None:
            raise ChampionChangedError("gnn_synergy: another one went live meanwhile and was not compared with")
        return real(of, *arguments, **more)

    monkeypatch.setattr(Registry, "add", add)
    fake(score=0.6)
    summary = manager.retrain(GNN)
    monkeypatch.undo()
    assert (summary.status, summary.promoted) == ("success", False)
    assert "the live version changed 5 times while this one was compared" in summary.message
    assert summary.version in manager.registry(GNN).versions(), "it is kept"
    assert manager.registry(GNN).aliases().champion == first.version


@pytest.mark.parametrize("model", [GNN, "soft_prompt"])
def test_unchanged_data_publishes_nothing_and_the_good_predecessor_stays(
    manager: RetrainingManager, model: str
) -> None:
    registry = manager.registry(model)
    first = manager.retrain(model).version
    fake(score=0.6, same=1)
    second = manager.retrain(model).version
    for _ in range(2):
        again = manager.retrain(model, force=True)
        assert (again.status, again.promoted, again.version, again.outcome) == ("success", False, second, "unchanged")
        assert "which is live: nothing to publish" in again.message
    assert registry.versions() == [first, second]
    assert registry.rollback("too eager") == first
    refused = manager.retrain(model)
    assert (refused.status, refused.promoted, refused.outcome) == ("success", False, "refused")
    assert f"the same as {second}, which was rolled back" in refused.message
    assert "(too eager)" in refused.message
    assert registry.aliases().champion == first, "a rollback is not undone by the next night"
    assert registry.prune(0) == []
    registry.promote(str(second), "by hand")
    assert manager.retrain(model, force=True).outcome == "unchanged"
    assert registry.problems() == []


def test_what_a_night_leaves_is_as_private_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    manager = make_manager(tmp_path)
    run_pipeline(manager, [GNN, "soft_prompt"])
    folders = (manager.model_directory, manager.summaries.folder, tmp_path / "data")
    found = [path for folder in folders for path in (folder, *folder.rglob("*")) if not path.is_symlink()]
    modes = {(path.is_dir(), path.stat().st_mode & 0o777) for path in found}
    assert modes == {(True, 0o777 & ~umask), (False, 0o666 & ~umask), (False, 0o444 & ~umask)}


def test_the_cron_s_own_training_becomes_a_version_and_is_what_the_next_candidate_must_beat(
    manager: RetrainingManager, tmp_path: Path
) -> None:
    first = manager.retrain(GNN)
    live = tmp_path / "models" / "gnn_synergy.pth"
    live.unlink()
    live.write_text('{"score": 0.9}')
    fake(score=0.7)
    refused = manager.retrain(GNN)
    assert not refused.promoted
    assert live.read_text() == '{"score": 0.9}'
    assert live.is_symlink()
    assert manager.registry(GNN).aliases().previous == first.version
    assert "put there outside the retraining manager" in manager.registry(GNN).history()[-1]["reason"]


def test_the_synergy_model_is_where_gnn_model_path_says(
    manager: RetrainingManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("GNN_MODEL_PATH=other place/mine.pth\n")
    assert manager.retrain(GNN).production_path == "other place/mine.pth"
    assert json.loads((tmp_path / "other place" / "mine.pth").read_text())["score"] == 0.5
    assert (tmp_path / "other place" / "mine_metadata.json").read_text() == "{}"
    monkeypatch.setenv("GNN_MODEL_PATH", str(tmp_path / "elsewhere.pth"))
    assert manager.retrain(GNN).promoted
    assert (tmp_path / "elsewhere.pth").exists()
    with pytest.raises(ManagerError, match=r"has no elsewhere\.pth, which production looks for"):
        manager.registry(GNN).rollback("to a version of the other name")
    assert (tmp_path / "elsewhere.pth").exists()


# The command line


def invoke(*arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    return done.exit_code, done.stdout, done.stderr


def test_list_show_promote_rollback_prune_and_verify(manager: RetrainingManager) -> None:
    first, second = manager.retrain(GNN).version, None
    fake(score=0.6)
    second = manager.retrain(GNN).version
    assert first is not None
    assert second is not None
    code, output, _ = invoke("list", GNN)
    assert code == 0
    assert output.index(second) < output.index(first)
    assert "champion" in output
    assert "BLESSED" in output
    assert second in invoke("show", GNN)[1]
    shown = json.loads(invoke("show", GNN, first, "--json")[1])
    assert (shown["names"], shown["problems"], shown["verdict"]["verdict"]) == (["previous"], [], "BLESSED")
    assert len(shown["history"]) == 2
    assert invoke("rollback", GNN, "--reason", "too eager")[:2] == (
        0,
        f"{GNN}: {first} is live again, {second} was rolled back\n",
    )
    code, _, error = invoke("rollback", GNN)
    assert (code, f"{second} was live before and was rolled back itself (too eager)" in error) == (1, True)
    assert invoke("promote", GNN, first)[1] == f"{GNN}: {first} was live already\n"
    assert json.loads(invoke("promote", GNN, second, "--json")[1]) == {
        "model": GNN,
        "champion": second,
        "previous": first,
    }
    assert invoke("prune", GNN, "--keep", "0")[1] == f"{GNN}: removed nothing\n"
    assert invoke("verify")[0] == 0
    model = manager.registry(GNN).model_path(first)
    model.chmod(0o644)
    model.write_text("changed")
    code, output, _ = invoke("verify", GNN)
    assert code == 1
    assert "has changed since it was published" in output
    code, _, error = invoke("rollback", GNN)
    assert (code, "is not whole and cannot go live" in error, error.count("\n")) == (1, True, 1)


@pytest.mark.parametrize("model", ["nothing", "../gnn_synergy", "gnn synergy", "'; rm -rf /", ""])
@pytest.mark.parametrize("command", ["check", "run", "list", "show", "rollback", "prune", "verify"])
def test_an_unknown_model_is_wrong_usage(command: str, model: str) -> None:
    code, _, error = invoke(command, model)
    assert code == 2
    assert "no such model; there are gnn_synergy, soft_prompt" in error


def test_a_model_may_be_named_with_dashes_as_the_command_that_trains_it(manager: RetrainingManager) -> None:
    version = manager.retrain("gnn-synergy").version
    assert version in invoke("list", "gnn-synergy", GNN)[1]
    assert version in invoke("show", "gnn-synergy")[1]
    assert invoke("run", "soft-prompt", "--optional", "soft-prompt", "--json-input", "nowhere")[0] == 0
    assert manager.registry("gnn-synergy").folder == manager.registry(GNN).folder


@pytest.mark.usefixtures("manager")
def test_where_there_is_no_version_each_command_says_so_and_what_to_do(tmp_path: Path) -> None:
    nothing = "there is no version yet, and nothing at models/gnn_synergy.pth; `run gnn_synergy` trains the first"
    outside = "there is no version yet; models/gnn_synergy.pth was put there outside the retraining manager"
    for told in (nothing, outside):
        assert told in invoke("list", GNN)[1]
        assert told in invoke("show", GNN)[2]
        assert told in invoke("rollback", GNN)[2]
        if told == nothing:
            assert invoke("verify", GNN)[:2] == (0, f"{GNN}: {nothing}\n")
            (tmp_path / "models").mkdir(exist_ok=True)
            (tmp_path / "models" / "gnn_synergy.pth").write_text("by its own training")
    assert "it was put there outside the retraining manager" in invoke("verify", GNN)[1]
    assert not (tmp_path / "models" / "gnn_synergy.pth").is_symlink()


@pytest.mark.parametrize("version", ["../../../etc", "x y", "'", "20260101T000000000Z-00000000", ".", "latest"])
def test_a_version_that_is_none_is_one_line(version: str) -> None:
    for command in ("show", "promote"):
        code, _, error = invoke(command, GNN, version)
        assert code == 1
        assert error.count("\n") == 1
        assert "version" in error


def test_check_says_what_has_enough_data_and_why_not(manager: RetrainingManager, tmp_path: Path) -> None:
    code, output, _ = invoke("check", "--json-input", str(tmp_path / "data rows"))
    assert code == 0
    assert "gnn_synergy        yes     120   120 pairs" in output
    assert "no yaml_generation_data.json in this folder" in output
    found = json.loads(invoke("check", GNN, "--json-input", str(tmp_path / "data rows"), "--json")[1])
    assert found[GNN]["enough"] is True


def test_check_of_data_that_cannot_be_read_is_a_failure_and_no_number_of_rows(tmp_path: Path) -> None:
    missing = str(tmp_path / "missing.db")
    code, output, error = invoke("check", "--data-source", f"sqlite:///{missing}")
    assert code == 1
    assert "gnn_synergy        no      -\n" in output
    assert error.count("no such database file") == 1, "what all models have in common is said once"
    assert "Error: gnn_synergy, soft_prompt, pattern_detection, yaml_generation: " in error
    (tmp_path / "empty").mkdir()
    assert invoke("check", "--json-input", str(tmp_path / "empty"))[0] == 0
    code, _, error = invoke("check", GNN, "--json-input", str(tmp_path / "empty"))
    assert (code, "no gnn_synergy_data.json" in error) == (1, True), "it was asked for by name"
    assert invoke("check", GNN, "--json-input", str(tmp_path / "empty"), "--json")[0] == 1


def test_a_database_without_the_table_of_a_model_skips_it_under_all(tmp_path: Path) -> None:
    database = tmp_path / "production.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE synergy_opportunities (device_ids, confidence)")
        connection.executemany(
            "INSERT INTO synergy_opportunities VALUES (?, 0.8)",
            [(json.dumps([r["entity_1"], r["entity_2"]]),) for r in rows()],
        )
        connection.commit()
    manager = make_manager(tmp_path, source=SourceChoice(data_source=f"sqlite:///{database}"))
    summary = run_pipeline(manager, [GNN, "pattern_detection"], skip_absent=True)
    assert (summary["status"], summary["promoted"], summary["skipped"]) == ("success", [GNN], ["pattern_detection"])
    assert "no table pattern_detection" in summary["models"]["pattern_detection"]["message"]
    assert run_pipeline(manager, ["pattern_detection"], skip_absent=True)["message"] == "success, all skipped"
    assert run_pipeline(manager, ["pattern_detection"])["failed"] == ["pattern_detection"], "it was asked for by name"


@pytest.mark.parametrize("table", ["CREATE TABLE users (id)", "CREATE TABLE ask_ai_queries (original_query)", ""])
def test_a_database_of_something_else_is_told_apart_from_one_without_data(
    tmp_path: Path, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "some.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(table or "SELECT 1")
        connection.commit()
    database.touch()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    monkeypatch.setenv("DATA_API_URL", "http://127.0.0.1:9")
    for source in ([], ["--data-source", f"sqlite:///{database}"]):
        code, output, error = invoke("run", "--all", "--json", *source)
        night = json.loads(output)
        assert set(night["skipped"]) >= {GNN, "pattern_detection", "yaml_generation"}
        if "ask_ai" not in table:
            assert (code, night["status"]) == (1, "failed")
            told = (
                f"no table for any model, so it is not the one that is meant: sqlite:///{database}: no table synergy_"
            )
            assert f"ERROR the database has {told}" in error
            assert night["message"].startswith(f"failed: the database has {told}")
        else:
            assert "no table for any model" not in error


def test_a_database_with_empty_tables_has_no_data_yet(tmp_path: Path) -> None:
    database = tmp_path / "new.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE ask_ai_queries (original_query, suggestions, created_at)")
        connection.commit()
    code, output, _ = invoke("run", "--all", "--json", "--data-source", f"sqlite:///{database}")
    assert (code, json.loads(output)["message"]) == (0, "success, all skipped")


USAGE = {
    "no model": (("run",), "Name the MODELs to train, or give --all"),
    "both": (("run", GNN, "--all"), "Name the MODELs to train, or give --all"),
    "standard input": (("run", GNN, "--json-input", "-"), "can be read only once"),
    "two sources": (("run", GNN, "--json-input", "x", "--data-source", "y"), "exclude each other"),
    "optional unknown": (("run", GNN, "--optional", "x"), "no such model"),
    "config unknown model": (("run", GNN, "--config", "model.yaml"), "no such model"),
    "config unknown key": (("run", GNN, "--config", "key.yaml"), "Extra inputs are not permitted"),
    "config own flag": (("run", GNN, "--config", "flag.yaml"), "--model-path=x is the manager's own"),
    "config no yaml": (("run", GNN, "--config", "broken.yaml"), "is not YAML of settings by model"),
    "config a list": (("run", GNN, "--config", "list.yaml"), "is not YAML of settings by model"),
}


@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_is_exit_2(tmp_path: Path, name: str) -> None:
    (tmp_path / "model.yaml").write_text("nothing: {}")
    (tmp_path / "key.yaml").write_text("gnn_synergy: {gate: {tollerance: 1}}")
    (tmp_path / "flag.yaml").write_text("gnn_synergy: {flags: [--model-path=x]}")
    (tmp_path / "broken.yaml").write_text("gnn_synergy: [")
    (tmp_path / "list.yaml").write_text("- gnn_synergy")
    arguments, message = USAGE[name]
    code, _, error = invoke(*arguments)
    assert code == 2
    assert message in error


def test_settings_of_a_model_reach_its_script(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("gnn_synergy:\n  flags: [--epochs, '3']\n  gate: {minimum: 0.55}\n")
    manager = make_manager(tmp_path, RetrainingOptions(settings=read_settings(tmp_path / "c.yaml")))
    refused = manager.retrain(GNN)
    assert "0.5000 is below the minimum of 0.5500" in refused.verdict["reasons"][0]
    assert refused.version is not None
    argv = json.loads(manager.registry(GNN).model_path(refused.version).read_text())["argv"]
    assert argv[argv.index("--epochs") + 1] == "3"


def test_the_base_model_of_the_text_models_is_set_in_one_place_and_single_flags_win(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("yaml_generation:\n  flags: [--base-model, small]\n")
    settings = choose_settings(tmp_path / "c.yaml", [GNN], "scratch")
    assert settings["soft_prompt"].flags == ("--base-model=scratch",)
    assert settings["yaml_generation"].flags == ("--base-model=scratch", "--base-model", "small")
    assert settings[GNN].flags == ()
    code, _, error = invoke("run", GNN, "--base-model", "")
    assert (code, "--base-model needs a folder" in error) == (2, True)


def test_a_folder_that_cannot_be_written_is_a_failure_in_one_line(tmp_path: Path) -> None:
    manager = make_manager(tmp_path)
    (tmp_path / "models").write_text("a file is in the way")
    summary = manager.retrain(GNN)
    assert summary.status == "failed"
    assert "Not a directory" in summary.errors[0] or "File exists" in summary.errors[0]


def test_a_fault_of_the_manager_itself_still_leaves_a_summary_and_the_next_model(
    manager: RetrainingManager, tmp_path: Path
) -> None:
    manager.data_sufficiency_checker = None  # type: ignore[assignment]
    summary = run_pipeline(manager, [GNN, "soft_prompt"])
    assert summary["failed"] == [GNN, "soft_prompt"]
    assert "unexpected AttributeError" in summary_of(tmp_path)["errors"][0]


def test_help_of_the_script_is_instant_and_imports_no_library_of_models() -> None:
    code = (
        "import sys, runpy; sys.argv = ['retrain.py', 'run', '--help']\n"
        "try: runpy.run_path('scripts/retrain.py', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'transformers', 'numpy', 'sqlalchemy', 'pydantic') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "--accept-weak" in done.stdout


def test_an_interrupt_leaves_the_models_after_it_not_run(manager: RetrainingManager) -> None:
    class CtrlC(RowThresholds):
        def check_all_models(
            self, data_counts: Mapping[str, int], quality_metrics: Mapping[str, Mapping[str, Any]] | None = None
        ) -> dict[str, tuple[bool, str]]:
            raise KeyboardInterrupt

    manager.data_sufficiency_checker = CtrlC()
    with pytest.raises(Interrupted) as stopped:
        run_pipeline(manager, [GNN, "soft_prompt"])
    outcomes = {model: state["message"] for model, state in stopped.value.summary["models"].items()}
    assert outcomes == {
        GNN: f"{GNN}: interrupted; what is live has not changed",
        "soft_prompt": "not run: the run was interrupted before it",
    }
