#!/usr/bin/env python3
"""Train on a small file: the time of the process against the import of torch_geometric, and the scores of its pairs.

The runs alternate, so that a busy machine slows both. The ratio is that of the medians.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
from pathlib import Path

import click
from measure import ROOT, Measured, run

sys.path.insert(0, str(ROOT))


@click.command()
@click.argument("data", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--repeat",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="How often each is measured; the median counts.",
)
def main(data: Path, repeat: int) -> None:
    """Train on the flat rows of DATA, REPEAT times."""
    script, imports, trainings, helps = ROOT / "scripts" / "train_gnn_synergy.py", [], [], []
    with tempfile.TemporaryDirectory() as folder:
        command = [script, "--json-input", data.resolve(), "--force", "--summary-path", "s.json"]
        run(command, Path(folder))  # warms the file cache
        for _ in range(repeat):
            imports.append(run(["-c", "import torch_geometric.nn"]))
            trainings.append(run(command, Path(folder)))
            helps.append(run([script, "--help"]))
        summary = json.loads((Path(folder) / "s.json").read_text())
        lowest, highest = _scores(Path(folder) / summary["model_path"], data)
    base, trained = _median(imports), _median(trainings)
    print(f"import torch_geometric.nn:    {base:.2f} s (median of {repeat})")
    print(f"whole training process:       {trained:.2f} s, {max(m.peak_mb for m in trainings):.0f} MB at most")
    print(f"ratio:                        {trained / base:.2f}")
    print(f"--help:                       {_median(helps):.3f} s")
    print(f"distinct pairs in summary:    {summary['audit']['distinct_pairs']}")
    for known in ("none known", "all known"):
        print(f"lowest true, highest false:   {lowest[known]:.3f}, {highest[known]:.3f} ({known})")
    for note in summary["notes"]:
        print(f"note: {note}")


def _median(measured: list[Measured]) -> float:
    return statistics.median(m.seconds for m in measured)


def _scores(model_path: Path, data: Path) -> tuple[dict[str, float], dict[str, float]]:
    from data_sources import Home, open_source
    from training.synergy.model import SynergyModel

    model = SynergyModel.load(model_path)
    (home,) = open_source(json_input=str(data)).read(Home)
    true = {(s.trigger, s.action) for s in home.synergies}
    true |= {(s.action, s.trigger) for s in home.synergies if s.bidirectional}
    ids = [e.entity_id for e in home.entities]
    false = [(t, a) for t in ids for a in ids if t != a and (t, a) not in true]
    lowest, highest = {}, {}
    for name, known in (("none known", ()), ("all known", home.synergies)):
        lowest[name] = float(model.score(home.entities, known, sorted(true)).min())
        highest[name] = float(model.score(home.entities, known, false).max())
    return lowest, highest


if __name__ == "__main__":
    main()
