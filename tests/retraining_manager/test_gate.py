"""The verdict on a candidate, from what was measured alone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retraining_manager.gate import Thresholds, Verdict, decide
from retraining_manager.models import SPECS
from training.runs.comparison import Comparison, ModelScores

SPEC = SPECS["gnn_synergy"]
OLD = "20260101T000000000Z-00000000"
score = st.floats(0, 1, allow_nan=False)


def scored(value: float | None, **more: Any) -> ModelScores:
    return ModelScores(scores={"mrr": value}, **more)


def verdict(
    candidate: float | None = 0.8,
    champion: float | ModelScores | None = None,
    baseline: float | None = 0.5,
    thresholds: Thresholds | None = None,
    **more: Any,
) -> Verdict:
    accept_weak = more.pop("accept_weak", False)
    side = champion if isinstance(champion, ModelScores) else None if champion is None else scored(champion)
    comparison = Comparison(
        model_type="gnn_synergy",
        **{"held_out": True, "reason": "few pairs", "rows": 50, "fingerprint": "f" * 64, **more},
        candidate=more.get("candidate", scored(candidate)),
        champion=side,
        baselines={"counting": {"mrr": baseline}},
    )
    return decide(SPEC, comparison, None if champion is None else OLD, thresholds, accept_weak=accept_weak)


@pytest.mark.parametrize(
    ("candidate", "champion", "baseline", "blessed", "blessed_weak"),
    [
        (0.80, 0.70, 0.50, True, True),
        (0.80, 0.81, 0.50, True, True),  # lost 1.2 %, the tolerance is 2 %
        (0.80, 0.84, 0.50, False, False),  # lost 4.8 %
        (0.50, 0.40, 0.50, False, True),  # only as good as the baseline
        (0.49, 0.40, 0.50, False, True),
        (1.00, 1.00, 1.00, True, True),  # nothing can be better
        (0.00, 0.00, 0.00, False, True),
    ],
)
def test_blessed_is_what_beats_the_baselines_and_is_not_worse_than_what_is_live(
    candidate: float, champion: float, baseline: float, blessed: bool, blessed_weak: bool
) -> None:
    found, weak = (verdict(candidate, champion, baseline, accept_weak=accept) for accept in (False, True))
    assert (found.blessed, weak.blessed) == (blessed, blessed_weak)
    assert found.reasons
    assert weak.accept_weak


@given(better=score, worse=score, champion=score, baseline=score)
def test_a_better_candidate_is_never_refused_where_a_worse_one_is_blessed(
    better: float, worse: float, champion: float, baseline: float
) -> None:
    worse, better = sorted((worse, better))
    assert verdict(better, champion, baseline).blessed >= verdict(worse, champion, baseline).blessed
    assert verdict(worse, champion, baseline).blessed <= verdict(worse, champion, baseline, accept_weak=True).blessed


@pytest.mark.parametrize(
    ("candidate", "champion", "tolerance", "blessed"),
    [(0.9, 0.9, 0.1, True), (0.82, 0.9, 0.1, True), (0.8, 0.9, 0.1, False), (0.1, 0.9, 0.99, True)],
)
def test_what_fails_on_the_rows_that_the_champion_went_live_on_is_refused_whatever_tonight_s_rows_say(
    candidate: float, champion: float, tolerance: float, blessed: bool
) -> None:
    def on(rows: int) -> Comparison:
        sides = {"candidate": scored(candidate), "champion": scored(champion)}
        return Comparison(model_type="gnn_synergy", held_out=True, reason="r", rows=rows, fingerprint="e" * 64, **sides)

    found = verdict(0.9, 0.5, on_champion_rows=on(50), thresholds=Thresholds(champion_rows_tolerance=tolerance))
    assert found.blessed == blessed
    assert any("rows that 20260101T000000000Z-00000000 went live on" in reason for reason in found.reasons)
    assert verdict(0.9, 0.5, on_champion_rows=on(2)).blessed, "two rows tell nothing"
    assert not verdict(0.4, 0.9, on_champion_rows=on(50)).blessed, "nor do they make up for tonight's"


def test_the_first_version_says_that_there_is_no_baseline_version() -> None:
    found = verdict()
    assert found.blessed
    assert found.champion is None
    assert "no baseline version: nothing is live yet" in found.reasons[-1]


def test_a_champion_that_cannot_be_loaded_is_no_baseline_version_either() -> None:
    found = verdict(champion=ModelScores(error="x.pth: is not a model file"))
    assert found.blessed
    assert f"no baseline version: {OLD} cannot be compared with (x.pth: is not a model file)" in found.reasons


def test_where_the_champion_saw_the_rows_the_candidate_s_own_score_decides_and_the_verdict_says_so() -> None:
    seen = ModelScores(left_out=50, not_compared="50 of the 50 test pairs were left out")
    for candidate, blessed in ((0.8, True), (0.4, False)):
        found = verdict(candidate, seen)
        assert (found.blessed, found.held_out) == (blessed, True)
        told = f"no comparison with {OLD}: 50 of the 50 test pairs were left out. The candidate's own score and the"
        assert any(reason.startswith(told) for reason in found.reasons)


def test_without_any_score_a_champion_that_has_one_stays() -> None:
    for held_out, blessed in ((True, False), (False, True)):
        comparison = Comparison(
            model_type="gnn_synergy", held_out=True, reason="all 9 test pairs were left out", rows=0, fingerprint="",
            candidate=ModelScores(), champion=ModelScores(left_out=9),
        )  # fmt: skip
        found = decide(SPEC, comparison, OLD, champion_held_out=held_out)
        assert (found.blessed, found.held_out) == (blessed, False)
    assert "Neither has a score, so the newer one is taken" in found.reasons[-1]


@pytest.mark.parametrize(
    ("candidate", "held_out", "champion_held_out", "blessed", "told"),
    [
        (0.8, True, True, True, "only thresholds and cheap baselines were checked"),
        (0.4, True, True, False, "only thresholds and cheap baselines were checked"),
        (0.8, False, False, True, "only thresholds were checked"),
        (0.8, False, True, False, "only thresholds were checked"),
        (None, True, True, False, "no comparison with"),
        (None, False, True, False, "no comparison with"),
    ],
)
def test_a_champion_of_the_sample_gives_way_to_what_was_checked_and_the_verdict_says_what_was(
    candidate: float | None, held_out: bool, champion_held_out: bool, blessed: bool, told: str
) -> None:
    comparison = Comparison(
        model_type="gnn_synergy", held_out=held_out, reason="few pairs", rows=9, fingerprint="",
        candidate=scored(candidate), champion=scored(None), baselines={"counting": {"mrr": 0.5}},
    )  # fmt: skip
    found = decide(SPEC, comparison, OLD, champion_held_out=champion_held_out, champion_of_sample=True)
    assert found.blessed is blessed
    assert told in found.reasons[-1]
    assert decide(SPEC, comparison, OLD, champion_held_out=True, champion_of_sample=True, accept_weak=True).blessed


def test_the_first_version_says_what_was_checked() -> None:
    assert verdict().reasons[-1].endswith("only thresholds and cheap baselines were checked")
    assert verdict(thresholds=Thresholds(beat_baselines=False)).reasons[-1].endswith("only thresholds were checked")
    assert verdict(None).reasons[-1].endswith("nothing was checked, for the candidate has no score")


def test_a_candidate_that_cannot_be_loaded_is_refused() -> None:
    found = verdict(candidate=None, champion=0.5)
    broken = decide(
        SPEC,
        Comparison(
            model_type="gnn_synergy",
            held_out=True,
            reason="",
            rows=0,
            fingerprint="",
            candidate=ModelScores(error="broken"),
            champion=scored(0.1),
        ),
        OLD,
    )
    assert not found.blessed
    assert not broken.blessed
    assert broken.reasons[0] == "the candidate cannot be used: broken"


def test_a_perfect_baseline_cannot_be_beaten_and_is_met() -> None:
    assert verdict(1.0, baseline=1.0).blessed
    assert not verdict(0.99, baseline=1.0).blessed
    assert not verdict(0.7, baseline=0.7).blessed, "as good is not better where better is possible"


def test_a_minimum_holds_even_for_what_is_accepted_weak() -> None:
    found = verdict(0.3, thresholds=Thresholds(minimum=0.4), accept_weak=True)
    assert not found.blessed
    assert "0.3000 is below the minimum of 0.4000" in found.reasons[0]


def test_too_few_rows_compare_nothing_and_say_so() -> None:
    found = verdict(0.8, 0.9, rows=2)
    assert found.blessed
    assert f"no comparison with {OLD}: 2 rows, it takes 3" in found.reasons


def test_without_a_held_out_score_baselines_do_not_count_and_what_is_live_still_does() -> None:
    assert verdict(0.5, baseline=1.0, held_out=False).blessed
    assert verdict(0.9, 0.9, baseline=1.0, held_out=False).blessed
    assert not verdict(0.5, 0.9, baseline=0.1, held_out=False).blessed
    assert not verdict(None, 0.9).blessed, "what has a score is not replaced by what has none"
    assert verdict(None, scored(None)).blessed, "nothing tells them apart, and the newer one saw the newer data"


def test_rows_left_out_stand_in_the_reasons() -> None:
    found = verdict(champion=scored(0.5, left_out=7, notes=["it does not say what it was trained on"]))
    assert any("7 rows left out" in reason for reason in found.reasons)
    assert "it does not say what it was trained on" in found.reasons


def test_a_threshold_may_have_the_name_it_had_before() -> None:
    assert Thresholds.model_validate({"kept_tolerance": 0.3}) == Thresholds(champion_rows_tolerance=0.3)


@pytest.mark.parametrize("bad", [{"tollerance": 0.1}, {"tolerance": 1.0}, {"minimum": float("nan")}])
def test_a_threshold_that_makes_no_sense_is_an_error(bad: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Thresholds.model_validate(bad)
