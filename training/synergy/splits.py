"""Which part a pair belongs to: by home, by automation or by pair, so that nothing leaks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from training.judging.splits import PARTS, Part, assign_parts, count_parts, unseen_units
from training.synergy.graph import HomeGraph, Ints

Strategy = Literal["home", "automation", "pair", "none"]


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
    """The split without the test pairs that a model was trained on (``splits.unit_digests``), and how many went.

    Where homes are held out, a home of which one pair was seen goes whole.
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
