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
import json
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from training.runs.errors import ArtifactError
from training.runs.files import flush_folder, to_json, wrap_write_errors, write_durably
from training.runs.folders import STAGING, owned, remove_tree, replace_link
from training.runs.locks import FOLDER_SECONDS, HeldError, folder_lock
from training.runs.wording import one_line

PUBLISHING, RESTORING = "publishing", "restoring"
_PLAN, _BEFORE = "plan.json", "before"  # in a staging folder
_PROBE = ".writable-"


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
    write_together(path, {path.name: content, **(described_by or {})})


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


def write_together(
    path: Path, files: Mapping[str, bytes], superseded: Callable[[], Sequence[str]] | None = None
) -> None:
    """Put ``files`` beside ``path``, all or nothing, in their order.

    Where one cannot be renamed, those before it get back what stood in their places. After a kill, see ``recovered``.

    Args:
        path: The file by which the others are found again.
        files: Name -> content, of two files or more where something is superseded.
        superseded: Names the files beside them that go with the old ones; asked while the folder is held.

    Raises:
        ArtifactError: A file cannot be written; no file has changed.
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
                _replace_together(journal, folder, list(files), list(superseded()) if superseded else [])
        finally:
            remove_tree(journal, folder)


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


def _replace_together(journal: Path, folder: Path, names: list[str], gone: list[str]) -> None:
    """Rename the staged files over the old ones; then ``journal`` has its name again, and nothing that is needed."""
    absent = [name for name in names if not os.path.lexists(folder / name)]
    plan = _Plan(names, absent, gone)
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


def _is_mounted(path: Path) -> bool:
    """Whether the file itself is a mount point, as Docker mounts single files; only Linux says so."""
    try:
        lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    place = str(path.parent.resolve() / path.name).replace(" ", r"\040")
    return any(line.split(" ")[4] == place for line in lines)


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
