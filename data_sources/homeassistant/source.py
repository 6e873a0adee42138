"""What every source of Home Assistant has in common: it describes one home, and that gives the records."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from data_sources.base import DataSource, NoRowsError, UnsupportedKindError, UnusableRowsError
from data_sources.homeassistant.records import home_of, yaml_rows
from data_sources.records import Home, PatternRow, R, YamlRow
from home_assistant.installation import Installation

log = logging.getLogger("data_sources.homeassistant")

NOTES_SHOWN = 10
_UNUSABLE = "unusable registry row"  # of ``Installation.problems``: fatal under --strict, as a file not read is


class HomeAssistantSource(DataSource):
    """One home. A subclass says in ``installation`` what Home Assistant knows of it."""

    @abstractmethod
    def installation(self) -> Installation:
        """What Home Assistant says of the home. Raises DataSourceError."""

    def history(self, home: Home) -> Home:
        """The home with ``activity`` and ``observed``, where a history of it can be read; notes go into the report."""
        return home

    def records(self, record: type[R]) -> Iterator[R]:
        """Yield the records of one kind; see ``DataSource.records``."""
        where = self.describe()["location"]
        if record is not Home and record is not YamlRow:
            why = "it does not judge patterns" if record is PatternRow else "it keeps no requests and suggestions"
            raise UnsupportedKindError(
                f"{where}: Home Assistant has no {record.kind} data, for {why}; a database (--data-source "
                "sqlite:///...) or a JSON file (--json-input PATH) has"
            )
        installation = self.installation()
        home = home_of(installation, self.report)
        self._tell(installation)
        if not home.entities:
            raise NoRowsError(f"{where}: {_why_no_entity(installation, home)}")
        rows: Iterable[Any] = (self.history(home),) if record is Home else yaml_rows(installation, home, self.report)
        yield from rows

    def _tell(self, installation: Installation) -> None:
        """Log and keep what could not be read; under ``strict`` a broken file or row is an error."""
        notes, counts = installation.notes, installation.problems
        if self.strict and (installation.unread or counts[_UNUSABLE]):
            told = [*installation.unread, *notes][0]
            raise UnusableRowsError(f"{self.report.where}: {told} (--strict stops at the first unusable row)")
        self._note(notes)
        if counts:
            counted = ", ".join(f"{kind}: {count}" for kind, count in sorted(counts.items()))
            log.warning("Note: not read or not resolved: %s", counted)
            self.report.notes.append(f"not read or not resolved: {counted}")

    def _note(self, notes: Sequence[str]) -> None:
        for note in notes[:NOTES_SHOWN]:
            log.warning("Note: %s", note)
        if len(notes) > NOTES_SHOWN:
            log.warning("Note: %d more of these; --summary-path FILE keeps them all", len(notes) - NOTES_SHOWN)
        self.report.notes.extend(notes)


def _why_no_entity(installation: Installation, home: Home) -> str:
    found = [f"entities that are disabled: {home.disabled}"] if home.disabled else []
    found += installation.notes[:3]
    told = f" ({'; '.join(found)})" if found else ""
    if home.disabled:
        return f"no entity is enabled{told}; enable some in Home Assistant"
    return f"no entity is known{told}" if told else "no entity is known; is this the whole folder?"
