"""Values that wait in a temporary file where they do not fit in memory."""

from __future__ import annotations

import copyreg
import io
import os
import pickle
import sys
import tempfile
import weakref
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Generic, TypeVar, overload

from training.runs.errors import TrainingError

V = TypeVar("V")

LEAST_HELD = 8  # values, however large: the one at work is asked for many times in a row
_LARGE_FILES = Path("/var/tmp")  # noqa: S108 - the file there has no name; /tmp is often memory


class Room:
    """Memory that several ``Stored`` share. It holds the values that were used last; the others are in files.

    The files have no name, so nothing is left of them however the process ends.

    Args:
        limit: Bytes of values that stay in memory; None for all.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit, self._taken = limit, 0
        self._held: OrderedDict[tuple[object, int], tuple[Any, int]] = OrderedDict()
        self._files: dict[object, _File] = {}
        self._at_work = False
        self._forgotten: list[object] = []

    def put(self, owner: object, key: int, value: Any, size: int) -> None:
        """Take a value of about ``size`` bytes."""
        with self._working():
            self._files.setdefault(owner, _File()).places.pop(key, None)
            self._hold(owner, key, value, size)

    def get(self, owner: object, key: int) -> Any:
        """A value that was put; from a file it is a copy, equal in all its parts."""
        with self._working():
            held = self._held.get((owner, key))
            if held is not None:
                self._held.move_to_end((owner, key))
                return held[0]
            value, size = self._files[owner].read(key)
            self._hold(owner, key, value, size)
            return value

    def forget(self, owner: object) -> None:
        """Let all values of an owner go."""
        self._forgotten.append(owner)
        if not self._at_work:  # else Python's collector runs inside another call, which lets the owner go at its end
            with self._working():
                pass

    @contextmanager
    def _working(self) -> Iterator[None]:
        self._at_work = True
        try:
            yield
            while self._forgotten:
                self._let_go(self._forgotten.pop())
        finally:
            self._at_work = False

    def _let_go(self, owner: object) -> None:
        for place in [place for place in self._held if place[0] is owner]:
            self._taken -= self._held.pop(place)[1]
        found = self._files.pop(owner, None)
        if found is not None:
            found.close()

    def _hold(self, owner: object, key: int, value: Any, size: int) -> None:
        self._taken += size - self._held.pop((owner, key), (None, 0))[1]
        self._held[owner, key] = value, size
        while self._limit is not None and self._taken > self._limit and len(self._held) > LEAST_HELD:
            (other, old), (left, freed) = self._held.popitem(last=False)
            self._taken -= freed
            self._files[other].write(old, left, freed)


class Stored(Mapping[int, V], Generic[V]):
    """Values by whole numbers, in the memory of a ``Room`` or in its files. A value must not change once it is put.

    Args:
        room: The memory.
        size: About how many bytes a value takes in memory.
    """

    def __init__(self, room: Room, size: Callable[[V], int]) -> None:
        self._room, self._size, self._owner = room, size, object()
        self._keys: dict[int, None] = {}
        weakref.finalize(self, room.forget, self._owner)

    def put(self, key: int, value: V) -> None:
        """Add a value, or replace the one of this key. Raises TrainingError where the disk has no room."""
        self._keys[key] = None
        self._room.put(self._owner, key, value, self._size(value))

    def __getitem__(self, key: int) -> V:
        if key not in self._keys:
            raise KeyError(key)
        value: V = self._room.get(self._owner, key)
        return value

    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[int]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


class InOrder(Sequence[V]):
    """Some values of a mapping or sequence as a sequence, each read when it is asked for.

    Args:
        values: The values.
        keys: Their keys, in the order of the sequence.
    """

    def __init__(self, values: Mapping[int, V] | Sequence[V], keys: Sequence[int]) -> None:
        self._values, self._keys = values, keys

    @overload
    def __getitem__(self, index: int) -> V: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[V]: ...
    def __getitem__(self, index: int | slice) -> V | Sequence[V]:
        if isinstance(index, slice):
            return InOrder(self._values, self._keys[index])
        return self._values[self._keys[index]]

    def __iter__(self) -> Iterator[V]:
        for key in self._keys:
            yield self._values[key]

    def __len__(self) -> int:
        return len(self._keys)


class _File:
    """Pickled values in a file without a name, which is made when the first one is written.

    Attributes:
        places: Key -> where its value begins: a number of sizes, these, and the parts of its pickle. The first size is
            that in memory, the others are those of the parts.
    """

    def __init__(self) -> None:
        self.places: dict[int, int] = {}
        self._file: IO[bytes] | None = None
        self._end = 0

    def write(self, key: int, value: Any, size: int) -> None:
        if key in self.places:  # it was read from here
            return
        parts, written = _pickled(value), 0
        folder = _folder()
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - closed by ``close``
            self._file.seek(self._end)
            head = array("Q", [1 + len(parts), size, *(part.nbytes for part in parts)])
            for left in (memoryview(head).cast("B"), *parts):
                written += left.nbytes
                while left:
                    left = left[self._file.write(left) :]
        except OSError as error:
            raise TrainingError(
                f"{folder or tempfile.tempdir or 'temporary files'}: what does not fit in memory cannot be kept here "
                f"({error.strerror or error}); set TMPDIR to a folder with more room, or give a training more --memory"
            ) from error
        self.places[key], self._end = self._end, self._end + written

    def read(self, key: int) -> tuple[Any, int]:
        assert self._file is not None
        self._file.seek(self.places[key])
        (sizes,) = self._next(8).cast("Q")
        size, *lengths = self._next(8 * sizes).cast("Q")
        content, *arrays = map(self._next, lengths)
        return pickle.loads(content, buffers=arrays), size  # noqa: S301 - this process wrote it, and nobody else can

    def _next(self, length: int) -> memoryview:
        """The next bytes of the file."""
        import numpy as np  # here, for --help imports this module

        left = found = np.empty(length, dtype=np.uint8).data  # a bytearray would be zeroed first
        while left:
            count = self._file.readinto(left)  # type: ignore[union-attr]
            if not count:
                raise TrainingError("a temporary file of this run was cut off from outside; start the run again")
            left = left[count:]
        return found

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


def _pickled(value: Any) -> list[memoryview]:
    """The pickle of a value, then its arrays, which are not copied."""
    arrays: list[pickle.PickleBuffer] = []
    content = io.BytesIO()
    pickler = pickle.Pickler(content, pickle.HIGHEST_PROTOCOL, buffer_callback=arrays.append)
    torch = sys.modules.get("torch")
    if torch is not None:  # whose own pickles copy a tensor three times
        pickler.dispatch_table = {**copyreg.dispatch_table, torch.Tensor: _tensor_as_array}
    pickler.dump(value)
    return [content.getbuffer(), *(one.raw() for one in arrays)]


def _tensor_as_array(tensor: Any) -> tuple[Any, tuple[Any]]:
    return sys.modules["torch"].from_numpy, (tensor.numpy(),)


def _folder() -> str | None:
    """Where the file is: in TMPDIR, else where large temporary files are; None for Python's own choice."""
    for folder in (os.environ.get("TMPDIR"), _LARGE_FILES):
        if folder and os.access(folder, os.W_OK):
            return str(folder)
    return None
