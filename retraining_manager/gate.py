"""Whether a candidate may go live: one pure function from what was measured to a written verdict with its reasons."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from retraining_manager.models import METRIC_TITLES, ModelSpec
from training.runs.comparison import Comparison, ModelScores


class Thresholds(BaseModel):
    """What a candidate has to reach. A misspelt name is an error.

    Attributes:
        minimum: The least score.
        tolerance: The share of the champion's score that a candidate may lose on the same rows: the noise of a split
            must not keep an old model for ever.
        champion_rows_tolerance: The same on the rows that the champion went live on; homes change, so it is wider.
        beat_baselines: Whether the best baseline has to be beaten.
        minimum_rows: The held-out rows below which two scores are not compared.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    minimum: Annotated[float, Field(allow_inf_nan=False)] = 0.0
    tolerance: Annotated[float, Field(ge=0, lt=1)] = 0.02
    champion_rows_tolerance: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.1,
        validation_alias=AliasChoices("champion_rows_tolerance", "kept_tolerance"),  # its name before
    )
    beat_baselines: bool = True
    minimum_rows: Annotated[int, Field(ge=1)] = 3


class Verdict(BaseModel):
    """BLESSED or NOT_BLESSED, why, and everything that was looked at."""

    verdict: Literal["BLESSED", "NOT_BLESSED"]
    reasons: list[str]
    metric: str
    held_out: bool
    candidate_score: float | None
    champion: str | None
    champion_score: float | None
    best_baseline: dict[str, float]
    evaluation_fingerprint: str | None
    evaluation_rows: int
    thresholds: Thresholds
    accept_weak: bool

    @property
    def blessed(self) -> bool:
        """Whether the candidate may go live."""
        return self.verdict == "BLESSED"


def judge(
    spec: ModelSpec,
    comparison: Comparison,
    champion: str | None,
    thresholds: Thresholds | None = None,
    *,
    accept_weak: bool = False,
    champion_held_out: bool = False,
) -> Verdict:
    """Hold a candidate against thresholds, baselines and the champion (a version's name; None before the first).

    ``champion_held_out`` says that the champion went live on a held-out score, which in-sample ones do not outweigh.
    """
    limits = thresholds or Thresholds()
    against, reasons = [], []
    score = _score(comparison.candidate, spec.metric)
    old = None if comparison.champion is None else _score(comparison.champion, spec.metric)
    baselines = {name: row[spec.metric] for name, row in comparison.baselines.items()}
    ranked = sorted(((value, name) for name, value in baselines.items() if value is not None), reverse=True)
    best, best_name = ranked[0] if ranked else (None, "")
    where = (
        f"{METRIC_TITLES[spec.metric]} on {comparison.rows} {'held-out' if comparison.held_out else 'in-sample'} rows"
    )

    if comparison.candidate.error is not None:
        against.append(f"the candidate cannot be used: {comparison.candidate.error}")
    elif score is None:
        reasons.append(f"no score: {comparison.reason}")
    elif score < limits.minimum:
        against.append(f"{where}: {score:.4f} is below the minimum of {limits.minimum:.4f}")

    if score is not None and comparison.held_out and limits.beat_baselines and best is not None:
        line = f"{where}: {score:.4f}, best baseline ({best_name}) {best:.4f}"
        if score > best:
            reasons.append(f"{line}: beaten")
        elif score == best == spec.best:
            reasons.append(f"{line}: nothing can be better, so these rows cannot tell a model from a baseline")
        elif accept_weak:
            reasons.append(f"{line}: NOT beaten, accepted by --accept-weak")
        else:
            against.append(f"{line}: NOT beaten (--accept-weak takes it all the same)")
    elif score is not None and not comparison.held_out:
        reasons.append(f"no held-out score: {comparison.reason}")
    if champion is not None and champion_held_out and not comparison.held_out:
        line = f"{champion} has a held-out score and this candidate has none"
        if accept_weak:
            reasons.append(f"{line}, accepted by --accept-weak")
        else:
            against.append(f"{line} (--accept-weak takes it all the same)")

    _against_champion(comparison, champion, limits, where, score, old, reasons, against)
    if champion is not None and comparison.on_champion_rows is not None:
        _on_champion_rows(comparison.on_champion_rows, champion, limits, spec.metric, reasons, against)
    return Verdict(
        verdict="NOT_BLESSED" if against else "BLESSED",
        reasons=[*against, *reasons],
        metric=spec.metric,
        held_out=comparison.held_out,
        candidate_score=score,
        champion=champion,
        champion_score=old,
        best_baseline={} if best is None else {best_name: best},
        evaluation_fingerprint=comparison.fingerprint or None,
        evaluation_rows=comparison.rows,
        thresholds=limits,
        accept_weak=accept_weak,
    )


def _against_champion(
    comparison: Comparison,
    champion: str | None,
    limits: Thresholds,
    where: str,
    score: float | None,
    old: float | None,
    reasons: list[str],
    against: list[str],
) -> None:
    if champion is None:
        reasons.append("no baseline version: nothing is live yet, so only thresholds and cheap baselines were checked")
        return
    side = comparison.champion
    if side is None or side.error is not None:
        why = "it was not scored" if side is None else side.error
        reasons.append(f"no baseline version: {champion} cannot be compared with ({why})")
        return
    if side.left_out:
        reasons.append(f"{side.left_out} rows were left out, for {champion} or the candidate was trained on them")
    reasons.extend(side.notes)
    if score is None or old is None:
        # Nothing tells which is better. What is live stays, unless it is no better founded itself.
        (reasons if old is None else against).append(f"no comparison with {champion}: {comparison.reason}")
        return
    if comparison.held_out and comparison.rows < limits.minimum_rows:
        reasons.append(f"no comparison with {champion}: {comparison.rows} rows, it takes {limits.minimum_rows}")
        return
    floor = old * (1 - limits.tolerance)
    line = f"{where}: {score:.4f}, {champion} {old:.4f}"
    if score >= floor:
        reasons.append(f"{line}: {'better' if score > old else 'as good, within the tolerance'}")
    else:
        against.append(f"{line}: worse by more than {limits.tolerance:.0%}")


def _on_champion_rows(
    again: Comparison, champion: str, limits: Thresholds, metric: str, reasons: list[str], against: list[str]
) -> None:
    """A night's data may be damaged, and be judged by itself: what went live before must still be right."""
    score = _score(again.candidate, metric)
    old = None if again.champion is None else _score(again.champion, metric)
    if score is None or old is None or again.rows < limits.minimum_rows:
        reasons.append(
            f"no comparison on the rows that {champion} went live on: {again.rows} are left ({again.reason})"
        )
        return
    where = f"{METRIC_TITLES[metric]} on the {again.rows} held-out rows that {champion} went live on"
    line = f"{where}: {score:.4f}, its own {old:.4f}"
    tolerance = limits.champion_rows_tolerance
    if score >= old * (1 - tolerance):
        reasons.append(f"{line}: no worse than by {tolerance:.0%}")
    else:
        against.append(f"{line}: worse by more than {tolerance:.0%}; is the new data right? --judge-on it, or promote")


def _score(side: ModelScores, metric: str) -> float | None:
    return None if side.scores is None else side.scores.get(metric)
