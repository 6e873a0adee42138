"""``home-synergy feedback``: a person's answers, and the way from a suggestion to a training."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import as_home, call, home

from home_synergy.cli import main
from training.suggestions.answering import _suggested_by
from training.suggestions.ranking import suggest_automations
from training.suggestions.writing import to_dict, to_yaml
from training.synergy.feedback import (
    RECOGNIZED,
    Feedback,
    Suggested,
    answer_to,
    append,
    showing_of,
    suggestion_id,
)
from training.synergy.job import SHIPPED_BASE
from training.synergy.model import SynergyModel

FILE = "suggestions_feedback.jsonl"


def feedback(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call(main, "feedback", *arguments, cwd=folder)


def shown(folder: Path, *home_ids: str) -> Suggested:
    """One suggestion that homes were shown, in the file of answers."""
    one = Suggested(trigger="binary_sensor.hall", actions=("light.hall_1", "light.hall_2"))
    one = one.model_copy(update={"suggestion": one.id})
    append(folder / FILE, [showing_of(home_id, [one], []) for home_id in home_ids])
    return one


def answers(folder: Path) -> dict[tuple[str, str, str], str]:
    found = Feedback.read(folder / FILE).answers
    return {(home_id, *pair): a.answer for home_id, own in found.items() for pair, a in own.items()}


def test_an_answer_is_noted_by_id_listed_and_taken_back(tmp_path: Path) -> None:
    one = shown(tmp_path, "h")
    done = feedback(tmp_path, "dismiss", one.id)
    assert done.returncode == 0, done.stderr
    assert f"Dismissed: binary_sensor.hall -> light.hall_1, light.hall_2 ({one.id})" in done.stdout
    both = {("h", "binary_sensor.hall", action): "dismissed" for action in one.actions}
    assert answers(tmp_path) == both
    size = (tmp_path / FILE).stat().st_size
    assert "Dismissed already" in feedback(tmp_path, "dismiss", one.id).stdout
    assert (tmp_path / FILE).stat().st_size == size
    listed = feedback(tmp_path, "list").stdout
    assert re.search(
        rf"^dismissed  {one.id}\n +binary_sensor\.hall -> .*\n +shown 2.* UTC; dismissed 2.* UTC by .+@", listed
    )
    assert listed.endswith(f"{FILE}: 1 dismissed\n")
    assert feedback(tmp_path, "undo", one.id).returncode == 0
    assert answers(tmp_path) == {}
    assert "1 no answer" in feedback(tmp_path, "list").stdout
    again = feedback(tmp_path, "undo", one.id)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "has no answer" in again.stderr
    assert feedback(tmp_path, "accept", one.id, "--home", "h").returncode == 0
    assert set(answers(tmp_path).values()) == {"accepted"}


@pytest.mark.parametrize(
    ("named", "actions"),
    [
        (("binary_sensor.hall,light.hall_2,light.hall_1",), {"light.hall_1", "light.hall_2"}),
        (("Binary_Sensor.Hall -> light.hall_2",), {"light.hall_2"}),
        (("binary_sensor.hall", "light.hall_1"), {"light.hall_1"}),
        (("binary_sensor.hall light.never_shown",), {"light.never_shown"}),
    ],
)
def test_a_pair_of_entities_names_a_suggestion_too(tmp_path: Path, named: tuple[str, ...], actions: set[str]) -> None:
    shown(tmp_path, "h")
    done = feedback(tmp_path, "dismiss", *named)
    assert done.returncode == 0, done.stderr
    assert set(answers(tmp_path)) == {("h", "binary_sensor.hall", action) for action in actions}


@pytest.mark.parametrize(
    ("homes", "arguments", "message"),
    [
        (("h",), ("dismiss", "suggested_nothing"), "suggested_nothing: no such suggestion in .*give the id"),
        (("h",), ("dismiss", "{id}", "suggested_nothing"), "no such suggestion"),
        (("h",), ("dismiss", "{id}x"), "near it: {id}"),
        (("h", "flat"), ("accept", "{id}"), "is a suggestion for 'flat', 'h'; give --home HOME_ID"),
        (("h", "flat"), ("accept", "binary_sensor.x,light.y"), "is a suggestion for 'flat', 'h'; give --home"),
        ((), ("accept", "binary_sensor.x,light.y"), "names a home; give --home HOME_ID, as the first line"),
        (("h",), ("accept", "light.y,light.y"), "light.y at both ends"),
        (("h",), ("accept", "{id}", "--home", "flat"), "{id}: is a suggestion for 'h' and not for --home 'flat'"),
        (("h",), ("dismiss", ""), "an empty id: no such suggestion"),
        (("h",), ("dismiss", "x" * 5000), "Error: x{{77}}[.]{{3}}: no such suggestion"),
    ],
)
def test_what_cannot_be_answered_is_one_line_and_nothing_is_noted(
    tmp_path: Path, homes: tuple[str, ...], arguments: tuple[str, ...], message: str
) -> None:
    one = shown(tmp_path, *homes)
    done = feedback(tmp_path, *(argument.format(id=one.id) for argument in arguments))
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert re.search(message.format(id=one.id), done.stderr)
    assert answers(tmp_path) == {}


def test_a_slip_of_an_id_is_told_and_else_what_was_shown_last(tmp_path: Path) -> None:
    def dismissed(name: str, *more: str) -> str:
        done = feedback(tmp_path, "dismiss", name, *more)
        assert (done.returncode, done.stderr.count("\n")) == (1, 1)
        return done.stderr

    assert "nor any other; with --install, --output or --feedback" in dismissed("suggested_0123456789ab")
    one = shown(tmp_path, "h")
    assert f"near it: {one.id} ({one.words});" in dismissed(one.id[:-4])
    last = [Suggested(trigger="binary_sensor.hall", actions=(f"switch.s{n}",), title=f"Switch {n}") for n in range(5)]
    append(tmp_path / FILE, [showing_of("h", last, []), showing_of("h", [], [])])
    told = dismissed("suggested_0123456789ab")
    assert f"shown last: {last[0].id} (Switch 0), {last[1].id} (Switch 1), {last[2].id} (Switch 2) and 2 more;" in told
    assert one.id not in told
    assert "nor any other for home 'x'" in dismissed("suggested_0123456789ab", "--home", "x")


@pytest.mark.parametrize("verb", ["accept", "dismiss"])
def test_an_entity_that_the_home_lacks_is_refused_and_one_that_nothing_names_is_told(tmp_path: Path, verb: str) -> None:
    pair = "binary_sensor.hall,light.hal_1"
    one = shown(tmp_path, "h")
    told = feedback(tmp_path, verb, pair)
    assert told.returncode == 0
    assert "Note: no suggestion for home 'h' names light.hal_1; near it: light.hall_1;" in told.stdout
    feedback(tmp_path, "undo", pair)
    append(tmp_path / FILE, [showing_of("h", [one], ["light.attic"])])
    for wrong, near in (
        (pair, "near it: light.hall_1;"),
        ("light.hall_3,light.attic", "there is, for one, light.attic;"),  # another number is another lamp
        ("light.xyz,light.attic", "there is, for one, light.attic;"),
    ):
        refused = feedback(tmp_path, verb, wrong)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
        assert f"home 'h' has no such entity, as far as {FILE} knows; {near}" in refused.stderr
    assert answers(tmp_path) == {}
    assert "Note" not in feedback(tmp_path, verb, "binary_sensor.hall,light.attic").stdout
    other = feedback(tmp_path, verb, "binary_sensor.hall,light.attic", "--home", "hh")
    assert f"Note: nothing beside {FILE} is for home 'hh'; known homes: 'h'" in other.stdout


def test_a_list_fits_a_terminal_and_says_who_answered_what_and_when(tmp_path: Path) -> None:
    long = Suggested(
        trigger=f"sensor.{'long_' * 11}a", actions=(f"light.{'long_' * 11}b", "light.c"), title="word " * 30
    )
    append(tmp_path / FILE, [showing_of(home_id, [long], []) for home_id in ("h", "flat", "h")])
    append(tmp_path / FILE, [answer_to("h", long, "accepted", RECOGNIZED), answer_to("flat", long, "accepted", "ann")])
    listed = feedback(tmp_path, "list").stdout
    assert max(map(len, listed.splitlines())) <= 80
    text = " ".join(listed.split())
    assert re.search(
        r"home h; shown 2 times, last \d{4}-\d\d-\d\d \d\d:\d\d UTC; accepted .* by suggest, which found it", text
    )
    assert re.search(r"home flat; shown \d{4}.* UTC; accepted [-0-9]+ [:0-9]+ UTC by ann ", text)
    assert "home h" not in feedback(tmp_path, "list", "--home", "h").stdout


def test_a_home_can_be_named_where_nothing_was_shown_and_damage_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"answer": "may')
    done = feedback(tmp_path, "dismiss", "switch.a,light.b", "--home", "h", "--file", "mine.jsonl")
    assert done.returncode == 0, done.stderr
    assert "the last one is cut off" in done.stdout
    assert Feedback.read(tmp_path / "mine.jsonl").pairs("h", "dismissed") == {("switch.a", "light.b")}
    assert "1 damaged (line 1)" in feedback(tmp_path, "list", "--file", "mine.jsonl").stdout
    other = feedback(tmp_path, "list", "--file", "mine.jsonl", "--home", "x")
    assert "nothing was shown or answered for home 'x' yet" in other.stdout


def test_an_answer_needs_an_id() -> None:
    assert call(main, "feedback", "dismiss", cwd=Path()).returncode == 2


@pytest.fixture(scope="module")
def model() -> SynergyModel:
    return SynergyModel.load(SHIPPED_BASE)


@pytest.mark.parametrize("ending", ["yaml", "json"])
def test_a_suggestion_is_found_in_the_files_beside_where_nothing_was_noted(
    model: SynergyModel, tmp_path: Path, ending: str
) -> None:
    raw = {**home("h"), "home_id": "my home (2)"}
    raw["entities"] += [{"entity_id": f"light.hall_spot_{n}", "area_id": "hall"} for n in (1, 2)]
    raw["entities"] += [{"entity_id": end} for end in ("sun.sun", "person.ann", "person.bob", "tts.home")]
    found = suggest_automations(model, as_home(raw), 60, min_score=0.0)
    text = to_yaml(found) if ending == "yaml" else json.dumps({found.home_id: to_dict(found)})
    (tmp_path / f"s.{ending}").write_text(text, encoding="utf-8")
    (tmp_path / "other.yaml").write_text("a: !include b")
    (tmp_path / "other.json").write_text("{")
    ids = [proposal.automation["id"] for proposal in found.proposals]
    done = feedback(tmp_path, "dismiss", *ids)
    assert done.returncode == 0, done.stderr
    assert any(p.other_triggers for p in found.proposals), "several triggers are read too"
    assert set(answers(tmp_path)) == {("my home (2)", *pair) for p in found.proposals for pair in p.pairs}
    assert any(len(p.actions) > 1 for p in found.proposals)


def test_several_triggers_are_named_as_the_list_names_them(tmp_path: Path) -> None:
    shown = Suggested(trigger="binary_sensor.a", other_triggers=("binary_sensor.b",), actions=("siren.c", "siren.d"))
    append(tmp_path / FILE, [showing_of("h", [shown], ())])
    assert feedback(tmp_path, "dismiss", shown.words).returncode == 0
    assert set(answers(tmp_path)) == {("h", *pair) for pair in shown.pairs}
    assert feedback(tmp_path, "undo", "binary_sensor.b,siren.c").returncode == 0
    assert set(answers(tmp_path)) == {("h", *pair) for pair in shown.pairs} - {("h", "binary_sensor.b", "siren.c")}
    wrong = feedback(tmp_path, "accept", "binary_sensor.a, siren.c -> siren.c")
    assert wrong.returncode == 1
    assert "has siren.c at both ends" in wrong.stderr


def test_an_answer_to_the_id_is_one_to_all_also_after_a_part_was_answered(tmp_path: Path) -> None:
    doors = ("binary_sensor.a", "binary_sensor.b", "binary_sensor.c")
    shown = Suggested(trigger=doors[0], other_triggers=doors[1:], actions=("siren.d",), title="A door opens")
    append(tmp_path / FILE, [showing_of("h", [shown], ())])
    assert feedback(tmp_path, "dismiss", "binary_sensor.b,siren.d").returncode == 0
    told = feedback(tmp_path, "list").stdout
    assert f"partly     {shown.id}  A door opens" in told
    assert "binary_sensor.a, binary_sensor.b, binary_sensor.c -> siren.d" in told
    assert "dismissed (binary_sensor.b -> siren.d)" in " ".join(told.split())
    assert feedback(tmp_path, "accept", shown.id).returncode == 0
    assert {(*pair, verdict) for (_, *pair), verdict in answers(tmp_path).items()} == {
        (door, "siren.d", "accepted") for door in doors
    }
    told = feedback(tmp_path, "list").stdout
    assert f"accepted   {shown.id}  A door opens" in told
    assert "dismissed" not in told


def test_what_is_no_longer_shown_under_an_id_is_listed_and_taken_back(tmp_path: Path) -> None:
    both = Suggested(trigger="binary_sensor.a", other_triggers=("binary_sensor.b",), actions=("siren.d",))
    append(tmp_path / FILE, [showing_of("h", [both], ())])
    assert feedback(tmp_path, "dismiss", "binary_sensor.b,siren.d").returncode == 0
    append(tmp_path / FILE, [showing_of("h", [both.model_copy(update={"other_triggers": ()})], ())])
    told = " ".join(feedback(tmp_path, "list").stdout.split())
    assert f"partly {both.id}" in told
    assert "dismissed (binary_sensor.b -> siren.d)" in told
    done = feedback(tmp_path, "undo", both.id)
    assert done.returncode == 0
    assert f"Undone: binary_sensor.b -> siren.d ({both.id})" in done.stdout
    assert answers(tmp_path) == {}
    assert feedback(tmp_path, "undo", both.id).returncode == 1


@pytest.mark.parametrize(
    ("triggers", "told"),
    [
        (["binary_sensor.c", "binary_sensor.b", "binary_sensor.a"], {"a", "b", "c"}),
        (["binary_sensor.a", "binary_sensor.b", "binary_sensor.b"], {"a", "b"}),
        (["binary_sensor.a", "siren.d"], {"a"}),
        ("binary_sensor.a", {"a"}),
    ],
)
def test_an_automation_that_a_person_edited_is_answered_for_what_it_has_now(triggers: Any, told: set[str]) -> None:
    automation = {
        "id": suggestion_id("binary_sensor.a", "siren.d"),
        "triggers": [{"trigger": "state", "entity_id": triggers}],
        "actions": [{"target": {"entity_id": "siren.d"}}],
    }
    found = _suggested_by(automation)
    assert found is not None
    assert found.trigger == "binary_sensor.a"
    assert set(found.pairs) == {(f"binary_sensor.{one}", "siren.d") for one in told}


def test_of_two_files_that_name_an_id_the_newer_one_counts(tmp_path: Path) -> None:
    for name, doors, time in (("b.json", ["binary_sensor.b"], 1), ("a.json", [], 2)):
        proposal = {"trigger": "binary_sensor.a", "other_triggers": doors, "actions": ["siren.d"]}
        proposal["automation"] = {"id": suggestion_id("binary_sensor.a", "siren.d")}
        (tmp_path / name).write_text(json.dumps({"h": {"known_pairs": 0, "proposals": [proposal]}}))
        os.utime(tmp_path / name, (time, time))
    assert feedback(tmp_path, "dismiss", suggestion_id("binary_sensor.a", "siren.d")).returncode == 0
    assert set(answers(tmp_path)) == {("h", "binary_sensor.a", "siren.d")}


def test_an_automation_of_another_id_is_no_suggestion() -> None:
    automation = {"id": suggestion_id("sun.sun", "light.a"), "actions": [{"target": {"entity_id": "light.a"}}]}
    found = _suggested_by(automation)
    assert found is not None
    assert (found.trigger, found.actions) == ("sun.sun", ("light.a",))
    assert _suggested_by({**automation, "id": "1"}) is None


@pytest.mark.slow
def test_answers_count_from_the_first_suggestion_to_the_next_training(tmp_path: Path) -> None:
    raw = home("h")

    def run(*arguments: str) -> str:
        done = call(main, *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def suggested() -> list[dict[str, Any]]:
        (tmp_path / "homes.json").write_text(json.dumps(raw))
        run("suggest", "--json-input", "homes.json", "--output", "s.yaml", "--top", "30", "--min-score", "0")
        found: list[dict[str, Any]] = yaml.safe_load((tmp_path / "s.yaml").read_text())
        return found

    first = suggested()
    dismissed = [automation["id"] for automation in first[:2]]
    run("feedback", "dismiss", *dismissed)
    second = suggested()
    assert not {automation["id"] for automation in second} & set(dismissed)
    assert "left out: 2 suggestions that you dismissed" in (tmp_path / "s.yaml").read_text()
    accepted = second[0]
    run("feedback", "accept", accepted["id"])
    answer = json.loads((tmp_path / FILE).read_text().splitlines()[-1])
    raw["synergies"] += [
        {"entity_1": answer["trigger"], "entity_2": action, "confidence": 1, "automation_id": accepted["id"]}
        for action in answer["actions"]
    ]
    assert accepted["id"] not in {automation["id"] for automation in suggested()}
    lines = [json.loads(line) for line in (tmp_path / FILE).read_text().splitlines()]
    assert [(a["suggestion"], a["by"] == "suggest") for a in lines if a.get("answer") == "accepted"] == [
        (accepted["id"], False),
        (accepted["id"], True),
    ]
    flags = ("--json-input", "homes.json", "--feedback", FILE, "--epochs", "1", "--model-path", "m.pth")
    logged = run("train", "gnn-synergy", *flags)
    assert "Answers to suggestions: 1 accepted (1 known already), 2 dismissed, 0 of unknown entities" in logged
    audit = json.loads((tmp_path / "m_metadata.json").read_text())["audit"]["feedback"]
    assert audit["fingerprint"] == Feedback.read(tmp_path / FILE).fingerprint()
