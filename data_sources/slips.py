"""What may be mistyped in data that people write by hand. It is said in notes: nothing is refused or changed for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import AliasChoices, AliasPath, BaseModel

from data_sources.nearest import nearest, nearest_key
from data_sources.records import PATTERN_TYPES, Device, Entity, PatternRow, PromptRow, Synergy, shorten_path
from home_assistant.domains import DEVICE_CLASSES, DOMAINS
from home_assistant.entity_id import domain_of

NOTES_KEPT = 5
LOOKED_AT = 20_000  # records of one reading: what comes after them was hardly typed, and costs nothing
GHOSTS_LOOKED_UP = 50  # entities of one reading: each is compared with all others of its home
_SHAPES_KEPT = 1_000  # distinct lists of keys
_SHOWN = 60  # characters of what was typed

Groups = tuple[tuple[str, ...], ...]
"""The spellings of each field, the usual one first."""

HOME_KEYS: Groups = (("home_id",), ("areas",), ("devices",), ("entities",), ("synergies",))
# What the records read beside the spellings of their fields.
_ALSO_READ: Mapping[type[BaseModel], Groups] = {
    Entity: (
        ("name", "name_by_user", "friendly_name", "original_name", "attributes"),
        ("device_class", "original_device_class", "attributes"),
        ("disabled", "disabled_by"),
        ("hidden", "hidden_by"),
    ),
    PromptRow: (("suggestion", "response"),),
    Synergy: (("home_id",),),
}
_WORDS: Mapping[type[BaseModel], Mapping[str, Collection[str]]] = {
    Entity: {"domain": DOMAINS, "entity_category": ("config", "diagnostic")},
    PatternRow: {"domain": DOMAINS, "expected_pattern": frozenset(PATTERN_TYPES)},
    Synergy: {"direction": ("bidirectional", "unidirectional")},
}


class Slips:
    """The slips of one reading: the first few as sentences, and how many there are.

    One key or word that is misspelt the same way in many records counts once.
    """

    def __init__(self) -> None:
        self._left, self._ghosts_left = LOOKED_AT, GHOSTS_LOOKED_UP
        self._seen: set[tuple[object, ...]] = set()
        self._told: set[tuple[object, ...]] = set()
        self._sentences: list[str] = []

    def notes(self, where: str) -> Iterator[str]:
        """The sentences, each with ``where`` the data is, and how many more there are."""
        yield from (f"{where}: {sentence}" for sentence in self._sentences)
        if more := len(self._told) - len(self._sentences):
            yield f"{where}: {more} more of what may be mistyped"

    def look_at(self, record: BaseModel, raw: Any, place: Callable[[str], str], where: str) -> None:
        """Note keys of ``raw``, from which ``record`` was read, and words of it that are near known ones.

        ``place`` makes of ``where`` what a person is told.
        """
        if self._left <= 0:
            return
        self._left -= 1
        model = type(record)
        if type(raw) is dict:
            self.look_at_keys(model, tuple(raw), place, where)
            wrapper = getattr(model, "wrapper", None)
            for name in getattr(model, "objects", ()):
                inner = raw.get(name)
                if type(inner) is dict:
                    keys = (*raw, *inner) if name == wrapper else tuple(inner)
                    self.look_at_keys(model, keys, place, where, "" if name == wrapper else name)
        for field, known in _WORDS.get(model, {}).items():
            self._look_at_word(field, getattr(record, field), known, place, where)
        if isinstance(record, Synergy):
            for entity_id in (record.trigger, record.action):
                self._look_at_word("domain", domain_of(entity_id), DOMAINS, place, where)
        if isinstance(record, Entity) and (classes := DEVICE_CLASSES.get(record.domain)):
            self._look_at_word("device_class", record.device_class, classes, place, where)

    def look_at_keys(
        self,
        model: type[BaseModel] | Groups,
        keys: tuple[Any, ...],
        place: Callable[[str], str],
        where: str,
        inside: str = "",
        unit: str = "key",
    ) -> None:
        """Note keys, or another ``unit``, of a record or of the object ``inside`` it: those near one that is absent."""
        shape = (model, inside, keys)
        if shape in self._seen or len(self._seen) >= _SHAPES_KEPT:
            return
        self._seen.add(shape)
        for key, meant in strange_keys(model, keys, inside):
            path = f"{inside}." if inside else ""
            told = f'unknown {unit} "{path}{_shown(key)}": did you mean {meant}?'
            self._note((model, path, key), f"{place(where)}: {told}")

    def _look_at_word(
        self, field: str, word: str | None, known: Collection[str], place: Callable[[str], str], where: str
    ) -> None:
        if word is None or word in known or len(self._seen) >= _SHAPES_KEPT:
            return
        seen = (field, word)
        if seen in self._seen:
            return
        self._seen.add(seen)
        if word.casefold() not in known and (meant := nearest(word, known)) is not None:
            self._note(seen, f'{place(where)}: {field} "{_shown(word)}" is not known: did you mean {meant}?')

    def look_at_places(
        self, entities: Mapping[str, Entity], areas: Collection[str], devices: Mapping[str, Device], home: str
    ) -> None:
        """Note areas that are not among those of the home, if it lists any, and devices that are near one it lists."""
        placed = [(own.entity_id, own.area_id) for own in entities.values()]
        placed += [(f"device {_shown(own.device_id)}", own.area_id) for own in devices.values()]
        for owner, area in placed if areas else ():
            if area is not None and area not in areas:
                meant = nearest(area, areas)
                told = "" if meant is None else f": did you mean {meant}?"
                self._note(
                    (home, "area", area), f'{home}: {owner}: area "{_shown(area)}" is not among the home\'s areas{told}'
                )
        if devices:
            strange = {own.device_id: own for own in entities.values() if own.device_id not in devices}
            for device_id, own in strange.items():
                if device_id is not None and (meant := self._nearest_of_many(device_id, devices)) is not None:
                    self._note(
                        (home, "device", device_id),
                        f'{home}: {own.entity_id}: device "{_shown(device_id)}" is not among the home\'s devices: '
                        f"did you mean {meant}?",
                    )

    def look_at_ghost(self, ghost: str, entities: Collection[str], home: str, place: Callable[[], str]) -> None:
        """Note an entity that only a synergy names, where it is near one that the home has."""
        if (meant := self._nearest_of_many(ghost, entities)) is not None:
            self._note(
                (home, ghost), f"{home}: {place()} names {ghost}, which is no entity of the home: did you mean {meant}?"
            )

    def _nearest_of_many(self, word: str, known: Collection[str]) -> str | None:
        self._ghosts_left -= 1
        return nearest(word, known) if self._ghosts_left >= 0 else None

    def _note(self, slip: tuple[object, ...], sentence: str) -> None:
        if slip not in self._told:
            self._told.add(slip)
            if len(self._sentences) < NOTES_KEPT:
                self._sentences.append(sentence)


@lru_cache(1_000)
def strange_keys(
    model: type[BaseModel] | Groups, keys: tuple[Any, ...], inside: str = ""
) -> tuple[tuple[str, str], ...]:
    """Each key that is not known, with the one it may stand for: a spelling of a field that has none among ``keys``."""
    groups = model if isinstance(model, tuple) else _groups(model, inside)
    known = {spelling for group in groups for spelling in group}
    if not isinstance(model, tuple) and not inside:
        known.update((*getattr(model, "objects", ()), *model.model_fields))
    absent = [group[0] for group in groups if not {*group} & {*keys}]
    found = []
    for key in dict.fromkeys(keys):
        meant = nearest_key(key, absent) if isinstance(key, str) and key not in known else None
        if meant is not None:
            found.append((key, meant))
    return tuple(found)


@lru_cache
def _groups(model: type[BaseModel], inside: str) -> Groups:
    groups: list[tuple[str, ...]] = []
    wrapper = getattr(model, "wrapper", None)
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
        paths = [tuple(choice.path) if isinstance(choice, AliasPath) else (str(choice),) for choice in choices]
        if inside:
            spellings = [str(path[1]) for path in paths if path[0] == inside and len(path) > 1]
        else:
            spellings = [str(path[0]) for path in paths if path[0] != wrapper]
        if spellings and not spellings[0].startswith("__"):
            groups.append(tuple(dict.fromkeys(spellings)) + (() if inside else (name,)))
    also = () if inside else _ALSO_READ.get(model, ())
    replaced = {group[0] for group in also}
    return (*also, *(group for group in groups if group[0] not in replaced))


def _shown(text: Any) -> str:
    return shorten_path(str(text), _SHOWN)


def first_naming(rows: Sequence[Any], entity_id: str) -> int | None:
    """The number, from 1, of the first raw synergy that names an entity."""
    for number, row in enumerate(rows, start=1):
        if isinstance(row, dict):
            inner = row.get(Synergy.wrapper)
            values = (*row.values(), *(inner.values() if isinstance(inner, dict) else ()))
            if any(isinstance(value, str) and value.strip().lower() == entity_id for value in values):
                return number
    return None
