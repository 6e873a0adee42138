"""The page of a night's run: what it says of each model, and that no text from data is more than text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from retraining_manager.page import Past, render_page
from retraining_manager.pipeline import pipeline_summary
from retraining_manager.summaries import ModelSummary
from training.pages.charts import VersionScore

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


def page(*models: ModelSummary, past: Past | None = None, earlier: Sequence[ModelSummary] = (), **more: Any) -> str:
    summary = pipeline_summary(list(models), "2026-01-01T03:00:00.000+00:00", 92.0) | more
    return render_page(summary, models, {GNN: past or Past()}, earlier)


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
    before = of(model_type="yaml_generation", status="failed", errors=[text()])
    past = Past(
        [VersionScore(text(), 0.1, True, True), VersionScore(text(), None), VersionScore("c", 0.2)],
        [text()],
        (text(), [text()]),
        {"Page": Path(f"/x/{text()}")},
    )
    return page(failed, skipped, past=past, earlier=[before], who=text(), message=text())


def test_every_text_from_data_is_shown_and_none_is_read_as_html() -> None:
    numbers = itertools.count()

    def hostile() -> str:
        return (
            f"</style></section><script>alert({next(numbers)})</script><img src=x onerror='steal()'>\"' & {{{{ 7 }}}}"
        )

    content = page_of_texts(hostile)
    found = Reader(content)
    shown = {int(number) for number in re.findall(r"<script>alert\((\d+)\)</script>", found.text)}
    in_attributes = {int(number) for number in re.findall(r"alert%28(\d+)%29", content)}
    assert len(in_attributes) == 1, "the address of a page"
    drawn = {int(number) for number in re.findall(r"alert\((\d+)\)", found.text)}
    assert shown | drawn | in_attributes == set(range(next(numbers)))
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


def test_a_run_of_one_model_keeps_the_others_on_the_page() -> None:
    night = of(model_type="soft_prompt", status="failed", errors=["no rows"], timestamp="2026-01-01T03:00:00+00:00")
    text = " ".join(Reader(page(of(promoted=True), earlier=[night])).text.split())
    assert "gnn_synergy published" in text
    assert "soft_prompt failed Not in this run; its last one ended 2026-01-01 03:00 UTC" in text
    assert "no rows" in text


def test_the_history_of_scores_and_moves_is_shown_with_why_the_last_candidate_was_refused() -> None:
    past = Past(
        [VersionScore("v1", 0.5, True, True), VersionScore("v2", 0.4)],
        ["2026-01-01 03:00: v1 (BLESSED: beaten)"],
        ("v2", ["worse by more than 2%"]),
        {"Page of the live version": Path("/x/a b/gnn_synergy_report.html")},
    )
    content = page(of(status="skipped", message="too few rows"), past=past)
    text = " ".join(Reader(content).text.split())
    assert "MRR of each version" in text
    assert "v1: 0.500" in text
    assert "2026-01-01 03:00: v1 (BLESSED: beaten)" in text
    assert "Why the last candidate that was refused, v2, was worse by more than 2%" in text
    assert 'href="/x/a%20b/gnn_synergy_report.html"' in content
