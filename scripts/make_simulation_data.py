"""Write simulated training data for the four models."""

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from anywhere, installed or not

import click

from training.runs.options import WholeNumber
from training.runs.streams import Program, result_is_kept

ROWS = {"soft_prompt": 500, "pattern_detection": 570, "yaml_generation": 320}  # with the default number of homes
HOMES = 40
OUTPUT = ROOT / "simulation" / "training_data"


@click.command(cls=Program, context_settings={"show_default": True})
@click.option("--seed", type=WholeNumber(0), default=7, help="The same seed gives the same files, byte for byte.")
@click.option("--homes", type=WholeNumber(min=1), default=HOMES, help="Number of homes; rows grow with them.")
@click.option(
    "--registry", is_flag=True, help="Homes with all that their registries would hold, for the most part settings."
)
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=OUTPUT,
    show_default="simulation/training_data of the project",
    help="Folder for the four files.",
)
def main(seed: int, homes: int, registry: bool, output: Path) -> None:
    """Write gnn_synergy, soft_prompt, pattern_detection and yaml_generation data of simulated homes.

    Each file is a JSON array with one home or row a line, ready for the training scripts' --json-input.
    """
    from data_sources.counting import many
    from simulation.automations import simulate_automations
    from simulation.homes import simulate_home
    from simulation.patterns import simulate_patterns
    from simulation.registry import add_registry
    from simulation.requests import simulate_requests

    result_is_kept()
    counts = {model: max(1, rows * homes // HOMES) for model, rows in ROWS.items()}
    simulated = [simulate_home(seed, index) for index in range(homes)]
    files: dict[str, list[dict[str, Any]]] = {
        "gnn_synergy": [add_registry(home, seed) for home in simulated] if registry else simulated,
        "soft_prompt": simulate_requests(seed, counts["soft_prompt"]),
        "pattern_detection": simulate_patterns(seed, simulated, counts["pattern_detection"]),
        "yaml_generation": simulate_automations(seed, simulated, counts["yaml_generation"]),
    }
    try:
        output.mkdir(parents=True, exist_ok=True)
        for model, rows in files.items():
            size = _write(output / f"{model}_data.json", rows)
            click.echo(f"{output / f'{model}_data.json'}: {many(len(rows), 'row')}, {size} bytes")
    except OSError as error:
        raise click.ClickException(f"{output}: cannot be written ({error.strerror})") from error


def _write(path: Path, rows: list[dict[str, Any]]) -> int:
    """Replace ``path`` as a whole; returns its size in bytes."""
    lines = ",\n".join(json.dumps(row, ensure_ascii=False, separators=(",", ":")) for row in rows)
    content = f"[\n{lines}\n]\n".encode()
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return len(content)


if __name__ == "__main__":
    main()
