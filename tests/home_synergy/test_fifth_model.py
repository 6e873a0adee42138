"""The house holds a fifth model: its wing in examples/fifth_model, and one table a package."""

from __future__ import annotations

import json
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from support import ROOT, call_process

EXAMPLE = ROOT / "examples" / "fifth_model"
TABLES = {"data_sources/records.py", "training/runs/models.py", "retraining_manager/models.py", "setup.cfg"}
PACKAGES = ("data_sources", "home_assistant", "home_synergy", "retraining_manager", "training")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages with the fifth model's wing, and its rows in the tables."""
    folder = tmp_path_factory.mktemp("house")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "base"))
    shutil.copy(ROOT / "setup.cfg", folder)
    subprocess.run(["git", "apply", str(EXAMPLE / "tables.diff")], cwd=folder, check=True, timeout=60)
    shutil.copytree(EXAMPLE / "training", folder / "training", dirs_exist_ok=True)
    draw = random.Random(7)
    rows = [
        {
            "entity_id": f"light.l{number}",
            "day": f"2026-01-{day:02}",
            "hour": (7 + 3 * number) % 24 if draw.random() < 0.8 else draw.randrange(24),
        }
        for day in range(1, 29)
        for number in range(6)
    ]
    (folder / "rows.json").write_text(json.dumps(rows))
    (folder / "a day before.json").write_text(json.dumps(rows[:-6]))
    return folder


def home_synergy(house: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call_process("-m", "home_synergy", *arguments, cwd=house, timeout=120, env={"PYTHONPATH": str(house)})


def test_only_one_table_of_each_package_is_touched() -> None:
    assert set(re.findall(r"^\+\+\+ b/(.*)$", (EXAMPLE / "tables.diff").read_text(), re.MULTILINE)) == TABLES
    wing = {path.relative_to(EXAMPLE / "training").parts[0] for path in (EXAMPLE / "training").rglob("*.py")}
    assert wing == {"routines"}


def test_a_fifth_model_trains_is_audited_compared_published_and_helped(house: Path) -> None:
    shown = home_synergy(house, "train", "--help")
    assert "routine-hours" in shown.stdout
    trained = home_synergy(
        house, "train", "routine-hours", "--json-input", "a day before.json", "--summary-path", "s.json"
    )
    assert trained.returncode == 0, trained.stderr
    summary = json.loads((house / "s.json").read_text())
    assert (summary["model_type"], summary["audit"]["entities"]) == ("routine_hours", 6)
    assert summary["notes"][-1].startswith("The model beats the commonest hour")
    checked = home_synergy(house, "retrain", "check", "routine_hours", "--json-input", "rows.json", "--json")
    assert json.loads(checked.stdout)["routine_hours"]["distinct"] == {"entities": 6, "days": 28}
    retrained = home_synergy(house, "retrain", "run", "routine_hours", "--json-input", "rows.json", "--json")
    assert retrained.returncode == 0, retrained.stderr
    state = json.loads(retrained.stdout)["models"]["routine_hours"]
    assert state["promoted"]
    verdict = json.loads((house / "models" / "routine_hours" / "live" / "champion" / "verdict.json").read_text())
    assert verdict["champion"] is not None, "what was trained by hand was taken in and compared with"
    assert verdict["candidate_score"] == verdict["champion_score"] > 0.5
    back = home_synergy(house, "retrain", "rollback", "routine_hours")
    assert back.returncode == 0, back.stderr
