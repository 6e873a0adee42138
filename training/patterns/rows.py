"""Detected patterns column by column: a row takes about 100 bytes, where a record takes a thousand."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from data_sources import PatternRow

_NAMES = tuple(PatternRow.model_fields)
_PATTERN, _ENTITY, _TRUTH, _DEVICE = map(
    _NAMES.index, ("pattern_type", "entity_id", "expected_pattern", "expected_device")
)
_NUMBER = _NAMES.index("confidence")


class PatternRows(Sequence[PatternRow]):
    """Rows that are kept in columns; a record is made when it is asked for.

    ``rows[i]`` and iteration give records, ``select`` other rows of the same columns.
    """

    def __init__(self, rows: Iterable[PatternRow] = ()) -> None:
        self._columns: tuple[Any, ...] = tuple(array("d") if i == _NUMBER else [] for i in range(len(_NAMES)))
        shared: dict[Any, Any] = {}  # most texts repeat
        for row in rows:
            for number, (column, name) in enumerate(zip(self._columns, _NAMES, strict=True)):
                value = getattr(row, name)
                column.append(value if number == _NUMBER else shared.setdefault(value, value))
        self._places: npt.NDArray[np.int64] = np.arange(len(self._columns[0]))

    @classmethod
    def of(cls, rows: Iterable[PatternRow]) -> PatternRows:
        """The rows as they are, where they are in columns already."""
        return rows if isinstance(rows, cls) else cls(rows)

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, place: int) -> PatternRow: ...

    @overload
    def __getitem__(self, place: slice) -> PatternRows: ...

    def __getitem__(self, place: int | slice) -> PatternRow | PatternRows:
        if isinstance(place, slice):
            return self.select(np.arange(len(self))[place])
        row = self._places[place]
        return PatternRow.model_construct(
            **{name: column[row] for name, column in zip(_NAMES, self._columns, strict=True)}
        )

    def __iter__(self) -> Iterator[PatternRow]:
        return map(self.__getitem__, range(len(self)))

    def each(self) -> Iterator[PatternRow]:
        """Each row in turn, in one record that changes: to make a new one takes longer than what is done with it."""
        if not len(self):
            return
        record = self[0]
        for row in self._places.tolist():
            record.__dict__.update(zip(_NAMES, [column[row] for column in self._columns], strict=True))
            yield record

    def select(self, places: Any) -> PatternRows:
        """The rows at these ``[n]`` places, in their order."""
        chosen = PatternRows.__new__(PatternRows)
        chosen._columns, chosen._places = self._columns, self._places[places]
        return chosen

    @property
    def entity_ids(self) -> list[str]:
        """``[n]`` the entity of each row."""
        return [self._columns[_ENTITY][row] for row in self._places.tolist()]

    @property
    def confidence(self) -> npt.NDArray[np.float64]:
        """``[n]`` the detector's confidence in each row."""
        return np.asarray(self._columns[_NUMBER])[self._places]

    @property
    def genuine(self) -> npt.NDArray[np.int8]:
        """``[n]`` ``PatternRow.genuine``: 1, 0, or -1 without a ground truth."""
        found = np.empty(len(self), dtype=np.int8)
        pattern, entity, truth, device = (self._columns[i] for i in (_PATTERN, _ENTITY, _TRUTH, _DEVICE))
        for i, row in enumerate(self._places.tolist()):
            known = truth[row]
            right = known == pattern[row] and (device[row] is None or device[row] == entity[row])
            found[i] = -1 if known is None else right
        return found

    def by_entity(self) -> Iterator[PatternRows]:
        """The rows of each entity. What is one after the other here is so in the order of the rows' JSON too."""
        places: dict[str, array[int]] = defaultdict(lambda: array("q"))
        for place, entity in enumerate(self.entity_ids):
            places[entity].append(place)
        for entity in sorted(places, key=lambda entity: f'{entity}"'):  # the entity is the first key of a row
            yield self.select(np.asarray(places.pop(entity)))

    def in_order(self) -> PatternRows:
        """The rows sorted by their JSON, so that nothing depends on the order in which a source gives them."""
        parts = []
        for own in self.by_entity():
            texts = [row.model_dump_json() for row in own.each()]
            parts.append(own._places[sorted(range(len(own)), key=texts.__getitem__)])
        ordered = self.select(np.arange(0))
        ordered._places = np.concatenate([ordered._places, *parts])
        return ordered
