"""Entities from the Data API over HTTP. The only module that imports httpx.

The service has no cursor. A list as long as its limit is cut off; the rest is fetched domain by domain, and within a
domain platform by platform, devices by manufacturer or by area. What cannot be reached even so is reported.
"""

from __future__ import annotations

import email.utils
import io
import json
import logging
import socket
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from itertools import islice
from typing import IO, Any, TypeGuard, cast

import httpx
from pydantic import SecretStr
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_exponential,
    wait_random,
)
from tenacity.wait import wait_base

from data_sources.base import (
    DataSource,
    DataSourceError,
    FormatError,
    NotFoundError,
    UnsupportedKindError,
    stray_characters,
)
from data_sources.homes import HomeBuilder
from data_sources.http_environment import CertificatesError, cause_of, proxy_for, proxy_note, ssl_context, tls_trouble
from data_sources.json_stream import STREAMED, JsonError, JsonReader
from data_sources.masking import message_of, remember, spellings, without_secrets
from data_sources.records import DEFAULT_HOME_ID, Home, R, plain, shorten, shorten_text
from data_sources.time_limit import TimeLimit
from home_assistant.domains import DOMAINS
from home_assistant.entity_id import domain_of, normalized_entity_id, object_id_of

log = logging.getLogger("data_sources.data_api")
logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every URL at INFO

ENTITY_LIMIT, DEVICE_LIMIT = 10_000, 1_000
CONNECT_SECONDS, READ_SECONDS = 5.0, 30.0
TOTAL_SECONDS = 600.0  # for everything that one read fetches, retries and waits included
SECONDS_A_SLICE = 1.5  # more for each slice that is answered: at 100 requests a minute one takes 0.6
ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.5  # before the second attempt, then twice as long each time; and as much jitter at most
CONCURRENT = 4  # the service allows bursts of 20 and 100 requests a minute
MAX_BODY_BYTES = 512 * 2**20  # 10,000 entities are about 15 MB
HEALTH_SECONDS = 2.0


class DataApiError(DataSourceError):
    """The Data API cannot be reached or does not answer as it should."""


class SourceIsHomeAssistantError(DataSourceError):
    """Home Assistant answers where the Data API was expected."""


class _PassingError(Exception):
    """A failure that may pass, so the request is tried again: after ``wait`` seconds, where the service says so."""

    def __init__(self, error: DataSourceError, wait: float | None = None) -> None:
        super().__init__(str(error))
        self.error, self.wait = error, wait


class _AsTold(wait_base):
    """The seconds that the service asks for, and at least those of ``backoff``: it may ask for none."""

    def __init__(self, backoff: wait_base) -> None:
        self._backoff = backoff

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        told = error.wait if isinstance(error, _PassingError) else None
        return max(told or 0.0, self._backoff(retry_state))


class DataApiSource(DataSource):
    """One home's entities, with the areas of their devices. It has no synergies and no other kind."""

    deals_out = True

    def __init__(
        self,
        url: str,
        *,
        key: SecretStr | None = None,
        strict: bool = False,
        total_seconds: float = TOTAL_SECONDS,
        read_seconds: float = READ_SECONDS,
        max_body_bytes: int = MAX_BODY_BYTES,
        first_wait_seconds: float = FIRST_WAIT_SECONDS,
    ) -> None:
        super().__init__(strict=strict)
        self._shown = without_secrets(url.strip().rstrip("/"))
        self._total_seconds = total_seconds
        self._max_body = max_body_bytes
        self._first_wait = first_wait_seconds
        self._timeout = httpx.Timeout(read_seconds, connect=CONNECT_SECONDS)
        self._headers = {"Accept": "application/json"}
        address = _parse(url.strip())
        if address is None:
            told = f"{shorten(without_secrets(url.strip()))}: expected the address of a Data API such as http://data-api:8006"
            raise DataApiError(f"{told}; --data-source or DATA_API_URL says which{stray_characters(url)}")
        # User and password are sent in a header: in the address they would show in logs and messages.
        self._auth = httpx.BasicAuth(address.username, address.password) if address.userinfo else None
        self._url = str(address.copy_with(userinfo=b"")).rstrip("/")
        self._proxy = proxy_for(address.scheme, address.host, address.port)
        self._past_proxy = address.host
        value = key.get_secret_value().strip() if key is not None else ""
        remember(*spellings(value))
        self._key_is_odd = stray_characters(value)
        if not value.isascii() or not value.isprintable():
            raise DataApiError("the Data API key (DATA_API_API_KEY, DATA_API_KEY or API_KEY) is not plain text")
        if value:
            self._headers["Authorization"] = f"Bearer {value}"
            self._auth = None

    def client(self, **options: Any) -> httpx.Client:
        """An httpx client for this address. Raises DataApiError that names the variable that is at fault."""
        if self._proxy is not None:
            try:
                options["proxy"] = httpx.Proxy(self._proxy.address)
                return httpx.Client(**self._common(), **options)
            except (httpx.InvalidURL, ValueError, ImportError) as error:
                why = "pip install 'httpx[socks]'" if isinstance(error, ImportError) else "such as http://proxy:3128"
                told = f"{self._proxy.variable}={without_secrets(self._proxy.address)!a}"
                raise DataApiError(
                    f"{told}: cannot be used as a proxy ({why}); correct it, or set NO_PROXY={self._past_proxy}"
                ) from error
        return httpx.Client(**self._common(), **options)

    def _common(self) -> dict[str, Any]:
        try:
            context = ssl_context(needed=self._url.startswith("https:"))
        except CertificatesError as error:
            raise DataApiError(f"{self._shown}: {error}") from error
        return {"auth": self._auth, "verify": context, "trust_env": False}

    def proxy_note(self) -> str:
        """The end of a message where a proxy stands between, else an empty text."""
        return proxy_note(self._proxy, self._past_proxy)

    def tls_failure(self, error: Exception) -> DataApiError | None:
        """What is wrong with TLS, where that is why there is no connection, and trying again is in vain."""
        trouble = tls_trouble(error, self.proxy_note())
        return None if trouble is None else DataApiError(f"{self._shown}: {trouble}")

    def describe(self) -> dict[str, str]:
        """Type and address, without user, password, query and key."""
        return {"type": "data_api", "location": self._shown}

    def records(self, record: type[R]) -> Iterator[R]:
        """Yield the records of one kind; see ``DataSource.records``."""
        if record is not Home:
            raise UnsupportedKindError(
                f"{self._shown}: the Data API has no {record.kind} data; "
                "a database (--data-source sqlite:///...) or a JSON file (--json-input PATH) has. Home Assistant's "
                f"address is written homeassistant+{self._shown}"
            )
        if not self.shard.holds(DEFAULT_HOME_ID):  # it is one home, which another process reads
            return
        builder = HomeBuilder(self.report)
        self.add_entities(builder)
        if not builder.empty:
            yield builder.build()

    def health(self) -> str | None:
        """None where ``/health`` answers that it is healthy within 2 s, else why not, in a few words."""
        try:
            client = self.client(timeout=HEALTH_SECONDS)
        except DataApiError as error:
            return str(error)
        with _TimeLimit(HEALTH_SECONDS) as limit, client:
            try:
                with client.stream("GET", f"{self._url}/health", extensions={"trace": limit.watch}) as answer:
                    if answer.status_code != 200:
                        return f"{self._shown}/health answers {answer.status_code}"
                    body = _small_json(answer)
            except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
                if limit.over.is_set() or isinstance(error, httpx.TimeoutException):
                    return f"{self._shown} does not answer within {HEALTH_SECONDS:.0f} s"
                failure = self.tls_failure(error)
                reached = f"{self._shown} cannot be reached ({type(error).__name__}){self.proxy_note()}"
                return str(failure) if failure is not None else reached
        status = body.get("status") if isinstance(body, dict) else None
        return None if status == "healthy" else f"{self._shown}/health says {shorten(status, 40)}"

    def refuse_home_assistant(self) -> None:
        """Raise SourceIsHomeAssistantError where Home Assistant itself answers at this address, within 2 s."""
        found = False
        with suppress(DataApiError, httpx.HTTPError, httpx.InvalidURL, UnicodeError):
            found = self._home_assistant_answers()
        if found:
            raise SourceIsHomeAssistantError(
                f"{self._shown}: is Home Assistant and no Data API; give --data-source homeassistant+{self._shown} "
                "and set HOME_ASSISTANT_TOKEN to a long-lived access token"
            )

    def _home_assistant_answers(self) -> bool:
        with _TimeLimit(HEALTH_SECONDS) as limit, self.client(timeout=HEALTH_SECONDS) as client:
            for path in ("/manifest.json", "/api/"):
                with client.stream("GET", f"{self._url}{path}", extensions={"trace": limit.watch}) as answer:
                    if _is_home_assistants(answer):
                        return True
        return False

    def add_entities(self, builder: HomeBuilder) -> None:
        """Fetch all entities, and the devices that entities without an area need, into ``builder``."""
        with _Session(self) as session:
            entities = _Entities(builder)
            self._add_all_entities(session, entities)
            if entities.without_area:
                self._add_devices(session, entities, builder)

    def _add_all_entities(self, session: _Session, entities: _Entities) -> None:
        try:
            cut = entities.add(session.get("/api/entities", {"limit": ENTITY_LIMIT}), ENTITY_LIMIT)
        except _ServerError as error:
            # One bad row in the service's database fails the whole list; the lists by domain still answer.
            self._note(f"the list of all entities fails: {error.detail}")
            cut = True
        if not cut:
            return
        domains = sorted(DOMAINS | entities.domains)
        still_cut = entities.add_slices(session, [{"limit": ENTITY_LIMIT, "domain": domain} for domain in domains])
        by_platform = [
            {**params, "platform": platform} for params in still_cut for platform in sorted(entities.platforms)
        ]
        for params in entities.add_slices(session, by_platform):
            self._cut_off(f"the list of domain {params['domain']!a}, platform {params['platform']!a} is cut off")
        if not entities.platforms:
            for params in still_cut:
                self._cut_off(f"the list of domain {params['domain']!a} is cut off, and no entity says its platform")
        self._note(
            f"the list of all entities is cut off or fails: {len(domains)} domains were asked for one by one; what is "
            "of another domain, or in a domain cut off and of a platform that no answer names, would be missing"
        )

    def _add_devices(self, session: _Session, entities: _Entities, builder: HomeBuilder) -> None:
        devices = _Devices(builder, entities)
        try:
            cut = devices.add(session.get("/api/devices", {"limit": DEVICE_LIMIT}))
        except NotFoundError:
            self._note("the service has no list of devices: entities without an area of their own have none")
            return
        if cut and devices.missing:
            asked = self._add_device_slices(session, devices)
            unknown = len(devices.missing)
            self._note(
                f"the list of all devices is cut off: {asked} were asked for one by one; "
                f"{unknown} devices of entities without an area stay unknown"
            )
        devices.add_places()

    def _add_device_slices(self, session: _Session, devices: _Devices) -> str:
        """Fetch slices of the devices while one is missing; what they were."""
        asked: Counter[str] = Counter()

        def add(slices: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
            """Those that are cut off."""
            cut = []
            for params, answer in session.get_all("/api/devices", devices.while_missing(slices)):
                asked["areas" if "area_id" in params else "manufacturers and models"] += 1
                if devices.add(answer, params):
                    cut.append(params)
            return cut

        makers = devices.manufacturers()
        if len(makers) < len(devices.areas):
            cut = add({"limit": DEVICE_LIMIT, "manufacturer": maker} for maker in makers)
            add({**params, "model": model} for params in cut for model in devices.models(params["manufacturer"]))
        for params in add({"limit": DEVICE_LIMIT, "area_id": area} for area in devices.areas_by_need()):
            self._cut_off(f"the list of the devices of area {params['area_id']!a} is cut off")
        return " and ".join(f"{count} {what}" for what, count in sorted(asked.items()))

    def _note(self, text: str) -> None:
        log.warning("%s: %s", self._shown, text)
        self.report.notes.append(text)

    def _cut_off(self, text: str) -> None:
        if self.strict:
            raise FormatError(f"{self._shown}: {text} (--strict)")
        self._note(text)


class _ServerError(DataApiError):
    """The service answers 500 and more, again and again."""

    detail = ""


class _Entities:
    """Adds each entity of overlapping answers once, and collects the values that narrower requests can filter by."""

    def __init__(self, builder: HomeBuilder) -> None:
        self._builder = builder
        self._unusable: set[str] = set()  # the usable ones are in the builder
        self.domains: set[str] = set()
        self.platforms: set[str] = set()
        self.areas: set[str] = set()
        self.without_area: dict[str, str] = {}  # device -> one of its entities that have no area of their own
        self._areas_of_device: dict[str, str] = {}  # device -> the area of another of its entities

    def add(self, answer: _Answer, limit: int) -> bool:
        """Add an answer's entities; True where the list is cut off."""
        count = 0
        for count, raw in enumerate(answer.items("entities"), start=1):
            where = f"{answer.path} entity {count}"
            entity_id = raw.get("entity_id") if isinstance(raw, dict) else None
            if not isinstance(entity_id, str):
                self._builder.add_entity(raw, where)  # counts and explains it
                continue
            entity_id = normalized_entity_id(entity_id)
            if self._builder.has(entity_id) or entity_id in self._unusable:
                continue
            domain, platform = domain_of(entity_id), raw.get("platform")
            area, device = raw.get("area_id"), raw.get("device_id")
            if _can_be_asked(domain):
                self.domains.add(domain)
            if _can_be_asked(platform):
                self.platforms.add(platform)
            if _can_be_asked(area):
                self.areas.add(area)
                if isinstance(device, str):
                    self._areas_of_device.setdefault(device, area)
            elif isinstance(device, str) and not raw.get("disabled"):
                self.without_area.setdefault(device, entity_id)
            self._builder.add_entity(raw, where)
            if not self._builder.has(entity_id):
                self._unusable.add(entity_id)
        return answer.is_cut(count, limit)

    def add_slices(self, session: _Session, slices: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Fetch and add slices; those that are cut off."""
        answers = session.get_all("/api/entities", slices)
        return [params for params, answer in answers if self.add(answer, ENTITY_LIMIT)]

    def areas_like(self, device_id: str) -> set[str]:
        """The ids of areas in which a device may be: that of another of its entities, and what an entity's name holds.

        ``light.living_room_lamp`` may be in ``living_room``.
        """
        words = object_id_of(self.without_area[device_id]).split("_")
        runs = {"_".join(words[i:j]) for i in range(len(words)) for j in range(i + 1, min(i + 4, len(words)) + 1)}
        sibling = self._areas_of_device.get(device_id)
        return runs if sibling is None else {*runs, sibling}


def _can_be_asked(value: Any) -> TypeGuard[str]:
    """Whether this value of an answer, which may hold anything, can be a filter of a request."""
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


class _Devices:
    """Collects devices from overlapping answers, and knows which of those that give an entity its area are missing."""

    def __init__(self, builder: HomeBuilder, entities: _Entities) -> None:
        self._builder, self._entities = builder, entities
        self._devices: dict[str, dict[str, Any]] = {}
        self._makers: Counter[str] = Counter()
        self._models: dict[str, set[str]] = defaultdict(set)
        self._model_is_ignored = False
        self.missing = set(entities.without_area)
        self.areas = set(entities.areas)

    def add(self, answer: _Answer, asked: Mapping[str, Any] | None = None) -> bool:
        """Add an answer's devices; True where the list is cut off."""
        count = 0
        for count, raw in enumerate(answer.items("devices"), start=1):  # noqa: B007 - used after the loop
            if not isinstance(raw, dict) or not isinstance(raw.get("device_id"), str):
                self._builder.add_places([], [raw])  # counts and explains it
                continue
            device_id, maker, model = raw["device_id"], raw.get("manufacturer"), raw.get("model")
            self._model_is_ignored |= asked is not None and asked.get("model", model) != model
            if device_id in self._devices:
                continue
            self._devices[device_id] = {key: raw.get(key) for key in ("device_id", "name", "area_id")}
            self.missing.discard(device_id)
            if _can_be_asked(raw.get("area_id")):
                self.areas.add(raw["area_id"])
            if _can_be_asked(maker):
                self._makers[maker] += 1
                if _can_be_asked(model):
                    self._models[maker].add(model)
        return answer.is_cut(count, DEVICE_LIMIT)

    def while_missing(self, slices: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The slices, as long as a device is missing, and without models where the service does not look at them."""
        for params in slices:
            if not self.missing:
                return
            if not (self._model_is_ignored and "model" in params):
                yield params

    def manufacturers(self) -> list[str]:
        """Those of the devices so far, the most frequent first, without those whose list is certainly cut off."""
        return [maker for maker, count in self._makers.most_common() if count < DEVICE_LIMIT]

    def models(self, maker: str) -> list[str]:
        """The models of a manufacturer so far."""
        return sorted(self._models[maker])

    def areas_by_need(self) -> list[str]:
        """The areas, those first in which most of the missing devices seem to be."""
        wanted: Counter[str] = Counter()
        for device_id in self.missing:
            wanted.update(self._entities.areas_like(device_id) & self.areas)
        return sorted(self.areas, key=lambda area: (-wanted[area], area))

    def add_places(self) -> None:
        """Give the devices to the builder."""
        self._builder.add_places([], [self._devices[key] for key in sorted(self._devices)])


class _Answer:
    """The body of an answer, in memory while it is small and else on disk, parsed item by item."""

    def __init__(self, path: str, shown: str, body: IO[bytes]) -> None:
        self.path = path
        self._shown, self._body = shown, body
        self._fields: dict[str, Any] = {}

    def items(self, key: str) -> Iterator[Any]:
        """The list under ``key``, or the bare list that an older service answers. Raises FormatError."""
        where = f"{self._shown}{self.path}"
        with self._body, io.TextIOWrapper(cast("Any", self._body), encoding="utf-8-sig") as text:
            reader = JsonReader(text)
            try:
                first = reader.peek()
                if first == "[":
                    yield from reader.items()
                    return
                if first == "<":
                    raise FormatError(f"{where}: answers a web page, not JSON; is DATA_API_URL the Data API's address?")
                if first != "{":
                    raise FormatError(f"{where}: answers neither a list nor an object; expected {{{key!r}: [...]}}")
                in_list = False
                for name, value in reader.members(streamed=key):
                    if value is STREAMED:
                        in_list = True
                    elif in_list and name == key:
                        yield value
                    else:
                        self._fields[name] = value
            except UnicodeDecodeError as error:
                raise FormatError(f"{where}: answers bytes that are not UTF-8 text") from error
            except (json.JSONDecodeError, JsonError) as error:
                line, column = reader.position(error.pos)
                cut = "is cut off" if reader.at_end(error.pos) else "is not JSON"
                raise FormatError(f"{where}: the answer {cut} at line {line} column {column} ({error.msg})") from error
            except (ValueError, RecursionError) as error:
                raise FormatError(f"{where}: the answer is not usable JSON ({message_of(error)[:100]})") from error
            if not in_list:
                known = ", ".join(sorted(self._fields)[:5]) or "nothing"
                raise FormatError(f"{where}: the answer has no list {key!r}, only: {known}")

    def is_cut(self, count: int, asked: int) -> bool:
        """Whether a list of ``count`` items has reached the service's limit, or is shorter than its own count."""
        limit, told = self._fields.get("limit"), self._fields.get("count")
        limit = min(asked, limit) if isinstance(limit, int) and not isinstance(limit, bool) and limit > 0 else asked
        return count >= limit or (isinstance(told, int) and told > count)


class _TimeLimit(TimeLimit):
    """httpx needs it: its timeouts start anew with every byte that arrives."""

    def watch(self, event: str, info: dict[str, Any]) -> None:
        """The ``trace`` of a request: take each connection when it is made."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self.take(info["return_value"].get_extra_info("socket"))


class _Session:
    """Requests under one time limit, retried where a failure may pass."""

    def __init__(self, source: DataApiSource) -> None:
        self._source = source
        self._shown = source._shown
        self._told: set[str] = set()  # addresses of redirects

    def __enter__(self) -> _Session:
        # Closed in the opposite order: first requests end, then threads, then files and connections are closed.
        self._open = ExitStack()
        self._client = self._open.enter_context(
            self._source.client(
                base_url=self._source._url,
                headers=self._source._headers,
                timeout=self._source._timeout,
                follow_redirects=True,
                max_redirects=5,
            )
        )
        self._bodies = self._open.enter_context(ExitStack())
        self._pool = ThreadPoolExecutor(CONCURRENT, thread_name_prefix="data-api")
        self._open.callback(self._pool.shutdown, cancel_futures=True)
        self._limit = self._open.enter_context(_TimeLimit(self._source._total_seconds))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def get_all(self, path: str, slices: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], _Answer]]:
        """Answers in the order of ``slices``. At most ``CONCURRENT`` are fetched or waiting to be read.

        Each answer puts the end of the time off: a service that lets few requests through is read to the end, one that
        gives no more answers is given up.
        """
        pending: list[tuple[dict[str, Any], Future[_Answer]]] = []
        waiting = iter(slices)
        while True:
            for params in islice(waiting, CONCURRENT - len(pending)):
                pending.append((params, self._pool.submit(self.get, path, params)))
            if not pending:
                return
            params, future = pending.pop(0)
            answer = future.result()
            self._limit.extend(SECONDS_A_SLICE)
            yield params, answer

    def get(self, path: str, params: dict[str, Any]) -> _Answer:
        """One answer. Raises DataSourceError when it fails for good, or still fails at the end."""
        first = self._source._first_wait
        retrying = Retrying(
            retry=retry_if_exception_type(_PassingError),
            # Threads that were refused together must not come back together: the service's bucket refills in 0.6 s.
            wait=_AsTold(wait_exponential(multiplier=first)) + wait_random(0, first),
            stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(self._limit.left()),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            answer: _Answer = retrying(self._once, path, params)
        except _PassingError as error:
            raise error.error from error
        return answer

    def _sleep(self, seconds: float) -> None:
        if self._limit.over.wait(seconds):  # tenacity's sleep_using_event would go on to one more attempt
            raise DataApiError(f"{self._shown}: stopped")

    def _once(self, path: str, params: dict[str, Any]) -> _Answer:
        query = str(httpx.QueryParams(params))
        where = f"{self._shown}{path}?{query}"
        try:
            with self._client.stream("GET", path, params=params, extensions={"trace": self._limit.watch}) as response:
                moved = self._moved(response)
                if response.status_code != 200:
                    raise self._failure(where, response, moved)
                return _Answer(f"{path}?{query}", self._shown, self._body(where, response))
        except httpx.TooManyRedirects as error:
            raise DataApiError(f"{where}: redirects in a circle; check DATA_API_URL") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            tls_failure = self._source.tls_failure(error)
            if tls_failure is not None:
                raise tls_failure from error
            through = self._source.proxy_note()
            unresolved = cause_of(error, socket.gaierror)
            if unresolved is not None:
                told = NotFoundError(
                    f"{self._shown}: the host name does not resolve{through}; set DATA_API_URL to where the Data API "
                    "runs, or give --json-input to read a JSON file instead"
                )
                if unresolved.errno == socket.EAI_AGAIN:  # the name server does not answer
                    raise _PassingError(told) from error
                raise told from error
            raise _PassingError(
                DataApiError(
                    f"{self._shown}: no connection ({_why(error)}){through}; is the Data API running? "
                    "DATA_API_URL says where, --json-input reads a JSON file instead"
                )
            ) from error
        except httpx.TimeoutException as error:
            raise _PassingError(DataApiError(f"{where}: no answer within {self._source._timeout.read:g} s")) from error
        except (httpx.DecodingError, httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            raise DataApiError(f"{where}: the answer cannot be used ({type(error).__name__})") from error
        except httpx.TransportError as error:
            if self._limit.over.is_set():
                raise self._too_slow(where) from error
            raise _PassingError(
                DataApiError(f"{where}: the connection broke ({_why(error)}){self._source.proxy_note()}")
            ) from error
        except OSError as error:
            folder = tempfile.gettempdir()
            raise DataApiError(f"{where}: the answer cannot be kept in {folder} ({error.strerror})") from error

    def _body(self, where: str, response: httpx.Response) -> IO[bytes]:
        largest = self._source._max_body
        too_large = FormatError(f"{where}: answers more than {largest / 2**20:.3g} MB; that is no list of entities")
        if int(response.headers.get("content-length", "0") or 0) > largest:
            raise too_large
        size = 0
        with ExitStack() as unless_whole:
            spooled = unless_whole.enter_context(tempfile.SpooledTemporaryFile(max_size=2**20))
            for chunk in response.iter_bytes():
                size += len(chunk)
                if size > largest:
                    raise too_large
                spooled.write(chunk)
            if self._limit.over.is_set():  # without a length, a connection that ends looks like the body's end
                raise self._too_slow(where)
            spooled.seek(0)
            self._bodies.push(unless_whole.pop_all())
        return cast("IO[bytes]", spooled)

    def _too_slow(self, where: str) -> DataApiError:
        return DataApiError(f"{where}: answers too slowly; gave up after {self._source._total_seconds:g} s")

    def _moved(self, response: httpx.Response) -> str:
        """The address that a redirect leads to, "" where it stays with the service."""
        to, own = response.url, httpx.URL(self._source._url)
        if not response.history or (to.scheme, to.netloc) == (own.scheme, own.netloc):
            return ""
        address = plain(f"{to.scheme}://{to.netloc.decode('ascii', 'replace')}")
        if address not in self._told:
            self._told.add(address)
            log.warning("%s: redirects to %s; set DATA_API_URL=%s", self._shown, address, address)
        return address

    def _failure(self, where: str, response: httpx.Response, moved: str) -> Exception:
        status = response.status_code
        if status in (401, 403, 404):
            self._source.refuse_home_assistant()
        detail = _detail(response)
        said = f" ({detail})" if detail else ""
        if status == 429:
            wait = _retry_after(response)
            error = DataApiError(f"{where}: refuses, too many requests{said}; try again later")
            if wait is not None and wait > self._limit.left():
                return DataApiError(f"{where}: refuses, and asks to wait {wait:.0f} s, longer than this run may take")
            return _PassingError(error, wait)
        if status >= 500:
            broken = _ServerError(f"{where}: fails with {status}{said}, again and again; see the Data API's own log")
            broken.detail = detail or str(status)
            return _PassingError(broken, _retry_after(response) if status == 503 else None)
        if status in (401, 403) and moved and "authorization" not in response.request.headers:
            return DataApiError(
                f"{where}: redirects to {moved}, which answers {status}{said}; the key does not go along to another "
                f"address. Set DATA_API_URL={moved} if it is the Data API"
            )
        if status in (401, 403):
            return DataApiError(
                f"{where}: answers {status}{said}; set DATA_API_API_KEY (or DATA_API_KEY, API_KEY) to a valid key"
                f"{self._source._key_is_odd}"
            )
        if status == 404:
            return NotFoundError(f"{where}: answers 404{said}; is DATA_API_URL the Data API's address?")
        return DataApiError(f"{where}: answers {status}{said}; this program and the service do not agree")


def _parse(url: str) -> httpx.URL | None:
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    usable = address.scheme in ("http", "https") and address.host and 0 < (address.port or 80) < 65_536
    return address if usable and not address.query and not address.fragment else None


def _why(error: Exception) -> str:
    return message_of(error)[:120]


def _is_home_assistants(answer: httpx.Response) -> bool:
    """Whether an answer to /manifest.json, or to /api/ without a token, is of Home Assistant."""
    if answer.status_code == 200:
        manifest = _small_json(answer)
        return isinstance(manifest, dict) and manifest.get("name") == "Home Assistant"
    return answer.status_code == 401 and answer.read()[:64] == b"401: Unauthorized"


def _small_json(response: httpx.Response) -> Any:
    """The JSON value of a short answer; None if it is long or no JSON."""
    raw = bytearray()
    for chunk in response.iter_bytes():
        raw += chunk
        if len(raw) > 65_536:
            return None
    with suppress(ValueError, RecursionError):
        return json.loads(raw)
    return None


def _detail(response: httpx.Response) -> str:
    """What the service says about a failure, in a line: ``detail``, ``error`` or ``error.message``."""
    try:
        body = _small_json(response)
    except httpx.HTTPError:
        return ""
    said = (body.get("detail") or body.get("error")) if isinstance(body, dict) else None
    if isinstance(said, dict):
        said = said.get("message") or said.get("detail")
    return shorten_text(said, 160) if isinstance(said, str) and said else ""


def _retry_after(response: httpx.Response) -> float | None:
    """The seconds that ``Retry-After``, a number or a date, asks to wait."""
    value = response.headers.get("retry-after", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
