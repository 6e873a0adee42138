"""A configuration folder of Home Assistant."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from data_sources.base import DataSource, FormatError, UnsupportedKindError, without_secrets
from data_sources.homeassistant.records import home_of
from data_sources.records import Home, R
from home_assistant.installation import Installation
from home_assistant.registries import STORAGE, NewerVersionError, read_registries

log = logging.getLogger("data_sources.homeassistant")


class HomeAssistantFolder(DataSource):
    """One home, read from its configuration folder. Nothing in it is written or executed."""

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._path = path

    def describe(self) -> dict[str, str]:
        """Type and path."""
        return {"type": "homeassistant", "location": without_secrets(str(self._path))}

    def _read(self, record: type[R]) -> Iterator[R]:
        if record is not Home:
            raise UnsupportedKindError(f"{self.describe()['location']}: Home Assistant has no {record.kind} data")
        installation = self.installation()
        for note in installation.notes:
            log.warning("%s", note)
        self.report.notes.extend(installation.notes)
        yield home_of(installation, self.report)

    def installation(self) -> Installation:
        """What the folder says of the home."""
        installation = Installation()
        try:
            read_registries(self._path / STORAGE, installation)
        except NewerVersionError as error:
            raise FormatError(f"{self.describe()['location']}: {error}") from error
        return installation
