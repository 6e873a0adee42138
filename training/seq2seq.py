"""Adapt a sequence-to-sequence model to pairs of texts with a PEFT adapter, and judge it on texts it never saw."""

from __future__ import annotations

import json
import logging
import math
import re
import shutil
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
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
from pydantic import BaseModel, ConfigDict, Field

from training.artifacts import pointed_at
from training.base_model import SCRATCH, SCRATCH_WIDTH, Base, Pieces, TextPair, load_base, scratch_base
from training.distributed import first_says, is_first
from training.errors import ModelFileError, TrainingError, one_line
from training.fit import FitSettings, Limits, OnEpoch, fit, rows_at_once, tokenized
from training.memory import available_bytes, expected_bytes
from training.splits import PARTS, Part, assign_parts, count_parts, sealed

log = logging.getLogger("training.seq2seq")

Method = Literal["lora", "dora", "rslora", "prompt", "prefix", "p-tuning"]
BASE_FOLDER = "base_model"  # of a scratch base, inside the run directory
VIRTUAL_TOKENS = 20

SCRATCH_EPOCHS, SCRATCH_BATCH, SCRATCH_LEARNING_RATE = 30, 16, 3e-3
SCRATCH_ROWS = 40_000  # rows seen at most, so that large data takes fewer epochs

MIN_GROUPS = 10  # distinct queries below which nothing is held out
NEAR_DUPLICATE = 0.9  # cosine of TF-IDF vectors above which two queries are one
UPDATE_ROWS = 4  # that an update sees at least: production takes batches of 1 and gathers the gradients of four
JUDGED_ROWS = 200  # generated at most
GENERATED_AT_ONCE = 32  # answers, counting each beam
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

    @property
    def limits(self) -> Limits:
        """Tokens of a row at most."""
        return Limits(self.source_max_tokens, self.target_max_tokens)

    @property
    def at_once(self) -> Limits:
        """Tokens computed together: those of ``batch_size`` rows as long as they may be; of shorter ones, more rows."""
        return Limits(self.batch_size * self.source_max_tokens, self.batch_size * self.target_max_tokens)

    @property
    def fit_settings(self) -> FitSettings:
        """How an adapter is fitted; an update sees at least ``UPDATE_ROWS`` rows."""
        rows = max(UPDATE_ROWS, self.batch_size)
        return FitSettings(self.epochs, self.learning_rate, rows, self.seed, at_once=self.at_once)


class Scratch(NamedTuple):
    """How a scratch base is made; ``rows`` are those seen at most, so that large data takes fewer epochs."""

    pieces: Pieces = "unigram"
    epochs: int = SCRATCH_EPOCHS
    rows: int = SCRATCH_ROWS


Split = tuple[list[Part], dict[str, Any]]
"""A part for each row, and what is said of it."""


@dataclass(frozen=True)
class Result:
    """A trained adapter over its base. ``metrics`` are held out, or in-sample under that name.

    Only the first of several processes judges; in the others ``metrics`` is empty. ``own_base`` is the folder of a
    base that was made from the data. ``trained_on`` seals (``splits.sealed``) the queries that training and the choice
    of an epoch saw.
    """

    model: Any
    tokenizer: Any
    own_base: Path | None
    final_loss: float
    history: tuple[dict[str, float], ...]
    metrics: dict[str, Any]
    split: dict[str, Any]
    trained_on: str

    def save(self, folder: Path) -> None:
        """Write what ``Suggester.load`` needs besides ``training_run.json``."""
        self.model.save_pretrained(str(folder), save_embedding_layers=False)
        self.tokenizer.save_pretrained(str(folder))
        if self.own_base is not None:
            shutil.copytree(self.own_base, folder / BASE_FOLDER)


def split_by_query(pairs: Sequence[TextPair]) -> Split:
    """A part for each row; rows of one query, or of nearly the same, are together. Few queries are all for training."""
    group = _query_groups([pair.source for pair in pairs])
    names = sorted(set(group))
    if len(names) < MIN_GROUPS:
        reason = (
            f"{len(names)} distinct quer{'ies' if len(names) != 1 else 'y'} (needs {MIN_GROUPS}): nothing is held out"
        )
        return ["train"] * len(pairs), {"strategy": "none", "reason": reason, "rows": {"train": len(pairs)}}
    return split_by_unit(
        group, "query", f"{len(names)} distinct queries, near-duplicates together: whole queries are held out"
    )


def split_by_unit(units: Sequence[str], strategy: str, reason: str) -> Split:
    """A part for each row; ``units`` names what each row belongs to, and rows of one unit are together."""
    part_of = assign_parts(set(units))
    parts = [part_of[unit] for unit in units]
    rows = Counter(parts)
    return parts, {
        "strategy": strategy,
        "reason": reason,
        "units": count_parts(part_of),
        "rows": {part: rows[part] for part in PARTS},
    }


def _query_groups(queries: Sequence[str]) -> list[str]:
    """The first of all queries that each is nearly the same as."""
    from scipy.sparse.csgraph import connected_components
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [plain(query) for query in queries]
    distinct = sorted(set(texts))
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform([text or "-" for text in distinct])
    near = vectors @ vectors.T
    near.data[near.data < NEAR_DUPLICATE] = 0
    near.eliminate_zeros()
    _, label = connected_components(near, directed=False)
    first: dict[int, str] = {}
    for text, component in zip(distinct, label.tolist(), strict=True):
        first.setdefault(component, text)
    group = {text: first[component] for text, component in zip(distinct, label.tolist(), strict=True)}
    return [group[text] for text in texts]


def plain(query: str) -> str:
    """A query without case and punctuation: its name as a unit."""
    return " ".join(re.findall(r"\w+", query.lower()))


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
    on_epoch: OnEpoch = lambda *_: None,
    split: Split | None = None,
    judged_by: Callable[..., dict[str, Any]] | None = None,
    scratch: Scratch | None = None,
) -> Result:
    """Split (by query where no ``split`` is given), adapt the base and judge it (as ``judge`` does, or instead of it).

    ``work`` takes a scratch base and the states of the fit; called again with the ``work`` of a training that was
    stopped, and the same data and config, it goes on there and ends with the same weights. Under torchrun every
    process calls it, and ``batch_size`` is each one's.

    Raises TrainingError where the base or the adapter to resume from cannot be used.
    """
    parts, described = split or split_by_query(pairs)
    rows = {part: [pair for pair, its in zip(pairs, parts, strict=True) if its == part] for part in PARTS}
    base = _base(config, rows, work, resume_from, scratch or Scratch())
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
    metrics = {}
    if is_first():
        judged = rows["test"] or rows["train"]
        name = "test" if rows["test"] else "in_sample"
        metrics = {name: (judged_by or judge)(model, base.tokenizer, rows["train"], judged, config)}
    final_loss = next((row["loss"] for row in reversed(history) if "loss" in row), float("nan"))
    own_base = work / BASE_FOLDER if config.base_model == SCRATCH else None
    trained_on = sealed(plain(pair.source) for pair in rows["train"] + rows["validation"])
    return Result(model, base.tokenizer, own_base, final_loss, tuple(history), metrics, described, trained_on)


def _base(
    config: Seq2SeqConfig,
    rows: dict[Part, list[TextPair]],
    work: Path,
    resume_from: Path | None,
    scratch: Scratch,
) -> Base:
    """The base to adapt; a scratch one is trained once and kept in ``work``, for an adapter is nothing without it."""
    if config.base_model != SCRATCH:
        return load_base(config.base_model)
    kept = work / BASE_FOLDER
    if first_says(kept.is_dir()):
        return load_base(str(kept))
    if resume_from is not None:
        base = load_base(str(resume_from / BASE_FOLDER))
    else:
        base = scratch_base(rows["train"], config.seed, scratch.pieces)
        epochs = max(1, min(scratch.epochs, scratch.rows // len(rows["train"])))
        log.info("Scratch base: training a small T5 on %d rows, %d epochs", len(rows["train"]), epochs)
        settings = FitSettings(epochs, SCRATCH_LEARNING_RATE, SCRATCH_BATCH, config.seed, warmup=0.1)
        with tokenized({"train": rows["train"]}, base.tokenizer, config.limits, work) as tables:
            fit(base.model, base.tokenizer, tables["train"], None, settings, work)
    if is_first():
        staged = work / f".{BASE_FOLDER}"
        shutil.rmtree(staged, ignore_errors=True)
        base.model.save_pretrained(staged)
        base.tokenizer.save_pretrained(staged)
        staged.rename(kept)
    first_says(None)
    return base


def forecast(model: Any, table: Any, settings: FitSettings) -> tuple[int, Limits, int]:
    """Bytes that a fit is expected to need, the longest source and target, and how many such rows run together."""
    longest = Limits(*(max(map(len, table[column])) for column in ("input_ids", "labels")))
    rows = settings.batch_size
    together = rows_at_once(rows, longest, settings.at_once)
    shapes = [(together, longest)]
    if settings.at_once is not None and together < rows:  # of shorter rows more run together
        shorter = (min(tokens, most // rows) for tokens, most in zip(longest, settings.at_once, strict=True))
        shapes.append((rows, Limits(*shorter)))
    return max(expected_bytes(model, count, *tokens) for count, tokens in shapes), longest, together


def _log_memory(model: Any, table: Any, settings: FitSettings) -> None:
    (expected, longest, together), available = forecast(model, table, settings), available_bytes()
    log.info(
        "Memory: expects to need about %.1f GB (longest row %d + %d tokens, %d at once)%s",
        expected / 1e9,
        longest.source,
        longest.target,
        together,
        "" if available is None else f", {available / 1e9:.1f} GB are there",
    )
    if available is not None and expected > available:
        log.warning(
            "Memory: that is more than there is; lower --batch-size, --source-max-tokens or --target-max-tokens"
        )


def adapted(base: Base, config: Seq2SeqConfig, resume_from: Path | None) -> Any:
    """The base with a new adapter, or with the one in ``resume_from``. Raises TrainingError where that does not fit."""
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
            f"{resume_from}: this adapter does not fit the base model {base.name} ({one_line(error)}); "
            "give --resume-from an adapter of the same base, or leave it out"
        ) from error


@contextmanager
def _peft_s_own_warnings() -> Iterator[None]:
    """PEFT 0.21 reads a property that transformers 5 renamed; nothing of ours does."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


def generate(model: Any, tokenizer: Any, sources: Sequence[str], config: Seq2SeqConfig) -> list[str]:
    """The model's answers, greedily."""
    return [best for (best,) in candidates(model, tokenizer, sources, config, 1)]


def candidates(
    model: Any, tokenizer: Any, sources: Sequence[str], config: Seq2SeqConfig, beams: int
) -> list[list[str]]:
    """For each source as many answers as there are beams, the likeliest first."""
    model.eval()
    batch = max(1, GENERATED_AT_ONCE // beams)
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
                num_beams=beams,
                num_return_sequences=beams,
                do_sample=False,
            )
        answers += [text.strip() for text in tokenizer.batch_decode(output, skip_special_tokens=True)]
    return [answers[start : start + beams] for start in range(0, len(answers), beams)]


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
    """A trained adapter over its base, for use; ``described`` is what ``training_run.json`` says of it."""

    def __init__(
        self, model: Any, tokenizer: Any, config: Seq2SeqConfig, described: Mapping[str, Any] | None = None
    ) -> None:
        self._model, self._tokenizer, self._config = model, tokenizer, config
        self.described = described or {}

    @classmethod
    def load(cls, directory: str | Path) -> Suggester:
        """A run directory (or ``latest``). Raises ModelFileError where it is none, or its base cannot be had."""
        folder = Path(directory)
        try:
            folder = pointed_at(folder)
            run = json.loads((folder / "training_run.json").read_text(encoding="utf-8"))
            config = Seq2SeqConfig(**run["config"])
            name = str(folder / BASE_FOLDER) if config.base_model == SCRATCH else config.base_model
            base = load_base(name)
            with _peft_s_own_warnings():
                return cls(PeftModel.from_pretrained(base.model, str(folder)), base.tokenizer, config, run)
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, TrainingError) as error:
            raise ModelFileError(f"{folder}: is not a run directory that can be loaded ({one_line(error)})") from error

    def candidates(self, texts: Sequence[str], beams: int) -> list[list[str]]:
        """For each text as many answers as there are beams, the likeliest first."""
        return candidates(self._model, self._tokenizer, texts, self._config, beams)

    def suggest(self, text: str) -> str:
        """The suggested automation, in plain words, for a request in plain words."""
        return generate(self._model, self._tokenizer, [text], self._config)[0]

    def judge(self, training: Sequence[TextPair], judged: Sequence[TextPair]) -> dict[str, Any]:
        """What ``judge`` says of this adapter."""
        return judge(self._model, self._tokenizer, training, judged, self._config)
