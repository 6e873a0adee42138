"""What one Home Assistant says of itself, whichever way it was asked: from its configuration folder or over its API."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SUGGESTIONS_FILE = "home_synergy_suggestions.yaml"  # what `suggest --install` writes into a configuration folder
DESCRIBED_AS = "Suggested with a score of "  # how the description of a suggestion begins
_SUGGESTION_ID = re.compile(r"suggested_[0-9a-f]{12}")


@dataclass(frozen=True)
class ConfiguredAutomation:
    """One automation as it runs: its blueprint substituted, its includes read.

    Attributes:
        config: The automation, in the keys that it was written in.
        where: Its place for a person, such as ``automations.yaml: automation 3``.
        entity_id: Its entity, such as ``automation.hall_light``; None where it is not known.
        enabled: False where a person turned it off, by ``initial_state`` or by disabling its entity.
        blueprint: The path of the blueprint that it was made from.
    """

    config: Mapping[Any, Any]
    where: str
    entity_id: str | None = None
    enabled: bool = True
    blueprint: str | None = None

    @property
    def installed(self) -> bool:
        """Whether ``suggest --install`` put it in, so that it says nothing of what the owner wants.

        The file tells: one that a person moved into a file of their own is theirs. The API tells no file; there it is
        the id together with the description, as long as nobody changed them.
        """
        file = self.where.partition(":")[0]
        if file.endswith((".yaml", ".yml")):
            return file == SUGGESTIONS_FILE
        named, told = self.config.get("id"), self.config.get("description")
        is_named = isinstance(named, str) and _SUGGESTION_ID.fullmatch(named) is not None
        return is_named and isinstance(told, str) and told.startswith(DESCRIBED_AS)


@dataclass
class Installation:
    """The raw material of one home. Rows are Home Assistant's own, keys as its newest version spells them.

    Attributes:
        version: Home Assistant's version, such as ``2026.11.0``; None where nothing says it.
        entities: Rows of the entity registry, disabled ones too.
        devices: Rows of the device registry, child devices too; the key is ``id``.
        areas: Rows of the area registry; the key is ``area_id``.
        floors: Rows of the floor registry; the key is ``floor_id``.
        labels: Rows of the label registry; the key is ``label_id``.
        states: Entity id -> attributes of its newest state. About a third of a home's entities are only here.
        automations: What the home automates already.
        scripts: Entity id -> the script, with its ``sequence``.
        scenes: Entity id -> the entities that the scene sets.
        groups: Entity id -> the members of a group of any kind (``group``, or a light or cover made of others).
        mirrors: Entity id of a template entity or another helper -> the entities that it only shows again.
        configured: Entity id -> attributes, of entities that the YAML itself names; they may or may not exist.
        customized: Entity id -> attributes that the YAML puts in the place of those that a state would have.
        recorder: The value of ``recorder: db_url:``, which a secret may stand in for; None where it is not set.
        turned_off: Entity ids of automations whose newest state is off.
        services: Domain -> name -> fields and target of each action, as the API describes them; empty for a folder.
        problems: Kind of fault -> how often; what could not be read or resolved, for the report.
        notes: One line for each part that is missing or broken: which file, what happened, what to do.
        unread: Those of the notes that are about a file which is there, or is included, and was not read.
    """

    version: str | None = None
    entities: list[Mapping[str, Any]] = field(default_factory=list)
    devices: list[Mapping[str, Any]] = field(default_factory=list)
    areas: list[Mapping[str, Any]] = field(default_factory=list)
    floors: list[Mapping[str, Any]] = field(default_factory=list)
    labels: list[Mapping[str, Any]] = field(default_factory=list)
    states: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    automations: list[ConfiguredAutomation] = field(default_factory=list)
    scripts: dict[str, Mapping[Any, Any]] = field(default_factory=dict)
    scenes: dict[str, tuple[str, ...]] = field(default_factory=dict)
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    mirrors: dict[str, tuple[str, ...]] = field(default_factory=dict)
    configured: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    customized: dict[str, Mapping[Any, Any]] = field(default_factory=dict)
    recorder: Any = None
    turned_off: set[str] = field(default_factory=set)
    services: Mapping[str, Any] = field(default_factory=dict)
    problems: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
