"""scripts/train_soft_prompt.py as its users run it, on a small base that is trained from scratch."""

from __future__ import annotations

import json
import re
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from support import ROOT, call, call_process, environment

from data_sources import open_source
from training.compare import compare, comparer_of
from training.runs.errors import ModelFileError
from training.runs.publishing import move_link
from training.text.audit import audit_prompts
from training.text.backbone import TextPair
from training.text.command import train as train_soft_prompt
from training.text.model import Suggester, nearest_answers, text_scores
from training.text.splits import split_by_query

SCRIPT = ROOT / "scripts" / "train_soft_prompt.py"
ROOMS = ("kitchen", "hall", "office", "bedroom", "bathroom", "garage", "attic", "cellar")
ROWS = [
    {"query": f"{ask} the {thing} in the {room}", "suggestion": f"Turn {state} the {thing} in the {room}."}
    for room in ROOMS
    for ask, state in (("switch on", "on"), ("please turn off", "off"))
    for thing in ("light", "fan")
]
QUICK = ("--base-model", "scratch", "--epochs", "1", "--batch-size", "8", "--target-max-tokens", "24")

Soft = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def soft(tmp_path: Path) -> Soft:
    """Run the script in an empty working directory, off-line."""

    def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        return call_process(str(SCRIPT), *arguments, cwd=tmp_path, timeout=240, env={**offline(tmp_path), **env})

    return run


@pytest.fixture
def soft_here(tmp_path: Path) -> Soft:
    """As ``soft``, in this process."""
    return lambda *arguments, **env: call(train_soft_prompt, *arguments, cwd=tmp_path, env={**offline(tmp_path), **env})


def offline(folder: Path) -> dict[str, str]:
    return {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}


def write_queries(path: Path, rows: list[tuple[str, Any, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE ask_ai_queries (query_id TEXT, original_query, suggestions, created_at)")
        connection.executemany("INSERT INTO ask_ai_queries VALUES ('q', ?, ?, ?)", rows)
    connection.close()
    return path


def suggestions(text: str) -> str:
    return json.dumps([{"description": "worse", "confidence": 0.1}, {"description": text, "confidence": 0.9}])


@pytest.mark.parametrize("how", ["soft_here", pytest.param("soft", marks=pytest.mark.slow)])
def test_the_nightly_call_reads_the_database_and_publishes_a_run_that_loads(
    request: pytest.FixtureRequest, tmp_path: Path, how: str
) -> None:
    rows = [(row["query"], suggestions(row["suggestion"]), f"2026-01-{i:02}") for i, row in enumerate(ROWS, start=1)]
    write_queries(tmp_path / "data" / "ai_automation.db", rows)
    done = request.getfixturevalue(how)(*QUICK)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    output = tmp_path / "data" / "ask_ai_soft_prompt"
    (run,) = [path for path in output.iterdir() if path.name != "latest"]
    assert re.fullmatch(r"run_\d{8}_\d{6}", run.name)
    assert (output / "latest").readlink() == Path(run.name), "relative, so that the folder may be moved"
    described = json.loads((run / "training_run.json").read_text())
    for key in ("base_model", "samples_used", "epochs", "learning_rate", "run_directory", "trained_at", "final_loss"):
        assert key in described
    assert (described["run_id"], described["samples_used"], described["epochs"]) == (run.name, len(ROWS), 1)
    assert described["final_loss"] == described["history"][-1]["loss"]
    names = {path.name for path in run.iterdir()}
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "README.md"} <= names
    assert not [p for p in run.rglob("*") if p.suffix in (".bin", ".pt", ".pkl")], "safetensors only"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"], "nothing else is written"
    measured = described["metrics"]["test"]
    assert set(measured["baselines"]) == {"commonest_answer", "nearest_query"}
    assert len(measured["examples"]) == 5
    suggester = Suggester.load(output / "latest")
    example = measured["examples"][0]
    assert suggester.suggest(example["query"]) == example["generated"]
    # A comparison gives the scores that training measured, on queries that the model was not trained on.
    source = open_source(data_source=f"sqlite:///{tmp_path}/data/ai_automation.db", kind="soft_prompt")
    found = compare(comparer_of("soft_prompt"), output / "latest", None, source)
    assert (found.candidate.scores, found.baselines) == (measured["model"], measured["baselines"])
    assert (found.rows, found.candidate.left_out, found.candidate.notes) == (measured["rows"], 0, [])


@pytest.mark.slow
def test_json_rows_train_an_adapter_that_a_second_run_starts_from_and_none_is_overwritten(
    soft: Soft, tmp_path: Path
) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    arguments = (*QUICK, "--json-input", "rows.json", "--output-dir", "out", "--run-id", "one")
    done = soft(*arguments, "--summary-path", "s.json", "--method", "prompt")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "s.json").read_text())
    assert (summary["model_type"], summary["status"], summary["audit"]["rows"]) == ("soft_prompt", "success", 32)
    assert summary["config"]["learning_rate"] == 0.1, "a soft prompt's own default"
    before = {p: p.read_bytes() for p in (tmp_path / "out" / "one").rglob("*") if p.is_file()}
    again = soft(*arguments)
    assert again.returncode == 1
    assert "out/one: exists; a run is never overwritten" in again.stderr
    assert {p: p.read_bytes() for p in (tmp_path / "out" / "one").rglob("*") if p.is_file()} == before
    (tmp_path / "hollow").mkdir()
    misfit = soft(*arguments[:-1], "two", "--resume-from", "hollow")
    assert misfit.returncode == 1
    assert misfit.stderr.count("\n") == 1
    assert (tmp_path / "out" / "latest").readlink() == Path("one")
    resumed = soft(*arguments[:-1], "two", "--resume-from", "out/one")
    assert resumed.returncode == 0, resumed.stderr
    assert (tmp_path / "out" / "latest").readlink() == Path("two")
    first, second = (json.loads((tmp_path / "out" / n / "training_run.json").read_text()) for n in ("one", "two"))
    assert first["threads"] == summary["threads"] == torch.get_num_threads()
    assert second["final_loss"] < first["final_loss"], "it started from the first run's adapter"
    assert json.loads((tmp_path / "out" / "two" / "adapter_config.json").read_text())["peft_type"] == "PROMPT_TUNING"


@pytest.mark.slow
def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "more.json").write_text(json.dumps([*ROWS, {"query": "one more", "suggestion": "Yes."}]))
    env = environment(HF_HUB_OFFLINE="1")

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(SCRIPT), "--output-dir", "out", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=tmp_path, env=env, **pipes)  # type: ignore[call-overload, no-any-return]

    quick = ("--base-model", "scratch", "--epochs", "3", "--batch-size", "4", "--json-input", "rows.json")
    whole = start(*quick, "--run-id", "whole")
    assert whole.communicate()[1] == ""
    stopped = start(*quick, "--run-id", "stopped")
    assert stopped.stdout is not None
    for line in stopped.stdout:
        if line.startswith("Epoch 2"):
            break
    stopped.send_signal(signal.SIGINT)
    _, stderr = stopped.communicate()
    assert stopped.returncode == 1
    assert stderr == (
        "Error: interrupted (SIGINT); nothing was published and the model that was there is untouched; "
        "--resume-run out/stopped resumes it\n"
    )
    assert (tmp_path / "out" / "latest").readlink() == Path("whole")
    refused = {
        ("--run-id", "stopped", *quick): "out/stopped: is under way or was stopped; --resume-run out/stopped",
        ("--resume-run", "out/stopped", "--json-input", "more.json"): "out/stopped: was started on other rows",
        ("--resume-run", "out/stopped", "--json-input", "rows.json", "--epochs", "9"): "with --epochs 3, not 9",
        ("--resume-run", "out/whole", "--json-input", "rows.json"): "out/whole: is not a stopped run",
    }
    for arguments, message in refused.items():
        again = start(*arguments)
        _, stderr = again.communicate()
        assert (again.returncode, stderr.count("\n")) == (1, 1), stderr
        assert message in stderr
    resumed = start("--resume-run", "out/stopped", "--json-input", "rows.json")
    stdout, stderr = resumed.communicate()
    assert (resumed.returncode, stderr) == (0, "")
    assert "Epoch 1:" not in stdout
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["latest", "stopped", "whole"]
    assert (tmp_path / "out" / "latest").readlink() == Path("stopped")
    for name in ("adapter_model.safetensors", "base_model/model.safetensors", "tokenizer.json"):
        one, other = ((tmp_path / "out" / run / name).read_bytes() for run in ("whole", "stopped"))
        assert one == other, name


@pytest.mark.slow
def test_out_of_memory_says_which_flags_help(tmp_path: Path) -> None:
    long = [{**row, "query": f"{row['query']} {'and again ' * 2000}"} for row in ROWS]
    (tmp_path / "rows.json").write_text(json.dumps(long))
    arguments = "--base-model scratch --batch-size 64 --source-max-tokens 9000 --json-input rows.json".split()
    limit = 8 * 2**30
    done = call_process(
        str(SCRIPT),
        *arguments,
        cwd=tmp_path,
        env={"HF_HUB_OFFLINE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    assert done.returncode == 1
    assert done.stderr == (
        "Error: out of memory; lower --batch-size, --source-max-tokens, --target-max-tokens or --lora-r\n"
    )
    assert not list((tmp_path / "data" / "ask_ai_soft_prompt").iterdir())


@pytest.mark.slow
def test_two_processes_publish_one_run(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", "2", str(SCRIPT), *QUICK]
    rows = ["--json-input", "rows.json", "--output-dir", "out", "--summary-path", "s.json"]
    done = call_process(*launch, *rows, cwd=tmp_path, env={"HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Epoch 1:") == done.stdout.count("Saved:") == 1, "one process speaks for both"
    (run,) = [path for path in (tmp_path / "out").iterdir() if path.name != "latest"]
    assert json.loads((run / "training_run.json").read_text())["metrics"]["test"]["rows"] > 0
    assert json.loads((tmp_path / "s.json").read_text())["status"] == "success"
    assert Suggester.load(run).suggest(ROWS[0]["query"])


@pytest.mark.slow
def test_one_process_and_two_train_the_same_adapter_on_the_same_batches(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS[:-3]))
    losses, torchrun = [], ["-m", "torch.distributed.run", "--nproc-per-node", "2"]
    for name, launch, rows in (("one", [], "8"), ("two", torchrun, "4")):
        arguments = f"--base-model scratch --learning-rate 0.005 --batch-size {rows} --json-input rows.json --epochs 2"
        done = call_process(
            *launch, str(SCRIPT), *arguments.split(), "--output-dir", name, cwd=tmp_path, env={"HF_HUB_OFFLINE": "1"}
        )
        assert done.returncode == 0, done.stderr
        (run,) = [path for path in (tmp_path / name).iterdir() if path.name != "latest"]
        history = json.loads((run / "training_run.json").read_text())["history"]
        losses.append([row[name] for row in history for name in ("loss", "eval_loss")])
    assert losses[0] == pytest.approx(losses[1], rel=0.002)


def bad_base(folder: Path) -> None:
    config = transformers.GPT2Config(n_layer=1, n_head=1, n_embd=8, vocab_size=10)
    transformers.GPT2LMHeadModel(config).save_pretrained(folder)


BAD: dict[str, tuple[tuple[str, ...], str]] = {
    "no database": ((), "data/ai_automation.db: no such database file"),
    "no table": (("--db-path", "empty.db"), "no table ask_ai_queries"),
    "no rows": (("--db-path", "norows.db"), "holds no soft_prompt rows"),
    "malformed only": (("--db-path", "malformed.db"), "more than a tenth"),
    "empty texts": (("--json-input", "empty.json"), "expected a text that is not empty (it is the only row)"),
    "no such base": (("--json-input", "rows.json", "--base-model", "nobody/nothing"), "--base-model scratch"),
    "base without model": (("--json-input", "rows.json", "--base-model", "hollow"), "hollow: holds no model"),
    "decoder-only base": (("--json-input", "rows.json", "--base-model", "gpt"), "gpt: is a decoder-only"),
    "data api": (("--data-source", "http://127.0.0.1:9"), "the Data API has no soft_prompt data; a database"),
}


@pytest.fixture
def bad_inputs(tmp_path: Path) -> Path:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    (tmp_path / "empty.json").write_text(json.dumps([{"query": " ", "suggestion": ""}]))
    (tmp_path / "hollow").mkdir()
    sqlite3.connect(tmp_path / "empty.db").execute("CREATE TABLE other (x)").connection.close()
    write_queries(tmp_path / "norows.db", [])
    write_queries(tmp_path / "malformed.db", [("q", "{oops", "2026")] * 3)
    old = tmp_path / "data" / "ask_ai_soft_prompt" / "old"
    old.mkdir(parents=True)
    (old.parent / "latest").symlink_to("old")
    return old.parent


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_exit_1_and_latest_untouched(bad_inputs: Path, tmp_path: Path, name: str) -> None:
    arguments, message = BAD[name]
    if name == "decoder-only base":
        bad_base(bad_inputs.parent.parent / "gpt")
    done = call(train_soft_prompt, *arguments, cwd=tmp_path, env={"HF_ENDPOINT": "http://127.0.0.1:1"})
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert sorted(p.name for p in bad_inputs.iterdir()) == ["latest", "old"]
    assert (bad_inputs / "latest").readlink() == Path("old")


def test_there_is_no_force_flag(tmp_path: Path) -> None:
    assert call(train_soft_prompt, "--force", cwd=tmp_path).returncode == 2


def test_queries_that_are_nearly_the_same_are_in_one_part() -> None:
    rooms = "alpha beta gamma delta eta iota kappa mu nu xi pi".split()
    base = [f"switch on the light of room number {room}" for room in rooms]
    pairs = [TextPair(q, "x") for q in (*base, *(f"{q.upper()}!" for q in base))]
    parts, split = split_by_query(pairs)
    assert split["strategy"] == "query"
    assert parts[: len(base)] == parts[len(base) :]
    assert {"train", "validation", "test"} == set(parts)
    assert split_by_query(pairs[:5])[1]["strategy"] == "none"


def test_baselines_look_up_and_scores_compare() -> None:
    training = [TextPair("light in the kitchen", "a"), TextPair("fan in the hall", "b")]
    assert nearest_answers(training, ["a fan please", "the kitchen light"]) == ["b", "a"]
    assert text_scores(["same text"], ["same text"]) == {"chrf": 100.0, "exact_match": 1.0}
    assert text_scores(["xyz"], ["same text"])["exact_match"] == 0.0


def test_one_distinct_answer_is_said_to_be_all_that_can_be_learnt() -> None:
    audit = audit_prompts([(f"q {i % 20}", "always this") for i in range(1000)])
    assert (audit.rows, audit.distinct_queries, audit.distinct_answers) == (1000, 20, 1)
    assert "repeating that one sentence is all that can be learnt" in audit.cannot_show[0]


def test_latest_moves_in_one_step_and_never_takes_a_folder(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        move_link(tmp_path / "latest", tmp_path / name)
        assert (tmp_path / "latest").resolve() == tmp_path / name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "one", "two"]
    with pytest.raises(ModelFileError, match="is not a run directory that can be loaded"):
        Suggester.load(tmp_path / "latest")
