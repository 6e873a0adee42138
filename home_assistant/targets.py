"""Which entities a target names: by entity, device, area, floor and label, as Home Assistant 2026.11.0 expands it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from home_assistant.entity_id import domain_of, is_entity_id, listed_ids
from home_assistant.installation import Installation

PLACE_KEYS = ("device_id", "area_id", "floor_id", "label_id")
MAX_NESTED_GROUPS = 20
_LISTS_OTHERS = frozenset(("automation", "scene", "script"))  # their `entity_id` attribute lists no members
_REGISTRY_ID = re.compile(r"[0-9a-f]{32}")


class Targets:
    """The entities of one home by every key that a target may have. What is not known there is counted by kind."""

    def __init__(self, home: Installation, problems: Counter[str]) -> None:
        self._home = home
        self._problems = problems
        self._rows: dict[str, Mapping[str, Any]] = {}
        self._by_registry_id: dict[str, str] = {}
        self._by_device: dict[str, list[str]] = defaultdict(list)
        self._by_area: dict[str, list[str]] = defaultdict(list)
        self._by_label: dict[str, list[str]] = defaultdict(list)
        for row in home.entities:
            entity_id = row.get("entity_id")
            if not isinstance(entity_id, str):
                continue
            self._rows[entity_id] = row
            if isinstance(row.get("id"), str):
                self._by_registry_id[row["id"]] = entity_id
            if row.get("disabled_by"):
                continue
            self._by_device[str(row.get("device_id"))].append(entity_id)
            self._by_area[str(row.get("area_id"))].append(entity_id)
            for label in _texts(row.get("labels")):
                self._by_label[label].append(entity_id)
        self._devices = {str(row["id"]): row for row in home.devices if row.get("id")}
        self._parts_of_device: dict[str, list[str]] = defaultdict(list)  # children, and what a device was split into
        self._devices_by_area: dict[str, list[str]] = defaultdict(list)
        self._devices_by_label: dict[str, list[str]] = defaultdict(list)
        for device_id, row in self._devices.items():
            for key in ("parent_device_id", "composite_device_id"):
                if row.get(key):
                    self._parts_of_device[str(row[key])].append(device_id)
            self._devices_by_area[str(row.get("area_id"))].append(device_id)
            for label in _texts(row.get("labels")):
                self._devices_by_label[label].append(device_id)
        self._areas = {str(row.get("area_id")): row for row in home.areas}
        self._known = {
            "area_id": set(self._areas),
            "floor_id": {str(row.get("floor_id")) for row in home.floors},
            "label_id": {str(row.get("label_id")) for row in home.labels},
        }

    def every(self, domain: str) -> Iterator[str]:
        """Every entity of a domain that is not disabled."""
        for entity_id in {**self._rows, **self._home.states}:
            if domain_of(entity_id) == domain and not self._rows.get(entity_id, {}).get("disabled_by"):
                yield entity_id

    def named(self, value: Any) -> Iterator[str]:
        """The entity ids that a value lists; ids of registry entries are resolved."""
        for text in listed_ids(value):
            if is_entity_id(text):
                yield text
            elif text in self._by_registry_id:
                yield self._by_registry_id[text]
            elif _REGISTRY_ID.fullmatch(text):
                self._problems["unknown registry id"] += 1

    def device_class(self, entity_id: str) -> str | None:
        """What kind of thing an entity is, a person's choice before the integration's; None where nothing says it."""
        row, state = self._rows.get(entity_id, {}), self._home.states.get(entity_id, {})
        found = row.get("device_class") or row.get("original_device_class") or state.get("device_class")
        return found if isinstance(found, str) else None

    def features(self, entity_id: str) -> int | None:
        """The bits of what an entity supports; None where nothing says it."""
        for source in (self._home.states.get(entity_id, {}), self._rows.get(entity_id, {})):
            found = source.get("supported_features")
            if isinstance(found, int) and not isinstance(found, bool):
                return found
        return None

    def of_device(self, device_id: Any, domain: str) -> list[str]:
        """The entities of one domain that a device and its parts have, none that configures or diagnoses."""
        return sorted(id_ for id_ in self.in_places({"device_id": device_id}) if domain_of(id_) == domain)

    def in_places(self, target: Mapping[Any, Any], *, all_categories: bool = False, hidden: bool = False) -> set[str]:
        """The entities in the devices, areas, floors and labels of a target.

        Those that configure or diagnose are left out unless ``all_categories`` or they have the label themselves;
        hidden ones are left out unless ``hidden``.
        """

        def counts(entity_id: str) -> bool:
            row = self._rows[entity_id]
            return (hidden or not row.get("hidden_by")) and (all_categories or not row.get("entity_category"))

        found: set[str] = set()
        devices = [part for device in _places(target, "device_id") for part in self._device_and_parts(device)]
        areas = [area for area in _places(target, "area_id") if self._is_known("area_id", area)]
        for label in _places(target, "label_id"):
            if self._is_known("label_id", label):
                found.update(id_ for id_ in self._by_label[label] if hidden or not self._rows[id_].get("hidden_by"))
                devices += [part for device in self._devices_by_label[label] for part in self._device_and_parts(device)]
                areas += [area for area, row in self._areas.items() if label in _texts(row.get("labels"))]
        for floor in _places(target, "floor_id"):
            if self._is_known("floor_id", floor):
                areas += [area for area, row in self._areas.items() if row.get("floor_id") == floor]
        indirect = self._in_devices(devices)
        for area in areas:
            indirect += self._by_area[area]
            for entity_id in self._in_devices(self._devices_by_area[area]):
                if not self._rows[entity_id].get("area_id"):
                    indirect.append(entity_id)
        found.update(filter(counts, indirect))
        return found

    def excluded(self, target: Mapping[Any, Any]) -> set[str]:
        """What the ``exclude`` of a target takes out: hidden and configuring entities too, groups and their members."""
        exclude = target.get("exclude")
        if not isinstance(exclude, Mapping):
            return set()
        places = self.in_places(exclude, all_categories=True, hidden=True)
        return {*places, *self.opened(self.named(exclude.get("entity_id")), mirrors=False)}

    def opened(self, ids: Iterable[str], *, mirrors: bool = True) -> dict[str, None]:
        """The entities, and the members of those that are groups; with ``mirrors`` also the entity that one repeats."""
        found: dict[str, None] = {}
        queue = [(entity_id, 0) for entity_id in ids]
        while queue:
            entity_id, depth = queue.pop(0)
            if entity_id in found:
                continue
            found[entity_id] = None
            inner = self.members(entity_id)
            if mirrors and len(self._home.mirrors.get(entity_id, ())) == 1:
                inner = (*inner, *self._home.mirrors[entity_id])
            if depth < MAX_NESTED_GROUPS:
                queue += [(member, depth + 1) for member in inner]
        return found

    def members(self, entity_id: str) -> tuple[str, ...]:
        """The members of a group; none for anything else. A group that an integration makes says them in its state."""
        found = self._home.groups.get(entity_id, ())
        told = self._home.states.get(entity_id, {}).get("entity_id")
        if not found and isinstance(told, list | tuple) and domain_of(entity_id) not in _LISTS_OTHERS:
            found = tuple(listed_ids(list(told)))
        return found

    def set_by_scene(self, entity_id: str) -> tuple[str, ...]:
        """The entities that a scene sets, which its state lists too."""
        told = self._home.states.get(entity_id, {}).get("entity_id")
        return self._home.scenes.get(entity_id, ()) or tuple(
            listed_ids(list(told) if isinstance(told, tuple) else told)
        )

    def _is_known(self, key: str, place: str) -> bool:
        if place in self._known[key]:
            return True
        self._problems[f"unknown {key.removesuffix('_id')}"] += 1
        return False

    def _device_and_parts(self, device_id: str) -> list[str]:
        if device_id not in self._devices and device_id not in self._parts_of_device:
            self._problems["unknown device"] += 1
            return []
        found = [device_id]
        for part in found:  # it grows
            found += [inner for inner in self._parts_of_device[part] if inner not in found]
        return found

    def _in_devices(self, devices: Iterable[str]) -> list[str]:
        return [entity_id for device in devices for entity_id in self._by_device[device]]


def of_specs(
    ids: Iterable[str], specs: Mapping[str, str | None], device_class: Callable[[str], str | None], *, named: bool
) -> Iterator[str]:
    """Those of ``ids`` that a trigger or condition with these domains and device classes is about.

    Where a device class is not known, an entity that was ``named`` counts and one of a place does not.
    """
    for entity_id in ids:
        domain = domain_of(entity_id)
        if domain not in specs:
            continue
        wanted, found = specs[domain], device_class(entity_id)
        if wanted is None or (found is None and named) or (found is not None and found in wanted.split()):
            yield entity_id


def _texts(value: Any) -> list[str]:
    return [item for item in value if isinstance(item, str)] if isinstance(value, list | tuple) else []


def _places(target: Mapping[Any, Any], key: str) -> list[str]:
    value = target.get(key)
    items = value if isinstance(value, list) else [value]
    return [item for item in items if isinstance(item, str) and item not in ("none", "all") and "{" not in item]
