"""The page of suggestions: a card each, with why, what was observed, the YAML to copy, and how to answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data_sources import Home
from data_sources.counting import many
from home_assistant.automation_yaml import dump_automations
from training.pages.charts import hours_chart, sequence_chart
from training.pages.rendering import render
from training.runs.wording import utc_now
from training.suggestions.ranking import HomeProposals, Proposal
from training.suggestions.recipes import name_of

if TYPE_CHECKING:
    from markupsafe import Markup

TEMPLATE = "page.html.j2"
WIDTH = 88  # of a line of YAML
_KEY = re.compile(r"^\s*(?:- )?(\w+):(.*)$")
_DOTTED = re.compile(r"\b[a-z_]+\.\w+")
_FIRST_NUMBER = re.compile(r"^-?\d+(?:\.\d+)?")
_SAYS_NOTHING = frozenset(
    "a and as by data each entity every for from id in is it mode of on or out own state the to".split()
)


class Evidence(NamedTuple):
    """Charts of what was observed, for each suggestion of a home, in their order."""

    charts: tuple[tuple[Markup, ...], ...]


def evidence_of(home: Home, found: HomeProposals) -> Evidence:
    """What the history of a home shows of its suggestions."""
    return Evidence(tuple(tuple(_charts(home, proposal)) for proposal in found.proposals))


def _charts(home: Home, proposal: Proposal) -> Iterable[Markup]:
    ends = (proposal.trigger, proposal.actions[0])
    names = {entity.entity_id: name_of(entity) for entity in home.entities if entity.entity_id in ends}
    seen = [one for one in home.observed if (one.trigger, one.action) == ends]
    if not seen:
        return
    most = max(seen, key=lambda one: one.count)
    days = many(max(1, round(most.days)), "day")
    yield sequence_chart(
        "What you did by hand",
        f"{names[ends[0]]}: {most.state}",
        f"{names[ends[1]]}: {most.result}",
        most.window,
        (most.count, most.triggers),
        f"{most.count} of {most.triggers} times in {days}, {most.lift:.1f} times as often as by chance.",
    )
    hours = {one.entity_id: one.hours for one in home.activity}
    rows = [(names[end], hours[end]) for end in ends if any(hours.get(end, ()))]
    if rows:
        yield hours_chart("At which hours the two change", rows, f"All changes in {days}, local time.")


class Line(NamedTuple):
    """A line of YAML, and whether a person has to look at it."""

    text: str
    marked: bool


class Card(NamedTuple):
    """One suggestion as the template shows it."""

    number: int
    proposal: Proposal
    yaml: Sequence[Line]
    charts: Sequence[Markup]
    answers: dict[str, str]


def page_of(found: Sequence[HomeProposals], evidence: Sequence[Evidence], feedback: Path) -> bytes:
    """One self-contained HTML file.

    Args:
        found: The suggestions of each home.
        evidence: What was observed of them, home by home.
        feedback: The file of answers that the commands of the page name.
    """
    numbers = iter(range(1, 1 + sum(len(home.proposals) for home in found)))
    homes = [
        (
            home,
            [
                Card(next(numbers), p, yaml_lines(p), charts, _answers(p, home.home_id, feedback, len(found) > 1))
                for p, charts in zip(home.proposals, own.charts, strict=True)
            ],
        )
        for home, own in zip(found, evidence, strict=True)
    ]
    # What `home-synergy feedback` reads of the page: as a .json output has it, without what no answer needs.
    offered = {
        home.home_id: {
            "known_pairs": home.known_pairs,
            "proposals": [
                {
                    "automation": {key: p.automation[key] for key in ("id", "alias")},
                    "trigger": p.trigger,
                    "other_triggers": p.other_triggers,
                    "actions": p.actions,
                }
                for p in home.proposals
            ],
        }
        for home in found
    }
    return render(
        TEMPLATE,
        Path(__file__).parent,
        homes=homes,
        offered=offered,
        message=many(sum(len(home.proposals) for home in found), "suggestion"),
        when=f"{utc_now('minutes')[:16].replace('T', ' ')} UTC",
    )


def _answers(proposal: Proposal, home_id: str, feedback: Path, several: bool) -> dict[str, str]:
    """Verb -> the command that notes the answer."""
    named = ["--file", str(feedback.absolute()), *(["--home", home_id] if several else [])]
    return {
        verb: shlex.join(["home-synergy", "feedback", verb, proposal.automation["id"], *named])
        for verb in ("accept", "dismiss")
    }


def yaml_lines(proposal: Proposal) -> list[Line]:
    """The automation as Home Assistant reads it; the lines that ``adjust`` speaks of are marked.

    A note speaks of a line that holds an entity, an action or a number that it names, or whose key it names. Where it
    speaks of none, it is the action that has to be looked at.
    """
    texts = dump_automations([proposal.automation], width=WIDTH).rstrip("\n").split("\n")
    body = range(next((i for i, text in enumerate(texts) if text.lstrip(" -").startswith("trigger")), 0), len(texts))
    marked: set[int] = set()
    for note in proposal.adjust:
        hits = {i for i in body if _speaks_of(note, texts[i])}
        marked |= hits or {i for i in body if re.match(r"\s*- action:", texts[i])}
    return [Line(text, i in marked) for i, text in enumerate(texts)]


def _speaks_of(note: str, line: str) -> bool:
    found = _KEY.match(line)
    value = found[2].strip() if found is not None else line.strip(" -")
    number = _FIRST_NUMBER.match(note)
    if number is not None:
        return _is_number(value, float(number[0]))
    if value in _DOTTED.findall(note):
        return True
    words = set(re.findall(r"[a-z]+", note.lower())) - _SAYS_NOTHING
    return found is not None and bool(
        {word.rstrip("s") for word in words} & {w.rstrip("s") for w in found[1].split("_")}
    )


def _is_number(value: str, wanted: float) -> bool:
    try:
        return float(value) == wanted
    except ValueError:
        return False


_OFFERED = re.compile(r'<script type="application/json" id="suggestions">(.*?)</script>', re.DOTALL)


def offered_in(page: str) -> str | None:
    """The suggestions of a page as JSON, as ``page_of`` wrote it; None where the text is no such page."""
    found = _OFFERED.search(page)
    return None if found is None else found[1]
