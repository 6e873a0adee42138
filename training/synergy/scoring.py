"""Score pairs of one home in blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.judging.metrics import Array
from training.synergy.encoded_home import EncodedHome
from training.synergy.features import FEATURES, pair_features
from training.synergy.graph import Ints, Offered, pair_mask
from training.synergy.known_pairs import KnownPairs
from training.synergy.network import SynergyNetwork, collate
from training.synergy.pair_statistics import LogOdds

BLOCK_PAIRS = 24_576  # scored at a time, 900 bytes each: twice as many take a tenth less time
# Given pairs are scored in chunks. A chunk is scored as the block of its triggers by its actions, and its pairs are
# picked out. Small chunks waste fewer pairs, large chunks take fewer calls.
LOGITS_CHUNK, FEATURES_CHUNK = 512, 64


class ScoredBlock(NamedTuple):
    """Some triggers x some actions: ``triggers`` ``[t]``, ``logits`` ``[t, a]`` and ``features`` ``[t, a, f]``."""

    triggers: Ints
    logits: Tensor
    features: Tensor


class HomeScorer:
    """Scores pairs of one home.

    Args:
        network: The graph network; it is put into evaluation mode.
        log_odds: What the training data says of domains, classes and words.
        home: The home.
        known: ``[e, 2]`` pairs (trigger, action) that are known of the home. They carry messages and are read as
            features of all other pairs.
    """

    def __init__(self, network: SynergyNetwork, log_odds: LogOdds, home: EncodedHome, known: Ints) -> None:
        self.home = home
        self._network, self._log_odds = network.eval(), log_odds
        self._known = KnownPairs(home, known)
        with torch.no_grad():
            self._entities = network.encode(collate([home], [known]))

    def features(self, triggers: Ints, actions: Ints) -> Tensor:
        """``[t, a, f]`` features of triggers ``[t]`` x actions ``[a]``."""
        return pair_features(self._log_odds, self.home, self._known, triggers, actions)

    @torch.no_grad()
    def score(self, triggers: Ints, actions: Ints) -> ScoredBlock:
        """Logits and features of triggers ``[t]`` x actions ``[a]``."""
        features = self.features(triggers, actions)
        logits = self._network(self._entities, torch.from_numpy(triggers), torch.from_numpy(actions), features)
        return ScoredBlock(triggers, logits, features)

    def blocks(self, triggers: Ints, actions: Ints) -> Iterator[ScoredBlock]:
        """The scores of triggers ``[t]`` x actions ``[a]``, as many triggers at a time as make ``BLOCK_PAIRS``."""
        step = max(1, BLOCK_PAIRS // max(1, len(actions)))
        for start in range(0, len(triggers), step):
            yield self.score(triggers[start : start + step], actions)

    def logits(self, pairs: Ints) -> Array:
        """``[k]`` logits of ``[k, 2]`` pairs."""
        found = np.zeros(len(pairs))
        for chunk in _chunks(pairs, LOGITS_CHUNK):
            found[chunk.rows] = self.score(chunk.triggers, chunk.actions).logits[chunk.row, chunk.column]
        return found

    @torch.no_grad()
    def contributions(self, pairs: Ints) -> Array:
        """``[k, f]``: what each feature adds to the logits of ``[k, 2]`` pairs, above what it adds on average."""
        found = np.zeros((len(pairs), len(FEATURES)))
        for chunk in _chunks(pairs, FEATURES_CHUNK):
            features = self.features(chunk.triggers, chunk.actions)[chunk.row, chunk.column]
            found[chunk.rows] = (features - self._network.evidence_mean) * self._network.evidence_weight
        return found

    def best_pairs(self, k: int, offered: Offered | None = None) -> tuple[Ints, Array]:
        """The best pairs of the home that are not known, of entities that are not set aside (``HomeGraph``).

        Args:
            k: How many pairs.
            offered: Which pairs are looked at; all if not given.

        Returns:
            ``[k, 2]`` pairs (trigger, action), best first, and their ``[k]`` logits; fewer where the home has fewer.
        """
        automated = ~self.home.graph.set_aside
        starting, acting = (automated, automated) if offered is None else (m & automated for m in offered[:2])
        candidates = self.home.candidates[acting[self.home.candidates]]
        pairs, logits = np.empty((0, 2), dtype=np.int64), np.empty(0)
        for block in self.blocks(np.flatnonzero(starting), candidates) if len(candidates) else ():
            left_out = pair_mask(self._known.pairs, block.triggers, candidates) | (
                block.triggers[:, None] == candidates
            )
            if offered is not None:
                left_out |= ~(offered.either[block.triggers][:, None] | offered.either[candidates])
            flat = block.logits.masked_fill(torch.from_numpy(left_out), -torch.inf).flatten()
            top = flat.topk(min(k, len(flat)))
            chosen = top.indices[top.values > -torch.inf]
            t, a = np.unravel_index(chosen.numpy(), left_out.shape)
            pairs = np.concatenate([pairs, np.stack([block.triggers[t], candidates[a]], axis=1)])
            logits = np.concatenate([logits, flat[chosen].numpy()])
            best = np.argsort(-logits, kind="stable")[:k]
            pairs, logits = pairs[best], logits[best]
        return pairs, logits


class _Chunk(NamedTuple):
    """Some of ``[k, 2]`` pairs, and the block that they are in."""

    rows: Ints  # of the k pairs
    triggers: Ints
    actions: Ints
    row: Tensor  # of each pair in the block
    column: Tensor


def _chunks(pairs: Ints, size: int) -> Iterator[_Chunk]:
    """``[k, 2]`` pairs in chunks of at most ``size``, by trigger."""
    order = np.argsort(pairs[:, 0], kind="stable")
    for rows in np.array_split(order, math.ceil(len(pairs) / size)) if len(pairs) else ():
        triggers, t = np.unique(pairs[rows, 0], return_inverse=True)
        actions, a = np.unique(pairs[rows, 1], return_inverse=True)
        yield _Chunk(rows, triggers, actions, torch.from_numpy(t.ravel()), torch.from_numpy(a.ravel()))
