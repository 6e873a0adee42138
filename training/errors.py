"""Failures a person can act on: the message is one line that says what happened, where, and what to do."""


class TrainingError(Exception):
    """Training cannot start or go on."""


class ModelFileError(TrainingError):
    """A model file is missing, broken, of another kind or of a newer format."""


class ArtifactError(TrainingError):
    """A result cannot be written; what was published before is untouched."""


def one_line(error: BaseException | None) -> str:
    """What another library says went wrong, cut to a line."""
    return " ".join(str(error).split())[:200] or type(error).__name__
