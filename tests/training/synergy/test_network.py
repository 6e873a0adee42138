"""What training computes with PyG, and what everything else computes without it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from support import SCRIPT, as_home, call_process, home
from torch_geometric.nn import SAGEConv

from data_sources import Home
from training.synergy.config import SynergyConfig
from training.synergy.convolution import sage_convolution
from training.synergy.model import SynergyModel
from training.synergy.network import MeanConvolution
from training.synergy.trainer import train_synergy_model

TRAINING_LIBRARIES = ("matplotlib", "torch._dynamo", "torch_geometric", "transformers")


@pytest.mark.parametrize(("sources", "targets", "edges"), [(1, 1, 1), (5, 7, 0), (300, 20, 900), (20, 300, 900)])
def test_the_convolution_that_scores_is_the_one_that_trains(sources: int, targets: int, edges: int) -> None:
    trains, scores = SAGEConv(16, 16), MeanConvolution(16)
    assert list(trains.state_dict()) == list(scores.state_dict())
    scores.load_state_dict(trains.state_dict())
    nodes = torch.randn(sources, 16), torch.randn(targets, 16)
    index = torch.stack([torch.randint(sources, (edges,)), torch.randint(targets, (edges,))])
    assert torch.equal(trains(nodes, index), scores(nodes, index))


def test_nodes_may_be_their_own_sources() -> None:
    trains, scores, nodes = SAGEConv(16, 16), MeanConvolution(16), torch.randn(9, 16)
    scores.load_state_dict(trains.state_dict())
    assert torch.equal(trains(nodes, index := torch.randint(9, (2, 30))), scores(nodes, index))


def test_a_saved_model_scores_as_the_trained_one(tmp_path: Path) -> None:
    homes = [as_home(home(f"h{number}")) for number in range(2)]
    trained = train_synergy_model(homes, SynergyConfig(epochs=3, hidden_dim=8)).model
    assert any(isinstance(part, SAGEConv) for part in trained.network.modules())
    with torch.no_grad():
        trained.network.correction.weight.fill_(0.1)  # so that the entity vectors count
    path = tmp_path / "m.pth"
    path.write_bytes(trained.to_bytes())
    loaded = SynergyModel.load(path)
    assert not any(isinstance(part, SAGEConv) for part in loaded.network.modules())
    scored = [_scores(model, homes[0]) for model in (trained, loaded)]
    assert scored[0] == scored[1]


def _scores(model: SynergyModel, of: Home) -> list[float]:
    ids = [entity.entity_id for entity in of.entities]
    pairs = [(trigger, action) for trigger in ids for action in ids if trigger != action]
    return list(model.score(of.entities, of.synergies[:3], pairs).tolist())


def test_pyg_s_module_does_not_stay_among_the_temporary_files() -> None:
    sage_convolution(4)
    written = sys.modules[SAGEConv.propagate.__module__].__file__
    assert written is not None
    assert not Path(written).exists()


@pytest.mark.slow
def test_a_training_leaves_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([home("h1")]))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    command = [str(SCRIPT), "--json-input", "x.json", "--epochs", "1"]
    for environment in ({}, {"PYTHONDONTWRITEBYTECODE": ""}):
        done = call_process(*command, "--force", cwd=tmp_path, env={"TMPDIR": str(temporary), **environment})
        assert done.returncode == 0, done.stderr
        assert [path for path in temporary.rglob("*") if path.is_file()] == []


@pytest.mark.slow
def test_suggesting_evaluating_and_comparing_load_nothing_that_only_training_needs(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps([home("h1"), home("h2")]))
    homes = [as_home(home(f"h{number}")) for number in range(2)]
    for name in ("old.pth", "new.pth"):
        trained = train_synergy_model(homes, SynergyConfig(epochs=1, hidden_dim=8, seed=len(name)))
        trained.model.provenance = {"trained_on": trained.trained_on, "split": trained.split}
        (tmp_path / name).write_bytes(trained.model.to_bytes())
    data = "--json-input x.json"
    commands = (
        f"suggest {data} --top 3",
        f"suggest {data} --top 3 --model-path new.pth",
        f"evaluate {data} --model-path new.pth",
        f"compare gnn_synergy {data} --candidate new.pth --champion old.pth --output c.json",
    )
    code = f"""
import sys
from click.testing import CliRunner
from home_synergy.cli import main
for command in {commands!r}:
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 0, (command, done.output, done.exception)
print([name for name in {TRAINING_LIBRARIES!r} if name in sys.modules], "torch" in sys.modules)
"""
    done = call_process("-c", code, cwd=tmp_path, env={"PYTHONPATH": ":".join(sys.path)})
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[] True\n"
