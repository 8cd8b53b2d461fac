"""The eight symmetries of the square, for the geometric self-ensemble (marked * in the paper)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

IDENTITY = 0
TRANSFORMS = tuple(range(8))
"""Bit 0 mirrors left-right, bit 1 upside down, bit 2 swaps rows and columns (first)."""


def swaps_sides(which: int) -> bool:
    """Whether symmetry `which` makes H×W of W×H."""
    return bool(which & 4)


def transform(image: Array, which: int) -> Array:
    """Apply symmetry `which` to (..., H, W)."""
    if swaps_sides(which):
        image = np.swapaxes(image, -1, -2)
    if which & 2:
        image = np.flip(image, -2)
    if which & 1:
        image = np.flip(image, -1)
    return image


def inverse_transform(image: Array, which: int) -> Array:
    """Undo `transform`."""
    if which & 1:
        image = np.flip(image, -1)
    if which & 2:
        image = np.flip(image, -2)
    if swaps_sides(which):
        image = np.swapaxes(image, -1, -2)
    return image
