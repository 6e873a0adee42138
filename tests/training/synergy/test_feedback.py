"""Answers to suggestions: the file that is appended to, and what a training learns from it."""

from __future__ import annotations

import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import ROOMS, as_home, home, row

from data_sources import Home
from training.runs.errors import ArtifactError, TrainingError
from training.runs.job import SourceChoice
from training.runs.run import Training
from training.synergy.config import SynergyConfig
from training.synergy.encoded_home import EncodedHome
from training.synergy.evaluation import ranking_task
from training.synergy.feedback import (
    Answer,
    Feedback,
    FeedbackAudit,
    Suggested,
    Verdict,
    answer_to,
    append,
    relabelled,
    showing_of,
    suggestion_id,
)
from training.synergy.graph import build_graph
from training.synergy.job import SHIPPED_BASE, SynergyJob
from training.synergy.model import SynergyModel
from training.synergy.pretrained import PretrainedSynergy
from training.synergy.splits import split_of, split_pairs
from training.synergy.trainer import SynergyTrainer, train_synergy_model
from training.synergy.vocabulary import Vocabulary

QUICK = SynergyConfig(epochs=2)


def said(answer: Verdict, trigger: str, *actions: str, home_id: str = "h") -> Answer:
    return answer_to(home_id, Suggested(trigger=trigger, actions=actions), answer)


def answered(*answers: Answer) -> Feedback:
    return Feedback(Path("answers.jsonl"), answers)


def motion_to(kind: str, *rooms: str) -> list[tuple[str, str]]:
    return [(f"binary_sensor.{room}_motion", f"{kind}.{room}") for room in rooms]


# -- The file ----------------------------------------------------------------------------------------------------------


def labelled(homes: list[Home], feedback: Feedback) -> tuple[list[Home], FeedbackAudit]:
    changed, audit = relabelled(homes, feedback)
    return [changed.get(place, home) for place, home in enumerate(homes)], audit


def test_the_last_answer_to_a_pair_counts_in_any_order_of_actions(tmp_path: Path) -> None:
    path = tmp_path / "new" / "answers.jsonl"
    assert Feedback.read(path).answers == {}
    append(path, [said("dismissed", "sensor.a", "light.x", "light.y"), said("accepted", "sensor.a", "light.y")])
    append(path, [said("dismissed", "sensor.b", "light.z"), said("undone", "sensor.b", "light.z")])
    found = Feedback.read(path)
    assert found.pairs("h", "dismissed") == {("sensor.a", "light.x")}
    assert found.pairs("h", "accepted") == {("sensor.a", "light.y")}
    assert found.pairs("other", "dismissed") == frozenset()
    assert found.trouble is None
    first = json.loads(path.read_text().splitlines()[0])
    assert {"time", "home_id", "suggestion", "trigger", "actions", "answer", "by"} <= set(first)
    assert first["suggestion"] == suggestion_id("sensor.a", "light.x")
    assert first["time"].endswith("+00:00")


def test_equal_answers_have_one_fingerprint_whatever_their_order_and_time() -> None:
    one, other = said("dismissed", "sensor.a", "light.x"), said("accepted", "sensor.b", "light.y")
    assert answered(one, other).fingerprint() == answered(other, one.model_copy(update={"time": "x"})).fingerprint()
    assert answered(one).fingerprint() != answered(other).fingerprint()


@pytest.mark.parametrize(
    ("rest", "damaged", "cut_off", "kept"),
    [
        (b'{"time": "2026', (), True, 1),
        (b"{", (), True, 1),
        (b'{"time": "2026"}', (2,), False, 1),
        (b"no json\n\n", (2,), False, 1),
        (b'{"answer": "maybe"}\n[1]\n{"shown": 3, "home_id": "h"}\n', (2, 3, 4), False, 1),
        (b'{"answer": "dismissed", "home_id": "h", "trigger": "x", "actions": ["light.x"]}\n', (2,), False, 1),
        (b"\xff\xfe\n" + b"[" * 100_000 + b"\n", (2, 3), False, 1),
        (b'{"answer": "dismissed", "home_id": "h", "trigger": "Sensor.B", "actions": [" light.x"]}', (), False, 2),
        (b"\r\n", (), False, 1),
    ],
)
def test_damage_is_counted_and_named_and_stops_neither_reading_nor_writing(
    tmp_path: Path, rest: bytes, damaged: tuple[int, ...], cut_off: bool, kept: int
) -> None:
    path = tmp_path / "answers.jsonl"
    append(path, [said("dismissed", "sensor.a", "light.x")])
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes() + rest)
    before, found = path.read_bytes(), Feedback.read(path)
    assert (found.damaged, found.cut_off) == (damaged, cut_off)
    assert len(found.pairs("h", "dismissed")) == kept
    assert (found.trouble is None) == (not damaged and not cut_off)
    append(path, [said("dismissed", "sensor.c", "light.x")])
    assert path.read_bytes().startswith(before), "what a person may have written is never removed"
    assert len(Feedback.read(path).pairs("h", "dismissed")) == kept + 1


def test_writers_at_once_lose_no_line_and_a_reader_meanwhile_sees_whole_ones(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"

    def write(number: int) -> None:
        append(path, [said("dismissed", f"sensor.s{number}", f"light.l{i}") for i in range(5)])
        assert not Feedback.read(path).damaged

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(24)))
    assert len(Feedback.read(path).pairs("h", "dismissed")) == 120


def test_a_disk_that_fills_up_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "answers.jsonl"
    append(path, [said("dismissed", "sensor.a", "light.x")])
    before, write = path.read_bytes(), os.write
    full = iter([False, True])

    def half(descriptor: int, content: bytes) -> int:
        if next(full):
            raise OSError(28, "No space left on device")
        return write(descriptor, content[:20])

    monkeypatch.setattr("training.synergy.feedback.os.write", half)
    with pytest.raises(ArtifactError, match=r"cannot be written \(No space left on device\); nothing that was there"):
        append(path, [said("dismissed", "sensor.b", "light.x")])
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "kind",
    ["folder", "pipe", "- id: '1'\n  alias: mine\n", '{"home_id": "h", "entities": []}', '[{"a": 1}]\n', "id: 1"],
)
def test_what_is_no_file_of_answers_is_refused_and_not_written_to(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.jsonl"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.write_text(kind)
    with pytest.raises(ArtifactError, match=r"x\.jsonl: (is a folder|is no regular file|holds no answers)"):
        Feedback.read(path)


def test_what_was_shown_and_is_automated_now_is_accepted_once() -> None:
    shown = Suggested(trigger="sensor.a", actions=("light.x", "light.y"))
    history = Feedback(Path("a"), [showing_of("h", [shown], ["light.x"]), said("dismissed", "sensor.b", "light.z")])
    assert history.met("h") == {"light.x"}
    assert history.met("other") is None
    automated = {("sensor.a", "light.y"), ("sensor.b", "light.z"), ("sensor.never", "light.shown")}
    found = list(history.newly_automated("h", automated))
    assert [(a.trigger, a.actions, a.answer, a.by) for a in found] == [
        ("sensor.a", ("light.y",), "accepted", "suggest"),
        ("sensor.b", ("light.z",), "accepted", "suggest"),
    ]
    assert found[0].suggestion == shown.id
    later = Feedback(Path("a"), [*history.lines, *found])
    assert list(later.newly_automated("h", automated)) == []
    assert later.pairs("h", "dismissed") == frozenset()
    assert list(history.newly_automated("other", automated)) == []


# -- Labels ------------------------------------------------------------------------------------------------------------


def test_of_several_triggers_each_is_answered_and_what_is_left_of_an_answer_is_told_together() -> None:
    doors, panel, siren = ("binary_sensor.a", "binary_sensor.b", "binary_sensor.c"), "alarm_control_panel.d", "siren.e"
    shown = Suggested(trigger=doors[0], other_triggers=doors[1:], actions=(panel, siren))
    assert shown.words == "binary_sensor.a, binary_sensor.b, binary_sensor.c -> alarm_control_panel.d, siren.e"
    of_all = answer_to("h", shown, "dismissed")
    history = answered(of_all, said("undone", doors[1], siren))
    left = history.pairs("h", "dismissed")
    assert left == {(door, action) for door in doors for action in (panel, siren)} - {(doors[1], siren)}
    assert [one.pairs for one in of_all.only(left)] == [
        ((doors[0], panel), (doors[0], siren), (doors[2], panel), (doors[2], siren)),
        ((doors[1], panel),),
    ]
    assert {one.id for one in of_all.only(left)} == {shown.id}
    history = Feedback(Path("answers.jsonl"), [showing_of("h", [shown], ())])
    (now,) = history.newly_automated("h", {(door, panel) for door in doors[:2]})
    assert (now.answer, now.suggestion, now.by) == ("accepted", shown.id, "suggest")
    assert now.pairs == ((doors[0], panel), (doors[1], panel))


def test_what_was_shown_in_two_ways_is_accepted_whole_in_one_run() -> None:
    panel = "alarm_control_panel.d"
    first = Suggested(trigger="binary_sensor.a", other_triggers=("binary_sensor.b",), actions=(panel,))
    again = Suggested(trigger="binary_sensor.a", actions=(panel,))
    history = Feedback(Path("answers.jsonl"), [showing_of("h", [first], ()), showing_of("h", [again], ())])
    found = list(history.newly_automated("h", first.pairs))
    assert {pair for answer in found for pair in answer.pairs} == {*first.pairs}
    assert list(answered(*found).newly_automated("h", first.pairs)) == []


def test_accepted_pairs_are_known_and_dismissed_ones_never_are() -> None:
    raw = home("h", rooms=("hall", "office"))
    raw["synergies"] = [
        row("binary_sensor.hall_motion", "light.hall", automation_id="a0"),
        row("binary_sensor.office_motion", "light.office"),
        row("light.hall", "light.office", relationship={"direction": "bidirectional"}),
    ]
    of, audit = labelled(
        [as_home(raw)],
        answered(
            said("accepted", "binary_sensor.hall_motion", "media_player.hall"),
            said("accepted", "binary_sensor.hall_motion", "light.hall"),
            said("dismissed", "binary_sensor.hall_motion", "light.hall", "light.office"),
            said("dismissed", "binary_sensor.office_motion", "light.office", "light.gone"),
            said("dismissed", "light.hall", "light.office"),
            said("dismissed", "binary_sensor.gone", "light.hall"),
            said("dismissed", "binary_sensor.hall_motion", "light.hall", home_id="elsewhere"),
        ),
    )
    graph = build_graph(of[0])
    pairs = {(graph.entity_ids[t], graph.entity_ids[a]) for t, a in graph.pairs.tolist()}
    assert pairs == {
        ("binary_sensor.hall_motion", "light.hall"),
        ("binary_sensor.hall_motion", "media_player.hall"),
        ("light.office", "light.hall"),
    }
    marked = [s for s in of[0].synergies if s.synergy_type == "accepted"]
    assert [(s.action, s.confidence) for s in marked] == [("media_player.hall", 1.0)]
    assert {(graph.entity_ids[t], graph.entity_ids[a]) for t, a in graph.dismissed.tolist()} == set(of[0].dismissed)
    assert set(of[0].dismissed) == {
        ("binary_sensor.hall_motion", "light.office"),
        ("binary_sensor.office_motion", "light.office"),
        ("light.hall", "light.office"),
    }
    assert (audit.accepted, audit.dismissed, audit.unknown_entities, audit.other_homes) == (1, 3, 1, 1)
    assert of[0].fingerprint() != as_home(raw).fingerprint()


def test_a_pair_that_rules_made_up_gives_way_to_a_dismissal() -> None:
    made_up = Home("h", *(lambda of: (of.entities, of.synergies))(as_home(home("h"))), generated=9)
    bare = Home("h", made_up.entities, tuple(s.model_copy(update={"automation_id": None}) for s in made_up.synergies))
    dismissed = answered(said("dismissed", "binary_sensor.hall_motion", "light.hall"))
    (of,), _ = labelled([bare], dismissed)
    assert ("binary_sensor.hall_motion", "light.hall") not in {(s.trigger, s.action) for s in of.synergies}


def test_homes_without_an_answer_are_the_same_objects() -> None:
    homes = [as_home(home("h"))]
    found, audit = labelled(homes, answered())
    assert found[0] is homes[0]
    assert (audit.accepted, audit.dismissed) == (0, 0)


# -- Training ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_dismissals_lower_the_scores_of_their_kind_and_leave_the_other_kinds() -> None:
    of, other = as_home(home("h")), as_home(home("other", rooms=("attic", "cellar")))
    answers = [said("dismissed", *pair) for pair in motion_to("media_player", *ROOMS)]
    (marked,), _ = labelled([of], answered(*answers))
    base = PretrainedSynergy.load(SHIPPED_BASE)
    plain, told = (train_synergy_model([one], QUICK, pretrained=base).model for one in (of, marked))

    def mean(model: SynergyModel, one: Home, pairs: list[tuple[str, str]]) -> float:
        return float(np.mean(model.score(one.entities, [], pairs)))

    for one, rooms, most in ((of, ROOMS, 0.5), (other, ("attic", "cellar"), 0.9)):
        players, lights = motion_to("media_player", *rooms), motion_to("light", *rooms)
        assert mean(told, one, players) < most * mean(plain, one, players)
        assert mean(told, one, lights) > 0.9 * mean(plain, one, lights)


def test_a_dismissed_pair_is_a_negative_of_every_block_and_no_row_of_its_own_has_others() -> None:
    raw = home("h")
    dismissed = ("input_boolean.h_guests", "light.hall")  # a trigger without a known pair
    (of,), _ = labelled([as_home(raw)], answered(said("dismissed", *dismissed)))
    graph = build_graph(of)
    trainer = SynergyTrainer([graph], split_pairs([graph]), QUICK)
    block, of_home = trainer.views.blocks(0, trainer.views.new_home(0), 32, 1_000)
    ids = graph.entity_ids
    of_trigger = [t for t in range(len(block.triggers)) if ids[block.triggers[t]] == dismissed[0]]
    compared = [(t, ids[block.actions[a]]) for t, a in block.compared.nonzero().tolist() if t in of_trigger]
    assert compared == [(of_trigger[0], dismissed[1])]
    assert float(block.dismissed.sum()) == len(trainer.encoded[0].candidates)
    assert not (block.positive * block.dismissed).any()
    assert not of_home.dismissed.any()


def test_answers_of_what_is_held_out_are_not_trained_on() -> None:
    homes = [as_home(home(f"h{i}")) for i in range(6)]
    answers = [said("dismissed", "binary_sensor.hall_motion", "media_player.hall", home_id=h.home_id) for h in homes]
    marked, _ = labelled(homes, answered(*answers))
    graphs = [build_graph(one) for one in marked]
    split = split_pairs(graphs)
    assert split.strategy == "home"
    trains = [bool(split.dismissed(h, graph).all()) for h, graph in enumerate(graphs)]
    assert trains == [bool(split.select(h, "train").all()) for h in range(len(graphs))]
    assert set(trains) == {True, False}
    trainer = SynergyTrainer(graphs, split, QUICK)
    assert sorted(trainer.homes.dismissed) == [h for h, inside in enumerate(trains) if inside]

    raw, reverse = home("h", rooms=("hall",)), ("light.hall", "binary_sensor.hall_motion")
    refused = [said("dismissed", *reverse), said("dismissed", "light.hall", "media_player.hall")]
    (one,), _ = labelled([as_home(raw)], answered(*refused))
    graph = build_graph(one)
    held = split_of([graph], [[(reverse[1], reverse[0])]], "pair", "")
    assert [tuple(graph.entity_ids[i] for i in pair) for pair in graph.dismissed[held.dismissed(0, graph)]] == [
        ("light.hall", "media_player.hall")
    ]


def test_an_evaluation_ranks_nothing_against_a_dismissed_pair() -> None:
    dismissed = ("binary_sensor.hall_motion", "light.office")
    of = as_home(home("h"))
    marked, _ = labelled([of], answered(said("dismissed", *dismissed)))
    found = []
    for one in (of, *marked):
        graph = build_graph(one)
        everything = np.ones(len(graph.pairs), dtype=bool)
        task = ranking_task(
            EncodedHome(graph, Vocabulary.of([graph], [everything]), ()), graph, 0, everything, ~everything
        )
        assert task is not None
        names = np.array(graph.entity_ids)
        rows, columns = np.nonzero(task.negative)
        found.append(set(zip(names[task.triggers[rows]], names[task.actions[columns]], strict=True)))
    assert found[0] - found[1] == {dismissed}
    assert found[1] < found[0]


def run(folder: Path, model: str, *, dry_run: bool = True, **more: Any) -> Training:
    (folder / "homes.json").write_text(json.dumps(home("h")))
    flags = {"model_path": folder / model, "epochs": 1, "base_model": "none", **more}
    training = Training(SynergyJob, SourceChoice(str(folder / "homes.json")), flags, dry_run=dry_run)
    training.perform()
    return training


def write_answers(path: Path) -> Path:
    append(path, [said("accepted", "binary_sensor.hall_motion", "media_player.hall")])
    append(path, [said("dismissed", *pair) for pair in motion_to("media_player", "office", "garage", "nowhere")])
    return path


def test_the_audit_counts_the_answers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(TrainingError, match=r"--feedback .*answers\.jsonl: no such file"):
        run(tmp_path, "m.pth", feedback=tmp_path / "answers.jsonl")
    answers = write_answers(tmp_path / "answers.jsonl")
    plain, told = (run(tmp_path, "m.pth", **more).summary() for more in ({}, {"feedback": answers}))
    assert "feedback" not in plain.audit
    counts = told.audit["feedback"]
    assert (counts["accepted"], counts["dismissed"], counts["unknown_entities"]) == (1, 2, 1)
    assert counts["fingerprint"] == Feedback.read(answers).fingerprint()
    assert "1 accepted, 2 dismissed, 1 of unknown entities" in caplog.text
    assert told.data_fingerprint == plain.data_fingerprint
    assert told.audit["distinct_pairs"] == plain.audit["distinct_pairs"] + 1


def test_the_environment_names_the_file_and_nothing_is_written_over_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = write_answers(tmp_path / "answers.jsonl")
    monkeypatch.setenv("GNN_FEEDBACK", str(answers))
    assert run(tmp_path, "m.pth").summary().audit["feedback"]["dismissed"] == 2
    before = answers.read_bytes()
    with pytest.raises(ArtifactError, match="is both the feedback and the model"):
        run(tmp_path, "answers.jsonl", dry_run=False, force=True)
    assert answers.read_bytes() == before


@pytest.mark.slow
def test_a_model_names_the_answers_that_it_was_trained_on(tmp_path: Path) -> None:
    answers = write_answers(tmp_path / "answers.jsonl")
    run(tmp_path, "m.pth", dry_run=False, feedback=answers)
    fingerprint = Feedback.read(answers).fingerprint()
    assert json.loads((tmp_path / "m_metadata.json").read_text())["audit"]["feedback"]["fingerprint"] == fingerprint
    assert SynergyModel.load(tmp_path / "m.pth").provenance["audit"]["feedback"]["fingerprint"] == fingerprint
