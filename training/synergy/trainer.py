"""Train the synergy model: counts by fold, then the weights of the features, then the network."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from data_sources import Home
from data_sources.counting import many
from training.judging.calibration import Calibration
from training.judging.metrics import Array
from training.judging.splits import Part, joined_digests, unit_digests
from training.runs.distributed import add_up, all_say, first_hears, first_says, process_number, world_size
from training.runs.errors import TrainingError
from training.runs.memory import give_back_now
from training.runs.progress import Progress
from training.runs.stored import InOrder, Room, Stored
from training.synergy.config import AUTO, CPU, CUDA, NETWORK_EPOCHS, NETWORK_HOMES, NETWORK_PAIRS, SynergyConfig
from training.synergy.convolution import sage_convolution
from training.synergy.curves import curves_of
from training.synergy.encoded_home import EncodedHome
from training.synergy.evaluation import (
    RankingTask,
    calibrate,
    macro_metrics,
    rank,
    ranking_task,
    score_home,
)
from training.synergy.feature_weights import InitialWeights, fit_feature_weights, gradient_of
from training.synergy.features import STARTING_WEIGHTS, pair_features
from training.synergy.graph import HomeGraph, acting_domains, build_graph
from training.synergy.known_pairs import KnownPairs
from training.synergy.model import SynergyModel
from training.synergy.name_encoders import WORDS, Encoder, encoder_of
from training.synergy.network import SynergyNetwork, collate
from training.synergy.pair_statistics import LogOdds
from training.synergy.pretrained import MIN_HOMES, PretrainedSynergy
from training.synergy.same_homes import find_same_homes
from training.synergy.scoring import HomeScorer
from training.synergy.splits import Split, describe_split, everything_trains, known_home_split, pair_units, split_pairs
from training.synergy.stored_homes import bytes_of_blocks, bytes_of_encoded, bytes_of_graph, graphs_of
from training.synergy.training_homes import FoldStatistics, TrainingHomes
from training.synergy.views import HIDDEN_SHARE, Block, ComparedPairs, ViewSampler
from training.synergy.vocabulary import Vocabulary

STEP_ROWS, STEP_ACTIONS = 32, 96  # of one home in one step: rows, and candidates beside supervised actions
# Blocks of a home that are kept for later epochs, and pairs in the kept blocks of all homes.
KEPT_BLOCKS, KEPT_PAIRS = 6, 1_000_000
STEPS_OF_HOLES = 50  # after which the holes that they left in memory are given back to the system
WEIGHT_DECAY = 0.01
MAX_GRADIENT = 1.0
# Pairs ranked in validation after an epoch, of all homes together, and candidates of one trigger. That is enough to
# choose an epoch; the test part is ranked in full.
VALIDATION_PAIRS, VALIDATION_CANDIDATES = 1_000_000, 1_000
CALIBRATION_HOMES = 60
HOMES_SAID = 500  # of each process, whose outlines are told in one message


class Epoch(NamedTuple):
    """One line of the history.

    Attributes:
        number: From 1; epoch 0 is the weighted sum of the features alone.
        loss: Mean training loss; nan in epoch 0.
        score: Mean of the validation part's MRR and hard AUC; nan without a validation part.
    """

    number: int
    loss: float
    score: float


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    Attributes:
        model: The model.
        split: How the pairs were split (``splits.describe_split``). Models with an equal ``test_fingerprint`` were
            tested on the same pairs.
        validation_pairs: Pairs that each validation score rests on.
        history: All epochs of the training that chose the epoch.
        best_epoch: Number of the chosen epoch.
        metrics: ``split`` and ``held_out``, and ``test`` (``evaluation.macro_metrics`` and ``curves.curves_of``), which
            is ``in_sample`` where nothing is held out.
        trained_on: ``judging.splits.unit_digests`` of the pairs that training and the choice of the epoch saw, and of
            those that the pretrained model saw.
    """

    model: SynergyModel
    split: dict[str, Any]
    validation_pairs: int
    history: tuple[Epoch, ...]
    best_epoch: int
    metrics: dict[str, Any]
    trained_on: str


def train_synergy_model(
    homes: Sequence[Home],
    config: SynergyConfig,
    *,
    split: Split | None = None,
    pretrained: PretrainedSynergy | None = None,
    encoder: Encoder | None = None,
    device: str = CPU,
    room: Room | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> TrainingResult:
    """Train a model on homes and evaluate it.

    Validation chooses the epoch. Where homes are held out whole, the model is then trained anew for that many epochs on
    the training and validation homes together. The test part is scored once, after that.

    Args:
        homes: The homes; where several processes train together, those of this one, and each gets the same result.
        config: How to train.
        split: Which pairs are held out; ``split_pairs`` if not given.
        pretrained: A model to start from.
        encoder: Reads names. Where nothing can be held out, the pairs are too few to weigh what it says, and names are
            read by the pretrained model's encoder instead, or not at all without one.
        device: Where the epochs of the network run: ``cpu``, ``cuda``, or ``auto`` for the first GPU that is there.
        room: Memory for the homes as the model reads them and for what is drawn from them; all stay in memory if not
            given. It changes no number.
        provenance: Goes into the model file.
        on_epoch: Called after each epoch of the training that chooses the epoch.

    Raises:
        TrainingError: No home has a pair to learn from, no pair acts on an entity that can act, or the loss is no
            number.
    """
    room = room or Room()
    with Progress("Preparing the homes"):
        graphs, own = share_graphs(graphs_of(homes, room), room)
        if not any(len(graph.pairs) for graph in graphs):
            entities = many(sum(graph.size for graph in graphs), "entity")
            raise TrainingError(
                f"no synergy pair among {many(len(graphs), 'home')} with {entities}: there is nothing to learn from; "
                "collect synergies (entity_1, entity_2, confidence) first"
            )
        device = device_of(device)
        split = split or split_pairs(graphs)
        if split.strategy == "none" and encoder is not None:
            encoder = None if pretrained is None else encoder_of(pretrained.encoder_kind)
        config = config.model_copy(update={"epochs": epochs_for(graphs, config)})
        trainer = SynergyTrainer(
            graphs, split, config, pretrained=pretrained, encoder=encoder, own=own, device=device, room=room
        )
    with Progress("Fitting the weights of the features"):
        trainer.fit_feature_weights()
    history, best_epoch = trainer.fit(config.epochs or 0, on_epoch)
    validation_pairs = trainer.validation_pairs
    if split.strategy == "home" and trainer.has_validation:
        trainer = SynergyTrainer(
            graphs,
            split.with_validation(),
            config,
            pretrained=pretrained,
            encoder=encoder,
            own=own,
            encoded=trainer.encoded,
            device=device,
            room=room,
        )
        with Progress("Training on the training and validation homes", best_epoch, "epoch") as again:
            trainer.fit_feature_weights()
            trainer.fit(best_epoch, lambda epoch: again.advance(epoch.number > 0))
    with Progress("Calibrating"):
        calibration = trainer.calibrate()
    model = SynergyModel(
        config,
        trainer.vocabulary,
        trainer.acting_domains,
        trainer.log_odds,
        trainer.network,
        calibration,
        provenance,
        trainer.home_ids | (frozenset() if pretrained is None else pretrained.home_ids),
        encoder_kind=None if encoder is None else encoder.kind,
        encoder=encoder,
    )
    with Progress("Evaluating"):
        metrics = {"split": split.strategy, "held_out": split.strategy != "none", **trainer.evaluate(calibration)}
    trained_on = _seen_pairs(split, graphs, pretrained)
    described = describe_split(split, graphs)
    return TrainingResult(model, described, validation_pairs, tuple(history), best_epoch, metrics, trained_on)


def _seen_pairs(split: Split, graphs: Sequence[HomeGraph], pretrained: PretrainedSynergy | None) -> str:
    """``unit_digests`` of the pairs that a training and the model that it started from saw."""
    own = unit_digests(pair_units(split, graphs, "train", "validation"))
    if pretrained is None:
        return own
    shared = [graph for graph in graphs if graph.home_id in pretrained.home_ids]  # it saw all of their pairs
    return joined_digests(
        own, unit_digests(pair_units(everything_trains(shared), shared, "train")), pretrained.trained_on
    )


def epochs_for(graphs: Sequence[HomeGraph], config: SynergyConfig) -> int:
    """How many epochs the network is trained at most: those that are asked for, else none of few homes."""
    if config.epochs is not None:
        return config.epochs
    homes, pairs = sum(len(graph.pairs) > 0 for graph in graphs), sum(len(graph.pairs) for graph in graphs)
    return NETWORK_EPOCHS if homes >= NETWORK_HOMES or pairs >= NETWORK_PAIRS else 0


def device_of(asked: str) -> str:
    """The device of this process: ``cpu``, or ``cuda`` with a number, its own where several processes train.

    Raises:
        TrainingError: ``cuda`` was asked for, and torch finds none.
    """
    if asked == CPU:
        return CPU
    if not torch.cuda.is_available():
        if asked == AUTO:
            return CPU
        raise TrainingError(
            f"--device {asked}: this torch {torch.__version__} finds no GPU; leave --device out, or give auto"
        )
    return f"{CUDA}:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"


def share_graphs(own: Sequence[HomeGraph], room: Room) -> tuple[Sequence[HomeGraph], frozenset[int]]:
    """The homes of all processes, and the indexes of those of this process.

    Others' homes have no names, edges or hubs: a process knows of them what decides the split, the vocabulary and the
    order of training (``HomeGraph.outline``). With one process they are ``own`` as they are.
    """
    if world_size() == 1:
        return own, frozenset(range(len(own)))
    graphs: Stored[HomeGraph] = Stored(room, bytes_of_graph)
    found: list[tuple[str, int, int, bool]] = []  # home id, process, number among all, whether this process has it
    for start in range(0, max(all_say(len(own))), HOMES_SAID):
        said = own[start : start + HOMES_SAID]
        for process, outlines in enumerate(all_say([graph.outline() for graph in said])):
            mine = process == process_number()
            for graph in said if mine else outlines:
                found.append((graph.home_id, process, len(graphs), mine))
                graphs.put(len(graphs), graph)
    found.sort(key=lambda one: one[:3])
    return InOrder(graphs, [number for _, _, number, _ in found]), frozenset(
        i for i, (_, _, _, mine) in enumerate(found) if mine
    )


def pretrain(
    homes: Sequence[Home], weights: Sequence[float], config: SynergyConfig, card: Mapping[str, Any]
) -> PretrainedSynergy:
    """Train a model for others to start from, on all pairs of ``homes``.

    Args:
        homes: The homes.
        weights: What each home counts; the exports of one home share what one of them counts.
        config: How to train.
        card: What its card says beside what it is made of; ``name`` is its name, ``homes`` the real homes.

    Returns:
        The model. Its vocabulary holds no text that fewer than ``MIN_HOMES`` homes use.
    """
    graphs = [build_graph(home) for home in homes]
    first = find_same_homes(graphs).first
    exports = Counter(first.values())
    weights = [w / exports.get(first.get(g.home_id, ""), 1) for w, g in zip(weights, graphs, strict=True)]
    trainer = SynergyTrainer(
        graphs, everything_trains(graphs), config, weights=weights, min_homes=MIN_HOMES, encoder=encoder_of(WORDS)
    )
    trainer.fit_feature_weights()
    trainer.fit(epochs_for(graphs, config))
    named = {one["home_id"] for one in card["homes"]}
    real = [graph for graph in graphs if graph.home_id in named]
    seen = unit_digests(pair_units(everything_trains(real), real, "train"))
    return PretrainedSynergy(
        name=str(card["name"]),
        hidden_dim=config.hidden_dim,
        num_layers=config.num_layers,
        acting_domains=trainer.acting_domains,
        statistics=trainer.statistics.total,
        network=trainer.network.state_dict(),
        encoder_kind=WORDS,
        meaning=trainer.log_odds.meaning,
        calibration=trainer.calibrate(),
        card={**card, "trained_on": seen},
    )


class SynergyTrainer:
    """One training: call ``fit_feature_weights``, then ``fit``, then ``calibrate`` and ``evaluate``.

    Args:
        graphs: The homes, with their pairs.
        split: Which pairs are held out.
        config: How to train; its seed settles all random numbers.
        pretrained: A model to start from.
        weights: What each home counts; all alike if not given.
        min_homes: The vocabulary holds no text that fewer homes use.
        encoder: Reads names.
        own: Indexes of the homes that this process encodes and draws pairs from; all if not given. Other processes of
            the same training have the others.
        encoded: The same homes, encoded by another trainer with the same encoder, which saves encoding them again.
        device: Where the epochs of the network run; all else runs on the CPU.
        room: Memory for the encoded homes and for what is drawn from them; all stay in memory if not given.

    Attributes:
        vocabulary: The texts of the training homes and of the pretrained model.
        acting_domains: Read-only domains that act in the training homes.
        encoded: Home -> the home as the model reads it, for those of this process.
        homes: The training homes.
        statistics: What was counted on them.
        views: Draws views and blocks of them.
        network: The network.
        start: The weights that the fit of the features' weights starts from.
    """

    def __init__(
        self,
        graphs: Sequence[HomeGraph],
        split: Split,
        config: SynergyConfig,
        *,
        pretrained: PretrainedSynergy | None = None,
        weights: Sequence[float] | None = None,
        min_homes: int = 1,
        encoder: Encoder | None = None,
        own: frozenset[int] | None = None,
        encoded: Mapping[int, EncodedHome] | None = None,
        device: str = CPU,
        room: Room | None = None,
    ) -> None:
        self._graphs, self._split, self._config, self._pretrained = graphs, split, config, pretrained
        self._rng = np.random.default_rng(config.seed)
        torch.manual_seed(config.seed)
        training = {h: mask for h in range(len(graphs)) if (mask := split.select(h, "train")).any()}
        training_graphs = InOrder(graphs, list(training))
        self.vocabulary = Vocabulary.of(training_graphs, list(training.values()), min_homes)
        if pretrained is not None:
            self.vocabulary = self.vocabulary.plus(pretrained.vocabulary)
        self.acting_domains = acting_domains(training_graphs)
        self._device = torch.device(device)
        self._own = range(len(graphs)) if own is None else sorted(own)
        vocabulary, acting = self.vocabulary, self.acting_domains
        self._room = Room() if room is None else room
        self.encoded: Stored[EncodedHome] = Stored(self._room, bytes_of_encoded)
        for h in self._own:
            self.encoded.put(
                h,
                EncodedHome(graphs[h], vocabulary, acting, encoder)
                if encoded is None
                else encoded[h].reindexed(vocabulary, acting),
            )
        self.homes = TrainingHomes.of(graphs, self.encoded, split, acting, weights)
        counts = None if pretrained is None else pretrained.statistics
        self.statistics = FoldStatistics(self.homes, self.vocabulary, counts)
        self.views = ViewSampler(self.homes, self.statistics, config.seed)
        domains, classes = len(self.vocabulary.domains) + 1, len(self.vocabulary.classes) + 1
        self.network = SynergyNetwork(domains, classes, config.hidden_dim, config.num_layers, sage_convolution)
        named = () if encoder is None else self.encoded.values()
        vectors = (home.name_vectors for home in named if home.name_vectors is not None)
        dimensions = max(all_say(next((found.rows.shape[1] for found in vectors), 0)))
        weight, meaning = torch.tensor(list(STARTING_WEIGHTS.values())), torch.zeros(dimensions, domains)
        if pretrained is not None:
            weight = pretrained.network["evidence_weight"]
            state, pretrained_meaning = pretrained.expanded(self.vocabulary)
            if encoder is not None and encoder.kind == pretrained.encoder_kind:
                meaning = pretrained_meaning
            if (pretrained.hidden_dim, pretrained.num_layers) == (config.hidden_dim, config.num_layers):
                self.network.load_state_dict(state)
        self.start = InitialWeights(weight, meaning, learnt=pretrained is not None)
        self._validation = [] if split.strategy == "none" else self._sampled_tasks("validation")
        self._validation_pairs = sum(all_say(sum(int(task.positive.sum()) for task in self._validation)))
        self._validation_features: Stored[Tensor] = Stored(self._room, lambda features: features.nbytes)
        self._forget_blocks()

    @property
    def has_validation(self) -> bool:
        """Whether any pair of the validation part can be ranked."""
        return self._validation_pairs > 0

    @property
    def validation_pairs(self) -> int:
        """Pairs of the validation part that are ranked."""
        return self._validation_pairs

    @property
    def home_ids(self) -> frozenset[str]:
        """The training homes."""
        return frozenset(self._graphs[h].home_id for h in self.homes.positives)

    @property
    def log_odds(self) -> LogOdds:
        """What the training pairs and the pretrained model say of domains, classes and words."""
        return self.statistics.log_odds

    def fit_feature_weights(self) -> None:
        """Fit the weights of the features and of name vectors (``feature_weights``)."""
        fit_feature_weights(self.network, self.homes, self.statistics, self.views, self.start, self._rng, self._room)

    def fit(self, epochs: int, on_epoch: Callable[[Epoch], None] = lambda _: None) -> tuple[list[Epoch], int]:
        """Train the network and leave the weights of the best epoch in it.

        Args:
            epochs: How many; fewer where ``patience`` epochs bring no better score.
            on_epoch: Called after each epoch.

        Returns:
            All epochs, and the number of the best one: the last, where there is no validation part.

        Raises:
            TrainingError: The loss is no number.
        """
        self.network.to(self._device)
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self._config.learning_rate, weight_decay=WEIGHT_DECAY
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
            elif number - best.number >= self._config.patience:
                break
        self.network.load_state_dict(best_state)
        self.network.cpu().eval()
        self._forget_blocks()  # no later call needs them
        return history, best.number

    def _forget_blocks(self) -> None:
        self._kept: Stored[tuple[Block, Block]] = Stored(self._room, bytes_of_blocks)
        self._kept_of: Counter[int] = Counter()  # home -> how many of its blocks are kept
        self._pairs_left = KEPT_PAIRS

    def _epoch(self, optimizer: torch.optim.Optimizer) -> float:
        self.network.train()
        losses = []
        order = self._rng.permutation(list(self.homes.positives))
        for number, start in enumerate(range(0, len(order), self._config.batch_size)):
            if number % STEPS_OF_HOLES == 0:
                give_back_now()
            losses.append(self._step(optimizer, order[start : start + self._config.batch_size].tolist()))
        return float(np.mean(losses))

    def _step(self, optimizer: torch.optim.Optimizer, homes: Sequence[int]) -> float:
        """One step on some homes, of which this process computes the gradients of its own."""
        own = self.homes.own(homes)
        blocks = [self._blocks(h) for h in own]
        pairs = ComparedPairs.of(block for of_home in blocks for block in of_home)
        whole = pairs.positive_weight
        add_up(whole)
        optimizer.zero_grad()
        loss = torch.zeros(())
        if own:
            loss = pairs.to(self._device).loss(self._logits(own, blocks), whole.to(self._device))
            loss.backward()  # type: ignore[no-untyped-call]
            loss = loss.detach()
        add_up(loss, *(gradient_of(parameter) for parameter in self.network.parameters()))
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), MAX_GRADIENT)
        optimizer.step()
        return float(loss)

    def _logits(self, homes: Sequence[int], blocks: Sequence[Sequence[Block]]) -> Tensor:
        """``[k]`` logits of the compared pairs of the blocks of each home."""
        generators = [self._dropout(h) for h in homes]
        encoded = [self.homes.home(h) for h in homes]
        graph = collate(encoded, [own[0].known for own in blocks])
        sizes = [home.graph.size for home in encoded]
        entity = self.network.encode(graph.to(self._device), self.network.dropout_masks(sizes, generators))
        logits = []
        for offset, own, generator in zip(graph.offsets, blocks, generators, strict=True):
            for block in own:
                triggers, actions = torch.from_numpy(block.triggers + offset), torch.from_numpy(block.actions + offset)
                features = block.features.to(self._device)
                logit = self.network(entity, triggers, actions, features, generator)
                logits.append(logit[block.compared.to(self._device)])
        return torch.cat(logits)

    def _dropout(self, h: int) -> torch.Generator:
        """Decides what is dropped of a home in one step, whatever other homes this process trains on."""
        return torch.Generator(self._device).manual_seed(int(self.views.rng(h).integers(2**63)))

    def _blocks(self, h: int) -> tuple[Block, Block]:
        """The blocks of a view of one home for one step, new or kept."""
        kept = self._kept_of[h]
        if kept == KEPT_BLOCKS:
            return self._kept[h * KEPT_BLOCKS + int(self.views.rng(h).integers(KEPT_BLOCKS))]
        blocks = self.views.blocks(h, self.views.draw(h), STEP_ROWS, STEP_ACTIONS)
        pairs = sum(block.positive.numel() for block in blocks)
        if self._pairs_left >= pairs:
            self._pairs_left -= pairs
            self._kept.put(h * KEPT_BLOCKS + kept, blocks)
            self._kept_of[h] += 1
        return blocks

    def _validate(self) -> float:
        scores = []
        for number, task in enumerate(self._validation):
            measured = rank(task, self._validation_logits(number, task))
            values = [measured[name] for name in ("mrr", "auc_hard") if not math.isnan(measured[name])]
            scores.append((task.home, sum(values) / len(values)))
        scores = sorted(chain.from_iterable(all_say(scores)))
        return sum(score for _, score in scores) / len(scores) if scores else float("nan")

    @torch.no_grad()
    def _validation_logits(self, number: int, task: RankingTask) -> Array:
        """``[t, a]`` logits of a validation task. Its features are read once for all epochs."""
        home = self.homes.home(task.home)
        if number not in self._validation_features:
            known = KnownPairs(home, task.known)
            features = pair_features(self.log_odds, home, known, task.triggers, task.actions)
            self._validation_features.put(number, features)
        device = self.network.bias.device
        entity = self.network.eval().encode(collate([home], [task.known]).to(device))
        triggers, actions = torch.from_numpy(task.triggers), torch.from_numpy(task.actions)
        logits: Tensor = self.network(entity, triggers, actions, self._validation_features[number].to(device))
        return logits.double().cpu().numpy()

    def _sampled_tasks(self, part: Part, known_share: float | None = None) -> list[RankingTask]:
        """Tasks of ``part`` that take bounded time: samples of triggers and candidates, and of training homes."""
        homes = [h for h in range(len(self._graphs)) if self._split.select(h, part).any()]
        if part == "train":
            homes = homes[:: math.ceil(len(homes) / CALIBRATION_HOMES)]
        limits = VALIDATION_PAIRS // max(1, len(homes)), VALIDATION_CANDIDATES
        return list(self._tasks(homes, part, *limits, known_share=known_share))

    def _tasks(
        self, homes: Sequence[int], part: Part, *limits: int, known_share: float | None = None
    ) -> Iterator[RankingTask]:
        """The tasks of ``part``. With ``known_share`` some of its automations are known, and the others are ranked."""
        for h in self.homes.own(homes):
            held_out, known = self._split.select(h, part), self._split.known(h, part)
            if known_share is not None:
                inner = known_home_split([self._graphs[h]], known_share, self._config.seed)
                held_out, known = held_out & inner.select(0, "test"), held_out & inner.select(0, "train")
            task = ranking_task(self.homes.home(h), self._graphs[h], h, held_out, known, *limits)
            if task is not None:
                yield task

    def calibrate(self) -> Calibration:
        """Platt scaling on training and validation pairs.

        Each training home counts twice, as a new and as a partly known home. Where homes are held out whole, its scores
        come from the log-odds without its fold. Where nothing can be held out, scores are in-sample and say nothing of
        rates; then the pretrained model's calibration is taken, if there is one.
        """
        if self._pretrained is not None and self._split.strategy == "none":
            return self._pretrained.calibration
        validated = [(task, self._validation_logits(number, task)) for number, task in enumerate(self._validation)]
        scored = [
            _in_order(validated),
            *(_in_order(self._scored_training(share)) for share in (None, 1 - HIDDEN_SHARE)),
        ]
        return calibrate(chain.from_iterable(scored))

    def _scored_training(self, known_share: float | None) -> list[tuple[RankingTask, Array]]:
        scored = []
        for task in self._sampled_tasks("train", known_share):
            log_odds = self.log_odds
            if self._split.strategy == "home":  # so all pairs of a home are in one fold
                log_odds = self.statistics.without_fold[self.homes.fold[task.home][0]]
            scorer = HomeScorer(self.network, log_odds, self.homes.home(task.home), task.known)
            logits = [block.logits.double().numpy() for block in scorer.blocks(task.triggers, task.actions)]
            scored.append((task, np.concatenate(logits)))
        return scored

    def evaluate(self, calibration: Calibration) -> dict[str, Any]:
        """Score the test part: ``test`` -> ``macro_metrics`` and ``curves_of``, None where no pair can be ranked.

        Where nothing is held out, the training part is scored as ``in_sample``.
        """
        give_back_now()
        in_sample = self._split.strategy == "none"
        scored = []
        for task in self._tasks(range(len(self._graphs)), "train" if in_sample else "test"):
            scorer = HomeScorer(self.network, self.log_odds, self.homes.home(task.home), task.known)
            scored.append(score_home(task, scorer, calibration))
        heard = sorted(chain.from_iterable(first_hears(scored)), key=lambda score: score.task.home)
        measured = first_says({**macro_metrics(heard), **curves_of(heard)} if heard else None)
        return {"in_sample" if in_sample else "test": measured}


def _in_order(scored: list[tuple[RankingTask, Array]]) -> list[tuple[RankingTask, Array]]:
    """The scored tasks of all processes, by home."""
    return sorted(chain.from_iterable(all_say(scored)), key=lambda one: one[0].home)


def _copy(network: SynergyNetwork) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
