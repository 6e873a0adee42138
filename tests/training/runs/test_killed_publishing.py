"""A kill at any point of publishing leaves files of one training, for readers and for the next run."""

from __future__ import annotations

import errno
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from publishing_crash import NAME, OPERATIONS, PLOT, publish, strays
from support import ROOT, call, call_process

from training.patterns.model import PatternModel
from training.runs import artifacts, publishing
from training.runs.errors import ArtifactError, ModelFileError
from training.runs.folders import publish_folder
from training.runs.outputs import write_output
from training.runs.publishing import interrupted_publication, move_link
from training.suggestions.command import suggest
from training.synergy.command import train as train_synergy
from training.synergy.model import SynergyModel

SLOW = pytest.mark.slow


@pytest.mark.parametrize("operation", ["again", *(pytest.param(o, marks=SLOW) for o in OPERATIONS if o != "again")])
def test_a_kill_at_any_change_leaves_files_of_one_training_and_the_next_run_sweeps(operation: str) -> None:
    driver = str(ROOT / "tests" / "publishing_crash.py")
    done = call_process(driver, operation, cwd=ROOT, timeout=120, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"})
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(line["killed"] for line in lines) == len(lines) - 1 >= 10
    for line in lines:
        assert line["together"], line
        assert sorted(line["strays"]) == [".m.pth.staging-of-mine", ".other.pth.staging-abcdefgh"], "others' stay"
        assert line["then"] == {"content": "next", "together": True}, line


def half_published(folder: Path) -> Path:
    """The model is new, and the plot and the metadata are the old ones; the rest is in a folder that says so."""
    publish(folder, "old")
    publish(folder / "new", "new")
    journal = folder / ".m.pth.publishing-abcdefgh"
    (folder / "new").rename(journal)
    (journal / NAME).replace(folder / NAME)
    plan = {"names": [NAME, PLOT, "m_metadata.json"], "absent": [], "gone": []}
    (journal / "plan.json").write_text(json.dumps(plan))
    return journal


def test_a_reader_puts_in_place_what_a_kill_left(tmp_path: Path) -> None:
    journal = half_published(tmp_path)
    line = interrupted_publication(tmp_path / NAME)
    assert line is not None
    assert "new are m.pth, old are m_training.png, m_metadata.json" in line
    content, described = artifacts.read_published(tmp_path / NAME)
    assert (content, described["of"]) == (b"new", "new")
    assert not journal.exists()
    assert interrupted_publication(tmp_path / NAME) is None


@pytest.mark.parametrize("load", [SynergyModel.load, PatternModel.load])
def test_a_reader_that_may_not_mend_says_what_stands_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, load: type
) -> None:
    half_published(tmp_path)

    def refused(path: Path, _target: Path) -> Path:
        raise OSError(errno.EROFS, "Read-only file system", str(path))

    monkeypatch.setattr(Path, "replace", refused)
    with pytest.raises(ModelFileError, match=r"new are m\.pth, old are .*cannot \(Read-only file system\)") as failure:
        load(tmp_path / NAME)
    assert "\n" not in str(failure.value)
    assert (tmp_path / NAME).read_bytes() == b"new", "nothing has changed"


@pytest.mark.parametrize("plan", ["", "[]", '{"names": ["../x"], "absent": [], "gone": []}', '{"names": 1}'])
def test_a_folder_with_no_such_plan_is_an_error_that_names_it(tmp_path: Path, plan: str) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "x").write_text("foreign")
    journal = half_published(tmp_path / "models")
    (journal / "plan.json").write_text(plan)
    with pytest.raises(ArtifactError, match=r"publishing-abcdefgh: a process was killed .* removing this folder"):
        artifacts.read_published(tmp_path / "models" / NAME)
    assert (tmp_path / "x").read_text() == "foreign"


@pytest.mark.parametrize("load", [SynergyModel.load, PatternModel.load])
def test_a_model_beside_the_metadata_of_another_training_is_refused(tmp_path: Path, load: type) -> None:
    publish(tmp_path, "old")
    if load == PatternModel.load:
        (tmp_path / NAME).write_bytes(PatternModel("base rate", 0.5).to_bytes())
    else:
        torch.save({}, tmp_path / NAME)
    with pytest.raises(ModelFileError, match=r"m\.pth: is not the model that m_metadata\.json beside it describes"):
        load(tmp_path / NAME)
    (tmp_path / NAME).write_bytes(b"broken")
    with pytest.raises(ModelFileError, match=r"m\.pth: is (not a|no) model file"):
        load(tmp_path / NAME)
    (tmp_path / "m_metadata.json").write_text("{}")
    assert artifacts.read_published(tmp_path / NAME) == (b"broken", {})


def test_a_plot_that_the_new_model_lacks_goes_unless_it_was_changed(tmp_path: Path) -> None:
    publish(tmp_path, "old")
    publish(tmp_path, "new", plot=False)
    assert not (tmp_path / PLOT).exists()
    publish(tmp_path, "old")
    (tmp_path / PLOT).write_text("mine")
    publish(tmp_path, "new", plot=False)
    assert (tmp_path / PLOT).read_text() == "mine"


def test_a_living_process_keeps_its_staging_files(tmp_path: Path) -> None:
    publish(tmp_path, "old")
    staging = tmp_path / ".m.pth.staging-abcdefgh"
    code = (
        "import sys\nfrom pathlib import Path\nfrom training.runs.publishing import recovered\n"
        f"with recovered(Path({str(tmp_path / NAME)!r})):\n"
        f"    Path({str(staging)!r}).mkdir(); print('held', flush=True); sys.stdin.read()\n"
        f"    assert Path({str(staging)!r}).is_dir()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    ) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(publishing, "FOLDER_SECONDS", 0.0)
            with pytest.raises(ArtifactError, match="another process has been writing there"):
                artifacts.check_model_path(tmp_path / NAME)
        assert staging.is_dir()
        other.stdin.close()
        assert other.wait(20) == 0
    artifacts.check_model_path(tmp_path / NAME)
    assert strays(tmp_path) == []


def test_where_no_folder_can_be_held_publishing_works_and_nothing_is_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", unsupported)
    (tmp_path / ".m.pth.staging-12345678").mkdir()
    publish(tmp_path, "old")
    half_published(tmp_path)
    assert artifacts.read_published(tmp_path / NAME)[0] == b"new"
    assert strays(tmp_path) == [".m.pth.staging-12345678"]


def modes(folder: Path) -> set[tuple[bool, int]]:
    """(is a folder, mode) of all that is there."""
    found = [path for path in folder.rglob("*") if not path.is_symlink()]
    return {(path.is_dir(), stat.S_IMODE(path.stat().st_mode)) for path in found}


def test_what_is_written_is_as_private_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    publish(tmp_path / "models", "old")
    publish(tmp_path / "models", "new")
    write_output(tmp_path / "summaries" / "s.json", b"{}")
    staged = tmp_path / ".run"
    (staged / "sub").mkdir(parents=True, mode=0o700)
    (staged / "sub" / "file").touch(mode=0o600)
    publish_folder(staged, tmp_path / "run")
    move_link(tmp_path / "latest", tmp_path / "run")
    assert modes(tmp_path) == {(True, 0o777 & ~umask), (False, 0o666 & ~umask)}


@pytest.mark.slow
def test_a_kill_at_any_change_of_an_adapter_s_training_leaves_whole_runs_and_only_what_can_be_resumed() -> None:
    driver = str(ROOT / "tests" / "adapter_crash.py")
    done = call_process(driver, cwd=ROOT, timeout=240, env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"})
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(line["killed"] for line in lines) == len(lines) - 1 >= 20
    for line in lines:
        assert line["live"] in ("old", "killed"), line
        assert line["then"] == "next", line
        assert line["strays"] == [], line
        assert line["mine"], line
        assert line.get("resumed") == ("killed" if line["resumable"] else None), line
    assert {line["resumable"] for line in lines} == {True, False}


@pytest.mark.slow
def test_a_training_and_its_suggestions_are_as_private_as_the_umask_says(tmp_path: Path, umask: int) -> None:
    place = ("--json-input", str(ROOT / "simulation" / "training_data"))
    trained = call(train_synergy, *place, "--epochs", "1", "--summary-path", "out/summary.json", cwd=tmp_path)
    assert trained.returncode == 0, trained.stderr
    given = (*place, "--model-path", "models/gnn_synergy.pth", "--output", "out/suggestions.yaml")
    done = call(suggest, *given, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {"models", "out", "gnn_training.log"} <= {path.name for path in tmp_path.iterdir()}
    assert modes(tmp_path) == {(True, 0o777 & ~umask), (False, 0o666 & ~umask)}
