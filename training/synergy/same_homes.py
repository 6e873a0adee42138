"""Find exports of one home under several ids, so that a home is never in two parts of a split.

Two homes are one where they share most of their entity ids and half of the pairs of the one that has fewer. Of 53 real
homes no two share more than 17 % of their ids, or any pair; of 1,000 simulated ones, no two more than 55 % of their ids
(``docs/experiments.md``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from data_sources import Home
from data_sources.counting import listed, many
from training.judging.same_units import Marks, SameUnits, count_shared, find_same_units, marks_of
from training.synergy.graph import HomeGraph

SHARED_IDS = 0.8  # Jaccard index of the entity ids from which two homes may be one
SHARED_PAIRS = 0.5  # of the pairs of the home that has fewer; below it one home hardly tells the other's answers
FEW_PAIRS, MANY_PAIRS = 5, 12  # shared pairs, where the ids are not known: from which homes may be one, and are
FEW_IDS = 10  # shared ids: of fewer, such as light.kitchen, two homes may have the same by chance
# Shared ids from which homes are one though each has entities of its own. Two flats that one person set up may share
# fewer; the smallest real home has 57.
MANY_IDS = 40


class HomeContent(NamedTuple):
    """What is compared of a home: the marks of its entity ids, and of its directed pairs of them."""

    home_id: str
    entity_ids: Marks
    pairs: Marks


def find_same_homes(homes: Iterable[Home | HomeGraph | HomeContent]) -> SameUnits:
    """Which of the homes with pairs are one."""
    equal: dict[tuple[bytes, bytes], list[str]] = defaultdict(list)
    contents: dict[str, HomeContent] = {}
    for home in homes:
        content = home if isinstance(home, HomeContent) else content_of(home)
        if len(content.pairs):
            equal[content.entity_ids.tobytes(), content.pairs.tobytes()].append(content.home_id)
            contents[content.home_id] = content
    contents = {min(ids): contents[min(ids)] for ids in equal.values()}
    copies = {min(ids): ids for ids in equal.values()}

    def are_one(one: str, other: str) -> bool | None:
        return _are_one(contents[one], contents[other])

    found = find_same_units({name: c.entity_ids for name, c in contents.items()}, SHARED_IDS, are_one)
    return SameUnits({copy: first for name, first in found.first.items() for copy in copies[name]}, found.alike)


def content_of(home: Home | HomeGraph) -> HomeContent:
    """What ``find_same_homes`` compares of a home."""
    if isinstance(home, HomeGraph):
        ids = home.entity_ids
        return HomeContent(
            home.home_id, marks_of(ids), marks_of_pairs((ids[t], ids[a]) for t, a in home.pairs.tolist())
        )
    pairs = {(s.trigger, s.action) for s in home.synergies}
    pairs |= {(s.action, s.trigger) for s in home.synergies if s.bidirectional}
    return HomeContent(home.home_id, marks_of(e.entity_id for e in home.entities), marks_of_pairs(pairs))


def marks_of_pairs(pairs: Iterable[tuple[str, str]]) -> Marks:
    """The marks of pairs of entity ids."""
    return marks_of("\n".join(pair) for pair in pairs)


def _are_one(one: HomeContent, other: HomeContent) -> bool | None:
    """Whether two homes are one; None if they may be."""
    shared = count_shared(one.entity_ids, other.entity_ids)
    smaller = min(len(one.entity_ids), len(other.entity_ids))
    if shared < FEW_IDS or shared < SHARED_IDS * (len(one.entity_ids) + len(other.entity_ids) - shared):
        return False
    if count_shared(one.pairs, other.pairs) < SHARED_PAIRS * min(len(one.pairs), len(other.pairs)):
        return False
    return True if shared == smaller or shared >= MANY_IDS else None


def notes_on(same: SameUnits) -> Iterable[str]:
    """What an audit says of them, a sentence each."""
    again = sum(len(ids) - 1 for ids in same.groups)
    if again:
        yield (
            f"{many(again, 'home')} exported again under another id ({same.describe()}): the exports of one home count "
            "as one home and stand in one part of the split."
        )
    if same.alike:
        told = listed([" and ".join(pair) for pair in same.alike])
        yield (
            f"Homes that share most entity ids and pairs, though each has entities of its own ({told}): if they are "
            "one home, held-out scores are too high; leave all but one of them out."
        )
