"""What the integrations of one version of Home Assistant let an automation say: the table that was read from it.

``benchmarks/automation_table.py`` writes ``automation_table.json``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple


class AutomationTable(NamedTuple):
    """Facts by name.

    Attributes:
        version: Of the Home Assistant that they were read from.
        triggers: ``light.turned_on`` -> ``target`` ("required", "optional"), ``options`` and whether they are needed,
            ``moves`` (its options may stand beside its name) or ``top`` (its keys, where it knows no options).
        conditions: The same of conditions.
        device: ``trigger``, ``condition`` or ``action`` -> domain -> its keys; None where its library alone knows them.
        filters: Names that a template may use.
        tests: The same of tests.
        blueprints: Path of a blueprint that every installation has -> the inputs that it requires.
    """

    version: str
    triggers: Mapping[str, Mapping[str, Any]]
    conditions: Mapping[str, Mapping[str, Any]]
    device: Mapping[str, Mapping[str, Any]]
    filters: tuple[str, ...]
    tests: tuple[str, ...]
    blueprints: Mapping[str, list[str]]


@cache
def automation_table() -> AutomationTable:
    """The table, read once."""
    table = json.loads(Path(__file__).with_name("automation_table.json").read_text(encoding="utf-8"))

    def by_name(rows: list[tuple[list[str], Any]]) -> dict[str, Any]:
        return {name: facts for names, facts in rows for name in names}

    return AutomationTable(
        version=table["version"],
        triggers=by_name(table["triggers"]),
        conditions=by_name(table["conditions"]),
        device={what: by_name(table[f"device {what}s"]) for what in ("trigger", "condition", "action")},
        filters=tuple(table["filters"]),
        tests=tuple(table["tests"]),
        blueprints=table["blueprints"],
    )
