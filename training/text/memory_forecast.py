"""Forecast the memory of a fit."""

from __future__ import annotations

from typing import Any

from training.runs.memory import resident_bytes

FLOAT = 4  # bytes; on a CPU all is float32
# How many tensors a T5 layer keeps for the backward pass: for each token, tensors as wide as the model, the feed-
# forward layer and the attention; for each head, matrices of attention scores. The counts are fitted to measured peaks;
# the forecast is within a tenth of them (benchmarks/soft_prompt_memory.py).
_MODEL_WIDE, _FEED_FORWARD_WIDE, _ATTENTION_WIDE, _SCORES = 10, 8, 7, 4
_LOGITS = 4  # the logits, their log-softmax and the gradients of both
_STARTING = 50_000_000  # bytes; what the first step imports and sets up
_OPTIMIZER = 3  # numbers for each trained number: the gradient and AdamW's two moments


def expected_bytes(model: Any, rows: int, source: int, target: int) -> int:
    """Peak memory, in bytes, of a process that trains a T5-like model.

    It is the sum of the memory that the process holds now, the optimizer state, and the activations of one forward and
    backward pass.

    Args:
        model: The model; only its trained parameters have optimizer state.
        rows: Rows in a batch.
        source: Tokens of the longest source.
        target: Tokens of the longest target.
    """
    config = model.config
    trained = sum(value.numel() for value in model.parameters() if value.requires_grad)
    heads = config.num_heads
    inner = heads * config.d_kv
    token = _MODEL_WIDE * config.d_model + _FEED_FORWARD_WIDE * config.d_ff + _ATTENTION_WIDE * inner
    encoder = config.num_layers * (source * token + _SCORES * heads * source**2)
    cross = (2 * config.d_model + 2 * inner) * target + 2 * inner * source + _SCORES * heads * source * target
    decoder = config.num_decoder_layers * (target * token + _SCORES * heads * target**2 + cross)
    logits = _LOGITS * target * config.vocab_size
    return resident_bytes() + _STARTING + FLOAT * int(_OPTIMIZER * trained + rows * (encoder + decoder + logits))
