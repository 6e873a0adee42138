"""What production's cron relies on: train_gnn_synergy.py with no new flag, line by line of the contract."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from pytest_httpserver import HTTPServer
from services import api_entity, serve, write_database
from support import ROOMS, row

from training.runs.artifacts import metadata_path

Train = Callable[..., Any]
logging.getLogger("werkzeug").setLevel(logging.ERROR)

ENTITIES = [
    api_entity(f"{domain}.{room}{suffix}", area_id=room if i % 3 else None, device_class=device_class)
    for i, room in enumerate(ROOMS)
    for domain, suffix, device_class in (
        ("binary_sensor", "_motion", "motion"),
        ("light", "", None),
        ("lock", "_door", None),
        ("sensor", "_temperature", "temperature"),
    )
]
SYNERGIES = [row(f"binary_sensor.{room}_motion", f"light.{room}") for room in ROOMS]


@pytest.fixture
def service(tmp_path: Path, httpserver: HTTPServer) -> dict[str, str]:
    """A service root that has a database and a Data API, and nothing else; the variables that lead there."""
    write_database(tmp_path / "data" / "ai_automation.db", SYNERGIES)
    return {"DATA_API_URL": serve(httpserver, ENTITIES), "GNN_EPOCHS": "2"}


@pytest.fixture
def cron(service: dict[str, str], train: Train) -> Callable[..., Any]:
    """The cron's call there."""
    return lambda *arguments, **env: train(*arguments, env={**service, **env})


def requests_of(server: HTTPServer) -> list[Any]:
    return [request for request, _ in server.log]


@pytest.mark.parametrize("how", ["train", pytest.param("train_process", marks=pytest.mark.slow)])
def test_the_weekly_call_trains_and_writes_where_it_always_did(
    service: dict[str, str], request: pytest.FixtureRequest, tmp_path: Path, how: str
) -> None:
    done = request.getfixturevalue(how)("--force", env=service)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    content = torch.load(tmp_path / "models" / "gnn_synergy.pth", weights_only=True)
    assert type(content) is dict
    metadata = json.loads((tmp_path / "models" / "gnn_synergy_metadata.json").read_text())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", metadata["training_date"])
    assert (metadata["hidden_dim"], metadata["num_layers"]) == (64, 2)
    assert metadata["generated_pairs"] == 0
    assert metadata["audit"]["enabled_entities"] == len(ENTITIES)
    assert metadata["audit"]["distinct_pairs"] == len(SYNERGIES)
    assert metadata["source"]["type"] == "production"
    written = sorted(p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file())
    assert written == [
        "data/ai_automation.db",
        "gnn_training.log",
        "models/gnn_synergy.pth",
        "models/gnn_synergy_card.md",
        "models/gnn_synergy_metadata.json",
        "models/gnn_synergy_report.html",
    ]
    log = (tmp_path / "gnn_training.log").read_text()
    assert all(line in log for line in done.stdout.splitlines())


def test_entities_are_asked_for_as_today(cron: Train, httpserver: HTTPServer) -> None:
    assert cron("--force").returncode == 0
    first = requests_of(httpserver)[0]
    assert (first.method, first.path, first.query_string) == ("GET", "/api/entities", b"limit=10000")
    assert "Authorization" not in first.headers


@pytest.mark.parametrize(
    ("keys", "sent"),
    [
        ({"API_KEY": "key-4713"}, "key-4713"),
        ({"API_KEY": "key-4713", "DATA_API_KEY": "key-4712"}, "key-4712"),
        ({"API_KEY": "key-4713", "DATA_API_KEY": "key-4712", "DATA_API_API_KEY": "key-4711"}, "key-4711"),
        ({"API_KEY": "key-4713", "DATA_API_KEY": ""}, "key-4713"),
    ],
)
def test_the_bearer_key_is_the_first_set_of_three_and_is_never_shown(
    cron: Train, httpserver: HTTPServer, tmp_path: Path, keys: dict[str, str], sent: str
) -> None:
    done = cron("--dry-run", "--verbose", "--summary-path", "s.json", **keys)
    assert done.returncode == 0
    assert requests_of(httpserver)[0].headers["Authorization"] == f"Bearer {sent}"
    shown = done.stdout + done.stderr + (tmp_path / "s.json").read_text() + (tmp_path / "gnn_training.log").read_text()
    assert "key-471" not in shown


def test_without_a_variable_the_data_api_is_production_s_host(tmp_path: Path, train: Train) -> None:
    write_database(tmp_path / "data" / "ai_automation.db", SYNERGIES)
    done = train()
    assert done.returncode == 1
    assert "http://data-api:8006: the host name does not resolve; set DATA_API_URL" in done.stderr
    assert "--json-input" in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_a_variable_the_database_is_production_s_file_and_is_never_created(
    tmp_path: Path, train: Train
) -> None:
    done = train()
    assert done.returncode == 1
    assert "data/ai_automation.db: no such database file" in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    "variable",
    [
        {"DATABASE_URL": "sqlite:///other/x.db"},
        {"DATABASE_URL": "sqlite+aiosqlite:///other/x.db"},
        {"DATABASE_PATH": "other/x.db"},
        {"DATABASE_URL": "sqlite:///other/x.db", "DATABASE_PATH": "no/such.db"},
    ],
)
def test_the_database_is_where_the_variables_say(cron: Train, tmp_path: Path, variable: dict[str, str]) -> None:
    write_database(tmp_path / "other" / "x.db", SYNERGIES[:2])
    done = cron("--dry-run", "--summary-path", "s.json", **variable)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "s.json").read_text())["audit"]["distinct_pairs"] == 2


def test_all_settings_are_also_read_from_dot_env_and_no_other_variable_is_needed(
    tmp_path: Path, httpserver: HTTPServer, train: Train
) -> None:
    url = serve(httpserver, ENTITIES)
    write_database(tmp_path / "other.db", SYNERGIES)
    settings = {"GNN_HIDDEN_DIM": 16, "GNN_NUM_LAYERS": 1, "GNN_LEARNING_RATE": 0.01, "GNN_BATCH_SIZE": 8}
    settings |= {"GNN_EPOCHS": 3, "GNN_EARLY_STOPPING_PATIENCE": 2, "GNN_MODEL_PATH": "there/net.pth"}
    services = {"DATA_API_URL": url, "DATA_API_KEY": "k", "DATABASE_URL": "sqlite+aiosqlite:///other.db"}
    other = {"MQTT_BROKER": "", "OPENAI_API_KEY": "x"}
    (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in {**settings, **services, **other}.items()))
    done = train("--summary-path", "s.json")
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "s.json").read_text())["config"]
    assert config.pop("base_model")["name"] == "synergy", "what training starts from is said"
    assert config.pop("names") == "words", "too little is there to load the sentence encoder for"
    assert config == {
        "hidden_dim": 16,
        "num_layers": 1,
        "learning_rate": 0.01,
        "batch_size": 8,
        "epochs": 3,
        "patience": 2,
        "seed": 0,
        "device": "cpu",
    }
    assert (tmp_path / "there" / "net_metadata.json").is_file()
    assert requests_of(httpserver)[0].headers["Authorization"] == "Bearer k"


def test_the_defaults_and_the_variables_are_production_s() -> None:
    from training.runs.settings import settings_of
    from training.synergy.config import NETWORK_EPOCHS, SynergyConfig, SynergyOptions

    assert NETWORK_EPOCHS == 30
    fields = {**settings_of(SynergyConfig), **settings_of(SynergyOptions)}
    defaults = {name: field.default for field, setting in fields.values() for name in setting.variables}
    assert defaults.pop("GNN_FEEDBACK") is None  # ours: production has no such file
    assert defaults.pop("GNN_MEMORY") is None  # ours: production keeps all homes in memory
    assert defaults == {
        "GNN_HIDDEN_DIM": 64,
        "GNN_NUM_LAYERS": 2,
        "GNN_LEARNING_RATE": 0.001,
        "GNN_BATCH_SIZE": 32,
        "GNN_EPOCHS": None,  # production's 30 where there are homes enough for the network
        "GNN_EARLY_STOPPING_PATIENCE": 5,
        "GNN_MODEL_PATH": Path("models/gnn_synergy.pth"),
    }


def test_an_empty_table_is_a_cold_start_marked_as_generated(
    tmp_path: Path, httpserver: HTTPServer, train: Train
) -> None:
    url = serve(httpserver, ENTITIES)
    write_database(tmp_path / "data" / "ai_automation.db", [])
    done = train(env={"DATA_API_URL": url, "GNN_EPOCHS": "2"})
    assert done.returncode == 0, done.stderr
    metadata = json.loads((tmp_path / "models" / "gnn_synergy_metadata.json").read_text())
    assert 0 < metadata["generated_pairs"] <= 100
    assert metadata["generated_pairs"] == metadata["audit"]["distinct_pairs"]
    assert metadata["audit"]["synergy_types"] == {"generated": metadata["generated_pairs"]}
    assert any("generated from rules" in note for note in metadata["notes"])
    assert "generated from rules" in done.stdout
    assert "validated" not in (done.stdout + json.dumps(metadata)).replace("nobody has validated", "")


@pytest.mark.parametrize("accepted", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_a_cold_start_never_replaces_a_model_of_known_pairs_unless_it_is_asked_to(
    tmp_path: Path, httpserver: HTTPServer, train: Train, write: Callable[[str, Any], Path], accepted: bool
) -> None:
    known = write("known.json", [row("binary_sensor.a", "light.b"), row("binary_sensor.a", "light.c")])
    assert train("--json-input", str(known), "--epochs", "1").returncode == 0
    model = tmp_path / "models" / "gnn_synergy.pth"
    before = model.read_bytes()
    env = {"DATA_API_URL": serve(httpserver, ENTITIES), "GNN_EPOCHS": "1"}
    write_database(tmp_path / "data" / "ai_automation.db", [])
    if accepted:
        assert train("--force", "--accept-cold-start", env=env).returncode == 0
        assert model.read_bytes() != before
        assert "Saved:" in train("--force", env=env).stdout, "a model of rules gives way to one of rules"
        return
    kept = train("--force", "--summary-path", "s.json", env=env)
    assert kept.returncode == 0
    assert f"is kept, it was trained {json.loads(metadata_path(model).read_bytes())['training_date']}" in kept.stdout
    assert json.loads((tmp_path / "s.json").read_text())["status"] == "skipped"
    assert model.read_bytes() == before


@pytest.mark.slow
def test_null_areas_confidences_above_1_and_two_pairs_do_not_stop_training(
    tmp_path: Path, httpserver: HTTPServer, train: Train
) -> None:
    url = serve(httpserver, ENTITIES)
    rows = [SYNERGIES[0]] * 10 + [SYNERGIES[1], {**SYNERGIES[2], "confidence": 1.4}]
    write_database(tmp_path / "data" / "ai_automation.db", rows)
    done = train(env={"DATA_API_URL": url, "GNN_EPOCHS": "2"})
    assert done.returncode == 0, done.stderr
    assert "Left out: synergy_opportunities row 's11': confidence: 1.4 - expected a number from 0 to 1" in done.stdout
    assert "2 distinct pairs allow no held-out score" in done.stdout


def test_a_model_that_is_there_is_not_trained_again_and_no_service_is_asked(
    cron: Train, httpserver: HTTPServer, tmp_path: Path
) -> None:
    assert cron().returncode == 0
    asked, model = len(httpserver.log), (tmp_path / "models" / "gnn_synergy.pth").read_bytes()
    again = cron()
    assert again.returncode == 0
    assert "already trained, use --force to retrain" in again.stdout
    assert len(httpserver.log) == asked
    assert (tmp_path / "models" / "gnn_synergy.pth").read_bytes() == model


def test_a_failing_service_exits_1_and_leaves_the_model(
    cron: Train, httpserver: HTTPServer, tmp_path: Path, train: Train
) -> None:
    assert cron().returncode == 0
    model = (tmp_path / "models" / "gnn_synergy.pth").read_bytes()
    httpserver.clear()
    httpserver.expect_request("/api/entities").respond_with_json({"detail": "Authentication required"}, status=401)
    done = train("--force", env={"DATA_API_URL": httpserver.url_for("")})
    assert done.returncode == 1
    assert "answers 401 (Authentication required); set DATA_API_API_KEY" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "models" / "gnn_synergy.pth").read_bytes() == model
    assert train("--epochs", "none").returncode == 2


def test_auto_says_in_the_summary_what_it_chose(tmp_path: Path, httpserver: HTTPServer, cron: Train) -> None:
    done = cron("--data-source", "auto", "--dry-run", "--summary-path", "s.json")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["source"]["choice"].startswith("auto: production, for http://")
    assert "Source chosen: auto: production" in done.stdout
