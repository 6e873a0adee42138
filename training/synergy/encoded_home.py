"""A home as the model reads it: texts as indexes, names as sparse vectors."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array

from home_assistant.household_words import in_different_places, places_of
from training.synergy.graph import HomeGraph, Ints
from training.synergy.name_encoders import Encoder

Array = npt.NDArray[np.float32]
MIN_WORD_PAIRS = 2  # a word counts where it was seen in this many pairs of the training data
MIN_DEVIATION = 0.05  # of cosines: in a home of few entities they can be all alike
LETTERS = 3  # letters that are compared at a time


Table = Literal["domains", "classes", "words"]
TABLES: tuple[Table, ...] = ("domains", "classes", "words")


@dataclass(frozen=True)
class Vocabulary:
    """The texts a model knows; index 0 of each table stands for everything else."""

    domains: tuple[str, ...]
    classes: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(
        cls, graphs: Sequence[HomeGraph], training: Sequence[npt.NDArray[np.bool_]], min_homes: int = 1
    ) -> Vocabulary:
        """Domains and classes of all entities, words of the entities in ``training`` pairs (a mask for each graph).

        A text that fewer than ``min_homes`` homes use is left out.
        """
        times = Counter[str]()
        homes: dict[str, Counter[str]] = {"domains": Counter(), "classes": Counter(), "words": Counter()}
        for g, mask in zip(graphs, training, strict=True):
            homes["domains"].update(set(g.domains))
            homes["classes"].update(set(g.classes))
            homes["words"].update(set(g.words))
            in_pairs = Counter(g.pairs[mask].ravel().tolist())
            for entity, count in in_pairs.items():
                for token in g.rare_words[entity].tolist():
                    if token < len(g.words):
                        times[g.words[token]] += count
        tables = {
            name: tuple(sorted(text for text, count in counts.items() if count >= min_homes))
            for name, counts in homes.items()
        }
        tables["words"] = tuple(word for word in tables["words"] if times[word] >= MIN_WORD_PAIRS)
        return cls(**tables)

    def index(self, table: Table) -> dict[str, int]:
        """Text -> its index in a table, from 1; 0 stands for every other text."""
        return {text: i for i, text in enumerate(getattr(self, table), start=1)}

    def positions_in(self, other: Vocabulary, table: Table) -> Ints:
        """``[1 + len(table)]``: the index in ``other`` of each index here, 0 where ``other`` has no such text."""
        index = other.index(table)
        return np.array([0, *(index.get(text, 0) for text in getattr(self, table))], dtype=np.int64)

    def plus(self, other: Vocabulary) -> Vocabulary:
        """The texts of both."""
        return Vocabulary(
            *(
                tuple(sorted({*mine, *theirs}))
                for mine, theirs in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )


class EncodedHome:
    """A graph with its texts as indexes into a vocabulary and its names as sparse vectors.

    It holds none of the home's pairs: what is known of a home is always passed beside it. Without an ``encoder`` the
    features of what names mean are 0, their mean.
    """

    def __init__(
        self, graph: HomeGraph, vocabulary: Vocabulary, acting: Sequence[str], encoder: Encoder | None = None
    ) -> None:
        self.graph = graph.without_pairs()
        self.area, self.device = graph.area, graph.device
        self.by_word = _unit_rows(
            [[graph.words[w] for w in row if w < len(graph.words)] for row in graph.rare_words.tolist()]
        )
        tokens = [own + name for own, name in zip(graph.id_tokens, graph.name_tokens, strict=True)]
        self.by_token = _unit_rows(tokens)
        ids = (entity_id.partition(".")[2] for entity_id in graph.entity_ids)
        self.by_letters = _unit_rows([_letters(text, name) for text, name in zip(ids, graph.names, strict=True)])
        # [n] one bit for each place that an entity's name or id tells.
        self.places = np.array([places_of(one) for one in tokens], dtype=np.int64)
        self.home_domain = np.unique(np.array(graph.domains, dtype=object), return_inverse=True)[1].ravel()
        self._name_vectors = None if encoder is None or not graph.size else _centred(encoder(names_of(graph)))
        self._index(vocabulary, acting)

    def reindexed(self, vocabulary: Vocabulary, acting: Sequence[str]) -> EncodedHome:
        """The same home under another vocabulary and other acting domains; its names are not taken apart again."""
        other = copy.copy(self)
        other._index(vocabulary, acting)
        return other

    def _index(self, vocabulary: Vocabulary, acting: Sequence[str]) -> None:
        """Set what depends on the vocabulary and on which entities can act."""
        graph = self.graph
        domain_index, class_index = vocabulary.index("domains"), vocabulary.index("classes")
        word_index = vocabulary.index("words")
        self.domain = np.array([domain_index.get(text, 0) for text in graph.domains], dtype=np.int64)
        self.entity_class = np.array([class_index.get(text, 0) for text in graph.classes], dtype=np.int64)
        words = np.array([word_index.get(text, 0) for text in graph.words] + [0], dtype=np.int64)
        self.words = words[graph.rare_words]
        self.can_act = graph.acting(acting)
        self.candidates = np.flatnonzero(self.can_act)
        self.prominence = self._prominence()
        self.meaning = None if self._name_vectors is None else Meaning(self._name_vectors, self.candidates)

    def _prominence(self) -> dict[str, npt.NDArray[np.float64]]:
        """Feature -> ``[n]``: how much the name of an action stands out, whatever the trigger."""
        first = [own[0] if own else "" for own in self.graph.id_tokens]
        crowd = Counter(first)
        sizes = np.bincount(self.home_domain)[self.home_domain]
        letters = self.by_letters
        common = letters[self.candidates].mean(0) if len(self.candidates) else np.zeros(letters.shape[1])
        return {
            "domain_crowd": np.log(sizes / self.graph.size),
            "name_crowd": np.log([crowd[word] for word in first]),
            "name_length": np.log1p(self.graph.word_count),
            "name_commonness": 10 * np.asarray(letters @ common),
        }

    def name_overlap(self, triggers: Ints, actions: Ints) -> Array:
        """``[t, a]`` cosine of the names' idf vectors, 0 to 1."""
        return cosine(self.by_word, triggers, actions)

    def by_place(self, triggers: Ints, actions: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """``[t, a]`` twice: whether the names tell one place, and whether each tells one that the other does not."""
        place, other = self.places[triggers][:, None], self.places[actions]
        different = in_different_places(place, other)
        return ((place & other) != 0) & ~different, different

    def told_by_meaning(self, triggers: Ints, actions: Ints, table: Array) -> Array:
        """``[t, a]``: what ``table`` ``[dimensions, domains]`` makes of the triggers' names; 0 where none were read."""
        if self.meaning is None or not len(table):
            return np.zeros((len(triggers), len(actions)), dtype=np.float32)
        return np.asarray((self.meaning.rows[triggers] @ table)[:, self.domain[actions]])


class Meaning:
    """Vectors of a home's names, compared with those of its entities that can act.

    ``rows`` is ``[n, dimensions]``, each of length 1.
    """

    def __init__(self, rows: Array, candidates: Ints) -> None:
        self.rows = rows
        # Mean and standard deviation of each entity's cosines with all that can act, without the [n, n] of them.
        others = self.rows[candidates] if len(candidates) else 0 * self.rows
        center = others.mean(0)
        spread = (others - center).T @ (others - center) / len(others)
        self.mean = self.rows @ center
        self.deviation = np.sqrt(((self.rows @ spread) * self.rows).sum(1).clip(MIN_DEVIATION**2))

    def likeness(self, triggers: Ints, actions: Ints) -> Array:
        """``[t, a]`` cosines, in standard deviations above the mean of all that the trigger could drive."""
        cosine = self.rows[triggers] @ self.rows[actions].T
        return np.asarray((cosine - self.mean[triggers, None]) / self.deviation[triggers, None], dtype=np.float32)


def _centred(vectors: Array) -> Array:
    """Vectors of length 1 without the home's mean: what all its names share tells nothing."""
    centred = vectors - vectors.mean(0)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True).clip(1e-6))


def names_of(graph: HomeGraph) -> list[str]:
    """What an encoder reads of each entity: its name, or its id in words where it has none."""
    ids = (entity_id.partition(".")[2].replace("_", " ") for entity_id in graph.entity_ids)
    return [name or text for name, text in zip(graph.names, ids, strict=True)]


def _letters(entity_id: str, name: str) -> list[str]:
    parts = []
    for text in (entity_id.lower(), name.lower().replace(" ", "_")):
        if text:
            padded = f"^{text}$"
            parts += [padded[i : i + LETTERS] for i in range(len(padded) - LETTERS + 1)]
    return parts


def _unit_rows(documents: Sequence[Sequence[str]]) -> Any:
    """``[n, terms]`` sparse rows of length 1: each distinct term by its idf among the documents."""
    frequency: Counter[str] = Counter()
    distinct = [sorted(set(document)) for document in documents]
    for document in distinct:
        frequency.update(document)
    index = {term: i for i, term in enumerate(frequency)}
    idf = np.log((len(documents) + 1) / (np.array([*frequency.values(), 0.5]) + 0.5))[:-1].clip(0.01)
    columns = np.array([index[term] for document in distinct for term in document], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum([len(document) for document in distinct])])
    rows = csr_array((idf[columns].astype(np.float32), columns, starts), shape=(len(documents), max(1, len(index))))
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return csr_array(diags_array(1 / np.maximum(length, 1e-6).astype(np.float32)) @ rows)


def cosine(rows: Any, left: Ints, right: Ints) -> Array:
    """``[l, r]`` cosines, 0 to 1, of sparse ``rows`` of length 1."""
    return np.asarray((rows[left] @ rows[right].T).toarray(), dtype=np.float32).clip(0, 1)
