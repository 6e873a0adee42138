"""A scratch base is trained once on the same data: a later training takes that of an earlier run."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from training.judging.splits import unit_digests
from training.runs.errors import TrainingError
from training.text import trainer
from training.text.adapter_job import units_seen
from training.text.backbone import BASE_FOLDER, TextPair
from training.text.config import AdapterConfig
from training.text.trainer import Scratch, base_fingerprint, train_adapter

PAIRS = [TextPair(f"turn on lamp {i}", f"light {i} on") for i in range(12)]
CONFIG = AdapterConfig(base_model="scratch", epochs=1, batch_size=8)
SCRATCH = Scratch(epochs=2)


def train(work: Path, *earlier: Path, **changes: Any) -> Any:
    work.mkdir()
    config = CONFIG.model_copy(update=changes)
    result = train_adapter(PAIRS, config, work, scratch=SCRATCH, earlier_runs=earlier, evaluate=lambda *_: {})
    (work / "training_run.json").write_text(json.dumps({"base_fingerprint": result.base_fingerprint}))
    return result


@pytest.mark.slow
def test_a_training_on_the_same_data_takes_the_base_of_an_earlier_run_and_ends_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO)
    one, two, three = tmp_path / "one", tmp_path / "two", tmp_path / "three"
    first = train(one).model.state_dict()
    with monkeypatch.context() as context:
        context.setattr(trainer, "scratch_base", lambda *_a, **_k: pytest.fail("was trained again"))
        second = train(two, tmp_path / "none", one).model.state_dict()
    assert f"that of {one} is used" in caplog.text
    assert first.keys() == second.keys()
    assert all(bool((first[name] == second[name]).all()) for name in first)
    (two / BASE_FOLDER / "model.safetensors").write_bytes(b"cut off")
    caplog.clear()
    train(three, two)
    assert "is used" not in caplog.text, "it is broken"


def test_a_base_of_other_data_settings_or_seed_is_another() -> None:
    rows: Any = {"train": PAIRS, "validation": [], "test": []}
    more = {**rows, "train": [*PAIRS, TextPair("close the door", "door shut")]}
    prints = {
        base_fingerprint(rows, CONFIG, SCRATCH),
        base_fingerprint(more, CONFIG, SCRATCH),
        base_fingerprint(rows, CONFIG.model_copy(update={"seed": 7}), SCRATCH),
        base_fingerprint(rows, CONFIG, SCRATCH._replace(epochs=3)),
    }
    assert len(prints) == 4
    assert base_fingerprint(rows, CONFIG.model_copy(update={"lora_r": 4}), SCRATCH) in prints, "says nothing of a base"


def test_a_run_names_what_it_started_from_was_trained_on(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / BASE_FOLDER).mkdir(parents=True)
    (run / "training_run.json").write_text(json.dumps({"trained_on": unit_digests(["turn on lamp 1"])}))
    (tmp_path / "latest").symlink_to("run")
    own, both = unit_digests(["turn on lamp 2"]), unit_digests(["turn on lamp 1", "turn on lamp 2"])
    assert units_seen(own, None, "scratch") == own
    assert units_seen(own, tmp_path / "latest", "scratch") == both
    assert units_seen(own, None, str(run / BASE_FOLDER)) == both
    (run / "training_run.json").write_text("{}")
    assert units_seen(own, run, "scratch") is None, "nobody knows what that run saw"
    for damaged in ("5", "abcd", "None", 5, [own]):
        (run / "training_run.json").write_text(json.dumps({"trained_on": damaged}))
        for start in ((run, "scratch"), (None, str(run / BASE_FOLDER))):
            with pytest.raises(TrainingError, match=r"training_run\.json: cannot be started from \(trained_on is no"):
                units_seen(own, *start)
