"""A base model that cannot be had is said before training, once and at once."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import huggingface_hub.constants
import pytest
from pytest_httpserver import HTTPServer
from support import call

from training.runs.errors import TrainingError
from training.text import base_cache
from training.text.base_cache import check_base
from training.text.command import train as train_soft_prompt

NAME = "somebody/small"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "cache"


def in_cache(cache: Path, *files: str) -> None:
    snapshot = cache / "models--somebody--small" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot.parent.parent / "refs").mkdir()
    (snapshot.parent.parent / "refs" / "main").write_text("abc")
    for name in files:
        (snapshot / name).write_text("{}")


def test_a_folder_scratch_and_a_whole_model_in_the_cache_ask_no_hub(
    empty_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    in_cache(empty_cache, "config.json", "model.safetensors")
    for name in (NAME, "scratch", str(tmp_path)):
        check_base(name)


def test_a_model_that_is_only_partly_in_the_cache_is_not_there(
    empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_cache(empty_cache, "config.json")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(TrainingError, match=r"is not in the Hugging Face cache .*cache and cannot be fetched"):
        check_base(NAME)


def test_offline_names_the_variable_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(TrainingError) as failure:
        check_base(NAME)
    for part in ("HF_HUB_OFFLINE is set", f"`hf download {NAME}`", "HF_HOME", "--base-model scratch"):
        assert part in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_hub_that_answers_is_left_to_the_download(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", httpserver.url_for("").rstrip("/"))
    httpserver.expect_request(f"/api/models/{NAME}").respond_with_json({"id": NAME})
    check_base(NAME)
    httpserver.expect_request("/api/models/nobody/mirror").respond_with_data("no such page", status=405)
    check_base("nobody/mirror")
    missing = {"X-Error-Code": "RepoNotFound"}
    httpserver.expect_request("/api/models/nobody/nothing").respond_with_json({}, status=404, headers=missing)
    with pytest.raises(TrainingError, match="has no model of this name"):
        check_base("nobody/nothing")


def test_a_hub_that_never_answers_is_waited_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base_cache, "HUB_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as hole:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{hole.getsockname()[1]}")
        with pytest.raises(TrainingError, match="cannot be reached: timed out"):
            check_base(NAME)


def test_a_training_without_its_base_ends_before_anything_is_written(tmp_path: Path) -> None:
    rows = [{"query": f"light {n}", "suggestion": "on"} for n in range(5)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    done = call(
        train_soft_prompt,
        *("--json-input", "rows.json", "--output-dir", "out"),
        cwd=tmp_path,
        env={"HF_ENDPOINT": "http://127.0.0.1:1"},
    )
    assert done.returncode == 1
    assert "google/flan-t5-small: is not in the Hugging Face cache" in done.stderr
    assert "http://127.0.0.1:1 cannot be reached" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list((tmp_path / "out").iterdir()) == []
