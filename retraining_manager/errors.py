"""Failures a person can act on: the message is one line that says what happened, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_sources import OneLineError
from training.runs.errors import ArtifactError


class ManagerError(OneLineError):
    """Retraining, or what was asked of the registry, cannot go on; what is live has not changed."""


class RegistryError(ManagerError):
    """A version or a name cannot be read, written or moved."""


class ChampionChangedError(RegistryError):
    """Another version went live than the candidate was compared with."""


class BusyError(ManagerError):
    """Another process, which lives, holds the lock of this model."""


@contextmanager
def wrap_registry_errors(path: Path) -> Iterator[None]:
    """Turn a failure to write into a RegistryError for a person."""
    try:
        yield
    except ArtifactError as error:
        raise RegistryError(str(error)) from error
    except OSError as error:
        where = error.filename or path
        raise RegistryError(
            f"{where}: {error.strerror or error}; what is live has not changed. Free space or fix permissions"
        ) from error
