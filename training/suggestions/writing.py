"""Suggestions as YAML for Home Assistant, and as data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from training.suggestions.ranking import HomeProposals
from training.suggestions.recipes import one_line

SHOWN = 5  # names of a list that a line shows
WIDTH = 110


def to_yaml(found: HomeProposals, *, ascii_only: bool = False) -> str:
    """A list of automations for Home Assistant to include, with scores, reasons and notes as comments."""
    shown, of = len(found.proposals), f"{found.entities} entities and {found.known_pairs} known pairs"
    lines = [
        f"# {shown} suggested automation{'s' * (shown != 1)}, best first, for home {one_line(found.home_id)} ({of})"
    ]
    lines += [f"# Note: {note}" for note in found.notes]
    lines += _left_out_lines(found.left_out)
    for number, proposal in enumerate(found.proposals, start=1):
        lines += ["", f"# {number}. {proposal.score:.2f}  {proposal.title}"]
        lines += [f"#    why: {reason}" for reason in proposal.reasons]
        lines += [f"#    to adjust: {note}" for note in proposal.adjust]
        if proposal.alternatives:
            more = len(proposal.alternatives) - SHOWN
            names = ", ".join(proposal.alternatives[:SHOWN])
            lines.append(f"#    as likely, or nearly: {names}{f' and {more} more' if more > 0 else ''}")
        body = yaml.safe_dump(
            [proposal.automation], sort_keys=False, allow_unicode=not ascii_only, width=WIDTH, default_flow_style=False
        )
        lines += body.rstrip("\n").split("\n")
    if not found.proposals:
        lines.append("[]")
    return "\n".join([*lines, ""])


def _left_out_lines(left_out: Mapping[str, int]) -> list[str]:
    if not left_out:
        return []
    shown = list(left_out.items())[:SHOWN]
    others = sum(left_out.values()) - sum(pairs for _, pairs in shown)
    lines = [f"# Left out: {sum(left_out.values())} pairs that score well:"]
    lines += [f"#    {pairs}: {why}" for why, pairs in shown]
    return lines + ([f"#    {others}: other reasons; a .json output lists them all"] if others else [])


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
