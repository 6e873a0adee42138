"""Pages in a real browser: no error, no request, nothing wider than a phone, WCAG AA, and what the buttons do."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from support import ROOT, as_home, call, home

from data_sources import sample_directory
from training.automations.command import train as train_yaml
from training.pages.home_picture import Arrow, Place, picture_of
from training.patterns.command import train as train_patterns
from training.runs.page import Answer, Section, run_page
from training.runs.summary import TrainingSummary
from training.suggestions.page import evidence_of, page_of
from training.suggestions.ranking import HomeProposals, Proposal
from training.synergy.command import train as train_synergy
from training.text.command import train as train_soft_prompt

pytestmark = pytest.mark.slow


def _loaded(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


screenshots = _loaded(ROOT / "docs" / "take_screenshots.py")
T = TypeVar("T")
TYPED = "{const s = document.querySelector('%s'); s.value = '%s'; s.dispatchEvent(new Event('input'))}"


@pytest.fixture(scope="module")
def program() -> str:
    found: str | None = screenshots.chromium()
    if found is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    return found


@pytest.fixture(scope="module")
def axe() -> str:
    """The source of axe-core, of the package that ships it."""
    spec = importlib.util.find_spec("axe_playwright_python")  # imported, it would want a browser of Playwright's
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / "axe.min.js").read_text(encoding="utf-8")


def browse(program: str, act: Callable[[Any], Awaitable[T]]) -> T:
    async def body() -> T:
        async with screenshots.opened(program) as browser:
            return await act(browser)

    return asyncio.run(body())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The pages of a real training of each model, one of suggestions, and one whose every text is hostile."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "homes.json").write_text(json.dumps([home(f"home_{i}") for i in range(3)]))
    for kind, count in (("soft_prompt", 40), ("yaml_generation", 24)):
        rows = json.loads((sample_directory() / f"{kind}_data.json").read_text(encoding="utf-8"))[:count]
        (folder / f"{kind}_data.json").write_text(json.dumps(rows))
    scratch = ("--base-model", "scratch", "--epochs", "1", "--output-dir")
    for command, more in (
        (train_synergy, ("--json-input", "homes.json", "--epochs", "1")),
        (train_patterns, ("--json-input",)),
        (train_soft_prompt, ("--json-input", "soft_prompt_data.json", *scratch, "soft_prompt")),
        (train_yaml, ("--json-input", "yaml_generation_data.json", *scratch, "yaml")),
    ):
        made = call(command, *more, cwd=folder)
        assert made.returncode == 0, made.stderr
    hostile = "</script><img src=x onerror=alert(1)>\u202e" + "n" * 10_000
    (folder / "hostile.html").write_bytes(hostile_page(hostile))
    (folder / "suggestions.html").write_bytes(suggestions_page(hostile))
    return [
        *(folder / "models" / "gnn_synergy_report.html", folder / "models" / "pattern_detection_report.html"),
        *(folder / "hostile.html", folder / "suggestions.html"),
        *(folder / name / "latest" / "report.html" for name in ("soft_prompt", "yaml")),
    ]


def hostile_page(text: str) -> bytes:
    places = [Place(f"light.l{i}", f"{i} {text}", f"{i % 7} {text}") for i in range(2_000)]
    arrows = [Arrow(f"light.l{i}", f"light.l{i + 1}") for i in range(0, 300, 2)]
    summary = TrainingSummary(
        timestamp="2026-01-01T03:00:00", model_type="gnn_synergy", status="success", notes=[text], config={"a": text}
    )
    sections = [
        Section("Home", text, homes=[picture_of(text, places, arrows, [Arrow("light.l5", "light.l9", 0.9)])]),
        Section("Answers", answers=[Answer(text, text, text, "1"), Answer("plain", "b", "c", "2")]),
    ]
    return run_page(summary, "Hostile", [text], sections)


def suggestions_page(text: str) -> bytes:
    automation = {
        "id": "suggested_1",
        "alias": text,
        "triggers": [{"above": 25}],
        "actions": [{"action": "light.turn_on"}],
    }
    one = Proposal("light.a", ("light.b",), 0.9, (text,), (text,), ("25 is a guess",), text, automation)
    found = HomeProposals(text, 2, 0, "by score", (one,), {text: 1}, (text,))
    source = as_home({"entities": [{"entity_id": "light.a"}, {"entity_id": "light.b"}]})
    return page_of([found], [evidence_of(source, found)], Path("answers.jsonl"))


def test_no_page_has_an_error_asks_for_anything_or_is_wider_than_its_screen(program: str, pages: list[Path]) -> None:
    async def act(browser: Any) -> list[str]:
        wrong = []
        for page in pages:
            for width in screenshots.WIDTHS:
                for scheme in screenshots.SCHEMES:
                    seen = await browser.open(page, width, scheme)
                    wide = await browser.evaluate("document.documentElement.scrollWidth - innerWidth")
                    wrong += [f"{page.name} {width} {scheme}: {told}" for told in (*seen.errors, *seen.requests)]
                    wrong += [f"{page.name} {width}: {wide} px too wide"] if wide > 0 else []
        return wrong

    assert browse(program, act) == []


def test_an_error_and_a_request_are_seen(program: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<!doctype html><script>missing()</script><img src='http://127.0.0.1:9/x.png'>")

    async def act(browser: Any) -> Any:
        return await browser.open(bad, 390, "light")

    seen = browse(program, act)
    assert any("missing" in error for error in seen.errors)
    assert seen.requests == ["http://127.0.0.1:9/x.png"]


def test_axe_finds_nothing_against_wcag_aa(program: str, axe: str, pages: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text("<!doctype html><html><body style='background:#fff;color:#ddd'>pale<img src='data:,'></body></html>")

    async def act(browser: Any) -> tuple[list[str], list[str]]:
        found = []
        for page in pages:
            for scheme in screenshots.SCHEMES:
                await browser.open(page, 390, scheme)
                await browser.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
                found += [f"{page.name} {scheme}: {one}" for one in await browser.violations(axe)]
        await browser.open(bad, 390, "light")
        return found, await browser.violations(axe)

    found, of_bad = browse(program, act)
    assert found == []
    assert {one.split(" ")[0] for one in of_bad} >= {"color-contrast", "image-alt"}, "so it does look"


def test_a_picture_is_searched_moved_and_zoomed_by_keyboard(program: str, pages: list[Path]) -> None:
    async def act(browser: Any) -> list[Any]:
        seen = await browser.open(pages[2], 1440, "light")
        view = "document.querySelector('.home .view svg').getAttribute('viewBox')"
        keys = "document.querySelector('.home .view').dispatchEvent(new KeyboardEvent('keydown', {key: '%s'}))"
        boxes = [await browser.evaluate(view)]
        for key in ("+", "ArrowLeft", "0"):
            await browser.evaluate(keys % key)
            boxes.append(await browser.evaluate(view))
        await browser.evaluate(TYPED % (".home input", "light.l1999"))
        found = await browser.evaluate("document.querySelector('.home .found').textContent")
        await browser.evaluate("document.querySelector('.home .found button').click()")
        hit = await browser.evaluate("document.querySelector('.home .node.hit').dataset.id")
        return [boxes, found, hit, seen.errors]

    boxes, found, hit, errors = browse(program, act)
    assert len(set(boxes)) == 3
    assert boxes[0] == boxes[3]
    assert found.startswith("1 found")
    assert hit == "light.l1999"
    assert errors == []


def test_a_card_shows_the_line_to_copy_and_says_when_it_is_copied(program: str, pages: list[Path]) -> None:
    async def act(browser: Any) -> list[Any]:
        await browser.open(pages[3], 390, "light")
        press = "document.querySelector('[data-shows=\"%s-1\"]').click()"
        shown = "[...document.querySelectorAll('.answer > div[id]')].filter((d) => !d.hidden).map((d) => d.id)"
        states = [await browser.evaluate(shown)]
        for verb in ("accept", "dismiss", "dismiss"):
            await browser.evaluate(press % verb)
            states.append(await browser.evaluate(shown))
        await browser.evaluate("document.querySelector('[data-copy]').click()")
        await asyncio.sleep(0.3)
        return [states, await browser.evaluate("document.querySelector('.copied').textContent")]

    states, said = browse(program, act)
    assert states == [[], ["accept-1"], ["dismiss-1"], []]
    assert said in ("Copied.", "Selected: press Ctrl+C.")


def test_answers_are_filtered_by_what_is_typed(program: str, pages: list[Path]) -> None:
    async def act(browser: Any) -> Any:
        await browser.open(pages[2], 390, "dark")
        await browser.evaluate(TYPED % ("[data-filters]", "plain"))
        return await browser.evaluate("[...document.querySelectorAll('.answers > details')].map((d) => d.hidden)")

    assert browse(program, act) == [True, False]
