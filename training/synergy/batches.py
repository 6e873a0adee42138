"""Blocks of pairs that a training step compares, and their loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.synergy.encoded_home import EncodedHome
from training.synergy.graph import Ints


class Block(NamedTuple):
    """Some triggers by some actions of one home.

    ``positive`` ``[t, a]`` is the weight of the pairs to be predicted, ``negative`` what they are compared with, and
    ``stands_for`` ``[a]`` the logarithm of how many negatives each action stands for. A trigger whose pairs are of
    several folds has a line for each of them.
    """

    triggers: Ints
    actions: Ints
    positive: Tensor
    negative: Tensor
    stands_for: Tensor
    weight: float
    features: Tensor

    @property
    def compared(self) -> Tensor:
        """``[t, a]``: what is to be predicted, and what that is compared with."""
        return (self.positive > 0) | self.negative


class Lines(NamedTuple):
    """The compared pairs of many blocks, one after another: all ``[k]``, ``features`` ``[k, f]``.

    ``positive`` is the weight of a pair to be predicted, ``negative`` how many negatives a pair stands for, ``line``
    the number of its trigger's line, ``weight`` that of its home.
    """

    features: Tensor
    positive: Tensor
    negative: Tensor
    line: Tensor
    weight: Tensor

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> Lines:
        """The compared pairs of ``blocks``."""
        parts, first = [], 0
        for block in blocks:
            negative = block.negative * block.stands_for.exp()
            compared = block.compared
            line = first + compared.nonzero()[:, 0]
            first += len(block.triggers)
            parts.append(
                (
                    block.features[compared],
                    block.positive[compared],
                    negative[compared],
                    line,
                    torch.full((len(line),), block.weight),
                )
            )
        return cls(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def loss(self, logit: Tensor) -> Tensor:
        """Each positive against its line's negatives (softmax cross-entropy), and each pair alone (logistic).

        A unit of positive weight.
        """
        top = logit.detach().max()
        others = torch.zeros(int(self.line[-1]) + 1).index_add(0, self.line, self.negative * (logit - top).exp())
        others = others.clamp_min(1e-30).log() + top
        of_positive = functional.softplus(others[self.line] - logit) + functional.softplus(-logit)
        losses = self.positive * of_positive + self.negative * functional.softplus(logit)
        return (self.weight * losses).sum() / (self.weight * self.positive).sum()


def trigger_vectors(blocks: Sequence[tuple[EncodedHome, Block]], domains: int) -> tuple[Tensor, Tensor]:
    """Vectors ``[v, dimensions]`` of the blocks' triggers, and where each of ``Lines`` is in ``[v, domains]``.

    Blocks of one home stand together, and share the vectors of their triggers.
    """
    vectors, cells, first = [], [], 0
    for _, group in groupby(blocks, key=lambda one: id(one[0])):
        of_home = list(group)
        home = of_home[0][0]
        if home.meaning is None:  # no names were read, of this home or any other
            return torch.zeros(0, 0), torch.zeros(0, dtype=torch.long)
        named = np.unique(np.concatenate([block.triggers for _, block in of_home]))
        vectors.append(home.meaning.rows[named])
        for _, block in of_home:
            line, column = block.compared.nonzero(as_tuple=True)
            place = torch.from_numpy(first + np.searchsorted(named, block.triggers))
            cells.append(place[line] * domains + torch.from_numpy(home.domain[block.actions])[column])
        first += len(named)
    return torch.from_numpy(np.concatenate(vectors)), torch.cat(cells)
