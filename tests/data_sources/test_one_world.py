"""One home in JSON, SQLite, PostgreSQL and behind HTTP: equal records, equal fingerprints, equal models."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pytest_httpserver import HTTPServer
from services import TABLE, api_entity, serve, table_rows, write_database
from support import ROOMS, row

from data_sources import Home, open_source
from training.runs.job import SourceChoice
from training.runs.run import Training
from training.synergy.job import SynergyJob

DEVICES = [{"device_id": f"d{i}", "name": f"Thing {i}", "area_id": room} for i, room in enumerate(ROOMS)]
ENTITIES = [
    entity
    for i, room in enumerate(ROOMS)
    for entity in (
        api_entity(f"binary_sensor.{room}_motion", device_class="motion", device_id=f"d{i}"),
        api_entity(f"light.{room}", name_by_user=f"{room.title()} lamp", area_id=room, original_name="LCT01"),
        api_entity(f"switch.{room}_old", disabled=True, area_id=""),
        api_entity(f"climate.{room}", friendly_name="Küche", device_id="gone", area_id=""),
    )
]
SYNERGIES = [
    row(
        f"binary_sensor.{room}_motion",
        f"{domain}.{room}",
        0.5 + 0.1 * i,
        relationship={"type": "causal", "direction": "bidirectional" if i == 3 else "unidirectional"},
    )
    for room in ROOMS
    for domain in ("light", "climate")
    for i in range(4)
]


def shuffled(items: list[Any]) -> list[Any]:
    return random.Random(1).sample(items, len(items))


@pytest.fixture
def worlds(
    tmp_path: Path, httpserver: HTTPServer, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, dict[str, str]]:
    """Name of a source -> the arguments and variables that pick it."""
    whole = {"entities": ENTITIES, "devices": DEVICES, "synergies": SYNERGIES}
    (tmp_path / "home.json").write_text(json.dumps(whole))
    (tmp_path / "home.jsonl").write_text(
        json.dumps({"devices": shuffled(DEVICES), "entities": shuffled(ENTITIES), "synergies": shuffled(SYNERGIES)})
    )
    url = serve(httpserver, shuffled(ENTITIES), shuffled(DEVICES))
    database = write_database(tmp_path / "home.db", shuffled(SYNERGIES))
    engine = sa.create_engine(postgres_url.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE SCHEMA automation"))
        connection.execute(sa.text(TABLE.replace("synergy_opportunities", "automation.synergy_opportunities")))
        columns = ("synergy_id", "synergy_type", "device_ids", "opportunity_metadata", "confidence")
        connection.execute(
            sa.text(
                "INSERT INTO automation.synergy_opportunities "
                "(id, synergy_id, synergy_type, device_ids, opportunity_metadata, confidence) VALUES "
                "(:id, :synergy_id, :synergy_type, :device_ids, :opportunity_metadata, :confidence)"
            ),
            [{"id": i, **dict(zip(columns, r, strict=True))} for i, r in enumerate(table_rows(shuffled(SYNERGIES)))],
        )
    engine.dispose()
    return {
        "json": {"json_input": str(tmp_path / "home.json")},
        "json lines, another order": {"data_source": str(tmp_path / "home.jsonl")},
        "http + sqlite": {"DATABASE_URL": f"sqlite+aiosqlite:///{database}", "DATA_API_URL": url},
        "http + postgresql": {"DATABASE_URL": postgres_url, "DATA_API_URL": url},
    }


def test_every_source_gives_the_same_home(
    worlds: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    homes = {}
    for name, world in worlds.items():
        for variable in ("DATABASE_URL", "DATA_API_URL"):
            monkeypatch.setenv(variable, world.get(variable, ""))
        options = {key: value for key, value in world.items() if key.islower()}
        (homes[name],) = open_source(**options).read(Home)  # type: ignore[arg-type]
    first = homes.pop("json")
    assert (len(first.entities), first.disabled, len(first.synergies)) == (18, 6, 24)
    assert {e.area_id for e in first.entities if e.domain == "binary_sensor"} == set(ROOMS), "areas from devices"
    for name, home in homes.items():
        assert home.entities == first.entities, name
        assert home.synergies == first.synergies, name
        assert home.fingerprint() == first.fingerprint(), name


@pytest.mark.parametrize("few", [True, pytest.param(False, marks=pytest.mark.slow)], ids=["two", "all"])
def test_every_source_trains_the_same_bytes(
    worlds: dict[str, dict[str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few: bool
) -> None:
    """The homes are the same by the test above, so two sources that differ most stand for all in the quick tests."""
    monkeypatch.chdir(tmp_path)
    models, fingerprints = {}, {}
    chosen = [name for name in worlds if not few or name in ("json", "http + postgresql")]
    for number, name in enumerate(chosen):
        world = worlds[name]
        for variable in ("DATABASE_URL", "DATA_API_URL"):
            monkeypatch.setenv(variable, world.get(variable, ""))
        flags = {key: value for key, value in world.items() if key.islower()}
        given = {"model_path": f"m{number}.pth", "epochs": 1, "seed": 7}
        run = Training(SynergyJob, SourceChoice(**flags), given)  # type: ignore[arg-type]
        run.perform()
        models[name] = (tmp_path / f"m{number}.pth").read_bytes()
        fingerprints[name] = run.summary().data_fingerprint
    assert len(models) == (2 if few else 4)
    assert len(set(fingerprints.values())) == 1
    assert len(set(models.values())) == 1, [name for name, model in models.items() if model != models["json"]]
