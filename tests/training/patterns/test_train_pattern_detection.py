"""scripts/train_pattern_detection.py as its users run it, and its job on data that cannot be used."""

from __future__ import annotations

import json
import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, call_process

from data_sources import DataSourceError, FormatError, NotFoundError, PatternRow, UnsupportedKindError, open_source
from training.patterns.job import PatternJob
from training.patterns.model import PatternModel
from training.runs.artifacts import verify
from training.runs.errors import ArtifactError, TrainingError
from training.runs.job import SourceChoice
from training.runs.run import Training

SCRIPT = ROOT / "scripts" / "train_pattern_detection.py"
SAMPLE = ROOT / "simulation" / "training_data"

Write = Callable[[str, Any], Path]


def run_script(cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return call_process(str(SCRIPT), *arguments, cwd=cwd, timeout=120, env=env)


def job(tmp_path: Path, *, dry_run: bool = False, model_path: str | None = None, **source: Any) -> Training:
    """Run the job in this process, as the script does between reading its options and exiting."""
    given = {"model_path": model_path or str(tmp_path / "models" / "pattern_detection.skops")}
    training = Training(PatternJob, SourceChoice(**source), given, dry_run=dry_run)
    training.perform()
    return training


def rows(count: int = 40, **more: Any) -> list[dict[str, Any]]:
    """Rows of a few entities, a third of them wrong."""
    return [
        {
            "entity_id": f"light.l{n % 4}",
            "pattern_type": "sequence",
            "confidence": 0.7,
            "occurrences": n,
            "ground_truth": {"expected_pattern": "none" if n % 3 == 0 else "sequence"},
            **more,
        }
        for n in range(count)
    ]


@pytest.mark.slow
def test_the_sample_trains_as_a_process_beats_the_baselines_and_repeats_byte_for_byte(tmp_path: Path) -> None:
    done = run_script(tmp_path, "--json-input", "--summary-path", "summary.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "The model beats the base rate and the detector's confidence on held-out patterns" in done.stdout
    path = tmp_path / "models" / "pattern_detection.skops"
    verify(path)
    assert path.with_name("pattern_detection_reliability.png").read_bytes().startswith(b"\x89PNG")
    described = json.loads(path.with_name("pattern_detection_metadata.json").read_text())
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert (summary["status"], summary["model_type"], summary["phase"]) == ("success", "pattern_detection", "training")
    assert summary["model_path"] == "models/pattern_detection.skops"
    assert summary["metrics"] == described["metrics"]
    assert summary["data_fingerprint"] == described["data_fingerprint"]
    assert described["training_date"].endswith("+00:00")
    first = path.read_bytes()
    assert job(tmp_path, json_input=str(SAMPLE)).status == "success"
    assert path.read_bytes() == first, "the same seed and data; a model that is there is replaced"
    assert PatternModel.load(path).provenance["data_fingerprint"] == summary["data_fingerprint"]


def test_help_is_quick_and_a_failure_is_one_line_with_a_summary(tmp_path: Path) -> None:
    modules = "torch transformers sklearn skops numpy sqlalchemy httpx"
    code = f"import sys, runpy; sys.argv = ['x', '--help']\ntry: runpy.run_path({str(SCRIPT)!r}, run_name='__main__')\n"
    code += f"except SystemExit: print([m for m in {modules.split()} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.endswith("[]\n")
    assert "--force" not in shown
    (tmp_path / "bad.json").write_text("[]")
    done = run_script(tmp_path, "--json-input", "bad.json", "--summary-path", "s.json")
    assert done.returncode == 1
    assert (
        done.stderr == "Error: bad.json: holds no pattern_detection rows; nothing can be learnt or suggested from it\n"
    )
    assert json.loads((tmp_path / "s.json").read_text())["status"] == "failed"
    assert not (tmp_path / "models" / "pattern_detection.skops").exists()


def _without(field: str) -> list[dict[str, Any]]:
    return [{key: value for key, value in row.items() if key != field} for row in rows()]


@pytest.mark.parametrize(
    ("content", "error", "why"),
    [
        ([], FormatError, "holds no pattern_detection rows"),
        (_without("entity_id"), DataSourceError, "row 1: entity_id: missing - expected an entity id"),
        (_without("pattern_type"), DataSourceError, "row 1: pattern_type: missing - expected a pattern type"),
        (_without("confidence"), DataSourceError, "row 1: confidence: missing - expected a number from 0 to 1"),
        (_without("occurrences"), DataSourceError, "row 1: occurrences: missing - expected a whole number"),
        (rows(occurrences=-1), DataSourceError, "row 1: occurrences: -1 - expected a whole number from 0 up"),
        (
            rows(pattern_type="magic"),
            DataSourceError,
            "pattern_type: 'magic' - expected a pattern type such as time_of",
        ),
        (rows(confidence=1.5), DataSourceError, "confidence: 1.5 - expected a number from 0 to 1"),
        (_without("ground_truth"), TrainingError, "none of 40 rows has a ground truth"),
        (rows(ground_truth={"expected_device": "light.l0"}), TrainingError, "none of 40 rows has a ground truth"),
    ],
)
@pytest.mark.parametrize("dry_run", [False, True])
def test_unusable_data_is_one_line_that_says_where_and_why(
    content: Any, error: type[Exception], why: str, dry_run: bool, write: Write, tmp_path: Path
) -> None:
    path = write("bad.json", content)
    with pytest.raises(error) as failure:
        job(tmp_path, json_input=str(path), dry_run=dry_run)
    assert why in str(failure.value)
    assert str(failure.value).startswith(f"{path}: ")
    assert "\n" not in str(failure.value)
    assert not list(tmp_path.glob("models/*"))


def test_a_few_unusable_rows_are_counted_and_shown_and_strict_stops_at_the_first(
    write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = write("some.json", [*rows(), rows()[0] | {"occurrences": -2}])
    with caplog.at_level(logging.INFO):
        run = job(tmp_path, json_input=str(path))
    assert "Left out: row 41: occurrences: -2" in caplog.text
    assert run.summary().load_report["rejected"] == {"row": 1}
    with pytest.raises(DataSourceError, match=r"row 41: occurrences: -2 .*--strict stops"):
        job(tmp_path, json_input=str(path), strict=True)


def test_a_failed_run_leaves_the_model_that_was_there(write: Write, tmp_path: Path) -> None:
    good, bad = write("good.json", rows()), write("bad.json", _without("ground_truth"))
    job(tmp_path, json_input=str(good))
    path = tmp_path / "models" / "pattern_detection.skops"
    before = path.read_bytes()
    with pytest.raises(TrainingError):
        job(tmp_path, json_input=str(bad))
    assert path.read_bytes() == before
    verify(path)
    with pytest.raises(ArtifactError, match="is a folder"):
        job(tmp_path, json_input=str(good), model_path=str(tmp_path))


def test_a_dry_run_reads_and_audits_and_leaves_nothing(write: Write, tmp_path: Path) -> None:
    run = job(tmp_path, json_input=str(write("good.json", rows())), dry_run=True)
    assert run.audit["judged_rows"] == 40
    assert not (tmp_path / "models").exists()


def test_without_a_flag_the_production_database_is_read_and_equal_rows_give_the_same_model(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "home.db"
    columns = ("entity_id", "pattern_type", "confidence", "occurrences", "ground_truth")
    with sqlite3.connect(database) as connection:
        connection.execute(f"CREATE TABLE pattern_detection ({', '.join(columns)})")
        values = [[json.dumps(v) if isinstance(v := row[c], dict) else v for c in columns] for row in rows()]
        connection.executemany("INSERT INTO pattern_detection VALUES (?, ?, ?, ?, ?)", values)
    connection.close()
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("DATABASE_PATH", str(database))
    path = tmp_path / "models" / "pattern_detection.skops"
    assert job(tmp_path).summary().source["type"] == "production"
    from_sql = path.read_bytes()
    job(tmp_path, json_input=str(write("same.json", rows())))
    assert path.read_bytes() == from_sql
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "none.db"))
    with pytest.raises(NotFoundError, match="--json-input a JSON file"):
        job(tmp_path)


def test_the_data_api_has_no_patterns_and_says_what_has() -> None:
    with pytest.raises(UnsupportedKindError, match="pattern_detection"):
        list(open_source(data_source="http://127.0.0.1:9", kind=PatternRow.kind).read(PatternRow))


@pytest.mark.slow
def test_training_and_comparing_load_no_torch_and_leave_it_to_be_loaded(write: Write, tmp_path: Path) -> None:
    write("x.json", rows())
    code = """
import sys
from click.testing import CliRunner
from home_synergy.cli import main
model = "models/pattern_detection.skops"
for command in (
    "train pattern-detection --json-input x.json",
    f"compare pattern_detection --json-input x.json --candidate {model} --output c.json",
):
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 0, (command, done.output, done.exception)
assert "torch" not in sys.modules
import sklearn.externals.array_api_compat.torch
assert "torch" in sys.modules
"""
    done = call_process("-c", code, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stderr
