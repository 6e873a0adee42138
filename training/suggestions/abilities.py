"""What the very entities of a pair can do: a step in their own modes, options, ranges and lengths, or none."""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from data_sources import Entity
from data_sources.counting import listed
from home_assistant.household_words import words_of
from home_assistant.services import can_do, is_plain, why_not
from training.suggestions.actions import ARM_CODE, VALUE_OF_TRIGGER, Step
from training.suggestions.events import OPTION_WORDS, options_of

MIN_LENGTH = 16  # characters that a text needs to hold for anything to be noted in it
DEFAULT_LENGTH = 100  # of an input_text that says nothing else
_SHOWN = 5  # options that a note names


def supported_steps(
    steps: Mapping[str, Step], kinds: Container[str], trigger: Entity, actions: Sequence[Entity]
) -> dict[str, Step]:
    """Of the steps at ``kinds`` of event, those that all of ``actions`` support, or what they support instead.

    Where an entity's features and capabilities are not known, everything counts as supported.
    """
    chosen = {kind: step for kind, option in _options_meant(actions) if (step := _choosing(actions, option))}
    possible = {kind: supported(step, trigger, actions) for kind, step in {**steps, **chosen}.items() if kind in kinds}
    return {kind: step for kind, step in possible.items() if step is not None}


def supported(step: Step, trigger: Entity, actions: Sequence[Entity]) -> Step | None:
    """``step`` if all of ``actions`` support it, else the first of ``step.instead`` that they do; None without one."""
    for one in (step, *step.instead):
        fitted = _fitted(one, trigger, actions)
        if fitted is not None and not any(_why_not(fitted, action) for action in actions):
            return fitted
    return None


def able_alike(one: Entity, other: Entity) -> bool:
    """Whether two entities of one domain support the same actions, as far as is known."""
    known = (one.supported_features, other.supported_features)
    if None in known:
        return known == (None, None)
    return can_do(one.domain, known[0] or 0) == can_do(other.domain, known[1] or 0)


def _why_not(step: Step, action: Entity) -> str:
    if step.service == "tts.speak":  # the speaker plays what the ``tts`` entity says
        return why_not("media_player.play_media", {}, action.domain, action.supported_features, action.capabilities)
    return why_not(step.service, step.data, action.domain, action.supported_features, action.capabilities)


def _fitted(step: Step, trigger: Entity, actions: Sequence[Entity]) -> Step | None:
    """``step`` within what the entities take, its notes only those that are still open; None where nothing fits."""
    has = [action.capabilities or {} for action in actions]
    if step.settled_by == ARM_CODE:
        if all(own.get(ARM_CODE) is False for own in has):
            step = replace(step, adjust="")
    elif step.settled_by and all(isinstance(own.get(step.settled_by), list) for own in has):
        step = replace(step, adjust="")
    if step.service in ("lock.lock", "lock.unlock") and any(own.get("code_format") for own in has):
        return replace(step, adjust="add `code:` to the data: the lock asks for one")
    if step.data.get("value") == VALUE_OF_TRIGGER:
        return _within_range(step, has)
    if step.service in ("input_text.set_value", "text.set_value"):
        return _of_length(step, has)
    if step.service.endswith(".select_option") and not is_plain(step.data.get("option")):
        return _of_both(step, trigger, actions)
    if step.service.endswith(".select_first") and (shared := _shared_options(actions)):
        return replace(step, adjust=f"{step.adjust}: {listed(shared, _SHOWN)}")
    return step


def _within_range(step: Step, has: Sequence[Mapping[str, Any]]) -> Step:
    """The copied value, kept within the ranges that are known."""
    ends = [[float(own[end]) for own in has if _is_finite(own.get(end))] for end in ("min", "max")]
    if not (ends[0] and ends[1]) or max(ends[0]) > min(ends[1]):
        return step
    low, high = (f"{end:.12g}" for end in (max(ends[0]), min(ends[1])))
    value = VALUE_OF_TRIGGER.removeprefix("{{ ").removesuffix(" }}")
    kept = f"{{{{ [[{value}, {low}] | max, {high}] | min }}}}"
    return replace(
        step,
        data={**step.data, "value": kept},
        adjust=f"it copies every change, kept from {low} to {high}: the two need one unit",
    )


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _of_length(step: Step, has: Sequence[Mapping[str, Any]]) -> Step | None:
    if any(own.get("pattern") or own.get("mode") == "password" for own in has):
        return None  # whether a text fits a pattern is for the entity to say
    limits = [own.get("max") for own in has]
    longest = min((limit for limit in limits if isinstance(limit, int)), default=DEFAULT_LENGTH)
    shortest = max((limit for own in has if isinstance(limit := own.get("min"), int)), default=0)
    return replace(step, longest=longest, shortest=shortest) if longest >= max(MIN_LENGTH, shortest) else None


def _of_both(step: Step, trigger: Entity, actions: Sequence[Entity]) -> Step | None:
    """The step that chooses the trigger's option, where the actions have it."""
    wanted, shared = options_of(trigger), _shared_options(actions)
    if wanted is None or shared is None:
        return step
    missing = [option for option in wanted if option not in shared]
    if len(missing) == len(wanted):
        return None
    return replace(step, adjust=f"it has no {', '.join(missing[:_SHOWN])}" if missing else "")


def _shared_options(actions: Sequence[Entity]) -> list[str] | None:
    """The options that all of ``actions`` have; None where those of one are not known."""
    of_each = [options_of(action) for action in actions]
    if any(options is None for options in of_each):
        return None
    return [option for option in of_each[0] or () if all(option in (options or ()) for options in of_each)]


def _options_meant(actions: Sequence[Entity]) -> Iterator[tuple[str, str]]:
    """Kind of event -> the option of ``actions`` that means it, such as ``Away`` where somebody leaves."""
    for option in _shared_options(actions) or ():
        for kind, words in OPTION_WORDS.items():
            if words & set(words_of(option)):
                yield kind, option


def _choosing(actions: Sequence[Entity], option: str) -> Step | None:
    domain = actions[0].domain
    if domain not in ("input_select", "select"):
        return None
    return Step(f"set {{name}} to {plain_words(option)}", f"{domain}.select_option", {"option": option})


def plain_words(text: str) -> str:
    """A text that may stand in ``Step.words``: braces would be filled in."""
    return text.replace("{", "(").replace("}", ")")
