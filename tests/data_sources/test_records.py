"""Every accepted spelling becomes the same record; what cannot be used says field, value and what was expected."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from support import as_home, row

from data_sources import (
    KINDS,
    RECORDS,
    Area,
    Entity,
    Home,
    HomeBuilder,
    LoadReport,
    PatternRow,
    PromptRow,
    Synergy,
    TrainingRecord,
    YamlRow,
    count_distinct,
    normalized_query,
)
from data_sources.base import R
from data_sources.records import explain

FLAT = {
    "entity_1": "light.a",
    "entity_2": "switch.b",
    "synergy_type": "co_activation",
    "confidence": 0.7,
    "relationship": {"type": "causal", "strength": 0.7, "direction": "bidirectional"},
}


@pytest.mark.parametrize(
    "raw",
    [
        FLAT,
        {"synergy": FLAT},
        {**{k: v for k, v in FLAT.items() if not k.startswith("entity")}, "device1": "light.a", "device2": "switch.b"},
        {**{k: v for k, v in FLAT.items() if k != "confidence"}, "synergy_score": 0.7},
        {"synergy": {**FLAT, "extra": 1}, "other": [1]},
        {**FLAT, "entity_1": " light.a "},
    ],
)
def test_all_spellings_of_a_synergy_are_one_record(raw: dict[str, Any]) -> None:
    synergy = Synergy.model_validate(raw)
    assert (synergy.trigger, synergy.action, synergy.confidence) == ("light.a", "switch.b", 0.7)
    assert synergy.bidirectional
    assert synergy.relationship_type == "causal"


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"query": "q", "suggestion": "s"}, "s"),
        ({"instruction": "q", "suggestion": {"description": "s", "text": "t"}}, "s"),
        ({"query": "q", "suggestion": {"text": "s"}}, "s"),
        ({"query": "q", "suggestion": "", "response": {"text": {"title": "x", "description": "s"}}}, "s"),
        ({"query": "q", "response": {"text": "s"}}, "s"),
        ({"query": "q", "suggestion": None, "response": {"description": "s"}}, "s"),
    ],
)
def test_all_spellings_of_a_prompt_are_one_record(raw: dict[str, Any], expected: str) -> None:
    assert PromptRow.model_validate(raw).suggestion == expected


def test_patterns_and_yaml_pairs_are_read_flat_and_nested() -> None:
    pattern = {"entity_id": "light.a", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3}
    pattern |= {"name": "A", "device_class": "x"}
    truth = {"ground_truth": {"expected_pattern": "sequence", "expected_device": "light.a"}}
    assert PatternRow.model_validate({**pattern, **truth}) == PatternRow.model_validate({"pattern": pattern, **truth})
    pair = {"input": "turn on", "output": "triggers: [{trigger: sun, event: sunset}]\nactions: []"}
    assert YamlRow.model_validate(pair) == YamlRow.model_validate({"yaml_pair": pair})
    assert YamlRow.model_validate({"input": "x", "yaml": pair["output"]}).output == pair["output"]
    assert YamlRow.model_validate({**pair, "entities": ["light.a", {"entity_id": "light.b"}]}).entities == (
        "light.a",
        "light.b",
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"entity_1": "kitchen"}, "entity_1: 'kitchen' - expected an entity id such as light.kitchen"),
        ({"entity_1": None}, "entity_1: None - expected an entity id such as light.kitchen"),
        ({"entity_1": 5}, "entity_1: 5 - expected an entity id such as light.kitchen"),
        ({"entity_1": ".kitchen"}, "entity_1: '.kitchen' - expected an entity id"),
        ({"entity_2": "light.a"}, "entity_2: 'light.a' - expected another entity than entity_1"),
        ({"confidence": 1.2}, "confidence: 1.2 - expected a number from 0 to 1"),
        ({"confidence": -0.1}, "confidence: -0.1 - expected a number from 0 to 1"),
        ({"confidence": math.nan}, "confidence: nan - expected a number from 0 to 1"),
        ({"confidence": math.inf}, "confidence: inf - expected a number from 0 to 1"),
        ({"confidence": True}, "confidence: True - expected a number from 0 to 1"),
        ({"confidence": "0.5"}, "confidence: '0.5' - expected a number from 0 to 1"),
        ({"relationship": {"direction": 3}}, "relationship.direction: 3 - expected bidirectional"),
        ({"automation_id": [1]}, "automation_id: [1] - expected an id or null"),
    ],
)
def test_a_bad_field_says_value_and_what_was_expected(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as failure:
        Synergy.model_validate({**FLAT, **change})
    assert explain(failure.value, Synergy).startswith(message)


def test_a_missing_field_is_named_as_the_simulator_spells_it() -> None:
    with pytest.raises(ValidationError) as failure:
        Synergy.model_validate({"entity_1": "light.a", "entity_2": "light.b"})
    assert explain(failure.value, Synergy) == (
        "confidence: missing - expected a number from 0 to 1; the row has entity_1, entity_2 and needs "
        "entity_1 (or device1), entity_2 (or device2), confidence (or synergy_score)"
    )
    with pytest.raises(ValidationError) as failure:
        Synergy.model_validate({"synergy": {"entity_1": "light", "entity_2": "light.b", "confidence": 1}})
    assert explain(failure.value, Synergy).startswith("synergy.entity_1: 'light'")


def test_names_that_people_wrote_come_first_and_blank_areas_are_no_areas() -> None:
    entity = Entity.model_validate(
        {"entity_id": "light.a", "name": None, "name_by_user": "Lamp", "original_name": "LCT01", "area_id": " "}
    )
    assert (entity.name, entity.area_id, entity.domain) == ("Lamp", None, "light")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    [
        *("entity_1", "entity_2", "device1", "confidence", "synergy_score", "synergy", "relationship", "automation_id"),
        *("entity_id", "area_id", "name", "query", "suggestion", "response", "pattern", "input", "output", "entities"),
        *("pattern_type", "occurrences", "ground_truth", "expected_pattern", "device_class", "home_id"),
    ]
)


@given(st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=6) | JSON)
def test_no_json_value_breaks_a_parser_or_passes_one_half_read(raw: Any) -> None:
    for model in (Synergy, Entity, PromptRow, PatternRow, YamlRow):
        report = LoadReport(where="x")
        record = report.validate(model, raw, "row", "row 1")
        assert report.read["row"] == 1
        if record is None:
            assert report.rejected["row"] == 1
            assert report.reasons[0].isascii()
            assert "expected" in report.reasons[0]
        else:
            assert not report.reasons
            assert model.model_validate(record.model_dump(by_alias=False)) == record


@given(st.permutations([(a, b, c) for a in ("light.a", "light.b") for b in ("fan.c", "fan.d") for c in (0.1, 0.7, 1)]))
def test_the_fingerprint_does_not_depend_on_the_order_of_rows(rows: list[tuple[str, str, float]]) -> None:
    def build(items: list[tuple[str, str, float]]) -> str:
        builder = HomeBuilder(LoadReport(where="x"))
        for trigger, action, confidence in items:
            builder.add_row({"entity_1": trigger, "entity_2": action, "confidence": confidence}, "")
        return builder.build().fingerprint()

    assert build(rows) == build(sorted(rows))
    assert build(rows) != build(rows[1:])


def test_equal_rows_are_folded_and_counted() -> None:
    builder = HomeBuilder(LoadReport(where="x"))
    for confidence in (0.5, 0.7):
        builder.add_row({**FLAT, "confidence": confidence}, "")
    (synergy,) = builder.build().synergies
    assert (synergy.rows, synergy.confidence) == (2, 0.6)


def test_disabled_entities_and_their_rows_are_left_out_and_counted() -> None:
    builder = HomeBuilder(LoadReport(where="x"))
    builder.add_entity({"entity_id": "light.a", "disabled": True}, "")
    builder.add_entity({"entity_id": "light.c"}, "")
    builder.add_row(FLAT, "")
    home = builder.build()
    assert [e.entity_id for e in home.entities] == ["light.c"]
    assert (home.disabled, home.disabled_rows, home.synergies) == (1, 1, ())


def test_an_entity_inherits_the_area_of_its_device() -> None:
    builder = HomeBuilder(LoadReport(where="x"))
    builder.add_places(["kitchen"], [{"device_id": "d", "area_id": "kitchen"}])
    builder.add_entity({"entity_id": "light.a", "device_id": "d"}, "")
    builder.add_entity({"entity_id": "light.b", "device_id": "d", "area_id": "hall"}, "")
    assert [e.area_id for e in builder.build().entities] == ["kitchen", "hall"]


def test_a_second_entity_fills_gaps_but_may_not_disagree() -> None:
    report = LoadReport(where="x")
    builder = HomeBuilder(report)
    builder.add_entity({"entity_id": "light.a", "area_id": None, "name": "Lamp"}, "entity 1")
    builder.add_entity({"entity_id": "light.a", "area_id": "kitchen"}, "entity 2")
    builder.add_entity({"entity_id": "light.a", "area_id": "hall"}, "entity 3")
    (entity,) = builder.build().entities
    assert (entity.area_id, entity.name) == ("kitchen", "Lamp")
    assert report.reasons == [
        "entity 3: area_id: 'hall' - expected 'kitchen', as the same entity 'light.a' has in entity 1"
    ]
    assert (report.read["entity"], report.rejected["entity"]) == (3, 1)


def test_a_second_entity_adds_what_only_helps_where_the_first_says_nothing_of_it() -> None:
    builder = HomeBuilder(LoadReport(where="x"))
    builder.add_entity({"entity_id": "light.a", "supported_features": 0, "platform": "hue"}, "entity 1")
    second = {"labels": ["night"], "platform": "mqtt", "supported_features": 44, "hidden": True}
    builder.add_entity({"entity_id": "light.a", **second}, "entity 2")
    (entity,) = builder.build().entities
    assert (entity.labels, entity.hidden) == (("night",), True)
    assert (entity.platform, entity.supported_features) == ("hue", 0)


YAML = "triggers: [{trigger: sun, event: sunset}]\nactions: [{action: light.turn_on}]\n"
UNITS = {
    "gnn_synergy": (
        [as_home({"synergies": [row("light.a", "fan.b"), row("light.a", "fan.b", 0.5), row("fan.b", "light.a")]}, h)
         for h in ("one", "two")],
        {"pair": 4}, 6,
    ),
    "soft_prompt": (
        [PromptRow(query=q, suggestion=s) for q, s in (("Lamp on!", "x"), ("lamp  on", "y"), ("lamp off", "y"))],
        {"query": 2, "answer": 2}, 3,
    ),
    "pattern_detection": (
        [PatternRow(entity_id=i, pattern_type="session", confidence=1, occurrences=1, expected_pattern=p)
         for i, p in (("light.a", "session"), ("light.a", None), ("light.b", "session"))],
        {"entity": 2, "class": 1}, 3,
    ),
    "yaml_generation": (
        [YamlRow(input=text, output=YAML) for text in ("Light, at sunset", "light at sunset", "light")],
        {"request": 2, "answer": 1}, 3,
    ),
}  # fmt: skip


def test_every_kind_counts_what_its_rows_are_worth() -> None:
    assert tuple(UNITS) == KINDS == tuple(RECORDS)
    assert R.__constraints__ == tuple(RECORDS.values()) == get_args(TrainingRecord)
    for kind, (records, distinct, rows) in UNITS.items():
        assert all(isinstance(record, RECORDS[kind]) and record.kind == kind for record in records)
        assert count_distinct(records) == distinct
        assert sum(record.rows for record in records) == rows


@given(st.text(), st.text())
def test_a_normalized_query_has_no_case_and_no_punctuation_and_stays_as_it_is(one: str, other: str) -> None:
    assert normalized_query(f"{one} {other}") == f"{normalized_query(one)} {normalized_query(other)}".strip()
    assert normalized_query(normalized_query(one)) == normalized_query(one)
    assert normalized_query("  Switch ON,\nthe lamp!") == "switch on the lamp"


def test_what_only_helps_is_read_where_it_is_right_and_never_refuses_an_entity() -> None:
    entity = Entity.model_validate(
        {
            "entity_id": "light.hall",
            "entity_category": "config",
            "labels": ["night", 7, None, "", " ", ["day"], True],
            "platform": "hue",
            "supported_features": 44.0,
            "capabilities": '{"options": ["a"]}',
            "mirrors": ["light.one", "no id"],
        }
    )
    assert (entity.entity_category, entity.labels, entity.supported_features) == ("config", ("night", "7"), 44)
    assert (entity.capabilities, entity.mirrors, entity.platform) == ({"options": ["a"]}, ("light.one",), "hue")
    wrong = {
        "entity_category": 1,
        "platform": ["hue"],
        "labels": "night",
        "supported_features": "many",
        "capabilities": [1],
        "mirrors": 3,
    }
    assert Entity.model_validate({"entity_id": "light.hall", **wrong}) == Entity(entity_id="light.hall")


def test_a_fingerprint_changes_with_what_helps_and_stays_where_there_is_none() -> None:
    plain = Home("home", (Entity(entity_id="cover.blind"),), ())
    none = Home("home", (Entity(entity_id="cover.blind", supported_features=0),), ())
    some = Home("home", (Entity(entity_id="cover.blind", supported_features=3),), ())
    assert plain.fingerprint() == none.fingerprint() != some.fingerprint()
    low, high, nowhere = (
        Home("home", plain.entities, (), (Area.model_validate({"area_id": "a", "floor_id": floor}),))
        for floor in ("low", "high", None)
    )
    assert len({home.fingerprint() for home in (plain, low, high, nowhere)}) == 4


def test_rows_that_repeat_one_before_are_counted_as_if_each_was_validated() -> None:
    """Also where values of different types are equal, and where a key is spelt otherwise or holds a list."""
    pair = {"entity_1": "light.a", "entity_2": "light.b", "confidence": 0.5}
    told = [{"type": "t", "direction": "bidirectional", "strength": 0.1}, '{"type": "t"}', "t", None, {}, ["t"], 1]
    rows: list[Any] = [pair | more for more in (
        {}, {"note": 1}, {"entity_1": " LIGHT.A "}, {"entity_1": ["light.a"]}, {"confidence": 1}, {"confidence": True},
        {"confidence": 1.5}, {"confidence": float("nan")}, {"confidence": "0.5"}, {"confidence": None},
        {"device1": "light.c"},
        {"synergy_score": 0.9}, {"synergy": pair | {"entity_2": "light.d"}}, {"synergy": 5}, {"trigger": "light.e"},
        {"synergy_type": 1}, {"synergy_type": True}, {"synergy_type": float("nan")}, {"synergy_type": ""},
        *({"automation_id": one} for one in (1, 1.0, True, "1", None, [1])),
        *({"relationship": one} for one in told),
    )]  # fmt: skip
    rows += [{"relationship": {"type": "t"}, "confidence": 0.5}, {"confidence": 0.5}, {}, [], "x", 5]
    report = LoadReport(where="x")
    builder = HomeBuilder(report)
    fields = ("synergy_type", "relationship_type", "direction", "automation_id")
    totals: dict[Any, list[float]] = defaultdict(list)
    rejected = 0
    for turn in range(3):
        for number, raw in enumerate(rows):
            usual = isinstance(raw, dict) and raw.get("confidence") == 0.5
            changed = raw | {"confidence": turn / 4} if usual else raw
            builder.add_row(changed, f"row {number}", "row")
            try:
                row = Synergy.model_validate(changed)
            except ValidationError:
                rejected += 1
                continue
            key = (row.trigger, row.action, *(getattr(row, name) or "" for name in fields))
            totals[key].append(row.confidence)
    assert report.rejected["row"] == rejected > 0
    assert report.read["row"] == 3 * len(rows)
    found = {
        (s.trigger, s.action, *(getattr(s, name) or "" for name in fields)): (s.rows, s.confidence)
        for s in builder.build().synergies
    }
    assert found == {key: (len(own), round(sum(own) / len(own), 12)) for key, own in totals.items()}
