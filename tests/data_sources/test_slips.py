"""What a person mistypes in data written by hand is said in notes, with its place and what may be meant."""

from __future__ import annotations

import json
import pickle
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, row

from data_sources import (
    RECORDS,
    DataSourceError,
    Home,
    HomeBuilder,
    LoadReport,
    PatternRow,
    Shard,
    YamlRow,
    open_source,
)
from data_sources.nearest import all_near, nearest, nearest_key
from data_sources.slips import GHOSTS_LOOKED_UP, NOTES_KEPT, Slips

Write = Callable[[str, Any], Path]


def a_home(**changed: Any) -> dict[str, Any]:
    return {
        "home_id": "mine",
        "areas": [{"area_id": "hall"}, {"area_id": "attic"}],
        "entities": [
            {"entity_id": "binary_sensor.hall_motion", "device_class": "motion", "area_id": "hall"},
            {"entity_id": "light.hall", "name": "Hall light", "area_id": "hall"},
        ],
        "synergies": [row("binary_sensor.hall_motion", "light.hall")],
    } | changed


def with_entity(**changed: Any) -> dict[str, Any]:
    return a_home(entities=[*a_home()["entities"], {"entity_id": "light.attic"} | changed])


def renamed(raw: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in raw.items()}


def notes_of(data_source: str, kind: str = Home.kind) -> list[str]:
    source = open_source(data_source=data_source, kind=kind)
    list(source.read(RECORDS[kind]))
    return source.report.notes


@pytest.mark.parametrize(
    ("raw", "note"),
    [
        (renamed(a_home(), "entities", "entites"), 'row 1 (home mine): unknown key "entites": did you mean entities?'),
        (renamed(a_home(), "synergies", "synergy"), 'unknown key "synergy": did you mean synergies?'),
        (renamed(a_home(), "areas", "Areas"), 'unknown key "Areas": did you mean areas?'),
        (with_entity(deviceclass="x"), 'row 1 entity 3 (home mine): unknown key "deviceclass": did you mean device_cl'),
        (with_entity(area="attic"), 'unknown key "area": did you mean area_id?'),
        (with_entity(naem="Attic"), 'unknown key "naem": did you mean name?'),
        (
            with_entity(entity_category="diagnostc"),
            'entity_category "diagnostc" is not known: did you mean diagnostic?',
        ),
        (with_entity(entity_id="ligth.attic"), 'domain "ligth" is not known: did you mean light?'),
        (
            with_entity(entity_id="binary_sensor.x", device_class="moton"),
            'device_class "moton" is not known: did you mean motion?',
        ),
        (with_entity(area_id="atic"), 'light.attic: area "atic" is not among the home\'s areas: did you mean attic?'),
        (with_entity(area_id="cellar"), 'light.attic: area "cellar" is not among the home\'s areas'),
        (
            with_entity(area_id="Upper floor") | {"areas": ["hall", {"area_id": "u1", "name": "Upper Floor"}]},
            'area "Upper floor" is not among the home\'s areas: did you mean u1?',
        ),
        (
            with_entity(area_id="Uper floor") | {"areas": ["hall", {"area_id": "u1", "name": "Upper Floor"}]},
            'area "Uper floor" is not among the home\'s areas: did you mean u1?',
        ),
        (
            with_entity(device_id="Hall lamp") | {"devices": [{"device_id": "d7", "name": "Hall Lamp"}]},
            'device "Hall lamp" is not among the home\'s devices: did you mean d7?',
        ),
        (
            a_home(synergies=[row("binary_sensor.hall_motion", "light.hal")]),
            "row 1 (home mine): synergy 1 names light.hal, which is no entity of the home: did you mean light.hall?",
        ),
        (
            a_home(synergies=[row("binary_sensor.hall_motion", "light.hall", automationid="a")]),
            'synergy 1 (home mine): unknown key "automationid": did you mean automation_id?',
        ),
        (
            a_home(synergies=[row("binary_sensor.hall_motion", "light.hall", relationship={"directon": "x"})]),
            'unknown key "relationship.directon": did you mean direction?',
        ),
        (
            a_home(
                synergies=[row("binary_sensor.hall_motion", "light.hall", relationship={"direction": "bidirectonal"})]
            ),
            'direction "bidirectonal" is not known: did you mean bidirectional?',
        ),
        (
            a_home(devices=[{"device_id": "d", "area": "hall"}]),
            'device 1 (home mine): unknown key "area": did you mean',
        ),
        (
            with_entity(device_id="hall_lmap") | {"devices": [{"device_id": "hall_lamp"}]},
            'light.attic: device "hall_lmap" is not among the home\'s devices: did you mean hall_lamp?',
        ),
    ],
)
def test_a_slip_in_a_home_is_told_with_its_place(write: Write, raw: dict[str, Any], note: str) -> None:
    path = write("homes.json", raw)
    (found,) = notes_of(str(path))
    assert found.startswith(f"{path}: ")
    assert note in found


@pytest.mark.parametrize("name", ["homes.json", "homes.jsonl"])
def test_each_home_of_a_file_is_named(write: Write, name: str) -> None:
    other = a_home(home_id="other", synergies=[row("binary_sensor.hall_motion", "light.hal")])
    (note,) = notes_of(str(write(name, [a_home(), other])))
    assert "(home other): synergy 1 names light.hal" in note


def test_a_home_without_slips_and_with_unknown_keys_has_no_note(write: Write) -> None:
    raw = with_entity(state="on", icon="mdi:lamp", unique_id="7", platform="hue", entity_id="alarmo.attic")
    raw |= {"name": "My home", "version": 3, "synergies": [row("light.hall", "light.garage_2", prediction={}, id=3)]}
    assert notes_of(str(write("homes.json", raw))) == []


def test_rows_that_repeat_a_pair_are_looked_at_too(write: Write) -> None:
    rows = [row("light.a", "light.b"), row("light.a", "light.b"), row("light.a", "light.b", automation="x")]
    array, lines = write("rows.json", rows), write("rows.jsonl", [])
    lines.write_text("".join(f"{json.dumps(one)}\n" for one in rows), encoding="utf-8")
    for path, place in ((array, "row 3"), (lines, "line 3")):
        assert notes_of(str(path)) == [f'{path}: {place}: unknown key "automation": did you mean automation_id?']


@pytest.mark.parametrize(
    ("kind", "raw", "note"),
    [
        (
            "pattern_detection",
            {"ground_thruth": {}},
            'row 1: unknown key "ground_thruth": did you mean ground_truth?',
        ),
        (
            "pattern_detection",
            {"ground_truth": {"expected_patern": "none"}},
            'unknown key "ground_truth.expected_patern": did you mean expected_pattern?',
        ),
        (
            "pattern_detection",
            {"ground_truth": {"expected_pattern": "time_of_dya"}},
            'expected_pattern "time_of_dya" is not known: did you mean time_of_day?',
        ),
        ("soft_prompt", {"qualityscore": 1}, 'unknown key "qualityscore": did you mean quality_score?'),
        ("yaml_generation", {"entites": ["light.a"]}, 'unknown key "entites": did you mean entities?'),
        (
            "yaml_generation",
            {"validation_result": {"isvalid": 1}},
            '"validation_result.isvalid": did you mean is_valid?',
        ),
    ],
)
def test_a_slip_in_a_row_of_another_kind_is_told(write: Write, kind: str, raw: dict[str, Any], note: str) -> None:
    rich = json.loads((ROOT / f"docs/schemas/examples/{kind}.smallest.json").read_text(encoding="utf-8"))
    rich = rich[0] if isinstance(rich, list) else rich
    path = write("rows.json", [rich | raw])
    (found,) = notes_of(str(path), kind)
    assert note in found
    assert notes_of(str(write("rows.json", [rich | {"created_at": 1, "pattern_id": 2, "metrics": {}}])), kind) == []


def test_a_column_that_is_misspelt_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.db"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE gnn_synergy (home_id, entities, synergys)")
        database.execute("INSERT INTO gnn_synergy VALUES ('a', '[{\"entity_id\": \"light.hall\"}]', '[]')")
        database.execute("CREATE TABLE pattern_detection (entity_id, pattern_type, confidence, occurrences, homeid)")
        database.execute("INSERT INTO pattern_detection VALUES ('light.a', 'session', 0.5, 3, 'x')")
        database.execute("CREATE TABLE yaml_generation (imput, output)")
        database.commit()
    url = f"sqlite:///{path}"
    assert notes_of(url) == [f'{url}: table gnn_synergy: unknown column "synergys": did you mean synergies?']
    (note,) = notes_of(url, PatternRow.kind)
    assert note == f'{url}: table pattern_detection: unknown column "homeid": did you mean home_id?'
    with pytest.raises(DataSourceError, match=r"has no column input, only: imput, output; is imput misspelt\?"):
        notes_of(url, YamlRow.kind)


def test_the_first_slips_are_told_and_the_others_counted(write: Write) -> None:
    entities = [{"entity_id": f"light.l{number}", "area_id": f"nowhere {number}"} for number in range(12)]
    path = write("homes.json", a_home(entities=entities, synergies=[]))
    notes = notes_of(str(path))
    assert len(notes) == NOTES_KEPT + 1
    assert notes[-1] == f"{path}: 7 more of what may be mistyped"


def test_references_of_the_first_records_are_looked_at_and_their_slips_are_counted_without_being_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("data_sources.slips.LOOKED_AT", 1_000)
    slips = Slips()
    report = LoadReport(where="x", slips=slips)
    for number in range(3):
        builder = HomeBuilder(report, f"h{number}")
        builder.add_places(["hall"], [])
        for entity in range(500):
            builder.add_entity({"entity_id": f"light.l{entity}", "area_id": f"nowhere {entity}"}, "")
        builder.look_at_references()
    assert list(slips.notes("x"))[-1] == f"x: {1_000 - NOTES_KEPT} more of what may be mistyped"
    assert len(pickle.dumps(slips)) < 3_000


def test_a_record_of_very_many_keys_is_not_looked_at(write: Write) -> None:
    raw = {"entities": [], "synergie": 1} | {f"own {number}": 1 for number in range(2_000)}
    assert notes_of(str(write("homes.json", [a_home(), raw]))) == []


def test_rows_with_a_strange_key_are_merged_as_fast_as_others(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    validate = LoadReport.validate
    monkeypatch.setattr(LoadReport, "validate", lambda *given: seen.append(given[2]) or validate(*given))
    rows = [row("light.a", "light.b", 0.25 + 0.001 * number, automation="x") for number in range(200)]
    for name in ("rows.json", "rows.jsonl"):
        seen.clear()
        path = write(name, rows)
        assert len(notes_of(str(path))) == 1
        assert len(seen) == 1, "the others repeat its content"


@pytest.mark.parametrize("count", [2, 8])
def test_processes_that_read_one_file_tell_its_slips_as_one_does(
    write: Write, caplog: pytest.LogCaptureFixture, count: int
) -> None:
    homes = [
        with_entity(area_id=f"nowhere {number}", deviceclass="x", entity_category="diagnostc")
        | {"home_id": f"h{number}"}
        for number in range(24)
    ]
    path = str(write("homes.json", homes))
    alone = notes_of(path)
    assert alone[-1] == f"{path}: 21 more of what may be mistyped", "24 areas, and two slips that are always the same"
    caplog.clear()
    sources = [open_source(data_source=path, shard=Shard(index, count)) for index in range(count)]
    for source in sources:
        list(source.read(Home))
    assert [source.report.notes for source in sources] == [[]] * count, "no part knows what the others found"
    sources[0].check_together([source.report for source in sources])
    notes = sources[0].report.notes
    assert len(notes) == NOTES_KEPT + 1
    assert notes[-1] == alone[-1]
    assert sum("deviceclass" in note for note in notes) == 1
    assert [record.getMessage() for record in caplog.records] == [f"Note: {note}" for note in notes]


def test_looking_for_slips_is_bounded() -> None:
    slips = Slips()
    report = LoadReport(where="x", slips=slips)
    for number in range(3):
        builder = HomeBuilder(report, f"h{number}")
        builder.add_entity({"entity_id": "light.abcdefgh"}, "")
        letters = [chr(97 + a) + chr(97 + b) for a in range(26) for b in range(26)]
        for pair in letters[: GHOSTS_LOOKED_UP + 10]:
            builder.add_row(row("light.abcdefgh", f"light.abcdefg{pair}"), "")
        builder.look_at_references()
    assert len(list(slips.notes("x"))) == NOTES_KEPT + 1
    assert f"{GHOSTS_LOOKED_UP - NOTES_KEPT} more" in list(slips.notes("x"))[-1]


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("light.hall_1", ["light.hall_2"], None),
        ("sensor.bath_a_temperature", ["sensor.bath_b_temperature"], None),
        ("light.office_l", ["light.office_r", "light.office_ll"], None),
        ("light.bath_a", ["light.batha"], "light.batha"),
        ("sensor.power_phase_a", ["sensor.power_phse_a", "sensor.power_phase_b"], "sensor.power_phse_a"),
        ("sensor.garden_temperature_min", ["sensor.garden_temperature_max"], None),
        ("sensor.grid_import_energy", ["sensor.grid_export_energy"], None),
        ("light.living_room", ["light.dining_room"], None),
        ("light.bathrom_ceiling", ["light.bathroom_ceiling"], "light.bathroom_ceiling"),
        ("entity_di", ["entity_id"], "entity_id"),
        ("light.hal", ["light.hall", "light.kitchen"], "light.hall"),
        ("lihgt", ["light"], "light"),
        ("x" * 1_000, ["x" * 999], None),
        ("", ["a"], None),
        ("light", ["light"], None),
    ],
)
def test_words_are_near_by_few_slips_and_never_by_a_number(word: str, known: list[str], meant: str | None) -> None:
    assert nearest(word, known) == meant


def test_a_list_of_near_words_has_the_nearest_first_and_no_other_word() -> None:
    known = ["light.hall_1", "light.hall_2", "light.hal_2", "light.kitchen_2", "light.hall"]
    assert all_near("light.halll_2", known, 3) == ["light.hall_2", "light.hal_2"]
    assert all_near("light.halll_2", known, 1) == ["light.hall_2"]
    assert all_near("Living", ["Living Room", "Kitchen"], 3) == ["Living Room"], "half of it may be missing"
    assert all_near("light.hall_3", known, 3) == []


@pytest.mark.parametrize(
    ("key", "meant"),
    [("area", "area_id"), ("areas", "area_id"), ("device-id", "device_id"), ("state", None), ("id", None)],
)
def test_a_key_may_lack_its_ending(key: str, meant: str | None) -> None:
    assert nearest_key(key, ["area_id", "device_id", "name"]) == meant
