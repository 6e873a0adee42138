"""Read and write the YAML of automations. Untrusted text is safe to read: no object that it names is built.

Values mean what they mean to Home Assistant, which reads YAML 1.1: ``on`` is true and ``"on"`` is a text. Its own tags
(``!secret``, ``!input``, ``!include``) are kept as data. A timestamp stays the text that was written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import yaml

MAX_YAML_DEPTH = 40  # of lists and mappings, aliases written out
TRIGGERS, ACTIONS = ("triggers", "trigger"), ("actions", "action")
BLUEPRINT = "use_blueprint"
_CORE = "tag:yaml.org,2002:"
_RARE_BREAKS = re.compile("[\x85\u2028\u2029\ufeff]")
_LOCAL_TAG = re.compile(r"![A-Za-z_][\w-]*")
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AutomationError(ValueError):
    """A text or value is no automation. The message is one line and says why."""


class Limits(NamedTuple):
    """How large a text may be, and whether it is read as strictly as an automation of ours or as Home Assistant does.

    Attributes:
        characters: Of the text.
        values: Of all kinds, aliases written out: this stops a "billion laughs" attack.
        lenient: A key that stands twice has its last value, and a number that is not finite stays a text.
    """

    characters: int = 200_000
    values: int = 20_000
    lenient: bool = False


ONE_AUTOMATION = Limits()
WHOLE_FILE = Limits(characters=4_000_000, values=400_000, lenient=True)


class TaggedScalar(NamedTuple):
    """A scalar with a tag of Home Assistant's own, such as ``!secret`` and ``door_code``."""

    tag: str
    value: str


def parse_automation(text: str) -> dict[Any, Any]:
    """The automation in a YAML text, or in its list of one.

    Raises AutomationError where the text is not YAML, names an object to build, is too large or too deep, repeats a
    key, or has no trigger or no action (those of a blueprint are not known here).
    """
    value = parse_yaml(text)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise AutomationError(f"holds {_name(value)}, expected a mapping with triggers and actions")
    if BLUEPRINT not in value:
        if not any(value.get(key) for key in TRIGGERS):
            raise AutomationError("has no trigger (expected `triggers:` or `trigger:` with something in it)")
        if not any(key in value for key in ACTIONS):
            raise AutomationError("has no action (expected `actions:` or `action:`)")
    return value


def parse_yaml(text: str, limits: Limits = ONE_AUTOMATION) -> Any:
    """The value of a YAML text: str, int, float, bool, None, TaggedScalar, list or dict. Raises AutomationError."""
    if len(text) > limits.characters:
        raise AutomationError(f"{len(text)} characters, more than {limits.characters}")
    try:
        _check_depth(text)
        node = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        ended = error.problem is not None and error.problem.endswith("end of stream")  # then what was begun matters
        mark = (error.context_mark if ended else None) or error.problem_mark or error.context_mark
        where = f", line {mark.line + 1} column {mark.column + 1}" if mark else ""
        raise AutomationError(f"not YAML ({error.problem or error.context}{where})") from error
    except AutomationError:
        raise
    except (yaml.YAMLError, ValueError) as error:
        raise AutomationError(f"not YAML ({' '.join(str(error).split())[:100]})") from error
    if node is None:
        raise AutomationError("is empty")
    return _Builder(limits).build(node)


def dump_automations(automations: Sequence[Mapping[Any, Any]], *, ascii_only: bool = False, width: int = 10_000) -> str:
    """YAML of a list of automations, as Home Assistant includes it; no anchors, which two lists would share."""
    plain = [dict(automation) for automation in automations]
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=not ascii_only, width=width)


def dump_automation(automation: Mapping[Any, Any]) -> str:
    """YAML that ``parse_automation`` turns back into the same automation, keys in their order."""
    return yaml.dump(dict(automation), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000)


def _check_depth(text: str) -> None:
    """Raises AutomationError where lists and mappings are nested too deep. It does not recurse itself."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_YAML_DEPTH:
            raise AutomationError(f"nested deeper than {MAX_YAML_DEPTH}")


class _Builder:
    """Builds data from nodes. It writes aliases out, so it counts the values."""

    def __init__(self, limits: Limits) -> None:
        self._values = 0
        self._limits = limits
        self._scalars = yaml.constructor.SafeConstructor()

    def build(self, node: yaml.Node, depth: int = 0) -> Any:
        self._values += 1
        if self._values > self._limits.values:
            raise AutomationError(f"more than {self._limits.values} values once its aliases are written out")
        if depth > MAX_YAML_DEPTH:  # an alias may stand inside its own anchor
            raise AutomationError(f"nested deeper than {MAX_YAML_DEPTH} once its aliases are written out")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        expected = "seq" if isinstance(node, yaml.SequenceNode) else "map"
        if node.tag != _CORE + expected:
            raise AutomationError(f"{_shown(node.tag)}{_at(node)}: this tag is not read, for it would build an object")
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, depth + 1) for item in node.value]
        return self._mapping(node, depth)

    def _mapping(self, node: yaml.Node, depth: int) -> dict[Any, Any]:
        own: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == f"{_CORE}merge":
                value = self.build(value_node, depth + 1)
                for part in value if isinstance(value, list) else [value]:
                    if not isinstance(part, dict):
                        raise AutomationError(f"`<<`{_at(key_node)} needs a mapping")
                    merged = {**part, **merged}
                continue
            key = self.build(key_node, depth + 1)
            if not isinstance(key_node, yaml.ScalarNode) or isinstance(key, TaggedScalar):
                raise AutomationError(f"a key{_at(key_node)} is no plain text")
            if key in own and not self._limits.lenient:
                raise AutomationError(f"key {key!a:.60}{_at(key_node)} stands there twice")
            own[key] = self.build(value_node, depth + 1)
        return {**merged, **own}

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        tag, text = node.tag.removeprefix(_CORE), node.value
        if tag in ("str", "timestamp"):
            return text
        if tag == "value":
            raise AutomationError(f"{text!a:.60}{_at(node)}: Home Assistant cannot read this without quotes")
        if tag == "null":
            return None
        if _LOCAL_TAG.fullmatch(tag):
            return TaggedScalar(tag, text)
        try:
            if tag == "bool":
                return self._scalars.construct_yaml_bool(node)
            if tag == "int":
                return self._scalars.construct_yaml_int(node)
            if tag == "float" and math.isfinite(number := self._scalars.construct_yaml_float(node)):
                return number
        except (ValueError, LookupError) as error:
            raise AutomationError(f"{text!a:.60}{_at(node)}: is no {tag}") from error
        if tag == "float":
            if self._limits.lenient:
                return text
            raise AutomationError(f"{text!a:.60}{_at(node)}: is no finite number")
        raise AutomationError(f"{_shown(node.tag)}{_at(node)}: this tag is not read, for it would build an object")


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: Any) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.ScalarNode:
        # A block that begins with spaces needs an indentation digit, which few people can read.
        style = "|" if "\n" in text.strip() and text[0] not in " \n" and "\t" not in text else None
        if _RARE_BREAKS.search(text):  # which YAML 1.1 folds unless they are escaped
            style = '"'
        return self.represent_scalar(f"{_CORE}str", text, style=style)

    def represent_tagged(self, tagged: TaggedScalar) -> yaml.ScalarNode:
        return self.represent_scalar(tagged.tag, tagged.value)


_Dumper.add_representer(str, _Dumper.represent_text)
_Dumper.add_representer(TaggedScalar, _Dumper.represent_tagged)


def _at(node: yaml.Node) -> str:
    return f" in line {node.start_mark.line + 1}"


def _shown(tag: str) -> str:
    return ascii(tag.replace(_CORE, "!!"))[1:-1][:60]


def _name(value: object) -> str:
    names = {list: "a list", str: "a text", TaggedScalar: "a tag", bool: "a boolean", type(None): "nothing"}
    return names.get(type(value), "a number")
