"""Flags, environment and entry points pick one source; nothing is picked in silence."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ha_folder import write_registry
from pytest_httpserver import HTTPServer
from support import ROOT, SCRIPT, call_process, row

from data_sources import (
    DataSource,
    DataSourceError,
    FormatError,
    Home,
    NotFoundError,
    PatternRow,
    PromptRow,
    SourceNotAvailableError,
    UnsupportedKindError,
    open_source,
)
from data_sources.json_file import JsonSource
from data_sources.production import ProductionSource
from data_sources.sql import SqlSource
from training.runs.errors import ArtifactError
from training.runs.outputs import check_paths_differ

Write = Callable[[str, Any], Path]
ROWS = [row("light.a", "light.b"), row("light.b", "switch.c", 0.5)]


@pytest.fixture(autouse=True)
def _nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty working directory and no variable that names a source."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    for name in ("TRAINING_DATA_DIR", "DATA_API_URL", "DATABASE_URL", "DATABASE_PATH", "API_KEY"):
        monkeypatch.delenv(name, raising=False)


def rows_of(**options: Any) -> int:
    return next(iter(open_source(**options).read(Home))).rows


def test_a_bare_flag_reads_the_variable_and_else_the_sample(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    write("there/gnn_synergy_data.json", ROWS)
    write("cwd/simulation/training_data/gnn_synergy_data.json", ROWS[:1])
    assert rows_of(json_input="") == 1
    monkeypatch.setenv("TRAINING_DATA_DIR", "../there")
    assert rows_of(json_input="") == 2


def test_a_bare_flag_elsewhere_reads_the_sample_of_the_project() -> None:
    assert open_source(json_input="").describe()["location"] == str(ROOT / "simulation" / "training_data")


def test_both_flags_exclude_each_other() -> None:
    with pytest.raises(SourceNotAvailableError, match="exclude each other"):
        open_source(json_input="", data_source="auto")


def test_data_source_is_picked_by_its_shape(write: Write) -> None:
    path = write("x.json", ROWS)
    assert rows_of(data_source=str(path)) == rows_of(data_source=f"file://{path}") == 2
    for spec, kind in {
        "http://host:8006": ProductionSource,
        "https://host": ProductionSource,
        "sqlite:///x.db": SqlSource,
        "sqlite+aiosqlite:///x.db": SqlSource,
        "postgresql+asyncpg://user:secret@host/db": SqlSource,
    }.items():
        source = open_source(data_source=spec)
        assert type(source) is kind
        assert "secret" not in str(source.describe())


def test_what_nothing_reads_is_named_without_its_secrets() -> None:
    with pytest.raises(SourceNotAvailableError, match="ftp://host/x: no source reads this; known are") as failure:
        open_source(data_source="ftp://user:secret@host/x?token=secret")
    assert "secret" not in str(failure.value)


def test_no_flag_is_production_and_never_falls_back_to_json(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    write("cwd/simulation/training_data/gnn_synergy_data.json", ROWS)
    source = open_source()
    assert source.describe()["type"] == "production"
    with pytest.raises(NotFoundError, match="--json-input"):
        list(source.read(Home))


def test_auto_takes_production_where_it_is_healthy(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    httpserver.expect_request("/health").respond_with_json({"status": "healthy"})
    monkeypatch.setenv("DATA_API_URL", httpserver.url_for(""))
    caplog.set_level(logging.INFO)
    source = open_source(data_source="auto")
    assert type(source) is ProductionSource
    assert source.choice is not None
    assert source.choice.startswith("auto: production")
    assert source.choice in caplog.text


@pytest.mark.parametrize("service", ["absent", "unhealthy", "slow", "broken"])
def test_auto_takes_the_json_file_within_2_seconds_and_says_why(
    httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    def slow(_: Any) -> Any:
        from werkzeug import Response

        time.sleep(3)
        return Response("{}")

    request = httpserver.expect_request("/health")
    if service == "slow":
        request.respond_with_handler(slow)
    elif service == "unhealthy":
        request.respond_with_json({"status": "unhealthy"})
    else:
        request.respond_with_data("<html>", status=502)
    monkeypatch.setenv("DATA_API_URL", "http://127.0.0.1:9" if service == "absent" else httpserver.url_for(""))
    started = time.monotonic()
    source = open_source(data_source="auto")
    assert time.monotonic() - started < 2.9
    assert type(source) is JsonSource
    assert source.choice is not None
    assert source.choice.startswith("auto: the JSON file, for http://")


def test_auto_asks_the_database_for_requests() -> None:
    source = open_source(data_source="auto", kind="soft_prompt")
    assert type(source) is JsonSource
    assert "no such database file" in str(source.choice)


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example package, installed as a user would, into a folder of its own."""
    target = tmp_path_factory.mktemp("plugins")
    example = tmp_path_factory.mktemp("example") / "csv_source"
    subprocess.run(["cp", "-r", str(ROOT / "examples" / "csv_source"), str(example)], check=True)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", str(target), str(example)], check=True)
    return target


def train_with(plugins: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return call_process(str(SCRIPT), *arguments, "--dry-run", cwd=cwd, timeout=60, env={"PYTHONPATH": str(plugins)})


def test_another_package_adds_a_scheme(plugins: Path, tmp_path: Path, write: Write) -> None:
    write("pairs.csv", "entity_1,entity_2,confidence\nlight.a,light.b,0.8\nlight.b,switch.c,0.5\nlight.b,switch.d,1\n")
    done = train_with(plugins, tmp_path, "--data-source", "csv://pairs.csv", "--summary-path", "s.json")
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "s.json").read_text())
    assert summary["audit"]["distinct_pairs"] == 3
    assert summary["source"] == {"type": "csv", "location": "pairs.csv"}
    write("bad.csv", "entity_1,entity_2,confidence\nlight.a,light.b,2\n")
    bad = train_with(plugins, tmp_path, "--data-source", "csv://bad.csv")
    assert bad.returncode == 1
    assert "bad.csv: line 2: confidence: 2.0 - expected a number from 0 to 1 (it is the only row)" in bad.stderr
    assert "line 2: confidence: 2.0 - expected a number from 0 to 1" in bad.stderr


def test_a_package_that_cannot_be_imported_is_named_with_its_cause(plugins: Path, tmp_path: Path) -> None:
    for module in plugins.glob("csv_source*.py"):
        broken = tmp_path / "broken"
        subprocess.run(["cp", "-r", str(plugins), str(broken)], check=True)
        (broken / module.name).write_text("import a_module_that_is_not_there\n")
    done = train_with(broken, tmp_path, "--data-source", "csv://x.csv")
    assert done.returncode == 1
    assert "package example-csv-source registers it but cannot be imported" in done.stderr
    assert "No module named 'a_module_that_is_not_there'" in done.stderr
    verbose = train_with(broken, tmp_path, "--data-source", "csv://x.csv", "--verbose")
    assert "ModuleNotFoundError" in verbose.stderr, "the true cause is chained"


class _EntryPoint:
    """A registered scheme, as ``entry_points`` gives it."""

    dist = None
    module = "a_package"
    name = "mine"

    def __init__(self, loaded: Any) -> None:
        self._loaded = loaded

    def load(self) -> Any:
        if isinstance(self._loaded, Exception):
            raise self._loaded
        return self._loaded


class _Plugin(DataSource):
    def __init__(self, spec: str, *, strict: bool, max_samples: int | None = None, gives: Any = ()) -> None:
        super().__init__(strict=strict)
        self._gives = gives

    def _read(self, record: Any) -> Any:
        yield from self._gives

    def describe(self) -> dict[str, str]:
        return {"type": "mine", "location": "somewhere"}


class _NotReady(_Plugin):
    def __init__(self, spec: str, **options: Any) -> None:
        """No call of super()."""


class _WithoutLocation(_Plugin):
    def describe(self) -> dict[str, str]:
        return {"type": "mine"}


def _raises(error: Exception) -> Any:
    def opener(spec: str, **options: Any) -> DataSource:
        raise error

    return opener


@pytest.mark.parametrize(
    ("loaded", "why"),
    [
        (SyntaxError("invalid syntax\n\x1b[31m"), r"cannot be imported (SyntaxError: invalid syntax\n"),
        (RuntimeError("no licence"), "cannot be imported (RuntimeError: no licence)"),
        (_raises(KeyError("MY_TOKEN")), "cannot open it (KeyError: 'MY_TOKEN')"),
        (_raises(ValueError()), "cannot open it (ValueError)"),
        (lambda spec: None, "cannot open it (TypeError: "),
        (lambda spec, **options: None, "opens NoneType, expected a DataSource"),
        (lambda spec, **options: [row("light.a", "light.b")], "opens list, expected a DataSource"),
        ("no function", "cannot open it (TypeError: "),
        (_NotReady, "_NotReady is not ready: its __init__ has to call super().__init__()"),
        (_WithoutLocation, "cannot open it (KeyError: 'location')"),
    ],
)
def test_a_fault_of_a_package_is_one_line_with_its_name(monkeypatch: pytest.MonkeyPatch, loaded: Any, why: str) -> None:
    monkeypatch.setattr("data_sources.resolve.entry_points", lambda group: [_EntryPoint(loaded)])
    with pytest.raises(SourceNotAvailableError) as failure:
        open_source(data_source="mine://x")
    assert str(failure.value).startswith("--data-source mine://: package a_package registers it but ")
    assert why in str(failure.value)
    assert str(failure.value).isprintable()


def test_an_error_that_a_package_declares_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    opener = _raises(NotFoundError("mine://x: set MY_TOKEN"))
    monkeypatch.setattr("data_sources.resolve.entry_points", lambda group: [_EntryPoint(opener)])
    with pytest.raises(NotFoundError, match=r"^mine://x: set MY_TOKEN$"):
        open_source(data_source="mine://x")


def test_the_documented_source_works_as_it_is_printed(monkeypatch: pytest.MonkeyPatch, write: Write) -> None:
    page = (ROOT / "docs" / "how-to" / "add-a-data-source.md").read_text()
    printed: dict[str, Any] = {}
    exec(page.split("```python\n")[1].split("```")[0], printed)
    entry = _EntryPoint(printed["open_log"])
    entry.name = "log"
    monkeypatch.setattr("data_sources.resolve.entry_points", lambda group: [entry])
    good = {"entity_id": "light.a", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3}
    path = write("x.log", "\n".join(map(json.dumps, [good] * 20 + [{"entity_id": "light.b"}])))
    source = open_source(data_source=f"log://{path}")
    assert len(list(source.read(PatternRow))) == 20
    assert source.report.reasons[0].startswith("line 21: pattern_type: missing")
    with pytest.raises(UnsupportedKindError, match=r"x\.log: a log holds patterns only, no gnn_synergy"):
        list(source.read(Home))


def test_a_description_that_fails_later_is_one_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(_Plugin):
        def describe(self) -> dict[str, str]:
            self.asked = getattr(self, "asked", 0) + 1
            return {"type": "mine", "location": "somewhere"} if self.asked < 2 else {}["type"]

    monkeypatch.setattr("data_sources.resolve.entry_points", lambda group: [_EntryPoint(Forgetful)])
    source = open_source(data_source="mine://x")
    with pytest.raises(DataSourceError, match=r"^Forgetful\.describe: fails \(KeyError: 'type'\)$"):
        source.safe_description()


@pytest.mark.parametrize("given", [{"entity_1": "light.a"}, None, PromptRow(query="q", suggestion="s")])
def test_a_record_of_the_wrong_kind_is_said_to_be_that(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    def opener(spec: str, **options: Any) -> DataSource:
        return _Plugin(spec, gives=[given], **options)

    monkeypatch.setattr("data_sources.resolve.entry_points", lambda group: [_EntryPoint(opener)])
    name = type(given).__name__
    with pytest.raises(FormatError, match=rf"^somewhere: _Plugin\._read gives {name}, expected Home$"):
        list(open_source(data_source="mine://x").read(Home))


@pytest.mark.parametrize(
    ("source", "read", "others"),
    [
        ("", ["gnn_synergy_data.json", "soft_prompt_data.jsonl.gz"], ["summary.json", "sub/gnn_synergy_data.json"]),
        ("gnn_synergy_data.json", ["gnn_synergy_data.json"], ["soft_prompt_data.json"]),
        ("file://{}/gnn_synergy_data.json", ["gnn_synergy_data.json"], ["a.json"]),
        ("sqlite:///{}/a.db", ["a.db", "a.db-wal"], ["b.db"]),
        (
            "homeassistant:{}/config",
            ["config/automations.yaml", "config/packages/x.yaml", "config/.storage/core.entity_registry"],
            ["config/models/gnn_synergy.pth", "config/suggested.json", "automations.yaml"],
        ),
        (
            "homeassistant:{}/registries",
            ["registries/core.entity_registry"],
            ["registries/out.json", "registries/suggestions_feedback.jsonl", "core.entity_registry"],
        ),
        ("homeassistant:{}/config/.storage", ["config/.storage/core.area_registry", "config/automations.yaml"], ["x"]),
    ],
)
def test_a_source_knows_which_files_it_reads(tmp_path: Path, source: str, read: list[str], others: list[str]) -> None:
    write_registry(tmp_path / "config", "entity", [])
    write_registry(tmp_path, "entity", []).parent.rename(tmp_path / "registries")
    (tmp_path / "gnn_synergy_data.json").write_text("[]")
    opened = open_source(data_source=source.format(tmp_path) if ":" in source else str(tmp_path / source))
    assert [name for name in (*read, *others) if opened.reads((tmp_path / name).resolve())] == read


@pytest.mark.parametrize("source", ["rows.json", "file://{}/rows.json", "sqlite:///{}/rows.json", "config"])
def test_a_second_spelling_of_a_file_that_is_read_is_that_file(tmp_path: Path, source: str) -> None:
    """A second name stands for the other spelling, which only some file systems take."""
    own = tmp_path / "rows.json"
    own.write_text("[]")
    if source == "config":
        own = write_registry(tmp_path / "config", "entity", [])
    spelt = own.with_name("ROWS.JSON")
    spelt.hardlink_to(own)
    opened = open_source(data_source=source.format(tmp_path) if ":" in source else str(tmp_path / source))
    with pytest.raises(ArtifactError, match=r"ROWS\.JSON: is both the data and the output"):
        check_paths_differ(opened, output=spelt)
    with pytest.raises(ArtifactError, match="is both the html and the output"):
        check_paths_differ(html=own, output=spelt)
    check_paths_differ(opened, kept={"data": own, "model": own}, output=tmp_path / "other.json")
