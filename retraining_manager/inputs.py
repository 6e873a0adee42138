"""What a training's result depends on, as one short digest for each kind, so that what has not changed is not repeated.

Whatever is not certainly of no account counts: a training in vain costs a minute, one that is left out a stale model.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from retraining_manager.errors import ManagerError
from retraining_manager.models import SPECS
from training.runs.errors import TrainingError
from training.runs.settings import variables

# What differs from one login, terminal or service start to the next and steers no training.
_SESSION = re.compile(
    r"_|PWD|OLDPWD|SHLVL|PS1|LS_COLORS|COLUMNS|LINES|DISPLAY|WINDOWID|STY|MAIL|LOGNAME|HOSTNAME|PPID|COLORTERM|TERM|"
    r"(TERM|SSH|XDG|DBUS|WAYLAND|TMUX|VTE|KITTY|VSCODE|PYTEST|HOME_SYNERGY|SUDO|JOURNAL|SYSTEMD)_.*|TMUX|"
    r"INVOCATION_ID|NOTIFY_SOCKET|WATCHDOG_.*|MAINPID|MANAGERPID|XAUTHORITY|BASH_FUNC_.*"
)
# Files that change with every training or every row, and whose content is looked at as the model or the data.
_NO_INPUTS = {"DATABASE_PATH", *(spec.place_variable for spec in SPECS.values())}
_BASE_MODEL = "_BASE_MODEL"  # the end of the names of variables that may hold a folder
_LARGE = 64 * 2**20  # bytes from which a file counts by size and time


def inputs_of(script: Path, flags: Sequence[str], data: str) -> dict[str, str]:
    """Digests of what a training reads, by kind.

    Args:
        script: The script that trains.
        flags: The model's own flags.
        data: The digest of the records.

    Raises:
        ManagerError: ``.env`` cannot be read.
    """
    try:
        found = variables()
    except TrainingError as error:
        raise ManagerError(str(error)) from error
    environment = {name: value or "" for name, value in found.items() if not _SESSION.fullmatch(name)}
    return {
        "data": data,
        "code": _digest([_code(), *_content(script)]),
        "libraries": _libraries(),
        "flags": _digest(flags),
        "environment": _digest(f"{name}={value}" for name, value in sorted(environment.items())),
        "files": _digest([*_files(flags, environment), *_hub(environment)]),
    }


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The kinds of inputs that differ."""
    return [kind for kind, digest in now.items() if before.get(kind) != digest]


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(json.dumps(part).encode())
    return digest.hexdigest()[:32]


@cache
def _code() -> str:
    """Of all that the packages hold which a training runs."""
    parts: list[str] = []
    for root in _packages():
        for path in sorted(root.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                parts += [path.relative_to(root.parent).as_posix(), *_content(path)]
    return _digest(parts)


def _packages() -> list[Path]:
    specs = (find_spec(name) for name in ("training", "data_sources", "home_assistant"))
    return [Path(str(spec and spec.origin)).parent for spec in specs]


@cache
def _libraries() -> str:
    """Of Python's version and the names, which hold the versions, of what is installed."""
    names: set[str] = set()
    for folder in sys.path:
        try:
            names |= {path.name for path in Path(folder or ".").iterdir() if path.suffix in (".dist-info", ".egg-info")}
        except OSError:
            continue
    return _digest([sys.version, *sorted(names)])


def _files(flags: Sequence[str], environment: Mapping[str, str]) -> Iterator[str]:
    """Of the files and folders that flags name, and the files that variables name."""
    for flag in flags:
        yield from _path(flag.partition("=")[2] if flag.startswith("--") else flag, folders=True)
    for name, value in sorted(environment.items()):
        if name not in _NO_INPUTS:
            yield from _path(value, folders=name.endswith(_BASE_MODEL))


def _path(text: str, *, folders: bool) -> Iterator[str]:
    try:
        path = Path(text).expanduser() if text else None
        if path is not None and path.is_file():
            yield from _content(path)
        elif path is not None and folders and path.is_dir():
            for inner in sorted(path.rglob("*")):
                yield from (inner.relative_to(path).as_posix(), *_stat(inner))
    except (OSError, ValueError, RuntimeError):  # no path, or nobody's to read
        return


def _content(path: Path) -> Iterator[str]:
    try:
        if path.stat().st_size > _LARGE:
            yield from _stat(path)
        else:
            yield hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        yield str(error.strerror)


def _stat(path: Path) -> Iterator[str]:
    found = path.stat()
    yield f"{found.st_size} {found.st_mtime_ns}"


def _hub(environment: Mapping[str, str]) -> Iterator[str]:
    """Which revisions of base models the Hugging Face cache holds."""
    home = Path(environment.get("HF_HOME") or Path(environment.get("HOME", "~"), ".cache", "huggingface")).expanduser()
    named = (environment.get(name) for name in ("HF_HUB_CACHE", "TRANSFORMERS_CACHE"))
    for folder in (home / "hub", *(Path(name) for name in named if name)):
        for path in sorted(folder.glob("models--*/refs/*")):
            yield from (path.as_posix(), *_content(path))
