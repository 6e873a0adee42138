"""Filters, a topic and what was answered before: what a person wants of suggestions."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import yaml
from support import as_home, home

from data_sources import Home
from training.runs.errors import ArtifactError, TrainingError
from training.runs.job import SourceChoice
from training.suggestions.config import FILE_NAME, SuggestOptions
from training.suggestions.job import suggest
from training.suggestions.ranking import HomeProposals, suggest_automations
from training.suggestions.wishes import Filters, Wishes
from training.synergy.feedback import Feedback, Suggested, answer_to, append, showing_of
from training.synergy.job import SHIPPED_BASE
from training.synergy.model import SynergyModel

NOBODY = Feedback(Path("nothing.jsonl"))


@pytest.fixture(scope="module")
def model() -> SynergyModel:
    return SynergyModel.load(SHIPPED_BASE)


def raw_home(**changes: Any) -> dict[str, Any]:
    raw = home("h")
    raw["areas"] = [{"area_id": "kitchen", "name": "Grande Cuisine"}, {"area_id": "hall"}]
    raw["entities"] += [
        {"entity_id": "person.ann"},
        {"entity_id": "tts.home"},
        {"entity_id": "binary_sensor.hall_door", "device_class": "door", "area_id": "hall"},
        {"entity_id": "climate.office", "area_id": "office"},
        {"entity_id": "sensor.office_temperature", "device_class": "temperature", "area_id": "office"},
    ]
    return {**raw, **changes}


def found(model: SynergyModel, of: Home, wishes: Wishes, top: int = 400, **options: Any) -> HomeProposals:
    return suggest_automations(model, of, top, min_score=0.0, wishes=wishes, **options)


def wished(of: Home, **options: Any) -> Wishes:
    filters = Filters(SuggestOptions(**options))
    wishes = filters.wishes(of, NOBODY)
    filters.check()
    return wishes


def pairs(of: HomeProposals) -> list[tuple[str, str]]:
    return [pair for proposal in of.proposals for pair in proposal.pairs]


# -- Answers -----------------------------------------------------------------------------------------------------------


def spots(*numbers: int) -> list[dict[str, Any]]:
    return [{"entity_id": f"light.hall_spot_{n}", "area_id": "hall"} for n in numbers]


@pytest.mark.parametrize("diverse", [True, False])
def test_what_was_dismissed_is_not_shown_in_any_order_nor_another_of_its_family(
    model: SynergyModel, diverse: bool
) -> None:
    raw = raw_home()
    raw["entities"] += [*spots(1, 2, 3), {"entity_id": "binary_sensor.hall_motion_2", "area_id": "hall"}]
    of = as_home(raw)
    trigger = "binary_sensor.hall_motion"
    before = pairs(found(model, of, Wishes(), diverse=diverse))
    assert (trigger, "light.hall_spot_1") in before
    for dismissed in (("light.hall_spot_2",), ("light.hall_spot_3", "light.hall_spot_1", "light.gone")):
        wishes = Wishes(dismissed=(Suggested(trigger=trigger, actions=dismissed),))
        after = found(model, of, wishes, diverse=diverse)
        shown = {(t, a) for t, a in pairs(after) if a.startswith("light.hall_spot")}
        assert not {t for t, _ in shown} & {trigger, "binary_sensor.hall_motion_2"}
        assert not any(
            a.startswith("light.hall_spot") for p in after.proposals if p.trigger == trigger for a in p.alternatives
        )
        assert not {(a, trigger) for a in dismissed} & set(pairs(after))
        assert after.left_out["dismissed before, or part of one that was"]
        assert shown, "others may switch these lights"


def test_one_of_several_triggers_that_is_dismissed_alone_spares_the_others(model: SynergyModel) -> None:
    doors = tuple(f"binary_sensor.door_{n}" for n in range(1, 5))
    rows = [{"entity_id": door, "device_class": "door", "area_id": "hall"} for door in doors]
    panel = {"entity_id": "alarm_control_panel.house", "area_id": "hall"}
    of = as_home({**raw_home(), "entities": [*rows, panel], "synergies": []})
    (all_doors,) = found(model, of, Wishes()).proposals
    assert set(all_doors.triggers) == set(doors)
    shown = Suggested(trigger=all_doors.trigger, other_triggers=all_doors.other_triggers, actions=all_doors.actions)
    no = answer_to("h", Suggested(trigger=doors[2], actions=all_doors.actions), "dismissed")
    feedback = Feedback(Path("f"), [showing_of(of.home_id, [shown], ()), no.model_copy(update={"home_id": of.home_id})])
    wishes = Filters(SuggestOptions()).wishes(of, feedback)
    (left,) = found(model, of, wishes).proposals
    assert set(left.triggers) == {*doors} - {doors[2]}
    assert left.score == all_doors.score
    alone = Filters(SuggestOptions()).wishes(of, Feedback(Path("f"), [no.model_copy(update={"home_id": of.home_id})]))
    assert not found(model, of, alone).proposals, "a pair that was shown alone stands for its family in the room"


def test_ten_dismissals_of_one_kind_move_it_down_and_leave_the_others_in_order(model: SynergyModel) -> None:
    rooms = tuple(f"{name}_{floor}" for name in ("den", "loft", "nook") for floor in "abcd")
    of = as_home({**home("h", rooms=rooms), "synergies": []})
    view = found(model, of, Wishes(), 3000, diverse=False).proposals

    def kind(proposal: Any) -> tuple[str, str]:
        motion = "motion" in proposal.trigger and "battery" not in proposal.trigger
        return ("motion" if motion else proposal.trigger.partition(".")[0], proposal.actions[0].partition(".")[0])

    def place(proposals: Any) -> float:
        places = [i for i, p in enumerate(proposals) if kind(p) == ("motion", "media_player")]
        return sum(places) / len(places)

    refused = [p for p in view if kind(p) == ("motion", "media_player")][:10]
    assert len(refused) == 10
    wishes = Wishes(dismissed=tuple(Suggested(trigger=p.trigger, actions=p.actions) for p in refused))
    after = found(model, of, wishes, 3000, diverse=False).proposals
    gone = {p.title for p in refused}
    left = [p for p in view if p.title not in gone]
    assert place(after) > place(left) + 10
    titles = {p.title for p in after}
    others = [p.title for p in left if kind(p) != ("motion", "media_player") and p.title in titles]
    assert len(others) > 20
    assert [p.title for p in after if p.title in others] == others
    one = found(model, of, Wishes(dismissed=wishes.dismissed[:1]), 3000, diverse=False).proposals
    assert place(left) < place(after)
    assert place(one) < place(after), "each dismissal counts"
    assert "what is like a dismissed suggestion comes later" in found(model, of, wishes, 3).order


def test_what_was_accepted_is_left_out_until_it_is_found_and_installing_keeps_it_first(model: SynergyModel) -> None:
    of = as_home(raw_home())
    last = found(model, of, Wishes()).proposals[-1]
    taken = frozenset({(last.trigger, last.actions[0])})
    assert not taken & set(pairs(found(model, of, Wishes(accepted=taken))))
    kept = found(model, of, Wishes(accepted=taken, keeps_accepted=True), 5).proposals
    assert (kept[0].trigger, kept[0].actions[0]) in taken
    answers = [
        answer_to("h", Suggested(trigger="a.b", actions=("c.d",)), "accepted", "suggest"),
        answer_to("h", Suggested(trigger="e.f", actions=("c.d",)), "accepted", "ann"),
    ]
    wishes = Filters(SuggestOptions()).wishes(of, Feedback(Path("x"), answers))
    assert wishes.accepted == {("e.f", "c.d")}


# -- Filters -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "gone"),
    [
        ("light", lambda e: e.startswith("light.")),
        ("light.kitchen", lambda e: e == "light.kitchen"),
        (" Light.Kitchen ", lambda e: e == "light.kitchen"),
        ("kitchen", lambda e: "kitchen" in e),
        ("grande cuisine", lambda e: "kitchen" in e),
        ("tts", lambda e: e.startswith("tts.")),
        ("siren", lambda e: e.startswith("siren.")),  # a domain that this home lacks
    ],
)
def test_what_is_excluded_is_nowhere_in_a_suggestion(model: SynergyModel, name: str, gone: Any) -> None:
    of = as_home(raw_home())
    wishes = wished(of, exclude=(name,))
    after = found(model, of, wishes)
    assert after.proposals
    ids = {e.entity_id for e in of.entities}
    for proposal in after.proposals:
        text = json.dumps(proposal.automation)
        named = {e for e in ids if f'"{e}"' in text} | {proposal.trigger, *proposal.actions, *proposal.alternatives}
        assert not any(map(gone, named))


def test_a_condition_on_what_is_excluded_leaves_a_suggestion_out(model: SynergyModel) -> None:
    raw = raw_home()
    raw["entities"] += [{"entity_id": "sun.sun"}]
    of = as_home(raw)
    assert "sun.sun" in json.dumps([p.automation for p in found(model, of, Wishes()).proposals])
    assert "sun.sun" not in json.dumps([p.automation for p in found(model, of, wished(of, exclude=("sun",))).proposals])


def test_an_area_holds_what_acts_and_what_starts_it_or_the_start_is_in_none(model: SynergyModel) -> None:
    of = as_home(raw_home())
    area = {e.entity_id: e.area_id for e in of.entities}
    for given, wanted in ((("Grande Cuisine",), {"kitchen"}), (("hall", "office"), {"hall", "office"})):
        shown = pairs(found(model, of, wished(of, area=given)))
        assert shown
        assert {area[a] for _, a in shown} == wanted
        assert {area[t] for t, _ in shown} <= wanted | {None}
        assert any(area[t] is None for t, _ in shown)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"exclude": ("ligth",)}, "--exclude 'ligth': no home has such a domain, entity or area; near it: 'light'"),
        ({"exclude": ("light", "light.kitchn")}, "--exclude 'light.kitchn': .* near it: 'light.kitchen'"),
        ({"exclude": ("Grand Cuisine",)}, "near it: 'Grande Cuisine'"),
        ({"area": ("hal",)}, "--area 'hal': no home has such an area; near it: 'hall'"),
        ({"area": ("light.kitchen",)}, "--area 'light.kitchen': no home has such an area"),
        ({"about": "xqzzt"}, "--about 'xqzzt': none of its words is known"),
        ({"about": "the"}, "--about 'the': none of its words is known"),
    ],
)
def test_a_name_that_nobody_knows_is_an_error_that_lists_near_ones(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        wished(as_home(raw_home()), **options)


def test_a_name_that_one_of_two_homes_knows_is_no_error() -> None:
    filters = Filters(SuggestOptions(exclude=("light.attic",)))
    for raw in (raw_home(), home("other", rooms=("attic",))):
        filters.wishes(as_home(raw), NOBODY)
    filters.check()


# -- A topic -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("topic", "trigger", "action"),
    [
        ("presence lighting", "binary_sensor.attic_motion", "light.attic"),
        ("Licht bei Bewegung", "binary_sensor.attic_motion", "light.attic"),
        ("lock the front door", "binary_sensor.hall_door", "lock."),
        ("heating and temperature", "sensor.office_temperature", "climate.office"),
    ],
)
def test_a_topic_comes_first_in_any_of_its_words(model: SynergyModel, topic: str, trigger: str, action: str) -> None:
    raw = raw_home()
    raw["entities"] += [
        {"entity_id": "binary_sensor.attic_motion", "device_class": "motion", "area_id": "attic"},
        {"entity_id": "light.attic", "area_id": "attic"},
    ]
    of = as_home(raw)

    def place(wishes: Wishes) -> int:
        shown = found(model, of, wishes).proposals
        return next(i for i, p in enumerate(shown) if p.trigger == trigger and p.actions[0].startswith(action))

    about = wished(of, about=topic)
    assert place(about) <= min(3, place(Wishes()))
    assert found(model, of, about, 5).proposals == found(model, of, about, 5).proposals
    assert "near the topic of --about" in found(model, of, about, 5).order


def test_words_of_a_topic_that_are_not_known_are_named() -> None:
    assert wished(as_home(raw_home()), about="xqzzt lighting").notes == ("--about: nothing is known of 'xqzzt'",)


# -- The command's body ------------------------------------------------------------------------------------------------


def run(folder: Path, raw: Any, **options: Any) -> list[tuple[str, str]]:
    """Suggest from a file of homes; the (trigger, first action) of what was written."""
    (folder / "homes.json").write_text(json.dumps(raw), encoding="utf-8")
    given = {"output": folder / "s.json", "model_path": SHIPPED_BASE, "top": 5, **options}
    suggest(SourceChoice(str(folder / "homes.json")), SuggestOptions(**given))
    written = json.loads((folder / "s.json").read_text())
    return [(p["trigger"], p["actions"][0]) for home in written.values() for p in home["proposals"]]


def notes(folder: Path) -> str:
    return " ".join(json.loads((folder / "s.json").read_text())["h"]["notes"])


def test_no_file_is_made_unless_a_flag_names_it_and_one_that_is_there_is_used(tmp_path: Path) -> None:
    shown = run(tmp_path, raw_home())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["homes.json", "s.json"]
    append(tmp_path / FILE_NAME, [answer_to("h", Suggested(trigger=shown[0][0], actions=(shown[0][1],)), "dismissed")])
    again = run(tmp_path, raw_home())
    assert shown[0] not in again
    assert "1 suggestion that you dismissed" in notes(tmp_path)
    assert set(Feedback.read(tmp_path / FILE_NAME).shown("h")) >= set(again), "and the run is noted in it"
    named = run(tmp_path, raw_home(), feedback=tmp_path / "other" / "f.jsonl")
    assert named == shown
    assert set(Feedback.read(tmp_path / "other" / "f.jsonl").shown("h")) >= set(shown)


def test_answers_of_the_working_directory_count_where_none_lie_beside_the_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    shown = run(there, raw_home())
    append(Path(FILE_NAME), [answer_to("h", Suggested(trigger=shown[0][0], actions=(shown[0][1],)), "dismissed")])
    assert shown[0] not in run(there, raw_home())
    assert not (there / FILE_NAME).exists()
    append(there / FILE_NAME, [answer_to("h", Suggested(trigger=shown[1][0], actions=(shown[1][1],)), "dismissed")])
    again = run(there, raw_home())
    assert shown[0] in again, "the nearer file counts"
    assert shown[1] not in again


def test_new_entities_are_those_that_no_noted_run_has_met(tmp_path: Path) -> None:
    options = {"feedback": tmp_path / "f.jsonl", "new": True, "min_score": 0.0}
    assert run(tmp_path, raw_home(), **options)
    assert "the first run that is noted for this home" in notes(tmp_path)
    assert run(tmp_path, raw_home(), **options) == []
    assert "0 new entities" in notes(tmp_path)
    raw = raw_home()
    raw["entities"] += [{"entity_id": "light.attic"}]
    shown = run(tmp_path, raw, **options)
    assert shown
    assert all("light.attic" in pair for pair in shown)
    assert "1 new entity" in notes(tmp_path)
    assert run(tmp_path, raw, **options) == []


def test_what_was_shown_and_is_automated_now_is_written_as_accepted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = tmp_path / "f.jsonl"
    trigger, action = run(tmp_path, raw_home(), feedback=path)[0]
    raw = raw_home()
    raw["synergies"].append({"entity_1": trigger, "entity_2": action, "confidence": 1, "automation_id": "mine"})
    for _ in range(2):
        assert (trigger, action) not in run(tmp_path, raw, feedback=path)
    answers = [json.loads(line) for line in path.read_text().splitlines() if '"answer"' in line]
    assert [(a["trigger"], a["actions"][0], a["answer"], a["by"]) for a in answers] == [
        (trigger, action, "accepted", "suggest")
    ]
    assert f"Accepted since, for home 'h' automates it now: {trigger} -> {action}" in caplog.text
    assert (trigger, action) in run(tmp_path, raw_home(), feedback=path, top=50), "it may come back when it is gone"


def test_a_file_of_answers_is_never_the_output_nor_another_file(tmp_path: Path) -> None:
    (tmp_path / "automations.yaml").write_text("- id: '1'\n  alias: mine\n")
    with pytest.raises(ArtifactError, match="holds no answers to suggestions but something else"):
        run(tmp_path, raw_home(), feedback=tmp_path / "automations.yaml")
    with pytest.raises(ArtifactError, match="is both the output and the feedback"):
        run(tmp_path, raw_home(), feedback=tmp_path / "s.json", output=tmp_path / "s.json")
    assert yaml.safe_load((tmp_path / "automations.yaml").read_text()) == [{"id": "1", "alias": "mine"}]


def test_a_run_that_fails_notes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "f.jsonl"
    run(tmp_path, raw_home(), feedback=path)
    before = path.read_bytes()
    with pytest.raises(TrainingError, match="no home has such"):
        run(tmp_path, raw_home(), feedback=path, exclude=("nothing.here",))
    assert path.read_bytes() == before
