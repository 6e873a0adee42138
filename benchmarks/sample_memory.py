#!/usr/bin/env python3
"""Train each model on its sample and print the peak resident memory: a small home server has 2 GB."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
from measure import ROOT, run

sys.path.insert(0, str(ROOT))

LIMIT_MB = 2_000
FLAGS = {"soft_prompt": ("--base-model", "scratch"), "yaml_generation": ("--base-model", "scratch")}


@click.command()
@click.argument("models", nargs=-1)
def main(models: tuple[str, ...]) -> None:
    """Train MODELS, all four by default, with their default settings; text models over a scratch base.

    Exits with 1 if one takes more than 2 GB.
    """
    from training.runs.models import MODELS

    print(f"{'model':<20}{'seconds':>9}{'peak MB':>9}")
    peaks = []
    for model in models or MODELS:
        with tempfile.TemporaryDirectory() as folder:
            script = ROOT / "scripts" / f"train_{model}.py"
            measured = run([script, "--json-input", *FLAGS.get(model, ())], Path(folder))
        peaks.append(measured.peak_mb)
        print(f"{model:<20}{measured.seconds:>9.1f}{measured.peak_mb:>9.0f}", flush=True)
    sys.exit(1 if max(peaks) > LIMIT_MB else 0)


if __name__ == "__main__":
    main()
