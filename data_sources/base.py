"""What a data source is: ``read`` and ``describe``, the errors it raises and the report of what it could not use."""

from __future__ import annotations

import hashlib
import logging
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from data_sources.counting import many
from data_sources.masking import OneLineError, class_and_message, masked
from data_sources.records import R, explain, shorten_path
from data_sources.slips import Slips

log = logging.getLogger("data_sources")

M = TypeVar("M", bound=BaseModel)

UNUSABLE_LIMIT = 0.1  # more than a tenth of unusable rows is fatal (docs/reference/data-formats.md)
REASONS_KEPT = 5
REASONS_SHOWN = 3  # in an error


class DataSourceError(OneLineError):
    """A source cannot give its records. The message is one line: where, what happened, what to do."""


class NotFoundError(DataSourceError):
    """The file, folder, table or endpoint does not exist."""


class FormatError(DataSourceError):
    """The data is there but cannot be read as what it should be."""


class UnusableRowsError(DataSourceError):
    """Under ``strict`` the first unusable row; otherwise more than a tenth of them."""


class NoRecordsError(DataSourceError):
    """The source can be read and has nothing of the kind asked for."""


class NoRowsError(FormatError, NoRecordsError):
    """The file or table is empty."""


class NoFileError(NotFoundError, NoRecordsError):
    """The folder has no file for the kind."""


class NoTableError(NotFoundError, NoRecordsError):
    """The database can be read and has no table for the kind."""


class UnsupportedKindError(NoRecordsError):
    """No source of this type has records of the kind."""


_HASHES = 2**32


@dataclass(frozen=True)
class Shard:
    """One of ``count`` parts of a source, number ``index`` from 0, so that as many processes read it together once.

    A home is in one part, whole, whatever source it is read from: its hash is the number that the hexadecimal digits 9
    to 16 of the MD5 of its id (UTF-8) are, and part ``i`` has the hashes from ``i / count`` to ``(i + 1) / count`` of
    their range. Raises ValueError where there is no such part.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise ValueError(f"shard {self.index} of {self.count}: expected a number from 0 to {self.count - 1}")

    @property
    def hashes(self) -> range:
        """The hashes of this part."""
        return range(*(-(-_HASHES * place // self.count) for place in (self.index, self.index + 1)))

    def holds(self, key: str) -> bool:
        """Whether the home of this id, or another unit of this name, is in this part."""
        return self.count == 1 or self.hash_of(key) in self.hashes

    @staticmethod
    def hash_of(key: str) -> int:
        """The hash of an id, from 0 to 2**32 - 1. Every database can compute it."""
        digest = hashlib.md5(key.encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()
        return int(digest[8:16], 16)


WHOLE = Shard()


@dataclass
class LoadReport:
    """How many items of each unit (row, home, entity, synergy, ...) were read and rejected, and the first reasons.

    ``where`` names the source in messages; ``strict`` makes the first unusable item an error. ``slips`` collects what
    may be mistyped, where people write the data by hand. ``left_out`` counts units that are no fault, by why.
    """

    where: str
    strict: bool = False
    read: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    slips: Slips | None = None
    left_out: Counter[tuple[str, str]] = field(default_factory=Counter)

    def reject(self, unit: str, where: str, why: str) -> None:
        """Count one unusable item. Raises UnusableRowsError under ``strict``."""
        self.read[unit] += 1
        self.rejected[unit] += 1
        reason = f"{where}: {why}" if where else why
        if self.strict:
            raise UnusableRowsError(f"{self.where}: {reason} (--strict stops at the first unusable row)")
        if len(self.reasons) < REASONS_KEPT:
            self.reasons.append(reason)

    def validate(self, model: type[M], raw: Any, unit: str, where: str, shard: Shard = WHOLE) -> M | None:
        """``raw`` as a record, counted; None, counted and explained, where it cannot be one.

        None, not counted, where another part than ``shard`` has it; what cannot be a record is in one part too.
        """
        try:
            record: M = model.__pydantic_validator__.validate_python(raw)  # model_validate, less its arguments
        except ValidationError as error:
            if shard.holds(where):
                self.reject(unit, where, explain(error, model))
            return None
        if shard.count > 1 and not shard.holds(record.shard_key):  # type: ignore[attr-defined]
            return None
        self.read[unit] += 1
        return record

    def add(self, other: LoadReport) -> None:
        """Count what another process read of the same source too, as its part (``Shard``)."""
        self.read.update(other.read)
        self.rejected.update(other.rejected)
        self.reasons = [*self.reasons, *other.reasons][:REASONS_KEPT]
        self.notes += [note for note in other.notes if note not in self.notes]
        self.left_out.update(other.left_out)
        if other.slips is not None:
            self.slips = self.slips or Slips()
            self.slips.add(other.slips)

    def tell(self) -> None:
        """Add the notes that count: what was left out, what may be mistyped. Call it once, when all parts are read."""
        for (why, unit), count in self.left_out.items():
            self.notes += [f"{self.where}: left out, {why}: {many(count, unit)}"] if count else []
        for note in () if self.slips is None else self.slips.notes(self.where):
            log.warning("Note: %s", note)
            self.notes.append(note)

    def check(self) -> None:
        """Raises UnusableRowsError where more than a tenth of any unit was rejected."""
        for unit, rejected in self.rejected.items():
            # A line that cannot be read may have been a home as well, where a file holds homes.
            homes = self.read["home"] if unit == "row" else 0
            total = self.read[unit] + homes
            if rejected > UNUSABLE_LIMIT * total:
                reasons = self.reasons[:REASONS_SHOWN]
                more = sum(self.rejected.values()) - len(reasons)
                told = f"; and {more} more" if more > 0 else ""
                among = f"{total} homes and rows" if homes else many(total, unit)
                share = (
                    "it is the only " + unit
                    if total == 1
                    else f"{rejected} of {among} cannot be used, more than a tenth"
                )
                raise UnusableRowsError(f"{self.where}: {'; '.join(reasons)}{told} ({share})")

    def as_dict(self) -> dict[str, Any]:
        """For summaries and metadata."""
        return {
            "read": dict(self.read),
            "rejected": dict(self.rejected),
            "first_reasons": list(self.reasons),
            "notes": list(self.notes),
        }


class DataSource(ABC):
    """Records of any kind from one place, which is never written. A subclass defines ``records`` and ``describe``."""

    _hook: ClassVar[str] = "records"
    deals_out: ClassVar[bool] = False  # whether ``records`` yields those of ``self.shard`` alone
    typed: ClassVar[bool] = False  # whether people write such data by hand, and mistype it

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "_read" in vars(cls) and "records" not in vars(cls):  # its name before
            cls._hook, cls.records = "_read", vars(cls)["_read"]  # type: ignore[method-assign]

    def __init__(self, *, strict: bool = False) -> None:
        self.strict = strict
        self.report = LoadReport(where="")
        self.choice: str | None = None  # why this source was chosen, where the user did not name one
        self.shard = WHOLE

    def read(self, record: type[R], limit: int | None = None) -> Iterator[R]:
        """Stream the records of one kind, ``limit`` at most; ``self.report`` is complete when the iterator ends.

        Under ``self.shard`` those of this part. There may be none, and how many are unusable says nothing of the whole:
        whoever reads all parts gives their reports to ``check_together``.

        Raises DataSourceError (its subclasses say which) with one line that names the source. Whatever else a subclass
        raises becomes one here, with the cause chained, so a subclass need only explain what a person can mend.
        """
        where = type(self).__name__
        any_record = False
        try:
            where = self.location(record.kind)
            self.report = LoadReport(where=where, strict=self.strict, slips=Slips() if self.typed else None)
            for item in islice(self._checked(record, where), limit):
                any_record = True
                yield item
        except (DataSourceError, MemoryError):
            raise
        except Exception as error:
            raise DataSourceError(f"{where}: cannot be read ({class_and_message(error)})") from error
        if self.shard.count > 1:
            return
        self.report.tell()
        self.report.check()
        if not any_record:
            raise NoRowsError(f"{where}: holds no {record.kind} rows; nothing can be learnt or suggested from it")

    def check_together(self, reports: Iterable[LoadReport]) -> None:
        """Take the reports of all parts, in their order, for this part's, and check the whole as ``read`` does.

        Raises:
            UnusableRowsError: More than a tenth of any unit was rejected.
            NoRowsError: No part has a record.
        """
        whole = LoadReport(where=self.report.where, strict=self.strict)
        for report in reports:
            whole.add(report)
        self.report = whole
        whole.tell()
        whole.check()
        if not whole.read:
            raise NoRowsError(f"{whole.where}: holds no rows; nothing can be learnt or suggested from it")

    def _checked(self, record: type[R], where: str) -> Iterator[R]:
        for item in self.records(record):
            if not isinstance(item, record):  # a plugin's fault
                raise FormatError(
                    f"{where}: {type(self).__name__}.{self._hook} gives {type(item).__name__}, "
                    f"expected {record.__name__}"
                )
            if self.deals_out or self.shard.holds(item.shard_key):
                yield item

    @abstractmethod
    def records(self, record: type[R]) -> Iterator[R]:
        """Yield records of one kind; count and validate every row with ``self.report``."""

    @abstractmethod
    def describe(self) -> dict[str, str]:
        """``type`` and ``location`` of this source, for messages and summaries; never a secret."""

    def reads(self, path: Path) -> bool:  # noqa: ARG002 - most sources are no files
        """Whether a file, whose path is resolved, is one that this source reads: nothing is written over it."""
        return False

    def safe_description(self) -> dict[str, str]:
        """``describe`` as texts without secrets. Raises DataSourceError where it fails, with one line."""
        try:
            return {str(key): masked(str(value)) for key, value in self.describe().items()}
        except DataSourceError:
            raise
        except Exception as error:
            raise DataSourceError(f"{type(self).__name__}.describe: fails ({class_and_message(error)})") from error

    def location(self, kind: str) -> str:  # noqa: ARG002 - a folder has a file for each kind
        """Where records of ``kind`` are, for messages."""
        return self.describe()["location"]


def cannot_be_opened(shown: str, error: OSError | ValueError, advice: str) -> NotFoundError:
    """What says why the path that is ``shown`` leads to nothing that can be read: its name, or who may read it."""
    why = error.strerror if isinstance(error, OSError) else error
    return NotFoundError(f"{shorten_path(shown)}: cannot be opened ({why}); {advice}")


def stray_characters(value: str) -> str:
    """The end of a message where an env file left quotes or a carriage return in a value; else ""."""
    if value[:1] in ("'", '"') or value.rstrip()[-1:] in ("'", '"'):
        return "; its quotes are part of the value, leave them out of an env file that is not read by a shell"
    return "; it ends in a carriage return, as files from Windows do" if value.endswith("\r") else ""


def sqlite_url(path: str) -> str:
    """The URL of a SQLite file, whatever characters its path holds."""
    return f"sqlite:///{quote(path)}"
