"""Versions follow the order in which they were made, whatever the clock says, and the same content is one version."""

from __future__ import annotations

import json
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from registry_crash import COMPANION, NAME, add, registry, shown

from retraining_manager import registry as registry_module
from retraining_manager.errors import ChampionChangedError
from retraining_manager.registry import Aliases, Registry

TIMES = ("2026-11-01T03:17", "2106-02-07T06:28:15", "1970-01-01T00:00", "2026-11-02", "2026-11-02", "1980-01-01")


@pytest.fixture
def jumping_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    times = iter(TIMES)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.fromisoformat(next(times)).replace(tzinfo=UTC)

    monkeypatch.setattr(registry_module, "datetime", Clock)


@pytest.mark.usefixtures("jumping_clock")
def test_a_clock_that_jumps_changes_no_order(tmp_path: Path) -> None:
    of = registry(tmp_path)
    made = [add(of, tmp_path, str(number), live="better") for number in range(len(TIMES))]
    assert made != sorted(made)
    assert of.versions() == made
    assert of.aliases() == Aliases(made[-1], made[-2])
    assert of.prune(3) == made[:3]
    assert of.rollback("worse") == made[-2]
    assert of.versions() == made[3:]


def test_versions_without_a_number_are_in_the_order_of_the_history(tmp_path: Path) -> None:
    of = registry(tmp_path)
    made = [add(of, tmp_path, str(number), live="better") for number in range(3)]
    names = [made[2], made[0], made[1]]  # their order by name is another than that of the history
    for version in made:
        path = of.path(version) / "manifest.json"
        path.chmod(0o644)
        path.write_text(json.dumps({k: v for k, v in json.loads(path.read_bytes()).items() if k != "number"}))
    moves = [
        {"time": "no time at all", "from": None, "to": name, "reason": "", "who": "", "state": ""} for name in names
    ]
    (of.folder / "history.jsonl").write_text("".join(json.dumps(move) + "\n" for move in moves))
    assert of.versions() == names
    newest = add(of, tmp_path, "new")
    assert of.versions() == [*names, newest]


def test_the_same_content_is_the_same_version(tmp_path: Path) -> None:
    of = registry(tmp_path)
    good, live = add(of, tmp_path, "good", live="first"), add(of, tmp_path, "live", live="second")
    (tmp_path / "work" / COMPANION).write_text("the same model, described at another time")
    files = {path.name: path for path in (tmp_path / "work").iterdir()}
    assert of.same(files) == live
    assert of.add(files, {"verdict.json": b"{'another': 1}"}, live="again") == live
    assert of.versions() == [good, live]
    assert of.aliases() == Aliases(live, good), "so that a rollback leads to the good one"
    assert len(of.history()) == 2


@pytest.mark.parametrize("artifact", ["file", "run"])
def test_what_another_program_trains_again_from_the_same_rows_is_no_new_version(tmp_path: Path, artifact: str) -> None:
    if artifact == "file":
        of = registry(tmp_path)
        place = tmp_path / "models"
    else:
        of = Registry(tmp_path / "models" / "prompt", "run", tmp_path / "data" / "latest")
        place = tmp_path / "data" / "run"
    for night in range(3):
        place.mkdir(parents=True, exist_ok=True)
        for name in (NAME, COMPANION, "README.md"):
            (place / name).unlink(missing_ok=True)
        (place / NAME).write_text("weights")
        if artifact == "file":
            (place / COMPANION).write_text(json.dumps({"training_date": night}))
        else:
            run = {"trained_at": night, "run_directory": f"/x/{night}", "run_id": f"{night}", "epochs": 3}
            (place / "training_run.json").write_text(json.dumps(run))
            (place / "README.md").write_text(f"Trained {night}")
            (tmp_path / "data" / "latest").unlink(missing_ok=True)
            (tmp_path / "data" / "latest").symlink_to("run")
        of.adopt()
    assert len(of.versions()) == 1
    assert len(of.history()) == 1
    assert of.problems() == []


def test_another_configuration_of_a_run_is_another_version(tmp_path: Path) -> None:
    of = Registry(tmp_path / "models" / "prompt", "run", tmp_path / "data" / "latest")
    made = set()
    for number in range(2):
        (tmp_path / "run.json").write_text(json.dumps({"run_id": "a", "epochs": number}))
        made.add(of.add({"training_run.json": tmp_path / "run.json"}, {}))
    assert len(made) == 2


def test_metadata_of_another_training_is_not_taken_in_with_a_model(tmp_path: Path) -> None:
    of = registry(tmp_path)
    add(of, tmp_path, "old", live="first")
    (tmp_path / "models" / NAME).unlink()
    (tmp_path / "models" / NAME).write_text("new")
    (tmp_path / "models" / COMPANION).unlink()
    (tmp_path / "models" / COMPANION).write_text(json.dumps({"files": {NAME: "0" * 64}}))
    version = of.adopt()
    assert version is not None
    assert set(of.manifest(version)["files"]) == {NAME}


def test_what_went_live_meanwhile_is_said_before_anything_is_made(tmp_path: Path) -> None:
    of = registry(tmp_path)
    add(of, tmp_path, "first", live="first")
    compared = of.aliases()
    second = add(of, tmp_path, "second", live="second")
    (tmp_path / "work" / NAME).write_text("third")
    with pytest.raises(ChampionChangedError, match=f"{second} went live meanwhile"):
        of.add({NAME: tmp_path / "work" / NAME}, {}, expected=compared, live="third")
    assert len(of.versions()) == 2
    assert shown(tmp_path) == "second"
    assert not [path for path in of.versions_folder.iterdir() if path.name.startswith(".")]


def test_versions_and_all_around_them_are_as_private_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    of = registry(tmp_path)
    with of.running():
        version = add(of, tmp_path, "one", live="first")
        add(of, tmp_path, "two", live="second")
        of.promote(version, "back")
        found = [path for path in of.folder.rglob("*") if not path.is_symlink()]
        modes = {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in found}
    assert modes == {(True, 0o777 & ~umask), (False, 0o666 & ~umask), (False, 0o444 & ~umask)}
