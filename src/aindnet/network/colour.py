"""Colour noise that is left, at a quarter of the size.

Ours, not the paper's: docs/beyond-the-paper.md, "Colour at a quarter of the size". Cameras smooth
colour more than brightness, so that their colour noise is coarse: at a quarter of the size most of
it is still there, where in the photo itself it looks like colour. So the smoother sees the result
once more at that size, and what it changes of colour is taken.
"""

from __future__ import annotations

from torch import Tensor

from aindnet.network.places import CELL, POWER_FLOOR, around, opponent
from aindnet.network.resampling import average_pool, resize_bilinear

QUARTER = 4
"""Pixels a side that one of the small photo stands for."""
COLOUR_STRENGTH = 2.4
"""Level that the smoother is told there, over the one that was found, where colour noise is so
coarse that averaging 4×4 pixels leaves all of it; less by the cube of the share that remains."""
COLOUR_CREDIBLE = 0.3
"""Share of the noise level that it may change there, to be believed (`places.credibility`)."""


def told_of_colour(taken: Tensor, level: Tensor) -> Tensor:
    """The level that the smoother is told at a quarter of the size, (B, 3, H/4, W/4).

    `taken` (B, 3, H, W) is what the first look took, `level` (B, 3, H, W) the noise level that it
    found, on the [0, 1] scale. The share is of the deviation of the taken colour differences, over
    some 48 pixels: 1/4 of white noise remains, 0.56 where photos were developed from RAW without
    noise reduction, 0.7 to 0.8 of cameras' own JPEGs, and of texture that was taken from photos
    without noise, whose detail is fine, 0.4. H and W are multiples of 16.
    """
    fine = opponent(taken.float())[:, 1:]
    power = around(fine.square().mean(dim=1, keepdim=True), CELL)
    small = average_pool(fine, QUARTER).square().mean(dim=1, keepdim=True)
    left = around(small, CELL // QUARTER) + POWER_FLOOR / QUARTER**2
    share = (left / (power + POWER_FLOOR)).clamp_max(1.0).sqrt()
    told = average_pool(level.float(), QUARTER)
    strength = COLOUR_STRENGTH * share * share * share
    return told * resize_bilinear(strength, (told.shape[-2], told.shape[-1]))


def colour_alone(change: Tensor) -> Tensor:
    """A change of a photo (B, 3, H, W) without its change of brightness, the channels' mean."""
    return change - change.mean(dim=1, keepdim=True)
