"""Statistics inside the network: how one normalization layer comes to its scale and shift."""

from __future__ import annotations

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.network.adaptive_norm import EPSILON
from aindnet.network.resampling import resize_bilinear


class Statistics(Protocol):
    """Where a normalization layer has its mean and variance from."""

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """Scale and shift that normalise x (B, C, H, W); its channels start at `first` of all."""


class OwnStatistics:
    """Each tile's own mean and variance, in float32, kept in the order of the layers."""

    def __init__(self) -> None:
        self.mean_and_variance: list[Tensor] = []

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """(B, C, 1, 1) each."""
        variance, mean = torch.var_mean(x.float(), dim=(2, 3), keepdim=True, correction=0)
        self.mean_and_variance.append(torch.stack([mean, variance], dim=1)[..., 0, 0])
        return _scale_and_shift(mean, torch.rsqrt(variance + EPSILON), x.dtype)


class GivenStatistics:
    """Mean and deviation for all layers, (B, 2, channels, gh, gw): one (gh = gw = 1), or a grid.

    A grid is interpolated by the weights `rows` (B, H, gh) and `columns` (B, W, gw), given at the
    tile's own resolution and averaged down for coarser layers. Interpolating the scale and the
    shift instead would not do: between a flat node and a textured one their sum is far off.
    """

    def __init__(
        self, grid: Tensor, rows: Tensor | None = None, columns: Tensor | None = None
    ) -> None:
        self._grid = grid
        self._rows = rows
        self._columns = columns

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """(B, C, 1, 1) or (B, C, H, W) each."""
        layer = self._grid[:, :, first : first + x.shape[1]]  # (B, 2, C, gh, gw)
        if self._rows is not None and self._columns is not None:
            rows = _average_down(self._rows, x.shape[2])[:, None, None]  # (B, 1, 1, h, gh)
            columns = _average_down(self._columns, x.shape[3])[:, None, None]
            layer = rows @ layer @ columns.transpose(-1, -2)  # (B, 2, C, h, w)
        return _scale_and_shift(layer[:, 0], 1 / layer[:, 1], x.dtype)


CELL = 8
"""Image pixels: local means are taken over cells of this size first, at every scale."""


class SlidingStatistics:
    """Around each pixel the box of `window` image pixels, cut at the tile's edge (after TLC).

    Box means are in float32, of whole cells, and interpolated in between; the variance is clamped
    at zero. Tile sides are multiples of `CELL`.
    """

    def __init__(self, window: int, tile_height: int) -> None:
        self._half = max(window // (2 * CELL), 1)
        self._tile_height = tile_height

    def affine(self, x: Tensor, first: int) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) each."""
        cell = max(CELL * int(x.shape[2]) // int(self._tile_height), 1)
        x32 = x.float()
        mean, square = (self._box(F.avg_pool2d(each, cell)) for each in (x32, x32 * x32))
        deviation = torch.sqrt((square - mean * mean).clamp(min=0) + EPSILON)
        both = resize_bilinear(torch.cat([mean, deviation], dim=1), (x.shape[2], x.shape[3]))
        mean, deviation = both.chunk(2, dim=1)
        return _scale_and_shift(mean, 1 / deviation, x.dtype)

    def _box(self, cells: Tensor) -> Tensor:
        """Means over boxes of cells, (B, C, h, w); boxes at the edge have fewer cells."""
        side, half = 2 * self._half + 1, self._half
        rows = F.avg_pool2d(cells, (side, 1), 1, (half, 0), count_include_pad=False)
        return F.avg_pool2d(rows, (1, side), 1, (0, half), count_include_pad=False)


def _scale_and_shift(mean: Tensor, scale: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    return scale.to(dtype), (-mean * scale).to(dtype)


def _average_down(weights: Tensor, size: int) -> Tensor:
    """(B, n·size, g) → (B, size, g): linear interpolation at the centres of n pixels."""
    factor = weights.shape[1] // size
    return weights.reshape(weights.shape[0], size, factor, weights.shape[2]).mean(dim=2)
