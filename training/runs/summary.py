"""The summary of one training run: the only module that training and the retraining manager share."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Status = Literal["success", "failed", "skipped"]


class TrainingSummary(BaseModel):
    """What ``--summary-path`` and the pipeline's ``training_summary_<model>.json`` hold (docs/reference/production.md).

    The first eight keys are the contract's. ``source`` never holds a secret; ``data_fingerprint`` is equal for equal
    records from any source; ``notes`` are the plain words that the data and the scores call for.
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
    notes: list[str] = []
