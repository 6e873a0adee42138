"""A home for the manager to work in: training scripts that are real processes and need no ML library."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from retraining_manager.manager import RetrainingManager
from retraining_manager.settings import RetrainingOptions
from training.runs.job import SourceChoice

# As the training scripts: reads its flags, leaves a model and a summary. What it does besides is in FAKE, as JSON.
SCRIPT = """
import json, os, signal, subprocess, sys, time
flags = dict(zip(sys.argv[1:], sys.argv[2:]))
act = json.loads(os.environ.get("FAKE", "{}"))
print("Epoch 1: loss 0.5", flush=True)
print("a warning", file=sys.stderr, flush=True)
if "child" in act:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    open(act["child"] + ".new", "w").write(str(child.pid))
    os.rename(act["child"] + ".new", act["child"])
if "sleep" in act:
    time.sleep(act["sleep"])
if "until" in act:
    open(act["until"] + ".waits", "w").close()
    while not os.path.exists(act["until"]):
        time.sleep(0.02)
if "kill" in act:
    os.kill(os.getpid(), signal.SIGKILL)
summary = {"timestamp": "2026-01-01T00:00:00+00:00", "model_type": "gnn_synergy", "status": "success", "notes": ["n"]}
if "status" in act:
    summary |= {"status": act["status"], "errors": act.get("errors", []), "message": act.get("message", "")}
if "nothing" not in act and summary["status"] == "success":
    if "--model-path" in flags:
        path = flags["--model-path"]
        argv = [] if "same" in act else sys.argv[1:]
        open(path, "w").write(json.dumps({"score": act.get("score", 0.5), "argv": argv}))
        open(path.rsplit(".", 1)[0] + "_metadata.json", "w").write("{}")
    else:
        os.makedirs(flags["--run-directory"])
        open(flags["--run-directory"] + "/training_run.json", "w").write(json.dumps(
            {"score": act.get("score", 0.5), "run_directory": flags["--run-directory"]}))
        summary["model_path"] = flags["--run-directory"]
if "summary" in act:
    open(flags["--summary-path"], "w").write(act["summary"])
elif "silent" not in act:
    open(flags["--summary-path"], "w").write(json.dumps(summary))
sys.exit(act.get("exit", 0))
"""

# As scripts/compare_models.py: the scores stand in the models.
COMPARE = """
import json, os, sys
model, flags = sys.argv[1], dict(zip(sys.argv[2:], sys.argv[3:]))
act = json.loads(os.environ.get("FAKE", "{}"))
if "compared" in act and not os.path.exists(act["compared"]):
    open(act["compared"], "w").close()
    os.unlink("models/gnn_synergy.pth")
    open("models/gnn_synergy.pth", "w").write(json.dumps({"score": act["cron"]}))
if "compare_exit" in act:
    sys.exit(act["compare_exit"])
def side(path):
    if path is None:
        return None
    path = os.path.join(path, "training_run.json") if os.path.isdir(path) else path
    return {"scores": {"mrr": json.load(open(path))["score"], "chrf": json.load(open(path))["score"]}}
held_out = act.get("held_out", True)
open(flags["--save-rows"], "w").write("rows")
sides = {"candidate": side(flags["--candidate"]), "champion": side(flags.get("--champion"))}
again = None
if "--champion-rows" in flags:
    assert open(flags["--champion-rows"]).read() == "rows"
    scores = {"candidate": act.get("score_on_champion_rows", 1.0), "champion": 0.5}
    again = {"model_type": model, "held_out": True, "reason": "", "rows": 10, "fingerprint": "e" * 64,
             **{name: {"scores": {"mrr": score}} for name, score in scores.items()}}
json.dump({"model_type": model, "held_out": held_out, "reason": "four pairs", "rows": 10, "fingerprint": "f" * 64,
           **sides, "on_champion_rows": again,
           "baselines": {"counting": {"mrr": 0.4, "chrf": 0.4}}}, open(flags["--output"], "w"))
"""


def rows(count: int = 120) -> list[dict[str, Any]]:
    return [
        {"entity_1": f"light.a{i}", "entity_2": f"light.b{i}", "synergy_type": "t", "confidence": 0.8}
        for i in range(count)
    ]


def make_manager(
    folder: Path, options: RetrainingOptions | None = None, source: SourceChoice | None = None
) -> RetrainingManager:
    """A manager over ``folder`` with the scripts above and 120 rows of synergies, where it has none yet."""
    data = folder / "data rows"
    data.mkdir(parents=True, exist_ok=True)
    prompts = [{"query": f"q{i}", "suggestion": f"s{i}"} for i in range(60)]
    for path, text in {
        data / "gnn_synergy_data.json": json.dumps(rows()),
        data / "soft_prompt_data.json": json.dumps(prompts),
        folder / "train.py": SCRIPT,
        folder / "compare.py": COMPARE,
    }.items():
        if not path.exists():  # another process may be reading it
            path.write_text(text)
    manager = RetrainingManager(data, folder / "models", source=source, options=options)
    manager.training_scripts = dict.fromkeys(manager.training_scripts, folder / "train.py")
    manager.comparison_script = folder / "compare.py"
    return manager


def fake(**act: Any) -> None:
    """What the scripts do from now on; the test's environment is put back by monkeypatch."""
    os.environ["FAKE"] = json.dumps(act)


def is_gone(pid_file: Path) -> bool:
    """Whether the process ends within seconds; whoever inherits orphans may not have looked at it yet."""
    for _ in range(100):
        try:
            if psutil.Process(int(pid_file.read_text())).status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.03)
    return False


if __name__ == "__main__":  # a manager as a process: FOLDER MODEL...
    import logging

    from retraining_manager.cli import sigterm_as_interrupt
    from retraining_manager.pipeline import run_pipeline

    signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal, wherever the tests run
    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
    with sigterm_as_interrupt():
        sys.stdout.write(json.dumps(run_pipeline(make_manager(Path(sys.argv[1])), sys.argv[2:])) + "\n")
