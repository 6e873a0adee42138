"""What a run of suggestions remembers: the answers of before, and what it shows now."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Collection
from pathlib import Path

from data_sources import Home
from data_sources.counting import listed
from training.runs.errors import ArtifactError
from training.runs.outputs import check_output
from training.suggestions.config import FILE_NAME, SuggestOptions
from training.suggestions.home_view import automated_pairs
from training.suggestions.ranking import HomeProposals
from training.suggestions.writing import SHOWN
from training.synergy.feedback import Answer, Feedback, Showing, Suggested, append, showing_of

log = logging.getLogger(__name__)


class Memory:
    """The file of feedback of one run, which is read before it and appended to after it.

    A file that no flag names is used where it is there. It is made where suggestions are installed, for no other file
    that ``home-synergy feedback`` looks into has their ids then.

    Args:
        options: The options of the run.

    Attributes:
        path: The file.
        feedback: What it holds, and what was recognised in this run.

    Raises:
        ArtifactError: The file cannot be read, or one that a flag names cannot be written.
    """

    def __init__(self, options: SuggestOptions) -> None:
        output = options.output or options.html
        beside = output is not None and (output.is_file() or not output.exists())  # not beside /dev/stdout
        here = Path(FILE_NAME)  # where `home-synergy feedback` notes answers
        there = output.parent / FILE_NAME if output is not None and beside else here
        self.path = options.feedback or (there if there.exists() or not here.exists() else here)
        self._is_named = options.feedback is not None or options.new
        self.feedback = Feedback.read(self.path)
        self._is_kept = self._is_named or options.install is not None or self.path.exists()
        self._answerable = self._is_kept or beside
        self._lines: list[Answer | Showing] = []
        if self.feedback.trouble is not None:
            log.warning("Note: %s", self.feedback.trouble)
        if self._is_named and not self.path.exists():
            check_output(self.path)

    def recognize(self, home: Home) -> None:
        """Take what was shown or accepted before, and is automated now, as accepted for good."""
        found = list(self.feedback.newly_automated(home.home_id, automated_pairs(home)))
        if not found:
            return
        told = listed([answer.words for answer in found], SHOWN, "; ")
        log.info("Accepted since, for home %a automates it now: %s", home.home_id, told)
        self._lines += found
        self.feedback.take(found)

    def note(self, home: Home, found: HomeProposals) -> None:
        """Remember what is shown for a home, and which entities it has."""
        shown = [
            Suggested(
                trigger=p.trigger,
                other_triggers=p.other_triggers,
                actions=p.actions,
                suggestion=p.automation["id"],
                score=p.score,
                title=p.automation["alias"],
            )
            for p in found.proposals
        ]
        met = self.feedback.met(home.home_id) or frozenset()
        self._lines.append(showing_of(home.home_id, shown, {e.entity_id for e in home.entities} - met))

    def keep(self, ids: Collection[str]) -> None:
        """Forget that suggestions were shown, but for those of ``ids``: nobody saw the others."""
        self._lines = [
            line.model_copy(update={"shown": tuple(one for one in line.shown if one.id in ids)})
            if isinstance(line, Showing)
            else line
            for line in self._lines
        ]

    def write(self) -> None:
        """Append it all at once. A file that no flag named, and that cannot be written, is a warning."""
        try:
            if self._is_kept:
                append(self.path, self._lines)
        except ArtifactError as error:
            if self._is_named:
                raise
            log.warning("%s", error)
            self._answerable = False

    def tell_how_to_answer(self) -> None:
        """Log the command that answers to what was shown."""
        if not any(isinstance(line, Showing) and line.shown for line in self._lines):
            return
        if self._answerable:
            command = ["home-synergy", "feedback", "accept|dismiss", "ID"]
            named = [] if self.path == Path(FILE_NAME) else ["--file", shlex.quote(str(self.path))]
            log.info("Answer with: %s", " ".join([*command, *named]))
        else:
            log.info("To answer by id, suggest with --output FILE, or with --feedback %s", self.path)
