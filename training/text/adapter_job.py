"""A job that trains an adapter: read, split, train, evaluate, publish a run directory, move the link ``latest``.

The soft prompt and the YAML generator are such jobs. They implement the abstract methods of ``AdapterJob``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from abc import abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from data_sources import DataSource
from data_sources.counting import many
from training.judging.splits import joined_digests, read_digests
from training.runs.artifacts import RUN_FILE, RUN_PAGE
from training.runs.distributed import first_says, is_first
from training.runs.errors import ArtifactError, TrainingError, wrap_read_errors
from training.runs.files import read_json, to_json, wrap_write_errors
from training.runs.folders import discard_tree, link_target, owned, publish_folder, remove_tree, replace_link
from training.runs.job import Published, SourceChoice, Trained, TrainingJob
from training.runs.locks import HeldError, hold
from training.runs.model_card import model_card
from training.runs.model_paths import LATEST
from training.runs.publishing import check_writable, move_link, recovered, write_atomically
from training.runs.run import versions
from training.runs.settings import flag_of, read_config
from training.runs.summary import TrainingSummary
from training.text.audit import PromptAudit, audit_prompts
from training.text.base_cache import check_base, check_folder
from training.text.config import CHECKPOINTS, SCRATCH, AdapterConfig, AdapterOptions
from training.text.report import ScoredBy
from training.text.unknown_tokens import UnknownShares, shares_of_local_base, spread

if TYPE_CHECKING:
    from training.text.trainer import TrainedAdapter

log = logging.getLogger(__name__)

_NO_OPTIONS, _START_ANEW = "its options cannot be used", "start a new run"
HERE = "."
EARLIER_RUNS = 5  # newest runs whose scratch base may be taken
STARTED_FILE = "started.json"  # the options of an unfinished run
# Options that a resumed run takes from the stopped one.
_RESUMED = ("output_dir", "run_directory", "run_id", "resume_from", "max_samples")


class AdapterJob(TrainingJob[list[Any], "TrainedAdapter"]):
    """Trains one kind of adapter.

    Args:
        source: Where the rows are.
        given: Values of the flags, by name; None means that a flag was not given.

    Attributes:
        record: The class of a row, from ``data_sources``.
        config_type: The class of the configuration.
        options_type: The class of the options.
        title: Title of the model card.
        about: What the model does, for the model card.
        scored_by: How its scores are shown.
    """

    record: ClassVar[Any]
    config_type: ClassVar[type[AdapterConfig]]
    options_type: ClassVar[type[AdapterOptions]]
    title: ClassVar[str]
    shares_work = True
    about: ClassVar[str]
    scored_by: ClassVar[ScoredBy]

    def __init__(self, source: SourceChoice, given: Mapping[str, Any]) -> None:
        self.source = source
        self.adapter, self.options = read_config(self.config_type, given), read_config(self.options_type, given)
        self._started: dict[str, Any] | None = None
        self._shares: UnknownShares | None = None
        if self.options.resume_run is not None:
            self._started = _read_started(self.options.resume_run)
            explicit = [name for name, value in given.items() if value is not None]
            with wrap_read_errors(self.options.resume_run, _NO_OPTIONS, _START_ANEW, raises=TrainingError):
                self._take_over(self.options.resume_run, self._started, explicit)
        self.config = self.adapter.model_dump()
        self.run_id = first_says(self.options.run_id or _new_run_id(self.options.output_dir))
        if Path(self.run_id).name != self.run_id or self.run_id == LATEST:
            raise TrainingError(f"--run-id {self.run_id!a}: is no name of a folder; --run-directory takes a path")
        self.model_path = self.options.run_directory or self.options.output_dir / self.run_id
        self._partial = _partial_of(self.model_path)
        self._hold: int | None = None  # of the unfinished run; the system lets go of it where this process is killed

    @abstractmethod
    def texts(self, row: Any) -> tuple[str, str]:
        """A row's request and its answer."""

    def written(self, row: Any) -> tuple[str, str]:
        """A row's request and its answer as the model reads and writes them."""
        return self.texts(row)

    @abstractmethod
    def fit(self, rows: Sequence[Any], work: Path, **options: Any) -> TrainedAdapter:
        """Train an adapter on the rows and evaluate it.

        Args:
            rows: Records of the class ``record``.
            work: The folder for the checkpoints, from which a stopped run is resumed.
            options: ``resume_from``, ``on_epoch`` and ``earlier_runs`` of ``training.text.trainer.train_adapter``.
        """

    @abstractmethod
    def verdict(self, metrics: dict[str, Any]) -> str:
        """One sentence: whether the model beats the look-up baselines."""

    @abstractmethod
    def score_lines(self, metrics: dict[str, Any]) -> list[str]:
        """The table of scores and the examples, one line each."""

    def open(self) -> DataSource:
        """The source, limited to ``max_samples`` rows."""
        return self.source.open(self.model_type, self.options.max_samples)

    def check_target(self, dry_run: bool) -> None:
        """Refuse, before anything is read, a name that another run has: a run is never overwritten.

        What killed runs left beside it is finished, removed, or named where it can be resumed.
        """
        target = self.model_path
        if not dry_run and is_first():
            self._sweep(target.parent)
        if target.exists():
            raise ArtifactError(
                f"{target}: exists; a run is never overwritten. Give another --run-id or --run-directory"
            )
        if os.path.lexists(self._partial):
            owned(self._partial, target.parent)
        if self._partial.exists() and self._started is None:
            raise ArtifactError(
                f"{target}: is under way or was stopped; --resume-run {target} resumes it, "
                f"another --run-id starts a new run, removing {self._partial} discards it"
            )
        if not dry_run:
            check_writable(self.options.output_dir / f".{LATEST}")
            check_writable(target)
        check_folder(self.adapter.base_model)

    def alone(self) -> AbstractContextManager[None]:
        """The unfinished run is held instead (``_take_partial``)."""
        return nullcontext()

    def read(self, source: DataSource) -> list[Any]:
        """The rows in the source's order; a database yields the newest first."""
        return list(source.read(self.record, self.options.max_samples))

    def audit(self, rows: list[Any]) -> PromptAudit:
        """Count distinct requests and answers, and say what they cannot show."""
        audit = audit_prompts([self.texts(row) for row in rows])
        self._shares = shares_of_local_base(self.adapter.base_model, [self.written(row) for row in spread(rows)])
        if self._shares is None:
            return audit
        queries, answers = (round(share, 6) for share in self._shares)
        return audit.model_copy(update={"unknown_in_queries": queries, "unknown_in_answers": answers})

    def audit_lines(self, audit: PromptAudit) -> Iterable[str]:
        """The counts on one line, then what they cannot show."""
        yield (
            f"Data: {many(audit.rows, 'row')}, {many(audit.distinct_queries, 'distinct query')}, "
            f"{many(audit.distinct_answers, 'distinct answer')}"
        )
        if self._shares is not None:
            yield f"Base: {self._shares.describe(self.adapter.base_model)}"
        for note in audit.cannot_show:
            yield f"Note: {note}"

    def check_audit(self, audit: PromptAudit, where: str) -> None:
        """Refuse rows that the base cannot read, and to resume a run on other rows than it was started on."""
        if self._shares is not None:
            self._shares.check(self.adapter.base_model, where)
        self._fingerprint = audit.fingerprint
        if self._started is not None and self._started["data_fingerprint"] != audit.fingerprint:
            raise TrainingError(
                f"{self.options.resume_run}: was started on other rows; give the same source again, or start a new run"
            )

    def train(self, rows: list[Any]) -> Trained[TrainedAdapter]:
        """Train an adapter over the base; checkpoints stay beside the run directory until it is published."""
        check_base(self.adapter.base_model)
        units_seen("", self.options.resume_from, self.adapter.base_model)  # damage shows now, not after training
        if is_first():
            self._start()
        first_says(None)
        resume_from = self.options.resume_from
        try:
            result = self.fit(
                rows,
                self._partial,
                resume_from=None if resume_from is None else link_target(resume_from),
                on_epoch=_log_epoch,
                earlier_runs=self._earlier_runs(),
            )
        except BaseException:
            self._discard_partial()
            raise
        metrics = {**result.metrics, "final_loss": result.final_loss, "split": result.split}
        if not is_first():
            return Trained(result, metrics, self.config, history=result.history)
        sentence = self.verdict(result.metrics)
        return Trained(
            result,
            metrics,
            self.config,
            notes=[sentence],
            lines=[*self.score_lines(result.metrics), sentence],
            history=result.history,
        )

    def _earlier_runs(self) -> list[Path]:
        """The newest finished runs beside this one."""
        if not self.options.output_dir.is_dir():
            return []
        runs = [one for one in self.options.output_dir.iterdir() if (one / RUN_FILE).is_file() and not one.is_symlink()]
        return sorted(runs, key=lambda one: (one / RUN_FILE).stat().st_mtime, reverse=True)[:EARLIER_RUNS]

    def publish(self, trained: Trained[TrainedAdapter], summary: TrainingSummary) -> Published:
        """Write the run directory under a temporary name and rename it once it is complete."""
        target, described = self.model_path, self._describe(trained.model, summary)
        try:
            with wrap_write_errors(target):
                finished = self._partial / target.name
                remove_tree(finished, self._partial)
                trained.model.save(finished, self._base_for_readers())
                (finished / "README.md").write_text(self._model_card(described, summary), encoding="utf-8")
                (finished / RUN_PAGE).write_bytes(self._page(trained.model, summary))
                (finished / RUN_FILE).write_bytes(to_json(described))
                publish_folder(finished, target)
        except BaseException:
            self._discard_partial()
            raise
        return Published(f"trained on {many(summary.audit['rows'], 'row')}, saved to {target}", [str(target)])

    def move_names(self) -> None:
        """Point ``latest`` at the published run; until then the unfinished one says what is still to be done."""
        try:
            move_link(self.options.output_dir / LATEST, self.model_path)
        finally:
            self._remove_partial()

    def resume_hint(self) -> str:
        """The flag that resumes the run, if it has a checkpoint."""
        if not self._partial.is_dir():
            return ""
        return f"; --resume-run {self.model_path} resumes it" if _has_checkpoint(self._partial) else ""

    def _take_over(self, stopped: Path, started: Mapping[str, Any], explicit: Collection[str]) -> None:
        """Take the options of the stopped run. Raises TrainingError if an explicit flag differs from them."""
        before = {**{name: started["options"][name] for name in _RESUMED}, **started["options"]["config"]}
        now = {**self.options.model_dump(mode="json"), **self.adapter.model_dump()}
        for name in sorted(set(explicit) & before.keys()):
            if now[name] != before[name]:
                flag = flag_of(name)
                raise TrainingError(
                    f"{stopped}: was started with {flag} {before[name]}, not {now[name]}; leave {flag} out"
                )
        if started["versions"] != versions():
            log.warning(
                "The versions differ from those that the run was started with: so may the weights from those of an "
                "uninterrupted run"
            )
        kept = self.options.model_dump() | {name: started["options"][name] for name in _RESUMED}
        self.options = self.options_type(**kept)
        self.adapter = self.config_type(**started["options"]["config"])

    def _start(self) -> None:
        if self._started is not None:
            log.info("Resuming %s", self.options.resume_run)
            self._take_partial()
            return
        options = self.options.model_copy(update={"run_id": self.run_id, "run_directory": self.model_path})
        shown = options.model_dump(mode="json")
        started = {
            "options": {**{name: shown[name] for name in _RESUMED}, "config": self.config},
            "data_fingerprint": self._fingerprint,
            "versions": versions(),
        }
        with recovered(self._partial):  # nobody sweeps it before it is held
            try:
                with wrap_write_errors(self._partial):
                    self._partial.mkdir()
            except ArtifactError as error:
                if isinstance(error.__cause__, FileExistsError):
                    raise ArtifactError(f"{self.model_path}: was started by another process just now") from error
                raise
            write_atomically(self._partial / STARTED_FILE, to_json(started))
            self._take_partial()

    def _take_partial(self) -> None:
        """Hold the unfinished run, so that nobody sweeps or resumes it. Raises ArtifactError where another does."""
        try:
            self._hold = hold(self._partial / STARTED_FILE)
        except HeldError:
            raise ArtifactError(f"{self.model_path}: is under way in another process") from None
        except OSError:
            log.debug("%s: cannot be locked here", self._partial)

    def _remove_partial(self) -> None:
        discard_tree(self._partial, self._partial.with_name(LATEST))
        if self._hold is not None:
            os.close(self._hold)
            self._hold = None

    def _sweep(self, folder: Path) -> None:
        """Finish, remove or name the unfinished runs in ``folder`` whose processes are gone."""
        if not folder.is_dir():
            return
        with recovered(folder / LATEST) as alone:
            for partial in sorted(folder.glob(".*.partial")) if alone else []:
                if partial.is_symlink() or not _is_partial(partial):
                    continue
                try:
                    os.close(hold(partial / STARTED_FILE))
                except FileNotFoundError:
                    pass  # killed before it was written, for that is done while the folder is held
                except (HeldError, OSError):
                    continue  # its process lives, or nobody can tell
                self._recover_partial(partial)

    def _recover_partial(self, partial: Path) -> None:
        run = partial.with_name(partial.name.removeprefix(".").removesuffix(".partial"))
        if (run / RUN_FILE).is_file():  # killed between the run's name and ``latest``
            latest = self.options.output_dir / LATEST
            if _output_dir_of(partial).resolve() == latest.parent.resolve() == run.parent.resolve():
                replace_link(latest, run.name)
            log.info("%s: was published by a run that was killed then", run)
        elif _has_checkpoint(partial):
            if partial != self._partial:
                log.warning("%s: was stopped; --resume-run %s resumes it, removing %s discards it", run, run, partial)
            return
        else:
            log.info("%s: a run was killed before its first checkpoint; removed", partial)
        discard_tree(partial, partial.with_name(LATEST))

    def _discard_partial(self) -> None:
        """Remove the unfinished run if it has no checkpoint to resume from."""
        if is_first() and not _has_checkpoint(self._partial):
            self._remove_partial()

    def _base_for_readers(self) -> str:
        """Under which name a reader of the adapter looks for its base.

        A scratch base lies in the run directory itself. Transformers 5 finds it there, wherever the directory is;
        transformers 4 and PEFT go by this name, which is told where the run will stay: in its output folder.
        """
        if self.adapter.base_model != SCRATCH:
            return self.adapter.base_model
        place = self.model_path.resolve()
        return str(place) if place.parent == self.options.output_dir.resolve() else HERE

    def _describe(self, result: TrainedAdapter, summary: TrainingSummary) -> dict[str, Any]:
        """The content of ``training_run.json``: production's keys (docs/reference/production.md), then ours."""
        return {
            "base_model": self.adapter.base_model,
            "samples_used": summary.audit["rows"],
            "epochs": self.adapter.epochs,
            "learning_rate": self.adapter.learning_rate,
            "run_directory": str(self.model_path),
            "trained_at": summary.timestamp,
            "final_loss": result.final_loss,
            "run_id": self.run_id,
            "method": self.adapter.method,
            "config": summary.config,
            "max_samples": self.options.max_samples,
            "source": summary.source,
            "data_fingerprint": summary.data_fingerprint,
            "audit": summary.audit,
            "metrics": summary.metrics,
            "history": list(result.history),
            "trained_on": units_seen(result.trained_on, self.options.resume_from, self.adapter.base_model),
            **({"base_fingerprint": result.base_fingerprint} if result.base_fingerprint else {}),
            "files": {name: hashlib.sha256(content).hexdigest() for name, content in result.files.items()},
            "notes": summary.notes,
            "versions": summary.versions,
            "threads": summary.threads,
        }

    def _page(self, result: TrainedAdapter, summary: TrainingSummary) -> bytes:
        from training.text.page import page_of

        return page_of(result, summary, self.title, self.audited, self.scored_by)

    def _model_card(self, described: Mapping[str, Any], summary: TrainingSummary) -> str:
        method, base = described["method"], described["base_model"]
        return model_card(
            summary,
            self.title,
            f"A {method} adapter over `{base}`: {self.about}. It learnt from {many(described['samples_used'], 'row')}.",
            self.score_lines(described["metrics"]),
            base_model=str(base),
            library_name="peft",
            tags=[method],
        )


def units_seen(own: str, resume_from: Path | None, base_model: str) -> str | None:
    """``unit_digests`` of what a run was trained on, and of what the run or the scratch base that it started from was.

    None where that run does not say.

    Raises:
        TrainingError: What that run says is damaged.
    """
    from training.text.backbone import BASE_FOLDER

    started = [] if resume_from is None else [link_target(resume_from)]
    base = Path(base_model).resolve()
    if base.name == BASE_FOLDER and (base.parent / RUN_FILE).is_file():  # in the run that it was trained for
        started.append(base.parent)
    seen = [own]
    for described in (run / RUN_FILE for run in started):
        units = read_json(described).get("trained_on")
        if units is None:
            return None
        with wrap_read_errors(described, "cannot be started from", "start from another run", raises=TrainingError):
            seen.append(read_digests(units))
    return joined_digests(*seen)


def samples_of(run: Path, options_type: type[AdapterOptions]) -> int:
    """The ``max_samples`` that a run was trained with; the default if its files do not say."""
    try:
        described = json.loads((link_target(run) / RUN_FILE).read_text(encoding="utf-8"))
        return max(1, int(described["max_samples"]))
    except Exception:  # noqa: BLE001 - whatever is wrong with the run, loading it says so
        return int(options_type.model_fields["max_samples"].default)


def _new_run_id(folder: Path) -> str:
    """The time in UTC; with a number where a run has it, for clocks jump back."""
    now = datetime.now(UTC).strftime("run_%Y%m%d_%H%M%S")
    names = (now, *(f"{now}_{number}" for number in range(2, 1000)))
    return next((n for n in names if not any(map(os.path.lexists, (folder / n, _partial_of(folder / n))))), now)


def _is_partial(folder: Path) -> bool:
    """Whether it is an unfinished run: it says how it was started, or was killed before it could."""
    names = {path.name for path in folder.iterdir()}
    return STARTED_FILE in names or all(name.startswith(f".{STARTED_FILE}.") for name in names)


def _output_dir_of(partial: Path) -> Path:
    try:
        return Path(json.loads((partial / STARTED_FILE).read_bytes())["options"]["output_dir"])
    except (OSError, ValueError, KeyError, TypeError):
        return partial  # which is no folder of runs


def _has_checkpoint(partial: Path) -> bool:
    """Whether an unfinished run has a checkpoint to resume from."""
    if not any((partial / CHECKPOINTS).glob("checkpoint-*")):
        return False  # without torch, whose import fails again where memory ran out
    from training.text.fit import newest_checkpoint

    return newest_checkpoint(partial) is not None


def _partial_of(target: Path) -> Path:
    """The folder of an unfinished run, from which it can be resumed."""
    return target.with_name(f".{target.name}.partial")


def _read_started(given: Path) -> dict[str, Any]:
    """The options of the stopped run ``given``, which names its run directory or its unfinished folder.

    Raises TrainingError if there is no such run, or its options cannot be read.
    """
    folder = given if (given / STARTED_FILE).is_file() else _partial_of(given)
    with wrap_read_errors(folder / STARTED_FILE, advice=_START_ANEW, raises=TrainingError):
        try:
            started: dict[str, Any] = dict(json.loads((folder / STARTED_FILE).read_text(encoding="utf-8")))
        except FileNotFoundError as error:
            raise TrainingError(
                f"{given}: is not a stopped run (no {_partial_of(given)}); --resume-from starts from a finished run"
            ) from error
        options = dict(started["options"])
        return {"versions": {}, **started, "options": options, "data_fingerprint": str(started["data_fingerprint"])}


def _log_epoch(epoch: int, numbers: dict[str, float]) -> None:
    log.info("Epoch %d: %s", epoch, ", ".join(f"{name} {value:.4f}" for name, value in numbers.items()))
