"""Take the names and numbers of one home out of a request and its automation, and put them back.

A model that has seen a few hundred homes cannot learn the entity ids of the next one, so it never sees any. An entity
becomes its domain and a rank: ``light.1`` is the light that the request names first, else the one whose name is nearest
to the request. A number of the request becomes ``n1``, a clock time ``t1``. Afterwards they are put back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from home_assistant import AutomationError
from home_assistant.automation import steps, structure, with_current_keys, with_renamed_entities
from home_assistant.domains import READ_ONLY_DOMAINS
from home_assistant.entity_id import domain_of, listed_ids
from training.automations.home_index import HomeIndex

HINTS = 6  # placeholders of the likeliest entities, shown after the request
_NUMBER = re.compile(r"(?<![\w.:])(?:(\d{1,2}:\d{2})(?!:)|(\d{1,6}(?:\.\d{1,4})?))(?![\w:]|\.\d)")
_MINUTES = re.compile(r"(-?)00:(\d{2}):00")  # a duration in whole minutes
_HIDDEN_MINUTES = re.compile(r"(-?)00:(n\d+):00")
_PLACEHOLDER = re.compile(r"[nt]\d+")


class Grounding:
    """One ``request`` in one ``home``, or without one.

    ``source`` is the text that the model reads. ``hide`` puts placeholders into an automation, ``restore`` takes them
    out again.
    """

    def __init__(self, request: str, home: HomeIndex | None) -> None:
        self.request, self.home = request, home
        mentions = home.mentions(request) if home is not None else []
        nearest = home.nearest(request) if home is not None else []
        mentioned = [entity_id for mention in mentions for entity_id in mention.entity_ids]
        self._mentioned = frozenset(mentioned)
        self._asked = {i for i in mentioned if domain_of(i) not in READ_ONLY_DOMAINS}  # those that can act
        ranks: Counter[str] = Counter()
        self._mentions = mentions
        self._placeholder: dict[str, str] = {}
        for entity_id in dict.fromkeys([*mentioned, *(entity_id for entity_id, _ in nearest)]):
            domain = domain_of(entity_id)
            ranks[domain] += 1
            self._placeholder[entity_id] = f"{domain}.{ranks[domain]}"
        self._entity = {placeholder: entity_id for entity_id, placeholder in self._placeholder.items()}
        self._numbers: dict[str, int | float | str] = {}

        text = request
        for start, end, ids in reversed(mentions):
            text = f"{text[:start]} {' '.join(self._placeholder[i] for i in ids)} {text[end:]}"
        text = " ".join(_NUMBER.sub(self._number_placeholder, text).split())
        if home is not None:
            hints = [self._placeholder[i] for i, score in nearest if score > 0 and self._may_be_meant(i)]
            text = " ".join([text, "|", *hints[:HINTS]])
        self.source = text

    def hide(self, automation: Mapping[Any, Any]) -> dict[Any, Any]:
        """The automation with placeholders, or as it is where they would not turn back into the same automation."""
        hidden = _with_values(with_renamed_entities(automation, lambda i: self._placeholder.get(i, i)), self._hidden)
        try:
            same = repr(self.restore(hidden)) == repr(dict(automation))
        except AutomationError:
            same = False
        return hidden if same else dict(automation)

    def restore(self, hidden: Mapping[Any, Any]) -> dict[Any, Any]:
        """The automation with the home's own names and the request's own numbers.

        Raises AutomationError where it names a number that the request does not have.
        """
        return with_renamed_entities(_with_values(hidden, self._restored), lambda i: self._entity.get(i, i))

    def _may_be_meant(self, entity_id: str) -> bool:
        """Whether the request may mean the entity without its whole name."""
        if self._asked:
            return domain_of(entity_id) in READ_ONLY_DOMAINS and entity_id not in self._mentioned
        return entity_id not in self._mentioned

    def names_left_out(self, automation: Mapping[Any, Any]) -> int:
        """How many of the entities whose whole name the request holds the automation does not name."""
        entities = structure(automation).entities
        return sum(entities.isdisjoint(mention.entity_ids) for mention in self._mentions)

    def departures(self, automation: Mapping[Any, Any]) -> int:
        """How often the automation leaves the request: numbers that it does not use, entities that it operates unasked.

        The entities count only where the request holds the whole name of one that can act.
        """
        used = repr(_with_values(automation, self._hidden))
        unused = sum(re.search(rf"\b{name}\b", used) is None for name in self._numbers)
        targets = (step.action.get("target") for step in steps(with_current_keys(automation), disabled=True))
        operated = {i for target in targets if isinstance(target, Mapping) for i in listed_ids(target.get("entity_id"))}
        return unused + (len(operated - self._asked) if self._asked else 0)

    def _number_placeholder(self, found: re.Match[str]) -> str:
        clock, number = found[1], found[2]
        value = f"{clock.zfill(5)}:00" if clock else float(number) if "." in number else int(number)
        name = next((name for name, known in self._numbers.items() if known == value), None)
        if name is None:
            letter = "t" if clock else "n"
            name = f"{letter}{sum(known[0] == letter for known in self._numbers) + 1}"
            self._numbers[name] = value
        return f" {name} "

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, bool):
            return value
        for name, known in self._numbers.items():
            if known == value and type(known) is type(value):
                return name
            found = _MINUTES.fullmatch(value) if isinstance(value, str) else None
            if found and int(found[2]) == known:
                return f"{found[1]}00:{name}:00"
        return value

    def _restored(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value in self._numbers:
            return self._numbers[value]
        found = _HIDDEN_MINUTES.fullmatch(value)
        minutes = self._numbers.get(found[2]) if found else None
        if isinstance(minutes, int) and found:
            return f"{found[1]}00:{minutes:02}:00"
        if found or _PLACEHOLDER.fullmatch(value):
            raise AutomationError(f"{value}: the request has no such number")
        return value


def _with_values(value: Any, change: Callable[[Any], Any]) -> Any:
    """The same mappings and lists with every value in them changed."""
    if isinstance(value, Mapping):
        return {key: _with_values(item, change) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_values(item, change) for item in value]
    return change(value)
