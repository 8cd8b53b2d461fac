"""Windows sampled from an image, and the statistics measured on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from aindnet.network.adaptive_norm import EPSILON
from aindnet.restore.backends.base import Array, Backend, TileStatistics
from aindnet.restore.ensemble import transform
from aindnet.restore.streaming import RowSource
from aindnet.restore.tiling import reflect_to


@dataclass(frozen=True)
class WindowSurveyor:
    """Measures square windows of an image under one symmetry of it (see `ensemble`)."""

    backend: Backend
    source: RowSource
    window: int
    """Pixels; an image smaller than this is extended by mirroring."""
    which: int

    def measure_row(self, y: int, starts: list[int]) -> Array:
        """Windows whose first row is y: mean and variance, (len(starts), 2, C)."""
        rows = self.source.rows(y, min(y + self.window, self.source.height))
        size = self.window
        windows = [reflect_to(rows[:, x : x + size], size, size) for x in starts]
        return measure(self.backend, windows, self.which)


def measure(backend: Backend, windows: list[Array], which: int) -> Array:
    """(len(windows), 2, C) mean and variance, in full batches of one static shape."""
    results = []
    for start in range(0, len(windows), backend.batch):
        part = windows[start : start + backend.batch]
        filled = part + [part[0]] * (backend.batch - len(part))
        tiles = np.stack([transform(each.transpose(2, 0, 1), which) for each in filled])
        results.append(backend.measure(np.ascontiguousarray(tiles))[: len(part)])
    return np.concatenate(results)


def measure_whole(backend: Backend, image: Array, which: int) -> Array:
    """(2, C) mean and variance of an image (H, W, C), alone: copies of it that fill a batch would
    take the memory of as many images.
    """
    tiles = transform(image.transpose(2, 0, 1), which)[None]
    measured: Array = backend.measure(np.ascontiguousarray(tiles))[0]
    return measured


def mean_and_deviation(measured: Array) -> Array:
    """Mean and variance (2, C) → mean and the deviation that is divided by, (2, C)."""
    return np.stack([measured[0], np.sqrt(measured[1] + np.float32(EPSILON))]).astype(np.float32)


def covering_count(length: int, window: int, spacing: int | None = None) -> int:
    """Windows, `spacing` apart at most (None: side by side), that reach over a side.

    >>> covering_count(512, 256), covering_count(513, 256), covering_count(100, 256)
    (2, 3, 1)
    """
    return max(1, -(-(length - window) // (spacing or window)) + 1)


def spread(length: int, count: int, window: int) -> list[int]:
    """First pixels of `count` windows at the centres of as many equal parts of a side.

    >>> spread(1000, 2, 256)
    [122, 622]
    """
    spare = max(length - window, 0)
    if count == 1:
        return [spare // 2]
    wanted = [round((i + 0.5) * length / count - window / 2) for i in range(count)]
    return [min(max(start, 0), spare) for start in wanted]


def interpolation(centres: Array, position: int, size: int, spacing: int) -> tuple[int, Array]:
    """First node that `size` pixels from `position` need, and their linear weights (size, nodes).

    The number of nodes follows from the size and the spacing alone, so that shapes stay static.
    """
    x = np.clip(position + np.arange(size) + 0.5, centres[0], centres[-1])
    place = np.interp(x, centres, np.arange(len(centres)))
    # Nodes lie at least half a spacing apart (an image just longer than a window has two).
    nodes = np.arange(2 * size // spacing + 3)
    first = int(place[0])
    weights = np.maximum(1 - np.abs(place[:, None] - (first + nodes)[None]), 0)
    return first, weights.astype(np.float32)


def transformed(grid: Array, rows: Array, columns: Array, which: int) -> TileStatistics:
    """A tile's statistics on a grid, for the tile under symmetry `which`."""
    if which & 4:
        rows, columns = columns, rows
    if which & 2:
        rows = rows[::-1, ::-1]
    if which & 1:
        columns = columns[::-1, ::-1]
    return TileStatistics(transform(grid, which), rows, columns)
