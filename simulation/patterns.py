"""Simulated detections of usage patterns, right and wrong ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random
from typing import Any, NamedTuple


class Detector(NamedTuple):
    """How one pattern type is detected: its share of the detections, its optimism and the half-way occurrences."""

    share: int
    optimism: float  # added to the confidence, whatever the truth
    enough: float  # occurrences at which half of the evidence there can be is there
    metrics: tuple[float, float]  # precision and recall of the detector as a whole


DETECTORS = {
    "time_of_day": Detector(5, 0.0, 12.0, (0.69, 0.74)),
    "co_occurrence": Detector(5, 0.1, 20.0, (0.6, 0.81)),
    "sequence": Detector(4, 0.04, 15.0, (0.63, 0.66)),
    "duration": Detector(2, -0.08, 10.0, (0.7, 0.58)),
    "seasonal": Detector(2, 0.12, 30.0, (0.52, 0.49)),
    "frequency": Detector(3, -0.04, 18.0, (0.66, 0.7)),
}
# Log-odds that a detection is genuine, by what is detected, for time_of_day, co_occurrence, sequence, duration,
# seasonal and frequency.
AFFINITIES = {
    "light": (1.6, 1.2, 0.8, 0.2, 0.4, 0.6),
    "switch": (1.2, 0.3, 0.2, 1.2, -1.2, 0.8),
    "climate": (1.5, -0.4, -0.8, 0.6, 2.2, -0.6),
    "cover": (2.2, 0.3, 0.2, -1.2, 1.8, 0.4),
    "media_player": (1.0, 1.2, 0.5, 1.4, -1.8, 0.8),
    "fan": (-0.6, 1.2, 1.0, 1.6, 1.2, -0.2),
    "lock": (1.0, 0.8, 1.6, -1.6, -2.0, 1.0),
    "person": (1.6, 1.0, 1.4, 0.4, -1.0, 1.0),
    "binary_sensor:motion": (0.2, 1.8, 1.6, -1.4, -2.0, 1.2),
    "binary_sensor:occupancy": (0.6, 1.6, 1.2, 1.2, -1.6, 0.8),
    "binary_sensor:door": (0.2, 0.6, 1.8, -1.0, -1.8, 1.4),
    "binary_sensor:window": (0.0, 0.4, 0.8, 1.4, 1.8, -0.2),
    "sensor:temperature": (-0.4, -1.6, -1.8, -1.2, 2.4, -2.0),
    "sensor:humidity": (-0.6, 0.4, 0.6, 0.2, 0.8, -1.6),
    "sensor:illuminance": (1.0, -1.0, -1.6, -1.8, 2.2, -1.8),
    "sensor:power": (0.6, -0.2, 0.8, 2.0, -1.4, 1.2),
    "event:button": (0.2, 1.2, 2.0, -2.4, -2.4, 1.0),
}
NONE = "none"
BASE = -0.9
SPREAD_OF_ENTITIES = 0.4  # log-odds by which entities differ for reasons that do not show
OTHER_DEVICE = 0.3  # wrong detections that are right but for the device


def simulate_patterns(seed: int, homes: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """``count`` rows of ``pattern_detection`` data over entities of ``homes``, three or more rows an entity."""
    rng = Random(f"{seed}:patterns")
    used = [(home, [e for e in home["entities"] if _affinity(e) is not None]) for home in homes]
    used = [(home, entities) for home, entities in used if entities]
    types = [name for name, detector in DETECTORS.items() for _ in range(detector.share)]
    rows: list[dict[str, Any]] = []
    while used and len(rows) < count:
        home, entities = rng.choice(used)
        entity = rng.choice(entities)
        of_entity = SPREAD_OF_ENTITIES * (2 * rng.random() - 1)
        for _ in range(3 + rng.randrange(3)):
            rows.append(_detection(rng, home["home_id"], entity, entities, rng.choice(types), of_entity))
    return rows[:count]


def _affinity(entity: dict[str, Any]) -> tuple[float, ...] | None:
    domain = str(entity["entity_id"]).partition(".")[0]
    return AFFINITIES.get(f"{domain}:{entity.get('device_class')}", AFFINITIES.get(domain))


def _detection(
    rng: Random, home_id: str, entity: dict[str, Any], others: Sequence[dict[str, Any]], pattern: str, of_entity: float
) -> dict[str, Any]:
    detector = DETECTORS[pattern]
    affinity = (_affinity(entity) or ())[list(DETECTORS).index(pattern)]
    occurrences = 2 + int(90 * rng.random() ** 2.2)
    evidence = occurrences / (occurrences + detector.enough)
    score = BASE + 2.2 * affinity + 3.6 * (evidence - 0.3) + of_entity
    genuine = rng.random() < 1 / (1 + math.exp(-score))
    # The detector sees repetition and something of the truth, and is too sure of itself.
    seen = 0.64 + 0.08 * evidence + (0.05 if genuine else 0.0) + detector.optimism
    confidence = min(0.99, max(0.3, seen + 0.34 * (rng.random() - 0.5)))

    expected_pattern, expected_device = pattern, entity["entity_id"]
    if not genuine:
        elsewhere = [e["entity_id"] for e in others if e is not entity]
        if elsewhere and rng.random() < OTHER_DEVICE:
            expected_device = rng.choice(elsewhere)
        else:
            expected_pattern = rng.choice([NONE, NONE, *(name for name in DETECTORS if name != pattern)])
    precision, recall = detector.metrics
    known: dict[str, Any] = {key: entity[key] for key in ("entity_id", "name", "device_class") if key in entity}
    return {
        "home_id": home_id,
        **known,
        "pattern_type": pattern,
        "confidence": round(confidence, 2),
        "occurrences": occurrences,
        "ground_truth": {"expected_pattern": expected_pattern, "expected_device": expected_device},
        "metrics": {
            "precision": precision,
            "recall": recall,
            "f1_score": round(2 * precision * recall / (precision + recall), 2),
        },
    }
