"""Charts as inline SVG. They take their colours from the page's style, so they follow light, dark and print.

Each is drawn for a width of ``WIDTH``, about that of a phone, and is scaled up on a wider screen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from data_sources.counting import many
from training.pages.rendering import number, shortened, visible

WIDTH = 340
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 10, 36  # margins of a plot
FEW = 10  # rows below which a share of them says little
NAME_LETTERS = 21  # of a name beside a bar
DOTTED = 20  # points of a curve that are drawn as dots too, at most


class Interval(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Bar:
    """One row of ``score_chart``.

    Attributes:
        name: What is scored.
        value: Its score; None where it is not defined.
        interval: Its 95 % interval, if there is one.
        own: Whether it is the model's own, which stands out.
    """

    name: str
    value: float | None
    interval: Sequence[float] | None = None
    own: bool = False


@dataclass(frozen=True)
class Curve:
    """One line of ``curve_chart``: ``points`` (x, y); those without a y are left out. ``kind`` names its style."""

    name: str
    points: Sequence[tuple[float, float | None]]
    kind: str = "own"


class _Drawing:
    """The elements of an SVG; every value is escaped."""

    def __init__(self, height: float, label: str) -> None:
        self.height, self._label = height, label
        self._parts: list[Markup] = []

    def add(self, tag: str, text: str | None = None, title: str | None = None, **attributes: Any) -> None:
        named = Markup("").join(
            Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _short(value))
            for name, value in attributes.items()
        )
        inner = Markup("<title>{}</title>").format(visible(title)) if title is not None else Markup("")
        inner += escape(visible(text)) if text is not None else Markup("")
        self._parts.append(Markup("<{0}{1}>{2}</{0}>").format(Markup(tag), named, inner))  # noqa: S704

    def text(self, x: float, y: float, text: str, anchor: str = "start", kind: str = "label") -> None:
        self.add("text", text, x=x, y=y, text_anchor=anchor, class_=kind)

    def figure(self, caption: str, note: str = "", legend: Sequence[tuple[str, str]] = ()) -> Markup:
        """The drawing with its caption; ``legend`` holds (kind, meaning)."""
        keys = Markup("").join(
            Markup('<li><svg class="key" width="22" height="10" aria-hidden="true">{}</svg>{}</li>').format(
                _KEYS[kind], visible(meaning)
            )
            for kind, meaning in legend
        )
        return Markup(
            '<figure class="chart"><figcaption>{}</figcaption><svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}'
            "</svg>{}{}</figure>"
        ).format(
            visible(caption),
            WIDTH,
            _short(self.height),
            visible(self._label),
            Markup("").join(self._parts),
            Markup('<ul class="legend">{}</ul>').format(keys) if keys else "",
            Markup('<p class="note">{}</p>').format(visible(note)) if note else "",
        )


_LINE = Markup('<line x1="0" y1="5" x2="22" y2="5" class="{}"/>')
_KEYS = {
    "own": _LINE.format("curve own"),
    "base": _LINE.format("curve base"),
    "chance": _LINE.format("chance"),
    "chosen": _LINE.format("chosen"),
    "band": Markup('<rect width="22" height="10" class="band"/>'),
    "dot": Markup('<circle cx="11" cy="5" r="4" class="dot"/>'),
    "few": Markup('<circle cx="11" cy="5" r="4" class="dot few"/>'),
    "live": Markup('<rect y="2" width="22" height="6" class="live"/>'),
    "refused": Markup('<circle cx="11" cy="5" r="4" class="dot refused"/>'),
}


def _short(value: Any) -> Any:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value


class _Axis:
    """Maps values to places, and knows round numbers between its ends."""

    def __init__(self, low: float, high: float, start: float, end: float) -> None:
        self.low, self.high, self._start, self._end = low, high, start, end

    def __call__(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1)
        return self._start + share * (self._end - self._start)

    def ticks(self, most: int = 5, whole: bool = False) -> list[float]:
        span = self.high - self.low or 1
        step = 10 ** math.floor(math.log10(span / most))
        step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= most)
        step = max(step, 1) if whole else step
        first = math.ceil(self.low / step - 1e-9)
        return [round(i * step, 10) for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def _tick(value: float) -> str:
    return f"{value:g}" if abs(value) < 10_000 else f"{value:,.0f}"


def _frame(
    drawing: _Drawing, x: _Axis, y: _Axis, labels: tuple[str, str], *, whole: bool = False, counts: bool = False
) -> None:
    bottom = y(y.low)
    for tick in y.ticks(whole=counts):
        drawing.add("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(tick), y2=y(tick), class_="grid")
        drawing.text(LEFT - 5, y(tick) + 3.5, _tick(tick), "end", "tick")
    for tick in x.ticks(6, whole):
        drawing.text(x(tick), bottom + 13, _tick(tick), "middle", "tick")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, bottom + 28, labels[0], "middle")
    drawing.add(
        "text", labels[1], x=-(TOP + bottom) / 2, y=11, transform="rotate(-90)", text_anchor="middle", class_="label"
    )


def span_of(values: Sequence[float], least: float) -> Interval:
    """The ends of an axis that shows all values, and never less than ``least``: so noise looks like noise."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    missing = max(0.0, least - (high - low)) / 2
    room = 0.05 * max(high - low, least)
    start = low - missing - room
    return Interval(max(start, 0.0) if low >= 0 else start, high + missing + room)


def curve_chart(
    caption: str,
    curves: Sequence[Curve],
    labels: tuple[str, str],
    *,
    x: tuple[float, float] | None = None,
    y: tuple[float, float] | None = None,
    least: float = 0.0,
    band: float | None = None,
    chosen: tuple[float, str] | None = None,
    chance: tuple[float, str] | None = None,
    whole: bool = False,
    note: str = "",
    height: int = 210,
) -> Markup:
    """Lines over a number.

    Args:
        caption: What is shown.
        curves: The lines, the first one of the model.
        labels: Of the two axes.
        x: Ends of the first axis; those of the points if not given.
        y: Ends of the second axis.
        least: The least range of the second axis, where ``y`` is not given.
        band: Half the width of the noise around the first line.
        chosen: A place on the first axis, and what it is.
        chance: A height, and what it is.
        whole: Whether the first axis counts.
        note: A sentence below.
        height: Of the drawing.
    """
    known = [(curve, [(a, b) for a, b in curve.points if b is not None and not math.isnan(b)]) for curve in curves]
    xs = [a for curve in curves for a, _ in curve.points]
    ys = [
        b + side for i, (_, points) in enumerate(known) for _, b in points for side in _sides(band if not i else None)
    ]
    left, right = x or (min(xs, default=0), max(xs, default=1))
    right = right if right > left else left + 1
    across = _Axis(left, right, LEFT, WIDTH - RIGHT)
    low, high = y or span_of(ys, least)
    up = _Axis(low, high, height - BOTTOM, TOP)
    said = ", ".join(f"{c.name} from {number(p[0][1])} to {number(p[-1][1])}" for c, p in known if p) or "nothing"
    drawing = _Drawing(height, f"{caption}: {said}")
    _frame(drawing, across, up, labels, whole=whole)
    legend: list[tuple[str, str]] = []
    if band is not None and known and known[0][1]:
        points = known[0][1]
        edge = [(a, b + band) for a, b in points] + [(a, b - band) for a, b in reversed(points)]
        drawing.add("polygon", points=_path(edge, across, up), class_="band")
        legend.append(("band", "what chance alone may move it (95 %, at most)"))
    if chance is not None:
        drawing.add("line", x1=LEFT, x2=WIDTH - RIGHT, y1=up(chance[0]), y2=up(chance[0]), class_="chance")
        legend.append(("chance", chance[1]))
    if chosen is not None:
        drawing.add("line", x1=across(chosen[0]), x2=across(chosen[0]), y1=TOP, y2=height - BOTTOM, class_="chosen")
        legend.append(("chosen", chosen[1]))
    for curve, points in known:
        if not points:
            continue
        drawing.add("polyline", points=_path(points, across, up), class_=f"curve {curve.kind}")
        if len(points) <= DOTTED:
            for a, b in points:
                drawing.add(
                    "circle", title=f"{_tick(a)}: {number(b)}", cx=across(a), cy=up(b), r=2, class_=f"dot {curve.kind}"
                )
    legend = [*((c.kind, c.name) for c, p in known if p), *legend]
    if not any(points for _, points in known):
        drawing.text((LEFT + WIDTH - RIGHT) / 2, (TOP + height - BOTTOM) / 2, "not defined", "middle")
    return drawing.figure(caption, note, legend)


def _sides(band: float | None) -> tuple[float, ...]:
    return (0.0,) if band is None else (-band, band)


def _path(points: Sequence[tuple[float, float]], x: _Axis, y: _Axis) -> str:
    return " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in points)


def score_chart(caption: str, bars: Sequence[Bar], *, best: float | None = 1.0, note: str = "") -> Markup:
    """Scores of several scorers, each with its interval. One that is not defined says so and is no zero.

    Args:
        caption: What is scored.
        bars: The scores.
        best: The end of the axis, which begins at 0; by default the largest score.
        note: A sentence below.
    """
    start, end, row = 134, WIDTH - 42, 24
    bottom = TOP + row * len(bars)
    ends = [v for bar in bars for v in (bar.value, *(bar.interval or ())) if v is not None]
    axis = _Axis(0, best if best is not None else max(ends, default=1.0) or 1.0, start, end)
    said = ", ".join(f"{bar.name} {number(bar.value)}" for bar in bars)
    drawing = _Drawing(bottom + 20, f"{caption}: {said}")
    for tick in axis.ticks(4):
        drawing.add("line", x1=axis(tick), x2=axis(tick), y1=TOP, y2=bottom, class_="grid")
        drawing.text(axis(tick), bottom + 13, _tick(tick), "middle", "tick")
    for i, bar in enumerate(bars):
        middle = TOP + row * (i + 0.5)
        name = shortened(bar.name, NAME_LETTERS)
        drawing.add(
            "text",
            name,
            bar.name if name != bar.name else None,
            x=start - 8,
            y=middle + 4,
            text_anchor="end",
            class_="label own" if bar.own else "label",
        )
        if bar.value is None or math.isnan(bar.value):
            drawing.text(start + 4, middle + 4, "not defined", kind="tick")
            continue
        kind = "own" if bar.own else "base"
        width = max(axis(bar.value) - start, 0)
        drawing.add("rect", x=start, y=middle - 5, width=width, height=10, rx=2, class_=f"bar {kind}")
        if bar.interval is not None:
            low, high = (axis(side) for side in bar.interval)
            drawing.add("path", d=f"M{low:.1f} {middle - 4}v8m0-4H{high:.1f}m0-4v8", class_="whisker")
        drawing.text(WIDTH, middle + 4, number(bar.value), "end", "tick")
    return drawing.figure(caption, note)


def reliability_chart(caption: str, bins: Sequence[dict[str, float]], note: str = "") -> Markup:
    """Observed shares over predicted probabilities. What rests on fewer than ``FEW`` rows is drawn hollow and small.

    Args:
        caption: What is shown.
        bins: ``predicted``, ``observed`` and ``rows`` of each; ``effective``, how many rows of equal weight are worth
            as much, where rows have weights.
        note: A sentence below.
    """
    height = 320
    x, y = _Axis(0, 1, LEFT, WIDTH - RIGHT), _Axis(0, 1, 236, TOP)
    said = ", ".join(
        f"{b['predicted']:.2f} came true {b['observed']:.2f} ({many(int(b['rows']), 'row')})" for b in bins
    )
    drawing = _Drawing(height, f"{caption}: {said or 'nothing'}")
    _frame(drawing, x, y, ("", "share that came true"))
    drawing.add("line", x1=x(0), y1=y(0), x2=x(1), y2=y(1), class_="chance")
    most = max((b["rows"] for b in bins), default=1)
    counts = _Axis(0, most, height - 20, 262)
    drawing.text(LEFT - 5, 270, f"{most:,}", "end", "tick")
    drawing.text(LEFT - 5, height - 20, "0", "end", "tick")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, height - 4, "predicted probability; below: rows", "middle")
    for b in bins:
        worth = b.get("effective", b["rows"])
        low, high = wilson(b["observed"], worth)
        few = worth < FEW
        kind = " few" if few else ""
        place = x(b["predicted"])
        drawing.add("path", d=f"M{place - 4:.1f} {y(low):.1f}h8m-4 0V{y(high):.1f}m-4 0h8", class_=f"whisker{kind}")
        told = f"predicted {b['predicted']:.2f}, came true {b['observed']:.2f} of {many(int(b['rows']), 'row')}"
        radius = 2.5 if few else 3.0 + 4 * math.sqrt(worth / max(most, worth))
        drawing.add("circle", title=told, cx=place, cy=y(b["observed"]), r=radius, class_=f"dot{kind}")
        top = counts(b["rows"])
        drawing.add("rect", x=place - 8, y=top, width=16, height=height - 20 - top, class_=f"count{kind}")
    legend = [("chance", "as promised"), ("dot", "this model, 95 % interval")]
    if any(b.get("effective", b["rows"]) < FEW for b in bins):
        legend.append(("few", f"rests on fewer than {FEW} rows"))
    return drawing.figure(caption, note, legend)


def wilson(share: float, rows: float, z: float = 1.96) -> Interval:
    """Wilson score interval (Wilson, 1927) of a ``share`` of ``rows``, widened if needed to contain the share."""
    middle = (share + z * z / (2 * rows)) / (1 + z * z / rows)
    half = z / (1 + z * z / rows) * math.sqrt(share * (1 - share) / rows + z * z / (4 * rows * rows))
    return Interval(min(share, middle - half), max(share, middle + half))


def histogram_chart(caption: str, scores: Sequence[float], best: float, label: str, note: str = "") -> Markup:
    """How many rows have which score, from 0 to ``best``."""
    bins = 10
    counts = [0] * bins
    for score in scores:
        counts[min(bins - 1, max(0, int(score / best * bins)))] += 1
    height = 170
    x, y = _Axis(0, best, LEFT, WIDTH - RIGHT), _Axis(0, max(*counts, 1), height - BOTTOM, TOP)
    said = ", ".join(f"{count} from {i * best / bins:g}" for i, count in enumerate(counts) if count)
    drawing = _Drawing(height, f"{caption}: {said or 'nothing'}")
    _frame(drawing, x, y, (label, "rows"), counts=True)
    wide = x(best / bins) - x(0)
    for i, count in enumerate(counts):
        if count:
            top = y(count)
            drawing.add(
                "rect",
                title=many(count, "row"),
                x=x(i * best / bins) + 1,
                y=top,
                width=wide - 2,
                height=height - BOTTOM - top,
                class_="bar own",
            )
    return drawing.figure(caption, note)


def hours_chart(caption: str, rows: Sequence[tuple[str, Sequence[int]]], note: str = "") -> Markup:
    """A strip of 24 hours for each row, the taller the more often something happened in that hour."""
    start, wide, tall = 4, (WIDTH - 8) / 24, 26
    height = len(rows) * (tall + 18) + 16
    said = "; ".join(
        f"{name} most often at {max(range(24), key=lambda h: own[h])}:00" for name, own in rows if any(own)
    )
    drawing = _Drawing(height, f"{caption}: {said or 'nothing'}")
    for i, (name, own) in enumerate(rows):
        bottom = i * (tall + 18) + tall + 16
        drawing.text(start, bottom - tall - 4, shortened(name, 48))
        drawing.add("line", x1=start, x2=WIDTH - 4, y1=bottom, y2=bottom, class_="grid")
        for hour, count in enumerate(own):
            if count:
                part = tall * count / max(own)
                drawing.add(
                    "rect",
                    title=f"{hour}:00, {many(count, 'time')}",
                    x=start + hour * wide + 1,
                    y=bottom - part,
                    width=wide - 2,
                    height=part,
                    class_=f"bar {'base' if not i else 'own'}",
                )
    for hour in (0, 6, 12, 18, 24):
        anchor = {0: "start", 24: "end"}.get(hour, "middle")
        drawing.text(start + hour * wide, height - 3, f"{hour}:00", anchor, "tick")
    return drawing.figure(caption, note)


def sequence_chart(
    caption: str, first: str, then: str, seconds: float, share: tuple[int, int], note: str = ""
) -> Markup:
    """What a person did after what: the two events on a line of time, and how often the second followed.

    Args:
        caption: What was seen.
        first: The first event.
        then: What followed.
        seconds: Within how many it followed.
        share: How often it followed, of how many times that the first one happened.
        note: A sentence below.
    """
    height, start, end = 84, 10, WIDTH - 10
    followed, times = share
    drawing = _Drawing(height, f"{caption}: {then} followed {first} {followed} of {many(times, 'time')}")
    drawing.add("line", x1=start, x2=end, y1=34, y2=34, class_="axis")
    drawing.add("rect", x=start, y=28, width=end - start, height=12, rx=6, class_="band")
    for place, text, above, anchor, kind in (
        (start + 6, first, 18, "start", "base"),
        (end - 6, then, 18 if len(first) + len(then) < 40 else 54, "end", "own"),
    ):
        drawing.add("circle", cx=place, cy=34, r=6, class_=f"bar {kind}")
        drawing.text(place + (-6 if anchor == "start" else 6), above, shortened(text, 46), anchor)
    minutes = round(seconds / 60)
    within = f"within {'a minute' if minutes <= 1 else f'{minutes} minutes'}"
    drawing.text(WIDTH / 2, 37.5, within, "middle", "tick")
    drawing.add("rect", x=start, y=66, width=end - start, height=8, rx=4, class_="count")
    drawing.add(
        "rect",
        title=f"{followed} of {many(times, 'time')}",
        x=start,
        y=66,
        width=(end - start) * min(1.0, followed / max(times, 1)),
        height=8,
        rx=4,
        class_="bar own",
    )
    return drawing.figure(caption, note)


@dataclass(frozen=True)
class VersionScore:
    """One version of a model in ``history_chart``.

    Attributes:
        name: Its name.
        score: What it was judged with; None where it has no score.
        live: Whether it is live.
        was_live: Whether it ever was.
    """

    name: str
    score: float | None
    live: bool = False
    was_live: bool = False


def history_chart(caption: str, versions: Sequence[VersionScore], best: float, label: str, note: str = "") -> Markup:
    """The scores of a model's versions, the oldest first; those that were live are filled, the others hollow."""
    height = 180
    scores = [v.score for v in versions if v.score is not None]
    low, high = span_of(scores, 0.2 * best)
    y = _Axis(max(0.0, low), min(best, max(high, 0.2 * best)), height - BOTTOM, TOP)
    x = _Axis(0, max(1, len(versions) - 1), LEFT + 12, WIDTH - RIGHT - 12)
    said = ", ".join(f"{v.name} {number(v.score)}{' (live)' if v.live else ''}" for v in versions)
    drawing = _Drawing(height, f"{caption}: {said or 'nothing'}")
    for tick in y.ticks(4):
        drawing.add("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(tick), y2=y(tick), class_="grid")
        drawing.text(LEFT - 5, y(tick) + 3.5, _tick(tick), "end", "tick")
    drawing.add("text", label, x=-(TOP + height - BOTTOM) / 2, y=11, transform="rotate(-90)", text_anchor="middle",
                class_="label")  # fmt: skip
    lived = [(i, v.score) for i, v in enumerate(versions) if v.was_live and v.score is not None]
    if len(lived) > 1:
        drawing.add("polyline", points=_path(lived, x, y), class_="curve own")
    for i, version in enumerate(versions):
        if version.live:
            drawing.add("rect", x=x(i) - 9, y=TOP, width=18, height=height - BOTTOM - TOP, rx=4, class_="live")
        told = f"{version.name}: {number(version.score)}"
        if version.score is None:
            drawing.add("text", "?", told, x=x(i), y=height - BOTTOM - 4, text_anchor="middle", class_="label")
            continue
        kind = "dot" if version.was_live else "dot refused"
        drawing.add("circle", title=told, cx=x(i), cy=y(version.score), r=5, class_=kind)
    for i in sorted({0, len(versions) - 1}):
        anchor = "start" if not i else "end"
        drawing.text(x(i) + (-12 if not i else 12), height - 20, versions[i].name[:8], anchor, "tick")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, height - 6, "versions, the oldest first", "middle")
    legend = [("dot", "went live"), ("refused", "refused")]
    return drawing.figure(caption, note, [*legend, *([("live", "live now")] if any(v.live for v in versions) else [])])
