"""Files hold JSON, and nothing that JSON does not have."""

from __future__ import annotations

import pytest

from training.runs.files import to_json


def test_numbers_that_json_cannot_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="JSON"):
        to_json({"x": float("nan")})
