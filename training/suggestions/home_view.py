"""What suggestions look up in a home and in the model: families, places, and reasons in words."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

from data_sources import Entity, Home
from data_sources.records import ObservedPair, shorten_path
from home_assistant.domains import SENSOR_DOMAINS
from home_assistant.household_words import canonical_word, in_different_places, places_of, words_of
from home_assistant.services import REQUIRED_FEATURES
from training.suggestions.abilities import able_alike
from training.suggestions.actions import NoRecipeError, spoken, with_article
from training.suggestions.habits import write_habit
from training.suggestions.recipes import Recipe, name_of, one_line, write_automation
from training.synergy.feedback import directed_pairs
from training.synergy.graph import HomeGraph

if TYPE_CHECKING:
    from training.synergy.model import SynergyModel


ALIKE = 0.5  # likeness of two entities of one family or one device; that of an entity with itself is 1
GENERIC = frozenset("all ceiling home lamp light lights main room sensor smart state status switch".split())
METERED = frozenset("amps consumption current electric electricity energy kwh power usage voltage watt watts".split())
REGULATING = frozenset(("climate", "humidifier", "water_heater"))
# Domains whose states mean the same whatever an entity is called.
SELF_EXPLAINING = frozenset("cover device_tracker lock media_player person".split())
GUARDED = "condition_action"  # type of a pair of which the first is only in a condition
WHOLE_HOUSE = frozenset(("alarm_control_panel", "notify", "siren"))  # they act for all of it, wherever they are
STOREYS = frozenset("basement downstairs upstairs".split())
STOREY = re.compile(r"(first|second|third|fourth|fifth|ground) (?:floor|storey|story)")
TIMES_AVERAGE = 1.5  # how often a pairing is seen against the average pair to count as common
RARE = 0.25  # two entities are not joined by a word or label that a larger share of the home's entities has
REASONS = 3
LABEL_SHOWN = 40  # characters of a label

_NUMBER_AT_END = re.compile(r"(?:_?\d+)+$")


# -- What is known of a home and a pair --------------------------------------------------------------------------------


class HomeView:
    """A home and the model's tables, ready for look-ups of its pairs.

    Args:
        home: The home.
        graph: Its graph, with the pairs that are automated.
        model: What the reasons are read off.
    """

    def __init__(self, home: Home, graph: HomeGraph, model: SynergyModel) -> None:
        self.entities = {entity.entity_id: entity for entity in home.entities}
        self.known = {(graph.entity_ids[t], graph.entity_ids[a]) for t, a in graph.pairs.tolist()}
        self.automated = through_mirrors(self.known, self.entities) | set(_by_themselves(home))
        self.turned_off = through_mirrors(set(home.turned_off), self.entities) | set(home.turned_off)
        self.installed = through_mirrors(set(home.installed), self.entities) | set(home.installed)
        self.triggers_of: dict[str, list[str]] = defaultdict(list)
        self.actions_of: dict[str, list[str]] = defaultdict(list)
        for t, a in sorted(self.known):
            self.triggers_of[a].append(t)
            self.actions_of[t].append(a)
        started = {pair for s in home.synergies if s.synergy_type != GUARDED for pair in directed_pairs([s])}
        self.guarding = self.known - started
        self._tells = any(entity.supported_features is not None for entity in home.entities)
        self.observed: dict[tuple[str, str], list[ObservedPair]] = defaultdict(list)
        there = [seen for seen in home.observed if {seen.trigger, seen.action} <= self.entities.keys()]
        for seen in sorted(there, key=lambda seen: -seen.count):
            self.observed[seen.trigger, seen.action].append(seen)
        self.classes = dict(zip(graph.entity_ids, graph.classes, strict=True))
        self.words = _rare_words(graph)
        self.tokens = {
            entity_id: frozenset(own + name)
            for entity_id, own, name in zip(graph.entity_ids, graph.id_tokens, graph.name_tokens, strict=True)
        }
        self._family = {entity_id: family_of(entity_id) for entity_id in self.entities}
        self._speech = [entity_id for entity_id in self.entities if entity_id.startswith("tts.")]
        self.area_names = {area.area_id: one_line(area.name or "") for area in home.areas}
        self.labels = Counter(label for entity in home.entities for label in {*entity.labels})
        self.floors = {area.area_id: area.floor_id for area in home.areas if area.floor_id}
        self.log_odds = model.log_odds
        self.domain_index, self.class_index = model.vocabulary.index("domains"), model.vocabulary.index("classes")
        self.word_index = model.vocabulary.index("words")

    def family(self, entity_id: str) -> str:
        """The id without the number at its end: ``light.spot`` for ``light.spot_1`` and ``light.spot_2``."""
        return self._family[entity_id]

    def head(self, entity_id: str) -> str:
        """The group of an entity's family, as ``light.spot`` beside ``light.spot_1``; without one the entity itself.

        Home Assistant numbers entities of one name from 2, so ``light.spot`` is no group beside ``light.spot_2``.
        """
        family = self.family(entity_id)
        group = family in self.entities and any(f"{family}{first}" in self.entities for first in ("_1", "1"))
        return family if group else entity_id

    def alike(self, one: str, other: str) -> float:
        """1 for the same entity, ``ALIKE`` for one family or device, else 0."""
        if one == other:
            return 1.0
        device = self.entities[one].device_id
        same = self.family(one) == self.family(other) or (device and device == self.entities[other].device_id)
        return ALIKE if same else 0.0

    def kinds(self, trigger: str, action: str) -> tuple[str, str]:
        """The classes of a pair's trigger and action."""
        return self.classes[trigger], self.classes[action]

    def act_together(self, trigger: str, one: str, other: str) -> bool:
        """Whether two of a family support the same, and are in one area or, without areas, all names share a word."""
        if not able_alike(self.entities[one], self.entities[other]):
            return False
        areas = self.entities[one].area_id, self.entities[other].area_id
        if areas != (None, None):
            return areas[0] == areas[1]
        return bool(self.words[trigger] & self.words[one] & self.words[other])

    def relation(self, trigger: str, action: str) -> tuple[object, ...] | None:
        """How a trigger is related to an action. Triggers of one relation may start the same together.

        It is whether both are in one area, and the words that both names have. So a kitchen window has another relation
        to the kitchen blind than a bedroom window has. Where an alarm panel hangs does not count. None where only the
        trigger's name says what it means, as that of a switch.
        """
        t, a = self.entities[trigger], self.entities[action]
        if t.domain not in SELF_EXPLAINING and not (t.domain in SENSOR_DOMAINS and self._device_class(trigger)):
            return None
        if a.domain in WHOLE_HOUSE:
            return ()
        same_area = t.area_id is not None and t.area_id == a.area_id
        return same_area, self.tokens[trigger] & self.tokens[action]

    def recipe(self, trigger: str, actions: Sequence[str]) -> Recipe:
        """The automation of a pair, whose action may be several entities of one family. Raises NoRecipeError."""
        device = self.entities[trigger].device_id
        of_device = device is not None and device == self.entities[actions[0]].device_id
        if of_device and trigger.startswith("sensor.") and self.entities[actions[0]].domain in REGULATING:
            raise NoRecipeError("a device minds its own sensor by itself")
        if self._own_meter(trigger, actions[0]):
            raise NoRecipeError("a meter only follows what it measures")
        if self._elsewhere(trigger, actions[0]) and not any(self._by_known(trigger, actions[0])):
            raise NoRecipeError("two of a kind in different rooms or on different floors")
        made = write_automation(
            self.entities[trigger],
            self._device_class(trigger),
            [self.entities[action] for action in actions],
            self._device_class(actions[0]),
            self._speech,
        )
        return self._with_doubts(made, actions)

    def _with_doubts(self, made: Recipe, actions: Sequence[str]) -> Recipe:
        """The recipe, with a note where the home tells what others support and nothing of those that act."""
        service = made.automation["actions"][0]["action"]
        untold = [action for action in actions if self.entities[action].supported_features is None]
        if not (self._tells and untold and service in REQUIRED_FEATURES):
            return made
        note = f"nothing says whether {' and '.join(untold)} can do {service}"
        return replace(made, adjust=(*made.adjust, note))

    def habit(self, trigger: str, action: str) -> tuple[Recipe, tuple[str, ...]] | None:
        """The automation of what a person was seen to do most often with a pair, and the entities that act in it.

        Those act that were seen to be brought into the same state after the same trigger, and are of one family. None
        where nothing was seen, or nothing that may happen by itself.
        """
        for seen in self.observed.get((trigger, action), ()):
            alike = [
                other
                for (begun, other), all_seen in self.observed.items()
                if begun == trigger and other != action and self.family(other) == self.family(action)
                if any((one.state, one.result) == (seen.state, seen.result) for one in all_seen)
                if able_alike(self.entities[action], self.entities[other])
            ]
            ends = [self.entities[entity_id] for entity_id in (action, *alike)]
            classes = self._device_class(trigger), self._device_class(action)
            try:
                made = write_habit(seen, self.entities[trigger], classes[0], ends, classes[1])
                return self._with_doubts(made, (action, *alike)), (action, *alike)
            except NoRecipeError:
                continue
        return None

    def _own_meter(self, trigger: str, action: str) -> bool:
        """Whether the trigger meters the action: ``sensor.kettle_power`` is ``switch.kettle`` and what it measures."""
        metered, switched = self.tokens[trigger], self.tokens[action]
        return trigger.startswith("sensor.") and bool(metered & switched) and METERED >= metered - switched != set()

    def _elsewhere(self, trigger: str, action: str) -> bool:
        """Whether both are of one domain and their names tell different places, as two lights in two rooms."""
        if self.entities[trigger].domain != self.entities[action].domain:
            return False
        places = (places_of(self.tokens[entity_id]) for entity_id in (trigger, action))
        return bool(in_different_places(*places)) or self._on_different_floors(trigger, action)

    def _on_different_floors(self, trigger: str, action: str) -> bool:
        """Whether their areas are, or, where the floor of one is not known, whether their names say so."""
        both = [self.entities[entity_id] for entity_id in (trigger, action)]
        floors = [self.floors.get(entity.area_id or "") for entity in both]
        if all(floors):
            return floors[0] != floors[1]
        storeys = [_storeys(words_of(_spelt(entity))) for entity in both]
        return all(storeys) and storeys[0].isdisjoint(storeys[1])

    def _device_class(self, entity_id: str) -> str:
        domain, _, device_class = self.classes[entity_id].partition(":")
        guessed = domain in ("binary_sensor", "cover", "sensor")  # what a light's name says is not what it measures
        return self.entities[entity_id].device_class or (device_class if guessed else "")

    def reasons(self, trigger: str, action: str) -> tuple[str, ...]:
        """Why a pair was suggested, at most ``REASONS``: known automations, then place, names, other homes."""
        t, a = self.entities[trigger], self.entities[action]
        found = [*self._by_known(trigger, action)]
        if t.device_id is not None and t.device_id == a.device_id:
            found.append("both belong to one device")
        if t.area_id is not None and t.area_id == a.area_id:
            found.append(f"same room ({self.area_names.get(t.area_id) or one_line(t.area_id)})")
        found += self._by_labels(t, a)
        found += self._by_names(t, a)
        found += self._by_other_homes(trigger, action)
        return tuple(found[:REASONS])

    def _by_labels(self, t: Entity, a: Entity) -> Iterable[str]:
        """The rarest label that both have; none that is common in the home."""
        shared = {label for label in {*t.labels} & {*a.labels} if self.labels[label] <= _limit(len(self.entities))}
        for label in sorted(shared, key=lambda label: (self.labels[label], label)):
            if shown := one_line(label):
                yield f'both have the label "{shorten_path(shown, LABEL_SHOWN)}"'
                return

    def _by_names(self, t: Entity, a: Entity) -> Iterable[str]:
        """The words that two names share; none where they only tell the common area or the kinds of entities."""
        shared = self.words[t.entity_id] & self.words[a.entity_id]
        expected = {*_parts(self.classes[t.entity_id]), *_parts(self.classes[a.entity_id]), *GENERIC}
        if t.area_id is not None and t.area_id == a.area_id:
            expected.update(words_of(f"{t.area_id} {self.area_names.get(t.area_id) or ''}"))
        if not shared - {canonical_word(word) for word in expected}:
            return
        of_trigger, of_action = (words_of(_spelt(entity)) for entity in (t, a))
        own = [word for word in dict.fromkeys(of_trigger) if canonical_word(word) in shared]
        if both := [word for word in own if word in of_action]:
            yield f"both names have {_quoted(both)}"
            return
        meant = {canonical_word(word): word for word in reversed(of_action)}
        pairs = ((word, meant[canonical_word(word)]) for word in own if canonical_word(word) in meant)
        if one := next(pairs, None):
            yield f'"{one[0]}" in one name is "{one[1]}" in the other'

    def _by_known(self, trigger: str, action: str) -> Iterable[str]:
        similar = [t for t in self.triggers_of[action] if t != trigger and self._similar(t, trigger)]
        if similar:
            near = max(similar, key=lambda t: self._nearness(t, trigger))
            does = "is a condition of what controls it" if (near, action) in self.guarding else "already controls it"
            yield f"{self._named(near)}, also {with_article(self._kind(near))}, {does}"
        driven = [a for a in self.actions_of[trigger] if self._kind(a) == self._kind(action)]
        if driven:
            near = max(driven, key=lambda a: self._nearness(a, action))
            does = "is a condition of what controls" if (trigger, near) in self.guarding else "already controls"
            yield f"this trigger {does} another {self._kind(near)}, {self._named(near)}"

    def _similar(self, one: str, other: str) -> bool:
        """Whether two entities are of one class; sensors of an unknown class must also share a word."""
        if self._kind(one) == "sensor" and not self.words[one] & self.words[other]:
            return False
        return self.classes[one] == self.classes[other]

    def _nearness(self, one: str, other: str) -> tuple[bool, int]:
        area = self.entities[one].area_id
        return (area is not None and area == self.entities[other].area_id, len(self.words[one] & self.words[other]))

    def _by_other_homes(self, trigger: str, action: str) -> Iterable[str]:
        """Reasons from the model's log-odds. Each table is relative to the next coarser one, so their sum is meant."""
        odds = self.log_odds
        t, a = (self.domain_index.get(self.entities[i].domain, 0) for i in (trigger, action))
        if not (t and a):
            return
        common = float(odds.action_domain[a]) + float(odds.domain_pair[t, a])
        kinds = (with_article(self.entities[i].domain) for i in (trigger, action))
        classes = tuple(self.class_index.get(self.classes[i], 0) for i in (trigger, action))
        if all(classes):
            common += float(odds.class_pair[classes])
            kinds = (with_article(self._kind(i)) for i in (trigger, action))
        driver, driven = kinds
        if common >= math.log(TIMES_AVERAGE):
            often = f"{_times(common)} times the average pair"
            yield f"common in the homes it learnt from: {driver} controls {driven} ({often})"
        words = ((word, w) for word, w in self._known_words(trigger) if word not in driver + driven)
        best, word = max(((float(odds.trigger_word[w, a]), word) for word, w in words), default=(0.0, ""))
        if best >= math.log(TIMES_AVERAGE):
            spelt = next((own for own in words_of(_spelt(self.entities[trigger])) if canonical_word(own) == word), word)
            called = f'"{spelt}"' if spelt == word else f'"{spelt}" or the like'
            often = f"{_times(best)} times the average"
            yield f"in the homes it learnt from, something called {called} controls {driven} ({often})"

    def _known_words(self, entity_id: str) -> Iterable[tuple[str, int]]:
        return ((word, self.word_index[word]) for word in sorted(self.words[entity_id]) if word in self.word_index)

    def _kind(self, entity_id: str) -> str:
        """``motion sensor``, ``temperature sensor``, ``light``: what a person would call it."""
        domain, device_class = self.entities[entity_id].domain, self._device_class(entity_id)
        if domain in ("binary_sensor", "sensor"):
            return f"{device_class.replace('_', ' ')} sensor".strip()
        return spoken(domain)

    def _named(self, entity_id: str) -> str:
        return name_of(self.entities[entity_id])


def automated_pairs(home: Home) -> set[tuple[str, str]]:
    """The pairs that a home automates, also by way of groups and templates; pairs that rules generated are none."""
    known = set(directed_pairs(home.synergies)) if not home.generated else set()
    return known | through_mirrors(known, {entity.entity_id: entity for entity in home.entities})


def through_mirrors(known: set[tuple[str, str]], entities: Mapping[str, Entity]) -> set[tuple[str, str]]:
    """The pairs that are automated by way of a group, or of a template that repeats an entity."""
    shown = {entity_id: (entity_id, *entity.mirrors) for entity_id, entity in entities.items() if entity.mirrors}
    through = (pair for pair in known if not shown.keys().isdisjoint(pair))
    return {pair for t, a in through for pair in product(shown.get(t, (t,)), shown.get(a, (a,)))}


def _by_themselves(home: Home) -> Iterable[tuple[str, str]]:
    """The pairs of an automation's own entity with what starts it, and with what it does."""
    for synergy in home.synergies:
        if synergy.automation_id is not None and synergy.automation_id.startswith("automation."):
            for entity_id in (synergy.trigger, synergy.action):
                yield entity_id, synergy.automation_id
                yield synergy.automation_id, entity_id


def family_of(entity_id: str) -> str:
    """The id without the number at its end."""
    domain, _, name = entity_id.partition(".")
    return f"{domain}.{_NUMBER_AT_END.sub('', name) or name}"


def _spelt(entity: Entity) -> str:
    return f"{entity.entity_id.partition('.')[2]} {entity.name or ''}"


def _rare_words(graph: HomeGraph) -> dict[str, set[str]]:
    """The words of each entity's name that are rare in the home."""
    of = {
        entity_id: {graph.words[w] for w in row if w < len(graph.words)}
        for entity_id, row in zip(graph.entity_ids, graph.rare_words.tolist(), strict=True)
    }
    frequency = Counter(word for words in of.values() for word in words)
    limit = _limit(graph.size)
    return {entity_id: {w for w in words if frequency[w] <= limit} for entity_id, words in of.items()}


def _limit(entities: int) -> float:
    """How many of a home's entities have a word or a label that is rare there: 4, or a share of ``RARE``."""
    return max(4, RARE * entities)


def _storeys(words: Sequence[str]) -> set[str]:
    """The floors of a house that a name tells, such as ``upstairs`` and ``second`` for ``second floor``."""
    return {*STOREYS.intersection(words), *STOREY.findall(" ".join(words))}


def _parts(entity_class: str) -> list[str]:
    return entity_class.replace(":", "_").split("_")


def _quoted(words: Sequence[str]) -> str:
    *others, last = (f'"{word}"' for word in words)
    return f"{', '.join(others)} and {last}" if others else last


def _times(log_odds: float) -> str:
    times = math.exp(log_odds)
    return f"{times:.0f}" if times >= 10 else f"{times:.1f}"
