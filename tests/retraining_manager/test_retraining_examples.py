"""The files in examples/retraining are what cron, systemd and Docker can read, and call what there is."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from support import ROOT

from home_synergy.cli import train
from retraining_manager.cli import main
from retraining_manager.settings import read_settings

EXAMPLES = ROOT / "examples" / "retraining"
RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def check_command(words: list[str]) -> None:
    """``... retrain.py COMMAND FLAGS`` is one that click accepts."""
    at = next(i for i, word in enumerate(words) if word.endswith("retrain.py"))
    command = main.commands[words[at + 1]]
    arguments = list(words[at + 2 :])
    for i, word in enumerate(arguments):
        if word.endswith(".yaml"):
            arguments[i] = str(EXAMPLES / Path(word).name)
    command.make_context(words[at + 1], arguments, resilient_parsing=False)


def test_every_line_of_the_crontab_is_a_time_and_a_command_that_exists() -> None:
    lines = (EXAMPLES / "crontab").read_text().splitlines()
    jobs = [line for line in lines if line and not re.match(r"#|\w+=", line)]
    assert len(jobs) == 3
    for job in jobs:
        *times, command = job.split(None, 5)
        for value, (low, high) in zip(times, RANGES, strict=True):
            assert value == "*" or low <= int(value) <= high
        assert "%" not in command, "cron ends the command there"
        check_command(shlex.split(command.partition("&&")[2].partition(">>")[0]))
        assert re.search(r">> retrain\.log 2>&1 \|\| tail .* retrain\.log$", command), "a failure is mailed"


def unit(name: str) -> ConfigParser:
    parser = ConfigParser(strict=False, interpolation=None, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(EXAMPLES / name)
    return parser


def test_the_unit_runs_a_command_that_exists_under_two_gigabytes() -> None:
    service = unit("retrain.service")["Service"]
    for key in ("ExecStart", "ExecStartPost"):
        check_command(shlex.split(service[key]))
    assert service["MemoryMax"] == "2G"
    assert service["ProtectSystem"] == "strict"
    assert service["WorkingDirectory"] == service["ReadWritePaths"]
    assert all(value.startswith("%C/home-synergy/") for value in re.findall(r"=(\S+)", service["Environment"]))
    assert service["CacheDirectory"] == "home-synergy", "there is no home to write to"
    assert unit("retrain.timer")["Timer"]["Persistent"] == "true"
    assert unit("retrain.timer")["Install"]["WantedBy"] == "timers.target"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
@pytest.mark.parametrize("name", ["retrain.service", "retrain.timer"])
def test_systemd_accepts_the_units(name: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", str(EXAMPLES / name)], capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in done.stderr.splitlines() if "is not executable" not in line]
    ours = [line for line in complaints if "retrain." in line]
    assert ours == [], "apart from a program that is not installed on this machine"


def test_the_settings_are_ones_that_the_manager_reads_and_scripts_take() -> None:
    settings = read_settings(EXAMPLES / "retrain.yaml")
    assert settings["yaml_generation"].optional
    for model, chosen in settings.items():
        command = train.get_command(click.Context(train), model.replace("_", "-"))
        assert command is not None
        command.make_context(model, list(chosen.flags))


def test_the_compose_file_limits_memory_and_mounts_what_the_manager_writes() -> None:
    content: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    service = content["services"]["retrain"]
    assert service["mem_limit"] == service["memswap_limit"] == "2g"
    # Docker resolves a relative source against the folder of the compose file, and makes what is missing as root.
    mounts = {volume["target"]: volume for volume in service["volumes"]}
    for name in ("models", "data", "simulation_results"):
        mount = mounts.pop(f"/service/{name}")
        assert (EXAMPLES / mount["source"]).resolve() == ROOT / name
        assert mount["bind"] == {"create_host_path": False}
    assert not mounts
    assert "TRAINER_UID" in service["build"]["args"]
    dockerfile = ROOT / "examples" / "retraining" / service["build"]["dockerfile"].rpartition("/")[2]
    assert dockerfile.is_file()
    assert (EXAMPLES / service["build"]["context"]).resolve() == ROOT
    assert set(service["networks"]) <= set(content["networks"])


def test_the_dockerfile_copies_what_is_there_and_starts_what_exists() -> None:
    lines = re.sub(r"\\\n", " ", (EXAMPLES / "Dockerfile").read_text()).splitlines()
    lines = [line for line in lines if line and not line.startswith("#")]
    known = {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "ENV", "ENTRYPOINT", "CMD"}
    assert lines[0].startswith("FROM ")
    assert {line.split()[0] for line in lines} <= known
    for line in lines:
        instruction, *words = line.split()
        if instruction == "COPY":
            assert all((ROOT / word).exists() for word in words[:-1]), line
    entry, command = (yaml.safe_load(line.split(None, 1)[1]) for line in lines[-2:])
    check_command([*entry, *command])
    packages = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    copied = {word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]}
    assert packages <= copied
