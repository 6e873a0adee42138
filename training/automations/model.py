"""Use a model that turns a request in plain words into a Home Assistant automation.

A request whose every word is understood is answered as it is read (``reading``). For others there are two guesses. The
ranking composes one of what is likeliest (``ranking``, ``composing``). The network reads the request without the names
and numbers of its home (``grounding``) and writes an automation as one line (``linear``), which gets them back. A guess
is given only if its kind was right often enough in validation homes (``confidence``), and any answer only if Home
Assistant's schema accepts it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from data_sources import Entity, YamlRow
from home_assistant import AutomationError, parse_automation
from home_assistant.automation import Structure, services_match_targets, structure, with_current_keys
from home_assistant.automation_file import published_automation
from home_assistant.automation_schema import check_automation
from home_assistant.foreign import Known, foreign_parts
from training.automations.composing import compose
from training.automations.confidence import Confidence
from training.automations.grounding import Grounding
from training.automations.home_index import HomeIndex
from training.automations.linear import from_linear, to_linear
from training.automations.ranking import Asked, StructureRanker
from training.automations.reading import read_request
from training.runs.errors import wrap_read_errors
from training.runs.model_paths import how_to_get, run_directory
from training.text.backbone import TextPair
from training.text.model import Suggester

log = logging.getLogger(__name__)

BEAMS = 8  # candidates tried where the likeliest answer cannot be used
FORMAT = 1  # of KNOWLEDGE_FILE
KNOWLEDGE_FILE = "requests.json"
INDEXES_KEPT = 64  # of homes, while rows are prepared
_LABELS = ("id", "alias", "description")  # keys that say nothing of what the automation does
_DEFAULT_MODE = ("mode", "single")  # which Home Assistant takes where there is none


class Example(NamedTuple):
    """One row as the model sees it; ``home`` is None where the home's entities are not known."""

    request: str
    automation: dict[Any, Any]
    home: HomeIndex | None
    grounding: Grounding
    home_id: str = ""

    @property
    def structure(self) -> Structure:
        """What its automation is made of."""
        return structure(self.automation)

    @property
    def pair(self) -> TextPair:
        """What the model reads and what it should write."""
        return TextPair(self.grounding.source, to_linear(self.grounding.hide(self.automation)))


def examples(rows: Iterable[YamlRow], homes: Mapping[str, HomeIndex] | None = None) -> list[Example]:
    """The rows as the model sees them.

    Their automations have today's keys, no id, alias or description, and no mode that is the default.

    Args:
        rows: Requests with their automations.
        homes: By ``home_id``, homes of which more is known than the ids in their rows.
    """
    index_of = lru_cache(INDEXES_KEPT)(HomeIndex.of)
    prepared = []
    for row in rows:
        home = (homes or {}).get(row.home_id or "") or (index_of(row.entities) if row.entities else None)
        automation = _without_labels(parse_automation(row.output))
        prepared.append(Example(row.input, automation, home, Grounding(row.input, home), row.home_id or ""))
    return prepared


def _without_labels(automation: Mapping[Any, Any]) -> dict[Any, Any]:
    current = with_current_keys(automation)
    return {key: value for key, value in current.items() if key not in _LABELS and (key, value) != _DEFAULT_MODE}


class Answer(NamedTuple):
    """The best answer to one request, whether it is given or not.

    Attributes:
        automation: With today's keys; None where there is none that the home could run.
        confidence: The probability that it does what the request asks for.
        given: Whether it is sure enough to be given.
        source: "read" word by word, "ranked" or "written" by the network; "" where there is none.
    """

    automation: dict[Any, Any] | None
    confidence: float = 0.0
    given: bool = False
    source: str = ""

    @property
    def order(self) -> tuple[bool, float]:
        """What answers are sorted by, the surest last."""
        return self.given, self.confidence


class Knowledge(NamedTuple):
    """What a training learnt beside the network.

    Attributes:
        ranker: Ranks what an automation may be made of; None where there was too little to learn from.
        ranked: How sure its guesses are.
        written: How sure the network's answers are.
    """

    ranker: StructureRanker | None
    ranked: Confidence = Confidence()
    written: Confidence = Confidence()

    def to_bytes(self) -> bytes:
        """The content of ``KNOWLEDGE_FILE``: JSON, the same for the same training."""
        held = {
            "format": FORMAT,
            "ranker": None if self.ranker is None else self.ranker.to_json(),
            "ranked": self.ranked.to_json(),
            "written": self.written.to_json(),
        }
        return (json.dumps(held, ensure_ascii=False, separators=(",", ":")) + "\n").encode()

    @classmethod
    def read(cls, content: bytes) -> Knowledge:
        """Of ``to_bytes``. Raises ValueError, TypeError or KeyError where it is none."""
        held = json.loads(content)
        if held["format"] != FORMAT:
            raise ValueError(f"is of format {held['format']}, this program reads {FORMAT}")
        ranker = None if held["ranker"] is None else StructureRanker.from_json(held["ranker"])
        return cls(ranker, *(Confidence.from_json(held[name]) for name in ("ranked", "written")))


class YamlGenerator:
    """A trained model, for use.

    Args:
        suggester: The network; None answers without one.
        knowledge: What was learnt beside it. Without, as in a run of an older version, the network's answers are given
            however unsure they are.
    """

    def __init__(self, suggester: Suggester | None, knowledge: Knowledge | None = None) -> None:
        self._suggester, self._knowledge = suggester, knowledge

    @classmethod
    def load(cls, directory: str | Path) -> YamlGenerator:
        """A run directory (or ``latest``). Raises ModelFileError where it is none, or its base cannot be had."""
        with wrap_read_errors(Path(directory), "is not a run directory that can be loaded", how_to_get(YamlRow.kind)):
            folder = run_directory(YamlRow.kind, Path(directory))
        suggester = Suggester.load(folder, YamlRow.kind)
        path = folder / KNOWLEDGE_FILE
        with wrap_read_errors(path, "is not what was trained", "train it again"):
            expected = dict(suggester.described.get("files") or {}).get(KNOWLEDGE_FILE)
            if expected is None:
                return cls(suggester)
            content = path.read_bytes()
            if hashlib.sha256(content).hexdigest() != expected:
                raise ValueError("it is of another training than training_run.json")
            return cls(suggester, Knowledge.read(content))

    @staticmethod
    def refusals(automation_yaml: str, entities: Iterable[str | Mapping[str, Any] | Entity]) -> list[str]:
        """Why ``generate`` would not return an automation for a home, however sure it is; [] where it might.

        Args:
            automation_yaml: One automation.
            entities: Those of the home, as for ``generate``.

        Returns:
            A line for each reason: where it stands in the automation (with today's keys), and what is wrong. Home
            Assistant refuses it, a service is called on an entity of another domain or with data that it does not take,
            or it names something that the home's entities do not show it to have.

        Raises:
            ValueError: An entity has no id.
        """
        home = Known.of(entities)
        try:
            automation = parse_automation(automation_yaml)
        except AutomationError as error:
            return [str(error)]
        return _refusals(automation, home)

    def generate(self, text: str, entities: Iterable[str | Mapping[str, Any] | Entity] | None = None) -> str | None:
        """An automation that does what ``text`` asks for, as YAML with ``text`` as its alias.

        Args:
            text: The request in plain words.
            entities: Those of the home: ids, or records with an ``entity_id``, whose names, aliases, areas, classes and
                features count too. Disabled ones are left out. Without entities it makes ids up.

        Returns:
            YAML that passes Home Assistant's schema, calls no service of one domain on an entity of another, and for
            which ``refusals`` finds nothing. None where no answer is sure: a part of the request is not understood, and
            what the model would guess was too often wrong in validation homes.

        Raises:
            AutomationError: ``text`` cannot be written as an alias: it has half of a surrogate pair.
            ValueError: An entity has no id.
        """
        home = None if entities is None else HomeIndex.of(entities)
        (answer,) = self.answers([Grounding(text, home)])
        if answer.automation is None or not answer.given:
            return None
        return published_automation({"alias": text, **answer.automation})

    @property
    def described(self) -> Mapping[str, Any]:
        """What ``training_run.json`` says of the model."""
        return {} if self._suggester is None else self._suggester.described

    def answers(self, requests: Sequence[Grounding]) -> list[Answer]:
        """For each request the best answer, given or not. Many requests in one call are faster.

        What is read word by word comes first; then an answer that is given; of others the surest.
        """
        found = [self.read(one) for one in requests]
        unread = [i for i, one in enumerate(found) if one.automation is None]
        for i, written in zip(unread, self.written([requests[i] for i in unread]), strict=True):
            found[i] = max(self.ranked(requests[i]), written, key=lambda one: (one.automation is not None, *one.order))
        return found

    @staticmethod
    def read(request: Grounding) -> Answer:
        """What the words of the request say."""
        if request.home is None:
            return Answer(None)
        automation = read_request(request.request, request.home)
        if automation is None or _refusals(automation, request.home.known):
            return Answer(None)
        return Answer(automation, 1.0, given=True, source="read")

    def ranked(self, request: Grounding) -> Answer:
        """What the ranking guesses."""
        if request.home is None or self._knowledge is None or self._knowledge.ranker is None:
            return Answer(None)
        asked = Asked.of(request.request, request.home)
        guess = self._knowledge.ranker.guess(asked)
        automation = compose(guess, asked)
        if automation is None or _refusals(automation, request.home.known):
            return Answer(None)
        score = sum(guess.expected[1:]) / 2
        return self._answer(automation, self._knowledge.ranked, score, "ranked")

    def written(self, requests: Sequence[Grounding]) -> list[Answer]:
        """What the network writes."""
        if self._suggester is None:
            return [Answer(None)] * len(requests)
        found = self._candidates(requests)
        if self._knowledge is None:
            return [Answer(None) if one is None else Answer(one[0], one[1], True, "written") for one in found]
        confidence = self._knowledge.written
        return [Answer(None) if one is None else self._answer(one[0], confidence, one[1], "written") for one in found]

    @staticmethod
    def _answer(automation: dict[Any, Any], confidence: Confidence, score: float, source: str) -> Answer:
        probability = confidence(score)
        given = confidence.least is not None and probability >= confidence.least
        return Answer(automation, probability, given, source)

    def _candidates(self, requests: Sequence[Grounding]) -> list[tuple[dict[Any, Any], float] | None]:
        """For each request, the network's best answer that can be used and how probable it is, or None.

        That is the one that leaves the request least (``Grounding.departures``), and of equal ones the likeliest.
        ``BEAMS`` candidates are generated only for requests whose single likeliest answer leaves them, or cannot be
        used.
        """
        assert self._suggester is not None
        found: list[tuple[dict[Any, Any], float] | None] = [None] * len(requests)
        missing = list(range(len(requests)))
        for beams in (1, BEAMS):
            lines = self._suggester.candidates([requests[i].source for i in missing], beams)
            for i, candidates in zip(missing, lines, strict=True):
                written = ((_usable(one.text, requests[i]), one.probability) for one in candidates)
                usable = [found[i], *((automation, p) for automation, p in written if automation is not None)]
                found[i] = min(filter(None, usable), key=lambda one: requests[i].departures(one[0]), default=None)
            missing = [i for i in missing if (one := found[i]) is None or requests[i].departures(one[0])]
        return found


def _usable(line: str, grounding: Grounding) -> dict[Any, Any] | None:
    """The automation of a line; None where it is none, or does not fit the home."""
    try:
        automation = grounding.restore(from_linear(line))
    except AutomationError:
        return None
    home = None if grounding.home is None else grounding.home.known
    if grounding.names_left_out(automation) or _refusals(automation, home):
        return None
    return automation


def _refusals(automation: dict[Any, Any], home: Known | None) -> list[str]:
    try:
        check_automation(automation)
    except AutomationError as error:
        return [str(error)]
    reasons = foreign_parts(automation, home) if home is not None else []
    if not reasons and not services_match_targets(automation):
        reasons = ["a service is called on an entity of another domain"]
    return reasons
