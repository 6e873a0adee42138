"""What a list of suggestions is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from training.runs.settings import Positive, Setting
from training.synergy.config import SynergyModelPath

MIN_SCORE = 0.5  # below it a pair is more likely false than true, even beside one false pair


class SuggestOptions(SynergyModelPath):
    """Which homes, how many suggestions, and where they go."""

    home: Annotated[str | None, Setting("This home only.", default="all homes, each in turn", metavar="HOME_ID")] = None
    top: Annotated[Positive, Setting("Suggestions for each home.")] = 20
    min_score: Annotated[
        float,
        Field(ge=0, le=1),
        Setting("Suggest no pair below it. 0.5: as likely true as not beside one false pair."),
    ] = MIN_SCORE
    output: Annotated[
        Path | None,
        Setting(
            "Write here instead: .yaml (automations that Home Assistant includes; of several homes one file each, "
            "FILE-<home_id>.yaml) or .json (everything, by home).",
            default="standard output",
            metavar="FILE",
        ),
    ] = None
    diverse: Annotated[bool, Setting("Put off a light or a sensor that was suggested before, in favour of others.")] = (
        True
    )
