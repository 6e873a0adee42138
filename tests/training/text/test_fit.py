"""Fitting adapters: resuming, the best epoch, batches by length, bases from a cache, the scratch tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file
from support import ROOT, call_process
from torch.nn import functional

from training.runs.errors import TrainingError
from training.runs.folders import link_target
from training.runs.publishing import move_link
from training.text import memory_forecast as memory
from training.text.backbone import Base, TextPair, load_base, scratch_base
from training.text.config import AdapterConfig, FitSettings, Limits
from training.text.fit import GroupedByLength, fit, newest_checkpoint, rows_at_once, tokenized
from training.text.row_dropout import RowDropout
from training.text.trainer import adapted, order_sets

PAIRS = [
    TextPair(f"switch {state} the {thing} in the {room}", f"Turn {state} the {room} {thing}.")
    for room in ("kitchen", "hall", "big old bedroom")
    for thing in ("light", "fan")
    for state in ("on", "off")
]
ROWS = {"train": PAIRS[:9], "validation": PAIRS[9:]}


class StoppedError(Exception):
    pass


@pytest.fixture(scope="module")
def base_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small base as a folder, as from_pretrained wants it."""
    folder = tmp_path_factory.mktemp("base")
    base = scratch_base(PAIRS, 0)
    base.model.save_pretrained(folder)
    base.tokenizer.save_pretrained(folder)
    return folder


def fitted(
    base: Base, work: Path, method: Any, settings: FitSettings, stop: int | None = None, rows: Any = ROWS
) -> dict[str, Any]:
    """The trained weights and the history of an adapter over ``base``; the fit is stopped after epoch ``stop``."""
    model = adapted(base, AdapterConfig(method=method), None)
    done: list[int] = []

    def on_epoch(epoch: int, _numbers: dict[str, float]) -> None:
        done.append(epoch)
        if epoch == stop:
            raise StoppedError

    with tokenized(rows, base.tokenizer, Limits(64, 64), work) as tables:
        parts = tables["train"], tables["validation"]
        history = fit(model, base.tokenizer, *parts, settings, work, checkpoints=True, on_epoch=on_epoch)
    trained = {name: value.detach() for name, value in model.named_parameters() if value.requires_grad}
    return {"trained": trained, "history": history, "epochs": done}


@pytest.mark.parametrize("method", ["lora", pytest.param("p-tuning", marks=pytest.mark.slow)])
def test_a_resumed_fit_ends_with_the_weights_of_an_uninterrupted_one(
    base_folder: Path, tmp_path: Path, method: str
) -> None:
    settings = FitSettings(epochs=3, learning_rate=5e-3, batch_size=2, seed=1)
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    whole = fitted(load_base(str(base_folder)), tmp_path / "whole", method, settings)
    with pytest.raises(StoppedError):
        fitted(load_base(str(base_folder)), tmp_path / "stopped", method, settings, stop=2)
    assert newest_checkpoint(tmp_path / "stopped") is not None
    resumed = fitted(load_base(str(base_folder)), tmp_path / "stopped", method, settings)
    assert resumed["epochs"][-1] == 3
    assert resumed["epochs"][0] > 1, "the first epoch is not repeated"
    assert whole["history"][0]["loss"] > whole["history"][-1]["loss"]
    for name, value in whole["trained"].items():
        assert torch.equal(value, resumed["trained"][name]), name


def test_the_weights_are_those_of_the_epoch_with_the_lowest_validation_loss(base_folder: Path, tmp_path: Path) -> None:
    contradicted = {**ROWS, "validation": [TextPair(pair.source, "big big bed on hall") for pair in PAIRS[:4]]}
    settings = FitSettings(epochs=4, learning_rate=0.02, batch_size=2, seed=0)
    done = fitted(load_base(str(base_folder)), tmp_path, "lora", settings, rows=contradicted)
    losses = [row["eval_loss"] for row in done["history"]]
    best = losses.index(min(losses)) + 1
    assert best < 4, f"the training rows should contradict the validation part: {losses}"
    newest = newest_checkpoint(tmp_path)
    assert newest is not None
    last = load_file(newest / "trainable.safetensors")
    assert any(not torch.equal(value, last[name]) for name, value in done["trained"].items())
    kept = load_file(tmp_path / "best.safetensors")
    assert all(torch.equal(value, kept[name]) for name, value in done["trained"].items())


def test_a_loss_that_is_no_number_names_the_flag(base_folder: Path, tmp_path: Path) -> None:
    base = load_base(str(base_folder))
    base.model.lm_head.weight.data.fill_(float("inf"))
    with pytest.raises(TrainingError, match="no longer a number; lower --learning-rate"):
        fitted(base, tmp_path, "lora", FitSettings(1, 1e-3, 4, 0))


VALIDATED = """
import json, sys
from pathlib import Path
from test_fit import PAIRS, FitSettings, fitted, load_base
from training.runs.distributed import world_size
from training.text.backbone import TextPair
long = [TextPair(pair.source, " ".join(5 * [pair.target])) for pair in PAIRS[:3]]
rows = {"train": PAIRS[:8], "validation": [*PAIRS[:8], *long]}
settings = FitSettings(epochs=1, learning_rate=0.01, batch_size=8 // world_size(), seed=0)
done = fitted(load_base(sys.argv[1]), Path(sys.argv[2]), "lora", settings, rows=rows)
Path(sys.argv[2], "losses.json").write_text(json.dumps(done["history"]))
"""


@pytest.mark.slow
def test_each_validation_row_counts_once_in_two_processes(base_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "validated.py").write_text(VALIDATED)
    losses = []
    for processes in ("1", "2"):
        work = tmp_path / processes
        work.mkdir()
        done = call_process(
            *("-m", "torch.distributed.run", "--nproc-per-node", processes),
            *("validated.py", str(base_folder), str(work)),
            cwd=tmp_path,
            env={"PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests' / 'training' / 'text'}"},
        )
        assert done.returncode == 0, done.stderr
        losses.append(json.loads((work / "losses.json").read_text())[0]["eval_loss"])
    assert losses[0] == pytest.approx(losses[1], rel=0.0001)


def test_what_is_dropped_of_a_row_depends_on_neither_its_batch_nor_its_padding() -> None:
    dropout, ones = RowDropout(seed=3), torch.ones(8, 2, 12, 64)
    with dropout.applied():
        dropout.begin(5, 0, 8)
        whole, again = (functional.dropout(ones, 0.25) for _ in range(2))
        dropout.begin(5, 6, 2)
        part = functional.dropout(ones[6:, :, :9, :40], 0.25)
        dropout.begin(6, 6, 2)
        next_update = functional.dropout(ones[6:, :, :9, :40], 0.25)
        prompt = functional.dropout(torch.ones(5, 64), 0.25)
        dropout.begin(6, 0, 8)
        functional.dropout(ones, 0.25)
        assert torch.equal(functional.dropout(torch.ones(5, 64), 0.25), prompt), "of no row"
        assert torch.equal(functional.dropout(ones, 0.25, training=False), ones)
    assert torch.equal(part, whole[6:, :, :9, :40])
    assert not torch.equal(part, next_update)
    assert not torch.equal(whole, again)
    assert not torch.equal(whole[0], whole[1])
    for axes in ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)):
        assert (whole == 0).float().mean(axes).numpy() == pytest.approx(0.25, abs=0.12)
    assert float((whole == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert float(whole.max()) == pytest.approx(1 / 0.75)


def test_dropout_keeps_the_number_format() -> None:
    dropout, half = RowDropout(seed=0), torch.ones(2, 4, 3, 8, dtype=torch.bfloat16)
    with dropout.applied():
        dropout.begin(0, 0, 2)
        assert functional.dropout(half, 0.5).dtype == torch.bfloat16
        assert functional.scaled_dot_product_attention(half, half, half, dropout_p=0.5).dtype == torch.bfloat16


def test_attention_drops_what_dropout_drops() -> None:
    dropout = RowDropout(seed=0)
    query, key, value = torch.randn(3, 4, 2, 7, 8, generator=torch.Generator().manual_seed(0)).unbind()
    bias = torch.zeros(4, 1, 7, 7)
    bias[:, :, :, 5:] = -torch.inf
    with dropout.applied():
        dropout.begin(0, 0, 4)
        found = functional.scaled_dot_product_attention(query, key, value, bias, dropout_p=0.5, scale=1.0)
        masked = functional.scaled_dot_product_attention(query, key, value, bias == 0, dropout_p=0.5, scale=1.0)
        dropout.begin(0, 0, 4)
        expected = functional.dropout((query @ key.transpose(-2, -1) + bias).softmax(-1), 0.5) @ value
    torch.testing.assert_close(found, expected)
    assert not torch.equal(masked, found), "another call drops something else"
    plain = functional.scaled_dot_product_attention(query, key, value, bias, scale=1.0)
    torch.testing.assert_close(plain, (query @ key.transpose(-2, -1) + bias).softmax(-1) @ value)


@pytest.mark.slow
def test_an_update_is_the_same_however_many_rows_are_computed_together(base_folder: Path, tmp_path: Path) -> None:
    trained = {}
    for at_once in (None, Limits(30, 30), Limits(1, 1)):
        base = load_base(str(base_folder))
        assert base.model.config.dropout_rate > 0
        settings = FitSettings(2, 5e-3, 4, 0, at_once=at_once)
        work = tmp_path / str(at_once)
        work.mkdir()
        model = adapted(base, AdapterConfig(), None)
        with tokenized(ROWS, base.tokenizer, Limits(64, 64), work) as tables:
            longest = max(len(row) for row in tables["train"]["input_ids"])
            history = fit(model, base.tokenizer, tables["train"], None, settings, work)
        trained[at_once] = history, {n: p.detach() for n, p in model.named_parameters() if p.requires_grad}
    assert rows_at_once(4, Limits(longest, longest), Limits(30, 30)) in (1, 2, 3), "else nothing was taken apart"
    (whole, weights), *others = trained.values()
    assert whole[0]["loss"] > whole[-1]["loss"]
    for history, theirs in others:
        assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in whole], abs=1e-4)
        for name, value in weights.items():
            torch.testing.assert_close(theirs[name], value, atol=1e-4, rtol=1e-3)


def test_rows_run_together_as_long_as_their_tokens_do_not_exceed_those_of_the_longest_allowed() -> None:
    config = AdapterConfig(batch_size=1)
    assert config.fit_settings.batch_size == 4, "as production gathers the gradients of four"
    assert [rows_at_once(4, Limits(n, 10), config.at_once) for n in (10, 96, 97, 192, 193, 384)] == [4, 4, 3, 2, 1, 1]
    assert rows_at_once(4, Limits(10, 200), config.at_once) == 1
    assert AdapterConfig(batch_size=16).fit_settings.batch_size == 16
    assert rows_at_once(16, Limits(384, 384), AdapterConfig(batch_size=16).at_once) == 16


def test_batches_are_of_like_length_and_each_epoch_has_its_own_order() -> None:
    lengths = [n % 40 + 1 for n in range(400)]
    sampler = GroupedByLength(lengths, 8, seed=0)
    first = list(sampler)
    sampler.epoch = 1
    second = list(sampler)
    sampler.epoch = 0
    assert first == list(sampler)
    assert first != second
    assert sorted(first) == sorted(second) == list(range(400))
    batches = [[lengths[i] for i in first[start : start + 8]] for start in range(0, 400, 8)]
    spread = [max(batch) - min(batch) for batch in batches]
    assert sorted(spread)[len(spread) // 2] <= 5, "in any order it would be about 30"


def test_one_text_gives_one_tokenizer_however_often_it_is_made() -> None:
    texts = [TextPair(f"wake {a}{b} at {n} °C", f"Ünlock {b}{a} - {n}!") for n, (a, b) in enumerate(("xy", "yx", "zz"))]
    made = [scratch_base(texts, 0).tokenizer.backend_tokenizer.to_str() for _ in range(4)]
    assert len(set(made)) == 1


def test_an_adapter_s_configuration_is_written_in_one_order(tmp_path: Path) -> None:
    config = LoraConfig(target_modules="h g f e d c b a".split())
    order_sets(config)
    config.save_pretrained(str(tmp_path))
    assert json.loads((tmp_path / "adapter_config.json").read_text())["target_modules"] == sorted("hgfedcba")


def test_a_base_is_found_in_the_older_cache_variable_s_folder(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "models--somebody--small"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc")
    (model / "snapshots").mkdir()
    (model / "snapshots" / "abc").symlink_to(base_folder, target_is_directory=True)
    monkeypatch.delenv("HF_HOME", raising=False)
    monkeypatch.setenv("TRANSFORMERS_CACHE", str(tmp_path))
    base = load_base("somebody/small")
    assert base.name == "somebody/small"
    assert base.model.dtype == torch.float32


def test_where_no_symlink_can_be_made_a_file_names_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("a privilege is missing")

    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with monkeypatch.context() as patched:
            patched.setattr(Path, "symlink_to", refuse)
            move_link(tmp_path / "latest", tmp_path / name)
        assert (tmp_path / "latest").read_text() == name
        assert link_target(tmp_path / "latest") == tmp_path / name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "one", "two"]


def test_the_forecast_grows_with_what_costs_memory(base_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = adapted(load_base(str(base_folder)), AdapterConfig(), None)
    monkeypatch.setattr(memory, "resident_bytes", lambda: 0)
    forecast: Callable[..., int] = memory.expected_bytes
    one = forecast(model, 1, 100, 100)
    assert one > 50_000_000
    fixed = 2 * one - forecast(model, 2, 100, 100)
    assert forecast(model, 4, 100, 100) == pytest.approx(fixed + 4 * (one - fixed), rel=1e-6), "linear in rows"
    assert forecast(model, 1, 200, 100) - fixed > 1.3 * (one - fixed)
