"""Guess what a request may mean where its words do not say it: rank services, triggers and entities of the home.

Three logistic regressions rank them by evidence: what the nearest training requests of other homes have, how much of an
entity's name the request says, which opposites it names. No name of a home is learnt. The ranks give an automation and
how good it is expected to be.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from home_assistant.automation import Structure
from home_assistant.domains import READ_ONLY_DOMAINS
from home_assistant.entity_id import domain_of
from home_assistant.household_words import places_of
from home_assistant.request_words import THING_DOMAINS, meanings_in, tokens_said
from home_assistant.services import described
from training.automations.home_index import SEARCHED_CHARACTERS, HomeIndex
from training.judging.metrics import Array

NEIGHBOURS = 15
REMEMBERED = 5_000  # requests that are kept to be looked up, at most
FITTED = 80_000  # entities that the ranking of entities is fitted to, at most: they bound its memory
COMPARED = 500  # requests that are compared with all remembered ones at once
CANDIDATES = 60  # nearest entities that are looked at; and all that share a word with the request
SERVICES_OF_HOMES = 2  # homes that use a service, at least, for it to be guessed
MOST_SERVICES, MOST_ENTITIES = 3, 8
INVERSE_PENALTY = 0.05
_DOMAINS = (
    "light switch binary_sensor sensor input_boolean media_player person device_tracker cover climate script scene "
    "input_number input_select input_text input_datetime timer fan lock vacuum group event automation button camera "
    "alarm_control_panel select counter calendar"
).split()
_KINDS = "state time sun numeric_state event homeassistant time_pattern template zone device webhook mqtt tag".split()
# Verb of a service -> the meanings of words that ask for it.
_ASKED_BY: Mapping[str, frozenset[str]] = {
    verb: frozenset(meanings.split())
    for verb, meanings in {
        "turn_on": "on on_ start play", "turn_off": "off off_ stop", "toggle": "toggle", "open_cover": "open",
        "close_cover": "close", "lock": "lock", "unlock": "unlock", "start": "start clean", "media_play": "play",
        "media_pause": "pause", "set_temperature": "degrees temperature", "select_option": "set", "set_value": "set",
        "alarm_arm_away": "arm", "alarm_disarm": "disarm", "press": "press", "return_to_base": "dock",
    }.items()
}  # fmt: skip
_ON, _OFF = frozenset(("on", "on_", "turned_on")), frozenset(("off", "off_", "turned_off"))
_MOTION = frozenset(("motion", "on_motion", "no_motion", "detected", "somebody_in"))
_TELLS = frozenset("notify notification alert announce send reminder notifications warn message say tts".split())


class Remembered(NamedTuple):
    """A training request to look up: its words, and what its automation is made of; ``home`` tells homes apart."""

    text: str
    triggers: tuple[str, ...]
    services: tuple[str, ...]
    home: str

    @classmethod
    def of(cls, request: str, made_of: Structure, home: str) -> Remembered:
        """The request of a home, whose automation is made of this."""
        return cls(_compared(request), tuple(sorted(made_of.triggers)), tuple(sorted(made_of.services)), home)


class Guess(NamedTuple):
    """What a request may mean.

    Attributes:
        services: The services, the likeliest first, and how likely each is.
        triggers: Kinds of triggers in the same way.
        entities: Entities of the home in the same way.
    """

    services: list[tuple[str, float]]
    triggers: list[tuple[str, float]]
    entities: list[tuple[str, float]]

    @property
    def chosen(self) -> Structure:
        """The sets whose expected F1 is the highest."""
        return Structure(
            frozenset(name for name, _ in self.triggers[:1]),
            frozenset(best_set(self.services, MOST_SERVICES)[0]),
            frozenset(best_set(self.entities, MOST_ENTITIES)[0]),
        )

    @property
    def expected(self) -> tuple[float, float, float]:
        """The expected F1 of triggers, services and entities."""
        return (
            self.triggers[0][1] if self.triggers else 0.0,
            best_set(self.services, MOST_SERVICES)[1],
            best_set(self.entities, MOST_ENTITIES)[1],
        )


def best_set(ranked: Sequence[tuple[str, float]], most: int) -> tuple[list[str], float]:
    """The first of the ranked names whose expected F1 is the highest, and that F1; an approximation by the mean sum."""
    total, found, best = max(1.0, sum(p for _, p in ranked)), 0.0, (0, 0.0)
    for number, (_, probability) in enumerate(ranked[:most], 1):
        found += probability
        expected = 2 * found / (number + total)
        if expected > best[1]:
            best = (number, expected)
    return [name for name, _ in ranked[: best[0]]], best[1]


@dataclass(frozen=True)
class Logistic:
    """A logistic regression on standardized features.

    Attributes:
        mean: ``[features]``.
        weight: ``[features]``, of a feature less its mean.
        bias: Added to the sum.
    """

    mean: Array
    weight: Array
    bias: float

    @classmethod
    def fit(cls, features: Array, labels: Array) -> Logistic:
        """Fit on ``[rows, features]`` and labels ``[rows]``; a constant where all labels are equal."""
        mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
        scale = np.where(deviation > 1e-9, deviation, np.inf)  # a constant tells nothing
        if labels.min() == labels.max():
            rate = (labels.sum() + 0.5) / (len(labels) + 1)
            return cls(mean, np.zeros(len(mean)), math.log(rate / (1 - rate)))
        standardized = (features - mean.astype(features.dtype)) / scale.astype(features.dtype)
        fitted = LogisticRegression(C=INVERSE_PENALTY, max_iter=400).fit(standardized, labels)
        return cls(mean, fitted.coef_[0].astype(np.float64) / scale, float(fitted.intercept_[0]))

    def __call__(self, features: Array) -> Array:
        """Probabilities ``[rows]``."""
        score = np.clip((features - self.mean) @ self.weight + self.bias, -30, 30)
        return np.asarray(1 / (1 + np.exp(-score)), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """Plain numbers."""
        return {"mean": self.mean.tolist(), "weight": self.weight.tolist(), "bias": self.bias}

    @classmethod
    def from_json(cls, held: Mapping[str, Any], features: int) -> Logistic:
        """Of ``to_json``. Raises ValueError where it is none with so many features."""
        mean, weight = (np.asarray(held[name], dtype=np.float64) for name in ("mean", "weight"))
        bias = float(held["bias"])
        if mean.shape != (features,) or weight.shape != (features,) or not np.isfinite([*mean, *weight, bias]).all():
            raise ValueError(f"weights of {features} features are expected")
        return cls(mean, weight, bias)


class Asked(NamedTuple):
    """One request in one home, as the ranking sees it."""

    request: str
    home: HomeIndex
    tokens: frozenset[str]
    meanings: frozenset[str]

    @classmethod
    def of(cls, request: str, home: HomeIndex) -> Asked:
        """The request in the home."""
        return cls(request, home, frozenset(tokens_said(request)), meanings_in(request))


def _compared(request: str) -> str:
    """The words and the meanings of a request, by which it is compared with others."""
    request = request[:SEARCHED_CHARACTERS]
    return " ".join([*tokens_said(request), *(f"={meaning}" for meaning in sorted(meanings_in(request)))])


class StructureRanker:
    """Ranks what an automation may be made of. Without ``memory`` and weights there is none: see ``fit``."""

    def __init__(
        self, memory: Sequence[Remembered], priors: Mapping[str, float], entity: Logistic, service: Logistic,
        trigger: Logistic,
    ) -> None:  # fmt: skip
        self.memory, self._priors = list(memory), dict(priors)
        self._entity, self._service, self._trigger = entity, service, trigger
        self._services = sorted(self._priors)

    @cached_property
    def _lookup(self) -> tuple[TfidfVectorizer, Any]:
        vectorizer = TfidfVectorizer(token_pattern=r"\S+", ngram_range=(1, 2), sublinear_tf=True)
        return vectorizer, vectorizer.fit_transform([one.text or "-" for one in self.memory])

    @classmethod
    def fit(cls, rows: Sequence[tuple[Remembered, Asked, Structure]]) -> StructureRanker | None:
        """Learn from requests with the structure of their automations; None where no service is used in two homes.

        Neighbours are looked for in other homes only, as they will be for a new home.
        """
        rows = rows[-REMEMBERED:]
        memory = [one for one, _, _ in rows]
        sizes = Counter(one.home for one in memory)
        homes: dict[str, set[str]] = defaultdict(set)
        counts: Counter[str] = Counter()
        for one in memory:
            for service in one.services:
                homes[service].add(one.home)
                counts[service] += 1 / sizes[one.home]  # type: ignore[assignment]
        usual = {
            s: math.log(counts[s]) for s in counts if len(homes[s]) >= SERVICES_OF_HOMES and described(s) is not None
        }
        if not usual:
            return None
        blank = Logistic(np.zeros(1), np.zeros(1), 0.0)
        ranker = cls(memory, usual, blank, blank, blank)
        features, labels, count = [], [], 0
        for i in np.random.default_rng(0).permutation(len(rows)).tolist():
            _, asked, right = rows[i]
            ids, found = entity_features(asked)
            if ids:
                features.append(found)
                labels.append(np.array([one in right.entities for one in ids], dtype=np.float64))
            count += len(ids)
            if count >= FITTED:
                break
        if not labels:
            return None
        ranker._entity = Logistic.fit(np.concatenate(features), np.concatenate(labels))
        votes = ranker._votes([one.text for one in memory], [one.home for one in memory])
        of_services, of_triggers = [], []
        for (_, asked, right), vote in zip(rows, votes, strict=True):
            entities = ranker._entities(asked)
            of_services.append(
                (ranker._service_features(asked, vote, entities), [s in right.services for s in ranker._services])
            )
            of_triggers.append((_trigger_features(asked, vote, entities), [k in right.triggers for k in _KINDS]))
        ranker._service = _fitted(of_services)
        ranker._trigger = _fitted(of_triggers)
        return ranker

    def guess(self, asked: Asked) -> Guess:
        """What the request may mean."""
        (vote,) = self._votes([_compared(asked.request)], [None])
        entities = self._entities(asked)
        services = self._service(self._service_features(asked, vote, entities))
        triggers = self._trigger(_trigger_features(asked, vote, entities))
        domains = {domain_of(one) for one in asked.home.known.entities}
        return Guess(
            _ranked((s, p) for s, p in zip(self._services, services.tolist(), strict=True) if _has(domains, s)),
            _ranked(zip(_KINDS, triggers.tolist(), strict=True)),
            entities,
        )

    def _entities(self, asked: Asked) -> list[tuple[str, float]]:
        ids, features = entity_features(asked)
        return _ranked(zip(ids, self._entity(features).tolist(), strict=True)) if ids else []

    def _votes(self, texts: Sequence[str], homes: Sequence[str | None]) -> list[_Votes]:
        """What the nearest requests of other homes have."""
        vectorizer, vectors = self._lookup
        of = np.array([one.home for one in self.memory])
        found = []
        for start in range(0, len(texts), COMPARED):
            some = vectorizer.transform(list(texts[start : start + COMPARED]))
            near = np.asarray((some @ vectors.T).todense())
            for row, home in zip(near, homes[start : start + COMPARED], strict=True):
                similar = np.where(of == home, 0.0, row) if home is not None else row
                nearest = np.argsort(-similar, kind="stable")[:NEIGHBOURS]
                found.append(_Votes.of([(similar[i], self.memory[i]) for i in nearest]))
        return found

    def _service_features(self, asked: Asked, vote: _Votes, entities: Sequence[tuple[str, float]]) -> Array:
        best: dict[str, float] = {}
        for entity_id, p in entities:
            best.setdefault(domain_of(entity_id), p)
        acting = max((p for d, p in best.items() if d not in READ_ONLY_DOMAINS), default=0.0)
        domains = {domain_of(one) for one in asked.home.known.entities}
        on, off = not _ON.isdisjoint(asked.meanings), not _OFF.isdisjoint(asked.meanings)
        tells = not _TELLS.isdisjoint(asked.tokens)
        rows = []
        for service in self._services:
            domain, _, verb = service.partition(".")
            by = _ASKED_BY.get(verb, frozenset())
            asks, p = not by.isdisjoint(asked.meanings), best.get(domain, 0.0)
            turns_on, turns_off, any_domain = verb == "turn_on", verb == "turn_off", domain == "homeassistant"
            thing = any(domain in THING_DOMAINS.get(token, ()) for token in asked.tokens)
            lead = p - acting
            rows.append(
                [
                    self._priors[service], vote.service(service), vote.nearest[service], vote.verb(verb),
                    vote.domain(domain), vote.total, _has(domains, service), p, lead, lead > -1e-9 and p > 0,
                    asks, bool(by), asks * p, asks * (lead > -1e-9), on and turns_on, off and turns_off,
                    on and turns_off, off and turns_on, (on and turns_on) * p, (off and turns_off) * p, thing,
                    thing * asks, thing * p, turns_on, turns_off, any_domain, any_domain * (on or off), tells,
                    tells * p, tells and domain in ("notify", "persistent_notification"),
                    vote.service(service) * p, vote.verb(verb) * p, vote.verb(verb) * (lead > -1e-9),
                    len(asked.tokens & set(service.replace(".", "_").split("_"))), domain == "scene",
                    domain == "scene" and "scene" in asked.tokens, (not by) * p, (not asks and bool(by)) * p,
                ]
            )  # fmt: skip
        return np.array(rows, dtype=np.float64)

    # In a file

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values, for a file."""
        return {
            "memory": [list(one) for one in self.memory],
            "priors": self._priors,
            **{name: getattr(self, f"_{name}").to_json() for name in ("entity", "service", "trigger")},
        }

    @classmethod
    def from_json(cls, held: Mapping[str, Any]) -> StructureRanker:
        """Of ``to_json``. Raises ValueError, TypeError or KeyError where it is none."""
        memory = [
            Remembered(str(text), tuple(map(str, t)), tuple(map(str, s)), str(home))
            for text, t, s, home in held["memory"]
        ]
        priors = {str(name): float(value) for name, value in held["priors"].items()}
        asked = Asked.of("hall", HomeIndex.of(["light.hall"]))
        sizes = {"entity": entity_features(asked)[1].shape[1]}
        probe = cls(memory, priors, *[Logistic(np.zeros(1), np.zeros(1), 0.0)] * 3)
        vote = _Votes.of([])
        sizes["service"] = probe._service_features(asked, vote, []).shape[1]
        sizes["trigger"] = _trigger_features(asked, vote, []).shape[1]
        return cls(memory, priors, *(Logistic.from_json(held[name], size) for name, size in sizes.items()))


def _ranked(scored: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return sorted(scored, key=lambda one: (-one[1], one[0]))


def _has(domains: set[str], service: str) -> bool:
    """Whether a home with entities of these domains has the service."""
    found, domain = described(service), domain_of(service)
    if found is None:
        return False
    if found.target is None:
        return domain in domains or domain in ("persistent_notification", "homeassistant", "logbook", "frontend")
    return not found.target or not domains.isdisjoint(found.target)


def _fitted(rows: Sequence[tuple[Array, Sequence[bool]]]) -> Logistic:
    features = np.concatenate([found for found, _ in rows])
    return Logistic.fit(features, np.array([label for _, labels in rows for label in labels], dtype=np.float64))


@dataclass(frozen=True)
class _Votes:
    """What the nearest requests have, each counted by the square of its cosine."""

    counts: Mapping[str, float]
    nearest: Mapping[str, float]
    total: float

    @classmethod
    def of(cls, near: Iterable[tuple[float, Remembered]]) -> _Votes:
        counts: dict[str, float] = defaultdict(float)
        nearest: dict[str, float] = defaultdict(float)
        total = 0.0
        for cosine, one in near:
            if cosine <= 0:
                continue
            weight = float(cosine) ** 2
            total += weight
            for name in one.services:
                domain, _, verb = name.partition(".")
                for key in (f"s {name}", f"d {domain}", f"v {verb}"):
                    counts[key] += weight
                nearest[name] = max(nearest[name], float(cosine))
            for kind in one.triggers:
                counts[f"t {kind}"] += weight
        return cls(counts, nearest, total)

    def _share(self, key: str) -> float:
        return self.counts.get(key, 0.0) / self.total if self.total else 0.0

    def service(self, name: str) -> float:
        return self._share(f"s {name}")

    def domain(self, name: str) -> float:
        return self._share(f"d {name}")

    def verb(self, name: str) -> float:
        return self._share(f"v {name}")

    def trigger(self, name: str) -> float:
        return self._share(f"t {name}")


def entity_features(asked: Asked) -> tuple[list[str], Any]:
    """The entities that the request may mean, and the evidence for each: float32 ``[entities, features]``."""
    home, table = asked.home, asked.home.table
    near = home.nearest(asked.request)
    if not near:
        return [], np.zeros((0, 0), dtype=np.float32)
    mentioned = {one for mention in home.mentions(asked.request) for one in mention.entity_ids}
    said = sum(table.weight(token) for token in asked.tokens) or 1.0
    places = places_of(asked.tokens)
    switched = not (_ON | _OFF).isdisjoint(asked.meanings)
    moving = not _MOTION.isdisjoint(asked.meanings)
    best: dict[str, float] = {}
    ranks: Counter[str] = Counter()
    ids, rows, kinds = [], [], []
    for number, (entity_id, cosine) in enumerate(near):
        domain = domain_of(entity_id)
        best.setdefault(domain, cosine)
        entity = home.entity(entity_id)
        shared = entity.all_tokens & asked.tokens if entity else frozenset()
        ranks[domain] += 1
        if entity is None or (number >= CANDIDATES and not shared):
            continue
        weight = sum(table.weight(token) for token in shared)
        of_name, of_request = weight / table.weight_of(entity_id), weight / said
        where = places_of(entity.all_tokens)
        numbers = {t for t in entity.all_tokens if t.isdigit()}
        ids.append(entity_id)
        kinds.append(_DOMAINS.index(domain) if domain in _DOMAINS else len(_DOMAINS))
        of_class = entity.device_class in asked.tokens or (moving and entity.device_class in ("motion", "occupancy"))
        rows.append(
            [
                cosine, cosine - near[0][1], cosine - best[domain], math.log1p(number), math.log(ranks[domain]),
                of_name, of_request, len(shared), len(entity.all_tokens) - len(shared), entity_id in mentioned,
                domain in READ_ONLY_DOMAINS, bool(where & places), bool(where and places and not where & places),
                any(domain in THING_DOMAINS.get(token, ()) for token in asked.tokens), of_class, math.log(len(near)),
                len(asked.tokens), bool(numbers - asked.tokens), switched, moving, entity.configures,
            ]
        )  # fmt: skip
    return ids, _crossed(np.array(rows, dtype=np.float32), np.eye(len(_DOMAINS) + 1, dtype=np.float32)[kinds])


def _crossed(plain: Any, domain: Any) -> Any:
    """The features, squares and products of those that go together, and the domain with some of them."""
    pairs = ((0, 5), (0, 6), (5, 6), (2, 5), (1, 6), (3, 5), (4, 5), (7, 8))
    products = [plain[:, :9] ** 2, *(plain[:, [one]] * plain[:, [other]] for one, other in pairs)]
    with_domain = [domain * plain[:, [column]] for column in (5, 6, 0, 18, 19)]
    return np.concatenate([plain, *products, domain, *with_domain], axis=1)


_TRIGGER_WORDS = (
    "sunset sunrise clock evening morning noon midnight above below motion on_motion detected opened left arrived when "
    "minute hour for turned_on turned_off pressed every dark nobody_home somebody_home".split()
)


def _trigger_features(asked: Asked, vote: _Votes, entities: Sequence[tuple[str, float]]) -> Array:
    """The evidence for each kind of trigger ``[kinds, features]``."""
    reads = max((p for one, p in entities if domain_of(one) in READ_ONLY_DOMAINS), default=0.0)
    of_event = max((p for one, p in entities if domain_of(one) == "event"), default=0.0)
    of_sensor = max((p for one, p in entities if domain_of(one) == "sensor"), default=0.0)
    clock = any(character.isdigit() for character in asked.request) and (":" in asked.request)
    shared = [
        1.0, reads, of_event, of_sensor, clock, any(t.isdigit() for t in asked.tokens),
        *(word in asked.meanings for word in _TRIGGER_WORDS),
        not asked.tokens.isdisjoint(("daily", "day", "time", "schedule", "weekly", "morning", "evening", "night")),
        not asked.tokens.isdisjoint(("start", "startup", "boot", "restart")),
        not asked.tokens.isdisjoint(("button", "remote", "click", "cube", "event", "press", "tap")),
    ]  # fmt: skip
    common = np.array(shared, dtype=np.float64)
    kinds = np.eye(len(_KINDS))
    votes = np.array([[vote.trigger(kind), vote.trigger(kind) ** 2] for kind in _KINDS])
    return np.concatenate([votes, *(kinds * value for value in common)], axis=1)
