"""Fit the weights of the features, before the graph network is trained.

The weights minimise the ranking loss over views of all homes, with an L2 penalty on their distance from where they
start. The vectors of names have too many numbers to be features. Their weights, one for each number and domain of the
action, are fitted together with those of the features, and their sum then becomes the feature ``trigger_meaning``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

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
CHUNK_PAIRS = 16_384  # whose features are in memory at a time where those of all do not fit
LOSS_PAIRS = 65_536  # about; whose intermediate results are in memory at a time
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
    max_rows = rows_within_memory(homes, chosen)
    shown: dict[int, Tensor] = {}  # home -> [f] mask of the features that differ from 0 in it
    fitted: list[tuple[int, Block]] = []  # home and block, less its large parts
    features = ChunkedFeatures(room)

    def blocks() -> Iterator[Block]:
        for h in homes.own(chosen):
            for view in (views.new_home(h), *(views.partly_known(h) for _ in range(KNOWN_VIEWS))):
                for block in views.blocks(h, view, max_rows[h], FIT_ACTIONS):
                    block = block._replace(weight=block.weight / KNOWN_VIEWS if len(view.known) else block.weight)
                    compared, none = block.compared, torch.zeros(())
                    features.add(block.features[compared])
                    kept = block._replace(positive=none, negative=compared, dismissed=none, features=none)
                    fitted.append((h, kept))
                    shown[h] = shown.get(h, torch.zeros(len(FEATURES), dtype=torch.bool)) | (
                        block.features != 0
                    ).flatten(0, 1).any(0)
                    yield block

    pairs = ComparedPairs.of(blocks())
    features.end()
    homes_showing = torch.stack([torch.zeros(len(FEATURES), dtype=torch.bool), *shown.values()]).sum(0).float()
    whole = pairs.positive_weight
    add_up(homes_showing, whole)
    free = (homes_showing >= min(MIN_HOMES_OF_FEATURE, len(chosen))).float()
    sizes = ((block, int(block.compared.sum())) for _, block in fitted)
    share = torch.cat([torch.zeros(0), *(torch.full((size,), block.weight / max(1, size)) for block, size in sizes)])
    sum_of_shares = share.sum()
    add_up(sum_of_shares)
    share /= sum_of_shares
    scale = _set_moments(network, features, share)

    weight, meaning = start.features.clone().requires_grad_(), start.meaning.clone().requires_grad_()
    bias = torch.full((), STARTING_BIAS, requires_grad=True)
    vectors, cell = trigger_vectors(homes, fitted, *start.meaning.shape)
    l2 = min(1.0, L2_PAIRS / sum(len(rows) for rows in homes.positives.values()))
    optimizer = torch.optim.LBFGS([weight, bias, meaning], max_iter=50, line_search_fn="strong_wolfe")

    def trigger_meaning() -> Tensor:
        return (vectors @ meaning).flatten()[cell] if len(meaning) else torch.zeros(())

    def loss() -> Tensor:
        optimizer.zero_grad()
        penalty = FEATURE_L2 * ((weight - start.features) * scale).square().sum()
        penalty = penalty + MEANING_L2 * (meaning - start.meaning).square().sum()
        penalty = l2 * penalty + BIAS_L2 * bias.square()
        logit = features.weighted(weight) + bias + trigger_meaning()
        value, gradients = torch.zeros(()), [torch.zeros(0)]
        for place, part in pairs.parts(LOSS_PAIRS):
            own = logit.detach()[place].requires_grad_()
            of_part = part.loss(own, whole)
            of_part.backward()  # type: ignore[no-untyped-call]
            value += of_part.detach()
            gradients.append(gradient_of(own))
        logit.backward(torch.cat(gradients))  # type: ignore[no-untyped-call]
        add_up(value, *(gradient_of(part) for part in (weight, bias, meaning)))  # of all processes' homes
        penalty.backward()  # type: ignore[no-untyped-call]
        assert weight.grad is not None
        weight.grad *= free
        return value + penalty.detach()

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        network.evidence_weight.copy_(weight)
        network.bias.copy_(bias)
        fitted_meaning = trigger_meaning()
    statistics.set_meaning(meaning.detach())
    _set_moments(network, features, share, fitted_meaning)


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


class ChunkedFeatures:
    """The features of ``k`` pairs, ``[CHUNK_PAIRS, f]`` at a time, of which a ``Room`` holds as many as it can.

    Sums over pairs are sums of the chunks', whether they fit in memory or not: so the result is the same.
    """

    def __init__(self, room: Room) -> None:
        self._chunks: Stored[Tensor] = Stored(room, lambda chunk: chunk.nbytes)
        self._waiting: list[Tensor] = []  # less than a chunk
        self._pairs = 0

    def add(self, features: Tensor) -> None:
        """Add the ``[*, f]`` features of more pairs."""
        self._waiting.append(features)
        self._pairs += len(features)
        if self._pairs >= CHUNK_PAIRS:
            *whole, rest = torch.split(torch.cat(self._waiting), CHUNK_PAIRS)
            if len(rest) == CHUNK_PAIRS:
                whole, rest = [*whole, rest], rest[:0]
            for chunk in whole:
                self._chunks.put(len(self._chunks), chunk.clone())
            self._waiting, self._pairs = [rest.clone()], len(rest)

    def end(self) -> None:
        """Say that all pairs are added."""
        if self._pairs or not self._chunks:
            self._chunks.put(len(self._chunks), torch.cat([torch.zeros(0, len(FEATURES)), *self._waiting]))
        self._waiting = []

    def weighted(self, weight: Tensor) -> Tensor:
        """``[k]`` sums of the features times their ``[f]`` weights."""
        values: Tensor = _Weighted.apply(weight, self._chunks)  # type: ignore[no-untyped-call]
        return values

    def parts(self, values: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """The features of each chunk, and those of ``[k]`` values that are its pairs'."""
        yield from zip(self._chunks.values(), torch.split(values, CHUNK_PAIRS), strict=True)


class _Weighted(torch.autograd.Function):
    """Features times weights, a chunk at a time in both directions; autograd by itself would keep all chunks."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, chunks: Mapping[int, Tensor]) -> Tensor:
        ctx.chunks = chunks
        return torch.cat([chunk @ weight for chunk in chunks.values()])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        parts = torch.split(gradients[0], CHUNK_PAIRS)
        # From the last one on, which is still in memory.
        sums = [ctx.chunks[number].T @ parts[number] for number in reversed(range(len(parts)))]
        return torch.stack(sums[::-1]).sum(0), None


def _set_moments(
    network: SynergyNetwork, features: ChunkedFeatures, share: Tensor, meaning: Tensor | None = None
) -> Tensor:
    """Set the network's mean and standard deviation of each feature, and return the ``[f]`` standard deviations.

    They are those of the pairs of all processes. ``share`` are ``[k]`` weights of the pairs of this one; those of all
    have a sum of 1. ``meaning`` are the ``[k]`` values of ``trigger_meaning``, which are fitted.
    """
    means, squares, first = [], [], 0
    for rows, part in features.parts(share):
        if meaning is not None:
            own = meaning if meaning.dim() == 0 else meaning[first : first + len(rows)]
            rows = rows.clone()
            column(rows, "trigger_meaning").copy_(own)
        means.append(part @ rows)
        squares.append(part @ rows.square())
        first += len(rows)
    mean, square = torch.stack(means).sum(0), torch.stack(squares).sum(0)
    add_up(mean, square)
    scale = (square - mean.square()).clamp_min(0).sqrt()
    network.evidence_mean.copy_(mean)
    network.evidence_scale.copy_(scale.clamp_min(MIN_SCALE))
    return scale
