"""What is given by mistake is named: a file of another kind, a folder beside the data, a scheme that is misspelt."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
import time
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support import row

from data_sources import DataSourceError, Home, YamlRow, open_source
from data_sources.base import UnusableRowsError
from data_sources.foreign_files import kind_of_text

Write = Callable[[str, Any], Path]
ROWS = [row("light.a", "light.b")]


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DATABASE_URL", "DATABASE_PATH", "POSTGRES_URL", "DATA_API_URL"):
        monkeypatch.delenv(name, raising=False)


def refused(**source: Any) -> str:
    with pytest.raises(DataSourceError) as failure:
        list(open_source(**source).read(Home))
    return str(failure.value)


def tar(mode: str) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("configuration.yaml"))
    return written.getvalue()


def zipped() -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr(zipfile.ZipInfo("x"), "")  # with a time that does not pass: test ids have the content
    return written.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("backup.tar", tar("w"), "is a tar archive: unpack it and give the folder"),
        ("backup.tar.gz", tar("w:gz"), "is a tar archive: unpack it and give the folder"),
        ("backup.zip", zipped(), "is a zip archive: unpack it and give the folder"),
        ("rows.xlsx", zipped(), "is a spreadsheet: save its rows as JSON"),
        ("rows.parquet", b"PAR1\x15\x04", "is a Parquet file: save its rows as JSON"),
        ("rows.db", b"SQLite format 3\x00\x10\x00", "is a SQLite database: give --data-source sqlite:///rows.db"),
        ("rows.json.xz", b"\xfd7zXZ\x00\x00", "is an xz file: unpack it and give the file"),
        ("model.pkl", b"\x80\x04\x95\x00", "is a Python pickle, which is never opened"),
        ("photo.jpg", b"\xff\xd8\xff\xe0", "is a JPEG image: expected a JSON file"),
        ("photo.webp", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "is a WebP image"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert refused(json_input=name).startswith(f"{name}: {told}")
    assert told in refused(data_source=f"homeassistant:{name}")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("rows.csv", "entity_1,entity_2\nlight.a,light.b\n", "it looks like a CSV table, save its rows as JSON"),
        ("page.json", "<!doctype html>", "it is HTML or XML"),
        ("x.json", "alias: Hall\n", "it looks like YAML"),
        ("x.json", "nonsense!", "line 1 column 1: not JSON"),
    ],
)
def test_a_text_of_another_kind_is_named(write: Write, name: str, text: str, told: str) -> None:
    write(name, text)
    assert told in refused(json_input=name)


@pytest.mark.parametrize("word", ["ustar", "ustar  ", "ustar00"])
def test_json_is_no_archive_for_a_word_in_its_text(tmp_path: Path, word: str) -> None:
    text = json.dumps([row("light.a", "light.b", note=word)])
    at = text.index(word)
    (tmp_path / "rows.json").write_text(text[0] + " " * (257 - at) + text[1:], encoding="utf-8")
    assert (tmp_path / "rows.json").read_bytes()[257:].startswith(word.encode())
    assert len(list(open_source(json_input="rows.json").read(Home))) == 1


def test_looking_at_the_first_line_of_a_text_takes_time_in_proportion_to_it() -> None:
    size = 200_000
    for text in ("a,b" + " " * size + "{", "a," * size, "a" * size + "{", "a b," * size + "["):
        started = time.process_time()
        assert kind_of_text(text) == ""
        assert time.process_time() - started < 1.0, "a search that starts again at each character takes minutes"


def test_the_address_of_a_database_that_is_given_for_json_can_be_used(tmp_path: Path) -> None:
    name = "my?db%20 #a.db"
    with closing(sqlite3.connect(tmp_path / name)) as database:
        database.execute("CREATE TABLE synergy_opportunities (device_ids, confidence)")
        database.execute("""INSERT INTO synergy_opportunities VALUES ('["light.a", "light.b"]', 0.5)""")
        database.commit()
    told = refused(json_input=name)
    assert told.startswith(f"{name}: is a SQLite database: give --data-source sqlite:///")
    assert len(list(open_source(data_source=told.rpartition(" ")[2]).read(Home))) == 1


def test_a_folder_that_may_not_be_read_hides_nothing_beside_it(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may be root, who may read all."""
    write("own/rows.json", ROWS)
    write("above/data/gnn_synergy_data.json", ROWS)
    for folder in ("own", "above"):
        (Path(folder) / "closed").mkdir()
    for name in ("iterdir", "is_file", "is_dir", "stat"):
        monkeypatch.setattr(Path, name, _closed(getattr(Path, name)))
    assert "it has rows.json: give such a file itself" in refused(data_source="own")
    assert "did you mean above/data?" in refused(data_source="above")
    for option in ("own/closed", "homeassistant:own/closed"):
        assert "own/closed: cannot be opened (Permission denied)" in refused(data_source=option)


def _closed(usual: Callable[..., Any]) -> Callable[..., Any]:
    def closed(path: Path, *given: Any, **named: Any) -> Any:
        if "closed" in path.parts[:-1] or (path.name == "closed" and usual.__name__ == "iterdir"):
            raise PermissionError(13, "Permission denied", str(path))
        return usual(path, *given, **named)

    return closed


@pytest.mark.parametrize("option", ["json_input", "data_source"])
@pytest.mark.parametrize("path", ["x" * 5_000, "a/" * 4_000, "homeassistant:" + "x" * 5_000])
def test_what_is_too_long_for_a_path_is_refused_in_one_short_line(option: str, path: str) -> None:
    told = refused(**{option: path})
    assert "cannot be opened (File name too long); give " in told
    assert len(told) < 400


def test_a_folder_without_the_data_says_where_it_may_be(write: Write) -> None:
    for number in range(7):
        write(f"own/home_{number}.json", ROWS)
    write("above/data/gnn_synergy_data.json", ROWS)
    write("parent/config/configuration.yaml", "")
    write("backup/homeassistant/data/configuration.yaml", "")
    write("packed/homeassistant.tar.gz", "")
    (Path("none")).mkdir()
    five = ", ".join(f"home_{number}.json" for number in range(5))
    for source, told in {
        "own": f"it has {five} and 2 more: give such a file itself",
        "above": "did you mean above/data?",
        "parent": "did you mean parent/config?",
        "backup": "did you mean backup/homeassistant/data?",
        "packed": "it has homeassistant.tar.gz: unpack that and give the folder",
        "none": "it is empty",
    }.items():
        assert refused(data_source=source) == f"{source}: no gnn_synergy_data.json in this folder; {told}"
        if source != "above":
            assert told.partition(":")[0] in refused(data_source=f"homeassistant:{source}")


def test_a_folder_of_which_not_all_is_looked_at_counts_no_rest(tmp_path: Path) -> None:
    for number in range(201):
        (tmp_path / f"file_{number:03}").touch()
    assert refused(data_source=str(tmp_path)).endswith(" and many more")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("homeasistant:crlf", "did you mean homeassistant:crlf?"),
        ("homeassitant+http://host:8123", "did you mean homeassistant+http://? "),
        ("postgress://host/x", "did you mean postgres://? "),
        ("auot", "did you mean auto?"),
        ("postgresql:host/db", "did you mean postgresql://host/db?"),
        ("postgres:/host/db", "did you mean postgres://host/db?"),
        ("postgresql+asyncpg:host/db", "did you mean postgresql+asyncpg://host/db?"),
        ("postgressql:host/db", "did you mean postgresql://host/db?"),
        ("mysql:host/db", "did you mean mysql://host/db?"),
        ("sqlite:rows.db", "did you mean sqlite:///rows.db?"),
        ("sqlite:/x/rows.db", "did you mean sqlite:////x/rows.db?"),
        ("sqlite//rows.db", "did you mean sqlite:///rows.db?"),
        ("sqlite///rows.db", "did you mean sqlite:///rows.db?"),
        ("sqlite////x/rows.db", "did you mean sqlite:////x/rows.db?"),
        ("sqlite:", "did you mean sqlite:///...?"),
        ("file///x/rows.json", "did you mean file:///x/rows.json?"),
        ("https///host", "did you mean https://host?"),
        ("env//MY_SOURCE", "did you mean env:MY_SOURCE?"),
        ("env:/MY_SOURCE", "this variable is not set"),
        ("'sqlite:///rows.db'", "did you mean sqlite://? known are"),
        ("'sqlite:///rows.db'", "its quotes are part of the value"),
        ("http://host:port", "'http://host:port': expected the address of a Data API"),
        ("file:/x/rows.json", "did you mean file:///x/rows.json?"),
        ("file:rows.json", "did you mean file://rows.json?"),
        ("http:host:8123", "did you mean http://host:8123?"),
        ("https//host", "did you mean https://host?"),
        ("HTTP:host", "did you mean http://host?"),
        ("homeassistant+http:host:8123", "did you mean homeassistant+http://host:8123?"),
        ("Env:MY_SOURCE", "did you mean env:MY_SOURCE?"),
        ("homeassistant.local:8123", "an address is written homeassistant+http://homeassistant.local:8123 for Home"),
        ("192.168.1.4", "an address is written homeassistant+http://192.168.1.4 for Home Assistant"),
        ("nothing/here", "give --data-source a file, a folder with <model>_data.json, homeassistant:/config"),
        ("C:\\config", "C:\\config: no such file or folder; give --data-source a file"),
        ("homeassistant:C:\\config", "C:\\config: no such file or folder; give the configuration folder"),
    ],
)
def test_a_source_that_is_not_there_says_what_may_be_meant(spec: str, told: str) -> None:
    assert told in refused(data_source=spec)


def test_the_address_of_home_assistant_is_told_apart_from_that_of_a_data_api() -> None:
    told = refused(data_source="http://127.0.0.1:9")
    assert told.startswith("http://127.0.0.1:9: is read as a Data API")
    assert "--data-source homeassistant+http://127.0.0.1:9" in told
    with pytest.raises(DataSourceError, match=r"homeassistant\+http://127\.0\.0\.1:9"):
        list(open_source(data_source="http://127.0.0.1:9", kind=YamlRow.kind).read(YamlRow))


@pytest.mark.parametrize("columns", ["device_ids", "device_ids, confidence"])
def test_a_fault_of_the_database_beside_a_data_api_is_told_as_it_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, columns: str
) -> None:
    with closing(sqlite3.connect(tmp_path / "rows.db")) as database:
        database.execute(f"CREATE TABLE synergy_opportunities ({columns})")
        database.execute("INSERT INTO synergy_opportunities (device_ids) VALUES ('[]')")
        database.commit()
    monkeypatch.setenv("DATABASE_URL", "sqlite:///rows.db")
    told = refused(data_source="http://127.0.0.1:9", strict=True)
    assert "is read as a Data API" not in told
    assert told.startswith("sqlite:///rows.db: ") or "device_ids: '[]' - expected" in told


def test_production_without_its_database_names_the_other_sources() -> None:
    told = refused()
    assert "data/ai_automation.db: no such database file" in told
    assert "--data-source homeassistant:/config" in told
    assert "--json-input" in told


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({}, "row 1: is neither a home, with entities and synergies, nor a synergy, with entity_1, entity_2 and"),
        ({"home_id": "a", "area": []}, 'it has home_id, area; "area" may stand for areas (it is the only row)'),
        ([*ROWS, {}], "it has no keys (1 of 2 rows cannot be used, more than a tenth)"),
        ([*ROWS, *[{}] * 4], "; and 1 more (4 of 5 rows cannot be used, more than a tenth)"),
    ],
)
def test_what_is_wrong_comes_before_how_much_of_it(write: Write, content: Any, told: str) -> None:
    path = write("x.json", content)
    with pytest.raises(UnusableRowsError) as failure:
        list(open_source(json_input="x.json").read(Home))
    assert str(failure.value).startswith("x.json: row ")
    assert told in str(failure.value)
    path.write_text(json.dumps({"entites": [{"entity_id": "light.a"}], "synergy": ROWS}), encoding="utf-8")
    assert refused(json_input="x.json").endswith('"entites" may stand for entities; "synergy" may stand for synergies')
