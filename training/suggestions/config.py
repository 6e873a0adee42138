"""The options of the command that suggests automations."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from training.runs.settings import Config, Positive, Setting
from training.synergy.config import SynergyModelPath

FILE_NAME = "suggestions_feedback.jsonl"

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
    html: Annotated[
        Path | None,
        Setting(
            "Write a page of the suggestions for a browser, .html: a card each, with why, the YAML to copy, and how to "
            "answer. Without --output, nothing goes to standard output.",
            default="no page",
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
    feedback: Annotated[
        Path | None,
        Setting(
            "The file of what was shown and answered before (home-synergy feedback); this run is noted in it. What was "
            "dismissed is not shown again, and its like comes later.",
            default=f"{FILE_NAME} beside the output, else in the working directory, if it is there; --install makes it",
            metavar="FILE",
        ),
    ] = None
    exclude: Annotated[
        tuple[str, ...],
        Setting(
            "Suggest nothing that uses this domain, entity or area (its id or name). May be given several times.",
            metavar="NAME",
        ),
    ] = ()
    area: Annotated[
        tuple[str, ...],
        Setting(
            "Suggest only what acts in this area (its id or name) and starts there or in no area. May be given several "
            "times.",
            metavar="NAME",
        ),
    ] = ()
    new: Annotated[
        bool,
        Setting("Suggest only for entities that were added since the last run that the file of feedback has noted."),
    ] = False
    about: Annotated[
        str | None,
        Setting(
            "Put first what is about this topic, in plain words, such as 'presence lighting'.",
            metavar="TEXT",
        ),
    ] = None
    diverse: Annotated[bool, Setting("Rank a pair lower if its trigger or its action was suggested before.")] = True


class FeedbackOptions(Config):
    """Where the answers to suggestions are."""

    file: Annotated[Path, Setting("The file of answers.", metavar="FILE")] = Path(FILE_NAME)
    home: Annotated[
        str | None,
        Setting(
            "The home that the suggestions are for.",
            default="the one that the file, or a file of suggestions beside it, names",
            metavar="HOME_ID",
        ),
    ] = None
