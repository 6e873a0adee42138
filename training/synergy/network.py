"""The graph network: entity vectors by message passing, and a pair's score from its features and both vectors.

Homes are joined into one graph by hand: PyG's HeteroData and Batch take 3 to 6 times as long, which makes a step on
small homes 1.3 times as long, and save little code (benchmarks/graph_batching.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import SAGEConv

from training.synergy.encoded_home import EncodedHome
from training.synergy.features import FEATURES, STARTING_WEIGHTS
from training.synergy.graph import Ints

HUBS = ("area", "device", "token")
KNOWN = ("drives", "driven_by")  # known synergies, in both directions
ENTITY_NUMBERS = 7  # columns of GraphBatch.numbers
DROPOUT = 0.2
CACHED_PAIRS = 4_096  # whose correction is computed at a time when scoring


@dataclass(frozen=True)
class GraphBatch:
    """Several homes as one graph of separate parts.

    Attributes:
        domain, entity_class: ``[n]`` vocabulary indexes of all entities.
        numbers: ``[n, ENTITY_NUMBERS]`` how an entity is placed and wired, as logarithms of counts and shares.
        edges: Hub type -> ``[2, e]`` of (entity, hub), used both ways; ``KNOWN`` -> ``[2, e]`` of (from, to) entities.
        degrees: Hub type -> ``[m]`` number of entities that each hub joins.
        offsets: First entity of each home.
    """

    domain: Tensor
    entity_class: Tensor
    numbers: Tensor
    edges: dict[str, Tensor]
    degrees: dict[str, Tensor]
    offsets: tuple[int, ...]


def collate(homes: Sequence[EncodedHome], known: Sequence[Ints]) -> GraphBatch:
    """Join homes; ``known[i]`` is ``[e, 2]``, the pairs (trigger, action) of home ``i`` that carry messages."""
    offsets, hub_offsets = [0], {hub: [0] for hub in HUBS}
    for home in homes:
        offsets.append(offsets[-1] + home.graph.size)
        for hub in HUBS:
            hub_offsets[hub].append(hub_offsets[hub][-1] + home.graph.hubs[hub])
    n = offsets[-1]

    edges: dict[str, Tensor] = {}
    degrees, placed = {}, []
    for hub in HUBS:
        index = torch.cat(
            [
                torch.from_numpy(home.graph.edges[hub]) + torch.tensor([[offsets[i]], [hub_offsets[hub][i]]])
                for i, home in enumerate(homes)
            ],
            dim=1,
        )
        edges[hub] = index
        degrees[hub] = torch.bincount(index[1], minlength=hub_offsets[hub][-1]).float()
        placed.append(torch.bincount(index[0], minlength=n).float())
    drives = torch.cat([torch.from_numpy(pairs.T) + offsets[i] for i, pairs in enumerate(known)], dim=1)
    edges["drives"], edges["driven_by"] = drives, drives.flip(0)

    sizes = torch.tensor([float(home.graph.size) for home in homes])
    size_of_entity = sizes.repeat_interleave(sizes.long())
    numbers = torch.stack(
        [
            *placed,
            torch.log1p(torch.bincount(drives[0], minlength=n).float()),
            torch.log1p(torch.bincount(drives[1], minlength=n).float()),
            torch.cat([torch.from_numpy(home.can_act).float() for home in homes]),
            torch.log(size_of_entity) / 5,
        ],
        dim=1,
    )
    return GraphBatch(
        torch.cat([torch.from_numpy(home.domain) for home in homes]),
        torch.cat([torch.from_numpy(home.entity_class) for home in homes]),
        numbers,
        edges,
        degrees,
        tuple(offsets[:-1]),
    )


class _Layer(nn.Module):
    """Entities tell their hubs, then hubs and known synergies tell entities: linear in entities and pairs."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.gather = nn.ModuleDict({hub: SAGEConv(dim, dim) for hub in HUBS})
        self.spread = nn.ModuleDict({source: SAGEConv(dim, dim) for source in (*HUBS, *KNOWN)})
        self.norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, nodes: dict[str, Tensor], edges: dict[str, Tensor]) -> dict[str, Tensor]:
        entity = nodes["entity"]
        told = {hub: nodes[hub] + torch.relu(self.gather[hub]((entity, nodes[hub]), edges[hub])) for hub in HUBS}
        messages = [self.spread[hub]((told[hub], entity), edges[hub].flip(0)) for hub in HUBS]
        messages += [self.spread[name](entity, edges[name]) for name in KNOWN]
        update = self.dropout(torch.relu(torch.stack(messages).mean(0)))
        return {**told, "entity": self.norm(entity + update)}


class SynergyNetwork(nn.Module):
    """Directed link scores. No parameter belongs to a node, so any home can be scored.

    The logit is a weighted sum of the features plus a correction whose last layer starts at zero: before the first
    step the network is the weighted sum alone, and validation decides whether the correction earns its place.
    """

    def __init__(self, domains: int, classes: int, hidden_dim: int, num_layers: int) -> None:
        super().__init__()
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
        self.layers = nn.ModuleList(_Layer(hidden_dim) for _ in range(num_layers))
        # The correction's first layer reads trigger, action, their product and the features.
        self.trigger = nn.Linear(hidden_dim, hidden_dim)
        self.action = nn.Linear(hidden_dim, hidden_dim)
        self.from_trigger = nn.Linear(hidden_dim, hidden_dim)
        self.from_action = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.from_product = nn.Linear(hidden_dim, hidden_dim, bias=False)
        self.from_evidence = nn.Linear(len(FEATURES), hidden_dim, bias=False)
        self.dropout = nn.Dropout(DROPOUT)
        self.correction = nn.Linear(hidden_dim, 1, bias=False)
        nn.init.zeros_(self.correction.weight)

    def encode(self, batch: GraphBatch) -> Tensor:
        """``[n, hidden_dim]`` entity vectors."""
        nodes = {hub: self.hubs[hub](torch.log1p(batch.degrees[hub]).unsqueeze(1)) for hub in HUBS}
        nodes["entity"] = (
            self.domain(batch.domain) + self.entity_class(batch.entity_class) + self.numbers(batch.numbers)
        )
        for layer in self.layers:
            nodes = layer(nodes, batch.edges)
        entity: Tensor = nodes["entity"]
        return entity

    def forward(self, entity: Tensor, triggers: Tensor, actions: Tensor, features: Tensor) -> Tensor:
        """``[t, a]`` logits, given ``[n, hidden_dim]`` vectors, ``[t]`` and ``[a]`` indexes, ``[t, a, f]``."""
        logit: Tensor = features @ self.evidence_weight + self.bias
        if not self.training and not self.correction.weight.any():
            return logit  # the features alone
        left, right = self.trigger(entity[triggers]), self.action(entity[actions])
        if self.training:
            return logit + self._correction(left, right, features)
        # A few triggers at a time, so that what is in between stays in the processor's cache.
        step = max(1, CACHED_PAIRS // max(1, len(actions)))
        parts = (self._correction(left[i : i + step], right, features[i : i + step]) for i in range(0, len(left), step))
        return logit + torch.cat(list(parts)) if len(left) else logit

    def _correction(self, left: Tensor, right: Tensor, features: Tensor) -> Tensor:
        """``[t, a]`` from ``[t, hidden_dim]``, ``[a, hidden_dim]`` and the features.

        The scale of the features goes into their weights, and left x right into a matrix for each trigger: nothing of
        ``[t, a, hidden_dim]`` is made but the layer itself.
        """
        weight = self.from_evidence.weight / self.evidence_scale
        of_trigger = self.from_trigger(left) - weight @ self.evidence_mean
        by_trigger = left.unsqueeze(2) * self.from_product.weight.t() + self.from_action.weight.t()
        hidden = functional.linear(features, weight) + of_trigger.unsqueeze(1)
        hidden = torch.baddbmm(hidden, right.expand(len(left), -1, -1), by_trigger)
        correction: Tensor = self.correction(self.dropout(torch.relu(hidden))).squeeze(2)
        return correction
