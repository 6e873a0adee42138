"""The texts that a model knows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from training.synergy.graph import HomeGraph, Ints
from training.synergy.same_homes import find_same_homes

MIN_WORD_PAIRS = 2  # a word is kept where entities that have it are in this many training pairs

Table = Literal["domains", "classes", "words"]
TABLES: tuple[Table, ...] = ("domains", "classes", "words")


@dataclass(frozen=True)
class Vocabulary:
    """Texts with an index each. Indexes start at 1 in every table; 0 stands for all texts that it does not have.

    Attributes:
        domains: Domains of entities, sorted.
        classes: Classes ``domain:device_class``, sorted.
        words: Words of names, sorted.
    """

    domains: tuple[str, ...]
    classes: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def read(cls, tables: Mapping[str, Iterable[str]]) -> Vocabulary:
        """The vocabulary that a model file holds. Raises TypeError where it is none."""
        read = {name: tuple(texts) for name, texts in tables.items()}
        for name, texts in read.items():
            if not all(isinstance(text, str) for text in texts) or len(set(texts)) < len(texts):
                raise TypeError(f"vocabulary: {name} are no distinct texts")
        return cls(**read)

    @classmethod
    def of(
        cls, graphs: Sequence[HomeGraph], training: Sequence[npt.NDArray[np.bool_]], min_homes: int = 1
    ) -> Vocabulary:
        """The vocabulary of training homes.

        Args:
            graphs: The homes. All their domains and classes are taken.
            training: For each home a ``[p]`` mask of its training pairs. Words are taken from entities in these.
            min_homes: A text that fewer homes use is left out; the exports of one home are one home.
        """
        word_pairs = Counter[str]()
        homes: dict[Table, Counter[str]] = {table: Counter() for table in TABLES}
        first = find_same_homes(graphs).first if min_homes > 1 else {}
        texts: dict[str, dict[Table, set[str]]] = defaultdict(lambda: {table: set() for table in TABLES})
        for graph, mask in zip(graphs, training, strict=True):
            # Where one home is enough, it does not matter which one: the texts of all are one set.
            unit = first.get(graph.home_id, graph.home_id) if min_homes > 1 else ""
            for table in TABLES:
                texts[unit][table].update(getattr(graph, table))
            pairs_of_entity = Counter(graph.pairs[mask].ravel().tolist())
            for entity, count in pairs_of_entity.items():
                for word in graph.rare_words[entity].tolist():
                    if word < len(graph.words):
                        word_pairs[graph.words[word]] += count
        for own in texts.values():
            for table in TABLES:
                homes[table].update(own[table])
        kept = {
            table: tuple(sorted(text for text, count in counts.items() if count >= min_homes))
            for table, counts in homes.items()
        }
        words = tuple(word for word in kept["words"] if word_pairs[word] >= MIN_WORD_PAIRS)
        return cls(kept["domains"], kept["classes"], words)

    def index(self, table: Table) -> dict[str, int]:
        """Text -> index, for one table."""
        return {text: i for i, text in enumerate(getattr(self, table), start=1)}

    def positions_in(self, other: Vocabulary, table: Table) -> Ints:
        """``[1 + number of texts]``: the index in ``other`` of each index of a table, 0 where it has no such text."""
        index = other.index(table)
        return np.array([0, *(index.get(text, 0) for text in getattr(self, table))], dtype=np.int64)

    def plus(self, other: Vocabulary) -> Vocabulary:
        """The texts of both."""
        return Vocabulary(*(tuple(sorted({*getattr(self, table), *getattr(other, table)})) for table in TABLES))
