"""Judge link scores without leakage: rank every entity that can act, beside baselines that only count.

Protocol (each home alone, then the mean over homes): for each trigger of a held-out pair, all entities of the home
that can act are ranked, other known positives of the trigger removed, ties by mean rank. MRR and Hits@10 average
over held-out pairs. AUC and average precision take the held-out pairs against two kinds of negatives of the same
triggers: hard ones (entities that another pair of the home acts on) and random ones (all entities that can act).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from training.judging.calibration import Calibration
from training.judging.metrics import METRICS, Array, average_precision, expected_calibration_error, mean_rank, roc_auc
from training.runs.errors import TrainingError
from training.synergy.encoded_home import EncodedHome
from training.synergy.features import column
from training.synergy.graph import HomeGraph, Ints, pair_mask
from training.synergy.scoring import HomeScorer

RANKED_PAIRS = 4_000_000  # of one home; beyond it triggers are sampled
BOOTSTRAP = 2_000  # resamplings of the homes

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class RankingTask:
    """The pairs of one home to be scored: triggers ``[t]`` by actions ``[a]``; the masks are ``[t, a]``.

    ``positive`` are the held-out pairs, ``hard`` and ``negative`` what they are compared with. ``known`` is ``[e, 2]``,
    all that a scorer may know of the home: none of the held-out pairs is in it.
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
    limit: int = RANKED_PAIRS,
    negatives_limit: int | None = None,
) -> RankingTask | None:
    """The task of one home, given ``[p]`` masks of its pairs; None where no held-out pair can be ranked.

    A home of more than about ``limit`` pairs is judged on triggers taken at random under a fixed seed, each with all
    its candidates, or with ``negatives_limit`` of them taken at random where that is given.
    """
    asked = graph.pairs[held_out]
    usable = asked[home.can_act[asked[:, 1]]]
    if not len(usable):
        return None
    triggers, actions = np.unique(usable[:, 0]), home.candidates
    rng = np.random.default_rng(0)
    if negatives_limit is not None and len(actions) > negatives_limit:
        actions = np.union1d(rng.choice(actions, negatives_limit, replace=False), np.unique(usable[:, 1]))
    kept = max(1, limit // max(1, len(actions)))
    left_out = max(0, len(triggers) - kept)
    if left_out:
        triggers = np.sort(rng.choice(triggers, kept, replace=False))
    positive = pair_mask(usable, triggers, actions)
    negative = ~pair_mask(graph.pairs, triggers, actions) & (triggers[:, None] != actions)
    return RankingTask(
        home=index,
        home_id=graph.home_id,
        entities=graph.size,
        known=graph.pairs[known & ~held_out],
        triggers=triggers,
        actions=actions,
        positive=positive,
        negative=negative,
        hard=negative & np.isin(actions, graph.pairs[:, 1]),
        triggers_left_out=left_out,
        pairs_not_ranked=len(asked) - len(usable),
    )


def rank(task: RankingTask, scores: Array) -> dict[str, float]:
    """``METRICS`` of one home from ``[t, a]`` scores; nan where there is no negative to compare with."""
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
    """Scores ``[t, a]`` that only count, from ``[t, a, f]`` features: a model has to beat them on the same pairs.

    The prior is the smoothed odds of the (trigger domain, action domain) pair in the training part.
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
    """``[t, a]`` weights under which positives and negatives count alike, half the negatives' share on hard ones.

    Their sum is 1. This is the mix that scores are calibrated for: 0.5 means as likely a true pair as not, beside one
    false one.
    """
    weight = np.zeros(task.positive.shape)
    kinds = [(task.negative, 0.25), (task.hard, 0.25)] if task.hard.any() else [(task.negative, 0.5)]
    for mask, share in [(task.positive, 0.5), *kinds]:
        if mask.any():
            weight[mask] += share / mask.sum()
    return np.asarray(weight / weight.sum(), dtype=np.float64)


def calibrate(scored: Iterable[tuple[RankingTask, Array]]) -> Calibration:
    """Platt scaling fitted on tasks and their ``[t, a]`` logits, every task counting alike."""
    parts = [_weighed(task, logits) for task, logits in scored]
    if not parts:
        return Calibration()
    logit, label, weight = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Calibration.fit(logit, label, weight)


def _weighed(task: RankingTask, values: Array) -> tuple[Array, Array, Array]:
    compared = task.positive | task.negative
    return values[compared], task.positive[compared].astype(np.float64), balanced_weights(task)[compared]


@dataclass(frozen=True)
class HomeScore:
    """Metrics of one home by scorer (``model`` and the baselines), with the model's probabilities for calibration."""

    task: RankingTask
    metrics: dict[str, dict[str, float]]
    probability: Array


def score_home(task: RankingTask, scorer: HomeScorer, calibration: Calibration) -> HomeScore:
    """Rank one home by the model and by every baseline."""
    parts: dict[str, list[Array]] = {}
    for block in scorer.blocks(task.triggers, task.actions):
        for name, scores in {"model": block.logits.double().numpy(), **baselines(block.features)}.items():
            parts.setdefault(name, []).append(scores)
    whole = {name: np.concatenate(chunks) for name, chunks in parts.items()}
    return HomeScore(task, {name: rank(task, s) for name, s in whole.items()}, calibration(whole["model"]))


def table(scored: Sequence[HomeScore]) -> dict[str, Any]:
    """Macro metrics of the model and the baselines on the same tasks, with the calibration error of the model."""
    weighed = [_weighed(s.task, s.probability) for s in scored]
    probability, label, weight = (np.concatenate(part) for part in zip(*weighed, strict=True))
    error = expected_calibration_error(probability, label, weight)
    means = {name: macro([s.metrics[name] for s in scored]) for name in scored[0].metrics}
    tasks = [s.task for s in scored]
    return {
        "model": {**means.pop("model"), "ece": _number(error)},
        "baselines": means,
        "homes": len(tasks),
        "pairs": sum(int(task.positive.sum()) for task in tasks),
        "triggers_left_out": sum(task.triggers_left_out for task in tasks),
        "pairs_not_ranked": sum(task.pairs_not_ranked for task in tasks),
    }


def macro(rows: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """Mean over homes, without the homes that have nothing to compare."""
    means = {}
    for metric in METRICS:
        values = [row[metric] for row in rows if not math.isnan(row[metric])]
        means[metric] = _number(sum(values) / len(values)) if values else None
    return means


def intervals(rows: Sequence[Mapping[str, float]], seed: int = 0) -> dict[str, tuple[float, float] | None]:
    """95 % interval of each metric's mean over homes, by the percentile bootstrap over homes (Efron, 1979)."""
    drawn = np.random.default_rng(seed).integers(len(rows), size=(BOOTSTRAP, len(rows)))
    found: dict[str, tuple[float, float] | None] = {}
    for metric in rows[0]:
        values = np.array([row[metric] for row in rows])[drawn]
        there = ~np.isnan(values)
        counts = there.sum(1)
        means = np.where(there, values, 0).sum(1)[counts > 0] / counts[counts > 0]
        low, high = np.quantile(means, (0.025, 0.975)) if len(means) else (math.nan, math.nan)
        found[metric] = None if math.isnan(low) else (round(float(low), 6), round(float(high), 6))
    return found


def judge(runs: Sequence[Sequence[HomeScore]]) -> dict[str, Any]:
    """The table of one setting from one or more runs (seeds) over the same homes.

    Each home's metrics are averaged over the runs, then over homes, with a bootstrap interval over homes;
    ``best_count`` is the baseline of the best MRR and ``mrr_ratio`` the model's MRR over it. ``thirds`` holds the MRR
    of both by size of home, in entities. Raises TrainingError where no home could be ranked.
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
    scorers = {name: {**macro(own), "interval": intervals(own)} for name, own in rows.items()}
    tables = [table(run) for run in runs if run]
    best = max((name for name in rows if name != "model"), key=lambda name: _mean([row["mrr"] for row in rows[name]]))
    pairs = [
        {"model": mine["mrr"], "count": count["mrr"]} for mine, count in zip(rows["model"], rows[best], strict=True)
    ]
    errors = [found["model"]["ece"] for found in tables if found["model"]["ece"] is not None]
    return {
        "homes": len(homes),
        "runs": len(runs),
        "pairs_a_run": round(_mean([found["pairs"] for found in tables]), 1),
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


def _ratio(pairs: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    both = np.array([[pair["model"], pair["count"]] for pair in pairs])
    drawn = both[np.random.default_rng(0).integers(len(both), size=(BOOTSTRAP, len(both)))].mean(1)
    ratio = both.mean(0)[0] / max(both.mean(0)[1], 1e-9)
    low, high = np.quantile(drawn[:, 0] / np.maximum(drawn[:, 1], 1e-9), (0.025, 0.975))
    return {"value": round(float(ratio), 4), "interval": (round(float(low), 4), round(float(high), 4))}


def _mean(values: Sequence[float]) -> float:
    there = [value for value in values if not math.isnan(value)]
    return sum(there) / len(there) if there else math.nan


def _number(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
