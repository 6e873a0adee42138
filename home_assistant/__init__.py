"""What Home Assistant's words and files mean: domains, entity ids, household words, automations and their schema.

This is the ground floor: it imports no other package of the project and no ML library. Importing it costs nothing;
each name of ``__all__`` is loaded when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from home_assistant.automation_schema import check_automation as check_automation
    from home_assistant.automation_yaml import AutomationError as AutomationError
    from home_assistant.automation_yaml import TaggedScalar as TaggedScalar
    from home_assistant.automation_yaml import dump_automation as dump_automation
    from home_assistant.automation_yaml import parse_automation as parse_automation

_MODULE_OF = {
    "AutomationError": "automation_yaml",
    "TaggedScalar": "automation_yaml",
    "check_automation": "automation_schema",
    "dump_automation": "automation_yaml",
    "parse_automation": "automation_yaml",
}
__all__ = ["AutomationError", "TaggedScalar", "check_automation", "dump_automation", "parse_automation"]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
