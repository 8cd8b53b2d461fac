from __future__ import annotations

import itertools

import torch

from aindnet.camera.dead_leaves import dead_leaves


def picture(seed: int, size: int = 96) -> torch.Tensor:
    return dead_leaves(size, torch.Generator().manual_seed(seed))


def test_a_seed_is_a_picture_and_another_another() -> None:
    assert picture(1).shape == (3, 96, 96)
    assert torch.equal(picture(1), picture(1))
    assert (picture(1) - picture(2)).abs().mean() > 0.1


def test_values_are_a_photo_s_and_not_noise() -> None:
    for seed in range(4):
        leaves = picture(seed)
        assert 0 <= leaves.min() < 0.2
        assert 0.8 < leaves.max() <= 1
        # Flat parts and edges: most neighbours are alike, some far apart.
        step = (leaves[..., 1:] - leaves[..., :-1]).abs().amax(dim=0)
        assert step.median() < 0.06
        assert step.quantile(0.98) > 0.15


def test_power_falls_with_frequency_as_in_photos() -> None:
    grey = torch.stack([picture(seed).mean(0) for seed in range(8)])
    power = torch.fft.rfft2(grey - grey.mean(dim=(1, 2), keepdim=True)).abs().square().mean(0)[0]
    bands = [float(power[low : 2 * low].mean()) for low in (2, 4, 8, 16)]
    slopes = [a / b for a, b in itertools.pairwise(bands)]
    assert all(2 < slope < 10 for slope in slopes)  # 4 is 1/f²
