"""Proxies, certificates, redirects and env files: what needs none of them works, else one line names the variable."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from loopback import CERTIFICATE, KEY
from pydantic import SecretStr
from pytest_httpserver import HTTPServer

from data_sources import DataSourceError, Home, PromptRow, open_source
from data_sources.data_api import DataApiSource
from data_sources.http_environment import proxy_for
from data_sources.json_file import JsonSource
from data_sources.masking import without_secrets

ENTITIES = {"entities": [{"entity_id": "light.hall", "area_id": "hall"}], "count": 1, "limit": 10_000}


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("DATA_API_URL", "DATABASE_URL", "DATABASE_PATH", "API_KEY", "TRAINING_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def service(httpserver: HTTPServer) -> HTTPServer:
    httpserver.expect_request("/api/entities").respond_with_json(ENTITIES)
    httpserver.expect_request("/health").respond_with_json({"status": "healthy"})
    return httpserver


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    (tmp_path / "certificate.pem").write_text(CERTIFICATE)
    (tmp_path / "key.pem").write_text(KEY)
    return tmp_path / "certificate.pem"


@pytest.fixture
def secure(certificate: Path) -> Iterator[HTTPServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_name("key.pem"))
    with HTTPServer(host="127.0.0.1", ssl_context=context) as server:
        server.expect_request("/api/entities").respond_with_json(ENTITIES)
        server.expect_request("/health").respond_with_json({"status": "healthy"})
        yield server


def read(url: str, **options: Any) -> Home:
    return next(iter(DataApiSource(url, **{"first_wait_seconds": 0.01, **options}).read(Home)))


def refused(url: str, **options: Any) -> str:
    started = time.monotonic()
    with pytest.raises(DataSourceError) as failure:
        read(url, **options)
    assert time.monotonic() - started < 3
    assert str(failure.value).isprintable()
    assert "SECRET" not in str(failure.value)
    return str(failure.value)


# --- proxies ---


@pytest.mark.parametrize(
    ("environment", "address", "variable"),
    [
        ({}, ("http", "data-api", 8006), None),
        ({"HTTP_PROXY": "http://p:1"}, ("http", "data-api", 8006), "HTTP_PROXY"),
        ({"HTTP_PROXY": "http://p:1", "http_proxy": ""}, ("http", "data-api", 8006), None),
        ({"https_proxy": "http://p:1"}, ("http", "data-api", 8006), None),
        ({"ALL_PROXY": "socks5://p:1"}, ("https", "data-api", None), "ALL_PROXY"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "data-api"}, ("http", "data-api", 8006), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "api"}, ("http", "data-api", 8006), "ALL_PROXY"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": ".local, example.org"}, ("http", "a.local", 80), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*.local"}, ("http", "A.Local", 80), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, ("http", "data-api", 8006), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "http://data-api"}, ("http", "data-api", 8006), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "data-api:8006"}, ("http", "data-api", 8006), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "data-api:80"}, ("http", "data-api", 8006), "ALL_PROXY"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, ("http", "10.1.2.3", 80), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, ("http", "11.1.2.3", 80), "ALL_PROXY"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "::1,fd00::/8"}, ("http", "fd00::7", 80), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "[::1]:8006"}, ("http", "::1", 8006), None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "fe80::1"}, ("http", "::1", 80), "ALL_PROXY"),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": ", ,[,:,"}, ("http", "data-api", 80), "ALL_PROXY"),
    ],
)
def test_a_proxy_is_taken_as_the_variables_say(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], address: tuple[str, str, int], variable: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    proxy = proxy_for(*address)
    assert (proxy.variable if proxy else None) == variable


BAD_PROXIES = [
    "ftp://user:SECRET@h:1",
    "http://user:SECRET/x@h",
    "http://h:port",
    "socks5://user:SECRET@h:1",
    "http://[::1",
]


@pytest.mark.parametrize("proxy", BAD_PROXIES)
def test_a_bad_proxy_is_named_unless_the_address_goes_past_it(
    monkeypatch: pytest.MonkeyPatch, service: HTTPServer, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    url = service.url_for("").replace("localhost", "127.0.0.1")
    message = refused(url)
    assert message.startswith("ALL_PROXY=")
    assert "cannot be used as a proxy" in message or "the proxy that ALL_PROXY names" in message
    for hosts in ("127.0.0.1", "::1,fd00::/8,127.0.0.0/8", "*"):
        monkeypatch.setenv("NO_PROXY", hosts)
        assert len(read(url).entities) == 1


def test_auto_falls_back_with_the_reason(monkeypatch: pytest.MonkeyPatch, service: HTTPServer) -> None:
    monkeypatch.setenv("DATA_API_URL", service.url_for(""))
    monkeypatch.setenv("HTTP_PROXY", "ftp://user:SECRET@h:1")
    source = open_source(data_source="auto")
    assert type(source) is JsonSource
    assert source.choice is not None
    assert source.choice.startswith("auto: the JSON file, for HTTP_PROXY='ftp://h:1': cannot be used as a proxy")
    monkeypatch.setenv("DATA_API_URL", '"http://data-api:8006"')
    source = open_source(data_source="auto")
    assert "DATA_API_URL says which" in str(source.choice)
    monkeypatch.setenv("DATABASE_URL", "no address")
    assert "is no database address" in str(open_source(data_source="auto", kind="soft_prompt").choice)


def test_a_proxy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://user:SECRET@127.0.0.1:{port}")
    message = refused("http://data-api:8006")
    assert "no connection ([Errno 111] Connection refused) through the proxy that http_proxy names" in message
    assert "NO_PROXY=data-api goes past it" in message


# --- certificates ---


def test_certificates_that_cannot_be_read_matter_only_where_they_are_needed(
    monkeypatch: pytest.MonkeyPatch, service: HTTPServer, tmp_path: Path
) -> None:
    (tmp_path / "no.pem").write_text("no certificate")
    for place in (tmp_path / "nowhere.pem", tmp_path / "no.pem", tmp_path):
        monkeypatch.setenv("SSL_CERT_FILE", str(place))
        assert len(read(service.url_for("")).entities) == 1
        message = refused("https://127.0.0.1:9")
        assert f"SSL_CERT_FILE={str(place)!a}: cannot be read as certificates (" in message
        assert "SSL_CERT_FILE" in str(DataApiSource("https://127.0.0.1:9").health())


def test_an_untrusted_certificate_is_named_at_once_and_ssl_cert_file_trusts_it(
    monkeypatch: pytest.MonkeyPatch, secure: HTTPServer, certificate: Path
) -> None:
    url = secure.url_for("").replace("localhost", "127.0.0.1")
    message = refused(url, first_wait_seconds=5)
    assert "its certificate is not trusted (self-signed certificate); set SSL_CERT_FILE to a file with" in message
    assert "its certificate is not trusted" in str(DataApiSource(url).health())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert len(read(url).entities) == 1
    assert DataApiSource(url).health() is None


def test_https_to_a_port_of_http_is_named_at_once(service: HTTPServer) -> None:
    url = service.url_for("").replace("http://", "https://")
    assert "no TLS is spoken there (" in refused(url, first_wait_seconds=5)
    assert "is its address http://?" in str(DataApiSource(url).health())


# --- redirects and names ---


def test_a_redirect_to_another_address_says_so_and_what_to_set(
    service: HTTPServer, caplog: pytest.LogCaptureFixture
) -> None:
    with HTTPServer(host="127.0.0.1") as other:
        other.expect_request("/api/entities", headers={"Authorization": "Bearer k"}).respond_with_json(ENTITIES)
        other.expect_request("/api/entities").respond_with_json({"detail": "Authentication required"}, status=401)
        elsewhere = other.url_for("").rstrip("/")
        with HTTPServer(host="127.0.0.1") as moved:
            headers = {"Location": other.url_for("/api/entities?limit=10000")}
            moved.expect_request("/api/entities").respond_with_data("", 307, headers)
            message = refused(moved.url_for(""), key=SecretStr("k"))
        assert f"redirects to {elsewhere}, which answers 401 (Authentication required)" in message
        assert f"the key does not go along to another address. Set DATA_API_URL={elsewhere}" in message
        assert f"redirects to {elsewhere}" in caplog.text
        assert len(read(elsewhere, key=SecretStr("k")).entities) == 1


@pytest.mark.parametrize(
    "place", ["http://" + "a" * 70 + ".local/", "http://[::1/", "http://user:SECRET@/x", "gopher://x/"]
)
def test_a_redirect_to_what_is_no_host_ends_in_a_line(httpserver: HTTPServer, place: str) -> None:
    httpserver.expect_request("/api/entities").respond_with_data("", 302, {"Location": place})
    assert refused(httpserver.url_for(""), total_seconds=2).startswith("http://")


def test_a_name_server_that_does_not_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, service: HTTPServer
) -> None:
    real, failures = socket.getaddrinfo, [3]

    def getaddrinfo(*arguments: Any, **options: Any) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert len(read(service.url_for("")).entities) == 1
    failures[0] = 100
    assert "the host name does not resolve" in refused(service.url_for(""))
    assert failures[0] == 100 - 6


# --- env files and secrets ---


def test_quotes_and_carriage_returns_of_an_env_file_are_shown_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    quoted = "its quotes are part of the value"
    for value in ('"http://data-api:8006"', "'http://user:SECRET@data-api:8006'"):
        message = refused(value)
        assert quoted in message
        assert "data-api:8006" in message
    for name, value, told in (
        ("DATABASE_URL", '"sqlite:///data/x.db"', quoted),
        ("DATABASE_URL", '"postgresql://user:SECRET@host/db"', quoted),
        ("DATABASE_URL", "sqlite:///data/x.db\r", "it ends in a carriage return"),
        ("DATABASE_PATH", "'data/x.db'", quoted),
        ("DATABASE_PATH", "data/x.db\r", "it ends in a carriage return"),
    ):
        monkeypatch.delenv("DATABASE_URL", raising=False)
        monkeypatch.setenv(name, value)
        with pytest.raises(DataSourceError, match=told) as failure:
            list(open_source(kind="soft_prompt").read(PromptRow))
        assert str(failure.value).isprintable()
        assert "SECRET" not in str(failure.value)


def test_a_quoted_key_is_told_where_it_is_refused(httpserver: HTTPServer) -> None:
    httpserver.expect_request("/api/entities").respond_with_data("", 401)
    assert "its quotes are part of the value" in refused(httpserver.url_for(""), key=SecretStr("'SECRET'"))


@pytest.mark.parametrize(
    ("place", "shown"),
    [
        ("http://user:SECRET/x@h", "http://h"),
        ("http://user:SE@CRET@h:1/x?token=SECRET#SECRET", "http://h:1/x"),
        ("http:/user:SECRET@h/x", "http:/h/x"),
        ("user:SECRET@h/x", "h/x"),
        ("http:user:SECRET@h", "h"),
        ("postgresql+asyncpg://user:SECRET@h/db", "postgresql+asyncpg://h/db"),
        ('"http://user:SECRET@h"', '"http://h"'),
        ("https://h/x?key=SECRET", "https://h/x"),
        ("/data/me@home/x.json", "/data/me@home/x.json"),
        ("me@home/x.json?", "me@home/x.json?"),
        ("./a:b@c.json", "./a:b@c.json"),
        ("a\nb", "'a\\nb'"),
    ],
)
def test_what_stands_before_the_last_at_sign_of_an_address_is_never_shown(place: str, shown: str) -> None:
    assert without_secrets(place) == shown


@pytest.mark.parametrize(
    "place", ["http:/user:SECRET@h/x", "user:SECRET@h/x.json", "ftp://user:SECRET/x@h", "x://a:SECRET@h?b=SECRET"]
)
@pytest.mark.parametrize("flag", ["json_input", "data_source"])
def test_no_flag_shows_a_secret(flag: Any, place: str) -> None:
    with pytest.raises(DataSourceError) as failure:
        list(open_source(**{flag: place}).read(Home))
    assert "SECRET" not in str(failure.value)
