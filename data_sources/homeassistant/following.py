"""What follows what: which entity a person operates soon after another one changed, more often than by chance.

Changes go in one by one, in order of time. Memory is bounded by the number of entities and by ``OPERATIONS_KEPT``,
however many changes there are.

**A person operates an entity** where a change has a user and no automation as its parent, unless a script, scene or
automation row has the same context: then these did it. A change with neither user nor parent comes from the device
itself: a wall switch, a timer in the device, an app of its maker. It counts as a person's where the entity is of
``BY_HAND`` and at most ``AUTOMATED_SHARE`` of its changes into that state are known to be of automations.

**A trigger** is a change of another entity into a state that it did not enter for ``QUIET_SECONDS``: a motion sensor
that flaps all evening triggers once. Trigger and action must be of different acts (contexts) and at least
``REACTION_SECONDS`` apart: what changes at once is one device, one group or one call.

**Beyond chance** is decided in three steps.

1. *Rate.* Were the action independent of the trigger, it would follow each trigger with probability
   ``1 - exp(-r W)``, where ``r`` is the action's own rate at that time of day and ``W`` the window. The number of
   triggers that are followed is then a sum of independent trials. The binomial distribution of the same mean bounds its
   upper tail (W. Hoeffding, "On the distribution of the number of successes in independent trials", 1956, theorem 4).
   So a daily rhythm that both share is no evidence. The rate is taken over an hour around the trigger and, on other
   days, over just the minutes that the window reaches into (the shift predictor: D. Perkel, G. Gerstein and G. Moore,
   "Neuronal spike trains and stochastic point processes II", 1967); the higher expectation counts. Over all pairs and
   windows that could have been found, ``FALSE_DISCOVERIES`` bounds the false discovery rate (Y. Benjamini and
   Y. Hochberg, "Controlling the false discovery rate", 1995).
2. *Order.* What happens in bursts, as when people come home, falls before a trigger as often as after it. The count
   after must exceed the count before by a sign test at ``ORDER_LEVEL`` (sequence symmetry analysis: J. Hallas,
   "Evidence of depression provoked by cardiovascular medication", 1996).
3. *The last relevant thing.* Of all triggers of one action the most significant is kept, and what it explains is taken
   from the others, until no other explains enough of the rest. In a chain A, B, C the pair A, C goes.
"""

from __future__ import annotations

import math
from array import array
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from data_sources.records import Activity, ObservedPair
from home_assistant.entity_id import domain_of

ABSENT = frozenset(("unknown", "unavailable", "", b"unknown", b"unavailable", b"", None))
"""States that say that nothing is known. The last one is of an entity that was removed."""
WINDOWS = (60.0, 300.0, 900.0)
QUIET_SECONDS = 300.0
REACTION_SECONDS = 1.0
MIN_COUNT = 5
MIN_SHARE = 0.05  # of the triggers that are followed
MIN_LIFT = 2.0
FALSE_DISCOVERIES = 0.01
ORDER_LEVEL = 0.03
RESIDUAL_LEVEL = 1e-3
AUTOMATED_SHARE = 0.1
SAME_SHARE = 0.8
SLOT_SECONDS = 300
SLOTS = 86_400 // SLOT_SECONDS
HOUR_AROUND = (-7, 7)  # slots around the trigger's own: 75 minutes
STATES_KEPT = 25  # an entity with more is no trigger: its state is a text, a time or a number
NEAR = 32  # triggers that one operation remembers, operations that one trigger does
OPERATIONS_KEPT = 500_000
CONTEXTS_KEPT = 4_096
ACTIVATED = "activated"
"""Stands for the state of an entity whose state is the time of its last use."""

# Domains whose state is the time of their last use.
_TIMED = frozenset("button event input_button scene tag".split())
# Their contexts are those of what they do.
_ACTING = frozenset("automation scene script".split())
_NO_TRIGGERS = frozenset(
    "ai_task air_quality assist_satellite automation camera conversation counter date datetime geo_location group "
    "image image_processing input_datetime input_number input_text notify number stt text time todo tts update "
    "wake_word weather zone".split()
)
OPERATED = frozenset(
    "alarm_control_panel button climate cover fan humidifier input_boolean input_button input_select lawn_mower light "
    "lock media_player remote scene script select siren switch vacuum valve water_heater".split()
)
BY_HAND = frozenset("alarm_control_panel climate cover fan humidifier light lock media_player switch valve".split())
# Ways to a state that are the state already, and what an entity comes into on its own.
_ON_THE_WAY = {
    "buffering": "playing",
    "closing": "closed",
    "locking": "locked",
    "opening": "open",
    "returning": "docked",
    "unlocking": "unlocked",
}
_ON_ITS_OWN = frozenset("arming disarming error idle jammed pending problem standby triggered".split())

State = str | bytes | None
Row = tuple[Any, Any, State, Any, Any, int]
"""Its id, the entity's key, the state, when in seconds since 1970, the context's id, and who did it."""
AUTOMATION, PERSON, DEVICE = 2, 1, 0  # who changed it, as far as the row tells


class TrackedEntity:
    """What is known of one entity while its changes go by."""

    __slots__ = ("acts", "changes", "domain", "entity_id", "hours", "key", "keys", "lost", "plain", "state")

    def __init__(self, entity_id: str, *, plain: bool = False) -> None:
        self.entity_id, self.domain = entity_id, domain_of(entity_id)
        self.acts = self.domain in _ACTING
        self.plain = plain or (self.domain in _NO_TRIGGERS and not self.acts)  # only its activity counts
        self.state: State = None  # the last one known, as the database spells it
        self.lost = False  # nothing was known of it since
        self.changes = 0
        self.hours = [0] * 24
        self.keys: dict[State, int | None] = {}
        self.key: int | None = None


class Following:
    """Learns from changes what is operated after what.

    Args:
        zone: The home's time zone, for the hours of the day.
        plain: Entities of which only the activity counts, such as hidden ones and those that mirror others.
    """

    def __init__(self, zone: tzinfo = UTC, plain: Collection[str] = ()) -> None:
        self._zone, self._plain = zone, frozenset(plain)
        self._entities: dict[str, TrackedEntity] = {}
        self.full = False  # more operations than OPERATIONS_KEPT: the first of them count
        self.timeless = 0  # rows whose time is none
        self._slot_from = self._slot_to = 0.0
        self._slot = self._hour = 0
        self._seen: defaultdict[int, int] = defaultdict(int)  # day -> a bit for each slot that something happened in
        # Keys are numbers of (entity, state).
        self._meaning: list[tuple[TrackedEntity, str]] = []
        self._entered: list[float] = []
        self._changed_by: list[list[int]] = []
        self._triggers: defaultdict[int, array[int]] = defaultdict(lambda: array("I", [0] * SLOTS))
        self._before: defaultdict[tuple[int, int, int], list[int]] = defaultdict(lambda: [0] * len(WINDOWS))
        self._near_triggers: OrderedDict[int, tuple[float, Any]] = OrderedDict()
        self._near_operations: OrderedDict[tuple[int, int], tuple[float, Any]] = OrderedDict()
        self._acts: OrderedDict[Any, None] = OrderedDict()
        # Operations in columns; those of their triggers begin at ``_first``.
        self._action, self._by, self._when, self._slot_of = array("I"), array("b"), array("d"), array("H")
        self._first, self._trigger, self._delay = array("I", [0]), array("I"), array("f")

    def entity(self, entity_id: str) -> TrackedEntity:
        """The one object that stands for ``entity_id`` in the rows of ``add``."""
        tracked = self._entities.get(entity_id)
        if tracked is None:
            tracked = self._entities[entity_id] = TrackedEntity(entity_id, plain=entity_id in self._plain)
        return tracked

    def add(self, rows: Iterable[Row], tracked: Mapping[Any, TrackedEntity | None]) -> None:
        """Take rows in order of time; ``tracked`` has the entity of each key, None where it is none."""
        absent, start, end = ABSENT, self._slot_from, self._slot_to
        for _, key, state, when, context, by in rows:
            entity = tracked[key]
            if entity is None:
                continue
            try:
                if not start <= when < end:
                    self._enter_slot(when)
                    start, end = self._slot_from, self._slot_to
            except (TypeError, ValueError, OverflowError, OSError):
                self.timeless += 1
                continue
            if state == entity.state:
                entity.lost = False
                if entity.acts:
                    self._has_acted(context)
            elif state in absent:
                entity.lost = True
            elif entity.state is None:
                entity.state, entity.lost = state, False
                if not entity.plain:
                    entity.key = self._key(entity, state)
            else:
                entity.state = state
                entity.changes += 1
                entity.hours[self._hour] += 1
                if not entity.plain:
                    self._changed(entity, state, when, context, by)

    def _enter_slot(self, when: float) -> None:
        number = math.floor(when / SLOT_SECONDS)
        local = datetime.fromtimestamp(number * SLOT_SECONDS, self._zone)
        self._slot_from, self._slot_to = number * SLOT_SECONDS, (number + 1) * SLOT_SECONDS
        self._hour = local.hour
        self._slot = (local.hour * 3_600 + local.minute * 60) // SLOT_SECONDS
        self._seen[local.toordinal()] |= 1 << self._slot

    def _key(self, entity: TrackedEntity, state: State) -> int | None:
        """The number of (entity, state); None where no trigger and no result can be told from it."""
        if state in entity.keys:
            return entity.keys[state]
        text = state.decode("utf-8", "replace") if isinstance(state, bytes) else str(state)
        key: int | None = None
        if entity.domain in _TIMED:
            text = ACTIVATED
        elif _is_number(text) or len(entity.keys) >= STATES_KEPT:
            entity.plain = True
            entity.keys.clear()
            return None
        text = _ON_THE_WAY.get(text, text)
        key = next((k for k in entity.keys.values() if k is not None and self._meaning[k][1] == text), None)
        if key is None:
            key = len(self._meaning)
            self._meaning.append((entity, text))
            self._entered.append(-math.inf)
            self._changed_by.append([0, 0, 0])
        if entity.domain not in _TIMED or not entity.keys:
            entity.keys[state] = key
        return key

    def _has_acted(self, context: Any) -> None:
        if context is not None:
            self._acts[context] = None
            if len(self._acts) > CONTEXTS_KEPT:
                self._acts.popitem(last=False)

    def _changed(self, entity: TrackedEntity, state: State, when: float, context: Any, by: int) -> None:
        key, before = self._key(entity, state), entity.key
        entity.key = key
        lost, entity.lost = entity.lost, False
        if by != AUTOMATION and context in self._acts:
            by = AUTOMATION
        if entity.acts:
            self._has_acted(context)
        if lost or key is None or (key == before and entity.domain not in _TIMED):
            return
        self._changed_by[key][by] += 1
        operates = entity.domain in OPERATED if by == PERSON else entity.domain in BY_HAND and by == DEVICE
        if operates and self._meaning[key][1] not in _ON_ITS_OWN:
            self._operated(key, when, context, by)
        if not entity.acts or entity.domain == "scene":
            self._triggered(key, when, context)

    def _operated(self, key: int, when: float, context: Any, by: int) -> None:
        if len(self._action) >= OPERATIONS_KEPT:
            self.full = True
            return
        entity = self._meaning[key][0]
        for trigger, (entered, act) in reversed(self._near_triggers.items()):
            delay = when - entered
            if delay > WINDOWS[-1]:
                break
            if delay >= REACTION_SECONDS and act != context and self._meaning[trigger][0] is not entity:
                self._trigger.append(trigger)
                self._delay.append(delay)
        self._action.append(key)
        self._by.append(by)
        self._when.append(when)
        self._slot_of.append(self._slot)
        self._first.append(len(self._trigger))
        _remember(self._near_operations, (key, by), (when, context))

    def _triggered(self, key: int, when: float, context: Any) -> None:
        quiet = when - self._entered[key]
        self._entered[key] = when
        if quiet <= QUIET_SECONDS or self.full:
            return
        self._triggers[key][self._slot] += 1
        entity = self._meaning[key][0]
        for (action, by), (done, act) in reversed(self._near_operations.items()):
            gap = when - done
            if gap > WINDOWS[-1]:
                break
            if gap >= REACTION_SECONDS and act != context and self._meaning[action][0] is not entity:
                counts = self._before[key, action, by]
                for number, window in enumerate(WINDOWS):
                    counts[number] += gap <= window
        _remember(self._near_triggers, key, (when, context))

    @property
    def days(self) -> float:
        """Days that were recorded, to five minutes."""
        return sum(seen.bit_count() for seen in self._recorded()) / SLOTS

    def _recorded(self) -> Iterator[int]:
        """For each day that something happened on, a bit for each slot that was recorded: a quiet night is."""
        for day, seen in self._seen.items():
            first = 0 if day - 1 in self._seen else (seen & -seen).bit_length() - 1
            last = SLOTS if day + 1 in self._seen else seen.bit_length()
            yield (1 << last) - (1 << first)

    def activity(self) -> tuple[Activity, ...]:
        """How often and when each entity changed, sorted by its id."""
        return tuple(
            Activity(entity.entity_id, entity.changes, tuple(entity.hours))
            for _, entity in sorted(self._entities.items())
        )

    def observed(self) -> tuple[ObservedPair, ...]:
        """The pairs beyond chance, sorted by their entities and states."""
        operations = self._operations()
        possible = sum(len(self._triggers) * len(WINDOWS) for done in operations.values() if len(done) >= MIN_COUNT)
        recorded = list(self._recorded())
        exposure = [sum(seen >> slot & 1 for seen in recorded) for slot in range(SLOTS)]
        found: dict[int, list[_Candidate]] = {}
        for action, done in operations.items():
            if len(done) >= MIN_COUNT:
                found[action] = list(self._candidates(action, done, exposure))
        level = _highest_accepted([c.log_p for candidates in found.values() for c in candidates], possible)
        pairs = []
        for action, candidates in found.items():
            entity, result = self._meaning[action]
            for best in _last_relevant([c for c in candidates if c.log_p <= level], lambda key: self._meaning[key][0]):
                trigger, state = self._meaning[best.trigger]
                pairs.append(
                    ObservedPair(
                        trigger=trigger.entity_id,
                        action=entity.entity_id,
                        state=state,
                        result=result,
                        count=best.count,
                        triggers=best.triggers,
                        lift=best.lift,
                        window=best.window,
                        days=self.days,
                    )
                )
        return tuple(sorted(pairs, key=lambda pair: (pair.trigger, pair.action, pair.state, pair.result)))

    def _operations(self) -> dict[int, list[int]]:
        """Action -> its operations by a person, in order of time."""
        done: defaultdict[int, list[int]] = defaultdict(list)
        for number, (action, by) in enumerate(zip(self._action, self._by, strict=True)):
            if by == PERSON or self._counts_by_hand(action):
                done[action].append(number)
        return done

    def _counts_by_hand(self, action: int) -> bool:
        by = self._changed_by[action]
        return self._meaning[action][0].domain in BY_HAND and by[AUTOMATION] <= AUTOMATED_SHARE * sum(by)

    def _candidates(self, action: int, done: Sequence[int], exposure: Sequence[int]) -> Iterator[_Candidate]:
        """The triggers of one action, each with its best window, that pass all but the false discovery rate."""
        hits: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        for number in done:
            for place in range(self._first[number], self._first[number + 1]):
                hits[self._trigger[place]].append((number, self._delay[place]))
        rates, days = self._rates(done, exposure), self.days
        by_hand = self._counts_by_hand(action)
        for trigger, followed in hits.items():
            # Each trigger is followed once, however often the action is repeated after it.
            first = {round(self._when[number] - delay, 1): (number, delay) for number, delay in reversed(followed)}
            if len(first) < MIN_COUNT:
                continue
            slots = self._triggers[trigger]
            triggers = sum(slots)
            befores = [
                self._before.get((trigger, action, by), _NO_COUNTS)
                for by in ((PERSON, DEVICE) if by_hand else (PERSON,))
            ]
            best: _Candidate | None = None
            for number, window in enumerate(WINDOWS):
                inside = [hit for hit in first.values() if hit[1] <= window]
                count = len(inside)
                if count < MIN_COUNT or count < MIN_SHARE * triggers:
                    continue
                hourly, close = (
                    sum(n * -math.expm1(-rate * window) for n, rate in zip(slots, rates[scale], strict=True) if n)
                    for scale in (HOUR_AROUND, _just_after(window))
                )
                # At the close scale the habit's own days weigh: they are left out.
                own = count * window / (SLOT_SECONDS * (1 + _just_after(window)[1]))
                expected = max(hourly, (close * days - own) / max(1.0, days - 1))
                if count < MIN_LIFT * expected:
                    continue
                before = sum(counts[number] for counts in befores)
                if _log_upper_tail(count, count + before, 0.5) > math.log(ORDER_LEVEL):
                    continue
                log_p = _log_upper_tail(count, triggers, expected / triggers)
                if best is None or log_p < best.log_p:
                    best = _Candidate(
                        trigger,
                        triggers,
                        window,
                        expected,
                        count,
                        log_p,
                        frozenset(dict(inside)),
                        sum(delay for _, delay in inside) / count,
                    )
            if best is not None:
                yield best

    def _rates(self, done: Sequence[int], exposure: Sequence[int]) -> dict[tuple[int, int], list[float]]:
        """For each scale, how often a second the action is done in each slot of the day; one more than was counted.

        ``exposure`` says on how many days each slot was recorded.
        """
        counts = Counter(self._slot_of[number] for number in done)
        rates = {}
        for low, high in {HOUR_AROUND, *map(_just_after, WINDOWS)}:
            near = [[(slot + shift) % SLOTS for shift in range(low, high + 1)] for slot in range(SLOTS)]
            rates[low, high] = [
                (1 + sum(counts[s] for s in slots)) / (SLOT_SECONDS * max(1, sum(exposure[s] for s in slots)))
                for slots in near
            ]
        return rates


def _just_after(window: float) -> tuple[int, int]:
    """The slots that a window reaches into from the trigger's own."""
    return 0, math.ceil(window / SLOT_SECONDS)


@dataclass(frozen=True)
class _Candidate:
    """A trigger of one action, with the operations that followed it and their mean delay."""

    trigger: int
    triggers: int
    window: float
    expected: float
    count: int
    log_p: float
    operations: frozenset[int]
    delay: float

    @property
    def lift(self) -> float:
        return self.count / self.expected


_NO_COUNTS = [0] * len(WINDOWS)


def _last_relevant(candidates: Sequence[_Candidate], entity_of: Callable[[int], object]) -> Iterator[_Candidate]:
    """Those that explain operations which no more significant one explains."""
    explained: set[int] = set()
    for best in sorted(candidates, key=lambda c: (c.log_p, c.trigger)):
        rest = best.operations - explained
        if len(rest) < MIN_COUNT:
            continue
        by_chance = _log_upper_tail(len(rest), best.triggers, best.expected / best.triggers)
        if by_chance > math.log(RESIDUAL_LEVEL):
            continue
        # A motion sensor goes off soon after it went on: the first of two states that explain the same is the cause.
        same = [c for c in candidates if entity_of(c.trigger) is entity_of(best.trigger) and c.delay >= best.delay]
        same = [c for c in same if len(c.operations & best.operations) >= SAME_SHARE * best.count]
        yield max(same, key=lambda c: (c.delay, c.trigger))
        for one in same:
            explained |= one.operations


def _remember(near: OrderedDict[Any, Any], key: Any, value: Any) -> None:
    near[key] = value
    near.move_to_end(key)
    if len(near) > NEAR:
        near.popitem(last=False)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _highest_accepted(log_ps: Sequence[float], tests: int) -> float:
    """The level of Benjamini and Hochberg, as a logarithm, for ``tests`` tests of which ``log_ps`` are the smallest."""
    level = -math.inf
    for rank, log_p in enumerate(sorted(log_ps), start=1):
        if log_p <= math.log(FALSE_DISCOVERIES * rank / tests):
            level = log_p
    return level


def _log_upper_tail(count: int, trials: int, p: float) -> float:
    """The logarithm of the probability of ``count`` successes or more in ``trials``, each of probability ``p`` > 0."""
    if count <= 0 or p >= 1:
        return 0.0
    ways = math.lgamma(trials + 1) - math.lgamma(count + 1) - math.lgamma(trials - count + 1)
    first = ways + count * math.log(p) + (trials - count) * math.log1p(-p)
    # The terms after it, each in units of the first.
    term = total = 1.0
    for k in range(count, trials):
        term *= (trials - k) / (k + 1) * p / (1 - p)
        total += term
        if term < total * 1e-12:
            break
    return min(0.0, first + math.log(total))
