"""Publish files all or nothing: staged beside their target, hashed, flushed to disk, then renamed over the old ones."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.runs.errors import ArtifactError


def metadata_path(model_path: Path) -> Path:
    """``<stem>_metadata.json`` beside the model, where production looks for it."""
    return model_path.with_name(f"{model_path.stem}_metadata.json")


def check_writable(path: Path) -> None:
    """Fail before an hour of training rather than after it. Creates the folder. Raises ArtifactError."""
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder; give the model file's own path")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent, prefix=".writable-"):
            pass


def publish(model_path: Path, model: bytes, metadata: Mapping[str, Any], extras: Mapping[str, bytes]) -> dict[str, Any]:
    """Publish a model, its extra files (name -> content) and its metadata; what was there stays until all is on disk.

    The metadata goes last and holds the SHA-256 of every other file, so a reader can tell that they belong together.
    Returns the metadata as written. Raises ArtifactError; then nothing has changed.
    """
    files = {**extras, model_path.name: model}
    written = {**metadata, "files": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}}
    files[metadata_path(model_path).name] = to_json(written)
    with explained(model_path):
        folder = model_path.parent
        folder.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{model_path.name}.staging-", dir=folder))
        try:
            for name, content in files.items():
                _write(staging / name, content)
            with _uninterrupted():
                for name in files:
                    (staging / name).replace(folder / name)
                flush_folder(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return written


def publish_folder(staged: Path, target: Path) -> None:
    """Give a finished folder its name, once all in it is on disk. Raises ArtifactError; then nothing is there."""
    with explained(target):
        staged.chmod(0o777 & ~_umask())
        for path in staged.rglob("*"):
            path.chmod((0o777 if path.is_dir() else 0o666) & ~_umask())
            if path.is_file():
                with open(path, "rb+") as file:
                    os.fsync(file.fileno())
        staged.rename(target)
        flush_folder(target.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write one file all or nothing. Raises ArtifactError."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, staged = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            os.close(handle)
            _write(Path(staged), content)
            Path(staged).replace(path)
        except BaseException:
            Path(staged).unlink(missing_ok=True)
            raise


def move_link(link: Path, target: Path) -> None:
    """Point ``link`` at ``target`` in one step: a relative symlink, or a file with the path where none can be made.

    Raises ArtifactError; then it points where it did.
    """
    where = os.path.relpath(target.resolve(), link.parent.resolve())
    with explained(link):
        if link.is_dir() and not link.is_symlink():
            raise ArtifactError(f"{link}: is a folder, not a link to a run; move it away")
        staged = Path(tempfile.mkdtemp(prefix=f".{link.name}-", dir=link.parent))
        try:
            try:
                (staged / link.name).symlink_to(where, target_is_directory=True)
            except (OSError, NotImplementedError):
                write_atomically(staged / link.name, where.encode())
            (staged / link.name).replace(link)
        finally:
            shutil.rmtree(staged, ignore_errors=True)


def pointed_at(path: Path) -> Path:
    """The folder that ``path`` is, or that it points at where the system allowed no symlink (see ``move_link``)."""
    return path.parent / path.read_text(encoding="utf-8").strip() if path.is_file() else path


def to_json(content: Mapping[str, Any]) -> bytes:
    """Readable JSON in ASCII; a value that JSON has no name for (nan) is an error."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode("ascii")


def verify(model_path: Path) -> None:
    """Raises ArtifactError where a published file is missing or is not the one that the metadata describes."""
    described = metadata_path(model_path)
    try:
        hashes: Mapping[str, str] = json.loads(described.read_bytes())["files"]
        for name, expected in hashes.items():
            if hashlib.sha256((model_path.parent / name).read_bytes()).hexdigest() != expected:
                raise ArtifactError(f"{model_path.parent / name}: is not the file that {described} describes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{described}: cannot be checked ({error!s:.200})") from error


def _write(path: Path, content: bytes) -> None:
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(0o666 & ~_umask())  # mkstemp's files are private; a published one is like any other


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C and SIGTERM back, so that a model is not left beside the metadata of the one before."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def flush_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    if os.name == "posix":  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError while writing ``path`` into an ArtifactError for a person."""
    try:
        yield
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        why = "a file is in the place of its folder" if in_the_way else error.strerror or str(error)
        raise ArtifactError(
            f"{path}: cannot be written ({why}); nothing that was there has changed. "
            "Free space, fix permissions or give another path"
        ) from error
