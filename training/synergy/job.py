"""The synergy training job: read, audit, train, judge, publish."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import Home, open_source
from training.runs import artifacts
from training.runs.errors import ModelFileError
from training.runs.run import Run, log_source, utc_now
from training.synergy import name_encoders as names
from training.synergy import report
from training.synergy.audit import SynergyAudit, audit_homes
from training.synergy.config import SynergyConfig, read_settings, synergy_config

if TYPE_CHECKING:
    from training.synergy.trainer import Epoch, TrainingResult


log = logging.getLogger(__name__)

LOG_FILE = "gnn_training.log"
SHIPPED_BASE = Path(__file__).resolve().parent / "base" / "synergy.safetensors"


@dataclass(frozen=True)
class SynergyOptions:
    """The command line; None means not given."""

    json_input: str | None = None
    data_source: str | None = None
    strict: bool = False
    model_path: str | None = None
    epochs: int | None = None
    seed: int = 0
    force: bool = False
    base_model: str | None = None  # a path, or NO_BASE
    no_names: bool = False


NO_BASE = "none"


def train_gnn_synergy(run: Run, options: SynergyOptions) -> None:
    """The job, filling in ``run``. Raises DataSourceError or TrainingError with one line for a person."""
    run.memory_hint = "train on fewer homes, or lower GNN_HIDDEN_DIM or GNN_BATCH_SIZE"
    settings = read_settings()
    config = synergy_config(settings, epochs=options.epochs, seed=options.seed)
    path = Path(options.model_path) if options.model_path else settings.model_path
    base_path = _base_path(options.base_model)
    encoder = names.best_encoder(sentences=not options.no_names)
    run.config = {**config.model_dump(), "base_model": None, "names": encoder.kind}
    run.model_path = path
    source = open_source(json_input=options.json_input, data_source=options.data_source, strict=options.strict)
    run.source = source
    if not run.dry_run:
        artifacts.check_writable(path)
        if path.exists() and not options.force:
            _already_trained(run, path)
            return

    homes = sorted(source.read(Home), key=lambda home: home.home_id)  # no source promises an order
    audit = audit_homes(homes)
    run.audit, run.notes = audit.model_dump(mode="json"), [*source.report.notes, *audit.cannot_show]
    log_source(source)
    for line in report.audit_lines(audit):
        log.info("%s", line)
    if run.dry_run:
        run.end_dry()
        return
    _train_and_publish(run, homes, audit, config, path, base_path, encoder)


def _base_path(given: str | None) -> Path | None:
    if given == NO_BASE:
        return None
    path = SHIPPED_BASE if given is None else Path(given)
    if not path.is_file():
        raise ModelFileError(f"{path}: no base model is here; give another --base-model, or none")
    return path


def _already_trained(run: Run, path: Path) -> None:
    from training.synergy.model import SynergyModel

    try:
        SynergyModel.load(path)
    except ModelFileError as error:
        raise ModelFileError(f"{error}; --force trains a new model and replaces this file") from error
    run.status = "skipped"
    run.message = f"{path}: already trained, use --force to retrain"
    log.info("%s", run.message)


def _train_and_publish(
    run: Run,
    homes: list[Home],
    audit: SynergyAudit,
    config: SynergyConfig,
    path: Path,
    base_path: Path | None,
    encoder: names.Encoder,
) -> None:
    from training.synergy.pretrained import SynergyBase
    from training.synergy.trainer import train

    base = None if base_path is None else SynergyBase.load(base_path)
    run.config["base_model"] = None if base is None else base.describe()
    log.info("Base model: %s", NO_BASE if base is None else f"{base_path} ({len(base.home_ids)} real homes)")
    shared = sorted({home.home_id for home in homes} & base.home_ids) if base is not None else []
    if shared:
        run.notes.append(
            f"{len(shared)} of the homes are among those that the base model was trained on: held-out scores flatter "
            "the model; --base-model none shows what it learns by itself"
        )
        log.info("Note: %s", run.notes[-1])
    with _Progress(config.epochs) as progress:
        result = train(homes, config, base=base, encoder=encoder, on_epoch=progress)
    run.config["names"] = result.model.names
    verdict = report.verdict(result.metrics)
    run.metrics = {**result.metrics, "best_epoch": result.best_epoch, "epochs_run": len(result.history) - 1}
    run.notes.append(verdict)
    result.model.provenance = run.provenance(result.split, result.trained_on)
    image = report.plot(result)
    published = artifacts.publish(
        path,
        result.model.to_bytes(),
        _metadata(run, result),
        {} if image is None else {f"{path.stem}_training.png": image},
    )
    run.saved = True
    for line in (*report.split_lines(result), *report.score_lines(result.metrics), verdict):
        log.info("%s", line)
    run.message = f"trained on {audit.distinct_pairs} distinct pairs, saved to {path}"
    log.info("Saved: %s", ", ".join(str(path.parent / name) for name in published["files"]))


def _metadata(run: Run, result: TrainingResult) -> dict[str, Any]:
    config = result.model.config
    return {
        "training_date": utc_now(),
        "model_type": run.model_type,
        "hidden_dim": config.hidden_dim,
        "num_layers": config.num_layers,
        "generated_pairs": run.audit["generated_pairs"],
        **run.summary().model_dump(include={"source", "data_fingerprint", "audit", "load_report", "versions"}),
        "config": run.config,
        "split": result.split,
        "metrics": run.metrics,
        "history": [
            {"epoch": epoch.number, "loss": _finite(epoch.loss), "validation_score": _finite(epoch.score)}
            for epoch in result.history
        ],
        "notes": run.notes,
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if value == value else None


@dataclass(frozen=True)
class EvaluationOptions:
    """The command line of an evaluation; None means not given."""

    model_path: str
    json_input: str | None = None
    data_source: str | None = None
    strict: bool = False
    known: float = 0.7
    seed: int = 0
    report: str | None = None
    no_names: bool = False


def evaluate_gnn_synergy(run: Run, options: EvaluationOptions) -> None:
    """Judge a model file on homes, new and known, and say so. Raises DataSourceError or TrainingError."""
    from training.synergy.evaluation import judge
    from training.synergy.model import SynergyModel

    run.memory_hint = "judge fewer homes at a time"
    if options.report is not None:
        artifacts.check_writable(Path(options.report))
    model = SynergyModel.load(options.model_path, sentences=not options.no_names)
    source = open_source(json_input=options.json_input, data_source=options.data_source, strict=options.strict)
    run.source = source
    homes = sorted(source.read(Home), key=lambda home: home.home_id)
    log_source(source)
    seen = sorted({home.home_id for home in homes} & model.trained_on)
    if seen:
        log.warning(
            "Note: the model was trained on %d of these homes, which flatters it: %s", len(seen), ", ".join(seen)
        )
    settings = {
        "new_home": judge([model.judge(homes)]),
        "known_home": judge([model.judge(homes, options.known, options.seed)]),
    }
    for title, measured in zip(
        ("New home (nothing known)", f"Known home ({options.known:.0%} of the automations known)"),
        settings.values(),
        strict=True,
    ):
        for line in report.judged_lines(title, measured):
            log.info("%s", line)
    if options.report is not None:
        content = {
            "model_path": options.model_path,
            "source": run.described_source(),
            "known_share": options.known,
            "seed": options.seed,
            "trained_on": seen,
            "names": None if model.encoder is None else model.encoder.kind,
            **settings,
        }
        artifacts.write_atomically(Path(options.report), artifacts.to_json(content))
        log.info("Saved: %s", options.report)


class _Progress:
    """A bar on a terminal, one line an epoch elsewhere; the log file has the lines either way."""

    def __init__(self, epochs: int) -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=epochs, unit="epoch", leave=False, ascii=True)

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, epoch: Epoch) -> None:
        score = "" if epoch.score != epoch.score else f", validation score {epoch.score:.4f}"
        if epoch.number == 0:
            log.info("Epoch 0: evidence alone%s", score, extra={"file_only": self._bar is not None})
            return
        log.info("Epoch %d: loss %.4f%s", epoch.number, epoch.loss, score, extra={"file_only": self._bar is not None})
        if self._bar is not None:
            self._bar.set_postfix_str(f"loss {epoch.loss:.3f}{score}")
            self._bar.update()
