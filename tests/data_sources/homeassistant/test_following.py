"""What follows what: a habit is found, and nothing that only looks like one."""

from __future__ import annotations

import random
from collections.abc import Iterable
from zoneinfo import ZoneInfo

import pytest

from data_sources.homeassistant.following import AUTOMATION, DEVICE, PERSON, Following
from data_sources.records import ObservedPair
from simulation.habits import DAY, HOUR, MINUTE, START, simulate

Happening = tuple[float, str, str, int]  # seconds, entity, state, who
Told = tuple[float, str, str, bytes, int]


def follow(happenings: Iterable[Happening | Told], **options: object) -> Following:
    """Feed what happened, each an act of its own unless a context is given."""
    following = Following(**options)  # type: ignore[arg-type]
    told = sorted(happenings, key=lambda one: one[0])
    rows = [
        (number, one[1], one[2], START + one[0], one[3] if len(one) == 5 else number, one[-1])
        for number, one in enumerate(told)
    ]
    following.add(rows, {one[1]: following.entity(one[1]) for one in told})
    return following


def names(pairs: Iterable[ObservedPair]) -> set[tuple[str, str]]:
    return {(f"{p.trigger} {p.state}", f"{p.action} {p.result}") for p in pairs}


def pulse(when: float, entity: str, who: int = DEVICE, seconds: float = 20.0) -> list[Happening]:
    return [(when, entity, "on", who), (when + seconds, entity, "off", who)]


def lamp(when: float, who: int = PERSON, entity: str = "light.desk") -> list[Happening]:
    return [(when, entity, "on", who), (when + HOUR, entity, "off", AUTOMATION)]


def times(days: int = 30, spread: float = 6 * HOUR, seed: int = 1) -> list[float]:
    """A moment of each day, around noon."""
    chance = random.Random(seed)
    return [day * DAY + DAY / 2 + chance.uniform(-spread, spread) for day in range(days)]


def beginning(*entities: str, days: int = 30) -> list[Happening]:
    """The first state of each entity, and a sensor that shows that the recorder ran."""
    ticks = [(quarter * 15 * MINUTE, "sensor.power", str(quarter % 7), DEVICE) for quarter in range(days * 96)]
    return [*((0.0, entity, "off", DEVICE) for entity in entities), *ticks]


DOOR, DESK = "binary_sensor.door", "light.desk"


def test_a_habit_is_found_with_its_counts() -> None:
    happened = beginning(DOOR, DESK)
    for number, when in enumerate(times()):
        happened += pulse(when, DOOR)
        happened += lamp(when + 30) if number % 3 else []
    (pair,) = follow(happened).observed()
    assert (pair.trigger, pair.state, pair.action, pair.result) == (DOOR, "on", DESK, "on")
    assert (pair.count, pair.triggers, pair.window) == (20, 30, 60.0)
    assert pair.lift > 20
    assert pair.days == pytest.approx(30, abs=0.1)


@pytest.mark.parametrize("who", [AUTOMATION, DEVICE])
def test_what_an_automation_did_is_no_habit(who: int) -> None:
    """An automation that a time triggered leaves no parent: its own row has the context of what it did."""
    happened: list[Happening | Told] = [*beginning(DOOR, DESK), (1.0, "automation.desk", "on", DEVICE)]
    for number, when in enumerate(times()):
        act = b"%d" % number
        happened += pulse(when, DOOR)
        if who == DEVICE:
            happened.append((when + 29.9, "automation.desk", "on", act, DEVICE))
        happened += [(when + 30, DESK, "on", act, who), (when + HOUR, DESK, "off", DEVICE)]
    assert follow(happened).observed() == ()


def test_of_a_scene_and_its_lights_the_scene_was_used() -> None:
    happened: list[Happening | Told] = [*beginning(DOOR, DESK), (0.0, "scene.work", "2026-01-01T00:00:00", DEVICE)]
    for number, when in enumerate(times()):
        act = b"%d" % number
        happened += pulse(when, DOOR)
        happened.append((when + 30, "scene.work", f"2026-03-01T{number:02}:00:00", act, PERSON))
        happened += [(when + 30.1, DESK, "on", act, PERSON), (when + HOUR, DESK, "off", AUTOMATION)]
    assert names(follow(happened).observed()) == {(f"{DOOR} on", "scene.work activated")}


def test_a_wall_switch_counts_where_no_automation_drives_the_light() -> None:
    def happened(automated: bool) -> list[Happening]:
        all_of_it = beginning(DOOR, DESK)
        for when in times():
            all_of_it += pulse(when, DOOR) + lamp(when + 30, DEVICE)
            all_of_it += lamp(when + 4 * HOUR, AUTOMATION) if automated else []
        return all_of_it

    assert names(follow(happened(automated=False)).observed()) == {(f"{DOOR} on", f"{DESK} on")}
    assert follow(happened(automated=True)).observed() == ()


def test_a_daily_rhythm_is_no_habit() -> None:
    """Coffee and radio are switched at about seven, each for itself."""
    for seed in range(5):
        happened = beginning("switch.coffee", "switch.radio")
        for entity, minutes in (("switch.coffee", 0), ("switch.radio", 2)):
            for when in times(spread=8 * MINUTE, seed=7 * seed + minutes):
                happened += pulse(when + minutes * MINUTE, entity, PERSON, seconds=HOUR)
        assert follow(happened).observed() == ()


def test_what_comes_in_bursts_is_no_habit() -> None:
    """Somebody comes home at any time and uses five things in any order."""
    things = [f"switch.thing_{number}" for number in range(5)]
    found = 0
    for seed in range(5):
        chance = random.Random(seed)
        happened = beginning(*things)
        for when in times(seed=seed):
            for entity in chance.sample(things, 5):
                when += chance.uniform(5, 60)
                happened += pulse(when, entity, PERSON, seconds=HOUR)
        found += len(follow(happened).observed())
    assert found <= 0.05 * 5 * 40, "of 40 ordered pairs in each home"


def test_of_a_chain_the_last_relevant_thing_is_the_trigger() -> None:
    chance = random.Random(3)
    happened = beginning(DOOR, DESK, "switch.radio")
    for when in times():
        happened += pulse(when, DOOR)
        if chance.random() < 0.8:
            happened += lamp(when + 30)
            happened += lamp(when + 50, entity="switch.radio") if chance.random() < 0.8 else []
    assert names(follow(happened).observed()) == {(f"{DOOR} on", f"{DESK} on"), (f"{DESK} on", "switch.radio on")}


def test_a_sensor_that_flaps_triggers_once() -> None:
    happened = beginning("binary_sensor.motion", DESK)
    for when in times():
        happened += lamp(when + 15)
        for flap in range(30):
            happened += pulse(when + flap * MINUTE, "binary_sensor.motion")
    (pair,) = follow(happened).observed()
    assert (pair.state, pair.count, pair.triggers) == ("on", 30, 30)


def test_what_changes_at_once_is_one_thing() -> None:
    happened: list[Happening | Told] = [*beginning("light.a", "light.b", "light.c")]
    for number, when in enumerate(times()):
        act = b"%d" % number
        happened += [(when, "light.a", "on", act, PERSON), (when + 2, "light.b", "on", act, PERSON)]  # one call
        happened += pulse(when + 2.4, "light.c", DEVICE, seconds=HOUR)  # bound to light.b
        happened += [(when + HOUR, name, "off", AUTOMATION) for name in ("light.a", "light.b")]
    assert ("light.a on", "light.b on") not in names(follow(happened).observed())
    assert ("light.b on", "light.c on") not in names(follow(happened).observed())


def test_numbers_texts_and_mirrors_are_no_triggers() -> None:
    happened = beginning(DESK, "light.group")
    happened += [(0.0, "sensor.level", "0", DEVICE), (0.0, "sensor.song", "a", DEVICE)]
    for number, when in enumerate(times(days=40)):
        happened += [(when, "sensor.level", str(number + 1), DEVICE), (when, "sensor.song", f"title {number}", DEVICE)]
        happened += pulse(when + 10, "light.group", PERSON, seconds=HOUR) + lamp(when + 30)
    following = follow(happened, plain={"light.group"})
    assert following.observed() == ()
    assert {one.entity_id: one.changes for one in following.activity()}["light.group"] == 80


def test_a_way_to_a_state_is_that_state() -> None:
    happened = [*beginning(DOOR), (0.0, "cover.blind", "open", DEVICE)]
    for when in times():
        happened += pulse(when, DOOR)
        happened += [(when + 30, "cover.blind", "closing", PERSON), (when + 50, "cover.blind", "closed", DEVICE)]
        happened += [(when + HOUR, "cover.blind", "opening", AUTOMATION), (when + HOUR + 20, "cover.blind", "open", 2)]
    (pair,) = follow(happened).observed()
    assert (pair.action, pair.result, pair.count) == ("cover.blind", "closed", 30)


def test_unknown_states_are_no_changes() -> None:
    states = ("off", "unavailable", "off", "on", "unknown", "", "off", "on")
    (only,) = follow([(n * HOUR, "light.a", state, DEVICE) for n, state in enumerate(states)]).activity()
    assert only.changes == 3


def test_coming_back_into_another_state_is_no_trigger() -> None:
    happened = beginning(DOOR, DESK)
    for when in times():
        happened += [(when - 1, DOOR, "unavailable", DEVICE), *pulse(when, DOOR), *lamp(when + 30)]
    assert (f"{DOOR} on", f"{DESK} on") not in names(follow(happened).observed())


def test_hours_are_those_of_the_home() -> None:
    """The clocks of Berlin went forward on the 29th of March 2026."""
    noons = [day * DAY + 11 * HOUR for day in (0, 10, 27, 28, 40)]
    happened = [(0.0, DESK, "off", DEVICE)]
    happened += [(when, DESK, ("on", "off")[number % 2], DEVICE) for number, when in enumerate(noons)]
    (only,) = follow(happened, zone=ZoneInfo("Europe/Berlin")).activity()
    assert {hour: count for hour, count in enumerate(only.hours) if count} == {12: 3, 13: 2}


@pytest.mark.parametrize("when", [None, b"noon", float("nan"), float("inf"), -1e18, 1e300])
def test_a_row_without_a_time_is_counted(when: object) -> None:
    following = Following()
    tracked = {1: following.entity("light.a"), 2: None}
    following.add([(1, 1, "on", START, None, 0), (2, 1, "off", when, None, 0), (3, 2, "x", START, None, 0)], tracked)
    assert following.timeless == 1
    assert [one.changes for one in following.activity()] == [0]


def found_again(seed: int, days: int) -> tuple[int, int, int, int]:
    """Pairs that were planted, pairs found, and of habits that showed 8 times or more: those found, all."""
    home = simulate(seed, days, chatter=DAY)
    following = Following(plain={"light.living_group"})
    tracked = {change.entity_id: following.entity(change.entity_id) for change in home.changes}
    following.add(
        (
            (number, c.entity_id, c.state, c.when, c.context, AUTOMATION if c.parent else PERSON if c.user else DEVICE)
            for number, c in enumerate(home.changes)
        ),
        tracked,
    )
    pairs = {(pair.trigger, pair.state, pair.action, pair.result) for pair in following.observed()}
    planted = {habit.key for habit in home.habits}
    often = {habit.key for habit in home.habits if habit.count >= 8}
    return len(pairs & planted), len(pairs), len(pairs & often), len(often)


def test_habits_of_ten_days_are_found_again() -> None:
    right, found, again, often = found_again(3, days=10)
    assert found >= 4
    assert right / found >= 0.8
    assert again / often >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("days", [10, 30])
def test_precision_and_recall_over_many_homes(days: int) -> None:
    right, found, again, often = map(sum, zip(*(found_again(seed, days) for seed in range(100, 112)), strict=True))
    assert found > 50
    assert right / found >= 0.9
    assert again / often >= 0.8
