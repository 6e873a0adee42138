"""The graph of a home.

Its nodes are entities and three kinds of hubs: areas, devices and words of names. Each entity has an edge to its hubs
and none to other entities, so the number of edges grows with the entities and not with their square. Nothing in a graph
depends on other homes, so a model that was trained on some homes can read a new one.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from data_sources import Home
from home_assistant.domains import READ_ONLY_DOMAINS, class_of, is_internal
from home_assistant.household_words import canonical_word, tokens_of, words_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

WORDS_PER_ENTITY = 8  # words kept of a name, the rarest of the home first
WORD_EDGES_PER_ENTITY = 3
# A read-only domain is an acting domain where at least this share of all pairs acts on it. In such data, for one the
# simulator's, a pair means "changes together with" rather than "switches".
ACTING_SHARE = 0.1


@dataclass(frozen=True)
class HomeGraph:
    """One home as arrays: ``n`` entities, ``w`` distinct words of their names, ``p`` directed positive pairs.

    Attributes:
        home_id: Id of the home.
        entity_ids: ``n`` ids; the index of an entity here is its index everywhere.
        names: ``n`` names that people gave, "" where an entity has none.
        domains: ``n`` domains.
        classes: ``n`` texts ``domain:device_class``; where no device class is given it is guessed from the name.
        words: ``w`` words in alphabetical order, household words folded onto one spelling.
        id_tokens: The words and numbers in each entity's id, without its domain, folded, in their order.
        name_tokens: The same of each entity's name.
        word_count: ``[n]`` number of words in an entity's id and name together.
        rare_words: ``[n, WORDS_PER_ENTITY]`` indexes into ``words``, rarest first, padded with ``w``.
        area: ``[n]`` index of the entity's area, -1 where unknown.
        device: ``[n]`` index of the entity's device, -1 where unknown.
        floor: ``[n]`` index of the floor of the entity's area, -1 where unknown.
        platform: ``[n]`` index of the integration that the entity is of, -1 where unknown.
        labels: The ids of the labels of each entity.
        edges: Hub type -> ``[2, e]`` of (entity, hub). Each edge is stored once and used in both directions.
        hubs: Hub type -> number of hubs.
        pairs: ``[p, 2]`` distinct (trigger, action) in ascending order. A bidirectional row gives two.
        weight: ``[p]`` confidence times 1 + ln(number of rows), scaled to a mean of 1 over the home.
        internal: ``[n]`` mask of hidden entities, and of a device's own settings and diagnostics, by category or name.
        set_aside: ``[n]`` mask of the entities that are not suggested: the internal ones, and those that only show
            others again. A pair of one is still learnt from.
        groups: The automations of each pair. A pair without an automation is a group of its own, with its reverse.
        dismissed: ``[d, 2]`` distinct (trigger, action) in ascending order that a person refused; none is in ``pairs``.
    """

    home_id: str
    entity_ids: tuple[str, ...]
    names: tuple[str, ...]
    domains: tuple[str, ...]
    classes: tuple[str, ...]
    words: tuple[str, ...]
    id_tokens: tuple[tuple[str, ...], ...]
    name_tokens: tuple[tuple[str, ...], ...]
    word_count: Ints
    rare_words: Ints
    area: Ints
    device: Ints
    floor: Ints
    platform: Ints
    labels: tuple[tuple[str, ...], ...]
    internal: npt.NDArray[np.bool_]
    set_aside: npt.NDArray[np.bool_]
    edges: dict[str, Ints]
    hubs: dict[str, int]
    pairs: Ints
    weight: Floats
    groups: tuple[tuple[str, ...], ...]
    dismissed: Ints

    @property
    def size(self) -> int:
        """Number of entities."""
        return len(self.entity_ids)

    def without_pairs(self) -> HomeGraph:
        """The same home without its pairs: all that a model may see of a home beside what is known of it."""
        return replace(self, pairs=self.pairs[:0], weight=self.weight[:0], groups=(), dismissed=self.dismissed[:0])

    def outline(self) -> HomeGraph:
        """The same home without names, hubs and edges: what other processes need to know that train with this one."""
        nothing, no_tokens = self.area[:0], ((),) * self.size
        return replace(
            self,
            names=("",) * self.size,
            id_tokens=no_tokens,
            name_tokens=no_tokens,
            word_count=nothing,
            area=nothing,
            device=nothing,
            floor=nothing,
            platform=nothing,
            labels=no_tokens,
            edges={},
            hubs={},
        )

    def pair_keys(self, pairs: Ints) -> Ints:
        """``[k]`` numbers that identify ``[k, 2]`` pairs: equal pairs have equal numbers."""
        return pairs[:, 0] * self.size + pairs[:, 1]

    def acting(self, domains: Iterable[str]) -> npt.NDArray[np.bool_]:
        """``[n]`` mask of the entities that can act: those whose domain is not read-only, or is one of ``domains``."""
        extra = frozenset(domains)
        return np.array([d not in READ_ONLY_DOMAINS or d in extra for d in self.domains], dtype=bool)


class Offered(NamedTuple):
    """Which pairs of a home of ``n`` entities are looked at.

    Attributes:
        triggers: ``[n]`` mask of the triggers.
        actions: ``[n]`` mask of the actions.
        either: ``[n]`` mask of the entities of which a pair has at least one.
    """

    triggers: npt.NDArray[np.bool_]
    actions: npt.NDArray[np.bool_]
    either: npt.NDArray[np.bool_]

    def holds(self, pairs: Ints) -> npt.NDArray[np.bool_]:
        """``[k]`` mask of ``[k, 2]`` pairs."""
        trigger, action = pairs.T
        either = self.either[trigger] | self.either[action]
        held: npt.NDArray[np.bool_] = self.triggers[trigger] & self.actions[action] & either
        return held


def build_graph(home: Home) -> HomeGraph:
    """The graph of a home. Time and number of edges are linear in its entities and synergies."""
    ids = [e.entity_id.partition(".")[2] for e in home.entities]
    spelt = [words_of(own_id) + words_of(e.name or "") for own_id, e in zip(ids, home.entities, strict=True)]
    names = [[canonical_word(word) for word in name] for name in spelt]
    internal = _mask(e.hidden or e.entity_category or is_internal(e.entity_id) for e in home.entities)
    frequency: Counter[str] = Counter()  # among the entities that are not internal
    for name, own in zip(names, internal.tolist(), strict=True):
        frequency.update(dict.fromkeys(name, int(not own)))
    words = sorted(frequency)
    word_index = {word: i for i, word in enumerate(words)}
    n = len(home.entities)

    rare_words = np.full((n, WORDS_PER_ENTITY), len(words), dtype=np.int64)
    word_edges: list[tuple[int, int]] = []
    classes = []
    for i, (entity, name, spelling) in enumerate(zip(home.entities, names, spelt, strict=True)):
        rarest = sorted(set(name), key=lambda word: (frequency[word], word))[:WORDS_PER_ENTITY]
        rare_words[i, : len(rarest)] = [word_index[word] for word in rarest]
        shared = [word for word in rarest if frequency[word] > 1]  # a word of one entity joins nothing
        word_edges += [(i, word_index[word]) for word in shared[:WORD_EDGES_PER_ENTITY]]
        classes.append(class_of(entity.domain, entity.device_class, spelling))

    area, areas = _index([e.area_id for e in home.entities])
    device, devices = _index([e.device_id for e in home.entities])
    floor_of = {a.area_id: a.floor_id for a in home.areas}
    edges = {
        "area": _hub_edges(area),
        "device": _hub_edges(device),
        "token": _edge_array(word_edges),
    }  # "token", a word, is a name in model files
    pairs, weight, groups = _positives(home)
    index = {e.entity_id: i for i, e in enumerate(home.entities)}
    refused = {(index[t], index[a]) for t, a in home.dismissed if t in index and a in index}
    return HomeGraph(
        home_id=home.home_id,
        entity_ids=tuple(e.entity_id for e in home.entities),
        names=tuple(e.name or "" for e in home.entities),
        domains=tuple(e.domain for e in home.entities),
        classes=tuple(classes),
        words=tuple(words),
        id_tokens=tuple(_tokens(own_id) for own_id in ids),
        name_tokens=tuple(_tokens(e.name or "") for e in home.entities),
        word_count=np.array([len(name) for name in spelt], dtype=np.int64),
        rare_words=rare_words,
        area=area,
        device=device,
        floor=_index([floor_of.get(e.area_id or "") for e in home.entities])[0],
        platform=_index([e.platform for e in home.entities])[0],
        labels=tuple(e.labels for e in home.entities),
        internal=internal,
        set_aside=internal | _mask(e.mirrors for e in home.entities),
        edges=edges,
        hubs={"area": areas, "device": devices, "token": len(words)},
        pairs=pairs,
        weight=weight,
        groups=groups,
        dismissed=np.array(sorted(refused - set(map(tuple, pairs.tolist()))), dtype=np.int64).reshape(-1, 2),
    )


def _mask(values: Iterable[object]) -> npt.NDArray[np.bool_]:
    return np.array([bool(value) for value in values], dtype=bool)


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(map(sys.intern, tokens_of(text)))  # the names of a home repeat few words


def _index(ids: Sequence[str | None]) -> tuple[Ints, int]:
    known = {key: i for i, key in enumerate(dict.fromkeys(key for key in ids if key is not None))}
    return np.array([-1 if key is None else known[key] for key in ids], dtype=np.int64), len(known)


def _hub_edges(hub: Ints) -> Ints:
    members = np.flatnonzero(hub >= 0)
    return np.stack([members, hub[members]])


def _edge_array(edges: list[tuple[int, int]]) -> Ints:
    return np.array(edges, dtype=np.int64).reshape(-1, 2).T.copy()


def _positives(home: Home) -> tuple[Ints, Floats, tuple[tuple[str, ...], ...]]:
    index = {e.entity_id: i for i, e in enumerate(home.entities)}
    rows: dict[tuple[int, int], int] = defaultdict(int)
    confidence: dict[tuple[int, int], float] = defaultdict(float)
    automations: dict[tuple[int, int], set[str]] = defaultdict(set)
    for synergy in home.synergies:
        t, a = index[synergy.trigger], index[synergy.action]
        for pair in ((t, a), (a, t)) if synergy.bidirectional else ((t, a),):
            rows[pair] += synergy.rows
            confidence[pair] += synergy.confidence * synergy.rows
            automations[pair].add(
                f"automation {synergy.automation_id}"
                if synergy.automation_id is not None
                else f"pair {min(synergy.trigger, synergy.action)} {max(synergy.trigger, synergy.action)}"
            )
    pairs = sorted(rows)
    weight = np.array([confidence[p] / rows[p] * (1 + math.log(rows[p])) for p in pairs], dtype=np.float32)
    if weight.sum() > 0:
        weight /= weight.mean()
    else:
        weight[:] = 1.0  # all confidences are 0, so no pair weighs more than another
    groups = tuple(tuple(f"{home.home_id} {g}" for g in sorted(automations[p])) for p in pairs)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), weight, groups


def pair_mask(pairs: Ints, triggers: Ints, actions: Ints) -> npt.NDArray[np.bool_]:
    """``[t, a]`` mask: which pairs of triggers x actions, both sorted, are among the ``[k, 2]`` pairs."""
    mask = np.zeros((len(triggers), len(actions)), dtype=bool)
    inside = pairs[np.isin(pairs[:, 0], triggers) & np.isin(pairs[:, 1], actions)]
    mask[np.searchsorted(triggers, inside[:, 0]), np.searchsorted(actions, inside[:, 1])] = True
    return mask


def acting_domains(graphs: Iterable[HomeGraph]) -> tuple[str, ...]:
    """The read-only domains on which at least ``ACTING_SHARE`` of the pairs of ``graphs`` act, sorted."""
    actions = Counter(g.domains[a] for g in graphs for a in g.pairs[:, 1])
    total = sum(actions.values())
    return tuple(sorted(d for d, k in actions.items() if d in READ_ONLY_DOMAINS and k >= ACTING_SHARE * total))
