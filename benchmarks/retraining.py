#!/usr/bin/env python3
"""Retrain a home's models: from nothing, on thin data, a worse candidate, a rollback, and two managers at once.

Each line of the output is a run of ``scripts/retrain.py`` or ``scripts/compare_models.py``.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from measure import ROOT

RETRAIN, COMPARE = ROOT / "scripts" / "retrain.py", ROOT / "scripts" / "compare_models.py"
SAMPLE = ROOT / "simulation" / "training_data"
MODEL = "gnn_synergy"
# A scratch base needs no network; a batch of 8 is faster than production's 1.
QUICK = "soft_prompt: {flags: [--base-model, scratch, --batch-size, '8']}\n"
QUICK += "yaml_generation: {flags: [--base-model, scratch, --batch-size, '8']}\n"


@click.command()
@click.argument("data", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", "models", multiple=True, help="Only these models.  [default: all]")
def main(data: Path, models: tuple[str, ...]) -> None:
    """Run the manager on the project's sample, and on the thin files in the folder DATA."""
    chosen = list(models) or ["--all"]
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "sample"
        home.mkdir()
        (home / "quick.yaml").write_text(QUICK)
        show("the sample, from nothing", home, retrain(home, "run", *chosen, "--json-input", "--config", "quick.yaml"))
        thin = Path(folder) / "thin"
        thin.mkdir()
        (thin / "quick.yaml").write_text(QUICK)
        done = retrain(thin, "run", *chosen, "--json-input", str(data.resolve()), "--config", "quick.yaml")
        show(f"{data.name}/, from nothing", thin, done)
        shuffled(home)
        rolled_back(home)
        two_at_once(home)


def retrain(home: Path, *arguments: str) -> dict[str, Any]:
    """Run a command of retrain.py. Returns its JSON, and under ``seconds`` how long it took."""
    started = time.perf_counter()
    content: dict[str, Any] = json.loads(start(home, *arguments).communicate()[0])
    return {**content, "seconds": time.perf_counter() - started}


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, str(RETRAIN), *arguments, "--json"]
    return subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def show(title: str, home: Path, done: dict[str, Any]) -> None:
    print(f"{title}: {done['message']}, {done['seconds']:.0f} s")
    for model, state in done["models"].items():
        outcome = "published" if state["promoted"] else state["verdict"] or state["status"]
        print(f"  {model:<18}{outcome:<13}{state['training_time_seconds']:>6.0f} s  {state['message']}")
        path = home / "simulation_results" / "pipeline_summaries" / f"training_summary_{model}.json"
        summary = json.loads(path.read_text())
        peak = summary["process"].get("peak_mb")
        if peak is not None:
            print(f"  {'':<18}peak {peak:.0f} MB")
        for note in summary["notes"]:
            print(f"  {'':<18}note: {note}")


def shuffled(home: Path) -> None:
    """Train on pairs whose actions are shuffled within each home.

    The model is compared once as on any night, on the shuffled pairs and on the live model's own evaluation rows, and
    once on the true pairs.
    """
    rng = random.Random(0)  # noqa: S311 - a shuffle
    lines = json.loads((SAMPLE / f"{MODEL}_data.json").read_text())
    for one in lines:
        actions = [synergy["entity_2"] for synergy in one["synergies"]]
        rng.shuffle(actions)
        for synergy, action in zip(one["synergies"], actions, strict=True):
            synergy["entity_2"] = action
        one["synergies"] = [s for s in one["synergies"] if s["entity_1"] != s["entity_2"]]
    (home / "shuffled.json").write_text(json.dumps(lines))
    before = production(home)
    for title, more in (("compared as any night", []), ("compared on the true pairs", ["--evaluate-on", str(SAMPLE)])):
        done = retrain(home, "run", MODEL, "--json-input", "shuffled.json", *more)
        state = done["models"][MODEL]
        print(f"labels shuffled, {title}: {state['verdict']}, {state['message']}")
        print(f"  live files unchanged, byte for byte: {production(home) == before}")


def rolled_back(home: Path) -> None:
    first = scores(home)
    (home / "other.yaml").write_text(f"{MODEL}: {{flags: [--seed, '1'], gate: {{tolerance: 0.5}}}}\n")
    done = retrain(home, "run", MODEL, "--json-input", "--config", "other.yaml")
    second = scores(home)
    started = time.perf_counter()
    retrain(home, "rollback", MODEL)
    seconds = time.perf_counter() - started
    third = scores(home)
    print(f"another seed: {done['models'][MODEL]['verdict']}, MRR {first['mrr']:.6f} -> {second['mrr']:.6f}")
    print(f"rolled back in {seconds:.2f} s: MRR {third['mrr']:.6f}, all scores as before: {third == first}")
    listed = retrain(home, "list", MODEL)[MODEL]
    print(f"versions kept: {len(listed)}, live: {next(v['version'] for v in listed if v['name'] == 'champion')}")


def two_at_once(home: Path) -> None:
    processes = [start(home, "run", MODEL, "--json-input") for _ in range(2)]
    states = [json.loads(process.communicate()[0])["models"][MODEL] for process in processes]
    codes = [process.returncode for process in processes]
    print(f"two managers at once: {sorted(state['status'] for state in states)}, exit codes {codes}")
    print(f"  {next(state['message'] for state in states if state['status'] == 'skipped')}")
    done = retrain(home, "verify")
    print(f"problems found by verify: {sum(len(v) for v in done.values() if isinstance(v, list))}")


def production(home: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((home / "models").iterdir()) if path.is_file()}


def scores(home: Path) -> dict[str, float]:
    """The live model's scores on the sample. It is loaded from production's path."""
    output = home / "scores.json"
    command: Sequence[str] = [
        *(sys.executable, str(COMPARE), MODEL, "--candidate", "models/gnn_synergy.pth", "--json-input"),
        *("--output", str(output)),
    ]
    subprocess.run(command, cwd=home, check=True, stdout=subprocess.DEVNULL)
    found: dict[str, float] = json.loads(output.read_text())["candidate"]["scores"]
    return found


if __name__ == "__main__":
    main()
