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

import hashlib
import itertools
import json
import logging
import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from data_sources.counting import many
from retraining_manager.errors import ChampionChangedError, RegistryError, wrap_registry_errors
from retraining_manager.gate import Verdict
from retraining_manager.model_locks import MoveLock, RunLock
from retraining_manager.models import Artifact
from retraining_manager.production import ProductionPaths
from training.runs.artifacts import REGISTRY_LINK, RUN_FILE, RUN_PAGE, is_described
from training.runs.errors import ArtifactError, wrap_read_errors
from training.runs.files import flush_folder, read_json_lines, sha256_of, to_json, write_durably
from training.runs.folders import make_link, owned, publish_folder, remove_tree, replace_link
from training.runs.locks import user_at_host
from training.runs.publishing import interrupted_publication, recovered
from training.runs.wording import one_line, utc_now

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
SUMMARY_FILE, VERDICT_FILE = "training_summary.json", "verdict.json"  # in a version, beside what its training left
MANIFEST_FORMAT = 1
CHAMPION, PREVIOUS = "champion", "previous"
_VERSION = re.compile(r"\d{8}T\d{9}Z-[0-9a-f]{8}")
_MOVE_KEYS = frozenset({"time", "from", "to", "reason", "who"})
_STATE = re.compile(r"states/[0-9a-f]{32}")  # where ``live`` may lead, and nowhere else

_DOOMED = ".removed-"
OUTSIDE = "outside the retraining manager (by a training of its own or another program)"
ROLLBACK = "rollback"  # ``action`` of a move back
# Documents of a version that its training did not leave, and words that differ from run to run: content is the rest.
_TIMES = frozenset({"trained_at", "training_date", "run_directory", "run_id"})
_FOR_PEOPLE = frozenset({"README.md", RUN_PAGE})  # they say when and where it was trained


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
        self._run_lock, self._move_lock = RunLock(folder), MoveLock(folder)

    # What there is

    def versions(self) -> list[str]:
        """Names of all versions, also of broken ones, the oldest first.

        Versions are numbered as they are made, for a clock may start in 1970. Those that have no number come first, in
        the order in which they went live; the name decides where nothing else does.
        """
        with wrap_registry_errors(self.versions_folder):
            if not self.versions_folder.is_dir():
                return []
            names = sorted(p.name for p in self.versions_folder.iterdir() if _VERSION.fullmatch(p.name))
        numbers = {name: number for name in names if (number := self._number(name)) is not None}
        unnumbered = [name for name in names if name not in numbers]
        went_live = [name for name in self._went_live() if name in unnumbered] if unnumbered else []
        lived = iter(went_live)
        ordered = [next(lived) if name in went_live else name for name in unnumbered]
        return [*ordered, *sorted(numbers, key=lambda name: (numbers[name], name))]

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
        with wrap_read_errors(path, advice=f"{version} cannot go live", raises=RegistryError):
            try:
                content = dict(json.loads(path.read_bytes()))
            except FileNotFoundError:
                raise RegistryError(f"{path}: missing: this version was never finished; remove its folder") from None
            newer, files = content["format"], content["files"]
            if newer == MANIFEST_FORMAT:
                if not isinstance(files, dict) or not all(isinstance(held, str) for held in files.values()):
                    raise TypeError("its files are no object of names and SHA-256")
                if all(_is_inside(name) for name in [*files, content.get("entry", "")]):
                    return content
        if newer == MANIFEST_FORMAT:
            raise RegistryError(f"{path}: names a file outside of the version's folder")
        raise RegistryError(f"{path}: has format {newer!a}, this program reads {MANIFEST_FORMAT}; upgrade it")

    def went_live_held_out(self, version: str) -> bool:
        """Whether the version's verdict rests on held-out rows; False where it has none, as what was adopted."""
        return bool(self.verdict(version).get("held_out"))

    def verdict(self, version: str) -> dict[str, Any]:
        """The content of the version's ``verdict.json``; empty where it has none, or none that can be read."""
        try:
            content = json.loads((self.path(version) / VERDICT_FILE).read_bytes())
            Verdict.model_validate(content)
        except (RegistryError, OSError, ValueError, RecursionError):
            return {}
        return dict(content)

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
            except (OSError, ValueError) as error:  # a name that no file can have
                problems.append(f"{str(folder / name)!a}: cannot be read ({one_line(error)})")
        found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir()}
        problems += [f"{folder / name}: was added afterwards" for name in sorted(found - {*files, MANIFEST})]
        return problems

    def problems(self) -> list[str]:
        """``verify`` of all versions, of the aliases, and of what production shows."""
        found = [problem for version in self.versions() for problem in self.verify(version)]
        try:
            damaged = read_json_lines(self._history, _MOVE_KEYS)[1]
        except OSError as error:
            found.append(f"{self._history}: cannot be read ({error.strerror}); moves are made and not noted")
        else:
            if damaged:
                lines = many(damaged, "line")
                found.append(f"{self._history}: {lines} without a move; remove what is damaged, nothing depends on it")
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
        try:
            left = interrupted_publication(self.production)
        except ArtifactError as error:
            left = str(error)
        if left is not None:
            found.append(left)
        foreign = self._foreign()
        if foreign:
            found.append(
                f"{foreign[0]}: is not what the registry published: it was put there {OUTSIDE}. The next run or move "
                "makes a version of it"
            )
        return found

    def history(self) -> list[dict[str, Any]]:
        """Every move, the oldest first; what a crash or other damage left of a line is left out (see ``problems``)."""
        try:
            return read_json_lines(self._history, _MOVE_KEYS)[0]
        except OSError as error:
            log.warning("%s: cannot be read (%s)", self._history, error.strerror)
            return []

    # What changes it

    @contextmanager
    def running(self) -> Iterator[None]:
        """Hold this model's training lock.

        Raises BusyError that names who holds it, and since when; RegistryError where whoever holds it on another
        machine gives no sign of life, which names the files to remove.
        """
        with self._run_lock.held():
            with self._moving():
                self._sweep()
            yield

    @contextmanager
    def workplace(self) -> Iterator[Path]:
        """An empty folder on the registry's disk, gone afterwards; ``running`` clears what a crash left."""
        with wrap_registry_errors(self.folder):
            place = Path(tempfile.mkdtemp(prefix=".work-", dir=self.folder))
        try:
            yield place
        finally:
            self._drop(place)

    def add(
        self,
        files: Mapping[str, Path],
        documents: Mapping[str, bytes],
        *,
        logs: Mapping[str, Path] | None = None,
        expected: Aliases | None = None,
        live: str | None = None,
        trained_at: Path | None = None,
        **facts: Any,
    ) -> str:
        """Make a version, and move the aliases to it in the same step where it is to be live; its name.

        A version with the same content is taken where there is one, whatever times and places its files name.

        Args:
            files: What a training left: name in the version -> where it is now.
            documents: What is said of it: name -> content.
            logs: More files that say something of it.
            expected: The aliases that it was compared under. Raises ChampionChangedError, and makes nothing, where
                another version is live.
            live: Why it goes live; None where it does not.
            trained_at: Where its JSON files say that the model is; they say where it is in the version instead.
            facts: For the manifest.
        """
        with self._staged(files, documents, logs or {}) as staging:
            content = self._content_of(files)
            with self._moving():
                if expected is not None or live is not None:
                    self._adopt()
                self._check_champion(expected)
                version = self._same(content) or self._finish(staging, content, facts, trained_at)
                if live is not None:
                    self._promote(version, live)
        return version

    def same(self, files: Mapping[str, Path]) -> str | None:
        """The version with the same content as what a training left, where there is one."""
        return self._same(self._content_of(files))

    def rolled_back(self, version: str) -> dict[str, Any] | None:
        """The move by which a version was last taken back, where it has not gone live since."""
        for move in reversed(self.history()):
            if version in (move["from"], move["to"]):
                back = move["from"] == version and move.get("action") == ROLLBACK
                return move if back else None
        return None

    def promote(self, version: str, reason: str, expected: Aliases | None = None) -> bool:
        """Make ``version`` the champion; False where it was live already.

        Raises RegistryError where it is not whole; then nothing has changed.

        ``expected`` are the aliases it was compared under: it is refused where another version went live meanwhile.
        """
        with self._moving():
            self._check(version)
            self._adopt()
            self._check_champion(expected)
            return self._promote(version, reason)

    def rollback(self, reason: str) -> str:
        """Make the version live again that was live last and was not rolled back itself, in one move; its name.

        Raises RegistryError where there is none, or it is not whole; then nothing has changed.
        """
        with self._moving():
            outside = bool(self._foreign() and self._production.found())
            target = self._target(None if outside else self.aliases().champion)
            self._adopt()
            champion = self.aliases().champion
            if champion == target:  # what was found there is the champion's own content
                target = self._target(champion)
            self._move(Aliases(target, champion), reason, action=ROLLBACK)
            return target

    def _target(self, live: str | None) -> str:
        """Where a rollback of ``live`` leads to; None is what is no version yet. Raises RegistryError."""
        target = self._live_before(live)
        if target is None:
            raise RegistryError(self._why_no_rollback())
        self._check(target)
        return target

    def _live_before(self, live: str | None) -> str | None:
        there, aliases = self.versions(), self.aliases()
        lived = (str(move["to"]) for move in reversed(self.history()))
        for version in (aliases.champion, aliases.previous, *lived):
            if version is not None and version != live and version in there and self.rolled_back(version) is None:
                return version
        return None

    def _why_no_rollback(self) -> str:
        model, aliases = self.folder.name, self.aliases()
        if aliases.champion is None:
            return f"{model}: {self.why_nothing_is_live()}"
        back = None if aliases.previous is None else self.rolled_back(aliases.previous)
        if back is not None:
            return (
                f"{model}: {aliases.previous} was live before and was rolled back itself ({back['reason']}); "
                f"`promote {model} {aliases.previous}` makes it live"
            )
        others = len(self.versions()) > 1
        return f"{model}: no version was live before {aliases.champion}" + (
            f"; `promote {model} VERSION` makes any of `list {model}` live" if others else ", which is the only one"
        )

    def why_nothing_is_live(self) -> str:
        """In words: no version is live yet, and what stands at production's path, if anything does."""
        model = self.folder.name
        if self.versions():
            return f"no version is live; `promote {model} VERSION` makes any of `list {model}` live"
        if self.production.exists():
            return (
                f"there is no version yet; {self.production} was put there {OUTSIDE} and is used as it is. "
                f"`run {model}` makes a version of it, then trains"
            )
        return f"there is no version yet, and nothing at {self.production}; `run {model}` trains the first"

    def adopt(self) -> str | None:
        """Make what was put at production's path outside the registry the champion that it is; its version, if any."""
        with self._moving():
            return self._adopt()

    def prune(self, keep: int) -> list[str]:
        """Remove all but the newest ``keep`` versions, and return their names.

        The champion, the previous one and what a rollback leads to always stay.
        """
        with self._moving():
            safe = {*vars(self.aliases()).values(), self._live_before(self.aliases().champion)}
            doomed = [version for version in self.versions()[: -keep or None] if version not in safe]
            with wrap_registry_errors(self.versions_folder):
                for version in doomed:
                    self._remove(self.versions_folder / version)
        return doomed

    # How

    def _check(self, version: str) -> None:
        self.path(version)
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
        """Hold the aliases and production's folder, so that nothing is published there between a look and a move."""
        with self._move_lock.held(), _recovered(self.production):
            with wrap_registry_errors(self.folder):
                self._write_history()
                self._tidy()
            yield

    def _check_champion(self, expected: Aliases | None) -> None:
        champion = self.aliases().champion
        if expected is not None and champion != expected.champion:
            raise ChampionChangedError(f"{self.folder.name}: {champion} went live meanwhile and was not compared with")

    def _promote(self, version: str, reason: str) -> bool:
        """Under the move lock; whether the version was not live before."""
        self._check(version)
        champion = self.aliases().champion
        if champion == version:
            return False
        self._move(Aliases(version, champion), reason)
        return True

    def _move(self, aliases: Aliases, reason: str, **more: str) -> None:
        with wrap_registry_errors(self.folder):
            self._state()  # nothing is moved where it leads elsewhere
            identity = uuid.uuid4().hex
            states = self.folder / "states"
            states.mkdir(parents=True, exist_ok=True)
            state = owned(states, self.folder) / identity
            state.mkdir()
            for name, version in vars(aliases).items():
                if version is not None:
                    make_link(state / name, f"../../versions/{version}")
            record = {
                "time": utc_now(),
                "from": self.aliases().champion,
                "to": aliases.champion,
                "reason": reason,
                **more,
            }
            write_durably(state / "move.json", to_json({**record, "who": user_at_host(), "state": identity}))
            flush_folder(state)
            flush_folder(state.parent)
            assert aliases.champion is not None
            self._production.prepare(self.versions_folder / aliases.champion)
            replace_link(self._live, f"states/{identity}")
        try:
            self._production.show(self.versions_folder / aliases.champion)
            self._write_history()
            self._tidy()
        except (OSError, ArtifactError, RegistryError) as error:
            raise RegistryError(
                f"{aliases.champion} is live, but production's paths or the history could not be written ({error}); "
                "the next run or move mends it"
            ) from error

    def _write_history(self) -> None:
        """Append the move that made the live state, unless it is there: a crash may have come between the two.

        A history that cannot be read or written never blocks a move.
        """
        state = self._state()
        if state is None:
            return
        try:
            self._append_move(state)
        except (OSError, RegistryError) as error:
            log.warning("%s: the move is made and cannot be noted (%s)", self._history, one_line(error))

    def _append_move(self, state: Path) -> None:
        try:
            record = dict(json.loads((state / "move.json").read_bytes()))
        except (OSError, ValueError, TypeError, RecursionError):
            return  # a registry that was copied by half, or damage; `verify` says so, and a move mends it
        if not record.keys() >= {*_MOVE_KEYS, "state"}:
            return
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
        doomed = version.with_name(f"{_DOOMED}{version.name}")  # in one step no version any more, whatever comes then
        self._owned(version).rename(doomed)
        self._drop(doomed)

    def _drop(self, folder: Path) -> None:
        """Remove a folder of the registry's own. Raises RegistryError where it is not, or where it is a link."""
        with wrap_registry_errors(folder):
            remove_tree(folder, self.folder)

    def _tidy(self) -> None:
        """Remove what a crash left of a move or a removal; under the move lock nobody works there."""
        state = self._state()
        doomed = list(self.versions_folder.glob(f"{_DOOMED}*"))
        if state is not None and state.is_dir():
            doomed += [left for left in state.parent.iterdir() if _STATE.fullmatch(f"states/{left.name}")]
        for left in doomed:
            if left != state:
                self._drop(left)
        with recovered(self._live):  # and temporary links
            pass

    def _sweep(self) -> None:
        """Remove what a crash left of a training; under the training lock nobody works there."""
        for pattern, folder in ((".work-*", self.folder), (".staging-*", self.versions_folder)):
            for leftover in folder.glob(pattern):
                self._drop(leftover)

    def _foreign(self) -> list[Path]:
        """Production's paths that show something which this registry did not put there."""
        champion = self.aliases().champion
        with wrap_registry_errors(self.production):
            return self._production.foreign(None if champion is None else self.versions_folder / champion)

    def _adopt(self) -> str | None:
        """Under the move lock: nothing that another program published is lost, and production's links are links."""
        aliases = self.aliases()
        with wrap_registry_errors(self.production):
            files = self._production.found() if self._foreign() else {}
            files.pop(MANIFEST, None)  # of the version that production was led to by hand
            if not files:
                if aliases.champion is not None:
                    self._production.show(self.versions_folder / aliases.champion)
                return None
            if self.artifact == "file" and not is_described(files, self.production.name):
                files = {self.production.name: self.production}  # what is beside it is of another training
            content = self._content_of(files)
            version = self._same(content)
            if version is None:
                facts = {"origin": "adopted", "created": utc_now(), "adopted_from": str(self.production)}
                with self._staged(files, {}, {}) as staging:
                    version = self._finish(staging, content, facts)
        if version == aliases.champion:
            self._production.show(self.versions_folder / version)
        else:
            self._move(Aliases(version, aliases.champion), f"found at {self.production}, put there {OUTSIDE}")
            log.info(
                "%s: %s was put there %s; it is now version %s, and live as it was",
                self.folder.name,
                self.production,
                OUTSIDE,
                version,
            )
        return version

    @contextmanager
    def _staged(
        self, files: Mapping[str, Path], documents: Mapping[str, bytes], logs: Mapping[str, Path]
    ) -> Iterator[Path]:
        """A folder with copies of all, gone afterwards unless ``_finish`` has made a version of it."""
        with wrap_registry_errors(self.versions_folder):
            self.versions_folder.mkdir(parents=True, exist_ok=True)
            owned(self.versions_folder, self.folder)
            staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=self.versions_folder))
        try:
            with wrap_registry_errors(self.versions_folder):
                for name, origin in (*files.items(), *logs.items()):
                    (staging / name).parent.mkdir(parents=True, exist_ok=True)
                    shutil.copyfile(origin, staging / name)
                for name, text in documents.items():
                    (staging / name).write_bytes(text)
            yield staging
        finally:
            self._drop(staging)

    def _finish(self, staging: Path, content: str, facts: dict[str, Any], trained_at: Path | None = None) -> str:
        """Under the move lock: number and name what is staged; its name."""
        with wrap_registry_errors(self.versions_folder):
            paths = {p.relative_to(staging).as_posix(): p for p in staging.rglob("*") if p.is_file()}
            hashes = {name: sha256_of(path) for name, path in sorted(paths.items())}
            number = 1 + max((self._number(name) or 0 for name in self.versions()), default=0)
            if self.artifact == "file":
                facts = {**facts, "entry": self.production.name}
            version = self._free_name(hashlib.sha256(json.dumps(hashes).encode()).hexdigest()[:8])
            if trained_at is not None:
                place = self.versions_folder / version
                place = place / self.production.name if self.artifact == "file" else place
                old, new = (json.dumps(str(path))[1:-1].encode() for path in (trained_at, place))
                for name in {RUN_FILE, SUMMARY_FILE} & paths.keys():
                    paths[name].write_bytes(paths[name].read_bytes().replace(old, new))
                    hashes[name] = sha256_of(paths[name])
            described = {"format": MANIFEST_FORMAT, "version": version, "number": number, "content": content}
            (staging / MANIFEST).write_bytes(to_json({**described, **facts, "files": hashes}))
            publish_folder(staging, self.versions_folder / version, read_only=True)
        return version

    def _free_name(self, digest: str) -> str:
        """``<UTC time>-<hash>``, a millisecond later for each version that has the name."""
        now = datetime.now(UTC)
        for milliseconds in itertools.count():
            made = now + timedelta(milliseconds=milliseconds)
            version = f"{made:%Y%m%dT%H%M%S}{made.microsecond // 1000:03}Z-{digest}"
            if not os.path.lexists(self.versions_folder / version):
                return version
        raise AssertionError

    def _content_of(self, files: Mapping[str, Path]) -> str:
        """What a training made, as one hash: equal for equal models, whenever and wherever they were trained."""
        with wrap_registry_errors(self.folder):
            if self.artifact == "file":
                return _hash_of({self.production.name: sha256_of(files[self.production.name])})
            hashes: dict[str, Any] = {
                name: sha256_of(path) for name, path in files.items() if name not in {RUN_FILE, *_FOR_PEOPLE}
            }
            try:
                run = json.loads(files[RUN_FILE].read_bytes())
                hashes[RUN_FILE] = {key: value for key, value in run.items() if key not in _TIMES}
            except (KeyError, ValueError, AttributeError):
                hashes |= {name: sha256_of(files[name]) for name in (RUN_FILE, *_FOR_PEOPLE) if name in files}
            return _hash_of(hashes)

    def _same(self, content: str) -> str | None:
        """The newest whole version of this content."""
        for version in reversed(self.versions()):
            try:
                manifest = self.manifest(version)
            except RegistryError:
                continue
            held = manifest.get("content")
            if held is None and self.artifact == "file":  # made before versions said so
                name = manifest.get("entry", self.production.name)
                held = _hash_of({name: manifest["files"].get(name)})
            if held == content and not self.verify(version):
                return version
        return None

    def _number(self, version: str) -> int | None:
        """Its place in the order in which versions were made."""
        try:
            number = json.loads((self.versions_folder / version / MANIFEST).read_bytes())["number"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return number if type(number) is int else None

    def _went_live(self) -> list[str]:
        """Versions in the order in which they first went live; what the history cannot say, it does not."""
        return list(dict.fromkeys(str(move["to"]) for move in self.history()))


def _hash_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@contextmanager
def _recovered(production: Path) -> Iterator[None]:
    with ExitStack() as stack:
        with wrap_registry_errors(production):
            stack.enter_context(recovered(production))
        yield


def _is_inside(name: str) -> bool:
    """Whether a relative path stays below where it starts."""
    path = Path(name)
    return name.isprintable() and not path.is_absolute() and ".." not in path.parts


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
        raise RegistryError(f"{link}: cannot be read ({one_line(error)})") from error
