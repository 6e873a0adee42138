"""Take the names and numbers of one home out of a request and its automation, and put them back.

A model that has seen a few hundred homes cannot learn the entity ids of the next one. So it never sees them: an
entity becomes its domain and a rank (``light.1`` is the light that the request names first, or else the one whose name
is nearest to its words), a number of the request ``n1``, a clock time ``t1``. Afterwards they are put back.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer

from home_assistant import AutomationError
from home_assistant.automation import with_renamed_entities
from home_assistant.domains import DOMAINS, ENTITIES_IN_EVERY_HOME
from home_assistant.entity_id import domain_of, object_id_of

HINTS = 6  # placeholders of the likeliest entities, shown after the request
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"(?<![\w.:])(?:(\d{1,2}:\d{2})(?!:)|(\d{1,6}(?:\.\d{1,4})?))(?![\w:]|\.\d)")
_TIME = re.compile(r"(-?)00:(\d{2}):00")
_SHORT_TIME = re.compile(r"(-?)00:(n\d+):00")
_UNKNOWN = re.compile(r"[nt]\d+")
_MANY = 300  # characters of a request that are searched for names
# Words that are also object ids somewhere, and mean no entity where they stand alone in a request. "radio" is not among
# them, although there is a domain radio_frequency: a radio is a media player.
_DOMAIN_WORDS = {word for domain in DOMAINS for word in domain.split("_")} - {"radio"}
_COMMON = _DOMAIN_WORDS.union(
    "home house all on off the and door window temperature motion humidity battery power mode night day".split()
)


class Home:
    """The entities of one home, and how near their names are to a text."""

    def __init__(self, entity_ids: Iterable[str]) -> None:
        self.known = frozenset(entity_ids) | ENTITIES_IN_EVERY_HOME  # those two keep their names
        self._ids = sorted(self.known - ENTITIES_IN_EVERY_HOME)
        names = [_name(entity_id) for entity_id in self._ids]
        self._vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        self._vectors = self._vectorizer.fit_transform(names) if names else None
        self._named: dict[tuple[str, ...], list[str]] = {}
        for entity_id, name in zip(self._ids, names, strict=True):
            words = tuple(name.split())
            if len(words) > 1 or (words and words[0] not in _COMMON and len(words[0]) > 2):
                self._named.setdefault(words, []).append(entity_id)
        self._longest = max(map(len, self._named), default=0)

    def mentions(self, request: str) -> list[tuple[int, int, list[str]]]:
        """Where the request holds the whole name of entities: start, end, their ids; longer names win."""
        words = [(found[0], found.start(), found.end()) for found in _WORD.finditer(request.lower()[:_MANY])]
        taken = [False] * len(words)
        found = []
        for length in range(min(self._longest, len(words)), 0, -1):
            for at in range(len(words) - length + 1):
                ids = self._named.get(tuple(word for word, _, _ in words[at : at + length]))
                if ids and not any(taken[at : at + length]):
                    taken[at : at + length] = [True] * length
                    found.append((words[at][1], words[at + length - 1][2], ids))
        return sorted(found)

    def nearest(self, request: str) -> list[tuple[str, float]]:
        """Every entity with the cosine of its name to the request (character n-grams), the nearest first."""
        if self._vectors is None:
            return []
        score = np.asarray((self._vectorizer.transform([request.lower()]) @ self._vectors.T).todense()).ravel()
        return [(self._ids[i], float(score[i])) for i in np.argsort(-score, kind="stable").tolist()]


class Grounding:
    """One request in one home: ``source`` is what the model reads, ``hide`` and ``restore`` change automations."""

    def __init__(self, request: str, home: Home | None) -> None:
        text, mentions = request, []
        self._placeholder: dict[str, str] = {}
        if home is not None:
            mentions = home.mentions(request)
            order = [entity_id for _, _, ids in mentions for entity_id in ids]
            nearest = home.nearest(request)
            ranks: Counter[str] = Counter()
            for entity_id in dict.fromkeys([*order, *(entity_id for entity_id, _ in nearest)]):
                domain = domain_of(entity_id)
                ranks[domain] += 1
                self._placeholder[entity_id] = f"{domain}.{ranks[domain]}"
            for start, end, ids in reversed(mentions):
                text = f"{text[:start]} {' '.join(self._placeholder[i] for i in ids)} {text[end:]}"
        self._entity = {placeholder: entity_id for entity_id, placeholder in self._placeholder.items()}
        self._numbers: dict[str, int | float | str] = {}

        def number(found: re.Match[str]) -> str:
            value = f"{found[1].zfill(5)}:00" if found[1] else float(found[2]) if "." in found[2] else int(found[2])
            name = next((name for name, known in self._numbers.items() if known == value), None)
            if name is None:
                letter = "t" if found[1] else "n"
                name = f"{letter}{sum(known[0] == letter for known in self._numbers) + 1}"
                self._numbers[name] = value
            return f" {name} "

        text = " ".join(_NUMBER.sub(number, text).split())
        if home is not None:
            hints = [self._placeholder[i] for i, score in nearest if score > 0 and i not in order]
            text = " ".join([text, "|", *hints[:HINTS]])
        self.source = text

    def hide(self, automation: Mapping[Any, Any]) -> dict[Any, Any]:
        """With placeholders; as it is where they would not turn back into the same automation."""
        hidden = self._numbered(with_renamed_entities(automation, lambda i: self._placeholder.get(i, i)), self._hidden)
        try:
            same = repr(self.restore(hidden)) == repr(dict(automation))
        except AutomationError:
            same = False
        return hidden if same else dict(automation)

    def restore(self, hidden: Mapping[Any, Any]) -> dict[Any, Any]:
        """With the home's own names and the request's own numbers.

        Raises AutomationError where the model wrote of a number that the request does not have.
        """
        return with_renamed_entities(self._numbered(hidden, self._restored), lambda i: self._entity.get(i, i))

    def _hidden(self, value: Any) -> Any:
        if isinstance(value, bool):
            return value
        for name, known in self._numbers.items():
            if known == value and type(known) is type(value):
                return name
            found = _TIME.fullmatch(value) if isinstance(value, str) else None
            if found and int(found[2]) == known:
                return f"{found[1]}00:{name}:00"
        return value

    def _restored(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if value in self._numbers:
            return self._numbers[value]
        found = _SHORT_TIME.fullmatch(value)
        minutes = self._numbers.get(found[2]) if found else None
        if isinstance(minutes, int) and found:
            return f"{found[1]}00:{minutes:02}:00"
        if found or _UNKNOWN.fullmatch(value):
            raise AutomationError(f"{value}: the request has no such number")
        return value

    def _numbered(self, value: Any, change: Callable[[Any], Any]) -> Any:
        if isinstance(value, Mapping):
            return {key: self._numbered(item, change) for key, item in value.items()}
        if isinstance(value, list):
            return [self._numbered(item, change) for item in value]
        return change(value)


def _name(entity_id: str) -> str:
    return " ".join(_WORD.findall(object_id_of(entity_id).replace("_", " ").lower()))
