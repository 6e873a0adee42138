"""What a template of Home Assistant names. It is parsed and never rendered: nothing in it is executed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

import jinja2
from jinja2 import nodes
from jinja2.sandbox import SandboxedEnvironment

from home_assistant.automation_table import automation_table
from home_assistant.domains import DOMAINS
from home_assistant.entity_id import domain_of, entity_ids_in, is_entity_id, normalized_entity_id

PARSER = jinja2.Environment(  # noqa: S701 - it parses and never renders
    extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"]
)
_MARKS = ("{{", "{%", "{#")
# Functions, filters and tests that read an entity: their first argument is no value that the template gives.
_READS = frozenset(
    "states is_state state_attr is_state_attr has_value state_translated state_attr_translated device_id device_attr "
    "is_device_attr device_name area_id area_name floor_id floor_name labels is_hidden_entity closest distance".split()
)
# Those that give the entities of a place -> the key of a target that means the same.
_PLACES = {
    "area_entities": "area_id",
    "device_entities": "device_id",
    "floor_entities": "floor_id",
    "label_entities": "label_id",
}
# Filters that change how a state is written, not what it says.
_SAME_STATE = frozenset(
    "abs bool default float int lower replace round string title trim upper capitalize ordinal".split()
)

# Filters and methods that make a text of several.
JOINS = frozenset("format join regex_replace replace".split())


class Call(NamedTuple):
    """A function, filter or test with its first argument.

    Attributes:
        name: Such as ``is_state``.
        argument: The text that is given; "" where a variable or something else gives it, None where the template puts
            it together from pieces.
        reads: False where the template may give what the call returns as its value.
    """

    name: str
    argument: str | None
    reads: bool


class TemplateIds(NamedTuple):
    """What a template names.

    Attributes:
        reads: The entities whose states it reads.
        values: The other entities that it names: those it may give as its value.
        places: ``("area_id", "kitchen")`` for places whose entities it may give.
        names: The variables it uses with the attributes it takes of them, such as ``trigger.entity_id``.
        domains: What stands before the first dot of its words: the domain of a service that goes on in an expression.
        calls: The functions, filters and tests that it uses; ``import`` where it reads another file.
        listed: The domains whose entities it goes through, as in ``states.light``; "" for those of all domains.
        texts: Every text in it.
        pieces: Texts that it may give as a part of its value, other than whole entity ids.
        own_names: The variables that it sets itself.
    """

    reads: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    places: frozenset[tuple[str, str]] = frozenset()
    names: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    calls: frozenset[Call] = frozenset()
    listed: frozenset[str] = frozenset()
    texts: frozenset[str] = frozenset()
    pieces: frozenset[str] = frozenset()
    own_names: frozenset[str] = frozenset()


def has_template(text: str) -> bool:
    """Whether Home Assistant would render the text."""
    return any(mark in text for mark in _MARKS)


@lru_cache(maxsize=4096)
def template_error(text: str) -> str | None:
    """Why Home Assistant cannot compile the template: its syntax, or a filter or test of no such name.

    The template is compiled and never rendered. Nothing in it is computed, not even ``2 ** 9``.
    """
    try:
        _compiler().compile(text)
    except jinja2.TemplateError as error:
        return error.message or type(error).__name__
    except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return None


@cache
def _compiler() -> jinja2.Environment:
    class Compiler(SandboxedEnvironment):
        # An operator that a sandbox intercepts is left to the rendering, and so is a filter that needs its context.
        intercepted_binops = frozenset(SandboxedEnvironment.default_binop_table)
        intercepted_unops = frozenset(SandboxedEnvironment.default_unop_table)

    @jinja2.pass_context
    def unused(*_: Any) -> None:
        """Stands for every filter and test."""

    environment = Compiler(optimized=False, extensions=["jinja2.ext.loopcontrols", "jinja2.ext.do"])
    environment.filters = dict.fromkeys(automation_table().filters, unused)
    environment.tests = dict.fromkeys(automation_table().tests, unused)
    return environment


@lru_cache(maxsize=4096)
def ids_in_template(text: str) -> TemplateIds:
    """What the template names; where it cannot be parsed, every entity id in its text counts as read and as a value."""
    try:
        tree = PARSER.parse(text)
        visitor = _Visitor()
        visitor.visit(tree, reads=False)
    except (jinja2.TemplateError, RecursionError, ValueError, OverflowError, MemoryError):
        ids = frozenset(entity_ids_in(text))
        return TemplateIds(ids, ids, domains=frozenset(map(domain_of, ids)), texts=frozenset((text,)))
    return TemplateIds(
        frozenset(visitor.reads),
        frozenset(visitor.values),
        frozenset(visitor.places),
        frozenset(visitor.names),
        frozenset(visitor.domains),
        frozenset(visitor.calls),
        frozenset(visitor.listed),
        frozenset(visitor.texts),
        frozenset(visitor.pieces),
        frozenset(visitor.own_names),
    )


class _Visitor:
    def __init__(self) -> None:
        self.reads: set[str] = set()
        self.values: set[str] = set()
        self.places: set[tuple[str, str]] = set()
        self.names: set[str] = set()
        self.domains: set[str] = set()
        self.calls: set[Call] = set()
        self.listed: set[str] = set()
        self.texts: set[str] = set()
        self.pieces: set[str] = set()
        self.own_names: set[str] = set()
        self._put_together: set[str] = set()  # variables whose texts the template joins

    def visit(self, node: nodes.Node, *, reads: bool) -> None:
        """Collect what ``node`` names; ``reads`` says that what stands here is read, or compared with."""
        if isinstance(node, nodes.Const):
            if isinstance(node.value, str):
                self._text(node.value, reads=reads)
        elif isinstance(node, nodes.TemplateData):
            self._text(node.data, reads=reads)
        elif isinstance(node, nodes.Getattr | nodes.Getitem | nodes.Name):
            self._path(node, reads=reads)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
            self._call(node.node.name, list(node.args), node, reads=reads)
        elif isinstance(node, nodes.Filter | nodes.Test) and node.node is not None:
            self._call(node.name, [node.node, *node.args], node, reads=reads)
        elif isinstance(node, nodes.Assign | nodes.For) and isinstance(node.target, nodes.Name | nodes.Tuple):
            self._assign(node, reads=reads)
        elif isinstance(node, nodes.Import | nodes.FromImport | nodes.Include | nodes.Extends):
            self.calls.add(Call("import", "", reads=reads))
        elif isinstance(node, nodes.Compare):
            for child in node.iter_child_nodes():
                self.visit(child, reads=True)
        elif isinstance(node, nodes.CondExpr | nodes.If):
            self.visit(node.test, reads=True)
            for child in node.iter_child_nodes(exclude=("test",)):
                self.visit(child, reads=reads)
        else:
            for child in node.iter_child_nodes():
                self.visit(child, reads=reads)

    def _call(self, name: str, arguments: list[nodes.Expr], node: nodes.Expr, *, reads: bool) -> None:
        first = arguments[0] if arguments else None
        self.calls.update(Call(name, argument, reads) for argument in self._given(first))
        if name in _PLACES and isinstance(first, nodes.Const) and isinstance(first.value, str):
            self.places.add((_PLACES[name], first.value))
            return
        for number, argument in enumerate(arguments):
            if name == "iif":  # a condition, and the values of which it chooses one
                self.visit(argument, reads=reads or number == 0)
                continue
            self.visit(argument, reads=reads or name in _READS or (number > 0 and name != "expand"))
        for child in (*getattr(node, "kwargs", ()), getattr(node, "dyn_args", None), getattr(node, "dyn_kwargs", None)):
            if isinstance(child, nodes.Node):
                self.visit(child, reads=True)

    def _assign(self, node: nodes.Assign | nodes.For, *, reads: bool) -> None:
        names = [name.name for name in (node.target, *node.target.find_all(nodes.Name)) if isinstance(name, nodes.Name)]
        self.own_names.update(names)
        for child in node.iter_child_nodes(exclude=("target",)):
            self.visit(child, reads=reads)
        if isinstance(node, nodes.Assign) and None in self._given(node.node):
            self._put_together.update(names)

    def _given(self, node: nodes.Node | None) -> set[str | None]:
        """What an argument may be: texts, "" for what something else gives, None for what is put together."""
        if isinstance(node, nodes.Const):
            return {node.value} if isinstance(node.value, str) else {""}
        if isinstance(node, nodes.Name):
            return {None} if node.name in self._put_together else {""}
        if isinstance(node, nodes.CondExpr):
            return self._given(node.expr1) | self._given(node.expr2)
        if isinstance(node, nodes.List | nodes.Tuple):
            return {given for item in node.items for given in self._given(item)} or {""}
        if isinstance(node, nodes.Filter):
            return {None} if node.name in JOINS else self._given(node.node)
        if isinstance(node, nodes.Call) and isinstance(node.node, nodes.Getattr) and node.node.attr in JOINS:
            return {None}
        return {None} if isinstance(node, nodes.Concat | nodes.Add | nodes.Mod | nodes.Mul) else {""}

    def _path(self, node: nodes.Expr, *, reads: bool) -> None:
        parts: list[str] = []
        inner: nodes.Node = node
        while isinstance(inner, nodes.Getattr | nodes.Getitem):
            if isinstance(inner, nodes.Getattr):
                parts.append(inner.attr)
            elif isinstance(inner.arg, nodes.Const) and isinstance(inner.arg.value, str):
                parts.append(inner.arg.value)
            else:
                parts.append("")
                self.visit(inner.arg, reads=True)
            inner = inner.node
        parts.reverse()
        if not isinstance(inner, nodes.Name):
            self.visit(inner, reads=reads)
            return
        if inner.name != "states":
            self.names.add(".".join((inner.name, *parts)))
            return
        # states.light.hall, states.light['hall'] and states['light.hall']
        names = ".".join(parts).split(".")
        entity_id = ".".join(names[:2])
        if is_entity_id(entity_id):
            (self.values if names[2:] == ["entity_id"] and not reads else self.reads).add(entity_id)
        else:
            self.listed.add(names[0])

    def _text(self, text: str, *, reads: bool) -> None:
        self.texts.add(text)
        whole = normalized_entity_id(text)
        if not reads and not is_entity_id(whole):
            self.pieces.add(text)
        found = [whole] if is_entity_id(whole) and domain_of(whole) in DOMAINS else list(entity_ids_in(text))
        (self.reads if reads else self.values).update(filter(is_entity_id, found))
        if not reads and "." in text:  # of a service, which may go on in an expression
            self.domains.update(word.partition(".")[0] for word in text.split() if "." in word)


def repeated_entity(text: str) -> str | None:
    """The one entity whose state the template shows again, also as its opposite; None where it says anything else."""
    try:
        tree = PARSER.parse(text.strip())
    except (jinja2.TemplateError, RecursionError, ValueError, OverflowError, MemoryError):
        return None
    shown = list(_shown(tree))
    if len(shown) != 1:
        return None
    node: nodes.Expr = shown[0]
    while True:
        if isinstance(node, nodes.Not):
            node = node.node
        elif isinstance(node, nodes.Filter) and (inner := node.node) is not None and node.name in _SAME_STATE:
            node = inner
        elif isinstance(node, nodes.Compare) and len(node.ops) == 1 and _is_state(node.ops[0]):
            node = node.expr
        else:
            break
    if isinstance(node, nodes.Filter | nodes.Test):
        if node.name not in ("states", "is_state") or node.node is None:
            return None
        node = node.node
    elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.args:
        if node.node.name not in ("states", "is_state"):
            return None
        node = node.args[0]
    elif not (isinstance(node, nodes.Getattr) and node.attr == "state"):
        return None
    visitor = _Visitor()
    visitor.visit(node, reads=True)
    return next(iter(visitor.reads)) if len(visitor.reads) == 1 and not visitor.names else None


def _shown(tree: nodes.Template) -> Iterator[nodes.Expr]:
    """What the template writes; a statement in it counts as something that no expression is."""
    for part in tree.body:
        if not isinstance(part, nodes.Output):
            yield nodes.Const(None)
            yield nodes.Const(None)
            continue
        for node in part.nodes:
            if not (isinstance(node, nodes.TemplateData) and not node.data.strip()):
                yield node


def _is_state(operand: nodes.Operand) -> bool:
    """Whether it compares with a text, or a list of texts: a state, and no limit."""
    node = operand.expr
    items = node.items if isinstance(node, nodes.List | nodes.Tuple) else [node]
    return operand.op in ("eq", "ne", "in", "notin") and all(
        isinstance(item, nodes.Const) and isinstance(item.value, str) for item in items
    )
