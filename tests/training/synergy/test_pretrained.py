"""The pretrained model: what ships, what may be in it, and what training makes of it."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
import torch
from support import as_home, home, row

from training.runs.errors import ModelFileError, TrainingError
from training.runs.job import SourceChoice
from training.runs.run import Training
from training.synergy.config import NO_BASE, EvaluationOptions, SynergyConfig
from training.synergy.graph import build_graph
from training.synergy.job import SHIPPED_BASE, SynergyJob, evaluate
from training.synergy.model import SynergyModel
from training.synergy.pretrained import MIN_HOMES, PretrainedSynergy
from training.synergy.trainer import pretrain, train_synergy_model


def test_the_shipped_base_is_small_names_its_sources_and_suggests_for_a_home_without_automations() -> None:
    base = PretrainedSynergy.load(SHIPPED_BASE)
    assert SHIPPED_BASE.stat().st_size + SHIPPED_BASE.with_suffix(".json").stat().st_size < 2_000_000
    assert len(base.home_ids) == 53
    assert "MIT" in base.card["licences"]
    entities = home("new", areas=False)["entities"]
    best = SynergyModel.load(SHIPPED_BASE).suggest(entities, [], 6)
    rooms = [(s.trigger.partition(".")[2].partition("_")[0], s.action.partition(".")[2]) for s in best]
    assert sum(trigger == action for trigger, action in rooms) >= 5, "things of one room act together"
    assert {s.trigger.partition(".")[0] for s in best} <= {"binary_sensor", "sensor", "light", "media_player", "lock"}


def test_a_base_knows_no_text_that_few_homes_use_and_gives_the_same_bytes_again(tmp_path: Path) -> None:
    homes = [as_home(home(f"h{i}", rooms=("kitchen", "hall", "office", "attic")[: 2 + i % 3])) for i in range(6)]
    config = SynergyConfig(epochs=1, hidden_dim=8)
    bases = [pretrain(homes, [1.0] * 6, config, {"name": "b", "homes": []}) for _ in range(2)]
    users = Counter(word for h in homes for word in set(build_graph(h).words))
    assert bases[0].vocabulary.words
    assert all(users[word] >= MIN_HOMES for word in bases[0].vocabulary.words)
    assert "attic" not in bases[0].vocabulary.words, "two homes have one"
    for i, base in enumerate(bases):
        base.save(tmp_path / f"{i}" / "b.safetensors")
    for name in ("b.safetensors", "b.json"):
        assert (tmp_path / "0" / name).read_bytes() == (tmp_path / "1" / name).read_bytes()


def test_files_of_another_format_version_are_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "b.safetensors"
    path.write_bytes(SHIPPED_BASE.read_bytes())
    card = json.loads(SHIPPED_BASE.with_suffix(".json").read_text("ascii"))
    path.with_suffix(".json").write_text(json.dumps({**card, "format_version": 1}), encoding="ascii")
    with pytest.raises(ModelFileError, match=r"is no base model of format version \d+; take the one that ships"):
        PretrainedSynergy.load(path)
    older = tmp_path / "m.pth"
    torch.save({"format": "gnn_synergy", "format_version": 1}, older)
    with pytest.raises(ModelFileError, match=r"has format version 1, this program reads \d+; train it again with"):
        SynergyModel.load(older)


@pytest.mark.slow
def test_training_on_little_starts_from_the_base() -> None:
    raw = home("a", rooms=("kitchen", "hall"), areas=False)
    raw["synergies"] = raw["synergies"][:2]
    base = PretrainedSynergy.load(SHIPPED_BASE)
    own, based = (
        train_synergy_model([as_home(raw)], SynergyConfig(epochs=1), pretrained=b).model for b in (None, base)
    )
    assert set(base.vocabulary.words) <= set(based.vocabulary.words)
    assert based.trained_on == base.home_ids | {"a"}
    new = home("new", rooms=("attic", "cellar"), areas=False)["entities"]
    pairs = [("person.someone", "climate.attic"), ("person.someone", "input_text.note")]
    entities = [*new, *({"entity_id": e} for e in ("person.someone", "climate.attic", "input_text.note"))]
    scores = own.score(entities, [], pairs), based.score(entities, [], pairs)
    without, with_base = (float(likely / (1 - likely) / (unlikely / (1 - unlikely))) for likely, unlikely in scores)
    assert with_base > 3, "the base has seen what people coming home switch"
    assert without < 1.5, "two pairs of a motion sensor tell nothing of people"


def test_fewer_homes_stay_nearer_to_the_weights_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    base = PretrainedSynergy.load(SHIPPED_BASE)

    def moved(homes: int) -> float:
        trained = train_synergy_model([as_home(home(f"h{i}")) for i in range(homes)], SynergyConfig(), pretrained=base)
        return float((trained.model.network.evidence_weight.detach() - base.network["evidence_weight"]).norm())

    one = moved(1)
    assert one < moved(4)
    monkeypatch.setattr("training.synergy.feature_weights.PRIOR_HOMES", 1)
    assert 0 < 2 * one < moved(1)


def test_counts_move_to_a_larger_vocabulary_and_keep_their_sums() -> None:
    base = PretrainedSynergy.load(SHIPPED_BASE)
    larger = base.vocabulary.plus(train_synergy_model([as_home(home("a"))], SynergyConfig(epochs=1)).model.vocabulary)
    moved = base.statistics.within(larger)
    for name, counts in base.statistics.counts.items():
        assert float(moved.counts[name].sum()) == pytest.approx(float(counts.sum()), rel=1e-4)
    where = larger.domains.index("light") + 1, base.vocabulary.domains.index("light") + 1
    assert (
        moved.counts["domain_pair"][0, where[0], where[0]]
        == base.statistics.counts["domain_pair"][0, where[1], where[1]]
    )


def test_every_summary_says_which_base_was_used(tmp_path: Path) -> None:
    data = tmp_path / "x.json"
    data.write_text(json.dumps([row("binary_sensor.hall_motion", "light.hall"), row("sun.sun", "light.porch")]))
    for given, name in ((None, "synergy"), (NO_BASE, None)):
        flags = {"model_path": tmp_path / "m.pth", "epochs": 1, "force": True, "base_model": given}
        run = Training(SynergyJob, SourceChoice(str(data)), flags)
        run.perform()
        described = run.summary().config["base_model"]
        assert (described and described["name"]) == name
        assert json.loads((tmp_path / "m_metadata.json").read_text())["config"]["base_model"] == described


@pytest.mark.parametrize("break_it", ["missing", "no card", "other bytes", "garbage", "older", "units"])
def test_a_base_that_cannot_be_used_is_one_line(tmp_path: Path, break_it: str) -> None:
    path = tmp_path / "b.safetensors"
    content, card = SHIPPED_BASE.read_bytes(), json.loads(SHIPPED_BASE.with_suffix(".json").read_text())
    if break_it == "older":
        card["evidence"] = card["evidence"][:-1]
    if break_it == "units":
        card["trained_on"] = "None"  # as an earlier program read a null
    if break_it != "missing":
        path.write_bytes(content[:-1] if break_it == "other bytes" else content)
        path.with_suffix(".json").write_text("{" if break_it == "garbage" else json.dumps(card))
    if break_it == "no card":
        path.with_suffix(".json").unlink()
    with pytest.raises(ModelFileError, match=r"b\.(safetensors|json): ") as failure:
        SynergyModel.load(path)
    assert "\n" not in str(failure.value)


def test_evaluating_judges_both_settings_and_says_what_flatters(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    homes = [home(f"h{i}", areas=False) for i in range(3)]
    homes[0]["home_id"] = min(PretrainedSynergy.load(SHIPPED_BASE).home_ids)
    data, report = tmp_path / "homes.json", tmp_path / "r.json"
    data.write_text(json.dumps(homes))
    evaluate(SourceChoice(str(data)), EvaluationOptions(model_path=SHIPPED_BASE, output=report))
    content = json.loads(report.read_text())
    assert content["new_home"]["pairs_a_run"] == 27
    assert 0 < content["known_home"]["pairs_a_run"] < 14
    assert content["new_home"]["model"]["mrr"] > 0.3
    assert len(content["trained_on"]) == 1
    assert "trained on 1 of these homes" in caplog.text
    assert "95 % of this model" in caplog.text
    data.write_text(json.dumps({"entities": homes[0]["entities"], "synergies": []}))
    with pytest.raises(TrainingError, match="no home has a pair"):
        evaluate(SourceChoice(str(data)), EvaluationOptions(model_path=SHIPPED_BASE))
