"""How a smoother learns what white noise of a told level would hide.

Two parts of each batch. Photos under white noise of the told level, asked for the clean photo: a
denoiser that is told the level. And photos as a first look may leave them, with up to `LEFT` of a
camera's noise still there, asked for what the average of the weights so far, told so, makes of them
under white noise ("dither"), the mean over that noise and its negative. Where the noise is no
longer there, the level is all that decides, and noise of no kind has to be known. Ours, not the
paper's: docs/beyond-the-paper.md, "Smoothing".
"""

from __future__ import annotations

import copy
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from aindnet.network import AINDNet
from aindnet.network.smoothing import Smoother
from aindnet.training.callbacks import warm_average
from aindnet.training.data import Batch, SyntheticNoiseData
from aindnet.training.losses import restoration_loss
from aindnet.training.recipe import TrainingRecipe
from aindnet.training.task import SyntheticNoiseTask

DITHERED = 0.5
"""Share of each batch that is asked for the mean under dither."""
LEFT = 0.6
"""Most of a camera's noise that is left in those."""
LEFT_AT_ALL = 0.75
"""Share of those in which any is left."""
LEVELS = (0.3, 2.5)
"""Told level over the camera's, where the noise is no longer there."""
WHITE_LEVELS = (0.5, 2.0)
"""Level of white noise over the camera's, where it varies over the photo as the camera's does."""
FLAT_LEVELS = (0.5 / 255, 60 / 255)
"""Level of white noise that is alike all over, in half of the photos under it."""
DITHERED_WEIGHT = 2.0
"""Of the dithered part's loss beside the other's."""
DITHERED_OFFSET = 3 / 255
"""Level that is added to the told one where the dithered part's error is set beside it."""
HIGHEST = 0.25
"""Highest level, on the [0, 1] scale, where the network's `map_limit` says of none."""


class SmoothingBatch(NamedTuple):
    """Photos of one step. The first `len(dither)` are asked for the mean under it."""

    photos: Tensor
    """(B, C, H, W), what the network sees; not rounded, not clipped."""
    told: Tensor
    """(B, C, H, W), the level that it is told, on the [0, 1] scale."""
    clean: Tensor
    """(B, C, H, W)."""
    dither: Tensor
    """(D, C, H, W), white noise of the told level."""
    dithered: Tensor
    """(D, C, H, W), the level of what is left and the dither together."""


def smoothing_batch(
    batch: Batch, generator: torch.Generator, highest: float = HIGHEST
) -> SmoothingBatch:
    """Simulated photos, two at least, as those that a smoother learns from; no level is above
    `highest`, as maps do not tell of more.
    """
    clean, level = batch.clean, batch.noise_level
    assert level is not None
    count = round(DITHERED * len(clean))

    def uniform(images: int) -> Tensor:
        return torch.rand(images, 1, 1, 1, generator=generator, device=clean.device)

    def factor(images: int, bounds: tuple[float, float]) -> Tensor:
        low, high = (math.log(bound) for bound in bounds)
        return torch.exp(low + (high - low) * uniform(images))

    def white(like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=generator, device=clean.device)

    left = LEFT * uniform(count) * (uniform(count) < LEFT_AT_ALL)
    calm = clean[:count] + left * (batch.noisy[:count] - clean[:count])
    told = (level[:count] * factor(count, LEVELS)).clamp_max(highest)
    rest = len(clean) - count
    varying = level[count:] * factor(rest, WHITE_LEVELS)
    flat = factor(rest, FLAT_LEVELS).expand_as(varying)
    shown = torch.where(uniform(rest) < 0.5, flat, varying).clamp_max(highest)
    return SmoothingBatch(
        photos=torch.cat([calm, clean[count:] + shown * white(shown)]),
        told=torch.cat([told, shown]),
        clean=clean,
        dither=told * white(told),
        dithered=torch.sqrt(told.square() + (left * level[:count]).square()),
    )


class SmoothingData(SyntheticNoiseData):
    """The same crops and cameras as for the first look, as `smoothing_batch` makes them."""

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        """A step's number becomes its photos; validation photos are moved."""
        if not isinstance(batch, int):
            return super().transfer_batch_to_device(batch, device, dataloader_idx)
        # Not the stream that makes the batch; a CPU's generator takes the lower 32 bits alone.
        generator = torch.Generator(device).manual_seed(self.seed_of(batch) ^ 2**31)
        limit = self.recipe.network.map_limit
        highest = HIGHEST if limit is None else limit
        return smoothing_batch(self.make(batch, device), generator, highest)


class SmoothingTask(SyntheticNoiseTask):
    """Trains `AINDNet.smoother` alone; validation is of the whole network."""

    def __init__(self, recipe: TrainingRecipe, network: AINDNet) -> None:
        super().__init__(recipe, network)
        assert network.smoother is not None
        self.teacher = copy.deepcopy(network.smoother).requires_grad_(False).eval()
        """The average of the smoother's weights so far."""
        self.follow = warm_average(recipe.ema_decay, delay=20.0)

    def on_train_batch_end(self, *of_the_step: Any) -> None:
        """The average goes after the weights."""
        assert self.network.smoother is not None
        weights = list(self.network.smoother.parameters())
        self.follow(list(self.teacher.parameters()), weights, self.global_step)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of the part under white noise, by the recipe's `loss`, and of the dithered
        one: squared, as that asks for a mean.
        """
        smoother = self.network.smoother
        assert smoother is not None
        assert isinstance(batch, SmoothingBatch)
        count = len(batch.dither)
        with torch.no_grad():
            calm = batch.photos[:count]
            target = mean_under_dither(self.teacher, calm, batch.dither, batch.dithered)
        smoothed = restored(smoother, batch.photos, batch.told)
        told = batch.told[count:]
        white = restoration_loss(smoothed[count:], batch.clean[count:], self.recipe.loss, told)
        dithered = dithered_loss(smoothed[:count], target, batch.told[:count])
        self.log_dict({"train/dithered": dithered, "train/white": white})
        return white + DITHERED_WEIGHT * dithered


def dithered_loss(smoothed: Tensor, target: Tensor, told: Tensor) -> Tensor:
    """Mean square distance of each image (B, C, H, W) from the mean under dither, over the square
    of its told level + 3/255.
    """
    unit = told.mean(dim=(1, 2, 3)) + DITHERED_OFFSET
    return ((smoothed - target).square().mean(dim=(1, 2, 3)) / unit.square()).mean()


def mean_under_dither(smoother: Smoother, photos: Tensor, dither: Tensor, level: Tensor) -> Tensor:
    """What the network, told the level (B, C, H, W), makes of photos (B, C, H, W) under noise and
    its negative, in the mean: the two errors that the noise itself makes are nearly opposite.

    Cut off at [0, 1]: nothing normalises the network, and levels that it has never met can make it
    leave all bounds, which it must not learn from.
    """
    both = torch.cat([photos + dither, photos - dither])
    plus, minus = restored(smoother, both, torch.cat([level, level])).chunk(2)
    return (0.5 * (plus + minus)).clamp(0, 1)


def restored(smoother: Smoother, photos: Tensor, level: Tensor) -> Tensor:
    """Photos (B, C, H, W) with what is to be added to them, in float32."""
    photos = photos.contiguous(memory_format=torch.channels_last)
    change: Tensor = smoother(photos, level)
    return photos + change.float()
