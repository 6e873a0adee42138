"""Home Assistant's registries: every version, shown names, places, and files that cannot be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from ha_folder import device, entity, small_home, stored, write_files, write_registry

from home_assistant.installation import Installation
from home_assistant.registries import (
    NewerVersionError,
    area_rows,
    entity_rows,
    home_id_of,
    migrate,
    read_registries,
    read_restored,
    shown_name,
)


def read(folder: Path) -> Installation:
    installation = Installation()
    read_registries(folder / ".storage", installation)
    return installation


def rows_of(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["entity_id"]: row for row in entity_rows(read(folder))}


def test_entities_are_joined_with_devices_areas_and_labels(tmp_path: Path) -> None:
    rows = rows_of(small_home(tmp_path))
    motion = rows["binary_sensor.hall_motion"]
    assert motion["name"] == "Hall detector Motion"
    assert (motion["area_id"], motion["device_class"], motion["labels"]) == ("hall", "motion", ["night"])
    assert rows["sensor.hall_motion_battery"]["name"] == "Hall detector"
    assert rows["sensor.hall_motion_battery"]["entity_category"] == "diagnostic"
    assert rows["light.hall"]["supported_features"] == 44
    assert rows["light.attic"]["disabled"]
    assert rows["switch.spare"]["hidden"]


def test_a_part_of_a_device_is_where_the_device_is_and_has_its_own_labels(tmp_path: Path) -> None:
    outlet = rows_of(small_home(tmp_path))["switch.outlet"]
    assert (outlet["area_id"], outlet["name"]) == ("kitchen", "Outlet 1")
    assert "labels" not in outlet


def test_an_entity_of_a_disabled_device_is_disabled(tmp_path: Path) -> None:
    write_registry(tmp_path, "device", [device("d", disabled_by="user")])
    write_registry(tmp_path, "entity", [entity("light.a", device_id="d")])
    assert rows_of(tmp_path)["light.a"]["disabled"]


@pytest.mark.parametrize(
    ("of_entity", "of_device", "shown"),
    [
        ({"has_entity_name": True, "original_name": "Power"}, {"name": "Kettle"}, "Kettle Power"),
        ({"has_entity_name": True}, {"name": "Kettle"}, "Kettle"),
        ({"has_entity_name": True, "original_name": "Power"}, {"name": "X", "name_by_user": "Pot"}, "Pot Power"),
        ({"has_entity_name": True, "original_name": "Kettle power"}, {"name": "Kettle"}, "Kettle Kettle power"),
        ({"original_name": "Kettle power"}, {"name": "Kettle"}, "Kettle Power"),
        ({"original_name": "Kettle: WiFi level"}, {"name": "Kettle"}, "Kettle WiFi level"),
        ({"original_name": "Kettles"}, {"name": "Kettle"}, "Kettle Kettles"),
        ({"original_name": "Kettle"}, {"name": "Kettle"}, "Kettle"),
        ({"original_name": "Straße 1"}, {"name": "STRASSE"}, "STRASSE 1"),
        ({"name": "Boiler", "original_name": "Power"}, {"name": "Kettle"}, "Kettle Boiler"),
        ({"name": "Boiler", "compat_name": "Old boiler"}, {"name": "Kettle"}, "Old boiler"),
        ({"name": "", "original_name": "Power"}, {"name": "Kettle"}, "Kettle"),
        ({"original_name": "Lamp"}, None, "Lamp"),
        ({}, None, None),
        ({}, {"name": None}, None),
    ],
)
def test_names_are_those_that_home_assistant_shows(
    of_entity: dict[str, Any], of_device: dict[str, Any] | None, shown: str | None
) -> None:
    devices = {} if of_device is None else {"d": device("d", **of_device)}
    assert shown_name(entity("sensor.x", device_id="d", **of_entity), devices) == shown


@pytest.mark.parametrize(
    ("minor", "row", "name", "device_class"),
    [
        (None, {"name": "Kettle power", "device_class": "power"}, "Kettle Power", "power"),
        (2, {"name": None, "original_name": "Power", "device_class": "power"}, "Kettle Power", "power"),
        (
            5,
            {"original_name": "Power", "device_class": "wrong", "original_device_class": "power"},
            "Kettle Power",
            "power",
        ),
        (21, {"name": "Kettle Boiler", "name_v2": "Boiler"}, "Kettle Boiler", None),
        (21, {"name": "Kettle Boiler", "name_v2": "Pot"}, "Kettle Pot", None),
        (23, {"name": "Boiler"}, "Boiler", None),
        (23, {"name": "Kettle boiler", "area_id": "hall"}, "Kettle boiler", None),
        (24, {"name": "Boiler"}, "Kettle Boiler", None),
        (99, {"name": "Boiler", "a_new_key": 1}, "Kettle Boiler", None),
    ],
)
def test_rows_of_every_version_are_read(
    tmp_path: Path, minor: int | None, row: dict[str, Any], name: str, device_class: str | None
) -> None:
    old = {"entity_id": "sensor.kettle_power", "device_id": "d", "platform": "x", "unique_id": "1", **row}
    write_registry(tmp_path, "device", [{"id": "d", "name": "Kettle", "hub_device_id": None}], (1, None))
    write_registry(tmp_path, "entity", [old], (1, minor))
    found = rows_of(tmp_path)["sensor.kettle_power"]
    assert (found["name"], found.get("device_class")) == (name, device_class)


@pytest.mark.parametrize("version", [(1, None), (1, 1), (1, 12), (2, 1), (3, 4), (3, 9)])
def test_device_registries_of_each_version_place_their_entities(
    tmp_path: Path, version: tuple[int, int | None]
) -> None:
    write_registry(tmp_path, "device", [{"id": "d", "name": "Kettle", "area_id": "k"}], version)
    write_registry(tmp_path, "entity", [entity("switch.kettle", device_id="d")])
    assert rows_of(tmp_path)["switch.kettle"]["area_id"] == "k"


@pytest.mark.parametrize(
    ("name", "version"), [("entity", (2, 1)), ("device", (4, 1)), ("area", (2, 0)), ("label", (9, 9))]
)
def test_a_newer_major_version_is_refused_by_name(tmp_path: Path, name: str, version: tuple[int, int]) -> None:
    small_home(tmp_path)
    write_registry(tmp_path, name, [], version)
    with pytest.raises(
        NewerVersionError, match=rf"core\.{name}_registry: has version {version[0]}\.{version[1]}, and only"
    ):
        read(tmp_path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\0" * 4096, "holds NUL bytes only"),
        (b'{"version": 1, "data": {"areas": [' + b"\0" * 100, "holds NUL bytes, as a file does after a power cut"),
        (b'{"version": 1, "data": {"areas": [{"id": "ha', "is cut off at line 1"),
        (b'{"version": 1, "data": {"areas": [tru', "is cut off at line 1"),
        (b"\0GITCRYPT\0abc", "is encrypted by git-crypt"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "is a pointer of git-lfs"),
        (b"\xff\xfe{", "is not UTF-8 text"),
        (b'{"version": 1} x', "is not JSON"),
        (b"[" * 100_000, "is nested too deep"),
        (b"[1, 2]", "is JSON, but no file of Home Assistant's .storage"),
        (b'{"version": "one", "data": {}}', "its version is 'one'.'1'"),
        (b'{"version": 1, "data": {}}', "has no list of areas"),
        (b'{"version": 1, "data": null}', "has no list of areas"),
        (b'{"version": 1, "key": "core.x", "data": {"areas": []}}', "holds 'core.x' and not core.area_registry"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_read(tmp_path: Path, content: bytes, told: str) -> None:
    small_home(tmp_path)
    (tmp_path / ".storage" / "core.area_registry").write_bytes(content)
    installation = read(tmp_path)
    (note,) = installation.notes
    assert note.startswith(f"core.area_registry: {told}")
    assert installation.problems["unreadable file"] == 1
    assert (len(installation.entities), installation.areas) == (7, [])


def test_rows_that_are_none_are_counted(tmp_path: Path) -> None:
    write_registry(tmp_path, "entity", [entity("light.a"), None, {}, {"entity_id": 7}, "light.b", {"entity_id": ""}])  # type: ignore[list-item]
    installation = read(tmp_path)
    assert [row["entity_id"] for row in installation.entities] == ["light.a"]
    assert installation.problems["unusable registry row"] == 5
    assert "core.entity_registry: entities 2, 3, 4 and 2 more left out: no entity_id" in installation.notes


def test_an_id_that_cannot_be_used_is_shown(tmp_path: Path) -> None:
    odd, long = entity("light.{{ x }}\n"), entity("light." + "x" * 300)
    for rows, told in (
        ([odd, long], r"2, 3 left out: entity_id cannot be used ('light.{{ x }}\n', ...)"),
        ([long], f"2 left out: entity_id cannot be used ('light.{'x' * 50}'...)"),
        ([{}, odd], r"2, 3 left out: no entity_id, or one that cannot be used ('light.{{ x }}\n')"),
    ):
        write_registry(tmp_path, "entity", [entity("light.a"), *rows])
        assert f"core.entity_registry: entities {told}" in read(tmp_path).notes


def test_values_of_odd_types_do_not_stop_the_reading(tmp_path: Path) -> None:
    odd = entity(
        "light.a", area_id=["x"], device_id={"a": 1}, labels="night", name=3, original_name=[], capabilities=[1]
    )
    write_registry(tmp_path, "device", [device("d", labels=None, parent_device_id=[1])])
    write_registry(tmp_path, "entity", [odd, entity("light.b", device_id="d")])
    assert [row["entity_id"] for row in entity_rows(read(tmp_path))] == ["light.a", "light.b"]


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("K\xfcche \U0001f468\u200d\U0001f373", True),
        ("two\nlines", True),
        ("a\xa0b", True),
        ("\ud83d", False),
        (7, False),
    ],
)
def test_a_value_that_is_none_costs_neither_the_area_nor_the_entity(tmp_path: Path, value: Any, kept: bool) -> None:
    write_registry(tmp_path, "area", [{"id": "a", "name": value}])
    row = entity("light.a", name=value, area_id="a", original_device_class=["x"])
    write_registry(tmp_path, "entity", [row, entity("two\nlines.x"), entity("nothing")])
    installation = read(tmp_path)
    assert [row["name"] for row in area_rows(installation)] == [value if kept else None]
    (found,) = entity_rows(installation)
    assert (found.get("name"), found["area_id"]) == (value if kept else None, "a")
    assert installation.problems["unusable registry row"] == 2


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    home = small_home(tmp_path / "home")
    secret = tmp_path / "elsewhere"
    secret.write_text(stored("core.area_registry", {"areas": [{"id": "cellar"}]}))
    for name, target in (("area", secret), ("label", tmp_path / "nowhere")):
        link = home / ".storage" / f"core.{name}_registry"
        link.unlink()
        link.symlink_to(target)
    installation = read(home)
    assert installation.areas == installation.labels == []
    assert [note.partition(": ")[2] for note in installation.notes] == [
        "is a link that leads out of the folder; it is not followed",
        "is a link to a file that is missing",
    ]


def test_missing_registries_of_old_homes_are_named_where_every_home_has_them(tmp_path: Path) -> None:
    write_registry(tmp_path, "entity", [entity("light.a")])
    installation = read(tmp_path)
    assert installation.notes == ["core.device_registry: is missing, so its devices are not known"]


STATES = {
    "light.a": {"brightness": 3, "effect_list": ["rainbow"], "color_mode": "hs", "supported_features": 4},
    "input_number.x": {"min": 1.0, "max": 5.0, "step": 0.5, "mode": "slider", "editable": True},
    "humidifier.x": {"available_modes": ["eco"], "mode": "eco", "supported_features": 1},
    "lock.x": {"code_format": "number", "changed_by": "Ann", "supported_features": 0},
}


def test_capabilities_are_what_actions_may_ask_for_and_never_what_changes() -> None:
    rows = {row["entity_id"]: row for row in entity_rows(Installation(states=dict(STATES)))}
    assert {entity_id: row["capabilities"] for entity_id, row in rows.items()} == {
        "humidifier.x": {"available_modes": ["eco"]},
        "input_number.x": {"min": 1.0, "max": 5.0, "step": 0.5, "mode": "slider"},
        "light.a": {"effect_list": ["rainbow"]},
        "lock.x": {"code_format": "number"},
    }
    assert (rows["light.a"]["supported_features"], rows["lock.x"]["supported_features"]) == (4, 0)


def test_beside_a_registry_only_what_the_recorder_keeps_is_taken_from_states(tmp_path: Path) -> None:
    write_registry(
        tmp_path,
        "entity",
        [
            entity("select.mode", capabilities={"options": ["a", "b"]}),
            entity(
                "light.a", capabilities={"supported_color_modes": ["hs"], "effect_list": None}, supported_features=4
            ),
            entity("sensor.a", capabilities={"state_class": "measurement"}),
        ],
    )
    installation = read(tmp_path)
    installation.states.update(STATES)
    rows = {row["entity_id"]: row for row in entity_rows(installation)}
    assert {entity_id: row.get("capabilities") for entity_id, row in rows.items()} == {
        "humidifier.x": None,
        "input_number.x": None,
        "light.a": {"supported_color_modes": ["hs"]},
        "lock.x": {"code_format": "number"},
        "select.mode": {"options": ["a", "b"]},
        "sensor.a": None,
    }
    features = {entity_id: row.get("supported_features") for entity_id, row in rows.items()}
    assert features == {**dict.fromkeys(rows), "light.a": 4}


def test_what_only_a_state_names_is_an_entity_too(tmp_path: Path) -> None:
    installation = read(small_home(tmp_path))
    installation.states["sun.sun"] = {"friendly_name": "Sun"}
    installation.states["cover.a"] = {"device_class": "garage"}
    rows = {row["entity_id"]: row for row in entity_rows(installation)}
    assert rows["sun.sun"]["name"] == "Sun"
    assert rows["cover.a"]["device_class"] == "garage"


def test_saved_states_fill_in_where_no_newer_one_is_known(tmp_path: Path) -> None:
    saved = [
        {"state": {"entity_id": "light.hall", "attributes": {"friendly_name": "old"}}},
        {"state": {"entity_id": "Timer.Tea", "attributes": None}},
        {"state": None},
    ]
    write_files(tmp_path, {".storage/core.restore_state": stored("core.restore_state", saved)})
    installation = Installation(states={"light.hall": {"friendly_name": "new"}})
    read_restored(tmp_path / ".storage", installation)
    assert installation.states == {"light.hall": {"friendly_name": "new"}, "timer.tea": {}}
    only_known = Installation()
    read_restored(tmp_path / ".storage", only_known, only={"light.hall"})
    assert list(only_known.states) == ["light.hall"]


def test_the_api_names_an_entity_by_its_state(tmp_path: Path) -> None:
    installation = read(small_home(tmp_path))
    over_api = Installation(devices=list(installation.devices))
    over_api.states["light.hall"] = {"friendly_name": "My lamp"}
    over_api.entities += [{**entity("light.hall", name="Lamp"), "device_id": "d-motion", "next_name_part": "device"}]
    migrate(over_api, None)
    assert [row["name"] for row in entity_rows(over_api)] == ["My lamp"]


def test_rows_of_the_api_are_named_as_those_of_the_file(tmp_path: Path) -> None:
    installation = read(small_home(tmp_path))
    over_api = Installation(devices=list(installation.devices))
    # The API has taken the device's name out of an entity's, and says no has_entity_name.
    for row in installation.entities:
        kept = {key: row[key] for key in ("entity_id", "device_id", "area_id", "name", "original_name")}
        over_api.entities.append({**kept, "next_name_part": None})
    migrate(over_api, None)
    names = [[row.get("name") for row in entity_rows(home)] for home in (installation, over_api)]
    assert names[0] == names[1]


def test_the_id_of_a_home_stays_when_entities_come_and_tells_no_name(tmp_path: Path) -> None:
    installation = read(small_home(tmp_path))
    first = home_id_of(installation)
    assert first is not None
    assert re.fullmatch("home-[0-9a-f]{8}", first)
    installation.entities.append(entity("light.new", id="0" * 32, created_at="2027-01-01T00:00:00+00:00"))
    assert home_id_of(installation) == first
    for row in installation.entities:  # as the API writes the time
        assert isinstance(row, dict)
        row["created_at"] = 1.0 if row["entity_id"] != "light.new" else 2.0
    assert home_id_of(installation) == first
    assert home_id_of(Installation()) is None
