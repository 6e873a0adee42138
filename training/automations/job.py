"""The YAML generation job: a request in plain words, and the home's entities, give a Home Assistant automation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import YamlRow
from training.automations.config import YamlConfig, YamlOptions
from training.automations.report import score_lines, verdict
from training.text.adapter_job import AdapterJob

if TYPE_CHECKING:
    from training.text.trainer import TrainedAdapter


class YamlJob(AdapterJob):
    """Requests and automations, with the entities of their homes where they are known."""

    model_type = YamlRow.kind
    record = YamlRow
    config_type, options_type = YamlConfig, YamlOptions
    title = "Request to Home Assistant automation"
    about = "a request in plain words, and the home's entities, give an automation"

    def texts(self, row: YamlRow) -> tuple[str, str]:
        """The request and the automation."""
        return row.input, row.output

    def learn(self, rows: Sequence[YamlRow], work: Path, **options: Any) -> TrainedAdapter:
        """Train on the automations as lines of words."""
        from training.automations.trainer import learn

        return learn(rows, self.adapter, work, **options)

    def verdict(self, metrics: dict[str, Any]) -> str:
        """Whether the structure of what is generated beats looking up."""
        return verdict(metrics)

    def score_lines(self, metrics: dict[str, Any]) -> list[str]:
        """Validity and structure, beside the look-ups."""
        return score_lines(metrics)
