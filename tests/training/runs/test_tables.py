"""Every table that a command prints fits a terminal of 80 columns."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable

import pytest
from support import ROOT

from retraining_manager.models import SPECS
from training.automations import report as automations
from training.judging.metrics import METRICS
from training.patterns import report as patterns
from training.patterns.model import CANDIDATES
from training.runs.wording import COLUMNS, table_lines, wrapped
from training.synergy import report as synergy
from training.text import report as text

NUMBERS = dict.fromkeys(METRICS, 0.123)


def synergy_table() -> Iterable[str]:
    scorers = ("domain_pair_prior", "name_overlap", "prior_x_name_overlap", "prior_x_same_area")
    measured = {
        "pairs": 12_345,
        "homes": 123,
        "model": {**NUMBERS, "ece": 0.1},
        "baselines": dict.fromkeys(scorers, NUMBERS),
        "triggers_left_out": 0,
        "pairs_not_ranked": 0,
    }
    return synergy.score_lines({"test": measured})


def pattern_table() -> Iterable[str]:
    row = dict.fromkeys(("brier", "average_precision", "roc_auc", "ece"), 0.123)
    measured = {"rows": 97, "entities": 16, "model": row, "baselines": {"base_rate": row, "confidence": row}}
    longest = max(CANDIDATES, key=len)
    compared = {"grouped_by": "entity", "folds": 5, "candidates": dict.fromkeys(CANDIDATES, row)}
    return patterns.score_lines({"test": measured, "cross_validation": compared, "chosen": longest})


def text_table() -> Iterable[str]:
    row = {"chrf": 100.0, "exact_match": 1.0, "loss": 0.1, "perplexity": 1.1}
    measured = {
        "rows": 75,
        "model": row,
        "baselines": {"commonest_answer": row, "nearest_query": row},
        "examples": [],
    }
    return text.score_lines({"test": measured})


def yaml_table() -> Iterable[str]:
    names = ("answered", "valid", "entities_exist", "exact_match", "right", "triggers_f1", "services_f1", "entities_f1")
    row = {**dict.fromkeys(names, 1.0), "chrf": 100.0}
    row |= {f"half_{name}": 1.0 for name in names}
    baselines = dict.fromkeys(automations.SCORED_BY.baselines, row)
    return automations.score_lines({"test": {"rows": 12_345, "model": row, "baselines": baselines, "examples": []}})


def versions_table() -> Iterable[str]:
    longest = max((spec.metric for spec in SPECS.values()), key=len)
    return table_lines(
        [
            ["version", "name", "verdict", longest],
            ["20261126T031700000Z-0123abcd", "champion", "NOT_BLESSED", "0.1234 in-sample"],
        ],
        indent="",
        numbers=False,
    )


@pytest.mark.parametrize(
    "table", [synergy_table, pattern_table, text_table, yaml_table, versions_table], ids=lambda of: of.__name__
)
def test_a_table_fits_a_terminal(table: Callable[[], Iterable[str]]) -> None:
    lines = list(table())
    assert len(lines) > 1
    assert [line for line in lines if len(line) > COLUMNS] == []


@pytest.mark.parametrize(("wide", "gap"), [(10, 2), (37, 1)])
def test_columns_move_together_where_the_table_would_be_too_wide(wide: int, gap: int) -> None:
    rows = [["", "a" * wide, "b" * wide], ["x", "1", "2"]]
    head, row = table_lines(rows)
    assert head == "  " + " " * (1 + gap) + "a" * wide + " " * gap + "b" * wide
    assert row.endswith("2")
    assert len(row) == len(head)


def test_words_stand_to_the_left() -> None:
    assert list(table_lines([["name", "what"], ["a", "b"]], indent="", numbers=False)) == ["name  what", "a     b"]


@pytest.mark.parametrize("columns", [80, 40])
def test_a_sentence_goes_on_in_the_next_line_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    path = "/" + "folder/" * 20
    text = f"  {'word ' * 30}end\nshort\nsaved: {path}"
    terminal = io.StringIO()
    assert wrapped(text, terminal) == text
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    lines = wrapped(text, terminal).splitlines()
    assert " ".join(line.strip() for line in lines) == " ".join(line.strip() for line in text.splitlines())
    assert [line for line in lines if len(line) > columns] == [f"  {path}"], "a path stays whole"
    assert lines[0].startswith("  word")
    assert lines[1].startswith("    word")


def test_no_command_colours_what_it_prints() -> None:
    """So NO_COLOR, a file and a mail of cron need no exception."""
    code = {path: path.read_text(encoding="utf-8") for path in (*ROOT.glob("*/*.py"), *ROOT.glob("*/*/*.py"))}
    packages = ("data_sources", "home_assistant", "home_synergy", "retraining_manager", "scripts", "training")
    assert not [
        path
        for path, text in code.items()
        if path.relative_to(ROOT).parts[0] in packages and re.search(r"\\x1b\[|\\033\[|\.(style|secho)\(|colour=", text)
    ]
