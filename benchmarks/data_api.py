#!/usr/bin/env python3
"""Measure the Data API source: time and memory for a large home, and its failures when the service misbehaves."""

from __future__ import annotations

import gc
import json
import multiprocessing as mp
import random
import resource
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, urlsplit

import click
from measure import ROOT

sys.path.insert(0, str(ROOT))

ENTITY_CAP, DEVICE_CAP = 10_000, 1_000
DOMAINS = ["sensor"] * 8 + ["binary_sensor"] * 4 + "switch light climate cover media_player lock fan update".split()
PLATFORMS = "mqtt zha hue zwave_js esphome template".split()
SMALL, MIDDLE = 2_000, 12_000  # entities of a misbehaving service, and of one that is read domain by domain


def entity(index: int) -> dict[str, Any]:
    """An entity with all fields of the real service; a third of the entities have their area from their device."""
    domain, device, area = DOMAINS[index % len(DOMAINS)], index // 20, index // 20 % 50
    name = f"Room {area} {domain} {index}"
    return {
        "entity_id": f"{domain}.room_{area}_{domain}_{index}",
        "device_id": f"{device:032x}",
        "domain": domain,
        "platform": PLATFORMS[index // 7 % len(PLATFORMS)],
        "unique_id": f"00:17:88:01:{index:08x}",
        "area_id": None if index % 3 == 0 else f"area_{area}",
        "disabled": False,
        "name": name,
        "name_by_user": None,
        "original_name": name,
        "friendly_name": name,
        "device_class": "temperature" if domain == "sensor" else None,
        "unit_of_measurement": "°C" if domain == "sensor" else None,
        "supported_features": 44,
        "capabilities": {"state_class": "measurement", "options": ["low", "middle", "high"]},
        "available_services": [f"{domain}.turn_on", f"{domain}.turn_off", f"{domain}.toggle"],
        "aliases": [],
        "labels": ["downstairs"],
        "options": {"conversation": {"should_expose": True}},
        "icon": None,
        "original_icon": "mdi:thermometer",
        "config_entry_id": f"{index % 40:032x}",
        "timestamp": "2025-11-03T07:12:45.123456+00:00",
    }


def device(index: int) -> dict[str, Any]:
    return {
        "device_id": f"{index:032x}",
        "name": f"Device {index}",
        "manufacturer": f"Maker {index % 30}",
        "model": f"Model {index % 200}",
        "area_id": f"area_{index % 50}",
        "integration": PLATFORMS[index % len(PLATFORMS)],
    }


Lists = dict[tuple[str, ...], list[bytes]]


class Handler(BaseHTTPRequestHandler):
    """The Data API at ``/good``, and with a fault at ``/died``, ``/slow`` and the other paths."""

    protocol_version = "HTTP/1.1"
    lists: Lists
    devices: dict[str | None, list[bytes]]
    lock = threading.Lock()
    asked: ClassVar[defaultdict[str, int]] = defaultdict(int)
    tokens, refilled = 20.0, 0.0

    def do_GET(self) -> None:
        """Answer with the behaviour that the first part of the path names."""
        parts = urlsplit(self.path)
        behaviour, _, path = parts.path[1:].partition("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        with self.lock:
            self.asked[behaviour] += behaviour != "asked"
            turn = self.asked[behaviour]
        if behaviour == "asked":
            self.send(str(self.asked[path]).encode())
        elif behaviour == "flapping" and turn <= 2:
            self.send(b'{"detail": "Failed to retrieve entities: database is locked"}', 500)
        elif behaviour == "limited" and not self.token():
            self.send(b'{"success": false, "error": "Rate limit exceeded", "error_code": "RATE_LIMIT_EXCEEDED"}', 429)
        elif behaviour == "html":
            self.send(b"<!doctype html><title>Sign in</title>")
        elif behaviour == "circle":
            self.send(b"", 302, ("Location", self.path))
        elif behaviour in ("huge", "endless"):
            self.stream(3 * 2**30 if behaviour == "huge" else None)
        else:
            body = self.devices_of(query) if path == "api/devices" else self.entities_of(query, behaviour)
            if behaviour == "slow":
                self.begin(len(body))
                for byte in body:
                    self.wfile.write(bytes([byte]))
                    time.sleep(0.01)
            elif behaviour == "died":
                self.begin(len(body))
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            else:
                self.send(body[: len(body) // 2] if behaviour == "truncated" else body)

    def entities_of(self, query: dict[str, str], behaviour: str) -> bytes:
        """The entities that ``domain`` and ``platform`` select, cut off at the limit."""
        limit = int(query.get("limit", 100))
        found = self.lists.get(tuple(query[k] for k in ("domain", "platform") if k in query), [])
        some = {"good": len(found), "limited": MIDDLE}.get(behaviour, SMALL)
        if behaviour == "limited":  # a part of every list that is smaller by the same share
            some = -(-len(found) * MIDDLE // len(self.lists[()]))
        return listed("entities", found[: min(limit, some)], limit)

    def devices_of(self, query: dict[str, str]) -> bytes:
        """The devices that ``area_id`` selects."""
        return listed("devices", self.devices[query.get("area_id")][:DEVICE_CAP], DEVICE_CAP)

    def token(self) -> bool:
        """Take a token from the rate limit's bucket: bursts of 20, then 100 requests per minute."""
        with self.lock:
            now = time.monotonic()
            Handler.tokens = min(20.0, self.tokens + (now - self.refilled) * 100 / 60)
            Handler.refilled = now
            if self.tokens < 1:
                return False
            Handler.tokens -= 1
            return True

    def begin(self, length: int | None, status: int = 200, *headers: tuple[str, str]) -> None:
        """Send the status and the headers."""
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in (*headers, ("Connection", "close") if length is None else ("Content-Length", str(length))):
            self.send_header(name, value)
        self.end_headers()

    def send(self, body: bytes, status: int = 200, *headers: tuple[str, str]) -> None:
        """Send a complete answer."""
        self.begin(len(body), status, *headers)
        self.wfile.write(body)

    def stream(self, length: int | None) -> None:
        """Send 3 GB."""
        self.begin(length)
        for _ in range(3 * 2**14):
            self.wfile.write(b" " * 2**16)

    def log_message(self, *_: Any) -> None:
        """Quiet."""


def listed(key: str, rows: list[bytes], limit: int) -> bytes:
    return b'{"%s": [%s], "count": %d, "limit": %d}' % (key.encode(), b", ".join(rows), len(rows), limit)


class Server(ThreadingHTTPServer):
    """Does not report clients that disconnect."""

    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """Quiet."""


def serve(entities: int, ready: Connection) -> None:
    lists: Lists = defaultdict(list)
    for index in random.Random(0).sample(range(entities), entities):  # noqa: S311 - any order will do
        raw = entity(index)
        text = json.dumps(raw).encode()
        for key in ((), (raw["domain"],), (raw["domain"], raw["platform"])):
            lists[key].append(text)
    devices: dict[str | None, list[bytes]] = defaultdict(list)
    for index in range(-(-entities // 20)):
        raw = device(index)
        for area in (None, raw["area_id"]):
            devices[area].append(json.dumps(raw).encode())
    Handler.lists, Handler.devices = lists, devices
    server = Server(("127.0.0.1", 0), Handler)
    ready.send(server.server_port)
    server.serve_forever()


class Outcome(NamedTuple):
    """Measurements of one process: MB after the imports (``base``), at the ``peak``, and at the end (``held``)."""

    text: str
    entities: int
    with_area: int
    seconds: float
    base: float
    peak: float
    held: float
    records: float


def resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def size_mb(entities: Iterable[Any]) -> float:
    """The size of the entities' objects, each counted once. The rest of the RSS is free space between them."""
    sizes: dict[int, int] = {}
    for e in entities:
        for part in (e, e.__dict__, e.__pydantic_fields_set__, *e.__dict__, *e.__dict__.values()):
            sizes[id(part)] = sys.getsizeof(part)
    return sum(sizes.values()) / 2**20


def read(url: str, options: dict[str, Any], result: Connection) -> None:
    """Read the home from ``url`` in this process."""
    import logging

    import httpx  # noqa: F401 - a part of the base

    from data_sources import DataSourceError, Home
    from data_sources.data_api import DataApiSource

    logging.disable()
    base = resident_mb()
    started = time.perf_counter()
    home: Home | None = None
    try:
        source = DataApiSource(url, **options)
        (home,) = source.read(Home)
        text = f"full result, {len(home.entities)} entities"
        del source
    except DataSourceError as error:
        text = f"{type(error).__name__}: {error}"
    seconds = time.perf_counter() - started
    gc.collect()
    entities = home.entities if home else ()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    with_area = sum(e.area_id is not None for e in entities)
    held = resident_mb()
    result.send(Outcome(text, len(entities), with_area, seconds, base, peak, held, size_mb(entities)))


def in_fresh_process(url: str, **options: Any) -> Outcome:
    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=read, args=(url, options, theirs))
    process.start()
    theirs.close()
    outcome: Outcome = ours.recv()
    process.join()
    return outcome


@click.command()
@click.option("--entities", default=100_000, show_default=True, help="Entities of the large home.")
@click.option("--quick", is_flag=True, help="Only the large home.")
def main(entities: int, quick: bool) -> None:
    """Serve entities on loopback and measure reading them, first without and then with a fault of the service."""
    import urllib.request

    context = mp.get_context("spawn")
    ours, theirs = context.Pipe()
    service = context.Process(target=serve, args=(entities, theirs), daemon=True)
    service.start()
    base = f"http://127.0.0.1:{ours.recv()}"
    try:
        got = in_fresh_process(f"{base}/good")
        with urllib.request.urlopen(f"{base}/asked/good") as answer:  # noqa: S310 - loopback
            requests = int(answer.read())
        if got.entities != entities:
            sys.exit(f"{got.entities} of {entities} entities were read: {got.text}")
        for name, value in {
            "entities fetched": f"{got.entities}, {got.with_area} of them with an area",
            "requests made": str(requests),
            "seconds": f"{got.seconds:.1f}",
            "entities/s": f"{got.entities / got.seconds:.0f}",
            "RSS after the imports": f"{got.base:.0f} MB",
            "RSS at the end": f"{got.held:.0f} MB, with the home alone: {got.held - got.base:.0f} MB for it",
            "RSS at the peak": f"{got.peak:.0f} MB, {got.peak - got.held:.0f} MB above the end",
            "the records' objects": f"{got.records:.0f} MB; peak above imports and objects: "
            f"{got.peak - got.base - got.records:.0f} MB",
        }.items():
            print(f"{name:<24}{value}")
        if quick:
            return
        print(f"\n{'service':<34}{'seconds':>8}{'peak MB':>9}  outcome")
        for name, behaviour, options in [
            ("in order, 2,000 entities", "small", {}),
            ("dies in mid-answer, always", "died", {}),
            ("drips, 20 s are given", "slow", {"total_seconds": 20.0}),
            ("500, 500, then 200", "flapping", {}),
            ("100 a minute, 12,000 entities", "limited", {}),
            ("truncated JSON", "truncated", {}),
            ("HTML", "html", {}),
            ("3 GB with a length", "huge", {}),
            ("3 GB without a length", "endless", {}),
            ("redirects to itself", "circle", {}),
        ]:
            got = in_fresh_process(f"{base}/{behaviour}", **options)
            text = got.text.replace(base, "")
            print(f"{name:<34}{got.seconds:>8.1f}{got.peak:>9.0f}  {text}", flush=True)
    finally:
        service.terminate()
        service.join()


if __name__ == "__main__":
    main()
