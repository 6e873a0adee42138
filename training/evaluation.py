"""Judge link scores without leakage: rank every entity that can act, beside baselines that only count.

Protocol (each home alone, then the mean over homes): for each trigger of a held-out pair, all entities of the home
that can act are ranked, other known positives of the trigger removed, ties by mean rank. MRR and Hits@10 average
over held-out pairs. AUC and average precision take the held-out pairs against two kinds of negatives of the same
triggers: hard ones (entities that another pair of the home acts on) and random ones (all entities that can act).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from training.evidence import EVIDENCE, EncodedHome, LogOdds
from training.graph import Split
from training.metrics import METRICS, Array, average_precision, expected_calibration_error, mean_rank, roc_auc
from training.splits import Part

CHUNK = 32_768  # pairs scored at a time
RANKED_PAIRS = 2_000_000  # of one home; beyond it triggers are sampled

Scorer = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(trigger ``[k]``, action ``[k]``, evidence ``[k, e]``) of one home -> ``[k]`` scores; only their order counts."""


@dataclass(frozen=True)
class RankingTask:
    """The pairs of one home to be scored: for each trigger its held-out positives and all its negatives.

    ``query`` numbers the triggers; all arrays are ``[k]``.
    """

    home: int
    trigger: Tensor
    action: Tensor
    query: npt.NDArray[np.int64]
    positive: npt.NDArray[np.bool_]
    hard: npt.NDArray[np.bool_]
    triggers_left_out: int
    pairs_not_ranked: int


def ranking_task(
    home: EncodedHome,
    index: int,
    split: Split,
    part: Part,
    limit: int = RANKED_PAIRS,
    negatives_limit: int | None = None,
) -> RankingTask | None:
    """The task of one home for one part; None where it has no pair there.

    A home of more than about ``limit`` pairs is judged on triggers taken at random under a fixed seed, each with all
    its candidates, or with ``negatives_limit`` of them taken at random where that is given.
    """
    graph = home.graph
    can_act = home.can_act.numpy()
    held_out = graph.pairs[split.select(index, part)]
    usable = held_out[can_act[held_out[:, 1]]]
    if not len(usable):
        return None
    candidates = np.flatnonzero(can_act)
    targets = np.zeros(graph.size, dtype=bool)
    targets[graph.pairs[:, 1]] = True
    triggers = np.unique(usable[:, 0])
    rng = np.random.default_rng(0)
    kept = max(1, limit // max(1, min(len(candidates), negatives_limit or len(candidates))))
    left_out = max(0, len(triggers) - kept)
    if left_out:
        triggers = np.sort(rng.choice(triggers, kept, replace=False))

    by_trigger: dict[int, list[int]] = {}
    for t, a in graph.pairs.tolist():
        by_trigger.setdefault(t, []).append(a)
    held: dict[int, list[int]] = {}
    for t, a in usable.tolist():
        held.setdefault(t, []).append(a)
    trigger, action, query, positive = [], [], [], []
    for number, t in enumerate(triggers.tolist()):
        mask = can_act.copy()
        mask[by_trigger[t]] = False
        mask[t] = False
        negatives = np.flatnonzero(mask)
        if negatives_limit is not None and len(negatives) > negatives_limit:
            negatives = np.sort(rng.choice(negatives, negatives_limit, replace=False))
        positives = np.array(held[t], dtype=np.int64)
        action.append(np.concatenate([positives, negatives]))
        positive.append(np.arange(len(positives) + len(negatives)) < len(positives))
        trigger.append(np.full(len(action[-1]), t))
        query.append(np.full(len(action[-1]), number))
    actions = np.concatenate(action)
    positives_mask = np.concatenate(positive)
    return RankingTask(
        home=index,
        trigger=torch.from_numpy(np.concatenate(trigger)),
        action=torch.from_numpy(actions),
        query=np.concatenate(query),
        positive=positives_mask,
        hard=targets[actions] & ~positives_mask,
        triggers_left_out=left_out,
        pairs_not_ranked=len(held_out) - len(usable),
    )


def score_task(task: RankingTask, home: EncodedHome, log_odds: LogOdds, scorers: dict[str, Scorer]) -> dict[str, Array]:
    """``[k]`` scores of every scorer, from evidence computed once a chunk."""
    parts: dict[str, list[Array]] = {name: [] for name in scorers}
    for start in range(0, len(task.trigger), CHUNK):
        trigger, action = task.trigger[start : start + CHUNK], task.action[start : start + CHUNK]
        evidence = log_odds.evidence(home, trigger, action)
        for name, scorer in scorers.items():
            parts[name].append(scorer(trigger, action, evidence).float().numpy())
    return {name: np.concatenate(chunks) for name, chunks in parts.items()}


def rank(task: RankingTask, scores: Array) -> dict[str, float]:
    """``METRICS`` of one home; nan where there is no negative to compare with."""
    ranks = []
    order = np.argsort(task.query, kind="stable")
    bounds = np.searchsorted(task.query[order], np.arange(task.query.max() + 2))
    for first, last in pairwise(bounds.tolist()):
        rows = order[first:last]
        is_positive = task.positive[rows]
        ranks.append(mean_rank(scores[rows][is_positive], scores[rows][~is_positive]))
    rank_of = np.concatenate(ranks)
    positive, hard, negative = scores[task.positive], scores[task.hard], scores[~task.positive]
    return {
        "mrr": float((1 / rank_of).mean()),
        "hits_at_10": float((rank_of <= 10).mean()),
        "auc_hard": roc_auc(positive, hard),
        "ap_hard": average_precision(positive, hard),
        "auc_random": roc_auc(positive, negative),
        "ap_random": average_precision(positive, negative),
    }


def baselines() -> dict[str, Scorer]:
    """Scorers that only count: the model has to beat them on the same pairs.

    The prior is the smoothed odds of the (trigger domain, action domain) pair in the training part.
    """
    column = {name: i for i, name in enumerate(EVIDENCE)}

    def prior(evidence: Tensor) -> Tensor:
        return evidence[:, column["action_domain"]] + evidence[:, column["domain_pair"]]

    def overlap(evidence: Tensor) -> Tensor:
        return evidence[:, column["name_overlap"]]

    def same_area(evidence: Tensor) -> Tensor:
        return (evidence[:, column["same_area"]] > 0).float()

    return {
        "domain_pair_prior": lambda _t, _a, e: prior(e),
        "name_overlap": lambda _t, _a, e: overlap(e),
        "prior_x_name_overlap": lambda _t, _a, e: prior(e) + torch.log(overlap(e) + 0.01),
        "prior_x_same_area": lambda _t, _a, e: prior(e) + torch.log(same_area(e) + 0.01),
    }


def balanced_weights(task: RankingTask) -> Array:
    """Weights under which positives and negatives count alike, half the negatives' share on hard ones; sum 1.

    This is the mix that scores are calibrated for: 0.5 means as likely a true pair as not, beside one false one.
    """
    weight = np.zeros(len(task.positive))
    negative = ~task.positive
    kinds = [(negative, 0.25), (task.hard, 0.25)] if task.hard.any() else [(negative, 0.5)]
    for mask, share in [(task.positive, 0.5), *kinds]:
        if mask.any():
            weight[mask] += share / mask.sum()
    return np.asarray(weight / weight.sum(), dtype=np.float64)


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: probability = sigmoid(slope * logit + intercept)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, logit: Array) -> Array:
        """``[k]`` probabilities."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * logit + self.intercept, -60, 60))), dtype=np.float64)

    @classmethod
    def fit(cls, logit: Array, label: Array, weight: Array) -> Calibration:
        """Weighted maximum likelihood, the slope pulled weakly to 1 so that few pairs cannot make it extreme."""
        if not len(logit) or label.min() == label.max():
            return cls()
        x, y = torch.from_numpy(logit), torch.from_numpy(label)
        w = torch.from_numpy(weight / weight.sum())
        log_slope = torch.zeros((), dtype=torch.float64, requires_grad=True)
        intercept = torch.zeros((), dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([log_slope, intercept], max_iter=100, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            z = log_slope.exp() * x + intercept
            value = (w * functional.binary_cross_entropy_with_logits(z, y, reduction="none")).sum()
            value = value + 0.01 * log_slope.square() + 0.0001 * intercept.square()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        return cls(slope=float(log_slope.detach().exp()), intercept=float(intercept.detach()))


def evaluate(
    tasks: Sequence[RankingTask],
    homes: Sequence[EncodedHome],
    log_odds: LogOdds,
    model: Callable[[int], Scorer],
    calibration: Calibration,
) -> dict[str, Any]:
    """Macro metrics of the model and the baselines on the same tasks, with the calibration error of the model."""
    per_home: dict[str, list[dict[str, float]]] = {}
    probability, label, weight = [], [], []
    for task in tasks:
        scorers = {"model": model(task.home), **baselines()}
        for name, scores in score_task(task, homes[task.home], log_odds, scorers).items():
            per_home.setdefault(name, []).append(rank(task, scores))
            if name == "model":
                probability.append(calibration(scores))
                label.append(task.positive.astype(np.float64))
                weight.append(balanced_weights(task))
    table = {name: macro(rows) for name, rows in per_home.items()}
    error = expected_calibration_error(np.concatenate(probability), np.concatenate(label), np.concatenate(weight))
    return {
        "model": {**table.pop("model"), "ece": _number(error)},
        "baselines": table,
        "homes": len(tasks),
        "pairs": sum(int(task.positive.sum()) for task in tasks),
        "triggers_left_out": sum(task.triggers_left_out for task in tasks),
        "pairs_not_ranked": sum(task.pairs_not_ranked for task in tasks),
    }


def macro(rows: Sequence[dict[str, float]]) -> dict[str, float | None]:
    """Mean over homes, without the homes that have nothing to compare."""
    means = {}
    for metric in METRICS:
        values = [row[metric] for row in rows if not math.isnan(row[metric])]
        means[metric] = _number(sum(values) / len(values)) if values else None
    return means


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def tasks_of(
    homes: Sequence[EncodedHome],
    split: Split,
    part: Part,
    limit: int = RANKED_PAIRS,
    negatives_limit: int | None = None,
) -> list[RankingTask]:
    """The tasks of all homes that have pairs in ``part``; limits as in ``ranking_task``."""
    tasks = (ranking_task(home, index, split, part, limit, negatives_limit) for index, home in enumerate(homes))
    return [task for task in tasks if task is not None]
