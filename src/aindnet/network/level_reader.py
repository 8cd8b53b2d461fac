"""The noise level, read from all that is known when a photo is denoised.

Ours, not the paper's: docs/beyond-the-paper.md, "The level that is read". How strong noise was is
seen in what was taken (`places.measured_levels`), but texture may have been taken with it, and
noise of a kind that the network does not know been left. How what was taken and what is left are
spread over the octaves tells the two apart better than one measure of their power, and is all that
this network sees: a few numbers of each place.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network.places import CELL, MeasuredLevels, around, opponent
from aindnet.network.resampling import resize_bilinear

OCTAVES_TAKEN, OCTAVES_LEFT = 4, 3
"""How many octaves are measured of what was taken, and of the picture that is left."""
LEAST = 0.25 / 255
"""Deviation, on the [0, 1] scale, that is added before a logarithm: below it there is no noise."""
WIDTH = 24
LARGEST = math.log(4.0)
"""Logarithm of the largest correction, up or down: of kinds of photos that training never saw, too,
the level stays near the measured one."""


class LevelReader(nn.Module):
    """Three 1×1 convolutions, over places of 16 pixels, from measures to a correction."""

    def __init__(self, image_channels: int) -> None:
        super().__init__()
        measures = image_channels * (OCTAVES_TAKEN + OCTAVES_LEFT + 4) + 1
        self.conv1 = nn.Conv2d(measures, WIDTH, 1)
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, 1)
        self.conv3 = nn.Conv2d(WIDTH, image_channels, 1)
        with torch.no_grad():  # untrained, it leaves the measured level as it is
            self.conv3.weight.zero_()
            if self.conv3.bias is not None:
                self.conv3.bias.zero_()

    def forward(self, photo: Tensor, residual: Tensor, levels: MeasuredLevels) -> MeasuredLevels:
        """`levels` with what was taken, (B, C, H/16, W/16), corrected by a factor from 1/4 to 4.

        `photo` and `residual` (B, C, H, W), what was taken from it, on the [0, 1] scale, H and W
        multiples of 16.
        """
        measures = measures_of(photo.float(), residual.float(), levels)
        x = F.relu(self.conv1(measures))
        x = F.relu(self.conv2(x))
        correction: Tensor = self.conv3(x).float()
        factor = torch.exp(correction.clamp(-LARGEST, LARGEST))
        return levels._replace(taken=factor * levels.taken)


def measures_of(photo: Tensor, residual: Tensor, levels: MeasuredLevels) -> Tensor:
    """What `LevelReader` sees of each place: shapes as there → (B, 11·C + 1, H/16, W/16).

    Of what was taken the deviation at the photo's size, at a half, a quarter and an eighth of it,
    and that of its luma; of what is left the deviation of three octaves, and the mean; and the
    three levels. Over some 48 pixels, deviations and levels as logarithms; all of about unit size.
    """
    result = photo + residual
    deviations = [deviation(opponent(residual)[:, :1], CELL)]
    taken = residual
    for octave in range(OCTAVES_TAKEN):
        # White noise halves with each octave; so it is as strong in all of these.
        deviations.append(2**octave * deviation(taken, CELL // 2**octave))
        taken = F.avg_pool2d(taken, 2) if octave + 1 < OCTAVES_TAKEN else taken
    picture = result
    for octave in range(OCTAVES_LEFT):
        coarser = F.avg_pool2d(picture, 2)
        detail = picture - resize_bilinear(coarser, (picture.shape[-2], picture.shape[-1]))
        deviations.append(deviation(detail, CELL // 2**octave))
        picture = coarser
    deviations += levels
    logarithms = torch.log((torch.cat(deviations, dim=1) + LEAST) * (255 / 4)) / 1.5
    return torch.cat([logarithms, 4 * around(result, CELL) - 2], dim=1)


def deviation(x: Tensor, cell: int) -> Tensor:
    """Root mean square of each place and its neighbours: (B, C, H, W) → (B, C, H/cell, W/cell)."""
    return around(x * x, cell).clamp_min(1e-12).sqrt()
