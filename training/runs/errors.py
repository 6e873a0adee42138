"""Failures that a person can act on: the message is one line that says what happened, where, and what to do."""

from __future__ import annotations


class TrainingError(Exception):
    """Training cannot start or continue."""


class ModelFileError(TrainingError):
    """A model file is missing, broken, of another kind or of a newer format."""


class ArtifactError(TrainingError):
    """A file cannot be written; what was published before has not changed, unless the message says so."""


class MixedFilesError(ArtifactError):
    """A model file is not the one that the metadata beside it describes; ``content`` is what is in it."""

    def __init__(self, message: str, content: bytes) -> None:
        super().__init__(message)
        self.content = content
