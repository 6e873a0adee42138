"""Which part of the data each pair belongs to. Pairs are held out by home, automation or pair, so nothing leaks."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from data_sources.counting import many
from training.judging.splits import PARTS, Part, assign_parts, count_parts, unseen_units
from training.synergy.graph import HomeGraph, Ints
from training.synergy.same_homes import find_same_homes

Strategy = Literal["home", "automation", "pair", "none"]
Mask = npt.NDArray[np.bool_]

MIN_HOMES = 5  # with pairs; with fewer, homes are not held out whole
MIN_GROUPS = 20  # automations or pairs; with fewer, nothing is held out
FOLDS = 10  # of the training pairs


@dataclass(frozen=True)
class Split:
    """Which part every pair belongs to.

    Attributes:
        strategy: What is held out whole; "none" where nothing is.
        parts: For each home ``[p]`` indexes into ``PARTS``, one a pair.
        reason: Why this strategy, in words.
        units: Part -> number of homes, automations or pairs in it.
    """

    strategy: Strategy
    parts: tuple[npt.NDArray[np.int8], ...]
    reason: str
    units: dict[Part, int]

    def select(self, home: int, *parts: Part) -> Mask:
        """``[p]`` mask of the pairs of one home that are in any of ``parts``."""
        return np.isin(self.parts[home], [PARTS.index(part) for part in parts])

    def known(self, home: int, part: Part) -> Mask:
        """``[p]`` mask of the pairs of one home that may be known while the pairs of ``part`` are predicted.

        These are the pairs of the parts before it; none where homes are held out whole, or where nothing is held out.
        """
        earlier = PARTS[: PARTS.index(part)]
        return self.select(home, *earlier if self.strategy in ("automation", "pair") else ())

    def dismissed(self, home: int, graph: HomeGraph) -> Mask:
        """``[d]`` mask of the dismissed pairs of one home that train: none of a home, or of the reverse of a pair, that
        is held out.
        """
        held_out = ~self.select(home, "train")
        if self.strategy == "home":
            return np.full(len(graph.dismissed), not held_out.any())
        return ~np.isin(graph.pair_keys(graph.dismissed[:, ::-1]), graph.pair_keys(graph.pairs[held_out]))

    def with_validation(self) -> Split:
        """The same split, its validation pairs among the training pairs."""
        train, validation = PARTS.index("train"), PARTS.index("validation")
        moved = (np.where(part == validation, train, part).astype(np.int8) for part in self.parts)
        return replace(self, parts=tuple(moved))


def everything_trains(graphs: Sequence[HomeGraph]) -> Split:
    """A split by home without validation and test part."""
    return Split("home", tuple(np.zeros(len(g.pairs), dtype=np.int8) for g in graphs), "nothing is held out", {})


def split_pairs(graphs: Sequence[HomeGraph]) -> Split:
    """Split by home where at least ``MIN_HOMES`` have pairs, else by automation or pair, else not at all.

    Units go to parts by the hash of their name and not by the seed, so the same data gives the same test pairs, and
    more data later moves few units. A pair of two automations goes to the part of the two that trains first, and both
    directions of a pair stay together, so no test pair is seen in training in any form.
    """
    unit = find_same_homes(graphs).first
    with_pairs = set(unit.values())
    if len(with_pairs) >= MIN_HOMES:
        part_of_home = assign_parts(with_pairs)
        parts = tuple(
            np.full(
                len(g.pairs), PARTS.index(part_of_home[unit[g.home_id]] if len(g.pairs) else "train"), dtype=np.int8
            )
            for g in graphs
        )
        return Split(
            "home", parts, f"{len(with_pairs)} homes with pairs: whole homes are held out", count_parts(part_of_home)
        )

    groups_of = [_groups_of_unit(g, unit) for g in graphs]
    groups = sorted({group for own in groups_of for groups in own for group in groups})
    if len(groups) < MIN_GROUPS:
        return Split(
            "none",
            tuple(np.zeros(len(g.pairs), dtype=np.int8) for g in graphs),
            f"{many(len(with_pairs), 'home')} with pairs (by home needs {MIN_HOMES}) and "
            f"{len(groups)} distinct automations or pairs (needs {MIN_GROUPS}): nothing can be held out",
            {"train": len(groups), "validation": 0, "test": 0},
        )
    by_automation = any(" automation " in group for group in groups)
    part_of_group = assign_parts(groups)
    parts_list = [
        np.array([min(PARTS.index(part_of_group[x]) for x in groups) for groups in own], dtype=np.int8)
        for own in groups_of
    ]
    return Split(
        "automation" if by_automation else "pair",
        tuple(_join_directions(graphs, parts_list, unit)),
        f"{many(len(with_pairs), 'home')} with pairs (by home needs {MIN_HOMES}): "
        f"{'automations' if by_automation else 'pairs'} are held out",
        count_parts(part_of_group),
    )


def known_home_split(graphs: Sequence[HomeGraph], known_share: float, seed: int) -> Split:
    """Each home as a known home: ``known_share`` of its automations train, and the pairs of the others are the test.

    Automations are drawn by the hash of their name and ``seed``. A pair that a known automation has too, in either
    direction, is known.
    """
    parts: list[npt.NDArray[np.int8]] = []
    units: dict[Part, int] = {"train": 0, "validation": 0, "test": 0}
    for graph in graphs:
        automations = sorted({group for groups in graph.groups for group in groups})
        ranked = sorted(automations, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
        known = set(ranked[: round(known_share * len(ranked))])
        units["train"] += len(known)
        units["test"] += len(ranked) - len(known)
        part = np.array(
            [PARTS.index("test" if known.isdisjoint(groups) else "train") for groups in graph.groups], dtype=np.int8
        )
        parts += _join_directions([graph], [part], {})
    return Split("automation", tuple(parts), f"{known_share:.0%} of the automations of each home are known", units)


def split_of(
    graphs: Sequence[HomeGraph], test: Sequence[Iterable[tuple[str, str]]], strategy: Strategy, reason: str
) -> Split:
    """The split whose test part is the given (trigger id, action id) of each home; all other pairs train."""
    parts = []
    for graph, pairs in zip(graphs, test, strict=True):
        in_test = set(pairs)
        inside = [(graph.entity_ids[t], graph.entity_ids[a]) in in_test for t, a in graph.pairs.tolist()]
        parts.append(np.where(inside, PARTS.index("test"), PARTS.index("train")).astype(np.int8))
    return Split(strategy, tuple(parts), reason, {})


def folds_of(graphs: Sequence[HomeGraph], split: Split, training: Mapping[int, Ints]) -> dict[int, Ints]:
    """The fold of each pair of each training home, from 0 to ``FOLDS - 1``.

    Args:
        graphs: The homes.
        split: Where homes are held out whole, a home is in one fold, all its exports too; else an automation is.
        training: Home -> its training pairs, for the homes that have any.

    Returns:
        Home -> ``[p]`` folds of all its pairs.
    """
    unit = find_same_homes(graphs[h] for h in training).first
    exports: dict[str, list[int]] = defaultdict(list)
    for h in training:
        exports[unit[graphs[h].home_id]].append(h)
    folds: dict[int, Ints] = {}
    for number, homes in enumerate(exports.values()):
        groups_of = {h: _groups_of_unit(graphs[h], unit) for h in homes}
        names = sorted({name for own in groups_of.values() for groups in own for name in groups})
        numbers = {name: i for i, name in enumerate(names)}
        for h, own in groups_of.items():
            fold = [number if split.strategy == "home" else numbers[groups[0]] for groups in own]
            folds[h] = np.array(fold, dtype=np.int64) % FOLDS
    return folds


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
    """The name of each pair in any of ``parts`` (``pair_unit``)."""
    for h, graph in enumerate(graphs):
        for t, a in graph.pairs[split.select(h, *parts)].tolist():
            yield pair_unit(graph, t, a)


def pair_unit(graph: HomeGraph, trigger: int, action: int) -> str:
    """The name of a pair: its home and its two entities in alphabetical order. Both directions have the same name."""
    return pair_name(graph.home_id, graph.entity_ids[trigger], graph.entity_ids[action])


def pair_name(home_id: str, trigger: str, action: str) -> str:
    """``pair_unit`` by ids."""
    first, second = sorted((trigger, action))
    return f"{home_id} {first} {second}"


def without_seen(split: Split, graphs: Sequence[HomeGraph], *trained_on: str) -> tuple[Split, int]:
    """The split without the test pairs that a model was trained on.

    Args:
        split: The split.
        graphs: The homes.
        trained_on: ``judging.splits.unit_digests`` of each model.

    Returns:
        The split, in which seen test pairs are training pairs, and how many they are. Where homes are held out whole, a
        home is left out whole if one of its pairs was seen.
    """
    fresh = unseen_units(pair_units(split, graphs, "test"), *trained_on)
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


def _groups_of_unit(graph: HomeGraph, unit: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The automations of each pair; in each export of a home they have the same names."""
    own, name = graph.home_id, unit.get(graph.home_id, graph.home_id)
    if own == name:
        return graph.groups
    return tuple(tuple(f"{name}{group.removeprefix(own)}" for group in groups) for groups in graph.groups)


def _join_directions(
    graphs: Sequence[HomeGraph], parts: Sequence[npt.NDArray[np.int8]], unit: Mapping[str, str]
) -> list[npt.NDArray[np.int8]]:
    """``[p]`` parts of each home; both directions of a pair, in all exports of a home, in the earliest of theirs."""
    lowest: dict[tuple[str, str, str], int] = {}
    keys = []
    for graph, part in zip(graphs, parts, strict=True):
        home, ids = unit.get(graph.home_id, graph.home_id), graph.entity_ids
        own = [(home, *sorted((ids[t], ids[a]))) for t, a in graph.pairs.tolist()]
        for key, value in zip(own, part.tolist(), strict=True):
            lowest[key] = min(value, lowest.get(key, value))
        keys.append(own)
    return [np.array([lowest[key] for key in own], dtype=np.int8) for own in keys]
