"""Scatter charts as inline SVG, coloured by the page's style sheet so that dark mode and print
work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 430, 310
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 44
RADIUS = 4
LETTER, LINE = 10.0, 17.0
"""Room for a letter and for a line of text, at the size that print gives them."""

_CIRCLE = "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"
MARKS = (
    _CIRCLE,
    "m-3.5-3.5h7v7h-7z",
    "m0-4.8l4.5 8h-9z",
    "m0-4.9l4.9 4.9l-4.9 4.9l-4.9-4.9z",
    "m0 4.8l4.5-8h-9z",
    "m-1.4-4.4h2.8v3h3v2.8h-3v3h-2.8v-3h-3v-2.8h3z",
    "m-4-4h8l-8 8h8z",
    "m-4.8-1.7h9.6v3.4h-9.6z",
    _CIRCLE,
)
"""The outline of a mark by its series' colour, so that print without colours tells them apart."""


@dataclass(frozen=True)
class Point:
    """One mark, with the text that a hovering mouse shows."""

    x: float
    y: float
    label: str


@dataclass(frozen=True)
class Series:
    """Points of one colour, with a line through their binned means where `trend` is set."""

    name: str
    colour: int
    points: tuple[Point, ...]
    trend: bool = False
    named: bool = False
    """Whether each mark carries its series' name beside it."""

    @property
    def line(self) -> list[tuple[float, float]]:
        """The corners of the trend; empty where the points are too few for two means."""
        means = binned_means(self.points) if self.trend and self.points else []
        return means if len(means) > 1 else []


@dataclass(frozen=True)
class Label:
    """A text at its place: its anchor's position, and the box that it covers."""

    text: str
    x: float
    y: float
    anchor: str

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right, bottom."""
        width = LETTER * len(self.text)
        left = self.x - width if self.anchor == "end" else self.x
        return left, self.y - LINE / 2, left + width, self.y + LINE / 2

    def meets(self, other: tuple[float, float, float, float]) -> bool:
        """Whether the label covers part of a box."""
        left, top, right, bottom = self.box
        return left < other[2] and other[0] < right and top < other[3] and other[1] < bottom


@dataclass(frozen=True)
class Axis:
    """One axis: its words, range, and whether it is logarithmic."""

    label: str
    low: float
    high: float
    log: bool = False

    def position(self, value: float) -> float:
        """Where a value lies between 0 and 1."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values inside the range."""
        return log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)


def linear_ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten.

    >>> linear_ticks(30.2, 41.0)
    [32.0, 34.0, 36.0, 38.0, 40.0]
    """
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= raw)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten inside the range; with their doubles and fives where there are fewer than
    three.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    decades = [10.0**power for power in powers if low <= 10.0**power <= high]
    if len(decades) >= 3:
        return decades
    fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return [value for value in fine if low <= value <= high]


def axis_over(label: str, values: Sequence[float], *, log: bool = False) -> Axis:
    """An axis that holds all values with a little room."""
    low, high = min(values), max(values)
    if log:
        room = max((high / low) ** 0.12, 1.25)
        return Axis(label, low / room, high * room, log=True)
    room = 0.06 * (high - low) or max(0.5, abs(high) * 0.05)
    return Axis(label, low - room, high + room)


def scatter_chart(series: Sequence[Series], x: Axis, y: Axis, *, diagonal: bool = False) -> str:
    """The chart as an `<svg>` element."""
    parts = [f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">']
    parts += _grid(x, y)
    if diagonal:
        low, high = max(x.low, y.low), min(x.high, y.high)
        parts.append(
            f'<line class="diagonal" x1="{_px(x, low)}" y1="{_py(y, low)}" '
            f'x2="{_px(x, high)}" y2="{_py(y, high)}"/>'
        )
    for one in series:
        parts.append(f'<g class="series c{one.colour}">')
        if one.line:
            parts.append(_trend(one, x, y))
        for point in one.points:
            outline = f"M{_px(x, point.x)} {_py(y, point.y)}{MARKS[one.colour]}"
            title = f"<title>{escape(point.label)}</title>"
            parts.append(f'<path class="dot" d="{outline}">{title}</path>')
        parts.append("</g>")
    parts += _names(series, x, y)
    parts.append("</svg>")
    return "".join(parts)


def legend(series: Sequence[Series]) -> str:
    """The marks, and lines where some are drawn, with the names of their series."""
    items = []
    for one in series:
        line = '<line class="trend" x1="1" y1="6" x2="33" y2="6"/>' if one.line else ""
        mark = f'<path class="dot" d="M17 6{MARKS[one.colour]}"/>'
        items.append(
            f'<span class="key c{one.colour}"><svg class="swatch" viewBox="0 0 34 12">{line}{mark}'
            f"</svg>{escape(one.name)}</span>"
        )
    return f'<div class="legend">{"".join(items)}</div>'


def place_labels(marks: Sequence[tuple[str, float, float]]) -> list[Label]:
    """A place beside each mark (name, x, y) where its name covers no other name and no mark.

    Names go from the top down: right of the mark or left of it, at its height or, half a line at a
    time, above and below. Where the chart is too full, a name may cover marks, then names.
    """
    dots = [(x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS) for _, x, y in marks]
    placed: dict[int, Label] = {}
    for index in sorted(range(len(marks)), key=lambda i: (marks[i][2], marks[i][1])):
        name, x, y = marks[index]
        sides = (Label(name, x + 9, y, "start"), Label(name, x - 9, y, "end"))
        fitting = [s for s in sides if s.box[0] >= LEFT and s.box[2] <= WIDTH - RIGHT / 2]
        if not fitting:  # too long for either side: over or under the mark, as far right as it goes
            room = WIDTH - RIGHT / 2 - LETTER * len(name)
            fitting = [Label(name, max(RIGHT / 2, min(x + 9, room)), y, "start")]
        names = [label.box for label in placed.values()]
        places = [replace(side, y=y + shift) for shift in _shifts() for side in fitting]
        inside = [p for p in places if p.box[1] >= 0 and p.box[3] <= HEIGHT - BOTTOM]
        free = [p for p in inside if not any(p.meets(box) for box in names)]
        clear = [p for p in free if not any(p.meets(dot) for dot in dots)]
        placed[index] = (clear or free or fitting)[0]
    return [placed[index] for index in range(len(marks))]


def binned_means(points: Sequence[Point], bins: int = 6) -> list[tuple[float, float]]:
    """Means of x and y over equally filled bins along x."""
    ordered = sorted(points, key=lambda point: point.x)
    bins = max(1, min(bins, len(ordered) // 4))
    edges = [round(index * len(ordered) / bins) for index in range(bins + 1)]
    means = []
    for start, stop in pairwise(edges):
        part = ordered[start:stop]
        means.append((sum(p.x for p in part) / len(part), sum(p.y for p in part) / len(part)))
    return means


def _grid(x: Axis, y: Axis) -> list[str]:
    parts = []
    for value in x.ticks():
        at = _px(x, value)
        parts.append(f'<line class="grid" x1="{at}" y1="{TOP}" x2="{at}" y2="{HEIGHT - BOTTOM}"/>')
        parts.append(f'<text class="tick" x="{at}" y="{HEIGHT - BOTTOM + 16}">{value:g}</text>')
    for value in y.ticks():
        at = _py(y, value)
        parts.append(f'<line class="grid" x1="{LEFT}" y1="{at}" x2="{WIDTH - RIGHT}" y2="{at}"/>')
        parts.append(f'<text class="tick left" x="{LEFT - 8}" y="{at}" dy="4">{value:g}</text>')
    middle_x, middle_y = (LEFT + WIDTH - RIGHT) / 2, (TOP + HEIGHT - BOTTOM) / 2
    parts.append(f'<text class="axis" x="{middle_x}" y="{HEIGHT - 8}">{escape(x.label)}</text>')
    parts.append(
        f'<text class="axis" transform="translate(14 {middle_y}) rotate(-90)">'
        f"{escape(y.label)}</text>"
    )
    return parts


def _trend(series: Series, x: Axis, y: Axis) -> str:
    corners = " ".join(f"{_px(x, a)},{_py(y, b)}" for a, b in series.line)
    return f'<polyline class="trend" points="{corners}"/>'


def _names(series: Sequence[Series], x: Axis, y: Axis) -> list[str]:
    """The names of marks, with a thin line to the mark of each that stands above or below it."""
    marks = [(s.name, _px(x, p.x), _py(y, p.y)) for s in series if s.named for p in s.points]
    parts = []
    for label, (name, at, height) in zip(place_labels(marks), marks, strict=True):
        if abs(label.y - height) > LINE / 2:
            parts.append(
                f'<line class="leader" x1="{at}" y1="{height}" x2="{label.x}" y2="{label.y}"/>'
            )
        parts.append(
            f'<text class="mark" x="{label.x:.1f}" y="{label.y:.1f}" dy="4" '
            f'style="text-anchor:{label.anchor}">{escape(name)}</text>'
        )
    return parts


def _shifts() -> list[float]:
    """Heights to try for a label, the nearest first."""
    steps = int(HEIGHT / (LINE / 2))
    return [0.0, *(sign * LINE / 2 * step for step in range(1, steps) for sign in (-1, 1))]


def _px(axis: Axis, value: float) -> float:
    return round(LEFT + axis.position(value) * (WIDTH - LEFT - RIGHT), 1)


def _py(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - axis.position(value) * (HEIGHT - TOP - BOTTOM), 1)
