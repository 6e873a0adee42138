"""Evaluate link scores without leakage, beside baselines that only count.

Each home is evaluated alone, then the mean is taken over homes. For each trigger of a held-out pair, all entities of
the home that can act are ranked, without the other positives of the trigger; ties take their mean rank. MRR and Hits@10
are means over held-out pairs. AUC and average precision compare the held-out pairs with two kinds of negatives of the
same triggers: hard ones, whose action is the action of another pair of the home, and random ones, which are all
negatives.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from training.judging.calibration import Calibration
from training.judging.intervals import intervals_of_means, means_of_samples, middle
from training.judging.metrics import METRICS, Array, ProbabilityBins, average_precision, mean_rank, roc_auc
from training.runs.errors import TrainingError
from training.synergy.encoded_home import EncodedHome
from training.synergy.features import column
from training.synergy.graph import HomeGraph, Ints, pair_mask
from training.synergy.scoring import HomeScorer
from training.synergy.splits import Mask

RANKED_PAIRS = 4_000_000  # of one home; beyond it triggers are sampled


@dataclass(frozen=True)
class RankingTask:
    """The pairs of one home that are to be scored: triggers ``[t]`` by candidates ``[a]``.

    Attributes:
        home: Index of the home in the caller's list.
        home_id: Id of the home.
        entities: Number of entities of the home.
        known: ``[e, 2]`` known pairs, all that a scorer may know of the home. No held-out pair is among them.
        triggers: ``[t]`` triggers of the held-out pairs.
        actions: ``[a]`` candidates.
        positive: ``[t, a]`` mask of the held-out pairs.
        negative: ``[t, a]`` mask of the pairs that these are compared with: those that are no pairs of the home and
            that nobody refused.
        hard: ``[t, a]`` mask of the negatives whose action is the action of another pair.
        triggers_left_out: Triggers that were not sampled.
        pairs_not_ranked: Held-out pairs whose action cannot act.
    """

    home: int
    home_id: str
    entities: int
    known: Ints
    triggers: Ints
    actions: Ints
    positive: Mask
    negative: Mask
    hard: Mask
    triggers_left_out: int = 0
    pairs_not_ranked: int = 0


def ranking_task(
    home: EncodedHome,
    graph: HomeGraph,
    index: int,
    held_out: Mask,
    known: Mask,
    max_pairs: int = RANKED_PAIRS,
    max_candidates: int | None = None,
) -> RankingTask | None:
    """The ranking task of one home.

    Its candidates are the entities that can act and are not set aside (``HomeGraph``), and the actions of held-out
    pairs.

    Args:
        home: The home as the model reads it.
        graph: The home, with all its pairs.
        index: Index of the home in the caller's list.
        held_out: ``[p]`` mask of the held-out pairs.
        known: ``[p]`` mask of the known pairs; held-out ones among them are left out.
        max_pairs: Where triggers by candidates are more, triggers are sampled, always the same ones.
        max_candidates: Where candidates are more, they are sampled; actions of held-out pairs always stay.

    Returns:
        The task, or None where no held-out pair acts on an entity that can act.
    """
    pairs = graph.pairs[held_out]
    usable = pairs[home.can_act[pairs[:, 1]]]
    if not len(usable):
        return None
    triggers, asked = np.unique(usable[:, 0]), np.unique(usable[:, 1])
    actions = np.union1d(home.candidates[~graph.set_aside[home.candidates]], asked)
    rng = np.random.default_rng(0)
    if max_candidates is not None and len(actions) > max_candidates:
        actions = np.union1d(rng.choice(actions, max_candidates, replace=False), asked)
    max_triggers = max(1, max_pairs // max(1, len(actions)))
    left_out = max(0, len(triggers) - max_triggers)
    if left_out:
        triggers = np.sort(rng.choice(triggers, max_triggers, replace=False))
    negative = ~pair_mask(graph.pairs, triggers, actions) & (triggers[:, None] != actions)
    negative &= ~pair_mask(graph.dismissed, triggers, actions)  # a training may have been told the answer
    return RankingTask(
        home=index,
        home_id=graph.home_id,
        entities=graph.size,
        known=graph.pairs[known & ~held_out],
        triggers=triggers,
        actions=actions,
        positive=pair_mask(usable, triggers, actions),
        negative=negative,
        hard=negative & np.isin(actions, graph.pairs[:, 1]),
        triggers_left_out=left_out,
        pairs_not_ranked=len(pairs) - len(usable),
    )


def rank(task: RankingTask, scores: Array) -> dict[str, float]:
    """The ``METRICS`` of one home from ``[t, a]`` scores; nan where there is no negative to compare with."""
    ranks = np.concatenate(
        [
            mean_rank(row[true], row[false])
            for row, true, false in zip(scores, task.positive, task.negative, strict=True)
            if true.any()
        ]
    )
    positive, hard, negative = scores[task.positive], scores[task.hard], scores[task.negative]
    return {
        "mrr": float((1 / ranks).mean()),
        "hits_at_10": float((ranks <= 10).mean()),
        "auc_hard": roc_auc(positive, hard),
        "ap_hard": average_precision(positive, hard),
        "auc_random": roc_auc(positive, negative),
        "ap_random": average_precision(positive, negative),
    }


def baselines(features: Tensor) -> dict[str, Array]:
    """``[t, a]`` scores of each baseline from ``[t, a, f]`` features.

    The prior is the log-odds of the pair of domains in the training data.
    """

    def values(name: str) -> Array:
        return column(features, name).double().numpy()

    prior, overlap = values("action_domain") + values("domain_pair"), values("name_overlap")
    return {
        "domain_pair_prior": prior,
        "name_overlap": overlap,
        "prior_x_name_overlap": prior + np.log(overlap + 0.01),
        "prior_x_same_area": prior + np.log((values("same_area") > 0) + 0.01),
    }


def balanced_weights(task: RankingTask) -> Array:
    """``[t, a]`` weights with a sum of 1, under which scores are calibrated.

    Positives and negatives weigh alike, and half of the negatives' weight is on hard ones. So a score of 0.5 means: as
    likely true as not, beside one false pair.
    """
    weight = np.zeros(task.positive.shape)
    kinds = [(task.negative, 0.25), (task.hard, 0.25)] if task.hard.any() else [(task.negative, 0.5)]
    for mask, share in [(task.positive, 0.5), *kinds]:
        if mask.any():
            weight[mask] += share / mask.sum()
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def calibrate(scored: Iterable[tuple[RankingTask, Array]]) -> Calibration:
    """Platt scaling on tasks and their ``[t, a]`` logits; every task weighs alike."""
    parts = [_weighted(task, logits) for task, logits in scored]
    if not parts:
        return Calibration()
    logit, label, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Calibration.fit(logit, label, weight)


def _weighted(task: RankingTask, values: Array) -> tuple[Array, Array, Array]:
    """Value, label and balanced weight of each positive and negative of a task."""
    compared = task.positive | task.negative
    return values[compared], task.positive[compared].astype(np.float64), balanced_weights(task)[compared]


@dataclass(frozen=True)
class HomeScore:
    """How one home was ranked.

    Attributes:
        task: What was ranked.
        metrics: ``model`` or the name of a baseline -> ``METRICS``.
        probability: ``[t, a]`` calibrated scores of the model.
    """

    task: RankingTask
    metrics: dict[str, dict[str, float]]
    probability: Array


def score_home(task: RankingTask, scorer: HomeScorer, calibration: Calibration) -> HomeScore:
    """Rank the pairs of one home by the model and by every baseline."""
    parts: dict[str, list[Array]] = {}
    for block in scorer.blocks(task.triggers, task.actions):
        for name, scores in {"model": block.logits.double().numpy(), **baselines(block.features)}.items():
            parts.setdefault(name, []).append(scores)
    whole = {name: np.concatenate(chunks) for name, chunks in parts.items()}
    return HomeScore(task, {name: rank(task, s) for name, s in whole.items()}, calibration(whole["model"]))


def macro_metrics(scored: Sequence[HomeScore]) -> dict[str, Any]:
    """Means over at least one home of the metrics of model and baselines, and the calibration error of the model."""
    error = probability_bins(scored).error()
    means = {name: _mean_of_homes([s.metrics[name] for s in scored]) for name in scored[0].metrics}
    tasks = [s.task for s in scored]
    return {
        "model": {**means.pop("model"), "ece": _number(error)},
        "baselines": means,
        "homes": len(tasks),
        "pairs": sum(int(task.positive.sum()) for task in tasks),
        "triggers_left_out": sum(task.triggers_left_out for task in tasks),
        "pairs_not_ranked": sum(task.pairs_not_ranked for task in tasks),
    }


def probability_bins(scored: Sequence[HomeScore]) -> ProbabilityBins:
    """The model's probabilities of all homes in bins, under the weights of the calibration."""
    bins = ProbabilityBins()
    for score in scored:
        bins.add(*_weighted(score.task, score.probability))
    return bins


def summarize_runs(runs: Sequence[Sequence[HomeScore]]) -> dict[str, Any]:
    """Metrics of one setting over one or more runs, such as seeds, on the same homes.

    Each home's metrics are averaged over runs, then over homes, with an interval over homes.

    Args:
        runs: The scores of each run.

    Returns:
        ``model`` and ``baselines`` with metrics and intervals; ``best_count``, the baseline of the best MRR;
        ``mrr_ratio``, the model's MRR over that baseline's; ``thirds``, the MRR of both by size of home.

    Raises:
        TrainingError: No home could be ranked.
    """
    by_home: dict[str, list[HomeScore]] = {}
    for score in (score for run in runs for score in run):
        by_home.setdefault(score.task.home_id, []).append(score)
    if not by_home:
        raise TrainingError("no home has a pair that can be ranked here; nothing was measured")
    homes = sorted(by_home.values(), key=lambda scores: (scores[0].task.entities, scores[0].task.home_id))
    rows = {
        name: [{m: _mean([s.metrics[name][m] for s in scores]) for m in METRICS} for scores in homes]
        for name in homes[0][0].metrics
    }
    scorers = {name: {**_mean_of_homes(own), "interval": intervals_of_means(own)} for name, own in rows.items()}
    of_runs = [macro_metrics(run) for run in runs if run]
    best = max((name for name in rows if name != "model"), key=lambda name: _mean([row["mrr"] for row in rows[name]]))
    pairs = [
        {"model": mine["mrr"], "count": count["mrr"]} for mine, count in zip(rows["model"], rows[best], strict=True)
    ]
    errors = [found["model"]["ece"] for found in of_runs if found["model"]["ece"] is not None]
    return {
        "homes": len(homes),
        "runs": len(runs),
        "pairs_a_run": round(_mean([found["pairs"] for found in of_runs]), 1),
        "model": {**scorers.pop("model"), "ece": _number(_mean(errors))},
        "baselines": scorers,
        "best_count": best,
        "mrr_ratio": _ratio(pairs),
        "thirds": {
            name: {key: _number(_mean([pairs[i][key] for i in third])) for key in ("model", "count")}
            for name, third in zip(("small", "middle", "large"), np.array_split(np.arange(len(pairs)), 3), strict=True)
            if len(third)
        },
    }


def _mean_of_homes(rows: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """Mean of each metric over the homes that have it; None where none has."""
    return {metric: _number(_mean([row[metric] for row in rows])) for metric in METRICS}


def _ratio(pairs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    model, count = (_mean([pair[name] for pair in pairs]) for name in ("model", "count"))
    drawn = means_of_samples(pairs)
    return {
        "value": round(model / max(count, 1e-9), 4),
        "interval": middle(drawn["model"] / np.maximum(drawn["count"], 1e-9), digits=4),
    }


def _mean(values: Sequence[float]) -> float:
    measured = [value for value in values if not math.isnan(value)]
    return sum(measured) / len(measured) if measured else math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
