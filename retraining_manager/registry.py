"""Versions that never change and aliases that move: what is live, what was live before, and when and why it changed.

::

    models/<model>/versions/<UTC time>-<hash>/   files of one training, manifest.json (written last) with their SHA-256
    models/<model>/states/<id>/                  champion, previous -> ../../versions/...; move.json says why
    models/<model>/live -> states/<id>           the one link that moves, by one rename
    models/<model>/history.jsonl                 every move, appended

Production's paths are links through ``live``, so they show the new champion whole, all at once. Whatever else is found
there (another program trained) becomes a version before anything replaces it.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import re
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from retraining_manager.errors import BusyError, RegistryError
from retraining_manager.models import Artifact
from retraining_manager.production import ProductionPaths
from training.runs.artifacts import (
    REGISTRY_LINK,
    flush_folder,
    make_link,
    owned,
    publish_folder,
    remove_tree,
    replace_link,
    sha256_of,
    to_json,
    write_atomically,
    write_durably,
)
from training.runs.errors import ArtifactError

MANIFEST = "manifest.json"
MANIFEST_FORMAT = 1
CHAMPION, PREVIOUS = "champion", "previous"
_VERSION = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
_STATE = re.compile(r"states/[0-9a-f]{32}")  # where ``live`` may lead, and nowhere else

MOVE_SECONDS = 30.0  # a move takes milliseconds; longer means that something is stuck


@dataclass(frozen=True)
class Aliases:
    """Which versions are live and were live before; None before the first."""

    champion: str | None = None
    previous: str | None = None


class Registry:
    """The versions of one model.

    Every method raises RegistryError, one line for a person, where the disk does not hold or take what it should.

    Args:
        folder: Where everything is kept.
        artifact: What a version holds: a model file, with others beside it, or a run directory.
        production: Where production looks for the model file, or for the ``latest`` that leads to a run.
        companions: Endings of the names of the files beside a model file, after its stem.
    """

    def __init__(self, folder: Path, artifact: Artifact, production: Path, companions: Sequence[str] = ()) -> None:
        self.folder = folder
        self.artifact = artifact
        self.production = production
        self.versions_folder = folder / "versions"
        self._live = folder / REGISTRY_LINK
        self._production = ProductionPaths(artifact, production, companions, self._live / CHAMPION)
        self._history = folder / "history.jsonl"

    # What there is

    def versions(self) -> list[str]:
        """Names of all versions, also of broken ones, the oldest first."""
        with _explained(self.versions_folder):
            if not self.versions_folder.is_dir():
                return []
            return sorted(p.name for p in self.versions_folder.iterdir() if _VERSION.fullmatch(p.name))

    def aliases(self) -> Aliases:
        """What is live and what was before."""
        state = self._state()
        if state is None:
            return Aliases()
        return Aliases(**{name: self._version_at(state / name) for name in (CHAMPION, PREVIOUS)})

    def path(self, version: str) -> Path:
        """The folder of a version. Raises RegistryError where the name is none or there is no such version."""
        if not _VERSION.fullmatch(version):
            raise RegistryError(f"{version!a}: is not a version's name; `list` shows those of {self.folder.name}")
        folder = self.versions_folder / version
        if not folder.is_dir():
            raise RegistryError(f"{folder}: no such version; `list` shows those of {self.folder.name}")
        return self._owned(folder)

    def model_path(self, version: str) -> Path:
        """What a loader opens: the model file of a version, or its folder."""
        folder = self.path(version)
        if self.artifact == "run":
            return folder
        return folder / str(self.manifest(version).get("entry", self.production.name))

    def manifest(self, version: str) -> dict[str, Any]:
        """What a version holds. Raises RegistryError where it is half-written or from a newer program."""
        path = self.path(version) / MANIFEST
        try:
            content = json.loads(path.read_bytes())
            newer = content["format"]
            files = content["files"]
            if newer == MANIFEST_FORMAT and all(_is_inside(name) for name in [*files, content.get("entry", "")]):
                return dict(content)
        except FileNotFoundError:
            raise RegistryError(f"{path}: missing: this version was never finished; remove its folder") from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RegistryError(f"{path}: cannot be read ({error!s:.120})") from error
        if newer == MANIFEST_FORMAT:
            raise RegistryError(f"{path}: names a file outside of the version's folder")
        raise RegistryError(f"{path}: has format {newer!a}, this program reads {MANIFEST_FORMAT}; upgrade it")

    def went_live_held_out(self, version: str) -> bool:
        """Whether the version's verdict rests on held-out rows; False where it has none, as what was adopted."""
        try:
            return bool(json.loads((self.path(version) / "verdict.json").read_bytes())["held_out"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def verify(self, version: str) -> list[str]:
        """What is wrong with a version: missing, changed, added or half-written files; empty where it is whole."""
        try:
            folder, files = self.path(version), self.manifest(version)["files"]
        except RegistryError as error:
            return [str(error)]
        problems = []
        for name, expected in files.items():
            try:
                if sha256_of(folder / name) != expected:
                    problems.append(f"{folder / name}: has changed since it was published")
            except OSError as error:
                problems.append(f"{folder / name}: cannot be read ({error.strerror})")
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
        problems += [f"{folder / name}: was added afterwards" for name in sorted(found - {*files, MANIFEST})]
        return problems

    def problems(self) -> list[str]:
        """``verify`` of all versions, of the aliases, and of what production shows."""
        found = [problem for version in self.versions() for problem in self.verify(version)]
        try:
            aliases = self.aliases()
        except RegistryError as error:
            return [*found, str(error)]
        for name, version in vars(aliases).items():
            if version is not None and version not in self.versions():
                found.append(f"{self._live / name}: names {version}, which is not there")
        state = self._state()
        if state is not None and not state.is_dir():
            found.append(f"{self._live}: leads to {state}, which is not there; `promote` a version to mend it")
        foreign = self._foreign()
        if foreign:
            found.append(f"{foreign[0]}: is not what the registry published; the next run or move takes it in")
        return found

    def history(self) -> list[dict[str, Any]]:
        """Every move, the oldest first; a line that a crash cut off is left out."""
        try:
            lines = self._history.read_bytes().split(b"\n")[:-1]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RegistryError(f"{self._history}: cannot be read ({error.strerror})") from error
        try:
            return [json.loads(line) for line in lines]
        except ValueError as error:
            raise RegistryError(f"{self._history}: is not one JSON object a line ({error})") from error

    # What changes it

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold this model's training lock. Raises BusyError that names who holds it, and since when."""
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        holder = self.folder / "run.json"
        lock = filelock.FileLock(self.folder / "run.lock", timeout=0, mode=0o666)  # cron's user and a person's
        try:
            with _explained(self.folder / "run.lock"):
                lock.acquire()
        except filelock.Timeout:
            raise BusyError(f"{self.folder.name}: is being trained already by {_holder(holder)}") from None
        try:
            with _explained(holder):
                write_atomically(holder, to_json({"who": whoami(), "pid": os.getpid(), "since": utc_now()}))
            with self._moving():
                self._sweep()
            yield
        finally:
            holder.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """An empty folder on the registry's disk, gone afterwards; ``running`` clears what a crash left."""
        with _explained(self.folder):
            place = Path(tempfile.mkdtemp(prefix=".work-", dir=self.folder))
        try:
            yield place
        finally:
            self._drop(place)

    def add(self, files: Mapping[str, Path], documents: Mapping[str, bytes], **facts: Any) -> str:
        """Make a version of ``files`` (name in the version -> where it is now) and ``documents``; its name."""
        with _explained(self.versions_folder):
            self.versions_folder.mkdir(parents=True, exist_ok=True)
            owned(self.versions_folder, self.folder)
            staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=self.versions_folder))
            try:
                for name, origin in files.items():
                    (staging / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(origin, staging / name)
                for name, content in documents.items():
                    (staging / name).write_bytes(content)
                hashes = {name: sha256_of(staging / name) for name in sorted({*files, *documents})}
                digest = hashlib.sha256(json.dumps(hashes).encode()).hexdigest()
                created = datetime.now(UTC)
                version = f"{created:%Y%m%dT%H%M%S}{created.microsecond // 1000:03}Z-{digest[:8]}"
                if self.artifact == "file":
                    facts["entry"] = self.production.name
                described = {"format": MANIFEST_FORMAT, "version": version, **facts, "files": hashes}
                (staging / MANIFEST).write_bytes(to_json(described))
                publish_folder(staging, self.versions_folder / version, read_only=True)
            except BaseException:
                self._drop(staging)
                raise
        return version

    def promote(self, version: str, reason: str, expected: Aliases | None = None) -> None:
        """Make ``version`` the champion. Raises RegistryError where it is not whole; then nothing has changed.

        ``expected`` are the aliases it was compared under: it is refused where another version went live meanwhile.
        """
        self._check(version)
        with self._moving():
            self._adopt()
            champion = self.aliases().champion
            if expected is not None and champion != expected.champion:
                raise RegistryError(f"{self.folder.name}: {champion} went live meanwhile and was not compared with")
            if champion == version:
                raise RegistryError(f"{version}: is live already")
            self._move(Aliases(version, champion), reason)

    def rollback(self, reason: str) -> str:
        """Make the previous champion live again, in one move; its name. Raises RegistryError where there is none."""
        with self._moving():
            self._adopt()
            aliases = self.aliases()
            if aliases.previous is None:
                raise RegistryError(f"{self.folder.name}: no version was live before; `promote` takes any of `list`")
            self._check(aliases.previous)
            self._move(Aliases(aliases.previous, aliases.champion), reason)
            return aliases.previous

    def adopt(self) -> str | None:
        """Take in what another program left at production's path, as the champion that it is; its version, if any."""
        with self._moving():
            return self._adopt()

    def prune(self, keep: int) -> list[str]:
        """Remove all but the newest ``keep`` versions, and never the champion or the previous one; what was removed."""
        with self._moving():
            safe = set(vars(self.aliases()).values())
            doomed = [version for version in self.versions()[: -keep or None] if version not in safe]
            with _explained(self.versions_folder):
                for version in doomed:
                    self._remove(self.versions_folder / version)
        return doomed

    # How

    def _check(self, version: str) -> None:
        problems = self.verify(version)
        if problems:
            raise RegistryError(f"{problems[0]}; {version} is not whole and cannot go live")
        if self.artifact == "file" and not (self.path(version) / self.production.name).exists():
            raise RegistryError(f"{self.path(version)}: has no {self.production.name}, which production looks for")

    def _state(self) -> Path | None:
        """The folder that ``live`` leads to. Raises RegistryError where it leads out of the registry's own states."""
        target = _target_of(self._live)
        if target is None:
            return None
        if not _STATE.fullmatch(target):
            raise RegistryError(
                f"{self._live}: leads to {target!a}, which is no state of this registry; nothing there is touched. "
                "Remove this link and `promote` a version"
            )
        return self._owned(self.folder / target)

    def _version_at(self, link: Path) -> str | None:
        """The version that ``champion`` or ``previous`` names. Raises RegistryError where it leads elsewhere."""
        target = _target_of(link)
        if target is None:
            return None
        version = Path(target).name
        if target != f"../../versions/{version}" or not _VERSION.fullmatch(version):
            raise RegistryError(
                f"{link}: leads to {target!a}, which is no version of this registry; nothing there is touched. "
                f"Remove {self._live} and `promote` a version"
            )
        return version

    def _owned(self, path: Path) -> Path:
        """``path``, which lies inside the registry's folder whatever links there are. Raises RegistryError."""
        try:
            return owned(path, self.folder)
        except ArtifactError as error:
            raise RegistryError(str(error)) from error

    @contextmanager
    def _moving(self) -> Iterator[None]:
        with _explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self.folder / "move.lock", timeout=MOVE_SECONDS, mode=0o666)
        try:
            with _explained(self.folder / "move.lock"):
                lock.acquire()
        except filelock.Timeout:
            raise BusyError(
                f"{self.folder}: another process is moving its aliases for over {MOVE_SECONDS:.0f} s"
            ) from None
        try:
            with _explained(self.folder):
                self._write_history()
            yield
        finally:
            lock.release()

    def _move(self, aliases: Aliases, reason: str) -> None:
        with _explained(self.folder):
            before = self._state()
            identity = uuid.uuid4().hex
            states = self.folder / "states"
            states.mkdir(parents=True, exist_ok=True)
            state = owned(states, self.folder) / identity
            state.mkdir()
            for name, version in vars(aliases).items():
                if version is not None:
                    make_link(state / name, f"../../versions/{version}")
            record = {"time": utc_now(), "from": self.aliases().champion, "to": aliases.champion, "reason": reason}
            write_durably(state / "move.json", to_json({**record, "who": whoami(), "state": identity}))
            flush_folder(state)
            flush_folder(state.parent)
            assert aliases.champion is not None
            self._production.prepare(self.versions_folder / aliases.champion)
            replace_link(self._live, f"states/{identity}")
        try:
            self._production.show(self.versions_folder / aliases.champion)
            self._write_history()
            if before is not None and before != state:
                self._drop(before)
        except (OSError, ArtifactError, RegistryError) as error:
            raise RegistryError(
                f"{aliases.champion} is live, but production's paths or the history could not be written ({error}); "
                "the next run or move mends it"
            ) from error

    def _write_history(self) -> None:
        """Append the move that made the live state, unless it is there: a crash may have come between the two."""
        state = self._state()
        if state is None:
            return
        try:
            record = json.loads((state / "move.json").read_bytes())
        except (FileNotFoundError, ValueError):
            return  # a registry that was copied by half; `verify` says so, and a move mends it
        written = self.history()
        if written and written[-1].get("state") == record["state"]:
            return
        with open(self._history, "ab+") as file:
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
            file.write(json.dumps(record).encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _remove(self, version: Path) -> None:
        doomed = version.with_name(f".staging-{version.name}")  # in one step no version any more, whatever comes then
        self._owned(version).rename(doomed)
        self._drop(doomed)

    def _drop(self, folder: Path) -> None:
        """Remove a folder of the registry's own. Raises RegistryError where it is not, or where it is a link."""
        with _explained(folder):
            remove_tree(folder, self.folder)

    def _sweep(self) -> None:
        """Remove what a crash left; under the training lock nobody works there."""
        for pattern, folder in ((".work-*", self.folder), (".staging-*", self.versions_folder)):
            for leftover in folder.glob(pattern):
                self._drop(leftover)

    def _foreign(self) -> list[Path]:
        """Production's paths that show something which this registry did not put there."""
        champion = self.aliases().champion
        with _explained(self.production):
            return self._production.foreign(None if champion is None else self.versions_folder / champion)

    def _adopt(self) -> str | None:
        """Under the move lock: nothing that another program published is lost, and production's links are links."""
        aliases = self.aliases()
        with _explained(self.production):
            files = self._production.found() if self._foreign() else {}
            files.pop(MANIFEST, None)  # of the version that production was led to by hand
            if not files:
                if aliases.champion is not None:
                    self._production.show(self.versions_folder / aliases.champion)
                return None
            version = self._known(files)
            if version is None:
                version = self.add(files, {}, origin="adopted", created=utc_now(), adopted_from=str(self.production))
        if version == aliases.champion:
            self._production.show(self.versions_folder / version)
        else:
            self._move(Aliases(version, aliases.champion), f"found at {self.production}: another program put it there")
        return version

    def _known(self, files: Mapping[str, Path]) -> str | None:
        """The newest version that holds these files, where there is one."""
        hashes = {name: sha256_of(path) for name, path in files.items()}
        for version in reversed(self.versions()):
            try:
                held = self.manifest(version)["files"]
            except RegistryError:
                continue
            if all(held.get(name) == value for name, value in hashes.items()):
                return version
        return None


def _is_inside(name: str) -> bool:
    """Whether a relative path stays below where it starts."""
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def _target_of(link: Path) -> str | None:
    """Where a link leads, or the file that stands in for one; None where there is neither."""
    try:
        return str(link.readlink()) if link.is_symlink() else link.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None
    except IsADirectoryError:
        raise RegistryError(
            f"{link}: is a folder, not a link: the registry was copied without its links (cp -a keeps them); "
            "remove this folder and `promote` a version"
        ) from None
    except (OSError, ValueError) as error:
        raise RegistryError(f"{link}: cannot be read ({error!s:.120})") from error


def utc_now() -> str:
    """Now, ISO 8601 in UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def whoami() -> str:
    """``user@host``, or the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


def _holder(path: Path) -> str:
    for _ in range(20):  # whoever has just taken the lock is about to write it
        try:
            held = json.loads(path.read_bytes())
            return f"{held['who']} (process {held['pid']}) since {held['since']}"
        except (OSError, ValueError, KeyError, TypeError):
            time.sleep(0.05)
    return "another process that does not say which"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a failure to write into a RegistryError for a person."""
    try:
        yield
    except filelock.Timeout:
        raise  # an OSError too, and its own matter
    except ArtifactError as error:
        raise RegistryError(str(error)) from error
    except OSError as error:
        where = error.filename or path
        raise RegistryError(
            f"{where}: {error.strerror or error}; what is live has not changed. Free space or fix permissions"
        ) from error
