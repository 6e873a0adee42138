"""From what one Home Assistant says of itself to records, whichever way it was asked."""

from __future__ import annotations

from data_sources.base import LoadReport
from data_sources.homes import DEFAULT_HOME_ID, HomeBuilder
from data_sources.records import Home
from home_assistant.installation import Installation
from home_assistant.registries import entity_rows, home_id_of


def home_of(installation: Installation, report: LoadReport) -> Home:
    """The home, with what it automates as its synergies."""
    builder = HomeBuilder(report, home_id_of(installation) or DEFAULT_HOME_ID)
    builder.add_places(installation.areas, ())
    for row in entity_rows(installation):
        builder.add_entity(row, row["entity_id"])
    return builder.build()
