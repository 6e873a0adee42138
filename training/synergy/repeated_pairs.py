"""Pairs that repeat a known pair of the home with other words, such as the same automation for another room.

Where ``binary_sensor.kitchen_motion`` drives ``light.kitchen`` and the home has ``binary_sensor.hall_motion`` and
``light.hall`` too, the second pair repeats the first: ``hall`` for ``kitchen`` in both ids.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

import numpy as np
from scipy.sparse import csr_array

from training.synergy.graph import HomeGraph, Ints

LONGEST = 3  # words that are exchanged for others at a time
MOST_ALIKE = 30  # of more entities whose ids differ in one word, none is a sibling of another
MOST_EXCHANGED = 200  # of more entities whose ids differ in the same words, as numbered ones, none repeats another
Words = tuple[str, ...]


class RepeatedPairs:
    """How often known pairs are repeated by others of one home of ``n`` entities.

    Args:
        graph: The home.
        known: ``[e, 2]`` known pairs (trigger, action).

    Attributes:
        repeats: ``[n, n]`` sparse: how many known pairs become this one if the same words of both ids are exchanged for
            the same others.
        of_sibling_trigger: ``[n, n]`` sparse: how many triggers whose id differs in one word drive the action.
        of_sibling_action: ``[n, n]`` sparse: how many actions whose id differs in one word the trigger drives.
    """

    def __init__(self, graph: HomeGraph, known: Ints) -> None:
        self._graph = graph
        self._at = {(d, words): i for i, (d, words) in enumerate(zip(graph.domains, graph.id_tokens, strict=True))}
        # What surrounds some words of an id -> the entities that have other words there, and these words.
        self._around: dict[tuple[str, Words, Words], list[tuple[int, Words]]] = defaultdict(list)
        for i, (domain, words) in enumerate(zip(graph.domains, graph.id_tokens, strict=True)):
            for before, inner, after in _parts(words):
                self._around[domain, before, after].append((i, inner))
        siblings = self._siblings()
        repeats, of_trigger, of_action = (
            Counter[tuple[int, int]](),
            Counter[tuple[int, int]](),
            Counter[tuple[int, int]](),
        )
        for trigger, action in known.tolist():
            repeats.update(self._repeated(trigger, action))
            of_trigger.update((other, action) for other in siblings[trigger] if other != trigger)
            of_action.update((trigger, other) for other in siblings[action] if other != action)
        self.repeats, self.of_sibling_trigger, self.of_sibling_action = (
            _matrix(counts, graph.size) for counts in (repeats, of_trigger, of_action)
        )

    def _repeated(self, trigger: int, action: int) -> set[tuple[int, int]]:
        graph = self._graph
        domain, other_domain = graph.domains[trigger], graph.domains[action]
        words = graph.id_tokens[action]
        found = set()
        for before, inner, after in _parts(graph.id_tokens[trigger]):
            places = [i for i in range(len(words) - len(inner) + 1) if words[i : i + len(inner)] == inner]
            alike = self._around[domain, before, after]
            for other, instead in alike if places and len(alike) <= MOST_EXCHANGED else ():
                for i in places if instead != inner else ():
                    target = self._at.get((other_domain, words[:i] + instead + words[i + len(inner) :]))
                    if target is not None and target != action:
                        found.add((other, target))
        return found

    def _siblings(self) -> dict[int, set[int]]:
        """The entities of one domain whose ids differ in one word."""
        siblings: dict[int, set[int]] = defaultdict(set)
        for alike in self._around.values():
            members = [i for i, inner in alike if len(inner) == 1]
            if 1 < len(members) <= MOST_ALIKE:
                for i in members:
                    siblings[i].update(members)
        return siblings


def _parts(words: Words) -> Iterator[tuple[Words, Words, Words]]:
    """The words of an id before, inside and after each place where up to ``LONGEST``, but not all, can be exchanged."""
    for length in range(1, min(LONGEST, len(words) - 1) + 1):
        for i in range(len(words) - length + 1):
            yield words[:i], words[i : i + length], words[i + length :]


def _matrix(counts: Counter[tuple[int, int]], n: int) -> csr_array:
    cells = np.array(sorted(counts), dtype=np.int64).reshape(-1, 2)
    values = np.array([counts[t, a] for t, a in cells.tolist()], dtype=np.float32)
    return csr_array((values, (cells[:, 0], cells[:, 1])), shape=(n, n))
