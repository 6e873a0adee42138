"""Train the YAML generator: which rows, how they are split, and what is judged."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from data_sources import YamlRow, normalized_query
from training.automations.evaluation import evaluate_generator
from training.automations.model import Example, YamlGenerator, examples
from training.judging.splits import PARTS, Part, unit_digests
from training.text.backbone import TextPair
from training.text.config import AdapterConfig
from training.text.model import Suggester
from training.text.splits import MIN_GROUPS, Split, split_by_query, split_by_unit
from training.text.trainer import Scratch, TrainedAdapter, train_adapter

log = logging.getLogger(__name__)
CHARACTERS_A_TOKEN = 3  # at least; a line that may not fit would be cut and teach the model to stop anywhere
SCRATCH = Scratch(pieces="bpe", epochs=60, rows=20_000)


def split_by_home(rows: Sequence[YamlRow]) -> Split:
    """Whole homes are held out where they are known and enough, else whole queries."""
    homes = [row.home_id for row in rows if row.home_id is not None]
    distinct = len(set(homes))
    if distinct < MIN_GROUPS or len(homes) < len(rows):
        return split_by_query([TextPair(row.input, row.output) for row in rows])
    return split_by_unit(homes, "home", f"{distinct} homes: whole homes are held out")


def learn(
    rows: Sequence[YamlRow],
    config: AdapterConfig,
    work: Path,
    *,
    split: Split | None = None,
    **options: Any,
) -> TrainedAdapter:
    """Train a generator and score what it writes for the rows held out; without any, for those it was trained on.

    Args:
        rows: Requests with their automations.
        config: Sizes, base model and hyperparameters.
        work: The folder that the run writes into.
        split: A part for each row, and what is said of it; ``split_by_home`` where it is not given.
        options: As those of ``training.text.trainer.train_adapter``.
    """
    parts, described = split or split_by_home(rows)
    longest = CHARACTERS_A_TOKEN * config.target_max_tokens
    prepared = [
        _PreparedRow(row, example, part, example.pair)
        for row, example, part in zip(rows, examples(rows), parts, strict=True)
    ]
    kept = [one for one in prepared if one.part == "test" or len(one.pair.target) <= longest]
    if len(kept) < len(rows):
        described = {**described, "too_long": len(rows) - len(kept)}
        log.info(
            "Left out of training: %d automations of more than %d characters; --target-max-tokens takes longer ones",
            described["too_long"],
            longest,
        )
    by_part = {part: [one.example for one in kept if one.part == part] for part in PARTS}

    def judged_by(model: Any, tokenizer: Any, _training: Any, _judged: Any, config: AdapterConfig) -> dict[str, Any]:
        generator = YamlGenerator(Suggester(model, tokenizer, config))
        return evaluate_generator(generator, by_part["train"], by_part["test"] or by_part["train"])

    pairs, kept_split = [one.pair for one in kept], ([one.part for one in kept], described)
    result = train_adapter(pairs, config, work, split=kept_split, judged_by=judged_by, scratch=SCRATCH, **options)
    seen = [one.row for one in kept if one.part != "test"]
    return replace(result, trained_on=unit_digests(unit for row in seen for unit in row_units(row)))


class _PreparedRow(NamedTuple):
    """A row, what the model reads and writes of it, and the part of the split that it is in."""

    row: YamlRow
    example: Example
    part: Part
    pair: TextPair


class RowUnits(NamedTuple):
    """What a row belongs to. A model may be scored on rows whose unit it has not seen."""

    home: str
    request: str


def row_units(row: YamlRow) -> RowUnits:
    """The units of a row, as they go into ``splits.unit_digests``."""
    return RowUnits(f"home {row.home_id}", f"request {normalized_query(row.input)}")
