"""What counting says of pairs: smoothed log-odds of domains, classes and words, what two names share, and what the
home's known automations suggest.

The network starts from these and learns a correction. Statistics of a pair never come from the pair itself: in
training they are fitted on the other folds (``training.link_prediction`` does that). Evidence is read a block at a
time, some triggers by some actions of one home, so that a home is scored without a loop over its pairs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csr_array, diags_array
from torch import Tensor

from training.graph import HomeGraph, Ints
from training.names import Encoder
from training.words import apart, places_of, tokens_of, words_of

Array = npt.NDArray[np.float32]

# Evidence -> the weight it starts from and is pulled to. Log-odds are relative to the next coarser one, so that their
# plain sum is the log-odds of the finest; together with the overlap of names that is the strongest cheap baseline.
EVIDENCE: dict[str, float] = {
    # How often this data acts on such an entity, on such a trigger.
    "action_domain": 1.0,
    "domain_pair": 1.0,
    "class_pair": 0.5,
    "class_domain": 0.3,
    "trigger_words": 0.2,
    "trigger_meaning": 1.0,  # the vector of the trigger's name against the action's domain
    "action_words": 0.2,
    "target_words": 0.2,
    "overlap_of_domains": 0.5,
    # What the two share.
    "name_overlap": 1.0,
    "log_name_overlap": 0.5,
    "token_overlap": 0.0,
    "letter_overlap": 1.0,
    "same_name": 0.0,
    "meaning": 0.3,  # of the names, by their vectors
    "same_place": 0.5,  # as the words of their names say: both in the kitchen
    "other_place": -0.5,  # each of a place that the other is not of: master bedroom, guest bedroom
    "same_area": 1.0,
    "same_device": 1.0,
    "same_domain": 0.0,
    # How much the action's name stands out in its home.
    "domain_crowd": 0.0,
    "name_crowd": 0.0,
    "name_length": 0.0,
    "name_commonness": 0.0,
    # The home's known automations; all 0 where none is known.
    "driven": 0.0,
    "driven_by_domain": 0.2,
    "driven_by_namesakes": 0.1,
    "driven_by_lookalikes": 0.1,
    "like_driven_name": 0.5,
    "like_driven_domain": 0.5,
    "driven_together": 0.2,
    "reverse_known": 0.0,
    "drives": 0.0,
    "home_action_domain": 0.3,
    "home_domain_pair": 0.3,
}
NAMES = tuple(EVIDENCE)
STARTING_WEIGHTS = tuple(EVIDENCE.values())
FIRST_KNOWN = NAMES.index("driven")  # the evidences from here on come from known automations
TRIGGER_MEANING = NAMES.index("trigger_meaning")
OVERLAP_FLOOR = 0.02
OVERLAP_STEPS = (0.001, 0.15, 0.35, 0.6)  # edges of the bins of ``overlap_of_domains``
BINS = len(OVERLAP_STEPS) + 1
# A log-odds is shrunk to the coarser one as if this many positives had been seen at that rate.
PSEUDO_POSITIVES = 1.0
MIN_WORD_PAIRS = 2  # a word counts where it was seen in this many pairs of the training data
MIN_DEVIATION = 0.05  # of cosines: in a home of few entities they can be all alike
LETTERS = 3  # letters that are compared at a time
SAMPLED_TRIGGERS, SAMPLED_ACTIONS = 200, 2_000  # of one home, for the statistics that need every pair


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
                for token in g.tokens[entity].tolist():
                    if token < len(g.words):
                        times[g.words[token]] += count
        tables = {
            name: tuple(sorted(text for text, count in counts.items() if count >= min_homes))
            for name, counts in homes.items()
        }
        tables["words"] = tuple(word for word in tables["words"] if times[word] >= MIN_WORD_PAIRS)
        return cls(**tables)

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
    evidences of what names mean are 0, their mean.
    """

    def __init__(
        self, graph: HomeGraph, vocabulary: Vocabulary, acting: Sequence[str], encoder: Encoder | None = None
    ) -> None:
        domain_index = {text: i for i, text in enumerate(vocabulary.domains, start=1)}
        class_index = {text: i for i, text in enumerate(vocabulary.classes, start=1)}
        word_index = {text: i for i, text in enumerate(vocabulary.words, start=1)}
        self.graph = graph.without_pairs()
        self.domain = np.array([domain_index.get(text, 0) for text in graph.domains], dtype=np.int64)
        self.entity_class = np.array([class_index.get(text, 0) for text in graph.classes], dtype=np.int64)
        words = np.array([word_index.get(text, 0) for text in graph.words] + [0], dtype=np.int64)
        self.words = words[graph.tokens]
        self.area, self.device = graph.area, graph.device
        self.can_act = graph.acting(acting)
        self.candidates = np.flatnonzero(self.can_act)

        ids = [entity_id.partition(".")[2] for entity_id in graph.entity_ids]
        tokens = [tokens_of(text) for text in ids]
        self.by_word = _unit_rows(
            [[graph.words[w] for w in row if w < len(graph.words)] for row in graph.tokens.tolist()]
        )
        said = [own + tokens_of(name) for own, name in zip(tokens, graph.names, strict=True)]
        self.by_token = _unit_rows(said)
        self.by_letters = _unit_rows([_letters(text, name) for text, name in zip(ids, graph.names, strict=True)])
        # [n] one bit for each place that an entity's name or id tells.
        self.places = np.array([places_of(one) for one in said], dtype=np.int64)
        self.home_domain = np.unique(np.array(graph.domains, dtype=object), return_inverse=True)[1].ravel()
        first = [row[0] if row else "" for row in tokens]
        lengths = [len(words_of(text)) + len(words_of(name)) for text, name in zip(ids, graph.names, strict=True)]
        crowd = Counter(first)
        sizes = np.bincount(self.home_domain)[self.home_domain]
        center = self.by_letters[self.candidates].mean(0) if len(self.candidates) else np.zeros((1, 1))
        common = np.asarray(self.by_letters @ np.asarray(center).ravel()) if len(self.candidates) else 0 * sizes
        self.alone = np.stack(  # [n, 4] what is said of an action whatever the trigger
            [
                np.log(sizes / graph.size),
                np.log([crowd[word] for word in first]),
                np.log1p(lengths),
                10 * common,
            ],
            axis=1,
        ).astype(np.float32)

        self.meaning = None if encoder is None or not graph.size else Meaning(encoder(names_of(graph)), self.candidates)

    def name_overlap(self, triggers: Ints, actions: Ints) -> Array:
        """``[t, a]`` cosine of the names' idf vectors, 0 to 1."""
        return _cosine(self.by_word, triggers, actions)

    def by_place(self, triggers: Ints, actions: Ints) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """``[t, a]`` twice: whether the names tell one place, and whether each tells one that the other does not."""
        place, other = self.places[triggers][:, None], self.places[actions]
        different = apart(place, other)
        return ((place & other) != 0) & ~different, different

    def told_by_meaning(self, triggers: Ints, actions: Ints, table: Array) -> Array:
        """``[t, a]``: what ``table`` ``[dimensions, domains]`` makes of the triggers' names; 0 where none were read."""
        if self.meaning is None or not len(table):
            return np.zeros((len(triggers), len(actions)), dtype=np.float32)
        return np.asarray((self.meaning.rows[triggers] @ table)[:, self.domain[actions]])


class Meaning:
    """Vectors of a home's names, with the home's mean taken out: what all its names share tells nothing.

    ``rows`` is ``[n, dimensions]``, each of length 1.
    """

    def __init__(self, vectors: Array, candidates: Ints) -> None:
        centred = vectors - vectors.mean(0)
        self.rows = centred / np.linalg.norm(centred, axis=1, keepdims=True).clip(1e-6)
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


def _cosine(rows: Any, left: Ints, right: Ints) -> Array:
    return np.asarray((rows[left] @ rows[right].T).toarray(), dtype=np.float32).clip(0, 1)


class KnownPairs:
    """What a home is known to do, ready to be looked up: ``pairs`` is ``[e, 2]`` of (trigger, action)."""

    def __init__(self, home: EncodedHome, pairs: Ints) -> None:
        n = home.graph.size
        self.pairs = np.unique(pairs.reshape(-1, 2), axis=0)
        trigger, action = self.pairs.T
        self.drives = csr_array((np.ones(len(self.pairs), dtype=np.float32), (trigger, action)), shape=(n, n))
        self.sources = np.unique(trigger)
        self.from_source = self.drives[self.sources].tocsc()
        self.times = np.bincount(action, minlength=n)
        # The home's own rates, shrunk to one rate for all.
        kind, kinds = home.home_domain, int(home.home_domain.max(initial=0)) + 1
        self.kinds = csr_array((np.ones(n, dtype=np.float32), (np.arange(n), kind)), shape=(n, kinds))
        seen = np.zeros((kinds, kinds))
        np.add.at(seen, (kind[trigger], kind[action]), 1)
        triggers = np.bincount(kind[self.sources], minlength=kinds)
        actions = np.bincount(kind[home.candidates], minlength=kinds)
        rate = max(len(self.pairs), 1) / max(len(self.sources) * len(home.candidates), 1)
        action_rate = (seen.sum(0) + 2) / (len(self.sources) * actions + 2 / rate)
        pair_rate = (seen + 2) / (np.outer(triggers, actions) + 2 / action_rate)
        self.action_odds, self.pair_odds = np.log(action_rate / rate), np.log(pair_rate / action_rate)

    def evidence(self, home: EncodedHome, triggers: Ints, actions: Ints) -> Array:
        """``[t, a, len(NAMES) - FIRST_KNOWN]``."""
        out = np.zeros((len(triggers), len(actions), len(NAMES) - FIRST_KNOWN), dtype=np.float32)
        if not len(self.pairs):
            return out
        times = self.times[actions]
        driving = self.from_source[:, actions].T.tocsr()  # [a, sources]
        others = (triggers[:, None] != self.sources).astype(np.float32)

        def voted(weight: Array) -> Array:
            return np.asarray((driving @ (weight * others).T).T, dtype=np.float32)

        kind = home.home_domain
        own = self.drives[triggers]  # [t, n]
        count = np.maximum(np.asarray(own.sum(1)).ravel(), 1)[:, None].astype(np.float32)
        shared = np.asarray((own @ self.drives[self.sources].T).toarray(), dtype=np.float32)
        likeness = shared / np.maximum(count + self.drives[self.sources].sum(1).ravel() - shared, 1)
        columns = [
            np.broadcast_to(np.log1p(times), out.shape[:2]),
            np.log1p(voted((kind[triggers][:, None] == kind[self.sources]).astype(np.float32))),
            _above(voted(_cosine(home.by_token, triggers, self.sources) ** 2)),
            _above(voted(_cosine(home.by_letters, triggers, self.sources) ** 2)),
            np.asarray(((own @ home.by_token) @ home.by_token[actions].T).toarray()) / count,
            np.asarray((own @ self.kinds).toarray())[:, kind[actions]] / count,
            _above(voted(likeness)),
            np.asarray(self.drives[actions][:, triggers].T.toarray()),
            np.broadcast_to(np.isin(actions, self.sources), out.shape[:2]),
            np.broadcast_to(self.action_odds[kind[actions]], out.shape[:2]),
            self.pair_odds[kind[triggers]][:, kind[actions]],
        ]
        for i, column in enumerate(columns):
            out[:, :, i] = column
        return out


def _above(share: Array) -> Array:
    """The logarithm of a share, 0 where it is 0."""
    return np.asarray(np.log(share + OVERLAP_FLOOR) - np.log(OVERLAP_FLOOR), dtype=np.float32)


class PairStatistics:
    """Weighted counts of positive and candidate pairs by domain, class and word, added and subtracted freely.

    ``counts`` maps a table to ``[2, rows, columns]``: positives, then candidates. Candidates of a positive's trigger
    are all entities of its home that can act; each home weighs ``home_weight``.
    """

    def __init__(self, vocabulary: Vocabulary, counts: dict[str, Tensor] | None = None) -> None:
        self.vocabulary = vocabulary
        d, c, w = len(vocabulary.domains) + 1, len(vocabulary.classes) + 1, len(vocabulary.words) + 1
        self.counts = counts or {
            "domain_pair": torch.zeros(2, d, d),
            "class_pair": torch.zeros(2, c, c),
            "class_domain": torch.zeros(2, c, d),
            "trigger_word": torch.zeros(2, w, d),
            "action_word": torch.zeros(2, d, w),
            "target_word": torch.zeros(2, d, w),
            "overlap": torch.zeros(2, d, d * BINS),
            "trigger": torch.zeros(2, 1, c),
        }

    def add(self, home: EncodedHome, pairs: Ints, home_weight: float) -> None:
        """Count ``[k, 2]`` positive pairs of one home, and the candidates of each of their triggers."""
        pairs = pairs[home.can_act[pairs[:, 1]]]
        if not len(pairs):
            return
        trigger, action = pairs.T
        triggers, candidates = np.unique(trigger), home.candidates
        tables = self.counts
        width = home.words.shape[1]

        def add(table: str, kind: int, rows: Ints, columns: Ints, weight: float = home_weight) -> None:
            index = torch.from_numpy(rows.ravel().copy()), torch.from_numpy(columns.ravel().copy())
            tables[table][kind].index_put_(index, torch.full((rows.size,), weight), accumulate=True)

        domain, classes, words = home.domain, home.entity_class, home.words
        add("domain_pair", 0, domain[trigger], domain[action])
        add("class_pair", 0, classes[trigger], classes[action])
        add("class_domain", 0, classes[trigger], domain[action])
        add("trigger_word", 0, words[trigger], domain[action].repeat(width))
        add("action_word", 0, domain[trigger].repeat(width), words[action])
        add("target_word", 0, domain[action].repeat(width), words[action])
        add("trigger", 0, np.zeros_like(triggers), classes[triggers])
        add("trigger", 1, np.zeros_like(classes), classes)
        add("target_word", 1, domain[candidates].repeat(width), words[candidates], home_weight * len(triggers))

        # Candidates as outer products of histograms: linear in the home, whatever the number of triggers.
        def histogram(index: Ints, table: str, axis: int) -> Tensor:
            size = tables[table].shape[axis]
            return torch.from_numpy(np.bincount(index.ravel(), minlength=size)).float()

        for table, rows, columns in (
            ("domain_pair", domain[triggers], domain[candidates]),
            ("class_pair", classes[triggers], classes[candidates]),
            ("class_domain", classes[triggers], domain[candidates]),
            ("trigger_word", words[triggers], domain[candidates]),
            ("action_word", domain[triggers], words[candidates]),
        ):
            tables[table][1] += home_weight * torch.outer(histogram(rows, table, 1), histogram(columns, table, 2))
        self._add_overlap(home, pairs, triggers, home_weight)

    def _add_overlap(self, home: EncodedHome, pairs: Ints, triggers: Ints, home_weight: float) -> None:
        """Name overlap in steps by domain pair; of a large home an even sample, weighted to stand for all."""
        rows, columns = _evenly(triggers, SAMPLED_TRIGGERS), _evenly(home.candidates, SAMPLED_ACTIONS)
        kept = pairs[np.isin(pairs[:, 0], rows)]
        share = len(rows) / len(triggers)

        def add(kind: int, cell: Ints, bins: Ints, weight: float) -> None:
            table = self.counts["overlap"][kind]
            added = np.bincount((cell * BINS + bins).ravel(), minlength=table.numel())
            table += weight * torch.from_numpy(added).float().view_as(table)

        size = self.counts["domain_pair"].shape[1]
        overlap = home.name_overlap(rows, columns)
        add(
            1,
            home.domain[rows][:, None] * size + home.domain[columns],
            np.digitize(overlap, OVERLAP_STEPS),
            home_weight / share * len(home.candidates) / len(columns),
        )
        place = np.searchsorted(rows, kept[:, 0])
        actions, column = np.unique(kept[:, 1], return_inverse=True)
        of_pairs = home.name_overlap(rows, actions)[place, column.ravel()]
        add(
            0,
            home.domain[kept[:, 0]] * size + home.domain[kept[:, 1]],
            np.digitize(of_pairs, OVERLAP_STEPS),
            home_weight / share,
        )

    def plus(self, other: PairStatistics) -> PairStatistics:
        """Both counts together."""
        return PairStatistics(self.vocabulary, {k: v + other.counts[k] for k, v in self.counts.items()})

    def minus(self, other: PairStatistics) -> PairStatistics:
        """These counts without ``other``'s."""
        return PairStatistics(self.vocabulary, {k: (v - other.counts[k]).clamp_min(0) for k, v in self.counts.items()})

    def within(self, vocabulary: Vocabulary) -> PairStatistics:
        """The same counts under another vocabulary; what that does not know counts as index 0, as texts never seen."""
        moved = PairStatistics(vocabulary)
        to = {
            name: torch.tensor([0, *(known.get(text, 0) for text in texts)])
            for name, texts, known in (
                (name, texts, {text: i for i, text in enumerate(getattr(vocabulary, name), start=1)})
                for name, texts in vars(self.vocabulary).items()
            )
        }
        bins = torch.arange(BINS)
        to["one"] = torch.zeros(1, dtype=torch.long)
        to["overlap"] = (to["domains"].unsqueeze(1) * BINS + bins).flatten()
        axes = {
            "domain_pair": ("domains", "domains"),
            "class_pair": ("classes", "classes"),
            "class_domain": ("classes", "domains"),
            "trigger_word": ("words", "domains"),
            "action_word": ("domains", "words"),
            "target_word": ("domains", "words"),
            "overlap": ("domains", "overlap"),
            "trigger": ("one", "classes"),
        }
        for table, (rows, columns) in axes.items():
            for kind in (0, 1):
                index = (to[rows].unsqueeze(1), to[columns].unsqueeze(0))
                moved.counts[table][kind].index_put_(index, self.counts[table][kind], accumulate=True)
        return moved

    def log_odds(self) -> LogOdds:
        """Shrunk log-odds tables, each relative to the next coarser."""
        counts, words = self.counts, len(self.vocabulary.words) + 1
        domain_pair = counts["domain_pair"]
        pairs, candidates = domain_pair
        base = (float(pairs.sum()) + 1e-3) / (float(candidates.sum()) + 1e-1)
        base_rate = torch.tensor(min(base, 0.5))
        action_rate = _shrunk(domain_pair.sum(1), base_rate)
        pair_rate = _shrunk(domain_pair, action_rate.unsqueeze(0).expand_as(pairs))
        class_domain = self._domain_of_class()
        parent = pair_rate[class_domain][:, class_domain]
        class_rate = _shrunk(counts["class_pair"], parent)
        one_class_rate = _shrunk(counts["class_domain"], pair_rate[class_domain])
        word_rate = _shrunk(counts["trigger_word"], action_rate.unsqueeze(0).expand(words, -1))
        trigger_rate = _shrunk(domain_pair.sum(2), base_rate)
        action_word_rate = _shrunk(counts["action_word"], trigger_rate.unsqueeze(1).expand(-1, words))
        target_rate = _shrunk(counts["target_word"], action_rate.unsqueeze(1).expand(-1, words))
        is_trigger = counts["trigger"][:, 0]
        one_trigger = torch.tensor((float(is_trigger[0].sum()) + 1e-3) / (float(is_trigger[1].sum()) + 1e-1)).clamp_max(
            0.5
        )
        odds = LogOdds(
            action_domain=_log_odds(action_rate) - _log_odds(base_rate),
            domain_pair=_log_odds(pair_rate) - _log_odds(action_rate).unsqueeze(0),
            class_pair=_log_odds(class_rate) - _log_odds(parent),
            class_domain=_log_odds(one_class_rate) - _log_odds(pair_rate[class_domain]),
            trigger_word=_log_odds(word_rate) - _log_odds(action_rate).unsqueeze(0),
            action_word=_log_odds(action_word_rate) - _log_odds(trigger_rate).unsqueeze(1),
            target_word=_log_odds(target_rate) - _log_odds(action_rate).unsqueeze(1),
            overlap=self._overlap_odds(base_rate, action_rate, pair_rate),
            meaning=torch.zeros(0, len(action_rate)),
            trigger=_log_odds(_shrunk(is_trigger, one_trigger)) - _log_odds(one_trigger),
        )
        # Index 0 stands for texts never seen (and for the padding of names): nothing is known of them.
        odds.trigger_word[0] = 0
        odds.action_word[:, 0] = 0
        odds.target_word[:, 0] = 0
        return odds

    def _overlap_odds(self, base_rate: Tensor, action_rate: Tensor, pair_rate: Tensor) -> Tensor:
        """``[d, d, BINS]``: how much more likely a pair is at each step of overlap, by action domain, then by pair."""
        d = len(action_rate)
        counts = self.counts["overlap"].view(2, d, d, BINS)
        bin_rate = _shrunk(counts.sum((1, 2)), base_rate)
        by_action = _shrunk(counts.sum(1), (action_rate.unsqueeze(1) * bin_rate / base_rate).clamp(1e-7, 0.9))
        expected = by_action.unsqueeze(0) * (pair_rate / action_rate).unsqueeze(2)
        by_pair = _shrunk(counts, expected.clamp(1e-7, 0.9))
        return _log_odds(by_pair) - _log_odds(pair_rate).unsqueeze(2)

    def _domain_of_class(self) -> Tensor:
        index = {text: i for i, text in enumerate(self.vocabulary.domains, start=1)}
        return torch.tensor([0] + [index.get(text.partition(":")[0], 0) for text in self.vocabulary.classes])


def _evenly(items: Ints, limit: int) -> Ints:
    return items if len(items) <= limit else items[np.linspace(0, len(items) - 1, limit).astype(np.int64)]


def _shrunk(counts: Tensor, prior: Tensor) -> Tensor:
    positives, candidates = counts
    rate: Tensor = (positives + PSEUDO_POSITIVES) / (candidates + PSEUDO_POSITIVES / prior)
    return rate.clamp(1e-7, 0.98)


def _log_odds(rate: Tensor) -> Tensor:
    return torch.log(rate) - torch.log1p(-rate)


@dataclass(frozen=True)
class LogOdds:
    """The lookup tables that evidence is read from (shapes as in ``PairStatistics``, without the leading 2).

    ``overlap`` is ``[domains, domains, BINS]``; ``trigger`` ``[classes]``, how much likelier than others an entity of
    a class is to trigger anything; ``meaning`` ``[dimensions, domains]``, fitted and not counted: what the vector of a
    trigger's name adds for each domain of actions, without dimensions where no vectors were read.
    """

    action_domain: Tensor
    domain_pair: Tensor
    class_pair: Tensor
    class_domain: Tensor
    trigger_word: Tensor
    action_word: Tensor
    target_word: Tensor
    overlap: Tensor
    trigger: Tensor
    meaning: Tensor

    def evidence(self, home: EncodedHome, known: KnownPairs, triggers: Ints, actions: Ints) -> Tensor:
        """``[t, a, len(NAMES)]`` for ``triggers`` x ``actions`` of one home of which ``known`` is known."""
        domain, other = home.domain[triggers], home.domain[actions]
        overlap = home.name_overlap(triggers, actions)
        area, other_area = home.area[triggers][:, None], home.area[actions]
        device = home.device[triggers][:, None]
        both_known = (area >= 0) & (other_area >= 0)
        same_place, other_place = home.by_place(triggers, actions)
        out = np.empty((len(triggers), len(actions), len(NAMES)), dtype=np.float32)
        action_words = home.words[actions]
        columns: Iterable[Any] = (
            self.action_domain.numpy()[other],
            self.domain_pair.numpy()[domain][:, other],
            self.class_pair.numpy()[home.entity_class[triggers]][:, home.entity_class[actions]],
            self.class_domain.numpy()[home.entity_class[triggers]][:, other],
            self.trigger_word.numpy()[home.words[triggers]].sum(1)[:, other],
            home.told_by_meaning(triggers, actions, self.meaning.numpy()),
            _rows(self.action_word.numpy(), domain, lambda row: row[action_words].sum(1)),
            self.target_word.numpy()[other[:, None], action_words].sum(1),
            self.overlap.numpy()[domain[:, None], other, np.digitize(overlap, OVERLAP_STEPS)],
            overlap,
            _above(overlap),
            _cosine(home.by_token, triggers, actions),
            _cosine(home.by_letters, triggers, actions),
            overlap > 0.999,
            0 if home.meaning is None else home.meaning.likeness(triggers, actions),
            same_place,
            other_place,
            ((area == other_area) & both_known) * 1.0 - (both_known & (area != other_area)),
            (device == home.device[actions]) & (device >= 0),
            home.home_domain[triggers][:, None] == home.home_domain[actions],
            *home.alone[actions].T,
        )
        for i, column in enumerate(columns):
            out[:, :, i] = column
        out[:, :, FIRST_KNOWN:] = known.evidence(home, triggers, actions)
        return torch.from_numpy(out)


def _rows(table: Array, index: Ints, read: Any) -> Array:
    """``read`` of each distinct row of ``table``, spread over ``index``."""
    distinct, place = np.unique(index, return_inverse=True)
    return np.stack([read(table[i]) for i in distinct])[place.ravel()]
