"""Home Assistant's recorder database: every schema, a live one, a broken one."""

from __future__ import annotations

import getpass
import json
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from data_sources import DataSourceError, NotFoundError, sqlite_url
from data_sources.homeassistant import recorder as module
from data_sources.homeassistant.following import Following
from data_sources.homeassistant.recorder import History, Recorder, home_time_zone, recorder_url
from simulation.habits import DAY, HOUR, START, USERS, Change
from simulation.recorder import NEWEST, tables, write_recorder

DOOR, DESK, POWER = "binary_sensor.door", "light.desk", "sensor.power"
ATTRIBUTES = {DOOR: {"device_class": "door", "friendly_name": "Tür"}, DESK: {"supported_color_modes": ["onoff"]}}


def month(days: int = 12) -> list[Change]:
    """A door, a desk lamp that somebody switches on after it, an automation that switches it off, and a sensor."""
    changes = [Change(START, name, "off", b"first-of-" + name[:7].encode()) for name in (DOOR, DESK)]
    for day in range(days):
        noon = START + day * DAY + 12 * HOUR + (day * 7_919) % 20_000
        act = day.to_bytes(16, "big")
        other = (day + 1_000).to_bytes(16, "big")
        changes += [Change(noon, DOOR, "on", other), Change(noon + 20, DOOR, "off", other)]
        changes.append(Change(noon + 30.5, DESK, "on", act, USERS[0]))
        changes.append(Change(noon + HOUR, DESK, "off", act, None, other))
        changes += [Change(START + day * DAY + tick * 300, POWER, str(tick % 5), other) for tick in range(288)]
    return sorted(changes)


@pytest.fixture(scope="module")
def changes() -> list[Change]:
    return month()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home-assistant_v2.db"


def opened(path: Path) -> Recorder:
    return Recorder(sqlite_url(str(path)))


def check(history: History, days: int = 12) -> None:
    (pair,) = history.observed
    assert (pair.trigger, pair.state, pair.action, pair.result) == (DOOR, "on", DESK, "on")
    assert (pair.count, pair.triggers) == (days, days)
    counted = {one.entity_id: one.changes for one in history.activity}
    assert counted == {DOOR: 2 * days, DESK: 2 * days, POWER: counted[POWER]}
    assert (history.rows, round(history.days)) == (days * 292 + 2, days)


# --- schemas ---


@pytest.mark.parametrize("schema", [16, 23, 24, 25, 27, 28, 30, 31, 35, 36, 37, 38, 43, NEWEST])
def test_every_schema_is_read_alike(path: Path, changes: list[Change], schema: int) -> None:
    write_recorder(path, changes, schema=schema, attributes=ATTRIBUTES)
    recorder = opened(path)
    assert recorder.newest_states() == {**ATTRIBUTES, POWER: {}}
    check(recorder.history(time_zone="UTC"))
    assert recorder.notes == []


def test_a_database_in_the_middle_of_its_migration_holds_both(path: Path, changes: list[Change]) -> None:
    """Old rows have texts, names and times of UTC; new ones seconds, numbers and binary contexts."""
    write_recorder(path, changes, schema=30, attributes=ATTRIBUTES)
    with closing(sqlite3.connect(path)) as connection:
        for column in ("last_updated_ts FLOAT", "last_changed_ts FLOAT", "metadata_id INTEGER"):
            connection.execute(f"ALTER TABLE states ADD COLUMN {column}")
        for what in ("id", "user_id", "parent_id"):
            connection.execute(f"ALTER TABLE states ADD COLUMN context_{what}_bin BLOB")
        connection.execute("CREATE TABLE states_meta (metadata_id INTEGER PRIMARY KEY, entity_id VARCHAR(255))")
        connection.executemany("INSERT INTO states_meta VALUES (?, ?)", enumerate((DOOR, DESK), start=1))
        connection.create_function("unhex", 1, lambda text: text and bytes.fromhex(text))
        binary = ", ".join(f"context_{what}_bin = unhex(context_{what})" for what in ("id", "user_id", "parent_id"))
        seconds = "last_updated_ts = ROUND((julianday(last_updated) - 2440587.5) * 86400.0, 3), last_updated = NULL"
        connection.execute(f"UPDATE states SET {binary}, {seconds} WHERE state_id % 2 = 0")
        connection.execute("UPDATE states SET context_id = NULL, context_user_id = NULL WHERE state_id % 2 = 0")
        connection.execute(
            "UPDATE states SET metadata_id = (SELECT metadata_id FROM states_meta m WHERE m.entity_id = "
            "states.entity_id), entity_id = NULL WHERE state_id % 3 = 0 AND entity_id <> 'sensor.power'"
        )
        connection.execute("INSERT INTO schema_changes VALUES (2, 38, '2026-01-02')")
        connection.commit()
    recorder = opened(path)
    assert recorder.newest_states() == {**ATTRIBUTES, POWER: {}}
    check(recorder.history(time_zone="UTC"))


@pytest.mark.parametrize(("version", "told"), [(54, "schema 54 is read"), (9, "schema 9 is read"), (None, "not say")])
def test_a_schema_that_was_not_tested_is_read_with_a_note(
    path: Path, changes: list[Change], version: int | None, told: str
) -> None:
    write_recorder(path, changes)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE schema_changes SET schema_version = ?", (version,))
        connection.commit()
    recorder = opened(path)
    check(recorder.history(time_zone="UTC"))
    (note,) = recorder.notes
    assert told in note


def test_a_schema_without_the_columns_is_one_line(path: Path, changes: list[Change]) -> None:
    write_recorder(path, changes[:9])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE schema_changes SET schema_version = 60")
        connection.execute("ALTER TABLE states RENAME COLUMN state TO value")
        connection.execute("ALTER TABLE states_meta RENAME TO entities")
        connection.commit()
    with pytest.raises(DataSourceError, match="schema 60 cannot be read, its states have no column state, entity_id"):
        opened(path).history()


def test_another_database_is_told_apart(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(NotFoundError, match="is no recorder database of Home Assistant: it has no table states"):
        opened(path).newest_states()
    path.unlink()
    with pytest.raises(NotFoundError, match=r"no such database file .*HOME_ASSISTANT_RECORDER_URL says which"):
        opened(path).newest_states()


def test_a_database_without_contexts_tells_activity_alone(path: Path, changes: list[Change]) -> None:
    write_recorder(path, changes)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP INDEX ix_states_context_id_bin")
        for what in ("id", "user_id", "parent_id"):
            connection.execute(f"ALTER TABLE states DROP COLUMN context_{what}_bin")
        connection.commit()
    recorder = opened(path)
    history = recorder.history(time_zone="UTC")
    assert (history.observed, len(history.activity)) == ((), 3)
    assert "does not say who changed a state" in recorder.notes[0]


# --- states ---


def test_the_newest_state_counts_and_a_removed_entity_is_none(path: Path) -> None:
    rows = [Change(START + n, "light.a", state, b"") for n, state in enumerate(("on", "off", "unavailable"))]
    rows += [Change(START, "light.gone", "on", b""), Change(START + 1, "light.gone", "", b"")]
    write_recorder(path, rows, attributes={"light.a": {"x": 1}})
    assert opened(path).newest_states() == {"light.a": {"x": 1}}


def test_attributes_that_are_no_object_are_counted(path: Path) -> None:
    names = [f"light.l{n}" for n in range(5)]
    write_recorder(path, [Change(START, name, "on", b"") for name in names])
    told = ("{oops", "[1]", "[" * 100_000, b"{\xff", '{"a": 1}')
    with closing(sqlite3.connect(path)) as connection:
        for number, text in enumerate(told, start=1):
            connection.execute("UPDATE state_attributes SET shared_attrs = ? WHERE attributes_id = ?", (text, number))
        connection.commit()
    recorder = opened(path)
    assert recorder.newest_states() == {**{name: {} for name in names[:4]}, names[4]: {"a": 1}}
    assert recorder.notes == [f"{recorder.shown}: attributes that are no JSON object: those of 4 entities"]


def test_names_and_times_that_are_none_are_counted(path: Path, changes: list[Change]) -> None:
    write_recorder(path, [*changes, Change(START, "no id", "on", b""), Change(START, "light.\n", "on", b"")])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE states SET last_updated_ts = 'noon' WHERE state_id = 50")
        connection.execute("UPDATE states SET state = x'ff00' WHERE state_id = 60")
        connection.commit()
    recorder = opened(path)
    assert len(recorder.newest_states()) == 3
    assert len(recorder.history(time_zone="UTC").observed) == 1
    assert [note.removeprefix(f"{recorder.shown}: ") for note in recorder.notes] == [
        "1 row without a time",
        "names of entities that are no entity ids: 2",
    ]


# --- a database that is written, locked, cut off, broken ---


@pytest.fixture
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 200)


def test_reading_does_not_hold_the_writer_back(
    path: Path, changes: list[Change], monkeypatch: pytest.MonkeyPatch, small_ranges: None
) -> None:
    """Between two ranges the writer can empty its WAL, which any reader's transaction would prevent."""
    write_recorder(path, changes)
    emptied = []
    with closing(sqlite3.connect(path, timeout=0)) as writer:
        add = Following.add

        def write_meanwhile(self: Following, *rows: Any) -> None:
            writer.execute("INSERT INTO states (state, metadata_id) VALUES ('x', 999)")
            writer.commit()
            emptied.append(writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone())
            writer.execute("DELETE FROM states WHERE metadata_id = 999")
            writer.commit()
            add(self, *rows)

        monkeypatch.setattr(Following, "add", write_meanwhile)
        check(opened(path).history(time_zone="UTC"))
    assert len(emptied) > 10
    assert set(emptied) == {(0, 0, 0)}


def test_what_is_not_committed_yet_does_not_stop_the_reader(path: Path, changes: list[Change]) -> None:
    write_recorder(path, changes)
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("DELETE FROM states")
        check(opened(path).history(time_zone="UTC"))
        writer.rollback()


def test_a_database_that_stays_locked_says_what_to_do(
    path: Path, changes: list[Change], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("data_sources.sql.LOCK_SECONDS", 0)
    write_recorder(path, changes[:9])
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = DELETE")
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(NotFoundError, match=r"database is locked by a program that writes.*try again later"):
            opened(path).history()


def test_a_copy_without_its_wal_is_said_to_be_that(path: Path, tmp_path: Path, changes: list[Change]) -> None:
    (tmp_path / "copy").mkdir()
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        for statement in tables():
            writer.execute(statement)
        writer.commit()
        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        writer.execute("INSERT INTO states (state) VALUES ('on')")
        writer.commit()
        shutil.copy(path, tmp_path / "copy")
    recorder = opened(tmp_path / "copy" / path.name)
    assert recorder.history(time_zone="UTC").rows == 0
    assert "no home-assistant_v2.db-wal with rows lies beside it" in recorder.notes[-1]


def leaves_of_states(path: Path) -> Iterator[int]:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        try:
            pages = connection.execute("SELECT pageno FROM dbstat WHERE name = 'states' AND pagetype = 'leaf'")
            yield from (page for (page,) in pages.fetchall())
        except sqlite3.OperationalError:
            pytest.skip("this SQLite has no dbstat")


def break_pages(path: Path, pages: list[int]) -> None:
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * 4_096)
            file.write(b"\xff" * 4_096)


@pytest.mark.parametrize("which", [[0], [3], [3, 4, 5, 9], [-1]])
def test_rows_beside_broken_pages_are_read(
    path: Path, changes: list[Change], which: list[int], small_ranges: None
) -> None:
    write_recorder(path, changes)
    leaves = list(leaves_of_states(path))
    break_pages(path, [leaves[number] for number in which])
    recorder = opened(path)
    history = recorder.history(time_zone="UTC")
    lost = len(changes) - history.rows
    per_page = len(changes) / len(leaves)
    assert 0 < lost <= 2 * per_page * len(which)
    if which == [-1]:
        assert f"states from id {history.rows + 1} on lie on broken or missing pages" in recorder.notes[-1]
    else:
        assert f"up to {lost} states lie on broken pages; the others were read" in recorder.notes[-1]
        assert len(history.observed) == 1


def test_a_file_that_is_cut_off_is_read_as_far_as_it_goes(path: Path, small_ranges: None) -> None:
    write_recorder(path, month(40))
    leaves = list(leaves_of_states(path))
    last = leaves[len(leaves) // 2]
    with path.open("r+b") as file:
        file.truncate(last * 4_096)
    recorder = opened(path)
    history = recorder.history(time_zone="UTC")
    assert history.rows > 1_000
    assert "states" in recorder.notes[-1]
    assert "missing pages" in recorder.notes[-1]


def test_newest_states_beside_broken_pages_are_read(path: Path) -> None:
    names = [f"light.l{n}" for n in range(400)]
    write_recorder(path, [Change(START + n, name, "on", b"x" * 16) for n, name in enumerate(names)])
    leaves = list(leaves_of_states(path))
    break_pages(path, [leaves[2]])
    recorder = opened(path)
    states = recorder.newest_states()
    assert 250 < len(states) < 400
    assert recorder.notes == [
        f"{recorder.shown}: newest states that lie on broken pages: those of {400 - len(states)} entities"
    ]


# --- where the database is ---


def test_the_database_of_the_folder_is_the_default(tmp_path: Path) -> None:
    assert recorder_url(tmp_path) is None
    (tmp_path / "home-assistant_v2.db").touch()
    assert recorder_url(tmp_path) == sqlite_url(str(tmp_path / "home-assistant_v2.db"))


@pytest.mark.parametrize("url", ["sqlite:////config/db/other.db", "sqlite:///other.db", "sqlite:////{folder}/other.db"])
def test_a_configured_file_is_read_from_the_folder(tmp_path: Path, url: str) -> None:
    (tmp_path / "other.db").touch()
    assert recorder_url(tmp_path, url.format(folder=tmp_path)) == sqlite_url(str(tmp_path / "other.db"))


@pytest.mark.parametrize("url", ["sqlite:////etc/passwd", "sqlite:///../outside.db", "sqlite:///link.db", "sqlite://"])
def test_no_path_leads_out_of_the_folder(tmp_path: Path, url: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (tmp_path / "outside.db").touch()
    (folder / "link.db").symlink_to(tmp_path / "outside.db")
    with pytest.raises(NotFoundError, match="does not lie in the folder; set HOME_ASSISTANT_RECORDER_URL to"):
        recorder_url(folder, url)
    (folder / "home-assistant_v2.db").symlink_to(tmp_path / "outside.db")
    with pytest.raises(NotFoundError, match="does not lie in the folder; set HOME_ASSISTANT_RECORDER_URL to"):
        recorder_url(folder)


@pytest.mark.parametrize(
    ("configured", "read"),
    [
        ("mysql://ha:p#?@db/ha?charset=utf8mb4", "mysql+pymysql://ha:p#?@db/ha?charset=utf8mb4"),
        ("mysql://db/ha?local_infile=1&read_default_file=/etc/x", "mysql+pymysql://db/ha"),
        ("mariadb+pymysql://db/ha", "mariadb+pymysql://db/ha"),
        ("postgresql://ha@db/ha?passfile=/etc/x&sslmode=require", "postgresql://ha@db/ha?sslmode=require"),
    ],
)
def test_a_configured_server_is_read_without_dangerous_options(tmp_path: Path, configured: str, read: str) -> None:
    assert recorder_url(tmp_path, configured) == read


@pytest.mark.parametrize("configured", [object(), {"secret": "url"}, "oracle://user:pass@db/ha", "nonsense"])
def test_an_address_that_is_not_there_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configured: object
) -> None:
    with pytest.raises(NotFoundError, match="set HOME_ASSISTANT_RECORDER_URL") as failure:
        recorder_url(tmp_path, configured)
    assert "pass" not in str(failure.value)
    monkeypatch.setenv("HOME_ASSISTANT_RECORDER_URL", "mysql://a/b")
    assert recorder_url(tmp_path, configured) == "mysql+pymysql://a/b"


@pytest.mark.parametrize("stored", [None, "{", "[]", '{"data": {}}', '{"data": {"time_zone": 5}}'])
def test_the_time_zone_is_that_of_storage_else_of_the_configuration(tmp_path: Path, stored: str | None) -> None:
    (tmp_path / ".storage").mkdir()
    if stored is not None:
        (tmp_path / ".storage" / "core.config").write_text(stored)
    assert home_time_zone(tmp_path) is None
    (tmp_path / "configuration.yaml").write_text("homeassistant:\n  name: x\n  time_zone: 'Asia/Kolkata'  # here\n")
    assert home_time_zone(tmp_path) == "Asia/Kolkata"
    (tmp_path / ".storage" / "core.config").write_text(json.dumps({"data": {"time_zone": "Europe/Berlin"}}))
    assert home_time_zone(tmp_path) == "Europe/Berlin"


@pytest.mark.parametrize(("zone", "told"), [(None, "is not known"), ("../../etc/passwd", "is no time zone")])
def test_without_a_time_zone_hours_are_those_of_utc(
    path: Path, changes: list[Change], zone: str | None, told: str
) -> None:
    write_recorder(path, changes[:9])
    recorder = opened(path)
    recorder.history(time_zone=zone)
    assert told in recorder.notes[0]
    assert "hours are those of UTC" in recorder.notes[0]


# --- servers ---


def fill_server(url: str, changes: list[Change], schema: int, types: dict[str, str]) -> None:
    import sqlalchemy as sa

    from simulation.recorder import rows_of

    names: dict[str, int] = {}
    rows = list(rows_of(changes, schema, names, ATTRIBUTES))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for statement in tables(schema):
            for ours, theirs in types.items():
                statement = statement.replace(f" {ours}", f" {theirs}")
            connection.execute(sa.text(statement))
        events = [event for row in rows if (event := row.pop("event", None))]
        for table, filled in (("states", rows), ("events", events)):
            if filled:
                columns = list(filled[0])
                values = ", ".join(f":{name}" for name in columns)
                connection.execute(sa.text(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})"), filled)
        connection.execute(sa.text(f"INSERT INTO schema_changes VALUES (1, {schema}, '2026-01-01')"))
        for name, number in names.items():
            told = {"number": number, "name": name, "told": json.dumps(ATTRIBUTES.get(name, {}))}
            if schema >= 38:
                connection.execute(sa.text("INSERT INTO states_meta VALUES (:number, :name)"), told)
            if schema >= 25:
                connection.execute(sa.text("INSERT INTO state_attributes VALUES (:number, 0, :told)"), told)
    engine.dispose()


@pytest.mark.parametrize("schema", [23, 30, 36, NEWEST])
def test_postgresql_is_read_alike(postgres_url: str, schema: int) -> None:
    types = {"FLOAT": "DOUBLE PRECISION", "BLOB": "BYTEA", "DATETIME": "TIMESTAMP WITH TIME ZONE", "CHAR(0)": "CHAR(1)"}
    fill_server(postgres_url.replace("postgresql:", "postgresql+psycopg:"), month(), schema, types)
    recorder = Recorder(postgres_url)
    assert recorder.newest_states() == {**ATTRIBUTES, POWER: {}}
    check(recorder.history(time_zone="UTC"))
    assert recorder.notes == []


@pytest.fixture
def mariadb_url(tmp_path: Path) -> Iterator[str]:
    """A MariaDB server of this machine's in a temporary folder, and an empty database."""
    import sqlalchemy as sa

    if not (shutil.which("mariadbd") and shutil.which("mariadb-install-db")):
        pytest.skip("no MariaDB server on this machine")
    data, socket = tmp_path / "data", tmp_path / "socket"
    ours = ["--no-defaults", f"--user={getpass.getuser()}", f"--datadir={data}"]
    made = [*ours, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(["mariadb-install-db", *made], check=True, stdout=subprocess.DEVNULL)
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(["mariadbd", *ours, f"--socket={socket}", "--skip-networking"], stderr=log)
    address = f"mysql+pymysql://root@localhost/{{}}?unix_socket={socket}"
    try:
        until = time.monotonic() + 60
        while "ready for connections" not in (tmp_path / "log").read_text():
            assert time.monotonic() < until, (tmp_path / "log").read_text()
            time.sleep(0.1)
        engine = sa.create_engine(address.format("mysql"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(sa.text("CREATE DATABASE ha CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci"))
        engine.dispose()
        yield address.format("ha")
    finally:
        server.terminate()
        server.wait()


@pytest.mark.slow
@pytest.mark.parametrize("schema", [23, 30, 36, NEWEST])
def test_mariadb_is_read_alike(mariadb_url: str, schema: int) -> None:
    types = {"FLOAT": "DOUBLE", "BLOB": "TINYBLOB", "DATETIME": "DATETIME(6)", "TEXT": "LONGTEXT"}
    fill_server(mariadb_url, month(), schema, types)
    recorder = Recorder(mariadb_url)
    assert recorder.newest_states() == {**ATTRIBUTES, POWER: {}}
    check(recorder.history(time_zone="UTC"))
    assert recorder.notes == []
