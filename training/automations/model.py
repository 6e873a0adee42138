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

from data_sources import YamlRow
from home_assistant import AutomationError, parse_automation
from home_assistant.automation import services_match_targets, structure, with_current_keys
from home_assistant.automation_file import published_automation
from home_assistant.automation_schema import check_automation
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
    index_of = lru_cache(INDEXES_KEPT)(HomeIndex)
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

    def generate(self, text: str, entities: Iterable[str | Mapping[str, Any]] | None = None) -> str | None:
        """An automation that does what ``text`` asks for, as YAML with ``text`` as its alias.

        Args:
            text: The request in plain words.
            entities: Those of the home: ids, or objects with an ``entity_id``. Without them it makes ids up.

        Returns:
            YAML that passes Home Assistant's schema, calls no service of one domain on an entity of another, and names
            no entity but those given. None where the model has no such answer.

        Raises:
            AutomationError: ``text`` cannot be written as an alias: it has half of a surrogate pair.
        """
        home = None
        if entities is not None:
            home = HomeIndex(entity if isinstance(entity, str) else str(entity["entity_id"]) for entity in entities)
        (automation,) = self.automations([(Grounding(text, home), home)])
        return None if automation is None else published_automation({"alias": text, **automation})

    @property
    def described(self) -> Mapping[str, Any]:
        """What ``training_run.json`` says of the model."""
        return self._suggester.described

    def automations(self, requests: Sequence[tuple[Grounding, HomeIndex | None]]) -> list[dict[Any, Any] | None]:
        """For each request, the likeliest answer that can be used, or None. Many requests in one call are faster.

        ``BEAMS`` candidates are generated only for requests whose single likeliest answer cannot be used.
        """
        found: list[dict[Any, Any] | None] = [None] * len(requests)
        for beams in (1, BEAMS):
            missing = [i for i, automation in enumerate(found) if automation is None]
            lines = self._suggester.candidates([requests[i][0].source for i in missing], beams)
            for i, candidates in zip(missing, lines, strict=True):
                usable = (_usable(line, *requests[i]) for line in candidates)
                found[i] = next((automation for automation in usable if automation is not None), None)
        return found


def _usable(line: str, grounding: Grounding, home: HomeIndex | None) -> dict[Any, Any] | None:
    """The automation of a line; None where it is none, or does not fit the home."""
    try:
        automation = grounding.restore(from_linear(line))
        check_automation(automation)
    except AutomationError:
        return None
    fits = services_match_targets(automation) and (home is None or structure(automation).entities <= home.known)
    return automation if fits else None
