"""SIMULATION_ENTITIES_JSON and SIMULATION_SYNERGY_DB stand in for production's services, and the run says so."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from services import write_database
from support import row

from data_sources import DataSourceError, Home, open_source
from data_sources.records import PromptRow

ENTITIES = [
    {"entity_id": "binary_sensor.hall_motion", "device_class": "motion", "area_id": "hall"},
    {"entity_id": "light.hall", "area_id": "hall", "name": "Hall"},
    {"entity_id": "light.attic", "area_id": None},
]
BOTH = ("SIMULATION_ENTITIES_JSON", "SIMULATION_SYNERGY_DB")


@pytest.fixture
def simulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both variables, on files that an adapter wrote; no service can be reached."""
    (tmp_path / "entities.json").write_text(json.dumps(ENTITIES), encoding="utf-8")
    write_database(tmp_path / "training.db", [row("binary_sensor.hall_motion", "light.hall")])
    monkeypatch.setenv("SIMULATION_ENTITIES_JSON", str(tmp_path / "entities.json"))
    monkeypatch.setenv("SIMULATION_SYNERGY_DB", str(tmp_path / "training.db"))
    monkeypatch.setenv("DATA_API_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("DATABASE_PATH", str(tmp_path / "missing.db"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_files_are_read_and_a_notice_says_what_to_do(simulated: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = open_source(strict=True)
    with caplog.at_level(logging.WARNING):
        [home] = source.read(Home)
    assert [entity.entity_id for entity in home.entities] == sorted(entity["entity_id"] for entity in ENTITIES)
    assert [(synergy.trigger, synergy.action) for synergy in home.synergies] == [
        ("binary_sensor.hall_motion", "light.hall")
    ]
    [told] = caplog.messages
    assert all(name in told for name in BOTH)
    assert "give --json-input FILE" in told
    assert told in source.report.notes
    assert str(simulated / "entities.json") in source.describe()["location"]


@pytest.mark.parametrize("content", [{"entities": ENTITIES}, {"entities": ENTITIES, "count": 3, "limit": 100}])
def test_the_answer_of_the_data_api_saved_as_a_file_is_read_as_its_list(
    simulated: Path, content: dict[str, object]
) -> None:
    (simulated / "entities.json").write_text(json.dumps(content), encoding="utf-8")
    [home] = open_source(strict=True).read(Home)
    assert len(home.entities) == len(ENTITIES)


def test_the_database_alone_stands_in_for_the_database_alone(simulated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert simulated
    monkeypatch.delenv("SIMULATION_ENTITIES_JSON")
    described = open_source().describe()
    assert described["data_api"] == "http://127.0.0.1:9"
    assert described["database"].endswith("training.db")


def test_an_empty_table_is_a_cold_start_as_it_is_in_production(simulated: Path) -> None:
    (simulated / "training.db").unlink()
    write_database(simulated / "training.db", [])
    [home] = open_source().read(Home)
    assert home.generated == len(home.synergies) > 0


@pytest.mark.parametrize("name", BOTH)
def test_a_file_that_is_not_there_is_an_error_that_names_it(
    simulated: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, str(simulated / "gone"))
    with pytest.raises(DataSourceError, match=f"gone.*{name}"):
        list(open_source().read(Home))


def test_a_flag_comes_before_the_variables(simulated: Path, caplog: pytest.LogCaptureFixture) -> None:
    (simulated / "rows.jsonl").write_text(json.dumps(row("sensor.a", "light.b")), encoding="utf-8")
    with caplog.at_level(logging.WARNING):
        [home] = open_source(json_input=str(simulated / "rows.jsonl")).read(Home)
    assert len(home.entities) == 2
    assert not caplog.messages


def test_requests_are_still_read_from_productions_database(simulated: Path) -> None:
    source = open_source(kind=PromptRow.kind)
    assert source.describe()["database"].endswith(str(simulated / "missing.db"))
