"""The synergy model's training and evaluation: read, audit, train, judge, publish."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data_sources import DataSource, Home, Shard
from data_sources.counting import listed, many
from training.runs import artifacts
from training.runs.distributed import all_do, all_say, first_hears, process_number, world_size
from training.runs.errors import ModelFileError, TrainingError
from training.runs.files import to_json
from training.runs.job import Published, SourceChoice, Trained, TrainingJob
from training.runs.memory import default_room, give_back_freed
from training.runs.model_card import model_card
from training.runs.model_paths import model_file
from training.runs.outputs import check_output, check_paths_differ, write_output
from training.runs.process import check_address_space
from training.runs.progress import Progress
from training.runs.run import described_source, log_source, provenance
from training.runs.settings import read_config
from training.runs.stored import Room
from training.runs.summary import TrainingSummary
from training.synergy import name_encoders, report
from training.synergy.audit import AnsweredAudit, SynergyAudit, audit_homes, digest_of
from training.synergy.config import CPU, FORMAT_VERSION, NO_BASE, EvaluationOptions, SynergyConfig, SynergyOptions
from training.synergy.feedback import FeedbackAudit, read_for_training, relabelled
from training.synergy.origin import is_whole, origin_of
from training.synergy.stored_homes import ReadHomes

if TYPE_CHECKING:
    from training.synergy.trainer import Epoch, TrainingResult

log = logging.getLogger(__name__)

_EPOCHS_SHOWN = 5
SHIPPED_BASE = Path(__file__).resolve().parent / "base" / "synergy.safetensors"
# Of so many homes that it knows, a training learns as much by itself, and the base would count them twice: the features
# of a training pair would come from the pair itself.
MANY_SHARED_HOMES = 10


class SynergyJob(TrainingJob[Sequence[Home], "TrainingResult"]):
    """The training of the synergy model on whole homes."""

    model_type = Home.kind
    log_file = "gnn_training.log"
    shares_work = True

    def __init__(self, source: SourceChoice, given: Mapping[str, Any]) -> None:
        self.source = source
        self.synergy, self.options = read_config(SynergyConfig, given), read_config(SynergyOptions, given)
        self.model_path = self.options.model_path
        self.base_path = _base_path(self.options.base_model)
        self.encoder = name_encoders.best_encoder(sentences=not self.options.no_names)
        self.room = Room(default_room() if self.options.memory is None else self.options.memory)
        self._answers: dict[str, Any] = {}  # what the audit says of them
        self.config = {
            **self.synergy.model_dump(),
            "base_model": None,
            "names": self.encoder.kind,
            "device": self.options.device,
        }

    def open(self) -> DataSource:
        """The source that the flags name."""
        if world_size() > 1 and self.source.readable_once is not None:
            raise TrainingError(
                f"{self.source.readable_once}: only one process can read it, and {world_size()} train together; "
                "give a file, a folder or a database"
            )
        self._opened = self.source.open(self.model_type, shard=Shard(process_number(), world_size()))
        return self._opened

    def check_target(self, dry_run: bool) -> str | None:
        """Without ``--force`` a model that is there is kept if it can be loaded, and the data is not read.

        A model of the shipped sample gives way where a flag names other data: it must not stand for a user's own.
        """
        if dry_run:
            return None
        artifacts.check_model_path(self.model_path)
        if not self.model_path.exists() or self.options.force:
            return None
        provenance = None if is_whole(self.model_path) else self._provenance()
        origin, given = origin_of(self.model_path, provenance), self._opened.describe()["location"]
        if self.source.named and origin.stands_for_another(self._opened):
            log.warning("%s: was trained on the shipped sample; a model of %s replaces it", self.model_path, given)
            return None
        return (
            f"{self.model_path}: already trained, use --force to retrain. It was trained {origin}; {given} was not "
            "read: --force trains on it and replaces the model, --model-path FILE trains another model"
        )

    def _provenance(self) -> Mapping[str, Any]:
        from training.synergy.model import SynergyModel

        try:
            return SynergyModel.load(self.model_path).provenance
        except ModelFileError as error:
            raise ModelFileError(f"{error}; --force trains a new model and replaces this file") from error

    def read(self, source: DataSource) -> Sequence[Home]:
        """The homes by their ids, for no source promises an order, with the answers to suggestions as labels.

        Where several processes train together, each reads those of its own shard. Homes that do not fit in memory wait
        in a file.
        """
        feedback = None if self.options.feedback is None else read_for_training(self.options.feedback)
        give_back_freed()
        read = all_do(lambda: ReadHomes.of(source, self.room))
        homes = read.homes
        if world_size() > 1:
            source.check_together(all_say(source.report))
        if feedback is None:
            return homes
        if feedback.trouble is not None:
            log.warning("Note: %s", feedback.trouble)
        changed, answers = relabelled(homes, feedback)
        self._answers = {
            "feedback": FeedbackAudit.of_parts(all_say(answers)),
            "fingerprint": digest_of(chain.from_iterable(all_say([home.fingerprint() for home in homes]))),
        }
        for place, home in changed.items():
            read.replace(place, home)
        return homes

    def other_inputs(self) -> Mapping[str, Path | None]:
        """The file of answers."""
        return {"feedback": self.options.feedback}

    def audit(self, rows: Sequence[Home]) -> SynergyAudit:
        """Distinct pairs, homes and automations, and what they cannot show."""
        audit = audit_homes(rows)
        return AnsweredAudit(**{**dict(audit), **self._answers}) if self._answers else audit

    def audit_lines(self, audit: SynergyAudit) -> Iterable[str]:
        """The counts, then what they cannot show."""
        return report.audit_lines(audit)

    def keep_model(self, audit: SynergyAudit) -> str | None:
        """Guesses of rules never replace what was learnt from known pairs, unless a flag says so."""
        if not audit.generated_pairs or self.options.accept_cold_start or not self.model_path.exists():
            return None
        try:
            origin = origin_of(self.model_path, None if is_whole(self.model_path) else self._provenance())
        except ModelFileError:
            return None  # a file that cannot be loaded is no model
        if origin.generated:
            return None
        return (
            f"{self.model_path}: is kept, it was trained {origin}; no synergy is known now, and pairs generated from "
            "rules do not replace it. Check the synergy table, or give --accept-cold-start"
        )

    def train(self, rows: Sequence[Home]) -> Trained[TrainingResult]:
        """Train from the pretrained model, where one is named, and judge on the pairs that are held out."""
        from training.synergy.page import largest_homes
        from training.synergy.pretrained import PretrainedSynergy
        from training.synergy.trainer import device_of, train_synergy_model

        device = device_of(self.options.device)  # before the long work, not after it
        base = None if self.base_path is None else PretrainedSynergy.load(self.base_path)
        notes = []
        shared = set() if base is None else base.home_ids.intersection(home.home_id for home in rows)
        shared = set(chain.from_iterable(all_say(shared)))
        if len(shared) >= MANY_SHARED_HOMES and self.options.base_model is None:
            base = None
            notes.append(
                f"{len(shared)} of the homes are among those that the base model was trained on: training starts "
                "without it, for it would count their pairs twice"
            )
            log.info("Note: %s", notes[-1])
        described = None if base is None else base.describe()
        if device != CPU:
            log.info("Device: %s", device)
        log.info("Base model: %s", NO_BASE if base is None else f"{self.base_path} ({len(base.home_ids)} real homes)")
        if shared and base is not None:
            notes.append(
                f"{len(shared)} of the homes are among those that the base model was trained on: held-out scores "
                "flatter the model; --base-model none shows what it learns by itself"
            )
            log.info("Note: %s", notes[-1])
        with Progress("Training", self.synergy.epochs, "epoch", bar_at_once=True) as progress:
            result = train_synergy_model(
                rows,
                self.synergy,
                pretrained=base,
                encoder=self.encoder,
                device=device,
                room=self.room,
                on_epoch=lambda epoch: _log_epoch(epoch, progress),
            )
        verdict = report.baseline_comparison(result.metrics)
        self._homes = rows if world_size() == 1 else [*chain.from_iterable(first_hears(largest_homes(rows)))]
        return Trained(
            model=result,
            metrics={**result.metrics, "best_epoch": result.best_epoch, "epochs_run": len(result.history) - 1},
            config={**self.config, "base_model": described, "names": result.model.encoder_kind},
            notes=[*notes, verdict],
            lines=[*report.split_lines(result), *report.score_lines(result.metrics), verdict],
            history=[
                {"epoch": epoch.number, "loss": epoch.loss, "validation_score": epoch.score} for epoch in result.history
            ],
        )

    def publish(self, trained: Trained[TrainingResult], summary: TrainingSummary) -> Published:
        """The model file, its metadata, its page, its card and, where matplotlib is installed, a plot."""
        from training.synergy.page import page_of

        result, path = trained.model, self.model_path
        result.model.provenance = provenance(summary, result.split, result.trained_on)
        image = report.plot(result)
        card = model_card(
            summary,
            "Synergy model",
            "It says which entity of a home should act when another one triggers: directed link prediction over the "
            "graph of the home.",
            report.score_lines(result.metrics),
            library_name="pytorch",
        )
        published = artifacts.publish(
            path,
            result.model.to_bytes(),
            _metadata(summary, result),
            {
                artifacts.page_path(path).name: page_of(result, self._homes, summary, self.audited),
                artifacts.card_path(path).name: card.encode(),
                **({} if image is None else {f"{path.stem}_training.png": image}),
            },
        )
        return Published(
            f"trained on {many(summary.audit['distinct_pairs'], 'distinct pair')}, saved to {path}",
            [*(str(path.parent / name) for name in published["files"]), str(artifacts.metadata_path(path))],
        )


def _base_path(given: str | None) -> Path | None:
    if given == NO_BASE:
        return None
    path = SHIPPED_BASE if given is None else Path(given)
    if not path.is_file():
        raise ModelFileError(f"{path}: no base model is here; give another --base-model, or none")
    return path


def _metadata(summary: TrainingSummary, result: TrainingResult) -> dict[str, Any]:
    config = result.model.config
    return {
        "training_date": summary.timestamp,
        "model_type": summary.model_type,
        "hidden_dim": config.hidden_dim,
        "num_layers": config.num_layers,
        "format_version": FORMAT_VERSION,
        "generated_pairs": summary.audit["generated_pairs"],
        **summary.model_dump(include={"source", "data_fingerprint", "audit", "load_report", "versions", "threads"}),
        "config": summary.config,
        "split": result.split,
        "metrics": summary.metrics,
        "validation_pairs": result.validation_pairs,
        "history": [
            {"epoch": epoch.number, "loss": _finite(epoch.loss), "validation_score": _finite(epoch.score)}
            for epoch in result.history
        ],
        "notes": summary.notes,
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if value == value else None


def evaluate(source: SourceChoice, options: EvaluationOptions) -> None:
    """Judge a model file on homes, new and known, and say so. Raises DataSourceError or TrainingError."""
    check_address_space(Home.kind)
    from training.synergy.evaluation import summarize_runs
    from training.synergy.model import SynergyModel

    if options.output is not None:
        check_output(options.output)
    opened = source.open(Home.kind)
    kept = {"data": source.path, "model": options.model_path}
    check_paths_differ(opened, kept=kept, output=options.output)
    path = model_file(Home.kind, options.model_path)
    model = SynergyModel.load(path, sentences=not options.no_names)
    log.info("Model: %s, trained %s", path, origin_of(path, model.provenance))
    with Progress("Reading", unit="row", counted=lambda: sum(opened.report.read.values())):
        give_back_freed()
        homes = ReadHomes.of(opened, Room(default_room())).homes
    log_source(opened)
    seen = sorted({home.home_id for home in homes} & model.trained_on)
    if seen:
        log.warning(
            "Note: the model was trained on %d of these homes, which flatters it: %s", len(seen), ", ".join(seen)
        )
    renamed = {home.home_id: name for home in homes if (name := model.trained_as(home)) is not None}
    if renamed:
        told = listed([f"{own} (trained on as {name})" for own, name in renamed.items()])
        log.warning(
            "Note: %s here may be one that the model was trained on under another id, which flatters it: %s",
            many(len(renamed), "home"),
            told,
        )
    with Progress("Evaluating", 2, "setting") as progress:
        settings = {"new_home": summarize_runs([model.evaluate(homes)])}
        progress.advance()
        settings["known_home"] = summarize_runs([model.evaluate(homes, options.known_share, options.seed)])
    titles = (
        "New home (nothing known)",
        f"Known home ({options.known_share:.0%} of the automations known)",
    )
    for title, measured in zip(titles, settings.values(), strict=True):
        for line in report.evaluation_lines(title, measured):
            log.info("%s", line)
    if options.output is not None:
        content = {
            "model_path": str(options.model_path),
            "source": described_source(opened),
            "known_share": options.known_share,
            "seed": options.seed,
            "trained_on": seen,
            "trained_on_as": renamed,
            "names": None if model.encoder is None else model.encoder.kind,
            **settings,
        }
        write_output(options.output, to_json(content))
        log.info("Saved: %s", options.output)


def _log_epoch(epoch: Epoch, progress: Progress) -> None:
    """One line an epoch in the log file; on the console the first few and every fifth, none where a bar shows them."""
    score = "" if epoch.score != epoch.score else f", validation score {epoch.score:.4f}"
    only = {"file_only": progress.has_bar or (epoch.number > _EPOCHS_SHOWN and epoch.number % _EPOCHS_SHOWN != 0)}
    if epoch.number == 0:
        log.info("Epoch 0: features alone%s", score, extra=only)
        return
    log.info("Epoch %d: loss %.4f%s", epoch.number, epoch.loss, score, extra=only)
    progress.advance(note=f"loss {epoch.loss:.3f}{score}")
