#!/usr/bin/env python3
"""Rows per second and peak memory of adapter training: rows padded to the batch, and rows padded to 384/384 tokens."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

LIMIT = 384  # tokens of source and of target, production's defaults


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--rows", default=2_000, show_default=True, help="Rows of DATA that each variant trains on, at most.")
@click.option("--batch-size", default=16, show_default=True, help="Rows of an update.")
@click.option("--rounds", default=1, show_default=True, help="Rounds; the variants take turns and medians count.")
@click.option("--variant", hidden=True, type=(bool, int, bool), default=None)
def main(data: Path, rows: int, batch_size: int, rounds: int, variant: tuple[bool, int, bool] | None) -> None:
    """Train the same scratch model and adapter on the same rows of DATA for one epoch, each variant in its own process.

    At batch 1 each update has four rows in every variant, as in production. Rows that are padded to 384/384 are
    computed one by one. Other rows are computed together as far as they take no more tokens than one row of 384/384;
    the variant "each row alone" computes them one by one too.
    """
    if variant is not None:
        print(json.dumps(_measured(data, rows, *variant)))
        return
    variants = {
        "padded to 384/384, batch 1": (True, 1, False),
        "batch 1, each row alone": (False, 1, True),
        "batch 1": (False, 1, False),
        f"batch {batch_size}": (False, batch_size, False),
    }
    found: dict[str, list[dict[str, float]]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, its in variants.items():
            command = [sys.executable, __file__, str(data), "--rows", str(rows), "--variant", *map(str, its)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[name].append(json.loads(done.stdout.splitlines()[-1]))
    naive = median(run["rows_per_second"] for run in found["padded to 384/384, batch 1"])
    print(f"At most {rows} rows, {rounds} rounds in turn, medians")
    print(f"{'':<32}{'rows/s':>9}{'times':>8}{'peak MB':>9}{'grew MB':>9}{'forecast MB':>13}")
    for name, runs in found.items():
        speed, peak, grew, expected = (
            median(run[key] for run in runs) for key in ("rows_per_second", "peak_mb", "grew_mb", "forecast_mb")
        )
        print(f"{name:<32}{speed:>9.1f}{speed / naive:>8.1f}{peak:>9.0f}{grew:>9.0f}{expected:>13.0f}")


def _measured(data: Path, rows: int, padded: bool, batch_size: int, alone: bool) -> dict[str, float]:
    from data_sources import PromptRow, open_source
    from training.runs.memory import resident_bytes
    from training.text.backbone import TextPair, scratch_base
    from training.text.config import AdapterConfig
    from training.text.fit import Limits, fit, tokenized
    from training.text.trainer import adapted, forecast

    read = open_source(json_input=str(data)).read(PromptRow)
    pairs = [TextPair(row.query, row.suggestion) for row in read][:rows]
    config = AdapterConfig(base_model="scratch", batch_size=batch_size, epochs=1)
    settings = config.fit_settings._replace(at_once=Limits(1, 1)) if alone else config.fit_settings
    base = scratch_base(pairs, 0)
    model = adapted(base, config, None)
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        with tokenized({"train": pairs}, base.tokenizer, config.limits, work) as tables:
            table = tables["train"].map(_pad, keep_in_memory=True) if padded else tables["train"]
            (expected, _, _), before = forecast(model, table, settings), resident_bytes()
            fit(model, base.tokenizer, table.select(range(4)), None, settings, work)  # warm-up
            started = time.perf_counter()
            fit(model, base.tokenizer, table, None, settings, work)
            seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "rows_per_second": len(pairs) / seconds,
        "peak_mb": peak / 1e6,
        "grew_mb": (peak - before) / 1e6,
        "forecast_mb": expected / 1e6,
    }


def _pad(row: dict[str, Any]) -> dict[str, Any]:
    source, target = row["input_ids"], row["labels"]
    return {
        "input_ids": source + [0] * (LIMIT - len(source)),
        "attention_mask": [1] * len(source) + [0] * (LIMIT - len(source)),
        "labels": target + [-100] * (LIMIT - len(target)),
        "length": 2 * LIMIT,
    }


if __name__ == "__main__":
    main()
