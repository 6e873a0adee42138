"""Whether a candidate may go live: one pure function from what was measured to a written verdict with its reasons."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from data_sources.counting import many
from retraining_manager.models import ModelSpec
from training.runs.comparison import LEAST_ROWS, Comparison, ModelScores


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
    minimum_rows: Annotated[int, Field(ge=1)] = LEAST_ROWS


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


def decide(
    spec: ModelSpec,
    comparison: Comparison,
    champion: str | None,
    thresholds: Thresholds | None = None,
    *,
    accept_weak: bool = False,
    champion_held_out: bool = False,
    champion_of_sample: bool = False,
) -> Verdict:
    """Hold a candidate against thresholds, baselines and the champion.

    Args:
        spec: The model.
        comparison: What was measured.
        champion: The version that is live; None where nothing is.
        thresholds: What the candidate has to reach.
        accept_weak: Whether it need not beat the baselines, nor have a held-out score where the champion has one.
        champion_held_out: Whether the champion went live on a held-out score, which in-sample ones do not outweigh.
        champion_of_sample: Whether the champion was trained on the shipped sample, and the candidate on other data. The
            sample is easier than real homes, so it is no measure of them, and the champion gives way to a candidate
            that has a score.
    """
    gate = _Gate(spec, comparison, champion, thresholds or Thresholds(), accept_weak)
    gate.check_score()
    gate.check_baselines()
    if champion is None:
        gate.reasons.append(f"no baseline version: nothing is live yet; {gate.checked}")
        return gate.verdict()
    gate.check_held_out(champion, champion_held_out)
    if champion_of_sample and gate.has_score:
        gate.reasons.append(
            f"no comparison with {champion}: it was trained on the shipped sample, which says nothing of other data; "
            f"{gate.checked}"
        )
    else:
        gate.check_champion(champion)
        gate.check_champion_rows(champion)
    return gate.verdict()


class _Gate:
    """What speaks ``against`` a candidate, and the other ``reasons``, collected check by check."""

    def __init__(
        self, spec: ModelSpec, comparison: Comparison, champion: str | None, limits: Thresholds, accept_weak: bool
    ) -> None:
        self.against: list[str] = []
        self.reasons: list[str] = []
        self._spec, self._comparison, self._limits = spec, comparison, limits
        self._champion, self._accept_weak = champion, accept_weak
        self._score = self._score_of(comparison.candidate)
        self._champion_score = self._score_of(comparison.champion)
        scores = {name: row[spec.metric] for name, row in comparison.baselines.items()}
        known = {name: score for name, score in scores.items() if score is not None}
        best = max(known, key=lambda name: (known[name], name), default=None)
        self._best_baseline = {} if best is None else {best: known[best]}
        self._held_out = comparison.held_out and self._score is not None
        kind = "held-out" if comparison.held_out else "in-sample"
        self._where = f"{spec.metric_title} on {many(comparison.rows, f'{kind} row')}"

    def _score_of(self, side: ModelScores | None) -> float | None:
        return None if side is None or side.scores is None else side.scores.get(self._spec.metric)

    @property
    def has_score(self) -> bool:
        """Whether the candidate could be scored, on held-out rows or on its own."""
        return self._score is not None

    @property
    def checked(self) -> str:
        """What the checks before that of the champion have looked at."""
        if not self.has_score:
            return "nothing was checked, for the candidate has no score"
        if self._held_out and self._limits.beat_baselines and self._best_baseline:
            return "only thresholds and cheap baselines were checked"
        return "only thresholds were checked"

    def _weak(self, line: str) -> None:
        if self._accept_weak:
            self.reasons.append(f"{line}, accepted by --accept-weak")
        else:
            self.against.append(f"{line} (--accept-weak takes it all the same)")

    def check_score(self) -> None:
        """Is the candidate good at all?"""
        comparison, score, minimum = self._comparison, self._score, self._limits.minimum
        if comparison.candidate.error is not None:
            self.against.append(f"the candidate cannot be used: {comparison.candidate.error}")
        elif score is None:
            self.reasons.append(f"no score: {comparison.reason}")
        elif score < minimum:
            self.against.append(f"{self._where}: {score:.4f} is below the minimum of {minimum:.4f}")

    def check_baselines(self) -> None:
        """Does it beat what only counts or looks up?"""
        score = self._score
        if score is None:
            return
        if not self._comparison.held_out:
            self.reasons.append(f"no held-out score: {self._comparison.reason}")
        elif self._limits.beat_baselines:
            for name, best in self._best_baseline.items():
                line = f"{self._where}: {score:.4f}, best baseline ({name}) {best:.4f}"
                if score > best:
                    self.reasons.append(f"{line}: beaten")
                elif score == best == self._spec.best:
                    self.reasons.append(
                        f"{line}: nothing can be better, so these rows cannot tell a model from a baseline"
                    )
                else:
                    self._weak(f"{line}: NOT beaten")

    def check_held_out(self, champion: str, champion_held_out: bool) -> None:
        """Does it rest on held-out rows, if what is live does?"""
        if champion_held_out and not self._held_out:
            self._weak(f"{champion} has a held-out score and this candidate has none")

    def check_champion(self, champion: str) -> None:
        """Is it as good as what is live, on the same rows?"""
        comparison, limits, side = self._comparison, self._limits, self._comparison.champion
        score, old = self._score, self._champion_score
        if side is None or side.error is not None:
            why = "it was not scored" if side is None else side.error
            self.reasons.append(f"no baseline version: {champion} cannot be compared with ({why})")
            return
        if side.left_out and side.not_compared is None:
            self.reasons.append(
                f"{many(side.left_out, 'row')} left out: {champion} or the candidate, or what one of them started "
                "from, was trained on them"
            )
        self.reasons.extend(side.notes)
        if score is None or old is None:
            # Nothing tells which is better. What is live stays, unless it is no better founded itself.
            line = f"no comparison with {champion}: {side.not_compared or comparison.reason}"
            if old is not None:
                self.against.append(line)
            elif score is not None:
                self.reasons.append(f"{line}. The candidate's own score and the baselines decide")
            else:
                self.reasons.append(f"{line}. Neither has a score, so the newer one is taken")
        elif comparison.held_out and comparison.rows < limits.minimum_rows:
            self.reasons.append(
                f"no comparison with {champion}: {many(comparison.rows, 'row')}, it takes {limits.minimum_rows}"
            )
        else:
            line = f"{self._where}: {score:.4f}, {champion} {old:.4f}"
            if score >= old * (1 - limits.tolerance):
                self.reasons.append(f"{line}: {'better' if score > old else 'as good, within the tolerance'}")
            else:
                self.against.append(f"{line}: worse by more than {limits.tolerance:.0%}")

    def check_champion_rows(self, champion: str) -> None:
        """Does it hold on the rows that the champion went live on?

        A night's data may be damaged, and be judged by itself: what went live before must still be right.
        """
        again, tolerance = self._comparison.on_champion_rows, self._limits.champion_rows_tolerance
        if again is None:
            return
        score, old = self._score_of(again.candidate), self._score_of(again.champion)
        if score is None or old is None or again.rows < self._limits.minimum_rows:
            self.reasons.append(
                f"no comparison on the rows that {champion} went live on: {many(again.rows, 'row')} left "
                f"({again.reason})"
            )
            return
        where = f"{self._spec.metric_title} on the {many(again.rows, 'held-out row')} that {champion} went live on"
        line = f"{where}: {score:.4f}, its own {old:.4f}"
        if score >= old * (1 - tolerance):
            self.reasons.append(f"{line}: no worse than by {tolerance:.0%}")
        else:
            self.against.append(
                f"{line}: worse by more than {tolerance:.0%}; is the new data right? --evaluate-on it, or promote"
            )

    def verdict(self) -> Verdict:
        """Blessed where nothing speaks against the candidate."""
        return Verdict(
            verdict="NOT_BLESSED" if self.against else "BLESSED",
            reasons=[*self.against, *self.reasons],
            metric=self._spec.metric,
            held_out=self._held_out,
            candidate_score=self._score,
            champion=self._champion,
            champion_score=self._champion_score,
            best_baseline=self._best_baseline,
            evaluation_fingerprint=self._comparison.fingerprint or None,
            evaluation_rows=self._comparison.rows,
            thresholds=self._limits,
            accept_weak=self._accept_weak,
        )
