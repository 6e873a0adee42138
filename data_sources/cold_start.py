"""Pairs made up by rules for a home whose synergies are not known yet: common pairings, same area first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from data_sources.records import Entity, Synergy
from home_assistant.domains import DOMAINS, PRESENCE_DOMAINS, SENSOR_DOMAINS

MAX_PAIRS = 100
SYNERGY_TYPE = "generated"
SAME_AREA, ELSEWHERE = 0.1, 0.0  # added to a rule's confidence, 0.6 to 0.7, so that all are 0.6 to 0.8


class Rule(NamedTuple):
    """A common pairing. ``trigger`` is a device class of sensors, ``presence`` or a domain; ``action`` is a domain."""

    trigger: str
    action: str
    confidence: float


RULES = (
    Rule("motion", "light", 0.70),
    Rule("occupancy", "light", 0.70),
    Rule("door", "light", 0.65),
    Rule("door", "lock", 0.65),
    Rule("temperature", "climate", 0.65),
    Rule("temperature", "fan", 0.60),
    Rule("window", "climate", 0.65),
    Rule("motion", "climate", 0.60),
    Rule("humidity", "fan", 0.65),
    Rule("presence", "light", 0.60),
    Rule("presence", "climate", 0.60),
    Rule("light", "media_player", 0.60),
    Rule("light", "switch", 0.60),
)
# Not "light": there it is the domain, and a sensor of the device class light is no light.
_SENSED = frozenset(rule.trigger for rule in RULES) - DOMAINS


def generate_pairs(entities: Sequence[Entity], limit: int = MAX_PAIRS) -> tuple[Synergy, ...]:
    """At most ``limit`` pairs by ``RULES``, sorted by id. Pairs of one area are preferred, then the most confident.

    A trigger is paired with every fitting entity of its area. Without any it is paired with the first fitting entity of
    the home alone, so that a home without areas does not become a guess for every pair of rooms.
    """
    groups: dict[str, list[Entity]] = defaultdict(list)
    for entity in sorted(entities, key=lambda e: e.entity_id):
        for group in _groups(entity):
            groups[group].append(entity)
    found: dict[tuple[str, str], tuple[bool, float]] = {}
    for rule in RULES:
        by_area: dict[str | None, list[Entity]] = defaultdict(list)
        for action in groups[rule.action]:
            by_area[action.area_id].append(action)
        for trigger in groups[rule.trigger]:
            near = by_area[trigger.area_id][:limit] if trigger.area_id is not None else []  # no more could be chosen
            anywhere = groups[rule.action][:1] if not near else []
            for action in (*near, *anywhere):
                pair = (trigger.entity_id, action.entity_id)
                if pair[0] != pair[1]:
                    found.setdefault(pair, (bool(near), rule.confidence + (SAME_AREA if near else ELSEWHERE)))
    best = sorted(found, key=lambda pair: (not found[pair][0], -found[pair][1], pair))[:limit]
    return tuple(
        Synergy.model_construct(
            trigger=trigger,
            action=action,
            confidence=round(found[trigger, action][1], 2),
            synergy_type=SYNERGY_TYPE,
            relationship_type=None,
            direction=None,
            automation_id=None,
            rows=1,
        )
        for trigger, action in sorted(best)
    )


def _groups(entity: Entity) -> tuple[str, ...]:
    """What an entity can be in a rule: ``presence``, what a sensor senses, or its domain."""
    if entity.domain in PRESENCE_DOMAINS:
        return ("presence",)
    if entity.domain not in SENSOR_DOMAINS:
        return (entity.domain,)
    # Without a device_class its name may tell, as in binary_sensor.hall_motion.
    words = {entity.device_class} if entity.device_class else set(entity.object_id.split("_"))
    return tuple(_SENSED & words)
