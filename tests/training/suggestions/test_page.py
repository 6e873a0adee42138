"""The page of suggestions: cards, what was observed, what is to be adjusted, and answers that a command can read."""

from __future__ import annotations

import json
import re
import shlex
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from support import as_home, call, home, row

from data_sources.records import Activity, ObservedPair
from training.suggestions.command import feedback, suggest
from training.suggestions.page import evidence_of, offered_in, page_of, yaml_lines
from training.suggestions.ranking import HomeProposals, Proposal

AUTOMATION: dict[str, Any] = {
    "id": "suggested_1",
    "alias": "Hall temperature goes above 25: turn on Hall fan",
    "description": "d",
    "triggers": [{"trigger": "numeric_state", "entity_id": "sensor.hall", "above": 25}],
    "conditions": [],
    "actions": [{"action": "fan.turn_on", "target": {"entity_id": "fan.hall"}, "data": {"preset_mode": "auto"}}],
    "mode": "single",
}


def proposal(*adjust: str, **more: Any) -> Proposal:
    automation = AUTOMATION | more
    return Proposal("sensor.hall", ("fan.hall",), 0.8, ("a reason",), (), adjust, "title", automation)


def proposals(*found: Proposal, home_id: str = "home") -> HomeProposals:
    return HomeProposals(home_id, 2, 0, "by score", found, {"told together": 3}, ("a note",))


def page(*homes: HomeProposals) -> str:
    source = as_home({"home_id": "home", "entities": [{"entity_id": "sensor.hall"}, {"entity_id": "fan.hall"}]})
    return page_of(homes, [evidence_of(source, one) for one in homes], Path("my answers.jsonl")).decode()


@pytest.mark.parametrize(
    ("note", "marked"),
    [
        ("25 is a guess: set the value you mean, in the unit of sensor.hall", ["above: 25"]),
        ("it fires at every change of sensor.hall: add `to:` with the state you mean", ["entity_id: sensor.hall"]),
        ("not every climate has this preset: put in one that yours has", ["preset_mode: auto"]),
        ("nothing says whether fan.hall can do fan.turn_on", ["- action: fan.turn_on", "entity_id: fan.hall"]),
        ("a note of no line at all", ["- action: fan.turn_on"]),
    ],
)
def test_the_lines_that_a_note_speaks_of_are_marked(note: str, marked: list[str]) -> None:
    assert [line.text.strip() for line in yaml_lines(proposal(note)) if line.marked] == marked
    assert not any(line.marked for line in yaml_lines(proposal()))


def test_a_card_has_its_sentence_reasons_and_whole_yaml() -> None:
    content = page(proposals(proposal(alias="a" * 10_000)))
    assert "a reason" in content
    assert "a note" in content
    shown = re.search(r'<code id="yaml-1">(.*?)</code>', content, re.DOTALL)
    assert shown is not None
    text = unescape(re.sub("<.*?>", "", shown[1]))
    assert text == "\n".join(line.text for line in yaml_lines(proposal(alias="a" * 10_000))) + "\n"


def test_an_answer_is_a_line_for_the_shell() -> None:
    content = unescape(page(proposals(proposal(), home_id="it's; rm -rf"), proposals(home_id="b")))
    line = re.search(r'id="line-dismiss-1">(.*?)</code>', content, re.DOTALL)
    assert line is not None
    assert shlex.split(line[1]) == [
        *("home-synergy", "feedback", "dismiss", "suggested_1"),
        *("--file", str(Path("my answers.jsonl").absolute()), "--home", "it's; rm -rf"),
    ]


def test_what_was_observed_is_drawn() -> None:
    seen = ObservedPair("sensor.hall", "fan.hall", "on", "off", 23, 40, 5.0, 60.0, 30.0)
    source = as_home({"entities": [{"entity_id": "sensor.hall", "name": "Hall"}, {"entity_id": "fan.hall"}]})
    hours = (*[0] * 8, 5, *[0] * 15)
    object.__setattr__(source, "observed", (seen,))
    object.__setattr__(source, "activity", (Activity("sensor.hall", 5, hours), Activity("fan.hall", 5, hours)))
    (charts,) = evidence_of(source, proposals(proposal())).charts
    assert "23 of 40 times in 30 days, 5.0 times as often as by chance" in charts[0]
    assert "Hall: on" in charts[0]
    assert "8:00, 5 times" in charts[1]


def test_the_suggestions_in_a_page_are_json_that_no_name_can_end() -> None:
    content = page(proposals(proposal(), home_id="</script><script>alert(1)</script>"))
    assert content.count("<script") == 2
    offered = offered_in(content)
    assert offered is not None
    assert list(json.loads(offered)) == ["</script><script>alert(1)</script>"]


def test_suggest_writes_a_page_whose_suggestions_can_be_answered(tmp_path: Path) -> None:
    raw = home("one")
    raw["synergies"] = raw["synergies"][:2]
    (tmp_path / "h.json").write_text(json.dumps(raw))
    made = call(suggest, "--json-input", "h.json", "--html", "out/s.html", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "Saved: out/s.html" in made.stdout
    assert "triggers:" not in made.stdout, "the page is the result"
    content = (tmp_path / "out" / "s.html").read_text(encoding="utf-8")
    line = re.search(r'id="line-accept-1">(.*?)</code>', content, re.DOTALL)
    assert line is not None
    words = shlex.split(unescape(line[1]))
    assert call(feedback, *words[2:], cwd=tmp_path).returncode == 0
    assert json.loads((tmp_path / "out" / "suggestions_feedback.jsonl").read_text())["answer"] == "accepted"


@pytest.mark.parametrize("name", ["s.yaml", "s"])
def test_a_page_has_the_ending_of_one(tmp_path: Path, name: str) -> None:
    assert call(suggest, "--html", name, cwd=tmp_path).returncode == 2


def test_the_page_is_not_written_over_the_data(tmp_path: Path) -> None:
    (tmp_path / "h.html").write_text(json.dumps([row("light.a", "light.b")]))
    refused = call(suggest, "--data-source", "h.html", "--html", "h.html", cwd=tmp_path)
    assert refused.returncode == 1
    assert "is both the data and the html" in refused.stderr
