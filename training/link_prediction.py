"""Train and use the synergy model: which entity should act when another one triggers."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from data_sources import Entity, Home, HomeBuilder, LoadReport, Synergy
from training.config import SynergyConfig
from training.errors import ModelFileError, TrainingError
from training.evaluation import (
    CHUNK,
    Calibration,
    RankingTask,
    Scorer,
    balanced_weights,
    evaluate,
    rank,
    score_task,
    tasks_of,
)
from training.evidence import STARTING_WEIGHTS, EncodedHome, LogOdds, PairStatistics, Vocabulary
from training.graph import HomeGraph, Ints, Split, acting_domains, build_graph, describe_split, pair_units, split_pairs
from training.network import SynergyNetwork, collate
from training.splits import Part, sealed

FORMAT = "gnn_synergy"
FORMAT_VERSION = 1

HARD_NEGATIVES = 8  # a positive; as many random ones
# Random negatives are weighted to stand for all entities that can act, so that the loss is that of ranking them all;
# hard ones stand for this share of the entities that other pairs act on.
HARD_WEIGHT = 0.25
STEP_POSITIVES = 4096  # of one home in one step, so that a step's cost does not grow with the home's pairs
FIT_POSITIVES = 20_000  # of one home in the fit of the evidence weights
WEIGHT_DECAY = 0.01
EVIDENCE_PULL = 0.1  # of the evidence weights towards STARTING_WEIGHTS
FOLDS = 10  # statistics of a training pair come from the other folds
# How often a training home is shown without any known pair, and else the share of its automations that are hidden.
NEW_HOME_SHARE = 0.5
HIDDEN_SHARE = 0.3
# Of one home in each epoch, enough to choose an epoch and to calibrate; the test part is ranked in full.
VALIDATION_PAIRS = 200_000
VALIDATION_NEGATIVES = 1_000


class Epoch(NamedTuple):
    """One line of the history. ``score`` is the mean of validation MRR and hard AUC, nan without validation."""

    number: int
    loss: float
    score: float


class Suggestion(NamedTuple):
    """A pair that the home has not automated yet; ``score`` is 0 to 1."""

    trigger: str
    action: str
    score: float


@dataclass(frozen=True)
class TrainingResult:
    """A trained model and how it came about.

    ``metrics`` are of the test part, or in-sample, under that name, where nothing is held out. ``split`` says how the
    pairs were split; its ``test_fingerprint`` is equal for models that were judged on the same pairs. ``trained_on``
    seals (``splits.sealed``) the pairs that training and the choice of the epoch saw.
    """

    model: SynergyModel
    split: dict[str, Any]
    history: tuple[Epoch, ...]
    best_epoch: int
    metrics: dict[str, Any]
    trained_on: str


class SynergyModel:
    """Scores directed (trigger, action) pairs of any home. Needs none of the data it was trained on."""

    def __init__(
        self,
        config: SynergyConfig,
        vocabulary: Vocabulary,
        acting: Sequence[str],
        log_odds: LogOdds,
        network: SynergyNetwork,
        calibration: Calibration,
        provenance: Mapping[str, Any] | None = None,
    ) -> None:
        self.config = config
        self.vocabulary = vocabulary
        self.acting = tuple(acting)
        self.log_odds = log_odds
        self.network = network.eval()
        self.calibration = calibration
        self.provenance = dict(provenance or {})

    def score(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        pairs: Iterable[tuple[str, str]],
    ) -> npt.NDArray[np.float64]:
        """Score pairs of one home.

        Args:
            entities: Records or plain dicts in the homes format.
            known_synergies: Records or plain dicts; what the home is known to do. A known pair that is asked for does
                not tell its own answer: it is scored as if it were not known.
            pairs: (trigger entity id, action entity id).

        Returns:
            ``[len(pairs)]`` from 0 to 1, 0.5 meaning as likely true as not beside one false pair.

        Raises:
            ValueError: An entity or synergy cannot be used, or a pair names an entity the home does not have.
        """
        home, graph = self._home(entities, known_synergies)
        index = {entity_id: i for i, entity_id in enumerate(graph.entity_ids)}
        asked = list(pairs)
        try:
            rows = np.array([(index[t], index[a]) for t, a in asked], dtype=np.int64).reshape(-1, 2)
        except KeyError as error:
            raise ValueError(f"{error.args[0]!a}: no enabled entity of this home has this id") from None
        if not len(rows):
            return np.zeros(0)
        known = _keys(graph, graph.pairs)
        asked_keys = _keys(graph, rows)
        is_known = np.isin(asked_keys, known)
        logits = np.empty(len(rows))
        for mask, edges in (
            (~is_known, graph.pairs),
            (is_known, graph.pairs[~np.isin(known, asked_keys)]),
        ):
            if mask.any():
                logits[mask] = self._logits(home, edges, rows[mask])
        return self.calibration(logits)

    def suggest(
        self,
        entities: Iterable[Entity | Mapping[str, Any]],
        known_synergies: Iterable[Synergy | Mapping[str, Any]],
        k: int,
    ) -> list[Suggestion]:
        """The ``k`` best pairs of one home that are not among the known ones, best first. Raises as ``score``."""
        home, graph = self._home(entities, known_synergies)
        candidates = home.candidates.numpy()
        known = _keys(graph, graph.pairs)
        encoded = self._encode(home, graph.pairs)
        best: list[tuple[float, int, int]] = []
        triggers_at_once = max(1, CHUNK // max(1, len(candidates)))
        for start in range(0, graph.size, triggers_at_once):
            triggers = np.arange(start, min(start + triggers_at_once, graph.size))
            rows = np.stack([np.repeat(triggers, len(candidates)), np.tile(candidates, len(triggers))], axis=1)
            rows = rows[(rows[:, 0] != rows[:, 1]) & ~np.isin(_keys(graph, rows), known)]
            logits = self._logits(home, graph.pairs, rows, encoded)
            top = np.argsort(-logits, kind="stable")[:k]
            best += [(float(logits[i]), int(rows[i, 0]), int(rows[i, 1])) for i in top]
            best = sorted(best, key=lambda item: (-item[0], item[1:]))[:k]
        scores = self.calibration(np.array([item[0] for item in best]))
        return [
            Suggestion(graph.entity_ids[t], graph.entity_ids[a], float(score))
            for (_, t, a), score in zip(best, scores, strict=True)
        ]

    def _home(self, entities: Iterable[Any], known: Iterable[Any]) -> tuple[EncodedHome, HomeGraph]:
        report = LoadReport(where="home")
        builder = HomeBuilder(report)
        for i, entity in enumerate(entities):
            builder.add_entity(entity, f"entities[{i}]")
        for i, synergy in enumerate(known):
            builder.add_row(synergy, f"known_synergies[{i}]")
        if report.reasons:
            raise ValueError(report.reasons[0])
        graph = build_graph(builder.build())
        return EncodedHome(graph, self.vocabulary, self.acting), graph

    @torch.no_grad()
    def _encode(self, home: EncodedHome, known: Ints) -> Tensor:
        return self.network.encode(collate([home], [_edges(known)]))

    @torch.no_grad()
    def _logits(self, home: EncodedHome, known: Ints, rows: Ints, encoded: Tensor | None = None) -> npt.NDArray[Any]:
        encoded = self._encode(home, known) if encoded is None else encoded
        parts = []
        for start in range(0, len(rows), CHUNK):
            trigger, action = torch.from_numpy(rows[start : start + CHUNK].T.copy())
            parts.append(self.network(encoded, trigger, action, self.log_odds.evidence(home, trigger, action)))
        return torch.cat(parts).double().numpy() if parts else np.zeros(0)

    def to_bytes(self) -> bytes:
        """The model file: equal models give equal bytes, whatever the time and the path."""
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "hidden_dim": self.config.hidden_dim,
            "num_layers": self.config.num_layers,
            "config": self.config.model_dump(),
            "vocabulary": {key: list(value) for key, value in asdict(self.vocabulary).items()},
            "acting_domains": list(self.acting),
            "log_odds": dict(vars(self.log_odds)),
            "state_dict": dict(self.network.state_dict()),
            "calibration": asdict(self.calibration),
            "provenance": self.provenance,
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        return buffer.getvalue()

    @classmethod
    def load(cls, path: str | Path) -> SynergyModel:
        """Read a model file. Raises ModelFileError where it is missing, broken, of another kind or too new."""
        try:
            content = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError as error:
            raise ModelFileError(f"{path}: no such model file") from error
        except Exception as error:  # torch raises a dozen kinds on a file that is none of its own
            what = str(error).strip().splitlines()[0][:120] if str(error).strip() else type(error).__name__
            raise ModelFileError(f"{path}: is not a model file that can be loaded ({what})") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ModelFileError(f"{path}: is not a {FORMAT} model of this format (an older or another one)")
        if content.get("format_version") != FORMAT_VERSION:
            raise ModelFileError(
                f"{path}: has format version {content.get('format_version')!a}, this program reads {FORMAT_VERSION}"
            )
        try:
            config = SynergyConfig(**content["config"])
            vocabulary = Vocabulary(**{key: tuple(value) for key, value in content["vocabulary"].items()})
            network = SynergyNetwork(
                len(vocabulary.domains) + 1, len(vocabulary.classes) + 1, config.hidden_dim, config.num_layers
            )
            network.load_state_dict(content["state_dict"])
            return cls(
                config=config,
                vocabulary=vocabulary,
                acting=content["acting_domains"],
                log_odds=LogOdds(**content["log_odds"]),
                network=network,
                calibration=Calibration(**content["calibration"]),
                provenance=content["provenance"],
            )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            what = " ".join(str(error).split())[:160]
            raise ModelFileError(f"{path}: is a {FORMAT} model with parts missing or changed ({what})") from error


def train(
    homes: Sequence[Home],
    config: SynergyConfig,
    *,
    split: Split | None = None,
    provenance: Mapping[str, Any] | None = None,
    on_epoch: Callable[[Epoch], None] = lambda _: None,
) -> TrainingResult:
    """Train on homes, with the split of ``split_pairs`` unless one is given.

    The weights are those of the epoch with the best validation score, epoch 0 being the evidence alone. The test part
    is scored once, after that. Raises TrainingError where no home has a pair to learn from.
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
    torch.manual_seed(config.seed)
    trainer = _Trainer(graphs, split, config)
    trainer.fit_evidence()
    history, best_epoch = trainer.fit(on_epoch)
    calibration = trainer.calibrate()
    model = SynergyModel(
        config, trainer.vocabulary, trainer.acting, trainer.log_odds, trainer.network, calibration, provenance
    )
    metrics = {"split": split.strategy, "held_out": split.strategy != "none", **trainer.evaluate(calibration)}
    trained_on = sealed(pair_units(split, graphs, "train", "validation"))
    return TrainingResult(model, describe_split(split, graphs), tuple(history), best_epoch, metrics, trained_on)


class _Sample(NamedTuple):
    """Positives and sampled negatives of one home; all ``[k]``, evidence ``[k, e]``."""

    trigger: Tensor
    action: Tensor
    label: Tensor
    weight: Tensor
    evidence: Tensor


class _Trainer:
    """The state of one training: encoded homes, statistics by fold, the network and its random numbers."""

    def __init__(self, graphs: Sequence[HomeGraph], split: Split, config: SynergyConfig) -> None:
        self.graphs, self.split, self.config = graphs, split, config
        self.rng = np.random.default_rng(config.seed)
        with_pairs = [h for h in range(len(graphs)) if split.select(h, "train").any()]
        self.vocabulary = Vocabulary.of([graphs[h] for h in with_pairs], [split.select(h, "train") for h in with_pairs])
        self.acting = acting_domains([graphs[h] for h in with_pairs])
        self.homes = [EncodedHome(graph, self.vocabulary, self.acting) for graph in graphs]
        # Indexes into graph.pairs of the training pairs whose action can act.
        self.positives = {
            h: np.flatnonzero(split.select(h, "train") & self.homes[h].can_act.numpy()[graphs[h].pairs[:, 1]])
            for h in with_pairs
        }
        self.positives = {h: rows for h, rows in self.positives.items() if len(rows)}
        if not self.positives:
            raise TrainingError("no training pair acts on an entity that can act: check which way the pairs point")
        weights = {h: 1 / math.sqrt(len(rows)) for h, rows in self.positives.items()}
        mean = sum(weights.values()) / len(weights)
        self.home_weight = {h: weight / mean for h, weight in weights.items()}
        self._fit_statistics()
        self.network = SynergyNetwork(
            len(self.vocabulary.domains) + 1, len(self.vocabulary.classes) + 1, config.hidden_dim, config.num_layers
        )
        self.validation = [] if split.strategy == "none" else self._tasks("validation")

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
        self.log_odds = total.log_odds()
        self.fold_log_odds = [total.minus(statistics).log_odds() for statistics in by_fold]

    def fit_evidence(self) -> None:
        """Weights of the evidence by weighted logistic regression, pulled to where counting alone would put them."""
        samples = []
        for h, rows in self.positives.items():
            chosen = (
                rows if len(rows) <= FIT_POSITIVES else np.sort(self.rng.choice(rows, FIT_POSITIVES, replace=False))
            )
            samples.append(self._sample(h, chosen, negatives=4 * HARD_NEGATIVES))
        sample = _Sample(*(torch.cat(parts) for parts in zip(*samples, strict=True)))
        scale = sample.evidence.std(0, correction=0)
        network = self.network
        network.evidence_mean.copy_(sample.evidence.mean(0))
        network.evidence_scale.copy_(scale.clamp_min(1e-2))
        start = torch.tensor(STARTING_WEIGHTS)
        weight = start.clone().requires_grad_()
        bias = torch.full((), -3.0, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=60, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = _loss(sample.evidence @ weight + bias, sample.label, sample.weight)
            value = value + EVIDENCE_PULL * ((weight - start) * scale).square().sum() + 1e-4 * bias.square()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        with torch.no_grad():
            network.evidence_weight.copy_(weight)
            network.bias.copy_(bias)

    def fit(self, on_epoch: Callable[[Epoch], None]) -> tuple[list[Epoch], int]:
        """All epochs, or fewer where ``patience`` epochs bring nothing; leaves the best epoch's weights in place."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), lr=self.config.learning_rate, weight_decay=WEIGHT_DECAY
        )
        history = [Epoch(0, float("nan"), self._validate())]
        on_epoch(history[0])
        best, best_state = history[0], _copy(self.network)
        for number in range(1, self.config.epochs + 1):
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
        return history, best.number

    def _epoch(self, optimizer: torch.optim.Optimizer) -> float:
        self.network.train()
        views = [(h, *self._view(h, rows)) for h, rows in self.positives.items()]
        order = self.rng.permutation(len(views))
        losses = []
        for start in range(0, len(order), self.config.batch_size):
            batch = [views[i] for i in order[start : start + self.config.batch_size]]
            graph = collate([self.homes[h] for h, _, _ in batch], [_edges(known) for _, _, known in batch])
            samples = []
            for offset, (h, supervised, _) in zip(graph.offsets, batch, strict=True):
                sample = self._sample(h, supervised, negatives=HARD_NEGATIVES)
                samples.append(sample._replace(trigger=sample.trigger + offset, action=sample.action + offset))
            trigger, action, label, weight, evidence = (torch.cat(parts) for parts in zip(*samples, strict=True))
            optimizer.zero_grad()
            loss = _loss(self.network(self.network.encode(graph), trigger, action, evidence), label, weight)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def _view(self, h: int, rows: Ints) -> tuple[Ints, Ints]:
        """What one epoch predicts of a home, and the ``[e, 2]`` pairs that carry messages meanwhile: never the same.

        Either all is to be predicted, as in a new home, or a share of the automations, in both directions of a pair.
        """
        graph = self.graphs[h]
        supervised, known = rows, graph.pairs[:0]
        if self.rng.random() >= NEW_HOME_SHARE:
            train = self.split.select(h, "train")
            names = sorted({g for i in np.flatnonzero(train) for g in graph.groups[i]})
            drawn = self.rng.random(len(names)) < HIDDEN_SHARE
            hidden_names = {name for name, is_hidden in zip(names, drawn, strict=True) if is_hidden}
            hidden = np.array([not hidden_names.isdisjoint(groups) for groups in graph.groups])
            keys = _keys(graph, graph.pairs)
            hidden |= np.isin(_keys(graph, graph.pairs[:, ::-1]), keys[hidden])
            if hidden[rows].any():
                supervised, known = rows[hidden[rows]], graph.pairs[train & ~hidden]
        if len(supervised) > STEP_POSITIVES:
            supervised = np.sort(self.rng.choice(supervised, STEP_POSITIVES, replace=False))
        return supervised, known

    def _sample(self, h: int, rows: Ints, negatives: int) -> _Sample:
        """Positives ``rows`` of one home with ``negatives`` random and as many hard negatives each, none across homes.

        A negative is never a known training pair; weights make the sampled negatives stand for all of them.
        """
        graph, home = self.graphs[h], self.homes[h]
        positive = graph.pairs[rows]
        training = graph.pairs[self.split.select(h, "train")]
        candidates = home.candidates.numpy()
        targets = np.unique(graph.pairs[self.positives[h], 1])
        trigger = np.repeat(positive[:, 0], 2 * negatives)
        drawn = [self.rng.choice(pool, (len(positive), negatives)) for pool in (candidates, targets)]
        action = np.concatenate(drawn, axis=1).ravel()
        strata = np.repeat([len(candidates), HARD_WEIGHT * len(targets)], negatives) / negatives
        # A trigger with several positives draws its negatives several times.
        times = np.bincount(positive[:, 0], minlength=graph.size)[trigger]
        weight = np.tile(strata, len(positive)) / times
        true = (trigger != action) & ~np.isin(trigger * graph.size + action, _keys(graph, training))
        fold = self.fold_of_pair[h][rows]
        folds = np.concatenate([fold, np.repeat(fold, 2 * negatives)[true]])
        triggers = torch.from_numpy(np.concatenate([positive[:, 0], trigger[true]]))
        actions = torch.from_numpy(np.concatenate([positive[:, 1], action[true]]))
        evidence = torch.empty(len(triggers), len(STARTING_WEIGHTS))
        for f in np.unique(folds).tolist():
            chosen = torch.from_numpy(folds == f)
            evidence[chosen] = self.fold_log_odds[f].evidence(home, triggers[chosen], actions[chosen])
        label = torch.zeros(len(triggers))
        label[: len(rows)] = 1
        weights = np.concatenate([graph.weight[rows], weight[true]]) * self.home_weight[h]
        return _Sample(triggers, actions, label, torch.from_numpy(weights.astype(np.float32)), evidence)

    def _tasks(self, part: Part) -> list[RankingTask]:
        return tasks_of(self.homes, self.split, part, VALIDATION_PAIRS, VALIDATION_NEGATIVES)

    def _scorer(self, h: int, known: Ints) -> Scorer:
        return scorer(self.network, self.homes[h], known)

    def _known_for_validation(self, h: int) -> Ints:
        """Pairs that carry messages while validation pairs are predicted: none in a held-out home, else training's."""
        return self.graphs[h].pairs[self.split.select(h, "train")]

    def _validate(self) -> float:
        rows = []
        for task, scores in self._validation_scores():
            measured = rank(task, scores)
            values = [measured[name] for name in ("mrr", "auc_hard") if not math.isnan(measured[name])]
            rows.append(sum(values) / len(values))
        return sum(rows) / len(rows) if rows else float("nan")

    def _validation_scores(self) -> Iterable[tuple[RankingTask, npt.NDArray[np.float64]]]:
        for task in self.validation:
            scorer = self._scorer(task.home, self._known_for_validation(task.home))
            yield task, score_task(task, self.homes[task.home], self.log_odds, {"model": scorer})["model"]

    def calibrate(self) -> Calibration:
        """Platt scaling on the validation part, or on the training pairs where there is none."""
        scored = list(self._validation_scores())
        if not scored:
            for task in self._tasks("train"):
                scorer = self._scorer(task.home, self.graphs[task.home].pairs[:0])
                scored.append(
                    (task, score_task(task, self.homes[task.home], self.log_odds, {"model": scorer})["model"])
                )
        return Calibration.fit(
            np.concatenate([scores for _, scores in scored]),
            np.concatenate([task.positive.astype(np.float64) for task, _ in scored]),
            np.concatenate([balanced_weights(task) for task, _ in scored]),
        )

    def evaluate(self, calibration: Calibration) -> dict[str, Any]:
        """The test part scored once; in-sample, under that name, where nothing is held out."""
        in_sample = self.split.strategy == "none"
        tasks = tasks_of(self.homes, self.split, "train" if in_sample else "test")
        name = "in_sample" if in_sample else "test"
        if not tasks:
            return {name: None}
        measured = evaluate(
            tasks,
            self.homes,
            self.log_odds,
            lambda h: self._scorer(h, known_for_test(self.graphs[h], self.split, h)),
            calibration,
        )
        return {name: measured}


def scorer(network: SynergyNetwork, home: EncodedHome, known: Ints) -> Scorer:
    """Scores of pairs of one home, with ``[e, 2]`` known pairs carrying messages."""
    with torch.no_grad():
        encoded = network.eval().encode(collate([home], [_edges(known)]))

    def score(trigger: Tensor, action: Tensor, evidence: Tensor) -> Tensor:
        with torch.no_grad():
            scores: Tensor = network(encoded, trigger, action, evidence)
            return scores

    return score


def known_for_test(graph: HomeGraph, split: Split, h: int) -> Ints:
    """``[e, 2]`` pairs that carry messages while test pairs are predicted: none in a held-out home, else the others."""
    if split.strategy in ("home", "none"):
        return graph.pairs[:0]
    return graph.pairs[split.select(h, "train", "validation")]


def _loss(logit: Tensor, label: Tensor, weight: Tensor) -> Tensor:
    """Weighted cross-entropy a unit of positive weight."""
    losses = functional.binary_cross_entropy_with_logits(logit, label, reduction="none")
    return (weight * losses).sum() / (weight * label).sum().clamp_min(1e-6)


def _keys(graph: HomeGraph, pairs: Ints) -> Ints:
    return pairs[:, 0] * graph.size + pairs[:, 1]


def _edges(pairs: Ints) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pairs.T))


def _copy(network: SynergyNetwork) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}
