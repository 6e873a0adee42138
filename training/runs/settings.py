"""Typed configurations: one class defines a model's flags, environment variables and documentation."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import click
from annotated_types import Ge, Gt, Le, Lt
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from training.runs.errors import TrainingError
from training.runs.options import Number, WholeNumber
from training.runs.wording import one_line

C = TypeVar("C", bound="Config")
F = TypeVar("F", bound=Callable[..., Any])

Positive = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Config(BaseModel):
    """Base class of every configuration. It is immutable, and an unknown name is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


@dataclass(frozen=True)
class Setting:
    """How a user can set one field of a ``Config``; it stands in the field's ``Annotated``.

    Attributes:
        help: What the field does, for ``--help`` and the reference.
        variables: Environment variables, or names in ``.env``, that set it; the first one that is set counts.
        flag: Whether it has a flag, named after the field.
        default: The default in words, if the field's own default does not say it.
        metavar: The placeholder for the value in ``--help``.
        former: Former names of the flag, which are accepted for one more version.
    """

    help: str
    variables: tuple[str, ...] = ()
    flag: bool = True
    default: str | None = None
    metavar: str | None = None
    former: tuple[str, ...] = ()

    def shown_default(self, field: FieldInfo) -> str:
        """The default for ``--help`` and the reference: the variables, then the value."""
        value = self.default or ("none" if field.default in (None, ()) else str(field.default))
        return ", else ".join([*(f"${name}" for name in self.variables), value])


Seed = Annotated[
    int,
    Field(ge=0, lt=2**32),
    Setting(
        "Seed of all random numbers: the same seed, data, versions and number of threads give the same model, byte for "
        "byte, on one kind of processor."
    ),
]


def settings_of(config: type[Config]) -> dict[str, tuple[FieldInfo, Setting]]:
    """The fields with a ``Setting``, in their order."""
    found = {}
    for name, field in config.model_fields.items():
        setting = next((part for part in field.metadata if isinstance(part, Setting)), None)
        if setting is not None:
            found[name] = (field, setting)
    return found


def flags(*configs: type[Config]) -> Callable[[F], F]:
    """A decorator that adds the flags of ``configs`` to a click command.

    A flag that is not given is None; that of a tuple, which may be given several times, is empty.
    """

    def decorated(command: F) -> F:
        options = [
            _option(name, field, setting)
            for config in configs
            for name, (field, setting) in settings_of(config).items()
            if setting.flag
        ]
        for option in reversed(options):
            command = option(command)
        return command

    return decorated


def read_config(config: type[C], given: Mapping[str, Any]) -> C:
    """Read a configuration. Each value is the flag's, else the environment's, else that of ``.env``, else the default.

    Args:
        config: The configuration's class.
        given: Values of flags by field name; None means that a flag was not given. Other names are ignored.

    Raises:
        TrainingError: A value cannot be used. The message names its flag or its variable.
    """
    values: dict[str, Any] = {}
    origin: dict[str, str] = {}
    found = variables() if any(setting.variables for _, setting in settings_of(config).values()) else {}
    for name, (_, setting) in settings_of(config).items():
        if given.get(name) not in (None, ()):
            values[name], origin[name] = given[name], flag_of(name)
            continue
        variable = next((variable for variable in setting.variables if found.get(variable)), None)
        if variable is not None:
            values[name], origin[name] = found[variable], variable
    try:
        return config(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = str(first["loc"][0]) if first["loc"] else ""
        where = origin.get(name, name)
        if where.startswith("--"):
            raise TrainingError(f"{where} {first['input']!a}: {first['msg']}") from error
        raise TrainingError(f"{where}={first['input']!a} in the environment or .env: {first['msg']}") from error


def flag_of(name: str) -> str:
    """``batch_size`` -> ``--batch-size``."""
    return f"--{name.replace('_', '-')}"


def variables() -> dict[str, str | None]:
    """The variables of ``.env`` in the working directory, overridden by those of the environment.

    Raises:
        TrainingError: ``.env`` cannot be read.
    """
    from dotenv import dotenv_values

    try:
        return {**dotenv_values(".env"), **{name: value for name, value in os.environ.items() if value}}
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f".env: cannot be read ({one_line(error)})") from error


def _option(name: str, field: FieldInfo, setting: Setting) -> Callable[[F], F]:
    if field.annotation is bool:
        flag = flag_of(name)
        both = f"{flag}/--no-{flag.removeprefix('--')}" if field.default else flag
        return click.option(both, default=None, is_flag=True, help=setting.help)
    default = "" if field.is_required() else f"  [default: {setting.shown_default(field)}]"
    return click.option(
        flag_of(name),
        *setting.former,
        name,
        type=_type(field),
        metavar=setting.metavar,
        multiple=get_origin(field.annotation) is tuple,
        **({"required": True} if field.is_required() else {"default": None}),
        help=f"{setting.help}{default}",
    )


def _type(field: FieldInfo) -> click.ParamType[Any]:
    kind = next((part for part in get_args(field.annotation) if part not in (type(None), ...)), field.annotation)
    if get_origin(field.annotation) is Literal:
        return click.Choice(get_args(field.annotation))
    if get_origin(kind) is Annotated:
        return _Checked(kind)
    if kind not in (int, float):
        return click.Path() if kind is Path else click.STRING
    low = next((part for part in field.metadata if isinstance(part, Gt | Ge)), None)
    high = next((part for part in field.metadata if isinstance(part, Lt | Le)), None)
    bounds: dict[str, Any] = {
        "min": low.gt if isinstance(low, Gt) else low.ge if low else None,
        "max": high.lt if isinstance(high, Lt) else high.le if high else None,
        "min_open": isinstance(low, Gt),
        "max_open": isinstance(high, Lt),
    }
    if kind is float:
        return Number(**bounds)
    # For a whole number, 1<=x is clearer than 0<x.
    least = bounds["min"] + 1 if bounds.pop("min_open") else bounds["min"]
    most = bounds["max"] - 1 if bounds.pop("max_open") else bounds["max"]
    return WholeNumber(least, most)


class _Checked(click.ParamType[Any]):
    """A text that a type of pydantic reads, so that a wrong one is wrong usage, as a wrong number is."""

    name = "text"

    def __init__(self, kind: Any) -> None:
        self._read = TypeAdapter(kind).validate_python

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._read(value)
        except ValidationError as error:
            self.fail(f"{value!a}: {error.errors(include_url=False)[0]['msg']}", param, ctx)
