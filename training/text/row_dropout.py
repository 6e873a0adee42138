"""Dropout that depends on the row and not on the batch.

What torch drops depends on how many rows are computed together, and on how far they are padded. Here each row of an
update has random numbers of its own, by its place in the update. So an update is the same however its rows are dealt
out to batches and processes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

_GOLDEN = -1640531527  # 2**32 / golden ratio, as int32
_AXES = (668265263, 374761393, 1274126177)  # large odd numbers, one for each axis between rows and the last
_FACTORS = (2146121005, -2073254261)  # of lowbias32 (C. Wellons, "Prospecting for Hash Functions", 2018)


class RowDropout:
    """Decides what is dropped inside ``applied``.

    Args:
        seed: Settles all of it.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._keys = torch.zeros(0, dtype=torch.int32)
        self._call = 0

    def begin(self, update: int, first: int, count: int) -> None:
        """Say which rows the next forward pass computes: ``count`` of an update, from number ``first`` on."""
        places = torch.arange(first, first + count, dtype=torch.int32)
        self._keys = _mixed(_mixed(torch.tensor([self._seed, update]).to(torch.int32)).sum(dtype=torch.int32) + places)
        self._call = 0

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Replace torch's dropout, that of attention too."""
        plain, attention = functional.dropout, functional.scaled_dot_product_attention

        def dropout(values: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
            if not training or not p or not len(self._keys):
                return plain(values, p, training, inplace)
            return (values * (self._kept(values, p) / (1 - p))).to(values.dtype)

        def attended(
            query: Tensor,
            key: Tensor,
            value: Tensor,
            attn_mask: Tensor | None = None,
            dropout_p: float = 0.0,
            *rest: Any,
            **more: Any,
        ) -> Tensor:
            if not dropout_p or not len(self._keys) or rest or more.get("is_causal") or more.get("enable_gqa"):
                return attention(query, key, value, attn_mask, dropout_p, *rest, **more)
            scale = more.get("scale")
            weights = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.shape[-1]) if scale is None else scale)
            if attn_mask is not None and attn_mask.dtype == torch.bool:
                weights = weights.masked_fill(~attn_mask, -torch.inf)
            elif attn_mask is not None:
                weights = weights + attn_mask
            return dropout(weights.softmax(-1), dropout_p) @ value

        functional.dropout = dropout  # type: ignore[assignment]
        functional.scaled_dot_product_attention = attended
        try:
            yield
        finally:
            functional.dropout, functional.scaled_dot_product_attention = plain, attention
            self._keys = self._keys[:0]

    def _kept(self, values: Tensor, p: float) -> Tensor:
        """A mask of what is kept. What it is of one number depends on its row and its place in the row alone."""
        self._call += 1
        dims, device = values.dim(), values.device
        of_rows = values.shape[0] == len(self._keys)  # else it is one for all rows, as what an encoder of prompts reads
        keys = self._keys if of_rows else torch.zeros(1, dtype=torch.int32)
        keys = _mixed(keys + self._call).view(-1, *[1] * (dims - 1)).to(device)
        for axis, factor in zip(range(1 if of_rows else 0, dims - 1), _AXES, strict=False):
            places = torch.arange(values.shape[axis], dtype=torch.int32, device=device) * factor
            keys = keys + places.view(-1, *[1] * (dims - 1 - axis))
        last = _mixed(torch.arange(values.shape[-1], dtype=torch.int32, device=device) * _GOLDEN)
        numbers = (_mixed(keys) ^ last).mul_(_FACTORS[0])
        numbers = (numbers ^ (numbers >> 15)).mul_(_FACTORS[1])
        return numbers >= round(p * 2**32) - 2**31


def _mixed(numbers: Tensor) -> Tensor:
    """Each int32 as one whose bits depend on all of its bits."""
    for shift, factor in zip((16, 15), _FACTORS, strict=True):
        numbers = (numbers ^ ((numbers >> shift) & (2 ** (32 - shift) - 1))) * factor
    return numbers ^ ((numbers >> 16) & 0xFFFF)
