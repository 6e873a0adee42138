"""Views of training homes, blocks of pairs drawn from them, and the loss of these pairs.

A view of a home splits its training pairs, as PyG's RandomLinkSplit does: the known pairs carry messages and are read
as features, the supervised pairs are predicted. No pair is both. A block then holds the supervised pairs of a view
among negatives of the same triggers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from training.synergy.encoded_home import EncodedHome
from training.synergy.features import pair_features
from training.synergy.graph import Ints, pair_mask
from training.synergy.known_pairs import KnownPairs
from training.synergy.training_homes import FoldStatistics, TrainingHomes

NEW_HOME_SHARE = 0.5  # of the views show a home as a new one
HIDDEN_SHARE = 0.3  # of the automations are supervised where a view shows a home as a partly known one


class View(NamedTuple):
    """A home as one step sees it.

    Attributes:
        supervised: ``[s]`` indexes of the supervised pairs among the home's pairs.
        known: ``[e, 2]`` known pairs.
    """

    supervised: Ints
    known: Ints


class Block(NamedTuple):
    """Some triggers by some actions of one home.

    A trigger whose supervised pairs are in several folds has a row for each of them. So has the trigger of a dismissed
    pair; a row that has no supervised pair holds nothing else.

    Attributes:
        known: ``[e, 2]`` known pairs of the view.
        triggers: ``[t]`` entity indexes.
        actions: ``[a]`` entity indexes, sorted.
        positive: ``[t, a]`` weights of the supervised pairs, 0 elsewhere.
        negative: ``[t, a]`` mask of the pairs that these are compared with.
        dismissed: ``[t, a]``: as how many more negatives a pair that a person refused counts, 0 elsewhere.
        log_multiplicity: ``[a]`` log of the number of candidates that each action stands for.
        weight: What each pair of the home counts.
        features: ``[t, a, f]``.
    """

    known: Ints
    triggers: Ints
    actions: Ints
    positive: Tensor
    negative: Tensor
    dismissed: Tensor
    log_multiplicity: Tensor
    weight: float
    features: Tensor

    @property
    def compared(self) -> Tensor:
        """``[t, a]`` mask of the supervised pairs and the negatives."""
        return (self.positive > 0) | self.negative


class ComparedPairs(NamedTuple):
    """The compared pairs of many blocks, ``k`` in all.

    Attributes:
        features: ``[k, f]``.
        positive: ``[k]`` weights of the supervised pairs, 0 for negatives.
        negative: ``[k]`` numbers of negatives that each pair stands for, 0 for supervised pairs.
        row: ``[k]`` numbers of the blocks' rows, in ascending order. Pairs of one row are ranked against each other.
        weight: ``[k]`` what a pair of its home counts.
    """

    features: Tensor
    positive: Tensor
    negative: Tensor
    row: Tensor
    weight: Tensor

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> ComparedPairs:
        """The compared pairs of ``blocks``, one block after another."""
        parts, first = [], 0
        for block in blocks:
            negative = block.negative * block.log_multiplicity.exp() + block.dismissed
            compared = block.compared
            row = first + compared.nonzero()[:, 0]
            first += len(block.triggers)
            parts.append(
                (
                    block.features[compared],
                    block.positive[compared],
                    negative[compared],
                    row,
                    torch.full((len(row),), block.weight),
                )
            )
        return cls(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def loss(self, logit: Tensor) -> Tensor:
        """The loss of ``[k]`` logits, for a unit of positive weight.

        It is the sum of two: the softmax cross-entropy of each supervised pair against the negatives of its row, and
        the logistic loss of every pair. The first ranks; the second makes the scores of different triggers comparable.
        """
        top = logit.detach().max()
        others = torch.zeros(int(self.row[-1]) + 1).index_add(0, self.row, self.negative * (logit - top).exp())
        others = others.clamp_min(1e-30).log() + top
        of_positive = functional.softplus(others[self.row] - logit) + functional.softplus(-logit)
        losses = self.positive * of_positive + self.negative * functional.softplus(logit)
        return (self.weight * losses).sum() / (self.weight * self.positive).sum()


class ViewSampler:
    """Draws views and blocks of training homes.

    Args:
        homes: The homes.
        statistics: Where the features of a training pair are looked up.
        rng: Random numbers.
    """

    def __init__(self, homes: TrainingHomes, statistics: FoldStatistics, rng: np.random.Generator) -> None:
        self._homes, self._statistics, self._rng = homes, statistics, rng

    def draw(self, h: int) -> View:
        """A view of one home, either as a new or as a partly known home."""
        if self._rng.random() < NEW_HOME_SHARE:
            return self.new_home(h)
        return self.partly_known(h)

    def new_home(self, h: int) -> View:
        """The view of one home in which no pair is known and all training pairs are supervised."""
        return View(self._homes.positives[h], self._homes.graphs[h].pairs[:0])

    def partly_known(self, h: int) -> View:
        """A view of one home in which the pairs of some automations are supervised and the others are known.

        A pair that a known automation has too, in either direction, is known.
        """
        graph, rows = self._homes.graphs[h], self._homes.positives[h]
        train = self._homes.split.select(h, "train")
        automations = sorted({group for i in np.flatnonzero(train) for group in graph.groups[i]})
        is_hidden = self._rng.random(len(automations)) < HIDDEN_SHARE
        known = {name for name, hidden in zip(automations, is_hidden, strict=True) if not hidden}
        supervised = np.array([known.isdisjoint(groups) for groups in graph.groups])
        keys = graph.pair_keys(graph.pairs)
        supervised &= ~np.isin(graph.pair_keys(graph.pairs[:, ::-1]), keys[~supervised & train])
        if not supervised[rows].any():
            return self.new_home(h)
        return View(rows[supervised[rows]], graph.pairs[train & ~supervised])

    def block(self, h: int, view: View, max_rows: int, max_actions: int) -> Block:
        """The supervised pairs of a view among negatives of the same triggers.

        Args:
            h: The home.
            view: The view.
            max_rows: Rows to draw where there are more.
            max_actions: Candidates to draw where there are more, beside the actions of the supervised pairs. They stand
                for all others.

        Returns:
            The block. None of its negatives is a training pair. A dismissed pair counts as much as all candidates of
            its trigger together: it is known to be none, where they are only not known to be one.
        """
        graph, home = self._homes.graphs[h], self._homes.encoded[h]
        supervised = view.supervised
        pairs, fold = graph.pairs[supervised], self._homes.fold[h][supervised]
        rows, row = np.unique(np.stack([fold, pairs[:, 0]], axis=1), axis=0, return_inverse=True)
        row = row.ravel()
        if len(rows) > max_rows:
            drawn = np.sort(self._rng.choice(len(rows), max_rows, replace=False))
            inside = np.isin(row, drawn)
            pairs, supervised = pairs[inside], supervised[inside]
            row, rows = np.searchsorted(drawn, row[inside]), rows[drawn]
        dismissed = self._dismissed(h, max_rows)
        supervised_rows = rows
        rows, place = np.unique(np.concatenate([rows, dismissed[:, :2]]), axis=0, return_inverse=True)
        row, row_of_dismissed = place.ravel()[: len(supervised_rows)][row], place.ravel()[len(supervised_rows) :]
        actions = home.candidates
        log_multiplicity = np.zeros(len(actions), dtype=np.float32)
        needed = np.unique(np.concatenate([pairs[:, 1], dismissed[:, 2]]))
        rest = np.setdiff1d(actions, needed)
        if len(rest) > max_actions:
            drawn = self._rng.choice(rest, max_actions, replace=False)
            actions = np.union1d(needed, drawn)
            log_multiplicity = np.where(np.isin(actions, drawn), math.log(len(rest) / max_actions), 0.0)
        triggers = rows[:, 1]
        positive = np.zeros((len(rows), len(actions)), dtype=np.float32)
        positive[row, np.searchsorted(actions, pairs[:, 1])] = graph.weight[supervised]
        distinct, place = np.unique(triggers, return_inverse=True)
        training = graph.pairs[self._homes.split.select(h, "train")]
        negative = ~pair_mask(training, distinct, actions)[place.ravel()] & (triggers[:, None] != actions)
        refused = np.zeros(negative.shape, dtype=np.float32)
        refused[row_of_dismissed, np.searchsorted(actions, dismissed[:, 2])] = len(home.candidates)
        negative[np.setdiff1d(np.arange(len(rows)), row)] = False
        negative |= refused > 0
        known_pairs = KnownPairs(home, view.known)
        folds, starts = np.unique(rows[:, 0], return_index=True)  # rows are sorted by fold
        features = [
            pair_features(self._statistics.without_fold[f], home, known_pairs, of_fold, actions)
            for f, of_fold in zip(folds, np.split(triggers, starts[1:]), strict=True)
        ]
        return Block(
            known=view.known,
            triggers=triggers,
            actions=actions,
            positive=torch.from_numpy(positive),
            negative=torch.from_numpy(negative),
            dismissed=torch.from_numpy(refused),
            log_multiplicity=torch.from_numpy(log_multiplicity.astype(np.float32)),
            weight=self._homes.weight[h],
            features=torch.cat(features),
        )

    def _dismissed(self, h: int, max_rows: int) -> Ints:
        """``[d, 3]`` fold, trigger and action of dismissed pairs of a home; ``max_rows`` are drawn of more."""
        dismissed = self._homes.dismissed.get(h, np.empty((0, 3), dtype=np.int64))
        if len(dismissed) <= max_rows:
            return dismissed
        return dismissed[np.sort(self._rng.choice(len(dismissed), max_rows, replace=False))]


def trigger_vectors(blocks: Sequence[tuple[EncodedHome, Block]], domains: int) -> tuple[Tensor, Tensor]:
    """The name vectors of the blocks' triggers, for features that depend on the vector and the action's domain.

    Args:
        blocks: Home and block; blocks of one home must be neighbours, and share the vectors of their triggers.
        domains: Number of domains in the vocabulary, and one for unknown domains.

    Returns:
        ``[v, dimensions]`` vectors, and for each of the ``ComparedPairs`` of the blocks the index of its trigger's
        vector and its action's domain in the flattened ``[v, domains]``. Both are empty where homes have no name
        vectors.
    """
    vectors, cells, first = [], [], 0
    for _, group in groupby(blocks, key=lambda one: id(one[0])):
        of_home = list(group)
        home = of_home[0][0]
        if home.name_vectors is None:
            return torch.zeros(0, 0), torch.zeros(0, dtype=torch.long)
        triggers = np.unique(np.concatenate([block.triggers for _, block in of_home]))
        vectors.append(home.name_vectors.rows[triggers])
        for _, block in of_home:
            row, column = block.compared.nonzero(as_tuple=True)
            place = torch.from_numpy(first + np.searchsorted(triggers, block.triggers))
            cells.append(place[row] * domains + torch.from_numpy(home.domain[block.actions])[column])
        first += len(triggers)
    return torch.from_numpy(np.concatenate(vectors)), torch.cat(cells)
