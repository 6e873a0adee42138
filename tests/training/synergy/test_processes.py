"""Several processes train one synergy model together: what they draw, add up and publish."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
import torch
from support import SCRIPT, as_home, call, call_process, environment, home

from data_sources import NoRecordsError, Shard, UnusableRowsError, open_source
from training.patterns.command import train as train_patterns
from training.runs.artifacts import training_of
from training.runs.distributed import MISSING_SECONDS, Watched
from training.runs.stored import Room
from training.synergy import feature_weights
from training.synergy.audit import audit_homes
from training.synergy.command import train as train_synergy
from training.synergy.config import SynergyConfig
from training.synergy.feature_weights import FitPairs
from training.synergy.features import FEATURES
from training.synergy.feedback import FeedbackAudit
from training.synergy.graph import HomeGraph, build_graph
from training.synergy.name_encoders import WORDS, encoder_of
from training.synergy.network import DROPOUT
from training.synergy.splits import split_pairs
from training.synergy.trainer import SynergyTrainer, device_of
from training.synergy.views import ComparedPairs

QUICK = SynergyConfig(epochs=2)
LISTS = ("entities", "synergies")
TORCHRUN = ["-m", "torch.distributed.run", "--nproc-per-node", "2"]


@pytest.fixture(scope="module")
def graphs() -> list[HomeGraph]:
    return [build_graph(as_home(home(f"h{i}", rooms=tuple(f"room{j}" for j in range(4 + i))))) for i in range(6)]


def test_a_process_draws_of_its_homes_what_one_alone_draws_of_them(graphs: list[HomeGraph]) -> None:
    split = split_pairs(graphs)
    alone = SynergyTrainer(graphs, split, QUICK)
    first, *_, last = alone.homes.positives
    shared = [graph if h == last else graph.outline() for h, graph in enumerate(graphs)]
    process = SynergyTrainer(shared, split, QUICK, own=frozenset({last}))
    assert process.homes.own(process.homes.positives) == [last]
    assert process.vocabulary == alone.vocabulary
    assert process.acting_domains == alone.acting_domains
    assert {h: rows.tolist() for h, rows in process.homes.positives.items()} == {
        h: rows.tolist() for h, rows in alone.homes.positives.items()
    }
    for _ in range(3):
        alone.views.draw(first)  # another home's numbers are its own
        one, other = (trainer.views.blocks(last, trainer.views.draw(last), 3, 4)[0] for trainer in (alone, process))
        assert one.triggers.tolist() == other.triggers.tolist()
        assert one.actions.tolist() == other.actions.tolist()
        assert one.known.tolist() == other.known.tolist()


def test_losses_and_gradients_of_parts_add_up_to_those_of_the_whole(graphs: list[HomeGraph]) -> None:
    trainer = SynergyTrainer(graphs, split_pairs(graphs), QUICK)
    homes = list(trainer.homes.positives)
    blocks = {h: trainer.views.blocks(h, trainer.views.draw(h), 8, 20) for h in homes}

    def pairs_of(part: list[int]) -> tuple[ComparedPairs, torch.Tensor]:
        own = [block for h in part for block in blocks[h]]
        features = [block.features[block.compared] for block in own]
        return ComparedPairs.of(own), torch.cat(features) if features else torch.zeros(0, len(FEATURES))

    weight = trainer.network.evidence_weight
    whole, features = pairs_of(homes)
    loss = whole.loss(features @ weight)
    loss.backward()  # type: ignore[no-untyped-call]
    assert weight.grad is not None
    expected, weight.grad = weight.grad, None
    added = 0.0
    for part in (homes[:1], homes[1:], []):
        pairs, features = pairs_of(part)
        of_part = pairs.loss(features @ weight, whole.positive_weight)
        of_part.backward()  # type: ignore[no-untyped-call]
        added += float(of_part.detach())
    assert added == pytest.approx(float(loss.detach()), rel=1e-5)
    assert torch.allclose(weight.grad, expected, rtol=1e-4, atol=1e-5)


def test_pairs_of_homes_that_are_joined_are_those_of_all_their_blocks(graphs: list[HomeGraph]) -> None:
    trainer = SynergyTrainer(graphs, split_pairs(graphs), QUICK)
    blocks = [trainer.views.blocks(h, trainer.views.draw(h), 8, 20) for h in trainer.homes.positives]
    whole = ComparedPairs.of(block for of_home in blocks for block in of_home)
    joined = ComparedPairs.joined([ComparedPairs.of(of_home) for of_home in blocks])
    logit = torch.randn(len(whole.row), generator=torch.Generator().manual_seed(0))
    assert len(whole.view.unique()) == len(joined.view.unique()) > 1
    assert len(whole.row.unique()) == len(joined.row.unique())
    assert float(joined.loss(logit)) == float(whole.loss(logit))


def test_the_loss_of_a_fit_and_its_gradients_are_those_of_all_pairs_at_once(
    graphs: list[HomeGraph], monkeypatch: pytest.MonkeyPatch
) -> None:
    start = SynergyTrainer(graphs, split_pairs(graphs), QUICK, encoder=encoder_of(WORDS)).start
    asked = [start.features, torch.zeros(()), torch.full_like(start.meaning, 0.1)]
    found = []
    for chunk, part in ((10**6, 10**6), (20, 500), (7, 1)):
        monkeypatch.setattr(feature_weights, "CHUNK_PAIRS", chunk)
        monkeypatch.setattr(feature_weights, "LOSS_PAIRS", part)
        trainer = SynergyTrainer(graphs, split_pairs(graphs), QUICK, encoder=encoder_of(WORDS))
        pairs = FitPairs(trainer.homes, trainer.views, list(trainer.homes.positives), start.meaning.shape, Room(0))
        value, gradients = pairs.loss(*asked, pairs.positive_weight)
        found.append((len(pairs._parts), [value, *gradients, pairs.set_moments(trainer.network)]))
        if chunk == 10**6:
            weight, bias, meaning = (one.clone().requires_grad_() for one in asked)
            (features,), (whole,) = pairs._chunks.values(), pairs._parts.values()
            logit = features @ weight + bias + (pairs._vectors @ meaning).flatten()[whole.cell.long()]
            at_once = whole.pairs.loss(logit)
            at_once.backward()  # type: ignore[no-untyped-call]
            expected = [at_once.detach(), weight.grad, bias.grad, meaning.grad]
    assert found[0][0] == 1 < found[1][0] < found[2][0]
    for _, (*of_parts, scale) in found:
        assert torch.allclose(scale, found[0][1][-1], rtol=1e-4, atol=1e-6)
        for one, other in zip(of_parts, expected, strict=True):
            assert torch.allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_process_without_homes_adds_nothing_to_the_fit(graphs: list[HomeGraph]) -> None:
    trainer = SynergyTrainer(graphs, split_pairs(graphs), QUICK, encoder=encoder_of(WORDS))
    nobody = SynergyTrainer(graphs, split_pairs(graphs), QUICK, encoder=encoder_of(WORDS), own=frozenset())
    chosen, weights = list(trainer.homes.positives), trainer.start
    bias, whole = torch.zeros(()), torch.ones(())
    for own in (trainer, nobody):
        pairs = FitPairs(own.homes, own.views, chosen, weights.meaning.shape, Room())
        value, gradients = pairs.loss(weights.features, bias, weights.meaning, whole)
        assert [one.shape for one in gradients] == [weights.features.shape, bias.shape, weights.meaning.shape]
        assert [bool(one.any()) for one in (value, *gradients)] == [own is trainer] * 4


def test_dropout_of_a_home_does_not_depend_on_the_homes_of_the_step(graphs: list[HomeGraph]) -> None:
    network = SynergyTrainer(graphs, split_pairs(graphs), QUICK).network

    def masks(*seeds: int) -> torch.Tensor:
        return network.dropout_masks([5] * len(seeds), [torch.Generator().manual_seed(seed) for seed in seeds])

    both, second = masks(1, 2), masks(2)
    assert torch.equal(both[:, 5:], second)
    assert not torch.equal(both[:, :5], second)
    assert float(both.float().mean()) == pytest.approx(1 - DROPOUT, abs=0.1)


def test_the_parts_of_a_source_are_checked_as_one(tmp_path: Path) -> None:
    path = tmp_path / "homes.jsonl"
    path.write_text("\n".join(json.dumps({"home_id": f"h{i}", **home(f"h{i}")}) for i in range(4)) + "\nno json\n")
    sources = [open_source(json_input=str(path), shard=Shard(i, 2)) for i in range(2)]
    for source in sources:
        list(source.read(type(as_home(home("a")))))
    with pytest.raises(UnusableRowsError, match="1 of 5 homes and rows"):
        sources[0].check_together([source.report for source in sources])
    with pytest.raises(NoRecordsError):
        sources[0].check_together([])


def test_answers_count_once_however_many_processes_compare_them() -> None:
    parts = [
        FeedbackAudit(fingerprint="f", accepted=2, dismissed=1, other_homes=5, damaged_lines=1),
        FeedbackAudit(fingerprint="f", dismissed=1, unknown_entities=1, other_homes=6, damaged_lines=1),
    ]
    whole = FeedbackAudit.of_parts(parts)
    assert whole == FeedbackAudit(
        fingerprint="f", accepted=2, dismissed=2, unknown_entities=1, other_homes=3, damaged_lines=1
    )


def test_a_process_is_missing_where_it_says_nothing_new_and_did_not_leave() -> None:
    watched = Watched(3, own=0)
    assert watched.missing({1: b"1", 2: b"1"}, 0.0) == []
    assert watched.missing({1: b"2", 2: b"1"}, MISSING_SECONDS) == []
    assert watched.missing({1: b"3", 2: b"1"}, MISSING_SECONDS + 1) == [2]
    assert watched.missing({1: Watched.LEFT, 2: b"2"}, MISSING_SECONDS + 2) == []
    assert watched.missing({1: Watched.LEFT, 2: b"3"}, 3 * MISSING_SECONDS) == []


@pytest.fixture
def homes(tmp_path: Path) -> Path:
    path = tmp_path / "homes.json"
    rooms = [tuple(f"room{j}" for j in range(3 + i % 4)) for i in range(8)]
    path.write_text(json.dumps([home(f"h{i}", rooms=own) for i, own in enumerate(rooms)]))
    return path


def own_lines(errors: str) -> list[str]:
    """The errors of the script, without those of torchrun."""
    return [line for line in errors.splitlines() if line.startswith("Error: ")]


@pytest.mark.slow
def test_two_processes_train_the_model_that_one_does(homes: Path) -> None:
    found: dict[str, Any] = {}
    for name, launch in (("one", []), ("two", TORCHRUN)):
        arguments = ["--json-input", homes.name, "--model-path", f"{name}/m.pth", "--summary-path", f"{name}.json"]
        done = call_process(*launch, str(SCRIPT), *arguments, "--epochs", "3", cwd=homes.parent)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("Epoch 1:") == done.stdout.count("Saved:") == 1, "one process speaks for both"
        summary = json.loads((homes.parent / f"{name}.json").read_text())
        model = torch.load(homes.parent / name / "m.pth", weights_only=True)
        found[name] = summary, json.loads((homes.parent / name / "m_metadata.json").read_text()), model
    (one, one_metadata, one_model), (two, two_metadata, two_model) = found["one"], found["two"]
    for equal in ("audit", "data_fingerprint", "load_report"):
        assert one[equal] == two[equal]
    assert one_metadata["split"] == two_metadata["split"]
    for before, after in zip(one_metadata["history"][1:], two_metadata["history"][1:], strict=True):
        assert after["loss"] == pytest.approx(before["loss"], rel=1e-3)
    for name, value in one["metrics"]["test"]["model"].items():
        assert two["metrics"]["test"]["model"][name] == pytest.approx(value, abs=0.01), name
    for name, counted in one_model["log_odds"].items():
        if name != "meaning":  # that is fitted and not counted
            assert torch.allclose(counted, two_model["log_odds"][name], atol=1e-5), name


@pytest.mark.slow
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_processes_read_a_database_together_and_train_what_one_does(
    database: str, homes: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{homes.parent / 'homes.db'}" if database == "sqlite" else request.getfixturevalue("postgres_url")
    raw = json.loads(homes.read_text())
    rows = [{"home_id": f"h{i}", **{key: json.dumps(one[key]) for key in LISTS}} for i, one in enumerate(raw)]
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)
    columns = ["home_id", *LISTS]
    with engine.begin() as connection:
        connection.execute(sa.text(f"CREATE TABLE gnn_synergy ({', '.join(f'{name} TEXT' for name in columns)})"))
        values = ", ".join(f":{name}" for name in columns)
        connection.execute(sa.text(f"INSERT INTO gnn_synergy ({', '.join(columns)}) VALUES ({values})"), rows)
    summaries = []
    for name, launch in (("one", []), ("two", TORCHRUN)):
        arguments = ["--data-source", "env:HOMES", "--model-path", f"{name}/m.pth", "--summary-path", f"{name}.json"]
        done = call_process(*launch, str(SCRIPT), *arguments, "--epochs", "1", cwd=homes.parent, env={"HOMES": url})
        assert done.returncode == 0, done.stderr
        summaries.append(json.loads((homes.parent / f"{name}.json").read_text()))
    one, two = summaries
    assert one["audit"]["homes"] == 8
    for equal in ("audit", "data_fingerprint", "load_report"):
        assert one[equal] == two[equal]
    for name, value in one["metrics"]["test"]["model"].items():
        assert two["metrics"]["test"]["model"][name] == pytest.approx(value, abs=0.01), name


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGSTOP"])
def test_a_lost_process_ends_the_run_within_a_minute_with_one_line(homes: Path, how: str) -> None:
    arguments = ["--json-input", homes.name, "--model-path", "m/m.pth", "--epochs", "9999"]
    with subprocess.Popen(
        [sys.executable, *TORCHRUN, str(SCRIPT), *arguments],
        cwd=homes.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(GNN_EARLY_STOPPING_PATIENCE="9999"),
    ) as launched:
        assert launched.stdout is not None
        for line in launched.stdout:
            if line.startswith("Epoch 1:"):
                break
        children = Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split()
        second = [int(child) for child in children if b"\0RANK=1\0" in Path(f"/proc/{child}/environ").read_bytes()]
        started = time.monotonic()
        os.kill(second[0], getattr(signal, how))
        _, errors = launched.communicate(timeout=90)
        assert time.monotonic() - started < 60
    assert launched.returncode == 1
    assert len(own_lines(errors)) == 1, errors
    assert not (homes.parent / "m" / "m.pth").exists()


@pytest.mark.slow
def test_what_stops_every_process_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"entities": [')
    done = call_process(*TORCHRUN, str(SCRIPT), "--json-input", "broken.json", cwd=tmp_path)
    assert done.returncode == 1
    (line,) = own_lines(done.stderr)
    assert "broken.json" in line


@pytest.mark.slow
def test_a_command_that_does_not_share_its_work_runs_once(tmp_path: Path) -> None:
    script = SCRIPT.with_name("train_pattern_detection.py")
    done = call_process(*TORCHRUN, str(script), "--json-input", "--model-path", "m.skops", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("2 processes were started") == done.stdout.count("Saved:") == 1


@pytest.mark.parametrize("command", [train_synergy, train_patterns])
def test_a_model_that_another_process_trains_is_left_alone(tmp_path: Path, command: click.Command) -> None:
    with training_of(tmp_path / "m.pth"):
        done = call(command, "--json-input", "--model-path", "m.pth", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == (
        "Error: m.pth: another process is training it; wait until it ends, or give another --model-path\n"
    )
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".log"]


def test_a_gpu_that_is_not_there_is_one_line_and_auto_goes_on_without(
    homes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    arguments = ["--json-input", homes.name, "--model-path", "m.pth", "--device", "cuda"]
    done = call(train_synergy, *arguments, cwd=homes.parent)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: --device cuda: this torch ")
    assert done.stderr.endswith(" finds no GPU; leave --device out, or give auto\n")
    assert device_of("auto") == "cpu"


def test_the_audit_of_no_home_counts_nothing() -> None:
    assert audit_homes([]).homes == 0
