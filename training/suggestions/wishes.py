"""What a person wants of the suggestions for a home: where they act, what they are about, and what was answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from data_sources import Entity, Home
from data_sources.counting import many
from data_sources.nearest import all_near
from home_assistant.domains import DOMAINS
from home_assistant.household_words import words_of
from training.runs.errors import TrainingError
from training.suggestions.config import SuggestOptions
from training.suggestions.home_view import HomeView, family_of
from training.synergy.feedback import ACCEPTED, RECOGNIZED, Feedback, Pair, Suggested, by_answer
from training.synergy.graph import HomeGraph, Offered
from training.synergy.name_encoders import ENCODERS, WORDS, Array

NEAR_NAMES = 3  # that an error lists for a name which nobody knows
OF_PAIR, OF_REASONS = 2 / 3, 1 / 3  # what the pair and its reasons count in how near a suggestion is to a topic
# Words of a topic that tell nothing of it.
FILLERS = frozenset("a all an and are at be by for from if in is it its me my no not of on only or the to when".split())

DISMISSED = "dismissed before, or part of one that was"
TAKEN = "accepted before"
INSTALLED = "put in by --install before, or the reverse of one that was"


class Described(Protocol):
    """What a topic is compared with; a candidate of the ranking."""

    @property
    def trigger(self) -> str:
        """Entity id."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Entity ids."""

    @property
    def recipe(self) -> Any:
        """Its automation."""

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is suggested."""


@dataclass(frozen=True)
class Wishes:
    """What a person wants of the suggestions for one home. The default wants nothing.

    Attributes:
        excluded: Entities that are in no suggestion.
        areas: Areas that each suggestion acts in, its trigger being there or in no area; None for all.
        fresh: Entities of which each suggestion has one; None for all.
        about: A topic in plain words; what is near it comes first.
        dismissed: The suggestions that a person refused.
        spared: The pairs that a person saw together with refused ones of one suggestion, and did not refuse.
        accepted: The pairs that a person took. One that was found in the home is left out as known, as long as it is.
        keeps_accepted: Whether accepted pairs are suggested, before all others, instead of being left out.
        notes: What a person should know of these wishes.
    """

    excluded: frozenset[str] = frozenset()
    areas: frozenset[str] | None = None
    fresh: frozenset[str] | None = None
    about: str = ""
    dismissed: tuple[Suggested, ...] = ()
    spared: frozenset[Pair] = frozenset()
    accepted: frozenset[Pair] = frozenset()
    keeps_accepted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def order(self) -> str:
        """What the order follows beside the model, in words; "" where nothing."""
        parts = ["what was accepted comes first"] if self.keeps_accepted and self.accepted else []
        parts += ["what is near the topic of --about comes earlier"] if self.about else []
        parts += ["what is like a dismissed suggestion comes later"] if self.dismissed else []
        return f". Here {', and '.join(parts)}" if parts else ""

    @property
    def filter(self) -> bool:
        """Whether not all pairs may be suggested."""
        return bool(self.excluded) or self.areas is not None or self.fresh is not None

    def offered(self, home: Home, graph: HomeGraph) -> Offered | None:
        """Which pairs of a home may be suggested; None for all."""
        if not self.filter:
            return None
        wanted = [entity.entity_id not in self.excluded for entity in home.entities]
        here = [self._is_here(entity) for entity in home.entities]
        anywhere = [own or (entity.area_id is None) for own, entity in zip(here, home.entities, strict=True)]
        fresh = [self.fresh is None or entity.entity_id in self.fresh for entity in home.entities]
        assert graph.entity_ids == tuple(entity.entity_id for entity in home.entities)
        return Offered(
            triggers=np.array(wanted, dtype=bool) & np.array(anywhere, dtype=bool),
            actions=np.array(wanted, dtype=bool) & np.array(here, dtype=bool),
            either=np.array(fresh, dtype=bool),
        )

    def _is_here(self, entity: Entity) -> bool:
        return self.areas is None or entity.area_id in self.areas

    def forbid(self, acting: Sequence[str], automation: Mapping[str, Any], view: HomeView) -> str | None:
        """Why an automation is not wanted: what it names beside the pair, as in a condition. None where it is."""
        if any(text in self.excluded for text in _texts(automation)):
            return "needs an entity that --exclude names"
        if not all(self._is_here(view.entities[entity_id]) for entity_id in acting):
            return "acts outside of --area too"
        return None

    def refusals(self, view: HomeView) -> Refusals:
        """What was answered before, ready to be looked up for the pairs of a home."""
        return Refusals(self, view)

    def nearness(self, candidates: Sequence[Described], view: HomeView) -> list[float]:
        """How near each suggestion is to the topic, -1 to 1: cosines of sentence vectors, weighed by ``OF_PAIR``."""
        if not self.about or not candidates:
            return [0.0] * len(candidates)
        topic = _vectors([self.about])[0]
        pairs = _vectors([self._told(candidate, view) for candidate in candidates])
        reasons = _vectors([" ".join(candidate.reasons) for candidate in candidates])
        found: list[float] = (OF_PAIR * (pairs @ topic) + OF_REASONS * (reasons @ topic)).tolist()
        return found

    @staticmethod
    def _told(candidate: Described, view: HomeView) -> str:
        kinds = " ".join(view.kinds(candidate.trigger, candidate.actions[0]))
        return f"{candidate.recipe.automation['alias']} {kinds.replace(':', ' ').replace('_', ' ')}"


class Refusals:
    """Which pairs of a home were answered before.

    Args:
        wishes: What was answered.
        view: The home.
    """

    def __init__(self, wishes: Wishes, view: HomeView) -> None:
        self._view = view
        self._spared = wishes.spared
        self._accepted = frozenset() if wishes.keeps_accepted else wishes.accepted
        self._refused: dict[Pair, list[str]] = defaultdict(list)
        self._reversed: set[Pair] = set()
        for one in wishes.dismissed:
            for trigger, action in one.pairs:
                self._refused[family_of(trigger), family_of(action)].append(trigger)
                self._reversed.add((action, trigger))

    def of(self, trigger: str, action: str) -> str | None:
        """Why a pair is left out, or None.

        A dismissed suggestion stands for the whole family of its action, as one suggestion does; for its trigger's
        family where that is in the same place; and for its reverse. So does an installed one for its group and its
        reverse.
        """
        installed = self._view.installed
        if not installed.isdisjoint(((trigger, action), (action, trigger), (trigger, self._view.head(action)))):
            return INSTALLED
        if (trigger, action) in self._accepted:
            return TAKEN
        if (trigger, action) in self._reversed:
            return DISMISSED
        if (trigger, action) in self._spared:
            return None
        refused = self._refused.get((family_of(trigger), family_of(action)), ())
        return DISMISSED if any(self._is_one(trigger, action, one) for one in refused) else None

    def _is_one(self, trigger: str, action: str, refused: str) -> bool:
        there = refused in self._view.entities
        return trigger == refused or (there and self._view.act_together(action, trigger, refused))


class Filters:
    """The filters of one run, made wishes home by home; a name that no home knows is an error in the end.

    Args:
        options: The options of the run.

    Raises:
        TrainingError: No word of the topic is known.
    """

    def __init__(self, options: SuggestOptions) -> None:
        self._options = options
        self._names: set[str] = set(DOMAINS)
        self._areas: set[str] = set()
        self._found: set[tuple[str, str]] = set()
        self._about, self._about_notes = _topic(options.about)

    def wishes(self, home: Home, feedback: Feedback) -> Wishes:
        """What is wanted of one home, of which ``feedback`` says what was shown and answered before."""
        options = self._options
        names = {area.area_id: (area.name or "") for area in home.areas}
        names |= {e.area_id: names.get(e.area_id, "") for e in home.entities if e.area_id is not None}
        self._areas.update(names, filter(None, names.values()))
        self._names.update(names, filter(None, names.values()), (e.entity_id for e in home.entities))
        excluded: set[str] = set()
        for name in options.exclude:
            text, areas = name.strip().casefold(), self._areas_called(name, names)
            named = [e for e in home.entities if text in (e.entity_id, e.domain) or e.area_id in areas]
            excluded.update(e.entity_id for e in named)
            if named or areas or text in DOMAINS:
                self._found.add(("exclude", name))
        wanted: set[str] = set()
        for name in options.area:
            areas = self._areas_called(name, names)
            wanted |= areas
            if areas:
                self._found.add(("area", name))
        answers = [*by_answer(feedback.answers.get(home.home_id, {}))]
        refused = [(answer, pairs) for answer, pairs in answers if answer.answer == "dismissed"]
        dismissed = [left for answer, pairs in refused for left in answer.only(pairs)]
        gone = {pair for _, pairs in refused for pair in pairs}
        shown = feedback.shown(home.home_id)
        seen = [shown[pair] for pair in gone if pair in shown]
        spared = frozenset(pair for one in seen if one.other_triggers for pair in one.pairs) - gone
        number = len({answer.id for answer, _ in refused})
        fresh, notes = self._fresh(home, feedback)
        keeps = options.install is not None
        if home.installed:
            own = many(len(home.installed), "pair")
            notes.append(f"left out: {own} that --install put in before, which tell nothing of what you want")
        if dismissed:
            notes.append(f"left out: {many(number, 'suggestion')} that you dismissed; similar ones come later")
        return Wishes(
            excluded=frozenset(excluded),
            areas=frozenset(wanted) if options.area else None,
            fresh=fresh,
            about=self._about,
            dismissed=tuple(dismissed),
            spared=spared,
            accepted=feedback.pairs(home.home_id, ACCEPTED, but_by=None if keeps else RECOGNIZED),
            keeps_accepted=keeps,
            notes=(*self._about_notes, *notes),
        )

    @staticmethod
    def _areas_called(name: str, names: Mapping[str, str]) -> set[str]:
        text = name.strip().casefold()
        return {area_id for area_id, shown in names.items() if text in (area_id.casefold(), shown.strip().casefold())}

    def _fresh(self, home: Home, feedback: Feedback) -> tuple[frozenset[str] | None, list[str]]:
        if not self._options.new:
            return None, []
        met = feedback.met(home.home_id)
        entities = frozenset(entity.entity_id for entity in home.entities)
        if met is None:
            return None, ["the first run that is noted for this home: all its entities count as new"]
        fresh = entities - met
        return fresh, [f"{many(len(fresh), 'new entity')} since the last run"]

    def check(self) -> None:
        """Raise TrainingError for a name that no home knew; it lists names that are near."""
        for option, given, known in (
            ("exclude", self._options.exclude, self._names),
            ("area", self._options.area, self._areas),
        ):
            for name in given:
                if (option, name) not in self._found:
                    what = "area" if option == "area" else "domain, entity or area"
                    raise TrainingError(f"--{option} {name!a}: no home has such {_an(what)}{_near(name, known)}")


def _an(what: str) -> str:
    return f"{'an' if what[0] in 'aeiou' else 'a'} {what}"


def _near(name: str, known: set[str]) -> str:
    spelt = {text.casefold(): text for text in sorted(known)}
    near = all_near(name.strip().casefold(), sorted(spelt), NEAR_NAMES)
    if not near:
        return "" if not known else f"; there {'is' if len(known) == 1 else 'are'}, for one, {sorted(known)[0]!a}"
    return f"; near it: {', '.join(ascii(spelt[text]) for text in near)}"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, Sequence):
        for part in value:
            yield from _texts(part)


def _topic(about: str | None) -> tuple[str, list[str]]:
    """The words of a topic that the table of words knows, and a note on the others."""
    if about is None:
        return "", []
    words = [word for word in words_of(about) if word not in FILLERS]
    known = [word for word in words if _vectors([word]).any()]
    if not known:
        raise TrainingError(
            f"--about {about!a}: none of its words is known; say it in other words, as 'presence lighting'"
        )
    unknown = [word for word in words if word not in known]
    told = [f"--about: nothing is known of {', '.join(ascii(word) for word in unknown)}"] if unknown else []
    return " ".join(known), told


def _vectors(texts: Sequence[str]) -> Array:
    """``[len(texts), dimensions]`` sentence vectors, each word of a text once; 0 where no word is known."""
    distinct = (dict.fromkeys(word for word in words_of(text) if word not in FILLERS) for text in texts)
    return ENCODERS[WORDS]([" ".join(words) for words in distinct])
