"""What every comparison of two models shares: the rows, the sides, and what was trained on what."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from data_sources import DataSource
from training.runs.comparison import Comparison, ModelScores
from training.runs.errors import ModelFileError

MAX_SAMPLES = {"soft_prompt": 2_000, "yaml_generation": 20_000}  # rows that training reads at most, by default
NOT_SEALED = "it does not say what it was trained on, so some of these rows may be among it"

M = TypeVar("M")


class EvaluationRows(NamedTuple):
    """What two models are scored on: ``judged``, of data that were split by ``strategy``.

    ``training`` are the rows that baselines look at. A row of the synergy model is a home (``HomeRows``).
    """

    strategy: str
    reason: str
    judged: Sequence[Any]
    training: Sequence[Any]

    @property
    def held_out(self) -> bool:
        """Whether the judged rows are no training rows."""
        return self.strategy != "none"


def load_side(loader: Callable[[Path], M], path: Path | None) -> tuple[M | None, ModelScores | None]:
    """A model and its side of the comparison, which holds the error of one that cannot be loaded."""
    if path is None:
        return None, None
    try:
        return loader(path), ModelScores()
    except ModelFileError as error:
        return None, ModelScores(error=str(error))


def trained_units(described: Mapping[str, Any], side: ModelScores | None) -> str:
    """What a model says it was trained on (``splits.sealed``); one that does not say gets a note."""
    units = described.get("trained_on")
    if side is not None and units is None:
        side.notes.append(NOT_SEALED)
    return str(units or "")


def by_part(rows: Sequence[M], parts: Sequence[str]) -> tuple[list[M], list[M]]:
    """The training rows and the test rows."""
    of_part = {part: [row for row, its in zip(rows, parts, strict=True) if its == part] for part in ("train", "test")}
    return of_part["train"], of_part["test"]


def rows_digest(rows: Iterable[str]) -> str:
    """SHA-256 of the rows, whatever their order."""
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


def fill_in(
    result: Comparison,
    both: Iterable[tuple[M | None, ModelScores | None]],
    all_rows: int,
    left: int,
    measure: Callable[[M], dict[str, Any]],
) -> Comparison:
    """Fill in what ``measure`` says of each model that could be loaded, on the ``left`` of ``all_rows`` test rows."""
    for model, side in both:
        if model is None or side is None:
            continue
        side.left_out = all_rows - left
        if not left:
            result.reason = f"all {all_rows} test rows were left out as trained on"
            continue
        measured = measure(model)
        side.scores, result.rows, result.baselines = measured["model"], measured["rows"], measured["baselines"]
    return result


def dump_record(row: Any) -> Any:
    """A record as JSON."""
    return row.model_dump(mode="json", exclude_none=True)


class Kind(NamedTuple):
    """How the rows of one model are selected, scored, and turned into JSON and back."""

    select: Callable[[DataSource], EvaluationRows]
    score: Callable[[Path, Path | None, EvaluationRows], Comparison]
    dump: Callable[[Any], Any]
    load: Callable[[Any], Any]
