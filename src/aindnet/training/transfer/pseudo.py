"""Pairs from noisy photos alone: denoised by the base, and made noisy again as their camera does.

Experimental: the noise is measured on the photos' flat parts (`camera.measured`), but whether the
result is better on the camera's real noise only real pairs can say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from aindnet.camera.measured import MeasuredNoise, measure_noise
from aindnet.errors import UnusablePairsError
from aindnet.training.transfer.pairs import Image, PhotoPair

SMALLEST = 512
"""Pixels: photos with shorter sides than twice this are not halved."""


@dataclass(frozen=True, eq=False)
class Denoised:
    """A noisy photo and what the base makes of it, (H, W, 3) of one dtype."""

    name: str
    noisy: Image
    clean: Image


def noise_of(photos: Sequence[Denoised]) -> MeasuredNoise:
    """The camera's noise, from the noisy sides. Raises `UnusablePairsError`."""
    try:
        return measure_noise([_tensor(photo.noisy) for photo in photos])
    except ValueError as error:
        raise UnusablePairsError(str(error)) from error


def pseudo_pairs(
    photos: Sequence[Denoised], noise: MeasuredNoise, *, copies: int = 2, seed: int = 0
) -> list[PhotoPair]:
    """`copies` pairs of each photo, with other noise in each.

    Large photos are halved first: that leaves little of the noise and of the softness that the base
    left in them.
    """
    generator = torch.Generator().manual_seed(seed)
    pairs = []
    for photo in photos:
        clean = _tensor(photo.clean)[None]
        if min(clean.shape[-2:]) >= 2 * SMALLEST:
            clean = torch.nn.functional.avg_pool2d(clean, 2)
        for copy in range(copies):
            noisy = clean + noise.sample(clean, generator)
            name = f"{photo.name} {copy + 1}"
            pairs.append(PhotoPair(name, _image(noisy, 255), _image(clean, 65535), photo.name))
    return pairs


def _tensor(image: Image) -> torch.Tensor:
    white = float(np.iinfo(image.dtype).max)
    return torch.from_numpy(image.astype(np.float32) / white).permute(2, 0, 1)


def _image(photo: torch.Tensor, white: int) -> Image:
    levels = (photo[0].permute(1, 2, 0).clamp(0, 1) * white).round().numpy()
    return levels.astype(np.uint8 if white == 255 else np.uint16)
