"""Read a request word by word, and write the automation that it asks for.

Nothing here is learnt. Every word of the request has to mean something (``home_assistant.request_words``) or name
something of the home, and every name has to mean one thing. Otherwise there is no answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from home_assistant.domains import CLASS_OF_WORD
from home_assistant.household_words import places_of
from home_assistant.request_words import BEING, THING_DOMAINS, tokens_said
from home_assistant.services import why_not
from training.automations.commands import ARMED, VERBS, Command, command_of, is_again
from training.automations.home_index import HomeIndex
from training.automations.naming import EXACT, Noun, cost_of, noun_of
from training.automations.request_items import (
    DROPPED,
    Item,
    UnreadError,
    clock_at,
    cut,
    items_of,
    length_at,
    parts_between,
    plain_number,
    split_at,
    used_by_times,
    without,
    without_length,
)

_ELIDED = re.compile(r"\b(l|d|all|dell|nell|dall|sull|un)'(?=\w)")
_OPENINGS = frozenset(("door", "garage_door", "window", "opening"))
_MOTION = frozenset(("motion", "occupancy", "presence", "moving"))
_ALARMS = {"wet": "moisture", "smoke": "smoke", "gas": "gas"}
_AS_SWITCHED = "light switch fan input_boolean siren humidifier automation remote group schedule binary_sensor".split()


class _Found(NamedTuple):
    ids: list[str]
    domain: str


def read_request(request: str, home: HomeIndex) -> dict[Any, Any] | None:
    """The automation that a request asks for in so many words; None where a part of it is not understood.

    Args:
        request: In plain words, in one of the languages of ``home_assistant.request_words``.
        home: Its entities.

    Returns:
        An automation with today's keys, without an alias. Whoever publishes it checks it against Home Assistant.
    """
    text = _ELIDED.sub(r"\1 ", request.lower().replace("\u2019", "'"))
    for masked in (True, False):
        items = list(items_of(text, home, masked=masked))
        try:
            return _Reader(home).automation(items)
        except UnreadError:
            if not any(item.ids for item in items):
                return None
    return None


class _Reader:
    """Reads the items of one request in one home."""

    def __init__(self, home: HomeIndex) -> None:
        self._home = home

    def automation(self, items: Sequence[Item]) -> dict[Any, Any]:
        """Raises UnreadError where a part is not understood."""
        items = [item for item in items if item.meanings != {"filler"}]
        items, conditions, conditional = self._without_conditions(items)
        items, limits = self._limits_beside_when(items)
        conditional = [*limits, *conditional]
        trigger, rest = self._point_in_time(items)
        if trigger is None:
            trigger, actions, further = self._when(items)
            conditional = [*further, *conditional]
        else:
            first = next((i for i, item in enumerate(rest) if item.means("when")), None)
            if first is not None:
                rest, condition = rest[:first], rest[first + 1 :]
                if not any(not item.means("comma", *DROPPED) for item in rest):
                    raise UnreadError
                conditional = [condition, *conditional]
            actions = self._actions(rest, [])
        conditions += [self._condition(part) for part in conditional]
        automation: dict[Any, Any] = {"triggers": [trigger]}
        if conditions:
            automation["conditions"] = conditions
        automation["actions"] = actions
        return automation

    # Conditions

    def _without_conditions(self, items: list[Item]) -> tuple[list[Item], list[dict[Any, Any]], list[list[Item]]]:
        """The items without their conditions, those that are known already, and the parts that hold others."""
        conditions: list[dict[Any, Any]] = []
        rest: list[Item] = []
        for item in items:
            if item.means("weekdays", "weekend"):
                days = ["mon", "tue", "wed", "thu", "fri"] if item.means("weekdays") else ["sat", "sun"]
                conditions.append({"condition": "time", "weekday": days})
                if rest and rest[-1].means("only"):
                    rest.pop()
            else:
                rest.append(item)
        parts = []
        while (at := next((i for i, item in reversed(list(enumerate(rest))) if _limits(item)), None)) is not None:
            parts.append(rest[at:])
            rest = rest[:at]
        if parts and not rest:
            raise UnreadError
        while rest and rest[-1].means("comma"):
            rest.pop()
        return rest, conditions, parts[::-1]

    def _limits_beside_when(self, items: list[Item]) -> tuple[list[Item], list[list[Item]]]:
        """The items without ``after 10 pm`` and the like, which only limit what a ``when`` begins, and those parts."""
        begins = any(item.means("when", "on_motion") for item in items)
        limits: list[list[Item]] = []
        at = 0
        while at < len(items):
            item, end = items[at], at + 1
            after_length = at >= 2 and length_at(items, at - 2) is not None
            if item.means("before", "after") and not after_length and length_at(items, at + 1) is None:
                following = items[end] if end < len(items) else None
                clock = clock_at(items, end) if following else None
                if following and following.means("sunset", "sunrise"):
                    end += 1
                elif clock:
                    end = clock[1]
                else:
                    at += 1
                    continue
                if begins:
                    limits.append(items[at:end])
                    items = cut(items, at, end)
                    continue
                if clock or item.means("before"):
                    raise UnreadError
            elif item.means("dark", "bright") and begins and not (at and items[at - 1].means("when")):
                limits.append([item])
                items = cut(items, at, end)
                continue
            at += 1
        return items, limits

    def _condition(self, items: Sequence[Item]) -> dict[Any, Any]:
        negated = bool(items) and items[0].means("unless")
        items = [item for item in items if not item.means("only", "unless", "while", "comma", "filler", "when")]
        clock = [clock_at(items, i) for i, item in enumerate(items) if item.time or item.number is not None]
        if any(item.means("between") for item in items):
            times = [found[0] for found in clock if found]
            if len(times) != 2 or any(not used_by_times(item) for item in items):
                raise UnreadError
            return _negated({"condition": "time", "after": times[0], "before": times[1]}, negated)
        meanings = {meaning for item in items for meaning in item.meanings}
        content = [item for item in items if not item.meanings <= DROPPED or not item.meanings]
        if len(content) == 1 and content[0].means("dark", "bright"):
            state = "below_horizon" if content[0].means("dark") else "above_horizon"
            return _negated({"condition": "state", "entity_id": "sun.sun", "state": state}, negated)
        if len(content) == 2 and content[0].means("before", "after") and content[1].means("sunset", "sunrise"):
            way = "after" if content[0].means("after") else "before"
            event = "sunset" if content[1].means("sunset") else "sunrise"
            return _negated({"condition": "sun", way: event}, negated)
        if len(content) >= 2 and content[0].means("before", "after") and clock and clock[0]:
            time, _ = clock[0]
            if any(not used_by_times(item) for item in content):
                raise UnreadError
            return _negated({"condition": "time", "after" if content[0].means("after") else "before": time}, negated)
        if meanings & {"sunset", "sunrise"}:
            raise UnreadError
        if not any(_is_state(item) for item in items):
            raise UnreadError  # what happens is no condition
        trigger = self._clause(items, [], as_condition=True)
        return _negated(_as_condition(trigger), negated)

    # Triggers

    def _point_in_time(self, items: list[Item]) -> tuple[dict[Any, Any] | None, list[Item]]:
        """The trigger of a time of day or of the sun, and the items without it; None where there is none."""
        for at, item in enumerate(items):
            if item.means("sunset", "sunrise") and not item.means("close", "open"):
                return self._sun(items, at)
        for at, item in enumerate(items):
            if item.means("noon", "midnight"):
                begin = at - 1 if at and items[at - 1].means("at") else at
                time = "12:00:00" if item.means("noon") else "00:00:00"
                return {"trigger": "time", "at": time}, cut(items, begin, at + 1)
            if item.time or (item.number is not None and at and items[at - 1].means("at", "comma", "when")):
                found = clock_at(items, at)
                if found is None:
                    continue
                time, end = found
                begin = at
                while begin and items[begin - 1].means("at", "when", "filler", "evening", "morning"):
                    begin -= 1
                return {"trigger": "time", "at": time}, cut(items, begin, end)
            if item.number is not None and (found := clock_at(items, at, certain=True)):
                begin = at - 1 if at and items[at - 1].means("at") else at
                return {"trigger": "time", "at": found[0]}, cut(items, begin, found[1])
        return None, items

    def _sun(self, items: list[Item], at: int) -> tuple[dict[Any, Any], list[Item]]:
        trigger: dict[Any, Any] = {"trigger": "sun", "event": "sunset" if items[at].means("sunset") else "sunrise"}
        begin, end = at, at + 1
        while begin and items[begin - 1].means("at", "filler", "inside"):
            begin -= 1
        if begin and items[begin - 1].means("before", "after"):
            sign = "-" if items[begin - 1].means("before") else ""
            length = length_at(items, begin - 3) if begin >= 3 else None
            if length is not None:
                begin, trigger["offset"] = begin - 3, sign + length
            elif sign:
                raise UnreadError
            else:
                begin -= 1
        if begin and items[begin - 1].means("when", "at"):
            begin -= 1
        if end < len(items) and items[end].means("evening", "morning"):
            end += 1
        if begin and items[begin - 1].means("evening", "morning"):
            begin -= 1
        return trigger, cut(items, begin, end)

    def _when(self, items: list[Item]) -> tuple[dict[Any, Any], list[dict[Any, Any]], list[list[Item]]]:
        """The trigger of a clause with ``when``, the actions, and the parts that hold further conditions."""
        at = next((i for i, item in enumerate(items) if item.means("when")), None)
        if at is None:
            at = next((i for i, item in enumerate(items) if item.means("on_motion")), None)
            after = self._after_motion(items)
            if after is not None:
                return after
            if at is None:
                at = next((i for i, item in enumerate(items) if self._tells_events(items, i)), None)
            if at is None:
                raise UnreadError
            items = [*items[:at], Item("", frozenset(("when",))), *items[at:]]
        before = [item for item in items[:at] if not item.means("comma")]
        if before:
            clause, further = split_at(items[at + 1 :], lambda item: item.means("when"))
            actions, trigger = self._together(items[:at], clause)
            return trigger, actions, [part for part in further if part]
        for end in self._ends(items, at + 1):
            clause, rest = items[at + 1 : end], items[end:]
            rest, further = split_at(rest, lambda item: item.means("when"))
            try:
                actions, trigger = self._together(rest, clause)
            except UnreadError:
                continue
            return trigger, actions, [part for part in further if part]
        raise UnreadError

    def _tells_events(self, items: Sequence[Item], at: int) -> bool:
        """Whether "on" or "at" and the name of a button, a doorbell or a motion sensor stand here."""
        named = next((item for item in items[at + 1 :] if item.meanings != {"filler"}), None)
        if not items[at].means("on_", "at") or named is None or not named.ids:
            return False
        found = [entity for one in named.ids if (entity := self._home.entity(one))]
        return any(e.domain in ("event", "input_button") or e.device_class in _MOTION for e in found)

    def _after_motion(self, items: list[Item]) -> tuple[dict[Any, Any], list[dict[Any, Any]], list[list[Item]]] | None:
        """``turn off ... 5 minutes after the last hall motion``; None where nothing of the kind is there."""
        for at in range(len(items)):
            length = length_at(items, at)
            if length is None:
                continue
            after = next((i for i in (at - 1, at + 2) if 0 <= i < len(items) and items[i].means("after")), None)
            if after is None:
                continue
            begin, end = min(at, after), max(at + 2, after + 1)
            clause, rest = split_at(items[end:], lambda one: one.means("comma"))
            action = items[:begin]
            if not any(not one.means("comma", *DROPPED) for one in action):
                action = [one for part in rest for one in part]
            elif rest:
                raise UnreadError
            motionless = Item("", frozenset(("no_motion",)))
            if not any(one.means("motion", "no_motion") or one.ids for one in clause):
                raise UnreadError
            clause = [one for one in clause if not one.means("motion", "no_motion")]
            actions, trigger = self._together(action, [motionless, *clause])
            return {**trigger, "for": length}, actions, []
        return None

    def _ends(self, items: Sequence[Item], start: int) -> Iterator[int]:
        """Where a clause that begins at ``start`` may end and the action begin."""
        commas = [i for i in range(start + 1, len(items)) if items[i].means("comma", "then")]
        yield from (i + 1 for i in commas)
        yield from (i for i in range(start + 1, len(items)) if items[i].means(*VERBS))

    def _together(self, action: Sequence[Item], clause: Sequence[Item]) -> tuple[list[dict[Any, Any]], dict[Any, Any]]:
        """The actions and the trigger: what one of them leaves open, such as the room, the other may say."""
        action = [item for item in action if not item.means("then")]
        try:
            actions = self._actions(action, [])
        except UnreadError:
            trigger = self._clause(clause, [])
            return self._actions(action, self._places(_ids_of(trigger))), trigger
        return actions, self._clause(clause, self._places(_targets(actions)))

    def _places(self, ids: Iterable[str]) -> list[str]:
        """The places that all of these entities share, as words."""
        shared: set[str] | None = None
        for entity_id in ids:
            entity = self._home.entity(entity_id)
            tokens = {token for token in (entity.all_tokens if entity else ()) if places_of([token])}
            shared = tokens if shared is None else shared & tokens
        return sorted(shared or ())

    def _clause(self, items: Sequence[Item], places: Sequence[str], *, as_condition: bool = False) -> dict[Any, Any]:
        """The trigger that a clause such as ``motion is detected in the hall`` describes."""
        items = [item for item in items if not item.means("comma")]
        length, items = without_length(items)
        meanings = {meaning for item in items for meaning in item.meanings}
        more = {} if length is None else {"for": length}
        if meanings & {"nobody_home", "somebody_home", "first_home"}:
            self._nothing_else(items, "nobody_home", "somebody_home", "first_home")
            if as_condition:
                limit = {"below": 1} if "nobody_home" in meanings else {"above": 0}
                return {"trigger": "numeric_state", "entity_id": "zone.home", **limit}
            people = [entity.entity_id for entity in self._home.of_domains(["person"])]
            if "somebody_home" in meanings and people:
                ids = people[0] if len(people) == 1 else people
                return {"trigger": "state", "entity_id": ids, "to": "home", **more}
            way = {"to": "0"} if "nobody_home" in meanings else {"from": "0"}
            return {"trigger": "state", "entity_id": "zone.home", **way, **more}
        for meaning, state in (("left", "not_home"), ("arrived", "home")):
            if meaning in meanings:
                found = self._one(without(items, meaning), (("person",), ("device_tracker",)))
                return {"trigger": "state", "entity_id": found.ids[0], "to": state, **more}
        if meanings & {"above", "below"}:
            return {**self._limit(items, places), **more}
        if meanings & {"motion", "no_motion", "on_motion", "somebody_in", "detected", "clear"}:
            return {**self._motion(items, places), **more}
        for meaning, device_class in _ALARMS.items():
            if meaning in meanings:
                rest = without(items, meaning)
                found = self._one(rest, (("binary_sensor",),), {"binary_sensor": frozenset((device_class,))})
                return {"trigger": "state", "entity_id": found.ids[0], "to": "on", **more}
        return {**self._state(items, meanings), **more}

    def _nothing_else(self, items: Sequence[Item], *meanings: str) -> None:
        if any(not item.means(*meanings, *DROPPED) for item in items):
            raise UnreadError

    def _limit(self, items: Sequence[Item], places: Sequence[str]) -> dict[Any, Any]:
        numbers = [i for i, item in enumerate(items) if item.number is not None]
        way = [item for item in items if item.means("above", "below")]
        if len(numbers) != 1 or len(way) != 1 or not numbers[0]:
            raise UnreadError
        at = numbers[0]
        unit = next((m for m in ("degrees", "percent", "lux") if at + 1 < len(items) and items[at + 1].means(m)), None)
        rest = [*items[:at], *items[at + (2 if unit else 1) :]]
        rest = [item for item in rest if item is not way[0]]
        device_class = {"degrees": "temperature", "lux": "illuminance"}.get(unit or "")
        if any(item.means("temperature") for item in rest):
            device_class, rest = "temperature", [item for item in rest if not item.means("temperature")]
        said = [CLASS_OF_WORD[token] for token in noun_of(rest).tokens if token in CLASS_OF_WORD]
        device_class = device_class or next(iter(said), None)
        classes = {"sensor": frozenset((device_class,))} if device_class else {}
        if classes and not any(places_of(tokens_said(item.text)) or item.ids for item in rest):
            rest = [*rest, *(Item(place) for place in places)]
        found = self._one(rest, (("sensor",), ("input_number", "number")) if not classes else (("sensor",),), classes)
        side = "above" if way[0].means("above") else "below"
        value = items[at].number
        assert value is not None
        return {"trigger": "numeric_state", "entity_id": found.ids[0], side: plain_number(value)}

    def _motion(self, items: Sequence[Item], places: Sequence[str]) -> dict[Any, Any]:
        words = ("motion", "no_motion", "on_motion", "somebody_in", "detected", "clear")
        rest = [item for item in items if not item.means(*words)]
        off = any(item.means("no_motion", "clear") for item in items)
        says_motion = any(item.means("motion", "no_motion", "on_motion", "somebody_in", "clear") for item in items)
        named = any(not item.meanings <= DROPPED or not item.meanings for item in rest)
        if not named and not says_motion:
            raise UnreadError
        if not named and places:
            rest = [*rest, *(Item(place) for place in places)]
        classes = {"binary_sensor": _MOTION} if says_motion else {}
        try:
            found = self._one(rest, (("binary_sensor",),), classes)
        except UnreadError:
            if named or not places:
                raise
            # In a home with one such sensor nobody says where it is.
            found = self._one([], (("binary_sensor",),), classes)
        return {"trigger": "state", "entity_id": found.ids[0], "to": "off" if off else "on"}

    def _state(self, items: Sequence[Item], meanings: set[str]) -> dict[Any, Any]:
        """A trigger for the state of an entity of any other kind."""
        if items and items[-1].means("on_", "off_"):  # "with the night mode on"
            meaning = "turned_on" if items[-1].means("on_") else "turned_off"
            items, meanings = [*items[:-1], Item("", frozenset((meaning,)))], {meaning}
        for active in ("opened_by", "closed_by"):
            if active in meanings:
                meaning = active.removesuffix("_by")
                items, meanings = [*without(items, active), Item("", frozenset((meaning,)))], {meaning}
        for meaning, domains, states in _STATES:
            if meaning not in meanings:
                continue
            classes = {"binary_sensor": _OPENINGS} if meaning in ("opened", "closed") else {}
            found = self._one(without(items, meaning), domains, classes)
            state = states[found.domain]
            return {"trigger": "state", "entity_id": found.ids[0], **({} if state is None else _to(state))}
        if "armed" in meanings:
            mode = next((ARMED[m] for m in ARMED if m in meanings), None)
            found = self._one(without(items, "armed", *ARMED), (("alarm_control_panel",),), {})
            state = f"armed_{mode}" if mode else ["armed_away", "armed_home", "armed_night", "armed_vacation"]
            return {"trigger": "state", "entity_id": found.ids[0], "to": state}
        # "at hall motion": the name says what happens.
        items = without(items, "on_", "at")
        found = self._one(items, (("event", "input_button"), ("binary_sensor",)), {"binary_sensor": _MOTION})
        if not any(item.ids for item in items):
            raise UnreadError
        return {"trigger": "state", "entity_id": found.ids[0], **({"to": "on"} if found.domain[0] == "b" else {})}

    # Actions

    def _actions(self, items: Sequence[Item], places: Sequence[str]) -> list[dict[Any, Any]]:
        items = list(items)
        while items and items[-1].means("comma"):
            items.pop()
        while items and items[0].means("comma"):
            items.pop(0)
        parts = parts_between(items, lambda item: item.means("and", "comma"))
        if not parts or not all(parts):
            raise UnreadError
        return self._commands(parts, places)

    def _commands(self, parts: Sequence[list[Item]], places: Sequence[str]) -> list[dict[Any, Any]]:
        """A command for each part; a part without a verb is a further target of the one before."""
        found: list[dict[Any, Any]] = []
        command: Command | None = None
        for part in parts:
            own = command_of(part)
            if own is None:
                if command is None:
                    raise UnreadError
                own = replace(command, noun=part, further=True)
            elif command is not None and found and is_again(own.noun) and own.length:
                # "and off again after 5 minutes"
                found.append({"delay": own.length})
                found.append(self._called(replace(own, length=None, noun=[]), _targets(found[:1])))
                command = None
                continue
            step = self._step(own, places)
            if own.further and found and found[-1].get("action") == step["action"]:
                if found[-1].get("data") != step.get("data"):
                    raise UnreadError
                ids = [*_listed(found[-1]["target"]["entity_id"]), *_listed(step["target"]["entity_id"])]
                if len(set(ids)) < len(ids):
                    raise UnreadError
                found[-1] = {**found[-1], "target": {"entity_id": ids}}
            else:
                found.append(step)
            command = own
        lengths = [part for part in parts if (one := command_of(part)) and one.length]
        if lengths and not any("delay" in step for step in found):
            own = command_of(parts[0])
            if len(found) != 1 or own is None or own.length is None or own.verb != "on":
                raise UnreadError
            off = self._called(replace(own, verb="off", noun=[]), _targets(found))
            found += [{"delay": own.length}, off]
        return found

    def _step(self, command: Command, places: Sequence[str]) -> dict[Any, Any]:
        domains = tuple(command.domains())
        if not domains:
            raise UnreadError
        plain = tuple(d for d in domains if d not in ("scene", "script", "automation", "group"))
        groups = (domains,) if not plain else (plain, tuple(d for d in domains if d not in plain))
        noun = [item for item in command.noun if not item.means("brightness", "volume", "temperature")]
        found = self._several(noun, groups, places)
        return self._called(command, found)

    def _called(self, command: Command, ids: Sequence[str]) -> dict[Any, Any]:
        services = {command.call(entity_id.partition(".")[0]) for entity_id in ids}
        if len(services) != 1:
            raise UnreadError
        service, data = services.pop()
        values = dict(data)
        for entity_id in ids:
            entity = self._home.entity(entity_id)
            if entity is not None:
                features, has = entity.supported_features, entity.capabilities
                if why_not(service, values, entity_id.partition(".")[0], features, has):
                    raise UnreadError
        target = ids[0] if len(ids) == 1 else list(ids)
        step: dict[Any, Any] = {"action": service, "target": {"entity_id": target}}
        if values:
            step["data"] = values
        return step

    # Names

    def _one(
        self,
        items: Sequence[Item],
        domains: Sequence[tuple[str, ...]],
        classes: Mapping[str, frozenset[str]] | None = None,
    ) -> _Found:
        """The one entity that the items name, of the first of these groups of domains that has such a one."""
        noun = noun_of(items)
        if noun.every:
            raise UnreadError
        for group in domains:
            ids = self._matching(noun, group, classes or {})
            if ids:
                if len(ids) > 1:
                    raise UnreadError
                return _Found(ids, ids[0].partition(".")[0])
        raise UnreadError

    def _several(self, items: Sequence[Item], domains: Sequence[tuple[str, ...]], places: Sequence[str]) -> list[str]:
        """The entities that the items name: several of one domain where they are in the plural."""
        noun = noun_of(items)
        exact = [group for group in domains if self._matching(noun, group, {}, exactly=True)]
        for group in exact or domains:
            ids = self._matching(noun, group, {})
            if len(ids) == 1:
                return ids
            of_one_domain = len({one.partition(".")[0] for one in ids}) == 1
            said = any(not THING_DOMAINS.get(token) for token in noun.tokens)
            if ids and of_one_domain and (noun.every or (noun.plural and said and self._in_one_place(noun, ids))):
                return ids
            if ids and places and not said:
                here = self._matching(replace(noun, tokens=[*noun.tokens, *places]), group, {})
                if len(here) == 1 or (here and noun.plural and len({one.partition(".")[0] for one in here}) == 1):
                    return here
            if ids:
                raise UnreadError
        raise UnreadError

    def _in_one_place(self, noun: Noun, ids: Iterable[str]) -> bool:
        """Whether a plural says where its things are, or none of them is in a place of its own."""
        return bool(places_of(noun.tokens)) or not any(
            places_of(entity.all_tokens) for one in ids if (entity := self._home.entity(one))
        )

    def _matching(
        self,
        noun: Noun,
        domains: Sequence[str],
        classes: Mapping[str, frozenset[str]],
        *,
        exactly: bool = False,
    ) -> list[str]:
        """The entities of which the noun says every word, without those that another fits better.

        With ``exactly``, only those whose whole name it says.
        """
        found: list[tuple[float, str]] = []
        for entity in self._home.of_domains(domains):
            allowed = classes.get(entity.domain)
            if allowed is not None and entity.device_class not in allowed:
                continue
            classed = allowed is not None or entity.domain in ("person", "device_tracker")
            cost = cost_of(noun, entity, classed=classed)
            if cost is not None:
                found.append((cost, entity.entity_id))
        if noun.named:
            named = [one for one in found if one[1] in noun.named]
            found = named or found
        if exactly:
            return [one for cost, one in found if cost < EXACT]
        if not found:
            return []
        if noun.every or noun.plural:
            exact = [one for cost, one in found if cost < EXACT]
            return exact if len(exact) == 1 and not noun.every else sorted(one for _, one in found)
        least = min(found)[0]
        if least >= EXACT:
            return sorted(one for _, one in found)
        return sorted(one for cost, one in found if cost == least)


# -- States ------------------------------------------------------------------------------------------------------------

_DOORS = (("binary_sensor",), ("cover", "valve"))
# What happens -> the groups of domains to look in, and the state of each; None for any change.
_STATES: Sequence[tuple[str, tuple[tuple[str, ...], ...], Mapping[str, Any]]] = (
    ("opened", _DOORS, {"binary_sensor": "on", "cover": "open", "valve": "open"}),
    ("closed", _DOORS, {"binary_sensor": "off", "cover": "closed", "valve": "closed"}),
    ("locked", (("lock",),), {"lock": "locked"}),
    ("unlocked", (("lock",),), {"lock": "unlocked"}),
    (
        "turned_on",
        (tuple(_AS_SWITCHED), ("media_player",)),
        {**dict.fromkeys(_AS_SWITCHED, "on"), "media_player": ("from", "off")},
    ),
    (
        "turned_off",
        (tuple(_AS_SWITCHED), ("media_player",)),
        dict.fromkeys((*_AS_SWITCHED, "media_player"), "off"),
    ),
    (
        "goes_off",
        (("binary_sensor", "alarm_control_panel", "light", "switch"),),
        {"binary_sensor": "on", "alarm_control_panel": "triggered", "light": "off", "switch": "off"},
    ),
    (
        "started",
        (("input_boolean", "schedule", "timer", "vacuum"), ("media_player",), ("binary_sensor",)),
        {
            "input_boolean": "on", "schedule": "on", "timer": "active", "vacuum": "cleaning",
            "media_player": "playing", "binary_sensor": "on",
        },
    ),
    (
        "stopped",
        (("input_boolean", "schedule"), ("binary_sensor",)),
        {"input_boolean": "off", "schedule": "off", "binary_sensor": "off"},
    ),
    ("playing", (("media_player",),), {"media_player": "playing"}),
    ("not_playing", (("media_player",),), {"media_player": ("from", "playing")}),
    (
        "pressed",
        (("event", "input_button", "button"), ("binary_sensor",)),
        {"event": None, "input_button": None, "button": None, "binary_sensor": "on"},
    ),
    ("disarmed", (("alarm_control_panel",),), {"alarm_control_panel": "disarmed"}),
)  # fmt: skip


def _to(state: Any) -> dict[str, Any]:
    return {state[0]: state[1]} if isinstance(state, tuple) else {"to": state}


_HAPPENS = frozenset("opened detected pressed pushed triggered turned switched rung clicked tapped".split())


def _is_state(item: Item) -> bool:
    """Whether the words say how something is, not what happens to it."""
    words = re.findall(r"[^\W_]+", item.text)
    return item.means("above", "below", "on_", "off_") or (not BEING.isdisjoint(words) and _HAPPENS.isdisjoint(words))


def _limits(item: Item) -> bool:
    """Whether a condition begins here."""
    return item.means("only", "unless", "while")


def _as_condition(trigger: Mapping[Any, Any]) -> dict[Any, Any]:
    found = dict(trigger)
    kind = found.pop("trigger")
    if kind == "state":
        if "to" not in found:
            raise UnreadError
        found = {"entity_id": found.pop("entity_id"), "state": found.pop("to"), **found}
    return {"condition": kind, **found}


def _negated(condition: dict[Any, Any], negated: bool) -> dict[Any, Any]:
    return {"condition": "not", "conditions": [condition]} if negated else condition


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _ids_of(trigger: Mapping[Any, Any]) -> list[str]:
    return [one for one in _listed(trigger.get("entity_id", [])) if isinstance(one, str)]


def _targets(actions: Sequence[Mapping[Any, Any]]) -> list[str]:
    return [one for step in actions if "target" in step for one in _listed(step["target"]["entity_id"])]
