"""Who holds a lock, what becomes of one whose holder is gone, and what a lock that cannot be made says."""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from registry_crash import registry

from retraining_manager import model_locks
from retraining_manager.errors import BusyError, RegistryError
from training.runs import locks

OTHER = {"who": "eve@nas", "host": "nas", "machine": "m" * 32, "boot": "b" * 36, "pid": 41, "since": "2026-11-01T03:17"}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_locks, "WATCH_SECONDS", 0.2)
    monkeypatch.setattr(model_locks, "RECORD_SECONDS", 0.3)
    monkeypatch.setattr(model_locks, "MOVE_SECONDS", 0.2)


def leave(root: Path, record: dict[str, Any] | str, name: str = "run") -> Path:
    folder = root / "models" / "model"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(record if isinstance(record, str) else json.dumps(record))
    return path


def run(root: Path) -> None:
    with registry(root).running():
        pass


@pytest.mark.parametrize("also_held", [False, True], ids=["record", "record and lock"])
def test_a_lock_that_another_machine_left_is_a_failure_that_names_all(tmp_path: Path, also_held: bool) -> None:
    record = leave(tmp_path, OTHER)
    descriptor = None
    if also_held:
        (record.parent / "run.lock").touch()
        descriptor = locks.hold(record.parent / "run.lock")
    with pytest.raises(RegistryError) as failure:
        run(tmp_path)
    if descriptor is not None:
        os.close(descriptor)
    assert not isinstance(failure.value, BusyError), "which would be exit 0, for ever"
    line = str(failure.value)
    for part in (str(record), "eve@nas", "process 41", "2026-11-01T03:17", "remove", "run.lock"):
        assert part in line
    assert "\n" not in line
    record.unlink()
    run(tmp_path)


def test_another_machine_that_gives_signs_of_life_is_busy(tmp_path: Path) -> None:
    record = leave(tmp_path, OTHER)
    timer = threading.Timer(0.05, lambda: os.utime(record, (1, 1)))
    timer.start()
    with pytest.raises(BusyError, match=r"is being trained already by eve@nas \(process 41\) since 2026"):
        run(tmp_path)
    timer.join()


def test_a_holder_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_locks, "HEARTBEAT_SECONDS", 0.01)
    record = tmp_path / "models" / "model" / "run.json"
    with registry(tmp_path).running():
        os.utime(record, (1, 1))
        for _ in range(200):
            if record.stat().st_mtime > 1:
                break
            threading.Event().wait(0.01)
        assert record.stat().st_mtime > 1
    assert not record.exists()


GONE: dict[str, Callable[[dict[str, Any]], dict[str, Any] | str]] = {
    "a process of this host that is dead": lambda me: {**me, "pid": 2**30},
    "a number that another process has now": lambda me: {**me, "started": "1"},
    "before this host was started again": lambda me: {**me, "boot": "another"},
    "another container of this machine": lambda me: {**me, "host": "f00d"},
    "written before records said so much": lambda me: {"who": me["who"], "pid": me["pid"], "since": me["since"]},
    "cut off": lambda _me: '{"who": "a@',
    "no object": lambda _me: "[]",
}


@pytest.mark.parametrize("gone", GONE)
@pytest.mark.parametrize("name", ["run", "move"])
def test_a_lock_whose_holder_is_gone_is_taken_over(tmp_path: Path, gone: str, name: str) -> None:
    record = leave(tmp_path, GONE[gone](locks.process_identity()), name)
    run(tmp_path)
    assert not record.exists()


@pytest.mark.parametrize("name", ["run", "move"])
def test_a_lock_whose_holder_does_not_say_who_it_is_does_not_stay_exit_0(tmp_path: Path, name: str) -> None:
    run(tmp_path)
    lock = tmp_path / "models" / "model" / f"{name}.lock"
    descriptor = locks.hold(lock)
    with pytest.raises(RegistryError, match=rf"{name}\.lock: is held by a process that does not say which; `fuser"):
        run(tmp_path)
    record = leave(tmp_path, {**locks.process_identity(), "pid": 2**30}, name)
    with pytest.raises(RegistryError, match="gives no sign of life") as failure:
        run(tmp_path)
    assert str(record) in str(failure.value)
    os.close(descriptor)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EROFS, errno.EACCES])
def test_a_lock_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    real = os.open

    def no_lock(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if str(path).endswith(".lock"):
            raise OSError(code, os.strerror(code), str(path))
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", no_lock)
    with pytest.raises(RegistryError, match=r"run\.lock: this lock cannot be made") as failure:
        run(tmp_path)
    assert os.strerror(code) in str(failure.value)
    assert not isinstance(failure.value, BusyError)
    assert "\n" not in str(failure.value)


def test_a_lock_file_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    leave(tmp_path, "{}")
    (tmp_path / "models" / "model" / "run.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RegistryError, match="remove it"):
        run(tmp_path)
    assert not (tmp_path / "elsewhere").exists()


def test_a_folder_is_held_twice_by_one_thread_and_by_no_other(tmp_path: Path) -> None:
    with locks.folder_lock(tmp_path, 0) as first, locks.folder_lock(tmp_path, 0) as second:
        assert first
        assert second
        failed: list[type[BaseException]] = []

        def other() -> None:
            try:
                with locks.folder_lock(tmp_path, 0):
                    pass
            except locks.HeldError:
                failed.append(locks.HeldError)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert failed
    with locks.folder_lock(tmp_path / "no such folder", 0) as held:
        assert not held
