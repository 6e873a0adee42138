"""Every reader and loader on damaged input: what it says is an error of its own, on one printable line.

``make test-all`` tries 100,000 cases, the quick suite a few of the cheap ones.
"""

from __future__ import annotations

import gzip
import json
import logging
import os
import random
import shutil
import socket
import sqlite3
import sys
import threading
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import home, row

from data_sources import KINDS, RECORDS, DataSourceError, Home, open_source
from data_sources.data_api import DataApiSource
from data_sources.settings import production_settings
from home_assistant import AutomationError, parse_automation
from home_assistant.automation_schema import check_automation
from retraining_manager.errors import ManagerError
from retraining_manager.models import SPECS
from retraining_manager.registry import Registry
from retraining_manager.runner import Outcome
from retraining_manager.settings import read_settings
from retraining_manager.summaries import SummaryFolder, read_training_summary
from training.automations.linear import from_linear, to_linear
from training.compare import read_rows as read_evaluation_rows
from training.runs.artifacts import metadata_path, publish
from training.runs.artifacts import verify as verify_files
from training.runs.errors import TrainingError
from training.runs.files import to_json
from training.runs.settings import read_config
from training.synergy.config import SynergyConfig

DECLARED = (DataSourceError, TrainingError, ManagerError, AutomationError)
BATCH = 50  # cases of one example of hypothesis

Try = Callable[[random.Random], None]
"""Reads one damaged input. What it raises has to be declared."""

# --- damage ---

VALUES: list[Any] = [
    *(None, True, -1, 0, 1.5, 10**30, 1e308, float("nan"), float("inf"), "", "x", "\ud83d", "a\x00b", "\x1b[31m\n"),
    *([], {}, [[]], [None], {"": None}, {"x\x1b": {"y\n": 1}}, "../../x", "9" * 400, "light.a", ["light.a", 2]),
]
TEXTS = [
    *(b"null", b"[", b"]", b"{", b"}", b'"', b"\\", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b"\x1b[31m", b"NaN"),
    *(b"[" * 3_000, b"-1", b"1e999", b"\xef\xbb\xbf", b": ", b"- ", b"&a ", b"*a", b"!!python/name:os.system ", b"%"),
]


def damaged(content: bytes, chance: random.Random) -> bytes:
    """The content after one to three accidents, of a disk or of a hand."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(found) + 1)
        end = min(len(found), at + chance.choice((1, 2, 8, 64, 4_096)))
        accident = chance.randrange(6)
        if accident == 0:
            del found[at:]
        elif accident == 1:
            del found[at:end]
        elif accident == 2:
            found[at:end] = bytes(chance.randrange(256) for _ in range(end - at))
        elif accident == 3:
            found[at:at] = chance.choice(TEXTS)
        elif accident == 4:
            found[at:end] = found[at:end] * 2
        elif at < len(found):
            found[at] ^= 1 << chance.randrange(8)
    return bytes(found)


def edited(value: Any, chance: random.Random) -> Any:
    """JSON with one value, key or item that is another one, is gone or is there twice."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        rest = {other: held for other, held in value.items() if other != key}
        what = chance.randrange(8)
        if what == 0:
            return rest
        if what == 1:
            return {**rest, chance.choice(("", "x", "\x1b", "format", "\ud800")): value[key]}
        return {**value, key: edited(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        at = chance.randrange(len(value))
        return [*value[:at], *([] if chance.random() < 0.2 else [edited(value[at], chance)]), *value[at + 1 :]]
    return chance.choice(VALUES)


def damaged_json(value: Any, chance: random.Random) -> bytes:
    if chance.random() < 0.5:
        return json.dumps(edited(value, chance)).encode()
    return damaged(json.dumps(value, indent=chance.choice((None, 1))).encode(), chance)


# --- readers: each makes its small true files once, and gives what tries one damaged case ---

YAML = """alias: Hall
triggers:
  - trigger: state
    entity_id: binary_sensor.hall
    to: "on"
conditions: []
actions:
  - action: light.turn_on
    target: {entity_id: light.hall}
    data: {brightness_pct: 40}
"""
PATTERN = {"entity_id": "light.a", "pattern_type": "sequence", "confidence": 0.5, "occurrences": 3}
ROWS: dict[str, Any] = {
    "gnn_synergy": [home("a", rooms=("hall", "attic")), row("light.a", "light.b")],
    "soft_prompt": [{"query": "on", "suggestion": "Turn it on."}, {"instruction": "x", "response": {"text": {}}}],
    "pattern_detection": [{**PATTERN, "ground_truth": {"expected_pattern": "sequence"}}, {"pattern": PATTERN}],
    "yaml_generation": [{"input": "on", "output": YAML, "entities": ["light.hall"]}],
}


def read_all(path: Path, **options: Any) -> None:
    for kind in KINDS:
        if kind in path.name:
            for record in open_source(json_input=str(path), **options).read(RECORDS[kind]):
                if isinstance(record, Home):
                    record.fingerprint()


def json_rows(folder: Path) -> Try:
    def attempt(chance: random.Random) -> None:
        kind = chance.choice(KINDS)
        content = damaged_json(ROWS[kind], chance)
        if chance.random() < 0.4:
            content = b"\n".join(damaged_json(item, chance) for item in ROWS[kind])
        path = folder / f"{kind}{chance.choice(('.json', '.jsonl', '.txt'))}"
        path.write_bytes(content)
        read_all(path, strict=chance.random() < 0.3)

    return attempt


def json_gz(folder: Path) -> Try:
    packed = {kind: gzip.compress(json.dumps(rows).encode(), 1) for kind, rows in ROWS.items()}

    def attempt(chance: random.Random) -> None:
        kind = chance.choice(KINDS)
        path = folder / f"{kind}.json.gz"
        path.write_bytes(damaged(packed[kind], chance))
        read_all(path)

    return attempt


def sqlite_file(folder: Path) -> Try:
    made = folder / "made.db"
    with sqlite3.connect(made) as connection:
        connection.execute("PRAGMA page_size=512")
        connection.execute("CREATE TABLE synergy_opportunities (synergy_id, device_ids TEXT, confidence REAL)")
        connection.execute("INSERT INTO synergy_opportunities VALUES ('s', '[\"light.a\", \"light.b\"]', 0.5)")
        connection.execute("CREATE TABLE ask_ai_queries (id, original_query TEXT, suggestions TEXT, created_at TEXT)")
        connection.execute("INSERT INTO ask_ai_queries VALUES (1, 'on', '[{\"description\": \"x\"}]', '2026')")
        connection.execute("CREATE TABLE pattern_detection (entity_id, pattern_type, confidence, occurrences)")
        connection.execute("INSERT INTO pattern_detection VALUES ('light.a', 'sequence', 0.5, 3)")
    connection.close()
    content = made.read_bytes()

    def attempt(chance: random.Random) -> None:
        path = folder / "damaged.db"
        path.write_bytes(damaged(content, chance))
        kind = chance.choice(KINDS)
        for _ in open_source(data_source=f"sqlite:///{path}", kind=kind).read(RECORDS[kind]):
            pass

    return attempt


def automation(folder: Path) -> Try:
    def attempt(chance: random.Random) -> None:
        check_automation(parse_automation(damaged(YAML.encode(), chance).decode("utf-8", "surrogateescape")))

    return attempt


def linear(folder: Path) -> Try:
    line = to_linear(parse_automation(YAML)).encode()

    def attempt(chance: random.Random) -> None:
        from_linear(damaged(line, chance).decode("utf-8", "surrogateescape"))

    return attempt


def manager_settings(folder: Path) -> Try:
    true = {"gnn_synergy": {"flags": ["--epochs", "3"], "timeout": 60, "gate": {"minimum": 0.1, "tolerance": 0.02}}}

    def attempt(chance: random.Random) -> None:
        path = folder / "retrain.yaml"
        content = damaged_json(true, chance)
        if chance.random() < 0.5:
            content = damaged(b"gnn_synergy:\n  timeout: 60\n  flags: [--epochs, 3]\n5: {optional: true}\n", chance)
        path.write_bytes(content)
        read_settings(path)

    return attempt


def env_file(folder: Path) -> Try:
    true = b"DATA_API_URL=http://data-api:8006\nGNN_EPOCHS=3\nGNN_LEARNING_RATE='0.1'\nDATABASE_PATH=data/x.db\nAPI_KEY=k\n"

    def attempt(chance: random.Random) -> None:
        (folder / ".env").write_bytes(damaged(true, chance))
        with inside(folder):
            read_config(SynergyConfig, {})
            _ = production_settings().database
            open_source(kind="gnn_synergy").describe()

    return attempt


def summary_files(folder: Path) -> Try:
    true = {"timestamp": "2026-01-01T00:00:00+00:00", "model_type": "gnn_synergy", "status": "success", "notes": ["n"]}
    path = folder / "summary.json"

    def attempt(chance: random.Random) -> None:
        path.write_bytes(damaged_json(true, chance))
        summary = read_training_summary(path, SPECS["gnn_synergy"], Outcome(0, 1.0, 1.0), None)
        to_json(summary.model_dump())
        assert all(line.isprintable() for line in summary.errors), summary.errors
        (folder / "retraining_history.jsonl").write_bytes(damaged_json(true, chance) + b"\n")
        SummaryFolder(folder).history("gnn_synergy")

    return attempt


def published_metadata(folder: Path) -> Try:
    model = folder / "model.bin"
    publish(model, b"model", {"training_date": "2026"}, {"extra.txt": b"x"})
    true = json.loads(metadata_path(model).read_bytes())

    def attempt(chance: random.Random) -> None:
        metadata_path(model).write_bytes(damaged_json(true, chance))
        verify_files(model)

    return attempt


def evaluation_rows(folder: Path) -> Try:
    true = {"format": "evaluation_rows", "format_version": 1, "model_type": "soft_prompt", "rows": [{"query": "x"}]}
    path = folder / "rows.json.gz"

    def attempt(chance: random.Random) -> None:
        content = gzip.compress(damaged_json(true, chance), 1)
        path.write_bytes(content if chance.random() < 0.7 else damaged(content, chance))
        read_evaluation_rows(path, "soft_prompt")

    return attempt


def registry_files(folder: Path) -> Try:
    made = folder / "made"
    registry = Registry(made / "model", "file", made / "model.pth", ("_metadata.json",))
    for n in (1, 2):
        (folder / "model.pth").write_text(f"model {n}")
        verdict = {"verdict": "BLESSED", "held_out": True, "candidate_score": 0.5}
        added = registry.add({"model.pth": folder / "model.pth"}, {"verdict.json": to_json(verdict)})
        registry.promote(added, "better")

    def attempt(chance: random.Random) -> None:
        copy = folder / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(made, copy, symlinks=True)
        of = Registry(copy / "model", "file", copy / "model.pth", ("_metadata.json",))
        files = sorted(p for p in copy.rglob("*") if p.is_file() and not p.is_symlink() and p.suffix != ".lock")
        chosen = chance.choice([*files, copy / "model" / "live", copy / "model" / "run.json"])
        content = chosen.read_bytes() if chosen.is_file() else b"{}" if chosen.suffix else b"states/" + b"0" * 32
        if chosen.is_symlink():
            chosen.unlink()
        elif chosen.exists():
            chosen.chmod(0o644)
        is_json = chosen.suffix == ".json" and chance.random() < 0.7
        chosen.write_bytes(damaged_json(json.loads(content), chance) if is_json else damaged(content, chance))
        problems = of.problems()
        assert all(problem.isprintable() for problem in problems), problems
        for version in of.versions():
            of.verdict(version)
        if chosen.name in ("history.jsonl", "move.json", "run.json"):
            of.rollback("back")  # no history blocks a move
            return
        of.history()
        with of.running():
            of.rollback("back")

    return attempt


def http_answers(folder: Path) -> Try:
    entity = {"entity_id": "light.a", "area_id": None, "device_id": "d", "platform": "hue", "disabled": False}
    body = json.dumps({"entities": [entity, {**entity, "entity_id": "light.b"}], "count": 2, "limit": 10_000}).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
    answers: list[bytes] = [b""]
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(1)
                    connection.recv(65_536)
                    connection.sendall(answers[0])
                    connection.shutdown(socket.SHUT_WR)
                except OSError:
                    continue

    threading.Thread(target=serve, daemon=True).start()
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    def attempt(chance: random.Random) -> None:
        kind = chance.randrange(5)
        content = damaged_json(json.loads(body), chance) if kind < 3 else body
        length = b"Content-Length: %d\r\n" % len(content)
        answer = head + length + b"\r\n" + content
        if kind == 3:
            answer = damaged(head + length, chance) + b"\r\n" + content
        if kind == 4:
            place = damaged(b"http://127.0.0.1:9/x", chance).replace(b"\n", b"").replace(b"\r", b"")
            answer = b"HTTP/1.1 302 Found\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n"
        answers[0] = answer
        source = DataApiSource(url, first_wait_seconds=0.0001, total_seconds=5, read_seconds=1)
        for _ in source.read(Home):
            pass

    return attempt


def synergy_model(folder: Path) -> Try:
    import torch

    from training.synergy.model import SynergyModel

    path = synergy_file(folder)
    content, held = path.read_bytes(), torch.load(path, weights_only=True)

    def attempt(chance: random.Random) -> None:
        if chance.random() < 0.5:
            path.write_bytes(damaged(content, chance))
        else:
            torch.save(edited_parts(held, chance), path)
        SynergyModel.load(path)

    return attempt


def edited_parts(value: Any, chance: random.Random) -> Any:
    """``edited``, and tensors of another shape, of another type or with nan."""
    import torch

    if isinstance(value, torch.Tensor):
        changes: list[Callable[[], Any]] = [
            lambda: value * float("nan"),
            lambda: value[..., None],
            lambda: value.flatten()[:-1],
            lambda: torch.cat([value, value]) if value.dim() else value,
            lambda: value.to(torch.int8),
            lambda: value.to(torch.complex64),
            lambda: chance.choice(VALUES),
        ]
        return chance.choice(changes)()
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {other: held for other, held in value.items() if other != key}
        return {**value, key: edited_parts(value[key], chance)}
    return edited(value, chance)


def synergy_vocabulary() -> Any:
    from training.synergy.vocabulary import Vocabulary

    return Vocabulary(("binary_sensor", "light"), ("binary_sensor:motion", "light:"), ("hall",))


def synergy_file(folder: Path) -> Path:
    import torch

    from training.judging.calibration import Calibration
    from training.synergy.model import SynergyModel
    from training.synergy.network import SynergyNetwork
    from training.synergy.pair_statistics import PairStatistics

    vocabulary = synergy_vocabulary()
    log_odds = replace(PairStatistics(vocabulary).log_odds(), meaning=torch.zeros(0, 3))
    config, network = SynergyConfig(hidden_dim=4, num_layers=1), SynergyNetwork(3, 3, 4, 1)
    model = SynergyModel(config, vocabulary, ["light"], log_odds, network, Calibration(), {"config": {}}, ["home"])
    path = folder / "model.pth"
    path.write_bytes(model.to_bytes())
    SynergyModel.load(path)
    return path


def synergy_base(folder: Path) -> Try:
    import hashlib

    import torch

    from training.judging.calibration import Calibration
    from training.synergy.name_encoders import WORDS
    from training.synergy.network import SynergyNetwork
    from training.synergy.pair_statistics import PairStatistics
    from training.synergy.pretrained import PretrainedSynergy

    path, card_path = folder / "base.safetensors", folder / "base.json"
    statistics = PairStatistics(synergy_vocabulary())
    made = PretrainedSynergy(
        name="base",
        hidden_dim=4,
        num_layers=1,
        acting_domains=("light",),
        statistics=statistics,
        network=SynergyNetwork(3, 3, 4, 1).state_dict(),
        encoder_kind=WORDS,
        meaning=torch.zeros(4, 3),
        calibration=Calibration(),
        card={"name": "base", "homes": [{"home_id": "a"}]},
    )
    made.save(path)
    PretrainedSynergy.load(path)
    content, card = path.read_bytes(), json.loads(card_path.read_bytes())

    def attempt(chance: random.Random) -> None:
        tensors = damaged(content, chance) if chance.random() < 0.5 else content
        path.write_bytes(tensors)
        changed = {**card, "sha256": hashlib.sha256(tensors).hexdigest()}
        card_path.write_bytes(json.dumps(changed).encode() if tensors != content else damaged_json(changed, chance))
        PretrainedSynergy.load(path)

    return attempt


def pattern_file(folder: Path) -> Try:
    from training.patterns.model import PatternModel
    from training.patterns.trainer import train_patterns

    rows = [
        RECORDS["pattern_detection"].model_validate(  # type: ignore[union-attr]
            {
                **PATTERN,
                "entity_id": f"light.l{n}",
                "confidence": n / 60,
                "ground_truth": {"expected_pattern": "sequence" if n % 3 else "session"},
            }
        )
        for n in range(60)
    ]
    path = folder / "patterns.skops"
    path.write_bytes(train_patterns(rows).model.to_bytes())  # type: ignore[arg-type]
    PatternModel.load(path)
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def attempt(chance: random.Random) -> None:
        if chance.random() < 0.4:
            path.write_bytes(damaged(content, chance))
        else:
            schema = damaged_json(json.loads(parts["schema.json"]), chance)
            with zipfile.ZipFile(path, "w") as archive:
                for name, held in {**parts, "schema.json": schema}.items():
                    archive.writestr(name, damaged(held, chance) if chance.random() < 0.05 else held)
        PatternModel.load(path)

    return attempt


def adapter_folder(folder: Path) -> Try:
    from training.text.adapter_job import HERE
    from training.text.backbone import TextPair
    from training.text.config import AdapterConfig
    from training.text.model import Suggester
    from training.text.trainer import train_adapter

    config = AdapterConfig(base_model="scratch", epochs=1, batch_size=8, lora_r=1)
    (folder / "work").mkdir()
    made = folder / "made"
    trained = train_adapter([TextPair(f"switch {n}", f"on {n}") for n in range(4)], config, folder / "work")
    trained.save(made, HERE)
    run = {"config": config.model_dump(), "trained_on": trained.trained_on}
    (made / "training_run.json").write_text(json.dumps(run))
    Suggester.load(made)
    files = [path for path in sorted(made.rglob("*")) if path.is_file() and path.suffix in (".json", ".safetensors")]

    def attempt(chance: random.Random) -> None:
        chosen = chance.choice(files)
        content = chosen.read_bytes()
        edit = chosen.suffix == ".json" and chance.random() < 0.6
        chosen.write_bytes(damaged_json(json.loads(content), chance) if edit else damaged(content, chance))
        try:
            Suggester.load(made)
        finally:
            chosen.write_bytes(content)

    return attempt


# --- the trial ---


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def outcome_of(attempt: Try, chance: random.Random) -> str:
    """What one case ends as. Raises AssertionError for an error that is not declared, or not one printable line."""
    try:
        attempt(chance)
    except DECLARED as error:
        ended, line = type(error).__name__, str(error)
    else:
        return "read"
    assert line.isprintable(), f"{ended}: {line!a}"
    assert line, ended
    return ended


def fuzz(name: str, attempt: Try, cases: int) -> Counter[str]:
    found = Counter[str]()

    @settings(
        max_examples=max(1, cases // BATCH),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64))
    def trial(seed: int) -> None:
        for number in range(BATCH):
            chance = random.Random(f"{seed}/{number}")
            try:
                found[outcome_of(attempt, chance)] += 1
            except Exception as error:
                raise AssertionError(f"{name}, case {seed}/{number}: {type(error).__name__}: {error!s:.500}") from error

    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)  # a case may warn
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of libraries, about what they read
            trial()
    finally:
        logging.disable(level)
    sys.stdout.write(f"{name}: {sum(found.values())} cases, {dict(found.most_common())}\n")
    return found


# Reader -> cases in `make test-all`; together 100,000.
CHEAP: dict[Callable[[Path], Try], int] = {
    json_rows: 30_000,
    json_gz: 8_000,
    linear: 16_000,
    automation: 14_000,
    summary_files: 8_000,
    evaluation_rows: 6_000,
    published_metadata: 5_000,
    manager_settings: 5_000,
    env_file: 500,
    sqlite_file: 3_000,
}
DEAR: dict[Callable[[Path], Try], int] = {
    registry_files: 500,
    http_answers: 500,
    synergy_model: 1_500,
    synergy_base: 1_000,
    pattern_file: 850,
    adapter_folder: 150,
}


@pytest.mark.parametrize("reader", CHEAP, ids=lambda reader: reader.__name__)
def test_damaged_input_is_read_or_is_one_declared_line(reader: Callable[[Path], Try], tmp_path: Path) -> None:
    found = fuzz(reader.__name__, reader(tmp_path), BATCH)
    assert sum(found.values()) >= BATCH


@pytest.mark.slow
@pytest.mark.parametrize("reader", [*CHEAP, *DEAR], ids=lambda reader: reader.__name__)
def test_a_hundred_thousand_damaged_inputs_are_read_or_are_one_declared_line(
    reader: Callable[[Path], Try], tmp_path: Path
) -> None:
    cases = {**CHEAP, **DEAR}
    assert sum(cases.values()) == 100_000
    found = fuzz(reader.__name__, reader(tmp_path), cases[reader])
    assert sum(found.values()) >= cases[reader]
