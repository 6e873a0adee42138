"""Forecast the memory of a fit, and read how much memory is available."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def resident_bytes() -> int:
    """Bytes of memory that this process holds now; 0 if the system does not say."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    except (ImportError, OSError, ValueError, IndexError):
        return 0


def available_bytes() -> int | None:
    """Bytes that this process may hold in all: the container's limit or the machine's free memory; None if unknown."""
    limits = []
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limits.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):  # absent, or "max"
            continue
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                limits.append(int(line.split()[1]) * 1024 + resident_bytes())
    except (OSError, ValueError, IndexError):
        pass
    return min(limits, default=None)
