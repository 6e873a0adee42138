"""The page of one training, for a person: what it was trained on, how it was judged, and what came of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from data_sources.counting import many
from training.runs.summary import TrainingSummary

if TYPE_CHECKING:
    from markupsafe import Markup

    from training.pages.home_picture import HomePicture


@dataclass(frozen=True)
class Table:
    """Numbers under a caption; the first cell of a row names it. ``own`` are the rows that stand out."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    own: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Answer:
    """What a text model was asked, what was wanted, what it answered, and its score in words."""

    asked: str
    wanted: str
    answered: str
    said: str


@dataclass(frozen=True)
class Section:
    """A part of the page. What is empty is not shown.

    Attributes:
        title: Its heading.
        lead: A sentence under it.
        facts: Names and values.
        lines: A list.
        charts: SVG of ``training.pages.charts``.
        tables: Folded where the section has charts.
        homes: Pictures of homes.
        answers: Answers of a text model, the worst first.
    """

    title: str
    lead: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    lines: Sequence[str] = ()
    charts: Sequence[Markup] = ()
    tables: Sequence[Table] = ()
    homes: Sequence[HomePicture] = ()
    answers: Sequence[Answer] = ()

    @property
    def anchor(self) -> str:
        """The id of the section in its page."""
        return re.sub(r"\W+", "-", self.title.lower())


def run_page(summary: TrainingSummary, title: str, audited: Sequence[str], sections: Sequence[Section]) -> bytes:
    """One HTML file that loads nothing.

    Args:
        summary: The run.
        title: What the model does, in a few words.
        audited: The audit in words.
        sections: What the model's own wing shows; the data, the split and the settings are added here.
    """
    from training.pages.rendering import plain, render

    verdict = summary.notes[-1] if summary.notes else summary.message
    tone = "warned" if "NOT" in verdict or verdict.startswith("Nothing") else "ok"
    return render(
        "run.html.j2",
        heading=title,
        verdict=verdict,
        tone=tone,
        when=f"{summary.model_type}, trained {summary.timestamp[:16].replace('T', ' ')} UTC "
        f"in {max(1, round(summary.training_time_seconds))} s",
        sections=[_data(summary, audited), *sections, _settings(summary, plain)],
        footer="This page loads nothing and sends nothing. "
        + ", ".join(f"{name} {version}" for name, version in summary.versions.items()),
    )


def _data(summary: TrainingSummary, audited: Sequence[str]) -> Section:
    said = [line for line in audited if not line.startswith("Note: ")]
    joined = "; ".join(" ".join(line.split()) for line in said)
    report = summary.load_report
    rejected = sum(dict(report.get("rejected", {})).values())
    facts = {"source": str(summary.source.get("location", ""))}
    if "choice" in summary.source:
        facts["chosen"] = str(summary.source["choice"])
    if rejected:
        reasons = "; ".join(report.get("first_reasons", ()))
        facts["left out"] = f"{many(rejected, 'row')} that could not be used: {reasons}"
    facts["fingerprint"] = str(summary.data_fingerprint)[:16]
    limits = [line.removeprefix("Note: ") for line in audited if line.startswith("Note: ")]
    return Section("The data", joined.removeprefix("Data: "), facts, limits)


def split_section(split: Mapping[str, Any], lines: Sequence[str] = ()) -> Section:
    """How the rows were split, from the description of a split."""
    from training.pages.rendering import number

    counts = {what: own for what, own in split.items() if isinstance(own, Mapping)}
    parts = list(dict.fromkeys(part for own in counts.values() for part in own))
    rows = [[what.replace("_", " "), *(number(own.get(part, 0)) for part in parts)] for what, own in counts.items()]
    return Section("The split", str(split["reason"]), lines=lines, tables=[Table("Parts", ["", *parts], rows)])


def _settings(summary: TrainingSummary, plain: Any) -> Section:
    facts = {name.replace("_", " "): plain(value) for name, value in summary.config.items()}
    return Section("Settings and notes", facts=facts, lines=summary.notes)
