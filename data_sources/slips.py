"""What may be mistyped in data that people write by hand. It is said in notes: nothing is refused or changed for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel

from data_sources.nearest import nearest, nearest_key
from data_sources.records import PATTERN_TYPES, Area, Device, Entity, PatternRow, PromptRow, Synergy, shorten_path
from home_assistant.domains import DEVICE_CLASSES, DOMAINS
from home_assistant.entity_id import domain_of

NOTES_KEPT = 5
LOOKED_AT = 20_000  # records of one reading: what comes after them was hardly typed, and costs nothing
GHOSTS_LOOKED_UP = 50  # entities of one reading: each is compared with all others of its home
_SHAPES_KEPT = 1_000  # distinct lists of keys
_KEYS_LOOKED_AT = 1_000  # nobody types a record with more
_SHOWN = 60  # characters of what was typed

T = TypeVar("T")

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
        self._left = self._references_left = LOOKED_AT
        self._ghosts_left = GHOSTS_LOOKED_UP
        self._seen: set[tuple[object, ...]] = set()
        self._counted: set[tuple[object, ...]] = set()  # what may be met again; as few as ``_seen`` allows
        self._count = 0
        self._first: list[tuple[tuple[object, ...] | None, str]] = []

    def notes(self, where: str) -> Iterator[str]:
        """The sentences, each with ``where`` the data is, and how many more there are."""
        yield from (f"{where}: {sentence}" for _, sentence in self._first)
        if more := self._count - len(self._first):
            yield f"{where}: {more} more of what may be mistyped"

    def add(self, other: Slips) -> None:
        """Count the slips of another part of the same data, whose homes are others; keys and words may be the same."""
        new = [(slip, sentence) for slip, sentence in other._first if slip not in self._counted]
        self._first = [*self._first, *new][:NOTES_KEPT]
        self._count += other._count - len(self._counted & other._counted)
        self._counted |= other._counted

    def look_at(self, record: BaseModel, raw: Any, place: Callable[[str], str], where: str) -> None:
        """Note keys of ``raw``, from which ``record`` was read, and words of it that are near known ones.

        ``place`` makes of ``where`` what a person is told.
        """
        if self._left <= 0:
            return
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
        self._left -= 1

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
        if self._left <= 0 or len(self._seen) >= _SHAPES_KEPT or len(keys) > _KEYS_LOOKED_AT:
            return
        shape = (model, inside, keys)
        if shape in self._seen:
            return
        self._seen.add(shape)
        for key, meant in strange_keys(model, keys, inside):
            path = f"{inside}." if inside else ""
            told = f'unknown {unit} "{path}{_shown(key)}": did you mean {meant}?'
            self._note(f"{place(where)}: {told}", (model, path, key))

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
            self._note(f'{place(where)}: {field} "{_shown(word)}" is not known: did you mean {meant}?', seen)

    def look_at_references(
        self,
        entities: Mapping[str, Entity],
        areas: Mapping[str, Area],
        devices: Mapping[str, Device],
        pairs: Iterable[tuple[str, str]],
        home: str,
        place: Callable[[str], str],
    ) -> None:
        """Note what is named in a home and not there: areas, devices and entities.

        Areas that are not among those of the home, if it lists any; devices and the entities of ``pairs``, where they
        are near one that it lists. ``place`` says of an entity what names it.
        """
        if self._references_left <= 0:
            return
        placed = [(own.entity_id, own.area_id, own.device_id) for own in self._few(entities.values())]
        others = [(f"device {_shown(own.device_id)}", own.area_id) for own in self._few(devices.values())]
        strange: dict[str, str] = {}
        for owner, area in [*((owner, area) for owner, area, _ in placed), *others] if areas else ():
            if area is not None and area not in areas:
                strange.setdefault(area, owner)
        for area, owner in strange.items():
            meant = _meant(area, areas) if self._is_told else None
            told = "" if meant is None else f": did you mean {meant}?"
            self._note(f'{home}: {owner}: area "{_shown(area)}" is not among the home\'s areas{told}')
        strange = {}
        for owner, _, device in placed if devices else ():
            if device is not None and device not in devices:
                strange.setdefault(device, owner)
        for device, owner in strange.items():
            if (meant := self._one_of_many(device, devices)) is not None:
                self._note(
                    f'{home}: {owner}: device "{_shown(device)}" is not among the home\'s devices: '
                    f"did you mean {meant}?"
                )
        ghosts = {own for pair in self._few(pairs) for own in pair if own not in entities}
        for ghost in sorted(ghosts):
            if (meant := self._one_of_many(ghost, entities)) is not None:
                naming = place(ghost) if self._is_told else ""  # it looks through all rows
                self._note(f"{home}: {naming} names {ghost}, which is no entity of the home: did you mean {meant}?")

    def _few(self, items: Iterable[T]) -> Iterator[T]:
        """Those of ``items`` that are looked at for what they name."""
        for item in islice(items, self._references_left):
            self._references_left -= 1
            yield item

    def _one_of_many(self, word: str, known: Mapping[str, Area | Device | Entity]) -> str | None:
        if self._ghosts_left <= 0:
            return None
        self._ghosts_left -= 1
        return _meant(word, known)

    @property
    def _is_told(self) -> bool:
        """Whether the next slip is one of those that are told."""
        return len(self._first) < NOTES_KEPT

    def _note(self, sentence: str, slip: tuple[object, ...] | None = None) -> None:
        """Count a slip; one that may be met again is named by ``slip``."""
        if slip is not None:
            if slip in self._counted:
                return
            self._counted.add(slip)
        self._count += 1
        if self._is_told:
            self._first.append((slip, sentence))


def _meant(word: str, known: Mapping[str, Area | Device | Entity]) -> str | None:
    """The id for which ``word`` stands: it is the name of what has the id, or a slip of one of the two."""
    names = {own.name.casefold(): key for key, own in known.items() if own.name is not None}
    return names.get(word.casefold()) or nearest(word, known) or names.get(nearest(word.casefold(), names) or "")


@lru_cache(1_000)
def strange_keys(
    model: type[BaseModel] | Groups, keys: tuple[Any, ...], inside: str = ""
) -> tuple[tuple[str, str], ...]:
    """Each key that is not known, with the one it may stand for: a spelling of a field that has none among ``keys``."""
    if len(keys) > _KEYS_LOOKED_AT:
        return ()
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
