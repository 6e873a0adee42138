"""What the environment says of HTTP: a proxy for an address, hosts without one, certificates that are trusted.

httpx reads the same variables, for every host at once: one value that it cannot parse, or a NO_PROXY with an IPv6
network, then ends a request that needs none of them.
"""

from __future__ import annotations

import ipaddress
import os
import re
import ssl
from contextlib import suppress
from typing import NamedTuple, TypeVar

CERTIFICATES = "SSL_CERT_FILE"
_CERTIFICATE_VARIABLES = (CERTIFICATES, "SSL_CERT_DIR")
# What OpenSSL makes of an answer in plain HTTP.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST", "UNKNOWN_PROTOCOL")
_EXPIRED, _OTHER_NAME, _OTHER_ADDRESS = 10, 62, 64  # OpenSSL's X509_V_ERR_...


class ProxySetting(NamedTuple):
    """A proxy and the variable that names it."""

    variable: str
    address: str


def proxy_note(proxy: ProxySetting | None, host: str) -> str:
    """The end of a message where a proxy stands between, else an empty text."""
    return f" through the proxy that {proxy.variable} names (NO_PROXY={host} goes past it)" if proxy else ""


class CertificatesError(Exception):
    """The certificates that a variable names cannot be read. The message names it."""


def proxy_for(scheme: str, host: str, port: int | None) -> ProxySetting | None:
    """The proxy for an address: ``<scheme>_proxy``, else ``all_proxy``, unless ``no_proxy`` names the host."""
    if _goes_past(_variable("no_proxy")[1], host, port):
        return None
    for name in (f"{scheme}_proxy", "all_proxy"):
        variable, value = _variable(name)
        if value:
            return ProxySetting(variable, value if "://" in value else f"http://{value}")
    return None


def ssl_context(*, needed: bool) -> ssl.SSLContext:
    """What SSL_CERT_FILE or SSL_CERT_DIR names, else certifi's certificates.

    Raises CertificatesError where they cannot be read and are ``needed``.
    """
    import certifi

    for variable in _CERTIFICATE_VARIABLES:
        place = os.environ.get(variable)
        if not place:
            continue
        try:
            if variable == CERTIFICATES:
                return ssl.create_default_context(cafile=place)
            return ssl.create_default_context(capath=place)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            if needed:
                why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
                raise CertificatesError(f"{variable}={place!a}: cannot be read as certificates ({why})") from error
    return ssl.create_default_context(cafile=certifi.where())


def tls_trouble(error: BaseException, via: str = "") -> str | None:
    """What is wrong with TLS and what to do, where that is why there is no connection: trying again is in vain."""
    cause = cause_of(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        if cause.verify_code in (_OTHER_NAME, _OTHER_ADDRESS):
            return f"its certificate is for another name ({cause.verify_message}){via}; use the name that it is for"
        if cause.verify_code == _EXPIRED:
            return f"its certificate is not trusted ({cause.verify_message}){via}; renew it, or set this clock"
        return (
            f"its certificate is not trusted ({cause.verify_message}){via}; set {CERTIFICATES} to a file with the "
            "certificate of who issued it"
        )
    if cause is not None and cause.reason in _NO_TLS:
        return f"no TLS is spoken there ({cause.reason}){via}; is its address http://?"
    return None


E = TypeVar("E", bound=BaseException)


def cause_of(error: BaseException | None, kind: type[E]) -> E | None:
    """The first of an error and its causes that is of ``kind``."""
    while error is not None:
        if isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _variable(name: str) -> tuple[str, str]:
    """Name and value; in small letters it counts first, as everywhere."""
    for spelling in (name, name.upper()):
        if spelling in os.environ:
            return spelling, os.environ[spelling].strip()
    return name, ""


def _goes_past(no_proxy: str, host: str, port: int | None) -> bool:
    host = host.strip("[]").rstrip(".").lower()
    for entry in re.split(r"[\s,]+", no_proxy.lower()):
        name = entry.rpartition("://")[2].rstrip("/") if "://" in entry else entry
        if name == "*":
            return True
        with suppress(ValueError):
            if ipaddress.ip_address(host) in ipaddress.ip_network(name.strip("[]"), strict=False):
                return True
            continue
        found = re.fullmatch(r"\[?(?P<name>.*?)\]?(?::(?P<port>\d+))?", name)
        if found is None or (found["port"] and int(found["port"]) != port):
            continue
        name = found["name"].removeprefix("*").removeprefix(".").rstrip(".")
        if name and (host == name or host.endswith(f".{name}")):
            return True
    return False
