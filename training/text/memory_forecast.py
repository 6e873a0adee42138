"""What a fit is expected to need, said before it starts, and what there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FLOAT = 4  # bytes; on a CPU all is float32
# Fitted to measured peaks, which they meet within a tenth (benchmarks/soft_prompt_memory.py). Numbers that a T5 layer
# keeps for the backward pass: tensors as wide as the model, the feed-forward and the attention for each token, and
# matrices of scores for each head.
_MODEL_WIDE, _FEED_FORWARD_WIDE, _ATTENTION_WIDE, _SCORES = 10, 8, 7, 4
_LOGITS = 4  # the logits, their log-softmax and the gradients of both
_STARTING = 50_000_000  # what the first step imports and sets up
_OPTIMIZER = 3  # of each trained number: the gradient and AdamW's two moments


def expected_bytes(model: Any, rows: int, source: int, target: int) -> int:
    """Peak of a training process over a T5-like ``model`` with ``rows`` rows of so many tokens in a batch.

    What the process holds now, plus optimizer state, plus the activations of one forward and backward pass.
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
    """Memory that this process holds now; 0 where the system does not say."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize()
    except (ImportError, OSError, ValueError, IndexError):
        return 0


def available_bytes() -> int | None:
    """What this process may hold in all: the container's limit or the machine's free memory; None where unknown."""
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
