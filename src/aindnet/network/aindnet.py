"""AINDNet: the whole network, top to bottom as in the paper's figure 2.

Source: Kim, Soh, Park, Cho, CVPR 2020 (arXiv 2002.11244). Where the paper and the authors' released
graph differ, the released graph is the default and the paper's reading is a field of the config.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from aindnet.network.colour import COLOUR_CREDIBLE, QUARTER, colour_alone, told_of_colour
from aindnet.network.config import AINDNetConfig
from aindnet.network.noise_estimator import NoiseLevelEstimator
from aindnet.network.places import (
    CELL,
    TEXTURE,
    TEXTURE_AGAIN,
    coarseness,
    credibility,
    found_level,
    noise_share,
    softness,
    without_local_means,
)
from aindnet.network.resampling import average_pool, pad_to_multiple, resize_bilinear
from aindnet.network.smoothing import (
    ALL_TEXTURE,
    SMOOTHED_TEXTURE,
    Smoother,
    between,
    for_the_first_look,
    strength,
    taken_before,
)
from aindnet.network.trunk import Trunk


class AINDNetOutput(NamedTuple):
    """What a forward pass gives."""

    denoised: Tensor
    """(B, C, H, W): input + residual, not clipped."""
    noise_level: Tensor
    """(B, C, H, W): estimated standard deviation of the noise on the [0, 1] scale; with `smoothing`
    or `looks` of 2 the one measured on what was taken (`places.found_level`), which no gradient
    goes through."""
    noise_level_coarse: Tensor
    """(B, C, h, w): σ̂ coarse, before upsampling; the first look's."""
    noise_level_fine: Tensor
    """(B, C, H', W'): σ̂ fine, at the stem's resolution."""


class Restoration(NamedTuple):
    """What a network finds in a photo (B, C, H, W)."""

    residual: Tensor
    """(B, C, H, W), to be added to the photo."""
    noise_level: Tensor
    """(B, C, H, W), σ̂ on the [0, 1] scale."""
    noise_level_coarse: Tensor
    """(B, C, h, w), as in `AINDNetOutput`."""
    noise_level_fine: Tensor
    """(B, C, H', W'), as in `AINDNetOutput`."""


class AINDNet(Trunk):
    """Noisy photo in, clean photo and noise map out."""

    def __init__(self, config: AINDNetConfig | None = None) -> None:
        config = config or AINDNetConfig()
        first_pool = max(4 // config.unshuffle, 1)
        # Drawn before the trunk, as ever, so that a seed's start stays the same.
        estimator = NoiseLevelEstimator(
            in_channels=config.image_channels * config.unshuffle**2,
            map_channels=config.image_channels,
            hidden=config.estimator_channels,
            pools=(first_pool, config.coarse_stride // (first_pool * config.unshuffle)),
            resize=config.resize,
        )
        super().__init__(
            config,
            image_channels=config.image_channels,
            map_channels=config.image_channels,
            modulation_channels=config.modulation_channels,
        )
        self.detach_map = False
        """Training only: True keeps the restoration's gradient out of the noise estimator."""
        self.noise_estimator = estimator
        for layer in estimator.modules():
            if isinstance(layer, nn.Conv2d):
                layer.padding_mode = config.padding
        self.smoother = Smoother(config) if config.smoothing else None

    def forward(self, noisy: Tensor) -> AINDNetOutput:
        """Denoise (B, C, H, W), values nominally in [0, 1]; any H, W ≥ 1.

        Sizes that are no multiple of `multiple` are reflected up to one inside and cut again ("tf1"
        mode instead treats borders as the released graph does).
        """
        found = self.restoration(noisy)
        return AINDNetOutput(noisy + found.residual, *found[1:])

    def restoration(self, noisy: Tensor) -> Restoration:
        """What `forward` adds to the photo (B, C, H, W), and the noise level; by as many passes as
        `half_pass`, `looks`, `smoothing` and `colour_pass` say.
        """
        height, width = noisy.shape[-2:]
        padded = noisy
        if self.config.resize != "tf1":
            padded = pad_to_multiple(noisy, self.multiple)
        found = self._look(padded)
        if self.smoother is not None:
            found = self._smoothed(padded, found)
        elif self.config.looks > 1:
            found = self._second_look(padded, found)
        return found._replace(
            residual=found.residual[..., :height, :width],
            noise_level=found.noise_level[..., :height, :width],
        )

    def _second_look(self, padded: Tensor, first: Restoration) -> Restoration:
        """What the same weights see in the first look's result, and what of all is taken."""
        full = (padded.shape[-2], padded.shape[-1])
        before = first.noise_level.detach()
        # Turned, so that what was done wrong one way is not done again the same way.
        again = self._look((padded + first.residual).transpose(-1, -2))
        after = again.noise_level.detach().transpose(-1, -2)
        share = resize_bilinear(noise_share(before, after, TEXTURE_AGAIN), full)
        residual = first.residual + share * again.residual.transpose(-1, -2)
        return self._with_texture(first, residual, after, TEXTURE)

    def _smoothed(self, padded: Tensor, first: Restoration) -> Restoration:
        """The first look's result without what white noise of its level would hide; where the noise
        is white, what the smoother makes of the photo.
        """
        assert self.smoother is not None
        full = (padded.shape[-2], padded.shape[-1])
        before, residual = first.noise_level.detach(), first.residual
        after = self._level_of(padded + residual).detach()
        found = coarseness(residual.detach())
        coarse = for_the_first_look(found.noise, before)
        told = resize_bilinear(strength(coarse, found.luma, before), full) * before
        taken = resize_bilinear(taken_before(coarse, before), full) * residual
        taken = taken + self.with_means_kept(self.smoother(padded + taken, told), before)
        share = resize_bilinear(noise_share(before, after, between(SMOOTHED_TEXTURE, coarse)), full)
        residual = residual + share * (taken - residual)
        if self.config.colour_pass:
            change = self._colour_left(padded + residual, first)
            residual = residual + resize_bilinear(coarse, full) * change
        return self._with_texture(first, residual, after, between(ALL_TEXTURE, coarse))

    def _colour_left(self, smoothed: Tensor, first: Restoration) -> Tensor:
        """What the smoother changes of a result's colour at a quarter of its size, (B, 3, H, W)."""
        assert self.smoother is not None
        full = (smoothed.shape[-2], smoothed.shape[-1])
        level = first.noise_level.detach()
        told = told_of_colour(first.residual.detach(), level)
        change = self.smoother(average_pool(smoothed, QUARTER), told).float()
        change = resize_bilinear(colour_alone(change), full)
        share = credibility(change.detach(), level, COLOUR_CREDIBLE)
        return resize_bilinear(share, full) * change

    def _with_texture(
        self, first: Restoration, residual: Tensor, after: Tensor, limit: float | Tensor
    ) -> Restoration:
        """All that is taken, less what was texture; `after` is the level seen in the first look's
        result, `limit` as in `noise_share`.
        """
        before = first.noise_level.detach()
        share = noise_share(before, after, limit)
        residual = resize_bilinear(share, (residual.shape[-2], residual.shape[-1])) * residual
        level = found_level(before, after, residual.detach(), share)
        return first._replace(residual=residual, noise_level=level)

    def _level_of(self, photo: Tensor) -> Tensor:
        """The noise level that the estimator sees in a photo, (B, C, H, W) like it."""
        estimate = self.noise_estimator(F.pixel_unshuffle(photo, self.config.unshuffle))
        return resize_bilinear(estimate.noise_level, (photo.shape[-2], photo.shape[-1]))

    @property
    def multiple(self) -> int:
        """Pixels that a photo's sides are brought to a multiple of: 8, more with an unshuffled stem
        and with further passes.
        """
        # Two poolings below the stem, and the estimator's coarse map, must come out even.
        unshuffle = self.config.unshuffle
        # And so must the grid that the modulation is computed on.
        once_whole = math.lcm(8, self.config.modulation_stride) * unshuffle
        multiple = once_whole * (1 if self.config.half_pass is None else 2)
        if self.config.colour_pass:
            # The smoother's two poolings, and its map's stride, at a quarter of the size.
            small = unshuffle * math.lcm(4, self.config.modulation_stride)
            multiple = math.lcm(multiple, QUARTER * small)
        once = self.config.looks == 1 and self.smoother is None
        return multiple if once else max(multiple, CELL)

    def _look(self, padded: Tensor) -> Restoration:
        """One pass over a photo, and one at half the size over its result (`half_pass`)."""
        found = self._one_pass(padded)
        if self.config.half_pass is None:
            return found
        first = padded + found.residual
        second = self._one_pass(F.avg_pool2d(first, 2))
        full = (padded.shape[-2], padded.shape[-1])
        change = resize_bilinear(second.residual, full).float()
        share = softness(first.detach(), self.config.half_pass)
        share = share * credibility(change.detach(), found.noise_level.detach())
        return found._replace(residual=found.residual + resize_bilinear(share, full) * change)

    def _one_pass(self, padded: Tensor) -> Restoration:
        """The paper's network over a photo whose sides come out even (any in "tf1" mode)."""
        x = F.pixel_unshuffle(padded, self.config.unshuffle)

        estimate = self.noise_estimator(x)
        map1 = estimate.noise_level.detach() if self.detach_map else estimate.noise_level
        full = (padded.shape[-2], padded.shape[-1])
        noise_level = resize_bilinear(map1, full)
        if self.config.map_limit is not None:
            map1 = map1.clamp_max(self.config.map_limit)

        residual = self.residual_under(x, map1)
        residual = self.with_means_kept(residual, noise_level)
        return Restoration(residual, noise_level, estimate.coarse, estimate.fine)

    def with_means_kept(self, residual: Tensor, noise_level: Tensor) -> Tensor:
        """The residual without its local means where the config keeps the photo's."""
        if self.config.mean_limit is None:
            return residual
        return without_local_means(residual, noise_level, self.config.mean_limit)


def is_transfer_parameter(name: str) -> bool:
    """Whether transfer learning updates this parameter: AIN modules, estimator, last convolution.

    One predicate for freezing, for saving a camera profile and for loading it (paper, section 3.4):
    5,188,270 of the default network's 13,764,014 parameters. None of a smoother's, which knows
    white noise and no camera.

    >>> is_transfer_parameter("encoder1.0.norm1.conv.weight")
    True
    >>> is_transfer_parameter("encoder1.0.conv1.bias")
    False
    """
    parts = name.split(".")
    if parts[0] == "smoother":
        return False
    if "norm" in parts or parts[-1] in ("mean", "variance"):  # a RunningNorm's averages
        return False
    return parts[0] in ("noise_estimator", "head") or "norm1" in parts or "norm2" in parts
