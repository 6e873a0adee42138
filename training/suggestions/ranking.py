"""What a home has not automated yet, best first."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from data_sources import Home
from training.runs.errors import TrainingError
from training.suggestions.actions import NoRecipeError
from training.suggestions.config import MIN_SCORE
from training.suggestions.home_view import HomeView
from training.suggestions.recipes import Recipe, name_of
from training.synergy.graph import build_graph

if TYPE_CHECKING:
    from training.synergy.model import SynergyModel


log = logging.getLogger(__name__)

POOL = 3000  # best pairs of the model that are looked at; more where more suggestions are asked for
RELEVANCE = 0.7  # the weight of a pair's score, beside that of its likeness to what was chosen before it
TOGETHER = 0.1  # members of a family act together where their scores are this close
SAME_KIND = 0.1  # how alike two pairs are for joining the same kinds of entities, such as a motion sensor and a light
UNEXPLAINED = 0.1  # how far a pair is put back for which nothing plain speaks: few people would take it


@dataclass(frozen=True)
class Proposal:
    """One suggested automation.

    ``actions`` act together; ``alternatives`` are others of the first one's family that the model finds likely too.
    ``adjust`` says what a person has to look at in ``automation``.
    """

    trigger: str
    actions: tuple[str, ...]
    score: float
    reasons: tuple[str, ...]
    alternatives: tuple[str, ...]
    adjust: tuple[str, ...]
    title: str
    automation: dict[str, Any]


@dataclass(frozen=True)
class HomeProposals:
    """The proposals of one home. ``left_out`` counts pairs that the model put among its best: reason -> pairs."""

    home_id: str
    entities: int
    known_pairs: int
    proposals: tuple[Proposal, ...]
    left_out: dict[str, int]
    notes: tuple[str, ...]


# -- Choosing ----------------------------------------------------------------------------------------------------------


class Candidate(NamedTuple):
    """A pair of the pool with its whole family: entity ids, the model's score, and what speaks for its place."""

    trigger: str
    actions: tuple[str, ...]
    alternatives: tuple[str, ...]
    score: float
    relevance: float
    recipe: Recipe
    reasons: tuple[str, ...]


def suggest_automations(
    model: SynergyModel, home: Home, top: int = 20, *, min_score: float = MIN_SCORE, diverse: bool = True
) -> HomeProposals:
    """The ``top`` best automations that a home does not have, fewer where fewer score at least ``min_score``.

    The order is the model's, re-ranked by maximal marginal relevance where ``diverse`` (see ``_diverse``). Pairs that
    have no sensible recipe, or would undo what is automated the other way round, are left out and counted. Lights of
    one family (``light.spot_1``, ``light.spot_2``) in one room are one suggestion.

    Raises:
        TrainingError: The home has no entities.
    """
    if not home.entities:
        raise TrainingError(
            f"home {home.home_id!a} has no entities: nothing can be suggested; give its entities "
            "(docs/reference/data-formats.md)"
        )
    graph = build_graph(home)
    if home.generated:  # pairs that rules made up are no automations of anybody
        graph = graph.without_pairs()
    view = HomeView(home, graph, model)
    left_out: Counter[str] = Counter()
    pairs, logits = model.scorer(model.read(graph), graph.pairs).best_pairs(max(POOL, 50 * top))
    pool = [
        (graph.entity_ids[t], graph.entity_ids[a], score)
        for (t, a), score in zip(pairs.tolist(), model.calibration(logits).tolist(), strict=True)
    ]
    candidates = _candidates([found for found in pool if found[2] >= min_score], view, left_out)
    chosen = _diverse(candidates, view, top) if diverse else candidates[:top]
    notes = []
    if len(chosen) < top:
        best = max((s for _, _, s in pool), default=0.0)
        notes.append(f"no more pairs score at least {min_score:g} (the best of all scores {best:.2f}); see --min-score")
    if home.generated:
        notes.append(f"the {home.generated} known pairs were generated from rules and are not taken as automations")
    return HomeProposals(
        home.home_id,
        len(home.entities),
        len(view.known),
        tuple(_proposal(candidate, view) for candidate in chosen),
        dict(left_out.most_common()),
        tuple(notes),
    )


def _candidates(pool: Sequence[tuple[str, str, float]], view: HomeView, left_out: Counter[str]) -> list[Candidate]:
    """What can be automated, families folded into their best member, in the pool's order."""
    score = {(t, a): s for t, a, s in pool}
    # The place in the model's order counts, on the scale of its scores: the order may know more than the score.
    relevance = sorted(score.values(), reverse=True)
    families: dict[tuple[str, str], list[str]] = defaultdict(list)
    for t, a, _ in pool:
        families[t, view.family(a)].append(a)
    done: set[tuple[str, str]] = set()
    found = []
    for place, (t, a, s) in enumerate(pool):
        head = view.head(a)
        if (a, t) in view.known:
            left_out["automated the other way round, so that the two would chase each other"] += 1
        elif head != a and (t, head) in view.known:
            left_out["their group is automated already"] += 1
        elif (t, a) in done or (head != a and (t, head) in score):
            left_out["told together with another of their group"] += 1
        else:
            kin = [k for k in families[t, view.family(a)] if k != a and (k, t) not in view.known]
            equals = [k for k in kin if view.head(k) != a]  # a group needs none of its members
            together = [k for k in equals if s - score[t, k] <= TOGETHER and view.act_together(t, a, k)]
            others = [k for k in equals if k not in together]
            try:
                recipe = view.recipe(t, (a, *together))
            except NoRecipeError as error:
                left_out[str(error)] += 1
                continue
            done.update((t, k) for k in kin)
            found.append(Candidate(t, (a, *together), tuple(others), s, relevance[place], recipe, view.reasons(t, a)))
    return found


def _diverse(candidates: Sequence[Candidate], view: HomeView, top: int) -> list[Candidate]:
    """Greedy re-ranking by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    The next one has the highest ``RELEVANCE * relevance - (1 - RELEVANCE) * likeness``, where likeness to all that were
    chosen before is summed, not its maximum taken: the third pair of one light costs more than the second. Two pairs
    are alike by half for their triggers and by half for their actions, and by ``SAME_KIND`` at least where both join
    the same kinds. One that is another reversed is passed over; one without a plain reason is put back by
    ``UNEXPLAINED``.
    """
    value = [RELEVANCE * c.relevance - (0 if c.reasons else UNEXPLAINED) for c in candidates]
    remaining = set(range(len(candidates)))
    chosen: list[Candidate] = []
    while remaining and len(chosen) < top:
        best = max(remaining, key=lambda i: (value[i], -i))
        remaining.discard(best)
        chosen.append(candidates[best])
        remaining = {i for i in remaining if not _reversed(candidates[i], candidates[best])}
        for i in remaining:
            value[i] -= (1 - RELEVANCE) * _likeness(candidates[i], candidates[best], view)
    return chosen


def _reversed(one: Candidate, other: Candidate) -> bool:
    return one.trigger in other.actions and other.trigger in one.actions


def _likeness(one: Candidate, other: Candidate, view: HomeView) -> float:
    kind = SAME_KIND if view.kinds(one.trigger, one.actions[0]) == view.kinds(other.trigger, other.actions[0]) else 0.0
    same_action = not set(one.actions).isdisjoint(other.actions)
    action = 1.0 if same_action else view.alike(one.actions[0], other.actions[0])
    return max((view.alike(one.trigger, other.trigger) + action) / 2, kind)


def _proposal(candidate: Candidate, view: HomeView) -> Proposal:
    trigger, action = view.entities[candidate.trigger], view.entities[candidate.actions[0]]
    reasons = candidate.reasons or ("no plain reason: the model weighs many small signs together",)
    number = hashlib.sha256(f"{candidate.trigger} {action.entity_id}".encode()).hexdigest()[:12]
    description = f"Suggested with a score of {candidate.score:.2f}: {'; '.join(reasons)}."
    more = f" and {len(candidate.actions) - 1} more" if len(candidate.actions) > 1 else ""
    return Proposal(
        trigger.entity_id,
        candidate.actions,
        round(candidate.score, 4),
        reasons,
        candidate.alternatives,
        candidate.recipe.adjust,
        f"{name_of(trigger)} ({trigger.entity_id}) -> {name_of(action)} ({action.entity_id}{more})",
        {"id": f"suggested_{number}", **candidate.recipe.automation, "description": description},
    )
