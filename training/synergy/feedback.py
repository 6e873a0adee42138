"""What people answered to suggestions, and which suggestions they were shown: a file to which lines are appended.

Each line is a JSON object, either an answer::

    {"time": "...", "home_id": "h", "answer": "dismissed", "suggestion": "suggested_0123456789ab",
     "trigger": "binary_sensor.hall", "actions": ["light.hall"], "by": "ann@server"}

or what one run of ``home-synergy suggest`` showed, and the entities that it met for the first time::

    {"time": "...", "home_id": "h", "shown": [{"suggestion": "...", "trigger": "...", "actions": ["..."]}],
     "new_entities": ["light.hall"], "by": "ann@server"}

What was shown has a ``title`` too, for whoever lists it; where several triggers start the same, those beside the first
are its ``other_triggers``. The last answer to a pair counts. Nothing in the file is ever changed or removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from data_sources import Home, Synergy, single_line
from home_assistant.entity_id import is_entity_id, normalized_entity_id
from training.runs.errors import ArtifactError, TrainingError, wrap_read_errors
from training.runs.files import flush_folder, wrap_write_errors
from training.runs.locks import HeldError, hold, user_at_host
from training.runs.wording import utc_now

ACCEPTED: Literal["accepted"] = "accepted"  # also the synergy_type of the pairs that are learnt from an answer
LOCK_SECONDS = 10.0  # appending takes milliseconds
NAMED_LINES = 5
RECOGNIZED = "suggest"  # who writes that an automation was found in the home

Verdict = Literal["accepted", "dismissed", "undone"]
Pair = tuple[str, str]
"""(trigger, action), entity ids."""


def suggestion_id(trigger: str, action: str) -> str:
    """The id of the suggested automation of a pair; that of several actions is the first one's."""
    return f"suggested_{hashlib.sha256(f'{trigger} {action}'.encode()).hexdigest()[:12]}"


def _entity_id(text: str) -> str:
    if not is_entity_id(found := normalized_entity_id(text)):
        raise ValueError("is no entity id")
    return found


EntityId = Annotated[str, AfterValidator(_entity_id)]


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Suggested(_Line):
    """A suggestion: its id, its triggers and the entities that act, and what a person read of it."""

    trigger: EntityId
    other_triggers: Annotated[tuple[EntityId, ...], BeforeValidator(lambda given: given or ())] = ()
    actions: Annotated[tuple[EntityId, ...], Field(min_length=1)]
    suggestion: str = ""
    score: float | None = None
    title: str | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        """Each trigger is there once, and none of them acts too, whatever a file has."""
        others = dict.fromkeys(t for t in self.other_triggers if t != self.trigger and t not in self.actions)
        object.__setattr__(self, "other_triggers", tuple(others))
        return self

    @property
    def id(self) -> str:
        """The automation's id, also where a line has none."""
        return self.suggestion or suggestion_id(self.trigger, self.actions[0])

    @property
    def words(self) -> str:
        """``sensor.a -> light.b, light.c``."""
        return f"{', '.join(self.triggers)} -> {', '.join(self.actions)}"

    @property
    def triggers(self) -> tuple[str, ...]:
        """All that start it."""
        return (self.trigger, *self.other_triggers)

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Each trigger with each action."""
        return tuple(product(self.triggers, self.actions))

    def only(self, pairs: Collection[Pair]) -> Iterator[Self]:
        """What is left of it where only these pairs count: one for the triggers that start the same actions."""
        pairs = frozenset(pairs)
        left: dict[tuple[str, ...], list[str]] = defaultdict(list)
        for trigger in self.triggers:
            left[tuple(action for action in self.actions if (trigger, action) in pairs)].append(trigger)
        for actions, (first, *others) in left.items():
            if actions:
                ends = {"trigger": first, "other_triggers": tuple(others), "actions": actions}
                yield self.model_copy(update={**ends, "suggestion": self.id})


class Answer(Suggested):
    """What a person answered to a suggestion of a home; ``undone`` takes back what was answered before."""

    home_id: Annotated[str, Field(min_length=1)]
    answer: Verdict
    time: str = ""
    by: str = ""


class Showing(_Line):
    """What one run showed for a home, and which of the home's entities no run had met before."""

    home_id: Annotated[str, Field(min_length=1)]
    shown: tuple[Suggested, ...]
    new_entities: tuple[str, ...] = ()
    time: str = ""
    by: str = ""


def answer_to(home_id: str, suggested: Suggested, verdict: Verdict, by: str = "") -> Answer:
    """An answer that is given now. ``by`` is this user if not given."""
    return Answer(
        home_id=home_id,
        answer=verdict,
        suggestion=suggested.id,
        trigger=suggested.trigger,
        other_triggers=suggested.other_triggers,
        actions=suggested.actions,
        title=suggested.title,
        time=utc_now(),
        by=by or user_at_host(),
    )


def showing_of(home_id: str, shown: Sequence[Suggested], new_entities: Iterable[str]) -> Showing:
    """What is shown now, by this user."""
    return Showing(
        home_id=home_id, shown=tuple(shown), new_entities=tuple(sorted(new_entities)), time=utc_now(), by=user_at_host()
    )


class Feedback:
    """The content of a file of answers.

    Args:
        path: Where it was read from.
        lines: Answers and showings in the order of the file.
        damaged: Numbers of the lines that are neither.
        cut_off: Whether the last line ends in its middle, as after a power cut; it is not among the damaged.

    Attributes:
        lines: Answers and showings in the order of the file.
        answers: Home -> pair -> the answer that counts, never ``undone``.
    """

    def __init__(
        self, path: Path, lines: Sequence[Answer | Showing] = (), damaged: Sequence[int] = (), cut_off: bool = False
    ) -> None:
        self.path, self.damaged, self.cut_off = path, tuple(damaged), cut_off
        self.lines: list[Answer | Showing] = []
        self.answers: dict[str, dict[Pair, Answer]] = defaultdict(dict)
        self._showings: dict[str, list[Showing]] = defaultdict(list)
        self.take(lines)

    def take(self, lines: Iterable[Answer | Showing]) -> None:
        """Count lines as if they stood at the end of the file."""
        for line in lines:
            self.lines.append(line)
            if isinstance(line, Showing):
                self._showings[line.home_id].append(line)
                continue
            for pair in line.pairs:
                self.answers[line.home_id].pop(pair, None)  # the order is that of the answers that count
                if line.answer != "undone":
                    self.answers[line.home_id][pair] = line

    @classmethod
    def read(cls, path: Path) -> Feedback:
        """Read a file while others may append to it. A missing file has no answers; damaged lines are left out.

        Raises:
            ArtifactError: It cannot be read, is no regular file, or holds something else.
        """
        with wrap_read_errors(path, "cannot be read as answers to suggestions", raises=ArtifactError):
            try:
                _check_regular(path, path.stat().st_mode)
                content = path.read_bytes()
            except FileNotFoundError:
                return cls(path)
        *whole, rest = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
        lines: list[Answer | Showing] = []
        damaged = []
        for number, text in enumerate(whole, start=1):
            if (line := _line_of(text)) is not None:
                lines.append(line)
            elif text.strip():
                damaged.append(number)
        last = _line_of(rest)  # an editor may leave out the end of the last line
        lines += [] if last is None else [last]
        cut_off = bool(rest.strip()) and last is None
        if cut_off and not _is_beginning(rest):
            damaged, cut_off = [*damaged, len(whole) + 1], False
        if damaged and not lines and b'"answer"' not in content and b'"shown"' not in content:
            raise ArtifactError(f"{path}: holds no answers to suggestions but something else; give another file")
        return cls(path, lines, damaged, cut_off)

    @property
    def home_ids(self) -> frozenset[str]:
        """The homes that were shown something, or answered."""
        return frozenset(line.home_id for line in self.lines)

    @property
    def trouble(self) -> str | None:
        """What could not be read of the file, in one line; None where all could."""
        named = ", ".join(map(str, self.damaged[:NAMED_LINES])) + (", ..." if len(self.damaged) > NAMED_LINES else "")
        found = [f"{len(self.damaged)} damaged (line {named})"] if self.damaged else []
        found += ["the last one is cut off"] if self.cut_off else []
        return f"{self.path}: lines were left out: {'; '.join(found)}" if found else None

    def pairs(self, home_id: str, verdict: Verdict, *, but_by: str | None = None) -> frozenset[Pair]:
        """The pairs of a home with this answer, but not those with the answer of ``but_by``."""
        of_home = self.answers.get(home_id, {})
        return frozenset(
            pair for pair, a in of_home.items() if a.answer == verdict and (but_by is None or a.by != but_by)
        )

    def shown(self, home_id: str) -> dict[Pair, Suggested]:
        """Each pair that the home was shown -> the suggestion in which it was shown last."""
        showings = self._showings.get(home_id, ())
        return {pair: one for line in showings for one in line.shown for pair in one.pairs}

    def met(self, home_id: str) -> frozenset[str] | None:
        """The entities of a home that earlier runs met; None where there was no run."""
        showings = self._showings.get(home_id)
        return None if showings is None else frozenset(e for line in showings for e in line.new_entities)

    def fingerprint(self) -> str:
        """SHA-256 of the answers that count, whatever their order, times and authors."""
        rows = sorted((home, *pair, a.answer) for home, own in self.answers.items() for pair, a in own.items())
        return hashlib.sha256(json.dumps(rows).encode()).hexdigest()

    def newly_automated(self, home_id: str, automated: Iterable[Pair]) -> Iterator[Answer]:
        """That what was shown, or answered by a person, is automated now, as answers; each is given once."""
        recognized = self.pairs(home_id, ACCEPTED) - self.pairs(home_id, ACCEPTED, but_by=RECOGNIZED)
        fresh = frozenset(automated) - recognized
        offered = {**self.shown(home_id), **self.answers.get(home_id, {})}
        found: dict[tuple[str, tuple[Pair, ...]], tuple[Suggested, list[Pair]]] = {}
        for pair, one in offered.items():
            if pair in fresh:
                found.setdefault((one.id, one.pairs), (one, []))[1].append(pair)
        for one, pairs in found.values():
            for held in one.only(pairs):
                yield answer_to(home_id, held, ACCEPTED, RECOGNIZED)


def _line_of(text: bytes) -> Answer | Showing | None:
    with suppress(ValueError, RecursionError):  # pydantic's error is a ValueError
        raw = json.loads(text)
        if isinstance(raw, dict):
            return Answer.model_validate(raw) if "answer" in raw else Showing.model_validate(raw)
    return None


def _is_beginning(text: bytes) -> bool:
    """Whether a text may be the beginning of a line: of an object that does not end."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return text.startswith(b'{"') or text == b"{"
    return False


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "no regular file"
        raise ArtifactError(f"{path}: is {kind}; answers to suggestions need a file")


def append(path: Path, lines: Sequence[Answer | Showing]) -> None:
    """Append lines and wait until they are on disk: all of them or none. Two writers wait for each other.

    Raises:
        ArtifactError: They cannot be written; the file has not changed.
    """
    if not lines:
        return
    content = b"".join(json.dumps(line.model_dump(exclude_defaults=True)).encode() + b"\n" for line in lines)
    with wrap_write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags, 0o666)  # less the umask
        try:
            _check_regular(path, os.fstat(descriptor).st_mode)
            with _alone(path):
                _append(descriptor, content)
        finally:
            os.close(descriptor)
        flush_folder(path.resolve().parent)


def _append(descriptor: int, content: bytes) -> None:
    """Append in one write. What was cut off before it becomes a line of its own, as a person may have written it."""
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        content = b"\n" + content
    try:
        written = os.write(descriptor, content)
        while written < len(content):
            written += os.write(descriptor, content[written:])
        os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the file; a file system without locks has to do without, where one write is one line."""
    try:
        descriptor = hold(path, LOCK_SECONDS)
    except HeldError as error:
        raise ArtifactError(
            f"{path}: another process has been writing it for {LOCK_SECONDS:.0f} s; nothing was written, try again"
        ) from error
    except OSError:
        yield
        return
    try:
        yield
    finally:
        os.close(descriptor)


# -- For training ------------------------------------------------------------------------------------------------------


class FeedbackAudit(BaseModel):
    """What the answers of a file are to the homes of a training.

    A suggestion counts once, whatever the number of its triggers and actions.

    Attributes:
        fingerprint: SHA-256 of the answers that count.
        accepted: Accepted suggestions of these homes.
        accepted_automated: Those of them whose pairs are known already.
        dismissed: Dismissed suggestions of these homes.
        dismissed_automated: Those of them that automations of the homes do all the same; their pairs stay known.
        unknown_entities: Answers that name entities which the home does not have.
        other_homes: Answers of homes that are not here.
        damaged_lines: Lines of the file that are no answers.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    accepted: int = 0
    accepted_automated: int = 0
    dismissed: int = 0
    dismissed_automated: int = 0
    unknown_entities: int = 0
    other_homes: int = 0
    damaged_lines: int = 0

    @classmethod
    def of_parts(cls, parts: Sequence[FeedbackAudit]) -> FeedbackAudit:
        """What the answers are to the homes of all parts, each of which was compared with the whole file."""
        whole = parts[0].model_dump()
        for part in parts[1:]:
            for name in ("accepted", "accepted_automated", "dismissed", "dismissed_automated", "unknown_entities"):
                whole[name] += getattr(part, name)
            whole["other_homes"] -= part.accepted + part.dismissed + part.unknown_entities
        return cls(**whole)


def relabelled(homes: Iterable[Home], feedback: Feedback) -> tuple[dict[int, Home], FeedbackAudit]:
    """The homes that get answers as labels.

    An accepted pair becomes a known pair with confidence 1 and the type ``accepted``, unless it is known. A dismissed
    one goes into ``Home.dismissed`` and out of the known pairs, unless an automation of the home does it: then the
    person has come round.

    Args:
        homes: The homes, with what they automate.
        feedback: The answers.

    Returns:
        Place among the homes -> the home with its labels, for those that get any; and what was found. An answer of
        which no pair can be used counts as one of unknown entities.
    """
    counts: Counter[str] = Counter(damaged_lines=len(feedback.damaged) + feedback.cut_off)
    found, here = {}, set()
    for place, home in enumerate(homes):
        here.add(home.home_id)
        known = set(directed_pairs(home.synergies))
        automated = set(directed_pairs(s for s in home.synergies if s.automation_id is not None))
        entities = {entity.entity_id for entity in home.entities}
        accepted: set[Pair] = set()
        dismissed: set[Pair] = set()
        for answer, pairs in by_answer(feedback.answers.get(home.home_id, {})):
            usable = {pair for pair in pairs if entities.issuperset(pair) and pair[0] != pair[1]}
            held = known if answer.answer == ACCEPTED else automated
            counts[answer.answer if usable else "unknown_entities"] += 1
            counts[f"{answer.answer}_automated"] += bool(usable) and usable <= held
            (accepted if answer.answer == ACCEPTED else dismissed).update(usable - held)
        if accepted or dismissed:
            found[place] = _with_labels(home, accepted, dismissed)
    others = (own for home_id, own in feedback.answers.items() if home_id not in here)
    counts["other_homes"] = sum(1 for own in others for _ in by_answer(own))
    return found, FeedbackAudit(fingerprint=feedback.fingerprint(), **counts)


def directed_pairs(synergies: Iterable[Synergy]) -> Iterator[Pair]:
    """The pairs of synergies, both directions of bidirectional ones."""
    for s in synergies:
        yield s.trigger, s.action
        if s.bidirectional:
            yield s.action, s.trigger


def _with_labels(home: Home, accepted: Collection[Pair], dismissed: Collection[Pair]) -> Home:
    rows = []
    for s in home.synergies:
        left = [pair for pair in directed_pairs([s]) if pair not in dismissed]
        if s.bidirectional and len(left) == 1:
            (trigger, action), direction = left[0], "unidirectional"
            rows.append(s.model_copy(update={"trigger": trigger, "action": action, "direction": direction}))
        elif left:
            rows.append(s)
    gone = len(home.synergies) - len(rows)
    rows += [
        Synergy.model_validate({"entity_1": t, "entity_2": a, "confidence": 1.0, "synergy_type": ACCEPTED})
        for t, a in accepted
    ]
    return replace(
        home,
        synergies=tuple(sorted(rows, key=lambda s: (s.trigger, s.action))),
        rows=home.rows + len(accepted),
        generated=max(0, home.generated - gone),
        dismissed=tuple(sorted(dismissed)),
    )


def by_answer(answers: Mapping[Pair, Answer]) -> Iterator[tuple[Answer, list[Pair]]]:
    """Each answer that counts, with the pairs for which it does."""
    pairs: dict[int, list[Pair]] = defaultdict(list)
    by_number = {id(answer): answer for answer in answers.values()}
    for pair, answer in answers.items():
        pairs[id(answer)].append(pair)
    for number, of_answer in pairs.items():
        yield by_number[number], of_answer


def read_for_training(path: Path) -> Feedback:
    """The answers of a file that a flag names, which must be there. Raises TrainingError."""
    if not path.exists():
        raise TrainingError(
            single_line(
                f"--feedback {path}: no such file; `home-synergy suggest --feedback FILE` and `home-synergy feedback "
                "accept|dismiss` write one"
            )
        )
    return Feedback.read(path)
