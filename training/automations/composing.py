"""Write the automation of a guess: services on the likeliest entities, started by the likeliest trigger.

What is likely to have a part and neither acts nor starts it becomes a condition.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from home_assistant.domains import READ_ONLY_DOMAINS
from home_assistant.entity_id import domain_of
from home_assistant.services import described
from training.automations.ranking import Asked, Guess

_CLOCK = re.compile(r"(?<![\d:.])([01]?\d|2[0-3]):([0-5]\d)(?![\d:])")
_NUMBER = re.compile(r"(?<![\d:.,])\d{1,6}(?:\.\d{1,3})?(?![\d:])")
_SWITCHED = frozenset("binary_sensor light switch input_boolean fan schedule".split())
_MESSAGE = frozenset(("message", "title"))
_VALUE = frozenset(("value", "option", "temperature", "humidity", "volume_level", "percentage", "position"))


def compose(guess: Guess, asked: Asked) -> dict[Any, Any] | None:
    """The automation of a guess, with today's keys; None where no service or no trigger of it can be written.

    A trigger that the request gives no time, sun or number for is passed over for the next likeliest.
    """
    chosen = guess.chosen
    entities = [one for one, _ in guess.entities if one in chosen.entities]
    actions: list[dict[Any, Any]] = []
    targets: set[str] = set()
    for service in (one for one, _ in guess.services if one in chosen.services):
        step = _call(service, entities, guess, asked, alone=not actions)
        if step is not None:
            actions.append(step)
            targets.update(_listed(step.get("target", {}).get("entity_id", [])))
    if not actions:
        return None
    others = [one for one in entities if one not in targets]
    for kind, _ in guess.triggers:
        trigger = _trigger(kind, others, guess, asked, targets)
        if trigger is not None:
            named = {*_listed(trigger.get("entity_id", [])), trigger.get("at")}
            limits = [
                {"condition": "state", "entity_id": one, "state": "on"}
                for one in others
                if one not in named and domain_of(one) in _SWITCHED
            ]
            conditions = {"conditions": limits} if limits else {}
            return {"triggers": [trigger], **conditions, "actions": actions}
    return None


def _call(service: str, entities: Sequence[str], guess: Guess, asked: Asked, *, alone: bool) -> dict[Any, Any] | None:
    found = described(service)
    if found is None:
        return None
    step: dict[Any, Any] = {"action": service}
    if found.target is not None:
        fits = [one for one in entities if _acted_on(one, found.target)]
        if not fits and alone:
            fits = [one for one, _ in guess.entities if _acted_on(one, found.target)][:1]
        if not fits:
            return None
        step["target"] = {"entity_id": fits[0] if len(fits) == 1 else fits}
    data: dict[str, Any] = {}
    numbers = _NUMBER.findall(asked.request)
    for key in found.required:
        if key in _MESSAGE:
            data[key] = asked.request
        elif key == "option" and asked.tokens:
            data[key] = asked.request.split()[-1]
        elif key in _VALUE and numbers:
            data[key] = float(numbers[-1]) if "." in numbers[-1] else int(numbers[-1])
        elif key != "entity_id":
            return None
    return {**step, "data": data} if data else step


def _acted_on(entity_id: str, domains: Sequence[str]) -> bool:
    domain = domain_of(entity_id)
    return domain in domains if domains else domain not in READ_ONLY_DOMAINS


def _trigger(kind: str, others: Sequence[str], guess: Guess, asked: Asked, targets: set[str]) -> dict[Any, Any] | None:
    meanings = asked.meanings
    if kind == "state":
        sources = list(others) or [one for one, _ in guess.entities if one not in targets][:1]
        if not sources:
            return None
        trigger: dict[Any, Any] = {"trigger": "state", "entity_id": sources[0] if len(sources) == 1 else sources}
        if {domain_of(one) for one in sources} <= _SWITCHED:
            ended = bool(meanings & {"no_motion", "clear", "turned_off", "closed"})
            return {**trigger, "to": "off" if ended else "on"}
        return trigger
    if kind == "numeric_state":
        numbers = _NUMBER.findall(asked.request)
        sources = [one for one in others if domain_of(one) in ("sensor", "input_number", "number")]
        side = next((side for side in ("above", "below") if side in meanings), None)
        if not sources or not numbers or side is None:
            return None
        value = float(numbers[0]) if "." in numbers[0] else int(numbers[0])
        return {"trigger": "numeric_state", "entity_id": sources[0] if len(sources) == 1 else sources, side: value}
    if kind == "time":
        clock = _CLOCK.search(asked.request)
        settings = [one for one in others if domain_of(one) == "input_datetime"]
        if clock is None and not settings:
            return None
        return {"trigger": "time", "at": f"{clock[1]:0>2}:{clock[2]}:00" if clock else settings[0]}
    if kind == "sun" and meanings & {"sunset", "sunrise"}:
        return {"trigger": "sun", "event": "sunset" if "sunset" in meanings else "sunrise"}
    if kind == "homeassistant":
        return {"trigger": "homeassistant", "event": "start"}
    return None


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
