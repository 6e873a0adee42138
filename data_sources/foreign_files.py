"""What a file is that is no JSON, and where in a folder the data may be: for the messages of those who look for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from data_sources.base import sqlite_url
from data_sources.counting import listed
from data_sources.paths import is_file, is_folder
from data_sources.records import plain
from home_assistant.registries import STORAGE

HEAD = 512  # bytes that tell what a file is
_NAMED = 5
_LOOKED_AT = 200  # entries of a folder
_CONFIGURATION = "configuration.yaml"
_JSON = "save its rows as JSON"
_UNPACK, _UNPACK_FILE = "unpack it and give the folder", "unpack it and give the file"
_EXPECTED = "expected a JSON file"
# The first bytes -> what it is, and what to do.
_MAGIC = {
    b"PK\x03\x04": ("a zip archive", _UNPACK),
    b"PK\x05\x06": ("a zip archive", _UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", _UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", _UNPACK),
    b"\x1f\x8b": ("a gzip file", _UNPACK_FILE),
    b"BZh": ("a bzip2 file", _UNPACK_FILE),
    b"\xfd7zXZ\x00": ("an xz file", _UNPACK_FILE),
    b"\x28\xb5\x2f\xfd": ("a Zstandard file", _UNPACK_FILE),
    b"PAR1": ("a Parquet file", _JSON),
    b"ARROW1": ("an Arrow file", _JSON),
    b"Obj\x01": ("an Avro file", _JSON),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file", _JSON),
    b"\x93NUMPY": ("a NumPy file", _JSON),
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": ("an old Office file, such as .xls", _JSON),
    b"\x89PNG\r\n\x1a\n": ("a PNG image", _EXPECTED),
    b"\xff\xd8\xff": ("a JPEG image", _EXPECTED),
    b"GIF8": ("a GIF image", _EXPECTED),
    b"%PDF-": ("a PDF", _EXPECTED),
    b"\x7fELF": ("a program", _EXPECTED),
}
_SQLITE = b"SQLite format 3\x00"
_TAR, _TAR_AT = (b"ustar\x00", b"ustar  \x00"), 257  # no text has a NUL
_OFFICE = (".xlsx", ".xlsm", ".ods")
_PICKLE = re.compile(rb"\x80[\x02-\x05]")
_TABLE = re.compile(r"[^\n,;\t{}\[\]]++(?:[,;\t][^\n,;\t{}\[\]]++)++")


def kind_of_bytes(head: bytes, path: str) -> str | None:
    """What a file is by its first ``HEAD`` bytes, and what to do, as ``is a tar archive: ...``; None if not known."""
    if head[_TAR_AT:].startswith(_TAR):
        return f"is a tar archive: {_UNPACK}"
    if head.startswith(_SQLITE):
        return f"is a SQLite database: give --data-source {sqlite_url(path)}"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return f"is a WebP image: {_EXPECTED}"
    if _PICKLE.match(head):
        return f"is a Python pickle, which is never opened: {_JSON}"
    for magic, (what, advice) in _MAGIC.items():
        if head.startswith(magic):
            if what == "a gzip file" and path.lower().endswith((".tar.gz", ".tgz")):
                what, advice = "a tar archive", _UNPACK
            if what == "a zip archive" and path.lower().endswith(_OFFICE):
                what, advice = "a spreadsheet", _JSON
            return f"is {what}: {advice}"
    return None


def kind_of_text(first_line: str) -> str:
    """What a text may be that is no JSON, by its first line, as the end of a message; empty if not known."""
    line = first_line.strip()
    if line.startswith("<"):
        return "; it is HTML or XML"
    if _TABLE.fullmatch(line):
        return f"; it looks like a CSV table, {_JSON}"
    if line in ("---", "%YAML") or re.match(r"(?:- )?[A-Za-z_]\w*:(?: |$)", line):
        return "; it looks like YAML"
    return ""


def kind_of_file(path: Path) -> str | None:
    """``kind_of_bytes`` of a file. Raises OSError."""
    with path.open("rb") as file:
        return kind_of_bytes(file.read(HEAD), str(path))


def holds_configuration(folder: Path) -> bool:
    """Whether a folder is one that Home Assistant keeps."""
    return is_file(folder / _CONFIGURATION) or is_folder(folder / STORAGE)


def what_is_there(folder: Path, endings: tuple[str, ...], names: tuple[str, ...]) -> str:
    """What a folder without the data has in its place: a folder with it, files, an archive.

    Args:
        folder: The folder.
        endings: Of the files that could be the data.
        names: Of the files by which a folder with the data is known.

    Raises:
        OSError: The folder may not be listed.
    """
    some = list(islice(folder.iterdir(), _LOOKED_AT + 1))
    entries = sorted(some[:_LOOKED_AT])
    is_all = len(some) == len(entries)
    found = next(_folders_with_data(entries, names), None)
    if found is not None:
        return f"did you mean {plain(str(found))}?"
    archives = [entry for entry in entries if entry.name.lower().endswith((".tar", ".tar.gz", ".tgz", ".zip"))]
    files = [entry for entry in entries if entry.name.lower().endswith(endings) and is_file(entry)]
    if files:
        return f"it has {_named(files, is_all)}: give such a file itself"
    if archives:
        return f"it has {plain(archives[0].name)}: unpack that and give the folder"
    if not entries:
        return "it is empty"
    return f"it has {_named(entries, is_all)}"


def _named(entries: list[Path], is_all: bool) -> str:
    """The first few names, and how many more there are, where that is known."""
    names = [plain(entry.name) for entry in entries]
    return listed(names, _NAMED) if is_all else f"{', '.join(names[:_NAMED])} and many more"


def _folders_with_data(entries: list[Path], names: tuple[str, ...]) -> Iterator[Path]:
    """Those among ``entries`` and what lies in them."""
    folders = [entry for entry in entries if is_folder(entry) and not entry.is_symlink()]
    for depth in range(2):
        for folder in folders:
            if holds_configuration(folder) or any(is_file(folder / name) for name in names):
                yield folder
        if depth == 0:
            inner = (entry for folder in folders for entry in _entries(folder))
            folders = [entry for entry in islice(inner, _LOOKED_AT) if is_folder(entry) and not entry.is_symlink()]


def _entries(folder: Path) -> Iterator[Path]:
    """The first entries of a folder; none of one that may not be read, as lost+found of a disk."""
    with suppress(OSError):
        yield from islice(folder.iterdir(), _LOOKED_AT)
