"""YAML that is published says what was meant, and Home Assistant takes all of it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from home_assistant.automation_file import UnpublishableError, checked_file, published_automation
from home_assistant.automation_yaml import TaggedScalar, dump_automations


def automation(alias: str, message: Any = "x", **more: Any) -> dict[str, Any]:
    """A plain automation with these texts in it."""
    trigger = {"trigger": "state", "entity_id": "binary_sensor.door", "to": "on"}
    action = {"action": "notify.send_message", "target": {"entity_id": "notify.a"}, "data": {"message": message}}
    return {"alias": alias, "description": alias, "triggers": [trigger], "actions": [action], **more}


HOSTILE = (
    "on", "No", "null", "~", "=", "<<", "0123", "0x1F", "1_000", "1:30", "12:30:00", "2026-01-01",
    "2026-01-01 10:00:00",
    "1e3", ".5", "-", "- a: b", "a: b", "# c", "a #b", "!secret x", "&a x", "*a", "!!int 5", "%YAML 1.1", "---", "...",
    "x\n- alias: pwned", "x\r\ny", "\x00", "\x1b[2J", "\x85", "\u2028\u2029", "\ufeff", "\U0001f600", "\u202e", "\t",
    " x ", "'", '"', "\\", "{{ x }}", "{% if %}", "{# x", "|", ">", "?", "@x", "`x`", "",
)  # fmt: skip


@pytest.mark.parametrize("ascii_only", [False, True])
def test_hostile_texts_are_read_back_as_they_are(ascii_only: bool) -> None:
    for number, text in enumerate(HOSTILE):
        meant = [automation(f"{text}{number}"), automation(text, text.replace("{", "("), id=text)]
        written = checked_file(dump_automations(meant, ascii_only=ascii_only), meant)
        assert yaml.safe_load(written) == meant
        assert written.isascii() or not ascii_only


@settings(deadline=None, max_examples=60)
@example("\ud83d\ude00")
@given(st.text(st.characters(exclude_categories=()), max_size=20))
def test_a_text_is_published_as_it_is_or_not_at_all(text: str) -> None:
    meant = automation(text)
    if re.search("[\ud800-\udfff]", text):
        with pytest.raises(UnpublishableError, match="cannot be read back"):
            published_automation(meant)
    else:
        assert yaml.safe_load(published_automation(meant)) == meant


@pytest.mark.parametrize(
    ("automations", "why"),
    [
        ([automation("a"), automation("A!")], "automations 1 and 2 have the same alias"),
        ([automation("a", id="1"), automation("b", id="1")], "automations 1 and 2 have the same id"),
        ([automation("a"), automation("b", id=12)], "automation 2: id: 12 is not a text"),
        ([automation("a", "{{ hall")], "automation 1: actions.0.data.message: template"),
        ([automation("a", float("nan"))], "cannot be read back"),
        ([automation("a", TaggedScalar("!own", "x"))], "automation 1: actions.0.data"),
    ],
)
def test_a_file_that_home_assistant_would_refuse_is_not_published(automations: list[Any], why: str) -> None:
    with pytest.raises(UnpublishableError, match=re.escape(why)) as caught:
        checked_file(dump_automations(automations), automations)
    assert "\n" not in str(caught.value)


def test_a_file_that_says_something_else_is_not_published() -> None:
    meant = [automation("a")]
    written = dump_automations(meant)
    for text, why in (
        (written.replace("alias: a", "alias: b"), "not what was meant"),
        (written.replace("'on'", "on"), "not what was meant"),
        (written.replace("alias: a", "alias: &id001 a"), "has an anchor"),
        (written.replace("alias: a", "alias: 2026-01-01"), "needs quotes"),
        (written + "- {", "cannot be read back"),
        (written + written, "not what was meant"),
    ):
        with pytest.raises(UnpublishableError, match=why):
            checked_file(text, meant)
    assert checked_file(f"# why\n{written}", meant).startswith("# why")
    assert checked_file("[]\n", []) == "[]\n"
