"""How sure an answer is, and from where on it is given: fitted on validation homes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from home_assistant.automation import steps, structure, triggers_of, with_current_keys
from home_assistant.domains import ENTITIES_IN_EVERY_HOME
from home_assistant.entity_id import listed_ids
from training.judging.calibration import Calibration

RIGHT = 0.9  # of the answers that are given; an answer that is less likely to be right is not
ENOUGH = 10  # answers of validation homes above the threshold, for it to be trusted
_FLAT = 1e-3  # the slope where all answers were right, or none: the scores tell nothing
_TOLD = ("to", "from", "at", "event", "above", "below", "offset")


@dataclass(frozen=True)
class Confidence:
    """The probability that an answer of one kind is right, and the least with which it is given.

    Attributes:
        calibration: From the logit of a raw score to a probability.
        least: The threshold; None where no threshold is known to keep ``RIGHT`` of the answers right.
    """

    calibration: Calibration = field(default_factory=Calibration)
    least: float | None = None

    def __call__(self, score: float) -> float:
        """The probability of an answer with this raw score from 0 to 1."""
        return float(self.calibration(np.array([_logit(score)]))[0])

    @classmethod
    def fit(cls, scores: Sequence[float], right: Sequence[bool]) -> Confidence:
        """Fit on the answers for validation homes: their raw scores, and whether each was right.

        The threshold is the lowest probability from ``RIGHT`` up above which ``RIGHT`` of at least ``ENOUGH`` answers
        are right.
        """
        if not scores:
            return cls()
        labels, logit = np.array(right, dtype=np.float64), np.array([_logit(one) for one in scores])
        # Smoothed as Platt has it: of ten right answers, the next one may still be wrong.
        count, correct = len(labels), float(labels.sum())
        smoothed = np.where(labels == 1, (correct + 1) / (correct + 2), 1 / (count - correct + 2))
        if 0 < correct < count:
            calibration = Calibration.fit(logit, smoothed, np.ones(count))
        else:
            calibration = Calibration(_FLAT, _logit(float(smoothed[0])))
        probability = calibration(logit)
        for least in sorted({RIGHT, *(one for one in probability.tolist() if one > RIGHT)}):
            answered = probability >= least
            if answered.sum() >= ENOUGH and labels[answered].mean() >= RIGHT:
                return cls(calibration, float(least))
        return cls(calibration)

    def to_json(self) -> dict[str, Any]:
        """Plain values, for a file."""
        return {"slope": self.calibration.slope, "intercept": self.calibration.intercept, "least": self.least}

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> Confidence:
        """Of ``to_json``. Raises ValueError, TypeError or KeyError where it is none."""
        least = held["least"]
        calibration = Calibration.read({name: held[name] for name in ("slope", "intercept")})
        return cls(calibration, None if least is None else float(least))


def _logit(score: float) -> float:
    bounded = min(max(score, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))


def is_right(answer: Mapping[Any, Any], reference: Mapping[Any, Any]) -> bool:
    """Whether an answer does what a person's automation does, and nothing else.

    The services and the kinds of triggers are the same, each trigger and each action has a like one in the reference
    (the same entities and, where both say them, the same state, time or limit), and every entity that the answer names
    the reference names too. Further conditions of the reference, which a request rarely says, do not count.
    """
    found, wanted = structure(answer), structure(reference)
    if found.triggers != wanted.triggers or found.services != wanted.services:
        return False
    if not found.entities - ENTITIES_IN_EVERY_HOME <= wanted.entities:
        return False
    theirs = triggers_of(with_current_keys(reference))
    for trigger in triggers_of(with_current_keys(answer)):
        if not any(_alike(trigger, other) for other in theirs):
            return False
    targets = [_target(step.action) for step in steps(with_current_keys(reference), disabled=True)]
    return all(_target(step.action) in targets for step in steps(with_current_keys(answer), disabled=True))


def _alike(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    if one.get("trigger") != other.get("trigger"):
        return False
    if not set(listed_ids(one.get("entity_id"))) <= set(listed_ids(other.get("entity_id"))):
        return False
    return all(_told(one[key]) == _told(other[key]) for key in _TOLD if key in one and key in other)


def _told(value: Any) -> Any:
    """A state or a time in one spelling."""
    if isinstance(value, list):
        return sorted(str(_told(item)) for item in value)
    if isinstance(value, bool):
        return "on" if value else "off"
    text = str(value).strip().lower().lstrip("+")
    sign, clock = ("-", text[1:]) if text.startswith("-") else ("", text)
    if clock.count(":") == 1:
        clock += ":00"
    if clock.count(":") == 2:
        clock = clock.rjust(8, "0")
    try:
        return float(text)
    except ValueError:
        return sign + clock


def _target(action: Mapping[Any, Any]) -> tuple[Any, frozenset[str]]:
    target = action.get("target")
    ids = listed_ids(target.get("entity_id")) if isinstance(target, Mapping) else ()
    return action.get("action"), frozenset(ids)
