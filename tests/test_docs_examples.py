"""What the documentation shows can be read: its JSON under each ending, its tables in a database."""

from __future__ import annotations

import gzip
import re
import sqlite3
from pathlib import Path

import pytest
from support import ROOT

from data_sources import RECORDS, DataSourceError, Home, open_source
from data_sources.records import PatternRow, PromptRow, YamlRow

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
