"""Pairs for a home whose synergies nobody has collected yet: common pairings, same area first."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from data_sources.records import Entity, Synergy
from home_assistant.domains import PRESENCE_DOMAINS, SENSOR_DOMAINS

MAX_PAIRS = 100
SYNERGY_TYPE = "generated"
SAME_AREA, ELSEWHERE = 0.1, 0.0  # added to a rule's confidence, 0.6 to 0.7, so that all are 0.6 to 0.8

# (what triggers, what acts, confidence): a name is a device_class of a sensor, or a domain.
RULES: tuple[tuple[str, str, float], ...] = (
    ("motion", "light", 0.70),
    ("occupancy", "light", 0.70),
    ("door", "light", 0.65),
    ("door", "lock", 0.65),
    ("temperature", "climate", 0.65),
    ("temperature", "fan", 0.60),
    ("window", "climate", 0.65),
    ("motion", "climate", 0.60),
    ("humidity", "fan", 0.65),
    ("presence", "light", 0.60),
    ("presence", "climate", 0.60),
    ("light", "media_player", 0.60),
    ("light", "switch", 0.60),
)
# A sensor of the class "light" or "lock" tells of light or a lock; it is none.
_SENSED = frozenset(trigger for trigger, _, _ in RULES) - {"light"}


def generate_pairs(entities: Sequence[Entity], limit: int = MAX_PAIRS) -> tuple[Synergy, ...]:
    """At most ``limit`` pairs by ``RULES``, those of one area first, then by confidence, sorted by ids.

    Without an area in common a trigger takes the first entity only, so that many rooms are not all guesses. Of one
    area it takes ``limit`` at most, for no more could be among the best.
    """
    groups: dict[str, list[Entity]] = defaultdict(list)
    for entity in sorted(entities, key=lambda e: e.entity_id):
        for group in _groups(entity):
            groups[group].append(entity)
    found: dict[tuple[str, str], tuple[bool, float]] = {}
    for trigger_group, action_group, confidence in RULES:
        by_area: dict[str | None, list[Entity]] = defaultdict(list)
        for action in groups[action_group]:
            by_area[action.area_id].append(action)
        for trigger in groups[trigger_group]:
            near = by_area[trigger.area_id][:limit] if trigger.area_id is not None else []
            anywhere = groups[action_group][:1] if not near else []
            for action in (*near, *anywhere):
                pair = (trigger.entity_id, action.entity_id)
                if pair[0] != pair[1]:
                    found.setdefault(pair, (bool(near), confidence + (SAME_AREA if near else ELSEWHERE)))
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
    if entity.domain in PRESENCE_DOMAINS:
        return ("presence",)
    if entity.domain not in SENSOR_DOMAINS:
        return (entity.domain,)
    # Without a device_class its name may tell, as in binary_sensor.hall_motion.
    words = {entity.device_class} if entity.device_class else set(entity.object_id.split("_"))
    return tuple(_SENSED & words)
