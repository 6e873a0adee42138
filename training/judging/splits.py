"""Assign the units of the data (homes, automations, queries, entities) to the parts of a split."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Literal

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")
HELD_OUT_SHARE = 0.15  # of the units, each for validation and for test
MIN_ENTITIES = 20  # with detected patterns; of fewer, the test part would have three at most


def assign_parts(units: Iterable[str]) -> dict[str, Part]:
    """Assign each unit to a part by the hash of its name, so that no seed moves it and new data moves few units."""
    ranked = sorted(units, key=lambda unit: hashlib.sha256(unit.encode()).digest())
    held_out = max(1, round(HELD_OUT_SHARE * len(ranked)))

    def part(place: int) -> Part:
        return "test" if place < held_out else "validation" if place < 2 * held_out else "train"

    return {unit: part(place) for place, unit in enumerate(ranked)}


UNIT_DIGITS = 8  # hex digits of the hash of a unit; two units with equal digits only lose one evaluation row
_DIGESTS = re.compile(f"(?:[0-9a-f]{{{UNIT_DIGITS}}})*")


def unit_digests(units: Iterable[str]) -> str:
    """The units that a model was trained on, for its file: the first digits of their SHA-256, sorted, in one text."""
    import numpy as np  # the --help of a comparison reads this module

    # As numbers, for a set of texts takes 20 times as much memory; 8 digits are 4 bytes.
    numbers = np.fromiter((int(_digest(unit), 16) for unit in units), dtype=np.uint32)
    return bytes(np.unique(numbers).astype(">u4").tobytes()).hex()


def read_digests(trained_on: Any) -> str:
    """A text of ``unit_digests`` from a file, where it may be damaged; "" where the file does not say.

    Raises:
        ValueError: It is something else.
    """
    if trained_on is None:
        return ""
    if not isinstance(trained_on, str) or not _DIGESTS.fullmatch(trained_on):
        raise ValueError(f"trained_on is no text of {UNIT_DIGITS} hex digits for each unit")
    return trained_on


def joined_digests(*trained_on: str) -> str:
    """The units of several texts of ``unit_digests`` as one: what a model saw, and what it started from."""
    import numpy as np

    numbers = np.frombuffer(bytes.fromhex("".join(trained_on)), dtype=">u4")
    return bytes(np.unique(numbers).astype(">u4").tobytes()).hex()


def unseen_units(units: Iterable[str], *trained_on: str) -> set[str]:
    """The units that are in none of the texts of ``unit_digests``."""
    seen = digests_of(*trained_on)
    return {unit for unit in units if _digest(unit) not in seen}


def digests_of(*trained_on: str) -> frozenset[str]:
    """The digests in texts of ``unit_digests``."""
    return frozenset(text[i : i + UNIT_DIGITS] for text in trained_on for i in range(0, len(text), UNIT_DIGITS))


def seen_among(units: Iterable[str], digests: frozenset[str]) -> int:
    """How many of the units are among ``digests_of``."""
    return sum(_digest(unit) in digests for unit in units)


def _digest(unit: str) -> str:
    return hashlib.sha256(unit.encode()).hexdigest()[:UNIT_DIGITS]


def count_parts(part_of: Mapping[str, Part]) -> dict[Part, int]:
    """The number of units in each part."""
    counts = Counter(part_of.values())
    return {part: counts[part] for part in PARTS}
