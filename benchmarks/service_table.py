"""Writes ``home_assistant/service_table.json`` from what a running Home Assistant answers to ``get_services``.

Run it where a new version of Home Assistant adds actions or changes what they need::

    python benchmarks/service_table.py get_services.json --version 2026.11.0 > home_assistant/service_table.json

The answer is that of the WebSocket command ``get_services``. The table has a line for each action: the bits of
``supported_features`` that it needs (``features``), and for each field of its data what the entity needs for it.
Actions that only one home has (its scripts, its phones) are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

# Of these domains only the actions that every home has.
_EVERYWHERE = {
    "notify": ("notify", "persistent_notification", "send_message"),
    "script": ("reload", "toggle", "turn_off", "turn_on"),
    "tts": ("clear_cache", "speak"),
}
_LEFT_OUT = frozenset(("demo",))


def fields_of(described: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field of an action with what it needs; fields inside sections too."""
    for name, field in (described.get("fields") or {}).items():
        if "fields" in field:
            yield from fields_of(field)
            continue
        needs = field.get("filter") or {}
        found = {"supported_features": needs.get("supported_features"), **(needs.get("attribute") or {})}
        yield name, {key: value for key, value in found.items() if value}


def row_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """What the table says of one action."""
    entities = (described.get("target") or {}).get("entity") or []
    features = sorted({bits for entity in entities for bits in entity.get("supported_features") or ()})
    row = {"features": features, "fields": dict(fields_of(described))}
    return {key: value for key, value in row.items() if value}


@click.command()
@click.argument("answer", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--version", required=True, help="The version of Home Assistant that answered.")
def main(answer: Path, version: str) -> None:
    """Print the table of actions that ANSWER describes."""
    services = json.loads(answer.read_bytes())
    rows = {
        f"{domain}.{name}": row_of(described)
        for domain, of_domain in sorted(services.get("result", services).items())
        for name, described in sorted(of_domain.items())
        if domain not in _LEFT_OUT and name in _EVERYWHERE.get(domain, of_domain)
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row, sort_keys=True)}" for name, row in rows.items())
    click.echo(f'{{"version": {json.dumps(version)}, "services": {{\n{lines}\n}}}}')


if __name__ == "__main__":
    main()
