"""What the page shows of one photo: before and after, whole and from near."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aindnet.commands.batch.pictures import worth_showing
from aindnet.commands.batch.settings import BandDenoiser, BandLike
from aindnet.errors import ImageWriteError
from aindnet.photo import Photo
from aindnet.photo.paths import reason, shown
from aindnet.photo.pixels import RGB, oriented

Pixels = NDArray[np.uint8]
"""(H, W, 3)."""

VIEW_FILE = "view.pixels"

WHOLE_SIDE = 1600
"""Pixels, at most, of the longer side of the whole picture."""
NEAR_SIDE = 960
"""Pixels a side of what is shown from near: of the photo so many, or by the zoom fewer."""
_CELL = 256


class View:
    """A photo's first page before and after, in 8 bits, turned as it is shown.

    The pixels are kept in a file of `folder`, which the view does not outlive.
    """

    def __init__(self, folder: Path, height: int, width: int, orientation: int = 1) -> None:
        """Raises `ImageWriteError` where there is no room for the file."""
        shape = (2, height, width, 3)
        path = folder / VIEW_FILE
        try:
            with path.open("wb") as file:
                _reserve(file.fileno(), math.prod(shape))
            self._sides: Pixels = np.memmap(path, np.uint8, mode="r+", shape=shape)
        except OSError as error:
            raise ImageWriteError(
                f"{shown(path)}: no room for what the page shows ({reason(error)}); free some "
                "space for temporary files"
            ) from error
        self._orientation = orientation
        self._rows = 0
        self._best: tuple[float, float, float] = (-1.0, 0.5, 0.5)

    def add(self, before: RGB, after: RGB, noise_level: RGB) -> None:
        """The next rows, (rows, W, 3) each."""
        end = self._rows + len(after)
        for side, rows in zip(self._sides, (before, after), strict=True):
            side[self._rows : end] = np.clip(np.rint(rows * 255), 0, 255)
        _, height, width, _ = self._sides.shape
        for x in range(0, width, _CELL):
            part = slice(x, x + _CELL)
            score = worth_showing(after[:, part], noise_level[:, part])
            if score > self._best[0]:
                self._best = score, (x + _CELL / 2) / width, (self._rows + len(after) / 2) / height
        self._rows = end

    @property
    def complete(self) -> bool:
        """Whether all rows are there."""
        return bool(self._rows == self._sides.shape[1])

    @property
    def place(self) -> tuple[float, float]:
        """Where noise sat on texture, as shares (across, down) of the picture as it is shown."""
        _, across, down = self._best
        # A mark in an empty picture, turned like the photo: where does it come to lie?
        mark = np.zeros((64, 64), np.uint8)
        mark[min(int(down * 64), 63), min(int(across * 64), 63)] = 1
        y, x = np.argwhere(oriented(mark, self._orientation))[0]
        return (float(x) + 0.5) / 64, (float(y) + 0.5) / 64

    def whole(self) -> tuple[Pixels, Pixels]:
        """Before and after, made smaller by a whole number where they are large."""
        factor = -(-max(self._sides.shape[1:3]) // WHOLE_SIDE)
        before, after = (_smaller(self._turned(side), factor) for side in self._sides)
        return before, after

    def near(self, across: float, down: float, zoom: int) -> tuple[Pixels, Pixels]:
        """The part around a place, in shares of the picture; of each pixel `zoom` × `zoom`."""
        before, after = (_near(self._turned(side), across, down, zoom) for side in self._sides)
        return before, after

    def _turned(self, side: Pixels) -> Pixels:
        turned: Pixels = oriented(side, self._orientation)
        return turned


def _reserve(descriptor: int, size: int) -> None:
    """Give a file its room on the disk: the system kills who writes to a mapped hole of a full
    one.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    zeros = bytes(1 << 20)
    while size:
        size -= os.write(descriptor, zeros[:size])


class ShowingDenoiser:
    """A denoiser that puts what it does to a photo's first page into a view."""

    def __init__(self, denoiser: BandDenoiser, photo: Photo, folder: Path) -> None:
        self._denoiser = denoiser
        self._first = photo.pages[0]
        self.view = View(folder, self._first.height, self._first.width, photo.metadata.orientation)
        self.model_name = denoiser.model_name

    @property
    def model_hash(self) -> str:
        """SHA-256 of the weights."""
        return self._denoiser.model_hash

    def bands(self, source: Any, **options: Any) -> Iterator[BandLike]:
        """The denoiser's own."""
        if source is not self._first:
            yield from self._denoiser.bands(source, **options)
            return
        before = source.another_reader()
        y = 0
        try:
            for band in self._denoiser.bands(source, **options):
                rows = len(band.rgb)
                after = band.rgb
                if source.grey:  # as the file will be
                    after = np.broadcast_to(after.mean(axis=2, keepdims=True), after.shape)
                self.view.add(source.seen(before.read(y, y + rows)), after, band.noise_level)
                y += rows
                yield band
        finally:
            if before is not source.reader:
                before.close()


def _near(side: Pixels, across: float, down: float, zoom: int) -> Pixels:
    parts = []
    for size, share in ((side.shape[0], down), (side.shape[1], across)):
        length = min(size, NEAR_SIDE // zoom)
        start = min(max(round(share * size - length / 2), 0), size - length)
        parts.append(slice(start, start + length))
    part = side[parts[0], parts[1]]
    return np.ascontiguousarray(part.repeat(zoom, axis=0).repeat(zoom, axis=1))


def _smaller(side: Pixels, factor: int) -> Pixels:
    if factor <= 1:
        return np.ascontiguousarray(side)
    height, width = (max(1, size // factor) for size in side.shape[:2])
    whole = side[: height * factor, : width * factor]
    blocks = whole.reshape(height, whole.shape[0] // height, width, -1, 3)
    smaller: Pixels = np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(np.uint8)
    return smaller
