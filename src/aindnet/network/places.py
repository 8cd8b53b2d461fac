"""What of a network's change is taken, place by place: of its means, and of further passes.

Ours, not the paper's: docs/beyond-the-paper.md, "Means that are kept", "Once more at half the
size", "A second look" and "Smoothing".
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from aindnet.network.resampling import average_pool, resize_bilinear

CELL = 16
"""Pixels a side of the cells that everything here is measured over, with their neighbours."""
SOFT_FLOOR = 1 / 255
"""Detail of this deviation on the [0, 1] scale is as none: there a photo counts as soft."""
CREDIBLE = 0.25
"""Share of the noise level that a pass at half the size may change, to be believed."""
TEXTURE = 1.0
"""Share of the noise level that is still seen in the result where half of all changes are dropped:
noise would be gone, so that this is texture."""
TEXTURE_AGAIN = 0.6
"""The same for what a second look at the result takes."""
COARSE = (0.3, 0.5)
"""Shares of power that remain when pixels are averaged 2×2: of white noise, and from which on noise
is as coarse as cameras leave it."""
COARSE_LUMA = (0.5, 0.55)
"""The same of luma alone: of most cameras' noise, and from which on it is coarser than theirs."""
POWER_FLOOR = (0.25 / 255) ** 2
"""Power of what was taken, on the [0, 1] scale squared, that counts as none."""


def without_local_means(residual: Tensor, noise_level: Tensor, limit: float) -> Tensor:
    """The residual less its means over about 32 pixels where the noise is weak.

    `residual` (B, C, H, W), `noise_level` (B, C, H, W) and `limit` on the [0, 1] scale → (B, C, H,
    W). Ours, not the paper's: docs/beyond-the-paper.md, "Means that are kept", has what it was
    chosen by. The share that is taken away is 1 / (1 + (σ / limit)⁸), with σ the mean of
    `noise_level` over 16×16 pixels: all of it below the limit, half at it, none above. Strong noise
    does move means, through clipping and the camera's response, and there they stay the network's.
    """
    means = average_pool(residual, CELL)
    excess = (average_pool(noise_level, CELL) / limit).clamp_max(2.0)
    means = means / (1 + excess.square().square().square())
    means = F.avg_pool2d(means, 3, stride=1, padding=1, count_include_pad=False)
    return residual - resize_bilinear(means, (residual.shape[-2], residual.shape[-1]))


def softness(photo: Tensor, limit: float) -> Tensor:
    """How soft a photo is, place by place: (B, C, H, W) → (B, 1, H/16, W/16), from 0 to 1.

    Ours, not the paper's: docs/beyond-the-paper.md, "Once more at half the size". 1 / (1 + (f /
    (limit·c + limit·floor²))²), with f and c the mean square of the finest octave of the channels'
    mean and of the next one, over some 32 pixels, on the [0, 1] scale: 1 where all detail is
    coarse, or there is none, 0 where the finest octave is as strong as the next. H and W are
    multiples of 16.
    """
    mean = photo.float().mean(dim=1, keepdim=True)
    half = F.avg_pool2d(mean, 2)
    powers = []
    for finer, coarser, cell in (
        (mean, half, CELL),
        (half, F.avg_pool2d(half, 2), CELL // 2),
    ):
        size = (finer.shape[-2], finer.shape[-1])
        octave = finer - resize_bilinear(coarser, size)
        powers.append(around(octave * octave, cell))
    share = powers[0] / (limit * (powers[1] + SOFT_FLOOR**2))
    return 1 / (1 + share * share)


def credibility(change: Tensor, noise_level: Tensor, limit: float = CREDIBLE) -> Tensor:
    """How far a second pass is to be believed: (B, C, H, W) each → (B, 1, H/16, W/16), 0 to 1.

    1 / (1 + (c / (limit·σ))⁴), with c the root mean square of the change and σ the mean noise
    level, over some 32 pixels, on the [0, 1] scale: what one pass left of the noise is a tenth of
    it or less, and what a second one changes beyond that are colours that it takes for noise. H and
    W are multiples of 16. Ours, not the paper's: docs/beyond-the-paper.md, "Once more at half the
    size".
    """
    power = around(change.float().square().mean(dim=1, keepdim=True), CELL)
    level = around(noise_level.float().mean(dim=1, keepdim=True), CELL)
    share = power / (limit * level).clamp_min(1e-6).square()
    return 1 / (1 + share * share)


class Coarseness(NamedTuple):
    """How coarse noise is, place by place, (B, 1, H/16, W/16) each."""

    noise: Tensor
    """From 0 (white) to 1 (a camera's), of luma and colour differences."""
    luma: Tensor
    """From 0 (as fine as most cameras' or finer) to 1 (coarser), of luma alone."""


def coarseness(taken: Tensor) -> Coarseness:
    """How coarse noise is that a look took: (B, C, H, W), H and W multiples of 16.

    The share of power that remains when pixels are averaged 2×2, over some 48 pixels, between the
    two of `COARSE`, of luma and colour differences in the mean, and between those of `COARSE_LUMA`,
    of luma alone. A channel from which next to nothing was taken does not count. Ours, not the
    paper's: docs/beyond-the-paper.md, "Smoothing".
    """
    fine = opponent(taken.float())
    coarse = F.avg_pool2d(fine, 2)
    power = around(fine * fine, CELL)
    left = around(coarse * coarse, CELL // 2)
    counts = power / (power + POWER_FLOOR)
    shares = counts * left / (power + POWER_FLOOR)
    share = shares.sum(dim=1, keepdim=True) / counts.sum(dim=1, keepdim=True).clamp_min(1e-3)
    return Coarseness(noise=from_to(COARSE, share), luma=from_to(COARSE_LUMA, shares[:, :1]))


def from_to(bounds: tuple[float, float], share: Tensor) -> Tensor:
    """How far a share of anything is from the first of the bounds (0) to the second (1)."""
    low, high = bounds
    return ((share - low) / (high - low)).clamp(0, 1)


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


def noise_share(before: Tensor, after: Tensor, limit: float | Tensor) -> Tensor:
    """How much of what looked like noise was: (B, C, H, W) each → (B, 1, H/16, W/16), 0 to 1.

    `before` and `after` are the noise levels that are seen in a photo and in the result. 1 / (1 +
    (after / (limit·before))⁸), over some 32 pixels: noise is gone in the result, and what is seen
    there as before is texture. `limit` may be of each place, (B, 1, H/16, W/16). H and W are
    multiples of 16. Ours, not the paper's: docs/beyond-the-paper.md, "A second look".
    """
    levels = [around(level.float().mean(dim=1, keepdim=True), CELL) for level in (before, after)]
    share = (levels[1] / (limit * levels[0]).clamp_min(1e-6)).clamp_max(8.0)
    return 1 / (1 + share.square().square().square())


def found_level(before: Tensor, after: Tensor, residual: Tensor, share: Tensor) -> Tensor:
    """The noise level, measured on what was taken as noise: (B, C, H, W), on the [0, 1] scale.

    `before` and `after` as in `noise_share`, whose answer `share` is; `residual` (B, C, H, W) is
    what all passes changed. The map `before`, scaled in every channel so that its power over some
    32 pixels is that of the residual, and of `share` of what is still seen in the result. H and W
    are multiples of 16. Ours, not the paper's: docs/beyond-the-paper.md, "A second look".
    """
    was, left, taken = (around(x.float().square(), CELL) for x in (before, after, residual))
    power = (taken + share.square() * left) / was.clamp_min(1e-12)
    return before * resize_bilinear(power.sqrt(), (before.shape[-2], before.shape[-1]))


def around(x: Tensor, cell: int) -> Tensor:
    """Means over cells, and their neighbours: (B, C, H, W) → (B, C, H/cell, W/cell)."""
    return F.avg_pool2d(F.avg_pool2d(x, cell), 3, stride=1, padding=1, count_include_pad=False)
