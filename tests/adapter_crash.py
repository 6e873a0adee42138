"""Kill an adapter's training (-9) before each change of the disk from its start to ``latest``, and see what is left.

A driver of its own, for it forks: it prints one JSON line for each place where the process was killed.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

from publishing_crash import strays
from registry_crash import MEMORY, killed_before

from training.runs.job import SourceChoice
from training.runs.run import Training
from training.text import fit
from training.text.job import SoftPromptJob
from training.text.report import SCORED_BY
from training.text.trainer import TrainedAdapter

assert fit  # imported before the fork: it takes seconds


class Adapter(TrainedAdapter):
    """What a training leaves, without the training. The model is its name."""

    def save(self, folder: Path, base: str) -> None:
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_text(self.model)


SCORES = {"chrf": 50.0, "exact_match": 0.0, "loss": 0.1, "perplexity": 1.1}
MEASURED = {
    "rows": 1,
    "model": SCORES,
    "baselines": dict.fromkeys(SCORED_BY.baselines, SCORES),
    "intervals": {name: {} for name in ("model", *SCORED_BY.baselines)},
    "examples": [],
}


class Job(SoftPromptJob):
    """With a checkpoint that is written whole, as those of a training are."""

    def fit(self, rows: Any, work: Path, **_: Any) -> Any:
        checkpoint = work / "checkpoints" / "checkpoint-1"
        checkpoint.mkdir(parents=True, exist_ok=True)
        (checkpoint / "weights").write_text("w")
        (checkpoint / "trainer_state.json").write_text("{}")
        split = {"strategy": "query", "reason": "whole queries"}
        return Adapter(self.run_id, None, None, 0.1, (), {"in_sample": MEASURED}, split, "")

    def verdict(self, _metrics: Any) -> str:
        return "as good as any"

    def score_lines(self, _metrics: Any) -> list[str]:
        return []


def train(root: Path, **given: Any) -> None:
    rows = SourceChoice(json_input=str(root / "rows.json"))
    Training(Job, rows, {"output_dir": root / "runs", "base_model": "scratch", **given}).perform()


def latest(root: Path) -> str | None:
    """The run that ``latest`` leads to: its files are of one training."""
    link = root / "runs" / "latest"
    if not link.is_symlink():
        return None
    described = json.loads((link / "training_run.json").read_text())
    assert (link / "adapter_model.safetensors").read_text() == described["run_id"]
    assert (link / "README.md").is_file()
    return str(described["run_id"])


def main() -> None:
    logging.disable()
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        was_killed, step = True, 0
        while was_killed:
            root = Path(folder) / f"step{step}"
            root.mkdir()
            (root / "rows.json").write_text(json.dumps([{"query": "q", "suggestion": "s"}]))
            train(root, run_id="old")
            (root / "runs" / ".mine.partial").mkdir()
            (root / "runs" / ".mine.partial" / "file").touch()
            was_killed = killed_before(step, root, lambda place: train(place, run_id="killed"))
            line: dict[str, Any] = {"step": step, "killed": was_killed, "live": latest(root)}
            train(root, run_id="next")
            line["then"] = latest(root)
            resumable = root / "runs" / ".killed.partial"
            line["resumable"] = resumable.exists()
            if resumable.exists():
                train(root, resume_run=root / "runs" / "killed")
                line["resumed"] = latest(root)
            line["strays"] = [name for name in strays(root) if ".mine.partial" not in name]
            line["mine"] = (root / "runs" / ".mine.partial" / "file").exists()
            sys.stdout.write(json.dumps(line) + "\n")
            step += 1


if __name__ == "__main__":
    main()
