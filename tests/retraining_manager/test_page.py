"""The page of a night's run: what it says of each model, and that no text from data is more than text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from retraining_manager.page import render_page
from retraining_manager.pipeline import pipeline_summary
from retraining_manager.summaries import ModelSummary

GNN = "gnn_synergy"
VERDICT = {
    "verdict": "BLESSED",
    "reasons": ["beaten"],
    "metric": "mrr",
    "held_out": True,
    "candidate_score": 0.8,
    "champion_score": 0.4,
    "best_baseline": {"domain_pair_prior": 0.2},
    "evaluation_rows": 73,
}


def page(*models: ModelSummary, plots: list[bytes] | None = None, **more: Any) -> str:
    summary = pipeline_summary(list(models), "2026-01-01T03:00:00.000+00:00", 92.0) | more
    return render_page(summary, models, {GNN: plots or []})


def of(**more: Any) -> ModelSummary:
    return ModelSummary(**{"timestamp": "t", "model_type": GNN, "status": "success", **more})


class Reader(HTMLParser):
    """The tags of a page with their attributes, and its text as a browser shows it."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[str]]] = []
        self.text = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, [name for name, _ in attrs]))

    def handle_data(self, data: str) -> None:
        self.text += f" {' '.join(data.split())}"


def page_of_texts(text: Callable[[], str]) -> str:
    """A page with ``text()`` wherever a text comes from data."""
    failed = of(
        status="failed",
        errors=[text(), text()],
        notes=[text()],
        version=text(),
        champion=text(),
        sufficiency={"rows": 3, "distinct": {text(): 2}, "source": {"location": text()}},
        process={"peak_mb": 1.0, "output": text()},
        verdict=VERDICT | {"reasons": [text()], "best_baseline": {text(): 0.1}},
    )
    skipped = of(model_type="soft_prompt", status="skipped", message=text())
    return page(failed, skipped, who=text(), message=text())


def test_every_text_from_data_is_shown_and_none_is_read_as_html() -> None:
    numbers = itertools.count()

    def hostile() -> str:
        return (
            f"</style></section><script>alert({next(numbers)})</script><img src=x onerror='steal()'>\"' & {{{{ 7 }}}}"
        )

    found = Reader(page_of_texts(hostile))
    shown = {int(number) for number in re.findall(r"<script>alert\((\d+)\)</script>", found.text)}
    assert shown == set(range(next(numbers)))
    assert found.tags == Reader(page_of_texts(lambda: "plain")).tags


def test_a_card_says_what_became_of_its_model_and_how_it_did() -> None:
    text = " ".join(Reader(page(of(promoted=True, champion="v1", verdict=VERDICT))).text.split())
    assert "gnn_synergy published MRR on 73 held-out rows" in text
    assert "candidate 0.8 live before 0.4 baseline: domain pair prior 0.2 Verdict beaten live now v1" in text
    assert "1 min 32 s" in text
    assert 'style="width:50.0%"' in page(of(verdict=VERDICT)), "half as good, half as long"


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (of(promoted=True), "published"),
        (of(champion="v"), "refused, the old model stays"),
        (of(), "refused, nothing is live"),
        (of(status="skipped"), "skipped"),
        (of(status="failed", errors=["e"]), "failed"),
        (of(status="failed", errors=["e"], optional=True), "failed (optional)"),
    ],
)
def test_an_outcome_has_its_words(summary: ModelSummary, words: str) -> None:
    assert f'<span class="badge">{words}</span>' in page(summary)


def test_a_plot_is_in_the_page_itself() -> None:
    assert 'src="data:image/png;base64,cGxvdA=="' in page(of(), plots=[b"plot"])
