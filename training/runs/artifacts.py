"""A model's files: the model, its metadata with their hashes, and what lies beside them, which are of one training."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from data_sources.paths import is_special
from training.runs.errors import ArtifactError, MixedFilesError, wrap_read_errors
from training.runs.files import read_json, sha256_of, to_json
from training.runs.locks import HeldError, file_lock
from training.runs.publishing import check_writable, recovered, write_together

_READS = 5  # a reader's attempts to see a model and metadata of one training, where nothing can be locked
RUN_FILE = "training_run.json"  # what a run directory says of its training
RUN_PAGE = "report.html"  # the page of a training in its run directory, for a person
REGISTRY_LINK = "live"  # the part of a link's target that only links of the manager's registry have


def metadata_path(model_path: Path) -> Path:
    """The path of a model's metadata: ``<stem>_metadata.json`` beside it, where production looks for it."""
    return model_path.with_name(f"{model_path.stem}_metadata.json")


def page_path(model_path: Path) -> Path:
    """The path of the page of a model's training: ``<stem>_report.html``, for several models may share a folder."""
    return model_path.with_name(f"{model_path.stem}_{RUN_PAGE}")


def card_path(model_path: Path) -> Path:
    """The path of the card of a model file: ``<stem>_card.md``. That of a run directory is its ``README.md``."""
    return model_path.with_name(f"{model_path.stem}_card.md")


def check_model_path(path: Path) -> None:
    """``check_writable`` for a model, which takes the place of what is there with other files beside it.

    Raises ArtifactError where a device, a pipe or a link is there: a model is not written through it. The links that a
    registry makes are its own: a training that another program starts replaces them, and the registry takes it in.
    """
    if is_special(path):
        raise ArtifactError(f"{path}: is a device or a pipe, no model file; give another path")
    if path.is_symlink() and REGISTRY_LINK not in path.readlink().parts:
        raise ArtifactError(f"{path}: is a link to {path.readlink()}; give the path of the file itself")
    check_writable(path.with_name(f".{path.name}") if path.is_symlink() else path)
    with recovered(path):
        pass


@contextmanager
def training_of(model_path: Path) -> Iterator[None]:
    """Hold a model path while a model is trained for it: of two trainings, the one that ends last would win.

    Raises:
        ArtifactError: Another process trains for it.
    """
    lock = model_path.with_name(f".{model_path.name}.training")
    with ExitStack() as stack:
        try:
            stack.enter_context(file_lock(lock))
        except HeldError:
            raise ArtifactError(
                f"{model_path}: another process is training it; wait until it ends, or give another --model-path"
            ) from None
        except OSError:
            pass  # not every file system has locks
        else:
            stack.callback(_remove_quietly, lock)
        yield


def publish(model_path: Path, model: bytes, metadata: Mapping[str, Any], extras: Mapping[str, bytes]) -> dict[str, Any]:
    """Publish a model, its metadata and its extra files. The old files stay until all new ones are on disk.

    The metadata is replaced last and holds the SHA-256 of every other file, so a reader can check that the files belong
    together. An extra file of the model before, which the new one lacks, is removed if nobody has changed it.

    Args:
        model_path: Where the model goes; the other files go beside it.
        model: Content of the model file.
        metadata: Content of the metadata file.
        extras: Names and contents of further files.

    Returns:
        The metadata with the hashes under ``files``.

    Raises:
        ArtifactError: A file cannot be written; no file has changed.
    """
    files = {**extras, model_path.name: model}
    written = {**metadata, "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}
    files[metadata_path(model_path).name] = to_json(written)
    write_together(model_path, files, lambda: _superseded(model_path, files))
    return written


def read_published(path: Path) -> tuple[bytes, dict[str, Any]]:
    """The content of a model file and its metadata, which are of one training; ``{}`` where it has none.

    What a killed training left half-way is put in place first. Raises OSError; ArtifactError where it cannot be; and
    MixedFilesError where the metadata describes another file than the one that is there.
    """
    for attempt in range(_READS):
        with recovered(path, sweep=False):
            place = path.resolve()  # one version, wherever links lead meanwhile
            try:
                content, described = place.read_bytes(), _described(place)
            except FileNotFoundError:
                if attempt + 1 < _READS and path.resolve() != place:
                    continue  # it was removed when another one had gone live
                raise
        expected = _hashes_in(described).get(place.name)
        if expected in (None, hashlib.sha256(content).hexdigest()):
            return content, described
        time.sleep(0.05 * attempt)
    raise MixedFilesError(
        f"{place}: is not the model that {metadata_path(place).name} beside it describes: the two are of different "
        "trainings. Train again, or remove the one that is wrong",
        content,
    )


def is_described(files: Mapping[str, Path], model_name: str) -> bool:
    """Whether the metadata among ``files`` (name -> where it is) is of that model; True where there is none."""
    described = files.get(metadata_path(Path(model_name)).name)
    expected = None if described is None else _hashes_in(read_json(described)).get(model_name)
    return expected is None or expected == sha256_of(files[model_name])


def verify(model_path: Path) -> None:
    """Check the files of a published model against its metadata.

    Raises:
        ArtifactError: A file is missing, or its hash differs.
    """
    described = metadata_path(model_path)
    with wrap_read_errors(described, "cannot be checked", raises=ArtifactError):
        hashes: Mapping[str, str] = json.loads(described.read_bytes())["files"]
        for name, expected in hashes.items():
            if sha256_of(model_path.parent / name) != expected:
                raise ArtifactError(f"{model_path.parent / name}: is not the file that {described} describes")


def _superseded(path: Path, names: Collection[str]) -> list[str]:
    """The extra files of the model before that the new one lacks, and that nobody has changed since."""
    found = []
    for name, expected in _hashes_in(_described(path)).items():
        other = path.with_name(name)
        if Path(name).name == name and name not in names and other.is_file() and sha256_of(other) == expected:
            found.append(name)
    return found


def _described(model_path: Path) -> dict[str, Any]:
    return read_json(metadata_path(model_path))


def _hashes_in(described: Mapping[str, Any]) -> dict[str, str]:
    """Name -> SHA-256 of the files that metadata describes."""
    hashes = described.get("files")
    return {str(name): str(value) for name, value in hashes.items()} if isinstance(hashes, dict) else {}


def _remove_quietly(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
