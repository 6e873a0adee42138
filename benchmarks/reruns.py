#!/usr/bin/env python3
"""What a second run saves: two models on unchanged data, and a text model whose scratch base is there already."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click
from measure import ROOT, run

MODELS = ("gnn_synergy", "pattern_detection")
TEXT_MODEL = "yaml_generation"


@click.command()
def main() -> None:
    """Run the manager twice on two models of the sample, then train the YAML generator twice over a scratch base."""
    print(f"{'':<44}{'wall s':>8}{'CPU s':>8}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        retrain = [ROOT / "scripts" / "retrain.py", "run", *MODELS, "--json-input", "--accept-weak"]
        titles = ("two models, nothing there", "the same again, nothing has changed")
        _print_runs(retrain, titles, Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        train = [ROOT / "scripts" / f"train_{TEXT_MODEL}.py", "--json-input", "--base-model", "scratch"]
        _print_runs(
            train, ("YAML generator, its base is trained first", "the same again, the base is taken"), Path(folder)
        )


def _print_runs(command: list[str | Path], titles: tuple[str, ...], folder: Path) -> None:
    for title in titles:
        taken = run(command, folder)
        print(f"{title:<44}{taken.seconds:>8.1f}{taken.cpu_seconds:>8.1f}{taken.peak_mb:>9.0f}", flush=True)


if __name__ == "__main__":
    main()
