"""The ``home-synergy`` command. A subcommand's module is imported when the subcommand is named, or help lists it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

PACKAGE = "home-synergy-training"


class LazyGroup(click.Group):
    """A group of commands named by where they are: ``name -> module:attribute``."""

    def __init__(self, *args: Any, places: Mapping[str, str], **options: Any) -> None:
        super().__init__(*args, **options)
        self._places = places

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The commands in the table's order."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the command; None where the table has no such name."""
        if cmd_name not in self._places:
            return None
        module, _, attribute = self._places[cmd_name].partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command


@click.group(
    cls=LazyGroup,
    places={
        "gnn-synergy": "training.synergy.command:train",
        "soft-prompt": "training.text.command:train",
        "pattern-detection": "training.patterns.command:train",
        "yaml-generation": "training.automations.command:train",
    },
)
def train() -> None:
    """Train one of the four models and publish it."""


@click.group(
    cls=LazyGroup,
    places={
        "train": "home_synergy.cli:train",
        "evaluate": "training.synergy.command:evaluate",
        "suggest": "training.suggestions.command:suggest",
        "retrain": "retraining_manager.cli:main",
    },
)
@click.version_option(package_name=PACKAGE, prog_name="home-synergy")
def main() -> None:
    """Learn from smart homes which automations are missing, on your own machine.

    Every command reads JSON files, a Data API or a database; --json-input and --data-source say which.
    """
