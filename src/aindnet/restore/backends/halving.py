"""Tiles halved where the device's memory does not hold them, instead of a run that ends."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from aindnet.errors import DeviceMemoryError
from aindnet.restore.backends.base import (
    Array,
    Backend,
    Given,
    Pending,
    TileStatistics,
    memory_errors,
)
from aindnet.restore.tiling import ALIGNMENT, TilePlan, plan_tiles, round_up

T = TypeVar("T")


class HalvingBackend(Backend):
    """A backend that cuts its tiles in smaller ones, blended, once they are too large for it.

    What did not fit once is not tried again. The parts keep the tiles' overlap, so the result is
    what smaller tiles from the start would give.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        overlap: int,
        discard: int,
        constant_statistics: bool,
        alignment: int = ALIGNMENT,
    ) -> None:
        """`overlap`, `discard` and `alignment` are the tiles'; `constant_statistics`: "own" ones
        are the same whatever the tile.
        """
        self.name, self.device = backend.name, backend.device
        self.precision, self.batch = backend.precision, backend.batch
        self.asynchronous, self.compiled = backend.asynchronous, backend.compiled
        self._backend = backend
        self._overlap = overlap
        self._discard = discard
        self._alignment = alignment
        self._smallest = 3 * round_up(max(overlap, alignment), alignment)
        self._constant_statistics = constant_statistics
        self._side: int | None = None
        self._windows = backend.batch

    def start(self, tiles: Array, statistics: Sequence[Given]) -> Pending:
        """See `Backend`."""
        started: Pending = self._within_memory(
            tiles, statistics, self._backend.start, lambda result: lambda: result
        )
        return started

    def run(self, tiles: Array, statistics: Sequence[Given]) -> Array:
        """See `Backend`."""
        return self._within_memory(tiles, statistics, self._backend.run, lambda result: result)

    def measure(self, tiles: Array) -> Array:
        """See `Backend`; fewer windows at a time where all are too many."""
        while True:
            count = min(self._windows, len(tiles))
            try:
                parts = [
                    self._backend.measure(tiles[start : start + count])
                    for start in range(0, len(tiles), count)
                ]
            except DeviceMemoryError as error:
                if count == 1:
                    height, width = tiles.shape[-2:]
                    raise DeviceMemoryError(
                        f"{error}, even for one window of {height}×{width} pixels: "
                        f"{self._elsewhere}end other programs"
                    ) from error
                self._windows = count // 2
            else:
                return np.concatenate(parts)

    def _within_memory(
        self,
        tiles: Array,
        statistics: Sequence[Given],
        whole: Callable[[Array, Sequence[Given]], T],
        of_parts: Callable[[Array], T],
    ) -> T:
        while True:
            longest = max(tiles.shape[-2:])
            side = longest if self._side is None else min(longest, self._side)
            if side < longest and self._own(statistics[0]):
                raise self._other_statistics(f"{self.device} was out of memory before", longest)
            try:
                with memory_errors(self.device):  # also of what is done beside the runtime
                    if side == longest:
                        return whole(tiles, statistics)
                    return of_parts(self._in_parts(tiles, statistics, side))
            except DeviceMemoryError as error:
                self._halve(side, statistics[0], error)

    def _halve(self, side: int, given: Given, error: DeviceMemoryError) -> None:
        smaller = max(side // 2 // self._alignment * self._alignment, self._smallest)
        if smaller >= side:
            raise DeviceMemoryError(
                f"{error}, even for tiles of {side} pixels: {self._elsewhere}end other programs"
            ) from error
        if self._own(given):
            raise self._other_statistics(str(error), side) from error
        warnings.warn(
            f"{error}: going on with tiles of {smaller} pixels instead of {side}", stacklevel=2
        )
        self._side = smaller

    def _own(self, given: Given) -> bool:
        """Whether a tile is normalized by what is measured on it."""
        return given == "own" and not self._constant_statistics

    def _other_statistics(self, reason: str, side: int) -> DeviceMemoryError:
        return DeviceMemoryError(
            f"{reason} for a tile of {side} pixels, and smaller ones would be normalized by "
            f"other statistics: {self._elsewhere}set --tile for all photos"
        )

    @property
    def _elsewhere(self) -> str:
        """Advice that is none on the CPU."""
        return "" if self.device == "cpu" else "try --device cpu, or "

    def _in_parts(self, tiles: Array, statistics: Sequence[Given], side: int) -> Array:
        height, width = tiles.shape[-2:]
        plan = plan_tiles(
            height,
            width,
            tile=side,
            overlap=self._overlap,
            discard=self._discard,
            alignment=self._alignment,
        )
        total: Array | None = None
        for row, y in enumerate(plan.rows.positions):
            for column, x in enumerate(plan.columns.positions):
                part = np.s_[..., y : y + plan.rows.size, x : x + plan.columns.size]
                given = [_of_part(each, plan, y, x) for each in statistics]
                result = self._backend.run(np.ascontiguousarray(tiles[part]), given)
                weight = plan.rows.weights(row)[:, None] * plan.columns.weights(column)
                if total is None:
                    total = np.zeros((*result.shape[:2], height, width), np.float32)
                total[part] += weight * result
        assert total is not None
        return total


def _of_part(given: Given, plan: TilePlan, y: int, x: int) -> Given:
    if not isinstance(given, TileStatistics) or given.rows is None or given.columns is None:
        return given
    return replace(
        given,
        rows=given.rows[y : y + plan.rows.size],
        columns=given.columns[x : x + plan.columns.size],
    )
