"""Homes and their graphs, of which as many are in memory as a ``Room`` holds, and what these and others take there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from data_sources import DataSource, Home
from training.runs.stored import InOrder, Room, Stored
from training.synergy.graph import HomeGraph, build_graph

if TYPE_CHECKING:  # torch takes seconds, and reading homes needs none
    from training.synergy.encoded_home import EncodedHome
    from training.synergy.views import Block


class ReadHomes(NamedTuple):
    """The homes of a source by their ids, for no source promises an order.

    Attributes:
        stored: The homes by their number in the source.
        places: These numbers in the order of the ids.
    """

    stored: Stored[Home]
    places: list[int]

    @classmethod
    def of(cls, source: DataSource, room: Room) -> ReadHomes:
        """Read all homes. Raises DataSourceError."""
        stored, ids = Stored(room, _bytes_of_home), list[str]()
        for home in source.read(Home):
            stored.put(len(ids), home)
            ids.append(home.home_id)
        return cls(stored, sorted(range(len(ids)), key=ids.__getitem__))

    @property
    def homes(self) -> InOrder[Home]:
        """The homes in the order of their ids."""
        return InOrder(self.stored, self.places)

    def replace(self, place: int, home: Home) -> None:
        """Put another home in the place of one of ``homes``."""
        self.stored.put(self.places[place], home)


def graphs_of(homes: Iterable[Home], room: Room) -> InOrder[HomeGraph]:
    """The graph of each home."""
    graphs: Stored[HomeGraph] = Stored(room, bytes_of_graph)
    for number, home in enumerate(homes):
        graphs.put(number, build_graph(home))
    return InOrder(graphs, range(len(graphs)))


# What objects of Python take, measured with tracemalloc on homes of 40 entities.
def bytes_of_graph(graph: HomeGraph) -> int:
    """About how many bytes a graph takes in memory."""
    return 650 * graph.size + 200 * len(graph.pairs)


def _bytes_of_home(home: Home) -> int:
    return 1_200 * (len(home.entities) + len(home.synergies))


def bytes_of_encoded(home: EncodedHome) -> int:
    """About how many bytes a home as the model reads it takes in memory, beside its graph."""
    vectors = 0 if home.name_vectors is None else 2 * home.name_vectors.rows.nbytes
    return 1_000 * home.graph.size + vectors


def bytes_of_blocks(blocks: Iterable[Block]) -> int:
    """About how many bytes blocks of pairs take in memory."""
    return sum(block.features.nbytes + 10 * block.positive.numel() for block in blocks)
