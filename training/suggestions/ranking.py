"""Automations that a home does not have yet, the ones to look at first on top."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import count, product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from data_sources import Entity, Home
from home_assistant.entity_id import domain_of
from home_assistant.installation import DESCRIBED_AS
from training.runs.errors import TrainingError
from training.suggestions.actions import NoRecipeError
from training.suggestions.config import MIN_SCORE
from training.suggestions.home_view import REASONS, HomeView
from training.suggestions.recipes import Recipe, body_of, name_of, started_by
from training.suggestions.wishes import Wishes
from training.synergy.feedback import Suggested, suggestion_id
from training.synergy.graph import HomeGraph, Ints, build_graph

if TYPE_CHECKING:
    from training.synergy.model import SynergyModel


log = logging.getLogger(__name__)

NO_WISHES = Wishes()
Mask = npt.NDArray[np.bool_]
Habits = Mapping[tuple[str, str], tuple[Recipe, tuple[str, ...]]]
"""Pair -> the automation of what a person does by hand, and the entities that act in it."""

POOL = 1000  # pairs of the model that are looked at, the best ones; more where more suggestions are wanted
# Weight of a pair's own score; the rest is the weight of its likeness to those chosen before it. Chosen by
# benchmarks/suggestions.py: at 0.7 the list has a quarter fewer hits, at 1 fewer homes with any among the first ten.
RELEVANCE = 0.98
DISLIKE = 0.3  # weight of a pair's likeness to dismissed suggestions of the same kinds
TOGETHER = 0.1  # members of a family act together where their scores differ by no more
STARTED_TOGETHER = 0.2  # the same of triggers that would start the same; two lines for it would read as one twice
SAME_KIND = 0.1  # likeness of two pairs that join the same kinds of entities, such as a motion sensor and a light
TOPIC = 1.0  # weight of how near a pair is to the topic of --about, a cosine
KEPT = 10.0  # puts what a person accepted before all else, where it is written again
UNEXPLAINED = 0.1  # taken off the value of a pair that has no plain reason, as few people would take it
# Taken off where one flag flips another: of 127 such suggestions for held-out homes 2 were right, of the others one in
# ten (docs/experiments.md).
FLIPPED = 0.05
FLAGS = frozenset(("input_boolean", "switch"))


ORDER_DIVERSE = (
    "by score; what is like a suggestion above it, or what few people want, comes later, so scores may rise and fall; "
    "--no-diverse keeps the model's own order"
)
ORDER_OF_MODEL = "by score"
NOTHING_TO_JOIN = (
    "no two entities are left to join: the others are automated already, are settings, diagnostics or hidden, or only "
    "show or report something"
)


@dataclass(frozen=True)
class Proposal:
    """One suggested automation.

    Attributes:
        trigger: Entity id of the trigger.
        actions: Entity ids that act together.
        score: Score of the best pair of trigger and action, 0 to 1; that of what a person does by hand is halfway from
            the model's to 1.
        reasons: Why it was suggested, strongest first.
        alternatives: Others of the first action's family that the model finds likely too.
        other_triggers: Entity ids that start the same; there are none in most suggestions.
        adjust: What a person has to check in ``automation``.
        title: Names and ids of trigger and actions.
        automation: The automation in Home Assistant's keys.
    """

    trigger: str
    actions: tuple[str, ...]
    score: float
    reasons: tuple[str, ...]
    alternatives: tuple[str, ...]
    adjust: tuple[str, ...]
    title: str
    automation: dict[str, Any]
    other_triggers: tuple[str, ...] = ()

    @property
    def triggers(self) -> tuple[str, ...]:
        """All that start it."""
        return (self.trigger, *self.other_triggers)

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Each trigger with each action."""
        return tuple(product(self.triggers, self.actions))


@dataclass(frozen=True)
class HomeProposals:
    """The suggestions for one home.

    Attributes:
        home_id: Id of the home.
        entities: Number of its entities.
        known_pairs: Number of its automated pairs, both directions of bidirectional ones.
        order: What the suggestions are ordered by, in words.
        proposals: The suggestions in this order.
        left_out: Reason -> number of pairs of the model's best that were left out for it.
        notes: What a person should know beside.
    """

    home_id: str
    entities: int
    known_pairs: int
    order: str
    proposals: tuple[Proposal, ...]
    left_out: dict[str, int]
    notes: tuple[str, ...]


# -- Choosing ----------------------------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A pair of the pool, together with the family of its action.

    Attributes:
        trigger: Entity id of the trigger.
        actions: Entity ids that act together.
        alternatives: Other members of the family in the pool.
        score: The model's score, raised where a person does it by hand (``_raised``).
        recipe: Its automation.
        reasons: Why it is suggested.
        other_triggers: Entity ids that start the same.
    """

    trigger: str
    actions: tuple[str, ...]
    alternatives: tuple[str, ...]
    score: float
    recipe: Recipe
    reasons: tuple[str, ...]
    other_triggers: tuple[str, ...] = ()

    @property
    def triggers(self) -> tuple[str, ...]:
        """All that start it, the pair's own first."""
        return (self.trigger, *self.other_triggers)


def suggest_automations(
    model: SynergyModel,
    home: Home,
    top: int = 20,
    *,
    min_score: float = MIN_SCORE,
    diverse: bool = True,
    wishes: Wishes = NO_WISHES,
) -> HomeProposals:
    """The best automations that a home does not have.

    Pairs that have no sensible recipe, or that would undo what is automated the other way round, are left out and
    counted. What a person was seen to do by hand (``Home.observed``) is suggested as it was done, with that as first
    reason, and ranks higher. Lights of one family (``light.spot_1``, ``light.spot_2``) in one room are one suggestion,
    and so are triggers of one kind that would start the same.

    Args:
        model: The model.
        home: The home. Pairs that rules generated do not count as automated.
        top: How many suggestions; fewer where fewer pairs score at least ``min_score``.
        min_score: The lowest score of a suggestion.
        diverse: Whether the model's order is re-ranked by maximal marginal relevance (``_diverse``).
        wishes: What a person wants of them, and what was answered before.

    Raises:
        TrainingError: The home has no entities.
    """
    if not home.entities:
        raise TrainingError(
            f"home {home.home_id!a} has no entities: nothing can be suggested; give its entities "
            "(docs/reference/data-formats.md)"
        )
    graph = build_graph(home)
    if home.generated:  # rules made its pairs, not people
        graph = graph.without_pairs()
    view = HomeView(home, graph, model)
    left_out: Counter[str] = Counter()
    scorer = model.scorer(model.read(graph), graph.pairs)
    offered = wishes.offered(home, graph)
    size = max(POOL, 50 * top)
    pairs, logits = scorer.best_pairs(size) if offered is None else scorer.best_pairs(size, offered)
    done = _done_by_hand(view, graph, scorer.home.can_act, pairs)
    done = done if offered is None else done[offered.holds(done)]
    pairs, logits = np.concatenate([pairs, done]), np.concatenate([logits, scorer.logits(done)])
    pool = [
        (graph.entity_ids[t], graph.entity_ids[a], score)
        for (t, a), score in zip(pairs.tolist(), model.calibration(logits).tolist(), strict=True)
    ]
    habits = {(t, a): habit for t, a, _ in pool if (habit := view.habit(t, a)) is not None}
    candidates = _candidates(
        [found for found in pool if _raised(found[2], found[:2] in habits) >= min_score], view, habits, wishes, left_out
    )
    candidates = _with_all_triggers(candidates, view, wishes)
    value = _values(candidates, view, wishes)
    chosen = _diverse(candidates, value, view, top) if diverse else _in_order(candidates, value)[:top]
    notes = [*wishes.notes]
    if len(chosen) < top:
        best = math.floor(1000 * max((s for _, _, s in pool), default=0.0)) / 1000
        few = f"no {'more pairs score' if chosen else 'pair scores'} at least {min_score:g}"
        few += f" (the best of all scores {best:g}); see --min-score"
        if not pool:
            few = "no pair that fits the filters is left to automate" if wishes.filter else NOTHING_TO_JOIN
        whole = any(s < min_score for _, _, s in pool) or not pool
        notes.append(few if whole else f"no more of the best {len(pool):,} pairs can be suggested; see those left out")
    if by_hand := sum(bool(candidate.recipe.reason) for candidate in chosen):
        notes.append(f"{by_hand} of these you do by hand again and again; that raised their scores halfway to 1")
    if home.generated:
        notes.append(f"the {home.generated} known pairs were generated from rules and are not taken as automations")
    return HomeProposals(
        home.home_id,
        len(home.entities),
        len(view.known),
        (ORDER_DIVERSE if diverse else ORDER_OF_MODEL) + wishes.order,
        with_distinct_aliases([_proposal(candidate, view) for candidate in chosen]),
        dict(left_out.most_common()),
        tuple(notes),
    )


def _raised(score: float, by_hand: bool) -> float:
    """A score; that of a pair that a person does by hand is halfway from it to 1, so never below ``MIN_SCORE``.

    Of the pairs seen in simulated homes all are habits (``benchmarks/recorder.py``). Real people are less regular, and
    how many habits they want automated is not known, so half of that is taken.
    """
    return (1 + score) / 2 if by_hand else score


def _done_by_hand(view: HomeView, graph: HomeGraph, can_act: Mask, pool: Ints) -> Ints:
    """``[k, 2]`` pairs that a person was seen to do, which the pool lacks and a suggestion could have."""
    index = {entity_id: i for i, entity_id in enumerate(graph.entity_ids)}
    pairs = [(index[t], index[a]) for t, a in view.observed if (t, a) not in view.known]
    usable = [(t, a) for t, a in pairs if can_act[a] and not graph.set_aside[[t, a]].any()]
    lacking = sorted(set(usable) - set(map(tuple, pool.tolist())))
    return np.array(lacking, dtype=np.int64).reshape(-1, 2)


def _candidates(
    pool: Sequence[tuple[str, str, float]], view: HomeView, habits: Habits, wishes: Wishes, left_out: Counter[str]
) -> list[Candidate]:
    """The pairs of the pool that can be automated, best first, each family as its best member."""
    score = {(t, a): s for t, a, s in pool}
    families: dict[tuple[str, str], list[str]] = defaultdict(list)
    for t, a, _ in pool:
        families[t, view.family(a)].append(a)
    done: set[tuple[str, str]] = set()
    refusals = wishes.refusals(view)
    found = []
    for t, a, s in pool:
        head = view.head(a)
        if (t, a) in view.automated:
            left_out["automated already, through a group or a template or by the automation itself"] += 1
        elif (t, a) in view.turned_off:
            left_out["a person turned its automation off"] += 1
        elif (a, t) in view.known:
            left_out["automated the other way round, so that the two would chase each other"] += 1
        elif head != a and (t, head) in view.known:
            left_out["their group is automated already"] += 1
        elif (answered := refusals.of(t, a)) is not None:
            left_out[answered] += 1
        elif (t, a) in done or ((t, a) not in habits and _told_by_another(t, a, view, score, families, habits)):
            left_out["part of another suggestion, in which their group acts together"] += 1
        else:
            habit = habits.get((t, a))
            kin = [k for k in families[t, view.family(a)] if k != a and (k, t) not in view.known]
            kin = [k for k in kin if refusals.of(t, k) is None]
            equals = [k for k in kin if view.head(k) != a]  # a group needs none of its members
            together = [k for k in equals if s - score[t, k] <= TOGETHER and view.act_together(t, a, k)]
            others = [k for k in equals if k not in together]
            try:
                acting = tuple(sorted((a, *together)))  # in the same order whichever of them scores best
                recipe, acting = habit or (view.recipe(t, acting), acting)
            except NoRecipeError as error:
                left_out[str(error)] += 1
                continue
            if (forbidden := wishes.forbid(acting, recipe.automation, view)) is not None:
                left_out[forbidden] += 1
                continue
            others = [k for k in kin if k not in acting] if habit else others
            done.update((t, k) for k in kin)
            reasons = tuple(filter(None, (recipe.reason, *view.reasons(t, a))))[:REASONS]
            found.append(Candidate(t, acting, tuple(others), _raised(s, habit is not None), recipe, reasons))
    return sorted(found, key=lambda candidate: -candidate.score)


def _with_all_triggers(candidates: Sequence[Candidate], view: HomeView, wishes: Wishes) -> list[Candidate]:
    """The candidates, best first; what several triggers would start alike is one candidate with all of them.

    Each of nine doors that trigger one alarm would fill a line of the list otherwise. The score of the best stands for
    all, so others join it only where theirs differ by no more than ``STARTED_TOGETHER``. What a person does by hand
    stays alone, for it was seen of one pair. So does a pair whose reverse is a candidate, for only one of the two is
    shown.
    """
    pairs = {(candidate.trigger, action) for candidate in candidates for action in candidate.actions}
    found: list[Candidate] = []
    places: dict[tuple[object, ...], int] = {}
    for candidate in candidates:
        pair = candidate.trigger, candidate.actions[0]
        alone = candidate.recipe.reason or any((action, candidate.trigger) in pairs for action in candidate.actions)
        relation = None if alone else view.relation(*pair)
        body = None if relation is None else body_of(candidate.recipe, view.entities[candidate.trigger], pair[1])
        if body is None:
            found.append(candidate)
            continue
        key = (relation, candidate.actions, body, pair in wishes.accepted)
        place = places.get(key)
        if place is None or found[place].score - candidate.score > STARTED_TOGETHER:
            places[key] = len(found)
            found.append(candidate)
        else:
            others = (*found[place].other_triggers, candidate.trigger)
            found[place] = found[place]._replace(other_triggers=others)
    return found


def _told_by_another(
    t: str,
    a: str,
    view: HomeView,
    pool: Container[tuple[str, str]],
    families: Mapping[tuple[str, str], Sequence[str]],
    habits: Habits,
) -> bool:
    """Whether the pair of ``a``'s group is in the pool, or one of its family's that a person does by hand."""
    head = view.head(a)
    return (head != a and (t, head) in pool) or any((t, k) in habits for k in families[t, view.family(a)])


def _values(candidates: Sequence[Candidate], view: HomeView, wishes: Wishes) -> list[float]:
    """What each candidate is worth before others are chosen.

    That is ``RELEVANCE * score``, plus ``TOPIC`` times how near it is to the topic, minus ``DISLIKE`` times how like it
    is to each dismissed suggestion of the same kinds of entities. A no to one kind says nothing of the others, so these
    stay as they are.
    """
    refused = defaultdict(list)
    for answered in wishes.dismissed:
        for one in answered.only([pair for pair in answered.pairs if view.entities.keys() >= {*pair}]):
            refused[view.kinds(one.trigger, one.actions[0])].append(one)
    near = wishes.nearness(candidates, view)
    found = []
    for c, nearness in zip(candidates, near, strict=True):
        likeness = sum(_likeness(c, one, view) for one in refused.get(view.kinds(c.trigger, c.actions[0]), ()))
        likeness = 0.0 if (c.trigger, c.actions[0]) in wishes.spared else likeness
        kept = wishes.keeps_accepted and (c.trigger, c.actions[0]) in wishes.accepted
        found.append(RELEVANCE * c.score + TOPIC * nearness - DISLIKE * likeness + KEPT * kept)
    return found


def _in_order(candidates: Sequence[Candidate], value: Sequence[float]) -> list[Candidate]:
    return [candidates[i] for i in sorted(range(len(candidates)), key=lambda i: -value[i])]


def _diverse(candidates: Sequence[Candidate], values: Sequence[float], view: HomeView, top: int) -> list[Candidate]:
    """Greedy re-ranking by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    The next pair is the one with the highest value (``_values``) less ``(1 - RELEVANCE) * likeness``. Likeness is the
    sum over all pairs chosen before, not their maximum, so the third pair of one light costs more than the second. The
    likeness of two pairs is the mean of that of their triggers and that of their actions, and at least ``SAME_KIND``
    where both join the same kinds of entities. The reverse of a chosen pair is left out. What few people want loses by
    that (``_penalty``).
    """
    value = [worth - _penalty(candidate) for worth, candidate in zip(values, candidates, strict=True)]
    # Likeness is never negative, so values only fall: a pair is compared with those chosen before it when it is on top.
    waiting = [(-worth, i) for i, worth in enumerate(value)]
    heapify(waiting)
    compared = [0] * len(candidates)
    chosen: list[Candidate] = []
    while waiting and len(chosen) < top:
        _, i = heappop(waiting)
        if compared[i] == len(chosen):
            chosen.append(candidates[i])
            continue
        before, compared[i] = chosen[compared[i] :], len(chosen)
        if not any(_reversed(candidates[i], one) for one in before):
            for one in before:
                value[i] -= (1 - RELEVANCE) * _likeness(candidates[i], one, view)
            heappush(waiting, (-value[i], i))
    return chosen


def _penalty(candidate: Candidate) -> float:
    """What is taken off the value of a pair that few people want, unless a person does it by hand."""
    if candidate.recipe.reason:
        return 0.0
    domains = {domain_of(candidate.trigger), domain_of(candidate.actions[0])}
    flips = len(domains) == 1 and domains <= FLAGS
    return (0.0 if candidate.reasons else UNEXPLAINED) + (FLIPPED if flips else 0.0)


def _reversed(one: Candidate, other: Candidate) -> bool:
    return one.trigger in other.actions and other.trigger in one.actions


def _likeness(one: Candidate, other: Candidate | Suggested, view: HomeView) -> float:
    kind = SAME_KIND if view.kinds(one.trigger, one.actions[0]) == view.kinds(other.trigger, other.actions[0]) else 0.0
    same_trigger = not set(one.triggers).isdisjoint(other.triggers)
    trigger = 1.0 if same_trigger else view.alike(one.trigger, other.trigger)
    same_action = not set(one.actions).isdisjoint(other.actions)
    action = 1.0 if same_action else view.alike(one.actions[0], other.actions[0])
    return max((trigger + action) / 2, kind)


def with_distinct_aliases(proposals: Sequence[Proposal], others: Iterable[str] = ()) -> tuple[Proposal, ...]:
    """The proposals; those whose aliases read alike, or like one of ``others``, have the ids of both entities in them.

    Home Assistant makes an automation's entity id of its alias, where case, blanks and punctuation do not count.
    """

    def slug(alias: str) -> str:
        return re.sub(r"[\W_]+", " ", alias.casefold()).strip()

    shared = Counter(slug(proposal.automation["alias"]) for proposal in proposals)
    shared.update(used := {slug(alias) for alias in others})
    taken = {alias for alias, times in shared.items() if times == 1} | used
    found = []
    for proposal in proposals:
        alias = proposal.automation["alias"]
        if shared[slug(alias)] > 1:
            told = f"{alias} ({proposal.trigger} -> {proposal.actions[0]})"
            numbered = (told if number == 1 else f"{told} {number}" for number in count(1))
            alias = next(free for free in numbered if slug(free) not in taken)
            taken.add(slug(alias))
        found.append(replace(proposal, automation={**proposal.automation, "alias": alias}))
    return tuple(found)


def _proposal(candidate: Candidate, view: HomeView) -> Proposal:
    trigger, action = view.entities[candidate.trigger], view.entities[candidate.actions[0]]
    recipe, others = candidate.recipe, candidate.other_triggers
    reasons = candidate.reasons or ("no plain reason: the model weighs many small signs together",)
    if others:
        recipe = started_by(recipe, [trigger, *(view.entities[other] for other in others)])
        reasons = tuple(re.sub("^this trigger ", f"{name_of(trigger)} ", reason) for reason in reasons)
    told = [f"{DESCRIBED_AS}{candidate.score:.2f}: {'; '.join(reasons)}."]
    told += [f"To adjust: {'; '.join(recipe.adjust)}."] if recipe.adjust else []
    described = {"description": " ".join(told)}
    return Proposal(
        trigger.entity_id,
        candidate.actions,
        round(candidate.score, 4),
        reasons,
        candidate.alternatives,
        recipe.adjust,
        f"{_told(trigger, len(others))} -> {_told(action, len(candidate.actions) - 1)}",
        {"id": suggestion_id(candidate.trigger, action.entity_id), **recipe.automation, **described},
        others,
    )


def _told(entity: Entity, others: int) -> str:
    return f"{name_of(entity)} ({entity.entity_id}{f' and {others} more' if others else ''})"
