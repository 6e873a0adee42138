"""A data source for CSV files, as another package would add it: ``--data-source csv://pairs.csv``."""

import csv
from collections.abc import Iterator
from typing import Any

from data_sources import DataSource, Home, HomeBuilder, UnsupportedKindError


class CsvSource(DataSource):
    """Flat synergy rows with a header: entity_1, entity_2, confidence, and any other column of the flat format."""

    def __init__(self, path: str, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._path = path

    def describe(self) -> dict[str, str]:
        """Type and path."""
        return {"type": "csv", "location": self._path}

    def records(self, record: Any) -> Iterator[Any]:
        """Yield the one home that the rows make up."""
        if record is not Home:
            raise UnsupportedKindError(f"{self._path}: a CSV file holds synergies only, no {record.kind}")
        builder = HomeBuilder(self.report)
        # No error handling: DataSource turns whatever open and csv raise into one line that names the file.
        with open(self._path, newline="", encoding="utf-8-sig") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                builder.add_row({**row, "confidence": _number(row.get("confidence"))}, f"line {line}", unit="row")
        if not builder.empty:
            yield builder.build()


def open_csv(spec: str, *, strict: bool = False, **_: object) -> CsvSource:
    """What the entry point names: the whole ``--data-source`` value -> a source."""
    return CsvSource(spec.removeprefix("csv://"), strict=strict)


def _number(text: str | None) -> float | str | None:
    try:
        return float(text or "")
    except ValueError:
        return text  # the loader says what is wrong with it
