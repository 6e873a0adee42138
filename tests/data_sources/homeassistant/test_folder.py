"""Home Assistant's files as a source: a folder, one file, saved answers, and what is refused by name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ha_folder import device, entity, small_home, stored, write_files, write_registry
from pytest_httpserver import HTTPServer
from support import ROOT, call, call_process, row

from data_sources import (
    DataSourceError,
    FormatError,
    Home,
    NoRecordsError,
    NotFoundError,
    PatternRow,
    PromptRow,
    SourceNotAvailableError,
    YamlRow,
    open_source,
)
from data_sources.base import NoRowsError
from home_synergy.cli import main
from simulation.habits import DAY, HOUR, START, USERS, Change
from simulation.recorder import write_recorder
from training.suggestions.command import suggest

AUTOMATIONS = """
- id: '1'
  alias: Hall lamp when somebody comes
  triggers:
  - trigger: state
    entity_id: binary_sensor.hall_motion
    to: 'on'
  actions:
  - action: light.turn_on
    target:
      entity_id: light.hall
- id: '2'
  alias: Off
  description: Kitchen off at night
  initial_state: false
  triggers:
  - trigger: state
    entity_id: light.hall
  actions:
  - action: light.turn_off
    target:
      area_id: kitchen
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    folder = small_home(tmp_path / "config")
    configuration = "automation: !include automations.yaml"
    return write_files(folder, {"automations.yaml": AUTOMATIONS, "configuration.yaml": configuration})


def home_of(**given: Any) -> Home:
    (home,) = open_source(**given).read(Home)
    return home


def pairs_of(home: Home) -> list[tuple[str, str]]:
    return [(synergy.trigger, synergy.action) for synergy in home.synergies]


SPELLINGS: list[Callable[[Path], dict[str, str]]] = [
    lambda folder: {"data_source": f"homeassistant:{folder}"},
    lambda folder: {"data_source": f"homeassistant://{folder}"},
    lambda folder: {"data_source": f"HomeAssistant:{folder}/"},
    lambda folder: {"data_source": str(folder)},
    lambda folder: {"json_input": str(folder)},
]


@pytest.mark.parametrize("spelt", SPELLINGS)
def test_a_configuration_folder_is_read_however_it_is_given(
    config: Path, spelt: Callable[[Path], dict[str, str]]
) -> None:
    home = home_of(**spelt(config))
    assert len(home.entities) == 6
    assert {area.area_id: area.floor_id for area in home.areas} == {"hall": "ground", "kitchen": "ground"}
    assert home.disabled == 1
    assert pairs_of(home) == [("binary_sensor.hall_motion", "light.hall")]
    assert home.turned_off == (("light.hall", "light.kitchen"),)


def test_a_relative_path_and_a_home_folder_are_found(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(config.parent)
    monkeypatch.setenv("HOME", str(config.parent))
    assert home_of(data_source="homeassistant:config") == home_of(data_source="homeassistant:~/config")


def test_the_storage_folder_alone_gives_the_entities(config: Path) -> None:
    home = home_of(json_input=str(config / ".storage"))
    assert (len(home.entities), len(home.areas), home.synergies) == (6, 2, ())


def test_a_folder_without_registries_gives_what_its_automations_name(tmp_path: Path) -> None:
    write_files(tmp_path, {"automations.yaml": AUTOMATIONS})
    source = open_source(json_input=str(tmp_path))
    (home,) = source.read(Home)
    assert pairs_of(home) == [("binary_sensor.hall_motion", "light.hall")]
    assert any(".storage: is missing" in note for note in source.report.notes)


def answers(config: Path) -> dict[str, Any]:
    """What the API of the home would answer, by a name that says nothing."""
    data = {
        name: json.loads((config / ".storage" / f"core.{name}_registry").read_text())["data"]
        for name in ("entity", "device", "area", "floor", "label")
    }
    entities, devices = data["entity"]["entities"], data["device"]["devices"]
    children = data["device"]["child_devices"]
    short = ("entity_id", "platform", "unique_id", "area_id", "device_id", "disabled_by", "hidden_by", "name")
    return {
        "entities": [{key: row[key] for key in short} for row in entities],
        "entries": {row["entity_id"]: row for row in entities},
        "devices": [*devices, *children],
        "areas": [{**row, "area_id": row["id"], "picture": None} for row in data["area"]["areas"]],
        "floors": data["floor"]["floors"],
        "labels": [{**row, "color": None} for row in data["label"]["labels"]],
        "states": [
            {"entity_id": "light.hall", "state": "on", "attributes": {"friendly_name": "Hall lamp"}},
            {"entity_id": "sun.sun", "state": "up", "attributes": {"friendly_name": "Sun"}},
        ],
        "automations": {
            "automation.a": {
                "config": {
                    "triggers": [{"trigger": "state", "entity_id": "binary_sensor.hall_motion"}],
                    "actions": [{"action": "light.turn_on", "target": {"entity_id": "light.hall"}}],
                }
            }
        },
    }


def test_saved_answers_in_one_folder_are_joined(config: Path, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    saved = {f"{number}.json": json.dumps(value) for number, value in enumerate(answers(config).values())}
    write_files(folder, {**saved, "other.json": '{"any": "thing"}', "cut.json": '[{"entity_id": "a.b", "state'})
    home = home_of(json_input=str(folder))
    folders = home_of(data_source=f"homeassistant:{config}")
    assert pairs_of(home) == pairs_of(folders)
    assert {e.entity_id for e in home.entities} == {e.entity_id for e in folders.entities} | {"sun.sun"}
    named = {e.entity_id: (e.name, e.area_id, e.device_class) for e in home.entities if e.entity_id != "sun.sun"}
    assert named == {e.entity_id: (e.name, e.area_id, e.device_class) for e in folders.entities}


@pytest.mark.parametrize(
    ("name", "wrap", "count"),
    [
        ("states", False, 2),
        ("states", True, 2),
        ("entities", False, 6),
        ("entries", True, 6),
        ("automations", False, 2),
    ],
)
def test_one_saved_answer_is_read_as_it_is(config: Path, tmp_path: Path, name: str, wrap: bool, count: int) -> None:
    value = answers(config)[name]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"id": 3, "type": "result", "success": True, "result": value} if wrap else value))
    assert len(home_of(json_input=str(path)).entities) == count


def test_the_entities_that_are_displayed_are_read(tmp_path: Path) -> None:
    shown = [{"ei": "light.a", "pl": "hue", "en": "Lamp", "ai": "hall", "ec": 1, "hb": True, "lb": ["x"]}]
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"entity_categories": {"0": "config", "1": "diagnostic"}, "entities": shown}))
    (found,) = home_of(json_input=str(path)).entities
    assert (found.name, found.area_id, found.entity_category, found.hidden) == ("Lamp", "hall", "diagnostic", True)


@pytest.mark.parametrize("name", ["core.entity_registry", "renamed.json"])
def test_a_registry_of_entities_alone_is_read_by_its_content(config: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((config / ".storage" / "core.entity_registry").read_bytes())
    assert len(home_of(data_source=f"homeassistant:{path}").entities) == 6


def test_automations_alone_are_read(config: Path) -> None:
    home = home_of(json_input=str(config / "automations.yaml"))
    assert pairs_of(home) == [("binary_sensor.hall_motion", "light.hall")]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("core.area_registry", stored("core.area_registry", {"areas": [{"id": "a"}]}), "holds areas of Home Assistant"),
        (
            "x.json",
            json.dumps([device("d")]),
            "holds devices of Home Assistant and no entities; give the",
        ),
        ("x.json", json.dumps([{"floor_id": "a", "level": 1, "name": "A"}]), "holds floors of Home Assistant"),
        ("x.json", json.dumps([{"area_id": "a", "name": "A"}]), "holds areas of Home Assistant"),
        ("x.json", json.dumps([{"label_id": "a", "color": None}]), "holds labels of Home Assistant"),
        ("x.json", json.dumps([{"domain": "light", "services": {}}]), "is of Home Assistant, and says nothing"),
        ("x.json", json.dumps({"components": [], "config_dir": "/config"}), "is of Home Assistant, and says nothing"),
        (
            "core.config_entries",
            stored("core.config_entries", {"entries": []}),
            "is of Home Assistant, and says nothing",
        ),
        ("core.entity_registry", "", "core.entity_registry: is empty; restore it"),
        ("core.entity_registry", "\0GITCRYPT\0", "is encrypted by git-crypt"),
        ("core.entity_registry", stored("core.entity_registry", {"entities": []}, (2, 1)), "has version 2.1, and only"),
        ("configuration.yaml", "demo:", "holds the configuration of Home Assistant; give the"),
        ("scripts.yaml", "{}", "holds scripts of Home Assistant; give the configuration"),
        ("secrets.yaml", "a: b", "holds the secrets of Home Assistant, which are never read"),
        ("shopping.yaml", "- milk", "holds neither automations nor an answer of Home Assistant"),
        ("broken.yaml", "- [", "not YAML"),
    ],
)
def test_what_says_nothing_alone_is_refused_by_name(tmp_path: Path, name: str, content: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(DataSourceError) as failure:
        home_of(json_input=str(path))
    assert told in str(failure.value)
    assert "entity_1" not in str(failure.value)
    assert "\n" not in str(failure.value)


def test_answers_on_standard_input_are_told_too(tmp_path: Path) -> None:
    for value in ([device("d")], [{"domain": "light", "services": {}}]):
        done = call(
            main, "train", "gnn-synergy", "--json-input", "-", "--dry-run", cwd=tmp_path, input=json.dumps(value)
        )
        assert (done.returncode, "of Home Assistant; save it as a file" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("spec", "error", "told"),
    [
        ("homeassistant:", SourceNotAvailableError, "give the configuration folder, as homeassistant:/config"),
        ("homeassistant://", SourceNotAvailableError, "give the configuration folder"),
        ("homeassistant:nowhere", NotFoundError, "nowhere: no such file or folder; give the configuration folder"),
        (
            "homeassistant:empty",
            FormatError,
            "empty: is not recognised as Home Assistant's; it is empty; give the configuration",
        ),
        ("homeassistant:a\0b", NotFoundError, "no such file or folder"),
    ],
)
def test_a_place_that_is_none_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str, error: type[Exception], told: str
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=told):
        home_of(data_source=spec)


def test_broken_files_are_named_counted_and_fatal_under_strict(config: Path) -> None:
    write_files(config, {".storage/core.area_registry": '{"version": 1, "da'})
    source = open_source(data_source=f"homeassistant:{config}")
    (home,) = source.read(Home)
    assert (len(home.entities), home.areas) == (6, ())
    assert source.report.notes[0].startswith("core.area_registry: is cut off at line 1 column")
    assert "unreadable file: 1" in source.report.notes[-1]
    with pytest.raises(DataSourceError, match=r"core.area_registry: is cut off.*\(--strict"):
        list(open_source(data_source=f"homeassistant:{config}", strict=True).read(Home))


def test_a_file_that_is_included_and_broken_is_fatal_under_strict_and_the_place_is_where_it_begins(
    config: Path,
) -> None:
    write_files(config, {"configuration.yaml": "automation: !include automations.yaml\n"})
    list(open_source(data_source=f"homeassistant:{config}", strict=True).read(Home))
    write_files(config, {"automations.yaml": AUTOMATIONS.replace("alias: Off", "alias: 'Off")})
    source = open_source(data_source=f"homeassistant:{config}")
    assert len(list(source.read(Home))) == 1
    place = 1 + AUTOMATIONS.splitlines().index("  alias: Off")
    assert any("automations.yaml: not YAML (" in n and f"line {place} column 10)" in n for n in source.report.notes)
    with pytest.raises(DataSourceError, match=rf"automations.yaml: not YAML .*line {place}.*\(--strict"):
        list(open_source(data_source=f"homeassistant:{config}", strict=True).read(Home))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, r"no entity is enabled \(entities that are disabled: 2\); enable some in Home Assistant$"),
        (
            '{"data": {"entities": [{"entity_id": "light.a", "disabled_by": "user"}, {"entity_id": "no id"}, {}]}}',
            r"no entity is enabled \(entities that are disabled: 1; core\.entity_registry: entities 2, 3 left out: "
            r"no entity_id, or one that cannot be used \('no id'\)\); enable some in Home Assistant$",
        ),
        (
            "{",
            r"no entity is known \(core\.entity_registry: is cut off at line 1 .*; restore it from a backup\)$",
        ),
        ('{"data": {"entities": []}}', r"no entity is known; is this the whole folder\?$"),
    ],
)
def test_a_home_without_entities_says_why(tmp_path: Path, content: str | None, told: str) -> None:
    small_home(tmp_path)
    rows = [entity(name, disabled_by="user") for name in ("light.a", "light.b")]
    registry = write_registry(tmp_path, "entity", rows)
    if content is not None:
        registry.write_text(content)
    with pytest.raises(NoRowsError, match=told):
        list(open_source(data_source=str(tmp_path)).read(Home))


def test_kinds_that_home_assistant_lacks_say_who_has_them(config: Path) -> None:
    source = open_source(data_source=f"homeassistant:{config}")
    for record, told in ((PatternRow, "it does not judge patterns"), (PromptRow, "keeps no requests and suggestions")):
        with pytest.raises(NoRecordsError, match=f"{told}; a database .* or a JSON file"):
            list(source.read(record))


def test_automations_with_words_are_examples_for_the_yaml_generator(config: Path) -> None:
    rows = list(open_source(data_source=f"homeassistant:{config}", kind=YamlRow.kind).read(YamlRow))
    assert [row.input for row in rows] == ["Hall lamp when somebody comes", "Kitchen off at night"]
    assert rows[0].entities == ("binary_sensor.hall_motion", "light.hall")
    assert rows[0].home_id == home_of(json_input=str(config)).home_id
    assert "alias" not in rows[0].output


def test_training_data_beside_home_assistants_files_stays_training_data(tmp_path: Path) -> None:
    mine = {"home_id": "mine", "entities": [{"entity_id": "a.b"}]}
    write_files(tmp_path, {"gnn_synergy_data.json": json.dumps(mine)})
    small_home(tmp_path)
    assert home_of(json_input=str(tmp_path)).home_id == "mine"


def test_a_large_file_of_training_data_is_not_taken_for_an_answer(tmp_path: Path) -> None:
    rows = [{"home_id": "h", "entity_id": "light.a", "state": "on", "attributes": {}}]
    path = tmp_path / "homes.json"
    path.write_text(json.dumps(rows))
    assert home_of(json_input=str(path)).home_id == "h"


def test_suggest_needs_no_model_of_ones_own_and_repeats_no_automation(config: Path) -> None:
    extra = [entity(f"light.more_{n}", area_id="hall", original_name=f"Hall lamp {n}") for n in range(3)]
    registry = json.loads((config / ".storage" / "core.entity_registry").read_text())
    group = entity("light.both", area_id="hall", original_name="Hall lamps", platform="group", unique_id="both")
    itself = entity("automation.hall_lamp", area_id="hall", platform="automation", unique_id="1")
    write_registry(config, "entity", [*registry["data"]["entities"], *extra, group, itself])
    lights = "light: [{platform: group, unique_id: both, entities: [light.hall, light.more_0]}]"
    write_files(config, {"configuration.yaml": f"automation: !include automations.yaml\n{lights}"})
    done = call(suggest, "--data-source", f"homeassistant:{config}", "--output", "s.json", cwd=config.parent)
    assert done.returncode == 0, done.stderr
    assert "Model: the base model that ships with the project, for models/gnn_synergy.pth is not there" in done.stdout
    (found,) = json.loads((config.parent / "s.json").read_text()).values()
    pairs = {(one["trigger"], action) for one in found["proposals"] for action in one["actions"]}
    assert pairs
    assert ("binary_sensor.hall_motion", "light.hall") not in pairs
    assert ("light.hall", "light.kitchen") not in pairs
    suggested = {part for pair in pairs for part in pair}
    assert not {"sensor.hall_motion_battery", "switch.spare", "light.attic", "light.both"} & suggested
    assert ("binary_sensor.hall_motion", "automation.hall_lamp") not in pairs
    assert ("automation.hall_lamp", "light.hall") not in pairs


def test_suggestions_are_never_written_over_a_file_of_the_home(config: Path) -> None:
    before = (config / "automations.yaml").read_bytes()
    given = ("--data-source", f"homeassistant:{config}", "--top", "1", "--output")
    refused = call(suggest, *given, str(config / "automations.yaml"), cwd=config)
    assert (refused.returncode, (config / "automations.yaml").read_bytes()) == (1, before)
    assert "did not write; give --output another name" in refused.stderr
    for name in ("suggested.yaml", "suggested.json") * 2:  # a file of its own may be replaced
        assert call(suggest, *given, str(config / name), cwd=config).returncode == 0


def test_what_a_run_writes_into_a_folder_of_registries_may_be_replaced(tmp_path: Path) -> None:
    write_registry(tmp_path, "entity", [entity("binary_sensor.hall_motion"), entity("light.hall")])
    registry = tmp_path / "core.entity_registry"
    (tmp_path / ".storage" / registry.name).rename(registry)
    (tmp_path / ".storage").rmdir()
    written = ["--output", "out.json", "--html", "p.html", "--new"]
    for more in (written, written, []):
        done = call(suggest, "--data-source", f"homeassistant:{tmp_path}", *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    before = registry.read_bytes()
    (tmp_path / "link.json").symlink_to(registry.name)
    done = call(suggest, "--data-source", f"homeassistant:{tmp_path}", "--output", "link.json", cwd=tmp_path)
    assert (done.returncode, registry.read_bytes()) == (1, before)
    assert "is both the data and the output" in done.stderr


@pytest.mark.parametrize(
    ("source", "output", "written_to"),
    [
        ("homeassistant:{}/.storage", "automations.yaml", "automations.yaml"),  # beside what is read
        ("rows.json", "automations.yaml", "automations.yaml"),  # of another source
        ("homeassistant:{}", "link.json", ".storage/core.entity_registry"),
        ("answers", "answers/states.json", "answers/states.json"),
        ("two.json", "automations.yaml", "automations-a.yaml"),  # of several homes, each has a file
        ("rows.json", "upper.yaml", "mine.YAML"),
    ],
)
def test_no_suggestion_is_written_over_what_home_assistant_wrote(
    config: Path, source: str, output: str, written_to: str
) -> None:
    pair = row("binary_sensor.hall_motion", "light.hall")
    (config / "rows.json").write_text(json.dumps([pair]))
    (config / "two.json").write_text(json.dumps([{**pair, "home_id": home} for home in "ba"]))
    for mine in ("automations-a.yaml", "mine.YAML"):
        (config / mine).write_text("# mine\n")
    if source == "two.json":
        (config / "automations.yaml").unlink()
    (config / "answers").mkdir()
    (config / "answers" / "states.json").write_text(
        json.dumps([{"entity_id": "light.hall", "state": "on", "attributes": {}}])
    )
    (config / "link.json").symlink_to(".storage/core.entity_registry")
    (config / "upper.yaml").symlink_to("mine.YAML")
    before = (config / written_to).read_bytes()
    refused = call(suggest, "--data-source", source.format(config), "--output", output, cwd=config)
    assert (refused.returncode, (config / written_to).read_bytes()) == (1, before), refused.stderr
    assert refused.stderr.count("\n") == 1
    assert "another" in refused.stderr
    assert not (config / "automations-b.yaml").exists()


@pytest.mark.parametrize("answer", ["manifest", "api"])
def test_an_address_where_home_assistant_answers_is_named(httpserver: HTTPServer, answer: str, tmp_path: Path) -> None:
    if answer == "manifest":
        httpserver.expect_request("/manifest.json").respond_with_json({"name": "Home Assistant"})
    else:
        httpserver.expect_request("/api/").respond_with_data("401: Unauthorized", status=401)
    url = httpserver.url_for("").rstrip("/")
    done = call(suggest, "--data-source", url, cwd=tmp_path)
    assert done.returncode == 1
    assert f"{url}: is Home Assistant and no Data API; give --data-source homeassistant+{url} and set" in done.stderr


def evenings(days: int = 12) -> list[Change]:
    """Somebody switches the kitchen lamp on half a minute after the hall's sensor saw motion."""
    changes = []
    for day in range(days):
        at = START + day * DAY + 12 * HOUR + (day * 7_919) % 20_000
        moved, done = (day + 1_000).to_bytes(16, "big"), day.to_bytes(16, "big")
        changes += [
            Change(at, "binary_sensor.hall_motion", "on", moved),
            Change(at + 20, "binary_sensor.hall_motion", "off", moved),
            Change(at + 30.5, "light.kitchen", "on", done, USERS[0]),
            Change(at + HOUR, "light.kitchen", "off", done, None, moved),
            Change(at + 2 * HOUR, "input_boolean.old", "on", done),
        ]
    return sorted(changes)


@pytest.fixture
def recorded(config: Path) -> Path:
    attributes = {"light.kitchen": {"friendly_name": "Another name"}, "input_boolean.old": {"friendly_name": "Old"}}
    write_recorder(config / "home-assistant_v2.db", evenings(), attributes=attributes)
    return config


def test_the_recorder_adds_states_and_what_follows_what(recorded: Path) -> None:
    home = home_of(data_source=f"homeassistant:{recorded}")
    names = {e.entity_id: e.name for e in home.entities}
    assert (names["light.kitchen"], names["input_boolean.old"]) == ("Kitchen lamp", "Old")
    assert [(pair.trigger, pair.action) for pair in home.observed] == [("binary_sensor.hall_motion", "light.kitchen")]
    assert {own.entity_id: own.changes for own in home.activity}["light.kitchen"] >= 12
    assert pairs_of(home) == [("binary_sensor.hall_motion", "light.hall")], "what is observed is not automated"


def test_the_database_of_a_recorder_alone_is_read(recorded: Path, tmp_path: Path) -> None:
    for name in ("home-assistant_v2.db", "renamed.sqlite"):
        path = recorded / "home-assistant_v2.db"
        if name != path.name:
            path = path.rename(tmp_path / name)
        home = home_of(json_input=str(path))
        found = [entity.entity_id for entity in home.entities]
        assert found == ["binary_sensor.hall_motion", "input_boolean.old", "light.kitchen"]
        assert len(home.observed) == 1
    with pytest.raises(DataSourceError, match="is the recorder of Home Assistant; give --data-source homeassistant:"):
        home_of(data_source=f"sqlite:///{tmp_path}/renamed.sqlite")


@pytest.mark.parametrize(
    ("configuration", "told"),
    [
        ("demo:", "recorder: .*home-assistant_v2.db"),
        ("recorder: {db_url: !secret x}", "recorder: .*secrets are not read; set HOME_ASSISTANT_RECORDER_URL"),
    ],
)
def test_a_recorder_that_cannot_be_read_is_noted_and_the_rest_is_read(
    config: Path, configuration: str, told: str
) -> None:
    write_files(config, {"configuration.yaml": configuration, "home-assistant_v2.db": "no database"})
    source = open_source(data_source=f"homeassistant:{config}")
    (home,) = source.read(Home)
    assert len(home.entities) == 6
    assert any(re.search(told, note) for note in source.report.notes)


def test_reading_json_imports_no_database_library(config: Path) -> None:
    code = "import sys\nfrom data_sources import *\nlist(open_source(json_input=sys.argv[1]).read(Home))\n"
    done = call_process("-c", f"{code}assert 'sqlalchemy' not in sys.modules", str(config / ".storage"), cwd=ROOT)
    assert done.returncode == 0, done.stderr
