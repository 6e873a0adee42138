"""Keep passwords, keys and tokens out of whatever is shown: an address, or any message."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from urllib.parse import unquote

from data_sources.records import plain, shorten_text

MASK = "***"
MESSAGE_LENGTH = 200  # characters of another library's error
KEY_VARIABLES = ("DATA_API_API_KEY", "DATA_API_KEY", "API_KEY", "HOME_ASSISTANT_TOKEN", "SUPERVISOR_TOKEN", "HF_TOKEN")
_PROXIES = tuple(f"{scheme}_proxy" for scheme in ("http", "https", "all"))
ADDRESS_VARIABLES = (
    *("DATABASE_URL", "POSTGRES_URL", "DATABASE_PATH", "DATA_API_URL"),
    *_PROXIES,
    *map(str.upper, _PROXIES),
)
_SHORTEST = 6  # characters of a secret that is looked for in messages: a shorter one would hide ordinary words
_TOKEN = 12  # characters of what stands alone before an @ and is no user's name
_SHORTEST_PART = 4  # of what a parser may show of an address that it cannot read
_REMEMBERED = 200

_SCHEME = re.compile(r"""["'\s]*(?:[A-Za-z][\w+.\-]*:/+|//)""")
_PARAMETER = re.compile(
    r"""(?P<name>(?<![^\s?&;,'"({])["']?[\w.\-]*(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key|passphrase)"""
    r"""["']?\s?=\s?|(?<=[?&])(?:key|auth|sig|pass)=)(?P<value>'[^']*'|"[^"]*"|[^\s&;,'"]+)""",
    re.IGNORECASE,
)
_BEARER = re.compile(r"(?<=\bBearer )[^\s'\",]+", re.IGNORECASE)
_ADDRESS = re.compile(r"""(?P<scheme>\b[A-Za-z][\w+.\-]*:/+|(?<![\w:/])//)[^\s"'<>]*@""")
_WITHOUT_SCHEME = re.compile(r"""(?<![^\s"'=(,])[^\s"'<>/:@=(,]+:(?!/)[^\s"'<>]*@(?=[\w\[])""")
_MASKED_ALREADY = f":{MASK}@"  # as SQLAlchemy writes an address

_remembered: dict[str, None] = {}  # what was cut out of addresses, in the order in which it was


def without_secrets(place: str) -> str:
    """An address or a path as it may be shown: without user, password, query and fragment, however it is misspelt.

    Whatever stands before the last @ of an address may be a password. A path may hold an @. What is left out is looked
    for in later messages too (``masked``): a library may show a part of it.
    """
    found = _SCHEME.match(place)
    scheme = found[0] if found else ""
    user, at, rest = place[len(scheme) :].rpartition("@")
    if not scheme and (":" not in user or place.startswith(("/", ".", "~"))):
        return plain(masked(place))
    remember(*_secrets_of(place))
    return plain(scheme + (rest.partition("?")[0].partition("#")[0] if scheme or at else rest))


def remember(*secrets: str) -> None:
    """Look for these texts in every message from now on."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_PART:
            _remembered[secret] = None
    while len(_remembered) > _REMEMBERED:
        del _remembered[next(iter(_remembered))]


def forget() -> None:
    """Look no longer for what ``remember`` and ``without_secrets`` were given."""
    _remembered.clear()


def masked(text: str) -> str:
    """A message without the users and passwords of addresses, the values of secret parameters, and known secrets.

    Known are those of the environment (``KEY_VARIABLES``, and the passwords in ``ADDRESS_VARIABLES``) and of every
    address that ``without_secrets`` has read.
    """
    environment = tuple(os.environ.get(name, "") for name in (*KEY_VARIABLES, *ADDRESS_VARIABLES))
    known = _pattern(environment, tuple(_remembered))
    if known is not None:
        text = known.sub(MASK, text)
    text = _ADDRESS.sub(_without_user, text)
    text = _WITHOUT_SCHEME.sub(f"{MASK}@", text)
    text = _PARAMETER.sub(rf"\g<name>{MASK}", text)
    return _BEARER.sub(MASK, text)


def message_of(error: BaseException) -> str:
    """What another library's error says, on one line, without secrets and control characters; else its class's name."""
    return single_line(_text_of(error)) or type(error).__name__


def class_and_message(error: BaseException, limit: int = MESSAGE_LENGTH) -> str:
    """The class of another library's error and what it says, in ASCII, without secrets, cut to ``limit``."""
    text = masked(f"{type(error).__name__}: {_text_of(error)}").removesuffix(": ")
    return shorten_text(text, limit)


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - a plugin's error may have no text
        return ""


def single_line(text: str) -> str:
    """``masked`` text on one line, without control characters."""
    line = masked(text)
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in " ".join(line.split()))


class OneLineError(Exception):
    """An error for a person: one printable line without secrets, whatever is put into it."""

    def __init__(self, message: str = "") -> None:
        super().__init__(single_line(message))


def _without_user(found: re.Match[str]) -> str:
    address = found[0]
    if address.endswith(_MASKED_ALREADY) and address.count("@") == 1:
        return address
    return f"{found['scheme']}{MASK}@"


@lru_cache(4)
def _pattern(environment: tuple[str, ...], remembered: tuple[str, ...]) -> re.Pattern[str] | None:
    keys, addresses = environment[: len(KEY_VARIABLES)], environment[len(KEY_VARIABLES) :]
    found = {text for key in keys for text in spellings(key.strip()) if len(text) >= _SHORTEST}
    found |= {text for address in addresses for text in _secrets_of(address)} | set(remembered)
    if not found:
        return None
    longest_first = sorted(found, key=lambda text: (-len(text), text))
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)")


def _secrets_of(address: str) -> Iterator[str]:
    """The password of an address and the values of its secret parameters, in every spelling that a message may have.

    A password that the address shows elsewhere, as its user or its database, is none.
    """
    found = None
    while scheme := _SCHEME.match(address):  # an address in the place of a path has two
        found, address = scheme, address[scheme.end() :]
    user, at, rest = address.rpartition("@")
    name, colon, password = user.partition(":")
    if at and (found or colon):
        shown = {name, *re.split(r"[/:?]", rest)}
        if colon or len(user) >= _TOKEN:
            yield from (text for text in spellings(password if colon else user) if text not in shown or not colon)
    for parameter in _PARAMETER.finditer(address):
        yield from spellings(parameter["value"].strip("\"'"))


def spellings(secret: str) -> Iterator[str]:
    """A secret as it is, decoded, escaped and on one line, and the parts that a parser of addresses may show."""
    whole = {secret, unquote(secret)}
    whole |= {form for text in whole for form in (ascii(text)[1:-1], " ".join(text.split()))}
    yield from (text for text in whole if len(text) >= _SHORTEST)
    parts: Iterable[str] = (part for text in (secret, unquote(secret)) for part in re.split(r"[\s@:/?#%\\]+", text))
    yield from (part for part in parts if len(part) >= _SHORTEST_PART and part != secret)
