"""The result of comparing two models: training writes it as JSON, the retraining manager reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

COMPARISON_VARIABLE = "HOME_SYNERGY_COMPARISON"  # names the file of a ComparisonRequest to a training


LEAST_ROWS = 3  # that two models are compared on


class ComparisonRequest(BaseModel):
    """What to compare; ``training.compare`` says what each is.

    The manager asks a training for it, so that the models are scored in the process that has the libraries loaded.
    """

    model_config = ConfigDict(extra="forbid")

    candidate: Path
    champion: Path | None = None
    champion_rows: Path | None = None
    output: Path
    save_rows: Path | None = None
    least_rows: int = LEAST_ROWS


class ModelScores(BaseModel):
    """One model's scores on the evaluation rows.

    Attributes:
        scores: The scores by metric; None if the model could not be scored.
        error: Why the model could not be loaded.
        not_compared: Why a model that was loaded has no scores, though the other one has.
        left_out: How many rows were not scored because the candidate or the champion, or what one of them started from,
            was trained on them.
        notes: What a reader has to know about the scores.
    """

    model_config = ConfigDict(extra="forbid")

    scores: dict[str, float | None] | None = None
    error: str | None = None
    not_compared: str | None = None
    left_out: int = 0
    notes: list[str] = []


class Comparison(BaseModel):
    """A candidate and, if there is one, the champion, scored on the same rows.

    Attributes:
        model_type: The models' type.
        held_out: Whether the rows are no training rows.
        reason: How the rows were held out, or why nothing could be.
        rows: How many rows were scored.
        fingerprint: SHA-256 of the rows.
        candidate: The candidate's scores.
        champion: The champion's scores; None without a champion.
        baselines: Each baseline's scores by metric.
        source: Where the rows are from.
        on_champion_rows: The same comparison, without baselines, on the rows that the champion was scored on when it
            was the candidate; None if there are none, or they are the same rows.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model_type: str
    held_out: bool
    reason: str
    rows: int
    fingerprint: str
    candidate: ModelScores
    champion: ModelScores | None = None
    baselines: dict[str, dict[str, float | None]] = {}
    source: dict[str, Any] = {}
    on_champion_rows: Comparison | None = None
