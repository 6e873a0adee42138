"""From flags and environment to one source. Source modules are imported only when they are picked."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import MappingProxyType

from data_sources.base import WHOLE, DataSource, DataSourceError, Shard, cannot_be_opened, sqlite_url, stray_characters
from data_sources.masking import MESSAGE_LENGTH, class_and_message, message_of, without_secrets
from data_sources.nearest import nearest
from data_sources.records import KINDS, Home, KindName

log = logging.getLogger("data_sources")

BARE = ""  # the value of a --json-input that stands alone
AUTO = "auto"
VARIABLE_PREFIX = "env:"  # before the name of the variable that holds the value of --data-source
HOME_ASSISTANT = "homeassistant"
DATA_DIRECTORY_VARIABLE = "TRAINING_DATA_DIR"
SAMPLE_DIRECTORY = Path("simulation") / "training_data"
ENTRY_POINT_GROUP = "home_synergy_training.sources"

Opener = Callable[..., DataSource]
"""(spec, ``strict=``, ``max_samples=``) -> a source; ``spec`` is the whole --data-source value."""


class SourceNotAvailableError(DataSourceError):
    """No source reads what was named, or the one that does is not installed."""


def _open_json(spec: str, *, strict: bool, max_samples: int | None = None, hint: str = "") -> DataSource:  # noqa: ARG001
    from data_sources.homeassistant.folder import home_assistant_at
    from data_sources.json_file import HINT, STDIN, JsonSource, holds_training_data

    path = spec.removeprefix("file://")
    try:
        if path != STDIN and not holds_training_data(Path(path)):
            found = home_assistant_at(Path(path), strict=strict)
            if found is not None:
                return found
    except OSError as error:
        raise cannot_be_opened(without_secrets(path), error, hint or HINT) from error
    return JsonSource(path, strict=strict, hint=hint)


def _open_production(
    spec: str, *, strict: bool, max_samples: int | None = None, kind: KindName = Home.kind
) -> DataSource:
    """Production's services; an address as ``spec`` stands in for DATA_API_URL, which has entities only."""
    from data_sources.data_api import DataApiSource
    from data_sources.json_file import JsonSource
    from data_sources.production import ProductionSource
    from data_sources.settings import SimulationSettings, production_settings, simulation_settings
    from data_sources.sql import SqlSource

    settings = production_settings()
    simulated = SimulationSettings.model_construct() if spec or kind != Home.kind else simulation_settings()
    opened = partial(SqlSource, strict=strict, max_samples=max_samples)
    if simulated.simulation_synergy_db:
        advice = "SIMULATION_SYNERGY_DB names it; unset the variable to read production's database"
        database = opened(sqlite_url(simulated.simulation_synergy_db), advice=advice)
    else:
        database = opened(settings.database)
    entities: DataApiSource | JsonSource | None = None
    if simulated.simulation_entities_json:
        hint = "SIMULATION_ENTITIES_JSON names it; unset the variable to read the Data API"
        entities = JsonSource(simulated.simulation_entities_json, strict=strict, hint=hint)
    elif kind == Home.kind:
        entities = DataApiSource(spec or settings.data_api_url, key=settings.key, strict=strict)
    return ProductionSource(entities, database, strict=strict, address_given=bool(spec), notice=simulated.notice)


def _open_sql(spec: str, *, strict: bool, max_samples: int | None = None) -> DataSource:
    from data_sources.sql import SqlSource

    return SqlSource(spec, strict=strict, max_samples=max_samples)


def _open_home_assistant(spec: str, *, strict: bool, max_samples: int | None = None) -> DataSource:  # noqa: ARG001
    """``homeassistant:PATH``, and ``homeassistant+http(s)://`` for the API of a program that runs."""
    scheme, _, rest = spec.partition(":")
    if "+" in scheme:
        from importlib import import_module

        live: Opener = import_module("data_sources.homeassistant.live").open_live
        return live(spec, strict=strict)
    from data_sources.homeassistant.folder import open_home_assistant

    if not rest.removeprefix("//"):
        raise SourceNotAvailableError(f"--data-source {spec}: give the configuration folder, as homeassistant:/config")
    return open_home_assistant(Path(rest.removeprefix("//")).expanduser(), strict=strict)


# Scheme, without a driver (postgresql+psycopg) -> opener.
SCHEMES = MappingProxyType(
    {
        "file": _open_json,
        HOME_ASSISTANT: _open_home_assistant,
        "http": _open_production,
        "https": _open_production,
        "mariadb": _open_sql,
        "mysql": _open_sql,
        "postgres": _open_sql,
        "postgresql": _open_sql,
        "sqlite": _open_sql,
    }
)


def open_source(
    *,
    json_input: str | None = None,
    data_source: str | None = None,
    strict: bool = False,
    kind: KindName = Home.kind,
    max_samples: int | None = None,
    shard: Shard = WHOLE,
) -> DataSource:
    """The source that ``--json-input`` (``BARE`` for the flag alone) or ``--data-source`` names, else production's.

    Args:
        json_input: A path, ``-``, or ``BARE``. Excludes ``data_source``.
        data_source: A path, ``http(s)://`` (the Data API there, with DATABASE_URL), a SQLAlchemy URL, ``auto``,
            ``env:VARIABLE`` where the variable holds one of these, or a scheme that another package registers under
            the entry point group ``ENTRY_POINT_GROUP``.
        strict: Make the first unusable row fatal.
        kind: What will be read; ``auto`` asks the service that has it.
        max_samples: Read at most so many requests, the newest first, where the source is a database.
        shard: The part to read. Processes that read all parts of one source get each home once.

    Raises:
        SourceNotAvailableError: Nothing reads what was given, or both were given.
    """
    source = _open(json_input, data_source, strict, kind, max_samples)
    source.shard = shard
    return source


def _open(
    json_input: str | None, data_source: str | None, strict: bool, kind: KindName, max_samples: int | None
) -> DataSource:
    if json_input is not None and data_source is not None:
        raise SourceNotAvailableError("--json-input and --data-source exclude each other; give one of them")
    if json_input is not None:
        return _open_json(json_input, strict=strict) if json_input != BARE else _open_sample(strict)
    if data_source is None:
        return _open_production("", strict=strict, max_samples=max_samples, kind=kind)
    data_source = expand_variable(data_source)
    if data_source == AUTO:
        return _open_auto(strict, kind, max_samples)
    scheme, separator, _ = data_source.partition("://")
    if data_source.lower().startswith(f"{HOME_ASSISTANT}:"):  # homeassistant:/config, a path and no address
        return _open_home_assistant(data_source, strict=strict)
    if not separator:
        return _open_json(data_source, strict=strict, hint=_hint_of(data_source))
    if scheme in ("http", "https") and kind != Home.kind:
        from data_sources.data_api import DataApiSource

        return DataApiSource(data_source, strict=strict)  # says which sources have the kind
    opener = SCHEMES.get(scheme.partition("+")[0].lower()) or _plugin(scheme, data_source)
    return opener(data_source, strict=strict, max_samples=max_samples)


_WITH_PORT = re.compile(r"(?:\d{1,3}(?:\.\d{1,3}){3}|[\w-]+(?:\.[\w-]+)*(?=:))(?::\d{2,5})?(?:/\S*)?")
# Scheme, driver, a colon or two slashes, where the address has a colon and two slashes.
_ALMOST_ADDRESS = re.compile(r"([A-Za-z]\w+)(\+\w+)?(?:(:)(/?)([^/].*|)|//(/{0,2}[^/].*|))", re.DOTALL)
_HINT = (
    "give --data-source a file, a folder with <model>_data.json, homeassistant:/config, or the URL of a Data API or a "
    "database"
)


def _hint_of(path: str) -> str:
    """What to do where there is no such path: it may be a scheme that is misspelt, or an address without one."""
    _, colon, rest = path.partition(":")
    if len(path) > MESSAGE_LENGTH:
        return _HINT
    if _WITH_PORT.fullmatch(path) and (not colon or rest[:1].isdigit()):
        shown = without_secrets(path)
        return f"an address is written homeassistant+http://{shown} for Home Assistant, http://{shown} for a Data API"
    near = nearest(path, (AUTO,)) or _address_meant(path)
    return _HINT if near is None else f"did you mean {without_secrets(near)}?"


def _address_meant(path: str) -> str | None:
    """The address whose scheme is misspelt, or that lacks a colon or slashes after it; None where it is a path."""
    found = _ALMOST_ADDRESS.fullmatch(path)
    if found is None:
        return None
    name, driver, separator, slash, rest, after_slashes = (part or "" for part in found.groups())
    variable = VARIABLE_PREFIX.rstrip(":")
    known = (*SCHEMES, variable, *(entry.name for entry in entry_points(group=ENTRY_POINT_GROUP)))
    scheme = next((own for own in known if own == name.lower()), None)
    if scheme is None and separator == ":":
        scheme = nearest(name, known)
    if scheme is None:
        return None
    if not separator:  # of "sqlite///x.db" and "file///x.json" the colon is missing, of "sqlite//x.db" a slash too
        rest = after_slashes.removeprefix("/") if scheme == "sqlite" else after_slashes
        slash, rest = ("/" if rest.startswith("/") else ""), rest.lstrip("/")
    if scheme == variable:
        return f"{scheme}:{rest}"
    if separator == ":" and scheme == HOME_ASSISTANT and not driver:
        return f"{scheme}:{slash}{rest}"
    if scheme == "sqlite":
        return f"{scheme}{driver}:///{slash}{rest or '...'}"
    return f"{scheme}{driver}://{slash if scheme == 'file' else ''}{rest or '...'}"


def _scheme_meant(scheme: str, known: Iterable[str]) -> str:
    base, plus, driver = scheme.partition("+")
    near = nearest(base, known)  # what has only quotes or spaces around it is near too
    return "" if near is None else f"did you mean {near}{plus}{driver}://? "


def expand_variable(data_source: str) -> str:
    """A value of ``--data-source``, from its variable where it is ``env:VARIABLE``.

    Every user of a machine can read the arguments of its processes, and only their owner the environment: an address
    with a password belongs there. Raises SourceNotAvailableError where the variable is not set.
    """
    if not data_source.startswith(VARIABLE_PREFIX):
        return data_source
    name = data_source.removeprefix(VARIABLE_PREFIX)
    value = os.environ.get(name)
    if not value:
        raise SourceNotAvailableError(
            f"--data-source {without_secrets(data_source)}: this variable is not set; export it, or name the source"
        )
    return value


def default_directory() -> Path:
    """Where a bare ``--json-input`` reads: $TRAINING_DATA_DIR, else the sample, here or in the project's root."""
    configured = os.environ.get(DATA_DIRECTORY_VARIABLE)
    if configured:
        return Path(configured)
    if SAMPLE_DIRECTORY.is_dir():
        return SAMPLE_DIRECTORY
    shipped = sample_directory()
    return shipped if shipped.is_dir() else SAMPLE_DIRECTORY


def sample_directory() -> Path:
    """The folder of the sample that ships with the project, whatever the working directory."""
    return Path(__file__).resolve().parent.parent / SAMPLE_DIRECTORY


def is_sample(location: str) -> bool:
    """Whether a path leads to the shipped sample, or to a file of it. A relative one counts from the project's root."""
    folder = sample_directory()
    try:
        return (folder.parent.parent / location).resolve().is_relative_to(folder)
    except (OSError, ValueError):
        return False


def reads_sample(source: DataSource) -> bool:
    """Whether a source that was opened reads a file of the shipped sample; False where it cannot tell."""
    try:
        return any(source.reads(sample_directory() / f"{kind}_data.json") for kind in KINDS)
    except Exception:  # noqa: BLE001 - links in a circle, a fault of a package: reading says so, not this question
        return False


def _open_sample(strict: bool) -> DataSource:
    hint = f"give --json-input a path, set {DATA_DIRECTORY_VARIABLE}, or run from the project's root"
    return _open_json(str(default_directory()), strict=strict, hint=hint)


def _open_auto(strict: bool, kind: KindName, max_samples: int | None) -> DataSource:
    """Production where its health check answers within 2 s, else the JSON file; the reason stands in ``choice``."""
    from data_sources.data_api import DataApiSource
    from data_sources.settings import production_settings
    from data_sources.sql import SqlSource

    settings = production_settings()
    try:
        service = DataApiSource(settings.data_api_url) if kind == Home.kind else SqlSource(settings.database)
        unhealthy, location = service.health(), service.describe()["location"]
    except DataSourceError as error:  # an address that is none
        unhealthy, location = str(error), ""
    if unhealthy is None:
        source = _open_production("", strict=strict, max_samples=max_samples, kind=kind)
        source.choice = f"auto: production, for {location} is healthy"
    else:
        source = _open_sample(strict)
        source.choice = f"auto: the JSON file, for {unhealthy}"
    log.info("Source chosen: %s", source.choice)
    return source


def _plugin(scheme: str, spec: str) -> Opener:
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINT_GROUP)}
    entry: EntryPoint | None = found.get(scheme)
    if entry is None:
        known = ", ".join(f"{name}://" for name in sorted({*SCHEMES, *found}))
        raise SourceNotAvailableError(
            f"--data-source {without_secrets(spec)}: no source reads this; "
            f"{_scheme_meant(scheme, (*SCHEMES, *found))}known are a path, auto, {known}{stray_characters(spec)}"
        )
    package = entry.dist.name if entry.dist is not None else entry.module
    registered = f"--data-source {scheme}://: package {package} registers it but"
    try:
        opener = entry.load()
    except Exception as error:
        raise SourceNotAvailableError(
            f"{registered} cannot be imported ({_cause(error)}); install or repair it: pip install --upgrade {package}"
        ) from error

    def opened(spec: str, **options: object) -> DataSource:
        try:
            source = opener(spec, **options)
            location = source.describe()["location"] if isinstance(source, DataSource) else ""
            ready = isinstance(location, str) and hasattr(source, "choice")
        except DataSourceError:
            raise
        except Exception as error:
            raise SourceNotAvailableError(f"{registered} cannot open it ({_cause(error)})") from error
        if not isinstance(source, DataSource):
            raise SourceNotAvailableError(f"{registered} opens {type(source).__name__}, expected a DataSource")
        if not ready:
            raise SourceNotAvailableError(
                f"{registered} {type(source).__name__} is not ready: its __init__ has to call super().__init__(), and "
                "describe() has to give the location as a text"
            )
        return source

    return opened


def _cause(error: Exception) -> str:
    """What a package's error says; its class too, unless the text says enough without."""
    if isinstance(error, ImportError | AttributeError):
        return message_of(error)[:MESSAGE_LENGTH]
    return class_and_message(error)
