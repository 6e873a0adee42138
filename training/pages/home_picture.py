"""The picture of a home: its areas as groups, its entities in them, known and suggested pairs as arrows."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from training.pages.rendering import shortened

ASPECT = 1.6  # width over height that the whole picture is packed to
CELL, ROW = 170.0, 22.0  # of an entity with its name
DOT = 14.0  # of an entity that is joined with nothing
PADDING, GAP = 10.0, 18.0
NAME_LETTERS = 21
SHOWN = 200  # letters of a name that a search looks through


class Place(NamedTuple):
    """An entity of the picture: its id, its name, and the group that it is drawn in."""

    entity_id: str
    name: str
    group: str


class Arrow(NamedTuple):
    """A pair (trigger, action) by entity ids, and its score where it is suggested."""

    trigger: str
    action: str
    score: float | None = None


@dataclass(frozen=True)
class HomePicture:
    """What a template shows: a sentence, the drawing, and the suggested pairs in words, best first."""

    name: str
    said: str
    drawing: Markup
    suggested: Sequence[str]


def picture_of(
    name: str, places: Sequence[Place], known: Iterable[Arrow], suggested: Iterable[Arrow], note: str = ""
) -> HomePicture:
    """Draw a home. Entities in a pair have their names beside them; the others are dots, which a search finds.

    Args:
        name: Of the home.
        places: Its entities.
        known: Pairs that it automates.
        suggested: Pairs that it does not, best first.
        note: A sentence beside the counts.
    """
    index = {place.entity_id: i for i, place in enumerate(places)}
    arrows = {"known": _drawable(known, index), "suggested": _drawable(suggested, index)}
    joined = {end for own in arrows.values() for arrow in own for end in arrow[:2]}
    groups: dict[str, list[int]] = defaultdict(list)
    for place in sorted(places, key=lambda p: (p.entity_id not in joined, p.entity_id)):
        groups[place.group].append(index[place.entity_id])
    names = {i: places[i].entity_id in joined for i in range(len(places))}
    boxes = [_Box.of(group, members, names) for group, members in groups.items()]
    width, height = _pack(boxes)
    spots = {i: spot for box in boxes for i, spot in box.spots()}
    size = min(max(width / 60, 13.0), 60.0)
    parts = [box.drawn(size) for box in boxes]
    parts += [_curve(kind, arrow, index, spots) for kind, own in arrows.items() for arrow in own]
    parts += [_node(i, places[i], spots[i], names[i]) for i in range(len(places))]
    drawing = Markup(
        '<svg viewBox="{} {} {} {}" role="img" aria-label="{}" preserveAspectRatio="xMidYMid meet">{}</svg>'
    )
    shown = {place.entity_id: place.name for place in places}
    counted = (
        f"entities: {len(places):,}, groups: {len(groups):,}, automated pairs: {len(arrows['known']):,}, "
        f"suggested: {len(arrows['suggested']):,}"
    )
    return HomePicture(
        name,
        f"{counted[0].upper()}{counted[1:]}. {note}".strip(),
        drawing.format(
            *(f"{v:.0f}" for v in (-GAP, -GAP - size, width + 2 * GAP, height + 2 * GAP + size)),
            f"{shortened(name, 80)}: {counted}",
            Markup("").join(parts),
        ),
        [
            f"{shown[a.trigger]} → {shown[a.action]}" + ("" if a.score is None else f", score {a.score:.2f}")
            for a in arrows["suggested"]
        ],
    )


def _drawable(arrows: Iterable[Arrow], index: dict[str, int]) -> list[Arrow]:
    return [arrow for arrow in arrows if {arrow.trigger, arrow.action} <= index.keys()]


@dataclass
class _Box:
    """A group: its entities with names in a grid, the others as dots below."""

    name: str
    named: list[int]
    dots: list[int]
    columns: int
    dot_columns: int
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0

    @classmethod
    def of(cls, name: str, members: Sequence[int], has_name: dict[int, bool]) -> _Box:
        named = [i for i in members if has_name[i]]
        dots = [i for i in members if not has_name[i]]
        area = len(named) * CELL * ROW + len(dots) * DOT * DOT
        columns = max(1, min(len(named), round(math.sqrt(area * ASPECT) / CELL))) if named else 0
        wide = max(columns * CELL, 110.0, math.sqrt(area * ASPECT) if not named else 0.0)
        dot_columns = max(1, int(wide // DOT))
        rows = math.ceil(len(named) / columns) if named else 0
        height = rows * ROW + math.ceil(len(dots) / dot_columns) * DOT
        return cls(name, named, dots, columns, dot_columns, wide + 2 * PADDING, height + 2 * PADDING)

    def spots(self) -> Iterable[tuple[int, tuple[float, float]]]:
        left, top = self.x + PADDING, self.y + PADDING
        for n, i in enumerate(self.named):
            yield i, (left + n % self.columns * CELL + 6, top + n // self.columns * ROW + ROW / 2)
        top += math.ceil(len(self.named) / self.columns) * ROW if self.named else 0
        for n, i in enumerate(self.dots):
            yield i, (left + n % self.dot_columns * DOT + 6, top + n // self.dot_columns * DOT + DOT / 2)

    def drawn(self, size: float) -> Markup:
        letters = max(3, int(self.width / (0.56 * size)))
        return Markup(
            '<rect class="room" x="{}" y="{}" width="{}" height="{}" rx="8"/><text class="roomname" x="{}" y="{}" '
            'style="font-size:{}px">{}</text>'
        ).format(
            *(f"{v:.0f}" for v in (self.x, self.y, self.width, self.height, self.x + 4, self.y - 0.3 * size, size)),
            shortened(self.name, letters),
        )


def _pack(boxes: list[_Box]) -> tuple[float, float]:
    """Place the boxes on shelves, the tallest first; the width and height of all."""
    boxes.sort(key=lambda box: (-box.height, -box.width, box.name))
    above = 2 * GAP  # room for the name of a group
    wide = max((box.width for box in boxes), default=100.0)
    total = sum((box.width + GAP) * (box.height + above) for box in boxes)
    limit = max(wide, math.sqrt(total * ASPECT))
    title = min(max(limit / 60, 13.0), 60.0) * 1.4 + GAP
    x = y = shelf = widest = 0.0
    for box in boxes:
        if x and x + box.width > limit:
            x, y, shelf = 0.0, y + shelf + title, 0.0
        box.x, box.y = x, y
        x += box.width + GAP
        shelf, widest = max(shelf, box.height), max(widest, box.x + box.width)
    return widest, y + shelf


def _node(i: int, place: Place, spot: tuple[float, float], named: bool) -> Markup:
    name = shortened(place.name, NAME_LETTERS)
    return Markup(
        '<g class="node{}" data-i="{}" data-id="{}" data-name="{}" transform="translate({} {})"><title>{}</title>'
        '<circle r="{}"/>{}</g>'
    ).format(
        " joined" if named else "",
        i,
        shortened(place.entity_id, SHOWN),
        shortened(place.name, SHOWN),
        *(f"{v:.0f}" for v in spot),
        f"{shortened(place.name, SHOWN)} ({shortened(place.entity_id, SHOWN)})",
        5 if named else 4,
        Markup('<text x="9" y="4">{}</text>').format(name) if named else "",
    )


def _curve(kind: str, arrow: Arrow, index: dict[str, int], spots: dict[int, tuple[float, float]]) -> Markup:
    """A bow from trigger to action with a head; the bow of the reverse pair is on the other side.

    In one column both are on the left, where no name is.
    """
    t, a = index[arrow.trigger], index[arrow.action]
    (x1, y1), (x2, y2) = spots[t], spots[a]
    dx, dy = x2 - x1, y2 - y1
    long = math.hypot(dx, dy) or 1.0
    bow = min(0.18 * long, 60.0)
    if abs(dx) < 1:
        bow = math.copysign(min(10 + 0.25 * long, 90.0), dy)
    cx, cy = (x1 + x2) / 2 - dy / long * bow, (y1 + y2) / 2 + dx / long * bow
    ux, uy = x2 - cx, y2 - cy
    near = math.hypot(ux, uy) or 1.0
    ux, uy = ux / near, uy / near
    tip, back = (x2 - 6 * ux, y2 - 6 * uy), (x2 - 14 * ux, y2 - 14 * uy)
    head = " ".join(
        f"{x:.1f},{y:.1f}" for x, y in (tip, (back[0] - 4 * uy, back[1] + 4 * ux), (back[0] + 4 * uy, back[1] - 4 * ux))
    )
    return Markup(
        '<g class="pair {0}" data-t="{1}" data-a="{2}" data-kind="{0}"><path d="M{3} {4}Q{5} {6} {7} {8}"/>'
        '<polygon class="head {0}" points="{9}"/></g>'
    ).format(kind, t, a, *(f"{v:.0f}" for v in (x1, y1, cx, cy)), *(f"{v:.1f}" for v in back), head)
