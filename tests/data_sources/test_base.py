"""Whatever a source raises, its user gets one line that names the source."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import ROOT

from data_sources import DataSource, DataSourceError, Home, NoRecordsError, PatternRow, PromptRow, UnsupportedKindError

ROW = PromptRow(query="lamp on", suggestion="turn on the lamp")


class Broken(DataSource):
    """Gives ``rows`` rows and then raises ``error``, if any."""

    def __init__(self, error: BaseException | None, rows: int = 0) -> None:
        super().__init__()
        self._error, self._rows = error, rows

    def describe(self) -> dict[str, str]:
        return {"type": "broken", "location": "x://here"}

    def _read(self, record: Any) -> Iterator[Any]:
        yield from [ROW] * self._rows
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ValueError("bad\nvalue"), r"x://here: cannot be read (ValueError: bad\nvalue)"),
        (KeyError("größe"), r"x://here: cannot be read (KeyError: 'gr\xf6\xdfe')"),
        (AssertionError(), "x://here: cannot be read (AssertionError)"),
        (OSError(5, "I/O error"), "x://here: cannot be read (OSError: [Errno 5] I/O error)"),
    ],
)
@pytest.mark.parametrize("rows", [0, 2])
def test_what_a_source_raises_becomes_one_line_with_its_cause(error: Exception, message: str, rows: int) -> None:
    source = Broken(error, rows).read(PromptRow)
    assert [next(source) for _ in range(rows)] == [ROW] * rows
    with pytest.raises(DataSourceError) as failure:
        next(source)
    assert str(failure.value) == message
    assert failure.value.__cause__ is error


def test_a_very_long_reason_stays_a_line() -> None:
    with pytest.raises(DataSourceError) as failure:
        list(Broken(ValueError("x" * 10_000)).read(PromptRow))
    assert len(str(failure.value)) < 250


@pytest.mark.parametrize("error", [NoRecordsError("said by the source"), MemoryError(), KeyboardInterrupt()])
def test_what_a_source_says_itself_and_what_is_not_its_fault_stays_as_it_is(error: BaseException) -> None:
    with pytest.raises(type(error)) as failure:
        list(Broken(error).read(PromptRow))
    assert failure.value is error


def test_an_error_of_who_reads_is_no_error_of_the_source() -> None:
    def consume() -> None:
        for _ in Broken(None, 1).read(PromptRow):
            raise ValueError("of the reader")

    with pytest.raises(ValueError, match="of the reader"):
        consume()


def test_a_source_that_cannot_even_say_where_it_is_is_named_by_its_class() -> None:
    class Nameless(Broken):
        def describe(self) -> dict[str, str]:
            return {}

    with pytest.raises(DataSourceError, match="Nameless: cannot be read"):
        list(Nameless(None).read(PromptRow))


@pytest.fixture
def open_csv() -> Callable[[str], DataSource]:
    spec = importlib.util.spec_from_file_location("csv_source", ROOT / "examples" / "csv_source" / "csv_source.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    opener: Callable[[str], DataSource] = module.open_csv
    return opener


def test_the_example_names_its_file_whatever_is_wrong_with_it(
    open_csv: Callable[[str], DataSource], tmp_path: Path
) -> None:
    path = tmp_path / "pairs.csv"
    source = open_csv(f"csv://{path}")
    with pytest.raises(DataSourceError, match=r"pairs\.csv: cannot be read \(FileNotFoundError: "):
        list(source.read(Home))
    path.write_bytes("entity_1,entity_2,confidence\nlight.küche,light.b,0.8\n".encode("latin-1"))
    with pytest.raises(DataSourceError, match=r"pairs\.csv: cannot be read \(UnicodeDecodeError: "):
        list(source.read(Home))
    path.write_text("entity_1,entity_2,confidence\nlight.a,light.b,0.8\n")
    (home,) = source.read(Home)
    assert [(s.trigger, s.action) for s in home.synergies] == [("light.a", "light.b")]
    with pytest.raises(UnsupportedKindError, match="no pattern_detection"):
        list(source.read(PatternRow))
