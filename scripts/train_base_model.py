#!/usr/bin/env python3
"""Train the base model that ships with the project, from generated homes and a file of real ones."""

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # run from anywhere, installed or not

import click

from training.runs.options import WholeNumber
from training.runs.streams import Program

GENERATED_SEED = 2026  # not the sample's, so that the sample is new to the base


@click.command(cls=Program)
@click.option(
    "--json-input",
    type=click.Path(exists=True, path_type=Path),
    default=None,
    help="Real homes, in the homes format.  [default: generated homes alone]",
)
@click.option("--licences", default="", help="Under which licences the real homes are published, for the card.")
@click.option("--generated", type=WholeNumber(0), default=20, show_default=True, help="Number of generated homes.")
@click.option("--generated-weight", default=0.1, show_default=True, help="What a generated home counts beside a real.")
@click.option(
    "--epochs", type=WholeNumber(0), default=0, show_default=True, help="Passes of the network over the homes."
)
@click.option(
    "--seed", type=WholeNumber(0, 2**32 - 1), default=0, show_default=True, help="Seed of all random numbers."
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=None,
    help="The .safetensors file; its card goes beside it.  [default: training/synergy/base/synergy.safetensors]",
)
def main(json_input: Path | None, generated: int, **options: Any) -> None:
    """Write the base model and its card: same input, seed and versions, same bytes."""
    from training.runs.process import execute

    if json_input is None and not generated:
        raise click.UsageError("nothing to train on: give --json-input or --generated")
    execute(lambda: build(json_input, generated=generated, **options))


def build(
    json_input: Path | None,
    *,
    licences: str,
    generated: int,
    generated_weight: float,
    epochs: int,
    seed: int,
    output: Path | None,
) -> None:
    """Read the homes, train, and write both files. Raises DataSourceError or TrainingError."""
    from data_sources import Home, HomeBuilder, LoadReport, open_source
    from simulation.homes import simulate_home
    from simulation.registry import add_registry
    from training.runs.errors import TrainingError
    from training.synergy.config import SynergyConfig
    from training.synergy.job import SHIPPED_BASE
    from training.synergy.pretrained import MIN_HOMES
    from training.synergy.trainer import pretrain

    read = [] if json_input is None else open_source(json_input=str(json_input)).read(Home)
    real = [home for home in read if home.synergies]
    made = []
    for index in range(generated):
        raw = add_registry(simulate_home(GENERATED_SEED, index), GENERATED_SEED)
        builder = HomeBuilder(LoadReport(where="generated"), f"generated_{index:03d}")
        builder.add_places(raw["areas"], raw["devices"])
        for entity in raw["entities"]:
            builder.add_entity(entity, "")
        for synergy in raw["synergies"]:
            builder.add_row(synergy, "")
        made.append(builder.build())
    homes = sorted(real, key=lambda home: home.home_id) + made
    if not homes:
        raise TrainingError(f"{json_input}: no home has synergies, so there is nothing to train on; give --generated")
    card = {
        "name": (output or SHIPPED_BASE).stem,
        "description": "Where a synergy model starts: counts and weights learnt from homes other than the user's.",
        "homes": [
            {"home_id": home.home_id, "entities": len(home.entities), "pairs": len(home.synergies)}
            for home in homes[: len(real)]
        ],
        "source": "public Home Assistant configurations; a home_id is owner__repository on GitHub" if real else "",
        "licences": licences,
        "generated_homes": generated,
        "generated_weight": generated_weight,
        "min_homes_of_a_text": MIN_HOMES,
        "epochs": epochs,
        "seed": seed,
    }
    weights = [1.0] * len(real) + [generated_weight if real else 1.0] * len(made)
    base = pretrain(homes, weights, SynergyConfig(epochs=epochs, seed=seed), card)
    path = output or SHIPPED_BASE
    base.save(path)
    size = path.stat().st_size + path.with_suffix(".json").stat().st_size
    click.echo(
        f"{path}: {len(real)} real and {generated} generated homes, {len(base.vocabulary.words)} words, {size} bytes"
    )


if __name__ == "__main__":
    main()
