"""Run directories as production reads them: plain transformers, from any working directory, also after a move."""

from __future__ import annotations

import json
import re
import shutil
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from pytest_httpserver import HTTPServer
from support import ROOT, call, call_process
from werkzeug import Request, Response

from retraining_manager.registry import Registry
from training.automations.command import train as train_yaml
from training.runs.errors import ModelFileError, TrainingError
from training.runs.publishing import move_link
from training.text.backbone import BASE_FOLDER, TextPair, load_base, save_tokenizer, scratch_base
from training.text.base_cache import check_folder
from training.text.command import train as train_soft_prompt
from training.text.config import SCRATCH, AdapterConfig
from training.text.model import Suggester
from training.text.trainer import TrainedAdapter, adapted

ROOMS = ("kitchen", "hall", "office", "bedroom")
PAIRS = [
    TextPair(f"switch {s} the fan in the {room}", f"Turn {s} the {room} fan.") for room in ROOMS for s in ("on", "off")
]
ASKED = ("switch on the fan in the hall", "You are a helper. User request: no light Existing idea: a fan in the office")
PLAIN = """
import json, sys, transformers
tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
model = transformers.AutoModelForSeq2SeqLM.from_pretrained(sys.argv[1])
texts = []
for asked in sys.argv[2:]:
    answer = model.generate(**tokenizer(asked, return_tensors="pt"), max_new_tokens=60)
    texts.append(tokenizer.decode(answer[0], skip_special_tokens=True).strip())
assert not any(name.startswith("training") for name in sys.modules)
print(json.dumps(texts))
"""
OURS = """
import json, sys
from training import Suggester
suggester = Suggester.load(sys.argv[1])
print(json.dumps([suggester.suggest(asked) for asked in sys.argv[2:]]))
"""


def plain(folder: Path, cwd: Path, **env: str) -> list[str]:
    """What plain transformers generates, in a process of its own that never imports our code."""
    done = call_process("-P", "-c", PLAIN, str(folder), *ASKED, cwd=cwd, env={"HF_HUB_OFFLINE": "1", **env})
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found


def plain_here(folder: Path) -> list[str]:
    """The same in this process."""
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    model: Any = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder)
    encoded = (tokenizer(asked, return_tensors="pt") for asked in ASKED)
    answers = (model.generate(**one, max_new_tokens=12)[0] for one in encoded)
    return [tokenizer.decode(answer, skip_special_tokens=True).strip() for answer in answers]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base model as a folder."""
    folder = tmp_path_factory.mktemp("bases") / "tiny"
    made = scratch_base([*PAIRS, TextPair(string.ascii_letters, string.digits + string.punctuation)], 0)
    made.model.generation_config.suppress_tokens = [0, 1, 2]  # untrained, it would say nothing else
    made.model.save_pretrained(folder)
    save_tokenizer(made.tokenizer, folder)
    return folder


def write_run(folder: Path, base: Path, named: str, place: str, method: Any = "lora") -> Path:
    """A run directory over a base, whose adapter changes what the base says."""
    config = AdapterConfig(base_model=named, method=method, target_max_tokens=12)
    loaded = load_base(str(base))
    model = adapted(loaded, config, None)
    torch.manual_seed(1)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if value.requires_grad and "lora_B" in name:
                value.normal_(std=2.0)
    own = base if named == SCRATCH else None
    TrainedAdapter(model, loaded.tokenizer, own, 0.0, (), {}, {}, "").save(folder, place)
    (folder / "training_run.json").write_text(json.dumps({"config": config.model_dump()}))
    return folder


def suggested(folder: Path) -> list[str]:
    suggester = Suggester.load(folder)
    return [suggester.suggest(asked) for asked in ASKED]


@pytest.mark.parametrize("method", ["lora", *(pytest.param(m, marks=pytest.mark.slow) for m in ("dora", "rslora"))])
@pytest.mark.parametrize("named", [SCRATCH, "folder"])
def test_plain_transformers_and_the_suggester_say_the_same(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, named: str
) -> None:
    monkeypatch.chdir(base.parent)
    name = SCRATCH if named == SCRATCH else base.name  # a relative path
    run = write_run(tmp_path / "out" / "run", base, name, str(base), method)
    move_link(tmp_path / "out" / "latest", run)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    said = plain_here(Path("../out/latest"))
    assert said == plain_here(run) == suggested(Path("../out/latest"))
    assert said != plain_here(base), "the adapter counts"


def test_a_scratch_run_that_was_moved_or_copied_opens_where_it_is(base: Path, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", base, SCRATCH, str(tmp_path / "run"))
    said = plain_here(run)
    copied = Path(shutil.copytree(run, tmp_path / "other machine" / "copy"))
    shutil.rmtree(run)
    assert plain_here(copied) == suggested(copied) == said
    config = json.loads((copied / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "PreTrainedTokenizerFast", "transformers 4 knows no other name of it"
    assert config["model_input_names"] == ["input_ids", "attention_mask"]


def test_a_version_of_the_manager_s_opens_through_production_s_link(base: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "models" / "soft_prompt", "run", tmp_path / "data" / "latest")
    versions, said = [], []
    for number in range(2):
        run = write_run(tmp_path / f"run{number}", base, SCRATCH, ".", "lora" if number else "rslora")
        said.append(plain_here(run))
        files = {path.relative_to(run).as_posix(): path for path in run.rglob("*") if path.is_file()}
        versions.append(registry.add(files, {}))
        registry.promote(versions[-1], "better")
        shutil.rmtree(run)
        assert plain_here(tmp_path / "data" / "latest") == said[-1]
    assert said[0] != said[1]
    registry.rollback("worse")
    assert plain_here(tmp_path / "data" / "latest") == suggested(tmp_path / "data" / "latest") == said[0]


def test_a_base_named_by_a_relative_path_is_stored_absolute(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "t5").symlink_to(base)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("models/t5", "./models/t5", "models/../models/t5/", "~/models/t5"):
        assert AdapterConfig(base_model=name).base_model == str(base), name
    for name in (SCRATCH, "google/flan-t5-small", "models/none", "./none"):
        assert AdapterConfig(base_model=name).base_model == name


def test_a_base_that_is_gone_is_named(base: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(base, tmp_path / "here"))
    run = write_run(tmp_path / "run", moved, str(moved), str(moved))
    shutil.rmtree(moved)
    with pytest.raises(ModelFileError, match=f"{moved}: no such folder"):
        Suggester.load(run)


BASES = {
    "./private/thing": "./private/thing: no such folder",
    "/srv/private/thing": "/srv/private/thing: no such folder",
    "~/private/thing": "~/private/thing: no such folder",
    "../thing": "../thing: no such folder",
    "a/private/thing": "a/private/thing: no such folder",
    "private thing": "private thing: no such folder",
    "rows.json": "rows.json: is a file",
    "hollow": "hollow: holds no model",
    "adapter": "adapter: holds an adapter, no base model",
}


@pytest.mark.parametrize("command", [train_soft_prompt, train_yaml], ids=["soft-prompt", "yaml-generation"])
@pytest.mark.parametrize("name", BASES)
def test_a_base_that_is_no_folder_is_named_before_anything_is_read(tmp_path: Path, name: str, command: Any) -> None:
    (tmp_path / "rows.json").write_text("[]")
    (tmp_path / "hollow").mkdir()
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    done = call(command, "--json-input", "rows.json", "--base-model", name, cwd=tmp_path)
    assert done.returncode == 1
    assert BASES[name] in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_name_whose_first_part_is_a_folder_here_is_not_asked_of_the_hub(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    check_folder("models/t5")  # it may be in the cache
    with pytest.raises(TrainingError, match=r"models/t5: no such folder, .* the hub is not asked for it"):
        load_base("models/t5")
    shutil.copytree(base, tmp_path / "models" / "t5")
    assert load_base("models/t5").name == "models/t5", "a folder comes before the hub"


@pytest.mark.slow
def test_the_hub_gets_no_request_for_a_private_name(httpserver: HTTPServer, tmp_path: Path) -> None:
    asked: list[str] = []

    def refuse(request: Request) -> Response:
        asked.append(request.path)
        return Response(status=404)

    httpserver.expect_request(re.compile(".*")).respond_with_handler(refuse)
    (tmp_path / "models").mkdir()
    (tmp_path / "rows.json").write_text(json.dumps([{"query": p.source, "suggestion": p.target} for p in PAIRS]))
    hub = {"HF_ENDPOINT": httpserver.url_for("").rstrip("/"), "HF_HOME": str(tmp_path / "hf"), "HF_HUB_OFFLINE": "0"}
    script = str(ROOT / "scripts" / "train_soft_prompt.py")
    for name in ("./private/thing", "private/deep/thing", "models/thing"):
        done = call_process(script, "--json-input", "rows.json", "--base-model", name, cwd=tmp_path, env=hub)
        assert (done.returncode, f"{name}: no such folder" in done.stderr) == (1, True), done.stderr
        assert asked == []
    done = call_process(script, "--json-input", "rows.json", "--base-model", "acme/thing", cwd=tmp_path, env=hub)
    assert done.returncode == 1
    assert asked, "what may be on the hub is asked for"


@pytest.mark.slow
@pytest.mark.parametrize("model", ["soft_prompt", "yaml_generation"])
def test_a_run_of_the_script_opens_in_a_process_without_our_code(base: Path, tmp_path: Path, model: str) -> None:
    rows: Callable[[int], dict[str, str]] = {
        "soft_prompt": lambda i: {"query": PAIRS[i].source, "suggestion": PAIRS[i].target},
        "yaml_generation": lambda i: {
            "input": PAIRS[i].source,
            "output": "{triggers: [{trigger: sun, event: sunset}], actions: [{action: fan.turn_on}]}",
        },
    }[model]
    (tmp_path / "rows.json").write_text(json.dumps([rows(i) for i in range(len(PAIRS))]))
    shutil.copytree(base, tmp_path / "bases" / "tiny")
    cached = tmp_path / "hf" / "hub" / "models--acme--tiny"
    shutil.copytree(base, cached / "snapshots" / ("a" * 40))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("a" * 40)
    (tmp_path / "elsewhere").mkdir()
    script = str(ROOT / "scripts" / f"train_{model}.py")
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    quick = ("--json-input", "rows.json", "--epochs", "1", "--output-dir", "out", "--target-max-tokens", "60")
    for name in (SCRATCH, "bases/tiny", "acme/tiny"):
        done = call_process(
            script, *quick, "--base-model", name, "--run-id", f"r{len(name)}", cwd=tmp_path, env=offline
        )
        assert done.returncode == 0, done.stderr
        said = plain(Path("..") / "out" / "latest", tmp_path / "elsewhere", **offline)
        ours = call_process(
            "-c", OURS, "../out/latest", *ASKED, cwd=tmp_path / "elsewhere", env={**offline, "PYTHONPATH": str(ROOT)}
        )
        assert json.loads(ours.stdout) == said, ours.stderr
    adapter = json.loads((tmp_path / "out" / f"r{len(SCRATCH)}" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == str(tmp_path / "out" / f"r{len(SCRATCH)}")
    assert (tmp_path / "out" / f"r{len(SCRATCH)}" / BASE_FOLDER / "model.safetensors").is_file()
