"""Publish files all or nothing: write them beside their targets, flush them to disk, rename them over the old ones."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.runs.errors import ArtifactError

REGISTRY_LINK = "live"  # the part of a link's target that only links of the manager's registry have


def metadata_path(model_path: Path) -> Path:
    """The path of a model's metadata: ``<stem>_metadata.json`` beside it, where production looks for it."""
    return model_path.with_name(f"{model_path.stem}_metadata.json")


def check_writable(path: Path) -> None:
    """Check that a file can be written, so that a run fails before training rather than after it; make its folder.

    Raises:
        ArtifactError: The file cannot be written there.
    """
    if path.is_dir():
        raise ArtifactError(f"{path}: is a folder; give the model file's own path")
    if _is_mounted(path):
        raise ArtifactError(
            f"{path}: is a mount of its own, so no new file can take its place; mount its folder {path.parent} instead"
        )
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent, prefix=".writable-"):
            pass


def publish(model_path: Path, model: bytes, metadata: Mapping[str, Any], extras: Mapping[str, bytes]) -> dict[str, Any]:
    """Publish a model, its metadata and its extra files. The old files stay until all new ones are on disk.

    The metadata is replaced last and holds the SHA-256 of every other file, so a reader can check that the files belong
    together.

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
    with explained(model_path):
        _replace_all(model_path.parent, files)
    return written


def check_model_path(path: Path) -> None:
    """``check_writable`` for a model, which takes the place of what is there with other files beside it.

    Raises ArtifactError where a device, a pipe or a link is there: a model is not written through it. The links that a
    registry makes are its own: a training that another program starts replaces them, and the registry takes it in.
    """
    if _is_special(path):
        raise ArtifactError(f"{path}: is a device or a pipe, no model file; give another path")
    if path.is_symlink() and REGISTRY_LINK not in path.readlink().parts:
        raise ArtifactError(f"{path}: is a link to {path.readlink()}; give the path of the file itself")
    check_writable(path.with_name(f".{path.name}") if path.is_symlink() else path)


def write_atomically(path: Path, content: bytes, described_by: Mapping[str, bytes] | None = None) -> None:
    """Write a file, and the files beside it that describe it, all or nothing.

    A link that is there is replaced, never followed.

    Args:
        path: The file.
        content: Its content.
        described_by: Names and contents of the files that describe it.

    Raises:
        ArtifactError: A file cannot be written; no file has changed.
    """
    with explained(path):
        _replace_all(path.parent, {path.name: content, **(described_by or {})})


def check_output(path: Path) -> None:
    """``check_writable`` for a file that a user names for a result, as ``write_output`` writes it."""
    if not _is_special(path):  # trying a pipe would already send something
        check_writable(_followed(path))


def check_apart(**paths: Path | str | None) -> None:
    """Refuse two names for one file: what is written last would replace what was read or written before.

    Args:
        paths: What each file is -> where it is; None where there is none.

    Raises:
        ArtifactError: Two of them are one file.
    """
    seen: dict[Path, str] = {}
    for what, path in paths.items():
        if path is None or _is_special(Path(path)):
            continue
        place, name = Path(path).resolve(), what.replace("_", " ")
        if place in seen:
            raise ArtifactError(f"{path}: is both the {seen[place]} and the {name}; give another path to one of them")
        seen[place] = name


def write_output(path: Path, content: bytes) -> None:
    """Write a result to the path that a user names: through a symlink, and into a device or a pipe that is there.

    Raises ArtifactError; then a file that was there has not changed.
    """
    if _is_special(path):
        with explained(path):
            path.write_bytes(content)
    else:
        write_atomically(_followed(path), content)


def owned(path: Path, owner: Path) -> Path:
    """``path``, which lies inside the folder ``owner`` also once every link on the way is resolved.

    Whatever is removed, or replaced as a whole, passes here first. Raises ArtifactError that names where it leads.
    """
    place = path.parent.resolve() / path.name
    if path.is_symlink():
        raise ArtifactError(
            f"{path}: is a link to {path.readlink()}, where {owner} has its own folder; nothing is removed or written "
            "through it. Remove the link"
        )
    if place == owner.resolve() or not place.is_relative_to(owner.resolve()):
        raise ArtifactError(
            f"{path}: leads to {place}, outside of {owner}; nothing is removed or written there. Remove the link that "
            "leads out"
        )
    return path


def remove_tree(path: Path, owner: Path) -> None:
    """Remove a folder that ``owner`` holds, with all in it, and never what a link leads to; fine if it is not there.

    What the system does not let go stays. Raises ArtifactError where the folder is not ``owner``'s.
    """
    if os.path.lexists(path):
        shutil.rmtree(owned(path, owner), ignore_errors=True)


def _is_special(path: Path) -> bool:
    """Whether a device, a pipe or a socket is there."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _followed(path: Path) -> Path:
    """Where a symlink leads, at last; else the path. Raises ArtifactError where links lead in a circle."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"{path}: is a link that leads nowhere ({error!s:.100}); remove it") from error


def _is_mounted(path: Path) -> bool:
    """Whether the file itself is a mount point, as Docker mounts single files; only Linux says so."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    place = str(path.parent.resolve() / path.name).replace(" ", r"\040")
    return any(line.split(" ")[4] == place for line in lines)


def _replace_all(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` (name -> content) to a temporary folder, then rename all of them in their order.

    Where one cannot be renamed, those before it get back what stood in their places.
    """
    folder.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{next(iter(files))}.staging-", dir=folder))
    try:
        for name, content in files.items():
            write_durably(staging / name, content)
            if (folder / name).is_dir() and not (folder / name).is_symlink():  # found before the first is replaced
                raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
        before = staging / "before"
        before.mkdir()
        if len(files) > 1:
            for name in files:
                _keep(folder / name, before / name)
        with _uninterrupted():
            replaced: list[str] = []
            try:
                for name in files:
                    (staging / name).replace(folder / name)
                    replaced.append(name)
            except OSError as error:
                _put_back(folder, before, replaced, error)
                raise
            flush_folder(folder)
    finally:
        remove_tree(staging, folder)


def _keep(path: Path, copy: Path) -> None:
    """A second name for a file, or a copy where the system gives it none; nothing where there is no file."""
    if path.is_symlink():
        copy.symlink_to(path.readlink())
    elif path.exists():
        try:
            copy.hardlink_to(path)
        except (OSError, NotImplementedError):
            shutil.copy2(path, copy)


def _put_back(folder: Path, before: Path, replaced: Sequence[str], error: OSError) -> None:
    """Undo renames. Raises ArtifactError that says what stands where, where even that is refused."""
    for number, name in enumerate(replaced):
        try:
            if os.path.lexists(before / name):
                (before / name).replace(folder / name)
            else:
                (folder / name).unlink()
        except OSError as again:
            new = ", ".join(str(folder / one) for one in replaced[number:])
            raise ArtifactError(
                f"{folder}: only some of the files could be replaced ({error.strerror}), and putting back the old ones "
                f"failed ({again.strerror}): new are {new}; all others there are the old ones. Train again"
            ) from error


def publish_folder(staged: Path, target: Path, *, read_only: bool = False) -> None:
    """Flush a finished folder to disk and rename it.

    Args:
        staged: The folder.
        target: Its new path.
        read_only: Take everybody's permission to write its files.

    Raises:
        ArtifactError: It cannot be written; there is no ``target``.
    """
    modes = (0o755, 0o444) if read_only else (0o777 & ~_umask(), 0o666 & ~_umask())
    with explained(target):
        for path in (staged, *staged.rglob("*")):
            if path.is_dir():
                _set_mode(path, modes[0])
                flush_folder(path)
            else:
                with open(path, "rb+") as file:  # Windows flushes only a file that is open for writing
                    _set_mode(path, modes[1])
                    os.fsync(file.fileno())
        staged.rename(target)
        flush_folder(target.parent)


def move_link(link: Path, target: Path) -> None:
    """Point ``link`` at ``target`` in one step, by a relative symlink.

    If the system allows no symlinks, ``link`` is a file that holds the path (see ``pointed_at``).

    Raises:
        ArtifactError: It cannot be written, or ``link`` is a folder; ``link`` has not changed.
    """
    with explained(link):
        if link.is_dir() and not link.is_symlink():
            raise ArtifactError(f"{link}: is a folder, not a link to a run; move it away")
        replace_link(link, os.path.relpath(target.resolve(), link.parent.resolve()))


def make_link(path: Path, target: str) -> None:
    """Make a symlink or, if the system allows none, a file that holds ``target``. Raises OSError."""
    if not _symlink(path, target):
        write_durably(path, target.encode())


def replace_link(path: Path, target: str, *, stand_in: bool = True) -> bool:
    """Replace ``path``, in one step, by a symlink to ``target``.

    Args:
        path: The link.
        target: What it points at, relative to its folder.
        stand_in: If the system allows no symlinks, write a file that holds ``target`` instead.

    Returns:
        Whether ``path`` was replaced.

    Raises:
        OSError: It cannot be written.
    """
    staged = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    try:
        if not _symlink(staged, target):
            if not stand_in:
                return False
            write_durably(staged, target.encode())
        staged.replace(path)
    except BaseException:
        staged.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)
    return True


def _symlink(path: Path, target: str) -> bool:
    try:
        path.symlink_to(target, target_is_directory=(path.parent / target).is_dir())
    except (OSError, NotImplementedError):
        return False
    return True


def pointed_at(path: Path) -> Path:
    """The folder that a link leads to, also if the link is a file that holds the path (see ``move_link``)."""
    return path.parent / path.read_text(encoding="utf-8").strip() if path.is_file() else path


def to_json(content: Mapping[str, Any]) -> bytes:
    """Indented JSON in ASCII. Raises ValueError for nan and infinity, which JSON does not have."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode("ascii")


def verify(model_path: Path) -> None:
    """Check the files of a published model against its metadata.

    Raises:
        ArtifactError: A file is missing, or its hash differs.
    """
    described = metadata_path(model_path)
    try:
        hashes: Mapping[str, str] = json.loads(described.read_bytes())["files"]
        for name, expected in hashes.items():
            if sha256_of(model_path.parent / name) != expected:
                raise ArtifactError(f"{model_path.parent / name}: is not the file that {described} describes")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{described}: cannot be checked ({error!s:.200})") from error


def write_durably(path: Path, content: bytes) -> None:
    """Write a file and wait until it is on disk. Raises OSError."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, as hex digits. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Defer Ctrl-C and SIGTERM, which could leave a new model beside the metadata of the old one."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def flush_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that renamed files survive a power cut; SMB, FUSE and 9p cannot."""
    if os.name == "posix":  # Windows cannot open a folder
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno in (errno.EIO, errno.ENOSPC, errno.EDQUOT):
                raise
        finally:
            os.close(descriptor)


def _set_mode(path: Path, mode: int) -> None:
    """Give a file or folder its mode, where the file system has modes: CIFS, exFAT and S3 refuse."""
    try:
        path.chmod(mode)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL):
            raise


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError while ``path`` is written into an ArtifactError, whose text is for a person."""
    try:
        yield
    except OSError as error:
        in_the_way = isinstance(error, FileExistsError | NotADirectoryError)
        why = "a file is in the place of its folder" if in_the_way else error.strerror or str(error)
        raise ArtifactError(
            f"{path}: cannot be written ({why}); nothing that was there has changed. "
            "Free space, fix permissions or give another path"
        ) from error
