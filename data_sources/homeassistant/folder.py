"""A configuration folder of Home Assistant, or files that were saved from one."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources.base import DataSourceError, FormatError, NotFoundError, cannot_be_opened, sqlite_url
from data_sources.foreign_files import kind_of_file, what_is_there
from data_sources.homeassistant import DATABASE_NAME
from data_sources.homeassistant.source import HomeAssistantSource
from data_sources.masking import without_secrets
from data_sources.paths import same_file
from data_sources.records import Home, shorten_path
from home_assistant.answers import DISPLAYED, OTHER, PLACES, add_answer, called, kind_of
from home_assistant.automation_yaml import WHOLE_FILE, AutomationError, parse_yaml
from home_assistant.configuration import CONFIGURATION, read_configuration
from home_assistant.installation import Installation
from home_assistant.registries import (
    REGISTRY_OF,
    RESTORE_STATE,
    STORAGE,
    NewerVersionError,
    RegistryError,
    migrate,
    note_broken,
    parse_json,
    read_bytes,
    read_registries,
    read_restored,
)

if TYPE_CHECKING:
    from data_sources.homeassistant.recorder import Recorder

VERSION_FILE = ".HA_VERSION"
_HEAD = 1 << 16  # bytes of a file that tell what it is
_SQLITE = b"SQLite format 3\0"
_GIVE = f"give the configuration folder itself, the one with {CONFIGURATION}"
# Of the files that people give, those that say nothing without the rest.
_PARTS = {
    CONFIGURATION: "the configuration of Home Assistant",
    "scripts.yaml": "scripts of Home Assistant",
    "scenes.yaml": "scenes of Home Assistant",
    "groups.yaml": "groups of Home Assistant",
    "customize.yaml": "names of entities of Home Assistant",
    "known_devices.yaml": "devices that Home Assistant tracked",
    "secrets.yaml": "the secrets of Home Assistant, which are never read",
    VERSION_FILE: "the version of Home Assistant",
}


class HomeAssistantFolder(HomeAssistantSource):
    """One home, read from its configuration folder. Nothing in it is written or executed.

    Args:
        path: The folder, or its ``.storage`` alone.
        strict: Make the first broken file or row an error.
    """

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._path = path
        self._recorder: Recorder | None = None

    def describe(self) -> dict[str, str]:
        """Type and path."""
        return {"type": "homeassistant", "location": without_secrets(str(self._path))}

    def reads(self, path: Path) -> bool:
        """Whether a file, whose path is resolved, is one of the configuration: YAML, registries, the recorder."""
        own = self._path.resolve()
        root = own.parent if own.name == STORAGE else own
        if not any(same_file(folder, root) for folder in path.parents):
            return False
        name = path.name.lower()
        if path.suffix.lower() in (".yaml", ".yml") or name.startswith((DATABASE_NAME, VERSION_FILE.lower())):
            return True
        if same_file(path.parent, root / STORAGE):
            return True
        return name.startswith("core.") and same_file(path.parent, own) and not (own / STORAGE).is_dir()

    def installation(self) -> Installation:
        """What the folder says of the home."""
        installation = Installation()
        storage = self._path / STORAGE
        if not storage.is_dir() and _is_storage(self._path):
            storage = self._path
        if storage.is_dir():
            try:
                read_registries(storage, installation)
            except NewerVersionError as error:
                raise FormatError(f"{self.describe()['location']}: {error}") from error
        else:
            installation.problems["missing folder"] += 1
            installation.notes.append(f"{STORAGE}: is missing, so areas, devices and the registry are not known")
        registered = {row["entity_id"] for row in installation.entities}
        if storage != self._path:
            read_configuration(self._path, installation)
            self._recorder = self._open_recorder(installation)
        if self._recorder is not None:
            read_restored(storage, installation, only=registered)
            return installation
        read_restored(storage, installation)
        for entity_id, attributes in installation.configured.items():
            if entity_id not in registered:
                installation.states.setdefault(entity_id, attributes)
        return installation

    def _open_recorder(self, installation: Installation) -> Recorder | None:
        """The recorder of the home, its newest states read; None, with a note, where there is none or it is broken."""
        from data_sources.homeassistant.recorder import Recorder, recorder_url

        try:
            url = recorder_url(self._path, installation.recorder)
            if url is None:
                return None
            recorder = Recorder(url)
            installation.states.update(recorder.newest_states())
        except DataSourceError as error:
            note_broken(installation, "recorder", error)
            return None
        return recorder

    def history(self, home: Home) -> Home:
        """The home with how often each entity changes, and with what follows what."""
        if self._recorder is None:
            return home
        from data_sources.homeassistant.recorder import home_time_zone

        return _with_history(home, self._recorder, home_time_zone(self._path), self._note)


def _with_history(home: Home, recorder: Recorder, zone: str | None, note: Callable[[Sequence[str]], None]) -> Home:
    mirrors = {e.entity_id for e in home.entities if e.hidden or e.entity_category or e.mirrors}
    try:
        history = recorder.history(time_zone=zone, without_pairs=mirrors)
    except DataSourceError as error:
        note([f"recorder: {error}"])
        return home
    note(recorder.notes)
    known = {entity.entity_id for entity in home.entities}
    observed = tuple(pair for pair in history.observed if {pair.trigger, pair.action} <= known)
    return replace(home, activity=tuple(own for own in history.activity if own.entity_id in known), observed=observed)


class HomeAssistantDatabase(HomeAssistantSource):
    """One home, read from the database of its recorder alone: its entities by name and class, and its history."""

    def __init__(self, path: Path, *, strict: bool = False) -> None:
        from data_sources.homeassistant.recorder import Recorder

        super().__init__(strict=strict)
        self._path = path
        self._recorder = Recorder(sqlite_url(str(path.resolve())))

    def describe(self) -> dict[str, str]:
        """Type and path."""
        return {"type": "homeassistant", "location": without_secrets(str(self._path))}

    def reads(self, path: Path) -> bool:
        """Whether a file, whose path is resolved, is the database."""
        return same_file(path, self._path.resolve())

    def installation(self) -> Installation:
        """The newest states."""
        return Installation(states=dict(self._recorder.newest_states()))

    def history(self, home: Home) -> Home:
        """The home with how often each entity changes, and with what follows what."""
        return _with_history(home, self._recorder, None, self._note)


class HomeAssistantFiles(HomeAssistantSource):
    """One home, read from files that were saved from it: lists that the API answers, registries, automations.

    Args:
        paths: The files; what two of them say of one entity is joined.
        where: What was given, for messages.
        strict: Make the first broken file or row an error.
    """

    def __init__(self, paths: Sequence[Path], where: Path, *, strict: bool = False) -> None:
        super().__init__(strict=strict)
        self._paths, self._where = paths, where

    def describe(self) -> dict[str, str]:
        """Type and path."""
        return {"type": "homeassistant", "location": without_secrets(str(self._where))}

    def reads(self, path: Path) -> bool:
        """Whether a file, whose path is resolved, is one of them."""
        return any(same_file(path, own) for own in self._paths)

    def installation(self) -> Installation:
        """What the files say of the home."""
        installation = Installation()
        minor = None
        where = self.describe()["location"]
        answers = []
        for path in self._paths:
            try:
                value = _value_of(path, self._where)
                answers.append((kind_of(value), value, path.name))
            except (RegistryError, AutomationError, OSError) as error:
                if len(self._paths) == 1:
                    raise FormatError(f"{where}: {error}") from error
                note_broken(installation, path.name, error)
        answers.sort(key=lambda answer: answer[0] != DISPLAYED)  # what other lists say is more
        found = [kind for kind, _, _ in answers]
        for kind, value, name in answers:
            if kind not in (None, OTHER):
                try:
                    of_entities = add_answer(installation, value, str(kind), name)
                except (NewerVersionError, RegistryError) as error:
                    raise FormatError(f"{where}: {error}") from error
                minor = of_entities if minor is None else minor
        if found == [None]:
            raise FormatError(f"{where}: holds neither automations nor an answer of Home Assistant; {_GIVE}")
        if found and all(kind in (*PLACES, OTHER, None) for kind in found):
            what = ", ".join(sorted({called(kind) for kind in found if kind in PLACES})) or "an answer"
            raise FormatError(
                f"{where}: holds {what} of Home Assistant and no entities; {_GIVE}, or a folder with the answers of "
                "config/entity_registry/list and /api/states too"
            )
        _join(installation)
        migrate(installation, minor)
        return installation


def _join(installation: Installation) -> None:
    """Make one of what two files say of one entity, device or automation."""
    for rows, key in ((installation.entities, "entity_id"), (installation.devices, "id")):
        joined: dict[str, dict[str, Any]] = {}
        for row in rows:
            joined.setdefault(row[key], {}).update(row)
        rows[:] = list(joined.values())
    automations = {str(own.config.get("id") or own.entity_id or own.where): own for own in installation.automations}
    installation.automations[:] = automations.values()


def _value_of(path: Path, inside: Path) -> Any:
    content = read_bytes(path, inside if inside.is_dir() else path.resolve().parent)
    if path.suffix.lower() not in (".yaml", ".yml"):
        return parse_json(content)
    try:
        return parse_yaml(content.decode("utf-8-sig"), WHOLE_FILE)
    except UnicodeDecodeError as error:
        raise RegistryError(f"is not UTF-8 text (byte 0x{content[error.start]:02x})") from error


# -- What a path is ----------------------------------------------------------------------------------------------------


def home_assistant_at(path: Path, *, strict: bool = False) -> HomeAssistantSource | None:
    """The source for a path that is recognisably Home Assistant's; None where it is not.

    Raises:
        DataSourceError: It is Home Assistant's, and nothing can be learnt from it alone; the message says what to give.
    """
    try:
        if path.is_dir():
            return _folder_at(path, strict)
        return _file_at(path, strict) if path.is_file() else None
    except (OSError, ValueError):  # whoever reads the path as something else says what is wrong with it
        return None


def open_home_assistant(path: Path, *, strict: bool = False) -> HomeAssistantSource:
    """The source for a path that a person says is Home Assistant's. Raises DataSourceError where it is not."""
    shown = without_secrets(str(path))
    found = home_assistant_at(path, strict=strict)
    if found is not None:
        return found
    try:
        if not path.exists():
            raise NotFoundError(f"{shorten_path(shown)}: no such file or folder; {_GIVE}")
        what = what_is_there(path, (), ()) if path.is_dir() else kind_of_file(path)
    except (OSError, ValueError) as error:
        raise cannot_be_opened(shown, error, _GIVE) from error
    if what is not None and path.is_file():
        raise FormatError(f"{shown}: {what}")
    advice = _GIVE if not what else what if what.endswith("?") else f"{what}; {_GIVE}"
    raise FormatError(f"{shown}: is not recognised as Home Assistant's; {advice}")


def _folder_at(path: Path, strict: bool) -> HomeAssistantSource | None:
    names = (CONFIGURATION, VERSION_FILE, DATABASE_NAME, "automations.yaml")
    if _is_storage(path / STORAGE) or _is_storage(path) or any((path / name).is_file() for name in names):
        return HomeAssistantFolder(path, strict=strict)
    files = [file for file in sorted(path.iterdir()) if file.suffix == ".json" and file.is_file()]
    recognised = [file for file in files if _kind_of_head(file) is not None]
    return HomeAssistantFiles(recognised, path, strict=strict) if recognised else None


def _is_storage(path: Path) -> bool:
    return path.is_dir() and any(path.glob("core.*"))


def _file_at(path: Path, strict: bool) -> HomeAssistantSource | None:
    shown = without_secrets(str(path))
    if path.name in _PARTS:
        raise FormatError(f"{shown}: holds {_PARTS[path.name]}; {_GIVE}")
    if path.suffix.lower() in (".yaml", ".yml"):
        return HomeAssistantFiles([path], path, strict=strict)
    if _is_recorder(path):
        return HomeAssistantDatabase(path, strict=strict)
    kind = _kind_of_head(path)
    if kind == OTHER:
        raise FormatError(
            f"{shown}: is of Home Assistant, and says nothing of entities or automations; {_GIVE}, or the answers of "
            "config/entity_registry/list and /api/states"
        )
    return None if kind is None else HomeAssistantFiles([path], path, strict=strict)


def _is_recorder(path: Path) -> bool:
    """Whether a file is a SQLite database with the tables of a recorder."""
    with path.open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            return False
    try:
        # immutable: nothing beside the file is touched, which another process may be writing.
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)) as database:
            names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.Error:
        return path.name == DATABASE_NAME
    return {"schema_changes", "states"} <= names


# The beginning of an object whose first key tells that it can be of Home Assistant's.
_FIRST_KEY = re.compile(
    r'\s*\{\s*"(?:version|minor_version|key|data|id|type|success|result|entity_categories|allowlist_external_dirs|components|[a-z0-9_]+\.[a-z0-9_]+)"'
)
_FIRST_ROW = re.compile(r"\s*\[\s*(?=\{)")


def _kind_of_head(path: Path) -> str | None:
    """What a JSON file is, told by its beginning where that is enough: training data may be large."""
    if path.name in REGISTRY_OF:
        return REGISTRY_OF[path.name].rows
    if path.name.startswith("core.") and path.name != RESTORE_STATE:
        return OTHER
    with path.open("rb") as file:
        head = file.read(_HEAD)
    try:
        text = head.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "ignore")
        first_row = _FIRST_ROW.match(text)
        if first_row is not None:
            return kind_of([json.JSONDecoder().raw_decode(text, first_row.end())[0]])
        if _FIRST_KEY.match(text):
            return kind_of(parse_json(read_bytes(path, path.resolve().parent)))
    except (ValueError, RecursionError):
        pass
    return None
