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
from training.synergy.views import Block, ComparedPairs, ViewSampler, trigger_vectors

FIT_HOMES = 300
KNOWN_VIEWS = 4  # of each home as a partly known one, beside one as a new home
# Rows of all homes together; a home gets at least MIN_ROWS. Candidates of one row, beside supervised actions.
FIT_ROWS, MIN_ROWS, FIT_ACTIONS = 6_000, 32, 400
FIT_PAIRS = 1_000_000  # of all views: bounds memory where one home drives thousands of actions
# In memory at a time where all do not fit: the features of so many pairs, and all else of about so many. That is 1 MB
# of each; larger pieces would go back to the system and be asked for again each time (``give_back_freed``).
CHUNK_PAIRS, LOSS_PAIRS = 4_096, 16_384
# L2 strengths towards the starting weights of features and of name vectors. Above L2_PAIRS training pairs they shrink
# as L2_PAIRS / number of pairs.
FEATURE_L2, MEANING_L2, BIAS_L2 = 0.2, 0.02, 1e-4
L2_PAIRS = 2_000
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
    """

    features: Tensor
    meaning: Tensor


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
        room: Memory for the features of the pairs.
    """
    give_back_now()  # the fit takes most memory of all, and what was freed before lies in small pieces
    chosen = list(homes.positives)
    if len(chosen) > FIT_HOMES:
        chosen = sorted(rng.choice(chosen, FIT_HOMES, replace=False).tolist())
    pairs = FitPairs(homes, views, chosen, start.meaning.shape[1], room)
    homes_showing, whole = pairs.homes_showing, pairs.positive_weight
    add_up(homes_showing, whole)
    free = (homes_showing >= min(MIN_HOMES_OF_FEATURE, len(chosen))).float()
    scale = pairs.set_moments(network)

    weight, meaning = start.features.clone().requires_grad_(), start.meaning.clone().requires_grad_()
    bias = torch.full((), STARTING_BIAS, requires_grad=True)
    l2 = min(1.0, L2_PAIRS / sum(len(rows) for rows in homes.positives.values()))
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
    """The pairs of some views, one after another, less their features.

    Attributes:
        pairs: ``k`` pairs.
        cell: ``[k]``: where a pair's trigger and its action's domain are in the flattened ``[v, domains]`` meaning.
        share: ``[k]``: what each counts in the moments of the features.
    """

    pairs: ComparedPairs
    cell: Tensor
    share: Tensor

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
        domains: Number of domains in the vocabulary, and one for unknown domains.
        room: The memory.

    Attributes:
        homes_showing: ``[f]``: in how many homes each feature differs from 0.
        positive_weight: What the supervised pairs count together.
    """

    def __init__(
        self, homes: TrainingHomes, views: ViewSampler, chosen: Sequence[int], domains: int, room: Room
    ) -> None:
        self.homes_showing, self.positive_weight = torch.zeros(len(FEATURES)), torch.zeros(())
        self._domains = domains
        self._features = ChunkedFeatures(room)
        self._parts: Stored[_Part] = Stored(room, lambda part: part.nbytes)
        self._sums = torch.zeros(2, len(FEATURES), dtype=torch.double)  # of the features and their squares, by share
        self._shares = torch.zeros((), dtype=torch.double)
        vectors, first = [], 0  # [*, dimensions] of the names of each home's triggers
        waiting: list[_Part] = []
        max_rows = rows_within_memory(homes, chosen)
        for h in homes.own(chosen):
            home, blocks = homes.home(h), self._blocks(homes, views, h, max_rows[h])
            of_home, cells = trigger_vectors(home, blocks, domains)
            for number in range(0, len(blocks), 2):  # those of one view
                pairs = ComparedPairs.of(blocks[number : number + 2])
                own = cells[number : number + 2]
                shares = [torch.full((len(cell),), blocks[number].weight / max(1, len(cell))) for cell in own]
                self.positive_weight += pairs.positive_weight
                waiting.append(_Part(pairs, torch.cat(own) + first * domains, torch.cat(shares)))
                if sum(len(part.cell) for part in waiting) >= LOSS_PAIRS:
                    self._put(waiting)
            vectors.append(of_home)
            first += len(of_home)
        self._put(waiting)
        self._features.end()
        self._vectors = torch.cat(vectors) if vectors else torch.zeros(0, 0)

    def _blocks(self, homes: TrainingHomes, views: ViewSampler, h: int, max_rows: int) -> list[Block]:
        """The blocks of all views of one home, two a view, less their features, which are added."""
        shown, found = torch.zeros(len(FEATURES), dtype=torch.bool), []
        for view in (views.new_home(h), *(views.partly_known(h) for _ in range(KNOWN_VIEWS))):
            weight = homes.weight[h] / (KNOWN_VIEWS if len(view.known) else 1)
            for block in views.blocks(h, view, max_rows, FIT_ACTIONS):
                shown |= (block.features != 0).flatten(0, 1).any(0)
                compared = block.features[block.compared]
                self._features.add(compared)
                if len(compared):
                    self._sums += weight * torch.stack([compared.mean(0), compared.square().mean(0)])
                    self._shares += weight
                found.append(block._replace(weight=weight, features=torch.zeros(0)))
        self.homes_showing += shown
        return found

    def _put(self, waiting: list[_Part]) -> None:
        if waiting:
            pairs, cells, shares = zip(*waiting, strict=True)
            part = _Part(ComparedPairs.joined(pairs), torch.cat(cells), torch.cat(shares))
            self._parts.put(len(self._parts), part)
            waiting.clear()

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
        logit = self._features.weighted(weight).add_(bias)
        of_cells = self._meaning(meaning)
        value, gradient_of_cells, first = torch.zeros(()), torch.zeros_like(of_cells), 0
        for part in self._parts.values():
            of_part = logit[first : first + len(part.cell)]
            first += len(part.cell)
            own = (of_part + of_cells.index_select(0, part.cell)).requires_grad_()
            loss = part.pairs.loss(own, whole)
            loss.backward()  # type: ignore[no-untyped-call]
            value += loss.detach()
            of_part.copy_(gradient_of(own))  # in the place of the logits, which are not needed again
            gradient_of_cells.index_add_(0, part.cell, gradient_of(own))
        of_meaning = self._vectors.T @ gradient_of_cells.view(len(self._vectors), self._domains)
        return value, (self._features.transposed(logit), logit.sum(), of_meaning)

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


class ChunkedFeatures:
    """The features of ``k`` pairs, ``[CHUNK_PAIRS, f]`` at a time, of which a ``Room`` holds as many as it can.

    Sums over pairs are sums of the chunks', whether they fit in memory or not: so the result is the same.
    """

    def __init__(self, room: Room) -> None:
        self._chunks: Stored[Tensor] = Stored(room, lambda chunk: chunk.nbytes)
        self._waiting: list[Tensor] = []  # less than a chunk
        self._pairs, self._pairs_waiting = 0, 0

    def add(self, features: Tensor) -> None:
        """Add the ``[*, f]`` features of more pairs."""
        self._waiting.append(features)
        self._pairs += len(features)
        self._pairs_waiting += len(features)
        if self._pairs_waiting >= CHUNK_PAIRS:
            *whole, rest = torch.split(torch.cat(self._waiting), CHUNK_PAIRS)
            if len(rest) == CHUNK_PAIRS:
                whole, rest = [*whole, rest], rest[:0]
            for chunk in whole:
                self._chunks.put(len(self._chunks), chunk.clone())
            self._waiting, self._pairs_waiting = [rest.clone()], len(rest)

    def end(self) -> None:
        """Say that all pairs are added."""
        if self._pairs_waiting or not self._chunks:
            self._chunks.put(len(self._chunks), torch.cat([torch.zeros(0, len(FEATURES)), *self._waiting]))
        self._waiting = []

    def weighted(self, weight: Tensor) -> Tensor:
        """``[k]`` sums of the features times their ``[f]`` weights."""
        found = torch.empty(self._pairs)
        for part, chunk in zip(torch.split(found, CHUNK_PAIRS), self._chunks.values(), strict=True):
            torch.mv(chunk, weight, out=part)
        return found

    def transposed(self, values: Tensor) -> Tensor:
        """``[f]`` sums over pairs of the features times ``[k]`` values."""
        parts = torch.split(values, CHUNK_PAIRS)
        # From the last one on, which is still in memory.
        sums = [self._chunks[number].T @ parts[number] for number in reversed(range(len(parts)))]
        return torch.stack(sums[::-1]).sum(0)
