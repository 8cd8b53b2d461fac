"""From noisy rows to clean rows: tiles through a backend in full batches, blended as they come."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from aindnet.errors import InvalidImageError, NotFiniteError
from aindnet.restore.backends import Backend
from aindnet.restore.backends.base import Array, Given, Pending, TileStatistics, memory_errors
from aindnet.restore.ensemble import (
    IDENTITY,
    TRANSFORMS,
    inverse_transform,
    swaps_sides,
    transform,
)
from aindnet.restore.mixing import mix
from aindnet.restore.statistics import StatisticsPolicy
from aindnet.restore.streaming import (
    CLIPPED,
    Band,
    RowSource,
    StripBlender,
    StripReader,
    VisibleRows,
    is_grey,
    outside,
)
from aindnet.restore.tiling import ALIGNMENT, TilePlan, plan_tiles

DISCARDED_SHARE = 7 / 16
"""Of the overlap, on each side: the outermost pixels of a tile miss most of their surroundings."""

FAR_OFF = 2.0
"""Twice white. Highlights may be beyond; where most samples are, white is not 1."""


def discarded(overlap: int) -> int:
    """Pixels at a tile's border next to a neighbour that are thrown away."""
    return int(overlap * DISCARDED_SHARE)


@dataclass(frozen=True)
class _Request:
    """One tile to run, and where its result goes."""

    source: int
    column: int
    transform: int
    strip: Array
    tile: Array
    statistics: Given
    last_of_strip: bool

    @property
    def kind(self) -> tuple[object, ...]:
        """Requests of one kind may share a batch."""
        given = self.statistics
        return self.tile.shape, given.grid.shape if isinstance(given, TileStatistics) else given


@dataclass(frozen=True)
class Engine:
    """A backend, and how images are cut for it."""

    backend: Backend
    statistics: StatisticsPolicy
    tile: int
    overlap: int
    channels: int
    """Of the network: 3, or 1 for a network of grey photos, which are given as three equal ones."""
    visible: tuple[float, float] = CLIPPED
    """What the network is shown of float images."""
    fitted: bool = False
    """Whether tiles may be smaller where that covers an image with less (`plan_tiles`)."""
    alignment: int = ALIGNMENT
    """Of tiles, as the network needs it (`tiling.alignment_for`)."""

    def stream(
        self,
        sources: Sequence[RowSource],
        *,
        strength: float = 1.0,
        chroma_strength: float | None = None,
        ensemble: bool = False,
    ) -> Iterator[tuple[int, Band]]:
        """Bands of every source, one source after the other, with the source's index.

        `chroma_strength` is for colour: not for sources that are grey. Raises `NotFiniteError`, and
        `InvalidImageError` for NaN and infinite values, and for floats that are not on a scale of 0
        to 1: at the end of such an image.
        """
        plans = [self.plan(source) for source in sources]
        transforms = TRANSFORMS if ensemble else (IDENTITY,)
        share = np.float32(1 / len(transforms))
        blender: StripBlender | None = None
        current, y, far_off = -1, 0, 0
        for request, result in self._run(self._requests(sources, plans, transforms)):
            if request.source != current or blender is None:
                current, y, far_off = request.source, 0, 0
                blender = StripBlender(plans[current], channels=6)
            tile = inverse_transform(result, request.transform).transpose(1, 2, 0)
            if self.channels == 1:  # (h, w, 2), clean and noise level → three equal channels each
                tile = np.repeat(tile, 3, axis=2)
            blender.add(request.column, tile * share if ensemble else tile)
            if request.last_of_strip:
                done = self._finite(blender.finish_row())
                noisy = request.strip[: done.shape[0], : done.shape[1]]
                far_off += int(np.count_nonzero(noisy > FAR_OFF))
                source = sources[current]
                chroma = None if is_grey(source) else chroma_strength
                changes = strength > 0 or bool(chroma)
                if changes and far_off > source.height * source.width * 3 / 2:
                    raise InvalidImageError(
                        f"more than half of the samples are above {FAR_OFF:g}, where white is 1: "
                        "divide the floats by what white is in them (255, 65535) first"
                    )
                level = done[..., 3:]
                whole = done[..., :3] + outside(noisy, level, self.visible)
                yield current, Band(y, mix(noisy, whole, strength, chroma), level)
                y += done.shape[0]

    def _finite(self, rows: Array) -> Array:
        """The rows; raises `NotFiniteError`, for they would be written as black."""
        if not np.isfinite(rows).all():
            backend = self.backend
            raise NotFiniteError(
                f"the network gave NaN or infinite values ({backend.name} on {backend.device} in "
                f"{backend.precision}); try --precision fp32, then another model or camera profile"
            )
        return rows

    def plan(self, source: RowSource) -> TilePlan:
        """How a source is cut."""
        return plan_tiles(
            source.height,
            source.width,
            tile=self.tile,
            overlap=self.overlap,
            discard=discarded(self.overlap),
            # Where a shape is cheap, and no batch is to be filled with tiles of several images.
            fitted=self.fitted and self.backend.batch == 1 and not self.backend.compiled,
            alignment=self.alignment,
        )

    def _requests(
        self, sources: Sequence[RowSource], plans: Sequence[TilePlan], transforms: Sequence[int]
    ) -> Iterator[_Request]:
        for index, (source, plan) in enumerate(zip(sources, plans, strict=True)):
            reader = StripReader(source, plan)
            visible = VisibleRows(source, self.channels, self.visible)
            surveys = {
                which: self.statistics.survey(self.backend, visible, plan, which)
                for which in transforms
            }
            # Tiles of one shape after the other: only these share a batch.
            order = sorted(
                product(enumerate(plan.columns.positions), transforms),
                key=lambda each: swaps_sides(each[1]),
            )
            for y in plan.rows.positions:
                strip = reader.strip(y)
                pixels = visible.of(strip)
                for place in order:
                    (column, x), which = place
                    tile = pixels[:, x : x + plan.columns.size].transpose(2, 0, 1)
                    yield _Request(
                        source=index,
                        column=column,
                        transform=which,
                        strip=strip,
                        tile=transform(tile, which),
                        statistics=surveys[which].for_tile(y, x, *plan.tile_shape),
                        last_of_strip=place == order[-1],
                    )

    def _run(self, requests: Iterable[_Request]) -> Iterator[tuple[_Request, Array]]:
        """Results (2·C, h, w) as requested; tiles of several images may share a batch."""
        ahead = 1 if self.backend.asynchronous else 0
        started: deque[tuple[list[_Request], Pending]] = deque()
        for batch in self._batches(requests):
            started.append((batch, self._start(batch)))
            if len(started) > ahead:
                yield from _finish(*started.popleft())
        for batch, pending in started:
            yield from _finish(batch, pending)

    def _batches(self, requests: Iterable[_Request]) -> Iterator[list[_Request]]:
        waiting: list[_Request] = []
        for request in requests:
            if waiting and waiting[0].kind != request.kind:
                yield waiting
                waiting = []
            waiting.append(request)
            if len(waiting) == self.backend.batch:
                yield waiting
                waiting = []
        if waiting:
            yield waiting

    def _start(self, requests: list[_Request]) -> Pending:
        # Always a full batch: one static shape, and the same arithmetic whoever shares the batch.
        filled = requests + [requests[0]] * (self.backend.batch - len(requests))
        with memory_errors("cpu"):
            tiles = np.ascontiguousarray(np.stack([request.tile for request in filled]))
        return self.backend.start(tiles, [request.statistics for request in filled])


def _finish(requests: list[_Request], pending: Pending) -> Iterator[tuple[_Request, Array]]:
    yield from zip(requests, pending(), strict=False)
