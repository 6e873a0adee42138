"""Rows that are not an array or lines: a level down, column by column, or keyed. All are JSON that exports write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from pydantic import BaseModel

from data_sources.records import Home, R, Synergy, keys_of, plain, required_keys, shorten_text
from data_sources.slips import HOME_KEYS, strange_keys


class ShapeError(Exception):
    """The file is JSON, and it is not clear which of its values are the rows."""


_HOME_KEYS = ("entities", "synergies")
_USUAL_NAMES = ("data", "rows", "homes", "items", "records", "results", "samples", "examples", "training_data")
_DEPTH = 3
_HOME_ID = "home_id"

Placed = Iterator[tuple[str, Any]]
"""Each row with its place."""


def rows_within(item: Any, record: type[R]) -> Placed | None:
    """The rows in ``item``, an object that is no row of ``record`` itself; None where it is one, or holds none.

    Raises ShapeError that says which lists there are where it is not clear which of them is meant.
    """
    if not isinstance(item, dict):
        return None
    model = cast("type[BaseModel]", Synergy if record is Home else record)
    names = {name for names in required_keys(model) for name in names}
    scalars = {name for name, nested in keys_of(model).items() if not nested}
    return _within(item, names, scalars, record, _DEPTH)


def _within(item: dict[str, Any], names: set[str], scalars: set[str], record: type[R], depth: int) -> Placed | None:
    columns = [item[name] for name in names & scalars if isinstance(item.get(name), list | dict)]
    if columns and len(columns) == len(names & scalars & item.keys()):
        return _by_columns(item, columns)
    if names & item.keys() or _is_home(item, record) or not depth:
        return None
    heads, data = item.get("columns"), item.get("data")
    if heads and data and _is_list_of(heads, str) and _is_list_of(data, list):
        return _placed([dict(zip(heads, row, strict=False)) for row in data], item, "data ")
    lists = [key for key, value in item.items() if value and _is_list_of(value, dict)]
    usual = [key for key in lists if key in (*_USUAL_NAMES, record.kind, f"{record.kind}_data")]
    if len(lists) > 1 and len(usual) != 1:
        told = shorten_text(", ".join(lists))
        near: dict[str, str] = dict(strange_keys(HOME_KEYS, tuple(item)) if record is Home else ())
        meant = "".join(f'; "{plain(key)}" may stand for {known}' for key, known in near.items())
        raise ShapeError(
            f"is one object with the lists {told}; expected an array of rows, so give it one of them{meant}"
        )
    if lists:
        key = (usual or lists)[0]
        return _placed(item[key], item, f"{shorten_text(key)} ")
    inner = {key: value for key, value in item.items() if isinstance(value, dict) and value}
    usable = {key: value for key, value in inner.items() if names & value.keys() or _is_home(value, record)}
    if len(inner) > 1 and len(usable) == len(item):  # rows or homes by their key
        homes = [{_HOME_ID: key, **value} if _is_home(value, record) else value for key, value in usable.items()]
        return _placed(homes, {}, "")
    if len(inner) == 1 or len(usable) == 1:
        (value,) = usable.values() if usable else inner.values()
        within = _within(value, names, scalars, record, depth - 1)
        return within if within is not None else _placed([value], item, "") if usable else None
    return None


def _by_columns(item: dict[str, Any], columns: Sequence[list[Any] | dict[str, Any]]) -> Placed:
    """Rows of ``{"entity_1": [...], ...}``, or of ``{"entity_1": {"0": ...}, ...}`` as pandas writes a table."""
    kinds, sizes = {type(column) for column in columns}, {len(column) for column in columns}
    if len(kinds) > 1 or len(sizes) > 1:
        raise ShapeError(
            f"is one object of columns with {' and '.join(map(str, sorted(sizes)))} values; expected an array of rows, "
            "or columns of one length"
        )
    (kind,), (size,) = kinds, sizes
    keys: Sequence[Any] = list(columns[0]) if kind is dict else range(size)
    tabled = {
        name: value
        for name, value in item.items()
        if type(value) is kind and len(value) == size and (kind is list or set(value) == set(keys))
    }
    same = {name: value for name, value in item.items() if name not in tabled}
    return _placed([{**same, **{name: column[key] for name, column in tabled.items()}} for key in keys], {}, "")


def _placed(rows: Sequence[Any], outer: Mapping[str, Any], prefix: str) -> Placed:
    """The rows, with the ``home_id`` of the object around them where they have none."""
    around = {_HOME_ID: outer[_HOME_ID]} if _HOME_ID in outer else {}
    for number, row in enumerate(rows, start=1):
        yield f"{prefix}row {number}", {**around, **row} if around and isinstance(row, dict) else row


def _is_home(item: Mapping[str, Any], record: type[R]) -> bool:
    return record is Home and any(key in item for key in _HOME_KEYS)


def _is_list_of(value: Any, kind: type) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)
