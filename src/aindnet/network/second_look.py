"""A second look with weights of its own, modulated by what the first one found.

Ours, not the paper's: docs/training.md, "A second network". AIN modulates features by the level of
the noise. After a first look more is known: what it took is a sample of the noise, place by place,
so that not only its level but its spectrum can be measured, and whether what is left looks like
noise at all. A denoiser that is told so need not be one for all noises at once.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.network.config import AINDNetConfig
from aindnet.network.places import CELL, around
from aindnet.network.resampling import resize_bilinear
from aindnet.network.trunk import Trunk

OCTAVES = 3
"""Octaves over which the noise's spectrum is measured: pixels 2, 4 and 8 wide."""
SPECTRUM_SCALE = 0.25
"""Shares of power are given times this, to be nearer to noise levels in size."""
POWER_FLOOR = (0.25 / 255) ** 2
"""Power of what was taken, on the [0, 1] scale squared, that counts as none."""

ROOT_FLOOR = 1e-8
"""Added to powers before their root, whose slope at 0 has no bound."""


class SecondLook(Trunk):
    """The trunk of AINDNet that sees the photo and the first result under a richer map."""

    def __init__(self, config: AINDNetConfig) -> None:
        super().__init__(
            config,
            image_channels=2 * config.image_channels,
            map_channels=signature_channels(config.image_channels),
            modulation_channels=config.second_modulation_channels,
        )

    def forward(self, photo: Tensor, result: Tensor, before: Tensor, after: Tensor) -> Tensor:
        """What is to be added to the photo (B, C, H, W), H and W multiples of 16.

        `result` is the first look's, `before` and `after` are the noise levels seen in photo and
        result, all (B, C, H, W) on the [0, 1] scale.
        """
        signature = noise_signature(photo, result, before, after, self.config.map_limit)
        stride = self.config.unshuffle * self.config.modulation_stride
        size = (photo.shape[-2] // stride, photo.shape[-1] // stride)
        x = F.pixel_unshuffle(torch.cat([photo, result], dim=1), self.config.unshuffle)
        return self.residual_under(x, resize_bilinear(signature, size))


def signature_channels(image_channels: int) -> int:
    """Channels of `noise_signature`."""
    return (3 + OCTAVES) * image_channels + OCTAVES


def noise_signature(
    photo: Tensor, result: Tensor, before: Tensor, after: Tensor, limit: float | None = None
) -> Tensor:
    """What a first look says of the noise, place by place: (B, M, H/16, W/16).

    All (B, C, H, W) on the [0, 1] scale, H and W multiples of 16; everything is measured over some
    48 pixels. In this order:

    - `before` and `after`, the noise levels seen in the photo and in the result (2·C);
    - the root mean square of what was taken, in luma and colour differences (C);
    - that of the finest octaves of the result's luma: how much texture there is (3);
    - the spectrum of what was taken: from octave to octave the share of power that remains when
      pixels are averaged 2×2, for luma and each colour difference, times 0.25 (3·C). White noise
      has 1/4 of it, smoothed noise nearly 1.

    `limit` bounds all but the shares, as `map_limit` does the paper's map.
    """
    levels = [around(level.float(), CELL) for level in (before, after)]
    taken = opponent((photo - result).float())
    powers = [around(taken * taken, CELL)]
    for octave in range(1, OCTAVES + 1):
        taken = F.avg_pool2d(taken, 2)
        powers.append(around(taken * taken, CELL >> octave))
    shares = [SPECTRUM_SCALE * coarse / (fine + POWER_FLOOR) for fine, coarse in pairwise(powers)]
    luma, texture = result.float().mean(dim=1, keepdim=True), []
    for octave in range(OCTAVES):
        half = F.avg_pool2d(luma, 2)
        detail = luma - resize_bilinear(half, (luma.shape[-2], luma.shape[-1]))
        texture.append(around(detail * detail, CELL >> octave))
        luma = half
    levels += [torch.sqrt(power + ROOT_FLOOR) for power in (powers[0], *texture)]
    bounded = levels if limit is None else [level.clamp_max(limit) for level in levels]
    return torch.cat([*bounded, *shares], dim=1)


def opponent(image: Tensor) -> Tensor:
    """Luma and two colour differences of RGB (B, 3, H, W), each of unit norm; grey as it is."""
    if image.shape[1] == 1:
        return image
    red, green, blue = image.chunk(3, dim=1)
    return torch.cat(
        [
            (red + green + blue) / 3**0.5,
            (red - blue) / 2**0.5,
            (red + blue - 2 * green) / 6**0.5,
        ],
        dim=1,
    )
