"""Which part a unit of the data (a home, an automation, a query) belongs to."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Literal

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
HELD_OUT_SHARE = 0.15  # of the units, for validation and for test each
MIN_ENTITIES = 20  # with detected patterns; below it a test part would be a handful of them


def assign_parts(units: Iterable[str]) -> dict[str, Part]:
    """Parts by the hash of each unit's name: no seed moves them, and more data later moves few."""
    ranked = sorted(units, key=lambda unit: hashlib.sha256(unit.encode()).digest())
    held_out = max(1, round(HELD_OUT_SHARE * len(ranked)))

    def part(place: int) -> Part:
        return "test" if place < held_out else "validation" if place < 2 * held_out else "train"

    return {unit: part(place) for place, unit in enumerate(ranked)}


def count_parts(part_of: Mapping[str, Part]) -> dict[Part, int]:
    """Number of units in each part."""
    counts = Counter(part_of.values())
    return {part: counts[part] for part in PARTS}
