"""The summary of one training run, which training writes and the retraining manager reads."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["success", "failed", "skipped"]


class TrainingSummary(BaseModel):
    """The content of the file of ``--summary-path``; the manager adds its own keys (docs/reference/production.md).

    Production relies on the first eight fields.

    Attributes:
        phase: Always ``training``.
        timestamp: When the summary was made, ISO 8601 in UTC.
        model_type: The model's name.
        status: How the run ended.
        metrics: The scores.
        model_path: The model file or run directory.
        training_time_seconds: Seconds that the run took, reading included.
        errors: One line for each failure.
        dry_run: Whether the data was only read and audited.
        message: How the run ended, in one line.
        source: Where the data is from; it never holds a secret.
        load_report: Counts of the rows that were read, and of those that could not be used.
        data_fingerprint: SHA-256 of the records; equal for equal records from any source.
        audit: The counts of the audit.
        config: The configuration.
        versions: Versions of Python, the platform and packages.
        threads: How many threads torch computes with; None where it was not loaded. Another number adds up in another
            order, so the last bits of a model depend on it.
        notes: What the data cannot show, and the verdict on the scores.
    """

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    phase: Literal["training"] = "training"
    timestamp: str
    model_type: str
    status: Status
    metrics: dict[str, Any] = {}
    model_path: str | None = None
    training_time_seconds: float = 0.0
    errors: list[str] = []
    dry_run: bool = False
    message: str = ""
    source: dict[str, Any] = {}
    load_report: dict[str, Any] = {}
    data_fingerprint: str | None = None
    audit: dict[str, Any] = {}
    config: dict[str, Any] = {}
    versions: dict[str, str] = {}
    threads: int | None = None
    notes: list[str] = []
