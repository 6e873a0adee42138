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


UNIT_DIGITS = 8  # of the hash that stands for a unit; a chance match costs one evaluation row


def unit_digests(units: Iterable[str]) -> str:
    """What a model was trained on, for its file: the first digits of each unit's SHA-256, sorted, in one text."""
    return "".join(sorted({_digest(unit) for unit in units}))


def unseen_units(units: Iterable[str], *trained_on: str) -> set[str]:
    """Those of ``units`` that are in none of the texts that ``unit_digests`` gave."""
    seen = {text[i : i + UNIT_DIGITS] for text in trained_on for i in range(0, len(text), UNIT_DIGITS)}
    return {unit for unit in units if _digest(unit) not in seen}


def _digest(unit: str) -> str:
    return hashlib.sha256(unit.encode()).hexdigest()[:UNIT_DIGITS]


def count_parts(part_of: Mapping[str, Part]) -> dict[Part, int]:
    """Number of units in each part."""
    counts = Counter(part_of.values())
    return {part: counts[part] for part in PARTS}
