"""Fit the weights of the features, before the graph network is trained.

The weights minimise the ranking loss over views of all homes, with an L2 penalty on their distance from where they
start. The vectors of names have too many numbers to be features. Their weights, one for each number and domain of the
action, are fitted together with those of the features, and their sum then becomes the feature ``trigger_meaning``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from training.runs.distributed import add_up
from training.runs.memory import give_back_now
from training.runs.stored import Room, Stored
from training.synergy.features import FEATURES, column
from training.synergy.network import SynergyNetwork
from training.synergy.training_homes import FoldStatistics, TrainingHomes
from training.synergy.views import Block, ComparedPairs, ViewSampler

FIT_HOMES = 300
KNOWN_VIEWS = 4  # of each home as a partly known one, beside one as a new home
# Rows of all homes together; a home gets at least MIN_ROWS. Candidates of one row, beside supervised actions.
FIT_ROWS, MIN_ROWS, FIT_ACTIONS = 6_000, 32, 400
FIT_PAIRS = 1_000_000  # of all views: bounds memory where one home drives thousands of actions
# What does not fit in memory is read in pieces: the features of CHUNK_PAIRS pairs, and all else of about LOSS_PAIRS.
# Larger ones, of 2 MB and more, would be given back to the system and asked for again each time (``give_back_freed``).
CHUNK_PAIRS, LOSS_PAIRS = 4_096, 16_384
# L2 strengths towards the starting weights of features and of name vectors. Above L2_PAIRS training pairs they shrink
# as L2_PAIRS / number of pairs.
FEATURE_L2, MEANING_L2, BIAS_L2 = 0.2, 0.02, 1e-4
L2_PAIRS = 2_000
# With more, suggestions for one home are better still, but a person's answers move the scores of a kind too little.
PRIOR_HOMES = 10
# The weight of a feature that differs from 0 in fewer homes stays as it is: few homes know areas, and what one of them
# says of areas is no more than chance.
MIN_HOMES_OF_FEATURE = 5
STARTING_BIAS = -3.0
MIN_SCALE = 1e-2


class InitialWeights(NamedTuple):
    """Weights that a fit starts from and stays near.

    Attributes:
        features: ``[f]`` weights of the features.
        meaning: ``[dimensions, domains]`` weights of name vectors; without name vectors there are no dimensions.
        learnt: Whether they were learnt from other homes. Then, as a prior, they weigh as much as ``PRIOR_HOMES``, and
            a fit on fewer homes stays nearer to them.
    """

    features: Tensor
    meaning: Tensor
    learnt: bool = False


def fit_feature_weights(
    network: SynergyNetwork,
    homes: TrainingHomes,
    statistics: FoldStatistics,
    views: ViewSampler,
    start: InitialWeights,
    rng: np.random.Generator,
    room: Room,
) -> None:
    """Fit the weights of features and name vectors; set those of ``network`` and of ``statistics``.

    Args:
        network: Gets weights, bias, and mean and standard deviation of each feature.
        homes: The training homes.
        statistics: Gets the weights of name vectors.
        views: Draws the views.
        start: The weights to start from.
        rng: Draws homes where there are more than ``FIT_HOMES``.
        room: Memory for the pairs.
    """
    give_back_now()  # the fit takes most memory of all, and what was freed before lies in small pieces
    chosen = list(homes.positives)
    if len(chosen) > FIT_HOMES:
        chosen = sorted(rng.choice(chosen, FIT_HOMES, replace=False).tolist())
    pairs = FitPairs(homes, views, chosen, start.meaning.shape, room)
    homes_showing, whole = pairs.homes_showing, pairs.positive_weight
    add_up(homes_showing, whole)
    free = (homes_showing >= min(MIN_HOMES_OF_FEATURE, len(chosen))).float()
    scale = pairs.set_moments(network)

    weight, meaning = start.features.clone().requires_grad_(), start.meaning.clone().requires_grad_()
    bias = torch.full((), STARTING_BIAS, requires_grad=True)
    l2 = min(1.0, L2_PAIRS / sum(len(rows) for rows in homes.positives.values()))
    l2 *= max(1.0, PRIOR_HOMES / len(homes.positives)) if start.learnt else 1.0
    optimizer = torch.optim.LBFGS([weight, bias, meaning], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        value, gradients = pairs.loss(weight.detach(), bias.detach(), meaning.detach(), whole)
        add_up(value, *gradients)  # of all processes' homes
        weight.grad, bias.grad, meaning.grad = gradients
        penalty = FEATURE_L2 * ((weight - start.features) * scale).square().sum()
        penalty = penalty + MEANING_L2 * (meaning - start.meaning).square().sum()
        penalty = l2 * penalty + BIAS_L2 * bias.square()
        penalty.backward()  # type: ignore[no-untyped-call]
        weight.grad *= free
        return value + penalty.detach()

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        network.evidence_weight.copy_(weight)
        network.bias.copy_(bias)
    statistics.set_meaning(meaning.detach())
    pairs.set_moments(network, meaning.detach())


def gradient_of(parameter: Tensor) -> Tensor:
    """The gradient of a parameter, zeros where nothing has set it."""
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def rows_within_memory(homes: TrainingHomes, chosen: Sequence[int]) -> dict[int, int]:
    """How many rows (triggers) to draw of each home, so that all views together make at most ``FIT_PAIRS`` pairs.

    A row is compared with all actions of its view's supervised pairs and ``FIT_ACTIONS`` more, but at most with all
    that can act. What small homes leave of their equal share of pairs goes to larger homes.
    """
    most = max(MIN_ROWS, FIT_ROWS // len(chosen))
    driven = {h: homes.graphs[h].pairs[homes.positives[h]] for h in chosen}
    triggers = {h: len(np.unique(pairs[:, 0])) for h, pairs in driven.items()}
    actions = {h: len(np.unique(pairs[:, 1])) for h, pairs in driven.items()}

    def pairs_of(h: int, rows: int) -> float:
        return rows * min(homes.candidates[h], rows * actions[h] / triggers[h] + FIT_ACTIONS)

    left, max_rows = FIT_PAIRS / (1 + KNOWN_VIEWS), {}
    for place, h in enumerate(sorted(chosen, key=lambda h: pairs_of(h, min(most, triggers[h])))):
        share, rows = left / (len(chosen) - place), min(most, triggers[h])
        while rows > 1 and pairs_of(h, rows) > share:
            rows -= 1
        max_rows[h] = rows
        left -= pairs_of(h, rows)
    return max_rows


class _Part(NamedTuple):
    """The pairs of some views, one after another.

    Attributes:
        pairs: ``k`` pairs.
        cell: ``[k]``: where a pair's trigger and its action's domain are in the flattened ``[v, domains]`` meaning.
        share: ``[k]``: what each counts in the moments of the features.
        chunks: The numbers of the chunks of their features.
    """

    pairs: ComparedPairs
    cell: Tensor
    share: Tensor
    chunks: range = range(0)

    @property
    def nbytes(self) -> int:
        """Bytes of memory that it takes."""
        return sum(values.nbytes for values in (*self.pairs, self.cell, self.share))


class FitPairs:
    """The compared pairs of all views that a fit sees, of which a ``Room`` holds as many as it can.

    They are read a part at a time, whether they fit in memory or not, so the result is the same.

    Args:
        homes: The training homes.
        views: Draws the views.
        chosen: The homes to show, of which this process has the pairs of its own.
        dimensions: Numbers of dimensions of a name vector and of domains, as the weights of name vectors have them.
        room: The memory.

    Attributes:
        homes_showing: ``[f]``: in how many homes each feature differs from 0.
        positive_weight: What the supervised pairs count together.
    """

    def __init__(
        self, homes: TrainingHomes, views: ViewSampler, chosen: Sequence[int], dimensions: Sequence[int], room: Room
    ) -> None:
        self.homes_showing, self.positive_weight = torch.zeros(len(FEATURES)), torch.zeros(())
        of_name, self._domains = dimensions
        self._parts: Stored[_Part] = Stored(room, lambda part: part.nbytes)
        self._chunks: Stored[Tensor] = Stored(room, lambda chunk: chunk.nbytes)
        self._sums = torch.zeros(2, len(FEATURES), dtype=torch.double)  # of the features and their squares, by share
        self._shares = torch.zeros((), dtype=torch.double)
        self._waiting: list[_Part] = []  # the views of the next part, and their features that make no whole chunk yet
        self._features = torch.zeros(0, len(FEATURES))
        vectors, triggers = [torch.zeros(0, of_name)], 0  # [*, of_name] of the names of triggers
        max_rows = rows_within_memory(homes, chosen)
        for h in homes.own(chosen):
            home, shown = homes.home(h), torch.zeros(len(FEATURES), dtype=torch.bool)
            place = np.full(home.graph.size, -1)  # of each trigger among all
            for view in (views.new_home(h), *(views.partly_known(h) for _ in range(KNOWN_VIEWS))):
                weight = homes.weight[h] / (KNOWN_VIEWS if len(view.known) else 1)
                blocks = [block._replace(weight=weight) for block in views.blocks(h, view, max_rows[h], FIT_ACTIONS)]
                new = np.unique(np.concatenate([block.triggers for block in blocks]))
                new = new[place[new] < 0]
                place[new] = triggers + np.arange(len(new))
                triggers += len(new)
                if of_name and home.name_vectors is not None:
                    vectors.append(torch.from_numpy(home.name_vectors.rows[new]))
                for block in blocks:
                    shown |= (block.features != 0).flatten(0, 1).any(0)
                self._add(blocks, torch.from_numpy(place), torch.from_numpy(home.domain))
            self.homes_showing += shown
        self._end_part()
        self._vectors = torch.cat(vectors) if of_name else torch.zeros(triggers, 0)

    def _add(self, blocks: Sequence[Block], place: Tensor, domain: Tensor) -> None:
        """Add the blocks of a view. ``place`` is that of each entity of its home as a trigger."""
        cells, shares = [], []
        for block in blocks:
            row, column_ = block.compared.nonzero(as_tuple=True)
            triggers, actions = torch.from_numpy(block.triggers), torch.from_numpy(block.actions)
            cells.append((place[triggers][row] * self._domains + domain[actions][column_]).int())
            shares.append(torch.full((len(row),), block.weight / max(1, len(row))))
            features = block.features[block.compared]
            if len(features):
                self._sums += block.weight * torch.stack([features.mean(0), features.square().mean(0)])
                self._shares += block.weight
            *chunks, rest = torch.split(torch.cat([self._features, features]), CHUNK_PAIRS)
            for chunk in chunks:
                self._chunks.put(len(self._chunks), chunk.clone())
            self._features = rest.clone()
        pairs = ComparedPairs.of(blocks)
        self.positive_weight += pairs.positive_weight
        self._waiting.append(_Part(pairs, torch.cat(cells), torch.cat(shares)))
        if sum(len(part.cell) for part in self._waiting) >= LOSS_PAIRS:
            self._end_part()

    def _end_part(self) -> None:
        if not self._waiting:
            return
        self._chunks.put(len(self._chunks), self._features)
        first = self._parts[len(self._parts) - 1].chunks.stop if self._parts else 0
        pairs, cells, shares, _ = zip(*self._waiting, strict=True)
        chunks = range(first, len(self._chunks))
        self._parts.put(
            len(self._parts), _Part(ComparedPairs.joined(pairs), torch.cat(cells), torch.cat(shares), chunks)
        )
        self._waiting, self._features = [], torch.zeros(0, len(FEATURES))

    def loss(
        self, weight: Tensor, bias: Tensor, meaning: Tensor, whole: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """The loss of these weights without the penalty, and its gradients.

        Args:
            weight: ``[f]`` weights of the features.
            bias: The bias.
            meaning: ``[dimensions, domains]`` weights of name vectors.
            whole: What the supervised pairs of all processes count together.
        """
        of_cells = self._meaning(meaning)
        value, gradients = torch.zeros(()), (torch.zeros_like(weight), torch.zeros(()), torch.zeros_like(of_cells))
        for part in self._parts.values():
            logit = torch.cat([self._chunks[number] @ weight for number in part.chunks])
            logit = (logit + bias + of_cells.index_select(0, part.cell)).requires_grad_()
            loss = part.pairs.loss(logit, whole)
            loss.backward()  # type: ignore[no-untyped-call]
            value += loss.detach()
            gradient = gradient_of(logit)
            of_chunks = zip(part.chunks, torch.split(gradient, CHUNK_PAIRS), strict=True)
            for number, of_chunk in reversed(list(of_chunks)):  # from the last one on, which is still in memory
                gradients[0].add_(self._chunks[number].T @ of_chunk)
            gradients[1].add_(gradient.sum())
            gradients[2].index_add_(0, part.cell, gradient)
        of_meaning = self._vectors.T @ gradients[2].view(len(self._vectors), self._domains)
        return value, (gradients[0], gradients[1], of_meaning)

    def _meaning(self, meaning: Tensor) -> Tensor:
        """``[v * domains]``: what each trigger's name says about each domain of actions."""
        flattened: Tensor = (self._vectors @ meaning).flatten()
        return flattened

    def set_moments(self, network: SynergyNetwork, meaning: Tensor | None = None) -> Tensor:
        """Set the network's mean and standard deviation of each feature, and return the ``[f]`` standard deviations.

        They are those of the pairs of all processes. ``meaning`` are the fitted ``[dimensions, domains]`` weights of
        name vectors, of which ``trigger_meaning`` is made.
        """
        sums, shares = self._sums.clone(), self._shares.clone()
        if meaning is not None:
            of_cells = self._meaning(meaning)
            column(sums, "trigger_meaning").zero_()
            for part in self._parts.values():
                values = of_cells.index_select(0, part.cell)
                column(sums, "trigger_meaning").add_(torch.stack([part.share @ values, part.share @ values.square()]))
        add_up(sums, shares)
        mean, square = sums / shares
        scale: Tensor = (square - mean.square()).clamp_min(0).sqrt().float()
        network.evidence_mean.copy_(mean)
        network.evidence_scale.copy_(scale.clamp_min(MIN_SCALE))
        return scale
