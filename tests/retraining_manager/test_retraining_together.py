"""Managers, a cron's own training and readers at once, as processes: nothing is mixed, and no version is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
from retraining import make_manager
from support import ROOT, environment

GNN = "gnn_synergy"
MANAGERS, NIGHTS, PUBLICATIONS, READS = 8, 3, 40, 500

NIGHT = f"""
import json, os, random, sys
from pathlib import Path
from retraining import fake, make_manager
root, number = Path(sys.argv[1]), int(sys.argv[2])
found = []
for night in range({NIGHTS}):
    fake(score=round(0.5 + random.Random(10 * number + night).random() / 2, 6))
    summary = make_manager(root).retrain("{GNN}")
    found.append([summary.status, summary.version, summary.message])
print(json.dumps(found))
"""
CRON = f"""
import json, sys, time
from pathlib import Path
from training.runs.artifacts import publish
path = Path(sys.argv[1]) / "models" / "{GNN}.pth"
for number in range({PUBLICATIONS}):
    model = json.dumps({{"score": 0.5, "cron": number}}).encode()
    publish(path, model, {{"of": number}}, {{"{GNN}_training.png": b"%d" % number}})
    time.sleep(0.05)
"""
READER = f"""
import json, sys, time
from pathlib import Path
from training.runs.artifacts import read_published
path = Path(sys.argv[1]) / "models" / "{GNN}.pth"
seen = set()
for _ in range({READS}):
    content, described = read_published(path)
    model = json.loads(content)
    assert described.get("of") == model.get("cron"), (model, described)
    seen.add(content)
    time.sleep(0.01)
print(len(seen))
"""


@pytest.mark.slow
def test_eight_managers_a_cron_and_readers_see_no_mix_and_lose_no_version(tmp_path: Path) -> None:
    manager = make_manager(tmp_path)
    assert manager.retrain(GNN).promoted
    env = environment(FAKE="{}", PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}")

    def start(code: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, str(tmp_path), *arguments]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path
        )
        started.callback(process.communicate)
        started.callback(process.kill)
        return process

    versions = set()
    with ExitStack() as started:
        nights = [start(NIGHT, str(number)) for number in range(MANAGERS)]
        others = [start(CRON), start(READER), start(READER)]
        for process in [*others, *nights]:
            output, errors = process.communicate(timeout=300)
            assert process.returncode == 0, errors
            if process in nights:
                for status, version, message in json.loads(output.splitlines()[-1]):
                    assert status == "success" or "is being trained already by" in message, message
                    versions |= {version} - {None}
            elif process is not others[0]:
                assert int(output) > 1, "versions went live while it read"
    registry = manager.registry(GNN)
    assert versions
    assert versions <= set(registry.versions())
    registry.adopt()
    assert registry.problems() == []
    moves = registry.history()
    assert all(before["to"] == after["from"] for before, after in pairwise(moves))
    assert moves[-1]["to"] == registry.aliases().champion
    assert not [path for path in (tmp_path / "models").rglob(".*") if path.name != ".env"]
