"""What is guessed: how it is ranked, how sure it is, and that an unsure guess is not given."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from data_sources import YamlRow
from home_assistant.automation import structure
from home_assistant.automation_schema import check_automation
from training.automations.composing import compose
from training.automations.confidence import RIGHT, Confidence, is_right
from training.automations.home_index import HomeIndex
from training.automations.model import KNOWLEDGE_FILE, Knowledge, YamlGenerator, examples
from training.automations.ranking import Asked, Guess, best_set
from training.automations.trainer import learn
from training.runs.artifacts import RUN_FILE
from training.runs.errors import ModelFileError
from training.text.model import Suggester

ROOMS = "kitchen hall office bedroom bathroom garage attic cellar porch loft den gym".split()


def row(room: str, state: str) -> YamlRow:
    output = f"""
triggers: [{{trigger: state, entity_id: binary_sensor.{room}_motion, to: "on"}}]
actions: [{{action: light.turn_{state}, target: {{entity_id: light.{room}_lamp}}}}]
"""
    entities = [f"light.{room}_lamp", f"binary_sensor.{room}_motion", "light.spare", "switch.pump", "sensor.power"]
    return YamlRow.model_validate(
        {"input": f"[{room}] motion lamp goes {state}", "output": output, "home_id": room, "entities": entities}
    )


ROWS = [row(room, state) for room in ROOMS for state in ("on", "off")]
KNOWLEDGE = learn(examples(ROWS), [], None)
ENTITIES = ["light.shed_lamp", "binary_sensor.shed_motion", "light.other", "switch.fountain"]


def test_the_ranking_guesses_for_a_home_that_it_never_saw() -> None:
    assert KNOWLEDGE.ranker is not None
    asked = Asked.of("[shed] motion lamp goes off", HomeIndex.of(ENTITIES))
    guess = KNOWLEDGE.ranker.guess(asked)
    assert guess.chosen.services == {"light.turn_off"}
    assert guess.chosen.entities == {"light.shed_lamp", "binary_sensor.shed_motion"}
    automation = compose(guess, asked)
    assert automation is not None
    check_automation(automation)
    assert structure(automation) == guess.chosen


def test_a_guess_is_given_only_where_its_like_was_right_in_validation_homes() -> None:
    unsure = YamlGenerator(None, KNOWLEDGE)
    assert unsure.generate("[shed] motion lamp goes off", ENTITIES) is None, "no validation home, no threshold"
    sure = YamlGenerator(None, learn(examples(ROWS[:12]), examples(ROWS[12:]), None))
    assert sure.generate("[shed] motion lamp goes off", ENTITIES) is not None


def test_a_threshold_keeps_nine_of_ten_answers_right() -> None:
    scores = [i / 100 for i in range(100)]
    right = [score > 0.5 for score in scores]
    found = Confidence.fit(scores, right)
    assert found.least is not None
    given = [ok for score, ok in zip(scores, right, strict=True) if found(score) >= found.least]
    assert sum(given) / len(given) >= RIGHT
    assert Confidence.fit(scores, [False] * 100).least is None
    assert Confidence.fit(scores[:5], [True] * 5).least is None, "five are too few to trust"
    assert Confidence.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_the_best_set_weighs_a_further_name_against_a_wrong_one() -> None:
    assert best_set([("a", 0.9), ("b", 0.8), ("c", 0.05)], 3)[0] == ["a", "b"]
    assert best_set([("a", 0.9), ("b", 0.1)], 3)[0] == ["a"]
    assert best_set([], 3) == ([], 0.0)
    assert Guess([], [], []).expected == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ({}, True),
        ({"conditions": [{"condition": "state", "entity_id": "sun.sun", "state": "below_horizon"}]}, True),
        ({"conditions": [{"condition": "state", "entity_id": "light.other", "state": "on"}]}, False),
        ({"triggers": [{"trigger": "state", "entity_id": "binary_sensor.m", "to": "off"}]}, False),
        ({"triggers": [{"trigger": "time", "at": "07:00"}]}, False),
        ({"actions": [{"action": "light.turn_off", "target": {"entity_id": "light.a"}}]}, False),
        ({"actions": [{"action": "light.turn_on", "target": {"entity_id": "light.b"}}]}, False),
    ],
)
def test_an_answer_is_right_if_it_does_what_the_person_s_does_and_nothing_else(
    answer: dict[str, Any], right: bool
) -> None:
    reference = {
        "triggers": [{"trigger": "state", "entity_id": "binary_sensor.m", "to": "on"}],
        "conditions": [{"condition": "state", "entity_id": "light.b", "state": "off"}],
        "actions": [{"action": "light.turn_on", "target": {"entity_id": "light.a"}}],
    }
    assert is_right({**reference, "conditions": [], **answer}, reference) is right


def test_what_was_learnt_comes_back_from_its_file_and_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = KNOWLEDGE.to_bytes()
    assert Knowledge.read(content).to_bytes() == content
    described = {"files": {KNOWLEDGE_FILE: hashlib.sha256(content).hexdigest()}}
    monkeypatch.setattr(Suggester, "load", lambda *_: Suggester(None, None, None, described))  # type: ignore[arg-type]
    (tmp_path / RUN_FILE).write_text("{}")
    (tmp_path / KNOWLEDGE_FILE).write_bytes(content)
    assert YamlGenerator.load(tmp_path).described == described
    for broken in (content.replace(b"shed", b"barn")[:-2] + b" \n", b"", b"[]"):
        (tmp_path / KNOWLEDGE_FILE).write_bytes(broken)
        with pytest.raises(ModelFileError, match=KNOWLEDGE_FILE):
            YamlGenerator.load(tmp_path)
