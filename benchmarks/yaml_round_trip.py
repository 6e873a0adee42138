#!/usr/bin/env python3
"""Convert every automation of a file to YAML, the linear form, NFKC and tokens, and back, and compare."""

from __future__ import annotations

import sys
import unicodedata
from collections import Counter
from pathlib import Path

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
def main(data: Path) -> None:
    """Count the automations of DATA that are the same after each conversion, and those that pass the schema."""
    from data_sources import YamlRow, open_source
    from home_assistant import AutomationError, dump_automation, parse_automation
    from home_assistant.automation import with_current_keys
    from home_assistant.automation_schema import check_automation
    from training.automations.linear import from_linear, to_linear
    from training.text.backbone import TextPair, scratch_base

    rows = list(open_source(json_input=str(data)).read(YamlRow))
    automations = [parse_automation(row.output) for row in rows]
    lines = [to_linear(automation) for automation in automations]
    ways = {
        "YAML and back": [parse_automation(dump_automation(automation)) for automation in automations],
        "one line and back": [from_linear(line) for line in lines],
        "folded and normalized (NFKC)": [
            from_linear(unicodedata.normalize("NFKC", " ".join(x.split()))) for x in lines
        ],
    }
    pairs = [TextPair(row.input, line) for row, line in zip(rows, lines, strict=True)]
    for pieces in ("unigram", "bpe"):
        tokenizer = scratch_base(pairs, 0, pieces).tokenizer  # type: ignore[arg-type]
        encoded = [tokenizer(line)["input_ids"] for line in lines]
        ways[f"through the {pieces} tokenizer"] = [
            from_linear(tokenizer.decode(ids, skip_special_tokens=True)) for ids in encoded
        ]
        print(f"{pieces}: {sum(map(len, encoded)) / len(encoded):.0f} tokens an automation")
    for name, back in ways.items():
        same = sum(repr(a) == repr(b) for a, b in zip(automations, back, strict=True))
        print(f"{name:<36}{same:>6} of {len(rows)} the same")
    once = [with_current_keys(automation) for automation in automations]
    settled = sum(repr(with_current_keys(automation)) == repr(automation) for automation in once)
    print(f"{'one spelling, spelt again':<36}{settled:>6} of {len(rows)} the same")
    refused: Counter[str] = Counter()
    for automation in automations:
        try:
            check_automation(automation)
        except AutomationError as error:
            refused[str(error)] += 1
    print(f"{'valid by the schema':<36}{len(rows) - refused.total():>6} of {len(rows)}")
    for why, count in refused.most_common():
        print(f"  {count} refused: {why}")
    print(f"{sum(map(len, lines))} characters in lines, {sum(len(row.output) for row in rows)} in YAML")


if __name__ == "__main__":
    main()
