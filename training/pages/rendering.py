"""Render a page: one self-contained HTML file that loads nothing and whose every value is escaped.

A page is a Jinja2 template that extends ``base.html.j2``. Texts from data are hostile until shown to be harmless: they
are escaped, cut where they are endless, and characters that would hide or turn the text around are made visible. The
page's policy lets no script run but the page's own, which the policy knows by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from jinja2 import Environment

TEMPLATES = Path(__file__).parent / "templates"
LONGEST = 2_000  # letters of a text that a page shows; the filter ``whole`` shows all
# Control characters, separators of lines and paragraphs, lone surrogates, and whatever turns the direction of writing.
_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
# What may be too long for a line of a phone: a path, a name, an address; and the ends of its parts.
_LONG = re.compile(r"[\w./\\:@%+~=&?#-]{20,}")
_END_OF_PART = re.compile(r"(?<=[/\\_.:?&=-])(?=\w)")


class Whole(str):
    """A text that is shown in full."""

    __slots__ = ()


def visible(text: str) -> str:
    """A text in which each character that cannot be seen, or turns others around, is a replacement character."""
    return _HIDDEN.sub("\ufffd", text)


def shortened(text: str, longest: int) -> str:
    """The visible text, cut to ``longest`` letters with an ellipsis."""
    text = visible(text)
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"


def breakable(text: str) -> Markup:
    """A text whose paths, names and addresses are broken between their parts where a line ends, never inside a word."""
    shown = str(_finalized(str(text)))
    found, start = Markup(""), 0
    for long in _LONG.finditer(shown):
        found += escape(shown[start : long.start()])
        found += Markup("<wbr>").join(escape(part) for part in _END_OF_PART.split(long[0]))
        start = long.end()
    return found + escape(shown[start:])


def render(template: str, folder: Path | None = None, **values: Any) -> bytes:
    """A page as UTF-8.

    Args:
        template: Name of the template.
        folder: Where it is, beside the templates of this package.
        values: Its variables.
    """
    environment = _environment(folder)
    return environment.get_template(template).render(values).encode("utf-8", "replace")


@cache
def _environment(folder: Path | None) -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # a training that publishes nothing needs none

    environment = Environment(
        loader=FileSystemLoader([*([folder] if folder is not None else []), TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalized,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = (_asset(name) for name in ("page.js", "page.css"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    environment.globals |= {"script": script, "style": style, "script_hash": f"sha256-{digest}"}
    environment.filters |= {"whole": Whole, "number": number, "shortened": shortened, "breakable": breakable}
    return environment


def _asset(name: str) -> Markup:
    """A script or a style sheet of our own, which stands in the page as it is."""
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - no text of data is in it


def _finalized(value: Any) -> Any:
    """What a template prints of a value; before it is escaped."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    if isinstance(value, Whole) or len(value) <= LONGEST:
        return visible(value)
    return f"{visible(value[:LONGEST])}\u2026 ({len(value):,} letters in all)"


def number(value: float | None) -> str:
    """A score or count for people: ``12,345``, ``0.802``, ``48.3``; ``not defined`` for None."""
    if value is None or value != value:
        return "not defined"
    if isinstance(value, int) or (value == int(value) and abs(value) >= 10):
        return f"{int(value):,}"
    return (
        f"{value:,.1f}" if abs(value) >= 10 else f"{value:.3f}" if abs(value) >= 0.001 or not value else f"{value:.1e}"
    )


def plain(value: Any) -> str:
    """A setting or a count in words: lists and objects as ``a, b`` and ``a: 1``."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {plain(own)}" for name, own in value.items()) or "none"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(plain(own) for own in value) or "none"
    return "none" if value is None or value == "" else str(value)
