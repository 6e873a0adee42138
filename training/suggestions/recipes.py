"""From a pair of entities to a Home Assistant automation, ready to be looked over by a person.

A trigger offers events in the order in which they are likely meant (motion seen, then nobody there for a while), and
the action's domain says what it does at which of them (a light turns on when motion is seen; a lock never opens, so it
waits until nobody is there). The first event that both know is taken. Where there is none the pair has no recipe.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from data_sources import Entity
from home_assistant.entity_id import is_entity_id, normalized_entity_id
from training.suggestions.actions import PREFERRED, Do, NoRecipeError, actions_of, with_article
from training.suggestions.events import Event, events_of

ABSENCE = {"minutes": 5}  # how long nobody is seen before what motion switched on goes off again


@dataclass(frozen=True)
class Recipe:
    """An automation in Home Assistant's own keys, and what a person should look at before using it."""

    automation: dict[str, Any]
    adjust: tuple[str, ...]


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
        trigger: The entity that begins it.
        trigger_class: Its device class, "" where none is known or guessed.
        actions: What acts, entities of the same home and of one domain.
        action_class: As ``trigger_class``, of the first of them.
        entity_ids: What else the home has; announcements need a ``tts`` entity.
        description: Goes into the automation.

    Raises:
        NoRecipeError: The pair cannot be automated sensibly.
    """
    for entity in (trigger, *actions):
        if not is_entity_id(normalized_entity_id(entity.entity_id)):
            raise NoRecipeError("Home Assistant does not accept the entity's id")
    dos = actions_of(actions[0], action_class, sorted(i for i in entity_ids if i.startswith("tts.")))
    events = events_of(trigger, trigger_class)
    if "left" in dos:
        dos = {"night": dos["left"], **dos}
    preferred = [kind for kind in PREFERRED.get(actions[0].domain, ()) if kind in dos]
    event = next((e for kinds in (preferred, dos) for e in events if e.kind in kinds), None)
    if event is None and "*" in dos:
        event = next((e for e in events if e.kind not in ("number", "option")), None)
    if event is None:
        kind = with_article(f"{trigger_class} {trigger.domain}".strip())
        raise NoRecipeError(f"nothing sensible comes of {kind} and {with_article(actions[0].domain)}")
    do = dos.get(event.kind) or dos["*"]
    return _assembled(trigger, actions, event, do, description)


def name_of(entity: Entity) -> str:
    """What people call an entity: its name, else its id in plain words."""
    return one_line(entity.name or "") or entity.object_id.replace("_", " ").strip().capitalize()


def one_line(text: str) -> str:
    """A text on one line: what cannot be printed, which line breaks of all kinds are, becomes a space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _assembled(trigger: Entity, actions: Sequence[Entity], event: Event, do: Do, description: str) -> Recipe:
    trigger_id, *ids = (normalized_entity_id(entity.entity_id) for entity in (trigger, *actions))
    said = f"{name_of(trigger)} {event.words}"
    target = {"entity_id": ids[0] if len(ids) == 1 else ids}
    data = {key: _filled(value, said, ids) for key, value in do.data.items()}
    if do.service == "tts.speak":
        target = {"entity_id": data.pop("tts")}
    step = {"action": do.service, "target": target, **({"data": data} if data else {})}
    steps: list[dict[str, Any]] = [step]
    conditions = [{**condition} for condition in do.conditions]
    for condition in conditions:
        if condition.get("entity_id") == "{action}":
            condition["entity_id"] = ids[0]
    mode = "single"
    if event.kind == "came" and do.service == "light.turn_on":
        waited = {"trigger": "state", "entity_id": trigger_id, "to": "off", "for": dict(ABSENCE)}
        steps += [{"wait_for_trigger": [waited]}, {"action": "light.turn_off", "target": dict(target)}]
        mode = "restart"
    if event.kind == "arrived" and actions[0].domain == "light":
        conditions.append({"condition": "state", "entity_id": "sun.sun", "state": "below_horizon"})
    what = name_of(actions[0]) if len(ids) == 1 else f"{name_of(actions[0])} and {len(ids) - 1} like it"
    automation = {
        "alias": f"{said}: {do.words.format(name=what)}",
        "description": description,
        "triggers": [event.trigger],
        "conditions": conditions,
        "actions": steps,
        "mode": mode,
    }
    return Recipe(automation, tuple(note for note in (event.adjust, do.adjust) if note))


def _filled(value: Any, said: str, ids: Sequence[str]) -> Any:
    if value == "{said}":
        return said.replace("{", "(").replace("}", ")")  # a name is no template
    return (ids[0] if len(ids) == 1 else list(ids)) if value == "{action}" else value
