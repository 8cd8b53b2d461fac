"""Where instance normalization takes its mean and variance from when an image is cut into tiles.

In training they come from patches of 128 to 256 pixels. A whole photo's are others, and every tile
has its own, so neighbouring tiles disagree. Policies here answer for a whole image, before any tile
is run; `docs/engine.md` has the table that the default was chosen by.

Windows over normalization layers at test time: Chu et al., "Improving Image Restoration by
Revisiting Global Information Aggregation" (TLC), ECCV 2022.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from aindnet.network import AINDNetConfig
from aindnet.restore.backends.base import Array, Backend, Given, TileStatistics
from aindnet.restore.streaming import RowSource
from aindnet.restore.tiling import TilePlan, reflect_to
from aindnet.restore.windows import (
    WindowSurveyor,
    covering_count,
    interpolation,
    mean_and_deviation,
    measure_whole,
    spread,
    transformed,
)

TRAINING_WINDOW = 256
"""Pixels: about the size of the patches that the network was trained on."""
REACH = 128
"""Pixels that neighbouring tiles share, so that strong noise on a border shows nowhere by more than
a level of 255 (docs/engine.md)."""
FURTHER_REACH = 192
"""The same for networks that run over their own result, and so see farther."""


def reach(config: AINDNetConfig) -> int:
    """Pixels that neighbouring tiles of a network without instance statistics must share."""
    once = config.half_pass is None and config.looks == 1 and not config.smoothing
    return REACH if once else FURTHER_REACH


class ImageStatistics(Protocol):
    """One image's answer, under one mirroring or rotation of it."""

    def for_tile(self, y: int, x: int, height: int, width: int) -> Given:
        """For the tile with its first pixel at (y, x) of the image as it lies."""


class StatisticsPolicy(Protocol):
    """How an image's statistics are found."""

    @property
    def name(self) -> str:
        """As in the table of `docs/engine.md`."""

    @property
    def overlap(self) -> int:
        """Pixels that neighbouring tiles must share, for borders not to be seen."""

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """Look at the image under symmetry `which` (see `ensemble`), before its tiles are run."""


@dataclass(frozen=True)
class PerTile:
    """Every tile's own: no second pass, and tiles that disagree. For comparison."""

    name: str = "tile"
    overlap: int = REACH

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """Nothing to look at."""
        return _Same("own")


@dataclass(frozen=True)
class Trained:
    """Constants of the network: its training's with `normalization: running`, none with "none"."""

    name: str = "trained"
    overlap: int = REACH

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """Nothing to look at."""
        return _Same("own")


@dataclass(frozen=True)
class SlidingWindow:
    """At each pixel and layer the box of `window` image pixels around it, within the tile."""

    window: int = TRAINING_WINDOW
    name: str = "sliding"

    @property
    def overlap(self) -> int:
        """Boxes, and those that they were made of, must lie within the tile: three times this."""
        return REACH + self.window * 3 // 2

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """Nothing to look at: the windows lie within the tile."""
        return _Same(self.window)


@dataclass(frozen=True)
class WholeImage:
    """The whole image's, by running it whole once; memory goes with the image."""

    name: str = "whole"
    overlap: int = REACH

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """Run the image whole, unless it is a single tile, whose own statistics are the answer."""
        if plan.single_tile:
            return _Same("own")
        pixels = source.rows(0, source.height)
        pixels = reflect_to(pixels, plan.rows.padded, plan.columns.padded)
        measured = measure_whole(backend, pixels, which)
        return _Same(TileStatistics(mean_and_deviation(measured)[..., None, None]))


@dataclass(frozen=True)
class Frozen:
    """One mean and variance per channel from `samples` windows spread over the image.

    The network is then a plain convolution network: the same result whatever the tile size.
    `pooled` takes the windows as one population; else the mean of their variances is used, which
    leaves out how the windows differ, as a patch in training does.
    """

    samples: int = 16
    window: int = TRAINING_WINDOW
    pooled: bool = False
    name: str = "frozen"
    overlap: int = REACH

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """Run the sampled windows, each normalised by its own statistics."""
        across = round(np.sqrt(self.samples * source.width / source.height))
        across = min(max(across, 1), self.samples, covering_count(source.width, self.window))
        down = min(max(self.samples // across, 1), covering_count(source.height, self.window))
        surveyor = WindowSurveyor(backend, source, self.window, which)
        starts = spread(source.width, across, self.window)
        rows = spread(source.height, down, self.window)
        measured = np.concatenate([surveyor.measure_row(y, starts) for y in rows])
        mean, variance = measured[:, 0].mean(axis=0), measured[:, 1].mean(axis=0)
        if self.pooled:
            variance = variance + measured[:, 0].var(axis=0)
        grid = mean_and_deviation(np.stack([mean, variance]))[..., None, None]
        return _Same(TileStatistics(grid))


@dataclass(frozen=True, kw_only=True)
class Field:
    """A window's own statistics at every node of a grid over the image, interpolated in between.

    Local as a sliding window, from windows of the size seen in training, and still a plain
    convolution network: the same result whatever the tile size.
    """

    spacing: int = TRAINING_WINDOW
    window: int = TRAINING_WINDOW
    name: str = "field"
    overlap: int = REACH

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """Windows are run as the tiles come to them, so that one pass down the image is enough."""
        return _FieldOfImage(self, backend, source, which)


@dataclass(frozen=True)
class BySize:
    """`small` up to `limit` pixels, `large` above: the image decides, never the tile."""

    small: StatisticsPolicy
    large: StatisticsPolicy
    limit: int

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.small.name} up to {self.limit / 1e6:g} MP, {self.large.name} above"

    @property
    def overlap(self) -> int:
        """Of the one that needs more."""
        return max(self.small.overlap, self.large.overlap)

    def survey(
        self, backend: Backend, source: RowSource, plan: TilePlan, which: int
    ) -> ImageStatistics:
        """As the policy for the image's size does."""
        chosen = self.small if source.height * source.width <= self.limit else self.large
        return chosen.survey(backend, source, plan, which)


@dataclass(frozen=True)
class _Same:
    given: Given

    def for_tile(self, y: int, x: int, height: int, width: int) -> Given:
        return self.given


class _FieldOfImage:
    def __init__(self, field: Field, backend: Backend, source: RowSource, which: int) -> None:
        window, spacing = field.window, field.spacing
        self._spacing = spacing
        self._which = which
        self._surveyor = WindowSurveyor(backend, source, window, which)
        height, width = source.height, source.width
        self._down = spread(height, covering_count(height, window, spacing), window)
        self._across = spread(width, covering_count(width, window, spacing), window)
        self._rows: dict[int, Array] = {}

    def for_tile(self, y: int, x: int, height: int, width: int) -> TileStatistics:
        first_row, rows = self._interpolation(self._down, y, height)
        first, columns = self._interpolation(self._across, x, width)
        # Tiles come top to bottom: nodes above this one are not asked for again.
        self._rows = {index: row for index, row in self._rows.items() if index >= first_row}
        wanted = [min(first_row + i, len(self._down) - 1) for i in range(rows.shape[1])]
        nodes = np.stack([self._node_row(index) for index in wanted], axis=2)  # (2, C, gh, all)
        last = len(self._across) - 1
        grid = nodes[..., [min(first + i, last) for i in range(columns.shape[1])]]
        return transformed(grid, rows, columns, self._which)

    def _interpolation(self, starts: list[int], position: int, size: int) -> tuple[int, Array]:
        centres = np.array(starts, np.float32) + self._surveyor.window / 2
        return interpolation(centres, position, size, self._spacing)

    def _node_row(self, index: int) -> Array:
        """(2, C, nodes across)."""
        if index not in self._rows:
            measured = self._surveyor.measure_row(self._down[index], self._across)
            self._rows[index] = np.stack([mean_and_deviation(each) for each in measured], axis=-1)
        return self._rows[index]
