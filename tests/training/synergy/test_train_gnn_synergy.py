"""scripts/train_gnn_synergy.py as its users run it: a process, its exit code, its output and its files."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import pty
import re
import resource
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, SCRIPT, call, call_process, environment, home, row

from data_sources import sample_directory
from training.runs.artifacts import metadata_path, verify
from training.suggestions.command import suggest

Train = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[[str, Any], Path]

# As the simulator exports: many rows, four pairs, six entities, no areas.
FOUR_PAIRS = [
    row(f"light.{room}", "sensor.motion", 0.6 + 0.02 * i, relationship={"type": "causal", "direction": direction})
    for room in ("kitchen", "office", "living_room")
    for i, direction in enumerate(["unidirectional", "bidirectional"] * 8)
] + [row("switch.bedroom", "sensor.temperature", 0.7)] * 10


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()} if folder.is_dir() else {}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """One run on the project's own sample, from inside scripts/, with a bare flag; all workers of pytest share it."""
    whole = tmp_path_factory.getbasetemp()
    whole = whole.parent if "PYTEST_XDIST_WORKER" in os.environ else whole
    folder, said = whole / "sample", whole / "sample.json"
    with (whole / "sample.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            folder.mkdir()
            command = [SCRIPT.name, "--json-input", "--model-path", str(folder / "m.pth"), "--summary-path"]
            done = call_process(*command, str(folder / "s.json"), cwd=SCRIPT.parent, timeout=240)
            (SCRIPT.parent / "gnn_training.log").unlink(missing_ok=True)
            said.write_text(json.dumps([done.args, done.returncode, done.stdout, done.stderr]))
    return folder, subprocess.CompletedProcess(*json.loads(said.read_text()))


def test_a_bare_flag_trains_on_the_sample_from_inside_scripts(
    sample: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, done = sample
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    beside = ("m_card.md", "m_metadata.json", "m_report.html", "m_training.png")
    assert sorted(files(folder)) == ["m.pth", *beside, "s.json"]
    verify(folder / "m.pth")
    assert "Held-out scores" in done.stdout
    assert done.stdout.isascii()
    assert re.search(r"^Epoch 0: features alone", done.stdout, re.MULTILINE), "too few homes for the network"


def test_on_the_sample_the_model_beats_every_baseline(sample: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    summary = json.loads((sample[0] / "s.json").read_text())
    measured = summary["metrics"]["test"]
    for name, baseline in measured["baselines"].items():
        assert measured["model"]["mrr"] > baseline["mrr"], name
        assert measured["model"]["auc_hard"] > baseline["auc_hard"], name


def shown_in_start(language: str, first: str) -> list[str]:
    """The lines of the block of docs/start.md in that language that begins so."""
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    (block,) = re.findall(rf"^```{language}\n({first}.*?)^```$", page, re.DOTALL | re.MULTILINE)
    return str(block).splitlines()


def assert_prints(shown: list[str], printed: list[str]) -> None:
    """Each line that is shown is printed, in this order.

    A score may differ a little on another processor, and so be rounded the other way.
    """
    left = iter(printed)
    for line in shown:
        words = re.sub(r"\d\.\d+", "0", line).split()
        for candidate in left:
            if re.sub(r"\d\.\d+", "0", candidate).split() == words:
                break
        else:
            pytest.fail(f"not printed: {line}; docs/start.md shows what was printed once")
        for told, found in zip(*(re.findall(r"\d\.\d+", of) for of in (line, candidate)), strict=True):
            rounding = 10.0 ** -len(told.partition(".")[2])
            assert abs(float(told) - float(found)) < max(0.005, 1.001 * rounding), (line, candidate)


def test_the_first_page_of_the_documentation_shows_what_a_training_on_the_sample_prints(
    sample: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    assert_prints(shown_in_start("text", "Data: "), sample[1].stdout.splitlines())


def test_the_first_page_of_the_documentation_shows_the_first_suggestions(
    sample: tuple[Path, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    model = ("--model-path", str(sample[0] / "m.pth"))
    done = call(suggest, "--json-input", "--home", "home_000", "--top", "2", *model, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_prints(shown_in_start("yaml", "# 2 suggested"), done.stdout.splitlines())


def test_summary_and_metadata_hold_what_the_contract_and_a_reader_need(
    sample: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    folder, _ = sample
    summary = json.loads((folder / "s.json").read_text())
    assert (summary["phase"], summary["model_type"], summary["status"]) == ("training", "gnn_synergy", "success")
    assert summary["errors"] == []
    assert summary["training_time_seconds"] > 0
    assert summary["audit"]["homes"] == 40
    assert summary["audit"]["distinct_pairs"] > 400
    assert summary["source"]["type"] == "json"
    metadata = json.loads((folder / "m_metadata.json").read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", metadata["training_date"])
    assert (metadata["hidden_dim"], metadata["num_layers"]) == (64, 2)
    assert metadata["data_fingerprint"] == summary["data_fingerprint"] == summary["audit"]["fingerprint"]
    assert metadata["config"]["seed"] == 0
    assert metadata["versions"]["torch"]
    assert metadata["threads"] == summary["threads"] == 1
    assert metadata["metrics"] == summary["metrics"]
    assert metadata["generated_pairs"] == 0


def test_four_pairs_train_and_the_summary_says_that_nothing_was_held_out(train: Train, write: Write) -> None:
    path = write("four.json", FOUR_PAIRS)
    done = train("--json-input", str(path), "--summary-path", "out/s.json", "--epochs", "30")
    assert done.returncode == 0, done.stderr
    summary = json.loads((path.parent / "out" / "s.json").read_text())
    assert summary["audit"]["distinct_pairs"] == 4
    assert summary["audit"]["rows"] == 58
    assert summary["audit"]["enabled_entities"] == 6
    assert summary["audit"]["one_class"] == {"synergy_type": "t"}
    assert any("4 distinct pairs allow no held-out score" in note for note in summary["notes"])
    assert "in_sample" in summary["metrics"]
    assert "test" not in summary["metrics"]
    published = {f"gnn_synergy{end}" for end in (".pth", "_metadata.json", "_report.html", "_card.md")}
    assert published == {p.name for p in (path.parent / "models").iterdir()}, "a plot would show in-sample scores alone"
    assert (path.parent / "gnn_training.log").read_text().count(" INFO Epoch ") == 31

    from training.synergy.model import SynergyModel

    model = SynergyModel.load(path.parent / "models" / "gnn_synergy.pth")
    names = ("light.kitchen", "light.office", "light.living_room", "switch.bedroom")
    entities = [{"entity_id": e} for e in (*names, "sensor.motion", "sensor.temperature")]
    ids = [e["entity_id"] for e in entities]
    lights = [(n, "sensor.motion") for n in names[:3]]
    true = [*lights, *((a, t) for t, a in lights), ("switch.bedroom", "sensor.temperature")]
    false = [(t, a) for t in ids for a in ids if t != a and (t, a) not in true]
    for known in ([], FOUR_PAIRS):
        assert model.score(entities, known, true).min() > model.score(entities, known, false).max()


def test_saved_names_every_file_and_each_of_them_exists(train: Train, write: Write) -> None:
    folder = write("x.json", FOUR_PAIRS).parent
    (line,) = [
        line
        for line in train("--json-input", "x.json", "--epochs", "1").stdout.splitlines()
        if line.startswith("Saved: ")
    ]
    named = {folder / name for name in line.removeprefix("Saved: ").split(", ")}
    assert named == set((folder / "models").iterdir())


def test_a_second_run_says_already_trained_and_force_trains_again(train: Train, write: Write) -> None:
    path = write("x.json", FOUR_PAIRS)
    assert train("--json-input", str(path), "--epochs", "1").returncode == 0
    model = path.parent / "models" / "gnn_synergy.pth"
    first = model.read_bytes()
    again = train("--json-input", str(path), "--summary-path", "s.json")
    assert again.returncode == 0
    assert "already trained, use --force to retrain" in again.stdout
    assert json.loads((path.parent / "s.json").read_text())["status"] == "skipped"
    assert model.read_bytes() == first
    assert train("--json-input", str(path), "--epochs", "1", "--force").returncode == 0
    assert model.read_bytes() == first, "same seed, same data: same bytes"


def test_already_trained_says_on_whose_data_and_what_was_not_read(train: Train, write: Write) -> None:
    mine, other = write("mine.json", FOUR_PAIRS), write("other.json", FOUR_PAIRS[:2])
    assert train("--json-input", str(mine), "--epochs", "1").returncode == 0
    model = mine.parent / "models" / "gnn_synergy.pth"
    before = model.read_bytes()
    for arguments, not_read in ((("--json-input", str(other)), str(other)), ((), "sqlite:///data/ai_automation.db")):
        again = train(*arguments)
        assert again.returncode == 0
        for part in (f"of {mine}", "1 home, 58 rows", f"{not_read} was not read: --force trains on it"):
            assert part in again.stdout
    assert model.read_bytes() == before
    described = metadata_path(model)
    content = json.loads(described.read_bytes())
    described.write_text(json.dumps({**content, "data_fingerprint": "of another model"}))
    model.write_bytes(before[:-1])
    assert "is not a model file that can be loaded" in train("--json-input", str(other)).stderr


def test_a_model_of_the_sample_gives_way_to_data_that_a_flag_names(train: Train, write: Write) -> None:
    mine = write("mine.json", FOUR_PAIRS)
    assert train("--json-input", str(mine), "--epochs", "1").returncode == 0
    model = mine.parent / "models" / "gnn_synergy.pth"
    sample = json.loads(metadata_path(model).read_bytes())
    sample["source"]["location"] = str(sample_directory())
    metadata_path(model).write_text(json.dumps(sample))
    for arguments in ((), ("--json-input",)):  # production's cron, and the sample itself
        kept = train(*arguments)
        assert "already trained, use --force to retrain" in kept.stdout
        assert "the shipped sample" in kept.stdout
    home = write("home.json", {"entities": [{"entity_id": "light.a"}, {"entity_id": "light.b"}]})
    told = call(suggest, "--json-input", str(home), cwd=mine.parent)
    assert told.returncode == 0
    assert "Model: the base model that ships with the project, for models/gnn_synergy.pth was trained on" in told.stderr
    named = call(suggest, "--json-input", str(home), "--model-path", str(model), cwd=mine.parent)
    assert "(the shipped sample, " in named.stderr
    assert "# Note: the model was trained on the shipped sample" in named.stdout
    trained = train("--json-input", str(mine), "--epochs", "1")
    assert f"was trained on the shipped sample; a model of {mine} replaces it" in trained.stdout
    assert json.loads(metadata_path(model).read_bytes())["source"]["location"] == str(mine)


BAD_INPUT: dict[str, tuple[Any, str]] = {
    "no such file": (None, "bad.json: no such file or folder"),
    "empty": ("", "bad.json: is empty"),
    "truncated": ('[{"entity_1": "light.a",\n "entity_2', "bad.json: line 2 column 2: the file is cut off here"),
    "wrong top level": ("17", "bad.json: holds a number at the top"),
    "no rows": ("[]", "bad.json: holds no gnn_synergy rows"),
    "rows without ids": ([{"confidence": 1}], "row 1: entity_1: missing - expected an entity id"),
    "id without a dot": ([row("kitchen", "light.a")], "row 1: entity_1: 'kitchen' - expected an entity id"),
    "self-pair": ([row("light.a", "light.a")], "row 1: entity_2: 'light.a' - expected another entity"),
    "confidence missing": ([{"entity_1": "light.a", "entity_2": "light.b"}], "row 1: confidence: missing"),
    "confidence nan": ([row("light.a", "light.b", float("nan"))], "row 1: confidence: nan - expected a number"),
    "confidence infinite": ([row("light.a", "light.b", float("inf"))], "row 1: confidence: inf"),
    "confidence out of range": ([row("light.a", "light.b", 7)], "row 1: confidence: 7 - expected a number from 0 to 1"),
    "more than a tenth unusable": ([row("light.a", "light.b")] * 8 + [{}], "1 of 9 rows cannot be used"),
    "no pairs": ([{"entities": [{"entity_id": "light.a"}, {"entity_id": "light.b"}]}], "no synergy pair among 1 home"),
    "one entity": ([{"entities": [{"entity_id": "light.a"}]}], "no synergy pair among 1 home with 1 entity"),
    "duplicates that disagree": (
        [{"entities": [{"entity_id": "light.a", "area_id": a} for a in ("hall", "attic")], "synergies": []}],
        "row 1 entity 2: area_id: 'attic' - expected 'hall', as the same entity 'light.a' has in entity 1",
    ),
}


# One of each place that fails: opening, reading and training. The last has to import torch.
AS_PROCESSES = ("no such file", "truncated", pytest.param("no pairs", marks=pytest.mark.slow))


@pytest.mark.parametrize("name", AS_PROCESSES)
def test_bad_input_of_a_process_is_one_line_exit_1_and_the_old_model_untouched(
    train_process: Train, write: Write, name: str
) -> None:
    check_bad_input(train_process, write, name)


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_is_one_line_exit_1_and_the_old_model_untouched(train: Train, write: Write, name: str) -> None:
    check_bad_input(train, write, name)


def check_bad_input(run: Train, write: Write, name: str) -> None:
    content, message = BAD_INPUT[name]
    folder = write("models/gnn_synergy.pth", "the old model").parent
    before = files(folder)
    if content is not None:
        write("bad.json", content)
    done = run("--json-input", "bad.json", "--force", "--summary-path", "s.json")
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert files(folder) == before
    summary = json.loads((folder.parent / "s.json").read_text())
    assert summary["status"] == "failed"
    assert message in summary["errors"][0]


def test_a_binary_file_and_a_folder_without_the_file_are_one_line(train: Train, tmp_path: Path) -> None:
    (tmp_path / "binary.json").write_bytes(b"\x89PNG\r\n\x1a\n\x00")
    (tmp_path / "hollow").mkdir()
    for path, message in {
        "binary.json": "binary.json: is a PNG image: expected a JSON file",
        "hollow": "hollow: no gnn_synergy_data.json in this folder",
    }.items():
        done = train("--json-input", path)
        assert done.returncode == 1
        assert message in done.stderr
        assert done.stderr.count("\n") == 1
        assert not list(tmp_path.glob("models/*"))


def test_verbose_adds_the_traceback(train: Train, write: Write) -> None:
    write("bad.json", "17")
    done = train("--json-input", "bad.json", "--verbose")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_strict_makes_the_first_unusable_row_fatal(train: Train, write: Write) -> None:
    rows = [row("light.a", f"light.l{i}") for i in range(30)]
    write("x.json", [*rows, {}])
    loose = train("--json-input", "x.json", "--dry-run")
    assert loose.returncode == 0
    assert "Left out: row 31: is neither a home" in loose.stdout
    strict = train("--json-input", "x.json", "--dry-run", "--strict")
    assert strict.returncode == 1
    assert "row 31: is neither a home" in strict.stderr


def test_null_beside_text_in_area_id_a_home_without_synergies_and_few_pairs_train(train: Train, write: Write) -> None:
    mixed = home("a")
    for entity in mixed["entities"][::2]:
        entity["area_id"] = None
    mixed["synergies"] = mixed["synergies"][:2]
    write("x.json", [mixed, {"home_id": "empty", "entities": [{"entity_id": "light.a"}]}])
    done = train("--json-input", "x.json", "--epochs", "2")
    assert done.returncode == 0, done.stderr
    assert "1 home without a synergy" in done.stdout
    assert "In-sample scores" in done.stdout


def test_dry_run_reads_and_audits_and_writes_nothing_but_its_summary(train: Train, write: Write) -> None:
    path = write("x.json", FOUR_PAIRS)
    done = train("--json-input", "x.json", "--dry-run", "--summary-path", "s.json")
    assert done.returncode == 0
    assert "4 distinct pairs" in done.stdout
    assert sorted(p.name for p in path.parent.iterdir()) == ["gnn_training.log", "s.json", "x.json"]
    summary = json.loads((path.parent / "s.json").read_text())
    assert summary["dry_run"] is True
    assert summary["metrics"] == {}


def test_all_forms_of_the_flag_read_the_same_data(train: Train, write: Write, tmp_path: Path) -> None:
    write("gnn_synergy_data.json", FOUR_PAIRS)
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress("\n".join(map(json.dumps, FOUR_PAIRS)).encode()))
    prints = set()
    for arguments, options in [
        (["--json-input", "gnn_synergy_data.json"], {}),
        (["--json-input", "."], {}),
        (["--json-input", "x.jsonl.gz"], {}),
        (["--json-input", "-"], {"input": json.dumps(FOUR_PAIRS)}),
        (["--json-input", "--strict"], {"env": {"TRAINING_DATA_DIR": str(tmp_path)}}),
        (["--data-source", "gnn_synergy_data.json"], {}),
    ]:
        done = train(*arguments, "--dry-run", "--summary-path", "s.json", **options)
        assert done.returncode == 0, done.stderr
        prints.add(json.loads((tmp_path / "s.json").read_text())["data_fingerprint"])
    assert len(prints) == 1


def test_wrong_usage_exits_2(train: Train) -> None:
    both = train("--json-input", "x", "--data-source", "y")
    assert both.returncode == 2
    assert "exclude each other" in both.stderr
    assert train("--epochs", "-1").returncode == 2
    assert train("--no-such-flag").returncode == 2


@pytest.mark.parametrize("size", ["much", "-1", "1,5GB", "1.5.2GB", "64MB of it", "1_000", "1e9", ""])
def test_a_size_that_would_be_read_in_part_is_wrong_usage(train: Train, write: Write, size: str) -> None:
    done = train("--json-input", write("x.json", FOUR_PAIRS), "--dry-run", "--memory", size)
    assert done.returncode == 2
    assert f"'--memory': {size!r}: not a size; give one such as 64MB" in done.stderr


@pytest.mark.parametrize("size", ["0", "5000", "64MB", "512 MB", "1.5GB", "2GiB", "64mb", "8k"])
def test_a_size_may_have_a_unit(train: Train, write: Write, size: str) -> None:
    assert train("--json-input", write("x.json", FOUR_PAIRS), "--dry-run", "--memory", size).returncode == 0


def test_no_flag_names_json_input(train: Train) -> None:
    done = train()
    assert done.returncode == 1
    assert "--json-input" in done.stderr
    assert done.stderr.count("\n") == 1


def test_settings_come_from_the_environment_and_dot_env_and_flags_win(train: Train, write: Write) -> None:
    write("x.json", FOUR_PAIRS)
    write(".env", "GNN_HIDDEN_DIM=8\nGNN_EPOCHS=3\nGNN_MODEL_PATH=there/m.pth\nMQTT_BROKER=\n")
    done = train("--json-input", "x.json", "--epochs", "2", "--summary-path", "s.json", env={"GNN_NUM_LAYERS": "1"})
    assert done.returncode == 0, done.stderr
    summary = json.loads(write("s.json.copy", "").with_name("s.json").read_text())
    assert summary["model_path"] == str(Path("there/m.pth"))
    config = summary["config"]
    assert (config["hidden_dim"], config["num_layers"], config["epochs"]) == (8, 1, 2)


@pytest.mark.parametrize(
    ("name", "value"),
    [("GNN_EPOCHS", "many"), ("GNN_HIDDEN_DIM", "0"), ("GNN_LEARNING_RATE", "nan"), ("GNN_MEMORY", "1,5GB")],
)
def test_a_bad_setting_is_named(train: Train, write: Write, name: str, value: str) -> None:
    write("x.json", FOUR_PAIRS)
    done = train("--json-input", "x.json", env={name: value})
    assert done.returncode == 1
    assert f"{name}='{value}' in the environment or .env" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("place", ["file/m.pth", ".", "/proc/m.pth"])
def test_an_output_that_cannot_be_written_is_found_before_training(train: Train, write: Write, place: str) -> None:
    write("x.json", FOUR_PAIRS)
    write("file", "x")
    done = train("--json-input", "x.json", env={"GNN_MODEL_PATH": place})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr or "is a folder" in done.stderr
    assert "Epoch" not in done.stdout


@pytest.mark.slow
def test_a_full_disk_while_saving_leaves_the_old_model(train_process: Train, write: Write) -> None:
    write("x.json", FOUR_PAIRS)
    folder = write("models/gnn_synergy.pth", "the old model").parent
    before = files(folder)

    def no_large_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    done = train_process("--json-input", "x.json", "--epochs", "1", "--force", preexec_fn=no_large_files)
    assert done.returncode == 1
    assert "cannot be written (File too large); nothing that was there has changed" in done.stderr
    assert done.stderr.count("\n") == 1
    assert files(folder) == before


def test_a_summary_that_cannot_be_written_is_found_before_training(train: Train, write: Write) -> None:
    write("x.json", FOUR_PAIRS)
    write("file", "x")
    done = train("--json-input", "x.json", "--summary-path", "file/s.json")
    assert done.returncode == 1
    assert "file/s.json: cannot be written (a file is in the place of its folder)" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Epoch" not in done.stdout


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGTERM])
def test_an_interrupt_mid_epoch_leaves_the_old_model(write: Write, tmp_path: Path, number: signal.Signals) -> None:
    write("x.json", FOUR_PAIRS)
    folder = write("models/gnn_synergy.pth", "the old model").parent
    before = files(folder)
    command = [sys.executable, str(SCRIPT), "--json-input", "x.json", "--force", "--epochs", "1000000"]
    process = subprocess.Popen(
        [*command, "--summary-path", "s.json"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("Epoch 3"):
            break
    process.send_signal(number)
    started = time.monotonic()
    _, stderr = process.communicate(timeout=60)
    assert time.monotonic() - started < 20
    assert process.returncode == 1
    assert (
        stderr
        == f"Error: interrupted ({number.name}); nothing was published and the model that was there is untouched\n"
    )
    assert files(folder) == before
    assert json.loads((tmp_path / "s.json").read_text())["status"] == "failed"


def test_an_existing_file_that_is_no_model_is_not_called_trained_and_only_force_replaces_it(
    train: Train, write: Write
) -> None:
    write("x.json", FOUR_PAIRS)
    model = write("models/gnn_synergy.pth", "corrupt")
    refused = train("--json-input", "x.json", "--epochs", "1")
    assert refused.returncode == 1
    assert "is not a model file that can be loaded" in refused.stderr
    assert "--force trains a new model and replaces this file" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert model.read_text() == "corrupt"
    assert train("--json-input", "x.json", "--epochs", "1", "--force").returncode == 0
    verify(model)


@pytest.mark.slow
def test_a_reader_that_goes_away_does_not_make_a_trained_model_a_failure(write: Write, tmp_path: Path) -> None:
    write("x.json", FOUR_PAIRS)
    command = f"'{sys.executable}' '{SCRIPT}' --json-input x.json --epochs 2 | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=120, env=environment()
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    verify(tmp_path / "models" / "gnn_synergy.pth")


@pytest.mark.parametrize("script", sorted(path.name for path in (ROOT / "scripts").glob("*.py")))
def test_help_imports_no_heavy_library(script: str) -> None:
    heavy = (
        "argparse httpx matplotlib numpy pandas scipy sklearn sqlalchemy torch torch_geometric transformers voluptuous"
    )
    path = str(ROOT / "scripts" / script)
    code = f"import sys, runpy; sys.argv = ['x', '--help']\ntry: runpy.run_path({path!r}, run_name='__main__')\n"
    code += f"except SystemExit: print([m for m in {heavy.split()} if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True).stdout
    assert shown.startswith("Usage:")
    assert shown.endswith("[]\n")


def test_dry_run_imports_no_torch(write: Write, tmp_path: Path) -> None:
    write("x.json", FOUR_PAIRS)
    command = ["-X", "importtime", str(SCRIPT), "--json-input", "x.json", "--dry-run"]
    done = call_process(*command, cwd=tmp_path, timeout=60)
    assert done.returncode == 0
    assert not re.search(r"\|\s+torch$", done.stderr, re.MULTILINE)


@pytest.mark.slow
def test_a_terminal_shows_a_bar_and_the_log_has_the_lines(write: Write, tmp_path: Path) -> None:
    write("x.json", FOUR_PAIRS)
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, 100))
    command = [sys.executable, str(SCRIPT), "--json-input", "x.json", "--epochs", "3"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=follower, stderr=follower, env=environment(TERM="xterm"))
    os.close(follower)
    shown = b""
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:
            break
        if not chunk:
            break
        shown += chunk
    os.close(leader)
    assert process.wait(timeout=60) == 0
    assert b"epoch" in shown
    assert b"Epoch 1: loss" not in shown
    assert "Epoch 1: loss" in (tmp_path / "gnn_training.log").read_text()
