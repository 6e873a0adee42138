"""With no flag every model, its check and its comparison read one database, whichever variables are set."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres import PASSWORD, READER
from support import call

from data_sources import KINDS, open_source
from data_sources.settings import production_settings
from retraining_manager.sufficiency import count
from training.runs.job import SourceChoice
from training.text.command import train as train_soft_prompt
from training.text.compare import COMPARER

VARIABLES = ("DATABASE_URL", "DATABASE_PATH", "POSTGRES_URL", "DATA_API_URL")
DEFAULT = "sqlite:///data/ai_automation.db"
URL, PATH, PG = "sqlite:///url.db", "path.db", "postgresql://u:SECRET@h/db"
ORDER: dict[str, tuple[dict[str, str], str]] = {
    "nothing": ({}, DEFAULT),
    "empty": (dict.fromkeys(VARIABLES[:3], ""), DEFAULT),
    "POSTGRES_URL": ({"POSTGRES_URL": PG}, PG),
    "DATABASE_PATH": ({"DATABASE_PATH": PATH}, "sqlite:///path.db"),
    "DATABASE_PATH and POSTGRES_URL": ({"DATABASE_PATH": PATH, "POSTGRES_URL": PG}, "sqlite:///path.db"),
    "DATABASE_URL and POSTGRES_URL": ({"DATABASE_URL": URL, "POSTGRES_URL": PG}, URL),
    "all": ({"DATABASE_URL": URL, "DATABASE_PATH": PATH, "POSTGRES_URL": PG}, URL),
}


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The service's root, with no variable set."""
    monkeypatch.chdir(tmp_path)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def requests(count: int) -> list[dict[str, str]]:
    return [
        {
            "original_query": f"request {n}",
            "suggestions": json.dumps([{"description": f"answer {n}", "confidence": 0.5}]),
            "created_at": f"2026-01-01 00:{n:02}:00",
        }
        for n in range(count)
    ]


def write_sqlite(path: Path, count: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE ask_ai_queries (original_query TEXT, suggestions TEXT, created_at TEXT)")
        rows = [tuple(row.values()) for row in requests(count)]
        connection.executemany("INSERT INTO ask_ai_queries VALUES (?, ?, ?)", rows)
    connection.close()


def write_postgres(url: str, count: int) -> None:
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"), poolclass=sa.pool.NullPool)
    with engine.begin() as connection:
        for schema, many in (("automation", count), ("public", 1)):
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {schema}"))
            table = f"{schema}.ask_ai_queries"
            connection.execute(
                sa.text(f"CREATE TABLE {table} (original_query TEXT, suggestions JSON, created_at TEXT)")
            )
            insert = f"INSERT INTO {table} VALUES (:original_query, :suggestions, :created_at)"
            connection.execute(sa.text(insert), requests(many))
            connection.execute(sa.text(f"GRANT USAGE ON SCHEMA {schema} TO {READER}"))
            connection.execute(sa.text(f"GRANT SELECT ON {table} TO {READER}"))


def dry_run(folder: Path, *flags: str, **env: str) -> tuple[int, str]:
    """Rows that a training of the soft prompt reads, and where from; -1 and the error where it fails."""
    done = call(train_soft_prompt, "--dry-run", "--summary-path", "s.json", *flags, cwd=folder, env=env)
    summary = json.loads((folder / "s.json").read_text())
    assert "SECRET" not in done.stdout + done.stderr + json.dumps(summary)
    assert PASSWORD not in done.stdout + done.stderr + json.dumps(summary)
    return (summary["audit"]["rows"], done.stdout) if done.returncode == 0 else (-1, done.stderr)


@pytest.mark.parametrize("case", ORDER)
def test_the_variables_count_in_one_order(service: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    variables, expected = ORDER[case]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert production_settings().database == expected
    shown = expected.replace("u:SECRET@", "u:***@").replace("postgresql:", "postgresql+psycopg:")
    for kind in KINDS:
        assert open_source(kind=kind).describe()["database"] == shown


def test_an_env_file_counts_as_the_environment_does(service: Path) -> None:
    (service / ".env").write_text(f"POSTGRES_URL={PG}\n")
    assert production_settings().database == PG


def test_training_check_and_comparison_of_the_soft_prompt_read_the_same_database(
    service: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, path in enumerate((Path("data/ai_automation.db"), Path("url.db"), Path("path.db")), start=2):
        write_sqlite(service / path, number)
    for variables, rows in (({}, 2), ({"DATABASE_URL": URL}, 3), ({"DATABASE_PATH": PATH, "POSTGRES_URL": PG}, 4)):
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            assert dry_run(service)[0] == rows
            assert count("soft_prompt", SourceChoice()).rows == rows
            assert len(COMPARER.select(SourceChoice().open("soft_prompt"), None).rows) == rows


def test_what_the_soft_prompt_does_not_read_cannot_stop_it(service: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_sqlite(service / "data" / "ai_automation.db", 3)
    monkeypatch.setenv("DATA_API_URL", "no address")
    assert dry_run(service)[0] == 3
    assert count("soft_prompt", SourceChoice()).rows == 3


def test_a_flag_comes_before_every_variable(service: Path, postgres_url: str) -> None:
    write_sqlite(service / "url.db", 2)
    write_sqlite(service / "flag.db", 3)
    write_postgres(postgres_url, 5)
    variables = {"DATABASE_URL": URL, "POSTGRES_URL": PG}
    assert dry_run(service, **variables)[0] == 2
    assert dry_run(service, "--db-path", "flag.db", **variables)[0] == 3
    assert dry_run(service, "--pg-url", postgres_url, **variables)[0] == 5
    rows, said = dry_run(service, "--pg-url", postgres_url, "--db-path", "flag.db", **variables)
    assert (rows, "--pg-url is read, so --db-path is not" in said) == (5, True)
    assert dry_run(service, "--data-source", "sqlite:///flag.db", "--pg-url", postgres_url)[0] == 3


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg", "postgresql+psycopg"])
@pytest.mark.parametrize("place", ["--pg-url", "POSTGRES_URL", "DATABASE_URL"])
def test_every_spelling_of_a_postgresql_address_is_read_in_the_schema_automation(
    service: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch, scheme: str, place: str
) -> None:
    write_postgres(postgres_url, 4)
    url = postgres_url.replace("postgresql", scheme, 1)
    if place == "--pg-url":
        assert dry_run(service, "--pg-url", url)[0] == 4
    else:
        assert dry_run(service, **{place: url})[0] == 4
        monkeypatch.setenv(place, url)
        assert count("soft_prompt", SourceChoice()).rows == 4


def test_no_password_of_an_address_is_shown(service: Path, postgres_url: str) -> None:
    write_postgres(postgres_url, 4)
    address = sa.make_url(postgres_url).set(username=READER)

    def url(password: str) -> str:
        return address.set(password=password).render_as_string(hide_password=False)

    given: list[tuple[list[str], dict[str, str]]] = []
    for password in (PASSWORD, "SECRET"):
        given += [(["--pg-url", url(password)], {}), ([], {"POSTGRES_URL": url(password)})]
    assert [dry_run(service, *flags, **env)[0] for flags, env in given] == [4, 4, -1, -1]
    for wrong in (
        "postgresql:/u:SECRET@h/db",
        "u:SECRET@h/db",
        '"postgresql://u:SECRET@h/db"',
        "postgresql://u:SECRET@",
    ):
        for flags, env in ((["--pg-url", wrong], {}), ([], {"POSTGRES_URL": wrong})):
            rows, error = dry_run(service, *flags, **env)
            assert (rows, error.count("\n")) == (-1, 1), wrong
