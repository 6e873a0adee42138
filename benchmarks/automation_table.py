#!/usr/bin/env python3
"""Write home_assistant/automation_table.json: what integrations of Home Assistant let an automation say.

Run by the Python of a Home Assistant installation, of the version that the table is to be read from:

    python benchmarks/automation_table.py > home_assistant/automation_table.json

Read are the schemas of the triggers and conditions that integrations define (``light.turned_on``), those of device
triggers, conditions and actions, the names of filters and tests that templates may use, and the inputs that the shipped
blueprints require. A library that an integration needs and this Python lacks is replaced by stand-ins: a value that
only the library could check then counts as any.
"""

from __future__ import annotations

import asyncio
import enum
import importlib
import importlib.abc
import importlib.machinery
import json
import pathlib
import re
import sys
from typing import Any
from unittest import mock

import homeassistant.components
import probatio
from homeassistant.const import __version__
from homeassistant.helpers import condition, template, trigger
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.selector import NumericThresholdSelector
from homeassistant.util.yaml import load_yaml

COMPONENTS = pathlib.Path(homeassistant.components.__path__[0])
NAMED = {
    str: "text", bool: "bool", dict: "mapping", object: "any", cv.match_all: "any", cv.string: "string",
    cv.boolean: "boolean", cv.template: "template", cv.entity_id: "entity", cv.entity_id_or_uuid: "entity or id",
    cv.entity_ids: "entities", cv.entity_ids_or_uuids: "entities or ids", cv.positive_int: "count",
    cv.positive_time_period_dict: "units", cv.positive_time_period: "period", cv.time_period: "offset",
}  # fmt: skip
BASE = {"platform", "condition", "device_id", "domain", "alias", "id", "enabled", "variables", "note", "metadata",
        "continue_on_error"}  # fmt: skip

_TELEGRAM = {
    "destination": {"list": "any"}, "type": "any",
    **dict.fromkeys(("group_value_write", "group_value_response", "group_value_read"), "boolean"),
    "incoming": "boolean", "outgoing": "boolean",
}  # fmt: skip
# The project's own tables say more of these.
OWN = {"conversation", "device_automation", "mqtt", "persistent_notification", "template", "webhook"}
# Read by hand from modules that stand-ins cannot load.
BY_HAND = {
    "knx.trigger": {"knx.telegram": {"options": {"keys": _TELEGRAM}, "moves": True}},
}


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Stands in for every library that is not installed."""

    def find_spec(self, name: str, _path: Any, _target: Any = None) -> Any:
        """Every module but those of Home Assistant itself."""
        own = name.startswith("homeassistant.")
        return None if own else importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: Any) -> Any:
        """A module that has every name."""
        module = mock.MagicMock(name=spec.name)
        module.__path__, module.__spec__, module.__name__ = [], spec, spec.name
        return module

    def exec_module(self, module: Any) -> None:
        """Run nothing."""


def load(name: str) -> Any:
    try:
        return importlib.import_module(f"homeassistant.components.{name}")
    except ImportError as error:
        print(f"{name}: stand-ins for a library ({error})", file=sys.stderr)
    stand_ins = StandIns()
    sys.meta_path.append(stand_ins)
    try:
        return importlib.import_module(f"homeassistant.components.{name}")
    finally:
        sys.meta_path.remove(stand_ins)


def fact(check: Any) -> Any:
    """What a value has to be, in JSON."""
    for known, name in NAMED.items():
        if check is known or (not isinstance(known, type) and check == known):
            return name
    if isinstance(check, probatio.Schema):
        return "any" if check.extra == probatio.ALLOW_EXTRA else fact(check.schema)
    if isinstance(check, dict):
        return {"keys": keys(check)}
    if isinstance(check, list):
        return {"list": fact(check[0]) if len(check) == 1 else "any"}
    if isinstance(check, NumericThresholdSelector):
        units = check.config.get("unit_of_measurement")
        return {"threshold": str(check.config["mode"]), **({"units": sorted(units, key=str)} if units else {})}
    if isinstance(check, probatio.In):
        items = [getattr(item, "value", item) for item in check.container]
        known = items and all(isinstance(item, str) for item in items)
        return {"choice": sorted(map(str, items))} if known else "any"
    if isinstance(check, type) and issubclass(check, enum.Enum):
        return {"choice": sorted(str(item.value) for item in check)}
    if isinstance(check, probatio.Coerce) and isinstance(check.type, type) and issubclass(check.type, enum.Enum):
        return fact(check.type)
    if isinstance(check, probatio.Coerce):
        return {int: "int", float: "float"}.get(check.type, "any")
    if isinstance(check, probatio.Any):
        parts = [fact(part) for part in check.validators]
        return "any" if "any" in parts else {"any": parts}
    if isinstance(check, probatio.TaggedUnion):
        forms = check.cases.values()
        found = {json.dumps(shown): shown for shown in map(fact, forms)}
        return {"any": list(found.values())}
    if isinstance(check, probatio.All):
        return all_of(check)
    if isinstance(check, str):
        return {"choice": [check]}
    if getattr(check, "__qualname__", "").startswith("entity_domain.") and check.__closure__:
        for cell in check.__closure__:
            for inner in getattr(cell.cell_contents, "__closure__", None) or ():
                for held in getattr(inner.cell_contents, "__closure__", None) or ():
                    if isinstance(held.cell_contents, str | list):
                        found = held.cell_contents
                        return {"domain": [found] if isinstance(found, str) else list(found)}
    return "any"


def all_of(check: Any) -> Any:
    """Facts of an ``All``: a list's items and length, or the keys of a mapping and of which one is needed."""
    parts = list(check.validators)
    as_list = any(isinstance(part, probatio.EnsureList) for part in parts)
    lower = probatio.Lower in parts
    one_of = [list(map(str, part.keys)) for part in parts if isinstance(part, probatio.AtLeastOne)]
    facts = [found for part in parts if (found := fact(part)) != "any"]
    if as_list:
        lists = [found for found in facts if isinstance(found, dict) and "list" in found]
        least = any(isinstance(part, probatio.NonEmpty | probatio.Length) for part in parts)
        return {"list": lists[0]["list"] if lists else "any", **({"least": 1} if least else {})}
    if not facts:
        return "any"
    mappings = [found for found in facts if isinstance(found, dict) and "keys" in found]
    found = max(mappings, key=lambda mapping: len(mapping["keys"])) if mappings else facts[-1]
    if one_of and isinstance(found, dict):
        return {**found, "one of": one_of[0]}
    if any(getattr(part, "__name__", "") == "_backwards_compatible_behavior" for part in parts):
        return {"choice": sorted([*found["choice"], "any", "last"])}
    if lower and isinstance(found, dict) and "any" in found:
        return {"choice": sorted(item for part in found["any"] for item in part["choice"]), "lower": True}
    return found


def keys(schema: dict[Any, Any], without: set[str] = frozenset()) -> dict[str, Any]:  # type: ignore[assignment]
    """Key -> what its value has to be; a key that has to be there ends in "!"."""
    found = {}
    for key, check in schema.items():
        name = str(getattr(key, "schema", key))
        if name not in without and not isinstance(key, probatio.Remove):
            has_default = not isinstance(getattr(key, "default", None), probatio.Undefined | type(None))
            found[name + ("!" if isinstance(key, probatio.Required) and not has_default else "")] = fact(check)
    return found


class SeenError(Exception):
    """Carries the schema that a trigger checks its options and target with."""


async def schema_of(cls: Any) -> Any:
    def see(self: Any, _value: Any) -> Any:
        raise SeenError(self)

    with mock.patch.object(probatio.Schema, "__call__", see):
        try:
            await cls.async_validate_config(mock.MagicMock(), {"options": {}, "target": {}})
        except SeenError as seen:
            return seen.args[0]
    raise TypeError(f"{cls}: checks nothing")


async def kinds(what: str, getter: str, base: Any) -> dict[str, Any]:
    """Triggers or conditions: name -> facts."""
    found = {}
    for path in sorted(COMPONENTS.glob(f"*/{what}.py")):
        domain = path.parent.name
        if domain in OWN:
            continue
        if (by_hand := BY_HAND.get(f"{domain}.{what}")) is not None:
            found |= by_hand
            continue
        module = load(f"{domain}.{what}")
        if not hasattr(module, getter):
            nested = getattr(module, "TRIGGERS", None)  # platforms of its own, such as samsungtv.turn_on
            plain = nested if isinstance(nested, dict) else {"_": module}
            for key, platform in plain.items():
                if (schema := getattr(platform, "TRIGGER_SCHEMA", None)) is not None:
                    name = domain if key == "_" else f"{domain}.{key}"
                    shown = schema if isinstance(schema, probatio.All) else fact(schema)
                    parts = all_of(schema) if isinstance(schema, probatio.All) else shown
                    parts["keys"] = {
                        k: v for k, v in parts["keys"].items() if k.rstrip("!") not in BASE - {"device_id"}
                    }
                    found[name] = {"top": parts}
            continue
        for key, cls in (await getattr(module, getter)(mock.MagicMock())).items():
            name = (key[1:] or domain) if key.startswith("_") else f"{domain}.{key}"
            if name == "device":
                continue
            whole = (await schema_of(cls)).schema
            entry: dict[str, Any] = {}
            for marker, check in whole.items():
                part = str(getattr(marker, "schema", marker))
                has_default = not isinstance(getattr(marker, "default", None), probatio.Undefined | type(None))
                needed = isinstance(marker, probatio.Required) and not has_default
                if part == "target":
                    entry["target"] = "required" if needed else "optional"
                elif part == "options":
                    entry["options"] = fact(check)
                    if needed:
                        entry["options needed"] = True
            own = cls.async_validate_complete_config.__func__
            if own is not base.async_validate_complete_config.__func__:
                entry["moves"] = True  # its options may stand beside its name
            found[name] = entry
    return found


def devices(what: str) -> dict[str, Any]:
    """Domain -> the keys of its device triggers, conditions or actions; null where only its library knows them."""
    found = {}
    for path in sorted(COMPONENTS.glob(f"*/device_{what}.py")):
        domain = path.parent.name
        try:
            module = load(f"{domain}.device_{what}")
        except Exception as error:  # noqa: BLE001 - whatever a module does with a stand-in
            print(f"{domain}.device_{what}: its keys are not known ({error})", file=sys.stderr)
            found[domain] = None
            continue
        schema = getattr(module, f"{what.upper()}_SCHEMA", None)
        if hasattr(module, f"async_validate_{what}_config"):
            schema = getattr(module, f"_{what.upper()}_SCHEMA", None) if what == "action" else None
        shown = fact(schema) if schema is not None else None
        found[domain] = without_base(shown)
    return found


def without_base(shown: Any) -> Any:
    """The keys of their own of a device automation, or of each of its forms; None where they are not known."""
    if isinstance(shown, dict) and "keys" in shown:
        return {**shown, "keys": {key: value for key, value in shown["keys"].items() if key.rstrip("!") not in BASE}}
    if isinstance(shown, dict) and "any" in shown:
        forms = [without_base(form) for form in shown["any"]]
        return {"any": forms} if all(forms) else None
    return None


def grouped(entries: dict[str, Any]) -> list[Any]:
    """Entries with the same facts in one row: their names, then the facts."""
    rows: dict[str, list[str]] = {}
    for name, entry in entries.items():
        rows.setdefault(json.dumps(entry, sort_keys=True), []).append(name)
    return [[sorted(names), json.loads(facts)] for facts, names in sorted(rows.items(), key=lambda row: row[1][0])]


def blueprints() -> dict[str, list[str]]:
    found = {}
    for path in sorted((COMPONENTS / "automation" / "blueprints").glob("*.yaml")):
        inputs = load_yaml(str(path))["blueprint"]["input"]
        needed = [str(name) for name, about in inputs.items() if not (about and "default" in about)]
        found[f"homeassistant/{path.name}"] = sorted(needed)
    return found


async def main() -> None:
    environment = template.TemplateEnvironment(mock.MagicMock())
    table = {
        "version": __version__,
        "triggers": grouped(await kinds("trigger", "async_get_triggers", trigger.Trigger)),
        "conditions": grouped(await kinds("condition", "async_get_conditions", condition.Condition)),
        **{f"device {what}s": grouped(devices(what)) for what in ("trigger", "condition", "action")},
        "filters": sorted(environment.filters),
        "tests": sorted(environment.tests),
        "blueprints": blueprints(),
    }
    print(re.sub(r"\n\s{3,}|\n\s+(?=[\]}],?\n?\s*)", " ", json.dumps(table, indent=1, ensure_ascii=False)))


if __name__ == "__main__":
    asyncio.run(main())
