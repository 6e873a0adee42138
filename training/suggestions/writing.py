"""Suggestions as YAML for Home Assistant, and as data."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from data_sources.counting import listed, many
from home_assistant.automation_file import checked_file
from home_assistant.automation_yaml import dump_automations
from training.runs.wording import COLUMNS
from training.suggestions.ranking import HomeProposals
from training.suggestions.recipes import printable

SHOWN = 5  # names of a list that a line shows
WIDTH = 64  # of YAML; a line is broken after the word that goes beyond it
_HEADER = re.compile(rb"# \d+ suggested automations?,? (best first, )?for home ")
_HOME = re.compile(
    r"^# \d+ suggested automations?.* for home (.*) \(\d+ entit(?:y|ies) and \d+ known pairs?\)$", re.MULTILINE
)


def is_written_here(path: Path) -> bool:
    """Whether a file begins as those do that ``to_yaml`` writes."""
    with path.open("rb") as file:
        return _HEADER.match(file.read(80)) is not None


def home_written_here(text: str) -> str | None:
    """The home that a text of ``to_yaml`` is for, as its first line names it."""
    found = _HOME.search(text)
    return found[1] if found is not None else None


def published_yaml(found: HomeProposals, *, ascii_only: bool = False) -> str:
    """``to_yaml``, read back and checked. Raises UnpublishableError for a file that Home Assistant would refuse."""
    return checked_file(to_yaml(found, ascii_only=ascii_only), [proposal.automation for proposal in found.proposals])


def to_yaml(found: HomeProposals, *, ascii_only: bool = False) -> str:
    """A list of automations for Home Assistant to include, with scores, reasons and notes as comments."""
    shown, of = len(found.proposals), f"{many(found.entities, 'entity')} and {many(found.known_pairs, 'known pair')}"
    lines = [_comment(f"{many(shown, 'suggested automation')} for home {found.home_id} ({of})")]
    lines += _comments(f"Order: {found.order}")
    lines += [line for note in found.notes for line in _comments(f"Note: {note}")]
    lines += _left_out_lines(found.left_out)
    for number, proposal in enumerate(found.proposals, start=1):
        lines += ["", *_comments(f"{number}. {proposal.score:.2f}  {proposal.title}")]
        for what, texts in (("why", proposal.reasons), ("to adjust", proposal.adjust)):
            lines += [line for text in texts for line in _comments(f"{what}: {text}", indent=3)]
        if proposal.alternatives:
            lines += _comments(f"as likely, or nearly: {listed(proposal.alternatives, SHOWN)}", indent=3)
        body = dump_automations([proposal.automation], ascii_only=ascii_only, width=WIDTH)
        lines += body.rstrip("\n").split("\n")
    if not found.proposals:
        lines.append("[]")
    return "\n".join([*lines, ""])


def _comment(text: str, indent: int = 0) -> str:
    """One comment line. Text of the data is in it, and must not end the comment: what cannot be printed is a space."""
    return f"# {' ' * indent}{printable(text)}"


def _comments(text: str, indent: int = 0) -> list[str]:
    """A comment in lines that fit a terminal; a further line stands deeper."""
    width = COLUMNS - len("# ") - indent
    lines = textwrap.wrap(
        printable(text), width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False
    )
    return [_comment(line, indent) for line in lines]


def _left_out_lines(left_out: Mapping[str, int]) -> list[str]:
    if not left_out:
        return []
    shown = list(left_out.items())[:SHOWN]
    others = sum(left_out.values()) - sum(pairs for _, pairs in shown)
    lines = [_comment(f"Left out, though it scores well: {many(sum(left_out.values()), 'pair')}")]
    lines += [line for why, pairs in shown for line in _comments(f"{pairs}: {why}", indent=3)]
    return lines + ([_comment(f"{others}: other reasons; a .json output lists them all", indent=3)] if others else [])


def to_dict(found: HomeProposals) -> dict[str, Any]:
    """All that was found for one home, for JSON."""
    return {key: value for key, value in asdict(found).items() if key != "home_id"}


def paths_of(output: Path, found: Sequence[HomeProposals]) -> list[Path]:
    """Where each home's YAML goes: ``output`` for one home, ``<stem>-<home_id>.yaml`` beside it for several."""
    if len(found) == 1:
        return [output]
    paths: list[Path] = []
    for home in found:
        name = re.sub(r"[^\w.-]+", "_", home.home_id).strip(".") or "home"
        path, number = output.with_name(f"{output.stem}-{name}{output.suffix}"), 1
        while path in paths:
            number += 1
            path = output.with_name(f"{output.stem}-{name}-{number}{output.suffix}")
        paths.append(path)
    return paths
