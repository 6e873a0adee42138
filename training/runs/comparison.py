"""What a comparison of two models found: training writes it as JSON, the retraining manager reads it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class ModelScores(BaseModel):
    """One model's scores on the evaluation rows, by metric, or the ``error`` why it has none.

    ``left_out`` rows were not scored, because the candidate or the champion was trained on them.
    """

    model_config = ConfigDict(extra="forbid")

    scores: dict[str, float | None] | None = None
    error: str | None = None
    left_out: int = 0
    notes: list[str] = []


class Comparison(BaseModel):
    """A candidate and, where there is one, the champion, scored on the same rows.

    ``rows`` are how many rows were scored, ``fingerprint`` is their SHA-256, ``reason`` says how they were held out or
    why they could not be. ``on_champion_rows`` is the same on the rows that the champion went live on, without
    baselines; None where there are none, or they are the same rows.
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
