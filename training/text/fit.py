"""Fit a sequence-to-sequence model or an adapter over one: tokenize once, batch by length, pad to the batch.

Padding every row to the limit would take most of the time. A fit that is stopped at any step can be resumed: a
checkpoint holds the weights, the optimizer, the schedule, the random state and the position in the data.
"""

from __future__ import annotations

import math
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from training.runs.distributed import world_size
from training.runs.errors import TrainingError, wrap_read_errors
from training.runs.progress import Progress
from training.text.backbone import TextPair, encode
from training.text.config import CHECKPOINTS, FitSettings, Limits
from training.text.row_dropout import RowDropout

datasets.disable_progress_bars()

_IGNORED = -100  # the label of a token that no loss is taken of, as in transformers
CHECKPOINT_STEPS = 500  # steps between checkpoints within an epoch; one more is at its end
_TRAINABLE, _BEST, _STATE = "trainable.safetensors", "best.safetensors", "trainer_state.json"

OnEpoch = Callable[[int, dict[str, float]], None]


def rows_at_once(rows: int, longest: Limits, at_once: Limits | None) -> int:
    """How many of ``rows`` fit in a batch of at most ``at_once`` tokens, padded to ``longest``; at least 1."""
    if at_once is None:
        return rows
    return max(1, min(rows, at_once.source // max(1, longest.source), at_once.target // max(1, longest.target)))


@contextmanager
def tokenized(
    rows: Mapping[Any, Sequence[TextPair]], tokenizer: Any, limits: Limits, work: Path
) -> Iterator[dict[Any, Any]]:
    """Tokenize each part once into a table on disk, which is deleted on exit.

    Args:
        rows: The rows of each part.
        tokenizer: The base's tokenizer.
        limits: Tokens of a row at most; longer rows are cut.
        work: The folder for the temporary files.

    Yields:
        For each part a ``datasets.Dataset`` with the columns ``input_ids``, ``labels`` and ``length`` (tokens of both);
        None for a part without rows.
    """
    with tempfile.TemporaryDirectory(prefix=".tokens-", dir=work) as folder:

        def tokens_of(batch: dict[str, list[str]]) -> dict[str, Any]:
            source = encode(tokenizer, text=batch["source"], truncation=True, max_length=limits.source)["input_ids"]
            written = encode(tokenizer, text_target=batch["target"], truncation=True, max_length=limits.target)
            target = written["input_ids"]
            lengths = [len(s) + len(t) for s, t in zip(source, target, strict=True)]
            return {"input_ids": source, "labels": target, "length": lengths}

        def table(part: Any) -> Any:
            if not rows[part]:
                return None
            raw = datasets.Dataset.from_list([pair._asdict() for pair in rows[part]])
            cache = str(Path(folder) / f"{part}.arrow")
            return raw.map(tokens_of, batched=True, remove_columns=raw.column_names, cache_file_name=cache)

        yield {part: table(part) for part in rows}


def fit(
    model: Any,
    tokenizer: Any,
    train_table: Any,
    validation_table: Any,
    settings: FitSettings,
    work: Path,
    *,
    checkpoints: bool = False,
    on_epoch: OnEpoch = lambda *_: None,
    title: str = "Training",
) -> list[dict[str, float]]:
    """Train ``model`` in place; it ends with the weights of the epoch that has the lowest validation loss.

    Args:
        model: The base, or an adapter over it.
        tokenizer: The base's tokenizer.
        train_table: The training part, from ``tokenized``.
        validation_table: The validation part; None keeps the weights of the last epoch.
        settings: Hyperparameters.
        work: The folder for checkpoints and the best weights.
        checkpoints: Save checkpoints in ``work``, and resume from the newest one that is there.
        on_epoch: Called after each epoch with its number and its losses.
        title: What its progress is called.

    Returns:
        One row per epoch: ``epoch``, ``loss`` (mean over the epoch) and, with a validation part, ``eval_loss``.

    Raises:
        TrainingError: The loss became nan or infinite.
    """
    gpu = torch.cuda.is_available()
    arguments = transformers.Seq2SeqTrainingArguments(
        output_dir=str(work / CHECKPOINTS),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(8, settings.batch_size),
        train_sampling_strategy="group_by_length",
        eval_strategy="epoch" if validation_table is not None else "no",
        save_strategy="epoch" if checkpoints else "no",
        save_total_limit=1,
        logging_strategy="epoch",
        logging_nan_inf_filter=False,  # a loss of nan or infinity must reach the check below
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        use_cpu=not gpu,
        bf16=gpu and torch.cuda.is_bf16_supported(),
        dataloader_pin_memory=gpu,
        ddp_find_unused_parameters=False,
    )
    # One process takes one GPU; torchrun starts one for each. Several in one would share dropout between their rows.
    arguments._n_gpu = min(1, arguments.n_gpu)
    best = _BestEpoch(model, work / _BEST)
    validating = validation_table is not None
    dropout = RowDropout(settings.seed)
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=_filled(train_table, settings.batch_size if world_size() > 1 else 1),
        eval_dataset=None if validation_table is None else _filled(validation_table, arguments.eval_batch_size),
        processing_class=tokenizer,
        data_collator=transformers.DataCollatorForSeq2Seq(tokenizer, model=model),
        at_once=settings.at_once,
        dropout=dropout,
        callbacks=[best, _EpochLines(on_epoch, "eval_loss")] if validating else [_EpochLines(on_epoch, "loss")],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.group_by_length(train_table["length"])
    trainer.model_accepts_loss_kwargs = trainer.loss_is_scaled_for_ga = True  # compute_loss scales by itself
    if checkpoints:
        trainer.add_callback(_MidEpochCheckpoints())
    newest = newest_checkpoint(work) if checkpoints else None
    with _cheap_steps(model), dropout.applied(), Progress(title) as progress:
        trainer.add_callback(_Steps(progress))
        trainer.train(resume_from_checkpoint=None if newest is None else str(newest))
    history = _history(trainer.state.log_history)
    if any(not math.isfinite(row.get("loss", 0.0)) for row in history):
        raise TrainingError("the loss is no longer a number; lower --learning-rate")
    if validating:
        best.restore(history)
    return history


def _filled(table: Any, batch: int) -> Any:
    """The rows, and enough without a target to fill the last batch of ``batch`` rows of each process.

    accelerate would fill it with rows that were there before, and the Trainer takes each batch of a validation part to
    have as many rows as the first.
    """
    rows = table.remove_columns("length")
    missing = -len(rows) % (batch * world_size())
    if not missing:
        return rows
    empty = {"input_ids": [rows[0]["input_ids"][-1:]] * missing, "labels": [[_IGNORED]] * missing}
    return datasets.concatenate_datasets([rows, datasets.Dataset.from_dict(empty, features=rows.features)])


def newest_checkpoint(work: Path) -> Path | None:
    """The newest complete checkpoint of a fit in ``work``. Its state file is written last, so it is checked."""
    folders = (work / CHECKPOINTS).glob("checkpoint-*")
    numbered = {int(number): folder for folder in folders if (number := folder.name.rpartition("-")[2]).isdecimal()}
    return next((folder for _, folder in sorted(numbered.items(), reverse=True) if _is_whole(folder)), None)


def _is_whole(checkpoint: Path) -> bool:
    try:
        transformers.TrainerState.load_from_json(str(checkpoint / _STATE))
    except Exception:  # noqa: BLE001 - it is cut off or damaged in any way
        return False
    return True


def _history(entries: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    rows: dict[int, dict[str, float]] = defaultdict(dict)
    for entry in entries:
        rows[round(entry["epoch"])] |= {k: entry[k] for k in ("loss", "eval_loss") if k in entry}
    return [{"epoch": float(epoch), **rows[epoch]} for epoch in sorted(rows)]


def _trainable(model: Any) -> dict[str, Tensor]:
    """The trained parameters by name, on the CPU: all that a checkpoint needs, whatever the method."""
    return {
        name: value.detach().cpu().clone().contiguous()
        for name, value in model.named_parameters()
        if value.requires_grad
    }


def _parameters(model: Any) -> list[Tensor]:
    return [value for value in model.parameters() if value.requires_grad]


def _restore(model: Any, path: Path) -> None:
    model.load_state_dict(load_file(path), strict=False)


class GroupedByLength(torch.utils.data.Sampler[int]):
    """Puts rows of similar length in one batch, and gives each epoch its own order.

    The order depends on the seed and ``epoch`` alone. Transformers' sampler uses one generator for all epochs, so a
    resumed epoch would have another order.

    Args:
        lengths: Tokens of each row.
        batch_size: Rows in a batch of all processes together.
        seed: Seed of the order.
        rows: Rows of the table; those beyond ``lengths`` are empty and come last.
    """

    def __init__(self, lengths: Sequence[int], batch_size: int, seed: int, rows: int = 0) -> None:
        self._lengths, self._batch_size, self._seed = lengths, batch_size, seed
        self._rows = max(rows, len(lengths))
        self.epoch = 0

    def __len__(self) -> int:
        return self._rows

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self.epoch)
        grouped = transformers.trainer_pt_utils.get_length_grouped_indices
        yield from grouped(self._lengths, self._batch_size, generator=generator)
        yield from range(len(self._lengths), self._rows)


class _SetEpoch(transformers.TrainerCallback):  # type: ignore[misc]
    def __init__(self, sampler: GroupedByLength) -> None:
        self._sampler = sampler

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._sampler.epoch = int(state.epoch or 0)


class _EpochLines(transformers.TrainerCallback):  # type: ignore[misc]
    """Calls ``on_epoch`` once per epoch, as soon as the loss named ``last`` is logged."""

    def __init__(self, on_epoch: OnEpoch, last: str) -> None:
        self._on_epoch, self._last = on_epoch, last
        self._numbers: dict[str, float] = {}

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        self._numbers |= {key: value for key, value in (logs or {}).items() if key in ("loss", "eval_loss")}
        if self._last in self._numbers and state.is_world_process_zero:
            self._on_epoch(round(state.epoch or 0), self._numbers)
            self._numbers = {}


class _Steps(transformers.TrainerCallback):  # type: ignore[misc]
    """Counts the steps for ``Progress``, those before a resumed fit too."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        self._progress.total = state.max_steps
        self._progress.advance(state.global_step - self._progress.done)


class _MidEpochCheckpoints(transformers.TrainerCallback):  # type: ignore[misc]
    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:  # noqa: ARG002
        steps_an_epoch = state.max_steps // state.num_train_epochs
        if state.global_step % CHECKPOINT_STEPS == 0 and state.global_step % steps_an_epoch:
            control.should_save = True


class _BestEpoch(transformers.TrainerCallback):  # type: ignore[misc]
    """Saves the weights of the epoch with the lowest validation loss to disk, where a resumed fit finds them."""

    def __init__(self, model: Any, path: Path) -> None:
        self._model, self._path = model, path

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:  # noqa: ARG002
        earlier = [entry["eval_loss"] for entry in state.log_history[:-1] if "eval_loss" in entry]
        if state.is_world_process_zero and metrics["eval_loss"] < min(earlier, default=math.inf):
            save_file(_trainable(self._model), self._path)

    def restore(self, history: Sequence[Mapping[str, float]]) -> None:
        last = history[-1].get("eval_loss", math.inf)
        if self._path.exists() and last > min(row.get("eval_loss", math.inf) for row in history):
            _restore(self._model, self._path)


class _Trainer(transformers.Seq2SeqTrainer):  # type: ignore[misc]
    _sampler: GroupedByLength

    def __init__(self, *, at_once: Limits | None, dropout: RowDropout, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._at_once, self._dropout = at_once, dropout
        validated = self.eval_dataset
        targets = [] if validated is None else validated["labels"]
        tokens = sum(token != _IGNORED for row in targets for token in row)
        self._validated_target = tokens / max(1, len(targets))  # of a row

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> Tensor:
        """Add up an update's gradients in batches of at most ``at_once`` tokens; processes synchronize at the last."""
        longest = Limits(inputs["input_ids"].shape[1], inputs["labels"].shape[1])
        rows = len(inputs["labels"])
        together = rows_at_once(rows, longest, self._at_once)
        loss = torch.zeros((), device=self.args.device)
        for start in range(0, rows, together):
            some = {name: value[start : start + together] for name, value in inputs.items()}
            last = start + together >= rows
            first = self.args.process_index * self.args.per_device_train_batch_size + start
            self._dropout.begin(self.state.global_step, first, len(some["labels"]))
            with nullcontext() if last else self.accelerator.no_sync(model):
                loss = loss + super().training_step(model, some, num_items_in_batch)
        return loss

    def group_by_length(self, lengths: Sequence[int]) -> None:
        together = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        self._sampler = GroupedByLength(list(lengths), together, self.args.seed, len(self.train_dataset))
        self.add_callback(_SetEpoch(self._sampler))

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean cross-entropy over the target tokens of an update, or of the whole validation part.

        T5's own loss is a mean over one batch's.
        """
        # Training needs no cache, but T5's decoder has its own copy of the configuration, which switches it on.
        outputs = model(**{name: value for name, value in inputs.items() if name != "labels"}, use_cache=False)
        labels = inputs["labels"]
        total = functional.cross_entropy(outputs.logits.flatten(0, 1), labels.flatten(), reduction="sum")
        processes = self.args.world_size  # their gradients are averaged
        # Validation takes the mean over rows of what each batch says; ``num_items_in_batch`` is that batch's there.
        tokens = num_items_in_batch / processes if model.training else self._validated_target * len(labels)
        loss = total / tokens
        return (loss, outputs) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ARG002
        return self._sampler

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:  # noqa: ARG002
        # PEFT's file of a prompt encoder holds the encoder's output, from which training cannot resume.
        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_file(_trainable(self.model), folder / _TRAINABLE)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        with _resuming(resume_from_checkpoint):
            _restore(model or self.model, Path(resume_from_checkpoint) / _TRAINABLE)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        with nullcontext() if checkpoint is None else _resuming(checkpoint):
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        with nullcontext() if checkpoint is None else _resuming(checkpoint):
            super()._load_rng_state(checkpoint)

    # An adapter trains few parameters and most rows are short: visiting all modules several times took a third of each
    # step.
    def _clip_grad_norm(self, model: Any) -> Any:  # noqa: ARG002
        trained = [value for group in self.optimizer.param_groups for value in group["params"]]
        return torch.nn.utils.clip_grad_norm_(trained, self.args.max_grad_norm)

    def floating_point_ops(self, inputs: Any) -> int:  # noqa: ARG002
        return 0


def _resuming(checkpoint: str) -> AbstractContextManager[None]:
    advice = "remove this folder to resume from the one before, or start a new run"
    return wrap_read_errors(checkpoint, "is no checkpoint that can be resumed", advice, raises=TrainingError)


@contextmanager
def _cheap_steps(model: Any) -> Iterator[None]:
    """The trainer asks for training mode and cleared gradients in every step: walk over the model only where needed."""
    model.train()  # all of it: a base that was loaded is in evaluation mode inside a new adapter
    plain, trained = model.train, _parameters(model)

    def train(mode: bool = True) -> Any:
        return model if model.training == mode else plain(mode)

    def zero_grad(set_to_none: bool = True) -> None:  # noqa: ARG001
        for value in trained:
            value.grad = None

    model.train, model.zero_grad = train, zero_grad
    try:
        yield
    finally:
        del model.train, model.zero_grad
