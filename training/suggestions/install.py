"""Put suggestions into a configuration folder of Home Assistant, so that they load beside what is there.

The suggestions are a file of their own, which one line of ``configuration.yaml`` includes. The line is put in as text,
so that everything else stays as it is, byte for byte. What was replaced is kept beside it, and whatever goes wrong puts
all of it back.
"""

from __future__ import annotations

import logging
import os
import posixpath
import shlex
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from data_sources import DataSourceError, Home
from data_sources.counting import listed, many
from data_sources.homeassistant.folder import HomeAssistantFolder
from data_sources.homeassistant.records import home_of
from data_sources.paths import is_folder
from home_assistant.automation import scenes_made, structure
from home_assistant.automation_file import UnpublishableError
from home_assistant.automation_pairs import known_pairs
from home_assistant.automation_schema import check_automation
from home_assistant.automation_yaml import WHOLE_FILE, AutomationError, TaggedScalar, parse_yaml
from home_assistant.configuration import CONFIGURATION, CONTAINER_PATHS, read_configuration
from home_assistant.installation import SUGGESTIONS_FILE as FILE
from home_assistant.installation import Installation
from home_assistant.registries import STORAGE, RegistryError, home_id_of, read_registries
from training.runs.errors import TrainingError
from training.runs.files import flush_folder, wrap_write_errors, write_durably
from training.runs.locks import FOLDER_SECONDS, HeldError, folder_lock
from training.runs.publishing import check_writable
from training.suggestions.ranking import HomeProposals, Proposal, with_distinct_aliases
from training.suggestions.writing import SHOWN, is_written_here, published_yaml

log = logging.getLogger(__name__)

SECTION = "automation suggested"
_INCLUDE = "!include"
_BOM = b"\xef\xbb\xbf"
_REGISTRY = "core.entity_registry"
_UNKNOWN = "neither registry nor recorder of the configuration knows"
_EVERYWHERE = frozenset(("sun.sun", "zone.home"))  # in no registry, and in every home
NEXT = (
    "Next: in Home Assistant, Developer tools > YAML > Check configuration, then reload Automations there, or restart. "
    "Turn off in Settings > Automations what you do not want"
)


@dataclass(frozen=True)
class Installed:
    """What was done.

    Attributes:
        suggestions: Ids of the suggestions that the file holds.
        changed: Files that changed, by name; none where all was there already.
        backups: What they were before, by name.
        undo: The shell line that undoes it, "" where nothing changed.
        left_out: Ids of suggestions that the configuration has elsewhere.
        before: How many automations the configuration has beside these, whether they run and join entities or not.
        absent: Entities that the configuration does not know; suggestions with one are left out.
    """

    suggestions: tuple[str, ...]
    changed: tuple[str, ...]
    backups: tuple[str, ...]
    undo: str
    left_out: tuple[str, ...]
    before: int
    absent: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """What a person should read."""
        if not self.changed:
            yield f"Installed already: {FILE} holds these {many(len(self.suggestions), 'suggestion')}; nothing changed"
        else:
            yield (
                f"Installed: {many(len(self.suggestions), 'suggestion')} in {FILE}, beside "
                f"{many(self.before, 'automation')} of your own, running or not; changed: {', '.join(self.changed)}"
                + (f" (before: {', '.join(self.backups)})" if self.backups else "")
            )
        if self.left_out:
            yield f"Left out, for the configuration has them elsewhere: {', '.join(self.left_out)}"
        if self.absent:
            yield (f"Left out, for {_UNKNOWN} their entities: suggestions with {listed(self.absent, SHOWN)}")
        if self.undo:
            yield f"Undo, as long as nobody edited these files since: {self.undo}"
            yield NEXT


@dataclass(frozen=True)
class _Judgement:
    """What a configuration says, as far as it can be judged without Home Assistant.

    Attributes:
        ours: Automations of ``FILE``.
        others: All others.
        problems: What could not be read or resolved, counted.
        unread: A line for each file of it that could not be read.
        home_id: The home, None where no registry tells it.
        pairs: What ``others`` join.
    """

    ours: tuple[Mapping[Any, Any], ...]
    others: tuple[Mapping[Any, Any], ...]
    entity_ids: frozenset[str]
    problems: Counter[str]
    unread: tuple[str, ...]
    home_id: str | None
    pairs: frozenset[tuple[str, str]]


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a configuration folder from before it is read until suggestions are in it; a second run waits for its turn.

    Otherwise the second would take what the first installs for automations of the owner. Where the file system has no
    locks, nobody waits.

    Raises:
        TrainingError: Another process holds it for too long.
    """
    with ExitStack() as held:
        try:
            try:
                held.enter_context(folder_lock(folder, 0.0))
            except HeldError:
                log.info("Waiting for another process in %s", folder)
                held.enter_context(folder_lock(folder, FOLDER_SECONDS))
        except HeldError as error:
            raise TrainingError(
                f"{folder}: another process has been at work there for {FOLDER_SECONDS:.0f} s; nothing has changed, "
                "try again when it is done"
            ) from error
        yield


class ConfigurationFolder:
    """A configuration folder that suggestions can be put into.

    Args:
        folder: The folder with ``configuration.yaml``.

    Raises:
        TrainingError: It is none, or a line cannot be added safely; the message says why and what to do.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not is_folder(folder):
            raise TrainingError(f"{folder}: is no folder; --install takes the folder with {CONFIGURATION}")
        if not os.path.lexists(folder / CONFIGURATION):
            raise TrainingError(
                f"{folder}: has no {CONFIGURATION}; --install takes the folder that has it, such as /config"
            )
        self._main, self._file = self._own(CONFIGURATION), self._own(FILE)
        for path in (self._main, self._file):
            self._check_writable(path)
        if self._file.exists() and not is_written_here(self._file):
            raise TrainingError(f"{self._file}: was not written by this command; rename it, for suggestions go there")
        with _readable(self._main):
            self._before = self._main.read_bytes()
        self._with_line = self._extended()
        self._judged = self._judge()
        if self._judged.unread:
            raise TrainingError(
                f"{folder}: nothing was installed, for a part of the configuration cannot be read, and may have what "
                f"is suggested: {listed(self._judged.unread, 2, '; ')}"
            )

    @property
    def entity_ids(self) -> frozenset[str]:
        """The entities of the automations that were installed before."""
        return self._judged.entity_ids

    def without_installed(self, home: Home) -> Home:
        """The home as it was before: what was installed are suggestions still, and no automations of its owner."""
        gone = self.entity_ids
        return replace(
            home,
            installed=(),
            entities=tuple(entity for entity in home.entities if entity.entity_id not in gone),
            synergies=tuple(s for s in home.synergies if gone.isdisjoint((s.trigger, s.action, s.automation_id or ""))),
            observed=tuple(seen for seen in home.observed if gone.isdisjoint((seen.trigger, seen.action))),
        )

    def install(self, found: HomeProposals) -> Installed:
        """Write the suggestions and the line that includes them; the same ones a second time change nothing.

        Raises:
            TrainingError: It cannot be done, or Home Assistant would refuse the configuration; nothing has changed.
        """
        taken = {str(own.get("id")) for own in self._judged.others}
        kept, absent = self._possible(found)
        left_out = tuple(p.automation["id"] for p in kept if p.automation["id"] in taken or self._has(p))
        kept = [p for p in kept if p.automation["id"] not in left_out]
        if not kept:
            has = f"the configuration has {listed(left_out, SHOWN)} already" if left_out else ""
            lacks = f"{_UNKNOWN} {listed(absent, SHOWN)}" if absent else ""
            why = " and ".join(filter(None, [has, lacks]))
            raise TrainingError(
                f"{self.folder}: there is nothing to install{f', for {why}' if why else ''}; nothing has changed"
            )
        aliases = [str(own["alias"]) for own in self._judged.others if own.get("alias") is not None]
        found = replace(found, proposals=with_distinct_aliases(kept, aliases))
        try:
            content = published_yaml(found).encode("utf-8")
        except UnpublishableError as error:
            raise TrainingError(f"{self.folder}: nothing was installed, for {error}") from error
        with _readable(self._file):
            former = self._file.read_bytes() if self._file.exists() else None
        changes = {self._file: content} if content != former else {}
        if self._with_line != self._before:
            changes[self._main] = self._with_line  # last: a file that nothing includes does no harm
        backups = self._replace(changes, former)
        undo = " && ".join(
            f"mv -f -- {shlex.quote(str(backups[path]))} {shlex.quote(str(path))}"
            if path in backups
            else f"rm -f -- {shlex.quote(str(path))}"
            for path in reversed(list(changes))
        )
        return Installed(
            tuple(p.automation["id"] for p in kept),
            tuple(path.name for path in changes),
            tuple(backup.name for backup in backups.values()),
            undo,
            left_out,
            len(self._judged.others),
            absent,
        )

    # What is there

    def _has(self, proposal: Proposal) -> bool:
        """Whether an automation of the configuration joins all that a suggestion would."""
        return self._judged.pairs.issuperset(proposal.pairs)

    def _possible(self, found: HomeProposals) -> tuple[list[Proposal], tuple[str, ...]]:
        """The suggestions whose entities the configuration knows, and the entities that it does not.

        Without a registry of entities nothing says what it has.

        Raises:
            TrainingError: It knows less than half of them: they are another home's.
        """
        needed = {p.automation["id"]: _named_in(p.automation).union(*p.pairs) for p in found.proposals}
        all_needed = set().union(*needed.values())
        if found.home_id == self._judged.home_id or not (self.folder / STORAGE / _REGISTRY).is_file():
            return list(found.proposals), ()
        absent = tuple(sorted(all_needed - self._entities()))
        if 2 * len(absent) > len(all_needed):
            raise TrainingError(
                f"{self.folder}: nothing was installed, for the suggestions are another home's: it does not know "
                f"{listed(absent, SHOWN)}; `--data-source homeassistant:{self.folder}` reads this home"
            )
        return [p for p in found.proposals if needed[p.automation["id"]].isdisjoint(absent)], absent

    def _entities(self) -> set[str]:
        """The entities of the configuration that are not disabled, as whoever reads it as a source finds them."""
        source = HomeAssistantFolder(self.folder)
        try:
            installation = source.installation()
        except DataSourceError as error:
            raise TrainingError(
                f"{self.folder}: nothing was installed, for its entities are not known ({error})"
            ) from error
        home = home_of(installation, source.report)
        told = (installation.configured, installation.scripts, installation.scenes, installation.groups)
        automations = {own.entity_id for own in installation.automations if own.entity_id is not None}
        return {entity.entity_id for entity in home.entities}.union(_EVERYWHERE, automations, *told)

    def _own(self, name: str) -> Path:
        """A file of the folder. Raises TrainingError where it is a link, for that may lead anywhere."""
        path = self.folder.resolve() / name
        if path.is_symlink():
            raise TrainingError(
                f"{path}: is a link to {path.readlink()}, and nothing is written through it; put the file there, "
                "or write the suggestions with --output and include them by hand"
            )
        if path.exists() and not path.is_file():
            raise TrainingError(f"{path}: is no file; rename what is in its place")
        return path

    def _check_writable(self, path: Path) -> None:
        check_writable(path)
        if path.exists() and (not path.stat().st_mode & 0o222 or not os.access(path, os.W_OK)):
            raise TrainingError(f"{path}: is read-only; make it writable (chmod u+w), or add the line yourself")

    def _extended(self) -> bytes:
        """The main file with the line that includes the suggestions; as it is where it has one."""
        text = self._before.removeprefix(_BOM)
        root = self._root(self._before)
        if any(_names_file(value) for key, value in root.items() if _is_section(key)):
            return self._before
        if SECTION in root:
            raise TrainingError(
                f"{self._main}: has `{SECTION}:` for something else already; rename that section (such as `automation "
                "mine:`), then install again"
            )
        meant = {**root, SECTION: TaggedScalar(_INCLUDE, FILE)}
        for extended in _with_line(text.decode("utf-8"), f"{SECTION}: {_INCLUDE} {FILE}"):
            content = self._before[: len(self._before) - len(text)] + extended.encode("utf-8")
            with suppress(TrainingError):
                if repr(sorted(self._root(content).items(), key=repr)) == repr(sorted(meant.items(), key=repr)):
                    return content
        raise TrainingError(
            f"{self._main}: is written in a way that no line can be added to; add `{SECTION}: {_INCLUDE} {FILE}` "
            "yourself, then install again"
        )

    def _root(self, content: bytes) -> dict[Any, Any]:
        try:
            text = content.decode("utf-8-sig")
            root = parse_yaml(text, WHOLE_FILE) if yaml.compose(text, Loader=yaml.SafeLoader) is not None else {}
        except (UnicodeDecodeError, AutomationError, RecursionError, yaml.YAMLError) as error:
            why = f"not UTF-8 text (byte {error.start})" if isinstance(error, UnicodeDecodeError) else error
            raise TrainingError(f"{self._main}: cannot be read ({why}); mend it first, nothing has changed") from error
        if root is None:  # an empty document
            return {}
        if not isinstance(root, dict):
            raise TrainingError(f"{self._main}: is no mapping of sections; is this Home Assistant's?")
        return root

    def _judge(self) -> _Judgement:
        """What the folder says now."""
        installation = Installation()
        if (self.folder / STORAGE).is_dir():
            try:
                read_registries(self.folder / STORAGE, installation)
            except RegistryError as error:
                installation.unread.append(str(error))
        home_id = home_id_of(installation)
        read_configuration(self.folder, installation)
        ours = [own for own in installation.automations if own.installed]
        others = [own for own in installation.automations if own not in ours]
        return _Judgement(
            tuple(own.config for own in ours),
            tuple(own.config for own in others),
            frozenset(own.entity_id for own in ours if own.entity_id is not None),
            installation.problems,
            tuple(installation.unread),
            home_id,
            frozenset((pair.trigger, pair.action) for pair in known_pairs(installation).pairs),
        )

    # What is written

    def _replace(self, changes: Mapping[Path, bytes], former: bytes | None) -> dict[Path, Path]:
        """Replace files, and judge the whole; the backup of each that was there. All is put back where it is worse."""
        if self._main in changes and self._main.read_bytes() != self._before:
            raise TrainingError(f"{self._main}: was changed meanwhile; install again")
        backups: dict[Path, Path] = {}
        try:
            for path in changes:
                if path.exists():
                    backups[path] = _backup(path)
            for path, content in changes.items():
                _write(path, content)
            self._check_judgement(changes.get(self._file, former))
        except BaseException:
            for path in reversed(list(changes)):
                _put_back(path, backups.get(path))
            raise
        return backups

    def _check_judgement(self, content: bytes | None) -> None:
        """Raises TrainingError where the configuration does not say what was there before and the suggestions, once."""
        after = self._judge()
        why = ""
        if repr(after.others) != repr(self._judged.others):
            why = "it would change what the configuration has beside the suggestions: does it include whole folders?"
        elif repr(list(after.ours)) != repr(parse_yaml((content or b"").decode("utf-8"), WHOLE_FILE)):
            why = "the configuration would not have the suggestions once: does it include whole folders?"
        elif worse := after.problems - self._judged.problems:
            why = f"the configuration would have more problems ({', '.join(worse)})"
        for automation in after.ours:
            try:
                check_automation(automation)
            except AutomationError as error:
                why = f"Home Assistant would refuse a suggestion ({error})"
        if why:
            raise TrainingError(f"{self.folder}: nothing was installed, for {why}")


def _named_in(automation: Mapping[str, Any]) -> frozenset[str]:
    """The entities that an automation needs; a scene that it makes itself is none."""
    told = {key: part for key, part in automation.items() if key not in ("alias", "description")}
    return structure(told).entities - scenes_made(automation).keys()


def _with_line(text: str, line: str) -> Iterator[str]:
    """A main file with one more line: at its end, or before its first section where it may not be at the end."""
    newline = "\r\n" if "\r\n" in text else "\n"
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        return
    indent = " " * (root.start_mark.column if isinstance(root, yaml.MappingNode) else 0)
    ended = text if not text or text.endswith("\n") else text + newline
    yield f"{ended}{indent}{line}{newline}"
    if isinstance(root, yaml.MappingNode):
        start = root.start_mark.index - root.start_mark.column
        yield f"{text[:start]}{indent}{line}{newline}{text[start:]}"


def _is_section(key: Any) -> bool:
    return isinstance(key, str) and key.partition(" ")[0] == "automation"


def _names_file(value: Any) -> bool:
    if not isinstance(value, TaggedScalar) or value.tag != _INCLUDE:
        return False
    name = value.value.strip()
    for folder in CONTAINER_PATHS:
        name = name.removeprefix(folder)
    return posixpath.normpath(name) == FILE


def _backup(path: Path) -> Path:
    """A copy of a file beside it, of a name that was free and that no include of a folder reads."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for number in count(1):
        copy = path.with_name(f"{path.name}.before-{stamp}" + (f"-{number}" if number > 1 else ""))
        with wrap_write_errors(copy):
            try:
                with copy.open("xb") as file, path.open("rb") as source:
                    shutil.copyfileobj(source, file)
                    file.flush()
                    os.fsync(file.fileno())
            except FileExistsError:
                continue
            _take_after(copy, path)
        return copy
    raise AssertionError


def _write(path: Path, content: bytes) -> None:
    """Replace a file as a whole; owner and mode of one that was there stay."""
    with wrap_write_errors(path):
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        os.close(handle)
        staged = Path(name)
        try:
            write_durably(staged, content)
            _take_after(staged, path if path.exists() else path.with_name(CONFIGURATION))
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)
        flush_folder(path.parent)


def _put_back(path: Path, backup: Path | None) -> None:
    """Undo ``_write``, whether it got so far or not. Raises TrainingError that says what is where, if that fails."""
    try:
        if backup is None:
            path.unlink(missing_ok=True)
        elif backup.read_bytes() == path.read_bytes():
            backup.unlink()
        else:
            backup.replace(path)
    except OSError as error:
        kept = "" if backup is None else f"; as it was it is in {backup}"
        raise TrainingError(f"{path}: was changed and could not be put back ({error.strerror}){kept}") from error


def _take_after(path: Path, other: Path) -> None:
    """Give a file the mode and the owner of another one, as far as the system lets."""
    state = other.stat()
    with suppress(OSError):
        path.chmod(state.st_mode & 0o777)
    with suppress(OSError, AttributeError):
        os.chown(path, state.st_uid, state.st_gid)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(f"{path}: cannot be read ({error.strerror or error})") from error
