"""Passwords, keys and tokens that are planted wherever a user may write one: none is shown or kept anywhere."""

from __future__ import annotations

import gzip
import io
import json
import logging
import sqlite3
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from retraining import make_manager
from support import call

from data_sources import masked, without_secrets
from data_sources.masking import KEY_VARIABLES
from training.patterns.command import train as train_patterns
from training.runs.job import SourceChoice
from training.runs.process import configure_logging
from training.synergy.command import train as train_synergies
from training.text.command import train as train_soft_prompt

SECRET = "hunter-XYZZY"
PARTS = ("hunter-XYZZY", "XYZZY")

ADDRESSES = [
    "http://user:{}@h:1/x",
    "http://user:{}/x@h",
    "http:/u:{}@h",
    "u:{}@h:8006",
    "user:{}/x@h",
    "//u:{}@h",
    "https:u:{}@h",
    "postgresql://u:{}@h/db",
    "postgresql+asyncpg://u:a@{}@h/db",
    "postgresql://u:a:{}@h/db",
    "postgresql://u:a#{}@h/db",
    "postgresql://u:a?{}@h/db",
    "postgresql://u:a%{}@h/db",
    "postgresql://u:a\n{}@h/db",
    "postgresql://h/db?password={}",
    "postgresql://h/db?user=u&sslpassword={}",
    "postgresql:/h/db?password={}",
    "http://h/x?token={}",
    "http://h/x?api_key={}",
    "h:8006/?api_key={}",
    "host=h password={} dbname=x",
    "host=h password='a {}' dbname=x",
    "'http://u:{}@h'",
    "http://{}@h/",
]


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_is_shown_without_its_secret_alone_and_in_a_message(address: str) -> None:
    written = address.format(SECRET)
    shown = [without_secrets(written), masked(f"GET {written}: refused"), masked(f"cannot read {written!r}")]
    assert not [text for text in shown if "XYZZY" in text]


@pytest.mark.parametrize(
    "text",
    [
        "/home/me@work/data.json: line 3 column 4",
        "promoted by root@host: better",
        "postgresql+psycopg://user:***@host:5432/db",
        "http://data-api:8006/api/entities?limit=10000&domain=light",
        "query: 'switch the key light on' - expected a text",
        "12:30:01 INFO source a@b",
    ],
)
def test_what_is_no_secret_is_shown_as_it_is(text: str) -> None:
    assert masked(text) == text


def test_the_name_of_a_user_is_no_secret_wherever_it_stands() -> None:
    for address in ("sqlite:///postgresql://some_user:hidden-1@h/db", "//some_user:hidden-2@h", "some_user:hidden-3@h"):
        without_secrets(address)
    assert masked("some_user did it with hidden-1, hidden-2 and hidden-3") == "some_user did it with ***, *** and ***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, SECRET) for name in KEY_VARIABLES),
        ("API_KEY", f"{SECRET}\nsecond-XYZZY"),
        ("DATABASE_URL", f"postgresql://u:{SECRET}@h/db"),
        ("POSTGRES_URL", f"postgresql://u:{SECRET}/x@h/db"),
        ("DATABASE_PATH", f"postgresql:/u:{SECRET}@h/db"),
        ("http_proxy", f"http://user:{SECRET}/x@h"),
        ("ALL_PROXY", f"user:{SECRET}@h:3128"),
    ],
)
def test_a_known_secret_is_taken_out_of_every_log_line_and_traceback(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    out, root = io.StringIO(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setattr(sys, "stderr", out)
    try:
        configure_logging(out, verbose=True, log_file="run.log")
        try:
            raise ValueError(f"a library says: invalid port '{SECRET}'")
        except ValueError as error:
            logging.getLogger("some.library").info("GET %s", SECRET)
            logging.getLogger("training").error("it says %r", [value], exc_info=error)
    finally:
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
    for text in (out.getvalue(), (tmp_path / "run.log").read_text()):
        assert "Traceback" in text
        assert "GET ***" in text
        assert "XYZZY" not in text


def found_in(folder: Path) -> Iterator[str]:
    """The files below a folder, unpacked where they are archives, that hold the secret."""
    for path in folder.rglob("*"):
        if not path.is_file() or path.name.startswith("given"):
            continue
        contents = [path.read_bytes()]
        if contents[0][:2] == b"PK":
            with zipfile.ZipFile(path) as archive:
                contents += [archive.read(name) for name in archive.namelist()]
        elif contents[0][:2] == b"\x1f\x8b":
            contents.append(gzip.decompress(contents[0]))
        if any(b"XYZZY" in content for content in contents):
            yield str(path)


PLANTED = {
    **dict.fromkeys(KEY_VARIABLES, SECRET),
    "http_proxy": f"http://user:{SECRET}/x@127.0.0.1:9",
    "HF_HUB_OFFLINE": "1",
}
COMMANDS = {"synergies": train_synergies, "patterns": train_patterns, "requests": train_soft_prompt}
FAULTS: dict[str, tuple[str, dict[str, str]]] = {
    "proxy": ("", {"DATA_API_URL": "http://data-api:8006", "DATABASE_PATH": "given.db"}),
    "key with a line break": ("", {"API_KEY": f"{SECRET}\nx", "DATA_API_API_KEY": "", "DATA_API_KEY": ""}),
    "api address": ("", {"DATA_API_URL": f"http:/u:{SECRET}@h:8006"}),
    "api without a scheme": ("", {"DATA_API_URL": f"u:{SECRET}@h:8006"}),
    "database url": ("", {"DATABASE_URL": f"postgresql://u:{SECRET}/x@127.0.0.1:9/db"}),
    "database option": ("", {"DATABASE_URL": f"postgresql://127.0.0.1:9/db?password={SECRET}&connect_timeout=2"}),
    "database path": ("", {"DATABASE_PATH": f"postgresql://u:{SECRET}@h/db"}),
    "database path with an option": ("", {"DATABASE_PATH": f"postgresql://h/db?sslpassword={SECRET}"}),
    "data source": (f"--data-source=postgresql://u:a@{SECRET}#1@127.0.0.1:9/db", {}),
    "unknown scheme": (f"--data-source=nothing://u:{SECRET}@h/db", {}),
    "json": (f"--json-input=http://u:{SECRET}@h/rows.json", {}),
    "json by one slash": (f"--json-input=http:/h/rows.json?token={SECRET}", {}),
    "variable": ("--data-source=env:SOURCE", {"SOURCE": f"postgresql://u:{SECRET}@127.0.0.1:9/db?connect_timeout=2"}),
}


def database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE synergy_opportunities (device_ids, confidence)")
        connection.execute("""INSERT INTO synergy_opportunities VALUES ('["light.a", "light.b"]', 0.5)""")
    connection.close()


@pytest.mark.parametrize("fault", FAULTS)
def test_no_failure_shows_a_secret_whether_verbose_or_not(fault: str, tmp_path: Path) -> None:
    argument, variables = FAULTS[fault]
    database(tmp_path / "given.db")
    for model, command in COMMANDS.items():
        for verbose in ([], ["--verbose"]):
            done = call(
                command,
                *([argument] if argument else []),
                *(["--force"] if model == "synergies" else []),
                *("--dry-run", "--summary-path", "summary.json"),
                *verbose,
                cwd=tmp_path,
                env={**PLANTED, **variables},
            )
            assert done.returncode == 1, (model, done.stdout)
            assert "XYZZY" not in done.stdout + done.stderr, (model, verbose)
            assert list(found_in(tmp_path)) == []


def test_db_path_may_be_an_address_and_is_refused_without_its_secret(tmp_path: Path) -> None:
    for address in (f"postgresql://u:{SECRET}@127.0.0.1:9/db", f"postgresql://127.0.0.1:9/db?password={SECRET}"):
        done = call(train_soft_prompt, "--db-path", address, "--verbose", cwd=tmp_path)
        assert done.returncode == 1
        assert "XYZZY" not in done.stdout + done.stderr
    assert list(found_in(tmp_path)) == []


@pytest.mark.slow
def test_a_training_that_succeeds_keeps_no_secret_in_what_it_writes(tmp_path: Path) -> None:
    database_file = tmp_path / "given.db"
    with sqlite3.connect(database_file) as connection:
        connection.execute(
            "CREATE TABLE pattern_detection (entity_id, pattern_type, confidence, occurrences, ground_truth)"
        )
        for n in range(60):
            truth = json.dumps({"expected_pattern": "sequence" if n % 3 else "session"})
            connection.execute(
                "INSERT INTO pattern_detection VALUES (?, 'sequence', ?, ?, ?)", (f"light.l{n}", n / 60, n, truth)
            )
        connection.execute("CREATE TABLE synergy_opportunities (device_ids, confidence)")
        for n in range(30):
            pair = json.dumps([f"binary_sensor.m{n}", f"light.l{n}"])
            connection.execute("INSERT INTO synergy_opportunities VALUES (?, 0.8)", (pair,))
    connection.close()
    source = f"sqlite:///{database_file}?password={SECRET}"
    for command, more in ((train_patterns, []), (train_synergies, ["--epochs", "2"])):
        done = call(
            command,
            *("--data-source", source, "--summary-path", "summary.json", "--verbose", *more),
            cwd=tmp_path,
            env=PLANTED,
        )
        assert done.returncode == 0, done.stderr
        assert "XYZZY" not in done.stdout + done.stderr
    assert {path.suffix for path in (tmp_path / "models").iterdir()} >= {".skops", ".pth", ".json"}
    assert list(found_in(tmp_path)) == []


@pytest.mark.slow
def test_no_child_of_the_manager_has_a_secret_among_its_arguments_or_in_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "asks.py"
    script.write_text(
        "import os, sys, json\n"
        "open('seen.json', 'w').write(json.dumps({'argv': open('/proc/self/cmdline').read(),\n"
        "    'source': os.environ['HOME_SYNERGY_SOURCE'] == os.environ['WANTED']}))\n"
        "sys.exit(1)\n"
    )
    database_file = tmp_path / "given.db"
    database(database_file)
    source = f"sqlite:///{database_file}?password={SECRET}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANTED", source)
    made = make_manager(tmp_path, source=SourceChoice(data_source=source))
    made.training_scripts["gnn_synergy"] = script
    summary = made.retrain("gnn_synergy", force=True)
    assert summary.status == "failed"
    seen = json.loads((tmp_path / "seen.json").read_text())
    assert "--data-source=env:HOME_SYNERGY_SOURCE" in seen["argv"]
    assert "XYZZY" not in seen["argv"]
    assert seen["source"], "the child reads the whole address"
    assert "XYZZY" not in summary.model_dump_json()
