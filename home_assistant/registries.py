"""Home Assistant's registries: the files in ``.storage``, and what they say of each entity once they are joined.

Home Assistant rewrites each file as its newest version spells it when it starts. The files of a home may be older, so
what those migrations do to the keys that are read here is done here too. Every version since 2019 is read; the newest
one that was seen is that of 2026.11.0.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from home_assistant.entity_id import (
    LOOSE_PATTERN,
    MAX_LENGTH,
    domain_of,
    is_entity_id,
    listed_ids,
    normalized_entity_id,
)
from home_assistant.installation import Installation

STORAGE = ".storage"
MAX_BYTES = 256 * 2**20  # of one file; a registry of 10,000 entities has 10 MB


_ONE_LINE = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029]*")
_SURROGATE = re.compile("[\ud800-\udfff]")
_CLASS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_ -]*")
_LOOSE = re.compile(LOOSE_PATTERN)
_BEGUN = re.compile(r"[\w.+\-\\]*\s*")  # a number, true, an escape: whatever may be the first half of something


class RegistryError(ValueError):
    """A file of ``.storage`` cannot be read. The message is one line: what it is, and what to do."""


class NewerVersionError(RegistryError):
    """A file is of a version whose keys nobody here has seen."""


class Registry(NamedTuple):
    """One file of ``.storage``.

    Attributes:
        name: The file's name, which is its ``key`` too.
        rows: The key of ``data`` that holds its rows, and the attribute of ``Installation`` that they go to.
        row_id: What identifies a row.
        major: The newest major version that is known.
    """

    name: str
    rows: str
    row_id: str
    major: int = 1


REGISTRIES = (
    Registry("core.area_registry", "areas", "area_id"),
    Registry("core.floor_registry", "floors", "floor_id"),
    Registry("core.label_registry", "labels", "label_id"),
    Registry("core.device_registry", "devices", "id", major=3),
    Registry("core.entity_registry", "entities", "entity_id"),
)
REGISTRY_OF = {registry.name: registry for registry in REGISTRIES}
RESTORE_STATE = "core.restore_state"
_NEEDED = ("core.device_registry", "core.entity_registry")  # every home has them; a home without areas lacks the rest


class Stored(NamedTuple):
    """What a file of ``.storage`` holds."""

    key: str
    major: int
    minor: int
    data: Any


# -- Files -------------------------------------------------------------------------------------------------------------


def read_registries(storage: Path, installation: Installation) -> None:
    """Read the registries of a ``.storage`` folder into an installation.

    A file that is missing, broken or a link that leads out of the configuration is noted, and the others are read.

    Raises:
        NewerVersionError: A registry is of a newer major version than those that are known.
    """
    minors = {}
    for registry in REGISTRIES:
        stored = _noted(storage, registry.name, installation)
        if stored is not None:
            minors[registry.name] = add_stored(installation, registry, stored, registry.name)
        elif registry.name in _NEEDED and not os.path.lexists(storage / registry.name):
            installation.problems["missing file"] += 1
            installation.notes.append(f"{registry.name}: is missing, so its {registry.rows} are not known")
    migrate(installation, minors.get("core.entity_registry"))


def read_restored(storage: Path, installation: Installation, only: Container[str] | None = None) -> None:
    """Add the last states that Home Assistant saved itself, where no state is known and the entity is in ``only``."""
    stored = _noted(storage, RESTORE_STATE, installation)
    found = Installation()
    for state in saved_states(stored._asdict()) if stored is not None else ():
        add_state(found, state)
    installation.problems.update(found.problems)
    installation.turned_off |= found.turned_off
    for entity_id, attributes in found.states.items():
        if entity_id not in installation.states and (only is None or entity_id in only):
            installation.states[entity_id] = attributes


def saved_states(restored: Mapping[str, Any]) -> Iterator[Any]:
    """The states in a file of ``core.restore_state``."""
    rows = restored["data"]
    for row in rows if isinstance(rows, list) else ():
        yield row.get("state") if isinstance(row, dict) else None


def _noted(storage: Path, name: str, installation: Installation) -> Stored | None:
    try:
        return read_stored(storage / name, storage.parent)
    except FileNotFoundError:
        if (storage / name).is_symlink():
            note_broken(installation, name, "is a link to a file that is missing")
    except RegistryError as error:
        note_broken(installation, name, error)
    return None


def note_broken(installation: Installation, name: str, why: object) -> None:
    """Count and name a file that could not be read."""
    installation.problems["unreadable file"] += 1
    installation.notes.append(f"{name}: {why}")
    installation.unread.append(f"{name}: {why}")


def read_stored(path: Path, inside: Path) -> Stored:
    """A file of ``.storage``.

    Raises:
        FileNotFoundError: There is none.
        RegistryError: It cannot be read, or it is a link that leads out of the folder ``inside``.
    """
    try:
        return parse_stored(read_bytes(path, inside))
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RegistryError(f"cannot be opened ({error.strerror or error})") from error


def read_bytes(path: Path, inside: Path) -> bytes:
    """The content of a file. Raises OSError, or RegistryError where it is too large or no file of the folder."""
    real = path.resolve(strict=True)
    if not real.is_relative_to(inside.resolve()):
        raise RegistryError("is a link that leads out of the folder; it is not followed")
    if not real.is_file():
        raise RegistryError("is no file")
    if real.stat().st_size > MAX_BYTES:
        raise RegistryError(f"is larger than {MAX_BYTES // 2**20} MB; it is not read")
    return real.read_bytes()


def parse_stored(content: bytes) -> Stored:
    """The content of a file of ``.storage``. Raises RegistryError."""
    return stored_of(parse_json(content))


def stored_of(value: Any) -> Stored:
    """A JSON value as a file of ``.storage``. Raises RegistryError where it is none."""
    data = value.get("data") if isinstance(value, dict) else None
    if not isinstance(value, dict) or "data" not in value:
        raise RegistryError("is JSON, but no file of Home Assistant's .storage: it has no `data`")
    major, minor = value.get("version", 1), value.get("minor_version", 1)
    if not all(isinstance(number, int) and not isinstance(number, bool) for number in (major, minor)):
        raise RegistryError(f"its version is {str(major)!a:.20}.{str(minor)!a:.20}, expected whole numbers")
    return Stored(str(value.get("key", "")), major, minor, data)


def parse_json(content: bytes) -> Any:
    """A JSON value of Home Assistant's. Raises RegistryError that says why the bytes are none."""
    if content.startswith(b"\0GITCRYPT"):
        raise RegistryError("is encrypted by git-crypt; unlock the repository and read it again")
    if content.startswith(b"version https://git-lfs.github.com"):
        raise RegistryError("is a pointer of git-lfs and not the file; run `git lfs pull`")
    if not content.strip(b"\0 \t\r\n"):
        what = "holds NUL bytes only, as a file does after a power cut" if content.strip() else "is empty"
        raise RegistryError(f"{what}; restore it from a backup")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RegistryError(f"is not UTF-8 text (byte 0x{content[error.start]:02x} at {error.start})") from error
    try:
        return json.loads(text)
    except RecursionError as error:
        raise RegistryError("is nested too deep") from error
    except json.JSONDecodeError as error:
        at = f"line {error.lineno} column {error.colno}"
        if "\0" in text:
            raise RegistryError(f"holds NUL bytes, as a file does after a power cut ({at})") from error
        if error.msg != "Extra data" and (_BEGUN.fullmatch(text, error.pos) or "Unterminated" in error.msg):
            raise RegistryError(f"is cut off at {at}; restore it from a backup") from error
        raise RegistryError(f"is not JSON ({error.msg}, {at})") from error
    except ValueError as error:  # a number of thousands of digits
        raise RegistryError(f"is not usable JSON ({str(error)[:80]})") from error


def add_stored(installation: Installation, registry: Registry, stored: Stored, where: str) -> int:
    """Add the rows of a registry file; what is no row is counted. Call ``migrate`` when all files are added.

    Returns:
        The minor version.

    Raises:
        NewerVersionError: Its major version is newer than those that are known.
    """
    if stored.key not in ("", registry.name):
        note_broken(installation, where, f"holds {stored.key!a:.60} and not {registry.name}")
        return stored.minor
    if stored.major > registry.major:
        known = "version 1 is" if registry.major == 1 else f"versions 1 to {registry.major} are"
        raise NewerVersionError(
            f"{where}: has version {stored.major}.{stored.minor}, and only {known} known; a newer Home Assistant "
            "wrote it, so update this program"
        )
    data = stored.data if isinstance(stored.data, dict) else {}
    add_rows(installation, registry, data.get(registry.rows), where)
    if "child_devices" in data and registry.rows == "devices":
        add_rows(installation, registry, data["child_devices"], where)
    return stored.minor


def add_rows(installation: Installation, registry: Registry, rows: Any, where: str) -> None:
    """Add rows as a registry's file or a WebSocket list has them; what is no row is counted and named."""
    if not isinstance(rows, list):
        note_broken(installation, where, f"has no list of {registry.rows}")
        return
    into: list[Mapping[str, Any]] = getattr(installation, registry.rows)
    faulty, unusable = [], []
    for number, row in enumerate(rows, start=1):
        row_id = row.get(registry.row_id) if isinstance(row, dict) else None
        if row_id is None and registry.rows == "areas" and isinstance(row, dict):
            row_id = row.get("id")  # as the file has it
        usable = _entity_id(row_id) if registry.rows == "entities" else _line(row_id)
        if usable is not None:
            into.append({**row, registry.row_id: usable})
            continue
        faulty.append(number)
        if isinstance(row_id, str) and row_id.strip():
            unusable.append(ascii(row_id) if len(row_id) < 60 else f"{row_id[:56]!a}...")
    if faulty:
        installation.problems["unusable registry row"] += len(faulty)
        more = f" and {len(faulty) - 3} more" if len(faulty) > 3 else ""
        why = f"no {registry.row_id}"
        if unusable:
            such = f"cannot be used ({unusable[0]}{', ...' if len(unusable) > 1 else ''})"
            why = f"{registry.row_id} {such}" if len(unusable) == len(faulty) else f"{why}, or one that {such}"
        installation.notes.append(f"{where}: {registry.rows} {', '.join(map(str, faulty[:3]))}{more} left out: {why}")


def add_state(installation: Installation, state: Any) -> None:
    """Add a state as Home Assistant's API and its files have it; what is none is counted."""
    entity_id = _entity_id(state.get("entity_id")) if isinstance(state, dict) else None
    attributes = state.get("attributes") if isinstance(state, dict) else None
    if entity_id is None:
        installation.problems["unusable state"] += 1
        return
    installation.states[entity_id] = attributes if isinstance(attributes, dict) else {}
    if domain_of(entity_id) == "automation" and state.get("state") == "off":
        installation.turned_off.add(entity_id)


def _line(value: Any) -> str | None:
    """A text of one line without control characters; None for any other value."""
    text = _text(value)
    return text if text is not None and _ONE_LINE.fullmatch(text) else None


def _text(value: Any) -> str | None:
    """A text with something in it that is Unicode; None for any other value."""
    return value if isinstance(value, str) and value.strip() and not _SURROGATE.search(value) else None


def _entity_id(value: Any) -> str | None:
    found = normalized_entity_id(value) if isinstance(value, str) else ""
    return found if len(found) <= MAX_LENGTH and _LOOSE.fullmatch(found) else None


# -- Older versions ----------------------------------------------------------------------------------------------------

NEWEST_NAMES = 24  # the minor version of the entity registry since which a name has no device in front


def migrate(installation: Installation, entity_minor: int | None) -> None:
    """Spell the rows of devices and entities as Home Assistant 2026.11 does.

    ``entity_minor`` is the minor version of the entity registry; None where the rows came over the API. The API says no
    version: then each row tells by its keys which one it is, and the name in an entity's state, which is read at the
    same time, is the one that is shown.
    """
    installation.devices[:] = [_newest_device(row) for row in installation.devices]
    devices = {row["id"]: row for row in installation.devices}
    states = installation.states
    installation.entities[:] = [
        _newest_entity(row, devices, entity_minor, states.get(row["entity_id"], {}).get("friendly_name"))
        for row in installation.entities
    ]


def _newest_device(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "area_id": None,
        "name": None,
        "name_by_user": None,
        "disabled_by": None,
        "labels": [],
        "parent_device_id": None,
        "via_device_id": row.get("hub_device_id"),
        **row,
    }


def _newest_entity(
    row: Mapping[str, Any], devices: Mapping[str, Mapping[str, Any]], minor: int | None, shown: Any
) -> dict[str, Any]:
    found = dict(row)
    if minor is None:
        if shown:
            return {**found, "compat_name": shown}
        if "next_name_part" in row:  # the API of 2026.11, which has taken the device out of the names already
            return {**found, "has_entity_name": True}
        minor = NEWEST_NAMES - 1
    if minor < 3 and "original_device_class" not in row:
        found["original_device_class"], found["device_class"] = row.get("device_class"), None
    elif minor < 8 and domain_of(row["entity_id"]) not in ("binary_sensor", "cover"):
        found["device_class"] = None  # a fault of the frontend wrote wrong ones
    name, device = row.get("name"), _device_name(row, devices)
    if minor == 21 and "name_v2" in row:  # this version was taken back
        if row["name_v2"] != name and device:
            found["name"] = name = f"{device} {row['name_v2']}"
        else:
            found["name"] = name = row["name_v2"]
    if minor < NEWEST_NAMES and isinstance(name, str) and name and device:
        stripped = _without_prefix(name, device) if row.get("area_id") is None else None
        found.update({"compat_name": name} if stripped is None else {"name": stripped})
    return found


# -- Names -------------------------------------------------------------------------------------------------------------


def shown_name(row: Mapping[str, Any], devices: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The name of a registry entity as Home Assistant 2026.11 shows it; None where nothing names it."""
    if isinstance(kept := row.get("compat_name"), str):
        return kept or None
    device, own = _device_name(row, devices), row.get("name")
    if not isinstance(own, str):
        own = row.get("original_name")
        own = own if isinstance(own, str) else ""
        if device and not row.get("has_entity_name"):
            stripped = _without_prefix(own, device)
            own = own if stripped is None else stripped
    return " ".join(part for part in (device, own) if part) or None


def _device_name(row: Mapping[str, Any], devices: Mapping[str, Mapping[str, Any]]) -> str | None:
    device = _row_of(row.get("device_id"), devices)
    return next((name for key in ("name_by_user", "name") if isinstance(name := device.get(key), str) and name), None)


def _row_of(row_id: Any, rows: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any]:
    return rows.get(row_id, {}) if isinstance(row_id, str) else {}


def _without_prefix(name: str, device: str) -> str | None:
    """What is left of an entity's name behind its device's; None where it does not begin with it as words do."""
    # Letters may become several when their case is folded, so the end of the prefix is looked for.
    folded = device.casefold()
    end = next((n for n in range(len(name) + 1) if len(name[:n].casefold()) >= len(folded)), None)
    if not folded or end is None or name[:end].casefold() != folded:
        return None
    rest = name[end:].lstrip(" -:")
    if not rest:
        return ""
    if len(rest) == len(name) - end:
        return None
    return rest[0].upper() + rest[1:] if rest.partition(" ")[0].islower() else rest


# -- What states tell of others ----------------------------------------------------------------------------------------

# Platform of a helper -> the attribute of its state that names the entity which it shows again.
_SOURCE_IN_STATE = {
    "derivative": "source",
    "filter": "entity_id",
    "integration": "source",
    "threshold": "entity_id",
    "trend": "entity_id",
    "utility_meter": "source",
}
_LISTS_OTHERS = frozenset(("automation", "script"))  # their states may list entities that are no members


def add_told_by_states(installation: Installation) -> None:
    """Add the scenes, groups and mirrors that states and the registry's options tell of, where no file has told."""
    rows = {row["entity_id"]: row for row in installation.entities}
    for entity_id, attributes in installation.states.items():
        told = attributes.get("entity_id")
        members = tuple(filter(is_entity_id, listed_ids(told))) if isinstance(told, list) else ()
        if members and domain_of(entity_id) not in _LISTS_OTHERS:
            into = installation.scenes if domain_of(entity_id) == "scene" else installation.groups
            into.setdefault(entity_id, members)
        row = rows.get(entity_id, {})
        options = row.get("options")
        wrapped = options.get("switch_as_x") if isinstance(options, dict) else None
        source = wrapped.get("entity_id") if isinstance(wrapped, dict) else None
        if source is None and row.get("platform") in _SOURCE_IN_STATE:
            source = attributes.get(_SOURCE_IN_STATE[row["platform"]])
        if isinstance(source, str) and is_entity_id(source) and source != entity_id:
            installation.mirrors.setdefault(entity_id, (source,))


# -- Joined ------------------------------------------------------------------------------------------------------------

# What an action may ask of an entity, and what a trigger may wait for: the capability attributes of Home Assistant
# 2026.11's platforms, with their older spellings. The registry holds them; the recorder leaves them out of states.
_NUMBER = ("min", "max", "step", "mode")
_TEXT = ("min", "max", "pattern", "mode")
_TEMPERATURES = ("min_temp", "max_temp", "target_temp_step")
_HUMIDITIES = ("min_humidity", "max_humidity", "target_humidity_step")
CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "climate": (
        *("hvac_modes", "fan_modes", "preset_modes", "swing_modes", "swing_horizontal_modes"),
        *(*_TEMPERATURES, *_HUMIDITIES),
    ),
    "cover": ("supported_speeds",),
    "event": ("event_types",),
    "fan": ("preset_modes", "speed_list"),
    "humidifier": ("available_modes", *_HUMIDITIES),
    "input_datetime": ("has_date", "has_time"),
    "input_number": _NUMBER,
    "input_select": ("options",),
    "input_text": _TEXT,
    "light": (
        *("supported_color_modes", "min_color_temp_kelvin", "max_color_temp_kelvin", "min_mireds", "max_mireds"),
        "effect_list",
    ),
    "media_player": ("source_list", "sound_mode_list"),
    "number": _NUMBER,
    "select": ("options",),
    "sensor": ("options",),
    "siren": ("available_tones",),
    "text": _TEXT,
    "vacuum": ("fan_speed_list",),
    "water_heater": ("operation_list", *_TEMPERATURES),
}
# Those that only states have, and the recorder keeps. None of them changes while Home Assistant runs.
_CODE = ("code_format", "code_arm_required")
RECORDED_CAPABILITIES: Mapping[str, tuple[str, ...]] = {
    "alarm_control_panel": _CODE,
    "counter": ("minimum", "maximum", "step"),
    "fan": ("percentage_step",),
    "input_select": ("options",),
    "lock": _CODE,
    "remote": ("activity_list",),
}
# The domains that say 0 where an entity can do nothing beside the usual; of others 0 means that nobody says anything.
_WITH_FEATURES = frozenset(
    "ai_task alarm_control_panel assist_satellite camera climate conversation cover fan humidifier lawn_mower light "
    "lock media_player notify remote siren update vacuum valve water_heater".split()
)


def area_rows(installation: Installation) -> Iterator[dict[str, Any]]:
    """Each area of a home: ``area_id``, ``name`` and ``floor_id``."""
    for row in installation.areas:
        yield {"area_id": row["area_id"], "name": _text(row.get("name")), "floor_id": _line(row.get("floor_id"))}


def entity_rows(installation: Installation) -> Iterator[dict[str, Any]]:
    """Each entity of a home once, sorted by id: its registry's row joined with device, area, labels and newest state.

    Disabled ones are marked. Keys are those of the homes format: ``entity_id``, ``name``, ``device_class``,
    ``area_id``, ``device_id``, ``disabled``, ``hidden``, ``entity_category``, ``labels``, ``platform``,
    ``supported_features``, ``capabilities`` and ``mirrors``. What an entity has not is left out.

    The recorder leaves ``supported_features`` and most capabilities out of states. So that folder and API give the same
    of one home, they are taken from the registry; from states only where there is no registry.
    """
    devices = {row["id"]: row for row in installation.devices}
    areas = {row["area_id"]: row for row in installation.areas}
    registered = {row["entity_id"]: row for row in installation.entities}
    states_alone = not registered
    for entity_id in sorted({*registered, *installation.states}):
        row, state = registered.get(entity_id, {}), installation.states.get(entity_id, {})
        given = installation.customized.get(entity_id, {})
        domain = domain_of(entity_id)
        device = _row_of(row.get("device_id"), devices)
        area_id = _line(row.get("area_id")) or _line(device.get("area_id"))
        if area_id is None:  # a part of another device is where that one is
            area_id = _line(_row_of(device.get("parent_device_id"), devices).get("area_id"))
        found = {
            "entity_id": entity_id,
            "name": _text(given.get("friendly_name"))
            or _text(shown_name(row, devices) if row else None)
            or _text(state.get("friendly_name")),
            "device_class": _device_class(given, row, state),
            "area_id": area_id,
            "device_id": _line(row.get("device_id")),
            "disabled": row.get("disabled_by") is not None or device.get("disabled_by") is not None,
            "hidden": row.get("hidden_by") is not None or given.get("hidden") is True,
            "entity_category": row.get("entity_category"),
            "labels": sorted({*_labels(row), *_labels(device), *_labels(_row_of(area_id, areas))}),
            "platform": _line(row.get("platform")),
            "supported_features": _features(
                domain, row.get("supported_features"), state.get("supported_features") if row or states_alone else None
            ),
            "capabilities": _capabilities(domain, row.get("capabilities"), state, states_alone),
            "mirrors": installation.mirrors.get(entity_id)
            or installation.groups.get(entity_id)
            or (_members(state) if domain != "scene" else ()),
        }
        yield {key: value for key, value in found.items() if value is not None and value not in ("", [], {}, ())}


def _labels(row: Mapping[str, Any]) -> Sequence[str]:
    labels = row.get("labels")
    return [label for label in labels if _line(label)] if isinstance(labels, list) else []


def _device_class(given: Mapping[Any, Any], row: Mapping[str, Any], state: Mapping[str, Any]) -> str | None:
    found = (given.get("device_class"), row.get("device_class"), row.get("original_device_class"))
    classes = (value for value in (*found, state.get("device_class")) if isinstance(value, str))
    return next((value for value in classes if _CLASS.fullmatch(value)), None)


def _members(state: Mapping[str, Any]) -> tuple[str, ...]:
    """The entities that the state of a group names."""
    ids = state.get("entity_id")
    return tuple(map(normalized_entity_id, filter(is_entity_id, map(str, ids)))) if isinstance(ids, list) else ()


def _features(domain: str, registered: Any, shown: Any) -> Any:
    features = shown if registered is None else registered
    return None if features == 0 and domain not in _WITH_FEATURES else features


def _capabilities(domain: str, registered: Any, state: Mapping[str, Any], states_alone: bool) -> dict[str, Any]:
    own = registered if isinstance(registered, dict) else {}
    of_state = RECORDED_CAPABILITIES.get(domain, ()) + (CAPABILITIES.get(domain, ()) if states_alone else ())
    found = {key: own.get(key) for key in CAPABILITIES.get(domain, ())}
    found |= {key: state.get(key) for key in of_state if found.get(key) is None}
    return {key: value for key, value in found.items() if value is not None}


def home_id_of(installation: Installation) -> str | None:
    """An id that stays with the home and tells nobody whose it is; None without a registry of entities.

    It is made from the random id of the entity that was registered first. Files and the API have it both, and it lasts
    until a person removes that entity.
    """
    ids = [(_time_of(row.get("created_at")), str(row.get("id") or "")) for row in installation.entities]
    known = [(time, own_id) for time, own_id in ids if own_id]
    return f"home-{hashlib.sha256(min(known)[1].encode()).hexdigest()[:8]}" if known else None


def _time_of(created: Any) -> float:
    """Seconds since 1970; 0 where a version before 2024.8 wrote none, as Home Assistant fills it in."""
    if isinstance(created, int | float):
        return float(created)
    try:
        return datetime.fromisoformat(str(created)).timestamp()
    except ValueError:
        return 0.0
