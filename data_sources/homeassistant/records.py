"""From what one Home Assistant says of itself to records, whichever way it was asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from data_sources.base import LoadReport
from data_sources.homes import HomeBuilder
from data_sources.records import DEFAULT_HOME_ID, Home, YamlRow
from home_assistant.automation import structure
from home_assistant.automation_pairs import known_pairs
from home_assistant.automation_yaml import dump_automation
from home_assistant.installation import Installation
from home_assistant.registries import add_told_by_states, area_rows, entity_rows, home_id_of

_NO_ANSWER = ("id", "alias", "description")  # what an editor wrote, or what asks for the automation


def home_of(installation: Installation, report: LoadReport) -> Home:
    """The home. Its synergies are the pairs that its automations join; what of them is not resolved is counted."""
    builder = HomeBuilder(report, home_id_of(installation) or DEFAULT_HOME_ID)
    builder.add_places(area_rows(installation), ())
    add_told_by_states(installation)
    installation.automations[:] = [
        replace(automation, enabled=False) if automation.entity_id in installation.turned_off else automation
        for automation in installation.automations
    ]
    installed = {automation.entity_id for automation in installation.automations if automation.installed}
    for row in entity_rows(installation):
        if row["entity_id"] not in installed:
            builder.add_entity(row, row["entity_id"])
    pairs = known_pairs(installation)
    for pair in pairs.pairs:
        row = {
            "entity_1": pair.trigger,
            "entity_2": pair.action,
            "confidence": 1.0,
            "synergy_type": pair.kind,
            "automation_id": pair.automation_id,
        }
        builder.add_row(row, pair.automation_id)
    installation.problems.update(pairs.problems)
    turned_off = tuple(sorted({(pair.trigger, pair.action) for pair in pairs.turned_off}))
    suggested = tuple(sorted({(pair.trigger, pair.action) for pair in pairs.installed}))
    return replace(builder.build(), turned_off=turned_off, installed=suggested)


def yaml_rows(installation: Installation, home: Home, report: LoadReport) -> Iterator[YamlRow]:
    """Each automation of the owner that has a description or an alias, as the answer to it."""
    known = {entity.entity_id for entity in home.entities}
    for automation in installation.automations:
        if automation.installed:  # the program's own words
            continue
        config = automation.config
        texts = (config.get(key) for key in ("description", "alias"))
        asked = next((text for text in texts if isinstance(text, str) and text.strip()), None)
        if asked is None:
            continue
        answer = {key: value for key, value in config.items() if key not in _NO_ANSWER}
        raw = {
            "input": asked,
            "output": dump_automation(answer),
            "home_id": home.home_id,
            "entities": sorted(structure(answer).entities & known),
        }
        row = report.validate(YamlRow, raw, "automation", automation.where)
        if row is not None:
            yield row
