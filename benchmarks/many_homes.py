#!/usr/bin/env python3
"""Train the synergy model on many homes, in one process and in several: processor time, memory, loss and scores."""

from __future__ import annotations

import json
import pickle
import sys
import tempfile
from pathlib import Path

import click
from measure import ROOT, run

sys.path.insert(0, str(ROOT))


@click.command()
@click.option("--homes", default="40,200", show_default=True, help="Numbers of homes.")
@click.option("--processes", default="1,2", show_default=True, help="Numbers of processes, which torchrun starts.")
@click.option("--epochs", default=2, show_default=True, help="Epochs of the network.")
def main(homes: str, processes: str, epochs: int) -> None:
    """Generate homes, train on them, and print one table.

    The peak is that of the largest process. The wall time says little where processes share the cores.
    """
    from data_sources import Home, open_source
    from simulation.homes import simulate_home
    from training.synergy.graph import build_graph

    columns = {
        "homes": 7,
        "MB": 7,
        "processes": 11,
        "CPU s": 8,
        "wall s": 8,
        "peak MB": 9,
        "last loss": 11,
        "test MRR": 10,
    }
    print("".join(f"{title:>{width}}" for title, width in columns.items()))
    for count in map(int, homes.split(",")):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            data = folder / "homes.jsonl"
            with data.open("w") as file:
                file.writelines(json.dumps(simulate_home(1, index)) + "\n" for index in range(count))
            outlines = [build_graph(home).outline() for home in open_source(json_input=str(data)).read(Home)]
            entities = sum(outline.size for outline in outlines) / count
            known = len(pickle.dumps(outlines)) / count / 1e3
            print(f"a home: {entities:.0f} entities, and {known:.1f} KB that every process knows of it", flush=True)
            for number in map(int, processes.split(",")):
                launch = ["-m", "torch.distributed.run", "--nproc-per-node", number] if number > 1 else []
                options = ["--json-input", data.name, "--epochs", epochs, "--force"]
                script = ROOT / "scripts" / "train_gnn_synergy.py"
                used = run([*map(str, launch), script, *map(str, options)], folder, {"OMP_NUM_THREADS": "1"})
                metadata = json.loads((folder / "models" / "gnn_synergy_metadata.json").read_text())
                test = metadata["metrics"].get("test")
                row = [
                    str(count),
                    f"{data.stat().st_size / 1e6:.1f}",
                    str(number),
                    f"{used.cpu_seconds:.1f}",
                    f"{used.seconds:.1f}",
                    f"{used.peak_mb:.0f}",
                    f"{metadata['history'][-1]['loss']:.4f}",
                    "-" if test is None else f"{test['model']['mrr']:.3f}",
                ]
                widths = columns.values()
                print("".join(f"{text:>{width}}" for text, width in zip(row, widths, strict=True)), flush=True)


if __name__ == "__main__":
    main()
