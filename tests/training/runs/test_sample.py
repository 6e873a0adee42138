"""A model of the shipped sample is known as one, wherever it is asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, call

from data_sources import is_sample, open_source, reads_sample, sample_directory
from home_synergy.cli import main
from training.runs.run import described_source
from training.runs.sample import FINGERPRINTS, is_of_sample

RELATIVE = "simulation/training_data/gnn_synergy_data.json"
OWN = {"data_fingerprint": "f" * 64}


@pytest.mark.parametrize("model", FINGERPRINTS)
def test_the_table_holds_what_the_audit_of_the_sample_says(model: str, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    flags = ("--json-input", str(sample_directory()), "--dry-run", "--summary-path", str(summary))
    assert call(main, "train", model.replace("_", "-"), *flags, cwd=tmp_path).returncode == 0
    written = json.loads(summary.read_text())
    assert written["data_fingerprint"] == FINGERPRINTS[model], "put this fingerprint into training/runs/sample.py"
    assert is_of_sample({"source": {"location": "copied.json"}, "data_fingerprint": written["data_fingerprint"]})


@pytest.mark.parametrize("cwd", [ROOT, sample_directory(), Path("/")], ids=["root", "sample", "elsewhere"])
@pytest.mark.parametrize(
    ("described", "of_sample"),
    [
        ({"source": {"location": str(sample_directory())}, **OWN}, True),
        ({"source": {"location": str(ROOT / RELATIVE)}}, True),
        ({"source": {"location": RELATIVE, "of_sample": True}, **OWN}, True),
        ({"source": {"location": RELATIVE}, "data_fingerprint": FINGERPRINTS["gnn_synergy"]}, True),
        ({"source": {"location": RELATIVE}}, True),
        ({"source": {"location": RELATIVE}, **OWN}, False),  # another folder of that name
        ({"data_fingerprint": FINGERPRINTS["soft_prompt"]}, True),
        ({"source": {"location": ""}}, False),
        ({"source": {"location": "gnn_synergy_data.json"}}, False),
        ({"source": {"location": "http://data-api:8006 and sqlite:///data.db"}}, False),
        ({"source": {"location": "\0"}}, False),
        ({"source": [RELATIVE], "data_fingerprint": [1]}, False),
        ({}, False),
    ],
)
def test_the_working_directory_plays_no_part(
    described: dict[str, Any], of_sample: bool, cwd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(cwd)
    assert is_of_sample(described) is of_sample


def test_a_source_that_is_open_says_what_it_reads_from_where_it_was_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sample_directory())
    file = open_source(json_input="gnn_synergy_data.json")
    assert reads_sample(file)
    assert is_of_sample({"source": described_source(file), **OWN})
    for address in ("http://localhost:8006", "sqlite:///none.db"):
        assert not reads_sample(open_source(data_source=address))
    assert not is_sample("")
    monkeypatch.chdir(tmp_path)
    assert not reads_sample(open_source(json_input="gnn_synergy_data.json"))
    Path("circle").symlink_to("circle")
    assert not reads_sample(open_source(json_input="circle"))
    assert "of_sample" not in described_source(open_source(json_input="gnn_synergy_data.json"))
