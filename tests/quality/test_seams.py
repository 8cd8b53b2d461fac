"""Tiles of a bundled model that nobody can see, where neighbours share as little as they may."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import skimage

from aindnet import Denoiser
from aindnet.pretrained import list_models, load_model
from aindnet.restore.statistics import reach
from aindnet.restore.tiling import Axis, round_up

MODELS = [card.name for card in list_models()]
HEIGHT = 192


def noisy(sigma: float, grain: int, side: int) -> np.ndarray:
    """A photo under noise of `sigma` of 255, in squares of `grain` pixels: (HEIGHT, side, 3)."""
    part = skimage.data.astronaut()[:HEIGHT] / 255
    photo = np.concatenate([part, part[:, ::-1]], axis=1)[:, :side]
    noise = np.random.default_rng(3).normal(0, sigma / 255, (HEIGHT // grain, side // grain, 3))
    noise = noise.repeat(grain, axis=0).repeat(grain, axis=1)
    return np.clip(photo + noise, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("sigma", "grain"), [(5, 1), (25, 1), (50, 1), (4, 2), (50, 2), (20, 4)])
@pytest.mark.parametrize("model", MODELS)
def test_the_result_does_not_depend_on_the_tiles(model: str, sigma: float, grain: int) -> None:
    config = load_model(model).network.config
    shared = reach(config)
    smallest, side = 3 * shared, 5 * shared
    axis = Axis(side, smallest, shared, 0)
    assert [b - a for a, b in pairwise(axis.positions)] == [smallest - shared]
    image = noisy(sigma, grain, side)
    image = image if config.image_channels == 3 else image[..., 1]
    whole, tiled = (
        Denoiser.from_pretrained(model, device="cpu", backend="torch", precision="fp32", tile=tile)
        for tile in (round_up(side), smallest)
    )
    difference = np.abs(whole(image).image - tiled(image).image) * 255
    print(f"sigma {sigma}, grain {grain}: {difference.max():.3f} {difference.mean():.4f}")
    assert difference.max() <= 1
    assert difference.mean() <= 0.1
