#!/usr/bin/env python3
"""Homes joined into one graph by hand (``training.synergy.network.collate``) and by PyG's HeteroData and Batch.

Both give the same tensors, which is checked. The time of the join, and that of a step (join, message passing, backward
pass), are the shortest of alternating runs, on one thread.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from torch_geometric.data import Batch, HeteroData

from data_sources import Home, open_source
from simulation.homes import simulate_home
from training.synergy.encoded_home import EncodedHome
from training.synergy.graph import Ints, build_graph
from training.synergy.network import HUBS, GraphBatch, SynergyNetwork, collate
from training.synergy.vocabulary import Vocabulary


def to_data(home: EncodedHome, known: Ints) -> HeteroData:
    """A home as PyG holds one: node types with their tensors, edge types with their index."""
    data, size = HeteroData(), home.graph.size
    drives = torch.from_numpy(np.ascontiguousarray(known.T))
    data["entity", "drives", "entity"].edge_index = drives
    placed = []
    for hub in HUBS:
        edges = torch.from_numpy(home.graph.edges[hub])
        data["entity", "in", hub].edge_index = edges
        data[hub].degree = torch.bincount(edges[1], minlength=home.graph.hubs[hub]).float()
        placed.append(torch.bincount(edges[0], minlength=size).float())
        data[hub].num_nodes = home.graph.hubs[hub]
    entity = data["entity"]
    entity.num_nodes = size
    entity.domain, entity.entity_class = torch.from_numpy(home.domain), torch.from_numpy(home.entity_class)
    entity.numbers = torch.stack(
        [
            *placed,
            torch.log1p(torch.bincount(drives[0], minlength=size).float()),
            torch.log1p(torch.bincount(drives[1], minlength=size).float()),
            torch.from_numpy(home.can_act).float(),
            torch.full((size,), float(size)).log() / 5,
        ],
        dim=1,
    )
    return data


def collate_by_pyg(homes: Sequence[EncodedHome], known: Sequence[Ints]) -> GraphBatch:
    """What ``collate`` gives, by ``Batch.from_data_list``."""
    batch = Batch.from_data_list([to_data(home, pairs) for home, pairs in zip(homes, known, strict=True)])
    entity, drives = batch["entity"], batch["entity", "drives", "entity"].edge_index
    edges = {hub: batch["entity", "in", hub].edge_index for hub in HUBS}
    degrees = {hub: batch[hub].degree for hub in HUBS}
    offsets = tuple(entity.ptr[:-1].tolist())
    edges |= {"drives": drives, "driven_by": drives.flip(0)}
    return GraphBatch(entity.domain, entity.entity_class, entity.numbers, edges, degrees, offsets)


def step(how: Callable[..., GraphBatch], network: SynergyNetwork, homes: Any, known: Any) -> None:
    """Join, message passing and backward pass."""
    network.encode(how(homes, known)).square().mean().backward()


@click.command()
@click.option(
    "--repeat",
    type=click.IntRange(1),
    default=15,
    show_default=True,
    help="How often each is measured; the fastest counts.",
)
def main(repeat: int) -> None:
    """Compare both on generated homes: as many as in a training step, large ones, and one alone as it is scored."""
    torch.set_num_threads(1)
    print(f"{'homes':>6}{'entities each':>15}{'join by hand':>14}{'by PyG':>9}{'ratio':>7}{'step':>9}{'ratio':>7}")
    for count, entities in ((32, 40), (32, 250), (4, 2_000), (1, 250)):
        graphs = [build_graph(home) for home in generated(count, entities)]
        vocabulary = Vocabulary.of(graphs, [np.ones(len(graph.pairs), dtype=bool) for graph in graphs])
        homes, known = [EncodedHome(graph, vocabulary, ()) for graph in graphs], [graph.pairs for graph in graphs]
        check_equal(collate(homes, known), collate_by_pyg(homes, known))
        network = SynergyNetwork(len(vocabulary.domains) + 1, len(vocabulary.classes) + 1, hidden_dim=64, num_layers=2)
        joins = [partial(how, homes, known) for how in (collate, collate_by_pyg)]
        steps = [partial(step, how, network, homes, known) for how in (collate, collate_by_pyg)]
        by_hand, by_pyg, step_by_hand, step_by_pyg = shortest([*joins, *steps], repeat)
        print(
            f"{count:>6}{entities:>15}{by_hand:>11.2f} ms{by_pyg:>6.2f} ms{by_pyg / by_hand:>7.2f}"
            f"{step_by_hand:>6.1f} ms{step_by_pyg / step_by_hand:>7.2f}"
        )


def generated(count: int, entities: int) -> list[Home]:
    """Generated homes of so many entities each."""
    rows = [simulate_home(1, index, entities=entities, pairs=entities // 3) for index in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "homes.json"
        path.write_text(json.dumps(rows))
        return list(open_source(json_input=str(path)).read(Home))


def shortest(runs: Sequence[Callable[[], object]], repeat: int) -> list[float]:
    """Milliseconds of each; they alternate, so that a busy machine slows all of them."""
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(repeat):
        for run, own in zip(runs, seconds, strict=True):
            started = time.perf_counter()
            run()
            own.append(time.perf_counter() - started)
    return [1e3 * min(own) for own in seconds]


def check_equal(one: GraphBatch, other: GraphBatch) -> None:
    """Stop where the two batches differ."""
    assert one.offsets == other.offsets
    assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("domain", "entity_class", "numbers"))
    assert all(torch.equal(one.edges[name], other.edges[name]) for name in one.edges)
    assert all(torch.equal(one.degrees[hub], other.degrees[hub]) for hub in HUBS)


if __name__ == "__main__":
    main()
