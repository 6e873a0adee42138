"""How much of the data a base model cannot read or write, because its tokenizer has no token for it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from training.runs.errors import TrainingError
from training.text.base_cache import cache_folder
from training.text.config import SCRATCH

LARGEST_SHARE = 0.1
MEASURED_ROWS = 2_000
_FILE = "tokenizer.json"
Row = TypeVar("Row")


class UnknownShares(NamedTuple):
    """The share of unknown tokens, from 0 to 1, among those of all queries and among those of all answers."""

    queries: float
    answers: float

    def describe(self, base: str) -> str:
        """In words."""
        return (
            f"{self.queries:.1%} of the tokens of the queries and {self.answers:.1%} of those of the answers are "
            f"unknown to the base model {base}"
        )

    def check(self, base: str, where: str) -> None:
        """Raises TrainingError where more than a tenth of either is unknown; ``where`` names the data."""
        if max(self) > LARGEST_SHARE:
            raise TrainingError(
                f"{where}: {self.describe(base)}, more than a tenth: it can neither read nor write them. Give "
                f"--base-model a model of the data's languages, such as google/mt5-small, or {SCRATCH}"
            )


def spread(rows: Sequence[Row]) -> Sequence[Row]:
    """At most ``MEASURED_ROWS`` rows, evenly spaced."""
    return rows[:: -(-len(rows) // MEASURED_ROWS) or 1]


def unknown_shares(
    pairs: Sequence[tuple[str, str]], ids_of: Callable[[list[str]], Iterable[Sequence[int]]], unknown: int | None
) -> UnknownShares:
    """Measure the shares on pairs (query, answer).

    Args:
        pairs: The pairs.
        ids_of: The tokens of texts, without those that end a text.
        unknown: The unknown token; None where the tokenizer has none.
    """
    shares = []
    for texts in zip(*pairs, strict=True):
        tokens = [token for ids in ids_of(list(texts)) for token in ids]
        shares.append(tokens.count(unknown) / max(1, len(tokens)) if unknown is not None else 0.0)
    return UnknownShares(*shares) if shares else UnknownShares(0.0, 0.0)


def shares_of_local_base(base: str, pairs: Sequence[tuple[str, str]]) -> UnknownShares | None:
    """The shares for a base whose tokenizer lies in a folder or in the Hugging Face cache.

    It imports no ML library, so that ``--dry-run`` stays quick. None for a base from scratch, whose vocabulary is made
    from the data, and where no file of a tokenizer is found or can be read.
    """
    if base == SCRATCH or not (file := _tokenizer_file(base)):
        return None
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(file)
        model = json.loads(tokenizer.to_str())["model"]
    except Exception:  # noqa: BLE001 - the library raises plain ones; loading the base names the fault
        return None
    tokenizer.encode_special_tokens = True
    tokenizer.no_truncation()
    unknown = model.get("unk_id")
    if unknown is None and model.get("unk_token"):
        unknown = tokenizer.token_to_id(model["unk_token"])

    def ids_of(texts: list[str]) -> Iterable[Sequence[int]]:
        return (found.ids for found in tokenizer.encode_batch(texts, add_special_tokens=False))

    return unknown_shares(pairs, ids_of, unknown)


def _tokenizer_file(base: str) -> str | None:
    if Path(base).is_dir():
        path = Path(base) / _FILE
        return str(path) if path.is_file() else None
    import huggingface_hub

    try:
        found: Any = huggingface_hub.try_to_load_from_cache(base, _FILE, cache_dir=cache_folder())
    except (OSError, ValueError):  # it is no name of a model
        return None
    return found if isinstance(found, str) else None
