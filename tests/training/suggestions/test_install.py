"""Suggestions are put into a configuration folder without changing anything else in it, and undone by one line."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ha_folder import entity, small_home, write_files, write_registry
from support import as_home, call, row

from data_sources import Entity, Home, YamlRow, open_source
from home_assistant.automation_yaml import WHOLE_FILE, dump_automations, parse_yaml
from home_assistant.configuration import CONFIGURATION
from home_assistant.installation import DESCRIBED_AS, ConfiguredAutomation
from home_synergy.cli import main as main_command
from training.runs.errors import ArtifactError, TrainingError
from training.runs.locks import hold
from training.suggestions.home_view import automated_pairs
from training.suggestions.install import FILE, SECTION, ConfigurationFolder, Installed
from training.suggestions.ranking import HomeProposals, Proposal
from training.suggestions.recipes import write_automation
from training.synergy.feedback import Feedback, Suggested, showing_of

LINE = f"{SECTION}: !include {FILE}"
OWN = """\
- id: own
  alias: Own
  triggers: [{trigger: homeassistant, event: start}]
  actions: [{action: scene.turn_on}]
"""


def proposal(number: int, alias: str = "") -> Proposal:
    automation = {
        "id": f"suggested_{number}",
        "alias": alias or f"Door {number} opens: turn on hall",
        "description": "",
        "triggers": [{"trigger": "state", "entity_id": f"binary_sensor.door_{number}", "to": "on"}],
        "conditions": [],
        "actions": [{"action": "light.turn_on", "target": {"entity_id": "light.hall"}}],
        "mode": "single",
    }
    return Proposal(f"binary_sensor.door_{number}", ("light.hall",), 0.9, ("why",), (), (), "title", automation)


def proposals(*numbers: int, **more: Any) -> HomeProposals:
    return HomeProposals("home", 9, 0, "by score", tuple(proposal(n, **more) for n in numbers), {}, ())


def configured(folder: Path, main: str | bytes, **files: str) -> Path:
    write_files(folder, {name.replace("__", "/"): text for name, text in files.items()})
    (folder / CONFIGURATION).write_bytes(main.encode() if isinstance(main, str) else main)
    return folder


def install(folder: Path, *numbers: int, **more: Any) -> Installed:
    return ConfigurationFolder(folder).install(proposals(*(numbers or (1, 2)), **more))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def undo(done: Installed) -> None:
    subprocess.run(["sh", "-c", done.undo], check=True)


COMMENTED = """\
# My home.
homeassistant:
  name: Home   # not yours
  packages: !include_dir_named packages

automation: !include automations.yaml
automation by hand:
  - alias: By hand
    triggers: [{trigger: homeassistant, event: start}]
    actions: []
http: !secret http
# The end.
"""


@pytest.mark.parametrize(
    "main",
    [
        COMMENTED,
        COMMENTED.rstrip("\n"),
        COMMENTED.replace("\n", "\r\n"),
        "\ufeff" + COMMENTED,
        "---\n" + COMMENTED,
        "automation: !include automations.yaml\n...\n",
        "automation: !include automations.yaml\nlast: |\n  text without an end",
        "automation: !include automations.yaml\nlast: |+\n  text\n\n\n",
        "  automation: !include automations.yaml\n  default_config:\n",
        "automation: !include automations.yaml\nname: Küche 🏠\n",
        "automation: !include automations.yaml\n# umlauts: ä\nlast: >-\n  folded\n  text",
    ],
)
def test_the_line_is_put_in_as_text_and_the_undo_line_gives_every_byte_back(tmp_path: Path, main: str) -> None:
    configured(tmp_path, main, **{"automations.yaml": OWN, "packages__a.yaml": "light: []\n"})
    before = everything(tmp_path)
    done = install(tmp_path)
    after = everything(tmp_path)
    assert set(after) - set(before) == {FILE, *done.backups}
    assert {name for name in before if after[name] != before[name]} == {CONFIGURATION}
    (backup,) = done.backups
    assert after[backup] == before[CONFIGURATION]
    lines = after[CONFIGURATION].decode("utf-8-sig").splitlines()
    assert [line.strip() for line in lines].count(LINE) == 1
    assert [line for line in lines if line.strip() != LINE] == before[CONFIGURATION].decode("utf-8-sig").splitlines()
    root = parse_yaml(after[CONFIGURATION].decode("utf-8-sig"), WHOLE_FILE)
    assert {key: value for key, value in root.items() if key != SECTION} == parse_yaml(
        before[CONFIGURATION].decode("utf-8-sig"), WHOLE_FILE
    )
    undo(done)
    assert everything(tmp_path) == before


@pytest.mark.parametrize("main", ["", "# nothing yet\n", "---\n"])
def test_an_empty_configuration_gets_its_first_line(tmp_path: Path, main: str) -> None:
    configured(tmp_path, main)
    install(tmp_path)
    assert (tmp_path / CONFIGURATION).read_text() == main + LINE + "\n"


def test_a_second_time_changes_nothing_and_other_suggestions_replace_the_file_alone(tmp_path: Path) -> None:
    configured(tmp_path, COMMENTED, **{"automations.yaml": OWN, "packages__a.yaml": "light: []\n"})
    install(tmp_path)
    first = everything(tmp_path)
    again = install(tmp_path)
    assert (again.changed, again.undo, everything(tmp_path)) == ((), "", first)
    assert "nothing changed" in next(again.lines())
    others = install(tmp_path, 3)
    assert others.changed == (FILE,)
    assert everything(tmp_path)[CONFIGURATION] == first[CONFIGURATION]
    undo(others)
    assert everything(tmp_path) == first


@pytest.mark.parametrize("name", [FILE, f"./{FILE}", f"/config/{FILE}"])
def test_a_line_that_a_person_wrote_is_the_line(tmp_path: Path, name: str) -> None:
    configured(tmp_path, f"automation mine: !include {name}\n", **{FILE: "# 0 suggested automations for home x\n[]\n"})
    done = install(tmp_path)
    assert done.changed == (FILE,)


def test_what_the_home_has_under_that_id_is_left_out_and_a_name_that_is_taken_is_told_apart(tmp_path: Path) -> None:
    adopted = OWN.replace("id: own", "id: suggested_1").replace("alias: Own", "alias: 'door 2: opens - turn on HALL'")
    configured(tmp_path, "automation: !include automations.yaml\n", **{"automations.yaml": adopted})
    done = install(tmp_path)
    assert done.left_out == ("suggested_1",)
    (written,) = parse_yaml((tmp_path / FILE).read_text(), WHOLE_FILE)
    assert written["id"] == "suggested_2"
    assert written["alias"] == "Door 2 opens: turn on hall (binary_sensor.door_2 -> light.hall)"
    assert "suggested_1" in " ".join(done.lines())


@pytest.mark.parametrize(
    ("main", "files", "why"),
    [
        (None, {}, "has no configuration.yaml"),
        ("a: [", {}, "configuration.yaml: cannot be read"),
        ("a: 1\n---\nb: 2\n", {}, "configuration.yaml: cannot be read"),
        (b"a: \xff", {}, "not UTF-8 text"),
        ("- a\n", {}, "is no mapping of sections"),
        ("{automation: !include a.yaml}\n", {"a.yaml": OWN}, "no line can be added to"),
        (f"{SECTION}: !include mine.yaml\n", {"mine.yaml": OWN}, "for something else already"),
        (f"{SECTION}: []\n", {}, "for something else already"),
        ("a: 1\n", {FILE: OWN}, "was not written by this command"),
        ("automation: !include_dir_merge_list .\n", {}, "configuration.yaml includes itself"),
        ("homeassistant:\n  packages: !include_dir_named .\n", {}, "configuration.yaml includes itself"),
    ],
)
def test_what_cannot_be_done_safely_changes_nothing(
    tmp_path: Path, main: str | bytes | None, files: dict[str, str], why: str
) -> None:
    write_files(tmp_path, files)
    if main is not None:
        configured(tmp_path, main)
    before = everything(tmp_path)
    with pytest.raises(TrainingError, match=why):
        install(tmp_path)
    assert everything(tmp_path) == before


BROKEN = "- id: own\n  alias: 'Own\n"
INCLUDES = """\
homeassistant:
  packages: !include_dir_named packages
automation: !include automations.yaml
automation more: !include_dir_merge_list more
script: !include scripts.yaml
scene: !include scenes.yaml
sensor: !include sensors.yaml
"""
WHOLE = {
    "automations.yaml": OWN,
    "more/a.yaml": OWN.replace("own", "more"),
    "packages/a.yaml": "light: []\n",
    "scripts.yaml": "{}\n",
    "scenes.yaml": "[]\n",
    "sensors.yaml": "[]\n",
}


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        *((name, BROKEN, f"{name}: not YAML .*line 2 column 10") for name in WHOLE),
        ("automations.yaml", "\0GITCRYPT\0x", "automations.yaml is encrypted"),
        ("more/a.yaml", "a: \0", "more/a.yaml is no text"),
        ("scripts.yaml", None, "scripts.yaml is missing"),
        ("packages/a.yaml", "light: !include ../../other.yaml\n", "other.yaml leads out of the folder"),
        (".storage/core.entity_registry", '{"version": 1, "da', "core.entity_registry: is cut off"),
        (".storage/core.area_registry", '{"version": 9, "data": {}}', "core.area_registry: has version 9"),
        (".storage/core.config_entries", "{", "core.config_entries is broken"),
    ],
)
def test_nothing_is_put_into_a_configuration_of_which_a_part_cannot_be_read(
    tmp_path: Path, name: str, content: str | None, why: str
) -> None:
    folder = configured(write_files(tmp_path / "config", WHOLE), INCLUDES)
    ConfigurationFolder(folder)
    if content is None:
        (folder / name).unlink()
    else:
        write_files(folder, {name: content})
    before = everything(folder)
    with pytest.raises(TrainingError, match=why) as refused:
        install(folder)
    assert "nothing was installed" in str(refused.value)
    assert everything(folder) == before


def test_a_folder_that_is_included_and_not_there_holds_nothing(tmp_path: Path) -> None:
    assert install(configured(tmp_path, "automation: !include_dir_merge_list none\n")).changed


def registered(folder: Path, *entity_ids: str, **more: Any) -> Path:
    write_registry(folder, "entity", [entity(entity_id, **more) for entity_id in entity_ids])
    return configured(folder, "demo:\n")


def test_what_the_configuration_lacks_the_entities_of_is_left_out_and_another_home_s_is_refused(tmp_path: Path) -> None:
    folder = registered(tmp_path / "mine", "binary_sensor.door_1", "binary_sensor.door_2", "light.hall")
    done = install(folder, 1, 2, 3)
    assert (len(done.suggestions), done.absent) == (2, ("binary_sensor.door_3",))
    assert "knows their entities: suggestions with binary_sensor.door_3" in " ".join(done.lines())
    others = registered(tmp_path / "other", "binary_sensor.door_1")
    before = everything(others)
    with pytest.raises(
        TrainingError, match=r"another home's: it does not know binary_sensor.door_2, binary_sensor.door_3"
    ):
        install(others, 1, 2, 3)
    off = registered(tmp_path / "off", "binary_sensor.door_1", "light.hall", disabled_by="user")
    with pytest.raises(TrainingError, match=r"know binary_sensor.door_1, light.hall; `--data-source homeassistant:"):
        install(off, 1)
    assert everything(others) == before


def test_a_scene_that_a_suggestion_makes_itself_need_not_be_known(tmp_path: Path) -> None:
    window, *valves = (Entity(entity_id=name) for name in ("binary_sensor.w", "climate.trv_1", "climate.trv_2"))
    made = write_automation(window, "window", valves, "").automation
    actions = tuple(valve.entity_id for valve in valves)
    several = replace(proposal(1), trigger=window.entity_id, actions=actions, automation={"id": "suggested_1", **made})
    folder = registered(tmp_path, window.entity_id, *actions)
    done = ConfigurationFolder(folder).install(replace(proposals(), proposals=(several,)))
    assert (done.suggestions, done.absent) == (("suggested_1",), ())


def test_of_several_triggers_all_have_to_be_known_and_all_automated_to_be_left_out(tmp_path: Path) -> None:
    doors = ("binary_sensor.door_1", "binary_sensor.door_2")
    made = {**proposal(1).automation, "triggers": [{"trigger": "state", "entity_id": list(doors), "to": "on"}]}
    both = replace(proposal(1), other_triggers=doors[1:], automation=made)
    found = replace(proposals(), proposals=(both, proposal(3)))
    lacking = registered(tmp_path / "lacking", doors[0], "binary_sensor.door_3", "light.hall")
    done = ConfigurationFolder(lacking).install(found)
    assert (done.suggestions, done.absent) == (("suggested_3",), doors[1:])
    for own, left_out in (([doors[0]], ()), (list(doors), ("suggested_1",))):
        folder = registered(tmp_path / f"{len(own)}", *doors, "binary_sensor.door_3", "light.hall")
        mine = {**made, "triggers": [{**made["triggers"][0], "entity_id": own}], "id": "mine", "alias": "Mine"}
        files = {"automations.yaml": dump_automations([mine])}
        configured(folder, "automation: !include automations.yaml\n", **files)
        assert ConfigurationFolder(folder).install(found).left_out == left_out


def test_why_nothing_is_left_to_install_is_said(tmp_path: Path) -> None:
    half = registered(tmp_path / "half", "binary_sensor.door_1")
    lacks = "nothing to install, for neither registry nor recorder of the configuration knows light.hall; nothing has"
    with pytest.raises(TrainingError, match=lacks):
        install(half, 1)
    mine = dump_automations([{**proposal(1).automation, "id": "mine", "alias": "Mine"}])
    folder = registered(tmp_path / "mine", "binary_sensor.door_1", "light.hall")
    configured(folder, "automation: !include automations.yaml\n", **{"automations.yaml": mine})
    with pytest.raises(TrainingError, match=r"has suggested_1 already and neither .* knows binary_sensor.door_3;"):
        install(folder, 1, 3)


def test_the_home_itself_is_not_compared_nor_one_without_a_registry(tmp_path: Path) -> None:
    folder = registered(tmp_path / "mine", "light.x")
    own = open_source(data_source=f"homeassistant:{folder}").read(Home)
    found = replace(proposals(1), home_id=next(iter(own)).home_id)
    assert ConfigurationFolder(folder).install(found).absent == ()
    assert install(configured(write_files(tmp_path / "bare", {"a.yaml": ""}), "a: 1\n"), 1).absent == ()


def test_what_an_automation_of_the_configuration_does_is_not_put_in_again(tmp_path: Path) -> None:
    mine = dump_automations([{**proposal(1).automation, "id": "mine", "alias": "Mine"}])
    folder = configured(tmp_path, "automation: !include automations.yaml\n", **{"automations.yaml": mine})
    assert install(folder, 1, 2).left_out == ("suggested_1",)
    with pytest.raises(TrainingError, match="nothing to install, for the configuration has suggested_1 already"):
        install(folder, 1)


@pytest.mark.parametrize("name", [CONFIGURATION, FILE])
@pytest.mark.parametrize("where", ["outside", "config/kept", "nowhere"])
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str, where: str) -> None:
    folder = configured(write_files(tmp_path / "config", {"a.yaml": ""}), "a: 1\n")
    if where != "nowhere":
        write_files(tmp_path / where, {name: "# 1 suggested automation for home x\n"})
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / where / name)
    before = everything(tmp_path)
    with pytest.raises(TrainingError, match=f"{name}: is a link to "):
        install(folder)
    assert everything(tmp_path) == before
    assert (folder / name).is_symlink()


def test_a_read_only_file_is_refused_and_the_mode_of_another_stays(tmp_path: Path) -> None:
    main = configured(tmp_path, "a: 1\n") / CONFIGURATION
    main.chmod(0o400)
    with pytest.raises(TrainingError, match=r"configuration.yaml: is read-only"):
        install(tmp_path)
    assert list(tmp_path.iterdir()) == [main]
    main.chmod(0o600)
    done = install(tmp_path)
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    assert modes == dict.fromkeys((CONFIGURATION, FILE, *done.backups), 0o600)


def test_a_disk_that_refuses_leaves_all_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured(tmp_path, "a: 1\n")
    before = everything(tmp_path)
    replaced = Path.replace

    def refusing(path: Path, target: Path) -> Path:
        if Path(target).name == CONFIGURATION:
            raise OSError(28, "No space left on device")
        return replaced(path, target)

    folder = ConfigurationFolder(tmp_path)
    monkeypatch.setattr(Path, "replace", refusing)
    with pytest.raises(ArtifactError, match="No space left"):
        folder.install(proposals(1))
    assert everything(tmp_path) == before


def test_a_file_that_changed_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    folder = ConfigurationFolder(configured(tmp_path, "a: 1\n"))
    (tmp_path / CONFIGURATION).write_text("a: 2\n")
    with pytest.raises(TrainingError, match="was changed meanwhile"):
        folder.install(proposals(1))
    assert everything(tmp_path) == {CONFIGURATION: b"a: 2\n"}


def test_an_undo_line_holds_any_path(tmp_path: Path) -> None:
    folder = tmp_path / "my 'home' $(x); rm"
    folder.mkdir()
    before = everything(configured(folder, "a: 1\n"))
    undo(install(folder))
    assert everything(folder) == before


def test_nothing_to_install_is_said_and_replaces_nothing(tmp_path: Path) -> None:
    configured(tmp_path, "a: 1\n")
    with pytest.raises(TrainingError, match="nothing to install"):
        ConfigurationFolder(tmp_path).install(proposals())
    assert everything(tmp_path) == {CONFIGURATION: b"a: 1\n"}


def test_what_was_installed_does_not_count_as_the_owner_s_and_is_suggested_again(tmp_path: Path) -> None:
    configured(tmp_path, "a: 1\n")
    before = as_home({"entities": [{"entity_id": "light.hall"}, {"entity_id": "binary_sensor.door_1"}]})
    assert ConfigurationFolder(tmp_path).without_installed(before) == before
    install(tmp_path)
    installed = "automation.door_1_opens_turn_on_hall"
    rows = [row("binary_sensor.door_1", "light.hall", automation_id=installed)]
    after = as_home(
        {
            "entities": [*({"entity_id": own.entity_id} for own in before.entities), {"entity_id": installed}],
            "synergies": rows,
        }
    )
    folder = ConfigurationFolder(tmp_path)
    assert installed in folder.entity_ids
    assert folder.without_installed(after).entities == before.entities
    assert folder.without_installed(after).synergies == ()
    assert folder.without_installed(replace(after, installed=((rows[0]["entity_1"], "light.hall"),))).installed == ()


def test_what_was_installed_is_automated_and_tells_nothing_until_a_person_takes_it_over(tmp_path: Path) -> None:
    folder = registered(tmp_path, "binary_sensor.door_1", "binary_sensor.door_2", "light.hall")
    write_files(folder, {"automations.yaml": OWN})
    with (folder / CONFIGURATION).open("a") as file:
        file.write("automation: !include automations.yaml\n")

    def read() -> Home:
        return next(iter(open_source(data_source=f"homeassistant:{folder}").read(Home)))

    before = read()
    install(folder)
    pairs = (("binary_sensor.door_1", "light.hall"), ("binary_sensor.door_2", "light.hall"))
    assert read() == replace(before, installed=pairs)
    assert read().fingerprint() == before.fingerprint()
    rows = open_source(data_source=f"homeassistant:{folder}", kind=YamlRow.kind).read(YamlRow)
    assert [row.input for row in rows] == ["Own"]
    feedback = Feedback(Path("x"), [showing_of("h", [Suggested(trigger=t, actions=(a,)) for t, a in pairs], [])])
    assert list(feedback.newly_automated("h", automated_pairs(read()))) == []
    first, second = parse_yaml((folder / FILE).read_text(), WHOLE_FILE)
    write_files(folder, {"automations.yaml": OWN + dump_automations([first]), FILE: dump_automations([second])})
    moved = read()
    assert [(s.trigger, s.action) for s in moved.synergies] == [pairs[0]]
    assert moved.installed == (pairs[1],)
    assert len(list(feedback.newly_automated("h", automated_pairs(moved)))) == 1
    write_files(folder, {FILE: dump_automations([{**second, "initial_state": False}])})
    assert (read().installed, read().turned_off) == ((), (pairs[1],))


@pytest.mark.parametrize(
    ("changes", "installed"),
    [({}, True), ({"id": "1700000000001"}, False), ({"description": "Mine."}, False), ({"description": None}, False)],
)
def test_without_a_file_the_id_and_the_description_tell_what_was_installed(
    changes: dict[str, Any], installed: bool
) -> None:
    own = {"id": "suggested_0123456789ab", "description": f"{DESCRIBED_AS}0.90: why.", **changes}
    assert ConfiguredAutomation(own, "automation.x", "automation.x").installed is installed
    assert ConfiguredAutomation(own, f"{FILE}: item 1").installed
    assert not ConfiguredAutomation(own, "automations.yaml: item 1").installed


def test_the_command_takes_one_place_for_the_suggestions(tmp_path: Path) -> None:
    wrong = call(main_command, "suggest", "--install", ".", "--output", "x.yaml", cwd=tmp_path)
    assert (wrong.returncode, "--output" in wrong.stderr) == (2, True)


def test_of_two_runs_the_second_waits_for_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.suggestions.install.FOLDER_SECONDS", 0.0)
    command = ("suggest", "--data-source", f"homeassistant:{tmp_path}", "--install", str(tmp_path))
    descriptor = hold(tmp_path)
    try:
        refused = call(main_command, *command, cwd=tmp_path)
    finally:
        os.close(descriptor)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert "another process has been at work there" in refused.stderr
    assert f"Waiting for another process in {tmp_path}" in refused.stdout
    assert f"has no {CONFIGURATION}" in call(main_command, *command, cwd=tmp_path).stderr  # it is let go


def test_what_is_left_out_was_not_shown_to_anybody(tmp_path: Path) -> None:
    rooms = ("hall", "attic", "cellar")
    entities = [{"entity_id": f"{kind}.{room}"} for room in rooms for kind in ("light", "binary_sensor")]
    (tmp_path / "homes.json").write_text(json.dumps({"home_id": "h", "entities": entities, "synergies": []}))
    folder = registered(
        tmp_path / "config", *(one["entity_id"] for one in entities if "cellar" not in one["entity_id"])
    )
    command = ("suggest", "--json-input", "homes.json", "--min-score", "0", "--install", str(folder))
    done = call(main_command, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "knows their entities: suggestions with binary_sensor.cellar, light.cellar" in done.stdout
    shown = call(main_command, "feedback", "list", cwd=tmp_path).stdout
    assert "light.hall" in shown
    assert "cellar" not in shown
    call(main_command, *command, "--html", "page.html", cwd=tmp_path)
    assert "cellar" in call(main_command, "feedback", "list", cwd=tmp_path).stdout, "the page shows all of them"


@pytest.mark.slow
def test_the_command_installs_into_the_home_that_it_reads_and_a_second_run_suggests_the_same(tmp_path: Path) -> None:
    home = small_home(tmp_path / "config")
    main = (
        (home / CONFIGURATION).read_bytes()
        if (home / CONFIGURATION).exists()
        else b"automation: !include automations.yaml\n"
    )
    configured(home, main)
    (home / "automations.yaml").touch()
    command = ("suggest", "--data-source", f"homeassistant:{home}", "--install", str(home), "--min-score", "0")
    done = call(main_command, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ": mv -f -- " in done.stdout
    assert "Check configuration" in done.stdout
    installed = everything(home)
    again = call(main_command, *command, cwd=tmp_path)
    assert (again.returncode, everything(home)) == (0, installed)
    assert "nothing changed" in again.stdout
