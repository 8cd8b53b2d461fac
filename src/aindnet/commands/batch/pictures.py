"""Pictures that go with a result: the noise map, and the sheet that compares before and after."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from aindnet.photo.arrays import vips_image
from aindnet.photo.icc import is_srgb
from aindnet.photo.output import write_plain
from aindnet.photo.photo import Page
from aindnet.photo.pixels import RGB, oriented
from aindnet.photo.store import PixelStore

NOISE_MAP_WHITE = 0.25
"""The standard deviation, on the [0, 1] scale, that the noise map shows as 255."""

_SIDE = 1200
_CROP = 256
_GAP = 8


class NoiseMap:
    """Rows of noise level → an 8-bit PNG, linear: value / 255 × 0.25 is the standard deviation."""

    def __init__(self, path: Path, height: int, width: int) -> None:
        self.path = path
        self._store = PixelStore(path, height, width, 3, np.dtype(np.uint8))

    def add(self, noise_level: RGB) -> None:
        """The next rows, (rows, W, 3)."""
        scaled = np.clip(np.rint(noise_level * (255 / NOISE_MAP_WHITE)), 0, 255)
        self._store.write(scaled.astype(np.uint8))

    def save(self, orientation: int, *, overwrite: bool) -> None:
        """Write the file, turned as the photo is shown. Raises `ImageWriteError`."""
        write_plain(self.path, self._store.image(), orientation, overwrite=overwrite)

    def close(self) -> None:
        """Let go of the rows."""
        self._store.close()


class CompareSheet:
    """Rows before and after → one picture: both whole, and beneath both at 200 % where noise sits
    on texture.

    Holds reduced pictures and one crop, whatever the photo's size.
    """

    def __init__(self, page: Page) -> None:
        self._page = page
        self._factor = max(1, -(-max(page.height, page.width) // _SIDE))
        self._rest: list[RGB] = []
        self._rest_rows = 0
        self._reduced: list[RGB] = []
        self._best: tuple[float, RGB] = (-1.0, np.zeros((1, 2, 3), np.float32))

    def add(self, before: RGB, after: RGB, noise_level: RGB) -> None:
        """The next rows of the photo, of its denoised self, and of the noise level."""
        pair = np.concatenate([before, after], axis=2)  # (rows, W, 6)
        self._find_crop(pair, noise_level)
        self._rest.append(pair)
        self._rest_rows += len(pair)
        if self._rest_rows >= self._factor:
            rows = np.concatenate(self._rest)
            whole = len(rows) - len(rows) % self._factor
            self._reduced.append(_reduce(rows[:whole], self._factor))
            self._rest, self._rest_rows = [rows[whole:].copy()], len(rows) - whole

    def _find_crop(self, pair: RGB, noise_level: RGB) -> None:
        rows, columns = (min(_CROP, size) for size in pair.shape[:2])
        for y in range(0, pair.shape[0] - rows + 1, rows):
            for x in range(0, pair.shape[1] - columns + 1, columns):
                part = pair[y : y + rows, x : x + columns]
                score = worth_showing(part[..., 3:], noise_level[y : y + rows, x : x + columns])
                if rows * columns >= 0.5 * self._best[1].shape[0] * self._best[1].shape[1] and (
                    score > self._best[0]
                ):
                    self._best = score, part.copy()

    def save(self, path: Path, orientation: int, *, overwrite: bool) -> None:
        """Write the sheet as an 8-bit PNG in sRGB. Raises `ImageWriteError`."""
        if self._rest_rows:
            self._reduced.append(_reduce(np.concatenate(self._rest), self._factor))
        sheet = compose(np.concatenate(self._reduced), self._best[1], orientation)
        write_plain(path, _in_srgb(sheet, self._page), 1, overwrite=overwrite)


def _in_srgb(rgb: RGB, page: Page) -> Any:
    """Colours of a page as the network sees them, as a libvips image of 8 bit in sRGB."""
    import pyvips

    icc = page.icc
    if icc is None or page.grey or is_srgb(icc):
        return vips_image(_rounded(rgb, np.uint8))
    image = vips_image(_rounded(page.encoding.backward(rgb), np.uint16))
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    # A damaged profile is none, as viewers take it.
    return image.icc_transform("srgb", embedded=True, input_profile="srgb", depth=8)


def _rounded(rgb: RGB, dtype: type[np.uint8 | np.uint16]) -> Any:
    white = np.iinfo(dtype).max
    return np.clip(np.rint(rgb * white), 0, white).astype(dtype)


def worth_showing(after: RGB, noise_level: RGB) -> float:
    """How much a part of a denoised photo (h, w, 3) says of it, by the noise that was there.

    Noise decides; texture as strong as it breaks the tie, and more adds nothing.
    """
    steps = np.abs(np.diff(after.mean(axis=2), axis=1))
    noise = float(noise_level.mean())
    return noise + min(float(np.median(steps)) if steps.size else 0.0, noise)


def compose(whole: RGB, crop: RGB, orientation: int) -> RGB:
    """The sheet, (H, W, 3), from pairs (H, W, 6) of before and after."""
    rows = []
    for pair, zoom in ((whole, 1), (crop, 2)):
        turned = oriented(pair, orientation).repeat(zoom, axis=0).repeat(zoom, axis=1)
        gap = np.ones((turned.shape[0], _GAP, 3), np.float32)
        rows.append(np.concatenate([turned[..., :3], gap, turned[..., 3:]], axis=1))
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, _GAP), (0, width - row.shape[1]), (0, 0)), constant_values=1.0)
        for row in rows
    ]
    return np.concatenate(padded)[:-_GAP]


def _reduce(rows: RGB, factor: int) -> RGB:
    """Mean over blocks of `factor`; what is left at the edges makes smaller blocks."""
    if factor == 1:
        return rows
    down = np.add.reduceat(rows, np.arange(0, rows.shape[0], factor), axis=0)
    both = np.add.reduceat(down, np.arange(0, rows.shape[1], factor), axis=1)
    ones = np.ones(rows.shape[:2], np.float32)
    count = np.add.reduceat(ones, np.arange(0, rows.shape[0], factor), axis=0)
    count = np.add.reduceat(count, np.arange(0, rows.shape[1], factor), axis=1)
    return np.asarray(both / count[..., np.newaxis], np.float32)
