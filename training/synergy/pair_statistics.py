"""Counts of pairs by domain, class and word, and the smoothed log-odds that they give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.synergy.encoded_home import TABLES, Array, EncodedHome, Vocabulary
from training.synergy.graph import Ints

OVERLAP_STEPS = (0.001, 0.15, 0.35, 0.6)  # edges of the bins of ``overlap_of_domains``
BINS = len(OVERLAP_STEPS) + 1
# A log-odds is shrunk to the coarser one as if this many positives had been seen at that rate.
PSEUDO_POSITIVES = 1.0
SAMPLED_TRIGGERS, SAMPLED_ACTIONS = 200, 2_000  # of one home, for the statistics that need every pair


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
        to: dict[str, Tensor] = {
            table: torch.from_numpy(self.vocabulary.positions_in(vocabulary, table)) for table in TABLES
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
        index = self.vocabulary.index("domains")
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
    """The lookup tables that features are read from (shapes as in ``PairStatistics``, without the leading 2).

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

    def features(self, home: EncodedHome, overlap: Array, triggers: Ints, actions: Ints) -> dict[str, Array]:
        """What the tables say of ``triggers`` x ``actions``: feature -> values that broadcast to ``[t, a]``.

        ``overlap`` is ``home.name_overlap(triggers, actions)``.
        """
        domain, other = home.domain[triggers], home.domain[actions]
        trigger_class, action_words = home.entity_class[triggers], home.words[actions]
        return {
            "action_domain": self.action_domain.numpy()[other],
            "domain_pair": self.domain_pair.numpy()[domain][:, other],
            "class_pair": self.class_pair.numpy()[trigger_class][:, home.entity_class[actions]],
            "class_domain": self.class_domain.numpy()[trigger_class][:, other],
            "trigger_words": self.trigger_word.numpy()[home.words[triggers]].sum(1)[:, other],
            "trigger_meaning": home.told_by_meaning(triggers, actions, self.meaning.numpy()),
            "action_words": _rows(self.action_word.numpy(), domain, lambda row: row[action_words].sum(1)),
            "target_words": self.target_word.numpy()[other[:, None], action_words].sum(1),
            "overlap_of_domains": self.overlap.numpy()[domain[:, None], other, np.digitize(overlap, OVERLAP_STEPS)],
        }


def _rows(table: Array, index: Ints, read: Any) -> Array:
    """``read`` of each distinct row of ``table``, spread over ``index``."""
    distinct, place = np.unique(index, return_inverse=True)
    return np.stack([read(table[i]) for i in distinct])[place.ravel()]
