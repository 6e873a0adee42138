"""Simulated Home Assistant homes: rooms with devices, and automations that follow rooms, habits and tastes."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from simulation.catalogue import (
    ACTING_ROLES,
    BATTERY,
    CORE_ROOMS,
    DIAGNOSTIC_ROLES,
    FLOOR_HELPERS,
    FLOOR_ROOMS,
    FLOORS,
    HABITS,
    HELPERS,
    KINDS,
    LANGUAGES,
    NUMBERED,
    PARTS,
    PEOPLE,
    ROOMS,
    TASTES,
    UPSTAIRS_ROOMS,
    WORDS,
    Habit,
    Kind,
    Taste,
)

T = TypeVar("T")

LARGE = 150  # entities from which a home is a numbered building
NOISE = 0.055  # share of actions nobody could explain
NEXT_ROOM = 0.06  # motion sensors that drive the next room's light
UNASSIGNED = 0.08  # devices that were never given an area
ODD = Habit("odd", (), (), 0.0, "comfort")  # the name of such actions
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


@dataclass(eq=False)
class Place:
    """A room, the helpers of a house, or a whole house: entity ids by role."""

    kind: str = ""
    motion: float = 1.0
    roles: dict[str, list[str]] = field(default_factory=dict)

    def add(self, role: str, entity_id: str) -> None:
        """Add an entity under its role."""
        self.roles.setdefault(role, []).append(entity_id)

    def first(self, roles: Sequence[str]) -> list[str]:
        """The entities of the first of ``roles`` that there is."""
        return next((self.roles[role] for role in roles if role in self.roles), [])

    def any(self, roles: Sequence[str]) -> list[str]:
        """The entities of all ``roles``."""
        return [entity_id for role in roles for entity_id in self.roles.get(role, ())]


@dataclass(eq=False)
class House:
    """The unit that automations stay within: a house, or one floor of a large building."""

    places: list[Place] = field(default_factory=list)
    whole: Place = field(default_factory=Place)


@dataclass
class Action:
    """One pair of an automation."""

    trigger: str
    target: str
    synergy_type: str
    habit: str
    mutual: bool = False


@dataclass
class Style:
    """How the owner of a home names, places and automates."""

    language: int
    has_areas: bool
    messy: float
    short_rooms: bool
    upstairs: bool
    placed_by: str
    tastes: dict[Taste, float]

    @classmethod
    def draw(cls, rng: Random, index: int) -> Style:
        """One home in six is not English, one in ten has no areas."""
        has_areas = index % 10 != 7
        return cls(
            language=1 + index // 6 % (len(LANGUAGES) - 1) if index % 6 == 5 else 0,
            has_areas=has_areas,
            messy=rng.choice((0.03, 0.15, 0.35)) if has_areas else 0.05,
            short_rooms=rng.random() < 0.12,
            upstairs=rng.random() < 0.3,
            placed_by=rng.choice(("device", "device", "both", "entity")),
            tastes={
                taste: rng.choice((0.7, 1.0, 1.0, 1.15) if taste == "light" else (0.0, 0.6, 1.0, 1.0, 1.2))
                for taste in TASTES
            },
        )


def simulate_home(seed: int, index: int, *, entities: int | None = None, pairs: int | None = None) -> dict[str, Any]:
    """Home number ``index`` of the simulation ``seed``, in the homes format of the ``gnn_synergy`` data.

    Args:
        seed: The simulation. The same seed and index give the same home on every machine.
        index: Which home. It also decides the language and whether there are areas.
        entities: Exact number of entities; by default the home's own, 15 to 90.
        pairs: Exact number of distinct (entity_1, entity_2) pairs; by default what the owner's habits give.

    Raises:
        ValueError: The home has too few entities for so many pairs, or a number is negative.
    """
    if min(index, entities or 0, pairs or 0) < 0:
        raise ValueError("index, entities and pairs cannot be negative")
    rng = Random(f"{seed}:{index}")
    style = Style.draw(rng, index)
    count = _usual_size(rng) if entities is None else entities
    builder = _Builder(rng, style, count)
    builder.build()
    return {
        "home_id": f"home_{index:03d}",
        "areas": builder.areas,
        "devices": builder.devices,
        "entities": builder.entities,
        "synergies": _Owner(rng, style, builder.houses).synergies(pairs),
    }


def slug(text: str) -> str:
    """``text`` as Home Assistant writes it in an id: ``"Küche Tür"`` -> ``"kuche_tur"``."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode()
    return _NOT_SLUG.sub("_", plain.lower()).strip("_")


def shuffled(rng: Random, items: Sequence[T]) -> list[T]:
    """A shuffled copy, the same for the same state of ``rng`` in every Python version."""
    result = list(items)
    for i in range(len(result) - 1, 0, -1):
        j = int(rng.random() * (i + 1))
        result[i], result[j] = result[j], result[i]
    return result


def _usual_size(rng: Random) -> int:
    return 15 + int(75 * rng.random() ** 1.8)


class _Builder:
    """Furnishes rooms until the home has its number of entities."""

    def __init__(self, rng: Random, style: Style, count: int) -> None:
        self._rng = rng
        self._style = style
        self._count = count
        self._ids: Counter[str] = Counter()
        self._names: Counter[str] = Counter()
        self._models: Counter[str] = Counter()
        self.areas: list[dict[str, Any]] = []
        self.devices: list[dict[str, Any]] = []
        self.entities: list[dict[str, Any]] = []
        self.houses: list[House] = []

    def _is_full(self) -> bool:
        return len(self.entities) >= self._count

    def build(self) -> None:
        """Fill one house after another; a usual home is one."""
        while not self._is_full():
            house = House()
            self.houses.append(house)
            rooms = self._rooms(len(self.houses))
            self._add_helpers(house, len(self.houses))
            for kind, name in rooms:
                if self._is_full():
                    break
                self._furnish(house, kind, name)
            for place in house.places:
                for role, ids in place.roles.items():
                    house.whole.roles.setdefault(role, []).extend(ids)

    def _rooms(self, floor: int) -> list[tuple[str, str]]:
        rng, language = self._rng, self._style.language
        if self._count >= LARGE or floor > 1:
            names = {kind: ROOMS[kind].names[language][0] for kind in ROOMS} | {"bedroom": NUMBERED[language]}
            return [(kind, f"{names[kind]} {floor} {number}") for number, kind in enumerate(FLOOR_ROOMS, start=1)]
        others = [kind for kind in ROOMS if kind not in CORE_ROOMS]
        rooms = [(kind, rng.choice(ROOMS[kind].names[language])) for kind in shuffled(rng, CORE_ROOMS)]
        others = shuffled(rng, others)
        if self._style.upstairs:
            rooms += [(k, f"{FLOORS[language]} {ROOMS[k].names[language][0]}") for k in shuffled(rng, UPSTAIRS_ROOMS)]
            others = [kind for kind in others if kind not in UPSTAIRS_ROOMS]
        return rooms + [(kind, rng.choice(ROOMS[kind].names[language])) for kind in others]

    def _add_helpers(self, house: House, floor: int) -> None:
        place = Place("helpers")
        house.places.append(place)
        if floor == 1:
            start = self._rng.randrange(len(PEOPLE))
            for i in range(min(1 + self._rng.randrange(3), 1 + self._count // 20)):
                self._add_helper(place, "person", "person", PEOPLE[(start + i) % len(PEOPLE)])
        for role, (domain, word, chance) in HELPERS.items():
            if (floor == 1 or role in FLOOR_HELPERS) and self._rng.random() < chance:
                name = WORDS[word][self._style.language]
                self._add_helper(place, role, domain, name if floor == 1 else f"{name} {floor}")

    def _add_helper(self, place: Place, role: str, domain: str, name: str) -> None:
        if self._is_full():
            return
        entity_id = self._unique(domain, role if role == "sun" else slug(name))
        self.entities.append({"entity_id": entity_id, "name": name})
        place.add(role, entity_id)

    def _furnish(self, house: House, kind: str, name: str) -> None:
        rng = self._rng
        area_id = None
        if self._style.has_areas:
            area_id = slug(name)
            self.areas.append({"area_id": area_id, "name": name})
        place = Place(kind, ROOMS[kind].motion)
        house.places.append(place)
        room_name = name.split()[0] if self._style.short_rooms and len(name) > 12 else name
        for key, chance in ROOMS[kind].kinds.items():
            if rng.random() < chance:
                self._install(place, KINDS[key], room_name, area_id)
                if key in ("window_sensor", "blind", "bedside_lamp", "plug") and rng.random() < 0.25:
                    self._install(place, KINDS[key], room_name, area_id)

    def _install(self, place: Place, kind: Kind, room: str, area_id: str | None) -> None:
        if self._is_full():
            return
        rng, style = self._rng, self._style
        thing = WORDS[kind.word][style.language]
        model = rng.choice(kind.models)
        roll = rng.random()
        if roll < style.messy * 0.6:
            self._models[model] += 1
            name = f"{model} {self._models[model]}"
        elif roll < style.messy:
            name = thing
        elif roll > 0.96:
            name = f"{thing} {room}"
        else:
            name = f"{room} {thing}"
        name = self._numbered(name)
        id_name = f"{model} {len(self.devices)}" if rng.random() < style.messy * 0.3 else name

        if rng.random() < UNASSIGNED:
            area_id = None
        device_id = f"d{len(self.devices) + 1}"
        on_device, on_entity = style.placed_by != "entity", style.placed_by != "device"
        device: dict[str, Any] = {"device_id": device_id, "name": name}
        self.devices.append(device | ({"area_id": area_id} if area_id and on_device else {}))
        for position, role in enumerate(kind.roles):
            if self._is_full():
                return
            if role == "battery" and rng.random() >= BATTERY:
                continue
            part = PARTS[role]
            suffix = "" if kind.plain and position == 0 else f" {WORDS[part.word][style.language]}"
            entity: dict[str, Any] = {
                "entity_id": self._unique(part.domain, slug(id_name + suffix)),
                "name": name + suffix,
                "device_class": part.device_class,
                "area_id": area_id if on_entity else None,
                "device_id": device_id,
            }
            self.entities.append({k: v for k, v in entity.items() if v is not None or (k == "area_id" and on_entity)})
            place.add(role, entity["entity_id"])

    def _numbered(self, name: str) -> str:
        self._names[name] += 1
        return name if self._names[name] == 1 else self._numbered(f"{name} {self._names[name]}")

    def _unique(self, domain: str, object_id: str) -> str:
        entity_id = f"{domain}.{object_id}"
        self._ids[entity_id] += 1
        if self._ids[entity_id] == 1:
            return entity_id
        return self._unique(domain, f"{object_id}_{self._ids[entity_id]}")


class _Owner:
    """Automates a furnished home after habits and tastes."""

    def __init__(self, rng: Random, style: Style, houses: Sequence[House]) -> None:
        self._rng = rng
        self._style = style
        self._houses = houses
        self._seen: set[tuple[str, str]] = set()
        self._automations: list[list[Action]] = []

    def synergies(self, pairs: int | None) -> list[dict[str, Any]]:
        """The synergy rows, with exactly ``pairs`` distinct pairs where that is given."""
        self._automate(pairs, eager=False)
        if pairs is not None:
            if len(self._seen) < pairs:
                self._automate(pairs, eager=True)
            self._cut(pairs)
            self._invent(pairs)
        rows: list[dict[str, Any]] = []
        for number, actions in enumerate(self._automations, start=1):
            for action in actions:
                rows += self._rows(action, f"a{number}")
        return rows

    def _automate(self, pairs: int | None, *, eager: bool) -> None:
        houses = self._houses if pairs is None else shuffled(self._rng, self._houses)
        for house in houses:
            for i, place in enumerate(house.places):
                # Helpers come first in a house; the next room is the one furnished after this one.
                neighbour = house.places[max(1, (i + 1) % len(house.places)) if len(house.places) > 1 else 0]
                for habit in HABITS:
                    for actions in self._habit(habit, place, house, neighbour, eager):
                        self._automations.append(actions)

    def _habit(self, habit: Habit, place: Place, house: House, neighbour: Place, eager: bool) -> Iterator[list[Action]]:
        rng = self._rng
        if habit.rooms and place.kind not in habit.rooms:
            return
        chance = habit.chance * self._style.tastes[habit.taste] * (place.motion if "motion" in habit.triggers else 1.0)
        for trigger in place.any(habit.triggers):
            if rng.random() >= (0.9 if eager else chance):
                continue
            near = neighbour if habit.name == "motion_light" and rng.random() < NEXT_ROOM else place
            pool = house.whole if habit.scope == "house" else near
            targets = shuffled(rng, pool.first(habit.actions))[: 1 + rng.randrange(habit.most)]
            conditions = [trigger]
            if habit.condition and rng.random() < 0.3:
                asked = place.first((habit.condition,)) or house.whole.first((habit.condition,))
                conditions += asked[:1]
            actions = [
                action
                for source in conditions
                for target in targets
                if (action := self._action(source, target, source == trigger, habit, house)) is not None
            ]
            if actions:
                yield actions

    def _action(self, source: str, target: str, is_trigger: bool, habit: Habit, house: House) -> Action | None:
        if is_trigger and self._rng.random() < NOISE:
            target = self._rng.choice(house.whole.any(ACTING_ROLES))
            habit = ODD
        pair = (source, target)
        if source == target or pair in self._seen or (target, source) in self._seen:
            return None
        self._seen.add(pair)
        kind = "co_activation" if habit.mutual else "trigger_action" if is_trigger else "condition_action"
        return Action(source, target, kind, habit.name, habit.mutual)

    def _cut(self, pairs: int) -> None:
        """Keep whole automations, in random order, as long as they fit into ``pairs``; the last one may lose some."""
        kept: list[list[Action]] = []
        left = pairs
        for actions in shuffled(self._rng, self._automations):
            if left > 0:
                kept.append(actions[:left])
                left -= len(kept[-1])
        self._automations = kept
        self._seen = {(action.trigger, action.target) for actions in kept for action in actions}

    def _invent(self, pairs: int) -> None:
        """Add pairs no habit explains until there are ``pairs``."""
        left = pairs - len(self._seen)
        if left <= 0:
            return
        free = (
            (source, target)
            for house in self._houses
            for source in house.whole.any([role for role in house.whole.roles if role not in DIAGNOSTIC_ROLES])
            for target in house.whole.any(ACTING_ROLES)
            if source != target
        )
        for pair in free:
            if pair in self._seen or pair[::-1] in self._seen:
                continue
            self._seen.add(pair)
            self._automations.append([Action(*pair, "trigger_action", ODD.name)])
            left -= 1
            if not left:
                return
        raise ValueError(f"the home has entities for {pairs - left} distinct pairs only, not for {pairs}")

    def _rows(self, action: Action, automation_id: str) -> Iterator[dict[str, Any]]:
        rng = self._rng
        base = 0.55 if action.habit == ODD.name else 0.72
        for _ in range(rng.choice((1,) * 17 + (2, 2, 3))):
            confidence = min(1.0, max(0.5, base + 0.28 * rng.random() + 0.1 * (rng.random() - 0.5)))
            yield {
                "entity_1": action.trigger,
                "entity_2": action.target,
                "synergy_type": action.synergy_type,
                "confidence": round(confidence, 2),
                "relationship": {
                    "type": action.habit,
                    "strength": round(0.3 + 0.7 * rng.random(), 2),
                    "direction": "bidirectional" if action.mutual else "unidirectional",
                },
                "automation_id": automation_id,
            }
