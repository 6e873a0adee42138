"""A count agrees with its noun."""

from __future__ import annotations

import pytest
from support import as_home, row

from data_sources import DataSourceError, LoadReport
from data_sources.counting import many
from training.synergy.audit import audit_homes
from training.synergy.report import audit_lines


@pytest.mark.parametrize(
    ("count", "noun", "told"),
    [
        *((1, "row", "1 row"), (0, "row", "0 rows"), (2, "distinct query", "2 distinct queries"), (2, "key", "2 keys")),
        *((1, "class", "1 class"), (2, "class", "2 classes"), (1, "distinct entity", "1 distinct entity")),
    ],
)
def test_one_is_singular_and_anything_else_plural(count: int, noun: str, told: str) -> None:
    assert many(count, noun) == told


def test_the_audit_of_one_pair_counts_it_as_one() -> None:
    home = as_home({"entities": [], "synergies": [row("light.a", "light.b")]})
    told = " ".join(audit_lines(audit_homes([home])))
    assert "Data: 1 row, 1 distinct pair (1 directed), 0 repeated rows" in told
    assert "1 distinct pair allows no held-out score" in told


def test_an_error_counts_too() -> None:
    report = LoadReport(where="x")
    report.read["synergy"] = 1
    for number in (1, 2):
        report.reject("synergy", f"synergy {number}", "y")
    with pytest.raises(DataSourceError, match=r"2 of 3 synergies cannot be used"):
        report.check()
