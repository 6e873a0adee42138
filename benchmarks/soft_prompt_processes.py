#!/usr/bin/env python3
"""Compare the loss curve of one process with that of two, which torchrun starts, at the same global batch size."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

BATCH = 8  # rows of all processes together


@click.command()
@click.argument("data", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--epochs", default=5, show_default=True, help="Passes over the rows.")
def main(data: Path | None, epochs: int) -> None:
    """Train on as many rows of DATA (default: the sample) as fill whole batches.

    There is no dropout, which would differ between the processes.
    """
    from data_sources import PromptRow, open_source
    from training.text.backbone import TextPair, scratch_base
    from training.text.splits import split_by_query

    rows = [row.model_dump() for row in open_source(json_input="" if data is None else str(data)).read(PromptRow)][:200]
    pairs = [TextPair(row["query"], row["suggestion"]) for row in rows]
    whole = next(n for n in range(len(rows), 0, -1) if split_by_query(pairs[:n])[0].count("train") % BATCH == 0)
    rows, pairs = rows[:whole], pairs[:whole]
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        (work / "rows.json").write_text(json.dumps(rows), encoding="utf-8")
        base = scratch_base(pairs, 0)
        base.model.config.dropout_rate = 0.0
        base.model.save_pretrained(work / "base")
        base.tokenizer.save_pretrained(work / "base")
        one = _losses(work, epochs, 1)
        two = _losses(work, epochs, 2)
    print(f"{'epoch':<7}{'one process':>13}{'two':>13}")
    for epoch, (first, second) in enumerate(zip(one, two, strict=True), start=1):
        print(f"{epoch:<7}{first:>13.6f}{second:>13.6f}")
    gap = max(abs(first - second) / first for first, second in zip(one, two, strict=True))
    print(f"largest relative difference {gap:.1e}")


def _losses(work: Path, epochs: int, processes: int) -> list[float]:
    launch = ["-m", "torch.distributed.run", "--nproc-per-node", str(processes)] if processes > 1 else []
    script = ROOT / "scripts" / "train_soft_prompt.py"
    options = f"--json-input rows.json --base-model base --lora-dropout 0 --learning-rate 0.01 --epochs {epochs}"
    out = f"--batch-size {BATCH // processes} --output-dir out --run-id processes-{processes}"
    command = [sys.executable, *launch, str(script), *options.split(), *out.split()]
    done = subprocess.run(command, cwd=work, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    run = json.loads((work / "out" / f"processes-{processes}" / "training_run.json").read_text(encoding="utf-8"))
    return [row["loss"] for row in run["history"]]


if __name__ == "__main__":
    main()
