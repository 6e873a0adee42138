"""From homes to graphs, and from graphs to splits that do not leak.

A home's graph has entity, area, device and name-token nodes. Entities are joined through these hubs, never with one
another, so edges grow with entities and not with their square. Nothing in a graph depends on other homes: a model
trained on some homes reads a new one.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from data_sources import Entity, Home, PatternRow
from training.splits import PARTS, Part, assign_parts, count_parts, unseen
from training.words import fold, words_of

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Strategy = Literal["home", "automation", "pair", "none"]

TOKENS_PER_ENTITY = 8  # words kept of a name, the rarest of the home first
TOKEN_EDGES_PER_ENTITY = 3

# Domains whose entities report and take no action of their own (Home Assistant's entity platforms and helpers).
READ_ONLY_DOMAINS = frozenset(
    "air_quality binary_sensor calendar conversation device_tracker event geo_location image image_processing "
    "person plant schedule sensor stt sun tag update wake_word weather zone".split()
)
# A read-only domain counts as acting where at least this share of the known pairs acts on it: such data
# (the simulator's, for one) means "acts together with" rather than "is switched by".
ACTING_SHARE = 0.1

# Words in names that tell what an entity measures where no device_class is given -> Home Assistant's device_class.
_CLASS_OF_WORD = {
    word: device_class
    for device_class, words in {
        "battery": "battery",
        "carbon_dioxide": "co2",
        "connectivity": "connectivity online connected",
        "door": "door doors",
        "energy": "energy kwh",
        "garage_door": "garage",
        "humidity": "humidity humid",
        "illuminance": "illuminance lux brightness",
        "lock": "lock locked",
        "moisture": "moisture leak flood water",
        "motion": "motion pir movement",
        "occupancy": "occupancy occupied",
        "power": "power watt",
        "presence": "presence present home away",
        "smoke": "smoke",
        "sound": "sound noise",
        "temperature": "temperature temp thermometer",
        "vibration": "vibration",
        "window": "window windows",
    }.items()
    for word in words.split()
}


@dataclass(frozen=True)
class HomeGraph:
    """One home as arrays; ``n`` entities, ``t`` distinct name words, ``p`` directed positive pairs.

    Attributes:
        names: What people call each entity; "" where only its id is known.
        domains, classes: Text per entity; a class is ``domain:device_class``.
        words: The home's distinct words, household words folded onto one spelling.
        tokens: ``[n, TOKENS_PER_ENTITY]`` word indexes, rarest first, ``t`` where the name has fewer.
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
    tokens: Ints
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

    def acting(self, domains: Iterable[str]) -> npt.NDArray[np.bool_]:
        """``[n]``: whether each entity can act: its domain is not read-only, or is one of ``domains``."""
        extra = frozenset(domains)
        return np.array([d not in READ_ONLY_DOMAINS or d in extra for d in self.domains], dtype=bool)


def class_of(entity: Entity | PatternRow, words: Sequence[str]) -> str:
    """``domain:device_class``; the last of ``words`` that tells it stands in for a device class that is not given."""
    told = (_CLASS_OF_WORD[word] for word in reversed(words) if word in _CLASS_OF_WORD)
    return f"{entity.domain}:{entity.device_class or next(told, '')}"


def build_graph(home: Home) -> HomeGraph:
    """The graph of a home in time and edges linear in its entities and synergies."""
    spelt = [words_of(e.entity_id.partition(".")[2]) + words_of(e.name or "") for e in home.entities]
    names = [[fold(word) for word in name] for name in spelt]
    frequency = Counter(word for name in names for word in set(name))
    words = sorted(frequency)
    word_index = {word: i for i, word in enumerate(words)}
    n = len(home.entities)

    tokens = np.full((n, TOKENS_PER_ENTITY), len(words), dtype=np.int64)
    token_edges: list[tuple[int, int]] = []
    classes = []
    for i, (entity, name, spelling) in enumerate(zip(home.entities, names, spelt, strict=True)):
        rarest = sorted(set(name), key=lambda word: (frequency[word], word))[:TOKENS_PER_ENTITY]
        tokens[i, : len(rarest)] = [word_index[word] for word in rarest]
        shared = [word for word in rarest if frequency[word] > 1]  # a word of one entity joins nothing
        token_edges += [(i, word_index[word]) for word in shared[:TOKEN_EDGES_PER_ENTITY]]
        classes.append(class_of(entity, spelling))
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
        tokens=tokens,
        rarity=np.array([*rarity, 0.0], dtype=np.float32),
        area=area,
        device=device,
        edges=edges,
        hubs={"area": areas, "device": devices, "token": len(words)},
        pairs=pairs,
        weight=weight,
        groups=groups,
    )


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


def acting_domains(graphs: Iterable[HomeGraph]) -> tuple[str, ...]:
    """Read-only domains that nevertheless act in this data (see ``ACTING_SHARE``), sorted."""
    actions = Counter(g.domains[a] for g in graphs for a in g.pairs[:, 1])
    total = sum(actions.values())
    return tuple(sorted(d for d, k in actions.items() if d in READ_ONLY_DOMAINS and k >= ACTING_SHARE * total))


@dataclass(frozen=True)
class Split:
    """Which part every pair belongs to. ``parts[h]`` is ``[p_h]`` of indexes into ``PARTS`` for ``graphs[h]``."""

    strategy: Strategy
    parts: tuple[npt.NDArray[np.int8], ...]
    reason: str
    units: dict[Part, int]

    def select(self, home: int, *parts: Part) -> npt.NDArray[np.bool_]:
        """``[p]`` mask of the pairs of one home that are in any of ``parts``."""
        return np.isin(self.parts[home], [PARTS.index(part) for part in parts])


def keep_known(graphs: Sequence[HomeGraph], share: float, seed: int) -> Split:
    """A known home: ``share`` of each home's automations are known ("train"), the pairs of the others are the test.

    Automations are drawn by the hash of their name and ``seed``. A pair that a known automation has too, in either
    direction, is known.
    """
    parts: list[npt.NDArray[np.int8]] = []
    units: dict[Part, int] = {"train": 0, "validation": 0, "test": 0}
    for graph in graphs:
        names = sorted({group for groups in graph.groups for group in groups})
        ranked = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        known = set(ranked[: round(share * len(ranked))])
        units["train"] += len(known)
        units["test"] += len(ranked) - len(known)
        part = np.array(
            [PARTS.index("test" if known.isdisjoint(groups) else "train") for groups in graph.groups], dtype=np.int8
        )
        parts.append(_join_directions(graph.pairs, part))
    return Split("automation", tuple(parts), f"{share:.0%} of the automations of each home are known", units)


def split_of(
    graphs: Sequence[HomeGraph], test: Sequence[Iterable[tuple[str, str]]], strategy: Strategy, reason: str
) -> Split:
    """The split whose test part are the given (trigger, action) ids of each home; all others train."""
    parts = []
    for graph, pairs in zip(graphs, test, strict=True):
        asked = set(pairs)
        inside = [(graph.entity_ids[t], graph.entity_ids[a]) in asked for t, a in graph.pairs.tolist()]
        parts.append(np.where(inside, PARTS.index("test"), PARTS.index("train")).astype(np.int8))
    return Split(strategy, tuple(parts), reason, {})


def describe_split(split: Split, graphs: Sequence[HomeGraph]) -> dict[str, Any]:
    """A split for summaries: strategy, reason, units and directed pairs by part, SHA-256 of the test pairs."""
    digest = hashlib.sha256()
    counts = dict.fromkeys(PARTS, 0)
    for h, graph in enumerate(graphs):
        for part in PARTS:
            counts[part] += int(split.select(h, part).sum())
        for t, a in graph.pairs[split.select(h, "test")]:
            digest.update(f"{graph.home_id} {graph.entity_ids[t]} {graph.entity_ids[a]}\n".encode())
    return {
        "strategy": split.strategy,
        "reason": split.reason,
        "units": dict(split.units),
        "directed_pairs": counts,
        "test_fingerprint": digest.hexdigest(),
    }


def pair_units(split: Split, graphs: Sequence[HomeGraph], *parts: Part) -> Iterator[str]:
    """A name for each pair in any of ``parts``, the same for both of its directions and under every strategy."""
    for h, graph in enumerate(graphs):
        for t, a in graph.pairs[split.select(h, *parts)].tolist():
            yield pair_unit(graph, t, a)


def pair_unit(graph: HomeGraph, trigger: int, action: int) -> str:
    """A pair's name: its home and its two entities, sorted."""
    first, second = sorted((graph.entity_ids[trigger], graph.entity_ids[action]))
    return f"{graph.home_id} {first} {second}"


def without_seen(split: Split, graphs: Sequence[HomeGraph], *trained_on: str) -> tuple[Split, int]:
    """The split without the test pairs that a model was trained on (``splits.sealed``), and how many went.

    Where homes are held out, a home of which one pair was seen goes whole.
    """
    fresh = unseen(pair_units(split, graphs, "test"), *trained_on)
    parts, left_out = [], 0
    for h, graph in enumerate(graphs):
        part, test = split.parts[h].copy(), split.select(h, "test")
        seen = test & np.array([pair_unit(graph, t, a) not in fresh for t, a in graph.pairs.tolist()], dtype=bool)
        if split.strategy == "home" and seen.any():
            seen = test
        part[seen] = PARTS.index("train")
        left_out += int(seen.sum())
        parts.append(part)
    return replace(split, parts=tuple(parts)), left_out


MIN_HOMES = 5
MIN_GROUPS = 20


def split_pairs(graphs: Sequence[HomeGraph]) -> Split:
    """Split by home where at least ``MIN_HOMES`` have pairs, else by automation or pair, else not at all.

    Units go to parts by the hash of their name, not by the seed: more data later moves few units, and the same data
    always gives the same test pairs. A pair of two automations goes to the part that trains first, and both
    directions of a pair stay together, so that no test pair is seen in training in any form.
    """
    with_pairs = _distinct_homes(graphs)
    if len(with_pairs) >= MIN_HOMES:
        part_of_home = assign_parts(list(with_pairs))
        part_of_copy = {home: part_of_home[first] for first, copies in with_pairs.items() for home in copies}
        parts = tuple(
            np.full(len(g.pairs), PARTS.index(part_of_copy.get(g.home_id, "train")), dtype=np.int8) for g in graphs
        )
        return Split(
            "home", parts, f"{len(with_pairs)} homes with pairs: whole homes are held out", count_parts(part_of_home)
        )

    unit_of_group = {group: group for g in graphs for groups in g.groups for group in groups}
    if len(unit_of_group) < MIN_GROUPS:
        return Split(
            "none",
            tuple(np.zeros(len(g.pairs), dtype=np.int8) for g in graphs),
            f"{len(with_pairs)} home{'s' * (len(with_pairs) != 1)} with pairs (by home needs {MIN_HOMES}) and "
            f"{len(unit_of_group)} distinct automations or pairs (needs {MIN_GROUPS}): nothing can be held out",
            {"train": len(unit_of_group), "validation": 0, "test": 0},
        )
    by_automation = any(" automation " in group for group in unit_of_group)
    part_of_group = assign_parts(sorted(unit_of_group))
    parts_list = []
    for g in graphs:
        part = np.array([min(PARTS.index(part_of_group[x]) for x in groups) for groups in g.groups], dtype=np.int8)
        parts_list.append(_join_directions(g.pairs, part))
    return Split(
        "automation" if by_automation else "pair",
        tuple(parts_list),
        f"{len(with_pairs)} home{'s' * (len(with_pairs) != 1)} with pairs (by home needs {MIN_HOMES}): "
        f"{'automations' if by_automation else 'pairs'} are held out",
        count_parts(part_of_group),
    )


def _distinct_homes(graphs: Sequence[HomeGraph]) -> dict[str, list[str]]:
    """Homes with pairs: the first of equal ones -> all of them. A home under two ids is one unit, not two."""
    same: dict[bytes, list[str]] = {}
    for g in graphs:
        if len(g.pairs):
            content = hashlib.sha256("\n".join(g.entity_ids).encode() + g.pairs.tobytes()).digest()
            same.setdefault(content, []).append(g.home_id)
    return {min(ids): ids for ids in same.values()}


def _join_directions(pairs: Ints, part: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    lowest: dict[tuple[int, int], int] = {}
    keys = [(min(t, a), max(t, a)) for t, a in pairs.tolist()]
    for key, value in zip(keys, part.tolist(), strict=True):
        lowest[key] = min(value, lowest.get(key, value))
    return np.array([lowest[key] for key in keys], dtype=np.int8)
