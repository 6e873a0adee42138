"""Score pairs of one home in blocks."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.synergy.encoded_home import EncodedHome
from training.synergy.evaluation import (
    Scorer,
)
from training.synergy.features import pair_features
from training.synergy.graph import HomeGraph, Ints
from training.synergy.known_pairs import KnownPairs
from training.synergy.network import SynergyNetwork, collate
from training.synergy.pair_statistics import LogOdds


def make_scorer(network: SynergyNetwork, log_odds: LogOdds, home: EncodedHome, known: Ints) -> Scorer:
    """Scores blocks of one home of which the ``[e, 2]`` pairs ``known`` are known."""
    with torch.no_grad():
        encoded = network.eval().encode(collate([home], [edge_index(known)]))
    known_pairs = KnownPairs(home, known)

    def score(triggers: Ints, actions: Ints) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            features = pair_features(log_odds, home, known_pairs, triggers, actions)
            return network(encoded, torch.from_numpy(triggers), torch.from_numpy(actions), features), features

    return score


def score_pairs(scorer: Scorer, rows: Ints, read: Callable[[Tensor, Tensor], Tensor]) -> npt.NDArray[np.float64]:
    """What ``read`` makes of (logits, features) at ``[k, 2]`` pairs, which are scored in blocks by trigger."""
    found: list[npt.NDArray[np.float64]] = [np.zeros(0)] * len(rows)
    order = np.argsort(rows[:, 0], kind="stable")
    for chunk in np.array_split(order, math.ceil(len(rows) / 512)) if len(rows) else ():
        triggers, t = np.unique(rows[chunk, 0], return_inverse=True)
        actions, a = np.unique(rows[chunk, 1], return_inverse=True)
        values = read(*scorer(triggers, actions))[torch.from_numpy(t.ravel()), torch.from_numpy(a.ravel())]
        for i, value in zip(chunk.tolist(), values.double().numpy(), strict=True):
            found[i] = value
    return np.array(found)


def pair_keys(graph: HomeGraph, pairs: Ints) -> Ints:
    """``[k]``: one number for each of ``[k, 2]`` pairs of a home."""
    return pairs[:, 0] * graph.size + pairs[:, 1]


def edge_index(pairs: Ints) -> Tensor:
    """``[2, e]`` of ``[e, 2]`` pairs, as PyG wants edges."""
    return torch.from_numpy(np.ascontiguousarray(pairs.T))
