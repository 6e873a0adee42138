"""Production's own source: entities from the Data API, synergies and requests from the database."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from data_sources.base import DataSource, R
from data_sources.cold_start import generate_pairs
from data_sources.data_api import DataApiSource
from data_sources.homes import HomeBuilder
from data_sources.records import Home
from data_sources.sql import SqlSource

log = logging.getLogger("data_sources.production")


class ProductionSource(DataSource):
    """What the cron reads. Where the synergy table is empty, pairs are generated from rules and marked as such."""

    def __init__(self, api: DataApiSource, database: SqlSource, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._api, self._database = api, database

    def describe(self) -> dict[str, str]:
        """Both addresses, without secrets."""
        api, database = self._api.describe()["location"], self._database.describe()["location"]
        return {"type": "production", "location": f"{api} and {database}", "data_api": api, "database": database}

    def location(self, kind: str) -> str:
        """Requests come from the database alone."""
        return self.describe()["location" if kind == Home.kind else "database"]

    def _read(self, record: type[R]) -> Iterator[R]:
        self._api.report = self._database.report = self.report
        if record is not Home:
            yield from self._database._read(record)
            return
        builder = HomeBuilder(self.report)
        # The database first: it fails at once, the Data API may take minutes to give up.
        rows = self._database.add_synergies(builder)
        self._api.add_entities(builder)
        if rows:
            if not builder.empty:
                yield builder.build()
            return
        home = builder.build()
        generated = generate_pairs(home.entities)
        note = (
            f"{self._database.describe()['location']}: the synergy table is empty: {len(generated)} pairs were "
            "generated from rules; they are guesses and nobody has validated them"
        )
        log.warning("%s", note)
        self.report.notes.append(note)
        yield replace(home, synergies=generated, rows=len(generated), generated=len(generated))
