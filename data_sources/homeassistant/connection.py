"""A connection to Home Assistant's WebSocket API: one line says what is wrong with it. Only lists are asked for.

The only module that imports websockets. What the other side sends is hostile: size, time and number are limited, and
of its texts no message shows more than words and numbers.
"""

from __future__ import annotations

import json
import logging
import re
import socket
import ssl
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote, unquote, urljoin, urlsplit

from pydantic import SecretStr
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidMessage,
    InvalidProxy,
    InvalidProxyStatus,
    InvalidStatus,
    ProxyError,
    WebSocketException,
)
from websockets.sync.client import ClientConnection, connect

from data_sources.base import DataSourceError, FormatError, NotFoundError, stray_characters
from data_sources.http_environment import CertificatesError, cause_of, proxy_for, proxy_note, ssl_context, tls_trouble
from data_sources.masking import message_of, remember, spellings, without_secrets
from data_sources.records import plain
from data_sources.time_limit import TimeLimit

_log = logging.getLogger("data_sources.homeassistant.websocket")
_log.setLevel(logging.CRITICAL)  # at DEBUG the library logs every message, the one with the token too

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 30.0  # without an answer to anything that was asked
TOTAL_SECONDS = 300.0
CLOSE_SECONDS = 1.0
MAX_MESSAGE_BYTES = 64 * 2**20  # 10,000 entities have 10 MB of states
MAX_TOTAL_BYTES = 512 * 2**20
AT_ONCE = 8  # commands without an answer yet; Home Assistant itself bears thousands

DEFAULT_PORT = 8123
SUPERVISOR = "supervisor"  # the host's name inside an add-on
_SECURE = {"http": False, "ws": False, "https": True, "wss": True}
_SUPERVISED_PATH = "/core"
_PAGE_PATHS = re.compile(r"(?:/api)?(?:/websocket)?$")  # what people paste behind the address
_WORD = re.compile(r"[a-z0-9_.\-]{1,40}")
_TOO_BIG, _NOT_OF_THE_PROTOCOL, _NOT_TEXT = 1009, 1002, 1007  # of the codes that a connection closes with
NO_ANSWER = "no_answer"


class HomeAssistantApiError(DataSourceError):
    """Home Assistant cannot be reached, refuses, or does not answer as it should."""


# -- The address -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Address:
    """Where a Home Assistant is.

    Attributes:
        shown: The address as a message may show it, such as ``https://host:8123/ha``.
        uri: That of its WebSocket API, with user and password of a proxy in front of it.
        host: Name or number, without brackets.
        port: 80 or 443 where none is given.
        secure: Whether TLS is spoken.
    """

    shown: str
    uri: str
    host: str
    port: int
    secure: bool

    @property
    def is_supervisor(self) -> bool:
        """Whether the Supervisor answers there, inside an add-on."""
        return self.host == SUPERVISOR


def parse_address(spec: str) -> Address:
    """``homeassistant+http(s)://[user:password@]host[:port][/path]``. Raises HomeAssistantApiError."""
    scheme, _, rest = spec.strip().partition("://")
    kind = scheme.partition("+")[2].lower()
    shown = without_secrets(f"{kind}://{rest}").rstrip("/")
    told = f"--data-source homeassistant+{shown}"
    if kind not in _SECURE or not rest:
        raise HomeAssistantApiError(
            f"{told}: expected homeassistant+http://host:{DEFAULT_PORT} or homeassistant+https://host"
            f"{stray_characters(spec)}"
        )
    secure = _SECURE[kind]
    try:
        parts = urlsplit(f"//{rest}")
        host = (parts.hostname or "").rstrip(".")
        port = parts.port if parts.port is not None else 443 if secure else 80
        ascii_host = host if host.isascii() else host.encode("idna").decode("ascii")
    except (ValueError, UnicodeError) as error:
        raise HomeAssistantApiError(
            f"{told}: is no address ({message_of(error)[:80]}){stray_characters(spec)}"
        ) from error
    if not host or port == 0 or not re.fullmatch(r"[\w.\-:%]+", ascii_host):
        raise HomeAssistantApiError(f"{told}: names no host, or one with odd characters{stray_characters(spec)}")
    if parts.query or parts.fragment:
        raise HomeAssistantApiError(f"{told}: leave out what follows the ? or # in the address")
    if parts.username is not None and parts.password is None:
        raise HomeAssistantApiError(
            f"{told}: has a user without a password; they are of a proxy in front of Home Assistant. Its own token "
            "belongs into HOME_ASSISTANT_TOKEN"
        )
    path = _PAGE_PATHS.sub("", parts.path.rstrip("/")).rstrip("/")
    supervised = ascii_host == SUPERVISOR and path in ("", _SUPERVISED_PATH)
    place = f"{_SUPERVISED_PATH}/websocket" if supervised else f"{path}/api/websocket"
    user = ""
    if parts.username is not None:
        user = f"{quote(unquote(parts.username), '')}:{quote(unquote(parts.password or ''), '')}@"
    bracketed = f"[{ascii_host}]" if ":" in ascii_host else ascii_host
    shown_path = plain(path if not supervised else _SUPERVISED_PATH)
    return Address(
        shown=f"http{'s' if secure else ''}://{plain(bracketed)}{'' if parts.port is None else f':{port}'}{shown_path}",
        uri=f"ws{'s' if secure else ''}://{user}{bracketed}:{port}{quote(place, safe='/%:@!$&()*+,;=~-._')}",
        host=ascii_host,
        port=port,
        secure=secure,
    )


# -- Answers -----------------------------------------------------------------------------------------------------------


class Answer(NamedTuple):
    """The result of a command, or the code of the error that refused it."""

    result: Any
    refused: str | None = None


Command = dict[str, Any]
"""``type`` and its arguments, without ``id``."""


class Connection:
    """An authenticated connection; a context manager.

    Args:
        address: Where.
        token: A long-lived access token, or the Supervisor's.
        variable: The variable that holds the token, for messages.

    Raises:
        DataSourceError: On entering, and when asking. The message is one line that says what to do.
    """

    def __init__(
        self,
        address: Address,
        token: SecretStr | None,
        variable: str,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
        total_seconds: float = TOTAL_SECONDS,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        max_total_bytes: int = MAX_TOTAL_BYTES,
    ) -> None:
        self._address, self._variable = address, variable
        self._shown = address.shown
        self._token = self._usable(token)
        self._connect_seconds, self._answer_seconds = connect_seconds, answer_seconds
        self._total_seconds = total_seconds
        self._max_message, self._bytes_left = max_message_bytes, max_total_bytes
        self._proxy = proxy_for("https" if address.secure else "http", address.host, address.port)
        self._proxy_note = proxy_note(self._proxy, address.host)
        self._last_id = 0
        self.version: str | None = None

    def _usable(self, token: SecretStr | None) -> str:
        value = token.get_secret_value() if token is not None else ""
        self._odd = stray_characters(value)
        value = value.strip()
        if value[:7].lower() == "bearer ":
            value = value[7:].strip()
        remember(*spellings(value))
        if not value:
            why = (
                "it is set inside an add-on with homeassistant_api: true"
                if self._address.is_supervisor
                else "make a long-lived access token at the foot of your profile page, under Security, and export it"
            )
            raise HomeAssistantApiError(f"{self._shown}: {self._variable} is not set; {why}")
        if not value.isascii() or not value.isprintable() or " " in value:
            raise HomeAssistantApiError(f"{self._shown}: {self._variable} is no token; copy it again{self._odd}")
        return value

    def __enter__(self) -> Connection:
        with ExitStack() as unless_open:
            self._limit = unless_open.enter_context(TimeLimit(self._total_seconds))
            self._socket = unless_open.enter_context(self._opened())
            self._limit.take(self._socket.socket)
            self._authenticate()
            self._open = unless_open.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    # Opening

    def _opened(self) -> ClientConnection:
        options: dict[str, Any] = {}
        try:
            if self._address.secure:
                options["ssl"] = ssl_context(needed=True)
            if self._proxy is not None and self._proxy.address.startswith("https:"):
                options["proxy_ssl"] = ssl_context(needed=True)
        except CertificatesError as error:
            raise HomeAssistantApiError(f"{self._shown}: {error}") from error
        try:
            opened: ClientConnection = connect(
                self._address.uri,
                proxy=None if self._proxy is None else self._proxy.address,
                create_connection=_Unredirected,
                open_timeout=self._connect_seconds,
                close_timeout=CLOSE_SECONDS,
                ping_interval=None,
                max_size=self._max_message,
                logger=_log,
                **options,
            )
        except (OSError, WebSocketException, _RedirectError, ImportError, ValueError, EOFError) as error:
            raise self._unopened(error) from error
        return opened

    def _unopened(self, error: Exception) -> DataSourceError:
        shown, proxy = self._shown, self._proxy_note
        trouble = tls_trouble(error, proxy)
        if trouble is not None:
            return HomeAssistantApiError(f"{shown}: {trouble}")
        if (broken := cause_of(error, ssl.SSLError)) is not None:
            return HomeAssistantApiError(
                f"{shown}: TLS fails ({broken.reason or 'broken off'}){proxy}; is its address http://?"
            )
        if isinstance(error, _RedirectError):
            return HomeAssistantApiError(
                f"{shown}: redirects to {error.to}, and the token does not go along; if that is your Home Assistant, "
                f"give --data-source homeassistant+{error.to}"
            )
        if self._proxy is not None and isinstance(error, InvalidProxy | ImportError):
            why = "pip install python-socks" if isinstance(error, ImportError) else "such as http://proxy:3128"
            told = f"{self._proxy.variable}={without_secrets(self._proxy.address)!a}"
            return HomeAssistantApiError(
                f"{told}: cannot be used as a proxy ({why}); correct it, or set NO_PROXY={self._address.host}"
            )
        if isinstance(error, InvalidProxyStatus):
            status = error.response.status_code
            return HomeAssistantApiError(f"{shown}: no connection, the proxy answers {status}{proxy}")
        if isinstance(error, ProxyError):
            return HomeAssistantApiError(f"{shown}: no connection, the proxy does not answer as one{proxy}")
        if isinstance(error, InvalidStatus):
            return self._answered(error.response.status_code)
        unresolved = cause_of(error, socket.gaierror)
        if unresolved is not None:
            return NotFoundError(
                f"{shown}: the host name does not resolve{proxy}; correct it, or give the address in numbers"
            )
        if isinstance(error, TimeoutError):
            return HomeAssistantApiError(
                f"{shown}: no answer within {self._connect_seconds:g} s{proxy}; is the address right, and does a "
                "firewall let it through?"
            )
        if isinstance(error, InvalidMessage | EOFError | ConnectionResetError | BrokenPipeError):
            hint = "" if self._address.secure else "; is its address https://?"
            return HomeAssistantApiError(f"{shown}: the answer is not that of a web server{proxy}{hint}")
        if isinstance(error, InvalidHandshake):
            return HomeAssistantApiError(
                f"{shown}: the answer opens no WebSocket ({type(error).__name__}){proxy}; a reverse proxy in front of "
                "Home Assistant has to let WebSockets through"
            )
        why = (error.strerror or message_of(error)) if isinstance(error, OSError) else message_of(error)
        return HomeAssistantApiError(f"{shown}: no connection ({why[:80]}){proxy}; {self._is_it_running()}")

    def _is_it_running(self) -> str:
        if self._address.port == DEFAULT_PORT or self._address.is_supervisor:
            return "is Home Assistant running?"
        return f"is Home Assistant running there? Without a proxy in front, its port is {DEFAULT_PORT}"

    def _answered(self, status: int) -> DataSourceError:
        where = f"{self._shown}: answers {status}{self._proxy_note}"
        if status == 404:
            return NotFoundError(
                f"{where} where Home Assistant has its WebSocket API; give the address and port of its first page, "
                f"such as http://host:{DEFAULT_PORT}"
            )
        if status == 400:
            return HomeAssistantApiError(
                f"{where}; give https:// if it speaks TLS, or name the reverse proxy in Home Assistant's "
                "trusted_proxies and let it pass WebSockets"
            )
        if status in (401, 403):
            return HomeAssistantApiError(
                f"{where} before any token was sent: a proxy in front of it wants a user and password "
                "(http://user:password@host), or Home Assistant has banned this machine (ip_bans.yaml)"
            )
        if status in (502, 503, 504):
            return HomeAssistantApiError(f"{where}: the proxy in front does not reach it; is Home Assistant running?")
        what = "a web page" if status == 200 else "something else"
        return HomeAssistantApiError(
            f"{where}, {what} and no WebSocket; is this Home Assistant, and does the proxy in front pass WebSockets?"
        )

    def _authenticate(self) -> None:
        try:
            first = self._message(self._connect_seconds)
        except TimeoutError as error:
            raise HomeAssistantApiError(
                f"{self._shown}: no greeting within {self._connect_seconds:g} s; is this Home Assistant?"
            ) from error
        if first.get("type") != "auth_required":
            raise FormatError(f"{self._shown}: is not Home Assistant, for it does not ask for a token; none was sent")
        self._send({"type": "auth", "access_token": self._token})
        try:
            answer = self._message(self._connect_seconds)
        except TimeoutError as error:
            raise HomeAssistantApiError(
                f"{self._shown}: no answer to the token within {self._connect_seconds:g} s; try again later"
            ) from error
        if answer.get("type") == "auth_invalid":
            make = "" if self._address.is_supervisor else "; make a new long-lived access token on your profile page"
            raise HomeAssistantApiError(
                f"{self._shown}: refuses the token that {self._variable} holds (auth_invalid){make}{self._odd}"
            )
        if answer.get("type") != "auth_ok":
            raise FormatError(f"{self._shown}: is not Home Assistant, for it answers no token")
        self.version = _word(answer.get("ha_version"))

    # Asking

    def ask(self, commands: Sequence[Command]) -> Iterator[tuple[Command, Answer]]:
        """The answers in the order of ``commands``, a few asked for at once.

        One that does not come within ``answer_seconds`` is refused with ``NO_ANSWER``.
        """
        for start in range(0, len(commands), AT_ONCE):
            yield from self._together(commands[start : start + AT_ONCE])

    def _together(self, commands: Sequence[Command]) -> Iterator[tuple[Command, Answer]]:
        waiting: dict[int, Command] = {}
        for command in commands:
            self._last_id += 1
            waiting[self._last_id] = command
            self._send({"id": self._last_id, **command})
        asked = dict(waiting)
        found: dict[int, Answer] = {}
        end = time.monotonic() + self._answer_seconds
        while waiting:
            try:
                message = self._message(end - time.monotonic())
            except TimeoutError:
                found |= {number: Answer(None, NO_ANSWER) for number in waiting}
                break
            number = message.get("id")
            if message.get("type") == "result" and isinstance(number, int) and number in waiting:
                del waiting[number]
                found[number] = _answer_of(message)
                end = time.monotonic() + self._answer_seconds
        for number, command in asked.items():
            yield command, found[number]

    def _send(self, message: Command) -> None:
        try:
            self._socket.send(json.dumps(message))
        except (OSError, WebSocketException) as error:
            raise self._broken(error) from error

    def _message(self, seconds: float) -> dict[str, Any]:
        """The next message. Raises TimeoutError."""
        try:
            raw = self._socket.recv(timeout=max(0.0, min(seconds, self._limit.left())))
        except TimeoutError as error:
            if self._limit.left() <= 0:
                raise self._broken(error) from error
            raise
        except (OSError, WebSocketException) as error:
            raise self._broken(error) from error
        self._bytes_left -= len(raw)
        if self._bytes_left < 0:
            raise FormatError(f"{self._shown}: sends more than any home has; is this Home Assistant?")
        try:
            message = json.loads(raw)
        except (ValueError, RecursionError) as error:
            what = "nested too deep" if isinstance(error, RecursionError) else "no JSON"
            raise FormatError(f"{self._shown}: sends {what}; is this Home Assistant?") from error
        return message if isinstance(message, dict) else {}

    def _broken(self, error: Exception) -> DataSourceError:
        if self._limit.over.is_set() or self._limit.left() <= 0:
            return HomeAssistantApiError(
                f"{self._shown}: answers too slowly; gave up after {self._total_seconds:g} s. Try again when it is "
                "less busy"
            )
        ours = error.sent.code if isinstance(error, ConnectionClosed) and error.sent else None
        if isinstance(error, ConnectionClosed) and not error.rcvd_then_sent:
            if ours == _TOO_BIG:
                most = f"{self._max_message / 2**20:.3g} MB"
                return FormatError(f"{self._shown}: sends more than {most} in one message; is this Home Assistant?")
            if ours in (_NOT_OF_THE_PROTOCOL, _NOT_TEXT):
                return FormatError(f"{self._shown}: sends what is no WebSocket message; is this Home Assistant?")
        return HomeAssistantApiError(
            f"{self._shown}: the connection broke{self._proxy_note}; did Home Assistant stop or restart? Try again"
        )


def _answer_of(message: dict[str, Any]) -> Answer:
    if message.get("success") is True:
        return Answer(message.get("result"))
    error = message.get("error")
    return Answer(None, _word(error.get("code") if isinstance(error, dict) else None) or "unknown_error")


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else None


class _RedirectError(Exception):
    def __init__(self, to: str) -> None:
        super().__init__(to)
        self.to = to


class _Unredirected(ClientConnection):
    """The library follows redirects, to any host, and the token would be sent there."""

    def handshake(self, *args: Any, **options: Any) -> None:
        try:
            super().handshake(*args, **options)
        except InvalidStatus as error:
            if 300 <= error.response.status_code < 400 and "Location" in error.response.headers:
                own = self.protocol.uri
                here = f"http{'s' if own.secure else ''}://{own.host}:{own.port}{own.path}"
                to = without_secrets(urljoin(here, error.response.headers.get_all("Location")[0]))
                raise _RedirectError(_PAGE_PATHS.sub("", to[:120].rstrip("/"))) from error
            raise
