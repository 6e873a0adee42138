"""Train the YAML generator: choose its rows, split them, and evaluate what it writes."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from data_sources import YamlRow, normalized_query
from data_sources.counting import many
from training.automations.confidence import Confidence, is_right
from training.automations.evaluation import evaluate_generator
from training.automations.model import KNOWLEDGE_FILE, Example, Knowledge, YamlGenerator, examples
from training.automations.ranking import Asked, Remembered, StructureRanker
from training.judging.same_units import count_shared, find_same_units, marks_of
from training.judging.splits import PARTS, Part, unit_digests
from training.runs.errors import TrainingError
from training.text.backbone import TextPair
from training.text.config import AdapterConfig
from training.text.model import Suggester, limit_rows
from training.text.splits import MIN_GROUPS, Split, split_by_query, split_by_unit
from training.text.trainer import Scratch, TrainedAdapter, train_adapter

log = logging.getLogger(__name__)
SHARED_ROWS = 0.8  # Jaccard index of the rows from which two homes are one
FEW_ROWS = 3  # shared rows: of fewer, two homes may have the same by chance
CHARACTERS_A_TOKEN = 3  # at least; a line that is cut at the limit would teach the model to stop anywhere
SCRATCH = Scratch(pieces="bpe", epochs=30, rows=20_000, dropout=0.05)


def split_by_home(rows: Sequence[YamlRow]) -> Split:
    """A part for each row: whole homes are held out if every row has one and there are enough, else whole queries.

    Homes that share most of their rows are one home, exported under several ids.
    """
    of_home: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.home_id is not None:
            of_home[row.home_id].add(f"{normalized_query(row.input)}\n{row.output}")
    own = {home: marks_of(texts) for home, texts in of_home.items()}

    def are_one(one: str, other: str) -> bool:
        shared = count_shared(own[one], own[other])
        return shared >= FEW_ROWS and shared >= SHARED_ROWS * (len(own[one]) + len(own[other]) - shared)

    same = find_same_units(own, SHARED_ROWS, are_one)
    homes = [same.first[row.home_id] for row in rows if row.home_id is not None]
    distinct = len(set(homes))
    if distinct < MIN_GROUPS or len(homes) < len(rows):
        return split_by_query([TextPair(row.input, row.output) for row in rows])
    again = f", exported under {len(own)} ids ({same.describe()})" if same.groups else ""
    return split_by_unit(homes, "home", f"{many(distinct, 'home')}{again}: whole homes are held out")


def train_generator(
    rows: Sequence[YamlRow],
    config: AdapterConfig,
    work: Path,
    *,
    split: Split | None = None,
    **options: Any,
) -> TrainedAdapter:
    """Train a generator and score what it writes for the held-out rows; if there are none, for the training rows.

    Args:
        rows: Requests with their automations.
        config: Sizes, base model and hyperparameters.
        work: The folder that the run writes into.
        split: A part for each row, and its description; without it, ``split_by_home``.
        options: ``resume_from``, ``on_epoch`` and ``earlier_runs`` of ``training.text.trainer.train_adapter``.

    Raises:
        TrainingError: The base, or the adapter to resume from, cannot be used.
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
    if not any(one.part == "train" for one in kept):
        raise TrainingError(
            f"every automation to train on has more than {longest} characters; a larger --target-max-tokens takes them"
        )
    by_part = {part: [one.example for one in kept if one.part == part] for part in PARTS}

    learnt: dict[str, Knowledge] = {}

    def evaluate(model: Any, tokenizer: Any, _training: Any, _held_out: Any, config: AdapterConfig) -> dict[str, Any]:
        suggester = Suggester(model, tokenizer, config)
        knowledge = learn(by_part["train"], by_part["validation"], suggester)
        learnt[KNOWLEDGE_FILE] = knowledge
        generator = YamlGenerator(suggester, knowledge)
        return evaluate_generator(generator, by_part["train"], by_part["test"] or by_part["train"])

    pairs, kept_split = [one.pair for one in kept], ([one.part for one in kept], described)
    result = train_adapter(pairs, config, work, split=kept_split, evaluate=evaluate, scratch=SCRATCH, **options)
    seen = [one.row for one in kept if one.part != "test"]
    return replace(
        result,
        trained_on=unit_digests(unit for row in seen for unit in row_units(row)),
        files={name: knowledge.to_bytes() for name, knowledge in learnt.items()},
    )


def learn(training: Sequence[Example], validation: Sequence[Example], suggester: Suggester | None) -> Knowledge:
    """What is learnt beside the network: the ranking from the training rows, how sure each is from the validation rows.

    The rule is fixed in advance and the same for both: what the ranking or the network answers is given from the
    probability on above which nine of ten answers for validation homes are right, of requests that are not read word by
    word, and never where there is no such probability.

    Args:
        training: Rows of training homes.
        validation: Rows of other homes; at most ``MAX_EVALUATED`` are answered.
        suggester: The network; None if there is none.
    """
    rows = [
        (
            Remembered.of(one.request, one.structure, one.home_id),
            Asked.of(one.request, one.home),
            one.structure,
        )
        for one in training
        if one.home is not None
    ]
    ranker = StructureRanker.fit(rows) if rows else None
    generator = YamlGenerator(suggester, Knowledge(ranker))
    known = limit_rows([one for one in validation if one.home is not None])
    known = [one for one in known if generator.read(one.grounding).automation is None]  # others need no guess
    groundings = [one.grounding for one in known]
    found = []
    for answers in (map(generator.ranked, groundings), generator.written(groundings)):
        answered = [(a, one) for a, one in zip(answers, known, strict=True) if a.automation is not None]
        found.append(
            Confidence.fit(
                [a.confidence for a, _ in answered],  # of a Confidence that was not fitted: the raw score
                [is_right(a.automation or {}, one.automation) for a, one in answered],
            )
        )
    return Knowledge(ranker, *found)


class _PreparedRow(NamedTuple):
    """A row, its example, its part of the split, and the texts that the model reads and writes."""

    row: YamlRow
    example: Example
    part: Part
    pair: TextPair


class RowUnits(NamedTuple):
    """The home and the request that a row belongs to. A model is scored on rows whose unit it was not trained on."""

    home: str
    request: str


def row_units(row: YamlRow) -> RowUnits:
    """The units of a row, as texts for ``splits.unit_digests``."""
    return RowUnits(f"home {row.home_id}", f"request {normalized_query(row.input)}")
