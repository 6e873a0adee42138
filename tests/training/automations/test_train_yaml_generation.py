"""The YAML generator: trained over a small base; its answers pass the schema and name the home's entities only."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import pytest
from support import ROOT, call, call_process

from data_sources import YamlRow, open_source
from home_assistant import parse_automation
from home_assistant.automation import structure
from home_assistant.automation_schema import check_automation
from home_assistant.automation_yaml import parse_yaml
from training.automations import trainer
from training.automations.command import train as train_yaml
from training.automations.evaluation import automation_scores
from training.automations.job import YamlJob
from training.automations.linear import to_linear
from training.automations.model import YamlGenerator, examples
from training.automations.report import score_lines, verdict
from training.automations.trainer import split_by_home, train_generator
from training.compare import compare, comparer_of
from training.runs.job import SourceChoice
from training.runs.run import Training
from training.text.config import AdapterConfig
from training.text.model import Candidate
from training.text.trainer import Scratch

SCRIPT = ROOT / "scripts" / "train_yaml_generation.py"
ROOMS = ("kitchen", "hall", "office", "bedroom", "bathroom", "garage", "attic", "cellar", "porch", "loft", "den", "gym")


def row(room: str, state: str = "on", **more: Any) -> dict[str, Any]:
    output = f"""
triggers:
  - trigger: state
    entity_id: binary_sensor.{room}_motion
    to: "{state}"
actions:
  - action: light.turn_{state}
    target:
      entity_id: light.{room}_lamp
"""
    entities = [f"light.{room}_lamp", f"binary_sensor.{room}_motion", "light.unused"]
    request = f"turn the {room} lamp {state} when {room} motion is {state}"
    return {"input": request, "output": output, "home_id": room, "entities": entities, **more}


ROWS = [row(room, state) for room in ROOMS for state in ("on", "off")]


def run_script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf")}
    return call_process(str(SCRIPT), *arguments, cwd=folder, timeout=900, env=offline)


class Lines:
    """A network with fixed candidates, the likeliest first."""

    described: ClassVar[dict[str, Any]] = {}

    def __init__(self, *lines: str) -> None:
        self._lines = list(lines)

    def candidates(self, sources: list[str], beams: int) -> list[list[Candidate]]:
        return [[Candidate(line, 0.9) for line in self._lines[:beams]] for _ in sources]


GOOD = (
    "|0 triggers =1 trigger state |2 entity_id binary_sensor.1 |2 to on "
    "|0 actions =1 action light.turn_on |2 target |3 entity_id light.1"
)


@pytest.mark.parametrize(
    "wrong",
    [
        "|0 triggers =1 trigger",  # no line of an automation
        GOOD.replace("|2 to on", "|2 to true"),  # not valid
        GOOD.replace("light.1", "light.9"),  # of another home
        GOOD.replace("light.1", "binary_sensor.1"),  # no light
        GOOD.replace("light.turn_on", "notify.send_message").replace("light.1", "notify.phone"),  # no such notifier
        GOOD.replace("light.turn_on", "text.set_value"),  # no text
        GOOD.replace("to on", "to n4"),  # a number that nobody asked for
        "|0 triggers [ ] |0 actions [ ] |0 colour red",
    ],
)
def test_only_what_passes_the_schema_and_names_the_home_s_entities_is_answered(wrong: str) -> None:
    entities = ["light.hall_lamp", "binary_sensor.hall_motion"]
    request = "hall lamp for hall motion, thanks"  # which is not understood word by word
    assert YamlGenerator(Lines(wrong)).generate(request, entities) is None  # type: ignore[arg-type]
    text = YamlGenerator(Lines(wrong, GOOD)).generate(request, entities)  # type: ignore[arg-type]
    assert text is not None
    automation = parse_automation(text)
    check_automation(automation)
    assert automation["alias"] == request
    assert structure(automation).entities == set(entities)
    objects = [{"entity_id": entity} for entity in entities]
    assert YamlGenerator(Lines(GOOD)).generate(request, objects) == text  # type: ignore[arg-type]
    assert YamlGenerator(Lines(GOOD)).generate(request, []) is None  # type: ignore[arg-type]


def test_an_answer_that_leaves_out_what_the_request_names_is_none() -> None:
    entities = ["light.hall_lamp", "light.attic_lamp", "binary_sensor.hall_motion"]
    request = "hall lamp for hall motion, thanks"
    for wrong in (GOOD.replace("light.1", "light.2"), GOOD.replace("binary_sensor.1", "sun.sun")):
        assert YamlGenerator(Lines(wrong)).generate(request, entities) is None  # type: ignore[arg-type]


def test_of_usable_answers_the_one_that_leaves_the_request_least_is_given() -> None:
    entities = ["light.hall_lamp", "light.attic_lamp", "binary_sensor.hall_motion"]
    both = GOOD.replace("light.1", "[ light.1 light.2 ]")
    dimmed = f"{GOOD} |2 data |3 brightness_pct n1"
    generator = YamlGenerator(Lines(both, GOOD, dimmed))  # type: ignore[arg-type]
    one = parse_automation(generator.generate("hall lamp for hall motion, thanks", entities) or "")
    assert one["actions"][0]["target"] == {"entity_id": "light.hall_lamp"}
    percent = parse_automation(generator.generate("hall lamp 30% for hall motion, thanks", entities) or "")
    assert percent["actions"][0]["data"] == {"brightness_pct": 30}
    unnamed = parse_automation(generator.generate("light for hall motion, thanks", entities) or "")
    assert len(unnamed["actions"][0]["target"]["entity_id"]) == 2, "nothing says which, so the likeliest"


def test_what_generate_returns_passes_refusals() -> None:
    phone = GOOD.replace(
        "light.turn_on |2 target |3 entity_id light.1", 'notify.mobile_app_x |2 data |3 message " hi "'
    )
    entities = ["light.hall_lamp", "binary_sensor.hall_motion"]
    assert YamlGenerator(Lines(phone)).generate("tell me of hall motion") is not None  # type: ignore[arg-type]
    assert YamlGenerator(Lines(phone)).generate("tell me of hall motion", entities) is None  # type: ignore[arg-type]
    text = YamlGenerator(Lines(phone, GOOD)).generate("say hall motion", entities)  # type: ignore[arg-type]
    assert text is not None
    assert YamlGenerator.refusals(text, entities) == []


def test_homes_are_held_out_whole_and_queries_where_homes_are_unknown() -> None:
    rows = [YamlRow.model_validate(raw) for raw in ROWS]
    parts, described = split_by_home(rows)
    assert described["strategy"] == "home"
    part_of = {home: {p for p, r in zip(parts, rows, strict=True) if r.home_id == home} for home in ROOMS}
    assert all(len(seen) == 1 for seen in part_of.values())
    assert {part for seen in part_of.values() for part in seen} == {"train", "validation", "test"}
    unknown = [YamlRow.model_validate({**raw, "home_id": None}) for raw in ROWS]
    assert split_by_home(unknown)[1]["strategy"] == "query"


def test_the_exports_of_one_home_under_several_ids_are_in_one_part() -> None:
    rows = [YamlRow.model_validate({**raw, "input": f"{raw['input']} {n}"}) for raw in ROWS for n in range(2)]
    again = [row.model_copy(update={"home_id": f"{row.home_id} in June"}) for row in rows]
    once, told = split_by_home(rows)
    twice, described = split_by_home([*rows, *again])
    assert told["strategy"] == described["strategy"] == "home"
    assert (twice[: len(rows)], twice[len(rows) :]) == (once, once)
    assert "exported under" in described["reason"]


def test_scores_count_a_missing_answer_as_wrong_and_compare_structure() -> None:
    references = examples([YamlRow.model_validate(raw) for raw in ROWS[:2]])
    right, other = (example.automation for example in references)
    assert automation_scores([right, other], references) == {
        "answered": 1.0, "valid": 1.0, "right": 1.0, "triggers_f1": 1.0, "services_f1": 1.0, "entities_f1": 1.0,
        "entities_exist": 1.0, "chrf": 100.0, "exact_match": 1.0,
    }  # fmt: skip
    scores = automation_scores([other, None], references)
    assert (scores["answered"], scores["triggers_f1"], scores["services_f1"]) == (0.5, 0.5, 0.0)


def test_the_job_trains_evaluates_and_publishes_a_run_that_loads_and_generates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer, "SCRATCH", Scratch(pieces="bpe", epochs=2))
    parts, _ = split_by_home([YamlRow.model_validate(raw) for raw in ROWS])
    long = next(raw for raw, part in zip(ROWS, parts, strict=True) if part == "train")
    long = {**long, "output": f"{long['output']}variables: {{note: {'x' * 200}}}\n"}
    (tmp_path / "rows.json").write_text(json.dumps([*ROWS, long]))
    flags = {
        "base_model": "scratch", "epochs": 1, "batch_size": 8, "target_max_tokens": 48, "max_samples": 100,
        "output_dir": tmp_path / "out", "run_id": "one",
    }  # fmt: skip
    run = Training(YamlJob, SourceChoice(str(tmp_path / "rows.json")), flags)
    run.perform()
    assert run.saved
    described = json.loads((tmp_path / "out" / "latest" / "training_run.json").read_text())
    assert described["metrics"]["split"]["strategy"] == "home"
    assert described["metrics"]["split"]["too_long"] == 1
    measured = described["metrics"]["test"]
    assert set(measured["baselines"]) == {"nearest_request", "nearest_grounded"}
    assert measured["baselines"]["nearest_request"]["entities_f1"] == 0.0, "no id of one home is in another"
    assert measured["baselines"]["nearest_grounded"]["exact_match"] == 1.0
    assert "does NOT beat" in verdict(described["metrics"]), "two epochs teach nothing"
    lines = score_lines(described["metrics"])
    assert any("nearest request" in line for line in lines)
    for example in measured["examples"]:
        check_automation(parse_automation(example["wanted"]))
    begin = lines.index("  reference:") + 1
    shown = "\n".join(lines[begin : lines.index("  generated:")])
    assert parse_automation(shown) == parse_automation(measured["examples"][0]["wanted"]), "people read YAML"
    answer = YamlGenerator.load(tmp_path / "out" / "latest").generate(ROWS[0]["input"], ROWS[0]["entities"])
    if answer is not None:
        check_automation(parse_automation(answer))
    # A comparison gives the scores that training measured, on homes that the model was not trained on.
    latest, source = tmp_path / "out" / "latest", open_source(json_input=str(tmp_path / "rows.json"))
    found = compare(comparer_of("yaml_generation"), latest, latest, source)
    assert found.champion is not None
    assert found.candidate.scores == found.champion.scores
    assert found.candidate.scores is not None
    assert {name: found.candidate.scores[name] for name in measured["model"]} == measured["model"]
    assert (found.rows, found.candidate.left_out, found.candidate.notes) == (measured["rows"], 0, [])


BAD = {
    "no data": ([], "holds no yaml_generation rows"),
    "one bad row of three": ([*ROWS[:2], {**ROWS[0], "output": "a: !!python/name:os.system"}], "build an object"),
    "missing field": ([{"input": "x"}], "row 1: output: missing"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_rows_are_one_line_and_exit_1(tmp_path: Path, name: str) -> None:
    rows, message = BAD[name]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    done = call(train_yaml, "--json-input", "rows.json", "--base-model", "scratch", cwd=tmp_path)
    assert done.returncode == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert not list(tmp_path.rglob("latest"))


@pytest.mark.slow
def test_on_the_sample_the_model_beats_the_nearest_request_in_homes_it_never_saw(tmp_path: Path) -> None:
    done = run_script(tmp_path, "--json-input", "--base-model", "scratch", "--batch-size", "16", "--epochs", "1")
    assert done.returncode == 0, done.stderr
    run = json.loads((tmp_path / "models" / "yaml_generation" / "latest" / "training_run.json").read_text())
    measured = run["metrics"]["test"]
    mine, nearest = measured["model"], measured["baselines"]["nearest_request"]
    for name in ("triggers_f1", "services_f1", "entities_f1", "entities_exist", "chrf", "exact_match"):
        assert mine[name] > nearest[name], name
    rows = list(open_source(json_input=str(ROOT / "simulation" / "training_data")).read(YamlRow))
    generator = YamlGenerator.load(tmp_path / "models" / "yaml_generation" / "latest")
    answers = [generator.generate(row.input, row.entities) for row in rows[:20]]
    assert sum(answer is not None for answer in answers) > 10


@pytest.mark.slow
def test_a_scratch_model_learns_a_handful_of_automations_by_heart(tmp_path: Path) -> None:
    monkey = Scratch(pieces="bpe", epochs=40)
    rows = [YamlRow.model_validate(raw) for raw in ROWS[:4]]
    before, trainer.SCRATCH = trainer.SCRATCH, monkey
    try:
        result = train_generator(rows, AdapterConfig(base_model="scratch", epochs=1, batch_size=8), tmp_path)
    finally:
        trainer.SCRATCH = before
    assert result.metrics["in_sample"]["model"]["exact_match"] == 1.0
    generated = parse_yaml(result.metrics["in_sample"]["examples"][0]["generated"])
    assert to_linear(examples(rows)[0].automation) == to_linear(generated)


def test_automations_that_are_all_too_long_are_said_to_be(tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps(ROWS))
    few = ("--base-model", "scratch", "--target-max-tokens", "3", "--json-input", "rows.json")
    done = call(train_yaml, *few, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "every automation to train on has more than 9 characters; a larger --target-max-tokens" in done.stderr
