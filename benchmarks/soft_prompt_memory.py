#!/usr/bin/env python3
"""Compare the memory forecast of an adapter's training with the measured peak, from small shapes to production's."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

SHAPES = [  # model, rows in a batch, source tokens, target tokens
    ("scratch", 16, 40, 40),
    ("scratch", 1, 384, 384),
    ("scratch", 8, 384, 384),
    ("flan-t5-small's size", 1, 30, 60),
    ("flan-t5-small's size", 1, 384, 384),
    ("flan-t5-small's size", 4, 384, 384),
]


@click.command()
@click.option("--one", hidden=True, type=int, default=None)
def main(one: int | None) -> None:
    """Train a LoRA adapter over random weights for two steps, each shape in its own process."""
    if one is not None:
        print(json.dumps(_measured(*SHAPES[one])))
        return
    print(f"{'model':<24}{'batch':>6}{'source':>8}{'target':>8}{'forecast MB':>13}{'peak MB':>9}{'ratio':>8}")
    for number, shape in enumerate(SHAPES):
        command = [sys.executable, __file__, "--one", str(number)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        forecast, peak = json.loads(done.stdout.splitlines()[-1])
        model, rows, source, target = shape
        print(f"{model:<24}{rows:>6}{source:>8}{target:>8}{forecast:>13.0f}{peak:>9.0f}{forecast / peak:>8.2f}")


def _measured(name: str, rows: int, source: int, target: int) -> tuple[float, float]:
    import datasets
    import transformers

    from training.text.backbone import Base, TextPair, scratch_base
    from training.text.config import AdapterConfig
    from training.text.fit import FitSettings, fit
    from training.text.memory_forecast import expected_bytes
    from training.text.trainer import adapted

    base = scratch_base([TextPair("turn on the light", "light on the lamp")], 0)
    if name != "scratch":
        size = {"vocab_size": 32_128, "d_model": 512, "d_kv": 64, "d_ff": 1024, "num_layers": 8, "num_heads": 6}
        ids = {"pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0}
        config = transformers.T5Config(**size, **ids, num_decoder_layers=8, feed_forward_proj="gated-gelu")
        base = Base(transformers.T5ForConditionalGeneration(config), base.tokenizer, name)
    model = adapted(base, AdapterConfig(), None)
    row = {"input_ids": [3] * source, "labels": [3] * target, "length": source + target}
    table = datasets.Dataset.from_list([row] * (2 * rows))
    forecast = expected_bytes(model, rows, source, target)
    with tempfile.TemporaryDirectory() as work:
        fit(model, base.tokenizer, table, None, FitSettings(1, 1e-4, rows, 0), Path(work))
    return forecast / 1e6, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


if __name__ == "__main__":
    main()
