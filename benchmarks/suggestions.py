#!/usr/bin/env python3
"""Count how varied the suggestions for each home of a file are, check that they are valid, and time them."""

from __future__ import annotations

import sys
import time

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

from data_sources import Home, open_source
from home_assistant.automation_schema import check_automation
from training.suggestions.ranking import suggest_automations
from training.synergy.model import SynergyModel

TOP = 20


@click.command()
@click.argument("model", type=click.Path(exists=True, dir_okay=False))
@click.argument("homes", type=click.Path(exists=True))
def main(model: str, homes: str) -> None:
    """Suggest automations for each of the HOMES, re-ranked and in the model's own order, and count them."""
    loaded = SynergyModel.load(model)
    checked = unexplained = 0
    rows: list[list[int]] = []
    print(f"{'home':40} entities  seconds  actions (plain)  triggers (plain)  of")
    for home in open_source(json_input=homes).read(Home):
        started = time.perf_counter()
        found = suggest_automations(loaded, home, TOP, min_score=0.0).proposals
        seconds = time.perf_counter() - started
        plain = suggest_automations(loaded, home, TOP, min_score=0.0, diverse=False).proposals
        for proposal in found:
            check_automation(proposal.automation)
            checked += 1
            unexplained += proposal.reasons[0].startswith("no plain reason")
        counts = [len({getattr(p, of) for p in some}) for of in ("actions", "trigger") for some in (found, plain)]
        rows.append(counts)
        print(
            f"{home.home_id[:40]:40} {len(home.entities):8}  {seconds:7.1f}  {counts[0]:7} {counts[1]:7}  "
            f"{counts[2]:8} {counts[3]:7}  {len(found):2}"
        )
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    print(
        f"mean over {len(rows)} homes: {means[0]:.1f} distinct actions ({means[1]:.1f} in the model's own order), "
        f"{means[2]:.1f} distinct triggers ({means[3]:.1f})"
    )
    print(f"{checked} automations keep to the schema; {unexplained} have no plain reason")


if __name__ == "__main__":
    main()
