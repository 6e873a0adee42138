"""Find units that are one under several names, such as two exports of one home, by the elements they share."""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from data_sources.counting import listed

Marks = npt.NDArray[np.uint64]
"""Marks of some texts (``marks_of``), which take a tenth of their memory."""

MAX_COMPARED = 16  # units that a unit is compared with for each rare element, so that time is linear in the units


@dataclass(frozen=True)
class SameUnits:
    """Which units are one.

    Attributes:
        first: Unit -> the alphabetically first name of what it is; its own for most.
        alike: Units that may be one, two names each.
    """

    first: dict[str, str]
    alike: tuple[tuple[str, str], ...] = ()

    @property
    def groups(self) -> list[list[str]]:
        """The names of each unit that has several, sorted."""
        found: dict[str, list[str]] = defaultdict(list)
        for name, first in sorted(self.first.items()):
            found[first].append(name)
        return [names for names in found.values() if len(names) > 1]

    def describe(self, shown: int = 3) -> str:
        """``a = b = c, d = e and 4 more``: the first ``shown`` groups, and names of each."""
        return listed([" = ".join([*g[:shown], *["..."][: len(g) > shown]]) for g in self.groups], shown)


def marks_of(texts: Iterable[str]) -> Marks:
    """The 64-bit hashes of texts, sorted, each once.

    That two of ten million texts have the same by chance happens once in 400,000 runs.
    """
    found = (hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() for text in texts)
    return np.unique(np.frombuffer(b"".join(found), dtype="<u8")).astype(np.uint64)


def count_shared(one: Marks, other: Marks) -> int:
    """How many marks two have both."""
    return len(np.intersect1d(one, other, assume_unique=True))


def find_same_units(
    elements: Mapping[str, Marks], share: float, are_one: Callable[[str, str], bool | None]
) -> SameUnits:
    """Compare units that may share most of their elements. Time and memory are about linear in the elements.

    Args:
        elements: Unit -> the marks of its elements.
        share: The Jaccard index of the elements from which two units are compared.
        are_one: Whether two units are one; None if they may be.
    """
    nothing = np.zeros(0, dtype=np.uint64)
    every, frequency = np.unique(np.concatenate([nothing, *elements.values()]), return_counts=True)
    having: dict[int, list[str]] = defaultdict(list)  # an element that is rare in a unit -> the units
    root = {name: name for name in elements}
    alike = []

    def root_of(name: str) -> str:
        while root[name] != name:
            root[name] = root[root[name]]
            name = root[name]
        return name

    for name, own in elements.items():
        # Sets with a Jaccard index of at least s share one of the |x| - ceil(s |x|) + 1 first elements of each, in any
        # order of all elements (prefix filtering; Bayardo et al., WWW 2007). Rare ones first: few units have them.
        rarest = np.lexsort((own, frequency[np.searchsorted(every, own)]))
        rare = own[rarest[: len(own) - math.ceil(share * len(own)) + 1]].tolist()
        for other in sorted({other for element in rare for other in having[element][-MAX_COMPARED:]}):
            verdict = are_one(name, other)
            if verdict:
                root[root_of(name)] = root_of(other)
            elif verdict is None:
                alike.append((other, name))
        for element in rare:
            having[element].append(name)
    members: dict[str, list[str]] = defaultdict(list)
    for name in elements:
        members[root_of(name)].append(name)
    first = {name: min(names) for names in members.values() for name in names}
    return SameUnits(first, tuple((a, b) for a, b in alike if first[a] != first[b]))
