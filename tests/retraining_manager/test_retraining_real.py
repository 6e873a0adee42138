"""The manager over the real scripts, on the project's sample and on rows that show nothing."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, call_process, row

Retrain = Callable[..., dict[str, Any]]
GNN = "gnn_synergy"


@pytest.fixture
def retrain(tmp_path: Path) -> Retrain:
    """Run scripts/retrain.py in an empty working directory; its JSON."""

    def run(*arguments: str, code: int = 0) -> dict[str, Any]:
        env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf"), "SOFT_PROMPT_BASE_MODEL": "scratch"}
        script = str(ROOT / "scripts" / "retrain.py")
        done = call_process(script, *arguments, "--json", cwd=tmp_path, timeout=900, env=env)
        assert done.returncode == code, done.stderr
        content: dict[str, Any] = json.loads(done.stdout)
        return content

    return run


def scores(folder: Path) -> dict[str, float]:
    """What production's path scores on the sample."""
    script = str(ROOT / "scripts" / "compare_models.py")
    flags = ("--candidate", "models/gnn_synergy.pth", "--json-input", "--output", "scores.json")
    call_process(script, GNN, *flags, cwd=folder, timeout=240).check_returncode()
    found: dict[str, float] = json.loads((folder / "scores.json").read_text())["candidate"]["scores"]
    return found


@pytest.mark.slow
def test_from_nothing_to_live_a_worse_one_refused_and_a_rollback_to_the_same_scores(
    retrain: Retrain, tmp_path: Path
) -> None:
    from training.runs.artifacts import verify
    from training.synergy.model import SynergyModel

    sample = ROOT / "simulation" / "training_data" / f"{GNN}_data.json"
    homes = json.loads(sample.read_text())
    homes[0]["synergies"].pop()  # a model of the sample itself would give way to that of other data
    (tmp_path / "homes.json").write_text(json.dumps(homes))
    first = retrain("run", GNN, "--json-input", "homes.json")["models"][GNN]
    assert first["promoted"], first["message"]
    model = tmp_path / "models" / "gnn_synergy.pth"
    verify(model)
    assert SynergyModel.load(model).provenance["trained_on"]
    before = {p.name: p.read_bytes() for p in model.parent.iterdir() if p.is_file()}
    assert set(before) == {
        *("gnn_synergy.pth", "gnn_synergy_metadata.json", "gnn_synergy_card.md"),
        *("gnn_synergy_report.html", "gnn_synergy_training.png"),
    }
    measured = scores(tmp_path)

    for home in homes:
        actions = [synergy["entity_2"] for synergy in home["synergies"]]
        random.Random(0).shuffle(actions)
        pairs = zip(home["synergies"], actions, strict=True)
        home["synergies"] = [{**s, "entity_2": a} for s, a in pairs if s["entity_1"] != a]
    (tmp_path / "shuffled.json").write_text(json.dumps(homes))
    for evaluate_on in ([], ["--evaluate-on", str(ROOT / "simulation" / "training_data")]):
        refused = retrain("run", GNN, "--json-input", "shuffled.json", *evaluate_on)["models"][GNN]
        assert (refused["status"], refused["promoted"]) == ("success", False)
        assert {p.name: p.read_bytes() for p in model.parent.iterdir() if p.is_file()} == before

    (tmp_path / "c.yaml").write_text(f"{GNN}: {{flags: [--seed, '1'], gate: {{tolerance: 0.5}}}}")
    assert retrain("run", GNN, "--json-input", "homes.json", "--config", "c.yaml")["models"][GNN]["promoted"]
    assert scores(tmp_path) != measured
    retrain("rollback", GNN)
    assert scores(tmp_path) == measured
    assert retrain("verify")[GNN] == []


@pytest.mark.slow
def test_four_pairs_in_many_rows_are_trained_and_the_summary_says_what_they_cannot_show(
    retrain: Retrain, tmp_path: Path
) -> None:
    rows = [row(f"light.{room}", "sensor.motion") for room in ("kitchen", "office", "hall", "bedroom")] * 30
    (tmp_path / "four.json").write_text(json.dumps(rows))
    state = retrain("run", GNN, "--json-input", "four.json")["models"][GNN]
    assert state["promoted"]
    path = tmp_path / "simulation_results" / "pipeline_summaries" / f"training_summary_{GNN}.json"
    summary = json.loads(path.read_text())
    assert summary["verdict"]["held_out"] is False
    assert any("4 distinct pairs allow no held-out score" in note for note in summary["notes"])
    assert summary["sufficiency"]["distinct"] == {"pairs": 4}


@pytest.mark.slow
def test_a_soft_prompt_goes_behind_latest_and_loads_from_there(retrain: Retrain, tmp_path: Path) -> None:
    from training.text.model import Suggester

    rows = [
        {"query": f"{ask} the {thing} in the {room}", "suggestion": f"Turn {state} the {thing} in the {room}."}
        for room in ("kitchen", "hall", "office", "bedroom", "bathroom", "garage", "attic", "cellar")
        for ask, state in (("switch on", "on"), ("please turn off", "off"))
        for thing in ("light", "fan", "heater", "radio")
    ]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    (tmp_path / "c.yaml").write_text(
        "soft_prompt: {flags: [--epochs, '1', --batch-size, '8', --target-max-tokens, '24']}"
    )
    arguments = ("run", "soft_prompt", "--json-input", "rows.json", "--config", "c.yaml", "--accept-weak")
    first = retrain(*arguments)["models"]["soft_prompt"]
    assert first["promoted"], first["message"]
    latest = tmp_path / "data" / "ask_ai_soft_prompt" / "latest"
    described = json.loads((latest / "training_run.json").read_text())
    assert described["samples_used"] == len(rows)
    skipped = retrain(*arguments)["models"]["soft_prompt"]
    assert (skipped["outcome"], skipped["version"]) == ("skipped", first["version"])
    again = retrain(*arguments, "--force")["models"]["soft_prompt"]
    assert (again["outcome"], again["version"]) == ("unchanged", first["version"]), "the same rows and seed"
    assert Suggester.load(latest).suggest("switch on the light in the hall")
    assert len(retrain("list", "soft_prompt")["soft_prompt"]) == 1
