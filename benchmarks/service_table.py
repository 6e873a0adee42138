"""Writes ``home_assistant/service_table.json`` from what a running Home Assistant answers to ``get_services``.

Run it where a new version of Home Assistant adds actions or changes what they need::

    python benchmarks/service_table.py get_services.json --version 2026.11.0 > home_assistant/service_table.json

The answer is that of the WebSocket command ``get_services``. The table has a line for each action: the bits of
``supported_features`` that it needs (``features``), for each field of its data what the entity needs for it, the
domains that it acts on (``target``), the fields that it cannot do without (``required``) and those that name something
of a home (``names``). Actions that only one home has (its scripts, its phones) are left out.
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
# Selectors of fields that name something of a home.
_NAMING = ("entity", "device", "area", "floor", "label", "config_entry")
# Read from the schemas of 2026.11.0, and not told by get_services: data that an action takes, data that it can do
# without, and the actions of alerts, which the home that answered does not have. The field * stands for any other.
_ALSO_TAKES = {
    "automation.reload": ("id",),
    "automation.trigger": ("variables",),
    "device_tracker.see": ("attributes", "battery_status", "consider_home", "hostname", "source_type"),
    "homeassistant.restart": ("safe_mode",),
    "light.toggle": ("brightness_step", "brightness_step_pct"),
    "logger.set_level": ("*",),
    "media_player.play_media": ("extra", "media_content_id", "media_content_type"),
    "notify.persistent_notification": ("target",),
    **dict.fromkeys(("remote.toggle", "remote.turn_off"), ("activity",)),
    **dict.fromkeys(("script.toggle", "script.turn_off", "script.turn_on"), ("variables",)),
}
_ALSO_NEEDS = {"climate.set_hvac_mode": ["hvac_mode"], "media_player.select_sound_mode": ["sound_mode"]}
_DOES_WITHOUT = {
    **dict.fromkeys(("ai_task.generate_image", "homeassistant.update_entity"), "entity_id"),
    "fan.set_direction": "direction",
    "homeassistant.reload_config_entry": "entry_id",
    "media_player.play_media": "media",
    "timer.change": "duration",
}
_OF_ALERTS = {name: {"target": {"entity": [{"domain": ["alert"]}]}} for name in ("toggle", "turn_off", "turn_on")}


def fields_of(described: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each field of an action; fields inside sections too."""
    for name, field in (described.get("fields") or {}).items():
        if "fields" in field:
            yield from fields_of(field)
        else:
            yield name, field


def needs_of(field: Mapping[str, Any]) -> dict[str, Any]:
    """What an entity needs to take a field."""
    needs = field.get("filter") or {}
    found = {"supported_features": needs.get("supported_features"), **(needs.get("attribute") or {})}
    return {key: value for key, value in found.items() if value}


def row_of(action: str, described: Mapping[str, Any]) -> dict[str, Any]:
    """What the table says of one action."""
    entities = (described.get("target") or {}).get("entity") or []
    features = sorted({bits for entity in entities for bits in entity.get("supported_features") or ()})
    fields = dict(fields_of(described))
    kinds = {name: set(field.get("selector", ())).intersection(_NAMING) for name, field in fields.items()}
    required = [name for name, field in fields.items() if field.get("required") and _DOES_WITHOUT.get(action) != name]
    row: dict[str, Any] = {
        "features": features,
        "fields": {name: needs_of(field) for name, field in fields.items()}
        | {name: {} for name in _ALSO_TAKES.get(action, ())},
        "names": {name: min(kind) for name, kind in kinds.items() if kind},
        "required": [*required, *_ALSO_NEEDS.get(action, ())],
    }
    row = {key: value for key, value in row.items() if value}
    if "target" in described:
        row["target"] = sorted({domain for entity in entities for domain in entity.get("domain", ())})
    return row


@click.command()
@click.argument("answer", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--version", required=True, help="The version of Home Assistant that answered.")
def main(answer: Path, version: str) -> None:
    """Print the table of actions that ANSWER describes."""
    services = json.loads(answer.read_bytes())
    services = {"alert": _OF_ALERTS, **services.get("result", services)}
    rows = {
        f"{domain}.{name}": row_of(f"{domain}.{name}", described)
        for domain, of_domain in sorted(services.items())
        for name, described in sorted(of_domain.items())
        if domain not in _LEFT_OUT and name in _EVERYWHERE.get(domain, of_domain)
    }
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(row, sort_keys=True)}" for name, row in rows.items())
    click.echo(f'{{"version": {json.dumps(version)}, "services": {{\n{lines}\n}}}}')


if __name__ == "__main__":
    main()
