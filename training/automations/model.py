"""Use a model that turns a request in plain words into a Home Assistant automation.

The model reads the request without the names and numbers of its home (``grounding``) and writes an automation as one
line (``linear``). The line gets names and numbers back, and is answered only if Home Assistant's schema accepts it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from data_sources import Entity, YamlRow
from home_assistant import AutomationError, parse_automation
from home_assistant.automation import services_match_targets, with_current_keys
from home_assistant.automation_file import published_automation
from home_assistant.automation_schema import check_automation
from home_assistant.foreign import Known, foreign_parts
from training.automations.grounding import Grounding, HomeIndex
from training.automations.linear import from_linear, to_linear
from training.text.backbone import TextPair
from training.text.model import Suggester

log = logging.getLogger(__name__)

BEAMS = 8  # candidates tried where the likeliest answer cannot be used
INDEXES_KEPT = 64  # of homes, while rows are prepared
_LABELS = ("id", "alias", "description")  # keys that say nothing of what the automation does


class Example(NamedTuple):
    """One row as the model sees it; ``home`` is None where the home's entities are not known."""

    request: str
    automation: dict[Any, Any]
    home: HomeIndex | None
    grounding: Grounding

    @property
    def pair(self) -> TextPair:
        """What the model reads and what it should write."""
        return TextPair(self.grounding.source, to_linear(self.grounding.hide(self.automation)))


def examples(rows: Iterable[YamlRow]) -> list[Example]:
    """The rows as the model sees them; automations have today's keys and no id, alias or description."""
    index_of = lru_cache(INDEXES_KEPT)(HomeIndex.of)
    prepared = []
    for row in rows:
        home = index_of(row.entities) if row.entities else None
        automation = _without_labels(parse_automation(row.output))
        prepared.append(Example(row.input, automation, home, Grounding(row.input, home)))
    return prepared


def _without_labels(automation: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in with_current_keys(automation).items() if key not in _LABELS}


class YamlGenerator:
    """A trained model, for use."""

    def __init__(self, suggester: Suggester) -> None:
        self._suggester = suggester

    @classmethod
    def load(cls, directory: str | Path) -> YamlGenerator:
        """A run directory (or ``latest``). Raises ModelFileError where it is none, or its base cannot be had."""
        return cls(Suggester.load(directory))

    @staticmethod
    def refusals(automation_yaml: str, entities: Iterable[str | Mapping[str, Any] | Entity]) -> list[str]:
        """Why ``generate`` would not return an automation for a home; [] where it would.

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
            entities: Those of the home: ids, or records with an ``entity_id``. Disabled ones are left out. Without
                entities it makes ids up.

        Returns:
            YAML that passes Home Assistant's schema, calls no service of one domain on an entity of another, and for
            which ``refusals`` finds nothing. None where the model has no such answer.

        Raises:
            AutomationError: ``text`` cannot be written as an alias: it has half of a surrogate pair.
            ValueError: An entity has no id.
        """
        home = None if entities is None else HomeIndex.of(entities)
        (automation,) = self.automations([(Grounding(text, home), home)])
        return None if automation is None else published_automation({"alias": text, **automation})

    @property
    def described(self) -> Mapping[str, Any]:
        """What ``training_run.json`` says of the model."""
        return self._suggester.described

    def automations(self, requests: Sequence[tuple[Grounding, HomeIndex | None]]) -> list[dict[Any, Any] | None]:
        """For each request, the best answer that can be used, or None. Many requests in one call are faster.

        That is the one that leaves the request least (``Grounding.departures``), and of equal ones the likeliest.
        ``BEAMS`` candidates are generated only for requests whose single likeliest answer leaves them, or cannot be
        used.
        """
        found: list[dict[Any, Any] | None] = [None] * len(requests)
        missing = list(range(len(requests)))
        for beams in (1, BEAMS):
            lines = self._suggester.candidates([requests[i][0].source for i in missing], beams)
            for i, candidates in zip(missing, lines, strict=True):
                usable = [found[i], *(_usable(line, *requests[i]) for line in candidates)]
                found[i] = min(filter(None, usable), key=requests[i][0].departures, default=None)
            missing = [i for i in missing if (one := found[i]) is None or requests[i][0].departures(one)]
        return found


def _usable(line: str, grounding: Grounding, home: HomeIndex | None) -> dict[Any, Any] | None:
    """The automation of a line; None where it is none, or does not fit the home."""
    try:
        automation = grounding.restore(from_linear(line))
    except AutomationError:
        return None
    if grounding.names_left_out(automation) or _refusals(automation, None if home is None else home.known):
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
