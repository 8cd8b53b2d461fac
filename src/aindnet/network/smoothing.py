"""A second network behind the first: it takes away what white noise of a told level would hide.

Ours, not the paper's: docs/training.md, "Smoothing". The denoiser knows kinds of noise; what it
leaves of a kind that it does not know, it takes for picture. Add white noise as strong as the noise
that was found, and what was left is hidden in it, whatever its kind; a denoiser for white noise
then takes both. Its mean over such noise ("dither") is a smooth function of photo and level, which
this network has learned, so that no noise is added. White noise itself it sees in the photo as it
is, and takes in the first network's place.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.network.config import AINDNetConfig
from aindnet.network.places import CELL, around
from aindnet.network.resampling import average_pool
from aindnet.network.trunk import Trunk

STRENGTH = (1.0, 0.7)
"""Level that the smoother is told, over the one that was found, for white noise, which it sees as
it is, and for a camera's, of which it sees what the first look left."""
SMOOTHED_TEXTURE = (0.6, 1.0)
"""Share of the noise level that is still seen in the first result where half of what the smoother
makes of it is dropped (`places.noise_share`): for white noise, for a camera's. Texture that looks
as coarse as a camera's noise is rare."""
ALL_TEXTURE = (0.9, 1.4)
"""The same for half of all that is taken."""


LOUD = (0.12, 0.2)
"""Noise levels, on the [0, 1] scale, from which on white noise is left to the first look as a
camera's is: so much of it is cut off at black and white, which the smoother was not taught."""


def for_the_first_look(coarseness: Tensor, level: Tensor) -> Tensor:
    """How far noise is the first look's, place by place: 0 where the smoother takes it alone.

    `coarseness` (B, 1, H/16, W/16) of what the first look took (`places.coarseness`), `level` (B,
    C, H, W) what it found, on the [0, 1] scale.
    """
    low, high = LOUD
    loud = (around(level.float().mean(dim=1, keepdim=True), CELL) - low) / (high - low)
    return torch.maximum(coarseness, loud.clamp(0, 1))


def between(bounds: tuple[float, float], coarseness: Tensor) -> Tensor:
    """From the first to the second, as `coarseness` goes from 0 to 1."""
    white, camera = bounds
    return white + (camera - white) * coarseness


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
        and W are multiples of 8 and of `unshuffle` · `modulation_stride`.
        """
        told = average_pool(level, self.config.unshuffle * self.config.modulation_stride)
        if self.config.map_limit is not None:
            told = told.clamp_max(self.config.map_limit)
        return self.residual_under(F.pixel_unshuffle(photo, self.config.unshuffle), told)
