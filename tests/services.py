"""Production's services on loopback, as docs/reference/production.md describes them: a Data API and a SQLite file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pytest_httpserver import HTTPServer

TABLE = """CREATE TABLE synergy_opportunities (
    id INTEGER PRIMARY KEY, synergy_id TEXT UNIQUE NOT NULL, synergy_type TEXT NOT NULL, device_ids TEXT NOT NULL,
    opportunity_metadata TEXT, impact_score REAL, complexity TEXT, confidence REAL, area TEXT, created_at TIMESTAMP,
    pattern_support_score REAL, validated_by_patterns INTEGER, supporting_pattern_ids TEXT, synergy_depth INTEGER,
    chain_devices TEXT, embedding_similarity REAL, rerank_score REAL, final_score REAL)"""


def api_entity(entity_id: str, **given: Any) -> dict[str, Any]:
    """An entity with all the fields that the Data API answers."""
    empty = dict.fromkeys(
        "device_id area_id name name_by_user original_name friendly_name device_class unit_of_measurement icon "
        "original_icon config_entry_id supported_features capabilities available_services aliases labels "
        "options".split()
    )
    return {
        **empty,
        "entity_id": entity_id,
        "domain": entity_id.partition(".")[0],
        "platform": "test",
        "unique_id": entity_id,
        "disabled": False,
        "timestamp": "2026-01-01T00:00:00Z",
        **given,
    }


def serve(server: HTTPServer, entities: Sequence[dict[str, Any]], devices: Sequence[dict[str, Any]] = ()) -> str:
    """Answer as the Data API does; its address."""
    server.expect_request("/health").respond_with_json({"status": "healthy"})
    server.expect_request("/api/entities").respond_with_json(
        {"entities": list(entities), "count": len(entities), "limit": 10000}
    )
    server.expect_request("/api/devices").respond_with_json(
        {"devices": list(devices), "count": len(devices), "limit": 1000}
    )
    return server.url_for("").rstrip("/")


def table_rows(synergies: Iterable[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Flat synergy rows as (synergy_id, synergy_type, device_ids, opportunity_metadata, confidence)."""
    return [
        (
            f"s{number}",
            synergy["synergy_type"],
            json.dumps([synergy["entity_1"], synergy["entity_2"]]),
            json.dumps(synergy.get("relationship")),
            synergy["confidence"],
        )
        for number, synergy in enumerate(synergies)
    ]


def write_database(path: Path, synergies: Iterable[dict[str, Any]]) -> Path:
    """A SQLite file with production's table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute(TABLE)
        connection.executemany(
            "INSERT INTO synergy_opportunities (synergy_id, synergy_type, device_ids, opportunity_metadata, confidence)"
            " VALUES (?, ?, ?, ?, ?)",
            table_rows(synergies),
        )
    connection.close()
    return path
