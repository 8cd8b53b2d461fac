"""Scatter charts as inline SVG, coloured by the page's style sheet so that dark mode and print
work.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

WIDTH, HEIGHT = 430, 310
LEFT, RIGHT, TOP, BOTTOM = 56, 14, 14, 44


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
        if one.trend:
            parts.append(_trend(one, x, y))
        for point in one.points:
            where = f'cx="{_px(x, point.x)}" cy="{_py(y, point.y)}"'
            parts.append(f"<circle {where} r='4'><title>{escape(point.label)}</title></circle>")
            if one.named:
                parts.append(_name(one.name, x, y, point))
        parts.append("</g>")
    parts.append("</svg>")
    return "".join(parts)


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
    corners = " ".join(f"{_px(x, a)},{_py(y, b)}" for a, b in binned_means(series.points))
    return f'<polyline class="trend" points="{corners}"/>'


def _name(name: str, x: Axis, y: Axis, point: Point) -> str:
    at = _px(x, point.x)
    right = at > 0.75 * WIDTH
    anchor, shift = ("end", -9) if right else ("start", 9)
    return (
        f'<text class="mark" x="{at}" y="{_py(y, point.y)}" dx="{shift}" dy="4" '
        f'style="text-anchor:{anchor}">{escape(name)}</text>'
    )


def _px(axis: Axis, value: float) -> float:
    return round(LEFT + axis.position(value) * (WIDTH - LEFT - RIGHT), 1)


def _py(axis: Axis, value: float) -> float:
    return round(HEIGHT - BOTTOM - axis.position(value) * (HEIGHT - TOP - BOTTOM), 1)
