"""The soft prompt job: the model answers a request with a suggested automation, both in plain words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import DataSource, PromptRow, sqlite_url
from training.text.adapter_job import AdapterJob
from training.text.config import SoftPromptConfig, SoftPromptOptions
from training.text.report import SCORED_BY, score_lines, verdict

if TYPE_CHECKING:
    from training.text.trainer import TrainedAdapter

log = logging.getLogger(__name__)


class SoftPromptJob(AdapterJob):
    """Trains on requests and suggestions in plain words."""

    model_type = PromptRow.kind
    record = PromptRow
    config_type, options_type = SoftPromptConfig, SoftPromptOptions
    options: SoftPromptOptions
    scored_by = SCORED_BY
    title = "Request to suggested automation"
    about = "a request in plain words gives a suggested automation in plain words"

    def open(self) -> DataSource:
        """The source that the flags name, ``--pg-url`` and ``--db-path`` too; without any, production's database."""
        pg_url, db_path = self.options.pg_url, self.options.db_path
        if not self.source.named:
            if pg_url is not None:
                if db_path is not None:
                    log.info("Note: --pg-url is read, so --db-path is not")
                self.source = replace(self.source, data_source=pg_url.get_secret_value())
            elif db_path is not None:
                self.source = replace(self.source, data_source=sqlite_url(str(db_path)))
        return super().open()

    def texts(self, row: PromptRow) -> tuple[str, str]:
        """The request and the suggestion."""
        return row.query, row.suggestion

    def fit(self, rows: Sequence[PromptRow], work: Path, **options: Any) -> TrainedAdapter:
        """Train an adapter on the pairs of texts."""
        from training.text.backbone import TextPair
        from training.text.trainer import train_adapter

        return train_adapter([TextPair(row.query, row.suggestion) for row in rows], self.adapter, work, **options)

    def verdict(self, metrics: dict[str, Any]) -> str:
        """One sentence: whether the model's chrF beats the look-up baselines."""
        return verdict(metrics)

    def score_lines(self, metrics: dict[str, Any]) -> list[str]:
        """ChrF and exact matches beside the look-up baselines."""
        return score_lines(metrics)
