"""Find units that are one under several names, such as two exports of one home, by the elements they share."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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


def listed(texts: Sequence[str], shown: int = 3) -> str:
    """The first ``shown`` texts, and how many more there are."""
    more = len(texts) - shown
    return ", ".join(texts[:shown]) + (f" and {more} more" if more > 0 else "")


def find_same_units(
    elements: Mapping[str, frozenset[str]], share: float, are_one: Callable[[str, str], bool | None]
) -> SameUnits:
    """Compare units that may share most of their elements. Time and memory are linear in the elements.

    Args:
        elements: Unit -> its elements.
        share: The Jaccard index of the elements from which two units are compared.
        are_one: Whether two units are one; None if they may be.
    """
    frequency = Counter(element for own in elements.values() for element in own)
    having: dict[str, list[str]] = defaultdict(list)  # an element that is rare in a unit -> the units
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
        rare = heapq.nsmallest(len(own) - math.ceil(share * len(own)) + 1, own, key=lambda one: (frequency[one], one))
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
