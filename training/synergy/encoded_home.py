"""A home as the model reads it: texts as indexes into a vocabulary, names as sparse vectors."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array, diags_array

from home_assistant.household_words import in_different_places, places_of
from training.synergy.graph import HomeGraph, Ints
from training.synergy.name_encoders import Encoder
from training.synergy.vocabulary import Vocabulary

Array = npt.NDArray[np.float32]
MIN_DEVIATION = 0.05  # of cosines, which in a home of few entities can all be alike
NGRAM = 3  # letters
OVERLAP_STEPS = (0.001, 0.15, 0.35, 0.6)  # edges between the bins of name overlap
BINS = len(OVERLAP_STEPS) + 1
LENGTH_FLOOR = 1e-6  # of a vector that is scaled to length 1


class EncodedHome:
    """One home of ``n`` entities as the model reads it.

    It holds none of the home's pairs: whoever scores a home passes the known pairs beside it.

    Args:
        graph: The home; its pairs are dropped.
        vocabulary: The texts that the model knows.
        acting_domains: Read-only domains whose entities count as able to act.
        encoder: Turns names into vectors. Without one, the features that compare the meaning of names are 0.

    Attributes:
        graph: The home's graph without pairs.
        domain: ``[n]`` index of each entity's domain in the vocabulary.
        entity_class: ``[n]`` index of each entity's class in the vocabulary.
        words: ``[n, WORDS_PER_ENTITY]`` indexes of the words of each entity's name in the vocabulary.
        can_act: ``[n]`` mask of the entities that can act.
        candidates: ``[c]`` indexes of the entities that can act.
        counted: ``[n]`` mask of the entities that count in all that describes the home as a whole: those that are not
            internal, or all where all are.
        usual_candidates: ``[u]`` the counted ones among the candidates, or all of these.
        home_domain: ``[n]`` index of each entity's domain among the home's own domains.
        home_class: ``[n]`` index of each entity's class among the home's own classes.
        word_vectors: ``[n, *]`` sparse rows of length 1: the idf of the rarest words of each name.
        token_vectors: ``[n, *]`` the same of all words and numbers.
        ngram_vectors: ``[n, *]`` the same of all sequences of ``NGRAM`` letters.
        label_vectors: ``[n, *]`` sparse rows whose products are the idf of the labels that two entities share: nearly 1
            for one that the others lack, nearly 0 for one that all have.
        platform_share: ``[n]`` the share of the counted entities with a device that each entity's integration brings.
        places: ``[n]`` bit sets of the places, such as kitchen, that each name tells.
        prominence: Feature -> ``[n]`` values: how much each entity's name stands out in the home.
        name_vectors: The vectors of the names; None without an encoder.

    Internal entities (``HomeGraph.internal``) change no feature of a pair of other entities.
    """

    def __init__(
        self, graph: HomeGraph, vocabulary: Vocabulary, acting_domains: Sequence[str], encoder: Encoder | None = None
    ) -> None:
        self.graph = graph.without_pairs()
        self.counted = ~graph.internal if not graph.internal.all() else np.ones(graph.size, dtype=bool)
        rare_words = ([graph.words[w] for w in row if w < len(graph.words)] for row in graph.rare_words.tolist())
        self.word_vectors = _idf_rows(list(rare_words), self.counted)
        tokens = [own_id + name for own_id, name in zip(graph.id_tokens, graph.name_tokens, strict=True)]
        self.token_vectors = _idf_rows(tokens, self.counted)
        ids = (entity_id.partition(".")[2] for entity_id in graph.entity_ids)
        ngrams = [_ngrams(own_id, name) for own_id, name in zip(ids, graph.names, strict=True)]
        self.ngram_vectors = _idf_rows(ngrams, self.counted)
        self.label_vectors = _idf_of(graph.labels, self.counted).sqrt() / math.log(self.counted.sum() + 2) ** 0.5
        self.platform_share = _share(graph.platform, self.counted & (graph.device >= 0) & (graph.platform >= 0))
        self.places = np.array([places_of(own) for own in tokens], dtype=np.int64)
        self.home_domain = np.unique(np.array(graph.domains, dtype=object), return_inverse=True)[1].ravel()
        self.home_class = np.unique(np.array(graph.classes, dtype=object), return_inverse=True)[1].ravel()
        self._centred = (
            None if encoder is None or not graph.size else _centred(encoder(display_names(graph)), self.counted)
        )
        self._index(vocabulary, acting_domains)

    def reindexed(self, vocabulary: Vocabulary, acting_domains: Sequence[str]) -> EncodedHome:
        """The same home for another vocabulary and other acting domains, without taking its names apart again."""
        other = copy.copy(self)
        other._index(vocabulary, acting_domains)
        return other

    def _index(self, vocabulary: Vocabulary, acting_domains: Sequence[str]) -> None:
        """Set all attributes that depend on the vocabulary or on which entities can act."""
        graph = self.graph
        domain_index, class_index = vocabulary.index("domains"), vocabulary.index("classes")
        word_index = vocabulary.index("words")
        self.domain = np.array([domain_index.get(text, 0) for text in graph.domains], dtype=np.int64)
        self.entity_class = np.array([class_index.get(text, 0) for text in graph.classes], dtype=np.int64)
        words = np.array([word_index.get(text, 0) for text in graph.words] + [0], dtype=np.int64)
        self.words = words[graph.rare_words]
        self.can_act = graph.acting(acting_domains)
        self.candidates = np.flatnonzero(self.can_act)
        usual = self.candidates[self.counted[self.candidates]]
        self.usual_candidates = usual if len(usual) else self.candidates
        self.prominence = self._prominence(self.usual_candidates)
        self.name_vectors = None if self._centred is None else NameVectors(self._centred, self.usual_candidates)

    def _prominence(self, candidates: Ints) -> dict[str, npt.NDArray[np.float64]]:
        first = [own_id[0] if own_id else "" for own_id in self.graph.id_tokens]
        same_first = Counter(token for token, counted in zip(first, self.counted.tolist(), strict=True) if counted)
        same_domain = np.bincount(self.home_domain, weights=self.counted)[self.home_domain]
        ngrams = self.ngram_vectors
        mean_ngrams = ngrams[candidates].mean(0) if len(candidates) else np.zeros(ngrams.shape[1])
        return {
            "domain_crowd": np.log(same_domain.clip(1) / self.counted.sum()),
            "name_crowd": np.log([max(1, same_first[token]) for token in first]),
            "name_length": np.log1p(self.graph.word_count),
            "name_commonness": 10 * np.asarray(ngrams @ mean_ngrams),
        }

    def name_overlap(self, triggers: Ints, actions: Ints) -> Array:
        """``[t, a]`` cosines, 0 to 1, of the ``word_vectors``; 0 within one device, whose name all have."""
        return cosine(self.word_vectors, triggers, actions) * ~self.same_device(triggers, actions)

    def same_device(self, triggers: Ints, actions: Ints) -> npt.NDArray[np.bool_]:
        """``[t, a]`` mask of the pairs within one device."""
        device = self.graph.device[triggers][:, None]
        return np.asarray((device == self.graph.device[actions]) & (device >= 0))

    def same_platform(self, triggers: Ints, actions: Ints) -> Array:
        """``[t, a]``: of two devices, 1 where one integration brings both, else 0, less how many of the home it brings.

        Over all devices of a home the mean is 0 for each trigger: what has no device is neither favoured nor the
        reverse.
        """
        brings, other_brings = self.graph.platform[triggers][:, None], self.graph.platform[actions]
        device, other_device = self.graph.device[triggers][:, None], self.graph.device[actions]
        two_devices = (device >= 0) & (other_device >= 0) & (device != other_device)
        known = two_devices & (brings >= 0) & (other_brings >= 0)
        share = self.platform_share[triggers][:, None]
        return np.asarray(known * ((brings == other_brings) - share), dtype=np.float32)

    def compare_places(self, triggers: Ints, actions: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """``[t, a]`` masks: pairs in the same place, and pairs in different places.

        Where the areas of both are known, these are meant, else the places that their names tell. Names tell different
        places where each tells one that the other does not. Such a pair is not in the first mask, even where the names
        share a place too.
        """
        place, other_place = self.places[triggers][:, None], self.places[actions]
        different = in_different_places(place, other_place)
        same = ((place & other_place) != 0) & ~different
        area, other_area = self.graph.area[triggers][:, None], self.graph.area[actions]
        known = (area >= 0) & (other_area >= 0)
        return np.where(known, area == other_area, same), np.where(known, area != other_area, different)

    def trigger_meaning(self, triggers: Ints, actions: Ints, weight: Array) -> Array:
        """``[t, a]`` products of the triggers' name vectors and the weights of the actions' domains.

        ``weight`` is ``[dimensions, domains]`` (``LogOdds.meaning``). All are 0 where it has no dimensions, and in a
        home without name vectors.
        """
        if self.name_vectors is None or not len(weight):
            return np.zeros((len(triggers), len(actions)), dtype=np.float32)
        return np.asarray((self.name_vectors.rows[triggers] @ weight)[:, self.domain[actions]])


class NameVectors:
    """The vectors of the names of one home.

    Args:
        rows: ``[n, dimensions]``, each of length 1.
        candidates: ``[c]`` indexes of the entities that can act.
    """

    def __init__(self, rows: Array, candidates: Ints) -> None:
        self.rows = rows
        # Mean and standard deviation of each entity's cosines with all candidates, without the [n, c] matrix of them.
        others = rows[candidates] if len(candidates) else 0 * rows
        center = others.mean(0)
        covariance = (others - center).T @ (others - center) / len(others)
        self._mean = rows @ center
        self._deviation = np.sqrt(((rows @ covariance) * rows).sum(1).clip(MIN_DEVIATION**2))

    def standardized_cosine(self, triggers: Ints, actions: Ints) -> Array:
        """``[t, a]`` cosines, less the mean of the trigger's cosines with all candidates, in standard deviations."""
        cosines = self.rows[triggers] @ self.rows[actions].T
        return np.asarray((cosines - self._mean[triggers, None]) / self._deviation[triggers, None], dtype=np.float32)


def display_names(graph: HomeGraph) -> list[str]:
    """The text of each entity that an encoder reads: its name, or the words of its id where it has no name."""
    ids = (entity_id.partition(".")[2].replace("_", " ") for entity_id in graph.entity_ids)
    return [name or own_id for name, own_id in zip(graph.names, ids, strict=True)]


def _centred(vectors: Array, counted: npt.NDArray[np.bool_]) -> Array:
    """``[n, dimensions]`` vectors without their mean, scaled to length 1: what all names share tells nothing.

    The mean is that of the ``counted``.
    """
    centred = vectors - vectors[counted].mean(0)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True).clip(LENGTH_FLOOR))


def _share(group: Ints, counted: npt.NDArray[np.bool_]) -> Array:
    """``[n]``: the share that the group of each entity has of the ``counted``; 0 where there are none."""
    members = np.bincount(group + 1, weights=counted)
    return np.asarray(members[group + 1] / max(1, counted.sum()), dtype=np.float32)


def _ngrams(own_id: str, name: str) -> list[str]:
    parts = []
    for text in (own_id.lower(), name.lower().replace(" ", "_")):
        if text:
            padded = f"^{text}$"
            parts += [padded[i : i + NGRAM] for i in range(len(padded) - NGRAM + 1)]
    return parts


def _idf_rows(documents: Sequence[Sequence[str]], counted: npt.NDArray[np.bool_]) -> Any:
    """``[n, terms]`` sparse rows of ``_idf_of``, scaled to length 1."""
    rows = _idf_of(documents, counted)
    length = np.sqrt(np.asarray(rows.multiply(rows).sum(1)).ravel())
    return csr_array(diags_array(1 / np.maximum(length, LENGTH_FLOOR).astype(np.float32)) @ rows)


def _idf_of(documents: Sequence[Sequence[str]], counted: npt.NDArray[np.bool_]) -> Any:
    """``[n, terms]`` sparse rows: the idf among the ``counted`` of each distinct term of each document."""
    frequency: Counter[str] = Counter()
    distinct = [sorted(set(document)) for document in documents]
    for document, once in zip(distinct, counted.tolist(), strict=True):
        frequency.update(dict.fromkeys(document, int(once)))
    index = {term: i for i, term in enumerate(frequency)}
    idf = np.log((counted.sum() + 1) / (np.array(list(frequency.values()), dtype=float) + 0.5)).clip(0.01)
    columns = np.array([index[term] for document in distinct for term in document], dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum([len(document) for document in distinct])])
    return csr_array((idf[columns].astype(np.float32), columns, starts), shape=(len(documents), max(1, len(index))))


def overlap_bin(overlap: Array) -> Ints:
    """The bin of each name overlap, from 0 to ``BINS - 1``."""
    return np.digitize(overlap, OVERLAP_STEPS)


def cosine(rows: Any, left: Ints, right: Ints) -> Array:
    """``[l, r]`` cosines, 0 to 1, of sparse ``rows`` of length 1."""
    return np.asarray((rows[left] @ rows[right].T).toarray(), dtype=np.float32).clip(0, 1)
