"""--json-input: files, folders, standard input, arrays, objects and lines, plain or gzipped; and bad ones."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import home, row

from data_sources import (
    DataSourceError,
    FormatError,
    Home,
    NotFoundError,
    PatternRow,
    PromptRow,
    UnusableRowsError,
    open_source,
)
from data_sources.json_file import JsonSource

Write = Callable[[str, Any], Path]
ROWS = [row("light.a", "light.b"), row("light.b", "switch.c", 0.5)]


def read(path: str | Path, **options: Any) -> list[Home]:
    return list(open_source(json_input=str(path), **options).read(Home))


def test_flat_rows_become_one_home_with_the_entities_they_name(write: Write) -> None:
    (only,) = read(write("x.json", ROWS))
    assert [e.entity_id for e in only.entities] == ["light.a", "light.b", "switch.c"]
    assert (only.rows, only.implied) == (2, 3)


def test_one_object_an_array_and_lines_give_the_same_homes(write: Write, tmp_path: Path) -> None:
    homes = [home("a"), home("b", areas=False)]
    lines = "".join(json.dumps(h) + "\n" for h in homes)
    expected = read(write("array.json", homes))
    assert [h.home_id for h in expected] == ["a", "b"]
    assert read(write("lines.jsonl", lines)) == expected
    assert read(write("bom.json", "\ufeff" + json.dumps(homes, indent=2))) == expected
    assert read(write("blank.jsonl", f"\n{lines}\n  \n")) == expected
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    assert read(tmp_path / "x.jsonl.gz") == expected
    (tmp_path / "gzip-without-ending.json").write_bytes(gzip.compress(json.dumps(homes).encode()))
    assert read(tmp_path / "gzip-without-ending.json") == expected
    assert read(write("one.json", homes[0])) == expected[:1]


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".json.gz", ".jsonl.gz"])
def test_a_folder_holds_the_file_of_the_model(tmp_path: Path, ending: str) -> None:
    text = json.dumps(ROWS) if ".json" in ending and "jsonl" not in ending else "\n".join(map(json.dumps, ROWS))
    data = text.encode()
    (tmp_path / f"gnn_synergy_data{ending}").write_bytes(gzip.compress(data) if ending.endswith(".gz") else data)
    assert read(tmp_path)[0].rows == 2


@pytest.mark.parametrize("form", ["array", "lines", "object", "long first line"])
def test_standard_input_is_recognised_by_its_content(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    long = {**home("a"), "note": "x" * 200_000}
    text = {
        "array": json.dumps([home("a"), home("b")]),
        "lines": f"{json.dumps(home('a'))}\n{json.dumps(home('b'))}",
        "object": json.dumps(home("a"), indent=1),
        "long first line": f"{json.dumps(long)}\n{json.dumps(home('b'))}\n",
    }[form]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode()))))
    assert [h.home_id for h in read("-")] == (["a"] if form == "object" else ["a", "b"])


def test_flat_rows_of_several_homes_are_kept_apart(write: Write) -> None:
    homes = read(write("x.json", [{**ROWS[0], "home_id": "a"}, {**ROWS[0], "home_id": "b"}, ROWS[1]]))
    assert [(h.home_id, h.rows) for h in homes] == [("a", 1), ("b", 1), ("home", 1)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty; expected a JSON array or object"),
        (" \n ", "is empty"),
        ("3", "holds a number at the top; expected an array of rows or an object"),
        ('"rows"', "holds a text at the top"),
        ("null", "holds null at the top"),
        ("[]", "holds no gnn_synergy rows; nothing can be learnt or suggested from it"),
        ('[{"a": 1},\n {"b', "line 2 column 3: the file is cut off here"),
        ('[{"a": 1},\n', "line 2 column 1: the file is cut off here"),
        ('[{"a": 1}\n {"b": 2}]', "line 2 column 2: not JSON (expected ',', found '{')"),
        ("[{'a': 1}]", "line 1 column 3: not JSON (Expecting property name enclosed in double quotes"),
        ('{"a": 1}\n{"b": 2}', "line 2 column 1: not JSON (expected nothing after the value; one row a line belongs"),
        ("[1] x", "line 1 column 5: not JSON (expected nothing after the array"),
        ("[" * 200_000, "nested too deep"),
        ("[" + "9" * 5000 + "]", "not usable JSON"),
    ],
)
def test_a_file_that_is_not_json_says_where(write: Write, content: str, message: str) -> None:
    path = write("x.json", content)
    with pytest.raises(FormatError) as failure:
        read(path)
    assert str(failure.value).startswith(f"{path}: ")
    assert message in str(failure.value)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00", "is a PNG image: expected a JSON file"),
        ("[]".encode("utf-16"), "is UTF-16 or UTF-32 text; save it as UTF-8"),
        (gzip.compress(b"[" * 1000, mtime=0)[:-9], "is not a whole gzip file"),
        (b"\x1f\x8bnot gzip", "is not a whole gzip file"),
        (b"[" + b" " * 70_000 + b"\xff]", "is not UTF-8 text (byte 0xff)"),
    ],
)
def test_a_file_that_is_not_text_says_so(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.json: ") as failure:
        read(path)
    assert message in str(failure.value)


def test_missing_paths_say_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file or folder; give --json-input a file, a folder"):
        read(tmp_path / "none.json")
    with pytest.raises(NotFoundError, match=r"no gnn_synergy_data\.json in this folder"):
        read(tmp_path)
    with pytest.raises(NotFoundError, match=r"\'nul\\x00byte\': no such file"):
        read("nul\0byte")


def test_unusable_rows_are_counted_and_explained(write: Write) -> None:
    rows = [row("light.a", f"light.l{i}") for i in range(20)]
    source = JsonSource(write("x.json", [*rows, {**rows[0], "confidence": 2}, row("light.x", "light.x")]))
    assert next(iter(source.read(Home))).rows == 20
    assert source.report.rejected == {"row": 2}
    assert source.report.reasons == [
        "row 21: confidence: 2 - expected a number from 0 to 1",
        "row 22: entity_2: 'light.x' - expected another entity than entity_1",
    ]


def test_strict_stops_at_the_first_unusable_row(write: Write) -> None:
    path = write("x.jsonl", "\n".join(json.dumps(r) for r in [*ROWS * 20, {"entity_1": "light"}]))
    with pytest.raises(UnusableRowsError, match=r"x\.jsonl: line 41: entity_1: 'light' - expected .*--strict"):
        read(path, strict=True)


def test_more_than_a_tenth_unusable_is_fatal_and_a_tenth_is_not(write: Write) -> None:
    good = [row("light.a", f"light.l{i}") for i in range(9)]
    assert read(write("x.json", [*good, 7]))[0].rows == 9
    with pytest.raises(
        UnusableRowsError, match=r"json: row 10: 7 .*\(2 of 11 rows cannot be used, more than a tenth\)"
    ):
        read(write("x.json", [*good, 7, []]))


def test_nested_rows_are_judged_by_their_own_kind(write: Write) -> None:
    bad = home("a")
    bad["synergies"][:3] = [{}, 1, None]
    with pytest.raises(UnusableRowsError, match=r"row 1 synergy 1: entity_1: missing.*3 of 9 synergies"):
        read(write("x.json", [bad]))
    with pytest.raises(UnusableRowsError, match=r"row 2: entities: 3 - expected a list .*1 of 2 homes"):
        read(write("x.json", [home("a"), {"entities": 3}]))
    with pytest.raises(UnusableRowsError, match=r"row 2: home_id: 'a' - expected an id not used before"):
        read(write("x.json", [home("a"), home("a")]))


def test_a_broken_line_is_one_unusable_row_but_a_cut_last_line_is_fatal(write: Write) -> None:
    lines = [json.dumps(row("light.a", f"light.l{i}")) for i in range(20)]
    source = JsonSource(write("x.jsonl", "\n".join([*lines[:3], "{oops", *lines[3:]]) + "\n"))
    assert next(iter(source.read(Home))).rows == 20
    assert source.report.reasons == ["line 4 column 2: not JSON (Expecting property name enclosed in double quotes)"]
    with pytest.raises(FormatError, match=r"line 20 column .*: the file is cut off here"):
        read(write("x.jsonl", "\n".join(lines)[:-5]))


def test_other_kinds_are_read_from_the_same_folder(write: Write, tmp_path: Path) -> None:
    pattern = {"entity_id": "light.a", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3}
    write("pattern_detection_data.json", [pattern])
    (only,) = open_source(json_input=str(tmp_path)).read(PatternRow)
    assert only.occurrences == 3


def test_arrays_and_lines_are_streamed_in_flat_memory(tmp_path: Path) -> None:
    pattern = {"entity_id": "light.a", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3, "x": "y" * 500}
    peaks = {}
    for count in (2_000, 20_000):
        for name, text in {
            "x.json": json.dumps([pattern] * count),
            "x.jsonl": (json.dumps(pattern) + "\n") * count,
        }.items():
            (tmp_path / name).write_text(text)
            source = JsonSource(tmp_path / name)
            tracemalloc.start()
            assert sum(1 for _ in source.read(PatternRow)) == count
            peaks[name, count] = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    for name in ("x.json", "x.jsonl"):
        assert peaks[name, 20_000] < 1.5 * peaks[name, 2_000]


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_no_bytes_end_in_anything_but_records_or_a_line_for_a_person(content: bytes) -> None:
    import tempfile

    for ending in (".json", ".jsonl", ".txt"):
        with tempfile.NamedTemporaryFile(suffix=ending) as file:
            file.write(content)
            file.flush()
            try:
                read(file.name)
            except DataSourceError as error:
                line = str(error)
            else:
                continue
            assert line.startswith(file.name)
            assert "\n" not in line


@given(
    st.lists(
        st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=200_0) | st.floats(allow_nan=False)),
        max_size=30,
    ),
    st.sampled_from([None, 1, "\t"]),
)
def test_the_streaming_reader_agrees_with_the_standard_library(items: list[Any], indent: Any) -> None:
    from data_sources import json_stream

    text = json.dumps(items, indent=indent, ensure_ascii=False)
    stream = io.TextIOWrapper(io.BytesIO(text.encode("utf-8", "surrogatepass")), "utf-8", "surrogatepass")
    chunk, json_stream.CHUNK = json_stream.CHUNK, 7
    try:
        assert list(json_stream.JsonReader(stream, stream.read(3)).items()) == items
    finally:
        json_stream.CHUNK = chunk


def test_rows_that_are_texts_of_json_are_read(write: Callable[[str, Any], Path]) -> None:
    rows = [{"query": f"light {n}", "suggestion": "on"} for n in range(3)]
    path = write("texts.json", [json.dumps(raw) for raw in rows])
    assert [row.query for row in JsonSource(path).read(PromptRow)] == ["light 0", "light 1", "light 2"]


def test_lines_are_numbered_however_long_a_row_is_and_wherever_a_chunk_ends(
    write: Callable[[str, Any], Path],
) -> None:
    good, lines, bad = row("light.a", "light.b"), [], []
    for number in range(1_500):
        line = sum(text.count("\n") + 1 for text in lines) + 1
        if number % 100 == 99:
            bad.append(line)
        one = {**good, "entity_1": "no id" if number % 100 == 99 else f"light.{number}"}
        blank = "" if number % 7 else " \r\n\n"
        lines.append(json.dumps(one, indent=2 if number % 3 == 0 else None) + (blank if number % 100 == 97 else ""))
    source = JsonSource(write("rows.jsonl", "\n".join(lines)))
    (home,) = source.read(Home)
    assert home.rows == 1_500 - len(bad)
    assert source.report.reasons == [
        f"line {line}: entity_1: 'no id' - expected an entity id such as light.kitchen" for line in bad[:5]
    ]
    assert source.report.rejected["row"] == len(bad)


def test_a_line_that_cannot_be_read_is_one_of_all_lines_of_a_file_of_homes(write: Write) -> None:
    """It may have been a home: one of many does not make the others useless."""
    homes = [json.dumps({"home_id": f"h{i}", "entities": [{"entity_id": "light.a"}]}) for i in range(20)]
    source = open_source(json_input=str(write("homes.jsonl", "\n".join([*homes, "no json"]))))
    assert len(list(source.read(Home))) == 20
    assert source.report.reasons == ["line 21 column 1: not JSON (Expecting value)"]
    few = open_source(json_input=str(write("few.jsonl", "\n".join([*homes[:4], "no json"]))))
    with pytest.raises(UnusableRowsError, match="1 of 5 homes and rows"):
        list(few.read(Home))
