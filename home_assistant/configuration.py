"""Read the YAML of a configuration folder: automations, scripts, scenes, groups, and entities that only repeat others.

A configuration is hostile text here. Nothing in it is executed and no template is rendered. ``secrets.yaml`` is never
opened, no file outside the folder is read, and size, depth and the number of includes are limited. A file that cannot
be read is counted and named, and the rest is read.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from home_assistant.automation import starts_enabled
from home_assistant.automation_yaml import BLUEPRINT, WHOLE_FILE, AutomationError, TaggedScalar, parse_yaml
from home_assistant.configured import add_configured, add_oldest_registry, add_tracked
from home_assistant.entity_id import is_entity_id, listed_ids, normalized_entity_id, slugified
from home_assistant.installation import ConfiguredAutomation, Installation
from home_assistant.templates import repeated_entity

MAX_FILE_BYTES = 4_000_000
MAX_INCLUDES = 20_000
MAX_INCLUDE_DEPTH = 20
MAX_CONFIGURATION_VALUES = 2_000_000  # includes written out: one file may be included many times
MAX_BLUEPRINT_VALUES = 50_000  # inputs written out
MAX_NOTES = 200
MAX_STORAGE_BYTES = 64_000_000

CONFIGURATION = "configuration.yaml"
_SECRETS = "secrets.yaml"
# The folder's path in Home Assistant's own container and in an add-on; an include may be written from there.
CONTAINER_PATHS = ("/config/", "/homeassistant/")
# Kinds of faults by which something that Home Assistant reads is not known here.
_UNREAD = frozenset(
    (
        "broken file",
        "encrypted file",
        "file that is no text",
        "file too large",
        "include loop",
        "include outside the folder",
        "missing file",
        "too many includes",
        "unreadable file",
    )
)
_AUTOMATION_KEYS = frozenset(("trigger", "triggers", "action", "actions", BLUEPRINT))


def read_configuration(folder: Path, installation: Installation) -> None:
    """Add what the YAML and the helpers of ``folder`` say to ``installation``; its registries have been read before.

    It fills ``automations``, ``scripts``, ``scenes``, ``groups``, ``mirrors``, ``configured`` and ``customized``. It
    counts what could not be read in ``problems`` and names it in ``notes``. It raises nothing for what a folder may
    hold.
    """
    files = _Files(folder, installation)
    if not installation.entities and (folder / "entity_registry.yaml").is_file():
        add_oldest_registry(files.load_root("entity_registry.yaml"), installation)
    if (folder / "known_devices.yaml").is_file():
        add_tracked(files.load_root("known_devices.yaml"), installation)
    configuration = files.load_root(CONFIGURATION)
    reader = _Reader(files, installation)
    if isinstance(configuration, Mapping):
        add_configured(configuration, installation)
        reader.read(configuration, CONFIGURATION)
    else:
        # A folder that only shares its automations, or whose main file is broken: what the editor writes is known.
        for domain, name in (
            ("automation", "automations.yaml"),
            ("script", "scripts.yaml"),
            ("scene", "scenes.yaml"),
            ("group", "groups.yaml"),
        ):
            if (folder / name).is_file():
                reader.read_section(domain, files.load_root(name), name)
        for name, tag in (("automations", "!include_dir_merge_list"), ("packages", "!include_dir_named")):
            if (folder / name).is_dir():
                value = files.expand(TaggedScalar(tag, name), files.folder, ())
                if name == "packages":
                    reader.read_packages(value)
                else:
                    reader.read_section("automation", value, name)
    try:
        reader.read_helpers()
    except RecursionError:
        files.complain("broken file", ".storage: groups and helpers are nested too deep")


# -- Files and includes ------------------------------------------------------------------------------------------------


class _UnreadableError(Exception):
    """A file that is not read: the kind of fault, and a line about this one."""

    def __init__(self, kind: str, line: str) -> None:
        super().__init__(line)
        self.kind = kind


class _Files:
    """The YAML files of one folder, their includes written out. Values are shared between includes, never copied."""

    def __init__(self, folder: Path, installation: Installation) -> None:
        self.folder = folder.resolve()
        self._installation = installation
        self._read: dict[Path, tuple[Any, int]] = {}
        self._failed: set[Path] = set()
        self._values = 0
        self._includes = 0
        self._origins: dict[int, str] = {}  # id of a value -> where it stands; ``_read`` keeps the values alive

    def load_root(self, name: str) -> Any:
        """The value of a file in the folder; None where it is missing or broken."""
        path = self.folder / name
        if not path.exists():
            self._installation.problems["missing file"] += 1  # nothing includes it
            self.note(f"{name} is missing")
            return None
        return self.load(path, ())

    def where(self, value: Any, otherwise: str) -> str:
        return self._origins.get(id(value), otherwise)

    def complain(self, kind: str, line: str) -> None:
        self._installation.problems[kind] += 1
        self.note(line)
        if kind in _UNREAD and len(self._installation.unread) < MAX_NOTES:
            self._installation.unread.append(line)

    def note(self, line: str) -> None:
        notes = self._installation.notes
        if len(notes) < MAX_NOTES and line not in notes:
            notes.append(line if len(notes) < MAX_NOTES - 1 else "and more like these, which are counted only")

    def shown(self, path: Path) -> str:
        """The path inside the folder, on one line of plain ASCII."""
        text = path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name
        return ascii(text)[1:-1][:200]

    def inside(self, path: Path) -> Path:
        """``path`` with its links followed. Raises _UnreadableError for one outside the folder and for secrets."""
        try:
            resolved = path.resolve()
        except (OSError, RuntimeError, ValueError) as error:
            raise _UnreadableError("missing file", f"{ascii(path.name)[1:-1][:200]}: cannot be opened") from error
        if not resolved.is_relative_to(self.folder):
            raise _UnreadableError(
                "include outside the folder", f"{self.shown(path)} leads out of the folder; not followed"
            )
        if _SECRETS in (resolved.name.lower(), path.name.lower()):
            raise _UnreadableError("include of secrets", f"{self.shown(path)} holds secrets; not opened")
        return resolved

    def load(self, path: Path, stack: tuple[Path, ...]) -> Any:
        try:
            path = self.inside(path)
            if path in self._failed:
                return None
            if path in stack:
                raise _UnreadableError("include loop", f"{self.shown(path)} includes itself; the inner one is left out")
            if len(stack) >= MAX_INCLUDE_DEPTH:
                raise _UnreadableError(
                    "include loop", f"{self.shown(path)}: more than {MAX_INCLUDE_DEPTH} nested includes"
                )
            if path in self._read:
                value, size = self._read[path]
            else:
                try:
                    parsed = self._parse(path)
                except _UnreadableError:
                    self._failed.add(path)
                    raise
                before = self._values
                value = self.expand(parsed, path.parent, (*stack, path))
                size = self._values - before + _size(parsed)
                self._values = before
                self._read[path] = value, size
                self._remember(value, path)
        except _UnreadableError as error:
            self.complain(error.kind, str(error))
            return None
        except RecursionError:
            self.complain("broken file", f"{self.shown(path)}: nested too deep, its includes written out")
            return None
        self._values += size
        return value

    def _parse(self, path: Path) -> Any:
        shown = self.shown(path)
        try:
            if not path.is_file():
                raise _UnreadableError("missing file", f"{shown} is missing")
            with path.open("rb") as file:
                raw = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise _UnreadableError("unreadable file", f"{shown}: {error.strerror or error}") from error
        if len(raw) > MAX_FILE_BYTES:
            raise _UnreadableError("file too large", f"{shown}: more than {MAX_FILE_BYTES:,} bytes; not read")
        if raw.startswith(b"\0GITCRYPT"):
            raise _UnreadableError("encrypted file", f"{shown} is encrypted by git-crypt; run `git-crypt unlock` first")
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise _UnreadableError("file that is no text", f"{shown} is no UTF-8 text (byte {error.start})") from error
        if "\0" in text:
            raise _UnreadableError("file that is no text", f"{shown} is no text; it holds zero bytes")
        if not text.strip():
            return None
        try:
            return parse_yaml(text, WHOLE_FILE)
        except AutomationError as error:
            if str(error) == "is empty":
                return None
            raise _UnreadableError("broken file", f"{shown}: {error}") from error
        except RecursionError as error:
            raise _UnreadableError("broken file", f"{shown}: nested too deep") from error

    def expand(self, value: Any, base: Path, stack: tuple[Path, ...]) -> Any:
        """``value`` with the includes in it replaced by what they name; paths are relative to ``base``."""
        if isinstance(value, TaggedScalar):
            return self._include(value, base, stack) if value.tag.startswith("!include") else value
        if isinstance(value, list):
            return [self.expand(item, base, stack) for item in value]
        if isinstance(value, dict):
            return {key: self.expand(inner, base, stack) for key, inner in value.items()}
        return value

    def _include(self, include: TaggedScalar, base: Path, stack: tuple[Path, ...]) -> Any:
        self._includes += 1
        if self._includes > MAX_INCLUDES or self._values > MAX_CONFIGURATION_VALUES:
            self.complain("too many includes", "the configuration includes too much; the rest is left out")
            return None
        name = include.value.strip()
        for prefix in CONTAINER_PATHS:
            if name.startswith(prefix):
                base, name = self.folder, name.removeprefix(prefix)
        if "\0" in name or not name:
            self.complain("missing file", f"an {include.tag} names no file")
            return None
        if include.tag == "!include":
            value = self.load(base / name, stack)
            return {} if value is None else value
        return self._include_folder(include.tag, base / name, stack)

    def _include_folder(self, tag: str, folder: Path, stack: tuple[Path, ...]) -> Any:
        named = tag in ("!include_dir_named", "!include_dir_merge_named")
        try:
            folder = self.inside(folder)
            if not folder.is_dir():
                raise _UnreadableError("missing folder", f"{self.shown(folder)} is missing or no folder")
        except _UnreadableError as error:
            self.complain(error.kind, str(error))
            return {} if named else []
        mapping: dict[Any, Any] = {}
        items: list[Any] = []
        for path in _yaml_files(folder):
            self._includes += 1
            if self._includes > MAX_INCLUDES or self._values > MAX_CONFIGURATION_VALUES:
                self.complain("too many includes", "the configuration includes too much; the rest is left out")
                break
            value = self.load(path, stack)
            if tag == "!include_dir_named":
                mapping[path.stem] = {} if value is None else value
            elif tag == "!include_dir_merge_named" and isinstance(value, dict):
                mapping.update(value)
            elif tag == "!include_dir_list" and value is not None:
                items.append(value)
            elif tag == "!include_dir_merge_list" and isinstance(value, list):
                items.extend(value)
        return mapping if named else items

    def _remember(self, value: Any, path: Path) -> None:
        shown = self.shown(path)
        self._origins[id(value)] = shown
        if isinstance(value, list):
            for number, item in enumerate(value, 1):
                if isinstance(item, dict):
                    self._origins.setdefault(id(item), f"{shown}: item {number}")
        elif isinstance(value, dict):
            for key, inner in value.items():
                if isinstance(inner, dict | list):
                    self._origins.setdefault(id(inner), f"{shown}: {ascii(str(key))[1:-1][:80]}")


def _yaml_files(folder: Path) -> Iterator[Path]:
    """The YAML files that an include of a folder reads: its subfolders too, nothing hidden, no secrets."""
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if name.endswith(".yaml") and not name.startswith(".") and name != _SECRETS:
                yield Path(root, name)


def _size(value: Any) -> int:
    """How many values it holds, itself too."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + sum(map(_size, inner))


# -- Sections ----------------------------------------------------------------------------------------------------------

# Helpers that have their own page in the settings -> the option that names what they are made from.
_SOURCES_OF_HELPER = {
    "derivative": "source",
    "filter": "entity_id",
    "integration": "source",
    "min_max": "entity_ids",
    "statistics": "entity_id",
    "switch_as_x": "entity_id",
    "threshold": "entity_id",
    "trend": "entity_id",
    "utility_meter": "source",
}
# The same as platforms in YAML, `sensor: - platform: min_max`; and those that only YAML has.
_SOURCES_OF_PLATFORM = {**_SOURCES_OF_HELPER, "switch": "entity_id"}
_TEMPLATE_STATES = ("state", "value_template")
_WITH_PLATFORMS = frozenset(
    "alarm_control_panel binary_sensor button climate cover event fan light lock media_player notify sensor switch "
    "vacuum valve weather".split()
)


class _Reader:
    """Sorts the sections of a configuration into an installation."""

    def __init__(self, files: _Files, installation: Installation) -> None:
        self._files = files
        self._home = installation
        self._by_unique_id: dict[tuple[str, str, str], Mapping[str, Any]] = {}
        self._by_config_entry: dict[str, list[str]] = {}
        self._by_registry_id: dict[str, str] = {}
        for row in installation.entities:
            entity_id = row.get("entity_id")
            if not isinstance(entity_id, str):
                continue
            domain = entity_id.partition(".")[0]
            self._by_unique_id[domain, str(row.get("platform")), str(row.get("unique_id"))] = row
            self._by_config_entry.setdefault(str(row.get("config_entry_id")), []).append(entity_id)
            if isinstance(row.get("id"), str):
                self._by_registry_id[row["id"]] = entity_id
        self._taken: set[str] = {str(row.get("entity_id")) for row in installation.entities}
        self._automations = 0
        self._blueprints: dict[tuple[str, str], Any] = {}

    def read(self, configuration: Mapping[Any, Any], where: str) -> None:
        """Read every section, and then the packages."""
        for key, section in configuration.items():
            if not isinstance(key, str):
                continue
            # `automation kitchen:` is a section of automations too.
            domain, _, label = key.partition(" ")
            if domain != "homeassistant":
                self.read_section(domain if label.strip() else key, section, f"{where}: {ascii(key)[1:-1][:80]}")
        main = configuration.get("homeassistant")
        if isinstance(main, Mapping) and main.get("packages") is not None:
            self.read_packages(main["packages"])

    def read_packages(self, packages: Any) -> None:
        if isinstance(packages, list):
            named = [(f"package {number}", package) for number, package in enumerate(packages, 1)]
        else:
            named = list(packages.items()) if isinstance(packages, Mapping) else []
        for name, package in named:
            if isinstance(package, Mapping):
                add_configured(package, self._home)
                where = self._files.where(package, f"package {ascii(str(name))[1:-1][:80]}")
                self.read({key: section for key, section in package.items() if key != "homeassistant"}, where)
            elif package:
                self._files.complain("broken package", f"package {ascii(str(name))[1:-1][:80]} is no mapping")

    def read_section(self, domain: str, section: Any, where: str) -> None:
        for number, item in enumerate(section if isinstance(section, list) else [section], 1):
            place = self._files.where(item, f"{where} {number}")
            try:
                if isinstance(item, Mapping):
                    self._item(domain, item, place, where)
                elif item and domain == "automation":
                    self._files.complain("broken automation", f"{place} is no mapping")
            except RecursionError:
                self._files.complain("broken file", f"{place}: nested too deep")

    def _item(self, domain: str, item: Mapping[Any, Any], place: str, where: str) -> None:
        by_mapping = {"group": self._groups, "template": self._template, "utility_meter": self._utility_meters}
        if domain == "automation":
            if item:  # an empty file that is included is an empty mapping
                self._automation(item, place)
        elif domain == "script":
            self._scripts(item, where)
        elif domain == "scene":
            self._scene(item)
        elif domain in by_mapping:
            by_mapping[domain](item)
        elif domain in _WITH_PLATFORMS:
            self._platform(domain, item)

    def _registered(self, domain: str, platform: str, unique_id: Any) -> Mapping[str, Any] | None:
        return None if unique_id is None else self._by_unique_id.get((domain, platform, str(unique_id)))

    def _entity_id(self, domain: str, platform: str, unique_id: Any, name: Any) -> str | None:
        """The entity of a part of the configuration: what the registry says, else what its name makes."""
        row = self._registered(domain, platform, unique_id)
        if row is not None:
            return str(row["entity_id"])
        slug = slugified(str(name)) if isinstance(name, str | int | float) else ""
        return f"{domain}.{slug}" if slug else None

    # Automations, scripts and scenes

    def _automation(self, item: Mapping[Any, Any], where: str) -> None:
        number, self._automations = self._automations, self._automations + 1
        if not _AUTOMATION_KEYS & item.keys():
            self._files.complain("broken automation", f"{where} has no trigger and no action")
            return
        config, blueprint = self._substituted("automation", item, where)
        if config is None:
            return
        row = self._registered("automation", "automation", item.get("id"))
        entity_id: str | None
        if row is not None:
            entity_id = str(row["entity_id"])
        else:
            alias = "" if item.get("alias") is None else str(item["alias"])
            entity_id = self._free_id("automation", slugified(alias or f"automation {number}"))
        turned_off = not starts_enabled(config) or bool(row and row.get("disabled_by"))
        self._home.automations.append(ConfiguredAutomation(config, where, entity_id, not turned_off, blueprint))

    def _free_id(self, domain: str, slug: str) -> str | None:
        """The entity id with this slug, with a number behind it where others have it already; None without a slug."""
        if not slug:
            return None
        entity_id, number = f"{domain}.{slug}", 1
        while entity_id in self._taken:
            number += 1
            entity_id = f"{domain}.{slug}_{number}"
        self._taken.add(entity_id)
        return entity_id

    def _scripts(self, section: Mapping[Any, Any], where: str) -> None:
        for key, item in section.items():
            if not isinstance(item, Mapping) or not isinstance(key, str | int):
                continue
            config, _ = self._substituted("script", item, f"{where}: {ascii(str(key))[1:-1][:80]}")
            if config is not None and (entity_id := self._entity_id("script", "script", key, str(key))):
                self._home.scripts[entity_id] = config

    def _scene(self, item: Mapping[Any, Any]) -> None:
        if "platform" in item and str(item["platform"]) != "homeassistant":
            return
        for inner in item["states"] if isinstance(item.get("states"), list) else [item]:
            if not isinstance(inner, Mapping):
                continue
            entities = inner.get("entities")
            entity_id = self._entity_id("scene", "homeassistant", inner.get("id"), inner.get("name"))
            if entity_id and isinstance(entities, Mapping | list):
                self._home.scenes[entity_id] = self._entity_ids(list(entities))

    # Blueprints

    def _substituted(
        self, domain: str, item: Mapping[Any, Any], where: str
    ) -> tuple[Mapping[Any, Any] | None, str | None]:
        """The automation or script that an instance of a blueprint stands for; None where that cannot be said."""
        use = item.get(BLUEPRINT)
        if use is None:
            return item, None
        path = use.get("path") if isinstance(use, Mapping) else None
        if not isinstance(path, str):
            self._files.complain("broken blueprint", f"{where}: its blueprint has no path")
            return None, None
        blueprint = self._blueprint(domain, path, where)
        if blueprint is None:
            return None, None
        inputs = _default_inputs(blueprint)
        given = use.get("input")
        inputs.update(given if isinstance(given, Mapping) else {})
        body = {key: value for key, value in blueprint.items() if key != "blueprint"}
        try:
            filled = _Substitution(inputs).of(body)
        except LookupError as error:
            self._files.complain("blueprint input missing", f"{where}: blueprint {ascii(path)[1:-1][:120]}: {error}")
            return None, None
        except _UnreadableError as error:
            self._files.complain(error.kind, f"{where}: {error}")
            return None, None
        return {**filled, **{key: value for key, value in item.items() if key != BLUEPRINT}}, path

    def _blueprint(self, domain: str, path: str, where: str) -> Mapping[Any, Any] | None:
        if (domain, path) not in self._blueprints:
            self._blueprints[domain, path] = self._load_blueprint(domain, path, where)
        found = self._blueprints[domain, path]
        if found is None:
            self._home.problems["blueprint missing"] += 1
        return found if isinstance(found, Mapping) else None

    def _load_blueprint(self, domain: str, path: str, where: str) -> Any:
        shown = ascii(path)[1:-1][:120]
        folder = self._files.folder / "blueprints" / domain
        try:
            file = self._files.inside(folder / path) if "\0" not in path else folder
        except _UnreadableError as error:
            self._files.complain(error.kind, str(error))
            return None
        if file.is_file() and path.endswith(".yaml"):
            value = self._files.load(file, ())
            if isinstance(value, Mapping) and "blueprint" in value:
                return value
            self._files.note(f"{where}: blueprint {shown} cannot be read, so what it does is not known")
            return None
        if (domain, path) in SHIPPED_BLUEPRINTS:
            return SHIPPED_BLUEPRINTS[domain, path]
        self._files.note(
            f"{where}: blueprint {shown} is not in the folder, so what it does is not known; copy blueprints/ too"
        )
        return None

    # Groups and what repeats

    def _entity_ids(self, value: Any) -> tuple[str, ...]:
        """Entity ids in a value that lists some: registry ids resolved, each once."""
        ids = (self._by_registry_id.get(text, text) for text in listed_ids(value))
        return tuple(dict.fromkeys(entity_id for entity_id in ids if is_entity_id(entity_id)))

    def _groups(self, section: Mapping[Any, Any]) -> None:
        for key, item in section.items():
            slug = slugified(str(key))
            members = self._entity_ids(item.get("entities") if isinstance(item, Mapping) else item)
            if slug and members:
                self._home.groups[f"group.{slug}"] = members

    def _platform(self, domain: str, item: Mapping[Any, Any]) -> None:
        platform = str(item.get("platform"))
        if platform == "template":
            for key in (f"{domain}s", "sensors", "switches", "value_templates", "covers"):
                if isinstance(item.get(key), Mapping):
                    for slug, entity in item[key].items():
                        if isinstance(entity, Mapping):
                            self._repeats(self._entity_id(domain, "template", slug, str(slug)), entity)
            return
        entity_id = self._entity_id(
            domain, platform, item.get("unique_id"), item.get("name", _DEFAULT_NAME.get((domain, platform)))
        )
        if platform == "group":
            members = self._entity_ids(item.get("entities"))
            if entity_id and members:
                self._home.groups[entity_id] = members
        elif platform in _SOURCES_OF_PLATFORM and entity_id:
            self._mirror(entity_id, item.get(_SOURCES_OF_PLATFORM[platform]))

    def _template(self, item: Mapping[Any, Any]) -> None:
        prefix = item.get("unique_id")
        for domain, entities in item.items():
            for entity in entities if isinstance(entities, list) else [entities]:
                if isinstance(domain, str) and domain in _WITH_PLATFORMS | {"number", "select", "image"}:
                    if not isinstance(entity, Mapping):
                        continue
                    unique_id = entity.get("unique_id")
                    if unique_id is not None and prefix is not None:
                        unique_id = f"{prefix}-{unique_id}"
                    given = entity.get("default_entity_id")
                    entity_id = self._entity_id(domain, "template", unique_id, entity.get("name"))
                    if self._registered(domain, "template", unique_id) is None and isinstance(given, str):
                        entity_id = normalized_entity_id(given)
                    self._repeats(entity_id, entity)

    def _repeats(self, entity_id: str | None, entity: Mapping[Any, Any]) -> None:
        for key in _TEMPLATE_STATES:
            if entity_id and isinstance(entity.get(key), str) and (source := repeated_entity(entity[key])):
                self._mirror(entity_id, source)
                return

    def _utility_meters(self, section: Mapping[Any, Any]) -> None:
        for key, item in section.items():
            if isinstance(item, Mapping) and not item.get("tariffs"):
                entity_id = self._entity_id("sensor", "utility_meter", item.get("unique_id"), item.get("name", key))
                if entity_id:
                    self._mirror(entity_id, item.get("source"))

    def _mirror(self, entity_id: str, sources: Any) -> None:
        ids = tuple(source for source in self._entity_ids(sources) if source != entity_id)
        if ids:
            self._home.mirrors[entity_id] = ids

    # Helpers of the settings pages

    def read_helpers(self) -> None:
        """Groups and mirrors that were made in the settings: ``core.config_entries`` and, once, ``group``."""
        for item in self._storage("group", "items"):
            entity_id = self._entity_id("group", "group", item.get("id"), item.get("object_id") or item.get("name"))
            members = self._entity_ids(item.get("entities"))
            if entity_id and members:
                self._home.groups[entity_id] = members
        for entry in self._storage("core.config_entries", "entries"):
            options = entry.get("options")
            domain = entry.get("domain")
            if not isinstance(options, Mapping) or not isinstance(domain, str) or entry.get("disabled_by"):
                continue
            for entity_id in self._by_config_entry.get(str(entry.get("entry_id")), ()):
                if domain == "group":
                    members = self._entity_ids(options.get("entities"))
                    if members:
                        self._home.groups[entity_id] = members
                elif domain == "template":
                    self._repeats(entity_id, options)
                elif domain in _SOURCES_OF_HELPER and not entity_id.startswith("select."):
                    self._mirror(entity_id, options.get(_SOURCES_OF_HELPER[domain]))

    def _storage(self, name: str, key: str) -> list[Mapping[str, Any]]:
        path = self._files.folder / ".storage" / name
        try:
            if not path.exists():
                return []
            path = self._files.inside(path)
            with path.open("rb") as file:
                raw = file.read(MAX_STORAGE_BYTES + 1)
            if len(raw) > MAX_STORAGE_BYTES:
                raise _UnreadableError(
                    "file too large", f".storage/{name}: more than {MAX_STORAGE_BYTES:,} bytes; not read"
                )
            data = json.loads(raw)["data"][key]
        except _UnreadableError as error:
            self._files.complain(error.kind, str(error))
            return []
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            self._files.complain("broken file", f".storage/{name} is broken; groups and helpers in it are not known")
            return []
        return [row for row in data if isinstance(row, Mapping)] if isinstance(data, list) else []


# The names that a group in YAML has where it is given none.
_DEFAULT_NAME = {
    (domain, "group"): f"{word} Group"
    for domain, word in {
        "binary_sensor": "Binary Sensor",
        "button": "Button",
        "cover": "Cover",
        "event": "Event",
        "fan": "Fan",
        "light": "Light",
        "lock": "Lock",
        "media_player": "Media",
        "sensor": "Sensor",
        "switch": "Switch",
        "valve": "Valve",
    }.items()
} | {("light", "switch"): "Light Switch"}


# -- Blueprints --------------------------------------------------------------------------------------------------------


def _default_inputs(blueprint: Mapping[Any, Any]) -> dict[Any, Any]:
    """The defaults of a blueprint's inputs, those inside sections too."""
    head = blueprint.get("blueprint")
    inputs = head.get("input") if isinstance(head, Mapping) else None
    defaults: dict[Any, Any] = {}
    for name, described in inputs.items() if isinstance(inputs, Mapping) else ():
        section = described.get("input") if isinstance(described, Mapping) else None
        for key, inner in section.items() if isinstance(section, Mapping) else [(name, described)]:
            if isinstance(inner, Mapping) and "default" in inner:
                defaults[key] = inner["default"]
    return defaults


class _Substitution:
    """Puts values in the place of each ``!input``; it counts them, for an input may be large and stand often."""

    def __init__(self, inputs: Mapping[Any, Any]) -> None:
        self._inputs = inputs
        self._sizes = {name: _size(value) for name, value in inputs.items()}
        self._values = 0

    def of(self, value: Any) -> Any:
        """``value`` with its inputs. Raises KeyError where an input has no value."""
        self._values += 1
        if isinstance(value, TaggedScalar) and value.tag == "!input":
            if value.value not in self._inputs:
                raise KeyError(f"input {ascii(value.value)[1:-1][:80]} has no value")
            self._values += self._sizes[value.value]
            if self._values > MAX_BLUEPRINT_VALUES:
                raise _UnreadableError(
                    "broken blueprint", f"more than {MAX_BLUEPRINT_VALUES:,} values, inputs written out"
                )
            return self._inputs[value.value]
        if isinstance(value, list):
            return [self.of(item) for item in value]
        if isinstance(value, dict):
            return {key: self.of(inner) for key, inner in value.items()}
        return value


def _input(name: str) -> TaggedScalar:
    return TaggedScalar("!input", name)


# What the blueprints do that Home Assistant writes into a folder at its first start. A folder may lack them.
SHIPPED_BLUEPRINTS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("automation", "homeassistant/motion_light.yaml"): {
        "blueprint": {"domain": "automation", "input": {"no_motion_wait": {"default": 120}}},
        "mode": "restart",
        "max_exceeded": "silent",
        "triggers": {"trigger": "state", "entity_id": _input("motion_entity"), "from": "off", "to": "on"},
        "actions": [
            {"action": "light.turn_on", "target": _input("light_target")},
            {
                "wait_for_trigger": {
                    "trigger": "state",
                    "entity_id": _input("motion_entity"),
                    "from": "on",
                    "to": "off",
                }
            },
            {"delay": _input("no_motion_wait")},
            {"action": "light.turn_off", "target": _input("light_target")},
        ],
    },
    ("automation", "homeassistant/notify_leaving_zone.yaml"): {
        "blueprint": {"domain": "automation", "input": {}},
        "triggers": {"trigger": "state", "entity_id": _input("person_entity")},
        "conditions": {"condition": "zone", "entity_id": _input("person_entity"), "zone": _input("zone_entity")},
        "actions": [{"domain": "mobile_app", "type": "notify", "device_id": _input("notify_device")}],
    },
    ("script", "homeassistant/confirmable_notification.yaml"): {
        "blueprint": {
            "domain": "script",
            "input": {"confirm_action": {"default": []}, "dismiss_action": {"default": []}},
        },
        "mode": "restart",
        "sequence": [
            {"domain": "mobile_app", "type": "notify", "device_id": _input("notify_device")},
            {"wait_for_trigger": [{"trigger": "event", "event_type": "mobile_app_notification_action"}]},
            {
                "choose": [
                    {"conditions": [], "sequence": _input("confirm_action")},
                    {"conditions": [], "sequence": _input("dismiss_action")},
                ]
            },
        ],
    },
}
