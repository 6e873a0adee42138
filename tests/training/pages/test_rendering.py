"""Pages: no text from data is more than text, and nothing that is not defined is drawn as a number."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from training.pages.charts import Bar, Curve, curve_chart, reliability_chart, score_chart, span_of
from training.pages.home_picture import Arrow, Place, picture_of
from training.pages.rendering import LONGEST, TEMPLATES, breakable, number, plain, visible
from training.runs.page import Answer, Section, run_page
from training.runs.summary import TrainingSummary

HOSTILE = [
    "</script><script>alert(1)</script>",
    "</style></svg></title><img src=x onerror=alert(1)>",
    "\"' onmouseover='alert(1)' {{ 7 * 7 }} {% raw %} <!-- ]]>",
    "\u202egnp.exe\u2066 \x00\x1b[31m \ud800 \u2028",
    "n" * 10_000,
    "",
]


class Tags(HTMLParser):
    """The tags of a page with the names of their attributes."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.found: list[tuple[str, tuple[str, ...]]] = []
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, tuple(name for name, _ in attrs if name != "class")))


def page(text: str) -> str:
    summary = TrainingSummary(
        timestamp="2026-01-01T03:00:00",
        model_type="gnn_synergy",
        status="success",
        source={"location": text},
        config={"base model": text},
        notes=[text, text],
    )
    places = [Place("a.b", text, text), Place("c.d", text, "room"), Place("e.f", text, "room")]
    picture = picture_of(text, places, [Arrow("a.b", "c.d")], [Arrow("c.d", "a.b", 0.7), Arrow("x.y", "a.b")])
    charts = [
        score_chart(text, [Bar(text, 0.5, (0.4, 0.6)), Bar(text, None)], note=text),
        curve_chart(text, [Curve(text, [(0, 1.0), (1, 2.0)])], (text, text), chosen=(1, text), note=text),
    ]
    sections = [Section("A", text, {"f": text}, [text], charts, homes=[picture])]
    sections.append(Section("B", answers=[Answer(text, text, text, "0.1")]))
    return run_page(summary, "Title", [text, f"Note: {text}"], sections).decode()


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_no_text_of_data_adds_a_tag_or_an_attribute_or_hides(text: str) -> None:
    content = page(text)
    usual = [tag for tag in Tags(page("some plain text")).found if tag[0] != "wbr"]
    assert set(Tags(content).found) - {("wbr", ()), ("h3", ()), ("pre", ())} <= set(usual)
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b\u2028]", content)
    assert content.count("<script") == 1
    assert len(content) < 1_000_000


def test_the_policy_of_a_page_knows_its_script_and_loads_nothing() -> None:
    content = page("x")
    assert "default-src 'none'" in content
    assert re.search(r"script-src 'sha256-[\w+/=]+'", content)
    assert not re.findall(r"""(?:src|href)=["'](?!#|data:,)""", content)
    assert "http" not in content


def test_a_long_text_is_cut_and_says_how_long_it_was() -> None:
    shown = str(breakable("n" * 10_000))
    assert len(shown) < LONGEST + 100
    assert shown.endswith("(10,000 letters in all)")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/srv/data/my_homes.json", ["/", "srv/", "data/", "my_", "homes.", "json"]),
        ("at sqlite:///data/my-homes.db now", ["at sqlite:///", "data/", "my-", "homes.", "db now"]),
        ("<b>light.a</b>", ["&lt;b&gt;light.a&lt;/b&gt;"]),
        ("plain words, and a - dash", ["plain words, and a - dash"]),
    ],
)
def test_a_path_breaks_between_its_parts_and_never_inside_a_word(text: str, parts: list[str]) -> None:
    assert str(breakable(text)).split("<wbr>") == parts


def test_a_score_that_is_not_defined_is_said_and_not_drawn_as_zero() -> None:
    drawn = score_chart("AUC", [Bar("model", None), Bar("nan", float("nan")), Bar("base", 0.4)])
    assert drawn.count("not defined") >= 2
    assert drawn.count("<rect") == 1
    assert "not defined" in curve_chart("Loss", [Curve("loss", [(0, None), (1, float("nan"))])], ("x", "y"))


def test_noise_is_drawn_as_noise() -> None:
    low, high = span_of([0.8295, 0.8314], 0.1)
    assert high - low >= 0.1
    assert low < 0.8295 < 0.8314 < high


def test_a_bin_of_three_rows_does_not_look_like_one_of_many() -> None:
    bins = [
        {"predicted": 0.1, "observed": 0.2, "rows": 3},
        {"predicted": 0.9, "observed": 0.8, "rows": 300},
        {"predicted": 0.5, "observed": 0.8, "rows": 300, "effective": 4.0},
    ]
    drawn = reliability_chart("x", bins)
    assert drawn.count('class="dot few"') == 2 + 1, "two bins, and the legend"
    assert "fewer than 10 rows" in drawn
    assert "fewer than" not in reliability_chart("x", bins[1:2])


def test_a_home_of_2000_entities_is_drawn_with_names_for_what_is_joined_alone() -> None:
    places = [Place(f"light.l{i}", f"Light {i}", f"Room {i % 40}") for i in range(2_000)]
    found = picture_of("home", places, [Arrow(f"light.l{i}", f"light.l{i + 1}") for i in range(0, 300, 2)], [])
    assert found.drawing.count('class="node joined"') == 300
    assert found.drawing.count('class="node"') == 1_700
    assert len(found.drawing) < 600_000
    spots = re.findall(r'class="node[^>]*transform="translate\((\d+) (\d+)\)"', found.drawing)
    assert len(set(spots)) == 2_000, "none covers another"


def test_numbers_and_settings_are_in_words() -> None:
    assert [number(v) for v in (None, float("nan"), 12_345, 0.80219, 48.33, 0)] == [
        *("not defined", "not defined", "12,345", "0.802", "48.3", "0")
    ]
    assert plain({"a": [1, True], "b": None}) == "a: 1, yes, b: none"
    assert visible("a\u202eb") == "a\ufffdb"


def test_style_and_script_hold_no_end_of_their_own_element() -> None:
    for name in ("page.css", "page.js"):
        assert "</" not in Markup((TEMPLATES / name).read_text(encoding="utf-8")).replace("</bdi", "")
