"""Training data behind one interface: ``open_source(...).read(Home)`` streams records from wherever they lie."""

from data_sources.base import (
    DataSource,
    DataSourceError,
    FormatError,
    LoadReport,
    NoRecordsError,
    NotFoundError,
    UnsupportedKindError,
    UnusableRowsError,
    sqlite_url,
)
from data_sources.homes import HomeBuilder
from data_sources.records import (
    KINDS,
    PATTERN_TYPES,
    Area,
    Device,
    Entity,
    Home,
    KindName,
    PatternRow,
    PromptRow,
    Synergy,
    YamlRow,
)
from data_sources.resolve import BARE, SourceNotAvailableError, default_directory, open_source

__all__ = [
    "BARE",
    "KINDS",
    "PATTERN_TYPES",
    "Area",
    "DataSource",
    "DataSourceError",
    "Device",
    "Entity",
    "FormatError",
    "Home",
    "HomeBuilder",
    "KindName",
    "LoadReport",
    "NoRecordsError",
    "NotFoundError",
    "PatternRow",
    "PromptRow",
    "SourceNotAvailableError",
    "Synergy",
    "UnsupportedKindError",
    "UnusableRowsError",
    "YamlRow",
    "default_directory",
    "open_source",
    "sqlite_url",
]
