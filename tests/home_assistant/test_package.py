"""``import home_assistant`` is the door: it loads what is used, when it is used."""

from __future__ import annotations

import json
import subprocess
import sys

from support import ROOT

import home_assistant

HEAVY = ("jinja2", "numpy", "pydantic", "scipy", "sklearn", "torch", "transformers", "yaml")
STEPS = ("import home_assistant", "from home_assistant import parse_automation", "home_assistant.check_automation")
PROGRAM = f"""
import json, sys
loaded = []
for step in {STEPS!r}:
    exec(step)
    loaded.append([name for name in {HEAVY!r} if name in sys.modules])
print(json.dumps(loaded))
"""


def test_the_door_costs_nothing_and_the_schema_its_own_libraries_alone() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == [[], ["yaml"], ["jinja2", "yaml"]]


def test_all_names_of_the_door_are_there_and_listed() -> None:
    assert home_assistant.__all__ == sorted(home_assistant.__all__)
    assert set(home_assistant.__all__) <= set(dir(home_assistant))
    for name in home_assistant.__all__:
        assert getattr(home_assistant, name).__name__ == name
    assert issubclass(home_assistant.AutomationError, ValueError)
    assert not hasattr(home_assistant, "nothing_of_this_name")
