"""Weeks of a simulated home as a recorder sees them: people with habits, automations, wall switches and sensors.

A habit is "when A comes into a state, somebody brings B into another one soon after, with some probability". Around the
habits stand what must not be taken for one: things done at the same time every day, things done in bursts after coming
home, what automations do, groups and scenes, motion sensors that flap, and sensors that chatter.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

ROOMS = ("kitchen", "living_room", "bedroom", "bathroom", "hall", "office", "garage")
START = 1_772_323_200.0  # 2026-03-01 00:00 UTC
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0
USERS = (bytes(range(16)), bytes(range(16, 32)))


class Change(NamedTuple):
    """A row of the recorder: when (seconds since 1970), which entity, into which state, and who did it.

    ``context`` is the id of the act, ``user`` who did it by hand, ``parent`` the act that an automation answered.
    """

    when: float
    entity_id: str
    state: str
    context: bytes
    user: bytes | None = None
    parent: bytes | None = None


@dataclass
class PlantedHabit:
    """``action`` follows ``trigger`` with ``probability``; ``delay`` is the median in seconds.

    ``count`` is how often the habit showed: not where ``action`` was in that state already.
    """

    trigger: str
    state: str
    action: str
    result: str
    probability: float
    delay: float
    count: int = 0

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Trigger, its state, action, its state; a button's state is a time, and stands as ``activated``."""
        state = "activated" if self.trigger.startswith("input_button.") else self.state
        return self.trigger, state, self.action, self.result


@dataclass
class SimulatedHome:
    """What the recorder would hold, in order of time, and the habits that are in it."""

    changes: list[Change]
    habits: list[PlantedHabit]


TRIGGERS = (
    ("binary_sensor.bathroom_motion", "on"),
    ("binary_sensor.office_motion", "on"),
    ("binary_sensor.garage_door", "on"),
    ("binary_sensor.front_door", "on"),
    ("binary_sensor.bedroom_window", "on"),
    ("binary_sensor.balcony_door", "off"),
    ("media_player.tv", "playing"),
    ("media_player.tv", "off"),
    ("person.ada", "home"),
    ("person.ben", "home"),
    ("switch.coffee_machine", "on"),
    ("light.desk", "on"),
    ("cover.bedroom", "closed"),
    ("input_button.good_night", "pressed"),
    ("binary_sensor.washing_machine", "off"),
)
ACTIONS = (
    ("light.desk", "on", "off"),
    ("light.sofa", "on", "off"),
    ("light.mirror", "on", "off"),
    ("light.bedside", "on", "off"),
    ("light.counter", "on", "off"),
    ("light.workbench", "on", "off"),
    ("switch.radio", "on", "off"),
    ("switch.monitor", "on", "off"),
    ("switch.towel_heater", "on", "off"),
    ("fan.bathroom", "on", "off"),
    ("fan.bedroom", "on", "off"),
    ("climate.living_room", "heat", "off"),
    ("climate.office", "heat", "off"),
    ("lock.front_door", "locked", "unlocked"),
    ("media_player.speaker", "playing", "off"),
    ("cover.living_room", "closed", "open"),
    ("humidifier.bedroom", "on", "off"),
    ("input_boolean.guests", "on", "off"),
)
ROUTINE = (("switch.coffee_machine", 7.0), ("switch.radio", 7.1), ("light.counter", 7.05), ("light.sofa", 19.0))
MIRRORS = ("light.living_group",)
"""Entities that only show others again."""
WALL_SWITCHES = ("light.workbench", "light.mirror", "fan.bathroom")


@dataclass
class _Home:
    chance: Random
    days: int
    habits: list[PlantedHabit]
    states: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    queue: list[tuple[float, int, Callable[[float], None]]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)
    undo: dict[str, str] = field(default_factory=lambda: {entity: idle for entity, _, idle in ACTIONS})

    def at(self, when: float, act: Callable[[float], None]) -> None:
        if when < START + self.days * DAY:
            heapq.heappush(self.queue, (when, next(self.numbers), act))

    def new_context(self) -> bytes:
        return self.chance.randbytes(16)

    def put(
        self,
        when: float,
        entity_id: str,
        state: str,
        context: bytes | None = None,
        user: bytes | None = None,
        parent: bytes | None = None,
    ) -> bool:
        """Bring an entity into a state, and whatever follows from it. False where it was in that state."""
        if self.states.get(entity_id) == state and not entity_id.startswith("input_button."):
            return False
        self.states[entity_id] = state
        context = context or self.new_context()
        told = f"2026-03-01T{when:.6f}" if entity_id.startswith("input_button.") else state
        self.changes.append(Change(when, entity_id, told, context, user, parent))
        self._automations(when, entity_id, state, context)
        for habit in self.habits:
            if (habit.trigger, habit.state) == (entity_id, state) and self.chance.random() < habit.probability:
                delay = habit.delay * math.exp(self.chance.gauss(0, 0.4))
                self.at(when + delay, lambda now, habit=habit: self._follow(now, habit))  # type: ignore[misc]
        return True

    def by_person(self, when: float, entity_id: str, state: str) -> bool:
        user = None if entity_id in WALL_SWITCHES else self.chance.choice(USERS)
        done = self.put(when, entity_id, state, user=user)
        idle = self.undo.get(entity_id)
        if done and idle is not None and state != idle:
            later = when + self.chance.uniform(20 * MINUTE, 150 * MINUTE)
            self.at(later, lambda now: void(self.by_person(now, entity_id, idle)))
        return done

    def _follow(self, when: float, habit: PlantedHabit) -> None:
        habit.count += self.by_person(when, habit.action, habit.result)

    def _automations(self, when: float, entity_id: str, state: str, cause: bytes) -> None:
        """Three automations: light by motion, all off when everybody left, a fan by humidity; and a light group."""
        context = self.new_context()
        if entity_id == "binary_sensor.hall_motion":
            self.put(when + 0.05, "automation.hall_light", "on" if state == "on" else "off", context, None, cause)
            self.put(when + 0.2, "light.hall", state, context, None, cause)
        elif entity_id.startswith("person.") and state == "not_home":
            if all(self.states.get(f"person.{name}") == "not_home" for name in ("ada", "ben")):
                for number, (entity, idle) in enumerate(self.undo.items()):
                    self.put(when + 1 + number / 100, entity, idle, context, None, cause)
        elif entity_id in ("light.sofa", "light.desk"):
            lit = "on" if "on" in (self.states.get("light.sofa"), self.states.get("light.desk")) else "off"
            self.put(when + 0.01, "light.living_group", lit, cause)

    def day(self, number: int) -> None:
        """What one day brings, as far as it is not a consequence of something else."""
        chance, midnight = self.chance, START + number * DAY

        def clock(hour: float, spread: float) -> float:
            return midnight + hour * HOUR + chance.gauss(0, spread * MINUTE)

        weekend = number % 7 in (0, 6)
        for person, leaves, returns in (("ada", 8.3, 17.0), ("ben", 9.0, 18.3)):
            if not weekend or chance.random() < 0.5:
                away, back = clock(leaves, 25), clock(returns, 50)
                self.at(away, lambda now, p=person: void(self.put(now, f"person.{p}", "not_home")))  # type: ignore[misc]
                self.at(back, lambda now, p=person: void(self.put(now, f"person.{p}", "home")))  # type: ignore[misc]
                for when in (away, back):
                    self.contact(when - chance.uniform(5, 40), "binary_sensor.front_door", 15)
                # A burst of unrelated things after coming home.
                for entity, busy, _ in chance.sample(ACTIONS, 2):
                    self.do(back + chance.uniform(30, 900), entity, busy)
        awake = (clock(6.8, 20), clock(23.0, 30))
        for room in ROOMS:
            when = awake[0]
            while (when := when + chance.expovariate(1 / (70 * MINUTE))) < awake[1]:
                self.motion(when, f"binary_sensor.{room}_motion")
        for entity, _hour in ROUTINE:
            busy = next((busy for name, busy, _ in ACTIONS if name == entity), "on")
            self.do(clock(_hour, 8), entity, busy)
        self.at(clock(9.0, 60), lambda now: void(self.by_person(now, "switch.coffee_machine", "off")))
        for entity, busy, idle in ACTIONS:
            for _ in range(chance.choice((0, 1, 1, 2))):
                self.do(chance.uniform(*awake), entity, chance.choice((busy, busy, idle)))
        for contact, times in (("garage_door", 3), ("bedroom_window", 2), ("balcony_door", 4), ("front_door", 2)):
            for _ in range(chance.randint(1, times)):
                self.contact(chance.uniform(*awake), f"binary_sensor.{contact}", chance.uniform(10, 20 * MINUTE))
        for _ in range(chance.randint(1, 2)):
            self.contact(chance.uniform(awake[0], awake[1] - 3 * HOUR), "binary_sensor.washing_machine", 1.5 * HOUR)
        evening = clock(19.5, 60)
        self.do(evening, "media_player.tv", "playing")
        self.do(evening + chance.uniform(1, 3) * HOUR, "media_player.tv", "off")
        self.do(clock(21.5, 60), "cover.bedroom", "closed")
        self.do(clock(7.5, 30), "cover.bedroom", "open")
        self.do(awake[1] - chance.uniform(0, 30) * MINUTE, "input_button.good_night", "pressed")
        self.at(clock(6.5, 2), lambda now: void(self.put(now, "sun.sun", "above_horizon")))
        self.at(clock(18.2, 2), lambda now: void(self.put(now, "sun.sun", "below_horizon")))

    def do(self, when: float, entity_id: str, state: str) -> None:
        self.at(when, lambda now: void(self.by_person(now, entity_id, state)))

    def contact(self, when: float, entity_id: str, seconds: float) -> None:
        self.at(when, lambda now: void(self.put(now, entity_id, "on")))
        self.at(when + seconds, lambda now: void(self.put(now, entity_id, "off")))

    def motion(self, when: float, entity_id: str) -> None:
        """Somebody is in the room: the sensor flaps."""
        for _ in range(self.chance.randint(1, 8)):
            self.contact(when, entity_id, 25)
            when += self.chance.uniform(40, 110)

    def chatter(self, entity_id: str, seconds: float) -> None:
        value = 20.0
        when = START
        while when < START + self.days * DAY:
            value += self.chance.gauss(0, 0.2)
            self.changes.append(Change(when, entity_id, f"{value:.2f}", self.new_context()))
            when += self.chance.expovariate(1 / seconds)


def void(_: object) -> None:
    """Drop a result, so that an act can be queued."""


def simulate(seed: int, days: int = 30, habits: int = 10, chatter: float = 300.0) -> SimulatedHome:
    """A home with about 50 entities over ``days`` days; ``chatter``: mean seconds between values of a sensor."""
    chance = Random(seed)
    planted: list[PlantedHabit] = []
    taken: Counter[str] = Counter()
    while len(planted) < habits:
        (trigger, state), (action, result, idle) = chance.choice(TRIGGERS), chance.choice(ACTIONS)
        if trigger == action or taken[action] or taken[trigger, state] > 1:  # type: ignore[index]
            continue
        taken[action] += 1
        taken[trigger, state] += 1  # type: ignore[index]
        result = idle if chance.random() < 0.15 else result
        delay = math.exp(chance.uniform(math.log(5), math.log(200)))
        planted.append(PlantedHabit(trigger, state, action, result, chance.uniform(0.4, 0.95), delay))
    home = _Home(chance, days, planted)
    for entity, _, idle in ACTIONS:
        home.put(START, entity, idle)
    for person in ("ada", "ben"):
        home.put(START, f"person.{person}", "home")
    for number in range(days):
        home.day(number)
    while home.queue:
        when, _, act = heapq.heappop(home.queue)
        act(when)
    for room in ROOMS:
        home.chatter(f"sensor.{room}_temperature", chatter)
        home.chatter(f"sensor.{room}_humidity", chatter * 2)
    for plug in ("tv", "fridge", "washer", "dryer"):
        home.chatter(f"sensor.{plug}_power", chatter / 3)
    home.changes.sort(key=lambda change: change.when)
    return SimulatedHome(home.changes, planted)
