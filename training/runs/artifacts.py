"""Publish files all or nothing: write them beside their targets, flush them to disk, rename them over the old ones.

Several files that are one thing pass through a folder beside them, whose name says what a kill left::

    .m.pth.staging-xxxxxxxx/      nothing is replaced yet, or all is: it is swept
    .m.pth.publishing-xxxxxxxx/   new files are being put in place: they are put there
    .m.pth.restoring-xxxxxxxx/    a rename was refused: the old files are put back

Whoever publishes or loads the same thing next (``recovered``) does what the name says. All of it happens while the
folder of the files is held, so nobody sweeps what a living process works on.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from data_sources import DataSource
from data_sources.paths import is_special, is_there, same_file
from training.runs.errors import ArtifactError, MixedFilesError, wrap_read_errors
from training.runs.locks import FOLDER_SECONDS, HeldError, file_lock, folder_lock
from training.runs.wording import one_line

STAGING, PUBLISHING, RESTORING = "staging", "publishing", "restoring"
_PLAN, _BEFORE = "plan.json", "before"  # in a staging folder
_PROBE = ".writable-"
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


def check_writable(path: Path) -> None:
    """Check that a file can be written, so that a run fails before training rather than after it; make its folder.

    Raises:
        ArtifactError: The file cannot be written there.
    """
    with wrap_write_errors(path):
        is_folder = path.is_dir()
    if is_folder:
        raise ArtifactError(f"{path}: is a folder; give the path of a file")
    if _is_mounted(path):
        raise ArtifactError(
            f"{path}: is a mount of its own, so no new file can take its place; mount its folder {path.parent} instead"
        )
    with wrap_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _held(path.parent), tempfile.TemporaryFile(dir=path.parent, prefix=_PROBE):
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


def _remove_quietly(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


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
    _replace_all(model_path, files)
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


@contextmanager
def recovered(path: Path, *, sweep: bool = True) -> Iterator[bool]:
    """Hold the folder of ``path`` after what a killed process left of publishing ``path`` is finished, or undone.

    Args:
        path: The first of the files that are published together, or a link; its folder need not exist.
        sweep: Remove the staging files of processes that were killed too.

    Yields:
        Whether the folder is held; not every file system has locks.

    Raises:
        ArtifactError: What was left cannot be put in place; the message says what stands where.
    """
    with ExitStack() as stack:
        alone = path.parent.is_dir() and stack.enter_context(_held(path.parent))
        _recover(path)
        if alone and sweep:
            _sweep(path)
        yield alone


def interrupted_publication(path: Path) -> str | None:
    """One line where a killed process left new and old files of ``path`` side by side; for who may not mend it."""
    for journal in _journals(path, PUBLISHING, RESTORING):
        plan = _Plan.read(journal)
        new = [name for name in plan.names if not os.path.lexists(journal / name)]
        old = [name for name in plan.names if name not in new]
        return (
            f"{path}: a process was killed while it published here: new are {', '.join(new) or 'none'}, old are "
            f"{', '.join(old) or 'none'} ({journal.name} has the rest); the next training or load puts them in place"
        )
    return None


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
    _replace_all(path, {path.name: content, **(described_by or {})})


def check_output(path: Path) -> None:
    """``check_writable`` for a file that a user names for a result, as ``write_output`` writes it."""
    if not is_special(path):  # trying a pipe would already send something
        with wrap_write_errors(path):
            place = _followed(path)
        check_writable(place)


def check_paths_differ(
    source: DataSource | None = None,
    /,
    *,
    kept: Mapping[str, Path | str | None] = MappingProxyType({}),
    **written: Path | str | None,
) -> None:
    """Refuse to write a file over one that is read, or that something else is written to.

    Args:
        source: What is read, so that none of its files, which a folder may hold, is written over.
        kept: What each other file that is not written is -> where it is; None where there is none.
        written: The same of what is written.

    Raises:
        ArtifactError: Something would be written over.
    """
    seen = [(Path(path).resolve(), what) for what, path in kept.items() if path is not None]
    for what, path in written.items():
        if path is None or is_special(Path(path)):
            continue
        place, name = Path(path).resolve(), what.replace("_", " ")
        link = Path(path).parent.resolve() / Path(path).name  # a link itself may lie among what is read
        is_read = source is not None and is_there(place) and any(map(source.reads, {place, link}))
        taken = "data" if is_read else next((other for one, other in seen if same_file(place, one)), None)
        if taken is not None:
            raise ArtifactError(f"{path}: is both the {taken} and the {name}; give another path to one of them")
        seen.append((place, name))


def write_output(path: Path, content: bytes) -> None:
    """Write a result to the path that a user names: through a symlink, and into a device or a pipe that is there.

    Raises ArtifactError; then a file that was there has not changed.
    """
    if is_special(path):
        with wrap_write_errors(path):
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


def discard_tree(path: Path, beside: Path) -> None:
    """``remove_tree`` of a folder next to ``beside``; where it is killed half-way, ``recovered(beside)`` goes on."""
    if os.path.lexists(path):
        doomed = path.with_name(f".{beside.name}.{STAGING}-{secrets.token_hex(4)}")
        remove_tree(owned(path, beside.parent).rename(doomed), beside.parent)


def _followed(path: Path) -> Path:
    """Where a symlink leads, at last; else the path. Raises ArtifactError where links lead in a circle."""
    if not path.is_symlink():
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise ArtifactError(f"{path}: is a link that leads nowhere ({one_line(error)}); remove it") from error


def _is_mounted(path: Path) -> bool:
    """Whether the file itself is a mount point, as Docker mounts single files; only Linux says so."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    place = str(path.parent.resolve() / path.name).replace(" ", r"\040")
    return any(line.split(" ")[4] == place for line in lines)


@dataclass(frozen=True)
class _Plan:
    """What is being published: the names in their order, those of no file before, and those that go."""

    names: list[str]
    absent: list[str]
    gone: list[str]

    @classmethod
    def read(cls, journal: Path) -> _Plan:
        """Raises ArtifactError where it is none, or names anything but files beside it."""
        try:
            plan = cls(**json.loads((journal / _PLAN).read_bytes()))
            if all(Path(name).name == name for name in (*plan.names, *plan.absent, *plan.gone)):
                return plan
            what = "it names files elsewhere"
        except (OSError, ValueError, TypeError) as error:
            what = one_line(error)
        raise ArtifactError(
            f"{journal}: a process was killed while it published here, and what it left cannot be read ({what}); "
            f"train again after removing this folder"
        )


def _replace_all(path: Path, files: Mapping[str, bytes]) -> None:
    """Put ``files`` (name -> content) beside ``path``, all or nothing, in their order.

    Where one cannot be renamed, those before it get back what stood in their places. After a kill, see ``recovered``.
    """
    folder = path.parent
    with wrap_write_errors(path):
        folder.mkdir(parents=True, exist_ok=True)
    with recovered(path), wrap_write_errors(path):
        journal = Path(tempfile.mkdtemp(prefix=f".{path.name}.{STAGING}-", dir=folder))
        try:
            for name, content in files.items():
                write_durably(journal / name, content)
                if (folder / name).is_dir() and not (folder / name).is_symlink():  # found before the first is replaced
                    raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
            if len(files) == 1:
                (journal / path.name).replace(path)
                flush_folder(folder)
            else:
                _replace_together(journal, path, list(files))
        finally:
            remove_tree(journal, folder)


def _replace_together(journal: Path, path: Path, names: list[str]) -> None:
    """Rename the staged files over the old ones; then ``journal`` has its name again, and nothing that is needed."""
    folder = path.parent
    absent = [name for name in names if not os.path.lexists(folder / name)]
    plan = _Plan(names, absent, _superseded(path, names))
    (journal / _BEFORE).mkdir()
    for name in (*names, *plan.gone):
        _keep(folder / name, journal / _BEFORE / name)
    write_durably(journal / _PLAN, to_json(asdict(plan)))
    flush_folder(journal)
    with _uninterrupted():
        journal = _renamed(journal, PUBLISHING)
        try:
            flush_folder(folder)
            _put_in_place(journal, folder, plan)
        except OSError as error:
            journal = _renamed(journal, RESTORING)
            _put_back(journal, folder, plan, error)
            _renamed(journal, STAGING)
            raise
        _renamed(journal, STAGING)


def _renamed(journal: Path, state: str) -> Path:
    head, _, token = journal.name.rpartition("-")
    return journal.rename(journal.with_name(f"{head.rpartition('.')[0]}.{state}-{token}"))


def _put_in_place(journal: Path, folder: Path, plan: _Plan) -> None:
    """Rename what is still staged, and remove what the new files supersede; what is done already is done."""
    for name in plan.names:
        if os.path.lexists(journal / name):
            (journal / name).replace(folder / name)
    for name in plan.gone:
        (folder / name).unlink(missing_ok=True)
    flush_folder(folder)


def _put_back(journal: Path, folder: Path, plan: _Plan, error: OSError) -> None:
    """Undo ``_put_in_place``. Raises ArtifactError that says what stands where, where even that is refused."""
    placed = [name for name in plan.names if not os.path.lexists(journal / name)]
    for number, name in enumerate([*placed, *plan.gone]):
        try:
            if os.path.lexists(journal / _BEFORE / name):
                (journal / _BEFORE / name).replace(folder / name)
            elif name in plan.absent:
                (folder / name).unlink(missing_ok=True)
        except OSError as again:
            new = ", ".join(str(folder / one) for one in placed[number:])
            raise ArtifactError(
                f"{folder}: only some of the files could be replaced ({error.strerror}), and putting back the old ones "
                f"failed ({again.strerror}): new are {new}; all others there are the old ones. The next training or "
                "load tries again"
            ) from error
    flush_folder(folder)


def _keep(path: Path, copy: Path) -> None:
    """A second name for a file, or a copy where the system gives it none; nothing where there is no file."""
    if path.is_symlink():
        copy.symlink_to(path.readlink())
    elif path.exists():
        try:
            copy.hardlink_to(path)
        except (OSError, NotImplementedError):
            shutil.copy2(path, copy)


def _superseded(path: Path, names: Sequence[str]) -> list[str]:
    """The extra files of the model before that the new one lacks, and that nobody has changed since."""
    found = []
    for name, expected in _hashes_in(_described(path)).items():
        other = path.with_name(name)
        if Path(name).name == name and name not in names and other.is_file() and sha256_of(other) == expected:
            found.append(name)
    return found


def _recover(path: Path) -> None:
    """Finish or undo what a killed process left. Raises ArtifactError that says what stands where."""
    for journal in _journals(path, PUBLISHING, RESTORING):
        owned(journal, path.parent)
        try:
            plan = _Plan.read(journal)
            if f".{RESTORING}-" in journal.name:
                _put_back(journal, path.parent, plan, OSError(errno.EINTR, "a process was killed meanwhile"))
            else:
                _put_in_place(journal, path.parent, plan)
            remove_tree(_renamed(journal, STAGING), path.parent)
        except OSError as error:
            if not journal.exists():
                continue  # another process has mended it
            raise ArtifactError(f"{interrupted_publication(path)}; here it cannot ({error.strerror})") from error


def _journals(path: Path, *states: str) -> list[Path]:
    """What was left beside ``path`` of publishing it, in one of the states."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.({'|'.join(states)})-[a-z0-9_]{{8}}")
    return _entries(path.parent, pattern)


def _sweep(path: Path) -> None:
    """Remove the staging files of ``path`` and of the files beside it, whose writers are dead: the folder is held."""
    stem = re.escape(path.name.partition(".")[0] or path.name)
    pattern = re.compile(rf"\.{stem}[^/]*\.{STAGING}-[a-z0-9_]{{8}}|{re.escape(_PROBE)}[a-z0-9_]{{8}}")
    for stray in _entries(path.parent, pattern):
        try:
            if stray.is_dir() and not stray.is_symlink():
                remove_tree(stray, path.parent)
            else:
                stray.unlink(missing_ok=True)
        except OSError:
            continue  # another user's


def _entries(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
    except OSError:
        return []


@contextmanager
def _held(folder: Path) -> Iterator[bool]:
    """``folder_lock``. Raises ArtifactError where another process does not let go."""
    try:
        with folder_lock(folder, FOLDER_SECONDS) as alone:
            yield alone
    except HeldError:
        raise ArtifactError(
            f"{folder}: another process has been writing there for minutes; `fuser {folder}` names it"
        ) from None


def _described(model_path: Path) -> dict[str, Any]:
    return read_json(metadata_path(model_path))


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; ``{}`` where there is none that can be read."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _hashes_in(described: Mapping[str, Any]) -> dict[str, str]:
    """Name -> SHA-256 of the files that metadata describes."""
    hashes = described.get("files")
    return {str(name): str(value) for name, value in hashes.items()} if isinstance(hashes, dict) else {}


def publish_folder(staged: Path, target: Path, *, read_only: bool = False) -> None:
    """Flush a finished folder to disk and rename it.

    Args:
        staged: The folder.
        target: Its new path.
        read_only: Take everybody's permission to write its files. Who may read them is the umask's matter.

    Raises:
        ArtifactError: It cannot be written; there is no ``target``.
    """
    umask = _umask()
    modes = 0o777 & ~umask, (0o444 if read_only else 0o666) & ~umask
    with wrap_write_errors(target):
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

    If the system allows no symlinks, ``link`` is a file that holds the path (see ``link_target``).

    Raises:
        ArtifactError: It cannot be written, or ``link`` is a folder; ``link`` has not changed.
    """
    with recovered(link), wrap_write_errors(link):
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
    staged = path.with_name(f".{path.name}.{STAGING}-{secrets.token_hex(4)}")
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


def link_target(path: Path) -> Path:
    """The folder that a link leads to, also if the link is a file that holds the path (see ``move_link``)."""
    return path.parent / path.read_text(encoding="utf-8").strip() if path.is_file() else path


def to_json(content: Mapping[str, Any]) -> bytes:
    """Indented JSON in ASCII. Raises ValueError for nan and infinity, which JSON does not have."""
    return (json.dumps(content, indent=2, allow_nan=False) + "\n").encode("ascii")


def read_json_lines(path: Path, needed: Collection[str] = ()) -> tuple[list[dict[str, Any]], int]:
    """The JSON objects with the ``needed`` keys of a file to which one is appended a line; a missing file has none.

    Returns:
        The objects, and how many whole lines hold none: damage is reported, and stops nothing. A last line
        without its end, which a crash cut off, is left out and not counted.

    Raises:
        OSError: The file cannot be read.
    """
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except FileNotFoundError:
        return [], 0
    found = []
    for line in lines:
        with suppress(ValueError, RecursionError):
            entry = json.loads(line)
            if isinstance(entry, dict) and entry.keys() >= set(needed):
                found.append(entry)
    return found, len(lines) - len(found)


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
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
        return int(re.findall(r"^Umask:\s*([0-7]+)$", status, re.MULTILINE)[0], 8)
    except (OSError, IndexError):
        mask = os.umask(0o077)  # setting it is the only other way to read it; other threads may make files meanwhile
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
def wrap_write_errors(path: Path) -> Iterator[None]:
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
