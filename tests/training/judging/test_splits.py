"""What a file says of the units that it was trained on is read, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from training.judging.splits import joined_digests, read_digests, unit_digests


def test_units_are_read_as_they_were_written_and_join() -> None:
    one, other = unit_digests(["a", "b"]), unit_digests(["b", "c"])
    assert read_digests(one) == one
    assert joined_digests(read_digests(one), other, read_digests(None)) == unit_digests(["a", "b", "c"])
    assert read_digests(None) == read_digests("") == joined_digests("") == unit_digests([])


@pytest.mark.parametrize("damaged", ["None", "5", "abcd", "0000000g", "00000001\n", " 0000001", 5, ["00000001"], True])
def test_anything_else_is_refused(damaged: Any) -> None:
    with pytest.raises(ValueError, match="trained_on is no text of 8 hex digits for each unit"):
        read_digests(damaged)
