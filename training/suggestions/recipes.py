"""Write the Home Assistant automation of a pair of entities, for a person to review.

A trigger offers events, the likeliest first: somebody moves, then nobody has moved for a while. The action's domain
says what it does at which kind of event: a light turns on when somebody moves; a lock never opens by itself, but locks
when nobody has moved for a while. The first event that both know is taken. Without one the pair has no recipe.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from data_sources import Entity
from home_assistant.entity_id import is_entity_id, normalized_entity_id
from home_assistant.services import can_do
from training.suggestions.abilities import supported_steps
from training.suggestions.actions import (
    PREFERRED,
    WATERING,
    NoRecipeError,
    Step,
    actions_of,
    guarded,
    turned,
    unable,
    with_article,
    work_against,
)
from training.suggestions.events import TURN_ON, Event, events_of
from training.synergy.feedback import suggestion_id

ABSENCE = {"minutes": 5}  # without motion, before a light that motion turned on is turned off again
CLOSED = {"minutes": 1}  # before a thermostat that an open window turned off is turned on again
ENDINGS = frozenset(("closed", "left", "off", "vacant"))  # kinds of events after which something is over
NAMED = 3  # triggers that an alias names
MESSAGE = "{said}"  # stands for what happened in a step's data
# Without a state where a person runs the automation by hand.
NAME_OF_TRIGGER = "{{ trigger.to_state.name if trigger.to_state is defined else 'Something' }}"
RELEASE = 0.9  # of the value above which a fan was turned on; below it the fan is turned off again


@dataclass(frozen=True)
class Recipe:
    """An automation in Home Assistant's keys, and what a person should look at before using it.

    ``reason`` says what a person was seen to do, "" where it stands for nothing that was seen. ``message`` is the text
    of what it sends; "" where the length of that text is limited. ``kind`` is that of the event that starts it.
    """

    automation: dict[str, Any]
    adjust: tuple[str, ...]
    reason: str = ""
    message: str = ""
    kind: str = ""


def write_automation(
    trigger: Entity,
    trigger_class: str,
    actions: Sequence[Entity],
    action_class: str,
    entity_ids: Collection[str] = (),
    description: str = "",
) -> Recipe:
    """The automation of a trigger and one action, or several of one domain that act together.

    Args:
        trigger: The entity that starts it.
        trigger_class: The trigger's device class, given or guessed; "" without one.
        actions: The entities that act, all of one domain.
        action_class: The device class of the first of them.
        entity_ids: All entities of the home; announcements need a ``tts`` entity.
        description: The automation's description.

    Raises:
        NoRecipeError: The pair cannot be automated sensibly, or not by what the entities support.
    """
    checked(trigger, *actions)
    domain = actions[0].domain
    if trigger.domain == domain == "automation":
        raise NoRecipeError("one automation would run another")
    steps_at = actions_of(actions[0], action_class, sorted(i for i in entity_ids if i.startswith("tts.")))
    if work_against(trigger, actions[0]):
        steps_at = {"on": turned(domain, "turn_off")}
    elif domain == "alarm_control_panel":
        steps_at = guarded(steps_at, trigger, trigger_class)
    elif "left" in steps_at:
        steps_at = {"night": steps_at["left"], **steps_at}
    events = events_of(trigger, trigger_class)
    possible = supported_steps(steps_at, {"*", *(event.kind for event in events)}, trigger, actions)
    event = _event_for(events, possible, domain)
    if event is None and _event_for(events, steps_at, domain) is not None:
        raise unable(domain)
    if event is None:
        kind = with_article(f"{trigger_class} {trigger.domain}".strip())
        raise NoRecipeError(f"no sensible automation joins {kind} and {with_article(domain)}")
    step = possible.get(event.kind) or possible["*"]
    return assembled(trigger, actions, event, step, description)


def _event_for(events: Sequence[Event], steps_at: Mapping[str, Step], domain: str) -> Event | None:
    """The event to start with: a preferred one, else the likeliest that there is a step for."""
    preferred = [kind for kind in PREFERRED.get(domain, ()) if kind in steps_at]
    event = next((e for kinds in (preferred, steps_at) for e in events if e.kind in kinds), None)
    if event is None and "*" in steps_at:
        return next((e for e in events if e.kind not in ("number", "option")), None)
    return event


def body_of(recipe: Recipe, trigger: Entity, action_id: str) -> str | None:
    """What happens and what is done then: the same text for two recipes that are equal but for their triggers.

    None where the automation needs its own trigger elsewhere too, as to copy its value.
    """
    trigger_id = normalized_entity_id(trigger.entity_id)
    first, *others = recipe.automation["triggers"]
    if others or first.get("entity_id") != trigger_id:
        return None
    body = {
        **recipe.automation,
        "alias": recipe.automation["alias"].removeprefix(name_of(trigger)),
        "triggers": [{**first, "entity_id": ""}],
        "actions": _awaiting(
            _replaced(recipe.automation["actions"], recipe.message, MESSAGE),
            lambda until: {**until, "entity_id": ""},
        ),
    }
    done = json.dumps(body, sort_keys=True).replace(suggestion_id(trigger_id, action_id), "")
    if _without(trigger_id, done) != done:
        return None
    return _without(trigger_id, "\n".join([done, *recipe.adjust]))


def _without(entity_id: str, text: str) -> str:
    """A text without an entity's id; that of another entity, which begins with it, stays."""
    return re.sub(rf"(?<![\w.]){re.escape(entity_id)}(?!\w)", "", text) if entity_id in text else text


def started_by(recipe: Recipe, triggers: Sequence[Entity]) -> Recipe:
    """A recipe of the first of several triggers, of which each starts it now. What it sends names the one that did.

    Where something ends, as where people leave or doors close, only the last one starts it: nobody is left then. What
    waits for the end of what started it waits for the end of all.
    """
    ids = [normalized_entity_id(trigger.entity_id) for trigger in triggers]
    names = [name_of(trigger) for trigger in triggers]
    words = recipe.automation["alias"].removeprefix(names[0])
    trigger = {**recipe.automation["triggers"][0], "entity_id": ids}
    conditions = list(recipe.automation["conditions"])
    alias = f"{_several(names, 'or')}{words}"
    if recipe.kind in ENDINGS:
        alias = f"The last of {_several(names, 'and')}{words}"
        conditions.append(_ended(trigger))
    message = NAME_OF_TRIGGER + recipe.message.removeprefix(_no_template(names[0]))
    actions = _replaced(recipe.automation["actions"], recipe.message, message)
    actions = _awaiting(actions, lambda until: _until_all(until, ids))
    changed = {"alias": alias, "triggers": [trigger], "conditions": conditions, "actions": actions}
    return replace(recipe, automation={**recipe.automation, **changed})


def _several(names: Sequence[str], word: str) -> str:
    """``A, B or C``; of more than three names, or of equal ones, the first and how many others."""
    *most, last = names
    if len(names) > NAMED or len(set(names)) < len(names):
        number = "another one" if len(names) == 2 else f"{len(most)} others"
        most, last = [names[0]], number if word == "and" or len(names) == 2 else f"one of {number}"
    return f"{', '.join(most)} {word} {last}"


def _awaiting(
    calls: Sequence[dict[str, Any]], changed: Callable[[dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Actions with another trigger in place of each state that is waited for."""

    def other(until: dict[str, Any]) -> dict[str, Any]:
        return changed(until) if until["trigger"] == "state" else until

    waiting = "wait_for_trigger"
    return [{**call, waiting: [other(until) for until in call[waiting]]} if waiting in call else call for call in calls]


def _until_all(until: Mapping[str, Any], ids: Sequence[str]) -> dict[str, Any]:
    """What happens when the last of several entities has come to the state that one was waited for."""
    count = f"{{{{ {list(ids)} | select('is_state', '{until['to']}') | list | count == {len(ids)} }}}}"
    return {"trigger": "template", "value_template": count, "for": until["for"]}


def _ended(trigger: Mapping[str, Any]) -> dict[str, Any]:
    """The condition that all of a trigger's entities have come to what it starts at."""
    ids = trigger["entity_id"]
    if "from" in trigger:  # what it is after that has many names, such as zones
        still = {"condition": "state", "entity_id": ids, "match": "any", "state": trigger["from"]}
        return {"condition": "not", "conditions": [still]}
    if "to" in trigger:
        return {"condition": "state", "entity_id": ids, "state": trigger["to"]}
    return {key: value for key, value in trigger.items() if key != "trigger"} | {"condition": trigger["trigger"]}


def _replaced(value: Any, text: str, other: str) -> Any:
    """A value in which another text stands for each that is equal to ``text``, which is not empty."""
    if isinstance(value, dict):
        return {key: _replaced(part, text, other) for key, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, text, other) for part in value]
    return other if text and value == text else value


def name_of(entity: Entity) -> str:
    """What people call an entity: its name, else its id in plain words."""
    return one_line(entity.name or "") or entity.object_id.replace("_", " ").strip().capitalize()


def one_line(text: str) -> str:
    """A text on one line: whatever cannot be printed, line breaks included, becomes a space."""
    return " ".join(printable(text).split())


def printable(text: str) -> str:
    """A text without line breaks, control characters and escape codes: each of them becomes a space."""
    return "".join(c if c.isprintable() else " " for c in text)


def checked(*entities: Entity) -> None:
    """Raises NoRecipeError where Home Assistant does not accept the id of one of them."""
    for entity in entities:
        if not is_entity_id(normalized_entity_id(entity.entity_id)):
            raise NoRecipeError("Home Assistant does not accept the entity's id")


def assembled(trigger: Entity, actions: Sequence[Entity], event: Event, step: Step, description: str = "") -> Recipe:
    """The automation in which ``actions`` do ``step`` at ``event`` of ``trigger``."""
    trigger_id, *ids = (normalized_entity_id(entity.entity_id) for entity in (trigger, *actions))
    said = one_line(f"{name_of(trigger)} {event.words}")
    target = {"entity_id": ids[0] if len(ids) == 1 else ids}
    data = {key: _filled(value, said, ids, trigger_id, step) for key, value in step.data.items()}
    if step.service == "tts.speak":
        target = {"entity_id": data.pop("tts")}
    calls: list[dict[str, Any]] = [{"action": step.service, "target": target, **({"data": data} if data else {})}]
    conditions = [{**condition} for condition in step.conditions]
    for condition in conditions:
        if condition.get("entity_id") == "{action}":
            condition["entity_id"] = ids[0]
    mode = "single"
    undone = _undone(event, step, trigger_id, actions)
    if undone is not None:
        until, service = undone
        after = {"action": service, "target": dict(target)}
        mode = "restart"
        if actions[0].domain == "climate":  # one that was off stays off
            off = {"condition": "state", "entity_id": target["entity_id"], "state": "off"}
            conditions.append({"condition": "not", "conditions": [off]})
            if len(ids) > 1:
                kept = f"before_{suggestion_id(trigger_id, ids[0])}"  # two long ids together are too long for one
                calls.insert(0, {"action": "scene.create", "data": {"scene_id": kept, "snapshot_entities": ids}})
                after = {"action": "scene.turn_on", "target": {"entity_id": f"scene.{kept}"}}
        calls += [{"wait_for_trigger": [until]}, after]
    if actions[0].domain == "valve" and step.words == "open {name}":  # and not "open or close {name}"
        close = {"action": "valve.close_valve", "target": dict(target)}
        if step.service == "valve.set_valve_position":
            close = {**close, "action": step.service, "data": {"position": 0}}
        calls += [{"delay": dict(WATERING)}, close]
    if event.kind == "arrived" and actions[0].domain == "light":
        conditions.append({"condition": "state", "entity_id": "sun.sun", "state": "below_horizon"})
    what = name_of(actions[0]) if len(ids) == 1 else f"{name_of(actions[0])} and {len(ids) - 1} like it"
    automation: dict[str, Any] = {
        "alias": f"{said}: {step.words.format(name=what)}",
        "description": description,
        "triggers": [event.trigger],
        "conditions": conditions,
        "actions": calls,
        "mode": mode,
    }
    adjust = [note for note in (event.adjust, step.adjust) if note]
    sets_device = event.kind == "number" and actions[0].domain == "number"  # a helper may follow what it likes
    if event.vague or sets_device:
        automation["initial_state"] = False  # nothing should run at every change before a person has looked at it
    if sets_device:
        adjust = [*adjust[:-1], f"{adjust[-1]}; then {TURN_ON}"]
    return Recipe(
        automation, tuple(adjust), message=_no_template(said) if step.longest is None else "", kind=event.kind
    )


def _undone(event: Event, step: Step, trigger_id: str, actions: Sequence[Entity]) -> tuple[dict[str, Any], str] | None:
    """What ends the event, and the service that then undoes the step; None where a person has to decide that."""
    if event.kind == "occupied" and step.service == "light.turn_on":
        return {"trigger": "state", "entity_id": trigger_id, "to": "off", "for": dict(ABSENCE)}, "light.turn_off"
    if event.kind == "opened" and event.trigger.get("to") == "on" and step.service == "climate.turn_off":
        told = [can_do("climate", action.supported_features) for action in actions if action.supported_features]
        if all("climate.turn_on" in able for able in told):
            closed = {"trigger": "state", "entity_id": trigger_id, "to": "off", "for": dict(CLOSED)}
            return closed, "climate.turn_on"
    if event.trigger.get("above") and step.service == "fan.turn_on":
        below = round(RELEASE * event.trigger["above"], 3)
        return {"trigger": "numeric_state", "entity_id": trigger_id, "below": below}, "fan.turn_off"
    return None


def _no_template(said: str) -> str:
    """A text that Home Assistant takes as it stands, whatever names are in it."""
    return said.replace("{", "(").replace("}", ")")


def _filled(value: Any, said: str, ids: Sequence[str], trigger_id: str, step: Step) -> Any:
    if value == MESSAGE:
        text = _no_template(said)
        if len(text) < step.shortest:
            raise NoRecipeError("a text that has to be longer than what there is to say")
        return text[: step.longest]
    if value == "{action}":
        return ids[0] if len(ids) == 1 else list(ids)
    return value.replace("{trigger}", trigger_id) if isinstance(value, str) else value
