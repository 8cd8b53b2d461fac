"""Images as rows: what the denoiser reads from, what it yields, and the blending in between."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aindnet.errors import InvalidImageError
from aindnet.restore.tiling import TilePlan, reflect_to

RGB = npt.NDArray[np.float32]


class RowSource(Protocol):
    """An image that can be read by rows, in any order; rows may be read more than once.

    One whose three channels are copies of a single one may have an attribute `grey` that is true.
    """

    @property
    def height(self) -> int:
        """Pixels."""

    @property
    def width(self) -> int:
        """Pixels."""

    def rows(self, y0: int, y1: int) -> RGB:
        """Rows y0 to y1 (exclusive): float32 (y1 - y0, width, 3), sRGB-encoded, white at 1."""


def is_grey(source: RowSource) -> bool:
    """Whether a source says that it has no colour."""
    return bool(getattr(source, "grey", False))


@dataclass(frozen=True)
class ArraySource:
    """An RGB array (H, W, 3) in memory, as a `RowSource`."""

    rgb: RGB
    grey: bool = False
    """Whether its three channels are copies of one, and its result will be one again."""

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.rgb.shape[0])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.rgb.shape[1])

    def rows(self, y0: int, y1: int) -> RGB:
        """Rows y0 to y1 (exclusive)."""
        return self.rgb[y0:y1]


@dataclass(frozen=True)
class Band:
    """Finished rows of an image; bands come top to bottom and cover it without gap."""

    y: int
    """The first row."""
    rgb: RGB
    """(rows, W, 3), denoised; not clipped."""
    noise_level: RGB
    """(rows, W, 3), estimated standard deviation of the noise on the [0, 1] scale."""


CLIPPED, UNCLIPPED = (0.0, 1.0), (-1.0, 2.0)
"""What the network is shown of float images, as in its training; what lies beyond passes by it."""
NOISE_BEYOND = 3.0
"""Standard deviations of the noise that may lie beyond black and white and be noise alone."""


def outside(rgb: RGB, noise_level: RGB, visible: tuple[float, float] = CLIPPED) -> RGB:
    """What of pixels (…, 3) the network does not see, but for what may be noise of that level.

    Nothing up to some deviations of the noise, without a jump there, and all of it far beyond
    (the non-negative garrote: Gao 1998).
    """
    beyond = rgb - np.clip(rgb, *visible)
    size = np.abs(beyond)
    noise = NOISE_BEYOND * noise_level
    kept = size - noise**2 / np.maximum(np.maximum(size, noise), np.finfo(np.float32).tiny)
    return np.asarray(np.copysign(np.maximum(kept, 0), beyond), np.float32)


@dataclass(frozen=True)
class VisibleRows:
    """A source as a network of so many channels sees it."""

    source: RowSource
    channels: int
    visible: tuple[float, float] = CLIPPED

    @property
    def height(self) -> int:
        """Pixels."""
        return self.source.height

    @property
    def width(self) -> int:
        """Pixels."""
        return self.source.width

    def rows(self, y0: int, y1: int) -> RGB:
        """Rows y0 to y1 (exclusive): (rows, W, channels)."""
        return self.of(self.source.rows(y0, y1))

    def of(self, rgb: RGB) -> RGB:
        """Pixels (…, 3) as the network sees them: (…, channels).

        Raises `InvalidImageError` for NaN and infinite values, and for colour where the network is
        for grey photos.
        """
        if not np.isfinite(rgb).all():
            raise InvalidImageError("the image has NaN or infinite values: replace them first")
        visible = np.clip(rgb, *self.visible)
        if self.channels == 3:
            return visible
        if (visible != visible[..., :1]).any():
            raise InvalidImageError("this model is for grey photos only, and the image has colour")
        return visible[..., :1]


class StripReader:
    """Reads a plan's rows of tiles, extended at the bottom and right to the plan's padded size."""

    def __init__(self, source: RowSource, plan: TilePlan) -> None:
        self._source = source
        self._plan = plan

    def strip(self, start: int) -> RGB:
        """(tile height, padded width, 3) from row `start`.

        Raises `InvalidImageError` where the source gives other rows than it was asked for.
        """
        rows, columns = self._plan.rows, self._plan.columns
        end = min(start + rows.size, rows.length)
        pixels = self._source.rows(start, end)
        expected = (end - start, self._source.width, 3)
        if pixels.shape != expected or pixels.dtype != np.dtype(np.float32):
            raise InvalidImageError(
                f"rows {start} to {end} of the image must be float32 of shape {expected}, these "
                f"are {pixels.dtype} of shape {pixels.shape}"
            )
        return reflect_to(pixels, rows.size, columns.padded)


class StripBlender:
    """Adds weighted tiles of one row of tiles after the other; gives rows as they are finished.

    Holds one strip: memory goes with tile height × image width, whatever the image's height.
    """

    def __init__(self, plan: TilePlan, channels: int) -> None:
        self._plan = plan
        self._sum = np.zeros((plan.rows.size, plan.columns.padded, channels), np.float32)
        self._row = 0

    def add(self, column: int, tile: RGB) -> None:
        """Add one tile (tile height, tile width, channels) of the current row of tiles."""
        columns = self._plan.columns
        weight = (
            self._plan.rows.weights(self._row)[:, None, None]
            * columns.weights(column)[None, :, None]
        )
        start = columns.positions[column]
        self._sum[:, start : start + columns.size] += weight * tile

    def finish_row(self) -> RGB:
        """End the current row of tiles: (rows, width, channels) that no later tile will touch."""
        positions, length = self._plan.rows.positions, self._plan.rows.length
        start = positions[self._row]
        self._row += 1
        end = positions[self._row] if self._row < len(positions) else length
        done = self._sum[: end - start, : self._plan.columns.length].copy()
        rest = self._sum.shape[0] - (end - start)
        if self._row < len(positions):
            self._sum[:rest] = self._sum[end - start :]
            self._sum[rest:] = 0.0
        return done
