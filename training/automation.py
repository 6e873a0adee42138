r"""What can be said of an automation, and the form of it that a language model can write.

The linear form is one line of words. T5's tokenizers fold newlines and runs of spaces, apply NFKC, and have no piece
for ``{ } < ~ ^ ` \``: what would not survive is escaped with ``&``. The line turns back into the same automation.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from data_sources import AutomationError, Tagged

# -- The linear form ---------------------------------------------------------------------------------------------------

ESCAPES = {
    "{{": "&[", "}}": "&]", "{": "&(", "}": "&)", "\n": "&n", "\t": "&t", '"': "&q", "&": "&&",
    "<": "&l", "~": "&w", "^": "&h", "`": "&g", "\\": "&b",
}  # fmt: skip
KEPT_SYMBOLS = "°€£"
_UNESCAPES = {escape[1]: text for text, escape in ESCAPES.items()}
_ESCAPED = re.compile(r"&(?:([\[\]()ntq&lwhgb])|([1-9])|u([0-9a-f]{1,6});)")  # a text, so many spaces, a code point
_TOGETHER = re.compile(r"^ {1,9}| {1,9}$| {2,9}|\{\{|\}\}")  # what is escaped as a whole
_WORD = re.compile(r"[\w.:/*+%@\-]+")
_INTEGER = re.compile(r"-?[0-9]{1,1000}")
_FLOAT = re.compile(r"-?[0-9]+(?:\.[0-9]+(?:e[+-][0-9]+)?|e[+-][0-9]+)")
_TOKEN = re.compile(r'\s*([()\[\]]|"[^"]*"|[|=][0-9]{1,2}(?!\S)|![A-Za-z_][\w-]*|[^\s()\[\]"!|=]+)')
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
MAX_DEPTH = 60


def to_linear(automation: Mapping[Any, Any]) -> str:
    """One line: ``|0 triggers =1 trigger state |2 entity_id light.hall |2 to on |0 actions =1 action ...``.

    ``|`` and a depth begin a key, ``=`` and a depth an item of a list; the first key of an item needs no mark of its
    own. Nothing closes, for a small model cannot count brackets. A list of plain values is ``[ a b ]``, a text of more
    than a word stands in quotes.
    """
    return " ".join(_block(automation, 0))


def from_linear(line: str) -> dict[Any, Any]:
    """The automation that ``to_linear`` wrote; runs of white space may have changed. Raises AutomationError."""
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
    if isinstance(value, Tagged):
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
    for found in _TOGETHER.finditer(text):
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
        """The kind and the depth of the mark that is next; depth -1 at the end, kind "" where it is no mark."""
        word = self._words[self._at]
        return (word[0], int(word[1:])) if word[:1] in ("|", "=") and word else ("", 0 if word else -1)

    def _mapping(self, depth: int, first: Any = None) -> dict[Any, Any]:
        result = {} if first is None else {first: self._value(depth + 1)}
        while self._mark() == ("|", depth):
            self._next()
            key = self._scalar()
            if isinstance(key, list | dict | Tagged) or key in result:
                raise AutomationError("not the linear form: a key that is none, or stands there twice")
            result[key] = self._value(depth + 1)
        return result

    def _value(self, depth: int) -> Any:
        mark = self._mark()
        if depth > MAX_DEPTH:
            raise AutomationError(f"not the linear form: nested deeper than {MAX_DEPTH}")
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
        if isinstance(value, list | dict | Tagged):
            raise AutomationError("not the linear form: a key that is none")
        return self._mapping(depth, value)

    def _scalar(self) -> Any:
        word = self._next()
        if word == "[":
            items = []
            while self._words[self._at] != "]":
                items.append(self._scalar())
            self._next()
            return items
        if word == "(" and self._next() == ")":
            return {}
        if word in ("", "(", ")", "]") or word[0] in "|=":
            raise AutomationError("not the linear form: a bracket or a value is missing")
        if word.startswith("!"):
            value = self._scalar()
            if not isinstance(value, str):
                raise AutomationError("not the linear form: a tag without a text")
            return Tagged(word, value)
        if word.startswith('"'):
            return _unescaped(word.strip('"').strip(" "))
        return _plain_value(word)


# -- One spelling ------------------------------------------------------------------------------------------------------

_RENAMED = {
    "": {"trigger": "triggers", "condition": "conditions", "action": "actions"},
    "trigger": {"platform": "trigger"},
    "action": {"service": "action", "service_template": "action", "data_template": "data"},
}
_FIRST = {
    "": ("id", "alias", "description", "triggers", "conditions", "actions", "mode"),
    "trigger": ("trigger", "entity_id"),
    "condition": ("condition", "entity_id"),
    "action": ("action", "target", "data"),
}
# Key -> what its items are, where they are a list of such.
_INSIDE = {
    "": {"triggers": "trigger", "conditions": "condition", "actions": "action"},
    "condition": dict.fromkeys(("conditions", "and", "or", "not"), "condition"),
    "action": {
        **dict.fromkeys(("then", "else", "default", "sequence", "parallel"), "action"),
        **dict.fromkeys(("if", "while", "until", "conditions", "and", "or", "not"), "condition"),
        "wait_for_trigger": "trigger",
        "choose": "action",
    },
}


def modernized(automation: Mapping[Any, Any]) -> dict[Any, Any]:
    """The same automation in one spelling: today's keys, lists where there may be several, keys in a fixed order.

    ``service`` becomes ``action``; its ``entity_id`` and that of its data become the target's, which is what Home
    Assistant makes of them. What says nothing (an empty ``conditions``, the editor's ``metadata``) is left out.
    """
    result: dict[Any, Any] = _modern(automation, "")
    return result


def _modern(part: Any, kind: str) -> Any:
    if not isinstance(part, Mapping):
        return part
    renamed: dict[Any, Any] = {}
    for key, value in part.items():
        name = _RENAMED.get(kind, {}).get(key, key)
        if name in renamed and isinstance(value, dict) and isinstance(renamed[name], dict):
            value = {**renamed[name], **value}  # data and data_template together
        renamed[name] = value
    if kind == "action":
        if isinstance(renamed.get("repeat"), Mapping):
            renamed["repeat"] = _modern(renamed["repeat"], "action")
        if "action" in renamed:
            _gather_target(renamed)
    inside = _INSIDE.get(kind, {})
    for key, value in list(renamed.items()):
        if key in inside:
            items = value if isinstance(value, list) else [value]
            renamed[key] = [_modern(item, inside[key]) for item in items]
        if key == "entity_id" and isinstance(value, list) and len(value) == 1:
            renamed[key] = value[0]
    for key in ("conditions", "metadata", "data", "variables"):
        if key in renamed and not renamed[key]:
            del renamed[key]
    first = [key for key in _FIRST.get(kind, ()) if key in renamed]
    return {key: renamed[key] for key in (*first, *(key for key in renamed if key not in first))}


def _gather_target(action: dict[Any, Any]) -> None:
    data, target = action.get("data"), action.get("target", {})
    if not isinstance(target, Mapping):
        return
    target = dict(target)
    if "entity_id" in action and "entity_id" not in target:
        target["entity_id"] = action.pop("entity_id")
    if isinstance(data, Mapping) and "entity_id" in data and not target:
        target["entity_id"] = data["entity_id"]
        action["data"] = {key: value for key, value in data.items() if key != "entity_id"}
    ids = target.get("entity_id")
    if isinstance(ids, list) and len(ids) == 1:
        target["entity_id"] = ids[0]
    if target:
        action["target"] = target


# -- What it is made of ------------------------------------------------------------------------------------------------

DOMAINS = frozenset(
    "ai_task air_quality alarm_control_panel alert assist_satellite automation binary_sensor button calendar camera "
    "climate conversation counter cover date datetime device_tracker event fan geo_location group humidifier image "
    "image_processing input_boolean input_button input_datetime input_number input_select input_text lawn_mower light "
    "lock media_player number person plant proximity remote scene schedule script select sensor siren stt sun switch "
    "text time timer todo tts update utility_meter vacuum valve wake_word water_heater weather zone zwave".split()
)
# Their services act on entities of the same domain, and do nothing to any other.
_ACT_ON_THEIR_OWN = frozenset(
    "alarm_control_panel automation button climate cover fan humidifier input_boolean input_button input_datetime "
    "input_number input_select input_text lawn_mower light lock media_player number scene select siren switch timer "
    "vacuum valve water_heater".split()
)
ALWAYS_THERE = frozenset(("sun.sun", "zone.home"))  # in every home
_ENTITY = re.compile(r"(?<![\w./@-])(?:states\.)?([a-z_]+)\.([a-z0-9_]+)(?![\w(/@-])")
_NAMES_A_SERVICE = frozenset(("action", "service", "service_template", "trigger", "platform", "event_type"))


class Structure(NamedTuple):
    """What an automation is made of; each a set of names."""

    triggers: frozenset[str]
    services: frozenset[str]
    entities: frozenset[str]


def structure(automation: Mapping[Any, Any]) -> Structure:
    """Trigger kinds (of ``wait_for_trigger`` too), services called, and entity ids, those in templates included."""
    triggers: set[str] = set()
    services: set[str] = set()

    def visit(part: Any, kind: str) -> None:
        if not isinstance(part, Mapping):
            return
        if kind == "trigger":
            triggers.add(str(part.get("trigger")))
        elif kind == "action":
            if isinstance(part.get("action"), str):
                services.add(part["action"])
            elif "device_id" in part:
                services.add(f"{part.get('domain')}.{part.get('type')} of a device")
            if "scene" in part:
                services.add("scene.turn_on")
            visit(part.get("repeat"), "action")
        for key, inner in _INSIDE.get(kind, {}).items():
            for item in part.get(key, ()):
                visit(item, inner)

    modern = modernized(automation)
    visit(modern, "")
    return Structure(frozenset(triggers), frozenset(services), frozenset(_entities(modern)))


def _entities(value: Any, key: Any = None) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _entities(inner, name)
    elif isinstance(value, list):
        for item in value:
            yield from _entities(item, key)
    elif isinstance(value, str) and key not in _NAMES_A_SERVICE:
        for domain, name in _ENTITY.findall(value):
            if domain in DOMAINS:
                yield f"{domain}.{name}"


def acts_on_its_own(automation: Mapping[Any, Any]) -> bool:
    """Whether no service such as ``light.turn_on`` is called on an entity of another domain (a group may hold any)."""

    def fits(part: Any) -> bool:
        if isinstance(part, list):
            return all(map(fits, part))
        if not isinstance(part, Mapping):
            return True
        service, target = part.get("action"), part.get("target")
        domain = service.partition(".")[0] if isinstance(service, str) else ""
        if domain in _ACT_ON_THEIR_OWN and isinstance(target, Mapping):
            ids = target.get("entity_id")
            for entity_id in ids if isinstance(ids, list) else [ids]:
                if isinstance(entity_id, str) and entity_id.partition(".")[0] in DOMAINS - {domain, "group"}:
                    return False
        return all(map(fits, part.values()))

    return fits(modernized(automation))


def renamed_entities(automation: Mapping[Any, Any], rename: Callable[[str], str]) -> dict[Any, Any]:
    """The automation with every entity id that ``structure`` finds replaced by what ``rename`` makes of it."""

    def of(found: re.Match[str]) -> str:
        entity_id = f"{found[1]}.{found[2]}"
        return found[0].replace(entity_id, rename(entity_id)) if found[1] in DOMAINS else found[0]

    def visit(value: Any, key: Any = None) -> Any:
        if isinstance(value, Mapping):
            return {name: visit(inner, name) for name, inner in value.items()}
        if isinstance(value, list):
            return [visit(item, key) for item in value]
        return _ENTITY.sub(of, value) if isinstance(value, str) and key not in _NAMES_A_SERVICE else value

    result: dict[Any, Any] = visit(automation)
    return result


def f1(found: Collection[str], wanted: Collection[str]) -> float:
    """Harmonic mean of precision and recall of a set of names; 1 where both are empty."""
    if not found and not wanted:
        return 1.0
    return 2 * len(set(found) & set(wanted)) / (len(set(found)) + len(set(wanted)))
