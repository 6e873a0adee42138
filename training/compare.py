"""Score a candidate and a champion of one model in one process on the same rows, which neither was trained on.

The rows are the test part of the data (units go to parts by the hash of their name, so no seed moves them) without
those that either model, or what it started from, was trained on. Where too few are left, the candidate is scored alone,
and where nothing can be held out, the rows are the training part; the result says so. Each version keeps the rows that
it was scored on, and the next candidate is scored on those too, so that one night's damaged data shows.
"""

from __future__ import annotations

import gzip
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from data_sources import DataSource
from data_sources.counting import many
from training.judging.comparison import Comparer, EvaluationRows
from training.runs.comparison import LEAST_ROWS, Comparison
from training.runs.errors import ModelFileError, TrainingError, wrap_read_errors
from training.runs.files import to_json
from training.runs.job import SourceChoice
from training.runs.models import MODELS, key_of
from training.runs.options import WholeNumber, model_name, source_options, verbose_option
from training.runs.outputs import check_paths_differ, write_output
from training.runs.process import check_address_space
from training.runs.progress import Progress
from training.runs.streams import Program

_NO_ROWS = "holds no evaluation rows that can be read"
FORMAT, FORMAT_VERSION = "evaluation_rows", 1

log = logging.getLogger(__name__)


def comparer_of(model_type: str) -> Comparer[Any, Any]:
    """What compares models of this type. Raises TrainingError where there is no such model."""
    key = key_of(model_type)
    if key is None:
        raise TrainingError(f"{model_type!a}: no such model; there are {', '.join(MODELS)}")
    comparer: Comparer[Any, Any] = MODELS[key].load("compare", "COMPARER")
    return comparer


def compare(
    comparer: Comparer[Any, Any],
    candidate: Path,
    champion: Path | None,
    source: DataSource,
    *,
    save_rows: Path | None = None,
    champion_rows: Path | None = None,
    least_rows: int = LEAST_ROWS,
) -> Comparison:
    """Score both models on the rows of ``source``, and once more on those that an earlier comparison saved.

    A model that cannot be loaded has no scores and an ``error``.

    Args:
        comparer: What compares models of this type.
        candidate: A model file or run directory.
        champion: The one to compare with; None scores the candidate alone.
        source: Where the rows are.
        save_rows: A file to save the rows in, where they are held out.
        champion_rows: The rows that were saved when the champion was the candidate.
        least_rows: Where fewer are left for both, the candidate is scored alone, on all that it was not trained on.

    Raises:
        DataSourceError: The rows cannot be read.
        TrainingError: The file ``champion_rows`` cannot be used.
        ArtifactError: The file ``save_rows`` cannot be written.
    """
    with Progress("Reading", unit="row", counted=lambda: sum(source.report.read.values())):
        evaluation = comparer.select(source, comparer.max_samples(candidate))
    with Progress("Scoring"):
        comparison = comparer.compare(candidate, champion, evaluation, least_rows)
    comparison.source = source.safe_description()
    dumped = [comparer.dump(row) for row in evaluation.rows] if save_rows or champion_rows else []
    if save_rows is not None and evaluation.held_out:
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model_type": comparer.model_type,
            "strategy": evaluation.strategy,
            "reason": evaluation.reason,
            "rows": dumped,
        }
        write_output(save_rows, gzip.compress(json.dumps(content).encode(), mtime=0))
    if champion_rows is not None:
        saved = read_rows(champion_rows, comparer.model_type)
        if saved.get("rows") != dumped:
            with wrap_read_errors(champion_rows, _NO_ROWS, raises=TrainingError):
                rows = [comparer.parse(row) for row in saved["rows"]]
                again = EvaluationRows(str(saved["strategy"]), str(saved["reason"]), rows, training=rows)
            with Progress("Scoring on the champion's rows"):
                comparison.on_champion_rows = comparer.compare(candidate, champion, again)
            comparison.on_champion_rows.baselines = {}  # there is no training part to look things up in
    return comparison


def read_rows(path: Path, model_type: str) -> dict[str, Any]:
    """The content of a file of saved evaluation rows. Raises TrainingError where it is none of this model's."""
    with wrap_read_errors(path, _NO_ROWS, raises=TrainingError):
        content = dict(json.loads(gzip.decompress(path.read_bytes())))
        found = content["format"], content["format_version"], content["model_type"]
    if found != (FORMAT, FORMAT_VERSION, model_type):
        raise TrainingError(f"{path}: holds evaluation rows of {found}, not of {(FORMAT, FORMAT_VERSION, model_type)}")
    return content


@dataclass(frozen=True)
class CompareOptions:
    """The options of a comparison: ``output`` is the file for its JSON, the others are those of ``compare``."""

    source: SourceChoice
    candidate: Path
    champion: Path | None
    output: Path
    save_rows: Path | None = None
    champion_rows: Path | None = None
    least_rows: int = LEAST_ROWS


def compare_and_write(model_type: str, options: CompareOptions) -> Comparison:
    """``compare`` from flags to a file. Raises as ``compare``, and ArtifactError where it cannot be written."""
    check_address_space(model_type)
    comparer = comparer_of(model_type)
    source = options.source.open(comparer.model_type, comparer.max_samples(options.candidate))
    check_paths_differ(
        source,
        kept={
            "data": options.source.path,
            "candidate": options.candidate,
            "champion": options.champion,
            "file of the champion's rows": options.champion_rows,
        },
        output=options.output,
        file_of_saved_rows=options.save_rows,
    )
    comparison = compare(
        comparer,
        options.candidate,
        options.champion,
        source,
        save_rows=options.save_rows,
        champion_rows=options.champion_rows,
        least_rows=options.least_rows,
    )
    write_output(options.output, to_json(comparison.model_dump()))
    for line in comparison_lines(comparison, comparer.counted):
        log.info("%s", line)
    if comparison.on_champion_rows is not None:
        for line in comparison_lines(comparison.on_champion_rows, comparer.counted, " that the champion went live on"):
            log.info("%s", line)
    return comparison


def comparison_lines(found: Comparison, unit: str, which: str = "") -> Iterator[str]:
    """What a comparison found, a line for each model; ``unit`` is what its rows are counted in, ``which`` says more."""
    where = many(found.rows, f"{'held-out' if found.held_out else 'training'} {unit}") + which
    for name, side in (("Candidate", found.candidate), ("Champion", found.champion)):
        if side is None:
            continue
        if side.error is not None:
            yield f"{name}: cannot be loaded: {side.error}"
        elif side.scores is None:
            yield f"{name}: no score: {side.not_compared or found.reason}"
        else:
            scores = (
                f"{key} {'not defined' if value is None else f'{value:.4f}'}" for key, value in side.scores.items()
            )
            yield f"{name} on {where}: {', '.join(scores)}"


def _compare_or_fail(model_type: str, options: CompareOptions) -> None:
    """Raises ModelFileError, once the output is written, where a model cannot be loaded: then nothing was compared."""
    found = compare_and_write(model_type, options)
    errors = [side.error for side in (found.candidate, found.champion) if side is not None and side.error is not None]
    if errors:
        raise ModelFileError("; ".join(errors))


_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("compare", cls=Program)
@click.argument("model", type=model_name)
@click.option(
    "--candidate",
    required=True,
    type=click.Path(path_type=Path),
    help="The new model: a file, the folder of a version, or a run directory.",
)
@click.option("--champion", type=click.Path(path_type=Path), help="The model to compare it with.")
@click.option("--output", required=True, type=_FILE, help="File to write the scores to, as JSON.")
@click.option("--save-rows", "--keep", "save_rows", type=_FILE, help="File to save the rows in, if they are held out.")
@click.option("--champion-rows", "--kept", "champion_rows", type=_FILE, help="Also score on these saved rows.")
@click.option(
    "--least-rows",
    type=WholeNumber(1),
    default=LEAST_ROWS,
    show_default=True,
    help="If fewer rows are left for both models, the candidate is scored alone, on all that it was not trained on.",
)
@source_options
@verbose_option
def compare_models(
    model: str, json_input: str | None, data_source: str | None, strict: bool, verbose: bool, **options: Any
) -> None:
    """Score two models of one kind on the same rows.

    MODEL is the kind, such as gnn_synergy. The rows are those that neither model was trained on.

    Exit codes: 0 compared, 1 failed (also if a model cannot be loaded, which the output says too), 2 wrong usage.
    """
    from training.runs.process import execute

    source = SourceChoice(json_input, data_source, strict)
    execute(
        lambda: _compare_or_fail(model, CompareOptions(source, **options)),
        verbose=verbose,
        memory_hint="compare on fewer rows",
    )
