"""Shared helpers: small homes, and the training script run as its users run it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pytest_httpserver import HTTPServer
from support import SCRIPT, call, call_process, eight_homes

from data_sources import masking
from training.synergy.command import train as train_synergy
from training.synergy.config import SynergyConfig

if TYPE_CHECKING:
    from training.synergy.trainer import TrainingResult

pytest_plugins = ["postgres"]
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as ``environment`` sets it for a process

Result = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def no_secret_of_another_test() -> None:
    """A process masks every password that it has read, also where it is a word such as ``user``."""
    masking.forget()


@pytest.fixture(scope="session")
def make_httpserver() -> Iterator[HTTPServer]:
    """As the real services, it answers several requests at a time: a slow one does not hold up the others."""
    with HTTPServer(threaded=True) as server:
        yield server


@pytest.fixture(scope="session")
def trained() -> TrainingResult:
    """What training on ``eight_homes`` gives. Tests share it, so none may change it."""
    from training.synergy.trainer import train_synergy_model

    return train_synergy_model(eight_homes(), SynergyConfig(epochs=2))


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Result]:
    """Call the training of the synergy model in an empty working directory, in this process."""

    def run(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> Result:
        return call(train_synergy, *arguments, cwd=tmp_path, env=env, **options)

    return run


@pytest.fixture
def train_process(tmp_path: Path) -> Callable[..., Result]:
    """Run scripts/train_gnn_synergy.py in an empty working directory, as a process."""

    def run(*arguments: str, env: dict[str, str] | None = None, **options: Any) -> Result:
        return call_process(str(SCRIPT), *arguments, cwd=tmp_path, timeout=240, env=env, **options)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, Any], Path]:
    """Write a text, or a value as JSON, under the working directory."""

    def to(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    return to


@pytest.fixture(
    params=[pytest.param(0o022, marks=pytest.mark.slow), pytest.param(0o027, marks=pytest.mark.slow), 0o077], ids=oct
)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """The umask of this process; also how it was set for what it starts."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)
