r"""The linear form of an automation: one line of words that a language model can write.

T5's tokenizers replace newlines and runs of spaces by one space, apply NFKC, and have no piece for ``{ } < ~ ^ ` \``.
Whatever would not survive that is escaped with ``&``, so a line always turns back into the same automation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from home_assistant import AutomationError, TaggedScalar

ESCAPES = {
    "{{": "&[", "}}": "&]", "{": "&(", "}": "&)", "\n": "&n", "\t": "&t", '"': "&q", "&": "&&",
    "<": "&l", "~": "&w", "^": "&h", "`": "&g", "\\": "&b",
}  # fmt: skip
KEPT_SYMBOLS = "°€£"
_UNESCAPES = {escape[1]: text for text, escape in ESCAPES.items()}
_ESCAPED = re.compile(r"&(?:([\[\]()ntq&lwhgb])|([1-9])|u([0-9a-f]{1,6});)")  # a text, so many spaces, a code point
_ESCAPED_WHOLE = re.compile(r"^ {1,9}| {1,9}$| {2,9}|\{\{|\}\}")  # several characters, one escape
_WORD = re.compile(r"[\w.:/*+%@\-]+")
_INTEGER = re.compile(r"-?[0-9]{1,1000}")
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+(?:e[+-][0-9]+)?|e[+-][0-9]+)")
_TOKEN = re.compile(r'\s*([()\[\]]|"[^"]*"|[|=][0-9]{1,2}(?!\S)|![A-Za-z_][\w-]*|[^\s()\[\]"!|=]+)')
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
MAX_LINE_DEPTH = 60  # of lists and mappings in a line that is read


def to_linear(automation: Mapping[Any, Any]) -> str:
    """One line: ``|0 triggers =1 trigger state |2 entity_id light.hall |2 to on |0 actions =1 action ...``.

    ``|`` and a depth begin a key, ``=`` and a depth an item of a list; the first key of an item has no mark. Nothing is
    closed by a bracket, because a small model cannot count them. A list of plain values is ``[ a b ]``; a text of more
    than one word stands in quotes.
    """
    return " ".join(_block(automation, 0))


def from_linear(line: str) -> dict[Any, Any]:
    """The automation that ``to_linear`` wrote; the white space between words may differ. Raises AutomationError."""
    words, end = [], 0
    while found := _TOKEN.match(line, end):
        words.append(found[1])
        end = found.end()
    if line[end:].strip() or not words:
        raise AutomationError("not the linear form: nothing is there, or a quote never ends")
    return _Reader([*words, ""]).automation()


def _block(value: Mapping[Any, Any] | list[Any], depth: int) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"|{depth} {_scalar(key)}"
            yield from _inside(item, depth + 1)
        return
    for item in value:
        yield f"={depth}"
        if isinstance(item, Mapping) and item:
            first, *rest = _block(item, depth + 1)
            yield first.partition(" ")[2]
            yield from rest
        else:
            yield from _inside(item, depth + 1)


def _inside(value: Any, depth: int) -> Iterator[str]:
    if not isinstance(value, Mapping | list):
        yield _scalar(value)
    elif isinstance(value, list) and not any(isinstance(item, Mapping | list) for item in value):
        yield from ("[", *map(_scalar, value), "]")
    elif value:
        yield from _block(value, depth)
    else:
        yield "( )"


def _scalar(value: Any) -> str:
    if isinstance(value, TaggedScalar):
        return f"{value.tag} {_text(value.value)}"
    if isinstance(value, str):
        return _text(value)
    return {True: "true", False: "false", None: "null"}[value] if isinstance(value, bool | None) else repr(value)


def _text(text: str) -> str:
    plain = _WORD.fullmatch(text) and all(map(_survives, text)) and unicodedata.is_normalized("NFKC", text)
    if plain and isinstance(_plain_value(text), str):
        return text
    return f'" {_escaped(text)} "' if text else '""'


def _escaped(text: str) -> str:
    out, end = [], 0
    for found in _ESCAPED_WHOLE.finditer(text):
        out += [_escape_character(c) for c in text[end : found.start()]]
        out.append(ESCAPES[found[0]] if found[0] in ESCAPES else f"&{len(found[0])}")
        end = found.end()
    out += [_escape_character(c) for c in text[end:]]
    line = "".join(out)
    if unicodedata.is_normalized("NFKC", line):
        return line
    return "".join(c if c.isascii() else f"&u{ord(c):x};" for c in line)  # characters that only change together


def _escape_character(character: str) -> str:
    if character in ESCAPES:
        return ESCAPES[character]
    return character if character == " " or _survives(character) else f"&u{ord(character):x};"


def _survives(character: str) -> bool:
    """Whether a tokenizer keeps it: letters of any language, digits and punctuation do, if NFKC leaves them alone."""
    if character.isascii():
        return character.isprintable() and character != " "
    known = character in KEPT_SYMBOLS or unicodedata.category(character)[0] in "LNP"  # no emoji
    return known and unicodedata.is_normalized("NFKC", character)


def _unescaped(text: str) -> str:
    def of(found: re.Match[str]) -> str:
        named, spaces, point = found.groups()
        if named:
            return _UNESCAPES[named]
        return " " * int(spaces) if spaces else chr(int(point, 16))

    if _ESCAPED.sub("", text).count("&"):
        raise AutomationError("not the linear form: an unknown escape")
    try:
        return _ESCAPED.sub(of, text)
    except (ValueError, OverflowError) as error:
        raise AutomationError("not the linear form: an unknown character") from error


def _plain_value(word: str) -> Any:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if _INTEGER.fullmatch(word):
        return int(word)
    return float(word) if _FLOAT.fullmatch(word) else word


class _Reader:
    """Reads the words of a line; the last word is "", the end."""

    def __init__(self, words: list[str]) -> None:
        self._words, self._at = words, 0

    def automation(self) -> dict[Any, Any]:
        value = self._mapping(0)
        if self._words[self._at]:
            raise AutomationError(f"not the linear form: {self._words[self._at]!a:.20} at the wrong depth")
        return value

    def _next(self) -> str:
        self._at += 1
        return self._words[self._at - 1]

    def _mark(self) -> tuple[str, int]:
        """Kind and depth of the next word if it is a mark; else kind "" and depth 0, at the end -1."""
        word = self._words[self._at]
        return (word[0], int(word[1:])) if word[:1] in ("|", "=") and word else ("", 0 if word else -1)

    def _mapping(self, depth: int, first: Any = None) -> dict[Any, Any]:
        result = {} if first is None else {first: self._value(depth + 1)}
        while self._mark() == ("|", depth):
            self._next()
            key = self._scalar()
            if isinstance(key, list | dict | TaggedScalar) or key in result:
                raise AutomationError("not the linear form: a key that is none, or stands there twice")
            result[key] = self._value(depth + 1)
        return result

    def _value(self, depth: int) -> Any:
        mark = self._mark()
        if depth > MAX_LINE_DEPTH:
            raise AutomationError(f"not the linear form: nested deeper than {MAX_LINE_DEPTH}")
        if not mark[0]:
            return self._scalar()
        if mark == ("|", depth):
            return self._mapping(depth)
        if mark != ("=", depth):
            raise AutomationError("not the linear form: a value is missing, or stands at the wrong depth")
        items = []
        while self._mark() == ("=", depth):
            self._next()
            items.append(self._item(depth + 1))
        return items

    def _item(self, depth: int) -> Any:
        if self._mark()[0]:
            return self._value(depth)
        value = self._scalar()
        kind, at = self._mark()
        is_key = at > depth if kind else at == 0
        if not is_key:
            return value
        if isinstance(value, list | dict | TaggedScalar):
            raise AutomationError("not the linear form: a key that is none")
        return self._mapping(depth, value)

    def _scalar(self, depth: int = 0) -> Any:
        word = self._next()
        if depth > MAX_LINE_DEPTH:
            raise AutomationError(f"not the linear form: nested deeper than {MAX_LINE_DEPTH}")
        if word == "[":
            items = []
            while self._words[self._at] != "]":
                items.append(self._scalar(depth + 1))
            self._next()
            return items
        if word == "(" and self._next() == ")":
            return {}
        if word in ("", "(", ")", "]") or word[0] in "|=":
            raise AutomationError("not the linear form: a bracket or a value is missing")
        if word.startswith("!"):
            value = self._scalar(depth + 1)
            if not isinstance(value, str):
                raise AutomationError("not the linear form: a tag without a text")
            return TaggedScalar(word, value)
        if word.startswith('"'):
            return _unescaped(word.strip('"').strip(" "))
        return _plain_value(word)
