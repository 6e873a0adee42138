#!/usr/bin/env python3
"""Write docs/reference/commands.md from the click commands and the typed configurations, and docs/schemas/ from the
records.

Run it after a flag, a variable, a default or a record has changed; tests compare the files with what it writes.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import click
from pydantic import AliasChoices, AliasPath, BaseModel
from pydantic.fields import FieldInfo

from data_sources.counting import many
from data_sources.records import Area, Device, Entity, PatternRow, PromptRow, Synergy, YamlRow
from data_sources.resolve import DATA_DIRECTORY_VARIABLE
from data_sources.settings import ProductionSettings
from home_synergy.cli import main as home_synergy
from retraining_manager.gate import Thresholds
from retraining_manager.models import SPECS
from retraining_manager.settings import ModelSettings
from training.runs.settings import Config, Setting, settings_of
from training.runs.summary import TrainingSummary

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = "home-synergy"
PAGE = ROOT / "docs" / "reference" / "commands.md"
SCHEMAS = ROOT / "docs" / "schemas"
ID_NUMBER = r"^-?\d+$"  # the pattern of an id that is written as a number
DIALECT = "https://json-schema.org/draft/2020-12/schema"

# Flags that several commands share. They are described once, from the first command.
SHARED = {
    "Source flags": ("json_input", "data_source", "strict"),
    "Run flags": ("summary_path", "dry_run", "verbose"),
    "Manager flags": ("model_directory", "as_json", "verbose"),
}
PRODUCTION = {
    "data_api_url": "Address of the Data API.",
    "data_api_api_key": "Key of the Data API, sent as a Bearer token. The first of the three keys that is set counts.",
    "data_api_key": "The same.",
    "api_key": "The same.",
    "database_url": "The database as a SQLAlchemy URL, for SQLite or PostgreSQL.",
    "database_path": "A SQLite file. It is read where `DATABASE_URL` is not set.",
    "postgres_url": "The database as a PostgreSQL URL. It is read where neither of the two is set.",
}
OTHER_VARIABLES = (
    (
        "SIMULATION_ENTITIES_JSON",
        "none",
        "JSON file of entities that stands in for the Data API, where no flag is given.",
    ),
    (
        "SIMULATION_SYNERGY_DB",
        "none",
        "SQLite file whose synergies stand in for the database's, where no flag is given.",
    ),
    (DATA_DIRECTORY_VARIABLE, "`simulation/training_data/`", "Folder that `--json-input` without a path reads."),
    ("HOME_ASSISTANT_TOKEN", "none", "Long-lived access token for `homeassistant+http(s)://`. `.env` may hold it."),
    ("SUPERVISOR_TOKEN", "none", "The same inside an add-on, for `homeassistant+http://supervisor/core` alone."),
    ("HF_HOME", "the library's own", "Cache of Hugging Face models."),
    ("TRANSFORMERS_CACHE", "none", "The same, read where `HF_HOME` is not set."),
)
MODEL_SETTINGS = {
    "flags": "Flags for the model's training command. A flag that the manager sets itself is an error.",
    "timeout": "Seconds that the training may take. `--timeout` sets it for all models.",
    "optional": "A failure of this model does not fail the run, as with `--optional`.",
    "gate": "What a candidate has to reach. The keys are in the next table.",
}
THRESHOLDS = {
    "minimum": "The lowest score that a candidate may have, whatever is live.",
    "tolerance": "Share of the live version's score that a candidate may lose on the same rows.",
    "champion_rows_tolerance": "The same, on the rows that the live version was judged on when it went live.",
    "beat_baselines": "A candidate has to score above the best baseline.",
    "minimum_rows": "With fewer held-out rows than this, two scores are not compared.",
}
_DEFAULT_IN_HELP = re.compile(r"\s*\[default: (.*)\]$")


class Row(NamedTuple):
    """One setting."""

    flag: str
    variables: str
    default: str
    meaning: str


class Described(NamedTuple):
    """One command: how it is called, the script of the same command, and what it takes."""

    path: str
    script: str | None
    command: click.Command

    @property
    def context(self) -> click.Context:
        """For what click says of the command."""
        return click.Context(self.command, **self.command.context_settings)

    @property
    def configurations(self) -> list[type[Config]]:
        """Those of the command's own package that its flags are read into."""
        package = getattr(self.command.callback, "__module__", "").removesuffix(".command")
        flags = {option.name for option in _options(self)}
        return [
            config
            for config in configurations()
            if config.__module__ == f"{package}.config"
            and {name for name, (_, setting) in settings_of(config).items() if setting.flag} <= flags
        ]

    @property
    def settings(self) -> dict[str, tuple[FieldInfo, Setting]]:
        """The fields of its configurations that its flags and variables are read into."""
        return {name: found for config in self.configurations for name, found in settings_of(config).items()}


def page() -> str:
    """The whole page as Markdown."""
    commands = list(described())
    lines = [
        "# Commands and settings",
        "",
        "This page is generated by `python docs/write_reference.py` from the commands and their configurations.",
        "",
        "A setting is read from its flag. Where the flag is not given, it is read from the environment variable, then",
        "from the variable in `.env` in the working directory. Otherwise the default counts. `--help` of each command",
        "shows the same, and `home-synergy --version` prints the version.",
        "[Exit codes, summaries and files](outputs.md) describes what the commands leave.",
        "",
    ]
    for title, names in SHARED.items():
        example = next(command for command in commands if command.command.params and _takes(command, names))
        rows = [_row(example, option) for option in _options(example) if option.name in names]
        lines += [f"## {title}", "", *_settings_table(rows), ""]
    for command in commands:
        lines += _command(command)
    return "\n".join([*lines, *_variables(), *_manager()])


def described() -> Iterator[Described]:
    """Every command of home-synergy, then the scripts that are no command of it."""
    scripts = {id(command): name for name, command in script_commands().items()}
    seen = set()
    for path, chain in _leaves(PROGRAM, [home_synergy]):
        for depth, command in enumerate(chain):
            if id(command) in scripts:
                seen.add(id(command))
                rest = path.split()[depth + 1 :] if depth + 1 < len(chain) else []
                yield Described(path, " ".join(["python", f"scripts/{scripts[id(command)]}", *rest]), chain[-1])
                break
        else:
            yield Described(path, None, chain[-1])
    for name, command in script_commands().items():
        if id(command) not in seen:
            yield Described(f"python scripts/{name}", None, command)


_SCRIPTS: dict[str, click.Command] = {}


def script_commands() -> Mapping[str, click.Command]:
    """The click command of each file under scripts/."""
    for path in sorted((ROOT / "scripts").glob("*.py")) if not _SCRIPTS else ():
        spec = importlib.util.spec_from_file_location(f"scripts.{path.stem}", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        commands = [value for value in vars(module).values() if isinstance(value, click.Command)]
        if len(commands) != 1:
            raise ValueError(f"{path}: has {len(commands)} commands, expected one")
        _SCRIPTS[path.name] = commands[0]
    return _SCRIPTS


@cache
def configurations() -> Sequence[type[Config]]:
    """Every configuration that can be set from outside and that no other one extends, in the order of definition."""
    for path in sorted((ROOT / "training").glob("*/config.py")):
        import_module(f"training.{path.parent.name}.config")
    found: list[type[Config]] = []
    open_ = [Config]
    while open_:
        config = open_.pop(0)
        open_ += config.__subclasses__()
        if not config.__subclasses__() and settings_of(config):
            found.append(config)
    return found


def _leaves(path: str, chain: list[click.Command]) -> Iterator[tuple[str, list[click.Command]]]:
    command = chain[-1]
    if not isinstance(command, click.Group):
        yield path, chain
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        child = command.get_command(context, name)
        assert child is not None
        yield from _leaves(f"{path} {name}", [*chain, child])


def _command(described: Described) -> list[str]:
    usage = " ".join([described.path, *described.command.collect_usage_pieces(described.context)])
    lines = [f"## {described.path}", "", "```text", usage, "```", ""]
    if described.script is not None:
        lines += [f"`{described.script}` is the same command.", ""]
    lines += [inspect.cleandoc(described.command.help or ""), ""]
    shared = {title: names for title, names in SHARED.items() if _takes(described, names)}
    if shared:
        links = " and the ".join(f"[{title.lower()}](#{title.lower().replace(' ', '-')})" for title in shared)
        lines += [f"It takes the {links}.", ""]
    told = {name for names in shared.values() for name in names}
    rows = [_row(described, option) for option in _options(described) if option.name not in told]
    rows += [
        Row("", _code(setting.variables), _default(field, setting), setting.help)
        for field, setting in described.settings.values()
        if not setting.flag
    ]
    return [*lines, *_settings_table(rows), ""] if rows else lines


def _options(described: Described) -> list[click.Option]:
    return [
        parameter
        for parameter in described.command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]


def _takes(described: Described, names: Sequence[str]) -> bool:
    return set(names) <= {option.name for option in _options(described)}


def _row(described: Described, option: click.Option) -> Row:
    if option.name in described.settings:
        field, setting = described.settings[option.name]
        flag, default, meaning = _flag(described, option, setting.former), _default(field, setting), setting.help
        if setting.former:
            meaning += f" The former name {_code(setting.former)} is accepted in this version."
        return Row(flag, _code(setting.variables), default, meaning)
    meaning = option.help or ""
    found = _DEFAULT_IN_HELP.search(meaning)
    if found is not None:
        default, meaning = found[1], meaning[: found.start()]
    elif option.required:
        default = "required"
    elif option.is_flag:
        default = "off"
    else:
        default = option.get_help_extra(described.context).get("default", "none").strip("()")
    return Row(_flag(described, option), "", default, meaning)


def _flag(described: Described, option: click.Option, former: Sequence[str] = ()) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts) if name not in former)
    if option.is_flag:
        return names
    kind = option.make_metavar(described.context).removesuffix(" RANGE")
    limits = option.get_help_extra(described.context).get("range")
    spaced = "" if limits is None else " (" + re.sub(r"\s*([<>]=?)\s*", r" \1 ", limits) + ")"
    return f"{names} `{kind}`{spaced}"


def _default(field: FieldInfo, setting: Setting) -> str:
    if field.is_required():
        return "required"
    if setting.default is not None:
        return setting.default
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return "none" if field.default in (None, ()) else f"`{field.default}`"


def _variables() -> list[str]:
    defaults = ProductionSettings.model_construct()
    values = {name: getattr(defaults, name) for name in ProductionSettings.model_fields}
    values["database_url"] = defaults.database
    rows = [
        (f"`{name.upper()}`", "none" if value is None else f"`{value}`", PRODUCTION[name])
        for name, value in values.items()
    ]
    rows += [(f"`{name}`", default, meaning) for name, default, meaning in OTHER_VARIABLES]
    return [
        "## Variables of the sources",
        "",
        "The first nine are read from the environment or `.env`, the others from the environment alone. None is",
        "required.",
        "",
        *_table(("variable", "default", "meaning"), rows),
        "",
    ]


def _manager() -> list[str]:
    models = [
        (
            f"`{name}`",
            f"`{spec.production}`",
            str(spec.minimum_rows),
            ", ".join(many(least, what) for what, least in spec.minimum_distinct.items()),
            spec.metric_title,
        )
        for name, spec in SPECS.items()
    ]
    return [
        "## Models of the retraining manager",
        "",
        "A model with fewer rows is not trained. Fewer distinct units are a warning, or with `--require-distinct` a",
        "refusal. The score decides between a candidate and the live version.",
        "",
        *_table(("model", "production reads", "rows", "distinct units", "score"), models),
        "",
        "## Configuration file of home-synergy retrain run",
        "",
        "`--config FILE` names a YAML file with these keys under the name of each model. Every key may be left out,",
        "and a misspelt key is an error. [retrain.yaml](../../examples/retraining/retrain.yaml) is an example.",
        "",
        *_keys(ModelSettings, MODEL_SETTINGS),
        "",
        "Keys under `gate`:",
        "",
        *_keys(Thresholds, THRESHOLDS),
        "",
    ]


def _keys(model: type[BaseModel], meanings: Mapping[str, str]) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            default = "in the next table"
        else:
            default = "none" if field.default in (None, ()) else f"`{json.dumps(field.default)}`"
        rows.append((f"`{name}`", default, meanings[name]))
    return _table(("key", "default", "meaning"), rows)


def _settings_table(rows: Sequence[Row]) -> list[str]:
    if any(row.variables for row in rows):
        return _table(("flag", "variable", "default", "meaning"), [tuple(row) for row in rows])
    return _table(("flag", "default", "meaning"), [(row.flag, row.default, row.meaning) for row in rows])


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *([_cell(cell) for cell in row] for row in rows)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _cell(text: str) -> str:
    """A bar would end the cell, and ``<run-id>`` would be taken for HTML where it is not code."""
    parts = text.replace("|", r"\|").split("`")
    return "`".join(part if i % 2 else re.sub(r"<(?=\w)", "&lt;", part) for i, part in enumerate(parts))


def _code(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def schemas() -> Mapping[str, dict[str, Any]]:
    """File name -> the JSON Schema of a record as a file holds it, and of a training's summary.

    They describe the plain form. What is read beside it (a number for the text of an id, a text of JSON for an object,
    rows in columns) is on the page of the data formats.
    """
    records: tuple[type[BaseModel], ...] = (Entity, Area, Device, Synergy)
    entity, area, device, synergy = map(_record_schema, records)
    home = {
        "type": "object",
        "title": "Home",
        "description": "A whole home.",
        "properties": {
            "home_id": {"type": "string", "description": "an id; a file with one home may leave it out"},
            "areas": {"type": "array", "items": {"anyOf": [area, {"type": "string"}]}},
            "devices": {"type": "array", "items": device},
            "entities": {"type": "array", "items": entity},
            "synergies": {"type": "array", "items": synergy},
        },
        "anyOf": [{"required": ["entities"]}, {"required": ["synergies"]}],
    }
    prompt = _record_schema(PromptRow)
    text = {"type": "string", "minLength": 1}
    described = {"type": "object", "anyOf": [{"required": ["description"]}, {"required": ["text"]}]}
    prompt["properties"]["suggestion"] = {
        "description": "the answer, as a text or in an object",
        "anyOf": [text, {**described, "properties": {"description": text, "text": text}}],
    }
    automation = _record_schema(YamlRow)
    automation["properties"]["entities"]["items"] = {
        "anyOf": [automation["properties"]["entities"]["items"], {"type": "object", "required": ["entity_id"]}]
    }
    found = {
        "gnn_synergy": home,
        "gnn_synergy_flat": synergy,
        "soft_prompt": prompt,
        "pattern_detection": _record_schema(PatternRow),
        "yaml_generation": automation,
        "training_summary": {
            **TrainingSummary.model_json_schema(),
            "description": "What --summary-path writes; the retraining manager's has more keys.",
            "additionalProperties": True,
        },
    }
    return {f"{name}.schema.json": {"$schema": DIALECT, **_portable(schema)} for name, schema in found.items()}


def _portable(schema: Any) -> Any:
    """The schema without what not every validator knows: classes of characters, and words beyond ASCII."""
    if isinstance(schema, list):
        kept = [_portable(item) for item in schema]
        return [item for number, item in enumerate(kept) if item not in kept[:number]]
    if not isinstance(schema, dict):
        return schema
    if schema.get("pattern") == ID_NUMBER:
        return {"type": "integer"}
    found = {key: _portable(value) for key, value in schema.items()}
    if isinstance(pattern := found.get("pattern"), str):
        found["pattern"] = pattern.replace("[\\w\\-]", "[^\\s.]")
        if "\\p" in pattern:
            del found["pattern"]
    return found


def _record_schema(record: type[BaseModel]) -> dict[str, Any]:
    """The schema of a record under every spelling that is read, each at its place in a row."""
    plain = record.model_json_schema(by_alias=False)["properties"]
    properties: dict[str, Any] = {}
    needed = []
    for name, field in record.model_fields.items():
        alias = field.validation_alias
        if field.exclude:  # set by the loader
            continue
        # What stands inside a wrapper repeats the row; the plain form has none.
        wrapper = getattr(record, "wrapper", None)
        spellings = [
            tuple(map(str, choice.path)) if isinstance(choice, AliasPath) else (str(choice),)
            for choice in (alias.choices if isinstance(alias, AliasChoices) else [alias or name])
        ]
        spellings = [path for path in spellings if path[0] != wrapper]
        for path in spellings:
            inside = properties
            for key in path[:-1]:
                inside = inside.setdefault(key, {"type": "object", "properties": {}})["properties"]
            shown = {key: value for key, value in plain[name].items() if key not in ("title", "default")}
            inside[path[-1]] = shown
        if field.is_required():
            needed.append([path[0] for path in spellings])
    schema = {
        "type": "object",
        "title": record.__name__,
        "description": inspect.cleandoc(record.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("\n", " "),
        "properties": properties,
    }
    always = [names[0] for names in needed if len(names) == 1]
    either = [{"anyOf": [{"required": [name]} for name in names]} for names in needed if len(names) > 1]
    return {**schema, **({"required": always} if always else {}), **({"allOf": either} if either else {})}


def schema_text(schema: Mapping[str, Any]) -> str:
    """A schema as its file has it."""
    return json.dumps(schema, indent=2, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    SCHEMAS.mkdir(exist_ok=True)
    for file_name, content in schemas().items():
        (SCHEMAS / file_name).write_text(schema_text(content), encoding="utf-8")
