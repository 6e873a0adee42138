#!/usr/bin/env python3
"""Compare check_automation with Home Assistant's own verdicts, and time it."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import click
import httpx
from measure import ROOT

sys.path.insert(0, str(ROOT))

BATCH = 50


@click.command()
@click.argument("cases", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", help="A running Home Assistant that answers POST /api/judge, whose verdicts count instead.")
@click.option("--show", default=20, show_default=True, help="How many disagreements are printed in full.")
def main(cases: Path, url: str | None, show: int) -> None:
    """Count the automations of CASES (JSON Lines: ``yaml`` or ``output``, ``valid``, ``kind``) with another verdict.

    /api/judge takes {"items": [{"id": "0", "yaml": "..."}]} and answers [{"id": "0", "status": "ok", "error": null}];
    every other status is a refusal.
    """
    from home_assistant import AutomationError, check_automation
    from home_assistant.automation_yaml import ONE_AUTOMATION, parse_yaml
    from home_assistant.domains import HOME_ASSISTANT_VERSION

    rows = [json.loads(line) for line in cases.read_text(encoding="utf-8").splitlines() if line.strip()]
    texts = [row["yaml"] if "yaml" in row else row["output"] for row in rows]
    if url is not None:
        verdicts = judged(url, texts)
        rows = [{**row, "valid": told["status"] == "ok", **told} for row, told in zip(rows, verdicts, strict=True)]
    tried: Counter[str] = Counter()
    wrong: dict[str, Counter[str]] = {"accepted": Counter(), "refused": Counter()}
    seconds, values = 0.0, []
    for row, text in zip(rows, texts, strict=True):
        why = None
        try:
            value = parse_yaml(text, ONE_AUTOMATION._replace(lenient=True))
            values.append(value[0] if isinstance(value, list) and value else value)
            begun = time.process_time()
            try:
                check_automation(values[-1])
            finally:
                seconds += time.process_time() - begun
        except AutomationError as error:
            why = str(error)
        kind = row.get("kind") or row.get("status") or "all"
        tried[kind] += 1
        if "valid" in row and (why is None) != row["valid"]:
            wrong["accepted" if why is None else "refused"][kind] += 1
            if wrong["accepted"].total() + wrong["refused"].total() <= show:
                said = why or f"accepted; Home Assistant: {row.get('error')}"
                print(ascii(f"{row.get('name', text)!r:.80}: {said:.160}")[1:-1])
        elif "valid" not in row and why is not None:
            wrong["refused"][kind] += 1
            print(ascii(f"refused: {why}")[1:-1])
    for kind, count in tried.most_common():
        print(f"{kind}: {count} cases, {wrong['accepted'][kind]} wrongly accepted, {wrong['refused'][kind]} refused")
    agree = len(rows) - wrong["accepted"].total() - wrong["refused"].total()
    print(f"all: {agree} of {len(rows)} agree with Home Assistant {HOME_ASSISTANT_VERSION}")
    begun = time.process_time()
    for value in values:
        try:
            check_automation(value)
        except AutomationError:
            continue
    again = time.process_time() - begun
    print(f"1,000 checks: {1000 * seconds / len(rows):.2f} s of CPU; again {1000 * again / len(rows):.2f} s")


def judged(url: str, texts: list[str]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = []
    for start in range(0, len(texts), BATCH):
        items = [{"id": str(start + index), "yaml": text} for index, text in enumerate(texts[start : start + BATCH])]
        answer = httpx.post(f"{url.rstrip('/')}/api/judge", json={"items": items}, timeout=120)
        answers += [{"status": told["status"], "error": told["error"]} for told in answer.raise_for_status().json()]
    return answers


if __name__ == "__main__":
    main()
