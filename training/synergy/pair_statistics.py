"""Counts of training pairs by domain, class and word, and the smoothed log-odds that they give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.synergy.encoded_home import BINS, Array, EncodedHome, overlap_bin
from training.synergy.graph import Ints
from training.synergy.vocabulary import TABLES, Vocabulary

PSEUDO_POSITIVES = 1.0  # seen at the coarser rate, by which a rate is shrunk towards it
SAMPLED_TRIGGERS, SAMPLED_ACTIONS = 200, 2_000  # of one home, for the statistics that need every pair
MIN_RATE, MAX_RATE = 1e-7, 0.98


class PairStatistics:
    """Weighted counts of positive pairs and of their candidates. They can be added and subtracted.

    The candidates of a positive pair are all pairs of its trigger with an entity of its home that can act.

    Args:
        vocabulary: What the counts are indexed by.
        counts: Table -> counts; all 0 if not given. ValueError if one is missing or has another shape.

    Attributes:
        counts: Table -> ``[2, rows, columns]``, positives before candidates. ``d``, ``c`` and ``w`` being the numbers
            of domains, classes and words and one more for all unknown texts, the tables have these shapes:
            ``domain_pair`` ``[d, d]``, ``class_pair`` ``[c, c]``, ``class_domain`` ``[c, d]``, ``trigger_word``
            ``[w, d]`` (words of the trigger, domain of the action), ``action_word`` ``[d, w]`` (domain of the trigger,
            words of the action), ``target_word`` ``[d, w]`` (domain and words of the action), ``overlap``
            ``[d, d * BINS]`` (domain pair and bin of name overlap), ``trigger`` ``[1, c]`` (triggers, all entities),
            ``starting_word`` ``[1, w]`` (words of triggers, of all entities).
    """

    def __init__(self, vocabulary: Vocabulary, counts: dict[str, Tensor] | None = None) -> None:
        self.vocabulary = vocabulary
        d, c, w = _sizes(vocabulary)
        shapes = {
            "domain_pair": (2, d, d),
            "class_pair": (2, c, c),
            "class_domain": (2, c, d),
            "trigger_word": (2, w, d),
            "action_word": (2, d, w),
            "target_word": (2, d, w),
            "overlap": (2, d, d * BINS),
            "trigger": (2, 1, c),
            "starting_word": (2, 1, w),
        }
        self.counts = counts or {name: torch.zeros(shape) for name, shape in shapes.items()}
        _check_shapes("counts", self.counts, shapes)

    def add(self, home: EncodedHome, pairs: Ints, home_weight: float) -> None:
        """Count positive pairs of one home and their candidates.

        Args:
            home: The home.
            pairs: ``[k, 2]`` positive pairs; those whose action cannot act are left out.
            home_weight: What each pair counts.
        """
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
        add("starting_word", 0, np.zeros_like(words[triggers]), words[triggers])
        add("starting_word", 1, np.zeros_like(words), words)
        add("target_word", 1, domain[candidates].repeat(width), words[candidates], home_weight * len(triggers))

        # Candidates are counted as outer products of histograms, in time linear in the home.
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
        """Count bins of name overlap by domain pair. In a large home an even sample stands for all pairs."""
        rows, columns = _evenly(triggers, SAMPLED_TRIGGERS), _evenly(home.candidates, SAMPLED_ACTIONS)
        sampled = pairs[np.isin(pairs[:, 0], rows)]
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
            overlap_bin(overlap),
            home_weight / share * len(home.candidates) / len(columns),
        )
        row = np.searchsorted(rows, sampled[:, 0])
        actions, column = np.unique(sampled[:, 1], return_inverse=True)
        overlap = home.name_overlap(rows, actions)[row, column.ravel()]
        add(
            0,
            home.domain[sampled[:, 0]] * size + home.domain[sampled[:, 1]],
            overlap_bin(overlap),
            home_weight / share,
        )

    def plus(self, other: PairStatistics) -> PairStatistics:
        """The sum of both counts."""
        return PairStatistics(self.vocabulary, {k: v + other.counts[k] for k, v in self.counts.items()})

    def minus(self, other: PairStatistics) -> PairStatistics:
        """These counts less those of ``other``, at least 0."""
        return PairStatistics(self.vocabulary, {k: (v - other.counts[k]).clamp_min(0) for k, v in self.counts.items()})

    def within(self, vocabulary: Vocabulary) -> PairStatistics:
        """The same counts for another vocabulary, whose index 0 takes the counts of texts that it does not have."""
        moved = PairStatistics(vocabulary)
        to: dict[str, Tensor] = {
            table: torch.from_numpy(self.vocabulary.positions_in(vocabulary, table)) for table in TABLES
        }
        to["one"] = torch.zeros(1, dtype=torch.long)
        to["overlap"] = (to["domains"].unsqueeze(1) * BINS + torch.arange(BINS)).flatten()
        axes = {
            "domain_pair": ("domains", "domains"),
            "class_pair": ("classes", "classes"),
            "class_domain": ("classes", "domains"),
            "trigger_word": ("words", "domains"),
            "action_word": ("domains", "words"),
            "target_word": ("domains", "words"),
            "overlap": ("domains", "overlap"),
            "trigger": ("one", "classes"),
            "starting_word": ("one", "words"),
        }
        for table, (rows, columns) in axes.items():
            for kind in (0, 1):
                index = (to[rows].unsqueeze(1), to[columns].unsqueeze(0))
                moved.counts[table][kind].index_put_(index, self.counts[table][kind], accumulate=True)
        return moved

    def log_odds(self) -> LogOdds:
        """The log-odds of all tables, each shrunk towards the next coarser table and relative to it."""
        counts, words = self.counts, len(self.vocabulary.words) + 1
        domain_pair = counts["domain_pair"]
        positives, candidates = domain_pair
        rate = (float(positives.sum()) + 1e-3) / (float(candidates.sum()) + 1e-1)
        base_rate = torch.tensor(min(rate, 0.5))
        action_rate = _shrunk(domain_pair.sum(1), base_rate)
        pair_rate = _shrunk(domain_pair, action_rate.unsqueeze(0).expand_as(positives))
        class_domain = self._domain_of_class()
        pair_rate_of_classes = pair_rate[class_domain][:, class_domain]
        class_rate = _shrunk(counts["class_pair"], pair_rate_of_classes)
        class_domain_rate = _shrunk(counts["class_domain"], pair_rate[class_domain])
        word_rate = _shrunk(counts["trigger_word"], action_rate.unsqueeze(0).expand(words, -1))
        trigger_domain_rate = _shrunk(domain_pair.sum(2), base_rate)
        action_word_rate = _shrunk(counts["action_word"], trigger_domain_rate.unsqueeze(1).expand(-1, words))
        target_rate = _shrunk(counts["target_word"], action_rate.unsqueeze(1).expand(-1, words))
        by_class = counts["trigger"][:, 0]
        by_domain = torch.zeros(2, len(action_rate)).index_add(1, class_domain, by_class)
        triggers, entities = by_class.sum(1).tolist()
        starting_rate = torch.tensor((triggers + 1e-3) / (entities + 1e-1)).clamp_max(0.5)
        domain_starting_rate = _shrunk(by_domain, starting_rate)
        class_starting_rate = _shrunk(by_class, domain_starting_rate[class_domain])
        word_starting_rate = _shrunk(counts["starting_word"][:, 0], starting_rate)
        odds = LogOdds(
            action_domain=_log_odds(action_rate) - _log_odds(base_rate),
            domain_pair=_log_odds(pair_rate) - _log_odds(action_rate).unsqueeze(0),
            class_pair=_log_odds(class_rate) - _log_odds(pair_rate_of_classes),
            class_domain=_log_odds(class_domain_rate) - _log_odds(pair_rate[class_domain]),
            trigger_word=_log_odds(word_rate) - _log_odds(action_rate).unsqueeze(0),
            action_word=_log_odds(action_word_rate) - _log_odds(trigger_domain_rate).unsqueeze(1),
            target_word=_log_odds(target_rate) - _log_odds(action_rate).unsqueeze(1),
            overlap=self._overlap_odds(base_rate, action_rate, pair_rate),
            meaning=torch.zeros(0, len(action_rate)),
            starting_domain=_log_odds(domain_starting_rate) - _log_odds(starting_rate),
            starting_class=_log_odds(class_starting_rate) - _log_odds(domain_starting_rate[class_domain]),
            starting_word=_log_odds(word_starting_rate) - _log_odds(starting_rate),
        )
        # Index 0 stands for unknown words and for the padding of names, of which nothing is known.
        odds.starting_word[0] = 0
        odds.trigger_word[0] = 0
        odds.action_word[:, 0] = 0
        odds.target_word[:, 0] = 0
        return odds

    def _overlap_odds(self, base_rate: Tensor, action_rate: Tensor, pair_rate: Tensor) -> Tensor:
        """``[d, d, BINS]``: log-odds of each bin of overlap, shrunk first by bin, then by action domain and bin."""
        d = len(action_rate)
        counts = self.counts["overlap"].view(2, d, d, BINS)
        bin_rate = _shrunk(counts.sum((1, 2)), base_rate)
        by_action = _shrunk(counts.sum(1), (action_rate.unsqueeze(1) * bin_rate / base_rate).clamp(MIN_RATE, 0.9))
        expected = by_action.unsqueeze(0) * (pair_rate / action_rate).unsqueeze(2)
        by_pair = _shrunk(counts, expected.clamp(MIN_RATE, 0.9))
        return _log_odds(by_pair) - _log_odds(pair_rate).unsqueeze(2)

    def _domain_of_class(self) -> Tensor:
        """``[c]``: the domain's index of each class."""
        index = self.vocabulary.index("domains")
        return torch.tensor([0] + [index.get(text.partition(":")[0], 0) for text in self.vocabulary.classes])


def _evenly(items: Ints, limit: int) -> Ints:
    return items if len(items) <= limit else items[np.linspace(0, len(items) - 1, limit).astype(np.int64)]


def _shrunk(counts: Tensor, prior: Tensor) -> Tensor:
    positives, candidates = counts
    rate: Tensor = (positives + PSEUDO_POSITIVES) / (candidates + PSEUDO_POSITIVES / prior)
    return rate.clamp(MIN_RATE, MAX_RATE)


def _log_odds(rate: Tensor) -> Tensor:
    return torch.log(rate) - torch.log1p(-rate)


@dataclass(frozen=True)
class LogOdds:
    """What the training data says of domains, classes and words, as tables that features are looked up in.

    ``d``, ``c`` and ``w`` are as in ``PairStatistics``.

    Attributes:
        action_domain: ``[d]`` by domain of the action.
        domain_pair: ``[d, d]`` by domains of trigger and action, relative to ``action_domain``.
        class_pair: ``[c, c]`` by classes of trigger and action, relative to their domain pair.
        class_domain: ``[c, d]`` by class of the trigger and domain of the action, relative to their domain pair.
        trigger_word: ``[w, d]`` by word of the trigger and domain of the action, relative to ``action_domain``.
        action_word: ``[d, w]`` by domain of the trigger and word of the action, relative to the trigger's domain.
        target_word: ``[d, w]`` by domain and word of the action, relative to ``action_domain``.
        overlap: ``[d, d, BINS]`` by domain pair and bin of name overlap, relative to the domain pair.
        starting_domain: ``[d]`` by domain: how likely an entity is to trigger anything, relative to the mean.
        starting_class: ``[c]`` by class: the same, relative to the domain.
        starting_word: ``[w]`` by word of its name: the same, relative to the mean over entities.
        meaning: ``[dimensions, d]`` weights of name vectors: what each number in the vector of a trigger's name adds
            for each domain of the action. They are fitted, not counted; without name vectors there are no dimensions.
    """

    action_domain: Tensor
    domain_pair: Tensor
    class_pair: Tensor
    class_domain: Tensor
    trigger_word: Tensor
    action_word: Tensor
    target_word: Tensor
    overlap: Tensor
    starting_domain: Tensor
    starting_class: Tensor
    starting_word: Tensor
    meaning: Tensor

    def check(self, vocabulary: Vocabulary) -> None:
        """Raises ValueError where a table does not fit the vocabulary, or holds what is no number."""
        d, c, w = _sizes(vocabulary)
        tables = dict(vars(self))
        shapes = {
            "action_domain": (d,),
            "domain_pair": (d, d),
            "class_pair": (c, c),
            "class_domain": (c, d),
            "trigger_word": (w, d),
            "action_word": (d, w),
            "target_word": (d, w),
            "overlap": (d, d, BINS),
            "starting_domain": (d,),
            "starting_class": (c,),
            "starting_word": (w,),
            "meaning": (tables["meaning"].shape[0], d),
        }
        _check_shapes("log_odds", tables, shapes)
        check_finite("log_odds", tables)

    def features(self, home: EncodedHome, overlap: Array, triggers: Ints, actions: Ints) -> dict[str, Array]:
        """Feature -> values of the block triggers x actions, in shapes that broadcast to ``[t, a]``.

        ``overlap`` is ``home.name_overlap(triggers, actions)``.
        """
        domain, action_domain = home.domain[triggers], home.domain[actions]
        trigger_class, action_words = home.entity_class[triggers], home.words[actions]
        starting = self.starting_word.numpy()[home.words[triggers]]
        return {
            "starts_domain": self.starting_domain.numpy()[domain][:, None],
            "starts_class": self.starting_class.numpy()[trigger_class][:, None],
            "starts_words": starting.sum(1)[:, None],
            "starts_word": starting.max(1)[:, None],
            "action_domain": self.action_domain.numpy()[action_domain],
            "domain_pair": self.domain_pair.numpy()[domain][:, action_domain],
            "class_pair": self.class_pair.numpy()[trigger_class][:, home.entity_class[actions]],
            "class_domain": self.class_domain.numpy()[trigger_class][:, action_domain],
            "trigger_words": self.trigger_word.numpy()[home.words[triggers]].sum(1)[:, action_domain],
            "trigger_meaning": home.trigger_meaning(triggers, actions, self.meaning.numpy()),
            "action_words": _by_distinct(domain, lambda d: self.action_word.numpy()[d][action_words].sum(1)),
            "target_words": self.target_word.numpy()[action_domain[:, None], action_words].sum(1),
            "overlap_of_domains": self.overlap.numpy()[domain[:, None], action_domain, overlap_bin(overlap)],
        }


def _by_distinct(index: Ints, read: Callable[[int], Array]) -> Array:
    """``[k, ...]``: ``read`` of each of ``[k]`` indexes, called once for equal ones."""
    distinct, place = np.unique(index, return_inverse=True)
    return np.stack([read(i) for i in distinct.tolist()])[place.ravel()]


def check_finite(what: str, tensors: Mapping[str, Tensor]) -> None:
    """Raises ValueError that names a tensor with nan or infinity."""
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ValueError(f"{what}: {name} holds what is no number")


def _sizes(vocabulary: Vocabulary) -> list[int]:
    """The numbers of domains, classes and words, and one more for all unknown texts."""
    return [len(getattr(vocabulary, table)) + 1 for table in TABLES]


def _check_shapes(what: str, tensors: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]]) -> None:
    for name, shape in shapes.items():
        if tuple(tensors[name].shape) != shape:
            raise ValueError(f"{what}: {name} has shape {tuple(tensors[name].shape)}, the vocabulary asks for {shape}")
