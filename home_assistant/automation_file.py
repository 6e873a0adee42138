"""The one way by which YAML leaves this project: what was written is read back before anyone else reads it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from home_assistant.automation_schema import check_automation
from home_assistant.automation_yaml import WHOLE_FILE, AutomationError, dump_automation, parse_yaml


class UnpublishableError(AutomationError):
    """Home Assistant would not read what was meant, or would refuse it."""


def published_automation(automation: Mapping[Any, Any]) -> str:
    """YAML of one automation. Raises UnpublishableError as ``checked_file`` does."""
    return checked_file(dump_automation(automation), automation)


def checked_file(text: str, meant: Mapping[Any, Any] | Sequence[Mapping[Any, Any]]) -> str:
    """The text, once it was read back as Home Assistant reads a file of automations.

    Args:
        text: YAML of one automation or of a list of them, with comments or without.
        meant: What it has to say.

    Raises:
        UnpublishableError: It cannot be encoded, has an anchor, means something else than ``meant``, holds an
            automation that Home Assistant refuses, or two of the same id or of the same alias.
    """
    try:
        text.encode("utf-8")
        _check_scalars(text)
        read = parse_yaml(text, WHOLE_FILE._replace(lenient=False))
    except (UnicodeEncodeError, yaml.YAMLError, AutomationError) as error:
        raise UnpublishableError(f"the YAML cannot be read back: {' '.join(str(error).split()):.150}") from error
    plain = dict(meant) if isinstance(meant, Mapping) else [dict(automation) for automation in meant]
    if repr(read) != repr(plain):  # 1, 1.0 and true are equal, and not the same
        raise UnpublishableError("the YAML read back is not what was meant")
    automations = [plain] if isinstance(plain, dict) else plain
    for number, automation in enumerate(automations, start=1):
        try:
            check_automation(automation)
        except AutomationError as error:
            raise UnpublishableError(f"automation {number}: {error}") from error
    for key, normalized in (("id", str), ("alias", _entity_name)):
        seen: dict[str, int] = {}
        for number, automation in enumerate(automations, start=1):
            if key in automation:
                before = seen.setdefault(normalized(str(automation[key])), number)
                if before != number:
                    raise UnpublishableError(f"automations {before} and {number} have the same {key}")
    return text


def _entity_name(alias: str) -> str:
    """What Home Assistant makes an automation's entity id of: case, blanks and punctuation do not count."""
    return re.sub(r"[\W_]+", " ", alias.casefold()).strip() or alias


def _check_scalars(text: str) -> None:
    """Raises UnpublishableError for anchors, and for words without quotes that YAML 1.1 takes for a date or a mark."""
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        line = event.start_mark.line + 1 if event.start_mark else 0
        if getattr(event, "anchor", None) is not None:
            raise UnpublishableError(f"line {line} has an anchor")
        if isinstance(event, yaml.ScalarEvent) and event.tag is None and event.implicit[0] and _is_special(event.value):
            raise UnpublishableError(f"line {line}: {event.value!a:.40} needs quotes")


def _is_special(plain: str) -> bool:
    special = [f"tag:yaml.org,2002:{name}" for name in ("timestamp", "value", "merge")]
    patterns = yaml.SafeLoader.yaml_implicit_resolvers.get(plain[:1], ())
    return any(tag in special and pattern.match(plain) for tag, pattern in patterns)
