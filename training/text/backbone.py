"""The base model of an adapter: an existing encoder-decoder, or a small T5 trained on the data."""

from __future__ import annotations

import copy
import json
import logging
import unicodedata
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import torch
import transformers

from training.runs.errors import TrainingError, wrap_read_errors
from training.runs.wording import one_line
from training.text.base_cache import cache_folder, cached, check_base, missing_base
from training.text.config import SCRATCH, Pieces

BASE_FOLDER = "base_model"  # the folder of a scratch base inside the run directory
BASE_FILES = ("config.json", "generation_config.json", "model.safetensors")  # in it, beside the tokenizer's
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


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
SCRATCH_PIECES = 500  # pieces of several characters at least, where the data has a large alphabet
# The brackets are full-width: NFKC turns them into < and >, so that no text can become one of these tokens.
SCRATCH_SPECIAL = ("\uff1cpad\uff1e", "\uff1c/s\uff1e", "\uff1cunk\uff1e")
_NO_TEXT = "\U0010ffff"  # is no character, and begins the pieces that no text may become
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

    The hub is never asked for what may be the name of a private folder (``base_cache.check_base``).

    Raises:
        TrainingError: It is not found, cannot be loaded, or is no encoder-decoder.
    """
    check_base(name)  # the hub's own client tries for a minute and a half
    last: Exception | None = None
    for place in dict.fromkeys((_cached(name), name)):
        if Path(place).is_dir():
            with wrap_read_errors(
                name, "cannot be loaded as a model", "give another --base-model", raises=TrainingError
            ):
                return _loaded(place, name, cache_folder())
        try:
            return _loaded(place, name, cache_folder())
        except (OSError, ValueError) as error:
            last = error
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


def encode(tokenizer: Any, **options: Any) -> Any:
    """Tokenize ``text`` or ``text_target``, a text or a list of them, as the tokenizer does with these options.

    A special token that is written in a text, such as ``</s>``, is text: it does not end the text.
    """
    given = options["text"] if "text" in options else options["text_target"]
    texts: Sequence[str] = [given] if isinstance(given, str) else given
    if any(token in text for text in texts for token in tokenizer.all_special_tokens):
        tokenizer, options = _without_special(tokenizer), {**options, "split_special_tokens": True}
    return tokenizer(**options)


@lru_cache(2)
def _without_special(tokenizer: Any) -> Any:
    """A copy in which no text becomes a special token; ``split_special_tokens`` alone does not keep Unigram from it."""
    from tokenizers import models

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None or not isinstance(backend.model, models.Unigram):
        return tokenizer
    model = json.loads(backend.to_str())["model"]
    special = frozenset(tokenizer.all_special_tokens)
    pieces = [(f"{_NO_TEXT}{piece}" if piece in special else piece, score) for piece, score in model["vocab"]]
    copied = copy.deepcopy(tokenizer)
    copied.backend_tokenizer.model = models.Unigram(pieces, model["unk_id"], model.get("byte_fallback", False))
    return copied


def scratch_base(
    rows: Sequence[TextPair],
    seed: int,
    pieces: Pieces = "unigram",
    alphabet_of: Iterable[TextPair] = (),
    dropout: float = 0.1,
) -> Base:
    """A small T5 with random weights, and a tokenizer trained on ``rows``.

    From a few hundred texts Unigram learns pieces of two or three letters. Byte-pair encoding learns whole words that a
    formal language repeats, so that its lines need half as many tokens.

    Args:
        rows: The texts.
        seed: Seed of the weights.
        pieces: The tokenizer's algorithm.
        alphabet_of: More texts, whose characters the vocabulary holds too.
        dropout: Its share, in training.
    """
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    unigram = pieces == "unigram"
    special = list(SCRATCH_SPECIAL)
    pad, end, unknown = special
    made = Tokenizer(models.Unigram() if unigram else models.BPE(unk_token=unknown))
    made.normalizer = normalizers.NFKC()
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    texts = sorted({text for row in rows for text in row})
    every = (text for row in (*rows, *alphabet_of) for text in row)
    alphabet = sorted({letter for text in every for letter in unicodedata.normalize("NFKC", text)} - {" "})
    settings: dict[str, Any] = {
        "vocab_size": max(SCRATCH_VOCABULARY, len(special) + len(alphabet) + SCRATCH_PIECES),
        "special_tokens": special,
        "initial_alphabet": alphabet,
        "show_progress": False,
    }
    if unigram:
        made.train_from_iterator(texts, trainers.UnigramTrainer(unk_token=unknown, **settings))
        made.model = models.Unigram(_in_order(json.loads(made.to_str())["model"]["vocab"], len(special)), unk_id=2)
    else:
        made.train_from_iterator(texts, trainers.BpeTrainer(min_frequency=2, **settings))
    made.post_processor = processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, 1)])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token=pad,
        eos_token=end,
        unk_token=unknown,
        model_input_names=["input_ids", "attention_mask"],  # T5 takes no others, which transformers 4 would give it
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
        dropout_rate=dropout,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
    )
    return Base(transformers.T5ForConditionalGeneration(config), tokenizer, SCRATCH)


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write a tokenizer so that transformers 4 reads it too, which does not know transformers 5's name of its class."""
    tokenizer.save_pretrained(str(folder))
    path = folder / "tokenizer_config.json"
    described = json.loads(path.read_text(encoding="utf-8"))
    if described.get("tokenizer_class") == "TokenizersBackend":
        described["tokenizer_class"] = "PreTrainedTokenizerFast"
        path.write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")


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
