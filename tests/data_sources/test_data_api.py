"""The Data API over real HTTP on loopback: complete answers, cut-off ones, and every way a service misbehaves."""

from __future__ import annotations

import gzip
import json
import logging
import random
import socket
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from email.utils import formatdate
from typing import Any

import pytest
from pydantic import SecretStr
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from data_sources import (
    DataSourceError,
    Entity,
    FormatError,
    Home,
    NotFoundError,
    PromptRow,
    UnsupportedKindError,
    UnusableRowsError,
)
from data_sources import data_api as module
from data_sources.data_api import DataApiError, DataApiSource

KEY = "s3cret-k3y-of-the-service"
Row = dict[str, Any]
Open = Callable[..., DataApiSource]


def entity(entity_id: str, **fields: Any) -> Row:
    """All that the service tells of an entity."""
    domain, _, name = entity_id.partition(".")
    nothing = dict.fromkeys(
        "device_id area_id name name_by_user original_name friendly_name device_class unit_of_measurement "
        "capabilities available_services options icon original_icon config_entry_id".split()
    )
    return {
        **nothing,
        "entity_id": entity_id,
        "domain": domain,
        "platform": "hue",
        "unique_id": name,
        "disabled": False,
        "supported_features": 0,
        "aliases": [],
        "labels": [],
        "timestamp": "2025-01-01T00:00:00+00:00",
        **fields,
    }


def device(device_id: str, area_id: Any = None, **fields: Any) -> Row:
    return {"device_id": device_id, "name": f"Device {device_id}", "manufacturer": "m", "model": "x", **fields} | {
        "area_id": area_id,
        "integration": "hue",
    }


def reply(body: Any, status: int = 200, **headers: str) -> Response:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    return Response(data, status, {k.replace("_", "-"): v for k, v in headers.items()}, mimetype="application/json")


class Service:
    """What the Data API does, from a list of entities and one of devices; ``before`` may answer in its place."""

    def __init__(self) -> None:
        self.entities: list[Row] = []
        self.devices: list[Row] = []
        self.cap = 10_000
        self.device_filters: tuple[str, ...] = ("area_id", "manufacturer")
        self.requests: list[Request] = []
        self.before: Callable[[Request], Response | None] = lambda request: None
        self.slow: Callable[[Request], Any] = lambda request: None  # waits
        self.shuffle: random.Random | None = None
        self._lock = threading.Lock()

    def __call__(self, request: Request) -> Response:
        with self._lock:
            self.requests.append(request)
            early = self.before(request)
        if early is not None:
            return early
        self.slow(request)
        if request.path == "/health":
            return reply({"status": "healthy", "service": "data-api"})
        if request.path == "/api/entities":
            return self._list(request, "entities", self.entities, 10_000, ("domain", "platform", "device_id"))
        if request.path == "/api/devices":
            return self._list(request, "devices", self.devices, 1_000, self.device_filters)
        return reply({"detail": "Not Found"}, 404)

    def _list(self, request: Request, key: str, rows: list[Row], cap: int, filters: tuple[str, ...]) -> Response:
        limit = int(request.args.get("limit", 100))
        if not 1 <= limit <= cap:
            message = {"code": "VALIDATION_ERROR", "message": "limit is out of range", "detail": []}
            return reply({"error": message}, 422)
        wanted = {name: request.args[name] for name in filters if name in request.args}
        found = [row for row in rows if not wanted or all(row.get(name) == value for name, value in wanted.items())]
        if self.shuffle is not None:
            self.shuffle.shuffle(found)
        limit = min(limit, self.cap)
        found = found[:limit]
        return reply({key: found, "count": len(found), "limit": limit})

    def asked(self, path: str = "/api/entities") -> list[str]:
        """The query of every request to ``path``."""
        return [request.query_string.decode() for request in self.requests if request.path == path]


@pytest.fixture
def service(httpserver: HTTPServer) -> Service:
    fake = Service()
    httpserver.expect_request("/api/entities").respond_with_handler(fake)
    httpserver.expect_request("/api/devices").respond_with_handler(fake)
    httpserver.expect_request("/health").respond_with_handler(fake)
    return fake


@pytest.fixture
def api(httpserver: HTTPServer) -> Open:
    """The source that reads the test's own service; it waits little between attempts."""

    def open_api(**options: Any) -> DataApiSource:
        return DataApiSource(httpserver.url_for(""), **{"first_wait_seconds": 0.01, "total_seconds": 20, **options})

    return open_api


@pytest.fixture
def raw() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """The address of a server that reads each request's head and then does with the connection as it is told."""
    servers: list[socket.socket] = []

    def start(answer: Callable[[socket.socket], None]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        servers.append(server)

        def talk(connection: socket.socket) -> None:
            with connection:
                try:
                    while head := connection.recv(65_536):  # nothing comes from a client that has gone
                        if b"\r\n\r\n" in head:
                            answer(connection)
                            return
                except OSError:
                    pass

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=talk, args=[connection], daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{server.getsockname()[1]}"

    yield start
    for server in servers:
        server.shutdown(socket.SHUT_RDWR)
        server.close()


def read(source: DataApiSource) -> Home:
    (home,) = source.read(Home)
    return home


def refused(source: DataApiSource, error: type[DataSourceError] = DataApiError) -> str:
    """The one line that reading ends with."""
    with pytest.raises(error) as failure:
        read(source)
    assert "\n" not in str(failure.value)
    return str(failure.value)


def ids(home: Home) -> list[str]:
    return [e.entity_id for e in home.entities]


def lights(count: int, **fields: Any) -> list[Row]:
    return [entity(f"light.l{i:04}", **fields) for i in range(count)]


# Complete answers


def test_all_entities_come_in_one_answer_with_the_fields_that_training_uses(service: Service, api: Open) -> None:
    service.entities = [
        *lights(150),
        entity("sensor.t", name="T", name_by_user="Mine", device_class="temperature", area_id="hall", device_id="d"),
        entity("sensor.u", friendly_name="U", platform="mqtt"),
    ]
    source = api()
    home = read(source)
    assert len(home.entities) == 152
    assert home.entities[-2:] == (
        Entity(
            entity_id="sensor.t",
            name="Mine",
            device_class="temperature",
            area_id="hall",
            device_id="d",
            platform="hue",
            supported_features=0,
        ),
        Entity(entity_id="sensor.u", name="U", platform="mqtt", supported_features=0),
    )
    assert (home.home_id, home.synergies, home.disabled) == ("home", (), 0)
    assert service.asked() == ["limit=10000"]
    assert service.asked("/api/devices") == []
    assert source.report.as_dict() == {"read": {"entity": 152}, "rejected": {}, "first_reasons": [], "notes": []}


def test_entities_with_nothing_but_an_id_are_usable(service: Service, api: Open) -> None:
    service.entities = [{"entity_id": "light.a"}, {"entity_id": "light.b", "area_id": None, "disabled": False}]
    assert read(api()).entities == (Entity(entity_id="light.a"), Entity(entity_id="light.b"))


def test_the_bare_list_of_an_older_service_is_read(service: Service, api: Open) -> None:
    service.before = lambda request: reply("\ufeff" + json.dumps(lights(3)))
    assert ids(read(api())) == ["light.l0000", "light.l0001", "light.l0002"]


def test_compressed_answers_are_read(service: Service, api: Open) -> None:
    body = gzip.compress(json.dumps({"entities": lights(3)}).encode())
    service.before = lambda request: reply(body, Content_Encoding="gzip")
    assert len(read(api()).entities) == 3


def test_a_path_before_the_endpoints_is_kept(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/proxy/api/entities").respond_with_json({"entities": lights(1)})
    assert ids(read(DataApiSource(httpserver.url_for("/proxy/")))) == ["light.l0000"]


def test_disabled_entities_are_left_out_and_counted(service: Service, api: Open) -> None:
    service.entities = [*lights(3), entity("light.off", disabled=True, device_id="d1")]
    home = read(api())
    assert (len(home.entities), home.disabled) == (3, 1)
    assert service.asked("/api/devices") == []


# More entities than one answer holds


def test_the_cap_is_met_by_domain_then_platform_and_nothing_comes_twice(service: Service, api: Open) -> None:
    service.cap = 50
    service.entities = [entity(f"light.{p}{i}", platform=p) for p in ("hue", "mqtt", "zha") for i in range(40)]
    service.entities += [entity(f"sensor.s{i}", platform="rare") for i in range(49)]
    service.entities += [entity(f"my_own.x{i}", platform="custom") for i in range(45)]  # no domain known to anybody
    service.entities += [entity(f"light.c{i}", platform="custom") for i in range(10)]
    random.Random(1).shuffle(service.entities)
    source = api()
    home = read(source)
    assert ids(home) == sorted(e["entity_id"] for e in service.entities)
    assert source.report.read == {"entity": len(service.entities)}
    assert "limit=10000&domain=light&platform=custom" in service.asked()
    assert "limit=10000&domain=sensor" in service.asked()
    assert not [query for query in service.asked() if "domain=sensor&platform" in query]
    assert set(Counter(service.asked()).values()) == {1}
    assert [note for note in source.report.notes if "is cut off or fails" in note]


def test_the_limit_asked_for_tells_an_older_service_cut_it_off(
    service: Service, api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTITY_LIMIT", 30)
    service.entities = [*lights(25), *(entity(f"switch.s{i}") for i in range(25))]
    full = service._list

    def bare(request: Request) -> Response:
        return reply(json.loads(full(request, "x", service.entities, 10_000, ("domain", "platform")).data)["x"])

    service.before = bare
    assert len(read(api()).entities) == 50


def test_a_slice_that_stays_cut_off_is_reported_and_fatal_when_strict(service: Service, api: Open) -> None:
    service.cap = 20
    service.entities = [*lights(30), *(entity(f"switch.s{i}") for i in range(5))]
    source = api()
    assert len(read(source).entities) == 25
    assert source.report.notes[0] == "the list of domain 'light', platform 'hue' is cut off"
    assert "the list of domain 'light', platform 'hue' is cut off (--strict)" in refused(api(strict=True), FormatError)


def test_a_cut_off_domain_without_any_platform_is_reported(service: Service, api: Open) -> None:
    service.cap = 20
    service.entities = lights(30, platform=None)
    source = api()
    assert len(read(source).entities) == 20
    assert source.report.notes[0] == "the list of domain 'light' is cut off, and no entity says its platform"
    refused(api(strict=True), FormatError)


def test_a_service_that_counts_more_than_it_lists_is_cut_off(service: Service, api: Open) -> None:
    service.before = lambda request: reply({"entities": lights(2), "count": 3})
    source = api()
    read(source)
    assert [note for note in source.report.notes if "is cut off" in note]


def test_where_one_bad_row_fails_the_whole_list_the_lists_by_domain_are_used(service: Service, api: Open) -> None:
    service.entities = [*lights(5), entity("switch.a")]
    bad = reply({"detail": "Failed to retrieve entities: bad row"}, 500)
    service.before = lambda request: None if "domain" in request.args else bad
    source = api()
    assert len(read(source).entities) == 6
    assert "Failed to retrieve entities: bad row" in source.report.notes[0]


def test_where_a_domain_fails_for_good_nothing_is_read(service: Service, api: Open) -> None:
    service.cap = 20
    service.entities = [*lights(19), *(entity(f"switch.s{i}") for i in range(9))]
    bad = reply({"detail": "bad row"}, 500)
    service.before = lambda request: bad if request.args.get("domain") == "switch" else None
    assert "domain=switch: fails with 500 (bad row)" in refused(api())


def test_where_a_platform_fails_for_good_nothing_is_read(service: Service, api: Open) -> None:
    service.cap = 20
    service.entities = [*lights(15), *(entity(f"light.m{i}", platform="mqtt") for i in range(15))]
    service.before = lambda request: reply("{", 200) if request.args.get("platform") == "mqtt" else None
    assert "platform=mqtt: the answer is cut off" in refused(api(), FormatError)


# Areas and devices


def test_areas_are_inherited_from_devices_and_an_empty_one_is_none(service: Service, api: Open) -> None:
    service.devices = [device("d1", "hall"), device("d2", ""), device("d3"), device("d4", "attic")]
    service.entities = [
        entity("light.a", device_id="d1"),
        entity("light.b", device_id="d1", area_id="office"),
        entity("light.c", device_id="d1", area_id=""),
        entity("light.d", device_id="d2"),
        entity("light.e", device_id="d3", area_id="  "),
        entity("light.f", device_id="unknown"),
        entity("light.g"),
    ]
    areas = {e.entity_id[-1]: e.area_id for e in read(api()).entities}
    assert areas == {"a": "hall", "b": "office", "c": "hall", "d": None, "e": None, "f": None, "g": None}
    assert service.asked("/api/devices") == ["limit=1000"]


def test_more_devices_than_one_answer_holds_are_reached_by_area(service: Service, api: Open) -> None:
    service.devices = [device(f"d{i}", f"area{i % 7}") for i in range(1_500)]
    service.devices += [device("late", "only an entity names it"), device("nowhere", 7)]
    service.entities = [entity(f"light.l{i}", device_id=f"d{i}") for i in range(1_500)]
    service.entities += [entity("light.late", device_id="late"), entity("light.gone", device_id="gone")]
    service.entities += [entity("light.there", area_id="only an entity names it")]
    source = api()
    areas = {e.entity_id: e.area_id for e in read(source).entities}
    assert [areas[f"light.l{i}"] for i in range(1_500)] == [f"area{i % 7}" for i in range(1_500)]
    assert areas["light.late"] == "only an entity names it"
    assert "1 devices of entities without an area stay unknown" in source.report.notes[0]
    assert len(service.asked("/api/devices")) == 9


def test_an_area_with_too_many_devices_is_reported_and_fatal_when_strict(service: Service, api: Open) -> None:
    service.devices = [device(f"d{i}", "hall") for i in range(1_100)]
    service.entities = [entity("light.a", device_id="d1050")]
    source = api()
    assert read(source).entities[0].area_id is None
    assert source.report.notes[0] == "the list of the devices of area 'hall' is cut off"
    assert "area 'hall'" in refused(api(strict=True), FormatError)


def many_devices(service: Service, areas: int, makers: int, wanted: Sequence[int], names: str = "light.l{}") -> None:
    """3,000 devices in areas of two words, of makers with ten models each; entities of some have no area."""
    service.devices = [
        device(f"d{i}", f"area_{i % areas}", manufacturer=f"maker {i % makers}", model=f"m{i % (10 * makers)}")
        for i in range(3_000)
    ]
    service.entities = [entity(names.format(i), device_id=f"d{i}") for i in wanted]
    service.entities += [entity(f"sensor.s{i}", area_id=f"area_{i}") for i in range(areas)]


def read_all(service: Service, source: DataApiSource) -> list[str]:
    """What was asked for the devices; every entity has got its area."""
    assert all(e.area_id is not None for e in read(source).entities)
    return service.asked("/api/devices")


def test_no_more_devices_are_asked_for_than_entities_need(service: Service, api: Open) -> None:
    many_devices(service, 500, 600, range(900))
    assert read_all(service, api()) == ["limit=1000"], "all are in the first list"
    service.requests.clear()
    many_devices(service, 500, 600, [2_444, 2_944], "light.{}_area_444_lamp")
    assert len(read_all(service, api())) <= 1 + 2 + 4, "the areas that their names hold come first"
    service.requests.clear()
    many_devices(service, 500, 600, [2_444])
    service.entities.append(entity("light.sibling", device_id="d2444", area_id="area_444"))
    assert len(read_all(service, api())) <= 1 + 1 + 4, "the area of another entity of the device comes first"


def test_devices_come_by_manufacturer_where_there_are_fewer_than_areas(service: Service, api: Open) -> None:
    many_devices(service, 500, 12, range(2_000, 3_000))
    assert len(read_all(service, api())) == 1 + 12


@pytest.mark.parametrize("known", [True, False])
def test_a_manufacturer_of_too_many_is_asked_for_by_model_where_the_service_knows_models(
    service: Service, api: Open, known: bool
) -> None:
    many_devices(service, 100, 2, [2_999])
    if known:
        service.device_filters += ("model",)
    asked = read_all(service, api())
    assert "limit=1000&manufacturer=maker+0" in asked
    assert any("model=" in query for query in asked)
    by_area = sum("area_id=" in query for query in asked)
    assert by_area == 0 if known else 0 < by_area <= 100
    assert known or sum("model=" in query for query in asked) <= 2 * 4, "that it does not is seen at once"


def test_the_time_follows_what_is_needed_while_answers_come(
    service: Service, api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SECONDS_A_SLICE", 0.1)
    many_devices(service, 20, 600, [2_999, 1])
    service.entities.append(entity("light.gone", device_id="gone"))  # so that every area is asked for
    service.slow = lambda request: time.sleep(0.06 if "area_id" in request.args else 0)
    source = api(total_seconds=0.25)
    assert len(read(source).entities) == 23
    assert "20 areas were asked for one by one; 1 devices" in source.report.notes[0]
    service.slow = lambda request: time.sleep(0.4 if "area_id" in request.args else 0)
    started = time.monotonic()
    refused(api(total_seconds=0.25))
    assert time.monotonic() - started < 4, "no answers, no time"


def test_devices_with_anything_for_an_id_or_area_are_counted(service: Service, api: Open) -> None:
    service.devices = [device(f"d{i}", "hall") for i in range(1_000)]
    service.devices[5:8] = [{"name": "no id"}, device("list", ["hall"]), device("text", 3)]
    service.entities = [entity("light.a", device_id="d1"), entity("light.b", device_id="list", area_id=4)]
    service.entities += [entity("light.\ud800", area_id="\ud800", platform="\ud800"), *lights(20)]
    source = api()
    home = read(source)
    assert {e.entity_id: e.area_id for e in home.entities[:2]} == {"light.a": "hall", "light.b": "4"}
    assert source.report.rejected["device"] == 2


def test_a_service_without_devices_is_noted(service: Service, api: Open) -> None:
    service.entities = [entity("light.a", device_id="d1")]
    service.before = lambda request: reply({"detail": "Not Found"}, 404) if request.path == "/api/devices" else None
    source = api()
    assert read(source).entities == (Entity(entity_id="light.a", device_id="d1", platform="hue", supported_features=0),)
    assert source.report.notes == [
        "the service has no list of devices: entities without an area of their own have none"
    ]


def test_where_devices_fail_nothing_is_read(service: Service, api: Open) -> None:
    service.entities = [entity("light.a", device_id="d1")]
    service.before = lambda request: reply("", 500) if request.path == "/api/devices" else None
    assert "/api/devices?limit=1000: fails with 500" in refused(api())


def test_the_order_of_the_answers_does_not_change_the_home(service: Service, api: Open) -> None:
    service.devices = [device(f"d{i}", f"area{i % 3}" if i % 4 else None) for i in range(30)]
    service.entities = [
        entity(f"{d}.e{i}", platform=p, device_id=f"d{i}", area_id=f"area{i}" if i % 3 else None)
        for d in ("light", "switch")
        for p in ("hue", "mqtt")
        for i in range(0 if p == "hue" else 30, 30 if p == "hue" else 60)
    ]
    expected = read(api())
    assert len(expected.entities) == 120
    for seed, cap in ((1, 10_000), (2, 10_000), (3, 50), (4, 50)):
        service.shuffle, service.cap = random.Random(seed), cap
        home = read(api())
        assert (home.fingerprint(), home) == (expected.fingerprint(), expected)


# Keys and other secrets


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Callable[[], str]:
    """All that any logger says, down to DEBUG, also those the source quiets."""
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, name)
    return lambda: "\n".join(f"{record.getMessage()} {record.args} {record.exc_text}" for record in caplog.records)


def chained(error: BaseException | None) -> str:
    """The text of an error and of all that led to it."""
    text = ""
    while error is not None:
        text += f"{error!r} {error} {error.args} "
        error = error.__cause__ or error.__context__
    return text


def test_the_key_is_sent_with_every_request_but_for_health(service: Service, api: Open) -> None:
    service.entities = [entity("light.a", device_id="d1")]
    source = api(key=SecretStr(f" {KEY}\n"))
    read(source)
    assert source.health() is None
    sent = [(request.path, request.headers.get("Authorization")) for request in service.requests]
    assert sent == [("/api/entities", f"Bearer {KEY}"), ("/api/devices", f"Bearer {KEY}"), ("/health", None)]


def test_an_empty_key_is_no_key(service: Service, api: Open) -> None:
    service.entities = lights(1)
    read(api(key=SecretStr(" ")))
    assert "Authorization" not in service.requests[0].headers


@pytest.mark.parametrize("status", [200, 302, 401, 422, 429, 500])
def test_no_secret_is_ever_shown(
    service: Service, httpserver: HTTPServer, everything_logged: Callable[[], str], status: int
) -> None:
    service.entities = [*lights(20), {"entity_id": 3}]
    if status != 200:
        service.before = lambda request: reply({"detail": "no"}, status, Location="/api/entities")
    url = httpserver.url_for("").replace("//", "//user:pa55w0rd@")
    source = DataApiSource(url, key=SecretStr(KEY), first_wait_seconds=0.001)
    text = ""
    try:
        read(source)
    except DataSourceError as error:
        text = chained(error)
    assert service.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    text += f"{source.health()} {source.describe()} {source.report} {source!r} {everything_logged()}"
    assert source.describe() == {"type": "data_api", "location": httpserver.url_for("").rstrip("/")}
    assert "api/entities" in text
    assert KEY not in text
    assert "pa55w0rd" not in text


def test_without_a_key_user_and_password_of_the_address_are_sent(service: Service, httpserver: HTTPServer) -> None:
    service.entities = lights(1)
    read(DataApiSource(httpserver.url_for("").replace("//", "//user:pa%2F55@")))
    authorization = service.requests[0].authorization
    assert authorization is not None
    assert (authorization.username, authorization.password) == ("user", "pa/55")


@pytest.mark.parametrize("key", ["s3cret\nk3y", "s3cret-k\xe9y", "s3cret\x00"])
def test_a_malformed_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(DataApiError, match=r"the Data API key .* is not plain text") as failure:
        DataApiSource("http://127.0.0.1:1", key=SecretStr(key))
    assert "s3cret" not in chained(failure.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data-api:8006",
        "ftp://data-api",
        "http://",
        "http://[::1",
        "http://host:port",
        "http://host:99999",
        "http://user:pa55/w0rd@host",
        "http://user:pa55?w0rd@host",
        "http://user:pa55#w0rd@host",
        "http://host/?token=pa55w0rd",
        "http://host\n.de",
    ],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(
        DataApiError, match=r"expected the address of a Data API such as http://data-api:8006; .*DATA_API_URL"
    ) as failure:
        DataApiSource(url)
    assert "pa55" not in chained(failure.value)
    assert "w0rd" not in chained(failure.value)


def test_a_redirect_is_followed_but_carries_no_key_to_another_host(
    service: Service, api: Open, httpserver: HTTPServer
) -> None:
    other = HTTPServer(host="127.0.0.1", port=0)
    seen: list[Request] = []

    def answer(request: Request) -> Response:
        seen.append(request)
        return reply({"entities": lights(2)})

    other.expect_request("/elsewhere").respond_with_handler(answer)
    other.start()
    try:
        service.before = lambda request: reply("", 302, Location=other.url_for("/elsewhere"))
        assert len(read(api(key=SecretStr(KEY))).entities) == 2
        with_password = httpserver.url_for("").replace("//", "//user:pa55w0rd@")
        assert len(read(DataApiSource(with_password)).entities) == 2
    finally:
        other.stop()
    assert service.requests[0].headers["Authorization"] == f"Bearer {KEY}"
    assert [request.headers.get("Authorization") for request in seen] == [None, None]


# Failures that do not pass


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (
            401,
            {"detail": "Authentication required"},
            DataApiError,
            "401 (Authentication required); set DATA_API_API_KEY",
        ),
        (401, {"detail": "Invalid or expired credentials"}, DataApiError, "(Invalid or expired credentials); set DATA"),
        (403, "", DataApiError, "answers 403; set DATA_API_API_KEY (or DATA_API_KEY, API_KEY) to a valid key"),
        (
            404,
            {"detail": "Not Found"},
            NotFoundError,
            "answers 404 (Not Found); is DATA_API_URL the Data API's address?",
        ),
        (
            422,
            {"error": {"message": "limit is out of range"}},
            DataApiError,
            "answers 422 (limit is out of range); this",
        ),
        (400, {"detail": ["x"]}, DataApiError, "answers 400; this program and the service do not agree"),
        (400, "[" * 60_000, DataApiError, "answers 400; this"),
        (400, {"detail": "two\nlines" * 100}, DataApiError, "answers 400 (two\\nlines"),
        (304, "", DataApiError, "answers 304; this program"),
        (204, "", DataApiError, "answers 204; this program"),
    ],
)
def test_a_refusal_fails_at_once_and_says_what_to_do(
    service: Service, api: Open, status: int, body: Any, error: type[DataSourceError], message: str
) -> None:
    service.before = lambda request: reply(body, status)
    assert message in refused(api(), error)
    assert len(service.requests) == 1


def test_a_limit_that_the_service_does_not_accept_is_told(
    service: Service, api: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENTITY_LIMIT", 10_001)
    assert "limit=10001: answers 422 (limit is out of range)" in refused(api())


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<!doctype html><p>Sign in", "answers a web page, not JSON; is DATA_API_URL the Data API's address?"),
        ("", "answers neither a list nor an object"),
        ("3", "answers neither a list nor an object; expected {'entities': [...]}"),
        ('{"devices": [], "count": 0}', "the answer has no list 'entities', only: count, devices"),
        ("{}", "the answer has no list 'entities', only: nothing"),
        ('{"entities": {"a": 1}}', "the answer has no list 'entities', only: entities"),
        ('{"entities": null}', "the answer has no list 'entities'"),
        ('{"entities": [{"entity_id": "light.a"},\n {"ent', "the answer is cut off at line 2 column 3"),
        ('{"entities": [{"entity_id": "light.a"}]', "the answer is cut off at line 1 column 40"),
        ('{"entities": [{"entity_id": "light.a"}]}]', "the answer is not JSON at line 1 column 41"),
        ("{'entities': []}", "the answer is not JSON at line 1 column 2"),
        ('{"entities": ' + "[" * 100_000, "the answer is not usable JSON"),
        (b'{"entities": ["\xff"]}', "answers bytes that are not UTF-8 text"),
        ('{"entities": []}', "holds no gnn_synergy rows; nothing can be learnt or suggested from it"),
    ],
)
def test_an_answer_that_is_no_list_of_entities_says_why(
    service: Service, api: Open, body: str | bytes, message: str
) -> None:
    service.before = lambda request: reply(body)
    assert message in refused(api(), FormatError)
    assert len(service.requests) == 1


def test_a_wrongly_compressed_answer_says_so(service: Service, api: Open) -> None:
    service.before = lambda request: reply("{}", Content_Encoding="gzip")
    assert "the answer cannot be used (DecodingError)" in refused(api())


def test_unusable_entities_are_counted_and_explained(service: Service, api: Open) -> None:
    service.entities = [*lights(18), {"name": "no id"}, entity("light.x", disabled="no")]
    source = api()
    assert len(read(source).entities) == 18
    assert source.report.rejected == {"entity": 2}
    assert source.report.reasons == [
        "/api/entities?limit=10000 entity 19: entity_id: missing - expected an entity id such as light.kitchen; "
        "the row has name and needs entity_id",
        "/api/entities?limit=10000 entity 20: disabled: 'no' - expected true or false",
    ]
    assert "--strict stops at the first" in refused(api(strict=True), UnusableRowsError)


def test_more_than_a_tenth_of_unusable_entities_is_fatal(service: Service, api: Open) -> None:
    service.entities = [*lights(17), entity("light"), 3, None]  # type: ignore[list-item]
    assert "3 of 20 entities cannot be used, more than a tenth" in refused(api(), UnusableRowsError)


def test_other_kinds_name_the_sources_that_have_them(service: Service, api: Open) -> None:
    with pytest.raises(
        UnsupportedKindError, match=r"no soft_prompt data; a database .*sqlite.* JSON file \(--json-inp"
    ):
        list(api().read(PromptRow))
    assert service.requests == []


def test_a_host_that_does_not_resolve_says_so_quickly() -> None:
    started = time.monotonic()
    message = refused(DataApiSource("http://no-such-host.invalid:8006"), NotFoundError)
    assert "the host name does not resolve; set DATA_API_URL" in message
    assert "--json-input" in message
    assert time.monotonic() - started < 3


def test_a_refused_connection_says_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    message = refused(DataApiSource(f"http://127.0.0.1:{port}", first_wait_seconds=0.01))
    assert "no connection ([Errno 111] Connection refused); is the Data API running?" in message
    assert "DATA_API_URL says where, --json-input reads a JSON file instead" in message


def test_a_redirect_in_a_circle_ends(service: Service, api: Open) -> None:
    service.before = lambda request: reply("", 302, Location="/api/entities?again")
    assert "redirects in a circle; check DATA_API_URL" in refused(api())
    assert len(service.requests) == 6


@pytest.mark.parametrize("location", ["ftp://127.0.0.1/", "http://[::1"])
def test_a_redirect_to_no_web_address_ends(service: Service, api: Open, location: str) -> None:
    service.before = lambda request: reply("", 302, Location=location)
    refused(api())


# Failures that may pass


def in_turn(*answers: Response | None) -> Callable[[Request], Response | None]:
    """The first requests get these answers."""
    waiting = list(answers)
    return lambda request: waiting.pop(0) if waiting else None


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_failure_that_passes_leaves_no_trace(service: Service, api: Open, status: int) -> None:
    service.entities = lights(5)
    service.before = in_turn(reply({"detail": "busy"}, status), reply("<html>", status))
    source = api()
    assert len(read(source).entities) == 5
    assert len(service.requests) == 3
    assert source.report.notes == []


@pytest.mark.parametrize("after", ["now + 1", "1"])
def test_the_service_says_how_long_to_wait(service: Service, api: Open, after: str) -> None:
    service.entities = lights(5)
    value = formatdate(time.time() + 2, usegmt=True) if after != "1" else after  # a date has no fractions
    service.before = in_turn(reply("", 429, Retry_After=value))
    started = time.monotonic()
    assert len(read(api()).entities) == 5
    assert 0.9 < time.monotonic() - started < 3
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    "value", ["0", "-5", "soon", "\xb2", "", "Wed, 21 Oct 2015 07:28:00", "Wed, 21 Oct 2015 07:28:00 +99999999999999"]
)
def test_a_wait_that_makes_no_sense_is_not_waited(service: Service, api: Open, value: str) -> None:
    service.entities = lights(5)
    service.before = in_turn(reply("", 429, Retry_After=value))
    assert len(read(api()).entities) == 5


@pytest.mark.parametrize(
    "value", ["3600", "9" * 400, pytest.param(formatdate(time.time() + 4_000, usegmt=True), id="a date")]
)
def test_a_wait_longer_than_the_time_left_fails_at_once(service: Service, api: Open, value: str) -> None:
    service.before = lambda request: reply("", 429, Retry_After=value)
    started = time.monotonic()
    assert "longer than this run may take" in refused(api())
    assert len(service.requests) == 1
    assert time.monotonic() - started < 2


def test_a_service_that_stays_busy_is_given_up(service: Service, api: Open) -> None:
    service.before = lambda request: reply({"success": False, "error": "Rate limit exceeded."}, 429)
    assert "refuses, too many requests (Rate limit exceeded.); try again later" in refused(api())
    assert len(service.requests) == module.ATTEMPTS


def test_many_slices_pass_a_rate_limit(service: Service, api: Open) -> None:
    service.cap = 200
    service.entities = [
        entity(f"{d}.{p}{i}", platform=p) for d in ("light", "sensor", "switch") for p in "abcd" for i in range(60)
    ]
    tokens, last, refusals = 20.0, time.monotonic(), 0

    def bucket(request: Request) -> Response | None:
        nonlocal tokens, last, refusals
        now = time.monotonic()
        tokens, last = min(20.0, tokens + (now - last) * 40), now  # the service's burst, refilled 24 times as fast
        if tokens < 1:
            refusals += 1
            return reply({"success": False, "error": "Rate limit exceeded", "error_code": "RATE_LIMIT_EXCEEDED"}, 429)
        tokens -= 1
        return None

    service.before = bucket
    home = read(api(first_wait_seconds=0.5 / 24))
    assert len(home.entities) == 720
    assert refusals > 5


# Connections that break, drip and never end


def head(length: int | None, *more: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", *more]
    return "\r\n".join(
        [*lines, "Connection: close" if length is None else f"Content-Length: {length}", "", ""]
    ).encode()


def test_a_service_that_always_dies_in_mid_answer_is_given_up(raw: Callable[..., str]) -> None:
    attempts = []

    def die(connection: socket.socket) -> None:
        attempts.append(1)
        connection.sendall(head(1_000) + b'{"entities": [')

    message = refused(DataApiSource(raw(die), first_wait_seconds=0.01))
    assert "the connection broke (peer closed connection without sending complete message body" in message
    assert len(attempts) == module.ATTEMPTS


def test_a_service_that_dies_once_in_mid_answer_is_asked_again(raw: Callable[..., str]) -> None:
    body = json.dumps({"entities": lights(50)}).encode()
    lives = iter([b"", head(len(body)) + body[:200], head(len(body)) + body])
    assert len(read(DataApiSource(raw(lambda c: c.sendall(next(lives))), first_wait_seconds=0.01)).entities) == 50


def drip(start: bytes, then: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        while True:
            connection.sendall(then)
            time.sleep(0.05)

    return answer


DRIPS = {
    "body with a length": drip(head(100_000) + b"[", b" "),
    "body without a length": drip(head(None) + b"[", b" "),
    "chunks": drip(head(None, "Transfer-Encoding: chunked"), b"1\r\n \r\n"),
    "compressed": drip(head(100_000, "Content-Encoding: gzip") + b"\x1f\x8b\x08\x08\0\0\0\0\0\0", b"a"),
    "head": drip(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "failure": drip(b"HTTP/1.1 500 Oh\r\nContent-Length: 9999\r\n\r\n", b" "),
}


@pytest.mark.parametrize("name", DRIPS)
def test_an_answer_that_drips_byte_by_byte_is_given_up_in_time(raw: Callable[..., str], name: str) -> None:
    started = time.monotonic()
    message = refused(DataApiSource(raw(DRIPS[name]), total_seconds=0.5, read_seconds=5))
    assert 0.4 < time.monotonic() - started < 2
    assert "answers too slowly; gave up after 0.5 s" in message


def test_a_service_that_never_answers_is_given_up(raw: Callable[..., str]) -> None:
    url = raw(lambda connection: time.sleep(30))
    started = time.monotonic()
    assert "no answer within 0.05 s" in refused(DataApiSource(url, read_seconds=0.05, first_wait_seconds=0.01))
    assert "answers too slowly" in refused(DataApiSource(url, total_seconds=0.3))
    assert time.monotonic() - started < 3


def test_one_failure_ends_the_requests_that_are_under_way(service: Service, api: Open) -> None:
    service.cap, service.entities = 3, lights(5)
    over = threading.Event()
    service.slow = lambda request: "domain" in request.args and over.wait(5)
    service.before = lambda request: reply("", 401) if request.args.get("domain") == min(module.DOMAINS) else None
    started = time.monotonic()
    try:
        refused(api())
        assert time.monotonic() - started < 2
    finally:
        over.set()


def endless(start: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.sendall(start)
        for _ in range(3 * 2**14):  # 3 GB
            connection.sendall(b" " * 2**16)

    return answer


@pytest.mark.parametrize("length", [3 * 2**30, None])
def test_an_answer_of_gigabytes_is_stopped_and_not_held_in_memory(raw: Callable[..., str], length: int | None) -> None:
    source = DataApiSource(raw(endless(head(length))), max_body_bytes=128 * 2**20)
    tracemalloc.start()
    started = time.monotonic()
    try:
        assert "answers more than 128 MB; that is no list of entities" in refused(source, FormatError)
        assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 5


def test_compressed_gigabytes_are_stopped_too(service: Service, api: Open) -> None:
    service.before = lambda request: reply(gzip.compress(b" " * 2**22), Content_Encoding="gzip")
    assert "answers more than 1 MB" in refused(api(max_body_bytes=2**20), FormatError)


def test_a_full_disk_says_where(service: Service, api: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    service.entities = lights(5_000)  # more than stays in memory
    monkeypatch.setattr("tempfile.tempdir", "/no/such/folder")
    assert "the answer cannot be kept in /no/such/folder (No such file or directory)" in refused(api())


# Health


def test_health_says_why_not(service: Service, api: Open) -> None:
    assert api().health() is None
    for answer, reason in [
        (reply({"status": "unhealthy"}), "/health says 'unhealthy'"),
        (reply({"status": "unhealthy"}, 503), "/health answers 503"),
        (reply("", 302, Location="/"), "/health answers 302"),
        (reply("<html>"), "/health says None"),
        (reply("[" * 60_000), "/health says None"),
        (reply(" " * 100_000), "/health says None"),
    ]:
        service.before = in_turn(answer)
        assert (api().health() or "").endswith(reason)


def test_health_that_drips_is_given_up_within_two_seconds(raw: Callable[..., str]) -> None:
    url = raw(DRIPS["head"])
    started = time.monotonic()
    assert DataApiSource(url).health() == f"{url} does not answer within 2 s"
    assert 1.8 < time.monotonic() - started < 2.6


def test_health_of_nothing_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
    assert DataApiSource(url).health() == f"{url} cannot be reached (ConnectError)"
    absent = "http://no-such-host.invalid"
    assert DataApiSource(absent).health() == f"{absent} cannot be reached (ConnectError)"
