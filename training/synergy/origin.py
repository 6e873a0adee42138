"""Whose data a synergy model was trained on, for messages. Importing this imports no ML library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data_sources import DataSource, reads_sample
from data_sources.counting import many
from training.runs.artifacts import metadata_path, verify
from training.runs.errors import ArtifactError
from training.runs.files import read_json
from training.runs.sample import is_of_sample
from training.synergy.config import FORMAT_VERSION

SHOWN_DIGITS = 8  # of a fingerprint


@dataclass(frozen=True)
class Origin:
    """What a model says of its training data; None where it does not say.

    Attributes:
        date: When it was trained, ISO 8601 in UTC.
        location: Where the data was.
        fingerprint: SHA-256 of the data.
        homes: Number of homes.
        rows: Number of synergy rows.
        generated: Number of pairs that rules made.
        of_sample: Whether the data is the sample of simulated homes that ships with the project.
    """

    date: str | None = None
    location: str | None = None
    fingerprint: str | None = None
    homes: int | None = None
    rows: int | None = None
    generated: int = 0
    of_sample: bool = False

    def __str__(self) -> str:
        """``2026-11-26T03:17:00+00:00 on 1 home, 120 rows of homes.jsonl (fingerprint 01234567)``."""
        if self.fingerprint is None:
            return "on data that it does not name"
        counts = f"{many(self.homes or 0, 'home')}, {many(self.rows or 0, 'row')}"
        where = "" if self.location is None else f" of {self.location}"
        kind = "the shipped sample, " if self.of_sample else "pairs generated from rules, " if self.generated else ""
        return f"{self.date or ''} on {counts}{where} ({kind}fingerprint {self.fingerprint[:SHOWN_DIGITS]})".strip()

    def stands_for_another(self, source: DataSource) -> bool:
        """Whether the model is of the sample, and ``source`` is not."""
        return self.of_sample and not reads_sample(source)


def origin_of(model_path: Path, provenance: Mapping[str, Any] | None = None) -> Origin:
    """The origin of a model file, from its metadata and from ``provenance``, which the file itself holds.

    The metadata counts where it is of the same data. Without ``provenance`` it counts by itself.
    """
    described = read_json(metadata_path(model_path))
    if provenance is not None and described.get("data_fingerprint") != provenance.get("data_fingerprint"):
        described = {}
    known: dict[str, Any] = {**(provenance or {}), **described}
    try:
        audit = known["audit"]
        return Origin(
            date=known.get("training_date"),
            location=known.get("source", {}).get("location"),
            fingerprint=str(known["data_fingerprint"]),
            homes=int(audit["homes"]),
            rows=int(audit["rows"]),
            generated=int(audit.get("generated_pairs", 0)),
            of_sample=is_of_sample(known),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return Origin()


def is_whole(model_path: Path) -> bool:
    """Whether the file is the one that its metadata describes, of a format that is read here: then it can be loaded."""
    described = read_json(metadata_path(model_path))
    try:
        verify(model_path)
    except ArtifactError:
        return False
    return bool(described.get("format_version") == FORMAT_VERSION and model_path.name in described.get("files", ()))
