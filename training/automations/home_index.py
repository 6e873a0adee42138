"""The entities of one home, to be looked up by the words of a request."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError
from sklearn.feature_extraction.text import TfidfVectorizer

from data_sources import Entity
from home_assistant.domains import DOMAINS, ENTITIES_IN_EVERY_HOME, class_of
from home_assistant.entity_id import domain_of, normalized_entity_id, object_id_of
from home_assistant.foreign import Known
from home_assistant.request_words import tokens_said

SEARCHED_CHARACTERS = 300  # of a request, for names
_WORD = re.compile(r"\w+")
# Words that are also object ids somewhere, and mean no entity where they stand alone in a request. "radio" is not among
# them, although there is a domain radio_frequency: a radio is a media player.
_DOMAIN_WORDS = {word for domain in DOMAINS for word in domain.split("_")} - {"radio"}
_COMMON = _DOMAIN_WORDS.union(
    "home house all on off the and door window temperature motion humidity battery power mode night day".split()
)


class Mention(NamedTuple):
    """Where a request holds the whole name of an entity, or of several of the same name."""

    start: int
    end: int
    entity_ids: list[str]


class Name(NamedTuple):
    """One name of an entity: its words as they are written, and each by its one spelling."""

    words: tuple[str, ...]
    tokens: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Name:
        """The name with this text, which may be an object id."""
        text = text.replace("_", " ").lower()
        return cls(tuple(map(_folded, _WORD.findall(text))), tuple(tokens_said(text)))


@dataclass(frozen=True)
class NamedEntity:
    """What is known of an entity.

    Attributes:
        entity_id: Its id.
        names: The words of its id, and the names and aliases that people gave it.
        area: The words of its area.
        device_class: What Home Assistant says, else what its name tells.
        supported_features: None where they are not known.
        capabilities: None where they are not known.
        configures: It is a setting or a diagnosis of a device, not what the device does.
    """

    entity_id: str
    names: tuple[Name, ...]
    area: frozenset[str] = frozenset()
    device_class: str = ""
    supported_features: int | None = None
    capabilities: Mapping[str, Any] | None = None
    configures: bool = False

    @property
    def domain(self) -> str:
        """What stands before the dot of its id."""
        return domain_of(self.entity_id)

    @cached_property
    def all_tokens(self) -> frozenset[str]:
        """The words of all its names and of its area."""
        return frozenset((*self.area, *(token for name in self.names for token in name.tokens)))

    @classmethod
    def of(cls, entity: Any) -> NamedEntity:
        """The entity of an id or of a record. A record that cannot be read is its id alone."""
        entity_id = normalized_entity_id(entity if isinstance(entity, str) else _field(entity, "entity_id"))
        record, raw = None, {}
        if isinstance(entity, Entity):
            record = entity
        elif isinstance(entity, Mapping):
            raw = {**_mapping(entity.get("attributes")), **entity}
            try:
                record = Entity.model_validate(entity)
            except ValidationError:
                record = None
        texts = [object_id_of(entity_id), *(_texts(record.name) if record else ()), *_texts(raw.get("aliases"))]
        names = tuple(dict.fromkeys(filter(lambda name: name.words, map(Name.of, texts))))
        area = [*(_texts(record.area_id) if record else ()), *_texts(raw.get("area_name")), *_texts(raw.get("area"))]
        told = record.device_class if record else None
        words = [word for name in names for word in name.tokens]
        features = raw.get("supported_features") if record is None else record.supported_features
        if features is None and isinstance(raw.get("supported_features"), int):
            features = raw["supported_features"]
        return cls(
            entity_id,
            names,
            frozenset(token for text in area for token in Name.of(text).tokens),
            class_of("", told, words)[1:],
            features,
            record.capabilities if record else None,
            bool(record and record.entity_category),
        )


def _folded(word: str) -> str:
    """A word without accents, as it stands in an entity id."""
    return "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))


def _field(entity: Any, name: str) -> Any:
    return entity.get(name) if isinstance(entity, Mapping) else getattr(entity, name, None)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _texts(value: Any) -> list[str]:
    items = value if isinstance(value, list | tuple | set | frozenset) else [value]
    return [item for item in items if isinstance(item, str) and item.strip()]


class WordTable:
    """How much the words of a home's names tell: the fewer entities have a word, the more."""

    def __init__(self, entities: Mapping[str, NamedEntity]) -> None:
        counts = Counter(token for entity in entities.values() for token in entity.all_tokens)
        self._weight = {token: math.log((1 + len(entities)) / count) for token, count in counts.items()}
        self._of = {i: sum(map(self.weight, entity.all_tokens)) or 1.0 for i, entity in entities.items()}

    def weight(self, token: str) -> float:
        """Of a word, in nats; 0 where no name has it."""
        return self._weight.get(token, 0.0)

    def weight_of(self, entity_id: str) -> float:
        """Of all words of an entity's names; 1 where they tell nothing."""
        return self._of[entity_id]


class HomeIndex:
    """The entities of one home, to be looked up by the words of a request."""

    def __init__(self, home: Known, entities: Iterable[Any] = ()) -> None:
        self.known = home
        self._ids = sorted(home.entities - ENTITIES_IN_EVERY_HOME)  # those keep their names
        told = {one.entity_id: one for one in map(NamedEntity.of, entities) if one.entity_id in home.entities}
        self._entities = {entity_id: told.get(entity_id) or NamedEntity.of(entity_id) for entity_id in self._ids}
        texts = [" ".join(_WORD.findall(object_id_of(i).replace("_", " ").lower())) for i in self._ids]
        self._vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
        self._vectors = self._vectorizer.fit_transform(texts) if texts else None
        self._ids_of_name: dict[tuple[str, ...], list[str]] = {}
        for entity_id, entity in self._entities.items():
            for words in dict.fromkeys(name.words for name in entity.names):
                if len(words) > 1 or (words and words[0] not in _COMMON and len(words[0]) > 2):
                    self._ids_of_name.setdefault(words, []).append(entity_id)
        self._longest = max(map(len, self._ids_of_name), default=0)

    @classmethod
    def of(cls, entities: Iterable[Any]) -> HomeIndex:
        """The home with these entities: ids or records. Raises ValueError for anything else."""
        entities = entities if isinstance(entities, str) else list(entities)
        return cls(Known.of(entities), entities)

    def entity(self, entity_id: str) -> NamedEntity | None:
        """What is known of an entity; None where the home has none of this id."""
        return self._entities.get(entity_id)

    def of_domains(self, domains: Sequence[str]) -> Iterator[NamedEntity]:
        """The entities of these domains, without those that only configure a device."""
        for domain in domains:
            yield from (entity for entity in self._by_domain.get(domain, ()) if not entity.configures)

    @cached_property
    def table(self) -> WordTable:
        """How much each word of the home's names tells."""
        return WordTable(self._entities)

    @cached_property
    def _by_domain(self) -> dict[str, list[NamedEntity]]:
        found: dict[str, list[NamedEntity]] = {}
        for entity in self._entities.values():
            found.setdefault(entity.domain, []).append(entity)
        return found

    def mentions(self, request: str) -> list[Mention]:
        """The entities whose whole name the request holds, in its order; of names that overlap the longest."""
        words = [
            (_folded(found[0]), found.start(), found.end())
            for found in _WORD.finditer(request.lower()[:SEARCHED_CHARACTERS])
        ]
        taken = [False] * len(words)
        found = []
        for length in range(min(self._longest, len(words)), 0, -1):
            for at in range(len(words) - length + 1):
                ids = self._ids_of_name.get(tuple(word for word, _, _ in words[at : at + length]))
                if ids and not any(taken[at : at + length]):
                    taken[at : at + length] = [True] * length
                    found.append(Mention(words[at][1], words[at + length - 1][2], ids))
        return sorted(found)

    def nearest(self, request: str) -> list[tuple[str, float]]:
        """Every entity with the cosine of its name to the request (character n-grams), the nearest first."""
        if self._vectors is None:
            return []
        score = np.asarray((self._vectorizer.transform([request.lower()]) @ self._vectors.T).todense()).ravel()
        return [(self._ids[i], float(score[i])) for i in np.argsort(-score, kind="stable").tolist()]
