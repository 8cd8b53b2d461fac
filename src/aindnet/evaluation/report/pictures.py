"""Pictures for pages: lossless crops as data URIs, noise maps in colour, telling windows."""

from __future__ import annotations

import base64

import numpy as np
from numpy.typing import NDArray

from aindnet.evaluation.datasets.sample import Image
from aindnet.evaluation.metrics import to_uint8

# Eight anchors of matplotlib's viridis: dark blue for little noise, yellow for much.
_MAP_COLOURS = np.array(
    [
        (68, 1, 84),
        (70, 50, 127),
        (54, 92, 141),
        (39, 127, 142),
        (31, 161, 135),
        (74, 194, 109),
        (159, 218, 58),
        (253, 231, 37),
    ],
    dtype=np.float64,
)


def data_uri(image: Image) -> str:
    """An image as a lossless WebP in a data URI."""
    import pyvips

    pixels = np.ascontiguousarray(to_uint8(image))
    encoded = pyvips.Image.new_from_array(pixels).webpsave_buffer(lossless=True, effort=4)
    return "data:image/webp;base64," + base64.b64encode(encoded).decode("ascii")


def colour_map(values: NDArray[np.floating], highest: float) -> NDArray[np.uint8]:
    """A map (H, W) as colours, 0 dark to `highest` yellow; (H, W, 3) uint8."""
    place = np.clip(values / max(highest, 1e-9), 0, 1) * (len(_MAP_COLOURS) - 1)
    anchors = np.arange(len(_MAP_COLOURS))
    channels = [np.interp(place, anchors, _MAP_COLOURS[:, c]) for c in range(3)]
    colours: NDArray[np.uint8] = np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
    return colours


def telling_window(
    gain: NDArray[np.floating], size: int, *, worst: bool = False
) -> tuple[slice, slice]:
    """The `size`×`size` window with the highest (or lowest) mean of a per-pixel gain (H, W).

    Windows lie on a grid of an eighth of their size and wholly inside; a smaller image is its own
    window.
    """
    height, width = gain.shape
    rows, columns = min(size, height), min(size, width)
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = gain.cumsum(0).cumsum(1)
    step = max(1, size // 8)
    tops = np.unique([*range(0, height - rows + 1, step), height - rows])
    lefts = np.unique([*range(0, width - columns + 1, step), width - columns])
    grid = np.ix_(tops, lefts)
    total = (
        sums[np.ix_(tops + rows, lefts + columns)]
        - sums[np.ix_(tops, lefts + columns)]
        - sums[np.ix_(tops + rows, lefts)]
        + sums[grid]
    )
    index = int(np.argmin(total) if worst else np.argmax(total))
    top, left = (int(v) for v in (tops[index // len(lefts)], lefts[index % len(lefts)]))
    return slice(top, top + rows), slice(left, left + columns)


def squared_error(first: Image, second: Image) -> NDArray[np.float64]:
    """Per-pixel squared error in 8-bit levels, mean over channels: (H, W)."""
    difference = to_uint8(first).astype(np.float64) - to_uint8(second)
    squared = np.square(difference)
    return squared if squared.ndim == 2 else squared.mean(axis=2)
