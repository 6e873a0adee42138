"""The ``home-synergy`` command. A subcommand's module is imported when the subcommand is named, or help lists it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from training.runs.models import MODELS
from training.runs.streams import ProgramGroup

PACKAGE = "home-synergy-training"


class LazyGroup(ProgramGroup):
    """A group of commands, each named by where it is: ``name -> module:attribute``."""

    def __init__(self, *args: Any, commands: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = commands

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the table's order."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command; None where the table has no such name."""
        place = self._places.get(cmd_name, self._places.get(cmd_name.replace("_", "-")))
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(
    cls=LazyGroup,
    commands={name.replace("_", "-"): f"{entry.wing}.command:train" for name, entry in MODELS.items()},
)
def train() -> None:
    """Train one of the models and publish it."""


@click.group(
    cls=LazyGroup,
    commands={
        "train": "home_synergy.cli:train",
        "compare": "training.compare:compare_models",
        "evaluate": "training.synergy.command:evaluate",
        "suggest": "training.suggestions.command:suggest",
        "feedback": "training.suggestions.command:feedback",
        "retrain": "retraining_manager.cli:main",
    },
)
@click.version_option(package_name=PACKAGE, prog_name="home-synergy")
def main() -> None:
    """Learn from smart homes which automations are missing, on your own machine.

    Every command reads JSON files, Home Assistant, a Data API or a database; --json-input and --data-source say which.
    """
