"""Configuration folders: what Home Assistant would read from one, and what is refused and named."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from home_assistant import configuration
from home_assistant.automation_pairs import known_pairs
from home_assistant.configuration import read_configuration, slugified
from home_assistant.installation import Installation

ONE = (
    "- {alias: %s, trigger: {platform: state, entity_id: sensor.a}, "
    "action: {service: light.turn_on, entity_id: light.%s}}"
)


def _write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def _read(folder: Path, files: dict[str, str | bytes], **home: Any) -> Installation:
    installation = Installation(**home)
    read_configuration(_write(folder, files), installation)
    return installation


def _aliases(home: Installation) -> list[str]:
    return [automation.config["alias"] for automation in home.automations]


def test_automations_are_found_wherever_home_assistant_reads_them(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "configuration.yaml": """
automation: !include automations.yaml
automation by hand: !include_dir_merge_list hand/
automation single: {alias: single, trigger: [], action: []}
automation list: !include_dir_list list
homeassistant:
  packages:
    named: !include packages/named.yaml
    inline: {automation old: [{alias: inline, trigger: [], action: []}]}
""",
            "automations.yaml": ONE % ("ui", "a"),
            "hand/b.yaml": ONE % ("b", "b"),
            "hand/a.yaml": ONE % ("a", "a"),
            "hand/deep/c.yaml": ONE % ("c", "c"),
            "hand/.hidden.yaml": ONE % ("hidden", "h"),
            "hand/.git/d.yaml": ONE % ("git", "h"),
            "hand/notes.txt": "no yaml",
            "list/one.yaml": "{alias: listed, trigger: [], action: []}",
            "packages/named.yaml": "automation: !include ../more/named.yaml",
            "more/named.yaml": ONE % ("package", "p"),
        },
    )
    assert _aliases(home) == ["ui", "a", "b", "c", "single", "listed", "package", "inline"]
    assert [automation.where for automation in home.automations][:2] == [
        "automations.yaml: item 1",
        "hand/a.yaml: item 1",
    ]
    assert not home.notes
    assert not home.problems


@pytest.mark.parametrize(
    "form", ["!include_dir_named packages", "!include_dir_merge_named packages", "!include all.yaml"]
)
def test_packages_are_read_in_each_form(tmp_path: Path, form: str) -> None:
    package = "automation:\n  " + ONE % ("a", "a")
    merged = form.startswith("!include_dir_merge") or "all" in form
    home = _read(
        tmp_path,
        {
            "configuration.yaml": f"homeassistant: {{packages: {form}}}"
            if "{" in form
            else f"homeassistant:\n  packages: {form}",
            "packages/lights.yaml": "lights:\n  " + package.replace("\n", "\n  ") if merged else package,
            "all.yaml": "lights:\n  " + package.replace("\n", "\n  "),
        },
    )
    assert _aliases(home) == ["a"]


def test_scripts_scenes_groups_and_what_repeats_another_entity_are_read(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "configuration.yaml": """
script: !include scripts.yaml
scene: !include scenes.yaml
group:
  all_lights: {entities: 'light.a, light.B'}
  plain: [switch.a, 7]
light:
  - {platform: group, name: Küche (links), entities: [light.a, light.b]}
  - {platform: switch, name: Lamp, entity_id: switch.lamp}
binary_sensor:
  - platform: template
    sensors:
      repeats: {value_template: "{{ is_state('light.a', 'on') }}"}
      computes: {value_template: "{{ states('sensor.x') | float > 25 }}"}
template:
  - sensor:
      - {name: Shown again, state: "{{ states('sensor.x') | float(0) | round(1) }}"}
      - {name: Both, state: "{{ states('sensor.x') + states('sensor.y') }}"}
  - binary_sensor:
      - {default_entity_id: binary_sensor.given, name: Other, state: "{{ not states.light.a.state == 'on' }}"}
sensor:
  - {platform: min_max, name: Mean, entity_ids: [sensor.x, sensor.y]}
utility_meter:
  daily: {source: sensor.energy}
""",
            "scripts.yaml": "night: {sequence: [{service: light.turn_off, entity_id: light.a}]}",
            "scenes.yaml": "- {id: '1', name: Dinner, entities: {light.a: on, light.b: {state: on}}}",
        },
        entities=[
            {"entity_id": "scene.renamed", "platform": "homeassistant", "unique_id": "1"},
            {"entity_id": "script.renamed", "platform": "script", "unique_id": "night"},
        ],
    )
    assert list(home.scripts) == ["script.renamed"]
    assert home.scenes == {"scene.renamed": ("light.a", "light.b")}
    assert home.groups == {
        "group.all_lights": ("light.a", "light.b"),
        "group.plain": ("switch.a",),
        "light.kuche_links": ("light.a", "light.b"),
    }
    assert home.mirrors == {
        "light.lamp": ("switch.lamp",),
        "binary_sensor.repeats": ("light.a",),
        "sensor.shown_again": ("sensor.x",),
        "binary_sensor.given": ("light.a",),
        "sensor.mean": ("sensor.x", "sensor.y"),
        "sensor.daily": ("sensor.energy",),
    }


def test_helpers_of_the_settings_pages_name_what_they_are_made_of(tmp_path: Path) -> None:
    entry = "e" * 32
    options = {
        "group": {"entities": ["light.a", entry], "group_type": "light"},
        "switch_as_x": {"entity_id": "switch.a", "target_domain": "light"},
        "template": {"state": "{{ states('sensor.x') }}", "template_type": "sensor"},
        "derivative": {"source": "sensor.x"},
        "mqtt": {"entity_id": "light.a"},
    }
    entries = [{"entry_id": domain, "domain": domain, "options": value} for domain, value in options.items()]
    home = _read(
        tmp_path,
        {
            "configuration.yaml": "",
            ".storage/core.config_entries": json.dumps({"version": 1, "data": {"entries": entries}}),
        },
        entities=[
            {"entity_id": f"light.{domain}", "config_entry_id": domain, "platform": domain, "unique_id": domain}
            for domain in options
        ]
        + [{"entity_id": "light.b", "id": entry}],
    )
    assert home.groups == {"light.group": ("light.a", "light.b")}
    assert home.mirrors == {
        "light.switch_as_x": ("switch.a",),
        "light.template": ("sensor.x",),
        "light.derivative": ("sensor.x",),
    }


# -- Automations -------------------------------------------------------------------------------------------------------


def test_automations_get_the_entity_that_home_assistant_gives_them(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "configuration.yaml": """
automation:
  - {id: '1', alias: Renamed, trigger: [], action: []}
  - {alias: Flur Größe, trigger: [], action: []}
  - {alias: Flur Größe, trigger: [], action: []}
  - {trigger: [], action: []}
  - {id: '2', alias: Disabled, trigger: [], action: []}
  - {alias: old, hide_entity: true, initial_state: 'off', trigger: [], action: []}
  - {alias: new, initial_state: false, triggers: [], actions: []}
""",
        },
        entities=[
            {"entity_id": "automation.chosen", "platform": "automation", "unique_id": "1"},
            {"entity_id": "automation.d", "platform": "automation", "unique_id": "2", "disabled_by": "user"},
        ],
    )
    assert [(automation.entity_id, automation.enabled) for automation in home.automations] == [
        ("automation.chosen", True),
        ("automation.flur_grosse", True),
        ("automation.flur_grosse_2", True),
        ("automation.automation_3", True),
        ("automation.d", False),
        ("automation.old", False),
        ("automation.new", False),
    ]


BLUEPRINT = """
blueprint:
  name: Motion
  domain: automation
  input:
    motion: {name: Motion}
    section: {input: {lamp: {default: light.default}, unused: }}
variables: {x: !input motion}
trigger: {platform: state, entity_id: !input motion}
action: [{service: light.turn_on, target: {entity_id: [!input lamp, light.always]}}]
"""


def test_blueprints_of_the_folder_are_filled_in(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "configuration.yaml": """
automation:
  - {alias: a, use_blueprint: {path: me/motion.yaml, input: {motion: sensor.a, lamp: light.given}}}
  - {alias: b, use_blueprint: {path: me/motion.yaml, input: {motion: sensor.b}}}
  - {alias: no input, use_blueprint: {path: me/motion.yaml}}
  - {alias: missing, use_blueprint: {path: me/nothing.yaml, input: {}}}
  - {alias: outside, use_blueprint: {path: ../../../outside.yaml, input: {}}}
  - {alias: broken, use_blueprint: 7}
script:
  s: {use_blueprint: {path: me/script.yaml, input: {lamp: light.s}}}
""",
            "blueprints/automation/me/motion.yaml": BLUEPRINT,
            "blueprints/script/me/script.yaml": "{blueprint: {name: s, domain: script, input: {lamp: }},"
            " sequence: [{service: light.turn_on, entity_id: !input lamp}]}",
        },
    )
    assert _aliases(home) == ["a", "b"]
    assert home.automations[0].blueprint == "me/motion.yaml"
    assert home.automations[0].config["action"][0]["target"] == {"entity_id": ["light.given", "light.always"]}
    assert home.automations[1].config["action"][0]["target"] == {"entity_id": ["light.default", "light.always"]}
    assert home.scripts["script.s"]["sequence"][0]["entity_id"] == "light.s"
    assert home.problems == {
        "blueprint input missing": 1,
        "blueprint missing": 2,
        "include outside the folder": 1,
        "broken blueprint": 1,
    }
    assert any("me/nothing.yaml is not in the folder" in note for note in home.notes)


def test_what_the_shipped_blueprints_do_is_known_without_their_files(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "configuration.yaml": """
automation:
  - alias: motion
    use_blueprint:
      path: homeassistant/motion_light.yaml
      input: {motion_entity: binary_sensor.m, light_target: {entity_id: light.a}}
  - alias: leaving
    use_blueprint:
      path: homeassistant/notify_leaving_zone.yaml
      input: {person_entity: person.a, zone_entity: zone.home, notify_device: phone}
""",
        },
        entities=[{"entity_id": "notify.phone", "device_id": "phone"}],
        devices=[{"id": "phone"}],
    )
    assert {(pair.trigger, pair.action) for pair in known_pairs(home).pairs} == {
        ("binary_sensor.m", "light.a"),
        ("person.a", "notify.phone"),
        ("zone.home", "notify.phone"),
    }
    assert not home.problems


# -- Hostile and broken folders ----------------------------------------------------------------------------------------


def test_broken_files_are_counted_and_named_and_the_rest_is_read(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "configuration.yaml": "automation: !include_dir_merge_list all\nscript: !include gone.yaml\n",
            "all/a.yaml": ONE % ("good", "a"),
            "all/b.yaml": "- {alias: half",
            "all/c.yaml": b"\0GITCRYPT\0\x01\x02",
            "all/d.yaml": b"\xff\xfe\x00",
            "all/e.yaml": "- alias: !!python/object/apply:os.system ['true']",
            "all/f.yaml": "",
            "all/g.yaml": b"\xef\xbb\xbf" + (ONE % ("marked", "a")).encode(),
            "all/h.yaml": "[" * 5000,
            "all/i.yaml": "- 7\n- {alias: nothing}\n",
        },
    )
    assert _aliases(home) == ["good", "marked"]
    assert home.problems == {
        "broken file": 3,
        "encrypted file": 1,
        "file that is no text": 1,
        "missing file": 1,
        "broken automation": 2,
    }
    for name in "bcdeh":
        assert any(f"all/{name}.yaml" in note for note in home.notes)
    assert all("\n" not in note for note in home.notes)


def test_no_file_outside_the_folder_and_no_secrets_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, {"outside.yaml": ONE % ("outside", "x"), "other/x.yaml": ONE % ("outside", "x")})
    folder = tmp_path / "config"
    _write(
        folder, {"secrets.yaml": "password: hunter2", "all/secrets.yaml": "- {alias: hunter2, trigger: [], action: []}"}
    )
    (folder / "all/link.yaml").symlink_to(tmp_path / "outside.yaml")
    (folder / "linked").symlink_to(tmp_path / "other")
    (folder / "all/renamed.yaml").symlink_to(folder / "secrets.yaml")
    opened: list[str] = []
    real_open = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *a, **k: (opened.append(self.name), real_open(self, *a, **k))[1])
    home = _read(
        folder,
        {
            "configuration.yaml": """
automation 1: !include ../outside.yaml
automation 2: !include_dir_merge_list all
automation 3: !include_dir_merge_list linked
automation 4: !include secrets.yaml
automation 5: !include /etc/passwd
automation 6: [{alias: kept, trigger: {platform: webhook, webhook_id: !secret password}, action: []}]
automation 7: !include /config/inside.yaml
automation 8: [{alias: !env_var HOME, trigger: [], action: []}]
""",
            "inside.yaml": ONE % ("inside", "a"),
        },
    )
    assert [str(alias) for alias in _aliases(home)][:2] == ["kept", "inside"]
    assert home.problems == {"include outside the folder": 4, "include of secrets": 2}
    assert "secrets.yaml" not in opened
    assert "hunter2" not in repr(home)
    assert os.environ["HOME"] not in repr(home.automations)


def test_include_loops_end_and_are_named(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "configuration.yaml": "automation: !include_dir_merge_list all\nscript: !include a.yaml",
            "a.yaml": "{x: !include b.yaml}",
            "b.yaml": "{y: !include a.yaml}",
            "all/self.yaml": "- !include self.yaml\n" + ONE % ("kept", "a"),
        },
    )
    assert _aliases(home) == ["kept"]
    assert home.problems["include loop"] == 2


def test_includes_that_multiply_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "MAX_CONFIGURATION_VALUES", 10_000)
    files = {f"{n}.yaml": "\n".join([f"- !include {n + 1}.yaml"] * 10) for n in range(9)}
    home = _read(tmp_path, {"configuration.yaml": "automation: !include 0.yaml", **files, "9.yaml": "[1, 2, 3]"})
    assert home.problems["too many includes"] > 0


def test_includes_that_nest_too_deep_are_named(tmp_path: Path) -> None:
    files = {f"{n}.yaml": "[" * 35 + f"!include {n + 1}.yaml" + "]" * 35 for n in range(19)}
    home = _read(
        tmp_path, {"configuration.yaml": "script: {s: {use_blueprint: !include 0.yaml}}", **files, "19.yaml": "1"}
    )
    assert home.problems["broken file"] > 0


@pytest.mark.parametrize("depth", [500, 900, 960, 100_000])
def test_storage_that_nests_too_deep_stops_nothing(tmp_path: Path, depth: int) -> None:
    deep = '{"data": {"items": [{"id": "a", "name": "a", "entities": ' + "[" * depth + "]" * depth + "}]}}"
    home = _read(tmp_path, {"configuration.yaml": "automation:\n  " + ONE % ("kept", "a"), ".storage/group": deep})
    assert _aliases(home) == ["kept"]


def test_a_file_that_is_too_large_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configuration, "MAX_FILE_BYTES", 100)
    home = _read(tmp_path, {"configuration.yaml": "automation: !include big.yaml", "big.yaml": "#" * 200})
    assert home.problems == {"file too large": 1}


def test_a_folder_without_its_main_file_still_gives_what_the_editor_writes(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {
            "automations.yaml": ONE % ("ui", "a"),
            "scenes.yaml": "- {name: S, entities: [light.a]}",
            "packages/p.yaml": "automation:\n  " + ONE % ("package", "a"),
        },
    )
    assert _aliases(home) == ["ui", "package"]
    assert home.scenes == {"scene.s": ("light.a",)}
    assert home.problems == {"missing file": 1}


def test_repeated_keys_and_numbers_that_are_not_finite_are_read_as_home_assistant_reads_them(tmp_path: Path) -> None:
    home = _read(
        tmp_path,
        {"configuration.yaml": "automation: [{alias: first, alias: last, trigger: [], action: [{delay: .inf}]}]"},
    )
    assert _aliases(home) == ["last"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Küche (links)", "kuche_links"),
        ("Groß", "gross"),
        ("Anna's lamp", "anna_s_lamp"),
        ("  --  ", ""),
        ("Кухня 1", ""),
        ("Ünï-1", "uni_1"),
    ],
)
def test_a_name_becomes_the_object_id_that_home_assistant_makes_of_it(name: str, slug: str) -> None:
    assert slugified(name) == slug


_keys = st.sampled_from(
    "automation automation_x script scene group template light sensor homeassistant packages utility_meter alias id "
    "trigger action use_blueprint path input entities platform states name sensors state value_template".split()
)
_tags = st.sampled_from(
    ["!include x.yaml", "!include .", "!include_dir_named .", "!include_dir_list ..", "!input a", "!secret a"]
)
_texts = st.recursive(
    st.one_of(_tags, st.sampled_from(["light.a", "on", "null", "7", "'{{ x }}'", "template", "group"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(_keys, inner, max_size=4).map(
            lambda d: "{" + ", ".join(f"{k}: {v}" for k, v in d.items()) + "}"
        ),
    ),
    max_leaves=15,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_keys, _texts, max_size=6), _texts | st.text(max_size=30), st.binary(max_size=40))
def test_no_configuration_whatever_it_holds_stops_the_reading(
    tmp_path: Path, sections: dict[str, str], included: str, storage: bytes
) -> None:
    main = "\n".join(f"{key.replace('_x', ' x')}: {value}" for key, value in sections.items())
    files = {"configuration.yaml": main, "x.yaml": included.encode("utf-8", "replace"), ".storage/group": storage}
    known_pairs(_read(tmp_path, files))
