"""What a home has not automated yet, best first: the pair, its reasons in words, and an automation ready to be read.

Reasons are read off the home and off the tables that the model holds; what neither says is not said.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from data_sources import Entity, Home, open_source
from training import artifacts
from training.config import read_settings
from training.errors import TrainingError
from training.graph import HomeGraph, build_graph
from training.recipes import NoRecipeError, Recipe, name_of, one_line, with_article, write_automation
from training.run import Run, log_source
from training.words import apart, fold, places_of, tokens_of, words_of

if TYPE_CHECKING:
    from training.link_prediction import SynergyModel

log = logging.getLogger("training.suggestions")

POOL = 3000  # best pairs of the model that are looked at; more where more suggestions are asked for
RELEVANCE = 0.7  # the weight of a pair's score, beside that of its likeness to what was chosen before it
ALIKE = 0.5  # how alike two entities of one family or one device are; the same entity is 1
TOGETHER = 0.1  # members of a family act together where their scores are this close
SAME_KIND = 0.1  # how alike two pairs are for joining the same kinds of entities, such as a motion sensor and a light
MIN_SCORE = 0.5  # below it a pair is more likely false than true, even beside one false pair
UNEXPLAINED = 0.1  # how far a pair is put back for which nothing plain speaks: few people would take it
GENERIC = frozenset("all ceiling home lamp light lights main room sensor smart state status switch".split())
METERED = frozenset("amps consumption current electric electricity energy kwh power usage voltage watt watts".split())
REGULATING = frozenset(("climate", "humidifier", "water_heater"))
TIMES_AVERAGE = 1.5  # from here on a pairing counts as common
RARE = 0.25  # a word that more than this share of a home's entities have does not join two of them
REASONS = 3
SHOWN = 5  # names of a list that a line shows
WIDTH = 110

_NUMBER_AT_END = re.compile(r"(?:_?\d+)+$")


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


@dataclass(frozen=True)
class SuggestOptions:
    """The command line; None means not given."""

    json_input: str | None = None
    data_source: str | None = None
    strict: bool = False
    model_path: str | None = None
    home: str | None = None
    top: int = 20
    min_score: float = MIN_SCORE
    diverse: bool = True
    output: str | None = None


# -- Choosing ----------------------------------------------------------------------------------------------------------


class _Candidate(NamedTuple):
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
            f"home {home.home_id!a} has no entities: nothing can be suggested; give its entities (docs/data.md)"
        )
    # Pairs that rules made up are no automations of anybody.
    known = () if home.generated else home.synergies
    view = _View(home, known, model)
    left_out: Counter[str] = Counter()
    pool = [
        (found.trigger, found.action, found.score) for found in model.suggest(home.entities, known, max(POOL, 50 * top))
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


def _candidates(pool: Sequence[tuple[str, str, float]], view: _View, left_out: Counter[str]) -> list[_Candidate]:
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
            found.append(_Candidate(t, (a, *together), tuple(others), s, relevance[place], recipe, view.reasons(t, a)))
    return found


def _diverse(candidates: Sequence[_Candidate], view: _View, top: int) -> list[_Candidate]:
    """Greedy re-ranking by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    The next one has the highest ``RELEVANCE * relevance - (1 - RELEVANCE) * likeness``, where likeness to all that were
    chosen before is summed, not its maximum taken: the third pair of one light costs more than the second. Two pairs
    are alike by half for their triggers and by half for their actions, and by ``SAME_KIND`` at least where both join
    the same kinds. One that is another reversed is passed over; one without a plain reason is put back by
    ``UNEXPLAINED``.
    """
    value = [RELEVANCE * c.relevance - (0 if c.reasons else UNEXPLAINED) for c in candidates]
    remaining = set(range(len(candidates)))
    chosen: list[_Candidate] = []
    while remaining and len(chosen) < top:
        best = max(remaining, key=lambda i: (value[i], -i))
        remaining.discard(best)
        chosen.append(candidates[best])
        remaining = {i for i in remaining if not _reversed(candidates[i], candidates[best])}
        for i in remaining:
            value[i] -= (1 - RELEVANCE) * _likeness(candidates[i], candidates[best], view)
    return chosen


def _reversed(one: _Candidate, other: _Candidate) -> bool:
    return one.trigger in other.actions and other.trigger in one.actions


def _likeness(one: _Candidate, other: _Candidate, view: _View) -> float:
    kind = SAME_KIND if view.kinds(one) == view.kinds(other) else 0.0
    same_action = not set(one.actions).isdisjoint(other.actions)
    action = 1.0 if same_action else view.alike(one.actions[0], other.actions[0])
    return max((view.alike(one.trigger, other.trigger) + action) / 2, kind)


def _proposal(candidate: _Candidate, view: _View) -> Proposal:
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


# -- What is known of a home and a pair --------------------------------------------------------------------------------


class _View:
    """A home and the model's tables, ready for look-ups of its pairs."""

    def __init__(self, home: Home, known: Iterable[Any], model: SynergyModel) -> None:
        self.entities = {entity.entity_id: entity for entity in home.entities}
        self.known = {
            pair
            for s in known
            for pair in ((s.trigger, s.action), *(((s.action, s.trigger),) if s.bidirectional else ()))
        }
        self.triggers_of: dict[str, list[str]] = defaultdict(list)
        self.actions_of: dict[str, list[str]] = defaultdict(list)
        for t, a in sorted(self.known):
            self.triggers_of[a].append(t)
            self.actions_of[t].append(a)
        graph = build_graph(home)
        self.classes = dict(zip(graph.entity_ids, graph.classes, strict=True))
        self.words = _rare_words(graph)
        self.said = {entity.entity_id: frozenset(tokens_of(_spelt(entity))) for entity in home.entities}
        self.area_names = {area.area_id: one_line(area.name or "") for area in home.areas}
        self.log_odds, vocabulary = model.log_odds, model.vocabulary
        self.domain_index = {text: i for i, text in enumerate(vocabulary.domains, start=1)}
        self.class_index = {text: i for i, text in enumerate(vocabulary.classes, start=1)}
        self.word_index = {text: i for i, text in enumerate(vocabulary.words, start=1)}

    def family(self, entity_id: str) -> str:
        """The id without the number at its end: ``light.spot`` for ``light.spot_1`` and ``light.spot_2``."""
        domain, _, name = entity_id.partition(".")
        return f"{domain}.{_NUMBER_AT_END.sub('', name) or name}"

    def head(self, entity_id: str) -> str:
        """What stands for a family: ``light.spot`` beside ``light.spot_1`` and on, else the entity itself.

        Home Assistant numbers a second entity of one name from 2, so ``light.spot`` and ``light.spot_2`` are equals.
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

    def kinds(self, candidate: _Candidate) -> tuple[str, str]:
        """What a pair joins: classes of its trigger and its action."""
        return self.classes[candidate.trigger], self.classes[candidate.actions[0]]

    def act_together(self, trigger: str, one: str, other: str) -> bool:
        """Whether two of a family are in one place: a known room, else a word that the trigger's name has too."""
        areas = self.entities[one].area_id, self.entities[other].area_id
        if areas != (None, None):
            return areas[0] == areas[1]
        return bool(self.words[trigger] & self.words[one] & self.words[other])

    def recipe(self, trigger: str, actions: Sequence[str]) -> Recipe:
        """Raises NoRecipeError."""
        device = self.entities[trigger].device_id
        of_device = device is not None and device == self.entities[actions[0]].device_id
        if of_device and trigger.startswith("sensor.") and self.entities[actions[0]].domain in REGULATING:
            raise NoRecipeError("a device minds its own sensor by itself")
        if self._own_meter(trigger, actions[0]):
            raise NoRecipeError("a meter only follows what it measures")
        if self._elsewhere(trigger, actions[0]) and not any(self._by_known(trigger, actions[0])):
            raise NoRecipeError("two of a kind in different places, which nothing known joins")
        return write_automation(
            self.entities[trigger],
            self._device_class(trigger),
            [self.entities[action] for action in actions],
            self._device_class(actions[0]),
            self.entities,
        )

    def _own_meter(self, trigger: str, action: str) -> bool:
        """Whether a trigger's name is the action's and what it meters: ``sensor.kettle_power``, ``switch.kettle``."""
        metered, switched = self.said[trigger], self.said[action]
        return trigger.startswith("sensor.") and bool(metered & switched) and METERED >= metered - switched != set()

    def _elsewhere(self, trigger: str, action: str) -> bool:
        """Whether two entities of one domain each name a place that the other does not: two lights, two rooms."""
        places = (places_of(self.said[entity_id]) for entity_id in (trigger, action))
        return self.entities[trigger].domain == self.entities[action].domain and bool(apart(*places))

    def _device_class(self, entity_id: str) -> str:
        domain, _, device_class = self.classes[entity_id].partition(":")
        guessed = domain in ("binary_sensor", "cover", "sensor")  # what a light's name says is not what it measures
        return self.entities[entity_id].device_class or (device_class if guessed else "")

    def reasons(self, trigger: str, action: str) -> tuple[str, ...]:
        """Why a pair was suggested, the strongest kind first: known automations, place, names, other homes."""
        t, a = self.entities[trigger], self.entities[action]
        found = [*self._by_known(trigger, action)]
        if t.device_id is not None and t.device_id == a.device_id:
            found.append("both belong to one device")
        if t.area_id is not None and t.area_id == a.area_id:
            found.append(f"same room ({self.area_names.get(t.area_id) or one_line(t.area_id)})")
        shared = self._shared_words(t, a)
        if shared:
            found.append(f'both names have "{shared}"')
        found += self._by_other_homes(trigger, action)
        return tuple(found[:REASONS])

    def _shared_words(self, t: Entity, a: Entity) -> str:
        """What two names have in common, in their order, unless it is their room or says no more than what they are."""
        shared = self.words[t.entity_id] & self.words[a.entity_id]
        said = {*_parts(self.classes[t.entity_id]), *_parts(self.classes[a.entity_id]), *GENERIC}
        if t.area_id is not None and t.area_id == a.area_id:
            said.update(words_of(f"{t.area_id} {self.area_names.get(t.area_id) or ''}"))
        if not shared - {fold(word) for word in said}:
            return ""
        of_trigger, of_action = (words_of(_spelt(e)) for e in (t, a))
        common = ((word, fold(word)) for word in of_trigger if fold(word) in shared)
        # As both spell it, or, said in two languages, as it is folded.
        return " ".join(dict.fromkeys(word if word in of_action else meaning for word, meaning in common))

    def _by_known(self, trigger: str, action: str) -> Iterable[str]:
        similar = [t for t in self.triggers_of[action] if t != trigger and self._similar(t, trigger)]
        if similar:
            near = max(similar, key=lambda t: self._nearness(t, trigger))
            yield f"{self._named(near)}, also {with_article(self._kind(near))}, already drives it"
        driven = [a for a in self.actions_of[trigger] if self._kind(a) == self._kind(action)]
        if driven:
            near = max(driven, key=lambda a: self._nearness(a, action))
            yield f"this trigger already drives another {self._kind(near)}, {self._named(near)}"

    def _similar(self, one: str, other: str) -> bool:
        """Whether two are of one class; sensors of which no class is known need a word in common too."""
        told = self._kind(one) != "sensor" or bool(self.words[one] & self.words[other])
        return self.classes[one] == self.classes[other] and told

    def _nearness(self, one: str, other: str) -> tuple[bool, int]:
        area = self.entities[one].area_id
        return (area is not None and area == self.entities[other].area_id, len(self.words[one] & self.words[other]))

    def _by_other_homes(self, trigger: str, action: str) -> Iterable[str]:
        """Log-odds that the model holds; each table is relative to the next coarser one, so that they add up."""
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
            yield f"common where the model learnt: {driver} drives {driven} ({_times(common)} times the average pair)"
        told = [(float(odds.trigger_word[w, a]), word) for word, w in self._known_words(trigger) if word not in driver]
        best, word = max(told, default=(0.0, ""))
        if best >= math.log(TIMES_AVERAGE):
            yield f'where the model learnt, triggers called "{word}" drive {driven} ({_times(best)} times the average)'

    def _known_words(self, entity_id: str) -> Iterable[tuple[str, int]]:
        return ((word, self.word_index[word]) for word in sorted(self.words[entity_id]) if word in self.word_index)

    def _kind(self, entity_id: str) -> str:
        """``motion sensor``, ``temperature sensor``, ``light``: what a person would call it."""
        domain, device_class = self.entities[entity_id].domain, self._device_class(entity_id)
        if domain in ("binary_sensor", "sensor"):
            return f"{device_class.replace('_', ' ')} sensor".strip()
        return domain.replace("_", " ")

    def _named(self, entity_id: str) -> str:
        return name_of(self.entities[entity_id])


def _spelt(entity: Entity) -> str:
    return f"{entity.entity_id.partition('.')[2]} {entity.name or ''}"


def _rare_words(graph: HomeGraph) -> dict[str, set[str]]:
    """The words of each entity's name that not too many of the home's entities share."""
    of = {
        entity_id: {graph.words[w] for w in row if w < len(graph.words)}
        for entity_id, row in zip(graph.entity_ids, graph.tokens.tolist(), strict=True)
    }
    frequency = Counter(word for words in of.values() for word in words)
    limit = max(4, RARE * graph.size)
    return {entity_id: {w for w in words if frequency[w] <= limit} for entity_id, words in of.items()}


def _parts(entity_class: str) -> list[str]:
    return entity_class.replace(":", "_").split("_")


def _times(log_odds: float) -> str:
    times = math.exp(log_odds)
    return f"{times:.0f}" if times >= 10 else f"{times:.1f}"


# -- Writing -----------------------------------------------------------------------------------------------------------


def to_yaml(found: HomeProposals, *, ascii_only: bool = False) -> str:
    """A list of automations as Home Assistant includes it, with what was found as comments."""
    shown, of = len(found.proposals), f"{found.entities} entities and {found.known_pairs} known pairs"
    lines = [
        f"# {shown} suggested automation{'s' * (shown != 1)}, best first, for home {one_line(found.home_id)} ({of})"
    ]
    lines += [f"# Note: {note}" for note in found.notes]
    lines += _left_out_lines(found.left_out)
    for number, proposal in enumerate(found.proposals, start=1):
        lines += ["", f"# {number}. {proposal.score:.2f}  {proposal.title}"]
        lines += [f"#    why: {reason}" for reason in proposal.reasons]
        lines += [f"#    to adjust: {note}" for note in proposal.adjust]
        if proposal.alternatives:
            more = len(proposal.alternatives) - SHOWN
            names = ", ".join(proposal.alternatives[:SHOWN])
            lines.append(f"#    as likely, or nearly: {names}{f' and {more} more' if more > 0 else ''}")
        body = yaml.safe_dump(
            [proposal.automation], sort_keys=False, allow_unicode=not ascii_only, width=WIDTH, default_flow_style=False
        )
        lines += body.rstrip("\n").split("\n")
    if not found.proposals:
        lines.append("[]")
    return "\n".join([*lines, ""])


def _left_out_lines(left_out: Mapping[str, int]) -> list[str]:
    if not left_out:
        return []
    shown = list(left_out.items())[:SHOWN]
    others = sum(left_out.values()) - sum(pairs for _, pairs in shown)
    lines = [f"# Left out: {sum(left_out.values())} pairs that score well:"]
    lines += [f"#    {pairs}: {why}" for why, pairs in shown]
    return lines + ([f"#    {others}: other reasons; a .json output lists them all"] if others else [])


def to_dict(found: HomeProposals) -> dict[str, Any]:
    """Everything about one home's suggestions, for JSON."""
    return {key: value for key, value in asdict(found).items() if key != "home_id"}


def paths_of(output: Path, found: Sequence[HomeProposals]) -> list[Path]:
    """Where each home's YAML goes: ``output`` for one home, ``<stem>-<home_id>.yaml`` beside it for several."""
    if len(found) == 1:
        return [output]
    paths: list[Path] = []
    for home in found:
        name = re.sub(r"[^\w.-]+", "_", home.home_id).strip(".") or "home"
        path, number = output.with_name(f"{output.stem}-{name}{output.suffix}"), 1
        while path in paths:
            number += 1
            path = output.with_name(f"{output.stem}-{name}-{number}{output.suffix}")
        paths.append(path)
    return paths


# -- The job -----------------------------------------------------------------------------------------------------------


def suggest_synergies(run: Run, options: SuggestOptions) -> None:
    """The job: load the model, read the homes, print or write. Raises DataSourceError or TrainingError."""
    path = Path(options.model_path) if options.model_path else read_settings().model_path
    output = Path(options.output) if options.output else None
    if output is not None:
        artifacts.check_writable(output)
    if not path.is_file():
        raise TrainingError(
            f"{path}: no such model file; scripts/train_gnn_synergy.py makes one, --model-path names it"
        )
    from training.link_prediction import SynergyModel

    model = SynergyModel.load(path)
    found = _suggest_all(model, run, options)
    if output is None:
        _print("---\n".join(to_yaml(home, ascii_only=not _writes_unicode()) for home in found))
        return
    if output.suffix == ".json":
        artifacts.write_atomically(output, artifacts.to_json({home.home_id: to_dict(home) for home in found}))
        written = [output]
    else:
        written = paths_of(output, found)
        for file, home in zip(written, found, strict=True):
            artifacts.write_atomically(file, to_yaml(home).encode("utf-8"))
    run.saved = True
    proposals = sum(len(home.proposals) for home in found)
    log.info("%d suggestions for %d home%s", proposals, len(found), "s" * (len(found) != 1))
    log.info("Saved: %s", ", ".join(map(str, written)))


def _suggest_all(model: SynergyModel, run: Run, options: SuggestOptions) -> list[HomeProposals]:
    source = open_source(json_input=options.json_input, data_source=options.data_source, strict=options.strict)
    run.source = source
    found, names, empty = [], [], []
    for home in source.read(Home):
        names.append(home.home_id)
        if options.home not in (None, home.home_id):
            continue
        if not home.entities and options.home is None:
            empty.append(home.home_id)
            continue
        found.append(
            suggest_automations(model, home, options.top, min_score=options.min_score, diverse=options.diverse)
        )
    log_source(source)
    where = source.report.where
    if options.home is not None and options.home not in names:
        raise TrainingError(f"--home {options.home!a}: {where} has no such home; it has {_listed(names)}")
    if not found:
        raise TrainingError(f"{where}: no home has any entities; give them their entities (docs/data.md)")
    if empty:
        log.warning("Left out, for they have no entities: %s", _listed(empty))
    return found


def _listed(names: Sequence[str]) -> str:
    more = len(names) - 10
    return ", ".join(f"{name!a}" for name in names[:10]) + (f" and {more} more" if more > 0 else "")


def _writes_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        log.debug("the reader of the suggestions has gone")
