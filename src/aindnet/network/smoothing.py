"""A second network behind the first: it takes away what white noise of a told level would hide.

Ours, not the paper's: docs/beyond-the-paper.md, "Smoothing". The denoiser knows kinds of noise;
what it leaves of a kind that it does not know, it takes for picture. Add white noise as strong as
the noise that was found, and what was left is hidden in it, whatever its kind; a denoiser for white
noise then takes both. Its mean over such noise ("dither") is a smooth function of photo and level,
which this network has learned, so that no noise is added. White noise itself it sees in the photo
as it is, and takes in the first network's place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.network.config import AINDNetConfig
from aindnet.network.places import CELL, around, from_to
from aindnet.network.resampling import average_pool
from aindnet.network.trunk import Trunk

STRENGTH = (1.0, 0.7)
"""Level that the smoother is told, over the one that was found, for white noise, which it sees as
it is, and for a camera's, of which it sees what the first look left."""
WEAK_STRENGTH = (2.0, 3.0)
"""The same for a camera's noise that is weak, and where its luma is coarse as well: white noise
hides that only where it is as strong at low frequencies, and its level is read as too low."""
WEAK = (4 / 255, 8 / 255)
"""Noise levels, on the [0, 1] scale, up to which it is, and from which on it is not."""
SMOOTHED_TEXTURE = (0.6, 1.0)
"""Share of the noise level that is still seen in the first result where half of what the smoother
makes of it is dropped (`places.noise_share`): for white noise, for a camera's. Texture that looks
as coarse as a camera's noise is rare."""
ALL_TEXTURE = (0.9, 1.4)
"""The same for half of all that is taken."""
WEAK_LEFT = 0.3
"""Share of a camera's noise, where it is weak, that stays in what the smoother sees: the first look
takes texture with it, which the smoother is to judge for itself."""
LOUD = (0.12, 0.2)
"""Noise levels, on the [0, 1] scale, from which on white noise is left to the first look as a
camera's is: so much of it is cut off at black and white, which the smoother was not taught."""


def for_the_first_look(coarseness: Tensor, level: Tensor) -> Tensor:
    """How far noise is the first look's, place by place: 0 where the smoother takes it alone.

    `coarseness` (B, 1, H/16, W/16) of the noise that the first look took (`places.Coarseness`),
    `level` (B, C, H, W) what it found, on the [0, 1] scale.
    """
    return torch.maximum(coarseness, from_to(LOUD, _of_cells(level)))


def taken_before(coarse: Tensor, level: Tensor) -> Tensor:
    """The share of what the first look took that the smoother does not see any more, place by
    place, (B, 1, H/16, W/16): none of white noise, all of a camera's, less where that is weak.

    `coarse` as `for_the_first_look` has it; `level` (B, C, H, W) is the one that was found, on the
    [0, 1] scale.
    """
    weak = 1 - from_to(WEAK, _of_cells(level))
    return coarse * (1 - WEAK_LEFT * weak)


def strength(coarse: Tensor, luma: Tensor, level: Tensor) -> Tensor:
    """What the level is multiplied by that the smoother is told, (B, 1, H/16, W/16).

    `coarse` as `for_the_first_look` has it, `luma` as `places.Coarseness`; `level` (B, C, H, W) is
    the one that was found, on the [0, 1] scale.
    """
    white, camera = STRENGTH
    weak = between(WEAK_STRENGTH, luma)
    return between((white, between((weak, camera), from_to(WEAK, _of_cells(level)))), coarse)


def _of_cells(level: Tensor) -> Tensor:
    """The mean level of the channels and of the surroundings, (B, 1, H/16, W/16)."""
    return around(level.float().mean(dim=1, keepdim=True), CELL)


def between(bounds: tuple[float | Tensor, float | Tensor], share: Tensor) -> Tensor:
    """From the first to the second, as `share` goes from 0 to 1."""
    first, second = bounds
    return first + (second - first) * share


class Smoother(Trunk):
    """The trunk of AINDNet under a map that it is told, in place of an estimated one."""

    def __init__(self, config: AINDNetConfig) -> None:
        super().__init__(
            config,
            image_channels=config.image_channels,
            map_channels=config.image_channels,
            modulation_channels=config.modulation_channels,
        )

    def forward(self, photo: Tensor, level: Tensor) -> Tensor:
        """What is to be added to the photo (B, C, H, W).

        `level` (B, C, H, W) is the standard deviation of the white noise, on the [0, 1] scale. H
        and W are multiples of `unshuffle` · 4 and of `unshuffle` · `modulation_stride`.
        """
        told = average_pool(level, self.config.unshuffle * self.config.modulation_stride)
        if self.config.map_limit is not None:
            told = told.clamp_max(self.config.map_limit)
        return self.residual_under(F.pixel_unshuffle(photo, self.config.unshuffle), told)
