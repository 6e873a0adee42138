#!/usr/bin/env python3
"""Rows a second of adapter training: by length and padded to the batch, against every row padded to 384/384."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

LIMIT = 384  # tokens of source and of target, production's defaults


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option("--rows", default=200, show_default=True, help="Rows of DATA that each variant trains on.")
@click.option("--batch-size", default=16, show_default=True)
def main(data: Path, rows: int, batch_size: int) -> None:
    """The same scratch model, adapter and rows of DATA, one epoch each, in one process."""
    from data_sources import PromptRow, open_source
    from training.seq2seq import Seq2SeqConfig, TextPair, load_base, tokenized

    read = open_source(json_input=str(data)).read(PromptRow)
    pairs = [TextPair(row.query, row.suggestion) for row in read][:rows]
    base = load_base("scratch", pairs, 0)
    config = Seq2SeqConfig(base_model="scratch")
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        with tokenized({"train": pairs, "validation": [], "test": []}, base.tokenizer, config, work) as tables:
            table = tables["train"]
            padded = table.map(_pad, keep_in_memory=True)
            naive = _rows_a_second(padded, base, config, 1, work)
            one = _rows_a_second(table, base, config, 1, work)
            many = _rows_a_second(table, base, config, batch_size, work)
    print(f"{len(pairs)} rows, mean length {sum(table['length']) / len(table):.0f} tokens (source and target)")
    print(f"{'padded to 384/384, batch 1':<34}{naive:>9.1f} rows/s")
    print(f"{'padded to the batch, batch 1':<34}{one:>9.1f} rows/s{one / naive:>8.1f} times")
    print(f"{f'padded to the batch, batch {batch_size}':<34}{many:>9.1f} rows/s{many / naive:>8.1f} times")


def _pad(row: dict[str, Any]) -> dict[str, Any]:
    source, target = row["input_ids"], row["labels"]
    return {
        "input_ids": source + [0] * (LIMIT - len(source)),
        "attention_mask": [1] * len(source) + [0] * (LIMIT - len(source)),
        "labels": target + [-100] * (LIMIT - len(target)),
        "length": 2 * LIMIT,
    }


def _rows_a_second(table: Any, base: Any, config: Any, batch_size: int, work: Path) -> float:
    import copy

    from peft import get_peft_model

    from training.seq2seq import FitSettings, adapter_config, fit

    model = get_peft_model(copy.deepcopy(base.model), adapter_config(config))
    fit(model, base.tokenizer, table.select(range(min(8, len(table)))), None, FitSettings(1, 5e-5, 1, 0), work)  # warm
    started = time.perf_counter()
    fit(model, base.tokenizer, table, None, FitSettings(1, 5e-5, batch_size, 0), work)
    return len(table) / (time.perf_counter() - started)


if __name__ == "__main__":
    main()
