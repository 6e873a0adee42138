"""Versions never change, names move in one step, and a crash leaves what was live."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from registry_crash import COMPANION, NAME, add, registry, shown
from support import ROOT

from retraining_manager.errors import BusyError, RegistryError
from retraining_manager.registry import Aliases, Registry


@pytest.mark.parametrize(
    "operation",
    ["publish", *(pytest.param(o, marks=pytest.mark.slow) for o in ("first", "rollback", "adopt", "prune"))],
)
def test_a_kill_between_any_two_steps_leaves_one_whole_version_live(operation: str) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "registry_crash.py"), operation],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    killed = [line for line in lines if line["killed"]]
    assert len(killed) >= 5
    assert len(lines) == len(killed) + 1, "the last one was let through"
    for line in lines:
        assert line["allowed"], line
        assert line["whole"], line
        assert line["problems"] == [], line
        assert line["history_agrees"], line
        assert line["history_chain"], line
        assert line["left_over"] == [], line
        assert line["states"] <= 1, line
    expected = {"first": "new", "publish": "new", "rollback": "older", "adopt": "new", "prune": "old"}[operation]
    assert {line["then"] for line in lines} == {expected}
    if operation != "adopt":  # which shows the same before and after
        assert lines[0]["shown"] != "new"


def two(root: Path) -> tuple[Registry, str, str]:
    of = registry(root)
    first, second = add(of, root, "one"), add(of, root, "two")
    of.promote(first, "first")
    of.promote(second, "second")
    return of, first, second


def test_both_names_and_both_paths_move_at_once(tmp_path: Path) -> None:
    of, first, second = two(tmp_path)
    assert of.aliases() == Aliases(second, first)
    assert shown(tmp_path) == "two"
    links = [tmp_path / "models" / name for name in (NAME, COMPANION)]
    before = [link.readlink() for link in links]
    assert of.rollback("it was worse") == first
    assert of.aliases() == Aliases(first, second)
    assert shown(tmp_path) == "one"
    assert [link.readlink() for link in links] == before, "only one link moves, the registry's own"
    assert [(m["from"], m["to"], m["reason"]) for m in of.history()] == [
        (None, first, "first"),
        (first, second, "second"),
        (second, first, "it was worse"),
    ]
    assert all(move["who"] and move["time"] for move in of.history())


def test_the_whole_service_may_be_moved(tmp_path: Path) -> None:
    two(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new place")
    assert shown(tmp_path / "new place") == "two"
    assert registry(tmp_path / "new place").problems() == []


def test_missing_changed_added_and_half_written_versions_are_found_and_cannot_go_live(tmp_path: Path) -> None:
    of, first, second = two(tmp_path)
    half = of.path(first).with_name("20260101T000000000Z-00000000")
    half.mkdir()
    (half / NAME).write_text("cut o")
    newer = of.path(first).with_name("20260101T000000001Z-00000000")
    shutil.copytree(of.path(first), newer)
    (newer / "manifest.json").chmod(0o644)
    (newer / "manifest.json").write_text('{"format": 2, "files": {}}')
    outside = of.path(first).with_name("20260101T000000002Z-00000000")
    shutil.copytree(newer, outside)
    (outside / "manifest.json").write_text('{"format": 1, "files": {"../../x": ""}}')
    (of.path(first) / COMPANION).unlink()
    (of.path(second) / NAME).chmod(0o644)
    (of.path(second) / NAME).write_text("two model.pth, and more")
    (of.path(second) / "extra").write_text("")
    found = {version: of.verify(version) for version in of.versions()}
    assert "was never finished" in found[half.name][0]
    assert "has format 2, this program reads 1; upgrade it" in found[newer.name][0]
    assert "names a file outside" in found[outside.name][0]
    assert "cannot be read (No such file" in found[first][0]
    assert [line.partition(": ")[2] for line in found[second]] == [
        "has changed since it was published",
        "was added afterwards",
    ]
    assert len(of.problems()) == 6
    for version in (half.name, newer.name, outside.name, first):
        with pytest.raises(RegistryError, match="is not whole and cannot go live"):
            of.promote(version, "try")
    for version in ("x", "20270101T000000000Z-00000000"):
        with pytest.raises(RegistryError, match="version") as failure:
            of.promote(version, "try")
        assert "whole" not in str(failure.value), "what is not there is neither whole nor broken"
    with pytest.raises(RegistryError, match="is not whole and cannot go live"):
        of.rollback("try")
    assert of.aliases() == Aliases(second, first)


def test_a_published_file_cannot_be_written_by_mistake(tmp_path: Path) -> None:
    of, _, second = two(tmp_path)
    assert [p.stat().st_mode & 0o222 for p in of.path(second).iterdir()] == [0] * 4


def test_prune_keeps_the_newest_the_champion_and_the_previous(tmp_path: Path) -> None:
    of, first, second = two(tmp_path)
    later = [add(of, tmp_path, str(i)) for i in range(4)]
    assert of.prune(2) == later[:2]
    assert of.versions() == [first, second, *later[2:]]
    assert of.prune(0) == later[2:]
    assert of.problems() == []


def test_what_another_program_published_becomes_a_version_before_anything_replaces_it(tmp_path: Path) -> None:
    of, _, second = two(tmp_path)
    for name in (NAME, COMPANION):  # as training.runs.artifacts publishes
        (tmp_path / "staged").write_text(f"cron {name}")
        (tmp_path / "staged").replace(tmp_path / "models" / name)
    assert "is not what the registry published" in of.problems()[0]
    third = add(of, tmp_path, "three")
    of.promote(third, "better")
    assert shown(tmp_path) == "three"
    of.rollback("back to what the cron had trained")
    assert shown(tmp_path) == "cron"
    assert [move["from"] for move in of.history()][-3:] == [second, of.aliases().champion, third]
    assert of.adopt() is None, "nothing new is there"


def test_a_rollback_leads_to_what_was_live_last_and_never_to_what_was_rolled_back(tmp_path: Path) -> None:
    of, first, second = two(tmp_path)
    third = add(of, tmp_path, "three", live="third")
    assert [of.rollback("bad"), of.rollback("bad too")] == [second, first]
    with pytest.raises(RegistryError, match=rf"{second} was live before and was rolled back itself \(bad too\); `prom"):
        of.rollback("again")
    assert of.aliases() == Aliases(first, second)
    assert of.prune(0) == [third]
    of.promote(second, "it was right after all")
    fourth = add(of, tmp_path, "four", live="fourth")
    assert of.rollback("bad") == second
    assert of.prune(0) == [], "a rollback leads to the first"
    assert (of.rollback("bad"), of.versions()) == (first, [first, second, fourth])


def test_a_command_that_fails_leaves_what_was_put_there_outside_the_manager_as_it_is(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    of, model = registry(tmp_path), tmp_path / "models" / NAME
    model.parent.mkdir()
    model.write_text("own training")
    with pytest.raises(RegistryError, match=r"there is no version yet; .*model\.pth was put there outside the retrain"):
        of.rollback("on")
    with pytest.raises(RegistryError, match="is not a version's name"):
        of.promote("x", "on")
    assert of.prune(0) == []
    assert (model.is_symlink(), of.versions(), caplog.text) == (False, [], "")
    taken = of.adopt()
    assert f"{model} was put there outside the retraining manager" in caplog.text
    assert f"it is now version {taken}, and live as it was" in caplog.text
    first = add(of, tmp_path, "one", live="better")
    model.unlink()
    model.write_text("own training, again")
    of.path(first).joinpath(NAME).chmod(0o644)
    of.path(first).joinpath(NAME).write_text("damaged")
    with pytest.raises(RegistryError, match="is not whole and cannot go live"):
        of.rollback("on")
    assert not model.is_symlink()
    of.path(first).joinpath(NAME).write_text("one " + NAME)
    assert of.rollback("back to the manager's own") == first


@pytest.mark.parametrize("state", ["nothing", "outside", "one", "not live"])
def test_where_nothing_was_live_before_a_rollback_says_what_there_is_and_what_to_do(tmp_path: Path, state: str) -> None:
    of = registry(tmp_path)
    told = {
        "nothing": "there is no version yet, and nothing at .*; `run model` trains the first",
        "outside": "there is no version yet; .* is used as it is. `run model` makes a version of it, then trains",
        "one": "no version was live before .*, which is the only one",
        "not live": "no version is live; `promote model VERSION` makes any of `list model` live",
    }[state]
    if state == "outside":
        of.production.parent.mkdir()
        of.production.write_text("x")
    elif state != "nothing":
        add(of, tmp_path, "one", live="first" if state == "one" else None)
    with pytest.raises(RegistryError, match=told):
        of.rollback("on")


def test_what_a_killed_cron_published_by_half_is_told_put_in_place_and_taken_in(tmp_path: Path) -> None:
    of, _, second = two(tmp_path)
    models, journal = tmp_path / "models", tmp_path / "models" / f".{NAME}.publishing-abcdefgh"
    journal.mkdir()
    (models / NAME).unlink()
    (models / NAME).write_text(f"cron {NAME}")
    (journal / COMPANION).write_text(f"cron {COMPANION}")
    (journal / "plan.json").write_text(json.dumps({"names": [NAME, COMPANION], "absent": [], "gone": []}))
    assert f"new are {NAME}, old are {COMPANION}" in of.problems()[0]
    version = of.adopt()
    assert version not in (None, second)
    assert shown(tmp_path) == "cron"
    assert of.problems() == []
    assert not list(models.glob(".*"))


def test_a_known_version_copied_into_place_by_hand_is_taken_as_the_move_it_is(tmp_path: Path) -> None:
    of, first, second = two(tmp_path)
    for name in (NAME, COMPANION):
        (tmp_path / "models" / name).unlink()
        shutil.copyfile(of.path(first) / name, tmp_path / "models" / name)
    assert of.adopt() == first
    assert of.aliases() == Aliases(first, second)
    assert of.versions() == [first, second]
    assert (tmp_path / "models" / NAME).is_symlink()


def run_registry(root: Path) -> Registry:
    return Registry(root / "models" / "prompt", "run", root / "data" / "latest")


def test_a_run_that_another_program_linked_is_adopted_and_stays_where_it_is(tmp_path: Path) -> None:
    run = tmp_path / "data" / "run_1"
    (run / "sub").mkdir(parents=True)
    (run / "training_run.json").write_text("cron")
    (run / "sub" / "x").write_text("x")
    (tmp_path / "data" / "latest").symlink_to("run_1")
    of = run_registry(tmp_path)
    version = of.adopt()
    assert version is not None
    assert (tmp_path / "data" / "latest" / "sub" / "x").read_text() == "x"
    assert (tmp_path / "data" / "latest").resolve() == of.path(version).resolve()
    assert (run / "training_run.json").read_text() == "cron"
    (tmp_path / "data" / "latest").unlink()
    (tmp_path / "data" / "latest").mkdir()
    with pytest.raises(RegistryError, match="is a folder, not a link to a run; move it away"):
        of.adopt()


@pytest.fixture
def no_links(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", refused)


@pytest.mark.usefixtures("no_links")
def test_where_the_system_allows_no_links_production_gets_copies(tmp_path: Path) -> None:
    of, first, second = two(tmp_path)
    assert not list(tmp_path.rglob("*/live/")), "a file stands in for the link"
    assert shown(tmp_path) == "two"
    of.rollback("r")
    assert shown(tmp_path) == "one"
    assert (of.aliases(), of.problems()) == (Aliases(first, second), [])
    (tmp_path / "models" / NAME).write_text("cron model.pth")
    assert of.adopt() not in (None, first, second)
    prompts = run_registry(tmp_path)
    (tmp_path / "w").write_text("w")
    run = prompts.add({"training_run.json": tmp_path / "w"}, {})
    prompts.promote(run, "first")
    latest = tmp_path / "data" / "latest"
    assert (latest.parent / latest.read_text() / "training_run.json").read_text() == "w"
    assert prompts.problems() == []


def test_a_registry_copied_without_its_links_says_so_and_can_be_mended(tmp_path: Path) -> None:
    of, first, second = two(tmp_path)
    shutil.copytree(tmp_path / "models", tmp_path / "copy" / "models")
    copied = registry(tmp_path / "copy")
    with pytest.raises(RegistryError, match="the registry was copied without its links"):
        copied.aliases()
    shutil.rmtree(copied.folder / "live")
    copied.promote(first, "mended")
    assert copied.aliases().champion == first
    shutil.rmtree(of.folder / "states")
    assert "leads to" in of.problems()[0]
    of.promote(second, "mended")
    assert of.problems() == []


def test_a_history_that_a_crash_cut_off_goes_on(tmp_path: Path) -> None:
    of, _, _ = two(tmp_path)
    with open(of.folder / "history.jsonl", "ab") as file:
        file.write(b'{"time": "20')
    of.rollback("on")
    assert [move["reason"] for move in of.history()] == ["first", "second", "on"]


def test_a_damaged_history_is_reported_and_never_blocks_a_move(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    of, first, second = two(tmp_path)
    history = of.folder / "history.jsonl"
    moves = [first, second]
    for damage in (b"oops\n", b"[]\n{}\n", b"\xff\x00\n", b'{"time": 1, "state": 2}\n', b"[" * 5_000 + b"\n"):
        with open(history, "ab") as file:
            file.write(damage)
        of.promote(moves[0], "on")
        moves.reverse()
        assert of.aliases().champion == moves[1]
        assert of.history()[-1]["reason"] == "on"
        (problem,) = of.problems()
        assert "history.jsonl: " in problem
        assert " without a move" in problem
    history.unlink()
    history.mkdir()
    of.promote(moves[0], "on")
    assert of.aliases().champion == moves[0]
    assert "the move is made and cannot be noted" in caplog.text
    assert "history.jsonl: cannot be read" in of.problems()[0]
    (of.folder / "live").resolve().joinpath("move.json").write_text('{"state": ')
    of.promote(moves[1], "on")
    assert of.aliases().champion == moves[1]


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", "{}", '{"format": 1, "files": []}', '{"format": 1, "files": {"a": 1}}', "[" * 5_000, '{"format": 1,'],
)
def test_a_damaged_manifest_is_a_line_that_names_its_version(tmp_path: Path, manifest: str) -> None:
    of, first, _ = two(tmp_path)
    path = of.path(first) / "manifest.json"
    path.chmod(0o644)
    path.write_text(manifest)
    with pytest.raises(RegistryError, match=rf"{first}/manifest\.json: cannot be read \(") as failure:
        of.rollback("on")
    assert str(failure.value).isprintable()
    assert shown(tmp_path) == "two"


def test_one_trains_at_a_time_and_a_rollback_need_not_wait_for_it(tmp_path: Path) -> None:
    of, first, _ = two(tmp_path)
    other = registry(tmp_path)
    with of.running():
        with (
            pytest.raises(BusyError, match=r"is being trained already by .*@.* \(process \d+\) since 20"),
            other.running(),
        ):
            pass
        assert other.rollback("while it trains") == first
    with other.running():
        pass


def test_a_full_disk_leaves_what_is_live(tmp_path: Path) -> None:
    of, _, second = two(tmp_path)
    (tmp_path / "big").write_bytes(b"x" * 4_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        with pytest.raises(RegistryError, match=r"what is live has not changed\. Free space"):
            of.add({NAME: tmp_path / "big"}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert of.aliases().champion == second
    assert not [p for p in of.versions_folder.iterdir() if p.name.startswith(".")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_registry_is_one_line(tmp_path: Path) -> None:
    of, first, _ = two(tmp_path)
    of.folder.chmod(0o555)
    try:
        with pytest.raises(RegistryError, match="Permission denied; what is live has not changed"):
            of.promote(first, "try")
        assert shown(tmp_path) == "two"
    finally:
        of.folder.chmod(0o755)
