"""The options of the command that suggests automations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from training.runs.settings import Positive, Setting
from training.synergy.config import SynergyModelPath

MIN_SCORE = 0.5  # below it a pair is more likely false than true, even beside one false pair


class SuggestOptions(SynergyModelPath):
    """Which homes, how many suggestions, and where they go."""

    home: Annotated[
        str | None, Setting("Suggest for this home only.", default="each home of the source", metavar="HOME_ID")
    ] = None
    top: Annotated[Positive, Setting("Suggestions for each home, at most.")] = 20
    min_score: Annotated[
        float,
        Field(ge=0, le=1),
        Setting(
            "Lowest score of a suggestion. If half of all pairs were true, a pair of 0.5 would be true half the time."
        ),
    ] = MIN_SCORE
    output: Annotated[
        Path | None,
        Setting(
            "File to write: .yaml (automations that Home Assistant can include; for several homes, one file for each, "
            "named FILE-<home_id>.yaml) or .json (all homes, with all details).",
            default="standard output",
            metavar="FILE",
        ),
    ] = None
    install: Annotated[
        Path | None,
        Setting(
            "Put the suggestions into this configuration folder of Home Assistant: a file of their own, and the line "
            "that includes it in configuration.yaml, which is kept beside it as it was.",
            default="nothing is put anywhere",
            metavar="CONFIG",
        ),
    ] = None
    diverse: Annotated[bool, Setting("Rank a pair lower if its trigger or its action was suggested before.")] = True
