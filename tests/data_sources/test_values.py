"""Values that mean the same are one value, whichever program wrote them; and what means nothing is counted."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from support import row

from data_sources import (
    Entity,
    FormatError,
    Home,
    HomeBuilder,
    LoadReport,
    PatternRow,
    PromptRow,
    Synergy,
    UnusableRowsError,
    YamlRow,
    open_source,
)
from data_sources.json_file import JsonSource

Write = Callable[[str, Any], Path]
PATTERN = {"entity_id": "light.hall", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3}
PAIRS = [row(f"binary_sensor.{room}", f"light.{room}") for room in ("hall", "attic", "bath")]
YAML = {"input": "lamp on", "output": "triggers: [{trigger: sun, event: sunset}]\nactions: []"}


def homes(path: Path, **options: Any) -> list[Home]:
    return list(open_source(json_input=str(path), strict=True, **options).read(Home))


# --- whole numbers ---


@pytest.mark.parametrize("number", [31, 31.0, Decimal(31), Decimal("31.00"), Decimal("3.1E1")])
def test_a_whole_number_is_one_however_it_is_written(number: Any) -> None:
    assert PatternRow.model_validate({**PATTERN, "occurrences": number}).occurrences == 31


@pytest.mark.parametrize(
    "number", [31.5, Decimal("31.5"), -1.0, math.inf, math.nan, Decimal("NaN"), True, "31", 2.0**60]
)
def test_what_is_no_whole_number_stays_wrong(number: Any) -> None:
    with pytest.raises(ValidationError):
        PatternRow.model_validate({**PATTERN, "occurrences": number})


@pytest.mark.parametrize(
    ("home_id", "read"),
    [(2, "2"), (2.0, "2"), (Decimal(2), "2"), ("2", "2"), (" 2 ", "2"), (-0.0, "0"), (10**20, str(10**20))],
)
def test_an_id_is_one_however_it_is_written(write: Write, home_id: Any, read: str) -> None:
    assert PatternRow.model_validate({**PATTERN, "home_id": home_id}).home_id == read
    if not isinstance(home_id, Decimal):
        (flat,) = homes(write("x.json", [{**pair, "home_id": home_id} for pair in PAIRS]))
        (whole,) = homes(write("y.json", [{"home_id": home_id, "synergies": PAIRS}]))
        assert flat.home_id == whole.home_id == read


@pytest.mark.parametrize("home_id", [2.5, True, [2], {"id": 2}, math.inf, 1e20, "a\nb", "a\x00b", "half \ud83d"])
def test_a_row_with_an_unusable_home_id_is_counted_and_never_of_another_home(write: Write, home_id: Any) -> None:
    rows = [{**PAIRS[0], "home_id": "a"} for _ in range(20)]
    source = JsonSource(write("x.json", [*rows, {**PAIRS[1], "home_id": home_id}]))
    assert [(home.home_id, home.rows) for home in source.read(Home)] == [("a", 20)]
    assert source.report.rejected == {"row": 1}
    assert source.report.reasons[0].startswith("row 21: home_id: ")
    whole = JsonSource(write("y.json", [{"home_id": home_id, "synergies": PAIRS}]))
    with pytest.raises(UnusableRowsError, match=r"row 1: home_id: .* - expected an id"):
        list(whole.read(Home))


def test_homes_with_whole_numbers_as_ids_are_kept_apart(write: Write) -> None:
    rows = [{**pair, "home_id": home_id} for home_id in (1.0, 2.0, 3) for pair in PAIRS]
    assert [home.home_id for home in homes(write("x.json", rows))] == ["1", "2", "3"]


def test_rows_without_a_home_are_not_of_the_home_that_is_called_home(write: Write) -> None:
    read = homes(write("x.json", [{**PAIRS[0], "home_id": "home"}, PAIRS[1], {**PAIRS[2], "home_id": math.nan}]))
    assert [(home.home_id, home.rows) for home in read] == [("home", 1), ("home-1", 2)]


def test_flags_may_be_numbers() -> None:
    for number, flag in ((1, True), (0, False), (1.0, True), (0.0, False), (Decimal(1), True), (math.nan, None)):
        assert YamlRow.model_validate({**YAML, "validation_result": {"is_valid": number}}).is_valid is flag
        assert Entity.model_validate({"entity_id": "light.a", "disabled": number}).disabled is bool(flag)
    with pytest.raises(ValidationError):
        Entity.model_validate({"entity_id": "light.a", "disabled": 2})


# --- missing values ---


@pytest.mark.parametrize("missing", [None, "", " ", math.nan, Decimal("NaN")])
def test_every_way_to_write_a_missing_value_is_one(missing: Any) -> None:
    optional = ("name", "device_class", "area_id", "device_id", "disabled", "disabled_by", "hidden_by", "attributes")
    entity = Entity.model_validate({"entity_id": "light.a", **dict.fromkeys(optional, missing)})
    assert entity == Entity(entity_id="light.a")
    optional = ("synergy_type", "relationship", "automation_id", "synergy")
    synergy = Synergy.model_validate({**PAIRS[0], **dict.fromkeys(optional, missing)})
    assert (synergy.synergy_type, synergy.relationship_type, synergy.automation_id) == (None, None, None)
    pattern = PatternRow.model_validate({**PATTERN, **dict.fromkeys(("name", "home_id", "ground_truth"), missing)})
    assert pattern == PatternRow.model_validate(PATTERN)
    truth = {"expected_pattern": missing, "expected_device": missing}
    assert PatternRow.model_validate({**PATTERN, "ground_truth": truth}).genuine is None
    assert YamlRow.model_validate({**YAML, "entities": missing, "validation_result": missing}).entities == ()
    prompt = PromptRow.model_validate(
        {"query": "q", "suggestion": missing, "response": {"text": "s"}, "quality_score": missing}
    )
    assert (prompt.suggestion, prompt.quality_score) == ("s", None)


def test_nan_of_what_is_needed_stays_wrong() -> None:
    for key in ("entity_1", "entity_2", "confidence"):
        with pytest.raises(ValidationError):
            Synergy.model_validate({**PAIRS[0], key: math.nan})


# --- JSON as text ---


def test_objects_may_be_texts_of_json_once_or_twice_over() -> None:
    truth = {"expected_pattern": "sequence", "expected_device": "light.hall"}
    for text in (json.dumps(truth), json.dumps(json.dumps(truth)), f" {json.dumps(truth)}\n"):
        assert PatternRow.model_validate({**PATTERN, "ground_truth": text}).genuine is True
        assert PatternRow.model_validate({"pattern": PATTERN, "ground_truth": text}).genuine is True
    assert PatternRow.model_validate({"pattern": json.dumps(PATTERN)}).occurrences == 3
    related = json.dumps({"type": "t", "direction": "bidirectional"})
    for raw in ({**PAIRS[0], "relationship": related}, {"synergy": {**PAIRS[0], "relationship": related}}):
        assert Synergy.model_validate(raw).bidirectional
    assert Synergy.model_validate({"synergy": json.dumps({**PAIRS[0], "relationship": related})}).bidirectional
    valid = json.dumps({"is_valid": False})
    assert YamlRow.model_validate({"yaml_pair": json.dumps(YAML), "validation_result": valid}).is_valid is False
    assert YamlRow.model_validate({**YAML, "entities": '["light.a", {"entity_id": "light.b"}]'}).entities == (
        "light.a",
        "light.b",
    )


@pytest.mark.parametrize(
    "raw",
    [
        {"suggestion": '{"description": "s", "text": "t"}'},
        {"suggestion": '"{\\"text\\": \\"s\\"}"'},
        {"response": '{"text": {"description": "s"}}'},
        {"response": {"text": '{"title": "t", "description": "s"}'}},
        {"suggestion": "", "response": '{"description": "s"}'},
    ],
)
def test_an_answer_may_be_a_text_of_json(raw: dict[str, Any]) -> None:
    assert PromptRow.model_validate({"query": "q", **raw}).suggestion == "s"


@pytest.mark.parametrize("text", ["{on} the lamp", "[hall] lamp on", '"Lamp on" at nine', "null", '"s"', "{}}"])
def test_an_answer_that_only_looks_like_json_is_a_text(text: str) -> None:
    assert PromptRow.model_validate({"query": "q", "suggestion": text}).suggestion == text


@pytest.mark.parametrize(
    ("model", "raw", "why"),
    [
        (PatternRow, {**PATTERN, "ground_truth": '{"expected_pattern": '}, "ground_truth: '{\"expected_pattern\": '"),
        (PatternRow, {**PATTERN, "ground_truth": "sequence"}, "ground_truth: 'sequence' - expected an object"),
        (PatternRow, {**PATTERN, "ground_truth": [1]}, "ground_truth: [1] - expected an object"),
        (PatternRow, {**PATTERN, "ground_truth": 3}, "ground_truth: 3 - expected an object"),
        (
            Synergy,
            {**PAIRS[0], "relationship": "{'type': 't'}"},
            "relationship: \"{'type': 't'}\" - expected an object",
        ),
        (Synergy, {"synergy": {**PAIRS[0], "relationship": "[]"}}, "relationship: [] - expected an object"),
        (YamlRow, {**YAML, "validation_result": "valid"}, "validation_result: 'valid' - expected an object"),
        (YamlRow, {**YAML, "entities": "light.a"}, "entities: 'light.a' - expected a list"),
        (PromptRow, {"query": "q", "suggestion": '["a"]'}, "suggestion: ['a'] - expected a text"),
    ],
)
def test_an_object_that_cannot_be_read_is_counted_and_not_lost(model: Any, raw: dict[str, Any], why: str) -> None:
    report = LoadReport(where="x")
    assert report.validate(model, raw, "row", "row 1") is None
    assert report.reasons[0].startswith(f"row 1: {why}")


def test_the_lists_of_a_home_may_be_texts_of_json(write: Write) -> None:
    lists = {"entities": [{"entity_id": "light.hall", "name": "Hall"}], "synergies": PAIRS, "areas": ["hall"]}
    expected = homes(write("x.json", {"home_id": "a", **lists}))
    assert homes(write("y.json", {"home_id": "a", **{k: json.dumps(v) for k, v in lists.items()}})) == expected


# --- spellings ---


def test_an_id_in_capitals_is_the_same_entity() -> None:
    builder = HomeBuilder(LoadReport(where="x", strict=True))
    builder.add_entity({"entity_id": "light.Hall", "area_id": "hall"}, "entity 1")
    builder.add_entity({"entity_id": "LIGHT.hall", "name": "Hall"}, "entity 2")
    builder.add_row(row("Binary_Sensor.Hall", "light.HALL"), "synergy 1")
    home = builder.build()
    assert [(e.entity_id, e.name, e.area_id) for e in home.entities] == [
        ("binary_sensor.hall", None, None),
        ("light.hall", "Hall", "hall"),
    ]
    assert [(s.trigger, s.action) for s in home.synergies] == [("binary_sensor.hall", "light.hall")]
    truth = {"expected_pattern": "Sequence", "expected_device": "light.Hall"}
    assert PatternRow.model_validate({**PATTERN, "entity_id": "LIGHT.HALL", "ground_truth": truth}).genuine
    assert YamlRow.model_validate({**YAML, "entities": ["light.Hall"]}).entities == ("light.hall",)
    with pytest.raises(ValidationError, match="another entity"):
        Synergy.model_validate(row("light.hall", "light.Hall"))


def test_home_assistants_own_rows_are_entities() -> None:
    state = {"friendly_name": "Hall Motion", "device_class": "motion"}
    of_state = Entity.model_validate({"entity_id": "binary_sensor.hall", "state": "off", "attributes": state})
    of_text = Entity.model_validate({"entity_id": "binary_sensor.hall", "attributes": json.dumps(state)})
    assert (of_state.name, of_state.device_class) == ("Hall Motion", "motion")
    assert of_text == of_state
    registry = {"entity_id": "light.a", "name": None, "original_name": "A", "device_class": None, "hidden_by": None}
    of_registry = Entity.model_validate({**registry, "original_device_class": "outlet", "disabled_by": None})
    assert (of_registry.name, of_registry.device_class, of_registry.disabled) == ("A", "outlet", False)
    marked = Entity.model_validate({**registry, "disabled_by": "user", "hidden_by": "integration"})
    assert (marked.disabled, marked.hidden) == (True, True)
    chosen = Entity.model_validate({**registry, "device_class": "plug", "original_device_class": "outlet"})
    assert chosen.device_class == "plug", "a person's choice comes first"


@pytest.mark.parametrize(
    ("told", "read"),
    [("Motion", "motion"), ("garage door", "garage_door"), ("Garage-Door", "garage_door"), (" pm25 ", "pm25")],
)
def test_a_device_class_has_one_spelling(told: str, read: str) -> None:
    assert Entity.model_validate({"entity_id": "cover.a", "device_class": told}).device_class == read
    assert PatternRow.model_validate({**PATTERN, "device_class": told}).device_class == read


@pytest.mark.parametrize(
    "told",
    [
        "x\n- alias: y",
        "a\tb",
        "a\rb",
        "a\x85b",
        "a\u2028b",
        "{{ x }}",
        "#",
        "a:b",
        "a.b",
        "'",
        "bewegt\u202e",
        5,
        "a" * 300,
    ],
)
def test_what_is_no_device_class_is_counted(told: Any) -> None:
    report = LoadReport(where="x")
    for raw in ({"device_class": told}, {"original_device_class": told}, {"attributes": {"device_class": told}}):
        assert report.validate(Entity, {"entity_id": "sensor.a", **raw}, "entity", "entity 1") is None
    assert all("device_class: " in reason and reason.isascii() and reason.isprintable() for reason in report.reasons)


@pytest.mark.parametrize(
    "bad", ["sensor.a\n", "sen sor.a", "sensor\n.a", "s.a\x00b", "küche.lampe", "a.b.c", "sensor.a\u2028", ".a"]
)
def test_what_is_no_entity_id_is_counted(bad: str) -> None:
    # White space around an id was always taken off.
    fits = bad.strip() != bad and bad.strip().isascii()
    for model, raw in ((Entity, {"entity_id": bad}), (YamlRow, {**YAML, "entities": [bad]})):
        assert (LoadReport(where="x").validate(model, raw, "row", "row 1") is not None) == fits  # type: ignore[type-var]


@pytest.mark.parametrize("bad", ["a\nb", "a\tb", "a\x1b[31mb", "a\x85b", "a\u2028b", "half \ud83d"])
@pytest.mark.parametrize("key", ["area_id", "device_id"])
def test_an_id_has_no_control_character(bad: str, key: str) -> None:
    assert LoadReport(where="x").validate(Entity, {"entity_id": "light.a", key: bad}, "entity", "") is None
    assert LoadReport(where="x").validate(Synergy, {**PAIRS[0], "automation_id": bad}, "row", "") is None


def test_a_missing_key_is_told_with_those_that_are_there() -> None:
    report = LoadReport(where="x")
    report.validate(Synergy, {"from": "light.a", "to": "light.b", "score": 1}, "row", "row 1")
    report.validate(PromptRow, {"query": "q", "answer": "a"}, "row", "row 2")
    report.validate(PatternRow, {}, "row", "row 3")
    first, second, third = report.reasons
    assert (
        "; the row has from, to, score and needs entity_1 (or device1), entity_2 (or device2), confidence (or" in first
    )
    assert "suggestion: missing" in second
    assert "; the row has query, answer and needs query (or instruction), suggestion" in second
    assert "; the row has no keys and needs entity_id, pattern_type, confidence, occurrences" in third


# --- shapes of files ---


def as_lines(rows: list[Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in rows)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + as_lines(PAIRS[:1]) + "\ufeff" + as_lines(PAIRS[1:]),
        as_lines(PAIRS[:2]) + "\ufeff\n" + as_lines(PAIRS[2:]) + "\ufeff",
        "\n".join(json.dumps(pair, indent=2) for pair in PAIRS),
        "".join(map(json.dumps, PAIRS)),
        as_lines(PAIRS[:1]) + json.dumps(PAIRS[1]) + json.dumps(PAIRS[2], indent=4),
        ",\n".join(map(json.dumps, PAIRS)) + ",\n",
        "\r\n".join(map(json.dumps, PAIRS)),
        "\n\n \t\n" + "\n\n".join(map(json.dumps, PAIRS)),
        json.dumps(PAIRS),
        json.dumps(PAIRS, indent=1),
        json.dumps({"rows": PAIRS}),
    ],
)
def test_objects_in_lines_are_read_however_they_are_laid_out(write: Write, text: str) -> None:
    expected = homes(write("x.json", PAIRS))
    for name in ("x.jsonl", "x.ndjson", "x.txt"):
        assert homes(write(name, text)) == expected


def test_a_line_of_several_lines_is_named_by_its_first(write: Write) -> None:
    good = [json.dumps(row("light.a", f"light.l{n}"), indent=2) for n in range(20)]
    source = JsonSource(write("x.jsonl", "\n".join([*good[:2], '{\n  "entity_1": 5\n}', *good[2:]])))
    assert next(iter(source.read(Home))).rows == 20
    assert source.report.reasons[0].startswith("line 13: entity_1: 5 - expected")


def test_a_broken_object_over_lines_is_one_unusable_row(write: Write) -> None:
    good = [json.dumps(row("light.a", f"light.l{n}"), indent=2) for n in range(20)]
    source = JsonSource(write("x.jsonl", "\n".join([*good[:2], '{\n  "a": 1\n  "b": 2\n}', *good[2:]])))
    assert next(iter(source.read(Home))).rows == 20
    assert source.report.reasons == ["line 13: not JSON (Expecting ',' delimiter, at line 15 column 3)"]
    with pytest.raises(FormatError, match="the file is cut off here"):
        homes(write("x.jsonl", "\n".join(good)[:-20]))


@pytest.mark.parametrize("half", ['{"entity_1": "light.a"', '{"entity_1": "lig', '{"entity_1":', '{"a": tru', "{"])
def test_a_line_that_breaks_off_among_others_is_one_unusable_row(write: Write, half: str) -> None:
    good = [json.dumps(row("light.a", f"light.l{n}")) for n in range(20)]
    source = JsonSource(write("x.jsonl", "\n".join([*good[:2], half, *good[2:]]) + "\n"))
    assert next(iter(source.read(Home))).rows == 20
    assert source.report.rejected == {"row": 1}
    assert source.report.reasons[0].startswith(("line 3 column ", "line 3: not JSON ("))


@pytest.mark.parametrize(
    "name", ["data", "rows", "homes", "items", "records", "results", "synergy_rows", "gnn_synergy"]
)
def test_rows_one_level_down_are_read(write: Write, name: str) -> None:
    expected = homes(write("x.json", PAIRS))
    for outer in ({name: PAIRS}, {"version": 1, name: PAIRS, "count": 3, "tags": ["a"]}, {"result": {name: PAIRS}}):
        assert homes(write("x.json", outer)) == expected
    whole = [{"home_id": "a", "synergies": PAIRS[:1]}, {"home_id": "b", "synergies": PAIRS[1:]}]
    assert homes(write("x.json", {name: whole})) == homes(write("y.json", whole))
    assert homes(write("x.json", {"home_id": 7, name: PAIRS}))[0].home_id == "7"


def test_rows_one_level_down_are_named_by_their_place(write: Write) -> None:
    with pytest.raises(UnusableRowsError, match=r"data row 2: confidence: 7"):
        homes(write("x.json", {"data": [PAIRS[0], {**PAIRS[1], "confidence": 7}]}))


def test_several_lists_are_named_and_none_is_guessed(write: Write) -> None:
    with pytest.raises(FormatError, match=r"x\.json: is one object with the lists train, test; expected an array"):
        homes(write("x.json", {"train": PAIRS, "test": PAIRS}))
    assert homes(write("x.json", {"meta": [{"a": 1}], "data": PAIRS})) == homes(write("y.json", PAIRS))


def test_homes_and_rows_by_their_key_are_read(write: Write) -> None:
    read = homes(write("x.json", {"mine": {"synergies": PAIRS[:1]}, "yours": {"synergies": PAIRS[1:]}}))
    assert [(home.home_id, home.rows) for home in read] == [("mine", 1), ("yours", 2)]
    assert homes(write("x.json", {str(n): pair for n, pair in enumerate(PAIRS)})) == homes(write("y.json", PAIRS))


def columns_of(rows: list[dict[str, Any]]) -> dict[str, list[Any]]:
    return {key: [item[key] for item in rows] for key in rows[0]}


def test_tables_column_by_column_are_read(write: Write) -> None:
    expected = homes(write("x.json", PAIRS))
    columns = columns_of(PAIRS)
    numbered = {key: {str(n): value for n, value in enumerate(values)} for key, values in columns.items()}
    split = {"columns": list(columns), "index": [0, 1, 2], "data": [list(pair.values()) for pair in PAIRS]}
    schema = {"schema": {"fields": [{"name": "entity_1"}]}, "data": PAIRS}
    for table in (columns, numbered, split, schema, {"data": columns}, {"version": 1, **columns}):
        assert homes(write("x.json", table)) == expected
    patterns = [{**PATTERN, "ground_truth": {"expected_pattern": "sequence"}} for _ in range(3)]
    path = str(write("p.json", columns_of(patterns)))
    assert sum(pattern.genuine is True for pattern in open_source(json_input=path).read(PatternRow)) == 3
    prompts = columns_of([{"query": f"q{n}", "suggestion": {"text": "s"}} for n in range(4)])
    path = str(write("q.json", prompts))
    assert [prompt.query for prompt in open_source(json_input=path).read(PromptRow)] == ["q0", "q1", "q2", "q3"]


def test_columns_of_different_lengths_are_named_as_such(write: Write) -> None:
    with pytest.raises(FormatError, match=r"x\.json: is one object of columns with 2 and 3 values"):
        homes(write("x.json", {**columns_of(PAIRS), "confidence": [1, 1]}))


def test_home_assistants_own_files_never_end_in_a_missing_entity_1(write: Write) -> None:
    registry = {"entity_id": "binary_sensor.hall", "original_device_class": "motion", "disabled_by": None}
    storage = {"version": 1, "key": "core.entity_registry", "data": {"entities": [registry], "deleted_entities": []}}
    (stored,) = homes(write("x.json", storage))
    (states,) = homes(write("y.json", [{"entity_id": "binary_sensor.hall", "attributes": {"device_class": "motion"}}]))
    assert stored == states
    assert [entity.device_class for entity in stored.entities] == ["motion"]
