"""The noise-level estimator: a small convolution network from the photo to its map of σ.

Source: Kim et al., CVPR 2020, section 3.3 (two scales against the collapse of the map's details),
and the authors' released graph.
"""

from __future__ import annotations

from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network.resampling import ResizeMode, average_pool, resize_bilinear

COARSE_SHARE = 0.8


class NoiseLevel(NamedTuple):
    """Estimated standard deviation of the noise, on the [0, 1] scale."""

    noise_level: Tensor
    """0.8·up(coarse) + 0.2·fine, (B, 3, H, W): what the denoiser is given."""
    coarse: Tensor
    """σ̂ coarse, (B, 3, H/8, W/8)."""
    fine: Tensor
    """σ̂ fine, (B, 3, H, W)."""


class NoiseLevelEstimator(nn.Module):
    """Seven convolutions: five to σ̂ at 1/`stride` of the photo's size, two that refine it."""

    def __init__(
        self,
        *,
        in_channels: int = 3,
        map_channels: int = 3,
        hidden: int = 32,
        pools: tuple[int, int] = (4, 2),
        resize: ResizeMode = "half_pixel",
    ) -> None:
        super().__init__()
        self.pools = pools
        self.resize: ResizeMode = resize
        self.conv1 = nn.Conv2d(in_channels, hidden, 3, padding=1)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv3 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv4 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv5 = nn.Conv2d(hidden, map_channels, 3, padding=1)
        self.conv6 = nn.Conv2d(map_channels, map_channels, 3, padding=1)
        self.conv7 = nn.Conv2d(map_channels, map_channels, 3, padding=1)
        with torch.no_grad():
            # Unnormalised ReLU layers: torch's default start would all but silence the noise, a
            # small part of the input, before the fifth of them.
            for conv in (self.conv1, self.conv2, self.conv3, self.conv4, self.conv5):
                nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
                cast(Tensor, conv.bias).zero_()
            # Filters without a mean do not see the picture's brightness, only its detail: the
            # estimator starts as a measure of high frequencies, which noise is.
            self.conv1.weight.sub_(self.conv1.weight.mean(dim=(1, 2, 3), keepdim=True)).mul_(4.0)
            # A small positive start, as noise is: a map whose ReLU begins dead never learns, and
            # one that begins far too high is pushed into it.
            self.conv5.weight.mul_(0.05)
            cast(Tensor, self.conv5.bias).fill_(0.04)
            for conv in (self.conv6, self.conv7):
                nn.init.dirac_(conv.weight)
                cast(Tensor, conv.bias).fill_(0.005)

    def forward(self, noisy: Tensor) -> NoiseLevel:
        """(B, in_channels, H, W), values in [0, 1] → the three maps."""
        x = F.relu(self.conv1(noisy))  # (B, 32, H, W)
        x = F.relu(self.conv2(x))
        x = average_pool(x, self.pools[0], self.resize)  # (B, 32, H/4, W/4)
        x = F.relu(self.conv3(x))
        x = F.relu(self.conv4(x))
        x = average_pool(x, self.pools[1], self.resize)  # (B, 32, H/8, W/8)
        coarse = F.relu(self.conv5(x))  # (B, 3, H/8, W/8)
        up = resize_bilinear(coarse, (noisy.shape[-2], noisy.shape[-1]), self.resize)
        fine = F.relu(self.conv7(F.relu(self.conv6(up))))  # (B, 3, H, W)
        return NoiseLevel(COARSE_SHARE * up + (1 - COARSE_SHARE) * fine, coarse, fine)
