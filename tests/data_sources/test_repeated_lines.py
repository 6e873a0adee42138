"""Lines that repeat an earlier one but for their confidence count as if each had been decoded."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import row

from data_sources import Home, Shard, open_source, repeated_lines
from data_sources.json_file import JsonSource
from data_sources.repeated_lines import RepeatedLines

# Each is decoded to something else than what one number in place of {} seems to say, or to no usable row at all.
LINES = [
    '{{"entity_1": "light.a", "entity_2": "light.b", "confidence": {}}}',
    '{{"confidence":{},"entity_1":"light.a","entity_2":"light.b"}}\r',
    ' {{"entity_1": "light.a", "entity_2": "light.b", "confidence" : {} , "relationship": {{"type": "t"}}}} ',
    '{{"entity_1": "light.a", "entity_2": "light.b", "confidence": {}, "confidence": 0.25}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "confidence": 0.25, "synergy_score": {}}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "synergy_score": {}, "home_id": "h1"}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "confidence": {}, "home_id": "h2"}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "confidence": {}, "home_id": []}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "note": "\\"confidence\\": {},", "confidence": 0.5}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "note": {{"confidence": {}}}, "confidence": 0.5}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "relationship": {{"confidence": {}}}, "confidence": 0.5}}',
    '{{"synergy": {{"entity_1": "light.a", "entity_2": "light.b", "confidence": {}}}}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "confidence": {}, "synergy_type": ["x"]}}',
    '{{"entity_1": "light.a", "entity_2": "light.b", "confidence": {}, "synergy_type": NaN}}',
    '{{"entity_1": "no id", "entity_2": "light.b", "confidence": {}}}',
    '{{"entity_id": "light.a", "confidence": {}}}',
    '"confidence"',
    "[]",
]
NUMBERS = ["0.5", "0.75", "1.0", "1", "0", "0.0", "1.5", "-0.5", "0.5e-1", "null", "true", "0.1234567890123456"]


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])  # the folder is rewritten
@given(
    st.lists(st.tuples(st.sampled_from(LINES), st.sampled_from(NUMBERS)), min_size=1, max_size=40),
    st.sampled_from(["", "\n", " \n\n"]),
)
def test_lines_read_as_the_same_rows_in_an_array(tmp_path: Path, drawn: list[tuple[str, str]], blank: str) -> None:
    rows = [json.dumps(row("light.c", "light.d")), *(line.format(number) for line, number in drawn)]
    (tmp_path / "rows.jsonl").write_text(f"\n{blank}".join(rows) + "\n")
    (tmp_path / "rows.json").write_text("[" + ",".join(rows) + "]")
    for shard in (Shard(), Shard(0, 2), Shard(1, 2)):
        found = []
        for name in ("rows.jsonl", "rows.json"):
            source = open_source(json_input=str(tmp_path / name), shard=shard)
            homes = list(source.records(Home))  # whatever share of the rows cannot be used
            # What cannot be used is dealt out by its place, which a line and a row call differently.
            places = [re.findall(r"\d+", reason)[0] for reason in source.report.reasons] if not blank else []
            found.append((homes, *((source.report.read, places) if shard.count == 1 else ())))
        assert found[0] == found[1]


@pytest.mark.parametrize(("between", "places"), [("\n", ["line 21", "line 32"]), ("\n\n", ["line 41", "line 63"])])
def test_a_line_that_cannot_be_used_is_told_with_its_own_number(
    write: Callable[[str, Any], Path], between: str, places: list[str]
) -> None:
    good, bad = row("light.a", "light.b", 0.5), row("no id", "light.b", 0.5)
    lines = [{**(bad if number in (20, 31) else good), "confidence": 0.001 * number} for number in range(40)]
    source = JsonSource(write("rows.jsonl", between.join(map(json.dumps, lines))))
    (home,) = source.read(Home)
    assert home.rows == 38
    assert [reason.partition(":")[0] for reason in source.report.reasons] == places


def test_what_cannot_be_used_is_counted_by_one_shard(write: Callable[[str, Any], Path]) -> None:
    good, bad = row("light.a", "light.b", 0.5), {**row("no id", "light.b", 0.5), "home_id": "h0"}
    lines = [good if n % 5 else bad if n % 2 else {**good, "home_id": []} for n in range(100)]
    path = str(write("rows.jsonl", "\n".join(map(json.dumps, lines))))
    rejected = 0
    for index in range(3):
        source = open_source(json_input=path, shard=Shard(index, 3))
        list(source.records(Home))
        rejected += source.report.rejected["row"]
    assert rejected == 20


def test_homes_without_an_id_are_called_by_their_place_among_lines_that_repeat(
    write: Callable[[str, Any], Path],
) -> None:
    lines = [*[row("light.a", "light.b", 0.5)] * 5, {"entities": [{"entity_id": "light.c"}]}]
    as_lines, as_array = (
        [home.home_id for home in open_source(json_input=str(write(name, content))).read(Home)]
        for name, content in (("x.jsonl", "\n".join(map(json.dumps, lines))), ("x.json", lines))
    )
    assert as_lines == as_array == ["home-5", "home"]


def read_lines(numbers: Iterable[int], end: str = "}") -> tuple[RepeatedLines, list[float], int]:
    """Lines of rows, taken or else decoded and learned; the confidences of those taken, and how many were tried."""
    taken: list[float] = []
    tried = 0
    repeated = RepeatedLines(["confidence"])
    for place, number in enumerate(numbers):
        line = f'{{"a": {number}, "confidence": 0.{place}{end}\n'
        if not repeated.take(line, 0):
            tried += repeated.unknown is not None
            repeated.learn({"a": number, "confidence": float(f"0.{place}")}, taken.append)
    return repeated, taken, tried


def test_few_lines_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_lines, "KEPT", 10 * len('{"a": 1, "confidence": }'))
    _, taken, _ = read_lines(place % 5 for place in range(100))
    assert taken == [float(f"0.{place}") for place in range(5, 100)]
    repeated, taken, _ = read_lines(place // 10 for place in range(1_000))  # each ten times in a row, then never again
    assert len(taken) == 900
    assert len(repeated._known) < 20


def test_a_file_whose_lines_repeat_none_or_cannot_be_learned_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeated_lines, "TRIED", 10)
    assert read_lines(place // 10 for place in range(1_000))[2] == 100
    assert read_lines(range(1_000))[1:] == ([], 10)
    assert read_lines([1] * 1_000, end="},")[1:] == ([], 10)  # a line cut out of an array is no JSON by itself
