"""Score two models of one kind in one process on the same rows, which neither was trained on.

The rows are the test part of the data (units go to parts by the hash of their name, so no seed moves them) without
those that either model says it was trained on. Where nothing can be held out, the rows are the training part, and the
result says so. Held-out rows can be kept in a file, and both models be scored on the rows that were kept earlier too:
what a night's data lost or got wrong, the rows of the nights before still tell.
"""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from data_sources import DataSource, open_source
from training.judging.comparison import Comparer, EvaluationRows
from training.runs.artifacts import to_json, write_atomically
from training.runs.comparison import Comparison
from training.runs.errors import TrainingError
from training.runs.models import MODELS

FORMAT, FORMAT_VERSION = "evaluation_rows", 1

log = logging.getLogger(__name__)


def comparer_of(model_type: str) -> Comparer[Any, Any]:
    """What compares models of this type. Raises TrainingError where there is no such model."""
    if model_type not in MODELS:
        raise TrainingError(f"{model_type!a}: no such model; there are {', '.join(MODELS)}")
    comparer: Comparer[Any, Any] = MODELS[model_type].load("compare", "COMPARER")
    return comparer


def compare(
    comparer: Comparer[Any, Any],
    candidate: Path,
    champion: Path | None,
    source: DataSource,
    *,
    keep: Path | None = None,
    kept: Path | None = None,
) -> Comparison:
    """Score ``candidate`` and, where there is one, ``champion``, and once more on the rows in the file ``kept``.

    Held-out rows are written to ``keep``. A model that cannot be loaded has no scores and an ``error``.

    Raises:
        DataSourceError: The rows cannot be read.
        TrainingError: The file ``kept`` cannot be used.
        ArtifactError: The file ``keep`` cannot be written.
    """
    evaluation = comparer.select(source)
    comparison = comparer.compare(candidate, champion, evaluation)
    comparison.source = source.describe()
    dumped = [comparer.dump(row) for row in evaluation.rows] if keep is not None or kept is not None else []
    if keep is not None and evaluation.held_out:
        content = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "model_type": comparer.model_type,
            "strategy": evaluation.strategy,
            "reason": evaluation.reason,
            "rows": dumped,
        }
        write_atomically(keep, gzip.compress(json.dumps(content).encode(), mtime=0))
    if kept is not None:
        earlier = _read(kept, comparer.model_type)
        if earlier["rows"] != dumped:
            rows = [comparer.parse(row) for row in earlier["rows"]]
            again = EvaluationRows(earlier["strategy"], earlier["reason"], rows, training=rows)
            comparison.kept = comparer.compare(candidate, champion, again)
            comparison.kept.baselines = {}  # there is no training part to look things up in
    return comparison


def _read(path: Path, model_type: str) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
        found = content["format"], content["format_version"], content["model_type"]
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path}: holds no evaluation rows that can be read ({error!s:.100})") from error
    if found != (FORMAT, FORMAT_VERSION, model_type):
        raise TrainingError(f"{path}: holds evaluation rows of {found}, not of {(FORMAT, FORMAT_VERSION, model_type)}")
    return content


class CompareOptions(Config):
    """What a comparison is told."""

    candidate: Annotated[Path, Setting("A model file or run directory.")]
    champion: Annotated[Path | None, Setting("The one to compare with.", default="none")] = None
    output: Annotated[Path, Setting("Where the scores go.", metavar="FILE")]
    save_rows: Annotated[
        Path | None, Setting("Save the held-out rows.", default="nowhere", metavar="FILE", former=("--keep",))
    ] = None
    earlier_rows: Annotated[
        Path | None,
        Setting("Score on these rows too, saved earlier.", default="none", metavar="FILE", former=("--kept",)),
    ] = None


def compare_and_write(model_type: str, choice: SourceChoice, options: CompareOptions) -> None:
    """``compare`` from flags to a file. Raises as ``compare``, and ArtifactError where it cannot be written."""
    comparer = comparer_of(model_type)
    source = open_source(
        json_input=options.json_input,
        data_source=options.data_source,
        strict=options.strict,
        kind=comparer.model_type,
        max_samples=comparer.max_samples,
    )
    comparison = compare(comparer, options.candidate, options.champion, source, keep=options.keep, kept=options.kept)
    write_atomically(options.output, to_json(comparison.model_dump()))
    for where, found in (("", comparison), (" on the rows saved earlier", comparison.kept)):
        for name, side in () if found is None else (("candidate", found.candidate), ("champion", found.champion)):
            if side is not None and found is not None:
                log.info("%s%s: %s", name, where, side.error or side.scores or found.reason)


@click.command("compare")
@click.argument("model")
@source_options
@flags(CompareOptions)
@verbose_option
def command(
    model: str, json_input: str | None, data_source: str | None, strict: bool, verbose: bool, **given: Any
) -> None:
    """Score a candidate and the live MODEL on the same rows, which neither was trained on.

    MODEL is gnn_synergy, soft_prompt, pattern_detection or yaml_generation.

    Exit codes: 0 compared (a model that cannot be loaded is said so in the output), 1 failed, 2 wrong usage.
    """
    source = SourceChoice(json_input, data_source, strict)
    execute(lambda: compare_and_write(model, source, read_config(CompareOptions, given)), verbose=verbose)
