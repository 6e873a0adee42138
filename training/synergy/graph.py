"""From homes to graphs, and from graphs to splits that do not leak.

A home's graph has entity, area, device and name-token nodes. Entities are joined through these hubs, never with one
another, so edges grow with entities and not with their square. Nothing in a graph depends on other homes: a model
trained on some homes reads a new one.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from data_sources import Home
from home_assistant.domains import READ_ONLY_DOMAINS, class_of
from home_assistant.household_words import canonical_word, tokens_of, words_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]

WORDS_PER_ENTITY = 8  # words kept of a name, the rarest of the home first
TOKEN_EDGES_PER_ENTITY = 3
# A read-only domain counts as acting where at least this share of the known pairs acts on it: such data
# (the simulator's, for one) means "acts together with" rather than "is switched by".
ACTING_SHARE = 0.1


@dataclass(frozen=True)
class HomeGraph:
    """One home as arrays; ``n`` entities, ``t`` distinct name words, ``p`` directed positive pairs.

    Attributes:
        names: What people call each entity; "" where only its id is known.
        domains, classes: Text per entity; a class is ``domain:device_class``.
        words: The home's distinct words, household words folded onto one spelling.
        id_tokens, name_tokens: Words and numbers of each entity's id (without its domain) and name, folded, in order.
        word_count: ``[n]`` words of an entity's id and name together.
        rare_words: ``[n, WORDS_PER_ENTITY]`` indexes into ``words``, rarest first, ``t`` where the name has fewer.
        rarity: ``[t + 1]`` idf of each word among the home's entities, 0 for the padding.
        area, device: ``[n]`` index of the entity's area or device, -1 where unknown.
        edges: Relation -> ``[2, e]`` of (entity, hub); each edge is stored once and used both ways.
        pairs: ``[p, 2]`` distinct (trigger, action); a bidirectional row gives two.
        weight: ``[p]`` confidence times 1 + ln(rows), the home's mean being 1.
        groups: Automations of each pair; without any, the pair itself, the same text for both directions.
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
    rarity: Floats
    area: Ints
    device: Ints
    edges: dict[str, Ints]
    hubs: dict[str, int]
    pairs: Ints
    weight: Floats
    groups: tuple[tuple[str, ...], ...]

    @property
    def size(self) -> int:
        """Number of entities."""
        return len(self.entity_ids)

    def without_pairs(self) -> HomeGraph:
        """The same home with nothing known of it: what a model may look at."""
        return replace(self, pairs=self.pairs[:0], weight=self.weight[:0], groups=())

    def pair_keys(self, pairs: Ints) -> Ints:
        """``[k]``: one number for each of ``[k, 2]`` pairs, equal for equal pairs."""
        return pairs[:, 0] * self.size + pairs[:, 1]

    def acting(self, domains: Iterable[str]) -> npt.NDArray[np.bool_]:
        """``[n]``: whether each entity can act: its domain is not read-only, or is one of ``domains``."""
        extra = frozenset(domains)
        return np.array([d not in READ_ONLY_DOMAINS or d in extra for d in self.domains], dtype=bool)


def build_graph(home: Home) -> HomeGraph:
    """The graph of a home in time and edges linear in its entities and synergies."""
    ids = [e.entity_id.partition(".")[2] for e in home.entities]
    spelt = [words_of(own_id) + words_of(e.name or "") for own_id, e in zip(ids, home.entities, strict=True)]
    names = [[canonical_word(word) for word in name] for name in spelt]
    frequency = Counter(word for name in names for word in set(name))
    words = sorted(frequency)
    word_index = {word: i for i, word in enumerate(words)}
    n = len(home.entities)

    rare_words = np.full((n, WORDS_PER_ENTITY), len(words), dtype=np.int64)
    token_edges: list[tuple[int, int]] = []
    classes = []
    for i, (entity, name, spelling) in enumerate(zip(home.entities, names, spelt, strict=True)):
        rarest = sorted(set(name), key=lambda word: (frequency[word], word))[:WORDS_PER_ENTITY]
        rare_words[i, : len(rarest)] = [word_index[word] for word in rarest]
        shared = [word for word in rarest if frequency[word] > 1]  # a word of one entity joins nothing
        token_edges += [(i, word_index[word]) for word in shared[:TOKEN_EDGES_PER_ENTITY]]
        classes.append(class_of(entity.domain, entity.device_class, spelling))
    rarity = [max(math.log((n + 1) / (frequency[word] + 0.5)), 0.01) for word in words]

    area, areas = _index([e.area_id for e in home.entities])
    device, devices = _index([e.device_id for e in home.entities])
    edges = {"area": _hub_edges(area), "device": _hub_edges(device), "token": _edge_array(token_edges)}
    pairs, weight, groups = _positives(home)
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
        rarity=np.array([*rarity, 0.0], dtype=np.float32),
        area=area,
        device=device,
        edges=edges,
        hubs={"area": areas, "device": devices, "token": len(words)},
        pairs=pairs,
        weight=weight,
        groups=groups,
    )


def _tokens(text: str) -> tuple[str, ...]:
    return tuple(map(sys.intern, tokens_of(text)))  # a home has the same few words in many names


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
        weight[:] = 1.0  # all confidences are 0: nothing tells the pairs apart
    groups = tuple(tuple(f"{home.home_id} {g}" for g in sorted(automations[p])) for p in pairs)
    return np.array(pairs, dtype=np.int64).reshape(-1, 2), weight, groups


def pair_mask(pairs: Ints, triggers: Ints, actions: Ints) -> npt.NDArray[np.bool_]:
    """``[t, a]``: which of triggers x actions (both sorted) are among the ``[k, 2]`` pairs."""
    mask = np.zeros((len(triggers), len(actions)), dtype=bool)
    inside = pairs[np.isin(pairs[:, 0], triggers) & np.isin(pairs[:, 1], actions)]
    mask[np.searchsorted(triggers, inside[:, 0]), np.searchsorted(actions, inside[:, 1])] = True
    return mask


def acting_domains(graphs: Iterable[HomeGraph]) -> tuple[str, ...]:
    """Read-only domains that nevertheless act in this data (see ``ACTING_SHARE``), sorted."""
    actions = Counter(g.domains[a] for g in graphs for a in g.pairs[:, 1])
    total = sum(actions.values())
    return tuple(sorted(d for d, k in actions.items() if d in READ_ONLY_DOMAINS and k >= ACTING_SHARE * total))
