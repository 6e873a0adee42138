"""What a source holds for each model, and what its rows are worth."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data_sources import KINDS, sqlite_url
from data_sources.counting import many
from retraining_manager.models import SPECS
from retraining_manager.sufficiency import DataCount, count
from training.runs.job import SourceChoice

YAML = "triggers: [{trigger: sun, event: sunset}]\nactions: [{action: light.turn_on}]\n"
PATTERN = {"entity_id": "light.a", "pattern_type": "session", "confidence": 1.0, "occurrences": 1}
# Two rows that differ, one of them twice: in what the units of each kind count, and in nothing else.
ROWS: dict[str, list[dict[str, Any]]] = {
    "gnn_synergy": [{"entity_1": "light.a", "entity_2": f"light.{x}", "confidence": 0.8} for x in "bbc"],
    "soft_prompt": [{"query": f"Light {x}, on!", "suggestion": x} for x in "bbc"],
    "pattern_detection": [PATTERN | {"entity_id": f"light.{x}"} for x in "bbc"],
    "yaml_generation": [{"input": f"light {x}", "output": f"alias: {x}\n{YAML}"} for x in "bbc"],
}


def counted(folder: Path, model: str, rows: list[dict[str, Any]]) -> DataCount:
    (folder / f"{model}_data.json").write_text(json.dumps(rows))
    return count(model, SourceChoice(json_input=str(folder)))


@pytest.mark.parametrize("model", KINDS)
def test_rows_are_counted_and_what_they_are_worth_beside_them(tmp_path: Path, model: str) -> None:
    found = counted(tmp_path, model, ROWS[model])
    assert (found.rows, found.rejected, found.error) == (3, 0, None)
    assert found.distinct
    assert set(found.distinct.values()) == {2}
    units = set(SPECS[model].minimum_distinct)
    assert units - {"class"} <= set(found.distinct), "the units that are asked for are the units that are counted"
    assert {unit for unit in units if SPECS[model].minimum_distinct[unit] > 2} == {
        unit for unit in units if any(f"only {many(2, f'distinct {unit}')}" in line for line in found.shortfalls)
    }


@pytest.mark.parametrize("truths", [[], ["session"], ["session", "sequence"]])
def test_detections_that_nobody_judged_have_no_classes_to_tell_apart(tmp_path: Path, truths: list[str]) -> None:
    rows = [PATTERN, *(PATTERN | {"ground_truth": {"expected_pattern": truth}} for truth in truths)]
    lines = [line for line in counted(tmp_path, "pattern_detection", rows).shortfalls if "tell apart" in line]
    what = ("0 classes", "1 class", None)[len(truths)]
    assert lines == ([] if what is None else [f"{many(len(rows), 'row')} of {what}: nothing to tell apart"])


def test_a_folder_without_the_model_s_file_has_none_of_its_data_which_is_no_fault(tmp_path: Path) -> None:
    none = count("soft_prompt", SourceChoice(json_input=str(tmp_path)))
    assert (none.rows, none.absent) == (0, True)
    assert "no soft_prompt_data.json in this folder" in str(none.error)


def database(folder: Path, *statements: str) -> SourceChoice:
    path = folder / "production.db"
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("CREATE TABLE ask_ai_queries (original_query, suggestions, created_at)", *statements):
            connection.execute(statement)
        connection.commit()
    return SourceChoice(data_source=sqlite_url(str(path)))


def damaged(folder: Path) -> SourceChoice:
    (folder / "damaged.db").write_bytes(b"SQLite format 3" + bytes(200))
    return SourceChoice(data_source=sqlite_url(str(folder / "damaged.db")))


def dangling(folder: Path) -> SourceChoice:
    (folder / "pattern_detection_data.json").symlink_to(folder / "not mounted.json")
    return SourceChoice(json_input=str(folder))


# What --all skips: the source can be read and has nothing for the model. Everything else is a failure.
ABSENT: dict[str, tuple[Callable[[Path], SourceChoice], str]] = {
    "no table": (database, "no table pattern_detection or pattern_detection_data; tables there: ask_ai_queries"),
    "an empty table": (
        lambda folder: database(
            folder, "CREATE TABLE pattern_detection (entity_id, pattern_type, confidence, occurrences)"
        ),
        "holds no pattern_detection rows",
    ),
    "no file": (lambda folder: SourceChoice(json_input=str(folder)), "no pattern_detection_data.json in this folder"),
    "no endpoint": (lambda _: SourceChoice(data_source="http://127.0.0.1:1"), "has no pattern_detection"),
}
UNREAD: dict[str, tuple[Callable[[Path], SourceChoice], str]] = {
    "missing columns": (
        lambda folder: database(folder, "CREATE TABLE pattern_detection (entity_id)"),
        "has no column pattern_type, confidence, occurrences",
    ),
    "no database": (lambda folder: SourceChoice(data_source=sqlite_url(str(folder / "x.db"))), "no such database"),
    "a damaged database": (damaged, "cannot be read"),
    "refused": (
        lambda _: SourceChoice(data_source="postgresql://u@127.0.0.1:1/x"),
        "cannot be read",
    ),
    "no folder": (lambda folder: SourceChoice(json_input=str(folder / "not mounted")), "no such file or folder"),
    "a link that leads nowhere": (dangling, "cannot be read"),
}


@pytest.mark.parametrize("name", [*ABSENT, *UNREAD])
def test_a_source_without_the_model_s_data_is_absent_and_one_that_cannot_be_read_is_not(
    tmp_path: Path, name: str
) -> None:
    source, told = {**ABSENT, **UNREAD}[name]
    found = count("pattern_detection", source(tmp_path))
    assert found.absent == (name in ABSENT)
    assert told in str(found.error)
