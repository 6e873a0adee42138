"""Homes and their graphs, of which as many are in memory as a ``Room`` holds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from data_sources import DataSource, Home
from training.runs.stored import InOrder, Room, Stored
from training.synergy.graph import HomeGraph, build_graph


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
