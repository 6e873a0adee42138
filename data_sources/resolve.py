"""From flags and environment to one source. Source modules are imported only when they are picked."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from data_sources.base import DataSource, DataSourceError

BARE = ""  # the value of a --json-input that stands alone
DATA_DIRECTORY_VARIABLE = "TRAINING_DATA_DIR"
SAMPLE_DIRECTORY = Path("simulation") / "training_data"


class SourceNotAvailableError(DataSourceError):
    """No source was named, or no source reads what was named."""


def _open_json(path: str, *, strict: bool, hint: str = "") -> DataSource:
    from data_sources.json_file import JsonSource

    return JsonSource(path, strict=strict, hint=hint)


_SCHEMES: dict[str, Callable[..., DataSource]] = {"file": _open_json}


def open_source(*, json_input: str | None = None, data_source: str | None = None, strict: bool = False) -> DataSource:
    """The source that ``--json-input`` (``BARE`` for the flag alone) or ``--data-source`` names.

    Raises SourceNotAvailableError where neither is given, or no source reads what was given.
    """
    if json_input is not None and data_source is not None:
        raise SourceNotAvailableError("--json-input and --data-source exclude each other; give one of them")
    if json_input is not None:
        if json_input != BARE:
            return _open_json(json_input, strict=strict)
        return _open_json(
            str(default_directory()),
            strict=strict,
            hint=f"give --json-input a path, set {DATA_DIRECTORY_VARIABLE}, or run from the project's root",
        )
    if data_source is None:
        raise SourceNotAvailableError(
            "no data source: the production services cannot be read by this version; "
            "--json-input [PATH] reads a JSON file instead"
        )
    scheme, separator, rest = data_source.partition("://")
    if not separator and data_source != "auto":
        return _open_json(data_source, strict=strict)
    opener = _SCHEMES.get(scheme)
    if opener is None:
        known = ", ".join(f"{name}://" for name in sorted(_SCHEMES))
        raise SourceNotAvailableError(
            f"--data-source {_without_secrets(data_source)}: no source reads this; known are a path and {known}"
        )
    return opener(rest, strict=strict)


def default_directory() -> Path:
    """Where a bare ``--json-input`` reads: $TRAINING_DATA_DIR, else the sample, here or in the project's root."""
    configured = os.environ.get(DATA_DIRECTORY_VARIABLE)
    if configured:
        return Path(configured)
    if SAMPLE_DIRECTORY.is_dir():
        return SAMPLE_DIRECTORY
    shipped = Path(__file__).resolve().parent.parent / SAMPLE_DIRECTORY
    return shipped if shipped.is_dir() else SAMPLE_DIRECTORY


def _without_secrets(spec: str) -> str:
    scheme, separator, rest = spec.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2].partition('?')[0]}"
