"""What the documentation shows can be read: its JSON under each ending, its tables in a database."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
import shlex
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest
from click import shell_completion
from ha_folder import small_home
from support import ROOT, call, call_process

from data_sources import RECORDS, DataSourceError, Home, open_source
from data_sources.records import Entity, PatternRow, PromptRow, Synergy, YamlRow
from home_assistant.installation import SUGGESTIONS_FILE
from home_synergy.cli import main as home_synergy
from training.runs.summary import TrainingSummary

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FORMATS = ROOT / "docs" / "reference" / "data-formats.md"
OWN_DATA = ROOT / "docs" / "how-to" / "your-own-data.md"
TABLES = ROOT / "docs" / "reference" / "tables.md"


def blocks(page: Path, language: str) -> list[str]:
    return [text for of, text in _FENCE.findall(page.read_text(encoding="utf-8")) if of == language]


def kinds_that_read(path: Path) -> set[str]:
    found = set()
    for kind, record in RECORDS.items():
        try:
            found |= {read.kind for read in open_source(json_input=str(path), kind=kind, strict=True).read(record)}
        except DataSourceError:
            continue
    return found


@pytest.mark.parametrize("name", ["my_homes.jsonl", "my_homes.json", "my_homes.jsonl.gz", "my_homes.json.gz"])
@pytest.mark.parametrize("page", [FORMATS, OWN_DATA], ids=lambda page: page.stem)
def test_every_example_of_json_can_be_read_under_every_ending_that_the_readme_uses(
    page: Path, name: str, tmp_path: Path
) -> None:
    read = set()
    for block in blocks(page, "json"):
        content = block.encode()
        path = tmp_path / name
        path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
        kinds = kinds_that_read(path)
        assert len(kinds) == 1, block
        read |= kinds
    assert read == set(RECORDS)


def test_the_lines_of_the_readme_for_a_home_of_one_s_own_work_one_after_the_other(tmp_path: Path) -> None:
    config = small_home(tmp_path / "config")
    text = (ROOT / "README.md").read_text(encoding="utf-8").split("## Your own home")[1]
    lines = [shlex.split(line, comments=True) for line in text.split("```")[1].splitlines()[1:]]
    assert [line[:3] for line in lines] == [
        ["home-synergy", "suggest", "--data-source"],
        ["home-synergy", "suggest", "--data-source"],
        ["home-synergy", "feedback", "dismiss"],
    ]

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done = call(home_synergy, *(text.replace("/config", str(config)) for text in arguments), cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done

    printed = run(*lines[0][1:])
    assert list(tmp_path.iterdir()) == [config]
    assert "To answer by id, suggest with --output FILE, or with --feedback" in printed.stderr
    assert "Answer with: home-synergy feedback accept|dismiss ID\n" in run(*lines[1][1:]).stdout
    installed = (config / SUGGESTIONS_FILE).read_text(encoding="utf-8")
    first = re.findall(r"^- id: (\w+)", installed, re.MULTILINE)[0]
    assert first in printed.stdout
    assert re.fullmatch(r"suggested_[0-9a-f]{12}", lines[2][3])
    assert first in run("feedback", "dismiss", first).stdout
    run(*lines[1][1:])
    assert first not in (config / SUGGESTIONS_FILE).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database made of the blocks of the page; whole homes have one of their own, for they are read without the
    other table alone."""
    path = tmp_path_factory.mktemp("tables") / "try.db"
    connection = sqlite3.connect(path)
    connection.executescript("".join(blocks(TABLES, "sql")))
    connection.close()
    return f"sqlite:///{path}"


def test_the_tables_on_the_page_are_read_as_the_page_says(database: str) -> None:
    home = next(iter(open_source(data_source=database, strict=True).read(Home)))
    assert [(synergy.trigger, synergy.action, synergy.confidence) for synergy in home.synergies] == [
        ("binary_sensor.front_door", "lock.front_door", 0.7),
        ("binary_sensor.hall_motion", "light.hall", 0.8),
        ("light.hall", "light.stairs", 0.6),
    ]
    assert [synergy.relationship_type for synergy in home.synergies] == [None, "motion_to_light", "same_area_lights"]
    prompts = open_source(data_source=database, strict=True, kind=PromptRow.kind).read(PromptRow)
    assert [(row.query, row.suggestion) for row in prompts] == [
        ("light in the hall when I come home", "Turn on the hall light when the front door opens.")
    ]
    patterns = open_source(data_source=database, strict=True, kind=PatternRow.kind).read(PatternRow)
    assert {row.entity_id: row.genuine for row in patterns} == {"light.hall": True, "light.attic": False}
    [automation] = open_source(data_source=database, strict=True, kind=YamlRow.kind).read(YamlRow)
    assert (automation.is_valid, automation.entities) == (True, ("light.hall_lamp", "light.attic"))


def test_whole_homes_in_a_table_are_read_where_it_stands_alone(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "homes.db")
    [block] = [block for block in blocks(TABLES, "sql") if "TABLE gnn_synergy" in block]
    connection.executescript(block)
    connection.close()
    [home] = open_source(data_source=f"sqlite:///{tmp_path / 'homes.db'}", strict=True).read(Home)
    assert ([entity.entity_id for entity in home.entities], len(home.synergies)) == (
        ["binary_sensor.hall_motion", "light.attic", "light.hall"],
        1,
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("device_ids = '[]'", "expected a JSON array of two entity ids"),
        ("opportunity_metadata = '{broken'", "expected a JSON object"),
        ("confidence = 1.5", "expected a number from 0 to 1"),
    ],
)
def test_a_row_of_the_page_that_cannot_be_used_is_told_in_the_words_of_the_page(
    database: str, tmp_path: Path, change: str, told: str
) -> None:
    broken = tmp_path / "broken.db"
    broken.write_bytes(Path(database.removeprefix("sqlite:///")).read_bytes())
    connection = sqlite3.connect(broken)
    connection.execute(f"UPDATE synergy_opportunities SET {change} WHERE synergy_id = 's-1'")
    connection.commit()
    connection.close()
    with pytest.raises(DataSourceError, match=told):
        list(open_source(data_source=f"sqlite:///{broken}", strict=True).read(Home))
    assert told in TABLES.read_text(encoding="utf-8")


# -- Schemas -----------------------------------------------------------------------------------------------------------

SCHEMAS = ROOT / "docs" / "schemas"
EXAMPLES = sorted((SCHEMAS / "examples").glob("*.json"))
UNREAD = ("rows",)  # fields that the loader sets


@pytest.fixture(scope="module")
def schemas() -> dict[str, Any]:
    """What docs/write_reference.py makes of the records."""
    spec = importlib.util.spec_from_file_location("write_reference", ROOT / "docs" / "write_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: (schema, module.schema_text(schema)) for name, schema in module.schemas().items()}


def test_the_schemas_are_those_of_the_records(schemas: dict[str, Any]) -> None:
    written = {path.name: path.read_text(encoding="utf-8") for path in SCHEMAS.glob("*.json")}
    assert written == {name: text for name, (_, text) in schemas.items()}, "run: python docs/write_reference.py"


def test_every_pattern_of_a_schema_is_one_that_plain_regular_expressions_know(schemas: dict[str, Any]) -> None:
    found = [pattern for _, text in schemas.values() for pattern in re.findall(r'"pattern": (".*")', text)]
    assert found
    for pattern in found:
        re.compile(json.loads(pattern))


def faults(schema: dict[str, Any], value: Any) -> list[str]:
    """What of a value the schema does not allow or know: types, required keys, keys that it does not name."""
    if "anyOf" in schema and "properties" not in schema:
        tried = [faults(branch, value) for branch in schema["anyOf"]]
        return min(tried, key=len)
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}
    if schema.get("type") == "null":
        return [] if value is None else [f"{value!r} is not null"]
    if "type" in schema and not isinstance(value, types[schema["type"]]):
        return [f"{value!r} is no {schema['type']}"]
    if "enum" in schema and value not in schema["enum"]:
        return [f"{value!r} is not listed"]
    if isinstance(value, list):
        return [fault for item in value for fault in faults(schema["items"], item)]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    found = [f"{key} is required" for key in schema.get("required", ()) if key not in value]
    either = [*schema.get("allOf", ()), *([schema] if "anyOf" in schema else ())]
    for choice in either:
        if not any(set(branch["required"]) <= value.keys() for branch in choice["anyOf"]):
            found.append(f"one of {choice['anyOf']} is required")
    for key, inner in value.items():
        known = schema["properties"].get(key)
        found += [f"{key} is not in the schema"] if known is None else faults(known, inner)
    return found


def test_every_kind_has_a_smallest_and_a_rich_example() -> None:
    kinds = {*RECORDS, "gnn_synergy_flat"}
    assert {path.name for path in EXAMPLES} == {
        f"{kind}.{size}.json" for kind in kinds for size in ("smallest", "rich")
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_read_as_its_kind_and_follows_its_schema(path: Path, schemas: dict[str, Any]) -> None:
    name = path.name.split(".")[0]
    assert kinds_that_read(path) == {name.removesuffix("_flat")}
    schema, _ = schemas[f"{name}.schema.json"]
    assert faults(schema, json.loads(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", [path for path in EXAMPLES if ".smallest" in path.name], ids=lambda path: path.stem)
def test_nothing_can_be_left_out_of_a_smallest_example(path: Path, tmp_path: Path, schemas: dict[str, Any]) -> None:
    row = json.loads(path.read_text(encoding="utf-8"))
    schema, _ = schemas[f"{path.name.split('.')[0]}.schema.json"]
    for key in row:
        less = {other: value for other, value in row.items() if other != key}
        (tmp_path / "less.json").write_text(json.dumps(less), encoding="utf-8")
        assert path.name.split(".")[0].removesuffix("_flat") not in kinds_that_read(tmp_path / "less.json")
        assert faults(schema, less) != []


@pytest.mark.parametrize("kind", [PromptRow, PatternRow, YamlRow], ids=lambda kind: kind.kind)
def test_a_rich_example_fills_every_field(kind: type[PromptRow | PatternRow | YamlRow]) -> None:
    [read] = open_source(json_input=str(SCHEMAS / "examples" / f"{kind.kind}.rich.json"), kind=kind.kind).read(kind)
    assert [name for name, field in kind.model_fields.items() if getattr(read, name) == field.default] == []


def test_the_rich_home_fills_every_field_of_its_records() -> None:
    path = SCHEMAS / "examples" / "gnn_synergy.rich.json"
    raw = json.loads(path.read_text(encoding="utf-8"))
    entities = [Entity.model_validate(entity) for entity in raw["entities"]]
    synergies = [Synergy.model_validate(synergy) for synergy in raw["synergies"]]
    for record, found in ((Entity, entities), (Synergy, synergies)):
        for name, field in record.model_fields.items():
            assert name in UNREAD or any(getattr(one, name) != field.default for one in found), name
    [home] = open_source(json_input=str(path)).read(Home)
    assert (len(home.areas), home.disabled, home.home_id) == (2, 1, "a")


# -- Errors ------------------------------------------------------------------------------------------------------------

PAIR = {"entity_1": "binary_sensor.a", "entity_2": "light.b", "confidence": 0.8}
PATTERN = {"entity_id": "light.hall", "pattern_type": "time_of_day", "confidence": 0.8, "occurrences": 31}
YAML_WITHOUT_TRIGGERS = {"input": "x", "output": "actions:\n- action: light.turn_on\n"}
WRONG: list[tuple[str, str, Any]] = [
    ("missing - expected", Home.kind, {"entity_1": "binary_sensor.a", "confidence": 0.8}),
    ("expected an entity id such as light.kitchen", Home.kind, {**PAIR, "entity_2": "Kitchen light"}),
    ("expected another entity than entity_1", Home.kind, {**PAIR, "entity_2": "binary_sensor.a"}),
    ("expected a number from 0 to 1", Home.kind, {**PAIR, "confidence": 80}),
    ("expected a whole number from 0 up", PatternRow.kind, {**PATTERN, "occurrences": 1.5}),
    ("expected a pattern type such as time_of_day", PatternRow.kind, {**PATTERN, "pattern_type": "sometimes"}),
    ("expected a text that is not empty", PromptRow.kind, {"query": " ", "suggestion": "x"}),
    ("expected an object", PatternRow.kind, {**PATTERN, "ground_truth": 3}),
    ("expected a list", Home.kind, {"entities": 3, "synergies": []}),
    ("expected an id not used before", Home.kind, [{"home_id": "a", "synergies": [PAIR]}] * 2),
    ("has no trigger", YamlRow.kind, YAML_WITHOUT_TRIGGERS),
    ("one row a line belongs in a .jsonl file", Home.kind, b'{"entity_1": 1}\n{"entity_1": 2}\n'),
    ("not JSON", Home.kind, b"[{'entity_1': 1}]"),
    ("the file is cut off here", Home.kind, b'[{"entity_1": "light.a"'),
    ("is empty", Home.kind, b""),
    ("is not UTF-8 text", Home.kind, b'[{"entity_1": "\xff\xfe"}]'),
    ("is neither a home", Home.kind, {"name": "x"}),
    ("is a zip archive", Home.kind, b"PK\x03\x04"),
    ("more than a tenth", Home.kind, [PAIR, {"entity_1": 1}]),
]


@pytest.mark.parametrize(("told", "kind", "content"), WRONG, ids=[told for told, _, _ in WRONG])
def test_an_error_on_the_page_is_what_such_a_file_gives(told: str, kind: str, content: Any, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    strict = told != "more than a tenth"
    with pytest.raises(DataSourceError) as caught:
        list(open_source(json_input=str(path), kind=kind, strict=strict).read(RECORDS[kind]))
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_error_on_the_page_is_tried() -> None:
    section = FORMATS.read_text(encoding="utf-8").split("## What each error means")[1].split("\n## ")[0]
    assert re.findall(r"^\| `([^`]+)` \|", section, re.MULTILINE) == [told for told, _, _ in WRONG]


# -- What other programs do with it ------------------------------------------------------------------------------------


def test_the_block_for_pandas_makes_a_row_of_each_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "simulation_results" / "pipeline_summaries"
    folder.mkdir(parents=True)
    for number, model in enumerate(("gnn_synergy", "soft_prompt")):
        summary = TrainingSummary(
            timestamp="2026-11-26T03:17:00+00:00",
            model_type=model,
            status="success",
            metrics={"test": {"model": {"mrr": 0.5 + number}}},
        )
        (folder / f"training_summary_{model}.json").write_text(summary.model_dump_json(), encoding="utf-8")
    [block] = [block for block in blocks(ROOT / "docs" / "reference" / "outputs.md", "python") if "pandas" in block]
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    exec(block, found)
    rows = found["rows"]
    assert dict(zip(rows["model_type"], rows["metrics.test.model.mrr"], strict=True)) == {
        "gnn_synergy": 0.5,
        "soft_prompt": 1.5,
    }


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_can_complete_commands_and_flags(shell: str) -> None:
    kind = shell_completion.get_completion_class(shell)
    assert kind is not None
    completion = kind(home_synergy, {}, "home-synergy", "_HOME_SYNERGY_COMPLETE")
    assert "_HOME_SYNERGY_COMPLETE" in completion.source_vars().values()
    assert [item.value for item in completion.get_completions(["train"], "so")] == ["soft-prompt"]
    assert "--json-input" in [item.value for item in completion.get_completions(["train", "gnn-synergy"], "--js")]
    assert f"{shell}_source" in (ROOT / "docs" / "start.md").read_text(encoding="utf-8")


# -- How long it takes -------------------------------------------------------------------------------------------------

MEASURE = """
import resource, subprocess, sys
code = subprocess.call([sys.executable, "-m", "home_synergy", *sys.argv[1:]], stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1000)
sys.exit(code)
"""
LONG_SECONDS = 60  # what the table says takes longer is not run


@pytest.mark.slow
def test_the_table_of_times_and_memory_is_true(tmp_path: Path) -> None:
    """Memory within a fifth; seconds of one core within a factor of three, for processors differ and are shared."""
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `home-synergy ([^`]+)` \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    checked = 0
    for called, seconds, megabytes in rows:
        if int(seconds) > LONG_SECONDS:
            continue
        # In a small process between, for a child begins with the peak memory of its parent.
        measured = call_process("-c", MEASURE, *shlex.split(called), cwd=tmp_path, env={"PYTHONPATH": str(ROOT)})
        assert measured.returncode == 0, (called, measured.stderr)
        taken, peak = map(float, measured.stdout.split())
        assert int(seconds) / 3 <= max(taken, 1) <= int(seconds) * 3, (called, taken)
        assert peak == pytest.approx(int(megabytes), rel=0.2), called
        checked += 1
    assert checked == len(rows) - 2 == 5, "all but the trainings of the text models"
