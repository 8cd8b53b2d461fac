"""Tiles of one static shape over an image of any size, and weights that blend them without a seam.

Everything is separable: a plan is two axes. Tile positions and sizes are multiples of an alignment,
so that every tile sees the network's poolings on the same grid as the whole image would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

ALIGNMENT = 32
"""Pixels. A multiple of what the bundled networks pool to (16, 32), coarse enough that images of
many small sizes share few compiled tile shapes. More for networks that need it (`alignment_for`).
"""

WORTH_A_SHAPE = 0.15
"""Share of an image's arithmetic that pays for a tile shape of its own, beside the one that large
photos share."""
LEAST_SAVED = 1_000_000
"""Pixels of tiles that pay for it: they take as long as a shape takes to compile on two cores."""


def alignment_for(multiple: int) -> int:
    """Of tiles for a network whose sides must be multiples of so many (`AINDNet.multiple`).

    >>> alignment_for(16), alignment_for(64), alignment_for(48)
    (32, 64, 96)
    """
    return math.lcm(ALIGNMENT, multiple)


def round_up(value: int, multiple: int = ALIGNMENT) -> int:
    """The smallest multiple that is not below `value`.

    >>> round_up(65), round_up(64)
    (96, 64)
    """
    return -(-value // multiple) * multiple


@dataclass(frozen=True)
class Axis:
    """Where tiles of one size lie along one side of an image, and how neighbours share pixels."""

    length: int
    """Pixels of the image along this side."""
    tile: int
    """Wanted tile size; a multiple of `alignment`. A shorter image gets a shorter tile."""
    overlap: int
    """Least pixels that neighbours share: a multiple of `alignment`, at most tile / 3."""
    discard: int
    """Outermost pixels of a tile, next to a neighbour, that are thrown away before blending."""
    alignment: int = ALIGNMENT
    """Pixels that tiles start at multiples of, and are multiples of."""

    def __post_init__(self) -> None:
        step = self.alignment
        if self.tile % step or self.overlap % step or self.tile <= 0:
            raise ValueError(f"tile and overlap must be positive multiples of {step} pixels")
        if 3 * self.overlap > self.tile or not 0 <= 2 * self.discard <= self.overlap:
            raise ValueError("the overlap must be at most a third of the tile and hold the discard")

    @property
    def padded(self) -> int:
        """The length with reflected pixels added at the end: a multiple of `alignment`."""
        return round_up(self.length, self.alignment)

    @property
    def size(self) -> int:
        """The size of every tile on this axis."""
        return min(self.tile, self.padded)

    @cached_property
    def positions(self) -> tuple[int, ...]:
        """First pixel of every tile: as few tiles as reach the end, spread evenly."""
        spare = (self.padded - self.size) // self.alignment
        if spare == 0:
            return (0,)
        steps = -(-spare * self.alignment // (self.size - self.overlap))
        return tuple(spare * i // steps * self.alignment for i in range(steps + 1))

    def weights(self, index: int) -> Array:
        """(size,) the share of tile `index` in each of its pixels; over all tiles they sum to one.

        Linear ramps, the width of the overlap without the discarded pixels, centred where two
        neighbours meet; the image's own border has weight one.
        """
        start = self.positions[index]
        x = start + np.arange(self.size, dtype=np.float64) + 0.5
        rising = np.ones(self.size) if index == 0 else self._ramp(index - 1, x)
        falling = np.zeros(self.size) if index == len(self.positions) - 1 else self._ramp(index, x)
        # Ramps of consecutive joints never overlap (tile ≥ 3·overlap), so this is the share.
        return (rising - falling).astype(np.float32)

    def _ramp(self, joint: int, x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        centre = (self.positions[joint] + self.size + self.positions[joint + 1]) / 2
        width = max(self.overlap - 2 * self.discard, 1)
        return np.clip((x - centre) / width + 0.5, 0.0, 1.0)


@dataclass(frozen=True)
class TilePlan:
    """The tiles of an image, row by row."""

    rows: Axis
    columns: Axis

    @property
    def tile_shape(self) -> tuple[int, int]:
        """(height, width) of every tile."""
        return self.rows.size, self.columns.size

    @property
    def pixels(self) -> int:
        """Of all tiles together."""
        height, width = self.tile_shape
        return height * len(self.rows.positions) * width * len(self.columns.positions)

    @property
    def single_tile(self) -> bool:
        """Whether one tile holds the whole image."""
        return len(self.rows.positions) == len(self.columns.positions) == 1


def plan_tiles(
    height: int,
    width: int,
    *,
    tile: int,
    overlap: int,
    discard: int = 0,
    fitted: bool = False,
    alignment: int = ALIGNMENT,
) -> TilePlan:
    """Tiles of `tile` pixels (rounded up to the alignment) over an image.

    With `fitted`, as many smaller ones that just cover it, where that saves `WORTH_A_SHAPE` and
    `LEAST_SAVED` pixels of the arithmetic. The overlap shrinks with a tile too small to hold it
    three times.
    """
    tile = round_up(max(tile, 3 * alignment), alignment)
    overlap = min(round_up(overlap, alignment), tile // 3 // alignment * alignment)
    shared = overlap, min(discard, overlap // 2), alignment
    whole, smaller = (
        TilePlan(Axis(height, rows, *shared), Axis(width, columns, *shared))
        for rows, columns in (
            (tile, tile),
            (fitting(height, tile, overlap, alignment), fitting(width, tile, overlap, alignment)),
        )
    )
    saved = whole.pixels - smaller.pixels
    worth = saved >= max(WORTH_A_SHAPE * whole.pixels, LEAST_SAVED)
    return smaller if fitted and worth else whole


def fitting(length: int, tile: int, overlap: int, alignment: int = ALIGNMENT) -> int:
    """The smallest tile, of three overlaps at least, that covers a side by as many as `tile` does.

    >>> fitting(1000, 960, 192), fitting(4000, 960, 192), fitting(500, 960, 192)
    (608, 960, 960)
    """
    padded = round_up(length, alignment)
    if padded <= tile:
        return tile
    count = -(-(padded - overlap) // (tile - overlap))
    return max(round_up(-(-(padded + (count - 1) * overlap) // count), alignment), 3 * overlap)


def reflect_to(strip: Array, rows: int, columns: int) -> Array:
    """Extend (h, w, C) at the bottom and right to (rows, columns, C) by mirroring; any h, w ≥ 1.

    >>> reflect_to(np.arange(3, dtype=np.float32).reshape(1, 3, 1), 1, 6)[0, :, 0].tolist()
    [0.0, 1.0, 2.0, 1.0, 0.0, 1.0]
    """
    for axis, size in ((0, rows), (1, columns)):
        length = strip.shape[axis]
        if length != size:
            strip = np.take(strip, _mirrored(length, size), axis=axis)
    return strip


def _mirrored(length: int, size: int) -> npt.NDArray[np.intp]:
    period = max(2 * (length - 1), 1)
    index = np.arange(size) % period
    return np.minimum(index, period - index)
