"""The base model of an adapter: an existing encoder-decoder, or a small T5 trained on the data."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

from training.runs.errors import TrainingError
from training.runs.wording import one_line
from training.text.base_cache import cache_folder, cached, check_base, missing_base
from training.text.config import SCRATCH, Pieces

BASE_FOLDER = "base_model"  # the folder of a scratch base inside the run directory


@contextmanager
def peft_warnings_ignored() -> Iterator[None]:
    """Hide a deprecation warning: PEFT 0.21 reads a property that transformers 5 renamed."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning)
        yield


transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # load_base raises one line instead

SCRATCH_VOCABULARY = 1_000
_TRAINER_STEP = 1e-4  # the difference that UnigramTrainer leaves between the scores of two unused pieces
SCRATCH_WIDTH, SCRATCH_LAYERS, SCRATCH_HEADS = 128, 2, 4


class TextPair(NamedTuple):
    """A request (``source``) and its reference answer (``target``)."""

    source: str
    target: str


class Base(NamedTuple):
    """A base model, its tokenizer, and the ``name`` under which an adapter's config refers to it."""

    model: Any
    tokenizer: Any
    name: str


def load_base(name: str) -> Base:
    """Load a base model in float32 from a folder, the Hugging Face cache or the hub, in this order.

    Raises:
        TrainingError: It is not found, cannot be loaded, or is no encoder-decoder.
    """
    check_base(name)  # the hub's own client tries for a minute and a half
    last: Exception | None = None
    for place in dict.fromkeys((_cached(name), name)):
        try:
            return _loaded(place, name, cache_folder())
        except (OSError, ValueError) as error:
            last = error
            if Path(name).is_dir():
                raise TrainingError(f"{name}: cannot be loaded as a model ({one_line(error)})") from error
    raise TrainingError(missing_base(name, one_line(last))) from last


def _cached(name: str) -> str:
    """The model's folder in the cache, which is loaded without a request to the hub; else its name."""
    return name if Path(name).is_dir() else str(cached(name) or name)


def _loaded(place: str, name: str, cache: str | None) -> Base:
    config = transformers.AutoConfig.from_pretrained(place, cache_dir=cache)
    if not config.is_encoder_decoder:
        raise TrainingError(
            f"{name}: is a decoder-only or encoder-only model ({config.model_type}); "
            "--base-model needs an encoder-decoder such as google/flan-t5-small"
        )
    tokenizer = transformers.AutoTokenizer.from_pretrained(place, cache_dir=cache)
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(place, cache_dir=cache, dtype=torch.float32)
    model.name_or_path = name  # an adapter's config records it, so it must not be the cache's folder
    return Base(model, tokenizer, name)


def scratch_base(rows: Sequence[TextPair], seed: int, pieces: Pieces = "unigram") -> Base:
    """A small T5 with random weights, and a tokenizer trained on ``rows``.

    From a few hundred texts Unigram learns pieces of two or three letters. Byte-pair encoding learns whole words that a
    formal language repeats, so that its lines need half as many tokens.

    Args:
        rows: The texts.
        seed: Seed of the weights.
        pieces: The tokenizer's algorithm.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    unigram = pieces == "unigram"
    made = Tokenizer(models.Unigram() if unigram else models.BPE(unk_token="<unk>"))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    texts = sorted({text for row in rows for text in row})
    settings: dict[str, Any] = {"vocab_size": SCRATCH_VOCABULARY, "special_tokens": special, "show_progress": False}
    if unigram:
        made.train_from_iterator(texts, trainers.UnigramTrainer(unk_token="<unk>", **settings))
        made.model = models.Unigram(_in_order(json.loads(made.to_str())["model"]["vocab"], len(special)), unk_id=2)
    else:
        made.train_from_iterator(texts, trainers.BpeTrainer(min_frequency=2, **settings))
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
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


def _in_order(vocabulary: list[list[Any]], special: int) -> list[tuple[str, float]]:
    """The vocabulary in an order, and with scores, that are the same in every process.

    UnigramTrainer gives the pieces that its last pruning would have dropped scores below all others, ``_TRAINER_STEP``
    apart, in the order of its hash tables. Here they all get the highest of these scores, and pieces of one score are
    sorted.
    """
    scored = sorted((round(score, 6), piece) for piece, score in vocabulary[special:])
    steps = takewhile(lambda pair: pair[1][0] - pair[0][0] < 1.5 * _TRAINER_STEP, pairwise(scored))
    floor = max((higher[0] for _, higher in steps), default=scored[0][0])
    settled = [(piece, max(score, floor)) for score, piece in scored]
    return [*((piece, score) for piece, score in vocabulary[:special]), *sorted(settled, key=lambda p: (-p[1], p[0]))]
