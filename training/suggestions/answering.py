"""``home-synergy feedback``: note what a person says to suggestions, and list it."""

from __future__ import annotations

import difflib
import json
import logging
import re
import textwrap
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from data_sources import single_line
from data_sources.counting import listed, many
from data_sources.nearest import all_near
from data_sources.records import shorten_text
from home_assistant.automation_yaml import AutomationError, parse_yaml
from home_assistant.entity_id import domain_of, is_entity_id, normalized_entity_id
from training.runs.errors import TrainingError
from training.runs.wording import COLUMNS
from training.suggestions.config import FeedbackOptions
from training.suggestions.page import offered_in
from training.suggestions.writing import home_written_here, is_written_here
from training.synergy.feedback import (
    RECOGNIZED,
    Answer,
    Feedback,
    Showing,
    Suggested,
    Verdict,
    answer_to,
    append,
    by_answer,
    suggestion_id,
)

log = logging.getLogger(__name__)

NEAR = 3  # suggestions or entities that a message names
ALIKE = 0.8  # of two ids of which one is a slip of the other; two random ones are 0.4 alike
INDENT = " " * 11
_SEPARATORS = re.compile(r"\s*(?:->|,|\s)\s*")
_ID_HEAD = "suggested_"
_ID_BEGINNING = 4  # digits that tell one id from others
_JSON_HEAD = 4096  # bytes in which a file of suggestions in JSON has its first keys


class Offer(NamedTuple):
    """A suggestion that a home was shown, or that was answered."""

    home_id: str
    suggested: Suggested
    is_last: bool = True  # whether it was shown the last time
    is_shown: bool = True  # whether it was shown, and not only answered by somebody who named a pair


def answer(options: FeedbackOptions, names: Sequence[str], verdict: Verdict) -> None:
    """Note an answer to each of the suggestions that are named: to all or, where one is not known, to none.

    Args:
        options: Where the answers are.
        names: Ids of suggestions, or pairs ``trigger,action``; two entity ids alone are a pair.
        verdict: The answer.

    Raises:
        TrainingError: A name is not known, is that of several homes, has an entity that its home lacks, or has no
            answer that could be undone.
    """
    feedback = _read(options.file)
    offers = _offers(feedback, options.file)
    if len(names) == 2 and all(is_entity_id(normalized_entity_id(name)) for name in names):
        names = [",".join(names)]
    new: list[Answer] = []
    lines = []
    notes: list[str] = []
    for name in names:
        offer = _named(name, offers, options)
        own = feedback.answers.get(offer.home_id, {})
        before = [own.get(pair) for pair in offer.suggested.pairs]
        if verdict == "undone" and offer.suggested.id == name.strip():  # also what is no longer shown under the id
            parts = [
                left
                for given, pairs in by_answer(own)
                if given.id == offer.suggested.id
                for left in given.only(set(pairs).difference(offer.suggested.pairs))
            ]
            new += [answer_to(offer.home_id, left, verdict) for left in parts]
            lines += [f"Undone: {left.words} ({left.id})" for left in parts]
            if parts and not any(before):
                continue
        if verdict == "undone" and not any(before):
            raise TrainingError(f"{name}: has no answer in {options.file} that could be undone")
        done = [old for old in before if old is not None and old.answer == verdict]
        if len(done) == len(before):
            lines.append(f"{verdict.capitalize()} already, {_minute(done[0].time)}: {offer.suggested.words}")
            continue
        if verdict != "undone":
            notes += _doubts(offer, offers, feedback, options)
        new.append(answer_to(offer.home_id, offer.suggested, verdict))
        lines.append(f"{verdict.capitalize()}: {offer.suggested.words} ({offer.suggested.id})")
    append(options.file, new)
    for note in notes:
        log.warning("Note: %s", single_line(note))
    for line in lines:
        log.info("%s", single_line(line))
    if new:
        log.info("Saved: %s", options.file)


def list_answers(options: FeedbackOptions) -> None:
    """Log each suggestion that was shown or answered, in the order of the first time, with its last answer."""
    feedback = _read(options.file)
    found: dict[tuple[str, str], Suggested] = {}
    titles: dict[tuple[str, str], str] = {}
    shown: dict[tuple[str, str], list[str]] = defaultdict(list)
    for line in feedback.lines:
        if options.home not in (None, line.home_id):
            continue
        for one in (line,) if isinstance(line, Answer) else line.shown:
            key = line.home_id, one.id
            if isinstance(line, Showing) or not shown[key]:  # an answer may be one to a part of what was shown
                found[key] = one
            titles.update({key: one.title} if one.title else {})
            shown[key] += [line.time] if isinstance(line, Showing) else []
    counts: Counter[str] = Counter()
    homes = {home_id for home_id, _ in found}
    for key, one in found.items():
        home_id, name = key
        own = feedback.answers.get(home_id, {})
        pairs_shown = {*one.pairs}
        answers = {pair: a for pair, a in own.items() if pair in pairs_shown or a.id == name}
        verdicts = {a.answer for a in answers.values()}
        whole = not answers or (answers.keys() == pairs_shown and len(verdicts) == 1)
        said = "partly" if not whole else min(verdicts, default="no answer")
        counts[said] += 1
        often = f"{many(len(shown[key]), 'time')}, last " if len(shown[key]) > 1 else ""
        times = [f"shown {often}{_minute(shown[key][-1])}"] if shown[key] else []
        for given, pairs in by_answer(answers):
            parts = [] if whole else [f"({'; '.join(left.words for left in given.only(pairs))})"]
            times.append(" ".join(filter(None, [given.answer, *parts, _minute(given.time), _by(given)])))
        head = f"{said:<9}  {name}  {titles.get(key, '')}".rstrip()
        of_home = [f"home {home_id}"] if len(homes) > 1 else []
        for text, indent in ((head, ""), (one.words, INDENT), ("; ".join([*of_home, *times]), INDENT)):
            further = f"{INDENT}  "
            for part in textwrap.wrap(
                single_line(text), COLUMNS, initial_indent=indent, subsequent_indent=further, break_on_hyphens=False
            ):
                log.info("%s", part)
    told = ", ".join(f"{number} {said}" for said, number in sorted(counts.items()))
    if not told:
        for_home = "" if options.home is None else f" for home {options.home!a}"
        told = f"nothing was shown or answered{for_home} yet{_homes_of(feedback.home_ids)}"
    log.info("%s", single_line(f"{options.file}: {told}"))


def _minute(time: str) -> str:
    """A time as a person reads it, in UTC to the minute; as it stands where it is none."""
    try:
        return f"{datetime.fromisoformat(time).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except (OverflowError, ValueError):
        return time or "at an unknown time"


def _by(given: Answer) -> str:
    if given.by == RECOGNIZED:
        return "by suggest, which found it automated"
    return f"by {given.by}" if given.by else ""


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
        before, arrow, _ = name.partition("->")  # as a list of answers has it
        triggers = len(_SEPARATORS.split(before.strip())) if arrow else 1
        (trigger, *others), actions = parts[:triggers], parts[triggers:]
        if both := {trigger, *others}.intersection(actions):
            raise TrainingError(f"{name}: has {min(both)} at both ends; an entity does not start itself")
        asked = Suggested(trigger=trigger, other_triggers=tuple(others), actions=tuple(actions))
        fitting = {o.home_id: o for o in here if set(asked.pairs) <= set(o.suggested.pairs)}
        if not fitting:
            homes = {offer.home_id for offer in here} | ({options.home} if options.home is not None else set())
            fitting = {home_id: Offer(home_id, asked) for home_id in sorted(homes)}
        found = {
            home_id: Offer(home_id, asked.model_copy(update={"suggestion": offer.suggested.id}))
            for home_id, offer in fitting.items()
        }
    else:
        called = [offer for offer in here if offer.suggested.id == name.strip()]
        # What was shown counts: an answer may be one to a part of it.
        found = {offer.home_id: offer for offer in sorted(called, key=lambda offer: offer.is_shown)}
    if not found and is_pair:
        raise TrainingError(
            f"{name}: neither {options.file} nor a file of suggestions beside it names a home; give --home HOME_ID, as "
            "the first line that `home-synergy suggest` prints has it (`# 10 suggested automations for home HOME_ID`)"
        )
    if not found and (homes_of := {offer.home_id for offer in offers if offer.suggested.id == name.strip()}):
        told = ", ".join(map(ascii, sorted(homes_of)))
        raise TrainingError(f"{name}: is a suggestion for {told} and not for --home {options.home!a}")
    if not found:
        shown = shorten_text(name) or "an empty id"
        raise TrainingError(
            f"{shown}: no such suggestion in {options.file} or in a file of suggestions beside it"
            f"{_instead_of(name.strip(), here, options)}; give the id of the automation (suggested_...), or "
            "trigger,action"
        )
    if len(found) > 1:
        raise TrainingError(f"{name}: is a suggestion for {', '.join(map(ascii, sorted(found)))}; give --home HOME_ID")
    return next(iter(found.values()))


def _instead_of(name: str, offers: Sequence[Offer], options: FeedbackOptions) -> str:
    """Which suggestions may be meant by an id that none has: one that it is a slip of, or else the last ones shown.

    The ids are hashes, so of two that only look a little alike one tells nothing of the other.
    """
    by_id = {offer.suggested.id: offer.suggested for offer in offers}  # the last of an id counts
    digits = {one.removeprefix(_ID_HEAD): one for one in by_id}
    given = name.removeprefix(_ID_HEAD)
    meant = [one for own, one in digits.items() if len(given) >= _ID_BEGINNING and own.startswith(given)]
    meant += [digits[own] for own in difflib.get_close_matches(given, digits, NEAR, ALIKE)]
    if meant:
        return f"; near it: {', '.join(_told(by_id[one]) for one in dict.fromkeys(meant))}"
    last = list(dict.fromkeys(offer.suggested.id for offer in offers if offer.is_last))
    if not last:
        of_home = "" if options.home is None else f" for home {options.home!a}"
        return (
            f", nor any other{of_home}; with --install, --output or --feedback `home-synergy suggest` leaves ids there"
        )
    return f"; shown last: {listed([_told(by_id[one]) for one in last], NEAR)}"


def _told(one: Suggested) -> str:
    return f"{one.id} ({one.title or one.words})"


def _doubts(offer: Offer, offers: Sequence[Offer], feedback: Feedback, options: FeedbackOptions) -> Iterator[str]:
    """Notes on a pair that nobody was shown: a slip of an entity or a home would be learnt as if it were meant.

    Raises:
        TrainingError: The file of answers knows the entities of the home, and one is not among them.
    """
    offers = [o for o in offers if o.is_shown]
    homes = {o.home_id for o in offers}
    if homes and offer.home_id not in homes:
        yield f"nothing beside {options.file} is for home {offer.home_id!a}{_homes_of(homes)}"
        return
    of_home = [o.suggested for o in offers if o.home_id == offer.home_id]
    if not of_home or any(set(offer.suggested.pairs) <= set(one.pairs) for one in of_home):
        return
    met = feedback.met(offer.home_id) or frozenset()
    known = met.union(*(pair for one in of_home for pair in one.pairs))
    for entity in sorted({entity for pair in offer.suggested.pairs for entity in pair} - known):
        told = _near_entities(entity, known)
        if met:
            raise TrainingError(
                f"{entity}: home {offer.home_id!a} has no such entity, as far as {options.file} knows{told}; give the "
                "entity's id, or, if it is new, run `home-synergy suggest` first"
            )
        yield f"no suggestion for home {offer.home_id!a} names {entity}{told}; `feedback undo` takes the answer back"


def _near_entities(entity: str, known: Collection[str]) -> str:
    """Which known entities may be meant by one that is not; else one of its domain, if there is any."""
    near = all_near(entity, sorted(known), NEAR)
    if near:
        return f"; near it: {', '.join(near)}"
    of_domain = [other for other in sorted(known) if domain_of(other) == domain_of(entity)]
    return f"; there is, for one, {of_domain[0]}" if of_domain else ""


def _homes_of(homes: Iterable[str]) -> str:
    """Which homes there are, for a message on one that is none of them."""
    names = sorted(homes)
    return f"; known homes: {listed([ascii(name) for name in names], NEAR)}" if names else ""


# -- What was shown ----------------------------------------------------------------------------------------------------


def _offers(feedback: Feedback, path: Path) -> list[Offer]:
    """What the file says was shown and answered, and what files of suggestions beside it hold; the last one counts."""
    last = {line.home_id: line for line in feedback.lines if isinstance(line, Showing) and line.shown}
    found = [offer._replace(is_last=offer.home_id not in last) for offer in _offers_beside(path.parent)]
    for line in feedback.lines:
        if isinstance(line, Answer):
            found.append(Offer(line.home_id, line, is_last=False, is_shown=False))
        else:
            found += [Offer(line.home_id, one, line is last.get(line.home_id)) for one in line.shown]
    return found


def _offers_beside(folder: Path) -> Iterator[Offer]:
    for path in sorted(folder.iterdir(), key=_age) if folder.is_dir() else ():
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


def _age(path: Path) -> tuple[float, Path]:
    """What sorts files from the oldest to the newest."""
    with suppress(OSError):
        return path.stat().st_mtime, path
    return 0.0, path


def _in_json(content: Mapping[str, Any]) -> Iterator[Offer]:
    for home_id, found in content.items():
        for proposal in found.get("proposals", ()) if isinstance(found, Mapping) else ():
            with suppress(KeyError, TypeError, ValueError):
                named = {"suggestion": proposal["automation"]["id"], "title": proposal["automation"].get("alias")}
                ends = {key: proposal[key] for key in ("trigger", "other_triggers", "actions") if key in proposal}
                yield Offer(home_id, Suggested.model_validate({**named, **ends}))


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
    of_one_end = [own for own in lists if not set(pair) <= set(own)]
    triggers, actions = (_first(end, next((own for own in of_one_end if end in own), [])) for end in pair)
    alias = automation.get("alias")
    title = alias if isinstance(alias, str) else None
    return Suggested(
        trigger=pair[0],
        other_triggers=tuple(triggers[1:]),
        actions=tuple(actions),
        suggestion=str(wanted),
        title=title,
    )


def _first(entity: str, of: Sequence[str]) -> list[str]:
    """The entities of a list, this one first."""
    return [entity, *(other for other in of if other != entity)]


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
