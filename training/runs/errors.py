"""Failures that a person can act on: the message is one line that says what happened, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_sources import OneLineError
from training.runs.wording import one_line

_RUST_PANIC = "PanicException"  # what tokenizers and safetensors raise where their code fails; no Exception
_NOT_WEIGHTS_ALONE = "Weights only load failed"  # torch goes on with advice to load it unsafely


class TrainingError(OneLineError):
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


@contextmanager
def wrap_read_errors(
    path: str | Path, what: str = "cannot be read", advice: str = "", raises: type[Exception] = ModelFileError
) -> Iterator[None]:
    """Turn whatever a library throws while it reads a file into one line that names the file.

    A damaged file makes libraries raise what they like: safetensors its own class, tokenizers a plain Exception, others
    an AttributeError or a RecursionError.

    Args:
        path: The file or folder.
        what: What is wrong with it.
        advice: What to do.
        raises: The class of the error. One that is raised inside passes as it is: it says more.

    Raises:
        ModelFileError: Or ``raises``; the cause is chained.
    """
    try:
        yield
    except (raises, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != _RUST_PANIC:
            raise
        raise raises(f"{path}: {what} ({_why(error)}){f'; {advice}' if advice else ''}") from error


def _why(error: BaseException) -> str:
    told = one_line(error)
    if told.startswith(_NOT_WEIGHTS_ALONE):
        return "it holds more than weights, or is no file of PyTorch"
    if isinstance(error, EOFError):
        return "it is empty or cut off"
    # Libraries raise a KeyError of a number, say, of which only the number is told.
    return told if any(map(str.isalpha, told)) else f"{type(error).__name__}: {told}"
