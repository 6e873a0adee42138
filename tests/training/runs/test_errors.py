"""Errors of reading a file are one line in words."""

from __future__ import annotations

import pytest

from training.runs.errors import ModelFileError, wrap_read_errors


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (EOFError(), "it is empty or cut off"),
        (KeyError(101), "KeyError: 101"),
        (
            RuntimeError("Weights only load failed. Re-running `torch.load` with `weights_only` set to `False` will"),
            "it holds more than weights, or is no file of PyTorch",
        ),
    ],
)
def test_why_a_file_cannot_be_read_is_told_in_words_without_unsafe_advice(error: Exception, told: str) -> None:
    with pytest.raises(ModelFileError) as raised, wrap_read_errors("m.pth", "cannot be read", "train it again"):
        raise error
    assert str(raised.value) == f"m.pth: cannot be read ({told}); train it again"
