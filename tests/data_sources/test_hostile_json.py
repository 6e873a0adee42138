"""Files that are made to cost: blanks, one endless row, depth; and any text at all, read within bounds."""

from __future__ import annotations

import gzip
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import row

from data_sources import KINDS, RECORDS, DataSourceError, FormatError, Home, NoRecordsError, PatternRow, open_source
from data_sources import json_stream as module

Write = Callable[[str, Any], Path]
PATTERN = json.dumps({"entity_id": "light.a", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3})
BLANKS = " " * 20_000_000


def patterns(path: Path) -> int:
    return sum(1 for _ in open_source(json_input=str(path)).read(PatternRow))


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("x.jsonl.gz", BLANKS, 0),
        ("x.json.gz", BLANKS, 0),
        ("x.jsonl.gz", f"{PATTERN}\n{BLANKS}\n{PATTERN}", 2),
        ("x.json.gz", f"[{PATTERN}{BLANKS},{BLANKS}{PATTERN}{BLANKS}]", 2),
        ("x.jsonl.gz", "\n" * 20_000_000 + PATTERN, 1),
    ],
)
def test_blanks_are_skipped_fast_and_never_held(tmp_path: Path, name: str, text: str, rows: int) -> None:
    (tmp_path / name).write_bytes(gzip.compress(text.encode(), 1))
    started = time.monotonic()
    tracemalloc.start()
    try:
        if rows:
            assert patterns(tmp_path / name) == rows
        else:
            with pytest.raises(NoRecordsError if "jsonl" in name else FormatError):
                patterns(tmp_path / name)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("x.jsonl", f'{PATTERN}\n{{"x": "{"y" * 400_000}"}}\n', "line 2 column 1"),
        ("x.jsonl", f'{PATTERN}\n{{"x": {" " * 400_000}1}}\n', "line 2 column 1"),
        ("x.json", f'[{PATTERN},\n {{"x": "{"y" * 400_000}"}}]', "line 2 column 2"),
        ("x.json", f'[{PATTERN},\n {{"x": "{"y" * 400_000}', "line 2 column 2"),
        ("x.json", f'{{"x": "{"y" * 400_000}"}}', "line 1 column 1"),
    ],
)
def test_a_row_that_is_too_large_is_an_error_with_its_place(
    monkeypatch: pytest.MonkeyPatch, write: Write, name: str, text: str, place: str
) -> None:
    monkeypatch.setattr(module, "LARGEST", 200_000)
    path = write(name, text)
    with pytest.raises(FormatError, match=rf"{name}: {place}: one item of more than 0 MB; expected many small ones"):
        patterns(path)


def test_many_broken_lines_cost_no_more_than_they_hold(write: Write) -> None:
    for half in ('{"a": 1, ', '{"a": [1,', "oops", '{"a": "b'):
        path = write("x.jsonl", f"{half}\n" * 3_000 + f"{PATTERN}\n" * 30_000)
        started = time.monotonic()
        assert patterns(path) == 30_000
        assert time.monotonic() - started < 10


# --- any text at all ---

KEYS = st.sampled_from(
    [
        *(
            "entity_1",
            "entity_2",
            "device1",
            "confidence",
            "synergy",
            "relationship",
            "home_id",
            "entities",
            "synergies",
        ),
        *("entity_id", "area_id", "areas", "devices", "name", "query", "suggestion", "response", "pattern", "input"),
        *("pattern_type", "occurrences", "ground_truth", "output", "device_class", "attributes", "disabled_by", "data"),
        *("columns", "rows", "items", "expected_pattern", "yaml", "text", "description", "id", "device_id", "\x1b[31m"),
    ]
)
TEXTS = st.text(max_size=8) | st.sampled_from(
    [
        "light.a",
        "Light.B",
        "sequence",
        "motion",
        "x\n- a",
        "{",
        '{"a": 1}',
        "[]",
        "null",
        "NaN",
        "\ud83d",
        "a\x00b",
        "2.0",
        "",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | TEXTS, inner, max_size=4),
    max_leaves=15,
)
GLUE = st.sampled_from(["\n", "", ",", "\n\n", "\ufeff", "\r\n", " ", "\n]", "\n{", '\n"', "}"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(st.tuples(VALUES, GLUE, st.sampled_from([None, 1])), max_size=4), st.integers(0, 400), st.booleans())
def test_any_json_well_laid_out_or_not_gives_records_or_a_line_for_a_person(
    parts: list[tuple[Any, str, int | None]], cut: int, strict: bool
) -> None:
    text = "".join(json.dumps(value, indent=indent) + glue for value, glue, indent in parts)
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("x.json", text), ("x.jsonl", text), ("y.jsonl", text[:cut]), ("y.txt", text[cut:])):
            path = Path(folder) / name
            path.write_text(content, encoding="utf-8")
            for kind in KINDS:
                source, told = None, ""
                try:
                    source = open_source(json_input=str(path), strict=strict)
                    for record in source.read(RECORDS[kind]):
                        assert isinstance(record, RECORDS[kind])
                        if isinstance(record, Home):
                            record.fingerprint()
                except DataSourceError as error:
                    told = str(error).removeprefix(str(path))
                assert told.isprintable()
                assert not told or told.startswith(": ")
                for reason in source.report.reasons if source is not None else ():
                    assert reason.isprintable()
                    assert reason.isascii()


@given(
    st.lists(st.dictionaries(st.text(max_size=6), VALUES, max_size=4), max_size=20),
    st.sampled_from(["\n", "", ",\n", "\n\ufeff"]),
)
def test_lines_give_back_every_object_however_they_are_joined(items: list[dict[str, Any]], glue: str) -> None:
    import io

    text = glue.join(json.dumps(item, indent=len(item) % 2 or None) for item in items)
    chunk, module.CHUNK = module.CHUNK, 5
    try:
        read = [value for _, value in module.JsonReader(io.StringIO(text)).values()]
    finally:
        module.CHUNK = chunk
    assert json.dumps(read) == json.dumps(items)


def test_a_broken_line_never_takes_a_good_one_with_it(write: Write) -> None:
    good = [json.dumps(row("light.a", f"light.l{n}")) for n in range(40)]
    for broken in (
        '{"a": 1',
        '{"a"',
        '{"a": "b',
        '{"a": {"b": [1',
        "{",
        "}",
        "]",
        "{}}",
        "nul",
        "tru",
        "-",
        "'",
        '"',
        "\\",
        "[" * 3000,
    ):
        lines = [*good[:20], broken, *good[20:]]
        source = open_source(json_input=str(write("x.jsonl", "\n".join(lines))))
        assert next(iter(source.read(Home))).rows == 40, broken
        assert source.report.rejected["row"] in (1, 2), broken
