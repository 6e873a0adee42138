"""Score two models of one type on the same rows, which neither was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

from data_sources import DataSource, KindName
from data_sources.counting import plural
from training.judging.splits import read_digests, unseen_units
from training.runs.comparison import Comparison, ModelScores
from training.runs.errors import ModelFileError, wrap_read_errors

SEEN = "because a model, or what it started from, was trained on them"
NO_UNITS = "it does not say what it was trained on, which may include some of these rows"

M = TypeVar("M")  # a loaded model
Row = TypeVar("Row")  # one evaluation row


@dataclass(frozen=True)
class EvaluationRows(Generic[Row]):
    """The rows that two models are scored on.

    Attributes:
        strategy: The unit of the split, such as ``home``, or ``none`` if nothing is held out.
        reason: One sentence that explains the split.
        rows: The rows to score.
        training: The training rows, which the baselines use.
    """

    strategy: str
    reason: str
    rows: Sequence[Row]
    training: Sequence[Row] = ()

    @classmethod
    def of_parts(cls, rows: Sequence[Row], parts: Sequence[str], described: Mapping[str, Any]) -> EvaluationRows[Row]:
        """The test rows of a split, or the training rows if nothing is held out.

        Args:
            rows: All rows.
            parts: The part of each row.
            described: The split's ``strategy`` and ``reason``.
        """
        found: dict[str, list[Row]] = {"train": [], "test": []}
        for row, part in zip(rows, parts, strict=True):
            if part in found:
                found[part].append(row)
        chosen = "train" if described["strategy"] == "none" else "test"
        return cls(described["strategy"], described["reason"], found[chosen], found["train"])

    @property
    def held_out(self) -> bool:
        """Whether the rows come from the test part."""
        return self.strategy != "none"


class Measured(NamedTuple):
    """One model's scores by metric, the number of rows, and the scores of each baseline on the same rows."""

    scores: dict[str, float | None]
    rows: int
    baselines: dict[str, dict[str, float | None]]

    @classmethod
    def of(cls, table: Mapping[str, Any]) -> Measured:
        """Read the ``model``, ``rows`` and ``baselines`` of a wing's table of scores."""
        return cls(table["model"], table["rows"], table["baselines"])


def _one(_row: Any) -> int:
    return 1


def _never(_model: Any, _row: Any) -> bool:
    return False


def _all(_model: Path) -> None:
    return None


def rows_digest(rows: Iterable[str]) -> str:
    """SHA-256 of the rows; their order does not matter."""
    return hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest()


def records_digest(records: Iterable[Any]) -> str:
    """``rows_digest`` of records."""
    return rows_digest(record.model_dump_json() for record in records)


def dump_record(row: Any) -> Any:
    """A record as JSON."""
    return row.model_dump(mode="json", exclude_none=True)


@dataclass(frozen=True, kw_only=True)
class Comparer(Generic[M, Row]):
    """Compares models of one type. Each wing defines one, from functions on its models and rows.

    Attributes:
        model_type: The models' type, which is also the kind of their records.
        select: Read the evaluation rows from a source, reading at most the given number of rows. Raises
            DataSourceError.
        load: Load a model from its path. Raises ModelFileError.
        described: What a model's file says about its training. Its ``trained_on`` is a text of ``unit_digests``,
            those of what it started from among them.
        leave_out: Return the rows whose units are in none of the given texts ``trained_on``.
        score: Score each model, the candidate first. A model's result is None if no row can be scored.
        parse: Turn JSON back into a row.
        fingerprint: SHA-256 of rows; rows that are no records need their own.
        dump: Turn a row into JSON; likewise.
        size: The number of units that a row counts as.
        counted: The name of one of these units, for messages.
        trained_on_row: Whether a model was trained on a row whose unit had another name then, such as another export of
            a home, or started from what was trained on it.
        max_samples: The limit on rows with which the model at a path was trained, so that a comparison reads the same
            rows; None if there was none.
    """

    model_type: KindName
    select: Callable[[DataSource, int | None], EvaluationRows[Row]]
    load: Callable[[Path], M]
    described: Callable[[M], Mapping[str, Any]]
    leave_out: Callable[[EvaluationRows[Row], Sequence[str]], Sequence[Row]]
    score: Callable[[Sequence[M], EvaluationRows[Row]], Sequence[Measured | None]]
    parse: Callable[[Any], Row]
    fingerprint: Callable[[Sequence[Row]], str] = records_digest
    dump: Callable[[Row], Any] = dump_record
    size: Callable[[Row], int] = _one
    counted: str = "row"
    trained_on_row: Callable[[M, Row], bool] = _never
    max_samples: Callable[[Path], int | None] = _all

    def compare(
        self, candidate: Path, champion: Path | None, evaluation: EvaluationRows[Row], least_rows: int = 0
    ) -> Comparison:
        """Score both models on the rows that neither was trained on.

        Args:
            candidate: The candidate's file or run directory.
            champion: The champion's; None scores the candidate alone.
            evaluation: The rows. If they are held out, those that a model, or what it started from, was trained on are
                left out.
            least_rows: Where fewer are left, the candidate is scored alone, on all that it was not trained on.

        Returns:
            The comparison. A model that cannot be loaded has an ``error`` instead of scores.
        """
        loaded = [self._load(path) for path in (candidate, champion) if path is not None]
        both = self._compared(loaded, evaluation)
        (model, _), other = loaded[0], both.champion
        if model is None or other is None or other.error is not None or both.rows >= least_rows:
            return both
        alone = self._compared([(model, ModelScores())], evaluation)
        if alone.rows <= both.rows:
            return both
        test = other.left_out + both.rows
        why = (
            f"{self._left_out(f'{other.left_out} of the {test}', test)}; {both.rows} are left, and a comparison takes "
            f"{least_rows}"
        )
        alone.champion = other.model_copy(update={"scores": None, "not_compared": why})
        return alone

    def _compared(self, loaded: Sequence[tuple[M | None, ModelScores]], evaluation: EvaluationRows[Row]) -> Comparison:
        """Score loaded models, the candidate first, on the rows that none of them was trained on."""
        usable = [(model, side) for model, side in loaded if model is not None]
        left = evaluation
        if evaluation.held_out:
            seen = [self._trained_on(model, side) for model, side in usable]
            left = replace(evaluation, rows=self.leave_out(evaluation, seen))
            left = replace(left, rows=[r for r in left.rows if not any(self.trained_on_row(m, r) for m, _ in usable)])
        before, after = (sum(map(self.size, one.rows)) for one in (evaluation, left))
        result = Comparison(
            model_type=self.model_type,
            held_out=evaluation.held_out,
            reason=evaluation.reason,
            rows=0,
            fingerprint=self.fingerprint(left.rows),
            candidate=loaded[0][1],
            champion=loaded[1][1] if len(loaded) > 1 else None,
        )
        if usable and not after:
            result.reason = self._left_out(f"all {before}", before)
        measured = self.score([model for model, _ in usable], left) if usable and after else [None] * len(usable)
        for (_, side), found in zip(usable, measured, strict=True):
            side.left_out = before - after
            if found is not None:
                side.scores, result.rows = found.scores, found.rows
                result.baselines = result.baselines or found.baselines
            elif after:
                one, several = (
                    f"the only test {self.counted} cannot",
                    f"none of the {after} test {plural(self.counted)} can",
                )
                result.reason = f"{one if after == 1 else several} be scored"
        return result

    def _left_out(self, share: str, test: int) -> str:
        several = f"{share} test {plural(self.counted)} were"
        return f"{f'the only test {self.counted} was' if test == 1 else several} left out, {SEEN}"

    def _load(self, path: Path) -> tuple[M | None, ModelScores]:
        try:
            model = self.load(path)
            with wrap_read_errors(path, "cannot be compared", "train it again"):
                read_digests(self.described(model).get("trained_on"))
        except ModelFileError as error:
            return None, ModelScores(error=str(error))
        return model, ModelScores()

    def _trained_on(self, model: M, side: ModelScores) -> str:
        units = self.described(model).get("trained_on")
        if units is None:
            side.notes.append(NO_UNITS)
        return read_digests(units)


def unseen_rows(rows: Sequence[Row], units: Sequence[str], trained_on: Sequence[str]) -> list[Row]:
    """The rows that no model was trained on.

    Args:
        rows: The rows.
        units: The unit of each row.
        trained_on: A text of ``unit_digests`` for each model.
    """
    fresh = unseen_units(units, *trained_on)
    return [row for row, unit in zip(rows, units, strict=True) if unit in fresh]
