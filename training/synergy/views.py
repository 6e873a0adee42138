"""Views of training homes, blocks of pairs drawn from them, and the loss of these pairs.

A view of a home splits its training pairs, as PyG's RandomLinkSplit does: the known pairs carry messages and are read
as features, the supervised pairs are predicted. No pair is both. One block then holds the supervised pairs of a view
among negatives of the same triggers, a second one negatives of the whole home.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from data_sources import Shard
from training.synergy.encoded_home import EncodedHome
from training.synergy.features import FEATURES, pair_features
from training.synergy.graph import Ints, pair_mask
from training.synergy.known_pairs import KnownPairs
from training.synergy.training_homes import FoldStatistics, TrainingHomes

NEW_HOME_SHARE = 0.5  # of the views show a home as a new one
HIDDEN_SHARE = 0.3  # of the automations are supervised where a view shows a home as a partly known one
# Of the whole home in its second block. Triggers differ more than actions do in how often they are part of a pair.
HOME_TRIGGERS, HOME_ACTIONS = 48, 12


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
        triggers_each: Of a block of the whole home, how many triggers each of its own stands for. Its pairs are
            compared with the supervised pairs of the block before it. 0 for a block of supervised pairs.
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
    triggers_each: float = 0.0

    @property
    def compared(self) -> Tensor:
        """``[t, a]`` mask of the supervised pairs and the negatives."""
        return (self.positive > 0) | self.negative


class ComparedPairs(NamedTuple):
    """The compared pairs of many blocks, ``k`` in all.

    Attributes:
        positive: ``[k]`` weights of the supervised pairs, 0 for negatives.
        negative: ``[k]`` numbers of negatives of its row that each pair stands for, 0 for supervised pairs.
        of_home: ``[k]`` numbers of negatives of its home that each pair stands for, 0 for supervised pairs.
        row: ``[k]`` numbers of the blocks' rows, in ascending order. Pairs of one row are ranked against each other.
        view: ``[k]`` numbers of the views, in ascending order.
        weight: ``[k]`` what a pair of its home counts.
    """

    positive: Tensor
    negative: Tensor
    of_home: Tensor
    row: Tensor
    view: Tensor
    weight: Tensor

    @classmethod
    def of(cls, blocks: Iterable[Block]) -> ComparedPairs:
        """The compared pairs of ``blocks``, one after another, each block of a home after that of its view."""
        parts, first, view = [], 0, -1
        for block in blocks:
            view += not block.triggers_each
            candidates = block.negative * block.log_multiplicity.exp()
            negative = block.dismissed + candidates * (not block.triggers_each)
            of_home = block.dismissed + candidates * block.triggers_each
            compared = block.compared
            row = (first + compared.nonzero()[:, 0]).int()
            first += len(block.triggers)
            parts.append(
                (
                    block.positive[compared],
                    negative[compared],
                    of_home[compared],
                    row,
                    torch.full((len(row),), view, dtype=torch.int32),
                    torch.full((len(row),), block.weight),
                )
            )
        if not parts:
            none, no_index = torch.zeros(0), torch.zeros(0, dtype=torch.int32)
            return cls(none, none, none, no_index, no_index, none)
        return cls(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def to(self, device: torch.device) -> ComparedPairs:
        """The same on another device."""
        return ComparedPairs(*(values.to(device) for values in self))

    @classmethod
    def joined(cls, parts: Sequence[ComparedPairs]) -> ComparedPairs:
        """The pairs of all parts, one after another, each part of whole views."""
        columns = dict(zip(cls._fields, map(list, zip(*parts, strict=True)), strict=True))
        for name in ("row", "view"):
            columns[name] = _numbered_on(columns[name])
        return cls(**{name: torch.cat(values) for name, values in columns.items()})

    @property
    def positive_weight(self) -> Tensor:
        """What the supervised pairs count together."""
        return (self.weight * self.positive).sum()

    def loss(self, logit: Tensor, whole: Tensor | None = None) -> Tensor:
        """The loss of ``[k]`` logits, for a unit of positive weight.

        These pairs may be a part of those of a step, the others being in other processes: ``whole`` is the positive
        weight of all then, and the losses of the parts add up to that of all.

        It is the sum of three: the softmax cross-entropy of each supervised pair against the negatives of its row, the
        same against those of its whole home, and the logistic loss of every pair of a ranked row. The first ranks the
        actions of a trigger, the second what a person is shown, and the third gives scores a level.
        """
        of_positive = functional.softplus(-logit)
        for group, negative in ((self.row, self.negative), (self.view, self.of_home)):
            of_positive = of_positive + functional.softplus(_log_sum(logit, group, negative) - logit)
        losses = self.positive * of_positive + self.negative * functional.softplus(logit)
        return (self.weight * losses).sum() / (self.positive_weight if whole is None else whole)


def _numbered_on(parts: Sequence[Tensor]) -> list[Tensor]:
    """Ascending numbers of several parts, those of each going on where the part before it ends."""
    found, first = [], 0
    for part in parts:
        found.append(part + first)
        first += int(part[-1]) + 1 if len(part) else 0
    return found


_LeftAt = tuple[int, int, int, int]


def _left_at(generator: np.random.Generator) -> _LeftAt:
    """Where the random numbers of a home were left."""
    found: Any = generator.bit_generator.state
    return found["state"]["state"], found["state"]["inc"], found["has_uint32"], found["uinteger"]


def _gone_on(left_at: _LeftAt) -> np.random.Generator:
    """A generator that goes on where another was left."""
    generator = np.random.Generator(np.random.PCG64(0))
    found: Any = generator.bit_generator.state
    found["state"]["state"], found["state"]["inc"], found["has_uint32"], found["uinteger"] = left_at
    generator.bit_generator.state = found
    return generator


def _log_sum(logit: Tensor, group: Tensor, count: Tensor) -> Tensor:
    """``[k]``: log of the sum of ``count`` times e to the ``logit`` over all of the same group; groups ascend."""
    if not len(logit):
        return logit
    top = logit.detach().max()
    sums = logit.new_zeros(int(group[-1]) + 1).index_add(0, group, count * (logit - top).exp())
    return (sums.clamp_min(1e-30).log() + top)[group]


class ViewSampler:
    """Draws views and blocks of training homes.

    Each home has random numbers of its own, so what is drawn of it does not depend on which other homes this process
    trains on.

    Args:
        homes: The homes.
        statistics: Where the features of a training pair are looked up.
        seed: Settles all random numbers.
    """

    def __init__(self, homes: TrainingHomes, statistics: FoldStatistics, seed: int) -> None:
        self._homes, self._statistics, self._seed = homes, statistics, seed
        self._in_use: tuple[int, np.random.Generator] | None = None
        self._left_at: dict[int, _LeftAt] = {}

    def rng(self, h: int) -> np.random.Generator:
        """The random numbers of one home, which go on where they were left. Use them before those of another home.

        A generator takes 1 KB, so only the one in use is there, and of the others where they were left.
        """
        if self._in_use is not None:
            other, generator = self._in_use
            if other == h:
                return generator
            self._left_at[other] = _left_at(generator)
        if h in self._left_at:
            generator = _gone_on(self._left_at[h])
        else:
            generator = np.random.default_rng([self._seed, Shard.hash_of(self._homes.graphs[h].home_id)])
        self._in_use = h, generator
        return generator

    def draw(self, h: int) -> View:
        """A view of one home, either as a new or as a partly known home."""
        if self.rng(h).random() < NEW_HOME_SHARE:
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
        is_hidden = self.rng(h).random(len(automations)) < HIDDEN_SHARE
        known = {name for name, hidden in zip(automations, is_hidden, strict=True) if not hidden}
        supervised = np.array([known.isdisjoint(groups) for groups in graph.groups])
        keys = graph.pair_keys(graph.pairs)
        supervised &= ~np.isin(graph.pair_keys(graph.pairs[:, ::-1]), keys[~supervised & train])
        if not supervised[rows].any():
            return self.new_home(h)
        return View(rows[supervised[rows]], graph.pairs[train & ~supervised])

    def blocks(self, h: int, view: View, max_rows: int, max_actions: int) -> tuple[Block, Block]:
        """The supervised pairs of a view among negatives of the same triggers, and negatives of the whole home.

        Args:
            h: The home.
            view: The view.
            max_rows: Rows to draw where there are more.
            max_actions: Candidates to draw where there are more, beside the actions of the supervised pairs. They stand
                for all others.

        Returns:
            Both blocks. None of the negatives is a training pair. A dismissed pair counts as much as all candidates of
            its trigger together: it is known to be none, where they are only not known to be one.
        """
        known = KnownPairs(self._homes.home(h), view.known)
        return self._supervised(h, view, known, max_rows, max_actions), self._of_home(h, view, known)

    def _supervised(self, h: int, view: View, known: KnownPairs, max_rows: int, max_actions: int) -> Block:
        graph, home = self._homes.graphs[h], self._homes.home(h)
        supervised = view.supervised
        pairs, fold = graph.pairs[supervised], self._homes.fold[h][supervised]
        rows, row = np.unique(np.stack([fold, pairs[:, 0]], axis=1), axis=0, return_inverse=True)
        row = row.ravel()
        if len(rows) > max_rows:
            drawn = np.sort(self.rng(h).choice(len(rows), max_rows, replace=False))
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
            drawn = self.rng(h).choice(rest, max_actions, replace=False)
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
        return Block(
            known=view.known,
            triggers=triggers,
            actions=actions,
            positive=torch.from_numpy(positive),
            negative=torch.from_numpy(negative),
            dismissed=torch.from_numpy(refused),
            log_multiplicity=torch.from_numpy(log_multiplicity.astype(np.float32)),
            weight=self._homes.weight[h],
            features=self._features(home, known, rows, actions),
        )

    def _of_home(self, h: int, view: View, known: KnownPairs) -> Block:
        """Some of the triggers of a home by some of its actions; those are left out that nobody automates."""
        graph, home = self._homes.graphs[h], self._homes.home(h)
        automated = ~graph.set_aside
        all_triggers, all_actions = np.flatnonzero(automated), home.candidates[automated[home.candidates]]
        triggers = self._some(h, all_triggers, HOME_TRIGGERS)
        actions = self._some(h, all_actions, HOME_ACTIONS)
        folds = self.rng(h).choice(self._homes.fold[h][self._homes.positives[h]], len(triggers))
        rows = np.stack([folds, triggers], axis=1)[np.argsort(folds, kind="stable")]
        triggers = rows[:, 1]
        distinct, place = np.unique(triggers, return_inverse=True)
        training = graph.pairs[self._homes.split.select(h, "train")]
        negative = ~pair_mask(training, distinct, actions)[place] & (triggers[:, None] != actions)
        nothing = torch.zeros(negative.shape)
        return Block(
            known=view.known,
            triggers=triggers,
            actions=actions,
            positive=nothing,
            negative=torch.from_numpy(negative),
            dismissed=nothing,
            log_multiplicity=torch.full((len(actions),), math.log(max(1.0, len(all_actions) / HOME_ACTIONS))),
            weight=self._homes.weight[h],
            features=self._features(home, known, rows, actions),
            triggers_each=max(1.0, len(all_triggers) / HOME_TRIGGERS),
        )

    def _some(self, h: int, entities: Ints, most: int) -> Ints:
        return entities if len(entities) <= most else np.sort(self.rng(h).choice(entities, most, replace=False))

    def _features(self, home: EncodedHome, known: KnownPairs, rows: Ints, actions: Ints) -> Tensor:
        """``[t, a, f]`` features of ``[t, 2]`` folds and triggers, sorted by fold, looked up without that fold."""
        if not len(rows):
            return torch.zeros(0, len(actions), len(FEATURES))
        folds, starts = np.unique(rows[:, 0], return_index=True)
        parts = [
            pair_features(self._statistics.without_fold[f], home, known, of_fold, actions)
            for f, of_fold in zip(folds.tolist(), np.split(rows[:, 1], starts[1:]), strict=True)
        ]
        return torch.cat(parts)

    def _dismissed(self, h: int, max_rows: int) -> Ints:
        """``[d, 3]`` fold, trigger and action of dismissed pairs of a home; ``max_rows`` are drawn of more."""
        dismissed = self._homes.dismissed.get(h, np.empty((0, 3), dtype=np.int64))
        if len(dismissed) <= max_rows:
            return dismissed
        return dismissed[np.sort(self.rng(h).choice(len(dismissed), max_rows, replace=False))]
