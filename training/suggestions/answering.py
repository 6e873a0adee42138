"""``home-synergy feedback``: note what a person says to suggestions, and list it."""

from __future__ import annotations

import difflib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from data_sources import single_line
from data_sources.records import shorten_text
from home_assistant.automation_yaml import AutomationError, parse_yaml
from home_assistant.entity_id import is_entity_id, normalized_entity_id
from training.runs.errors import TrainingError
from training.runs.wording import many
from training.suggestions.config import FeedbackOptions
from training.suggestions.page import offered_in
from training.suggestions.writing import home_written_here, is_written_here
from training.synergy.feedback import Answer, Feedback, Showing, Suggested, Verdict, answer_to, append, suggestion_id

log = logging.getLogger(__name__)

NEAR_IDS = 3
_SEPARATORS = re.compile(r"\s*(?:->|,|\s)\s*")
_JSON_HEAD = 4096  # bytes in which a file of suggestions in JSON has its first keys


class Offer(NamedTuple):
    """A suggestion that a home was shown."""

    home_id: str
    suggested: Suggested


def answer(options: FeedbackOptions, names: Sequence[str], verdict: Verdict) -> None:
    """Note an answer to each of the suggestions that are named: to all or, where one is not known, to none.

    Args:
        options: Where the answers are.
        names: Ids of suggestions, or pairs ``trigger,action``; two entity ids alone are a pair.
        verdict: The answer.

    Raises:
        TrainingError: A name is not known, is that of several homes, or has no answer that could be undone.
    """
    feedback = _read(options.file)
    offers = _offers(feedback, options.file)
    if len(names) == 2 and all(is_entity_id(normalized_entity_id(name)) for name in names):
        names = [",".join(names)]
    new: list[Answer] = []
    lines = []
    for name in names:
        offer = _named(name, offers, options)
        before = [feedback.answers.get(offer.home_id, {}).get(pair) for pair in offer.suggested.pairs]
        if verdict == "undone" and not any(before):
            raise TrainingError(f"{name}: has no answer in {options.file} that could be undone")
        done = [old for old in before if old is not None and old.answer == verdict]
        if len(done) == len(before):
            lines.append(f"{verdict.capitalize()} already, {done[0].time}: {offer.suggested.words}")
            continue
        new.append(answer_to(offer.home_id, offer.suggested, verdict))
        lines.append(f"{verdict.capitalize()}: {offer.suggested.words} ({offer.suggested.id})")
    append(options.file, new)
    for line in lines:
        log.info("%s", single_line(line))
    if new:
        log.info("Saved: %s", options.file)


def list_answers(options: FeedbackOptions) -> None:
    """Log each suggestion that was shown or answered, in the order of the first time, with its last answer."""
    feedback = _read(options.file)
    found: dict[tuple[str, str], Suggested] = {}
    times: Counter[tuple[str, str]] = Counter()
    last: dict[tuple[str, str], str] = {}
    for line in feedback.lines:
        if options.home not in (None, line.home_id):
            continue
        for one in (line,) if isinstance(line, Answer) else line.shown:
            key = line.home_id, one.id
            found[key] = one
            times[key] += isinstance(line, Showing)
            last[key] = line.time
    counts: Counter[str] = Counter()
    for (home_id, name), one in found.items():
        given = next((a for pair in one.pairs if (a := feedback.answers.get(home_id, {}).get(pair))), None)
        said = "no answer" if given is None else given.answer
        counts[said] += 1
        shown = f"shown {many(times[home_id, name], 'time')}, last" if times[home_id, name] else "answered"
        by = f", by {given.by}" if given is not None and given.by else ""
        log.info("%s", single_line(f"{said:<9}  {name}  {one.words}  ({home_id}; {shown} {last[home_id, name]}{by})"))
    told = ", ".join(f"{number} {said}" for said, number in sorted(counts.items()))
    of_home = "" if options.home is None else f" for home {options.home!a}"
    log.info("%s", single_line(f"{options.file}: {told or f'nothing was shown or answered{of_home} yet'}"))


def _read(path: Path) -> Feedback:
    feedback = Feedback.read(path)
    if feedback.trouble is not None:
        log.warning("Note: %s", feedback.trouble)
    return feedback


def _named(name: str, offers: Sequence[Offer], options: FeedbackOptions) -> Offer:
    """The suggestion that a person names."""
    here = [offer for offer in offers if options.home in (None, offer.home_id)]
    parts = [normalized_entity_id(part) for part in _SEPARATORS.split(name.strip())]
    is_pair = len(parts) > 1 and all(map(is_entity_id, parts))
    if is_pair:
        trigger, *actions = parts
        if trigger in actions:
            raise TrainingError(f"{name}: has {trigger} at both ends; an entity does not start itself")
        asked = Suggested(trigger=trigger, actions=tuple(actions))
        fitting = {o.home_id: o for o in here if set(asked.pairs) <= set(o.suggested.pairs)}
        if not fitting:
            homes = {offer.home_id for offer in here} | ({options.home} if options.home is not None else set())
            fitting = {home_id: Offer(home_id, asked) for home_id in sorted(homes)}
        found = {
            home_id: Offer(home_id, asked.model_copy(update={"suggestion": offer.suggested.id}))
            for home_id, offer in fitting.items()
        }
    else:
        found = {offer.home_id: offer for offer in here if offer.suggested.id == name.strip()}
    if not found and is_pair:
        raise TrainingError(f"{name}: {options.file} names no home; give --home HOME_ID")
    if not found and (homes_of := {offer.home_id for offer in offers if offer.suggested.id == name.strip()}):
        told = ", ".join(map(ascii, sorted(homes_of)))
        raise TrainingError(f"{name}: is a suggestion for {told} and not for --home {options.home!a}")
    if not found:
        near = difflib.get_close_matches(name, sorted({o.suggested.id for o in here}), NEAR_IDS)
        told = f"; near it: {', '.join(near)}" if near else ""
        shown = shorten_text(name) or "an empty id"
        raise TrainingError(
            f"{shown}: no such suggestion in {options.file} or in a file of suggestions beside it{told}; give the id "
            "of the automation (suggested_...), or trigger,action"
        )
    if len(found) > 1:
        raise TrainingError(f"{name}: is a suggestion for {', '.join(map(ascii, sorted(found)))}; give --home HOME_ID")
    return next(iter(found.values()))


# -- What was shown ----------------------------------------------------------------------------------------------------


def _offers(feedback: Feedback, path: Path) -> list[Offer]:
    """What the file says was shown and answered, and what files of suggestions beside it hold; the last one counts."""
    found = list(_offers_beside(path.parent))
    for line in feedback.lines:
        found += [Offer(line.home_id, one) for one in ((line,) if isinstance(line, Answer) else line.shown)]
    return found


def _offers_beside(folder: Path) -> Iterator[Offer]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(OSError, ValueError, AutomationError, RecursionError):  # a file that cannot be read shows nothing
            if not path.is_file():
                continue
            if path.suffix in (".yaml", ".yml") and is_written_here(path):
                yield from _in_yaml(path.read_text(encoding="utf-8"))
            elif path.suffix in (".html", ".htm"):
                offered = offered_in(path.read_text(encoding="utf-8"))
                yield from _in_json(json.loads(offered or "{}"))
            elif path.suffix == ".json":
                with path.open("rb") as file:
                    if b'"known_pairs"' in file.read(_JSON_HEAD):
                        yield from _in_json(json.loads(path.read_bytes()))


def _in_json(content: Mapping[str, Any]) -> Iterator[Offer]:
    for home_id, found in content.items():
        for proposal in found.get("proposals", ()) if isinstance(found, Mapping) else ():
            with suppress(KeyError, TypeError, ValueError):
                named = {"suggestion": proposal["automation"]["id"], "trigger": proposal["trigger"]}
                yield Offer(home_id, Suggested.model_validate({**named, "actions": proposal["actions"]}))


def _in_yaml(text: str) -> Iterator[Offer]:
    for document in re.split(r"^---$", text, flags=re.MULTILINE):
        home_id, automations = home_written_here(document), parse_yaml(document)
        for automation in automations if home_id is not None and isinstance(automations, list) else ():
            suggested = _suggested_by(automation) if isinstance(automation, Mapping) else None
            if suggested is not None:
                yield Offer(home_id or "", suggested)


def _suggested_by(automation: Mapping[str, Any]) -> Suggested | None:
    """The suggestion that an automation was written for: the id is a hash of its trigger and first action."""
    lists = [*_entity_lists(automation)]
    entities = dict.fromkeys(["sun.sun", *(entity for own in lists for entity in own)])
    wanted = automation.get("id")
    pair = next((p for p in product(entities, repeat=2) if suggestion_id(*p) == wanted), None)
    if pair is None:
        return None
    together = next((own for own in lists if own[0] == pair[1]), [pair[1]])
    return Suggested(trigger=pair[0], actions=tuple(together), suggestion=str(wanted))


def _entity_lists(value: Any) -> Iterator[list[str]]:
    """The entity ids in an automation, those that stand in one list together, the longest first."""
    parts: Iterable[Any] = ()
    if isinstance(value, str) and is_entity_id(value):
        yield [value]
    elif isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, list) and value and all(isinstance(part, str) and is_entity_id(part) for part in value):
        yield value
    elif isinstance(value, list):
        parts = value
    yield from (own for part in parts for own in _entity_lists(part))
