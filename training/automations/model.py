"""Requests in plain words -> Home Assistant automations: trained as lines of words, judged as automations.

The model reads a request without the names and numbers of its home (``grounding``) and writes the line of an automation
(``automation.to_linear``); what it writes is given names and numbers again and held to Home Assistant's schema.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from data_sources import YamlRow
from home_assistant import AutomationError, dump_automation, parse_automation
from home_assistant.automation import services_match_targets, structure, with_current_keys
from home_assistant.automation_schema import check_automation
from training.automations.grounding import Grounding, Home
from training.automations.linear import from_linear, to_linear
from training.text.backbone import TextPair
from training.text.model import Suggester

log = logging.getLogger(__name__)

BEAMS = 8  # candidates looked at where the likeliest answer does not hold
_ABOUT = ("id", "alias", "description")  # what says nothing of what the automation does
HOMES_KEPT = 64  # vectors of the entities of as many homes


class Example(NamedTuple):
    """One row as the model is to see it; ``home`` is None where the entities are not known."""

    request: str
    automation: dict[Any, Any]
    home: Home | None
    grounding: Grounding

    @property
    def pair(self) -> TextPair:
        """What the model reads and what it should write."""
        return TextPair(self.grounding.source, to_linear(self.grounding.hide(self.automation)))


def examples(rows: Iterable[YamlRow]) -> list[Example]:
    """The rows with their automations in one spelling, without id, alias and description."""
    home_of = lru_cache(HOMES_KEPT)(Home)
    made = []
    for row in rows:
        home = home_of(row.entities) if row.entities else None
        made.append(Example(row.input, _what_it_does(parse_automation(row.output)), home, Grounding(row.input, home)))
    return made


def _what_it_does(automation: Mapping[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in with_current_keys(automation).items() if key not in _ABOUT}


class YamlGenerator:
    """A trained model, for use."""

    def __init__(self, suggester: Suggester) -> None:
        self._suggester = suggester

    @classmethod
    def load(cls, directory: str | Path) -> YamlGenerator:
        """A run directory (or ``latest``). Raises ModelFileError where it is none, or its base cannot be had."""
        return cls(Suggester.load(directory))

    def generate(self, text: str, entities: Iterable[str | Mapping[str, Any]] | None = None) -> str | None:
        """YAML of an automation that does what ``text`` asks for, named by it.

        ``entities`` are those of the home: ids, or objects with an ``entity_id``.

        What is returned passes Home Assistant's schema, calls no service of one domain on an entity of another, and
        names, where ``entities`` are given, none but them. None where the model has no such
        answer.
        """
        home = None
        if entities is not None:
            home = Home(entity if isinstance(entity, str) else str(entity["entity_id"]) for entity in entities)
        (automation,) = self.automations([(Grounding(text, home), home)])
        return None if automation is None else dump_automation({"alias": text, **automation})

    @property
    def described(self) -> Mapping[str, Any]:
        """What ``training_run.json`` says of the model."""
        return self._suggester.described

    def automations(self, asked: Sequence[tuple[Grounding, Home | None]]) -> list[dict[Any, Any] | None]:
        """For each request the first of the model's answers that holds, without its name; many at a time are quicker.

        The likeliest answers come first; only for those that do not hold, ``BEAMS`` candidates are looked at.
        """
        found: list[dict[Any, Any] | None] = [None] * len(asked)
        for beams in (1, BEAMS):
            open_ = [i for i, automation in enumerate(found) if automation is None]
            lines = self._suggester.candidates([asked[i][0].source for i in open_], beams)
            for i, candidates in zip(open_, lines, strict=True):
                held = (_held(line, *asked[i]) for line in candidates)
                found[i] = next((automation for automation in held if automation is not None), None)
        return found


def _held(line: str, grounding: Grounding, home: Home | None) -> dict[Any, Any] | None:
    """The automation of a line, where it is one and fits the home."""
    try:
        automation = grounding.restore(from_linear(line))
        check_automation(automation)
    except AutomationError:
        return None
    fits = services_match_targets(automation) and (home is None or structure(automation).entities <= home.known)
    return automation if fits else None
