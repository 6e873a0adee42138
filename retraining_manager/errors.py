"""Failures a person can act on: the message is one line that says what happened, where, and what to do."""

from data_sources import OneLineError


class ManagerError(OneLineError):
    """Retraining, or what was asked of the registry, cannot go on; what is live has not changed."""


class RegistryError(ManagerError):
    """A version or a name cannot be read, written or moved."""


class ChampionChangedError(RegistryError):
    """Another version went live than the candidate was compared with."""


class BusyError(ManagerError):
    """Another process, which lives, holds the lock of this model."""
