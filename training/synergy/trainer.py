"""Train the synergy model: statistics by fold, the fit of the weights of features, then the network."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from data_sources import Home
from training.judging.calibration import Calibration
from training.judging.splits import PARTS, Part, unit_digests
from training.runs.errors import TrainingError
from training.synergy.batches import Block, Lines, trigger_vectors
from training.synergy.config import SynergyConfig
from training.synergy.encoded_home import EncodedHome, Vocabulary
from training.synergy.evaluation import (
    Mask,
    RankingTask,
    calibrate,
    rank,
    ranking_task,
    score_home,
    table,
)
from training.synergy.features import STARTING_WEIGHTS, column, pair_features
from training.synergy.graph import HomeGraph, Ints, acting_domains, build_graph, pair_mask
from training.synergy.known_pairs import KnownPairs
from training.synergy.model import SynergyModel
from training.synergy.name_encoders import WORDS, Encoder
from training.synergy.name_encoders import encoder as names_encoder
from training.synergy.network import SynergyNetwork, collate
from training.synergy.pair_statistics import PairStatistics
from training.synergy.pretrained import MIN_HOMES, SynergyBase, fitted
from training.synergy.scoring import HomeScorer
from training.synergy.splits import Split, describe_split, keep_known, pair_units, split_pairs

# Triggers of one home in one step, and actions beside those they drive; the sampled ones stand for all.
STEP_TRIGGERS, STEP_ACTIONS = 32, 96
# The same for the fit of the features' weights: of all homes together, and of one.
FIT_TRIGGERS, FIT_ACTIONS = 6_000, 400
FIT_HOMES = 300
FIT_PAIRS = 1_500_000  # of all views of all homes, 140 bytes each: bounds memory where one home drives thousands
MOMENT_ROWS = 65_536  # whose squares are in memory at a time
FIT_VIEWS = 4  # of each home with automations known, beside one in which nothing is
# Views of a home that are read once and shown again in later epochs, while all homes' take no more than these pairs.
KEPT_VIEWS, KEPT_PAIRS = 6, 1_000_000
WEIGHT_DECAY = 0.01
# Of the features' weights towards where they start, and of what the vectors of names say of domains; of more training
# pairs than these in proportion less, as is the way of a prior.
FEATURE_PULL, MEANING_PULL = 0.6, 0.02
PULL_PAIRS = 2_000
FOLDS = 10  # statistics of a training pair come from the other folds
# How often a training home is shown without any known pair, and else the share of its automations that are hidden.
NEW_HOME_SHARE = 0.5
HIDDEN_SHARE = 0.3
# In each epoch, of all homes together and of one trigger: enough to choose an epoch; the test part is ranked in full.
VALIDATION_PAIRS = 1_000_000
VALIDATION_NEGATIVES = 1_000
CALIBRATION_HOMES = 60


class Epoch(NamedTuple):
    """One line of the history. ``score`` is the mean of validation MRR and hard AUC, nan without validation."""

    number: int
    loss: float
    score: float


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    ``metrics`` are of the test part, or in-sample, under that name, where nothing is held out. ``split`` says how the
    pairs were split; its ``test_fingerprint`` is equal for models that were judged on the same pairs. ``trained_on``
    holds the ``splits.unit_digests`` of the pairs that training and the choice of the epoch saw.
    """

    model: SynergyModel
    split: dict[str, Any]
    history: tuple[Epoch, ...]
    best_epoch: int
    metrics: dict[str, Any]
    trained_on: str


def train(
    homes: Sequence[Home],
    config: SynergyConfig,
    *,
    split: Split | None = None,
    base: SynergyBase | None = None,
    encoder: Encoder | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> TrainingResult:
    """Train on homes, with the split of ``split_pairs`` unless one is given, starting from ``base`` where one is given.

    The epoch with the best validation score is chosen, epoch 0 being the features alone; where homes are held out, the
    model is then trained for that many epochs on the training and validation homes together. The test part is scored
    once, after that. What names mean is read with ``encoder`` where one is given and something is held out; pairs too
    few for that are too few to weigh it, and names are read as the base reads them. Raises TrainingError where no home
    has a pair to learn from.
    """
    graphs = [build_graph(home) for home in homes]
    if not any(len(graph.pairs) for graph in graphs):
        entities = sum(graph.size for graph in graphs)
        raise TrainingError(
            f"no synergy pair among {len(graphs)} home{'s' * (len(graphs) != 1)} with {entities} "
            f"entit{'ies' if entities != 1 else 'y'}: there is nothing to learn from; "
            "collect synergies (entity_1, entity_2, confidence) first"
        )
    split = split or split_pairs(graphs)
    if split.strategy == "none" and encoder is not None:
        encoder = None if base is None else names_encoder(base.names)
    trainer = _Trainer(graphs, split, config, base, encoder=encoder)
    trainer.fit_feature_weights()
    history, best_epoch = trainer.fit(config.epochs, on_epoch)
    if split.strategy == "home" and trainer.validation:
        trainer = _Trainer(graphs, _with_validation(split), config, base, encoder=encoder, encoded=trainer.homes)
        trainer.fit_feature_weights()
        trainer.fit(best_epoch)
    calibration = trainer.calibrate()
    model = SynergyModel(
        config,
        trainer.vocabulary,
        trainer.acting,
        trainer.log_odds,
        trainer.network,
        calibration,
        provenance,
        {graphs[h].home_id for h in trainer.positives} | (frozenset() if base is None else base.home_ids),
        names=None if encoder is None else encoder.kind,
        encoder=encoder,
    )
    metrics = {"split": split.strategy, "held_out": split.strategy != "none", **trainer.evaluate(calibration)}
    trained_on = unit_digests(pair_units(split, graphs, "train", "validation"))
    return TrainingResult(model, describe_split(split, graphs), tuple(history), best_epoch, metrics, trained_on)


def train_base(
    homes: Sequence[Home], weights: Sequence[float], config: SynergyConfig, card: Mapping[str, Any]
) -> SynergyBase:
    """A base model of all pairs of ``homes``, each counting by its weight.

    The vocabulary holds no text that fewer than ``MIN_HOMES`` homes use.
    """
    graphs = [build_graph(home) for home in homes]
    nothing_held_out = Split("home", tuple(np.zeros(len(g.pairs), dtype=np.int8) for g in graphs), "base", {})
    trainer = _Trainer(graphs, nothing_held_out, config, None, weights, MIN_HOMES, names_encoder(WORDS))
    trainer.fit_feature_weights()
    trainer.fit(config.epochs)
    return SynergyBase(
        name=str(card["name"]),
        hidden_dim=config.hidden_dim,
        num_layers=config.num_layers,
        acting=trainer.acting,
        statistics=trainer.statistics,
        network=trainer.network.state_dict(),
        names=WORDS,
        meaning=trainer.log_odds.meaning,
        calibration=trainer.calibrate(),
        card=card,
    )


def _with_validation(split: Split) -> Split:
    validation, train_part = PARTS.index("validation"), PARTS.index("train")
    return replace(
        split, parts=tuple(np.where(part == validation, train_part, part).astype(np.int8) for part in split.parts)
    )


class _Trainer:
    """The state of one training: encoded homes, statistics by fold, the network and its random numbers."""

    def __init__(
        self,
        graphs: Sequence[HomeGraph],
        split: Split,
        config: SynergyConfig,
        base: SynergyBase | None = None,
        weights: Sequence[float] | None = None,
        min_homes: int = 1,
        encoder: Encoder | None = None,
        encoded: Sequence[EncodedHome] | None = None,
    ) -> None:
        self.graphs, self.split, self.config, self.base = graphs, split, config, base
        self.rng = np.random.default_rng(config.seed)
        torch.manual_seed(config.seed)
        with_pairs = [h for h in range(len(graphs)) if split.select(h, "train").any()]
        self.vocabulary = Vocabulary.of(
            [graphs[h] for h in with_pairs], [split.select(h, "train") for h in with_pairs], min_homes
        )
        if base is not None:
            self.vocabulary = self.vocabulary.plus(base.vocabulary)
        self.acting = acting_domains([graphs[h] for h in with_pairs])
        if encoded is None:
            self.homes = [EncodedHome(graph, self.vocabulary, self.acting, encoder) for graph in graphs]
        else:
            self.homes = [home.reindexed(self.vocabulary, self.acting) for home in encoded]
        # Indexes into graph.pairs of the training pairs whose action can act.
        self.positives = {
            h: np.flatnonzero(split.select(h, "train") & self.homes[h].can_act[graphs[h].pairs[:, 1]])
            for h in with_pairs
        }
        self.positives = {h: rows for h, rows in self.positives.items() if len(rows)}
        if not self.positives:
            raise TrainingError("no training pair acts on an entity that can act: check which way the pairs point")
        self.home_weight = {
            h: (1.0 if weights is None else weights[h]) / math.sqrt(len(rows)) for h, rows in self.positives.items()
        }
        self._fit_statistics()
        self.network = SynergyNetwork(
            len(self.vocabulary.domains) + 1, len(self.vocabulary.classes) + 1, config.hidden_dim, config.num_layers
        )
        self.start = torch.tensor(list(STARTING_WEIGHTS.values()))
        dimensions = next((home.meaning.rows.shape[1] for home in self.homes if home.meaning is not None), 0)
        self.meaning_start = torch.zeros(dimensions, len(self.vocabulary.domains) + 1)
        if base is not None:
            self.start = base.network["evidence_weight"].clone()
            state, meaning = fitted(base, self.vocabulary)
            if encoder is not None and encoder.kind == base.names:
                self.meaning_start = meaning
            if (base.hidden_dim, base.num_layers) == (config.hidden_dim, config.num_layers):
                self.network.load_state_dict(state)
        self.validation = [] if split.strategy == "none" else self._tasks("validation")
        self.seen: dict[int, tuple[Tensor, ...]] = {}
        self.kept: dict[int, list[tuple[Block, Ints]]] = {}
        self.room = KEPT_PAIRS

    def _fit_statistics(self) -> None:
        """Statistics of all training pairs, and for each fold those of the other folds."""
        by_fold = [PairStatistics(self.vocabulary) for _ in range(FOLDS)]
        self.fold_of_pair: dict[int, Ints] = {}
        for number, (h, rows) in enumerate(self.positives.items()):
            graph = self.graphs[h]
            if self.split.strategy == "home":
                fold = np.full(len(graph.pairs), number % FOLDS)
            else:
                names = {name: i for i, name in enumerate(sorted({g for groups in graph.groups for g in groups}))}
                fold = np.array([names[groups[0]] % FOLDS for groups in graph.groups])
            self.fold_of_pair[h] = fold
            for f in np.unique(fold[rows]).tolist():
                by_fold[f].add(self.homes[h], graph.pairs[rows[fold[rows] == f]], self.home_weight[h])
        total = PairStatistics(self.vocabulary)
        for statistics in by_fold:
            total = total.plus(statistics)
        if self.base is not None:
            total = total.plus(self.base.statistics.within(self.vocabulary))
        self.statistics = total
        self.log_odds = total.log_odds()
        self.fold_log_odds = [total.minus(statistics).log_odds() for statistics in by_fold]

    def fit_feature_weights(self) -> None:
        """Weights of the features by the ranking loss, pulled to where counting alone, or the base, would put them."""
        homes = list(self.positives)
        if len(homes) > FIT_HOMES:
            homes = sorted(self.rng.choice(homes, FIT_HOMES, replace=False).tolist())
        triggers = self._bearable(homes)
        compared: list[tuple[EncodedHome, Block]] = []

        def blocks() -> Iterator[Block]:
            for h in homes:
                rows = self.positives[h]
                views = [(rows, self.graphs[h].pairs[:0]), *(self._part_known(h, rows) for _ in range(FIT_VIEWS))]
                for supervised, known in views:
                    block = self._block(h, supervised, known, triggers[h], FIT_ACTIONS)
                    block = block._replace(weight=block.weight if not len(known) else block.weight / FIT_VIEWS)
                    compared.append((self.homes[h], block._replace(features=torch.empty(0))))  # which is most of it
                    yield block

        lines = Lines.of(blocks())
        sizes = [int(block.compared.sum()) for _, block in compared]
        share = torch.cat([torch.full((k,), block.weight / k) for k, (_, block) in zip(sizes, compared, strict=True)])
        share /= share.sum()
        scale = self._set_moments(lines.features, share)
        weight = self.start.clone().requires_grad_()
        bias = torch.full((), -3.0, requires_grad=True)
        # The vectors of names have too many numbers to be features; their weights are fitted beside the features'.
        vectors, cell = trigger_vectors(compared, self.meaning_start.shape[1])
        meaning = self.meaning_start.clone().requires_grad_()
        fading = min(1.0, PULL_PAIRS / sum(len(rows) for rows in self.positives.values()))
        optimizer = torch.optim.LBFGS([weight, bias, meaning], max_iter=50, line_search_fn="strong_wolfe")

        def told() -> Tensor:
            return (vectors @ meaning).flatten()[cell] if len(meaning) else torch.zeros(())

        def loss() -> Tensor:
            optimizer.zero_grad()
            pull = FEATURE_PULL * ((weight - self.start) * scale).square().sum()
            pull = pull + MEANING_PULL * (meaning - self.meaning_start).square().sum()
            value = lines.loss(lines.features @ weight + bias + told()) + fading * pull + 1e-4 * bias.square()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            self.network.evidence_weight.copy_(weight)
            self.network.bias.copy_(bias)
            column(lines.features, "trigger_meaning").copy_(told())
        self.log_odds = replace(self.log_odds, meaning=meaning.detach())
        self.fold_log_odds = [replace(log_odds, meaning=meaning.detach()) for log_odds in self.fold_log_odds]
        self._set_moments(lines.features, share)

    def _bearable(self, homes: Sequence[int]) -> dict[int, int]:
        """How many triggers of each home are shown, so that all blocks together make ``FIT_PAIRS`` pairs at most.

        A trigger is compared with the actions that they all drive and ``FIT_ACTIONS`` more, at most with all that can
        act. What small homes leave of their share goes to larger ones.
        """
        most = max(STEP_TRIGGERS, FIT_TRIGGERS // len(homes))
        driven = {h: self.graphs[h].pairs[self.positives[h]] for h in homes}
        triggers = {h: len(np.unique(pairs[:, 0])) for h, pairs in driven.items()}
        actions = {h: len(np.unique(pairs[:, 1])) for h, pairs in driven.items()}

        def pairs_of(h: int, count: int) -> float:
            return count * min(len(self.homes[h].candidates), count * actions[h] / triggers[h] + FIT_ACTIONS)

        left, shown = FIT_PAIRS / (1 + FIT_VIEWS), {}
        for place, h in enumerate(sorted(homes, key=lambda h: pairs_of(h, min(most, triggers[h])))):
            share, count = left / (len(homes) - place), min(most, triggers[h])
            while count > 1 and pairs_of(h, count) > share:
                count -= 1
            shown[h] = count
            left -= pairs_of(h, count)
        return shown

    def _set_moments(self, features: Tensor, share: Tensor) -> Tensor:
        """Tell the network the mean and standard deviation of each feature; the latter is returned."""
        parts = list(zip(torch.split(features, MOMENT_ROWS), torch.split(share, MOMENT_ROWS), strict=True))
        mean = torch.stack([part @ rows for rows, part in parts]).sum(0)
        square = torch.stack([part @ rows.square() for rows, part in parts]).sum(0)
        scale = (square - mean.square()).clamp_min(0).sqrt()
        self.network.evidence_mean.copy_(mean)
        self.network.evidence_scale.copy_(scale.clamp_min(1e-2))
        return scale

    def fit(self, epochs: int, on_epoch: Callable[[Epoch], None] = lambda _: None) -> tuple[list[Epoch], int]:
        """All epochs, or fewer where ``patience`` epochs bring nothing; leaves the best epoch's weights in place."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.config.learning_rate, weight_decay=WEIGHT_DECAY
        )
        history = [Epoch(0, float("nan"), self._validate())]
        on_epoch(history[0])
        best, best_state = history[0], _copy(self.network)
        for number in range(1, epochs + 1):
            epoch = Epoch(number, self._epoch(optimizer), self._validate())
            if not math.isfinite(epoch.loss):
                raise TrainingError(f"the loss became {epoch.loss} in epoch {number}; lower GNN_LEARNING_RATE")
            history.append(epoch)
            on_epoch(epoch)
            if math.isnan(epoch.score) or epoch.score > best.score:
                best, best_state = epoch, _copy(self.network)
            elif number - best.number >= self.config.patience:
                break
        self.network.load_state_dict(best_state)
        self.network.eval()
        self.kept, self.room = {}, KEPT_PAIRS  # nothing that comes now shows them again
        return history, best.number

    def _epoch(self, optimizer: torch.optim.Optimizer) -> float:
        self.network.train()
        losses = []
        order = self.rng.permutation(list(self.positives))
        for start in range(0, len(order), self.config.batch_size):
            losses.append(self._step(optimizer, order[start : start + self.config.batch_size].tolist()))
        return float(np.mean(losses))

    def _step(self, optimizer: torch.optim.Optimizer, homes: Sequence[int]) -> float:
        views = [self._shown(h) for h in homes]
        graph = collate([self.homes[h] for h in homes], [known for _, known in views])
        entity = self.network.encode(graph)
        logits = []
        for offset, (block, _) in zip(graph.offsets, views, strict=True):
            triggers, actions = torch.from_numpy(block.triggers + offset), torch.from_numpy(block.actions + offset)
            logits.append(self.network(entity, triggers, actions, block.features)[block.compared])
        loss = Lines.of([block for block, _ in views]).loss(torch.cat(logits))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        optimizer.step()
        return float(loss.detach())

    def _shown(self, h: int) -> tuple[Block, Ints]:
        """What a step sees of one home: the pairs to be predicted with their features, and what is known."""
        kept = self.kept.setdefault(h, [])
        if len(kept) == KEPT_VIEWS:
            return kept[int(self.rng.integers(KEPT_VIEWS))]
        supervised, known = self._view(h, self.positives[h])
        shown = self._block(h, supervised, known, STEP_TRIGGERS, STEP_ACTIONS), known
        if self.room >= shown[0].positive.numel():
            self.room -= shown[0].positive.numel()
            kept.append(shown)
        return shown

    def _view(self, h: int, rows: Ints) -> tuple[Ints, Ints]:
        """What one step predicts of a home, and the ``[e, 2]`` pairs that carry messages meanwhile: never the same.

        Either all is to be predicted, as in a new home, or a share of the automations, in both directions of a pair.
        """
        if self.rng.random() < NEW_HOME_SHARE:
            return rows, self.graphs[h].pairs[:0]
        return self._part_known(h, rows)

    def _part_known(self, h: int, rows: Ints) -> tuple[Ints, Ints]:
        graph = self.graphs[h]
        train = self.split.select(h, "train")
        names = sorted({g for i in np.flatnonzero(train) for g in graph.groups[i]})
        drawn = self.rng.random(len(names)) < HIDDEN_SHARE
        shown_names = {name for name, is_hidden in zip(names, drawn, strict=True) if not is_hidden}
        # A pair of a shown automation is known, in both directions.
        hidden = np.array([shown_names.isdisjoint(groups) for groups in graph.groups])
        keys = graph.pair_keys(graph.pairs)
        hidden &= ~np.isin(graph.pair_keys(graph.pairs[:, ::-1]), keys[~hidden & train])
        if not hidden[rows].any():
            return rows, graph.pairs[:0]
        return rows[hidden[rows]], graph.pairs[train & ~hidden]

    def _block(self, h: int, rows: Ints, known: Ints, max_triggers: int, max_actions: int) -> Block:
        """The pairs ``rows`` of one home among its other candidates, ``known`` being what is known of it.

        A negative is never a training pair. Of a large home triggers and actions are drawn; those that stand for
        others say so.
        """
        graph, home = self.graphs[h], self.homes[h]
        asked, fold = graph.pairs[rows], self.fold_of_pair[h][rows]
        lines, line = np.unique(np.stack([fold, asked[:, 0]], axis=1), axis=0, return_inverse=True)
        line = line.ravel()
        if len(lines) > max_triggers:
            kept = np.sort(self.rng.choice(len(lines), max_triggers, replace=False))
            inside = np.isin(line, kept)
            asked, rows, line, lines = asked[inside], rows[inside], np.searchsorted(kept, line[inside]), lines[kept]
        actions = home.candidates
        stands_for = np.zeros(len(actions), dtype=np.float32)
        needed = np.unique(asked[:, 1])
        rest = np.setdiff1d(actions, needed)
        if len(rest) > max_actions:
            drawn = self.rng.choice(rest, max_actions, replace=False)
            actions = np.union1d(needed, drawn)
            stands_for = np.where(np.isin(actions, drawn), math.log(len(rest) / max_actions), 0.0).astype(np.float32)
        triggers = lines[:, 1]
        positive = np.zeros((len(lines), len(actions)), dtype=np.float32)
        positive[line, np.searchsorted(actions, asked[:, 1])] = graph.weight[rows]
        distinct, place = np.unique(triggers, return_inverse=True)
        training = graph.pairs[self.split.select(h, "train")]
        negative = ~pair_mask(training, distinct, actions)[place.ravel()] & (triggers[:, None] != actions)
        known_pairs = KnownPairs(home, known)
        folds, starts = np.unique(lines[:, 0], return_index=True)  # lines are sorted by fold
        features = torch.cat(
            [
                pair_features(self.fold_log_odds[f], home, known_pairs, of_fold, actions)
                for f, of_fold in zip(folds, np.split(triggers, starts[1:]), strict=True)
            ]
        )
        return Block(
            triggers,
            actions,
            torch.from_numpy(positive),
            torch.from_numpy(negative),
            torch.from_numpy(stands_for),
            self.home_weight[h],
            features,
        )

    def _tasks(self, part: Part, known_share: float | None = None) -> list[RankingTask]:
        """What is ranked of ``part`` in training: a sample, of all homes together not more than a step can bear.

        Of the training homes' automations ``known_share`` may be known, and the others asked for.
        """
        homes = [h for h in range(len(self.graphs)) if self.split.select(h, part).any()]
        if part == "train":
            homes = homes[:: math.ceil(len(homes) / CALIBRATION_HOMES)]
        limit = VALIDATION_PAIRS // max(1, len(homes))
        return list(self._ranked(homes, part, limit, VALIDATION_NEGATIVES, known_share=known_share))

    def _ranked(
        self, homes: Iterable[int], part: Part, *limits: int, known_share: float | None = None
    ) -> Iterable[RankingTask]:
        for h in homes:
            asked, known = self.split.select(h, part), self._known(h, part)
            if known_share is not None:
                shown = keep_known([self.graphs[h]], known_share, self.config.seed)
                asked, known = asked & shown.select(0, "test"), asked & shown.select(0, "train")
            task = ranking_task(self.homes[h], self.graphs[h], h, asked, known, *limits)
            if task is not None:
                yield task

    def _known(self, h: int, part: Part) -> Mask:
        """``[p]``: pairs that carry messages while those of ``part`` are predicted: none in a home held out whole."""
        if part == "test":
            return known_for_test(self.graphs[h], self.split, h)
        if self.split.strategy in ("home", "none") or part == "train":
            return np.zeros(len(self.graphs[h].pairs), dtype=bool)
        return self.split.select(h, "train")

    def _validate(self) -> float:
        rows = []
        for number, task in enumerate(self.validation):
            measured = rank(task, self._logits(number, task))
            values = [measured[name] for name in ("mrr", "auc_hard") if not math.isnan(measured[name])]
            rows.append(sum(values) / len(values))
        return sum(rows) / len(rows) if rows else float("nan")

    @torch.no_grad()
    def _logits(self, number: int, task: RankingTask) -> npt.NDArray[np.float64]:
        """Logits of a validation task, whose features are read once for all epochs."""
        home = self.homes[task.home]
        if number not in self.seen:
            features = pair_features(self.log_odds, home, KnownPairs(home, task.known), task.triggers, task.actions)
            self.seen[number] = (torch.from_numpy(task.triggers), torch.from_numpy(task.actions), features)
        encoded = self.network.eval().encode(collate([home], [task.known]))
        logits: Tensor = self.network(encoded, *self.seen[number])
        return logits.double().numpy()

    def calibrate(self) -> Calibration:
        """Platt scaling on training and validation pairs, the former with the statistics of the other folds.

        One for all homes, new or partly known, so training homes count as both. Where nothing can be held out and there
        is a base, its calibration holds: in-sample scores tell no rates.
        """
        if self.base is not None and self.split.strategy == "none":
            return self.base.calibration
        scored = [(task, self._logits(number, task)) for number, task in enumerate(self.validation)]
        for task in (*self._tasks("train"), *self._tasks("train", 1 - HIDDEN_SHARE)):
            by_home = self.split.strategy == "home"  # then a home is of one fold
            log_odds = self.fold_log_odds[int(self.fold_of_pair[task.home][0])] if by_home else self.log_odds
            scorer = HomeScorer(self.network, log_odds, self.homes[task.home], task.known)
            logits = [block.logits.double().numpy() for block in scorer.blocks(task.triggers, task.actions)]
            scored.append((task, np.concatenate(logits)))
        return calibrate(scored)

    def evaluate(self, calibration: Calibration) -> dict[str, Any]:
        """The test part scored once; in-sample, under that name, where nothing is held out."""
        in_sample = self.split.strategy == "none"
        part: Part = "train" if in_sample else "test"
        scored = [
            score_home(task, HomeScorer(self.network, self.log_odds, self.homes[task.home], task.known), calibration)
            for task in self._ranked(range(len(self.graphs)), part)
        ]
        return {"in_sample" if in_sample else "test": table(scored) if scored else None}


def known_for_test(graph: HomeGraph, split: Split, h: int) -> Mask:
    """``[p]``: pairs that carry messages while test pairs are predicted: none in a held-out home, else the others."""
    if split.strategy in ("home", "none"):
        return np.zeros(len(graph.pairs), dtype=bool)
    return split.select(h, "train", "validation")


def _copy(network: SynergyNetwork) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
