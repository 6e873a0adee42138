"""Adapt a sequence-to-sequence model to pairs of texts with a PEFT adapter."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import (
    LoraConfig,
    PeftConfig,
    PeftModel,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    TaskType,
    get_peft_model,
    set_peft_model_state_dict,
)
from peft.utils.save_and_load import load_peft_weights

from data_sources import normalized_query
from training.judging.splits import PARTS, Part, unit_digests
from training.runs.artifacts import RUN_FILE
from training.runs.distributed import first_says, is_first, world_size
from training.runs.errors import ArtifactError, TrainingError, wrap_read_errors
from training.runs.folders import publish_folder, remove_tree
from training.runs.memory import available_bytes
from training.runs.run import versions
from training.runs.wording import one_line
from training.text.backbone import (
    BASE_FILES,
    BASE_FOLDER,
    SCRATCH_WIDTH,
    TOKENIZER_FILES,
    Base,
    TextPair,
    encode,
    load_base,
    peft_warnings_ignored,
    save_tokenizer,
    scratch_base,
)
from training.text.config import SCRATCH, AdapterConfig, FitSettings, Limits, Pieces
from training.text.fit import OnEpoch, fit, rows_at_once, tokenized
from training.text.memory_forecast import expected_bytes
from training.text.model import evaluate_adapter
from training.text.splits import Split, split_by_query
from training.text.unknown_tokens import spread, unknown_shares

log = logging.getLogger(__name__)

VIRTUAL_TOKENS = 20
SCRATCH_EPOCHS, SCRATCH_BATCH, SCRATCH_LEARNING_RATE = 30, 16, 3e-3
BASE_RECIPE = 2  # a change of how a scratch base is made that no other part of the fingerprint shows raises it
SCRATCH_ROWS = 40_000  # over all epochs, so that large data takes fewer epochs


class Scratch(NamedTuple):
    """How a scratch base is trained.

    Attributes:
        pieces: The kind of tokenizer.
        epochs: Passes over the rows, at most.
        rows: Rows over all epochs, at most, so that large data takes fewer epochs.
        dropout: Its share. Less of it learns a small and regular language in fewer epochs, and each costs less.
    """

    pieces: Pieces = "unigram"
    epochs: int = SCRATCH_EPOCHS
    rows: int = SCRATCH_ROWS
    dropout: float = 0.1


@dataclass(frozen=True)
class TrainedAdapter:
    """A trained adapter over its base.

    Attributes:
        model: The adapter and its base, a PeftModel.
        tokenizer: The base's tokenizer.
        own_base: The folder of a base that was trained on the data; None for any other base.
        final_loss: The training loss of the last epoch; nan if none was logged.
        history: A row per epoch, as ``fit`` returns them.
        metrics: Scores under ``test``, or under ``in_sample`` if nothing is held out. Only the first of several
            processes evaluates; in the others this is empty.
        split: How the rows were split, and why.
        trained_on: ``splits.unit_digests`` of the queries in the training and validation parts.
        answers: What the evaluated rows ``asked`` and ``wanted``, what was ``answered``, and the ``score`` of each.
        base_fingerprint: ``base_fingerprint`` of a scratch base; "" for any other base, or one that was taken over.
        files: Further files of the run, by name.
    """

    model: Any
    tokenizer: Any
    own_base: Path | None
    final_loss: float
    history: tuple[dict[str, float], ...]
    metrics: dict[str, Any]
    split: dict[str, Any]
    trained_on: str
    answers: tuple[dict[str, Any], ...] = ()
    base_fingerprint: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)

    def save(self, folder: Path, base: str) -> None:
        """Write all that ``Suggester.load`` and plain transformers need to read the adapter, but ``training_run.json``.

        The files of a base that was trained on the data stand twice: beside the adapter, where transformers reads both
        together, and in ``BASE_FOLDER``, where they are read without the adapter.

        Args:
            folder: Where.
            base: The name or folder of the base, for the adapter's configuration.
        """
        for adapter in self.model.peft_config.values():
            adapter.base_model_name_or_path = base
            order_sets(adapter)
        self.model.save_pretrained(str(folder), save_embedding_layers=False)
        if self.own_base is None:
            save_tokenizer(self.tokenizer, folder)
        else:
            shutil.copytree(self.own_base, folder / BASE_FOLDER)
            # Its tokenizer's files too: written again, they would tell whether it was trained now or by an earlier run.
            for name in (*BASE_FILES, *TOKENIZER_FILES):
                shutil.copyfile(self.own_base / name, folder / name)
        for name, content in self.files.items():
            (folder / name).write_bytes(content)


def train_adapter(
    pairs: Sequence[TextPair],
    config: AdapterConfig,
    work: Path,
    *,
    resume_from: Path | None = None,
    on_epoch: OnEpoch = lambda *_: None,
    split: Split | None = None,
    evaluate: Callable[..., dict[str, Any]] = evaluate_adapter,
    scratch: Scratch | None = None,
    earlier_runs: Sequence[Path] = (),
) -> TrainedAdapter:
    """Split the pairs, train an adapter over the base, and evaluate it on the held-out pairs.

    Called again with the ``work`` of a stopped training and the same data and config, it resumes that training and ends
    with the same weights. Under torchrun every process calls it, and ``batch_size`` counts the rows of one process.

    Args:
        pairs: Requests and their answers.
        config: Sizes, base model and hyperparameters.
        work: The folder for a scratch base and the checkpoints.
        resume_from: A finished run whose adapter training starts from.
        on_epoch: Called after each epoch with its number and its losses.
        split: A part for each pair, and its description; without it, ``split_by_query``.
        evaluate: Called with the model, its tokenizer, the training pairs, the held-out pairs and the config. If
            nothing is held out, the training pairs are evaluated.
        scratch: How a scratch base is trained.
        earlier_runs: Finished runs; the scratch base of one that was trained on the same data is taken.

    Raises:
        TrainingError: The base, or the adapter to resume from, cannot be used.
    """
    parts, described = split or split_by_query(pairs)
    rows = {part: [pair for pair, its in zip(pairs, parts, strict=True) if its == part] for part in PARTS}
    scratch = scratch or Scratch()
    fingerprint = (
        base_fingerprint(rows, config, scratch) if config.base_model == SCRATCH and resume_from is None else ""
    )
    base = _base(config, rows, work, resume_from, scratch, earlier_runs, fingerprint)
    model = adapted(base, config, resume_from)
    with tokenized(rows, base.tokenizer, config.limits, work) as tables:
        _log_memory(model, tables["train"], config.fit_settings)
        history = fit(
            model,
            base.tokenizer,
            tables["train"],
            tables["validation"],
            config.fit_settings,
            work,
            checkpoints=True,
            on_epoch=on_epoch,
        )
    metrics: dict[str, Any] = {}
    answers: tuple[dict[str, Any], ...] = ()
    if is_first():
        evaluated = rows["test"] or rows["train"]
        measured = evaluate(model, base.tokenizer, rows["train"], evaluated, config)
        answers = tuple(measured.pop("answers", ()))  # the page shows them; a summary would be mostly texts
        metrics = {"test" if rows["test"] else "in_sample": measured}
    final_loss = next((row["loss"] for row in reversed(history) if "loss" in row), float("nan"))
    own_base = work / BASE_FOLDER if config.base_model == SCRATCH else None
    trained_on = unit_digests(normalized_query(pair.source) for pair in rows["train"] + rows["validation"])
    return TrainedAdapter(
        model,
        base.tokenizer,
        own_base,
        final_loss,
        tuple(history),
        metrics,
        described,
        trained_on,
        answers,
        fingerprint,
    )


def _base(
    config: AdapterConfig,
    rows: dict[Part, list[TextPair]],
    work: Path,
    resume_from: Path | None,
    scratch: Scratch,
    earlier_runs: Sequence[Path],
    fingerprint: str,
) -> Base:
    """The base to adapt. A scratch base is trained once and kept in ``work``: its adapter cannot be used without it.

    One of ``earlier_runs`` that was trained on the same data spares the work.
    """
    if config.base_model != SCRATCH:
        base = load_base(config.base_model)
        _check_vocabulary(base, [pair for part in rows.values() for pair in part])
        return base
    kept = work / BASE_FOLDER
    if first_says(kept.is_dir()):
        return load_base(str(kept))
    if resume_from is None and first_says(is_first() and _base_of_earlier(earlier_runs, fingerprint, kept)):
        return load_base(str(kept))
    if resume_from is not None:
        base = load_base(str(resume_from / BASE_FOLDER))
    else:
        others = rows["validation"] + rows["test"]
        base = scratch_base(rows["train"], config.seed, scratch.pieces, alphabet_of=others, dropout=scratch.dropout)
        epochs = max(1, min(scratch.epochs, scratch.rows // len(rows["train"])))
        log.info("Scratch base: training a small T5 on %d rows, %d epochs", len(rows["train"]), epochs)
        rows_each = -(-SCRATCH_BATCH // world_size())
        settings = FitSettings(epochs, SCRATCH_LEARNING_RATE, rows_each, config.seed, warmup=0.1)
        with tokenized({"train": rows["train"]}, base.tokenizer, config.limits, work) as tables:
            fit(base.model, base.tokenizer, tables["train"], None, settings, work, title="Scratch base")
    if is_first():
        staged = work / f".{BASE_FOLDER}"
        remove_tree(staged, work)
        base.model.save_pretrained(staged)
        save_tokenizer(base.tokenizer, staged)
        publish_folder(staged, kept)
    first_says(None)
    return base


def _base_of_earlier(runs: Sequence[Path], fingerprint: str, kept: Path) -> bool:
    """Whether one of the runs has a base that was trained on the same data, which now lies in ``kept`` too."""
    for run in runs:
        try:
            described = json.loads((run / RUN_FILE).read_text(encoding="utf-8"))
            if described.get("base_fingerprint") != fingerprint:
                continue
            load_base(str(run / BASE_FOLDER))
            staged = kept.with_name(f".{kept.name}")
            remove_tree(staged, kept.parent)
            shutil.copytree(run / BASE_FOLDER, staged)
            publish_folder(staged, kept)
        except (OSError, ValueError, AttributeError, ArtifactError, TrainingError) as error:
            log.debug("%s: its base cannot be used: %s", run, one_line(error))
            continue
        log.info("Scratch base: that of %s is used, which was trained on the same data", run)
        return True
    return False


def base_fingerprint(rows: Mapping[Part, Sequence[TextPair]], config: AdapterConfig, scratch: Scratch) -> str:
    """SHA-256 of all that the weights of a scratch base come from: the data, the settings, the program's versions."""
    recipe = [
        BASE_RECIPE, scratch, SCRATCH_BATCH, SCRATCH_LEARNING_RATE, config.seed, config.limits, torch.get_num_threads(),
        versions(), {part: rows.get(part, []) for part in PARTS},
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(recipe, ensure_ascii=True).encode()).hexdigest()


def _check_vocabulary(base: Base, pairs: Sequence[TextPair]) -> None:
    """Raises TrainingError where the base does not know more than a tenth of the tokens of requests or answers."""

    def ids_of(texts: list[str]) -> list[list[int]]:
        found: list[list[int]] = encode(base.tokenizer, text=texts, add_special_tokens=False)["input_ids"]
        return found

    unknown_shares(spread(pairs), ids_of, base.tokenizer.unk_token_id).check(base.name, "the data")


def forecast(model: Any, table: Any, settings: FitSettings) -> tuple[int, Limits, int]:
    """The expected memory of a fit in bytes, the longest source and target, and how many such rows run together."""
    longest = Limits(*(max(map(len, table[column])) for column in ("input_ids", "labels")))
    rows = settings.batch_size
    together = rows_at_once(rows, longest, settings.at_once)
    shapes = [(together, longest)]
    if settings.at_once is not None and together < rows:  # more of the shorter rows run together
        shorter = (min(tokens, most // rows) for tokens, most in zip(longest, settings.at_once, strict=True))
        shapes.append((rows, Limits(*shorter)))
    return max(expected_bytes(model, count, *tokens) for count, tokens in shapes), longest, together


def _log_memory(model: Any, table: Any, settings: FitSettings) -> None:
    (expected, longest, together), available = forecast(model, table, settings), available_bytes()
    log.info(
        "Memory: training needs about %.1f GB (longest row %d + %d tokens, %d at once)%s",
        expected / 1e9,
        longest.source,
        longest.target,
        together,
        "" if available is None else f", {available / 1e9:.1f} GB are available",
    )
    if available is not None and expected > available:
        log.warning(
            "Memory: that is more than is available; lower --batch-size, --source-max-tokens or --target-max-tokens"
        )


def peft_config(config: AdapterConfig) -> PeftConfig:
    """The PEFT configuration of a method."""
    if config.method in ("lora", "dora", "rslora"):
        return LoraConfig(
            task_type=TaskType.SEQ_2_SEQ_LM,
            r=config.lora_r,
            lora_alpha=config.lora_alpha,
            lora_dropout=config.lora_dropout,
            target_modules=["q", "v"],
            use_dora=config.method == "dora",
            use_rslora=config.method == "rslora",
        )
    # One submodule: generate ignores the decoder's half of a prompt, which is PEFT's default.
    prompt = {"task_type": TaskType.SEQ_2_SEQ_LM, "num_virtual_tokens": VIRTUAL_TOKENS, "num_transformer_submodules": 1}
    if config.method == "prompt":
        return PromptTuningConfig(**prompt)
    if config.method == "p-tuning":
        return PromptEncoderConfig(**prompt, encoder_hidden_size=SCRATCH_WIDTH)
    return PrefixTuningConfig(task_type=TaskType.SEQ_2_SEQ_LM, num_virtual_tokens=VIRTUAL_TOKENS)


def order_sets(config: PeftConfig) -> None:
    """Put each set of a configuration in order: PEFT would write it in another order in each process."""
    for name, value in list(vars(config).items()):
        if isinstance(value, set):
            setattr(config, name, sorted(value))


def adapted(base: Base, config: AdapterConfig, resume_from: Path | None) -> Any:
    """The base with a new adapter, or with the one in ``resume_from``.

    Raises:
        TrainingError: The adapter in ``resume_from`` does not fit the base.
    """
    torch.manual_seed(config.seed)
    if resume_from is None:
        with peft_warnings_ignored():
            return get_peft_model(base.model, peft_config(config))
    misfit = f"this adapter does not fit the base model {base.name}"
    advice = "give --resume-from an adapter of the same base, or leave it out"
    with wrap_read_errors(resume_from, misfit, advice, raises=TrainingError), peft_warnings_ignored():
        saved = PeftConfig.from_pretrained(str(resume_from))
        if not saved.is_prompt_learning:
            return PeftModel.from_pretrained(base.model, str(resume_from), is_trainable=True)
        saved.inference_mode = False  # PeftModel would load a prompt for inference only
        model = get_peft_model(base.model, saved)
        set_peft_model_state_dict(model, load_peft_weights(str(resume_from), device="cpu"))
        return model
