"""Noise reduction that follows the picture's edges."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from aindnet.camera import CameraRecipe, simulate
from aindnet.camera.processing import (
    box_mean,
    edge_aware_noise,
    edge_aware_photo,
    guided_filter,
    rgb_to_ycbcr,
    ycbcr_to_rgb,
)

SIGMA = 0.03


def edge(size: int = 96) -> torch.Tensor:
    """Dark left, bright right: (4, 3, size, size)."""
    photo = torch.full((4, 3, size, size), 0.3)
    photo[..., size // 2 :] = 0.7
    return photo


def noise_like(photo: torch.Tensor) -> torch.Tensor:
    return SIGMA * torch.randn(photo.shape, generator=torch.Generator().manual_seed(0))


def left_of(noise: torch.Tensor, photo: torch.Tensor, strength: float = 2.0) -> torch.Tensor:
    count = len(photo)
    strengths = torch.full((count,), strength)
    return edge_aware_noise(noise, photo, (3, 6), strengths, strengths, torch.ones(count))


def test_a_box_s_mean_is_the_mean_over_its_square() -> None:
    x = torch.rand(2, 3, 20, 24, generator=torch.Generator().manual_seed(0))
    mean = box_mean(x, 4)
    assert mean.shape == x.shape
    torch.testing.assert_close(mean[..., 9, 11], x[..., 5:14, 7:16].mean(dim=(2, 3)))
    torch.testing.assert_close(
        mean[..., 0, 11],
        torch.cat([x[..., 1:5, 7:16], x[..., :5, 7:16]], dim=2).mean(dim=(2, 3)),
    )


def test_a_guided_filter_keeps_edges_and_smooths_noise() -> None:
    photo = edge()[:, :1]
    noisy = photo + noise_like(edge())[:, :1]
    epsilon = torch.full((4, 1, 1, 1), (2 * SIGMA) ** 2)
    smooth = guided_filter(noisy, noisy, 3, epsilon)
    flat = (smooth - photo)[..., :32]
    assert flat.std() < 0.35 * SIGMA
    blurred = F.avg_pool2d(F.pad(noisy, (3, 3, 3, 3), mode="reflect"), 7, 1)
    at_edge = slice(45, 51)
    assert (smooth - photo)[..., at_edge].abs().mean() < 0.5 * (
        (blurred - photo)[..., at_edge].abs().mean()
    )


def test_what_is_left_is_coarse_and_strongest_at_edges() -> None:
    photo = edge()
    noise = noise_like(photo)
    left = left_of(noise, photo)
    luma = left.mean(1)
    flat, at_edge = luma[..., 8:32], luma[..., 46:50]
    assert at_edge.std() > 1.5 * flat.std()
    lag = (flat[..., 1:] * flat[..., :-1]).mean() / flat.square().mean()
    assert lag > 0.2
    # The strength that was asked for, whatever the filter took.
    torch.testing.assert_close(left.square().mean(), noise.square().mean(), rtol=1e-3, atol=0)


def test_no_noise_leaves_none_and_the_mean_is_zero() -> None:
    photo = edge()
    assert left_of(torch.zeros_like(photo), photo).abs().max() == 0
    noise = noise_like(photo)
    torch.testing.assert_close(left_of(-noise, photo), -left_of(noise, photo))


def test_the_stage_happens_to_its_share_of_the_photos() -> None:
    photos = torch.full((64, 3, 32, 32), 0.5)

    def lags(share: float) -> torch.Tensor:
        recipe = replace(CameraRecipe.plain(), edge_aware=share, edge_aware_strength=(3.0, 3.0))
        noisy = simulate(photos, torch.Generator().manual_seed(4), recipe).noisy
        noise = (noisy - photos).mean(1)
        return (noise[..., 1:] * noise[..., :-1]).mean((1, 2)) / noise.square().mean((1, 2))

    assert lags(0.0).abs().max() < 0.15
    coarse = lags(0.5) > 0.2
    assert 0.3 < float(coarse.float().mean()) < 0.7
    assert bool((lags(1.0) > 0.2).all())


def textured(contrast: float, size: int = 96) -> torch.Tensor:
    """Dark left, bright right, and grain of that standard deviation, the same in each channel."""
    grain = torch.randn(4, 1, size, size, generator=torch.Generator().manual_seed(8))
    return (edge(size) + contrast * grain).clamp(0, 1)


def test_the_photo_behind_is_what_the_filter_leaves_on_the_mean_over_noise() -> None:
    photo = rgb_to_ycbcr(textured(0.02))
    generator = torch.Generator().manual_seed(3)
    # Luma and chroma of the noise are independent of one another, as cameras' nearly are.
    draws = [ycbcr_to_rgb(SIGMA * torch.randn(photo.shape, generator=generator)) for _ in range(64)]
    # Quiet on the left, loud on the right, as shot noise on dark and bright is.
    loud = torch.where(torch.arange(photo.shape[-1]) < 48, 0.3, 1.4)
    draws = [loud * noise for noise in draws]
    strength = torch.full((4,), 1.5)
    behind = edge_aware_photo(ycbcr_to_rgb(photo), draws[0], (3, 6), strength, strength)
    power = rgb_to_ycbcr(draws[0])[:, :1].square().mean((2, 3), keepdim=True)
    epsilon = 1.5**2 * power
    total = torch.zeros_like(photo)
    for noise in draws:
        noisy = photo + rgb_to_ycbcr(noise)
        guide = noisy[:, :1]
        luma = guided_filter(guide, guide, 3, epsilon)
        total += torch.cat([luma, guided_filter(guide, noisy[:, 1:], 6, epsilon)], dim=1)
    mean = ycbcr_to_rgb(total / len(draws))
    untouched = (mean - ycbcr_to_rgb(photo)).square().mean().sqrt()
    off = (mean - behind).square().mean().sqrt()
    assert off < 0.25 * untouched
    # Of the texture as much is left on both sides as the filter leaves there.
    for side in (slice(4, 40), slice(56, 92)):
        left, expected = (each[..., side].std(dim=(2, 3)).mean() for each in (behind, mean))
        assert float(left) == pytest.approx(float(expected), rel=0.15)


def test_the_photo_behind_has_lost_weak_texture_and_kept_edges() -> None:
    noise, strength = noise_like(edge()), torch.full((4,), 2.0)
    weak, strong = (
        edge_aware_photo(textured(contrast), noise, (3, 6), strength, strength)
        for contrast in (0.01, 0.15)
    )
    flat = (slice(None), 0, slice(None), slice(8, 32))
    assert weak[flat].std() < 0.4 * textured(0.01)[flat].std()
    assert strong[flat].std() > 0.8 * textured(0.15)[flat].std()
    assert (weak[..., 52] - weak[..., 43]).mean() > 0.37
    # Without noise a camera has nothing to reduce.
    torch.testing.assert_close(
        edge_aware_photo(textured(0.01), torch.zeros_like(noise), (3, 6), strength, strength),
        textured(0.01), rtol=0, atol=1e-3,
    )  # fmt: skip


def test_what_is_to_be_restored_is_the_photo_behind_where_that_was_asked_for() -> None:
    photos = textured(0.02, 48).repeat(8, 1, 1, 1)

    def photographed(white: float = 0.0, **options: float) -> tuple[torch.Tensor, torch.Tensor]:
        recipe = replace(CameraRecipe.plain(), edge_aware=1.0, white=white, **options)
        noisy, level, clean = simulate(photos, torch.Generator().manual_seed(6), recipe)
        noise = noisy - clean
        torch.testing.assert_close(
            level.square().mean((2, 3)), noise.square().mean((2, 3)), rtol=1e-3, atol=1e-8
        )
        return noise, (clean - photos).abs().amax((1, 2, 3))

    plain, untouched = photographed()
    assert untouched.max() == 0
    processed, changed = photographed(edge_aware_picture=1.0)
    assert changed.min() > 0
    # The noise is the same: only the picture is another.
    torch.testing.assert_close(processed, plain, rtol=0, atol=1e-6)
    _, some = photographed(edge_aware_picture=0.5)
    assert 8 <= int((some > 0).sum()) <= 24
    # White noise stands for scans and other software: nothing was done to the picture.
    _, changed = photographed(white=1.0, edge_aware_picture=1.0)
    assert changed.max() == 0
