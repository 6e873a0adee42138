"""Entity ids such as ``light.hall``: what Home Assistant accepts, the one spelling, and where a text names some."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from home_assistant.domains import DOMAINS

MAX_LENGTH = 255
# homeassistant.core.VALID_ENTITY_ID, digits in ASCII. Neither part begins or ends with "_", and "__" is nowhere.
_VALID = re.compile(r"(?!.+__)(?!_)[a-z0-9_]+(?<!_)\.(?!_)[a-z0-9_]+(?<!_)")
# What data may hold as an id before it is lower-cased: a domain, and an object id that, in exports of other programs,
# has hyphens and letters of any script.
LOOSE_PATTERN = r"^[A-Za-z0-9_]+\.[\w\-]+$"
# In a template or another text: states.light.hall and 'light.hall', but not a path, an address or a call.
_IN_TEXT = re.compile(r"(?<![\w./@-])(?:states\.)?([a-z_]+)\.([a-z0-9_]+)(?![\w(/@-])")

_NOT_IN_A_SLUG = re.compile(r"[^a-z0-9]+")
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)


def is_entity_id(text: str) -> bool:
    """Whether Home Assistant accepts ``text`` as an entity id, as it stands."""
    return _VALID.fullmatch(text) is not None


def normalized_entity_id(text: str) -> str:
    """``text`` in the one spelling of an entity id: lower case, nothing around it. It may still be none."""
    return text.strip().lower()


def domain_of(entity_id: str) -> str:
    """``light`` of ``light.hall``; a service's domain too."""
    return entity_id.partition(".")[0]


def object_id_of(entity_id: str) -> str:
    """``hall`` of ``light.hall``; "" where there is no dot."""
    return entity_id.partition(".")[2]


def listed_ids(value: Any) -> Iterator[str]:
    """The ids that a value lists as a configuration may: one, several with commas between them, or a list of these."""
    if isinstance(value, str):
        yield from filter(None, map(normalized_entity_id, value.split(",")))
    elif isinstance(value, list | Mapping):
        for item in value:
            yield from listed_ids(item)


def entity_ids_in(text: str) -> Iterator[str]:
    """Every entity id of a known domain in a text, such as a template or a plain id, in order."""
    for domain, object_id in _IN_TEXT.findall(text):
        if domain in DOMAINS:
            yield f"{domain}.{object_id}"


def replace_entity_ids(text: str, replacement: Callable[[str], str]) -> str:
    """The text with every entity id that ``entity_ids_in`` finds replaced by what ``replacement`` makes of it."""

    def replaced(found: re.Match[str]) -> str:
        entity_id = f"{found[1]}.{found[2]}"
        return found[0].replace(entity_id, replacement(entity_id)) if found[1] in DOMAINS else found[0]

    return _IN_TEXT.sub(replaced, text)


def slugified(name: str) -> str:
    """The object id that Home Assistant makes of a name: ``Küche (links)`` becomes ``kuche_links``.

    It is "" for a name in other than Latin letters, which Home Assistant spells out by tables that are not known here.
    """
    plain = unicodedata.normalize("NFKD", name.lower().translate(_LETTERS))
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter))
    if any(letter.isalpha() and not letter.isascii() for letter in plain):
        return ""
    return _NOT_IN_A_SLUG.sub("_", plain).strip("_")
