"""The graph network: entity vectors by message passing, and a pair's score from its features and both vectors.

Homes are joined into one graph by hand: PyG's HeteroData and Batch take 2 to 6 times as long, which makes a step on 32
small homes 1.3 to 1.5 times as long, and save little code (benchmarks/graph_batching.py).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from training.synergy.encoded_home import EncodedHome
from training.synergy.features import FEATURES, STARTING_WEIGHTS
from training.synergy.graph import Ints
from training.synergy.pair_statistics import check_finite
from training.synergy.vocabulary import Vocabulary

HUBS = ("area", "device", "token")
KNOWN = ("drives", "driven_by")  # known pairs as edges, in both directions
ENTITY_NUMBERS = 7  # columns of GraphBatch.numbers
DROPOUT = 0.2
CACHED_PAIRS = 4_096  # whose correction is computed at a time in evaluation mode

Convolution = Callable[[int], nn.Module]  # from a width to a layer that is called as ``MeanConvolution`` is


@dataclass(frozen=True)
class GraphBatch:
    """Several homes as one graph without edges between homes: ``n`` entities in all.

    Attributes:
        domain: ``[n]`` index of each entity's domain in the vocabulary.
        entity_class: ``[n]`` index of each entity's class in the vocabulary.
        numbers: ``[n, ENTITY_NUMBERS]`` how many hubs of each type an entity has, log1p of how many known pairs start
            and end at it, whether it can act, and a fifth of the log of its home's size.
        edges: Hub type -> ``[2, e]`` of (entity, hub), used in both directions; ``KNOWN`` -> ``[2, e]`` of entities.
        degrees: Hub type -> ``[m]`` number of entities of each hub.
        offsets: Index of each home's first entity.
    """

    domain: Tensor
    entity_class: Tensor
    numbers: Tensor
    edges: dict[str, Tensor]
    degrees: dict[str, Tensor]
    offsets: tuple[int, ...]

    def to(self, device: torch.device) -> GraphBatch:
        """The same on another device."""
        return replace(
            self,
            domain=self.domain.to(device),
            entity_class=self.entity_class.to(device),
            numbers=self.numbers.to(device),
            edges={name: edges.to(device) for name, edges in self.edges.items()},
            degrees={hub: degrees.to(device) for hub, degrees in self.degrees.items()},
        )


def collate(homes: Sequence[EncodedHome], known: Sequence[Ints]) -> GraphBatch:
    """Join homes into one graph.

    Args:
        homes: The homes.
        known: For each home the ``[e, 2]`` pairs (trigger, action) that carry messages.
    """
    sizes = [home.graph.size for home in homes]
    offsets, n = _offsets(sizes), sum(sizes)
    edges: dict[str, Tensor] = {}
    degrees, hubs_of_entity = {}, []
    for hub in HUBS:
        counts = [home.graph.hubs[hub] for home in homes]
        shifts = [torch.tensor(shift).unsqueeze(1) for shift in zip(offsets, _offsets(counts), strict=True)]
        index = [torch.from_numpy(home.graph.edges[hub]) + shift for home, shift in zip(homes, shifts, strict=True)]
        edges[hub] = torch.cat(index, dim=1)
        hubs_of_entity.append(torch.bincount(edges[hub][0], minlength=n).float())
        degrees[hub] = torch.bincount(edges[hub][1], minlength=sum(counts)).float()
    drives = torch.cat([torch.from_numpy(pairs.T) + start for pairs, start in zip(known, offsets, strict=True)], dim=1)
    edges["drives"], edges["driven_by"] = drives, drives.flip(0)
    size_of_home = torch.tensor(sizes).repeat_interleave(torch.tensor(sizes)).float()
    numbers = torch.stack(
        [
            *hubs_of_entity,
            torch.log1p(torch.bincount(drives[0], minlength=n).float()),
            torch.log1p(torch.bincount(drives[1], minlength=n).float()),
            torch.cat([torch.from_numpy(home.can_act).float() for home in homes]),
            torch.log(size_of_home) / 5,
        ],
        dim=1,
    )
    return GraphBatch(
        domain=torch.cat([torch.from_numpy(home.domain) for home in homes]),
        entity_class=torch.cat([torch.from_numpy(home.entity_class) for home in homes]),
        numbers=numbers,
        edges=edges,
        degrees=degrees,
        offsets=offsets,
    )


def _offsets(counts: Sequence[int]) -> tuple[int, ...]:
    """Where each of consecutive parts begins."""
    return tuple(np.cumsum([0, *counts[:-1]]).tolist())


class MeanConvolution(nn.Module):
    """The mean convolution of GraphSAGE (Hamilton et al., 2017): a node's own vector, and the mean of its neighbours'.

    It computes what PyG's ``SAGEConv`` does and has its parameters' names, so a network that was trained with PyG runs
    without it: importing PyG takes longer than scoring a home.

    Args:
        dim: Width of the vectors.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.lin_l = nn.Linear(dim, dim)
        self.lin_r = nn.Linear(dim, dim, bias=False)

    def forward(self, nodes: Tensor | tuple[Tensor, Tensor], edges: Tensor) -> Tensor:
        """``[m, dim]`` from sources ``[n, dim]``, targets ``[m, dim]`` (or both in one) and ``[2, e]`` edges."""
        source, target = nodes if isinstance(nodes, tuple) else (nodes, nodes)
        neighbours = target.new_zeros(target.shape).index_add_(0, edges[1], source[edges[0]])
        count = torch.bincount(edges[1], minlength=len(target)).clamp_min(1).unsqueeze(1)
        combined: Tensor = self.lin_l(neighbours / count) + self.lin_r(target)
        return combined


class _Layer(nn.Module):
    """One round of messages: entities to their hubs, then hubs and known pairs to entities."""

    def __init__(self, dim: int, convolution: Convolution) -> None:
        super().__init__()
        self.gather = nn.ModuleDict({hub: convolution(dim) for hub in HUBS})
        self.spread = nn.ModuleDict({source: convolution(dim) for source in (*HUBS, *KNOWN)})
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, nodes: dict[str, Tensor], edges: dict[str, Tensor], kept: Tensor | None = None
    ) -> dict[str, Tensor]:
        entity = nodes["entity"]
        hubs = {hub: nodes[hub] + torch.relu(self.gather[hub]((entity, nodes[hub]), edges[hub])) for hub in HUBS}
        messages = [self.spread[hub]((hubs[hub], entity), edges[hub].flip(0)) for hub in HUBS]
        messages += [self.spread[name](entity, edges[name]) for name in KNOWN]
        update = torch.relu(torch.stack(messages).mean(0))
        if kept is not None:
            update = update * kept / (1 - DROPOUT)
        return {**hubs, "entity": self.norm(entity + update)}


class SynergyNetwork(nn.Module):
    """Scores directed pairs of entities. No parameter belongs to a node, so it can score any home.

    The logit of a pair is the weighted sum of its features plus a correction that is computed from the features and
    from the vectors of both entities. The last layer of the correction starts at zero: before the first training step
    the network is the weighted sum alone, and validation decides whether the correction is kept.

    Args:
        domains: Number of domains in the vocabulary, and one for unknown domains.
        classes: Number of classes in the vocabulary, and one for unknown classes.
        hidden_dim: Width of all hidden vectors.
        num_layers: Rounds of message passing.
        convolution: Makes its convolutions.

    Attributes:
        evidence_weight: ``[f]`` weights of the features.
        evidence_mean: ``[f]`` means of the features over training pairs.
        evidence_scale: ``[f]`` standard deviations of the features over training pairs.
    """

    def __init__(
        self,
        domains: int,
        classes: int,
        hidden_dim: int,
        num_layers: int,
        convolution: Convolution = MeanConvolution,
    ) -> None:
        super().__init__()
        # "evidence" stands for the features in the keys of the state dict.
        self.evidence_weight = nn.Parameter(torch.tensor(list(STARTING_WEIGHTS.values())))
        self.bias = nn.Parameter(torch.zeros(()))
        self.register_buffer("evidence_mean", torch.zeros(len(FEATURES)))
        self.register_buffer("evidence_scale", torch.ones(len(FEATURES)))
        self.evidence_mean: Tensor
        self.evidence_scale: Tensor

        self.domain = nn.Embedding(domains, hidden_dim)
        self.entity_class = nn.Embedding(classes, hidden_dim)
        nn.init.normal_(self.domain.weight, std=0.3)
        nn.init.normal_(self.entity_class.weight, std=0.3)
        self.numbers = nn.Linear(ENTITY_NUMBERS, hidden_dim)
        self.hubs = nn.ModuleDict({hub: nn.Linear(1, hidden_dim) for hub in HUBS})
        self.layers = nn.ModuleList(_Layer(hidden_dim, convolution) for _ in range(num_layers))
        # The first layer of the correction reads trigger, action, their product and the features.
        self.trigger = nn.Linear(hidden_dim, hidden_dim)
        self.action = nn.Linear(hidden_dim, hidden_dim)
        self.from_trigger = nn.Linear(hidden_dim, hidden_dim)
        self.from_action = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.from_product = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.from_evidence = nn.Linear(len(FEATURES), hidden_dim, bias=False)
        self.correction = nn.Linear(hidden_dim, 1, bias=False)
        nn.init.zeros_(self.correction.weight)

    def dropout_masks(self, sizes: Sequence[int], generators: Sequence[torch.Generator]) -> Tensor:
        """``[layers, n, hidden_dim]`` masks for ``encode``: of each home ``sizes`` entities by its own generator."""
        layers, dim = len(self.layers), self.trigger.in_features
        return torch.cat([_kept((layers, size, dim), own) for size, own in zip(sizes, generators, strict=True)], dim=1)

    def encode(self, batch: GraphBatch, kept: Tensor | None = None) -> Tensor:
        """``[n, hidden_dim]`` vectors of the entities of a batch. ``kept`` are ``dropout_masks``, for training."""
        nodes = {hub: self.hubs[hub](torch.log1p(batch.degrees[hub]).unsqueeze(1)) for hub in HUBS}
        nodes["entity"] = (
            self.domain(batch.domain) + self.entity_class(batch.entity_class) + self.numbers(batch.numbers)
        )
        for number, layer in enumerate(self.layers):
            nodes = layer(nodes, batch.edges, None if kept is None else kept[number])
        entity: Tensor = nodes["entity"]
        return entity

    def forward(
        self,
        entity: Tensor,
        triggers: Tensor,
        actions: Tensor,
        features: Tensor,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Logits of a block of pairs.

        Args:
            entity: ``[n, hidden_dim]`` vectors from ``encode``.
            triggers: ``[t]`` indexes into ``entity``.
            actions: ``[a]`` indexes into ``entity``.
            features: ``[t, a, f]``.
            generator: Draws what is dropped, in training.

        Returns:
            ``[t, a]`` logits.
        """
        logit: Tensor = features @ self.evidence_weight + self.bias
        if not self.training and not self.correction.weight.any():
            return logit
        trigger, action = self.trigger(entity[triggers]), self.action(entity[actions])
        if self.training:
            return logit + self._correction(trigger, action, features, generator)
        # A few triggers at a time, so that intermediate results stay in the processor's cache.
        step = max(1, CACHED_PAIRS // max(1, len(actions)))
        starts = range(0, len(trigger), step)
        parts = [self._correction(trigger[i : i + step], action, features[i : i + step]) for i in starts]
        return logit + torch.cat(parts) if parts else logit

    def _correction(
        self, trigger: Tensor, action: Tensor, features: Tensor, generator: torch.Generator | None = None
    ) -> Tensor:
        """``[t, a]`` from ``[t, hidden_dim]``, ``[a, hidden_dim]`` and ``[t, a, f]``.

        Standardising the features is folded into their weights, and the product of trigger and action into a matrix for
        each trigger, so that the hidden layer is the only tensor of shape ``[t, a, hidden_dim]``.
        """
        weight = self.from_evidence.weight / self.evidence_scale
        of_trigger = self.from_trigger(trigger) - weight @ self.evidence_mean
        by_trigger = trigger.unsqueeze(2) * self.from_product.weight.t() + self.from_action.weight.t()
        hidden = functional.linear(features, weight) + of_trigger.unsqueeze(1)
        hidden = torch.baddbmm(hidden, action.expand(len(trigger), -1, -1), by_trigger)
        hidden = torch.relu(hidden)
        if self.training:
            hidden = hidden * _kept(hidden.shape, generator)
        correction: Tensor = self.correction(hidden).squeeze(2)
        if self.training:
            correction = correction / (1 - DROPOUT)
        return correction


def _kept(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
    """A mask of what dropout keeps. It is of bytes, for a step holds those of all its pairs."""
    device = None if generator is None else generator.device
    return torch.empty(*shape, dtype=torch.bool, device=device).bernoulli_(1 - DROPOUT, generator=generator)


def network_of(vocabulary: Vocabulary, hidden_dim: int, num_layers: int, state: Mapping[str, Tensor]) -> SynergyNetwork:
    """The network of a model file. Raises what torch does where ``state`` does not fit, ValueError for nan in it."""
    domains, classes = len(vocabulary.domains) + 1, len(vocabulary.classes) + 1
    if tuple(state["domain.weight"].shape) != (domains, hidden_dim):  # before memory is taken for what the file names
        raise ValueError(f"the network has another size than {domains} domains and {hidden_dim} dimensions")
    with torch.random.fork_rng(devices=[]):  # the constructor draws weights, which are replaced
        network = SynergyNetwork(domains, classes, hidden_dim, num_layers)
    network.load_state_dict(state)
    check_finite("network", network.state_dict())
    return network
