#!/usr/bin/env python3
"""Train on one large home: time, memory, edges and held-out scores, as its entities grow tenfold."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import click
from measure import ROOT, run

sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--sizes", default="1000,10000,100000", show_default=True, help="Numbers of entities.")
@click.option("--pairs-share", default=0.4, show_default=True, help="Distinct pairs per entity.")
@click.option("--no-names", is_flag=True, help="Read names word by word, even if the extra `names` is installed.")
def main(sizes: str, pairs_share: float, no_names: bool) -> None:
    """Generate a home of each size, train on it with the defaults, and print one table."""
    from data_sources import Home, open_source
    from simulation.homes import simulate_home
    from training.synergy.graph import build_graph

    base = run(["-c", "import torch_geometric.nn"])
    print(f"import torch_geometric.nn alone: {base.seconds:.1f} s, {base.peak_mb:.0f} MB")
    print(
        f"{'entities':>9}{'pairs':>8}{'edges/entity':>14}{'seconds':>9}{'epochs':>8}{'peak MB':>9}"
        f"{'AUC hard':>10}{'(count)':>9}{'AUC rand':>10}{'(count)':>9}{'MRR':>7}{'(count)':>9}"
    )
    for size in map(int, sizes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            raw = simulate_home(1, 0, entities=size, pairs=round(size * pairs_share))
            (folder / "home.json").write_text(json.dumps(raw))
            (home,) = open_source(json_input=str(folder / "home.json")).read(Home)
            graph = build_graph(home)
            edges = sum(e.shape[1] for e in graph.edges.values()) + len(graph.pairs)
            script = ROOT / "scripts" / "train_gnn_synergy.py"
            names = ["--no-names"] if no_names else []
            used = run([script, "--json-input", "home.json", "--summary-path", "s.json", *names], folder)
            summary = json.loads((folder / "s.json").read_text())
        metrics = summary["metrics"]
        model, count = metrics["test"]["model"], metrics["test"]["baselines"]["prior_x_same_area"]
        print(
            f"{size:>9}{summary['audit']['distinct_pairs']:>8}{edges / size:>14.2f}{used.seconds:>9.1f}"
            f"{metrics['epochs_run']:>8}{used.peak_mb:>9.0f}{model['auc_hard']:>10.3f}{count['auc_hard']:>9.3f}"
            f"{model['auc_random']:>10.3f}{count['auc_random']:>9.3f}{model['mrr']:>7.3f}{count['mrr']:>9.3f}"
        )
    print("(count) is the baseline prior x same area on the same held-out pairs; edges include the known pairs")


if __name__ == "__main__":
    main()
