"""What the words of a request mean: opposites, events, times of day and fillers, in the languages of household words.

Every word that is neither here nor in a name of the home is unknown, and whoever reads a request can say so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from home_assistant.household_words import canonical_word, places_of

# "phrases": language -> meaning -> phrases, of which the longest that fits counts. ``on_`` and ``off_`` are words that
# mean on and off only beside a verb or at the end ("turn the lamp on", "schalte die Lampe ein"). "forms": word -> forms
# that requests have and names rarely: a case, or an article at the end. "numbers": numbers in words.
_TABLE: Mapping[str, Any] = json.loads(Path(__file__).with_name("request_words.json").read_text(encoding="utf-8"))
BEING = frozenset(_TABLE["being"])
"""Words that say how something is, where others say what happens to it."""
_FORMS = {form: word for word, forms in _TABLE["forms"].items() for form in forms}
_NUMBERS = {word: int(number) for number, words in _TABLE["numbers"].items() for word in words}

# What a thing is called -> the domains that such an entity may have; words as in ``household_words.canonical_word``.
THING_DOMAINS: Mapping[str, tuple[str, ...]] = {
    "light": ("light",),
    "blind": ("cover",),
    "shade": ("cover",),
    "awning": ("cover",),
    "gate": ("cover",),
    "cover": ("cover",),
    "door": ("lock", "cover", "binary_sensor"),
    "lock": ("lock",),
    "window": ("binary_sensor", "cover"),
    "heating": ("climate",),
    "thermostat": ("climate",),
    "ac": ("climate",),
    "airco": ("climate",),
    "tv": ("media_player",),
    "speaker": ("media_player",),
    "radio": ("media_player",),
    "music": ("media_player",),
    "fan": ("fan",),
    "ventilator": ("fan",),
    "vacuum": ("vacuum",),
    "robot": ("vacuum", "lawn_mower"),
    "mower": ("lawn_mower",),
    "socket": ("switch",),
    "switch": ("switch",),
    "alarm": ("alarm_control_panel",),
    "siren": ("siren",),
    "valve": ("valve",),
    "humidifier": ("humidifier",),
    "button": ("event", "button", "input_button"),
    "doorbell": ("event", "binary_sensor"),
    "camera": ("camera",),
    "scene": ("scene",),
    "script": ("script",),
    "timer": ("timer",),
    "sensor": ("binary_sensor", "sensor", "event"),
    "detector": ("binary_sensor",),
    "mode": ("input_boolean",),
}


class Phrase(NamedTuple):
    """What some words of a request may mean: keys of the table of phrases, and how many words it takes."""

    meanings: frozenset[str]
    words: int


class _Lexicon(NamedTuple):
    meanings: Mapping[tuple[str, ...], frozenset[str]]
    longest: int


def _lexicon(table: Mapping[str, Sequence[str]]) -> _Lexicon:
    meanings: dict[tuple[str, ...], frozenset[str]] = {}
    for meaning, phrases in table.items():
        for phrase in phrases:
            words = tuple(phrase.split())
            meanings[words] = meanings.get(words, frozenset()) | {meaning}
    return _Lexicon(meanings, max(map(len, meanings)))


_LEXICONS: Mapping[str, _Lexicon] = {language: _lexicon(table) for language, table in _TABLE["phrases"].items()}
LANGUAGES: tuple[str, ...] = tuple(_LEXICONS)


def phrase_at(words: list[str], at: int, language: str) -> Phrase | None:
    """The longest phrase of the language that begins at a word; None where none does. Takes lower case."""
    lexicon = _LEXICONS[language]
    for length in range(min(lexicon.longest, len(words) - at), 0, -1):
        meanings = lexicon.meanings.get(tuple(words[at : at + length]))
        if meanings is not None:
            return Phrase(meanings, length)
    return None


def number_of(word: str) -> int | None:
    """The number that a word says, such as ``ten``; None where it says none."""
    return _NUMBERS.get(word)


def language_of(words: list[str]) -> str:
    """The language that knows most of the words; of equal ones the first of ``LANGUAGES``."""

    def known(language: str) -> int:
        count = at = 0
        while at < len(words):
            phrase = phrase_at(words, at, language)
            count += phrase.words if phrase else 0
            at += phrase.words if phrase else 1
        return count

    return max(LANGUAGES, key=known)


_LETTERS = re.compile(r"[^\W\d_]+")


def meanings_in(text: str) -> frozenset[str]:
    """All that the words of a text may mean, whatever their order."""
    words = _LETTERS.findall(text.lower())
    language, at = language_of(words), 0
    found: set[str] = set()
    while at < len(words):
        phrase = phrase_at(words, at, language)
        found |= phrase.meanings if phrase else set()
        at += phrase.words if phrase else 1
    return frozenset(found)


# -- Names ------------------------------------------------------------------------------------------------------------


def tokens_said(text: str) -> list[str]:
    """The words and numbers of a text, each by its one spelling; a compound of two household words is both."""
    tokens = []
    for word in re.findall(r"[^\W\d_]+|\d+", text.lower()):
        spelled = _singular(word)
        if spelled == word and spelled not in THING_DOMAINS and (parts := _compound(word)):
            tokens += parts
        else:
            tokens.append(spelled)
    return tokens


def _singular(word: str) -> str:
    found = canonical_word(_FORMS.get(word, word))
    if found == word and word.endswith("s") and len(word) > 3:
        one = canonical_word(word[:-1])
        if one != word[:-1] or one in THING_DOMAINS:
            return one
    return found


_COMPOUND_STARTS = {
    "haus": "front", "voor": "front", "ytter": "front", "entré": "front", "eingangs": "front", "achter": "rear",
    "hinter": "rear", "bak": "rear",
}  # fmt: skip


def _compound(word: str) -> list[str]:
    """Two household words written as one, such as ``flurlicht``; [] for any other word."""
    if len(word) < 6 or not word.isalpha():
        return []
    for at in range(len(word) - 3, 2, -1):
        first, last = word[:at], _singular(word[at:])
        if last not in THING_DOMAINS:
            continue
        if first in _COMPOUND_STARTS:
            return [_COMPOUND_STARTS[first], last]
        for stem in (first, first[:-1], first + "e", first[:-2]):
            place = _singular(stem)
            if len(stem) > 2 and places_of([place]):
                return [place, last]
    return []
