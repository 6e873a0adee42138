"""Adapt a sequence-to-sequence model to pairs of texts with a PEFT adapter, and judge it on texts it never saw.

Rows are tokenized once into a memory-mapped table, batched by length and padded to the longest of their batch:
padding every row to the limit is where a naive run's time goes.
"""

from __future__ import annotations

import json
import logging
import math
import os
import re
import tempfile
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import datasets
import numpy as np
import torch
import transformers
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
from pydantic import BaseModel, ConfigDict, Field

from training.errors import ModelFileError, TrainingError
from training.splits import PARTS, Part, assign_parts, count_parts

log = logging.getLogger("training.seq2seq")
datasets.disable_progress_bars()
transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()

Method = Literal["lora", "dora", "rslora", "prompt", "prefix", "p-tuning"]
SCRATCH = "scratch"
BASE_FOLDER = "base_model"  # of a scratch base, inside the run directory
VIRTUAL_TOKENS = 20

SCRATCH_VOCABULARY = 1_000
SCRATCH_WIDTH, SCRATCH_LAYERS, SCRATCH_HEADS = 128, 2, 4
SCRATCH_EPOCHS, SCRATCH_BATCH, SCRATCH_LEARNING_RATE = 30, 16, 3e-3
SCRATCH_ROWS = 40_000  # rows seen at most, so that large data takes fewer epochs

MIN_GROUPS = 10  # distinct queries below which nothing is held out
NEAR_DUPLICATE = 0.9  # cosine of TF-IDF vectors above which two queries are one
JUDGED_ROWS = 200  # generated at most
EXAMPLES = 5


class Seq2SeqConfig(BaseModel):
    """How an adapter is trained; the defaults are production's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_model: str = "google/flan-t5-small"
    method: Method = "lora"
    epochs: int = Field(default=3, gt=0)
    learning_rate: float = Field(default=5e-5, gt=0, allow_inf_nan=False)
    batch_size: int = Field(default=1, gt=0)
    source_max_tokens: int = Field(default=384, gt=0)
    target_max_tokens: int = Field(default=384, gt=0)
    lora_r: int = Field(default=16, gt=0)
    lora_alpha: float = Field(default=16.0, gt=0)
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    seed: int = 0


class TextPair(NamedTuple):
    """What is given and what is wanted."""

    source: str
    target: str


class Base(NamedTuple):
    """A model to adapt, its tokenizer, and where an adapter's config may find it again."""

    model: Any
    tokenizer: Any
    name: str


@dataclass(frozen=True)
class Result:
    """A trained adapter over its base. ``metrics`` are held out, or in-sample under that name."""

    model: Any
    tokenizer: Any
    final_loss: float
    history: tuple[dict[str, float], ...]
    metrics: dict[str, Any]
    split: dict[str, Any]


def split_by_query(pairs: Sequence[TextPair]) -> tuple[list[Part], dict[str, Any]]:
    """A part for each row; rows of one query, or of nearly the same, are together. Few queries are all for training."""
    group = _query_groups([pair.source for pair in pairs])
    names = sorted(set(group))
    if len(names) < MIN_GROUPS:
        reason = (
            f"{len(names)} distinct quer{'ies' if len(names) != 1 else 'y'} (needs {MIN_GROUPS}): nothing is held out"
        )
        return ["train"] * len(pairs), {"strategy": "none", "reason": reason, "rows": {"train": len(pairs)}}
    part_of = assign_parts(names)
    parts = [part_of[name] for name in group]
    rows = Counter(parts)
    return parts, {
        "strategy": "query",
        "reason": f"{len(names)} distinct queries, near-duplicates together: whole queries are held out",
        "units": count_parts(part_of),
        "rows": {part: rows[part] for part in PARTS},
    }


def _query_groups(queries: Sequence[str]) -> list[str]:
    """The first of all queries that each is nearly the same as."""
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import TfidfVectorizer

    plain = [" ".join(re.findall(r"\w+", query.lower())) for query in queries]
    distinct = sorted(set(plain))
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform([text or "-" for text in distinct])
    near = vectors @ vectors.T
    near.data[near.data < NEAR_DUPLICATE] = 0
    near.eliminate_zeros()
    _, label = connected_components(near, directed=False)
    first: dict[int, str] = {}
    for text, component in zip(distinct, label.tolist(), strict=True):
        first.setdefault(component, text)
    group = {text: first[component] for text, component in zip(distinct, label.tolist(), strict=True)}
    return [group[text] for text in plain]


def load_base(name: str, rows: Sequence[TextPair], seed: int) -> Base:
    """A base model from a folder, the cache or the hub, in this order; ``scratch`` is made from ``rows`` (untrained).

    Raises TrainingError in one line: not there, no model, not an encoder-decoder.
    """
    if name == SCRATCH:
        return _scratch_base(rows, seed)
    # transformers reads HF_HOME itself; the older variable is production's.
    cache = None if os.environ.get("HF_HOME") else os.environ.get("TRANSFORMERS_CACHE") or None
    last: Exception | None = None
    for local in (True, False):
        try:
            config = transformers.AutoConfig.from_pretrained(name, cache_dir=cache, local_files_only=local)
            if not config.is_encoder_decoder:
                raise TrainingError(
                    f"{name}: is a decoder-only or encoder-only model ({config.model_type}); "
                    "--base-model needs an encoder-decoder such as google/flan-t5-small"
                )
            tokenizer = transformers.AutoTokenizer.from_pretrained(name, cache_dir=cache, local_files_only=local)
            model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
                name, cache_dir=cache, local_files_only=local, dtype=torch.float32
            )
            return Base(model, tokenizer, name)
        except (OSError, ValueError) as error:
            last = error
            if Path(name).is_dir():
                raise TrainingError(f"{name}: cannot be loaded as a model ({_line(error)})") from error
    raise TrainingError(
        f"{name}: is not in the Hugging Face cache and cannot be fetched ({_line(last)}); go online once, set HF_HOME "
        f"to a cache that has it, give --base-model a folder, or --base-model {SCRATCH} to train one on the data"
    ) from last


def _scratch_base(rows: Sequence[TextPair], seed: int) -> Base:
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.NFKC()
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    texts = sorted({text for row in rows for text in row})
    trainer = trainers.UnigramTrainer(
        vocab_size=SCRATCH_VOCABULARY, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    unigram.train_from_iterator(texts, trainer)
    unigram.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=unigram, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )
    torch.manual_seed(seed)
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=SCRATCH_WIDTH,
        d_kv=SCRATCH_WIDTH // SCRATCH_HEADS,
        d_ff=2 * SCRATCH_WIDTH,
        num_layers=SCRATCH_LAYERS,
        num_decoder_layers=SCRATCH_LAYERS,
        num_heads=SCRATCH_HEADS,
        feed_forward_proj="gated-gelu",
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    return Base(transformers.T5ForConditionalGeneration(config), tokenizer, SCRATCH)


def adapter_config(config: Seq2SeqConfig) -> PeftConfig:
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


def train(
    pairs: Sequence[TextPair],
    config: Seq2SeqConfig,
    work: Path,
    *,
    resume_from: Path | None = None,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> Result:
    """Split, adapt the base and judge it; ``work`` takes a scratch base and what is needed meanwhile.

    Raises TrainingError where the base or the adapter to resume from cannot be used.
    """
    parts, split = split_by_query(pairs)
    rows = {part: [pair for pair, its in zip(pairs, parts, strict=True) if its == part] for part in PARTS}
    scratch = config.base_model == SCRATCH
    resumed = resume_from / BASE_FOLDER if scratch and resume_from else None
    base = load_base(str(resumed) if resumed else config.base_model, rows["train"], config.seed)
    if scratch and not resumed:
        epochs = max(1, min(SCRATCH_EPOCHS, SCRATCH_ROWS // len(rows["train"])))
        log.info("Scratch base: training a small T5 on %d rows, %d epochs", len(rows["train"]), epochs)
        settings = FitSettings(epochs, SCRATCH_LEARNING_RATE, SCRATCH_BATCH, config.seed, warmup=0.1)
        with tokenized(rows, base.tokenizer, config, work) as tables:
            fit(base.model, base.tokenizer, tables["train"], None, settings, work)
    if scratch:  # what an adapter needs beside it to be loaded again
        base.model.save_pretrained(work / BASE_FOLDER)
        base.tokenizer.save_pretrained(work / BASE_FOLDER)
    model = _adapted(base, config, resume_from)
    settings = FitSettings(config.epochs, config.learning_rate, config.batch_size, config.seed)
    with tokenized(rows, base.tokenizer, config, work) as tables:
        history = fit(model, base.tokenizer, tables["train"], tables["validation"], settings, work, on_epoch)
    judged = rows["test"] or rows["train"]
    name = "test" if rows["test"] else "in_sample"
    metrics = {name: judge(model, base.tokenizer, rows["train"], judged, config)}
    final_loss = next((row["loss"] for row in reversed(history) if "loss" in row), float("nan"))
    return Result(model, base.tokenizer, final_loss, tuple(history), metrics, split)


def _adapted(base: Base, config: Seq2SeqConfig, resume_from: Path | None) -> Any:
    torch.manual_seed(config.seed)
    if resume_from is None:
        with _peft_s_own_warnings():
            return get_peft_model(base.model, adapter_config(config))
    try:
        with _peft_s_own_warnings():
            saved = PeftConfig.from_pretrained(str(resume_from))
            if not saved.is_prompt_learning:
                return PeftModel.from_pretrained(base.model, str(resume_from), is_trainable=True)
            saved.inference_mode = False  # PEFT itself would load a prompt for use only
            model = get_peft_model(base.model, saved)
            set_peft_model_state_dict(model, load_peft_weights(str(resume_from), device="cpu"))
            return model
    except (OSError, ValueError, RuntimeError, KeyError, TypeError) as error:
        raise TrainingError(
            f"{resume_from}: this adapter does not fit the base model {base.name} ({_line(error)}); "
            "give --resume-from an adapter of the same base, or leave it out"
        ) from error


@contextmanager
def _peft_s_own_warnings() -> Iterator[None]:
    """PEFT 0.21 reads a property that transformers 5 renamed; nothing of ours does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


class FitSettings(NamedTuple):
    """What a fit needs beside the model and the data; ``warmup`` is a share of the steps."""

    epochs: int
    learning_rate: float
    batch_size: int
    seed: int
    warmup: float = 0.0


@contextmanager
def tokenized(
    rows: dict[Part, list[TextPair]], tokenizer: Any, config: Seq2SeqConfig, work: Path
) -> Iterator[dict[Part, Any]]:
    """Each part as a table on disk, tokenized once: ``input_ids``, ``labels``, ``length``; None for an empty part."""
    with tempfile.TemporaryDirectory(prefix=".tokens-", dir=work) as folder:

        def table(part: Part) -> Any:
            if not rows[part]:
                return None

            def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
                source = tokenizer(batch["source"], truncation=True, max_length=config.source_max_tokens)
                target = tokenizer(text_target=batch["target"], truncation=True, max_length=config.target_max_tokens)
                lengths = [len(s) + len(t) for s, t in zip(source["input_ids"], target["input_ids"], strict=True)]
                return {"input_ids": source["input_ids"], "labels": target["input_ids"], "length": lengths}

            raw = datasets.Dataset.from_list([pair._asdict() for pair in rows[part]])
            return raw.map(
                encode,
                batched=True,
                remove_columns=raw.column_names,
                cache_file_name=str(Path(folder) / f"{part}.arrow"),
            )

        yield {part: table(part) for part in PARTS}


class _EpochLines(transformers.TrainerCallback):  # type: ignore[misc]
    def __init__(self, on_epoch: Callable[[int, dict[str, float]], None]) -> None:
        self._on_epoch = on_epoch

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ARG002
        numbers = {key: value for key, value in (logs or {}).items() if key in ("loss", "eval_loss")}
        if numbers and state.is_world_process_zero:
            self._on_epoch(round(state.epoch or 0), numbers)


class _Trainer(transformers.Seq2SeqTrainer):  # type: ignore[misc]
    lengths: list[int]

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:  # noqa: ARG002
        """By length, in the batches of all processes together: as many processes as there are, the same batches."""
        together = self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size
        generator = torch.Generator().manual_seed(self.args.seed)
        return transformers.trainer_pt_utils.LengthGroupedSampler(together, lengths=self.lengths, generator=generator)


def fit(
    model: Any,
    tokenizer: Any,
    train_table: Any,
    validation_table: Any,
    settings: FitSettings,
    work: Path,
    on_epoch: Callable[[int, dict[str, float]], None] = lambda *_: None,
) -> list[dict[str, float]]:
    """Train in place; a row an epoch with ``loss`` (mean over the epoch) and ``eval_loss``."""
    gpu = torch.cuda.is_available()
    arguments = transformers.Seq2SeqTrainingArguments(
        output_dir=str(work / "checkpoints"),
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=max(8, settings.batch_size),
        train_sampling_strategy="group_by_length",
        eval_strategy="no" if validation_table is None else "epoch",
        save_strategy="no",
        logging_strategy="epoch",
        report_to="none",
        disable_tqdm=True,
        seed=settings.seed,
        use_cpu=not gpu,
        bf16=gpu and torch.cuda.is_bf16_supported(),
        dataloader_pin_memory=gpu,
        remove_unused_columns=True,
    )
    trainer = _Trainer(
        model=model,
        args=arguments,
        train_dataset=train_table.remove_columns("length"),
        eval_dataset=validation_table,
        processing_class=tokenizer,
        data_collator=transformers.DataCollatorForSeq2Seq(tokenizer, model=model),
        callbacks=[_EpochLines(on_epoch)],
    )
    trainer.lengths = list(train_table["length"])
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    rows: dict[int, dict[str, float]] = defaultdict(dict)
    for entry in trainer.state.log_history:
        rows[round(entry["epoch"])] |= {k: entry[k] for k in ("loss", "eval_loss") if k in entry}
    if any(not math.isfinite(row.get("loss", 0.0)) for row in rows.values()):
        raise TrainingError("the loss is no longer a number; lower --learning-rate")
    return [{"epoch": float(epoch), **rows[epoch]} for epoch in sorted(rows)]


def generate(model: Any, tokenizer: Any, sources: Sequence[str], config: Seq2SeqConfig, batch: int = 16) -> list[str]:
    """The model's answers, greedily."""
    model.eval()
    answers: list[str] = []
    for start in range(0, len(sources), batch):
        encoded = tokenizer(
            list(sources[start : start + batch]),
            truncation=True,
            max_length=config.source_max_tokens,
            padding=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            output = model.generate(
                input_ids=encoded["input_ids"].to(model.device),
                attention_mask=encoded["attention_mask"].to(model.device),
                max_new_tokens=config.target_max_tokens,
                num_beams=1,
                do_sample=False,
            )
        answers += [text.strip() for text in tokenizer.batch_decode(output, skip_special_tokens=True)]
    return answers


def judge(
    model: Any, tokenizer: Any, training: Sequence[TextPair], judged: Sequence[TextPair], config: Seq2SeqConfig
) -> dict[str, Any]:
    """Loss, perplexity, chrF and exact match of generated answers, beside two baselines that only look up.

    The baselines are the commonest answer and the answer of the nearest query (cosine of TF-IDF vectors).
    """
    distinct = list(dict.fromkeys(judged))
    if len(distinct) > JUDGED_ROWS:
        chosen = np.random.default_rng(0).choice(len(distinct), JUDGED_ROWS, replace=False)
        distinct = [distinct[i] for i in sorted(chosen.tolist())]
    wanted = [pair.target for pair in distinct]
    answers = generate(model, tokenizer, [pair.source for pair in distinct], config)
    commonest = Counter(pair.target for pair in training).most_common(1)[0][0]
    loss = _mean_loss(model, tokenizer, distinct, config)
    return {
        "rows": len(distinct),
        "model": {
            "loss": round(loss, 6),
            "perplexity": round(math.exp(min(loss, 50.0)), 4),
            **text_scores(answers, wanted),
        },
        "baselines": {
            "commonest_answer": text_scores([commonest] * len(wanted), wanted),
            "nearest_query": text_scores(nearest_answers(training, [p.source for p in distinct]), wanted),
        },
        "examples": [
            {"query": pair.source, "wanted": pair.target, "generated": answer}
            for pair, answer in list(zip(distinct, answers, strict=True))[:EXAMPLES]
        ],
    }


def text_scores(answers: Sequence[str], wanted: Sequence[str]) -> dict[str, float]:
    """ChrF (Popovic, 2015; 0 to 100, sacrebleu's defaults) and the share of answers that are exactly right."""
    import sacrebleu

    exact = sum(answer == right for answer, right in zip(answers, wanted, strict=True)) / len(wanted)
    return {
        "chrf": round(sacrebleu.corpus_chrf(list(answers), [list(wanted)]).score, 4),
        "exact_match": round(exact, 6),
    }


def nearest_answers(training: Sequence[TextPair], queries: Sequence[str]) -> list[str]:
    """For each query the answer of the training query whose TF-IDF vector is nearest."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2))
    known = vectorizer.fit_transform([pair.source or "-" for pair in training])
    nearest = np.asarray((vectorizer.transform(list(queries)) @ known.T).argmax(axis=1)).ravel()
    return [training[i].target for i in nearest.tolist()]


def _mean_loss(model: Any, tokenizer: Any, pairs: Sequence[TextPair], config: Seq2SeqConfig) -> float:
    """Mean cross-entropy a target token."""
    model.eval()
    total, tokens = 0.0, 0
    for pair in pairs:
        source = tokenizer(pair.source, truncation=True, max_length=config.source_max_tokens, return_tensors="pt")
        target = tokenizer(text_target=pair.target, truncation=True, max_length=config.target_max_tokens)["input_ids"]
        labels = torch.tensor([target], device=model.device)
        with torch.no_grad():
            output = model(
                input_ids=source["input_ids"].to(model.device),
                attention_mask=source["attention_mask"].to(model.device),
                labels=labels,
            )
        total += float(output.loss) * len(target)
        tokens += len(target)
    return total / max(tokens, 1)


class Suggester:
    """A trained adapter over its base, for use."""

    def __init__(self, model: Any, tokenizer: Any, config: Seq2SeqConfig) -> None:
        self._model, self._tokenizer, self._config = model, tokenizer, config

    @classmethod
    def load(cls, directory: str | Path) -> Suggester:
        """A run directory (or ``latest``). Raises ModelFileError where it is none, or its base cannot be had."""
        folder = Path(directory)
        if folder.is_file():  # where the system allows no symlink, `latest` is a file with the path
            folder = folder.parent / folder.read_text(encoding="utf-8").strip()
        try:
            run = json.loads((folder / "training_run.json").read_text(encoding="utf-8"))
            config = Seq2SeqConfig(**run["config"])
            name = str(folder / BASE_FOLDER) if config.base_model == SCRATCH else config.base_model
            base = load_base(name, (), config.seed)
            with _peft_s_own_warnings():
                return cls(PeftModel.from_pretrained(base.model, str(folder)), base.tokenizer, config)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, TrainingError) as error:
            raise ModelFileError(f"{folder}: is not a run directory that can be loaded ({_line(error)})") from error

    def suggest(self, text: str) -> str:
        """The suggested automation, in plain words, for a request in plain words."""
        return generate(self._model, self._tokenizer, [text], self._config)[0]


def _line(error: BaseException | None) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
