"""The YAML generation job: the model writes a Home Assistant automation from a request and the home's entities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import YamlRow
from home_assistant import parse_automation
from training.automations.config import YamlConfig, YamlOptions
from training.automations.linear import to_linear
from training.automations.report import SCORED_BY, score_lines, verdict
from training.text.adapter_job import AdapterJob

if TYPE_CHECKING:
    from training.text.trainer import TrainedAdapter


class YamlJob(AdapterJob):
    """Trains on requests and automations, with the entities of their homes if they are known."""

    model_type = YamlRow.kind
    record = YamlRow
    config_type, options_type = YamlConfig, YamlOptions
    scored_by = SCORED_BY
    title = "Request to Home Assistant automation"
    about = "a request in plain words, and the home's entities, give an automation"

    def texts(self, row: YamlRow) -> tuple[str, str]:
        """The request and the automation."""
        return row.input, row.output

    def written(self, row: YamlRow) -> tuple[str, str]:
        """The request and the automation in linear form; the names of the home are still in both."""
        return row.input, to_linear(parse_automation(row.output))

    def fit(self, rows: Sequence[YamlRow], work: Path, **options: Any) -> TrainedAdapter:
        """Train an adapter on the automations in linear form."""
        from training.automations.trainer import train_generator

        return train_generator(rows, self.adapter, work, **options)

    def verdict(self, metrics: dict[str, Any]) -> str:
        """One sentence: whether the model's structure F1 beats the look-up baselines."""
        return verdict(metrics)

    def score_lines(self, metrics: dict[str, Any]) -> list[str]:
        """Validity and structure F1 beside the look-up baselines."""
        return score_lines(metrics)
