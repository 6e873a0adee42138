"""The pattern model: what it learns, what it saves and what it refuses to load."""

from __future__ import annotations

import json
import pickle
import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from hypothesis import given
from hypothesis import strategies as st
from sklearn.dummy import DummyClassifier

from data_sources import PATTERN_TYPES, PatternRow
from training.judging.metrics import ProbabilityBins
from training.patterns.audit import audit_patterns
from training.patterns.model import CANDIDATES, PatternModel
from training.patterns.report import plot_reliability, score_lines, verdict
from training.patterns.rows import PatternRows
from training.patterns.trainer import train_patterns
from training.runs.errors import ModelFileError, TrainingError

Row = dict[str, Any]


def pattern(
    entity: str = "light.hall", pattern_type: str = "sequence", *, genuine: bool | None = True, **more: Any
) -> Row:
    """A row as the simulator exports it, without a ground truth if ``genuine`` is None."""
    row: Row = {"entity_id": entity, "pattern_type": pattern_type, "confidence": 0.7, "occurrences": 10, **more}
    if genuine is not None:
        row["ground_truth"] = {"expected_pattern": pattern_type if genuine else "none", "expected_device": entity}
    return row


def records(rows: list[Row]) -> list[PatternRow]:
    return [PatternRow.model_validate(row) for row in rows]


def learnable(entities: int = 40, seed: int = 0) -> list[PatternRow]:
    """Sequences of lights and seasons of locks are mostly genuine, others rarely; frequent patterns a little more."""
    rng, rows = random.Random(seed), []
    for number in range(entities):
        domain = ("light", "lock")[number % 2]
        for _ in range(6):
            kind, often = rng.choice(("sequence", "seasonal")), rng.randrange(1, 60)
            fits = (domain == "light") == (kind == "sequence")
            genuine = rng.random() < (0.85 if fits else 0.1) - 0.1 * (often < 10)
            row = pattern(f"{domain}.room_{number}", kind, genuine=genuine, occurrences=often)
            rows.append({**row, "confidence": round(rng.uniform(0.5, 0.9), 2), "home_id": f"h{number % 4}"})
    return records(rows)


@pytest.fixture(scope="module")
def result() -> Any:
    return train_patterns(learnable())


def test_genuine_is_the_expected_pattern_of_the_expected_device_where_one_is_given() -> None:
    def genuine(expected: Any) -> bool | None:
        return PatternRow.model_validate(pattern(genuine=None, ground_truth=expected)).genuine

    assert genuine({"expected_pattern": "sequence", "expected_device": "light.hall"}) is True
    assert genuine({"expected_pattern": "Sequence"}) is True
    assert genuine({"expected_pattern": "sequence", "expected_device": "light.attic"}) is False
    assert genuine({"expected_pattern": "seasonal", "expected_device": "light.hall"}) is False
    assert genuine({"expected_device": "light.hall"}) is None
    assert genuine(None) is None


def test_frequent_patterns_of_a_fitting_domain_score_above_others(result: Any) -> None:
    rows = [
        pattern("light.new", "sequence", occurrences=40, genuine=None),
        pattern("light.new", "seasonal", occurrences=40, genuine=None),
        pattern("lock.new", "seasonal", occurrences=40, genuine=None),
        pattern("lock.new", "sequence", occurrences=40, genuine=None),
    ]
    light, light_season, lock, lock_sequence = result.model.score(rows)
    assert min(light, lock) > 0.6
    assert max(light_season, lock_sequence) < 0.4


def test_held_out_entities_are_in_no_training_row_and_the_model_beats_both_baselines_on_them(result: Any) -> None:
    measured = result.metrics["test"]
    assert result.split["units"] == {"train": 34, "test": 6}
    assert (measured["rows"], measured["entities"]) == (36, 6)
    assert result.split["rows"] == {"train": 204, "test": 36}
    assert verdict(result.metrics).startswith("The model beats the base rate and the detector's confidence on held-out")
    assert measured["model"]["brier"] < min(row["brier"] for row in measured["baselines"].values())
    assert set(result.metrics["cross_validation"]["candidates"]) == {"base rate", *CANDIDATES}
    assert any("<- chosen" in line for line in score_lines(result.metrics))


def test_labels_without_any_signal_give_the_base_rate_which_beats_nothing() -> None:
    rng = random.Random(1)
    rows = [pattern(f"light.l_{n // 4}", genuine=rng.random() < 0.6) for n in range(160)]
    noise = train_patterns(records(rows))
    assert noise.model.chosen == "base rate"
    assert set(noise.model.score(rows)) == {noise.model.constant}
    assert "does NOT beat" in verdict(noise.metrics)


def test_scores_are_calibrated(result: Any) -> None:
    rows = learnable(entities=200, seed=5)
    label = np.array([bool(row.genuine) for row in rows], dtype=np.float64)
    error = ProbabilityBins().add(result.model.score(rows), label).error()
    assert error < 0.1


@pytest.mark.parametrize(("genuine", "word"), [(True, "reject"), (False, "accept")])
def test_one_class_trains_saves_its_constant_and_says_so(genuine: bool, word: str, tmp_path: Path) -> None:
    rows = records([pattern(f"light.l{n % 4}", genuine=genuine, occurrences=n) for n in range(60)])
    trained = train_patterns(rows)
    (tmp_path / "m.skops").write_bytes(trained.model.to_bytes())
    scores = PatternModel.load(tmp_path / "m.skops").score(rows[:7])
    assert scores.tolist() == [float(genuine)] * 7
    assert f"cannot learn to {word}" in " ".join(audit_patterns(rows).cannot_show)
    assert "Nothing could be learnt" in verdict(trained.metrics)


def test_few_entities_are_scored_in_sample_under_that_name() -> None:
    trained = train_patterns(learnable(entities=8))
    assert "test" not in trained.metrics
    assert trained.metrics["in_sample"]["rows"] == 48
    assert plot_reliability(trained.metrics) is None
    assert trained.metrics["cross_validation"]["grouped_by"] == "entity"
    assert "Nothing was held out" in verdict(trained.metrics)
    assert "In-sample scores (NOT held out)" in "\n".join(score_lines(trained.metrics))


@pytest.mark.parametrize(
    ("rows", "constant"),
    [
        ([pattern()], 1.0),
        ([pattern(), pattern(genuine=False)], 0.5),
        ([*(pattern(occurrences=n) for n in range(9)), pattern(genuine=False)], 0.9),
    ],
)
def test_rows_too_few_for_two_folds_give_a_constant(rows: list[Row], constant: float) -> None:
    assert train_patterns(records(rows)).model.score(rows) == pytest.approx([constant] * len(rows))


def test_one_entity_is_cross_validated_by_row() -> None:
    rows = [pattern(genuine=n % 20 > 8, occurrences=n % 20) for n in range(100)]
    trained = train_patterns(records(rows))
    assert trained.metrics["cross_validation"]["grouped_by"] == "row"
    assert trained.model.score([pattern(occurrences=19), pattern(occurrences=0)])[0] > 0.7


def test_rows_without_a_truth_are_left_out_and_none_at_all_is_an_error() -> None:
    known = learnable(entities=8)
    unknown = records([pattern(genuine=None, occurrences=n) for n in range(9)])
    assert train_patterns([*unknown, *known]).model.to_bytes() == train_patterns(known).model.to_bytes()
    assert "Without a ground truth: 9 of 57 rows" in " ".join(audit_patterns([*unknown, *known]).cannot_show)
    with pytest.raises(TrainingError, match="none of 9 patterns has a ground truth"):
        train_patterns(unknown)


def test_the_same_rows_in_any_order_give_the_same_bytes_and_another_seed_others(result: Any) -> None:
    rows = learnable()
    random.Random(3).shuffle(rows)
    assert train_patterns(rows).model.to_bytes() == result.model.to_bytes()
    assert train_patterns(rows, seed=1).model.to_bytes() != result.model.to_bytes()


@pytest.mark.parametrize("name", [*CANDIDATES])
def test_every_candidate_can_be_saved_loaded_and_scores_the_same(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("training.patterns.trainer.CANDIDATES", {name: CANDIDATES[name]})
    rows = learnable(entities=14)
    model = train_patterns(rows).model
    assert model.chosen == name
    path = tmp_path / "m.skops"
    path.write_bytes(model.to_bytes())
    assert PatternModel.load(path).score(rows).tolist() == model.score(rows).tolist()
    assert train_patterns(rows).model.to_bytes() == path.read_bytes()


@given(
    st.sampled_from(PATTERN_TYPES),
    st.from_regex(r"[a-z_]{1,9}\.[a-z_0-9]{1,9}", fullmatch=True),
    st.floats(0, 1),
    st.integers(0, 10**400),
    st.none() | st.text(alphabet=st.characters(exclude_categories=("C", "Z")), max_size=9),
)
def test_any_usable_row_has_a_probability(
    result: Any, kind: str, entity: str, sure: float, often: int, name: str | None
) -> None:
    row = pattern(entity, kind, genuine=None, occurrences=often, name=name)
    (score,) = result.model.score([{**row, "confidence": sure}])
    assert 0 <= score <= 1


def test_plain_rows_in_either_spelling_and_records_score_alike(result: Any) -> None:
    row = pattern(occurrences=33, genuine=None)
    scores = result.model.score([row, {"pattern": row}, PatternRow.model_validate(row), {**row, "ground_truth": None}])
    assert len(set(scores.tolist())) == 1
    assert result.model.score([]).shape == (0,)
    with pytest.raises(ValueError, match=r"row 2: occurrences: -1 - expected a whole number from 0 up"):
        result.model.score([row, {**row, "occurrences": -1}])


def _of_another_kind() -> bytes:
    return bytes(skops.io.dumps({"model_type": "other", "format": 1}))


def _of_a_later_format() -> bytes:
    return bytes(skops.io.dumps({"model_type": "pattern_detection", "format": 2}))


def _with_a_foreign_type() -> bytes:
    held = {"model_type": "pattern_detection", "format": 1, "pipeline": np.random.default_rng, "calibration": exec}
    return bytes(skops.io.dumps(held))


def _without_a_pipeline_that_scores() -> bytes:
    held = {"model_type": "pattern_detection", "format": 1, "chosen": next(iter(CANDIDATES)), "constant": 0.5}
    return bytes(skops.io.dumps({**held, "pipeline": DummyClassifier(), "calibration": None, "provenance": "{}"}))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda: b"", "is no model file"),
        (lambda: b"PK\x03\x04 cut", "is no model file"),
        (lambda: pickle.dumps({"model_type": "pattern_detection"}), "is no model file"),
        (_of_another_kind, "holds no pattern model"),
        (_of_a_later_format, "is of format 2, this program reads 1"),
        (_with_a_foreign_type, "which a pattern model does not"),
        (_without_a_pipeline_that_scores, "is broken"),
    ],
)
def test_a_file_that_is_no_pattern_model_is_refused_in_one_line(
    content: Callable[[], bytes], why: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.skops"
    path.write_bytes(content())
    with pytest.raises(ModelFileError, match=why) as failure:
        PatternModel.load(path)
    assert str(failure.value).startswith(f"{path}: ")
    assert "\n" not in str(failure.value)


def test_the_audit_counts_labels_duplicates_and_conflicts() -> None:
    rows = records(
        [
            pattern(),
            pattern(),
            pattern(genuine=False),
            pattern("lock.a", "duration", genuine=None, home_id=7),
            pattern("lock.a", ground_truth={"expected_pattern": "sequence", "expected_device": "lock.b"}, genuine=None),
        ]
    )
    audit = audit_patterns(rows)
    assert (audit.rows, audit.judged_rows, audit.genuine_rows, audit.other_device_rows) == (5, 4, 2, 1)
    assert (audit.entities, audit.homes, audit.duplicate_rows, audit.conflicting_rows) == (2, 1, 1, 3)
    assert audit.genuine_share == 0.5
    assert audit.pattern_types == {"duration": 1, "sequence": 4}
    assert audit.fingerprint == audit_patterns(rows[::-1]).fingerprint != audit_patterns(rows[1:]).fingerprint
    json.dumps(audit.model_dump(mode="json"))


def test_rows_in_columns_are_the_rows_in_a_tenth_of_the_memory() -> None:
    raw = [
        pattern(f"light.l{i % 40}{'b' * (i % 3)}", genuine=(True, False, None)[i % 3], occurrences=i % 700)
        | {"home_id": f"h{i % 5}", "confidence": i % 100 / 100, "name": "Flur \N{LATIN SMALL LETTER U WITH DIAERESIS}"}
        for i in range(3_000)
    ]
    rows = records(raw)
    tracemalloc.start()
    table = PatternRows(PatternRow.model_validate(row) for row in raw)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held / len(rows) < 150
    assert list(table) == rows
    assert list(map(PatternRow.model_dump_json, table.each())) == list(map(PatternRow.model_dump_json, rows))
    assert list(table.in_order()) == sorted(rows, key=PatternRow.model_dump_json)
    assert [{1: True, 0: False, -1: None}[one] for one in table.genuine] == [row.genuine for row in rows]
    some = table[5:50].select([3, 1])
    assert (list(some), some.entity_ids, some[-1]) == (
        [rows[8], rows[6]],
        [rows[8].entity_id, rows[6].entity_id],
        rows[6],
    )
    assert some.confidence.tolist() == [rows[8].confidence, rows[6].confidence]


def test_reliability_bins_say_where_the_calibration_error_comes_from() -> None:
    probability, label = np.array([0.05, 0.95, 1.0, 0.97]), np.array([1.0, 1.0, 1.0, 0.0])
    filled = ProbabilityBins().add(probability, label)
    bins = filled.reliability()
    assert bins == [
        {"predicted": 0.05, "observed": 1.0, "rows": 1},
        {"predicted": pytest.approx(0.973333), "observed": pytest.approx(0.666667), "rows": 3},
    ]
    error = sum(place["rows"] * abs(place["predicted"] - place["observed"]) for place in bins) / 4
    assert error == pytest.approx(filled.error(), abs=1e-5)
