"""The simulator gives the same data everywhere, in the documented formats, worth learning from."""

import json
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from support import ROOT

from data_sources import KINDS, Home, PatternRow, PromptRow, YamlRow, open_source
from scripts.make_simulation_data import main
from simulation.homes import simulate_home

COMMITTED = ROOT / "simulation" / "training_data"
FILES = tuple(f"{kind}_data.json" for kind in KINDS)


def write(folder: Path, *options: str) -> dict[str, bytes]:
    result = CliRunner().invoke(main, ["--output", str(folder), *options])
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return write(tmp_path_factory.mktemp("fresh"))


def rows(kind: str) -> list[dict[str, Any]]:
    loaded: list[dict[str, Any]] = json.loads((COMMITTED / f"{kind}_data.json").read_text(encoding="utf-8"))
    return loaded


def pairs_of(home: dict[str, Any]) -> set[tuple[str, str]]:
    return {(row["entity_1"], row["entity_2"]) for row in home["synergies"]}


def ids_of(home: dict[str, Any]) -> set[str]:
    return {entity["entity_id"] for entity in home["entities"]}


def test_the_committed_files_are_a_run_with_the_defaults(fresh: dict[str, bytes]) -> None:
    assert fresh == {name: (COMMITTED / name).read_bytes() for name in FILES}


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first = write(tmp_path / "first", "--seed", "3", "--homes", "8")
    assert write(tmp_path / "again", "--seed", "3", "--homes", "8") == first
    other = write(tmp_path / "other", "--seed", "4", "--homes", "8")
    assert all(other[name] != first[name] for name in FILES)


def test_text_hashing_does_not_show_in_the_data(tmp_path: Path) -> None:
    script = ROOT / "scripts" / "make_simulation_data.py"
    for hash_seed in ("1", "2"):
        subprocess.run(
            [sys.executable, str(script), "--homes", "4", "--output", str(tmp_path / hash_seed)],
            env={"PYTHONHASHSEED": hash_seed},
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    for name in FILES:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_all_files_together_stay_under_one_megabyte(fresh: dict[str, bytes]) -> None:
    assert sum(map(len, fresh.values())) < 1_000_000


def test_files_have_one_row_a_line(fresh: dict[str, bytes]) -> None:
    for content in fresh.values():
        first, *lines, last = content.decode().splitlines()
        assert (first, last) == ("[", "]")
        assert [json.loads(line.removesuffix(",")) for line in lines] == json.loads(content)


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(main, ["--homes", "1", "--output", str(tmp_path / "file" / "folder")])
    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert "Traceback" not in result.output


@pytest.mark.parametrize("record", [Home, PromptRow, PatternRow, YamlRow])
def test_every_row_is_read_without_a_rejection(record: Any) -> None:
    source = open_source(json_input=str(COMMITTED))
    assert len(list(source.read(record))) == len(rows(record.kind))
    assert not source.report.rejected
    assert not source.report.reasons


def test_homes_differ_in_size_language_and_order() -> None:
    homes = rows("gnn_synergy")
    sizes = [len(home["entities"]) for home in homes]
    assert min(sizes) <= 20
    assert max(sizes) >= 60
    assert any(not home["areas"] for home in homes)
    names = {entity["name"] for home in homes for entity in home["entities"]}
    for word in ("Deckenlampe", "Plafonnier", "Plafondlamp", "Ceiling Light"):
        assert any(word in name for name in names), word


def test_synergies_name_entities_of_their_home_and_no_diagnostic_ones() -> None:
    for home in rows("gnn_synergy"):
        classes = {entity["entity_id"]: entity.get("device_class") for entity in home["entities"]}
        assert len(classes) == len(home["entities"])
        for pair in pairs_of(home):
            assert pair[0] != pair[1]
            assert all(classes[entity_id] not in ("battery", "signal_strength", "firmware") for entity_id in pair)


def test_entities_name_areas_and_devices_of_their_home() -> None:
    for home in rows("gnn_synergy"):
        areas = {area["area_id"] for area in home["areas"]}
        devices = {device["device_id"] for device in home["devices"]}
        assert len(areas) == len(home["areas"])
        assert {item["area_id"] for item in home["devices"] + home["entities"] if item.get("area_id")} <= areas
        assert {entity["device_id"] for entity in home["entities"] if "device_id" in entity} <= devices


def test_synergies_have_repeats_groups_and_confidences_of_the_format() -> None:
    found = [row for home in rows("gnn_synergy") for row in home["synergies"]]
    assert {row["synergy_type"] for row in found} == {"trigger_action", "condition_action", "co_activation"}
    assert all(0.5 <= row["confidence"] <= 1 for row in found)
    mutual = sum(row["relationship"]["direction"] == "bidirectional" for row in found)
    assert 0.04 < mutual / len(found) < 0.2
    automations = Counter((h["home_id"], r["automation_id"]) for h in rows("gnn_synergy") for r in h["synergies"])
    assert max(automations.values()) > 1
    assert len(found) > sum(len(pairs_of(home)) for home in rows("gnn_synergy"))


@pytest.mark.parametrize(
    ("entities", "pairs"), [(0, 0), (1, 0), (20, 3), (60, 25), (149, 60), (1000, 400), (1000, 900)]
)
def test_a_home_has_exactly_the_size_asked_for(entities: int, pairs: int) -> None:
    for index in (0, 5, 7):
        home = simulate_home(1, index, entities=entities, pairs=pairs)
        assert len(ids_of(home)) == len(home["entities"]) == entities
        assert len(pairs_of(home)) == pairs
        assert {entity_id for pair in pairs_of(home) for entity_id in pair} <= ids_of(home)


def test_a_large_home_keeps_the_habits_of_a_small_one() -> None:
    home = simulate_home(1, 0, entities=10_000, pairs=4_000)
    assert (len(ids_of(home)), len(pairs_of(home))) == (10_000, 4_000)
    kinds = Counter(row["relationship"]["type"] for row in home["synergies"])
    assert kinds["motion_light"] > kinds["odd"] > 0
    assert any(re.search(r"\d+ \d+", area["name"]) for area in home["areas"])


def test_more_pairs_than_a_home_can_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="not for 10000"):
        simulate_home(1, 0, entities=20, pairs=10_000)
    with pytest.raises(ValueError, match="negative"):
        simulate_home(1, 0, entities=-1)


def test_requests_are_distinct_and_so_are_many_answers() -> None:
    found = rows("soft_prompt")
    assert len({row["query"] for row in found}) == len(found) >= 400
    answers = Counter(row["response"]["text"]["description"] for row in found)
    assert len(answers) >= 100
    assert max(answers.values()) < 0.05 * len(found)
    assert not any("{" in row["query"] + "".join(row["response"]["text"].values()) for row in found)


def test_patterns_have_both_outcomes_and_many_entities() -> None:
    found = rows("pattern_detection")
    genuine = [
        row["ground_truth"] == {"expected_pattern": row["pattern_type"], "expected_device": row["entity_id"]}
        for row in found
    ]
    assert 0.5 < sum(genuine) / len(found) < 0.8
    assert len({(row["home_id"], row["entity_id"]) for row in found}) >= 120
    homes = {home["home_id"]: ids_of(home) for home in rows("gnn_synergy")}
    assert all(row["entity_id"] in homes[row["home_id"]] for row in found)


def test_every_automation_is_yaml_about_entities_of_its_home() -> None:
    homes = {home["home_id"]: ids_of(home) for home in rows("gnn_synergy")}
    shapes: Counter[str] = Counter()
    for row in rows("yaml_generation"):
        automation = yaml.load(row["output"], Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
        old = "trigger" in automation
        shapes["old" if old else "new"] += 1
        triggers, actions = (automation[key] for key in (("trigger", "action") if old else ("triggers", "actions")))
        assert triggers
        assert all(("platform" if old else "trigger") in trigger for trigger in triggers)
        assert all(("service" if old else "action") in action for action in actions)
        order = ["alias", "trigger", "triggers", "condition", "conditions", "action", "actions", "mode"]
        assert list(automation) == sorted(automation, key=order.index)

        named = set(re.findall(r"entity_id: (\S+)|^ +- (\w+\.\w+)$|is_state\('([\w.]+)'", row["output"], re.MULTILINE))
        used = {entity_id for match in named for entity_id in match if entity_id}
        assert used
        assert used <= set(row["entities"]) <= homes[row["home_id"]]
        assert 4 <= len(row["entities"]) <= 8
        assert row["validation_result"] == {"is_valid": True}
        assert "{" not in row["input"]
    assert 0.15 < shapes["old"] / shapes.total() < 0.35


def test_help_needs_no_more_than_click() -> None:
    code = (
        "import sys; sys.argv = ['x', '--help']; from scripts.make_simulation_data import main; "
        "main(standalone_mode=False); print([m for m in ('pydantic', 'yaml', 'numpy', 'simulation.homes') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert "--homes" in done.stdout
    assert done.stdout.endswith("[]\n")


def test_a_registry_adds_what_nobody_automates_and_no_pair(tmp_path: Path) -> None:
    write(tmp_path / "plain", "--homes", "4")
    write(tmp_path / "whole", "--homes", "4", "--registry")
    plain, whole = (json.loads((tmp_path / n / "gnn_synergy_data.json").read_text("utf-8")) for n in ("plain", "whole"))
    assert [home["synergies"] for home in whole] == [home["synergies"] for home in plain]
    for before, after in zip(plain, whole, strict=True):
        old = ids_of(before)
        assert [entity["entity_id"] for entity in after["entities"]][: len(old)] == [
            entity["entity_id"] for entity in before["entities"]
        ]
        assert len(ids_of(after)) == len(after["entities"]) > 2 * len(old)
        aside = [e for e in after["entities"] if e.get("entity_category") or e.get("hidden") or e.get("mirrors")]
        assert len(aside) > len(after["entities"]) / 3
        paired = {end for pair in pairs_of(after) for end in pair}
        assert paired.isdisjoint(entity["entity_id"] for entity in aside)
        names = {device["device_id"]: device["name"] for device in after["devices"]}
        assert all(e["name"].startswith(names[e["device_id"]]) for e in aside if "device_id" in e)
    homes = open_source(json_input=str(tmp_path / "whole" / "gnn_synergy_data.json")).read(Home)
    assert sum(bool(entity.mirrors) for home in homes for entity in home.entities) > 0
