#!/usr/bin/env python3
"""Where the processor time and the memory of a synergy training go: its stages, as shares of the whole process."""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--homes", default=200, show_default=True, help="Number of generated homes.")
@click.option("--epochs", default=2, show_default=True, help="Epochs of the network.")
@click.option("--memory", default="16MB", show_default=True, help="As the training's own flag.")
def main(homes: int, epochs: int, memory: str) -> None:
    """Train on generated homes in this process, and print the CPU seconds, the share and the peak MB of each stage.

    The peak is that of the process up to the end of the stage.
    """
    from simulation.homes import simulate_home

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        with Path("homes.jsonl").open("w") as file:
            file.writelines(json.dumps(simulate_home(1, index)) + "\n" for index in range(homes))
        measure(epochs, memory)
        os.chdir(ROOT)


def measure(epochs: int, memory: str) -> None:
    """Train on the homes of the working directory, and print the table."""
    began = time.process_time()
    import training.synergy.page as page
    import training.synergy.trainer as trainer
    from training.runs.run import run_training
    from training.synergy.job import SynergyJob

    seconds, peaks = Counter[str]({"imports": time.process_time() - began}), {"imports": _peak()}
    inside: list[float] = []

    def timed(owner: Any, name: str, title: str) -> None:
        plain: Callable[..., Any] = getattr(owner, name)

        def measured(*args: Any, **options: Any) -> Any:
            started = time.process_time()
            inside.append(0.0)
            try:
                return plain(*args, **options)
            finally:
                taken = time.process_time() - started
                seconds[title] += taken - inside.pop()
                peaks[title] = _peak()
                if inside:
                    inside[-1] += taken

        setattr(owner, name, measured)

    for owner, name, title in (
        (SynergyJob, "read", "reading"),
        (SynergyJob, "audit", "audit"),
        (trainer, "share_graphs", "graphs"),
        (trainer, "split_pairs", "split"),
        (trainer.SynergyTrainer, "__init__", "encoding and counts"),
        (trainer.SynergyTrainer, "fit_feature_weights", "fit of the features' weights"),
        (trainer.SynergyTrainer, "_epoch", "epochs of the network"),
        (trainer.SynergyTrainer, "_validate", "validation"),
        (trainer.SynergyTrainer, "calibrate", "calibration"),
        (trainer.SynergyTrainer, "evaluate", "test"),
        (page, "page_of", "page"),
    ):
        timed(owner, name, title)
    try:
        run_training(SynergyJob, json_input="homes.jsonl", epochs=epochs, force=True, memory=memory)
    except SystemExit as ended:
        if ended.code:
            raise
    whole = time.process_time() - began
    seconds["all else"] = whole - sum(seconds.values())
    peaks["all else"] = _peak()
    print(f"\n{'stage':<32}{'CPU s':>8}{'share':>8}{'peak MB':>9}")
    for title, taken in seconds.items():
        print(f"{title:<32}{taken:>8.1f}{taken / whole:>8.0%}{peaks[title]:>9.0f}")
    print(f"{'all':<32}{whole:>8.1f}{1:>8.0%}{_peak():>9.0f}")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
