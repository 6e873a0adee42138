"""What counting says of a pair: smoothed log-odds of domains, classes and words, and what two names share.

The network starts from these and learns a correction. Statistics of a pair never come from the pair itself: in
training they are fitted on the other folds (``training.link_prediction`` does that).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.graph import HomeGraph, Ints

# Log-odds are relative to the next coarser one, so their plain sum is the log-odds of the finest.
EVIDENCE = (
    "action_domain",
    "domain_pair",
    "class_pair",
    "trigger_words",
    "action_words",
    "name_overlap",
    "log_name_overlap",
    "same_name",
    "same_area",
    "same_device",
    "same_domain",
)
# Where the weights start and what they are pulled to: the sum of log prior and log overlap, which is the logarithm of
# the strongest cheap baseline, their product.
STARTING_WEIGHTS = (1.0, 1.0, 1.0, 0.2, 0.2, 1.0, 0.5, 0.0, 1.0, 1.0, 0.0)
OVERLAP_FLOOR = 0.02
# A log-odds is shrunk to the coarser one as if this many positives had been seen at that rate.
PSEUDO_POSITIVES = 1.0
MIN_WORD_PAIRS = 2  # a word counts where it was seen in this many pairs of the training data


@dataclass(frozen=True)
class Vocabulary:
    """The texts a model knows; index 0 of each table stands for everything else."""

    domains: tuple[str, ...]
    classes: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, graphs: Sequence[HomeGraph], training: Sequence[npt.NDArray[np.bool_]]) -> Vocabulary:
        """Domains and classes of all entities, words of the entities in ``training`` pairs (a mask for each graph)."""
        domains, classes, words = Counter[str](), Counter[str](), Counter[str]()
        for g, mask in zip(graphs, training, strict=True):
            domains.update(g.domains)
            classes.update(g.classes)
            in_pairs = Counter(g.pairs[mask].ravel().tolist())
            for entity, times in in_pairs.items():
                for token in g.tokens[entity].tolist():
                    if token < len(g.words):
                        words[g.words[token]] += times
        return cls(
            tuple(sorted(domains)),
            tuple(sorted(classes)),
            tuple(sorted(word for word, times in words.items() if times >= MIN_WORD_PAIRS)),
        )


class EncodedHome:
    """A graph with its texts as indexes into a vocabulary, ready for gathers. All tensors are ``[n, ...]``."""

    def __init__(self, graph: HomeGraph, vocabulary: Vocabulary, acting: Sequence[str]) -> None:
        domain_index = {text: i for i, text in enumerate(vocabulary.domains, start=1)}
        class_index = {text: i for i, text in enumerate(vocabulary.classes, start=1)}
        word_index = {text: i for i, text in enumerate(vocabulary.words, start=1)}
        self.graph = graph
        self.domain = torch.tensor([domain_index.get(text, 0) for text in graph.domains], dtype=torch.long)
        self.entity_class = torch.tensor([class_index.get(text, 0) for text in graph.classes], dtype=torch.long)
        self.tokens = torch.from_numpy(graph.tokens)
        words = torch.tensor([word_index.get(text, 0) for text in graph.words] + [0], dtype=torch.long)
        self.words = words[self.tokens]
        rarity = torch.from_numpy(graph.rarity)[self.tokens]
        self.rarity = rarity / rarity.square().sum(1, keepdim=True).sqrt().clamp_min(1e-6)
        self.area = torch.from_numpy(graph.area)
        self.device = torch.from_numpy(graph.device)
        can_act = torch.from_numpy(graph.acting(acting))
        self.can_act = can_act
        self.candidates = can_act.nonzero().squeeze(1)

    def name_overlap(self, trigger: Tensor, action: Tensor) -> Tensor:
        """``[k]`` cosine of the two names' idf vectors, 0 to 1."""
        left, right = self.tokens[trigger], self.tokens[action]
        padding = len(self.graph.words)
        same = (left.unsqueeze(2) == right.unsqueeze(1)) & (left != padding).unsqueeze(2)
        products = self.rarity[trigger].unsqueeze(2) * self.rarity[action].unsqueeze(1)
        return (same * products).sum((1, 2)).clamp_max(1.0)


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
            "trigger_word": torch.zeros(2, w, d),
            "action_word": torch.zeros(2, d, w),
        }

    def add(self, home: EncodedHome, pairs: Ints, home_weight: float) -> None:
        """Count ``[k, 2]`` positive pairs of one home, and the candidates of each of their triggers."""
        pairs = pairs[home.can_act.numpy()[pairs[:, 1]]]
        if not len(pairs):
            return
        trigger, action = torch.from_numpy(pairs[:, 0].copy()), torch.from_numpy(pairs[:, 1].copy())
        triggers = torch.from_numpy(np.unique(pairs[:, 0]))
        tables = self.counts
        d, c = tables["domain_pair"].shape[1], tables["class_pair"].shape[1]
        w = tables["trigger_word"].shape[1]

        def add(table: str, kind: int, rows: Tensor, columns: Tensor) -> None:
            weight = torch.full((len(rows),), home_weight)
            tables[table][kind].index_put_((rows, columns), weight, accumulate=True)

        add("domain_pair", 0, home.domain[trigger], home.domain[action])
        add("class_pair", 0, home.entity_class[trigger], home.entity_class[action])
        width = home.words.shape[1]
        add("trigger_word", 0, home.words[trigger].flatten(), home.domain[action].repeat_interleave(width))
        add("action_word", 0, home.domain[trigger].repeat_interleave(width), home.words[action].flatten())

        # Candidates as outer products of histograms: linear in the home, whatever the number of triggers.
        def histogram(index: Tensor, size: int) -> Tensor:
            return torch.bincount(index.flatten(), minlength=size).float()

        action_domains = histogram(home.domain[home.candidates], d)
        action_classes = histogram(home.entity_class[home.candidates], c)
        action_words = histogram(home.words[home.candidates], w)
        trigger_domains = histogram(home.domain[triggers], d)
        trigger_classes = histogram(home.entity_class[triggers], c)
        trigger_words = histogram(home.words[triggers], w)
        tables["domain_pair"][1] += home_weight * torch.outer(trigger_domains, action_domains)
        tables["class_pair"][1] += home_weight * torch.outer(trigger_classes, action_classes)
        tables["trigger_word"][1] += home_weight * torch.outer(trigger_words, action_domains)
        tables["action_word"][1] += home_weight * torch.outer(trigger_domains, action_words)

    def plus(self, other: PairStatistics) -> PairStatistics:
        """Both counts together."""
        return PairStatistics(self.vocabulary, {k: v + other.counts[k] for k, v in self.counts.items()})

    def minus(self, other: PairStatistics) -> PairStatistics:
        """These counts without ``other``'s."""
        return PairStatistics(self.vocabulary, {k: (v - other.counts[k]).clamp_min(0) for k, v in self.counts.items()})

    def log_odds(self) -> LogOdds:
        """Shrunk log-odds tables, each relative to the next coarser."""
        domain_pair = self.counts["domain_pair"]
        pairs, candidates = domain_pair
        base = (float(pairs.sum()) + 1e-3) / (float(candidates.sum()) + 1e-1)
        base_rate = torch.tensor(min(base, 0.5))
        action_rate = _shrunk(domain_pair.sum(1), base_rate)
        pair_rate = _shrunk(domain_pair, action_rate.unsqueeze(0).expand_as(pairs))
        class_domain = self._domain_of_class()
        parent = pair_rate[class_domain][:, class_domain]
        class_rate = _shrunk(self.counts["class_pair"], parent)
        word_rate = _shrunk(
            self.counts["trigger_word"], action_rate.unsqueeze(0).expand(len(self.vocabulary.words) + 1, -1)
        )
        trigger_rate = _shrunk(domain_pair.sum(2), base_rate)
        action_word_rate = _shrunk(
            self.counts["action_word"], trigger_rate.unsqueeze(1).expand(-1, len(self.vocabulary.words) + 1)
        )
        odds = LogOdds(
            action_domain=_log_odds(action_rate) - _log_odds(base_rate),
            domain_pair=_log_odds(pair_rate) - _log_odds(action_rate).unsqueeze(0),
            class_pair=_log_odds(class_rate) - _log_odds(parent),
            trigger_word=_log_odds(word_rate) - _log_odds(action_rate).unsqueeze(0),
            action_word=_log_odds(action_word_rate) - _log_odds(trigger_rate).unsqueeze(1),
        )
        # Index 0 stands for texts never seen (and for the padding of names): nothing is known of them.
        odds.trigger_word[0] = 0
        odds.action_word[:, 0] = 0
        return odds

    def _domain_of_class(self) -> Tensor:
        index = {text: i for i, text in enumerate(self.vocabulary.domains, start=1)}
        return torch.tensor([0] + [index.get(text.partition(":")[0], 0) for text in self.vocabulary.classes])


def _shrunk(counts: Tensor, prior: Tensor) -> Tensor:
    positives, candidates = counts
    rate: Tensor = (positives + PSEUDO_POSITIVES) / (candidates + PSEUDO_POSITIVES / prior)
    return rate.clamp(1e-7, 0.98)


def _log_odds(rate: Tensor) -> Tensor:
    return torch.log(rate) - torch.log1p(-rate)


@dataclass(frozen=True)
class LogOdds:
    """The lookup tables that evidence is read from (shapes as in ``PairStatistics``, without the leading 2)."""

    action_domain: Tensor
    domain_pair: Tensor
    class_pair: Tensor
    trigger_word: Tensor
    action_word: Tensor

    def prior(self, home: EncodedHome, trigger: Tensor, action: Tensor) -> Tensor:
        """``[k]`` log-odds of the domain pair: the cheap baseline."""
        t, a = home.domain[trigger], home.domain[action]
        return self.action_domain[a] + self.domain_pair[t, a]

    def evidence(self, home: EncodedHome, trigger: Tensor, action: Tensor) -> Tensor:
        """``[k, len(EVIDENCE)]`` for ``k`` pairs of one home."""
        t, a = home.domain[trigger], home.domain[action]
        overlap = home.name_overlap(trigger, action)
        area, other_area = home.area[trigger], home.area[action]
        device, other_device = home.device[trigger], home.device[action]
        both_known = (area >= 0) & (other_area >= 0)
        return torch.stack(
            [
                self.action_domain[a],
                self.domain_pair[t, a],
                self.class_pair[home.entity_class[trigger], home.entity_class[action]],
                self.trigger_word[home.words[trigger], a.unsqueeze(1)].sum(1),
                self.action_word[t.unsqueeze(1), home.words[action]].sum(1),
                overlap,
                torch.log(overlap + OVERLAP_FLOOR) - float(np.log(OVERLAP_FLOOR)),
                (overlap > 0.999).float(),
                ((area == other_area) & both_known).float() - (both_known & (area != other_area)).float(),
                ((device == other_device) & (device >= 0)).float(),
                (t == a).float(),
            ],
            dim=1,
        )
